//! The notations of a cell beside its arch: matrices of numbers, floats and booleans with names of operations, hashes,
//! tuples of NASLib.

use super::{Cell, MAX_VERTICES, invalid};
use crate::Result;
use crate::space::value::{Object, Value};

/// Keys of an object that hold the matrix.
const ADJACENCY: [&str; 3] = ["adjacency", "module_adjacency", "matrix"];
/// Keys of an object that hold the names of the vertices.
const OPS: [&str; 3] = ["ops", "module_operations", "operations"];
/// Keys of an object that hold a cell as one word.
const WORD: [&str; 2] = ["arch", "arch_str"];
/// Keys of an object that hold a hash.
const HASH: [&str; 3] = ["id", "hash", "unique_hash"];
/// A line of an architecture file, for messages.
const EXAMPLE: &str =
    r#"{"space":"nasbench101","adjacency":[[0,1,1],[0,0,1],[0,0,0]],"ops":["input","maxpool3x3","output"]}"#;

/// NASLib's names of vertices, by its numbers.
const NASLIB_OPS: [&str; 5] = ["input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu"];

/// Reads the keys of a line: a matrix and names where there are some, else an arch, else a hash.
pub(super) fn read_object(object: &Object) -> Result<Cell> {
    match (object.get(&ADJACENCY)?, object.get(&OPS)?) {
        (Some((_, adjacency)), Some((_, ops))) => return read_matrix(adjacency, ops),
        (Some((key, _)), None) => {
            return Err(invalid(format!("has `{key}`, but no `ops`; a line is {EXAMPLE}")));
        }
        (None, Some(_) | None) => {}
    }
    for keys in [&WORD[..], &HASH] {
        if let Some((_, value)) = object.get(keys)? {
            return read(value);
        }
    }
    Err(invalid(format!("has no key `adjacency`; a line is {EXAMPLE}")))
}

/// Reads any notation.
pub(super) fn read(value: &Value) -> Result<Cell> {
    match value {
        Value::Text(word) if is_hash(word) => {
            let unknown = || invalid(format!("no cell of the space has the hash {word}"));
            Cell::of_hash(word).ok_or_else(unknown)
        }
        Value::Text(word) => word.chars().filter(|c| !c.is_whitespace()).collect::<String>().parse(),
        Value::List(list) => match (value.digits(), &list[..]) {
            (Some(digits), _) => read_naslib(&digits),
            (None, [adjacency, ops]) => read_matrix(adjacency, ops),
            (None, _) => Err(invalid(format!("{value} is no cell; a line is {EXAMPLE}"))),
        },
        Value::Object(object) => read_object(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err(invalid(format!("{value} is no cell; a line is {EXAMPLE}")))
        }
    }
}

/// Whether a value has the form of one of the notations.
pub(super) fn has_form(value: &Value) -> bool {
    match value {
        Value::Text(word) => {
            let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'/' || byte.is_ascii_whitespace();
            is_hash(word) || (word.contains('/') && word.bytes().all(is_part))
        }
        Value::List(list) => match value.digits() {
            Some(digits) => vertices_of_naslib(&digits).is_some(),
            None => {
                matches!(&list[..], [adjacency, ops] if adjacency.list().is_some() && ops.list().is_some())
            }
        },
        Value::Object(object) => object.0.iter().any(|(key, _)| ADJACENCY.contains(&key.as_str())),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a word has the form of an MD5 hash.
pub(super) fn is_hash(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads a matrix, by rows or as one list of all entries, and the names of its vertices.
fn read_matrix(adjacency: &Value, ops: &Value) -> Result<Cell> {
    let names = ops.list().ok_or_else(|| {
        invalid(format!("the operations are {ops}, not a list of names, one for each vertex"))
    })?;
    let name = |(vertex, name): (usize, &Value)| {
        let found = name.text().map(str::to_owned);
        found.ok_or_else(|| invalid(format!("vertex {vertex}: {name} is not the name of an operation")))
    };
    let names: Vec<String> = names.iter().enumerate().map(name).collect::<Result<_>>()?;
    let no_matrix = || {
        let message = format!("the adjacency matrix is {adjacency}, not a list of its rows");
        invalid(message)
    };
    let rows = adjacency.list().ok_or_else(no_matrix)?;
    let flat = names.len().checked_mul(names.len()) == Some(rows.len())
        && rows.iter().all(|row| row.list().is_none());
    let rows: Vec<&[Value]> = match flat {
        true => rows.chunks(names.len().max(1)).collect(),
        false => rows.iter().map(|row| row.list().ok_or_else(no_matrix)).collect::<Result<_>>()?,
    };
    let entry = |i: usize, j: usize, entry: &Value| {
        let wrong = || invalid(format!("row {i}, column {j} of the adjacency matrix is {entry}, not 0 or 1"));
        entry.digit().ok_or_else(wrong)
    };
    let row = |(i, row): (usize, &&[Value])| {
        row.iter().enumerate().map(|(j, value)| entry(i, j, value)).collect::<Result<Vec<u8>>>()
    };
    let rows: Vec<Vec<u8>> = rows.iter().enumerate().map(row).collect::<Result<_>>()?;
    Cell::new(&rows, &names)
}

/// Reads NASLib's tuple: the matrix row by row, and then the number of each vertex.
fn read_naslib(digits: &[u8]) -> Result<Cell> {
    let vertices = vertices_of_naslib(digits).ok_or_else(|| {
        invalid(format!(
            "a list of {} numbers is no cell; a tuple of NASLib has a matrix of V x V and then V operations",
            digits.len()
        ))
    })?;
    let (matrix, ops) = digits.split_at(vertices * vertices);
    let name = |(vertex, &digit): (usize, &u8)| {
        let name = NASLIB_OPS.get(usize::from(digit));
        name.ok_or_else(|| {
            invalid(format!(
                "vertex {vertex}: {digit} is no operation of NASLib's, which are numbered from 0 to 4"
            ))
        })
    };
    let names: Vec<&&str> = ops.iter().enumerate().map(name).collect::<Result<_>>()?;
    Cell::new(&matrix.chunks(vertices).collect::<Vec<_>>(), &names)
}

/// The vertices of the cell of a tuple: as many numbers as their square and themselves.
fn vertices_of_naslib(digits: &[u8]) -> Option<usize> {
    (2..=MAX_VERTICES).find(|vertices| vertices * (vertices + 1) == digits.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Cell> {
        read(&Value::of_text(text)?)
    }

    #[test]
    fn all_notations_of_a_cell_are_that_cell() {
        for text in [
            "011001000/1",
            " '011001000 / 1' ",
            "(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 3, 1)",
            r#"{"adjacency":[[0.0,1.0,1.0],[0.0,0.0,1.0],[0.0,0.0,0.0]],"ops":["input","conv1x1-bn-relu","output"]}"#,
            "{'module_adjacency': [[False, True, True], [False, False, True], [False, False, False]], \
             'module_operations': ['INPUT', 'CONV1X1', 'output']}",
            "{'matrix': [0, 1, 1, 0, 0, 1, 0, 0, 0], 'operations': ['input', 'conv1x1_bn_relu', 'output']}",
            "([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ['input', 'conv1x1', 'OUTPUT'])",
            r#"{"arch":"011001000/1","id":"of this cell"}"#,
        ] {
            assert_eq!(read_text(text).unwrap().to_string(), "011001000/1", "{text}");
            assert!(has_form(&Value::of_text(text).unwrap()) || text.contains("\"arch\""), "{text}");
        }
    }

    #[test]
    fn what_is_no_cell_says_why() {
        for (text, message) in [
            ("(0, 1, 1)", "a list of 3 numbers is no cell; a tuple of NASLib has a matrix of V x V"),
            ("(0, 1, 0, 0, 0, 5)", "vertex 1: 5 is no operation of NASLib's"),
            ("(0, 1, 0, 0, 1, 0)", "vertex 0: \"output\" stands where \"input\" must"),
            (
                "[[[0, 0.5], [0, 0]], ['input', 'output']]",
                "row 0, column 1 of the adjacency matrix is 0.5, not 0 or 1",
            ),
            ("[[[0, 'x'], [0, 0]], ['input', 'output']]", "row 0, column 1 of the adjacency matrix is \"x\""),
            ("[[[0, 1], [0, 0]], ['input', 1]]", "vertex 1: 1 is not the name of an operation"),
            (
                "[['a', 'b'], ['input', 'output']]",
                "the adjacency matrix is a list of 2, not a list of its rows",
            ),
            ("{'ops': []}", "has no key `adjacency`; a line is {\"space\":\"nasbench101\","),
            ("{'matrix': []}", "has `matrix`, but no `ops`"),
            ("true", "\"true\" has no '/' before its operations"),
        ] {
            let error = read_text(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
