//! The ceiling of a device: how fast its memory copies.

use wgpu::{BufferDescriptor, BufferUsages};

use super::gpu::Gpu;
use crate::backend::ceilings::{DeviceCeilings, shortest_trial};
use crate::backend::group::Fault;

/// Bytes of a copy at most, more than caches hold, and copies of a trial.
const COPIED: u64 = 256 << 20;
const COPIES: u64 = 4;

/// Measures a device that does nothing else.
///
/// # Errors
/// What the device says.
pub(super) fn measure(gpu: &Gpu) -> Result<DeviceCeilings, Fault> {
    let bytes = COPIED.min(gpu.buffer_limit());
    let buffer = |usage| {
        let label = Some("copy");
        gpu.device.create_buffer(&BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false })
    };
    let (from, to) = gpu.guarded(|| (buffer(BufferUsages::COPY_SRC), buffer(BufferUsages::COPY_DST)))?;
    let copying = shortest_trial(|| {
        let submission = gpu.guarded(|| {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            (0..COPIES).for_each(|_| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes));
            gpu.queue.submit([encoder.finish()])
        })?;
        gpu.wait(submission)
    })?;
    Ok(DeviceCeilings {
        copy_bytes_per_s: copying.map(|time| (2 * COPIES * bytes) as f64 / time.as_secs_f64()),
        launch: None,
        kernels: None,
    })
}
