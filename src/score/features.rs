//! Scores of features, from the eigenvalues of channel correlations and covariances: MeCo, and the expressivity and
//! progressivity of AZ-NAS.
//!
//! ```text
//! meco           = sum of lambda_min(correlation) over convolutions and cells
//! H(mark)        = -sum_i p_i ln p_i            p_i = lambda_i / sum_j lambda_j of the covariance
//! expressivity   = sum of H over marks          progressivity = min over neighboring marks of H(later) - H(earlier)
//! ```
//!
//! Eigenvalues below 0, which rounding makes, are 0, and 0 ln 0 is 0. Where a mark is constant in all channels both scores of
//! entropies are -inf; progressivity is where there are not two marks to compare.

use super::scatter::Scatter;
use super::{ScoreKind, ScoreValues, spectrum};
use crate::{Error, Precision, Result};

/// A feature: the scatter matrix of a tensor's channels, and what scores read of it.
pub(crate) struct Feature<'a> {
    /// The node whose channels they are.
    pub(crate) node: &'a str,
    pub(crate) scatter: Scatter,
    /// How often the least eigenvalue of the correlation counts.
    pub(crate) least: u32,
    /// The marks that it is, by position among all.
    pub(crate) marks: &'a [usize],
}

/// The scores of a network's features: MeCo where `correlations` are asked for, those of entropies where there is a number of
/// `marks`. A mark that is no feature's is constant.
///
/// # Errors
/// A matrix with numbers that are not finite.
#[inline(always)]
pub(crate) fn feature_scores(
    features: &[Feature],
    correlations: bool,
    marks: Option<usize>,
    precision: Precision,
) -> Result<ScoreValues> {
    if let Some(feature) = features.iter().find(|feature| !feature.scatter.is_finite()) {
        return Err(Error::NonFinite { node: feature.node.to_owned(), precision: precision.name() });
    }
    let tolerance = tolerance(precision);
    // No closures: these are compiled apart from what they stand in, without its instruction set.
    let mut scores = ScoreValues::default();
    if correlations {
        scores.set(ScoreKind::Meco, meco(features, tolerance));
    }
    if let Some(marks) = marks {
        let entropies: Option<Vec<f64>> = entropies(features, marks, tolerance).into_iter().collect();
        // None where a mark is constant.
        let over_marks = |score: fn(&[f64]) -> f64| entropies.as_deref().map_or(f64::NEG_INFINITY, score);
        scores.set(ScoreKind::Expressivity, over_marks(|entropies| entropies.iter().sum()));
        let progressivity = over_marks(|entropies| {
            let growths = entropies.windows(2).map(|pair| pair[1] - pair[0]);
            growths.reduce(f64::min).unwrap_or(f64::NEG_INFINITY)
        });
        scores.set(ScoreKind::Progressivity, progressivity);
    }
    Ok(scores)
}

/// Share of a matrix's norm within which its eigenvalues are found: far below what rounding in that precision makes of them.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F64 => 4e-16,
        _ => 1e-9,
    }
}

/// The sum of least eigenvalues of correlations.
#[inline(always)]
fn meco(features: &[Feature], tolerance: f64) -> f64 {
    let counted: Vec<&Feature> = features.iter().filter(|feature| feature.least > 0).collect();
    let matrices: Vec<Vec<f64>> = counted.iter().map(|feature| feature.scatter.correlation()).collect();
    let least = spectrum::least(&matrices.iter().map(|matrix| &matrix[..]).collect::<Vec<_>>(), tolerance);
    counted.iter().zip(least).map(|(feature, least)| f64::from(feature.least) * least.max(0.0)).sum()
}

/// The entropy of each mark's spectrum; none where it is constant.
#[inline(always)]
fn entropies(features: &[Feature], marks: usize, tolerance: f64) -> Vec<Option<f64>> {
    let mut entropies = vec![None; marks];
    let marked = features.iter().filter(|feature| !feature.marks.is_empty());
    let (varying, matrices): (Vec<&Feature>, Vec<Vec<f64>>) =
        marked.filter_map(|feature| Some((feature, feature.scatter.covariance()?))).unzip();
    let all = spectrum::all(&matrices.iter().map(|matrix| &matrix[..]).collect::<Vec<_>>(), tolerance);
    let mut rest = &all[..];
    for feature in varying {
        let (eigenvalues, others) = rest.split_at(feature.scatter.channels());
        feature.marks.iter().for_each(|&mark| entropies[mark] = Some(entropy(eigenvalues)));
        rest = others;
    }
    entropies
}

/// -sum p ln p of eigenvalues made to sum to 1, in nats.
fn entropy(eigenvalues: &[f64]) -> f64 {
    let sum: f64 = eigenvalues.iter().map(|value| value.max(0.0)).sum();
    let terms = eigenvalues.iter().map(|value| value / sum).filter(|&p| p > 0.0).map(|p| -p * p.ln());
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_a_distribution() {
        assert_eq!(entropy(&[0.0, 0.0, 5.0]), 0.0);
        assert_eq!(entropy(&[-1e-12, 3.0, 3.0]), 2f64.ln());
        approx::assert_relative_eq!(entropy(&[1.0; 16]), 16f64.ln(), max_relative = 1e-15);
    }
}
