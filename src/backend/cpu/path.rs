//! The interface of the twins and of lanes: two ways to run a plan on the processor.

use super::workspace::reserve;
use crate::backend::{Outcome, Setup};
use crate::plan::Plan;
use crate::probe::Stage;
use crate::score::ScoreValues;
use crate::{Agreement, Codes, Precision, Result, ScoreKind};

/// A path: a way to run plans.
pub(super) trait Path: Send + Sync + Sized + 'static {
    /// Memory that one network writes while it runs, kept for the next.
    type Workspace: Default + Send;
    const PRECISION: Precision;

    /// Bytes that a plan takes with all its weights, and with those on their way to be packed.
    fn bytes(&self, plan: &Plan) -> u64;

    /// Multiplications of a plan's convolutions for one image, as the path carries them out.
    fn multiplications(&self, plan: &Plan) -> u64 {
        plan.multiplications()
    }

    /// From now on keeps at most so many bytes of weights for the networks to come.
    fn keep_weights(&self, bytes: u64);

    /// Runs a plan, counts agreements and takes the log-determinant; with `spread` the threads of the rayon
    /// pool around it share the images, and none has a network of its own.
    fn score(
        &self,
        setup: &Setup,
        plan: &Plan,
        workspace: &mut Self::Workspace,
        spread: bool,
    ) -> Result<Outcome>;
}

/// The outcome of a network whose agreements and patterns are counted: its score, from K, those of its features, and whatever
/// else is to be kept.
///
/// # Errors
/// As [`Agreement::new`]; no memory for K's copy and factor.
pub(super) fn outcome(
    setup: &Setup,
    plan: &Plan,
    spread: bool,
    k: &[u32],
    codes: &[u32],
    patterns: Option<u32>,
    mut scores: ScoreValues,
) -> Result<Outcome> {
    let mut entries = Vec::new();
    reserve(&mut entries, k.len())?;
    entries.extend_from_slice(k);
    // Cholesky's factor takes no error, so whether there is memory for it is asked before.
    reserve(&mut Vec::<f64>::new(), k.len())?;
    let agreement = Agreement::new(plan.images(), entries)?;
    if let Some(patterns) = patterns {
        scores.set(ScoreKind::Swap, f64::from(patterns));
    }
    Ok(Outcome {
        log_det: setup.timed(Stage::Cholesky, spread, || agreement.log_det()),
        scores: scores.of(&setup.scores),
        activations: plan.activations(),
        agreement: setup.keep_kernels.then_some(agreement),
        codes: setup.keep_codes.then(|| Codes::new(plan, codes)),
        seconds: 0.0,
    })
}
