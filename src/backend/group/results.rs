//! Results of a group that has run.

use super::memory::{Buffer, Measure, PerBuffer};

/// Results of a group: the buffers that the host reads, in the device's own bytes; others are empty.
pub(crate) struct Results {
    pub(crate) bytes: PerBuffer<Vec<u8>>,
    /// Bytes of a number of Cholesky's factor.
    pub(crate) factor_number: usize,
}

impl Results {
    /// Some words of a buffer, from a place on.
    pub(crate) fn words(&self, buffer: Buffer, place: usize, count: usize) -> Vec<u32> {
        debug_assert_eq!(buffer.measure(), Measure::Word);
        bytemuck::pod_collect_to_vec(&self.bytes[buffer][place * 4..][..count * 4])
    }

    /// Some numbers of Cholesky's factor, from a place on.
    pub(crate) fn factors(&self, buffer: Buffer, place: usize, count: usize) -> Vec<f64> {
        debug_assert_eq!(buffer.measure(), Measure::Factor);
        let size = self.factor_number;
        let bytes = &self.bytes[buffer][place * size..][..count * size];
        if size == size_of::<f64>() {
            return bytemuck::pod_collect_to_vec(bytes);
        }
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
        numbers.into_iter().map(f64::from).collect()
    }
}
