//! The networks of a file with their scores, as people bring them: rows of `naswot score`, or a table of
//! their own.

use std::collections::HashSet;
use std::path::Path;

use crate::columns;
use crate::exit::{Failure, Result};
use crate::field::FieldKind;
use crate::measure::Ranking;
use crate::minus_inf::{MinusInfOption, MinusInfReader};
use crate::table::Table;

/// A network that can be ranked.
pub(crate) struct ScoredNetwork {
    pub(crate) id: String,
    pub(crate) arch: String,
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
        minus_inf: MinusInfOption,
        besides: &[&str],
    ) -> Result<Self> {
        let mut table = open(file, ranking, besides)?;
        let terms = ranking.columns().count();
        let is_score = |name: &str| columns::find(name).is_some_and(|column| column.kind == FieldKind::Score);
        let scores: Vec<bool> = besides.iter().map(|name| is_score(name)).collect();
        let (mut asked, mut others) = (MinusInfReader::new(minus_inf), MinusInfReader::new(minus_inf));
        let mut lists: Vec<Vec<Option<f64>>> = vec![Vec::new(); terms];
        let (mut rows, mut failed, mut repeated) = (0, 0, 0);
        let (mut networks, mut seen) = (Vec::new(), HashSet::new());
        while let Some(record) = table.next_record()? {
            rows += 1;
            let numbers = (NAMES.len()..record.texts.len()).map(|column| table.number(&record, column));
            let mut numbers = numbers.collect::<Result<Vec<_>>>()?;
            let mut besides = numbers.split_off(terms);
            numbers.iter_mut().flatten().for_each(|number| *number = asked.score(*number));
            let besides_scores = besides.iter_mut().zip(&scores).filter(|(_, is_score)| **is_score);
            besides_scores.flat_map(|(number, _)| number).for_each(|number| *number = others.score(*number));
            let [id, arch] = [&record.texts[0], &record.texts[1]];
            if numbers.contains(&None) {
                failed += 1;
            } else if !seen.insert(if id.is_empty() { arch.clone() } else { id.clone() }) {
                repeated += 1;
            } else {
                let infinite = numbers.contains(&Some(f64::NEG_INFINITY));
                let (id, arch) = (id.clone(), arch.clone());
                networks.push(move |score| ScoredNetwork { id, arch, score, infinite, numbers: besides });
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

/// The columns that say which network a row is of.
const NAMES: [&str; 2] = ["id", "arch"];

fn open(file: &Path, ranking: &Ranking, besides: &[&str]) -> Result<Table> {
    let mut table = Table::open(file)?;
    if table.columns().is_empty() {
        return Err(Failure::unusable(format_args!("{}: holds no rows", file.display())));
    }
    if NAMES.iter().all(|name| table.position(name).is_none()) {
        return Err(table.wrong_columns("none is `id` or `arch`"));
    }
    if let Some(missing) = ranking.columns().find(|name| table.position(name).is_none()) {
        return Err(table.wrong_columns(format_args!("none is `{missing}`")));
    }
    table.want(NAMES.into_iter().chain(ranking.columns()).chain(besides.iter().copied()))?;
    Ok(table)
}
