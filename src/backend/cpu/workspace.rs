//! The workspace: the memory of one network while it runs, and how jobs see it.

use std::ops::Range;

use rayon::prelude::*;

use crate::plan::Plan;
use crate::plan::jobs::{AgreementJob, IMAGE, OCTET, Tensor, TensorId};
use crate::real::Real;
use crate::score::agreement::Section;
use crate::{Batch, Error, Result};

/// Batch norms, one entry a channel: a reader computes y * scale + shift.
#[derive(Debug, Default)]
pub(crate) struct Norms<T> {
    pub(crate) scale: Vec<T>,
    pub(crate) shift: Vec<T>,
}

/// Partial statistics, [block][channel] from each job's first entry on.
#[derive(Debug, Default)]
pub(crate) struct Partials<T> {
    pub(crate) sum: Vec<T>,
    pub(crate) m2: Vec<T>,
}

/// Memory that a network writes while it runs. Grows to the largest network that it has seen.
#[derive(Debug, Default)]
pub(crate) struct Workspace<T> {
    pub(crate) arena: Vec<T>,
    pub(crate) norms: Norms<T>,
    pub(crate) partials: Partials<T>,
    pub(crate) codes: Vec<u32>,
    /// A bit for each activation pattern.
    pub(crate) patterns: Vec<u32>,
    /// K, [image][image].
    pub(crate) k: Vec<u32>,
}

impl<T: Real> Workspace<T> {
    /// Makes room for a plan and sets K to N_A everywhere, codes and patterns to zero.
    pub(crate) fn prepare(&mut self, plan: &Plan) -> Result<()> {
        let memory = plan.memory();
        let grow = |numbers: &mut Vec<T>, length: usize| resize(numbers, length, T::ZERO);
        grow(&mut self.arena, memory.arena)?;
        for norms in [&mut self.norms.scale, &mut self.norms.shift] {
            grow(norms, plan.norm_entries)?;
        }
        for partials in [&mut self.partials.sum, &mut self.partials.m2] {
            grow(partials, plan.partial_entries)?;
        }
        self.codes.clear();
        resize(&mut self.codes, memory.codes, 0)?;
        self.patterns.clear();
        resize(&mut self.patterns, memory.patterns, 0)?;
        self.k.clear();
        resize(&mut self.k, memory.kernel, plan.activations())
    }
}

/// Makes a vector so long, exactly, and says so when there is no memory for it.
pub(super) fn resize<V: Copy>(numbers: &mut Vec<V>, length: usize, value: V) -> Result<()> {
    reserve(numbers, length.saturating_sub(numbers.len()))?;
    numbers.resize(length, value);
    Ok(())
}

/// Makes room for more numbers, exactly, and says so when there is no memory for them.
pub(super) fn reserve<V>(numbers: &mut Vec<V>, more: usize) -> Result<()> {
    let needed = (more as u64).saturating_mul(size_of::<V>() as u64);
    numbers.try_reserve_exact(more).map_err(|_| Error::machine_memory(needed))
}

/// The tensors that a job reads, while it writes another one.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a, T> {
    plan: &'a Plan,
    image: &'a [T],
    /// The arena below and above the tensor that is written.
    below: &'a [T],
    above: &'a [T],
    above_start: usize,
}

impl<'a, T: Real> Sources<'a, T> {
    /// Takes a tensor out of the arena to write it (an empty one when there is none).
    pub(crate) fn split(
        plan: &'a Plan,
        image: &'a [T],
        arena: &'a mut [T],
        output: Option<TensorId>,
    ) -> (Self, &'a mut [T]) {
        let hole = output.map_or(0..0, |tensor| numbers(plan, &plan.tensors[tensor]));
        let above_start = hole.end;
        let (rest, above) = arena.split_at_mut(hole.end);
        let (below, output) = rest.split_at_mut(hole.start);
        (Sources { plan, image, below, above, above_start }, output)
    }

    /// One image of a tensor, [h][w][pitch octets].
    pub(crate) fn image(&self, tensor: TensorId, n: usize) -> &'a [T] {
        let place = &self.plan.tensors[tensor];
        let length = place.image_octets() * OCTET;
        let start = n * length;
        if tensor == IMAGE {
            return &self.image[start..start + length];
        }
        let start = start + place.offset * OCTET;
        if start >= self.above_start {
            &self.above[start - self.above_start..start - self.above_start + length]
        } else {
            &self.below[start..start + length]
        }
    }
}

/// Numbers of the arena that hold a tensor.
pub(crate) fn numbers(plan: &Plan, tensor: &Tensor) -> Range<usize> {
    let start = tensor.offset * OCTET;
    start..start + plan.images() * tensor.image_octets() * OCTET
}

/// The batch as a plain tensor: [n][h][w][octets], zeros in the pad channels.
pub(crate) fn octets_last<T: Real>(batch: &Batch) -> Vec<T> {
    let [images, channels, height, width] = batch.shape();
    let pixels = height * width;
    let padded = channels.next_multiple_of(OCTET);
    let mut out = vec![T::ZERO; images * pixels * padded];
    for (plane, values) in batch.data().chunks_exact(pixels).enumerate() {
        let (n, c) = (plane / channels, plane % channels);
        for (p, &value) in values.iter().enumerate() {
            out[(n * pixels + p) * padded + c] = T::from_f32(value);
        }
    }
    out
}

/// The code words that an agreement job compares.
pub(crate) fn section<'a>(plan: &Plan, job: &AgreementJob, codes: &'a [u32]) -> Section<'a> {
    let (first, words, weight) = (job.word, job.words, job.weight);
    Section { codes, words_per_image: plan.words_per_image, first, words, weight }
}

/// Calls `work` for each image with its part of the outputs and of the codes, in turn or spread over the cores;
/// each thread has one state. The work on one image must not depend on any other.
pub(crate) fn for_each_image<T: Real, S>(
    spread: bool,
    plan: &Plan,
    output: &mut [T],
    codes: &mut [u32],
    state: impl Fn() -> S + Send + Sync,
    work: impl Fn(&mut S, usize, &mut [T], &mut [u32]) -> Result<()> + Send + Sync,
) -> Result<()> {
    let images = plan.images();
    let (length, words) = (output.len() / images, codes.len() / images);
    if spread {
        return (0..images)
            .into_par_iter()
            .zip(parts(output, length, images))
            .zip(parts(codes, words, images))
            .map_init(&state, |state, ((n, output), codes)| work(state, n, output, codes))
            .collect();
    }
    let mut state = state();
    let outputs = parts(output, length, images);
    let codes = parts(codes, words, images);
    outputs
        .into_iter()
        .zip(codes)
        .enumerate()
        .try_for_each(|(n, (output, codes))| work(&mut state, n, output, codes))
}

/// Cuts a slice into parts of one length, empty ones where there is nothing to cut.
pub(crate) fn parts<V>(mut whole: &mut [V], length: usize, count: usize) -> Vec<&mut [V]> {
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (part, rest) = whole.split_at_mut(length);
        parts.push(part);
        whole = rest;
    }
    parts
}
