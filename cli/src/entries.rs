//! Entries of a run, in order: read on a thread of its own, and built ahead on all cores, so that neither the device
//! nor the rows wait for a network, or for a line that is slow to come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use naswot::{Architecture, Network};

use crate::exit::{Failure, Result};
use crate::input::InputLine;
use crate::interrupt;
use crate::outcome_cache::SharedOutcomeCache;
use crate::row_inputs::Facts;
use crate::row_reader::WrittenRow;
use crate::rows::RowMaker;

/// Most entries that are ahead of the rows, so that memory is bounded: more than a stream takes networks ahead for a GPU.
const AHEAD: usize = 1024;

/// The entry of a row to be written.
pub(crate) struct Entry {
    pub(crate) index: usize,
    pub(crate) line: Option<usize>,
    pub(crate) work: Work,
}

/// The work that an entry stands for.
pub(crate) enum Work {
    /// A row that is there already.
    Keep(WrittenRow),
    /// A failure: why there is nothing to score.
    Fail { architecture: Option<Architecture>, error: String },
    /// A network that is on its way to the device. The row, if any, stays when the run ends before its turn.
    Score { cell: CellWithFacts, row: Option<WrittenRow> },
    /// A cell that repeats: its outcome is that of its first occurrence.
    Repeat { cell: CellWithFacts, row: Option<WrittenRow> },
}

/// An architecture, and the figures of its network.
pub(crate) struct CellWithFacts {
    pub(crate) architecture: Architecture,
    pub(crate) facts: Facts,
}

/// The next entry of a source.
pub(crate) enum NextEntry {
    /// A line to be scored, and the row that stands there already.
    Score(InputLine, Option<WrittenRow>),
    /// A row that stays as it is.
    Keep(InputLine, WrittenRow),
    /// Nothing for a while.
    Nothing,
    End,
    Interrupted,
}

/// The end of a source: complete, or before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    Interrupted,
}

/// A value that is being made, which comes when it is there; never, if it turns out that there is none.
type Pending<T> = Receiver<T>;

/// The entries of a source, in order.
pub(crate) struct Entries(Receiver<Pending<Entry>>);

/// The networks among them, in the same order.
pub(crate) struct BuiltNetworks(Receiver<Pending<Network>>);

/// A reader of a source, which has its entries built.
pub(crate) struct EntryReader<'a> {
    maker: &'a RowMaker,
    cache: SharedOutcomeCache,
    entries: SyncSender<Pending<Entry>>,
    /// Networks to be scored, never more than entries.
    networks: Sender<Pending<Network>>,
}

impl Entry {
    /// An entry for a line, and the network that is to be scored for it.
    fn build(
        line: InputLine,
        maker: &RowMaker,
        row: Option<WrittenRow>,
        repeats: bool,
    ) -> (Self, Option<Network>) {
        let InputLine { index, number, architecture } = line;
        let (work, network) = match architecture {
            Err(error) => (Work::Fail { architecture: None, error }, None),
            Ok(architecture) => match maker.network(&architecture) {
                Err(error) => {
                    (Work::Fail { architecture: Some(architecture), error: error.to_string() }, None)
                }
                Ok(network) => {
                    let cell = CellWithFacts { architecture, facts: maker.facts(&network) };
                    match repeats {
                        true => (Work::Repeat { cell, row }, None),
                        false => (Work::Score { cell, row }, Some(network)),
                    }
                }
            },
        };
        (Entry { index, line: number, work }, network)
    }

    fn keep(line: &InputLine, row: WrittenRow) -> Self {
        Entry { index: line.index, line: line.number, work: Work::Keep(row) }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        let message = "a network was not built: please report this fault of naswot";
        Some(self.0.recv().ok()?.recv().map_err(|_| Failure::stopped(message)))
    }
}

impl Iterator for BuiltNetworks {
    type Item = Network;

    fn next(&mut self) -> Option<Network> {
        if interrupt::requested() {
            return None;
        }
        self.0.iter().find_map(|place| place.recv().ok())
    }
}

impl<'a> EntryReader<'a> {
    /// A reader, with the entries and the networks that it hands on.
    pub(crate) fn new(maker: &'a RowMaker, cache: SharedOutcomeCache) -> (Self, Entries, BuiltNetworks) {
        let ((entries, to_write), (networks, to_score)) = (sync_channel(AHEAD), channel());
        (EntryReader { maker, cache, entries, networks }, Entries(to_write), BuiltNetworks(to_score))
    }

    /// Reads a source to its end, until nobody takes its entries, or until it is stopped.
    pub(crate) fn read(
        self,
        source: &mut impl FnMut() -> Result<NextEntry>,
        stopped: &AtomicBool,
    ) -> Result<Ended> {
        while !stopped.load(Ordering::Relaxed) {
            let taken = match source()? {
                NextEntry::Score(line, row) => self.build(line, row),
                NextEntry::Keep(line, row) => self.keep(&line, row),
                NextEntry::Nothing => true,
                NextEntry::End => return Ok(Ended::Complete),
                NextEntry::Interrupted => false,
            };
            if !taken {
                break;
            }
        }
        Ok(Ended::Interrupted)
    }

    /// Has an entry and its network built; whether anybody takes entries.
    fn build(&self, line: InputLine, row: Option<WrittenRow>) -> bool {
        let repeats = match &line.architecture {
            Ok(architecture) => self.cache.lock().repeats(architecture, line.index),
            Err(_) => false,
        };
        let ((entry, pending_entry), (network, pending_network)) = (sync_channel(1), sync_channel(1));
        if self.entries.send(pending_entry).is_err() {
            return false;
        }
        // A stream that was cancelled takes no more networks, but their entries may have rows to be kept.
        let _ = self.networks.send(pending_network);
        let maker = self.maker.clone();
        rayon::spawn_fifo(move || {
            let (built, to_score) = Entry::build(line, &maker, row, repeats);
            // Where nobody waits for them any more, the run has ended.
            to_score.into_iter().for_each(|to_score| drop(network.send(to_score)));
            drop(entry.send(built));
        });
        true
    }

    /// Hands on a row that stays as it is; whether anybody takes entries.
    fn keep(&self, line: &InputLine, row: WrittenRow) -> bool {
        let (entry, place) = sync_channel(1);
        drop(entry.send(Entry::keep(line, row)));
        self.entries.send(place).is_ok()
    }
}
