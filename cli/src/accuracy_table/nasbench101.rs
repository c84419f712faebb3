//! `naswot table`: a benchmark's own file as a table of accuracies.

mod metrics;
mod tfrecord;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use naswot::nasbench101::Cell;

use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::interrupt;
use crate::output::{Draft, Existing};
use crate::progress;
use metrics::Metrics;
use tfrecord::TfRecords;

const EXAMPLES: &str = "\
Examples:
  naswot table nasbench101 nasbench_only108.tfrecord -o nasbench101.csv
  naswot table nasbench101 nasbench_full.tfrecord --epochs 12 \\
      -o nasbench101_12.csv
  naswot correlate scores.csv \\
      --accuracy nasbench101.csv --column test_accuracy_mean";

const COLUMNS: &str = "hash,arch,epochs,repeats,validation_accuracy_mean,validation_accuracy_max,\
                       test_accuracy_mean,test_accuracy_max,parameters";

/// Make a table of accuracies from a benchmark's own file
///
/// One row a cell, in the order in which the file has them: mean and maximum of the accuracies (fractions) after the
/// last epoch over the trainings of the cell, and the parameters of the benchmark's network. All checksums are checked.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AccuracyTable {
    /// Benchmark
    #[arg(value_name = "SPACE", value_parser = ["nasbench101"])]
    space: String,
    /// nasbench_only108.tfrecord or nasbench_full.tfrecord
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the table to a .csv file [default: standard output]
    #[arg(short, long, value_name = "FILE", value_parser = csv_file)]
    out: Option<PathBuf>,
    /// Trainings of so many epochs: 108, in the full file also 4, 12 and 36
    #[arg(long, value_name = "N", default_value_t = 108)]
    epochs: u64,
    /// Replace an output that exists already
    #[arg(long, requires = "out")]
    force: bool,
}

fn csv_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("csv") => Ok(path),
        _ => Err("the name must end in .csv".to_owned()),
    }
}

/// A cell with the accuracies of its trainings.
struct TrainedCell {
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
#[derive(Default)]
struct TrainedCells {
    hashes: Vec<String>,
    trained: HashMap<String, TrainedCell>,
    /// Numbers of epochs that the file has.
    epochs: Vec<u64>,
}

impl AccuracyTable {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let existing = if self.force { Existing::Replace } else { Existing::Refuse };
        let draft = self.out.as_deref().map(|path| Draft::new(path, existing)).transpose()?;
        let written = self.cells(console).and_then(|cells| match &draft {
            None => self.write(&cells, io::stdout().lock(), Path::new("standard output")),
            Some(draft) => self.write(&cells, draft.file()?, self.out.as_deref().unwrap_or(Path::new(""))),
        });
        match draft {
            Some(draft) => draft.settle(written),
            None => written,
        }
    }

    /// Reads the cells of the benchmark's file.
    fn cells(&self, console: &Console) -> Result<TrainedCells> {
        let name = self.file.display();
        let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
        let file = File::open(&self.file).map_err(unusable)?;
        let metadata = file.metadata().map_err(unusable)?;
        if metadata.is_dir() {
            return Err(Failure::unusable(format_args!("{name}: is a folder, not a file of records")));
        }
        let bar = progress::bytes(console, metadata.len());
        let mut records = TfRecords::new(BufReader::with_capacity(1 << 20, file));
        let mut cells = TrainedCells::default();
        loop {
            if interrupt::requested() {
                return Err(Failure { exit: Exit::Interrupted, message: None });
            }
            let wrong =
                |offset: u64, why: String| Failure::unusable(format_args!("{name}: byte {offset}: {why}"));
            match records.next().map_err(|broken| wrong(broken.offset, broken.message))? {
                None => break,
                Some((offset, record)) => {
                    cells
                        .add(&record, self.epochs)
                        .map_err(|why| wrong(offset, format!("the record {why}")))?;
                }
            }
            bar.set_position(records.offset());
        }
        bar.finish_and_clear();
        if cells.hashes.is_empty() {
            cells.epochs.sort_unstable();
            let found: Vec<String> = cells.epochs.iter().map(u64::to_string).collect();
            let found = if found.is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it has {}", found.join(", "))
            };
            let message = format!("holds no trainings of {} epochs: {found}", self.epochs);
            return Err(Failure::unusable(format_args!("{name}: {message}")));
        }
        Ok(cells)
    }

    fn write(&self, cells: &TrainedCells, to: impl Write, name: &Path) -> Result {
        let mut to = BufWriter::new(to);
        let mut write = || {
            writeln!(to, "{COLUMNS}")?;
            for hash in &cells.hashes {
                let Some(TrainedCell { arch, repeats, validation, test, parameters }) =
                    cells.trained.get(hash)
                else {
                    continue;
                };
                let mean = |accuracy: &RunningAccuracy| accuracy.sum / f64::from(*repeats);
                let (validation_mean, test_mean) = (mean(validation), mean(test));
                let (validation_max, test_max) = (validation.max, test.max);
                writeln!(
                    to,
                    "{hash},{arch},{},{repeats},{validation_mean},{validation_max},{test_mean},{test_max},{parameters}",
                    self.epochs
                )?;
            }
            to.flush()
        };
        write().map_err(|error| Failure::write(name.display(), &error))?;
        Ok(Exit::Success)
    }
}

impl TrainedCells {
    /// Adds a record; the error says what is wrong with it.
    fn add(&mut self, record: &[u8], epochs: u64) -> Result<(), String> {
        // Hash, epochs, matrix row by row, operations with commas between, metrics.
        let row: (String, u64, String, String, String) =
            serde_json::from_slice(record).map_err(|error| format!("is no row of NAS-Bench-101: {error}"))?;
        let (hash, its_epochs, adjacency, ops, metrics) = row;
        if !self.epochs.contains(&its_epochs) {
            self.epochs.push(its_epochs);
        }
        if its_epochs != epochs {
            return Ok(());
        }
        let metrics = BASE64_STANDARD
            .decode(metrics)
            .map_err(|error| format!("has metrics that are no base64: {error}"))?;
        let metrics = Metrics::parse(&metrics).map_err(|why| format!("has metrics that {why}"))?;
        let trained = match self.trained.get_mut(&hash) {
            Some(trained) => trained,
            None => {
                let arch = cell(&adjacency, &ops)?.to_string();
                self.hashes.push(hash.clone());
                let (validation, test) = (RunningAccuracy::default(), RunningAccuracy::default());
                let parameters = metrics.parameters;
                self.trained.entry(hash).or_insert(TrainedCell {
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

/// The cell of a row.
fn cell(adjacency: &str, ops: &str) -> Result<Cell, String> {
    let ops: Vec<&str> = ops.split(',').collect();
    let digit = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { u8::MAX };
    let entries: Vec<u8> = adjacency.bytes().map(digit).collect();
    let rows: Vec<&[u8]> = entries.chunks(ops.len()).collect();
    Cell::new(&rows, &ops).map_err(|error| format!("has a cell that is none: {error}"))
}
