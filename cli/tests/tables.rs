//! Tables that people bring are read as they are, and what is in doubt about them is said.
#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::process::Output;

use common::folder::{Folder, csv_fields, networks, without_seconds};
use naswot::{Space, nasbench201};

/// Runs a command to the end: its exit code, standard output and standard error.
fn run(folder: &Folder, arguments: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = folder.command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What a command that succeeds prints.
#[track_caller]
fn done(folder: &Folder, arguments: &str) -> (String, String) {
    let (code, stdout, stderr) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments}: {stderr}");
    (stdout, stderr)
}

/// The error of a command that cannot start.
#[track_caller]
fn refused(folder: &Folder, arguments: &str) -> String {
    let (code, _, stderr) = run(folder, arguments);
    assert_eq!(code, 2, "{arguments}: {stderr}");
    stderr
}

/// What `correlate` prints behind a word in front of a line.
#[track_caller]
fn figure(report: &str, name: &str) -> String {
    let found = report.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name}: {report}")).trim().to_owned()
}

/// Forty networks, each with a score, and an accuracy that goes up with it.
fn scores(folder: &Folder) {
    let rows: String = (0..40).map(|i| format!("n{i},{i}\n")).collect();
    folder.write("scores.csv", &("id,score\n".to_owned() + &rows));
}

#[test]
fn an_accuracy_is_found_by_the_words_of_its_name() {
    let folder = Folder::new();
    scores(&folder);
    let table = |name: &str, header: &str| {
        let rows: String =
            (0..40).map(|i| format!("n{i},{},{}\n", 0.9 - 0.01 * f64::from(i), 50 + i)).collect();
        folder.write(name, &format!("id,{header}\n{rows}"));
    };
    for (header, column) in [
        ("test_loss,top1", "top1"),
        ("latest_epoch,Top-1", "Top-1"),
        ("accelerator,valAcc", "valAcc"),
        ("test error,test.accuracy", "test.accuracy"),
        ("acc_std,acc", "acc"),
    ] {
        table("table.csv", header);
        let (report, said) = done(&folder, "correlate scores.csv --accuracy table.csv --bootstrap 0");
        assert_eq!(figure(&report, "accuracy"), format!("{column} (percent)"), "{header}");
        assert_eq!((figure(&report, "Kendall tau-b"), said.as_str()), ("1.0000".to_owned(), ""));
    }
    for (header, message) in [
        (
            "valid_acc,test_acc",
            "several are named like an accuracy: valid_acc, test_acc; --column says which it is",
        ),
        ("test_loss,latest_epoch", "none is named like an accuracy; --column says which it is"),
        ("top1_error,time", "none is named like an accuracy; --column says which it is"),
    ] {
        table("table.csv", header);
        for command in
            ["correlate scores.csv", "plot scatter scores.csv -o plot.svg", "search --space nasbench201"]
        {
            let said = refused(&folder, &format!("{command} --accuracy table.csv"));
            assert_eq!(
                said,
                format!("error: table.csv: of its columns (id, {}) {message}\n", header.replace(',', ", "))
            );
        }
    }
}

#[test]
fn a_loss_is_compared_by_its_negative_when_told() {
    let folder = Folder::new();
    scores(&folder);
    let rows: String = (0..40).map(|i| format!("n{i},{}\n", 2.0 - 0.01 * f64::from(i))).collect();
    folder.write("table.csv", &("id,test_loss\n".to_owned() + &rows));
    let correlate = "correlate scores.csv --accuracy table.csv --bootstrap 0 --column test_loss";
    let (report, said) = done(&folder, correlate);
    assert_eq!(figure(&report, "Kendall tau-b"), "-1.0000");
    assert_eq!(
        said,
        "warning: table.csv: test_loss is named like a loss or an error; if it is, add --lower-is-better\n"
    );
    let (report, said) = done(&folder, &format!("{correlate} --lower-is-better"));
    assert_eq!((figure(&report, "Kendall tau-b"), said.as_str()), ("1.0000".to_owned(), ""));
    assert_eq!(figure(&report, "accuracy"), "-test_loss (neither fractions nor percent)");
    assert!(figure(&report, "top 10").starts_with("1.00 of them"), "{report}");
    done(
        &folder,
        "plot scatter scores.csv --accuracy table.csv --column test_loss --lower-is-better -o loss.svg",
    );
    assert!(folder.read("loss.svg").contains("-test_loss"));
}

#[test]
fn numbers_that_stand_for_minus_infinity_are_pointed_out() {
    let folder = Folder::new();
    scores(&folder);
    let rows: String = (0..40).map(|i| format!("n{i},{}\n", 50 + i * 7 % 40)).collect();
    folder.write("table.csv", &("id,acc\n".to_owned() + &rows));
    let correlate = "correlate scores.csv --accuracy table.csv --bootstrap 0";
    let text = folder.read("scores.csv");
    folder.write("scores.csv", &text.replace("n0,0\n", "n0,-inf\n"));
    let (infinite, said) = done(&folder, correlate);
    assert_eq!(said, "");
    folder.write("scores.csv", &text.replace("n0,0\n", "n0,-1e8\n"));
    let warning = "warning: scores.csv: 1 score is at or under -1e7, as some files write -inf; --minus-inf -1e7 takes them for it\n";
    let (finite, said) = done(&folder, correlate);
    assert_eq!(said, warning);
    assert_ne!(figure(&finite, "Pearson r"), figure(&infinite, "Pearson r"));
    assert_eq!(done(&folder, &format!("{correlate} --minus-inf -1e7")), (infinite, String::new()));
    for kind in ["histogram", "scatter --accuracy table.csv"] {
        let plot = format!("plot {kind} scores.csv -o plot.svg --force");
        assert_eq!(done(&folder, &plot).1, warning, "{kind}");
        assert_eq!(done(&folder, &format!("{plot} --minus-inf -10000000")).1, "", "{kind}");
    }
    assert!(refused(&folder, &format!("{correlate} --minus-inf -inf")).contains("must be a finite number"));
}

/// Four networks with scores and accuracies, as a table of these columns with commas between.
const TABLE: &str = "arch,test_acc\na,91.5\nb,92.25\nc,93.66\nd,90\n";

#[test]
fn tables_are_read_in_every_form() {
    let folder = Folder::new();
    folder.write("scores.csv", "arch,score\na,2\nb,3\nc,4\nd,1\n");
    folder.write("plain.csv", TABLE);
    folder.write("tab.tsv", &TABLE.replace(',', "\t"));
    folder.write("semicolon.csv", &TABLE.replace(',', ";").replace('.', ","));
    folder.write("mark.csv", &format!("\u{feff}{TABLE}"));
    folder.write("windows.csv", &format!("\u{feff}{}", TABLE.replace('\n', "\r\n\r\n")));
    let record = |line: &str| {
        let (arch, accuracy) = line.split_once(',').unwrap();
        format!("{{\"arch\": \"{arch}\", \"test_acc\": {accuracy}}}")
    };
    let records: Vec<String> = TABLE.lines().skip(1).map(record).collect();
    folder.write("lines.jsonl", &format!("\u{feff}{}\n", records.join("\n")));
    folder.write("no_ending", &records.join("\n"));
    folder.write("records.json", &format!("\n[{}]", records.join(",\n ")));
    let gzip = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, bytes).unwrap();
        packed.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    // A file of several parts is what `cat` makes.
    let (head, rest) = TABLE.as_bytes().split_at(20);
    fs::write(folder.path("packed.csv.gz"), [gzip(head), gzip(rest)].concat()).unwrap();
    fs::write(folder.path("packed.csv.zst"), [zstd(head), zstd(rest)].concat()).unwrap();
    fs::write(folder.path("packed_lines.csv"), zstd(records.join("\n").as_bytes())).unwrap();
    let correlate = |table: &str| {
        done(&folder, &format!("correlate scores.csv --accuracy {table} --bootstrap 0 --json")).0
    };
    let plain = correlate("plain.csv");
    assert!(plain.contains("\"networks\":4,"), "{plain}");
    for table in [
        "tab.tsv",
        "semicolon.csv",
        "mark.csv",
        "windows.csv",
        "lines.jsonl",
        "no_ending",
        "records.json",
        "packed.csv.gz",
        "packed.csv.zst",
        "packed_lines.csv",
    ] {
        assert_eq!(correlate(table), plain, "{table}");
        let input = File::open(folder.path(table)).unwrap();
        let mut command = folder.command("correlate scores.csv --accuracy - --bootstrap 0 --json");
        let Output { stdout, .. } = command.stdin(input).output().unwrap();
        assert_eq!(String::from_utf8(stdout).unwrap(), plain, "{table} from standard input");
    }
}

#[test]
#[cfg(feature = "parquet")]
fn parquet_is_read_as_other_programs_compress_it() {
    let folder = Folder::new();
    for compression in ["zstd", "snappy", "gzip", "lz4", "brotli"] {
        // Written by polars 2.1, with the columns `arch` and `test_acc`, which has 93.66, nothing and 10.
        let file = format!("{}/tests/parquet/{compression}.parquet", env!("CARGO_MANIFEST_DIR"));
        fs::copy(file, folder.path("table.parquet")).unwrap();
        folder.write(
            "scores.csv",
            "arch,score\n|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|,1\n\
             |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|,2\n\
             |avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|,3\n",
        );
        let correlate = "correlate scores.csv --accuracy table.parquet --bootstrap 0";
        if compression == "brotli" {
            let message = "is Parquet compressed with brotli, which this naswot does not unpack: write it with \
                           compression zstd, snappy, gzip or lz4";
            assert_eq!(refused(&folder, correlate), format!("error: table.parquet: {message}\n"));
            continue;
        }
        let (report, _) = done(&folder, correlate);
        let networks = "2 of 3 rows (left out: 0 failed, 1 without an accuracy, 0 repeated)";
        assert_eq!(figure(&report, "networks"), networks, "{compression}");
        assert_eq!(figure(&report, "Kendall tau-b"), "1.0000", "{compression}");
        folder.run("table.parquet -o scored.csv --force", 0);
        assert_eq!(folder.read("scored.csv").lines().count(), 4);
    }
}

#[test]
fn arrays_of_numpy_are_tables_by_the_benchmarks_own_numbers() {
    let folder = Folder::new();
    let npy = |name: &str, descr: &str, shape: &str, data: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let bytes = [b"\x93NUMPY\x01\x00\x76\x00", format!("{header:<117}\n").as_bytes(), data].concat();
        fs::write(folder.path(name), bytes).unwrap();
    };
    let cells: Vec<String> =
        (0..4).map(|number| Space::NasBench201.parse_arch(&format!("#{number}")).unwrap().arch()).collect();
    folder.write("scores.csv", &format!("arch,score\n{},1\n{},2\n{},3\n", cells[3], cells[0], cells[2]));
    // Numbers 0 to 3, of which 1 was not trained.
    let accuracies = [90.5f32, f32::NAN, 93.0, 80.0];
    let bytes: Vec<u8> = accuracies.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("one.npy", "<f4", "(4,)", &bytes);
    let pairs: Vec<u8> =
        accuracies.iter().flat_map(|value| [0.0f32, *value]).flat_map(f32::to_le_bytes).collect();
    npy("two.npy", "<f4", "(4, 2)", &pairs);
    npy("three.npy", "<f4", "(1, 4, 1)", &bytes);
    for (table, column) in [("one", "value"), ("two", "1")] {
        let options = format!("--accuracy {table}.npy --key index --column {column} --bootstrap 0");
        let (report, _) = done(&folder, &format!("correlate scores.csv {options}"));
        assert_eq!(figure(&report, "networks"), "3 of 3 rows");
        assert_eq!(figure(&report, "Kendall tau-b"), "1.0000");
    }
    let refused = |table: &str| refused(&folder, &format!("correlate scores.csv --accuracy {table}.npy"));
    assert!(
        refused("one").starts_with("error: one.npy: of its columns (index, value) none is `id`"),
        "{}",
        refused("one")
    );
    assert!(refused("three").starts_with("error: three.npy: is a NumPy array of 3 axes;"));
}

#[test]
fn standard_input_is_read_as_a_file_is_and_once() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 40);
    folder.run("cells.jsonl -o scores.csv", 0);
    let table: String =
        folder.read("scores.csv").lines().skip(1).map(|row| csv_fields(row)[3].clone() + ",1\n").collect();
    folder.write("table.csv", &format!("hash,acc\n{}", table.replacen(",1", ",2", 1)));
    let printed = |arguments: &str, input: &str, code: i32| {
        let mut command = folder.command(arguments);
        let output = command.stdin(File::open(folder.path(input)).unwrap()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments} < {input}: {stderr}");
        (String::from_utf8(output.stdout).unwrap(), stderr)
    };
    // What a command prints or writes of a file, and of standard input.
    for (command, input) in [
        ("correlate FILE --accuracy table.csv --bootstrap 0 --json", "scores.csv"),
        ("correlate scores.csv --accuracy FILE --bootstrap 0 --json", "table.csv"),
        ("convert FILE -o out.jsonl --force", "scores.csv"),
        ("merge FILE -o out.csv --force", "scores.csv"),
        ("report FILE --accuracy table.csv -o out.html --force", "scores.csv"),
        ("report scores.csv --accuracy FILE -o out.html --force", "table.csv"),
        ("plot scatter FILE --accuracy table.csv -o out.svg --force", "scores.csv"),
        ("plot histogram FILE -o out.svg --force", "scores.csv"),
        ("plot cell FILE --row 7 -o out.svg --force", "scores.csv"),
        ("hash FILE", "scores.csv"),
        ("canon FILE", "table.csv"),
        ("plan FILE --json", "scores.csv"),
    ] {
        let written = || {
            let out = command.split_whitespace().find(|word| word.starts_with("out."));
            out.map_or(String::new(), |out| folder.read(out).replace(input, "-"))
        };
        let of_file = (done(&folder, &command.replace("FILE", input)).0.replace(input, "-"), written());
        let of_stdin = (printed(&command.replace("FILE", "-"), input, 0).0, written());
        assert_eq!(of_stdin, of_file, "{command}");
    }
    let score = "score --data npy:images.npy --stem 4 --cells 1";
    let scores = |arguments: &str| {
        let (rows, _) = printed(&format!("{score} {arguments}"), "scores.csv", 0);
        rows.lines().skip(1).map(|row| csv_fields(row)[3..9].to_vec()).collect::<Vec<_>>()
    };
    let expected: Vec<Vec<String>> =
        folder.read("scores.csv").lines().skip(1).map(|row| csv_fields(row)[3..9].to_vec()).collect();
    assert_eq!(scores("-"), expected);
    for twice in [
        "correlate - --accuracy - --column score",
        "report - --accuracy - -o twice.html",
        "merge - - -o twice.csv",
    ] {
        let message =
            "error: -: standard input is named twice, and can be read once: save it to a file first\n";
        assert_eq!(printed(twice, "scores.csv", 2).1, message, "{twice}");
    }
    let parquet = format!("{}/tests/parquet/zstd.parquet", env!("CARGO_MANIFEST_DIR"));
    fs::copy(parquet, folder.path("zstd.parquet")).unwrap();
    let message =
        "error: -: is Parquet, which is read from a plain file alone: neither packed nor from a pipe\n";
    for command in ["correlate - --accuracy table.csv", "convert - -o twice.csv", &format!("{score} -")] {
        assert_eq!(printed(command, "zstd.parquet", 2).1, message, "{command}");
    }
}

#[test]
fn what_is_no_table_is_named() {
    let folder = Folder::new();
    folder.write("scores.csv", "arch,score\na,2\nb,3\n");
    let utf_16: Vec<u8> = "\u{feff}arch,acc\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, message) in [
        ("accs.pickle", &b"\x80\x04\x95\x10"[..], "is a pickle, not text; load it in Python"),
        ("accs.csv", b"PK\x03\x04\x14\x00", "is a zip archive, as .xlsx, .npz and .pt files are"),
        ("page.csv", b"<!DOCTYPE html>\n<html>", "is a page in HTML or XML, not a table"),
        ("pointer.csv", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("wide.csv", &utf_16, "is UTF-16; save it as UTF-8"),
        ("object.json", b"{\n \"arch\": 1}", "is not a row in JSON"),
        ("numbers.json", b"[1, 2]", "is not an array of records in JSON"),
    ] {
        fs::write(folder.path(name), bytes).unwrap();
        let place = format!("error: {name}:");
        for command in [
            format!("correlate scores.csv --accuracy {name}"),
            format!("correlate {name} --accuracy scores.csv --column score"),
            format!("convert {name} -o out.csv"),
        ] {
            let said = refused(&folder, &command);
            assert!(
                said.starts_with(&place) && (said.contains(message) || command.starts_with("convert")),
                "{said}"
            );
        }
        let said = refused(&folder, &format!("table nasbench101 {name}"));
        assert!(!said.contains("corrupted"), "{said}");
    }
    folder.write("empty.csv", "\n");
    let said = refused(&folder, "correlate scores.csv --accuracy empty.csv");
    assert_eq!(said, "error: empty.csv: is empty\n");
    folder.write("keys.json", "{\"|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|\": 0.5}");
    folder.write("nested.json", "{\"cifar10\": {\"(4, 0, 3, 1, 4, 3)\": {\"val_accuracy\": 84.99}}}");
    for name in ["keys.json", "nested.json"] {
        let said = refused(&folder, &format!("correlate scores.csv --accuracy {name}"));
        let message = "is one object of JSON, and a table has a record for each network, such as ";
        assert!(said.starts_with(&format!("error: {name}: {message}")), "{said}");
    }
    fs::write(folder.path("nb.tfrecord.gz"), b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c").unwrap();
    folder.write("nb.csv", "hash,accuracy\na,1\n");
    for (name, message) in [
        ("nb.tfrecord.gz", "is compressed; unpack it first"),
        ("nb.csv", "is no file of TensorFlow records: it does not begin as they do"),
    ] {
        let said = refused(&folder, &format!("table nasbench101 {name}"));
        assert_eq!(said, format!("error: {name}: byte 0: {message}\n"));
    }
}

#[test]
fn what_other_programs_write_for_nothing_is_missing_and_counted() {
    let folder = Folder::new();
    let words = ["nan", "NA", "None", "null", "-", "", "NaN", "<NA>"];
    let rows = |value: &dyn Fn(usize) -> String| -> String {
        (0..40).map(|i| format!("n{i},{}\n", value(i))).collect()
    };
    folder.write("scores.csv", &("id,score\n".to_owned() + &rows(&|i| i.to_string())));
    let some = rows(&|i| words.get(i).map_or(i.to_string(), |word| (*word).to_owned()));
    folder.write("table.csv", &format!("id,acc\n{some}"));
    folder.write("all.csv", &("id,acc\n".to_owned() + &rows(&|i| i.to_string())));
    let (report, _) = done(&folder, "correlate scores.csv --accuracy table.csv --bootstrap 0");
    assert_eq!(
        figure(&report, "networks"),
        "32 of 40 rows (left out: 0 failed, 8 without an accuracy, 0 repeated)"
    );
    folder.write("scores.csv", &format!("id,score\n{some}"));
    let (report, _) = done(&folder, "correlate scores.csv --accuracy all.csv --bootstrap 0");
    assert_eq!(
        figure(&report, "networks"),
        "32 of 40 rows (left out: 8 failed, 0 without an accuracy, 0 repeated)"
    );
    // As Python's json writes them.
    let lines = rows(&|i| match i {
        0 => "NaN".to_owned(),
        1 => "-Infinity".to_owned(),
        i => i.to_string(),
    });
    let lines: Vec<String> = lines
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(id, score)| format!("{{\"id\": \"{id}\", \"score\": {score}}}"))
        .collect();
    folder.write("scores.jsonl", &lines.join("\n"));
    let (report, _) = done(&folder, "correlate scores.jsonl --accuracy all.csv --bootstrap 0");
    assert_eq!(
        figure(&report, "networks"),
        "39 of 40 rows (left out: 1 failed, 0 without an accuracy, 0 repeated)"
    );
    assert_eq!(figure(&report, "-inf"), "1 (the lowest rank; left out of Pearson)");
}

#[test]
fn rows_that_pandas_has_saved_again_are_read() {
    let folder = Folder::new();
    folder.write("cells.jsonl", &(networks(3).join("\n") + "\nno cell\n"));
    folder.run("cells.jsonl -o scores.csv", 1);
    let rows = folder.read("scores.csv");
    // A column of integers with something missing becomes one of reals.
    let fraction = |(place, field): (usize, String)| match place {
        6..=8 if !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit()) => field + ".0",
        _ if field.contains([',', '"']) => format!("\"{}\"", field.replace('"', "\"\"")),
        _ => field,
    };
    let saved: Vec<String> = rows
        .lines()
        .map(|line| csv_fields(line).into_iter().enumerate().map(fraction).collect::<Vec<_>>().join(","))
        .collect();
    assert!(saved[1].contains(".0,"), "{}", saved[1]);
    folder.write("saved.csv", &format!("\u{feff}{}\r\n", saved.join("\r\n")));
    folder.write("saved.tsv", &rows.replace(',', "\t").replace("nwot\tswap", "nwot,swap"));
    for command in ["convert saved.csv", "merge saved.csv"] {
        done(&folder, &format!("{command} -o again.csv --force"));
        assert_eq!(folder.read("again.csv"), rows, "{command}");
    }
    done(&folder, "report saved.csv -o page.html");
    done(&folder, "plot histogram saved.csv -o plot.svg");
    // Rows are added to what this command has written alone.
    let stderr = folder.run("cells.jsonl -o saved.csv --resume", 2);
    assert!(stderr.starts_with("error: saved.csv:1: is not the header"), "{stderr}");
    if cfg!(feature = "parquet") {
        done(&folder, "convert scores.csv -o scores.parquet");
        fs::rename(folder.path("scores.parquet"), folder.path("renamed")).unwrap();
        done(&folder, "merge renamed -o merged.csv");
        assert_eq!(folder.read("merged.csv"), rows);
        done(&folder, "report renamed -o page.html --force");
        done(&folder, "plot histogram renamed -o plot.svg --force");
        fs::rename(folder.path("renamed"), folder.path("scores.parquet")).unwrap();
        done(&folder, "plot cell scores.parquet --row 0 -o plot.svg --force");
    }
}

#[test]
fn cells_and_names_are_read_behind_a_mark_and_unpacked() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    let cells = folder.read("cells.jsonl");
    let scored = |arguments: &str| {
        folder.run(&format!("{arguments} -o out.csv --force"), 0);
        without_seconds(&folder.read("out.csv"))
    };
    let plain = scored("cells.jsonl");
    folder.write("mark.jsonl", &format!("\u{feff}{cells}"));
    assert_eq!(scored("mark.jsonl"), plain);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, cells.as_bytes()).unwrap();
    fs::write(folder.path("cells.jsonl.gz"), packed.finish().unwrap()).unwrap();
    assert_eq!(scored("cells.jsonl.gz"), plain);
    let arch = "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|\n";
    folder.write("only.txt", arch);
    let named = scored("--space nasbench201 --only only.txt");
    folder.write("only.txt", &format!("\u{feff}{arch}"));
    assert_eq!(scored("--space nasbench201 --only only.txt"), named);
    let stderr = folder.run("images.npy", 2);
    assert!(stderr.starts_with("error: images.npy: is a NumPy array, not text"), "{stderr}");
}

/// 32 MiB in some kilobytes, wherever text is read; and a file within another, as one that unpacks to itself is.
#[test]
fn what_is_made_to_fill_a_memory_is_refused() {
    let folder = Folder::new();
    scores(&folder);
    let gzip = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, bytes).unwrap();
        packed.finish().unwrap()
    };
    let commands = [
        "correlate scores.csv --accuracy bomb",
        "convert bomb -o rows.csv",
        "score --space nasbench201 --only bomb",
        "plot cell bomb --row 100000000 -o cell.svg",
        "plot matrix bomb -o matrix.svg",
    ];
    let zeros = "0,1\n".repeat(8 << 20);
    let lines = format!("id,test_acc\n{zeros}");
    for packed in [gzip(lines.as_bytes()), zstd::encode_all(lines.as_bytes(), 3).unwrap()] {
        assert!(packed.len() < 40_000);
        fs::write(folder.path("bomb"), &packed).unwrap();
        for command in [commands[0], commands[4]] {
            let said = refused(&folder, command);
            assert_eq!(
                said,
                "error: bomb: unpacks to over 200 times its size and over 16 MiB: where that is right, unpack it first\n"
            );
        }
    }
    fs::write(folder.path("bomb"), gzip(&gzip(zeros.as_bytes()))).unwrap();
    for command in commands {
        assert_eq!(refused(&folder, command), "error: bomb: is packed twice: unpack it once\n", "{command}");
    }
    folder.write("bomb", &"0,".repeat(3 << 20));
    let said = refused(&folder, commands[0]);
    assert_eq!(said, "error: bomb: has a line of over 4 MiB: what is read has a record a line\n");
}

#[test]
fn networks_are_joined_by_any_column() {
    let folder = Folder::new();
    let cells = nasbench201::sample(40, 0).unwrap();
    let rows = |header: &str, value: &dyn Fn(usize) -> usize| {
        let line = |(i, cell): (usize, &nasbench201::Cell)| format!("{cell},{},{i}\n", value(i));
        format!("{header},note\n") + &cells.iter().enumerate().map(line).collect::<String>()
    };
    folder.write("scores.csv", &rows("arch,nwot", &|i| i));
    folder.write("found.csv", &rows("net_str,top1", &|i| 50 + i));
    folder.write("case.csv", &rows("ARCH,Top1", &|i| 50 + i));
    let named: String = (0..40).map(|i| format!("net {i},{}\n", 50 + i)).collect();
    folder.write("named.csv", &format!("model,acc\n{named}"));
    folder.write("named_scores.csv", &format!("Model,Score\n{named}"));
    for options in [
        "scores.csv --accuracy found.csv",
        "scores.csv --accuracy found.csv --key net_str --column TOP1 --score NWOT",
        "scores.csv --accuracy case.csv --key arch --column top1",
        "found.csv --accuracy case.csv --score Top1",
        "found.csv --accuracy found.csv --score top1 --key NET_STR",
        "named_scores.csv --accuracy named.csv --key model --score score",
    ] {
        let (report, _) = done(&folder, &format!("correlate {options} --bootstrap 0"));
        assert_eq!(figure(&report, "networks"), "40 of 40 rows", "{options}");
        assert_eq!(figure(&report, "Kendall tau-b"), "1.0000", "{options}");
    }
    let none =
        "none is `id`, `hash` or `arch`, and none holds cells or hashes; --key says which names the networks";
    for (options, message) in [
        ("scores.csv --accuracy named.csv", format!("named.csv: of its columns (model, acc) {none}")),
        (
            "named_scores.csv --accuracy found.csv",
            format!("named_scores.csv: of its columns (Model, Score) {none}"),
        ),
        (
            "scores.csv --accuracy found.csv --key id",
            "found.csv: of its columns (net_str, top1, note) none is `id`".to_owned(),
        ),
        (
            "case.csv --accuracy found.csv",
            "case.csv: of its columns (ARCH, Top1, note) none is `score`; --score says which it is"
                .to_owned(),
        ),
    ] {
        assert_eq!(refused(&folder, &format!("correlate {options}")), format!("error: {message}\n"));
    }
}

#[test]
fn a_key_of_digits_is_the_benchmark_s_number() {
    let folder = Folder::new();
    let header = "index,arch,score,batch_sha256\n";
    let cells = nasbench201::sample(40, 0).unwrap();
    let rows = cells.iter().enumerate().map(|(i, cell)| format!("{i},{cell},{i},x\n"));
    folder.write("rows.csv", &(header.to_owned() + &rows.collect::<String>()));
    let numbers =
        cells.iter().enumerate().map(|(i, cell)| format!("{},{}\n", cell.benchmark_index(), 50 + i));
    folder.write("table.csv", &("index,test_acc\n".to_owned() + &numbers.collect::<String>()));
    let (report, _) = done(&folder, "correlate rows.csv --accuracy table.csv --key index --bootstrap 0");
    assert_eq!(figure(&report, "networks"), "40 of 40 rows");
    assert_eq!(figure(&report, "Kendall tau-b"), "1.0000");
    let message = refused(&folder, "correlate rows.csv --accuracy rows.csv --key index --column score");
    assert!(message.contains("`index` is a row's place in its input, no number of a benchmark"), "{message}");
    assert!(refused(&folder, "correlate rows.csv --accuracy table.csv").contains("--key says which"));
}

#[test]
fn two_runs_are_compared_with_minus_infinity_on_both_sides() {
    let folder = Folder::new();
    let run = |infinite: &[usize]| -> String {
        let score = |i: usize| if infinite.contains(&i) { "-inf".to_owned() } else { (100 + i).to_string() };
        "id,score\n".to_owned() + &(0..40).map(|i| format!("n{i},{}\n", score(i))).collect::<String>()
    };
    folder.write("a.csv", &run(&[0, 1]));
    folder.write("b.csv", &run(&[0, 2]));
    let correlate = "correlate a.csv --accuracy b.csv --column score";
    let (report, said) = done(&folder, correlate);
    assert_eq!((figure(&report, "networks"), said.as_str()), ("40 of 40 rows".to_owned(), ""));
    assert_eq!(figure(&report, "-inf"), "3 (the lowest rank; left out of Pearson)");
    assert!(figure(&report, "Pearson r").starts_with("1.0000"));
    let said = refused(&folder, "plot scatter a.csv --accuracy b.csv --column score -o plot.svg");
    assert_eq!(said, "error: b.csv:2: score is -inf, which is no accuracy\n");
}

#[test]
fn a_join_of_few_networks_is_warned_of_and_has_no_top() {
    let folder = Folder::new();
    let table = |header: &str, n: usize| {
        format!("id,{header}\n") + &(0..n).map(|i| format!("n{i},{}\n", 10 + i % 80)).collect::<String>()
    };
    folder.write("scores.csv", &table("score", 400));
    for (n, top, warning) in [
        (40, 20, ""),
        (40, 21, ""),
        (
            29,
            10,
            "warning: table.csv: has only 29 of the 400 networks of scores.csv; where more should be, see that both files name networks alike: --key says by which column\n",
        ),
    ] {
        folder.write("table.csv", &table("acc", n));
        let command = format!("correlate scores.csv --accuracy table.csv --bootstrap 0 --top {top}");
        let (report, said) = done(&folder, &command);
        assert_eq!(said, warning);
        assert_eq!(report.contains("\ntop "), 2 * top <= n, "{report}");
        let (json, _) = done(&folder, &format!("{command} --json"));
        assert_eq!(json.contains("\"top\":null"), 2 * top > n, "{json}");
    }
    folder.write("scores.csv", &table("score", 29));
    let warning = "warning: scores.csv: 29 networks with an accuracy are few: figures may be chance\n";
    for command in ["correlate scores.csv", "plot scatter scores.csv -o plot.svg"] {
        assert_eq!(done(&folder, &format!("{command} --accuracy table.csv")).1, warning);
    }
}

#[test]
fn a_number_beyond_all_reals_is_no_infinity() {
    let folder = Folder::new();
    scores(&folder);
    for number in ["-1e400", "1e400", &format!("-{}", "9".repeat(400))] {
        folder.write("table.csv", &format!("id,test_acc\nn0,1\nn1,{number}\nn2,3\n"));
        let said = refused(&folder, "correlate scores.csv --accuracy table.csv");
        assert!(said.contains("table.csv:3: test_acc is `") && said.contains("`, not a number"), "{said}");
        let said = refused(&folder, "plot histogram table.csv --score test_acc -o out.svg");
        assert!(said.contains("`, not a number"), "{said}");
        folder.write("table.jsonl", &format!("{{\"id\": \"n0\", \"test_acc\": {number}}}\n"));
        let said = refused(&folder, "correlate scores.csv --accuracy table.jsonl");
        assert!(said.contains("number out of range"), "{said}");
    }
}

#[test]
fn a_name_that_spreadsheets_would_run_is_refused() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    folder.run("cells.jsonl -o scores.csv", 0);
    for name in ["=1+1", "+1", "-2+3", "@SUM(1)"] {
        folder.write("table.csv", &format!("id,test_acc\n\"{name}\",1\n"));
        for command in [
            "correlate scores.csv --accuracy table.csv",
            "report scores.csv --accuracy table.csv",
            "correlate table.csv --score test_acc --accuracy scores.csv --column score",
        ] {
            let said = refused(&folder, command);
            assert!(
                said.contains(&format!("table.csv:2: `{name}` is no id of a network: spreadsheets run")),
                "{said}"
            );
        }
    }
    // What begins with a tab is told in JSON; blanks around the fields of CSV do not count.
    folder.write("table.jsonl", "{\"id\": \"\\t=1\", \"test_acc\": 1}\n");
    let said = refused(&folder, "correlate scores.csv --accuracy table.jsonl");
    assert!(said.contains("`\\t=1` is no id of a network"), "{said}");
    // Rows, too.
    let rows = folder.read("scores.csv");
    let id = rows.lines().nth(1).unwrap().split(',').nth(3).unwrap().to_owned();
    folder.write("rows.csv", &rows.replacen(&id, "=1+1", 1));
    let said = refused(&folder, "convert rows.csv -o out.jsonl");
    assert!(said.contains("rows.csv:2: `=1+1` is no id of a network"), "{said}");
}
