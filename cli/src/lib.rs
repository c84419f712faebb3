//! The command `naswot` as a function: reads files, shows progress, writes results. Everything else is the library
//! [`naswot`].
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod accuracies;
mod accuracy_table;
mod allocator;
mod architecture_arg;
mod bench;
mod codes;
mod column_words;
#[doc(hidden)]
pub mod columns;
mod comparison;
mod completions;
mod console;
mod convert;
mod correlate;
mod devices;
mod entries;
mod estimate;
#[doc(hidden)]
pub mod exit;
#[doc(hidden)]
pub mod field;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod input;
#[doc(hidden)]
pub mod interrupt;
mod join_key;
mod json;
mod kernels;
mod man;
#[doc(hidden)]
pub mod measure;
mod merge;
mod minus_inf;
mod names;
mod network_file;
mod npy;
mod options;
mod outcome_cache;
mod output;
#[doc(hidden)]
#[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "no other library panics at files"))]
pub mod panics;
#[cfg_attr(not(feature = "parquet"), path = "no_parquet.rs")]
mod parquet;
mod picture;
mod pipeline;
mod plan;
mod plot;
mod progress;
#[doc(hidden)]
pub mod report;
mod resume;
mod retried;
#[doc(hidden)]
pub mod row_inputs;
#[doc(hidden)]
pub mod row_reader;
#[doc(hidden)]
pub mod rows;
mod run_folder;
mod sample;
mod score;
mod scored;
mod search;
mod settings;
#[doc(hidden)]
pub mod source;
mod space;
mod stdout_lines;
mod sweep;
#[doc(hidden)]
pub mod table;
mod text;
mod text_file;
mod threads;
mod trace;
mod unpacked;

#[cfg(test)]
mod help_tests;

use std::ffi::OsString;
use std::io::Write;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use console::Console;
use exit::{Exit, Failure};
use stdout_lines::StdoutData;

const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("NASWOT_COMMIT"),
    ", features ",
    env!("NASWOT_FEATURES"),
    ")"
);

/// NASWOT: score neural architectures without training them
///
/// naswot scores untrained networks by how differently they see the images of one batch: the log-determinant
/// of the agreement matrix of their ReLU codes (Mellor et al., "Neural Architecture Search without Training",
/// ICML 2021). It knows the search spaces NAS-Bench-101 and NAS-Bench-201.
#[derive(Parser, Debug)]
#[command(name = "naswot", version = VERSION, max_term_width = 110, args_override_self = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    console: Console,
}

const EXAMPLES: &str = "\
Examples:
  naswot sample --space nasbench101 -n 100 > cells.jsonl
  naswot score cells.jsonl -o scores.csv
  naswot correlate scores.csv --accuracy accuracies.csv
  naswot report scores.csv -o report.html
  naswot search --space nasbench101 --samples 1000";

#[derive(Subcommand, Debug)]
enum Command {
    Score(Box<score::Score>),
    Sweep(Box<sweep::Sweep>),
    Sample(sample::Sample),
    Space(space::SpaceCommand),
    Hash(names::Hash),
    Canon(names::Canon),
    Merge(merge::Merge),
    Convert(convert::Convert),
    Plan(plan::PlanCommand),
    Devices(devices::Devices),
    Table(accuracy_table::AccuracyTable),
    Correlate(correlate::Correlate),
    Search(Box<search::Search>),
    Plot(plot::Plot),
    Trace(Box<trace::Trace>),
    Report(report::ReportCommand),
    Bench(bench::Bench),
    Completions(completions::Completions),
    #[command(name = "man")]
    ManPages(man::ManPages),
}

impl Cli {
    /// Reads the arguments. Where they ask for no more than the help or the version, or are wrong, it says so and tells
    /// how the command ends.
    fn read(arguments: Vec<OsString>) -> Result<Self, Exit> {
        let command = Cli::command().color(console::color_of_arguments(&arguments));
        let matches = command.try_get_matches_from(&arguments);
        matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
            answer(&error, &arguments).unwrap_or_else(|Failure { exit, message }| {
                message.into_iter().for_each(|message| console::say(format_args!("error: {message}")));
                exit
            })
        })
    }

    /// Runs the command to its end.
    fn run(&self) -> Exit {
        self.command.start_threads().and_then(|()| self.command.run(&self.console)).unwrap_or_else(
            |Failure { exit, message }| {
                if let Some(message) = message {
                    self.console.error(message);
                }
                exit
            },
        )
    }
}

impl Command {
    /// Starts the threads that it computes with, where it does.
    fn start_threads(&self) -> exit::Result<()> {
        match self {
            Command::Score(command) => command.machine.start_threads(),
            Command::Sweep(command) => command.machine.start_threads(),
            Command::Search(command) => command.machine.start_threads(),
            Command::Trace(command) => command.machine.start_threads(),
            Command::Sample(_)
            | Command::Space(_)
            | Command::Hash(_)
            | Command::Canon(_)
            | Command::Plan(_)
            | Command::Table(_)
            | Command::Correlate(_)
            | Command::Plot(_)
            | Command::Report(_)
            | Command::Bench(_) => threads::start_pool(None),
            Command::Merge(_)
            | Command::Convert(_)
            | Command::Devices(_)
            | Command::Completions(_)
            | Command::ManPages(_) => Ok(()),
        }
    }

    fn run(&self, console: &Console) -> exit::Result {
        match self {
            Command::Score(command) => command.run(console),
            Command::Sweep(command) => command.run(console),
            Command::Sample(command) => command.run(console),
            Command::Space(command) => command.run(),
            Command::Hash(command) => command.run(),
            Command::Canon(command) => command.run(),
            Command::Merge(command) => command.run(console),
            Command::Convert(command) => command.run(console),
            Command::Plan(command) => command.run(),
            Command::Devices(command) => command.run(),
            Command::Table(command) => command.run(console),
            Command::Correlate(command) => command.run(console),
            Command::Search(command) => command.run(console),
            Command::Plot(command) => command.run(console),
            Command::Trace(command) => command.run(console),
            Command::Report(command) => command.run(console),
            Command::Bench(command) => command.run(console),
            Command::Completions(command) => command.run(Cli::command()),
            Command::ManPages(command) => command.run(Cli::command()),
        }
    }
}

/// Prints the help or the version that was asked for, or says what is wrong with the arguments.
fn answer(error: &clap::Error, arguments: &[OsString]) -> exit::Result {
    let printed = console::print_answer(error, arguments).and_then(|()| StdoutData::new().flush());
    if error.use_stderr() {
        return Ok(Exit::Unusable);
    }
    printed.map_err(|error| Failure::write("standard output", &error))?;
    Ok(Exit::Success)
}

/// Runs the command with its arguments, the first of which is its name; the exit status, as docs/output.md promises it.
///
/// Reads standard input where the arguments say so, writes to standard output and standard error, and returns: it ends no
/// process and handles no signals. The first run that computes sets the size of rayon's global pool, by `--threads` where it
/// is given, which a process can do once.
///
/// ```
/// let status = naswot_cli::run(["naswot", "space", "nasbench201", "--count"]);
/// assert_eq!(status, 0);
/// ```
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> u8 {
    let arguments = arguments.into_iter().map(Into::into).collect();
    text_file::begin_run();
    let exit = Cli::read(arguments).map_or_else(|exit| exit, |cli| cli.run());
    interrupt::forget();
    exit.status()
}
