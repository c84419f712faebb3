//! `naswot search`: the best networks of a space, by their score.

mod algorithm;
mod published;
mod report;
mod scores;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use naswot::analysis::{Candidates, Found, Searcher};
use naswot::{Architecture, Scorer, Space, Weights};
use rayon::prelude::*;

use crate::accuracies::{Accuracies, AccuracyOptions, Unit};
use crate::column_words::is_loss;
use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::field::Field;
use crate::interrupt;
use crate::join_key::row_names;
use crate::measure::Measure;
use crate::options::{
    self, DataOptions, Init, MachineOptions, NetworkOptions, PrecisionOption, ScorerSettings, ScoresOptions,
    initializer, space, within,
};
use crate::progress::{Expected, Progress};
use crate::stdout_lines::StdoutLines;
use algorithm::Algorithm;
use report::{SearchReport, SearchRun, SearchStatistics};
use scores::CandidateScores;

const EXAMPLES: &str = "\
Examples:
  naswot search --space nasbench201 --samples 100
  naswot search --space nasbench101 --algorithm evolution --samples 500 \\
      --max-parameters 100000
  naswot search --space nasbench201 --samples 10,100,1000 --runs 500 \\
      --known scores.csv --accuracy nasbench201.csv --column cifar10_test
  naswot search --space nasbench201 --algorithm area --samples 300 --runs 50 \\
      --accuracy nasbench201.csv --column cifar10_valid --report cifar10_test";

/// Search a space with the score
///
/// Without a table of accuracies it prints the best networks, as an architecture file with the key `score`. With one it
/// searches among the networks that the table has, and prints what the found ones are worth: mean and standard deviation
/// over the runs, beside the best of those that were looked at and what chance comes to.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Search {
    /// Search space
    #[arg(long, value_name = "SPACE", value_parser = space())]
    space: Space,
    /// How to search
    #[arg(long, value_name = "ALGORITHM", default_value = "random")]
    algorithm: Algorithm,
    /// Networks to score (area: to evaluate) in a run; with a table also a list, with commas between
    #[arg(
        long,
        value_name = "N,..",
        value_delimiter = ',',
        default_value = "100",
        value_parser = within(1, 1 << 32)
    )]
    samples: Vec<usize>,
    /// Searches, each with other draws
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = within(1, 1 << 20))]
    runs: usize,
    /// Seed of the draws
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    search_seed: u64,
    /// Scores that are known already: rows of `naswot score`, made with the same settings
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// What to search by: a score, or a column of rows such as parameters, macs or convs
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Measure::of_rows)]
    score: Measure,
    /// Print the K best networks of each run
    #[arg(
        long,
        value_name = "K",
        default_value_t = 1,
        value_parser = within(1, 1 << 32),
        conflicts_with = "accuracy"
    )]
    best: usize,
    /// Print one JSON object; with a table
    #[arg(long, requires = "accuracy")]
    json: bool,
    #[command(flatten)]
    table: TableOptions,
    #[command(flatten)]
    evolution: EvolutionOptions,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    weights: SeedOptions,
    #[command(flatten)]
    scores: ScoresOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    #[command(flatten)]
    precision: PrecisionOption,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Accuracies")]
struct TableOptions {
    /// Table of accuracies: CSV, JSON lines or Parquet; `-` is standard input
    #[arg(long, value_name = "TABLE")]
    accuracy: Option<PathBuf>,
    #[command(flatten)]
    join: AccuracyOptions,
    /// Column of the accuracy that is reported [default: the same]
    #[arg(long, value_name = "NAME", requires = "accuracy")]
    report: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Evolution and budgets")]
struct EvolutionOptions {
    /// Networks that evolution keeps
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = within(1, 1 << 20))]
    population: usize,
    /// Networks that are drawn from them, the best of which is mutated
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = within(1, 1 << 20))]
    tournament: usize,
    /// area: networks that are scored, the best of which are the first population
    #[arg(long, value_name = "M", default_value_t = 20, value_parser = within(1, 1 << 20))]
    initial: usize,
    /// Look only at networks of at most so many parameters
    #[arg(long, value_name = "N")]
    max_parameters: Option<u64>,
    /// Look only at networks of at most so many multiply-accumulates, on an image
    #[arg(long, value_name = "N")]
    max_macs: Option<u64>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Weights")]
struct SeedOptions {
    /// Seed of the weights
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Initial weights of the convolutions; `space`: each search space's own
    #[arg(long, value_name = "INIT", default_value = "space", value_parser = initializer())]
    init: Init,
}

/// Height and width of the images, where they are wanted.
type ImageSize = Option<[usize; 2]>;

/// Candidates with their accuracies.
struct CandidateAccuracies {
    column: String,
    unit: Unit,
    /// Accuracies to search with, by position.
    searched: Vec<f64>,
    /// Accuracies to report, by position.
    reported: Vec<f64>,
}

impl Search {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let (candidates, table) = match &self.table.accuracy {
            Some(path) => {
                let (candidates, table) = self.table(path, console)?;
                (candidates, Some(table))
            }
            None if self.algorithm == Algorithm::Area => {
                return Err(Failure::unusable(
                    "area evaluates networks: give their accuracies with --accuracy",
                ));
            }
            None => {
                let candidates = Candidates::of(self.cells()?);
                interrupt::check()?;
                (candidates?, None)
            }
        };
        let progress = RefCell::new(Progress::start(console, true, Expected::default));
        let open = || self.scorer(console);
        let mut scores = CandidateScores::new(&candidates, self.network.skeleton, &self.score, open, |row| {
            progress.borrow_mut().scored(row);
        });
        if let Some(file) = &self.known {
            let known = scores.read(file)?;
            console.detail(format_args!("{}: {known} scores", file.display()));
        }
        let mut lines = StdoutLines::new();
        match &table {
            Some(table) => {
                let report = self.report(&candidates, table, &scores, console)?;
                progress.borrow().clear();
                if self.json {
                    lines.print_data(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
                } else {
                    report.print(&mut lines)?;
                }
            }
            None => self.print_best(&candidates, &scores, &progress, &mut lines, console)?,
        }
        lines.finish()
    }

    /// The size of the images, where a budget depends on it.
    fn image(&self, console: &Console) -> Result<ImageSize> {
        let budget = self.evolution.max_macs.map(|_| self.data.batch(console)).transpose()?;
        Ok(budget.map(|batch| [batch.shape()[2], batch.shape()[3]]))
    }

    fn scorer(&self, console: &Console) -> Result<Scorer> {
        let settings = ScorerSettings {
            weights: Weights::Seeded { seed: self.weights.seed },
            init: self.weights.init,
            convention: self.network.convention,
            precision: self.precision.precision,
            scores: self.scores.with(self.score.score()),
        };
        options::open(self.machine.scorer(self.data.batch(console)?, settings), console)
    }

    /// The cells of the space, until the run is to end.
    fn cells(&self) -> Result<impl Iterator<Item = Architecture>> {
        Ok(self.space.all()?.take_while(|_| !interrupt::requested()))
    }

    /// The networks of the space that a table has.
    fn table(&self, path: &Path, console: &Console) -> Result<(Candidates, CandidateAccuracies)> {
        let TableOptions { join, report, .. } = &self.table;
        let searched = Accuracies::read(path, join)?;
        let of_report = |name: &String| {
            if join.lower_is_better && is_loss(name) != is_loss(&searched.column) {
                let message = "holds for --column and --report alike: are both losses or errors?";
                return Err(Failure::unusable(format_args!("--lower-is-better: {message}")));
            }
            Accuracies::read(path, &AccuracyOptions { column: Some(name.clone()), ..join.clone() })
        };
        let reported = report.as_ref().map(of_report).transpose()?;
        let warnings = [Some(&searched), reported.as_ref()].into_iter().flatten();
        warnings.flat_map(|read| &read.warnings).for_each(|warning| console.warning(warning));
        let reported = reported.as_ref().unwrap_or(&searched);
        let all: Vec<Architecture> = self.cells()?.collect();
        let accuracy = |cell: &Architecture| {
            let names = row_names(join.key.as_ref(), || cell.id(), cell.arch());
            Some((cell.clone(), searched.get(&names)?, reported.get(&names)?))
        };
        let cells = all.par_iter().take_any_while(|_| !interrupt::requested());
        let found: Vec<(Architecture, f64, f64)> = cells.filter_map(accuracy).collect();
        interrupt::check()?;
        if found.is_empty() {
            let message = format!("has no accuracy of a network of {}", self.space);
            return Err(Failure::unusable(format_args!("{}: {message}", path.display())));
        }
        if found.len() < all.len() {
            let message = format!("has {} of the {} networks of {}", found.len(), all.len(), self.space);
            console.note(format_args!("{}: {message}: the search is among them", path.display()));
        }
        let table = CandidateAccuracies {
            column: reported.column.clone(),
            unit: reported.unit,
            searched: found.iter().map(|(_, searched, _)| *searched).collect(),
            reported: found.iter().map(|(.., reported)| *reported).collect(),
        };
        Ok((Candidates::of(found.into_iter().map(|(cell, ..)| cell))?, table))
    }

    fn searcher<'a>(
        &'a self,
        candidates: &'a Candidates,
        samples: usize,
        run: usize,
        image: ImageSize,
    ) -> Searcher<'a, Candidates> {
        let EvolutionOptions { population, tournament, initial, max_parameters, max_macs } = self.evolution;
        let searcher = Searcher::new(candidates, samples).seed(self.search_seed).run(run);
        let searcher = searcher.population(population, tournament).initial(initial);
        if max_parameters.is_none() && max_macs.is_none() {
            return searcher;
        }
        searcher.admit(move |cell| {
            let network = self.network.skeleton.network(cell)?;
            let few = |most: Option<u64>, found: u64| most.is_none_or(|most| found <= most);
            let macs = match image {
                Some([height, width]) => few(max_macs, network.macs(height, width)?),
                None => true,
            };
            Ok(macs && few(max_parameters, network.parameters()))
        })
    }

    fn search(
        &self,
        searcher: &Searcher<Candidates>,
        scores: &CandidateScores,
        evaluate: impl FnMut(&[Architecture]) -> naswot::Result<Vec<f64>>,
    ) -> Result<Found<Architecture>> {
        let score = |cells: &[Architecture]| scores.of(cells);
        let found = match self.algorithm {
            Algorithm::Random => searcher.random(score),
            Algorithm::Evolution => searcher.evolution(score),
            Algorithm::Area => searcher.area(score, evaluate),
        };
        found.map_err(|error| match interrupt::requested() {
            true => Failure { exit: Exit::Interrupted, message: None },
            false => scores.failure(error),
        })
    }

    /// The report of all searches, so many runs with every number of samples.
    fn report<'a>(
        &self,
        candidates: &Candidates,
        table: &'a CandidateAccuracies,
        scores: &CandidateScores,
        console: &Console,
    ) -> Result<SearchReport<'a>> {
        let position = |cell: &Architecture| {
            candidates.position(cell).unwrap_or_else(|| unreachable!("{cell:?} is no candidate"))
        };
        let evaluate =
            |cells: &[Architecture]| Ok(cells.iter().map(|cell| table.searched[position(cell)]).collect());
        let reported = |cell: &Architecture| table.reported[position(cell)];
        let image = self.image(console)?;
        let mut results = Vec::new();
        for &samples in &self.samples {
            let mut runs = Vec::with_capacity(self.runs);
            for run in 0..self.runs {
                let searcher = self.searcher(candidates, samples, run, image);
                let start = Instant::now();
                let found = self.search(&searcher, scores, evaluate)?;
                let seconds = start.elapsed().as_secs_f64();
                let looked_at = found.history.iter().map(|(cell, _)| cell);
                let chance = match self.algorithm {
                    Algorithm::Area => reported(&searcher.random(evaluate)?.best),
                    _ => reported(&found.history[0].0),
                };
                runs.push(SearchRun {
                    chosen: reported(&found.best),
                    optimum: looked_at.map(reported).fold(f64::NEG_INFINITY, f64::max),
                    chance,
                    seconds,
                    scoring_seconds: scores.take_seconds(),
                });
            }
            let plain = self.algorithm == Algorithm::Random && self.space == Space::NasBench201;
            let published = if plain { published::nasbench201(samples, &table.column) } else { None };
            results.push(SearchStatistics::of(samples, &runs, published));
        }
        Ok(SearchReport {
            space: self.space.name(),
            algorithm: self.algorithm,
            candidates: candidates.architectures().len(),
            column: &table.column,
            unit: table.unit,
            results,
        })
    }

    /// Prints the best networks of each run.
    fn print_best(
        &self,
        candidates: &Candidates,
        scores: &CandidateScores,
        progress: &RefCell<Progress>,
        lines: &mut StdoutLines,
        console: &Console,
    ) -> Result<()> {
        let [samples] = self.samples[..] else {
            return Err(Failure::unusable("--samples: a list needs --accuracy to compare with"));
        };
        let image = self.image(console)?;
        for run in 0..self.runs {
            let searcher = self.searcher(candidates, samples, run, image);
            let Found { mut history, .. } = self.search(&searcher, scores, |_| Ok(Vec::new()))?;
            progress.borrow().clear();
            // The first of equal ones first; a network that was drawn again once.
            history.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            let mut printed: Vec<Architecture> = Vec::new();
            for (cell, score) in history {
                if printed.len() < self.best && !printed.contains(&cell) {
                    lines.print_data(with_score(&cell, &self.score, score, run))?;
                    printed.push(cell);
                }
            }
            lines.flush()?;
        }
        Ok(())
    }
}

/// A line of an architecture file, with the score behind.
fn with_score(cell: &Architecture, measure: &Measure, score: f64, run: usize) -> String {
    let (line, column, score) = (cell.to_json(), measure.column(), Field::Real(score).json());
    format!("{},\"{column}\":{score},\"run\":{run}}}", line.trim_end_matches('}'))
}
