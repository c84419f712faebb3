//! The lines of a file, each with its end.

use std::io::BufRead;

use crate::exit::{Failure, Result};
use crate::text_file::{self, TextReader};

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
            let (mut quotes, mut read) = (Quotes::new(delimiter), 0);
            while quotes.are_open_after(&line.bytes[read..]) {
                read = line.bytes.len();
                if self.append(&mut line.bytes)? == 0 {
                    break;
                }
            }
        }
        Ok(line)
    }

    /// Reads up to the next line end; returns how many bytes there were.
    fn append(&mut self, bytes: &mut Vec<u8>) -> Result<usize> {
        self.read += 1;
        let read = match self.rule {
            // No longer than the file, behind whose rows a loss of power may leave zeros.
            Rule::Strict => self.reader.read_until(b'\n', bytes),
            Rule::Loose | Rule::Quoted(_) => text_file::read_line(&mut self.reader, bytes),
        };
        read.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.name)))
    }

    pub(super) fn whole(&self) -> u64 {
        self.whole
    }
}

/// The quotes of a record of CSV, which begin where a field does; its bytes are looked at once, however many lines they are.
struct Quotes {
    delimiter: u8,
    before: u8,
    open: bool,
}

impl Quotes {
    fn new(delimiter: u8) -> Self {
        Quotes { delimiter, before: delimiter, open: false }
    }

    /// Whether quotes are open behind the next bytes.
    fn are_open_after(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if byte == b'"' && (self.open || self.before == self.delimiter || self.before == b'"') {
                self.open = !self.open;
            }
            self.before = byte;
        }
        self.open
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{LineReader, Quotes, Rule};

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
            let semicolons = fields.replace(',', ";");
            for (fields, delimiter) in [(fields, b','), (&semicolons, b';')] {
                assert_eq!(Quotes::new(delimiter).are_open_after(fields.as_bytes()), open, "{fields}");
            }
        }
    }

    /// Were each line's record looked at from its beginning, this would take minutes.
    #[test]
    fn quotes_that_are_never_closed_take_no_longer_than_the_file() {
        let text = format!("a,\"b{}", "\n".repeat(1 << 20));
        let mut lines = LineReader::new(Box::new(Cursor::new(text.clone())), "t.csv", Rule::Quoted(b','));
        let record = lines.next().ok().flatten().unwrap();
        assert_eq!((record.number, record.bytes.len()), (1, text.len()));
        assert!(lines.next().ok().flatten().is_none());
    }

    #[test]
    fn a_line_has_an_end_or_an_error() {
        let field = "1,".repeat(1 << 20);
        for (text, rule) in [
            (field.repeat(2) + "1", Rule::Loose),
            (format!("\"{}", format!("{field}\n").repeat(2)), Rule::Quoted(b',')),
        ] {
            let mut lines = LineReader::new(Box::new(Cursor::new(text)), "t.csv", rule);
            let message = lines.next().err().and_then(|failure| failure.message).unwrap();
            assert_eq!(message, "t.csv: has a line of over 4 MiB: what is read has a record a line");
        }
        let longest = [&field[..], &field[1..], "\n"].concat();
        let mut lines = LineReader::new(Box::new(Cursor::new(longest)), "t.csv", Rule::Loose);
        assert_eq!(lines.next().ok().flatten().unwrap().bytes.len(), 1 << 22);
    }
}
