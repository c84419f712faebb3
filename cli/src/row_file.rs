//! Files of rows in any form.

use std::path::{Path, PathBuf};

use crate::exit::Result;
use crate::old_rows::{Columns, OldRows};
use crate::output::OutFile;
use crate::parquet;
use crate::rows::Row;

/// A file of rows, its form known by its ending.
#[derive(Clone, Debug)]
pub(crate) enum RowFile {
    Lines(OutFile),
    Parquet(PathBuf),
}

/// Rows, each with its line from 1, or in Parquet its position from 0.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<(usize, Row)>>>;

impl RowFile {
    /// Reads the option.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("parquet") => Ok(RowFile::Parquet(path)),
            _ => OutFile::parse(text)
                .map(RowFile::Lines)
                .map_err(|_| "the name must end in .csv, .jsonl or .parquet".to_owned()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            RowFile::Lines(file) => &file.path,
            RowFile::Parquet(path) => path,
        }
    }

    /// The rows of a run that has come to its end, one after the other.
    pub(crate) fn rows(&self, columns: Columns) -> Result<Rows> {
        match self {
            RowFile::Parquet(path) => parquet::rows(path, columns),
            RowFile::Lines(file) => {
                let mut rows = OldRows::read(file, columns)?;
                Ok(Box::new(std::iter::from_fn(move || {
                    let row = rows.next_of_whole().transpose()?;
                    Some(row.and_then(|row| match row.row() {
                        Ok(fields) => Ok((row.line, fields)),
                        Err(why) => Err(rows.wrong(row.line, why)),
                    }))
                })))
            }
        }
    }
}
