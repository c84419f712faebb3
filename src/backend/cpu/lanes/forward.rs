//! The forward pass of one network in lanes, and its K.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use rayon::prelude::*;

use super::blocks::Block;
use super::codes;
use super::combine::Combine;
use super::conv::{self, Form, LanesWeightCache, Packed, most_channels};
use super::gram;
use super::instruction::{BoundInstruction, Results};
use super::layout::{self, TensorLayout};
use super::program::{Instruction, Program};
use super::simd::{Simd, WithSimd};
use super::spectrum;
use super::statistics::Moments;
use super::units::{Unit, Units};
use super::workspace::{Scratch, Workspace, scratch_units};
use crate::backend::cpu::path::{Path, outcome};
use crate::backend::cpu::weights::most_row_bytes;
use crate::backend::cpu::workspace::{parts, section};
use crate::backend::{Outcome, Setup};
use crate::plan::Plan;
use crate::plan::jobs::{NormJob, Part, SwapJob};
use crate::probe::Stage;
use crate::score::agreement::{self, Section};
use crate::score::features::Feature;
use crate::score::scatter::Scatter;
use crate::{Error, Precision, Result};

/// The path of lanes, with one instruction set.
pub(crate) struct Lanes<S: Simd, const W: usize> {
    simd: S,
    image: Units<S, W>,
    weights: LanesWeightCache,
}

impl<S: Simd, const W: usize> Lanes<S, W> {
    pub(crate) fn new(simd: S, setup: &Setup) -> Result<Self> {
        let weights = LanesWeightCache::new(Arc::clone(&setup.source), most_channels::<S, W>());
        Ok(Lanes { simd, image: layout::image::<S, W>(&setup.batch)?, weights })
    }
}

impl<S: Simd, const W: usize> Path for Lanes<S, W> {
    type Workspace = Workspace<S, W>;
    const PRECISION: Precision = Precision::F32;

    fn bytes(&self, plan: &Plan) -> u64 {
        let Program { instructions, layout, .. } = &Program::new::<S, W>(plan);
        let units = layout.blocks * layout.arena + layout.passing + scratch_units(plan, instructions);
        let patterns = plan.memory().patterns;
        let numbers = 2 * plan.norm_entries + plan.images() * plan.words_per_image + patterns;
        // K is copied once, for its score.
        let k = 2 * plan.images() * plan.images();
        let planes = layout.blocks * codes::plane(plan) * size_of::<S::Bits>();
        let grams = plan.grams.iter().map(gram::scratch_bytes::<S, W>).max().unwrap_or(0);
        // Those of a group are there block by block, and all of them once more as eigenvalues are taken.
        let scatters = 8 * (layout.blocks + 2) * plan.memory().scatter;
        let bytes = (units * size_of::<Unit<S, W>>() + 4 * (numbers + k) + planes + grams + scatters) as u64;
        bytes + LanesWeightCache::bytes(plan) + most_row_bytes(plan)
    }

    fn multiplications(&self, plan: &Plan) -> u64 {
        plan.convs.iter().map(|job| conv::multiplications(job, plan)).sum()
    }

    fn keep_weights(&self, bytes: u64) {
        self.weights.keep(bytes);
    }

    fn score(
        &self,
        setup: &Setup,
        plan: &Plan,
        workspace: &mut Workspace<S, W>,
        spread: bool,
    ) -> Result<Outcome> {
        let program = Program::new::<S, W>(plan);
        let layout = &program.layout;
        workspace.prepare(plan, layout, if spread { rayon::current_num_threads() } else { 1 })?;
        ForwardPass { lanes: self, setup, plan, layout, workspace, spread }.score(&program)
    }
}

/// The forward pass of one network.
struct ForwardPass<'a, S: Simd, const W: usize> {
    lanes: &'a Lanes<S, W>,
    setup: &'a Setup,
    plan: &'a Plan,
    layout: &'a TensorLayout,
    workspace: &'a mut Workspace<S, W>,
    spread: bool,
}

impl<S: Simd, const W: usize> ForwardPass<'_, S, W> {
    /// Runs the plan, group by group, then counts agreements and takes the log-determinant.
    fn score(mut self, program: &Program) -> Result<Outcome> {
        let plan = self.plan;
        let mut features = Vec::with_capacity(plan.grams.len());
        for group in &program.groups {
            self.group(&program.instructions[group.clone()], &mut features)?;
        }
        self.setup.timed(Stage::Agreement, self.spread, || self.agreement());
        let patterns = plan.swap.map(|job| self.setup.timed(Stage::Swap, self.spread, || self.swap(job)));
        // As the plan has them, so that sums have one order on all paths.
        features.sort_by_key(|&(job, _)| job);
        let features = features.into_iter().map(|(job, scatter)| plan.grams[job].feature(scatter));
        let features: Vec<Feature> = features.collect();
        let spectra = || spectrum::feature_scores(self.lanes.simd, plan, &features);
        let scores = self.setup.timed(Stage::Spectrum, self.spread, spectra)?;
        let Workspace { k, codes, .. } = &*self.workspace;
        outcome(self.setup, plan, self.spread, k, codes.get(), patterns, scores)
    }

    /// All instructions of a group for one block after the other, or for several on as many cores. Adds scatter matrices to
    /// `features`, with the gram jobs that they are of.
    fn group(&mut self, instructions: &[Instruction], features: &mut Vec<(usize, Scatter)>) -> Result<()> {
        let ForwardPass { lanes, setup, plan, layout, spread, .. } = *self;
        let packed =
            instructions.iter().map(|&instruction| self.packed(instruction)).collect::<Result<Vec<_>>>()?;
        let Workspace { arena, norms, planes, scratch, .. } = &mut *self.workspace;
        let combine = |job: usize| Combine::new(plan, layout, &plan.combines[job], norms);
        let mut bound = Vec::with_capacity(instructions.len());
        for (&instruction, packed) in instructions.iter().zip(&packed) {
            bound.push(match instruction {
                Instruction::Combine(job) => BoundInstruction::combine(&plan.combines[job], combine(job)),
                Instruction::Conv { job, sum } => {
                    let job = &plan.convs[job];
                    let scale = |deviation| lanes.weights.source().scale(deviation) as f32;
                    BoundInstruction::conv(plan, layout, job, sum.map(combine), packed, scale)
                }
                Instruction::Gram(job) => BoundInstruction::gram(&plan.grams[job]),
            });
        }
        let channels: usize = bound.iter().map(BoundInstruction::moments).sum();
        let blocks = layout.blocks;
        let mut moments = vec![Moments::default(); blocks * channels];
        // Of each block, those of its gram jobs.
        let mut scatters: Vec<Vec<Scatter>> = vec![Vec::new(); blocks];
        let image = lanes.image.get();
        let work = |b: usize,
                    lasting: &mut [Unit<S, W>],
                    plane: &mut [S::Bits],
                    mut results: Results<'_>,
                    scratch: &mut Scratch<S, W>| {
            let mut passing = std::mem::take(&mut scratch.passing);
            passing.resize(layout.passing)?;
            let image = &image[b * (image.len() / blocks)..][..image.len() / blocks];
            let mut block = Block { plan, layout, image, lasting, passing: passing.get_mut() };
            let images = layout.images_of::<S, W>(b);
            for bound in &bound {
                setup.timed(bound.stage, false, || {
                    bound.block(lanes.simd, &mut block, images, plane, &mut results, scratch)
                })?;
            }
            scratch.passing = passing;
            Ok(())
        };
        let arenas = parts(arena.get_mut(), layout.arena, blocks);
        let planes = parts(planes.get_mut(), codes::plane(plan), blocks);
        let results = parts(&mut moments, channels, blocks).into_iter().zip(&mut scatters);
        let results = results.map(|(moments, scatters)| Results { moments, scatters });
        let shares = arenas.into_iter().zip(planes).zip(results).enumerate();
        if spread {
            let shares: Vec<_> = shares.collect();
            shares.into_par_iter().try_for_each(|(b, ((arena, plane), results))| {
                let Some(thread) = rayon::current_thread_index() else {
                    unreachable!("blocks are spread over a pool's threads");
                };
                let own = &scratch[thread];
                let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
                work(b, arena, plane, results, &mut own)
            })?;
        } else {
            let own = scratch[0].get_mut().unwrap_or_else(PoisonError::into_inner);
            for (b, ((arena, plane), results)) in shares {
                work(b, arena, plane, results, own)?;
            }
        }
        let mut merged = vec![Moments::default(); channels];
        for block in moments.chunks_exact(channels.max(1)) {
            merged.iter_mut().zip(block).for_each(|(merged, &moments)| merged.merge(moments));
        }
        let grams = instructions.iter().filter_map(|instruction| match *instruction {
            Instruction::Gram(job) => Some(job),
            _ => None,
        });
        for (position, job) in grams.enumerate() {
            let mut whole = Scatter::empty(plan.grams[job].channels);
            scatters.iter().for_each(|block| whole.merge(&block[position]));
            features.push((job, whole));
        }
        let mut rest = &*merged;
        let ranges: Vec<_> = bound.into_iter().map(|bound| (bound.moments(), bound.channels)).collect();
        for (instruction, (count, channels)) in instructions.iter().zip(ranges) {
            let (moments, others) = rest.split_at(count);
            rest = others;
            self.batch_norms(instruction.norms(plan), &channels, moments)?;
        }
        Ok(())
    }

    /// The packed weights of a convolution, part by part; none of a combine.
    fn packed(&mut self, instruction: Instruction) -> Result<Vec<Arc<Packed>>> {
        let Instruction::Conv { job, .. } = instruction else { return Ok(Vec::new()) };
        let job = &self.plan.convs[job];
        let ForwardPass { lanes, plan, ref mut workspace, .. } = *self;
        let part = |part: &Part| {
            let parameter = &plan.parameters[part.parameter];
            lanes.weights.part(lanes.simd, job, Form::of(job, plan), parameter, part, &mut workspace.rows)
        };
        self.setup.timed(Stage::Weights, self.spread, || job.parts.iter().map(part).collect())
    }

    /// Batch norms from the moments of a job's channels.
    fn batch_norms(
        &mut self,
        jobs: &[NormJob],
        channels: &[Range<usize>],
        moments: &[Moments],
    ) -> Result<()> {
        let source = self.lanes.weights.source();
        for norm in jobs {
            let eps = norm.scaled_eps(&self.plan.parameters, source);
            let affine = source.batch_norm(&norm.name, norm.all_channels)?;
            for c in 0..norm.channels {
                let moments = &moments[position(channels, norm.channel + c)];
                let (gamma, beta) = affine
                    .as_ref()
                    .map_or((1.0, 0.0), |(gamma, beta)| (gamma[norm.first + c], beta[norm.first + c]));
                let scale = (f64::from(gamma) / (moments.m2 / moments.count + eps).sqrt()) as f32;
                let shift = (f64::from(beta) - moments.mean * f64::from(scale)) as f32;
                if !scale.is_finite() || !shift.is_finite() || !moments.m2.is_finite() {
                    return Err(Error::NonFinite { node: norm.name.clone(), precision: "f32" });
                }
                let norms = &mut self.workspace.norms;
                norms.scale[norm.entry + c] = scale;
                norms.shift[norm.entry + c] = shift;
            }
        }
        Ok(())
    }

    fn agreement(&mut self) {
        let simd = self.lanes.simd;
        let Workspace { planes, codes, k, .. } = &mut *self.workspace;
        codes::transpose::<S, W>(simd, self.plan, planes.get(), codes.get_mut());
        let n = self.plan.images();
        for job in &self.plan.agreements {
            let section = section(self.plan, job, codes.get());
            if self.spread {
                let rows = k.par_chunks_mut(n).enumerate();
                rows.for_each(|(i, k)| simd.call(AgreementRows { section: &section, rows: i..i + 1, k, n }));
            } else {
                simd.call(AgreementRows { section: &section, rows: 0..n, k, n });
            }
        }
        agreement::mirror(k, n);
    }

    fn swap(&mut self, job: SwapJob) -> u32 {
        let Workspace { planes, patterns, .. } = &mut *self.workspace;
        job.score(codes::swap::<S, W>(self.lanes.simd, self.plan, job.images, planes.get(), patterns))
    }
}

/// Position of a channel among some ranges put side by side.
fn position(ranges: &[Range<usize>], channel: usize) -> usize {
    let mut before = 0;
    for range in ranges {
        if range.contains(&channel) {
            return before + channel - range.start;
        }
        before += range.len();
    }
    unreachable!("channel {channel} is normalized and has no moments")
}

/// The agreements of some rows of K.
struct AgreementRows<'a> {
    section: &'a Section<'a>,
    rows: Range<usize>,
    k: &'a mut [u32],
    n: usize,
}

impl<S: Simd> WithSimd<S> for AgreementRows<'_> {
    #[inline(always)]
    fn run(self, simd: S) {
        agreement::agreement_rows_by(self.section, self.rows, self.k, self.n, |a, b| simd.hamming(a, b));
    }
}
