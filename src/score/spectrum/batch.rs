//! Matrices of a batch side by side: [row][column <= row][matrix].
//!
//! Smaller matrices are continued by rows of zeros. Householder's vector of such a row is zero, which leaves the rows
//! before it exactly as they were, and bisection leaves such rows out.
//!
//! Each matrix is multiplied by the power of two that brings its largest entry into [1, 2): squares of entries neither
//! overflow nor vanish unless they are negligible beside the norm.

use super::lanes::{LANES, Lanes};

/// Bits of an exponent of f64.
const EXPONENT: u64 = 0x7ff << 52;

/// Up to [`LANES`] matrices.
#[derive(Default)]
pub(super) struct Batch {
    /// Rows of the largest one.
    pub(super) size: usize,
    /// Rows of each; zero in lanes without one.
    pub(super) sizes: [usize; LANES],
    /// Lower triangles.
    pub(super) entries: Vec<Lanes>,
    /// What eigenvalues are multiplied by in the end.
    pub(super) unit: [f64; LANES],
}

impl Batch {
    /// Puts other matrices side by side: packed lower triangles, empty ones where there is none.
    #[inline(always)]
    pub(super) fn fill(&mut self, triangles: [&[f64]; LANES]) {
        self.sizes = triangles.map(|triangle| size(triangle.len()));
        self.size = self.sizes.into_iter().max().unwrap_or(0);
        let mut scales = Lanes::ONE;
        for ((scale, unit), triangle) in scales.0.iter_mut().zip(&mut self.unit).zip(&triangles) {
            *scale = power_of_two(triangle);
            *unit = 1.0 / *scale;
        }

        // What all lanes have comes first, without a question asked at each entry.
        let common = triangles.iter().map(|triangle| triangle.len()).min().unwrap_or(0);
        let begins = triangles.map(|triangle| &triangle[..common]);
        self.entries.clear();
        self.entries.resize(length(self.size), Lanes::ZERO);
        let (entries, rest) = self.entries.split_at_mut(common);
        for (e, entry) in entries.iter_mut().enumerate() {
            for (x, triangle) in entry.0.iter_mut().zip(&begins) {
                *x = triangle[e];
            }
            *entry = *entry * scales;
        }
        for (e, entry) in (common..).zip(rest) {
            for (x, triangle) in entry.0.iter_mut().zip(&triangles) {
                *x = triangle.get(e).copied().unwrap_or(0.0);
            }
            *entry = *entry * scales;
        }
    }
}

/// Entries of a packed triangle.
pub(super) fn length(size: usize) -> usize {
    size * (size + 1) / 2
}

/// Rows of a packed triangle of so many entries.
pub(super) fn size(length: usize) -> usize {
    ((8 * length + 1).isqrt() - 1) / 2
}

/// The power of two that brings the largest of some numbers into [1, 2), as far as it is one of f64 and its inverse too.
#[inline(always)]
fn power_of_two(numbers: &[f64]) -> f64 {
    let mut largest = 0;
    for x in numbers {
        largest = largest.max(x.to_bits() & !(1 << 63));
    }
    let exponent = ((largest & EXPONENT) >> 52).clamp(1, 2045);
    f64::from_bits((2046 - exponent) << 52)
}
