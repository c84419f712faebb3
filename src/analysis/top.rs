//! The top of a ranking, which is what a search for the best networks cares for.

use std::cmp::Ordering;

use super::Correlation;
use crate::Result;

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
        Correlation::of(scores, accuracies)?;
        let k = k.clamp(1, scores.len());
        let mut rank = vec![0; scores.len()];
        for (place, i) in descending(accuracies).into_iter().enumerate() {
            rank[i] = place + 1;
        }
        let top: Vec<usize> = descending(scores)[..k].iter().map(|&i| rank[i]).collect();
        let found = top.iter().filter(|&&rank| rank <= k).count();
        let best_rank = top.iter().copied().min().unwrap_or(1);
        Ok(Top { k, precision: found as f64 / k as f64, best_rank, first_rank: top[0] })
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
