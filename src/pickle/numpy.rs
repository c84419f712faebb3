//! What the known callables make: NumPy's arrays, types and scalars, and bytes of text.

use super::callable::Callable;
use super::store::{ArrayNode, Node, Store, Stored, Value};

/// Most axes that NumPy has.
const MOST_AXES: usize = 64;
/// Bytes of the longest name of a type of numbers that is of interest.
const LONGEST: usize = 16;

/// The value that a callable makes of a tuple of arguments; none for arguments that it does not take.
pub(super) fn call(
    callable: Callable,
    arguments: &[Stored],
    store: &mut Store,
) -> Result<Option<Stored>, String> {
    let text = |stored: &Stored, store: &Store| store.value(*stored).text().map(str::to_owned);
    Ok(match (callable, arguments) {
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
        (Callable::DataType, [name, ..]) => match text(name, store).filter(|name| name.len() <= LONGEST) {
            Some(name) => Some(store.add(Node::DataType { name: name.into(), big_endian: false })?),
            None => None,
        },
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
            match array(*data, *data_type, *shape, fortran, store) {
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

/// Sets the state of an array or a type; none for a state that it cannot have.
pub(super) fn set_state(object: u32, state: &[Stored], store: &mut Store) -> Option<()> {
    match (store.node(object), state) {
        // Version, byte order, and what only types of several fields have.
        (Node::DataType { name, .. }, [_, order, ..]) => {
            let (name, big_endian) = (name.clone(), store.value(*order).text()? == ">");
            store.replace(object, Node::DataType { name, big_endian });
        }
        (Node::Array(None), [_, shape, data_type, Stored::Bool(fortran), data]) => {
            let array = array(*data, *data_type, *shape, *fortran, store)?;
            store.replace(object, Node::Array(Some(array)));
        }
        _ => return None,
    }
    Some(())
}

/// An array of a type and a shape over bytes; none for what they cannot be.
fn array(data: Stored, data_type: Stored, shape: Stored, fortran: bool, store: &Store) -> Option<ArrayNode> {
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
