//! Sessions of executors that do as they are told: whatever they do, nobody waits for ever.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{Scorer, Session, Ticket};
use crate::backend::queue::{Queue, Request};
use crate::backend::{Executor, Outcome, Setup};
use crate::plan::Plan;
use crate::score::ScoreValues;
use crate::{BackendErrorKind, Batch, Convention, Error, Graph, Network, Precision, Result, Weights};

/// Far more than any of these takes: a deadlock is a failure, not a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Networks that a session has unfinished at most.
const LOOKAHEAD: usize = 4;

/// An executor that does with its queue what a test says.
struct Told<F>(F);

impl<F: Fn(&Queue) -> Result<()> + Send + Sync + 'static> Executor for Told<F> {
    fn backend(&self) -> &'static str {
        "told"
    }

    fn device(&self) -> &str {
        "told"
    }

    fn precision(&self) -> Precision {
        Precision::F64
    }

    fn bytes(&self, _: &Plan) -> u64 {
        0
    }

    fn lookahead(&self) -> usize {
        LOOKAHEAD
    }

    fn run(&self, queue: &Queue) -> Result<()> {
        (self.0)(queue)
    }

    fn reopen(&self, _: Setup) -> Result<Arc<dyn Executor>> {
        unreachable!("no test reopens it")
    }
}

fn told(run: impl Fn(&Queue) -> Result<()> + Send + Sync + 'static) -> Arc<dyn Executor> {
    Arc::new(Told(run))
}

/// Takes the next request, once there is one: none where no more will come.
fn take_one(queue: &Queue) -> Vec<Request> {
    while queue.wait() > 0 {
        let requests = queue.take_waiting(1);
        // It may have been removed meanwhile.
        if !requests.is_empty() {
            return requests;
        }
    }
    Vec::new()
}

/// Gives each request its index as the score.
fn obey(queue: &Queue) -> Result<()> {
    loop {
        let requests = take_one(queue);
        let Some(Request { index, .. }) = requests.first() else { return Ok(()) };
        queue.put(*index, Ok(outcome(*index)));
    }
}

/// An executor that takes one request after the other, says which, and finishes it when it is told to.
fn released() -> (Arc<dyn Executor>, Sender<()>, Receiver<usize>) {
    let ((release, released), (taking, taken)) = (channel(), channel());
    let (released, taking) = (Mutex::new(released), Mutex::new(taking));
    let executor = told(move |queue| {
        loop {
            let requests = take_one(queue);
            let Some(Request { index, .. }) = requests.first() else { return Ok(()) };
            // Not every test listens.
            let _ = taking.lock().unwrap().send(*index);
            released.lock().unwrap().recv().unwrap();
            queue.put(*index, Ok(outcome(*index)));
        }
    });
    (executor, release, taken)
}

fn outcome(index: usize) -> Outcome {
    Outcome {
        log_det: index as f64,
        scores: ScoreValues::default(),
        agreement: None,
        codes: None,
        activations: 1,
        seconds: 0.0,
    }
}

fn session(executors: Vec<Arc<dyn Executor>>) -> Session {
    let setup = Setup::new(Batch::synthetic(1, 0).unwrap(), Weights::default(), Convention::Relu);
    Scorer::new(setup, executors, None).session()
}

fn network() -> Network {
    let mut g = Graph::builder(3).unwrap();
    let relu = g.relu(g.input()).unwrap();
    Network::from_graph("relu", g.output(relu).unwrap())
}

fn submit(session: &Session, networks: usize) {
    for _ in 0..networks {
        session.submit(network()).unwrap();
    }
}

/// All that is still to be received: the tickets' numbers and the scores.
fn rest(session: &Session) -> Vec<(usize, Result<f64>)> {
    let results = std::iter::from_fn(|| session.recv());
    results.map(|(ticket, score)| (ticket.number(), score.map(|score| score.log_det))).collect()
}

/// Runs something that must come to an end.
fn ends<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).expect("failed, or did not come to an end")
}

#[test]
fn sessions_and_scorers_may_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Session>();
    shared::<Scorer>();
}

#[test]
fn a_submission_waits_for_unfinished_networks_and_not_for_received_ones() {
    ends(|| {
        let (executor, release, _) = released();
        let session = session(vec![executor]);
        submit(&session, LOOKAHEAD);
        let back = session.try_submit(network()).unwrap().unwrap_err();
        assert_eq!(back.id(), "relu");
        thread::scope(|scope| {
            let submission = scope.spawn(|| session.submit(network()).unwrap());
            thread::sleep(Duration::from_millis(20));
            assert!(!submission.is_finished());
            release.send(()).unwrap();
            assert_eq!(submission.join().unwrap(), Ticket(LOOKAHEAD));
        });
        // None has been received, and all can be submitted.
        for _ in 0..100 {
            release.send(()).unwrap();
            session.submit(network()).unwrap();
        }
        (0..LOOKAHEAD).for_each(|_| release.send(()).unwrap());
        session.close();
        assert_eq!(rest(&session).len(), LOOKAHEAD + 101);
    });
}

#[test]
fn results_come_in_the_order_of_completion_and_none_behind_the_last() {
    ends(|| {
        let backwards = told(|queue: &Queue| {
            while queue.wait() < 3 {
                thread::yield_now();
            }
            let taken = queue.take_waiting(3);
            taken.iter().rev().for_each(|request| queue.put(request.index, Ok(outcome(request.index))));
            obey(queue)
        });
        let session = session(vec![backwards]);
        assert!(session.try_recv().is_none());
        submit(&session, 3);
        session.close();
        let order: Vec<usize> = rest(&session).into_iter().map(|(number, _)| number).collect();
        assert_eq!(order, [2, 1, 0]);
        assert!(session.recv().is_none() && session.try_recv().is_none());
    });
}

#[test]
fn a_closed_session_takes_no_network_and_wakes_those_that_wait_to_submit_or_to_receive() {
    ends(|| {
        let (executor, release, _) = released();
        let session = session(vec![executor]);
        thread::scope(|scope| {
            let receiver = scope.spawn(|| session.recv().is_some());
            thread::sleep(Duration::from_millis(20));
            submit(&session, LOOKAHEAD);
            let submission = scope.spawn(|| session.submit(network()));
            thread::sleep(Duration::from_millis(20));
            assert!(!submission.is_finished() && !receiver.is_finished());
            session.close();
            assert!(matches!(submission.join().unwrap(), Err(Error::Closed)));
            (0..LOOKAHEAD).for_each(|_| release.send(()).unwrap());
            assert!(receiver.join().unwrap());
        });
        assert!(matches!(session.submit(network()), Err(Error::Closed)));
        assert!(matches!(session.try_submit(network()), Err(Error::Closed)));
        assert_eq!(rest(&session).len(), LOOKAHEAD - 1);
    });
}

#[test]
fn a_network_is_cancelled_until_every_executor_has_taken_it() {
    ends(|| {
        let (first, release_first, first_takes) = released();
        let (second, release_second, second_takes) = released();
        let session = session(vec![first, second]);
        let tickets: Vec<Ticket> = (0..3).map(|_| session.submit(network()).unwrap()).collect();
        // Both have taken the first network, and one the second one as well.
        release_first.send(()).unwrap();
        assert_eq!([first_takes.recv().unwrap(), first_takes.recv().unwrap()], [0, 1]);
        assert_eq!(second_takes.recv().unwrap(), 0);
        assert!(session.cancel(tickets[1]));
        assert!(!session.cancel(tickets[1]));
        assert!(!session.cancel(tickets[0]));
        (0..3).for_each(|_| release_first.send(()).unwrap());
        (0..3).for_each(|_| release_second.send(()).unwrap());
        session.close();
        let results = rest(&session);
        assert!(matches!(results[0], (1, Err(Error::Cancelled))), "{results:?}");
        assert!(matches!(results[1..], [(0, Ok(0.0)), (2, Ok(2.0))]), "{results:?}");
        assert!(!session.cancel(tickets[2]));
    });
}

#[test]
fn cancelling_all_finishes_what_waits_and_keeps_what_runs() {
    ends(|| {
        let (executor, release, takes) = released();
        let session = session(vec![executor]);
        submit(&session, 3);
        assert_eq!(takes.recv().unwrap(), 0);
        session.cancel_all();
        release.send(()).unwrap();
        let results = rest(&session);
        assert!(matches!(results[..2], [(1, Err(Error::Cancelled)), (2, Err(Error::Cancelled))]));
        assert!(matches!(results[2], (0, Ok(0.0))), "{results:?}");
    });
}

#[test]
fn dropping_a_session_waits_for_what_runs_and_gives_up_the_rest() {
    ends(|| {
        let (started, starts) = channel();
        let started = Mutex::new(started);
        let slow = told(move |queue: &Queue| {
            for request in take_one(queue) {
                started.lock().unwrap().send(None).unwrap();
                thread::sleep(Duration::from_millis(50));
                queue.put(request.index, Ok(outcome(request.index)));
                started.lock().unwrap().send(Some(request.index)).unwrap();
            }
            obey(queue)
        });
        let session = session(vec![slow]);
        submit(&session, LOOKAHEAD);
        assert_eq!(starts.recv().unwrap(), None);
        drop(session);
        assert_eq!(starts.try_iter().collect::<Vec<_>>(), [Some(0)]);
    });
}

/// What becomes of networks that are submitted before and after an executor fails, beside one that goes on.
fn failed(run: impl Fn(&Queue) -> Result<()> + Send + Sync + 'static, beside: bool) -> Vec<String> {
    ends(move || {
        let mut executors = vec![told(run)];
        if beside {
            executors.push(told(obey));
        }
        let session = session(executors);
        let mut results = Vec::new();
        for _ in 0..3 {
            session.submit(network()).unwrap();
            let (_, result) = session.recv().unwrap();
            results.push(result.map_or_else(|error| error.to_string(), |score| score.log_det.to_string()));
        }
        session.close();
        assert!(session.recv().is_none());
        results
    })
}

#[test]
fn an_executor_that_fails_or_panics_gives_its_error_to_every_network_that_it_has_not_finished() {
    let one = |queue: &Queue| {
        let requests = take_one(queue);
        queue.put(requests[0].index, Ok(outcome(7)));
        take_one(queue);
    };
    for beside in [false, true] {
        let broken = failed(
            move |queue| {
                one(queue);
                Err(Error::backend(BackendErrorKind::Failed, "told", "it is broken"))
            },
            beside,
        );
        let score = if beside { "3.5" } else { "7" };
        assert_eq!(broken, [score, "backend told: it is broken", "backend told: it is broken"]);
        let panicked = failed(
            move |queue| {
                one(queue);
                panic!("on purpose")
            },
            beside,
        );
        let message = "backend told: panicked: on purpose; please report it";
        assert_eq!(panicked, [score, message, message]);
    }
}

#[test]
fn several_threads_submit_cancel_and_receive_and_every_ticket_has_one_result() {
    const THREADS: usize = 4;
    const NETWORKS: usize = 500;
    let crew = || {
        told(|queue: &Queue| {
            thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(|| obey(queue).unwrap()))));
            Ok(())
        })
    };
    for repeats in 1..=2 {
        ends(move || {
            let session = session((0..repeats).map(|_| crew()).collect());
            let (mut submitted, mut received) = (Vec::new(), Vec::new());
            thread::scope(|scope| {
                let submit = |thread: usize| {
                    let tickets = (0..NETWORKS).map(|i| {
                        let ticket = session.submit(network()).unwrap();
                        if (i + thread).is_multiple_of(7) {
                            session.cancel(ticket);
                        }
                        ticket.number()
                    });
                    tickets.collect::<Vec<usize>>()
                };
                let receivers: Vec<_> = (0..2).map(|_| scope.spawn(|| rest(&session))).collect();
                let submitters: Vec<_> =
                    (0..THREADS).map(|thread| scope.spawn(move || submit(thread))).collect();
                submitters.into_iter().for_each(|thread| submitted.extend(thread.join().unwrap()));
                session.close();
                receivers.into_iter().for_each(|thread| received.extend(thread.join().unwrap()));
            });
            assert_eq!(received.len(), THREADS * NETWORKS);
            let numbers: BTreeSet<usize> = received.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, submitted.into_iter().collect());
            for (number, result) in received {
                match result {
                    Ok(score) => assert_eq!(score, number as f64),
                    Err(error) => assert!(matches!(error, Error::Cancelled), "{error}"),
                }
            }
        });
    }
}

#[test]
fn a_stream_keeps_the_lookahead_of_the_device_full_behind_a_slow_network() {
    ends(|| {
        // The first network is finished last, and the others at once.
        let (sender, ran): (Sender<usize>, Receiver<usize>) = channel();
        let sender = Mutex::new(sender);
        let executor = told(move |queue: &Queue| {
            let first = take_one(queue);
            for finished in 0.. {
                if finished == LOOKAHEAD {
                    break;
                }
                for request in take_one(queue) {
                    queue.put(request.index, Ok(outcome(request.index)));
                }
            }
            sender.lock().unwrap().send(LOOKAHEAD).unwrap();
            queue.put(first[0].index, Ok(outcome(first[0].index)));
            obey(queue)
        });
        let setup = Setup::new(Batch::synthetic(1, 0).unwrap(), Weights::default(), Convention::Relu);
        let mut stream = Scorer::new(setup, vec![executor], None).stream(std::iter::repeat_with(network));
        // The stream has not been asked for anything.
        assert_eq!(ran.recv_timeout(PATIENCE).unwrap(), LOOKAHEAD);
        let scores: Vec<f64> = stream.by_ref().take(6).map(|score| score.unwrap().log_det).collect();
        assert_eq!(scores, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    });
}

#[test]
fn the_scorer_of_another_process_refuses_networks() {
    ends(|| {
        let setup = Setup::new(Batch::synthetic(1, 0).unwrap(), Weights::default(), Convention::Relu);
        let scorer = Scorer::new(setup, vec![told(obey)], None);
        assert!(scorer.score(&network()).is_ok());
        let inherited = Scorer { process: scorer.process + 1, ..scorer };
        let error = inherited.score(&network()).unwrap_err();
        assert!(matches!(error, Error::Backend { kind: BackendErrorKind::CannotOpen, .. }));
        assert!(error.to_string().ends_with("make it in the child"), "{error}");
        let errors: Vec<_> = inherited.stream([network(), network()]).collect();
        assert!(!errors.is_empty() && errors.iter().all(Result::is_err));
    });
}
