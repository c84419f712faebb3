//! Folders of files that are named by a number.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::exit::{Failure, Result};
use crate::output::{self, NewFile};

/// A folder of files `<number>.<ending>`.
pub(crate) struct Folder {
    path: PathBuf,
    /// The ending of their names, with its dot.
    ending: &'static str,
}

impl Folder {
    /// Opens the folder, which is made where there is none. None of its files may be an input.
    pub(crate) fn open<'a>(
        path: &Path,
        ending: &'static str,
        inputs: impl IntoIterator<Item = &'a Path> + Clone,
    ) -> Result<Self> {
        let name = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Failure::unusable(format_args!("{name}: is no folder")));
        }
        fs::create_dir_all(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
        let folder = Folder { path: path.to_owned(), ending };
        for (_, file) in folder.files()? {
            output::refuse_inputs(&file, inputs.clone())?;
        }
        output::remove_leftovers(path, |name| folder.number(name).is_some());
        Ok(folder)
    }

    /// Path of the file of a number.
    pub(crate) fn file(&self, number: usize) -> PathBuf {
        self.path.join(format!("{number}{}", self.ending))
    }

    /// Makes the file of a number, whole or not at all; one that is there may be replaced.
    pub(crate) fn write(
        &self,
        number: usize,
        replace: bool,
        make: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<()> {
        let path = self.file(number);
        let placed = NewFile::new(&path).and_then(|mut new| {
            make(new.file())?;
            match new.link() {
                Err(error) if replace && error.kind() == ErrorKind::AlreadyExists => new.replace(),
                linked => linked,
            }
        });
        placed.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Failure::stopped(format_args!("{}: another process has written it", path.display()))
            }
            _ => Failure::stopped(format_args!("{}: {error}", path.display())),
        })
    }

    /// Copies the file of one number for another.
    pub(crate) fn copy(&self, from: usize, number: usize, replace: bool) -> Result<()> {
        self.write(number, replace, |mut file| {
            io::copy(&mut File::open(self.file(from))?, &mut file).map(drop)
        })
    }

    /// Removes the files of some numbers, none of which another process may be writing.
    pub(crate) fn remove(&self, which: impl Fn(usize) -> bool) -> Result<()> {
        let files = self.files()?.into_iter().filter(|(number, _)| which(*number));
        files.map(|(_, path)| path).try_for_each(|path| output::remove(&path))
    }

    /// Its files, each with its number.
    pub(crate) fn files(&self) -> Result<Vec<(usize, PathBuf)>> {
        let files = fs::read_dir(&self.path).and_then(|entries| {
            let numbered = |entry: io::Result<fs::DirEntry>| -> io::Result<Option<(usize, PathBuf)>> {
                let entry = entry?;
                let number = entry.file_name().to_str().and_then(|name| self.number(name));
                Ok(number.map(|number| (number, entry.path())))
            };
            entries.filter_map(|entry| numbered(entry).transpose()).collect()
        });
        files.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.path.display())))
    }

    /// The number of one of its own names.
    fn number(&self, name: &str) -> Option<usize> {
        let number = name.strip_suffix(self.ending)?.parse().ok()?;
        (format!("{number}{}", self.ending) == name).then_some(number)
    }
}
