//! NAS-Bench-101's own file becomes a table, and a damaged one says where.
#![cfg(unix)]

mod common;

use std::fs;
use std::process::Output;

use base64::Engine;
use common::folder::Folder;
use naswot::nasbench101::{self, Cell};

/// CRC-32C bit by bit, as its definition has it.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let masked = |bytes: &[u8]| {
        let crc = crc32c(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), bytes, &masked(bytes)].concat()
}

/// `ModelMetrics` with three evaluations.
fn metrics(validation: f64, test: f64, parameters: u32) -> Vec<u8> {
    let evaluation = |validation: f64, test: f64| {
        let reals = [(1, 54.0), (3, 0.5), (4, validation), (5, test)];
        let fields: Vec<u8> = reals
            .iter()
            .flat_map(|(field, value): &(u8, f64)| [&[field << 3 | 1][..], &value.to_le_bytes()].concat())
            .collect();
        [&[0x0a, fields.len() as u8], &fields[..]].concat()
    };
    let mut varint = Vec::new();
    let mut rest = parameters;
    while rest >= 0x80 {
        varint.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    varint.push(rest as u8);
    [evaluation(0.1, 0.1), evaluation(0.7, 0.7), evaluation(validation, test), vec![0x10], varint].concat()
}

fn row(cell: &Cell, epochs: u32, metrics: &[u8]) -> Vec<u8> {
    let adjacency: String = cell.adjacency().concat().iter().map(u8::to_string).collect();
    let ops = cell.op_names().join(",");
    let metrics = base64::prelude::BASE64_STANDARD.encode(metrics);
    record(format!(r#"["{}", {epochs}, "{adjacency}", "{ops}", "{metrics}"]"#, cell.hash()).as_bytes())
}

fn table(folder: &Folder, arguments: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        folder.command(&format!("table nasbench101 {arguments}")).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn trainings_are_averaged_by_cell() {
    let folder = Folder::new();
    let cells = nasbench101::sample(40, 2).unwrap();
    // Repeats of a cell need not stand side by side.
    let accuracy = |cell: usize, repeat: usize| (0.5 + cell as f64 / 100.0, 0.25 + repeat as f64 / 8.0);
    let mut file = Vec::new();
    for repeat in 0..3 {
        for (i, cell) in cells.iter().enumerate() {
            let (validation, test) = accuracy(i, repeat);
            file.extend(row(cell, 108, &metrics(validation, test, 1000 + i as u32)));
            file.extend(row(cell, 4, &metrics(0.0, 1.0, 7)));
        }
    }
    fs::write(folder.path("all.tfrecord"), &file).unwrap();
    let (code, stdout, stderr) = table(&folder, "all.tfrecord");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let mut lines = stdout.lines();
    assert_eq!(
        lines.next(),
        Some(
            "hash,arch,epochs,repeats,validation_accuracy_mean,validation_accuracy_max,test_accuracy_mean,test_accuracy_max,parameters"
        )
    );
    for (i, (line, cell)) in lines.by_ref().zip(&cells).enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[..4], [cell.hash(), cell.to_string(), "108".to_owned(), "3".to_owned()]);
        let numbers: Vec<f64> = fields[4..].iter().map(|field| field.parse().unwrap()).collect();
        let validation = accuracy(i, 0).0;
        for (found, expected) in numbers.iter().zip([validation, validation, 0.375, 0.5, 1000.0 + i as f64]) {
            assert!((found - expected).abs() < 1e-12, "{line}");
        }
    }
    assert_eq!(lines.next(), None);

    // A table of networks that `score` writes joins with it.
    folder.write(
        "cells.jsonl",
        &cells.iter().map(|&cell| naswot::Architecture::from(cell).to_json() + "\n").collect::<String>(),
    );
    folder.run("cells.jsonl -o scores.csv", 0);
    assert_eq!(table(&folder, "all.tfrecord -o table.csv").0, 0);
    let by = |by: &str| {
        let arguments = format!(
            "correlate scores.csv --accuracy table.csv --column validation_accuracy_mean --json --key {by}"
        );
        String::from_utf8(folder.command(&arguments).output().unwrap().stdout).unwrap()
    };
    assert!(by("id").contains("\"networks\":40,"));
    assert_eq!(by("id"), by("arch"));
}

#[test]
fn a_damaged_file_says_where_it_is() {
    let folder = Folder::new();
    let cell: Cell = "010001000/0".parse().unwrap();
    let good = row(&cell, 108, &metrics(0.9, 0.8, 5));
    let place = good.len();
    let run = |bytes: &[u8]| {
        fs::write(folder.path("file.tfrecord"), bytes).unwrap();
        let (code, stdout, stderr) = table(&folder, "file.tfrecord -o table.csv");
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(!folder.path("table.csv").exists() && !folder.path("table.csv.part").exists());
        stderr.strip_prefix("error: file.tfrecord: ").unwrap().trim_end().to_owned()
    };
    // Cut anywhere but between records.
    for end in (place + 1..2 * place).step_by(7) {
        let message = run(&[&good[..], &good].concat()[..end]);
        assert!(message.starts_with(&format!("byte {place}: the file is cut")), "{message}");
    }
    // A bit flipped anywhere.
    for at in (0..place).step_by(5) {
        let mut second = good.clone();
        second[at] ^= 0x10;
        let message = run(&[&good[..], &second].concat());
        assert!(
            message.starts_with(&format!("byte {place}: ")) && message.contains("corrupted"),
            "{message}"
        );
    }
    let with = |metrics: &[u8]| run(&[&good[..], &row(&cell, 108, metrics)].concat());
    let byte = format!("byte {place}: the record ");
    assert_eq!(
        with(&metrics(1.5, 0.5, 1)),
        format!("{byte}has metrics that have an accuracy that is not from 0 to 1")
    );
    assert_eq!(with(&metrics(0.5, 0.5, 1)[..20]), format!("{byte}has metrics that are cut"));
    assert_eq!(with(&[]), format!("{byte}has metrics that do not have three evaluations"));
    let text = |text: &str| run(&[&good[..], &record(text.as_bytes())].concat());
    assert!(text("[1]").starts_with(&format!("{byte}is no row of NAS-Bench-101: ")));
    assert!(
        text(r#"["x", 108, "01", "input,output", "!"]"#)
            .starts_with(&format!("{byte}has metrics that are no base64"))
    );
    let metrics = base64::prelude::BASE64_STANDARD.encode(metrics(0.5, 0.5, 1));
    assert_eq!(
        text(&format!(r#"["x", 108, "0a00", "input,output", "{metrics}"]"#)),
        format!(
            "{byte}has a cell that is none: nasbench101: row 0, column 1 of the adjacency matrix is 255, not 0 or 1"
        )
    );
    assert_eq!(run(b""), "holds no trainings of 108 epochs: it is empty");
    assert_eq!(run(&row(&cell, 36, &[])), "holds no trainings of 108 epochs: it has 36");
}
