//! Compiled kernels on disk: one file a source, options, compiler and architecture, so that only the first run of a
//! version waits for the compiler. A cache is never needed: what cannot be read or written is compiled again.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use sha2::{Digest, Sha256};

use crate::digest::sha256_hex;

/// Bytes of the checksum that a file starts with.
const CHECKSUM: usize = 32;

/// The folder: `NASWOT_CACHE_DIR`, else one in the user's cache folder; none where the user has none.
pub(super) fn folder() -> Option<PathBuf> {
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

/// The name of what is made from some texts.
pub(super) fn key<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    // Lengths too, so that no two lists of texts are one.
    sha256_hex(texts.into_iter().flat_map(|text| [format!("{} ", text.len()), text.to_owned()]))
}

/// What a folder holds under a key; none where there is nothing or it is damaged.
pub(super) fn read(folder: &Path, key: &str) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path(folder, key)).ok()?;
    let content = bytes.get(CHECKSUM..)?;
    if Sha256::digest(content)[..] != bytes[..CHECKSUM] {
        return None;
    }
    Some(bytes.split_off(CHECKSUM))
}

/// Keeps something under a key. Others see the whole file or none.
pub(super) fn write(folder: &Path, key: &str, content: &[u8]) {
    let (to, mine) = (path(folder, key), folder.join(format!("{key}.{}", process::id())));
    let bytes = [&Sha256::digest(content)[..], content].concat();
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&mine, bytes));
    if written.and_then(|()| fs::rename(&mine, to)).is_err() {
        // It may not have been made at all.
        let _ = fs::remove_file(mine);
    }
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.cubin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_texts_apart() {
        assert_ne!(key(["ab", "c"]), key(["a", "bc"]));
        assert_eq!(key(["ab", "c"]), key(["ab", "c"]));
    }

    #[test]
    fn what_is_damaged_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        assert_eq!(read(&folder, "k"), None);
        write(&folder, "k", b"content");
        assert_eq!(read(&folder, "k").unwrap(), b"content");
        let file = path(&folder, "k");
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
