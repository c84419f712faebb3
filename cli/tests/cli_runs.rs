//! What a user of `naswot score` can rely on: a row for every network, files that rows promise, and outputs that are
//! replaced only when told.
#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::Output;

use common::folder::{FORMATS, Folder, csv_fields, length, networks, wait_until};
use naswot::Agreement;

#[test]
fn one_bad_line_in_a_thousand_is_a_row_and_the_others_are_scored() {
    let folder = Folder::new();
    let mut lines = networks(1000);
    lines[700] = r#"{"space":"nasbench201","arch":"|none~0|"}"#.to_owned();
    folder.write("cells.jsonl", &lines.join("\n"));
    let stderr = folder.run("cells.jsonl -o scores.csv --stem 5 --batch-size 2", 1);
    let message = "nasbench201: \"|none~0|\" describes 1 nodes, not 3";
    assert!(stderr.starts_with(&format!("cells.jsonl:701: {message}\n999 scored (")), "{stderr}");
    let rows: Vec<Vec<String>> = folder.read("scores.csv").lines().skip(1).map(csv_fields).collect();
    assert_eq!(rows.len(), 1000);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row[..2], [index.to_string(), (index + 1).to_string()]);
        assert_eq!(row[5].is_empty(), index == 700, "{row:?}");
    }
    assert_eq!(rows[700][9], message);
    assert_eq!(rows[700][2..9].concat(), "");
}

#[test]
fn rows_of_a_slow_pipe_are_written_as_they_are_known() {
    let folder = Folder::new();
    let mut child = folder.start("- --format jsonl");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for (index, network) in networks(3).iter().enumerate() {
        writeln!(stdin, "{network}").unwrap();
        let mut row = String::new();
        stdout.read_line(&mut row).unwrap();
        assert!(row.starts_with(&format!("{{\"index\":{index},")), "{row}");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2000);
    let mut child = folder.start("cells.jsonl");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("index,"));
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), stderr.len()), (Some(0), 0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_stops_the_run() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let Output { status, stderr, .. } = folder.score("cells.jsonl").stdout(full).output().unwrap();
    assert_eq!(status.code(), Some(3));
    assert!(
        String::from_utf8(stderr).unwrap().starts_with("error: standard output: No space left on device")
    );

    for arguments in ["--version", "--help", "score -h", "space nasbench201 --count", "completions bash"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let Output { status, stderr, .. } = folder.command(arguments).stdout(full).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(3), "{arguments}: {stderr}");
        assert!(stderr.starts_with("error: standard output: No space left on device"), "{stderr}");
    }

    std::os::unix::fs::symlink("/dev/full", folder.path("full.csv")).unwrap();
    let stderr = folder.run("cells.jsonl -o full.csv --force", 3);
    assert!(stderr.starts_with("error: full.csv: No space left on device"), "{stderr}");
}

#[test]
fn a_second_writer_is_turned_away() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 1);
    let mut first = folder.start("- -o scores.csv");
    wait_until("the file is there", || length(&folder.path("scores.csv")) > 0);
    for options in ["", " --resume", " --force"] {
        let stderr = folder.run(&format!("cells.jsonl -o scores.csv{options}"), 2);
        assert_eq!(stderr, "error: scores.csv: another process is writing it\n");
    }
    drop(first.stdin.take());
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_row_is_a_promise_of_its_codes() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    let lines = folder.read("cells.jsonl");
    // A cell that comes again.
    folder.write("cells.jsonl", &format!("{lines}{lines}"));
    folder.run("cells.jsonl -o scores.csv --kernels kernels --codes codes", 0);
    let array = |name: &str, index: usize| {
        let path = folder.path(&format!("{name}/{index}.npy"));
        let file = npyz::NpyFile::new(BufReader::new(File::open(path).unwrap())).unwrap();
        (file.shape().to_vec(), file.into_vec::<u32>().unwrap())
    };
    for index in 0..6 {
        let (shape, words) = array("codes", index);
        let table: serde_json::Value =
            serde_json::from_str(&folder.read(&format!("codes/{index}.json"))).unwrap();
        let number = |value: &serde_json::Value| value.as_u64().unwrap();
        assert_eq!(shape, [number(&table["images"]), number(&table["words_per_image"])]);
        // K of the first two images, counted from the words: padding is zero in both.
        let [a, b] = [0, 1].map(|image| &words[image * shape[1] as usize..][..shape[1] as usize]);
        let mut agree = number(&table["constant_bits"]);
        for region in table["regions"].as_array().unwrap() {
            let [height, width, word, first_channel, multiplicity] =
                ["height", "width", "word", "first_channel", "multiplicity"].map(|key| number(&region[key]));
            let pairs: Vec<[u64; 2]> = region["channels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| [&pair[0], &pair[1]].map(number))
                .collect();
            let end = pairs[pairs.len() - 1][1];
            let units = (end - first_channel).div_ceil(4) * (height * width).div_ceil(32);
            let words = word as usize..(word + 4 * units) as usize;
            let differ: u32 = a[words.clone()].iter().zip(&b[words]).map(|(a, b)| (a ^ b).count_ones()).sum();
            let channels: u64 = pairs.iter().map(|[first, end]| end - first).sum();
            agree += multiplicity * (height * width * channels - u64::from(differ));
        }
        assert_eq!(agree, u64::from(array("kernels", index).1[1]));
    }

    let stderr = folder.run("cells.jsonl --codes codes", 2);
    assert!(stderr.starts_with("error: codes: holds codes already"), "{stderr}");
    let stderr = folder.run("cells.jsonl --kernels new --codes new", 2);
    assert!(stderr.starts_with("error: new: is the folder of --kernels, too"), "{stderr}");
    fs::remove_file(folder.path("codes/2.npy")).unwrap();
    let stderr = folder.run("cells.jsonl -o scores.csv --codes codes --resume", 2);
    assert!(stderr.starts_with("error: scores.csv:4: its codes codes/2.npy are missing"), "{stderr}");
}

#[test]
fn a_row_is_a_promise_of_its_kernel() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 6);
    folder.run("cells.jsonl -o scores.csv --kernels kernels/of/all", 0);
    let kernel = |index: usize| folder.path(&format!("kernels/of/all/{index}.npy"));
    for (index, row) in folder.read("scores.csv").lines().skip(1).enumerate() {
        let file = npyz::NpyFile::new(BufReader::new(File::open(kernel(index)).unwrap())).unwrap();
        assert_eq!(file.shape(), [4, 4]);
        let k = Agreement::new(4, file.into_vec::<u32>().unwrap()).unwrap();
        let row = csv_fields(row);
        assert_eq!((k.log_det().to_string(), k.activations().to_string()), (row[5].clone(), row[6].clone()));
    }
    // With the manifest.
    assert_eq!(fs::read_dir(folder.path("kernels/of/all")).unwrap().count(), 7);

    folder.networks("cells.jsonl", 7);
    let stderr = folder.run("cells.jsonl --kernels kernels/of/all", 2);
    assert!(stderr.starts_with("error: kernels/of/all: holds kernels already"), "{stderr}");
    let whole = fs::read(kernel(2)).unwrap();
    fs::remove_file(kernel(2)).unwrap();
    let stderr = folder.run("cells.jsonl -o scores.csv --kernels kernels/of/all --resume", 2);
    assert!(
        stderr.starts_with("error: scores.csv:4: its kernel kernels/of/all/2.npy is missing"),
        "{stderr}"
    );
    // As a loss of power may leave it.
    let zeros = [&whole[..whole.len() - 8], &[0; 8]].concat();
    for bytes in [&whole[..0], &whole[..10], &whole[..whole.len() - 1], &zeros] {
        fs::write(kernel(2), bytes).unwrap();
        let stderr = folder.run("cells.jsonl -o scores.csv --kernels kernels/of/all --resume", 2);
        assert!(
            stderr.starts_with("error: scores.csv:4: its kernel kernels/of/all/2.npy is cut"),
            "{stderr}"
        );
    }
    fs::write(kernel(2), whole).unwrap();
    folder.run("cells.jsonl -o scores.csv --kernels kernels/of/all --resume", 0);
    assert!(kernel(6).exists());

    folder.networks("cells.jsonl", 1);
    folder.run("cells.jsonl -o scores.csv --kernels kernels/of/all --force", 0);
    assert!(kernel(0).exists() && !kernel(1).exists(), "kernels of the earlier run are gone");
}

#[test]
fn an_output_that_exists_is_replaced_only_by_force() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 1);
    folder.write("scores.csv", "precious");
    let stderr = folder.run("cells.jsonl -o scores.csv", 2);
    assert!(stderr.starts_with("error: scores.csv: exists already"), "{stderr}");
    assert_eq!(folder.read("scores.csv"), "precious");
    folder.run("cells.jsonl -o scores.csv --force", 0);
    assert_eq!(folder.read("scores.csv").lines().count(), 2);
    let cells = folder.read("cells.jsonl");
    std::os::unix::fs::symlink("cells.jsonl", folder.path("link.jsonl")).unwrap();
    let stderr = folder.run("cells.jsonl -o link.jsonl --force", 2);
    assert_eq!(stderr, "error: link.jsonl: is the input cells.jsonl, too, by another name\n");
    assert_eq!(folder.read("cells.jsonl"), cells);
    let arch = "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|";
    folder.write("only.csv", arch);
    let stderr = folder.run("--space nasbench201 --only only.csv -o only.csv --force", 2);
    assert_eq!(stderr, "error: only.csv: is the input, too\n");
    assert_eq!(folder.read("only.csv"), arch);
    let Output { status, stderr, .. } = folder.command("bench --quick --json only.csv").output().unwrap();
    let message = "error: only.csv: exists already; --force replaces it\n";
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(2), message));
    assert_eq!(folder.read("only.csv"), arch);
}

#[test]
fn options_that_pick_from_a_space_are_refused_with_a_file() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    for options in ["--all", "--only cells.jsonl", "--all --sample 1"] {
        let stderr = folder.run(&format!("cells.jsonl {options}"), 2);
        assert!(stderr.contains("cannot be used with"), "{options}: {stderr}");
    }
    let stderr = folder.run("--space nasbench201 --all --sample-seed 1", 2);
    assert!(stderr.contains("cannot be used with"), "{stderr}");
    let stderr = folder.run("cells.jsonl --sample-seed 1", 2);
    assert!(stderr.contains("--sample <N>"), "{stderr}");
}

#[test]
fn noise_is_the_same_number_in_both_formats() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    for (number, noise) in ["1e-7", "0.5", "1e15"].iter().enumerate() {
        for format in FORMATS {
            let run = format!("cells.jsonl --noise {noise} -o {number}.{format}");
            folder.run(&run, 0);
            let before = folder.read(&format!("{number}.{format}"));
            folder.run(&format!("{run} --resume"), 0);
            assert_eq!(folder.read(&format!("{number}.{format}")), before);
        }
    }
}

#[test]
fn a_singular_kernel_is_a_score() {
    let folder = Folder::new();
    folder.write(
        "cells.jsonl",
        r#"{"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}"#,
    );
    folder.run("cells.jsonl -o scores.csv", 0);
    folder.run("cells.jsonl -o scores.jsonl", 0);
    assert!(folder.read("scores.csv").contains(",-inf,"));
    assert!(folder.read("scores.jsonl").contains("\"score\":\"-inf\","));
    folder.run("cells.jsonl -o scores.jsonl --resume", 0);
}

#[test]
fn a_checkpoint_that_does_not_fit_is_the_networks_failure() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    let header = r#"{"stem.0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let checkpoint = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat();
    fs::write(folder.path("weights.safetensors"), checkpoint).unwrap();
    let stderr = folder.run("cells.jsonl --weights weights.safetensors -o scores.csv", 1);
    assert!(stderr.starts_with("cells.jsonl:1: weights: tensor `"), "{stderr}");
    let row = csv_fields(folder.read("scores.csv").lines().nth(1).unwrap());
    assert_eq!((row[5].as_str(), row[10].as_str(), row[14].as_str()), ("", "", ""), "score, seconds, seed");
    assert!(!row[6].is_empty() && !row[7].is_empty() && !row[8].is_empty(), "what is known is said");
    assert_eq!((row[17].as_str(), row[18].len()), ("checkpoint", 64));
}

#[test]
fn a_cell_that_comes_again_is_scored_once_and_reported_each_time() {
    let folder = Folder::new();
    let mut lines = networks(3);
    // The same cell with a vertex that leads nowhere; then two orders of one isomorphism class.
    let spare = r#"{"space":"nasbench101","adjacency":[[0,1,1],[0,0,0],[0,0,0]],"ops":["input","maxpool3x3","output"]}"#;
    let bare = r#"{"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"]}"#;
    lines.extend([spare, bare].map(str::to_owned));
    for ops in [r#""conv3x3-bn-relu","maxpool3x3""#, r#""maxpool3x3","conv3x3-bn-relu""#] {
        let rows = "[0,1,1,0],[0,0,0,1],[0,0,0,1],[0,0,0,0]";
        lines.push(format!(
            r#"{{"space":"nasbench101","adjacency":[{rows}],"ops":["input",{ops},"output"]}}"#
        ));
    }
    lines.push(lines[1].clone());
    let sources = [0, 1, 2, 3, 3, 5, 6, 1];
    folder.write("cells.jsonl", &lines.join("\n"));
    folder.run("cells.jsonl -o scores.csv --kernels kernels", 0);
    let text = folder.read("scores.csv");
    let rows: Vec<Vec<String>> = text.lines().skip(1).map(csv_fields).collect();
    for (index, (row, source)) in rows.iter().zip(sources).enumerate() {
        assert_eq!(row[0], index.to_string());
        assert_eq!(row[10] == "0", source != index, "{row:?}");
        assert_eq!((&row[3..9]), (&rows[source][3..9]));
        let kernel = |index| fs::read(folder.path(&format!("kernels/{index}.npy"))).unwrap();
        assert!(kernel(index) == kernel(source));
    }
    assert_eq!(rows[5][3], rows[6][3], "isomorphic");

    // What a row of an earlier run says is not computed again.
    let end = text.match_indices('\n').nth(4).unwrap().0 + 1;
    let forged = text[..end].replacen(&rows[1][5], "12.5", 1);
    folder.write("scores.csv", &forged);
    folder.run("cells.jsonl -o scores.csv --kernels kernels --resume", 0);
    assert_eq!(csv_fields(folder.read("scores.csv").lines().last().unwrap())[5], "12.5");
}
