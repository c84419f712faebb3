//! The networks that a page shows: rows of scores, with their accuracies.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use naswot::{Architecture, Space};

use super::trace::Trace;
use crate::accuracies::{Accuracies, AccuracyOptions, Unit, epoch_name, thin_join};
use crate::columns;
use crate::exit::{Failure, Result};
use crate::join_key::row_names;
use crate::measure::Ranking;
use crate::minus_inf::{MinusInfOption, MinusInfReader};
use crate::row_reader::{RowReader, WrittenRow};
use crate::rows::Row;
use crate::table::Columns;

/// The networks of a file, by rows.
pub struct Networks {
    /// The file's name.
    pub(super) name: String,
    /// The ranking of the networks.
    pub(super) ranking: Ranking,
    pub(super) rows: Vec<NetworkRow>,
    /// The trace that the rows are, if `naswot trace` has written them: checkpoints of a training, not networks of a space.
    pub(super) trace: Option<Trace>,
    /// The column of the accuracies; none where there is no table.
    pub(super) accuracy: Option<AccuracyColumn>,
}

/// The row of a network, and the accuracy that has been joined to it.
pub(super) struct NetworkRow {
    /// Line of the file, from 1; in Parquet the position, from 0.
    pub(super) line: usize,
    pub(super) row: Row,
    /// The value that it is ranked by, among those of its space: finite or minus infinity; none of one that failed.
    pub(super) score: Option<f64>,
    /// None where the line of the input could not be read.
    pub(super) architecture: Option<Architecture>,
    /// The accuracy, in percent where the table has fractions.
    pub(super) accuracy: Option<f64>,
    /// Whether an earlier row is of the same network.
    pub(super) repeated: bool,
}

/// A column of a table of accuracies.
pub(super) struct AccuracyColumn {
    pub(super) column: String,
    pub(super) unit: Unit,
    /// Number of networks that the table has more than once.
    pub(super) averaged: usize,
}

impl Networks {
    /// Reads rows to the last one; returns what may be wrong with their scores, too.
    pub fn read(file: &Path, ranking: &Ranking, minus_inf: MinusInfOption) -> Result<(Self, Option<String>)> {
        let mut rows = RowReader::open(file, Columns::AtLeast)?;
        let mut trace = Trace::of_columns(&rows);
        let own: Vec<&str> = own_columns(ranking).chain(trace.iter().flat_map(|_| Trace::NUMBERS)).collect();
        rows.read_besides(&own, trace.as_ref().map_or(&[], |_| &Trace::TEXTS))?;
        let (mut asked, mut others) = (MinusInfReader::new(minus_inf), MinusInfReader::new(minus_inf));
        let mut read = Vec::new();
        while let Some(written) = rows.next() {
            let mut written = written?;
            if let Some(trace) = &mut trace {
                trace.take(&mut written).map_err(|why| rows.wrong(written.line, why))?;
            }
            let WrittenRow { line, row, mut besides, .. } = written;
            besides.iter_mut().flatten().for_each(|number| *number = asked.score(*number));
            let row = row.with_scores(|column, number| match ranking.columns().any(|name| name == column) {
                true => asked.score(number),
                false => others.score(number),
            });
            read.push(Ok((line, row, besides)));
        }
        let networks = Networks::ranked(file.display().to_string(), ranking, trace, read)?;
        Ok((networks, asked.warning(file)))
    }

    /// The networks of rows, each with its line, of a file of this name or of what messages are to call so.
    pub fn of(name: String, written: impl IntoIterator<Item = Result<(usize, Row)>>) -> Result<Self> {
        let rows = written.into_iter().map(|written| written.map(|(line, row)| (line, row, Vec::new())));
        Networks::ranked(name, &Ranking::default(), None, rows)
    }

    /// The ranked networks of rows, each with its line and its numbers in those columns of a ranking that rows lack.
    fn ranked(
        name: String,
        ranking: &Ranking,
        trace: Option<Trace>,
        written: impl IntoIterator<Item = Result<(usize, Row, Vec<Option<f64>>)>>,
    ) -> Result<Self> {
        let mut rows: Vec<NetworkRow> = Vec::new();
        let mut terms: Vec<Vec<Option<f64>>> = Vec::new();
        let mut seen = HashSet::new();
        for written in written {
            let (line, row, besides) = written?;
            let architecture = row.architecture();
            let repeated =
                trace.is_none() && architecture.is_some() && !seen.insert(row.text("id").to_owned());
            let term = |name: &str| match own_columns(ranking).position(|own| own == name) {
                Some(place) => besides[place],
                None => row.number(name),
            };
            terms.push(ranking.columns().map(term).collect());
            rows.push(NetworkRow { line, row, score: None, architecture, accuracy: None, repeated });
        }
        if rows.is_empty() {
            return Err(Failure::unusable(format_args!(
                "{name}: holds no rows, so there is nothing to report; has `naswot score` scored any network?"
            )));
        }
        let mut networks = Networks { name, ranking: ranking.clone(), rows, trace, accuracy: None };
        networks.rank(&terms)?;
        if !networks.is_naswot() && networks.rows.iter().all(|network| network.score.is_none()) {
            return Err(Failure::unusable(format_args!("{}: no row has {ranking}", networks.name)));
        }
        Ok(networks)
    }

    /// Ranks the networks of each space, given what each row has in the columns of the ranking. Rows of one network have one
    /// rank, that of the first among them that can be ranked.
    fn rank(&mut self, terms: &[Vec<Option<f64>>]) -> Result<()> {
        let mut firsts: HashMap<(Option<Space>, String), usize> = HashMap::new();
        let ranked = |row: usize| !terms[row].contains(&None);
        for place in (0..self.rows.len()).filter(|&place| ranked(place)) {
            firsts.entry(self.identity(place)).or_insert(place);
        }
        let spaces: HashSet<Option<Space>> = firsts.keys().map(|(space, _)| *space).collect();
        for space in spaces {
            let places: Vec<usize> =
                firsts.iter().filter(|((of, _), _)| *of == space).map(|(_, at)| *at).collect();
            let list = |term: usize| places.iter().map(|&place| terms[place][term]).collect();
            let lists: Vec<Vec<Option<f64>>> = (0..self.ranking.columns().count()).map(list).collect();
            let scores = self.ranking.values(&lists)?;
            places.iter().zip(scores).for_each(|(&place, score)| self.rows[place].score = score);
        }
        for place in (0..self.rows.len()).filter(|&place| ranked(place)) {
            self.rows[place].score = match terms[place][..] {
                // A score of its own, though of a network that has another row.
                [term] => term,
                _ => self.rows[firsts[&self.identity(place)]].score,
            };
        }
        Ok(())
    }

    /// The identity of a row: its space, and its id or, of a trace, its checkpoint.
    fn identity(&self, place: usize) -> (Option<Space>, String) {
        let network = &self.rows[place];
        let name = match &self.trace {
            Some(trace) => trace.files[place].clone(),
            None => network.row.text("id").to_owned(),
        };
        (network.space(), name)
    }

    /// Whether networks are ranked by the score that K gives.
    pub(super) fn is_naswot(&self) -> bool {
        self.ranking.columns().eq(["score"])
    }

    /// Joins accuracies to the networks, or to the epochs of a trace; returns what may be a mistake, to be said as warnings.
    pub fn join(&mut self, table: &Path, options: &AccuracyOptions) -> Result<Vec<String>> {
        let accuracies = match &self.trace {
            Some(_) => Accuracies::read_epochs(table, options)?,
            None => Accuracies::read(table, options)?,
        };
        let scale = if accuracies.unit == Unit::Fraction { 100.0 } else { 1.0 };
        let (mut joined, mut scored) = (0, 0);
        for (place, network) in self.rows.iter_mut().enumerate() {
            let names = match &self.trace {
                Some(trace) => vec![epoch_name(trace.epochs[place])],
                None => row_names(
                    options.key.as_ref(),
                    || network.row.text("id").to_owned(),
                    network.row.text("arch").to_owned(),
                ),
            };
            let accuracy = accuracies.get(&names);
            network.accuracy = accuracy.map(|accuracy| accuracy * scale);
            joined += usize::from(accuracy.is_some() && !network.repeated);
            scored += usize::from(network.score.is_some() && !network.repeated);
        }
        if joined == 0 {
            let (table, name) = (table.display(), &self.name);
            let (what, common, them) = match &self.trace {
                Some(_) => ("epochs", "no number", "has them"),
                None => ("networks", "no name", "names them"),
            };
            let message = format!(
                "has none of the {what} of {name}: {common} is in both; --key says which column {them}"
            );
            return Err(Failure::unusable(format_args!("{table}: {message}")));
        }
        let Accuracies { column, unit, averaged, mut warnings, .. } = accuracies;
        if self.trace.is_none() {
            warnings.extend(thin_join(joined, scored, Path::new(&self.name), table));
        }
        self.accuracy = Some(AccuracyColumn { column, unit, averaged });
        Ok(warnings)
    }

    /// The place of a network's row, for messages.
    pub(super) fn place(&self, network: &NetworkRow) -> String {
        format!("{}:{}", self.name, network.line)
    }

    /// The spaces of the rows, in the order of [`Space::ALL`].
    pub(super) fn spaces(&self) -> Vec<Space> {
        let found: HashSet<Space> = self.rows.iter().filter_map(NetworkRow::space).collect();
        Space::ALL.into_iter().filter(|space| found.contains(space)).collect()
    }

    /// Whether accuracies are shown in percent.
    pub(super) fn in_percent(&self) -> bool {
        self.accuracy.as_ref().is_some_and(|accuracy| accuracy.unit != Unit::Other)
    }

    /// The first of two rows that have one index.
    pub(super) fn repeated_index(&self) -> Option<(&NetworkRow, &NetworkRow)> {
        let mut lines: HashMap<u64, &NetworkRow> = HashMap::new();
        self.rows.iter().find_map(|network| {
            let first = lines.insert(network.row.index(), network)?;
            Some((first, network))
        })
    }
}

/// The columns of a ranking that are none of rows.
fn own_columns(ranking: &Ranking) -> impl Iterator<Item = &str> {
    ranking.columns().filter(|name| columns::find(name).is_none())
}

impl NetworkRow {
    pub(super) fn space(&self) -> Option<Space> {
        self.architecture.as_ref().map(Architecture::space)
    }
}
