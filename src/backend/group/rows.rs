//! Rows of the weight pool: how the weights of an octet of output channels lie there.
//!
//! | format | for | an octet of output channels |
//! |---|---|---|
//! | numbers | WGSL | [8 channels][tap][input channel, padded to 8], f32 |
//! | fragments | CUDA | steps of 16 products by 8 channels, bf16, as tensor cores take them; or three such planes |
//!
//! A step of fragments has the products of sixteen input channels under one tap; where a single octet of input channels
//! is left at the end, those of two taps. Seeded weights are bf16 by design. Others are the sum of three numbers, each the
//! upper half of what is left, which is exact.

use super::forms::Forms;
use crate::backend::cpu::weights::Octet;
use crate::plan::jobs::{OCTET, UNIT, octets};
use crate::weights::{RowShape, WeightSource};

/// Products of a step, and its numbers: as many for each of eight channels.
const STEP: usize = 16;
const STEP_NUMBERS: usize = STEP * OCTET;

/// The format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFormat {
    Numbers,
    Fragments {
        /// Numbers whose sum a weight is.
        planes: usize,
    },
}

impl RowFormat {
    /// The format that a device's kernels read the weights of a source in.
    pub(crate) fn new(forms: Forms, source: &dyn WeightSource) -> Self {
        match forms {
            Forms::Portable => RowFormat::Numbers,
            Forms::Special { .. } => {
                RowFormat::Fragments { planes: if source.seed().is_some() { 1 } else { 3 } }
            }
        }
    }

    pub(super) fn planes(self) -> usize {
        match self {
            RowFormat::Numbers => 1,
            RowFormat::Fragments { planes } => planes,
        }
    }

    /// Octets of the pool that the rows of an octet of output channels take.
    pub(super) fn octets(self, shape: &RowShape) -> usize {
        match self {
            RowFormat::Numbers => shape.row_len(),
            RowFormat::Fragments { planes } => planes * steps(shape) * STEP_NUMBERS / (2 * OCTET),
        }
    }

    /// A place in the pool, in octets, as records have it.
    pub(super) fn place(self, octet: usize) -> u32 {
        match self {
            RowFormat::Numbers => octet as u32,
            RowFormat::Fragments { .. } => (octet * OCTET / UNIT) as u32,
        }
    }

    /// The octet of the pool where a place of records is.
    pub(super) fn octet(self, place: u32) -> usize {
        match self {
            RowFormat::Numbers => place as usize,
            RowFormat::Fragments { .. } => place as usize * UNIT / OCTET,
        }
    }

    /// Appends eight rows, [8 channels][tap][input channel, padded to 8], to what a pool holds.
    pub(super) fn append(self, shape: &RowShape, rows: &[f32], to: &mut Vec<f32>) {
        let RowFormat::Fragments { planes } = self else { return to.extend_from_slice(rows) };
        let padded = shape.in_channels.next_multiple_of(OCTET);
        let mut halves = vec![0_u16; planes * steps(shape) * STEP_NUMBERS];
        for (channel, row) in rows.chunks_exact(shape.row_len()).enumerate() {
            for (i, &weight) in row.iter().enumerate() {
                let place = place(shape, channel, i % padded, i / padded);
                let mut rest = weight;
                for plane in halves.chunks_exact_mut(steps(shape) * STEP_NUMBERS) {
                    let half = rest.to_bits() >> 16;
                    plane[place] = half as u16;
                    rest -= f32::from_bits(half << 16);
                }
            }
        }
        to.extend(
            halves
                .as_chunks()
                .0
                .iter()
                .map(|&[low, high]| f32::from_bits(u32::from(low) | u32::from(high) << 16)),
        );
    }

    /// Weights of eight rows as the twin of convolutions wants them, from where they begin in the pool.
    pub(super) fn read(self, shape: &RowShape, pool: &[f32]) -> Octet<f32> {
        let padded = shape.in_channels.next_multiple_of(OCTET);
        let places = (0..shape.row_len()).filter(|i| i % padded < shape.in_channels);
        let weight = |channel: usize, i: usize| match self {
            RowFormat::Numbers => pool[channel * shape.row_len() + i],
            RowFormat::Fragments { planes } => {
                let place = place(shape, channel, i % padded, i / padded);
                let plane = |plane: usize| half(pool, plane * steps(shape) * STEP_NUMBERS + place);
                // The largest last: their sum is exact.
                (0..planes).rev().map(plane).fold(0.0, |sum, part| sum + part)
            }
        };
        places.map(|i| std::array::from_fn(|channel| weight(channel, i))).collect()
    }
}

/// A bf16 number of a pool by its position.
fn half(pool: &[f32], position: usize) -> f32 {
    let pair = pool[position / 2].to_bits();
    f32::from_bits(if position.is_multiple_of(2) { pair << 16 } else { pair & 0xffff_0000 })
}

fn taps(shape: &RowShape) -> usize {
    shape.kernel[0] * shape.kernel[1]
}

/// Steps of a row of fragments.
fn steps(shape: &RowShape) -> usize {
    let (octets, taps) = (octets(shape.in_channels), taps(shape));
    octets / 2 * taps + octets % 2 * taps.div_ceil(2)
}

/// The place of a weight among those of its octet of output channels, in the order in which the lanes of a warp hold them.
fn place(shape: &RowShape, channel: usize, input: usize, tap: usize) -> usize {
    let octets = octets(shape.in_channels);
    let is_single = octets % 2 == 1 && input / OCTET == octets - 1;
    let (step, product) = if is_single {
        (octets / 2 * taps(shape) + tap / 2, tap % 2 * OCTET + input % OCTET)
    } else {
        (input / STEP * taps(shape) + tap, input % STEP)
    };
    let lane = (channel / 4 * 2 + channel % 2) * 4 + product % OCTET / 2;
    step * STEP_NUMBERS + lane * OCTET + channel / 2 % 2 * 4 + product / OCTET * 2 + product % 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_either_format() {
        for (in_channels, kernel) in [(3, [3, 3]), (16, [1, 1]), (19, [3, 3]), (24, [1, 1]), (40, [5, 2])] {
            let shape = RowShape { out_channels: 8, in_channels, kernel };
            let padded = in_channels.next_multiple_of(OCTET);
            let weight = |i: usize| if i % padded < in_channels { (i as f32 * 0.7).sin() } else { 0.0 };
            let rows: Vec<f32> = (0..8 * shape.row_len()).map(weight).collect();
            let mut numbers = Vec::new();
            RowFormat::Numbers.append(&shape, &rows, &mut numbers);
            let expected = RowFormat::Numbers.read(&shape, &numbers);
            assert_eq!(expected[0][3], rows[3 * shape.row_len()]);
            let format = RowFormat::Fragments { planes: 3 };
            let mut fragments = vec![0.0; OCTET];
            format.append(&shape, &rows, &mut fragments);
            assert_eq!(fragments.len(), OCTET + format.octets(&shape) * OCTET);
            assert_eq!(format.read(&shape, &fragments[OCTET..]), expected, "{in_channels} {kernel:?}");
        }
    }
}
