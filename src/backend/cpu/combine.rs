//! Sums of terms: normalise, ReLU, truncate, add and concat are ways of reading. Then pooling, code bits.
//!
//! ```text
//! v[p, k] = sum over terms t that cover k of f_t(x_t[p, k - to_t + channel_t])
//! f_t(y) = y, or (y - mean) * a + beta; then max(., 0); then the average over 3 x 3 pixels
//! ```
//!
//! A term's code is the sign of its value before the ReLU, v > 0; the job's own code is the sign of what it
//! stores. An image is made row by row. A term is cut into pieces of eight channels, and each piece walks the
//! row with its batch norm in registers; a piece that is not full adds zeros to the channels behind it.

use std::ops::Range;

use super::real::Real;
use super::workspace::{Norms, Sources};
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, OCTET, Pool, Region, Tensor, Term};
use crate::{Error, Result};

/// What the images of one job have in common.
pub(super) struct Combine<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) job: &'a CombineJob,
    pub(super) norms: &'a Norms<T>,
}

/// Room for sums on their way.
#[derive(Default)]
pub(super) struct Scratch<T> {
    /// One row, and an octet more for the zeros of the last piece.
    row: Vec<T>,
    /// All rows of an image, where a window follows.
    rows: Vec<T>,
}

impl<T: Real> Combine<'_, T> {
    /// Combines one image into [h][w][octets] (nothing where only bits are wanted) and its code words.
    pub(super) fn image(
        &self,
        scratch: &mut Scratch<T>,
        sources: &Sources<T>,
        n: usize,
        output: &mut [T],
        codes: &mut [u32],
    ) -> Result<()> {
        let job = self.job;
        let channels = job.octets() * OCTET;
        let row_len = job.source[1] * channels;
        let Scratch { row, rows } = scratch;
        row.resize(row_len + OCTET, T::ZERO);
        if job.window.is_some() {
            rows.resize(job.source[0] * row_len, T::ZERO);
        }
        let codes: &mut [u8] = bytemuck::cast_slice_mut(codes);
        for y in 0..job.source[0] {
            row.fill(T::ZERO);
            for term in &job.terms {
                self.add(term, sources.image(term.tensor, n), y, row, codes)?;
            }
            let sums = &row[..row_len];
            if !all_finite(sums) {
                return Err(self.non_finite());
            }
            match (job.window, job.output) {
                (Some(_), _) => rows[y * row_len..][..row_len].copy_from_slice(sums),
                (None, Some(_)) => output[y * row_len..][..row_len].copy_from_slice(sums),
                (None, None) => {}
            }
        }
        if let Some((pool, window)) = job.window {
            let spans = [
                spans(job.source[0], window.kernel[0], window.stride[0], window.padding[0]),
                spans(job.source[1], window.kernel[1], window.stride[1], window.padding[1]),
            ];
            pool_image(pool, &spans, rows, row, channels, output);
        }
        if let Some(code) = job.code {
            let bytes = &mut codes[self.plan.regions[code].word * 4..];
            let octets = output.as_chunks::<OCTET>().0;
            bytes.iter_mut().zip(octets).for_each(|(byte, octet)| *byte = signs(octet));
        }
        Ok(())
    }

    fn non_finite(&self) -> Error {
        Error::NonFinite { node: self.job.name.clone(), precision: T::NAME }
    }

    /// Adds one term to one row of sums, and emits its bits.
    fn add(&self, term: &Term, source: &[T], y: usize, row: &mut [T], codes: &mut [u8]) -> Result<()> {
        let tensor = &self.plan.tensors[term.tensor];
        let pitch = self.job.octets() * OCTET;
        let code =
            term.code.map(|code| Code::new(&self.plan.regions[code], y * tensor.shape.width * pitch, pitch));
        for first in (0..term.channels).step_by(OCTET) {
            let piece = Piece::new(term, tensor, source, self.norms, first);
            let to = term.to + first;
            let sums = row[to..].chunks_mut(pitch).take(tensor.shape.width);
            if term.average {
                piece.add_averages(y, sums);
                continue;
            }
            // Of normalised channels the batch norm has looked at the statistics.
            if tensor.raw && term.norm.is_none() && !piece.row_is_finite(y) {
                return Err(self.non_finite());
            }
            match &code {
                Some(code) => piece.add(y, sums, |x, v| code.emit(signs(v), x, to, codes)),
                None => piece.add(y, sums, |_, _| ()),
            }
        }
        Ok(())
    }
}

/// Up to eight neighbouring channels of a term.
struct Piece<'a, T> {
    /// The tensor's numbers from the first of the channels on.
    source: &'a [T],
    /// Numbers from one pixel to the next.
    pitch: usize,
    height: usize,
    width: usize,
    channels: usize,
    /// Mean, a and beta.
    norm: Option<[[T; OCTET]; 3]>,
    relu: bool,
}

impl<'a, T: Real> Piece<'a, T> {
    fn new(term: &Term, tensor: &Tensor, source: &'a [T], norms: &Norms<T>, first: usize) -> Self {
        let entries = |entry: usize| {
            [&norms.mean, &norms.a, &norms.beta]
                .map(|values| std::array::from_fn(|l| values[entry + first + l]))
        };
        Piece {
            source: &source[term.channel + first..],
            pitch: tensor.pitch * OCTET,
            height: tensor.shape.height,
            width: tensor.shape.width,
            channels: OCTET.min(term.channels - first),
            norm: term.norm.map(entries),
            relu: term.relu,
        }
    }

    /// Its channels of one pixel, before the ReLU; zero in the lanes behind them.
    #[inline(always)]
    fn value(&self, pixel: usize) -> [T; OCTET] {
        let from = &self.source[pixel * self.pitch..][..OCTET];
        let value: [T; OCTET] = match &self.norm {
            None => std::array::from_fn(|l| from[l]),
            Some([mean, a, beta]) => std::array::from_fn(|l| (from[l] - mean[l]) * a[l] + beta[l]),
        };
        std::array::from_fn(|l| if l < self.channels { value[l] } else { T::ZERO })
    }

    #[inline(always)]
    fn relu(&self, value: [T; OCTET]) -> [T; OCTET] {
        if self.relu { value.map(|v| v.max(T::ZERO)) } else { value }
    }

    /// Adds one row to the sums; `see` is told each pixel's values before the ReLU.
    fn add<'s>(
        &self,
        y: usize,
        sums: impl Iterator<Item = &'s mut [T]>,
        mut see: impl FnMut(usize, &[T; OCTET]),
    ) {
        for (x, sums) in sums.enumerate() {
            let value = self.value(y * self.width + x);
            see(x, &value);
            add_octet(sums, &self.relu(value));
        }
    }

    /// Adds, for each pixel of a row, the average over the 3 x 3 pixels around it, as many as there are.
    fn add_averages<'s>(&self, y: usize, sums: impl Iterator<Item = &'s mut [T]>) {
        let rows = y.saturating_sub(1)..self.height.min(y + 2);
        for (x, sums) in sums.enumerate() {
            let columns = x.saturating_sub(1)..self.width.min(x + 2);
            let count = T::from_f64((rows.len() * columns.len()) as f64);
            let mut total = [T::ZERO; OCTET];
            for pixel in rows.clone().flat_map(|y| columns.clone().map(move |x| y * self.width + x)) {
                add_octet(&mut total, &self.relu(self.value(pixel)));
            }
            add_octet(sums, &total.map(|total| total / count));
        }
    }

    fn row_is_finite(&self, y: usize) -> bool {
        (y * self.width..(y + 1) * self.width).all(|pixel| all_finite(&self.value(pixel)))
    }
}

/// Where a term's signs go in one row of pixels.
struct Code {
    /// Byte of the row's first output channel.
    first: usize,
    /// Bytes of a pixel.
    pitch: usize,
}

impl Code {
    /// `bit`: the row's first one in the region; `pitch`: bits of a pixel.
    fn new(region: &Region, bit: usize, pitch: usize) -> Self {
        Code { first: region.word * 4 + bit / 8, pitch: pitch / 8 }
    }

    /// Writes the signs of eight channels of pixel x, which begin at output channel `to`.
    #[inline(always)]
    fn emit(&self, signs: u8, x: usize, to: usize, codes: &mut [u8]) {
        let byte = self.first + x * self.pitch + to / 8;
        let signs = u16::from(signs) << (to % 8);
        codes[byte] |= signs as u8;
        if signs > 0xff {
            codes[byte + 1] |= (signs >> 8) as u8;
        }
    }
}

/// The signs of eight numbers, the first one lowest.
#[inline(always)]
fn signs<T: Real>(values: &[T; OCTET]) -> u8 {
    let sign = |l: usize| if values[l] > T::ZERO { 1u32 << l } else { 0 };
    let half: [u32; 4] = std::array::from_fn(|l| sign(l) | sign(l + 4));
    (half[0] | half[2] | half[1] | half[3]) as u8
}

#[inline(always)]
fn add_octet<T: Real>(sums: &mut [T], values: &[T; OCTET]) {
    sums[..OCTET].iter_mut().zip(values).for_each(|(sum, &v)| *sum += v);
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
    let row_len = line.len() - OCTET;
    let line = &mut line[..row_len];
    let fold: fn(&mut [T], &[T]) = match pool {
        Pool::Max => |most, values| zip_octets(most, values, T::max),
        Pool::Average => |sums, values| zip_octets(sums, values, T::add),
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

/// Joins the numbers of whole octets with others.
fn zip_octets<T: Real>(a: &mut [T], b: &[T], f: impl Fn(T, T) -> T) {
    for (a, b) in a.as_chunks_mut::<OCTET>().0.iter_mut().zip(b.as_chunks::<OCTET>().0) {
        a.iter_mut().zip(b).for_each(|(a, &b)| *a = f(*a, b));
    }
}
