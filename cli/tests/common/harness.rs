//! Tests that need something that is not on every machine. One whose requirement is missing is reported as ignored, with
//! the reason in front of its name, and never as passed; `NASWOT_REQUIRE=browser,wgpu` (or `all`) makes it fail instead.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::wheels;

pub type Outcome = Result<(), Box<dyn Error>>;

/// What a test may need beside the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Real images and tables of benchmarks: `NASWOT_DATA`, else `../shared/data` beside the repository.
    Data,
    /// An adapter for the WGSL backend, a software one at least.
    Wgpu,
    /// Mesa's software adapter, and a compiler of C for a layer over it.
    Lavapipe,
    /// Chromium, in which pages are opened.
    Browser,
    /// NVIDIA's compilers of CUDA 12 and 13, and one of C.
    Nvrtc,
}

impl Requirement {
    /// Its name in `NASWOT_REQUIRE`.
    fn name(self) -> &'static str {
        match self {
            Requirement::Data => "data",
            Requirement::Wgpu | Requirement::Lavapipe => "wgpu",
            Requirement::Browser => "browser",
            Requirement::Nvrtc => "nvrtc",
        }
    }

    /// Why it is missing and what to do; none where it is there.
    fn missing(self) -> Option<String> {
        match self {
            Requirement::Data => data().err(),
            Requirement::Wgpu => {
                let devices = naswot::devices();
                let mut adapters = devices.iter().filter(|device| device.backend.starts_with("wgpu"));
                if adapters.clone().any(|device| device.unusable.is_none()) {
                    return None;
                }
                adapters.find_map(|device| device.unusable.clone())
            }
            Requirement::Lavapipe => lavapipe().and(wheels::c_compiler()).err(),
            Requirement::Browser => super::browser::chromium().err(),
            Requirement::Nvrtc => wheels::nvrtc().and(wheels::nvrtc12()).and(wheels::c_compiler()).err(),
        }
    }

    fn is_mandatory(self) -> bool {
        let wanted = std::env::var("NASWOT_REQUIRE").unwrap_or_default();
        wanted.split(',').any(|name| name.trim() == self.name() || name.trim() == "all")
    }
}

/// The file that tells Vulkan's loader of Mesa's software adapter.
pub fn lavapipe() -> Result<PathBuf, String> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].map(std::fs::read_dir);
    let mut files = folders.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    let is_lavapipe =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"));
    files.find(is_lavapipe).ok_or_else(|| "no lavapipe; tests/setup.sh installs it".to_owned())
}

/// The folder of real images and tables, or why there is none and what to do.
pub fn data() -> Result<PathBuf, String> {
    let asked = std::env::var_os("NASWOT_DATA").map(PathBuf::from);
    let folder = asked.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    if folder.is_dir() { Ok(folder) } else { Err(format!("no {}; set NASWOT_DATA", folder.display())) }
}

/// A test that needs nothing.
pub fn plain(name: &str, test: fn() -> Outcome) -> Trial {
    Trial::test(name, move || test().map_err(|why| Failed::from(why.to_string())))
}

/// A test of what may be missing.
pub fn needs(requirement: Requirement, name: &str, test: fn() -> Outcome) -> Trial {
    needs_all(&[requirement], name, test)
}

/// A test of several things that may be missing.
pub fn needs_all(requirements: &[Requirement], name: &str, test: fn() -> Outcome) -> Trial {
    let missing = requirements.iter().find_map(|requirement| Some((requirement, requirement.missing()?)));
    let Some((requirement, why)) = missing else { return plain(name, test) };
    let kind = format!("needs {}: {why}", requirement.name());
    let trial = Trial::test(name, move || Err(Failed::from(why)));
    trial.with_ignored_flag(!requirement.is_mandatory()).with_kind(kind)
}

/// Runs a test file's trials.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
