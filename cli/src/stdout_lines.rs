//! Standard output: lines for people, and data, which are as they are but on a terminal.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use crate::exit::{Exit, Failure, Result};
use crate::text::visible;

/// A writer of data to standard output. A terminal gets them with [`visible`] characters alone, everybody else to the byte.
pub(crate) struct StdoutData {
    stdout: Stdout,
    terminal: Option<TerminalText>,
}

/// The text that a terminal is given piece by piece.
#[derive(Default)]
struct TerminalText {
    /// The beginning of a character, whose other bytes are still to come.
    begun: Vec<u8>,
}

impl TerminalText {
    /// What is to be shown of further bytes: lines stay lines, and bytes that are no text are U+FFFD.
    fn shown(&mut self, bytes: &[u8]) -> String {
        let bytes = [&std::mem::take(&mut self.begun), bytes].concat();
        let (mut shown, mut chunks) = (String::with_capacity(bytes.len()), bytes.utf8_chunks().peekable());
        while let Some(chunk) = chunks.next() {
            let lines: Vec<_> = chunk.valid().split('\n').map(visible).collect();
            shown.push_str(&lines.join("\n"));
            match chunk.invalid() {
                [] => {}
                begun if chunks.peek().is_none() && is_begun(begun) => self.begun = begun.to_vec(),
                _ => shown.push('\u{fffd}'),
            }
        }
        shown
    }
}

/// Whether bytes are the beginning of a character.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

impl StdoutData {
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the writer that all others go through")]
        let stdout = io::stdout();
        let terminal = stdout.is_terminal().then(TerminalText::default);
        StdoutData { stdout, terminal }
    }
}

impl Write for StdoutData {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.terminal {
            Some(text) => self.stdout.write_all(text.shown(bytes).as_bytes()).map(|()| bytes.len()),
            None => self.stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let stdout = io::stdout();
    stdout.is_terminal()
}

/// Buffered standard output, line by line, for commands that print and are done.
pub(crate) struct StdoutLines(BufWriter<StdoutData>);

impl StdoutLines {
    pub(crate) fn new() -> Self {
        StdoutLines(BufWriter::new(StdoutData::new()))
    }

    /// Prints a line for people, with [`visible`] characters alone.
    pub(crate) fn print(&mut self, line: impl Display) -> Result<()> {
        self.print_data(visible(&line.to_string()))
    }

    /// Prints lines for people.
    pub(crate) fn print_lines(&mut self, lines: impl Display) -> Result<()> {
        lines.to_string().split('\n').try_for_each(|line| self.print(line))
    }

    /// Prints a line of data, as JSON is, or several.
    pub(crate) fn print_data(&mut self, line: impl Display) -> Result<()> {
        writeln!(self.0, "{line}").map_err(failure)
    }

    /// Makes sure that what there is can be seen.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(failure)
    }

    /// The end of a command that has printed everything.
    pub(crate) fn finish(mut self) -> Result {
        self.flush()?;
        Ok(Exit::Success)
    }
}

fn failure(error: io::Error) -> Failure {
    Failure::write("standard output", &error)
}

#[cfg(test)]
mod tests {
    use super::TerminalText;

    #[test]
    fn a_terminal_gets_the_same_text_in_whatever_pieces() {
        let bytes = "a,\u{e9}\u{1f600}\u{1b}[31m\n\u{202e}b\n".as_bytes();
        let bytes = [bytes, b"\xff\xe2\x82"].concat();
        for cut in 0..bytes.len() {
            let mut text = TerminalText::default();
            let shown = text.shown(&bytes[..cut]) + &text.shown(&bytes[cut..]);
            assert_eq!(shown, "a,\u{e9}\u{1f600}\\u{1b}[31m\n\\u{202e}b\n\u{fffd}", "{cut}");
        }
    }
}
