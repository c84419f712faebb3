//! The top of a ranking, which is what a search for the best networks cares for.

use std::cmp::Ordering;

use super::Correlation;
use crate::Result;

/// A network of the highest scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopNetwork {
    /// Its place in the lists, from 0 on.
    pub place: usize,
    /// Its rank by accuracy, from 1 on.
    pub rank: usize,
}

/// Accuracy of the networks of the highest scores.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Top {
    /// Networks of the highest scores that were looked at.
    pub k: usize,
    /// Share of them that is among the k most accurate.
    pub precision: f64,
    /// Rank by accuracy of the most accurate one among them, from 1 on.
    pub best_rank: usize,
    /// Rank by accuracy of the one of the highest score, from 1 on.
    pub first_rank: usize,
}

impl Top {
    /// Looks at the k highest scores, all when there are fewer. Networks of equal score or accuracy stay in their
    /// order. The lists are those of [`Correlation::of`].
    ///
    /// ```
    /// use naswot::analysis::Top;
    ///
    /// let top = Top::of(&[4.0, 3.0, 2.0, 1.0], &[0.7, 0.9, 0.8, 0.1], 2)?;
    /// assert_eq!((top.precision, top.best_rank, top.first_rank), (0.5, 1, 3));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Correlation::of`]. A `k` of 0 is taken as 1.
    pub fn of(scores: &[f64], accuracies: &[f64], k: usize) -> Result<Self> {
        let top = Top::networks(scores, accuracies, k)?;
        let k = top.len();
        let found = top.iter().filter(|network| network.rank <= k).count();
        let best_rank = top.iter().map(|network| network.rank).min().unwrap_or(1);
        Ok(Top { k, precision: found as f64 / k as f64, best_rank, first_rank: top[0].rank })
    }

    /// The networks that [`Top::of`] looks at, the highest score first.
    ///
    /// ```
    /// use naswot::analysis::Top;
    ///
    /// let top = Top::networks(&[4.0, 3.0, 2.0, 1.0], &[0.7, 0.9, 0.8, 0.1], 2)?;
    /// assert_eq!(top.iter().map(|network| (network.place, network.rank)).collect::<Vec<_>>(), [(0, 3), (1, 1)]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Top::of`].
    pub fn networks(scores: &[f64], accuracies: &[f64], k: usize) -> Result<Vec<TopNetwork>> {
        Correlation::of(scores, accuracies)?;
        let mut rank = vec![0; scores.len()];
        for (before, place) in descending(accuracies).into_iter().enumerate() {
            rank[place] = before + 1;
        }
        let top = descending(scores).into_iter().take(k.max(1));
        Ok(top.map(|place| TopNetwork { place, rank: rank[place] }).collect())
    }
}

/// Positions of values from the largest down.
fn descending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].partial_cmp(&values[a]).unwrap_or(Ordering::Equal));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_counted() {
        let scores = [f64::NEG_INFINITY, 5.0, 5.0, 9.0, 7.0];
        let accuracies = [99.0, 50.0, 60.0, 70.0, 80.0];
        let of = |k| {
            let Top { k, precision, best_rank, first_rank } = Top::of(&scores, &accuracies, k).unwrap();
            (k, precision, best_rank, first_rank)
        };
        assert_eq!(of(1), (1, 0.0, 3, 3));
        assert_eq!(of(2), (2, 0.5, 2, 3));
        assert_eq!(of(3), (3, 2.0 / 3.0, 2, 3));
        assert_eq!(of(9), (5, 1.0, 1, 3));
        assert_eq!(of(0), of(1));
        assert!(Top::of(&scores[..1], &accuracies[..1], 1).is_err());
    }
}
