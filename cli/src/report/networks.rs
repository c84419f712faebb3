//! The networks that a page shows: rows of scores, with their accuracies.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use naswot::{Architecture, Space};

use crate::accuracies::{Accuracies, By, Unit};
use crate::exit::{Failure, Result};
use crate::row_file::RowFile;
use crate::row_reader::{RowReader, WrittenRow};
use crate::rows::Row;
use crate::table::Columns;

/// All rows of a file.
pub struct Networks {
    /// The file's name.
    pub(super) name: String,
    pub(super) rows: Vec<Network>,
    /// What the accuracies are; none where there is no table.
    pub(super) accuracy: Option<Accuracy>,
}

/// A row, and what has been joined to it.
pub(super) struct Network {
    /// Line of the file, from 1; in Parquet the position, from 0.
    pub(super) line: usize,
    pub(super) row: Row,
    /// None where the line of the input could not be read.
    pub(super) architecture: Option<Architecture>,
    /// In percent where the table has fractions.
    pub(super) accuracy: Option<f64>,
    /// Whether an earlier row is of the same network.
    pub(super) repeated: bool,
}

/// A column of a table of accuracies.
pub(super) struct Accuracy {
    pub(super) column: String,
    pub(super) unit: Unit,
    /// Networks that the table has more than once.
    pub(super) averaged: usize,
}

impl Networks {
    /// Reads rows to the last one.
    pub fn read(file: &RowFile) -> Result<Self> {
        let rows = RowReader::open(file, Columns::AtLeast)?;
        let rows = rows.map(|written| written.map(|WrittenRow { line, row, .. }| (line, row)));
        Networks::of(file.path().display().to_string(), rows)
    }

    /// Takes rows, each with its line, of a file of this name or of what messages are to call so.
    pub fn of(name: String, written: impl IntoIterator<Item = Result<(usize, Row)>>) -> Result<Self> {
        let mut rows: Vec<Network> = Vec::new();
        let mut seen = HashSet::new();
        for written in written {
            let (line, row) = written?;
            let architecture = row.architecture();
            let repeated = architecture.is_some() && !seen.insert(row.text("id").to_owned());
            rows.push(Network { line, row, architecture, accuracy: None, repeated });
        }
        if rows.is_empty() {
            return Err(Failure::unusable(format_args!(
                "{name}: holds no rows, so there is nothing to report; has `naswot score` scored any network?"
            )));
        }
        Ok(Networks { name, rows, accuracy: None })
    }

    /// Joins accuracies to the networks.
    pub fn join(&mut self, table: &Path, column: Option<&str>, by: Option<By>) -> Result<()> {
        let accuracies = Accuracies::read(table, column, by)?;
        let scale = if accuracies.unit == Unit::Fraction { 100.0 } else { 1.0 };
        let mut found = false;
        for network in &mut self.rows {
            let accuracy = accuracies.get(network.row.text("id"), network.row.text("arch"));
            network.accuracy = accuracy.map(|accuracy| accuracy * scale);
            found |= accuracy.is_some();
        }
        if !found {
            let (table, name) = (table.display(), &self.name);
            let message = format!("has none of the networks of {name}: no id or arch is in both");
            return Err(Failure::unusable(format_args!("{table}: {message}")));
        }
        let Accuracies { column, unit, averaged, .. } = accuracies;
        self.accuracy = Some(Accuracy { column, unit, averaged });
        Ok(())
    }

    /// Where a network's row is, for messages.
    pub(super) fn place(&self, network: &Network) -> String {
        format!("{}:{}", self.name, network.line)
    }

    /// The spaces of the rows, in the order of [`Space::ALL`].
    pub(super) fn spaces(&self) -> Vec<Space> {
        let found: HashSet<Space> = self.rows.iter().filter_map(Network::space).collect();
        Space::ALL.into_iter().filter(|space| found.contains(space)).collect()
    }

    /// Whether accuracies are shown in percent.
    pub(super) fn in_percent(&self) -> bool {
        self.accuracy.as_ref().is_some_and(|accuracy| accuracy.unit != Unit::Other)
    }

    /// The first of two rows that have one index.
    pub(super) fn repeated_index(&self) -> Option<(&Network, &Network)> {
        let mut lines: HashMap<u64, &Network> = HashMap::new();
        self.rows.iter().find_map(|network| {
            let first = lines.insert(network.row.index(), network)?;
            Some((first, network))
        })
    }
}

impl Network {
    /// Finite or minus infinity; none of a network that failed.
    pub(super) fn score(&self) -> Option<f64> {
        self.row.score()
    }

    pub(super) fn space(&self) -> Option<Space> {
        self.architecture.as_ref().map(Architecture::space)
    }
}
