//! Rows of scores, manifests of their kernels and tables of accuracies, as commands read them.

use std::fs::File;

use super::scratch::with_file;
use crate::accuracies::{Accuracies, AccuracyOptions};
use crate::measure::Ranking;
use crate::minus_inf::MinusInfOption;
use crate::output::OutFile;
use crate::report::{Networks, page};
use crate::row_reader::RowReader;
use crate::rows::{Format, Row};
use crate::run_folder;
use crate::scored::ScoredFile;
use crate::table::Columns;

/// Rows that a program may have saved again: what has been read can be written and read.
pub(super) fn rows(input: &[u8]) -> bool {
    with_file("rows.csv", input, |path| {
        let mut read = 0;
        for columns in [Columns::Exact, Columns::AtLeast] {
            let Ok(rows) = RowReader::open(path, columns) else { continue };
            for written in rows.map_while(Result::ok) {
                read += 1;
                let row = written.row;
                let _ = (row.architecture(), row.outcome(), row.index(), row.encode(Format::Jsonl));
                let texts: Vec<String> = row.fields().iter().map(ToString::to_string).collect();
                assert_eq!(Row::read(&texts).as_ref(), Ok(&row));
            }
        }
        read > 0
    })
}

pub(super) fn resume_csv(input: &[u8]) -> bool {
    resume("rows.csv", Format::Csv, input)
}

pub(super) fn resume_jsonl(input: &[u8]) -> bool {
    resume("rows.jsonl", Format::Jsonl, input)
}

/// Rows behind which a run goes on: those that are read stand in the file, byte by byte.
fn resume(name: &str, format: Format, input: &[u8]) -> bool {
    with_file(name, input, |path| {
        let Ok(file) = File::open(path) else { unreachable!("{} has been written", path.display()) };
        let Ok(mut rows) = RowReader::locked(&file, &OutFile { path: path.to_owned(), format }) else {
            return false;
        };
        while let Ok(Some(written)) = rows.next_whole() {
            let whole = rows.whole() as usize;
            assert!(input[..whole].ends_with(&written.bytes));
        }
        rows.whole() > 0
    })
}

/// The manifest of a folder of kernels.
pub(super) fn manifest(input: &[u8]) -> bool {
    with_file("manifest.json", input, |path| {
        let Ok(file) = File::open(path) else { unreachable!("{} has been written", path.display()) };
        matches!(run_folder::read(&file, path), Ok(Some(_)))
    })
}

/// A table of accuracies, of networks and of the epochs of a training.
pub(super) fn accuracies(input: &[u8]) -> bool {
    let options = AccuracyOptions::default();
    with_file("accuracies.csv", input, |path| {
        let _ = Accuracies::read_epochs(path, &options);
        let _ = ScoredFile::read(path, &Ranking::default(), None, MinusInfOption::default(), &[]);
        Accuracies::read(path, &options).is_ok()
    })
}

/// The page of some rows, which are their own table of accuracies.
pub(super) fn report(input: &[u8]) -> bool {
    with_file("rows.csv", input, |path| {
        let read = Networks::read(path, &Ranking::default(), MinusInfOption::default());
        let Ok((mut networks, _)) = read else { return false };
        let options = AccuracyOptions { column: Some("score".to_owned()), ..AccuracyOptions::default() };
        let _ = networks.join(path, &options);
        let _ = page(&networks, None, 3);
        true
    })
}
