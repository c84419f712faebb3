//! Log-determinant of an agreement matrix by Cholesky.
//!
//! ```text
//! K / N_A = U^T U        d_p = u_pp^2        ln det K = N ln N_A + sum_p ln d_p
//! ```
//!
//! U is upper triangular and N x N, row by row; the lower triangle is never read. The factorization is
//! right-looking in panels of [`PANEL`] rows: a panel is factorized by itself, then every later row has the
//! panel's products taken off in one pass. All inner loops run along a row, so they vectorise without
//! changing the order of any sum, and the result does not depend on the machine.

use crate::real::Real;

/// Rows of a panel: each pass over the rows below reads and writes them once for this many products.
const PANEL: usize = 8;

/// Cholesky is believed when no pivot of K / N_A is smaller. Those of real networks are above 0.03.
pub(crate) const SAFE_PIVOT: f64 = 1e-3;

/// The pivots of a factorized K, in sum; the host judges them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pivots {
    /// ln det K. NaN when a pivot was not positive.
    pub(crate) log_det: f64,
    /// The smallest pivot of K / N_A; the first one that was not positive, where there is one.
    pub(crate) smallest_pivot: f64,
}

/// Factorizes K (N x N, its upper triangle is read) with `activations` = N_A on its diagonal.
pub(crate) fn cholesky<T: Real>(k: &[u32], n: usize, activations: u32) -> Pivots {
    let mut a = scaled::<T>(k, activations);
    let pivots = factorize(&mut a, n);
    Pivots { log_det: pivots.log_det + n as f64 * f64::from(activations).ln(), ..pivots }
}

/// K / N_A, rounded once.
pub(crate) fn scaled<T: Real>(k: &[u32], activations: u32) -> Vec<T> {
    let activations = f64::from(activations);
    k.iter().map(|&count| T::from_f64(f64::from(count) / activations)).collect()
}

/// Overwrites the upper triangle of `a` (N x N) with U; stops at the first pivot that is not positive.
pub(crate) fn factorize<T: Real>(a: &mut [T], n: usize) -> Pivots {
    let mut pivots = Pivots { log_det: 0.0, smallest_pivot: f64::INFINITY };
    for first in (0..n).step_by(PANEL) {
        let last = n.min(first + PANEL);
        let (panel, below) = a[first * n..].split_at_mut((last - first) * n);
        for p in first..last {
            let (row, rest) = panel[(p - first) * n..].split_at_mut(n);
            let pivot = row[p].to_f64();
            if pivot <= 0.0 || pivot.is_nan() {
                return Pivots { log_det: f64::NAN, smallest_pivot: pivot };
            }
            pivots.log_det += pivot.ln();
            pivots.smallest_pivot = pivots.smallest_pivot.min(pivot);
            let root = row[p].sqrt();
            row[p..].iter_mut().for_each(|u| *u = *u / root);
            for (i, target) in (p + 1..).zip(rest.chunks_exact_mut(n)) {
                subtract(&mut target[i..], row[i], &row[i..]);
            }
        }
        // Only a full panel has rows below it.
        for (i, target) in (last..).zip(below.chunks_exact_mut(n)) {
            subtract_panel(&mut target[i..], panel, n, i);
        }
    }
    pivots
}

/// target -= factor * row.
pub(crate) fn subtract<T: Real>(target: &mut [T], factor: T, row: &[T]) {
    for (t, &u) in target.iter_mut().zip(row) {
        *t -= factor * u;
    }
}

/// Takes the products of a full panel off row i, from column i on: target_j -= sum_p u_pi u_pj.
fn subtract_panel<T: Real>(target: &mut [T], panel: &[T], n: usize, i: usize) {
    let rows: [&[T]; PANEL] = std::array::from_fn(|p| &panel[p * n + i..(p + 1) * n]);
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows.map(|row| &row[..target.len()]);
    let [f0, f1, f2, f3, f4, f5, f6, f7] = rows.map(|row| row[0]);
    for (j, t) in target.iter_mut().enumerate() {
        let low = (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j]);
        let high = (f4 * r4[j] + f5 * r5[j]) + (f6 * r6[j] + f7 * r7[j]);
        *t -= low + high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// min(i, j) + 1: its determinant is 1, and U is all ones on and above the diagonal.
    fn brownian(n: usize) -> Vec<u32> {
        (0..n * n).map(|e| (e / n).min(e % n) as u32 + 1).collect()
    }

    #[test]
    fn factorizes_a_matrix_with_a_known_factor() {
        for n in [1, 2, 7, 8, 9, 16, 31, 64] {
            let mut a = scaled::<f64>(&brownian(n), 1);
            let pivots = factorize(&mut a, n);
            assert_eq!(pivots, Pivots { log_det: 0.0, smallest_pivot: 1.0 });
            assert!((0..n).all(|i| a[i * n + i..(i + 1) * n].iter().all(|&u| u == 1.0)), "{n}");
        }
    }

    #[test]
    fn the_example_of_the_blog() {
        let k = [3, 2, 2, 2, 3, 1, 2, 1, 3];
        let double = cholesky::<f64>(&k, 3, 3);
        assert!((double.log_det - 8f64.ln()).abs() < 1e-14);
        assert!((double.smallest_pivot - 8.0 / 15.0).abs() < 1e-15);
        let single = cholesky::<f32>(&k, 3, 3);
        assert!((single.log_det - 8f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn stops_at_the_first_pivot_that_is_not_positive() {
        let duplicate = cholesky::<f64>(&[4, 2, 4, 2, 4, 2, 4, 2, 4], 3, 4);
        assert!(duplicate.log_det.is_nan());
        assert_eq!(duplicate.smallest_pivot, 0.0);
        assert!(cholesky::<f64>(&[0], 1, 0).smallest_pivot.is_nan());
    }
}
