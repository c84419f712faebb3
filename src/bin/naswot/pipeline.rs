//! Turns networks into rows, in the order in which they came, without keeping more than run at once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use naswot::{Architecture, Error, Network, Score, Scorer};

use crate::exit::{Failure, Result};
use crate::input::{self, Input, Line};
use crate::interrupt;
use crate::kernels::Kernels;
use crate::known::{First, Known};
use crate::old_rows::OldRow;
use crate::output::Output;
use crate::progress::Progress;
use crate::rows::{Outcome, RowMaker, Subject, one_line};

/// Entries without a network that are taken in one go; rows are written in between.
const MOST_WITHOUT_NETWORK: usize = 1000;

/// What is to become a row.
pub(crate) struct Entry {
    index: usize,
    line: Option<usize>,
    work: Work,
}

enum Work {
    /// A row that is there already.
    Keep { row: Vec<u8>, score: Option<f64> },
    /// Why there is nothing to score.
    Fail { architecture: Option<Architecture>, error: String },
    /// The row, if any, stays when the run ends before the network's turn.
    Score { architecture: Architecture, network: Network, row: Option<Vec<u8>> },
    /// A cell that has stood before: what became of it there is its outcome.
    Repeat { architecture: Architecture, network: Network, row: Option<Vec<u8>> },
}

/// What a source of entries has to say.
pub(crate) enum Next {
    Entry(Entry),
    /// Nothing for a while.
    Nothing,
    End,
    Interrupted,
}

/// Whether a pipeline got to the end of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    Interrupted,
}

impl Entry {
    /// An entry for a line: its network, or why there is none. `row` is what stands there already.
    pub(crate) fn score(line: Line, maker: &RowMaker, row: Option<Vec<u8>>) -> Self {
        let Line { index, number, architecture } = line;
        let work = match architecture {
            Err(error) => Work::Fail { architecture: None, error },
            Ok(architecture) => match maker.network(&architecture) {
                Err(error) => Work::Fail { architecture: Some(architecture), error: error.to_string() },
                Ok(network) => Work::Score { architecture, network, row },
            },
        };
        Entry { index, line: number, work }
    }

    /// The same, to be looked up where its cell has stood before.
    fn unless_known(self, known: &RefCell<Known>) -> Self {
        let work = match self.work {
            Work::Score { architecture, network, row }
                if known.borrow_mut().repeats(&architecture, self.index) =>
            {
                Work::Repeat { architecture, network, row }
            }
            work => work,
        };
        Entry { work, ..self }
    }

    /// An entry for a row that stays as it is.
    pub(crate) fn keep(line: &Line, row: OldRow) -> Self {
        let work = Work::Keep { score: row.score(), row: row.bytes };
        Entry { index: line.index, line: line.number, work }
    }
}

/// What stands between the stream of scores and the rows.
#[derive(Default)]
struct Shared {
    /// Entries without a row yet, in order.
    pending: VecDeque<Entry>,
    /// How the source ended.
    end: Option<Result<Ended>>,
}

/// The networks among the entries of a source. Ends early, for the rows so far to be written, where entries
/// are slow to come or have no networks; the pipeline then starts another stream.
struct Networks<'a, S> {
    source: &'a mut S,
    shared: &'a RefCell<Shared>,
    known: Rc<RefCell<Known>>,
}

impl<S: FnMut() -> Result<Next>> Iterator for Networks<'_, S> {
    type Item = Network;

    fn next(&mut self) -> Option<Network> {
        let mut shared = self.shared.borrow_mut();
        let mut without = 0;
        while shared.end.is_none() && without < MOST_WITHOUT_NETWORK {
            match (self.source)() {
                Ok(Next::Entry(entry)) => {
                    let entry = entry.unless_known(&self.known);
                    let network = match &entry.work {
                        Work::Score { network, .. } => Some(network.clone()),
                        _ => None,
                    };
                    shared.pending.push_back(entry);
                    if network.is_some() {
                        return network;
                    }
                    without += 1;
                }
                Ok(Next::Nothing) if shared.pending.is_empty() => {}
                Ok(Next::Nothing) => return None,
                Ok(Next::End) => shared.end = Some(Ok(Ended::Complete)),
                Ok(Next::Interrupted) => shared.end = Some(Ok(Ended::Interrupted)),
                Err(failure) => shared.end = Some(Err(failure)),
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
    /// Told of every row in order: its score, or none where the network failed.
    seen: &'a mut dyn FnMut(Option<f64>),
    known: Rc<RefCell<Known>>,
}

impl<'a> Pipeline<'a> {
    /// `distinct`: no cell of the input comes twice.
    pub(crate) fn new(
        run: Run<'a>,
        progress: &'a mut Progress,
        seen: &'a mut dyn FnMut(Option<f64>),
        distinct: bool,
    ) -> Self {
        Pipeline { run, progress, seen, known: Rc::new(RefCell::new(Known::new(distinct))) }
    }

    /// Takes note of a row of an earlier run that stays as it is.
    pub(crate) fn kept(&mut self, score: Option<f64>) {
        self.progress.kept(score.is_none());
        (self.seen)(score);
    }

    /// The cells that it knows, to be told of those in rows that are kept.
    pub(crate) fn known(&self) -> Rc<RefCell<Known>> {
        Rc::clone(&self.known)
    }

    /// As [`Self::run`], for every network that is left of an input.
    pub(crate) fn run_all(&mut self, input: &mut Input, output: &mut Output) -> Result<Ended> {
        let maker = self.run.maker;
        let source = &mut || {
            Ok(match input.next()? {
                input::Next::Line(line) => Next::Entry(Entry::score(line, maker, None)),
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
        source: &mut impl FnMut() -> Result<Next>,
        output: &mut Output,
    ) -> Result<Ended> {
        loop {
            let shared = RefCell::default();
            let mut stream =
                self.run.scorer.stream(Networks { source, shared: &shared, known: Rc::clone(&self.known) });
            let mut cut = false;
            while let Some(result) = stream.next() {
                cut |= self.settle(&shared, Some(result), cut, output)? == Ended::Interrupted;
                if interrupt::requested() {
                    stream.cancel();
                }
            }
            drop(stream);
            self.settle(&shared, None, cut, output)?;
            match shared.into_inner().end {
                _ if cut => return Ok(Ended::Interrupted),
                Some(end) => return end,
                None => {}
            }
        }
    }

    /// Writes the rows up to that of the next network in the stream, or all where there is none.
    fn settle(
        &mut self,
        shared: &RefCell<Shared>,
        mut result: Option<naswot::Result<Score>>,
        mut cut: bool,
        output: &mut Output,
    ) -> Result<Ended> {
        loop {
            let Some(entry) = shared.borrow_mut().pending.pop_front() else { break };
            let Entry { index, line, work } = entry;
            match work {
                Work::Keep { row, score } => self.keep(&row, score, output)?,
                _ if cut => {}
                Work::Fail { architecture, error } => {
                    let subject = Subject { index, line, architecture: architecture.as_ref(), network: None };
                    self.fail(&subject, &error, output)?;
                }
                Work::Score { architecture, network, row } => {
                    let cell = architecture;
                    let (architecture, network) = (Some(&architecture), Some(&network));
                    let subject = Subject { index, line, architecture, network };
                    match result.take().unwrap_or(Err(Error::Cancelled)) {
                        Ok(score) => {
                            self.known.borrow_mut().settle(&cell, Ok((&score).into()));
                            self.score(&subject, &score, output)?;
                        }
                        Err(Error::Cancelled) if interrupt::requested() => match row {
                            Some(row) => self.keep(&row, None, output)?,
                            None => cut = true,
                        },
                        Err(Error::Cancelled) => {
                            return Err(Failure::stopped(
                                "scoring ended by itself: please report this fault of naswot",
                            ));
                        }
                        Err(error) if error.is_fatal() => return Err(Failure::stopped(error)),
                        Err(error) => {
                            self.known.borrow_mut().settle(&cell, Err(&one_line(&error.to_string())));
                            self.fail(&subject, &error, output)?;
                        }
                    }
                    break;
                }
                Work::Repeat { architecture, network, row } => {
                    let first = self.known.borrow().first(&architecture);
                    let (architecture, network) = (Some(&architecture), Some(&network));
                    let subject = Subject { index, line, architecture, network };
                    match (first, row) {
                        (Some(First { index, outcome: Some(Ok(outcome)) }), _) => {
                            self.repeat(&subject, index, outcome, output)?;
                        }
                        (Some(First { outcome: Some(Err(message)), .. }), _) => {
                            self.fail(&subject, &message, output)?;
                        }
                        // The run ends before the turn of the first.
                        (_, Some(row)) => self.keep(&row, None, output)?,
                        (_, None) => cut = true,
                    }
                }
            }
        }
        Ok(if cut { Ended::Interrupted } else { Ended::Complete })
    }

    fn keep(&mut self, row: &[u8], score: Option<f64>, output: &mut Output) -> Result<()> {
        output.write_bytes(row)?;
        self.kept(score);
        Ok(())
    }

    fn score(&mut self, subject: &Subject, score: &Score, output: &mut Output) -> Result<()> {
        // The kernel first, so that a row is a promise of it.
        if let (Some(kernels), Some(kernel)) = (self.run.kernels, &score.kernel) {
            kernels.write(subject.index, kernel)?;
        }
        self.write(subject, score.into(), output)
    }

    fn repeat(
        &mut self,
        subject: &Subject,
        first: usize,
        outcome: Outcome,
        output: &mut Output,
    ) -> Result<()> {
        if let Some(kernels) = self.run.kernels {
            kernels.copy(first, subject.index)?;
        }
        self.write(subject, Outcome { seconds: 0.0, ..outcome }, output)
    }

    fn write(&mut self, subject: &Subject, outcome: Outcome, output: &mut Output) -> Result<()> {
        output.write(&self.run.maker.row(subject, Ok(outcome)))?;
        self.progress.scored(outcome.score);
        (self.seen)(Some(outcome.score));
        Ok(())
    }

    fn fail(&mut self, subject: &Subject, error: impl ToString, output: &mut Output) -> Result<()> {
        let message = one_line(&error.to_string());
        output.write(&self.run.maker.row(subject, Err(&message)))?;
        let said = self.run.faults_said && subject.network.is_none();
        let place = input::place(self.run.input, subject.index, subject.line);
        self.progress.failed((!said).then(|| format!("{place}: {message}")));
        (self.seen)(None);
        Ok(())
    }
}
