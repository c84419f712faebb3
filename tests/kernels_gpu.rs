//! On a real GPU the CUDA kernels do what their twins do, and whole runs what PyTorch and the CPU do. `tests/gpu.sh check`
//! runs it, from binaries that may have been built elsewhere.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use common::cuda::{Open, Outcome, cuda, does_not_depend_on_the_group, reference, stages};
use common::harness::{Requirement, needs, run_one_by_one};
use common::networks::{mixed, noise};
use common::stages::kernels;
use naswot::testing::cuda::{ComputeCapability, Driver, Fault, KernelLaunch, open};

fn main() -> ExitCode {
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let device: Open = Arc::new(|| Ok(open(0)?));
    let mut trials = stages("gpu", Requirement::Cuda, &device, seed);
    trials.extend(reference(Requirement::Cuda, &device));
    trials.push(needs(Requirement::Cuda, "k_does_not_depend_on_the_group", |_| {
        does_not_depend_on_the_group(&open(0)?, &mixed(70), &[7, 64])
    }));
    trials.push(needs(Requirement::Cuda, "k_does_not_depend_on_the_group_of_256_networks", |_| {
        does_not_depend_on_the_group(&open(0)?, &mixed(256), &[7, 96, 256])
    }));
    trials.push(needs(Requirement::Cuda, "a_full_device_runs_smaller_groups", |_| full()));
    trials.push(needs(Requirement::Cuda, "gpu: ceilings", |_| ceilings()));
    // One of them takes all of the memory.
    run_one_by_one(trials)
}

/// With memory left for half a group, groups are made smaller, and score the same.
fn full() -> Outcome {
    let (batch, networks, device) = (noise(32, 1), mixed(64), open(0)?);
    let expected = kernels(&cuda(&batch, Arc::clone(&device)).build()?, &networks)?;
    let counting = Arc::new(Counting { device: Arc::clone(&device), refused: AtomicUsize::new(0) });
    let limited = cuda(&batch, Arc::clone(&counting) as Arc<dyn Driver>).memory_limit(u64::MAX / 2);
    let scorer = limited.group_size(64).build()?;
    let group = networks.iter().map(|network| scorer.memory(network)).sum::<naswot::Result<u64>>()?;
    let held = device.free_memory().and_then(|bytes| device.allocate(bytes.saturating_sub(group / 2)));
    let held = held.map_err(|fault| format!("{fault:?}"))?;
    let found = kernels(&scorer, &networks);
    device.free(held);
    assert_eq!(found?, expected);
    assert!(counting.refused.load(Relaxed) > 0, "a group of {group} bytes fitted into half of that");
    Ok(())
}

/// What `naswot bench` measures of a device are rates, and its kernels came from somewhere.
fn ceilings() -> Outcome {
    let device = open(0)?;
    let sources = device.compute_capability().sources().len();
    let measured = cuda(&noise(4, 1), device).build()?.ceilings()?.ok_or("a GPU has ceilings")?;
    let (copy, launch) = (measured.copy_bytes_per_s, measured.launch.map(|time| time.as_secs_f64()));
    let is_rate = |rate: Option<f64>| rate.is_some_and(|rate| rate > 0.0 && rate.is_finite());
    assert!(is_rate(copy) && is_rate(launch), "{measured:?}");
    assert_eq!(measured.kernels.map(|load| load.compiled + load.cached), Some(sources), "{measured:?}");
    Ok(())
}

/// A device whose refusals are counted.
#[derive(Debug)]
struct Counting {
    device: Arc<dyn Driver>,
    refused: AtomicUsize,
}

impl Driver for Counting {
    fn name(&self) -> &str {
        self.device.name()
    }
    fn compute_capability(&self) -> ComputeCapability {
        self.device.compute_capability()
    }
    fn free_memory(&self) -> Result<u64, Fault> {
        self.device.free_memory()
    }
    fn busy_blocks(&self) -> usize {
        self.device.busy_blocks()
    }
    fn allocate(&self, bytes: u64) -> Result<u64, Fault> {
        let allocated = self.device.allocate(bytes);
        self.refused.fetch_add(usize::from(matches!(allocated, Err(Fault::Memory))), Relaxed);
        allocated
    }
    fn free(&self, address: u64) {
        self.device.free(address);
    }
    fn write(&self, stream: usize, to: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.device.write(stream, to, bytes)
    }
    fn copy(&self, stream: usize, from: u64, to: u64, bytes: u64) -> Result<(), Fault> {
        self.device.copy(stream, from, to, bytes)
    }
    fn launch(&self, stream: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault> {
        self.device.launch(stream, launch)
    }
    fn follow(&self, stream: usize, leader: usize) -> Result<(), Fault> {
        self.device.follow(stream, leader)
    }
    fn wait(&self, stream: usize) -> Result<(), Fault> {
        self.device.wait(stream)
    }
    fn read(&self, stream: usize, from: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.device.read(stream, from, to)
    }
    fn renew(&self) -> naswot::Result<Arc<dyn Driver>> {
        self.device.renew()
    }
}
