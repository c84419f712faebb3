//! Several scores as one, by their ranks: the aggregation of AZ-NAS (Lee and Ham, CVPR 2024).

use super::correlation::Ranks;
use crate::{Error, Result};

/// Sums of log ranks: for each network the sum over scores of ln(rank / n), where rank 1 is the lowest score and n the
/// number of networks. The higher the sum the better; 0 is the best of all by every score.
///
/// Equal scores share the average of their ranks, and minus infinity is the lowest score, tied with its like. A network
/// that lacks one of the scores has no sum, and no rank among the others. As a rank is one among all the networks at
/// hand, sums of different sets of networks cannot be compared.
///
/// `scores` holds a list for each score, with the same networks in the same order.
///
/// ```
/// use naswot::analysis::log_rank_sums;
///
/// let swap = [Some(10.0), Some(30.0), Some(20.0)];
/// let nwot = [Some(1.0), Some(3.0), None];
/// assert_eq!(log_rank_sums(&[&swap, &nwot])?, [Some(2.0 * 0.5f64.ln()), Some(0.0), None]);
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] when there are no scores, when lists differ in length, or when a score is NaN.
pub fn log_rank_sums(scores: &[&[Option<f64>]]) -> Result<Vec<Option<f64>>> {
    let wrong = |message: String| Err(Error::Correlation { message });
    let Some(&first) = scores.first() else { return wrong("a sum of ranks needs a score".to_owned()) };
    for (position, list) in scores.iter().enumerate() {
        if list.len() != first.len() {
            return wrong(format!("score {position} has {} values, but score 0 {}", list.len(), first.len()));
        }
        if let Some(i) = list.iter().position(|value| value.is_some_and(f64::is_nan)) {
            return wrong(format!("value {i} of score {position} is NaN"));
        }
    }
    let is_whole = |i: &usize| scores.iter().all(|list| list[*i].is_some());
    let whole: Vec<usize> = (0..first.len()).filter(is_whole).collect();
    let mut sums = vec![None; first.len()];
    whole.iter().for_each(|&i| sums[i] = Some(0.0));
    for list in scores {
        let values: Vec<f64> = whole.iter().filter_map(|&i| list[i]).collect();
        for (&i, rank) in whole.iter().zip(Ranks::of(&values).average) {
            sums[i] = sums[i].map(|sum: f64| sum + (rank / whole.len() as f64).ln());
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A rank is one more than the lower scores, and half of the equal ones.
    fn by_definition(scores: &[&[Option<f64>]], network: usize) -> Option<f64> {
        let whole = |i: usize| scores.iter().all(|list| list[i].is_some());
        let others: Vec<usize> = (0..scores[0].len()).filter(|&i| whole(i)).collect();
        whole(network).then(|| {
            let log_rank = |list: &&[Option<f64>]| {
                let count = |is: fn(f64, f64) -> bool| {
                    let is = |&&i: &&usize| i != network && is(list[i].unwrap(), list[network].unwrap());
                    others.iter().filter(is).count() as f64
                };
                let rank = 1.0 + count(|other, own| other < own) + count(|other, own| other == own) / 2.0;
                (rank / others.len() as f64).ln()
            };
            scores.iter().map(log_rank).sum()
        })
    }

    proptest! {
        #[test]
        fn equals_the_definition(rows in prop::collection::vec([0..8i8, 0..8i8, 0..8i8], 0..40), count in 1..4usize) {
            let score = |v: i8| match v { 0 => None, 1 => Some(f64::NEG_INFINITY), v => Some(f64::from(v)) };
            let lists: Vec<Vec<Option<f64>>> =
                (0..count).map(|s| rows.iter().map(|row| score(row[s])).collect()).collect();
            let lists: Vec<&[Option<f64>]> = lists.iter().map(Vec::as_slice).collect();
            let sums = log_rank_sums(&lists).unwrap();
            for (i, sum) in sums.iter().enumerate() {
                match (sum, by_definition(&lists, i)) {
                    (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-12),
                    (found, expected) => prop_assert_eq!(*found, expected),
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_summed_is_an_error() {
        let (two, one, nan) = ([Some(1.0), None], [Some(1.0)], [None, Some(f64::NAN)]);
        for (scores, message) in [
            (&[][..], "a sum of ranks needs a score"),
            (&[&two[..], &one], "score 1 has 1 values, but score 0 2"),
            (&[&two, &nan], "value 1 of score 1 is NaN"),
        ] {
            assert_eq!(log_rank_sums(scores).unwrap_err().to_string(), message);
        }
    }
}
