//! The CPU backend: a twin in plain Rust for each stage.
//!
//! The twins are generic over f32 and f64, use the layouts of the plan, and spell out each sum in one fixed
//! order: they are the reference of every other path, and f64 is the oracle. One core runs one network when
//! many wait; the cores share the images of one network when few do. Either way every number is computed by
//! the same operations in the same order.

pub(crate) mod agreement;
mod batch_norm;
pub(crate) mod cholesky;
mod combine;
mod conv;
pub(crate) mod real;
#[cfg(test)]
mod tests;
mod weights;
mod workspace;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::queue::{Queue, Ticket};
use super::{Device, Executor, Outcome, Setup};
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, OCTET, Statistics, TensorId};
use crate::{Batch, Error, Kernel, Network, Precision, Result};
use batch_norm::Layout;
use combine::{Combine, Scratch};
use conv::Conv;
use real::Real;
use weights::Pool;
use workspace::{Sources, Workspace, for_each_image, numbers};

/// Networks that a stream keeps waiting for each thread.
const LOOKAHEAD: usize = 16;

/// The processor as a device.
pub(super) fn device() -> Device {
    Device {
        backend: "cpu".to_owned(),
        name: processor(),
        unusable: None,
        precisions: vec![Precision::F32.name(), Precision::F64.name()],
    }
}

/// The processor's name where the system tells it, else its architecture.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

pub(super) fn open(setup: Setup) -> Result<Arc<dyn Executor>> {
    match setup.precision {
        Precision::Auto | Precision::F32 => Ok(Arc::new(Cpu::<f32>::new(setup)?)),
        Precision::F64 => Ok(Arc::new(Cpu::<f64>::new(setup)?)),
        other => Err(Error::Setting {
            name: "precision",
            message: format!("the cpu backend computes in f32 and f64, not {other}"),
        }),
    }
}

/// The twins at work in one precision.
struct Cpu<T> {
    setup: Setup,
    device: String,
    /// The batch as a plain tensor.
    image: Vec<T>,
    pool: Pool<T>,
    /// For the images of one network.
    threads: rayon::ThreadPool,
    gate: Gate,
}

impl<T: Real> Cpu<T> {
    fn new(setup: Setup) -> Result<Self> {
        let threads =
            rayon::ThreadPoolBuilder::new().num_threads(setup.threads).build().map_err(|error| {
                Error::Backend { backend: "cpu".to_owned(), reason: format!("cannot start threads: {error}") }
            })?;
        Ok(Cpu {
            device: processor(),
            image: octets_last(&setup.batch),
            pool: Pool::new(Arc::clone(&setup.source)),
            threads,
            gate: Gate::new(setup.memory_limit),
            setup,
        })
    }

    /// Takes groups of networks until there are no more.
    fn work(&self, queue: &Queue, spread: bool) {
        let mut workspace = Workspace::default();
        loop {
            let group = queue.take(self.setup.group_size.unwrap_or(1));
            if group.is_empty() {
                return;
            }
            let start = Instant::now();
            let outcomes: Vec<Result<Outcome>> =
                group.iter().map(|ticket| self.network(&ticket.network, &mut workspace, spread)).collect();
            let seconds = start.elapsed().as_secs_f64() / group.len() as f64;
            for (Ticket { index, .. }, outcome) in group.into_iter().zip(outcomes) {
                queue.put(index, outcome.map(|outcome| Outcome { seconds, ..outcome }));
            }
        }
    }

    /// Compiles a network and runs it once there is memory for it. The wait for memory is on the caller's
    /// thread, never on one of the pool's: rayon may hand such a thread a second network while the first one
    /// waits for its images, and the second would wait for memory that the first one holds.
    fn network(&self, network: &Network, workspace: &mut Workspace<T>, spread: bool) -> Result<Outcome> {
        let plan = self.setup.plan(network)?;
        let _pass = self.gate.enter(plan.memory().bytes(size_of::<T>()))?;
        let outcome = if spread {
            self.threads.install(|| self.score(&plan, workspace, true))
        } else {
            self.score(&plan, workspace, false)
        };
        if self.setup.memory_limit.is_some() {
            *workspace = Workspace::default();
        }
        outcome
    }

    /// Runs a plan, slot by slot, then counts agreements and takes the log-determinant.
    fn score(&self, plan: &Plan, workspace: &mut Workspace<T>, spread: bool) -> Result<Outcome> {
        workspace.prepare(plan)?;
        for slot in &plan.slots {
            for job in &plan.combines[slot.combines.clone()] {
                self.combine(plan, job, workspace, spread)?;
            }
            for job in &plan.convs[slot.convs.clone()] {
                self.conv(plan, job, workspace, spread)?;
            }
        }
        let n = plan.images();
        for job in &plan.agreements {
            let section = agreement::Section {
                codes: &workspace.codes,
                words_per_image: plan.words_per_image,
                first: job.word,
                words: job.words,
                weight: job.weight,
            };
            if spread {
                let rows = workspace.kernel.par_chunks_mut(n).enumerate();
                rows.for_each(|(i, row)| agreement::agreement_rows(&section, i..i + 1, row, n));
            } else {
                agreement::agreement_rows(&section, 0..n, &mut workspace.kernel, n);
            }
        }
        agreement::mirror(&mut workspace.kernel, n);
        let kernel = Kernel::new(n, workspace.kernel.clone())?;
        Ok(Outcome {
            log_det: kernel.log_det(),
            activations: plan.activations(),
            kernel: self.setup.keep_kernels.then_some(kernel),
            seconds: 0.0,
        })
    }

    fn combine(
        &self,
        plan: &Plan,
        job: &CombineJob,
        workspace: &mut Workspace<T>,
        spread: bool,
    ) -> Result<()> {
        let (sources, output) = Sources::split(plan, &self.image, &mut workspace.arena, job.output);
        let combine = Combine { plan, job, norms: &workspace.norms };
        for_each_image(
            spread,
            plan,
            output,
            &mut workspace.codes,
            Scratch::default,
            |scratch, n, output, codes| combine.image(scratch, &sources, n, output, codes),
        )?;
        match job.output {
            Some(output) => {
                self.statistics(plan, output, 0..job.octets(), &job.statistics, workspace, spread)
            }
            None => Ok(()),
        }
    }

    fn conv(&self, plan: &Plan, job: &ConvJob, workspace: &mut Workspace<T>, spread: bool) -> Result<()> {
        let (mut weights, mut scales) = (Vec::new(), Vec::new());
        for part in &job.parts {
            let parameter = &plan.parameters[part.parameter];
            self.pool.octets(parameter, part, &mut weights)?;
            let scale =
                job.scaled.then(|| T::from_f64(self.pool.source().scale(parameter.standard_deviation)));
            scales.resize(weights.len(), scale);
        }
        let shape = &plan.parameters[job.parts[0].parameter].shape;
        let (input, output) = (&plan.tensors[job.input], &plan.tensors[job.output]);
        let conv = Conv {
            job,
            input,
            output,
            group_channels: [shape.in_channels, shape.out_channels / job.groups],
            outside: &vec![T::ZERO; shape.in_channels * job.groups],
            weights: &weights,
            scales: &scales,
        };
        let (sources, y) = Sources::split(plan, &self.image, &mut workspace.arena, Some(job.output));
        for_each_image(
            spread,
            plan,
            y,
            &mut [],
            || (),
            |(), n, y, _| {
                conv.image(sources.image(job.input, n), y);
                Ok(())
            },
        )?;
        self.statistics(plan, job.output, job.octets(), &job.statistics, workspace, spread)
    }

    /// Statistics of what a job has written, and the batch norms made from them.
    fn statistics(
        &self,
        plan: &Plan,
        output: TensorId,
        octets: std::ops::Range<usize>,
        statistics: &Statistics,
        workspace: &mut Workspace<T>,
        spread: bool,
    ) -> Result<()> {
        if statistics.norms.is_empty() {
            return Ok(());
        }
        let tensor = &plan.tensors[output];
        let layout = Layout {
            pitch: tensor.pitch,
            octets,
            pixels: plan.images() * tensor.shape.pixels(),
            block: Plan::block_pixels(plan.images(), tensor.shape),
            first: statistics.partials,
        };
        let written = &workspace.arena[numbers(plan, tensor)];
        batch_norm::partials(spread, written, &layout, &mut workspace.partials);
        statistics.norms.iter().try_for_each(|norm| {
            let (partials, norms) = (&workspace.partials, &mut workspace.norms);
            batch_norm::batch_norm(norm, &layout, partials, &plan.parameters, self.pool.source(), norms)
        })
    }
}

impl<T: Real> Executor for Cpu<T> {
    fn backend(&self) -> &'static str {
        "cpu"
    }

    fn device(&self) -> &str {
        &self.device
    }

    fn precision(&self) -> Precision {
        T::PRECISION
    }

    fn lookahead(&self) -> usize {
        LOOKAHEAD * self.setup.threads
    }

    fn run(&self, queue: &Queue) {
        let threads = self.setup.threads;
        if threads == 1 {
            self.work(queue, false);
        } else if queue.has(threads) {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| self.work(queue, false));
                }
            });
        } else {
            self.work(queue, true);
        }
    }

    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>> {
        open(setup)
    }
}

/// The batch as a plain tensor: [n][h][w][octets], zeros in the pad channels.
fn octets_last<T: Real>(batch: &Batch) -> Vec<T> {
    let [images, channels, height, width] = batch.shape();
    let pixels = height * width;
    let padded = channels.next_multiple_of(OCTET);
    let mut out = vec![T::ZERO; images * pixels * padded];
    for (plane, values) in batch.data().chunks_exact(pixels).enumerate() {
        let (n, c) = (plane / channels, plane % channels);
        for (p, &value) in values.iter().enumerate() {
            out[(n * pixels + p) * padded + c] = T::from_f32(value);
        }
    }
    out
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

    fn enter(&self, bytes: u64) -> Result<Pass<'_>> {
        if let Some(limit) = self.limit {
            if bytes > limit {
                return Err(Error::Memory { needed: bytes, limit });
            }
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            while *used + bytes > limit {
                used = self.left.wait(used).unwrap_or_else(PoisonError::into_inner);
            }
            *used += bytes;
        }
        Ok(Pass { gate: self, bytes })
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
