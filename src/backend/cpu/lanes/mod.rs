//! The fast f32 path of the CPU: images in the lanes of vectors.
//!
//! A tensor is [block][h][w][channel][images of the block]: a block is two vectors of images, a *unit* is one channel
//! of one pixel for all of them. So an odd number of channels needs no padding, concat and truncation are offsets,
//! taps outside the image are left out, and every load is a whole vector. Lanes of the last block that hold no
//! image compute along, and never reach statistics or K.
//!
//! It reads the same plans as the twins (`cpu/*.rs`), which are its oracle, and emits the same code words. The
//! arithmetic of a job depends on its plan and on the instruction set, never on threads or groups.

mod codes;
mod combine;
mod conv;
mod layout;
pub(super) mod simd;
mod statistics;
mod weights;
mod winograd;

use std::sync::Arc;

use rayon::prelude::*;

use self::codes::plane;
use self::combine::{Combine, Source};
use self::conv::Row;
use self::layout::{Layout, Unit, Units};
use self::simd::Simd;
use self::statistics::{Moments, Sums};
use self::weights::{Form, Packed, Pool};
use super::Path;
use super::agreement::{self, Section};
use super::workspace::Norms;
use crate::backend::{Outcome, Setup};
use crate::measure::Stage;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, IMAGE, NormJob, OCTET, TensorId};
use crate::{Error, Kernel, Precision, Result};

/// The fast path with one instruction set.
pub(super) struct Lanes<S: Simd> {
    simd: S,
    image: Units<S>,
    pool: Pool,
}

/// What one network writes while it runs.
pub(super) struct Workspace<S: Simd> {
    arena: Units<S>,
    norms: Norms<f32>,
    planes: Vec<u8>,
    codes: Vec<u32>,
    kernel: Vec<u32>,
    scratch: Scratch<S>,
}

/// What one thread needs for itself.
struct Scratch<S: Simd> {
    combine: combine::Scratch<S>,
    winograd: winograd::Scratch<S>,
    sums: Sums<S>,
}

impl<S: Simd> Default for Scratch<S> {
    fn default() -> Self {
        Scratch {
            combine: combine::Scratch::default(),
            winograd: winograd::Scratch::default(),
            sums: Sums::default(),
        }
    }
}

impl<S: Simd> Default for Workspace<S> {
    fn default() -> Self {
        Workspace {
            arena: Units::default(),
            norms: Norms::default(),
            planes: Vec::new(),
            codes: Vec::new(),
            kernel: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}

impl<S: Simd> Workspace<S> {
    /// Makes room for a plan; K starts as N_A everywhere, and no bit is set.
    fn prepare(&mut self, plan: &Plan, layout: Layout) -> Result<()> {
        self.arena.resize(layout.arena(plan))?;
        for norms in [&mut self.norms.mean, &mut self.norms.a, &mut self.norms.beta] {
            norms.resize(norms.len().max(plan.norm_entries), 0.0);
        }
        self.planes.clear();
        self.planes.resize(layout.blocks * plane::<S>(plan), 0);
        self.codes.resize(plan.images() * plan.words_per_image, 0);
        self.kernel.clear();
        self.kernel.resize(plan.images() * plan.images(), plan.activations());
        Ok(())
    }
}

impl<S: Simd> Lanes<S> {
    pub(super) fn new(simd: S, setup: &Setup) -> Result<Self> {
        let pool = Pool::new(Arc::clone(&setup.source), S::TILE);
        Ok(Lanes { simd, image: layout::image::<S>(&setup.batch)?, pool })
    }
}

impl<S: Simd> Path for Lanes<S> {
    type Workspace = Workspace<S>;
    const PRECISION: Precision = Precision::F32;

    fn bytes(&self, plan: &Plan) -> u64 {
        let layout = Layout::new::<S>(plan.images());
        let units = layout.arena(plan) + scratch_units(plan);
        let numbers = 3 * plan.norm_entries + plan.images() * plan.words_per_image;
        // K is copied once, for its score.
        let kernel = 2 * plan.images() * plan.images();
        (units * size_of::<Unit<S>>() + 4 * (numbers + kernel) + layout.blocks * plane::<S>(plan)) as u64
    }

    fn score(
        &self,
        setup: &Setup,
        plan: &Plan,
        workspace: &mut Workspace<S>,
        spread: bool,
    ) -> Result<Outcome> {
        let layout = Layout::new::<S>(plan.images());
        workspace.prepare(plan, layout)?;
        Run { lanes: self, setup, plan, layout, workspace, spread }.score()
    }
}

/// Units that a thread needs for itself: rows on their way to a pool.
fn scratch_units(plan: &Plan) -> usize {
    let pools = plan.combines.iter().filter_map(|job| Some((job, job.window?.1)));
    pools.map(|(job, window)| (window.kernel[0] + 1) * job.source[1] * job.shape.channels).max().unwrap_or(0)
}

/// A plan at work.
struct Run<'a, S: Simd> {
    lanes: &'a Lanes<S>,
    setup: &'a Setup,
    plan: &'a Plan,
    layout: Layout,
    workspace: &'a mut Workspace<S>,
    spread: bool,
}

/// The tensors that a job reads, while it writes another one.
struct View<'a, S: Simd> {
    plan: &'a Plan,
    layout: Layout,
    image: &'a [Unit<S>],
    below: &'a [Unit<S>],
    above: &'a [Unit<S>],
    above_start: usize,
}

impl<'a, S: Simd> View<'a, S> {
    /// Takes a tensor out of the arena to write it (an empty one when there is none).
    fn split(
        run: (&'a Plan, Layout, &'a [Unit<S>]),
        arena: &'a mut [Unit<S>],
        output: Option<TensorId>,
    ) -> (Self, &'a mut [Unit<S>]) {
        let (plan, layout, image) = run;
        let hole = output.map_or(0..0, |output| layout.place(&plan.tensors[output]));
        let (rest, above) = arena.split_at_mut(hole.end);
        let (below, output) = rest.split_at_mut(hole.start);
        (View { plan, layout, image, below, above, above_start: hole.end }, output)
    }

    /// One block of a tensor.
    fn block(&self, tensor: TensorId, b: usize) -> &'a [Unit<S>] {
        let place = &self.plan.tensors[tensor];
        let length = Layout::block_units(place);
        if tensor == IMAGE {
            return &self.image[b * length..][..length];
        }
        let start = self.layout.place(place).start + b * length;
        if start >= self.above_start {
            &self.above[start - self.above_start..][..length]
        } else {
            &self.below[start..][..length]
        }
    }
}

/// A tile of a job's output channels.
struct TileOf<'a> {
    out_first: usize,
    channels: usize,
    in_first: usize,
    weights: &'a [f32],
    scale: Option<f32>,
}

impl<S: Simd> Run<'_, S> {
    /// Runs the plan, slot by slot, then counts agreements and takes the log-determinant.
    fn score(mut self) -> Result<Outcome> {
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
            let part = |part| lanes.pool.part(job, form, &plan.parameters[part_parameter(part)], part);
            job.parts.iter().map(part).collect()
        })?;
        let in_channels = plan.parameters[job.parts[0].parameter].shape.in_channels;
        let tiles = tiles(job, plan, &packed, |sd| lanes.pool.source().scale(sd) as f32, form, in_channels);
        let channels: Vec<std::ops::Range<usize>> = job
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
        channels: &[std::ops::Range<usize>],
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

fn part_parameter(part: &crate::plan::jobs::Part) -> usize {
    part.parameter
}

/// Position of a channel among some ranges put side by side.
fn position(ranges: &[std::ops::Range<usize>], channel: usize) -> Option<usize> {
    let mut before = 0;
    for range in ranges {
        if range.contains(&channel) {
            return Some(before + channel - range.start);
        }
        before += range.len();
    }
    None
}

/// How a job is computed.
fn form(job: &ConvJob, plan: &Plan) -> Form {
    const LEAST: usize = 6;
    let shape = plan.tensors[job.output].shape;
    let fits = job.kernel == [3, 3]
        && job.stride == [1, 1]
        && job.padding == [1, 1]
        && job.dilation == [1, 1]
        && job.groups == 1
        && shape.height % winograd::PIECE == 0
        && shape.width % winograd::PIECE == 0;
    let enough = job.parts.iter().all(|part| {
        let shape = &plan.parameters[part.parameter].shape;
        shape.in_channels >= LEAST && shape.out_channels >= LEAST
    });
    if fits && enough { Form::Winograd } else { Form::Direct }
}

fn tiles<'a>(
    job: &ConvJob,
    plan: &Plan,
    packed: &'a [Arc<Packed>],
    scale: impl Fn(f64) -> f32,
    form: Form,
    in_channels: usize,
) -> Vec<TileOf<'a>> {
    let products = if form == Form::Winograd { winograd::POSITIONS } else { job.kernel[0] * job.kernel[1] };
    let mut tiles = Vec::new();
    for (part, packed) in job.parts.iter().zip(packed) {
        let scale = job.scaled.then(|| scale(plan.parameters[part.parameter].standard_deviation));
        tiles.extend(packed.tiles.iter().map(|tile| TileOf {
            out_first: part.octet * OCTET + tile.channel,
            channels: tile.channels,
            in_first: tile.input,
            weights: &packed.weights[tile.weights..][..products * in_channels * tile.channels],
            scale,
        }));
    }
    tiles
}

/// One output row by direct convolution.
fn direct<S: Simd>(
    simd: S,
    job: &ConvJob,
    (input, x): (&crate::plan::jobs::Tensor, &[Unit<S>]),
    (y, y_pitch): (&mut [Unit<S>], usize),
    oy: usize,
    tiles: &[TileOf],
    in_channels: usize,
) {
    for tile in tiles {
        simd.call(Row {
            job,
            x,
            x_pitch: Layout::pitch(input),
            size: [input.shape.height, input.shape.width],
            y: &mut *y,
            y_pitch,
            oy,
            in_channels,
            in_first: tile.in_first,
            out_first: tile.out_first,
            weights: tile.weights,
            channels: tile.channels,
            scale: tile.scale,
        });
    }
}

/// Four output rows by Winograd's form.
fn pieces<S: Simd>(
    simd: S,
    scratch: &mut winograd::Scratch<S>,
    job: &ConvJob,
    (input, x): (&crate::plan::jobs::Tensor, &[Unit<S>]),
    (y, y_pitch): (&mut [Unit<S>], usize),
    oy: usize,
    tiles: &[TileOf],
) {
    let in_channels = input.shape.channels;
    let tiles: Vec<winograd::Tile> = tiles
        .iter()
        .map(|tile| winograd::Tile {
            out_first: tile.out_first,
            channels: tile.channels,
            weights: tile.weights,
            scale: tile.scale,
        })
        .collect();
    simd.call(winograd::Rows {
        scratch,
        x,
        x_pitch: Layout::pitch(input),
        in_channels,
        relu: job.relu,
        size: [input.shape.height, input.shape.width],
        y,
        y_pitch,
        oy,
        tiles: &tiles,
    });
}

/// What a job writes, block by block.
struct Blocks<'a, S: Simd> {
    spread: bool,
    layout: Layout,
    y: &'a mut [Unit<S>],
    planes: &'a mut [u8],
    channels: &'a [std::ops::Range<usize>],
}

impl<S: Simd> Blocks<'_, S> {
    /// Does the work of each block, in turn or spread over the cores, and joins the blocks' moments in order.
    fn run(
        self,
        scratch: &mut Scratch<S>,
        wanted: bool,
        work: impl Fn(usize, &mut [Unit<S>], &mut [u8], &mut Scratch<S>, &mut [Moments]) -> Result<()> + Sync,
    ) -> Result<Vec<Moments>> {
        let blocks = self.layout.blocks;
        let channels = if wanted { self.channels.iter().map(|range| range.len()).sum() } else { 0 };
        let mut moments = vec![Moments::default(); blocks * channels];
        let (y, planes) = (self.y.len() / blocks, self.planes.len() / blocks);
        let parts = split(self.y, y, blocks).into_iter().zip(split(self.planes, planes, blocks)).zip(split(
            &mut moments,
            channels,
            blocks,
        ));
        if self.spread {
            let parts: Vec<_> = parts.collect();
            parts
                .into_par_iter()
                .enumerate()
                .try_for_each_init(Scratch::default, |scratch, (b, ((y, plane), m))| {
                    work(b, y, plane, scratch, m)
                })?;
        } else {
            parts.enumerate().try_for_each(|(b, ((y, plane), m))| work(b, y, plane, scratch, m))?;
        }
        let mut joined = vec![Moments::default(); channels];
        for block in moments.chunks_exact(channels.max(1)) {
            joined.iter_mut().zip(block).for_each(|(joined, &moments)| joined.join(moments));
        }
        Ok(joined)
    }
}

/// Cuts a slice into parts of one length.
fn split<V>(mut whole: &mut [V], length: usize, count: usize) -> Vec<&mut [V]> {
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (part, rest) = whole.split_at_mut(length);
        parts.push(part);
        whole = rest;
    }
    parts
}

/// Some rows of K.
struct Rows<'a> {
    section: &'a Section<'a>,
    rows: std::ops::Range<usize>,
    k: &'a mut [u32],
    n: usize,
}

impl<S: Simd> simd::Kernel<S> for Rows<'_> {
    #[inline(always)]
    fn run(self, simd: S) {
        agreement::agreement_rows_by(self.section, self.rows, self.k, self.n, |a, b| simd.hamming(a, b));
    }
}
