//! The values of a pickle, each kept once, and views of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::callable::Callable;

/// A value, or the node of one that takes memory of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    None,
    Bool(bool),
    Integer(i64),
    /// An integer of more than 64 bits.
    LongInteger,
    Real(f64),
    Node(u32),
}

impl Stored {
    pub(super) fn node(self) -> Option<u32> {
        match self {
            Stored::Node(node) => Some(node),
            _ => None,
        }
    }
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Node {
    Text(Arc<str>),
    Bytes(Box<[u8]>),
    List(Vec<Stored>),
    Tuple(Vec<Stored>),
    Dict(Vec<(Stored, Stored)>),
    /// A dictionary whose entries are handed over.
    HandedOver,
    /// A container whose content is not kept; all sets are.
    Dropped,
    Callable(Callable),
    /// A number that is an object.
    Scalar(Stored),
    DataType {
        name: Box<str>,
        big_endian: bool,
    },
    /// An array, none before its state has come.
    Array(Option<ArrayNode>),
}

/// The parts of an array.
#[derive(Debug)]
pub(super) struct ArrayNode {
    /// Name of the type of its numbers.
    pub(super) data_type: Box<str>,
    pub(super) shape: Box<[usize]>,
    pub(super) fortran: bool,
    /// Node of its bytes.
    pub(super) data: u32,
}

impl ArrayNode {
    fn view<'p>(&'p self, store: &'p Store) -> Array<'p> {
        let Node::Bytes(bytes) = store.node(self.data) else {
            unreachable!("the data of an array was looked at when it was made");
        };
        Array { data_type: &self.data_type, shape: &self.shape, fortran: self.fortran, bytes }
    }
}

/// A NumPy array as it was pickled.
#[derive(Clone, Copy, Debug)]
pub struct Array<'p> {
    /// Name of the type of its numbers, such as `u1`.
    pub data_type: &'p str,
    pub shape: &'p [usize],
    /// Whether its numbers are in Fortran's order.
    pub fortran: bool,
    pub bytes: &'p [u8],
}

/// Bytes of short text, of which equal ones are kept once.
const SHORT: usize = 64;

/// All nodes.
pub(super) struct Store {
    nodes: Vec<Node>,
    short: HashMap<Arc<str>, u32>,
    /// Bytes that may still be taken, and all of them.
    left: usize,
    limit: usize,
}

impl Store {
    pub(super) fn new(limit: usize) -> Self {
        Store { nodes: Vec::new(), short: HashMap::new(), left: limit, limit }
    }

    /// Counts bytes that are kept.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| {
            format!("its values take more than {} MB, the most that naswot gives them", self.limit >> 20)
        })?;
        Ok(())
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Stored, String> {
        let bytes = match &node {
            Node::Text(text) => text.len(),
            Node::Bytes(bytes) => bytes.len(),
            Node::Tuple(items) => size_of_val(items.as_slice()),
            Node::DataType { name, .. } => name.len(),
            // They are filled later.
            Node::List(_)
            | Node::Dict(_)
            | Node::HandedOver
            | Node::Dropped
            | Node::Callable(_)
            | Node::Scalar(_)
            | Node::Array(_) => 0,
        };
        self.spend(bytes + size_of::<Node>())?;
        let number = u32::try_from(self.nodes.len()).ok().filter(|&number| number < u32::MAX);
        let number = number.ok_or("it has too many values")?;
        self.nodes.push(node);
        Ok(Stored::Node(number))
    }

    pub(super) fn text(&mut self, text: String) -> Result<Stored, String> {
        if text.len() > SHORT {
            return self.add(Node::Text(text.into()));
        }
        if let Some(&node) = self.short.get(text.as_str()) {
            return Ok(Stored::Node(node));
        }
        let text: Arc<str> = text.into();
        let stored = self.add(Node::Text(Arc::clone(&text)))?;
        if let Stored::Node(node) = stored {
            self.spend(size_of::<(Arc<str>, u32)>())?;
            self.short.insert(text, node);
        }
        Ok(stored)
    }

    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub(super) fn node_mut(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    pub(super) fn replace(&mut self, node: u32, by: Node) {
        self.nodes[node as usize] = by;
    }

    /// Empties all containers that can be reached from a value.
    pub(super) fn release(&mut self, value: Stored) {
        let mut waiting = vec![value];
        while let Some(value) = waiting.pop() {
            let Stored::Node(node) = value else { continue };
            let before = waiting.len();
            let size = match self.node_mut(node) {
                Node::List(items) | Node::Tuple(items) => {
                    waiting.append(items);
                    *items = Vec::new();
                    size_of::<Stored>()
                }
                Node::Dict(entries) => {
                    waiting.extend(std::mem::take(entries).into_iter().flat_map(|(key, value)| [key, value]));
                    size_of::<Stored>()
                }
                _ => 0,
            };
            self.left += (waiting.len() - before) * size;
        }
    }

    pub(super) fn value(&self, stored: Stored) -> Value<'_> {
        Value { store: self, stored }
    }
}

/// A value of a pickle.
#[derive(Clone, Copy)]
pub struct Value<'p> {
    store: &'p Store,
    pub(super) stored: Stored,
}

impl<'p> Value<'p> {
    fn as_node(self) -> Option<&'p Node> {
        self.stored.node().map(|node| self.store.node(node))
    }

    /// The value itself, of a number that is an object the number.
    fn number(self) -> Stored {
        match self.as_node() {
            Some(Node::Scalar(number)) => *number,
            _ => self.stored,
        }
    }

    /// The text, or bytes that are UTF-8, which is how Python 2 wrote text.
    pub fn text(self) -> Option<&'p str> {
        match self.as_node()? {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The integer, if it has at most 64 bits.
    pub fn integer(self) -> Option<i64> {
        match self.number() {
            Stored::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The number as a real one.
    pub fn real(self) -> Option<f64> {
        match self.number() {
            Stored::Integer(integer) => Some(integer as f64),
            Stored::Real(real) => Some(real),
            _ => None,
        }
    }

    /// The items of a list or a tuple.
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = Value<'p>>> {
        match self.as_node()? {
            Node::List(items) | Node::Tuple(items) => {
                let store = self.store;
                Some(items.iter().map(move |&stored| Value { store, stored }))
            }
            _ => None,
        }
    }

    /// The keys and values of a dictionary, in the order in which they were set; a key may come again.
    pub fn entries(self) -> Option<impl DoubleEndedIterator<Item = (Value<'p>, Value<'p>)>> {
        match self.as_node()? {
            Node::Dict(entries) => {
                let store = self.store;
                let view = move |stored| Value { store, stored };
                Some(entries.iter().map(move |&(key, value)| (view(key), view(value))))
            }
            _ => None,
        }
    }

    /// The value under a text in a dictionary.
    pub fn get(self, key: &str) -> Option<Value<'p>> {
        let mut entries = self.entries()?.rev();
        entries.find(|(found, _)| found.text() == Some(key)).map(|(_, value)| value)
    }

    /// The array.
    pub fn array(self) -> Option<Array<'p>> {
        match self.as_node()? {
            Node::Array(Some(array)) => Some(array.view(self.store)),
            _ => None,
        }
    }
}
