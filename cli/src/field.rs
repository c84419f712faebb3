//! The fields of rows: their kinds, and how they are written and read.

use std::fmt;

use crate::text::shortened;

/// The kind of a column's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// 0 or more.
    Integer,
    /// A finite number of 0 or more.
    Real,
    /// A number by which networks are ranked: finite, or minus infinity, the lowest.
    Score,
    /// Text on one line.
    Text,
}

impl FieldKind {
    /// Its name in docs/output.md.
    pub fn name(self) -> &'static str {
        match self {
            FieldKind::Integer => "integer",
            FieldKind::Real | FieldKind::Score => "real",
            FieldKind::Text => "text",
        }
    }
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// Nothing: empty in CSV, null in JSON.
    Empty,
    /// An integer.
    Integer(u64),
    /// A real or a score: finite, or minus infinity.
    Real(f64),
    /// A text.
    Text(String),
}

impl Field {
    /// A whole number, or nothing.
    pub fn integer(value: impl Into<Option<u64>>) -> Self {
        value.into().map_or(Field::Empty, Field::Integer)
    }

    /// A number, or nothing.
    pub fn real(value: impl Into<Option<f64>>) -> Self {
        value.into().map_or(Field::Empty, Field::Real)
    }

    /// A text.
    pub fn text(text: impl fmt::Display) -> Self {
        Field::Text(text.to_string())
    }

    /// Parses a field as `Display` writes it; the error says what the text is not.
    pub fn parse(text: &str, kind: FieldKind) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Field::Empty);
        }
        match kind {
            FieldKind::Integer => text.parse().map(Field::Integer).map_err(|_| "a whole number"),
            FieldKind::Real => {
                let value = number(text).filter(|value| *value >= 0.0);
                value.map(Field::Real).ok_or("a number of 0 or more")
            }
            FieldKind::Score => number(text).map(Field::Real).ok_or("a number"),
            FieldKind::Text => Ok(Field::Text(text.to_owned())),
        }
    }

    /// Its number; none of a text.
    pub fn number(&self) -> Option<f64> {
        match self {
            Field::Integer(value) => Some(*value as f64),
            Field::Real(value) => Some(*value),
            Field::Empty | Field::Text(_) => None,
        }
    }

    /// The field as JSON.
    pub fn json(&self) -> String {
        match self {
            Field::Empty => "null".to_owned(),
            Field::Integer(value) => value.to_string(),
            Field::Real(value) if value.is_finite() => value.to_string(),
            // JSON has no infinity.
            Field::Real(_) | Field::Text(_) => serde_json::Value::from(self.to_string()).to_string(),
        }
    }
}

/// A number that is finite or minus infinity, which is a word: digits that stand for a number beyond all reals, as `-1e400`
/// does, are none.
pub fn number(text: &str) -> Option<f64> {
    let is_word = || !text.bytes().any(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value: &f64| value.is_finite() || (*value == f64::NEG_INFINITY && is_word()))
}

/// Refuses a network's name that spreadsheets would run as a formula: it may come out of a file that somebody sends, and stands
/// in every table that names the network.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    match name.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Err(format!(
            "`{}` is no id of a network: spreadsheets run what begins with =, +, -, @, a tab or a carriage return; name it \
             otherwise",
            shortened(name)
        )),
        false => Ok(()),
    }
}

impl fmt::Display for Field {
    /// Writes the field as in CSV, without quotes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_all_reals_is_no_infinity() {
        for text in ["-inf", "-Infinity", "-INF"] {
            assert_eq!(number(text), Some(f64::NEG_INFINITY), "{text}");
        }
        for text in ["-1e400", "1e400", "inf", "nan", &format!("-{}", "9".repeat(400))] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(Field::parse("-1e400", FieldKind::Score), Err("a number"));
        assert_eq!(number("-1e-400"), Some(0.0));
    }
}
