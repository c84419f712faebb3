//! The networks of a file with their scores, as people bring them: rows of `naswot score`, or a table of
//! their own.

use std::collections::HashSet;
use std::path::Path;

use crate::accuracies::names_in_rows;
use crate::columns;
use crate::exit::{Failure, Result};
use crate::field::{FieldKind, check_name};
use crate::join_key::{JoinKey, score_columns};
use crate::measure::{Measure, Ranking};
use crate::minus_inf::{MinusInfOption, MinusInfReader};
use crate::table::Table;

/// A network that can be ranked.
pub(crate) struct ScoredNetwork {
    /// The names that it goes by, the first of which is its identity.
    pub(crate) names: Vec<String>,
    /// The value that it is ranked by, among all networks of the file.
    pub(crate) score: f64,
    /// Whether a score that this is made from is minus infinity.
    pub(crate) infinite: bool,
    /// The numbers in further columns, where it has them.
    pub(crate) numbers: Vec<Option<f64>>,
}

/// All networks of a file that can be ranked, and counts of the other rows.
pub(crate) struct ScoredFile {
    pub(crate) networks: Vec<ScoredNetwork>,
    pub(crate) rows: usize,
    /// Rows that lack a score.
    pub(crate) failed: usize,
    /// Rows of a network that an earlier row has scored.
    pub(crate) repeated: usize,
    /// What may be wrong with the scores.
    pub(crate) warning: Option<String>,
}

impl ScoredFile {
    /// Reads a file, and of each network the numbers in some columns besides.
    pub(crate) fn read(
        file: &Path,
        ranking: &Ranking,
        key: Option<&JoinKey>,
        minus_inf: MinusInfOption,
        besides: &[&str],
    ) -> Result<Self> {
        let (mut table, keys) = open(file, ranking, key, besides)?;
        let terms = ranking.columns().count();
        let is_score = |name: &str| columns::find(name).is_some_and(|column| column.kind == FieldKind::Score);
        let scores: Vec<bool> = besides.iter().map(|name| is_score(name)).collect();
        let (mut asked, mut others) = (MinusInfReader::new(minus_inf), MinusInfReader::new(minus_inf));
        let mut lists: Vec<Vec<Option<f64>>> = vec![Vec::new(); terms];
        let (mut rows, mut failed, mut repeated) = (0, 0, 0);
        let (mut networks, mut seen) = (Vec::new(), HashSet::new());
        while let Some(record) = table.next_record()? {
            rows += 1;
            let numbers = (keys..record.texts.len()).map(|column| table.number(&record, column));
            let mut numbers = numbers.collect::<Result<Vec<_>>>()?;
            let mut besides = numbers.split_off(terms);
            numbers.iter_mut().flatten().for_each(|number| *number = asked.score(*number));
            let besides_scores = besides.iter_mut().zip(&scores).filter(|(_, is_score)| **is_score);
            besides_scores.flat_map(|(number, _)| number).for_each(|number| *number = others.score(*number));
            let names = record.texts[..keys].iter().filter(|name| !name.is_empty());
            let names = names.map(|name| check_name(name).map(|()| name_in_rows(name)));
            let names =
                names.collect::<Result<Vec<String>, _>>().map_err(|why| table.wrong(record.line, why))?;
            if numbers.contains(&None) {
                failed += 1;
            } else if !seen.insert(names.first().cloned()) {
                repeated += 1;
            } else {
                let infinite = numbers.contains(&Some(f64::NEG_INFINITY));
                networks.push(move |score| ScoredNetwork { names, score, infinite, numbers: besides });
                lists.iter_mut().zip(numbers).for_each(|(list, number)| list.push(number));
            }
        }
        // A rank is known when all networks are.
        let ranked = networks.into_iter().zip(ranking.values(&lists)?).map(|(network, score)| {
            network(score.unwrap_or_else(|| unreachable!("a network without a score is ranked")))
        });
        let warning = asked.warning(file);
        Ok(ScoredFile { networks: ranked.collect(), rows, failed, repeated, warning })
    }
}

/// The name that rows have for what a file calls a network. What may be of two spaces stays as it stands.
fn name_in_rows(text: &str) -> String {
    let mut names = names_in_rows(text);
    if names.len() == 1 { names.swap_remove(0) } else { text.to_owned() }
}

/// Opens a file; returns how many columns name its networks, which are read first.
fn open(file: &Path, ranking: &Ranking, key: Option<&JoinKey>, besides: &[&str]) -> Result<(Table, usize)> {
    let mut table = Table::open(file)?;
    if table.columns().is_empty() {
        return Err(Failure::unusable(format_args!("{}: holds no rows", file.display())));
    }
    let keys = score_columns(&mut table, key)?;
    let measures = ranking.measures().map(|measure| measure_column(&table, measure));
    let measures = measures.collect::<Result<Vec<_>>>()?;
    table.want(keys.iter().chain(&measures).map(String::as_str).chain(besides.iter().copied()))?;
    Ok((table, keys.len()))
}

/// The column of a measure: that of rows, or one of its name.
pub(crate) fn measure_column(table: &Table, measure: &Measure) -> Result<String> {
    let place = table.position(measure.column()).or_else(|| table.position(measure.name()));
    match place {
        Some(place) => Ok(table.columns()[place].clone()),
        None => {
            Err(table.wrong_columns(format_args!("none is `{}`; --score says which it is", measure.column())))
        }
    }
}
