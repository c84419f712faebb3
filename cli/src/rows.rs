//! Rows of scores: their columns, and how they are written. docs/output.md is their promise.

use std::fmt;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use naswot::{Architecture, Network, Score, Settings, Space};

use crate::options::SkeletonOptions;

/// Names of the columns, in order.
pub(crate) const COLUMNS: [&str; 27] = [
    "index",
    "line",
    "space",
    "id",
    "arch",
    "score",
    "activations",
    "parameters",
    "macs",
    "error",
    "seconds",
    "batch_size",
    "stem",
    "cells",
    "seed",
    "data",
    "batch_sha256",
    "initialiser",
    "weights_sha256",
    "convention",
    "precision",
    "backend",
    "device",
    "naswot_version",
    "noise",
    "repeats",
    "score_sd",
];

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Real,
    Text,
}

impl Kind {
    /// The kind of each of the [`COLUMNS`].
    pub(crate) fn of(column: &str) -> Self {
        match column {
            "index" | "line" | "activations" | "parameters" | "macs" | "batch_size" | "stem" | "cells"
            | "seed" | "repeats" => Kind::Integer,
            "score" | "seconds" | "noise" | "score_sd" => Kind::Real,
            _ => Kind::Text,
        }
    }
}

/// Form of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
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

/// What stands in a column of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    /// Nothing: empty in CSV, null in JSON.
    Empty,
    Integer(u64),
    /// Finite, or minus infinity.
    Real(f64),
    Text(String),
}

impl Field {
    /// Reads what `Display` writes; the error says what the text is not.
    pub(crate) fn parse(text: &str, kind: Kind) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Field::Empty);
        }
        match kind {
            Kind::Integer => text.parse().map(Field::Integer).map_err(|_| "a whole number"),
            Kind::Real => {
                let value =
                    text.parse().ok().filter(|value: &f64| value.is_finite() || *value == f64::NEG_INFINITY);
                value.map(Field::Real).ok_or("a number")
            }
            Kind::Text => Ok(Field::Text(text.to_owned())),
        }
    }

    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Field::Text(text.to_string())
    }

    fn json(&self) -> String {
        match self {
            Field::Empty => "null".to_owned(),
            Field::Real(value) if value.is_finite() => value.to_string(),
            Field::Integer(value) => value.to_string(),
            // JSON has no infinity.
            Field::Real(_) | Field::Text(_) => serde_json::Value::from(self.to_string()).to_string(),
        }
    }
}

impl<T: Into<u64>> From<Option<T>> for Field {
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::Empty, |value| Field::Integer(value.into()))
    }
}

impl fmt::Display for Field {
    /// As in CSV, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Empty => Ok(()),
            Field::Integer(value) => value.fmt(f),
            // The fewest digits that read back as the same number; infinity as `-inf`.
            Field::Real(value) => value.fmt(f),
            Field::Text(text) => text.fmt(f),
        }
    }
}

/// One field a column.
pub(crate) type Row = [Field; COLUMNS.len()];

/// Columns that may be empty in a row with a score.
const MAY_BE_EMPTY: [&str; 5] = ["line", "error", "seed", "weights_sha256", "score_sd"];

/// A column of a row.
pub(crate) fn field<'a>(row: &'a Row, column: &str) -> &'a Field {
    COLUMNS.iter().zip(row).find(|(name, _)| **name == column).map_or(&Field::Empty, |(_, field)| field)
}

/// Whether a row is what a run writes; the error says what is not.
pub(crate) fn check(row: &Row) -> Result<(), String> {
    let failed = *field(row, "score") == Field::Empty;
    match (failed, *field(row, "error") == Field::Empty) {
        (true, true) => return Err("has neither a score nor an error".to_owned()),
        (false, false) => return Err("has a score and an error".to_owned()),
        _ => {}
    }
    for (column, field) in COLUMNS.iter().zip(row) {
        match field {
            Field::Empty if !failed && !MAY_BE_EMPTY.contains(column) => {
                return Err(format!("has a score, but no {column}"));
            }
            Field::Real(value) if *value < 0.0 && *column != "score" => {
                return Err(format!("{column} is `{value}`, not a number of 0 or more"));
            }
            _ => {}
        }
    }
    let (Field::Text(space), Field::Text(arch)) = (field(row, "space"), field(row, "arch")) else {
        return match (field(row, "space"), field(row, "arch")) {
            (Field::Empty, Field::Empty) => Ok(()),
            _ => Err("has not both a space and an arch".to_owned()),
        };
    };
    let cell = space.parse::<Space>().and_then(|space| space.parse_arch(arch));
    match cell.map_err(|error| format!("its arch: {error}"))? {
        cell if cell.arch() != *arch => Err(format!("arch is {}, not {}", shortened(arch), cell.arch())),
        _ => Ok(()),
    }
}

/// A piece of a file for a message: not nothing, on one line, and cut where it is long.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        _ if text.is_empty() => "nothing".to_owned(),
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// The bytes of a row, its line end included.
pub(crate) fn encode(row: &Row, format: Format) -> Vec<u8> {
    encode_columns(&COLUMNS, row, format)
}

/// What comes before the first row.
pub(crate) fn header(format: Format) -> Vec<u8> {
    header_columns(&COLUMNS, format)
}

/// The bytes of a row with columns of its own.
pub(crate) fn encode_columns(columns: &[&str], row: &[Field], format: Format) -> Vec<u8> {
    let line = match format {
        Format::Csv => row.iter().map(|field| csv_field(&field.to_string())).collect::<Vec<_>>().join(","),
        Format::Jsonl => {
            let pairs =
                columns.iter().zip(row).map(|(column, field)| format!("\"{column}\":{}", field.json()));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    };
    (line + "\n").into_bytes()
}

/// What comes before the first row with columns of its own.
pub(crate) fn header_columns(columns: &[&str], format: Format) -> Vec<u8> {
    match format {
        Format::Csv => (columns.join(",") + "\n").into_bytes(),
        Format::Jsonl => Vec::new(),
    }
}

/// A field in quotes where it needs them (RFC 4180).
fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Makes the rows of a run: what its networks have in common. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RowMaker {
    settings: Arc<Settings>,
    skeleton: SkeletonOptions,
}

/// What is known of the network of a row.
pub(crate) struct Subject<'a> {
    pub(crate) index: usize,
    pub(crate) line: Option<usize>,
    pub(crate) architecture: Option<&'a Architecture>,
    pub(crate) facts: Option<&'a Facts>,
}

/// What is known of a network before it is scored.
pub(crate) struct Facts {
    id: String,
    parameters: u64,
    /// None where the images do not fit.
    activations: Option<u64>,
    macs: Option<u64>,
}

/// What scoring a network has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) score: f64,
    /// Standard deviation over repeats, where there is one.
    pub(crate) deviation: Option<f64>,
    pub(crate) seconds: f64,
}

impl From<&Score> for Outcome {
    fn from(score: &Score) -> Self {
        Outcome { score: score.log_det, deviation: score.deviation, seconds: score.seconds }
    }
}

impl RowMaker {
    pub(crate) fn new(settings: Arc<Settings>, skeleton: SkeletonOptions) -> Self {
        RowMaker { settings, skeleton }
    }

    /// The network of an architecture.
    pub(crate) fn network(&self, architecture: &Architecture) -> naswot::Result<Network> {
        self.skeleton.network(architecture)
    }

    /// What a row says of a network besides its score.
    pub(crate) fn facts(&self, network: &Network) -> Facts {
        let Settings { batch_shape: [_, _, height, width], convention, .. } = *self.settings;
        Facts {
            id: network.id().to_owned(),
            parameters: network.parameters(),
            activations: network.activations(height, width, convention).ok(),
            macs: network.macs(height, width).ok(),
        }
    }

    /// The row of a network that was scored, or could not be, and then why.
    pub(crate) fn row(&self, subject: &Subject, result: Result<Outcome, &str>) -> Row {
        let Subject { index, line, architecture, facts } = *subject;
        let settings = &*self.settings;
        let cells = self.skeleton.cells.or(architecture.map(|a| a.space().default_cells()));
        let text = |text: Option<String>| text.map_or(Field::Empty, Field::Text);
        [
            Field::Integer(index as u64),
            line.map(|line| line as u64).into(),
            text(architecture.map(|a| a.space().to_string())),
            text(facts.map(|facts| facts.id.clone()).or_else(|| architecture.map(Architecture::id))),
            text(architecture.map(Architecture::arch)),
            result.map_or(Field::Empty, |outcome| Field::Real(outcome.score)),
            facts.and_then(|facts| facts.activations).into(),
            facts.map(|facts| facts.parameters).into(),
            facts.and_then(|facts| facts.macs).into(),
            result.err().map_or(Field::Empty, |error| Field::Text(one_line(error))),
            // To the microsecond.
            result.map_or(Field::Empty, |outcome| Field::Real((outcome.seconds * 1e6).round() / 1e6)),
            Field::Integer(settings.batch_shape[0] as u64),
            Field::Integer(self.skeleton.stem as u64),
            cells.map(|cells| cells as u64).into(),
            settings.seed.into(),
            Field::text(&settings.data),
            Field::text(&settings.batch_sha256),
            Field::text(settings.initializer),
            text(settings.weights_sha256.clone()),
            Field::text(settings.convention.name()),
            Field::text(settings.precision),
            Field::text(settings.backend),
            Field::text(&settings.device),
            Field::text(settings.naswot_version),
            Field::Real(settings.noise),
            Field::Integer(settings.repeats as u64),
            result.ok().and_then(|outcome| outcome.deviation).map_or(Field::Empty, Field::Real),
        ]
    }
}

/// A message on one line.
pub(crate) fn one_line(message: &str) -> String {
    message.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
