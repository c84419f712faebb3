//! The planar layout of tensors on GPUs: planes of units, [unit][image][pixel].
//!
//! A unit is four neighboring channels of a pixel, 16 bytes. Threads that stand side by side take pixels that do, so what
//! depends on channels alone (batch norms, which term covers what, the shift of a concat) is the same for all of them, and
//! the signs of 32 pixels are a code word. The CPU's twins have tensors with their channels last; [`gather`] and
//! [`scatter`] carry them over.

use crate::Batch;
use crate::plan::jobs::{OCTET, Tensor, UNIT};

/// Units of an octet.
pub(super) const UNITS: usize = OCTET / UNIT;

/// Units that hold so many channels.
pub(crate) fn units(channels: usize) -> usize {
    channels.div_ceil(UNIT)
}

/// Units of a plane. An even number, so that all planes begin at multiples of 32 bytes, a sector of a GPU's memory.
pub(crate) fn plane(images: usize, pixels: usize) -> usize {
    (images * pixels).next_multiple_of(2)
}

/// The units of a batch.
pub(crate) fn batch(batch: &Batch) -> Vec<f32> {
    let [images, channels, height, width] = batch.shape();
    let pixels = height * width;
    let plane = plane(images, pixels);
    let mut out = vec![0.0; units(channels) * plane * UNIT];
    for (i, values) in batch.data().chunks_exact(pixels).enumerate() {
        let (image, channel) = (i / channels, i % channels);
        let first = (channel / UNIT * plane + image * pixels) * UNIT + channel % UNIT;
        out[first..].iter_mut().step_by(UNIT).zip(values).for_each(|(to, &value)| *to = value);
    }
    out
}

/// Some units of a tensor's planes, which begin at `planes`, into a tensor with its channels last, [image][pixel][octet].
pub(super) fn gather(tensor: &Tensor, images: usize, channels: usize, planes: &[f32], out: &mut [f32]) {
    let (pixels, pitch) = (images * tensor.shape.pixels(), tensor.pitch * OCTET);
    let plane = plane(images, tensor.shape.pixels());
    for (unit, planes) in planes.chunks(plane * UNIT).take(units(channels)).enumerate() {
        let pixels = planes.as_chunks::<UNIT>().0.iter().take(pixels);
        for (pixel, to) in pixels.zip(out.chunks_exact_mut(pitch)) {
            to[unit * UNIT..][..UNIT].copy_from_slice(pixel);
        }
    }
}

/// The units of some octets of a tensor with its channels last into its planes, which begin at `planes`.
pub(super) fn scatter(
    tensor: &Tensor,
    images: usize,
    units: std::ops::Range<usize>,
    from: &[f32],
    planes: &mut [f32],
) {
    let pitch = tensor.pitch * OCTET;
    let plane = plane(images, tensor.shape.pixels());
    for (unit, planes) in planes.chunks_mut(plane * UNIT).enumerate().take(units.end).skip(units.start) {
        let pixels = from.chunks_exact(pitch);
        for (pixel, to) in pixels.zip(planes.as_chunks_mut::<UNIT>().0) {
            to.copy_from_slice(&pixel[unit * UNIT..][..UNIT]);
        }
    }
}
