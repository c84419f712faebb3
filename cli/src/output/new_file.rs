//! New files: complete before they have a name that anybody looks at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::identity::is_at;
use super::leftovers::random_name;

/// A file that is written before it takes its place, locked by this process. On Linux it has no name until then, so that nothing
/// is left of it where the process is killed; where a file system has no such files, as everywhere else, it has a random name
/// beside its place.
pub(crate) struct NewFile {
    file: File,
    target: PathBuf,
    /// Its random name, where it has one.
    beside: Option<PathBuf>,
}

impl NewFile {
    /// Makes a file that is to stand at a path.
    pub(crate) fn new(target: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(file) = nameless::create(target)? {
            return Ok(NewFile { file, target: target.to_owned(), beside: None });
        }
        Self::named(target)
    }

    /// Makes one that has a random name.
    fn named(target: &Path) -> io::Result<Self> {
        loop {
            let path = random_name(target);
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                // A process that looks for leftovers may have come between.
                Ok(file) if file.try_lock().is_err() || !is_at(&file, &path) => {}
                Ok(file) => return Ok(NewFile { file, target: target.to_owned(), beside: Some(path) }),
            }
        }
    }

    /// The file, to write to.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in its place, where nothing may stand: that is [`ErrorKind::AlreadyExists`].
    pub(crate) fn link(&mut self) -> io::Result<()> {
        match &self.beside {
            #[cfg(target_os = "linux")]
            None => nameless::link(&self.file, &self.target)?,
            #[cfg(not(target_os = "linux"))]
            None => unreachable!("a new file that has no name"),
            Some(beside) => rename_new(beside, &self.target)?,
        }
        self.beside = None;
        Ok(())
    }

    /// Puts it in its place, and away with what stands there.
    pub(crate) fn replace(&mut self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        while self.beside.is_none() {
            let beside = random_name(&self.target);
            match nameless::link(&self.file, &beside) {
                Ok(()) => self.beside = Some(beside),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(beside) = &self.beside {
            fs::rename(beside, &self.target)?;
            self.beside = None;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // What led here matters more than a message about this file, and the next run removes it.
            let _ = fs::remove_file(beside);
        }
    }
}

/// Renames a file, unless the new name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without this form, such as NFS.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            renamed => return Ok(renamed?),
        }
    }
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Files without a name, which only Linux has.
#[cfg(target_os = "linux")]
mod nameless {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::{Path, PathBuf};

    use rustix::fs::{AtFlags, CWD, OFlags, linkat};
    use rustix::io::Errno;

    use crate::output::leftovers::folder_of;

    /// Makes a file in the folder of a path; none where there cannot be such files.
    pub(super) fn create(target: &Path) -> io::Result<Option<File>> {
        let flags = OFlags::TMPFILE.bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(folder_of(target));
        match file {
            // Without /proc it could get no name (open(2), O_TMPFILE).
            Ok(file) if path_of(&file).exists() => Ok(file.try_lock().is_ok().then_some(file)),
            Ok(_) => Ok(None),
            Err(error) => match Errno::from_io_error(&error) {
                // Of file systems without them, and of kernels before 3.11.
                Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Gives it a name that is not taken.
    pub(super) fn link(file: &File, path: &Path) -> io::Result<()> {
        Ok(linkat(CWD, path_of(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn path_of(file: &File) -> PathBuf {
        format!("/proc/self/fd/{}", file.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::output::leftovers::remove_leftovers;

    fn names(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_takes_its_place_whole_and_only_where_nothing_stands() {
        for new in [NewFile::new, NewFile::named] {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("out");
            let write = |text: &str| {
                let file = new(&target).unwrap();
                file.file().write_all(text.as_bytes()).unwrap();
                file
            };
            let mut first = write("first");
            assert!(!target.exists());
            // What is written is locked, and no leftover.
            remove_leftovers(folder.path(), |name| name == "out");
            first.link().unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), "first");
            let mut second = write("second");
            assert_eq!(second.link().unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&target).unwrap(), "first");
            second.replace().unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), "second");
            drop(write("third"));
            assert_eq!(names(folder.path()), ["out"]);
        }
    }

    #[test]
    fn what_a_killed_process_has_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = NewFile::named(&folder.path().join("out")).unwrap();
        // Without its end, in which it would be removed.
        let descriptor = file.file.try_clone().unwrap();
        std::mem::forget(file);
        descriptor.unlock().unwrap();
        remove_leftovers(folder.path(), |name| name == "other");
        assert_eq!(names(folder.path()).len(), 1);
        remove_leftovers(folder.path(), |name| name == "out");
        assert!(names(folder.path()).is_empty());
    }
}
