//! Ctrl-C and SIGTERM. A command that can stop half way listens: the first signal asks it to end, the second ends the
//! process at once, as the first does where nobody listens. Signals are of the process, and so is what is known of them.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::console::{Console, say};
use crate::exit::{Exit, Failure, Result};

static LISTENING: AtomicBool = AtomicBool::new(false);
/// Whether the listener says that it has heard a signal.
static ANSWERING: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Notes a signal, for the handler of the process that runs the command. Returns the exit status with which the process
/// is to end at once; none where the command ends by itself.
pub fn signal() -> Option<u8> {
    if !LISTENING.load(Ordering::Relaxed) || REQUESTED.swap(true, Ordering::Relaxed) {
        return Some(Exit::Interrupted.status());
    }
    if ANSWERING.load(Ordering::Relaxed) {
        say("finishing the networks that run; Ctrl-C again ends at once");
    }
    None
}

/// Starts to listen: the command that runs looks from now on whether it is to end.
pub(crate) fn listen(console: &Console) {
    ANSWERING.store(console.on_terminal() && !console.quiet, Ordering::Relaxed);
    LISTENING.store(true, Ordering::Relaxed);
}

/// Stops listening, as the command has come to its end.
pub(crate) fn forget() {
    LISTENING.store(false, Ordering::Relaxed);
    REQUESTED.store(false, Ordering::Relaxed);
}

/// Ends the run if it is to end.
pub(crate) fn check() -> Result<()> {
    if requested() { Err(Failure { exit: Exit::Interrupted, message: None }) } else { Ok(()) }
}

/// Whether the run is to end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
