//! Batch statistics of a tensor, and the batch norms made from them.
//!
//! ```text
//! mean = sum(y) / n    var = M2 / n    scale = gamma / sqrt(var + eps / s^2)    shift = beta - mean * scale
//! ```
//!
//! Each block of pixels leaves (sum, M2 about its own mean) per channel; blocks are merged in order by the
//! formula of Chan, Golub and LeVeque (1979), so nothing cancels and the result does not depend on threads.
//! The initializer's scale s is left out of a convolution's outputs, and comes back as eps / s^2.

use std::ops::Range;

use rayon::prelude::*;

use super::workspace::{Norms, Partials};
use crate::plan::jobs::{NormJob, OCTET, Parameter};
use crate::real::Real;
use crate::weights::WeightSource;
use crate::{Error, Result};

/// Pixels of a subtotal, which is added to the block's sum at once: that keeps rounding small.
const SUBTOTAL: usize = 16;

/// Layout of a job's statistics: the pixels and channels that they are of, and their place.
pub(crate) struct StatisticsLayout {
    /// Octets from one pixel to the next.
    pub(crate) pitch: usize,
    /// Octets that the job wrote.
    pub(crate) octets: Range<usize>,
    /// Pixels of the whole batch, and of one block.
    pub(crate) pixels: usize,
    pub(crate) block: usize,
    /// The job's first entry of the partial statistics.
    pub(crate) first: usize,
}

impl StatisticsLayout {
    fn channels(&self) -> usize {
        self.octets.len() * OCTET
    }

    fn entries(&self) -> Range<usize> {
        self.first..self.first + self.pixels.div_ceil(self.block) * self.channels()
    }
}

/// Computes the partial statistics of a tensor, [n * h * w][pitch octets].
pub(crate) fn partials<T: Real>(
    spread: bool,
    tensor: &[T],
    layout: &StatisticsLayout,
    partials: &mut Partials<T>,
) {
    let channels = layout.channels();
    let blocks = tensor.chunks(layout.block * layout.pitch * OCTET);
    let sums = partials.sum[layout.entries()].chunks_exact_mut(channels);
    let m2s = partials.m2[layout.entries()].chunks_exact_mut(channels);
    let work = blocks.zip(sums.zip(m2s));
    if spread {
        let work: Vec<_> = work.collect();
        work.into_par_iter().for_each(|(block, (sum, m2))| block_statistics(block, layout, sum, m2));
    } else {
        work.for_each(|(block, (sum, m2))| block_statistics(block, layout, sum, m2));
    }
}

fn block_statistics<T: Real>(block: &[T], layout: &StatisticsLayout, sum: &mut [T], m2: &mut [T]) {
    let pitch = layout.pitch * OCTET;
    let count = T::from_f64((block.len() / pitch) as f64);
    for (o, octet) in layout.octets.clone().enumerate() {
        let at = o * OCTET..(o + 1) * OCTET;
        let octet_of = |pixel: &[T]| -> [T; OCTET] { std::array::from_fn(|l| pixel[octet * OCTET + l]) };
        let total = sum_of_pixels(block, pitch, |pixel| octet_of(pixel));
        let mean = total.map(|total| total / count);
        let squares = sum_of_pixels(block, pitch, |pixel| {
            let y = octet_of(pixel);
            std::array::from_fn(|l| (y[l] - mean[l]) * (y[l] - mean[l]))
        });
        sum[at.clone()].copy_from_slice(&total);
        m2[at].copy_from_slice(&squares);
    }
}

/// The sum over the pixels of a block of a value of each, by subtotals.
fn sum_of_pixels<T: Real>(block: &[T], pitch: usize, value: impl Fn(&[T]) -> [T; OCTET]) -> [T; OCTET] {
    let mut total = [T::ZERO; OCTET];
    for pixels in block.chunks(SUBTOTAL * pitch) {
        let mut sum = [T::ZERO; OCTET];
        for pixel in pixels.chunks_exact(pitch) {
            let value = value(pixel);
            sum.iter_mut().zip(value).for_each(|(sum, value)| *sum += value);
        }
        total.iter_mut().zip(sum).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// Makes one batch norm's entries from partial statistics.
pub(crate) fn batch_norm<T: Real>(
    norm: &NormJob,
    layout: &StatisticsLayout,
    partials: &Partials<T>,
    parameters: &[Parameter],
    source: &dyn WeightSource,
    norms: &mut Norms<T>,
) -> Result<()> {
    let eps = T::from_f64(norm.scaled_eps(parameters, source));
    let affine = source.batch_norm(&norm.name, norm.all_channels)?;
    let pixels = T::from_f64(layout.pixels as f64);
    for c in 0..norm.channels {
        let ChannelMoments { mean, m2 } =
            merge_blocks(layout, partials, norm.channel - layout.octets.start * OCTET + c);
        let (gamma, beta) =
            affine.as_ref().map_or((1.0, 0.0), |(gamma, beta)| (gamma[norm.first + c], beta[norm.first + c]));
        let scale = T::from_f32(gamma) / (m2 / pixels + eps).sqrt();
        let shift = T::from_f32(beta) - mean * scale;
        if !scale.is_finite() || !shift.is_finite() || !m2.is_finite() {
            return Err(Error::NonFinite { node: norm.name.clone(), precision: T::NAME });
        }
        norms.scale[norm.entry + c] = scale;
        norms.shift[norm.entry + c] = shift;
    }
    Ok(())
}

/// Moments of one channel.
struct ChannelMoments<T> {
    mean: T,
    m2: T,
}

/// Merges the blocks of a channel, in order.
fn merge_blocks<T: Real>(
    layout: &StatisticsLayout,
    partials: &Partials<T>,
    channel: usize,
) -> ChannelMoments<T> {
    let entries = layout.entries().skip(channel).step_by(layout.channels());
    let (mut seen, mut mean, mut m2) = (0, T::ZERO, T::ZERO);
    for entry in entries {
        let count = layout.block.min(layout.pixels - seen);
        let share = T::from_f64(count as f64 / (seen + count) as f64);
        let delta = partials.sum[entry] / T::from_f64(count as f64) - mean;
        mean += delta * share;
        m2 += partials.m2[entry] + delta * delta * share * T::from_f64(seen as f64);
        seen += count;
    }
    ChannelMoments { mean, m2 }
}
