//! `naswot trace`: the score of one architecture over its training.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;
use naswot::analysis::drawing::{AxisLimits, TracePoint, trace_svg};
use naswot::{Architecture, Checkpoint, Network, Score, Scorer, Weights};
use serde_json::Value;

use crate::architecture_arg::ArchitectureArg;
use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::field::Field;
use crate::input::Shard;
use crate::interrupt;
use crate::kernels::Kernels;
use crate::measure::Measure;
use crate::options::{
    self, DataOptions, Init, MachineOptions, NetworkOptions, PrecisionOption, ScorerSettings, ScoresOptions,
    file, say_prefix,
};
use crate::output::{self, Existing, OutFile, Output};
use crate::picture::{Picture, PictureFile, PictureStyle};
use crate::plot::epoch_label;
use crate::progress::{Expected, Progress};
use crate::row_inputs::{Outcome, Subject};
use crate::rows::{Format, RowMaker, encode, format, header, names};
use crate::run_folder::{Manifest, Run};
use crate::stdout_lines;
use crate::text::{one_line, shortened};

/// Columns behind those of a score.
pub(crate) const MORE_COLUMNS: [&str; 3] = ["checkpoint", "epoch", "epoch_from"];

const EXAMPLES: &str = "\
Examples:
  naswot trace run/epoch*.safetensors --arch cell.jsonl \\
      -o trace.csv --plot trace.svg
  naswot trace a.safetensors b.safetensors --arch scores.csv --row 17 \\
      --data cifar10:cifar-10-batches-bin

examples/train_checkpoints.py writes such checkpoints with PyTorch.";

/// Score one architecture at each checkpoint of its training
///
/// Checkpoints are PyTorch state dicts as safetensors, with the names of the benchmark's public PyTorch code. Rows are those of
/// `naswot score`, one a checkpoint in the order given, with the file, its epoch and where that is from: `epoch` of the file's
/// metadata; where some file has none, the number in which the files' names differ, that behind `epoch` or the last one; where all
/// names are equal, that of their folders; where there is none, the order. A checkpoint that does not fit the architecture is that row's error.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Trace {
    /// Checkpoints (safetensors)
    #[arg(value_name = "CHECKPOINT", required = true)]
    checkpoints: Vec<PathBuf>,
    /// The architecture as in the column `arch`, or a file that holds it: architectures, or scores; `-` is standard input
    #[arg(long, value_name = "ARCH|FILE", allow_hyphen_values = true, value_parser = ArchitectureArg::parser())]
    arch: ArchitectureArg,
    /// Which row of the file: its `index`, or its position from 0 [default: the only one]
    #[arg(long, value_name = "I")]
    row: Option<u64>,
    #[command(flatten)]
    out: OutputOptions,
    #[command(flatten)]
    look: PictureStyle,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    scores: ScoresOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    #[command(flatten)]
    precision: PrecisionOption,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Write rows to a .csv or .jsonl file [default: standard output]
    #[arg(short, long, value_name = "FILE", value_parser = file(OutFile::parse))]
    out: Option<OutFile>,
    /// Form of the rows on standard output [default: csv]
    #[arg(long, value_name = "FORMAT", conflicts_with = "out", value_parser = format())]
    format: Option<Format>,
    /// Write the K of every checkpoint to DIR/<index>.npy
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
    /// Draw score against epoch to a .svg, .png or .pdf file
    #[arg(long, value_name = "FILE", value_parser = file(PictureFile::parse))]
    plot: Option<PictureFile>,
    /// With --plot: what to draw, a score or a column of rows such as parameters, macs or convs
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Measure::of_rows)]
    score: Measure,
    /// Replace outputs that exist already
    #[arg(long)]
    force: bool,
}

/// The source of the epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EpochSource {
    Metadata,
    Name,
    Order,
}

impl EpochSource {
    fn name(self) -> &'static str {
        match self {
            EpochSource::Metadata => "metadata",
            EpochSource::Name => "name",
            EpochSource::Order => "order",
        }
    }
}

/// The context of a trace: what all its rows have in common.
struct TraceContext<'a> {
    architecture: &'a Architecture,
    network: &'a Network,
    from: EpochSource,
    kernels: Option<&'a Kernels>,
    format: Format,
    console: &'a Console,
}

impl Trace {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let architecture = self.arch.find(self.row)?;
        let network = self.network.skeleton.network(&architecture)?;
        let (from, epochs) = epochs(&self.checkpoints, console)?;
        let mut scorer = self.scorer(console)?;
        let new_picture = |file| Picture::new(file, self.out.force, self.inputs());
        let picture = self.out.plot.as_ref().map(new_picture).transpose()?;
        let (mut output, kernels) = self.outputs(&scorer)?;
        let points = {
            let bar = self.out.out.is_some() || !stdout_lines::is_terminal();
            let mut progress =
                Progress::start(console, bar, || Expected::like(Some(self.checkpoints.len() as u64), &[]));
            let format = self.out.out.as_ref().map(|out| out.format).or(self.out.format);
            let context = TraceContext {
                architecture: &architecture,
                network: &network,
                from,
                kernels: kernels.as_ref(),
                format: format.unwrap_or(Format::Csv),
                console,
            };
            let scores = self.rows(&context, &epochs, &mut scorer, &mut output, &mut progress);
            progress.clear();
            progress.summarise();
            scores?
        };
        if let Some(picture) = picture {
            if points.iter().any(|point| point.score.is_some_and(f64::is_finite)) {
                let svg = trace_svg(
                    &points,
                    epoch_label(from.name()),
                    self.out.score.title(),
                    AxisLimits::default(),
                    self.look.theme(),
                );
                picture.finish(svg.map_err(Failure::from), self.look)?;
            } else {
                let path = picture.path().display();
                console.warning(format_args!("{path}: not drawn, for no checkpoint has a finite score"));
            }
        }
        Ok(if points.iter().any(|point| point.score.is_none()) { Exit::SomeFailed } else { Exit::Success })
    }

    /// A scorer with weights of no meaning yet.
    fn scorer(&self, console: &Console) -> Result<Scorer> {
        let settings = ScorerSettings {
            weights: Weights::default(),
            init: Init::Space,
            convention: self.network.convention,
            precision: self.precision.precision,
            scores: self.scores.with(self.out.score.score()),
        };
        let builder = self.machine.scorer(self.data.batch(console)?, settings);
        options::open(builder.keep_kernels(self.out.kernels.is_some() || console.verbose), console)
    }

    /// The files that it reads.
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        let files = self.checkpoints.iter().chain(self.arch.file()).map(PathBuf::as_path);
        files.chain(self.data.source.data.path())
    }

    fn outputs(&self, scorer: &Scorer) -> Result<(Output, Option<Kernels>)> {
        let existing = Existing::forced(self.out.force);
        let kernels = self.out.kernels.as_deref().map(|folder| self.kernels(folder, scorer)).transpose()?;
        let header = |format| header(columns(), format);
        let begin_kernels = || kernels.iter().try_for_each(|kernels| kernels.folder().begin());
        let output = match &self.out.out {
            None => {
                begin_kernels()?;
                let format = self.out.format.unwrap_or(Format::Csv);
                Output::stdout(format, &header(format))?
            }
            Some(out) => {
                output::refuse_inputs(&out.path, self.inputs())?;
                output::open(&out.path, existing, |file| {
                    begin_kernels()?;
                    Output::begin(file, out, &header(out.format))
                })?
            }
        };
        Ok((output, kernels))
    }

    /// Opens and locks the folder of kernels.
    fn kernels(&self, folder: &Path, scorer: &Scorer) -> Result<Kernels> {
        let files = self.checkpoints.iter().map(|path| path.display().to_string().into());
        let input = [("checkpoints".to_owned(), Value::Array(files.collect()))].into_iter().collect();
        let maker = RowMaker::new(scorer.settings().clone(), self.network.skeleton);
        let run = Run {
            manifest: Manifest { input, settings: maker.shared_settings() },
            shard: Shard::WHOLE,
            existing: Existing::forced(self.out.force),
            inputs: self.inputs().collect(),
        };
        Kernels::open(folder, &run)
    }

    /// Writes a row for every checkpoint.
    fn rows(
        &self,
        context: &TraceContext,
        epochs: &[f64],
        scorer: &mut Scorer,
        output: &mut Output,
        progress: &mut Progress,
    ) -> Result<Vec<TracePoint>> {
        let mut points = Vec::with_capacity(epochs.len());
        for (index, (path, &epoch)) in self.checkpoints.iter().zip(epochs).enumerate() {
            interrupt::check()?;
            let checkpoint = Checkpoint::load(path).map_err(Failure::stopped)?;
            say_prefix(&checkpoint, context.console);
            *scorer = scorer.with_weights(Weights::Checkpoint(checkpoint)).map_err(Failure::stopped)?;
            let score = scorer.score(context.network);
            if let Err(error) = &score
                && error.is_fatal()
            {
                return Err(Failure::stopped(error));
            }
            if let (Some(kernels), Ok(Score { kernel: Some(kernel), .. })) = (context.kernels, &score) {
                kernels.write(index, kernel)?;
            }
            if let Ok(Score { log_det: f64::NEG_INFINITY, kernel: Some(kernel), .. }) = &score {
                progress.singular(path.display(), kernel);
            }
            let error = score.as_ref().err().map(|error| one_line(&error.to_string()));
            let maker = RowMaker::new(scorer.settings().clone(), self.network.skeleton);
            let facts = maker.facts(context.network);
            let subject =
                Subject { index, line: None, architecture: Some(context.architecture), facts: Some(&facts) };
            let outcome = score.as_ref().map(Outcome::from);
            let row = maker.row(&subject, outcome.as_ref().map_err(|_| error.as_deref().unwrap_or("")));
            let more = [Field::text(path.display()), Field::Real(epoch), Field::text(context.from.name())];
            let fields = [row.fields(), &more].concat();
            output.write_bytes(&encode(columns(), &fields, context.format))?;
            match error {
                None => progress.scored(&row),
                Some(error) => progress.failed(&row, Some(format!("{}: {error}", path.display()))),
            }
            let score = row.number(self.out.score.column()).filter(|_| !row.failed());
            points.push(TracePoint { epoch, score });
        }
        output.finish()?;
        Ok(points)
    }
}

fn columns() -> impl Iterator<Item = &'static str> {
    names().chain(MORE_COLUMNS)
}

/// Reads the header of every checkpoint, so that one that cannot be read ends the run before it starts, and finds the epochs.
fn epochs(checkpoints: &[PathBuf], console: &Console) -> Result<(EpochSource, Vec<f64>)> {
    let mut said = Vec::with_capacity(checkpoints.len());
    let mut seen = HashSet::new();
    for path in checkpoints {
        let name = path.display();
        if !seen.insert(path) {
            return Err(Failure::unusable(format_args!("{name}: is given twice")));
        }
        let metadata = Checkpoint::read_metadata(path)?;
        let epoch = metadata.get("epoch").map(|epoch| {
            let number = epoch.trim().parse::<f64>().ok().filter(|epoch| epoch.is_finite());
            let message = format!("{name}: `epoch` of its metadata is `{}`, not a number", shortened(epoch));
            number.ok_or_else(|| Failure::unusable(message))
        });
        said.push(epoch.transpose()?);
    }
    let (from, epochs) = if let Some(epochs) = said.into_iter().collect() {
        (EpochSource::Metadata, epochs)
    } else if let Some(epochs) = epochs_in_names(checkpoints) {
        (EpochSource::Name, epochs)
    } else {
        (EpochSource::Order, (0..checkpoints.len()).map(|position| position as f64).collect())
    };
    if let Some([first, second]) = first_equal(&epochs) {
        let [a, b] = [first, second].map(|position| checkpoints[position].display());
        console.warning(format_args!("{a} and {b} have one epoch, {}", epochs[first]));
    }
    Ok((from, epochs))
}

/// The epochs that the names of checkpoints say: of the numbers that they have in common, one in which all differ, in the names
/// of the files, else, where these are all equal, in those of the nearest folders. Where no number differs in all, the first choice of the files' names, if
/// it differs in some.
fn epochs_in_names(checkpoints: &[PathBuf]) -> Option<Vec<f64>> {
    let stems: Option<Vec<Cow<str>>> =
        checkpoints.iter().map(|path| Some(path.file_stem()?.to_string_lossy())).collect();
    let stems = stems?;
    let choices = numbers_in(&stems);
    let differ = |choices: &[Vec<f64>]| choices.iter().find(|epochs| first_equal(epochs).is_none()).cloned();
    let folders = || {
        (1..).map_while(|up| {
            let folder = |path: &PathBuf| {
                Some(path.ancestors().nth(up)?.file_name()?.to_string_lossy().into_owned().into())
            };
            checkpoints.iter().map(folder).collect::<Option<Vec<Cow<str>>>>()
        })
    };
    let one_name = checkpoints.len() > 1 && stems.iter().all(|stem| *stem == stems[0]);
    let in_folders = || {
        let mut folders = folders().take_while(|_| one_name);
        folders.find_map(|names| differ(&numbers_in(&names)))
    };
    let in_some = || choices.first().filter(|epochs| epochs.iter().any(|epoch| *epoch != epochs[0])).cloned();
    differ(&choices).or_else(in_folders).or_else(in_some)
}

/// The numbers that names have in common, the likeliest epochs first: those behind `epoch`, the last ones of the names, and
/// those before them, counted from the end.
fn numbers_in(names: &[Cow<str>]) -> Vec<Vec<f64>> {
    let numbers: Vec<Vec<f64>> = names.iter().map(|name| numbers(name)).collect();
    let least = numbers.iter().map(Vec::len).min().unwrap_or(0);
    let preferred: Option<Vec<f64>> =
        names.iter().zip(&numbers).map(|(name, all)| epoch_in(name).or(all.last().copied())).collect();
    let behind = (1..=least).map(|back| numbers.iter().map(|all| all[all.len() - back]).collect());
    preferred.into_iter().chain(behind).collect()
}

/// The number behind the last `epoch` in a name.
fn epoch_in(name: &str) -> Option<f64> {
    let name = name.to_ascii_lowercase();
    let place = name.rfind("epoch")? + "epoch".len();
    let digits = name[place..].trim_start_matches(['_', '-', '=', '.', ' ']);
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| numbers(digits).first().copied())?
}

/// All whole numbers of a name, in order.
fn numbers(name: &str) -> Vec<f64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The first two positions that have one epoch.
fn first_equal(epochs: &[f64]) -> Option<[usize; 2]> {
    (0..epochs.len()).find_map(|second| {
        let first = epochs[..second].iter().position(|epoch| *epoch == epochs[second])?;
        Some([first, second])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_epochs() {
        for (names, epochs) in [
            (&["epoch12.safetensors"][..], Some(&[12.0][..])),
            (&["a/epoch_007.safetensors"], Some(&[7.0])),
            (&["resnet50-epoch=3-acc0.93.safetensors"], Some(&[3.0])),
            (&["resnet50-10.safetensors"], Some(&[10.0])),
            (&["step100.safetensors"], Some(&[100.0])),
            (&["\u{fc}n\u{ef}5\u{e9}9.safetensors"], Some(&[9.0])),
            (&["epochs.safetensors"], None),
            (&["last.safetensors"], None),
            (&[""], None),
            (&["ep7-seed777.safetensors", "ep8-seed777.safetensors"], Some(&[7.0, 8.0])),
            (&["run3-epoch1-seed5.safetensors", "run3-epoch2-seed4.safetensors"], Some(&[1.0, 2.0])),
            (&["epoch1-v2.safetensors", "9.safetensors"], Some(&[1.0, 9.0])),
            (
                &["checkpoint-500/model.safetensors", "checkpoint-1000/model.safetensors"],
                Some(&[500.0, 1000.0]),
            ),
            (&["e5/run1/model.safetensors", "e6/run1/model.safetensors"], Some(&[5.0, 6.0])),
            (&["5/model-1.safetensors", "6/model-1.safetensors"], Some(&[5.0, 6.0])),
            (&["a/model-1.safetensors", "b/model-1.safetensors"], None),
            (&["epoch5a.safetensors", "epoch5b.safetensors", "epoch6.safetensors"], Some(&[5.0, 5.0, 6.0])),
        ] {
            let paths: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            assert_eq!(epochs_in_names(&paths).as_deref(), epochs, "{names:?}");
        }
    }
}
