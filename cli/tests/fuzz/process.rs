//! Processes that read inputs, and the watch over them.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, panic, process, thread};

use naswot_cli::fuzzing;
use tempfile::TempDir;

use super::inputs::Inputs;

/// The time within which an input must be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two looks at a process.
const INTERVAL: Duration = Duration::from_millis(20);
/// Bytes of the last that a process has said that are worth showing.
const SHOWN: usize = 1500;
/// The variable with the words of a range, which makes this program a process that reads.
const RANGE: &str = "NASWOT_FUZZ_RANGE";
/// The variable with the name of the file in which a process keeps the number of the input that it is at.
const PROGRESS: &str = "NASWOT_FUZZ_PROGRESS";

/// The inputs that a process reads: those of a stream from a number on, up to another one or as long as there is time.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) target: String,
    pub(crate) stream: u64,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) seconds: u64,
}

/// What has become of a process.
pub(crate) enum Ended {
    /// It has read all inputs before a number, and says how.
    Before(u64, String),
    /// It has failed at the input of a number.
    At(u64, String),
}

/// Has a process read a range.
pub(crate) fn run(range: &Range) -> io::Result<Ended> {
    let folder = TempDir::new()?;
    let folder = folder.path();
    let [progress, said] = ["progress", "said"].map(|name| folder.join(name));
    fs::write(&progress, range.first.to_string())?;
    let Range { target, stream, first, end, seconds } = range;
    let mut command = Command::new(env::current_exe()?);
    command.env(RANGE, format!("{target} {stream} {first} {end} {seconds}")).env(PROGRESS, &progress);
    // One thread, so that an input takes its own time.
    command.env("TMPDIR", folder).env("RAYON_NUM_THREADS", "1").env("NASWOT_CACHE_DIR", cache());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
    let status = watch(command.spawn()?, &progress)?;
    let at = number(&progress)?;
    let said = fs::read(&said)?;
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SHOWN)..]).trim().to_owned();
    Ok(match status {
        Some(status) if status.success() => Ended::Before(at, said),
        Some(status) => Ended::At(at, format!("{status}: {said}")),
        None => Ended::At(at, format!("took over {} s: {said}", PATIENCE.as_secs())),
    })
}

/// Waits for a process as long as it comes from input to input; its status, or none where it had to be ended.
fn watch(mut child: Child, progress: &Path) -> io::Result<Option<ExitStatus>> {
    let (mut at, mut since) = (number(progress)?, Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(INTERVAL);
        let now = number(progress)?;
        if now != at {
            (at, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
    }
}

/// The number in a file; its digits are never fewer than before, so that it is one at any moment.
fn number(progress: &Path) -> io::Result<u64> {
    fs::read_to_string(progress)?.trim().parse().map_err(io::Error::other)
}

/// The range that this process is to read; none where it is to watch others.
pub(crate) fn asked() -> Option<Range> {
    let words = env::var(RANGE).ok()?;
    let mut words = words.split(' ');
    let target = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some(Range { target, stream: number()?, first: number()?, end: number()?, seconds: number()? })
}

/// Reads the inputs of a range, or ends at the first that fails.
pub(crate) fn read(range: &Range) {
    abort_where_threads_panic();
    let (inputs, start) = (Inputs::of(&range.target, range.stream).unwrap(), Instant::now());
    let mut progress = File::options().write(true).open(env::var_os(PROGRESS).unwrap()).unwrap();
    let mut note = |input: u64| {
        progress.rewind().unwrap();
        progress.write_all(input.to_string().as_bytes()).unwrap();
    };
    let time = Duration::from_secs(range.seconds);
    let (mut next, mut of_its_kind, mut slowest) = (range.first, 0, (Duration::ZERO, range.first));
    while next < range.end && start.elapsed() < time {
        note(next);
        let (input, begin) = (inputs.get(next), Instant::now());
        of_its_kind += u64::from(fuzzing::read(&range.target, &input));
        slowest = slowest.max((begin.elapsed(), next));
        next += 1;
        let seeds = next == inputs.seeds() && range.first == 0;
        assert!(!seeds || of_its_kind > 0, "it takes none of its seeds for a file of its kind");
    }
    note(next);
    let (longest, slowest) = slowest;
    eprintln!("{of_its_kind} are of its kind; the slowest, {slowest}, took {} ms", longest.as_millis());
}

/// A panic of a thread that nobody joins would pass unseen.
fn abort_where_threads_panic() {
    let (first, say) = (thread::current().id(), panic::take_hook());
    panic::set_hook(Box::new(move |panic| {
        say(panic);
        if thread::current().id() != first {
            process::abort();
        }
    }));
    naswot_cli::panics::quiet();
}

/// The folder of the cache that all processes use.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz/cache")
}

/// Hashes the space of NAS-Bench-101 into the cache: that takes seconds, in which no input is at fault.
pub(crate) fn hash_space() -> io::Result<()> {
    fs::create_dir_all(cache())?;
    let cells = cache().join("cells.txt");
    fs::write(&cells, "0".repeat(32))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_naswot"));
    // There is no such cell, which is found out when all are hashed.
    command.arg("hash").arg(cells).env("NASWOT_CACHE_DIR", cache()).output().map(drop)
}
