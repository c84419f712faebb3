//! Messages on standard error, and how many of them. Every one of them goes through [`say`], which shows controls and the like
//! as escapes: file names and pieces of files stand in messages as they are.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clap::builder::styling::{AnsiColor, Style};
use clap::{ArgAction, Args, ColorChoice};

use crate::text::{sayable, visible};

/// Options of every command about messages.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Messages (on standard error)")]
pub(crate) struct Console {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: what is used, and a summary at the end
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub(crate) verbose: bool,
    /// Color help and messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// The remarks and warnings that were printed, none of which is printed twice.
    #[arg(skip)]
    printed: Arc<Mutex<BTreeSet<String>>>,
}

impl Console {
    /// A console that says errors alone.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn silent() -> Self {
        Console { quiet: true, verbose: false, color: ColorChoice::Never, printed: Arc::default() }
    }

    /// Prints a note, on a terminal or with --verbose.
    pub(crate) fn note(&self, message: impl Display) {
        if self.verbose || (self.on_terminal() && !self.quiet) {
            say(message);
        }
    }

    /// Prints a detail, with --verbose alone.
    pub(crate) fn detail(&self, message: impl Display) {
        if self.verbose {
            say(message);
        }
    }

    /// Prints the error that ends the command.
    pub(crate) fn error(&self, message: impl Display) {
        self.labeled("error:", AnsiColor::Red.on_default().bold(), message);
    }

    /// Prints a warning, once: of what may be a mistake.
    pub(crate) fn warning(&self, message: impl Display) {
        if self.is_new(&message) {
            self.labeled("warning:", AnsiColor::Yellow.on_default().bold(), message);
        }
    }

    /// Prints a remark, once: of what was done beside what was asked for.
    pub(crate) fn remark(&self, message: impl Display) {
        if self.is_new(&message) {
            self.labeled("note:", AnsiColor::Cyan.on_default().bold(), message);
        }
    }

    /// Whether a remark or a warning is to be printed and was not yet.
    fn is_new(&self, message: &impl Display) -> bool {
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        !self.quiet && printed.insert(message.to_string())
    }

    fn labeled(&self, label: &str, style: Style, message: impl Display) {
        let label = if self.colored() { format!("{style}{label}{style:#}") } else { label.to_owned() };
        write_line(&label, &message.to_string());
    }

    /// Whether standard error is a terminal.
    pub(crate) fn on_terminal(&self) -> bool {
        stderr().is_terminal()
    }

    fn colored(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => self.on_terminal() && !no_color(),
        }
    }
}

/// Writes a line to standard error, of characters that can be seen.
pub(crate) fn say(message: impl Display) {
    write_line("", &message.to_string());
}

/// Writes a message behind its label. A standard error that is closed is no reason to stop.
fn write_line(label: &str, message: &str) {
    let blank = if label.is_empty() { "" } else { " " };
    let _ = writeln!(stderr().lock(), "{label}{blank}{}", sayable(message));
}

#[expect(clippy::disallowed_methods, reason = "all messages are written here")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// Prints what the reader of arguments has to say: the help, the version, or what is wrong. Colors are for texts that are all
/// its own, which the help is, and an error where no argument has a character that cannot be seen.
pub(crate) fn print_answer(answer: &clap::Error, arguments: &[OsString]) -> io::Result<()> {
    let seen =
        |argument: &OsString| argument.to_str().is_some_and(|text| matches!(visible(text), Cow::Borrowed(_)));
    if !answer.use_stderr() || arguments.iter().all(seen) {
        return answer.print();
    }
    answer.render().to_string().lines().for_each(say);
    Ok(())
}

/// The color that help and usage errors are to have, which are printed before there are options.
pub(crate) fn color_of_arguments(arguments: &[OsString]) -> ColorChoice {
    let mut arguments = arguments.iter().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--color") {
            Some("") => arguments.next(),
            Some(value) => value.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        match value.as_deref() {
            Some("always") => return ColorChoice::Always,
            Some("never") => return ColorChoice::Never,
            _ => {}
        }
    }
    if no_color() { ColorChoice::Never } else { ColorChoice::Auto }
}

/// Whether `NO_COLOR` is set, to anything but nothing: <https://no-color.org>.
fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
