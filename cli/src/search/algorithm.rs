//! The algorithms of a search.

use clap::ValueEnum;
use serde::Serialize;

/// An algorithm of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    /// Draw networks with replacement, keep the best score
    Random,
    /// Evaluate the best by score, then evolve by the accuracies of a table
    Area,
    /// Regularised evolution on the score alone
    Evolution,
}

impl Algorithm {
    /// Its name in options and results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Random => "random",
            Algorithm::Area => "area",
            Algorithm::Evolution => "evolution",
        }
    }
}
