//! Files of rows in any format.

use std::path::{Path, PathBuf};

use crate::output::OutFile;

/// A file of rows, its format known by its ending.
#[derive(Clone, Debug)]
pub enum RowFile {
    /// CSV or JSON lines.
    Lines(OutFile),
    /// Parquet.
    Parquet(PathBuf),
}

impl RowFile {
    /// Reads the option.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("parquet") => Ok(RowFile::Parquet(path)),
            _ => OutFile::parse(text)
                .map(RowFile::Lines)
                .map_err(|_| "the name must end in .csv, .jsonl or .parquet".to_owned()),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        match self {
            RowFile::Lines(file) => &file.path,
            RowFile::Parquet(path) => path,
        }
    }
}
