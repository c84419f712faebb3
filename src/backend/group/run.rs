//! The run of a queue: three threads take its networks through a device.
//!
//! - `compile` compiles networks on all cores, ahead of the groups, into a bounded queue.
//! - `submit` lays them out in groups and starts these, several of which are in flight. It has the session, and has the
//!   networks of a group that failed run again.
//! - `land` waits for the end of each group, and judges its networks.
//!
//! One lock guards what they share, every change of which is told to all three.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::compile::compile_all;
use super::footprint::sizes;
use super::land::land_all;
use super::packed::Queued;
use super::session::{DeviceSession, Failed, InFlight};
use super::submit::Submitter;
use super::{Limits, image, most_networks};
use crate::backend::Setup;
use crate::backend::queue::Queue;
use crate::plan::Plan;
use crate::{BackendErrorKind, Error, Result};

/// Bytes that a plan takes by itself.
pub(super) fn bytes(plan: &Plan, limits: &Limits) -> u64 {
    limits.bytes(&(sizes(plan, limits) + image(plan))).iter().map(|(_, bytes)| bytes).sum()
}

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
    let run = Run { session, setup, threads, queue, state: Mutex::default(), changed: Condvar::new() };
    thread::scope(|scope| {
        let others = [compile_all::<S>, land_all::<S>].map(|work| {
            let run = &run;
            thread::Builder::new().spawn_scoped(scope, move || run.to_the_end(|| work(run)))
        });
        let submitted = match others.iter().find_map(|thread| thread.as_ref().err()) {
            None => run.to_the_end(|| Submitter::new(&run).submit_all()),
            Some(error) => Err(no_threads::<S>(error)),
        };
        run.end();
        for thread in others.into_iter().flatten() {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        submitted
    })
}

/// What the threads of a run share.
pub(super) struct Run<'a, S: DeviceSession> {
    session: &'a Mutex<S>,
    pub(super) setup: &'a Setup,
    pub(super) threads: &'a rayon::ThreadPool,
    pub(super) queue: &'a Queue,
    state: Mutex<State<S>>,
    changed: Condvar,
}

/// Networks between the threads of a run.
pub(super) struct State<S: DeviceSession> {
    /// Networks that are compiled, and not in a group yet.
    pub(super) ready: VecDeque<Queued>,
    /// Some may have been taken from the queue, and are not compiled yet.
    pub(super) compiling: bool,
    /// No more will be compiled.
    pub(super) all_compiled: bool,
    /// Groups that were started, the oldest one first, until their end is waited for.
    pub(super) started: VecDeque<InFlight<S>>,
    /// Groups in flight, that whose end is waited for among them.
    pub(super) in_flight: usize,
    /// Groups that have failed.
    pub(super) failed: Vec<Failed>,
    /// What the device has held for groups that have ended.
    pub(super) freed: Vec<S::Memory>,
    /// The run is over, also by a panic of one of its threads.
    pub(super) is_over: bool,
}

impl<S: DeviceSession> Default for State<S> {
    fn default() -> Self {
        State {
            ready: VecDeque::new(),
            compiling: false,
            all_compiled: false,
            started: VecDeque::new(),
            in_flight: 0,
            failed: Vec::new(),
            freed: Vec::new(),
            is_over: false,
        }
    }
}

impl<S: DeviceSession> Run<'_, S> {
    /// The session, for one call. Never taken with the state locked.
    pub(super) fn session(&self) -> MutexGuard<'_, S> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn limits(&self) -> Limits {
        *self.session().limits()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State<S>>) -> MutexGuard<'a, State<S>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while something holds.
    pub(super) fn wait_while(&self, holds: impl Fn(&State<S>) -> bool) -> MutexGuard<'_, State<S>> {
        let waited = self.changed.wait_while(self.lock(), |state| holds(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the other threads of a change.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    /// Makes a change, and tells the other threads.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<S>) -> R) -> R {
        let changed = change(&mut self.lock());
        self.tell();
        changed
    }

    /// Has the other threads come to their end.
    fn end(&self) {
        self.change(|state| state.is_over = true);
        self.queue.abandon();
    }

    /// Does a thread's work. Should it panic, the other threads wait for it no longer.
    fn to_the_end<R>(&self, work: impl FnOnce() -> R) -> R {
        struct EndOnPanic<'a, 'b, S: DeviceSession>(&'a Run<'b, S>);
        impl<S: DeviceSession> Drop for EndOnPanic<'_, '_, S> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.end();
                }
            }
        }
        let _end = EndOnPanic(self);
        work()
    }
}
