//! What comes before a launch or a copy: what was put on its stream before it, and what events and the host have waited for.
//! All else may run at the same time on a GPU, and must not touch the same bytes, unless both read.

use super::Access;
use super::memory::Memory;
use super::order::Stamp;

/// For each stream, by its number, the last launch or copy there that comes before a point.
#[derive(Clone, Debug, Default)]
pub struct Past(Vec<u64>);

impl Past {
    fn add(&mut self, stream: usize, task: u64) {
        if self.0.len() <= stream {
            self.0.resize(stream + 1, 0);
        }
        self.0[stream] = self.0[stream].max(task);
    }

    /// Adds what comes before another point.
    pub fn join(&mut self, other: &Past) {
        other.0.iter().enumerate().for_each(|(stream, &task)| self.add(stream, task));
    }
}

/// Launches and copies in the order that they are done in, where races are looked for: stream and name of each.
#[derive(Debug, Default)]
pub struct History(Vec<(usize, String)>);

impl History {
    /// Adds a task of a stream, which ends its past.
    pub fn begin(&mut self, stream: usize, name: String, past: &mut Past) {
        self.0.push((stream, name));
        past.add(stream, self.0.len() as u64);
    }

    /// The last task.
    pub fn last<'a>(&'a self, past: &'a Past) -> Task<'a> {
        Task { number: self.0.len() as u64, past, history: self }
    }
}

/// A launch or a copy, and what comes before it.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Counted from 1.
    pub number: u64,
    past: &'a Past,
    history: &'a History,
}

impl Task<'_> {
    /// Whether another task comes before this one. Number 0 is none, and comes before all.
    pub fn follows(&self, other: u64) -> bool {
        let Some((stream, _)) = other.checked_sub(1).and_then(|at| self.history.0.get(at as usize)) else {
            return true;
        };
        self.past.0.get(*stream).is_some_and(|&last| other <= last)
    }

    /// A name for messages.
    pub fn name(&self, other: u64) -> &str {
        other
            .checked_sub(1)
            .and_then(|at| self.history.0.get(at as usize))
            .map_or("nothing", |(_, name)| name)
    }
}

impl Memory {
    /// Notes that a copy or a fill reads or writes some bytes.
    ///
    /// # Errors
    /// What touches them too, and is not known to have ended.
    pub fn touch(&mut self, task: &Task<'_>, access: Access, address: u64, bytes: u64) -> Result<(), String> {
        if bytes == 0 {
            return Ok(());
        }
        for word in address / 4..=(address + bytes - 1) / 4 {
            let stamp = Stamp::of_copy(task.number, Stamp::bytes_of(word, address, bytes));
            let Some(mark) = self.mark(4 * word) else { continue };
            let old = mark.note(access, stamp);
            if let Some((other, did)) = old.conflict(access, &stamp, |other| task.follows(other.task)) {
                let (place, name) = (self.describe(4 * word), task.name(other.task));
                return Err(format!("{place}, which {name} {did}, and nothing orders the two"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_goes_by_streams_and_by_what_they_have_waited_for() {
        let (mut history, mut one, mut other) = (History::default(), Past::default(), Past::default());
        history.begin(0, "first".to_owned(), &mut one);
        history.begin(3, "second".to_owned(), &mut other);
        history.begin(0, "third".to_owned(), &mut one);
        assert!(history.last(&one).follows(1) && !history.last(&one).follows(2));
        assert!(history.last(&other).follows(2) && !history.last(&other).follows(3));
        one.join(&other);
        assert!((0..=3).all(|task| history.last(&one).follows(task)));
        assert_eq!(history.last(&one).name(2), "second");
    }
}
