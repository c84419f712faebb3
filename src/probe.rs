//! A probe of a run's stages: how long each takes, and faults for a device to survive.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::plan::jobs::Statistics;

/// A part of the work on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Making and packing weights.
    Weights,
    /// Convolutions.
    Conv,
    /// Batch statistics.
    BatchNorm,
    /// Sums, pools and code bits.
    Combine,
    /// K from the codes.
    Agreement,
    /// The log-determinant.
    Cholesky,
    /// Distinct activation patterns from the codes.
    Swap,
    /// Scatter matrices of channels.
    Gram,
    /// Eigenvalues of channel correlations and covariances.
    Spectrum,
    /// Compiling the network.
    Plan,
}

impl Stage {
    /// All stages.
    pub const ALL: [Stage; 10] = [
        Stage::Weights,
        Stage::Conv,
        Stage::BatchNorm,
        Stage::Combine,
        Stage::Agreement,
        Stage::Cholesky,
        Stage::Swap,
        Stage::Gram,
        Stage::Spectrum,
        Stage::Plan,
    ];

    /// The stage's name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Weights => "weights",
            Stage::Conv => "conv",
            Stage::BatchNorm => "batch_norm",
            Stage::Combine => "combine",
            Stage::Agreement => "agreement",
            Stage::Cholesky => "cholesky",
            Stage::Swap => "swap",
            Stage::Gram => "gram",
            Stage::Spectrum => "spectrum",
            Stage::Plan => "plan",
        }
    }

    /// The stages that every device has; of features only the processor has them so far.
    pub const OF_DEVICE: [Stage; 7] = [
        Stage::Weights,
        Stage::Conv,
        Stage::BatchNorm,
        Stage::Combine,
        Stage::Agreement,
        Stage::Cholesky,
        Stage::Swap,
    ];

    /// Bytes of activations that the stage has to read and write for a network, each once a job, with numbers
    /// of `storage` bytes; none where memory says little about it.
    pub fn bytes(self, plan: &Plan, storage: usize) -> Option<u64> {
        let pixels = |id: usize| plan.images() * plan.tensors[id].shape.pixels();
        let whole = |id: usize| pixels(id) * plan.tensors[id].shape.channels;
        let numbers: usize = match self {
            Stage::Combine => {
                let terms = plan.combines.iter().flat_map(|job| &job.terms);
                let read: usize = terms.map(|term| pixels(term.tensor) * term.channels).sum();
                let written: usize = plan.combines.iter().filter_map(|job| job.output).map(whole).sum();
                read + written
            }
            Stage::BatchNorm => {
                let channels = |s: &Statistics| s.norms.iter().map(|norm| norm.channels).sum::<usize>();
                let convs = plan.convs.iter().map(|job| pixels(job.output) * channels(&job.statistics));
                let combines = plan
                    .combines
                    .iter()
                    .map(|job| job.output.map_or(0, |output| pixels(output) * channels(&job.statistics)));
                convs.chain(combines).sum()
            }
            _ => return None,
        };
        Some((numbers * storage) as u64)
    }
}

/// A fault that a probe has a GPU meet in a group, to see that a run survives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// The device is gone.
    Loss,
    /// There is no memory for a group.
    NoMemory,
    /// None: the group runs.
    None,
}

/// Groups that a GPU has run, and what was in them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Groups.
    pub groups: u64,
    /// Networks in all of them: those that ran again count again.
    pub networks: u64,
    /// Launches of all of them.
    pub launches: u64,
}

/// Measurements of a scorer's stages: the time of each. [`crate::ScorerBuilder::probe`] takes it.
#[derive(Debug)]
pub struct Probe {
    nanoseconds: [AtomicU64; Stage::ALL.len()],
    twins: AtomicU64,
    groups: AtomicU64,
    networks: AtomicU64,
    launches: AtomicU64,
    /// Whether launches of a GPU run one by one, to be timed.
    is_timer: bool,
    faults: Mutex<Vec<InjectedFault>>,
}

impl Default for Probe {
    fn default() -> Self {
        Probe {
            nanoseconds: Default::default(),
            twins: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            networks: AtomicU64::new(0),
            launches: AtomicU64::new(0),
            is_timer: true,
            faults: Mutex::default(),
        }
    }
}

impl Probe {
    /// A probe whose device meets these faults, one a group, the last one first. It times no launches.
    #[doc(hidden)]
    pub fn of_faults(faults: &[InjectedFault]) -> Self {
        Probe { faults: Mutex::new(faults.to_vec()), is_timer: false, ..Probe::default() }
    }

    /// Whether launches of a GPU have to run one by one.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "on the CPU stages run one after the other")
    )]
    pub(crate) fn is_timer(&self) -> bool {
        self.is_timer
    }

    /// Whether there are faults left to meet.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "no other backend has faults injected"))]
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The fault of the next group.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "no other backend has faults injected"))]
    pub(crate) fn next_fault(&self) -> Option<InjectedFault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Wall time of a stage since the probe was made: where threads work on a network each, the sum of their
    /// times divided by their number.
    pub fn time(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.nanoseconds[stage as usize].load(Relaxed))
    }

    /// Does some work of a stage, by one of `workers` threads that do the like.
    pub(crate) fn measure<R>(&self, stage: Stage, workers: usize, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.add(stage, start.elapsed() / workers as u32);
        result
    }

    /// Adds to the time of a stage.
    pub(crate) fn add(&self, stage: Stage, time: Duration) {
        self.nanoseconds[stage as usize].fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Launches of a GPU that ran on the CPU instead.
    pub fn twins(&self) -> u64 {
        self.twins.load(Relaxed)
    }

    /// Groups that a GPU has run; none on the CPU, which takes networks one by one.
    pub fn groups(&self) -> Groups {
        let number = |count: &AtomicU64| count.load(Relaxed);
        Groups {
            groups: number(&self.groups),
            networks: number(&self.networks),
            launches: number(&self.launches),
        }
    }

    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "no device runs groups")
    )]
    pub(crate) fn see_group(&self, networks: usize, launches: usize) {
        self.groups.fetch_add(1, Relaxed);
        self.networks.fetch_add(networks as u64, Relaxed);
        self.launches.fetch_add(launches as u64, Relaxed);
    }

    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "no device has anything to swap")
    )]
    pub(crate) fn see_twin(&self) {
        self.twins.fetch_add(1, Relaxed);
    }
}
