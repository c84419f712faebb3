//! Where the system starts few threads or gives little memory, commands go on with what there is, or say what to raise.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use common::folder::Folder;

/// Runs the command as a user who may have so many processes and threads, and has no others: limits do not apply to root.
fn run(folder: &Folder, threads: usize, arguments: &str) -> Output {
    let user = (1 << 20) + std::process::id();
    let user = (user + if threads == 1 { 0 } else { 1 << 24 }).to_string();
    let user = ["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"];
    let mut command = Command::new("setpriv");
    command.args(user).arg(format!("--nproc={threads}")).arg(folder.path("naswot"));
    command
        .current_dir(folder.path(""))
        .env("HOME", folder.path(""))
        .args(arguments.split(' '))
        .output()
        .unwrap()
}

/// A folder that everybody can read, with the command, networks, rows and a table; none where no other user can be taken on.
fn prepared() -> Option<Folder> {
    let id = Command::new("id").arg("-u").output().ok()?;
    let tools =
        ["setpriv", "prlimit"].iter().all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if id.stdout != b"0\n" || !tools {
        eprintln!("skipped: needs root, setpriv and prlimit, for a user with a limit of processes");
        return None;
    }
    let folder = Folder::new();
    folder.networks("cells.jsonl", 6);
    folder.run("cells.jsonl -o scores.csv", 0);
    folder.write("table.csv", &folder.read("scores.csv").replacen("score", "test_acc", 1));
    fs::copy(env!("CARGO_BIN_EXE_naswot"), folder.path("naswot")).unwrap();
    fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    Some(folder)
}

const COMMANDS: [&str; 9] = [
    "plan cells.jsonl",
    "hash cells.jsonl",
    "sample --space nasbench201 -n 3",
    "space nasbench101 --count",
    "correlate scores.csv --accuracy table.csv --column test_acc --bootstrap 10",
    "report scores.csv --accuracy table.csv --column test_acc",
    "score cells.jsonl --data npy:images.npy --stem 4 --cells 1 --backend cpu",
    "sweep cells.jsonl --data npy:images.npy --stem 4 --cells 1 --backend cpu --sample 3 --seed 1,2",
    "bench --quick --backend cpu",
];

#[test]
fn without_threads_commands_say_what_to_raise() {
    let Some(folder) = prepared() else { return };
    for arguments in COMMANDS {
        let Output { status, stderr, .. } = run(&folder, 1, arguments);
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{arguments}: {stderr}");
        assert!(
            stderr.starts_with("error: the system starts no thread (") && stderr.contains("ulimit -u"),
            "{arguments}: {stderr}"
        );
    }
    // What computes nothing needs none.
    for arguments in ["--version", "convert scores.csv -o out.jsonl", "merge scores.csv -o out.csv"] {
        let Output { status, stderr, .. } = run(&folder, 1, arguments);
        assert!(status.success(), "{arguments}: {}", String::from_utf8_lossy(&stderr));
    }
}

#[test]
fn with_few_threads_commands_go_on_or_say_so() {
    let Some(folder) = prepared() else { return };
    for threads in 2..14 {
        for arguments in &COMMANDS[..7] {
            let Output { status, stderr, stdout } = run(&folder, threads, arguments);
            let stderr = String::from_utf8(stderr).unwrap();
            assert!(!stderr.contains("panicked"), "{arguments}: {stderr}");
            match status.code() {
                Some(0) => assert!(!stdout.is_empty(), "{arguments}, {threads}"),
                Some(2 | 3) => {
                    assert!(stderr.contains("thread") && threads < 10, "{arguments}, {threads}: {stderr}")
                }
                other => panic!("{arguments}, {threads}: {other:?}: {stderr}"),
            }
        }
    }
}

#[test]
fn without_memory_for_the_batch_commands_say_how_much_it_takes() {
    const IMAGES: u64 = 25_000;
    let folder = Folder::new();
    folder.networks("cells.jsonl", 1);
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({IMAGES}, 3, 32, 32), }}\n");
    let header = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    for (file, start, bytes) in [("images.npy", &header[..], 4 * 3072), ("train.bin", b"", 3073)] {
        fs::write(folder.path(file), start).unwrap();
        let file = fs::OpenOptions::new().write(true).open(folder.path(file)).unwrap();
        file.set_len(start.len() as u64 + IMAGES * bytes).unwrap();
    }
    for data in ["synthetic", "npy:images.npy", "cifar10:train.bin"] {
        let arguments = ["score", "cells.jsonl", "--data", data, "--batch-size", &IMAGES.to_string()];
        let Output { status, stderr, .. } = Command::new("sh")
            .args(["-c", "ulimit -v 300000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_naswot")])
            .args(arguments)
            .current_dir(folder.path(""))
            .output()
            .unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{data}: {stderr}");
        assert!(
            stderr.contains("takes 307200000 bytes, which this machine does not have free"),
            "{data}: {stderr}"
        );
    }
}
