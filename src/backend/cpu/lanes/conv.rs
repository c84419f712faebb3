//! Direct convolution of a block of images.
//!
//! ```text
//! y[p, k] = sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//! ```
//!
//! Every unit of x is two vectors of images, so a channel is a multiplication by one number: there is nothing to
//! pad at odd channel counts, and taps outside the image are skipped. A tile is one output pixel times up to
//! [`Simd::TILE`] output channels: all its sums stay in registers while taps and input channels run by. Weights
//! of a tile are [r][s][c][tile].

use std::ops::Range;

use super::layout::Unit;
use super::simd::{Kernel, Simd};
use crate::plan::jobs::ConvJob;

/// Output channels of one job that share their input channels and their pass over the pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// First output channel, from the part's first on.
    pub(super) channel: usize,
    pub(super) channels: usize,
    /// First input channel.
    pub(super) input: usize,
    /// Where its weights start.
    pub(super) weights: usize,
}

/// One row of output pixels for one tile.
pub(super) struct Row<'a, S: Simd> {
    pub(super) job: &'a ConvJob,
    /// One block of the input, its units from pixel to pixel, and its size.
    pub(super) x: &'a [Unit<S>],
    pub(super) x_pitch: usize,
    pub(super) size: [usize; 2],
    /// The output row.
    pub(super) y: &'a mut [Unit<S>],
    pub(super) y_pitch: usize,
    pub(super) oy: usize,
    /// Input channels, the first one, and the output channel of the tile.
    pub(super) in_channels: usize,
    pub(super) in_first: usize,
    pub(super) out_first: usize,
    pub(super) weights: &'a [f32],
    /// Output channels of the tile.
    pub(super) channels: usize,
    pub(super) scale: Option<f32>,
}

impl<S: Simd> Kernel<S> for Row<'_, S> {
    #[inline(always)]
    fn run(self, simd: S) {
        macro_rules! by_channels {
            ($($n:literal)*) => {
                match (self.channels, self.job.relu) {
                    $(($n, false) => self.row::<$n, false>(simd), ($n, true) => self.row::<$n, true>(simd),)*
                    _ => {}
                }
            };
        }
        by_channels!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    }
}

impl<S: Simd> Row<'_, S> {
    /// Adds one kernel row after the other to the sums, which lie in the output row meanwhile: a pixel's inner
    /// loop then begins and ends in memory, and keeps its sums in registers.
    #[inline(always)]
    fn row<const C: usize, const RELU: bool>(mut self, simd: S) {
        if C > S::TILE {
            return;
        }
        let job = self.job;
        // Neighbouring taps of a kernel row are neighbours in memory when every channel is read.
        let joined = self.x_pitch == self.in_channels && job.dilation[1] == 1;
        let mut first = true;
        for r in 0..job.kernel[0] {
            let iy = (self.oy * job.stride[0] + r * job.dilation[0]).wrapping_sub(job.padding[0]);
            if iy >= self.size[0] {
                continue;
            }
            if joined {
                self.pass::<C, RELU>(simd, (r, 0..job.kernel[1]), iy, first);
                first = false;
            } else {
                for s in 0..job.kernel[1] {
                    self.pass::<C, RELU>(simd, (r, s..s + 1), iy, first);
                    first = false;
                }
            }
        }
        if first {
            self.pass::<C, RELU>(simd, (0, 0..0), 0, true);
        }
        if let Some(scale) = self.scale {
            let scale = simd.splat(scale);
            for unit in self.y.chunks_mut(self.y_pitch).flat_map(|pixel| &mut pixel[self.out_first..][..C]) {
                for v in unit {
                    simd.store(simd.mul(simd.load(v), scale), v);
                }
            }
        }
    }

    /// Adds the taps of some kernel columns to all pixels of the row.
    #[inline(always)]
    fn pass<const C: usize, const RELU: bool>(
        &mut self,
        simd: S,
        (r, columns): (usize, Range<usize>),
        iy: usize,
        first: bool,
    ) {
        let job = self.job;
        let zero = simd.splat(0.0);
        let tap = self.in_channels * C;
        let row = iy * self.size[1] * self.x_pitch + self.in_first;
        for (ox, pixel) in self.y.chunks_mut(self.y_pitch).enumerate() {
            let inside =
                taps(ox, job.stride[1], job.padding[1], job.dilation[1], job.kernel[1], self.size[1]);
            let s = inside.start.max(columns.start)..inside.end.min(columns.end);
            let pixel = &mut pixel[self.out_first..][..C];
            let mut sums = [[zero; 2]; C];
            if !first {
                for (sum, unit) in sums.iter_mut().zip(&*pixel) {
                    *sum = [simd.load(&unit[0]), simd.load(&unit[1])];
                }
            }
            if !s.is_empty() {
                let ix = ox * job.stride[1] + s.start * job.dilation[1] - job.padding[1];
                let x = &self.x[row + ix * self.x_pitch..][..s.len() * self.in_channels];
                let weights = &self.weights[(r * job.kernel[1] + s.start) * tap..][..s.len() * tap];
                multiply::<S, C, RELU>(simd, x, weights, &mut sums);
            }
            for (unit, sum) in pixel.iter_mut().zip(&sums) {
                simd.store(sum[0], &mut unit[0]);
                simd.store(sum[1], &mut unit[1]);
            }
        }
    }
}

/// Kernel columns whose input column lies inside the image.
#[inline(always)]
fn taps(
    o: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    kernel: usize,
    size: usize,
) -> Range<usize> {
    let start = padding.saturating_sub(o * stride).div_ceil(dilation);
    let end = (size + padding).saturating_sub(o * stride).div_ceil(dilation).min(kernel);
    start.min(end)..end
}

/// Adds the products of some input channels to the sums of a tile.
#[inline(always)]
pub(super) fn multiply<S: Simd, const C: usize, const RELU: bool>(
    simd: S,
    x: &[Unit<S>],
    weights: &[f32],
    sums: &mut [[S::V; 2]; C],
) {
    let zero = simd.splat(0.0);
    let (weights, _) = weights.as_chunks::<C>();
    for (unit, weights) in x.iter().zip(weights) {
        let mut x = [simd.load(&unit[0]), simd.load(&unit[1])];
        if RELU {
            x = [simd.max(x[0], zero), simd.max(x[1], zero)];
        }
        for j in 0..C {
            let weight = simd.splat(weights[j]);
            sums[j] = [simd.mul_add(weight, x[0], sums[j][0]), simd.mul_add(weight, x[1], sums[j][1])];
        }
    }
}
