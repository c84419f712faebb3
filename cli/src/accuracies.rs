//! Tables of accuracies: which network has which.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use clap::Args;
use naswot::Architecture;
use serde::Serialize;

use crate::column_words::{is_accuracy, is_loss};
use crate::exit::{Failure, Result};
use crate::field::{check_name, number};
use crate::join_key::{JoinKey, epoch_column, table_columns};
use crate::table::{Record, Table};
use crate::text::{listed, shortened};

/// The options by which a table of accuracies is read.
#[derive(Args, Clone, Debug, Default)]
pub struct AccuracyOptions {
    /// Column of the accuracy [default: the only one with a word for it in its name, as in test_acc or top-1]
    #[arg(long, value_name = "NAME", requires = "accuracy")]
    pub column: Option<String>,
    /// Take the column for a loss or an error: networks are compared by its negative
    #[arg(long, requires = "accuracy")]
    pub lower_is_better: bool,
    /// Column that says which network a row is about: id, hash, arch or any other [default: by id, else by arch, else by the
    /// only one that holds cells or hashes]
    #[arg(long, value_name = "NAME", requires = "accuracy")]
    pub key: Option<JoinKey>,
}

/// The unit of accuracies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// From 0 to 1.
    Fraction,
    /// From 0 to 100.
    Percent,
    /// Neither: numbers that are no accuracies.
    Other,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Fraction => "fractions",
            Unit::Percent => "percent",
            Unit::Other => "neither fractions nor percent",
        }
    }

    /// A percentage in this unit; none where the unit is not of accuracies.
    pub(crate) fn percent(self, percent: f64) -> Option<f64> {
        match self {
            Unit::Fraction => Some(percent / 100.0),
            Unit::Percent => Some(percent),
            Unit::Other => None,
        }
    }
}

/// The mean of a network's accuracies.
#[derive(Clone, Copy, Default)]
struct MeanAccuracy {
    mean: f64,
    count: u32,
}

/// Accuracies by the names of their networks.
pub(crate) struct Accuracies {
    /// Name of their column; with a minus in front where they are its negatives.
    pub(crate) column: String,
    pub(crate) unit: Unit,
    /// What may be a mistake of whoever asked for them.
    pub(crate) warnings: Vec<String>,
    /// Number of networks that the table has more than once.
    pub(crate) averaged: usize,
    by_name: HashMap<String, MeanAccuracy>,
}

impl MeanAccuracy {
    fn add(&mut self, value: f64) {
        self.count += 1;
        // Minus infinity stays: a difference of two is no number.
        if self.mean.is_finite() {
            let difference = (value - self.mean) / f64::from(self.count);
            self.mean += difference;
        }
    }
}

/// Fewest networks that figures say something about.
const FEW: usize = 30;

/// The warning of a join that few networks have come out of, where they are: of so many that have a score.
pub(crate) fn thin_join(joined: usize, scored: usize, scores: &Path, table: &Path) -> Option<String> {
    let (scores, table) = (scores.display(), table.display());
    if joined * 10 < scored {
        let doubt =
            "where more should be, see that both files name networks alike: --key says by which column";
        return Some(format!("{table}: has only {joined} of the {scored} networks of {scores}; {doubt}"));
    }
    (joined < FEW)
        .then(|| format!("{scores}: {joined} networks with an accuracy are few: figures may be chance"))
}

/// The failure of a join that no network has come out of.
pub(crate) fn nothing_in_common(scores: &Path, table: &Path) -> Failure {
    let (scores, table) = (scores.display(), table.display());
    Failure::unusable(format_args!(
        "{table}: has none of the networks of {scores}: no name is in both; --key says which column names them"
    ))
}

impl Accuracies {
    /// Reads a column of a table: the one named, or the only one whose name is like that of an accuracy.
    pub(crate) fn read(path: &Path, options: &AccuracyOptions) -> Result<Self> {
        let (accuracies, infinite) = Self::read_ranks(path, options)?;
        infinite.map_or(Ok(accuracies), Err)
    }

    /// As [`Accuracies::read`], for what compares ranks: the failure of the first that is minus infinity, as scores of another
    /// run may be, is left to the caller.
    pub(crate) fn read_ranks(path: &Path, options: &AccuracyOptions) -> Result<(Self, Option<Failure>)> {
        let mut table = Table::open(path)?;
        let keys = table_columns(&mut table, options.key.as_ref())?;
        Self::read_keys(table, keys, path, options, |key| {
            check_name(key)?;
            Ok(match options.key {
                Some(_) => names_in_rows(&numbered(key)),
                None => names_in_rows(key),
            })
        })
    }

    /// As [`Accuracies::read`], of the epochs of one training, which are named by [`epoch_name`].
    pub(crate) fn read_epochs(path: &Path, options: &AccuracyOptions) -> Result<Self> {
        let table = Table::open(path)?;
        let key = epoch_column(&table, options.key.as_ref())?;
        let name = |key: &str| Ok(vec![number(key).map_or_else(|| key.to_owned(), epoch_name)]);
        let (accuracies, infinite) = Self::read_keys(table, vec![key], path, options, name)?;
        infinite.map_or(Ok(accuracies), Err)
    }

    /// Reads a table whose keys stand in some columns, given the names that go with a key.
    fn read_keys(
        mut table: Table,
        keys: Vec<String>,
        path: &Path,
        options: &AccuracyOptions,
        names_of: impl Fn(&str) -> Result<Vec<String>, String>,
    ) -> Result<(Self, Option<Failure>)> {
        let AccuracyOptions { column, lower_is_better, .. } = options;
        let place = match column.as_deref() {
            Some(name) => {
                table.position(name).ok_or_else(|| table.wrong_columns(format_args!("none is `{name}`")))
            }
            None => accuracy_column(&table),
        }?;
        let column = table.columns()[place].clone();
        table.want(keys.iter().chain([&column]).map(String::as_str))?;
        let mut by_name: HashMap<String, MeanAccuracy> = HashMap::new();
        let (mut largest, mut infinite) = (f64::NEG_INFINITY, None);
        while let Some(record) = table.next_record()? {
            let Record { line, texts, .. } = &record;
            // Columns that say the same, as those of nasbench201 may, are one key.
            let names = texts[..keys.len()].iter().map(String::as_str).filter(|key| !key.is_empty());
            let names = names.map(&names_of).collect::<Result<Vec<_>, _>>();
            let names = names.map_err(|why| table.wrong(*line, why))?;
            let names: HashSet<String> = names.into_iter().flatten().collect();
            if names.is_empty() {
                let message = format!("has no {}: which network is it?", listed(&keys));
                return Err(table.wrong(*line, message));
            }
            let Some(value) = table.number(&record, keys.len())? else { continue };
            if value.is_infinite() && infinite.is_none() {
                infinite = Some(
                    table.wrong(*line, format_args!("{} is -inf, which is no accuracy", shortened(&column))),
                );
            }
            largest = largest.max(value);
            let value = if *lower_is_better { -value } else { value };
            for name in names {
                by_name.entry(name).or_default().add(value);
            }
        }
        let unit = match largest {
            _ if *lower_is_better => Unit::Other,
            _ if largest <= 1.0 => Unit::Fraction,
            _ if largest <= 100.0 => Unit::Percent,
            _ => Unit::Other,
        };
        let averaged = by_name.values().filter(|accuracy| accuracy.count > 1).count();
        let mut warnings = Vec::new();
        if is_loss(&column) && !lower_is_better {
            let (path, column) = (path.display(), shortened(&column));
            warnings.push(format!(
                "{path}: {column} is named like a loss or an error; if it is, add --lower-is-better"
            ));
        }
        let column = if *lower_is_better { format!("-{column}") } else { column };
        // The negative of minus infinity has no rank.
        if let Some(failure) = infinite.take_if(|_| *lower_is_better) {
            return Err(failure);
        }
        Ok((Accuracies { column, unit, warnings, averaged, by_name }, infinite))
    }

    /// The accuracy of a network, by the first of its names that the table has.
    pub(crate) fn get(&self, names: &[String]) -> Option<f64> {
        names.iter().find_map(|name| self.by_name.get(name)).map(|accuracy| accuracy.mean)
    }
}

/// The names that rows may have for what a table calls a network: those of a cell in any notation, else the text itself.
pub(crate) fn names_in_rows(text: &str) -> Vec<String> {
    let names = Architecture::names_in_rows(text);
    if names.is_empty() { vec![text.to_owned()] } else { names }
}

/// The name of an epoch in a table of accuracies.
pub(crate) fn epoch_name(epoch: f64) -> String {
    epoch.to_string()
}

/// What a column that is asked for calls a network, where it is bare digits: the benchmark's number of a cell.
fn numbered(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Cow::Owned(format!("#{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Position of the only column whose name is that of an accuracy.
fn accuracy_column(table: &Table) -> Result<usize> {
    let columns = table.columns();
    let places: Vec<usize> = (0..columns.len()).filter(|&place| is_accuracy(&columns[place])).collect();
    match places[..] {
        [place] => Ok(place),
        [] => Err(table.wrong_columns("none is named like an accuracy; --column says which it is")),
        _ => {
            let names = listed(places.iter().map(|&place| &columns[place]));
            Err(table.wrong_columns(format_args!(
                "several are named like an accuracy: {names}; --column says which it is"
            )))
        }
    }
}
