//! A session's memory on the device. It grows to the largest group that it has seen.

use std::collections::HashMap;

use wgpu::{Buffer, BufferDescriptor, BufferUsages, CommandEncoder};

use super::gpu::Gpu;
use crate::Distribution;
use crate::backend::group::{Memory, Shared};
use crate::random::quantiles;

/// Bytes from one launch's shared fields to the next: the alignment that every device takes.
pub(super) const LAUNCH_STRIDE: usize = 256;
/// Bytes of a buffer at least: a binding is never empty.
const LEAST: u64 = 256;

/// A session's memory on its device, by what it holds.
pub(super) struct Buffers {
    /// Launch records, one every [`LAUNCH_STRIDE`] bytes.
    pub(super) launches: Buffer,
    memory: HashMap<Memory, Buffer>,
}

impl Buffers {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let make = |memory: Memory| (memory, storage(gpu, memory, LEAST));
        let memory = Memory::all().map(make).collect();
        let mut buffers = Buffers { launches: uniform(gpu, LEAST), memory };
        let quantiles = [Distribution::Normal, Distribution::Uniform].map(|d| &quantiles::table(d)[..]);
        buffers.write(gpu, Shared::Quantiles.memory(), bytemuck::cast_slice(&quantiles.concat()));
        buffers
    }

    pub(super) fn get(&self, memory: Memory) -> &Buffer {
        &self.memory[&memory]
    }

    /// Makes room for so many bytes; whether what was there is lost. A buffer that is too small becomes half as large
    /// again at least, where the device has buffers of that size, so that it seldom happens.
    pub(super) fn reserve(&mut self, gpu: &Gpu, memory: Memory, bytes: u64) -> bool {
        let old = self.get(memory).size();
        if old < bytes {
            let roomy = (old + old / 2).min(gpu.buffer_limit());
            self.memory.insert(memory, storage(gpu, memory, bytes.max(roomy)));
        }
        old < bytes
    }

    /// Makes room for so many bytes, and keeps what was there.
    pub(super) fn grow(&mut self, gpu: &Gpu, encoder: &mut CommandEncoder, memory: Memory, bytes: u64) {
        let old = self.get(memory).clone();
        if self.reserve(gpu, memory, bytes) {
            encoder.copy_buffer_to_buffer(&old, 0, self.get(memory), 0, old.size());
        }
    }

    /// Writes some memory from its start on.
    pub(super) fn write(&mut self, gpu: &Gpu, memory: Memory, content: &[u8]) {
        if !content.is_empty() {
            self.reserve(gpu, memory, content.len() as u64);
            gpu.queue.write_buffer(self.get(memory), 0, content);
        }
    }

    /// Writes launch records.
    pub(super) fn write_launches(&mut self, gpu: &Gpu, content: &[u8]) {
        if self.launches.size() < content.len() as u64 {
            self.launches = uniform(gpu, content.len() as u64);
        }
        gpu.queue.write_buffer(&self.launches, 0, content);
    }
}

fn storage(gpu: &Gpu, memory: Memory, bytes: u64) -> Buffer {
    buffer(gpu, &format!("{memory:?}"), BufferUsages::STORAGE, bytes)
}

fn uniform(gpu: &Gpu, bytes: u64) -> Buffer {
    buffer(gpu, "launches", BufferUsages::UNIFORM, bytes)
}

fn buffer(gpu: &Gpu, label: &str, usage: BufferUsages, bytes: u64) -> Buffer {
    gpu.device.create_buffer(&BufferDescriptor {
        label: Some(label),
        size: bytes.max(LEAST).next_multiple_of(16),
        usage: usage | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}
