//! Scores of candidates: those of an earlier run, and those that are computed when a search asks for them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::iter;
use std::path::Path;

use naswot::analysis::Candidates;
use naswot::{Architecture, Error, Scorer};

use crate::exit::{Failure, Result};
use crate::interrupt;
use crate::measure::Measure;
use crate::options::SkeletonOptions;
use crate::row_inputs::{Facts, Outcome, Subject};
use crate::row_reader::{RowReader, WrittenRow};
use crate::rows::{Row, RowMaker};
use crate::settings::SharedSettings;
use crate::table::Columns;

/// The scores of candidates, by their position.
pub(super) struct CandidateScores<'a> {
    candidates: &'a Candidates,
    skeleton: SkeletonOptions,
    /// The measure that candidates are searched by.
    measure: &'a Measure,
    /// Its value, and the seconds that scoring the candidate took.
    known: RefCell<Vec<Option<(f64, f64)>>>,
    /// The settings that the known ones were made with.
    settings: SharedSettings,
    /// Opens the device when the first score is to be computed.
    open: Box<dyn Fn() -> Result<Scorer> + 'a>,
    scorer: RefCell<Option<Scorer>>,
    /// The observer of the rows of candidates that are scored.
    computed: Box<dyn Fn(&Row) + 'a>,
    /// Seconds that scoring the candidates that were asked for took, since they were last taken.
    seconds: Cell<f64>,
    /// The failure to open the device: a closure of the library returns an error of the library.
    failure: RefCell<Option<Failure>>,
}

impl<'a> CandidateScores<'a> {
    pub(super) fn new(
        candidates: &'a Candidates,
        skeleton: SkeletonOptions,
        measure: &'a Measure,
        open: impl Fn() -> Result<Scorer> + 'a,
        computed: impl Fn(&Row) + 'a,
    ) -> Self {
        CandidateScores {
            candidates,
            skeleton,
            measure,
            known: RefCell::new(vec![None; candidates.architectures().len()]),
            settings: SharedSettings::default(),
            open: Box::new(open),
            scorer: RefCell::new(None),
            computed: Box::new(computed),
            seconds: Cell::new(0.0),
            failure: RefCell::new(None),
        }
    }

    /// Reads the rows of an earlier run; those of other networks are passed over.
    pub(super) fn read(&mut self, file: &Path) -> Result<usize> {
        let mut rows = RowReader::open(file, Columns::Exact)?;
        let archs: HashMap<String, usize> =
            self.candidates.architectures().iter().zip(0..).map(|(cell, at)| (cell.arch(), at)).collect();
        let mut read = 0;
        while let Some(written) = rows.next() {
            let WrittenRow { line, row, .. } = written?;
            self.settings.add(&row).map_err(|why| rows.wrong(line, why))?;
            let arch = row.architecture().map(|architecture| architecture.arch());
            let position = arch.and_then(|arch| archs.get(&arch).copied());
            if let (Some(position), Some(found)) = (position, self.found(&row)) {
                self.known.borrow_mut()[position] = Some(found);
                read += 1;
            }
        }
        Ok(read)
    }

    /// The scores of some candidates, computed where they are not known.
    pub(super) fn of(&self, cells: &[Architecture]) -> naswot::Result<Vec<f64>> {
        if interrupt::requested() {
            return Err(Error::Cancelled);
        }
        let positions = cells.iter().map(|cell| self.position(cell)).collect::<naswot::Result<Vec<_>>>()?;
        let mut missing: Vec<usize> =
            positions.iter().copied().filter(|&at| self.known.borrow()[at].is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            self.compute(&missing)?;
        }
        let known = self.known.borrow();
        let found = || positions.iter().filter_map(|&at| known[at]);
        self.seconds.set(self.seconds.get() + found().map(|(_, seconds)| seconds).sum::<f64>());
        Ok(found().map(|(value, _)| value).collect())
    }

    /// The value of the measure, and the seconds that it took; none of a row that lacks it.
    fn found(&self, row: &Row) -> Option<(f64, f64)> {
        row.number(self.measure.column()).zip(row.number("seconds"))
    }

    fn position(&self, cell: &Architecture) -> naswot::Result<usize> {
        let message = || format!("{} is no candidate", cell.arch());
        self.candidates.position(cell).ok_or_else(|| Error::Search { message: message() })
    }

    fn compute(&self, missing: &[usize]) -> naswot::Result<()> {
        let mut scorer = self.scorer.borrow_mut();
        let scorer = match &*scorer {
            Some(scorer) => scorer,
            None => scorer.insert(self.opened(missing[0]).map_err(|failure| {
                *self.failure.borrow_mut() = Some(failure);
                Error::Cancelled
            })?),
        };
        let cells: Vec<Architecture> =
            missing.iter().map(|&at| self.candidates.architectures()[at].clone()).collect();
        let network =
            |cell| if interrupt::requested() { Err(Error::Cancelled) } else { self.skeleton.network(cell) };
        let networks = cells.iter().map(network).collect::<naswot::Result<Vec<_>>>()?;
        let maker = RowMaker::new(scorer.settings().clone(), self.skeleton);
        let facts: Vec<Facts> = networks.iter().map(|network| maker.facts(network)).collect();
        let outcomes: Box<dyn Iterator<Item = naswot::Result<Outcome>>> = if self.measure.is_size() {
            Box::new(iter::repeat_with(|| Ok(Outcome::new(|_| None, None, 0.0))))
        } else {
            Box::new(scorer.stream(networks).map(|score| score.map(|score| Outcome::from(&score))))
        };
        for (((&at, cell), facts), outcome) in missing.iter().zip(&cells).zip(&facts).zip(outcomes) {
            if interrupt::requested() {
                return Err(Error::Cancelled);
            }
            let outcome = outcome.map_err(|error| match error {
                error if error.is_fatal() => error,
                error => Error::Search { message: format!("{}: {error}", cell.arch()) },
            })?;
            let subject = Subject { index: at, line: None, architecture: Some(cell), facts: Some(facts) };
            let row = maker.row(&subject, Ok(&outcome));
            (self.computed)(&row);
            let lacks =
                || Error::Search { message: format!("{}: has no {}", cell.arch(), self.measure.name()) };
            self.known.borrow_mut()[at] = Some(self.found(&row).ok_or_else(lacks)?);
        }
        Ok(())
    }

    /// The scorer, if its settings are those of the scores that are known.
    fn opened(&self, first: usize) -> Result<Scorer> {
        let scorer = (self.open)()?;
        let architecture = Some(&self.candidates.architectures()[first]);
        let subject = Subject { index: 0, line: None, architecture, facts: None };
        let row = RowMaker::new(scorer.settings().clone(), self.skeleton).row(&subject, Err(""));
        self.settings.compare(&row).map_err(|why| {
            Failure::unusable(format_args!(
                "--known lacks networks that are needed, and of its settings {why}"
            ))
        })?;
        Ok(scorer)
    }

    /// Seconds that scoring took since this was asked last, whether it was done now or in an earlier run.
    pub(super) fn take_seconds(&self) -> f64 {
        self.seconds.take()
    }

    /// The failure of a search that has ended with an error.
    pub(super) fn failure(&self, error: Error) -> Failure {
        match self.failure.take() {
            Some(failure) => failure,
            None => error.into(),
        }
    }
}
