//! The input of a convolution, row by row.
//!
//! A direct convolution reads a stored tensor where it lies. A sum that is not stored is made row by row just before
//! it is read, in a ring of as many rows as the kernel spans, which stays in cache. Winograd's form always reads
//! such a ring, channel by channel and with zeros around the image: so a piece has no border, and its pixels lie at
//! constant distances.

use bytemuck::Zeroable;

use super::form::Form;
use super::winograd;
use crate::Result;
use crate::backend::cpu::lanes::layout::RowOrder;
use crate::backend::cpu::lanes::simd::{Simd, WithSimd};
use crate::backend::cpu::lanes::units::Unit;
use crate::plan::jobs::{ConvJob, Tensor};

/// Rows of a convolution's input, by their number in the image: row y is the y-th, modulo how many there are.
#[derive(Clone, Copy)]
pub(super) struct InputRows<'a, S: Simd, const W: usize> {
    pub(super) units: &'a [Unit<S, W>],
    pub(super) count: usize,
    /// Units of a row.
    pub(super) length: usize,
}

impl<'a, S: Simd, const W: usize> InputRows<'a, S, W> {
    /// The rows of a stored tensor's block.
    pub(super) fn stored(tensor: &Tensor, units: &'a [Unit<S, W>]) -> Self {
        InputRows { units, count: tensor.shape.height, length: tensor.shape.width * tensor.shape.channels }
    }

    pub(super) fn row(&self, y: usize) -> &'a [Unit<S, W>] {
        &self.units[y % self.count * self.length..][..self.length]
    }
}

/// A ring of rows, and a row of zeros behind them where there are borders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    count: usize,
    length: usize,
    pub(super) order: RowOrder,
    borders: bool,
}

impl Ring {
    /// The ring of a convolution: [pixel][channel] for the direct form, [channel][1 + pixel + 1] for Winograd's.
    pub(super) fn new(job: &ConvJob, form: Form, input: &Tensor) -> Self {
        let (channels, width) = (input.shape.channels, input.shape.width);
        match form {
            Form::Direct => Ring {
                count: (job.kernel[0] - 1) * job.dilation[0] + 1,
                length: width * channels,
                order: RowOrder::pixels(channels),
                borders: false,
            },
            Form::Winograd => Ring {
                count: winograd::SPAN,
                length: (width + 2) * channels,
                order: RowOrder { first: 1, pixel: 1, channel: width + 2 },
                borders: true,
            },
        }
    }

    /// Units that it needs.
    pub(super) fn units(&self) -> usize {
        (self.count + usize::from(self.borders)) * self.length
    }
}

/// A ring that is filled from the first row on.
pub(super) struct Feed<'a, S: Simd, const W: usize> {
    ring: Ring,
    units: &'a mut [Unit<S, W>],
    /// Rows that have been made.
    made: usize,
}

impl<'a, S: Simd, const W: usize> Feed<'a, S, W> {
    /// An empty ring in so many units as it needs.
    pub(super) fn new(ring: Ring, units: &'a mut [Unit<S, W>]) -> Self {
        let zero = Unit::<S, W>::zeroed();
        let (rows, zeros) = units.split_at_mut(ring.count * ring.length);
        zeros.fill(zero);
        if ring.borders {
            for channel in rows.chunks_exact_mut(ring.order.channel) {
                channel[0] = zero;
                channel[ring.order.channel - 1] = zero;
            }
        }
        Feed { ring, units, made: 0 }
    }

    /// Makes the rows before `end` that have not been made.
    pub(super) fn make(
        &mut self,
        end: usize,
        mut row: impl FnMut(usize, &mut [Unit<S, W>]) -> Result<()>,
    ) -> Result<()> {
        while self.made < end {
            row(
                self.made,
                &mut self.units[self.made % self.ring.count * self.ring.length..][..self.ring.length],
            )?;
            self.made += 1;
        }
        Ok(())
    }

    /// The rows in the ring.
    pub(super) fn rows(&self) -> InputRows<'_, S, W> {
        InputRows { units: self.units, count: self.ring.count, length: self.ring.length }
    }

    /// A row of zeros, for what lies above and below the image.
    pub(super) fn zeros(&self) -> &[Unit<S, W>] {
        &self.units[self.ring.count * self.ring.length..]
    }
}

/// A row of a stored tensor on its way to Winograd's form.
pub(super) struct CopyRow<'a, S: Simd, const W: usize> {
    /// [pixel][channel].
    pub(super) from: &'a [Unit<S, W>],
    pub(super) channels: usize,
    pub(super) relu: bool,
    pub(super) to: &'a mut [Unit<S, W>],
    pub(super) order: RowOrder,
}

impl<S: Simd, const W: usize> WithSimd<S> for CopyRow<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        let zero = simd.splat(0.0);
        for (p, pixel) in self.from.chunks_exact(self.channels).enumerate() {
            for (c, unit) in pixel.iter().enumerate() {
                let to = &mut self.to[self.order.at(p, c)];
                for v in 0..W {
                    let x = simd.load(&unit[v]);
                    simd.store(if self.relu { simd.max(x, zero) } else { x }, &mut to[v]);
                }
            }
        }
    }
}

/// ReLU of a row of sums on its way to Winograd's form.
pub(super) struct ReluRow<'a, S: Simd, const W: usize>(pub(super) &'a mut [Unit<S, W>]);

impl<S: Simd, const W: usize> WithSimd<S> for ReluRow<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        let zero = simd.splat(0.0);
        for lanes in self.0.iter_mut().flatten() {
            simd.store(simd.max(simd.load(lanes), zero), lanes);
        }
    }
}
