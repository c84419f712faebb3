//! Arrays of NumPy's as tables: a record for each position along the first axis.

use std::path::Path;

use naswot::NumpyArray;

use crate::exit::{Failure, Result};

/// Records of an array: its position, and its numbers.
pub(super) struct NumberRecords {
    array: NumpyArray,
    /// Numbers of a record.
    width: usize,
    read: usize,
}

/// Opens an array: `index`, then `value` where it has one axis, and where it has two the positions along the second.
pub(super) fn read(path: &Path) -> Result<(Vec<String>, NumberRecords)> {
    let array = NumpyArray::read(path)?;
    // Of axes without end, where another one has no positions.
    if array.values().is_empty() {
        return Err(Failure::unusable(format_args!("{}: is a NumPy array without numbers", path.display())));
    }
    let (width, names) = match array.shape() {
        [_] => (1, vec!["value".to_owned()]),
        &[_, width] => (width, (0..width).map(|column| column.to_string()).collect()),
        shape => {
            let axes = shape.len();
            return Err(Failure::unusable(format_args!(
                "{}: is a NumPy array of {axes} axes; a table has one or two: networks, and their numbers",
                path.display()
            )));
        }
    };
    let columns = [vec!["index".to_owned()], names].concat();
    Ok((columns, NumberRecords { array, width, read: 0 }))
}

impl NumberRecords {
    /// The next record, and its position from 0.
    pub(super) fn next(&mut self) -> Option<(usize, Vec<String>)> {
        let position = self.read;
        if self.array.shape().first().is_none_or(|&records| position >= records) {
            return None;
        }
        self.read += 1;
        let numbers = &self.array.values()[position * self.width..][..self.width];
        let texts = [position.to_string()].into_iter().chain(numbers.iter().map(f64::to_string));
        Some((position, texts.collect()))
    }
}
