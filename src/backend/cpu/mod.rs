//! The CPU backend: a twin in plain Rust for each stage, and a fast path beside them.
//!
//! The twins are generic over f32 and f64, use the layouts of the plan, and spell out each sum in one fixed
//! order: they are the reference of every other path, and f64 is the oracle. One core runs one network when
//! many wait; the cores share the images of one network when few do. Either way every number is computed by
//! the same operations in the same order.

pub(super) mod batch_norm;
pub(super) mod combine;
pub(super) mod conv;
mod forward;
mod gram;
mod lanes;
mod path;
#[cfg(test)]
mod tests;
pub(super) mod weights;
pub(super) mod workspace;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::queue::{Queue, Request};
use super::{Device, Executor, Outcome, Setup};
use crate::plan::Plan;
use crate::probe::Stage;
use crate::{Error, Network, Precision, Result};
use forward::Twin;
use lanes::Lanes;
pub use lanes::peak::PeakRates;
use lanes::simd::{Isa, Simd};
use path::Path;

/// Networks that may be unfinished for each thread.
const LOOKAHEAD: usize = 16;

/// The processor as a device.
pub(super) fn device() -> Device {
    Device {
        backend: "cpu".to_owned(),
        name: processor(),
        details: format!("{} threads", std::thread::available_parallelism().map_or(1, usize::from)),
        software: false,
        unusable: None,
        precisions: vec![Precision::F32.name(), Precision::F64.name()],
    }
}

/// The processor's name where the system tells it, else its architecture. Asks no driver, unlike [`crate::devices`].
///
/// ```
/// println!("measured on {}", naswot::processor());
/// ```
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

pub(super) fn open(setup: Setup) -> Result<Arc<dyn Executor>> {
    let twins = Stage::OF_DEVICE.iter().all(|stage| setup.twins.contains(stage));
    if !twins && !setup.twins.is_empty() {
        let message = "on the cpu the fast path is one piece: swap all stages".to_owned();
        return Err(Error::Setting { name: "twin", message });
    }
    match setup.precision {
        Precision::F64 => open_path(Twin::<f64>::new(&setup), setup, processor()),
        Precision::Auto | Precision::F32 if twins => open_path(Twin::<f32>::new(&setup), setup, processor()),
        Precision::Auto | Precision::F32 => {
            let isa = Isa::choose(setup.batch.shape()[0])?;
            let device = format!("{} ({})", processor(), isa.name());
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512(simd) => open_path(Lanes::<_, 1>::new(simd, &setup)?, setup, device),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2(simd) => open_lanes(simd, setup, device),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon(simd) => open_lanes(simd, setup, device),
                Isa::Portable(simd) => open_lanes(simd, setup, device),
            }
        }
    }
}

/// The processor's peak rates, with the vectors that the fast path takes for so many images.
///
/// # Errors
/// A variable `NASWOT_SIMD` that names none of the machine's.
pub fn peak_rates(images: usize) -> Result<PeakRates> {
    Ok(PeakRates::of(Isa::choose(images)?))
}

/// The fast path, with blocks of two vectors of images, or of one that holds the whole batch. (A multiplication by a
/// vector as wide as a cache line takes as long as its loads: there, one is enough.)
fn open_lanes<S: Simd>(simd: S, setup: Setup, device: String) -> Result<Arc<dyn Executor>> {
    if setup.batch.shape()[0] <= S::LANES {
        open_path(Lanes::<S, 1>::new(simd, &setup)?, setup, device)
    } else {
        open_path(Lanes::<S, 2>::new(simd, &setup)?, setup, device)
    }
}

fn open_path<P: Path>(path: P, setup: Setup, device: String) -> Result<Arc<dyn Executor>> {
    Ok(Arc::new(Cpu::new(path, setup, device)))
}

/// The processor at work.
struct Cpu<P> {
    setup: Setup,
    device: String,
    path: P,
    /// The pool of threads that share the images of one network; none where the system starts no thread.
    threads: Option<rayon::ThreadPool>,
    gate: Gate,
}

impl<P: Path> Cpu<P> {
    fn new(path: P, setup: Setup, device: String) -> Self {
        let gate = Gate::new(setup.memory_limit);
        Cpu { device, path, threads: pool(setup.threads), gate, setup }
    }

    /// Networks that are taken at once.
    fn group_size(&self) -> usize {
        self.setup.group_size.unwrap_or(1)
    }

    /// Scores networks of a queue, one on each core, until all cores are idle.
    fn one_on_each_core(&self, queue: &Queue, workspaces: &mut [P::Workspace]) {
        let work = |workspace: &mut P::Workspace| {
            let _cancel = CancelOnPanic(queue);
            loop {
                let group = queue.take_while_busy(self.group_size());
                if group.is_empty() {
                    return;
                }
                self.score(queue, group, workspace, false);
            }
        };
        let [first, others @ ..] = workspaces else { unreachable!("there is a workspace for each thread") };
        std::thread::scope(|scope| {
            for workspace in others {
                // Where no thread more can be started, there are fewer.
                let _ = std::thread::Builder::new().spawn_scoped(scope, move || work(workspace));
            }
            work(first);
        });
    }

    /// Scores a group of networks, one after the other.
    fn score(&self, queue: &Queue, group: Vec<Request>, workspace: &mut P::Workspace, spread: bool) {
        let start = Instant::now();
        let outcomes: Vec<Result<Outcome>> =
            group.iter().map(|request| self.network(&request.network, workspace, spread)).collect();
        let seconds = start.elapsed().as_secs_f64() / group.len() as f64;
        for (Request { index, .. }, outcome) in group.into_iter().zip(outcomes) {
            queue.put(index, outcome.map(|outcome| Outcome { seconds, ..outcome }));
        }
    }

    /// Compiles a network and runs it once there is memory for it. The wait for memory is on the caller's
    /// thread, never on one of the pool's: rayon may hand such a thread a second network while the first one
    /// waits for its images, and the second would wait for memory that the first one holds.
    fn network(&self, network: &Network, workspace: &mut P::Workspace, spread: bool) -> Result<Outcome> {
        let plan = self.setup.timed(Stage::Plan, spread, || self.setup.plan(network))?;
        // What the networks that run leave of a limit is for weights that are kept for others.
        let _pass = self.gate.enter(|| self.path.bytes(&plan), |left| self.path.keep_weights(left))?;
        let mut score = || self.path.score(&self.setup, &plan, workspace, spread);
        let outcome = match &self.threads {
            Some(threads) if spread => threads.install(score),
            _ => score(),
        };
        if self.setup.memory_limit.is_some() {
            *workspace = P::Workspace::default();
        }
        outcome.map_err(|error| match error {
            // Of the network, not of the buffer that it lacked.
            Error::DeviceMemory { .. } => Error::machine_memory(self.path.bytes(&plan)),
            error => error,
        })
    }
}

impl<P: Path> Executor for Cpu<P> {
    fn backend(&self) -> &'static str {
        "cpu"
    }

    fn device(&self) -> &str {
        &self.device
    }

    fn precision(&self) -> Precision {
        P::PRECISION
    }

    fn bytes(&self, plan: &Plan) -> u64 {
        self.path.bytes(plan)
    }

    fn multiplications(&self, plan: &Plan) -> u64 {
        self.path.multiplications(plan)
    }

    fn lookahead(&self) -> usize {
        LOOKAHEAD * self.setup.threads
    }

    fn run(&self, queue: &Queue) -> Result<()> {
        let mut workspaces: Vec<P::Workspace> = Vec::new();
        workspaces.resize_with(self.setup.threads, P::Workspace::default);
        loop {
            let waiting = queue.wait();
            if waiting == 0 {
                return Ok(());
            }
            if waiting >= self.setup.threads {
                self.one_on_each_core(queue, &mut workspaces);
                continue;
            }
            // None, if the one that waited was cancelled since.
            let group = queue.take_waiting(self.group_size());
            if !group.is_empty() {
                self.score(queue, group, &mut workspaces[0], self.threads.is_some());
            }
        }
    }

    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>> {
        open(setup)
    }
}

/// A pool of so many threads, or of as many as the system starts.
fn pool(threads: usize) -> Option<rayon::ThreadPool> {
    let sizes = std::iter::successors(Some(threads), |&threads| Some(threads / 2).filter(|&half| half > 0));
    let pools = sizes.map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    pools.flatten().next()
}

/// Cancels a queue when the thread of a worker panics: the other workers end, and the panic goes on to who runs them.
struct CancelOnPanic<'a>(&'a Queue);

impl Drop for CancelOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cancel();
        }
    }
}

/// Lets networks in as long as they fit the memory limit together.
struct Gate {
    limit: Option<u64>,
    used: Mutex<u64>,
    left: Condvar,
}

/// A network's share of the memory, given back when dropped.
struct Pass<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Gate {
    fn new(limit: Option<u64>) -> Self {
        Gate { limit, used: Mutex::new(0), left: Condvar::new() }
    }

    /// Waits until so many bytes are free, and then says how many are left; they are counted only where there is a limit.
    fn enter(&self, bytes: impl FnOnce() -> u64, left: impl FnOnce(u64)) -> Result<Pass<'_>> {
        let mut taken = 0;
        if let Some(limit) = self.limit {
            let bytes = bytes();
            if bytes > limit {
                return Err(Error::Memory { needed: bytes, limit });
            }
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            while *used + bytes > limit {
                used = self.left.wait(used).unwrap_or_else(PoisonError::into_inner);
            }
            *used += bytes;
            left(limit - *used);
            taken = bytes;
        }
        Ok(Pass { gate: self, bytes: taken })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.gate.limit.is_some() {
            *self.gate.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
            self.gate.left.notify_all();
        }
    }
}
