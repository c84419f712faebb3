//! Steps made ready: what all blocks of a step share, and the work on one block.

use std::ops::Range;
use std::sync::Arc;

use super::blocks::Block;
use super::combine::{Combine, Source};
use super::conv::Taps;
use super::feed::{Copy, Feed, Order, Relu, Ring, Rows};
use super::job::{TileOf, direct, tiles};
use super::layout::Layout;
use super::simd::Simd;
use super::statistics::Moments;
use super::units::Unit;
use super::weights::{Form, Packed};
use super::{Scratch, winograd};
use crate::Result;
use crate::measure::Stage;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, NormJob, OCTET, Part};

/// A step made ready.
pub(super) struct Ready<'a> {
    pub(super) stage: Stage,
    kind: Kind<'a>,
    /// Batch norms of what it makes.
    pub(super) norms: &'a [NormJob],
    /// The channels that they normalise, as the plan counts them, and where they are in a pixel.
    pub(super) channels: Vec<Range<usize>>,
    units: Vec<Range<usize>>,
}

enum Kind<'a> {
    Combine(&'a CombineJob, Combine<'a>),
    Conv(Conv<'a>),
}

/// A convolution, and the sum that goes straight into it.
struct Conv<'a> {
    job: &'a ConvJob,
    form: Form,
    sum: Option<Combine<'a>>,
    tiles: Vec<TileOf<'a>>,
    in_channels: usize,
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

impl<'a> Ready<'a> {
    pub(super) fn combine(job: &'a CombineJob, combine: Combine<'a>) -> Self {
        let channels = vec![Range { start: 0, end: job.shape.channels }];
        let kind = Kind::Combine(job, combine);
        let norms = &job.statistics.norms;
        Ready { stage: Stage::Combine, kind, norms, units: channels.clone(), channels }
    }

    pub(super) fn conv(
        (plan, layout): (&'a Plan, &Layout),
        job: &'a ConvJob,
        sum: Option<Combine<'a>>,
        form: Form,
        packed: &'a [Arc<Packed>],
        scale: impl Fn(f64) -> f32,
    ) -> Self {
        let in_channels = plan.parameters[job.parts[0].parameter].shape.in_channels;
        let tiles = tiles(job, plan, layout, packed, scale, form, in_channels);
        let part = |part: &Part| (part.octet * OCTET, part.channels(&plan.parameters));
        let channels: Vec<Range<usize>> =
            job.parts.iter().map(part).map(|(first, count)| first..first + count).collect();
        let start = |range: &Range<usize>| layout.unit(job.output, range.start);
        let units = channels.iter().map(|range| start(range)..start(range) + range.len()).collect();
        let (input, output) = (&plan.tensors[job.input].shape, &plan.tensors[job.output].shape);
        let [mut rows, mut columns] = [const { Vec::new() }; 2];
        Taps::along(job, 0, input.height, output.height, &mut rows);
        Taps::along(job, 1, input.width, output.width, &mut columns);
        let kind = Kind::Conv(Conv { job, form, sum, tiles, in_channels, rows, columns });
        Ready { stage: Stage::Conv, kind, norms: &job.statistics.norms, channels, units }
    }

    /// Channels whose moments are wanted.
    pub(super) fn moments(&self) -> usize {
        if self.norms.is_empty() { 0 } else { self.channels.iter().map(ExactSizeIterator::len).sum() }
    }

    /// Does a block: writes its output, its bits and its moments.
    pub(super) fn block<S: Simd, const W: usize>(
        &self,
        simd: S,
        (block, images): (&mut Block<'_, S, W>, usize),
        plane: &mut [S::Bits],
        moments: &mut [Moments],
        scratch: &mut Scratch<S, W>,
    ) -> Result<()> {
        let (plan, layout) = (block.plan, block.layout);
        match &self.kind {
            Kind::Combine(job, combine) => {
                let (view, y) = block.split(job.output);
                let source: Source<'_, S, W> = &|tensor| view.tensor(tensor);
                combine.block(simd, &mut scratch.combine, source, y, plane)?;
                if !self.norms.is_empty() {
                    let pitch = job.shape.channels;
                    scratch.sums.start(&y[..pitch], &self.units);
                    scratch.sums.add(simd, y, pitch, &self.units);
                    scratch.sums.finish(images, job.shape.pixels(), moments);
                }
            }
            Kind::Conv(conv) => {
                let (input, output) = (&plan.tensors[conv.job.input], &plan.tensors[conv.job.output]);
                let (height, x_pitch) = (input.shape.height, layout.pitch(conv.job.input));
                let (width, y_pitch) = (output.shape.width, layout.pitch(conv.job.output));
                let wanted = !self.norms.is_empty();
                let (view, y) = block.split(Some(conv.job.output));
                let source: Source<'_, S, W> = &|tensor| view.tensor(tensor);
                let Scratch { feed, winograd, sums, .. } = scratch;
                let ring = (conv.sum.is_some() || conv.form == Form::Winograd)
                    .then(|| Ring::new(conv.job, conv.form, input));
                let mut feed = match ring {
                    Some(ring) => {
                        feed.resize(ring.units())?;
                        Some(Feed::<S, W>::new(ring, feed.get_mut()))
                    }
                    None => None,
                };
                let order = ring.map_or(Order::pixels(x_pitch), |ring| ring.order);
                let relu = conv.job.relu;
                let mut make = |iy: usize, row: &mut [Unit<S, W>]| match &conv.sum {
                    Some(sum) => {
                        sum.row(simd, source, iy, (row, order), plane)?;
                        if relu && conv.form == Form::Winograd {
                            simd.call(Relu(row));
                        }
                        Ok(())
                    }
                    None => {
                        let from = Rows::<S, W>::stored(input, source(conv.job.input)).row(iy);
                        simd.call(Copy { from, channels: x_pitch, relu, to: row, order });
                        Ok(())
                    }
                };
                let rows_at_once = if conv.form == Form::Winograd { winograd::PIECE } else { 1 };
                if conv.form == Form::Winograd {
                    winograd.prepare(conv.in_channels)?;
                }
                for (i, y) in y.chunks_exact_mut(rows_at_once * width * y_pitch).enumerate() {
                    if let Some(feed) = &mut feed {
                        let last = conv.rows[(i + 1) * rows_at_once - 1].end(conv.job.dilation[0]);
                        feed.make(last, &mut make)?;
                    }
                    match (conv.form, &feed) {
                        (Form::Winograd, Some(feed)) => {
                            let x = feed.rows();
                            simd.call(winograd::Rows {
                                scratch: &mut *winograd,
                                x: std::array::from_fn(|r| {
                                    let iy = (i * rows_at_once + r).wrapping_sub(1);
                                    if iy < height { x.row(iy) } else { feed.zeros() }
                                }),
                                in_channels: conv.in_channels,
                                y: &mut *y,
                                y_pitch,
                                width,
                                tiles: &conv.tiles,
                            });
                        }
                        (_, feed) => {
                            let x = match feed {
                                Some(feed) => feed.rows(),
                                None => Rows::stored(input, source(conv.job.input)),
                            };
                            let taps = (&conv.rows[i], &*conv.columns);
                            let (x, y) = ((x, x_pitch), (&mut *y, y_pitch));
                            direct(simd, conv.job, x, y, taps, &conv.tiles, conv.in_channels);
                        }
                    }
                    if wanted {
                        if i == 0 {
                            sums.start(&y[..y_pitch], &self.units);
                        }
                        sums.add(simd, y, y_pitch, &self.units);
                    }
                }
                // Rows that the convolution does not reach still have bits to emit.
                if let (Some(feed), Some(_)) = (&mut feed, &conv.sum) {
                    feed.make(height, &mut make)?;
                }
                if wanted {
                    sums.finish(images, output.shape.pixels(), moments);
                }
            }
        }
        Ok(())
    }
}
