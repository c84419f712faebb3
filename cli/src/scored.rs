//! Networks with numbers, as people bring them: rows of `naswot score`, or a table of their own.

use crate::exit::{Failure, Result};
use crate::row_file::RowFile;
use crate::table::Table;

/// What a row says of a network.
pub(crate) struct Scored {
    pub(crate) id: String,
    pub(crate) arch: String,
    /// The numbers in the columns asked for, where the row has them.
    pub(crate) numbers: Vec<Option<f64>>,
}

/// Reads the numbers of networks in some columns, the first of which a file must have.
pub(crate) fn read_scored(file: &RowFile, columns: &[&str], mut take: impl FnMut(Scored)) -> Result<()> {
    let mut table = Table::open(file.path())?;
    if table.columns().is_empty() {
        return Err(Failure::unusable(format_args!("{}: holds no rows", file.path().display())));
    }
    let names = ["id", "arch"];
    if names.iter().all(|name| table.position(name).is_none()) {
        return Err(table.wrong_columns("none is `id` or `arch`"));
    }
    if let Some(first) = columns.first().filter(|name| table.position(name).is_none()) {
        return Err(table.wrong_columns(format_args!("none is `{first}`")));
    }
    table.want(names.iter().chain(columns).copied())?;
    while let Some(record) = table.next_record()? {
        let places = names.len()..names.len() + columns.len();
        let numbers = places.map(|place| table.number(&record, place)).collect::<Result<_>>()?;
        let mut texts = record.texts.into_iter();
        let mut text = || texts.next().unwrap_or_default();
        take(Scored { id: text(), arch: text(), numbers });
    }
    Ok(())
}
