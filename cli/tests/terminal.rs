//! Nothing of an input changes the terminal: messages show its control characters as escapes, and quote little of it. File
//! names need be no text.
#![cfg(unix)]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use common::folder::{Folder, networks};
use safetensors::tensor::{Dtype, TensorView, serialize};

/// A color, a title, a bell, a carriage return, a delete, a control of 8 bits, and marks that turn the direction of text.
const FOREIGN: &str = "\u{1b}[31mRED\u{1b}]0;title\u{7}\r\u{7f}\u{9b}1m\u{202e}\u{2066}\u{200b}";
/// Most characters of a message.
const MOST: usize = 5000;

/// Runs the command to its end: its status, and what a terminal would have got, of which nothing may be foreign.
#[track_caller]
fn run(folder: &Folder, arguments: &[&OsStr]) -> (i32, String) {
    let Output { status, stdout, stderr } = folder.command("").args(arguments).output().unwrap();
    let said = String::from_utf8([stderr, stdout].concat()).unwrap();
    let foreign =
        |c: char| (c.is_control() && c != '\n') || FOREIGN.chars().any(|f| f == c && !f.is_ascii_graphic());
    assert!(!said.contains(foreign), "{arguments:?}: {said:?}");
    assert!(said.chars().count() < MOST, "{arguments:?}: {} characters", said.chars().count());
    (status.code().unwrap(), said)
}

#[track_caller]
fn shown(folder: &Folder, arguments: &str, code: i32) -> String {
    let arguments: Vec<&OsStr> = arguments.split(' ').map(OsStr::new).collect();
    let (status, said) = run(folder, &arguments);
    assert_eq!(status, code, "{said}");
    said
}

fn npy(descr: &str, shape: &str) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat()
}

/// A folder with scores of three networks, and the cells of these.
fn scored() -> (Folder, Vec<String>) {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    folder.run("cells.jsonl -o scores.csv", 0);
    let cells =
        networks(3).iter().map(|line| naswot::Architecture::from_json(line).unwrap().arch()).collect();
    (folder, cells)
}

#[test]
fn messages_show_control_characters_of_files() {
    let (folder, cells) = scored();
    let red = "\\u{1b}[31mRED";
    let escaped = |said: &str| assert!(said.contains(red), "{said}");

    folder.write("value.csv", &format!("arch,test_acc\n{},{FOREIGN}\n", cells[0]));
    escaped(&shown(&folder, "correlate scores.csv --accuracy value.csv", 2));
    folder.write("column.csv", &format!("\"arch{FOREIGN}\",x\n1,2\n"));
    escaped(&shown(&folder, "correlate scores.csv --accuracy column.csv", 2));
    folder.write("name.jsonl", &format!("{{\"space\": {}}}\n", serde_json::Value::from(FOREIGN)));
    escaped(&shown(&folder, "score name.jsonl", 2));
    folder.write(
        "cell.jsonl",
        &format!("{{\"space\": \"nasbench201\", \"arch\": {}}}\n", serde_json::Value::from(FOREIGN)),
    );
    escaped(&shown(&folder, "score cell.jsonl", 2));
    escaped(&shown(&folder, "hash cell.jsonl", 2));
    escaped(&shown(&folder, "plan cell.jsonl", 2));

    // Tables for people as well, to wherever they are printed.
    let lines: String = cells.iter().enumerate().map(|(i, cell)| format!("{cell},{i}\n")).collect();
    folder.write("title.csv", &format!("arch,test{}\n{lines}", FOREIGN.replace('\r', "")));
    escaped(&shown(&folder, "correlate scores.csv --accuracy title.csv --column 1 --key arch", 2));
    let column = format!("test{}", FOREIGN.replace('\r', ""));
    let arguments = ["correlate", "scores.csv", "--accuracy", "title.csv", "--column", &column];
    let (code, said) = run(&folder, &arguments.map(OsStr::new));
    assert_eq!(code, 0, "{said}");
    escaped(&said);

    // Rows of two runs, the second of other images.
    for shard in ["0/2", "1/2"] {
        folder.run(&format!("cells.jsonl --shard {shard} -o {}.csv", &shard[..1]), 0);
    }
    let rows = folder.read("1.csv").replace(",npy,", &format!(",{},", FOREIGN.replace('\r', "")));
    folder.write("1.csv", &rows);
    escaped(&shown(&folder, "merge 0.csv 1.csv -o merged.csv", 2));
}

#[test]
fn messages_show_control_characters_of_images_and_weights() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 1);
    fs::write(folder.path("type.npy"), npy(&format!("[('{FOREIGN}', '<f4')]"), "(1,)")).unwrap();
    fs::write(folder.path("shape.npy"), npy("'<f4'", &format!("(1,{FOREIGN})"))).unwrap();
    for file in ["type", "shape"] {
        shown(&folder, &format!("score cells.jsonl --data npy:{file}.npy"), 2);
        shown(&folder, &format!("correlate {file}.npy --accuracy {file}.npy"), 2);
    }
    let numbers = 7i64.to_le_bytes();
    let tensor = || TensorView::new(Dtype::I64, vec![1], &numbers).unwrap();
    let long = FOREIGN.repeat(4000);
    for (file, name) in [("foreign", FOREIGN), ("long", long.as_str())] {
        let bytes = serialize([(name, tensor())], None).unwrap();
        fs::write(folder.path(&format!("{file}.safetensors")), bytes).unwrap();
        let said = shown(&folder, &format!("score cells.jsonl --weights {file}.safetensors"), 2);
        assert!(said.contains("\\u{1b}[31mRED"), "{said}");
    }
}

#[test]
fn messages_quote_little_of_a_file() {
    let (folder, cells) = scored();
    let long = "x".repeat(1 << 20);
    folder.write("value.csv", &format!("arch,test_acc\n{},{long}\n", cells[0]));
    folder.write("name.csv", &format!("arch{long},x\n1,2\n"));
    folder.write(
        "columns.csv",
        &format!("{}\n", (0..100_000).map(|i| format!("column{i}")).collect::<Vec<_>>().join(",")),
    );
    folder.write("text.jsonl", &format!("{{\"arch\": \"a\", \"test_acc\": 1}}\n\"{long}\"\n"));
    for table in ["value.csv", "name.csv", "columns.csv", "text.jsonl"] {
        shown(&folder, &format!("correlate scores.csv --accuracy {table}"), 2);
    }
    folder.write("cells2.jsonl", &format!("\"{long}\"\n"));
    shown(&folder, "score cells2.jsonl", 2);
    folder.write("arch.jsonl", &format!("{{\"space\": \"nasbench201\", \"arch\": \"{long}\"}}\n"));
    shown(&folder, "score arch.jsonl", 2);
    let pickle =
        [&b"\x80\x02X"[..], &1_000_000u32.to_le_bytes(), &long.as_bytes()[..1_000_000], b"Na."].concat();
    fs::write(folder.path("long.pickle"), pickle).unwrap();
    shown(&folder, "score cells.jsonl --data cifar10:long.pickle", 2);
}

#[test]
fn messages_show_control_characters_of_arguments() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 1);
    let name = format!("no\n{FOREIGN}");
    let file = format!("{name}.jsonl");
    for arguments in [
        &["score", &file][..],
        &["correlate", &file, "--accuracy", &file],
        &["score", "cells.jsonl", "--data", &format!("npy:{file}")],
        &["score", "cells.jsonl", "-o", &name],
        &["score", "cells.jsonl", &format!("--{FOREIGN}")],
        &["score", "cells.jsonl", "--precision", FOREIGN],
        &["score", "cells.jsonl", "--color", "always", "--backend", FOREIGN],
        &[FOREIGN],
    ] {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let (code, said) = run(&folder, &arguments);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("RED"), "{said}");
    }
}

#[test]
fn data_in_a_pipe_are_as_they_are() {
    let (folder, cells) = scored();
    let column = "test\u{7f}\u{202e}";
    let lines: String = cells.iter().enumerate().map(|(i, cell)| format!("{cell},{i}\n")).collect();
    folder.write("title.csv", &format!("arch,{column}\n{lines}"));
    let mut command = folder.command("correlate scores.csv --accuracy title.csv --json --column");
    let Output { status, stdout, .. } = command.arg(column).output().unwrap();
    assert!(status.success());
    let report: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(report["column"], column);
}

#[test]
fn file_names_need_be_no_utf_8() {
    let folder = Folder::new();
    let name = |ending: &str| OsStr::from_bytes(&[b"\xff\xe9", ending.as_bytes()].concat()).to_owned();
    let option = |name: &str, ending: &str| {
        OsStr::from_bytes(&[name.as_bytes(), b"\xff\xe9", ending.as_bytes()].concat()).to_owned()
    };
    folder.networks("cells.jsonl", 2);
    // Some file systems take UTF-8 alone.
    if fs::copy(folder.path("cells.jsonl"), folder.path("").join(name(".jsonl"))).is_err() {
        eprintln!("skipped: the file system takes no such name");
        return;
    }
    fs::copy(folder.path("images.npy"), folder.path("").join(name(".npy"))).unwrap();
    let run = |arguments: &[&OsStr]| {
        let (code, said) = run(&folder, arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
    };
    let text = |text: &'static str| OsStr::new(text);
    let (cells, rows, table) = (name(".jsonl"), name(".csv"), name(".table.csv"));
    let small = ["--stem", "4", "--cells", "1"].map(OsStr::new);
    let data = option("npy:", ".npy");
    run(&[&[text("score"), &cells, text("--data"), &data, text("-o"), &rows][..], &small].concat());
    run(&[text("convert"), &rows, text("-o"), &name(".parquet")]);
    run(&[text("merge"), &rows, text("-o"), &name(".merged.csv")]);
    run(&[text("report"), &rows, text("-o"), &name(".html")]);
    run(&[text("plot"), text("cell"), &rows, text("--row"), text("0"), text("-o"), &name(".svg")]);
    let archs = folder.path("").join(&rows);
    let archs = String::from_utf8(fs::read(archs).unwrap()).unwrap();
    fs::write(folder.path("").join(&table), archs.replacen("score", "test_acc", 1)).unwrap();
    run(&[
        text("correlate"),
        &rows,
        text("--accuracy"),
        &table,
        text("--column"),
        text("test_acc"),
        text("--bootstrap"),
        text("0"),
    ]);
}
