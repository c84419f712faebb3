//! `naswot trace`: the score of one architecture over its training.

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use naswot::analysis::drawing::{TracePoint, trace_svg};
use naswot::{Architecture, Checkpoint, Network, Score, Scorer, Weights};

use crate::architecture_arg::ArchitectureArg;
use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::field::Field;
use crate::interrupt;
use crate::kernels::Kernels;
use crate::measure::Measure;
use crate::options::{
    DataOptions, Init, MachineOptions, NetworkOptions, PrecisionOption, ScorerSettings, ScoresOptions,
};
use crate::output::{self, Existing, OutFile, Output};
use crate::picture::{Picture, PictureFile, PictureStyle};
use crate::plot::epoch_label;
use crate::progress::Progress;
use crate::row_inputs::{Outcome, Subject};
use crate::rows::{Format, RowMaker, encode, format, header, names};
use crate::text::one_line;

/// Columns behind those of a score.
const MORE_COLUMNS: [&str; 3] = ["checkpoint", "epoch", "epoch_from"];

const EXAMPLES: &str = "\
Examples:
  naswot trace run/epoch*.safetensors --arch cell.jsonl -o trace.csv --plot trace.svg
  naswot trace a.safetensors b.safetensors --arch scores.csv --row 17 --data cifar10:cifar-10-batches-bin

examples/train_checkpoints.py writes such checkpoints with PyTorch.";

/// Score one architecture at each checkpoint of its training
///
/// Checkpoints are PyTorch state dicts as safetensors, with the names of the benchmark's public PyTorch code. Rows are those of
/// `naswot score`, one a checkpoint in the order given, with the file, its epoch and where that is from: `epoch` of the file's
/// metadata; where some file has none, the number behind `epoch` in the file's name, or the last one in it; where some name has
/// none, the order. A checkpoint that does not fit the architecture is that row's error.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Trace {
    /// Checkpoints (safetensors)
    #[arg(value_name = "CHECKPOINT", required = true)]
    checkpoints: Vec<PathBuf>,
    /// The architecture as in the column `arch`, or a file that holds it: architectures, or scores; `-` is standard input
    #[arg(long, value_name = "ARCH|FILE", allow_hyphen_values = true)]
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
    machine: MachineOptions,
    #[command(flatten)]
    precision: PrecisionOption,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Write rows to a .csv or .jsonl file [default: standard output]
    #[arg(short, long, value_name = "FILE", value_parser = OutFile::parse)]
    out: Option<OutFile>,
    /// Form of the rows on standard output [default: csv]
    #[arg(long, value_name = "FORMAT", conflicts_with = "out", value_parser = format())]
    format: Option<Format>,
    /// Write the K of every checkpoint to DIR/<index>.npy
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
    /// Draw score against epoch to a .svg or .png file
    #[arg(long, value_name = "FILE", value_parser = PictureFile::parse)]
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
}

impl Trace {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let architecture = self.arch.find(self.row)?;
        let network = self.network.skeleton.network(&architecture)?;
        let (from, epochs) = epochs(&self.checkpoints)?;
        let mut scorer = self.scorer(console)?;
        let existing = if self.out.force { Existing::Replace } else { Existing::Refuse };
        let picture = self.out.plot.as_ref().map(|file| Picture::new(file, self.out.force)).transpose()?;
        let opened = self.outputs(existing);
        let ended = opened.and_then(|(mut output, kernels)| {
            let bar = self.out.out.is_some() || !io::stdout().is_terminal();
            let mut progress = Progress::start(console, bar, || Some(self.checkpoints.len() as u64));
            let format = self.out.out.as_ref().map(|out| out.format).or(self.out.format);
            let context = TraceContext {
                architecture: &architecture,
                network: &network,
                from,
                kernels: kernels.as_ref(),
                format: format.unwrap_or(Format::Csv),
            };
            let scores = self.rows(&context, &epochs, &mut scorer, &mut output, &mut progress);
            progress.clear();
            progress.summarise();
            scores
        });
        let points = match (ended, picture) {
            (Ok(points), None) => points,
            (Err(failure), None) => return Err(failure),
            (Err(failure), Some(picture)) => return picture.finish(Err(failure), self.look),
            (Ok(points), Some(picture)) => {
                if points.iter().any(|point| point.score.is_some_and(f64::is_finite)) {
                    let svg = trace_svg(
                        &points,
                        epoch_label(from.name()),
                        self.out.score.title(),
                        self.look.theme(),
                    );
                    picture.finish(svg.map_err(Failure::from), self.look)?;
                } else {
                    picture.discard();
                    let path = picture.path().display();
                    console.warning(format_args!("{path}: not drawn, for no checkpoint has a finite score"));
                }
                points
            }
        };
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
        Ok(builder.keep_kernels(self.out.kernels.is_some() || console.verbose).build()?)
    }

    fn outputs(&self, existing: Existing) -> Result<(Output, Option<Kernels>)> {
        let kernels =
            self.out.kernels.as_deref().map(|folder| Kernels::open(folder, existing)).transpose()?;
        let header = |format| header(columns(), format);
        let output = match &self.out.out {
            None => {
                let format = self.out.format.unwrap_or(Format::Csv);
                Output::stdout(format, &header(format))?
            }
            Some(out) => Output::begin(output::open(&out.path, existing)?, out, &header(out.format))?,
        };
        if let (Some(kernels), Existing::Replace) = (&kernels, existing) {
            kernels.clear()?;
        }
        Ok((output, kernels))
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
                Some(error) => progress.failed(Some(format!("{}: {error}", path.display()))),
            }
            let score = row.number(self.out.score.column()).filter(|_| !row.failed());
            points.push(TracePoint { epoch, score });
        }
        Ok(points)
    }
}

fn columns() -> impl Iterator<Item = &'static str> {
    names().chain(MORE_COLUMNS)
}

/// Reads every checkpoint once, so that one that cannot be read ends the run before it starts, and finds the epochs.
fn epochs(checkpoints: &[PathBuf]) -> Result<(EpochSource, Vec<f64>)> {
    let mut said = Vec::with_capacity(checkpoints.len());
    let mut seen = HashSet::new();
    for path in checkpoints {
        let name = path.display();
        if !seen.insert(path) {
            return Err(Failure::unusable(format_args!("{name}: is given twice")));
        }
        let checkpoint = Checkpoint::load(path)?;
        let epoch = checkpoint.metadata("epoch").map(|epoch| {
            let number = epoch.trim().parse::<f64>().ok().filter(|epoch| epoch.is_finite());
            let message =
                format!("{name}: `epoch` of its metadata is `{}`, not a number", epoch.escape_debug());
            number.ok_or_else(|| Failure::unusable(message))
        });
        said.push(epoch.transpose()?);
    }
    if let Some(epochs) = said.into_iter().collect() {
        return Ok((EpochSource::Metadata, epochs));
    }
    let in_names: Option<Vec<f64>> = checkpoints.iter().map(|path| number_in_name(path)).collect();
    Ok(match in_names {
        Some(epochs) => (EpochSource::Name, epochs),
        None => (EpochSource::Order, (0..checkpoints.len()).map(|position| position as f64).collect()),
    })
}

/// The number behind `epoch` in the name of a file, or the last one in it; its ending aside.
fn number_in_name(path: &Path) -> Option<f64> {
    let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
    let first_number = |text: &str| -> Option<f64> {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let behind = stem.rfind("epoch").and_then(|place| {
        first_number(stem[place + "epoch".len()..].trim_start_matches(['_', '-', '=', '.', ' ']))
    });
    let last = || {
        let end = stem.rfind(|c: char| c.is_ascii_digit())? + 1;
        let start = stem[..end]
            .rfind(|c: char| !c.is_ascii_digit())
            .map_or(0, |place| place + stem[place..].chars().next().map_or(1, char::len_utf8));
        first_number(&stem[start..end])
    };
    behind.or_else(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_epoch() {
        for (name, epoch) in [
            ("epoch12.safetensors", Some(12.0)),
            ("a/epoch_007.safetensors", Some(7.0)),
            ("resnet50-epoch=3-acc0.93.safetensors", Some(3.0)),
            ("resnet50-10.safetensors", Some(10.0)),
            ("step100.safetensors", Some(100.0)),
            ("ünï5é9.safetensors", Some(9.0)),
            ("epochs.safetensors", None),
            ("last.safetensors", None),
            ("", None),
        ] {
            assert_eq!(number_in_name(Path::new(name)), epoch, "{name}");
        }
    }
}
