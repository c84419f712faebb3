//! Blocks of images, as an instruction reads and writes them.

use std::ops::Range;

use super::layout::TensorLayout;
use super::simd::Simd;
use super::units::Unit;
use crate::plan::Plan;
use crate::plan::jobs::{IMAGE, TensorId};

/// A block of images at work: the arena of what lasts, and the thread's place for what passes.
pub(super) struct Block<'a, S: Simd, const W: usize> {
    pub(super) plan: &'a Plan,
    pub(super) layout: &'a TensorLayout,
    /// The block of the image.
    pub(super) image: &'a [Unit<S, W>],
    pub(super) lasting: &'a mut [Unit<S, W>],
    pub(super) passing: &'a mut [Unit<S, W>],
}

/// The tensors of a block that an instruction reads, while it writes another one.
pub(super) struct View<'a, S: Simd, const W: usize> {
    layout: &'a TensorLayout,
    image: &'a [Unit<S, W>],
    lasting: Around<'a, S, W>,
    passing: Around<'a, S, W>,
}

impl<S: Simd, const W: usize> Block<'_, S, W> {
    /// Takes a tensor out to write it (an empty one when there is none).
    pub(super) fn split(&mut self, output: Option<TensorId>) -> (View<'_, S, W>, &mut [Unit<S, W>]) {
        let layout = self.layout;
        let place = output.map(|output| layout.place(output));
        let hole =
            |lasts| place.filter(|place| place.lasts == lasts).map_or(0..0, |place| place.units.clone());
        let (lasting, lasts) = Around::new(self.lasting, hole(true));
        let (passing, passes) = Around::new(self.passing, hole(false));
        let output = if lasts.is_empty() { passes } else { lasts };
        (View { layout, image: self.image, lasting, passing }, output)
    }
}

impl<'a, S: Simd, const W: usize> View<'a, S, W> {
    pub(super) fn tensor(&self, tensor: TensorId) -> &'a [Unit<S, W>] {
        if tensor == IMAGE {
            return self.image;
        }
        let place = self.layout.place(tensor);
        let units = if place.lasts { &self.lasting } else { &self.passing };
        units.get(place.units.clone())
    }
}

/// Units around some that are written.
struct Around<'a, S: Simd, const W: usize> {
    below: &'a [Unit<S, W>],
    above: &'a [Unit<S, W>],
    above_start: usize,
}

impl<'a, S: Simd, const W: usize> Around<'a, S, W> {
    fn new(units: &'a mut [Unit<S, W>], hole: Range<usize>) -> (Self, &'a mut [Unit<S, W>]) {
        let (rest, above) = units.split_at_mut(hole.end);
        let (below, hole_units) = rest.split_at_mut(hole.start);
        (Around { below, above, above_start: hole.end }, hole_units)
    }

    fn get(&self, units: Range<usize>) -> &'a [Unit<S, W>] {
        if units.start >= self.above_start {
            &self.above[units.start - self.above_start..units.end - self.above_start]
        } else {
            &self.below[units]
        }
    }
}
