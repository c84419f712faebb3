//! 3x3 convolution, stride 1, padding 1, by Winograd's F(4x4, 3x3) (Lavin and Gray, 2016).
//!
//! ```text
//! Y = A^T [ (G g G^T) * (B^T d B) ] A        for each 6x6 piece d of the input, 4x4 piece Y of the output
//! ```
//!
//! A quarter of the multiplications of the direct form; rounding is about five times larger, 1e-6 of the output's
//! scale. One piece of the image at a time: its transform for all input channels is [36][channel], and each of
//! the 36 positions is a product with weights [36][channel][tile]. Positions lie an odd number of cache lines
//! apart, else they would fall into the same sets.

use super::conv::multiply;
use super::layout::{Unit, Units};
use super::simd::{Kernel, Simd};
use crate::Result;

/// Rows and columns of an output piece, and of an input piece.
pub(super) const PIECE: usize = 4;
const SPAN: usize = PIECE + 2;
/// Products of one piece.
pub(super) const POSITIONS: usize = SPAN * SPAN;

/// G g G^T for one 3x3 kernel, in f64 and rounded once.
pub(super) fn transform_weights(g: [[f32; 3]; 3]) -> [f32; POSITIONS] {
    const G: [[f64; 3]; SPAN] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let g = g.map(|row| row.map(f64::from));
    let rows = G.map(|row| [0, 1, 2].map(|s| dot(row, [g[0][s], g[1][s], g[2][s]])));
    std::array::from_fn(|p| dot(rows[p / SPAN], G[p % SPAN]) as f32)
}

/// Transformed inputs and products of one piece.
pub(super) struct Scratch<S: Simd> {
    inputs: Units<S>,
    products: Units<S>,
    zeros: Units<S>,
}

impl<S: Simd> Default for Scratch<S> {
    fn default() -> Self {
        Scratch { inputs: Units::default(), products: Units::default(), zeros: Units::default() }
    }
}

/// Units from one position to the next.
fn step<S: Simd>(channels: usize) -> usize {
    const LINE: usize = 64;
    let per_line = LINE.div_ceil(size_of::<Unit<S>>());
    (channels.div_ceil(per_line) | 1) * per_line
}

impl<S: Simd> Scratch<S> {
    pub(super) fn prepare(&mut self, in_channels: usize) -> Result<()> {
        self.inputs.resize(POSITIONS * step::<S>(in_channels))?;
        self.products.resize(POSITIONS * step::<S>(S::TILE))?;
        self.zeros.resize(in_channels)
    }
}

/// A tile of output channels.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) out_first: usize,
    pub(super) channels: usize,
    /// [36][in channel][channel].
    pub(super) weights: &'a [f32],
    pub(super) scale: Option<f32>,
}

/// Four output rows of one block.
pub(super) struct Rows<'a, S: Simd> {
    pub(super) scratch: &'a mut Scratch<S>,
    /// One block of the input, [h][w][x_pitch].
    pub(super) x: &'a [Unit<S>],
    pub(super) x_pitch: usize,
    pub(super) in_channels: usize,
    pub(super) relu: bool,
    /// Rows of the image, columns of the image.
    pub(super) size: [usize; 2],
    /// The four output rows, [4][w][y_pitch].
    pub(super) y: &'a mut [Unit<S>],
    pub(super) y_pitch: usize,
    /// First output row.
    pub(super) oy: usize,
    pub(super) tiles: &'a [Tile<'a>],
}

impl<S: Simd> Kernel<S> for Rows<'_, S> {
    #[inline(always)]
    fn run(mut self, simd: S) {
        for ox in (0..self.size[1]).step_by(PIECE) {
            if self.relu {
                self.transform_input::<true>(simd, ox);
            } else {
                self.transform_input::<false>(simd, ox);
            }
            for tile in 0..self.tiles.len() {
                let tile = self.tiles[tile];
                self.multiply(simd, tile);
                self.transform_output(simd, ox, tile);
            }
        }
    }
}

impl<S: Simd> Rows<'_, S> {
    /// B^T d B of the piece whose output starts at column `ox`, for all input channels.
    #[inline(always)]
    fn transform_input<const RELU: bool>(&mut self, simd: S, ox: usize) {
        let channels = self.in_channels;
        let zeros = &self.scratch.zeros.get()[..channels];
        let mut pixels: [[&[Unit<S>]; SPAN]; SPAN] = [[zeros; SPAN]; SPAN];
        for (i, row) in pixels.iter_mut().enumerate() {
            for (j, pixel) in row.iter_mut().enumerate() {
                let (y, x) = ((self.oy + i).wrapping_sub(1), (ox + j).wrapping_sub(1));
                if y < self.size[0] && x < self.size[1] {
                    *pixel = &self.x[(y * self.size[1] + x) * self.x_pitch..][..channels];
                }
            }
        }
        let step = step::<S>(channels);
        let out = &mut self.scratch.inputs.get_mut()[..POSITIONS * step];
        let zero = simd.splat(0.0);
        for c in 0..channels {
            for v in 0..2 {
                let mut half = [[zero; SPAN]; SPAN];
                for j in 0..SPAN {
                    let mut d = [zero; SPAN];
                    for i in 0..SPAN {
                        d[i] = simd.load(&pixels[i][j][c][v]);
                        if RELU {
                            d[i] = simd.max(d[i], zero);
                        }
                    }
                    let d = input_transform(simd, d);
                    for i in 0..SPAN {
                        half[i][j] = d[i];
                    }
                }
                for i in 0..SPAN {
                    let row = input_transform(simd, half[i]);
                    for j in 0..SPAN {
                        simd.store(row[j], &mut out[(i * SPAN + j) * step + c][v]);
                    }
                }
            }
        }
    }

    /// The products of all positions for one tile.
    #[inline(always)]
    fn multiply(&mut self, simd: S, tile: Tile) {
        macro_rules! by_channels {
            ($($n:literal)*) => {
                match tile.channels {
                    $($n => self.multiply_channels::<$n>(simd, tile.weights),)*
                    _ => {}
                }
            };
        }
        by_channels!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    }

    #[inline(always)]
    fn multiply_channels<const C: usize>(&mut self, simd: S, weights: &[f32]) {
        if C > S::TILE {
            return;
        }
        let channels = self.in_channels;
        let inputs = self.scratch.inputs.get().chunks_exact(step::<S>(channels));
        let products = self.scratch.products.get_mut().chunks_exact_mut(step::<S>(S::TILE));
        let weights = weights.chunks_exact(channels * C);
        for ((inputs, products), weights) in inputs.zip(products).zip(weights) {
            let mut sums = [[simd.splat(0.0); 2]; C];
            multiply::<S, C, false>(simd, &inputs[..channels], weights, &mut sums);
            for (unit, sum) in products.iter_mut().zip(&sums) {
                simd.store(sum[0], &mut unit[0]);
                simd.store(sum[1], &mut unit[1]);
            }
        }
    }

    /// A^T m A of each channel of a tile, into four rows and columns of the output.
    #[inline(always)]
    fn transform_output(&mut self, simd: S, ox: usize, tile: Tile) {
        let step = step::<S>(S::TILE);
        let products = &self.scratch.products.get()[..POSITIONS * step];
        let zero = simd.splat(0.0);
        let scale = simd.splat(tile.scale.unwrap_or(1.0));
        for c in 0..tile.channels {
            for v in [0, 1] {
                let mut half = [[zero; SPAN]; PIECE];
                for j in 0..SPAN {
                    let mut m = [zero; SPAN];
                    for i in 0..SPAN {
                        m[i] = simd.load(&products[(i * SPAN + j) * step + c][v]);
                    }
                    let m = output_transform(simd, m);
                    for i in 0..PIECE {
                        half[i][j] = m[i];
                    }
                }
                for (i, row) in half.into_iter().enumerate() {
                    for (j, value) in output_transform(simd, row).into_iter().enumerate() {
                        let value = if tile.scale.is_some() { simd.mul(value, scale) } else { value };
                        let pixel = i * self.size[1] + ox + j;
                        simd.store(value, &mut self.y[pixel * self.y_pitch + tile.out_first + c][v]);
                    }
                }
            }
        }
    }
}

/// B^T d.
#[inline(always)]
fn input_transform<S: Simd>(simd: S, d: [S::V; SPAN]) -> [S::V; SPAN] {
    let (two, four, five) = (simd.splat(2.0), simd.splat(4.0), simd.splat(5.0));
    let a = simd.neg_mul_add(four, d[2], d[4]);
    let b = simd.neg_mul_add(four, d[1], d[3]);
    let c = simd.sub(d[4], d[2]);
    let e = simd.sub(d[3], d[1]);
    [
        simd.mul_add(four, d[0], simd.neg_mul_add(five, d[2], d[4])),
        simd.add(a, b),
        simd.sub(a, b),
        simd.mul_add(two, e, c),
        simd.neg_mul_add(two, e, c),
        simd.mul_add(four, d[1], simd.neg_mul_add(five, d[3], d[5])),
    ]
}

/// A^T m.
#[inline(always)]
fn output_transform<S: Simd>(simd: S, m: [S::V; SPAN]) -> [S::V; PIECE] {
    let (two, four, eight) = (simd.splat(2.0), simd.splat(4.0), simd.splat(8.0));
    let (s, d) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    let (p, q) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
    [
        simd.add(simd.add(m[0], s), p),
        simd.mul_add(two, q, d),
        simd.mul_add(four, p, s),
        simd.add(simd.mul_add(eight, q, d), m[5]),
    ]
}
