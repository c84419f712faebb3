//! Tiles: output channels of a convolution that are computed together, so that each load of an input serves them all.

use crate::backend::cpu::lanes::simd::Simd;
use crate::backend::cpu::lanes::units::Unit;

/// Output channels of the largest tile that there is code for.
pub(super) const MOST_CHANNELS: usize = 16;

/// Output channels of a tile at most: their sums and what they are made of fit into registers.
pub(crate) const fn most_channels<S: Simd, const W: usize>() -> usize {
    let channels = S::SUMS / W;
    if channels < MOST_CHANNELS { channels } else { MOST_CHANNELS }
}

/// A tile of a job's output channels.
pub(super) struct Tile<'a> {
    /// Unit of its first output channel in a pixel, and how many there are: at most [`most_channels`].
    pub(super) out_first: usize,
    pub(super) channels: usize,
    /// The first input channel that it reads.
    pub(super) in_first: usize,
    pub(super) weights: &'a [f32],
    pub(super) scale: Option<f32>,
}

/// Does some work with the number of a tile's channels as a constant, for which it is compiled.
macro_rules! by_channels {
    ($channels:expr, $C:ident => $work:expr) => {
        by_channels!(@ $channels, $C, $work, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    (@ $channels:expr, $C:ident, $work:expr, $($n:literal)*) => {
        match $channels {
            $($n => {
                const $C: usize = $n;
                $work
            })*
            channels => unreachable!("a tile of {channels} channels"),
        }
    };
}
pub(super) use by_channels;

/// Adds the products of some input channels to the sums of a tile.
#[inline(always)]
pub(super) fn multiply<S: Simd, const W: usize, const C: usize, const RELU: bool>(
    simd: S,
    x: &[Unit<S, W>],
    weights: &[f32],
    mut sums: [[S::V; W]; C],
) -> [[S::V; W]; C] {
    let zero = simd.splat(0.0);
    let (weights, _) = weights.as_chunks::<C>();
    for (unit, weights) in x.iter().zip(weights) {
        let mut x = simd.load_unit(unit);
        if RELU {
            for x in &mut x {
                *x = simd.max(*x, zero);
            }
        }
        for j in 0..C {
            let weight = simd.splat(weights[j]);
            for v in 0..W {
                sums[j][v] = simd.mul_add(weight, x[v], sums[j][v]);
            }
        }
    }
    sums
}
