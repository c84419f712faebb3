//! Folders of files that are named by a number.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::{Failure, Result};
use crate::output::Existing;

/// A folder of files `<number>.<ending>`.
pub(crate) struct Folder {
    path: PathBuf,
    /// The ending of their names, with its dot.
    ending: &'static str,
}

impl Folder {
    /// Opens the folder, which is made where there is none. Files of an earlier run, which hold `what`, may be refused.
    pub(crate) fn open(path: &Path, ending: &'static str, what: &str, existing: Existing) -> Result<Self> {
        let name = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Failure::unusable(format_args!("{name}: is no folder")));
        }
        fs::create_dir_all(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
        let folder = Folder { path: path.to_owned(), ending };
        if existing == Existing::Refuse && !folder.all()?.is_empty() {
            let message = format!("holds {what} already; --resume goes on with them, --force replaces them");
            return Err(Failure::unusable(format_args!("{name}: {message}")));
        }
        Ok(folder)
    }

    /// Path of the file of a number.
    pub(crate) fn file(&self, number: usize) -> PathBuf {
        self.path.join(format!("{number}{}", self.ending))
    }

    /// Makes the file of a number: whole, or not at all.
    pub(crate) fn write(&self, number: usize, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
        let path = self.file(number);
        let part = self.path.join(format!("{number}{}.part", self.ending));
        let placed = make(&part).and_then(|()| fs::rename(&part, &path));
        placed.map_err(|error| {
            // The message of the failure that led here matters more than one about this file.
            let _ = fs::remove_file(&part);
            Failure::stopped(format_args!("{}: {error}", path.display()))
        })
    }

    /// Removes all its files but one.
    pub(crate) fn clear(&self, but: Option<&Path>) -> Result<()> {
        let remove = |path: PathBuf| {
            fs::remove_file(&path)
                .map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))
        };
        self.all()?.into_iter().filter(|path| but != Some(path)).try_for_each(remove)
    }

    fn all(&self) -> Result<Vec<PathBuf>> {
        let paths = fs::read_dir(&self.path).and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.filter(|path| path.as_ref().map_or(true, |path| self.names(path))).collect()
        });
        paths.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.path.display())))
    }

    /// Whether a file is named as one of its own.
    fn names(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(self.ending));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}
