//! Code bits of lanes: planes on the way, code words at the end.
//!
//! A comparison gives one bit for each image of a block, where a code word holds 32 bits of one image. So bits go
//! to planes first: entry q of a block's plane holds bit q of the codes of all its images. A 32 x 32 transposition,
//! 16 of them side by side, makes code words of them.

use super::layout::block;
use super::simd::{Kernel, Simd};
use crate::plan::Plan;

/// Images whose bits fill a word of the transposition.
const GROUP: usize = 32;
/// Matrices that are transposed side by side.
const BESIDE: usize = 16;

/// Bytes of a plane's entry: one bit for each image of a block.
pub(super) const fn entry<S: Simd>() -> usize {
    block::<S>() / 8
}

/// Bytes of one block's plane.
pub(super) fn plane<S: Simd>(plan: &Plan) -> usize {
    plan.words_per_image * 32 * entry::<S>()
}

/// Stores the bits of a block.
#[inline(always)]
pub(super) fn put<S: Simd>(entry: &mut [u8], bits: [u32; 2]) {
    let bytes = (bits[0] | bits[1] << S::LANES).to_le_bytes();
    match block::<S>() {
        8 => entry[0] = bytes[0],
        16 => entry.copy_from_slice(&bytes[..2]),
        _ => entry.copy_from_slice(&bytes),
    }
}

/// Transposes planes, [block][bit], into code words, [image][words per image].
pub(super) fn transpose<S: Simd>(simd: S, plan: &Plan, planes: &[u8], codes: &mut [u32]) {
    let words = plan.words_per_image;
    if words == 0 {
        return;
    }
    let blocks = planes.chunks(GROUP / block::<S>() * plane::<S>(plan));
    for (planes, codes) in blocks.zip(codes.chunks_mut(GROUP * words)) {
        // Images start on 32 words, so rounds are whole.
        for first in (0..words).step_by(BESIDE) {
            simd.call(Transpose { planes, plane: plane::<S>(plan), codes, words, first });
        }
    }
}

/// 16 matrices of 32 x 32 bits, word by word side by side.
struct Transpose<'a> {
    /// Planes of 32 images, one block after the other.
    planes: &'a [u8],
    /// Bytes of one plane.
    plane: usize,
    codes: &'a mut [u32],
    words: usize,
    /// First word of the images' codes.
    first: usize,
}

impl<S: Simd> Kernel<S> for Transpose<'_> {
    #[inline(always)]
    fn run(self, _simd: S) {
        // Bit k of matrix m is bit 32 (first + m) + k of the codes.
        let mut rows = [[0u32; BESIDE]; 32];
        let bytes = entry::<S>();
        for (b, plane) in self.planes.chunks_exact(self.plane).enumerate() {
            let entries = &plane[self.first * 32 * bytes..][..BESIDE * 32 * bytes];
            for (m, matrix) in entries.chunks_exact(32 * bytes).enumerate() {
                for (k, entry) in matrix.chunks_exact(bytes).enumerate() {
                    let bits = match bytes {
                        1 => u32::from(entry[0]),
                        2 => u32::from(u16::from_le_bytes([entry[0], entry[1]])),
                        _ => u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]),
                    };
                    rows[k][m] |= bits << (b * block::<S>());
                }
            }
        }
        // Swaps ever smaller blocks across the diagonal (Warren, Hacker's Delight, 7-3).
        let (mut j, mut mask) = (16, 0x0000_ffffu32);
        while j != 0 {
            let mut k = 0;
            while k < 32 {
                let (low, high) = rows.split_at_mut(k + j);
                for (low, high) in low[k].iter_mut().zip(&mut high[0]) {
                    let swap = ((*low >> j) ^ *high) & mask;
                    *high ^= swap;
                    *low ^= swap << j;
                }
                k = (k + j + 1) & !j;
            }
            j >>= 1;
            mask ^= mask << j;
        }
        for (row, code) in rows.iter().zip(self.codes.chunks_exact_mut(self.words)) {
            code[self.first..self.first + BESIDE].copy_from_slice(row);
        }
    }
}
