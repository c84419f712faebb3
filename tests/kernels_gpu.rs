//! On a real GPU the CUDA kernels do what their twins do, and whole runs what PyTorch and the CPU do. `tests/gpu.sh check`
//! runs it, from binaries that may have been built elsewhere.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use common::cuda::{Open, Outcome, cuda, does_not_depend_on_the_group, reference, stages};
use common::harness::{Requirement, needs, run};
use common::networks::{mixed, noise};
use common::stages::kernels;
use naswot::measure::cuda::open;

fn main() -> ExitCode {
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let device: Open = Arc::new(|| Ok(open(0)?));
    let mut trials = stages("gpu", Requirement::Cuda, &device, seed);
    trials.extend(reference(Requirement::Cuda, &device));
    trials.push(needs(Requirement::Cuda, "k_does_not_depend_on_the_group", |_| {
        does_not_depend_on_the_group(&open(0)?, &mixed(70), &[7, 64])
    }));
    trials.push(needs(Requirement::Cuda, "a_full_device_runs_smaller_groups", |_| full()));
    run(trials)
}

/// With next to no memory left groups are made smaller, and score the same.
fn full() -> Outcome {
    let (batch, networks, device) = (noise(32, 1), mixed(64), open(0)?);
    let expected = kernels(&cuda(&batch, Arc::clone(&device)).build()?, &networks)?;
    let scorer = cuda(&batch, Arc::clone(&device)).memory_limit(u64::MAX / 2).group_size(64).build()?;
    let held = device.free_memory().and_then(|bytes| device.allocate(bytes.saturating_sub(96 << 20)));
    let held = held.map_err(|fault| format!("{fault:?}"))?;
    let found = kernels(&scorer, &networks);
    device.free(held);
    assert_eq!(found?, expected);
    Ok(())
}
