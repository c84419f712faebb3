//! Rows of `naswot trace`: the checkpoints of a training, which a page shows over their epochs.

use crate::plot::epoch_label;
use crate::row_reader::{RowReader, WrittenRow};
use crate::trace::MORE_COLUMNS;

/// The checkpoints that rows are of.
pub(super) struct Trace {
    /// What the epochs are, on an axis.
    pub(super) label: &'static str,
    /// The epoch of each row.
    pub(super) epochs: Vec<f64>,
    /// The name of each row's file.
    pub(super) files: Vec<String>,
}

impl Trace {
    /// The columns of rows of a trace, besides those of all rows: numbers, and texts.
    pub(super) const NUMBERS: [&str; 1] = [MORE_COLUMNS[1]];
    pub(super) const TEXTS: [&str; 2] = [MORE_COLUMNS[0], MORE_COLUMNS[2]];

    /// A trace that has no checkpoint yet; none where the file has not its columns.
    pub(super) fn of_columns(rows: &RowReader) -> Option<Self> {
        let is_trace = MORE_COLUMNS.iter().all(|column| rows.has(column));
        is_trace.then(|| Trace { label: epoch_label(""), epochs: Vec::new(), files: Vec::new() })
    }

    /// Takes the checkpoint out of a row; the error says what it lacks.
    pub(super) fn take(&mut self, row: &mut WrittenRow) -> Result<(), &'static str> {
        let [file, from] = &mut row.texts[..] else { unreachable!("two texts were asked for") };
        let epoch = row.besides.pop().flatten().filter(|epoch| epoch.is_finite());
        self.epochs.push(epoch.ok_or("has no epoch, as every row of `naswot trace` does")?);
        self.files.push(std::mem::take(file));
        self.label = epoch_label(from);
        Ok(())
    }
}
