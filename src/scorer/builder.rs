//! The settings of a scorer, and the devices that they open.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Scorer, shares};
#[cfg(feature = "cuda")]
use crate::backend::cuda::Driver;
use crate::backend::{self, Backend, SWAP_IMAGES, SWAP_IMAGES_RANGE, Setup};
use crate::probe::{Probe, Stage};
use crate::{Batch, Convention, Error, Initializer, Precision, Result, Scores, Weights};

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
    setup: Setup,
    initializer: Option<Initializer>,
    repeats: usize,
    backend: Backend,
    #[cfg(feature = "cuda")]
    driver: Option<Arc<dyn Driver>>,
}

impl Scorer {
    /// Starts a scorer for a batch of images.
    pub fn builder(batch: Batch) -> ScorerBuilder {
        ScorerBuilder::new(batch)
    }
}

impl ScorerBuilder {
    /// Images whose patterns SWAP counts when nothing else is set: the default of its authors.
    pub const SWAP_IMAGES: usize = SWAP_IMAGES;
    /// Numbers of images that [`ScorerBuilder::swap_images`] takes.
    pub const SWAP_IMAGES_RANGE: RangeInclusive<usize> = SWAP_IMAGES_RANGE;

    pub(super) fn new(batch: Batch) -> Self {
        ScorerBuilder {
            setup: Setup::new(batch, Weights::default(), Convention::default()),
            initializer: None,
            repeats: 1,
            backend: Backend::default(),
            #[cfg(feature = "cuda")]
            driver: None,
        }
    }

    /// Where to compute; [`Backend::Auto`] when not set.
    pub fn backend(self, backend: Backend) -> Self {
        ScorerBuilder { backend, ..self }
    }

    /// The weights; seed 0 when not set.
    pub fn weights(self, weights: Weights) -> Self {
        ScorerBuilder { setup: Setup { source: weights.source(), weights, ..self.setup }, ..self }
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
        ScorerBuilder { setup: Setup { convention, ..self.setup }, ..self }
    }

    /// Number formats; [`Precision::Auto`] when not set.
    pub fn precision(self, precision: Precision) -> Self {
        ScorerBuilder { setup: Setup { precision, ..self.setup }, ..self }
    }

    /// Threads of the CPU; all cores when not set. Never changes a score.
    pub fn threads(self, threads: usize) -> Self {
        ScorerBuilder { setup: Setup { threads, ..self.setup }, ..self }
    }

    /// Networks that run together; chosen by device and network size when not set. Never changes a score.
    pub fn group_size(self, networks: usize) -> Self {
        ScorerBuilder { setup: Setup { group_size: Some(networks), ..self.setup }, ..self }
    }

    /// Bytes that networks may take at once; what the device has when not set. On the processor weights are among them,
    /// those in use and those that are kept for the next network. Never changes a score: a network that needs more is an error of its own.
    pub fn memory_limit(self, bytes: u64) -> Self {
        ScorerBuilder { setup: Setup { memory_limit: Some(bytes), ..self.setup }, ..self }
    }

    /// Whether scores carry K; they do not when not set.
    pub fn keep_kernels(self, keep: bool) -> Self {
        ScorerBuilder { setup: Setup { keep_kernels: keep, ..self.setup }, ..self }
    }

    /// Whether scores carry the codes that K is counted from; they do not when not set. Codes take N N_A bits a network.
    pub fn keep_codes(self, keep: bool) -> Self {
        ScorerBuilder { setup: Setup { keep_codes: keep, ..self.setup }, ..self }
    }

    /// Which scores to compute; NASWOT's alone when not set. More of them never change it.
    ///
    /// ```
    /// use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    ///
    /// let scorer = Scorer::builder(Batch::synthetic(8, 0)?).scores("swap".parse()?).build()?;
    /// let cell: Cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|".parse()?;
    /// let score = scorer.score(&cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
    /// assert!(score.get("swap") > Some(1.0));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn scores(self, scores: Scores) -> Self {
        ScorerBuilder { setup: Setup { scores, ..self.setup }, ..self }
    }

    /// Images whose activation patterns SWAP counts, in [`ScorerBuilder::SWAP_IMAGES_RANGE`]: the first ones of the batch, or
    /// all where it has fewer; [`ScorerBuilder::SWAP_IMAGES`] when not set.
    pub fn swap_images(self, images: usize) -> Self {
        ScorerBuilder { setup: Setup { swap_images: images, ..self.setup }, ..self }
    }

    /// Where NVRTC, the compiler of CUDA's kernels, is looked for first: a library, or a folder of one. When not set, or where
    /// what is there does not fit the GPU and its driver, it is looked for in the folder of the variable `NVRTC_PATH`, in
    /// toolkits, in Python's environments and where the loader looks. Never changes a score.
    pub fn nvrtc(self, path: impl Into<PathBuf>) -> Self {
        ScorerBuilder { setup: Setup { nvrtc: Some(path.into()), ..self.setup }, ..self }
    }

    /// What adds up the time of each stage; nothing when not set. Never changes a score.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use naswot::{Batch, Probe, Scorer, Stage, nasbench101};
    ///
    /// let probe = Arc::new(Probe::default());
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).probe(Arc::clone(&probe)).build()?;
    /// let skeleton = nasbench101::Skeleton { stem: 4, stacks: 3, cells: 1 };
    /// scorer.score(&nasbench101::sample(1, 0)?[0].network(&skeleton)?)?;
    /// assert!(!probe.time(Stage::Conv).is_zero());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn probe(self, probe: Arc<Probe>) -> Self {
        ScorerBuilder { setup: Setup { probe: Some(probe), ..self.setup }, ..self }
    }

    /// Stages that run in the plain form that the CPU has of each, to find the one at fault where two backends differ:
    /// some of a GPU's, or all of the CPU's own in f32. None when not set.
    ///
    /// ```
    /// use naswot::{Backend, Batch, Scorer, Stage};
    ///
    /// let builder = Scorer::builder(Batch::synthetic(4, 0)?).backend(Backend::Cpu);
    /// assert!(builder.twins(&Stage::OF_DEVICE).build().is_ok());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn twins(self, stages: &[Stage]) -> Self {
        ScorerBuilder { setup: Setup { twins: stages.to_vec(), ..self.setup }, ..self }
    }

    /// Groups in flight at most on CUDA, up to as many as there are streams for them. For tests.
    #[doc(hidden)]
    pub fn groups_in_flight(self, groups: usize) -> Self {
        ScorerBuilder { setup: Setup { in_flight: Some(groups), ..self.setup }, ..self }
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
    /// of a checkpoint, which has its own weights; images of SWAP outside 8 to 24; repeats whose kernels or codes are to be
    /// kept, or whose seeds pass 2^64.
    pub fn build(self) -> Result<Scorer> {
        let zero = |name| Error::Setting { name, message: "is zero".to_owned() };
        if self.setup.threads == 0 {
            return Err(zero("threads"));
        }
        if self.setup.group_size == Some(0) {
            return Err(zero("group size"));
        }
        if self.repeats == 0 {
            return Err(zero("repeats"));
        }
        if !SWAP_IMAGES_RANGE.contains(&self.setup.swap_images) {
            let (least, most) = (SWAP_IMAGES_RANGE.start(), SWAP_IMAGES_RANGE.end());
            let message = format!("must be {least} to {most} images, not {}", self.setup.swap_images);
            return Err(Error::Setting { name: "swap images", message });
        }
        for (kept, pronoun, keep) in
            [("K", "it", self.setup.keep_kernels), ("codes", "them", self.setup.keep_codes)]
        {
            if self.repeats > 1 && keep {
                let message = format!("{kept} of several seeds cannot be kept: keep {pronoun} of one");
                return Err(Error::Setting { name: "repeats", message });
            }
        }
        let seeded = matches!(self.setup.weights, Weights::Seeded { .. });
        for (name, set) in [("repeats", self.repeats > 1), ("initializer", self.initializer.is_some())] {
            if set && !seeded {
                let message = "a checkpoint has its own weights, which no seed makes".to_owned();
                return Err(Error::Setting { name, message });
            }
        }
        let shares = shares(&self.setup, self.repeats)?;
        let mut passed_over = Vec::new();
        let mut executors = Vec::with_capacity(shares.len());
        for share in shares {
            #[cfg(feature = "cuda")]
            if let Some(driver) = &self.driver {
                executors.push(backend::cuda::open_on(Arc::clone(driver), share)?);
                continue;
            }
            // The same for each of the shares.
            passed_over.clear();
            executors.push(backend::open(&self.backend, share, &mut passed_over)?);
        }
        let passed_over = passed_over.into();
        Ok(Scorer { passed_over, ..Scorer::new(self.setup, executors, self.initializer) })
    }
}
