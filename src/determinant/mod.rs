//! ln |det K| of an integer matrix whose Cholesky pivots are too small to be believed.
//!
//! A singular K has a pivot of zero, but in floating point that pivot is a rounding error of either sign, and
//! an honest pivot can be as small. So three steps, each only where the one before leaves it open:
//!
//! 1. det K modulo two primes near 2^61, N^3 / 3 products each. Zero in both: K is singular.
//! 2. Cholesky in f64 with a bound on its error, N^3 / 3 operations. With K / N_A = U^T U + E, rounding gives
//!    ||E||_F <= N gamma and, to first order, |ln det(U^T U) - ln det(K / N_A)| <= ||E|| trace((U^T U)^-1)
//!    = ||E|| ||U^-1||_F^2 (Higham, "Accuracy and stability of numerical algorithms", 2002, theorem 10.3).
//! 3. det K itself, from as many primes as Hadamard's bound asks for (see [`modular`]): 2 ms at N = 32, 30 ms
//!    at N = 128, a minute at N = 1024, shared out over the cores. Only a condition number beyond some 1e9
//!    comes this far.

mod modular;

use crate::backend::cpu::cholesky::{factorize, scaled, subtract};
use modular::Prime;

/// Largest error of step 2, relative to the value or, below 1, absolute.
const TOLERANCE: f64 = 1e-9;

/// ln |det K| of a symmetric K (N x N) with `activations` everywhere on its diagonal and nothing larger beside
/// it: minus infinity if and only if det K = 0.
pub(crate) fn ln_abs_det(k: &[u32], n: usize, activations: u32) -> f64 {
    if Prime::all().take(2).all(|prime| prime.determinant(k, n) == 0) {
        return f64::NEG_INFINITY;
    }
    by_cholesky(k, n, activations).unwrap_or_else(|| modular::ln_abs_det(k, n, activations))
}

/// The value by Cholesky, where its error bound is within the tolerance.
fn by_cholesky(k: &[u32], n: usize, activations: u32) -> Option<f64> {
    let mut u = scaled::<f64>(k, activations);
    let pivots = factorize(&mut u, n);
    if pivots.log_det.is_nan() {
        return None;
    }
    let log_det = pivots.log_det + n as f64 * f64::from(activations).ln();
    // Unit roundoff times N + 1 for the factorisation, and once more for the division by N_A.
    let gamma = (n as f64 + 2.0) * f64::EPSILON / 2.0;
    let error = n as f64 * gamma * inverse_norm_squared(&mut u, n);
    (error <= TOLERANCE * log_det.abs().max(1.0)).then_some(log_det)
}

/// ||U^-1||_F^2 of an upper triangular U (N x N), which it overwrites with its inverse, from the last row up:
/// x_i = (e_i - sum_{k > i} u_ik x_k) / u_ii.
fn inverse_norm_squared(u: &mut [f64], n: usize) -> f64 {
    let mut norm_squared = 0.0;
    for i in (0..n).rev() {
        let (head, below) = u.split_at_mut((i + 1) * n);
        let row = &mut head[i * n + i..];
        let coefficients = row.to_vec();
        row.fill(0.0);
        row[0] = 1.0;
        for (k, x) in (i + 1..).zip(below.chunks_exact(n)) {
            subtract(&mut row[k - i..], coefficients[k - i], &x[k..]);
        }
        row.iter_mut().for_each(|x| *x /= coefficients[0]);
        norm_squared += row.iter().map(|x| x * x).sum::<f64>();
    }
    norm_squared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_a_bidiagonal_matrix() {
        // 1 on the diagonal and -1 beside it: the inverse is all ones.
        let n = 9;
        let mut u = vec![0.0; n * n];
        for i in 0..n {
            u[i * n + i] = 1.0;
            if i + 1 < n {
                u[i * n + i + 1] = -1.0;
            }
        }
        assert_eq!(inverse_norm_squared(&mut u, n), 45.0);
    }

    #[test]
    fn an_ill_conditioned_matrix_is_not_left_to_cholesky() {
        let toeplitz = |activations: u32| -> Vec<u32> {
            (0..24 * 24).map(|e| activations - (e / 24_u32).abs_diff(e % 24)).collect()
        };
        assert!(by_cholesky(&toeplitz(100), 24, 100).is_some());
        assert!(by_cholesky(&toeplitz(u32::MAX), 24, u32::MAX).is_none());
    }
}
