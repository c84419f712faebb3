//! The progress of a run: a bar on a terminal, and a line at the end.

use std::fmt::{Display, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use naswot::Agreement;

use crate::console::{self, Console};
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

/// The progress of a run: counts rows and shows them.
pub(crate) struct Progress {
    console: Console,
    bar: ProgressBar,
    start: Instant,
    tally: Tally,
    /// Number of failures that had a message.
    explained: u64,
}

impl Progress {
    /// Starts to count. There is a bar where it is wanted and somebody watches, and `total` is asked only then.
    pub(crate) fn start(console: &Console, bar: bool, total: impl FnOnce() -> Option<u64>) -> Self {
        let (bar, total) = if bar && console.on_terminal() && !console.quiet {
            let total = total();
            (ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()), total)
        } else {
            (ProgressBar::hidden(), None)
        };
        let template = match total {
            Some(_) => "{wide_bar} {human_pos}/{human_len} networks, {rate}, {eta} left",
            None => "{spinner} {human_pos} networks, {rate}, {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", |state: &ProgressState, to: &mut dyn Write| {
                // A bar that cannot be drawn is no reason to stop.
                let _ = write!(to, "{:.1}/s", state.per_sec());
            }));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress {
            console: console.clone(),
            bar,
            start: Instant::now(),
            tally: Tally::default(),
            explained: 0,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Counts a row of an earlier run.
    pub(crate) fn kept(&mut self, failed: bool) {
        self.tally.kept += 1;
        self.tally.failed += u64::from(failed);
        self.bar.inc(1);
        // Rates are those of this run.
        self.bar.reset_eta();
    }

    /// Counts a network that has been scored.
    pub(crate) fn scored(&mut self, row: &Row) {
        self.tally.scored += 1;
        self.tally.singular += u64::from(row.score() == Some(f64::NEG_INFINITY));
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
    pub(crate) fn failed(&mut self, message: Option<impl Display>) {
        self.tally.failed += 1;
        if let Some(message) = message {
            self.explained += 1;
            if self.explained <= SHOWN || !self.console.on_terminal() {
                self.bar.suspend(|| console::say(message));
            }
        }
        self.bar.inc(1);
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
