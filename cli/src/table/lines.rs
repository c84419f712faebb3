//! The lines of a file, each with its end.

use std::io::{BufRead, Read};

use crate::exit::{Failure, Result};
use crate::text_file::TextReader;

/// The rule by which lines are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Lines as this command writes them: every byte counts.
    Strict,
    /// Lines of any program: blank ones do not matter.
    Loose,
    /// Loose lines, where a line end within the quotes of a field (RFC 4180) is none; with the byte between fields.
    Quoted(u8),
}

/// A reader of the lines of a file.
pub(super) struct LineReader {
    name: String,
    reader: TextReader,
    rule: Rule,
    /// Number of lines that have been read.
    read: usize,
    /// Number of bytes in the whole ones among them.
    whole: u64,
}

/// A line of a file.
pub(super) struct RawLine {
    /// Its number, from 1.
    pub(super) number: usize,
    pub(super) bytes: Vec<u8>,
}

impl RawLine {
    /// Whether it has its end: the last one of a file that was cut has none.
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }
}

impl LineReader {
    pub(super) fn new(reader: TextReader, name: &str, rule: Rule) -> Self {
        LineReader { name: name.to_owned(), reader, rule, read: 0, whole: 0 }
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<RawLine>> {
        loop {
            let mut bytes = Vec::new();
            if self.append(&mut bytes)? == 0 {
                return Ok(None);
            }
            let line = self.continued(RawLine { number: self.read, bytes })?;
            if line.is_whole() {
                self.whole += line.bytes.len() as u64;
            }
            if self.rule == Rule::Strict || !line.bytes.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// The first line, and those behind it by a rule that depends on it.
    pub(super) fn first(&mut self, rule: impl Fn(&[u8]) -> Rule) -> Result<Option<RawLine>> {
        let Some(line) = self.next()? else { return Ok(None) };
        self.rule = rule(&line.bytes);
        self.continued(line).map(Some)
    }

    /// A line with those behind it, where it ends within quotes.
    fn continued(&mut self, mut line: RawLine) -> Result<RawLine> {
        if let Rule::Quoted(delimiter) = self.rule {
            while is_open(&line.bytes, delimiter) && self.append(&mut line.bytes)? > 0 {}
        }
        Ok(line)
    }

    /// All bytes that have not been read.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.reader.read_to_end(&mut bytes);
        read.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.name)))?;
        Ok(bytes)
    }

    /// Reads up to the next line end; returns how many bytes there were.
    fn append(&mut self, bytes: &mut Vec<u8>) -> Result<usize> {
        self.read += 1;
        let read = self.reader.read_until(b'\n', bytes);
        read.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.name)))
    }

    pub(super) fn whole(&self) -> u64 {
        self.whole
    }
}

/// Whether fields of CSV end within quotes, which begin where a field does.
fn is_open(fields: &[u8], delimiter: u8) -> bool {
    let (mut quoted, mut before) = (false, delimiter);
    for &byte in fields {
        if byte == b'"' && (quoted || (before == delimiter || before == b'"')) {
            quoted = !quoted;
        }
        before = byte;
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn a_line_end_within_quotes_is_part_of_the_field() {
        for (fields, open) in [
            ("a,b\n", false),
            ("a,\"b\n", true),
            ("a,\"b\nc\"\n", false),
            ("\"\",\"\"\n", false),
            ("\"a \"\"b\"\" c\n", true),
            ("\"a \"\"b\"\" c\"\n", false),
            ("5\" pipe,1\n", false),
        ] {
            assert_eq!(is_open(fields.as_bytes(), b','), open, "{fields}");
            assert_eq!(is_open(fields.replace(',', ";").as_bytes(), b';'), open, "{fields}");
        }
    }
}
