//! `naswot hash` and `naswot canon`: cells in any notation by their names, without scoring.

use std::path::PathBuf;

use clap::Args;
use naswot::Architecture;

use crate::console::say;
use crate::exit::{Exit, Failure, Result};
use crate::input::{Input, InputLine, NextLine, place};
use crate::stdout_lines::StdoutLines;

const HASH_EXAMPLES: &str = "\
Examples:
  naswot hash cells.jsonl
  echo '(4, 0, 3, 1, 4, 3)' | naswot hash -";

const CANON_EXAMPLES: &str = "\
Examples:
  naswot canon tuples.txt > cells.jsonl
  naswot space nasbench201 --all | naswot canon -";

#[derive(Args, Debug)]
struct Cells {
    /// Cells, one a line in any notation, or a file that `naswot score` reads; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Print the id of every cell of a file
///
/// The id is what rows of scores have: the benchmark's hash of NAS-Bench-101, the arch string of NAS-Bench-201. A line that
/// is no cell has an empty line, and is told on standard error.
#[derive(Args, Debug)]
#[command(after_help = HASH_EXAMPLES)]
pub(crate) struct Hash {
    #[command(flatten)]
    cells: Cells,
}

/// Print every cell of a file as a line of an architecture file
///
/// Cells of NAS-Bench-201 have a key `equal_to` besides: the first cell of the space, in the order of its enumeration, whose
/// operations make the same expression. A line that is no cell has an empty line, and is told on standard error.
#[derive(Args, Debug)]
#[command(after_help = CANON_EXAMPLES)]
pub(crate) struct Canon {
    #[command(flatten)]
    cells: Cells,
}

impl Hash {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        self.cells.print(Architecture::id)
    }
}

impl Canon {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        self.cells.print(canonical)
    }
}

impl Cells {
    /// Prints a name of each cell.
    fn print(&self, name: fn(&Architecture) -> String) -> Result {
        let mut input = Input::open_cells(&self.file)?;
        let (mut lines, mut exit) = (StdoutLines::new(), Exit::Success);
        loop {
            match input.next()? {
                NextLine::Line(InputLine { architecture: Ok(cell), .. }) => lines.print(name(&cell))?,
                NextLine::Line(InputLine { index, number, architecture: Err(error) }) => {
                    lines.print("")?;
                    say(format_args!("{}: {error}", place(input.name(), index, number)));
                    exit = Exit::SomeFailed;
                }
                // What there is, is wanted now.
                NextLine::Nothing => lines.flush()?,
                NextLine::End => break,
                NextLine::Interrupted => return Err(Failure { exit: Exit::Interrupted, message: None }),
            }
        }
        lines.flush()?;
        Ok(exit)
    }
}

/// The line of a cell, with the first cell that is equal to it.
fn canonical(cell: &Architecture) -> String {
    let line = cell.to_json();
    let Some(equal) = cell.first_equal() else { return line };
    let keys = line.strip_suffix('}').unwrap_or_else(|| unreachable!("{line} is an object"));
    format!("{keys},\"equal_to\":{}}}", serde_json::Value::from(equal.arch()))
}
