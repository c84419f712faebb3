//! Exact determinants of integer matrices, by elimination modulo primes.
//!
//! Primes are p = 2^61 - c with a small c, largest first: 2^61 is congruent to c, so a product is reduced with
//! shifts and one small product, and sixteen products can be added up before that. The determinant itself
//! comes from its residues by the Chinese remainder theorem, as digits d_i of
//!
//! ```text
//! det = d_0 + d_1 p_0 + d_2 p_0 p_1 + ...        0 <= d_i < p_i        (Garner, 1959)
//! ```

use crate::parallel;

/// Rows that are eliminated together, so that later rows reduce one sum of this many products.
const PANEL: usize = 16;

const BITS: u32 = 61;

/// The modulus 2^61 - c.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prime {
    c: u64,
}

impl Prime {
    /// Primes below 2^61, from the largest down; the first is the Mersenne prime 2^61 - 1.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        // `reduce` asks for c < 2^24; there are some 200,000 primes in that range.
        (1..1 << 24).step_by(2).map(|c| Prime { c }).filter(|candidate| candidate.is_prime())
    }

    /// The prime itself.
    fn get(self) -> u64 {
        (1 << BITS) - self.c
    }

    /// The residue of any x < 2^127.
    fn reduce(self, x: u128) -> u64 {
        let fold = |x: u128| (x >> BITS) * u128::from(self.c) + (x & ((1 << BITS) - 1));
        // First below 2^91, then below 2^61 + 2^54 < 2 p.
        let residue = fold(fold(x)) as u64;
        residue.checked_sub(self.get()).unwrap_or(residue)
    }

    fn multiply(self, a: u64, b: u64) -> u64 {
        self.reduce(u128::from(a) * u128::from(b))
    }

    /// a - b of two residues.
    fn subtract(self, a: u64, b: u64) -> u64 {
        if a < b { a + self.get() - b } else { a - b }
    }

    fn negate(self, a: u64) -> u64 {
        self.subtract(0, a)
    }

    fn power(self, base: u64, exponent: u64) -> u64 {
        (0..BITS).rev().fold(1, |power, bit| {
            let square = self.multiply(power, power);
            if exponent >> bit & 1 == 1 { self.multiply(square, base) } else { square }
        })
    }

    /// The inverse of a residue that is not zero, by Fermat.
    fn invert(self, a: u64) -> u64 {
        self.power(a, self.get() - 2)
    }

    /// The test of Miller and Rabin; these bases decide every number below 3e24 (Sorenson and Webster, 2017).
    fn is_prime(self) -> bool {
        let minus_one = self.get() - 1;
        let twos = minus_one.trailing_zeros();
        [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37].iter().all(|&base| {
            let mut x = self.power(base, minus_one >> twos);
            if x == 1 {
                return true;
            }
            for _ in 1..twos {
                if x == minus_one {
                    return true;
                }
                x = self.multiply(x, x);
            }
            x == minus_one
        })
    }

    /// det K modulo the prime; K is any n x n matrix.
    ///
    /// Gaussian elimination in panels of rows, each row made a multiple of one with 1 in its pivot's column.
    /// The pivot of a row is its first entry that is not zero, brought to the diagonal by a swap of columns.
    pub(super) fn determinant(self, k: &[u32], n: usize) -> u64 {
        let mut a: Vec<u64> = k.iter().copied().map(u64::from).collect();
        let mut determinant = 1;
        for first in (0..n).step_by(PANEL) {
            let last = n.min(first + PANEL);
            let rows = &mut a[first * n..];
            for p in first..last {
                let row = (p - first) * n;
                let Some(column) = (p..n).find(|&j| rows[row + j] != 0) else { return 0 };
                if column != p {
                    rows.chunks_exact_mut(n).for_each(|row| row.swap(p, column));
                    determinant = self.negate(determinant);
                }
                let panel = &mut rows[row..(last - first) * n];
                determinant = self.multiply(determinant, panel[p]);
                self.eliminate(panel, p, n);
            }
            let (panel, below) = rows.split_at_mut((last - first) * n);
            self.eliminate_panel(panel, below, first, n);
        }
        determinant
    }

    /// Makes the pivot of a panel's first row 1, and zeros below it in the panel.
    fn eliminate(self, panel: &mut [u64], p: usize, n: usize) {
        let (pivot_row, rest) = panel.split_at_mut(n);
        let inverse = self.invert(pivot_row[p]);
        pivot_row[p..].iter_mut().for_each(|x| *x = self.multiply(*x, inverse));
        for row in rest.chunks_exact_mut(n) {
            let factor = u128::from(self.negate(row[p]));
            for (x, &pivot) in row[p..].iter_mut().zip(&pivot_row[p..]) {
                *x = self.reduce(u128::from(*x) + factor * u128::from(pivot));
            }
        }
    }

    /// Takes a full panel, whose first pivot is in column `first`, off all rows below it.
    fn eliminate_panel(self, panel: &[u64], below: &mut [u64], first: usize, n: usize) {
        // Column by column, so that the products of one sum stand side by side.
        let columns: Vec<[u64; PANEL]> = (first..n)
            .map(|j| std::array::from_fn(|p| panel.get(p * n + j).copied().unwrap_or_default()))
            .collect();
        let (own, later) = columns.split_at(PANEL.min(columns.len()));
        for row in below.chunks_exact_mut(n) {
            let (row_own, row_later) = row[first..].split_at_mut(own.len());
            let mut factors = [0; PANEL];
            for (p, (&x, column)) in row_own.iter().zip(own).enumerate() {
                factors[p] = self.negate(self.add_products(x, &factors, column));
            }
            for (x, column) in row_later.iter_mut().zip(later) {
                *x = self.add_products(*x, &factors, column);
            }
        }
    }

    /// x + a b.
    fn add_products(self, x: u64, a: &[u64; PANEL], b: &[u64; PANEL]) -> u64 {
        let products = a.iter().zip(b).map(|(&a, &b)| u128::from(a) * u128::from(b));
        self.reduce(products.sum::<u128>() + u128::from(x))
    }
}

/// ln |det K| of a symmetric K with `activations` on its diagonal and nothing larger beside it.
///
/// A K that a caller brings may have a negative determinant, so there must be room for both signs.
pub(super) fn ln_abs_det(k: &[u32], n: usize, activations: u32) -> f64 {
    let primes: Vec<Prime> = Prime::all().take(primes_needed(n, activations)).collect();
    let residues = parallel::map(primes.clone(), |prime| prime.determinant(k, n));
    let negated: Vec<u64> = primes.iter().zip(&residues).map(|(prime, &x)| prime.negate(x)).collect();
    let [positive, negative] = [residues, negated].map(|residues| mixed_radix(&primes, residues));
    let smaller = if positive.iter().rev().le(negative.iter().rev()) { positive } else { negative };
    ln(&smaller, &primes)
}

/// How many primes make a product above 2 |det K| <= 2 (N_A sqrt(N))^N (Hadamard).
fn primes_needed(n: usize, activations: u32) -> usize {
    let n = n as f64;
    let bits = n * (f64::from(activations).log2() + 0.5 * n.log2()) + 1.0;
    // Each is worth 61 bits, less 2^-37; the rest is for the rounding of this line.
    (bits / 60.99).max(0.0) as usize + 1
}

/// The digits of the number with these residues.
fn mixed_radix(primes: &[Prime], residues: Vec<u64>) -> Vec<u64> {
    let mut digits = residues;
    for i in 0..digits.len() {
        let prime = primes[i];
        digits[i] = (0..i).fold(digits[i], |x, j| {
            let difference = prime.subtract(x, prime.reduce(u128::from(digits[j])));
            prime.multiply(difference, prime.invert(prime.reduce(u128::from(primes[j].get()))))
        });
    }
    digits
}

/// Natural logarithm of a number from its digits; minus infinity for zero.
fn ln(digits: &[u64], primes: &[Prime]) -> f64 {
    let Some(top) = digits.iter().rposition(|&digit| digit != 0) else { return f64::NEG_INFINITY };
    let (mut fraction, mut logarithm) = (0.0, 0.0);
    for (&digit, prime) in digits[..top].iter().zip(primes) {
        let prime = prime.get() as f64;
        fraction = (fraction + digit as f64) / prime;
        logarithm += prime.ln();
    }
    logarithm + (fraction + digits[top] as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_primes_below_two_to_the_61() {
        let gaps: Vec<u64> = Prime::all().take(10).map(|prime| prime.c).collect();
        assert_eq!(gaps, [1, 31, 45, 229, 259, 283, 339, 391, 403, 465]);
    }

    #[test]
    fn reduces_the_largest_sums() {
        for prime in [Prime { c: 1 }, Prime { c: 31 }, Prime { c: (1 << 24) - 1 }] {
            let p = u128::from(prime.get());
            for x in [0, 1, p - 1, p, p + 1, p * p, 16 * p * p, (1 << 127) - 1] {
                assert_eq!(u128::from(prime.reduce(x)), x % p, "{x} modulo {p}");
            }
        }
    }

    #[test]
    fn inverses() {
        for prime in Prime::all().take(3) {
            for a in [1, 2, 12345, prime.get() - 1] {
                assert_eq!(prime.multiply(a, prime.invert(a)), 1);
            }
        }
    }

    /// min(i, j) + 1, with determinant 1, its first rows swapped.
    #[test]
    fn determinants_of_every_panel_size() {
        for n in [2, 3, 15, 16, 17, 32, 33, 50] {
            let mut k: Vec<u32> = (0..n * n).map(|e| (e / n).min(e % n) as u32 + 1).collect();
            for prime in Prime::all().take(2) {
                assert_eq!(prime.determinant(&k, n), 1);
            }
            let (top, rest) = k.split_at_mut(n);
            top.swap_with_slice(&mut rest[..n]);
            for prime in Prime::all().take(2) {
                assert_eq!(prime.determinant(&k, n), prime.get() - 1);
            }
        }
    }

    #[test]
    fn a_zero_pivot_is_stepped_over() {
        // A cyclic shift of the identity: an even permutation where n is odd.
        for n in [3, 17, 20] {
            let k: Vec<u32> = (0..n * n).map(|e| u32::from((e / n + 1) % n == e % n)).collect();
            let prime = Prime { c: 1 };
            let expected = if n % 2 == 1 { 1 } else { prime.get() - 1 };
            assert_eq!(prime.determinant(&k, n), expected);
        }
    }

    #[test]
    fn logarithms_of_numbers_of_any_length() {
        let primes: Vec<Prime> = Prime::all().take(4).collect();
        assert_eq!(ln(&[0; 4], &primes), f64::NEG_INFINITY);
        assert_eq!(ln(&[1, 0, 0, 0], &primes), 0.0);
        let two_to_the_100 = mixed_radix(&primes, primes.iter().map(|prime| prime.power(2, 100)).collect());
        assert!((ln(&two_to_the_100, &primes) - 100.0 * 2f64.ln()).abs() < 1e-13);
    }
}
