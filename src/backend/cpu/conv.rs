//! 2-D convolution as implicit matrix product, channels last.
//!
//!     y[p, k] = sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//!
//! in that order of r, s, c, with zeros outside the image. The output pixel's eight neighbouring channels (an
//! octet) are one vector; P pixels of a row share each load of weights. Weights are packed by octet,
//! [r][s][c][8] (`weights.rs`).

use super::real::Real;
use super::weights::Octet;
use crate::plan::jobs::{ConvJob, OCTET, Tensor};

/// What the images of one job have in common.
pub(super) struct Conv<'a, T> {
    pub(super) job: &'a ConvJob,
    pub(super) input: &'a Tensor,
    pub(super) output: &'a Tensor,
    /// Input channels of one group, and output channels of one group.
    pub(super) group_channels: [usize; 2],
    /// Zeros, as many as the input has channels: what lies outside the image.
    pub(super) outside: &'a [T],
    /// Packed weights of each octet that the job writes.
    pub(super) weights: &'a [Octet<T>],
    /// For each octet what its outputs are multiplied with.
    pub(super) scales: &'a [Option<T>],
}

impl<T: Real> Conv<'_, T> {
    /// Convolves one image, [h][w][octets] to [h][w][octets].
    pub(super) fn image(&self, x: &[T], y: &mut [T]) {
        match (T::PIXELS, self.job.relu) {
            (4, false) => self.octets::<4, false>(x, y),
            (4, true) => self.octets::<4, true>(x, y),
            (_, false) => self.octets::<2, false>(x, y),
            (_, true) => self.octets::<2, true>(x, y),
        }
    }

    fn octets<const P: usize, const RELU: bool>(&self, x: &[T], y: &mut [T]) {
        let width = self.output.shape.width;
        let pitch = self.output.pitch * OCTET;
        for (i, octet) in self.job.octets().enumerate() {
            for (oy, row) in y.chunks_exact_mut(width * pitch).enumerate() {
                for ox in (0..width).step_by(P) {
                    let mut sums = if self.job.groups == 1 {
                        self.pixels::<P, RELU>(x, &self.weights[i], oy, ox)
                    } else {
                        self.grouped_pixels::<P, RELU>(x, &self.weights[i], octet, oy, ox)
                    };
                    if let Some(scale) = self.scales[i] {
                        sums.iter_mut().flatten().for_each(|sum| *sum *= scale);
                    }
                    let pixels = row[ox * pitch..].chunks_mut(pitch);
                    for (pixel, sums) in pixels.zip(&sums) {
                        pixel[octet * OCTET..][..OCTET].copy_from_slice(sums);
                    }
                }
            }
        }
    }

    /// Input pixels under one tap for P output pixels of a row, all of the tensor's channels; zeros where there
    /// is no pixel, and none when the whole row lies outside.
    fn under_tap<'x, const P: usize>(
        &'x self,
        x: &'x [T],
        (r, s): (usize, usize),
        (oy, ox): (usize, usize),
    ) -> Option<[&'x [T]; P]> {
        let job = self.job;
        let pitch = self.input.pitch * OCTET;
        let (height, width) = (self.input.shape.height, self.input.shape.width);
        let iy = (oy * job.stride[0] + r * job.dilation[0])
            .checked_sub(job.padding[0])
            .filter(|&iy| iy < height)?;
        Some(std::array::from_fn(|p| {
            let ix = ((ox + p) * job.stride[1] + s * job.dilation[1]).checked_sub(job.padding[1]);
            match ix.filter(|&ix| ix < width) {
                Some(ix) => &x[(iy * width + ix) * pitch..][..self.outside.len()],
                None => self.outside,
            }
        }))
    }

    /// One octet of P output pixels of a row.
    fn pixels<const P: usize, const RELU: bool>(
        &self,
        x: &[T],
        weights: &[T],
        oy: usize,
        ox: usize,
    ) -> [[T; OCTET]; P] {
        let channels = self.outside.len();
        let tap_len = channels.next_multiple_of(OCTET) * OCTET;
        let mut sums = [[T::ZERO; OCTET]; P];
        for (tap, weights) in weights.chunks_exact(tap_len).enumerate() {
            let tap = (tap / self.job.kernel[1], tap % self.job.kernel[1]);
            let Some(pixels) = self.under_tap::<P>(x, tap, (oy, ox)) else { continue };
            let pixels = pixels.map(|pixel| &pixel[..channels]);
            for (c, weights) in weights.chunks_exact(OCTET).take(channels).enumerate() {
                for (sums, pixel) in sums.iter_mut().zip(&pixels) {
                    let value = if RELU { pixel[c].max(T::ZERO) } else { pixel[c] };
                    for (sum, &weight) in sums.iter_mut().zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
        }
        sums
    }

    /// The same where the channels fall into groups: each output channel reads its own group's inputs.
    fn grouped_pixels<const P: usize, const RELU: bool>(
        &self,
        x: &[T],
        weights: &[T],
        octet: usize,
        oy: usize,
        ox: usize,
    ) -> [[T; OCTET]; P] {
        let [inputs, outputs] = self.group_channels;
        let tap_len = inputs.next_multiple_of(OCTET) * OCTET;
        // Pad channels repeat the last group; nobody reads them.
        let first = |l: usize| ((octet * OCTET + l) / outputs).min(self.job.groups - 1) * inputs;
        let firsts: [usize; OCTET] = std::array::from_fn(first);
        let mut sums = [[T::ZERO; OCTET]; P];
        for (tap, weights) in weights.chunks_exact(tap_len).enumerate() {
            let tap = (tap / self.job.kernel[1], tap % self.job.kernel[1]);
            let Some(pixels) = self.under_tap::<P>(x, tap, (oy, ox)) else { continue };
            for (c, weights) in weights.chunks_exact(OCTET).take(inputs).enumerate() {
                for (sums, pixel) in sums.iter_mut().zip(&pixels) {
                    for l in 0..OCTET {
                        let value = pixel[firsts[l] + c];
                        let value = if RELU { value.max(T::ZERO) } else { value };
                        sums[l] += value * weights[l];
                    }
                }
            }
        }
        sums
    }
}
