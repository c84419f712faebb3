//! Code bits of lanes: planes on the way, code words at the end.
//!
//! A comparison gives one bit for each image of a block, where a code word holds 32 bits of one image. So bits go
//! to planes first: entry q of a block's plane holds bit q of the codes of all its images. Transpositions of 32
//! entries each make code words of them.

use super::layout::block;
use super::simd::{IMAGES, Kernel, Simd};
use crate::plan::Plan;

/// Words of an image that are written together: a cache line.
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
    let planes = planes.chunks_exact(plane(plan));
    for (plane, codes) in planes.zip(codes.chunks_mut(block::<S, W>() * words)) {
        simd.call(Transpose::<S> { plane, codes, words });
    }
}

/// The codes of one block.
struct Transpose<'a, S: Simd> {
    plane: &'a [S::Bits],
    codes: &'a mut [u32],
    words: usize,
}

impl<S: Simd> Kernel<S> for Transpose<'_, S> {
    #[inline(always)]
    fn run(self, simd: S) {
        // Images start on 32 words, so lines are whole.
        for (line, entries) in self.plane.chunks_exact(32 * BESIDE).enumerate() {
            let mut images = [[0; BESIDE]; IMAGES];
            for (word, entries) in entries.as_chunks().0.iter().enumerate() {
                for (image, bits) in images.iter_mut().zip(simd.transpose(entries)) {
                    image[word] = bits;
                }
            }
            for (image, code) in images.iter().zip(self.codes.chunks_exact_mut(self.words)) {
                code[line * BESIDE..][..BESIDE].copy_from_slice(image);
            }
        }
    }
}
