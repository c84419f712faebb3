//! What benchmarks' tables have in common.

use std::io::{self, Write};

/// The rows of a table.
pub(super) trait Table {
    /// Names of the columns, with commas between.
    fn columns(&self) -> String;

    fn write_rows(&self, to: &mut dyn Write) -> io::Result<()>;
}
