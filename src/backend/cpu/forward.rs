//! The forward pass of one network through the twins, and its K.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::batch_norm::{self, StatisticsLayout};
use super::combine::{Combine, Scratch};
use super::conv::Conv;
use super::gram::GramSource;
use super::path::{Path, outcome};
use super::weights::{TwinWeightCache, most_row_bytes};
use super::workspace::{Sources, Workspace, for_each_image, numbers, octets_last, section};
use crate::backend::{Outcome, Setup};
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, GramJob, IMAGE, OCTET, Parameter, Statistics, TensorId};
use crate::probe::Stage;
use crate::real::Real;
use crate::score::agreement;
use crate::score::features::Feature;
use crate::score::swap::swap;
use crate::weights::RowShape;
use crate::{Precision, Result};

/// The path of the twins, in one precision.
pub(super) struct Twin<T> {
    /// The batch as a plain tensor.
    image: Vec<T>,
    weights: TwinWeightCache<T>,
}

impl<T: Real> Twin<T> {
    pub(super) fn new(setup: &Setup) -> Self {
        Twin { image: octets_last(&setup.batch), weights: TwinWeightCache::new(Arc::clone(&setup.source)) }
    }
}

impl<T: Real> Path for Twin<T> {
    type Workspace = Workspace<T>;
    const PRECISION: Precision = T::PRECISION;

    fn bytes(&self, plan: &Plan) -> u64 {
        let numbers = |parameter: &Parameter| {
            let RowShape { out_channels, in_channels, kernel } = parameter.shape;
            out_channels.next_multiple_of(OCTET) * in_channels * kernel[0] * kernel[1]
        };
        let weights = size_of::<T>() * plan.parameters.iter().map(numbers).sum::<usize>();
        plan.memory().bytes(size_of::<T>()) + weights as u64 + most_row_bytes(plan)
    }

    fn keep_weights(&self, bytes: u64) {
        self.weights.keep(bytes);
    }

    fn score(
        &self,
        setup: &Setup,
        plan: &Plan,
        workspace: &mut Workspace<T>,
        spread: bool,
    ) -> Result<Outcome> {
        ForwardPass { twin: self, setup, plan, workspace, spread }.score()
    }
}

/// The forward pass of one network.
struct ForwardPass<'a, T> {
    twin: &'a Twin<T>,
    setup: &'a Setup,
    plan: &'a Plan,
    workspace: &'a mut Workspace<T>,
    spread: bool,
}

impl<T: Real> ForwardPass<'_, T> {
    /// Runs the plan, slot by slot, then counts agreements and takes the log-determinant.
    fn score(mut self) -> Result<Outcome> {
        let plan = self.plan;
        self.workspace.prepare(plan)?;
        let mut features = Vec::with_capacity(plan.grams.len());
        for slot in &plan.slots {
            plan.combines[slot.combines.clone()].iter().try_for_each(|job| self.combine(job))?;
            plan.convs[slot.convs.clone()].iter().try_for_each(|job| self.conv(job))?;
            features.extend(plan.grams[slot.grams.clone()].iter().map(|job| self.gram(job)));
        }
        self.setup.timed(Stage::Agreement, self.spread, || self.agreement());
        let patterns = plan.swap.map(|job| {
            let Workspace { codes, patterns, .. } = &mut *self.workspace;
            let words = plan.sections().flatten();
            let count = || job.score(swap(codes, plan.words_per_image, words, job.images, patterns));
            self.setup.timed(Stage::Swap, self.spread, count)
        });
        let spectra = || plan.feature_scores(&features, T::PRECISION);
        let scores = self.setup.timed(Stage::Spectrum, self.spread, spectra)?;
        let Workspace { k, codes, .. } = &*self.workspace;
        outcome(self.setup, plan, self.spread, k, codes, patterns, scores)
    }

    fn combine(&mut self, job: &CombineJob) -> Result<()> {
        let ForwardPass { twin, setup, plan, spread, .. } = *self;
        setup.timed(Stage::Combine, spread, || {
            let Workspace { arena, norms, codes, .. } = &mut *self.workspace;
            let (sources, output) = Sources::split(plan, &twin.image, arena, job.output);
            let combine = Combine { plan, job, norms };
            for_each_image(spread, plan, output, codes, Scratch::default, |scratch, n, output, codes| {
                combine.image(scratch, &sources, n, output, codes)
            })
        })?;
        match job.output {
            Some(output) => self.batch_norm(output, 0..job.octets(), &job.statistics),
            None => Ok(()),
        }
    }

    fn conv(&mut self, job: &ConvJob) -> Result<()> {
        let ForwardPass { twin, setup, plan, spread, .. } = *self;
        let (mut weights, mut scales) = (Vec::new(), Vec::new());
        setup.timed(Stage::Weights, spread, || {
            job.parts.iter().try_for_each(|part| {
                let parameter = &plan.parameters[part.parameter];
                let scale = twin.weights.source().scale(parameter.standard_deviation);
                scales.extend(std::iter::repeat_n(job.scaled.then(|| T::from_f64(scale)), part.octets));
                twin.weights.octets(parameter, part, &mut weights)
            })
        })?;
        setup.timed(Stage::Conv, spread, || {
            let shape = &plan.parameters[job.parts[0].parameter].shape;
            let tensors = [&plan.tensors[job.input], &plan.tensors[job.output]];
            let group_channels = [shape.in_channels, shape.out_channels / job.groups];
            let conv = Conv::new(job, tensors, group_channels, &weights, &scales);
            let arena = &mut self.workspace.arena;
            let (sources, y) = Sources::split(plan, &twin.image, arena, Some(job.output));
            for_each_image(
                spread,
                plan,
                y,
                &mut [],
                || conv.frame(),
                |frame, n, y, _| {
                    conv.image(frame, sources.image(job.input, n), y);
                    Ok(())
                },
            )
        })?;
        self.batch_norm(job.output, job.octets(), &job.statistics)
    }

    /// Statistics of what a job has written, and the batch norms made from them.
    fn batch_norm(&mut self, output: TensorId, octets: Range<usize>, statistics: &Statistics) -> Result<()> {
        if statistics.norms.is_empty() {
            return Ok(());
        }
        let ForwardPass { twin, setup, plan, spread, .. } = *self;
        let tensor = &plan.tensors[output];
        let layout = StatisticsLayout {
            pitch: tensor.pitch,
            octets,
            pixels: plan.images() * tensor.shape.pixels(),
            block: Plan::block_pixels(plan.images(), tensor.shape),
            first: statistics.partials,
        };
        setup.timed(Stage::BatchNorm, spread, || {
            let Workspace { arena, partials, norms, .. } = &mut *self.workspace;
            batch_norm::partials(spread, &arena[numbers(plan, tensor)], &layout, partials);
            statistics.norms.iter().try_for_each(|norm| {
                batch_norm::batch_norm(
                    norm,
                    &layout,
                    partials,
                    &plan.parameters,
                    twin.weights.source(),
                    norms,
                )
            })
        })
    }

    /// The feature that a gram job asks for.
    fn gram<'p>(&self, job: &'p GramJob) -> Feature<'p> {
        let ForwardPass { twin, setup, plan, spread, .. } = *self;
        let tensor = &plan.tensors[job.tensor];
        let pixels = match job.tensor {
            IMAGE => &twin.image[..],
            _ => &self.workspace.arena[numbers(plan, tensor)],
        };
        let block = Plan::block_pixels(plan.images(), tensor.shape);
        let GramJob { channel, channels, relu, .. } = *job;
        let source = GramSource { pixels, pitch: tensor.pitch, channel, channels, relu, block };
        job.feature(setup.timed(Stage::Gram, spread, || source.scatter(spread)))
    }

    fn agreement(&mut self) {
        let Workspace { codes, k, .. } = &mut *self.workspace;
        let n = self.plan.images();
        for job in &self.plan.agreements {
            let section = section(self.plan, job, codes);
            if self.spread {
                let rows = k.par_chunks_mut(n).enumerate();
                rows.for_each(|(i, row)| agreement::agreement_rows(&section, i..i + 1, row, n));
            } else {
                agreement::agreement_rows(&section, 0..n, k, n);
            }
        }
        agreement::mirror(k, n);
    }
}
