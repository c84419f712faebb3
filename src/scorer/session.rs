//! Networks that are submitted when their makers please, and scores that are received when they are known.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::requests::{Finished, Requests, Ticket};
use super::{Score, Scorer};
use crate::backend::Executor;
use crate::{BackendErrorKind, Error, Network, Result};

/// A device at work for whoever submits networks: one that waits for a score before it makes the next network, or several
/// threads at once. See [`Scorer::session`].
///
/// Dropping it cancels what has not started, and waits for what has.
pub struct Session {
    scorer: Scorer,
    requests: Arc<Requests>,
    /// The thread of each repeat, until it was waited for.
    runners: Mutex<Vec<JoinHandle<()>>>,
}

impl Scorer {
    /// Scores one network, its images spread over the cores.
    ///
    /// # Errors
    /// The network does not fit the batch, the weights or the memory, or its activations are not finite.
    pub fn score(&self, network: &Network) -> Result<Score> {
        let score = self.score_all(std::slice::from_ref(network)).pop();
        score.unwrap_or_else(|| unreachable!("every network has a result"))
    }

    /// Scores networks; results are in the order of the networks, and a failure leaves the others alone.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let cells = nasbench201::sample(3, 0)?;
    /// let small = nasbench201::Skeleton { stem: 4, cells: 1 };
    /// let networks: Vec<_> = cells.iter().map(|cell| cell.network(&small)).collect::<Result<_, _>>()?;
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// assert_eq!(scorer.score_all(&networks).len(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn score_all(&self, networks: &[Network]) -> Vec<Result<Score>> {
        // All are there before the device starts: it sees how many there are.
        let session = Session::start(self.clone(), networks.iter().cloned(), true);
        let mut scores: Vec<(Ticket, Result<Score>)> = std::iter::from_fn(|| session.recv()).collect();
        scores.sort_unstable_by_key(|(ticket, _)| *ticket);
        scores.into_iter().map(|(_, score)| score).collect()
    }

    /// Puts the device to work for networks that come as their makers please: from a search that waits for scores before
    /// it makes further networks, or from several threads.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let mut cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let session = Scorer::builder(Batch::synthetic(4, 0)?).build()?.session();
    /// for step in 0..3 {
    ///     session.submit(cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
    ///     let (_, score) = session.recv().expect("it is open");
    ///     if score?.log_det < 100.0 {
    ///         cell = cell.mutate(step);
    ///     }
    /// }
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn session(&self) -> Session {
        Session::start(self.clone(), [], false)
    }
}

impl Session {
    /// Starts the devices with the networks that are there; a session of `all` networks is closed.
    pub(super) fn start(scorer: Scorer, networks: impl IntoIterator<Item = Network>, all: bool) -> Self {
        let requests = Arc::new(Requests::new(scorer.executors.len(), scorer.executors[0].lookahead()));
        networks.into_iter().for_each(|network| requests.add(scorer.initialized(network)));
        if all {
            requests.close();
        }
        let start = |(repeat, executor): (usize, &Arc<dyn Executor>)| {
            let backend = executor.backend();
            if scorer.process != std::process::id() {
                requests.ended(repeat, Err(forked(backend)));
                return None;
            }
            let (executor, runner) = (Arc::clone(executor), Arc::clone(&requests));
            let run = move || runner.ended(repeat, run(&*executor, &runner, repeat));
            let started = std::thread::Builder::new().spawn(run);
            started.map_err(|error| requests.ended(repeat, Err(no_thread(backend, &error)))).ok()
        };
        let runners = scorer.executors.iter().enumerate().filter_map(start).collect();
        Session { runners: Mutex::new(runners), scorer, requests }
    }

    /// Adds a network, once fewer are unfinished than the device looks ahead: results that nobody has received yet do not
    /// count. So it waits for the device alone, and submitting all networks before receiving any score is well.
    ///
    /// Networks that are submitted after the device has failed are finished at once, with its error.
    ///
    /// # Errors
    /// [`Error::Closed`] when the session is closed, before or during the wait.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let session = Scorer::builder(Batch::synthetic(4, 0)?).build()?.session();
    /// for cell in nasbench201::sample(3, 0)? {
    ///     session.submit(cell.network(&nasbench201::Skeleton { stem: 4, cells: 1 })?)?;
    /// }
    /// session.close();
    /// assert_eq!(std::iter::from_fn(|| session.recv()).count(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn submit(&self, network: Network) -> Result<Ticket> {
        let submitted = self.requests.submit(self.scorer.initialized(network), true)?;
        Ok(submitted.unwrap_or_else(|_| unreachable!("who may wait is given room")))
    }

    /// As [`Session::submit`], but where it would wait, gives the network back.
    ///
    /// # Errors
    /// [`Error::Closed`] when the session is closed.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let session = Scorer::builder(Batch::synthetic(2, 0)?).build()?.session();
    /// match session.try_submit(cell.network(&Skeleton { stem: 4, cells: 1 })?)? {
    ///     Ok(ticket) => println!("network {} is on its way", ticket.number()),
    ///     Err(network) => println!("{} has to wait", network.id()),
    /// }
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn try_submit(&self, network: Network) -> Result<Result<Ticket, Network>> {
        let submitted = self.requests.submit(self.scorer.initialized(network.clone()), false)?;
        Ok(submitted.map_err(|_| network))
    }

    /// The next score, in the order in which they are known; waits for it, also where no network is on its way yet. None
    /// once the session is closed and every score has been received.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let mut cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let session = Scorer::builder(Batch::synthetic(4, 0)?).build()?.session();
    /// let ticket = session.submit(cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
    /// let (known, score) = session.recv().expect("it is open");
    /// assert_eq!(known, ticket);
    /// println!("{}", score?.log_det);
    /// session.close();
    /// assert!(session.recv().is_none());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn recv(&self) -> Option<(Ticket, Result<Score>)> {
        self.requests.recv().map(|finished| self.score(finished))
    }

    /// The next score, if one is known now.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer};
    /// let session = Scorer::builder(Batch::synthetic(2, 0)?).build()?.session();
    /// assert!(session.try_recv().is_none());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn try_recv(&self) -> Option<(Ticket, Result<Score>)> {
        self.requests.try_recv().map(|finished| self.score(finished))
    }

    /// Gives a network up which the device has not taken yet: its result is [`Error::Cancelled`]. Whether it was in time; if
    /// not, the network is scored, or has been. The ticket has to be of this session.
    ///
    /// ```
    /// # use naswot::{Batch, Error, Scorer, nasbench201::{Cell, Skeleton}};
    /// # let cell: Cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|".parse()?;
    /// let session = Scorer::builder(Batch::synthetic(2, 0)?).build()?.session();
    /// let ticket = session.submit(cell.network(&Skeleton { stem: 4, cells: 1 })?)?;
    /// let in_time = session.cancel(ticket);
    /// let (_, score) = session.recv().expect("it is open");
    /// assert_eq!(matches!(score, Err(Error::Cancelled)), in_time);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn cancel(&self, ticket: Ticket) -> bool {
        self.requests.cancel(ticket)
    }

    /// Closes the session and gives up every network that has not started; their results are [`Error::Cancelled`].
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let session = Scorer::builder(Batch::synthetic(4, 0)?).build()?.session();
    /// for cell in nasbench201::sample(3, 0)? {
    ///     session.submit(cell.network(&nasbench201::Skeleton { stem: 4, cells: 1 })?)?;
    /// }
    /// session.cancel_all();
    /// assert_eq!(std::iter::from_fn(|| session.recv()).count(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn cancel_all(&self) {
        self.requests.cancel_all();
    }

    /// Says that no more networks will come. Those that were submitted are scored.
    pub fn close(&self) {
        self.requests.close();
    }

    /// Cancels what has not started, and waits for what has.
    pub(super) fn stop(&self) {
        self.cancel_all();
        let runners = std::mem::take(&mut *self.runners.lock().unwrap_or_else(PoisonError::into_inner));
        for runner in runners {
            // What an executor panics with is caught and is the error of its networks.
            let _ = runner.join();
        }
    }

    fn score(&self, Finished { ticket, network, outcomes }: Finished) -> (Ticket, Result<Score>) {
        (ticket, outcomes.and_then(|outcomes| self.scorer.finish(&network, outcomes)))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("scorer", &self.scorer).finish_non_exhaustive()
    }
}

/// Runs the requests of a repeat to their end. A panic becomes an error: nobody may wait for ever.
fn run(executor: &dyn Executor, requests: &Requests, repeat: usize) -> Result<()> {
    let ran = catch_unwind(AssertUnwindSafe(|| executor.run(requests.queue(repeat))));
    ran.unwrap_or_else(|panic| {
        let reason = format!("panicked: {}; please report it", message(&*panic));
        Err(Error::backend(BackendErrorKind::Failed, executor.backend(), reason))
    })
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// The error of a thread that the system does not start.
pub(super) fn no_thread(backend: &str, error: &io::Error) -> Error {
    let advice = "more processes or threads must be allowed (ulimit -u, or the limit on pids of a container)";
    let reason = format!("cannot start a thread: {error}: {advice}");
    Error::backend(BackendErrorKind::CannotOpen, backend, reason)
}

/// The error of a scorer whose threads and device are another process's.
fn forked(backend: &str) -> Error {
    let reason = "the process was forked after the scorer was made: make it in the child";
    Error::backend(BackendErrorKind::CannotOpen, backend, reason)
}
