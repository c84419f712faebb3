//! The WGSL backend: every stage on any GPU that Vulkan, Metal or DX12 reach, through wgpu.
//!
//! Networks run in groups (see [`super::group`]): one dispatch a slot, tile class and stage, all in one command buffer.
//! While a group runs, the next one is compiled, laid out and submitted; one set of buffers serves both, since a queue runs
//! what it is given in order. The shaders are in `shaders/`, one file a stage, with the stems of the CPU's twins.
//!
//! - `adapter` finds and ranks adapters.
//! - `gpu` is an open device with its pipelines, and its faults.
//! - `pipelines` says what each step binds.
//! - `buffers`, `launches`, `session` and `flight` take groups through the device.
//! - `mirror` and `check` compare each launch with its twin.

mod adapter;
mod buffers;
mod check;
mod flight;
mod gpu;
mod launches;
mod mirror;
mod pipelines;
mod session;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::cpu::octets_last;
use super::group::{Limits, Load, image, most_networks};
use super::queue::{Queue, Ticket};
use super::{Executor, Setup};
use crate::plan::Plan;
use crate::{Error, Precision, Result};
pub(super) use adapter::{best_is_hardware, devices};
pub(crate) use check::lockstep;
use flight::{Failed, Flight, Planned};
use gpu::{Checks, Fault, Gpu};
use session::Session;

/// Networks that are asked for at once when nobody has said how many make a group.
const ASK: usize = 64;

/// Opens the best adapter, or the best one whose name contains a text.
pub(super) fn open(name: Option<&str>, setup: Setup) -> Result<Arc<dyn Executor>> {
    if !matches!(setup.precision, Precision::Auto | Precision::F32) {
        let message = format!("the wgpu backend computes in f32, not {}", setup.precision);
        return Err(Error::Setting { name: "precision", message });
    }
    let gpu = gpu(name, &setup)?;
    Ok(Arc::new(Wgpu::new(gpu, name.map(str::to_owned), setup)?))
}

/// The device of the best adapter with a name.
fn gpu(name: Option<&str>, setup: &Setup) -> Result<Arc<Gpu>> {
    let adapter = adapter::choose(name)?;
    // What happens to it must not happen to others.
    match &setup.probe {
        Some(probe) if probe.is_unlucky() => Ok(Arc::new(Gpu::new(&adapter, Checks::Trusted)?)),
        _ => Gpu::open(&adapter, Checks::Trusted),
    }
}

/// A device at work.
struct Wgpu {
    /// What the user has asked for, to find the device again when it was lost.
    name: Option<String>,
    device: String,
    setup: Setup,
    limits: Limits,
    threads: rayon::ThreadPool,
    /// The batch as a plain tensor.
    image: Arc<[f32]>,
    session: Mutex<Session>,
}

impl Wgpu {
    fn new(gpu: Arc<Gpu>, name: Option<String>, setup: Setup) -> Result<Self> {
        let threads =
            rayon::ThreadPoolBuilder::new().num_threads(setup.threads).build().map_err(|error| {
                let reason = format!("cannot start threads: {error}");
                Error::Backend { backend: "wgpu".to_owned(), reason }
            })?;
        let image: Arc<[f32]> = octets_last(&setup.batch).into();
        let device = gpu.name.clone();
        let session = Session::new(gpu, &setup, Arc::clone(&image)).map_err(|fault| fault.fatal(&device))?;
        let (limits, session) = (session.limits, Mutex::new(session));
        Ok(Wgpu { name, device, setup, limits, threads, image, session })
    }
}

impl Wgpu {
    /// The session, for one step: runs of several threads take turns, group by group.
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for Wgpu {
    fn backend(&self) -> &'static str {
        "wgpu"
    }

    fn device(&self) -> &str {
        &self.device
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }

    fn bytes(&self, plan: &Plan) -> u64 {
        let sizes = Load::sizes(plan, &self.limits) + image(plan);
        sizes.bytes(self.limits.number).iter().sum()
    }

    fn lookahead(&self) -> usize {
        // The group that runs, the one that is being made, and one that waits.
        3 * ask(&self.limits)
    }

    fn run(&self, queue: &Queue) {
        Run {
            wgpu: self,
            queue,
            waiting: VecDeque::new(),
            flying: None,
            landed: None,
            renewed: false,
            ended: false,
        }
        .all();
    }

    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>> {
        let gpu = Arc::clone(&self.session().gpu);
        Ok(Arc::new(Wgpu::new(gpu, self.name.clone(), setup)?))
    }
}

/// Networks that are taken from the queue at once.
fn ask(limits: &Limits) -> usize {
    limits.networks.unwrap_or(ASK).min(most_networks(limits))
}

/// Networks of a queue on their way through a session.
struct Run<'a> {
    wgpu: &'a Wgpu,
    queue: &'a Queue,
    /// Compiled, and not in a group yet.
    waiting: VecDeque<Planned>,
    flying: Option<Flight>,
    /// When the last group landed.
    landed: Option<Instant>,
    /// Whether the device was lost and opened anew.
    renewed: bool,
    /// Whether a second fault has ended the run.
    ended: bool,
}

impl Run<'_> {
    fn all(&mut self) {
        while !self.ended {
            let group = self.next_group();
            if group.is_empty() {
                if self.flying.is_none() {
                    return;
                }
                self.land();
                continue;
            }
            match self.submit(group) {
                Ok(flight) => {
                    self.land();
                    self.flying = flight;
                }
                Err(failed) => {
                    self.land();
                    self.again(failed);
                }
            }
        }
    }

    /// Networks of the next group; none when there are none now, or, with no group in the air, ever.
    fn next_group(&mut self) -> Vec<Planned> {
        let mut group = Vec::new();
        let mut load = Load::default();
        loop {
            if self.queue.is_cancelled() {
                self.waiting.clear();
                return Vec::new();
            }
            // Of what was taken, all may be faulty.
            let waits = group.is_empty() && self.flying.is_none();
            while self.waiting.is_empty() && self.compile(waits) {}
            let limits = self.wgpu.session().limits;
            let joins = |next: &&Planned| load.takes(&next.load, image(&next.plan), &limits);
            let joins = self.waiting.front().filter(joins).is_some();
            match if joins { self.waiting.pop_front() } else { None } {
                Some(next) => {
                    load.join(&next.load);
                    group.push(next);
                }
                None => return group,
            }
        }
    }

    /// Takes networks from the queue and compiles them on all cores; waits for a group of them when asked to. Whether there
    /// were any.
    fn compile(&mut self, wait: bool) -> bool {
        let limits = self.wgpu.session().limits;
        let ask = ask(&limits);
        if wait {
            self.queue.has(ask);
        }
        let tickets = self.queue.take_waiting(ask);
        let any = !tickets.is_empty();
        let setup = &self.wgpu.setup;
        let compiled: Vec<(usize, Result<(Plan, Load)>)> = self.wgpu.threads.install(|| {
            let plan = |Ticket { index, network }| {
                let plan = setup.plan(&network);
                (index, plan.and_then(|plan| Load::of(&plan, &limits).map(|load| (plan, load))))
            };
            tickets.into_par_iter().map(plan).collect()
        });
        for (index, plan) in compiled {
            match plan {
                Ok((plan, load)) => self.waiting.push_back(Planned { index, plan, load }),
                Err(error) => self.queue.put(index, Err(error)),
            }
        }
        any
    }

    fn submit(&mut self, networks: Vec<Planned>) -> Result<Option<Flight>, Failed> {
        let queue = self.queue;
        let submitted =
            self.wgpu.session().submit(networks, &mut |index, error| queue.put(index, Err(error)));
        let (flight, left) = submitted?;
        left.into_iter().rev().for_each(|planned| self.waiting.push_front(planned));
        Ok(flight)
    }

    /// Waits for the group in the air, and hands in its outcomes.
    fn land(&mut self) {
        let Some(flight) = self.flying.take() else { return };
        match flight.land(&self.wgpu.setup, self.landed) {
            Ok((outcomes, gpu, results)) => {
                self.wgpu.session().give_back(&gpu, results);
                self.landed = Some(Instant::now());
                outcomes.into_iter().for_each(|(index, outcome)| self.queue.put(index, outcome));
            }
            Err(failed) => self.again(failed),
        }
    }

    /// Runs networks whose group has failed: on a new device where the old one was lost, in halves where there was no
    /// memory. What fails for another reason, or a second time, ends the run.
    fn again(&mut self, Failed { fault, mut networks }: Failed) {
        let is_lost = self.wgpu.session().gpu.lost().is_some();
        match fault {
            // Two groups are lost with one device: the second one finds the new one.
            Fault::Lost(_) if !is_lost => self.now(networks),
            Fault::Lost(_) if !self.renewed => {
                self.renewed = true;
                match self.renew() {
                    Ok(()) => self.now(networks),
                    Err(error) => self.end(&error, &networks),
                }
            }
            Fault::Memory if networks.len() > 1 => {
                let mut session = self.wgpu.session();
                session.limits.networks = Some(networks.len() / 2);
                session.release();
                drop(session);
                let second = networks.split_off(networks.len() / 2);
                self.now(networks);
                self.now(second);
            }
            Fault::Memory => {
                self.wgpu.session().release();
                for Planned { index, plan, .. } in networks {
                    let needed = self.wgpu.bytes(&plan);
                    self.queue
                        .put(index, Err(Error::DeviceMemory { needed, device: self.wgpu.device.clone() }));
                }
            }
            fault => self.end(&fault.fatal(&self.wgpu.device), &networks),
        }
    }

    /// Runs a group to its end.
    fn now(&mut self, networks: Vec<Planned>) {
        if self.ended || networks.is_empty() {
            return;
        }
        match self.submit(networks) {
            Ok(flight) => {
                self.flying = flight;
                self.land();
            }
            Err(failed) => self.again(failed),
        }
    }

    fn renew(&mut self) -> Result<()> {
        let mut session = self.wgpu.session();
        // Another thread's run may have opened it anew.
        if session.gpu.lost().is_none() {
            return Ok(());
        }
        adapter::forget();
        let gpu = gpu(self.wgpu.name.as_deref(), &self.wgpu.setup)?;
        let made = Session::new(gpu, &self.wgpu.setup, Arc::clone(&self.wgpu.image));
        *session = made.map_err(|fault| fault.fatal(&self.wgpu.device))?;
        Ok(())
    }

    /// Ends the run: these networks and all that wait get the error.
    fn end(&mut self, error: &Error, networks: &[Planned]) {
        self.ended = true;
        let copy = || Error::Backend { backend: "wgpu".to_owned(), reason: reason(error) };
        let waiting = self.waiting.drain(..).collect::<Vec<_>>();
        networks.iter().chain(&waiting).for_each(|planned| self.queue.put(planned.index, Err(copy())));
        self.queue
            .take_waiting(usize::MAX)
            .into_iter()
            .for_each(|ticket| self.queue.put(ticket.index, Err(copy())));
    }
}

fn reason(error: &Error) -> String {
    match error {
        Error::Backend { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}
