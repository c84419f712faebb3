//! `naswot plot heat-maps`: the kernels of networks from the least accurate to the most.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use naswot::Agreement;
use naswot::analysis::drawing::{HeatMap, MOST_HEAT_MAPS, heat_maps_svg};

use super::options::{PictureOptions, ShadeOptions, drawn};
use crate::accuracies::{Accuracies, AccuracyOptions, Unit};
use crate::console::Console;
use crate::correlate::{Infinite, PairedScores};
use crate::exit::{Failure, Result};
use crate::kernels::{self, KernelFacts};
use crate::measure::Ranking;
use crate::minus_inf::MinusInfOption;
use crate::scored::{ScoredFile, ScoredNetwork};

/// Agreement matrices of many networks, from the least accurate to the most
///
/// As figure 1 of Mellor et al. (2021): K / N_A, all in the same colors, from the smallest entry of any to 1. Of all networks with a
/// score and an accuracy, those at evenly spaced ranks by accuracy, the lowest at the upper left, the highest at the lower
/// right, row by row; equal accuracies rank in the order of the file. Above each stand its accuracy and its score.
#[derive(Args, Debug)]
pub(super) struct HeatMapsPlot {
    /// Rows of `naswot score --kernels`; `-` is standard input
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// Kernels that `naswot score --kernels` wrote with them
    #[arg(long, value_name = "DIR")]
    kernels: PathBuf,
    /// Table of accuracies, as `naswot correlate` reads it
    #[arg(long, value_name = "TABLE")]
    accuracy: PathBuf,
    #[command(flatten)]
    join: AccuracyOptions,
    /// Rows of the picture, and networks in each
    #[arg(long, value_name = "ROWSxCOLUMNS", default_value = "3x8")]
    grid: Grid,
    /// What stands below the accuracy: a score (nwot, swap, meco, ..), any column of numbers, or a sum of log ranks
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Ranking::parse)]
    score: Ranking,
    #[command(flatten)]
    minus_inf: MinusInfOption,
    #[command(flatten)]
    shades: ShadeOptions,
    #[command(flatten)]
    pub(super) picture: PictureOptions,
}

/// The columns of rows that find and check a kernel.
const KERNEL_COLUMNS: [&str; 4] = ["index", "batch_size", "activations", "score"];

/// A grid of matrices, of two at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    rows: usize,
    columns: usize,
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text
            .split_once('x')
            .and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)));
        match sides {
            Some((1, 1)) => Err("holds one matrix: `naswot plot heat-map` draws it".to_owned()),
            Some((rows @ 1..=MOST_HEAT_MAPS, columns @ 1..=MOST_HEAT_MAPS)) => Ok(Grid { rows, columns }),
            _ => {
                Err(format!("is not of the form ROWSxCOLUMNS, such as 3x8, each from 1 to {MOST_HEAT_MAPS}"))
            }
        }
    }
}

impl Grid {
    /// The evenly spaced ranks of so many among n, at least as many, the first and the last among them.
    fn ranks(self, n: usize) -> impl Iterator<Item = usize> {
        let steps = self.matrices() - 1;
        (0..=steps).map(move |step| (step * (n - 1) + steps / 2) / steps)
    }

    fn matrices(self) -> usize {
        self.rows * self.columns
    }
}

impl HeatMapsPlot {
    /// The files that it is drawn from, kernels aside.
    pub(super) fn inputs(&self) -> [&PathBuf; 2] {
        [&self.scores, &self.accuracy]
    }

    pub(super) fn draw(&self, console: &Console) -> Result<String> {
        let accuracies = Accuracies::read(&self.accuracy, &self.join)?;
        let (networks, among) = self.networks(&accuracies, console)?;
        let kernels = self.kernels(&networks)?;
        let captions: Vec<[String; 2]> = networks
            .iter()
            .map(|(network, accuracy)| [shown(accuracies.unit, *accuracy), format!("{:.1}", network.score)])
            .collect();
        let maps: Vec<HeatMap> = kernels
            .iter()
            .zip(&captions)
            .map(|(kernel, [accuracy, score])| HeatMap { kernel, caption: [accuracy, score] })
            .collect();
        let (column, title) = (&accuracies.column, self.score.title());
        let notes = [
            format!("{} of {among} networks, at even steps of their rank by {column}.", networks.len()),
            format!("Above each: {column}; {title}."),
        ];
        let shades = self.shades.shades(kernels.iter())?;
        let theme = self.picture.look.theme();
        drawn(&self.scores, heat_maps_svg(&maps, self.grid.columns, shades, &notes, theme))
    }

    /// The networks of the picture, with their accuracies, and the number of those that they are chosen from.
    fn networks(
        &self,
        accuracies: &Accuracies,
        console: &Console,
    ) -> Result<(Vec<(ScoredNetwork, f64)>, usize)> {
        let scores = self.scores.display();
        let key = self.join.key.as_ref();
        let file = ScoredFile::read(&self.scores, &self.score, key, self.minus_inf, &KERNEL_COLUMNS)?;
        let accuracy = |network: &ScoredNetwork| accuracies.get(&network.names);
        let pairs = PairedScores::of(file, accuracy, Infinite::Lowest);
        if pairs.networks.is_empty() {
            return Err(pairs.nothing_in_common(&self.scores, &self.accuracy));
        }
        accuracies.warnings.iter().chain(&pairs.warning).for_each(|warning| console.warning(warning));
        let (mut networks, wanted) = (pairs.networks, self.grid.matrices());
        if networks.len() < wanted {
            let Grid { rows, columns } = self.grid;
            let found = networks.len();
            return Err(Failure::unusable(format_args!(
                "{scores}: {found} networks have a score and an accuracy, and --grid {rows}x{columns} takes {wanted}"
            )));
        }
        networks.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let among = networks.len();
        let mut ranks = self.grid.ranks(among).peekable();
        let chosen = networks.into_iter().enumerate().filter(|(rank, _)| ranks.next_if_eq(rank).is_some());
        Ok((chosen.map(|(_, network)| network).collect(), among))
    }

    /// The kernels of networks, each that of its row.
    fn kernels(&self, networks: &[(ScoredNetwork, f64)]) -> Result<Vec<Agreement>> {
        let (scores, folder) = (self.scores.display(), self.kernels.display());
        let indices = networks.iter().map(|(network, _)| network.numbers[0].map(|index| index as u64));
        let Some(indices) = indices.collect::<Option<Vec<u64>>>() else {
            return Err(Failure::unusable(format_args!(
                "{scores}: has no `index` of some networks, by which {folder} names kernels: are they rows of `naswot score`?"
            )));
        };
        let missing: Vec<u64> =
            indices.iter().copied().filter(|&index| !kernels::path(&self.kernels, index).exists()).collect();
        if let Some(first) = missing.first() {
            let (missing, all) = (missing.len(), indices.len());
            return Err(Failure::unusable(format_args!(
                "{folder}: lacks the kernels of {missing} of the {all} networks of the picture, such as {first}.npy; \
                 `naswot score FILE -o {scores} --kernels {folder} --force` writes them with the scores"
            )));
        }
        let read = |(index, (network, _)): (u64, &(ScoredNetwork, f64))| {
            let count = |place: usize| network.numbers[place].map(|number| number as u64);
            let said = KernelFacts { images: count(1), activations: count(2), score: network.numbers[3] };
            kernels::read(&self.kernels, index, &said, format_args!("index {index} of {scores}"))
        };
        indices.into_iter().zip(networks).map(read).collect()
    }
}

/// An accuracy as it is shown: in percent, where it is one.
fn shown(unit: Unit, accuracy: f64) -> String {
    match unit {
        Unit::Fraction => format!("{:.2} %", accuracy * 100.0),
        Unit::Percent => format!("{accuracy:.2} %"),
        Unit::Other => format!("{accuracy:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_evenly_spaced_from_the_first_to_the_last() {
        let ranks = |grid: &str, n| grid.parse::<Grid>().unwrap().ranks(n).collect::<Vec<_>>();
        assert_eq!(ranks("1x2", 100), [0, 99]);
        assert_eq!(ranks("2x3", 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(ranks("1x5", 101), [0, 25, 50, 75, 100]);
        for n in 24..200 {
            let ranks = ranks("3x8", n);
            assert_eq!((ranks.len(), ranks[0], ranks[23]), (24, 0, n - 1));
            let steps: Vec<usize> = ranks.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(steps.iter().max().unwrap() - steps.iter().min().unwrap() <= 1, "{n}: {steps:?}");
            assert!(*steps.iter().min().unwrap() > 0);
        }
    }

    #[test]
    fn a_grid_has_two_sides() {
        for wrong in ["", "3", "3x", "x8", "0x8", "3x41", "1x1", "3x8x2", "3*8"] {
            assert!(wrong.parse::<Grid>().is_err(), "{wrong}");
        }
    }
}
