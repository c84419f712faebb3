//! The 65,536 quantiles of each unit-variance distribution, from which seeded weights are looked up.
//!
//! Quantile i is that of probability (i + 1/2) / 65,536. The midpoints of the normal distribution lose a
//! little of its tails, so its table is divided by its own standard deviation; the uniform one's variance,
//! 1 - 2^-32, needs no mending. Both are rounded to bf16 last, so that every precision sees the same weights.
//!
//! Every platform makes the same bits: the tables come from +, -, *, / and square root alone, which IEEE 754
//! rounds exactly and Rust never contracts. The logarithm is a series for that reason; a library's may
//! differ by a unit in the last place, which could turn a rounding to bf16.

use std::sync::OnceLock;

use crate::Distribution;

/// Entries of a table: one for each 16-bit lane of a random block.
pub(crate) const SIZE: usize = 1 << 16;

/// The table of a distribution as bf16 bits, ascending and antisymmetric.
pub(crate) fn table(distribution: Distribution) -> &'static [u16; SIZE] {
    static NORMAL: OnceLock<Box<[u16; SIZE]>> = OnceLock::new();
    static UNIFORM: OnceLock<Box<[u16; SIZE]>> = OnceLock::new();
    match distribution {
        Distribution::Normal => NORMAL.get_or_init(|| rounded(&normal_half())),
        Distribution::Uniform => UNIFORM.get_or_init(|| rounded(&uniform_half())),
    }
}

/// The eight numbers that a random block picks from a table.
pub(crate) fn pick(table: &[u16; SIZE], block: [u32; 4]) -> [f32; 8] {
    std::array::from_fn(|lane| {
        let index = (block[lane / 2] >> (16 * (lane % 2))) as u16;
        f32::from_bits(u32::from(table[usize::from(index)]) << 16)
    })
}

/// A whole table from its upper half: the lower one is its mirror image.
fn rounded(half: &[f64]) -> Box<[u16; SIZE]> {
    const SIGN: u16 = 1 << 15;
    let mut bits = Box::new([0; SIZE]);
    for (i, &value) in half.iter().enumerate() {
        let value = to_bf16(value);
        bits[SIZE / 2 + i] = value;
        bits[SIZE / 2 - 1 - i] = SIGN | value;
    }
    bits
}

/// The nearest bf16 number, ties to even, of one inside its normal range. (`half` 2.7 drops the low half of
/// the mantissa first, and so misrounds what lies barely above a tie.)
fn to_bf16(value: f64) -> u16 {
    const DROPPED: u32 = 52 - 7;
    let bits = value.to_bits();
    let even = (bits >> DROPPED) & 1;
    let kept = (bits + (1 << (DROPPED - 1)) - 1 + even) >> DROPPED << DROPPED;
    ((f64::from_bits(kept) as f32).to_bits() >> 16) as u16
}

/// Quantiles above the median of the uniform distribution on plus and minus the square root of 3.
fn uniform_half() -> Vec<f64> {
    let bound = 3f64.sqrt();
    (0..SIZE / 2).map(|i| bound * ((2 * i + 1) as f64 / SIZE as f64)).collect()
}

/// Quantiles above the median of the normal distribution, scaled to a variance of 1.
fn normal_half() -> Vec<f64> {
    let mut half: Vec<f64> = (0..SIZE / 2).map(|i| normal_quantile((i as f64 + 0.5) / SIZE as f64)).collect();
    let variance = half.iter().map(|x| x * x).sum::<f64>() / (SIZE / 2) as f64;
    let deviation = variance.sqrt();
    for x in &mut half {
        *x /= deviation;
    }
    half
}

/// The standard normal quantile of probability 1/2 + q for 0 <= q <= 1/2 - e^-25, to a relative error of
/// about 1e-16: algorithm AS 241, PPND16 (Wichura, 1988), without its branch for farther tails.
fn normal_quantile(q: f64) -> f64 {
    const CENTER: ([f64; 8], [f64; 8]) = (
        [
            3.387_132_872_796_366_5,
            1.331_416_678_917_843_8e2,
            1.971_590_950_306_551_3e3,
            1.373_169_376_550_946e4,
            4.592_195_393_154_987e4,
            6.726_577_092_700_87e4,
            3.343_057_558_358_813e4,
            2.509_080_928_730_122_7e3,
        ],
        [
            1.0,
            4.231_333_070_160_091e1,
            6.871_870_074_920_579e2,
            5.394_196_021_424_751e3,
            2.121_379_430_158_659_7e4,
            3.930_789_580_009_271e4,
            2.872_908_573_572_194_3e4,
            5.226_495_278_852_854e3,
        ],
    );
    const TAIL: ([f64; 8], [f64; 8]) = (
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            2.417_807_251_774_506e-1,
            2.272_384_498_926_918_4e-2,
            7.745_450_142_783_414e-4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            6.897_673_349_851e-1,
            1.481_039_764_274_800_8e-1,
            1.519_866_656_361_645_7e-2,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
    );
    let ratio = |(above, below): ([f64; 8], [f64; 8]), r: f64| {
        let horner = |c: [f64; 8]| c.iter().rev().fold(0.0, |sum, c| sum * r + c);
        horner(above) / horner(below)
    };
    if q <= 0.425 { q * ratio(CENTER, 0.180_625 - q * q) } else { ratio(TAIL, (-ln(0.5 - q)).sqrt() - 1.6) }
}

/// Natural logarithm of a number in (0, 1]: ln m - k ln 2 with m = 2^k x in [1/sqrt 2, sqrt 2), where
/// ln m = 2 artanh((m - 1) / (m + 1)).
fn ln(x: f64) -> f64 {
    let (mut m, mut k) = (x, 0.0);
    while m < std::f64::consts::FRAC_1_SQRT_2 {
        m *= 2.0;
        k += 1.0;
    }
    let s = (m - 1.0) / (m + 1.0);
    // |s| < 0.172, so the term of s^27 is below 1e-20.
    let series = (0..13).rev().fold(0.0, |sum, n| sum * (s * s) + 1.0 / f64::from(2 * n + 1));
    2.0 * s * series - k * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256_hex;

    fn values(distribution: Distribution) -> Vec<f64> {
        table(distribution).iter().map(|&bits| half::bf16::from_bits(bits).to_f64()).collect()
    }

    /// Phi(x) - 1/2 by its series, which no quantile algorithm shares.
    fn normal_cdf_above_half(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term > 1e-18 * sum {
            n += 2.0;
            term *= x * x / n;
            sum += term;
        }
        sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn every_platform_makes_the_same_tables() {
        let digest = |d| sha256_hex(table(d).iter().map(|bits| bits.to_le_bytes()));
        assert_eq!(
            digest(Distribution::Normal),
            "448ec56e97520c543ada8feb8e297bb8488173de34b32b3b352511f3a10a5b7b"
        );
        assert_eq!(
            digest(Distribution::Uniform),
            "94eceb5e9b6c6fe05fd0323dcfc0cc45fa4ea0d57f63cdbc66956f65de23b817"
        );
    }

    #[test]
    fn rounding_is_to_nearest_and_ties_go_to_even() {
        let ulp = 1.0 / 128.0;
        let above = f64::EPSILON;
        for (value, rounded) in [
            (1.0, 1.0),
            (1.0 + ulp / 2.0, 1.0),
            (1.0 + ulp / 2.0 + above, 1.0 + ulp),
            (1.0 + 1.5 * ulp, 1.0 + 2.0 * ulp),
            (1.0 + 1.5 * ulp - above, 1.0 + ulp),
            (2.0 - ulp / 2.0, 2.0),
        ] {
            assert_eq!(half::bf16::from_bits(to_bf16(value)).to_f64(), rounded, "{value}");
        }
    }

    #[test]
    fn the_normal_quantile_inverts_the_distribution_function() {
        for i in 0..SIZE / 2 {
            let q = (i as f64 + 0.5) / SIZE as f64;
            let error = normal_cdf_above_half(normal_quantile(q)) - q;
            assert!(error.abs() < 1e-15, "q = {q}: {error:e}");
        }
    }

    #[test]
    fn the_logarithm_is_that_of_the_library_to_rounding() {
        for i in 1..=10_000 {
            let x = f64::from(i) / 10_000.0;
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs(), "ln {x}");
        }
    }

    #[test]
    fn tables_have_the_moments_of_their_distributions() {
        for (distribution, kurtosis) in [(Distribution::Normal, 3.0), (Distribution::Uniform, 1.8)] {
            let values = values(distribution);
            let moment = |k: i32| values.iter().map(|x| x.powi(k)).sum::<f64>() / SIZE as f64;
            assert_eq!(moment(1), 0.0);
            assert!((moment(2) - 1.0).abs() < 1e-6, "{distribution:?}: variance {}", moment(2));
            assert!((moment(4) - kurtosis).abs() < 5e-3, "{distribution:?}: kurtosis {}", moment(4));
        }
    }

    #[test]
    fn tables_ascend_and_are_antisymmetric() {
        for distribution in [Distribution::Normal, Distribution::Uniform] {
            let values = values(distribution);
            assert!(values.is_sorted());
            assert!((0..SIZE).all(|i| values[i] == -values[SIZE - 1 - i] && values[i] != 0.0));
        }
    }
}
