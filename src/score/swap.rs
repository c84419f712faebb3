//! Distinct activation patterns from packed ReLU codes: SWAP (Peng et al., "SWAP-NAS: Sample-Wise Activation Patterns for
//! Ultra-fast NAS", ICLR 2024).
//!
//! ```text
//! swap = |{ (code_1[u], .., code_M[u]) : u a ReLU unit }|
//! ```
//!
//! A pattern is a column of the code matrix: what one unit does with the first M images, as a number of M bits, image i
//! at bit i. Each pattern has a bit in a map of 2^M bits, which units set by OR: neither the order nor the split over
//! threads can change what is counted.
//!
//! Padding between the codes of units looks like a unit that no image activates. So patterns of zeros are not marked, and
//! whether there is a real one follows from the number of units and of those that are active.

/// Patterns that were found in codes. A pattern of zeros counts where `active_units` are not all the units there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patterns {
    /// Distinct patterns that are not zero.
    pub(crate) distinct: u32,
    /// Units that some image activates.
    pub(crate) active_units: u32,
}

/// Words of a map with a bit for each pattern of so many images.
pub(crate) fn map_words(images: usize) -> usize {
    (1usize << images).div_ceil(u32::BITS as usize)
}

/// Marks the patterns of the first images of codes, [image][words_per_image], in an empty map: those of the words of an
/// image that hold bits. What stands in the others counts for nothing.
pub(crate) fn swap(
    codes: &[u32],
    words_per_image: usize,
    words: impl Iterator<Item = usize>,
    images: usize,
    map: &mut [u32],
) -> Patterns {
    let bits = words.flat_map(|word| (0..32).map(move |bit| (word, bit)));
    let pattern = |(word, bit): (usize, u32)| {
        let image = |i: usize| (codes[i * words_per_image + word] >> bit & 1) << i;
        (0..images).fold(0, |pattern, i| pattern | image(i))
    };
    mark(bits.map(pattern), map)
}

/// Marks patterns that are not zero in an empty map.
#[inline(always)]
pub(crate) fn mark(patterns: impl Iterator<Item = u32>, map: &mut [u32]) -> Patterns {
    let mut active_units = 0;
    for pattern in patterns {
        // Zeros are marked too, and taken out at the end: a branch would be guessed wrong at each unit that is dead.
        map[(pattern / 32) as usize] |= 1 << (pattern % 32);
        active_units += u32::from(pattern != 0);
    }
    map[0] &= !1;
    Patterns { distinct: map.iter().map(|word| word.count_ones()).sum(), active_units }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::{Domain, Rng};

    /// Codes of so many units with pad bits and pad words behind them, and the units' patterns.
    fn codes(images: usize, units: usize, first: usize) -> (Vec<u32>, usize, Vec<Vec<bool>>) {
        let mut rng = Rng::new(images as u64, Domain::Sampling, "codes");
        let words = units.div_ceil(32).next_multiple_of(32);
        let mut codes = vec![0; images * words];
        // What an earlier network may have left in words without bits.
        codes.chunks_mut(words).for_each(|code| code[units.div_ceil(32)..].fill(0xdead_beef));
        let mut patterns = Vec::new();
        for unit in 0..units {
            // Every seventh unit is dead.
            let bits: Vec<bool> = (0..images).map(|_| unit % 7 != 3 && rng.below(2) == 1).collect();
            for (image, &bit) in bits.iter().enumerate() {
                codes[image * words + unit / 32] |= u32::from(bit) << (unit % 32);
            }
            patterns.push(bits[..first].to_vec());
        }
        (codes, words, patterns)
    }

    #[test]
    fn equals_the_set_of_columns() {
        for (images, first, units) in
            [(1, 1, 1), (3, 3, 100), (9, 8, 3), (16, 16, 5000), (40, 16, 5000), (24, 24, 3000), (33, 20, 90)]
        {
            let (codes, words, mut patterns) = codes(images, units, first);
            let with_bits = 0..units.div_ceil(32);
            patterns.retain(|pattern| pattern.contains(&true));
            let active_units = patterns.len() as u32;
            let distinct = patterns.into_iter().collect::<BTreeSet<_>>().len() as u32;
            let found = swap(&codes, words, with_bits, first, &mut vec![0; map_words(first)]);
            assert_eq!(found, Patterns { distinct, active_units }, "{first} of {images} images");
        }
    }
}
