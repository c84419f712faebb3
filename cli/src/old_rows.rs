//! Rows of an earlier run: read back, and compared with what this run would write.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};

use serde_json::{Map, Value};

use crate::exit::{Failure, Result};
use crate::input::{Line, place};
use crate::output::OutFile;
use crate::pipeline::Run;
use crate::rows::{COLUMNS, Field, Format, Kind, Outcome, Row, Subject, check, header, shortened};

/// Columns that may differ between the rows of one file: what came out, where the line stood in the input,
/// and which machine did the work. `arch` says what `space` does.
const FREE: [&str; 10] =
    ["line", "space", "score", "activations", "parameters", "macs", "error", "seconds", "device", "score_sd"];

/// What the columns of a file are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Those that this version writes, in their order.
    Exact,
    /// Those, in any order, and others that do not matter.
    AtLeast,
}

/// Rows of an earlier run, one after the other.
pub(crate) struct OldRows {
    name: String,
    format: Format,
    columns: Columns,
    /// Fields of a line of CSV, and which of them is each column.
    width: usize,
    places: Vec<usize>,
    reader: BufReader<File>,
    line: usize,
    /// Bytes up to the last whole row that was read.
    whole: u64,
    /// Whether the file ends in the middle of a row.
    cut: bool,
}

/// A row of an earlier run.
pub(crate) struct OldRow {
    /// As it stands in the file, its line end included.
    pub(crate) bytes: Vec<u8>,
    pub(crate) line: usize,
    /// As in CSV, without quotes.
    fields: Vec<String>,
}

impl OldRows {
    /// Starts to read; a header must be this version's.
    pub(crate) fn open(file: &File, out: &OutFile) -> Result<Self> {
        let unusable = |error| Failure::unusable(format_args!("{}: {error}", out.path.display()));
        let mut file = file.try_clone().map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        Self::start(file, out, Columns::Exact)
    }

    /// Starts to read a file that nobody writes.
    pub(crate) fn read(file: &OutFile, columns: Columns) -> Result<Self> {
        let opened = File::open(&file.path);
        Self::start(
            opened.map_err(|error| Failure::unusable(format_args!("{}: {error}", file.path.display())))?,
            file,
            columns,
        )
    }

    fn start(file: File, out: &OutFile, columns: Columns) -> Result<Self> {
        let name = out.path.display().to_string();
        let reader = BufReader::new(file);
        let (width, places) = (COLUMNS.len(), (0..COLUMNS.len()).collect());
        let format = out.format;
        let mut rows =
            OldRows { name, format, columns, width, places, reader, line: 0, whole: 0, cut: false };
        if out.format == Format::Csv {
            rows.read_header()?;
        }
        Ok(rows)
    }

    fn read_header(&mut self) -> Result<()> {
        let header = header(self.format);
        let Some(found) = self.read_line(&header)? else { return Ok(()) };
        if found == header {
            return Ok(());
        }
        if self.columns == Columns::AtLeast {
            let names = csv_record(&found).map_err(|why| self.wrong(self.line, why))?;
            let place = |column: &&str| {
                let place = names.iter().position(|name| name == *column);
                place.ok_or_else(|| self.wrong(self.line, format!("has no column `{column}`")))
            };
            self.places = COLUMNS.iter().map(place).collect::<Result<_>>()?;
            self.width = names.len();
            return Ok(());
        }
        let found = String::from_utf8_lossy(&found);
        let mut names = found.trim_end().split(',');
        let differs = COLUMNS.iter().find_map(|&column| {
            let name = names.next().unwrap_or_default();
            (name != column).then(|| format!("`{}` stands where `{column}` must", shortened(name)))
        });
        let differs = differs.unwrap_or_else(|| "it has more columns or other line ends".to_owned());
        Err(self.wrong(self.line, format!("is not the header that this version writes: {differs}")))
    }

    /// Bytes of the file up to the last whole row that was read.
    pub(crate) fn whole(&self) -> u64 {
        self.whole
    }

    /// The next row; none at the end, where a row that was cut is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<OldRow>> {
        let start: &[u8] = if self.format == Format::Jsonl { b"{\"index\":" } else { b"" };
        let Some(bytes) = self.read_line(start)? else { return Ok(None) };
        let fields = match self.format {
            Format::Csv => self.csv_fields(&bytes),
            Format::Jsonl => self.json_fields(&bytes),
        };
        let fields = fields.map_err(|why| self.wrong(self.line, why))?;
        let row = OldRow { bytes, line: self.line, fields };
        row.row().and_then(|row| check(&row)).map_err(|why| self.wrong(row.line, why))?;
        Ok(Some(row))
    }

    /// The next row of a run that has come to its end.
    pub(crate) fn next_of_whole(&mut self) -> Result<Option<OldRow>> {
        let row = self.next()?;
        match row {
            None if self.cut => {
                Err(self.wrong(self.line, "the row was cut: the run has not ended, --resume it first"))
            }
            row => Ok(row),
        }
    }

    /// A line with its end; none where there is none, or where it was cut. One that was cut but did not begin
    /// as all do is of another file, and not to be overwritten.
    fn read_line(&mut self, start: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes);
        read.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.name)))?;
        self.line += 1;
        if bytes.ends_with(b"\n") {
            self.whole += bytes.len() as u64;
            return Ok(Some(bytes));
        }
        if bytes.iter().zip(start).all(|(a, b)| a == b) {
            self.cut = !bytes.is_empty();
            return Ok(None);
        }
        Err(self.wrong(self.line, "is not what this command writes"))
    }

    /// Compares a row with what this run would write in its place. When failed rows are to be scored again,
    /// one whose line could not be read may belong to any network.
    pub(crate) fn check(&self, row: &OldRow, line: &Line, run: &Run, retry: bool) -> Result<()> {
        let architecture = line.architecture.as_ref().ok();
        let subject = Subject { index: line.index, line: line.number, architecture, facts: None };
        let new = run.maker.row(&subject, Err(""));
        let unread = row.field("id").is_empty();
        for ((column, old), new) in COLUMNS.iter().zip(&row.fields).zip(&new) {
            let new = new.to_string();
            // A row whose line could not be read has none of these; `id` says so.
            let of_unread = matches!(*column, "cells" | "arch") || (retry && *column == "id");
            let free = FREE.contains(column) || (unread && of_unread);
            if !free && *old != new {
                return Err(self.wrong(
                    row.line,
                    difference(column, old, &new, &place(run.input, line.index, line.number)),
                ));
            }
        }
        match run.kernels.map(|kernels| kernels.path(line.index)) {
            Some(path) if !row.failed() && !path.is_file() => {
                let message = format!("its kernel {} is missing; --force starts anew", path.display());
                Err(self.wrong(row.line, message))
            }
            _ => Ok(()),
        }
    }

    fn csv_fields(&self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let record = csv_record(bytes)?;
        if record.len() != self.width {
            return Err(format!("has {} columns, not {}", record.len(), self.width));
        }
        Ok(self.places.iter().map(|&place| record[place].to_owned()).collect())
    }

    fn json_fields(&self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let object: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| format!("is not a row in JSON: {error}"))?;
        let unknown = object.keys().find(|key| !COLUMNS.contains(&key.as_str()));
        if let (Some(key), Columns::Exact) = (unknown, self.columns) {
            return Err(format!("has a key `{}`, which is no column", shortened(key)));
        }
        let field = |column: &&str| match object.get(*column) {
            None => Err(format!("has no `{column}`")),
            Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            // As it stands in CSV: JSON would have 1e-7.
            Some(Value::Number(number)) => Ok(match (number.as_u64(), number.as_f64()) {
                (None, Some(real)) => real.to_string(),
                _ => number.to_string(),
            }),
            Some(value) => Ok(value.to_string()),
        };
        COLUMNS.iter().map(field).collect()
    }

    /// Says that there is no network for a row.
    pub(crate) fn surplus(&self, row: &OldRow, networks: usize, input: &str) -> Failure {
        self.wrong(row.line, format!("is one row more than the {networks} networks of {input}"))
    }

    pub(crate) fn wrong(&self, line: usize, why: impl std::fmt::Display) -> Failure {
        Failure::unusable(format_args!("{}:{line}: {why}", self.name))
    }
}

impl OldRow {
    /// Its score; none of a network that could not be scored.
    pub(crate) fn score(&self) -> Option<f64> {
        self.field("score").parse().ok()
    }

    /// Whether the network could not be scored.
    pub(crate) fn failed(&self) -> bool {
        self.field("score").is_empty()
    }

    /// The row with the types of its columns.
    pub(crate) fn row(&self) -> Result<Row, String> {
        let mut row = std::array::from_fn(|_| Field::Empty);
        for ((field, column), text) in row.iter_mut().zip(COLUMNS).zip(&self.fields) {
            let wrong = |kind| format!("{column} is `{}`, not {kind}", shortened(text));
            *field = Field::parse(text, Kind::of(column)).map_err(wrong)?;
        }
        Ok(row)
    }

    /// What scoring the network has come to, if it was scored.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let number = |column| self.field(column).parse::<f64>().ok();
        Some(Outcome { score: self.score()?, deviation: number("score_sd"), seconds: number("seconds")? })
    }

    /// A column, as in CSV without quotes.
    pub(crate) fn field(&self, column: &str) -> &str {
        COLUMNS.iter().zip(&self.fields).find(|(name, _)| **name == column).map_or("", |(_, field)| field)
    }
}

/// Says what differs between a row and the network in its place.
fn difference(column: &str, old: &str, new: &str, place: &str) -> String {
    let unread = old.is_empty();
    let (old, new) = (shortened(old), shortened(new));
    match column {
        "index" => format!("index is {old}, not {new}"),
        "id" if unread => format!("failed, but {place} can be read now; --retry-failed scores it"),
        "id" => format!("is the row of {old}, but {place} has {new} in its place"),
        _ => format!("{column} was {old}, but is {new} in this run"),
    }
}

/// The fields of a line.
fn csv_record(bytes: &[u8]) -> Result<csv::StringRecord, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(record)
}
