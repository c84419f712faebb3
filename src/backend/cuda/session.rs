//! A session on a CUDA device: uploads tables, launches kernels, copies results back. Groups in flight have
//! a stream and memory each; one more stream makes the weights that all share.

use std::sync::Arc;
use std::time::Instant;

use super::buffers::{Allocation, GroupMemory, WEIGHTS};
use super::ceilings;
use super::driver::{Driver, STREAMS};
use super::launches::each_kernel;
use crate::backend::Setup;
use crate::backend::ceilings::DeviceCeilings;
use crate::backend::group::session::{self, Mode};
use crate::backend::group::{
    DeviceWeightCache, Fault, Forms, Group, Launch, LaunchKind, Limits, Mirror, NewWeights, PerBuffer,
    PerShared, Results, RowFormat, Shared, batch, twin,
};
use crate::plan::jobs::OCTET;
use crate::random::quantiles;
use crate::{Distribution, Result};

/// Bytes of the weight pool at most, and at first.
const POOL_BYTES: u64 = 1 << 30;
const FIRST_POOL_BYTES: u64 = 1 << 22;
/// Bytes of an octet of f32.
const OCTET_BYTES: usize = OCTET * size_of::<f32>();
/// Bytes of a buffer at most: words are counted in 32 bits.
const BUFFER_BYTES: u64 = 1 << 34;

/// A device with the buffers, the weights and the batch of a run.
pub(super) struct CudaSession {
    pub(super) driver: Arc<dyn Driver>,
    limits: Limits,
    pub(super) cache: DeviceWeightCache,
    shared: PerShared<Allocation>,
    /// Memory that no group in flight has. Runs of several threads may have more of them in all than there are streams.
    idle: Vec<GroupMemory>,
    /// The stream of the next group.
    next: usize,
    /// The units of the batch.
    image: Arc<[f32]>,
    setup: Setup,
}

/// A group in flight: what it holds of the device, and what the host reads of it.
pub(super) struct Running {
    memory: GroupMemory,
    /// Bytes of each buffer.
    reads: PerBuffer<u64>,
    factor_number: usize,
}

impl CudaSession {
    /// A session for a run's batch.
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn open(driver: Arc<dyn Driver>, setup: &Setup) -> Result<Self> {
        let name = driver.name().to_owned();
        CudaSession::new(driver, setup, batch(&setup.batch).into())
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
        shared[Shared::WeightPool].reserve(FIRST_POOL_BYTES)?;
        let rows = RowFormat::new(limits.forms, &*setup.source);
        let session = CudaSession {
            limits,
            cache: DeviceWeightCache::new(Arc::clone(&setup.source), rows, capacity),
            shared,
            idle: Vec::new(),
            next: 0,
            image,
            setup: setup.clone(),
            driver,
        };
        session.driver.write(WEIGHTS, session.shared[Shared::Quantiles].address, quantiles)?;
        Ok(session)
    }

    /// Memory and stream for the next group.
    pub(super) fn group_memory(&mut self) -> GroupMemory {
        let stream = self.next;
        self.next = (stream + 1) % self.limits.in_flight;
        match self.idle.iter().position(|memory| memory.stream == stream) {
            Some(position) => self.idle.swap_remove(position),
            None => GroupMemory::new(&self.driver, stream, self.setup.keep_codes),
        }
    }

    /// Uploads a group's tables and puts its launches on the streams.
    fn launch_all(&mut self, group: &Group, cleared: bool, memory: &mut GroupMemory) -> Result<(), Fault> {
        let new = self.cache.take_new();
        self.upload(group, &new, cleared, memory)?;
        let launches = group.all_launches(&new);
        self.setup.probe.iter().for_each(|probe| probe.see_group(group.members.len(), launches.len()));
        for launch in &launches {
            let mode = Mode::of(launch, &self.setup);
            if mode == Mode::Together {
                self.launch(launch, memory)?;
                continue;
            }
            self.wait_for_all()?;
            let start = Instant::now();
            if mode == Mode::Twin {
                let mut mirror = self.mirror(group, memory)?;
                twin::launch(group, &new, self.cache.source(), launch, &mut mirror);
                self.restore(&mirror, memory)?;
                self.setup.probe.iter().for_each(|probe| probe.see_twin());
            } else {
                self.launch(launch, memory)?;
            }
            self.wait_for_all()?;
            self.setup.probe.iter().for_each(|probe| probe.add(launch.kind.stage(), start.elapsed()));
        }
        Ok(())
    }

    /// Writes all that the launches of a group read.
    pub(super) fn upload(
        &mut self,
        group: &Group,
        new: &NewWeights,
        cleared: bool,
        memory: &mut GroupMemory,
    ) -> Result<(), Fault> {
        if cleared {
            // Rows are overwritten which a group in flight may still read.
            (0..WEIGHTS).try_for_each(|stream| self.driver.follow(WEIGHTS, stream))?;
        }
        memory.upload(group, new, &self.limits, &self.image)?;
        self.grow_pool()?;
        if !new.numbers.is_empty() {
            let place = self.shared[Shared::WeightPool].address + u64::from(new.place) * OCTET_BYTES as u64;
            self.driver.write(WEIGHTS, place, bytemuck::cast_slice(&new.numbers))?;
        }
        // Checkpoints have no launch of weights to wait for.
        self.driver.follow(memory.stream, WEIGHTS)
    }

    /// Makes room for the pool's rows, and keeps what is there.
    fn grow_pool(&mut self) -> Result<(), Fault> {
        let needed = (self.cache.used() * OCTET_BYTES) as u64;
        let pool = &self.shared[Shared::WeightPool];
        let old = pool.bytes();
        if old < needed {
            // Twice as large, so that it seldom happens.
            let grown = Allocation::new(&self.driver, needed.max(2 * old).min(POOL_BYTES.max(needed)))?;
            self.driver.copy(WEIGHTS, pool.address, grown.address, old)?;
            self.wait_for_all()?;
            self.shared[Shared::WeightPool] = grown;
        }
        Ok(())
    }

    /// Puts a launch on its stream.
    pub(super) fn launch(&self, launch: &Launch, memory: &GroupMemory) -> Result<(), Fault> {
        let addresses = memory.addresses(PerShared::from_fn(|shared| self.shared[shared].address));
        let stream = if launch.kind == LaunchKind::Weights { WEIGHTS } else { memory.stream };
        let capability = self.driver.compute_capability();
        each_kernel(launch, &addresses, capability, |kernel| self.driver.launch(stream, kernel))?;
        // The group reads what was made.
        if stream == WEIGHTS { self.driver.follow(memory.stream, WEIGHTS) } else { Ok(()) }
    }

    /// Waits until all streams are idle.
    fn wait_for_all(&self) -> Result<(), Fault> {
        (0..STREAMS).try_for_each(|stream| self.driver.wait(stream))
    }

    /// Copies all buffers of a group to the host.
    pub(super) fn mirror(&self, group: &Group, memory: &GroupMemory) -> Result<Mirror, Fault> {
        let mut pool = vec![0.0; self.cache.used() * OCTET];
        let address = self.shared[Shared::WeightPool].address;
        self.driver.read(WEIGHTS, address, bytemuck::cast_slice_mut(&mut pool))?;
        Ok(Mirror { pool, buffers: memory.download(group, &self.limits)? })
    }

    /// Copies all buffers of a group back to the device.
    pub(super) fn restore(&self, mirror: &Mirror, memory: &GroupMemory) -> Result<(), Fault> {
        let address = self.shared[Shared::WeightPool].address;
        self.driver.write(WEIGHTS, address, bytemuck::cast_slice(&mirror.pool))?;
        memory.restore(mirror, &self.limits)?;
        self.wait_for_all()
    }
}

impl Drop for CudaSession {
    fn drop(&mut self) {
        // Buffers are freed next. On a device that is lost nothing runs.
        let _ = self.wait_for_all();
    }
}

impl session::DeviceSession for CudaSession {
    const BACKEND: &'static str = "cuda";
    type Memory = Running;

    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn cache(&mut self) -> &mut DeviceWeightCache {
        &mut self.cache
    }

    fn start(&mut self, group: &Group, cleared: bool) -> Result<Running, Fault> {
        let mut memory = self.group_memory();
        self.launch_all(group, cleared, &mut memory)?;
        let reads = self.limits.reads(&group.sizes, self.setup.keep_codes);
        Ok(Running { memory, reads, factor_number: self.limits.factor_number })
    }

    fn wait(running: &Running) -> Result<Results, Fault> {
        let mut results = Results { bytes: PerBuffer::default(), factor_number: running.factor_number };
        for (buffer, &bytes) in running.reads.iter().filter(|&(_, &bytes)| bytes > 0) {
            results.bytes[buffer] = running.memory.read(buffer, bytes)?;
        }
        Ok(results)
    }

    fn reuse(&mut self, running: Running) {
        if running.memory.is_of(&self.driver) {
            self.idle.push(running.memory);
        }
    }

    fn release(&mut self) {
        // Where this fails, so does whatever comes next, which says why.
        let _ = self.wait_for_all();
        self.cache.clear();
        self.idle.clear();
        if let Ok(empty) = Allocation::new(&self.driver, FIRST_POOL_BYTES) {
            self.shared[Shared::WeightPool] = empty;
        }
    }

    fn renew(&mut self) -> Result<()> {
        // On a device that is lost nothing succeeds.
        if self.wait_for_all().is_ok() {
            return Ok(());
        }
        let driver = self.driver.renew()?;
        let renewed = CudaSession::new(driver, &self.setup, Arc::clone(&self.image));
        *self = renewed.map_err(|fault| fault.fatal("cuda", self.driver.name()))?;
        Ok(())
    }

    fn reopen(&self, setup: Setup) -> Result<Self> {
        CudaSession::open(Arc::clone(&self.driver), &setup)
    }

    fn device(&self) -> String {
        self.driver.name().to_owned()
    }

    fn ceilings(&self) -> Result<DeviceCeilings, Fault> {
        self.wait_for_all()?;
        ceilings::measure(&self.driver)
    }
}

/// What the device holds, and how it is kept busy.
fn limits(driver: &dyn Driver, setup: &Setup) -> Result<Limits, Fault> {
    let memory = match setup.memory_limit {
        Some(limit) => limit,
        // Weights and whoever else works on the device have a share of it, on small devices half.
        None => {
            let free = driver.free_memory()?;
            (free - (2 * POOL_BYTES).min(free / 2)) / 10 * 9
        }
    };
    let blocks = driver.busy_blocks();
    Ok(Limits {
        buffer: BUFFER_BYTES,
        memory,
        in_flight: setup.in_flight.unwrap_or(WEIGHTS).clamp(1, WEIGHTS),
        has_own_buffers: true,
        networks: setup.group_size,
        // Four for each that runs at once: registers leave room for half as many of convolutions.
        launch_blocks: 4 * blocks / 2,
        number: size_of::<f32>(),
        factor_number: size_of::<f64>(),
        forms: Forms::Special { tensor_pixels: driver.compute_capability().tensor_pixels(), blocks },
    })
}
