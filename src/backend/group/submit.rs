//! The thread of a run that makes groups of its networks, starts them, and has those of a group that has failed run again.

use std::sync::MutexGuard;

use super::footprint::bytes;
use super::packed::Queued;
use super::pipeline::{Pipeline, State};
use super::session::{DeviceSession, Failed, InFlight};
use super::{Fault, Limits, Load, image};
use crate::{BackendErrorKind, Error, Result};

/// What is to be done next.
enum Step {
    /// Start a group, with nothing else in the device's memory where it is `alone`.
    Start { group: Vec<Queued>, alone: bool },
    /// Have the networks of groups that have failed run again. No group is in flight.
    Recover(Vec<Failed>),
    /// Nothing: all networks have run.
    End,
}

/// The maker of a run's groups.
pub(super) struct Submitter<'a, S: DeviceSession> {
    pipeline: &'a Pipeline<'a, S>,
    /// The next group in the making, and its load.
    group: Vec<Queued>,
    load: Load,
    /// Whether the buffers hold more than the share of a group, after a network that took all of the memory.
    oversized: bool,
    /// Whether the device was lost and opened anew.
    renewed: bool,
    /// The network that had no room by itself, and is tried once more with nothing else on the device.
    refused: Option<usize>,
}

impl<'a, S: DeviceSession> Submitter<'a, S> {
    pub(super) fn new(pipeline: &'a Pipeline<'a, S>) -> Self {
        let (group, load) = (Vec::new(), Load::default());
        Submitter { pipeline, group, load, oversized: false, renewed: false, refused: None }
    }

    /// Starts the groups of all networks.
    ///
    /// # Errors
    /// A fault that ends the run.
    pub(super) fn submit_all(&mut self) -> Result<()> {
        let submitted = loop {
            match self.next_step() {
                Step::Start { group, alone } => self.start(group, alone),
                Step::Recover(failed) => {
                    if let Err(error) = self.recover(failed) {
                        break Err(error);
                    }
                }
                Step::End => break Ok(()),
            }
        };
        if submitted.is_err() || self.oversized {
            // After an error the cache may list rows that were never made.
            self.session().release();
        }
        submitted
    }

    /// The session, which has back what groups that have ended held.
    fn session(&self) -> MutexGuard<'a, S> {
        let freed = std::mem::take(&mut self.pipeline.lock().freed);
        let mut session = self.pipeline.session();
        freed.into_iter().for_each(|memory| session.reuse(memory));
        session
    }

    /// Waits for the next thing to do. A group is started when it is full, and where the device is idle as full as the networks
    /// that wait make it: more may not come before the outcomes of these are known.
    fn next_step(&mut self) -> Step {
        let limits = self.pipeline.limits();
        let mut state = self.pipeline.lock();
        loop {
            if self.pipeline.queue.is_cancelled() {
                state.ready.clear();
                (self.group, self.load) = (Vec::new(), Load::default());
                self.pipeline.tell();
            }
            let is_full = self.fill(&mut state, &limits);
            let (idle, all) = (state.in_flight == 0, state.all_compiled && state.ready.is_empty());
            if state.is_over {
                return Step::End;
            }
            if !state.failed.is_empty() {
                if idle {
                    return Step::Recover(std::mem::take(&mut state.failed));
                }
            } else if self.group.is_empty() {
                if idle && all {
                    return Step::End;
                }
            } else {
                let alone = needs_all_memory(&self.group, &limits);
                let room = if alone || self.oversized { idle } else { state.in_flight < limits.in_flight };
                let no_more_wait = !state.compiling && self.pipeline.queue.is_empty();
                if room && (is_full || all || idle && no_more_wait) {
                    self.load = Load::default();
                    return Step::Start { group: std::mem::take(&mut self.group), alone };
                }
            }
            state = self.pipeline.wait(state);
        }
    }

    /// Takes networks that are ready into the next group. Whether it is full.
    fn fill(&mut self, state: &mut State<S>, limits: &Limits) -> bool {
        let before = state.ready.len();
        let mut is_full = self.load.is_full(limits);
        while let Some(next) = state.ready.front().filter(|_| !is_full) {
            is_full = !self.load.has_room_for(&next.network.load, image(&next.network.plan), limits);
            if !is_full {
                self.load.add(&next.network.load);
                self.group.extend(state.ready.pop_front());
                is_full = self.load.is_full(limits);
            }
        }
        if state.ready.len() < before {
            self.pipeline.tell();
        }
        is_full
    }

    fn start(&mut self, group: Vec<Queued>, alone: bool) {
        let queue = self.pipeline.queue;
        let started = {
            let mut session = self.session();
            if alone || self.oversized {
                session.release();
            }
            self.oversized = alone;
            InFlight::start(&mut *session, group, &mut |index, error| queue.put(index, Err(error)))
        };
        match started {
            Ok((in_flight, left)) => {
                self.requeue(left);
                self.pipeline.change(|state| {
                    state.in_flight += in_flight.iter().len();
                    state.started.extend(in_flight);
                });
            }
            Err(failed) => self.pipeline.change(|state| state.failed.push(failed)),
        }
    }

    /// Puts networks in front of those that are ready.
    fn requeue(&mut self, networks: Vec<Queued>) {
        self.load = Load::default();
        let networks = networks.into_iter().chain(std::mem::take(&mut self.group));
        self.pipeline.change(|state| {
            let later = std::mem::take(&mut state.ready);
            state.ready = networks.chain(later).collect();
        });
    }

    /// Has the networks of groups that have failed run again: on a new device where the old one was lost, in smaller groups
    /// where there was no memory.
    ///
    /// # Errors
    /// What fails for another reason, or a second time, ends the run.
    fn recover(&mut self, failed: Vec<Failed>) -> Result<()> {
        // All groups that were in flight are lost with their device.
        let lost = failed.iter().any(|failed| matches!(failed.fault, Fault::Lost(_))) && !self.renewed;
        if lost {
            self.renewed = true;
            let renewed = self.session().renew();
            renewed.map_err(fatal::<S>)?;
        }
        for Failed { fault, networks } in failed.into_iter().rev() {
            match fault {
                Fault::Lost(_) if lost => self.requeue(networks),
                Fault::Memory => self.shrink(networks),
                fault => return Err(fault.fatal(S::BACKEND, &self.session().device())),
            }
        }
        Ok(())
    }

    /// Has networks that the device had no memory for run again in smaller groups, or fail.
    fn shrink(&mut self, networks: Vec<Queued>) {
        let mut session = self.session();
        session.release();
        self.oversized = false;
        match &networks[..] {
            [Queued { index, network }] if self.refused == Some(*index) => {
                let (needed, device) = (bytes(&network.plan, session.limits()), session.device());
                self.pipeline.queue.put(*index, Err(Error::DeviceMemory { needed, device }));
            }
            few => {
                session.limits().networks = Some((few.len() / 2).max(1));
                drop(session);
                self.refused = (few.len() == 1).then(|| few[0].index);
                self.requeue(networks);
            }
        }
    }
}

/// Whether a group takes more than its share of the memory, as a large network may by itself: nothing runs beside it.
fn needs_all_memory(group: &[Queued], limits: &Limits) -> bool {
    match group {
        [Queued { network, .. }] => bytes(&network.plan, limits) > limits.share(),
        _ => false,
    }
}

/// The error of a device that cannot be opened anew.
fn fatal<S: DeviceSession>(error: Error) -> Error {
    match error {
        Error::Backend { .. } => error,
        other => Error::backend(BackendErrorKind::CannotOpen, S::BACKEND, other.to_string()),
    }
}
