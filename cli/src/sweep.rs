//! `naswot sweep`: one set of networks under many settings, and how far the settings agree.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use naswot::analysis::{Summary, kendall_tau};
use naswot::{Batch, Convention, Precision, Scorer, Weights};
use serde::Serialize;

use crate::console::Console;
use crate::entries::Ended;
use crate::exit::{Exit, Failure, Result};
use crate::folder::Folder;
use crate::input::{Input, InputLine, InputOptions, NextLine};
use crate::interrupt;
use crate::measure::Measure;
use crate::options::{
    self, Init, MachineOptions, ScorerSettings, ScoresOptions, SkeletonOptions, SourceOption, convention,
    initializer, most_images, precision, with_noise,
};
use crate::output::{self, OutFile, Output};
use crate::pipeline::{Pipeline, RunContext};
use crate::progress::{Expected, Progress};
use crate::resume::ExistingOptions;
use crate::rows::{Format, Row, RowMaker};
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot sweep --space nasbench201 --sample 100 --seed 0,1,2
  naswot sweep --space nasbench201 --all --seed 0,1,2 --rows rows --resume
  naswot sweep cells.jsonl --batch-size 16,32,64 --init space,normal \\
      --json > sweep.json";

/// Score networks under many settings, and compare the rankings
///
/// Every combination of the lists is a setting. Prints the mean score of each, and Kendall's tau-b between the scores
/// of any two: 1 where they rank the networks alike. A network that fails under one setting is left out of all.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sweep {
    /// What is compared: a score, or a column of rows such as parameters, macs or convs
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Measure::of_rows)]
    score: Measure,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    input: InputOptions,
    #[command(flatten)]
    out: OutputOptions,
    #[command(flatten)]
    lists: SettingLists,
    #[command(flatten)]
    source: SourceOption,
    #[command(flatten)]
    skeleton: SkeletonOptions,
    #[command(flatten)]
    scores: ScoresOptions,
    #[command(flatten)]
    machine: MachineOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Write the rows of every setting to DIR/<number>.csv
    ///
    /// They are those of `naswot score`, one file a setting, numbered as in the table. Each row is written as soon as
    /// it is known, so that a sweep that is killed can go on.
    #[arg(id = "out", long = "rows", value_name = "DIR")]
    rows: Option<PathBuf>,
    #[command(flatten)]
    existing: ExistingOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Lists, with commas between")]
struct SettingLists {
    /// Images in the batch [default: 32; the whole file for npy]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = most_images())]
    batch_size: Vec<usize>,
    /// Seeds that images are drawn with [default: take the first ones]
    #[arg(long, value_name = "SEED,..", value_delimiter = ',')]
    data_seed: Vec<u64>,
    /// Deviations of the noise on the images
    #[arg(
        long,
        value_name = "SIGMA,..",
        value_delimiter = ',',
        default_value = "0",
        allow_negative_numbers = true
    )]
    noise: Vec<f64>,
    /// Seeds of the weights
    #[arg(long, value_name = "SEED,..", value_delimiter = ',', default_value = "0")]
    seed: Vec<u64>,
    /// Initial weights
    #[arg(
        long,
        value_name = "INIT,..",
        value_delimiter = ',',
        default_value = "space",
        value_parser = initializer()
    )]
    init: Vec<Init>,
    /// Number formats
    #[arg(
        long,
        value_name = "PRECISION,..",
        value_delimiter = ',',
        default_value = "auto",
        value_parser = precision()
    )]
    precision: Vec<Precision>,
    /// How ReLUs are counted
    #[arg(
        long,
        value_name = "CONVENTION,..",
        value_delimiter = ',',
        default_value = Convention::Relu.name(),
        value_parser = convention()
    )]
    convention: Vec<Convention>,
}

/// A folder with the rows of every setting.
struct RowFolder<'a> {
    folder: Folder,
    options: &'a ExistingOptions,
    /// Those of the first setting: they stay locked, and so no other process writes to the folder.
    first: Option<Output>,
}

impl<'a> RowFolder<'a> {
    fn open(options: &'a OutputOptions) -> Result<Option<Self>> {
        let OutputOptions { rows, existing: options } = options;
        let Some(path) = rows else { return Ok(None) };
        let folder = Folder::open(path, ".csv", "rows", options.existing())?;
        Ok(Some(RowFolder { folder, options, first: None }))
    }

    /// Writes the rows of a setting that are not there yet.
    fn write(&mut self, number: usize, input: &mut Input, pipeline: &mut Pipeline) -> Result<Ended> {
        let out = OutFile { path: self.folder.file(number), format: Format::Csv };
        let file = output::open(&out.path, self.options.existing())?;
        if self.options.force && self.first.is_none() {
            self.folder.clear(Some(&out.path))?;
        }
        let mut output = self.options.output(file, &out, input, pipeline)?;
        let ended = pipeline.run_all(input, &mut output)?;
        self.first.get_or_insert(output);
        Ok(ended)
    }
}

/// The key of a batch: its size and data seed.
type BatchKey = (Option<usize>, Option<u64>);

/// One combination of the lists.
#[derive(Clone, Copy, Debug)]
struct Combination {
    batch_size: Option<usize>,
    data_seed: Option<u64>,
    noise: f64,
    seed: u64,
    init: Init,
    precision: Precision,
    convention: Convention,
}

/// The result of a setting, as it was really used.
#[derive(Serialize)]
struct SettingResult {
    batch_size: usize,
    data_seed: Option<u64>,
    noise: f64,
    seed: u64,
    initializer: &'static str,
    precision: String,
    convention: &'static str,
    /// Mean over finite scores.
    mean_score: Option<f64>,
    /// Number of scores of -inf.
    infinite: usize,
}

/// The report of a sweep.
#[derive(Serialize)]
struct SweepReport {
    /// The measure that was compared, and its column.
    score: String,
    #[serde(skip)]
    column: String,
    /// Number of networks that were compared.
    networks: usize,
    failed: usize,
    settings: Vec<SettingResult>,
    /// Kendall's tau-b between any two settings; null where it is not defined.
    kendall_tau: Vec<Vec<Option<f64>>>,
}

impl SettingLists {
    /// All combinations, the last list fastest.
    fn combinations(&self) -> Vec<Combination> {
        fn optional<T: Copy>(list: &[T]) -> Vec<Option<T>> {
            if list.is_empty() { vec![None] } else { list.iter().copied().map(Some).collect() }
        }
        let mut combinations = Vec::new();
        for batch_size in optional(&self.batch_size) {
            for data_seed in optional(&self.data_seed) {
                for &noise in &self.noise {
                    for &seed in &self.seed {
                        for &init in &self.init {
                            for &precision in &self.precision {
                                combinations.extend(self.convention.iter().map(|&convention| Combination {
                                    batch_size,
                                    data_seed,
                                    noise,
                                    seed,
                                    init,
                                    precision,
                                    convention,
                                }));
                            }
                        }
                    }
                }
            }
        }
        combinations
    }
}

impl Sweep {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        self.machine.limit_threads()?;
        let combinations = self.lists.combinations();
        let (input, lines) = self.lines(console)?;
        let mut rows = RowFolder::open(&self.out)?;
        let bar = self.json || !io::stdout().is_terminal();
        let total = (combinations.len() * lines.len()) as u64;
        let mut progress = Progress::start(console, bar, || Expected::like(Some(total), &[]));
        let mut settings = Vec::new();
        let mut scores: Vec<Vec<Option<f64>>> = Vec::new();
        let mut batch = None;
        let scored: Result<()> = combinations.iter().try_for_each(|combination| {
            let scorer = self.scorer(combination, &mut batch, console)?;
            settings.push(combination.setting(&scorer));
            scores.push(self.scored(scores.len(), &scorer, input.again(&lines), &mut rows, &mut progress)?);
            Ok(())
        });
        progress.clear();
        scored?;
        progress.summarise();
        let report = report(&self.score, settings, &scores)?;
        let mut lines = StdoutLines::new();
        if self.json {
            lines.print(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
        } else {
            report.print(&mut lines)?;
        }
        lines.finish()?;
        Ok(if report.failed > 0 { Exit::SomeFailed } else { Exit::Success })
    }

    /// All lines of the input, which every setting begins anew.
    fn lines(&self, console: &Console) -> Result<(Input, Arc<[InputLine]>)> {
        let mut input = self.input.open(console)?;
        let mut lines = Vec::new();
        loop {
            match input.next()? {
                NextLine::Line(line) => lines.push(line),
                NextLine::Nothing => {}
                NextLine::Interrupted => return Err(Failure { exit: Exit::Interrupted, message: None }),
                NextLine::End if lines.len() < 2 => {
                    let message = format!("{}: rankings need at least 2 networks", input.name());
                    return Err(Failure::unusable(message));
                }
                NextLine::End => return Ok((input, lines.into())),
            }
        }
    }

    /// The scores of a setting, none of the networks that failed.
    fn scored(
        &self,
        number: usize,
        scorer: &Scorer,
        mut input: Input,
        rows: &mut Option<RowFolder>,
        progress: &mut Progress,
    ) -> Result<Vec<Option<f64>>> {
        let name = input.name().to_owned();
        let maker = RowMaker::new(scorer.settings().clone(), self.skeleton);
        let context = RunContext {
            input: &name,
            scorer,
            maker: &maker,
            kernels: None,
            codes: None,
            faults_said: number > 0,
        };
        let (mut scores, distinct) = (Vec::new(), input.distinct());
        let mut seen = |row: &Row| scores.push(row.number(self.score.column()));
        let mut pipeline = Pipeline::new(context, progress, &mut seen, distinct);
        let ended = match rows {
            Some(rows) => rows.write(number, &mut input, &mut pipeline),
            None => pipeline.run_all(&mut input, &mut Output::nowhere()),
        };
        match ended? {
            Ended::Complete => Ok(scores),
            Ended::Interrupted => Err(Failure { exit: Exit::Interrupted, message: None }),
        }
    }

    /// The scorer of a combination. `images` are those of the last one, and of this one where they are the same.
    fn scorer(
        &self,
        combination: &Combination,
        images: &mut Option<(BatchKey, Batch)>,
        console: &Console,
    ) -> Result<Scorer> {
        let wanted = (combination.batch_size, combination.data_seed);
        let batch = match images.take() {
            Some((last, batch)) if last == wanted => batch,
            _ => self.source.batch(combination.batch_size, combination.data_seed, console)?,
        };
        *images = Some((wanted, batch.clone()));
        let batch = with_noise(&batch, combination.noise, combination.data_seed, console)?;
        let settings = ScorerSettings {
            weights: Weights::Seeded { seed: combination.seed },
            init: combination.init,
            convention: combination.convention,
            precision: combination.precision,
            scores: self.scores.with(self.score.score()),
        };
        options::open(self.machine.scorer(batch, settings), console)
    }
}

/// Compares the settings over the networks that all of them have scored.
fn report(
    measure: &Measure,
    mut settings: Vec<SettingResult>,
    scores: &[Vec<Option<f64>>],
) -> Result<SweepReport> {
    let total = scores.first().map_or(0, Vec::len);
    let whole: Vec<usize> = (0..total).filter(|&i| scores.iter().all(|scores| scores[i].is_some())).collect();
    let scores: Vec<Vec<f64>> =
        scores.iter().map(|scores| whole.iter().filter_map(|&i| scores[i]).collect()).collect();
    for (setting, scores) in settings.iter_mut().zip(&scores) {
        let finite = scores.iter().copied().filter(|score| score.is_finite());
        setting.infinite = scores.len() - finite.clone().count();
        setting.mean_score = Summary::of(finite).map(|summary| summary.mean);
    }
    // A ranking needs two networks.
    let tau = |a: &[f64], b: &[f64]| if whole.len() < 2 { Ok(None) } else { Ok(kendall_tau(a, b)?) };
    let row = |a: &Vec<f64>| scores.iter().map(|b| tau(a, b)).collect::<Result<Vec<_>>>();
    let tau = scores.iter().map(row).collect::<Result<Vec<_>>>()?;
    Ok(SweepReport {
        score: measure.name().to_owned(),
        column: measure.column().to_owned(),
        networks: whole.len(),
        failed: total - whole.len(),
        settings,
        kendall_tau: tau,
    })
}

impl Combination {
    fn setting(&self, scorer: &Scorer) -> SettingResult {
        let settings = scorer.settings();
        SettingResult {
            batch_size: settings.batch_shape[0],
            data_seed: self.data_seed,
            noise: settings.noise,
            seed: self.seed,
            initializer: settings.initializer,
            precision: settings.precision.to_string(),
            convention: settings.convention.name(),
            mean_score: None,
            infinite: 0,
        }
    }
}

impl SweepReport {
    fn print(&self, lines: &mut StdoutLines) -> Result<()> {
        let failed = if self.failed > 0 { format!(" ({} failed)", self.failed) } else { String::new() };
        lines.print(format_args!("{} networks{failed}\n", self.networks))?;
        let mean = format!("mean {}", self.column);
        let header = [
            "",
            "batch_size",
            "data_seed",
            "noise",
            "seed",
            "initializer",
            "precision",
            "convention",
            &mean,
            "-inf",
        ];
        let rows = self.settings.iter().enumerate().map(|(number, setting)| {
            [
                number.to_string(),
                setting.batch_size.to_string(),
                setting.data_seed.map_or("first".to_owned(), |seed| seed.to_string()),
                setting.noise.to_string(),
                setting.seed.to_string(),
                setting.initializer.to_owned(),
                setting.precision.clone(),
                setting.convention.to_owned(),
                setting.mean_score.map_or(String::new(), |mean| format!("{mean:.2}")),
                setting.infinite.to_string(),
            ]
            .to_vec()
        });
        print_table(std::iter::once(header.map(str::to_owned).to_vec()).chain(rows).collect(), lines)?;
        lines.print("\nKendall tau-b")?;
        let numbers = || (0..self.settings.len()).map(|number| number.to_string());
        let header = std::iter::once(String::new()).chain(numbers()).collect();
        let rows = self.kendall_tau.iter().zip(numbers()).map(|(row, number)| {
            let values = row.iter().map(|tau| tau.map_or("none".to_owned(), |tau| format!("{tau:.3}")));
            std::iter::once(number).chain(values).collect()
        });
        print_table(std::iter::once(header).chain(rows).collect(), lines)
    }
}

/// Prints columns, aligned to the right.
fn print_table(rows: Vec<Vec<String>>, lines: &mut StdoutLines) -> Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().try_for_each(|row| {
        let cells = row.iter().zip(&widths).map(|(text, &width)| format!("{text:>width$}"));
        lines.print(cells.collect::<Vec<_>>().join("  "))
    })
}
