//! The executor of GPUs, which all backends that run groups have in common.

use std::sync::{Arc, Mutex, PoisonError};

use super::Limits;
use super::footprint::bytes;
use super::run::{lookahead, no_threads, run};
use super::session::DeviceSession;
use crate::backend::ceilings::DeviceCeilings;
use crate::backend::queue::Queue;
use crate::backend::{Executor, Setup};
use crate::plan::Plan;
use crate::{Error, Precision, Result};

/// A device at work. Runs of several threads take turns on its session.
pub(crate) struct Grouped<S> {
    name: String,
    setup: Setup,
    limits: Limits,
    threads: rayon::ThreadPool,
    session: Mutex<S>,
}

/// Whether GPUs compute in the precision that is asked for.
///
/// # Errors
/// They do not.
fn check_precision(backend: &str, setup: &Setup) -> Result<()> {
    if matches!(setup.precision, Precision::Auto | Precision::F32) {
        return Ok(());
    }
    let message = format!("the {backend} backend computes in f32, not {}", setup.precision);
    Err(Error::Setting { name: "precision", message })
}

/// Refuses scores that no kernel makes.
fn check_scores(backend: &str, setup: &Setup) -> Result<()> {
    match setup.cpu_score() {
        None => Ok(()),
        Some(kind) => {
            let message =
                format!("`{kind}` is computed on the cpu alone so far: take that backend, not {backend}");
            Err(Error::Setting { name: "scores", message })
        }
    }
}

/// Refuses what a setup asks for and GPUs do not compute.
pub(crate) fn check(backend: &str, setup: &Setup) -> Result<()> {
    check_precision(backend, setup)?;
    check_scores(backend, setup)
}

impl<S: DeviceSession> Grouped<S> {
    /// Puts a session to work.
    ///
    /// # Errors
    /// Threads cannot be started.
    pub(crate) fn new(mut session: S, setup: Setup) -> Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(setup.threads).build();
        let threads = threads.map_err(|error| no_threads::<S>(&error))?;
        let (name, limits) = (session.device(), *session.limits());
        Ok(Grouped { name, setup, limits, threads, session: Mutex::new(session) })
    }
}

impl<S: DeviceSession + 'static> Executor for Grouped<S> {
    fn backend(&self) -> &'static str {
        S::BACKEND
    }

    fn device(&self) -> &str {
        &self.name
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }

    fn bytes(&self, plan: &Plan) -> u64 {
        bytes(plan, &self.limits)
    }

    fn ceilings(&self) -> Result<Option<DeviceCeilings>> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.ceilings().map(Some).map_err(|fault| fault.fatal(S::BACKEND, &self.name))
    }

    fn lookahead(&self) -> usize {
        lookahead(&self.limits)
    }

    fn run(&self, queue: &Queue) -> Result<()> {
        run(&self.session, &self.setup, &self.threads, queue)
    }

    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).reopen(setup.clone())?;
        Ok(Arc::new(Grouped::new(session, setup)?))
    }
}
