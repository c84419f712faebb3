//! The networks of a session, from their submission to the outcomes of all its executors.
//!
//! # Why nobody waits for ever
//!
//! - One lock guards the whole state. Who waits looks at the state under it, and every change that somebody may wait for
//!   is told to all who wait, after it was made under the same lock.
//! - Locks are taken in one order: this one, then that of a queue. An executor holds neither when it delivers an outcome,
//!   nor anything else that a caller waits for.
//! - An outcome that is delivered is stored, however many there are, so an executor never waits for who receives. It takes
//!   what waits as soon as it is idle, so each request that was submitted is finished in time; and as many as may be
//!   unfinished are finished without further ones. Hence a submission waits for the device alone.
//! - An executor that ends, by its own error or by a panic, finishes all requests that wait for its outcome.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::backend::Outcome;
use crate::backend::queue::{Queue, Request};
use crate::{Error, Network, Result};

/// Names a network that was submitted to a [`Session`](super::Session); tickets rise in the order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) usize);

impl Ticket {
    /// How many networks were submitted to the session before this one.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let session = Scorer::builder(Batch::synthetic(2, 0)?).build()?.session();
    /// assert_eq!(session.submit(cell.network(&Skeleton { stem: 4, cells: 1 })?)?.number(), 0);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn number(self) -> usize {
        self.0
    }
}

/// A network whose score is not known yet.
struct Unfinished {
    network: Network,
    /// Outcomes so far, a place for each repeat.
    outcomes: Vec<Option<Result<Outcome>>>,
}

/// A network with the outcomes of all repeats, or why it has none.
pub(super) struct Finished {
    pub(super) ticket: Ticket,
    pub(super) network: Network,
    pub(super) outcomes: Result<Vec<Outcome>>,
}

/// The state of a session's requests.
#[derive(Default)]
struct State {
    /// Networks that were submitted so far.
    submitted: usize,
    unfinished: BTreeMap<usize, Unfinished>,
    /// Requests in the order of their completion.
    finished: VecDeque<Finished>,
    /// Nothing more will be submitted.
    closed: bool,
    /// The error with which an executor has ended: so will every further request.
    failure: Option<Error>,
}

/// The state, and what is told to those who wait for it to change.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// For those who submit: there may be room, or the session is closed.
    room: Condvar,
    /// For those who receive: there may be a result, or no more to come.
    results: Condvar,
}

/// Requests of one session, and the queues of its executors.
pub(super) struct Requests {
    shared: Arc<Shared>,
    /// One for each repeat.
    queues: Vec<Queue>,
    /// Networks that are unfinished at most.
    most: usize,
}

impl Requests {
    /// No requests yet, for as many executors as there are repeats.
    pub(super) fn new(repeats: usize, most: usize) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let queue = |repeat| {
            let shared = Arc::clone(&shared);
            Queue::new(move |index, outcome| {
                shared.lock().put(repeat, index, outcome);
                shared.tell();
            })
        };
        Requests { queues: (0..repeats).map(queue).collect(), shared, most }
    }

    /// The requests of one repeat.
    pub(super) fn queue(&self, repeat: usize) -> &Queue {
        &self.queues[repeat]
    }

    /// Adds a network when there is room. Where there is none the network comes back, unless it may `wait`.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(super) fn submit(&self, network: Network, wait: bool) -> Result<Result<Ticket, Network>> {
        let mut state = self.shared.lock();
        loop {
            if state.closed {
                return Err(Error::Closed);
            }
            if state.unfinished.len() < self.most {
                return Ok(Ok(self.push(&mut state, network)));
            }
            if !wait {
                return Ok(Err(network));
            }
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Adds a network, whether there is room or not.
    pub(super) fn add(&self, network: Network) {
        self.push(&mut self.shared.lock(), network);
    }

    /// Under the lock, so that no queue is closed meanwhile: its executor would leave the request behind.
    fn push(&self, state: &mut State, network: Network) -> Ticket {
        let index = state.submitted;
        state.submitted += 1;
        if let Some(error) = &state.failure {
            let outcomes = Err(error.clone());
            state.finished.push_back(Finished { ticket: Ticket(index), network, outcomes });
            self.shared.tell();
            return Ticket(index);
        }
        self.queues.iter().for_each(|queue| queue.push(Request { index, network: network.clone() }));
        let outcomes = self.queues.iter().map(|_| None).collect();
        state.unfinished.insert(index, Unfinished { network, outcomes });
        Ticket(index)
    }

    /// The request that was finished first, waiting for one where there is none yet: none once no more will be.
    pub(super) fn recv(&self) -> Option<Finished> {
        let nothing_yet =
            |state: &mut State| state.finished.is_empty() && !(state.closed && state.unfinished.is_empty());
        let waited = self.shared.results.wait_while(self.shared.lock(), nothing_yet);
        waited.unwrap_or_else(PoisonError::into_inner).finished.pop_front()
    }

    /// The request that was finished first, if there is one now.
    pub(super) fn try_recv(&self) -> Option<Finished> {
        self.shared.lock().finished.pop_front()
    }

    /// Says that no more will be submitted.
    pub(super) fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        self.queues.iter().for_each(Queue::close);
        drop(state);
        self.shared.tell();
    }

    /// Finishes a request with [`Error::Cancelled`], unless every executor has taken it; whether it did.
    pub(super) fn cancel(&self, Ticket(index): Ticket) -> bool {
        let mut state = self.shared.lock();
        // Of all queues: an executor would work in vain.
        let waited = self.queues.iter().filter(|queue| queue.remove(index)).count() > 0;
        if waited {
            state.finish(index, |_| Err(Error::Cancelled));
        }
        drop(state);
        self.shared.tell();
        waited
    }

    /// Closes the session and finishes all requests that wait with [`Error::Cancelled`]. Executors drop what they have taken
    /// and not started; it is finished when they end.
    pub(super) fn cancel_all(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let dropped: Vec<usize> = self.queues.iter().flat_map(Queue::cancel).collect();
        dropped.into_iter().for_each(|index| state.finish(index, |_| Err(Error::Cancelled)));
        drop(state);
        self.shared.tell();
    }

    /// Takes note that the executor of a repeat has ended. After an error nothing can be scored any more; else what has no
    /// outcome from it was cancelled.
    pub(super) fn ended(&self, repeat: usize, result: Result<()>) {
        let mut state = self.shared.lock();
        let lacks = |request: &Unfinished| result.is_err() || request.outcomes[repeat].is_none();
        let lacking: Vec<usize> =
            state.unfinished.iter().filter(|(_, request)| lacks(request)).map(|(&index, _)| index).collect();
        let error = result.err();
        let is_closed = state.closed || state.failure.is_some();
        debug_assert!(error.is_some() || is_closed, "an executor ends when its queue is closed");
        for index in lacking {
            state.finish(index, |_| Err(error.clone().unwrap_or(Error::Cancelled)));
        }
        if error.is_some() {
            self.queues.iter().for_each(|queue| drop(queue.cancel()));
        }
        state.failure = state.failure.take().or(error);
        drop(state);
        self.shared.tell();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.room.notify_all();
        self.results.notify_all();
    }
}

impl State {
    /// Stores an outcome. A request that is not there any more was cancelled, or lost with another executor.
    fn put(&mut self, repeat: usize, index: usize, outcome: Result<Outcome>) {
        let Some(request) = self.unfinished.get_mut(&index) else { return };
        debug_assert!(request.outcomes[repeat].is_none(), "a second outcome of request {index}");
        request.outcomes[repeat] = Some(outcome);
        if request.outcomes.iter().all(Option::is_some) {
            self.finish(index, |outcomes| outcomes.into_iter().flatten().collect());
        }
    }

    /// Moves a request, if it is there, to those that are finished.
    fn finish(
        &mut self,
        index: usize,
        outcomes: impl FnOnce(Vec<Option<Result<Outcome>>>) -> Result<Vec<Outcome>>,
    ) {
        if let Some(request) = self.unfinished.remove(&index) {
            let outcomes = outcomes(request.outcomes);
            self.finished.push_back(Finished { ticket: Ticket(index), network: request.network, outcomes });
        }
    }
}
