//! Files that processes which were killed have left beside their outputs, under the random names of [`random_name`].

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use super::identity::is_at;

/// The ending of random names, behind so many hexadecimal digits.
const ENDING: &str = ".part";
const DIGITS: usize = 16;

/// A name beside a file that nobody else chooses: `FILE.<16 digits>.part`.
pub(super) fn random_name(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    // Of its own random key for every table: the standard library's source of randomness.
    name.push(format!(".{:0DIGITS$x}{ENDING}", RandomState::new().hash_one(())));
    PathBuf::from(name)
}

/// The folder of a file.
pub(super) fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Removes what killed processes have left beside outputs in a folder, whose names are told by `is_output`. What a process that
/// runs is writing is locked, and stays. So does what cannot be removed, which is in nobody's way.
pub(crate) fn remove_leftovers(folder: &Path, is_output: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let target = name.to_str().and_then(target_of);
        if target.is_some_and(&is_output) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let path = entry.path();
            // What has been put in its place, or removed by another process, is no leftover any more.
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
                && is_at(&file, &path)
            {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// The name of the output that a random name is beside.
fn target_of(name: &str) -> Option<&str> {
    let (target, digits) = name.strip_suffix(ENDING)?.rsplit_once('.')?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == DIGITS && digits.bytes().all(is_digit)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_names_are_known_and_others_are_not() {
        let name = random_name(Path::new("folder/a.b.csv"));
        assert_eq!(target_of(name.file_name().unwrap().to_str().unwrap()), Some("a.b.csv"));
        assert_ne!(name, random_name(Path::new("folder/a.b.csv")));
        for name in ["a.csv", "a.csv.part", "a.csv.0123456789abcde.part", "a.csv.0123456789ABCDEF.part"] {
            assert_eq!(target_of(name), None, "{name}");
        }
    }
}
