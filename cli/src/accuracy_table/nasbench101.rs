//! NAS-Bench-101's own file: a record a training.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use naswot::nasbench101::Cell;

use super::metrics::Metrics;
use super::table::Table;
use super::tfrecord::TfRecords;
use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::rows::csv_field;
use crate::text::{cut, shortened};
use crate::{interrupt, progress};

/// Epochs of the benchmark's accuracies.
pub(super) const EPOCHS: u64 = 108;

/// A cell with the accuracies of its trainings.
struct TrainedCell {
    /// Matrix and operations, as its first record spells them.
    spelling: [String; 2],
    arch: String,
    repeats: u32,
    validation: RunningAccuracy,
    test: RunningAccuracy,
    parameters: u64,
}

/// Sum and maximum of the accuracies that have been added.
#[derive(Clone, Copy, Default)]
struct RunningAccuracy {
    sum: f64,
    max: f64,
}

impl RunningAccuracy {
    fn add(&mut self, accuracy: f64) {
        self.sum += accuracy;
        self.max = self.max.max(accuracy);
    }
}

/// Cells in the order of the file.
pub(super) struct TrainedCells {
    hashes: Vec<String>,
    trained: HashMap<String, TrainedCell>,
    /// Epochs of the trainings.
    epochs: u64,
    /// Numbers of epochs that the file has.
    found: BTreeSet<u64>,
}

/// Reads the cells of the benchmark's file with their trainings of so many epochs.
pub(super) fn read(path: &Path, epochs: u64, console: &Console) -> Result<TrainedCells> {
    let name = path.display();
    let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
    let file = File::open(path).map_err(unusable)?;
    let metadata = file.metadata().map_err(unusable)?;
    if metadata.is_dir() {
        return Err(Failure::unusable(format_args!("{name}: is a folder, not a file of records")));
    }
    let bar = progress::bytes(console, metadata.len());
    let mut records = TfRecords::new(BufReader::with_capacity(1 << 20, file));
    let mut cells =
        TrainedCells { hashes: Vec::new(), trained: HashMap::new(), epochs, found: BTreeSet::new() };
    loop {
        if interrupt::requested() {
            return Err(Failure { exit: Exit::Interrupted, message: None });
        }
        let wrong =
            |offset: u64, why: String| Failure::unusable(format_args!("{name}: byte {offset}: {why}"));
        match records.next().map_err(|broken| wrong(broken.offset, broken.message))? {
            None => break,
            Some((offset, record)) => {
                cells.add(&record).map_err(|why| wrong(offset, format!("the record {why}")))?;
            }
        }
        bar.set_position(records.offset());
    }
    bar.finish_and_clear();
    if cells.hashes.is_empty() {
        let found: Vec<String> = cells.found.iter().map(u64::to_string).collect();
        let found =
            if found.is_empty() { "it is empty".to_owned() } else { format!("it has {}", found.join(", ")) };
        let message = format!("holds no trainings of {} epochs: {found}", cells.epochs);
        return Err(Failure::unusable(format_args!("{name}: {message}")));
    }
    Ok(cells)
}

impl Table for TrainedCells {
    fn columns(&self) -> String {
        let accuracies =
            "validation_accuracy_mean,validation_accuracy_max,test_accuracy_mean,test_accuracy_max";
        format!("hash,arch,epochs,repeats,{accuracies},parameters")
    }

    fn write_rows(&self, to: &mut dyn Write) -> io::Result<()> {
        for hash in &self.hashes {
            let TrainedCell { arch, repeats, validation, test, parameters, .. } = &self.trained[hash];
            let [hash, arch] = [hash, arch].map(|text| csv_field(text));
            let mean = |accuracy: &RunningAccuracy| accuracy.sum / f64::from(*repeats);
            let (validation_mean, test_mean) = (mean(validation), mean(test));
            let (validation_max, test_max) = (validation.max, test.max);
            writeln!(
                to,
                "{hash},{arch},{},{repeats},{validation_mean},{validation_max},{test_mean},{test_max},{parameters}",
                self.epochs
            )?;
        }
        Ok(())
    }
}

impl TrainedCells {
    /// Adds a record; the error says what is wrong with it.
    fn add(&mut self, record: &[u8]) -> Result<(), String> {
        // Hash, epochs, matrix row by row, operations with commas between, metrics.
        let row: (String, u64, String, String, String) = serde_json::from_slice(record)
            .map_err(|error| format!("is no row of NAS-Bench-101: {}", cut(error)))?;
        let (hash, its_epochs, adjacency, ops, metrics) = row;
        self.found.insert(its_epochs);
        if its_epochs != self.epochs {
            return Ok(());
        }
        let metrics = BASE64_STANDARD
            .decode(metrics)
            .map_err(|error| format!("has metrics that are no base64: {error}"))?;
        let metrics = Metrics::parse(&metrics).map_err(|why| format!("has metrics that {why}"))?;
        let spelling = [adjacency, ops];
        let trained = match self.trained.get_mut(&hash) {
            Some(trained) => {
                // Isomorphic spellings have one hash; most records repeat one that has been hashed.
                if trained.spelling != spelling {
                    checked_cell(&hash, &spelling)?;
                }
                trained
            }
            None => {
                let arch = checked_cell(&hash, &spelling)?.to_string();
                self.hashes.push(hash.clone());
                let (validation, test) = (RunningAccuracy::default(), RunningAccuracy::default());
                let parameters = metrics.parameters;
                self.trained.entry(hash).or_insert(TrainedCell {
                    spelling,
                    arch,
                    repeats: 0,
                    validation,
                    test,
                    parameters,
                })
            }
        };
        trained.repeats += 1;
        trained.validation.add(metrics.validation_accuracy);
        trained.test.add(metrics.test_accuracy);
        Ok(())
    }
}

/// The cell of a row, whose hash has to be the row's.
fn checked_cell(hash: &str, [adjacency, ops]: &[String; 2]) -> Result<Cell, String> {
    let digits = hash.bytes().filter(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
    if digits != 32 || hash.len() != 32 {
        return Err(format!("has the hash `{}`, not 32 hexadecimal digits", shortened(hash)));
    }
    let cell = cell(adjacency, ops)?;
    match cell.hash() {
        own if own == hash => Ok(cell),
        own => Err(format!("has the hash {hash}, and a cell, {cell}, whose hash is {own}")),
    }
}

/// The cell of a row.
fn cell(adjacency: &str, ops: &str) -> Result<Cell, String> {
    let ops: Vec<&str> = ops.split(',').collect();
    let digit = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { u8::MAX };
    let entries: Vec<u8> = adjacency.bytes().map(digit).collect();
    let rows: Vec<&[u8]> = entries.chunks(ops.len()).collect();
    Cell::new(&rows, &ops).map_err(|error| format!("has a cell that is none: {error}"))
}
