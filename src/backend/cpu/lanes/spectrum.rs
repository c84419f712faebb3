//! Eigenvalues by an instruction set's vectors: [`crate::score::spectrum`], to the same bits.

use super::simd::{Simd, WithSimd};
use crate::plan::Plan;
use crate::score::ScoreValues;
use crate::score::features::Feature;
use crate::{Precision, Result};

/// The scores of a plan's features.
pub(super) fn feature_scores<S: Simd>(simd: S, plan: &Plan, features: &[Feature]) -> Result<ScoreValues> {
    let mut scores = Ok(ScoreValues::default());
    simd.call(MakeFeatureScores { plan, features, scores: &mut scores });
    scores
}

struct MakeFeatureScores<'a> {
    plan: &'a Plan,
    features: &'a [Feature<'a>],
    scores: &'a mut Result<ScoreValues>,
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

    /// The least eigenvalue of each matrix, or all.
    fn eigenvalues<S: Simd>(simd: S, matrices: &[&[f64]], all: bool) -> Vec<f64> {
        let mut found = Vec::new();
        simd.call(FindEigenvalues { matrices, all, found: &mut found });
        found
    }

    struct FindEigenvalues<'a> {
        matrices: &'a [&'a [f64]],
        all: bool,
        found: &'a mut Vec<f64>,
    }

    impl<S: Simd> WithSimd<S> for FindEigenvalues<'_> {
        #[inline(always)]
        fn run(self, _: S) {
            let FindEigenvalues { matrices, all, found } = self;
            *found = if all { spectrum::all(matrices, TIGHT) } else { spectrum::least(matrices, TIGHT) };
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
            let found = by_isa!(isa, |simd| [false, true].map(|all| eigenvalues(simd, &matrices, all)));
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
            let microseconds =
                |all| microseconds_a_matrix(|matrices| eigenvalues(simd, matrices, all), matrices);
            [false, true].map(microseconds)
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
