//! Code bits of lanes: planes on the way, code words at the end.
//!
//! A comparison gives one bit for each image of a block, where a code word holds 32 bits of one image. So bits go
//! to planes first: entry q of a block's plane holds bit q of the codes of all its images. Transpositions of 32
//! entries each make code words of them. An entry is also what a pattern of activation is made of, as it is.

use super::layout::block;
use super::simd::{IMAGES, Simd, WithSimd};
use crate::plan::Plan;
use crate::score::swap::{Patterns, mark};

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
        simd.call(TransposeBlock::<S> { plane, codes, words });
    }
}

/// The transposition of one block's plane.
struct TransposeBlock<'a, S: Simd> {
    plane: &'a [S::Bits],
    codes: &'a mut [u32],
    words: usize,
}

impl<S: Simd> WithSimd<S> for TransposeBlock<'_, S> {
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

/// Activation patterns of the first images: [`crate::score::swap::swap`] of planes, where each entry is (part of) a pattern.
pub(super) fn swap<S: Simd, const W: usize>(
    simd: S,
    plan: &Plan,
    images: usize,
    planes: &[S::Bits],
    map: &mut [u32],
) -> Patterns {
    let (length, block) = (plane(plan), block::<S, W>());
    let planes: Vec<&[S::Bits]> =
        (0..images.div_ceil(block)).map(|b| &planes[b * length..][..length]).collect();
    // Lanes without an image, and images that are not asked for, have bits too.
    let mask = u32::MAX >> (u32::BITS as usize - images);
    let mut found = Patterns::default();
    simd.call(MarkPatterns::<S> { planes: &planes, block, mask, map, found: &mut found });
    found
}

/// The marking of the patterns of some blocks.
struct MarkPatterns<'a, S: Simd> {
    planes: &'a [&'a [S::Bits]],
    block: usize,
    mask: u32,
    map: &'a mut [u32],
    found: &'a mut Patterns,
}

impl<S: Simd> WithSimd<S> for MarkPatterns<'_, S> {
    #[inline(always)]
    fn run(self, _: S) {
        let MarkPatterns { planes, block, mask, map, found } = self;
        *found = match planes {
            [plane] => mark(plane.iter().map(|&entry| entry.into() & mask), map),
            planes => {
                let part = |b: usize, q: usize| planes[b][q].into() << (b * block);
                let pattern = |q| (0..planes.len()).fold(0, |pattern, b| pattern | part(b, q)) & mask;
                mark((0..planes[0].len()).map(pattern), map)
            }
        };
    }
}
