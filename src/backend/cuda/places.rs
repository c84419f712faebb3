//! Places where NVRTC may be: those that somebody has named, toolkits, environments of Python, and what the loader finds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf, absolute};
use std::{env, fs};

/// Files that may be NVRTC.
pub(super) struct Places {
    /// Files of the place that the user has named: they come before all others.
    pub(super) named: Vec<PathBuf>,
    /// Files of all other places, by their whole paths: a name alone would be looked for in the current folder, too, where
    /// `LD_LIBRARY_PATH` has an empty entry, and on Windows.
    pub(super) found: Vec<PathBuf>,
    /// What is wrong with the named place.
    pub(super) wrong: Option<String>,
}

impl Places {
    /// The places of this machine, where `asked` is a file or a folder that the user has named, else `NVRTC_PATH` is.
    pub(super) fn of_machine(asked: Option<&Path>) -> Self {
        let asked = asked.map(Path::to_owned).or_else(|| variable("NVRTC_PATH"));
        let asked = asked.map(|path| absolute(&path).unwrap_or(path));
        let named: Vec<PathBuf> = match &asked {
            Some(path) if path.is_file() => vec![path.clone()],
            Some(folder) => libraries(folder),
            None => Vec::new(),
        };
        let wrong = asked.filter(|_| named.is_empty()).map(|path| format!("{} is no NVRTC", path.display()));
        let found = folders().into_iter().filter(|folder| folder.is_absolute());
        Places { named, found: found.flat_map(|folder| libraries(&folder)).collect(), wrong }
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Folders in which the system's loader looks for libraries.
fn loaders() -> Vec<PathBuf> {
    let variable = env::var_os(if cfg!(windows) { "PATH" } else { "LD_LIBRARY_PATH" }).unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&variable).collect();
    let configured = entries(Path::new("/etc/ld.so.conf.d"), |name| name.ends_with(".conf"));
    for file in configured.into_iter().chain(["/etc/ld.so.conf".into()]) {
        let text = fs::read_to_string(file).unwrap_or_default();
        folders.extend(text.lines().map(|line| PathBuf::from(line.trim())));
    }
    folders.extend(["/usr/lib64", "/usr/lib", "/lib64", "/lib"].map(PathBuf::from));
    folders
}

/// Folders that may have it.
fn folders() -> Vec<PathBuf> {
    let mut toolkits: Vec<PathBuf> = ["CUDA_PATH", "CUDA_HOME", "CUDA_ROOT", "CUDA_TOOLKIT_PATH"]
        .into_iter()
        .filter_map(variable)
        .collect();
    let environments: Vec<PathBuf> =
        ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable).collect();
    toolkits.extend(environments.iter().cloned());
    toolkits.extend(entries(Path::new("/usr/local"), |name| name == "cuda" || name.starts_with("cuda-")));
    toolkits.push("/opt/cuda".into());
    let mut folders = loaders();
    folders.extend(toolkits.iter().flat_map(|root| toolkit(root)));
    let home = variable("HOME").map(|home| home.join(".local"));
    let roots = environments.into_iter().chain(home).chain(["/usr/local".into(), "/usr".into()]);
    folders.extend(roots.flat_map(|root| packages(&root)).flat_map(|packages| wheels(&packages)));
    // Of the wheel that holds the command: it lies beside `site-packages` or in it.
    let command = env::current_exe().ok();
    let beside = command.iter().flat_map(|command| command.ancestors().skip(2).take(1));
    folders.extend(beside.flat_map(packages).flat_map(|packages| wheels(&packages)));
    folders
}

/// Folders of a toolkit's libraries, as NVIDIA's installers and conda lay them out.
fn toolkit(root: &Path) -> Vec<PathBuf> {
    let mut folders = ["lib64", "lib", "bin", "bin/x64"].map(|folder| root.join(folder)).to_vec();
    folders.extend(entries(&root.join("targets"), |_| true).into_iter().map(|target| target.join("lib")));
    folders
}

/// The folders of Python's packages below the root of an environment.
fn packages(root: &Path) -> Vec<PathBuf> {
    let pythons = entries(&root.join("lib"), |name| name.starts_with("python3"));
    let pythons = pythons.into_iter().chain([root.join("Lib")]);
    pythons
        .flat_map(|python| ["site-packages", "dist-packages"].map(|packages| python.join(packages)))
        .collect()
}

/// The folders of NVRTC's wheels, those of CUDA 13 and of CUDA 12.
fn wheels(packages: &Path) -> [PathBuf; 5] {
    ["cu13/lib", "cu13/bin/x86_64", "cu13/bin", "cuda_nvrtc/lib", "cuda_nvrtc/bin"]
        .map(|wheel| packages.join("nvidia").join(wheel))
}

/// Files of a folder that are NVRTC by their names, the newest version first.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let mut files = entries(folder, is_nvrtc);
    files.reverse();
    files
}

fn is_nvrtc(name: &str) -> bool {
    let unix = name.strip_prefix("libnvrtc.so").is_some_and(|end| end.is_empty() || end.starts_with('.'));
    let windows = name.starts_with("nvrtc64_") && name.ends_with(".dll") && !name.contains("alt");
    unix || windows
}

/// The entries of a folder whose names fit, in their order.
fn entries(folder: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(&fits);
    let mut paths: Vec<PathBuf> = entries.filter(named).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_compiler_and_not_what_stands_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "libnvrtc.so.12",
            "libnvrtc-builtins.so.12.2",
            "libnvrtc.so.13",
            "libnvrtc.alt.so.13",
            "nvrtc64_120_0.dll",
        ];
        names.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        let expected =
            ["nvrtc64_120_0.dll", "libnvrtc.so.13", "libnvrtc.so.12"].map(|name| folder.path().join(name));
        assert_eq!(libraries(folder.path()), expected);
        assert!(libraries(&folder.path().join("none")).is_empty());
    }
}
