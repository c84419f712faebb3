//! Streams: networks as an iterator gives them, and their scores in the same order.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::session::no_thread;
use super::{Score, Scorer, Session, Ticket};
use crate::{Network, Result};

/// Networks that are taken from the iterator and not yielded, at most, as a multiple of those that are unfinished. The rest
/// are results that wait for an earlier one: the device still has all that it looks ahead.
const WINDOW: usize = 2;

/// Scores in the order of the networks; see [`Scorer::stream`].
pub struct Stream {
    session: Arc<Session>,
    /// The thread that pulls the iterator, until it was waited for.
    puller: Option<JoinHandle<()>>,
    /// One item for each network that was taken and has not been yielded.
    window: Receiver<()>,
    /// Results that were known before their turn.
    early: BTreeMap<Ticket, Result<Score>>,
    /// Results that were yielded.
    yielded: usize,
    cancelled: bool,
}

impl Scorer {
    /// Scores networks as an iterator gives them, and yields results in the same order, each as soon as it and those
    /// before it are known. The iterator is pulled on a thread of its own, ahead of what is yielded by a bounded number of
    /// networks, so that the device never waits and memory stays bounded; it may wait for results itself. A panic of the
    /// iterator goes on in the caller, behind the results of the networks before. Dropping the stream cancels what has not
    /// started and waits for what has, but not for an iterator that still waits for its next network.
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// let small = nasbench201::Skeleton { stem: 4, cells: 1 };
    /// let networks = nasbench201::all().filter_map(move |cell| cell.network(&small).ok());
    /// for score in scorer.stream(networks).take(2) {
    ///     println!("{}", score?.log_det);
    /// }
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn stream<I>(&self, networks: I) -> Stream
    where
        I: IntoIterator<Item = Network, IntoIter: Send + 'static>,
    {
        Stream::start(self.clone(), networks.into_iter())
    }
}

impl Stream {
    /// Starts the devices, and a thread that pulls the networks.
    pub(super) fn start(scorer: Scorer, networks: impl Iterator<Item = Network> + Send + 'static) -> Self {
        let most = WINDOW * scorer.executors[0].lookahead();
        let backend = scorer.settings.backend;
        let session = Arc::new(Session::start(scorer, [], false));
        let (sender, window) = sync_channel(most);
        let pull = {
            let (session, sender) = (Arc::clone(&session), sender.clone());
            move || pull(networks, &session, &sender)
        };
        let mut early = BTreeMap::new();
        let puller = match std::thread::Builder::new().spawn(pull) {
            Ok(puller) => Some(puller),
            Err(error) => {
                // In place of the first network.
                session.close();
                early.insert(Ticket(0), Err(no_thread(backend, &error)));
                let room = sender.try_send(());
                debug_assert!(room.is_ok(), "the window holds at least one network");
                None
            }
        };
        Stream { session, puller, window, early, yielded: 0, cancelled: false }
    }

    /// Takes no more networks. What runs is finished and still yielded; then each network that was taken and
    /// not started is an [`Error::Cancelled`](crate::Error::Cancelled).
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// let small = nasbench201::Skeleton { stem: 4, cells: 1 };
    /// let mut stream = scorer.stream(nasbench201::all().filter_map(move |cell| cell.network(&small).ok()));
    /// assert!(stream.next().is_some_and(|score| score.is_ok()));
    /// stream.cancel();
    /// let finished = stream.take_while(|score| score.is_ok()).count();
    /// assert!(finished < nasbench201::COUNT);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn cancel(&mut self) {
        self.cancelled = true;
        self.session.cancel_all();
    }

    /// Goes on with the panic of an iterator that has ended by one.
    fn resume_panic(&mut self) {
        // One that was cancelled may still be waiting for the next network, and its thread is left to itself. Else that
        // thread closes the session as the last thing it does.
        let ended = |puller: &mut JoinHandle<()>| !self.cancelled || puller.is_finished();
        if let Some(puller) = self.puller.take_if(ended)
            && let Err(panic) = puller.join()
        {
            resume_unwind(panic);
        }
    }
}

impl Iterator for Stream {
    type Item = Result<Score>;

    fn next(&mut self) -> Option<Self::Item> {
        let turn = Ticket(self.yielded);
        loop {
            if let Some(score) = self.early.remove(&turn) {
                self.yielded += 1;
                // Room for one more.
                let taken = self.window.try_recv();
                debug_assert!(taken.is_ok(), "a network was taken for each result");
                return Some(score);
            }
            let Some((ticket, score)) = self.session.recv() else {
                debug_assert!(self.early.is_empty(), "every network before these has a result");
                self.resume_panic();
                return None;
            };
            self.early.insert(ticket, score);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The puller may be waiting for its iterator: it ends on its own when that gives something.
        self.session.stop();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("yielded", &self.yielded).finish_non_exhaustive()
    }
}

/// Submits the networks of an iterator, as long as somebody wants them. The session is closed when the iterator is gone, also
/// by a panic: what was submitted before is still scored.
fn pull(networks: impl Iterator<Item = Network>, session: &Session, window: &SyncSender<()>) {
    struct Close<'a>(&'a Session);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let _close = Close(session);
    let mut networks = networks;
    while window.send(()).is_ok() {
        let Some(network) = networks.next() else { return };
        if session.submit(network).is_err() {
            return;
        }
    }
}
