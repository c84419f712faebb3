//! Rows as an earlier run has written them.

use std::fs::File;
use std::io::Seek;
use std::path::Path;

use crate::columns::COLUMNS;
use crate::exit::{Failure, Result};
use crate::field::FieldKind;
use crate::output::OutFile;
use crate::rows::Row;
use crate::table::{Columns, Table};

/// A reader of rows.
pub struct RowReader {
    table: Table,
    /// Whether numbers may be as other programs write them.
    saved_again: bool,
    /// Columns of numbers that are read besides those of rows.
    numbers: usize,
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
    /// Its texts in those of them that hold texts.
    pub texts: Vec<String>,
}

impl RowReader {
    /// A reader of a locked file, from its beginning, in which every byte counts.
    pub(crate) fn locked(file: &File, out: &OutFile) -> Result<Self> {
        let name = out.path.display().to_string();
        let unusable = |error| Failure::unusable(format_args!("{name}: {error}"));
        let mut file = file.try_clone().map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        Ok(RowReader {
            table: Table::of_growing_rows(file, &name, out.format)?,
            saved_again: false,
            numbers: 0,
        })
    }

    /// A reader of a file that nobody writes, though a program may have saved it again: spreadsheets and pandas do.
    pub fn open(file: &Path, columns: Columns) -> Result<Self> {
        Ok(RowReader { table: Table::of_rows(file, columns)?, saved_again: true, numbers: 0 })
    }

    /// Has further columns of numbers and of texts read, which the file must have.
    pub(crate) fn read_besides(&mut self, numbers: &[&str], texts: &[&str]) -> Result<()> {
        let besides = numbers.iter().chain(texts).copied();
        self.table.want(COLUMNS.iter().map(|column| column.name).chain(besides))?;
        self.numbers = numbers.len();
        Ok(())
    }

    /// Whether the file has a column of this name.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.table.position(column).is_some()
    }

    /// The next row; none at the end, where a row that was cut is passed over.
    pub(crate) fn next_whole(&mut self) -> Result<Option<WrittenRow>> {
        let Some(mut record) = self.table.next_record()? else { return Ok(None) };
        if self.saved_again {
            for (column, text) in COLUMNS.iter().zip(&mut record.texts) {
                if column.kind != FieldKind::Text {
                    *text = self.table.numeral(text, column.kind).into_owned();
                }
            }
        }
        let row = Row::read(&record.texts).map_err(|why| self.wrong(record.line, why))?;
        let texts = COLUMNS.len() + self.numbers;
        let besides = (COLUMNS.len()..texts).map(|column| self.table.number(&record, column));
        let besides = besides.collect::<Result<_>>()?;
        let texts = record.texts.split_off(texts);
        Ok(Some(WrittenRow { line: record.line, bytes: record.bytes, row, besides, texts }))
    }

    /// What there is of a row at the end that was cut, with its line. It is told once.
    pub(crate) fn take_cut_row(&mut self) -> Option<(usize, Vec<u8>)> {
        self.table.take_cut_row()
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
