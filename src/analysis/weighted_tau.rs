//! Kendall's tau in which the networks at the top count more (Vigna, "A weighted correlation index for rankings with
//! ties", 2015), additive and hyperbolic: the pair of ranks r and s, from 0 at the top, weighs 1/(r+1) + 1/(s+1).
//!
//! As tau-b, but every count of pairs is a sum of their weights. Those of discordant pairs are summed by a merge sort.

use super::correlation::{Ranks, check_values};
use crate::Result;

/// The weighted tau of two lists of any values but NaN: the mean of that with the ranks by x and that with the ranks
/// by y, each from the largest down, ties by the other list; what SciPy's `weightedtau` computes by default. `None`
/// where all values of a list are equal. O(n log n).
///
/// ```
/// use naswot::analysis::weighted_tau;
///
/// let accuracies = [90.0, 91.0, 92.0, 93.0];
/// let top = weighted_tau(&[1.0, 2.0, 4.0, 3.0], &accuracies)?.unwrap();
/// let bottom = weighted_tau(&[2.0, 1.0, 3.0, 4.0], &accuracies)?.unwrap();
/// assert!(top < bottom, "an exchange at the top weighs more");
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`](crate::Error::Correlation) when the lists differ in length or hold fewer than two values, or
/// when one is NaN.
pub fn weighted_tau(x: &[f64], y: &[f64]) -> Result<Option<f64>> {
    check_values(x, y)?;
    let (x, y) = (Ranks::of(x).dense, Ranks::of(y).dense);
    let (by_x, by_y) = (tau_by_first(&x, &y), tau_by_first(&y, &x));
    Ok(by_x.zip(by_y).map(|(by_x, by_y)| (by_x + by_y) / 2.0))
}

/// A value of each list, and the weight of its rank.
#[derive(Clone, Copy)]
struct Weighted {
    x: usize,
    y: usize,
    weight: f64,
}

/// Weighted tau with the ranks by x, ties by y.
fn tau_by_first(x: &[usize], y: &[usize]) -> Option<f64> {
    let mut values: Vec<(usize, usize)> = x.iter().copied().zip(y.iter().copied()).collect();
    values.sort_unstable();
    let n = values.len();
    let weigh = |(i, (x, y)): (usize, (usize, usize))| Weighted { x, y, weight: 1.0 / (n - i) as f64 };
    let mut values: Vec<Weighted> = values.into_iter().enumerate().map(weigh).collect();
    let all = pairs(&values);
    let tied_x = tied_pairs(&values, |a, b| a.x == b.x);
    let tied_both = tied_pairs(&values, |a, b| (a.x, a.y) == (b.x, b.y));
    let discordant = exchanges(&mut values);
    let tied_y = tied_pairs(&values, |a, b| a.y == b.y);

    let concordant = all + tied_both - tied_x - tied_y - discordant;
    // Sums of weights round: a constant is one that has a single value.
    let constant = |list: &[usize]| list.iter().all(|rank| *rank == list[0]);
    let untied = ((all - tied_x) * (all - tied_y)).sqrt();
    (!constant(x) && !constant(y)).then(|| ((concordant - discordant) / untied).clamp(-1.0, 1.0))
}

/// Weight of all pairs among some values: each meets all others.
fn pairs(values: &[Weighted]) -> f64 {
    (values.len() as f64 - 1.0) * values.iter().map(|value| value.weight).sum::<f64>()
}

fn tied_pairs(sorted: &[Weighted], equal: impl Fn(&Weighted, &Weighted) -> bool) -> f64 {
    sorted.chunk_by(equal).map(pairs).sum()
}

/// Sorts by y, merging from the bottom up; the weight of the pairs that stood in the wrong order.
fn exchanges(values: &mut Vec<Weighted>) -> f64 {
    let n = values.len();
    let mut merged = Vec::with_capacity(n);
    let mut exchanges = 0.0;
    let mut width = 1;
    while width < n {
        for run in values.chunks(2 * width) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            let mut waiting: f64 = left.iter().map(|value| value.weight).sum();
            while let (Some(l), Some(r)) = (left.first(), right.first()) {
                if l.y <= r.y {
                    waiting -= l.weight;
                    merged.push(*l);
                    left = &left[1..];
                } else {
                    exchanges += waiting + left.len() as f64 * r.weight;
                    merged.push(*r);
                    right = &right[1..];
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `scipy.stats.weightedtau(x, y).statistic` of SciPy 1.17.1, over i = 0 .. 49.
    #[test]
    fn equals_scipy() {
        let of = |f: &dyn Fn(u32) -> (f64, f64)| {
            let (x, y): (Vec<f64>, Vec<f64>) = (0..50).map(f).unzip();
            weighted_tau(&x, &y).unwrap().unwrap()
        };
        let score = |i: u32| i * 37 % 101;
        let without_ties =
            of(&|i| (f64::from(score(i)), f64::from(score(i) + i * i % 97) + f64::from(i) / 1000.0));
        let with_ties = of(&|i| (f64::from(i * 7 % 11), f64::from(i * 7 % 11 / 2 + (i * i + 3) % 7)));
        let infinite = of(&|i| {
            let x = if i % 9 == 4 { f64::NEG_INFINITY } else { f64::from(score(i)) };
            (x, f64::from((score(i) + i * i % 97) / 5))
        });
        for (found, expected) in [without_ties, with_ties, infinite].into_iter().zip(SCIPY) {
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        }
    }

    const SCIPY: [f64; 3] = [0.6385613186705373, 0.7592654100517491, 0.5356180195247296];

    /// All pairs, one by one.
    fn by_definition(x: &[f64], y: &[f64]) -> Option<f64> {
        let tau = |x: &[f64], y: &[f64]| {
            let mut order: Vec<usize> = (0..x.len()).collect();
            order.sort_by(|&a, &b| (x[b], y[b]).partial_cmp(&(x[a], y[a])).unwrap());
            let mut weight = vec![0.0; x.len()];
            order.iter().enumerate().for_each(|(rank, &i)| weight[i] = 1.0 / (rank as f64 + 1.0));
            let sign = |a: f64, b: f64| f64::from(i8::from(a > b) - i8::from(a < b));
            let (mut product, mut squares_x, mut squares_y) = (0.0, 0.0, 0.0);
            for i in 0..x.len() {
                for j in 0..i {
                    let (w, a, b) = (weight[i] + weight[j], sign(x[i], x[j]), sign(y[i], y[j]));
                    product += w * a * b;
                    squares_x += w * a * a;
                    squares_y += w * b * b;
                }
            }
            (squares_x > 0.0 && squares_y > 0.0).then(|| product / f64::sqrt(squares_x * squares_y))
        };
        Some((tau(x, y)? + tau(y, x)?) / 2.0)
    }

    proptest! {
        #[test]
        fn equals_the_definition(values in prop::collection::vec((0..12u8, 0..12u8), 2..40)) {
            let (x, y): (Vec<f64>, Vec<f64>) = values.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).unzip();
            match (weighted_tau(&x, &y).unwrap(), by_definition(&x, &y)) {
                (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-12),
                (found, expected) => prop_assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn what_cannot_be_ranked_is_an_error() {
        for (x, y, message) in [
            (&[1.0][..], &[1.0][..], "a correlation needs at least 2 values, not 1"),
            (&[1.0, 2.0], &[1.0], "2 values, but 1 to compare with"),
            (&[1.0, 2.0], &[1.0, f64::NAN], "value 1 is NaN"),
        ] {
            assert_eq!(weighted_tau(x, y).unwrap_err().to_string(), message);
            assert_eq!(super::super::kendall_tau(x, y).unwrap_err().to_string(), message);
        }
        assert_eq!(weighted_tau(&[1.0, 1.0], &[1.0, 2.0]).unwrap(), None);
    }
}
