//! The progress of a run: a bar on a terminal, and a line at the end.

use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use naswot::Agreement;

use crate::console::{self, Console};
use crate::estimate::{Estimate, cost};
use crate::row_inputs::Facts;
use crate::rows::Row;

/// Failures that a terminal shows one by one; the others are counted.
const SHOWN: u64 = 20;

/// Numbers of rows by their outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) scored: u64,
    /// Number of the scored ones whose score is -inf.
    pub(crate) singular: u64,
    pub(crate) failed: u64,
    /// Rows of an earlier run; the failed ones among them count as failed, too.
    pub(crate) kept: u64,
}

/// A bar over the bytes of a file, where somebody watches.
pub(crate) fn bytes(console: &Console, total: u64) -> ProgressBar {
    if !console.on_terminal() || console.quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Draws a bar anew five times a second until it is gone. Where no thread can be started it is drawn as networks come:
/// indicatif's own `enable_steady_tick` would panic.
fn keep_fresh(bar: &ProgressBar) {
    let bar = bar.downgrade();
    let _ = Builder::new().spawn(move || {
        while let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            sleep(Duration::from_millis(200));
        }
    });
}

/// What is known of a run's networks before they have come.
#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) total: Option<u64>,
    /// The mean cost of networks like them.
    pub(crate) typical: Option<f64>,
}

impl Expected {
    /// So many networks, like some whose figures are known.
    pub(crate) fn like(total: Option<u64>, typical: &[Facts]) -> Self {
        let costs = typical.iter().filter_map(|facts| Some(cost(facts.macs?, facts.activations?)));
        let costs: Vec<f64> = costs.collect();
        let typical = (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64);
        Expected { total, typical }
    }
}

/// The cost of a row's network, where the row has its figures.
fn cost_of(row: &Row) -> Option<f64> {
    let [macs, activations] = ["macs", "activations"].map(|column| row.number(column));
    Some(cost(macs? as u64, activations? as u64))
}

/// What the bar says behind the number of networks: rate and time, as soon as they are known.
fn speed(estimate: &Estimate, now: Duration) -> String {
    let rate = estimate.rate().map_or(String::new(), |rate| format!(", {rate:.1}/s"));
    let left = estimate.left(now).map_or(String::new(), |left| format!(", {:#} left", HumanDuration(left)));
    rate + &left
}

fn lock(estimate: &Mutex<Estimate>) -> MutexGuard<'_, Estimate> {
    estimate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The progress of a run: counts rows and shows them.
pub(crate) struct Progress {
    console: Console,
    bar: ProgressBar,
    start: Instant,
    /// What the bar says of the time that is left.
    estimate: Arc<Mutex<Estimate>>,
    tally: Tally,
    /// Number of failures that had a message.
    explained: u64,
}

impl Progress {
    /// Starts to count. There is a bar where it is wanted and somebody watches, and `expected` is asked only then.
    pub(crate) fn start(console: &Console, bar: bool, expected: impl FnOnce() -> Expected) -> Self {
        let wanted = bar && console.on_terminal() && !console.quiet;
        let Expected { total, typical } = if wanted { expected() } else { Expected::default() };
        let bar = match wanted {
            true => ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        let (start, estimate) = (Instant::now(), Arc::new(Mutex::new(Estimate::new(total, typical))));
        let template = match total {
            Some(_) => "{wide_bar} {human_pos}/{human_len} networks{speed}",
            None => "{spinner} {human_pos} networks{speed}, {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let estimate = Arc::clone(&estimate);
            bar.set_style(style.with_key("speed", move |_: &ProgressState, to: &mut dyn Write| {
                // A bar that cannot be drawn is no reason to stop.
                let _ = to.write_str(&speed(&lock(&estimate), start.elapsed()));
            }));
        }
        if wanted {
            keep_fresh(&bar);
        }
        Progress { console: console.clone(), bar, start, estimate, tally: Tally::default(), explained: 0 }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Counts a row of an earlier run.
    pub(crate) fn kept(&mut self, row: &Row) {
        self.tally.kept += 1;
        self.tally.failed += u64::from(row.failed());
        self.passed(row);
    }

    /// Counts a row that has taken no time.
    fn passed(&mut self, row: &Row) {
        lock(&self.estimate).passed(self.start.elapsed(), cost_of(row));
        self.bar.inc(1);
    }

    /// Counts a network that has been scored.
    pub(crate) fn scored(&mut self, row: &Row) {
        self.tally.scored += 1;
        self.tally.singular += u64::from(row.score() == Some(f64::NEG_INFINITY));
        lock(&self.estimate).scored(self.start.elapsed(), cost_of(row));
        self.bar.inc(1);
    }

    /// Says, as a detail, why a network's score is -inf.
    pub(crate) fn singular(&self, place: impl Display, kernel: &Agreement) {
        self.bar.suspend(|| match kernel.equal_codes() {
            Some([first, second]) => {
                let message = format_args!("images {first} and {second} (from 0) have one code");
                self.console.detail(format_args!("{place}: -inf: {message}"));
            }
            None => {
                let message = "K is singular, though no two images have one code";
                self.console.detail(format_args!("{place}: -inf: {message}"));
            }
        });
    }

    /// Counts a network that could not be scored, and says why, if that has not been said before.
    pub(crate) fn failed(&mut self, row: &Row, message: Option<impl Display>) {
        self.tally.failed += 1;
        if let Some(message) = message {
            self.explained += 1;
            if self.explained <= SHOWN || !self.console.on_terminal() {
                self.bar.suspend(|| console::say(message));
            }
        }
        self.passed(row);
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints the summary of the run. Where all went well and nobody watches, nothing.
    pub(crate) fn summarise(&self) {
        if self.explained > SHOWN && self.console.on_terminal() {
            console::say(format_args!("{} more failures; their rows say why", self.explained - SHOWN));
        }
        if self.tally.failed > 0 && !self.console.quiet {
            console::say(self.summary());
        } else {
            self.console.note(self.summary());
        }
    }

    fn summary(&self) -> String {
        let Tally { scored, singular, failed, kept } = self.tally;
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = scored as f64 / seconds.max(1e-9);
        let kept = if kept > 0 { format!(", {kept} rows kept") } else { String::new() };
        format!(
            "{scored} scored ({singular} of them -inf), {failed} failed{kept} in {seconds:.1} s: {rate:.1} networks/s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_nothing_of_time_before_it_knows() {
        let mut estimate = Estimate::new(Some(1000), Some(2.0));
        assert_eq!(speed(&estimate, Duration::from_millis(600)), "");
        // As after --resume: 900 rows are there, and ten more take five seconds.
        (0..900).for_each(|_| estimate.passed(Duration::from_secs(1), Some(2.0)));
        assert_eq!(speed(&estimate, Duration::from_secs(1)), "");
        (1..=10).for_each(|i| estimate.scored(Duration::from_millis(1000 + 500 * i), Some(2.0)));
        assert_eq!(speed(&estimate, Duration::from_secs(6)), ", 2.0/s, 45s left");
        let mut endless = Estimate::new(None, None);
        endless.scored(Duration::from_secs(2), Some(2.0));
        assert_eq!(speed(&endless, Duration::from_secs(2)), ", 0.5/s");
    }
}
