//! Folders with a file for each network of a run: kernels, and codes. A manifest in the folder says which run that is. Its shards
//! share the folder; others may not write to it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exit::{Failure, Result};
use crate::folder::Folder;
use crate::input::Shard;
use crate::interrupt;
use crate::output::{self, Existing};
use crate::text::{cut, shortened};

/// Name of the manifest, which lists of the folder leave out.
const MANIFEST: &str = ".naswot.json";
/// Most bytes of a manifest: some settings, and the names of files.
const LONGEST: u64 = 1 << 20;
/// Time to wait for another shard, which looks at the folder before it shares it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The manifest of a folder: what the files of its networks come from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Manifest {
    /// The networks. What a pipe brings is not known, and null.
    pub(crate) input: Map<String, Value>,
    /// The columns of rows that are equal in all rows of a run.
    pub(crate) settings: Map<String, Value>,
}

impl Manifest {
    /// What differs from that of another run, as a sentence that begins with the other's.
    fn difference(&self, other: &Self) -> Option<String> {
        let pairs = [(&self.input, &other.input), (&self.settings, &other.settings)];
        pairs.into_iter().find_map(|(own, other)| {
            let mut keys = other.keys().chain(own.keys());
            let key = keys.find(|key| own.get(*key) != other.get(*key))?;
            let text = |value: Option<&Value>| match value {
                None | Some(Value::Null) => "not known".to_owned(),
                Some(Value::String(text)) => shortened(text),
                Some(value) => value.to_string(),
            };
            Some(format!("{key} was {}, but is {} in this run", text(other.get(key)), text(own.get(key))))
        })
    }

    /// Whether it says which the networks are.
    fn knows_input(&self) -> bool {
        !self.input.values().any(Value::is_null)
    }
}

/// The run that writes to a folder.
pub(crate) struct Run<'a> {
    pub(crate) manifest: Manifest,
    pub(crate) shard: Shard,
    pub(crate) existing: Existing,
    /// Files that the run reads.
    pub(crate) inputs: Vec<&'a Path>,
}

/// A folder with files of the networks of one run, or of its shards, locked.
pub(crate) struct RunFolder {
    path: PathBuf,
    /// What the files are.
    what: &'static str,
    /// Its files, by ending.
    kinds: Vec<Folder>,
    own: Manifest,
    /// That of the files that are there.
    found: Option<Manifest>,
    shard: Shard,
    existing: Existing,
    file: File,
    /// Whether no other process uses the folder.
    alone: bool,
}

impl RunFolder {
    /// Opens and locks the folder, which is made where there is none. Nothing in it is changed yet.
    pub(crate) fn open(path: &Path, endings: &[&'static str], what: &'static str, run: &Run) -> Result<Self> {
        let open = |&ending: &&'static str| Folder::open(path, ending, run.inputs.iter().copied());
        let kinds = endings.iter().map(open).collect::<Result<Vec<_>>>()?;
        let (file, alone) = lock(&path.join(MANIFEST))?;
        let found = read(&file, &path.join(MANIFEST))?;
        let folder = RunFolder {
            path: path.to_owned(),
            what,
            kinds,
            own: run.manifest.clone(),
            found,
            shard: run.shard,
            existing: run.existing,
            file,
            alone,
        };
        folder.check()?;
        Ok(folder)
    }

    /// Checks whether this run may write to it.
    fn check(&self) -> Result<()> {
        let what = self.what;
        let numbers = self.numbers()?;
        let others = numbers.iter().any(|&number| !self.shard.holds(number));
        let own = numbers.iter().any(|&number| self.shard.holds(number));
        if self.existing == Existing::Refuse && own {
            let message = format!("holds {what} already; --resume goes on with them, --force replaces them");
            return Err(self.refused(message));
        }
        let Some(found) = &self.found else {
            let message = format_args!(
                "holds {what}, or files named like them, and no {MANIFEST} that says of which run: \
                 give another folder, or remove them"
            );
            return if numbers.is_empty() { Ok(()) } else { Err(self.refused(message)) };
        };
        let Some(difference) = self.own.difference(found) else { return Ok(()) };
        let same_settings = found.settings == self.own.settings;
        let message = match (self.alone, self.existing) {
            (false, _) => format!("another process is writing {what} of another run: {difference}"),
            (true, _) if numbers.is_empty() => return Ok(()),
            (true, Existing::Replace) if !others => return Ok(()),
            // Of the same settings, rows say whether they are of the same networks.
            (true, Existing::Continue) if !others && same_settings => return Ok(()),
            (true, _) => format!("holds {what} of another run: {difference}; give another folder"),
        };
        Err(self.refused(message))
    }

    /// Checks that its files belong to the rows that the run goes on with, where the manifest does not say so: the input may have
    /// grown, or its lines may have been mended. `last_row` is the index of the last row.
    pub(crate) fn check_rows(&self, last_row: impl FnOnce() -> Result<Option<usize>>) -> Result<()> {
        let mut numbers = self.numbers()?;
        numbers.retain(|&number| self.shard.holds(number));
        if self.existing != Existing::Continue || self.is_of_this_run() || numbers.is_empty() {
            return Ok(());
        }
        let last = last_row()?;
        // Each is written before its row, so there may be one without.
        let without = numbers.iter().filter(|&&number| last.is_none_or(|last| number > last)).count();
        if without <= 1 {
            return Ok(());
        }
        let what = self.what;
        let rows =
            last.map_or("there are no rows yet".to_owned(), |last| format!("rows end at index {last}"));
        let message = format!("holds {what} that no row is of ({rows}): are they of another run?");
        Err(self.refused(message))
    }

    /// Whether it has the manifest of this run, or no files yet.
    pub(crate) fn agrees(&self) -> bool {
        self.found.as_ref().is_none_or(|found| *found == self.own)
    }

    /// Whether the manifest says that its files are of the networks of this run.
    pub(crate) fn is_of_this_run(&self) -> bool {
        self.found.is_some() && self.agrees() && self.own.knows_input()
    }

    /// Removes what is to be replaced, says whose folder it is, and shares it with other shards.
    pub(crate) fn begin(&self) -> Result<()> {
        if self.existing == Existing::Replace {
            self.kinds.iter().try_for_each(|kind| kind.remove(|number| self.shard.holds(number)))?;
        }
        if !self.alone {
            return Ok(());
        }
        let manifest = self.path.join(MANIFEST);
        let failed = |error: io::Error| Failure::unusable(format_args!("{}: {error}", manifest.display()));
        if self.found.as_ref() != Some(&self.own) {
            write(&self.file, &self.own).map_err(failed)?;
        }
        self.file.unlock().map_err(failed)?;
        share(&self.file, &manifest)?;
        // Between the two locks another process may have taken the folder.
        match read(&self.file, &manifest)?.map(|found| self.own.difference(&found)) {
            Some(None) => Ok(()),
            found => {
                let difference = found.flatten().unwrap_or_default();
                Err(self.refused(format_args!("another process has taken it for another run: {difference}")))
            }
        }
    }

    /// The files of one ending.
    pub(crate) fn kind(&self, place: usize) -> &Folder {
        &self.kinds[place]
    }

    /// Whether a file that is there may be replaced: one whose row was not written.
    pub(crate) fn replaces(&self) -> bool {
        self.existing == Existing::Continue
    }

    /// Numbers of its files.
    fn numbers(&self) -> Result<Vec<usize>> {
        let files = self.kinds.iter().map(Folder::files).collect::<Result<Vec<_>>>()?;
        let mut numbers: Vec<usize> = files.into_iter().flatten().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    fn refused(&self, message: impl std::fmt::Display) -> Failure {
        Failure::unusable(format_args!("{}: {message}", self.path.display()))
    }
}

impl Drop for RunFolder {
    /// Removes the manifest where the run was refused before it has said anything in it.
    fn drop(&mut self) {
        if self.alone && self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            // It is in nobody's way.
            let _ = fs::remove_file(self.path.join(MANIFEST));
        }
    }
}

/// Opens and locks a manifest, which is created where there is none; whether nobody else has it.
fn lock(path: &Path) -> Result<(File, bool)> {
    let failed = |error: io::Error| Failure::unusable(format_args!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Whoever may write to the folder could have put a link to another file there.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    loop {
        let file = options.open(path).map_err(failed)?;
        let alone = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                share(&file, path)?;
                false
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        // A run that was refused may have removed it meanwhile, and one that was killed has written nothing to it.
        if output::is_at(&file, path) && (alone || file.metadata().map_err(failed)?.len() > 0) {
            return Ok((file, alone));
        }
    }
}

/// Shares a manifest with other shards; one of them may have it alone for a moment.
fn share(file: &File, path: &Path) -> Result<()> {
    let start = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                interrupt::check()?;
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let message = "another process is looking whether it may go on with this folder";
                return Err(Failure::unusable(format_args!("{}: {message}", path.display())));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Failure::unusable(format_args!("{}: {error}", path.display())));
            }
        }
    }
}

/// Writes a manifest over an older one, at once: blanks, which JSON may end with, cover what is longer there.
fn write(mut file: &File, manifest: &Manifest) -> io::Result<()> {
    let mut text = serde_json::to_vec(manifest)?;
    text.push(b'\n');
    let length = text.len() as u64;
    text.resize(length.max(file.metadata()?.len()) as usize, b' ');
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(length)?;
    file.sync_all()
}

/// Reads a manifest; none in a file that is new.
pub(crate) fn read(file: &File, path: &Path) -> Result<Option<Manifest>> {
    let mut text = String::new();
    let mut reader = file;
    reader
        .rewind()
        .and_then(|()| reader.take(LONGEST).read_to_string(&mut text))
        .map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))?;
    // After a loss of power it may hold zeros.
    if text.trim_matches(['\0', '\n']).is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let message =
            format!("is not what naswot writes there ({}); remove it with the files beside it", cut(error));
        Failure::unusable(format_args!("{}: {message}", path.display()))
    })
}
