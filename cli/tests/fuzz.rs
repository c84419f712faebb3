//! Readers of files take any bytes: each reads its seeds (`tests/seeds`) and damaged ones, and returns. No input may end in a
//! panic or an abort, or take over 10 s or 1 GB. One that does is kept in a file, and becomes a seed when the reader is mended.
//!
//! Each reader runs in a process of its own, this program again, as an abort would end the test. Inputs follow from numbers, so
//! that both processes know them. `NASWOT_FUZZ_SECONDS` asks for a longer run of each, with inputs of the stream
//! `NASWOT_FUZZ_STREAM`, or of another stream each time.

#[path = "fuzz/inputs.rs"]
mod inputs;
#[path = "fuzz/memory.rs"]
mod memory;
#[path = "fuzz/mutator.rs"]
mod mutator;
#[path = "fuzz/process.rs"]
mod process;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use libtest_mimic::{Arguments, Trial};
use naswot_cli::fuzzing::TARGETS;

use inputs::Inputs;
use process::{Ended, Range};

#[global_allocator]
static ALLOCATOR: memory::Limited = memory::Limited;

/// Damaged inputs of each reader in a run of the suite.
const INPUTS: u64 = 50_000;
/// Failures after which a longer run leaves a reader.
const FAILURES: usize = 10;

fn main() -> ExitCode {
    if let Some(range) = process::asked() {
        process::read(&range);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    if !arguments.list {
        process::hash_space().unwrap();
    }
    let trials = TARGETS.iter().map(|target| {
        Trial::test(target.name, || check(target.name).map_err(|error| error.to_string().into()))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Has a reader read its seeds and damaged ones.
fn check(target: &str) -> Result<(), Box<dyn Error>> {
    let seconds = number("NASWOT_FUZZ_SECONDS")?;
    let stream = match (number("NASWOT_FUZZ_STREAM")?, seconds) {
        (Some(stream), _) => stream,
        (None, None) => 0,
        (None, Some(_)) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let inputs = Inputs::of(target, stream)?;
    let (end, seconds) = seconds.map_or((inputs.seeds() + INPUTS, u64::MAX), |seconds| (u64::MAX, seconds));
    let mut range = Range { target: target.to_owned(), stream, first: 0, end, seconds };
    let (start, mut failures) = (Instant::now(), Vec::new());
    while range.seconds > 0 && failures.len() < FAILURES {
        match process::run(&range)? {
            Ended::Before(input, how) => {
                let seconds = start.elapsed().as_secs();
                println!("{target}: {input} inputs of stream {stream} in {seconds} s; {how}");
                break;
            }
            Ended::At(input, why) => {
                let kept =
                    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz/{target}-{stream}-{input}"));
                fs::write(&kept, inputs.get(input))?;
                failures.push(format!("{} is input {input} of stream {stream}: {why}", kept.display()));
                range.first = input + 1;
                range.seconds = seconds.saturating_sub(start.elapsed().as_secs());
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The number of a variable, where it is set.
fn number(name: &str) -> Result<Option<u64>, Box<dyn Error>> {
    let Ok(text) = env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} is `{text}`, not a number").into())
}
