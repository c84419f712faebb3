//! One network on its way through the stages.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::blocks::{Blocks, View};
use super::combine::{Combine, Source};
use super::job::{direct, form, pieces, tiles};
use super::layout::Layout;
use super::simd::{Kernel as Work, Simd};
use super::statistics::Moments;
use super::weights::{Form, Packed};
use super::{Lanes, Scratch, Workspace, codes, winograd};
use crate::backend::cpu::agreement::{self, Section};
use crate::backend::{Outcome, Setup};
use crate::measure::Stage;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, NormJob, OCTET, Part};
use crate::{Error, Kernel, Result};

/// A plan at work.
pub(super) struct Run<'a, S: Simd> {
    pub(super) lanes: &'a Lanes<S>,
    pub(super) setup: &'a Setup,
    pub(super) plan: &'a Plan,
    pub(super) layout: Layout,
    pub(super) workspace: &'a mut Workspace<S>,
    pub(super) spread: bool,
}

impl<S: Simd> Run<'_, S> {
    /// Runs the plan, slot by slot, then counts agreements and takes the log-determinant.
    pub(super) fn score(mut self) -> Result<Outcome> {
        let plan = self.plan;
        for slot in &plan.slots {
            plan.combines[slot.combines.clone()].iter().try_for_each(|job| self.combine(job))?;
            plan.convs[slot.convs.clone()].iter().try_for_each(|job| self.conv(job))?;
        }
        self.setup.timed(Stage::Agreement, self.spread, || self.agreement());
        if let Some(probe) = &self.setup.probe {
            probe.see_codes(plan, &self.workspace.codes);
        }
        let kernel = Kernel::new(plan.images(), self.workspace.kernel.clone())?;
        Ok(Outcome {
            log_det: self.setup.timed(Stage::Cholesky, self.spread, || kernel.log_det()),
            activations: plan.activations(),
            kernel: self.setup.keep_kernels.then_some(kernel),
            seconds: 0.0,
        })
    }

    fn combine(&mut self, job: &CombineJob) -> Result<()> {
        let Run { lanes, setup, plan, layout, spread, .. } = *self;
        let channels = std::slice::from_ref(&(0..job.shape.channels)).to_vec();
        let moments = setup.timed(Stage::Combine, spread, || {
            let Workspace { arena, norms, planes, scratch, .. } = &mut *self.workspace;
            let combine = Combine::new(plan, job, norms);
            let whole = (plan, layout, lanes.image.get());
            let (view, y) = View::<S>::split(whole, &mut arena.get_mut()[..layout.arena(plan)], job.output);
            let blocks = Blocks { spread, layout, y, planes, channels: &channels };
            let wanted = !job.statistics.norms.is_empty();
            blocks.run(scratch, wanted, |b, y, plane, scratch, moments| {
                let source: Source<'_, S> = &|tensor| view.block(tensor, b);
                combine.block(lanes.simd, &mut scratch.combine, source, y, plane)?;
                if wanted {
                    let pitch = job.shape.channels;
                    scratch.sums.start(&y[..pitch], &channels);
                    scratch.sums.add(lanes.simd, y, pitch, &channels);
                    scratch.sums.finish(layout.images_of::<S>(b), job.shape.pixels(), moments);
                }
                Ok(())
            })
        })?;
        self.batch_norms(&job.statistics.norms, &channels, &moments)
    }

    fn conv(&mut self, job: &ConvJob) -> Result<()> {
        let Run { lanes, setup, plan, layout, spread, .. } = *self;
        let (input, output) = (&plan.tensors[job.input], &plan.tensors[job.output]);
        let form = form(job, plan);
        let packed = setup.timed(Stage::Weights, spread, || -> Result<Vec<Arc<Packed>>> {
            let part = |part: &Part| lanes.pool.part(job, form, &plan.parameters[part.parameter], part);
            job.parts.iter().map(part).collect()
        })?;
        let in_channels = plan.parameters[job.parts[0].parameter].shape.in_channels;
        let tiles = tiles(job, plan, &packed, |sd| lanes.pool.source().scale(sd) as f32, form, in_channels);
        let channels: Vec<Range<usize>> = job
            .parts
            .iter()
            .map(|part| {
                let left = plan.parameters[part.parameter].shape.out_channels - part.row * OCTET;
                let first = part.octet * OCTET;
                first..first + left.min(part.octets * OCTET)
            })
            .collect();
        let moments = setup.timed(Stage::Conv, spread, || {
            let Workspace { arena, scratch, .. } = &mut *self.workspace;
            let whole = (plan, layout, lanes.image.get());
            let (view, y) =
                View::<S>::split(whole, &mut arena.get_mut()[..layout.arena(plan)], Some(job.output));
            let blocks = Blocks { spread, layout, y, planes: &mut [], channels: &channels };
            let wanted = !job.statistics.norms.is_empty();
            blocks.run(scratch, wanted, |b, y, _, scratch, moments| {
                let x = view.block(job.input, b);
                let pitch = Layout::pitch(output);
                let height = if form == Form::Winograd { winograd::PIECE } else { 1 };
                if form == Form::Winograd {
                    scratch.winograd.prepare(in_channels)?;
                }
                for (i, y) in y.chunks_exact_mut(height * output.shape.width * pitch).enumerate() {
                    let Scratch { winograd, sums, .. } = &mut *scratch;
                    match form {
                        Form::Direct => {
                            direct(lanes.simd, job, (input, x), (y, pitch), i, &tiles, in_channels)
                        }
                        Form::Winograd => {
                            pieces(lanes.simd, winograd, job, (input, x), (y, pitch), i * height, &tiles)
                        }
                    }
                    if wanted {
                        if i == 0 {
                            sums.start(&y[..pitch], &channels);
                        }
                        sums.add(lanes.simd, y, pitch, &channels);
                    }
                }
                if wanted {
                    scratch.sums.finish(layout.images_of::<S>(b), output.shape.pixels(), moments);
                }
                Ok(())
            })
        })?;
        self.batch_norms(&job.statistics.norms, &channels, &moments)
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
        codes::transpose(simd, self.plan, planes, codes);
        let n = self.plan.images();
        for job in &self.plan.agreements {
            let section = Section {
                codes,
                words_per_image: self.plan.words_per_image,
                first: job.word,
                words: job.words,
                weight: job.weight,
            };
            if self.spread {
                let rows = kernel.par_chunks_mut(n).enumerate();
                rows.for_each(|(i, k)| simd.call(Rows { section: &section, rows: i..i + 1, k, n }));
            } else {
                simd.call(Rows { section: &section, rows: 0..n, k: kernel, n });
            }
        }
        agreement::mirror(kernel, n);
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
struct Rows<'a> {
    section: &'a Section<'a>,
    rows: Range<usize>,
    k: &'a mut [u32],
    n: usize,
}

impl<S: Simd> Work<S> for Rows<'_> {
    #[inline(always)]
    fn run(self, simd: S) {
        agreement::agreement_rows_by(self.section, self.rows, self.k, self.n, |a, b| simd.hamming(a, b));
    }
}
