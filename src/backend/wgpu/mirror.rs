//! Mirrors of a group: all memory that its shaders write, on the host and back, for twins and tests.

use std::sync::Arc;

use super::session::{OCTET_BYTES, WgpuSession};
use crate::backend::group::Fault;
use crate::backend::group::{Group, Memory, Mirror, PerBuffer, Shared, mirror};

impl WgpuSession {
    /// Copies the weight pool and all buffers of a group to the host.
    pub(super) fn mirror(&self, group: &Group) -> Result<Mirror, Fault> {
        let pool = self.download(Shared::WeightPool.memory(), (self.cache.used() * OCTET_BYTES) as u64)?;
        let mut buffers = PerBuffer::default();
        for (buffer, &bytes) in self.limits.bytes(&group.sizes).iter() {
            let content = self.download(buffer.memory(), bytes)?;
            buffers[buffer] = mirror::from_device(buffer, &content, &self.limits);
        }
        Ok(Mirror { pool: bytemuck::pod_collect_to_vec(&pool), buffers })
    }

    /// Copies them back to the device.
    pub(super) fn restore(&mut self, mirror: &Mirror) -> Result<(), Fault> {
        let gpu = Arc::clone(&self.gpu);
        gpu.guarded(|| {
            self.buffers.write(&gpu, Shared::WeightPool.memory(), bytemuck::cast_slice(&mirror.pool));
            for (buffer, content) in mirror.buffers.iter() {
                let content = mirror::to_device(buffer, content, &self.limits);
                self.buffers.write(&gpu, buffer.memory(), &content);
            }
        })
    }

    fn download(&self, memory: Memory, size: u64) -> Result<Vec<u8>, Fault> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let gpu = &self.gpu;
        let target = gpu.guarded(|| {
            let target = gpu.readable(size);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(self.buffers.get(memory), 0, &target, 0, size);
            gpu.queue.submit([encoder.finish()]);
            target
        })?;
        gpu.read(&target, size, None)
    }
}
