//! NumPy's arrays, types and scalars as pickles make them, and the other callables that are known.

use super::store::{Node, Store, Stored, Value};

/// Most axes that NumPy has.
const MOST_AXES: usize = 64;
/// Bytes of the longest name of a type of numbers that is of interest.
const LONGEST: usize = 16;

/// A callable of those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callable {
    OrderedDict,
    Set,
    /// `_codecs.encode`, by which Python 3 writes bytes for Python 2.
    Encode,
    /// `_reconstruct`, which makes an array whose state is still to come.
    Reconstruct,
    /// `_frombuffer`, which makes an array in protocol 5.
    FromBuffer,
    Scalar,
    /// The class `ndarray`, which only `_reconstruct` reads.
    NdArray,
    DataType,
}

impl Callable {
    pub(super) fn named(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Callable::OrderedDict,
            ("builtins" | "__builtin__", "set") => Callable::Set,
            ("_codecs", "encode") => Callable::Encode,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Callable::Reconstruct,
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Callable::FromBuffer,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Callable::Scalar,
            ("numpy", "ndarray") => Callable::NdArray,
            ("numpy", "dtype") => Callable::DataType,
            _ => {
                let tensors = if module.starts_with("torch") { " (it holds tensors of PyTorch)" } else { "" };
                let name = format!("{module}.{name}");
                let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                return Err(format!(
                    "it needs Python's `{name}`{tensors}, and naswot runs nothing of Python"
                ));
            }
        })
    }

    /// The value that a callable makes of a tuple of arguments; none for arguments that it does not take.
    pub(super) fn call(self, arguments: &[Stored], store: &mut Store) -> Result<Option<Stored>, String> {
        let text = |stored: &Stored, store: &Store| store.value(*stored).text().map(str::to_owned);
        Ok(match (self, arguments) {
            (Callable::Set, _) => Some(store.add(Node::Dropped)?),
            (Callable::Encode, [characters, encoding]) => {
                let encoding = store.value(*encoding);
                if !matches!(encoding.text(), Some("latin1" | "latin-1")) {
                    return Ok(None);
                }
                let Some(characters) = store.value(*characters).text() else { return Ok(None) };
                let bytes = characters.chars().map(|c| u8::try_from(u32::from(c)).ok());
                match bytes.collect::<Option<Vec<u8>>>() {
                    Some(bytes) => Some(store.add(Node::Bytes(bytes.into()))?),
                    None => None,
                }
            }
            (Callable::DataType, [name, ..]) => {
                match text(name, store).filter(|name| name.len() <= LONGEST) {
                    Some(name) => Some(store.add(Node::DataType { name: name.into(), big_endian: false })?),
                    None => None,
                }
            }
            (Callable::Reconstruct, [class, ..]) => match class.node().map(|class| store.node(class)) {
                Some(Node::Callable(Callable::NdArray)) => Some(store.add(Node::Array(None))?),
                _ => None,
            },
            (Callable::FromBuffer, [data, data_type, shape, order]) => {
                let fortran = match store.value(*order).text() {
                    Some("C") => false,
                    Some("F") => true,
                    _ => return Ok(None),
                };
                match ArrayNode::new(*data, *data_type, *shape, fortran, store) {
                    Some(array) => Some(store.add(Node::Array(Some(array)))?),
                    None => None,
                }
            }
            (Callable::Scalar, [data_type, bytes]) => match scalar(*data_type, *bytes, store) {
                Some(number) => Some(store.add(Node::Scalar(number))?),
                None => None,
            },
            _ => None,
        })
    }
}

/// Sets the state of an array or a type; none for a state that it cannot have.
pub(super) fn set_state(object: u32, state: &[Stored], store: &mut Store) -> Option<()> {
    match (store.node(object), state) {
        // Version, byte order, and what only types of several fields have.
        (Node::DataType { name, .. }, [_, order, ..]) => {
            let (name, big_endian) = (name.clone(), store.value(*order).text()? == ">");
            store.replace(object, Node::DataType { name, big_endian });
        }
        (Node::Array(None), [_, shape, data_type, Stored::Bool(fortran), data]) => {
            let array = ArrayNode::new(*data, *data_type, *shape, *fortran, store)?;
            store.replace(object, Node::Array(Some(array)));
        }
        _ => return None,
    }
    Some(())
}

/// The parts of an array.
#[derive(Debug)]
pub(super) struct ArrayNode {
    /// Name of the type of its numbers.
    data_type: Box<str>,
    shape: Box<[usize]>,
    fortran: bool,
    /// Node of its bytes.
    data: u32,
}

impl ArrayNode {
    fn new(data: Stored, data_type: Stored, shape: Stored, fortran: bool, store: &Store) -> Option<Self> {
        let size = |size: Value| usize::try_from(size.integer()?).ok();
        let sizes = store.value(shape).items()?.take(MOST_AXES + 1);
        let shape: Box<[usize]> = sizes.map(size).collect::<Option<_>>()?;
        if shape.len() > MOST_AXES {
            return None;
        }
        let Node::DataType { name, .. } = store.node(data_type.node()?) else { return None };
        let data = data.node()?;
        let Node::Bytes(_) = store.node(data) else { return None };
        Some(ArrayNode { data_type: name.clone(), shape, fortran, data })
    }

    pub(super) fn view<'p>(&'p self, store: &'p Store) -> Array<'p> {
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

/// The number that a scalar is.
fn scalar(data_type: Stored, bytes: Stored, store: &Store) -> Option<Stored> {
    let (Node::DataType { name, big_endian }, Node::Bytes(bytes)) =
        (store.node(data_type.node()?), store.node(bytes.node()?))
    else {
        return None;
    };
    let mut bytes = bytes.to_vec();
    if *big_endian {
        bytes.reverse();
    }
    let unsigned = || {
        let mut wide = [0; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(&bytes);
        Some(u64::from_le_bytes(wide))
    };
    let size = name.get(1..)?.parse::<usize>().ok().filter(|&size| size == bytes.len() && size > 0)?;
    Some(match name.get(..1)? {
        "f" => match size {
            4 => Stored::Real(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
            8 => Stored::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
            _ => return None,
        },
        "u" => Stored::Integer(i64::try_from(unsigned()?).ok()?),
        // The sign is that of the highest byte.
        "i" => Stored::Integer((unsigned()? << (64 - 8 * size)) as i64 >> (64 - 8 * size)),
        "b" => Stored::Bool(unsigned()? != 0),
        _ => return None,
    })
}
