//! Locks on outputs: one process at a time writes a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::identity::is_at;
use super::out_file::Existing;
use crate::exit::{Failure, Result};

/// Opens and locks a file, which is created where there is none, and begins to write it. Its content is left alone before, and not
/// looked at before the lock. Where it cannot begin, a file that was created is removed again.
pub(crate) fn open<T>(path: &Path, existing: Existing, begin: impl FnOnce(File) -> Result<T>) -> Result<T> {
    let (file, new) = open_locked(path, existing)?;
    // As long as it is locked, no other process begins to write it.
    let locked = file.try_clone().map_err(|error| unusable(path, &error))?;
    begin(file).inspect_err(|_| {
        if new && is_at(&locked, path) {
            // The message matters more.
            let _ = fs::remove_file(path);
        }
    })
}

/// Opens and locks a file; whether it was created.
fn open_locked(path: &Path, existing: Existing) -> Result<(File, bool)> {
    let unusable = |error: io::Error| unusable(path, &error);
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    loop {
        let (file, new) = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                (options.open(path).map_err(unusable)?, false)
            }
            file => (file.map_err(unusable)?, true),
        };
        lock(&file, path)?;
        if file.metadata().map_err(unusable)?.is_file() && !is_at(&file, path) {
            // Between opening and locking, another process has put a new file in its place.
            continue;
        }
        if existing == Existing::Refuse && !new {
            let message = "exists already; --resume goes on with it, --force replaces it";
            return Err(Failure::unusable(format_args!("{}: {message}", path.display())));
        }
        return Ok((file, new));
    }
}

/// Locks a file, whose name is to be `path`.
fn lock(file: &File, path: &Path) -> Result<()> {
    let name = path.display();
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Failure::unusable(format_args!("{name}: another process is writing it")),
        TryLockError::Error(error) => Failure::unusable(format_args!("{name}: cannot be locked: {error}")),
    })
}

/// Locks the file that is to be replaced; none where there is none.
pub(super) fn lock_existing(path: &Path) -> Result<Option<File>> {
    loop {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error)),
        };
        lock(&file, path)?;
        if is_at(&file, path) {
            return Ok(Some(file));
        }
    }
}

/// Removes a file that no process writes.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let Some(_locked) = lock_existing(path)? else { return Ok(()) };
    fs::remove_file(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::unusable(format_args!("{}: {error}", path.display()))
}
