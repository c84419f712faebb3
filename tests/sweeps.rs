//! A search space is scored in one run or in shards, and comes to the same.
#![cfg(all(feature = "cli", unix))]

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::process::Command;

use common::folder::{FORMATS, Folder, csv_fields, without_seconds};
use naswot::Space;

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
    assert_eq!(rows[0][ARCH], Space::NasBench201.all().last().unwrap().arch());
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
        (
            "0.csv 1.csv lines.jsonl",
            "lines.jsonl: is of another kind than the output; `naswot convert` changes that",
        ),
        ("0.csv 1.csv 2.csv --networks 7", "no row has index 6 (in 0.csv, 1.csv, 2.csv)"),
        ("0.csv 1.csv 2.csv --networks 5", "--networks: there are 6, not 5"),
        ("0.csv 1.csv none.csv", "none.csv: No such file or directory (os error 2)"),
    ] {
        assert_eq!(folder.other(&format!("merge {files} -o merged.csv"), 2), format!("error: {message}\n"));
        assert!(!folder.path("merged.csv").exists() && !folder.path("merged.csv.part").exists());
    }
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

#[test]
fn a_sweep_reports_what_failed() {
    let folder = Folder::new();
    let sweep = "sweep --data npy:images.npy --stem 4 --cells 1 --json";
    let report = |arguments: &str| {
        let output = folder.command(&format!("{sweep} {arguments}")).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (serde_json::from_str::<serde_json::Value>(&text(output.stdout)).unwrap(), text(output.stderr))
    };
    folder.write("cells.jsonl", &format!("{{}}\n{}\n", common::folder::networks(3).join("\n")));
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
fn rows_are_the_same_after_a_round_of_conversions() {
    let folder = Folder::new();
    let bad = r#"{"space":"nasbench101","arch":"a,\"b\""}"#;
    let none = r#"{"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}"#;
    folder.write("cells.jsonl", &format!("{bad}\n{none}\n{}\n", common::folder::networks(3).join("\n")));
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
