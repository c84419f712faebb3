//! Convolution of a block of images: which rows it reads, in which form it runs, and when.
//!
//! - `form` is how outputs are computed, `direct` and `winograd` are the two ways.
//! - `tile` is what both share: output channels that are computed together.
//! - `feed` brings the rows of the input, `weights` packs weights as tiles read them.

mod direct;
mod feed;
mod form;
mod tile;
mod weights;
mod winograd;

use std::sync::Arc;

use super::blocks::Block;
use super::combine::{Combine, Source};
use super::layout::{RowOrder, TensorLayout};
use super::simd::Simd;
use super::units::{Unit, Units};
use crate::Result;
use crate::plan::Plan;
use crate::plan::jobs::{ConvJob, OCTET, Tensor};
use direct::{OutputPixels, Taps};
use feed::{CopyRow, Feed, InputRows, ReluRow, Ring};
pub(super) use form::Form;
use tile::Tile;
pub(super) use tile::most_channels;
pub(super) use weights::{LanesWeightCache, Packed};
use winograd::OutputRows;
pub(super) use winograd::Scratch as WinogradScratch;

/// Multiplications of a job for one image: by taps inside of it, or Winograd's products without its transforms.
pub(super) fn multiplications(job: &ConvJob, plan: &Plan) -> u64 {
    let [from, to] = [job.input, job.output].map(|tensor| plan.tensors[tensor].shape);
    let products = match Form::of(job, plan) {
        Form::Direct => {
            let along = |axis: usize, input: usize, outputs: usize| {
                let mut taps = Vec::new();
                Taps::along(job, axis, input, outputs, &mut taps);
                taps.iter().map(Taps::count).sum::<usize>()
            };
            along(0, from.height, to.height) * along(1, from.width, to.width)
        }
        Form::Winograd => to.pixels() / winograd::PIECE.pow(2) * winograd::POSITIONS,
    };
    products as u64 * job.channel_pairs(&plan.parameters)
}

/// Bytes of input that all tiles read before the next ones: as many as stay in the first cache meanwhile.
const NEAR: usize = 8 << 10;

/// A convolution, and the sum that goes straight into it.
pub(super) struct Conv<'a> {
    pub(super) job: &'a ConvJob,
    form: Form,
    sum: Option<Combine<'a>>,
    tiles: Vec<Tile<'a>>,
    in_channels: usize,
    input: &'a Tensor,
    x_pitch: usize,
    output: &'a Tensor,
    y_pitch: usize,
    /// Taps of each row and column of the output.
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

impl<'a> Conv<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        layout: &TensorLayout,
        job: &'a ConvJob,
        sum: Option<Combine<'a>>,
        packed: &'a [Arc<Packed>],
        scale: impl Fn(f64) -> f32,
    ) -> Self {
        let form = Form::of(job, plan);
        let in_channels = plan.parameters[job.parts[0].parameter].shape.in_channels;
        let tiles = tiles(job, plan, layout, packed, scale);
        let (input, output) = (&plan.tensors[job.input], &plan.tensors[job.output]);
        let (x_pitch, y_pitch) = (layout.pitch(job.input), layout.pitch(job.output));
        let [mut rows, mut columns] = [const { Vec::new() }; 2];
        Taps::along(job, 0, input.shape.height, output.shape.height, &mut rows);
        Taps::along(job, 1, input.shape.width, output.shape.width, &mut columns);
        Conv { job, form, sum, tiles, in_channels, input, x_pitch, output, y_pitch, rows, columns }
    }

    /// Convolves a block; `done` sees its rows in order, while they are near.
    pub(super) fn block<S: Simd, const W: usize>(
        &self,
        simd: S,
        block: &mut Block<'_, S, W>,
        plane: &mut [S::Bits],
        feed: &mut Units<S, W>,
        winograd: &mut WinogradScratch<S, W>,
        mut done: impl FnMut(&[Unit<S, W>]),
    ) -> Result<()> {
        let (view, y) = block.split(Some(self.job.output));
        let source: Source<'_, S, W> = &|tensor| view.tensor(tensor);
        if self.form == Form::Direct && self.sum.is_none() {
            let x = InputRows::stored(self.input, source(self.job.input));
            for (i, y) in self.output_rows(y, 1) {
                self.direct(simd, x, i, y);
                done(y);
            }
            return Ok(());
        }
        let ring = Ring::new(self.job, self.form, self.input);
        feed.resize(ring.units())?;
        let mut feed = Feed::new(ring, feed.get_mut());
        let mut make = |iy, row: &mut [Unit<S, W>]| self.make(simd, source, iy, row, ring.order, plane);
        if self.form == Form::Direct {
            for (i, y) in self.output_rows(y, 1) {
                feed.make(self.rows[i].end(self.job.dilation[0]), &mut make)?;
                self.direct(simd, feed.rows(), i, y);
                done(y);
            }
        } else {
            winograd.prepare(self.in_channels)?;
            for (i, y) in self.output_rows(y, winograd::PIECE) {
                feed.make(self.rows[(i + 1) * winograd::PIECE - 1].end(1), &mut make)?;
                self.winograd(simd, winograd, &feed, i, y);
                done(y);
            }
        }
        // Rows that the convolution does not reach still have bits to emit.
        if self.sum.is_some() { feed.make(self.input.shape.height, &mut make) } else { Ok(()) }
    }

    /// The output, so many rows at a time.
    fn output_rows<'b, U>(&self, y: &'b mut [U], rows: usize) -> impl Iterator<Item = (usize, &'b mut [U])> {
        y.chunks_exact_mut(rows * self.output.shape.width * self.y_pitch).enumerate()
    }

    /// One output row by direct convolution.
    fn direct<S: Simd, const W: usize>(
        &self,
        simd: S,
        x: InputRows<'_, S, W>,
        i: usize,
        y: &mut [Unit<S, W>],
    ) {
        let pixels = (NEAR / size_of_val(&x.units[..self.x_pitch])).max(1);
        for (y, columns) in y.chunks_mut(pixels * self.y_pitch).zip(self.columns.chunks(pixels)) {
            for tile in &self.tiles {
                simd.call(OutputPixels {
                    job: self.job,
                    x,
                    x_pitch: self.x_pitch,
                    y: &mut *y,
                    y_pitch: self.y_pitch,
                    rows: &self.rows[i],
                    columns,
                    in_channels: self.in_channels,
                    tile,
                });
            }
        }
    }

    /// Four output rows by Winograd's form.
    fn winograd<S: Simd, const W: usize>(
        &self,
        simd: S,
        scratch: &mut WinogradScratch<S, W>,
        feed: &Feed<'_, S, W>,
        i: usize,
        y: &mut [Unit<S, W>],
    ) {
        let x = feed.rows();
        simd.call(OutputRows {
            scratch,
            x: std::array::from_fn(|r| {
                let iy = (i * winograd::PIECE + r).wrapping_sub(1);
                if iy < self.input.shape.height { x.row(iy) } else { feed.zeros() }
            }),
            in_channels: self.in_channels,
            y,
            y_pitch: self.y_pitch,
            width: self.output.shape.width,
            tiles: &self.tiles,
        });
    }

    /// A row of the input, as the form reads it.
    fn make<S: Simd, const W: usize>(
        &self,
        simd: S,
        source: Source<'_, S, W>,
        y: usize,
        row: &mut [Unit<S, W>],
        order: RowOrder,
        plane: &mut [S::Bits],
    ) -> Result<()> {
        let relu = self.job.relu;
        match &self.sum {
            Some(sum) => {
                sum.row(simd, source, y, row, order, plane)?;
                if relu && self.form == Form::Winograd {
                    simd.call(ReluRow(row));
                }
            }
            None => {
                let from = InputRows::<S, W>::stored(self.input, source(self.job.input)).row(y);
                simd.call(CopyRow { from, channels: self.x_pitch, relu, to: row, order });
            }
        }
        Ok(())
    }
}

/// The tiles of a job's output channels, with their packed weights.
fn tiles<'a>(
    job: &ConvJob,
    plan: &Plan,
    layout: &TensorLayout,
    packed: &'a [Arc<Packed>],
    scale: impl Fn(f64) -> f32,
) -> Vec<Tile<'a>> {
    let mut tiles = Vec::new();
    for (part, packed) in job.parts.iter().zip(packed) {
        let scale = job.scaled.then(|| scale(plan.parameters[part.parameter].standard_deviation));
        tiles.extend(packed.tiles.iter().map(|tile| Tile {
            out_first: layout.unit(job.output, part.octet * OCTET) + tile.channel,
            channels: tile.channels,
            in_first: tile.input,
            weights: packed.weights(tile),
            scale,
        }));
    }
    tiles
}

/// Units of the rows on their way to a convolution, which reads a sum that is not stored or a stored tensor.
pub(super) fn feed_units(plan: &Plan, job: &ConvJob, sum: bool) -> usize {
    let form = Form::of(job, plan);
    if sum || form == Form::Winograd { Ring::new(job, form, &plan.tensors[job.input]).units() } else { 0 }
}

/// Units of Winograd's transforms, where a convolution has them.
pub(super) fn winograd_units(plan: &Plan, job: &ConvJob) -> usize {
    match Form::of(job, plan) {
        Form::Direct => 0,
        Form::Winograd => winograd::units(plan.tensors[job.input].shape.channels),
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Conv, Graph};
    use crate::{Backend, Batch, Network, Precision, Scorer};

    /// Image, convolution, batch norm, ReLU.
    fn conv(from: usize, to: usize, kernel: usize, stride: usize) -> Network {
        let mut graph = Graph::builder(from).unwrap();
        let conv = Conv::new(to, kernel).padding(kernel / 2).stride(stride);
        let x = graph.conv(graph.input(), conv, "conv.weight").unwrap();
        let x = graph.batch_norm(x, "norm").unwrap();
        let x = graph.relu(x).unwrap();
        Network::from_graph("conv", graph.output(x).unwrap())
    }

    #[test]
    fn multiplications_are_those_of_the_form() {
        const IMAGES: u64 = 2;
        for (from, to, kernel, stride, pixels, defined, executed) in [
            // Four pieces of 36 products.
            (16, 16, 3, 1, 8, 9 * 64 * 256, 4 * 36 * 256),
            // Along an axis 22 taps of 24 are inside.
            (5, 12, 3, 1, 8, 9 * 64 * 60, 22 * 22 * 60),
            // Four outputs, the first of which has one tap outside.
            (6, 6, 3, 2, 8, 9 * 16 * 36, 11 * 11 * 36),
            (8, 20, 1, 1, 4, 16 * 160, 16 * 160),
        ] {
            let batch =
                Batch::new([IMAGES as usize, from, pixels, pixels], vec![0.5; 2 * from * pixels * pixels]);
            let builder = Scorer::builder(batch.unwrap()).backend(Backend::Cpu);
            let network = conv(from, to, kernel, stride);
            assert_eq!(network.macs(pixels, pixels).unwrap(), defined);
            for (precision, expected) in [(Precision::F32, executed), (Precision::F64, defined)] {
                let scorer = builder.clone().precision(precision).build().unwrap();
                let plan = scorer.plan(&network).unwrap();
                assert_eq!(scorer.multiplications(&plan), IMAGES * expected, "{from} -> {to}, {precision}");
            }
        }
    }
}
