//! Architecture files, read on a thread of their own: a run can end, and write what it has, while standard
//! input keeps it waiting.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use naswot::{Architecture, Error};

use crate::exit::{Failure, Result};
use crate::interrupt;

/// Lines that are read ahead.
const AHEAD: usize = 256;
/// How long to wait for a line before looking whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// A file of architectures.
pub(crate) struct Input {
    name: String,
    lines: Receiver<(usize, naswot::Result<Architecture>)>,
    taken: usize,
    /// Whether lines may be slow to come: from a pipe or a terminal.
    slow: bool,
}

/// A line that is not blank.
#[derive(Debug)]
pub(crate) struct Line {
    /// Position among the networks, from 0.
    pub(crate) index: usize,
    /// Number of the line, from 1.
    pub(crate) number: usize,
    pub(crate) architecture: naswot::Result<Architecture>,
}

/// What comes next.
pub(crate) enum Next {
    Line(Line),
    /// Nothing for a while.
    Nothing,
    End,
    /// The run is to end.
    Interrupted,
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let (reader, slow) =
            open(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
        let (sender, lines) = sync_channel(AHEAD);
        thread::spawn(move || {
            // A receiver that is gone wants no more lines.
            let _ = Architecture::read_lines(reader).try_for_each(|line| sender.send(line));
        });
        Ok(Input { name, lines, taken: 0, slow })
    }

    /// The file's name as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Networks read so far, the unreadable ones included.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Result<Next> {
        loop {
            if interrupt::requested() {
                return Ok(Next::Interrupted);
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok((_, Err(Error::Io { source, .. }))) => return Err(self.broken(&source)),
                Ok((number, architecture)) => {
                    self.taken += 1;
                    return Ok(Next::Line(Line { index: self.taken - 1, number, architecture }));
                }
                Err(RecvTimeoutError::Timeout) if self.slow => return Ok(Next::Nothing),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
            }
        }
    }

    fn broken(&self, error: &io::Error) -> Failure {
        let message = format!("{}: {error}", self.name);
        if self.taken == 0 { Failure::unusable(message) } else { Failure::stopped(message) }
    }
}

/// A reader, and whether it may be slow.
fn open(path: &Path) -> io::Result<(Box<dyn BufRead + Send>, bool)> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), true));
    }
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not a file of architectures"));
    }
    Ok((Box::new(BufReader::new(file)), !kind.is_file()))
}

/// Lines of a regular file, none for others; for a progress bar.
pub(crate) fn count_lines(path: &Path) -> Option<u64> {
    if path == Path::new("-") {
        return None;
    }
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let (mut reader, mut lines, mut last) = (file, 0, b'\n');
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer).ok()?;
        let Some(&end) = buffer[..read].last() else { break };
        lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
        last = end;
    }
    Some(lines + u64::from(last != b'\n'))
}
