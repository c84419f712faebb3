//! 3x3 convolution, stride 1, padding 1, by Winograd's F(4x4, 3x3) (Lavin and Gray, 2016).
//!
//! ```text
//! Y = A^T [ (G g G^T) * (B^T d B) ] A        for each 6x6 piece d of the input, 4x4 piece Y of the output
//! ```
//!
//! A quarter of the multiplications of the direct form; rounding is about five times larger, 1e-6 of the output's
//! scale. One piece of the image at a time: its transform for all input channels is [36][channel], and each of
//! the 36 positions is a product with weights [36][channel][tile].
//!
//! A transform reads and writes dozens of places for each channel. They are at constant distances wherever that can
//! be: a pointer for each would not fit into registers.

use bytemuck::Zeroable;

use super::tile::{MOST_CHANNELS, Tile, by_channels, most_channels, multiply};
use crate::Result;
use crate::backend::cpu::lanes::simd::checked_pixels::CheckedPixels;
use crate::backend::cpu::lanes::simd::{Simd, WithSimd};
use crate::backend::cpu::lanes::units::{Lines, Unit, Units};

/// Rows and columns of an output piece, and of an input piece.
pub(super) const PIECE: usize = 4;
pub(super) const SPAN: usize = PIECE + 2;
/// Products of one piece.
pub(super) const POSITIONS: usize = SPAN * SPAN;

/// G g G^T of some 3x3 kernels side by side, in f64 and rounded once.
#[inline(always)]
pub(super) fn transform_weights<const N: usize>(g: &[[f32; N]; 9], out: &mut [[f32; N]; POSITIONS]) {
    const G: [[f64; 3]; SPAN] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
    // By iterators: an index of rows makes LLVM compute all rows side by side for AVX-512, and scatter them.
    for (of_row, out) in G.iter().zip(out.as_chunks_mut::<SPAN>().0) {
        let mut row = [[0.0; N]; 3];
        for (s, row) in row.iter_mut().enumerate() {
            for n in 0..N {
                let [a, b, c] = [f64::from(g[s][n]), f64::from(g[3 + s][n]), f64::from(g[6 + s][n])];
                row[n] = of_row[0] * a + of_row[1] * b + of_row[2] * c;
            }
        }
        for (of_column, out) in G.iter().zip(out) {
            for n in 0..N {
                let sum = of_column[0] * row[0][n] + of_column[1] * row[1][n] + of_column[2] * row[2][n];
                out[n] = sum as f32;
            }
        }
    }
}

/// Input channels that are transformed together, and units from one position of theirs to the next: an odd number
/// of cache lines, else the positions of a channel would fall into the same sets.
const CHUNK: usize = 16;
const STEP: usize = CHUNK + 1;
/// Units from one position's products to the next's: the largest tile fits in, and the number is odd for the same reason.
const PRODUCTS: usize = MOST_CHANNELS + 1;

/// Transformed inputs, [chunk][36][channel], and products, [36][channel], of one piece.
pub(crate) struct Scratch<S: Simd, const W: usize> {
    inputs: Units<S, W>,
    products: Units<S, W>,
}

impl<S: Simd, const W: usize> Default for Scratch<S, W> {
    fn default() -> Self {
        Scratch { inputs: Lines::default(), products: Lines::default() }
    }
}

/// Units that a scratch takes.
pub(super) fn units(in_channels: usize) -> usize {
    POSITIONS * (in_channels.div_ceil(CHUNK) * STEP + PRODUCTS)
}

impl<S: Simd, const W: usize> Scratch<S, W> {
    pub(super) fn prepare(&mut self, in_channels: usize) -> Result<()> {
        self.inputs.resize(in_channels.div_ceil(CHUNK) * POSITIONS * STEP)?;
        self.products.resize(POSITIONS * PRODUCTS)
    }
}

/// Four output rows of one block.
pub(super) struct OutputRows<'a, S: Simd, const W: usize> {
    pub(super) scratch: &'a mut Scratch<S, W>,
    /// The six input rows that they depend on, [in channel][1 + w + 1] with zeros around the image.
    pub(super) x: [&'a [Unit<S, W>]; SPAN],
    pub(super) in_channels: usize,
    /// The four output rows, [4][w][y_pitch].
    pub(super) y: &'a mut [Unit<S, W>],
    pub(super) y_pitch: usize,
    pub(super) width: usize,
    /// Their weights are [36][in channel][channel].
    pub(super) tiles: &'a [Tile<'a>],
}

impl<S: Simd, const W: usize> WithSimd<S> for OutputRows<'_, S, W> {
    #[inline(always)]
    fn run(mut self, simd: S) {
        for ox in (0..self.width).step_by(PIECE) {
            self.transform_input(simd, ox);
            for tile in self.tiles {
                self.multiply(simd, tile);
                self.transform_output(simd, ox, tile);
            }
        }
    }
}

impl<S: Simd, const W: usize> OutputRows<'_, S, W> {
    /// B^T d B of the piece whose output starts at column `ox`, for all input channels.
    #[inline(always)]
    fn transform_input(&mut self, simd: S, ox: usize) {
        let zero = simd.splat(0.0);
        let zeros = [Unit::<S, W>::zeroed(); SPAN];
        let length = self.width + SPAN - PIECE;
        let (chunks, _) = self.scratch.inputs.get_mut().as_chunks_mut::<{ POSITIONS * STEP }>();
        for (chunk, first) in chunks.iter_mut().zip((0..self.in_channels).step_by(CHUNK)) {
            for c in 0..CHUNK.min(self.in_channels - first) {
                let mut x = [&zeros; SPAN];
                for (x, row) in x.iter_mut().zip(&self.x) {
                    let Some(pixels) = row[(first + c) * length + ox..].first_chunk() else {
                        unreachable!("a row has a pixel of zeros at either end");
                    };
                    *x = pixels;
                }
                for v in 0..W {
                    // Two rows of B^T d at a time: their twelve numbers stay in registers. (A closure would be
                    // compiled without the features of the instruction set.)
                    macro_rules! rows {
                        ($pair:ident, $first:literal, $second:literal) => {
                            let mut rows = [[zero; SPAN]; 2];
                            for j in 0..SPAN {
                                let mut d = [zero; SPAN];
                                for i in 0..SPAN {
                                    d[i] = simd.load(&x[i][j][v]);
                                }
                                [rows[0][j], rows[1][j]] = $pair(simd, d);
                            }
                            for (i, row) in [$first, $second].into_iter().zip(rows) {
                                let ([d0, d5], [d1, d2], [d3, d4]) =
                                    (outer(simd, row), middle(simd, row), inner(simd, row));
                                let row = [d0, d1, d2, d3, d4, d5];
                                for j in 0..SPAN {
                                    simd.store(row[j], &mut chunk[(i * SPAN + j) * STEP + c][v]);
                                }
                            }
                        };
                    }
                    rows!(outer, 0, 5);
                    rows!(middle, 1, 2);
                    rows!(inner, 3, 4);
                }
            }
        }
    }

    /// The products of all positions for one tile.
    #[inline(always)]
    fn multiply(&mut self, simd: S, tile: &Tile) {
        by_channels!(tile.channels, C => self.multiply_channels::<C>(simd, tile.weights));
    }

    #[inline(always)]
    fn multiply_channels<const C: usize>(&mut self, simd: S, weights: &[f32]) {
        if C > most_channels::<S, W>() {
            unreachable!("{C} channels do not fit into registers");
        }
        let channels = self.in_channels;
        let (chunks, _) = self.scratch.inputs.get().as_chunks::<{ POSITIONS * STEP }>();
        let products = self.scratch.products.get_mut().chunks_exact_mut(PRODUCTS);
        for (p, (products, weights)) in products.zip(weights.chunks_exact(channels * C)).enumerate() {
            let mut sums = [[simd.splat(0.0); W]; C];
            for (chunk, weights) in chunks.iter().zip(weights.chunks(CHUNK * C)) {
                let inputs = &chunk[p * STEP..][..weights.len() / C];
                sums = multiply::<S, W, C, false>(simd, inputs, weights, sums);
            }
            for (unit, sum) in products.iter_mut().zip(sums) {
                simd.store_unit(sum, unit);
            }
        }
    }

    /// A^T m A of each channel of a tile, into four rows and columns of the output.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "v picks a half of units everywhere, not elements of one slice"
    )]
    fn transform_output(&mut self, simd: S, ox: usize, tile: &Tile) {
        let channels = tile.channels;
        assert!(channels <= PRODUCTS, "a tile's products have their places");
        let Some(m) = self.scratch.products.get().first_chunk::<{ POSITIONS * PRODUCTS }>() else {
            unreachable!("the scratch was prepared");
        };
        let y = &mut self.y[ox * self.y_pitch + tile.out_first..];
        let mut y =
            CheckedPixels::<_, PIECE, PIECE>::new(y, self.width * self.y_pitch, self.y_pitch, channels);
        let scale = simd.splat(tile.scale.unwrap_or(1.0));
        let zero = simd.splat(0.0);
        for c in 0..channels {
            for v in 0..W {
                macro_rules! rows {
                    ($pair:ident, $first:literal, $second:literal) => {
                        let mut rows = [[zero; SPAN]; 2];
                        for j in 0..SPAN {
                            let mut column = [zero; SPAN];
                            for i in 0..SPAN {
                                column[i] = simd.load(&m[(i * SPAN + j) * PRODUCTS + c][v]);
                            }
                            [rows[0][j], rows[1][j]] = $pair(simd, column);
                        }
                        for (i, row) in [$first, $second].into_iter().zip(rows) {
                            let ([y0, y2], [y1, y3]) = (even(simd, row), odd(simd, row));
                            let mut row = [y0, y1, y2, y3];
                            for j in 0..PIECE {
                                if tile.scale.is_some() {
                                    row[j] = simd.mul(row[j], scale);
                                }
                                simd.store(row[j], &mut y.get(i, j, c)[v]);
                            }
                        }
                    };
                }
                rows!(even, 0, 2);
                rows!(odd, 1, 3);
            }
        }
    }
}

/// Rows 0 and 5 of B^T d.
#[inline(always)]
fn outer<S: Simd>(simd: S, d: [S::V; SPAN]) -> [S::V; 2] {
    let (four, five) = (simd.splat(4.0), simd.splat(5.0));
    [
        simd.mul_add(four, d[0], simd.neg_mul_add(five, d[2], d[4])),
        simd.mul_add(four, d[1], simd.neg_mul_add(five, d[3], d[5])),
    ]
}

/// Rows 1 and 2 of B^T d.
#[inline(always)]
fn middle<S: Simd>(simd: S, d: [S::V; SPAN]) -> [S::V; 2] {
    let four = simd.splat(4.0);
    let (a, b) = (simd.neg_mul_add(four, d[2], d[4]), simd.neg_mul_add(four, d[1], d[3]));
    [simd.add(a, b), simd.sub(a, b)]
}

/// Rows 3 and 4 of B^T d.
#[inline(always)]
fn inner<S: Simd>(simd: S, d: [S::V; SPAN]) -> [S::V; 2] {
    let two = simd.splat(2.0);
    let (a, b) = (simd.sub(d[4], d[2]), simd.sub(d[3], d[1]));
    [simd.mul_add(two, b, a), simd.neg_mul_add(two, b, a)]
}

/// Rows 0 and 2 of A^T m.
#[inline(always)]
fn even<S: Simd>(simd: S, m: [S::V; SPAN]) -> [S::V; 2] {
    let (a, b) = (simd.add(m[1], m[2]), simd.add(m[3], m[4]));
    [simd.add(simd.add(m[0], a), b), simd.mul_add(simd.splat(4.0), b, a)]
}

/// Rows 1 and 3 of A^T m.
#[inline(always)]
fn odd<S: Simd>(simd: S, m: [S::V; SPAN]) -> [S::V; 2] {
    let (two, eight) = (simd.splat(2.0), simd.splat(8.0));
    let (a, b) = (simd.sub(m[1], m[2]), simd.sub(m[3], m[4]));
    [simd.mul_add(two, b, a), simd.add(simd.mul_add(eight, b, a), m[5])]
}
