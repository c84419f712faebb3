//! How commands end. The numbers are promised in docs/output.md.

use std::fmt::Display;
use std::io::{self, ErrorKind};

/// The exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was asked for is done.
    Success = 0,
    /// The command came to its end, but some networks failed.
    SomeFailed = 1,
    /// It could not start: options, input, data, weights, backend or output.
    Unusable = 2,
    /// It stopped half way; finished rows are on disk.
    Stopped = 3,
    /// Ctrl-C; finished rows are on disk.
    Interrupted = 130,
}

impl Exit {
    /// The number that the process ends with.
    pub fn status(self) -> u8 {
        self as u8
    }
}

/// Why a command ended before its end, and what to say about it.
#[derive(Debug)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// Nothing is said where this is absent.
    pub message: Option<String>,
}

/// Result of a step of a command.
pub type Result<T = Exit, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The command cannot start.
    pub fn unusable(message: impl Display) -> Self {
        Failure { exit: Exit::Unusable, message: Some(message.to_string()) }
    }

    /// The command cannot go on.
    pub fn stopped(message: impl Display) -> Self {
        Failure { exit: Exit::Stopped, message: Some(message.to_string()) }
    }

    /// A write failed. A reader that has had enough (`| head`) is no failure at all.
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
