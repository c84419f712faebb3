//! The report of a sweep: what each setting gave, how far the settings agree, and how well each ranks by accuracy.

use naswot::analysis::{Correlation, Interval, Intervals, Summary, kendall_tau};
use serde::Serialize;

use super::accuracy::{JoinCounts, JoinedAccuracies};
use crate::exit::Result;
use crate::measure::Measure;
use crate::stdout_lines::StdoutLines;

/// The keys of a setting in JSON that are results, and so no part of its name.
pub(crate) const RESULTS: [&str; 3] = ["mean_score", "infinite", "correlation"];

/// The result of a setting, as it was really used.
#[derive(Serialize)]
pub(super) struct SettingResult {
    pub(super) batch_size: usize,
    pub(super) data_seed: Option<u64>,
    pub(super) noise: f64,
    pub(super) seed: u64,
    pub(super) initializer: &'static str,
    pub(super) precision: String,
    pub(super) convention: &'static str,
    /// Mean over finite scores.
    pub(super) mean_score: Option<f64>,
    /// Number of scores of -inf.
    pub(super) infinite: usize,
    /// With the accuracies, where there is a table of them and at least two networks are in it.
    pub(super) correlation: Option<SettingCorrelation>,
}

/// The correlation of the scores of a setting with accuracies, keys as in `correlate --json`.
#[derive(Serialize)]
pub(super) struct SettingCorrelation {
    #[serde(flatten)]
    correlation: Correlation,
    /// None where no resamples were asked for.
    intervals: Option<Intervals>,
}

/// The report of a sweep.
#[derive(Serialize)]
pub(super) struct SweepReport {
    /// The measure that was compared, and its column.
    score: String,
    #[serde(skip)]
    column: String,
    /// Number of networks that were compared.
    networks: usize,
    pub(super) failed: usize,
    /// What the scores were correlated with.
    accuracy: Option<JoinCounts>,
    settings: Vec<SettingResult>,
    /// Kendall's tau-b between any two settings; null where it is not defined.
    kendall_tau: Vec<Vec<Option<f64>>>,
}

impl SweepReport {
    /// Compares the settings over the networks that all of them have scored.
    pub(super) fn of(
        measure: &Measure,
        mut settings: Vec<SettingResult>,
        scores: &[Vec<Option<f64>>],
        accuracies: Option<&JoinedAccuracies>,
    ) -> Result<Self> {
        let total = scores.first().map_or(0, Vec::len);
        let whole: Vec<usize> =
            (0..total).filter(|&i| scores.iter().all(|scores| scores[i].is_some())).collect();
        let scores: Vec<Vec<f64>> =
            scores.iter().map(|scores| whole.iter().filter_map(|&i| scores[i]).collect()).collect();
        let joined = accuracies.map(|accuracies| accuracies.among(&whole));
        for (setting, scores) in settings.iter_mut().zip(&scores) {
            let finite = scores.iter().copied().filter(|score| score.is_finite());
            setting.infinite = scores.len() - finite.clone().count();
            setting.mean_score = Summary::of(finite).map(|summary| summary.mean);
            if let (Some(joined), Some(accuracies)) = (&joined, accuracies) {
                let scores: Vec<f64> = joined.places.iter().map(|&place| scores[place]).collect();
                let resamples = accuracies.resamples;
                setting.correlation = SettingCorrelation::of(&scores, &joined.accuracies, resamples)?;
            }
        }
        // A ranking needs two networks.
        let tau = |a: &[f64], b: &[f64]| if whole.len() < 2 { Ok(None) } else { Ok(kendall_tau(a, b)?) };
        let row = |a: &Vec<f64>| scores.iter().map(|b| tau(a, b)).collect::<Result<Vec<_>>>();
        let tau = scores.iter().map(row).collect::<Result<Vec<_>>>()?;
        Ok(SweepReport {
            score: measure.name().to_owned(),
            column: measure.column().to_owned(),
            networks: whole.len(),
            failed: total - whole.len(),
            accuracy: joined.map(|joined| joined.counts),
            settings,
            kendall_tau: tau,
        })
    }

    pub(super) fn print(&self, lines: &mut StdoutLines) -> Result<()> {
        let failed = if self.failed > 0 { format!(" ({} failed)", self.failed) } else { String::new() };
        lines.print(format_args!("{} networks{failed}", self.networks))?;
        if let Some(accuracy) = &self.accuracy {
            lines.print(accuracy)?;
        }
        lines.print("")?;
        print_table(self.settings(), lines)?;
        lines.print("")?;
        lines.print("Kendall tau-b")?;
        let numbers = || (0..self.settings.len()).map(|number| number.to_string());
        let header = std::iter::once(String::new()).chain(numbers()).collect();
        let rows = self.kendall_tau.iter().zip(numbers()).map(|(row, number)| {
            let values = row.iter().map(|tau| tau.map_or("none".to_owned(), |tau| format!("{tau:.3}")));
            std::iter::once(number).chain(values).collect()
        });
        print_table(std::iter::once(header).chain(rows).collect(), lines)
    }

    /// The table of settings, its header first.
    fn settings(&self) -> Vec<Vec<String>> {
        let mean = format!("mean {}", self.column);
        let header = [
            "",
            "batch_size",
            "data_seed",
            "noise",
            "seed",
            "initializer",
            "precision",
            "convention",
            &mean,
            "-inf",
        ];
        let tau = self.accuracy.is_some().then(|| "tau to accuracy".to_owned());
        let header = header.map(str::to_owned).into_iter().chain(tau).collect();
        let rows = self.settings.iter().enumerate().map(|(number, setting)| {
            let columns = [
                number.to_string(),
                setting.batch_size.to_string(),
                setting.data_seed.map_or("first".to_owned(), |seed| seed.to_string()),
                setting.noise.to_string(),
                setting.seed.to_string(),
                setting.initializer.to_owned(),
                setting.precision.clone(),
                setting.convention.to_owned(),
                setting.mean_score.map_or(String::new(), |mean| format!("{mean:.2}")),
                setting.infinite.to_string(),
            ];
            let tau = self.accuracy.is_some().then(|| {
                setting.correlation.as_ref().map_or("none".to_owned(), SettingCorrelation::kendall_tau)
            });
            columns.into_iter().chain(tau).collect()
        });
        std::iter::once(header).chain(rows).collect()
    }
}

impl SettingCorrelation {
    /// The correlation, of two networks at least.
    fn of(scores: &[f64], accuracies: &[f64], resamples: usize) -> Result<Option<Self>> {
        if scores.len() < 2 {
            return Ok(None);
        }
        let correlation = Correlation::of(scores, accuracies)?;
        let intervals = match resamples {
            0 => None,
            _ => Some(Intervals::of(scores, accuracies, resamples, 0)?),
        };
        Ok(Some(SettingCorrelation { correlation, intervals }))
    }

    /// Kendall's tau-b with its interval, as text.
    fn kendall_tau(&self) -> String {
        let interval = self.intervals.and_then(|intervals| intervals.kendall_tau);
        match (self.correlation.kendall_tau, interval) {
            (None, _) => "none".to_owned(),
            (Some(tau), None) => format!("{tau:.3}"),
            (Some(tau), Some(Interval { low, high })) => format!("{tau:.3} [{low:.3}, {high:.3}]"),
        }
    }
}

/// Prints columns, aligned to the right.
fn print_table(rows: Vec<Vec<String>>, lines: &mut StdoutLines) -> Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().try_for_each(|row| {
        let cells = row.iter().zip(&widths).map(|(text, &width)| format!("{text:>width$}"));
        lines.print(cells.collect::<Vec<_>>().join("  "))
    })
}
