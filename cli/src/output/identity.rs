//! The identity of files, by whatever names they are known.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::exit::{Failure, Result};

/// The identity of a file: two names, or a name and an open file, lead to one file where these are equal.
#[derive(PartialEq, Eq)]
pub(super) struct FileId(Id);

/// Device and inode.
#[cfg(unix)]
type Id = (u64, u64);
#[cfg(not(unix))]
type Id = same_file::Handle;

impl FileId {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        #[cfg(unix)]
        return file.metadata().map(|metadata| Self::of_metadata(&metadata));
        #[cfg(not(unix))]
        return file.try_clone().and_then(same_file::Handle::from_file).map(FileId);
    }

    pub(super) fn of_path(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        return path.metadata().map(|metadata| Self::of_metadata(&metadata));
        #[cfg(not(unix))]
        return same_file::Handle::from_path(path).map(FileId);
    }

    #[cfg(unix)]
    fn of_metadata(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        FileId((metadata.dev(), metadata.ino()))
    }

    /// That of an input; `-` is standard input.
    fn of_input(path: &Path) -> io::Result<Self> {
        if path != Path::new("-") {
            return Self::of_path(path);
        }
        Self::of(&file_of(&io::stdin())?)
    }
}

/// The file that a stream of this process is read from or written to.
#[cfg(unix)]
fn file_of(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn file_of(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    Ok(File::from(stream.as_handle().try_clone_to_owned()?))
}

/// Whether a path still leads to an open file: another process may have put a new file in its place.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    matches!((FileId::of(file), FileId::of_path(path)), (Ok(file), Ok(there)) if file == there)
}

/// Whether two paths lead to one file or folder.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((FileId::of_path(a), FileId::of_path(b)), (Ok(a), Ok(b)) if a == b)
}

/// Whether an input is the regular file that standard output is written to: what is read then comes behind what is written, without
/// an end. `-` is standard input.
pub(crate) fn is_stdout(input: &Path) -> bool {
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let stdout = io::stdout();
    let same = |stdout: &File| {
        let is_file = stdout.metadata().is_ok_and(|metadata| metadata.is_file());
        is_file && matches!((FileId::of_input(input), FileId::of(stdout)), (Ok(a), Ok(b)) if a == b)
    };
    file_of(&stdout).is_ok_and(|stdout| same(&stdout))
}

/// Refuses an output that is one of the inputs by any name; `-` is standard input. What is no regular file, such as a terminal,
/// may be both.
pub(crate) fn refuse_inputs<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    if !output.is_file() {
        return Ok(());
    }
    let Ok(id) = FileId::of_path(output) else { return Ok(()) };
    let same = |input: &&Path| FileId::of_input(input).is_ok_and(|input| input == id);
    match inputs.into_iter().find(same) {
        None => Ok(()),
        Some(input) if input == output => {
            Err(Failure::unusable(format_args!("{}: is the input, too", output.display())))
        }
        Some(input) => {
            let (output, input) = (output.display(), input.display());
            Err(Failure::unusable(format_args!("{output}: is the input {input}, too, by another name")))
        }
    }
}
