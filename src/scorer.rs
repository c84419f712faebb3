//! Scores networks: the front door of the crate.

use std::collections::VecDeque;
use std::iter::Fuse;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::backend::queue::{Queue, Ticket};
use crate::backend::{self, Backend, Executor, Outcome, Precision, Setup};
#[cfg(feature = "cuda")]
use crate::measure::cuda::Driver;
use crate::measure::{Probe, Stage};
use crate::plan::Plan;
use crate::{Batch, Convention, Error, Initializer, Kernel, Network, Result, Weights};

/// What made a score. Everything here but [`Settings::device`] takes part in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// N x C x H x W of the batch.
    pub batch_shape: [usize; 4],
    /// Where the images came from: `synthetic`, `cifar10`, ..
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
    /// What was really used, never `auto`.
    pub precision: Precision,
    /// The backend's name, never `auto`.
    pub backend: &'static str,
    /// The device's name.
    pub device: String,
    /// Version of this crate.
    pub naswot_version: &'static str,
}

/// The score of one network, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Score {
    /// log |det K|, natural logarithm; negative infinity exactly when K is singular. Higher is better; scores
    /// of different batch sizes cannot be compared. The mean over repeats, and negative infinity when one of them is.
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
    /// K, when the scorer was told to keep it.
    pub kernel: Option<Kernel>,
    /// Wall time of the network's group, divided by the networks in it; the sum over repeats.
    pub seconds: f64,
    /// What made the score; shared by the scores of one scorer.
    pub settings: Arc<Settings>,
}

/// Collects the settings of a [`Scorer`].
///
/// ```
/// use naswot::{Backend, Batch, Convention, Precision, Scorer, Weights};
///
/// let scorer = Scorer::builder(Batch::synthetic(8, 0)?)
///     .backend(Backend::Cpu)
///     .precision(Precision::F64)
///     .weights(Weights::Seeded { seed: 1 })
///     .convention(Convention::Original)
///     .threads(1)
///     .keep_kernels(true)
///     .build()?;
/// assert_eq!(scorer.settings().precision, Precision::F64);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ScorerBuilder {
    batch: Batch,
    weights: Weights,
    initializer: Option<Initializer>,
    repeats: usize,
    backend: Backend,
    convention: Convention,
    precision: Precision,
    threads: Option<usize>,
    group_size: Option<usize>,
    memory_limit: Option<u64>,
    keep_kernels: bool,
    twins: Vec<Stage>,
    probe: Option<Arc<Probe>>,
    #[cfg(feature = "cuda")]
    driver: Option<Arc<dyn Driver>>,
}

impl ScorerBuilder {
    /// Where to compute; [`Backend::Auto`] when not set.
    pub fn backend(self, backend: Backend) -> Self {
        ScorerBuilder { backend, ..self }
    }

    /// The weights; seed 0 when not set.
    pub fn weights(self, weights: Weights) -> Self {
        ScorerBuilder { weights, ..self }
    }

    /// Initial weights of all convolutions; those of each search space when not set.
    pub fn initializer(self, initializer: Initializer) -> Self {
        ScorerBuilder { initializer: Some(initializer), ..self }
    }

    /// How many seeds to score each network with, from that of the weights up; one when not set. A score is then
    /// their mean. Repeats run side by side, and share the threads and the memory limit.
    pub fn repeats(self, repeats: usize) -> Self {
        ScorerBuilder { repeats, ..self }
    }

    /// How ReLUs are counted; once each when not set.
    pub fn convention(self, convention: Convention) -> Self {
        ScorerBuilder { convention, ..self }
    }

    /// Number formats; [`Precision::Auto`] when not set.
    pub fn precision(self, precision: Precision) -> Self {
        ScorerBuilder { precision, ..self }
    }

    /// Threads of the CPU; all cores when not set. Never changes a score.
    pub fn threads(self, threads: usize) -> Self {
        ScorerBuilder { threads: Some(threads), ..self }
    }

    /// Networks that run together; chosen by device and network size when not set. Never changes a score.
    pub fn group_size(self, networks: usize) -> Self {
        ScorerBuilder { group_size: Some(networks), ..self }
    }

    /// Bytes that networks may take at once, the weights they share not counted; what the device has when not
    /// set. Never changes a score: a network that needs more is an error of its own.
    pub fn memory_limit(self, bytes: u64) -> Self {
        ScorerBuilder { memory_limit: Some(bytes), ..self }
    }

    /// Whether scores carry K; they do not when not set.
    pub fn keep_kernels(self, keep: bool) -> Self {
        ScorerBuilder { keep_kernels: keep, ..self }
    }

    /// What looks into the run; nothing when not set. For benches.
    #[doc(hidden)]
    pub fn probe(self, probe: Arc<Probe>) -> Self {
        ScorerBuilder { probe: Some(probe), ..self }
    }

    /// Stages that run in the plain form that the CPU has of each, to find the one at fault where two backends differ:
    /// some of a GPU's, or all of the CPU's own in f32. None when not set.
    #[doc(hidden)]
    pub fn twins(self, stages: &[Stage]) -> Self {
        ScorerBuilder { twins: stages.to_vec(), ..self }
    }

    /// The device of the CUDA backend, instead of one that CUDA's driver finds. For tests.
    #[cfg(feature = "cuda")]
    #[doc(hidden)]
    pub fn cuda_driver(self, driver: Arc<dyn Driver>) -> Self {
        ScorerBuilder { driver: Some(driver), ..self }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// A backend that does not work here, a precision that it lacks, or a setting of zero; repeats or an initializer
    /// of a checkpoint, which has its own weights; repeats whose kernels are to be kept, or whose seeds pass 2^64.
    pub fn build(self) -> Result<Scorer> {
        let zero = |name| Error::Setting { name, message: "is zero".to_owned() };
        if self.threads == Some(0) {
            return Err(zero("threads"));
        }
        if self.group_size == Some(0) {
            return Err(zero("group size"));
        }
        if self.repeats == 0 {
            return Err(zero("repeats"));
        }
        if self.repeats > 1 && self.keep_kernels {
            let message = "K of several seeds cannot be kept: keep it of one".to_owned();
            return Err(Error::Setting { name: "repeats", message });
        }
        let seeded = matches!(self.weights, Weights::Seeded { .. });
        for (name, set) in [("repeats", self.repeats > 1), ("initializer", self.initializer.is_some())] {
            if set && !seeded {
                let message = "a checkpoint has its own weights, which no seed makes".to_owned();
                return Err(Error::Setting { name, message });
            }
        }
        let setup = Setup::new(self.batch, self.weights, self.convention);
        let setup = Setup {
            precision: self.precision,
            threads: self.threads.unwrap_or(setup.threads),
            group_size: self.group_size,
            memory_limit: self.memory_limit,
            keep_kernels: self.keep_kernels,
            twins: self.twins,
            probe: self.probe,
            ..setup
        };
        let shares = shares(&setup, self.repeats)?;
        let open = |share| {
            #[cfg(feature = "cuda")]
            if let Some(driver) = &self.driver {
                return backend::cuda::open_on(Arc::clone(driver), share);
            }
            backend::open(&self.backend, share)
        };
        let executors = shares.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        Ok(Scorer::new(setup, executors, self.initializer))
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

/// Scores networks on one batch with one set of weights. Owns the device; cheap to clone, and may be used from
/// many threads.
///
/// ```
/// use naswot::{Batch, Scorer, nasbench201::Cell};
///
/// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
/// let cell: Cell = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|nor_conv_1x1~2|".parse()?;
/// let score = scorer.score(&cell.network(4, 1)?)?;
/// assert!(score.log_det > 0.0);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone)]
pub struct Scorer {
    setup: Setup,
    /// One a repeat, at least one.
    executors: Vec<Arc<dyn Executor>>,
    initializer: Option<Initializer>,
    settings: Arc<Settings>,
}

impl Scorer {
    /// Starts a scorer for a batch of images.
    pub fn builder(batch: Batch) -> ScorerBuilder {
        ScorerBuilder {
            batch,
            weights: Weights::default(),
            initializer: None,
            repeats: 1,
            backend: Backend::default(),
            convention: Convention::default(),
            precision: Precision::default(),
            threads: None,
            group_size: None,
            memory_limit: None,
            keep_kernels: false,
            twins: Vec::new(),
            probe: None,
            #[cfg(feature = "cuda")]
            driver: None,
        }
    }

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
            precision: executor.precision(),
            backend: executor.backend(),
            device: executor.device().to_owned(),
            naswot_version: env!("CARGO_PKG_VERSION"),
        };
        Scorer { settings: Arc::new(settings), setup, executors, initializer }
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
        Ok(Scorer::new(setup, executors, self.initializer))
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
    /// # use naswot::{Batch, Scorer, nasbench201::Cell};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).build()?;
    /// println!("{}", scorer.plan(&cell.network(16, 5)?)?);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::new`]; a checkpoint that does not fit the network.
    pub fn plan(&self, network: &Network) -> Result<Plan> {
        self.setup.plan(&self.initialized(network.clone()))
    }

    /// Bytes that scoring a network takes here, the weights that networks share not counted.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::Cell};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let scorer = Scorer::builder(Batch::synthetic(2, 0)?).build()?;
    /// assert!(scorer.memory(&cell.network(32, 5)?)? > scorer.memory(&cell.network(16, 5)?)?);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Scorer::plan`].
    pub fn memory(&self, network: &Network) -> Result<u64> {
        Ok(self.executors[0].bytes(&self.plan(network)?))
    }

    /// Scores one network, its images spread over the cores.
    ///
    /// # Errors
    /// The network does not fit the batch, the weights or the memory, or its activations are not finite.
    pub fn score(&self, network: &Network) -> Result<Score> {
        self.score_all(std::slice::from_ref(network)).pop().unwrap_or(Err(Error::Cancelled))
    }

    /// Scores networks; results are in the order of the networks, and a failure leaves the others alone.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let cells = nasbench201::sample(3, 0)?;
    /// let networks: Vec<_> = cells.iter().map(|cell| cell.network(4, 1)).collect::<Result<_, _>>()?;
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// assert_eq!(scorer.score_all(&networks).len(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn score_all(&self, networks: &[Network]) -> Vec<Result<Score>> {
        let queue = || Queue::of(networks.iter().map(|network| self.initialized(network.clone())));
        let queues: Vec<Queue> = self.executors.iter().map(|_| queue()).collect();
        std::thread::scope(|scope| {
            for (executor, queue) in self.executors.iter().zip(&queues) {
                scope.spawn(|| run(&**executor, queue));
            }
        });
        let finish = |(index, network)| self.finish(network, queues.iter().map(|queue| queue.wait(index)));
        networks.iter().enumerate().map(finish).collect()
    }

    /// Scores networks as an iterator gives them, and yields results in the same order, each as soon as it is
    /// known. Takes a bounded number of networks ahead of what it yields, so memory stays bounded. Dropping the
    /// stream cancels what has not started and waits for what has.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// let networks = nasbench201::all().filter_map(|cell| cell.network(4, 1).ok());
    /// for score in scorer.stream(networks).take(2) {
    ///     println!("{}", score?.log_det);
    /// }
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn stream<I: IntoIterator<Item = Network>>(&self, networks: I) -> Stream<I::IntoIter> {
        let start = |executor: &Arc<dyn Executor>| {
            let (executor, queue) = (Arc::clone(executor), Arc::new(Queue::default()));
            let runner = std::thread::spawn({
                let queue = Arc::clone(&queue);
                move || run(&*executor, &queue)
            });
            (queue, Some(runner))
        };
        let repeats = self.executors.iter().map(start).collect();
        Stream {
            networks: networks.into_iter().fuse(),
            ahead: VecDeque::new(),
            next: 0,
            cancelled: false,
            scorer: self.clone(),
            repeats,
        }
    }

    /// The score of a network from the outcomes of its repeats.
    fn finish(&self, network: &Network, outcomes: impl Iterator<Item = Result<Outcome>>) -> Result<Score> {
        // Each is waited for, also behind one that failed.
        let outcomes: Vec<Result<Outcome>> = outcomes.collect();
        let mut outcomes = outcomes.into_iter().collect::<Result<Vec<Outcome>>>()?;
        let [_, _, height, width] = self.settings.batch_shape;
        let (log_det, deviation) = mean_and_deviation(outcomes.iter().map(|outcome| outcome.log_det));
        Ok(Score {
            log_det,
            deviation,
            activations: outcomes[0].activations.into(),
            parameters: network.parameters(),
            macs: network.macs(height, width)?,
            kernel: outcomes[0].kernel.take(),
            seconds: outcomes.iter().map(|outcome| outcome.seconds).sum(),
            settings: Arc::clone(&self.settings),
        })
    }
}

/// Runs a queue to its end.
fn run(executor: &dyn Executor, queue: &Queue) {
    /// Says that nothing more will come, also when the executor panics: nobody may wait for ever.
    struct End<'a>(&'a Queue);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let _end = End(queue);
    executor.run(queue);
}

/// Mean and standard deviation of scores, the latter of two finite ones or more.
fn mean_and_deviation(scores: impl Iterator<Item = f64> + Clone) -> (f64, Option<f64>) {
    let n = scores.clone().count() as f64;
    let mean = scores.clone().sum::<f64>() / n;
    let squares: f64 = scores.map(|score| (score - mean) * (score - mean)).sum();
    (mean, (n > 1.0 && mean.is_finite()).then(|| (squares / (n - 1.0)).sqrt()))
}

/// Scores in the order of the networks; see [`Scorer::stream`].
pub struct Stream<I: Iterator<Item = Network>> {
    networks: Fuse<I>,
    /// Networks handed to the device whose results have not been yielded.
    ahead: VecDeque<Network>,
    /// Index of the next result to yield.
    next: usize,
    cancelled: bool,
    scorer: Scorer,
    /// Queue and thread of each repeat.
    repeats: Vec<(Arc<Queue>, Option<JoinHandle<()>>)>,
}

impl<I: Iterator<Item = Network>> Stream<I> {
    /// Takes no more networks. What runs is finished and still yielded; then each network that was taken and
    /// not started is an [`Error::Cancelled`].
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// let mut stream = scorer.stream(nasbench201::all().filter_map(|cell| cell.network(4, 1).ok()));
    /// assert!(stream.next().is_some_and(|score| score.is_ok()));
    /// stream.cancel();
    /// let finished = stream.take_while(|score| score.is_ok()).count();
    /// assert!(finished < nasbench201::COUNT);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn cancel(&mut self) {
        self.cancelled = true;
        self.repeats.iter().for_each(|(queue, _)| queue.cancel());
    }
}

impl<I: Iterator<Item = Network>> Iterator for Stream<I> {
    type Item = Result<Score>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.cancelled && self.ahead.len() < self.scorer.executors[0].lookahead() {
            let Some(network) = self.networks.next() else {
                self.repeats.iter().for_each(|(queue, _)| queue.close());
                break;
            };
            let network = self.scorer.initialized(network);
            for (queue, _) in &self.repeats {
                queue.push(Ticket { index: self.next + self.ahead.len(), network: network.clone() });
            }
            self.ahead.push_back(network);
        }
        let network = self.ahead.pop_front()?;
        let index = self.next;
        self.next += 1;
        Some(self.scorer.finish(&network, self.repeats.iter().map(|(queue, _)| queue.wait(index))))
    }
}

impl<I: Iterator<Item = Network>> Drop for Stream<I> {
    fn drop(&mut self) {
        self.cancel();
        for runner in self.repeats.iter_mut().filter_map(|(_, runner)| runner.take()) {
            // A panic of the runner has been reported on its own thread; there is nothing to add.
            let _ = runner.join();
        }
    }
}
