//! The interface of the twins and of lanes: two ways to run a plan on the processor.

use crate::backend::{Outcome, Setup};
use crate::plan::Plan;
use crate::{Precision, Result};

/// A way to run plans.
pub(super) trait Path: Send + Sync + Sized + 'static {
    /// What one network writes while it runs, kept for the next.
    type Workspace: Default + Send;
    const PRECISION: Precision;

    /// Bytes that a plan takes.
    fn bytes(&self, plan: &Plan) -> u64;

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
