//! The pipeline of a run: the networks on their way through its threads. One lock guards them, every change of which is told to
//! all threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Limits;
use super::packed::Queued;
use super::session::{DeviceSession, Failed, InFlight};
use crate::backend::Setup;
use crate::backend::queue::Queue;

/// What the threads of a run share.
pub(super) struct Pipeline<'a, S: DeviceSession> {
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

impl<'a, S: DeviceSession> Pipeline<'a, S> {
    pub(super) fn new(
        session: &'a Mutex<S>,
        setup: &'a Setup,
        threads: &'a rayon::ThreadPool,
        queue: &'a Queue,
    ) -> Self {
        Pipeline { session, setup, threads, queue, state: Mutex::default(), changed: Condvar::new() }
    }

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
    pub(super) fn wait<'s>(&self, state: MutexGuard<'s, State<S>>) -> MutexGuard<'s, State<S>> {
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
    pub(super) fn end(&self) {
        self.change(|state| state.is_over = true);
        self.queue.abandon();
    }

    /// Does a thread's work. Should it panic, the other threads wait for it no longer.
    pub(super) fn to_the_end<R>(&self, work: impl FnOnce() -> R) -> R {
        struct EndOnPanic<'p, 'q, S: DeviceSession>(&'p Pipeline<'q, S>);
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
