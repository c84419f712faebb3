//! What `naswot bench` and the benches look through, into the stages of a run. No part of the crate's stable
//! interface: it may change in any version.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use crate::cases::{Case, cases};
use crate::plan::Plan;
use crate::plan::jobs::{AgreementJob, Statistics};

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
    /// Compiling the network.
    Plan,
}

impl Stage {
    /// All stages.
    pub const ALL: [Stage; 7] = [
        Stage::Weights,
        Stage::Conv,
        Stage::BatchNorm,
        Stage::Combine,
        Stage::Agreement,
        Stage::Cholesky,
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
            Stage::Plan => "plan",
        }
    }

    /// The stages that work on a device.
    pub const OF_DEVICE: [Stage; 6] =
        [Stage::Weights, Stage::Conv, Stage::BatchNorm, Stage::Combine, Stage::Agreement, Stage::Cholesky];

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

/// The processor's name where the system tells it, else its architecture. Asks no driver, unlike [`crate::devices`].
pub fn processor() -> String {
    crate::backend::cpu::processor()
}

/// What a probe can have a GPU suffer, to see that a run survives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// The device is gone.
    Loss,
    /// There is no memory for a group.
    NoMemory,
    /// All goes well.
    None,
}

/// Hangs on a scorer: adds up the time of each stage, and keeps codes when it is told to.
#[derive(Debug, Default)]
pub struct Probe {
    nanoseconds: [AtomicU64; Stage::ALL.len()],
    twins: AtomicU64,
    keeps_codes: bool,
    codes: Mutex<Option<Codes>>,
    accidents: Mutex<Vec<Accident>>,
}

impl Probe {
    /// One that keeps the codes of the network that was last scored.
    pub fn of_codes() -> Self {
        Probe { keeps_codes: true, ..Probe::default() }
    }

    /// One whose device suffers these accidents, one a group, the last one first. It keeps codes.
    pub fn of_accidents(accidents: &[Accident]) -> Self {
        Probe { accidents: Mutex::new(accidents.to_vec()), ..Probe::of_codes() }
    }

    /// Whether something will happen.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "nothing happens to a processor"))]
    pub(crate) fn is_unlucky(&self) -> bool {
        !self.accidents.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The accident that comes next.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "nothing happens to a processor"))]
    pub(crate) fn accident(&self) -> Option<Accident> {
        self.accidents.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Wall time of a stage since the probe was made: where threads work on a network each, the sum of their
    /// times divided by their number.
    pub fn time(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.nanoseconds[stage as usize].load(Relaxed))
    }

    /// Takes the codes that it keeps.
    pub fn take_codes(&self) -> Option<Codes> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).take()
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

    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "no device has anything to swap")
    )]
    pub(crate) fn see_twin(&self) {
        self.twins.fetch_add(1, Relaxed);
    }

    /// Whether it keeps codes.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU has them at hand")
    )]
    pub(crate) fn wants_codes(&self) -> bool {
        self.keeps_codes
    }

    pub(crate) fn see_codes(&self, plan: &Plan, words: &[u32]) {
        if self.keeps_codes {
            let codes = Codes {
                words: words.to_vec(),
                words_per_image: plan.words_per_image,
                sections: plan.agreements.clone(),
                bits: plan.images() as u64 * u64::from(plan.activations()),
            };
            *self.codes.lock().unwrap_or_else(PoisonError::into_inner) = Some(codes);
        }
    }
}

/// How far a stage of a device is from its twin on the CPU, from equal inputs.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// The stage.
    pub stage: Stage,
    /// The largest difference of two numbers, divided by the largest number that the launch wrote.
    pub numbers: f64,
    /// The share of code bits that differ.
    pub bits: f64,
    /// What must be equal and is not: integers, what no twin has written, numbers that are not finite. At most ten.
    pub strays: Vec<String>,
}

impl Deviation {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn stray(&mut self, place: String, expected: f64, found: f64) {
        if self.strays.len() < 10 {
            self.strays.push(format!("{place}: {expected:e} expected, {found:e} found"));
        }
    }

    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn join(mut self, other: &Self) -> Self {
        self.numbers = self.numbers.max(other.numbers);
        self.bits = self.bits.max(other.bits);
        self.strays.extend(other.strays.iter().take(10 - self.strays.len().min(10)).cloned());
        self
    }
}

/// Runs networks launch by launch on a GPU and on the CPU's twins, from equal buffers; for each stage the deviation.
///
/// # Errors
/// A device that does not work, networks that do not fit the batch.
#[cfg(feature = "wgpu")]
pub fn lockstep(
    adapter: Option<&str>,
    networks: &[crate::Network],
    batch: &crate::Batch,
    weights: &crate::Weights,
    convention: crate::Convention,
) -> crate::Result<Vec<Deviation>> {
    crate::backend::wgpu_lockstep(adapter, networks, batch, weights, convention)
}

/// The CUDA backend on a device that a test brings along.
#[cfg(feature = "cuda")]
pub mod cuda {
    use std::sync::Arc;

    use super::Deviation;
    pub use crate::backend::cuda::{Compiled, Driver, HEADERS, KernelLaunch, SOURCES, STREAMS, compile};
    pub use crate::backend::group::run::Fault;
    use crate::{Batch, Convention, Network, Result, Weights};

    /// Opens a GPU by its number.
    ///
    /// # Errors
    /// No driver, no such GPU, no NVRTC.
    pub fn open(number: usize) -> Result<Arc<dyn Driver>> {
        crate::backend::cuda::open_device(number)
    }

    /// Runs networks launch by launch on a device and on the CPU's twins, from equal buffers; for each stage the
    /// deviation.
    ///
    /// # Errors
    /// A device that does not work, networks that do not fit the batch.
    pub fn lockstep(
        driver: Arc<dyn Driver>,
        networks: &[Network],
        batch: &Batch,
        weights: &Weights,
        convention: Convention,
    ) -> Result<Vec<Deviation>> {
        crate::backend::cuda::lockstep(driver, networks, batch, weights, convention)
    }
}

/// The code bits of one network for each image of the batch.
#[derive(Clone, Debug)]
pub struct Codes {
    words: Vec<u32>,
    words_per_image: usize,
    sections: Vec<AgreementJob>,
    bits: u64,
}

impl Codes {
    /// How many bits there are, N N_A: each as often as K counts it.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// In how many bits they differ from the codes of the same network made elsewhere, each as often as K
    /// counts it.
    pub fn differences(&self, other: &Codes) -> u64 {
        let pairs = self.words.chunks(self.words_per_image).zip(other.words.chunks(self.words_per_image));
        let image = |(a, b): (&[u32], &[u32])| -> u64 {
            let section = |job: &AgreementJob| {
                let words = job.word..job.word + job.words;
                let pairs = a[words.clone()].iter().zip(&b[words]);
                u64::from(job.weight) * pairs.map(|(a, b)| u64::from((a ^ b).count_ones())).sum::<u64>()
            };
            self.sections.iter().map(section).sum()
        };
        pairs.map(image).sum()
    }
}
