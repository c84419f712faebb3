//! Eigenvalues of tridiagonal matrices by bisection with Sturm sequences (Givens, 1954; Wilkinson, "The algebraic
//! eigenvalue problem", 1965, section 5.37).
//!
//! ```text
//! p_0 = 1   p_k = (d_k - x) p_k-1 - e_k^2 p_k-2        changes of sign = eigenvalues below x
//! ```
//!
//! These are the leading minors of T - x. They take multiplications and subtractions alone. Their quotients, the pivots,
//! would take a division each: three times as long for all eigenvalues. A rounding error in p_k is one in d_k and e_k^2,
//! so counts are exact for a matrix within a few roundings of the norm.
//!
//! Every [`BETWEEN`] rows both minors are multiplied by the power of two that brings the larger one to about 1. Between
//! them nothing can overflow, and both vanish only if some e_k does: so e_k is taken as at least 2^-56, where the norm
//! is at least 1. A minor of zero then counts once, whichever sign it has: its neighbours have opposite ones.

use super::lanes::{LANES, Lanes};
use super::tridiagonal::Tridiagonal;

/// Rows of a sequence from one scaling to the next.
const BETWEEN: usize = 8;

/// The smallest square beside the diagonal.
const LEAST_SQUARE: f64 = f64::from_bits((1023 - 112) << 52);

/// Halvings of an interval of eigenvalues, at most twice the norm long, after which its middle is as close as
/// `tolerance` in units of the norm. More than 60 would change nothing.
pub(crate) fn halvings(tolerance: f64) -> u32 {
    let mut halvings = 0;
    let mut error = 1.0;
    while error > tolerance && halvings < 60 {
        error *= 0.5;
        halvings += 1;
    }
    halvings
}

/// Tridiagonal matrices of a batch, ready for Sturm sequences.
#[derive(Default)]
pub(super) struct Sturm {
    /// d_k; behind the end of a smaller matrix, what makes no sign change.
    diagonal: Vec<Lanes>,
    /// e_k^2.
    squares: Vec<Lanes>,
    interval: Interval,
    /// The same of one matrix.
    one_diagonal: Vec<f64>,
    one_squares: Vec<f64>,
}

/// Where eigenvalues are.
#[derive(Clone, Copy)]
struct Interval<const W: usize = LANES> {
    low: Lanes<W>,
    high: Lanes<W>,
}

impl Default for Interval {
    fn default() -> Self {
        Interval { low: Lanes::ZERO, high: Lanes::ZERO }
    }
}

impl<const W: usize> Interval<W> {
    #[inline(always)]
    fn middle(self) -> Lanes<W> {
        (self.low + self.high) * Lanes::splat(0.5)
    }

    /// Its lower half where a condition holds, else its upper one.
    #[inline(always)]
    fn half(self, middle: Lanes<W>, is_below: [bool; W]) -> Self {
        let low = self.low.where_else(is_below, middle);
        Interval { low, high: middle.where_else(is_below, self.high) }
    }
}

impl Sturm {
    /// Takes other matrices, of which lane l has `sizes[l]` rows.
    #[inline(always)]
    pub(super) fn prepare(&mut self, matrices: &Tridiagonal, sizes: [usize; LANES]) {
        let Tridiagonal { diagonal, beside, .. } = matrices;
        self.interval = gershgorin(diagonal, beside, sizes);
        let behind = self.interval.high + Lanes::ONE;
        self.diagonal.clear();
        self.squares.clear();
        for (k, (&d, &e)) in diagonal.iter().zip(beside).enumerate() {
            let is_there = sizes.map(|size| k < size);
            let square = (e * e).map(|square| if square < LEAST_SQUARE { LEAST_SQUARE } else { square });
            let square = if k == 0 { Lanes::ZERO } else { square };
            self.diagonal.push(d.where_else(is_there, behind));
            self.squares.push(square.where_else(is_there, Lanes::ZERO));
        }
    }

    /// The least eigenvalue of each matrix.
    #[inline(always)]
    pub(super) fn least(&self, halvings: u32) -> Lanes {
        let mut interval = self.interval;
        for _ in 0..halvings {
            let x = interval.middle();
            interval = interval.half(x, self.has_below(x));
        }
        interval.middle()
    }

    /// Whether an eigenvalue is below x: any minor is negative.
    #[inline(always)]
    fn has_below(&self, x: Lanes) -> [bool; LANES] {
        let mut minors = Minors::<LANES>::START;
        let mut signs = [0; LANES];
        for (d, squares) in self.diagonal.chunks(BETWEEN).zip(self.squares.chunks(BETWEEN)) {
            for (&d, &square) in d.iter().zip(squares) {
                minors = minors.next(d - x, square);
                let bits = minors.last.to_bits();
                for l in 0..LANES {
                    signs[l] |= bits[l];
                }
            }
            minors = minors.scaled();
        }
        let mut is_negative = [false; LANES];
        for l in 0..LANES {
            is_negative[l] = signs[l] >> 63 != 0;
        }
        is_negative
    }

    /// All eigenvalues of the matrix in a lane, ascending.
    #[inline(always)]
    pub(super) fn all(&mut self, lane: usize, halvings: u32, found: &mut [f64]) {
        for (one, lanes) in [(&mut self.one_diagonal, &self.diagonal), (&mut self.one_squares, &self.squares)]
        {
            one.clear();
            one.extend(lanes[..found.len()].iter().map(|lanes| lanes.0[lane]));
        }
        let whole = (self.interval.low.0[lane], self.interval.high.0[lane]);
        let mut first = 0;
        while first < found.len() {
            let found = &mut found[first..];
            first += match found.len().div_ceil(LANES) {
                1 => self.some::<LANES>(whole, first, halvings, found),
                2 | 3 => self.some::<{ 2 * LANES }>(whole, first, halvings, found),
                _ => self.some::<{ 4 * LANES }>(whole, first, halvings, found),
            };
        }
    }

    /// The next W eigenvalues of one matrix, from the `first` one on; returns W.
    #[inline(always)]
    fn some<const W: usize>(
        &self,
        (low, high): (f64, f64),
        first: usize,
        halvings: u32,
        found: &mut [f64],
    ) -> usize {
        let mut interval = Interval::<W> { low: Lanes::splat(low), high: Lanes::splat(high) };
        for _ in 0..halvings {
            let x = interval.middle();
            let counts = self.below(x);
            let mut is_below = [false; W];
            for l in 0..W {
                is_below[l] = counts[l] > (first + l) as u64;
            }
            interval = interval.half(x, is_below);
        }
        let count = W.min(found.len());
        found[..count].copy_from_slice(&interval.middle().0[..count]);
        W
    }

    /// Eigenvalues of one matrix below each x.
    #[inline(always)]
    fn below<const W: usize>(&self, x: Lanes<W>) -> [u64; W] {
        let mut minors = Minors::<W>::START;
        let mut counts = [0; W];
        for (d, squares) in self.one_diagonal.chunks(BETWEEN).zip(self.one_squares.chunks(BETWEEN)) {
            for (&d, &square) in d.iter().zip(squares) {
                let last = minors.last.to_bits();
                minors = minors.next(Lanes::splat(d) - x, Lanes::splat(square));
                let next = minors.last.to_bits();
                for l in 0..W {
                    counts[l] += (last[l] ^ next[l]) >> 63;
                }
            }
            minors = minors.scaled();
        }
        counts
    }
}

/// Two minors in a row.
#[derive(Clone, Copy)]
struct Minors<const W: usize> {
    before: Lanes<W>,
    last: Lanes<W>,
}

impl<const W: usize> Minors<W> {
    const START: Self = Minors { before: Lanes::ZERO, last: Lanes::ONE };

    /// A row further.
    #[inline(always)]
    fn next(self, difference: Lanes<W>, square: Lanes<W>) -> Self {
        Minors { before: self.last, last: difference * self.last - square * self.before }
    }

    /// Both multiplied by the power of two that brings the sum of their moduli into [1, 2).
    #[inline(always)]
    fn scaled(self) -> Self {
        const EXPONENT: u64 = 0x7ff << 52;
        let moduli = self.before.zip(self.last, |before, last| before.abs() + last.abs());
        let scale = moduli.map(|x| f64::from_bits((2046_u64 << 52).wrapping_sub(x.to_bits() & EXPONENT)));
        Minors { before: self.before * scale, last: self.last * scale }
    }
}

/// Intervals that hold all eigenvalues: circles of Gershgorin of the rows there are. NaN where an entry is not finite.
#[inline(always)]
fn gershgorin(diagonal: &[Lanes], beside: &[Lanes], sizes: [usize; LANES]) -> Interval {
    let (mut low, mut high) = (Lanes::splat(f64::INFINITY), Lanes::splat(f64::NEG_INFINITY));
    let mut not_finite = Lanes::ZERO;
    for (k, &d) in diagonal.iter().enumerate() {
        let after = beside.get(k + 1).copied().unwrap_or(Lanes::ZERO);
        let radius = beside[k].zip(after, |before, after| before.abs() + after.abs());
        let is_there = sizes.map(|size| k < size);
        low = low.zip(d - radius, f64::min).where_else(is_there, low);
        high = high.zip(d + radius, f64::max).where_else(is_there, high);
        // Zero, or NaN.
        not_finite = not_finite + (d + radius) * Lanes::ZERO;
    }
    Interval { low: low + not_finite, high: high + not_finite }
}
