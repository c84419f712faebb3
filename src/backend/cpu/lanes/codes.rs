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

/// Entries of one block's plane.
pub(super) fn plane(plan: &Plan) -> usize {
    plan.words_per_image * 32
}

/// Transposes planes, [block][bit], into code words, [image][words per image].
pub(super) fn transpose<S: Simd, const W: usize>(
    simd: S,
    plan: &Plan,
    planes: &[S::Bits],
    codes: &mut [u32],
) {
    let words = plan.words_per_image;
    if words == 0 {
        return;
    }
    let blocks = planes.chunks(GROUP / block::<S, W>() * plane(plan));
    for (planes, codes) in blocks.zip(codes.chunks_mut(GROUP * words)) {
        // Images start on 32 words, so rounds are whole.
        for first in (0..words).step_by(BESIDE) {
            simd.call(Transpose::<S, W> { planes, plane: plane(plan), codes, words, first });
        }
    }
}

/// 16 matrices of 32 x 32 bits, word by word side by side.
struct Transpose<'a, S: Simd, const W: usize> {
    /// Planes of 32 images, one block after the other.
    planes: &'a [S::Bits],
    /// Entries of one plane.
    plane: usize,
    codes: &'a mut [u32],
    words: usize,
    /// First word of the images' codes.
    first: usize,
}

impl<S: Simd, const W: usize> Kernel<S> for Transpose<'_, S, W> {
    #[inline(always)]
    fn run(self, _simd: S) {
        // Bit k of matrix m is bit 32 (first + m) + k of the codes.
        let mut rows = [[0u32; BESIDE]; 32];
        for (b, plane) in self.planes.chunks_exact(self.plane).enumerate() {
            let entries = &plane[self.first * 32..][..BESIDE * 32];
            for (m, matrix) in entries.chunks_exact(32).enumerate() {
                for (row, &bits) in rows.iter_mut().zip(matrix) {
                    row[m] |= bits.into() << (b * block::<S, W>());
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
