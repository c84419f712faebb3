//! `naswot table`: a benchmark's own file as a table of accuracies.

mod metrics;
mod nasbench101;
mod nasbench201;
mod table;
mod tfrecord;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::interrupt;
use crate::options::file;
use crate::output::Draft;
use crate::stdout_lines::StdoutData;
use table::Table;
#[cfg(feature = "fuzzing")]
pub(crate) use tfrecord::record;

const EXAMPLES: &str = "\
Examples:
  naswot table nasbench101 nasbench_only108.tfrecord -o nasbench101.csv
  naswot table nasbench101 nasbench_full.tfrecord --epochs 12 \\
      -o nasbench101_12.csv
  naswot table nasbench201 NATS-tss-v1_0-3ffb9-simple -o nasbench201.csv
  naswot correlate scores.csv \\
      --accuracy nasbench101.csv --column test_accuracy_mean";

const MORE: &str = "\
nasbench101: one row a cell, in the order in which the file has them: mean and maximum of the accuracies (fractions)
after the last epoch over the trainings of the cell, and the parameters of the benchmark's network. All checksums are
checked.

nasbench201: one row a cell, by its number: means of the accuracies (percent) after the last epoch over the trainings
of the cell, as NATS-Bench's API gives them; empty where no training has one.";

/// Make a table of accuracies from a benchmark's own files
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{MORE}"))]
pub(crate) struct AccuracyTable {
    /// Benchmark
    #[arg(value_name = "SPACE")]
    space: Benchmark,
    /// nasbench_only108.tfrecord or nasbench_full.tfrecord; NATS-tss-*.pickle.pbz2, or the folder of them, or
    /// NAS-Bench-201-*.pth
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the table to a .csv file [default: standard output]
    #[arg(short, long, value_name = "FILE", value_parser = file(csv_file))]
    out: Option<PathBuf>,
    /// Trainings of so many epochs: of nasbench101 108, in the full file also 4, 12 and 36; of nasbench201 200 or 12
    /// [default: 108, 200]
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Replace an output that exists already
    #[arg(long, requires = "out")]
    force: bool,
}

/// A benchmark whose files are read.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Benchmark {
    #[value(name = "nasbench101")]
    NasBench101,
    #[value(name = "nasbench201")]
    NasBench201,
}

fn csv_file(path: PathBuf) -> Result<PathBuf, String> {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("csv") => Ok(path),
        _ => Err("the name must end in .csv".to_owned()),
    }
}

impl AccuracyTable {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console);
        let inputs = [self.file.as_path()];
        let draft = self.out.as_deref().map(|path| Draft::new(path, self.force, inputs)).transpose()?;
        let written = match self.space {
            Benchmark::NasBench101 => {
                nasbench101::read(&self.file, self.epochs.unwrap_or(nasbench101::EPOCHS), console)
                    .and_then(|table| self.write(&table, draft.as_ref()))
            }
            Benchmark::NasBench201 => {
                nasbench201::read(&self.file, self.epochs.unwrap_or(nasbench201::EPOCHS), console)
                    .and_then(|table| self.write(&table, draft.as_ref()))
            }
        };
        match draft {
            Some(draft) => draft.settle(written),
            None => written,
        }
    }

    fn write<T: Table>(&self, table: &T, draft: Option<&Draft>) -> Result {
        let name = self.out.as_deref().unwrap_or(Path::new("standard output"));
        let to: Box<dyn Write> = match draft {
            Some(draft) => Box::new(draft.file()?),
            None => Box::new(StdoutData::new()),
        };
        let mut to = BufWriter::new(to);
        let written = writeln!(to, "{}", table.columns()).and_then(|()| table.write_rows(&mut to));
        written.and_then(|()| to.flush()).map_err(|error| Failure::write(name.display(), &error))?;
        Ok(Exit::Success)
    }
}

/// Makes the table of a benchmark's file, and drops it; whether there is one.
#[cfg(feature = "fuzzing")]
pub(crate) fn read(benchmark: Benchmark, path: &Path) -> bool {
    let console = Console::silent();
    let is_written = |table: &dyn Table| table.write_rows(&mut std::io::sink()).is_ok();
    match benchmark {
        Benchmark::NasBench101 => {
            nasbench101::read(path, nasbench101::EPOCHS, &console).is_ok_and(|table| is_written(&table))
        }
        Benchmark::NasBench201 => {
            nasbench201::read(path, nasbench201::EPOCHS, &console).is_ok_and(|table| is_written(&table))
        }
    }
}
