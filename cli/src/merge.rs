//! `naswot merge`: the rows of shards as one file.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::console::Console;
use crate::exit::{Exit, Failure, Result};
use crate::options::file;
use crate::output::{Draft, OutFile, Output};
use crate::row_reader::{RowReader, WrittenRow};
use crate::settings::SharedSettings;
use crate::table::Columns;

const EXAMPLES: &str = "\
Examples:
  naswot score --space nasbench201 --all --shard 0/2 -o 0.csv  # one machine
  naswot score --space nasbench201 --all --shard 1/2 -o 1.csv  # another
  naswot merge 0.csv 1.csv -o scores.csv --networks 15625";

/// Join the rows of shards
///
/// Rows come in the order of their index, as one run over all networks would have written them. Files that have
/// an index twice, leave one out between others or were made with other settings are refused, and nothing is
/// written then.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Merge {
    /// Files of rows, in any form; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File to write: .csv or .jsonl
    #[arg(short, long, value_name = "FILE", value_parser = file(OutFile::parse))]
    out: OutFile,
    /// Networks that there must be: without it, shards that all lack their last rows pass for whole ones
    #[arg(long, value_name = "N")]
    networks: Option<u64>,
    /// Replace an output that exists already
    #[arg(long)]
    force: bool,
}

/// The rows of a shard, the next one read ahead.
struct ShardRows {
    rows: RowReader,
    next: Option<(u64, WrittenRow)>,
}

impl ShardRows {
    fn open(file: &Path) -> Result<Self> {
        let mut shard = ShardRows { rows: RowReader::open(file, Columns::Exact)?, next: None };
        shard.advance(None)?;
        Ok(shard)
    }

    /// Reads the next row, whose index is above the last one.
    fn advance(&mut self, last: Option<u64>) -> Result<()> {
        self.next = self.rows.next().transpose()?.map(|written| (written.row.index(), written));
        match (last, &self.next) {
            (Some(last), Some((index, written))) if *index <= last => {
                let message = format!("index {index} stands behind {last}: is this what one run wrote?");
                Err(self.rows.wrong(written.line, message))
            }
            _ => Ok(()),
        }
    }
}

impl Merge {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let mut shards =
            self.files.iter().map(|file| ShardRows::open(file)).collect::<Result<Vec<_>, _>>()?;
        for (file, _) in self.files.iter().zip(&shards).filter(|(_, shard)| shard.next.is_none()) {
            console.warning(format_args!("{}: holds no rows", file.display()));
        }
        let draft = Draft::new(&self.out.path, self.force, self.files.iter().map(PathBuf::as_path))?;
        let merged = draft.output(&self.out).and_then(|mut output| self.write(&mut shards, &mut output));
        let rows = *merged.as_ref().unwrap_or(&0);
        let exit = draft.settle(merged.map(|_| Exit::Success))?;
        console.note(format_args!("{rows} rows of {} files", self.files.len()));
        Ok(exit)
    }

    /// Writes all rows; returns how many.
    fn write(&self, shards: &mut [ShardRows], output: &mut Output) -> Result<u64> {
        let mut settings = SharedSettings::default();
        let mut index = 0;
        while let Some(first) = (0..shards.len())
            .filter(|&i| shards[i].next.is_some())
            .min_by_key(|&i| shards[i].next.as_ref().map(|(index, _)| *index))
        {
            let Some((found, row)) = shards[first].next.take() else { break };
            if found != index {
                return Err(self.missing(index, Some(found)));
            }
            let twice = shards.iter().zip(&self.files).find_map(|(shard, file)| match &shard.next {
                Some((other, row)) if *other == found => Some(format!("{}:{}", file.display(), row.line)),
                _ => None,
            });
            if let Some(place) = twice {
                let message = format!("index {index} is at {place}, too: shards may not overlap");
                return Err(shards[first].rows.wrong(row.line, message));
            }
            settings.add(&row.row).map_err(|why| shards[first].rows.wrong(row.line, why))?;
            output.write(&row.row)?;
            shards[first].advance(Some(found))?;
            index += 1;
        }
        match self.networks {
            Some(networks) if networks > index => Err(self.missing(index, None)),
            Some(networks) if networks < index => {
                Err(Failure::unusable(format_args!("--networks: there are {index}, not {networks}")))
            }
            _ => Ok(index),
        }
    }

    fn missing(&self, index: u64, next: Option<u64>) -> Failure {
        let next = next.map_or(String::new(), |next| format!("; the next is {next}"));
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        Failure::unusable(format_args!("no row has index {index} (in {}){next}", files.join(", ")))
    }
}
