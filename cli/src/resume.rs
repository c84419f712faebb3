//! Resuming an earlier run where it has ended.

use std::fs::File;

use clap::Args;

use crate::columns::Compare;
use crate::entries::{Ended, NextEntry};
use crate::exit::{Exit, Failure, Result};
use crate::input::{self, Input, InputLine};
use crate::output::{self, Draft, Existing, OutFile, Output};
use crate::pipeline::{Pipeline, RunContext};
use crate::row_inputs::Subject;
use crate::row_reader::{RowReader, WrittenRow};
use crate::text::shortened;

/// The treatment of rows that are there already.
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
    let mut matcher = RowMatcher::new(&file, out, pipeline.context, false)?;
    let cache = pipeline.cache();
    loop {
        match matcher.next(input)? {
            RowMatch::Both(written, line) => {
                cache.lock().keep(&written.row, &line);
                pipeline.kept(&written.row);
            }
            RowMatch::Nothing => {}
            RowMatch::End => return Output::after(file, out, matcher.rows.whole()),
            RowMatch::Interrupted => return Err(Failure { exit: Exit::Interrupted, message: None }),
        }
    }
}

/// As [`keep_all`], but scores again what had failed. Rows stay in the order of the input, so the file is
/// written anew beside itself; until that is complete and takes its place, the old one is not touched.
fn retry_failed(file: &File, out: &OutFile, input: &mut Input, pipeline: &mut Pipeline) -> Result<Output> {
    let mut matcher = RowMatcher::new(file, out, pipeline.context, true)?;
    let draft = Draft::of(&out.path)?;
    // Further rows go to this one, when it has taken the old one's place.
    let locked = draft.file().and_then(|file| output::lock(&file, &out.path));
    let output = locked.and_then(|()| rewrite(&mut matcher, &draft, out, input, pipeline));
    if output.is_err() {
        draft.discard();
    }
    output
}

fn rewrite(
    matcher: &mut RowMatcher,
    draft: &Draft,
    out: &OutFile,
    input: &mut Input,
    pipeline: &mut Pipeline,
) -> Result<Output> {
    let mut output = draft.output(out)?;
    let cache = pipeline.cache();
    let source = &mut || {
        Ok(match matcher.next(input)? {
            RowMatch::Both(written, line) if written.row.failed() => NextEntry::Score(line, Some(written)),
            RowMatch::Both(written, line) => {
                cache.lock().keep(&written.row, &line);
                NextEntry::Keep(line, written)
            }
            RowMatch::Nothing => NextEntry::Nothing,
            RowMatch::End => NextEntry::End,
            RowMatch::Interrupted => NextEntry::Interrupted,
        })
    };
    if pipeline.run(source, &mut output)? == Ended::Interrupted {
        // What has been scored again is worth keeping; the other rows stay as they were.
        while let Some(written) = matcher.next_row()? {
            output.write_bytes(&written.bytes)?;
        }
    }
    draft.finish()?;
    Ok(output)
}

/// A matcher of the rows of an earlier run with the lines of the input that they belong to.
struct RowMatcher<'a> {
    rows: RowReader,
    context: RunContext<'a>,
    /// Whether failed rows are to be scored again.
    retry: bool,
    /// A row whose line has not come yet.
    held: Option<WrittenRow>,
}

/// A row with its line, if there are both.
enum RowMatch {
    Both(WrittenRow, InputLine),
    /// No line for a while.
    Nothing,
    /// No more rows.
    End,
    Interrupted,
}

impl<'a> RowMatcher<'a> {
    fn new(file: &File, out: &OutFile, context: RunContext<'a>, retry: bool) -> Result<Self> {
        Ok(RowMatcher { rows: RowReader::locked(file, out)?, context, retry, held: None })
    }

    fn next_row(&mut self) -> Result<Option<WrittenRow>> {
        match self.held.take() {
            None => self.rows.next_whole(),
            row => Ok(row),
        }
    }

    fn next(&mut self, input: &mut Input) -> Result<RowMatch> {
        let Some(written) = self.next_row()? else { return Ok(RowMatch::End) };
        match input.next()? {
            input::NextLine::Line(line) => {
                self.check(&written, &line).map_err(|why| self.rows.wrong(written.line, why))?;
                Ok(RowMatch::Both(written, line))
            }
            input::NextLine::End => {
                let (networks, input) = (input.taken(), input.name());
                let message = format!("is one row more than the {networks} networks of {input}");
                Err(self.rows.wrong(written.line, message))
            }
            input::NextLine::Nothing => {
                self.held = Some(written);
                Ok(RowMatch::Nothing)
            }
            input::NextLine::Interrupted => {
                self.held = Some(written);
                Ok(RowMatch::Interrupted)
            }
        }
    }

    /// Compares a row with what this run would write in its place; the error says what differs.
    fn check(&self, written: &WrittenRow, line: &InputLine) -> Result<(), String> {
        let row = &written.row;
        // The row of a line that could not be read has no network to compare with; the line may have been mended since.
        let unread = row.text("id").is_empty();
        let architecture = line.architecture.as_ref().ok().filter(|_| !unread || !self.retry);
        let subject = Subject { index: line.index, line: line.number, architecture, facts: None };
        let new = self.context.maker.row(&subject, Err(""));
        for ((column, old), (_, new)) in row.iter().zip(new.iter()) {
            if column.compare != Compare::Never && old != new {
                let place = input::place(self.context.input, line.index, line.number);
                let [old, new] = [old, new].map(|field| shortened(&field.to_string()));
                return Err(match column.name {
                    "index" => format!("index is {old}, not {new}"),
                    "id" if unread => {
                        format!("failed, but {place} can be read now; --retry-failed scores it")
                    }
                    "id" => format!("is the row of {old}, but {place} has {new} in its place"),
                    name => format!("{name} was {old}, but is {new} in this run"),
                });
            }
        }
        let kernel = self.context.kernels.map(|kernels| ("kernel", "is", kernels.path(line.index)));
        let codes = self.context.codes.map(|codes| ("codes", "are", codes.path(line.index)));
        match kernel.into_iter().chain(codes).find(|(.., path)| !row.failed() && !path.is_file()) {
            Some((what, verb, path)) => {
                Err(format!("its {what} {} {verb} missing; --force starts anew", path.display()))
            }
            None => Ok(()),
        }
    }
}
