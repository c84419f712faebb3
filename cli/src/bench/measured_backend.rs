//! A backend in one precision, and the rounds in which it scores a workload.

use std::sync::Arc;
use std::time::{Duration, Instant};

use naswot::plan::Plan;
use naswot::{Backend, Batch, Codes, Network, Precision, Probe, Scorer, ScorerBuilder, Scores};

use super::ceilings::Ceilings;
use crate::exit::{Failure, Result};

/// Images of the smallest batch of a workload.
const LEAST_IMAGES: usize = 32;

/// A backend in one precision.
pub(super) struct MeasuredBackend {
    backend: Backend,
    /// The precision that was found when the device was opened; never `auto`.
    pub(super) precision: Precision,
    pub(super) name: &'static str,
    pub(super) device: String,
    /// Keeps the device open: to open a GPU takes longer than it takes for a round.
    open: Scorer,
}

impl MeasuredBackend {
    /// Opens the backend as workloads have it: which instructions the processor runs depends on the number of images.
    pub(super) fn new(backend: Backend, precision: Precision) -> Result<Self> {
        let batch = Batch::synthetic(LEAST_IMAGES, 0)?;
        let scorer = Scorer::builder(batch).backend(backend.clone()).precision(precision).build()?;
        let settings = Arc::clone(scorer.settings());
        Ok(MeasuredBackend {
            backend,
            precision: settings.precision,
            name: settings.backend,
            device: settings.device.clone(),
            open: scorer,
        })
    }

    /// The builder of a new scorer, which has no weights yet.
    pub(super) fn scorer(&self, batch: &Batch) -> ScorerBuilder {
        Scorer::builder(batch.clone()).backend(self.backend.clone()).precision(self.precision)
    }

    /// What the device can do at best.
    pub(super) fn ceilings(&self) -> Result<Ceilings> {
        let device = self.device.clone();
        Ok(match self.open.ceilings()? {
            Some(measured) => Ceilings::of_gpu(self.name, device, measured),
            None => Ceilings::of_cpu(device, LEAST_IMAGES)?,
        })
    }

    /// What runs for some networks.
    pub(super) fn plans(&self, batch: &Batch, networks: &[Network]) -> Result<Vec<Plan>> {
        let scorer = self.scorer(batch).build()?;
        Ok(networks.iter().map(|network| scorer.plan(network)).collect::<naswot::Result<_>>()?)
    }

    /// Multiplications and additions of convolutions, as the device carries them out.
    pub(super) fn flop(&self, batch: &Batch, plans: &[Plan]) -> Result<f64> {
        let scorer = self.scorer(batch).build()?;
        Ok(plans.iter().map(|plan| 2.0 * scorer.multiplications(plan) as f64).sum())
    }

    /// One round: starts on the device, then compiles, runs and scores the networks, weights made anew.
    pub(super) fn round(&self, batch: &Batch, networks: &[Network]) -> Result<Duration> {
        let start = Instant::now();
        self.score(&self.scorer(batch).build()?, networks)?;
        Ok(start.elapsed())
    }

    /// One round with a probe, for the times of its stages.
    pub(super) fn probed_round(&self, batch: &Batch, networks: &[Network]) -> Result<(Duration, Arc<Probe>)> {
        let probe = Arc::new(Probe::default());
        let start = Instant::now();
        // All scores, so that every stage has work.
        let scores = if self.name == "cpu" { Scores::all() } else { Scores::everywhere() };
        let builder = self.scorer(batch).probe(Arc::clone(&probe)).scores(scores);
        self.score(&builder.build()?, networks)?;
        Ok((start.elapsed(), probe))
    }

    fn score(&self, scorer: &Scorer, networks: &[Network]) -> Result<()> {
        let mut scores = scorer.score_all(networks).into_iter().zip(networks);
        scores.try_for_each(|(score, network)| score.map(drop).map_err(|error| self.failed(network, &error)))
    }

    pub(super) fn failed(&self, network: &Network, error: &naswot::Error) -> Failure {
        Failure::stopped(format_args!("{self}: {}: {error}", network.id()))
    }
}

impl std::fmt::Display for MeasuredBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.precision)
    }
}

/// A recorder of codes: scores networks one by one on a measured backend.
pub(super) struct CodeRecorder<'a> {
    backend: &'a MeasuredBackend,
    scorer: Scorer,
}

impl<'a> CodeRecorder<'a> {
    pub(super) fn new(backend: &'a MeasuredBackend, batch: &Batch) -> Result<Self> {
        Ok(CodeRecorder { backend, scorer: backend.scorer(batch).keep_codes(true).build()? })
    }

    /// The score of a network, and its codes where the backend can hand them out.
    pub(super) fn score(&self, network: &Network) -> Result<(f64, Option<Codes>)> {
        let score = self.scorer.score(network).map_err(|error| self.backend.failed(network, &error))?;
        Ok((score.log_det, score.codes))
    }
}
