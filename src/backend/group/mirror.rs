//! Mirrors: host copies of the memory that a group's kernels write, on which twins work.

use super::memory::{Buffer, Measure, PerBuffer};
use super::{Group, Limits, NONE};
use crate::plan::jobs::OCTET;

/// The weight pool and all buffers of a group, with the layouts of [`super::records`]. Floating-point numbers are f32,
/// whatever the device computes in, and are kept by their bits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mirror {
    pub(crate) pool: Vec<f32>,
    pub(crate) buffers: PerBuffer<Vec<u32>>,
}

impl Mirror {
    /// A pool of so many octets and buffers of a group, filled with a number and a word that nobody computes.
    pub(crate) fn new(group: &Group, pool: usize, number: f32) -> Self {
        let buffer = |buffer: Buffer| {
            let fill = if buffer.measure() == Measure::Word { NONE } else { number.to_bits() };
            vec![fill; group.sizes[buffer] * buffer.measure().count()]
        };
        Mirror { pool: vec![number; pool * OCTET], buffers: PerBuffer::from_fn(buffer) }
    }

    /// A buffer of floating-point numbers.
    pub(crate) fn numbers(&self, buffer: Buffer) -> &[f32] {
        bytemuck::cast_slice(&self.buffers[buffer])
    }

    /// The same, to be changed.
    pub(crate) fn numbers_mut(&mut self, buffer: Buffer) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.buffers[buffer])
    }
}

/// A buffer's content on the host, from a device's bytes of it.
pub(crate) fn from_device(buffer: Buffer, bytes: &[u8], limits: &Limits) -> Vec<u32> {
    if is_f64(buffer, limits) {
        let numbers: Vec<f64> = bytemuck::pod_collect_to_vec(bytes);
        return numbers.into_iter().map(|number| (number as f32).to_bits()).collect();
    }
    bytemuck::pod_collect_to_vec(bytes)
}

/// A device's bytes of a buffer, from its content on the host.
pub(crate) fn to_device(buffer: Buffer, content: &[u32], limits: &Limits) -> Vec<u8> {
    if is_f64(buffer, limits) {
        return content.iter().flat_map(|&bits| f64::from(f32::from_bits(bits)).to_ne_bytes()).collect();
    }
    bytemuck::cast_slice(content).to_vec()
}

fn is_f64(buffer: Buffer, limits: &Limits) -> bool {
    buffer.measure() == Measure::Factor && limits.factor_number == size_of::<f64>()
}
