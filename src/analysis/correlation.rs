//! Correlation of scores with accuracies: Kendall's tau-b, Spearman's rho, Pearson's r.
//!
//! ```text
//! tau = (C - D) / sqrt((P - T_x) (P - T_y))
//! ```
//!
//! over the P = n (n - 1) / 2 pairs of networks: C that both order alike, D that they order oppositely, T_x
//! and T_y tied in one of them. With both sides sorted by x, ties by y, D is the number of exchanges of a
//! merge sort by y (Knight, "A computer method for calculating Kendall's tau with ungrouped data", 1966):
//! O(n log n).

use std::cmp::Ordering;

use crate::{Error, Result};

/// Correlations of scores with accuracies: how well they rank networks.
///
/// A score of minus infinity (a singular kernel) is a result: the rank correlations take it as the lowest
/// score, tied with the others like it; Pearson's r, which has no room for it, leaves those networks out. What stands in the
/// accuracies' place may be minus infinity likewise: the scores of another run, say.
///
/// A correlation is `None` (in JSON `null`) where it is not defined: all scores or all accuracies are equal,
/// or, for Pearson, fewer than two scores are finite.
///
/// ```
/// use naswot::analysis::Correlation;
///
/// let correlation = Correlation::of(&[1.0, 2.0, 4.0, 3.0], &[0.1, 0.2, 0.3, 0.4])?;
/// assert_eq!(correlation.kendall_tau, Some(4.0 / 6.0));
/// assert!((correlation.spearman.unwrap() - 0.8).abs() < 1e-12);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Correlation {
    /// Kendall's tau-b, -1 to 1.
    pub kendall_tau: Option<f64>,
    /// Spearman's rho, -1 to 1: Pearson's r of the ranks, ties sharing the average of theirs.
    pub spearman: Option<f64>,
    /// Pearson's r, -1 to 1, over the networks with a finite score and a finite accuracy.
    pub pearson: Option<f64>,
    /// Networks compared.
    pub networks: usize,
    /// Those among them with a score or an accuracy of minus infinity.
    pub infinite: usize,
}

impl Correlation {
    /// The correlations of two lists that hold the same networks in the same order. Accuracies may have any
    /// unit. O(n log n): 100,000 networks take some 60 ms.
    ///
    /// # Errors
    ///
    /// [`Error::Correlation`] when the lists differ in length or hold fewer than two networks, when a score
    /// or an accuracy is NaN or plus infinity; it names the position, from 0.
    ///
    /// ```
    /// use naswot::analysis::Correlation;
    ///
    /// let scores = [f64::NEG_INFINITY, 310.0, 320.0, 330.0];
    /// let correlation = Correlation::of(&scores, &[10.0, 91.0, 92.0, 93.0])?;
    /// assert_eq!(correlation.kendall_tau, Some(1.0));
    /// assert_eq!((correlation.networks, correlation.infinite), (4, 1));
    ///
    /// assert_eq!(Correlation::of(&[5.0, 5.0], &[0.1, 0.2])?.kendall_tau, None);
    ///
    /// let error = Correlation::of(&[1.0, f64::NAN], &[0.1, 0.2]).unwrap_err();
    /// assert_eq!(error.to_string(), "score 1 is NaN");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn of(scores: &[f64], accuracies: &[f64]) -> Result<Self> {
        check(scores, accuracies)?;
        let (x, y) = (Ranks::of(scores), Ranks::of(accuracies));
        let is_finite = |(score, accuracy): &(&f64, &f64)| score.is_finite() && accuracy.is_finite();
        let finite = scores.iter().zip(accuracies).filter(is_finite);
        let (finite_scores, their_accuracies): (Vec<f64>, Vec<f64>) = finite.unzip();
        Ok(Correlation {
            kendall_tau: tau_of_ranks(&x, &y),
            spearman: pearson(&x.average, &y.average),
            pearson: pearson(&finite_scores, &their_accuracies),
            networks: scores.len(),
            infinite: scores.len() - finite_scores.len(),
        })
    }
}

/// Kendall's tau-b of two lists of any values but NaN, in which equal places are the same network: of scores under two
/// settings, say. Minus infinity is the lowest value. `None` where all values of a list are equal.
///
/// ```
/// use naswot::analysis::kendall_tau;
///
/// let tau = kendall_tau(&[f64::NEG_INFINITY, 3.0, 5.0], &[1.0, 2.0, 0.0])?;
/// assert_eq!(tau, Some(-1.0 / 3.0));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] when the lists differ in length or hold fewer than two values, or when one is NaN.
pub fn kendall_tau(x: &[f64], y: &[f64]) -> Result<Option<f64>> {
    check_values(x, y)?;
    Ok(tau_of_ranks(&Ranks::of(x), &Ranks::of(y)))
}

/// Kendall's tau-b over the pairs of networks of one stratum: what scores know beyond that by which networks are
/// sorted into strata, such as their number of convolutions. Counts of pairs are added up over the strata. `None` where
/// no pair of a stratum differs in x, or none in y.
///
/// ```
/// use naswot::analysis::stratified_tau;
///
/// // The score knows the number of convolutions, and nothing else.
/// let (scores, accuracies, convolutions) = ([1.0, 2.0, 3.0, 4.0], [11.0, 10.0, 20.0, 21.0], [1, 1, 2, 2]);
/// assert_eq!(stratified_tau(&scores, &accuracies, &convolutions)?, Some(0.0));
/// assert_eq!(stratified_tau(&scores, &accuracies, &[1, 2, 3, 4])?, None);
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] when the lists differ in length or hold fewer than two values, or when one is NaN.
pub fn stratified_tau(x: &[f64], y: &[f64], strata: &[u64]) -> Result<Option<f64>> {
    check_values(x, y)?;
    if strata.len() != x.len() {
        let message = format!("{} values, but {} strata", x.len(), strata.len());
        return Err(Error::Correlation { message });
    }
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by_key(|&i| strata[i]);
    let pairs = order.chunk_by(|&a, &b| strata[a] == strata[b]).map(|stratum| {
        let of = |values: &[f64]| Ranks::of(&stratum.iter().map(|&i| values[i]).collect::<Vec<f64>>());
        Pairs::of(&of(x), &of(y))
    });
    Ok(pairs.fold(Pairs::default(), Pairs::add).tau())
}

/// Checks that two lists can be ranked against each other.
pub(super) fn check_values(x: &[f64], y: &[f64]) -> Result<()> {
    let wrong = |message| Err(Error::Correlation { message });
    if x.len() != y.len() {
        return wrong(format!("{} values, but {} to compare with", x.len(), y.len()));
    }
    if x.len() < 2 {
        return wrong(format!("a correlation needs at least 2 values, not {}", x.len()));
    }
    match x.iter().zip(y).position(|(x, y)| x.is_nan() || y.is_nan()) {
        Some(i) => wrong(format!("value {i} is NaN")),
        None => Ok(()),
    }
}

fn check(scores: &[f64], accuracies: &[f64]) -> Result<()> {
    let wrong = |message| Err(Error::Correlation { message });
    if scores.len() != accuracies.len() {
        return wrong(format!("{} scores, but {} accuracies", scores.len(), accuracies.len()));
    }
    if scores.len() < 2 {
        return wrong(format!("a correlation needs at least 2 networks, not {}", scores.len()));
    }
    let is_wrong = |value: &f64| value.is_nan() || *value == f64::INFINITY;
    if let Some(i) = scores.iter().position(is_wrong) {
        return wrong(format!("score {i} is {}", scores[i]));
    }
    if let Some(i) = accuracies.iter().position(is_wrong) {
        return wrong(format!("accuracy {i} is {}", accuracies[i]));
    }
    Ok(())
}

/// Ranks of values, in the values' order.
pub(super) struct Ranks {
    /// 0, 1, 2 and so on for each different value.
    pub(super) dense: Vec<usize>,
    /// From 1 on; equal values share the average of their ranks.
    pub(super) average: Vec<f64>,
}

impl Ranks {
    /// Ranks of values that are not NaN.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_unstable_by(|&a, &b| values[a].partial_cmp(&values[b]).unwrap_or(Ordering::Equal));
        let mut ranks = Ranks { dense: vec![0; values.len()], average: vec![0.0; values.len()] };
        let mut before = 0;
        for (dense, ties) in order.chunk_by(|&a, &b| values[a] == values[b]).enumerate() {
            for &i in ties {
                ranks.dense[i] = dense;
                ranks.average[i] = before as f64 + (ties.len() + 1) as f64 / 2.0;
            }
            before += ties.len();
        }
        ranks
    }
}

/// Pairs of networks, by how two rankings order them.
#[derive(Clone, Copy, Debug, Default)]
struct Pairs {
    concordant: u128,
    discordant: u128,
    /// Not tied in x, and not tied in y.
    untied_x: u128,
    untied_y: u128,
}

impl Pairs {
    fn of(x: &Ranks, y: &Ranks) -> Self {
        let networks = x.dense.iter().copied().zip(y.dense.iter().copied());
        let mut networks: Vec<(usize, usize)> = networks.collect();
        networks.sort_unstable();
        let all = pairs(networks.len());
        let tied_x = tied_pairs(&networks, |a, b| a.0 == b.0);
        let tied_both = tied_pairs(&networks, |a, b| a == b);
        let mut by_y: Vec<usize> = networks.into_iter().map(|(_, y)| y).collect();
        let discordant = exchanges(&mut by_y);
        // Sorted by now.
        let tied_y = tied_pairs(&by_y, |a, b| a == b);
        // Pairs tied in x, in y or in both are neither concordant nor discordant.
        let concordant = all + tied_both - tied_x - tied_y - discordant;
        Pairs { concordant, discordant, untied_x: all - tied_x, untied_y: all - tied_y }
    }

    fn add(self, other: Self) -> Self {
        Pairs {
            concordant: self.concordant + other.concordant,
            discordant: self.discordant + other.discordant,
            untied_x: self.untied_x + other.untied_x,
            untied_y: self.untied_y + other.untied_y,
        }
    }

    fn tau(self) -> Option<f64> {
        let difference = self.concordant as f64 - self.discordant as f64;
        // One root of the whole product: exactly 1 for two equal rankings.
        let untied = (self.untied_x as f64 * self.untied_y as f64).sqrt();
        (self.untied_x > 0 && self.untied_y > 0).then(|| difference / untied)
    }
}

fn tau_of_ranks(x: &Ranks, y: &Ranks) -> Option<f64> {
    Pairs::of(x, y).tau()
}

/// Pairs among n things: more than 64 bits can hold from n = 2^32 on.
fn pairs(n: usize) -> u128 {
    let n = n as u128;
    n * n.saturating_sub(1) / 2
}

/// Pairs within the runs of equal neighbors.
fn tied_pairs<T>(sorted: &[T], equal: impl Fn(&T, &T) -> bool) -> u128 {
    sorted.chunk_by(equal).map(|run| pairs(run.len())).sum()
}

/// Sorts by merging, from the bottom up; says how many pairs stood in the wrong order.
fn exchanges(values: &mut Vec<usize>) -> u128 {
    let n = values.len();
    let mut merged = Vec::with_capacity(n);
    let mut exchanges = 0;
    let mut width = 1;
    while width < n {
        for run in values.chunks(2 * width) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            while let (Some(&l), Some(&r)) = (left.first(), right.first()) {
                if l <= r {
                    merged.push(l);
                    left = &left[1..];
                } else {
                    merged.push(r);
                    right = &right[1..];
                    exchanges += left.len() as u128;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(values, &mut merged);
        merged.clear();
        width *= 2;
    }
    exchanges
}

/// Pearson's r, about the means; none when either side is constant or empty.
fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let (x, y) = (deviations(x)?, deviations(y)?);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    Some((product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt()).clamp(-1.0, 1.0))
}

/// Deviations from the mean, in units of the largest difference from the first value, so that neither their
/// sum nor a square overflows; none of a constant.
fn deviations(values: &[f64]) -> Option<Vec<f64>> {
    // Halves, since a difference of two large values of opposite sign would overflow.
    let half = values.first()? / 2.0;
    let mut deviations: Vec<f64> = values.iter().map(|value| value / 2.0 - half).collect();
    let largest = deviations.iter().fold(0.0, |largest: f64, deviation| largest.max(deviation.abs()));
    if largest == 0.0 {
        return None;
    }
    deviations.iter_mut().for_each(|deviation| *deviation /= largest);
    let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
    deviations.iter_mut().for_each(|deviation| *deviation -= mean);
    Some(deviations)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    /// 50 networks: the number of the network in, score and accuracy out.
    fn networks(f: impl Fn(u32) -> (f64, f64)) -> (Vec<f64>, Vec<f64>) {
        (0..50).map(f).unzip()
    }

    /// Expected: `scipy.stats.kendalltau`, `spearmanr` and `pearsonr` of SciPy 1.17.1; where scores are minus
    /// infinity, the first two of `rankdata(scores)`, the third of the finite ones.
    #[track_caller]
    fn check_against_scipy((scores, accuracies): (Vec<f64>, Vec<f64>), expected: [f64; 3]) {
        let correlation = Correlation::of(&scores, &accuracies).unwrap();
        let found = [correlation.kendall_tau, correlation.spearman, correlation.pearson];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{correlation:?}, not {expected}");
        }
    }

    #[test]
    fn equals_scipy_without_ties() {
        let networks = networks(|i| {
            let score = i * 37 % 101;
            (f64::from(score), f64::from(score + i * i % 97) + f64::from(i) / 1000.0)
        });
        check_against_scipy(networks, [0.5706122448979591, 0.7611524609843938, 0.7661323765689416]);
    }

    #[test]
    fn equals_scipy_with_ties() {
        let networks = networks(|i| (f64::from(i * 7 % 11), f64::from(i * 7 % 11 / 2 + (i * i + 3) % 7)));
        check_against_scipy(networks, [0.586327010829356, 0.7079260941182014, 0.7026048174578354]);
    }

    #[test]
    fn minus_infinity_is_the_lowest_tie_and_outside_pearson() {
        let networks = networks(|i| {
            let score = f64::from(i * 37 % 101);
            (if i % 9 == 4 { f64::NEG_INFINITY } else { score }, f64::from((i * 37 % 101 + i * i % 97) / 5))
        });
        assert_eq!(Correlation::of(&networks.0, &networks.1).unwrap().infinite, 6);
        check_against_scipy(networks, [0.390207471889627, 0.5154029304229015, 0.7819502224919119]);
    }

    #[test]
    fn equals_scipy_far_from_zero() {
        let networks = networks(|i| {
            (1e9 + f64::from(i * 37 % 101), 0.9 + f64::from(i * 37 % 101 / 4 + i * i % 23) * 1e-6)
        });
        check_against_scipy(networks, [0.642736187878602, 0.8259390284141628, 0.8380940480421725]);
    }

    /// All pairs of a stratum, one by one.
    fn stratified_by_definition(networks: &[(u8, u8, u64)]) -> Option<f64> {
        let (mut difference, mut untied_x, mut untied_y) = (0.0, 0.0, 0.0);
        for (i, a) in networks.iter().enumerate() {
            for b in networks[..i].iter().filter(|b| b.2 == a.2) {
                let sign = |a: u8, b: u8| f64::from(a.cmp(&b) as i8);
                let (x, y) = (sign(a.0, b.0), sign(a.1, b.1));
                difference += x * y;
                untied_x += x * x;
                untied_y += y * y;
            }
        }
        (untied_x > 0.0 && untied_y > 0.0).then(|| difference / f64::sqrt(untied_x * untied_y))
    }

    proptest! {
        #[test]
        fn stratified_tau_is_that_of_all_pairs_of_a_stratum(
            networks in prop::collection::vec((0..9u8, 0..9u8, 0..4u64), 2..60)
        ) {
            let x: Vec<f64> = networks.iter().map(|n| if n.0 == 0 { f64::NEG_INFINITY } else { n.0.into() }).collect();
            let y: Vec<f64> = networks.iter().map(|n| n.1.into()).collect();
            let strata: Vec<u64> = networks.iter().map(|n| n.2).collect();
            prop_assert_eq!(stratified_tau(&x, &y, &strata).unwrap(), stratified_by_definition(&networks));
            // One stratum of all networks is no stratum.
            let one = vec![7; x.len()];
            prop_assert_eq!(stratified_tau(&x, &y, &one).unwrap(), kendall_tau(&x, &y).unwrap());
        }
    }

    #[test]
    fn perfect_rankings_are_exactly_one() {
        let x: Vec<f64> = (0..999).map(f64::from).collect();
        let cubes: Vec<f64> = x.iter().map(|x| x * x * x).collect();
        let falling: Vec<f64> = cubes.iter().map(|x| -x).collect();
        for (y, one) in [(cubes, 1.0), (falling, -1.0)] {
            let correlation = Correlation::of(&x, &y).unwrap();
            assert_eq!((correlation.kendall_tau, correlation.spearman), (Some(one), Some(one)));
        }
        assert_eq!(Correlation::of(&x, &x).unwrap().pearson, Some(1.0));
    }

    #[test]
    fn a_constant_has_no_correlation() {
        let constant = [0.1; 3];
        for (scores, accuracies) in
            [(constant, [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], constant), (constant, constant)]
        {
            let correlation = Correlation::of(&scores, &accuracies).unwrap();
            assert_eq!([correlation.kendall_tau, correlation.spearman, correlation.pearson], [None; 3]);
        }
        let infinite =
            Correlation::of(&[f64::NEG_INFINITY, f64::NEG_INFINITY, 1.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!(infinite.kendall_tau.is_some() && infinite.pearson.is_none());
        let json = serde_json::to_string(&infinite).unwrap();
        assert!(json.ends_with(r#""pearson":null,"networks":3,"infinite":2}"#), "{json}");
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        for (scores, accuracies, message) in [
            (&[1.0, 2.0][..], &[1.0][..], "2 scores, but 1 accuracies"),
            (&[], &[], "a correlation needs at least 2 networks, not 0"),
            (&[1.0], &[1.0], "a correlation needs at least 2 networks, not 1"),
            (&[1.0, f64::NAN], &[1.0, 2.0], "score 1 is NaN"),
            (&[f64::INFINITY, 1.0], &[1.0, 2.0], "score 0 is inf"),
            (&[1.0, 2.0], &[1.0, f64::INFINITY], "accuracy 1 is inf"),
        ] {
            assert_eq!(Correlation::of(scores, accuracies).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let scores = [-f64::MAX, f64::MAX, 0.0, f64::MAX];
        let correlation = Correlation::of(&scores, &[1.0, 3.0, 2.0, 3.0]).unwrap();
        assert!((correlation.pearson.unwrap() - 1.0).abs() < 1e-15);
        assert_eq!(correlation.kendall_tau, Some(1.0));
        // Zeros of both signs are one value.
        assert_eq!(Correlation::of(&[0.0, -0.0], &[1.0, 2.0]).unwrap().kendall_tau, None);
    }

    #[test]
    fn a_hundred_thousand_networks_take_well_below_a_second() {
        let mut stream = crate::random::Rng::new(1, crate::random::Domain::Sampling, "networks");
        let mut values = || (0..100_000).map(|_| f64::from(stream.below(50_000))).collect::<Vec<_>>();
        let (scores, accuracies) = (values(), values());
        // Without optimization and on a busy machine; all pairs would take minutes.
        let start = Instant::now();
        let tau = Correlation::of(&scores, &accuracies).unwrap().kendall_tau.unwrap();
        assert!(start.elapsed().as_secs_f64() < 5.0, "{:?}", start.elapsed());
        // Standard deviation 0.002 for independent rankings.
        assert!(tau.abs() < 0.01);
    }

    fn by_all_pairs(x: &[f64], y: &[f64]) -> Option<f64> {
        let sign = |a: f64, b: f64| {
            if a == b {
                0
            } else if a < b {
                -1
            } else {
                1
            }
        };
        let (mut difference, mut untied_x, mut untied_y) = (0, 0, 0);
        for i in 0..x.len() {
            for j in 0..i {
                let (x, y) = (sign(x[i], x[j]), sign(y[i], y[j]));
                difference += x * y;
                untied_x += x * x;
                untied_y += y * y;
            }
        }
        (untied_x * untied_y > 0)
            .then(|| f64::from(difference) / (f64::from(untied_x) * f64::from(untied_y)).sqrt())
    }

    proptest! {
        #[test]
        fn tau_equals_the_definition(
            (x, y) in (2..60_usize, 1..20_u32).prop_flat_map(|(n, values)| {
                let side = || prop::collection::vec((0..values).prop_map(f64::from), n);
                (side(), side())
            }),
        ) {
            let x: Vec<f64> = x.into_iter().map(|x| if x == 0.0 { f64::NEG_INFINITY } else { x }).collect();
            prop_assert_eq!(Correlation::of(&x, &y).unwrap().kendall_tau, by_all_pairs(&x, &y));
        }
    }
}
