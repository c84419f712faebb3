//! Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! 2011), so that every backend makes the same numbers in any order.
//!
//! Block b of a stream is `philox(key = seed, counter = (b, h0, h1, domain))` with (h0, h1) the halves of the
//! 64-bit FNV-1a hash of the stream's name.

pub(crate) mod quantiles;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// What a stream of random numbers is for; streams of different domains never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Domain {
    Weights = 0,
    Images = 1,
    Noise = 2,
    Sampling = 3,
}

/// Ten rounds of Philox4x32.
pub(crate) fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (p1 >> 32) as u32 ^ counter[1] ^ key[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ counter[3] ^ key[1],
            p0 as u32,
        ];
    }
    counter
}

/// 64-bit FNV-1a of a name.
pub(crate) fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A named stream of random blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RandomStream {
    key: [u32; 2],
    name: [u32; 2],
    domain: u32,
}

impl RandomStream {
    pub(crate) fn new(seed: u64, domain: Domain, name: &str) -> Self {
        let hash = fnv1a(name);
        RandomStream {
            key: [seed as u32, (seed >> 32) as u32],
            name: [hash as u32, (hash >> 32) as u32],
            domain: domain as u32,
        }
    }

    /// Block b: four words, eight 16-bit lanes (lane l is the low half of word l / 2 when l is even).
    pub(crate) fn block(&self, b: u32) -> [u32; 4] {
        philox4x32_10([b, self.name[0], self.name[1], self.domain], self.key)
    }
}

/// Sequential numbers from a [`RandomStream`].
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    stream: RandomStream,
    next_block: u32,
    words: [u32; 4],
    used: usize,
}

impl Rng {
    pub(crate) fn new(seed: u64, domain: Domain, name: &str) -> Self {
        Rng { stream: RandomStream::new(seed, domain, name), next_block: 0, words: [0; 4], used: 4 }
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.stream.block(self.next_block);
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// Uniform on 0..n, without bias (Lemire, 2019). `n` is at least 1.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(n);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }
}

/// Draws n of so many positions without replacement, in the order drawn, so that a smaller draw is the
/// beginning of a larger one: the first n steps of a Fisher-Yates shuffle. `n` is at most `total`.
pub(crate) fn draw(total: u32, n: usize, seed: u64, name: &str) -> Vec<usize> {
    let mut rng = Rng::new(seed, Domain::Sampling, name);
    let mut positions: Vec<usize> = (0..total as usize).collect();
    for (i, left) in (1..=total).rev().enumerate().take(n) {
        positions.swap(i, i + rng.below(left) as usize);
    }
    positions.truncate(n);
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_no_repeats_and_begins_larger_ones() {
        let all = draw(100, 100, 3, "test");
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert!(all.starts_with(&draw(100, 7, 3, "test")));
        assert_ne!(all, draw(100, 100, 4, "test"));
    }

    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let known = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (pi, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ];
        for (counter, key, answer) in known {
            assert_eq!(philox4x32_10(counter, key), answer);
        }
    }

    #[test]
    fn fnv1a_gives_its_published_values() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn below_is_uniform() {
        let mut rng = Rng::new(7, Domain::Sampling, "test");
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (9_600..10_400).contains(&c)), "{counts:?}");
    }
}
