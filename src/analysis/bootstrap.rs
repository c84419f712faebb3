//! Confidence intervals of correlations: the percentile bootstrap (Efron, 1979), networks drawn with replacement.

use super::Correlation;
use crate::random::{Domain, Rng};
use crate::{Error, Result, parallel};

/// A confidence interval of 95 %: the middle of what resampled networks give.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Confidence intervals of the correlations of one sample of networks; none where a correlation is not defined in every resample.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Intervals {
    /// Of Kendall's tau-b.
    pub kendall_tau: Option<Interval>,
    /// Of Spearman's rho.
    pub spearman: Option<Interval>,
    /// Of Pearson's r.
    pub pearson: Option<Interval>,
    /// Resamples that were drawn.
    pub resamples: usize,
}

impl Intervals {
    /// Intervals of 95 % from so many resamples; the lists are those of [`Correlation::of`]. Equal seeds draw equal
    /// resamples. Runs on all cores: 1000 resamples of 15,625 networks take some 3 s of one.
    ///
    /// ```
    /// use naswot::analysis::{Correlation, Intervals};
    ///
    /// let scores: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101)).collect();
    /// let accuracies: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101 + i * i % 97)).collect();
    /// let tau = Correlation::of(&scores, &accuracies)?.kendall_tau.unwrap();
    /// let interval = Intervals::of(&scores, &accuracies, 200, 0)?.kendall_tau.unwrap();
    /// assert!(interval.low < tau && tau < interval.high);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Correlation::of`]; no resamples.
    pub fn of(scores: &[f64], accuracies: &[f64], resamples: usize, seed: u64) -> Result<Self> {
        Correlation::of(scores, accuracies)?;
        let networks = u32::try_from(scores.len()).ok().filter(|_| resamples > 0);
        let Some(networks) = networks else {
            let message = format!("{resamples} resamples of {} networks cannot be drawn", scores.len());
            return Err(Error::Correlation { message });
        };
        let resample = |number: usize| {
            let mut rng = Rng::new(seed, Domain::Sampling, &format!("bootstrap/{number}"));
            let picks: Vec<usize> = (0..networks).map(|_| rng.below(networks) as usize).collect();
            let pick = |list: &[f64]| picks.iter().map(|&i| list[i]).collect::<Vec<f64>>();
            Correlation::of(&pick(scores), &pick(accuracies))
        };
        let all = parallel::map((0..resamples).collect(), resample);
        let all = all.into_iter().collect::<Result<Vec<Correlation>>>()?;
        let interval =
            |of: fn(&Correlation) -> Option<f64>| interval(all.iter().map(of).collect::<Option<_>>()?);
        Ok(Intervals {
            kendall_tau: interval(|correlation| correlation.kendall_tau),
            spearman: interval(|correlation| correlation.spearman),
            pearson: interval(|correlation| correlation.pearson),
            resamples,
        })
    }
}

/// The interval of the values of all resamples; none where there are none.
fn interval(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_unstable_by(f64::total_cmp);
    Some(Interval { low: percentile(&values, 0.025)?, high: percentile(&values, 0.975)? })
}

/// A percentile of sorted values, linear between two of them, as NumPy computes it.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)?) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = sorted.get(low + 1).unwrap_or(&sorted[low]);
    Some(sorted[low] + part * (high - sorted[low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.bootstrap((x, y), .., paired=True, vectorized=False, n_resamples=20_000, method="percentile",
    /// rng=numpy.random.default_rng(0))` of SciPy 1.17.1, over i = 0 .. 199. Another generator draws other resamples: of
    /// 20,000, the ends are good to some 0.001.
    #[test]
    fn equals_scipy_within_the_error_of_the_draw() {
        let (scores, accuracies): (Vec<f64>, Vec<f64>) =
            (0..200u32).map(|i| (f64::from(i * 37 % 101), f64::from(i * 37 % 101 + i * i % 97))).unzip();
        let found = Intervals::of(&scores, &accuracies, 20_000, 0).unwrap();
        let found = [found.kendall_tau, found.spearman, found.pearson];
        for (found, expected) in found.into_iter().zip(SCIPY) {
            let found = found.unwrap();
            for (found, expected) in [found.low, found.high].into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.004, "{found}, not {expected}");
            }
        }
    }

    const SCIPY: [[f64; 2]; 3] = [
        [0.42499659887485886, 0.5445454848858907],
        [0.5935598705652539, 0.7387621217271445],
        [0.6232227476733982, 0.748326895250364],
    ];

    #[test]
    fn percentiles_are_those_of_numpy() {
        let values = [1.0, 2.0, 4.0, 8.0];
        // numpy.percentile(values, [2.5, 50, 97.5])
        for (share, expected) in [(0.025, 1.075), (0.5, 3.0), (0.975, 7.7)] {
            assert!((percentile(&values, share).unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(percentile(&[5.0], 0.975), Some(5.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_seed_draws_the_same_and_no_resamples_are_an_error() {
        let scores: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 13)).collect();
        let accuracies: Vec<f64> = (0..30).map(|i| f64::from(i * 5 % 17)).collect();
        let of = |seed| Intervals::of(&scores, &accuracies, 50, seed).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(Intervals::of(&scores, &accuracies, 0, 0).is_err());
        assert!(Intervals::of(&scores[..1], &accuracies[..1], 10, 0).is_err());
    }
}
