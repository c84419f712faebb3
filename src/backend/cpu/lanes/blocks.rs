//! What a job reads and writes, block by block.

use std::ops::Range;

use rayon::prelude::*;

use super::Scratch;
use super::layout::Layout;
use super::simd::Simd;
use super::statistics::Moments;
use super::units::Unit;
use crate::Result;
use crate::backend::cpu::workspace::parts;
use crate::plan::Plan;
use crate::plan::jobs::{IMAGE, TensorId};

/// The tensors that a job reads, while it writes another one.
pub(super) struct View<'a, S: Simd, const W: usize> {
    plan: &'a Plan,
    layout: &'a Layout,
    image: &'a [Unit<S, W>],
    below: &'a [Unit<S, W>],
    above: &'a [Unit<S, W>],
    above_start: usize,
}

impl<'a, S: Simd, const W: usize> View<'a, S, W> {
    /// Takes a tensor out of the arena to write it (an empty one when there is none).
    pub(super) fn split(
        run: (&'a Plan, &'a Layout, &'a [Unit<S, W>]),
        arena: &'a mut [Unit<S, W>],
        output: Option<TensorId>,
    ) -> (Self, &'a mut [Unit<S, W>]) {
        let (plan, layout, image) = run;
        let hole = output.map_or(0..0, |output| layout.place(plan, output));
        let (rest, above) = arena.split_at_mut(hole.end);
        let (below, output) = rest.split_at_mut(hole.start);
        (View { plan, layout, image, below, above, above_start: hole.end }, output)
    }

    /// One block of a tensor.
    pub(super) fn block(&self, tensor: TensorId, b: usize) -> &'a [Unit<S, W>] {
        let length = self.layout.block_units(self.plan, tensor);
        if tensor == IMAGE {
            return &self.image[b * length..][..length];
        }
        let start = self.layout.place(self.plan, tensor).start + b * length;
        if start >= self.above_start {
            &self.above[start - self.above_start..][..length]
        } else {
            &self.below[start..][..length]
        }
    }
}

/// What a job writes, block by block.
pub(super) struct Blocks<'a, S: Simd, const W: usize> {
    pub(super) spread: bool,
    pub(super) layout: &'a Layout,
    pub(super) y: &'a mut [Unit<S, W>],
    pub(super) planes: &'a mut [S::Bits],
    pub(super) channels: &'a [Range<usize>],
}

/// One block's share of it.
pub(super) struct Block<'a, S: Simd, const W: usize> {
    /// Which one.
    pub(super) b: usize,
    pub(super) y: &'a mut [Unit<S, W>],
    pub(super) plane: &'a mut [S::Bits],
    pub(super) moments: &'a mut [Moments],
}

impl<S: Simd, const W: usize> Blocks<'_, S, W> {
    /// Does the work of each block, in turn or spread over the cores, and joins the blocks' moments in order.
    pub(super) fn run(
        self,
        scratch: &mut Scratch<S, W>,
        wanted: bool,
        work: impl Fn(Block<'_, S, W>, &mut Scratch<S, W>) -> Result<()> + Sync,
    ) -> Result<Vec<Moments>> {
        let blocks = self.layout.blocks;
        let channels = if wanted { self.channels.iter().map(|range| range.len()).sum() } else { 0 };
        let mut moments = vec![Moments::default(); blocks * channels];
        let (y, planes) = (self.y.len() / blocks, self.planes.len() / blocks);
        let shares = parts(self.y, y, blocks).into_iter().zip(parts(self.planes, planes, blocks)).zip(parts(
            &mut moments,
            channels,
            blocks,
        ));
        if self.spread {
            let shares: Vec<_> = shares.collect();
            shares
                .into_par_iter()
                .enumerate()
                .try_for_each_init(Scratch::default, |scratch, (b, ((y, plane), moments))| {
                    work(Block { b, y, plane, moments }, scratch)
                })?;
        } else {
            shares
                .enumerate()
                .try_for_each(|(b, ((y, plane), moments))| work(Block { b, y, plane, moments }, scratch))?;
        }
        let mut joined = vec![Moments::default(); channels];
        for block in moments.chunks_exact(channels.max(1)) {
            joined.iter_mut().zip(block).for_each(|(joined, &moments)| joined.join(moments));
        }
        Ok(joined)
    }
}
