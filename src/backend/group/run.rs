//! The run of a queue: three threads take its networks through a device.
//!
//! - `compile` compiles networks on all cores, ahead of the groups, into a bounded queue.
//! - `submit` lays them out in groups and starts these, several of which are in flight. It has the session, and has the
//!   networks of a group that failed run again.
//! - `land` waits for the end of each group, and judges its networks.
//!
//! They share a `pipeline`.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

use super::compile::compile_all;
use super::land::land_all;
use super::pipeline::Pipeline;
use super::session::DeviceSession;
use super::submit::Submitter;
use super::{Limits, most_networks};
use crate::backend::Setup;
use crate::backend::queue::Queue;
use crate::{BackendErrorKind, Error, Result};

/// Networks that are unfinished at most: those of the groups in flight, of one that is made, and of one that is compiled.
pub(super) fn lookahead(limits: &Limits) -> usize {
    (limits.in_flight + 2) * most_networks(limits)
}

/// The error of threads that the system does not start.
pub(super) fn no_threads<S: DeviceSession>(error: &dyn std::error::Error) -> Error {
    Error::backend(BackendErrorKind::CannotOpen, S::BACKEND, format!("cannot start threads: {error}"))
}

/// Runs all networks of a queue. Runs of several threads take turns on a session, group by group.
///
/// # Errors
/// A fault that ends the run.
pub(super) fn run<S: DeviceSession>(
    session: &Mutex<S>,
    setup: &Setup,
    threads: &rayon::ThreadPool,
    queue: &Queue,
) -> Result<()> {
    let pipeline = Pipeline::new(session, setup, threads, queue);
    thread::scope(|scope| {
        let others = [compile_all::<S>, land_all::<S>].map(|work| {
            let pipeline = &pipeline;
            thread::Builder::new().spawn_scoped(scope, move || pipeline.to_the_end(|| work(pipeline)))
        });
        let submitted = match others.iter().find_map(|thread| thread.as_ref().err()) {
            None => pipeline.to_the_end(|| Submitter::new(&pipeline).submit_all()),
            Some(error) => Err(no_threads::<S>(error)),
        };
        pipeline.end();
        for thread in others.into_iter().flatten() {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        submitted
    })
}
