//! `naswot correlate`: how well scores rank networks by their accuracy.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use naswot::analysis::{Correlation, Interval, Intervals, Top, weighted_tau};
use serde::Serialize;

use crate::accuracies::{Accuracies, By, Unit};
use crate::exit::{Failure, Result};
use crate::lines::Lines;
use crate::options::within;
use crate::row_file::RowFile;
use crate::scored::{Scored, read_scored};

/// The paper's filter: networks that learned something, in percent.
const FILTER: f64 = 15.0;

/// Most resamples: those of a whole space take minutes, and narrow the interval no further.
const MOST_RESAMPLES: u64 = 100_000;

const EXAMPLES: &str = "\
Examples:
  naswot correlate scores.csv --accuracy nasbench201.csv --column cifar10_test
  naswot correlate scores.jsonl --accuracy nasbench101.csv --json

The table has a header; its column `id`, `hash` or `arch` says which network a row is about. Fractions or
percent make no difference. Brackets hold 95 % of bootstrap resamples.";

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
    /// Scores as `naswot score` writes them: .csv, .jsonl or .parquet
    #[arg(value_name = "SCORES", value_parser = RowFile::parse)]
    scores: RowFile,
    /// Table of accuracies (CSV)
    #[arg(long, value_name = "TABLE")]
    accuracy: PathBuf,
    /// Column of the accuracy [default: the only one named like acc, test or valid]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Join by this alone [default: by id, else by arch]
    #[arg(long)]
    by: Option<By>,
    /// What becomes of networks of score -inf
    #[arg(long, value_name = "RULE", default_value = "lowest")]
    infinite: Infinite,
    /// Look at the networks of the K highest scores
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = within(1, 1 << 32))]
    top: usize,
    /// Resamples for the intervals, at most 100000; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = within(0, MOST_RESAMPLES))]
    bootstrap: usize,
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

/// What was compared, and what came out.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    score: Comparison,
    column: &'a str,
    unit: Unit,
    /// Rows of the scores.
    rows: usize,
    /// Left out: the network was not scored.
    failed: usize,
    /// Left out: an earlier row is of the same network.
    repeated: usize,
    /// Left out: the table does not have the network.
    without_accuracy: usize,
    /// Left out: the score is -inf, and was to be.
    omitted: usize,
    /// Networks that the table has more than once.
    averaged: usize,
    top: Top,
    /// Networks above the paper's filter; none where accuracies are neither fractions nor percent.
    above_15_percent: Option<Comparison>,
    /// What counting weights is worth; none where rows do not have it.
    parameters: Option<Comparison>,
    macs: Option<Comparison>,
}

/// How well something ranks networks by their accuracy.
#[derive(Serialize)]
struct Comparison {
    #[serde(flatten)]
    correlation: Correlation,
    weighted_tau: Option<f64>,
    intervals: Option<Intervals>,
}

impl Comparison {
    fn of(scores: &[f64], accuracies: &[f64], resamples: usize) -> Result<Self> {
        let correlation = Correlation::of(scores, accuracies)?;
        let weighted_tau = weighted_tau(scores, accuracies)?;
        let intervals = match resamples {
            0 => None,
            _ => Some(Intervals::of(scores, accuracies, resamples, 0)?),
        };
        Ok(Comparison { correlation, weighted_tau, intervals })
    }

    /// As [`Comparison::of`]; none of too few networks.
    fn of_some(scores: &[f64], accuracies: &[f64], resamples: usize) -> Result<Option<Self>> {
        if scores.len() < 2 { Ok(None) } else { Self::of(scores, accuracies, resamples).map(Some) }
    }
}

/// Networks that have a score and an accuracy, or something in its place, and counts of the rest.
#[derive(Default)]
pub(crate) struct Joined {
    pub(crate) networks: Vec<(Scored, f64)>,
    rows: usize,
    failed: usize,
    repeated: usize,
    without_accuracy: usize,
    omitted: usize,
}

impl Correlate {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        let accuracies = Accuracies::read(&self.accuracy, self.column.as_deref(), self.by)?;
        let joined = join(&self.scores, &accuracies, self.infinite)?;
        if joined.networks.is_empty() {
            return Err(joined.nothing_in_common(self.scores.path(), &self.accuracy));
        }
        let report = self.report(&joined, &accuracies)?;
        let mut lines = Lines::new();
        if self.json {
            lines.print(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
        } else {
            report.print(&mut lines)?;
        }
        lines.finish()
    }

    fn report<'a>(&self, joined: &Joined, accuracies: &'a Accuracies) -> Result<Report<'a>> {
        let column = |place: usize| {
            let numbers: Option<Vec<f64>> =
                joined.networks.iter().map(|(scored, _)| scored.numbers[place]).collect();
            numbers.unwrap_or_default()
        };
        let scores = column(0);
        let truth: Vec<f64> = joined.networks.iter().map(|(_, accuracy)| *accuracy).collect();
        let count = |counts: Vec<f64>| Comparison::of_some(&counts, &truth, self.bootstrap);
        let above = match accuracies.unit.percent(FILTER) {
            None => None,
            Some(least) => {
                let pairs = scores.iter().zip(&truth).filter(|(_, accuracy)| **accuracy > least);
                let (scores, truth): (Vec<f64>, Vec<f64>) = pairs.unzip();
                Comparison::of_some(&scores, &truth, self.bootstrap)?
            }
        };
        Ok(Report {
            score: Comparison::of(&scores, &truth, self.bootstrap)?,
            column: &accuracies.column,
            unit: accuracies.unit,
            rows: joined.rows,
            failed: joined.failed,
            repeated: joined.repeated,
            without_accuracy: joined.without_accuracy,
            omitted: joined.omitted,
            averaged: accuracies.averaged,
            top: Top::of(&scores, &truth, self.top)?,
            above_15_percent: above,
            parameters: count(column(1))?,
            macs: count(column(2))?,
        })
    }
}

impl Report<'_> {
    fn print(&self, lines: &mut Lines) -> Result<()> {
        let Correlation { networks, infinite, .. } = self.score.correlation;
        let Report { failed, without_accuracy, repeated, omitted, .. } = self;
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
        let Comparison { correlation, weighted_tau, intervals } = &self.score;
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
        let Top { k, precision, best_rank, first_rank, .. } = self.top;
        lines.print(format_args!("top {k:<10} {precision:.2} of them are among the {k} most accurate"))?;
        lines.print(format_args!(
            "               best of them: number {best_rank} by accuracy of {networks}"
        ))?;
        lines.print(format_args!("               highest score: number {first_rank}"))?;
        lines.print(format_args!(
            "\n{:<24}{:>9}{:>10}{:>9}{:>10}{:>10}",
            "", "Kendall", "Spearman", "Pearson", "weighted", "networks"
        ))?;
        let filtered = format!("score, accuracy > {FILTER} %");
        let rows = [
            ("score", Some(&self.score)),
            (&filtered, self.above_15_percent.as_ref()),
            ("parameters", self.parameters.as_ref()),
            ("macs", self.macs.as_ref()),
        ];
        for (name, comparison) in rows {
            let Some(Comparison { correlation, weighted_tau, .. }) = comparison else { continue };
            let number = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.4}"));
            lines.print(format_args!(
                "{name:<24}{:>9}{:>10}{:>9}{:>10}{:>10}",
                number(correlation.kendall_tau),
                number(correlation.spearman),
                number(correlation.pearson),
                number(*weighted_tau),
                correlation.networks
            ))?;
        }
        Ok(())
    }
}

/// Scores with the accuracies of their networks.
pub(crate) fn join(file: &RowFile, accuracies: &Accuracies, infinite: Infinite) -> Result<Joined> {
    Joined::read(file, |scored| accuracies.get(&scored.id, &scored.arch), infinite)
}

impl Joined {
    /// Reads scores, each with a value that goes with it.
    pub(crate) fn read(
        file: &RowFile,
        value: impl Fn(&Scored) -> Option<f64>,
        infinite: Infinite,
    ) -> Result<Self> {
        let mut joined = Joined::default();
        let mut seen: HashSet<String> = HashSet::new();
        read_scored(file, &["score", "parameters", "macs"], |scored| {
            joined.rows += 1;
            let name = if scored.id.is_empty() { &scored.arch } else { &scored.id };
            match (scored.numbers[0], value(&scored)) {
                (None, _) => joined.failed += 1,
                (Some(_), None) => joined.without_accuracy += 1,
                (Some(_), Some(_)) if !seen.insert(name.clone()) => joined.repeated += 1,
                (Some(f64::NEG_INFINITY), Some(_)) if infinite == Infinite::Omit => joined.omitted += 1,
                (Some(_), Some(value)) => joined.networks.push((scored, value)),
            }
        })?;
        Ok(joined)
    }

    /// Why there is no network.
    pub(crate) fn nothing_in_common(&self, scores: &Path, table: &Path) -> Failure {
        let (scores, table) = (scores.display(), table.display());
        let Joined { rows, failed, .. } = self;
        Failure::unusable(match self.without_accuracy {
            0 => format!("{scores}: holds no scores ({rows} rows, {failed} of them failed)"),
            _ => format!("{table}: has none of the networks of {scores}: no id or arch is in both"),
        })
    }
}
