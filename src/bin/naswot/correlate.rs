//! `naswot correlate`: how well scores rank networks by their accuracy.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::Args;
use naswot::analysis::Correlation;
use serde::Serialize;

use crate::exit::{Failure, Result};
use crate::lines::Lines;
use crate::table::{Scored, Table, read_scores};

const EXAMPLES: &str = "\
Examples:
  naswot correlate scores.csv --accuracy nasbench201.csv --column cifar10_test
  naswot correlate scores.jsonl --accuracy nasbench101.csv --json

The table has a header; its column `id`, `hash` or `arch` says which network a row is about. Fractions or
percent make no difference.";

/// Correlate scores with accuracies: Kendall tau-b, Spearman, Pearson
///
/// A score of -inf counts as the lowest one; Pearson leaves it out. Networks that failed or have no accuracy
/// are left out. Of a network that was scored more than once the first row counts; of one that is in the table
/// more than once, the mean of its accuracies.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Correlate {
    /// Scores as `naswot score` writes them: .csv or .jsonl
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// Table of accuracies (CSV)
    #[arg(long, value_name = "TABLE")]
    accuracy: PathBuf,
    /// Column of the accuracy [default: the only one named like acc, test or valid]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was compared, and what came out.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    correlation: Correlation,
    column: &'a str,
    /// Rows of the scores.
    rows: usize,
    /// Left out: the network was not scored.
    failed: usize,
    /// Left out: an earlier row is of the same network.
    repeated: usize,
    /// Left out: the table does not have the network.
    without_accuracy: usize,
    /// Networks that the table has more than once.
    averaged: usize,
}

/// Scores and accuracies of the same networks, and counts of the rest.
#[derive(Default)]
struct Joined {
    scores: Vec<f64>,
    accuracies: Vec<f64>,
    rows: usize,
    failed: usize,
    repeated: usize,
    without_accuracy: usize,
}

impl Correlate {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        let (column, accuracies) = accuracies(&self.accuracy, self.column.as_deref())?;
        let joined = join(&self.scores, &accuracies)?;
        if joined.scores.is_empty() {
            return Err(nothing_in_common(&joined, &self.scores, &self.accuracy));
        }
        let report = Report {
            correlation: Correlation::of(&joined.scores, &joined.accuracies)?,
            column: &column,
            rows: joined.rows,
            failed: joined.failed,
            repeated: joined.repeated,
            without_accuracy: joined.without_accuracy,
            averaged: accuracies.values().filter(|accuracy| accuracy.count > 1).count(),
        };
        let mut lines = Lines::new();
        if self.json {
            lines.print(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
        } else {
            report.print(&mut lines)?;
        }
        lines.finish()
    }
}

impl Report<'_> {
    fn print(&self, lines: &mut Lines) -> Result<()> {
        let Report { correlation, column, rows, failed, repeated, without_accuracy, averaged } = self;
        let (networks, infinite) = (correlation.networks, correlation.infinite);
        let left_out = if networks < *rows {
            format!(
                " (left out: {failed} failed, {without_accuracy} without an accuracy, {repeated} repeated)"
            )
        } else {
            String::new()
        };
        lines.print(format_args!("networks       {networks} of {rows} rows{left_out}"))?;
        lines.print(format_args!("accuracy       {column}"))?;
        if *averaged > 0 {
            lines.print(format_args!("averaged       {averaged} that the table has more than once"))?;
        }
        if infinite > 0 {
            lines.print(format_args!("-inf           {infinite} (the lowest rank; left out of Pearson)"))?;
        }
        let values = [
            ("Kendall tau-b", correlation.kendall_tau),
            ("Spearman rho", correlation.spearman),
            ("Pearson r", correlation.pearson),
        ];
        values.iter().try_for_each(|(name, value)| match value {
            Some(value) => lines.print(format_args!("{name:<14} {value:.4}")),
            None => lines.print(format_args!("{name:<14} undefined: all scores or all accuracies are equal")),
        })
    }
}

/// The mean of a network's accuracies.
#[derive(Clone, Copy, Default)]
struct Accuracy {
    mean: f64,
    count: u32,
}

/// The accuracies of a table by id, and the column that they stand in.
fn accuracies(path: &Path, column: Option<&str>) -> Result<(String, HashMap<String, Accuracy>)> {
    let mut table = Table::open(path)?;
    let keys: Vec<usize> = ["id", "hash", "arch"].iter().filter_map(|name| table.position(name)).collect();
    if keys.is_empty() {
        return Err(table.wrong_columns("none is `id`, `hash` or `arch`"));
    }
    let place = match column {
        Some(name) => {
            table.position(name).ok_or_else(|| table.wrong_columns(format_args!("none is `{name}`")))
        }
        None => accuracy_column(&table),
    }?;
    let column = table.columns()[place].clone();
    let mut accuracies: HashMap<String, Accuracy> = HashMap::new();
    while let Some((line, row)) = table.next()? {
        if row[place].is_empty() {
            continue;
        }
        let value = row[place].parse::<f64>().ok().filter(|value| value.is_finite());
        let value = value
            .ok_or_else(|| table.wrong(line, format_args!("{column} is `{}`, not a number", &row[place])))?;
        // Columns that say the same, as those of nasbench201 may, are one key.
        let names: HashSet<&str> = keys.iter().map(|&key| &row[key]).filter(|key| !key.is_empty()).collect();
        for name in names {
            let accuracy = accuracies.entry(name.to_owned()).or_default();
            accuracy.count += 1;
            accuracy.mean += (value - accuracy.mean) / f64::from(accuracy.count);
        }
    }
    Ok((column, accuracies))
}

/// The only column that is named like an accuracy.
fn accuracy_column(table: &Table) -> Result<usize> {
    let alike =
        |name: &String| ["acc", "test", "valid"].iter().any(|part| name.to_ascii_lowercase().contains(part));
    let places: Vec<usize> = (0..table.columns().len()).filter(|&i| alike(&table.columns()[i])).collect();
    match places[..] {
        [place] => Ok(place),
        [] => Err(table.wrong_columns("none is named like an accuracy; --column says which it is")),
        _ => Err(table.wrong_columns("several are named like an accuracy; --column says which it is")),
    }
}

fn join(path: &Path, accuracies: &HashMap<String, Accuracy>) -> Result<Joined> {
    let mut joined = Joined::default();
    let mut seen: HashSet<String> = HashSet::new();
    read_scores(path, |Scored { id, arch, score }| {
        joined.rows += 1;
        let accuracy = accuracies.get(&id).or_else(|| accuracies.get(&arch));
        match (score, accuracy) {
            (None, _) => joined.failed += 1,
            (Some(_), None) => joined.without_accuracy += 1,
            (Some(_), Some(_)) if !seen.insert(if id.is_empty() { arch } else { id }) => joined.repeated += 1,
            (Some(score), Some(accuracy)) => {
                joined.scores.push(score);
                joined.accuracies.push(accuracy.mean);
            }
        }
    })?;
    Ok(joined)
}

fn nothing_in_common(joined: &Joined, scores: &Path, table: &Path) -> Failure {
    let (scores, table) = (scores.display(), table.display());
    let Joined { rows, failed, .. } = joined;
    Failure::unusable(match joined.without_accuracy {
        0 => format!("{scores}: holds no scores ({rows} rows, {failed} of them failed)"),
        _ => format!("{table}: has none of the networks of {scores}: no id or arch is in both"),
    })
}
