//! All buffers of a group on the host and back: for twins and tests.

use std::sync::Arc;

use super::pipelines::Content;
use super::session::{OCTET_BYTES, Session};
use crate::Result;
use crate::backend::group::run::Fault;
use crate::backend::group::{Group, Mirror};

impl Session {
    /// Copies all buffers of a group to the host.
    pub(super) fn mirror(&self, group: &Group) -> Result<Mirror, Fault> {
        let [arena, norms, partials, codes, kernels, pivots, statuses] = group.sizes.bytes(&self.limits);
        Ok(Mirror {
            pool: self.download(Content::Pool, (self.pool.used() * OCTET_BYTES) as u64)?,
            arena: self.download(Content::Arena, arena)?,
            norms: self.download(Content::Norms, norms)?,
            partials: self.download(Content::Partials, partials)?,
            codes: self.download(Content::Codes, codes)?,
            kernels: self.download(Content::Kernels, kernels)?,
            pivots: self.download(Content::Pivots, pivots)?,
            statuses: self.download(Content::Statuses, statuses)?,
        })
    }

    /// Copies all buffers of a group back to the device.
    pub(super) fn restore(&mut self, mirror: &Mirror) -> Result<(), Fault> {
        let gpu = Arc::clone(&self.gpu);
        gpu.guarded(|| {
            self.buffers.write(&gpu, Content::Pool, &mirror.pool);
            self.buffers.write(&gpu, Content::Arena, &mirror.arena);
            self.buffers.write(&gpu, Content::Norms, &mirror.norms);
            self.buffers.write(&gpu, Content::Partials, &mirror.partials);
            self.buffers.write(&gpu, Content::Codes, &mirror.codes);
            self.buffers.write(&gpu, Content::Kernels, &mirror.kernels);
            self.buffers.write(&gpu, Content::Pivots, &mirror.pivots);
            self.buffers.write(&gpu, Content::Statuses, &mirror.statuses);
        })
    }

    fn download<T: bytemuck::Pod>(&self, content: Content, size: u64) -> Result<Vec<T>, Fault> {
        if size == 0 {
            return Ok(Vec::new());
        }
        let gpu = &self.gpu;
        let target = gpu.guarded(|| {
            let target = gpu.readable(size);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(self.buffers.get(content), 0, &target, 0, size);
            gpu.queue.submit([encoder.finish()]);
            target
        })?;
        Ok(bytemuck::pod_collect_to_vec(&gpu.read(&target, size, None)?))
    }
}
