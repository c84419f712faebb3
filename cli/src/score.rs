//! `naswot score`: one row for every network of a file.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use naswot::{Batch, Checkpoint, Scorer, Settings, Stage, Weights};

use crate::codes::CodeFiles;
use crate::console::{Console, say};
use crate::entries::Ended;
use crate::exit::{Exit, Failure, Result};
use crate::input::{Input, InputOptions};
use crate::interrupt;
use crate::kernels::Kernels;
use crate::options::{
    self, DataOptions, Init, MachineOptions, NetworkOptions, PrecisionOption, ScorerSettings, ScoresOptions,
    file, initializer, say_prefix, within,
};
use crate::output::{self, OutFile, Output};
use crate::pipeline::{Pipeline, RunContext};
use crate::progress::{Expected, Progress};
use crate::resume::ExistingOptions;
use crate::row_inputs::Facts;
use crate::rows::{Format, RowMaker, format, header, names};
use crate::run_folder::{Manifest, Run};
use crate::stdout_lines;

const EXAMPLES: &str = "\
Examples:
  naswot sample --space nasbench201 -n 100 | naswot score -
  naswot score cells.jsonl -o scores.csv --data cifar10:cifar-10-batches-bin
  naswot score cells.jsonl -o scores.csv --resume
  naswot score cells.jsonl -o scores.jsonl --kernels kernels";

const MORE: &str = "\
Rows come in the order of the input, each as soon as it and all before it are
known, so that a run that is killed loses nothing but the row it was writing.
docs/output.md describes the columns and the rules of --resume.

Exit status:
  0    every network was scored (-inf is a score)
  1    came to the end, but some networks failed
  2    could not start: options, input, data, weights, backend, output
  3    stopped half way (disk full, say); finished rows are on disk
  130  Ctrl-C; finished rows are on disk";

/// Score every network of a file or a space
///
/// Scores untrained networks by NASWOT: the log-determinant of the agreement matrix K of their ReLU codes over
/// one batch of images. Higher is better; scores of different batches cannot be compared.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{MORE}"))]
pub(crate) struct Score {
    #[command(flatten)]
    input: InputOptions,
    #[command(flatten)]
    out: OutputOptions,
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    weights: WeightOptions,
    #[command(flatten)]
    scores: ScoresOptions,
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    #[command(flatten)]
    precision: PrecisionOption,
    /// Debugging: run stages in the plain form of the CPU: all, or some of a GPU's
    #[arg(
        long,
        value_name = "STAGES",
        value_delimiter = ',',
        value_parser = twins(),
        hide_short_help = true,
        help_heading = "Machine"
    )]
    twin: Vec<Twin>,
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
    /// Write the K of every network to DIR/<index>.npy
    ///
    /// The agreement matrix: uint32, N x N, in NumPy's format. It is written before the row.
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
    /// Write the codes of every network to DIR/<index>.npy and DIR/<index>.json
    ///
    /// The bits that K is counted from: uint32 words, N rows, in NumPy's format, and beside them a table that says which unit
    /// has which bit (docs/output.md). They are written before the row.
    #[arg(long, value_name = "DIR")]
    codes: Option<PathBuf>,
    #[command(flatten)]
    existing: ExistingOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Weights")]
struct WeightOptions {
    /// Seed of the weights
    #[arg(long, value_name = "SEED", default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Initial weights of the convolutions; `space`: each search space's own
    ///
    /// kaiming-normal: deviation sqrt(2 / fan in); xavier-normal and xavier-uniform: sqrt(2 / (fan in + fan out));
    /// normal: 1; kaiming-normal-fan-out is that of nasbench101, uniform-fan-in that of nasbench201.
    #[arg(long, value_name = "INIT", default_value = "space", value_parser = initializer())]
    init: Init,
    /// Score with the seeds from --seed up, so many: the mean, and in `score_sd` the standard deviation
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = within(1, 1000))]
    #[arg(conflicts_with_all = ["kernels", "codes"])]
    repeats: usize,
    /// Take the weights of a PyTorch checkpoint (safetensors)
    ///
    /// Tensors have the names of the benchmark's public PyTorch code. Every network of the file must fit; the
    /// seed has no meaning then.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["init", "repeats"])]
    weights: Option<PathBuf>,
}

/// The stages that run in plain form.
#[derive(Clone, Copy, Debug)]
enum Twin {
    All,
    Stage(Stage),
}

impl Twin {
    fn stages(&self) -> &[Stage] {
        match self {
            Twin::All => &Stage::OF_DEVICE,
            Twin::Stage(stage) => std::slice::from_ref(stage),
        }
    }
}

fn twins() -> impl TypedValueParser<Value = Twin> {
    let names = std::iter::once("all").chain(Stage::OF_DEVICE.into_iter().map(Stage::name));
    PossibleValuesParser::new(names).map(|name| {
        let stage = Stage::OF_DEVICE.into_iter().find(|stage| stage.name() == name);
        stage.map_or(Twin::All, Twin::Stage)
    })
}

impl Score {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let mut input = self.input.open(console)?;
        let scorer = self.scorer(self.data.batch(console)?, console)?;
        describe(scorer.settings(), console);
        let maker = RowMaker::new(scorer.settings().clone(), self.network.skeleton);
        let (kernels, codes) = self.folders(&maker)?;
        // Rows on a terminal would run through the bar.
        let bar = self.out.out.is_some() || !stdout_lines::is_terminal();
        let mut progress = Progress::start(console, bar, || {
            let networks = input.typical().into_iter().filter_map(|cell| maker.network(&cell).ok());
            let typical: Vec<Facts> = networks.map(|network| maker.facts(&network)).collect();
            Expected::like(input.total(), &typical)
        });
        let name = input.name().to_owned();
        let distinct = input.distinct();
        let (kernels, codes) = (kernels.as_ref(), codes.as_ref());
        let context =
            RunContext { input: &name, scorer: &scorer, maker: &maker, kernels, codes, faults_said: false };
        let ended = self.rows(&mut input, &mut Pipeline::new(context, &mut progress, &mut |_| {}, distinct));
        progress.clear();
        if matches!(ended, Ok(_) | Err(Failure { exit: Exit::Stopped, .. })) {
            progress.summarise();
        }
        let ended = ended?;
        if let (Ended::Interrupted, Some(out), false) = (&ended, &self.out.out, console.quiet) {
            say(format_args!("stopped; --resume goes on with {}", out.path.display()));
        }
        if input.taken() == 0 && ended == Ended::Complete {
            console.warning(format_args!("{name}: holds no architectures"));
        }
        Ok(match ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::Complete if progress.tally().failed > 0 => Exit::SomeFailed,
            Ended::Complete => Exit::Success,
        })
    }

    fn scorer(&self, batch: Batch, console: &Console) -> Result<Scorer> {
        let weights = match &self.weights.weights {
            Some(path) => {
                let checkpoint = Checkpoint::load(path)?;
                say_prefix(&checkpoint, console);
                Weights::Checkpoint(checkpoint)
            }
            None => Weights::Seeded { seed: self.weights.seed },
        };
        let settings = ScorerSettings {
            weights,
            init: self.weights.init,
            convention: self.network.convention,
            precision: self.precision.precision,
            scores: self.scores,
        };
        let builder = self.machine.scorer(batch, settings).repeats(self.weights.repeats);
        // A detail says of which images a K is singular. Of several seeds there is no one K.
        let kernels = self.out.kernels.is_some() || (console.verbose && self.weights.repeats == 1);
        let builder = builder.keep_kernels(kernels).keep_codes(self.out.codes.is_some());
        let twins: Vec<Stage> = self.twin.iter().flat_map(Twin::stages).copied().collect();
        options::open(builder.twins(&twins), console)
    }

    /// Writes the rows of all networks that have none yet.
    fn rows(&self, input: &mut Input, pipeline: &mut Pipeline) -> Result<Ended> {
        let mut output = self.output(input, pipeline)?;
        pipeline.run_all(input, &mut output)
    }

    /// Opens the output; with rows of an earlier run, past the networks that they are of.
    fn output(&self, input: &mut Input, pipeline: &mut Pipeline) -> Result<Output> {
        let Some(out) = &self.out.out else {
            pipeline.context.begin_folders()?;
            let format = self.out.format.unwrap_or(Format::Csv);
            return Output::stdout(format, &header(names(), format));
        };
        output::refuse_inputs(&out.path, self.inputs())?;
        let existing = &self.out.existing;
        output::open(&out.path, existing.existing(), |file| existing.output(file, out, input, pipeline))
    }

    /// Opens and locks the folders of kernels and of codes.
    fn folders(&self, maker: &RowMaker) -> Result<(Option<Kernels>, Option<CodeFiles>)> {
        let OutputOptions { kernels, codes, .. } = &self.out;
        if kernels.is_none() && codes.is_none() {
            return Ok((None, None));
        }
        let run = Run {
            manifest: Manifest { input: self.input.identity()?, settings: maker.shared_settings() },
            shard: self.input.shard(),
            existing: self.out.existing.existing(),
            inputs: self.inputs().collect(),
        };
        if let (Some(kernels), Some(codes)) = (kernels, codes)
            && (kernels == codes || output::is_same_file(kernels, codes))
        {
            let message = "is the folder of --kernels, too: the files have the same names";
            return Err(Failure::unusable(format_args!("{}: {message}", codes.display())));
        }
        let kernels = kernels.as_deref().map(|folder| Kernels::open(folder, &run)).transpose()?;
        let codes = codes.as_deref().map(|folder| CodeFiles::open(folder, &run)).transpose()?;
        Ok((kernels, codes))
    }

    /// The files that it reads.
    fn inputs(&self) -> impl Iterator<Item = &Path> {
        let weights = self.weights.weights.as_deref();
        self.input.file().into_iter().chain(self.data.source.data.path()).chain(weights)
    }
}

/// Prints the settings of a run, as details.
fn describe(settings: &Settings, console: &Console) {
    let Settings { backend, device, precision, data, batch_shape, batch_sha256, .. } = settings;
    let [n, channels, height, width] = batch_shape;
    console.detail(format_args!("{backend} ({device}) in {precision}"));
    console.detail(format_args!("{data}: {n}x{channels}x{height}x{width}, sha256 {batch_sha256}"));
}
