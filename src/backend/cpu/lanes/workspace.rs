//! Workspaces: the memory of one network while it runs, and of one thread.

use std::sync::Mutex;

use bytemuck::Zeroable;

use super::codes::plane;
use super::conv::WinogradScratch;
use super::gram::GramScratch;
use super::layout::TensorLayout;
use super::program::Instruction;
use super::simd::Simd;
use super::statistics::Sums;
use super::units::{Lines, Units};
use super::{combine, conv};
use crate::Result;
use crate::backend::cpu::workspace::{Norms, resize};
use crate::plan::Plan;

/// Memory that one network writes while it runs, kept for the next.
pub(crate) struct Workspace<S: Simd, const W: usize> {
    pub(super) arena: Units<S, W>,
    pub(super) norms: Norms<f32>,
    pub(super) planes: Lines<S::Bits>,
    pub(super) codes: Lines<u32>,
    /// A bit for each activation pattern.
    pub(super) patterns: Vec<u32>,
    /// K, [image][image].
    pub(super) k: Vec<u32>,
    /// Weights on their way to be packed.
    pub(super) rows: Vec<f32>,
    /// One for each thread that works on the network.
    pub(super) scratch: Vec<Mutex<Scratch<S, W>>>,
}

/// Memory that a thread has to itself.
pub(super) struct Scratch<S: Simd, const W: usize> {
    pub(super) passing: Units<S, W>,
    pub(super) combine: combine::Scratch<S, W>,
    pub(super) feed: Units<S, W>,
    pub(super) winograd: WinogradScratch<S, W>,
    pub(super) sums: Sums<S, W>,
    pub(super) gram: GramScratch<S, W>,
}

impl<S: Simd, const W: usize> Default for Scratch<S, W> {
    fn default() -> Self {
        Scratch {
            passing: Lines::default(),
            combine: combine::Scratch::default(),
            feed: Lines::default(),
            winograd: WinogradScratch::default(),
            sums: Sums::default(),
            gram: GramScratch::default(),
        }
    }
}

impl<S: Simd, const W: usize> Default for Workspace<S, W> {
    fn default() -> Self {
        Workspace {
            arena: Lines::default(),
            norms: Norms::default(),
            planes: Lines::default(),
            codes: Lines::default(),
            patterns: Vec::new(),
            k: Vec::new(),
            rows: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

impl<S: Simd, const W: usize> Workspace<S, W> {
    /// Makes room for a plan; K starts as N_A everywhere, and no bit or pattern is set.
    pub(super) fn prepare(&mut self, plan: &Plan, layout: &TensorLayout, threads: usize) -> Result<()> {
        self.arena.resize(layout.blocks * layout.arena)?;
        for norms in [&mut self.norms.scale, &mut self.norms.shift] {
            resize(norms, norms.len().max(plan.norm_entries), 0.0)?;
        }
        // Planes hold zeros where there are no channels.
        self.planes.resize(layout.blocks * plane(plan))?;
        self.planes.get_mut().fill(Zeroable::zeroed());
        self.codes.resize(plan.images() * plan.words_per_image)?;
        self.patterns.clear();
        resize(&mut self.patterns, plan.memory().patterns, 0)?;
        self.k.clear();
        resize(&mut self.k, plan.images() * plan.images(), plan.activations())?;
        self.scratch.resize_with(threads.max(self.scratch.len()), Mutex::default);
        Ok(())
    }
}

/// Units of a thread's [`Scratch`]: rows on their way to a pool or a convolution, and Winograd's transforms.
pub(super) fn scratch_units(plan: &Plan, instructions: &[Instruction]) -> usize {
    let pools = plan.combines.iter().filter_map(|job| Some((job, job.window?.1)));
    let pools = pools.map(|(job, window)| (window.kernel[0] + 1) * job.source[1] * job.shape.channels);
    let feeds = instructions.iter().filter_map(|instruction| match *instruction {
        Instruction::Conv { job, sum } => Some(conv::feed_units(plan, &plan.convs[job], sum.is_some())),
        Instruction::Combine(_) | Instruction::Gram(_) => None,
    });
    let pieces = plan.convs.iter().map(|job| conv::winograd_units(plan, job));
    pools.max().unwrap_or(0) + feeds.max().unwrap_or(0) + pieces.max().unwrap_or(0)
}
