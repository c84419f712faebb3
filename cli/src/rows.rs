//! Rows of scores, and how they are written as CSV and JSON lines. docs/output.md is their promise.

use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use naswot::{Architecture, Network, Settings, SkeletonSettings, Space};
use serde_json::{Map, Value};

use crate::columns::{COLUMNS, Column, Compare, place};
use crate::field::{Field, FieldKind, check_name};
use crate::measure::column_of;
use crate::options::SkeletonOptions;
use crate::row_inputs::{Facts, Outcome, RowInputs, Subject};
use crate::text::shortened;

/// The format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl Format {
    pub(crate) const NAMES: [&str; 2] = ["csv", "jsonl"];

    /// The format that a file's ending stands for.
    pub(crate) fn of(ending: &str) -> Option<Self> {
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" => Some(Format::Jsonl),
            _ => None,
        }
    }
}

/// Parses the name of a format.
pub(crate) fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::NAMES).map(|name| Format::of(&name).unwrap_or(Format::Csv))
}

/// A row: a field for each of the [`COLUMNS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<Field>);

impl Row {
    /// The row of a network.
    pub fn of(inputs: &RowInputs) -> Self {
        Row(COLUMNS.iter().map(|column| (column.value)(inputs)).collect())
    }

    /// Reads fields as they stand in CSV, without quotes; the error says what a row of a run cannot have.
    pub fn read(texts: &[String]) -> Result<Self, String> {
        let parse = |(column, text): (&Column, &String)| {
            let wrong = |kind| format!("{} is `{}`, not {kind}", column.name, shortened(text));
            Field::parse(text, column.kind).map_err(wrong)
        };
        let row = Row(COLUMNS.iter().zip(texts).map(parse).collect::<Result<_, _>>()?);
        row.check()?;
        Ok(row)
    }

    /// The row with other numbers in place of its scores.
    pub(crate) fn with_scores(mut self, mut score: impl FnMut(&str, f64) -> f64) -> Self {
        for (column, field) in COLUMNS.iter().zip(&mut self.0) {
            if let (FieldKind::Score, Field::Real(number)) = (column.kind, field) {
                *number = score(column.name, *number);
            }
        }
        self
    }

    fn check(&self) -> Result<(), String> {
        if *self.field("index") == Field::Empty {
            return Err("has no index".to_owned());
        }
        match (self.failed(), *self.field("error") == Field::Empty) {
            (true, true) => return Err("has neither a score nor an error".to_owned()),
            (false, false) => return Err("has a score and an error".to_owned()),
            _ => {}
        }
        let missing = |(column, field): &(&Column, &Field)| **field == Field::Empty && !column.may_be_empty;
        if let Some((column, _)) = self.iter().find(missing).filter(|_| !self.failed()) {
            return Err(format!("has a score, but no {}", column.name));
        }
        check_name(self.text("id"))?;
        match self.parse_architecture()? {
            Some(architecture) => self.check_architecture(&architecture),
            None => Ok(()),
        }
    }

    fn check_architecture(&self, architecture: &Architecture) -> Result<(), String> {
        let (found, arch) = (self.text("arch"), architecture.arch());
        if found != arch {
            return Err(format!("arch is {}, not {arch}", shortened(found)));
        }
        let space = architecture.space();
        for (column, setting) in space.settings(&SkeletonSettings::default()).columns() {
            match (setting, self.field(column)) {
                (Some(_), Field::Empty) if !self.failed() => {
                    return Err(format!("has a score, but no {column}"));
                }
                (Some(_), _) | (None, Field::Empty) => {}
                (None, found) => {
                    return Err(format!("{column} is {found}, which networks of {space} do not have"));
                }
            }
        }
        Ok(())
    }

    fn parse_architecture(&self) -> Result<Option<Architecture>, String> {
        match (self.field("space"), self.field("arch")) {
            (Field::Text(space), Field::Text(arch)) => {
                let cell = space.parse::<Space>().and_then(|space| space.parse_arch(arch));
                cell.map(Some).map_err(|error| format!("its arch: {error}"))
            }
            (Field::Empty, Field::Empty) => Ok(None),
            _ => Err("has not both a space and an arch".to_owned()),
        }
    }

    /// Its fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.0
    }

    /// Its fields with their columns, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Column, &Field)> {
        COLUMNS.iter().zip(&self.0)
    }

    /// The field of a column, by its name.
    pub fn field(&self, column: &str) -> &Field {
        &self.0[place(column)]
    }

    /// The text of a column, by its name; none in it is an empty one.
    pub fn text(&self, column: &str) -> &str {
        if let Field::Text(text) = self.field(column) { text } else { "" }
    }

    /// The number of a column of integers, by its name.
    pub fn integer(&self, column: &str) -> Option<u64> {
        if let Field::Integer(value) = self.field(column) { Some(*value) } else { None }
    }

    /// The number of a column, by its name.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.field(column).number()
    }

    /// The network's architecture; none where the line of the input could not be read.
    pub fn architecture(&self) -> Option<Architecture> {
        self.parse_architecture().unwrap_or_else(|why| unreachable!("a row that was read {why}"))
    }

    /// The network's position among those of the input.
    pub fn index(&self) -> u64 {
        self.integer("index").unwrap_or_else(|| unreachable!("a row without an index"))
    }

    /// The network's score; none where it failed.
    pub fn score(&self) -> Option<f64> {
        self.number("score")
    }

    /// Whether the network could not be scored.
    pub fn failed(&self) -> bool {
        self.score().is_none()
    }

    /// The outcome of scoring the network, if it was scored.
    pub fn outcome(&self) -> Option<Outcome> {
        self.score()?;
        let score = |kind| self.number(column_of(kind));
        Some(Outcome::new(score, self.number("score_sd"), self.number("seconds")?))
    }

    /// The first bytes of its line: those of its place and its network.
    pub(crate) fn beginning(&self, format: Format) -> Vec<u8> {
        let columns = place("arch") + 1;
        let mut line = encode(names(), &self.0[..columns], format);
        // What ends the line here is a comma in a whole one.
        let end = line.len() - if format == Format::Csv { "\n".len() } else { "}\n".len() };
        line.truncate(end);
        line.push(b',');
        line
    }

    /// The bytes of its line, the end included.
    pub(crate) fn encode(&self, format: Format) -> Vec<u8> {
        encode(names(), &self.0, format)
    }
}

/// Names of the columns, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.name)
}

/// The line of some fields, its end included.
pub(crate) fn encode<'a>(
    columns: impl Iterator<Item = &'a str>,
    fields: &[Field],
    format: Format,
) -> Vec<u8> {
    let line = match format {
        Format::Csv => fields.iter().map(|field| csv_field(&field.to_string())).collect::<Vec<_>>().join(","),
        Format::Jsonl => {
            let pairs = columns.zip(fields).map(|(column, field)| format!("\"{column}\":{}", field.json()));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    };
    (line + "\n").into_bytes()
}

/// The header before the first row.
pub(crate) fn header<'a>(columns: impl Iterator<Item = &'a str>, format: Format) -> Vec<u8> {
    match format {
        Format::Csv => (columns.collect::<Vec<_>>().join(",") + "\n").into_bytes(),
        Format::Jsonl => Vec::new(),
    }
}

/// A field in quotes where it needs them (RFC 4180).
pub(crate) fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The maker of the rows of a run: what its networks have in common. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RowMaker {
    settings: Arc<Settings>,
    skeleton: SkeletonOptions,
}

impl RowMaker {
    pub(crate) fn new(settings: Arc<Settings>, skeleton: SkeletonOptions) -> Self {
        RowMaker { settings, skeleton }
    }

    /// The network of an architecture.
    pub(crate) fn network(&self, architecture: &Architecture) -> naswot::Result<Network> {
        self.skeleton.network(architecture)
    }

    /// The figures of a network for the images of the run.
    pub(crate) fn facts(&self, network: &Network) -> Facts {
        let Settings { batch_shape: [_, _, height, width], convention, .. } = *self.settings;
        Facts::of(network, [height, width], convention)
    }

    /// The settings of the run, for a manifest: the columns that are equal in all rows, and those that are equal within a space,
    /// for each.
    pub(crate) fn shared_settings(&self) -> Map<String, Value> {
        let row = self.row(&Subject { index: 0, line: None, architecture: None, facts: None }, Err(""));
        let shared = |column: &Column| matches!(column.compare, Compare::Run | Compare::All);
        let columns = row.iter().filter(|(column, _)| shared(column));
        let columns = columns.map(|(column, field)| (column.name.to_owned(), field.to_string().into()));
        let of_spaces = Space::ALL.into_iter().flat_map(|space| {
            let settings = space.settings(&self.skeleton.asked()).columns().into_iter();
            settings.map(move |(name, value)| (format!("{name} of {space}"), value.into()))
        });
        columns.chain(of_spaces).collect()
    }

    /// The row of a network that was scored, or could not be, and then why.
    pub(crate) fn row(&self, subject: &Subject, outcome: Result<&Outcome, &str>) -> Row {
        Row::of(&RowInputs { subject, outcome, settings: &self.settings, skeleton: self.skeleton })
    }
}
