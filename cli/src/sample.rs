//! `naswot sample`: random architectures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use naswot::{Architecture, Space, nasbench101};

use crate::console::Console;
use crate::exit::{Failure, Result};
use crate::network_file::{self, Lines};
use crate::options::space;
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot sample --space nasbench201 -n 1000 --seed 1 > cells.jsonl
  naswot sample --space nasbench101 -n 100 | naswot score -
  naswot sample cells.jsonl -n 100 > some.jsonl";

/// Draw random architectures, one JSON object a line
///
/// Draws uniformly, without replacement: over a space, where a smaller sample of the same seed is the beginning of a larger
/// one, or from the different networks of a file, whose order is kept.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sample {
    /// Networks to draw from, in place of a space: cells, one a line in any notation, or a file that `naswot score` reads
    #[arg(value_name = "FILE", required_unless_present = "space")]
    file: Option<PathBuf>,
    /// Search space
    #[arg(long, value_name = "SPACE", value_parser = space(), conflicts_with = "file")]
    space: Option<Space>,
    /// How many
    #[arg(short = 'n', value_name = "N")]
    n: usize,
    /// Seed of the draw
    #[arg(long, value_name = "SEED", default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// What to draw from
    #[arg(long, value_name = "WHAT", default_value = "cells", conflicts_with = "file")]
    over: Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Over {
    /// The cells of the space, each once
    Cells,
    /// Random 7x7 matrices of nasbench101, as the paper's authors drew them: biased to small cells, with
    /// repeats
    Matrices,
}

impl Sample {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let Sample { n, seed, over, .. } = *self;
        match (&self.file, self.space, over) {
            (Some(file), ..) => {
                let drawn = network_file::sample(file, Lines::Cells, n, seed, console)?;
                print(drawn.into_iter().map(|(_, network)| network))
            }
            (None, Some(space), Over::Cells) => print(space.sample(n, seed)?),
            (None, Some(Space::NasBench101), Over::Matrices) => print(nasbench101::sample_matrices(n, seed)),
            (None, Some(space), Over::Matrices) => Err(Failure::unusable(format_args!(
                "--over matrices: {space} has none; only nasbench101 has"
            ))),
            (None, None, _) => Err(Failure::unusable("which networks? Give a FILE, or --space")),
        }
    }
}

fn print(cells: impl IntoIterator<Item: Into<Architecture>>) -> Result {
    let mut lines = StdoutLines::new();
    cells.into_iter().try_for_each(|cell| lines.print_data(cell.into().to_json()))?;
    lines.finish()
}
