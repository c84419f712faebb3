//! Tables that people bring: scores and accuracies, with their columns in any order.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use crate::exit::{Failure, Result};
use crate::rows::Format;

/// A CSV file with a header.
pub(crate) struct Table {
    name: String,
    columns: Vec<String>,
    reader: csv::Reader<File>,
    record: csv::StringRecord,
}

impl Table {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        if path.extension().is_some_and(|ending| ending == "gz") {
            return Err(Failure::unusable(format_args!("{name}: is compressed; unpack it with gunzip")));
        }
        let file = File::open(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
        let header = reader.headers().map_err(|error| unreadable(&name, &error))?;
        let columns: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        Ok(Table { name, columns, reader, record: csv::StringRecord::new() })
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where a column is.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The next row and the number of its line.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, csv::StringRecord)>> {
        match self.reader.read_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                Ok(Some((line, self.record.clone())))
            }
            Err(error) => Err(unreadable(&self.name, &error)),
        }
    }

    /// What is wrong with a line.
    pub(crate) fn wrong(&self, line: u64, why: impl Display) -> Failure {
        Failure::unusable(format_args!("{}:{line}: {why}", self.name))
    }

    /// What is wrong with the columns that there are.
    pub(crate) fn wrong_columns(&self, why: impl Display) -> Failure {
        Failure::unusable(format_args!("{}: of its columns ({}) {why}", self.name, self.columns.join(", ")))
    }
}

/// What a row of scores says.
pub(crate) struct Scored {
    pub(crate) id: String,
    pub(crate) arch: String,
    /// None of a network that failed.
    pub(crate) score: Option<f64>,
    pub(crate) parameters: Option<f64>,
    pub(crate) macs: Option<f64>,
    /// Of rows of a trace alone, as the next one.
    pub(crate) epoch: Option<f64>,
    pub(crate) epoch_from: String,
}

/// Reads a file of scores, row by row.
pub(crate) fn read_scores(path: &Path, take: impl FnMut(Scored)) -> Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match Format::of(ending) {
        Some(Format::Csv) => read_csv(path, take),
        Some(Format::Jsonl) => read_jsonl(path, take),
        None => {
            let message = "is not named .csv or .jsonl, as files of scores are";
            Err(Failure::unusable(format_args!("{}: {message}", path.display())))
        }
    }
}

fn read_csv(path: &Path, mut take: impl FnMut(Scored)) -> Result<()> {
    let mut table = Table::open(path)?;
    let (id, arch) = (table.position("id"), table.position("arch"));
    if id.or(arch).is_none() {
        return Err(table.wrong_columns("none is `id` or `arch`"));
    }
    let score = table.position("score").ok_or_else(|| table.wrong_columns("none is `score`"))?;
    let others = ["parameters", "macs", "epoch", "epoch_from"].map(|name| table.position(name));
    while let Some((line, row)) = table.next()? {
        let text = |place: Option<usize>| place.map_or("", |place| &row[place]);
        let [parameters, macs, epoch, epoch_from] = others.map(text);
        let row = [text(id), text(arch), &row[score], parameters, macs, epoch, epoch_from];
        take(Scored::of(row).map_err(|why| table.wrong(line, why))?);
    }
    Ok(())
}

fn read_jsonl(path: &Path, mut take: impl FnMut(Scored)) -> Result<()> {
    let name = path.display();
    let unreadable = |error| Failure::unusable(format_args!("{name}: {error}"));
    let reader = BufReader::new(File::open(path).map_err(unreadable)?);
    for (line, number_of_line) in reader.lines().zip(1..) {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let row = scored(&line);
        take(row.map_err(|why| Failure::unusable(format_args!("{name}:{number_of_line}: {why}")))?);
    }
    Ok(())
}

fn scored(line: &str) -> Result<Scored, String> {
    let mut row: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("is not a row in JSON: {error}"))?;
    let mut text = |key| match row.remove(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    let row = ["id", "arch", "score", "parameters", "macs", "epoch", "epoch_from"].map(&mut text);
    Scored::of(row.each_ref().map(String::as_str))
}

impl Scored {
    /// Reads the columns id, arch, score, parameters, macs, epoch and epoch_from.
    fn of([id, arch, score, parameters, macs, epoch, epoch_from]: [&str; 7]) -> Result<Self, String> {
        let number = |text: &str, what: &str| {
            let number =
                text.parse::<f64>().ok().filter(|number| number.is_finite() || *number == f64::NEG_INFINITY);
            match number {
                None if text.is_empty() => Ok(None),
                None => Err(format!("{what} is `{}`, which is no {what}", text.escape_debug())),
                number => Ok(number),
            }
        };
        Ok(Scored {
            id: id.to_owned(),
            arch: arch.to_owned(),
            score: number(score, "score")?,
            parameters: number(parameters, "parameters")?.filter(|count| count.is_finite()),
            macs: number(macs, "macs")?.filter(|count| count.is_finite()),
            epoch: number(epoch, "epoch")?.filter(|epoch| epoch.is_finite()),
            epoch_from: epoch_from.to_owned(),
        })
    }
}

fn unreadable(name: &str, error: &csv::Error) -> Failure {
    let line = error.position().map_or(String::new(), |position| format!("{}:", position.line()));
    let why = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns, and the header {expected_len}")
        }
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    Failure::unusable(format_args!("{name}:{line} {why}"))
}
