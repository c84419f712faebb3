//! Tables that are read record by record: CSV with a header, JSON lines, or Parquet. All that the command reads by the
//! names of columns, its own rows and what people bring, it reads here.

mod lines;

use std::fmt::Display;
use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value};

use crate::exit::{Failure, Result};
use crate::field::number;
use crate::parquet;
use crate::rows::{Format, header, names};
use crate::text::shortened;
use lines::{LineReader, RawLine, Rule};

/// The columns that a table must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// The wanted columns, in their order, and no others.
    Exact,
    /// The wanted columns, in any order, and others that do not matter.
    AtLeast,
    /// Any columns: fields of a wanted one that it lacks are empty.
    Any,
}

/// A table: a file that is read record by record.
pub struct Table {
    name: String,
    source: RecordSource,
    required: Columns,
    /// Names of its columns, in order; in JSON lines the keys of the first record.
    columns: Vec<String>,
    /// The columns that are read, and where each of them stands.
    wanted: Vec<(String, Option<usize>)>,
}

/// The source of the records, by format.
enum RecordSource {
    Csv(LineReader),
    /// The first line may have been read ahead, for its keys.
    Jsonl(LineReader, Option<RawLine>),
    Parquet(parquet::ParquetRecords),
}

/// One record of a table.
pub struct Record {
    /// Its line, from 1; in Parquet its position, from 0.
    pub line: usize,
    /// Its line as it stands in the file, the end included; in Parquet nothing.
    pub bytes: Vec<u8>,
    /// Its fields in the wanted columns, as in CSV without quotes.
    pub texts: Vec<String>,
}

impl Table {
    /// Opens a table that somebody brings: by its ending JSON lines or Parquet, else CSV. Blanks around fields and blank
    /// lines do not matter.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ending == "gz" {
            return Err(Failure::unusable(format_args!("{name}: is compressed; unpack it with gunzip")));
        }
        if ending.eq_ignore_ascii_case("parquet") {
            return Self::parquet(path, Columns::Any);
        }
        let jsonl = ending.eq_ignore_ascii_case("jsonl");
        let file = File::open(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
        let mut lines = LineReader::new(file, &name, if jsonl { Rule::Loose } else { Rule::Quoted });
        let first = lines.next(&[])?;
        let columns = match &first {
            None => Ok(Vec::new()),
            Some(line) if jsonl => object(&line.bytes).map(|object| object.keys().cloned().collect()),
            Some(line) => csv_fields(&line.bytes, csv::Trim::All).map(owned),
        };
        let columns = columns.map_err(|why| {
            let line = first.as_ref().map_or(1, |line| line.number);
            Failure::unusable(format_args!("{name}:{line}: {why}"))
        })?;
        let source = if jsonl { RecordSource::Jsonl(lines, first) } else { RecordSource::Csv(lines) };
        Ok(Table { name, source, required: Columns::Any, columns, wanted: Vec::new() })
    }

    /// Opens rows that this command has written as lines, in which every byte counts.
    pub(crate) fn of_rows(file: File, name: &str, format: Format, required: Columns) -> Result<Self> {
        let mut lines = LineReader::new(file, name, Rule::Strict);
        let mut columns: Vec<String> = names().map(str::to_owned).collect();
        let source = match format {
            Format::Jsonl => RecordSource::Jsonl(lines, None),
            Format::Csv => {
                let header = header(names(), format);
                match lines.next(&header)? {
                    Some(line) if line.bytes != header => columns = other_header(&line, name, required)?,
                    _ => {}
                }
                RecordSource::Csv(lines)
            }
        };
        let mut table = Table { name: name.to_owned(), source, required, columns, wanted: Vec::new() };
        table.want(names())?;
        Ok(table)
    }

    /// Opens a Parquet file of rows.
    pub(crate) fn parquet_rows(path: &Path, required: Columns) -> Result<Self> {
        let mut table = Self::parquet(path, required)?;
        table.want(names())?;
        Ok(table)
    }

    fn parquet(path: &Path, required: Columns) -> Result<Self> {
        let (columns, records) = parquet::read(path)?;
        let (name, source) = (path.display().to_string(), RecordSource::Parquet(records));
        Ok(Table { name, source, required, columns, wanted: Vec::new() })
    }

    /// Says which columns are to be read.
    pub fn want<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        self.wanted = names.map(|name| (name.to_owned(), self.position(name))).collect();
        let found = || self.wanted.iter().zip(&self.columns).all(|((wanted, _), column)| wanted == column);
        let missing = self.wanted.iter().find(|(_, place)| place.is_none());
        match (self.required, missing) {
            (Columns::Exact | Columns::AtLeast, Some((name, _))) => {
                Err(self.wrong_header(format_args!("has no column `{name}`")))
            }
            (Columns::Exact, None) if self.wanted.len() != self.columns.len() || !found() => {
                let columns = self.columns.join(", ");
                Err(self.wrong_header(format_args!("its columns are not those of rows: {columns}")))
            }
            _ => Ok(()),
        }
    }

    /// Names of its columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The next record.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        let line = match &mut self.source {
            RecordSource::Parquet(records) => {
                let Some((number, texts)) = records.next()? else { return Ok(None) };
                let texts = self.picked(|place| &texts[place]);
                return Ok(Some(Record { line: number, bytes: Vec::new(), texts }));
            }
            RecordSource::Csv(lines) => lines.next(&[])?,
            RecordSource::Jsonl(lines, first) => match first.take() {
                None => {
                    let start = self.wanted.first().map(|(name, _)| format!("{{\"{name}\":"));
                    lines.next(start.unwrap_or_default().as_bytes())?
                }
                first => first,
            },
        };
        let Some(RawLine { number, bytes }) = line else { return Ok(None) };
        let texts = match &self.source {
            RecordSource::Jsonl(..) => self.json_texts(&bytes),
            _ => self.csv_texts(&bytes),
        };
        let texts = texts.map_err(|why| self.wrong(number, why))?;
        Ok(Some(Record { line: number, bytes, texts }))
    }

    fn csv_texts(&self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let trim = if self.required == Columns::Any { csv::Trim::All } else { csv::Trim::None };
        let record = csv_fields(bytes, trim)?;
        if record.len() != self.columns.len() {
            return Err(format!("has {} columns, and the header {}", record.len(), self.columns.len()));
        }
        Ok(self.picked(|place| &record[place]))
    }

    fn picked<'a>(&self, field: impl Fn(usize) -> &'a str) -> Vec<String> {
        self.wanted.iter().map(|(_, place)| place.map_or("", &field).to_owned()).collect()
    }

    fn json_texts(&self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let object = object(bytes)?;
        let unknown = object.keys().find(|key| !self.wanted.iter().any(|(name, _)| name == *key));
        if let (Some(key), Columns::Exact) = (unknown, self.required) {
            return Err(format!("has a key `{}`, which is no column", shortened(key)));
        }
        let text = |(name, _): &(String, Option<usize>)| match object.get(name) {
            None if self.required != Columns::Any => Err(format!("has no `{name}`")),
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            // As it stands in CSV: JSON would have 1e-7.
            Some(Value::Number(number)) => Ok(match (number.as_u64(), number.as_f64()) {
                (None, Some(real)) => real.to_string(),
                _ => number.to_string(),
            }),
            Some(value) => Ok(value.to_string()),
        };
        self.wanted.iter().map(text).collect()
    }

    /// The number in a wanted column of a record, or nothing.
    pub fn number(&self, record: &Record, column: usize) -> Result<Option<f64>> {
        let text = &record.texts[column];
        match number(text) {
            None if !text.is_empty() => {
                let (name, text) = (&self.wanted[column].0, shortened(text));
                Err(self.wrong(record.line, format_args!("{name} is `{text}`, not a number")))
            }
            number => Ok(number),
        }
    }

    /// Bytes of the file up to the last whole record that was read.
    pub(crate) fn whole(&self) -> u64 {
        match &self.source {
            RecordSource::Csv(lines) | RecordSource::Jsonl(lines, _) => lines.whole(),
            RecordSource::Parquet(_) => 0,
        }
    }

    /// The line in the middle of which a file of rows ends.
    pub(crate) fn cut(&self) -> Option<usize> {
        match &self.source {
            RecordSource::Csv(lines) | RecordSource::Jsonl(lines, _) => lines.cut(),
            RecordSource::Parquet(_) => None,
        }
    }

    /// The failure of a record.
    pub fn wrong(&self, line: usize, why: impl Display) -> Failure {
        let name = &self.name;
        match self.source {
            RecordSource::Parquet(_) => Failure::unusable(format_args!("{name}: row {line} (from 0): {why}")),
            _ => Failure::unusable(format_args!("{name}:{line}: {why}")),
        }
    }

    fn wrong_header(&self, why: impl Display) -> Failure {
        let name = &self.name;
        match self.source {
            RecordSource::Csv(_) => self.wrong(1, why),
            _ => Failure::unusable(format_args!("{name}: {why}")),
        }
    }

    /// The failure of the columns that there are.
    pub fn wrong_columns(&self, why: impl Display) -> Failure {
        Failure::unusable(format_args!("{}: of its columns ({}) {why}", self.name, self.columns.join(", ")))
    }
}

/// The columns of a file of rows whose header is not this version's.
fn other_header(line: &RawLine, name: &str, required: Columns) -> Result<Vec<String>> {
    let wrong = |why| Failure::unusable(format_args!("{name}:{}: {why}", line.number));
    let found = csv_fields(&line.bytes, csv::Trim::None).map_err(wrong)?;
    if required != Columns::Exact {
        return Ok(owned(found));
    }
    let mut found = found.iter();
    let differs = names().find_map(|column| {
        let name = found.next().unwrap_or_default();
        (name != column).then(|| format!("`{}` stands where `{column}` must", shortened(name)))
    });
    let differs = differs.unwrap_or_else(|| "it has more columns or other line ends".to_owned());
    Err(wrong(format!("is not the header that this version writes: {differs}")))
}

/// The fields of a line of CSV.
fn csv_fields(bytes: &[u8], trim: csv::Trim) -> Result<csv::StringRecord, String> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).trim(trim).buffer_capacity(bytes.len().max(1));
    let mut record = csv::StringRecord::new();
    builder.from_reader(bytes).read_record(&mut record).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(record)
}

fn owned(record: csv::StringRecord) -> Vec<String> {
    record.iter().map(str::to_owned).collect()
}

/// The object of a line of JSON.
fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("is not a row in JSON: {error}"))
}
