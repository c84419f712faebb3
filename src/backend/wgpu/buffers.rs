//! A session's buffers on the device. They grow to the largest group that they have seen.

use std::collections::HashMap;

use bytemuck::Pod;
use wgpu::{Buffer, BufferDescriptor, BufferUsages, CommandEncoder};

use super::gpu::Gpu;
use super::pipelines::Content;
use crate::Distribution;
use crate::random::quantiles;

/// Bytes from one launch's shared fields to the next: the alignment that every device takes.
pub(super) const LAUNCH_STRIDE: usize = 256;
/// Bytes of a buffer at least: a binding is never empty.
const LEAST: u64 = 256;

/// Buffers by content.
pub(super) struct Buffers {
    by_content: HashMap<Content, Buffer>,
}

impl Buffers {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let make = |content| (content, buffer(gpu, content, LEAST));
        let mut buffers = Buffers { by_content: Content::ALL.into_iter().map(make).collect() };
        let quantiles = [Distribution::Normal, Distribution::Uniform].map(|d| &quantiles::table(d)[..]);
        buffers.write(gpu, Content::Quantiles, &quantiles.concat());
        buffers
    }

    pub(super) fn get(&self, content: Content) -> &Buffer {
        &self.by_content[&content]
    }

    /// Makes room for so many bytes; whether what was there is lost. A buffer that is too small becomes half as large
    /// again at least, where the device has buffers of that size, so that it seldom happens.
    pub(super) fn reserve(&mut self, gpu: &Gpu, content: Content, bytes: u64) -> bool {
        let old = self.get(content).size();
        if old < bytes {
            let roomy = (old + old / 2).min(gpu.buffer_limit());
            self.by_content.insert(content, buffer(gpu, content, bytes.max(roomy)));
        }
        old < bytes
    }

    /// The same, and has what was there copied.
    pub(super) fn grow(&mut self, gpu: &Gpu, encoder: &mut CommandEncoder, content: Content, bytes: u64) {
        let old = self.get(content).clone();
        if self.reserve(gpu, content, bytes) {
            encoder.copy_buffer_to_buffer(&old, 0, self.get(content), 0, old.size());
        }
    }

    /// Writes a table from its start on.
    pub(super) fn write<T: Pod>(&mut self, gpu: &Gpu, content: Content, table: &[T]) {
        let bytes: &[u8] = bytemuck::cast_slice(table);
        if !bytes.is_empty() {
            self.reserve(gpu, content, bytes.len() as u64);
            gpu.queue.write_buffer(self.get(content), 0, bytes);
        }
    }
}

fn buffer(gpu: &Gpu, content: Content, bytes: u64) -> Buffer {
    let usage = match content {
        Content::Launches => BufferUsages::UNIFORM,
        _ => BufferUsages::STORAGE,
    };
    gpu.device.create_buffer(&BufferDescriptor {
        label: Some(&format!("{content:?}")),
        size: bytes.max(LEAST).next_multiple_of(16),
        usage: usage | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}
