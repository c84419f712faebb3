//! Files that are another's stay as they are: inputs, what other processes write, and what comes while a command runs.
#![cfg(unix)]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use common::folder::{Folder, length, networks, wait_until, without_seconds};

/// Runs any command to its end: its exit code and standard error.
fn run(folder: &Folder, arguments: &str) -> (i32, String) {
    let Output { status, stderr, .. } = folder.command(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[track_caller]
fn done(folder: &Folder, arguments: &str) {
    let (code, stderr) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments}: {stderr}");
}

#[track_caller]
fn refused(folder: &Folder, arguments: &str, message: &str) {
    let (code, stderr) = run(folder, arguments);
    assert!(code == 2 && stderr.contains(message), "{arguments}: {code}: {stderr}");
}

/// A run that scores for as long as its input is open: its name there is `live.csv`.
fn live(folder: &Folder) -> std::process::Child {
    let mut child = folder.start("- -o live.csv");
    writeln!(child.stdin.as_mut().unwrap(), "{}", networks(1)[0]).unwrap();
    wait_until("a row comes", || length(&folder.path("live.csv")) > 500);
    child
}

#[test]
fn what_comes_while_a_command_runs_is_not_replaced() {
    let folder = Folder::new();
    folder.run("--space nasbench201 --sample 3 -o s.csv", 0);
    assert!(Command::new("mkfifo").arg(folder.path("f.csv")).status().unwrap().success());
    let rows = folder.read("s.csv");
    for force in [false, true] {
        for command in ["convert f.csv -o out.jsonl", "merge f.csv -o out.jsonl"] {
            let command = if force { format!("{command} --force") } else { command.to_owned() };
            let child = folder.command(&command).stderr(Stdio::piped()).spawn().unwrap();
            // Nobody reads before this is open.
            let mut pipe = OpenOptions::new().write(true).open(folder.path("f.csv")).unwrap();
            let (begin, end) = rows.split_at(rows.len() / 2);
            pipe.write_all(begin.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(300));
            folder.write("out.jsonl", "my only copy");
            pipe.write_all(end.as_bytes()).unwrap();
            drop(pipe);
            let Output { status, stderr, .. } = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(stderr).unwrap();
            if force {
                assert_eq!(status.code(), Some(0), "{stderr}");
                assert_eq!(folder.read("out.jsonl").lines().count(), 3);
            } else {
                assert_eq!(status.code(), Some(2));
                assert!(stderr.contains("out.jsonl: exists by now"), "{stderr}");
                assert_eq!(folder.read("out.jsonl"), "my only copy");
            }
            fs::remove_file(folder.path("out.jsonl")).unwrap();
        }
    }
}

#[test]
fn of_two_commands_on_one_place_one_succeeds() {
    let folder = Folder::new();
    for (seed, name) in ["a", "b"].iter().enumerate() {
        folder.run(&format!("--space nasbench201 --sample 1500 --sample-seed {seed} -o {name}.csv"), 0);
        done(&folder, &format!("report {name}.csv -o {name}.html"));
    }
    let start = |name: &str| folder.command(&format!("report {name}.csv -o r.html")).spawn().unwrap();
    let (mut a, mut b) = (start("a"), start("b"));
    let codes = [a.wait().unwrap().code(), b.wait().unwrap().code()];
    let page = match codes {
        [Some(0), Some(2)] => "a.html",
        [Some(2), Some(0)] => "b.html",
        _ => panic!("{codes:?}"),
    };
    assert!(folder.read("r.html") == folder.read(page));
}

#[test]
fn an_output_that_is_being_written_is_left_to_its_writer() {
    let folder = Folder::new();
    for shard in 0..2 {
        folder.run(&format!("--space nasbench201 --sample 6 --shard {shard}/2 -o {shard}.csv"), 0);
    }
    folder.write("table.csv", "arch,accuracy\n");
    let mut writer = live(&folder);
    let inode = fs::metadata(folder.path("live.csv")).unwrap().ino();
    for command in [
        "merge 0.csv 1.csv -o live.csv --force",
        "convert 0.csv -o live.csv --force",
        "score --space nasbench201 --sample 1 -o live.csv --force",
        "score --space nasbench201 --sample 1 -o live.csv --resume",
    ] {
        refused(&folder, command, "live.csv: another process is writing it");
    }
    assert_eq!(fs::metadata(folder.path("live.csv")).unwrap().ino(), inode);
    drop(writer.stdin.take());
    assert_eq!(writer.wait().unwrap().code(), Some(0));
    done(&folder, "convert live.csv -o live.jsonl");
    done(&folder, "merge 0.csv 1.csv -o live.csv --force");
}

#[test]
fn an_input_is_no_output_by_any_name() {
    let folder = Folder::new();
    folder.networks("in.jsonl", 4);
    folder.run("in.jsonl -o rows.csv", 0);
    let (input, rows) = (folder.read("in.jsonl"), folder.read("rows.csv"));
    for (from, to) in [("in.jsonl", "hard.jsonl"), ("rows.csv", "hard.csv"), ("images.npy", "hard.svg")] {
        fs::hard_link(folder.path(from), folder.path(to)).unwrap();
    }
    symlink("rows.csv", folder.path("soft.csv")).unwrap();
    let score = "score --data npy:images.npy --stem 4 --cells 1";
    for (command, message) in [
        (format!("{score} in.jsonl -o in.jsonl --force"), "in.jsonl: is the input, too"),
        (format!("{score} in.jsonl -o hard.jsonl --force"), "hard.jsonl: is the input in.jsonl, too"),
        (format!("{score} in.jsonl -o hard.jsonl --resume"), "hard.jsonl: is the input in.jsonl, too"),
        ("convert rows.csv -o hard.csv --force".to_owned(), "hard.csv: is the input rows.csv, too"),
        ("convert rows.csv -o soft.csv --force".to_owned(), "soft.csv: is the input rows.csv, too"),
        ("merge rows.csv -o rows.csv --force".to_owned(), "rows.csv: is the input, too"),
        ("plot heat-map images.npy -o hard.svg --force".to_owned(), "hard.svg: is the input images.npy, too"),
    ] {
        refused(&folder, &command, message);
    }
    // By redirection.
    let stdin = File::open(folder.path("in.jsonl")).unwrap();
    let output = folder.score("- -o in.jsonl --force").stdin(stdin).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    // As one of the files of a folder.
    fs::create_dir(folder.path("rows")).unwrap();
    fs::copy(folder.path("rows.csv"), folder.path("rows/7.csv")).unwrap();
    let sweep = "sweep rows/7.csv --data npy:images.npy --stem 4 --cells 1 --seed 0,1 --rows rows --force";
    refused(&folder, sweep, "rows/7.csv: is the input, too");
    assert_eq!((folder.read("in.jsonl"), folder.read("rows.csv")), (input, rows.clone()));
    assert_eq!(folder.read("rows/7.csv"), rows);
}

#[test]
fn an_output_that_is_removed_or_changed_is_noticed() {
    let folder = Folder::new();
    type Change = fn(&Folder);
    let changes: [(Change, &str); 4] = [
        (|folder| fs::remove_file(folder.path("live.csv")).unwrap(), "removed or replaced"),
        (
            |folder| fs::rename(folder.path("live.csv"), folder.path("old.csv")).unwrap(),
            "removed or replaced",
        ),
        (|folder| folder.write("live.csv", ""), "has changed it"),
        (|folder| folder.write("live.csv", "something else"), "has changed it"),
    ];
    for (change, message) in changes {
        for more in [0, 20] {
            let mut child = live(&folder);
            change(&folder);
            let found = fs::read(folder.path("live.csv")).ok();
            // It is looked at every hundredth of a second.
            thread::sleep(Duration::from_millis(15));
            // Also where no row comes any more.
            let mut stdin = child.stdin.take().unwrap();
            let lines = networks(21);
            drop(lines[1..=more].iter().try_for_each(|line| writeln!(stdin, "{line}")));
            drop(stdin);
            let Output { status, stderr, .. } = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(3), "{message}: {stderr}");
            assert!(stderr.contains("live.csv: another program has") && stderr.contains(message), "{stderr}");
            assert_eq!(fs::read(folder.path("live.csv")).ok(), found, "nothing is written to it");
            if found.is_some() {
                fs::remove_file(folder.path("live.csv")).unwrap();
            }
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_that_another_has_laid() {
    let folder = Folder::new();
    folder.write("victim", "precious");
    fs::create_dir(folder.path("k")).unwrap();
    for name in ["0.npy.part", "1.npy"] {
        symlink("../victim", folder.path("k").join(name)).unwrap();
    }
    folder.networks("one.jsonl", 1);
    folder.run("one.jsonl -o a.csv --kernels k", 2);
    fs::remove_file(folder.path("k/1.npy")).unwrap();
    folder.run("one.jsonl -o a.csv --kernels k", 0);
    symlink("../victim", folder.path("k/1.npy")).unwrap();
    folder.networks("two.jsonl", 2);
    folder.run("two.jsonl -o a.csv --kernels k --resume", 0);
    assert!(!folder.path("k/1.npy").is_symlink());
    fs::create_dir(folder.path("m")).unwrap();
    symlink("../victim", folder.path("m/.naswot.json")).unwrap();
    folder.run("one.jsonl -o b.csv --kernels m", 2);
    assert_eq!(folder.read("victim"), "precious");
}

#[test]
fn a_folder_of_kernels_is_of_one_run() {
    let folder = Folder::new();
    let lines = networks(30);
    folder.write("a.jsonl", &lines[..20].join("\n"));
    folder.write("b.jsonl", &lines[10..].join("\n"));
    let kernel = |number: usize| fs::read(folder.path(&format!("k/{number}.npy"))).unwrap();
    folder.run("a.jsonl -o a.csv --kernels k --resume", 0);
    let before: Vec<_> = (0..20).map(kernel).collect();
    // Of other networks or settings, whatever is asked for.
    for (arguments, message) in [
        ("b.jsonl -o b.csv --kernels k --resume", "k: holds kernels that no row is of"),
        (
            "a.jsonl -o b.csv --kernels k --seed 1 --resume",
            "k: holds kernels of another run: seed was 0, but is 1",
        ),
        ("a.jsonl -o b.csv --kernels k", "k: holds kernels already"),
        (
            "b.jsonl -o b.csv --kernels k --shard 0/2 --force",
            "k: holds kernels of another run: input_sha256 was",
        ),
        ("- -o b.csv --kernels k --resume", "k: holds kernels that no row is of"),
    ] {
        let stderr = folder.run(arguments, 2);
        assert!(stderr.contains(message), "{stderr}");
        drop(fs::remove_file(folder.path("b.csv")));
    }
    assert!((0..20).map(kernel).collect::<Vec<_>>() == before);
    folder.run("a.jsonl -o a.csv --kernels k --resume", 0);
    // An input that grows, and one run in the place of another.
    folder.write("a.jsonl", &lines[..25].join("\n"));
    folder.run("a.jsonl -o a.csv --kernels k --resume", 0);
    folder.run("a.jsonl -o a.csv --kernels k --resume", 0);
    assert!((0..20).map(kernel).collect::<Vec<_>>() == before);
    folder.run("b.jsonl -o a.csv --kernels k --force", 0);
    assert!(kernel(0) != before[0] && !folder.path("k/24.npy").exists());
    // Settings are compared as they were taken, and not as they were asked for.
    folder.run("b.jsonl -o a.csv --kernels k --resume --seed 0 --batch-size 4 --init space", 0);
    for options in ["--stem 16", ""] {
        let score = format!(
            "score a.jsonl --data npy:images.npy -o d.csv --kernels d --shard 0/40 {options} --resume"
        );
        done(&folder, &score);
    }
}

#[test]
fn a_row_that_is_kept_keeps_no_kernel_of_another_network() {
    let folder = Folder::new();
    let lines = networks(12);
    folder.write("a.jsonl", &lines[..6].join("\n"));
    folder.write("b.jsonl", &lines[6..].join("\n"));
    folder.run("a.jsonl -o a.csv --kernels k --codes c", 0);
    folder.run("b.jsonl -o b.csv", 0);
    let rows = folder.read("b.csv");
    for (option, message) in [
        ("--kernels k", "b.csv:2: its kernel k/0.npy is of another network: N_A is"),
        ("--codes c", "b.csv:2: its codes c/0.json are of another network"),
    ] {
        let stderr = folder.run(&format!("b.jsonl -o b.csv {option} --resume"), 2);
        assert!(stderr.contains(message), "{stderr}");
    }
    assert_eq!(folder.read("b.csv"), rows);
    folder.run("a.jsonl -o a.csv --kernels k --codes c --resume", 0);
}

#[test]
fn a_run_that_is_refused_leaves_nothing() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    folder.run("cells.jsonl -o a.csv --kernels k", 0);
    folder.write("other.jsonl", &networks(5)[3..].join("\n"));
    folder.run("other.jsonl -o b.csv --kernels k --resume", 2);
    assert!(!folder.path("b.csv").exists());
    folder.run("cells.jsonl -o a.csv --kernels new", 2);
    assert!(!folder.path("new/.naswot.json").exists());
}

#[test]
fn a_folder_keeps_what_is_not_naswots() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    fs::create_dir(folder.path("rows")).unwrap();
    folder.write("rows/2024.csv", "day,spent\n");
    let sweep = "sweep cells.jsonl --data npy:images.npy --stem 4 --cells 1 --seed 0,1 --rows rows --force";
    refused(&folder, sweep, "rows/2024.csv");
    assert_eq!(folder.read("rows/2024.csv"), "day,spent\n");
    assert!(!folder.path("rows/0.csv").exists());
    fs::remove_file(folder.path("rows/2024.csv")).unwrap();
    done(&folder, sweep);
    done(&folder, sweep);

    folder.write("naswot-score.1", "my own page");
    refused(&folder, "man .", "./naswot-score.1: exists already; --force replaces it");
    assert!(folder.read("naswot-score.1") == "my own page" && !folder.path("naswot.1").exists());
    done(&folder, "man . --force");
    assert!(folder.read("naswot-score.1").contains("SYNOPSIS") && folder.path("naswot-plot-cell.1").exists());
}

#[test]
fn shards_share_a_folder_of_kernels() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 20);
    folder.run("cells.jsonl -o whole.csv --kernels whole --codes whole-codes", 0);
    let shard = |shard: usize, more: &str| {
        format!("cells.jsonl --shard {shard}/3 -o {shard}.csv --kernels k --codes c {more}")
    };
    // At one time.
    let children: Vec<_> = (0..3).map(|i| folder.start(&shard(i, ""))).collect();
    for child in children {
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert_eq!(status.code(), Some(0), "{}", String::from_utf8_lossy(&stderr));
    }
    let check = || {
        for (whole, shards) in [("whole", "k"), ("whole-codes", "c")] {
            for index in 0..20 {
                let [a, b] =
                    [whole, shards].map(|path| fs::read(folder.path(&format!("{path}/{index}.npy"))));
                assert!(a.unwrap() == b.unwrap());
            }
        }
    };
    check();
    // Those of the others stay.
    folder.run(&shard(1, "--force"), 0);
    folder.run(&shard(2, "--resume"), 0);
    check();
    let stderr = folder.run("cells.jsonl --shard 1/3 -o x.csv --kernels k", 2);
    assert!(stderr.contains("k: holds kernels already"), "{stderr}");
    // A run that is there.
    let mut child = folder.start("- -o live.csv --kernels live");
    writeln!(child.stdin.as_mut().unwrap(), "{}", networks(1)[0]).unwrap();
    wait_until("a row comes", || length(&folder.path("live.csv")) > 500);
    let stderr = folder.run("cells.jsonl -o y.csv --kernels live --force", 2);
    assert!(stderr.contains("live: another process is writing kernels of another run"), "{stderr}");
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn files_that_are_no_kernels_are_left_alone() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    for name in ["0.npy", "2024.npy"] {
        fs::copy(folder.path("images.npy"), folder.path(name)).unwrap();
        for way in ["--resume", "--force", ""] {
            folder.run(&format!("cells.jsonl -o a.csv --data npy:{name} --kernels . {way}"), 2);
            // Not the run's own images either.
            folder.run(&format!("cells.jsonl -o a.csv --kernels . {way}"), 2);
        }
        assert!(fs::read(folder.path(name)).unwrap() == fs::read(folder.path("images.npy")).unwrap());
        assert!(!folder.path(".naswot.json").exists());
        fs::remove_file(folder.path(name)).unwrap();
    }
}

#[test]
fn what_killed_processes_have_left_is_removed_and_nothing_else() {
    let folder = Folder::new();
    folder.run("--space nasbench201 --sample 2 -o s.csv", 0);
    let [left, held, other, own] = [
        "out.csv.0123456789abcdef.part",
        "out.csv.fedcba9876543210.part",
        "no.csv.0123456789abcdef.part",
        "out.csv.part",
    ];
    for name in [left, held, other, own] {
        folder.write(name, "rows");
    }
    let lock = File::open(folder.path(held)).unwrap();
    lock.try_lock().unwrap();
    done(&folder, "convert s.csv -o out.csv");
    let stands = [left, held, other, own].map(|name| folder.path(name).exists());
    assert_eq!(stands, [false, true, true, true]);
    drop(lock);
    done(&folder, "convert s.csv -o out.csv --force");
    assert!(!folder.path(held).exists());
}

/// Between opening and locking another process may put a new file in the place: a run does not write to one without a name.
#[test]
fn a_file_that_was_replaced_before_it_was_locked_is_not_written_to() {
    let folder = Folder::new();
    let mut lines = networks(3);
    folder.write("good.jsonl", &lines.join("\n"));
    lines[1] = "{}".to_owned();
    folder.write("cells.jsonl", &lines.join("\n"));
    folder.run("good.jsonl -o whole.csv", 0);
    for _ in 0..20 {
        folder.run("cells.jsonl -o o.csv --force", 1);
        // The first replaces the file at its end, and the other opens it meanwhile.
        let mut first = folder.start("good.jsonl -o o.csv --resume --retry-failed");
        loop {
            let Output { status, stderr, .. } =
                folder.score("good.jsonl -o o.csv --resume --retry-failed").output().unwrap();
            match status.code() {
                Some(0) => break,
                code => assert!(code == Some(2), "{}", String::from_utf8_lossy(&stderr)),
            }
        }
        let first = first.wait().unwrap().code();
        assert!(matches!(first, Some(0 | 2)), "{first:?}");
        assert_eq!(without_seconds(&folder.read("o.csv")), without_seconds(&folder.read("whole.csv")));
    }
}

#[test]
fn rows_that_go_while_failed_ones_are_scored_again_are_noticed() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2000);
    for (change, message) in [("remove", "removed or replaced"), ("empty", "it has 0 bytes")] {
        folder.run("cells.jsonl -o rows.csv --memory-limit 1 --force", 1);
        let child = folder.start("cells.jsonl -o rows.csv --resume --retry-failed");
        wait_until("rows come", || length(&folder.path("rows.csv.retried")) > 10_000);
        if change == "remove" {
            fs::remove_file(folder.path("rows.csv")).unwrap();
        } else {
            folder.write("rows.csv", "");
        }
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("rows.csv: another program has") && stderr.contains(message), "{stderr}");
        // What was scored again is not lost.
        assert!(length(&folder.path("rows.csv.retried")) > 10_000);
        fs::remove_file(folder.path("rows.csv.retried")).unwrap();
    }
}

#[test]
fn what_is_read_is_not_written_to_at_its_end() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    let cells = folder.read("cells.jsonl");
    for command in
        ["score cells.jsonl", "score -", "hash cells.jsonl", "canon cells.jsonl", "plan cells.jsonl"]
    {
        let [stdin, stdout] = [false, true].map(|append| {
            OpenOptions::new().read(true).append(append).open(folder.path("cells.jsonl")).unwrap()
        });
        let output = folder.command(command).stdin(stdin).stdout(stdout).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && stderr.contains("is standard output, too"), "{stderr}");
        assert_eq!(folder.read("cells.jsonl"), cells);
    }
}
