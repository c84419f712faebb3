//! One network on its way through the stages.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::blocks::{Block, Blocks, View};
use super::combine::{Combine, Source};
use super::conv::Taps;
use super::feed::{Copy, Feed, Order, Relu, Ring, Rows};
use super::job::{direct, form, tiles};
use super::layout::Layout;
use super::program::Step;
use super::simd::{Kernel as Work, Simd};
use super::statistics::Moments;
use super::units::Unit;
use super::weights::{Form, Packed};
use super::{Lanes, Scratch, Workspace, codes, winograd};
use crate::backend::cpu::agreement::{self, Section};
use crate::backend::{Outcome, Setup};
use crate::measure::Stage;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, NormJob, OCTET, Part};
use crate::{Error, Kernel, Result};

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
    /// Runs the plan, step by step, then counts agreements and takes the log-determinant.
    pub(super) fn score(mut self, steps: &[Step]) -> Result<Outcome> {
        let plan = self.plan;
        for step in steps {
            match *step {
                Step::Combine(job) => self.combine(&plan.combines[job])?,
                Step::Conv { job, sum } => self.conv(&plan.convs[job], sum.map(|sum| &plan.combines[sum]))?,
            }
        }
        self.setup.timed(Stage::Agreement, self.spread, || self.agreement());
        if let Some(probe) = &self.setup.probe {
            probe.see_codes(plan, self.workspace.codes.get());
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
            let combine = Combine::new(plan, layout, job, norms);
            let whole = (plan, layout, lanes.image.get());
            let (view, y) = View::<S, W>::split(whole, arena.get_mut(), job.output);
            let planes = planes.get_mut();
            let blocks = Blocks { spread, layout, y, planes, channels: &channels };
            let wanted = !job.statistics.norms.is_empty();
            blocks.run(scratch, wanted, |Block { b, y, plane, moments }, scratch| {
                let source: Source<'_, S, W> = &|tensor| view.block(tensor, b);
                combine.block(lanes.simd, &mut scratch.combine, source, y, plane)?;
                if wanted {
                    let pitch = job.shape.channels;
                    scratch.sums.start(&y[..pitch], &channels);
                    scratch.sums.add(lanes.simd, y, pitch, &channels);
                    scratch.sums.finish(layout.images_of::<S, W>(b), job.shape.pixels(), moments);
                }
                Ok(())
            })
        })?;
        self.batch_norms(&job.statistics.norms, &channels, &moments)
    }

    /// A convolution, and the sum that goes straight into it.
    fn conv(&mut self, job: &ConvJob, sum: Option<&CombineJob>) -> Result<()> {
        let Run { lanes, setup, plan, layout, spread, .. } = *self;
        let (input, output) = (&plan.tensors[job.input], &plan.tensors[job.output]);
        let form = form(job, plan);
        let packed = setup.timed(Stage::Weights, spread, || -> Result<Vec<Arc<Packed>>> {
            let part = |part: &Part| {
                let parameter = &plan.parameters[part.parameter];
                lanes.pool.part(lanes.simd, job, form, parameter, part)
            };
            job.parts.iter().map(part).collect()
        })?;
        let in_channels = plan.parameters[job.parts[0].parameter].shape.in_channels;
        let tiles =
            tiles(job, plan, layout, &packed, |sd| lanes.pool.source().scale(sd) as f32, form, in_channels);
        // The channels of its parts, as the plan counts them and where they are in a pixel.
        let part = |part: &Part| (part.octet * OCTET, part.channels(&plan.parameters));
        let channels: Vec<Range<usize>> =
            job.parts.iter().map(part).map(|(first, count)| first..first + count).collect();
        let start = |range: &Range<usize>| layout.unit(job.output, range.start);
        let units: Vec<Range<usize>> =
            channels.iter().map(|range| start(range)..start(range) + range.len()).collect();
        let moments = setup.timed(Stage::Conv, spread, || {
            let [mut rows, mut columns] = [const { Vec::new() }; 2];
            Taps::along(job, 0, input.shape.height, output.shape.height, &mut rows);
            Taps::along(job, 1, input.shape.width, output.shape.width, &mut columns);
            let Workspace { arena, norms, planes, scratch, .. } = &mut *self.workspace;
            let sum = sum.map(|sum| Combine::new(plan, layout, sum, norms));
            let ring = (sum.is_some() || form == Form::Winograd).then(|| Ring::new(job, form, input));
            let whole = (plan, layout, lanes.image.get());
            let (view, y) = View::<S, W>::split(whole, arena.get_mut(), Some(job.output));
            let planes = if sum.is_some() { planes.get_mut() } else { &mut [] };
            let blocks = Blocks { spread, layout, y, planes, channels: &units };
            let wanted = !job.statistics.norms.is_empty();
            let (height, x_pitch) = (input.shape.height, layout.pitch(job.input));
            let (width, y_pitch) = (output.shape.width, layout.pitch(job.output));
            let rows_at_once = if form == Form::Winograd { winograd::PIECE } else { 1 };
            blocks.run(scratch, wanted, |Block { b, y, plane, moments }, scratch| {
                let Scratch { feed, winograd, sums, .. } = scratch;
                let source: Source<'_, S, W> = &|tensor| view.block(tensor, b);
                let mut feed = match ring {
                    Some(ring) => {
                        feed.resize(ring.units())?;
                        Some(Feed::<S, W>::new(ring, feed.get_mut()))
                    }
                    None => None,
                };
                let order = ring.map_or(Order::pixels(x_pitch), |ring| ring.order);
                let mut make = |iy: usize, row: &mut [Unit<S, W>]| match &sum {
                    Some(sum) => {
                        sum.row(lanes.simd, source, iy, (row, order), plane)?;
                        if job.relu && form == Form::Winograd {
                            lanes.simd.call(Relu(row));
                        }
                        Ok(())
                    }
                    None => {
                        let from = Rows::<S, W>::stored(input, view.block(job.input, b)).row(iy);
                        lanes.simd.call(Copy { from, channels: x_pitch, relu: job.relu, to: row, order });
                        Ok(())
                    }
                };
                if form == Form::Winograd {
                    winograd.prepare(in_channels)?;
                }
                for (i, y) in y.chunks_exact_mut(rows_at_once * width * y_pitch).enumerate() {
                    if let Some(feed) = &mut feed {
                        let last = rows[(i + 1) * rows_at_once - 1].end(job.dilation[0]);
                        feed.make(last, &mut make)?;
                    }
                    match (form, &feed) {
                        (Form::Winograd, Some(feed)) => {
                            let x = feed.rows();
                            lanes.simd.call(winograd::Rows {
                                scratch: &mut *winograd,
                                x: std::array::from_fn(|r| {
                                    let iy = (i * rows_at_once + r).wrapping_sub(1);
                                    if iy < height { x.row(iy) } else { feed.zeros() }
                                }),
                                in_channels,
                                y: &mut *y,
                                y_pitch,
                                width,
                                tiles: &tiles,
                            });
                        }
                        (_, feed) => {
                            let x = match feed {
                                Some(feed) => feed.rows(),
                                None => Rows::stored(input, view.block(job.input, b)),
                            };
                            let taps = (&rows[i], &*columns);
                            direct(lanes.simd, job, (x, x_pitch), (y, y_pitch), taps, &tiles, in_channels);
                        }
                    }
                    if wanted {
                        if i == 0 {
                            sums.start(&y[..y_pitch], &units);
                        }
                        sums.add(lanes.simd, y, y_pitch, &units);
                    }
                }
                // Rows that the convolution does not reach still have bits to emit.
                if let (Some(feed), Some(_)) = (&mut feed, &sum) {
                    feed.make(height, &mut make)?;
                }
                if wanted {
                    sums.finish(layout.images_of::<S, W>(b), output.shape.pixels(), moments);
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
        codes::transpose::<S, W>(simd, self.plan, planes.get(), codes.get_mut());
        let n = self.plan.images();
        for job in &self.plan.agreements {
            let section = Section::new(self.plan, job, codes.get());
            if self.spread {
                let rows = kernel.par_chunks_mut(n).enumerate();
                rows.for_each(|(i, k)| simd.call(KernelRows { section: &section, rows: i..i + 1, k, n }));
            } else {
                simd.call(KernelRows { section: &section, rows: 0..n, k: kernel, n });
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
