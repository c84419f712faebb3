//! `naswot report`: a page to look at scores, cells and kernels.

mod data;
mod figures;
mod heat;
mod networks;
mod overview;
mod page;
mod settings;
mod tables;
mod trace;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

pub use crate::accuracies::AccuracyOptions;
use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
pub use crate::join_key::JoinKey;
use crate::measure::Ranking;
pub use crate::minus_inf::MinusInfOption;
use crate::options::{file, within};
use crate::output::Draft;
use crate::stdout_lines::StdoutData;
pub use heat::HeatMaps;
pub use networks::Networks;
pub use page::page;

/// Number of rows from which a page becomes slow to open.
const MANY: usize = 20_000;

const EXAMPLES: &str = "\
Examples:
  naswot score cells.jsonl -o scores.csv --kernels k
  naswot report scores.csv --kernels k -o report.html
  naswot report scores.csv --kernels k -o report.html \\
      --accuracy nasbench101.csv --column test_accuracy_mean
  naswot report trace.csv --accuracy training.jsonl -o training.html";

/// Make a page to look at: scores, accuracies, and every cell with its kernel
///
/// One HTML file that needs nothing else, no network either: settings, the distribution of scores, scores against
/// accuracies and parameters, the networks of the highest and the lowest score, and a gallery of all cells to sort and
/// filter. Kernels are checked against their rows. Of rows of `naswot trace` the page shows the score over training instead,
/// beside the accuracies of a table with a column `epoch` (or --key).
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportCommand {
    /// Scores: rows of `naswot score` as CSV, JSON lines or Parquet; columns may have been added
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// Kernels that `naswot score --kernels` wrote with them
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
    /// Table of accuracies, in the same forms
    #[arg(long, value_name = "TABLE")]
    accuracy: Option<PathBuf>,
    #[command(flatten)]
    join: AccuracyOptions,
    /// What networks are ranked by: a score (nwot, swap, meco, ..), any column of numbers, or several of them with `+` between, which
    /// are added up by the logarithms of their ranks
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Ranking::parse)]
    score: Ranking,
    #[command(flatten)]
    minus_inf: MinusInfOption,
    /// Resamples for the intervals of correlations, at most 100000; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = within(0, 100_000), requires = "accuracy")]
    bootstrap: usize,
    /// Write the page to a .html file [default: standard output]
    #[arg(short, long, value_name = "FILE", value_parser = file(html_file))]
    out: Option<PathBuf>,
    /// Replace an output that exists already
    #[arg(long, requires = "out")]
    force: bool,
}

fn html_file(path: PathBuf) -> Result<PathBuf, String> {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("html") => Ok(path),
        _ => Err("the name must end in .html".to_owned()),
    }
}

impl ReportCommand {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let inputs = || [&self.scores].into_iter().chain(&self.accuracy).map(PathBuf::as_path);
        let draft = self.out.as_deref().map(|path| Draft::new(path, self.force, inputs())).transpose()?;
        let written = self.page(console).and_then(|page| match &draft {
            None => print(&page),
            Some(draft) => draft.write(page.as_bytes()),
        });
        let written = written.map(|()| Exit::Success);
        match draft {
            Some(draft) => draft.settle(written),
            None => written,
        }
    }

    fn page(&self, console: &Console) -> Result<String> {
        let (mut networks, warning) = Networks::read(&self.scores, &self.score, self.minus_inf)?;
        warning.iter().for_each(|warning| console.warning(warning));
        if networks.rows.len() > MANY {
            let rows = networks.rows.len();
            console.warning(format_args!(
                "a page of {rows} networks is slow to open; `naswot score --sample` takes some of them"
            ));
        }
        if let Some(table) = &self.accuracy {
            networks.join(table, &self.join)?.iter().for_each(|warning| console.warning(warning));
        }
        let heat = self.kernels.as_deref().map(|folder| HeatMaps::read(folder, &networks)).transpose()?;
        page(&networks, heat.as_ref(), self.bootstrap)
    }
}

fn print(page: &str) -> Result<()> {
    let mut stdout = StdoutData::new();
    let written = stdout.write_all(page.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::write("standard output", &error))
}
