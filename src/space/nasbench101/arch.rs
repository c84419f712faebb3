//! The cell as one word of text: `adjacency/operations`.

use std::fmt;
use std::str::FromStr;

use super::{Cell, VertexOp, invalid};
use crate::space::text::quoted;
use crate::{Error, Result};

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |d: u8| char::from(b'0' + d);
        let adjacency = self.adjacency().concat().into_iter().map(digit);
        let ops = self.ops().iter().map(|&op| digit(op as u8));
        f.pad(&adjacency.chain(['/']).chain(ops).collect::<String>())
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({self})")
    }
}

impl FromStr for Cell {
    type Err = Error;

    /// Reads what `Display` writes; a matrix that is not pruned is pruned.
    fn from_str(text: &str) -> Result<Self> {
        let (adjacency, ops) = text
            .split_once('/')
            .ok_or_else(|| invalid(format!("{} has no '/' before its operations", quoted(text))))?;
        let entries = digits(adjacency, 2, "the adjacency matrix")?;
        let ops: Vec<VertexOp> =
            digits(ops, 3, "the operations")?.into_iter().map(|d| VertexOp::ALL[usize::from(d)]).collect();
        let vertices = ops.len() + 2;
        if vertices.checked_mul(vertices) != Some(entries.len()) {
            let (digits, ops) = (entries.len(), ops.len());
            let message = format!(
                "the adjacency matrix of {vertices} vertices does not have {digits} digits (interior operations: {ops})"
            );
            return Err(invalid(message));
        }
        let rows: Vec<&[u8]> = entries.chunks(vertices).collect();
        Cell::from_matrix(&rows, &ops)
    }
}

/// The values of decimal digits, each less than `base`.
fn digits(text: &str, base: u32, what: &str) -> Result<Vec<u8>> {
    let value = |(i, c): (usize, char)| match c.to_digit(base) {
        Some(digit) => Ok(digit as u8),
        None => Err(invalid(format!("character {} of {what} is {c:?}, not a digit below {base}", i + 1))),
    };
    text.chars().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_cell_is_an_error() {
        let cases = [
            ("0100", "\"0100\" has no '/' before its operations"),
            ("", "\"\" has no '/' before its operations"),
            ("01x0/", "character 3 of the adjacency matrix is 'x', not a digit below 2"),
            ("010001000/3", "character 1 of the operations is '3', not a digit below 3"),
            ("010001000/\u{e9}", "character 1 of the operations is '\u{e9}', not a digit below 3"),
            (
                "01000100/1",
                "the adjacency matrix of 3 vertices does not have 8 digits (interior operations: 1)",
            ),
            ("/", "the adjacency matrix of 2 vertices does not have 0 digits (interior operations: 0)"),
            ("0110/", "row 1, column 0 of the adjacency matrix is 1 on or below the diagonal"),
            ("0000/", "no path leads from the input to the output"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Cell>().unwrap_err().to_string(), format!("nasbench101: {message}"));
        }
    }

    #[test]
    fn the_smallest_cell_has_no_operations() {
        let cell: Cell = "0100/".parse().unwrap();
        assert_eq!((cell.vertices(), cell.edges(), cell.ops()), (2, 1, &[][..]));
        assert_eq!(format!("{cell} {cell:?}"), "0100/ Cell(0100/)");
    }
}
