//! The adder of tensor cores with sums of f32: as measured by Fasi, Higham, Mikaitis and Pranesh (PeerJ Computer Science 7,
//! e330, 2021) up to A100, and modelled bit by bit up to H200 in arXiv 2512.07004.
//!
//! Products are exact. They and the accumulator are aligned to the largest exponent among them (a product's is the sum of its
//! factors', whatever its fraction), what lies below the last place kept is cut off, whole numbers are added, and the sum is
//! cut to 24 bits. More products than a step takes go through several, the next one's accumulator being the last one's sum.

use super::rounding::toward_zero;

/// How many products it takes at once, and what it keeps of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adder {
    /// Products of 16-bit numbers in a step; half as many where numbers have 32 bits.
    products: usize,
    /// Bits that are kept below those of f32.
    extra: i32,
}

/// Products that the host's vectors take: a part of every step.
const PART: usize = 4;
/// Bits of the fraction of f32.
const FRACTION: i32 = 23;

impl Adder {
    /// That of a chip; none where it has not been measured.
    pub fn of((major, _): (i32, i32)) -> Option<Self> {
        match major {
            8 => Some(Adder { products: 8, extra: 1 }),
            9.. => Some(Adder { products: 16, extra: 2 }),
            _ => None,
        }
    }

    /// c and the products of numbers of some bits, whole steps of them.
    pub fn sum(self, a: &[f64], b: &[f64], bits: u32, c: f32) -> f32 {
        let products = self.products * 16 / bits as usize;
        a.chunks(products).zip(b.chunks(products)).fold(c, |sum, (a, b)| self.step(a, b, sum))
    }

    fn step(self, a: &[f64], b: &[f64], c: f32) -> f32 {
        let c = f64::from(c);
        let pairs = || a.as_chunks::<PART>().0.iter().zip(b.as_chunks::<PART>().0);
        let (mut highest, mut largest) = ([exponent(c); PART], [exponent(c); PART]);
        for (a, b) in pairs() {
            for at in 0..PART {
                let (a, b) = (exponent(a[at]), exponent(b[at]));
                (highest[at], largest[at]) = (highest[at].max(a + b), largest[at].max(a).max(b));
            }
        }
        let highest = highest.into_iter().fold(i64::MIN, i64::max);
        // Zeros have an exponent that is lower than any other, and what is not finite one that is higher.
        if highest < exponent(f64::MIN_POSITIVE) / 2 || largest.contains(&exponent(f64::INFINITY)) {
            return a.iter().zip(b).fold(c, |sum, (a, b)| sum + a * b) as f32;
        }
        let below = i64::from(FRACTION + self.extra) - highest;
        let scale = power_of_two(below);
        // Doubles hold these whole numbers and their sums exactly, so that parts may have sums of their own.
        let mut sums = [0.0; PART];
        for (a, b) in pairs() {
            for at in 0..PART {
                sums[at] += (a[at] * b[at] * scale).trunc();
            }
        }
        let sum = sums.into_iter().fold((c * scale).trunc(), |all, sum| all + sum);
        toward_zero(sum * power_of_two(-below))
    }
}

/// The exponent of a double that is not subnormal.
fn exponent(number: f64) -> i64 {
    (number.to_bits() >> 52 & 0x7ff) as i64 - 1023
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A100: Adder = Adder { products: 8, extra: 1 };
    const H100: Adder = Adder { products: 16, extra: 2 };

    /// The sum of up to 16 products.
    fn products(adder: Adder, a: &[f64], b: &[f64], c: f32) -> f32 {
        let padded = |numbers: &[f64]| [numbers, &[0.0; 16][numbers.len()..]].concat();
        adder.sum(&padded(a), &padded(b), 16, c)
    }

    /// Sums of numbers, times one.
    fn sum(adder: Adder, numbers: &[f64], c: f32) -> f32 {
        products(adder, numbers, &vec![1.0; numbers.len()], c)
    }

    #[test]
    fn chips_have_their_own() {
        assert_eq!((Adder::of((8, 0)), Adder::of((8, 9))), (Some(A100), Some(A100)));
        assert_eq!((Adder::of((9, 0)), Adder::of((7, 5))), (Some(H100), None));
    }

    #[test]
    fn what_lies_below_the_extra_bits_is_cut_off_before_numbers_are_added() {
        let place = |bits: i32| 2.0_f64.powi(-bits);
        for (adder, extra) in [(A100, 1), (H100, 2)] {
            // Two halves of f32's last place are a whole one, if each is kept.
            let kept = [place(24), place(24)];
            assert_eq!(sum(adder, &kept, 1.0), 1.0_f32.next_up());
            let cut = [place(24 + extra); 4];
            assert_eq!(sum(adder, &cut, 1.0), 1.0, "{extra}");
            let last = [place(23 + extra); 4];
            assert_eq!(sum(adder, &last, 1.0), 1.0 + 4.0 * place(23 + extra) as f32, "{extra}");
        }
        // The same in either sign, and with the large number among the products.
        assert_eq!(sum(H100, &[-1.0, -place(26)], 0.0), -1.0);
        assert_eq!(sum(H100, &[-1.0, -place(25), -place(25), -place(25)], 0.0), -1.0);
        assert_eq!(sum(H100, &[-1.0, -place(25), -place(25), -place(24)], 0.0), (-1.0_f32).next_down());
    }

    #[test]
    fn a_product_is_aligned_by_the_exponents_of_its_factors() {
        // 1.5 * 1.5 has exponent 0 here, though it is 2.25.
        let small = 2.0_f64.powi(-25);
        assert_eq!(products(H100, &[1.5, small, -1.0], &[1.5, 1.0, 2.25], 0.0), 0.0);
        assert_eq!(products(H100, &[1.5, small, -1.5], &[1.5, 1.0, 1.5], 0.0), small as f32);
    }

    #[test]
    fn steps_take_as_many_products_as_the_chip_does() {
        // What the first step cuts off is not there when the second takes the large number away again.
        let mut numbers = [0.0; 16];
        (numbers[0], numbers[1], numbers[8]) = (1.0, 2.0_f64.powi(-25), -1.0);
        assert_eq!((sum(H100, &numbers, 0.0), sum(A100, &numbers, 0.0)), (2.0_f32.powi(-25), 0.0));
        // Numbers of 32 bits fill a step twice as fast; the first sum is cut to 24 bits.
        assert_eq!(H100.sum(&numbers, &[1.0; 16], 32, 0.0), 0.0);
    }

    #[test]
    fn zeros_and_what_is_not_finite() {
        assert_eq!((sum(H100, &[0.0; 16], 0.0), sum(H100, &[0.0; 16], -3.5)), (0.0, -3.5));
        assert_eq!(products(H100, &[f64::INFINITY], &[1.0], 1.0), f32::INFINITY);
        assert!(products(H100, &[f64::INFINITY], &[0.0], 1.0).is_nan());
        assert!(sum(H100, &[1.0], f32::NAN).is_nan());
    }

    /// Against sums of whole numbers, at the range's ends too.
    #[test]
    fn sums_are_those_of_aligned_whole_numbers() {
        let mut random = crate::random::Random::new(11);
        for round in 0..20_000 {
            let spread = [1, 8, 60][round % 3];
            let mut number = || {
                let fraction = (random.draw() % 512) as f64 - 256.0;
                fraction * 2.0_f64.powi((random.draw() % spread) as i32 - spread as i32 / 2)
            };
            let a: [f64; 16] = std::array::from_fn(|_| number());
            let b: [f64; 16] = std::array::from_fn(|_| number());
            let c = (number() * number()) as f32;
            for adder in [A100, H100] {
                let mut expected = c;
                for (a, b) in a.chunks(adder.products).zip(b.chunks(adder.products)) {
                    expected = whole(adder.extra, a, b, expected);
                }
                assert_eq!(adder.sum(&a, &b, 16, c), expected, "{a:?} {b:?} {c}");
            }
        }
    }

    /// A step in integers: numbers are fractions of 53 bits at their exponents.
    fn whole(extra: i32, a: &[f64], b: &[f64], c: f32) -> f32 {
        let parts = |number: f64| {
            let (bits, exponent) = (number.to_bits(), exponent(number));
            let fraction = (bits & ((1 << 52) - 1) | 1 << 52) as i128;
            (if number == 0.0 { 0 } else { fraction * number.signum() as i128 }, exponent)
        };
        // Fractions of products have 104 bits behind the point, that of c as many zeros.
        let mut terms: Vec<(i128, i64)> = a
            .iter()
            .zip(b)
            .map(|(a, b)| {
                let ((a, one), (b, other)) = (parts(*a), parts(*b));
                (a * b, one + other)
            })
            .collect();
        let (fraction, exponent) = parts(c.into());
        terms.push((fraction << 52, exponent));
        terms.retain(|(fraction, _)| *fraction != 0);
        let Some(highest) = terms.iter().map(|(_, exponent)| *exponent).max() else { return 0.0 };
        let cut = |(fraction, exponent): &(i128, i64)| {
            let shift = 104 - i64::from(23 + extra) + (highest - exponent);
            if shift > 126 { 0 } else { fraction / (1_i128 << shift) }
        };
        let sum: i128 = terms.iter().map(cut).sum();
        let digits = 128 - sum.unsigned_abs().leading_zeros();
        let below = digits.saturating_sub(24);
        let kept = (sum.unsigned_abs() >> below << below) as f64 * if sum < 0 { -1.0 } else { 1.0 };
        (kept * 2.0_f64.powi(highest as i32 - 23 - extra)) as f32
    }
}
