//! In place of `parquet`, in builds without the feature.

use std::fs::File;
use std::path::Path;

use crate::exit::{Failure, Result};
use crate::old_rows::Columns;
use crate::row_file::Rows;
use crate::rows::Row;

pub(crate) fn rows(path: &Path, _: Columns) -> Result<Rows> {
    Err(missing(path))
}

pub(crate) fn write(_: &mut dyn Iterator<Item = Result<Row>>, _: File, path: &Path) -> Result<()> {
    Err(missing(path))
}

fn missing(path: &Path) -> Failure {
    let message = "this naswot is built without Parquet; `cargo install` it with --features parquet";
    Failure::unusable(format_args!("{}: {message}", path.display()))
}
