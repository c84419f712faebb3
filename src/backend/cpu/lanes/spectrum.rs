//! Eigenvalues by an instruction set's vectors: [`crate::score::spectrum`], to the same bits.

use super::simd::{Simd, WithSimd};
use crate::plan::Plan;
use crate::score::features::{Feature, FeatureScores};
use crate::{Precision, Result};

/// The scores of a plan's features.
pub(super) fn feature_scores<S: Simd>(simd: S, plan: &Plan, features: &[Feature]) -> Result<FeatureScores> {
    let mut scores = Ok(FeatureScores::default());
    simd.call(MakeFeatureScores { plan, features, scores: &mut scores });
    scores
}

struct MakeFeatureScores<'a> {
    plan: &'a Plan,
    features: &'a [Feature<'a>],
    scores: &'a mut Result<FeatureScores>,
}

impl<S: Simd> WithSimd<S> for MakeFeatureScores<'_> {
    #[inline(always)]
    fn run(self, _: S) {
        *self.scores = self.plan.feature_scores(self.features, Precision::F32);
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use super::super::simd::Isa;
    use super::*;
    use crate::random::{Domain, Rng};
    use crate::score::spectrum;

    /// The least eigenvalue of each matrix.
    fn least<S: Simd>(simd: S, matrices: &[&[f64]], tolerance: f64) -> Vec<f64> {
        let mut found = Vec::new();
        simd.call(Least { matrices, tolerance, found: &mut found });
        found
    }

    /// All eigenvalues of each matrix.
    fn all<S: Simd>(simd: S, matrices: &[&[f64]], tolerance: f64) -> Vec<f64> {
        let mut found = Vec::new();
        simd.call(All { matrices, tolerance, found: &mut found });
        found
    }

    struct Least<'a> {
        matrices: &'a [&'a [f64]],
        tolerance: f64,
        found: &'a mut Vec<f64>,
    }

    impl<S: Simd> WithSimd<S> for Least<'_> {
        #[inline(always)]
        fn run(self, _: S) {
            *self.found = spectrum::least(self.matrices, self.tolerance);
        }
    }

    struct All<'a> {
        matrices: &'a [&'a [f64]],
        tolerance: f64,
        found: &'a mut Vec<f64>,
    }

    impl<S: Simd> WithSimd<S> for All<'_> {
        #[inline(always)]
        fn run(self, _: S) {
            *self.found = spectrum::all(self.matrices, self.tolerance);
        }
    }

    /// What f64 can tell apart.
    const TIGHT: f64 = 4e-16;

    /// Correlations of C random vectors, packed.
    fn correlations(c: usize, rng: &mut Rng) -> Vec<f64> {
        let mut uniform = || (rng.next_u32() as f64 + 0.5) / 2_f64.powi(31) - 1.0;
        let vectors: Vec<Vec<f64>> = (0..c).map(|_| (0..2 * c).map(|_| uniform()).collect()).collect();
        let product =
            |i: usize, j: usize| vectors[i].iter().zip(&vectors[j]).map(|(x, y)| x * y).sum::<f64>();
        let correlation = |i, j| product(i, j) / (product(i, i) * product(j, j)).sqrt();
        (0..c).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| correlation(i, j)).collect()
    }

    /// Calls a generic function with an instruction set.
    macro_rules! by_isa {
        ($isa:expr, |$simd:ident| $call:expr) => {
            match $isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512($simd) => $call,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2($simd) => $call,
                #[cfg(target_arch = "aarch64")]
                Isa::Neon($simd) => $call,
                Isa::Portable($simd) => $call,
            }
        };
    }

    #[test]
    fn every_instruction_set_finds_the_same_bits() {
        let mut rng = Rng::new(1, Domain::Sampling, "correlations");
        let matrices: Vec<Vec<f64>> = (1..50).map(|c| correlations(c, &mut rng)).collect();
        let matrices: Vec<&[f64]> = matrices.iter().map(Vec::as_slice).collect();
        let expected = [spectrum::least(&matrices, TIGHT), spectrum::all(&matrices, TIGHT)];
        for isa in Isa::available() {
            let found = by_isa!(isa, |simd| [least(simd, &matrices, TIGHT), all(simd, &matrices, TIGHT)]);
            assert_eq!(found, expected, "{}", isa.name());
        }
    }

    /// The shortest of many trials.
    fn microseconds_a_matrix(find: impl Fn(&[&[f64]]) -> Vec<f64>, matrices: &[&[f64]]) -> f64 {
        let trial = |_| {
            let start = Instant::now();
            black_box(find(black_box(matrices)));
            start.elapsed()
        };
        let shortest = (0..200).map(trial).min().unwrap_or(Duration::MAX);
        1e6 * shortest.as_secs_f64() / matrices.len() as f64
    }

    #[test]
    #[ignore = "a measurement, to be read: run it alone with --nocapture"]
    fn microseconds() {
        fn of<S: Simd>(simd: S, matrices: &[&[f64]]) -> [f64; 2] {
            [
                microseconds_a_matrix(|matrices| least(simd, matrices, TIGHT), matrices),
                microseconds_a_matrix(|matrices| all(simd, matrices, TIGHT), matrices),
            ]
        }
        let mut rng = Rng::new(1, Domain::Sampling, "correlations");
        for c in [16, 32, 64] {
            let matrices: Vec<Vec<f64>> = (0..64).map(|_| correlations(c, &mut rng)).collect();
            let matrices: Vec<&[f64]> = matrices.iter().map(Vec::as_slice).collect();
            for isa in Isa::available() {
                let [least, all] = by_isa!(isa, |simd| of(simd, &matrices));
                println!("C = {c}, {}: least {least:.2}, all {all:.2}", isa.name());
            }
        }
    }
}
