//! The figures that a page states.

use std::collections::HashSet;

use naswot::Space;
use naswot::analysis::drawing::thousands;
use naswot::analysis::{Histogram, Interval, Summary, Top, TopNetwork, Trend};
use serde::Serialize;

use super::networks::{NetworkRow, Networks};
use crate::accuracies::Unit;
use crate::comparison::{self, Comparisons};
use crate::exit::Result;

/// Networks of the highest scores that a page looks at.
const TOP: usize = 10;

/// Numbers of rows by their outcome.
#[derive(Default)]
pub(super) struct RowCounts {
    pub(super) finite: usize,
    pub(super) infinite: usize,
    pub(super) failed: usize,
    pub(super) repeated: usize,
    /// Networks with a score but no accuracy, where there is a table.
    pub(super) without_accuracy: usize,
}

impl RowCounts {
    pub(super) fn of(networks: &Networks) -> Self {
        let mut counts = RowCounts::default();
        for network in &networks.rows {
            match network.score {
                None => counts.failed += 1,
                Some(score) if score.is_finite() => counts.finite += 1,
                Some(_) => counts.infinite += 1,
            }
            counts.repeated += usize::from(network.repeated);
            let alone = network.score.is_some() && network.accuracy.is_none();
            counts.without_accuracy += usize::from(alone && networks.accuracy.is_some());
        }
        counts
    }
}

/// The distribution of the finite scores of one space.
pub(super) struct ScoreDistribution {
    pub(super) space: Space,
    pub(super) networks: usize,
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) mean: f64,
    pub(super) most: f64,
    /// Standard deviation of a sample: divided by n - 1; none of one network.
    pub(super) deviation: Option<f64>,
}

impl ScoreDistribution {
    fn of(space: Space, mut scores: Vec<f64>) -> Option<Self> {
        scores.sort_unstable_by(f64::total_cmp);
        let (&least, &most) = (scores.first()?, scores.last()?);
        let n = scores.len();
        let Summary { mean, deviation } = Summary::of(scores.iter().copied())?;
        let median = (scores[(n - 1) / 2] + scores[n / 2]) / 2.0;
        Some(ScoreDistribution { space, networks: n, least, median, mean, most, deviation })
    }
}

/// The comparison of scores with accuracies in one space.
pub(super) struct SpaceComparison {
    pub(super) space: Space,
    pub(super) comparisons: Comparisons,
    /// The trend of accuracy over score.
    pub(super) trend: Option<Trend>,
    /// None of fewer networks than are twice as many.
    pub(super) top: Option<TopNetworks>,
}

/// The networks of the highest scores of one space.
#[derive(Serialize)]
pub(super) struct TopNetworks {
    space: &'static str,
    /// Number of networks that they are among.
    of: usize,
    #[serde(flatten)]
    top: Top,
    /// Row and rank by accuracy of each, the highest score first.
    networks: Vec<(usize, usize)>,
}

impl TopNetworks {
    fn of(space: Space, joined: &[usize], scores: &[f64], accuracies: &[f64]) -> Result<Option<Self>> {
        let Some(top) = comparison::top(scores, accuracies, TOP)? else { return Ok(None) };
        let row = |network: TopNetwork| (joined[network.place], network.rank);
        let networks = Top::networks(scores, accuracies, top.k)?.into_iter().map(row).collect();
        Ok(Some(TopNetworks { space: space.name(), of: joined.len(), top, networks }))
    }
}

impl SpaceComparison {
    fn of(space: Space, joined: &[usize], networks: &Networks, resamples: usize) -> Result<Option<Self>> {
        if joined.len() < 2 {
            return Ok(None);
        }
        let pick = |of: &dyn Fn(&NetworkRow) -> Option<f64>| {
            joined.iter().map(|&row| of(&networks.rows[row])).collect()
        };
        let (Some(scores), Some(accuracies)): (Option<Vec<f64>>, Option<Vec<f64>>) =
            (pick(&|network| network.score), pick(&|network| network.accuracy))
        else {
            unreachable!("networks that were joined have both");
        };
        let comparisons = Comparisons::of(&comparison::ComparisonInput {
            asked: &scores,
            accuracies: &accuracies,
            unit: if networks.in_percent() { Unit::Percent } else { Unit::Other },
            numbers: &|column| pick(&|network| network.row.number(column.name)),
            resamples,
        })?;
        let trend = Trend::of(&scores, &accuracies);
        let top = TopNetworks::of(space, joined, &scores, &accuracies)?;
        Ok(Some(SpaceComparison { space, comparisons, trend, top }))
    }
}

/// The figures of the networks.
pub(super) struct Figures {
    pub(super) counts: RowCounts,
    pub(super) spreads: Vec<ScoreDistribution>,
    pub(super) against: Vec<SpaceComparison>,
    pub(super) bins: Bins,
}

/// A histogram of the finite scores, by space.
#[derive(Default, Serialize)]
pub(super) struct Bins {
    pub(super) start: f64,
    pub(super) width: f64,
    /// The spaces that have finite scores.
    pub(super) spaces: Vec<&'static str>,
    /// The counts of each of them.
    pub(super) counts: Vec<Vec<usize>>,
}

impl Figures {
    pub(super) fn of(networks: &Networks, resamples: usize) -> Result<Self> {
        // The checkpoints of a training are no sample of a space.
        let spaces = if networks.trace.is_some() { Vec::new() } else { networks.spaces() };
        let of_space =
            |space: Space| networks.rows.iter().filter(move |network| network.space() == Some(space));
        let finite = |space| {
            let scores = of_space(space).filter_map(|network| network.score);
            scores.filter(|score| score.is_finite()).collect::<Vec<f64>>()
        };
        let spreads: Vec<ScoreDistribution> =
            spaces.iter().filter_map(|&space| ScoreDistribution::of(space, finite(space))).collect();
        let mut against = Vec::new();
        for &space in &spaces {
            // Of a network that was scored more than once the first row counts.
            let mut seen = HashSet::new();
            let mut is_joined = |network: &NetworkRow| {
                let both = network.score.is_some() && network.accuracy.is_some();
                network.space() == Some(space) && both && seen.insert(network.row.text("id").to_owned())
            };
            let joined: Vec<usize> =
                (0..networks.rows.len()).filter(|&row| is_joined(&networks.rows[row])).collect();
            against.extend(SpaceComparison::of(space, &joined, networks, resamples)?);
        }
        let all: Vec<f64> = spreads.iter().flat_map(|spread| finite(spread.space)).collect();
        let bins = Histogram::of(&all).map_or(Bins::default(), |histogram| {
            let count = |spread: &ScoreDistribution| {
                let mut counts = vec![0; histogram.counts.len()];
                finite(spread.space).into_iter().for_each(|score| counts[histogram.bin(score)] += 1);
                counts
            };
            let counts = spreads.iter().map(count).collect();
            let spaces = spreads.iter().map(|spread| spread.space.name()).collect();
            Bins { start: histogram.start, width: histogram.width, spaces, counts }
        });
        Ok(Figures { counts: RowCounts::of(networks), spreads, against, bins })
    }
}

/// A correlation with its interval, as HTML.
pub(super) fn shown(value: Option<f64>, interval: Option<Interval>) -> String {
    match (value, interval) {
        (None, _) => "undefined".to_owned(),
        (Some(value), None) => signed(value, 3),
        (Some(value), Some(Interval { low, high })) => {
            format!("{} <small>[{}, {}]</small>", signed(value, 3), signed(low, 3), signed(high, 3))
        }
    }
}

/// A number with so many decimals and its thousands apart, its sign a minus rather than a hyphen.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    if value == f64::NEG_INFINITY {
        return "−inf".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let whole = text.split('.').next().unwrap_or_default();
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}{}", thousands(whole), &text[whole.len()..])
}

/// A count with its thousands apart.
pub(super) fn grouped(count: usize) -> String {
    thousands(&count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart_and_a_minus() {
        for (value, decimals, text) in [
            (0.0, 3, "0.000"),
            (-0.5, 2, "−0.50"),
            (999.999, 2, "1,000.00"),
            (-1_234_567.891, 1, "−1,234,567.9"),
            (12.0, 0, "12"),
            (f64::NEG_INFINITY, 2, "−inf"),
        ] {
            assert_eq!(signed(value, decimals), text);
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_spread_is_that_of_the_sample() {
        let spread = ScoreDistribution::of(Space::NasBench101, vec![4.0, 1.0, 3.0, 8.0]).unwrap();
        let found = (spread.least, spread.median, spread.mean, spread.most);
        assert_eq!(found, (1.0, 3.5, 4.0, 8.0));
        // Python's statistics.stdev.
        assert!((spread.deviation.unwrap() - 2.943_920_288_775_949).abs() < 1e-15);
        let one = ScoreDistribution::of(Space::NasBench101, vec![2.0]).unwrap();
        assert_eq!((one.median, one.deviation), (2.0, None));
        assert!(ScoreDistribution::of(Space::NasBench101, vec![]).is_none());
    }
}
