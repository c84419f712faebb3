//! `naswot space`: a whole search space.

use clap::Args;
use naswot::{Architecture, Space};
use rayon::prelude::*;

use crate::exit::{Failure, Result};
use crate::options::space;
use crate::stdout_lines::StdoutLines;

/// Cells that are hashed before they are printed.
const CHUNK: usize = 8192;

const EXAMPLES: &str = "\
Examples:
  naswot space nasbench101 --count
  naswot space nasbench201 --all > cells.jsonl";

/// Count or print the cells of a search space
///
/// Cells come in the order of enumeration: docs/output.md says which. Those of NAS-Bench-101 are one of each
/// isomorphism class, the one that the benchmark itself has.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SpaceCommand {
    /// Search space
    #[arg(value_name = "SPACE", value_parser = space())]
    space: Space,
    #[command(flatten)]
    what: SpaceOutput,
    /// With --count: as JSON
    #[arg(long, conflicts_with_all = ["hashes", "all"])]
    json: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct SpaceOutput {
    /// Print how many cells there are
    #[arg(long)]
    count: bool,
    /// Print the benchmark's hash of every cell, one a line (nasbench101)
    #[arg(long)]
    hashes: bool,
    /// Print every cell, one JSON object a line
    #[arg(long)]
    all: bool,
}

impl SpaceCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        let space = self.space;
        let mut lines = StdoutLines::new();
        match self.what {
            SpaceOutput { count: true, .. } if self.json => {
                lines.print_data(format_args!(r#"{{"space":"{space}","count":{}}}"#, space.count()?))?;
            }
            SpaceOutput { count: true, .. } => lines.print_data(space.count()?)?,
            SpaceOutput { hashes: true, .. } if space.has_hashes() => print_hashes(space, &mut lines)?,
            SpaceOutput { hashes: true, .. } => {
                let message =
                    format!("--hashes: cells of {space} have none; --all prints their arch strings");
                return Err(Failure::unusable(message));
            }
            SpaceOutput { .. } => {
                space.all()?.try_for_each(|architecture| lines.print_data(architecture.to_json()))?
            }
        }
        lines.finish()
    }
}

/// Prints the hash of every cell, in order; they are made on all cores.
fn print_hashes(space: Space, lines: &mut StdoutLines) -> Result<()> {
    let mut cells = space.all()?;
    loop {
        let chunk: Vec<Architecture> = cells.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        let hashes: Vec<String> = chunk.par_iter().map(Architecture::id).collect();
        hashes.iter().try_for_each(|hash| lines.print_data(hash))?;
    }
}
