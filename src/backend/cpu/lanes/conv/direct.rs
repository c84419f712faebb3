//! Direct convolution of a block of images.
//!
//! ```text
//! y[p, k] = sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//! ```
//!
//! Every unit of x is whole vectors of images, so a channel is a multiplication by one number: there is nothing to
//! pad at odd channel counts, and taps outside the image are skipped. The sums of an output pixel and a tile of its
//! channels stay in registers while taps and input channels run by. Weights of a tile are [r][s][c][channel].

use std::ops::Range;

use super::feed::InputRows;
use super::tile::{Tile, by_channels, most_channels, multiply};
use crate::backend::cpu::lanes::simd::{Simd, WithSimd};
use crate::backend::cpu::lanes::units::Unit;
use crate::plan::jobs::ConvJob;

/// Taps of an output position along one axis that lie inside the image.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    /// Kernel positions.
    kernel: Range<usize>,
    /// Input position of the first one.
    input: usize,
}

impl Taps {
    pub(super) fn count(&self) -> usize {
        self.kernel.len()
    }

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

/// Neighboring pixels of an output row, for one tile.
pub(super) struct OutputPixels<'a, S: Simd, const W: usize> {
    pub(super) job: &'a ConvJob,
    /// The input, and its units from pixel to pixel.
    pub(super) x: InputRows<'a, S, W>,
    pub(super) x_pitch: usize,
    /// The pixels, and their units from one to the next.
    pub(super) y: &'a mut [Unit<S, W>],
    pub(super) y_pitch: usize,
    /// Taps of the row, and of each pixel.
    pub(super) rows: &'a Taps,
    pub(super) columns: &'a [Taps],
    pub(super) in_channels: usize,
    pub(super) tile: &'a Tile<'a>,
}

impl<S: Simd, const W: usize> WithSimd<S> for OutputPixels<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        if self.job.relu {
            by_channels!(self.tile.channels, C => self.channels::<C, true>(simd));
        } else {
            by_channels!(self.tile.channels, C => self.channels::<C, false>(simd));
        }
    }
}

impl<S: Simd, const W: usize> OutputPixels<'_, S, W> {
    #[inline(always)]
    fn channels<const C: usize, const RELU: bool>(self, simd: S) {
        if C > most_channels::<S, W>() {
            unreachable!("{C} channels do not fit into registers");
        }
        let (job, channels, columns, tile) = (self.job, self.in_channels, self.columns, self.tile);
        let scale = tile.scale.map(|scale| simd.splat(scale));
        // Where there is but one tap, it is inside, and nothing is left to decide at each pixel.
        if job.kernel == [1, 1] && job.padding == [0, 0] {
            let x = self.x.row(self.rows.input);
            let weights = &tile.weights[..channels * C];
            for (p, columns) in columns.iter().enumerate() {
                let x = &x[columns.input * self.x_pitch + tile.in_first..][..channels];
                let sums = [[simd.splat(0.0); W]; C];
                let sums = multiply::<S, W, C, RELU>(simd, x, weights, sums);
                store(simd, sums, scale, &mut self.y[p * self.y_pitch + tile.out_first..], self.y_pitch);
            }
            return;
        }
        // Neighboring taps of a kernel row are neighbors in memory when every channel is read.
        let contiguous = self.x_pitch == channels && job.dilation[1] == 1;
        let first = self.rows.input % self.x.count;
        for (p, columns) in columns.iter().enumerate() {
            let mut sums = [[simd.splat(0.0); W]; C];
            let taps = columns.kernel.len();
            let mut row = first;
            for r in self.rows.kernel.clone() {
                let x = &self.x.units[row * self.x.length + columns.input * self.x_pitch + tile.in_first..];
                row += job.dilation[0];
                if row >= self.x.count {
                    row -= self.x.count;
                }
                let weights = &tile.weights[(r * job.kernel[1] + columns.kernel.start) * channels * C..];
                if contiguous {
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
            store(simd, sums, scale, &mut self.y[p * self.y_pitch + tile.out_first..], self.y_pitch);
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
