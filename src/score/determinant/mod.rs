//! ln |det K| of an integer matrix whose Cholesky pivots are too small to be believed.
//!
//! A singular K has a pivot of zero, but in floating point that pivot is a rounding error of either sign, and
//! an honest pivot can be as small. So three steps, each only where the one before leaves it open:
//!
//! 1. Two equal rows: K is singular. Images with one code have them, and nearly every singular K does.
//! 2. Cholesky in f64, with U rounded to integers V = round(U 2^s), so that its residual is exact, N^3 / 2
//!    operations:
//!
//!    ```text
//!    K = (V^T V + R) / 4^s        |ln det K - ln det(V^T V / 4^s)| <= t / (1 - t),  t = ||R||_F ||V^-1||_F^2
//!    ```
//!
//!    since the difference is ln det(I + M) with M = V^-T R V^-1, whose eigenvalues' moduli add up to at most t.
//! 3. det K itself, from as many primes as Hadamard's bound asks for (see [`modular`]). Only a K whose
//!    smallest eigenvalue is below some 1e-7 N_A comes this far. Fewer primes, however chosen, would leave a chance that all
//!    of them divide a determinant that is not zero.
//!
//! | milliseconds on one core (AMD EPYC) | N = 32 | 128 | 256 | 512 | 1024 |
//! |---|---|---|---|---|---|
//! | a regular K: steps 1 and 2, and an elimination modulo a prime that is no longer made | 0.1 | 1.6 | 10 | 78 | 590 |
//! | step 3 where N_A has 16 bits | 2 | 39 | 440 | 6100 | 122,000 |

mod modular;

use std::f64::consts::LN_2;

use super::cholesky::{factorize, scaled, subtract};

/// Largest error of step 2, relative to the value or, below 1, absolute.
const TOLERANCE: f64 = 1e-9;

/// s of step 2: an entry of V is at most 2^s sqrt(N_A) < 2^61, and every sum of products below 2^123.
const SHIFT: u32 = 45;

/// ln |det K| of a symmetric K (N x N) with `activations` everywhere on its diagonal and nothing larger beside
/// it: minus infinity if and only if det K = 0.
pub(crate) fn ln_abs_det(k: &[u32], n: usize, activations: u32) -> f64 {
    if has_equal_rows(k, n, activations) {
        return f64::NEG_INFINITY;
    }
    by_cholesky(k, n, activations).unwrap_or_else(|| modular::ln_abs_det(k, n, activations))
}

/// Whether two rows are equal: where they are, they have N_A beside the diagonal, too.
fn has_equal_rows(k: &[u32], n: usize, activations: u32) -> bool {
    let row = |i: usize| &k[i * n..(i + 1) * n];
    (0..n).any(|i| (i + 1..n).any(|j| row(i)[j] == activations && row(i) == row(j)))
}

/// The value by Cholesky, where its error bound is within the tolerance.
fn by_cholesky(k: &[u32], n: usize, activations: u32) -> Option<f64> {
    let mut u = scaled::<f64>(k, activations);
    if factorize(&mut u, n).log_det.is_nan() {
        return None;
    }
    // u is the factor of K / N_A.
    let unit = f64::from(activations).sqrt() * (1_u64 << SHIFT) as f64;
    let v: Vec<i64> = u.iter().map(|u| (u * unit).round() as i64).collect();
    let logarithms: f64 = (0..n).map(|i| (v[i * n + i] as f64).ln()).sum();
    let log_det = 2.0 * (logarithms - (n as f64) * f64::from(SHIFT) * LN_2);
    let t = residual_norm(k, &v, n) / (unit * unit) * inverse_norm_squared(&mut u, n);
    (t < 0.5 && t / (1.0 - t) <= TOLERANCE * log_det.abs().max(1.0)).then_some(log_det)
}

/// ||R||_F of the exact R = 4^s K - V^T V.
fn residual_norm(k: &[u32], v: &[i64], n: usize) -> f64 {
    let mut norm_squared = 0.0;
    for i in 0..n {
        let mut row: Vec<i128> =
            k[i * n + i..(i + 1) * n].iter().map(|&k| i128::from(k) << (2 * SHIFT)).collect();
        for v_p in v[..(i + 1) * n].chunks_exact(n) {
            let factor = i128::from(v_p[i]);
            row.iter_mut().zip(&v_p[i..]).for_each(|(r, &v)| *r -= factor * i128::from(v));
        }
        let squares: f64 = row.iter().map(|&r| (r as f64).powi(2)).sum();
        // The other triangle is the same.
        norm_squared += 2.0 * squares - (row[0] as f64).powi(2);
    }
    norm_squared.sqrt()
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

    /// 6435166968764448833692791069777563191980533465444086150230539269403335905000, by FLINT: a multiple of 2^61 - 1 and of
    /// 2^61 - 31, the two largest primes below 2^61.
    #[test]
    fn a_determinant_that_large_primes_divide_is_not_zero() {
        const N_A: u32 = 4_294_967_291;
        let blocks = [
            [
                [N_A, 3_463_852_986, 1_491_597_041, 1],
                [3_463_852_986, N_A, 1, 2_958_773_310],
                [1_491_597_041, 1, N_A, 3_463_852_986],
                [1, 2_958_773_310, 3_463_852_986, N_A],
            ],
            [
                [N_A, N_A - 1, 2_547_872_892, 1_938_892_328],
                [N_A - 1, N_A, 1_938_892_328, 2_731_994_685],
                [2_547_872_892, 1_938_892_328, N_A, N_A - 1],
                [1_938_892_328, 2_731_994_685, N_A - 1, N_A],
            ],
        ];
        let entry = |i: usize, j: usize| if i / 4 == j / 4 { blocks[i / 4][i % 4][j % 4] } else { 0 };
        let k: Vec<u32> = (0..64).map(|e| entry(e / 8, e % 8)).collect();
        assert!((ln_abs_det(&k, 8, N_A) - 174.555_7).abs() < 1e-4);
        assert!((modular::ln_abs_det(&k, 8, N_A) - 174.555_7).abs() < 1e-4);
    }

    #[test]
    fn a_singular_matrix_without_equal_rows() {
        // Row 0 and row 1 have the sum of row 2 and row 3, as images have whose codes are 00, 11, 01 and 10.
        let k = [2, 0, 1, 1, 0, 2, 1, 1, 1, 1, 2, 0, 1, 1, 0, 2];
        assert!(!has_equal_rows(&k, 4, 2));
        assert_eq!(ln_abs_det(&k, 4, 2), f64::NEG_INFINITY);
        // Equal entries alone do not make equal rows.
        let k = [2, 2, 0, 2, 2, 1, 0, 1, 2];
        assert!(!has_equal_rows(&k, 3, 2));
        assert_eq!(ln_abs_det(&k, 3, 2), 2f64.ln());
    }

    #[test]
    fn an_ill_conditioned_matrix_is_not_left_to_cholesky() {
        let toeplitz = |activations: u32| -> Vec<u32> {
            (0..24 * 24).map(|e| activations - (e / 24_u32).abs_diff(e % 24)).collect()
        };
        assert!(by_cholesky(&toeplitz(60_000), 24, 60_000).is_some());
        assert!(by_cholesky(&toeplitz(u32::MAX), 24, u32::MAX).is_none());
    }
}
