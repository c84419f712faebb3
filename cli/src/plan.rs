//! `naswot plan`: the plan of each network.

use std::path::PathBuf;

use clap::Args;
use naswot::Architecture;
use naswot::plan::Plan;
use serde::Serialize;

use crate::console::say;
use crate::exit::{Exit, Failure, Result};
use crate::input::{Input, InputLine, NextLine, place};
use crate::options::{NetworkOptions, within};
use crate::source::BATCH_SIZE;
use crate::stdout_lines::StdoutLines;

const EXAMPLES: &str = "\
Examples:
  naswot sample --space nasbench201 -n 1 | naswot plan -
  naswot plan cells.jsonl --batch-size 128 --json";

/// Print what would run for every network of a file
///
/// A plan is a network compiled for the backends: its jobs in order, what each reads, where in memory it
/// writes, and what it costs. Nothing is run.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanCommand {
    /// Architectures, one JSON object a line, or rows of scores; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object a network
    #[arg(long)]
    json: bool,
    /// Images in the batch
    #[arg(long, value_name = "N", default_value_t = BATCH_SIZE, value_parser = within(1, 65_536))]
    batch_size: usize,
    /// Height and width of the images
    #[arg(long, value_name = "PIXELS", default_value_t = 32, value_parser = within(1, 1024))]
    image_size: usize,
    #[command(flatten)]
    network: NetworkOptions,
}

/// A plan as a line of JSON.
#[derive(Serialize)]
struct PlanRecord<'a> {
    index: usize,
    line: Option<usize>,
    space: &'a str,
    id: &'a str,
    #[serde(flatten)]
    plan: &'a Plan,
}

impl PlanCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        let mut input = Input::open(&self.file)?;
        let mut lines = StdoutLines::new();
        let mut exit = Exit::Success;
        loop {
            match input.next()? {
                NextLine::Line(line) => {
                    let (index, number) = (line.index, line.number);
                    if let Err(error) = self.print(line, &mut lines)? {
                        say(format_args!("{}: {error}", place(input.name(), index, number)));
                        exit = Exit::SomeFailed;
                    }
                }
                // What there is, is wanted now.
                NextLine::Nothing => lines.flush()?,
                NextLine::End | NextLine::Interrupted => break,
            }
        }
        lines.flush()?;
        Ok(exit)
    }

    /// Prints a plan; the error within is the network's.
    fn print(&self, line: InputLine, lines: &mut StdoutLines) -> Result<Result<(), String>> {
        let InputLine { index, number, architecture } = line;
        let planned = architecture.and_then(|architecture| {
            let planned = self.plan(&architecture).map_err(|error| error.to_string());
            planned.map(|(id, plan)| (architecture, id, plan))
        });
        let (architecture, id, plan) = match planned {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error)),
        };
        if self.json {
            let space = architecture.space().name();
            let record = PlanRecord { index, line: number, space, id: &id, plan: &plan };
            lines.print_data(serde_json::to_string(&record).map_err(Failure::stopped)?)?;
        } else {
            let line = number.map_or(String::new(), |line| format!(", line {line}"));
            lines.print_lines(format_args!("network {index}{line}: {id}\n{plan}"))?;
        }
        Ok(Ok(()))
    }

    fn plan(&self, architecture: &Architecture) -> naswot::Result<(String, Plan)> {
        let network = self.network.skeleton.network(architecture)?;
        let batch = [self.batch_size, 3, self.image_size, self.image_size];
        let plan = Plan::new(network.graph(), batch, self.network.convention)?;
        Ok((network.id().to_owned(), plan))
    }
}
