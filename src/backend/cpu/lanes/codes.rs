//! Code bits of lanes: planes on the way, code words at the end.
//!
//! A comparison gives one bit for each image of a block, where a code word holds 32 bits of one image. So bits go
//! to planes first: word q of a group of 32 images holds bit q of all their codes. A 32 x 32 transposition, 16 of
//! them side by side, makes code words of them.

use super::layout::block;
use super::simd::{Kernel, Simd};
use crate::plan::Plan;

/// Images of a plane word.
const GROUP: usize = 32;
/// Matrices that are transposed side by side.
const BESIDE: usize = 16;

/// Bits by plane: [group of 32 images][bit of the code] words.
#[derive(Default)]
pub(super) struct Planes {
    bytes: Vec<u8>,
    /// Bytes of one group.
    group: usize,
}

impl Planes {
    /// Clears the planes of a plan.
    pub(super) fn prepare(&mut self, plan: &Plan) {
        // Images start on 32 words, so rounds of the transposition are whole.
        self.group = plan.words_per_image * 32 * 4;
        self.bytes.clear();
        self.bytes.resize(plan.images().div_ceil(GROUP) * self.group, 0);
    }

    /// Bytes of the plane words from a bit on, and where in each of them a block has its share.
    pub(super) fn at<S: Simd>(&mut self, b: usize, bit: usize) -> (&mut [u8], usize) {
        let per_group = GROUP / block::<S>();
        let share = b % per_group * (block::<S>() / 8);
        (&mut self.bytes[b / per_group * self.group + bit * 4..], share)
    }

    /// Transposes the planes into code words, [image][words per image].
    pub(super) fn transpose<S: Simd>(&self, simd: S, plan: &Plan, codes: &mut [u32]) {
        let words = plan.words_per_image;
        if words == 0 {
            return;
        }
        let images = codes.chunks_mut(GROUP * words);
        for (group, codes) in self.bytes.chunks_exact(self.group).zip(images) {
            for (round, bytes) in group.chunks_exact(BESIDE * GROUP * 4).enumerate() {
                simd.call(Transpose { bytes, codes, words, first: round * BESIDE });
            }
        }
    }
}

/// Stores the bits of one unit in a plane word.
#[inline(always)]
pub(super) fn put<S: Simd>(word: &mut [u8], share: usize, bits: u32) {
    let bytes = bits.to_le_bytes();
    match block::<S>() {
        8 => word[share] = bytes[0],
        16 => word[share..share + 2].copy_from_slice(&bytes[..2]),
        _ => word.copy_from_slice(&bytes),
    }
}

/// 16 matrices of 32 x 32 bits, word by word side by side.
struct Transpose<'a> {
    bytes: &'a [u8],
    codes: &'a mut [u32],
    words: usize,
    /// First word of the images' codes.
    first: usize,
}

impl<S: Simd> Kernel<S> for Transpose<'_> {
    #[inline(always)]
    fn run(self, _simd: S) {
        // Bit k of matrix m is plane word 32 m + k.
        let mut rows = [[0u32; BESIDE]; 32];
        for (m, matrix) in self.bytes.chunks_exact(32 * 4).enumerate() {
            for (k, word) in matrix.chunks_exact(4).enumerate() {
                rows[k][m] = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            }
        }
        // Swaps ever smaller blocks across the diagonal (Warren, Hacker's Delight, 7-3).
        let (mut j, mut mask) = (16, 0x0000_ffffu32);
        while j != 0 {
            let mut k = 0;
            while k < 32 {
                for m in 0..BESIDE {
                    let swap = ((rows[k][m] >> j) ^ rows[k + j][m]) & mask;
                    rows[k + j][m] ^= swap;
                    rows[k][m] ^= swap << j;
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
