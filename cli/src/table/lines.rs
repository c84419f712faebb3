//! The lines of a file, each with its end.

use std::fs::File;
use std::io::{BufRead, BufReader};

use crate::exit::{Failure, Result};

/// The rule by which lines are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Lines as this command writes them: every byte counts, and the last one may be cut.
    Strict,
    /// Lines of any program: a mark at the beginning of the file, blank lines and a missing end do not matter.
    Loose,
    /// Loose lines, where a line end within the quotes of a field (RFC 4180) is none.
    Quoted,
}

/// A reader of the lines of a file.
pub(super) struct LineReader {
    name: String,
    reader: BufReader<File>,
    rule: Rule,
    /// Number of lines that have been read.
    read: usize,
    /// Number of bytes in the whole ones among them.
    whole: u64,
    /// The line that was cut.
    cut: Option<usize>,
}

/// A line of a file.
pub(super) struct RawLine {
    /// Its number, from 1.
    pub(super) number: usize,
    pub(super) bytes: Vec<u8>,
}

impl LineReader {
    pub(super) fn new(file: File, name: &str, rule: Rule) -> Self {
        let reader = BufReader::new(file);
        LineReader { name: name.to_owned(), reader, rule, read: 0, whole: 0, cut: None }
    }

    /// The next line; none at the end. A strict one that was cut is none either, but one that does not begin with `start`,
    /// as all do, is of another file, and not to be overwritten.
    pub(super) fn next(&mut self, start: &[u8]) -> Result<Option<RawLine>> {
        if self.rule != Rule::Strict {
            return self.next_loose();
        }
        let mut bytes = Vec::new();
        self.append(&mut bytes)?;
        if bytes.ends_with(b"\n") {
            self.whole += bytes.len() as u64;
            return Ok(Some(RawLine { number: self.read, bytes }));
        }
        if bytes.iter().zip(start).all(|(a, b)| a == b) {
            self.cut = (!bytes.is_empty()).then_some(self.read);
            return Ok(None);
        }
        Err(Failure::unusable(format_args!("{}:{}: is not what this command writes", self.name, self.read)))
    }

    fn next_loose(&mut self) -> Result<Option<RawLine>> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        loop {
            let mut bytes = Vec::new();
            if self.append(&mut bytes)? == 0 {
                return Ok(None);
            }
            let number = self.read;
            if number == 1 && bytes.starts_with(MARK) {
                bytes.drain(..MARK.len());
            }
            while self.rule == Rule::Quoted && is_open(&bytes) && self.append(&mut bytes)? > 0 {}
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(RawLine { number, bytes }));
            }
        }
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

    pub(super) fn cut(&self) -> Option<usize> {
        self.cut
    }
}

/// Whether fields of CSV end within quotes, which begin where a field does.
fn is_open(fields: &[u8]) -> bool {
    let (mut quoted, mut before) = (false, b',');
    for &byte in fields {
        if byte == b'"' && (quoted || matches!(before, b',' | b'"')) {
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
            assert_eq!(is_open(fields.as_bytes()), open, "{fields}");
        }
    }
}
