//! The accuracies of the networks of a sweep.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::accuracies::{Accuracies, AccuracyOptions, Unit, nothing_in_common, thin_join};
use crate::comparison::BootstrapOption;
use crate::console::Console;
use crate::exit::Result;
use crate::input::InputLine;
use crate::join_key::row_names;

#[derive(Args, Debug)]
#[command(next_help_heading = "Accuracies")]
pub(super) struct AccuracyTableOptions {
    /// Table of accuracies, as `naswot correlate` reads it: print how well each setting ranks networks by them
    #[arg(long, value_name = "TABLE")]
    accuracy: Option<PathBuf>,
    #[command(flatten)]
    join: AccuracyOptions,
    #[command(flatten)]
    bootstrap: BootstrapOption,
}

impl AccuracyTableOptions {
    /// The table, where there is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.accuracy.as_deref()
    }
}

/// The accuracies of the networks of an input.
pub(super) struct JoinedAccuracies {
    column: String,
    unit: Unit,
    averaged: usize,
    /// Resamples for the intervals.
    pub(super) resamples: usize,
    /// What there is for each line, in order.
    lines: Vec<LineAccuracy>,
}

/// The accuracy of a line of the input.
#[derive(Clone, Copy)]
enum LineAccuracy {
    Of(f64),
    /// None: the table does not have its network.
    Missing,
    /// Not counted: an earlier line is of the same network.
    Repeated,
    /// None: the line is no network.
    NoNetwork,
}

/// What the scores of a sweep are correlated with, and how many networks that leaves out; keys as in `correlate --json`.
#[derive(Clone, Serialize)]
pub(super) struct JoinCounts {
    column: String,
    unit: Unit,
    /// Number of networks that are compared.
    networks: usize,
    /// Number of networks left out, as the table does not have them.
    without_accuracy: usize,
    /// Number of networks left out, as an earlier one is the same.
    repeated: usize,
    /// Number of networks that the table has more than once.
    averaged: usize,
}

/// The accuracies of some of the networks.
pub(super) struct AccuraciesAmong {
    /// Their places among these networks.
    pub(super) places: Vec<usize>,
    pub(super) accuracies: Vec<f64>,
    pub(super) counts: JoinCounts,
}

impl AccuracyTableOptions {
    /// Reads the table, where one is asked for, and looks all networks up, so that a sweep of many hours does not end in a
    /// join of nothing.
    pub(super) fn join(
        &self,
        input: &str,
        lines: &[InputLine],
        console: &Console,
    ) -> Result<Option<JoinedAccuracies>> {
        let Some(table) = &self.accuracy else { return Ok(None) };
        let (accuracies, _) = Accuracies::read_ranks(table, &self.join)?;
        accuracies.warnings.iter().for_each(|warning| console.warning(warning));
        let mut seen = HashSet::new();
        let mut of_line = |line: &InputLine| {
            let Ok(architecture) = &line.architecture else { return LineAccuracy::NoNetwork };
            let names = row_names(self.join.key.as_ref(), || architecture.id(), architecture.arch());
            let accuracy = accuracies.get(&names);
            if !seen.insert(names) {
                return LineAccuracy::Repeated;
            }
            accuracy.map_or(LineAccuracy::Missing, LineAccuracy::Of)
        };
        let lines: Vec<LineAccuracy> = lines.iter().map(&mut of_line).collect();
        let count = |is: fn(&LineAccuracy) -> bool| lines.iter().filter(|line| is(line)).count();
        let joined = count(|line| matches!(line, LineAccuracy::Of(_)));
        if joined == 0 {
            return Err(nothing_in_common(Path::new(input), table));
        }
        let missing = count(|line| matches!(line, LineAccuracy::Missing));
        let thin = thin_join(joined, joined + missing, Path::new(input), table);
        thin.iter().for_each(|warning| console.warning(warning));
        let Accuracies { column, unit, averaged, .. } = accuracies;
        Ok(Some(JoinedAccuracies { column, unit, averaged, resamples: self.bootstrap.resamples, lines }))
    }
}

impl JoinedAccuracies {
    /// Those of the networks of some lines.
    pub(super) fn among(&self, lines: &[usize]) -> AccuraciesAmong {
        let JoinedAccuracies { column, unit, averaged, .. } = self;
        let (column, unit, averaged) = (column.clone(), *unit, *averaged);
        let (mut places, mut accuracies) = (Vec::new(), Vec::new());
        let (mut without_accuracy, mut repeated) = (0, 0);
        for (place, &line) in lines.iter().enumerate() {
            match self.lines[line] {
                LineAccuracy::Of(accuracy) => {
                    places.push(place);
                    accuracies.push(accuracy);
                }
                LineAccuracy::Missing => without_accuracy += 1,
                LineAccuracy::Repeated => repeated += 1,
                LineAccuracy::NoNetwork => unreachable!("line {line}, which is no network, has a score"),
            }
        }
        let networks = places.len();
        let counts = JoinCounts { column, unit, networks, without_accuracy, repeated, averaged };
        AccuraciesAmong { places, accuracies, counts }
    }
}

impl fmt::Display for JoinCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JoinCounts { column, unit, networks, without_accuracy, repeated, .. } = self;
        write!(f, "{networks} with an accuracy: {column} ({})", unit.name())?;
        if without_accuracy + repeated > 0 {
            write!(f, "; left out: {without_accuracy} without an accuracy, {repeated} repeated")?;
        }
        if self.averaged > 0 {
            write!(f, "; averaged: {} that the table has more than once", self.averaged)?;
        }
        Ok(())
    }
}
