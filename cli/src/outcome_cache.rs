//! A cache of outcomes: a cell that comes again is scored once, and reported wherever it stands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use naswot::Architecture;

use crate::input::InputLine;
use crate::row_inputs::Outcome;
use crate::rows::Row;

/// Most cells that are remembered, so that memory is bounded: more than both spaces have. Beyond them a cell
/// that comes again is scored again.
const MOST: usize = 1 << 20;

/// The first occurrence of a cell, and its outcome.
#[derive(Clone, Debug)]
pub(crate) struct FirstOccurrence {
    pub(crate) index: usize,
    /// None while it has not had its turn.
    pub(crate) outcome: Option<Result<Outcome, Box<str>>>,
}

/// The cache: the different cells so far.
pub(crate) struct OutcomeCache {
    cells: HashMap<Architecture, FirstOccurrence>,
    most: usize,
}

/// The cache, shared by the thread that reads cells and the one that writes rows.
#[derive(Clone)]
pub(crate) struct SharedOutcomeCache(Arc<Mutex<OutcomeCache>>);

impl SharedOutcomeCache {
    pub(crate) fn new(distinct: bool) -> Self {
        SharedOutcomeCache(Arc::new(Mutex::new(OutcomeCache::new(distinct))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, OutcomeCache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutcomeCache {
    /// A cache that remembers cells, unless they are known to differ from each other.
    fn new(distinct: bool) -> Self {
        OutcomeCache { cells: HashMap::new(), most: if distinct { 0 } else { MOST } }
    }

    /// Whether a cell has stood at an earlier place; if not, this is its first.
    pub(crate) fn repeats(&mut self, architecture: &Architecture, index: usize) -> bool {
        let full = self.cells.len() >= self.most;
        match self.cells.entry(architecture.clone()) {
            Entry::Occupied(_) => return true,
            Entry::Vacant(place) if !full => drop(place.insert(FirstOccurrence { index, outcome: None })),
            Entry::Vacant(_) => {}
        }
        false
    }

    /// Notes the outcome of a row that is kept.
    pub(crate) fn keep(&mut self, row: &Row, line: &InputLine) {
        if let (Ok(architecture), Some(outcome)) = (&line.architecture, row.outcome()) {
            self.repeats(architecture, line.index);
            self.settle(architecture, Ok(outcome));
        }
    }

    /// Notes the outcome of a cell.
    pub(crate) fn settle(&mut self, architecture: &Architecture, outcome: Result<Outcome, &str>) {
        if let Some(first) = self.cells.get_mut(architecture) {
            first.outcome.get_or_insert(outcome.map_err(Box::from));
        }
    }

    /// The first occurrence of a cell that repeats.
    pub(crate) fn first(&self, architecture: &Architecture) -> Option<FirstOccurrence> {
        self.cells.get(architecture).cloned()
    }
}
