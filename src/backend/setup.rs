//! The setup of a run: what its networks have in common.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use crate::plan::{Plan, Wanted};
use crate::probe::{Probe, Stage};
use crate::score::Need;
use crate::weights::WeightSource;
use crate::{Batch, Convention, Error, Network, Precision, Result, Scores, Weights};

/// Images whose patterns SWAP counts unless another number is set: the default of its authors.
pub(crate) const SWAP_IMAGES: usize = 16;
/// Numbers of images that can be set. With fewer nearly every network has all patterns; 2^24 patterns are a bitmap of 2 MiB.
pub(crate) const SWAP_IMAGES_RANGE: RangeInclusive<usize> = 8..=24;

/// Batch, weights and settings of a run, and who watches it.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) batch: Batch,
    pub(crate) weights: Weights,
    pub(crate) source: Arc<dyn WeightSource>,
    pub(crate) convention: Convention,
    pub(crate) precision: Precision,
    pub(crate) threads: usize,
    pub(crate) group_size: Option<usize>,
    /// Groups in flight at most, where tests have said so.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(dead_code, reason = "other backends have buffers for one group")
    )]
    pub(crate) in_flight: Option<usize>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) keep_kernels: bool,
    pub(crate) keep_codes: bool,
    pub(crate) scores: Scores,
    /// Images whose patterns are counted at most.
    pub(crate) swap_images: usize,
    /// Stages that run on the CPU's twins instead, to find the one at fault.
    pub(crate) twins: Vec<Stage>,
    pub(crate) probe: Option<Arc<Probe>>,
    /// Where the compiler of CUDA's kernels is to be looked for first.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "no kernels are compiled"))]
    pub(crate) nvrtc: Option<PathBuf>,
}

impl Setup {
    /// A setup of these and the defaults, for as many threads as the machine has cores.
    pub(crate) fn new(batch: Batch, weights: Weights, convention: Convention) -> Self {
        Setup {
            batch,
            source: weights.source(),
            weights,
            convention,
            precision: Precision::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            group_size: None,
            in_flight: None,
            memory_limit: None,
            keep_kernels: false,
            keep_codes: false,
            scores: Scores::default(),
            swap_images: SWAP_IMAGES,
            twins: Vec::new(),
            probe: None,
            nvrtc: None,
        }
    }

    /// This setup with all scores of GPUs, so that every stage has work, and for SWAP with more images than kernels mark in shared memory.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn with_every_stage(self) -> Self {
        Setup { scores: Scores::everywhere(), swap_images: 18, ..self }
    }

    /// The first score that was asked for and only the processor computes.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn cpu_score(&self) -> Option<crate::ScoreKind> {
        self.scores.iter().find(|&kind| !Scores::everywhere().contains(kind))
    }

    /// Does some work of a stage, and tells the probe how long it took where there is one.
    pub(crate) fn timed<R>(&self, stage: Stage, spread: bool, work: impl FnOnce() -> R) -> R {
        match &self.probe {
            Some(probe) => probe.measure(stage, if spread { 1 } else { self.threads }, work),
            None => work(),
        }
    }

    /// Compiles a network for the batch, and checks that its weights are there and that it has a code.
    pub(crate) fn plan(&self, network: &Network) -> Result<Plan> {
        self.source.check(network.graph())?;
        let graph = network.graph();
        let wanted = Wanted {
            swap_images: self.swap_images(),
            correlations: self.scores.need(Need::Correlations),
            spectra: self.scores.need(Need::Spectra),
        };
        let plan = Plan::compile(graph, self.batch.shape(), self.convention, wanted)?;
        if plan.activations() == 0 {
            let output = graph.nodes()[graph.output().index()].name();
            let message = "no ReLU that counts has a path to it, so images have no codes to compare: add one";
            return Err(Error::graph(output, message));
        }
        Ok(plan)
    }

    /// Images whose patterns are counted, where a score needs them.
    pub(crate) fn swap_images(&self) -> Option<usize> {
        self.scores.need(Need::Patterns).then(|| self.swap_images.min(self.batch.len()))
    }
}
