//! Codes against K.

use naswot::Codes;

/// K counted from codes, unit by unit, as the tables of regions say: N x N, row by row.
pub fn rebuilt(codes: &Codes) -> Vec<u32> {
    let n = codes.images();
    let mut k = vec![codes.constant_bits(); n * n];
    for region in codes.regions() {
        for channel in region.channels.iter().cloned().flatten() {
            for pixel in 0..region.height * region.width {
                let bit = region.bit(channel, pixel / region.width, pixel % region.width);
                let is_set = |image: usize| codes.image(image)[bit / 32] >> (bit % 32) & 1 == 1;
                for (entry, k) in k.iter_mut().enumerate() {
                    *k += region.multiplicity * u32::from(is_set(entry / n) == is_set(entry % n));
                }
            }
        }
    }
    k
}

/// How many bits of the words are set, and how many of those that are of units.
pub fn set_bits(codes: &Codes) -> [u64; 2] {
    let all = codes.words().iter().map(|word| u64::from(word.count_ones())).sum();
    let mut of_units = 0;
    for image in 0..codes.images() {
        for region in codes.regions() {
            for channel in region.channels.iter().cloned().flatten() {
                for pixel in 0..region.height * region.width {
                    let bit = region.bit(channel, pixel / region.width, pixel % region.width);
                    of_units += u64::from(codes.image(image)[bit / 32] >> (bit % 32) & 1);
                }
            }
        }
    }
    [all, of_units]
}
