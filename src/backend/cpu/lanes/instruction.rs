//! Instructions bound to what they read and write: what all blocks share, and the work on one block.

use std::ops::Range;
use std::sync::Arc;

use super::blocks::Block;
use super::combine::{Combine, Source};
use super::conv::{Conv, Packed};
use super::gram::GramBlock;
use super::layout::TensorLayout;
use super::simd::Simd;
use super::statistics::Moments;
use super::workspace::Scratch;
use crate::Result;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, GramJob, OCTET, Part};
use crate::probe::Stage;
use crate::score::scatter::Scatter;

/// An instruction bound to a plan, a layout and its weights.
pub(super) struct BoundInstruction<'a> {
    pub(super) stage: Stage,
    kind: Kind<'a>,
    /// The channels that batch norms normalize, as the plan counts them, and where they are in a pixel.
    pub(super) channels: Vec<Range<usize>>,
    units: Vec<Range<usize>>,
}

/// What instructions have found out on one block: each takes the moments that it needs, and adds the scatter matrices that
/// it makes.
pub(super) struct Results<'a> {
    pub(super) moments: &'a mut [Moments],
    pub(super) scatters: &'a mut Vec<Scatter>,
}

enum Kind<'a> {
    Combine(&'a CombineJob, Combine<'a>),
    Conv(Conv<'a>),
    Gram(&'a GramJob),
}

impl<'a> BoundInstruction<'a> {
    pub(super) fn combine(job: &'a CombineJob, combine: Combine<'a>) -> Self {
        let all = Range { start: 0, end: job.shape.channels };
        let channels = if job.statistics.norms.is_empty() { Vec::new() } else { vec![all] };
        let kind = Kind::Combine(job, combine);
        BoundInstruction { stage: Stage::Combine, kind, units: channels.clone(), channels }
    }

    pub(super) fn conv(
        plan: &'a Plan,
        layout: &TensorLayout,
        job: &'a ConvJob,
        sum: Option<Combine<'a>>,
        packed: &'a [Arc<Packed>],
        scale: impl Fn(f64) -> f32,
    ) -> Self {
        let part = |part: &Part| {
            let first = part.octet * OCTET;
            first..first + part.channels(&plan.parameters)
        };
        let parts = if job.statistics.norms.is_empty() { &[] } else { &*job.parts };
        let channels: Vec<Range<usize>> = parts.iter().map(part).collect();
        let start = |range: &Range<usize>| layout.unit(job.output, range.start);
        let units = channels.iter().map(|range| start(range)..start(range) + range.len()).collect();
        let kind = Kind::Conv(Conv::new(plan, layout, job, sum, packed, scale));
        BoundInstruction { stage: Stage::Conv, kind, channels, units }
    }

    pub(super) fn gram(job: &'a GramJob) -> Self {
        BoundInstruction {
            stage: Stage::Gram,
            kind: Kind::Gram(job),
            channels: Vec::new(),
            units: Vec::new(),
        }
    }

    /// Channels whose moments are wanted.
    pub(super) fn moments(&self) -> usize {
        self.channels.iter().map(ExactSizeIterator::len).sum()
    }

    /// Runs on one block, which holds so many images: writes its output and its bits, and adds to the results.
    pub(super) fn block<S: Simd, const W: usize>(
        &self,
        simd: S,
        block: &mut Block<'_, S, W>,
        images: usize,
        plane: &mut [S::Bits],
        results: &mut Results<'_>,
        scratch: &mut Scratch<S, W>,
    ) -> Result<()> {
        let Scratch { combine: rows, feed, winograd, sums, gram, .. } = scratch;
        sums.start();
        let pixels = match &self.kind {
            Kind::Combine(job, combine) => {
                let (view, y) = block.split(job.output);
                let source: Source<'_, S, W> = &|tensor| view.tensor(tensor);
                combine.block(simd, rows, source, y, plane)?;
                sums.add(simd, y, job.shape.channels, &self.units);
                job.shape.pixels()
            }
            Kind::Conv(conv) => {
                let pitch = block.layout.pitch(conv.job.output);
                conv.block(simd, block, plane, feed, winograd, |rows| {
                    sums.add(simd, rows, pitch, &self.units);
                })?;
                block.plan.tensors[conv.job.output].shape.pixels()
            }
            Kind::Gram(job) => {
                let (pitch, first) =
                    (block.layout.pitch(job.tensor), block.layout.unit(job.tensor, job.channel));
                let (view, _) = block.split(None);
                let (channels, relu) = (job.channels, job.relu);
                let pixels = view.tensor(job.tensor);
                let source = GramBlock { pixels, pitch, first, channels, relu, images };
                results.scatters.push(source.scatter(simd, gram)?);
                return Ok(());
            }
        };
        let (moments, rest) = std::mem::take(&mut results.moments).split_at_mut(self.moments());
        sums.finish(images, pixels, moments);
        results.moments = rest;
        Ok(())
    }
}
