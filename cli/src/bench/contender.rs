//! What is compared: a backend in one precision, and what it does to a workload.

use std::sync::Arc;
use std::time::{Duration, Instant};

use naswot::testing::Codes;
use naswot::{Backend, Batch, Network, Precision, Probe, Scorer, Scores};

use crate::exit::{Failure, Result};

/// A backend in one precision.
pub(super) struct Contender {
    backend: Backend,
    /// As it was found when the device was opened; never `auto`.
    pub(super) precision: Precision,
    pub(super) name: &'static str,
    pub(super) device: String,
    /// Keeps the device open: to open a GPU takes longer than it takes for a round.
    _open: Scorer,
}

impl Contender {
    /// Opens the backend.
    pub(super) fn new(backend: Backend, precision: Precision) -> Result<Self> {
        let scorer =
            Scorer::builder(Batch::synthetic(1, 0)?).backend(backend.clone()).precision(precision).build()?;
        let settings = Arc::clone(scorer.settings());
        Ok(Contender {
            backend,
            precision: settings.precision,
            name: settings.backend,
            device: settings.device.clone(),
            _open: scorer,
        })
    }

    /// A new scorer: it has no weights yet.
    pub(super) fn scorer(&self, batch: &Batch, probe: Option<Arc<Probe>>) -> Result<Scorer> {
        let builder = Scorer::builder(batch.clone()).backend(self.backend.clone()).precision(self.precision);
        Ok(match probe {
            // All scores, so that every stage has work.
            Some(probe) => builder.probe(probe).scores(Scores::all()).build()?,
            None => builder.build()?,
        })
    }

    /// One round: starts on the device, then compiles, runs and scores the networks, weights made anew.
    pub(super) fn round(&self, batch: &Batch, networks: &[Network]) -> Result<Duration> {
        let start = Instant::now();
        self.score(&self.scorer(batch, None)?, networks)?;
        Ok(start.elapsed())
    }

    /// A round that is looked into.
    pub(super) fn probed_round(&self, batch: &Batch, networks: &[Network]) -> Result<(Duration, Arc<Probe>)> {
        let probe = Arc::new(Probe::default());
        let start = Instant::now();
        self.score(&self.scorer(batch, Some(Arc::clone(&probe)))?, networks)?;
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

impl std::fmt::Display for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.precision)
    }
}

/// A contender that scores networks one by one and keeps their codes.
pub(super) struct Witness<'a> {
    contender: &'a Contender,
    scorer: Scorer,
    probe: Arc<Probe>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(contender: &'a Contender, batch: &Batch) -> Result<Self> {
        let probe = Arc::new(Probe::of_codes());
        Ok(Witness { contender, scorer: contender.scorer(batch, Some(Arc::clone(&probe)))?, probe })
    }

    /// The score of a network, and its codes where the backend can hand them out.
    pub(super) fn score(&self, network: &Network) -> Result<(f64, Option<Codes>)> {
        let score = self.scorer.score(network).map_err(|error| self.contender.failed(network, &error))?;
        Ok((score.log_det, self.probe.take_codes()))
    }
}
