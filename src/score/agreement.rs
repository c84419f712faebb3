//! Agreement matrix from packed ReLU codes.
//!
//! ```text
//! K_ij = N_A - sum over sections of weight * popcount(code_i ^ code_j)
//! ```
//!
//! Codes are [image][words_per_image] u32; a job takes the words first .. first + words of each image, whose
//! bits all count `weight` times, off a K that starts as N_A everywhere. Everything is integer, so neither
//! the order nor the split over threads can change K.
//!
//! The baseline of x86-64 has no instruction that counts bits, so the count goes through carry-save adders
//! (Harley and Seal; Mula, Kurz and Lemire, "Faster population counts using AVX2 instructions", 2018):
//! sixteen words are added bit by bit into five words of weight 1, 2, 4, 8 and 16, and only the last is
//! counted each time. A row is one SIMD register. Pairs are visited in tiles of [`IMAGES`] images by
//! [`WORDS`] words, which stay in cache.
//!
//! | version | 128 images x 10,240 words, one core (AMD EPYC, SSE2) |
//! |---|---|
//! | `count_ones` of each word | 38 ms |
//! | carry-save adders, four lanes, tiles | 17 ms |

use std::ops::Range;

/// Words of a row: four make the one register width that every target has (8 and 16 were slower).
const LANES: usize = 4;
/// Words of one round of the adder, sixteen rows.
const BLOCK: usize = 16 * LANES;
/// Words of a tile.
const WORDS: usize = 16 * BLOCK;
/// Images of a tile.
const IMAGES: usize = 16;

/// The words of all images that one job compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    /// Codes, [image][words_per_image].
    pub(crate) codes: &'a [u32],
    /// Distance from one image to the next.
    pub(crate) words_per_image: usize,
    /// The first word.
    pub(crate) first: usize,
    /// How many words.
    pub(crate) words: usize,
    /// How often their bits count.
    pub(crate) weight: u32,
}

impl<'a> Section<'a> {
    /// Part of one image's code.
    fn code(&self, image: usize, words: &Range<usize>) -> &'a [u32] {
        let start = image * self.words_per_image + self.first;
        &self.codes[start + words.start..start + words.end]
    }
}

/// Takes weight * Hamming distance off both K_ij and K_ji (K is symmetric, n x n).
pub(crate) fn agreement(section: &Section, k: &mut [u32], n: usize) {
    agreement_rows(section, 0..n, k, n);
    mirror(k, n);
}

/// The same for the rows `rows` alone, which are all that `k_rows` holds, and only above the diagonal:
/// threads can share out the rows and [`mirror`] K when all sections are done. Row i has n - 1 - i pairs.
pub(crate) fn agreement_rows(section: &Section, rows: Range<usize>, k_rows: &mut [u32], n: usize) {
    agreement_rows_by(section, rows, k_rows, n, hamming);
}

/// The same with another way to count the bits that differ.
#[inline(always)]
pub(crate) fn agreement_rows_by(
    section: &Section,
    rows: Range<usize>,
    k_rows: &mut [u32],
    n: usize,
    hamming: impl Fn(&[u32], &[u32]) -> u32,
) {
    for word in (0..section.words).step_by(WORDS) {
        let words = word..section.words.min(word + WORDS);
        for image in (0..n).step_by(IMAGES) {
            let images = image..n.min(image + IMAGES);
            for (i, k_row) in rows.clone().zip(k_rows.chunks_exact_mut(n)) {
                let code = section.code(i, &words);
                let above = images.start.max(i + 1).min(images.end)..images.end;
                for (k_ij, j) in k_row[above.clone()].iter_mut().zip(above) {
                    *k_ij -= section.weight * hamming(code, section.code(j, &words));
                }
            }
        }
    }
}

/// Copies the upper triangle of an n x n matrix onto the lower one.
pub(crate) fn mirror(k: &mut [u32], n: usize) {
    for i in 0..n {
        for j in 0..i {
            k[i * n + j] = k[j * n + i];
        }
    }
}

/// Bits in which two codes of one length differ.
pub(crate) fn hamming(a: &[u32], b: &[u32]) -> u32 {
    let (a_blocks, a_rest) = a.as_chunks::<BLOCK>();
    let (b_blocks, b_rest) = b.as_chunks::<BLOCK>();
    let mut adder = Adder::default();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        adder.add(|row| Lanes(std::array::from_fn(|l| a[row * LANES + l] ^ b[row * LANES + l])));
    }
    let rest: u32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones()).sum();
    adder.total() + rest
}

/// One SIMD register of words.
#[derive(Clone, Copy, Default)]
struct Lanes([u32; LANES]);

impl Lanes {
    #[inline(always)]
    fn map2(self, other: Self, f: impl Fn(u32, u32) -> u32) -> Self {
        Lanes(std::array::from_fn(|l| f(self.0[l], other.0[l])))
    }

    /// Adds three bits in each column: (sum, carry).
    #[inline(always)]
    fn carry_save(self, b: Self, c: Self) -> (Self, Self) {
        let half = self.map2(b, |a, b| a ^ b);
        let carry = self.map2(b, |a, b| a & b).map2(half.map2(c, |h, c| h & c), |x, y| x | y);
        (half.map2(c, |h, c| h ^ c), carry)
    }

    fn count_ones(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// Bits added up column by column: the digits of weight 1, 2, 4 and 8, and how many sixteens there were.
#[derive(Default)]
struct Adder {
    ones: Lanes,
    twos: Lanes,
    fours: Lanes,
    eights: Lanes,
    sixteens: Lanes,
}

impl Adder {
    /// Adds sixteen rows.
    #[inline(always)]
    fn add(&mut self, row: impl Fn(usize) -> Lanes) {
        let low = self.add_eight(0, &row);
        let high = self.add_eight(8, &row);
        let (eights, sixteens) = self.eights.carry_save(low, high);
        self.eights = eights;
        self.sixteens = self.sixteens.map2(sixteens, |count, word| count + word.count_ones());
    }

    /// Adds eight rows, from `first` on; the carry has weight 8.
    #[inline(always)]
    fn add_eight(&mut self, first: usize, row: &impl Fn(usize) -> Lanes) -> Lanes {
        let low = self.add_four(first, row);
        let high = self.add_four(first + 4, row);
        let (fours, eights) = self.fours.carry_save(low, high);
        self.fours = fours;
        eights
    }

    /// Adds four rows; the carry has weight 4.
    #[inline(always)]
    fn add_four(&mut self, first: usize, row: &impl Fn(usize) -> Lanes) -> Lanes {
        let (ones, low) = self.ones.carry_save(row(first), row(first + 1));
        let (ones, high) = ones.carry_save(row(first + 2), row(first + 3));
        let (twos, fours) = self.twos.carry_save(low, high);
        (self.ones, self.twos) = (ones, twos);
        fours
    }

    fn total(&self) -> u32 {
        let sixteens: u32 = self.sixteens.0.iter().sum();
        self.ones.count_ones()
            + 2 * self.twos.count_ones()
            + 4 * self.fours.count_ones()
            + 8 * self.eights.count_ones()
            + 16 * sixteens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes with words of every density, all zeros and all ones among them.
    fn codes(words: usize, seed: u64) -> Vec<u32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as u32
        };
        (0..words)
            .map(|_| match next() % 5 {
                0 => 0,
                1 => u32::MAX,
                2 => next() & next(),
                _ => next(),
            })
            .collect()
    }

    fn naive(section: &Section, k: &mut [u32], n: usize) {
        for i in 0..n {
            for j in 0..n {
                let all = 0..section.words;
                let pairs = section.code(i, &all).iter().zip(section.code(j, &all));
                k[i * n + j] -= section.weight * pairs.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            }
        }
    }

    #[test]
    fn equals_the_count_bit_by_bit() {
        for (n, words, weight) in [
            (1, 3, 1),
            (2, 0, 1),
            (3, 1, 2),
            (17, 63, 1),
            (5, 64, 3),
            (33, 65, 1),
            (4, 2500, 2),
            (20, 200, 1),
        ] {
            let (first, words_per_image) = (5, words + 11);
            let codes = codes(n * words_per_image, n as u64);
            let activations = weight * 32 * words as u32 + 7;
            let (mut k, mut expected) = (vec![activations; n * n], vec![activations; n * n]);
            let section = Section { codes: &codes, words_per_image, first, words, weight };
            agreement(&section, &mut k, n);
            naive(&section, &mut expected, n);
            assert_eq!(k, expected, "{n} images of {words} words");
        }
    }

    #[test]
    fn sections_and_rows_can_be_shared_out() {
        let (n, words_per_image) = (19, 320);
        let codes = codes(n * words_per_image, 7);
        let activations = 3 * 32 * words_per_image as u32;
        let sections = [(0, 200, 1), (200, 120, 3)];

        let mut whole = vec![activations; n * n];
        let mut shared = whole.clone();
        for (first, words, weight) in sections {
            let section = Section { codes: &codes, words_per_image, first, words, weight };
            agreement(&section, &mut whole, n);
            let (top, bottom) = shared.split_at_mut(8 * n);
            agreement_rows(&section, 8..n, bottom, n);
            agreement_rows(&section, 0..8, top, n);
        }
        mirror(&mut shared, n);
        assert_eq!(shared, whole);
    }
}
