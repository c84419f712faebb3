//! Launches as dispatches: grids within the device's limits, and a launch record for each.

use wgpu::{BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, BufferBinding, CommandEncoder};

use std::collections::HashMap;
use std::num::NonZeroU64;

use super::buffers::{Buffers, LAUNCH_STRIDE};
use super::gpu::Gpu;
use super::pipelines::Binding;
use crate::backend::group::{Launch, LaunchKind, LaunchRecord};

/// A dispatch of a kind of launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dispatch {
    pub(super) kind: LaunchKind,
    /// Place of its launch record among those of all dispatches, in bytes.
    offset: u32,
    grid: [u32; 3],
}

/// Dispatches of launches, with grids of at most so many workgroups along a side; appends their launch records.
pub(super) fn dispatches<'a>(
    launches: impl IntoIterator<Item = &'a Launch>,
    side: u32,
    shared: &mut Vec<u8>,
) -> Vec<Dispatch> {
    let mut dispatches = Vec::new();
    for launch in launches {
        let LaunchRecord { first, jobs, tiles, .. } = launch.record;
        // More tiles than a side go into the third dimension, more jobs into another dispatch.
        let depth = tiles.div_ceil(side).max(1);
        for start in (0..jobs).step_by(side as usize) {
            let record = LaunchRecord { first: first + start, jobs: side.min(jobs - start), ..launch.record };
            let offset = shared.len();
            shared.extend_from_slice(bytemuck::bytes_of(&record));
            shared.resize(offset + LAUNCH_STRIDE, 0);
            let grid = [tiles.div_ceil(depth), record.jobs, depth];
            dispatches.push(Dispatch { kind: launch.kind, offset: offset as u32, grid });
        }
    }
    dispatches
}

/// A bind group for each kind among some dispatches.
pub(super) fn bind(gpu: &Gpu, buffers: &Buffers, dispatches: &[Dispatch]) -> HashMap<LaunchKind, BindGroup> {
    let mut groups = HashMap::new();
    for kind in dispatches.iter().map(|dispatch| dispatch.kind) {
        groups.entry(kind).or_insert_with(|| {
            let pipeline = gpu.pipeline(kind);
            let launch = BufferBinding {
                buffer: &buffers.launches,
                offset: 0,
                size: NonZeroU64::new(size_of::<LaunchRecord>() as u64),
            };
            let launch = BindGroupEntry { binding: 0, resource: BindingResource::Buffer(launch) };
            let entry = |&Binding { number, memory, .. }: &Binding| {
                let resource = buffers.get(memory).as_entire_binding();
                BindGroupEntry { binding: number, resource }
            };
            let entries: Vec<BindGroupEntry> =
                std::iter::once(launch).chain(pipeline.bindings.iter().map(entry)).collect();
            gpu.device.create_bind_group(&BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            })
        });
    }
    groups
}

/// Encodes dispatches, one after the other.
pub(super) fn encode(
    gpu: &Gpu,
    encoder: &mut CommandEncoder,
    groups: &HashMap<LaunchKind, BindGroup>,
    dispatches: &[Dispatch],
) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    let mut last = None;
    for Dispatch { kind, offset, grid: [x, y, z] } in dispatches {
        if last.replace(*kind) != Some(*kind) {
            pass.set_pipeline(&gpu.pipeline(*kind).pipeline);
        }
        pass.set_bind_group(0, &groups[kind], &[*offset]);
        pass.dispatch_workgroups(*x, *y, *z);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_grids_are_folded_and_lose_no_tile_and_no_job() {
        let record = LaunchRecord { first: 5, jobs: 250, tiles: 1001, ..LaunchRecord::default() };
        let launch = Launch::new(LaunchKind::Combine, record);
        let mut shared = Vec::new();
        let dispatches = dispatches([&launch], 100, &mut shared);
        assert_eq!(
            dispatches.iter().map(|d| d.grid).collect::<Vec<_>>(),
            [[91, 100, 11], [91, 100, 11], [91, 50, 11]]
        );
        let records: Vec<LaunchRecord> = shared
            .chunks(LAUNCH_STRIDE)
            .map(|bytes| bytemuck::pod_read_unaligned(&bytes[..size_of::<LaunchRecord>()]))
            .collect();
        assert_eq!(records.iter().map(|record| record.first).collect::<Vec<_>>(), [5, 105, 205]);
        assert!(records.iter().all(|record| record.tiles == 1001));
    }
}
