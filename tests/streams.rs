//! Streams end, whatever a caller does with them.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use common::networks::{mixed, noise};
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
            let taken = AtomicUsize::new(0);
            let networks = mixed(6);
            let endless = networks.iter().cycle().cloned().inspect(|_| {
                taken.fetch_add(1, Relaxed);
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
            let caught =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scorer.stream(failing).count()));
            assert!(caught.is_err());
            assert!(scorer.score(&mixed(1)[0]).is_ok());
        });
    }
}
