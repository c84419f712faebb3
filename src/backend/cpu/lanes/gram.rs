//! Scatter matrices in lanes: see the twin, `cpu/gram.rs`, for what is computed.
//!
//! Each lane adds up d = x - shift and the products of d over one block's pixels, the shift of a channel being its first
//! image's first pixel, for all lanes. It takes some pixels at a time, and tile by tile of the lower triangle, of which a vector
//! for each pair of channels stays in registers: tiles on the diagonal read the tensor and leave d in a scratch that stays in
//! cache, where the others read it. Lanes without an image add zeros.

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
            let mut chunk = Chunk { pixels, pitch, first, shift: &shift, has_image: &has_image, deltas };
            let is_first = number == 0;
            match (relu, images == W * S::LANES) {
                (false, true) => chunk.add::<false, true>(simd, sums, products, is_first),
                (false, false) => chunk.add::<false, false>(simd, sums, products, is_first),
                (true, true) => chunk.add::<true, true>(simd, sums, products, is_first),
                (true, false) => chunk.add::<true, false>(simd, sums, products, is_first),
            }
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

/// Some pixels, and their deltas.
struct Chunk<'a, S: Simd, const W: usize> {
    pixels: &'a [Unit<S, W>],
    pitch: usize,
    /// First unit of a pixel.
    first: usize,
    shift: &'a [S::Lanes],
    has_image: &'a Unit<S, W>,
    /// [pixel][channel].
    deltas: &'a mut [Unit<S, W>],
}

impl<S: Simd, const W: usize> Chunk<'_, S, W> {
    /// Adds the sums and products of its pixels to those of the chunks before, or makes them the first.
    #[inline(always)]
    fn add<const RELU: bool, const IS_FULL: bool>(
        &mut self,
        simd: S,
        sums: &mut [S::Lanes],
        products: &mut [S::Lanes],
        is_first: bool,
    ) {
        let mut rest = products;
        for (panel, sums) in sums.chunks_mut(ROWS).enumerate() {
            let (row, rows) = (panel * ROWS, sums.len());
            let (others, tile) = rest.split_at_mut(row * rows);
            let (tile, behind) = tile.split_at_mut(packed(rows));
            match rows {
                1 => self.diagonal::<1, RELU, IS_FULL>(simd, row, sums, tile, is_first),
                2 => self.diagonal::<2, RELU, IS_FULL>(simd, row, sums, tile, is_first),
                3 => self.diagonal::<3, RELU, IS_FULL>(simd, row, sums, tile, is_first),
                _ => self.diagonal::<ROWS, RELU, IS_FULL>(simd, row, sums, tile, is_first),
            }
            for (number, tile) in others.chunks_exact_mut(rows * columns::<S>()).enumerate() {
                let column = number * columns::<S>();
                match (rows, columns::<S>()) {
                    (1, 4) => self.tile::<1, 4>(simd, row, column, tile, is_first),
                    (2, 4) => self.tile::<2, 4>(simd, row, column, tile, is_first),
                    (3, 4) => self.tile::<3, 4>(simd, row, column, tile, is_first),
                    (_, 4) => self.tile::<ROWS, 4>(simd, row, column, tile, is_first),
                    (1, _) => self.tile::<1, 2>(simd, row, column, tile, is_first),
                    (2, _) => self.tile::<2, 2>(simd, row, column, tile, is_first),
                    (3, _) => self.tile::<3, 2>(simd, row, column, tile, is_first),
                    _ => self.tile::<ROWS, 2>(simd, row, column, tile, is_first),
                }
            }
            rest = behind;
        }
    }

    /// Takes the pixels of some channels off their shift, and adds up these and their products with each other.
    #[inline(always)]
    fn diagonal<const R: usize, const RELU: bool, const IS_FULL: bool>(
        &mut self,
        simd: S,
        row: usize,
        sums: &mut [S::Lanes],
        products: &mut [S::Lanes],
        is_first: bool,
    ) {
        let zero = simd.splat(0.0);
        let (mut totals, mut shift) = ([zero; R], [zero; R]);
        let mut triangle = [[zero; R]; R];
        shift.iter_mut().zip(&self.shift[row..]).for_each(|(shift, stored)| *shift = simd.load(stored));
        if !is_first {
            totals.iter_mut().zip(&*sums).for_each(|(total, stored)| *total = simd.load(stored));
            for (r, triangle) in triangle.iter_mut().enumerate() {
                let stored = &products[place(R, true, r)..][..r + 1];
                triangle.iter_mut().zip(stored).for_each(|(product, stored)| *product = simd.load(stored));
            }
        }
        let channels = self.shift.len();
        let pixels = self.pixels.chunks_exact(self.pitch).zip(self.deltas.chunks_exact_mut(channels));
        for (pixel, deltas) in pixels {
            let (units, deltas) = (&pixel[self.first + row..][..R], &mut deltas[row..][..R]);
            for v in 0..W {
                let mut d = [zero; R];
                for r in 0..R {
                    simd.prefetch(std::ptr::from_ref(&units[r][v]).wrapping_byte_add(AHEAD));
                    let x = simd.load(&units[r][v]);
                    let x = simd.sub(if RELU { simd.max(x, zero) } else { x }, shift[r]);
                    d[r] = if IS_FULL { x } else { simd.mul(x, simd.load(&self.has_image[v])) };
                    simd.store(d[r], &mut deltas[r][v]);
                }
                for r in 0..R {
                    totals[r] = simd.add(totals[r], d[r]);
                    for c in 0..=r {
                        triangle[r][c] = simd.mul_add(d[r], d[c], triangle[r][c]);
                    }
                }
            }
        }
        totals.iter().zip(sums).for_each(|(&total, stored)| simd.store(total, stored));
        for (r, triangle) in triangle.iter().enumerate() {
            let stored = &mut products[place(R, true, r)..][..r + 1];
            triangle.iter().zip(stored).for_each(|(&product, stored)| simd.store(product, stored));
        }
    }

    /// Adds the products of some channels with some before them.
    #[inline(always)]
    fn tile<const R: usize, const C: usize>(
        &self,
        simd: S,
        row: usize,
        column: usize,
        products: &mut [S::Lanes],
        is_first: bool,
    ) {
        let mut sums = [[simd.splat(0.0); C]; R];
        let products = products.as_chunks_mut::<C>().0;
        if !is_first {
            for (sums, stored) in sums.iter_mut().zip(&*products) {
                *sums = simd.load_unit(stored);
            }
        }
        for deltas in self.deltas.chunks_exact(self.shift.len()) {
            let (rows, columns) = (&deltas[row..][..R], &deltas[column..][..C]);
            for v in 0..W {
                let mut x = [simd.splat(0.0); C];
                for c in 0..C {
                    x[c] = simd.load(&columns[c][v]);
                }
                for r in 0..R {
                    let y = simd.load(&rows[r][v]);
                    for c in 0..C {
                        sums[r][c] = simd.mul_add(y, x[c], sums[r][c]);
                    }
                }
            }
        }
        for (sums, stored) in sums.iter().zip(products) {
            simd.store_unit(*sums, stored);
        }
    }
}

/// Where row r of a tile begins. On the diagonal it is a triangle.
#[inline(always)]
fn place(columns: usize, on_diagonal: bool, r: usize) -> usize {
    if on_diagonal { packed(r) } else { r * columns }
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
