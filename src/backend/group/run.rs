//! The run of a queue: takes its networks through a device, compiled ahead of it, in groups, two of which are in flight,
//! and has them run again where a group has failed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::footprint::sizes;
use super::packed::Queued;
use super::session::{DeviceSession, Ended, Failed, InFlight};
use super::{Fault, Limits, Load, Prepared, image, most_networks};
use crate::backend::Setup;
use crate::backend::queue::{Queue, Request};
use crate::plan::Plan;
use crate::{BackendErrorKind, Error, Result};

/// Networks that are asked for at once when nobody has said how many make a group.
const ASK: usize = 64;

/// Bytes that a plan takes by itself.
pub(super) fn bytes(plan: &Plan, limits: &Limits) -> u64 {
    limits.bytes(&(sizes(plan, limits) + image(plan))).iter().map(|(_, bytes)| bytes).sum()
}

/// Networks that are taken from the queue at once.
pub(super) fn ask(limits: &Limits) -> usize {
    limits.networks.unwrap_or(ASK).min(most_networks(limits))
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
    let mut run = QueueRun {
        session,
        setup,
        threads,
        queue,
        queued: VecDeque::new(),
        in_flight: VecDeque::new(),
        ended_at: None,
        renewed: false,
        refused: None,
    };
    run.all().inspect_err(|_| run.abandon_all())
}

/// The run of a queue, with what is on its way.
struct QueueRun<'a, S: DeviceSession> {
    session: &'a Mutex<S>,
    setup: &'a Setup,
    threads: &'a rayon::ThreadPool,
    queue: &'a Queue,
    /// Networks that are prepared, and not in a group yet.
    queued: VecDeque<Queued>,
    /// Groups in flight, the oldest one first.
    in_flight: VecDeque<InFlight<S>>,
    /// When the last group ended.
    ended_at: Option<Instant>,
    /// Whether the device was lost and opened anew.
    renewed: bool,
    /// The network that had no room by itself, and is tried once more with nothing else on the device.
    refused: Option<usize>,
}

impl<S: DeviceSession> QueueRun<'_, S> {
    /// The session, for one call.
    fn session(&self) -> MutexGuard<'_, S> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&mut self) -> Result<()> {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                if self.in_flight.is_empty() {
                    return Ok(());
                }
                self.finish_oldest()?;
                continue;
            }
            let alone = self.needs_all_memory(&group);
            if alone && !self.in_flight.is_empty() {
                self.requeue(group);
                self.clear()?;
                continue;
            }
            match self.start(group) {
                Ok(()) if alone => self.clear()?,
                Ok(()) if self.in_flight.len() > 1 => self.finish_oldest()?,
                Ok(()) => {}
                Err(failed) => self.retry(failed)?,
            }
        }
    }

    /// Whether a group takes more than its share of the memory, as a large network may by itself: nothing runs beside it.
    fn needs_all_memory(&self, group: &[Queued]) -> bool {
        let limits = *self.session().limits();
        match group {
            [Queued { network, .. }] => bytes(&network.plan, &limits) > limits.memory / limits.in_flight,
            _ => false,
        }
    }

    /// Waits for all groups in flight, and frees the memory of all buffers.
    fn clear(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.finish_oldest()?;
        }
        self.session().release();
        Ok(())
    }

    /// Networks of the next group; none when there are none now, or, with no group in flight, ever. The group is as full as
    /// the networks that wait make it: an idle device waits for no more.
    fn next_group(&mut self) -> Vec<Queued> {
        let mut group = Vec::new();
        let mut load = Load::default();
        loop {
            if self.queue.is_cancelled() {
                self.queued.clear();
                return Vec::new();
            }
            // More than once: none of the networks that were taken may compile.
            let waits = group.is_empty() && self.in_flight.is_empty();
            while self.queued.is_empty() && self.compile(waits) {}
            let limits = *self.session().limits();
            let Some(next) = self.queued.pop_front() else { return group };
            if !load.has_room_for(&next.network.load, image(&next.network.plan), &limits) {
                self.queued.push_front(next);
                return group;
            }
            load.add(&next.network.load);
            group.push(next);
        }
    }

    /// Takes networks from the queue and compiles them on all cores; waits for the first one when asked to. Whether there
    /// were any.
    fn compile(&mut self, wait: bool) -> bool {
        let limits = *self.session().limits();
        let ask = ask(&limits);
        let requests = if wait { self.queue.take(ask) } else { self.queue.take_waiting(ask) };
        let any = !requests.is_empty();
        let setup = self.setup;
        let compiled: Vec<(usize, Result<Box<Prepared>>)> = self.threads.install(|| {
            let prepare = |Request { index, network }| {
                let plan = setup.plan(&network);
                (index, plan.and_then(|plan| Prepared::new(plan, &limits, &*setup.source)))
            };
            requests.into_par_iter().map(prepare).collect()
        });
        for (index, network) in compiled {
            match network {
                Ok(network) => self.queued.push_back(Queued { index, network }),
                Err(error) => self.queue.put(index, Err(error)),
            }
        }
        any
    }

    fn start(&mut self, networks: Vec<Queued>) -> Result<(), Failed> {
        let queue = self.queue;
        let mut fail = |index, error| queue.put(index, Err(error));
        let started = InFlight::start(&mut *self.session(), networks, &mut fail);
        let (in_flight, left) = started?;
        self.requeue(left);
        self.in_flight.extend(in_flight);
        Ok(())
    }

    /// Puts networks in front of those that are queued.
    fn requeue(&mut self, networks: Vec<Queued>) {
        networks.into_iter().rev().for_each(|network| self.queued.push_front(network));
    }

    /// Waits for the oldest group in flight, if there is one, and hands in its outcomes.
    fn finish_oldest(&mut self) -> Result<()> {
        let Some(oldest) = self.in_flight.pop_front() else { return Ok(()) };
        match oldest.wait() {
            Ok(Ended { packed, results, memory }) => {
                self.session().reuse(memory);
                let outcomes = packed.outcomes(&results, self.setup, self.ended_at);
                self.ended_at = Some(Instant::now());
                outcomes.into_iter().for_each(|(index, outcome)| self.queue.put(index, outcome));
                // Freeing networks takes longer than judging them, and this thread has to keep the device busy.
                self.threads.spawn(move || drop(packed));
                Ok(())
            }
            Err(failed) => self.retry(failed),
        }
    }

    /// Has networks whose group has failed run again: on a new device where the old one was lost, in smaller groups where
    /// there was no memory.
    ///
    /// # Errors
    /// What fails for another reason, or a second time, ends the run.
    fn retry(&mut self, Failed { fault, networks }: Failed) -> Result<()> {
        match fault {
            Fault::Lost(_) if !self.renewed => {
                self.renewed = true;
                let networks = self.abandon(networks);
                let renewed = self.session().renew();
                renewed.map_err(|error| self.fatal(error))?;
                self.requeue(networks);
            }
            Fault::Memory => {
                self.clear()?;
                let mut session = self.session();
                match &networks[..] {
                    [Queued { index, network }] if self.refused == Some(*index) => {
                        let (needed, device) = (bytes(&network.plan, session.limits()), session.device());
                        self.queue.put(*index, Err(Error::DeviceMemory { needed, device }));
                    }
                    few => {
                        session.limits().networks = Some((few.len() / 2).max(1));
                        drop(session);
                        self.refused = (few.len() == 1).then(|| few[0].index);
                        self.requeue(networks);
                    }
                }
            }
            fault => return Err(fault.fatal(S::BACKEND, &self.session().device())),
        }
        Ok(())
    }

    /// The error of a device that cannot be opened anew.
    fn fatal(&self, error: Error) -> Error {
        match error {
            Error::Backend { .. } => error,
            other => Error::backend(BackendErrorKind::CannotOpen, S::BACKEND, other.to_string()),
        }
    }

    /// All networks in flight, and these.
    fn abandon(&mut self, networks: Vec<Queued>) -> Vec<Queued> {
        self.in_flight.drain(..).flat_map(InFlight::abandon).chain(networks).collect()
    }

    /// Gives up all that the run has on the device, after a fault has ended it.
    fn abandon_all(&mut self) {
        self.abandon(Vec::new());
        // The cache may list rows that were never made.
        self.session().release();
    }
}
