//! An estimate of how long a run goes on, which knows that networks differ: each weighs by what it costs, and what is left by
//! the cost of networks like those that wait.

use std::collections::VecDeque;
use std::time::Duration;

/// Time over which a speed is taken: more than the groups of a GPU take, less than it takes a machine to change.
const WINDOW: Duration = Duration::from_secs(60);
/// Time from one point of the window to the next.
const STEP: Duration = Duration::from_millis(500);
/// Time before which there is no speed: the first networks wait for weights.
const LEAST: Duration = Duration::from_secs(1);

/// Cost of an activation in multiply-accumulates: to normalize, sum, compare and store it takes the CPU as long (two cores of a
/// Zen 4 in f32; NAS-Bench-101 of 5 to 50 million multiply-accumulates).
const ACTIVATION: u64 = 64;

/// The cost of a network, in multiply-accumulates for one image.
pub(crate) fn cost(macs: u64, activations: u64) -> f64 {
    (macs + ACTIVATION * activations) as f64
}

/// Networks and their cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amount {
    networks: f64,
    cost: f64,
}

impl Amount {
    fn mean(self) -> Option<f64> {
        (self.networks > 0.0).then(|| self.cost / self.networks)
    }
}

/// The estimate of a run, told of each of its networks as its time comes. Times are those since its start.
#[derive(Debug)]
pub(crate) struct Estimate {
    /// Number of networks, where it is known.
    total: Option<u64>,
    /// Mean cost of the run's networks, where it is known before they have come.
    typical: Option<f64>,
    /// Networks that have come, those of an earlier run included.
    passed: Amount,
    /// What had been scored at some times of the window, the first of which is its start.
    window: VecDeque<(Duration, Amount)>,
    /// What has been scored, and when the last of it was.
    scored: (Duration, Amount),
}

impl Estimate {
    pub(crate) fn new(total: Option<u64>, typical: Option<f64>) -> Self {
        let start = (Duration::ZERO, Amount::default());
        Estimate { total, typical, passed: Amount::default(), window: [start].into(), scored: start }
    }

    /// A network that an earlier run has scored, or that cannot be: it takes no time.
    pub(crate) fn passed(&mut self, at: Duration, cost: Option<f64>) {
        self.pass(cost);
        if self.scored.1.networks == 0.0 {
            // Scoring begins behind what is kept.
            self.scored.0 = at;
            self.window = [self.scored].into();
        }
    }

    /// A network that was scored.
    pub(crate) fn scored(&mut self, at: Duration, cost: Option<f64>) {
        let cost = self.pass(cost);
        let (last, amount) = &mut self.scored;
        *last = at;
        amount.networks += 1.0;
        amount.cost += cost;
        if self.window.back().is_none_or(|(point, _)| at >= *point + STEP) {
            self.window.push_back(self.scored);
        }
        while self.window.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= WINDOW) {
            self.window.pop_front();
        }
    }

    /// The cost of a network that has come; where it is not known it is that of the others.
    fn pass(&mut self, cost: Option<f64>) -> f64 {
        let cost = cost.or(self.typical).or(self.passed.mean()).unwrap_or(0.0);
        self.passed.networks += 1.0;
        self.passed.cost += cost;
        cost
    }

    /// What was scored within the window, and the seconds that it took; none as long as there is too little.
    fn recent(&self) -> Option<(Amount, f64)> {
        let &(start, before) = self.window.front()?;
        let (last, amount) = self.scored;
        let recent = Amount { networks: amount.networks - before.networks, cost: amount.cost - before.cost };
        let time = last.saturating_sub(start);
        (time >= LEAST && recent.networks > 0.0).then_some((recent, time.as_secs_f64()))
    }

    /// Networks in a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.recent().map(|(recent, seconds)| recent.networks / seconds)
    }

    /// The time that is left; none as long as nothing says.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        let total = self.total? as f64;
        let (recent, seconds) = self.recent()?;
        let left = (total - self.passed.networks).max(0.0);
        let nearby = recent.mean()?;
        // Typical networks say what is left at the start. The less is left the more their errors matter, and at the end the
        // networks that came last say it.
        let mean = match self.typical {
            Some(typical) if left > 0.0 => {
                let others = ((total * typical - self.passed.cost) / left).max(0.0);
                let weight = (1.0 - left / total).powi(2);
                (1.0 - weight) * others + weight * nearby
            }
            _ => nearby,
        };
        let each = seconds * mean / recent.cost.max(f64::MIN_POSITIVE);
        // While a network is on its way, time goes by.
        let waited = now.saturating_sub(self.scored.0).as_secs_f64().min(each);
        Duration::try_from_secs_f64((left * each - waited).max(0.0)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores networks one after the other on a machine that takes a second for a cost of 100, and returns what was said and
    /// what was true at each.
    fn run(estimate: &mut Estimate, start: f64, costs: &[f64]) -> Vec<(f64, f64)> {
        let end = start + costs.iter().sum::<f64>() / 100.0;
        let mut now = start;
        let mut said = Vec::new();
        for cost in costs {
            now += cost / 100.0;
            let at = Duration::from_secs_f64(now);
            estimate.scored(at, Some(*cost));
            said.extend(estimate.left(at).map(|left| (left.as_secs_f64(), end - now)));
        }
        said
    }

    fn is_near(said: f64, truth: f64, factor: f64) -> bool {
        (said - truth).abs() < 0.5 || (said / truth < factor && truth / said < factor)
    }

    #[test]
    fn nothing_is_said_before_anything_is_known() {
        let mut estimate = Estimate::new(Some(100), Some(10.0));
        let [start, soon, later] = [0, 100, 2000].map(Duration::from_millis);
        assert_eq!((estimate.rate(), estimate.left(start)), (None, None));
        estimate.scored(soon, Some(10.0));
        assert_eq!((estimate.rate(), estimate.left(soon)), (None, None));
        estimate.scored(later, Some(10.0));
        assert_eq!((estimate.rate(), estimate.left(later)), (Some(1.0), Some(Duration::from_secs(98))));
        // Nobody knows how many there are.
        let mut endless = Estimate::new(None, Some(10.0));
        endless.scored(later, Some(10.0));
        assert_eq!((endless.rate(), endless.left(later)), (Some(0.5), None));
    }

    #[test]
    fn rows_of_an_earlier_run_count_for_no_speed() {
        for typical in [None, Some(100.0)] {
            let mut estimate = Estimate::new(Some(1000), typical);
            // 900 rows are read in a moment, after five seconds of opening.
            for row in 0..900 {
                estimate.passed(Duration::from_millis(5000 + row / 10), Some(100.0));
            }
            let said = run(&mut estimate, 5.09, &[100.0; 100]);
            assert_eq!(said.len(), 100);
            for (said, truth) in said {
                assert!(is_near(said, truth, 1.02), "{said} s of {truth} s");
            }
            assert!((estimate.rate().unwrap() - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn cheap_networks_that_come_first_do_not_promise_too_much() {
        // A tenth as dear, rising to twice the mean, as in an enumeration by vertices.
        let costs: Vec<f64> = (0..2000).map(|i| 10.0 + f64::from(i) * 0.09).collect();
        let mean = costs.iter().sum::<f64>() / 2000.0;
        let mut estimate = Estimate::new(Some(2000), Some(mean));
        for (said, truth) in run(&mut estimate, 0.0, &costs) {
            assert!(is_near(said, truth, 1.15), "{said} s of {truth} s");
        }
        // Typical networks that are a tenth off leave it a tenth off, to the end.
        for off in [0.9, 1.1] {
            let mut estimate = Estimate::new(Some(2000), Some(off * mean));
            for (said, truth) in run(&mut estimate, 0.0, &costs) {
                assert!(is_near(said, truth, 1.3), "{off}: {said} s of {truth} s");
            }
        }
        // Where nothing is known of what waits, the last minute says it: too little at the start, and never a tenth.
        let mut estimate = Estimate::new(Some(2000), None);
        let said = run(&mut estimate, 0.0, &costs);
        assert!(said[0].0 < said[0].1 / 5.0, "{:?}", said[0]);
        let (said, truth) = said[1000];
        assert!(is_near(said, truth, 2.0), "{said} s of {truth} s");
    }

    #[test]
    fn a_machine_that_slows_down_is_believed_within_a_minute() {
        let mut estimate = Estimate::new(Some(10_000), Some(1.0));
        let mut now = 0.0;
        for (networks, seconds) in [(3000, 0.1), (200, 1.0)] {
            for _ in 0..networks {
                now += seconds;
                estimate.scored(Duration::from_secs_f64(now), Some(1.0));
            }
        }
        let left = estimate.left(Duration::from_secs_f64(now)).unwrap().as_secs_f64();
        assert!(is_near(left, 6800.0, 1.05), "{left}");
    }

    #[test]
    fn time_goes_by_while_a_network_is_on_its_way() {
        let mut estimate = Estimate::new(Some(3), None);
        estimate.scored(Duration::from_secs(10), Some(1.0));
        let left = |seconds| estimate.left(Duration::from_secs(seconds)).unwrap().as_secs();
        assert_eq!([10, 14, 20, 25].map(left), [20, 16, 10, 10]);
    }

    #[test]
    fn networks_that_fail_cost_nothing_and_are_no_riddle() {
        let mut estimate = Estimate::new(Some(30), Some(100.0));
        for i in 0..10 {
            estimate.passed(Duration::from_millis(i), None);
        }
        for (said, truth) in run(&mut estimate, 0.01, &[100.0; 20]) {
            assert!(is_near(said, truth, 1.05), "{said} s of {truth} s");
        }
    }
}
