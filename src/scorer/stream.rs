//! Networks as an iterator gives them, and their scores in the same order.

use std::collections::VecDeque;
use std::iter::Fuse;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::{Score, Scorer, run};
use crate::backend::Executor;
use crate::backend::queue::{Queue, Ticket};
use crate::{Network, Result};

/// Scores in the order of the networks; see [`Scorer::stream`].
pub struct Stream<I: Iterator<Item = Network>> {
    networks: Fuse<I>,
    /// Networks handed to the device whose results have not been yielded.
    ahead: VecDeque<Network>,
    /// Index of the next result to yield.
    next: usize,
    cancelled: bool,
    scorer: Scorer,
    /// Queue and thread of each repeat.
    repeats: Vec<(Arc<Queue>, Option<JoinHandle<()>>)>,
}

impl<I: Iterator<Item = Network>> Stream<I> {
    /// Starts the devices.
    pub(super) fn start(scorer: Scorer, networks: I) -> Self {
        let start = |executor: &Arc<dyn Executor>| {
            let (executor, queue) = (Arc::clone(executor), Arc::new(Queue::default()));
            let runner = std::thread::spawn({
                let queue = Arc::clone(&queue);
                move || run(&*executor, &queue)
            });
            (queue, Some(runner))
        };
        let repeats = scorer.executors.iter().map(start).collect();
        Stream {
            networks: networks.fuse(),
            ahead: VecDeque::new(),
            next: 0,
            cancelled: false,
            scorer,
            repeats,
        }
    }

    /// Takes no more networks. What runs is finished and still yielded; then each network that was taken and
    /// not started is an [`Error::Cancelled`](crate::Error::Cancelled).
    ///
    /// ```
    /// # use naswot::{Batch, Scorer, nasbench201};
    /// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
    /// let small = nasbench201::Skeleton { stem: 4, cells: 1 };
    /// let mut stream = scorer.stream(nasbench201::all().filter_map(|cell| cell.network(&small).ok()));
    /// assert!(stream.next().is_some_and(|score| score.is_ok()));
    /// stream.cancel();
    /// let finished = stream.take_while(|score| score.is_ok()).count();
    /// assert!(finished < nasbench201::COUNT);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn cancel(&mut self) {
        self.cancelled = true;
        self.repeats.iter().for_each(|(queue, _)| queue.cancel());
    }
}

impl<I: Iterator<Item = Network>> Iterator for Stream<I> {
    type Item = Result<Score>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.cancelled && self.ahead.len() < self.scorer.executors[0].lookahead() {
            let Some(network) = self.networks.next() else {
                self.repeats.iter().for_each(|(queue, _)| queue.close());
                break;
            };
            let network = self.scorer.initialized(network);
            for (queue, _) in &self.repeats {
                queue.push(Ticket { index: self.next + self.ahead.len(), network: network.clone() });
            }
            self.ahead.push_back(network);
        }
        let network = self.ahead.pop_front()?;
        let index = self.next;
        self.next += 1;
        Some(self.scorer.finish(&network, self.repeats.iter().map(|(queue, _)| queue.wait(index))))
    }
}

impl<I: Iterator<Item = Network>> Drop for Stream<I> {
    fn drop(&mut self) {
        self.cancel();
        for runner in self.repeats.iter_mut().filter_map(|(_, runner)| runner.take()) {
            // A panic of the runner has been reported on its own thread; there is nothing to add.
            let _ = runner.join();
        }
    }
}
