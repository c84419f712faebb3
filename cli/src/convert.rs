//! `naswot convert`: rows in another form.

use clap::Args;

use crate::console::Console;
use crate::exit::{Exit, Result};
use crate::output::{Draft, Existing, Output};
use crate::parquet;
use crate::row_file::RowFile;
use crate::row_reader::RowReader;
use crate::rows::Row;
use crate::table::Columns;

const EXAMPLES: &str = "\
Examples:
  naswot convert scores.csv -o scores.jsonl
  naswot convert scores.csv -o scores.parquet";

/// Convert rows between CSV, JSON lines and Parquet
///
/// The endings of the names say which. Nothing is lost either way: a file that is converted back is the same to
/// the byte. Parquet needs a build with the feature `parquet`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// Rows that `naswot score` has written: .csv, .jsonl or .parquet
    #[arg(value_name = "FILE", value_parser = RowFile::parse)]
    file: RowFile,
    /// File to write: .csv, .jsonl or .parquet
    #[arg(short, long, value_name = "FILE", value_parser = RowFile::parse)]
    out: RowFile,
    /// Replace an output that exists already
    #[arg(long)]
    force: bool,
}

impl Convert {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let rows = RowReader::open(&self.file, Columns::Exact)?;
        let mut rows = rows.map(|written| written.map(|written| written.row)).peekable();
        if rows.peek().is_none() {
            console.warning(format_args!("{}: holds no rows", self.file.path().display()));
        }
        let existing = if self.force { Existing::Replace } else { Existing::Refuse };
        let draft = Draft::new(self.out.path(), existing)?;
        draft.settle(self.write(rows, &draft))
    }

    fn write(&self, mut rows: impl Iterator<Item = Result<Row>>, draft: &Draft) -> Result {
        match &self.out {
            RowFile::Parquet(path) => parquet::write(&mut rows, draft.file()?, path)?,
            RowFile::Lines(out) => {
                let mut output: Output = draft.output(out)?;
                rows.try_for_each(|row| output.write(&row?))?;
            }
        }
        Ok(Exit::Success)
    }
}
