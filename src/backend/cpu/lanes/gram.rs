//! Scatter matrices in lanes: see the twin, `cpu/gram.rs`, for what is computed.
//!
//! Each lane adds up d = x - shift and the products of d over one block's pixels, the shift of a channel being its first
//! image's first pixel, for all lanes. Some pixels at a time are taken off their shift into a scratch that stays in cache; then
//! each tile of the lower triangle, a vector for each pair of channels, stays in registers over these pixels. Lanes without an
//! image add zeros.

use bytemuck::Zeroable;

use super::simd::{Simd, WithSimd};
use super::units::{Lines, Unit};
use crate::Result;
use crate::plan::jobs::GramJob;
use crate::score::scatter::{Scatter, packed};

/// Channels of a tile's sides, at most: sums in registers beside what they are multiplied from.
const ROWS: usize = 4;
const fn columns<S: Simd>() -> usize {
    if S::SUMS >= 16 { 4 } else { 2 }
}

/// Bytes from what is read to what is fetched for later.
const AHEAD: usize = 8 << 10;

/// Pixels after which sums leave f32.
const MOST_PIXELS: usize = 4096;

/// Pixels that are multiplied at a time. Few stay in the first cache, many make up for the way of each tile to registers and back.
fn chunk(channels: usize) -> usize {
    match channels {
        0..=32 => 32,
        33..=128 => 16,
        _ => 64,
    }
}

/// A thread's memory for one block of a tensor.
pub(super) struct GramScratch<S: Simd, const W: usize> {
    /// Pixels taken off their shift, [pixel][channel].
    deltas: Lines<Unit<S, W>>,
    /// Sums of a channel's deltas.
    sums: Lines<S::Lanes>,
    /// Sums of products, tile by tile, [row][column] in each.
    products: Lines<S::Lanes>,
}

impl<S: Simd, const W: usize> Default for GramScratch<S, W> {
    fn default() -> Self {
        GramScratch { deltas: Lines::default(), sums: Lines::default(), products: Lines::default() }
    }
}

/// Bytes of the scratch of a job.
pub(super) fn scratch_bytes<S: Simd, const W: usize>(job: &GramJob) -> usize {
    let sums = job.channels + packed(job.channels);
    chunk(job.channels) * job.channels * size_of::<Unit<S, W>>() + sums * size_of::<S::Lanes>()
}

/// Some neighboring channels of one block of a tensor.
pub(super) struct GramBlock<'a, S: Simd, const W: usize> {
    /// [pixel][unit].
    pub(super) pixels: &'a [Unit<S, W>],
    pub(super) pitch: usize,
    /// First unit of a pixel.
    pub(super) first: usize,
    pub(super) channels: usize,
    pub(super) relu: bool,
    /// Images in the block's lanes.
    pub(super) images: usize,
}

impl<S: Simd, const W: usize> GramBlock<'_, S, W> {
    /// The scatter matrix of the block's images.
    pub(super) fn scatter(&self, simd: S, scratch: &mut GramScratch<S, W>) -> Result<Scatter> {
        scratch.deltas.resize(chunk(self.channels) * self.channels)?;
        scratch.sums.resize(self.channels)?;
        scratch.products.resize(packed(self.channels))?;
        let mut scatter = Scatter::empty(self.channels);
        for pixels in self.pixels.chunks(MOST_PIXELS * self.pitch) {
            let block = GramBlock { pixels, ..*self };
            simd.call(AddProducts { block: &block, scratch, scatter: &mut scatter });
        }
        Ok(scatter)
    }
}

/// The scatter matrix of a part of a block, merged into that of what came before.
struct AddProducts<'a, S: Simd, const W: usize> {
    block: &'a GramBlock<'a, S, W>,
    scratch: &'a mut GramScratch<S, W>,
    scatter: &'a mut Scatter,
}

impl<S: Simd, const W: usize> WithSimd<S> for AddProducts<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        let AddProducts { block, scratch, scatter } = self;
        let GramBlock { pitch, first, channels, relu, images, .. } = *block;
        let first_pixel = block.pixels[first..][..channels].iter();
        let x = first_pixel.map(|unit| bytemuck::cast_slice::<_, f32>(unit)[0]);
        let x: Vec<f32> = x.map(|x| if relu { x.max(0.0) } else { x }).collect();
        let mut shift = vec![S::Lanes::zeroed(); channels];
        shift.iter_mut().zip(&x).for_each(|(shift, &x)| simd.store(simd.splat(x), shift));
        // 1 where a lane has an image.
        let mut has_image = Unit::<S, W>::zeroed();
        bytemuck::cast_slice_mut::<_, f32>(&mut has_image)[..images].fill(1.0);
        let (sums, products) = (scratch.sums.get_mut(), scratch.products.get_mut());
        let pixels_at_once = chunk(channels);
        for (number, pixels) in block.pixels.chunks(pixels_at_once * pitch).enumerate() {
            let count = pixels.len() / pitch;
            let deltas = &mut scratch.deltas.get_mut()[..count * channels];
            let shifted = ShiftPixels { pixels, pitch, first, shift: &shift, has_image: &has_image };
            match (relu, images == W * S::LANES) {
                (false, true) => shifted.run::<false, true>(simd, deltas),
                (false, false) => shifted.run::<false, false>(simd, deltas),
                (true, true) => shifted.run::<true, true>(simd, deltas),
                (true, false) => shifted.run::<true, false>(simd, deltas),
            }
            add_tiles::<S, W>(simd, deltas, channels, sums, products, number == 0);
        }
        let count = images * (block.pixels.len() / pitch);
        let sums: Vec<f64> = sums.iter().map(sum_of_lanes::<S>).collect();
        let mut triangle = vec![0.0; packed(channels)];
        let mut rest = &*products;
        for row in (0..channels).step_by(ROWS) {
            let rows = (channels - row).min(ROWS);
            for column in (0..row).step_by(columns::<S>()).chain([row]) {
                let on_diagonal = row == column;
                for r in 0..rows {
                    let columns = if on_diagonal { r + 1 } else { columns::<S>() };
                    let to = &mut triangle[packed(row + r) + column..][..columns];
                    let from = &rest[place(columns, on_diagonal, r)..][..columns];
                    to.iter_mut().zip(from).for_each(|(sum, lanes)| *sum = sum_of_lanes::<S>(lanes));
                }
                rest = &rest[place(columns::<S>(), on_diagonal, rows)..];
            }
        }
        let shift: Vec<f64> = x.into_iter().map(f64::from).collect();
        scatter.merge(&Scatter::of_block(count, &shift, &sums, triangle));
    }
}

/// Some pixels, to be taken off their shift.
struct ShiftPixels<'a, S: Simd, const W: usize> {
    pixels: &'a [Unit<S, W>],
    pitch: usize,
    /// First unit of a pixel.
    first: usize,
    shift: &'a [S::Lanes],
    has_image: &'a Unit<S, W>,
}

impl<S: Simd, const W: usize> ShiftPixels<'_, S, W> {
    #[inline(always)]
    fn run<const RELU: bool, const IS_FULL: bool>(&self, simd: S, deltas: &mut [Unit<S, W>]) {
        let zero = simd.splat(0.0);
        let channels = self.shift.len();
        for (pixel, deltas) in self.pixels.chunks_exact(self.pitch).zip(deltas.chunks_exact_mut(channels)) {
            let units = &pixel[self.first..][..channels];
            for ((unit, shift), deltas) in units.iter().zip(self.shift).zip(deltas) {
                let shift = simd.load(shift);
                for v in 0..W {
                    simd.prefetch(std::ptr::from_ref(&unit[v]).wrapping_byte_add(AHEAD));
                    let x = simd.load(&unit[v]);
                    let d = simd.sub(if RELU { simd.max(x, zero) } else { x }, shift);
                    simd.store(
                        if IS_FULL { d } else { simd.mul(d, simd.load(&self.has_image[v])) },
                        &mut deltas[v],
                    );
                }
            }
        }
    }
}

/// Adds the products of some pixels to all tiles, or makes them the first.
#[inline(always)]
fn add_tiles<S: Simd, const W: usize>(
    simd: S,
    deltas: &[Unit<S, W>],
    channels: usize,
    sums: &mut [S::Lanes],
    products: &mut [S::Lanes],
    is_first: bool,
) {
    let mut rest = products;
    for row in (0..channels).step_by(ROWS) {
        let rows = (channels - row).min(ROWS);
        for column in (0..row).step_by(columns::<S>()) {
            let (tile, others) = rest.split_at_mut(place(columns::<S>(), false, rows));
            let tile = Tile { deltas, channels, row, column, sums: &mut [], products: tile, is_first };
            match (rows, columns::<S>()) {
                (1, 4) => tile.add::<1, 4, false>(simd),
                (2, 4) => tile.add::<2, 4, false>(simd),
                (3, 4) => tile.add::<3, 4, false>(simd),
                (_, 4) => tile.add::<ROWS, 4, false>(simd),
                (1, _) => tile.add::<1, 2, false>(simd),
                (2, _) => tile.add::<2, 2, false>(simd),
                (3, _) => tile.add::<3, 2, false>(simd),
                _ => tile.add::<ROWS, 2, false>(simd),
            }
            rest = others;
        }
        let (tile, others) = rest.split_at_mut(place(rows, true, rows));
        let sums = &mut sums[row..row + rows];
        let tile = Tile { deltas, channels, row, column: row, sums, products: tile, is_first };
        match rows {
            1 => tile.add::<1, 1, true>(simd),
            2 => tile.add::<2, 2, true>(simd),
            3 => tile.add::<3, 3, true>(simd),
            _ => tile.add::<ROWS, ROWS, true>(simd),
        }
        rest = others;
    }
}

/// Where row r of a tile begins. On the diagonal it is a triangle.
#[inline(always)]
fn place(columns: usize, on_diagonal: bool, r: usize) -> usize {
    if on_diagonal { packed(r) } else { r * columns }
}

/// The products of some rows of channels with some columns.
struct Tile<'a, S: Simd, const W: usize> {
    /// [pixel][channel].
    deltas: &'a [Unit<S, W>],
    channels: usize,
    row: usize,
    column: usize,
    /// Sums of the rows' deltas, made on the diagonal.
    sums: &'a mut [S::Lanes],
    products: &'a mut [S::Lanes],
    is_first: bool,
}

impl<S: Simd, const W: usize> Tile<'_, S, W> {
    #[inline(always)]
    fn add<const R: usize, const C: usize, const ON_DIAGONAL: bool>(self, simd: S) {
        let last = |r: usize| if ON_DIAGONAL { r + 1 } else { C };
        let mut products = [[simd.splat(0.0); C]; R];
        let mut sums = [simd.splat(0.0); R];
        if !self.is_first {
            for (r, products) in products.iter_mut().enumerate() {
                let stored = &self.products[place(C, ON_DIAGONAL, r)..][..last(r)];
                products.iter_mut().zip(stored).for_each(|(product, stored)| *product = simd.load(stored));
            }
            sums.iter_mut().zip(&*self.sums).for_each(|(sum, stored)| *sum = simd.load(stored));
        }
        for pixel in self.deltas.chunks_exact(self.channels) {
            let (rows, columns) = (&pixel[self.row..][..R], &pixel[self.column..][..C]);
            for v in 0..W {
                let mut x = [simd.splat(0.0); C];
                for c in 0..C {
                    x[c] = simd.load(&columns[c][v]);
                }
                for r in 0..R {
                    let y = if ON_DIAGONAL { x[r] } else { simd.load(&rows[r][v]) };
                    for c in 0..last(r) {
                        products[r][c] = simd.mul_add(y, x[c], products[r][c]);
                    }
                    if ON_DIAGONAL {
                        sums[r] = simd.add(sums[r], y);
                    }
                }
            }
        }
        for (r, products) in products.iter().enumerate() {
            let stored = &mut self.products[place(C, ON_DIAGONAL, r)..][..last(r)];
            products.iter().zip(stored).for_each(|(&product, stored)| simd.store(product, stored));
        }
        sums.iter().zip(self.sums).for_each(|(&sum, stored)| simd.store(sum, stored));
    }
}

/// The sum of a vector's numbers, halves first.
#[inline(always)]
fn sum_of_lanes<S: Simd>(lanes: &S::Lanes) -> f64 {
    let lanes: &[f32] = bytemuck::cast_slice(std::slice::from_ref(lanes));
    let mut sums = [0.0; 16];
    sums[..S::LANES].copy_from_slice(lanes);
    let eight: [f32; 8] = std::array::from_fn(|i| sums[i] + sums[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    f64::from((four[0] + four[2]) + (four[1] + four[3]))
}
