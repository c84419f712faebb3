//! `naswot convert`: rows in another form.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::console::Console;
use crate::exit::{Exit, Result};
use crate::old_rows::OldRows;
use crate::output::{Draft, Existing, OutFile, Output};
use crate::rows::Row;

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

/// A file of rows in any form.
#[derive(Clone, Debug)]
enum RowFile {
    Lines(OutFile),
    Parquet(PathBuf),
}

impl RowFile {
    fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("parquet") => Ok(RowFile::Parquet(path)),
            _ => OutFile::parse(text)
                .map(RowFile::Lines)
                .map_err(|_| "the name must end in .csv, .jsonl or .parquet".to_owned()),
        }
    }

    fn path(&self) -> &Path {
        match self {
            RowFile::Lines(file) => &file.path,
            RowFile::Parquet(path) => path,
        }
    }

    /// Its rows, one after the other.
    fn rows(&self) -> Result<Box<dyn Iterator<Item = Result<Row>>>> {
        match self {
            RowFile::Parquet(path) => parquet::rows(path),
            RowFile::Lines(file) => {
                let mut rows = OldRows::read(file)?;
                Ok(Box::new(std::iter::from_fn(move || {
                    let row = rows.next_of_whole().transpose()?;
                    Some(row.and_then(|row| row.row().map_err(|why| rows.wrong(row.line, why))))
                })))
            }
        }
    }
}

impl Convert {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let mut rows = self.file.rows()?.peekable();
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

#[cfg(feature = "parquet")]
use crate::parquet;

/// In place of the feature.
#[cfg(not(feature = "parquet"))]
mod parquet {
    use std::fs::File;

    use super::{Path, Result, Row};
    use crate::exit::Failure;

    pub(super) fn rows(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Row>>>> {
        Err(missing(path))
    }

    pub(super) fn write(_: &mut dyn Iterator<Item = Result<Row>>, _: File, path: &Path) -> Result<()> {
        Err(missing(path))
    }

    fn missing(path: &Path) -> Failure {
        let message = "this naswot is built without Parquet; `cargo install` it with --features parquet";
        Failure::unusable(format_args!("{}: {message}", path.display()))
    }
}
