//! Tables that are read record by record: CSV, with commas, semicolons or tabs between fields, JSON lines, an array of
//! records in JSON, Parquet, or an array of NumPy's; of text also packed, or from standard input. All that the command reads by the names of
//! columns, its own rows and what people bring, it reads here.

mod lines;
mod numbers;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::vec;

use serde_json::{Map, Value};

use crate::exit::{Failure, Result};
use crate::field::{FieldKind, number};
use crate::json;
use crate::parquet;
use crate::rows::{Format, header, names};
use crate::text::{cut, listed, shortened};
use crate::text_file::{self, Content, TextReader};
use lines::{LineReader, RawLine, Rule};
use numbers::NumberRecords;

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
    /// The line in the middle of which a file of rows ends.
    cut: Option<RawLine>,
    /// The first record in all columns, where it has been looked at.
    ahead: Option<Record>,
}

/// The source of the records, by format.
enum RecordSource {
    /// With the byte between fields.
    Csv(LineReader, u8),
    /// The first line may have been read ahead, for its keys.
    Jsonl(LineReader, Option<RawLine>),
    /// With the number of records that have been read.
    Array(vec::IntoIter<Map<String, Value>>, usize),
    Parquet(parquet::ParquetRecords),
    Numbers(NumberRecords),
    /// Lines as this command writes them.
    Strict(LineReader, Format),
}

/// One record of a table.
pub struct Record {
    /// Its line, from 1; in Parquet and arrays its position, from 0.
    pub line: usize,
    /// Its line as it stands in the file, the end included; in Parquet and arrays nothing.
    pub bytes: Vec<u8>,
    /// Its fields in the wanted columns, as in CSV without quotes.
    pub texts: Vec<String>,
}

impl Table {
    /// Opens a table that somebody brings; its first bytes say what it is. Blanks around fields and blank lines do not
    /// matter.
    pub fn open(path: &Path) -> Result<Self> {
        Self::opened(path, Columns::Any)
    }

    /// A table of a text that has been opened; `name` is what to call it.
    pub(crate) fn of_text(reader: TextReader, name: &str) -> Result<Self> {
        Self::of_text_with(reader, name, Columns::Any)
    }

    /// Opens rows that are only read, whoever has saved them since.
    pub(crate) fn of_rows(path: &Path, required: Columns) -> Result<Self> {
        let mut table = Self::opened(path, required)?;
        table.want(names())?;
        Ok(table)
    }

    fn opened(path: &Path, required: Columns) -> Result<Self> {
        let name = path.display().to_string();
        match text_file::open(path)? {
            Content::Parquet => {
                let (columns, records) = parquet::read(path)?;
                Ok(Self::new(&name, RecordSource::Parquet(records), required, columns))
            }
            Content::Npy => {
                let (columns, records) = numbers::read(path)?;
                Ok(Self::new(&name, RecordSource::Numbers(records), required, columns))
            }
            Content::Text(file) => Self::of_text_with(file.reader, &name, required),
        }
    }

    fn of_text_with(reader: TextReader, name: &str, required: Columns) -> Result<Self> {
        let unusable = |error| Failure::unusable(format_args!("{name}: {error}"));
        let (first, reader) = text_file::with_first_line(reader).map_err(unusable)?;
        let (columns, source) = if first.starts_with('[') {
            array_source(&text_file::read_whole(reader).map_err(unusable)?, name, required)?
        } else {
            line_source(LineReader::new(reader, name, Rule::Loose), name, required)?
        };
        Ok(Self::new(name, source, required, columns))
    }

    fn new(name: &str, source: RecordSource, required: Columns, columns: Vec<String>) -> Self {
        let name = name.to_owned();
        Table { name, source, required, columns, wanted: Vec::new(), cut: None, ahead: None }
    }

    /// Opens rows to which others are to be added: lines, in which every byte counts.
    pub(crate) fn of_growing_rows(file: File, name: &str, format: Format) -> Result<Self> {
        let lines = LineReader::new(Box::new(BufReader::new(file)), name, Rule::Strict);
        let columns = names().map(str::to_owned).collect();
        let source = RecordSource::Strict(lines, format);
        let mut table = Self::new(name, source, Columns::Exact, columns);
        table.want(names())?;
        let header = header(names(), format);
        if !header.is_empty() {
            match table.strict_line(&header)? {
                Some(line) if line.bytes != header => return Err(other_header(&line, name, b',')),
                // One that was cut has been compared, too, and is no row.
                _ => table.cut = None,
            }
        }
        Ok(table)
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
                let columns = listed(&self.columns);
                Err(self.wrong_header(format_args!("its columns are not those of rows: {columns}")))
            }
            _ => Ok(()),
        }
    }

    /// Names of its columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Position of a column; in other case where no other column is so named.
    pub fn position(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column == name);
        exact.or_else(|| {
            let mut alike = (0..self.columns.len()).filter(|&at| self.columns[at].eq_ignore_ascii_case(name));
            alike.next().filter(|_| alike.next().is_none())
        })
    }

    /// The first record in all columns; it is still to come.
    pub(crate) fn first(&mut self) -> Result<Option<&Record>> {
        // By their places: looking each name up would take as long as there are pairs.
        self.wanted = self.columns.iter().cloned().zip((0..).map(Some)).collect();
        self.ahead = self.next_record()?;
        Ok(self.ahead.as_ref())
    }

    /// The next record.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        if let Some(Record { line, bytes, texts }) = self.ahead.take() {
            let texts = self.picked(|place| &texts[place]);
            return Ok(Some(Record { line, bytes, texts }));
        }
        let line = match &mut self.source {
            RecordSource::Parquet(records) => {
                let Some((number, texts)) = records.next()? else { return Ok(None) };
                let texts = self.picked(|place| &texts[place]);
                return Ok(Some(Record { line: number, bytes: Vec::new(), texts }));
            }
            RecordSource::Numbers(records) => {
                let Some((number, texts)) = records.next() else { return Ok(None) };
                let texts = self.picked(|place| &texts[place]);
                return Ok(Some(Record { line: number, bytes: Vec::new(), texts }));
            }
            RecordSource::Array(records, read) => {
                let (Some(record), number) = (records.next(), *read) else { return Ok(None) };
                *read += 1;
                let texts = self.json_texts(&record).map_err(|why| self.wrong(number, why))?;
                return Ok(Some(Record { line: number, bytes: Vec::new(), texts }));
            }
            RecordSource::Csv(lines, _) => lines.next()?,
            RecordSource::Jsonl(lines, first) => match first.take() {
                None => lines.next()?,
                first => first,
            },
            RecordSource::Strict(_, format) => {
                let start = match (*format, self.wanted.first()) {
                    (Format::Jsonl, Some((name, _))) => format!("{{\"{name}\":"),
                    _ => String::new(),
                };
                self.strict_line(start.as_bytes())?
            }
        };
        let Some(line) = line else { return Ok(None) };
        if self.required != Columns::Any && !line.is_whole() {
            self.cut = Some(line);
            return Ok(None);
        }
        let RawLine { number, bytes } = line;
        let texts = match &self.source {
            RecordSource::Jsonl(..) | RecordSource::Strict(_, Format::Jsonl) => {
                object(&bytes).and_then(|object| self.json_texts(&object))
            }
            RecordSource::Csv(_, delimiter) => self.csv_texts(&bytes, *delimiter, trim(self.required)),
            RecordSource::Strict(_, Format::Csv) => self.csv_texts(&bytes, b',', csv::Trim::None),
            RecordSource::Array(..) | RecordSource::Numbers(_) | RecordSource::Parquet(_) => {
                unreachable!("a record that is no line has been returned")
            }
        };
        let texts = texts.map_err(|why| self.wrong(number, why))?;
        Ok(Some(Record { line: number, bytes, texts }))
    }

    /// The next line of those that this command writes. One that was cut is none, but one that does not begin with
    /// `start`, as all do, is of another file, and not to be overwritten.
    fn strict_line(&mut self, start: &[u8]) -> Result<Option<RawLine>> {
        let RecordSource::Strict(lines, _) = &mut self.source else {
            unreachable!("a line of a file that is only read");
        };
        match lines.next()? {
            Some(mut line) if !line.is_whole() => {
                // After a loss of power, zeros may stand where a row was to be.
                let end = line.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                line.bytes.truncate(end);
                if line.bytes.iter().zip(start).any(|(a, b)| a != b) {
                    return Err(self.wrong(line.number, "is not what this command writes"));
                }
                self.cut = Some(line);
                Ok(None)
            }
            line => Ok(line),
        }
    }

    fn csv_texts(&self, bytes: &[u8], delimiter: u8, trim: csv::Trim) -> Result<Vec<String>, String> {
        let record = csv_fields(bytes, delimiter, trim)?;
        if record.len() != self.columns.len() {
            return Err(format!("has {} columns, and the header {}", record.len(), self.columns.len()));
        }
        Ok(self.picked(|place| &record[place]))
    }

    fn picked<'a>(&self, field: impl Fn(usize) -> &'a str) -> Vec<String> {
        self.wanted.iter().map(|(_, place)| place.map_or("", &field).to_owned()).collect()
    }

    fn json_texts(&self, object: &Map<String, Value>) -> Result<Vec<String>, String> {
        if self.required == Columns::Exact {
            let unknown = object.keys().find(|key| !self.wanted.iter().any(|(name, _)| name == *key));
            if let Some(key) = unknown {
                return Err(format!("has a key `{}`, which is no column", shortened(key)));
            }
        }
        let text = |(name, place): &(String, Option<usize>)| match object
            .get(place.map_or(name, |at| &self.columns[at]))
        {
            None if self.required != Columns::Any => Err(format!("has no `{}`", shortened(name))),
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
        let text = self.numeral(&record.texts[column], FieldKind::Score);
        match number(&text) {
            None if !text.is_empty() => {
                let (name, text) = (shortened(&self.wanted[column].0), shortened(&text));
                Err(self.wrong(record.line, format_args!("{name} is `{text}`, not a number")))
            }
            number => Ok(number),
        }
    }

    /// A number of a kind as this command writes it, of what other programs write: nothing for their words for it, a point for
    /// the comma that stands between semicolons, and no fraction in a whole number.
    pub(crate) fn numeral<'a>(&self, text: &'a str, kind: FieldKind) -> Cow<'a, str> {
        const MISSING: [&str; 10] = ["-", "#n/a", "-nan", "<na>", "n/a", "na", "nan", "none", "null", "nil"];
        if MISSING.contains(&text.to_ascii_lowercase().as_str()) {
            return Cow::Borrowed("");
        }
        let decimal_comma = matches!(self.source, RecordSource::Csv(_, b';')) && !text.contains('.');
        let text = match text.split_once(',') {
            Some((whole, fraction)) if decimal_comma => Cow::Owned(format!("{whole}.{fraction}")),
            _ => Cow::Borrowed(text),
        };
        // Above 2^53 a real is not one whole number.
        let whole =
            |text: &str| text.parse().ok().filter(|real: &f64| real.fract() == 0.0 && real.abs() < 9e15);
        match (kind, text.bytes().all(|byte| byte.is_ascii_digit())) {
            (FieldKind::Integer, false) => whole(&text).map_or(text, |real| Cow::Owned(real.to_string())),
            _ => text,
        }
    }

    /// Bytes of the file up to the last whole record that was read.
    pub(crate) fn whole(&self) -> u64 {
        match &self.source {
            RecordSource::Strict(lines, _) => lines.whole(),
            _ => unreachable!("the bytes of a file that is only read do not count"),
        }
    }

    /// The line in the middle of which a file of rows ends.
    pub(crate) fn cut(&self) -> Option<usize> {
        self.cut.as_ref().map(|line| line.number)
    }

    /// What there is of the row in the middle of which a file of rows ends, with its line; nothing where zeros stand alone.
    pub(crate) fn take_cut_row(&mut self) -> Option<(usize, Vec<u8>)> {
        // What was cut before the first row whole is the header, which is compared already.
        let line = self.cut.take()?;
        (!line.bytes.is_empty()).then_some((line.number, line.bytes))
    }

    /// The failure of a record.
    pub fn wrong(&self, line: usize, why: impl Display) -> Failure {
        let name = &self.name;
        match self.source {
            RecordSource::Parquet(_) | RecordSource::Array(..) | RecordSource::Numbers(_) => {
                Failure::unusable(format_args!("{name}: row {line} (from 0): {why}"))
            }
            _ => Failure::unusable(format_args!("{name}:{line}: {why}")),
        }
    }

    /// The failure of what stands before the records.
    pub(crate) fn wrong_header(&self, why: impl Display) -> Failure {
        let name = &self.name;
        match self.source {
            RecordSource::Csv(..) | RecordSource::Strict(_, Format::Csv) => self.wrong(1, why),
            _ => Failure::unusable(format_args!("{name}: {why}")),
        }
    }

    /// The failure of the columns that there are.
    pub fn wrong_columns(&self, why: impl Display) -> Failure {
        if self.columns.is_empty() {
            return Failure::unusable(format_args!("{}: is empty", self.name));
        }
        Failure::unusable(format_args!("{}: of its columns ({}) {why}", self.name, listed(&self.columns)))
    }
}

/// The columns of an array in JSON, which are the keys of all its records, and the records.
fn array_source(text: &[u8], name: &str, required: Columns) -> Result<(Vec<String>, RecordSource)> {
    let records: Vec<Map<String, Value>> = json::parse(text).map_err(|error| {
        Failure::unusable(format_args!("{name}: is not an array of records in JSON: {}", cut(error)))
    })?;
    let mut seen = HashSet::new();
    let keys = records.iter().flat_map(Map::keys).filter(|&key| seen.insert(key));
    let columns = keys.cloned().collect();
    Ok((with_names(columns, required), RecordSource::Array(records.into_iter(), 0)))
}

/// The columns of lines and where their records come from; of rows without a line those of this version.
fn line_source(mut lines: LineReader, name: &str, required: Columns) -> Result<(Vec<String>, RecordSource)> {
    let own = || names().map(str::to_owned);
    let Some(first) = lines.first(rule)? else {
        let columns = if required == Columns::Any { Vec::new() } else { own().collect() };
        return Ok((columns, RecordSource::Csv(lines, b',')));
    };
    let wrong = |why: String| Failure::unusable(format_args!("{name}:{}: {why}", first.number));
    match rule(&first.bytes) {
        Rule::Quoted(delimiter) => {
            let columns = csv_fields(&first.bytes, delimiter, trim(required)).map_err(wrong)?;
            if required == Columns::Exact && !columns.iter().eq(names()) {
                return Err(other_header(&first, name, delimiter));
            }
            Ok((columns.iter().map(str::to_owned).collect(), RecordSource::Csv(lines, delimiter)))
        }
        Rule::Loose | Rule::Strict => {
            let columns = match required {
                // Each record is checked, and one that was cut has no keys.
                Columns::Exact => own().collect(),
                _ if first.is_whole() || required == Columns::Any => {
                    let first = object(&first.bytes).map_err(wrong)?;
                    with_names(first.keys().cloned().collect(), required)
                }
                _ => own().collect(),
            };
            Ok((columns, RecordSource::Jsonl(lines, Some(first))))
        }
    }
}

/// The blanks around fields that do not matter: of rows all do, as errors may begin with one.
fn trim(required: Columns) -> csv::Trim {
    if required == Columns::Any { csv::Trim::All } else { csv::Trim::None }
}

/// The keys of JSON, and of rows the columns that every record is to have: which lacks one is said then.
fn with_names(keys: Vec<String>, required: Columns) -> Vec<String> {
    let own: Vec<String> =
        if required == Columns::Any { Vec::new() } else { names().map(str::to_owned).collect() };
    let further: Vec<String> = keys.into_iter().filter(|key| !own.contains(key)).collect();
    [own, further].concat()
}

/// The rule of lines by the first one: JSON by its bracket, else CSV, with the byte between fields that makes most of them.
fn rule(first: &[u8]) -> Rule {
    if let Some(b'{' | b'[') = first.trim_ascii_start().first() {
        return Rule::Loose;
    }
    let fields =
        |delimiter: &u8| csv_fields(first, *delimiter, csv::Trim::None).map_or(0, |fields| fields.len());
    // Of equals the last is the largest.
    Rule::Quoted([b'\t', b';', b','].into_iter().max_by_key(fields).unwrap_or(b','))
}

/// The failure of a header that is not this version's.
fn other_header(line: &RawLine, name: &str, delimiter: u8) -> Failure {
    let wrong = |why: String| Failure::unusable(format_args!("{name}:{}: {why}", line.number));
    let found = match csv_fields(&line.bytes, delimiter, csv::Trim::None) {
        Ok(found) => found,
        Err(why) => return wrong(why),
    };
    let mut found = found.iter();
    let differs = names().find_map(|column| {
        let name = found.next().unwrap_or_default();
        (name != column).then(|| format!("`{}` stands where `{column}` must", shortened(name)))
    });
    let differs = differs.unwrap_or_else(|| "it has more columns or other line ends".to_owned());
    wrong(format!("is not the header that this version writes: {differs}"))
}

/// The fields of a line of CSV.
fn csv_fields(bytes: &[u8], delimiter: u8, trim: csv::Trim) -> Result<csv::StringRecord, String> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Most lines: a reader takes longer to make than they take to read.
    if !line.is_empty() && !line.iter().any(|byte| matches!(byte, b'"' | b'\r' | b'\n')) {
        let text = std::str::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
        let trims = matches!(trim, csv::Trim::Fields | csv::Trim::All);
        let fields = text.split(char::from(delimiter));
        return Ok(fields.map(|field| if trims { field.trim() } else { field }).collect());
    }
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter).trim(trim);
    builder.buffer_capacity(bytes.len().max(1));
    let mut record = csv::StringRecord::new();
    builder.from_reader(bytes).read_record(&mut record).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(record)
}

/// The object of a line of JSON.
fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    json::parse(bytes).map_err(|error| format!("is not a row in JSON: {}", cut(error)))
}
