//! Batch statistics of lanes.
//!
//! Each lane adds up, over one block's pixels, d = y - shift and d^2, its shift being the block's first pixel: so the
//! sums stay of the size of the deviation, and nothing cancels. Lanes and then blocks are merged in f64, in order,
//! by the formula of Chan, Golub and LeVeque (1979). Lanes that hold no image are left out.

use std::ops::Range;

use bytemuck::Zeroable;

use super::simd::{Simd, WithSimd};
use super::units::Unit;

/// Sums of one block: for each channel, a unit each.
pub(super) struct Sums<S: Simd, const W: usize> {
    shift: Vec<Unit<S, W>>,
    sum: Vec<Unit<S, W>>,
    squares: Vec<Unit<S, W>>,
}

impl<S: Simd, const W: usize> Default for Sums<S, W> {
    fn default() -> Self {
        Sums { shift: Vec::new(), sum: Vec::new(), squares: Vec::new() }
    }
}

impl<S: Simd, const W: usize> Sums<S, W> {
    /// Starts a block.
    pub(super) fn start(&mut self) {
        self.shift.clear();
    }

    /// Adds pixels, `pitch` units each, of which `channels` count.
    pub(super) fn add(&mut self, simd: S, pixels: &[Unit<S, W>], pitch: usize, channels: &[Range<usize>]) {
        if self.shift.is_empty() {
            channels.iter().for_each(|range| self.shift.extend_from_slice(&pixels[range.clone()]));
            for sums in [&mut self.sum, &mut self.squares] {
                sums.clear();
                sums.resize(self.shift.len(), Unit::<S, W>::zeroed());
            }
        }
        let mut at = 0;
        for range in channels {
            simd.call(AddPixels { sums: self, pixels, pitch, first: range.start, at: at..at + range.len() });
            at += range.len();
        }
    }

    /// Merges the block's first `images` lanes, of `pixels` pixels each, into moments by channel.
    pub(super) fn finish(&self, images: usize, pixels: usize, moments: &mut [Moments]) {
        let (n, lanes) = (pixels as f64, images as f64);
        let units = self.shift.iter().zip(&self.sum).zip(&self.squares);
        for (moments, ((shift, sum), squares)) in moments.iter_mut().zip(units) {
            let [shift, sum, squares] =
                [shift, sum, squares].map(|unit| &bytemuck::cast_slice::<_, f32>(unit)[..images]);
            let mean = |lane: usize| f64::from(shift[lane]) + f64::from(sum[lane]) / n;
            let all = (0..images).map(mean).sum::<f64>() / lanes;
            let about = |lane: usize| {
                let (sum, delta) = (f64::from(sum[lane]), mean(lane) - all);
                f64::from(squares[lane]) - sum * sum / n + n * delta * delta
            };
            *moments = Moments { count: n * lanes, mean: all, m2: (0..images).map(about).sum() };
        }
    }
}

/// Moments: count, mean and sum of squares about it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) m2: f64,
}

impl Moments {
    pub(super) fn merge(&mut self, other: Moments) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.mean += delta * (other.count / count);
        self.m2 += other.m2 + delta * delta * (self.count * other.count / count);
        self.count = count;
    }
}

/// The addition of pixels to the sums of neighboring channels.
struct AddPixels<'a, S: Simd, const W: usize> {
    sums: &'a mut Sums<S, W>,
    pixels: &'a [Unit<S, W>],
    pitch: usize,
    /// First unit of a pixel, and the sums that it and those behind it belong to.
    first: usize,
    at: Range<usize>,
}

impl<S: Simd, const W: usize> WithSimd<S> for AddPixels<'_, S, W> {
    #[inline(always)]
    fn run(mut self, simd: S) {
        // Some channels at a time, so that chains of additions hide each other's latency.
        let channels = self.at.len();
        let mut c = 0;
        if W == 1 {
            while c + 4 <= channels {
                self.channels::<4>(simd, c);
                c += 4;
            }
        }
        while c + 2 <= channels {
            self.channels::<2>(simd, c);
            c += 2;
        }
        if c < channels {
            self.channels::<1>(simd, c);
        }
    }
}

impl<S: Simd, const W: usize> AddPixels<'_, S, W> {
    #[inline(always)]
    fn channels<const C: usize>(&mut self, simd: S, c: usize) {
        let at = self.at.start + c;
        let zero = [[simd.splat(0.0); W]; C];
        let (mut shift, mut sum, mut squares) = (zero, zero, zero);
        for i in 0..C {
            shift[i] = simd.load_unit(&self.sums.shift[at + i]);
            sum[i] = simd.load_unit(&self.sums.sum[at + i]);
            squares[i] = simd.load_unit(&self.sums.squares[at + i]);
        }
        for pixel in self.pixels.chunks_exact(self.pitch) {
            let units = &pixel[self.first + c..][..C];
            for i in 0..C {
                for v in 0..W {
                    let d = simd.sub(simd.load(&units[i][v]), shift[i][v]);
                    sum[i][v] = simd.add(sum[i][v], d);
                    squares[i][v] = simd.mul_add(d, d, squares[i][v]);
                }
            }
        }
        for i in 0..C {
            simd.store_unit(sum[i], &mut self.sums.sum[at + i]);
            simd.store_unit(squares[i], &mut self.sums.squares[at + i]);
        }
    }
}
