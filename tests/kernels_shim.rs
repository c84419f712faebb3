//! The CUDA kernels, run on the CPU with blocks and threads in random order, do what their twins do. Three builds look for
//! wrong results, for accesses outside memory, and for races.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use common::cuda::{Open, reference, stages};
use common::harness::{Requirement, run};
use common::shim::{Build, Shim, host};
use naswot::testing::cuda::ComputeCapability;

fn main() -> ExitCode {
    // Other random shapes and orders each time; a failure names them.
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let open = |capability: ComputeCapability, build: Build| -> Open {
        Arc::new(move || Ok(Shim::start_as(capability, &host(build)?, seed as u32)?))
    };
    let mut trials = Vec::new();
    let mut seen: Vec<Vec<&str>> = Vec::new();
    for (position, capability) in ComputeCapability::all().into_iter().enumerate() {
        let kernels: Vec<&str> = capability.kernels().map(|kernel| kernel.name).collect();
        if seen.contains(&kernels) {
            continue;
        }
        seen.push(kernels);
        // Kernels of later architectures have names of their own.
        let suffix = if position == 0 { String::new() } else { format!(" from {capability} on") };
        for build in Build::ALL {
            let name = format!("{}{suffix}", build.name());
            trials.extend(stages(&name, Requirement::Shim, &open(capability, build), seed));
        }
    }
    trials.extend(reference(Requirement::Shim, &open(ComputeCapability::OLDEST, Build::Plain)));
    run(trials)
}
