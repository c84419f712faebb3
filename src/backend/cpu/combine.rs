//! Sums of terms: normalise, ReLU, truncate, add and concat are ways of reading. Then pooling, code bits.
//!
//!     v[p, k] = sum over terms t that cover k of f_t(x_t[p, k - to_t + channel_t])
//!     f_t(y) = y, or (y - mean) * a + beta; then max(., 0); then the average over 3 x 3 pixels
//!
//! A term's code is the sign of its value before the ReLU, v > 0; the job's own code is the sign of what it
//! stores.

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

/// Room for rows and pixels on their way.
#[derive(Default)]
pub(super) struct Scratch<T> {
    sums: Vec<T>,
    pixel: Vec<T>,
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
        let rows = if job.window.is_some() { job.source[0] } else { 1 };
        scratch.sums.resize(rows * row_len, T::ZERO);
        scratch.pixel.resize(channels, T::ZERO);
        let codes: &mut [u8] = bytemuck::cast_slice_mut(codes);
        for y in 0..job.source[0] {
            let row = match (job.window, job.output) {
                (Some(_), _) => &mut scratch.sums[y * row_len..][..row_len],
                (None, Some(_)) => &mut output[y * row_len..][..row_len],
                (None, None) => &mut scratch.sums[..],
            };
            row.fill(T::ZERO);
            for term in &job.terms {
                self.add(term, sources.image(term.tensor, n), y, row, &mut scratch.pixel, codes)?;
            }
            if !all_finite(row) {
                return Err(self.non_finite());
            }
        }
        if let Some((pool, window)) = job.window {
            let spans = [
                spans(job.source[0], window.kernel[0], window.stride[0], window.padding[0]),
                spans(job.source[1], window.kernel[1], window.stride[1], window.padding[1]),
            ];
            pool_image(pool, &spans, &scratch.sums, row_len, channels, output);
        }
        if let Some(code) = job.code {
            let region = &self.plan.regions[code];
            for (p, pixel) in output.chunks_exact(channels).enumerate() {
                emit(pixel, region, p * channels, codes);
            }
        }
        Ok(())
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
        row: &mut [T],
        pixel: &mut [T],
        codes: &mut [u8],
    ) -> Result<()> {
        let tensor = &self.plan.tensors[term.tensor];
        let channels = self.job.octets() * OCTET;
        let region = term.code.map(|code| &self.plan.regions[code]);
        let pixel = &mut pixel[..term.channels];
        let mut finite = true;
        for (x, sums) in row.chunks_exact_mut(channels).enumerate() {
            if term.average {
                finite &= self.average(term, tensor, source, y, x, pixel);
            } else {
                self.read(term, tensor, source, y * tensor.shape.width + x, pixel);
                finite &= is_checked(term, tensor) || all_finite(pixel);
                if let Some(region) = region {
                    emit(pixel, region, (y * tensor.shape.width + x) * channels + term.to, codes);
                }
                if term.relu {
                    pixel.iter_mut().for_each(|v| *v = v.max(T::ZERO));
                }
            }
            let sums = &mut sums[term.to..term.to + term.channels];
            sums.iter_mut().zip(&*pixel).for_each(|(sum, &v)| *sum += v);
        }
        if finite { Ok(()) } else { Err(self.non_finite()) }
    }

    /// Reads a term's channels of one pixel, before the ReLU.
    fn read(&self, term: &Term, tensor: &Tensor, source: &[T], pixel: usize, out: &mut [T]) {
        let from = &source[pixel * tensor.pitch * OCTET + term.channel..][..term.channels];
        match term.norm {
            None => out.copy_from_slice(from),
            Some(entry) => {
                let mean = &self.norms.mean[entry..][..term.channels];
                let a = &self.norms.a[entry..][..term.channels];
                let beta = &self.norms.beta[entry..][..term.channels];
                for (c, v) in out.iter_mut().enumerate() {
                    *v = (from[c] - mean[c]) * a[c] + beta[c];
                }
            }
        }
    }

    /// The average over the 3 x 3 pixels around one, as many as there are; whether all of them are finite.
    fn average(&self, term: &Term, tensor: &Tensor, source: &[T], y: usize, x: usize, out: &mut [T]) -> bool {
        let (height, width) = (tensor.shape.height, tensor.shape.width);
        let (ys, xs) = (y.saturating_sub(1)..height.min(y + 2), x.saturating_sub(1)..width.min(x + 2));
        let count = T::from_f64((ys.len() * xs.len()) as f64);
        out.fill(T::ZERO);
        let mut finite = true;
        let mut pixel = [T::ZERO; OCTET];
        for first in (0..term.channels).step_by(OCTET) {
            let piece = first..term.channels.min(first + OCTET);
            let part = Term {
                channel: term.channel + first,
                channels: piece.len(),
                norm: term.norm.map(|entry| entry + first),
                ..*term
            };
            let out = &mut out[piece];
            for y in ys.clone() {
                for x in xs.clone() {
                    let pixel = &mut pixel[..part.channels];
                    self.read(&part, tensor, source, y * width + x, pixel);
                    finite &= is_checked(term, tensor) || all_finite(pixel);
                    for (sum, &v) in out.iter_mut().zip(&*pixel) {
                        *sum += if term.relu { v.max(T::ZERO) } else { v };
                    }
                }
            }
            out.iter_mut().for_each(|sum| *sum = *sum / count);
        }
        finite
    }
}

/// Whether somebody has looked for non-finite numbers in what a term reads: the combine that stored it, or the
/// batch norm in its statistics. A ReLU would hide them.
fn is_checked(term: &Term, tensor: &Tensor) -> bool {
    !tensor.raw || term.norm.is_some()
}

fn all_finite<T: Real>(values: &[T]) -> bool {
    values.iter().fold(true, |finite, v| finite & v.is_finite())
}

/// For each output position along one axis, the input positions in its window.
fn spans(size: usize, kernel: usize, stride: usize, padding: usize) -> Vec<std::ops::Range<usize>> {
    let outputs = (size + 2 * padding - kernel) / stride + 1;
    let span = |o: usize| (o * stride).saturating_sub(padding)..(o * stride + kernel - padding).min(size);
    (0..outputs).map(span).collect()
}

/// Pools one image of sums, [h][w][channels].
fn pool_image<T: Real>(
    pool: Pool,
    spans: &[Vec<std::ops::Range<usize>>; 2],
    sums: &[T],
    row_len: usize,
    channels: usize,
    output: &mut [T],
) {
    let windows = spans[0].iter().flat_map(|ys| spans[1].iter().map(move |xs| (ys, xs)));
    for ((ys, xs), out) in windows.zip(output.chunks_exact_mut(channels)) {
        let pixels =
            ys.clone().flat_map(|y| xs.clone().map(move |x| &sums[y * row_len + x * channels..][..channels]));
        let mut pixels = pixels;
        if let Some(first) = pixels.next() {
            out.copy_from_slice(first);
        }
        for pixel in pixels {
            match pool {
                Pool::Max => out.iter_mut().zip(pixel).for_each(|(most, &v)| *most = v.max(*most)),
                Pool::Average => out.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += v),
            }
        }
        if pool == Pool::Average {
            let count = T::from_f64((ys.len() * xs.len()) as f64);
            out.iter_mut().for_each(|sum| *sum = *sum / count);
        }
    }
}

/// Writes the signs of some channels at a bit of a region.
fn emit<T: Real>(values: &[T], region: &Region, bit: usize, codes: &mut [u8]) {
    let (first, shift) = (region.word * 4 + bit / 8, bit % 8);
    for (i, octet) in values.chunks(OCTET).enumerate() {
        let signs = octet.iter().rev().fold(0u16, |signs, &v| signs << 1 | u16::from(v > T::ZERO)) << shift;
        codes[first + i] |= signs as u8;
        if signs > 0xff {
            codes[first + i + 1] |= (signs >> 8) as u8;
        }
    }
}
