//! NAS-Bench-201's own files, also those of NATS-Bench, which has trained its cells again: pickles of dictionaries.
//!
//! Of a cell there is, by its hyperparameters (`12` and `200` epochs, in NAS-Bench-201 `less` and `full`), a dictionary with
//! `arch_index`, `arch_str` and `all_results`: by data set and seed a training, with its `epochs` and `eval_acc1es`, the
//! accuracies in percent by `SET@EPOCH`. The files are a folder with one such pickle a cell, compressed by bzip2; one pickle
//! with all cells under `arch2infos`, so compressed; and the same as `torch.save` wrote it before version 1.6 of
//! PyTorch, behind three pickles that say so.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use bzip2::bufread::MultiBzDecoder;
use indicatif::ProgressBar;
use naswot::nasbench201::Cell;
use naswot::pickle::{self, Pickle, Treatment, Value, Visitor};
use rayon::prelude::*;

use super::table::Table;
use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::unpacked::Unpacked;
use crate::{interrupt, progress};

/// Epochs of the benchmark's accuracies.
pub(super) const EPOCHS: u64 = 200;

/// Most bytes that the values of a cell's pickle may take, of some 0.1 MB that those of the benchmark do.
const CELL_LIMIT: usize = 64 << 20;
/// Most bytes that those of a pickle of all cells may take. What it remembers takes 4 bytes a value.
const ARCHIVE_LIMIT: usize = 2 << 30;

/// Name, data set and evaluation of each column, as the benchmark's API pairs them.
const ACCURACIES: [(&str, &str, &str); 6] = [
    ("cifar10_valid", "cifar10-valid", "x-valid"),
    ("cifar10_test", "cifar10", "ori-test"),
    ("cifar100_valid", "cifar100", "x-valid"),
    ("cifar100_test", "cifar100", "x-test"),
    ("imagenet16_valid", "ImageNet16-120", "x-valid"),
    ("imagenet16_test", "ImageNet16-120", "x-test"),
];

/// Dictionaries and lists that no accuracy stands in.
const DROPPED: [&str; 10] = [
    "arch_config",
    "eval_losses",
    "eval_times",
    "evaluated_indexes",
    "latency",
    "meta_archs",
    "train_acc1es",
    "train_acc5es",
    "train_losses",
    "train_times",
];

/// A cell and its accuracies, in percent.
#[derive(Debug)]
struct TrainedCell {
    index: usize,
    cell: Cell,
    accuracies: [Option<f64>; ACCURACIES.len()],
}

/// Cells by their numbers.
#[derive(Debug)]
pub(super) struct TrainedCells {
    epochs: u64,
    cells: Vec<TrainedCell>,
}

impl Table for TrainedCells {
    fn columns(&self) -> String {
        format!("index,arch,epochs,{}", ACCURACIES.map(|(name, ..)| name).join(","))
    }

    fn write_rows(&self, to: &mut dyn Write) -> io::Result<()> {
        for TrainedCell { index, cell, accuracies } in &self.cells {
            write!(to, "{index},{cell},{}", self.epochs)?;
            for accuracy in accuracies {
                match accuracy {
                    Some(accuracy) => write!(to, ",{accuracy}")?,
                    None => write!(to, ",")?,
                }
            }
            writeln!(to)?;
        }
        Ok(())
    }
}

/// Reads the cells of a file or a folder with their trainings of so many epochs.
pub(super) fn read(path: &Path, epochs: u64, console: &Console) -> Result<TrainedCells> {
    let name = path.display();
    let trainings = Trainings::of(epochs).ok_or_else(|| {
        Failure::unusable(format_args!("--epochs {epochs}: cells were trained for 12 and for 200 epochs"))
    })?;
    let metadata = fs::metadata(path).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
    let mut cells = if metadata.is_dir() {
        read_folder(path, trainings, console)?
    } else {
        let bar = progress::bytes(console, metadata.len());
        let cells = read_file(path, trainings, ARCHIVE_LIMIT, &bar);
        bar.finish_and_clear();
        cells?
    };
    cells.sort_by_key(|cell| cell.index);
    if let Some(twice) = cells.windows(2).find(|pair| pair[0].index == pair[1].index) {
        return Err(Failure::unusable(format_args!("{name}: has cell {} twice", twice[0].index)));
    }
    match cells.is_empty() {
        true => {
            let what = "has no results of cells (meta.pickle.pbz2 has none: name the folder that it is in)";
            Err(Failure::unusable(format_args!("{name}: {what}")))
        }
        false => Ok(TrainedCells { epochs, cells }),
    }
}

/// Reads the files of a folder, one a cell.
fn read_folder(folder: &Path, trainings: Trainings, console: &Console) -> Result<Vec<TrainedCell>> {
    let name = folder.display();
    let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pickle.pbz2"));
        if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let what =
            "holds no files of cells (000000.pickle.pbz2 and so on), as NATS-tss-v1_0-3ffb9-simple does";
        return Err(Failure::unusable(format_args!("{name}: {what}")));
    }
    let bytes = files.iter().map(|file| file.metadata().map_or(0, |metadata| metadata.len()));
    let bar = progress::bytes(console, bytes.sum());
    let read = |file: &PathBuf| read_file(file, trainings, CELL_LIMIT, &bar);
    let cells: Vec<Result<Vec<TrainedCell>>> = files.par_iter().map(read).collect();
    bar.finish_and_clear();
    Ok(cells.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Reads the cells of one file, at most `limit` bytes of values at a time.
fn read_file(path: &Path, trainings: Trainings, limit: usize, bar: &ProgressBar) -> Result<Vec<TrainedCell>> {
    let wrong = |why: String| Failure::unusable(format_args!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut file = BufReader::with_capacity(1 << 18, Watched { file, bar });
    let start = file.fill_buf().map_err(|error| wrong(error.to_string()))?;
    let mut visitor = CellReader { trainings, cells: Vec::new() };
    let read = match start {
        [pickle::PROTOCOL, ..] if start.starts_with(TORCH) => read_pickle(file, 3, limit, &mut visitor),
        [pickle::PROTOCOL, ..] => read_pickle(file, 0, limit, &mut visitor),
        [b'B', b'Z', b'h', ..] => {
            let decoder = |packed| Ok(MultiBzDecoder::new(BufReader::new(packed)));
            let file = Unpacked::by(decoder, file).map_err(|error| wrong(error.to_string()))?;
            read_pickle(BufReader::with_capacity(1 << 18, file), 0, limit, &mut visitor)
        }
        [b'P', b'K', ..] => {
            Err("is a ZIP archive, which PyTorch 1.6 and later write: open it in Python".to_owned())
        }
        _ if start.get(257..262) == Some(b"ustar") => {
            Err("is an archive of files: unpack it by tar -xf, and name the folder".to_owned())
        }
        _ => Err("is no pickle of NAS-Bench-201 or NATS-Bench, nor one compressed by bzip2".to_owned()),
    };
    if interrupt::requested() {
        return Err(Failure { exit: Exit::Interrupted, message: None });
    }
    read.map_err(wrong)?;
    Ok(visitor.cells)
}

/// What a file by `torch.save` began with before version 1.6: the pickle of a number that says so.
const TORCH: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Reads a pickle behind some others; the error says what is wrong with it.
fn read_pickle(
    mut file: impl BufRead,
    before: usize,
    limit: usize,
    cells: &mut CellReader,
) -> Result<(), String> {
    for _ in 0..before {
        Pickle::read(&mut file, 1 << 20).map_err(broken)?;
    }
    let pickle = Pickle::visit(&mut file, limit, cells).map_err(broken)?;
    let value = pickle.value();
    match value.get("arch2infos") {
        // They have been handed over.
        Some(_) => Ok(()),
        None => cells.add(value),
    }
}

fn broken(broken: pickle::Broken) -> String {
    format!("is a pickle that cannot be read: at byte {}, {}", broken.position, broken.message)
}

/// A file that moves a bar as it is read, and ends where the user interrupts.
struct Watched<'b> {
    file: File,
    bar: &'b ProgressBar,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if interrupt::requested() {
            return Ok(0);
        }
        let read = self.file.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

/// Trainings of one length.
#[derive(Clone, Copy, Debug)]
struct Trainings {
    /// Names of their hyperparameters in NATS-Bench and in NAS-Bench-201, and those of the others.
    names: [&'static str; 2],
    others: [&'static str; 2],
}

impl Trainings {
    fn of(epochs: u64) -> Option<Self> {
        const LONG: [&str; 2] = ["200", "full"];
        const SHORT: [&str; 2] = ["12", "less"];
        match epochs {
            200 => Some(Trainings { names: LONG, others: SHORT }),
            12 => Some(Trainings { names: SHORT, others: LONG }),
            _ => None,
        }
    }
}

/// Takes cells as they are read.
struct CellReader {
    trainings: Trainings,
    cells: Vec<TrainedCell>,
}

impl Visitor for CellReader {
    fn treatment(&self, key: &str) -> Treatment {
        match key {
            "arch2infos" => Treatment::EntryByEntry,
            _ if DROPPED.contains(&key) || self.trainings.others.contains(&key) => Treatment::Drop,
            _ => Treatment::Keep,
        }
    }

    fn entry(&mut self, _: Value<'_>, value: Value<'_>) -> Result<(), String> {
        self.add(value)
    }
}

impl CellReader {
    /// Adds a cell, from its dictionary by hyperparameters.
    fn add(&mut self, by_hyperparameters: Value<'_>) -> Result<(), String> {
        if by_hyperparameters.entries().is_some_and(|mut all| all.any(|(_, results)| is_of_sizes(results))) {
            let message =
                "is of NATS-Bench's size space, which is another one (NATS-sss): the cells are in NATS-tss";
            return Err(message.to_owned());
        }
        let names = self.trainings.names;
        let trained = names.iter().find_map(|name| by_hyperparameters.get(name)).ok_or_else(|| {
            format!("is a pickle without the results of a cell (`{}` or `{}`)", names[0], names[1])
        })?;
        let missing = |key: &str| format!("has a cell without `{key}`");
        let arch = trained.get("arch_str").and_then(Value::text).ok_or_else(|| missing("arch_str"))?;
        let index =
            trained.get("arch_index").and_then(Value::integer).ok_or_else(|| missing("arch_index"))?;
        let cell: Cell = arch.parse().map_err(|error| format!("has a cell that is none: {error}"))?;
        let number = cell.benchmark_index();
        if usize::try_from(index) != Ok(number) {
            return Err(format!(
                "has {cell} under number {index}, which is number {number} of the benchmark"
            ));
        }
        let results = trained.get("all_results").ok_or_else(|| missing("all_results"))?;
        let mut accuracies = [None; ACCURACIES.len()];
        for (accuracy, (_, data_set, evaluation)) in accuracies.iter_mut().zip(ACCURACIES) {
            *accuracy = mean(results, data_set, evaluation)
                .map_err(|why| format!("cell {number}, {data_set}, {evaluation}: {why}"))?;
        }
        self.cells.push(TrainedCell { index: number, cell, accuracies });
        Ok(())
    }
}

/// Whether results are those of a network of the size space, whose name is widths with colons between.
fn is_of_sizes(results: Value<'_>) -> bool {
    let arch = results.get("arch_str").and_then(Value::text);
    arch.is_some_and(|arch| arch.split(':').all(|width| width.parse::<u32>().is_ok()))
}

/// The mean accuracy after the last epoch over all trainings on a data set that have it.
fn mean(results: Value<'_>, data_set: &str, evaluation: &str) -> Result<Option<f64>, String> {
    let (mut sum, mut count) = (0.0, 0u32);
    for (key, training) in results.entries().ok_or("`all_results` is no dictionary")? {
        let of = key.items().and_then(|mut items| items.next()?.text());
        if of != Some(data_set) {
            continue;
        }
        let epochs = training.get("epochs").and_then(Value::integer).ok_or("a training without `epochs`")?;
        let accuracies = training.get("eval_acc1es").ok_or("a training without `eval_acc1es`")?;
        let Some(accuracy) = accuracies.get(&format!("{evaluation}@{}", epochs.saturating_sub(1))) else {
            continue;
        };
        match accuracy.real() {
            Some(accuracy) if (0.0..=100.0).contains(&accuracy) => sum += accuracy,
            _ => return Err("an accuracy that is not from 0 to 100".to_owned()),
        }
        count += 1;
    }
    Ok((count > 0).then(|| sum / f64::from(count)))
}
