//! What is to become rows, in order, with networks that are built ahead on all cores: the device waits for none.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use naswot::{Architecture, Network};

use crate::exit::{Failure, Result};
use crate::input::Line;
use crate::row_reader::WrittenRow;
use crate::rows::{Facts, RowMaker};

/// Most entries that are built ahead, so that memory is bounded.
const AHEAD: usize = 256;

/// What is to become a row.
pub(crate) struct Entry {
    pub(crate) index: usize,
    pub(crate) line: Option<usize>,
    pub(crate) work: Work,
}

pub(crate) enum Work {
    /// A row that is there already.
    Keep(WrittenRow),
    /// Why there is nothing to score.
    Fail { architecture: Option<Architecture>, error: String },
    /// A network, until it is on its way. The row, if any, stays when the run ends before its turn.
    Score { cell: Cell, network: Option<Network>, row: Option<WrittenRow> },
    /// A cell that has stood before: what became of it there is its outcome.
    Repeat { cell: Cell, row: Option<WrittenRow> },
}

/// An architecture, and what is known of its network.
pub(crate) struct Cell {
    pub(crate) architecture: Architecture,
    pub(crate) facts: Facts,
}

/// What a source has to say.
pub(crate) enum Next {
    /// A line to be scored, and the row that stands there already.
    Score(Line, Option<WrittenRow>),
    /// A row that stays as it is.
    Keep(Line, WrittenRow),
    /// Nothing for a while.
    Nothing,
    End,
    Interrupted,
}

/// Whether a source came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    Interrupted,
}

/// The entries of a source, which is told whether to wait for what is not there yet.
pub(crate) struct Entries<'a, S> {
    source: &'a mut S,
    maker: &'a RowMaker,
    /// In order; each arrives when it is built.
    ahead: VecDeque<Receiver<Entry>>,
    /// How the source ended.
    end: Option<Result<Ended>>,
}

impl Entry {
    /// An entry for a line: its network, or why there is none.
    fn score(line: Line, maker: &RowMaker, row: Option<WrittenRow>) -> Self {
        let Line { index, number, architecture } = line;
        let work = match architecture {
            Err(error) => Work::Fail { architecture: None, error },
            Ok(architecture) => match maker.network(&architecture) {
                Err(error) => Work::Fail { architecture: Some(architecture), error: error.to_string() },
                Ok(network) => {
                    let cell = Cell { architecture, facts: maker.facts(&network) };
                    Work::Score { cell, network: Some(network), row }
                }
            },
        };
        Entry { index, line: number, work }
    }

    fn keep(line: &Line, row: WrittenRow) -> Self {
        Entry { index: line.index, line: line.number, work: Work::Keep(row) }
    }
}

impl<'a, S: FnMut(bool) -> Result<Next>> Entries<'a, S> {
    pub(crate) fn new(source: &'a mut S, maker: &'a RowMaker) -> Self {
        Entries { source, maker, ahead: VecDeque::new(), end: None }
    }

    /// The next entry; none at the end, or where `wait` is false and there is none for a while.
    pub(crate) fn next(&mut self, wait: bool) -> Option<Entry> {
        loop {
            match self.ahead.front().map(Receiver::try_recv) {
                Some(Ok(entry)) => {
                    self.ahead.pop_front();
                    return Some(entry);
                }
                _ if self.end.is_some() || self.ahead.len() >= AHEAD => return self.first(),
                _ => {}
            }
            match (self.source)(self.ahead.is_empty()) {
                Ok(Next::Score(line, row)) => {
                    let (place, maker) = (self.place(), self.maker.clone());
                    // Where nobody waits for it any more, the run has failed.
                    rayon::spawn_fifo(move || drop(place.send(Entry::score(line, &maker, row))));
                }
                Ok(Next::Keep(line, row)) => drop(self.place().send(Entry::keep(&line, row))),
                Ok(Next::Nothing) if !self.ahead.is_empty() => return self.first(),
                Ok(Next::Nothing) if wait => {}
                Ok(Next::Nothing) => return None,
                Ok(Next::End) => self.end = Some(Ok(Ended::Complete)),
                Ok(Next::Interrupted) => self.end = Some(Ok(Ended::Interrupted)),
                Err(failure) => self.end = Some(Err(failure)),
            }
        }
    }

    /// A place behind the last entry.
    fn place(&mut self) -> SyncSender<Entry> {
        let (place, entry) = sync_channel(1);
        self.ahead.push_back(entry);
        place
    }

    /// Waits for the first of the entries that are built ahead.
    pub(crate) fn first(&mut self) -> Option<Entry> {
        let entry = self.ahead.pop_front()?.recv();
        entry
            .inspect_err(|_| {
                self.ahead.clear();
                let message = "a network was not built: please report this fault of naswot";
                self.end = Some(Err(Failure::stopped(message)));
            })
            .ok()
    }

    /// How the source ended, when all its entries have been handed out.
    pub(crate) fn ended(&mut self) -> Option<Result<Ended>> {
        if self.ahead.is_empty() { self.end.take() } else { None }
    }
}
