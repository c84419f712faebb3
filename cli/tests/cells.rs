//! One cell, many spellings: every command that takes cells reads them in the forms in which tools write them, refuses what
//! may be two cells, and says of a file that holds none what to do.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use common::folder::{Folder, csv_fields, networks};
use naswot::{Architecture, Space};

const SKIP: &str = "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|";
/// The same cell as NASLib writes it.
const TUPLE: &str = "(0, 1, 1, 1, 3, 1)";
const HASH: &str = "D32D0B26D534203B48D866FACD98CC3E";

/// The archs of the rows that a run of `score` prints.
#[track_caller]
fn archs(folder: &Folder, arguments: &str) -> Vec<String> {
    let Output { status, stdout, stderr } = folder.score(arguments).output().unwrap();
    assert_eq!(status.code(), Some(0), "{arguments}: {}", String::from_utf8_lossy(&stderr));
    let rows = String::from_utf8(stdout).unwrap();
    rows.lines().skip(1).map(|row| csv_fields(row).swap_remove(4)).collect()
}

/// What a command prints, and its status.
fn printed(folder: &Folder, arguments: &str, input: &str) -> (String, String, Option<i32>) {
    let mut command = folder.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
}

#[test]
fn rows_are_input_again_in_every_form() {
    let folder = Folder::new();
    let lines = networks(4);
    let expected: Vec<String> =
        lines.iter().map(|line| Architecture::from_json(line).unwrap().arch()).collect();
    folder.write("cells.jsonl", &lines.join("\n"));
    for rows in ["rows.csv", "rows.jsonl"] {
        folder.run(&format!("cells.jsonl -o {rows}"), 0);
        assert_eq!(archs(&folder, rows), expected);
    }
    folder.write("table.csv", &format!("accuracy,hash\n1.5,{HASH}\n"));
    assert_eq!(archs(&folder, "table.csv"), ["011001000/0"]);
    folder.write("table.txt", &format!("accuracy,arch\n1.5,\"{TUPLE}\"\n"));
    assert_eq!(archs(&folder, "table.txt"), [SKIP]);
    // Named by no known word, in any case, or in a file that is called a table and is none.
    folder.write("other.csv", &format!("top1;Net\n1,5;{SKIP}\n"));
    assert_eq!(archs(&folder, "other.csv"), [SKIP]);
    folder.write("capitals.txt", &format!("ARCH\ttop1\n{TUPLE}\t1\n"));
    assert_eq!(archs(&folder, "capitals.txt"), [SKIP]);
    folder.write("list.csv", &format!("{HASH}\n"));
    assert_eq!(archs(&folder, "--space nasbench101 --only list.csv"), ["011001000/0"]);
    folder.write("array.json", &format!("[\n{}\n]\n", lines.join(",\n")));
    assert_eq!(archs(&folder, "array.json"), expected);
    folder.write("pretty.json", &format!("{{\n  \"space\": \"nb201\",\n  \"arch_str\": \"{SKIP}\"\n}}\n"));
    assert_eq!(archs(&folder, "pretty.json"), [SKIP]);
}

#[test]
fn lists_of_names_are_read_in_any_spelling() {
    let folder = Folder::new();
    let spaced = SKIP.replace('+', " + ");
    folder.write("only.txt", &format!("{TUPLE}\n\"{spaced}\"\n12804\n'#12804'\n"));
    let found = archs(&folder, "--space nasbench201 --only only.txt");
    assert_eq!(found[..2], [SKIP, SKIP]);
    let number = "|none~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_1x1~0|avg_pool_3x3~1|skip_connect~2|";
    assert_eq!(found[2..], [number, number]);
    folder.write("only101.csv", &format!("id,accuracy\n{HASH},0.5\n\"(0, 1, 0, 0, 0, 1)\",0.1\n"));
    assert_eq!(archs(&folder, "--space nasbench101 --only only101.csv"), ["011001000/0", "0100/"]);
    folder.write("six.txt", "403143\n12804\n");
    let stderr = folder.run("--space nasbench201 --only six.txt", 1);
    assert!(
        stderr.contains("six.txt:1: nasbench201: \"403143\" may be six operations in NASLib's order"),
        "{stderr}"
    );
    let images = "--data npy:images.npy --stem 4 --cells 1";
    let (rows, _, code) =
        printed(&folder, &format!("score --space nasbench201 --only - {images}"), &format!("{TUPLE}\n"));
    assert!(code == Some(0) && rows.contains(SKIP), "{rows}");
}

#[test]
fn a_file_without_networks_is_one_error() {
    let folder = Folder::new();
    for (file, text, message) in [
        (
            "bare.txt",
            format!("{SKIP}\n").repeat(30),
            "bare.txt: holds cells of nasbench201, not objects of JSON: give it with --space nasbench201 --only bare.txt",
        ),
        ("tuples.txt", format!("{TUPLE}\n"), "tuples.txt: holds cells of nasbench201, not objects of JSON"),
        (
            "python.txt",
            format!("{{'space': 'nasbench201', 'arch': '{SKIP}'}}\n"),
            "python.txt: is Python, not JSON",
        ),
        (
            "other.txt",
            "text\n\n{}\n".to_owned(),
            "other.txt:1: \"text\\n\" is not a JSON object (nor is any of its first 2",
        ),
        (
            "columns.csv",
            "network,accuracy\n1,2\n".to_owned(),
            "columns.csv: of its columns (network, accuracy) none holds cells",
        ),
    ] {
        folder.write(file, &text);
        let stderr = folder.run(file, 2);
        assert!(stderr.starts_with(&format!("error: {message}")), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    folder.write("words.txt", &"word\n".repeat(30));
    let stderr = folder.run("--space nasbench201 --only words.txt", 2);
    assert!(
        stderr.starts_with("error: words.txt:1: nasbench201: \"word\" describes 1 nodes, not 3 (nor"),
        "{stderr}"
    );
    // One network among the first ten, and all lines are rows; a pipe is told of each.
    folder.write(
        "one.txt",
        &format!("{}{{\"space\":\"nb201\",\"arch\":\"{SKIP}\"}}\n{}", "x\n".repeat(9), "x\n".repeat(30)),
    );
    let stderr = folder.run("one.txt", 1);
    assert_eq!(stderr.lines().filter(|line| line.starts_with("one.txt:")).count(), 39, "{stderr}");
}

#[test]
fn standard_input_is_answered_line_by_line_whatever_comes_first() {
    let folder = Folder::new();
    let mut child = folder.start("- --format jsonl");
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for line in [SKIP, "{}", &networks(1)[0], "[]", &networks(2)[1]] {
        writeln!(stdin, "{line}").unwrap();
        let (mut row, start) = (String::new(), Instant::now());
        stdout.read_line(&mut row).unwrap();
        assert!(row.starts_with("{\"index\":") && start.elapsed() < Duration::from_secs(30), "{row}");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn ids_and_lines_of_cells_are_printed_without_scores() {
    let folder = Folder::new();
    let (ids, stderr, code) =
        printed(&folder, "hash -", &format!("{TUPLE}\n011001000/0\n{}\nword\n{SKIP}\n", networks(1)[0]));
    let first = Architecture::from_json(&networks(1)[0]).unwrap().id();
    assert_eq!(ids, format!("{SKIP}\n{}\n{first}\n\n{SKIP}\n", HASH.to_lowercase()));
    assert_eq!(
        (stderr.as_str(), code),
        ("-:4: \"word\" is no cell of nasbench101 or nasbench201 in any notation\n", Some(1))
    );

    folder.write("cells.txt", &format!("{TUPLE}\n(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 4, 1)\n"));
    let (lines, _, code) = printed(&folder, "canon cells.txt", "");
    let equal = Space::NasBench201.parse_arch(SKIP).unwrap().first_equal().unwrap().arch();
    let cell = r#"{"space":"nasbench101","adjacency":[[0,1,1],[0,0,1],[0,0,0]],"ops":["input","conv3x3-bn-relu","output"]}"#;
    let expected =
        format!("{{\"space\":\"nasbench201\",\"arch\":\"{SKIP}\",\"equal_to\":\"{equal}\"}}\n{cell}\n");
    assert_eq!((lines, code), (expected, Some(0)));

    let all: Vec<String> = Space::NasBench201.all().unwrap().map(|cell| cell.to_json()).collect();
    folder.write("all.jsonl", &all.join("\n"));
    let (lines, _, _) = printed(&folder, "canon all.jsonl", "");
    let classes: std::collections::HashSet<&str> =
        lines.lines().filter_map(|line| line.split_once("\"equal_to\"")).map(|(_, class)| class).collect();
    assert_eq!((lines.lines().count(), classes.len()), (15_625, 6466));
}

#[test]
fn tables_of_accuracies_are_joined_by_cells_in_any_spelling() {
    let folder = Folder::new();
    let cells = Space::NasBench201.sample(6, 1).unwrap();
    folder.write("cells.jsonl", &cells.iter().map(|cell| cell.to_json() + "\n").collect::<String>());
    folder.run("cells.jsonl -o scores.csv", 0);
    let rows = |spell: fn(String) -> String| {
        let rows = cells
            .iter()
            .enumerate()
            .map(|(i, cell)| format!("\"{}\",{}\n", spell(cell.arch()), 50 + i * i % 7));
        format!("arch,accuracy\n{}", rows.collect::<String>())
    };
    folder.write("plain.csv", &rows(|arch| arch));
    folder.write("spaced.csv", &rows(|arch| format!(" '{}' ", arch.replace('+', " + "))));
    let figures = |table: &str| {
        let command = format!("correlate scores.csv --accuracy {table} --bootstrap 0 --json");
        let (json, stderr, code) = printed(&folder, &command, "");
        assert_eq!(code, Some(0), "{stderr}");
        json
    };
    assert_eq!(figures("plain.csv"), figures("spaced.csv"));
}
