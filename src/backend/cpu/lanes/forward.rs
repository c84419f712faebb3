//! One network on its way through the stages.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use rayon::prelude::*;

use super::blocks::Block;
use super::combine::Combine;
use super::job::form;
use super::layout::Layout;
use super::program::{Program, Step};
use super::simd::{Kernel as Work, Simd};
use super::statistics::Moments;
use super::step::Ready;
use super::units::Unit;
use super::weights::Packed;
use super::{Lanes, Scratch, Workspace, codes};
use crate::backend::cpu::workspace::{parts, section};
use crate::backend::{Outcome, Setup};
use crate::plan::Plan;
use crate::plan::jobs::{NormJob, Part, SwapJob};
use crate::probe::Stage;
use crate::score::agreement::{self, Section};
use crate::{Agreement, Error, Result};

/// A plan at work.
pub(super) struct Run<'a, S: Simd, const W: usize> {
    pub(super) lanes: &'a Lanes<S, W>,
    pub(super) setup: &'a Setup,
    pub(super) plan: &'a Plan,
    pub(super) layout: &'a Layout,
    pub(super) workspace: &'a mut Workspace<S, W>,
    pub(super) spread: bool,
}

impl<S: Simd, const W: usize> Run<'_, S, W> {
    /// Runs the plan, group by group, then counts agreements and takes the log-determinant.
    pub(super) fn score(mut self, program: &Program) -> Result<Outcome> {
        let plan = self.plan;
        for group in &program.groups {
            self.group(&program.steps[group.clone()])?;
        }
        self.setup.timed(Stage::Agreement, self.spread, || self.agreement());
        if let Some(probe) = &self.setup.probe {
            probe.see_codes(plan, self.workspace.codes.get());
        }
        let patterns = plan.swap.map(|job| self.setup.timed(Stage::Swap, self.spread, || self.swap(job)));
        let kernel = Agreement::new(plan.images(), self.workspace.kernel.clone())?;
        Ok(Outcome {
            log_det: self.setup.timed(Stage::Cholesky, self.spread, || kernel.log_det()),
            patterns,
            activations: plan.activations(),
            kernel: self.setup.keep_kernels.then_some(kernel),
            seconds: 0.0,
        })
    }

    /// All steps of a group for one block after the other, or for several on as many cores.
    fn group(&mut self, steps: &[Step]) -> Result<()> {
        let Run { lanes, setup, plan, layout, spread, .. } = *self;
        let packed = steps.iter().map(|&step| self.packed(step)).collect::<Result<Vec<_>>>()?;
        let Workspace { arena, norms, planes, scratch, .. } = &mut *self.workspace;
        let combine = |job: usize| Combine::new(plan, layout, &plan.combines[job], norms);
        let mut ready = Vec::with_capacity(steps.len());
        for (&step, packed) in steps.iter().zip(&packed) {
            ready.push(match step {
                Step::Combine(job) => Ready::combine(&plan.combines[job], combine(job)),
                Step::Conv { job, sum } => {
                    let job = &plan.convs[job];
                    let scale = |deviation| lanes.pool.source().scale(deviation) as f32;
                    Ready::conv((plan, layout), job, sum.map(combine), packed, scale)
                }
            });
        }
        let channels: usize = ready.iter().map(Ready::moments).sum();
        let blocks = layout.blocks;
        let mut moments = vec![Moments::default(); blocks * channels];
        let image = lanes.image.get();
        let work = |b: usize,
                    lasting: &mut [Unit<S, W>],
                    plane: &mut [S::Bits],
                    moments: &mut [Moments],
                    scratch: &mut Scratch<S, W>| {
            let mut passing = std::mem::take(&mut scratch.passing);
            passing.resize(layout.passing)?;
            let image = &image[b * (image.len() / blocks)..][..image.len() / blocks];
            let mut block = Block { plan, layout, image, lasting, passing: passing.get_mut() };
            let images = layout.images_of::<S, W>(b);
            let mut rest = moments;
            for ready in &ready {
                let (moments, others) = rest.split_at_mut(ready.moments());
                rest = others;
                setup.timed(ready.stage, false, || {
                    ready.block(lanes.simd, (&mut block, images), plane, moments, scratch)
                })?;
            }
            scratch.passing = passing;
            Ok(())
        };
        let arenas = parts(arena.get_mut(), layout.arena, blocks);
        let planes = parts(planes.get_mut(), codes::plane(plan), blocks);
        let shares = arenas.into_iter().zip(planes).zip(parts(&mut moments, channels, blocks)).enumerate();
        if spread {
            let shares: Vec<_> = shares.collect();
            shares.into_par_iter().try_for_each(|(b, ((arena, plane), moments))| {
                let own = &scratch[rayon::current_thread_index().unwrap_or(0)];
                work(b, arena, plane, moments, &mut own.lock().unwrap_or_else(PoisonError::into_inner))
            })?;
        } else {
            let own = scratch[0].get_mut().unwrap_or_else(PoisonError::into_inner);
            for (b, ((arena, plane), moments)) in shares {
                work(b, arena, plane, moments, own)?;
            }
        }
        let mut joined = vec![Moments::default(); channels];
        for block in moments.chunks_exact(channels.max(1)) {
            joined.iter_mut().zip(block).for_each(|(joined, &moments)| joined.join(moments));
        }
        let mut rest = &*joined;
        let ranges: Vec<_> = ready.into_iter().map(|ready| (ready.moments(), ready.channels)).collect();
        for (step, (count, channels)) in steps.iter().zip(ranges) {
            let (moments, others) = rest.split_at(count);
            rest = others;
            self.batch_norms(step.norms(plan), &channels, moments)?;
        }
        Ok(())
    }

    /// The packed weights of a convolution.
    fn packed(&mut self, step: Step) -> Result<Vec<Arc<Packed>>> {
        let Step::Conv { job, .. } = step else { return Ok(Vec::new()) };
        let job = &self.plan.convs[job];
        let Run { lanes, plan, ref mut workspace, .. } = *self;
        let part = |part: &Part| {
            let parameter = &plan.parameters[part.parameter];
            lanes.pool.part(lanes.simd, job, form(job, plan), parameter, part, &mut workspace.rows)
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
        let source = self.lanes.pool.source();
        for norm in jobs {
            let parameter = norm.scale.map(|parameter| &self.plan.parameters[parameter]);
            let scale = parameter.map_or(1.0, |parameter| source.scale(parameter.standard_deviation));
            let eps = norm.eps.get() / (scale * scale);
            let affine = source.batch_norm(&norm.name, norm.all_channels)?;
            for c in 0..norm.channels {
                let Some(moments) = position(channels, norm.channel + c).and_then(|at| moments.get(at))
                else {
                    continue;
                };
                let (gamma, beta) = affine
                    .as_ref()
                    .map_or((1.0, 0.0), |(gamma, beta)| (gamma[norm.first + c], beta[norm.first + c]));
                let a = f64::from(gamma) / (moments.m2 / moments.count + eps).sqrt();
                if !moments.mean.is_finite() || !moments.m2.is_finite() || !(a as f32).is_finite() {
                    return Err(Error::NonFinite { node: norm.name.clone(), precision: "f32" });
                }
                let norms = &mut self.workspace.norms;
                norms.mean[norm.entry + c] = moments.mean as f32;
                norms.a[norm.entry + c] = a as f32;
                norms.beta[norm.entry + c] = beta;
            }
        }
        Ok(())
    }

    fn agreement(&mut self) {
        let simd = self.lanes.simd;
        let Workspace { planes, codes, kernel, .. } = &mut *self.workspace;
        codes::transpose::<S, W>(simd, self.plan, planes.get(), codes.get_mut());
        let n = self.plan.images();
        for job in &self.plan.agreements {
            let section = section(self.plan, job, codes.get());
            if self.spread {
                let rows = kernel.par_chunks_mut(n).enumerate();
                rows.for_each(|(i, k)| simd.call(KernelRows { section: &section, rows: i..i + 1, k, n }));
            } else {
                simd.call(KernelRows { section: &section, rows: 0..n, k: kernel, n });
            }
        }
        agreement::mirror(kernel, n);
    }

    fn swap(&mut self, job: SwapJob) -> u32 {
        let Workspace { planes, patterns, .. } = &mut *self.workspace;
        job.score(codes::swap::<S, W>(self.lanes.simd, self.plan, job.images, planes.get(), patterns))
    }
}

/// Position of a channel among some ranges put side by side.
fn position(ranges: &[Range<usize>], channel: usize) -> Option<usize> {
    let mut before = 0;
    for range in ranges {
        if range.contains(&channel) {
            return Some(before + channel - range.start);
        }
        before += range.len();
    }
    None
}

/// Some rows of K.
struct KernelRows<'a> {
    section: &'a Section<'a>,
    rows: Range<usize>,
    k: &'a mut [u32],
    n: usize,
}

impl<S: Simd> Work<S> for KernelRows<'_> {
    #[inline(always)]
    fn run(self, simd: S) {
        agreement::agreement_rows_by(self.section, self.rows, self.k, self.n, |a, b| simd.hamming(a, b));
    }
}
