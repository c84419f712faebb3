//! `naswot sweep`: one set of networks under many settings, and how far the settings agree.

mod accuracy;
mod report;
mod settings;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use naswot::{Batch, Scorer, Weights};

use crate::console::Console;
use crate::entries::Ended;
use crate::exit::{Exit, Failure, Result};
use crate::folder::Folder;
use crate::input::{Input, InputLine, InputOptions, NextLine};
use crate::interrupt;
use crate::measure::Measure;
use crate::options::{
    self, MachineOptions, ScorerSettings, ScoresOptions, SkeletonOptions, SourceOption, with_noise,
};
use crate::output::{self, Existing, OutFile, Output};
use crate::pipeline::{Pipeline, RunContext};
use crate::progress::{Expected, Progress};
use crate::resume::ExistingOptions;
use crate::row_reader::RowReader;
use crate::rows::{Format, Row, RowMaker};
use crate::stdout_lines::{self, StdoutLines};
use accuracy::AccuracyTableOptions;
pub(crate) use report::RESULTS;
use report::SweepReport;
use settings::{BatchKey, Combination, SettingLists};

const EXAMPLES: &str = "\
Examples:
  naswot sweep --space nasbench201 --sample 100 --seed 0,1,2
  naswot sweep --space nasbench201 --all --seed 0,1,2 --rows rows --resume
  naswot sweep cells.jsonl --seed 0,1,2 \\
      --accuracy nasbench201.csv --column cifar10_test
  naswot sweep cells.jsonl --batch-size 16,32,64 --init space,normal \\
      --json > sweep.json";

/// Score networks under many settings, and compare the rankings
///
/// Every combination of the lists is a setting. Prints the mean score of each, and Kendall's tau-b between the scores
/// of any two: 1 where they rank the networks alike. With a table of accuracies also Kendall's tau-b between the scores of each
/// and the accuracies. A network that fails under one setting is left out of all.
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
    table: AccuracyTableOptions,
    #[command(flatten)]
    source: SourceOption,
    #[command(flatten)]
    skeleton: SkeletonOptions,
    #[command(flatten)]
    scores: ScoresOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
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

/// A folder with the rows of every setting.
struct RowFolder<'a> {
    folder: Folder,
    options: &'a ExistingOptions,
    /// Those of the first setting: they stay locked, and so no other process writes to the folder.
    first: Option<Output>,
}

impl<'a> RowFolder<'a> {
    /// Opens the folder; none of its files may be one of the inputs.
    fn open(
        options: &'a OutputOptions,
        inputs: impl IntoIterator<Item = &'a Path> + Clone,
    ) -> Result<Option<Self>> {
        let OutputOptions { rows, existing: options } = options;
        let Some(path) = rows else { return Ok(None) };
        let folder = Folder::open(path, ".csv", inputs)?;
        if options.existing() == Existing::Refuse && !folder.files()?.is_empty() {
            let message = "holds rows already; --resume goes on with them, --force replaces them";
            return Err(Failure::unusable(format_args!("{}: {message}", path.display())));
        }
        if options.existing() == Existing::Replace {
            // What is not rows, though it is named like them, is not to be removed.
            folder.files()?.into_iter().try_for_each(|(_, path)| check_rows(path))?;
        }
        Ok(Some(RowFolder { folder, options, first: None }))
    }

    /// Writes the rows of a setting that are not there yet.
    fn write(&mut self, number: usize, input: &mut Input, pipeline: &mut Pipeline) -> Result<Ended> {
        let out = OutFile { path: self.folder.file(number), format: Format::Csv };
        let mut output = output::open(&out.path, self.options.existing(), |file| {
            if self.options.force && self.first.is_none() {
                self.folder.remove(|other| other != number)?;
            }
            self.options.output(file, &out, input, pipeline)
        })?;
        let ended = pipeline.run_all(input, &mut output)?;
        self.first.get_or_insert(output);
        Ok(ended)
    }
}

/// Checks that a file begins as rows do.
fn check_rows(path: PathBuf) -> Result<()> {
    let file =
        File::open(&path).map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))?;
    RowReader::locked(&file, &OutFile { path, format: Format::Csv }).map(drop)
}

impl Sweep {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let combinations = self.lists.combinations();
        let (input, lines) = self.lines(console)?;
        let accuracies = self.table.join(input.name(), &lines, console)?;
        let mut rows = RowFolder::open(&self.out, self.inputs())?;
        let bar = self.json || !stdout_lines::is_terminal();
        let total = (combinations.len() * lines.len()) as u64;
        let mut progress = Progress::start(console, bar, || Expected::like(Some(total), &[]));
        let mut settings = Vec::new();
        let mut scores: Vec<Vec<Option<f64>>> = Vec::new();
        let mut batch = None;
        let scored: Result<()> = combinations.iter().try_for_each(|combination| {
            let scorer = self.scorer(combination, &mut batch, console)?;
            settings.push(combination.setting(&scorer));
            scores.push(self.scored(
                scores.len(),
                &scorer,
                input.again(&lines)?,
                &mut rows,
                &mut progress,
            )?);
            Ok(())
        });
        progress.clear();
        scored?;
        progress.summarise();
        let report = SweepReport::of(&self.score, settings, &scores, accuracies.as_ref())?;
        let mut lines = StdoutLines::new();
        if self.json {
            lines.print_data(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
        } else {
            report.print(&mut lines)?;
        }
        lines.finish()?;
        Ok(if report.failed > 0 { Exit::SomeFailed } else { Exit::Success })
    }

    /// The files that it reads.
    fn inputs(&self) -> impl Iterator<Item = &Path> + Clone {
        let data = self.source.data.path();
        self.input.file().into_iter().chain(self.table.file()).chain(data)
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
