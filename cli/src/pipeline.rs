//! Turns networks into rows, in the order in which they came, without keeping more than run at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use naswot::{Error, Network, Score, Scorer};

use crate::entries::{Cell, Ended, Entries, Entry, Next, Work};
use crate::exit::{Failure, Result};
use crate::input::{self, Input};
use crate::interrupt;
use crate::kernels::Kernels;
use crate::known::{First, Known};
use crate::output::Output;
use crate::progress::Progress;
use crate::row_reader::WrittenRow;
use crate::rows::{Outcome, Row, RowMaker, Subject, one_line};

/// Entries without a network that are taken in one go; rows are written in between.
const MOST_WITHOUT_NETWORK: usize = 1000;

/// What stands between the stream of scores and the rows.
struct Shared<'a, S> {
    entries: Entries<'a, S>,
    known: Rc<RefCell<Known>>,
    /// Entries without a row yet, in order.
    pending: VecDeque<Entry>,
}

impl<S: FnMut(bool) -> Result<Next>> Shared<'_, S> {
    /// Has an entry wait for its row; its network, unless its cell has stood before.
    fn wait(&mut self, mut entry: Entry) -> Option<Network> {
        let (work, network) = match entry.work {
            Work::Score { cell, row, .. }
                if self.known.borrow_mut().repeats(&cell.architecture, entry.index) =>
            {
                (Work::Repeat { cell, row }, None)
            }
            Work::Score { cell, network, row } => (Work::Score { cell, network: None, row }, network),
            work => (work, None),
        };
        entry.work = work;
        self.pending.push_back(entry);
        network
    }
}

/// The networks among the entries of a source. Ends early, for the rows so far to be written, where entries
/// are slow to come or have no networks; the pipeline then starts another stream.
struct Networks<'a, 'b, S>(&'a RefCell<Shared<'b, S>>);

impl<S: FnMut(bool) -> Result<Next>> Iterator for Networks<'_, '_, S> {
    type Item = Network;

    fn next(&mut self) -> Option<Network> {
        let mut shared = self.0.borrow_mut();
        for _ in 0..MOST_WITHOUT_NETWORK {
            if interrupt::requested() {
                return None;
            }
            let idle = shared.pending.is_empty();
            let entry = shared.entries.next(idle)?;
            if let Some(network) = shared.wait(entry) {
                return Some(network);
            }
        }
        None
    }
}

/// What all rows of a run have in common.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Name of the input.
    pub(crate) input: &'a str,
    pub(crate) scorer: &'a Scorer,
    pub(crate) maker: &'a RowMaker,
    pub(crate) kernels: Option<&'a Kernels>,
    /// Whether another run has said which lines of the input are no networks.
    pub(crate) faults_said: bool,
}

/// Scores entries and writes their rows.
pub(crate) struct Pipeline<'a> {
    pub(crate) run: Run<'a>,
    progress: &'a mut Progress,
    /// Told of every row, in order.
    seen: &'a mut dyn FnMut(&Row),
    known: Rc<RefCell<Known>>,
}

impl<'a> Pipeline<'a> {
    /// `distinct`: no cell of the input comes twice.
    pub(crate) fn new(
        run: Run<'a>,
        progress: &'a mut Progress,
        seen: &'a mut dyn FnMut(&Row),
        distinct: bool,
    ) -> Self {
        Pipeline { run, progress, seen, known: Rc::new(RefCell::new(Known::new(distinct))) }
    }

    /// Takes note of a row of an earlier run that stays as it is.
    pub(crate) fn kept(&mut self, row: &Row) {
        self.progress.kept(row.failed());
        (self.seen)(row);
    }

    /// The cells that it knows, to be told of those in rows that are kept.
    pub(crate) fn known(&self) -> Rc<RefCell<Known>> {
        Rc::clone(&self.known)
    }

    /// As [`Self::run`], for every network that is left of an input.
    pub(crate) fn run_all(&mut self, input: &mut Input, output: &mut Output) -> Result<Ended> {
        let source = &mut |wait| {
            Ok(match input.next(wait)? {
                input::Next::Line(line) => Next::Score(line, None),
                input::Next::Nothing => Next::Nothing,
                input::Next::End => Next::End,
                input::Next::Interrupted => Next::Interrupted,
            })
        };
        self.run(source, output)
    }

    /// Writes a row for every entry of a source. When the run is interrupted, the networks that are being
    /// scored are waited for, and the rows end before the first one that was not; rows that stood in the
    /// place of others are kept.
    pub(crate) fn run(
        &mut self,
        source: &mut impl FnMut(bool) -> Result<Next>,
        output: &mut Output,
    ) -> Result<Ended> {
        let entries = Entries::new(source, self.run.maker);
        let known = Rc::clone(&self.known);
        let shared = RefCell::new(Shared { entries, known, pending: VecDeque::new() });
        loop {
            let mut stream = self.run.scorer.stream(Networks(&shared));
            let mut cut = false;
            while let Some(result) = stream.next() {
                cut |= self.settle(&shared, Some(result), cut, output)? == Ended::Interrupted;
                if interrupt::requested() {
                    stream.cancel();
                }
            }
            drop(stream);
            let interrupted = interrupt::requested();
            if interrupted {
                let mut shared = shared.borrow_mut();
                while let Some(entry) = shared.entries.first() {
                    shared.wait(entry);
                }
            }
            cut |= self.settle(&shared, None, cut, output)? == Ended::Interrupted;
            match shared.borrow_mut().entries.ended() {
                _ if cut => return Ok(Ended::Interrupted),
                Some(end) => return end,
                None if interrupted => return Ok(Ended::Interrupted),
                None => {}
            }
        }
    }

    /// Writes the rows up to that of the next network in the stream, or all where there is none.
    fn settle<S>(
        &mut self,
        shared: &RefCell<Shared<S>>,
        mut result: Option<naswot::Result<Score>>,
        mut cut: bool,
        output: &mut Output,
    ) -> Result<Ended> {
        let all = result.is_none();
        loop {
            let Some(entry) = shared.borrow_mut().pending.pop_front() else { break };
            let Entry { index, line, work } = entry;
            match work {
                Work::Keep(row) => self.keep(&row, output)?,
                _ if cut => {}
                Work::Fail { architecture, error } => {
                    let subject = Subject { index, line, architecture: architecture.as_ref(), facts: None };
                    self.fail(&subject, &error, output)?;
                }
                Work::Score { cell, row, .. } => {
                    let Cell { architecture, facts } = &cell;
                    let subject =
                        Subject { index, line, architecture: Some(architecture), facts: Some(facts) };
                    match result.take().unwrap_or(Err(Error::Cancelled)) {
                        Ok(score) => {
                            self.known.borrow_mut().settle(architecture, Ok((&score).into()));
                            self.score(&subject, &score, output)?;
                        }
                        Err(Error::Cancelled) if interrupt::requested() => match row {
                            Some(row) => self.keep(&row, output)?,
                            None => cut = true,
                        },
                        Err(Error::Cancelled) => {
                            return Err(Failure::stopped(
                                "scoring ended by itself: please report this fault of naswot",
                            ));
                        }
                        Err(error) if error.is_fatal() => return Err(Failure::stopped(error)),
                        Err(error) => {
                            self.known.borrow_mut().settle(architecture, Err(&one_line(&error.to_string())));
                            self.fail(&subject, &error, output)?;
                        }
                    }
                    if !all {
                        break;
                    }
                }
                Work::Repeat { cell: Cell { architecture, facts }, row } => {
                    let first = self.known.borrow().first(&architecture);
                    let subject =
                        Subject { index, line, architecture: Some(&architecture), facts: Some(&facts) };
                    match (first, row) {
                        (Some(First { index, outcome: Some(Ok(outcome)) }), _) => {
                            self.repeat(&subject, index, outcome, output)?;
                        }
                        (Some(First { outcome: Some(Err(message)), .. }), _) => {
                            self.fail(&subject, &message, output)?;
                        }
                        // The run ends before the turn of the first.
                        (_, Some(row)) => self.keep(&row, output)?,
                        (_, None) => cut = true,
                    }
                }
            }
        }
        Ok(if cut { Ended::Interrupted } else { Ended::Complete })
    }

    fn keep(&mut self, written: &WrittenRow, output: &mut Output) -> Result<()> {
        output.write_bytes(&written.bytes)?;
        self.kept(&written.row);
        Ok(())
    }

    fn score(&mut self, subject: &Subject, score: &Score, output: &mut Output) -> Result<()> {
        // The kernel first, so that a row is a promise of it.
        if let (Some(kernels), Some(kernel)) = (self.run.kernels, &score.kernel) {
            kernels.write(subject.index, kernel)?;
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
        if let Some(kernels) = self.run.kernels {
            kernels.copy(first, subject.index)?;
        }
        outcome.seconds = 0.0;
        self.write(subject, &outcome, output)
    }

    fn write(&mut self, subject: &Subject, outcome: &Outcome, output: &mut Output) -> Result<()> {
        let row = self.run.maker.row(subject, Ok(outcome));
        output.write(&row)?;
        self.progress.scored(&row);
        (self.seen)(&row);
        Ok(())
    }

    fn fail(&mut self, subject: &Subject, error: impl ToString, output: &mut Output) -> Result<()> {
        let message = one_line(&error.to_string());
        let row = self.run.maker.row(subject, Err(&message));
        output.write(&row)?;
        let said = self.run.faults_said && subject.facts.is_none();
        let place = input::place(self.run.input, subject.index, subject.line);
        self.progress.failed((!said).then(|| format!("{place}: {message}")));
        (self.seen)(&row);
        Ok(())
    }
}
