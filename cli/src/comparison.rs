//! Correlations of scores and sizes with accuracies: all figures of `correlate` and of the report.

use clap::Args;
use naswot::analysis::{Correlation, Intervals, Top, stratified_tau, weighted_tau};
use serde::{Serialize, Serializer};

use crate::accuracies::Unit;
use crate::columns::Column;
use crate::exit::Result;
use crate::measure::{scores, sizes};
use crate::options::within;

/// The paper's filter: networks that learned something, in percent.
pub(crate) const FILTER: f64 = 15.0;

/// The column of the number of convolutions.
const CONVOLUTIONS: &str = "convs";

/// Most resamples: those of a whole space take minutes, and narrow the interval no further.
const MOST_RESAMPLES: u64 = 100_000;

/// The option of how many resamples intervals are made from.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct BootstrapOption {
    /// Resamples for the intervals, at most 100000; 0 for none
    #[arg(
        long = "bootstrap",
        value_name = "N",
        default_value_t = 1000,
        requires = "accuracy",
        value_parser = within(0, MOST_RESAMPLES)
    )]
    pub(crate) resamples: usize,
}

/// The correlations of one list of numbers with the accuracies.
#[derive(Serialize)]
pub(crate) struct Comparison {
    #[serde(flatten)]
    pub(crate) correlation: Correlation,
    pub(crate) weighted_tau: Option<f64>,
    /// Kendall's tau-b among networks with equally many convolutions; none where rows do not say how many.
    pub(crate) kendall_tau_equal_convs: Option<f64>,
    pub(crate) intervals: Option<Intervals>,
}

/// Comparisons of columns, by name.
pub(crate) struct ColumnComparisons(Vec<(&'static str, &'static Column, Option<Comparison>)>);

impl ColumnComparisons {
    /// The comparisons that there are, with their columns.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Column, &Comparison)> {
        self.0.iter().filter_map(|(_, column, comparison)| Some((*column, comparison.as_ref()?)))
    }
}

impl Serialize for ColumnComparisons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, _, comparison)| (name, comparison)))
    }
}

/// The comparisons of all scores and sizes with the accuracies of some networks.
#[derive(Serialize)]
pub(crate) struct Comparisons {
    /// That of the score that was asked for.
    #[serde(flatten)]
    pub(crate) asked: Comparison,
    /// That over networks above the paper's filter; none where accuracies are neither fractions nor percent.
    pub(crate) above_15_percent: Option<Comparison>,
    /// All scores, by name; none of those that some network lacks.
    pub(crate) scores: ColumnComparisons,
    /// All sizes, which a score has to beat, likewise.
    #[serde(flatten)]
    pub(crate) sizes: ColumnComparisons,
}

/// Scores, sizes and accuracies to be compared. Equal places of all lists are one network.
pub(crate) struct ComparisonInput<'a> {
    /// The scores that were asked for.
    pub(crate) asked: &'a [f64],
    pub(crate) accuracies: &'a [f64],
    pub(crate) unit: Unit,
    /// The numbers in a column; none where a network has none.
    pub(crate) numbers: &'a dyn Fn(&Column) -> Option<Vec<f64>>,
    /// Resamples for the intervals.
    pub(crate) resamples: usize,
}

impl Comparisons {
    pub(crate) fn of(networks: &ComparisonInput) -> Result<Self> {
        let ComparisonInput { asked, accuracies, unit, numbers, .. } = networks;
        let convolutions = sizes().find(|column| column.name == CONVOLUTIONS).and_then(numbers);
        let convolutions =
            convolutions.map(|counts| counts.iter().map(|&count| count as u64).collect::<Vec<u64>>());
        let whole = AccuracyLists {
            accuracies,
            convolutions: convolutions.as_deref(),
            resamples: networks.resamples,
        };
        let of_column = &|column: &Column| numbers(column).map(|values| whole.compare(&values)).transpose();
        Ok(Comparisons {
            asked: whole.compare(asked)?,
            above_15_percent: unit
                .percent(FILTER)
                .map(|least| whole.above(least, asked))
                .transpose()?
                .flatten(),
            scores: named(scores(), of_column)?,
            sizes: named(sizes().map(|column| (column.name, column)), of_column)?,
        })
    }
}

/// The top k of some networks; none where it would be over half of them: most of these are in both halves by chance.
pub(crate) fn top(scores: &[f64], accuracies: &[f64], k: usize) -> Result<Option<Top>> {
    Ok((k * 2 <= scores.len()).then(|| Top::of(scores, accuracies, k)).transpose()?)
}

fn named(
    columns: impl Iterator<Item = (&'static str, &'static Column)>,
    compare: impl Fn(&Column) -> Result<Option<Comparison>>,
) -> Result<ColumnComparisons> {
    let compared = columns.map(|(name, column)| Ok((name, column, compare(column)?)));
    Ok(ColumnComparisons(compared.collect::<Result<_>>()?))
}

/// The accuracies that values are compared with.
struct AccuracyLists<'a> {
    accuracies: &'a [f64],
    convolutions: Option<&'a [u64]>,
    resamples: usize,
}

impl AccuracyLists<'_> {
    fn compare(&self, values: &[f64]) -> Result<Comparison> {
        let AccuracyLists { accuracies, convolutions, resamples } = *self;
        let in_strata = |strata| stratified_tau(values, accuracies, strata);
        let intervals = match resamples {
            0 => None,
            _ => Some(Intervals::of(values, accuracies, resamples, 0)?),
        };
        Ok(Comparison {
            correlation: Correlation::of(values, accuracies)?,
            weighted_tau: weighted_tau(values, accuracies)?,
            kendall_tau_equal_convs: convolutions.map(in_strata).transpose()?.flatten(),
            intervals,
        })
    }

    /// As [`AccuracyLists::compare`], over networks above an accuracy; none of too few.
    fn above(&self, least: f64, values: &[f64]) -> Result<Option<Comparison>> {
        let above: Vec<usize> = (0..values.len()).filter(|&i| self.accuracies[i] > least).collect();
        if above.len() < 2 {
            return Ok(None);
        }
        let pick = |list: &[f64]| above.iter().map(|&i| list[i]).collect::<Vec<f64>>();
        let convolutions =
            self.convolutions.map(|counts| above.iter().map(|&i| counts[i]).collect::<Vec<u64>>());
        let lists = AccuracyLists {
            accuracies: &pick(self.accuracies),
            convolutions: convolutions.as_deref(),
            resamples: self.resamples,
        };
        lists.compare(&pick(values)).map(Some)
    }
}
