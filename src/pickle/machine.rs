//! The machine that carries out a pickle's operations: a stack, marks on it, and what is remembered.

use std::io::BufRead;

use super::callable::Callable;
use super::numpy;
use super::operation::{Operation, Operations};
use super::store::{Node, Store, Stored};
use super::visitor::{Treatment, Visitor};

/// What the machine works on.
pub(super) struct Machine<'v, R> {
    operations: Operations<R>,
    visitor: &'v mut dyn Visitor,
    store: Store,
    stack: Vec<Stored>,
    /// Heights of the stack.
    marks: Vec<usize>,
    /// Most values that have been on the stack or marked at a time.
    highest: usize,
    memo: Memo,
}

impl<'v, R: BufRead> Machine<'v, R> {
    pub(super) fn new(from: R, limit: usize, visitor: &'v mut dyn Visitor) -> Self {
        Machine {
            operations: Operations::new(from, limit),
            visitor,
            store: Store::new(limit),
            stack: Vec::new(),
            marks: Vec::new(),
            highest: 0,
            memo: Memo::default(),
        }
    }

    /// Bytes before the operation that was carried out last.
    pub(super) fn start(&self) -> u64 {
        self.operations.start
    }

    pub(super) fn into_store(self) -> Store {
        self.store
    }

    /// Carries out all operations, and leaves the value; the error says what is wrong with the last one.
    pub(super) fn run(&mut self) -> Result<Stored, String> {
        loop {
            match self.operations.next()? {
                Operation::Stop => return self.pop(),
                operation => self.carry_out(operation)?,
            }
            let height = self.stack.len() + self.marks.len();
            if height > self.highest {
                self.store.spend((height - self.highest) * size_of::<Stored>())?;
                self.highest = height;
            }
        }
    }

    fn carry_out(&mut self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::Stop => unreachable!("the last operation has been met"),
            Operation::Nothing => {}
            Operation::Mark => self.marks.push(self.stack.len()),
            Operation::Pop => drop(self.pop()?),
            Operation::PopMark => {
                let mark = self.mark()?;
                self.stack.truncate(mark);
            }
            Operation::Duplicate => self.stack.push(self.top()?),
            Operation::None => self.stack.push(Stored::None),
            Operation::Bool(value) => self.stack.push(Stored::Bool(value)),
            Operation::Integer(value) => self.stack.push(Stored::Integer(value)),
            Operation::LongInteger => self.stack.push(Stored::LongInteger),
            Operation::Real(value) => self.stack.push(Stored::Real(value)),
            Operation::Text(text) => {
                let text = self.store.text(text)?;
                self.stack.push(text);
            }
            Operation::Bytes(bytes) => self.push(Node::Bytes(bytes.into()))?,
            Operation::EmptyList => self.push_container(Node::List(Vec::new()))?,
            Operation::EmptyDict => self.push_container(Node::Dict(Vec::new()))?,
            Operation::EmptySet => self.push(Node::Dropped)?,
            Operation::Tuple(length) => {
                let from = self.stack.len().checked_sub(length).filter(|&from| from >= self.floor());
                let items = self.stack.split_off(from.ok_or(EMPTY)?);
                self.push(Node::Tuple(items))?;
            }
            Operation::MarkedTuple => {
                let items = self.marked()?;
                self.push(Node::Tuple(items))?;
            }
            Operation::Append => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            Operation::Appends | Operation::AddItems => {
                let items = self.marked()?;
                self.extend(items)?;
            }
            Operation::List => {
                let items = self.marked()?;
                self.push_container(Node::List(Vec::new()))?;
                self.extend(items)?;
            }
            Operation::SetItem => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            Operation::SetItems => {
                let items = self.marked()?;
                self.set_items(&items)?;
            }
            Operation::Dict => {
                let items = self.marked()?;
                self.push_container(Node::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            Operation::Put(number) => self.memo.put(number, self.top()?, &mut self.store)?,
            Operation::Get(number) => {
                let value = self.memo.get(number).ok_or("it refers to what it has not remembered")?;
                self.stack.push(value);
            }
            Operation::Global(callable) => self.push(Node::Callable(callable))?,
            Operation::StackGlobal => {
                let (name, module) = (self.pop()?, self.pop()?);
                let callable = match (self.store.value(module).text(), self.store.value(name).text()) {
                    (Some(module), Some(name)) => Callable::named(module, name)?,
                    _ => return Err("a name that is no text".to_owned()),
                };
                self.push(Node::Callable(callable))?;
            }
            Operation::Reduce => self.reduce()?,
            Operation::Build => self.build()?,
        }
        Ok(())
    }

    /// Calls a callable.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let callable = match callable.node().map(|callable| self.store.node(callable)) {
            Some(&Node::Callable(callable)) => callable,
            _ => return Err("a call of what is no function".to_owned()),
        };
        let arguments = self.tuple(arguments).ok_or("a call without a tuple of arguments")?;
        if callable == Callable::OrderedDict {
            return self.push_ordered_dict(&arguments);
        }
        match numpy::call(callable, &arguments, &mut self.store)? {
            Some(value) => self.stack.push(value),
            None => return Err(format!("a call of {callable:?} with arguments that it does not take")),
        }
        Ok(())
    }

    /// Makes an ordered dictionary, in Python 2 of a list of pairs.
    fn push_ordered_dict(&mut self, arguments: &[Stored]) -> Result<(), String> {
        let items = match arguments {
            [] => Some(Vec::new()),
            [pairs] => self.pairs(*pairs),
            _ => None,
        };
        self.push_container(Node::Dict(Vec::new()))?;
        self.set_items(&items.ok_or("an ordered dictionary of what are no pairs")?)
    }

    /// The keys and values, in turn, of a list of pairs.
    fn pairs(&self, list: Stored) -> Option<Vec<Stored>> {
        let mut items = Vec::new();
        for pair in self.store.value(list).items()? {
            let pair = pair.items()?;
            if pair.len() != 2 {
                return None;
            }
            items.extend(pair.map(|item| item.stored));
        }
        Some(items)
    }

    /// Sets the state of an object.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        let object = self.top()?.node();
        let state = self.tuple(state);
        let set =
            object.zip(state).and_then(|(object, state)| numpy::set_state(object, &state, &mut self.store));
        set.ok_or_else(|| {
            "an object that is no array or type of NumPy, or one in a state that it cannot have".to_owned()
        })
    }

    fn tuple(&self, value: Stored) -> Option<Vec<Stored>> {
        match self.store.node(value.node()?) {
            Node::Tuple(items) => Some(items.clone()),
            _ => None,
        }
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        let value = self.store.add(node)?;
        self.stack.push(value);
        Ok(())
    }

    /// Pushes an empty container, treated as the visitor says of the key below it.
    fn push_container(&mut self, container: Node) -> Result<(), String> {
        let key = self.stack.last().filter(|_| self.stack.len() > self.floor());
        let key = key.and_then(|&key| self.store.value(key).text());
        let node = match (key.map_or(Treatment::Keep, |key| self.visitor.treatment(key)), container) {
            (Treatment::Drop, _) => Node::Dropped,
            (Treatment::EntryByEntry, Node::Dict(_)) => Node::HandedOver,
            (Treatment::Keep | Treatment::EntryByEntry, container) => container,
        };
        self.push(node)
    }

    /// Appends to the list on the top of the stack.
    fn extend(&mut self, items: Vec<Stored>) -> Result<(), String> {
        let list = self.top()?.node();
        let bytes = size_of_val(items.as_slice());
        match list.map(|list| self.store.node_mut(list)) {
            Some(Node::List(list)) => list.extend(items),
            Some(Node::Dropped) => return Ok(()),
            _ => return Err("an item of what is no list".to_owned()),
        }
        self.store.spend(bytes)
    }

    /// Sets the entries, a key and a value in turn, of the dictionary on the top of the stack.
    fn set_items(&mut self, items: &[Stored]) -> Result<(), String> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err("a key without a value".to_owned());
        };
        let dictionary = self.top()?.node();
        match dictionary.map(|dictionary| self.store.node_mut(dictionary)) {
            Some(Node::Dict(entries)) => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                self.store.spend(size_of_val(items))
            }
            Some(Node::HandedOver) => {
                for &[key, value] in pairs {
                    self.visitor.entry(self.store.value(key), self.store.value(value))?;
                    self.store.release(value);
                }
                Ok(())
            }
            Some(Node::Dropped) => Ok(()),
            _ => Err("an entry of what is no dictionary".to_owned()),
        }
    }

    /// Height of the stack at the last mark, below which only operations on marks reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Stored, String> {
        let above = self.stack.len() > self.floor();
        self.stack.last().copied().filter(|_| above).ok_or_else(|| EMPTY.to_owned())
    }

    fn pop(&mut self) -> Result<Stored, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn mark(&mut self) -> Result<usize, String> {
        self.marks.pop().ok_or_else(|| "a mark is missing".to_owned())
    }

    /// Takes what stands above the last mark.
    fn marked(&mut self) -> Result<Vec<Stored>, String> {
        let mark = self.mark()?;
        Ok(self.stack.split_off(mark))
    }
}

const EMPTY: &str = "a value is missing";

/// Nodes that are remembered, by their numbers. Picklers count from 0 or 1.
#[derive(Default)]
struct Memo(Vec<u32>);

impl Memo {
    /// What stands for a number that was left out; no node has it.
    const NOTHING: u32 = u32::MAX;

    fn put(&mut self, number: Option<u32>, value: Stored, store: &mut Store) -> Result<(), String> {
        let Stored::Node(node) = value else {
            return Err("it remembers what no pickler does".to_owned());
        };
        let number = number.map_or(self.0.len(), |number| number as usize);
        if number > self.0.len() + 1 {
            return Err("it remembers values out of order".to_owned());
        }
        if number >= self.0.len() {
            store.spend((number + 1 - self.0.len()) * size_of::<u32>())?;
            self.0.resize(number + 1, Self::NOTHING);
        }
        self.0[number] = node;
        Ok(())
    }

    fn get(&self, number: u32) -> Option<Stored> {
        self.0.get(number as usize).filter(|&&node| node != Self::NOTHING).map(|&node| Stored::Node(node))
    }
}
