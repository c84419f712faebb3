//! Networks of a queue on their way through a device: compiled ahead of it, gathered into groups, two of which are in
//! flight, and run again where a group has failed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::memory::Buffer;
use super::results::Results;
use super::{Group, Joins, Limits, Load, Member, Pool, Prepared, Resident, image, most_networks};
use crate::backend::queue::{Queue, Request};
use crate::backend::{Outcome, Setup};
use crate::plan::Plan;
use crate::{Error, Result};

/// Networks that are asked for at once when nobody has said how many make a group.
const ASK: usize = 64;

/// What went wrong on a device.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cuda"), expect(unreachable_pub, reason = "drivers that tests bring along say it"))]
pub enum Fault {
    /// It is gone: it has to be opened anew.
    Lost(String),
    /// It has no memory left for what was asked.
    Memory,
    /// It did not take what it was given, which is a fault of this crate or of the driver.
    Failed(String),
}

impl Fault {
    /// The error that ends a run.
    pub(crate) fn fatal(&self, backend: &str, device: &str) -> Error {
        let reason = match self {
            Fault::Lost(why) => format!("{device} was lost, and again after it was opened anew: {why}"),
            Fault::Memory => {
                format!("{device} has no memory left: take a smaller --group-size or --memory-limit")
            }
            Fault::Failed(why) => format!("{device}: {why}; please report it, and use cpu until then"),
        };
        Error::Backend { backend: backend.to_owned(), reason }
    }
}

/// A network that waits for its group.
pub(crate) struct Waiting {
    pub(crate) index: usize,
    pub(crate) network: Box<Prepared>,
}

/// Networks whose group has failed, and why.
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) networks: Vec<Waiting>,
}

/// A group that has been laid out.
pub(crate) struct Flight {
    pub(crate) group: Group,
    indices: Vec<usize>,
    start: Instant,
}

/// Outcomes by position in the input.
pub(crate) type Outcomes = Vec<(usize, Result<Outcome>)>;

impl Flight {
    /// Its networks, to be run again.
    pub(crate) fn into_waiting(self) -> Vec<Waiting> {
        let members = self.group.members.into_iter().zip(self.indices);
        members.map(|(member, index)| Waiting { index, network: member.network }).collect()
    }

    /// Judges its networks; `previous` is when the group before has landed.
    pub(crate) fn outcomes(&self, results: &Results, setup: &Setup, previous: Option<Instant>) -> Outcomes {
        // Two groups overlap: this one's time begins when the one before has landed.
        let start = previous.map_or(self.start, |previous| previous.max(self.start));
        let seconds = start.elapsed().as_secs_f64() / self.group.members.len() as f64;
        let outcome = |member: &Member| {
            let (log_det, kernel) = member.judge(results, "f32")?;
            if let Some(probe) = setup.probe.as_ref().filter(|probe| probe.wants_codes()) {
                let words = member.plan().images() * member.plan().words_per_image;
                let codes = results.words(Buffer::Codes, member.places[Buffer::Codes], words);
                probe.see_codes(member.plan(), &codes);
            }
            Ok(Outcome {
                log_det,
                patterns: member.patterns(results),
                kernel: setup.keep_kernels.then_some(kernel),
                activations: member.plan().activations(),
                seconds,
            })
        };
        self.indices.iter().copied().zip(self.group.members.iter().map(outcome)).collect()
    }
}

/// Networks whose weights have places.
pub(crate) struct Gathered {
    networks: Vec<(Box<Prepared>, Resident)>,
    indices: Vec<usize>,
    start: Instant,
    /// Those that the pool had no room for.
    pub(crate) left: Vec<Waiting>,
    /// Whether the pool was cleared for these: what was launched before must end before its rows are made.
    pub(crate) cleared: bool,
}

impl Gathered {
    /// Finds places for weights; networks whose weights are wrong are handed to `fail`.
    pub(crate) fn new(networks: Vec<Waiting>, pool: &mut Pool, fail: &mut dyn FnMut(usize, Error)) -> Self {
        let start = Instant::now();
        let (placed, indices) = (Vec::with_capacity(networks.len()), Vec::with_capacity(networks.len()));
        let mut gathered = Gathered { networks: placed, indices, start, left: Vec::new(), cleared: false };
        let mut networks = networks.into_iter();
        while let Some(Waiting { index, network }) = networks.next() {
            let mut placed = pool.place(&network);
            if gathered.networks.is_empty() && matches!(placed, Ok(None)) {
                pool.clear();
                gathered.cleared = true;
                placed = pool.place(&network);
            }
            match placed {
                Ok(Some(resident)) => {
                    gathered.indices.push(index);
                    gathered.networks.push((network, resident));
                }
                Ok(None) => {
                    gathered.left.push(Waiting { index, network });
                    gathered.left.extend(networks);
                    break;
                }
                Err(error) => fail(index, error),
            }
        }
        gathered
    }

    /// Lays the networks out, and hands back those that are left; none where no network is good.
    pub(crate) fn lay_out(self, joins: Joins) -> (Option<Flight>, Vec<Waiting>) {
        let Gathered { networks, indices, start, left, .. } = self;
        if networks.is_empty() {
            return (None, left);
        }
        (Some(Flight { group: Group::new(networks, joins), indices, start }), left)
    }
}

/// A device with the buffers, the weights and the batch of a run.
pub(crate) trait Session: Send + Sized {
    /// A group on its way.
    type Flight;
    /// What a group gives back when it has landed, for another.
    type Spare;
    /// What the device holds.
    fn limits(&mut self) -> &mut Limits;
    /// Submits a group. Networks whose weights are wrong are handed to `fail`; where the pool is full, the networks that
    /// are left over come back.
    fn submit(
        &mut self,
        networks: Vec<Waiting>,
        fail: &mut dyn FnMut(usize, Error),
    ) -> Result<(Option<Self::Flight>, Vec<Waiting>), Failed>;
    /// Waits for a group.
    fn land(flight: Self::Flight) -> Result<(Flight, Results, Self::Spare), Failed>;
    /// Takes back what a group has given back.
    fn give_back(&mut self, spare: Self::Spare);
    /// Networks of a group whose device is gone.
    fn abandon(flight: Self::Flight) -> Vec<Waiting>;
    /// Gives back the memory of all buffers, after they were too large.
    fn release(&mut self);
    /// Opens the device anew, after it was lost, if another run has not done so.
    ///
    /// # Errors
    /// It cannot be opened.
    fn renew(&mut self) -> Result<()>;
    /// A session on the same device for another run.
    ///
    /// # Errors
    /// The device has no room for what a session begins with.
    fn reopen(&self, setup: Setup) -> Result<Self>;
    /// The device's name.
    fn device(&self) -> String;
    /// The backend's name.
    fn backend(&self) -> &'static str;
}

/// Bytes that a plan takes by itself.
pub(super) fn bytes(plan: &Plan, limits: &Limits) -> u64 {
    limits.bytes(&(Load::sizes(plan, limits) + image(plan))).iter().map(|(_, bytes)| bytes).sum()
}

/// Networks that are taken from the queue at once.
pub(super) fn ask(limits: &Limits) -> usize {
    limits.networks.unwrap_or(ASK).min(most_networks(limits))
}

/// Runs all networks of a queue. Runs of several threads take turns on a session, group by group.
///
/// # Errors
/// A fault that ends the run.
pub(super) fn run<S: Session>(
    session: &Mutex<S>,
    setup: &Setup,
    threads: &rayon::ThreadPool,
    queue: &Queue,
) -> Result<()> {
    let mut run = Run {
        session,
        setup,
        threads,
        queue,
        waiting: VecDeque::new(),
        air: VecDeque::new(),
        landed: None,
        renewed: false,
        refused: None,
    };
    run.all().inspect_err(|_| run.abandon_all())
}

struct Run<'a, S: Session> {
    session: &'a Mutex<S>,
    setup: &'a Setup,
    threads: &'a rayon::ThreadPool,
    queue: &'a Queue,
    /// Compiled, and not in a group yet.
    waiting: VecDeque<Waiting>,
    /// Groups in flight, the oldest one first.
    air: VecDeque<S::Flight>,
    /// When the last group landed.
    landed: Option<Instant>,
    /// Whether the device was lost and opened anew.
    renewed: bool,
    /// The network that had no room by itself, and is tried once more with nothing else on the device.
    refused: Option<usize>,
}

impl<S: Session> Run<'_, S> {
    /// The session, for one step.
    fn session(&self) -> MutexGuard<'_, S> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&mut self) -> Result<()> {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                if self.air.is_empty() {
                    return Ok(());
                }
                self.land()?;
                continue;
            }
            let alone = self.stands_alone(&group);
            if alone && !self.air.is_empty() {
                self.wait_again(group);
                self.clear()?;
                continue;
            }
            match self.submit(group) {
                Ok(()) if alone => self.clear()?,
                Ok(()) if self.air.len() > 1 => self.land()?,
                Ok(()) => {}
                Err(failed) => self.again(failed)?,
            }
        }
    }

    /// Whether a group takes more than its share of the memory, as a large network may by itself: nothing runs beside it.
    fn stands_alone(&self, group: &[Waiting]) -> bool {
        let limits = *self.session().limits();
        match group {
            [Waiting { network, .. }] => bytes(&network.plan, &limits) > limits.memory / limits.in_flight,
            _ => false,
        }
    }

    /// Waits for all groups in the air, and gives back the memory of all buffers.
    fn clear(&mut self) -> Result<()> {
        while !self.air.is_empty() {
            self.land()?;
        }
        self.session().release();
        Ok(())
    }

    /// Networks of the next group; none when there are none now, or, with no group in the air, ever. The group is as full as
    /// the networks that wait make it: an idle device waits for no more.
    fn next_group(&mut self) -> Vec<Waiting> {
        let mut group = Vec::new();
        let mut load = Load::default();
        loop {
            if self.queue.is_cancelled() {
                self.waiting.clear();
                return Vec::new();
            }
            // Of what was taken, all may be faulty.
            let waits = group.is_empty() && self.air.is_empty();
            while self.waiting.is_empty() && self.compile(waits) {}
            let limits = *self.session().limits();
            let joins =
                |Waiting { network, .. }: &&Waiting| load.takes(&network.load, image(&network.plan), &limits);
            let joins = self.waiting.front().filter(joins).is_some();
            match if joins { self.waiting.pop_front() } else { None } {
                Some(next) => {
                    load.join(&next.network.load);
                    group.push(next);
                }
                None => return group,
            }
        }
    }

    /// Takes networks from the queue and compiles them on all cores; waits for the first one when asked to. Whether there
    /// were any.
    fn compile(&mut self, wait: bool) -> bool {
        let limits = *self.session().limits();
        let ask = ask(&limits);
        let requests = if wait { self.queue.take(ask) } else { self.queue.take_waiting(ask) };
        let any = !requests.is_empty();
        let setup = self.setup;
        let compiled: Vec<(usize, Result<Box<Prepared>>)> = self.threads.install(|| {
            let prepare = |Request { index, network }| {
                let plan = setup.plan(&network);
                (index, plan.and_then(|plan| Prepared::new(plan, &limits, &*setup.source)))
            };
            requests.into_par_iter().map(prepare).collect()
        });
        for (index, network) in compiled {
            match network {
                Ok(network) => self.waiting.push_back(Waiting { index, network }),
                Err(error) => self.queue.put(index, Err(error)),
            }
        }
        any
    }

    fn submit(&mut self, networks: Vec<Waiting>) -> Result<(), Failed> {
        let queue = self.queue;
        let submitted = self.session().submit(networks, &mut |index, error| queue.put(index, Err(error)));
        let (flight, left) = submitted?;
        self.wait_again(left);
        self.air.extend(flight);
        Ok(())
    }

    /// Puts networks in front of those that wait.
    fn wait_again(&mut self, networks: Vec<Waiting>) {
        networks.into_iter().rev().for_each(|network| self.waiting.push_front(network));
    }

    /// Waits for the oldest group in the air, if there is one, and hands in its outcomes.
    fn land(&mut self) -> Result<()> {
        let Some(flight) = self.air.pop_front() else { return Ok(()) };
        match S::land(flight) {
            Ok((flight, results, spare)) => {
                self.session().give_back(spare);
                let outcomes = flight.outcomes(&results, self.setup, self.landed);
                self.landed = Some(Instant::now());
                outcomes.into_iter().for_each(|(index, outcome)| self.queue.put(index, outcome));
                // Taking networks apart takes longer than judging them, and this thread has to keep the device busy.
                self.threads.spawn(move || drop(flight));
                Ok(())
            }
            Err(failed) => self.again(failed),
        }
    }

    /// Has networks whose group has failed run again: on a new device where the old one was lost, in smaller groups where
    /// there was no memory.
    ///
    /// # Errors
    /// What fails for another reason, or a second time, ends the run.
    fn again(&mut self, Failed { fault, networks }: Failed) -> Result<()> {
        match fault {
            Fault::Lost(_) if !self.renewed => {
                self.renewed = true;
                let networks = self.abandon(networks);
                let renewed = self.session().renew();
                renewed.map_err(|error| self.fatal(error))?;
                self.wait_again(networks);
            }
            Fault::Memory => {
                self.clear()?;
                let mut session = self.session();
                match &networks[..] {
                    [Waiting { index, network }] if self.refused == Some(*index) => {
                        let (needed, device) = (bytes(&network.plan, session.limits()), session.device());
                        self.queue.put(*index, Err(Error::DeviceMemory { needed, device }));
                    }
                    few => {
                        session.limits().networks = Some((few.len() / 2).max(1));
                        drop(session);
                        self.refused = (few.len() == 1).then(|| few[0].index);
                        self.wait_again(networks);
                    }
                }
            }
            fault => {
                let session = self.session();
                return Err(fault.fatal(session.backend(), &session.device()));
            }
        }
        Ok(())
    }

    /// The error of a backend that has failed.
    fn fatal(&self, error: Error) -> Error {
        match error {
            Error::Backend { .. } => error,
            other => {
                Error::Backend { backend: self.session().backend().to_owned(), reason: other.to_string() }
            }
        }
    }

    /// All networks in the air, and these.
    fn abandon(&mut self, networks: Vec<Waiting>) -> Vec<Waiting> {
        self.air.drain(..).flat_map(S::abandon).chain(networks).collect()
    }

    /// Gives up all that the run has on the device, after a fault has ended it.
    fn abandon_all(&mut self) {
        self.abandon(Vec::new());
        // Rows that were not made are in the pool's directory.
        self.session().release();
    }
}
