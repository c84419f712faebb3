//! NVIDIA's compiler and disassembler, from wheels that `tests/setup.sh` installs into `.venv`: the virtual environment
//! that is active (`VIRTUAL_ENV`), else the package's.

use std::fs;
use std::path::{Path, PathBuf};

/// The compiler's library.
pub fn nvrtc() -> Result<PathBuf, String> {
    find("libnvrtc.so.", "lib")
}

/// The disassembler.
pub fn nvdisasm() -> Result<PathBuf, String> {
    find("nvdisasm", "bin")
}

/// A file by the start of its name, in a folder of one of NVIDIA's wheels.
fn find(start: &str, folder: &str) -> Result<PathBuf, String> {
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let venv = active.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv"));
    let entries =
        |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries(venv.join("lib"))
        .flat_map(|python| entries(python.join("site-packages/nvidia")))
        .flat_map(|wheel| entries(wheel.join(folder)))
        .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
        .ok_or_else(|| format!("no {start} in {}; run tests/setup.sh", venv.display()))
}
