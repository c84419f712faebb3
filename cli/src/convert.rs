//! `naswot convert`: rows in another form.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::console::Console;
use crate::exit::{Exit, Result};
use crate::options::file;
use crate::output::{Draft, OutFile, Output};
use crate::parquet;
use crate::row_reader::RowReader;
use crate::rows::Row;
use crate::table::Columns;

const EXAMPLES: &str = "\
Examples:
  naswot convert scores.csv -o scores.jsonl
  naswot convert scores.csv -o scores.parquet";

/// Convert rows between CSV, JSON lines and Parquet
///
/// The ending of the output says which; the input is known by its first bytes. Nothing is lost either way: a file that is
/// converted back is the same to the byte.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// Rows that `naswot score` has written, in any form; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File to write: .csv, .jsonl or .parquet
    #[arg(short, long, value_name = "FILE", value_parser = file(ConvertedFile::parse))]
    out: ConvertedFile,
    /// Replace an output that exists already
    #[arg(long)]
    force: bool,
}

/// A file of rows that is written at once, its form known by its ending.
#[derive(Clone, Debug)]
enum ConvertedFile {
    /// CSV or JSON lines.
    Lines(OutFile),
    Parquet(PathBuf),
}

impl ConvertedFile {
    /// Reads the option.
    fn parse(path: PathBuf) -> Result<Self, String> {
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("parquet") => Ok(ConvertedFile::Parquet(path)),
            _ => OutFile::parse(path)
                .map(ConvertedFile::Lines)
                .map_err(|_| "the name must end in .csv, .jsonl or .parquet".to_owned()),
        }
    }

    fn path(&self) -> &Path {
        match self {
            ConvertedFile::Lines(file) => &file.path,
            ConvertedFile::Parquet(path) => path,
        }
    }
}

impl Convert {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let rows = RowReader::open(&self.file, Columns::Exact)?;
        let mut rows = rows.map(|written| written.map(|written| written.row)).peekable();
        if rows.peek().is_none() {
            console.warning(format_args!("{}: holds no rows", self.file.display()));
        }
        let draft = Draft::new(self.out.path(), self.force, [self.file.as_path()])?;
        let written = self.write(rows, &draft);
        draft.settle(written)
    }

    fn write(&self, mut rows: impl Iterator<Item = Result<Row>>, draft: &Draft) -> Result {
        match &self.out {
            ConvertedFile::Parquet(path) => parquet::write(&mut rows, draft.file()?, path)?,
            ConvertedFile::Lines(out) => {
                let mut output: Output = draft.output(out)?;
                rows.try_for_each(|row| output.write(&row?))?;
            }
        }
        Ok(Exit::Success)
    }
}
