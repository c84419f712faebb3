//! Groups on their way through a device: tables up, kernels, results down. Two are in flight, each with a stream and
//! buffers of its own; a third stream makes the weights that both share.

use std::sync::Arc;
use std::time::Instant;

use super::buffers::{Allocation, Lane, WEIGHTS};
use super::driver::Driver;
use super::launches::each_kernel;
use crate::backend::Setup;
use crate::backend::cpu::workspace::octets_last;
use crate::backend::group::run::{Failed, Fault, Flight, Gathered, Waiting};
use crate::backend::group::{
    Fresh, Group, Joins, Launch, Limits, Mirror, PerBuffer, PerShared, Pool, Results, Shared, Step, run, twin,
};
use crate::plan::jobs::OCTET;
use crate::probe::Probe;
use crate::random::quantiles;
use crate::{Distribution, Error, Result};

/// Bytes of the weight pool at most, and at first.
const POOL_BYTES: u64 = 1 << 30;
const FIRST_POOL_BYTES: u64 = 1 << 22;
/// Bytes of an octet of f32.
const OCTET_BYTES: usize = OCTET * size_of::<f32>();
/// Bytes of a buffer at most: words are counted in 32 bits.
const BUFFER_BYTES: u64 = 1 << 34;

/// A device with the buffers, the weights and the batch of a run.
pub(super) struct Session {
    pub(super) driver: Arc<dyn Driver>,
    limits: Limits,
    pub(super) pool: Pool,
    shared: PerShared<Allocation>,
    /// Lanes that no group in flight has. Runs of several threads may have more than two of them in all.
    spare: Vec<Lane>,
    /// The stream of the next group.
    next: usize,
    /// The batch as a plain tensor.
    image: Arc<[f32]>,
    probe: Option<Arc<Probe>>,
    setup: Setup,
}

/// A group in flight, its lane and the codes that somebody wants of it.
pub(super) struct Flying {
    pub(super) flight: Flight,
    pub(super) lane: Lane,
    /// Bytes that the host reads of each buffer.
    pub(super) reads: PerBuffer<u64>,
    pub(super) factor_number: usize,
}

impl Session {
    /// A session for a run's batch.
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn open(driver: Arc<dyn Driver>, setup: &Setup) -> Result<Self> {
        let name = driver.name().to_owned();
        Session::new(driver, setup, octets_last(&setup.batch).into())
            .map_err(|fault| fault.fatal("cuda", &name))
    }

    pub(super) fn new(driver: Arc<dyn Driver>, setup: &Setup, image: Arc<[f32]>) -> Result<Self, Fault> {
        let limits = limits(&*driver, setup)?;
        let quantiles: Vec<u16> =
            [Distribution::Normal, Distribution::Uniform].map(|d| &quantiles::table(d)[..]).concat();
        let quantiles: &[u8] = bytemuck::cast_slice(&quantiles);
        let capacity = (POOL_BYTES / OCTET_BYTES as u64) as usize;
        let mut shared = PerShared::from_fn(|_| Allocation::none(&driver));
        shared[Shared::Quantiles].reserve(quantiles.len() as u64)?;
        shared[Shared::Pool].reserve(FIRST_POOL_BYTES)?;
        let session = Session {
            limits,
            pool: Pool::new(Arc::clone(&setup.source), capacity),
            shared,
            spare: Vec::new(),
            next: 0,
            image,
            probe: setup.probe.clone(),
            setup: setup.clone(),
            driver,
        };
        session.driver.write(WEIGHTS, session.shared[Shared::Quantiles].address, quantiles)?;
        Ok(session)
    }

    /// A lane for the next group.
    pub(super) fn lane(&mut self) -> Lane {
        let stream = self.next;
        self.next = 1 - stream;
        match self.spare.iter().position(|lane| lane.stream == stream) {
            Some(position) => self.spare.swap_remove(position),
            None => Lane::new(&self.driver, stream),
        }
    }

    /// Uploads a group's tables and puts its launches on the streams.
    pub(super) fn fly(&mut self, group: &Group, cleared: bool, lane: &mut Lane) -> Result<(), Fault> {
        group.check(self.pool.used()).map_err(|error| Fault::Failed(error.to_string()))?;
        let fresh = self.pool.take_fresh();
        self.upload(group, &fresh, cleared, lane)?;
        for launch in &group.all_launches(&fresh) {
            let stage = launch.step.stage();
            let is_timed = self.probe.as_ref().is_some_and(|probe| !probe.wants_codes());
            if !is_timed && !self.setup.twins.contains(&stage) {
                self.launch(launch, lane)?;
                continue;
            }
            self.wait()?;
            let start = Instant::now();
            if self.setup.twins.contains(&stage) {
                let mut mirror = self.mirror(group, lane)?;
                twin::launch(group, &fresh, self.pool.source(), launch, &mut mirror);
                self.restore(&mirror, lane)?;
                self.probe.iter().for_each(|probe| probe.see_twin());
            } else {
                self.launch(launch, lane)?;
            }
            self.wait()?;
            self.probe.iter().for_each(|probe| probe.add(stage, start.elapsed()));
        }
        Ok(())
    }

    /// Writes all that the launches of a group read.
    pub(super) fn upload(
        &mut self,
        group: &Group,
        fresh: &Fresh,
        cleared: bool,
        lane: &mut Lane,
    ) -> Result<(), Fault> {
        if cleared {
            // Rows are overwritten which a group in flight may still read.
            self.driver.follow(WEIGHTS, 0)?;
            self.driver.follow(WEIGHTS, 1)?;
        }
        lane.upload(group, fresh, &self.limits, &self.image)?;
        self.grow_pool()?;
        if !fresh.numbers.is_empty() {
            let place = self.shared[Shared::Pool].address + u64::from(fresh.place) * OCTET_BYTES as u64;
            self.driver.write(WEIGHTS, place, bytemuck::cast_slice(&fresh.numbers))?;
        }
        // Checkpoints have no launch of weights to wait for.
        self.driver.follow(lane.stream, WEIGHTS)
    }

    /// Makes room for the pool's rows, and has what is there copied.
    fn grow_pool(&mut self) -> Result<(), Fault> {
        let needed = (self.pool.used() * OCTET_BYTES) as u64;
        let pool = &self.shared[Shared::Pool];
        let old = pool.bytes();
        if old < needed {
            // Twice as large, so that it seldom happens.
            let grown = Allocation::new(&self.driver, needed.max(2 * old).min(POOL_BYTES.max(needed)))?;
            self.driver.copy(WEIGHTS, pool.address, grown.address, old)?;
            self.wait()?;
            self.shared[Shared::Pool] = grown;
        }
        Ok(())
    }

    /// Puts a launch on its stream.
    pub(super) fn launch(&self, launch: &Launch, lane: &Lane) -> Result<(), Fault> {
        let addresses = lane.addresses(PerShared::from_fn(|shared| self.shared[shared].address));
        let stream = if launch.step == Step::Weights { WEIGHTS } else { lane.stream };
        let capability = self.driver.compute_capability();
        each_kernel(launch, &addresses, capability, |kernel| self.driver.launch(stream, kernel))?;
        // The group reads what was made.
        if stream == WEIGHTS { self.driver.follow(lane.stream, WEIGHTS) } else { Ok(()) }
    }

    /// Waits until nothing is under way.
    fn wait(&self) -> Result<(), Fault> {
        [WEIGHTS, 0, 1].into_iter().try_for_each(|stream| self.driver.wait(stream))
    }

    /// Copies all buffers of a group to the host.
    pub(super) fn mirror(&self, group: &Group, lane: &Lane) -> Result<Mirror, Fault> {
        let mut pool = vec![0.0; self.pool.used() * OCTET];
        let address = self.shared[Shared::Pool].address;
        self.driver.read(WEIGHTS, address, bytemuck::cast_slice_mut(&mut pool))?;
        Ok(Mirror { pool, buffers: lane.download(group, &self.limits)? })
    }

    /// Copies all buffers of a group back to the device.
    pub(super) fn restore(&self, mirror: &Mirror, lane: &Lane) -> Result<(), Fault> {
        let address = self.shared[Shared::Pool].address;
        self.driver.write(WEIGHTS, address, bytemuck::cast_slice(&mirror.pool))?;
        lane.restore(mirror, &self.limits)?;
        self.wait()
    }
}

impl Flying {
    /// Waits for the group.
    fn results(&self) -> Result<Results, Fault> {
        let mut results = Results { bytes: PerBuffer::default(), factor_number: self.factor_number };
        for (buffer, &bytes) in self.reads.iter().filter(|&(_, &bytes)| bytes > 0) {
            results.bytes[buffer] = self.lane.read(buffer, bytes)?;
        }
        Ok(results)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Buffers are freed next. On a device that is lost nothing runs.
        let _ = self.wait();
    }
}

impl run::Session for Session {
    type Flight = Flying;
    type Spare = Lane;

    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn submit(
        &mut self,
        networks: Vec<Waiting>,
        fail: &mut dyn FnMut(usize, Error),
    ) -> Result<(Option<Flying>, Vec<Waiting>), Failed> {
        let gathered = Gathered::new(networks, &mut self.pool, fail);
        let cleared = gathered.cleared;
        let (flight, left) = gathered.lay_out(Joins::LastBlock);
        let Some(flight) = flight else { return Ok((None, left)) };
        let keeps_codes = self.probe.as_ref().is_some_and(|probe| probe.wants_codes());
        let reads = self.limits.reads(&flight.group.sizes, keeps_codes);
        let mut lane = self.lane();
        match self.fly(&flight.group, cleared, &mut lane) {
            Ok(()) => {
                let factor_number = self.limits.factor_number;
                Ok((Some(Flying { flight, lane, reads, factor_number }), left))
            }
            Err(fault) => {
                let networks = flight.into_waiting().into_iter().chain(left).collect();
                Err(Failed { fault, networks })
            }
        }
    }

    fn land(flying: Flying) -> Result<(Flight, Results, Lane), Failed> {
        match flying.results() {
            Ok(results) => Ok((flying.flight, results, flying.lane)),
            Err(fault) => Err(Failed { fault, networks: flying.flight.into_waiting() }),
        }
    }

    fn give_back(&mut self, lane: Lane) {
        if lane.is_of(&self.driver) {
            self.spare.push(lane);
        }
    }

    fn abandon(flying: Flying) -> Vec<Waiting> {
        flying.flight.into_waiting()
    }

    fn release(&mut self) {
        // Where this fails, so does whatever comes next, which says why.
        let _ = self.wait();
        self.pool.clear();
        self.spare.clear();
        if let Ok(empty) = Allocation::new(&self.driver, FIRST_POOL_BYTES) {
            self.shared[Shared::Pool] = empty;
        }
    }

    fn renew(&mut self) -> Result<()> {
        // On a device that is lost nothing succeeds.
        if self.wait().is_ok() {
            return Ok(());
        }
        let driver = self.driver.renew()?;
        let renewed = Session::new(driver, &self.setup, Arc::clone(&self.image));
        *self = renewed.map_err(|fault| fault.fatal("cuda", self.driver.name()))?;
        Ok(())
    }

    fn reopen(&self, setup: Setup) -> Result<Self> {
        Session::open(Arc::clone(&self.driver), &setup)
    }

    fn device(&self) -> String {
        self.driver.name().to_owned()
    }

    fn backend(&self) -> &'static str {
        "cuda"
    }
}

/// What the device holds, and what a launch should move to be worth its cost: ten microseconds of its memory's rate.
fn limits(driver: &dyn Driver, setup: &Setup) -> Result<Limits, Fault> {
    let memory = match setup.memory_limit {
        Some(limit) => limit,
        // Weights and whoever else works on the device have a share of it.
        None => driver.free_memory()?.saturating_sub(2 * POOL_BYTES) / 10 * 9,
    };
    Ok(Limits {
        buffer: BUFFER_BYTES,
        memory,
        in_flight: 2,
        networks: setup.group_size,
        launch_bytes: driver.bandwidth() / 100_000,
        number: size_of::<f32>(),
        factor_number: size_of::<f64>(),
    })
}
