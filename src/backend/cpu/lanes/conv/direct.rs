//! Direct convolution of a block of images.
//!
//! ```text
//! y[p, k] = sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//! ```
//!
//! Every unit of x is whole vectors of images, so a channel is a multiplication by one number: there is nothing to
//! pad at odd channel counts, and taps outside the image are skipped. A tile is one output pixel times up to
//! `tile` output channels: all its sums stay in registers while taps and input channels run by. Weights
//! of a tile are [r][s][c][tile].

use std::ops::Range;

use super::feed::Rows;
use super::layout::tile;
use super::simd::{Kernel, Simd};
use super::units::Unit;
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

/// Taps of an output position along one axis that lie inside the image.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    /// Kernel positions.
    kernel: Range<usize>,
    /// Input position of the first one.
    input: usize,
}

impl Taps {
    /// The input position behind the last tap.
    pub(super) fn end(&self, dilation: usize) -> usize {
        if self.kernel.is_empty() { 0 } else { self.input + (self.kernel.len() - 1) * dilation + 1 }
    }

    /// The taps of each output position along an axis.
    pub(super) fn along(job: &ConvJob, axis: usize, input: usize, outputs: usize, taps: &mut Vec<Taps>) {
        let (stride, padding, dilation) = (job.stride[axis], job.padding[axis], job.dilation[axis]);
        taps.clear();
        taps.extend((0..outputs).map(|o| {
            let start = padding.saturating_sub(o * stride).div_ceil(dilation);
            let end = (input + padding).saturating_sub(o * stride).div_ceil(dilation).min(job.kernel[axis]);
            let input = if start < end { o * stride + start * dilation - padding } else { 0 };
            Taps { kernel: start.min(end)..end, input }
        }));
    }
}

/// One row of output pixels for one tile.
pub(super) struct Row<'a, S: Simd, const W: usize> {
    pub(super) job: &'a ConvJob,
    /// The input, and its units from pixel to pixel.
    pub(super) x: Rows<'a, S, W>,
    pub(super) x_pitch: usize,
    /// The output row.
    pub(super) y: &'a mut [Unit<S, W>],
    pub(super) y_pitch: usize,
    /// Taps of the row, and of each of its pixels.
    pub(super) rows: &'a Taps,
    pub(super) columns: &'a [Taps],
    /// Input channels, the first one, and the output channel of the tile.
    pub(super) in_channels: usize,
    pub(super) in_first: usize,
    pub(super) out_first: usize,
    pub(super) weights: &'a [f32],
    /// Output channels of the tile.
    pub(super) channels: usize,
    pub(super) scale: Option<f32>,
}

impl<S: Simd, const W: usize> Kernel<S> for Row<'_, S, W> {
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
        by_channels!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    }
}

impl<S: Simd, const W: usize> Row<'_, S, W> {
    #[inline(always)]
    fn row<const C: usize, const RELU: bool>(self, simd: S) {
        if C > tile::<S, W>() {
            return;
        }
        let (job, channels, columns) = (self.job, self.in_channels, self.columns);
        let scale = self.scale.map(|scale| simd.splat(scale));
        // Where there is but one tap, it is inside, and nothing is left to decide at each pixel.
        if job.kernel == [1, 1] && job.padding == [0, 0] {
            let x = self.x.row(self.rows.input);
            let weights = &self.weights[..channels * C];
            for (p, columns) in columns.iter().enumerate() {
                let x = &x[columns.input * self.x_pitch + self.in_first..][..channels];
                let sums = [[simd.splat(0.0); W]; C];
                let sums = multiply::<S, W, C, RELU>(simd, x, weights, sums);
                store(simd, sums, scale, &mut self.y[p * self.y_pitch + self.out_first..], self.y_pitch);
            }
            return;
        }
        // Neighbouring taps of a kernel row are neighbours in memory when every channel is read.
        let joined = self.x_pitch == channels && job.dilation[1] == 1;
        let first = self.rows.input % self.x.count;
        for (p, columns) in columns.iter().enumerate() {
            let mut sums = [[simd.splat(0.0); W]; C];
            let taps = columns.kernel.len();
            let mut row = first;
            for r in self.rows.kernel.clone() {
                let x = &self.x.units[row * self.x.length + columns.input * self.x_pitch + self.in_first..];
                row += job.dilation[0];
                if row >= self.x.count {
                    row -= self.x.count;
                }
                let weights = &self.weights[(r * job.kernel[1] + columns.kernel.start) * channels * C..];
                if joined {
                    let length = taps * channels;
                    sums = multiply::<S, W, C, RELU>(simd, &x[..length], &weights[..length * C], sums);
                } else {
                    for s in 0..taps {
                        let x = &x[s * job.dilation[1] * self.x_pitch..][..channels];
                        let weights = &weights[s * channels * C..][..channels * C];
                        sums = multiply::<S, W, C, RELU>(simd, x, weights, sums);
                    }
                }
            }
            store(simd, sums, scale, &mut self.y[p * self.y_pitch + self.out_first..], self.y_pitch);
        }
    }
}

/// Writes the sums of a tile to the first of some pixels, and asks for those of the pixel after the next.
#[inline(always)]
fn store<S: Simd, const W: usize, const C: usize>(
    simd: S,
    sums: [[S::V; W]; C],
    scale: Option<S::V>,
    y: &mut [Unit<S, W>],
    pitch: usize,
) {
    let (pixel, next) = y.split_at_mut(C);
    if let Some(next) = next.get(2 * pitch - C..).and_then(|next| next.first_chunk::<C>()) {
        for unit in next {
            simd.prefetch(&unit[0]);
        }
    }
    for (unit, mut sum) in pixel.iter_mut().zip(sums) {
        if let Some(scale) = scale {
            for sum in &mut sum {
                *sum = simd.mul(*sum, scale);
            }
        }
        simd.store_unit(sum, unit);
    }
}

/// Adds the products of some input channels to the sums of a tile.
#[inline(always)]
pub(super) fn multiply<S: Simd, const W: usize, const C: usize, const RELU: bool>(
    simd: S,
    x: &[Unit<S, W>],
    weights: &[f32],
    mut sums: [[S::V; W]; C],
) -> [[S::V; W]; C] {
    let zero = simd.splat(0.0);
    let (weights, _) = weights.as_chunks::<C>();
    for (unit, weights) in x.iter().zip(weights) {
        let mut x = simd.load_unit(unit);
        if RELU {
            for x in &mut x {
                *x = simd.max(*x, zero);
            }
        }
        for j in 0..C {
            let weight = simd.splat(weights[j]);
            for v in 0..W {
                sums[j][v] = simd.mul_add(weight, x[v], sums[j][v]);
            }
        }
    }
    sums
}
