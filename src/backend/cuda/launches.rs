//! Launches as kernels: names, block sizes, grids within the device's limits, and their one argument.

use bytemuck::{Pod, Zeroable};

use super::driver::KernelLaunch;
use crate::backend::group::{Launch, LaunchRecord, Step};

/// Blocks down a grid at most.
const MOST_JOBS: u32 = 65_535;

/// Addresses of tables and buffers, which all kernels take: `Arguments` of `kernels/common.cuh`, but for the launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Addresses {
    pub(super) weights_jobs: u64,
    pub(super) quantiles: u64,
    pub(super) terms: u64,
    pub(super) combines: u64,
    pub(super) convs: u64,
    pub(super) rows: u64,
    pub(super) norm_jobs: u64,
    pub(super) agreements: u64,
    pub(super) choleskys: u64,
    pub(super) pool: u64,
    pub(super) arena: u64,
    pub(super) norms: u64,
    pub(super) partials: u64,
    pub(super) codes: u64,
    pub(super) kernels: u64,
    pub(super) pivots: u64,
    pub(super) statuses: u64,
    pub(super) counters: u64,
    pub(super) combine_counters: u64,
}

/// A kernel's argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Arguments {
    addresses: Addresses,
    /// The records are aligned to 16 bytes.
    gap: u64,
    launch: LaunchRecord,
}

/// The kernel of a step, and the threads of its blocks.
fn kernel(step: Step) -> (&'static str, u32) {
    match step {
        Step::Weights => ("weights", 256),
        Step::Start => ("start", 256),
        Step::Combine => ("combine", 128),
        Step::ConvNarrow => ("conv_narrow", 256),
        Step::ConvWide => ("conv_wide", 256),
        // The last block of a job joins its own: no group of this backend has these steps.
        Step::BatchNorm | Step::StoredBatchNorm => ("batch_norm", 256),
        Step::Agreement => ("agreement", 256),
        Step::Cholesky => ("cholesky", 256),
    }
}

/// Hands a launch out as kernels: several where it has more jobs than a grid is high.
pub(super) fn each_kernel<E>(
    launch: &Launch,
    addresses: &Addresses,
    mut put: impl FnMut(&KernelLaunch<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (kernel, threads) = kernel(launch.step);
    let LaunchRecord { first, jobs, tiles, .. } = launch.record;
    for start in (0..jobs).step_by(MOST_JOBS as usize) {
        let jobs = MOST_JOBS.min(jobs - start);
        let record = LaunchRecord { first: first + start, jobs, ..launch.record };
        let arguments = Arguments { addresses: *addresses, gap: 0, launch: record };
        put(&KernelLaunch {
            kernel,
            grid: [tiles, jobs],
            threads,
            argument: bytemuck::bytes_of(&arguments),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_jobs_than_a_grid_is_high_are_several_kernels() {
        let record = LaunchRecord { first: 7, jobs: 150_000, tiles: 3, ..LaunchRecord::default() };
        let launch = Launch { step: Step::Weights, slot: None, record };
        let mut seen = Vec::new();
        let put = |kernel: &KernelLaunch<'_>| {
            let arguments: Arguments = bytemuck::pod_read_unaligned(kernel.argument);
            seen.push((kernel.grid, arguments.launch.first, arguments.launch.jobs));
            Ok::<(), ()>(())
        };
        each_kernel(&launch, &Addresses::default(), put).unwrap();
        let expected =
            [([3, 65_535], 7, 65_535), ([3, 65_535], 65_542, 65_535), ([3, 18_930], 131_077, 18_930)];
        assert_eq!(seen, expected);
    }
}
