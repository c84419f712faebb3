//! `naswot correlate`: how well scores rank networks by their accuracy.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use naswot::analysis::{Correlation, Interval, Intervals, Top};
use serde::Serialize;

use crate::accuracies::{Accuracies, AccuracyOptions, Unit, nothing_in_common, thin_join};
use crate::columns::Column;
use crate::comparison::{self, BootstrapOption, Comparison, ComparisonInput, Comparisons, FILTER};
use crate::console::Console;
use crate::exit::{Failure, Result};
use crate::measure::{Ranking, scores, sizes};
use crate::minus_inf::MinusInfOption;
use crate::options::within;
use crate::scored::{ScoredFile, ScoredNetwork};
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot correlate scores.csv --accuracy nasbench201.csv --column cifar10_test
  naswot correlate scores.jsonl --accuracy nasbench101.csv --json

The table has a header; its column `id`, `hash` or `arch`, or --key, says which network a row is
about. Fractions or percent make no difference. Brackets hold 95 % of bootstrap resamples.";

/// Correlate scores with accuracies: Kendall tau-b, Spearman, Pearson
///
/// A score of -inf counts as the lowest one; Pearson leaves it out. Networks that failed or have no accuracy
/// are left out. Of a network that was scored more than once the first row counts; of one that is in the table
/// more than once, the mean of its accuracies. Printed besides: the same over networks above 15 % accuracy, as the paper
/// has it; the same for the numbers of parameters and of multiply-accumulates, which a score has to beat; the weighted
/// tau, to which the top counts more; and what the highest scores are worth.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Correlate {
    /// Scores: rows of `naswot score`, or a table in CSV, JSON lines or Parquet; `-` is standard input
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// Table of accuracies, in the same forms
    #[arg(long, value_name = "TABLE")]
    accuracy: PathBuf,
    #[command(flatten)]
    join: AccuracyOptions,
    /// What networks are ranked by: a score (nwot, swap, meco, ..), any column of numbers, or several of them with `+` between, which
    /// are added up by the logarithms of their ranks
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Ranking::parse)]
    score: Ranking,
    #[command(flatten)]
    minus_inf: MinusInfOption,
    /// What becomes of networks of score -inf
    #[arg(long, value_name = "RULE", default_value = "lowest")]
    infinite: Infinite,
    /// Look at the networks of the K highest scores, at most half of all
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = within(1, 1 << 32))]
    top: usize,
    #[command(flatten)]
    bootstrap: BootstrapOption,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Infinite {
    /// The lowest rank, and left out of Pearson
    Lowest,
    /// Left out of everything
    Omit,
}

/// The report of a correlation: what was compared, and what came out.
#[derive(Serialize)]
struct CorrelationReport<'a> {
    score: String,
    /// Its label in tables.
    #[serde(skip)]
    label: String,
    #[serde(flatten)]
    comparisons: Comparisons,
    column: &'a str,
    unit: Unit,
    /// Number of rows of the scores.
    rows: usize,
    /// Number of rows left out, as the network was not scored.
    failed: usize,
    /// Number of rows left out, as an earlier one is of the same network.
    repeated: usize,
    /// Number of networks left out, as the table does not have them.
    without_accuracy: usize,
    /// Number of networks left out, as their score is -inf and `--infinite omit` was asked for.
    omitted: usize,
    /// Number of networks that the table has more than once.
    averaged: usize,
    top: Option<Top>,
}

/// Pairs of the score and the accuracy of a network, or something in its place, and counts of the rest.
#[derive(Default)]
pub(crate) struct PairedScores {
    pub(crate) networks: Vec<(ScoredNetwork, f64)>,
    rows: usize,
    failed: usize,
    repeated: usize,
    without_accuracy: usize,
    omitted: usize,
    /// What may be wrong with the scores.
    pub(crate) warning: Option<String>,
}

impl Correlate {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let (accuracies, _) = Accuracies::read_ranks(&self.accuracy, &self.join)?;
        let file = ScoredFile::read(
            &self.scores,
            &self.score,
            self.join.key.as_ref(),
            self.minus_inf,
            &compared().collect::<Vec<_>>(),
        )?;
        let accuracy = |network: &ScoredNetwork| accuracies.get(&network.names);
        let pairs = PairedScores::of(file, accuracy, self.infinite);
        if pairs.networks.is_empty() {
            return Err(pairs.nothing_in_common(&self.scores, &self.accuracy));
        }
        let thin = pairs.thin_join(&self.scores, &self.accuracy);
        accuracies
            .warnings
            .iter()
            .chain(&pairs.warning)
            .chain(&thin)
            .for_each(|warning| console.warning(warning));
        let report = self.report(&pairs, &accuracies)?;
        let mut lines = StdoutLines::new();
        if self.json {
            lines.print_data(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
        } else {
            report.print(&mut lines)?;
        }
        lines.finish()
    }

    fn report<'a>(&self, pairs: &PairedScores, accuracies: &'a Accuracies) -> Result<CorrelationReport<'a>> {
        let asked: Vec<f64> = pairs.networks.iter().map(|(network, _)| network.score).collect();
        let truth: Vec<f64> = pairs.networks.iter().map(|(_, accuracy)| *accuracy).collect();
        let numbers = |column: &Column| {
            let place = compared().position(|name| name == column.name)?;
            pairs.networks.iter().map(|(network, _)| network.numbers[place]).collect()
        };
        let networks = ComparisonInput {
            asked: &asked,
            accuracies: &truth,
            unit: accuracies.unit,
            numbers: &numbers,
            resamples: self.bootstrap.resamples,
        };
        Ok(CorrelationReport {
            score: self.score.to_string(),
            label: self.score.label(),
            comparisons: Comparisons::of(&networks)?,
            column: &accuracies.column,
            unit: accuracies.unit,
            rows: pairs.rows,
            failed: pairs.failed,
            repeated: pairs.repeated,
            without_accuracy: pairs.without_accuracy,
            omitted: pairs.omitted,
            averaged: accuracies.averaged,
            top: comparison::top(&asked, &truth, self.top)?,
        })
    }
}

/// The columns that are compared beside what was asked for.
fn compared() -> impl Iterator<Item = &'static str> {
    scores().map(|(_, column)| column).chain(sizes()).map(|column| column.name)
}

impl CorrelationReport<'_> {
    fn print(&self, lines: &mut StdoutLines) -> Result<()> {
        let Correlation { networks, infinite, .. } = self.comparisons.asked.correlation;
        let CorrelationReport { failed, without_accuracy, repeated, omitted, .. } = self;
        let left_out = if networks < self.rows {
            let omitted = if *omitted > 0 { format!(", {omitted} of score -inf") } else { String::new() };
            format!(
                " (left out: {failed} failed, {without_accuracy} without an accuracy, {repeated} repeated{omitted})"
            )
        } else {
            String::new()
        };
        lines.print(format_args!("networks       {networks} of {} rows{left_out}", self.rows))?;
        lines.print(format_args!("accuracy       {} ({})", self.column, self.unit.name()))?;
        if self.averaged > 0 {
            lines
                .print(format_args!("averaged       {} that the table has more than once", self.averaged))?;
        }
        if infinite > 0 {
            lines.print(format_args!("-inf           {infinite} (the lowest rank; left out of Pearson)"))?;
        }
        let Comparison { correlation, weighted_tau, intervals, .. } = &self.comparisons.asked;
        let interval = |of: fn(&Intervals) -> Option<Interval>| intervals.as_ref().and_then(of);
        let values = [
            ("Kendall tau-b", correlation.kendall_tau, interval(|all| all.kendall_tau)),
            ("Spearman rho", correlation.spearman, interval(|all| all.spearman)),
            ("Pearson r", correlation.pearson, interval(|all| all.pearson)),
            ("weighted tau", *weighted_tau, None),
        ];
        for (name, value, interval) in values {
            let shown = match (value, interval) {
                (None, _) => "undefined: all scores or all accuracies are equal".to_owned(),
                (Some(value), None) => format!("{value:.4}"),
                (Some(value), Some(Interval { low, high })) => format!("{value:.4}  [{low:.4}, {high:.4}]"),
            };
            lines.print(format_args!("{name:<14} {shown}"))?;
        }
        if let Some(Top { k, precision, best_rank, first_rank, .. }) = self.top {
            lines
                .print(format_args!("top {k:<10} {precision:.2} of them are among the {k} most accurate"))?;
            lines.print(format_args!(
                "               best of them: number {best_rank} by accuracy of {networks}"
            ))?;
            lines.print(format_args!("               highest score: number {first_rank}"))?;
        }
        self.print_table(lines)
    }

    /// Prints the table of comparisons: the score that was asked for, and all that stands beside it.
    fn print_table(&self, lines: &mut StdoutLines) -> Result<()> {
        let Comparisons { asked, above_15_percent, scores, sizes } = &self.comparisons;
        let filtered = format!("{}, accuracy > {FILTER} %", self.label);
        let above = above_15_percent.as_ref().map(|above| (filtered.as_str(), above));
        let others = scores.iter().chain(sizes.iter()).filter(|(column, _)| column.name != self.label);
        let others = others.map(|(column, comparison)| (column.name, comparison));
        let rows: Vec<(&str, &Comparison)> =
            std::iter::once((self.label.as_str(), asked)).chain(above).chain(others).collect();
        // One character of space at least behind the longest name.
        let width = rows.iter().map(|(name, _)| name.chars().count() + 1).fold(24, usize::max);
        // Rows that do not say how many convolutions there are have none to compare among.
        let convs = rows.iter().any(|(_, comparison)| comparison.kendall_tau_equal_convs.is_some());
        let convs = |text: &str| if convs { format!("{text:>13}") } else { String::new() };
        let title = convs("equal convs");
        lines.print("")?;
        lines.print(format_args!(
            "{:<width$}{:>9}{:>10}{:>9}{:>10}{title}{:>10}",
            "", "Kendall", "Spearman", "Pearson", "weighted", "networks"
        ))?;
        let number = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.4}"));
        rows.iter().try_for_each(|(name, comparison)| {
            let Comparison { correlation, weighted_tau, kendall_tau_equal_convs, .. } = comparison;
            lines.print(format_args!(
                "{name:<width$}{:>9}{:>10}{:>9}{:>10}{}{:>10}",
                number(correlation.kendall_tau),
                number(correlation.spearman),
                number(correlation.pearson),
                number(*weighted_tau),
                convs(&number(*kendall_tau_equal_convs)),
                correlation.networks
            ))
        })
    }
}

impl PairedScores {
    /// The networks of a file, each with a value that goes with it.
    pub(crate) fn of(
        file: ScoredFile,
        value: impl Fn(&ScoredNetwork) -> Option<f64>,
        infinite: Infinite,
    ) -> Self {
        let ScoredFile { networks, rows, failed, repeated, warning } = file;
        let mut pairs = PairedScores { rows, failed, repeated, warning, ..PairedScores::default() };
        for network in networks {
            match value(&network) {
                None => pairs.without_accuracy += 1,
                Some(_) if network.infinite && infinite == Infinite::Omit => pairs.omitted += 1,
                Some(value) => pairs.networks.push((network, value)),
            }
        }
        pairs
    }

    /// The warning that few networks have an accuracy, where they are.
    pub(crate) fn thin_join(&self, scores: &Path, table: &Path) -> Option<String> {
        let joined = self.networks.len() + self.omitted;
        thin_join(joined, joined + self.without_accuracy, scores, table)
    }

    /// The failure that there is no pair.
    pub(crate) fn nothing_in_common(&self, scores: &Path, table: &Path) -> Failure {
        let PairedScores { rows, failed, without_accuracy, .. } = self;
        if *without_accuracy > 0 {
            return nothing_in_common(scores, table);
        }
        let scores = scores.display();
        Failure::unusable(format_args!("{scores}: holds no scores ({rows} rows, {failed} of them failed)"))
    }
}
