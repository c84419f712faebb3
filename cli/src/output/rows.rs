//! Outputs of rows: standard output, a file in which they grow, or a draft.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::identity::is_at;
use super::out_file::OutFile;
use crate::exit::{Failure, Result};
use crate::rows::{Format, Row, header, names};
use crate::stdout_lines::StdoutData;

/// Time from one look at the file in which rows grow to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An output of rows.
pub(crate) struct Output {
    name: String,
    format: Format,
    to: Destination,
}

/// The destination of rows.
enum Destination {
    Nowhere,
    Stdout(StdoutData),
    File(GrowingFile),
}

impl Output {
    /// An output that is standard output.
    pub(crate) fn stdout(format: Format, header: &[u8]) -> Result<Self> {
        let mut output =
            Output { name: "standard output".to_owned(), format, to: Destination::Stdout(StdoutData::new()) };
        output.write_bytes(header)?;
        Ok(output)
    }

    /// An output that drops its rows.
    pub(crate) fn nowhere() -> Self {
        Output { name: String::new(), format: Format::Csv, to: Destination::Nowhere }
    }

    /// Rows of scores from the beginning of a locked file, which is emptied.
    pub(crate) fn replace(file: File, out: &OutFile) -> Result<Self> {
        Self::begin(file, out, &header(names(), out.format))
    }

    /// Rows of scores behind the first `whole` bytes of a locked file; the others are dropped.
    pub(crate) fn after(file: File, out: &OutFile, whole: u64) -> Result<Self> {
        if whole == 0 { Self::replace(file, out) } else { Self::at(file, out, Some(out.path.clone()), whole) }
    }

    /// Rows with a header of their own from the beginning of a locked file.
    pub(crate) fn begin(file: File, out: &OutFile, header: &[u8]) -> Result<Self> {
        let mut output = Self::at(file, out, Some(out.path.clone()), 0)?;
        output.write_bytes(header)?;
        Ok(output)
    }

    /// Rows of scores in a draft of a file.
    pub(super) fn draft(file: File, out: &OutFile) -> Result<Self> {
        let mut output = Self::at(file, out, None, 0)?;
        output.write_bytes(&header(names(), out.format))?;
        Ok(output)
    }

    fn at(file: File, out: &OutFile, place: Option<PathBuf>, whole: u64) -> Result<Self> {
        let name = out.path.display().to_string();
        let file = GrowingFile::new(file, place, whole).map_err(|error| Failure::write(&name, &error))?;
        Ok(Output { name, format: out.format, to: Destination::File(file) })
    }

    /// Writes a row, so that it is safe when the process is killed.
    pub(crate) fn write(&mut self, row: &Row) -> Result<()> {
        self.write_bytes(&row.encode(self.format))
    }

    /// Writes whole rows as they are.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.to {
            Destination::Nowhere => Ok(()),
            Destination::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Destination::File(file) => file.append(bytes),
        };
        written.map_err(|error| Failure::write(&self.name, &error))
    }

    /// Makes sure at the end of a run that its rows are still where they were written.
    pub(crate) fn finish(&self) -> Result<()> {
        match &self.to {
            Destination::File(file) => file.check().map_err(|error| Failure::write(&self.name, &error)),
            Destination::Nowhere | Destination::Stdout(_) => Ok(()),
        }
    }
}

/// A file to whose end this process alone writes.
struct GrowingFile {
    file: File,
    /// The path that has to lead to it; none of a draft, and of what is no regular file and has no length (`/dev/full`).
    place: Option<PathBuf>,
    /// Length up to the last whole row.
    whole: u64,
    /// The time of the last look whether it is still there.
    looked: Instant,
}

impl GrowingFile {
    /// Goes on behind the first `whole` bytes; the others are dropped.
    fn new(file: File, place: Option<PathBuf>, whole: u64) -> io::Result<Self> {
        let place = place.filter(|_| file.metadata().is_ok_and(|metadata| metadata.is_file()));
        // Behind what is there, always: where another program empties the file, no gap comes to its beginning.
        #[cfg(unix)]
        if place.is_some() {
            rustix::fs::fcntl_setfl(&file, rustix::fs::fcntl_getfl(&file)? | rustix::fs::OFlags::APPEND)?;
        }
        if place.is_some() && file.metadata()?.len() < whole {
            return Err(changed(file.metadata()?.len(), whole));
        }
        let mut file = GrowingFile { file, place, whole, looked: Instant::now() };
        file.cut()?;
        Ok(file)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.check()?;
            self.looked = Instant::now();
        }
        let written = self.file.write_all(bytes);
        match written {
            Ok(()) => self.whole += bytes.len() as u64,
            // Half a row helps nobody; where it cannot be removed, --resume will.
            Err(_) => drop(self.cut()),
        }
        written
    }

    fn check(&self) -> io::Result<()> {
        self.place.as_ref().map_or(Ok(()), |place| check_unchanged(&self.file, place, self.whole))
    }

    fn cut(&mut self) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(self.whole)?;
            self.file.seek(SeekFrom::Start(self.whole))?;
        }
        Ok(())
    }
}

/// Checks that no other program has removed, replaced or changed a file since it had so many bytes.
pub(crate) fn check_unchanged(file: &File, path: &Path, length: u64) -> io::Result<()> {
    if !is_at(file, path) {
        let message = "another program has removed or replaced it while its rows were written";
        return Err(io::Error::other(message));
    }
    match file.metadata()?.len() {
        found if found == length => Ok(()),
        found => Err(changed(found, length)),
    }
}

fn changed(found: u64, length: u64) -> io::Error {
    io::Error::other(format!(
        "another program has changed it while its rows were written: it has {found} bytes, not {length}"
    ))
}
