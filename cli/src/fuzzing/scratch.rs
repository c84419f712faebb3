//! Inputs as files, for readers that open them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

thread_local! {
    /// A folder that lives as long as its thread.
    static FOLDER: TempDir = TempDir::new().unwrap_or_else(|error| unreachable!("no temporary folder: {error}"));
}

/// Calls a reader with a file of this name, which holds the input.
pub(super) fn with_file<T>(name: &str, input: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        let written = fs::write(&path, input);
        written.unwrap_or_else(|error| unreachable!("{}: {error}", path.display()));
        let value = read(&path);
        // ext4 writes a file to the disk at once where it is written again, a hundred times as slow as a new one.
        let removed = fs::remove_file(&path);
        removed.unwrap_or_else(|error| unreachable!("{}: {error}", path.display()));
        value
    })
}

/// Calls a reader with a folder in which there is nothing but a file of this name.
pub(super) fn with_folder<T>(name: &str, input: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    with_file(name, input, |path| {
        let Some(folder) = path.parent() else { unreachable!("{} is in a folder", path.display()) };
        read(folder)
    })
}
