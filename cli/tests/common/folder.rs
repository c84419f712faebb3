//! Runs of the command in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use naswot::{Architecture, nasbench101, nasbench201};
use tempfile::TempDir;

pub const FORMATS: [&str; 2] = ["csv", "jsonl"];
/// Columns up to which rows are the network's.
const SECONDS: usize = 10;

/// A folder with images small enough for debug builds.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Folder(TempDir::new().unwrap());
        let header =
            format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3, 8, 8), }");
        let mut npy = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        npy.extend(header.bytes());
        let mut state = 1u32;
        for _ in 0..4 * 3 * 64 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            npy.extend((f32::from((state >> 16) as u16) / 16384.0 - 2.0).to_le_bytes());
        }
        fs::write(folder.path("images.npy"), npy).unwrap();
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a file of n networks, of both spaces by turns.
    pub fn networks(&self, name: &str, n: usize) {
        self.write(name, &(networks(n).join("\n") + "\n"));
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_naswot"));
        command.current_dir(self.0.path()).args(arguments.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// `naswot score` on the small images with small networks.
    pub fn score(&self, arguments: &str) -> Command {
        self.command(&format!("score --data npy:images.npy --stem 4 --cells 1 {arguments}"))
    }

    pub fn start(&self, arguments: &str) -> Child {
        let mut command = self.score(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs to the end; the exit code and standard error.
    #[track_caller]
    pub fn run(&self, arguments: &str, code: i32) -> String {
        let Output { status, stderr, .. } = self.score(arguments).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{arguments}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        stderr
    }
}

pub fn networks(n: usize) -> Vec<String> {
    let nasbench101 = nasbench101::sample(n, 0).unwrap();
    let nasbench201 = nasbench201::sample(n, 0).unwrap();
    let pairs = nasbench101.into_iter().zip(nasbench201);
    let both = pairs.flat_map(|(a, b)| [Architecture::from(a), Architecture::from(b)]);
    both.take(n).map(|architecture| architecture.to_json()).collect()
}

/// A file of rows without what may differ between two runs.
pub fn without_seconds(rows: &str) -> Vec<String> {
    let strip = |line: &str| match line.split_once("\"seconds\":") {
        Some((before, after)) => format!("{before}{}", after.split_once(',').unwrap().1),
        None => {
            let mut fields = csv_fields(line);
            fields.remove(SECONDS);
            fields.join(",")
        }
    };
    rows.lines().map(strip).collect()
}

pub fn csv_fields(line: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    reader.records().next().unwrap().unwrap().iter().map(str::to_owned).collect()
}

pub fn whole_lines(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

pub fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[track_caller]
pub fn interrupt(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}
