//! Rows as an earlier run has written them.

use std::fs::File;
use std::io::Seek;

use crate::columns::COLUMNS;
use crate::exit::{Failure, Result};
use crate::output::OutFile;
use crate::row_file::RowFile;
use crate::rows::Row;
use crate::table::{Columns, Table};

/// A reader of rows.
pub struct RowReader {
    table: Table,
}

/// A row of a file.
pub struct WrittenRow {
    /// Line of the file, from 1; in Parquet the position, from 0.
    pub line: usize,
    /// Its bytes in the file, its line end included; nothing in Parquet.
    pub bytes: Vec<u8>,
    /// Its fields.
    pub row: Row,
    /// Its numbers in the columns that were asked for besides.
    pub besides: Vec<Option<f64>>,
}

impl RowReader {
    /// A reader of a locked file, from its beginning.
    pub(crate) fn locked(file: &File, out: &OutFile) -> Result<Self> {
        let name = out.path.display().to_string();
        let unusable = |error| Failure::unusable(format_args!("{name}: {error}"));
        let mut file = file.try_clone().map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        Ok(RowReader { table: Table::of_rows(file, &name, out.format, Columns::Exact)? })
    }

    /// A reader of a file that nobody writes.
    pub fn open(file: &RowFile, columns: Columns) -> Result<Self> {
        let table = match file {
            RowFile::Parquet(path) => Table::parquet_rows(path, columns)?,
            RowFile::Lines(OutFile { path, format }) => {
                let name = path.display().to_string();
                let file =
                    File::open(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
                Table::of_rows(file, &name, *format, columns)?
            }
        };
        Ok(RowReader { table })
    }

    /// Has further columns of numbers read, which the file must have.
    pub(crate) fn read_besides(&mut self, columns: &[&str]) -> Result<()> {
        self.table.want(COLUMNS.iter().map(|column| column.name).chain(columns.iter().copied()))
    }

    /// The next row; none at the end, where a row that was cut is passed over.
    pub(crate) fn next_whole(&mut self) -> Result<Option<WrittenRow>> {
        let Some(record) = self.table.next_record()? else { return Ok(None) };
        let row = Row::read(&record.texts).map_err(|why| self.wrong(record.line, why))?;
        let besides = (COLUMNS.len()..record.texts.len()).map(|column| self.table.number(&record, column));
        let besides = besides.collect::<Result<_>>()?;
        Ok(Some(WrittenRow { line: record.line, bytes: record.bytes, row, besides }))
    }

    /// Bytes of the file up to the last whole row that was read.
    pub(crate) fn whole(&self) -> u64 {
        self.table.whole()
    }

    /// The failure of a row.
    pub(crate) fn wrong(&self, line: usize, why: impl std::fmt::Display) -> Failure {
        self.table.wrong(line, why)
    }
}

/// The rows of a run that has come to its end.
impl Iterator for RowReader {
    type Item = Result<WrittenRow>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.next_whole(), self.table.cut()) {
            (Ok(None), Some(line)) => {
                Some(Err(self.wrong(line, "the row was cut: the run has not ended, --resume it first")))
            }
            (row, _) => row.transpose(),
        }
    }
}
