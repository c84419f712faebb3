//! Going on where an earlier run has ended.

use std::fs::File;

use clap::Args;

use crate::entries::{Ended, Next};
use crate::exit::{Exit, Failure, Result};
use crate::input::{self, Input, Line};
use crate::old_rows::{OldRow, OldRows};
use crate::output::{self, Draft, Existing, OutFile, Output};
use crate::pipeline::{Pipeline, Run};

/// What to do with rows that are there already.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct ExistingOptions {
    /// Go on where an earlier run has ended
    ///
    /// Finished rows are kept as they are, if they are of the same networks and settings. A last row that was
    /// cut is written again.
    #[arg(long, requires = "out", conflicts_with = "force")]
    resume: bool,
    /// With --resume: score the failed networks again
    #[arg(long, requires = "resume")]
    retry_failed: bool,
    /// Replace an output that exists already
    #[arg(long)]
    pub(crate) force: bool,
}

impl ExistingOptions {
    pub(crate) fn existing(&self) -> Existing {
        match (self.force, self.resume) {
            (true, _) => Existing::Replace,
            (_, true) => Existing::Continue,
            _ => Existing::Refuse,
        }
    }

    /// Begins a locked file anew, or goes on with the rows in it, past the networks that they are of.
    pub(crate) fn output(
        &self,
        file: File,
        out: &OutFile,
        input: &mut Input,
        pipeline: &mut Pipeline,
    ) -> Result<Output> {
        match self.existing() {
            Existing::Continue if self.retry_failed => retry_failed(&file, out, input, pipeline),
            Existing::Continue => keep_all(file, out, input, pipeline),
            _ => Output::replace(file, out),
        }
    }
}

/// Checks the rows of a locked file against the beginning of the input, and returns the output behind them.
fn keep_all(file: File, out: &OutFile, input: &mut Input, pipeline: &mut Pipeline) -> Result<Output> {
    let mut pairs = Pairs::new(&file, out, pipeline.run, false)?;
    let known = pipeline.known();
    loop {
        match pairs.next(input, true)? {
            Pair::Both(row, line) => {
                known.borrow_mut().keep(&row, &line);
                pipeline.kept(row.score());
            }
            Pair::Nothing => {}
            Pair::End => return Output::after(file, out, pairs.rows.whole()),
            Pair::Interrupted => return Err(Failure { exit: Exit::Interrupted, message: None }),
        }
    }
}

/// As [`keep_all`], but scores again what had failed. Rows stay in the order of the input, so the file is
/// written anew beside itself; until that is complete and takes its place, the old one is not touched.
fn retry_failed(file: &File, out: &OutFile, input: &mut Input, pipeline: &mut Pipeline) -> Result<Output> {
    let mut pairs = Pairs::new(file, out, pipeline.run, true)?;
    let draft = Draft::of(&out.path)?;
    // Further rows go to this one, when it has taken the old one's place.
    let locked = draft.file().and_then(|file| output::lock(&file, &out.path));
    let output = locked.and_then(|()| rewrite(&mut pairs, &draft, out, input, pipeline));
    if output.is_err() {
        draft.discard();
    }
    output
}

fn rewrite(
    pairs: &mut Pairs,
    draft: &Draft,
    out: &OutFile,
    input: &mut Input,
    pipeline: &mut Pipeline,
) -> Result<Output> {
    let mut output = draft.output(out)?;
    let known = pipeline.known();
    let source = &mut |wait| {
        Ok(match pairs.next(input, wait)? {
            Pair::Both(row, line) if row.failed() => Next::Score(line, Some(row.bytes)),
            Pair::Both(row, line) => {
                known.borrow_mut().keep(&row, &line);
                Next::Keep(line, row)
            }
            Pair::Nothing => Next::Nothing,
            Pair::End => Next::End,
            Pair::Interrupted => Next::Interrupted,
        })
    };
    if pipeline.run(source, &mut output)? == Ended::Interrupted {
        // What has been scored again is worth keeping; the other rows stay as they were.
        while let Some(row) = pairs.next_row()? {
            output.write_bytes(&row.bytes)?;
        }
    }
    draft.finish()?;
    Ok(output)
}

/// Rows of an earlier run, each with the line of the input that it belongs to.
struct Pairs<'a> {
    rows: OldRows,
    run: Run<'a>,
    /// Whether failed rows are to be scored again.
    retry: bool,
    /// A row whose line has not come yet.
    held: Option<OldRow>,
}

enum Pair {
    Both(OldRow, Line),
    /// No line for a while.
    Nothing,
    /// No more rows.
    End,
    Interrupted,
}

impl<'a> Pairs<'a> {
    fn new(file: &File, out: &OutFile, run: Run<'a>, retry: bool) -> Result<Self> {
        Ok(Pairs { rows: OldRows::open(file, out)?, run, retry, held: None })
    }

    fn next_row(&mut self) -> Result<Option<OldRow>> {
        match self.held.take() {
            None => self.rows.next(),
            row => Ok(row),
        }
    }

    fn next(&mut self, input: &mut Input, wait: bool) -> Result<Pair> {
        let Some(row) = self.next_row()? else { return Ok(Pair::End) };
        match input.next(wait)? {
            input::Next::Line(line) => {
                self.rows.check(&row, &line, &self.run, self.retry)?;
                Ok(Pair::Both(row, line))
            }
            input::Next::End => Err(self.rows.surplus(&row, input.taken(), input.name())),
            input::Next::Nothing => {
                self.held = Some(row);
                Ok(Pair::Nothing)
            }
            input::Next::Interrupted => {
                self.held = Some(row);
                Ok(Pair::Interrupted)
            }
        }
    }
}
