//! Outputs that are whole or nothing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::identity::{is_at, refuse_inputs};
use super::leftovers::{folder_of, remove_leftovers};
use super::lock::{lock_existing, open};
use super::new_file::NewFile;
use super::out_file::{Existing, OutFile};
use super::rows::Output;
use crate::exit::{Exit, Failure, Result};

/// An output that takes its place when it is complete, and of which nothing is left before. What is no regular file
/// (`/dev/null`) is written in place.
pub(crate) struct Draft {
    name: String,
    to: Destination,
}

enum Destination {
    InPlace(File),
    Beside {
        new: NewFile,
        target: PathBuf,
        existing: Existing,
        /// The file whose place it takes, locked.
        old: Option<File>,
    },
}

impl Draft {
    /// Starts to write what is to stand in a file, which may be none of the inputs; one that is there already may be refused.
    pub(crate) fn new<'a>(
        path: &Path,
        force: bool,
        inputs: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Self> {
        if !force && path.symlink_metadata().is_ok() {
            let message = "exists already; --force replaces it";
            return Err(Failure::unusable(format_args!("{}: {message}", path.display())));
        }
        refuse_inputs(path, inputs)?;
        let old = fs::metadata(path).ok();
        if old.is_some_and(|old| !old.is_file()) {
            let name = path.display().to_string();
            let in_place = |file| Ok(Draft { name, to: Destination::InPlace(file) });
            return open(path, Existing::Replace, in_place);
        }
        let old = if force { lock_existing(path)? } else { None };
        Self::beside(path, Existing::forced(force), old)
    }

    /// Starts to write anew what stands in a file that this process has locked. Nothing else is replaced.
    pub(crate) fn of_locked(path: &Path, locked: File) -> Result<Self> {
        Self::beside(path, Existing::Refuse, Some(locked))
    }

    fn beside(path: &Path, existing: Existing, old: Option<File>) -> Result<Self> {
        let name = path.display().to_string();
        let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
        // A link stays one: the file that it leads to is replaced.
        let target = if old.is_some() { path.canonicalize().map_err(unusable)? } else { path.to_owned() };
        let own = target.file_name().and_then(|name| name.to_str());
        remove_leftovers(folder_of(&target), |name| Some(name) == own);
        let new = NewFile::new(&target).map_err(unusable)?;
        if let Some(old) = &old {
            let permissions = old.metadata().map_err(unusable)?.permissions();
            new.file().set_permissions(permissions).map_err(unusable)?;
        }
        Ok(Draft { name, to: Destination::Beside { new, target, existing, old } })
    }

    /// An output that writes rows to it, under the name of the file whose place it is to take.
    pub(crate) fn output(&self, out: &OutFile) -> Result<Output> {
        Output::draft(self.file()?, out)
    }

    /// The file, to write to.
    pub(crate) fn file(&self) -> Result<File> {
        let file = match &self.to {
            Destination::InPlace(file) => file,
            Destination::Beside { new, .. } => new.file(),
        };
        file.try_clone().map_err(|error| Failure::unusable(format_args!("{}: {error}", self.name)))
    }

    /// Writes all of it.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.file()?.write_all(bytes).map_err(|error| Failure::write(&self.name, &error))
    }

    /// Puts it in its place when it was written; nothing is left of it when that failed.
    pub(crate) fn settle(self, written: Result) -> Result {
        if matches!(written, Ok(Exit::Success)) {
            self.finish()?;
        }
        written
    }

    /// Puts it in its place.
    pub(crate) fn finish(self) -> Result<()> {
        let Draft { name, to: Destination::Beside { mut new, target, existing, mut old } } = self else {
            return Ok(());
        };
        let failed = |error: io::Error| Failure::write(&name, &error);
        new.file().sync_all().map_err(failed)?;
        loop {
            // While the lock of the old one is held, nobody begins to write it, and whoever has opened it looks again.
            if old.as_ref().is_some_and(|old| is_at(old, &target)) {
                return new.replace().map_err(failed);
            }
            match new.link() {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
                Err(_) if existing == Existing::Refuse => {
                    let message = "exists by now, though not when this command began; --force replaces it";
                    return Err(Failure::unusable(format_args!("{name}: {message}")));
                }
                Err(_) if target.is_symlink() && !target.exists() => return new.replace().map_err(failed),
                Err(_) => old = lock_existing(&target)?,
                Ok(()) => return Ok(()),
            }
        }
    }
}
