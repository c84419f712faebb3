//! Tables that people bring are read as they are, and what is in doubt about them is said.
#![cfg(unix)]

mod common;

use std::process::Output;

use common::folder::Folder;

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
