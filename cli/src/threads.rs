//! The threads that work beside a scorer, where the system may start few of them or none.

use std::io;
use std::iter::successors;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Builder, JoinHandle};

use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::exit::{Failure, Result};

/// Threads that commands start besides the pool: of an input, of what builds its networks, of a stream and its scorer.
const OTHERS: usize = 4;

/// A thread that waits for its work, and ends where that will not come.
struct IdleThread {
    work: SyncSender<ThreadBuilder>,
    handle: JoinHandle<()>,
}

/// Starts rayon's pool of the process: of as many threads as are wanted or there are cores, or of half as many, and so on,
/// where the system does not start those and [`OTHERS`]. A process can do that once: later runs in it have the same pool.
pub(crate) fn start_pool(wanted: Option<usize>) -> Result<()> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let wanted = wanted.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        build(idle_threads(wanted).map_err(|error| refusal(&error))?)
    });
    started.clone().map_err(Failure::unusable)
}

/// The failure of a thread that the system does not start.
pub(crate) fn refused(error: &io::Error) -> Failure {
    Failure::unusable(refusal(error))
}

fn refusal(error: &io::Error) -> String {
    format!(
        "the system starts no thread ({error}): raise the limit of processes (`ulimit -u`), that of a container \
         (its pids) or of memory (`ulimit -v`)"
    )
}

/// Makes the pool of threads that have been started: rayon's own start of its pool cannot be tried twice.
fn build(threads: Vec<IdleThread>) -> Result<(), String> {
    let count = threads.len();
    let mut threads = threads.into_iter();
    let give = move |work: ThreadBuilder| {
        let thread = threads.next().ok_or_else(|| io::Error::other("more threads than were asked for"))?;
        thread.work.send(work).map_err(|_| io::Error::other("a thread has ended"))
    };
    match ThreadPoolBuilder::new().num_threads(count).spawn_handler(give).build_global() {
        // An error without a source says that the process has a pool already, which serves as well.
        Err(error) if std::error::Error::source(&error).is_some() => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// As many threads as wanted, or half as many, and so on.
fn idle_threads(wanted: usize) -> io::Result<Vec<IdleThread>> {
    let halves = successors(Some(wanted), |&threads| Some(threads / 2).filter(|&half| half > 0));
    for threads in halves {
        if let Ok(mut idle) = start(threads + OTHERS) {
            end(idle.split_off(threads));
            return Ok(idle);
        }
    }
    // Enough for commands that need no others.
    start(1)
}

/// So many threads, or none.
fn start(count: usize) -> io::Result<Vec<IdleThread>> {
    let mut threads = Vec::with_capacity(count);
    while threads.len() < count {
        let (work, given) = sync_channel::<ThreadBuilder>(1);
        match Builder::new().spawn(move || given.into_iter().for_each(ThreadBuilder::run)) {
            Ok(handle) => threads.push(IdleThread { work, handle }),
            Err(error) => {
                end(threads);
                return Err(error);
            }
        }
    }
    Ok(threads)
}

/// Ends threads, which are gone when this returns, so that others can be started in their place.
fn end(threads: Vec<IdleThread>) {
    for IdleThread { work, handle } in threads {
        drop(work);
        // A thread without work has nothing to fail at.
        let _ = handle.join();
    }
}
