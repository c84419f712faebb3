//! Files of what takes long to make, so that only the first run waits for it: compiled kernels, the hashes of a space. A
//! cache is never needed: what cannot be read or written is made again.
//!
//! What is kept is believed, kernels even run; a checksum finds damage, and no forger. So folder and files have to be the
//! user's own, or root's, and nobody else's to write.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
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

/// Why the folder that there is is not used; none where it is, or is not there yet.
pub fn cache_refusal() -> Option<String> {
    let folder = folder()?;
    let why = others(&fs::metadata(&folder).ok()?)?;
    Some(format!("{}: the cache is not used: {why}", folder.display()))
}

/// Why somebody else may have written a file or a folder.
#[cfg(unix)]
fn others(metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return Some(format!("it belongs to user {owner}, and this is user {user}"));
    }
    let writable = metadata.mode() & 0o022 != 0;
    writable.then(|| "other users may write to it; `chmod go-w` takes that away".to_owned())
}

/// Elsewhere the user's folder has rights of its own, which its files inherit.
#[cfg(not(unix))]
fn others(_metadata: &Metadata) -> Option<String> {
    None
}

fn is_own(metadata: &Metadata) -> bool {
    others(metadata).is_none()
}

/// What a folder holds under a name; none where there is nothing, it is damaged or may be somebody else's.
pub(crate) fn read(folder: &Path, name: &str) -> Option<Vec<u8>> {
    if !is_own(&fs::metadata(folder).ok()?) {
        return None;
    }
    let mut file = File::open(folder.join(name)).ok()?;
    // Of the file that is open, whatever stands in its place by now.
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !is_own(&metadata) {
        return None;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let content = bytes.get(CHECKSUM..)?;
    if Sha256::digest(content)[..] != bytes[..CHECKSUM] {
        return None;
    }
    Some(bytes.split_off(CHECKSUM))
}

/// Keeps something under a name. Others see the whole file or none.
pub(crate) fn write(folder: &Path, name: &str, content: &[u8]) {
    if make(folder).is_err() || !fs::metadata(folder).is_ok_and(|metadata| is_own(&metadata)) {
        return;
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let draft = folder.join(format!("{name}.{}-{time}", process::id()));
    // A file that is there, or a link of that name, is not ours to write.
    let Ok(file) = options().open(&draft) else { return };
    if fill(file, content).and_then(|()| fs::rename(&draft, folder.join(name))).is_err() {
        // Where it cannot even be removed, it is left.
        let _ = fs::remove_file(draft);
    }
}

fn fill(mut file: File, content: &[u8]) -> io::Result<()> {
    file.write_all(&Sha256::digest(content)[..])?;
    file.write_all(content)
}

/// Options that make a new file, which nobody else may write.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options
}

/// Makes a folder, in which nobody else may write, where there is none.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.create(folder)
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

    #[test]
    #[cfg(unix)]
    fn what_others_may_have_written_is_not_there() {
        use std::os::unix::fs::{PermissionsExt, chown};

        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        write(&folder, "k", b"content");
        let file = folder.join("k");
        for path in [&folder, &file] {
            let own = fs::metadata(path).unwrap().permissions();
            for mode in [own.mode() | 0o020, own.mode() | 0o002] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(read(&folder, "k"), None, "{}", path.display());
            }
            fs::set_permissions(path, own).unwrap();
            assert_eq!(read(&folder, "k").unwrap(), b"content");
            // Root alone can give a file away.
            if rustix::process::geteuid().is_root() {
                chown(path, Some(12345), None).unwrap();
                assert_eq!(read(&folder, "k"), None, "{}", path.display());
                chown(path, Some(0), None).unwrap();
            }
        }
        // Nothing is written into a folder that others may write to.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        write(&folder, "l", b"content");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(others(&fs::metadata(&folder).unwrap()).unwrap().contains("chmod go-w"));
    }
}
