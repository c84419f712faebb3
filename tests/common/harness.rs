//! Tests that need something that is not in every checkout. One whose requirement is missing is reported as
//! ignored, with the reason in front of its name, and never as passed; `NASWOT_REQUIRE=data,reference` (or `all`)
//! makes it fail instead.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Failed, Trial};

/// A requirement of a test beside the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Real images and tables of benchmarks: `NASWOT_DATA`, else `../shared/data` beside the package.
    Data,
    /// PyTorch's results: `NASWOT_REFERENCE`, else `tests/reference`, which the published package leaves out.
    Reference,
    /// An adapter for the WGSL backend, a software one at least.
    Wgpu,
    /// The compiler of the shim, which runs CUDA kernels on the CPU.
    Shim,
    /// NVIDIA's compiler of CUDA kernels, and its disassembler.
    Nvrtc,
    /// An NVIDIA GPU.
    Cuda,
}

impl Requirement {
    /// Its name in `NASWOT_REQUIRE`.
    fn name(self) -> &'static str {
        match self {
            Requirement::Data => "data",
            Requirement::Reference => "reference",
            Requirement::Wgpu => "wgpu",
            Requirement::Shim => "shim",
            Requirement::Nvrtc => "nvrtc",
            Requirement::Cuda => "cuda",
        }
    }

    /// Why it is missing and what to do; none where it is there.
    fn missing(self) -> Option<String> {
        match self {
            Requirement::Wgpu | Requirement::Cuda => {
                // Looked for once: each look loads the kernels of every GPU.
                static DEVICES: OnceLock<Vec<naswot::Device>> = OnceLock::new();
                let devices = DEVICES.get_or_init(naswot::devices);
                let mut adapters = devices.iter().filter(|device| device.backend.starts_with(self.name()));
                if adapters.clone().any(|device| device.unusable.is_none()) {
                    return None;
                }
                adapters.find_map(|device| device.unusable.clone())
            }
            #[cfg(feature = "cuda")]
            Requirement::Shim => super::shim::compiler().err(),
            #[cfg(feature = "cuda")]
            Requirement::Nvrtc => super::wheels::nvrtc().and_then(|_| super::wheels::nvdisasm()).err(),
            _ => self.folder().err(),
        }
    }

    /// The folder, or why there is none and what to do.
    fn folder(self) -> Result<PathBuf, String> {
        // Binaries may have been built elsewhere.
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let (folder, remedy) = match self {
            Requirement::Data => {
                let asked = std::env::var_os("NASWOT_DATA").map(PathBuf::from);
                (asked.unwrap_or_else(|| package.join("../shared/data")), "set NASWOT_DATA")
            }
            Requirement::Reference => {
                let asked = std::env::var_os("NASWOT_REFERENCE").map(PathBuf::from);
                let remedy = "set NASWOT_REFERENCE to tests/reference of the repository";
                (asked.unwrap_or_else(|| package.join("tests/reference")), remedy)
            }
            Requirement::Wgpu | Requirement::Shim | Requirement::Nvrtc | Requirement::Cuda => {
                return Ok(package);
            }
        };
        if folder.is_dir() { Ok(folder) } else { Err(format!("no {}; {remedy}", folder.display())) }
    }

    fn is_mandatory(self) -> bool {
        let wanted = std::env::var("NASWOT_REQUIRE").unwrap_or_default();
        wanted.split(',').any(|name| name.trim() == self.name() || name.trim() == "all")
    }
}

/// A test that reads a required folder.
pub fn needs(
    requirement: Requirement,
    name: &str,
    test: impl FnOnce(&Path) -> Result<(), Box<dyn Error>> + Send + 'static,
) -> Trial {
    needs_all(&[requirement], name, test)
}

/// A test that needs several things; it reads the folder of the first.
pub fn needs_all(
    requirements: &[Requirement],
    name: &str,
    test: impl FnOnce(&Path) -> Result<(), Box<dyn Error>> + Send + 'static,
) -> Trial {
    let missing = requirements.iter().find_map(|requirement| Some((*requirement, requirement.missing()?)));
    match (missing, requirements[0].folder()) {
        (None, Ok(folder)) => {
            Trial::test(name, move || test(&folder).map_err(|why| Failed::from(why.to_string())))
        }
        (missing, folder) => {
            let why = || folder.err().unwrap_or_default();
            let (requirement, why) = missing.unwrap_or_else(|| (requirements[0], why()));
            let kind = format!("needs {}: {why}", requirement.name());
            let trial = Trial::test(name, move || Err(Failed::from(why)));
            trial.with_ignored_flag(!requirement.is_mandatory()).with_kind(kind)
        }
    }
}

/// Runs a test file's trials one after the other, unless the command line says how many at a time.
pub fn run_one_by_one(trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs a test file's trials.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
