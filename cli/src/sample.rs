//! `naswot sample`: random architectures.

use clap::{Args, ValueEnum};
use naswot::{Architecture, Space, nasbench101};

use crate::exit::{Failure, Result};
use crate::options::space;
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot sample --space nasbench201 -n 1000 --seed 1 > cells.jsonl
  naswot sample --space nasbench101 -n 100 | naswot score -";

/// Draw random architectures, one JSON object a line
///
/// Draws uniformly over the space, without replacement. A smaller sample of the same seed is the beginning of
/// a larger one.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sample {
    /// Search space
    #[arg(long, value_name = "SPACE", value_parser = space())]
    space: Space,
    /// How many
    #[arg(short = 'n', value_name = "N")]
    n: usize,
    /// Seed of the draw
    #[arg(long, value_name = "SEED", default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// What to draw from
    #[arg(long, value_name = "WHAT", default_value = "cells")]
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
    pub(crate) fn run(&self) -> Result {
        let Sample { space, n, seed, over } = *self;
        match over {
            Over::Cells => print(space.sample(n, seed)?),
            Over::Matrices if space == Space::NasBench101 => print(nasbench101::sample_matrices(n, seed)),
            Over::Matrices => Err(Failure::unusable(format_args!(
                "--over matrices: {space} has none; only nasbench101 has"
            ))),
        }
    }
}

fn print(cells: impl IntoIterator<Item: Into<Architecture>>) -> Result {
    let mut lines = StdoutLines::new();
    cells.into_iter().try_for_each(|cell| lines.print(cell.into().to_json()))?;
    lines.finish()
}
