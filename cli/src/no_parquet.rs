//! The stand-in for `parquet` in builds without the feature.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;

use crate::exit::{Failure, Result};
use crate::rows::Row;

/// The records of a Parquet file, which there cannot be.
pub(crate) struct ParquetRecords(Infallible);

impl ParquetRecords {
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Vec<String>)>> {
        match self.0 {}
    }
}

pub(crate) fn read(path: &Path) -> Result<(Vec<String>, ParquetRecords)> {
    Err(missing(path))
}

pub(crate) fn write(_: &mut dyn Iterator<Item = Result<Row>>, _: File, path: &Path) -> Result<()> {
    Err(missing(path))
}

fn missing(path: &Path) -> Failure {
    let message = "this naswot is built without Parquet; `cargo install` it with --features parquet";
    Failure::unusable(format_args!("{}: {message}", path.display()))
}
