//! The scorer, which is the front door of the crate.

mod builder;
mod requests;
mod session;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::analysis::Summary;
use crate::backend::ceilings::DeviceCeilings;
use crate::backend::{Executor, Outcome, Setup};
use crate::plan::Plan;
use crate::score::{ScoreValues, or_infinity};
use crate::{
    Agreement, Batch, Codes, Convention, Device, Error, Initializer, Network, Precision, Result, ScoreKind,
    Scores, Weights,
};
pub use builder::ScorerBuilder;
pub use requests::Ticket;
pub use session::Session;
pub use stream::Stream;

/// The settings that made a score. Everything here but [`Settings::device`] takes part in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// N x C x H x W of the batch.
    pub batch_shape: [usize; 4],
    /// The source of the images: `synthetic`, `cifar10`, ..
    pub data: String,
    /// SHA-256 of the batch's numbers.
    pub batch_sha256: String,
    /// Seed of the weights; none for a checkpoint.
    pub seed: Option<u64>,
    /// `space`, each search space's own initial weights; an [`Initializer`]'s name; or `checkpoint`.
    pub initializer: &'static str,
    /// Seeds that were scored, from `seed` up.
    pub repeats: usize,
    /// Standard deviation of the noise on the images.
    pub noise: f64,
    /// SHA-256 of the checkpoint; none for seeded weights.
    pub weights_sha256: Option<String>,
    /// How ReLUs were counted.
    pub convention: Convention,
    /// Which scores were computed.
    pub scores: Scores,
    /// Images whose activation patterns SWAP counted; none where it was not asked for.
    pub swap_images: Option<usize>,
    /// The precision that was really used, never `auto`.
    pub precision: Precision,
    /// The backend's name, never `auto`.
    pub backend: &'static str,
    /// The device's name.
    pub device: String,
    /// Version of this crate.
    pub naswot_version: &'static str,
}

/// The score of one network, and what belongs to it.
///
/// Serialized, it is a map of these fields, and `log_det` the text `-inf` where it is negative infinity.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// The network's name: [`Network::id`].
    #[serde(serialize_with = "shared")]
    pub id: Arc<str>,
    /// log |det K|, natural logarithm; negative infinity exactly when K is singular. Higher is better; scores
    /// of different batch sizes cannot be compared. The mean over repeats, and negative infinity when one of them is.
    #[serde(serialize_with = "or_infinity")]
    pub log_det: f64,
    /// Standard deviation over repeats (of a sample: R - 1 in the divisor); none for a single one, and where a score
    /// is negative infinity.
    pub deviation: Option<f64>,
    /// N_A: code bits of one image.
    pub activations: u64,
    /// Trainable parameters.
    pub parameters: u64,
    /// Multiply-accumulates of the convolutions for one image.
    pub macs: u64,
    /// Convolutions that have a path to the output.
    pub convolutions: u64,
    /// Scores beside NASWOT's.
    #[serde(flatten)]
    scores: ScoreValues,
    /// K, when the scorer was told to keep it.
    pub kernel: Option<Agreement>,
    /// The codes that K is counted from, when the scorer was told to keep them.
    pub codes: Option<Codes>,
    /// Wall time of the network's group, divided by the networks in it; the sum over repeats.
    pub seconds: f64,
    /// The settings that made the score; shared by the scores of one scorer.
    #[serde(serialize_with = "shared")]
    pub settings: Arc<Settings>,
}

impl Score {
    /// The score of a name, the mean over repeats; `None` where it was not asked for or there is no such score.
    ///
    /// ```
    /// use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    ///
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// let cell: Cell = "|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|".parse()?;
    /// let score = scorer.score(&cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
    /// assert_eq!((score.get("nwot"), score.get("swap")), (Some(score.log_det), None));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<f64> {
        match name.parse().ok()? {
            ScoreKind::Nwot => Some(self.log_det),
            kind => self.scores.get(kind),
        }
    }
}

/// Scores networks on one batch with one set of weights. Owns the device; cheap to clone, and may be used from
/// many threads.
///
/// ```
/// use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
///
/// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
/// let cell: Cell = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|nor_conv_1x1~2|".parse()?;
/// let score = scorer.score(&cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
/// assert!(score.log_det > 0.0);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone)]
pub struct Scorer {
    setup: Setup,
    /// An executor for each repeat, at least one.
    executors: Vec<Arc<dyn Executor>>,
    initializer: Option<Initializer>,
    settings: Arc<Settings>,
    passed_over: Arc<[Device]>,
    /// The process that has opened the device: a child that it forks has neither its threads nor its device.
    process: u32,
}

impl Scorer {
    fn new(setup: Setup, executors: Vec<Arc<dyn Executor>>, initializer: Option<Initializer>) -> Self {
        let executor = &executors[0];
        let settings = Settings {
            batch_shape: setup.batch.shape(),
            data: setup.batch.label().to_owned(),
            batch_sha256: setup.batch.sha256().to_owned(),
            seed: match setup.weights {
                Weights::Seeded { seed } => Some(seed),
                _ => None,
            },
            initializer: initializer.map_or(setup.weights.label(), Initializer::name),
            repeats: executors.len(),
            noise: setup.batch.noise(),
            weights_sha256: setup.weights.sha256().map(str::to_owned),
            convention: setup.convention,
            scores: setup.scores,
            swap_images: setup.swap_images(),
            precision: executor.precision(),
            backend: executor.backend(),
            device: executor.device().to_owned(),
            naswot_version: env!("CARGO_PKG_VERSION"),
        };
        let (settings, passed_over, process) = (Arc::new(settings), Arc::default(), std::process::id());
        Scorer { settings, setup, executors, initializer, passed_over, process }
    }

    /// What its scores are made from.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The device's name.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer};
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).build()?;
    /// println!("{}", scorer.device());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn device(&self) -> &str {
        &self.settings.device
    }

    /// Devices that [`Backend::Auto`](crate::Backend::Auto), or CUDA without a number, would have taken before this one, and why
    /// they cannot be used. None on a machine that has neither a GPU nor a driver, nor where a GPU was not asked.
    ///
    /// ```
    /// # use naswot::{Backend, Batch, Scorer};
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).backend(Backend::Cpu).build()?;
    /// assert!(scorer.passed_over().is_empty());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn passed_over(&self) -> &[Device] {
        &self.passed_over
    }

    /// The same device and settings with other weights.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, Weights};
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).build()?;
    /// let other = scorer.with_weights(Weights::Seeded { seed: 7 })?;
    /// assert_eq!(other.settings().seed, Some(7));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ScorerBuilder::build`].
    pub fn with_weights(&self, weights: Weights) -> Result<Self> {
        self.reopen(Setup { source: weights.source(), weights, ..self.setup.clone() })
    }

    /// The same device and settings with another batch.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer};
    /// let batch = Batch::synthetic(4, 0)?;
    /// let scorer = Scorer::builder(batch.clone()).build()?;
    /// let smaller = scorer.with_batch(batch.first(2)?)?;
    /// assert_eq!(smaller.settings().batch_shape[0], 2);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ScorerBuilder::build`].
    pub fn with_batch(&self, batch: Batch) -> Result<Self> {
        self.reopen(Setup { batch, ..self.setup.clone() })
    }

    fn reopen(&self, setup: Setup) -> Result<Self> {
        let shares = shares(&setup, self.executors.len())?;
        let reopen = |(executor, share): (&Arc<dyn Executor>, Setup)| executor.reopen(share);
        let executors = self.executors.iter().zip(shares).map(reopen).collect::<Result<Vec<_>>>()?;
        let passed_over = Arc::clone(&self.passed_over);
        Ok(Scorer { passed_over, ..Scorer::new(setup, executors, self.initializer) })
    }

    /// A network with the initial weights of this scorer.
    fn initialized(&self, network: Network) -> Network {
        match self.initializer {
            Some(initializer) => network.with_initializer(initializer),
            None => network,
        }
    }

    /// What would run for a network.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).build()?;
    /// println!("{}", scorer.plan(&cell.network(&Skeleton::default())?)?);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::new`]; a checkpoint that does not fit the network; a network in which no ReLU counts.
    pub fn plan(&self, network: &Network) -> Result<Plan> {
        self.setup.plan(&self.initialized(network.clone()))
    }

    /// Bytes that scoring a network takes here, by which a [memory limit](ScorerBuilder::memory_limit) goes. On the processor
    /// its weights are among them, on a GPU they are in a pool that all networks share.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).build()?;
    /// let memory = |stem| scorer.memory(&cell.network(&Skeleton { stem, cells: 5 })?);
    /// assert!(memory(32)? > memory(16)?);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Scorer::plan`].
    pub fn memory(&self, network: &Network) -> Result<u64> {
        Ok(self.executors[0].bytes(&self.plan(network)?))
    }

    /// Multiplications of a plan's convolutions for the batch, as the device carries them out: Winograd's form needs a quarter of
    /// what the definition has. For `naswot bench`.
    #[doc(hidden)]
    pub fn multiplications(&self, plan: &Plan) -> u64 {
        self.executors[0].multiplications(plan) * plan.images() as u64
    }

    /// Measures what the device can do at best; none of the processor. For `naswot bench`.
    ///
    /// # Errors
    /// The device has failed.
    #[doc(hidden)]
    pub fn ceilings(&self) -> Result<Option<DeviceCeilings>> {
        self.executors[0].ceilings()
    }

    /// The score of a network from the outcomes of its repeats.
    fn finish(&self, network: &Network, mut outcomes: Vec<Outcome>) -> Result<Score> {
        let [_, _, height, width] = self.settings.batch_shape;
        let Some(scores) = Summary::of(outcomes.iter().map(|outcome| outcome.log_det)) else {
            unreachable!("a network is scored under one seed or more");
        };
        let mut further = ScoreValues::default();
        for &kind in ScoreKind::ALL {
            let values: Option<Vec<f64>> = outcomes.iter().map(|outcome| outcome.scores.get(kind)).collect();
            if let Some(summary) = values.and_then(|values| Summary::of(values.into_iter())) {
                further.set(kind, summary.mean);
            }
        }
        Ok(Score {
            id: network.shared_id(),
            log_det: scores.mean,
            deviation: scores.deviation,
            activations: outcomes[0].activations.into(),
            parameters: network.parameters(),
            macs: network.macs(height, width)?,
            convolutions: network.convolutions(),
            scores: further,
            kernel: outcomes[0].agreement.take(),
            codes: outcomes[0].codes.take(),
            seconds: outcomes.iter().map(|outcome| outcome.seconds).sum(),
            settings: Arc::clone(&self.settings),
        })
    }
}

/// What each repeat runs with: its own seed, and an equal share of the machine.
fn shares(setup: &Setup, repeats: usize) -> Result<Vec<Setup>> {
    let share = |repeat: usize| {
        let weights = match &setup.weights {
            Weights::Seeded { seed } => match seed.checked_add(repeat as u64) {
                Some(seed) => Weights::Seeded { seed },
                None => {
                    let message = format!("{repeats} seeds from {seed} up pass the largest one");
                    return Err(Error::Setting { name: "repeats", message });
                }
            },
            weights => weights.clone(),
        };
        let threads = (setup.threads / repeats).max(1);
        let memory_limit = setup.memory_limit.map(|bytes| bytes / repeats as u64);
        Ok(Setup { source: weights.source(), weights, threads, memory_limit, ..setup.clone() })
    };
    (0..repeats).map(share).collect()
}

impl fmt::Debug for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scorer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A shared value, serialized as it is itself.
fn shared<T: Serialize + ?Sized, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}
