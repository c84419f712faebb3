//! Measures that networks are ranked by: a score, a size, any number that a file has of them, or a sum of log ranks.

use std::fmt;

use naswot::ScoreKind;
use naswot::analysis::log_rank_sums;

use crate::columns::{self, COLUMNS, Column, Role};
use crate::exit::Result;
use crate::field::FieldKind;

/// A measure: a number that networks have, named by its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure(String);

impl Measure {
    /// Reads a name: that of a score or of a column.
    pub(crate) fn of_file(name: &str) -> Result<Self, String> {
        match name.trim() {
            "" => Err("the name of a score is missing".to_owned()),
            name => {
                let score = name.to_ascii_lowercase().parse::<ScoreKind>().ok().map(column_of);
                let own = COLUMNS.iter().map(|column| column.name);
                let column = score.or_else(|| own.into_iter().find(|own| own.eq_ignore_ascii_case(name)));
                Ok(Measure(column.unwrap_or(name).to_owned()))
            }
        }
    }

    /// As [`Measure::of_file`], for rows that this command makes.
    pub(crate) fn of_rows(name: &str) -> Result<Self, String> {
        let measure = Self::of_file(name)?;
        match columns::find(measure.column()) {
            Some(column) if column.kind != FieldKind::Text => Ok(measure),
            _ => {
                let scores = ScoreKind::ALL.iter().map(|score| score.name());
                let known: Vec<&str> = scores.chain(sizes().map(|column| column.name)).collect();
                Err(format!("is no score and no column of numbers; known are {} and so on", known.join(", ")))
            }
        }
    }

    /// The column that holds it.
    pub fn column(&self) -> &str {
        &self.0
    }

    /// The score that it is, if it is one.
    pub(crate) fn score(&self) -> Option<ScoreKind> {
        ScoreKind::ALL.iter().copied().find(|score| column_of(*score) == self.0)
    }

    /// Whether it is a size, which a network's graph gives without a forward pass.
    pub(crate) fn is_size(&self) -> bool {
        sizes().any(|column| column.name == self.0)
    }

    /// Its name: that of the score, or of the column.
    pub(crate) fn name(&self) -> &str {
        match self.score() {
            Some(score) => score.name(),
            None => &self.0,
        }
    }

    /// Its label on an axis.
    pub(crate) fn title(&self) -> &str {
        columns::find(&self.0).map_or(&self.0, |column| column.title)
    }
}

/// The column of a score.
pub(crate) fn column_of(score: ScoreKind) -> &'static str {
    match score {
        // The score of this project's name was there before there were others.
        ScoreKind::Nwot => "score",
        score => score.name(),
    }
}

/// The scores by name, with their columns.
pub(crate) fn scores() -> impl Iterator<Item = (&'static str, &'static Column)> {
    ScoreKind::ALL.iter().map(|&score| (score.name(), &COLUMNS[columns::place(column_of(score))]))
}

/// The columns that say how large networks are.
pub(crate) fn sizes() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(|column| column.role == Role::Size)
}

/// A ranking: by one measure, or by several that are added up by their log ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking(Vec<Measure>);

/// The ranking by NASWOT's score.
impl Default for Ranking {
    fn default() -> Self {
        Ranking(vec![Measure(column_of(ScoreKind::Nwot).to_owned())])
    }
}

impl Ranking {
    /// Reads names with `+` between them.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        text.split('+').map(Measure::of_file).collect::<Result<_, _>>().map(Ranking)
    }

    /// The measures that it is made from.
    pub(crate) fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.0.iter()
    }

    /// The columns that it is made from.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Measure::column)
    }

    /// Its label in tables: the column, where it is one.
    pub(crate) fn label(&self) -> String {
        if let [measure] = &self.0[..] { measure.column().to_owned() } else { self.to_string() }
    }

    /// Its label on an axis.
    pub(crate) fn title(&self) -> String {
        match &self.0[..] {
            [measure] => measure.title().to_owned(),
            _ => format!("{self}, sum of log ranks"),
        }
    }

    /// The values that networks are ranked by, given a list for each of its columns.
    pub(crate) fn values(&self, lists: &[Vec<Option<f64>>]) -> naswot::Result<Vec<Option<f64>>> {
        match lists {
            [list] => Ok(list.clone()),
            lists => log_rank_sums(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        }
    }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(Measure::name).collect();
        f.write_str(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_a_column() {
        let columns: Vec<&str> = scores().map(|(_, column)| column.name).collect();
        let of_kind = COLUMNS.iter().filter(|column| column.kind == FieldKind::Score);
        assert!(of_kind.map(|column| column.name).eq(columns));
    }
}
