//! The CUDA kernels, run on the CPU with blocks and threads in random order, do what their twins do. Three builds look for
//! wrong results, for accesses outside memory, and for races.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use common::cuda::{Open, reference, stages};
use common::harness::{Requirement, run};
use common::shim::{Build, Shim, host};

fn main() -> ExitCode {
    // Other random shapes and orders each time; a failure names them.
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let open = |build: Build| -> Open { Arc::new(move || Ok(Shim::start(&host(build)?, seed as u32)?)) };
    let mut trials = reference(Requirement::Shim, &open(Build::Plain));
    for build in Build::ALL {
        trials.extend(stages(build.name(), Requirement::Shim, &open(build), seed));
    }
    run(trials)
}
