//! NVIDIA's compilers, from wheels that `tests/setup.sh` installs into `.venv`: the virtual environment that is active
//! (`VIRTUAL_ENV`), else the repository's.

use std::fs;
use std::path::{Path, PathBuf};

/// The compiler of CUDA 13.
pub fn nvrtc() -> Result<PathBuf, String> {
    let venv = venv();
    let pythons = entries(&venv.join("lib"));
    let wheels = pythons.iter().flat_map(|python| entries(&python.join("site-packages/nvidia")));
    find(wheels.collect(), &venv)
}

/// The compiler of CUDA 12.
pub fn nvrtc12() -> Result<PathBuf, String> {
    let venv = venv();
    find(entries(&venv.join("nvrtc12/nvidia")), &venv)
}

/// A compiler of C.
pub fn c_compiler() -> Result<&'static str, String> {
    let works = |name: &&str| std::process::Command::new(name).arg("--version").output().is_ok();
    let found = ["cc", "clang-19"].into_iter().find(works);
    found.ok_or_else(|| "there is no compiler of C; run tests/setup.sh".to_owned())
}

fn venv() -> PathBuf {
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    active.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv"))
}

/// The library in one of some wheels' folders.
fn find(wheels: Vec<PathBuf>, venv: &Path) -> Result<PathBuf, String> {
    let files = wheels.iter().flat_map(|wheel| entries(&wheel.join("lib")));
    let is_library = |file: &PathBuf| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnvrtc.so."))
    };
    files
        .filter(is_library)
        .min()
        .ok_or_else(|| format!("no libnvrtc.so in {}; run tests/setup.sh", venv.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
