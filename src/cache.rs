//! Files of what takes long to make, so that only the first run waits for it: compiled kernels, the hashes of a space. A
//! cache is never needed: what cannot be read or written is made again.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use sha2::{Digest, Sha256};

/// Bytes of the checksum that a file starts with.
const CHECKSUM: usize = 32;

/// The folder: `NASWOT_CACHE_DIR`, else one in the user's cache folder; none where the user has none.
pub(crate) fn folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let users = || {
        if cfg!(windows) {
            set("LOCALAPPDATA")
        } else {
            set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))
        }
    };
    set("NASWOT_CACHE_DIR").or_else(|| Some(users()?.join("naswot")))
}

/// What a folder holds under a name; none where there is nothing or it is damaged.
pub(crate) fn read(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let mut bytes = fs::read(folder.join(name)).ok()?;
    let content = bytes.get(CHECKSUM..)?;
    if Sha256::digest(content)[..] != bytes[..CHECKSUM] {
        return None;
    }
    Some(bytes.split_off(CHECKSUM))
}

/// Keeps something under a name. Others see the whole file or none.
pub(crate) fn write(folder: &Path, name: &str, content: &[u8]) {
    let (to, mine) = (folder.join(name), folder.join(format!("{name}.{}", process::id())));
    let bytes = [&Sha256::digest(content)[..], content].concat();
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&mine, bytes));
    if written.and_then(|()| fs::rename(&mine, to)).is_err() {
        // It may not have been made at all.
        let _ = fs::remove_file(mine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        assert_eq!(read(&folder, "k"), None);
        write(&folder, "k", b"content");
        assert_eq!(read(&folder, "k").unwrap(), b"content");
        let file = folder.join("k");
        let mut bytes = fs::read(&file).unwrap();
        for cut in [0, CHECKSUM - 1, CHECKSUM, bytes.len() - 1] {
            fs::write(&file, &bytes[..cut]).unwrap();
            assert_eq!(read(&folder, "k"), None, "{cut}");
        }
        bytes[CHECKSUM + 2] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(read(&folder, "k"), None);
        // It is made again, and no other file stays.
        write(&folder, "k", b"content");
        assert_eq!(read(&folder, "k").unwrap(), b"content");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(&file.path().join("inside a file"), "k", b"content");
        assert_eq!(read(file.path(), "k"), None);
    }
}
