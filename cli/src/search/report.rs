//! Statistics of searches over many runs.

use naswot::analysis::Summary;
use serde::Serialize;

use super::algorithm::Algorithm;
use super::published::Published;
use crate::accuracies::Unit;
use crate::exit::Result;
use crate::stdout_lines::StdoutLines;

/// The result of one run.
pub(super) struct SearchRun {
    /// Accuracy of the network that was found.
    pub(super) chosen: f64,
    /// The best accuracy among those that were looked at.
    pub(super) optimum: f64,
    /// Accuracy of a network found by chance.
    pub(super) chance: f64,
    pub(super) seconds: f64,
    pub(super) scoring_seconds: f64,
}

/// Mean and standard deviation over runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct MeanAndDeviation {
    mean: f64,
    /// None of a single run.
    sd: Option<f64>,
}

impl MeanAndDeviation {
    /// Mean and deviation of the values of one run or more.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let Some(Summary { mean, deviation }) = Summary::of(values) else {
            unreachable!("there is a run at least");
        };
        MeanAndDeviation { mean, sd: deviation }
    }

    /// Mean and deviation times a factor, with two decimals.
    fn show(self, factor: f64) -> String {
        let sd = self.sd.map_or(String::new(), |sd| format!(" +- {:.2}", sd * factor));
        format!("{:.2}{sd}", self.mean * factor)
    }
}

/// Statistics of all runs with one number of samples.
#[derive(Serialize)]
pub(super) struct SearchStatistics {
    samples: usize,
    runs: usize,
    chosen: MeanAndDeviation,
    optimum: MeanAndDeviation,
    /// Accuracy by chance: of AREA that of the best of as many random evaluations, else of a network picked at random.
    chance: MeanAndDeviation,
    /// Wall time of a run.
    seconds: f64,
    /// Time for scoring the networks of a run, in this run or an earlier one.
    scoring_seconds: f64,
    published: Option<Published>,
}

impl SearchStatistics {
    pub(super) fn of(samples: usize, runs: &[SearchRun], published: Option<Published>) -> Self {
        let spread = |of: fn(&SearchRun) -> f64| MeanAndDeviation::of(runs.iter().map(of));
        SearchStatistics {
            samples,
            runs: runs.len(),
            chosen: spread(|run| run.chosen),
            optimum: spread(|run| run.optimum),
            chance: spread(|run| run.chance),
            seconds: spread(|run| run.seconds).mean,
            scoring_seconds: spread(|run| run.scoring_seconds).mean,
            published,
        }
    }
}

/// The report of the command.
#[derive(Serialize)]
pub(super) struct SearchReport<'a> {
    pub(super) space: &'static str,
    pub(super) algorithm: Algorithm,
    /// Number of networks that could be found.
    pub(super) candidates: usize,
    pub(super) column: &'a str,
    pub(super) unit: Unit,
    pub(super) results: Vec<SearchStatistics>,
}

impl SearchReport<'_> {
    pub(super) fn print(&self, lines: &mut StdoutLines) -> Result<()> {
        // A table shows percent, whatever the file has.
        let (factor, unit) = match self.unit {
            Unit::Fraction => (100.0, "percent"),
            unit => (1.0, unit.name()),
        };
        lines.print(format_args!("space      {}, {} candidates", self.space, self.candidates))?;
        lines.print(format_args!("accuracy   {}, {unit}", self.column))?;
        lines.print("")?;
        let chance = match self.algorithm {
            Algorithm::Area => "random search",
            _ => "random pick",
        };
        let published = self.results.iter().any(|statistics| statistics.published.is_some());
        let header = if published { "  Mellor et al. (2021)" } else { "" };
        lines.print(format_args!(
            "{:>7} {:>5} {:>15} {:>15} {:>15} {:>10} {:>10}{header}",
            "samples",
            "runs",
            self.algorithm.name(),
            "optimum",
            chance,
            "seconds",
            "scoring s"
        ))?;
        self.results.iter().try_for_each(|statistics| {
            let published = statistics.published.map_or(String::new(), |Published { mean, sd, seconds }| {
                format!("  {mean:.2} +- {sd:.2} in {seconds:.2} s")
            });
            lines.print(format_args!(
                "{:>7} {:>5} {:>15} {:>15} {:>15} {:>10.4} {:>10.2}{published}",
                statistics.samples,
                statistics.runs,
                statistics.chosen.show(factor),
                statistics.optimum.show(factor),
                statistics.chance.show(factor),
                statistics.seconds,
                statistics.scoring_seconds,
            ))
        })
    }
}
