//! Resuming an earlier run where it has ended.

use std::fs::File;
use std::io;

use clap::Args;

use crate::columns::Compare;
use crate::entries::{Ended, NextEntry};
use crate::exit::{Exit, Failure, Result};
use crate::input::{self, Input, InputLine};
use crate::output::{self, Existing, OutFile, Output};
use crate::pipeline::{Pipeline, RunContext};
use crate::retried;
use crate::row_inputs::Subject;
use crate::row_reader::{RowReader, WrittenRow};
use crate::rows::Format;
use crate::run_folder::RunFolder;
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
        if self.existing() != Existing::Continue {
            pipeline.context.begin_folders()?;
            retried::forget(out)?;
            return Output::replace(file, out);
        }
        let file = retried::fold(file, out)?;
        let last_row = || last_row(&file, out);
        pipeline.context.folders().try_for_each(|folder| folder.check_rows(last_row))?;
        if self.retry_failed {
            retry_failed(file, out, input, pipeline)
        } else {
            keep_all(file, out, input, pipeline)
        }
    }
}

/// The index of the last row of a locked file.
fn last_row(file: &File, out: &OutFile) -> Result<Option<usize>> {
    let (mut rows, mut last) = (RowReader::locked(file, out)?, None);
    while let Some(written) = rows.next_whole()? {
        last = Some(written.row.index() as usize);
    }
    Ok(last)
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
            RowMatch::End => break,
            RowMatch::Interrupted => return Err(Failure { exit: Exit::Interrupted, message: None }),
        }
    }
    pipeline.context.begin_folders()?;
    Output::after(file, out, matcher.rows.whole())
}

/// As [`keep_all`], but scores again what had failed. Rows stay in the order of the input, so those that are scored again are
/// collected beside the file, which is written anew with them at the end; until then it is not touched.
fn retry_failed(file: File, out: &OutFile, input: &mut Input, pipeline: &mut Pipeline) -> Result<Output> {
    let failed = |error: io::Error| Failure::write(out.path.display(), &error);
    let length = file.metadata().map_err(failed)?.len();
    let mut matcher = RowMatcher::new(&file, out, pipeline.context, true)?;
    let mut again = retried::begin(out)?;
    // Of other files the rows are to say first whether they may stand there.
    let folders_agree = pipeline.context.folders().all(RunFolder::agrees);
    if folders_agree {
        pipeline.context.begin_folders()?;
    }
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
    let ended = pipeline.run(source, &mut again);
    drop(again);
    let ended = ended.inspect_err(|_| {
        // What there is waits for the next run. The message matters more than a file without rows.
        let _ = retried::remove_empty(out);
    })?;
    output::check_unchanged(&file, &out.path, length).map_err(failed)?;
    // Where the rows were not gone through to the end, nothing is dropped there.
    let cut = match ended {
        Ended::Complete => length - matcher.rows.whole(),
        Ended::Interrupted => 0,
    };
    let file = retried::fold(file, out)?;
    if ended == Ended::Complete && !folders_agree {
        pipeline.context.begin_folders()?;
    }
    let whole = file.metadata().map_err(failed)?.len() - cut;
    Output::after(file, out, whole)
}

/// A matcher of the rows of an earlier run with the lines of the input that they belong to.
struct RowMatcher<'a> {
    rows: RowReader,
    context: RunContext<'a>,
    /// Whether failed rows are to be scored again.
    retry: bool,
    /// A row whose line has not come yet.
    held: Option<WrittenRow>,
    format: Format,
    /// The row at the end that was cut, with its line, whose network has not come yet.
    cut: Option<(usize, Vec<u8>)>,
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
        let rows = RowReader::locked(file, out)?;
        Ok(RowMatcher { rows, context, retry, held: None, format: out.format, cut: None })
    }

    fn next(&mut self, input: &mut Input) -> Result<RowMatch> {
        let next = match self.held.take() {
            None if self.cut.is_none() => self.rows.next_whole()?,
            row => row,
        };
        let Some(written) = next else { return self.end(input) };
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

    /// Compares what there is of a row at the end that was cut with the row that belongs there: nothing else is to be dropped.
    fn end(&mut self, input: &mut Input) -> Result<RowMatch> {
        let Some((number, bytes)) = self.cut.take().or_else(|| self.rows.take_cut_row()) else {
            return Ok(RowMatch::End);
        };
        let line = match input.next()? {
            input::NextLine::Line(line) => line,
            input::NextLine::End => {
                let (networks, input) = (input.taken(), input.name());
                let message = format!("is behind the rows of the {networks} networks of {input}, and no row");
                return Err(self.rows.wrong(number, message));
            }
            waiting => {
                self.cut = Some((number, bytes));
                return Ok(match waiting {
                    input::NextLine::Interrupted => RowMatch::Interrupted,
                    _ => RowMatch::Nothing,
                });
            }
        };
        // Where a line could not be read, its row begins without a network; it may have been mended since.
        let fits = [line.architecture.as_ref().ok(), None].into_iter().any(|architecture| {
            let subject = Subject { index: line.index, line: line.number, architecture, facts: None };
            let row = self.context.maker.row(&subject, Err(""));
            row.beginning(self.format).iter().zip(&bytes).all(|(a, b)| a == b)
        });
        if !fits {
            let place = input::place(self.context.input, line.index, line.number);
            let message =
                format!("is no row of {place} that was cut, and so not to be dropped; remove it if it is");
            return Err(self.rows.wrong(number, message));
        }
        input.put_back(line);
        Ok(RowMatch::End)
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
        if row.failed() {
            return Ok(());
        }
        let RunContext { kernels, codes, .. } = self.context;
        kernels.map_or(Ok(()), |kernels| kernels.check(line.index, row))?;
        codes.map_or(Ok(()), |codes| codes.check(line.index, row))
    }
}
