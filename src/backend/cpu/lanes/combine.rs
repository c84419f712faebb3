//! Sums of terms in lanes: see the twin, `cpu/combine.rs`, for what is computed.
//!
//! A row of pixels at a time, which stays in cache while its terms are added one after the other. The first term
//! that covers a channel writes it, so there is nothing to clear. A pool keeps as many rows of sums as its window
//! is high, in a ring.

use std::ops::Range;

use super::layout::{RowOrder, TensorLayout};
use super::pool::PoolRow;
use super::simd::{Simd, WithSimd};
use super::units::{Lines, Unit, Units};
use crate::backend::cpu::workspace::Norms;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, Pool, Term, pixel_bit};
use crate::{Error, Result};

/// Bytes between the pixel that is read and the one that is asked for.
const AHEAD: usize = 8 << 10;

/// A term, or a part of one, whose channels either all have values of earlier terms, to which it adds, or have none.
struct TermPart<'a> {
    term: &'a Term,
    /// Among the term's channels.
    channels: Range<usize>,
    add: bool,
    /// Entry of the plane for each channel's first pixel; empty where no bits are emitted.
    entries: Vec<usize>,
}

/// A combine job, bound to a plan and a layout.
pub(super) struct Combine<'a> {
    plan: &'a Plan,
    layout: &'a TensorLayout,
    job: &'a CombineJob,
    norms: &'a Norms<f32>,
    parts: Vec<TermPart<'a>>,
    /// Channels that no term covers: zeros.
    gaps: Vec<usize>,
    /// Entry of the plane for the first pixel of each channel of the job's own code.
    entries: Vec<usize>,
    windows: Option<Windows>,
}

/// Windows of a pool: the input rows and columns of each output row and column.
struct Windows {
    pool: Pool,
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
}

/// Rows on their way: those of a pool's window, or one whose bits alone are wanted.
pub(super) struct Scratch<S: Simd, const W: usize> {
    rows: Units<S, W>,
}

impl<S: Simd, const W: usize> Default for Scratch<S, W> {
    fn default() -> Self {
        Scratch { rows: Lines::default() }
    }
}

/// One block of a tensor by its position.
pub(super) type Source<'a, S, const W: usize> = &'a dyn Fn(usize) -> &'a [Unit<S, W>];

impl<'a> Combine<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        layout: &'a TensorLayout,
        job: &'a CombineJob,
        norms: &'a Norms<f32>,
    ) -> Self {
        let channels = job.shape.channels;
        let entries = |code: Option<usize>, channels: Range<usize>| match code {
            Some(code) => channels.map(|c| plan.regions[code].channel_bit(c)).collect(),
            None => Vec::new(),
        };
        let mut covered = vec![false; channels];
        let mut parts = Vec::new();
        for term in &job.terms {
            let mut c = 0;
            while c < term.channels {
                let add = covered[term.to + c];
                let same =
                    covered[term.to + c..term.to + term.channels].iter().take_while(|&&old| old == add);
                let end = c + same.count();
                let to = term.to + c..term.to + end;
                parts.push(TermPart { term, channels: c..end, add, entries: entries(term.code, to.clone()) });
                covered[to].fill(true);
                c = end;
            }
        }
        let gaps = (0..channels).filter(|&c| !covered[c]).collect();
        let windows = job.window.map(|(pool, window)| {
            let spans = |axis: usize| {
                let (k, s, p) = (window.kernel[axis], window.stride[axis], window.padding[axis]);
                let size = job.source[axis];
                let outputs = (size + 2 * p - k) / s + 1;
                (0..outputs).map(|o| (o * s).saturating_sub(p)..(o * s + k - p).min(size)).collect()
            };
            Windows { pool, rows: spans(0), columns: spans(1) }
        });
        let entries = entries(job.code, 0..channels);
        Combine { plan, layout, job, norms, parts, gaps, entries, windows }
    }

    /// Combines one block into [h][w][pitch] units (nothing where only bits are wanted) and its bits.
    pub(super) fn block<S: Simd, const W: usize>(
        &self,
        simd: S,
        scratch: &mut Scratch<S, W>,
        source: Source<'_, S, W>,
        output: &mut [Unit<S, W>],
        plane: &mut [S::Bits],
    ) -> Result<()> {
        let pitch = self.job.shape.channels;
        let order = RowOrder::pixels(pitch);
        let row_len = self.job.source[1] * pitch;
        let Some(Windows { pool, rows, columns }) = &self.windows else {
            if self.job.output.is_none() {
                scratch.rows.resize(row_len)?;
            }
            for y in 0..self.job.source[0] {
                let row = match self.job.output {
                    Some(_) => &mut output[y * row_len..][..row_len],
                    None => &mut scratch.rows.get_mut()[..row_len],
                };
                self.row(simd, source, y, row, order, plane)?;
            }
            return Ok(());
        };
        let out_len = columns.len() * pitch;
        let ring = rows.iter().map(Range::len).max().unwrap_or(1);
        scratch.rows.resize((ring + 1) * row_len)?;
        let mut next = 0;
        for (oy, ys) in rows.iter().enumerate() {
            while next < ys.end {
                let row = &mut scratch.rows.get_mut()[next % ring * row_len..][..row_len];
                self.sum(simd, source, next, row, order, plane)?;
                next += 1;
            }
            let (rows, column) = scratch.rows.get_mut().split_at_mut(ring * row_len);
            let rows: Vec<&[Unit<S, W>]> =
                ys.clone().map(|y| &rows[y % ring * row_len..][..row_len]).collect();
            let output = &mut output[oy * out_len..][..out_len];
            let column = &mut column[..row_len];
            simd.call(PoolRow { pool: *pool, rows: &rows, column, spans: columns, pitch, output });
            self.emit_row(simd, oy, output, order, plane)?;
        }
        // Rows below the last window still have bits to emit.
        while next < self.job.source[0] {
            let row = &mut scratch.rows.get_mut()[..row_len];
            self.sum(simd, source, next, row, order, plane)?;
            next += 1;
        }
        Ok(())
    }

    /// One row of a job without a window, and all its bits.
    pub(super) fn row<S: Simd, const W: usize>(
        &self,
        simd: S,
        source: Source<'_, S, W>,
        y: usize,
        row: &mut [Unit<S, W>],
        order: RowOrder,
        plane: &mut [S::Bits],
    ) -> Result<()> {
        self.sum(simd, source, y, row, order, plane)?;
        self.emit_row(simd, y, row, order, plane)
    }

    /// One row of sums, and the bits of its terms.
    fn sum<S: Simd, const W: usize>(
        &self,
        simd: S,
        source: Source<'_, S, W>,
        y: usize,
        row: &mut [Unit<S, W>],
        order: RowOrder,
        plane: &mut [S::Bits],
    ) -> Result<()> {
        for p in 0..self.job.source[1] {
            for &gap in &self.gaps {
                row[order.at(p, gap)] = bytemuck::Zeroable::zeroed();
            }
        }
        let mut finite = true;
        for part in &self.parts {
            let term = part.term;
            let tensor = &self.plan.tensors[term.tensor];
            let channels = part.channels.clone();
            let norms = term.norm.map(|entry| {
                let entries = entry + channels.start..entry + channels.end;
                [&self.norms.scale[entries.clone()], &self.norms.shift[entries]]
            });
            simd.call(TermRow {
                x: source(term.tensor),
                x_pitch: self.layout.pitch(term.tensor),
                size: [tensor.shape.height, tensor.shape.width],
                y,
                from: self.layout.unit(term.tensor, term.channel) + channels.start,
                norms,
                relu: term.relu,
                average: term.average,
                add: part.add,
                row,
                order,
                to: term.to + channels.start,
                channels: channels.len(),
                entries: &part.entries,
                plane,
                finite: &mut finite,
            });
        }
        self.check(finite)
    }

    fn check(&self, finite: bool) -> Result<()> {
        let error = || Error::NonFinite { node: self.job.name.clone(), precision: "f32" };
        if finite { Ok(()) } else { Err(error()) }
    }

    /// Emits the bits of a row of the job's own values.
    fn emit_row<S: Simd, const W: usize>(
        &self,
        simd: S,
        y: usize,
        row: &[Unit<S, W>],
        order: RowOrder,
        plane: &mut [S::Bits],
    ) -> Result<()> {
        let mut finite = true;
        if self.job.code.is_some() {
            let first = y * self.job.shape.width;
            let pixels = first..first + self.job.shape.width;
            simd.call(EmitRow { row, order, pixels, entries: &self.entries, plane, finite: &mut finite });
        }
        self.check(finite)
    }
}

/// One row of one term.
struct TermRow<'a, S: Simd, const W: usize> {
    x: &'a [Unit<S, W>],
    x_pitch: usize,
    /// Height and width.
    size: [usize; 2],
    y: usize,
    from: usize,
    /// Scales and shifts.
    norms: Option<[&'a [f32]; 2]>,
    relu: bool,
    average: bool,
    add: bool,
    row: &'a mut [Unit<S, W>],
    order: RowOrder,
    to: usize,
    channels: usize,
    /// Entry of the plane for each channel's first pixel; empty where no bits are emitted.
    entries: &'a [usize],
    plane: &'a mut [S::Bits],
    finite: &'a mut bool,
}

impl<S: Simd, const W: usize> WithSimd<S> for TermRow<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        if self.average {
            return self.averages(simd);
        }
        match (self.norms.is_some(), self.relu, self.add, !self.entries.is_empty()) {
            (true, true, false, true) => self.pixels::<true, true, false, true>(simd),
            (true, true, false, false) => self.pixels::<true, true, false, false>(simd),
            (true, true, true, true) => self.pixels::<true, true, true, true>(simd),
            (true, true, true, false) => self.pixels::<true, true, true, false>(simd),
            (true, false, false, true) => self.pixels::<true, false, false, true>(simd),
            (true, false, false, false) => self.pixels::<true, false, false, false>(simd),
            (true, false, true, true) => self.pixels::<true, false, true, true>(simd),
            (true, false, true, false) => self.pixels::<true, false, true, false>(simd),
            (false, true, false, true) => self.pixels::<false, true, false, true>(simd),
            (false, true, false, false) => self.pixels::<false, true, false, false>(simd),
            (false, true, true, true) => self.pixels::<false, true, true, true>(simd),
            (false, true, true, false) => self.pixels::<false, true, true, false>(simd),
            (false, false, false, true) => self.pixels::<false, false, false, true>(simd),
            (false, false, false, false) => self.pixels::<false, false, false, false>(simd),
            (false, false, true, true) => self.pixels::<false, false, true, true>(simd),
            (false, false, true, false) => self.pixels::<false, false, true, false>(simd),
        }
    }
}

impl<S: Simd, const W: usize> TermRow<'_, S, W> {
    #[inline(always)]
    fn pixels<const NORM: bool, const RELU: bool, const ADD: bool, const BITS: bool>(self, simd: S) {
        let zero = simd.splat(0.0);
        let (x_pitch, width) = (self.x_pitch, self.size[1]);
        let x = &self.x[self.y * width * x_pitch..][..width * x_pitch];
        let n = self.channels;
        let [scale, shift] =
            self.norms.unwrap_or([&[]; 2]).map(|numbers| &numbers[..if NORM { n } else { 0 }]);
        let entries = &self.entries[..if BITS { n } else { 0 }];
        // Infinite times zero is not a number, and stays it.
        let mut trace = [zero; W];
        let ahead = AHEAD.div_ceil(size_of_val(&x[..x_pitch])) * x_pitch * W;
        for (p, from) in x.chunks_exact(x_pitch).enumerate() {
            let from = &from[self.from..][..n];
            let mut at = self.order.at(p, self.to);
            let plane = if BITS { &mut self.plane[pixel_bit(self.y * width + p)..] } else { &mut [] };
            for c in 0..n {
                simd.prefetch(from[c].as_ptr().wrapping_add(ahead));
                let mut v = simd.load_unit(&from[c]);
                if NORM {
                    let (scale, shift) = (simd.splat(scale[c]), simd.splat(shift[c]));
                    for v in &mut v {
                        *v = simd.mul_add(*v, scale, shift);
                    }
                } else {
                    for i in 0..W {
                        trace[i] = simd.mul_add(v[i], zero, trace[i]);
                    }
                }
                if BITS {
                    plane[entries[c]] = simd.positive(v);
                }
                let to = &mut self.row[at];
                at += self.order.channel;
                for (v, to) in v.into_iter().zip(to) {
                    let v = if RELU { simd.max(v, zero) } else { v };
                    simd.store(if ADD { simd.add(simd.load(to), v) } else { v }, to);
                }
            }
        }
        if !NORM {
            *self.finite &= is_zero(simd, trace);
        }
    }

    /// Averages over the 3 x 3 pixels around each, as many as there are.
    #[inline(always)]
    fn averages(self, simd: S) {
        let zero = simd.splat(0.0);
        let (x_pitch, [height, width]) = (self.x_pitch, self.size);
        let rows = self.y.saturating_sub(1)..height.min(self.y + 2);
        // A ReLU would hide what is not finite.
        let mut trace = [zero; W];
        for p in 0..width {
            let columns = p.saturating_sub(1)..width.min(p + 2);
            let share = simd.splat(1.0 / (rows.len() * columns.len()) as f32);
            for c in 0..self.channels {
                let mut sum = [zero; W];
                for y in rows.clone() {
                    for x in columns.clone() {
                        let unit = &self.x[(y * width + x) * x_pitch + self.from + c];
                        for v in 0..W {
                            let mut value = simd.load(&unit[v]);
                            trace[v] = simd.mul_add(value, zero, trace[v]);
                            if let Some([scale, shift]) = self.norms {
                                value = simd.mul_add(value, simd.splat(scale[c]), simd.splat(shift[c]));
                            }
                            if self.relu {
                                value = simd.max(value, zero);
                            }
                            sum[v] = simd.add(sum[v], value);
                        }
                    }
                }
                let unit = &mut self.row[self.order.at(p, self.to + c)];
                for v in 0..W {
                    let mut value = simd.mul(sum[v], share);
                    if self.add {
                        value = simd.add(simd.load(&unit[v]), value);
                    }
                    simd.store(value, &mut unit[v]);
                }
            }
        }
        *self.finite &= is_zero(simd, trace);
    }
}

/// Whether all lanes are zero, which NaN is not.
#[inline(always)]
fn is_zero<S: Simd, const W: usize>(simd: S, v: [S::V; W]) -> bool {
    let mut unit = <Unit<S, W> as bytemuck::Zeroable>::zeroed();
    simd.store_unit(v, &mut unit);
    let lanes: &[f32] = bytemuck::cast_slice(&unit);
    lanes.iter().all(|&lane| lane == 0.0)
}

/// The bits of a row of values.
struct EmitRow<'a, S: Simd, const W: usize> {
    row: &'a [Unit<S, W>],
    order: RowOrder,
    /// Among those of the image.
    pixels: Range<usize>,
    /// Entry of the plane for each channel's first pixel.
    entries: &'a [usize],
    plane: &'a mut [S::Bits],
    finite: &'a mut bool,
}

impl<S: Simd, const W: usize> WithSimd<S> for EmitRow<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        let zero = simd.splat(0.0);
        let mut trace = [zero; W];
        for (p, pixel) in self.pixels.enumerate() {
            let plane = &mut self.plane[pixel_bit(pixel)..];
            for (c, &entry) in self.entries.iter().enumerate() {
                let unit = &self.row[self.order.at(p, c)];
                let v = simd.load_unit(unit);
                for i in 0..W {
                    trace[i] = simd.mul_add(v[i], zero, trace[i]);
                }
                plane[entry] = simd.positive(v);
            }
        }
        *self.finite &= is_zero(simd, trace);
    }
}
