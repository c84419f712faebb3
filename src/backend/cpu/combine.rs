//! Sums of terms: normalize, ReLU, truncate, add and concat are ways of reading. Then pooling, code bits.
//!
//! ```text
//! v[p, k] = sum over terms t that cover k of f_t(x_t[p, k - to_t + channel_t])
//! f_t(y) = y, or y * scale + shift; then max(., 0); then the average over 3 x 3 pixels
//! ```
//!
//! A term's code is the sign of its value before the ReLU, v > 0; the job's own code is the sign of what it
//! stores. An image is made row by row. A term is cut into pieces of eight channels, and each step of a piece
//! runs over a row of octets, which stays in cache: one short loop that the compiler makes vectors of. A piece
//! that is not full adds zeros to the channels behind it.

use std::ops::Range;

use super::workspace::{Norms, Sources};
use crate::graph::Window;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, OCTET, Pool, Region, Tensor, Term, pixel_bit};
use crate::real::Real;
use crate::{Error, Result};

/// A combine job with what it reads.
pub(crate) struct Combine<'a, T> {
    pub(crate) plan: &'a Plan,
    pub(crate) job: &'a CombineJob,
    pub(crate) norms: &'a Norms<T>,
}

/// Rows on their way.
#[derive(Default)]
pub(crate) struct Scratch<T> {
    /// Sums of one row, and an octet more for the zeros of the last piece.
    sums: Vec<T>,
    /// One octet of each pixel of a row; a second row where averages are taken.
    octets: Vec<[T; OCTET]>,
    more_octets: Vec<[T; OCTET]>,
    /// All rows of an image, where a window follows.
    rows: Vec<T>,
}

impl<T: Real> Combine<'_, T> {
    /// Combines one image into [h][w][octets] (nothing where only bits are wanted) and its code words.
    pub(crate) fn image(
        &self,
        scratch: &mut Scratch<T>,
        sources: &Sources<T>,
        n: usize,
        output: &mut [T],
        codes: &mut [u32],
    ) -> Result<()> {
        let job = self.job;
        let row_len = job.source[1] * job.octets() * OCTET;
        self.prepare(scratch);
        for y in 0..job.source[0] {
            scratch.sums.fill(T::ZERO);
            for term in &job.terms {
                self.add(term, sources.image(term.tensor, n), y, scratch, codes)?;
            }
            let sums = &scratch.sums[..row_len];
            if !all_finite(sums) {
                return Err(self.non_finite());
            }
            match (job.window, job.output) {
                (Some(_), _) => scratch.rows[y * row_len..][..row_len].copy_from_slice(sums),
                (None, Some(_)) => output[y * row_len..][..row_len].copy_from_slice(sums),
                (None, None) => {}
            }
        }
        if let Some((pool, window)) = job.window {
            self.pool(pool, window, scratch, output);
        }
        if let Some(code) = job.code {
            let region = &self.plan.regions[code];
            for octet in 0..job.octets() {
                let first = octet * OCTET;
                let channels = first..job.shape.channels.min(first + OCTET);
                let pixels = output.as_chunks().0.iter().skip(octet).step_by(job.octets());
                emit(region, channels, 0, pixels, codes);
            }
        }
        Ok(())
    }

    fn prepare(&self, scratch: &mut Scratch<T>) {
        let [height, width] = self.job.source;
        let row_len = width * self.job.octets() * OCTET;
        scratch.sums.resize(row_len + OCTET, T::ZERO);
        scratch.octets.resize(width, [T::ZERO; OCTET]);
        scratch.more_octets.resize(width, [T::ZERO; OCTET]);
        scratch.rows.resize(if self.job.window.is_some() { height * row_len } else { 0 }, T::ZERO);
    }

    fn non_finite(&self) -> Error {
        Error::NonFinite { node: self.job.name.clone(), precision: T::NAME }
    }

    /// Adds one term to one row of sums, and emits its bits.
    fn add(
        &self,
        term: &Term,
        source: &[T],
        y: usize,
        scratch: &mut Scratch<T>,
        codes: &mut [u32],
    ) -> Result<()> {
        let tensor = &self.plan.tensors[term.tensor];
        let pitch = self.job.octets() * OCTET;
        let Scratch { sums, octets, more_octets, .. } = scratch;
        for first in (0..term.channels).step_by(OCTET) {
            let piece = Piece::new(term, tensor, source, self.norms, first);
            let to = term.to + first;
            let finite =
                if term.average { piece.average(y, octets, more_octets) } else { piece.read(y, octets) };
            if !finite {
                return Err(self.non_finite());
            }
            if let Some(code) = term.code {
                let channels = to..to + piece.channels;
                emit(&self.plan.regions[code], channels, y * tensor.shape.width, &*octets, codes);
            }
            if term.relu && !term.average {
                relu(octets);
            }
            for (sums, octet) in sums[to..].chunks_mut(pitch).zip(&*octets) {
                fold_octet(sums, octet, T::add);
            }
        }
        Ok(())
    }

    fn pool(&self, pool: Pool, window: Window, scratch: &mut Scratch<T>, output: &mut [T]) {
        let span = |axis: usize| {
            spans(self.job.source[axis], window.kernel[axis], window.stride[axis], window.padding[axis])
        };
        let Scratch { sums, rows, .. } = scratch;
        let line = &mut sums[..self.job.source[1] * self.job.octets() * OCTET];
        pool_image(pool, &[span(0), span(1)], rows, line, self.job.octets() * OCTET, output);
    }
}

/// Up to eight neighboring channels of a term.
struct Piece<'a, T> {
    /// The tensor's numbers from the first of the channels on.
    source: &'a [T],
    /// Numbers from one pixel to the next.
    pitch: usize,
    height: usize,
    width: usize,
    channels: usize,
    /// Scale and shift.
    norm: Option<[[T; OCTET]; 2]>,
    relu: bool,
    /// Whether somebody has looked for non-finite numbers: the combine that stored them, or the batch norm in its
    /// statistics. A ReLU would hide them.
    checked: bool,
}

impl<'a, T: Real> Piece<'a, T> {
    fn new(term: &Term, tensor: &Tensor, source: &'a [T], norms: &Norms<T>, first: usize) -> Self {
        let entries = |entry: usize| {
            [&norms.scale, &norms.shift].map(|values| std::array::from_fn(|l| values[entry + first + l]))
        };
        Piece {
            source: &source[term.channel + first..],
            pitch: tensor.pitch * OCTET,
            height: tensor.shape.height,
            width: tensor.shape.width,
            channels: OCTET.min(term.channels - first),
            norm: term.norm.map(entries),
            relu: term.relu,
            checked: !tensor.raw || term.norm.is_some(),
        }
    }

    /// Its channels of one row, before the ReLU, zeros in the lanes behind them; and whether all are finite.
    fn read(&self, y: usize, octets: &mut [[T; OCTET]]) -> bool {
        let pixels =
            self.source[y * self.width * self.pitch..].chunks(self.pitch).map(|pixel| &pixel[..OCTET]);
        match &self.norm {
            None => octets.iter_mut().zip(pixels).for_each(|(octet, pixel)| octet.copy_from_slice(pixel)),
            Some([scale, shift]) => {
                for (octet, pixel) in octets.iter_mut().zip(pixels) {
                    *octet = std::array::from_fn(|l| pixel[l] * scale[l] + shift[l]);
                }
            }
        }
        if self.channels < OCTET {
            octets.iter_mut().for_each(|octet| octet[self.channels..].fill(T::ZERO));
        }
        self.checked || all_finite(octets.as_flattened())
    }

    /// For each pixel of a row the average over the 3 x 3 pixels around it, as many as there are: down first.
    /// And whether all of them are finite.
    fn average(&self, y: usize, octets: &mut [[T; OCTET]], column_sums: &mut [[T; OCTET]]) -> bool {
        let rows = y.saturating_sub(1)..self.height.min(y + 2);
        let mut finite = true;
        column_sums.fill([T::ZERO; OCTET]);
        for y in rows.clone() {
            finite &= self.read(y, octets);
            if self.relu {
                relu(octets);
            }
            let numbers = column_sums.as_flattened_mut().iter_mut().zip(octets.as_flattened());
            numbers.for_each(|(sum, &v)| *sum += v);
        }
        for (x, octet) in octets.iter_mut().enumerate() {
            let columns = &column_sums[x.saturating_sub(1)..self.width.min(x + 2)];
            let count = T::from_f64((rows.len() * columns.len()) as f64);
            let mut total = [T::ZERO; OCTET];
            for column in columns {
                total = std::array::from_fn(|l| total[l] + column[l]);
            }
            *octet = total.map(|total| total / count);
        }
        finite
    }
}

fn relu<T: Real>(octets: &mut [[T; OCTET]]) {
    octets.as_flattened_mut().iter_mut().for_each(|v| *v = v.max(T::ZERO));
}

/// Adds the signs of up to eight channels to the words of an image: those of pixels one after the other, from `first` on.
fn emit<'a, T: Real>(
    region: &Region,
    channels: Range<usize>,
    first: usize,
    octets: impl IntoIterator<Item = &'a [T; OCTET]>,
    codes: &mut [u32],
) {
    let count = channels.len();
    let mut words = [0; OCTET];
    words.iter_mut().zip(channels).for_each(|(word, channel)| *word = region.channel_bit(channel) / 32);
    for (pixel, octet) in (first..).zip(octets) {
        let (word, bit) = (pixel_bit(pixel) / 32, pixel % 32);
        for (first, &v) in words[..count].iter().zip(octet) {
            codes[first + word] |= u32::from(v > T::ZERO) << bit;
        }
    }
}

fn all_finite<T: Real>(values: &[T]) -> bool {
    values.iter().fold(true, |finite, v| finite & v.is_finite())
}

/// For each output position along one axis, the input positions in its window; there is always one.
fn spans(size: usize, kernel: usize, stride: usize, padding: usize) -> Vec<Range<usize>> {
    let outputs = (size + 2 * padding - kernel) / stride + 1;
    let span = |o: usize| (o * stride).saturating_sub(padding)..(o * stride + kernel - padding).min(size);
    (0..outputs).map(span).collect()
}

/// Pools one image of sums, [h][w][channels]: down the columns of a window first, then across.
fn pool_image<T: Real>(
    pool: Pool,
    [downs, acrosses]: &[Vec<Range<usize>>; 2],
    sums: &[T],
    line: &mut [T],
    channels: usize,
    output: &mut [T],
) {
    let row_len = line.len();
    let fold: fn(&mut [T], &[T]) = match pool {
        Pool::Max => |most, values| fold_octets(most, values, T::max),
        Pool::Average => |sums, values| fold_octets(sums, values, T::add),
    };
    for (down, row) in downs.iter().zip(output.chunks_exact_mut(acrosses.len() * channels)) {
        line.copy_from_slice(&sums[down.start * row_len..][..row_len]);
        for y in down.start + 1..down.end {
            fold(line, &sums[y * row_len..][..row_len]);
        }
        for (across, out) in acrosses.iter().zip(row.chunks_exact_mut(channels)) {
            out.copy_from_slice(&line[across.start * channels..][..channels]);
            for x in across.start + 1..across.end {
                fold(out, &line[x * channels..][..channels]);
            }
            if pool == Pool::Average {
                let count = T::from_f64((down.len() * across.len()) as f64);
                out.iter_mut().for_each(|sum| *sum = *sum / count);
            }
        }
    }
}

/// Folds the numbers of whole octets into others.
fn fold_octets<T: Real>(a: &mut [T], b: &[T], f: impl Fn(T, T) -> T) {
    a.chunks_exact_mut(OCTET).zip(b.as_chunks().0).for_each(|(a, b)| fold_octet(a, b, &f));
}

/// Folds eight numbers into others: all are read before any is written, which makes vectors of them.
#[inline(always)]
fn fold_octet<T: Real>(a: &mut [T], b: &[T; OCTET], f: impl Fn(T, T) -> T) {
    let a = &mut a[..OCTET];
    let folded: [T; OCTET] = std::array::from_fn(|l| f(a[l], b[l]));
    a.copy_from_slice(&folded);
}
