//! Networks on their way to a device, and their results on the way back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Outcome;
use crate::{Error, Network, Result};

/// A network and its place in the input.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) index: usize,
    pub(crate) network: Network,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Ticket>,
    /// No more networks will come.
    closed: bool,
    /// Nobody wants what has not started.
    cancelled: bool,
    /// Nobody will run what still waits.
    ended: bool,
    outcomes: HashMap<usize, Result<Outcome>>,
}

/// Hands networks to an executor in order, and its outcomes to whoever waits for them.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told when networks come or the queue closes.
    incoming: Condvar,
    /// Told when outcomes come or the executor ends.
    outgoing: Condvar,
}

impl Queue {
    /// A closed queue that holds all the networks there will be.
    pub(crate) fn of(networks: impl Iterator<Item = Network>) -> Self {
        let queue = Queue::default();
        networks.enumerate().for_each(|(index, network)| queue.push(Ticket { index, network }));
        queue.close();
        queue
    }

    /// Adds a network at the end.
    pub(crate) fn push(&self, ticket: Ticket) {
        self.lock().waiting.push_back(ticket);
        self.incoming.notify_all();
    }

    /// Says that no more networks will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.incoming.notify_all();
    }

    /// Drops what waits; what runs is not disturbed.
    pub(crate) fn cancel(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.cancelled = true;
        drop(state);
        self.close();
    }

    /// Whether nobody wants what has been taken and has not started.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU starts at once what it takes")
    )]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Says that the executor is gone: outcomes that are not there will not come.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.outgoing.notify_all();
    }

    /// Waits until so many networks wait, or no more will come; whether there were as many.
    pub(crate) fn has(&self, networks: usize) -> bool {
        let mut state = self.lock();
        while state.waiting.len() < networks && !state.closed {
            state = self.incoming.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.len() >= networks
    }

    /// Takes up to so many networks, waiting for the first one; none when no more will come.
    pub(crate) fn take(&self, most: usize) -> Vec<Ticket> {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.closed {
            state = self.incoming.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = most.min(state.waiting.len());
        state.waiting.drain(..count).collect()
    }

    /// Takes up to so many of the networks that wait now.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU has nothing else to do meanwhile")
    )]
    pub(crate) fn take_waiting(&self, most: usize) -> Vec<Ticket> {
        let mut state = self.lock();
        let count = most.min(state.waiting.len());
        state.waiting.drain(..count).collect()
    }

    /// Hands in the outcome of a network.
    pub(crate) fn put(&self, index: usize, outcome: Result<Outcome>) {
        self.lock().outcomes.insert(index, outcome);
        self.outgoing.notify_all();
    }

    /// Waits for the outcome of a network.
    pub(crate) fn wait(&self, index: usize) -> Result<Outcome> {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.outcomes.remove(&index) {
                return outcome;
            }
            if state.ended {
                return Err(Error::Cancelled);
            }
            state = self.outgoing.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
