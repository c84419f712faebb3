//! Launches as kernels: grids within the device's limits, and their one argument.

use bytemuck::{Pod, Zeroable};

use super::cholesky;
use super::driver::KernelLaunch;
use super::kernels::{ComputeCapability, Kernel};
use crate::backend::group::{
    Buffer, Launch, LaunchKind, LaunchRecord, PerBuffer, PerShared, PerTable, Shared, Table,
};

/// Blocks down a grid at most.
const MOST_JOBS: u32 = 65_535;

/// Counters of the blocks that have ended, one for each job, by the jobs' kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters<T> {
    pub(super) convs: T,
    pub(super) combines: T,
}

/// Addresses that a kernel takes, and those that fill the gap before the launch: records are aligned to 16 bytes.
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

/// The address of a buffer in a kernel's argument.
pub(super) fn address(argument: &[u8], buffer: Buffer) -> u64 {
    let Arguments { addresses, .. } = bytemuck::pod_read_unaligned(argument);
    addresses[Shared::ALL.len() + Table::ALL.len() + buffer as usize]
}

/// Hands a launch out as kernels: several where it has more jobs than a grid is high, or a K of many panels.
pub(super) fn each_kernel<E>(
    launch: &Launch,
    addresses: &Addresses,
    capability: ComputeCapability,
    mut put: impl FnMut(&KernelLaunch<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut put_jobs = |kernel: &'static Kernel, record: LaunchRecord, shared: u32| {
        (0..record.jobs).step_by(MOST_JOBS as usize).try_for_each(|start| {
            let jobs = MOST_JOBS.min(record.jobs - start);
            let launch = LaunchRecord { first: record.first + start, jobs, ..record };
            let arguments = Arguments { addresses: addresses.0, launch };
            let (grid, argument) = ([record.tiles, jobs, record.slices], bytemuck::bytes_of(&arguments));
            put(&KernelLaunch { kernel: kernel.name, grid, threads: kernel.threads, shared, argument })
        })
    };
    match (launch.kind, capability.kernel(launch)) {
        (LaunchKind::Cholesky, _) => {
            let mut steps = cholesky::steps(launch.record, capability).into_iter();
            steps.try_for_each(|(kernel, record, shared)| put_jobs(kernel, record, shared))
        }
        (_, Some(kernel)) => put_jobs(kernel, launch.record, kernel.shared.of(launch, capability)),
        (_, None) => unreachable!("no kernel for {launch:?} on compute capability {capability}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_jobs_than_a_grid_is_high_are_several_kernels() {
        let record = LaunchRecord { first: 7, jobs: 150_000, tiles: 3, slices: 2, ..LaunchRecord::default() };
        let launch = Launch::new(LaunchKind::Weights, record);
        let mut seen = Vec::new();
        let put = |kernel: &KernelLaunch<'_>| {
            let arguments: Arguments = bytemuck::pod_read_unaligned(kernel.argument);
            seen.push((kernel.grid, arguments.launch.first, arguments.launch.jobs));
            Ok::<(), ()>(())
        };
        each_kernel(&launch, &Addresses::default(), ComputeCapability::OLDEST, put).unwrap();
        let expected = [
            ([3, 65_535, 2], 7, 65_535),
            ([3, 65_535, 2], 65_542, 65_535),
            ([3, 18_930, 2], 131_077, 18_930),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_kernels_have_the_addresses_in_this_order() {
        let text = include_str!("../../../kernels/common.cuh");
        let (_, members) = text.split_once("struct Arguments {").unwrap();
        let (members, _) = members.split_once("};").unwrap();
        let members = members.lines().map(|line| line.split("//").next().unwrap().trim());
        let names =
            members.filter_map(|line| Some(line.strip_suffix(';')?.rsplit([' ', '*']).next()?.to_owned()));
        let snake = |name: String| {
            let word =
                |c: char| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() };
            name.chars().map(word).collect::<String>().trim_start_matches('_').to_owned()
        };
        let mut expected: Vec<String> =
            Shared::ALL.iter().map(|shared| snake(format!("{shared:?}"))).collect();
        expected.extend(Table::ALL.iter().map(|table| snake(format!("{table:?}"))));
        expected.extend(Buffer::ALL.iter().map(|buffer| snake(format!("{buffer:?}"))));
        expected.extend(["conv_counters", "combine_counters", "launch"].map(str::to_owned));
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
}
