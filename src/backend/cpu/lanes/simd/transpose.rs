//! Transposition of bits: entries of all images to words of one image each.

/// Images of a block at most.
pub(crate) const IMAGES: usize = 16;

/// Bit k of word i: bit i of entry k. Four entries stand side by side in the bytes of a row; then 8 x 8 bits are
/// transposed in each, ever smaller blocks of them across the diagonal (Warren, Hacker's Delight, 7-3).
#[inline(always)]
pub(super) fn transpose(entries: [u32; 32]) -> [u32; IMAGES] {
    let mut words = [0; IMAGES];
    for (byte, rows) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        for (r, row) in rows.iter_mut().enumerate() {
            *row = (0..4).fold(0, |row, q| row | (entries[8 * q + r] >> (8 * byte) & 0xff) << (8 * q));
        }
        for (j, mask) in [(4, 0x0f0f_0f0f), (2, 0x3333_3333), (1, 0x5555_5555)] {
            for k in (0..8).filter(|k| k & j == 0) {
                let swap = (rows[k] >> j ^ rows[k + j]) & mask;
                rows[k + j] ^= swap;
                rows[k] ^= swap << j;
            }
        }
    }
    words
}
