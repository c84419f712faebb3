//! Commands that are killed at random moments lose nothing, and one further run leaves nothing behind.
#![cfg(unix)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::folder::{Folder, networks, whole_lines, without_seconds};

/// Number of kills of all tests together; `.ci/long kills` asks for more.
fn kills() -> u32 {
    std::env::var("NASWOT_KILLS").map_or(32, |kills| kills.parse::<u32>().unwrap()).div_ceil(8)
}

/// Random moments, of which only the numbers differ from run to run.
struct Moments(u32);

impl Moments {
    fn new() -> Self {
        Moments(std::process::id())
    }

    /// A moment in the course of what takes so long.
    fn within(&mut self, takes: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        takes.mul_f64(1.2 * f64::from(self.0 >> 16) / 65_536.0)
    }
}

/// Runs a command to its end; how long it takes.
#[track_caller]
fn run(command: &mut Command, code: i32) -> Duration {
    let start = Instant::now();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    start.elapsed()
}

/// Starts a command and kills it after a while.
fn kill(command: &mut Command, after: Duration) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn names(folder: &Folder, path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder.path(path)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn score() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 30);
    let takes = run(&mut folder.score("cells.jsonl -o whole.csv"), 0);
    let (whole, before) = (without_seconds(&folder.read("whole.csv")), names(&folder, "."));
    let mut moments = Moments::new();
    for _ in 0..kills() {
        kill(&mut folder.score("cells.jsonl -o rows.csv --resume"), moments.within(takes));
        let rows = fs::read_to_string(folder.path("rows.csv")).unwrap_or_default();
        run(&mut folder.score("cells.jsonl -o rows.csv --resume"), 0);
        let after = folder.read("rows.csv");
        assert!(after.starts_with(whole_lines(&rows)));
        assert_eq!(without_seconds(&after), whole);
        fs::remove_file(folder.path("rows.csv")).unwrap();
        assert_eq!(names(&folder, "."), before);
    }
}

#[test]
fn score_with_kernels() {
    let folder = Folder::new();
    let lines = networks(20);
    // A cell that comes again.
    folder.write("cells.jsonl", &[&lines[..], &lines[..5]].concat().join("\n"));
    let takes = run(&mut folder.score("cells.jsonl -o whole.csv --kernels whole"), 0);
    let (whole, kernels) = (without_seconds(&folder.read("whole.csv")), names(&folder, "whole"));
    let mut moments = Moments::new();
    for _ in 0..kills() {
        let score = || folder.score("cells.jsonl -o rows.csv --kernels k --resume");
        kill(&mut score(), moments.within(takes));
        run(&mut score(), 0);
        assert_eq!(without_seconds(&folder.read("rows.csv")), whole);
        assert_eq!(names(&folder, "k"), kernels);
        for name in &kernels {
            let [a, b] = ["whole", "k"].map(|path| fs::read(folder.path(path).join(name)).unwrap());
            assert!(a == b, "{name}");
        }
        fs::remove_file(folder.path("rows.csv")).unwrap();
        fs::remove_dir_all(folder.path("k")).unwrap();
    }
}

#[test]
fn shards_in_one_folder() {
    const SHARDS: u32 = 3;
    let folder = Folder::new();
    folder.networks("cells.jsonl", 60);
    let takes =
        run(&mut folder.score("cells.jsonl -o whole.csv --kernels whole --codes whole-codes"), 0) / SHARDS;
    let shard = |i| {
        folder.score(&format!("cells.jsonl --shard {i}/{SHARDS} -o {i}.csv --kernels k --codes c --resume"))
    };
    let mut moments = Moments::new();
    for _ in 0..kills().div_ceil(SHARDS) {
        thread::scope(|scope| {
            for i in 0..SHARDS {
                let after = moments.within(takes);
                scope.spawn(move || kill(&mut shard(i), after));
            }
        });
        thread::scope(|scope| (0..SHARDS).for_each(|i| drop(scope.spawn(move || run(&mut shard(i), 0)))));
        for (whole, shards) in [("whole", "k"), ("whole-codes", "c")] {
            assert_eq!(names(&folder, shards), names(&folder, whole));
            for name in names(&folder, whole) {
                let [a, b] = [whole, shards].map(|path| fs::read(folder.path(path).join(&name)).unwrap());
                assert!(a == b, "{shards}/{name}");
            }
            fs::remove_dir_all(folder.path(shards)).unwrap();
        }
        for i in 0..SHARDS {
            assert_eq!(folder.read(&format!("{i}.csv")).lines().count(), 1 + 20);
            fs::remove_file(folder.path(&format!("{i}.csv"))).unwrap();
        }
    }
}

#[test]
fn sweep() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 12);
    let sweep = |rows: &str| {
        let options = "--data npy:images.npy --stem 4 --cells 1 --seed 0,1";
        folder.command(&format!("sweep cells.jsonl {options} --rows {rows} --resume"))
    };
    let takes = run(&mut sweep("whole"), 0);
    let mut moments = Moments::new();
    for _ in 0..kills() {
        kill(&mut sweep("rows"), moments.within(takes));
        run(&mut sweep("rows"), 0);
        assert_eq!(names(&folder, "rows"), names(&folder, "whole"));
        for name in ["0.csv", "1.csv"] {
            let [a, b] = ["whole", "rows"].map(|path| folder.read(&format!("{path}/{name}")));
            assert_eq!(without_seconds(&a), without_seconds(&b));
        }
        fs::remove_dir_all(folder.path("rows")).unwrap();
    }
}

#[test]
fn merge_convert_and_report() {
    let folder = Folder::new();
    let score = "--space nasbench201 --sample 1500 --batch-size 2";
    for shard in 0..2 {
        run(&mut folder.score(&format!("{score} --shard {shard}/2 -o {shard}.csv")), 0);
    }
    let mut moments = Moments::new();
    for (command, ending) in
        [("merge 0.csv 1.csv", "csv"), ("convert 0.csv", "parquet"), ("report 0.csv", "html")]
    {
        let to = |name: &str| folder.command(&format!("{command} -o {name}.{ending} --force"));
        let takes = run(&mut to("whole"), 0);
        let whole = fs::read(folder.path(&format!("whole.{ending}"))).unwrap();
        let (name, before) = (format!("out.{ending}"), names(&folder, "."));
        for round in 0..kills() {
            // By turns there is an old one, which stands until it is replaced by a whole one.
            let old = round % 2 == 1;
            if old {
                folder.write(&name, "old");
            }
            kill(&mut to("out"), moments.within(takes));
            match fs::read(folder.path(&name)) {
                Ok(found) => {
                    assert!(found == whole || (old && found == b"old"), "{name}: {} bytes", found.len())
                }
                Err(_) => assert!(!old),
            }
            run(&mut to("out"), 0);
            assert!(fs::read(folder.path(&name)).unwrap() == whole);
            fs::remove_file(folder.path(&name)).unwrap();
            assert_eq!(names(&folder, "."), before);
        }
    }
}

#[test]
fn retry_failed() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 30);
    run(&mut folder.score("cells.jsonl -o failed.csv --memory-limit 1"), 1);
    let failed = folder.read("failed.csv");
    let retry = || folder.score("cells.jsonl -o rows.csv --kernels k --resume --retry-failed");
    folder.write("rows.csv", &failed);
    let takes = run(&mut retry(), 0);
    let whole = without_seconds(&folder.read("rows.csv"));
    let (before, kernels) = (names(&folder, "."), names(&folder, "k"));
    let mut moments = Moments::new();
    for _ in 0..kills() {
        folder.write("rows.csv", &failed);
        fs::remove_dir_all(folder.path("k")).unwrap();
        kill(&mut retry(), moments.within(takes));
        // What has been scored again stands in the file, or waits beside it.
        let scored = |text: &str| {
            let rows = whole_lines(text).lines().map(str::to_owned);
            rows.filter(|row| !failed.contains(row.as_str())).collect::<BTreeSet<_>>()
        };
        let waiting = fs::read_to_string(folder.path("rows.csv.retried")).unwrap_or_default();
        let again: BTreeSet<String> = &scored(&folder.read("rows.csv")) | &scored(&waiting);
        // Whatever goes on with it.
        let plain = || folder.score("cells.jsonl -o rows.csv --kernels k --resume");
        let mut goes_on = if moments.0.is_multiple_of(2) { retry() } else { plain() };
        let status = goes_on.output().unwrap().status.code().unwrap();
        assert!(status < 2, "{status}");
        let after = scored(&folder.read("rows.csv"));
        assert!(again.is_subset(&after));
        run(&mut retry(), 0);
        assert_eq!(without_seconds(&folder.read("rows.csv")), whole);
        assert!(names(&folder, ".") == before && names(&folder, "k") == kernels);
    }
}
