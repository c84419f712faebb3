use std::f64::consts::PI;

use super::{all, batch, least};
use crate::random::{Domain, Rng};

/// What f64 can tell apart.
const TIGHT: f64 = 4e-16;

/// Uniform on -1..1.
fn uniform(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Q diag(eigenvalues) Q^T as a packed triangle: Q is a product of three random reflections.
fn with_spectrum(eigenvalues: &[f64], rng: &mut Rng) -> Vec<f64> {
    let n = eigenvalues.len();
    let mut a = vec![0.0; n * n];
    eigenvalues.iter().enumerate().for_each(|(i, &x)| a[i * n + i] = x);
    for _ in 0..3 {
        let v: Vec<f64> = (0..n).map(|_| uniform(rng)).collect();
        let square: f64 = v.iter().map(|x| x * x).sum();
        for transposed in [false, true] {
            let at = |i: usize, j: usize| if transposed { j * n + i } else { i * n + j };
            for j in 0..n {
                let product: f64 = (0..n).map(|i| v[i] * a[at(i, j)]).sum();
                (0..n).for_each(|i| a[at(i, j)] -= 2.0 * product / square * v[i]);
            }
        }
    }
    packed(n, |i, j| a[i * n + j])
}

fn packed(n: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect()
}

/// Spectra of some kinds, ascending.
fn spectra(n: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut kinds: Vec<Vec<f64>> = vec![
        // Spread, of either sign, positive but for a kernel, over many orders of magnitude, in two clusters.
        (0..n).map(|_| 1.0 + uniform(rng)).collect(),
        (0..n).map(|_| uniform(rng)).collect(),
        (0..n).map(|k| if k % 3 == 1 { 0.0 } else { 2.0 + uniform(rng) }).collect(),
        (0..n).map(|k| 10_f64.powi(-(k as i32 % 17))).collect(),
        (0..n).map(|k| if k % 2 == 0 { 1.0 } else { 3.0 } + 1e-15 * k as f64).collect(),
    ];
    kinds.iter_mut().for_each(|kind| kind.sort_by(f64::total_cmp));
    kinds
}

fn slices(matrices: &[Vec<f64>]) -> Vec<&[f64]> {
    matrices.iter().map(Vec::as_slice).collect()
}

/// Checks the eigenvalues of matrices with known ones: within the tolerance and some roundings for each row.
fn check(matrices: &[Vec<f64>], spectra: &[Vec<f64>], tolerance: f64) {
    let matrices = slices(matrices);
    let (found, least) = (all(&matrices, tolerance), least(&matrices, tolerance));
    let mut found = found.as_slice();
    for (spectrum, least) in spectra.iter().zip(least) {
        let n = spectrum.len();
        let (these, rest) = found.split_at(n);
        found = rest;
        let norm = spectrum.iter().fold(0_f64, |norm, x| norm.max(x.abs()));
        // Gershgorin's bound of T is at most three times its norm.
        let allowed = 3.0 * norm * tolerance + 4.0 * norm * f64::EPSILON * n as f64;
        for (k, (found, known)) in these.iter().zip(spectrum).enumerate() {
            assert!((found - known).abs() <= allowed, "{k} of {n}: {found} for {known}, {tolerance}");
        }
        assert!(these.is_sorted(), "{n}");
        assert_eq!(least, these[0], "{n}");
    }
    assert!(found.is_empty());
}

#[test]
fn known_spectra_of_every_size_are_found() {
    let mut rng = Rng::new(1, Domain::Sampling, "spectra");
    let spectra: Vec<Vec<f64>> = (1..=70).chain([130]).flat_map(|n| spectra(n, &mut rng)).collect();
    let matrices: Vec<Vec<f64>> = spectra.iter().map(|spectrum| with_spectrum(spectrum, &mut rng)).collect();
    for tolerance in [TIGHT, 1e-9, 1e-3] {
        check(&matrices, &spectra, tolerance);
    }
}

#[test]
fn spectra_of_second_differences_are_found() {
    let sizes = [1, 2, 3, 8, 31, 64, 100];
    let entry = |i: usize, j: usize| [2.0, -1.0].get(i - j).copied().unwrap_or(0.0);
    let matrices = sizes.map(|n| packed(n, entry));
    let eigenvalue = |n: usize, k: usize| 2.0 - 2.0 * (PI * (k + 1) as f64 / (n + 1) as f64).cos();
    let spectra = sizes.map(|n| (0..n).map(|k| eigenvalue(n, k)).collect());
    check(&matrices, &spectra, TIGHT);
}

#[test]
fn matrices_that_need_no_reduction_have_their_spectra() {
    let diagonals = [vec![0.0], vec![-3.0], vec![0.0; 9], vec![1.0; 40], (0..20).map(f64::from).collect()];
    let mut matrices: Vec<Vec<f64>> = diagonals
        .iter()
        .map(|d| packed(d.len(), |i, j| if i == j { d[d.len() - 1 - i] } else { 0.0 }))
        .collect();
    let mut spectra = diagonals.to_vec();
    // Two rows, of full rank and of rank one, and blocks of them.
    matrices.extend([vec![2.0, 1.0, 2.0], vec![1.0, 1.0, 1.0], vec![0.0, 1.0, 0.0]]);
    spectra.extend([vec![1.0, 3.0], vec![0.0, 2.0], vec![-1.0, 1.0]]);
    matrices.push(packed(12, |i, j| {
        [1.0, if i % 2 == 1 { 1.0 } else { 0.0 }].get(i - j).copied().unwrap_or(0.0)
    }));
    spectra.push([[0.0; 6], [2.0; 6]].concat());
    // All ones: a rank of one.
    matrices.push(packed(33, |_, _| 1.0));
    spectra.push([vec![0.0; 32], vec![33.0]].concat());
    check(&matrices, &spectra, TIGHT);
    let zeros = vec![0.0; batch::length(9)];
    assert_eq!(all(&[&zeros], TIGHT), [0.0; 9]);
}

/// Matrices of many sizes in no order: some with zeros of either sign.
fn mixture() -> Vec<Vec<f64>> {
    let mut rng = Rng::new(2, Domain::Sampling, "mixture");
    let mut matrices = Vec::new();
    for _ in 0..60 {
        let n = 1 + rng.below(40) as usize;
        let spectra = spectra(n, &mut rng);
        let mut matrix = with_spectrum(&spectra[rng.below(5) as usize], &mut rng);
        if rng.below(2) == 1 {
            matrix.iter_mut().for_each(|x| *x *= f64::from(rng.below(3).min(1)).copysign(uniform(&mut rng)));
        }
        matrices.push(matrix);
    }
    matrices.push(Vec::new());
    matrices
}

#[test]
fn a_spectrum_does_not_depend_on_its_batch() {
    let matrices = mixture();
    let together = slices(&matrices);
    let (mut found, least_found) = (all(&together, TIGHT), least(&together, TIGHT));
    let bits = |numbers: &[f64]| -> Vec<u64> { numbers.iter().map(|x| x.to_bits()).collect() };
    for (matrix, least_found) in together.iter().zip(least_found) {
        let alone = all(&[matrix], TIGHT);
        let rest = found.split_off(alone.len());
        assert_eq!(bits(&found), bits(&alone));
        assert_eq!(bits(&[least_found]), bits(&least(&[matrix], TIGHT)));
        found = rest;
    }
}

#[test]
fn powers_of_two_scale_a_spectrum_exactly() {
    let mut rng = Rng::new(3, Domain::Sampling, "scales");
    for n in [1, 2, 5, 20] {
        let matrix = with_spectrum(&spectra(n, &mut rng)[0], &mut rng);
        let found = all(&[&matrix], TIGHT);
        for exponent in [-900, -300, 300, 1000] {
            let scaled =
                |numbers: &[f64]| -> Vec<f64> { numbers.iter().map(|x| x * 2_f64.powi(exponent)).collect() };
            assert_eq!(all(&[&scaled(&matrix)], TIGHT), scaled(&found), "{n}, 2^{exponent}");
        }
    }
    // Entries that scaling cannot bring to 1.
    assert!(all(&[&[f64::MAX / 2.0, f64::MAX / 4.0, f64::MAX / 2.0]], TIGHT).iter().all(|x| x.is_finite()));
    assert_eq!(least(&[&[f64::from_bits(3)]], TIGHT), [f64::from_bits(3)]);
}

#[test]
fn only_matrices_that_are_not_finite_have_a_nan() {
    let mut matrices = mixture();
    matrices.truncate(30);
    let expected = least(&slices(&matrices), TIGHT);
    for (bad, place) in [(f64::NAN, 0), (f64::INFINITY, 1), (f64::NEG_INFINITY, 2)] {
        let mut spoilt = matrices.clone();
        spoilt.iter_mut().step_by(3).for_each(|matrix| {
            let last = matrix.len() - 1;
            matrix[place.min(last)] = bad;
        });
        let found = least(&slices(&spoilt), TIGHT);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(if i % 3 == 0 { found.is_nan() } else { found == expected }, "{i}: {found}");
        }
        assert!(!all(&slices(&spoilt), TIGHT).iter().any(|x| x.is_infinite()));
    }
}
