//! Launches as kernels: names, block sizes, grids within the device's limits, and their one argument.

use bytemuck::{Pod, Zeroable};

use super::driver::KernelLaunch;
use crate::backend::group::{
    Buffer, Launch, LaunchRecord, PerBuffer, PerShared, PerTable, Shared, Step, Table,
};

/// Blocks down a grid at most.
const MOST_JOBS: u32 = 65_535;

/// Counters of a job's blocks that have ended, for which jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters<T> {
    pub(super) convs: T,
    pub(super) combines: T,
}

/// How many addresses a kernel takes, and what fills the gap before the launch: records are aligned to 16 bytes.
const ADDRESSES: usize = (Shared::ALL.len() + Table::ALL.len() + Buffer::ALL.len() + 2).next_multiple_of(2);

/// Addresses of device memory, which all kernels take: `Arguments` of `kernels/common.cuh`, but for the launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses([u64; ADDRESSES]);

impl Addresses {
    pub(super) fn new(
        shared: PerShared<u64>,
        tables: PerTable<u64>,
        buffers: PerBuffer<u64>,
        counters: Counters<u64>,
    ) -> Self {
        let mut all = Addresses::default();
        let shared = shared.iter().map(|(_, &address)| address);
        let tables = tables.iter().map(|(_, &address)| address);
        let buffers = buffers.iter().map(|(_, &address)| address);
        let addresses = shared.chain(tables).chain(buffers).chain([counters.convs, counters.combines]);
        all.0.iter_mut().zip(addresses).for_each(|(to, address)| *to = address);
        all
    }
}

/// A kernel's argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Arguments {
    addresses: [u64; ADDRESSES],
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
        let arguments = Arguments { addresses: addresses.0, launch: record };
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
