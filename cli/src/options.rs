//! Options that several commands have.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use naswot::{
    Architecture, Backend, Batch, Checkpoint, Convention, Device, Initializer, Network, Normalization,
    Precision, ScoreKind, Scorer, ScorerBuilder, Scores, SkeletonSettings, Space, Weights,
};

use crate::allocator::give_back_large_blocks;
use crate::console::Console;
use crate::exit::{Failure, Result};
use crate::source::{Preprocessing, Source, source};
use crate::threads::start_pool;

/// Most images of a batch. K has the square of it as entries, which are 16 GiB here.
const MOST_IMAGES: u64 = 65_536;
/// Largest height and width that images are resized to.
const MOST_SIZE: u64 = 4096;

/// The network around a cell, and how its ReLUs are counted.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkOptions {
    #[command(flatten)]
    pub(crate) skeleton: SkeletonOptions,
    /// How ReLUs are counted
    ///
    /// `relu`: every module once. `original`: as the paper's public code does, which counts those of
    /// NAS-Bench-201's ReLU-Conv-BN blocks twice.
    #[arg(long, default_value = Convention::Relu.name(), value_parser = convention())]
    pub(crate) convention: Convention,
}

/// The network around a cell.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Network")]
pub struct SkeletonOptions {
    /// Channels behind the stem.
    #[arg(
        long,
        value_name = "C",
        value_parser = within(1, 4096),
        help = with_defaults("Channels behind the stem (the C of NAS-Bench-201)", |space| space.stem)
    )]
    pub stem: Option<usize>,
    /// Cells of a stack.
    #[arg(
        long,
        value_name = "N",
        value_parser = within(1, 1000),
        help = with_defaults("Cells of a stack", |space| space.cells)
    )]
    pub cells: Option<usize>,
}

/// The help of an option, with its default in each space that has it.
fn with_defaults(help: &str, setting: fn(SkeletonSettings) -> Option<usize>) -> String {
    let default = |space: Space| Some((space, setting(space.settings(&SkeletonSettings::default()))?));
    let defaults: Vec<(Space, usize)> = Space::ALL.into_iter().filter_map(default).collect();
    let (_, first) = defaults[0];
    if defaults.iter().all(|(_, value)| *value == first) {
        return format!("{help} [default: {first}]");
    }
    let each: Vec<String> = defaults.iter().map(|(space, value)| format!("{value} for {space}")).collect();
    format!("{help} [default: {}]", each.join(", "))
}

impl SkeletonOptions {
    /// The settings that were asked for; the others are the spaces' own.
    pub(crate) fn asked(self) -> SkeletonSettings {
        SkeletonSettings { stem: self.stem, cells: self.cells }
    }

    /// The network of an architecture.
    pub(crate) fn network(self, architecture: &Architecture) -> naswot::Result<Network> {
        architecture.network(&self.asked())
    }

    /// The settings of an architecture's network; of none they are known where they were asked for.
    pub(crate) fn settings(self, architecture: Option<&Architecture>) -> SkeletonSettings {
        architecture.map_or(self.asked(), |architecture| architecture.space().settings(&self.asked()))
    }
}

/// The settings that decide the scores of a batch.
pub(crate) struct ScorerSettings {
    pub(crate) weights: Weights,
    pub(crate) init: Init,
    pub(crate) convention: Convention,
    pub(crate) precision: Precision,
    pub(crate) scores: ScoresOptions,
}

/// The machine, which never changes a score.
#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineOptions {
    /// auto, cpu, cuda[:N] or wgpu[:NAME[#I]], as `naswot devices` lists what works
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: Backend,
    /// Threads of the processor [default: all cores]
    #[arg(long, value_name = "N", value_parser = within(1, 1024))]
    threads: Option<usize>,
    /// Networks that run together [default: what suits the device]
    #[arg(long, value_name = "N", value_parser = within(1, 1 << 20))]
    group_size: Option<usize>,
    /// Memory that networks may take at once, such as 800M or 4G [default: no limit]
    ///
    /// In bytes; K, M, G and T stand for powers of 1024. A network that needs more by itself fails.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory_limit: Option<NonZeroU64>,
    /// Where NVRTC, CUDA's compiler, is: the library or its folder [default: what fits the GPU and its driver]
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    nvrtc: Option<PathBuf>,
}

impl MachineOptions {
    /// Starts the threads of what runs beside a scorer, as many as the scorer's. Where memory has a limit, nobody keeps what is
    /// free.
    pub(crate) fn start_threads(&self) -> Result<()> {
        if self.memory_limit.is_some() {
            give_back_large_blocks();
        }
        start_pool(self.threads)
    }

    /// The builder of a scorer of these settings on the machine.
    pub(crate) fn scorer(&self, batch: Batch, settings: ScorerSettings) -> ScorerBuilder {
        let ScorerSettings { weights, init, convention, precision, scores } = settings;
        let mut builder = Scorer::builder(batch)
            .weights(weights)
            .convention(convention)
            .precision(precision)
            .scores(scores.scores)
            .swap_images(scores.swap_images)
            .backend(self.backend.clone());
        if let Init::Of(initializer) = init {
            builder = builder.initializer(initializer);
        }
        if let Some(threads) = self.threads {
            builder = builder.threads(threads);
        }
        if let Some(networks) = self.group_size {
            builder = builder.group_size(networks);
        }
        if let Some(bytes) = self.memory_limit {
            builder = builder.memory_limit(bytes.get());
        }
        if let Some(path) = &self.nvrtc {
            builder = builder.nvrtc(path);
        }
        builder
    }
}

/// Opens the device of a scorer. A run that ends on the processor although there is a GPU or its driver says why.
pub(crate) fn open(builder: ScorerBuilder, console: &Console) -> Result<Scorer> {
    if let Some(why) = naswot::cache_refusal() {
        console.detail(why);
    }
    let scorer = builder.build()?;
    for Device { backend, name, unusable, .. } in scorer.passed_over() {
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        let why = unusable.as_deref().unwrap_or_else(|| unreachable!("{backend} was passed over"));
        match scorer.settings().backend {
            "cpu" => {
                console.warning(format_args!(
                    "{backend}{name} is not used: {why}; this run is on the processor"
                ));
            }
            _ => console.detail(format_args!("{backend}{name} is not used: {why}")),
        }
    }
    Ok(scorer)
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub(crate) struct PrecisionOption {
    /// Number format of activations and products
    #[arg(long, value_name = "PRECISION", default_value = "auto", value_parser = precision())]
    pub(crate) precision: Precision,
}

/// The scores that are computed.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Scores")]
pub(crate) struct ScoresOptions {
    /// Scores to compute, with commas between: nwot, which always is, swap, meco, expressivity and progressivity
    ///
    /// nwot: log |det K|, the column `score`. swap: distinct activation patterns of the ReLU units over a few images.
    /// meco: least eigenvalues of channel correlations, added up over convolutions and cells. expressivity, progressivity:
    /// sum and least growth of the entropies of the cells' spectra. The last three are computed on the cpu alone so far.
    #[arg(long, value_name = "LIST", default_value_t)]
    pub(crate) scores: Scores,
    /// Images over which swap counts patterns, 8 to 24; all of a smaller batch
    #[arg(long, value_name = "M", default_value_t = ScorerBuilder::SWAP_IMAGES, value_parser = swap_images())]
    pub(crate) swap_images: usize,
}

impl ScoresOptions {
    /// The options with a further score, if one is needed.
    pub(crate) fn with(mut self, score: Option<ScoreKind>) -> Self {
        self.scores = self.scores.iter().chain(score).collect();
        self
    }
}

/// The images that every network sees.
#[derive(Args, Debug)]
#[command(next_help_heading = "Images")]
pub(crate) struct DataOptions {
    #[command(flatten)]
    pub(crate) source: SourceOption,
    /// Images in the batch [default: 32; the whole file for npy]
    #[arg(long, value_name = "N", value_parser = most_images())]
    pub(crate) batch_size: Option<usize>,
    /// Draw the images with a seed [default: take the first ones]
    ///
    /// They are drawn without replacement. For synthetic images it is the seed that they are made from, 0 by
    /// default.
    #[arg(long, value_name = "SEED", allow_negative_numbers = true)]
    pub(crate) data_seed: Option<u64>,
    /// Add Gaussian noise of this standard deviation, in the units of the normalized images
    ///
    /// It is made from the seed of --data-seed, 0 by default.
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) noise: f64,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Images")]
pub(crate) struct SourceOption {
    /// synthetic, cifar10:PATH, cifar100:PATH, imagenet16:PATH, images:DIR or npy:FILE
    ///
    /// CIFAR is read from a file or the folder of the training split, in its binary version or the one for Python;
    /// imagenet16 is ImageNet16-120, from the folder of its pickles or one of them. They are normalized. images is a folder of
    /// PNG and JPEG files, or of one such folder for each class, and needs --image-size. A NumPy file (N x 3 x H x W, float32)
    /// is taken as it is, and pixels (uint8) by --normalize. Synthetic images are like photographs in their statistics and need
    /// no file.
    #[arg(long, value_name = "DATA", default_value = "synthetic", value_parser = source())]
    pub(crate) data: Source,
    /// Height and width of the images of a folder
    ///
    /// Their shorter side is resized to it, by a triangle filter as PIL's, and the middle of the longer one is taken, as
    /// torchvision's Resize and CenterCrop do.
    #[arg(long, value_name = "S", value_parser = within(1, MOST_SIZE))]
    pub(crate) image_size: Option<usize>,
    /// Normalize pixels by the mean and deviation of a data set [default: imagenet for images:DIR]
    ///
    /// The pixels (uint8) of a NumPy file, or those of a folder of images.
    #[arg(long, value_name = "DATASET", value_parser = normalization())]
    pub(crate) normalize: Option<Normalization>,
}

impl SourceOption {
    /// Reads or makes so many images, and says what was converted.
    pub(crate) fn batch(
        &self,
        batch_size: Option<usize>,
        data_seed: Option<u64>,
        console: &Console,
    ) -> Result<Batch> {
        let preprocessing = Preprocessing { normalization: self.normalize, size: self.image_size };
        let batch = self.data.batch(preprocessing, batch_size, data_seed)?;
        let [_, _, height, width] = batch.shape();
        let fits = |space: &Space| {
            let divisor = space.size_divisor();
            height.is_multiple_of(divisor) && width.is_multiple_of(divisor)
        };
        if !Space::ALL.iter().any(fits) {
            let spaces: Vec<String> =
                Space::ALL.iter().map(|space| format!("{} ({space})", space.size_divisor())).collect();
            return Err(Failure::unusable(format_args!(
                "{}: images are {height} x {width}; height and width have to be multiples of {}, for networks halve them. \
                 (PyTorch's pools leave out the last row of an odd number; naswot's leave out none: crop or pad the images.)",
                self.data,
                spaces.join(" or "),
            )));
        }
        if let Some(conversion) = batch.conversion() {
            console.remark(format_args!("{}: {conversion}", self.data));
        }
        Ok(batch)
    }
}

impl DataOptions {
    /// Reads or makes the batch.
    pub(crate) fn batch(&self, console: &Console) -> Result<Batch> {
        let batch = self.source.batch(self.batch_size, self.data_seed, console)?;
        with_noise(&batch, self.noise, self.data_seed, console)
    }
}

/// The batch as networks see it, with noise; warns of one whose scores say nothing.
pub(crate) fn with_noise(
    batch: &Batch,
    sigma: f64,
    data_seed: Option<u64>,
    console: &Console,
) -> Result<Batch> {
    let batch = batch.with_noise(sigma, data_seed.unwrap_or(0))?;
    if batch.len() == 1 {
        let every =
            "every score will be ln N_A, the logarithm of the number of ReLU bits, whatever the weights";
        console.warning(format_args!("a batch of one image: {every}"));
    } else if let Some([first, second]) = batch.equal_images() {
        let every = "every score will be -inf";
        console.warning(format_args!("images {first} and {second} of the batch (from 0) are equal: {every}"));
    }
    Ok(batch)
}

/// Parses the data set that images are normalized as.
fn normalization() -> impl TypedValueParser<Value = Normalization> {
    let find = |name: String| {
        let found = Normalization::ALL.into_iter().find(|data| data.name() == name);
        found.unwrap_or_else(|| unreachable!("`{name}` is a possible value"))
    };
    PossibleValuesParser::new(Normalization::ALL.map(|data| data.name())).map(find)
}

/// Says that a prefix of a checkpoint's names was dropped; once of checkpoints that all have it.
pub(crate) fn say_prefix(checkpoint: &Checkpoint, console: &Console) {
    let prefix = checkpoint.prefix();
    if !prefix.is_empty() {
        console
            .remark(format_args!("weights: every tensor's name begins with `{prefix}`, which was dropped"));
    }
}

/// Parses the number of images in a batch.
pub(crate) fn most_images() -> impl TypedValueParser<Value = usize> {
    within(1, MOST_IMAGES)
}

/// Parses the number of images over which patterns are counted.
fn swap_images() -> impl TypedValueParser<Value = usize> {
    let range = ScorerBuilder::SWAP_IMAGES_RANGE;
    within(*range.start() as u64, *range.end() as u64)
}

/// Parses a number within limits.
pub(crate) fn within(least: u64, most: u64) -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64).range(least..=most).try_map(usize::try_from)
}

/// The value of the option `--init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// Each search space's own.
    Space,
    Of(Initializer),
}

/// Parses an initializer.
pub(crate) fn initializer() -> impl TypedValueParser<Value = Init> {
    let names = std::iter::once("space").chain(Initializer::ALL.map(Initializer::name));
    let find = |name: String| {
        let found = Initializer::ALL.into_iter().find(|initializer| initializer.name() == name);
        found.map_or(Init::Space, Init::Of)
    };
    PossibleValuesParser::new(names).map(find)
}

/// Parses a precision.
pub(crate) fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::ALL.map(Precision::name)).try_map(|name| name.parse::<Precision>())
}

/// Parses a convention.
pub(crate) fn convention() -> impl TypedValueParser<Value = Convention> {
    let find = |name: String| {
        let found = Convention::ALL.into_iter().find(|convention| convention.name() == name);
        found.unwrap_or_else(|| unreachable!("`{name}` is a possible value"))
    };
    PossibleValuesParser::new(Convention::ALL.map(Convention::name)).map(find)
}

/// Parses the name of a file, which need be no UTF-8, by its ending.
pub(crate) fn file<T: Clone + Send + Sync + 'static>(
    parse: impl Fn(PathBuf) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T> {
    PathBufValueParser::new().try_map(parse)
}

/// Parses a number of bytes, with K, M, G or T, powers of 1024, behind it or not.
pub(crate) fn bytes(text: &str) -> Result<NonZeroU64, String> {
    let wrong = || "must be a number of bytes above 0, such as 800000000, 800M or 4G".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(wrong()),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << (10 * power)));
    number.and_then(NonZeroU64::new).ok_or_else(wrong)
}

/// Parses the name of a search space.
pub(crate) fn space() -> impl TypedValueParser<Value = Space> {
    PossibleValuesParser::new(Space::ALL.map(Space::name)).try_map(|name| name.parse::<Space>())
}
