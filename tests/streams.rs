//! Streams and sessions end, whatever a caller does with them.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::networks::{answers_a_producer_that_waits, mixed, noise, waiting};
use naswot::{Network, Scorer};

/// Far more than any of these takes: a deadlock is a failure, not a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn scorer(threads: usize) -> Scorer {
    Scorer::builder(noise(4, 0)).threads(threads).build().unwrap()
}

/// Runs something that must come to an end.
fn ends<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).expect("failed, or did not come to an end")
}

#[test]
fn an_endless_stream_is_taken_lazily_and_dropping_it_cancels_the_rest() {
    for threads in 1..=3 {
        ends(move || {
            let taken = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&taken);
            let endless = mixed(6).into_iter().cycle().inspect(move |_| {
                counter.fetch_add(1, Relaxed);
            });
            let mut stream = scorer(threads).stream(endless);
            assert!(stream.by_ref().take(3).all(|score| score.is_ok()));
            drop(stream);
            // A bounded number ahead of what was asked for.
            assert!(taken.load(Relaxed) <= 3 + 64 * threads, "{} were taken", taken.load(Relaxed));
        });
    }
}

#[test]
fn a_stream_that_is_never_read_or_has_no_networks_ends() {
    for threads in 1..=3 {
        ends(move || {
            let scorer = scorer(threads);
            drop(scorer.stream(mixed(4)));
            assert!(scorer.stream(Vec::<Network>::new()).next().is_none());
            let mut stream = scorer.stream(mixed(1));
            assert!(stream.next().is_some());
            assert!(stream.next().is_none());
            assert!(stream.next().is_none());
            assert!(scorer.score_all(&[]).is_empty());
        });
    }
}

#[test]
fn the_scorer_can_be_used_within_the_loop_over_its_own_stream() {
    for threads in 1..=3 {
        ends(move || {
            let scorer = scorer(threads);
            let networks = mixed(10);
            for (score, network) in scorer.stream(networks.clone()).zip(&networks) {
                let again = scorer.score(network).unwrap();
                assert_eq!(score.unwrap().log_det.to_bits(), again.log_det.to_bits());
            }
            // A stream within a stream.
            for score in scorer.stream(networks.clone()).take(4) {
                assert!(score.is_ok());
                assert_eq!(scorer.stream(networks.clone()).filter(Result::is_ok).count(), 10);
            }
        });
    }
}

#[test]
fn many_threads_may_score_at_once_under_a_memory_limit_that_lets_one_network_in() {
    let networks = mixed(8);
    let scorer = Scorer::builder(noise(4, 0)).build().unwrap();
    let needs = |network: &Network| scorer.memory(network).unwrap();
    let limit = networks.iter().map(needs).max().unwrap();
    for threads in 1..=3 {
        let networks = networks.clone();
        ends(move || {
            let scorer = Scorer::builder(noise(4, 0)).threads(threads).memory_limit(limit).build().unwrap();
            let expected = scorer.score_all(&networks);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            for (network, expected) in networks.iter().zip(&expected) {
                                let score = scorer.score(network).unwrap();
                                assert_eq!(score.log_det, expected.as_ref().unwrap().log_det);
                            }
                        }
                    });
                }
            });
        });
    }
}

#[test]
fn a_caller_that_panics_in_its_iterator_is_told_so_and_nothing_hangs() {
    for threads in 1..=3 {
        ends(move || {
            let scorer = scorer(threads);
            let failing = mixed(8).into_iter().enumerate().map(|(i, network)| {
                assert!(i < 3, "the caller's own fault");
                network
            });
            let mut yielded = 0;
            let stream = scorer.stream(failing).inspect(|score| yielded += usize::from(score.is_ok()));
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stream.count()));
            let panic = caught.unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"the caller's own fault"));
            // Behind the results of the networks before.
            assert_eq!(yielded, 3);
            assert!(scorer.score(&mixed(1)[0]).is_ok());
        });
    }
}

#[test]
fn a_producer_may_wait_for_each_result_before_it_makes_the_next_network() {
    let networks = mixed(6);
    let expected = scorer(1).score_all(&networks);
    for threads in 1..=3 {
        let (networks, expected) = (networks.clone(), expected.iter().map(|s| s.as_ref().unwrap().log_det));
        let expected: Vec<f64> = expected.collect();
        ends(move || {
            answers_a_producer_that_waits(&scorer(threads), networks.clone());
            let session = scorer(threads).session();
            for (network, expected) in networks.into_iter().zip(expected) {
                let ticket = session.submit(network).unwrap();
                let (known, score) = session.recv().unwrap();
                assert_eq!((known, score.unwrap().log_det), (ticket, expected));
            }
        });
    }
}

#[test]
fn a_stream_can_be_dropped_while_its_iterator_waits() {
    for threads in 1..=2 {
        ends(move || {
            let (producer, known) = waiting(mixed(4));
            let mut stream = scorer(threads).stream(producer);
            assert!(stream.next().is_some_and(|score| score.is_ok()));
            drop(stream);
            drop(known);
        });
    }
}

#[test]
fn all_networks_may_be_submitted_before_any_score_is_received() {
    for threads in 1..=3 {
        ends(move || {
            let session = scorer(threads).session();
            let networks = mixed(100);
            for network in &networks {
                session.submit(network.clone()).unwrap();
            }
            session.close();
            let results = std::iter::from_fn(|| session.recv());
            assert_eq!(results.filter(|(_, score)| score.is_ok()).count(), networks.len());
        });
    }
}

#[test]
fn several_threads_submit_to_one_session_and_each_network_has_its_own_score() {
    let networks = mixed(12);
    let expected: Vec<f64> =
        scorer(1).score_all(&networks).into_iter().map(|score| score.unwrap().log_det).collect();
    for threads in 1..=3 {
        let (networks, expected) = (networks.clone(), expected.clone());
        ends(move || {
            let session = scorer(threads).session();
            let submitted: Vec<_> = std::thread::scope(|scope| {
                let submit = |first: usize| {
                    let own = (first..networks.len()).step_by(3);
                    own.map(|i| (session.submit(networks[i].clone()).unwrap(), i)).collect::<Vec<_>>()
                };
                let threads: Vec<_> = (0..3).map(|first| scope.spawn(move || submit(first))).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            session.close();
            let mut received = 0;
            while let Some((ticket, score)) = session.recv() {
                let (_, network) = submitted.iter().find(|(submitted, _)| *submitted == ticket).unwrap();
                assert_eq!(score.unwrap().log_det.to_bits(), expected[*network].to_bits());
                received += 1;
            }
            assert_eq!(received, networks.len());
        });
    }
}

#[test]
fn a_session_with_repeats_has_the_scores_of_the_scorer() {
    ends(|| {
        let scorer = Scorer::builder(noise(4, 0)).repeats(3).threads(2).build().unwrap();
        let networks = mixed(8);
        let expected = scorer.score_all(&networks);
        let session = scorer.session();
        for network in networks {
            session.submit(network).unwrap();
        }
        session.close();
        while let Some((ticket, score)) = session.recv() {
            let (score, expected) = (score.unwrap(), expected[ticket.number()].as_ref().unwrap());
            assert_eq!((score.log_det, score.deviation), (expected.log_det, expected.deviation));
        }
    });
}

#[test]
fn dropping_a_session_in_the_midst_of_its_work_ends_it() {
    for threads in 1..=3 {
        ends(move || {
            let session = scorer(threads).session();
            for network in mixed(12) {
                session.submit(network).unwrap();
            }
            assert!(session.recv().is_some());
            drop(session);
        });
    }
}
