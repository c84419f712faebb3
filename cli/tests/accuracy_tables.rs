//! Benchmarks' own files become tables, and damaged ones say where.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::Read;
use std::process::Output;

use base64::Engine;
use common::folder::Folder;
use naswot::Architecture;
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
        text(&format!(r#"["{}", 108, "0a00", "input,output", "{metrics}"]"#, "0".repeat(32))),
        format!(
            "{byte}has a cell that is none: nasbench101: row 0, column 1 of the adjacency matrix is 255, not 0 or 1"
        )
    );
    assert_eq!(run(b""), "holds no trainings of 108 epochs: it is empty");
    assert_eq!(run(&row(&cell, 36, &[])), "holds no trainings of 108 epochs: it has 36");
}

#[test]
fn a_hash_is_that_of_its_cell() {
    let folder = Folder::new();
    let cell = |arch: &str| arch.parse::<Cell>().unwrap();
    let run = |rows: &[(&str, &str)]| {
        let metrics = base64::prelude::BASE64_STANDARD.encode(metrics(0.9, 0.8, 5));
        let row = |(hash, cell): &(&str, &str)| {
            record(
                serde_json::json!([hash, 108, "CELL", "OPS", metrics])
                    .to_string()
                    .replace("\"CELL\",\"OPS\"", cell)
                    .as_bytes(),
            )
        };
        fs::write(folder.path("file.tfrecord"), rows.iter().flat_map(row).collect::<Vec<u8>>()).unwrap();
        table(&folder, "file.tfrecord")
    };
    let [conv3, conv1] =
        [r#""011001000","input,conv3x3-bn-relu,output""#, r#""011001000","input,conv1x1-bn-relu,output""#];
    let own = |arch: &str| Architecture::from(cell(arch)).id();
    let (of_conv3, of_conv1) = (own("011001000/0"), own("011001000/1"));
    let (code, stdout, _) = run(&[(&of_conv3, conv3), (&of_conv1, conv1), (&of_conv3, conv3)]);
    assert_eq!((code, stdout.lines().count()), (0, 3));

    for (hash, cell) in
        [(of_conv1.as_str(), conv3), (&of_conv3.replace(|c: char| c.is_ascii_digit(), "0"), conv3)]
    {
        // Whether it comes first, or repeats the hash of another cell.
        for rows in [&[(hash, cell)][..], &[(&of_conv1, conv1), (hash, cell)]] {
            let (code, stdout, stderr) = run(rows);
            assert_eq!((code, stdout.as_str()), (2, ""));
            assert!(
                stderr.contains(&format!(
                    "the record has the hash {hash}, and a cell, 011001000/0, whose hash is {of_conv3}"
                )),
                "{stderr}"
            );
        }
    }
    for hash in
        ["", "aa", "=1+2,\"x\nff", &of_conv3.to_uppercase(), &format!("{of_conv3}0"), &"\u{1b}".repeat(32)]
    {
        let (code, stdout, stderr) = run(&[(hash, conv3)]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.contains("`, not 32 hexadecimal digits\n") && !stderr.contains('\u{1b}'), "{stderr}");
    }
    // Another spelling of one cell: its middle vertices change places.
    let spelt = |first: &str, second: &str| {
        let matrix = "0110".to_owned() + "0001" + "0001" + "0000";
        format!("\"{matrix}\",\"input,{first},{second},output\"")
    };
    let [conv, pool] = ["conv1x1-bn-relu", "maxpool3x3"];
    let hash = own("0110000100010000/12");
    let (code, stdout, stderr) = run(&[(&hash, &spelt(conv, pool)), (&hash, &spelt(pool, conv))]);
    assert_eq!((code, stdout.lines().count()), (0, 2), "{stderr}");
    assert!(
        stdout.lines().nth(1).unwrap().starts_with(&format!("{hash},0110000100010000/12,108,2,")),
        "{stdout}"
    );
}

/// A value, as `pickle` of protocol 4 writes it.
enum Pickled {
    None,
    Set,
    Integer(i32),
    Real(f64),
    Text(String),
    Tuple([Box<Pickled>; 2]),
    Dict(Vec<(Pickled, Pickled)>),
}

impl Pickled {
    fn text(text: &str) -> Self {
        Pickled::Text(text.to_owned())
    }

    /// A dictionary of texts.
    fn dict<const N: usize>(entries: [(&str, Pickled); N]) -> Self {
        Pickled::Dict(entries.map(|(key, value)| (Pickled::text(key), value)).into())
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Pickled::None => to.push(b'N'),
            Pickled::Set => to.push(0x8f),
            Pickled::Integer(integer) => to.extend([&b"J"[..], &integer.to_le_bytes()].concat()),
            Pickled::Real(real) => to.extend([&b"G"[..], &real.to_be_bytes()].concat()),
            Pickled::Text(text) => to.extend([&[0x8c, text.len() as u8], text.as_bytes(), b"\x94"].concat()),
            Pickled::Tuple(items) => {
                items.iter().for_each(|item| item.write(to));
                to.extend(b"\x86\x94");
            }
            Pickled::Dict(entries) => {
                to.extend(b"}\x94(");
                for (key, value) in entries {
                    key.write(to);
                    value.write(to);
                }
                to.push(b'u');
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"\x80\x04".to_vec();
        self.write(&mut bytes);
        bytes.push(b'.');
        bytes
    }
}

/// A training: its data set, its seed and its evaluations.
type Training<'a> = (&'a str, i32, &'a [(&'a str, f64)]);

/// The results of some trainings.
fn results(index: i32, arch: &str, epochs: i32, trainings: &[Training]) -> Pickled {
    let training = |&(data_set, seed, evaluations): &Training| {
        let last = |&(set, accuracy): &(&str, f64)| {
            let (first, last) =
                (Pickled::Text(format!("{set}@0")), Pickled::Text(format!("{set}@{}", epochs - 1)));
            [(first, Pickled::Real(1.0)), (last, Pickled::Real(accuracy))]
        };
        let key = Pickled::Tuple([Pickled::text(data_set).into(), Pickled::Integer(seed).into()]);
        let training = Pickled::dict([
            ("train_acc1es", Pickled::Dict(vec![(Pickled::Integer(0), Pickled::Real(12.5))])),
            ("epochs", Pickled::Integer(epochs)),
            ("eval_acc1es", Pickled::Dict(evaluations.iter().flat_map(last).collect())),
            ("net_state_dict", Pickled::None),
        ]);
        (key, training)
    };
    Pickled::dict([
        ("arch_index", Pickled::Integer(index)),
        ("arch_str", Pickled::text(arch)),
        ("all_results", Pickled::Dict(trainings.iter().map(training).collect())),
    ])
}

const FIRST: &str =
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|";
const SECOND: &str =
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|";

/// The results of the first two cells of the benchmark, by the names of the hyperparameters.
fn two_cells(long: &str, short: &str) -> [Pickled; 2] {
    let first = Pickled::dict([
        (short, results(0, FIRST, 12, &[("cifar10-valid", 777, &[("x-valid", 60.5)])])),
        (
            long,
            results(
                0,
                FIRST,
                200,
                &[
                    ("cifar10-valid", 777, &[("x-valid", 80.0), ("ori-test", 1.0)]),
                    ("cifar10-valid", 888, &[("x-valid", 81.0)]),
                    ("cifar10", 777, &[("ori-test", 85.5)]),
                    ("cifar100", 777, &[("x-valid", 50.0), ("x-test", 51.0), ("ori-test", 2.0)]),
                    ("ImageNet16-120", 777, &[("x-valid", 30.0), ("x-test", 31.0)]),
                ],
            ),
        ),
    ]);
    let second = Pickled::dict([
        (short, results(1, SECOND, 12, &[])),
        (long, results(1, SECOND, 200, &[("cifar10", 111, &[("ori-test", 93.25)]), ("cifar100", 1, &[])])),
    ]);
    [first, second]
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    bzip2::bufread::BzEncoder::new(bytes, bzip2::Compression::fast()).read_to_end(&mut compressed).unwrap();
    compressed
}

fn table201(folder: &Folder, arguments: &str) -> (i32, String, String) {
    let output = folder.command(&format!("table nasbench201 {arguments}")).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_form_of_nas_bench_201_is_the_same_table() {
    let folder = Folder::new();
    fs::create_dir(folder.path("simple")).unwrap();
    for (name, cell) in ["000001", "000000"].iter().zip(two_cells("200", "12").iter().rev()) {
        fs::write(folder.path(&format!("simple/{name}.pickle.pbz2")), bzip2(&cell.bytes())).unwrap();
    }
    fs::write(folder.path("simple/meta.pickle.pbz2"), b"not looked at").unwrap();
    let archive = |cells: [Pickled; 2]| {
        let cells = (0..).map(Pickled::Integer).zip(cells);
        Pickled::dict([
            ("meta_archs", Pickled::None),
            ("arch2infos", Pickled::Dict(cells.collect())),
            ("evaluated_indexes", Pickled::Set),
        ])
    };
    fs::write(folder.path("all.pickle.pbz2"), bzip2(&archive(two_cells("200", "12")).bytes())).unwrap();
    let torch = [
        &b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."[..],
        b"\x80\x02M\xe9\x03.",
        &Pickled::dict([("little_endian", Pickled::None)]).bytes(),
        &archive(two_cells("full", "less")).bytes(),
        b"\x80\x02].",
    ]
    .concat();
    fs::write(folder.path("all.pth"), torch).unwrap();

    let header = "index,arch,epochs,cifar10_valid,cifar10_test,cifar100_valid,cifar100_test,imagenet16_valid,imagenet16_test";
    for file in ["simple", "all.pickle.pbz2", "all.pth"] {
        let expected = format!("{header}\n0,{FIRST},200,80.5,85.5,50,51,30,31\n1,{SECOND},200,,93.25,,,,\n");
        assert_eq!(table201(&folder, file), (0, expected, String::new()), "{file}");
        let expected = format!("{header}\n0,{FIRST},12,60.5,,,,,\n1,{SECOND},12,,,,,,\n");
        assert_eq!(table201(&folder, &format!("{file} --epochs 12")), (0, expected, String::new()), "{file}");
    }
    let one = format!("{header}\n1,{SECOND},200,,93.25,,,,\n");
    assert_eq!(table201(&folder, "simple/000001.pickle.pbz2"), (0, one, String::new()));
    // It is joined by its cells, whatever their spelling.
    fs::write(folder.path("cells.txt"), "#0\n#1\n").unwrap();
    assert_eq!(table201(&folder, "simple -o table.csv").0, 0);
    let scored = folder
        .command("score --space nasbench201 --only cells.txt --batch-size 4 -o scores.csv")
        .output()
        .unwrap();
    assert!(scored.status.success());
    let joined =
        folder.command("correlate scores.csv --accuracy table.csv --column cifar10_test").output().unwrap();
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
}

#[test]
fn what_is_no_file_of_nas_bench_201_is_named() {
    let folder = Folder::new();
    let refused = |bytes: &[u8], expected: &str| {
        fs::write(folder.path("file"), bytes).unwrap();
        let (code, _, stderr) = table201(&folder, "file");
        assert_eq!((code, stderr.as_str()), (2, format!("error: file: {expected}\n").as_str()));
    };
    let [first, _] = two_cells("200", "12");
    let whole = first.bytes();
    refused(b"", "is no pickle of NAS-Bench-201 or NATS-Bench, nor one compressed by bzip2");
    refused(&whole[..40], "is a pickle that cannot be read: at byte 31, it ends in the middle");
    refused(b"PK\x03\x04", "is a ZIP archive, which PyTorch 1.6 and later write: open it in Python");
    let bomb = [b"\x80\x02", &b"N0".repeat(16 << 20)[..], b"."].concat();
    refused(
        &bzip2(&bomb),
        "is a pickle that cannot be read: at byte 18350080, unpacks to over 200 times its size and over 16 MiB: where that is right, \
         unpack it first",
    );
    let tar = [&[0; 257][..], b"ustar"].concat();
    refused(&tar, "is an archive of files: unpack it by tar -xf, and name the folder");
    refused(&Pickled::None.bytes(), "is a pickle without the results of a cell (`200` or `full`)");
    let meta = Pickled::dict([("arch2infos", Pickled::None)]);
    refused(
        &meta.bytes(),
        "has no results of cells (meta.pickle.pbz2 has none: name the folder that it is in)",
    );
    let sizes = Pickled::dict([("90", results(0, "8:8:8:8:8", 90, &[]))]);
    refused(
        &sizes.bytes(),
        "is of NATS-Bench's size space, which is another one (NATS-sss): the cells are in NATS-tss",
    );
    let other = Pickled::dict([("200", results(7, FIRST, 200, &[]))]);
    refused(&other.bytes(), &format!("has {FIRST} under number 7, which is number 0 of the benchmark"));
    let accuracy =
        Pickled::dict([("200", results(0, FIRST, 200, &[("cifar10", 1, &[("ori-test", 101.0)])]))]);
    refused(&accuracy.bytes(), "cell 0, cifar10, ori-test: an accuracy that is not from 0 to 100");
    let tensors = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.";
    refused(
        tensors,
        "is a pickle that cannot be read: at byte 2, it needs Python's `torch._utils._rebuild_tensor_v2` (it holds \
         tensors of PyTorch), and naswot runs nothing of Python",
    );
    let (code, _, stderr) = table201(&folder, ".");
    let expected =
        "holds no files of cells (000000.pickle.pbz2 and so on), as NATS-tss-v1_0-3ffb9-simple does";
    assert_eq!((code, stderr), (2, format!("error: .: {expected}\n")));
    let (code, _, stderr) = table201(&folder, "file --epochs 108");
    assert_eq!(
        (code, stderr.as_str()),
        (2, "error: --epochs 108: cells were trained for 12 and for 200 epochs\n")
    );
}
