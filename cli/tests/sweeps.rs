//! A search space is scored in one run or in shards, under one setting or many, and comes to the same.
#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::process::{Command, Stdio};

use common::folder::{
    FORMATS, Folder, csv_fields, length, networks, wait_until, whole_lines, without_seconds,
};
use naswot::{Architecture, Space};

impl Folder {
    /// Runs a command that is not `score`.
    #[track_caller]
    fn other(&self, arguments: &str, code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
        stderr
    }

    fn rows(&self, name: &str) -> Vec<Vec<String>> {
        self.read(name).lines().skip(1).map(csv_fields).collect()
    }
}

const ARCH: usize = 4;

#[test]
fn a_space_is_what_sample_and_space_print() {
    let folder = Folder::new();
    for space in Space::ALL {
        let sample = space.sample(5, 3).unwrap();
        folder.run(&format!("--space {space} --sample 5 --sample-seed 3 -o {space}.csv"), 0);
        let rows = folder.rows(&format!("{space}.csv"));
        assert_eq!(rows.len(), 5);
        for (index, (row, architecture)) in rows.iter().zip(&sample).enumerate() {
            assert_eq!(
                (&row[0], &row[1], &row[ARCH]),
                (&index.to_string(), &String::new(), &architecture.arch())
            );
        }
        // Ids and archs, blank lines between, and one that is none.
        let [a, b] = [sample[4].id(), sample[2].arch()];
        folder.write("ids.txt", &format!("{a}\n\n {b}\nnone\n"));
        let stderr = folder.run(&format!("--space {space} --only ids.txt -o only.csv --force"), 1);
        assert!(stderr.starts_with(&format!("ids.txt:4: {space}: \"none\" ")), "{stderr}");
        let only = folder.rows("only.csv");
        assert_eq!([&only[0][2..9], &only[1][2..9]], [&rows[4][2..9], &rows[2][2..9]]);
        assert_eq!([&only[0][1], &only[1][1], &only[2][1]], ["1", "3", "4"]);
    }
    // The last shard of so many is one network of all.
    folder.run("--space nasbench201 --all --shard 15624/15625 -o last.csv", 0);
    let rows = folder.rows("last.csv");
    assert_eq!((rows.len(), rows[0][0].as_str()), (1, "15624"));
    assert_eq!(rows[0][ARCH], Space::NasBench201.all().unwrap().last().unwrap().arch());
}

#[test]
fn shards_are_disjoint_and_complete_and_merge_to_the_whole() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 11);
    for format in FORMATS {
        for (input, networks) in [("--space nasbench101 --sample 10", 10), ("cells.jsonl", 11)] {
            folder.run(&format!("{input} -o whole.{format} --force"), 0);
            for i in 0..3 {
                folder.run(&format!("{input} --shard {i}/3 -o {i}.{format} --force"), 0);
            }
            let merge = format!("merge 2.{format} 0.{format} 1.{format} -o merged.{format} --force");
            folder.other(&format!("{merge} --networks {networks}"), 0);
            let [whole, merged] = ["whole", "merged"].map(|name| folder.read(&format!("{name}.{format}")));
            assert_eq!(without_seconds(&merged), without_seconds(&whole));
        }
        // A shard goes on like any other run.
        let rows = folder.read(&format!("1.{format}"));
        folder.write(&format!("1.{format}"), &rows[..rows.len() - 7]);
        folder.run(&format!("cells.jsonl --shard 1/3 -o 1.{format} --resume"), 0);
        assert_eq!(without_seconds(&folder.read(&format!("1.{format}"))), without_seconds(&rows));
    }
}

#[test]
fn a_sample_of_a_file_is_of_its_different_networks_in_its_order() {
    let folder = Folder::new();
    let cells: Vec<String> =
        Space::NasBench201.sample(12, 5).unwrap().iter().map(Architecture::to_json).collect();
    // The first two come again, as other tools may write them; between them and the others is a line that is no network.
    let lines = [&cells[..6], &["{}".to_owned()], &cells[..2], &cells[6..]].concat();
    folder.write("cells.jsonl", &(lines.join("\n") + "\n"));
    let warning = "warning: cells.jsonl: 1 of its lines are no networks, and are not drawn; the first is cells.jsonl:7: ";
    let mut smaller = Vec::new();
    for n in [3, 7, 12] {
        let drawn = folder.command(&format!("sample cells.jsonl -n {n} --seed 4")).output().unwrap();
        assert!(String::from_utf8(drawn.stderr).unwrap().starts_with(warning));
        let drawn: Vec<String> =
            String::from_utf8(drawn.stdout).unwrap().lines().map(str::to_owned).collect();
        let positions: Vec<usize> =
            drawn.iter().map(|line| cells.iter().position(|cell| cell == line).unwrap()).collect();
        assert!(positions.len() == n && positions.is_sorted_by(|a, b| a < b), "{positions:?}");
        assert!(smaller.iter().all(|position| positions.contains(position)), "{smaller:?}, {positions:?}");
        smaller = positions;
        let options = format!("cells.jsonl --sample {n} --sample-seed 4");
        assert!(folder.run(&format!("{options} -o {n}.csv"), 0).starts_with(warning));
        let rows = folder.rows(&format!("{n}.csv"));
        assert_eq!(rows.len(), n);
        for (index, (row, position)) in rows.iter().zip(&smaller).enumerate() {
            // Lines count from 1, and three stand before the last six.
            let line = position + 1 + if *position < 6 { 0 } else { 3 };
            let cell = Architecture::from_json(&cells[*position]).unwrap();
            assert_eq!([&row[0], &row[1], &row[3]], [&index.to_string(), &line.to_string(), &cell.id()]);
        }
        for i in 0..2 {
            folder.run(&format!("{options} --shard {i}/2 -o {n}-{i}.csv -q"), 0);
        }
        folder.other(&format!("merge {n}-0.csv {n}-1.csv -o merged.csv --force"), 0);
        let whole = folder.read(&format!("{n}.csv"));
        assert_eq!(without_seconds(&folder.read("merged.csv")), without_seconds(&whole));
        folder.write("cut.csv", &whole[..whole.len() - 9]);
        folder.run(&format!("{options} -o cut.csv --resume -q"), 0);
        assert_eq!(without_seconds(&folder.read("cut.csv")), without_seconds(&whole));
    }
    let many = "cells.jsonl: 13 different networks were asked for, and there are 12\n";
    assert!(folder.run("cells.jsonl --sample 13", 2).ends_with(many));
    let stream =
        "error: -: a sample is drawn from a whole file, not from standard input: save it to a file first\n";
    assert_eq!(folder.run("- --sample 3", 2), stream);
    assert_eq!(folder.other("sample - -n 3", 2), stream);
}

#[test]
fn what_is_not_the_shards_of_one_run_is_refused() {
    let folder = Folder::new();
    let sample = "--space nasbench201 --sample 6";
    for i in 0..3 {
        folder.run(&format!("{sample} --shard {i}/3 -o {i}.csv"), 0);
    }
    folder.run(&format!("{sample} --shard 2/3 --seed 1 -o seed.csv"), 0);
    folder.run(&format!("{sample} --shard 2/3 -o lines.jsonl"), 0);
    let two = folder.read("2.csv");
    folder.write("cut.csv", &two[..two.len() - 3]);
    let last = two.lines().last().unwrap();
    folder.write("twice.csv", &format!("{two}{last}\n"));
    for (files, message) in [
        ("0.csv 2.csv", "no row has index 1 (in 0.csv, 2.csv); the next is 2"),
        ("0.csv 1.csv 2.csv 1.csv", "1.csv:2: index 1 is at 1.csv:2, too: shards may not overlap"),
        ("0.csv 1.csv seed.csv", "seed.csv:2: seed is 1, but 0 in the first row"),
        ("0.csv 1.csv cut.csv", "cut.csv:3: the row was cut: the run has not ended, --resume it first"),
        ("0.csv 1.csv twice.csv", "twice.csv:4: index 5 stands behind 5: is this what one run wrote?"),
        ("0.csv 1.csv 2.csv --networks 7", "no row has index 6 (in 0.csv, 1.csv, 2.csv)"),
        ("0.csv 1.csv 2.csv --networks 5", "--networks: there are 6, not 5"),
        ("0.csv 1.csv none.csv", "none.csv: No such file or directory (os error 2)"),
    ] {
        assert_eq!(folder.other(&format!("merge {files} -o merged.csv"), 2), format!("error: {message}\n"));
        assert!(!folder.path("merged.csv").exists() && !folder.path("merged.csv.part").exists());
    }
    // Of whatever form they are.
    folder.other("merge 0.csv 1.csv lines.jsonl -o mixed.csv", 0);
    folder.other("merge 0.csv 1.csv 2.csv -o all.csv", 0);
    assert_eq!(without_seconds(&folder.read("mixed.csv")), without_seconds(&folder.read("all.csv")));
    folder.write("merged.csv", "precious");
    let stderr = folder.other("merge 0.csv 1.csv 2.csv -o merged.csv", 2);
    assert_eq!(stderr, "error: merged.csv: exists already; --force replaces it\n");
    assert_eq!(folder.read("merged.csv"), "precious");
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_no_regular_file_is_written_in_place() {
    let folder = Folder::new();
    folder.run("--space nasbench201 --sample 2 -o scores.csv", 0);
    let path = folder.path("pipe.csv");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Open at both ends, so that neither side waits for the other.
    let mut pipe = File::options().read(true).write(true).open(&path).unwrap();
    let rows = folder.read("scores.csv");
    for command in ["convert", "merge"] {
        folder.other(&format!("{command} scores.csv -o pipe.csv --force"), 0);
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
        let mut found = vec![0; rows.len()];
        pipe.read_exact(&mut found).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), rows);
        let stderr = folder.other(&format!("{command} scores.csv -o pipe.csv"), 2);
        assert_eq!(stderr, "error: pipe.csv: exists already; --force replaces it\n");
    }
    assert!(!folder.path("pipe.csv.part").exists());
}

#[test]
fn files_without_rows_are_said_and_files_beside_are_left_alone() {
    let folder = Folder::new();
    folder.run("--space nasbench201 --sample 2 -o scores.csv", 0);
    folder.write("empty.csv", "");
    folder.write("out.csv.part", "precious");
    for command in ["convert empty.csv", "merge empty.csv"] {
        let stderr = folder.other(&format!("{command} -o out.csv --force"), 0);
        assert!(stderr.starts_with("warning: empty.csv: holds no rows\n"), "{stderr}");
    }
    folder.other("merge scores.csv -o out.csv --force", 0);
    assert_eq!(folder.read("out.csv"), folder.read("scores.csv"));
    assert_eq!(folder.read("out.csv.part"), "precious");
    assert!(!folder.path("out.csv.part2").exists());
    let stderr = folder.other("convert scores.csv -o none/out.csv", 2);
    assert_eq!(stderr, "error: none/out.csv: No such file or directory (os error 2)\n");
}

const SWEEP: &str = "sweep --data npy:images.npy --stem 4 --cells 1 --json";

impl Folder {
    /// What a sweep prints, as JSON, and says.
    #[track_caller]
    fn sweep(&self, arguments: &str, code: i32) -> (serde_json::Value, String) {
        let output = self.command(&format!("{SWEEP} {arguments}")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let stderr = text(output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
        (serde_json::from_str(&text(output.stdout)).unwrap_or_default(), stderr)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_sweep_that_is_killed_goes_on_and_loses_nothing() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 30);
    let lists = "cells.jsonl --seed 0,1 --convention relu,original";
    let (whole, _) = folder.sweep(lists, 0);
    let rows =
        |number: usize| fs::read_to_string(folder.path(&format!("rows/{number}.csv"))).unwrap_or_default();
    let settings =
        ["--seed 0", "--seed 0 --convention original", "--seed 1", "--seed 1 --convention original"];
    let each = settings.map(|setting| {
        folder.run(&format!("cells.jsonl {setting} -o whole.csv --force"), 0);
        folder.read("whole.csv")
    });
    let all: u64 = each.iter().map(|rows| rows.len() as u64).sum();
    let resume = format!("{SWEEP} {lists} --rows rows --resume");
    for part in 1..5 {
        let before: [String; 4] = std::array::from_fn(rows);
        let mut child = folder.command(&resume).stdout(Stdio::null()).spawn().unwrap();
        // At an odd length, which is somewhere within a row.
        let enough = all * part / 5 + 7 * part;
        let written =
            || (0..4).map(|number| length(&folder.path(&format!("rows/{number}.csv")))).sum::<u64>();
        wait_until("rows come", || written() >= enough || child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        for (number, before) in before.iter().enumerate() {
            assert!(rows(number).starts_with(whole_lines(before)), "finished rows are kept byte for byte");
        }
    }
    let (found, stderr) = folder.sweep(&format!("{lists} --rows rows --resume"), 0);
    assert_eq!((found, stderr.as_str()), (whole, ""));
    assert_eq!(folder.names("rows"), ["0.csv", "1.csv", "2.csv", "3.csv"]);
    for (number, each) in each.iter().enumerate() {
        assert_eq!(without_seconds(&rows(number)), without_seconds(each), "{}", settings[number]);
    }
}

#[test]
fn rows_of_a_sweep_are_gone_on_with_only_by_the_same_sweep() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    let (whole, _) = folder.sweep("cells.jsonl --seed 0,1 --rows rows", 0);
    let rows = || [0, 1].map(|number| folder.read(&format!("rows/{number}.csv")));
    let before = rows();
    for (arguments, message) in [
        (
            "cells.jsonl --seed 0,1",
            "rows: holds rows already; --resume goes on with them, --force replaces them\n",
        ),
        ("cells.jsonl --seed 0,2 --resume", "rows/1.csv:2: seed was 1, but is 2 in this run\n"),
        ("cells.jsonl --seed 0,1 --stem 5 --resume", "rows/0.csv:2: stem was 4, but is 5 in this run\n"),
    ] {
        let (_, stderr) = folder.sweep(&format!("{arguments} --rows rows"), 2);
        assert_eq!(stderr, format!("error: {message}"));
        assert_eq!(rows(), before);
    }
    let lock = File::open(folder.path("rows/0.csv")).unwrap();
    lock.lock().unwrap();
    for option in ["--resume", "--force"] {
        let (_, stderr) = folder.sweep(&format!("cells.jsonl --seed 0,1 --rows rows {option}"), 2);
        assert_eq!(stderr, "error: rows/0.csv: another process is writing it\n");
        assert_eq!(rows(), before);
    }
    drop(lock);
    // Another seed more is another setting more.
    let (more, _) = folder.sweep("cells.jsonl --seed 0,1,2 --rows rows --resume", 0);
    assert_eq!(
        ([&more["settings"][0], &more["settings"][1]], rows()),
        ([&whole["settings"][0], &whole["settings"][1]], before)
    );
    folder.write("rows/notes.csv", "precious");
    folder.sweep("cells.jsonl --seed 3 --rows rows --force", 0);
    assert_eq!(folder.names("rows"), ["0.csv", "notes.csv"]);
    assert!(folder.sweep("cells.jsonl --resume", 2).1.contains("--rows <DIR>"));
}

#[test]
fn what_failed_in_a_sweep_can_be_scored_again() {
    let folder = Folder::new();
    let mut lines = networks(4);
    let good = std::mem::replace(&mut lines[2], "{}".to_owned());
    folder.write("cells.jsonl", &lines.join("\n"));
    let (found, stderr) = folder.sweep("cells.jsonl --seed 0,1 --rows rows", 1);
    assert_eq!((&found["networks"], &found["failed"]), (&3.into(), &1.into()));
    assert_eq!(stderr.matches("cells.jsonl:3: ").count(), 1, "{stderr}");
    let (kept, _) = folder.sweep("cells.jsonl --seed 0,1 --rows rows --resume", 1);
    assert_eq!(kept, found);
    lines[2] = good;
    folder.write("cells.jsonl", &lines.join("\n"));
    let (mended, _) = folder.sweep("cells.jsonl --seed 0,1 --rows rows --resume --retry-failed", 0);
    assert_eq!(mended, folder.sweep("cells.jsonl --seed 0,1", 0).0);
}

#[test]
fn a_sweep_reports_what_failed() {
    let folder = Folder::new();
    let report = |arguments: &str| folder.sweep(arguments, 1);
    folder.write("cells.jsonl", &format!("{{}}\n{}\n", networks(3).join("\n")));
    let (found, stderr) = report("cells.jsonl");
    assert_eq!((&found["networks"], &found["failed"]), (&3.into(), &1.into()));
    assert!(stderr.starts_with("cells.jsonl:1: "), "{stderr}");
    // Every network needs more than a byte.
    let (found, stderr) = report("cells.jsonl --memory-limit 1");
    assert_eq!((&found["networks"], &found["failed"]), (&0.into(), &4.into()));
    assert!(found["kendall_tau"][0][0].is_null());
    assert!(stderr.contains("\ncells.jsonl:2: ") && stderr.contains("\ncells.jsonl:4: "), "{stderr}");
}

#[test]
fn a_sweep_ranks_by_accuracy_as_correlate_does_its_rows() {
    let folder = Folder::new();
    let lines = networks(12);
    // A cell that comes again, and a line that is none.
    folder.write("cells.jsonl", &format!("{}\n{}\n{{}}\n", lines.join("\n"), lines[3]));
    let (without, _) = folder.sweep("cells.jsonl --seed 0,1 --rows rows", 1);
    assert!(without["accuracy"].is_null() && without["settings"][0]["correlation"].is_null());
    // Two networks are not in the table, and one is twice.
    let mut table = "id,arch,test_loss,test_acc\n".to_owned();
    for (i, row) in folder.rows("rows/0.csv").iter().take(10).enumerate() {
        table += &format!("{},\"{}\",{},{}\n", row[3], row[ARCH], 2.5 - 0.1 * i as f64, i * 7 % 10);
    }
    table += &table.lines().nth(1).unwrap().replace(",0", ",4");
    folder.write("table.csv", &table);
    for join in [
        "--accuracy table.csv",
        "--accuracy table.csv --key arch --bootstrap 50",
        "--accuracy table.csv --column test_loss --lower-is-better --bootstrap 0",
    ] {
        let (found, stderr) = folder.sweep(&format!("cells.jsonl --seed 0,1 --rows rows --resume {join}"), 1);
        assert!(stderr.contains("warning: cells.jsonl: 10 networks with an accuracy are few"), "{stderr}");
        for number in 0..2 {
            let arguments = format!("correlate rows/{number}.csv {join} --json");
            let output = folder.command(&arguments).output().unwrap();
            let expected: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let setting = &found["settings"][number]["correlation"];
            for key in ["kendall_tau", "spearman", "pearson", "networks", "infinite", "intervals"] {
                assert_eq!(setting[key], expected[key], "{join}: {key}");
            }
            for key in ["column", "unit", "networks", "without_accuracy", "repeated", "averaged"] {
                assert_eq!(found["accuracy"][key], expected[key], "{join}: {key}");
            }
        }
        assert_eq!(found["kendall_tau"], without["kendall_tau"]);
    }
}

#[test]
fn a_table_of_other_networks_is_refused_before_a_sweep_starts() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    folder.write("table.csv", "id,test_acc\na,1\n");
    let (_, stderr) = folder.sweep("cells.jsonl --seed 0,1 --rows rows --accuracy table.csv", 2);
    let message =
        "has none of the networks of cells.jsonl: no name is in both; --key says which column names them";
    assert_eq!(stderr, format!("error: table.csv: {message}\n"));
    assert!(!folder.path("rows").exists());
    let (_, stderr) = folder.sweep("cells.jsonl --column test_acc", 2);
    assert!(stderr.contains("--accuracy <TABLE>"), "{stderr}");
}

#[test]
fn rows_are_the_same_after_a_round_of_conversions() {
    let folder = Folder::new();
    let bad = r#"{"space":"nasbench101","arch":"a,\"b\""}"#;
    let none = r#"{"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}"#;
    folder.write("cells.jsonl", &format!("{bad}\n{none}\n{}\n", networks(3).join("\n")));
    folder.run("cells.jsonl -o scores.csv --seed 18446744073709551615", 1);
    let forms =
        if cfg!(feature = "parquet") { &["jsonl", "parquet", "jsonl", "csv"][..] } else { &["jsonl", "csv"] };
    let mut from = "scores.csv".to_owned();
    for (step, form) in forms.iter().enumerate() {
        let to = format!("{step}.{form}");
        folder.other(&format!("convert {from} -o {to}"), 0);
        from = to;
    }
    assert_eq!(folder.read(&from), folder.read("scores.csv"));
    folder.run("cells.jsonl -o direct.jsonl --seed 18446744073709551615", 1);
    assert_eq!(without_seconds(&folder.read("0.jsonl")), without_seconds(&folder.read("direct.jsonl")));

    if !cfg!(feature = "parquet") {
        let stderr = folder.other("convert scores.csv -o scores.parquet", 2);
        assert!(
            stderr.starts_with("error: scores.parquet: this naswot is built without Parquet"),
            "{stderr}"
        );
        assert!(!folder.path("scores.parquet").exists());
    }
    let stderr = folder.other("convert scores.csv -o scores.txt", 2);
    assert!(stderr.contains("the name must end in .csv, .jsonl or .parquet"), "{stderr}");
    folder.write("other.csv", "id,score\n");
    assert!(
        folder.other("convert other.csv -o x.jsonl", 2).starts_with("error: other.csv:1: is not the header")
    );
    assert!(!folder.path("x.jsonl").exists());
}
