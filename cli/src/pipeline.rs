//! The pipeline from networks to rows, in the order in which they came, without keeping more than run at once.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Builder};

use naswot::{Architecture, Error, Score, Scorer, Stream};

use crate::codes::CodeFiles;
use crate::entries::{CellWithFacts, Ended, Entries, Entry, EntryReader, NextEntry, Work};
use crate::exit::{Failure, Result};
use crate::input::{self, Input};
use crate::interrupt;
use crate::kernels::Kernels;
use crate::outcome_cache::{FirstOccurrence, SharedOutcomeCache};
use crate::output::Output;
use crate::progress::Progress;
use crate::row_inputs::{Outcome, Subject};
use crate::row_reader::WrittenRow;
use crate::rows::{Row, RowMaker};
use crate::run_folder::RunFolder;
use crate::text::one_line;
use crate::threads::refused;

/// The context of a run: what all its rows have in common.
#[derive(Clone, Copy)]
pub(crate) struct RunContext<'a> {
    /// Name of the input.
    pub(crate) input: &'a str,
    pub(crate) scorer: &'a Scorer,
    pub(crate) maker: &'a RowMaker,
    pub(crate) kernels: Option<&'a Kernels>,
    pub(crate) codes: Option<&'a CodeFiles>,
    /// Whether another run has said which lines of the input are no networks.
    pub(crate) faults_said: bool,
}

impl<'a> RunContext<'a> {
    /// The folders that files of the networks are written to.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &'a RunFolder> {
        let kernels = self.kernels.map(Kernels::folder);
        kernels.into_iter().chain(self.codes.map(CodeFiles::folder))
    }

    /// Begins to write to them.
    pub(crate) fn begin_folders(&self) -> Result<()> {
        self.folders().try_for_each(RunFolder::begin)
    }
}

/// The pipeline that scores entries and writes their rows.
pub(crate) struct Pipeline<'a> {
    pub(crate) context: RunContext<'a>,
    progress: &'a mut Progress,
    /// The observer of every row, in order.
    seen: &'a mut dyn FnMut(&Row),
    cache: SharedOutcomeCache,
}

impl<'a> Pipeline<'a> {
    /// A pipeline of a run; `distinct`: no cell of the input comes twice.
    pub(crate) fn new(
        context: RunContext<'a>,
        progress: &'a mut Progress,
        seen: &'a mut dyn FnMut(&Row),
        distinct: bool,
    ) -> Self {
        Pipeline { context, progress, seen, cache: SharedOutcomeCache::new(distinct) }
    }

    /// Takes note of a row of an earlier run that stays as it is.
    pub(crate) fn kept(&mut self, row: &Row) {
        self.progress.kept(row);
        (self.seen)(row);
    }

    /// The cache of outcomes, to be told of those in rows that are kept.
    pub(crate) fn cache(&self) -> SharedOutcomeCache {
        self.cache.clone()
    }

    /// As [`Self::run`], for every network that is left of an input.
    pub(crate) fn run_all(&mut self, input: &mut Input, output: &mut Output) -> Result<Ended> {
        let source = &mut || {
            Ok(match input.next()? {
                input::NextLine::Line(line) => NextEntry::Score(line, None),
                input::NextLine::Nothing => NextEntry::Nothing,
                input::NextLine::End => NextEntry::End,
                input::NextLine::Interrupted => NextEntry::Interrupted,
            })
        };
        self.run(source, output)
    }

    /// Writes a row for every entry of a source. When the run is interrupted, the networks that are being
    /// scored are waited for, and the rows end before the first one that was not. Rows that are there already are not
    /// written.
    ///
    /// One thread reads the source, the stream's pulls the networks, and this one writes. They never wait in a circle: the
    /// reader hands an entry on before its network, so each result that is waited for is of a network that is on its way.
    pub(crate) fn run(
        &mut self,
        source: &mut (impl FnMut() -> Result<NextEntry> + Send),
        output: &mut Output,
    ) -> Result<Ended> {
        let stopped = AtomicBool::new(false);
        thread::scope(|scope| {
            let (reader, entries, networks) = EntryReader::new(self.context.maker, self.cache());
            let reading = Builder::new().spawn_scoped(scope, || reader.read(source, &stopped));
            let reading = reading.map_err(|error| refused(&error))?;
            let mut stream = self.context.scorer.stream(networks);
            let written = self.rows(entries, &mut stream, output);
            // After a failure the source may have more to come, slowly.
            stopped.store(true, Ordering::Relaxed);
            let read = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
            let ended = match written? {
                Ended::Interrupted => Ended::Interrupted,
                Ended::Complete => read?,
            };
            output.finish()?;
            Ok(ended)
        })
    }

    /// Writes the rows of entries, whose networks a stream scores.
    fn rows(&mut self, entries: Entries, stream: &mut Stream, output: &mut Output) -> Result<Ended> {
        let mut ended = Ended::Complete;
        for entry in entries {
            let Entry { index, line, work } = entry?;
            match work {
                Work::Keep(row) => self.kept(&row.row),
                _ if ended == Ended::Interrupted => {}
                Work::Fail { architecture, error } => {
                    let subject = Subject { index, line, architecture: architecture.as_ref(), facts: None };
                    self.fail(&subject, &error, output)?;
                }
                Work::Score { cell: CellWithFacts { architecture, facts }, row } => {
                    // None, if the stream was cancelled before it took the network.
                    let result = stream.next().unwrap_or(Err(Error::Cancelled));
                    let subject =
                        Subject { index, line, architecture: Some(&architecture), facts: Some(&facts) };
                    ended = self.settle(&architecture, &subject, result, row.as_ref(), output)?;
                }
                Work::Repeat { cell: CellWithFacts { architecture, facts }, row } => {
                    let first = self.cache.lock().first(&architecture);
                    let subject =
                        Subject { index, line, architecture: Some(&architecture), facts: Some(&facts) };
                    ended = self.settle_repeat(&subject, first, row.as_ref(), output)?;
                }
            }
            if interrupt::requested() {
                stream.cancel();
            }
        }
        Ok(ended)
    }

    /// Writes the row of a cell whose network was scored.
    fn settle(
        &mut self,
        cell: &Architecture,
        subject: &Subject,
        result: naswot::Result<Score>,
        row: Option<&WrittenRow>,
        output: &mut Output,
    ) -> Result<Ended> {
        match result {
            Ok(score) => {
                self.cache.lock().settle(cell, Ok((&score).into()));
                self.score(subject, &score, output)?;
            }
            Err(Error::Cancelled) if interrupt::requested() => return Ok(self.unfinished(row)),
            Err(Error::Cancelled) => {
                return Err(Failure::stopped("scoring ended by itself: please report this fault of naswot"));
            }
            Err(error) if error.is_fatal() => return Err(Failure::stopped(error)),
            Err(error) => {
                self.cache.lock().settle(cell, Err(&one_line(&error.to_string())));
                self.fail(subject, &error, output)?;
            }
        }
        Ok(Ended::Complete)
    }

    /// Writes the row of a cell that repeats.
    fn settle_repeat(
        &mut self,
        subject: &Subject,
        first: Option<FirstOccurrence>,
        row: Option<&WrittenRow>,
        output: &mut Output,
    ) -> Result<Ended> {
        match first {
            Some(FirstOccurrence { index, outcome: Some(Ok(outcome)) }) => {
                self.repeat(subject, index, outcome, output)?;
            }
            Some(FirstOccurrence { outcome: Some(Err(message)), .. }) => {
                self.fail(subject, &message, output)?
            }
            // The run ends before the turn of the first.
            _ => return Ok(self.unfinished(row)),
        }
        Ok(Ended::Complete)
    }

    /// Keeps the row that stands in the place of a network that was not scored. Where there is none, the rows end.
    fn unfinished(&mut self, row: Option<&WrittenRow>) -> Ended {
        match row {
            Some(row) => {
                self.kept(&row.row);
                Ended::Complete
            }
            None => Ended::Interrupted,
        }
    }

    fn score(&mut self, subject: &Subject, score: &Score, output: &mut Output) -> Result<()> {
        // Kernel and codes first, so that a row is a promise of them.
        if let (Some(kernels), Some(kernel)) = (self.context.kernels, &score.kernel) {
            kernels.write(subject.index, kernel)?;
        }
        if let (f64::NEG_INFINITY, Some(kernel)) = (score.log_det, &score.kernel) {
            let place = input::place(self.context.input, subject.index, subject.line);
            self.progress.singular(place, kernel);
        }
        if let (Some(files), Some(codes)) = (self.context.codes, &score.codes) {
            files.write(subject.index, codes)?;
        }
        self.write(subject, &score.into(), output)
    }

    fn repeat(
        &mut self,
        subject: &Subject,
        first: usize,
        mut outcome: Outcome,
        output: &mut Output,
    ) -> Result<()> {
        if let Some(kernels) = self.context.kernels {
            kernels.copy(first, subject.index)?;
        }
        if let Some(codes) = self.context.codes {
            codes.copy(first, subject.index)?;
        }
        outcome.seconds = 0.0;
        self.write(subject, &outcome, output)
    }

    fn write(&mut self, subject: &Subject, outcome: &Outcome, output: &mut Output) -> Result<()> {
        let row = self.context.maker.row(subject, Ok(outcome));
        output.write(&row)?;
        self.progress.scored(&row);
        (self.seen)(&row);
        Ok(())
    }

    fn fail(&mut self, subject: &Subject, error: impl ToString, output: &mut Output) -> Result<()> {
        let message = one_line(&error.to_string());
        let row = self.context.maker.row(subject, Err(&message));
        output.write(&row)?;
        let said = self.context.faults_said && subject.facts.is_none();
        let place = input::place(self.context.input, subject.index, subject.line);
        self.progress.failed(&row, (!said).then(|| format!("{place}: {message}")));
        (self.seen)(&row);
        Ok(())
    }
}
