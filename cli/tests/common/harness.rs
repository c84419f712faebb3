//! Tests that need something that is not on every machine. One whose requirement is missing is reported as ignored, with
//! the reason in front of its name, and never as passed; `NASWOT_REQUIRE=browser,wgpu` (or `all`) makes it fail instead.

use std::error::Error;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::wheels;

pub type Outcome = Result<(), Box<dyn Error>>;

/// What a test may need beside the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// An adapter for the WGSL backend, a software one at least.
    Wgpu,
    /// Chromium, in which pages are opened.
    Browser,
    /// NVIDIA's compilers of CUDA 12 and 13, and one of C.
    Nvrtc,
}

impl Requirement {
    /// Its name in `NASWOT_REQUIRE`.
    fn name(self) -> &'static str {
        match self {
            Requirement::Wgpu => "wgpu",
            Requirement::Browser => "browser",
            Requirement::Nvrtc => "nvrtc",
        }
    }

    /// Why it is missing and what to do; none where it is there.
    fn missing(self) -> Option<String> {
        match self {
            Requirement::Wgpu => {
                let devices = naswot::devices();
                let mut adapters = devices.iter().filter(|device| device.backend.starts_with("wgpu"));
                if adapters.clone().any(|device| device.unusable.is_none()) {
                    return None;
                }
                adapters.find_map(|device| device.unusable.clone())
            }
            Requirement::Browser => super::browser::chromium().err(),
            Requirement::Nvrtc => wheels::nvrtc().and(wheels::nvrtc12()).and(wheels::c_compiler()).err(),
        }
    }

    fn is_mandatory(self) -> bool {
        let wanted = std::env::var("NASWOT_REQUIRE").unwrap_or_default();
        wanted.split(',').any(|name| name.trim() == self.name() || name.trim() == "all")
    }
}

/// A test that needs nothing.
pub fn plain(name: &str, test: fn() -> Outcome) -> Trial {
    Trial::test(name, move || test().map_err(|why| Failed::from(why.to_string())))
}

/// A test of what may be missing.
pub fn needs(requirement: Requirement, name: &str, test: fn() -> Outcome) -> Trial {
    let Some(why) = requirement.missing() else { return plain(name, test) };
    let kind = format!("needs {}: {why}", requirement.name());
    let trial = Trial::test(name, move || Err(Failed::from(why)));
    trial.with_ignored_flag(!requirement.is_mandatory()).with_kind(kind)
}

/// Runs a test file's trials.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
