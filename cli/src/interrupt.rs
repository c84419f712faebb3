//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends it at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::console::{Console, say};
use crate::exit::{Exit, Failure, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Listens from now on.
pub(crate) fn listen(console: &Console) -> Result<()> {
    let watched = console.on_terminal() && !console.quiet;
    let heard = move || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted as i32);
        }
        if watched {
            say("finishing the networks that run; Ctrl-C again ends at once");
        }
    };
    ctrlc::set_handler(heard)
        .map_err(|error| Failure::unusable(format_args!("cannot listen for Ctrl-C: {error}")))
}

/// Ends the run if it is to end.
pub(crate) fn check() -> Result<()> {
    if requested() { Err(Failure { exit: Exit::Interrupted, message: None }) } else { Ok(()) }
}

/// Whether the run is to end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
