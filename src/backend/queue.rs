//! Networks on their way to one executor, and its outcomes on the way back.
//!
//! Whoever submits networks pushes requests, the executor takes them and puts an outcome for each. Every change that
//! somebody may wait for is made under the one lock and told to all who wait, so no wake-up is lost. Outcomes are
//! delivered with the lock free: whoever receives them may hold locks of its own while it pushes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Outcome;
use crate::{Network, Result};

/// A network to be scored.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Its position among those of its session.
    pub(crate) index: usize,
    pub(crate) network: Network,
}

/// Receives the outcome of a request, by its index, on a thread of the executor.
type Deliver = Box<dyn Fn(usize, Result<Outcome>) + Send + Sync>;

/// The state of a queue.
#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    /// Requests that were taken and have no outcome yet.
    taken: usize,
    /// No more requests will come.
    closed: bool,
    /// Nobody wants what has not started.
    cancelled: bool,
    /// The executor waits for nothing more.
    abandoned: bool,
}

/// Hands requests to an executor in order.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told when requests come, when the last one taken has its outcome, and when the queue closes.
    changed: Condvar,
    deliver: Deliver,
}

impl Queue {
    /// An open queue without requests.
    pub(crate) fn new(deliver: impl Fn(usize, Result<Outcome>) + Send + Sync + 'static) -> Self {
        Queue { state: Mutex::default(), changed: Condvar::new(), deliver: Box::new(deliver) }
    }

    /// Adds a request at the end.
    pub(crate) fn push(&self, request: Request) {
        self.lock().waiting.push_back(request);
        self.changed.notify_all();
    }

    /// Says that no more requests will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Drops a request that waits; whether it did.
    pub(crate) fn remove(&self, index: usize) -> bool {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|request| request.index == index);
        place.and_then(|place| state.waiting.remove(place)).is_some()
    }

    /// Closes the queue and drops what waits, but does not disturb what runs. The indices of the dropped requests.
    pub(crate) fn cancel(&self) -> Vec<usize> {
        let mut state = self.lock();
        (state.closed, state.cancelled) = (true, true);
        let dropped = state.waiting.drain(..).map(|request| request.index).collect();
        drop(state);
        self.changed.notify_all();
        dropped
    }

    /// Whether nobody wants what has been taken and has not started.
    #[cfg_attr(
        not(any(test, feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU starts at once what it takes")
    )]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Has nobody wait for requests any more, after the executor has failed.
    #[cfg_attr(
        not(any(test, feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU takes requests on the threads that run them")
    )]
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.changed.notify_all();
    }

    /// Waits until requests wait, and says how many do: none only where no more will come, or are wanted.
    pub(crate) fn wait(&self) -> usize {
        let nothing_yet = |state: &State| state.waiting.is_empty() && !state.closed && !state.abandoned;
        self.wait_while(nothing_yet).waiting.len()
    }

    /// Whether no requests wait now.
    #[cfg_attr(
        not(any(test, feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU looks how many wait, or takes what does")
    )]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Takes up to so many of the requests that wait now.
    pub(crate) fn take_waiting(&self, most: usize) -> Vec<Request> {
        take(&mut self.lock(), most)
    }

    /// As [`Queue::take`], for one of several workers: waits for the first request only while another worker has some, so
    /// that all of them come to an end once the executor is idle.
    pub(crate) fn take_while_busy(&self, most: usize) -> Vec<Request> {
        let nothing_yet = |state: &State| state.waiting.is_empty() && !state.closed && state.taken > 0;
        take(&mut self.wait_while(nothing_yet), most)
    }

    /// Hands in the outcome of a request.
    pub(crate) fn put(&self, index: usize, outcome: Result<Outcome>) {
        (self.deliver)(index, outcome);
        let mut state = self.lock();
        debug_assert!(state.taken > 0, "an outcome of a request that nobody has taken");
        state.taken -= 1;
        if state.taken == 0 {
            self.changed.notify_all();
        }
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(self.lock(), |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(state: &mut State, most: usize) -> Vec<Request> {
    let count = most.min(state.waiting.len());
    state.taken += count;
    state.waiting.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::Graph;

    /// A queue of so many requests, and the indices of the outcomes that it delivers.
    fn queue(requests: usize) -> (Queue, Receiver<usize>) {
        let (sender, delivered) = channel();
        let queue = Queue::new(move |index, _| sender.send(index).unwrap());
        push(&queue, 0..requests);
        (queue, delivered)
    }

    fn push(queue: &Queue, indices: std::ops::Range<usize>) {
        let mut g = Graph::builder(3).unwrap();
        let relu = g.relu(g.input()).unwrap();
        let network = Network::from_graph("relu", g.output(relu).unwrap());
        indices.for_each(|index| queue.push(Request { index, network: network.clone() }));
    }

    fn indices(requests: &[Request]) -> Vec<usize> {
        requests.iter().map(|request| request.index).collect()
    }

    fn put(queue: &Queue, requests: &[Request]) {
        requests.iter().for_each(|request| queue.put(request.index, Err(crate::Error::Cancelled)));
    }

    #[test]
    fn requests_are_taken_in_order_and_their_outcomes_delivered() {
        let (queue, delivered) = queue(3);
        assert_eq!(queue.wait(), 3);
        let taken = queue.take_waiting(2);
        assert_eq!(indices(&taken), [0, 1]);
        assert_eq!(indices(&queue.take_waiting(9)), [2]);
        assert!(queue.take_waiting(9).is_empty());
        put(&queue, &taken);
        assert_eq!(delivered.try_iter().collect::<Vec<_>>(), [0, 1]);
        queue.close();
        assert_eq!((queue.wait(), queue.take_waiting(1).len()), (0, 0));
    }

    #[test]
    fn a_request_can_be_removed_until_it_is_taken() {
        let (queue, _delivered) = queue(3);
        assert!(queue.remove(1));
        assert!(!queue.remove(1));
        assert_eq!(indices(&queue.take_waiting(1)), [0]);
        assert!(!queue.remove(0));
        assert_eq!(indices(&queue.take_waiting(9)), [2]);
    }

    #[test]
    fn a_cancelled_queue_has_nothing_more_to_take() {
        let (queue, _delivered) = queue(3);
        let taken = queue.take_waiting(1);
        assert!(!queue.is_cancelled());
        assert_eq!(queue.cancel(), [1, 2]);
        assert!(queue.is_cancelled());
        assert!(queue.take_waiting(1).is_empty() && queue.take_while_busy(1).is_empty());
        put(&queue, &taken);
    }

    #[test]
    fn nobody_waits_for_an_abandoned_queue() {
        let (queue, _delivered) = queue(0);
        thread::scope(|scope| {
            let worker = scope.spawn(|| queue.wait());
            thread::sleep(Duration::from_millis(20));
            assert!(!worker.is_finished());
            queue.abandon();
            assert_eq!(worker.join().unwrap(), 0);
        });
        assert_eq!(queue.wait(), 0);
    }

    #[test]
    fn workers_wait_for_requests_while_another_one_is_busy_and_leave_when_none_is() {
        let (queue, _delivered) = queue(1);
        let taken = queue.take_waiting(1);
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let next = queue.take_while_busy(1);
                put(&queue, &next);
                (indices(&next), queue.take_while_busy(1).len())
            });
            thread::sleep(Duration::from_millis(20));
            assert!(!worker.is_finished());
            push(&queue, 7..8);
            thread::sleep(Duration::from_millis(20));
            assert!(!worker.is_finished(), "this thread still has a request");
            put(&queue, &taken);
            assert_eq!(worker.join().unwrap(), (vec![7], 0));
        });
    }
}
