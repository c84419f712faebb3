//! The input of a convolution on its way to it.
//!
//! A direct convolution reads a stored tensor where it lies. A sum that is not stored is made row by row just before
//! it is read, in a ring of as many rows as the kernel spans, which stays in cache. Winograd's form always reads
//! such a ring, since its rows have zeros on either side, and so no border.

use super::layout::{Layout, Unit};
use super::simd::Simd;
use super::weights::Form;
use super::winograd;
use crate::Result;
use crate::plan::jobs::{ConvJob, Tensor};

/// Rows of an input, by their number in the image: row y is the y-th, modulo how many there are.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, S: Simd> {
    pub(super) units: &'a [Unit<S>],
    pub(super) count: usize,
    /// Units of a row.
    pub(super) length: usize,
}

impl<'a, S: Simd> Rows<'a, S> {
    /// The rows of a stored tensor's block.
    pub(super) fn stored(tensor: &Tensor, units: &'a [Unit<S>]) -> Self {
        Rows { units, count: tensor.shape.height, length: tensor.shape.width * Layout::pitch(tensor) }
    }

    pub(super) fn row(&self, y: usize) -> &'a [Unit<S>] {
        &self.units[y % self.count * self.length..][..self.length]
    }
}

/// A ring of rows and, where they have margins, a row of zeros behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    count: usize,
    /// Units of a row without its margins.
    inner: usize,
    /// Units of a margin, on either side of a row.
    margin: usize,
}

impl Ring {
    /// The ring of a convolution.
    pub(super) fn new(job: &ConvJob, form: Form, input: &Tensor) -> Self {
        let pixel = Layout::pitch(input);
        let inner = input.shape.width * pixel;
        match form {
            Form::Direct => Ring { count: (job.kernel[0] - 1) * job.dilation[0] + 1, inner, margin: 0 },
            Form::Winograd => Ring { count: winograd::SPAN, inner, margin: pixel },
        }
    }

    fn length(&self) -> usize {
        self.inner + 2 * self.margin
    }

    /// Units that it needs.
    pub(super) fn units(&self) -> usize {
        (self.count + usize::from(self.margin > 0)) * self.length()
    }
}

/// A ring that is filled from the first row on.
pub(super) struct Feed<'a, S: Simd> {
    ring: Ring,
    units: &'a mut [Unit<S>],
    /// Rows that have been made.
    made: usize,
}

impl<'a, S: Simd> Feed<'a, S> {
    /// An empty ring in so many units as it needs.
    pub(super) fn new(ring: Ring, units: &'a mut [Unit<S>]) -> Self {
        let zero = bytemuck::Zeroable::zeroed();
        let (rows, zeros) = units.split_at_mut(ring.count * ring.length());
        zeros.fill(zero);
        if ring.margin > 0 {
            for row in rows.chunks_exact_mut(ring.length()) {
                row[..ring.margin].fill(zero);
                row[ring.margin + ring.inner..].fill(zero);
            }
        }
        Feed { ring, units, made: 0 }
    }

    /// Makes the rows before `end` that have not been made.
    pub(super) fn make(
        &mut self,
        end: usize,
        mut row: impl FnMut(usize, &mut [Unit<S>]) -> Result<()>,
    ) -> Result<()> {
        while self.made < end {
            let start = self.made % self.ring.count * self.ring.length() + self.ring.margin;
            row(self.made, &mut self.units[start..][..self.ring.inner])?;
            self.made += 1;
        }
        Ok(())
    }

    /// The rows in the ring.
    pub(super) fn rows(&self) -> Rows<'_, S> {
        Rows { units: self.units, count: self.ring.count, length: self.ring.length() }
    }

    /// A row of zeros, for what lies above and below the image.
    pub(super) fn zeros(&self) -> &[Unit<S>] {
        &self.units[self.ring.count * self.ring.length()..]
    }
}
