//! Lines on standard output, for commands that print and are done.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use crate::exit::{Exit, Failure, Result};

/// Buffered standard output.
pub(crate) struct StdoutLines(BufWriter<StdoutLock<'static>>);

impl StdoutLines {
    pub(crate) fn new() -> Self {
        StdoutLines(BufWriter::new(io::stdout().lock()))
    }

    /// Prints a line.
    pub(crate) fn print(&mut self, line: impl Display) -> Result<()> {
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
