//! Reading text from outside: JSON, and what messages quote of it.

use serde::Deserialize;

use crate::{Error, Result};

/// Reads JSON. An error says its column, for the line is the caller's, and repeats no more than the start of a
/// long value.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T> {
    serde_json::from_str(line).map_err(|error| {
        let (text, column) = (error.to_string(), error.column());
        let place = format!(" at line {} column {column}", error.line());
        let text = text.strip_suffix(&place).unwrap_or(&text);
        let broken = if error.is_data() { "" } else { "broken JSON, " };
        unreadable(format!("{broken}column {column}: {}", text.chars().take(200).collect::<String>()))
    })
}

/// The error of a line that is no architecture.
pub(super) fn unreadable(message: String) -> Error {
    Error::Architecture { message }
}

/// A piece of input for a message: on one line, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
