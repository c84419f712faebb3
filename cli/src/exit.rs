//! Exit statuses and failures of commands. The numbers are promised in docs/output.md.

use std::fmt::Display;
use std::io::{self, ErrorKind};

/// The exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success: all that was asked for is done.
    Success = 0,
    /// Failures of some networks, though the command came to its end.
    SomeFailed = 1,
    /// A failure to start: options, input, data, weights, backend or output.
    Unusable = 2,
    /// A stop half way; finished rows are on disk.
    Stopped = 3,
    /// An interrupt, by Ctrl-C; finished rows are on disk.
    Interrupted = 130,
}

impl Exit {
    /// The number that the process ends with.
    pub fn status(self) -> u8 {
        self as u8
    }
}

/// A failure that ends a command, and what to say about it.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// The message; nothing is said where it is absent.
    pub message: Option<String>,
}

/// Result of a step of a command.
pub type Result<T = Exit, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure to start.
    pub fn unusable(message: impl Display) -> Self {
        Failure { exit: Exit::Unusable, message: Some(message.to_string()) }
    }

    /// A failure to go on.
    pub fn stopped(message: impl Display) -> Self {
        Failure { exit: Exit::Stopped, message: Some(message.to_string()) }
    }

    /// The failure of a write. A reader that has had enough (`| head`) is no failure at all.
    pub fn write(to: impl Display, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure { exit: Exit::Success, message: None },
            _ => Failure::stopped(format_args!("{to}: {error}")),
        }
    }
}

impl From<naswot::Error> for Failure {
    fn from(error: naswot::Error) -> Self {
        Failure::unusable(error)
    }
}
