//! Outputs of rows: standard output, or a file that one process at a time writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use crate::exit::{Exit, Failure, Result};
use crate::rows::{Format, Row, header, names};
use crate::stdout_lines::StdoutData;

/// A file of rows that is to be written, its format known by its ending.
#[derive(Clone, Debug)]
pub(crate) struct OutFile {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Its format.
    pub(crate) format: Format,
}

impl OutFile {
    /// Reads the option.
    pub(crate) fn parse(path: PathBuf) -> Result<Self, String> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match Format::of(ending) {
            Some(format) => Ok(OutFile { path, format }),
            None if ending.eq_ignore_ascii_case("parquet") => {
                let message = "Parquet cannot be written row by row, so a run that is killed would lose everything: \
                               write .csv or .jsonl, and `naswot convert` it at the end";
                Err(message.to_owned())
            }
            None => Err("the name must end in .csv or .jsonl, which says how rows are written".to_owned()),
        }
    }
}

/// The treatment of a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
    Continue,
}

/// Opens and locks a file, which is created where there is none. Its content is left alone.
pub(crate) fn open(path: &Path, existing: Existing) -> Result<File> {
    let name = path.display();
    let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let (file, new) = match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            (options.open(path).map_err(unusable)?, false)
        }
        file => (file.map_err(unusable)?, true),
    };
    lock(&file, path)?;
    if existing == Existing::Refuse && !new {
        let message = "exists already; --resume goes on with it, --force replaces it";
        return Err(Failure::unusable(format_args!("{name}: {message}")));
    }
    Ok(file)
}

/// Locks a file, whose name is to be `path`.
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    let name = path.display();
    // Called by its full name: newer standard libraries have a method of that name.
    FileExt::try_lock(file).map_err(|error| match error {
        TryLockError::WouldBlock => Failure::unusable(format_args!("{name}: another process is writing it")),
        TryLockError::Error(error) => Failure::unusable(format_args!("{name}: cannot be locked: {error}")),
    })
}

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
    File {
        file: File,
        /// Length up to the last whole row.
        whole: u64,
    },
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
        if whole == 0 { Self::replace(file, out) } else { Self::at(file, out, whole) }
    }

    /// Rows with a header of their own from the beginning of a locked file.
    pub(crate) fn begin(file: File, out: &OutFile, header: &[u8]) -> Result<Self> {
        let mut output = Self::at(file, out, 0)?;
        output.write_bytes(header)?;
        Ok(output)
    }

    fn at(mut file: File, out: &OutFile, whole: u64) -> Result<Self> {
        let name = out.path.display().to_string();
        cut(&mut file, whole).map_err(|error| Failure::write(&name, &error))?;
        Ok(Output { name, format: out.format, to: Destination::File { file, whole } })
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
            Destination::File { file, whole } => {
                let written = file.write_all(bytes);
                match written {
                    Ok(()) => *whole += bytes.len() as u64,
                    // Half a row helps nobody; where it cannot be removed, --resume will.
                    Err(_) => drop(cut(file, *whole)),
                }
                written
            }
        };
        written.map_err(|error| Failure::write(&self.name, &error))
    }
}

/// Shortens a file, and goes to its end. What is no regular file (`/dev/full`) has no length.
fn cut(file: &mut File, length: u64) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
    }
    Ok(())
}

/// A file that is written beside its place, and takes it when it is complete. What is no regular file (`/dev/null`) is
/// written in place.
pub(crate) struct Draft {
    /// Its path until then, and its place.
    places: Option<(PathBuf, PathBuf)>,
    name: String,
    file: File,
}

impl Draft {
    /// Starts to write what is to stand in a file; one that is there already may be refused.
    pub(crate) fn new(path: &Path, existing: Existing) -> Result<Self> {
        if existing == Existing::Refuse && path.exists() {
            let message = "exists already; --force replaces it";
            return Err(Failure::unusable(format_args!("{}: {message}", path.display())));
        }
        Self::of(path)
    }

    /// Starts to write anew what stands in a file.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
        let old = fs::metadata(path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            let file = open(path, Existing::Replace)?;
            return Ok(Draft { places: None, name, file });
        }
        // A link stays one: the file that it leads to is replaced.
        let target = if old.is_some() { path.canonicalize().map_err(unusable)? } else { path.to_owned() };
        let (part, file) = beside(&target).map_err(unusable)?;
        if let Some(old) = old {
            file.set_permissions(old.permissions()).map_err(unusable)?;
        }
        Ok(Draft { places: Some((part, target)), name, file })
    }

    /// An output that writes rows to it, under the name of the file whose place it is to take.
    pub(crate) fn output(&self, out: &OutFile) -> Result<Output> {
        Output::replace(self.file()?, out)
    }

    /// The file, to write to.
    pub(crate) fn file(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| Failure::unusable(format_args!("{}: {error}", self.name)))
    }

    /// Puts it in its place when it was written, and removes it when that failed.
    pub(crate) fn settle(&self, written: Result) -> Result {
        if !matches!(written, Ok(Exit::Success)) {
            self.discard();
            return written;
        }
        self.finish()?;
        written
    }

    /// Puts it in the other file's place.
    pub(crate) fn finish(&self) -> Result<()> {
        let Some((part, target)) = &self.places else { return Ok(()) };
        let renamed = self.file.sync_all().and_then(|()| fs::rename(part, target));
        renamed.map_err(|error| Failure::write(&self.name, &error))
    }

    /// Removes it.
    pub(crate) fn discard(&self) {
        if let Some((part, _)) = &self.places {
            // The message of the failure that led here matters more than one about this file.
            let _ = fs::remove_file(part);
        }
    }
}

/// Makes a file that is not there yet: `FILE.part`, or with a number behind where there is one.
fn beside(target: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 1;
    loop {
        let mut name = target.as_os_str().to_owned();
        name.push(if number == 1 { ".part".to_owned() } else { format!(".part{number}") });
        let path = PathBuf::from(name);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            file => return Ok((path, file?)),
        }
    }
}
