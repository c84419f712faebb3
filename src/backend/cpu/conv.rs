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

    /// Input pixels under one tap for P output pixels of a row, all of the tensor's channels; `outside` where
    /// there is no pixel, and none when the whole row lies outside.
    fn under_tap<'x, const P: usize>(
        &self,
        x: &'x [T],
        outside: &'x [T],
        (r, s): (usize, usize),
        (oy, ox): (usize, usize),
    ) -> Option<[&'x [T]; P]> {
        let job = self.job;
        let pitch = self.input.pitch * OCTET;
        let (height, width) = (self.input.shape.height, self.input.shape.width);
        let iy = (oy * job.stride[0] + r * job.dilation[0]).checked_sub(job.padding[0]).filter(|&iy| iy < height)?;
        Some(std::array::from_fn(|p| {
            let ix = ((ox + p) * job.stride[1] + s * job.dilation[1]).checked_sub(job.padding[1]);
            match ix.filter(|&ix| ix < width) {
                Some(ix) => &x[(iy * width + ix) * pitch..][..outside.len()],
                None => outside,
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
        let channels = self.group_channels[0];
        let outside = &ZEROS.with(T::zeros)[..channels];
        let tap_len = channels.next_multiple_of(OCTET) * OCTET;
        let mut sums = [[T::ZERO; OCTET]; P];
        for (tap, weights) in weights.chunks_exact(tap_len).enumerate() {
            let tap = (tap / self.job.kernel[1], tap % self.job.kernel[1]);
            let Some(pixels) = self.under_tap::<P>(x, outside, tap, (oy, ox)) else { continue };
            for (c, weights) in weights.chunks_exact(OCTET).take(channels).enumerate() {
                for p in 0..P {
                    let value = if RELU { pixels[p][c].max(T::ZERO) } else { pixels[p][c] };
                    for l in 0..OCTET {
                        sums[p][l] += value * weights[l];
                    }
                }
            }
        }
        sums
    }
}
