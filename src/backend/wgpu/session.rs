//! Groups on their way through a device: tables up, dispatches, results down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use wgpu::{CommandEncoder, DeviceType, SubmissionIndex};

use super::adapter;
use super::buffers::Buffers;
use super::gpu::Gpu;
use super::launches::{Dispatch, bind, dispatches, encode};
use super::pipelines::Checks;
use crate::backend::Setup;
use crate::backend::cpu::workspace::octets_last;
use crate::backend::group::run::{Failed, Fault, Flight, Gathered, Waiting};
use crate::backend::group::{
    Buffer, Fresh, Group, Joins, Launch, Limits, PerBuffer, Pool, Results, Shared, Step, Table, run, twin,
};
use crate::plan::jobs::OCTET;
use crate::probe::{InjectedFault, Probe};
use crate::{Error, Result};

/// Bytes of the weight pool at most.
const POOL_BYTES: u64 = 1 << 30;
/// Bytes of an octet of f32.
pub(super) const OCTET_BYTES: usize = OCTET * size_of::<f32>();

/// A device with the buffers, the weights and the batch of a run.
pub(super) struct Session {
    pub(super) gpu: Arc<Gpu>,
    /// What the user has asked for, to find the device again when it was lost.
    name: Option<String>,
    pub(super) limits: Limits,
    pub(super) buffers: Buffers,
    pub(super) pool: Pool,
    /// The batch as a plain tensor, and whether the arena holds it.
    image: Arc<[f32]>,
    image_is_there: bool,
    probe: Option<Arc<Probe>>,
    setup: Setup,
    /// Buffers for results that are not in use.
    spare: VecDeque<wgpu::Buffer>,
}

/// A group that has been submitted.
pub(super) struct Flying {
    gpu: Arc<Gpu>,
    flight: Flight,
    results: wgpu::Buffer,
    /// Bytes of each buffer among the results, which stand one after the other.
    reads: PerBuffer<u64>,
    factor_number: usize,
    submission: SubmissionIndex,
}

/// The device of the best adapter with a name.
fn gpu(name: Option<&str>, setup: &Setup) -> Result<Arc<Gpu>> {
    let adapter = adapter::choose(name)?;
    // What happens to it must not happen to others.
    match &setup.probe {
        Some(probe) if probe.has_faults() => Ok(Arc::new(Gpu::new(&adapter, Checks::Trusted)?)),
        _ => Gpu::open(&adapter, Checks::Trusted),
    }
}

impl Session {
    /// A session on the best adapter, or the best one whose name contains a text, for a run's batch.
    ///
    /// # Errors
    /// There is no such adapter, or it cannot be opened.
    pub(super) fn open(name: Option<&str>, setup: &Setup) -> Result<Self> {
        Self::open_on(gpu(name, setup)?, name.map(str::to_owned), setup)
    }

    fn open_on(gpu: Arc<Gpu>, name: Option<String>, setup: &Setup) -> Result<Self> {
        let device = gpu.name.clone();
        let session = Session::new(gpu, name, setup, octets_last(&setup.batch).into());
        session.map_err(|fault| fault.fatal("wgpu", &device))
    }

    pub(super) fn new(
        gpu: Arc<Gpu>,
        name: Option<String>,
        setup: &Setup,
        image: Arc<[f32]>,
    ) -> Result<Self, Fault> {
        let limits = limits(&gpu, setup);
        let capacity = POOL_BYTES.min(limits.buffer) as usize / OCTET_BYTES;
        let buffers = gpu.guarded(|| Buffers::new(&gpu))?;
        Ok(Session {
            name,
            limits,
            buffers,
            pool: Pool::new(Arc::clone(&setup.source), capacity),
            image,
            image_is_there: false,
            probe: setup.probe.clone(),
            setup: setup.clone(),
            spare: VecDeque::new(),
            gpu,
        })
    }

    /// Uploads a group's tables, runs its launches, and asks for the results.
    fn fly(&mut self, group: &Group) -> Result<(wgpu::Buffer, SubmissionIndex), Fault> {
        group.check(self.pool.used()).map_err(|error| Fault::Failed(error.to_string()))?;
        let gpu = Arc::clone(&self.gpu);
        match self.probe.as_ref().and_then(|probe| probe.next_fault()) {
            Some(InjectedFault::Loss) => gpu.device.destroy(),
            Some(InjectedFault::NoMemory) => return Err(Fault::Memory),
            Some(InjectedFault::None) | None => {}
        }
        let fresh = self.pool.take_fresh();
        gpu.guarded(|| self.upload(group, &fresh))?;
        let all = group.all_launches(&fresh);
        let mut all = &all[..];
        // Launches up to the next one that a twin takes, or that is timed, are one submission.
        while let Some(position) = all.iter().position(|launch| self.stands_alone(launch.step)) {
            let (before, from) = all.split_at(position);
            let (one, after) = from.split_at(1);
            if !before.is_empty() {
                gpu.guarded(|| self.run(before, |_, _| ()))?;
            }
            self.run_alone(group, &fresh, &one[0])?;
            all = after;
        }
        let results = gpu.guarded(|| self.results_buffer(group))?;
        let submission =
            gpu.guarded(|| self.run(all, |session, encoder| session.copy_results(encoder, group, &results)))?;
        Ok((results, submission))
    }

    fn keeps_codes(&self) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.wants_codes())
    }

    /// Whether somebody wants to see a step by itself.
    fn stands_alone(&self, step: Step) -> bool {
        self.setup.twins.contains(&step.stage())
            || self.probe.as_ref().is_some_and(|probe| !probe.wants_codes())
    }

    /// Runs one launch, on its twin where that is asked for, and tells the probe how long it took.
    fn run_alone(&mut self, group: &Group, fresh: &Fresh, launch: &Launch) -> Result<(), Fault> {
        let start = Instant::now();
        let stage = launch.step.stage();
        if self.setup.twins.contains(&stage) {
            let mut mirror = self.mirror(group)?;
            twin::launch(group, fresh, self.pool.source(), launch, &mut mirror);
            self.restore(&mirror)?;
            self.probe.iter().for_each(|probe| probe.see_twin());
        } else {
            let gpu = Arc::clone(&self.gpu);
            let submission = gpu.guarded(|| self.run(std::slice::from_ref(launch), |_, _| ()))?;
            gpu.wait(submission)?;
        }
        self.probe.iter().for_each(|probe| probe.add(stage, start.elapsed()));
        Ok(())
    }

    /// Writes all that the launches of a group read.
    pub(super) fn upload(&mut self, group: &Group, fresh: &Fresh) {
        let gpu = &*Arc::clone(&self.gpu);
        for (buffer, &bytes) in self.limits.bytes(&group.sizes).iter() {
            let is_lost = self.buffers.reserve(gpu, buffer.memory(), bytes);
            self.image_is_there &= buffer != Buffer::Arena || !is_lost;
        }
        if !self.image_is_there {
            let arena = self.buffers.get(Buffer::Arena.memory());
            gpu.queue.write_buffer(arena, 0, bytemuck::cast_slice(&self.image));
            self.image_is_there = true;
        }
        for table in Table::ALL {
            self.buffers.write(gpu, table.memory(), group.tables.bytes(table, &fresh.jobs));
        }
        let pool = Shared::Pool.memory();
        let needed = (self.pool.used() * OCTET_BYTES) as u64;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        self.buffers.grow(gpu, &mut encoder, pool, needed);
        gpu.queue.submit([encoder.finish()]);
        if !fresh.numbers.is_empty() {
            let place = u64::from(fresh.place) * OCTET_BYTES as u64;
            gpu.queue.write_buffer(self.buffers.get(pool), place, bytemuck::cast_slice(&fresh.numbers));
        }
    }

    /// Submits some launches, and what else goes with them.
    pub(super) fn run(
        &mut self,
        launches: &[Launch],
        more: impl FnOnce(&Self, &mut CommandEncoder),
    ) -> SubmissionIndex {
        let gpu = &*Arc::clone(&self.gpu);
        let mut shared = Vec::new();
        let side = gpu.device.limits().max_compute_workgroups_per_dimension;
        let dispatches: Vec<Dispatch> = dispatches(launches, side, &mut shared);
        self.buffers.write_launches(gpu, &shared);
        let groups = bind(gpu, &self.buffers, &dispatches);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encode(gpu, &mut encoder, &groups, &dispatches);
        more(self, &mut encoder);
        gpu.queue.submit([encoder.finish()])
    }

    /// Bytes of each buffer that comes back of a group.
    fn reads(&self, group: &Group) -> PerBuffer<u64> {
        self.limits.reads(&group.sizes, self.keeps_codes())
    }

    fn results_buffer(&mut self, group: &Group) -> wgpu::Buffer {
        let size = self.reads(group).iter().map(|(_, bytes)| bytes).sum();
        let spare = self.spare.iter().position(|buffer| buffer.size() >= size);
        spare.and_then(|position| self.spare.remove(position)).unwrap_or_else(|| self.gpu.readable(size))
    }

    fn copy_results(&self, encoder: &mut CommandEncoder, group: &Group, results: &wgpu::Buffer) {
        let mut place = 0;
        for (buffer, &bytes) in self.reads(group).iter().filter(|&(_, &bytes)| bytes > 0) {
            let from = self.buffers.get(buffer.memory());
            encoder.copy_buffer_to_buffer(from, 0, results, place, bytes);
            place += bytes;
        }
    }
}

impl Flying {
    /// Waits for the group.
    fn results(&self) -> Result<Results, Fault> {
        let size = self.reads.iter().map(|(_, bytes)| bytes).sum();
        let bytes = self.gpu.read(&self.results, size, Some(self.submission.clone()))?;
        let mut rest = &bytes[..];
        let bytes = PerBuffer::from_fn(|buffer| {
            let (piece, after) = rest.split_at(self.reads[buffer] as usize);
            rest = after;
            piece.to_vec()
        });
        Ok(Results { bytes, factor_number: self.factor_number })
    }
}

impl run::Session for Session {
    type Flight = Flying;
    type Spare = (Arc<Gpu>, wgpu::Buffer);

    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn submit(
        &mut self,
        networks: Vec<Waiting>,
        fail: &mut dyn FnMut(usize, Error),
    ) -> Result<(Option<Flying>, Vec<Waiting>), Failed> {
        // Where the pool is cleared nothing has to be waited for: what was submitted runs before anything that comes.
        let (flight, left) = Gathered::new(networks, &mut self.pool, fail).lay_out(Joins::Launches);
        let Some(flight) = flight else { return Ok((None, left)) };
        match self.fly(&flight.group) {
            Ok((results, submission)) => {
                let (gpu, reads) = (Arc::clone(&self.gpu), self.reads(&flight.group));
                let factor_number = self.limits.factor_number;
                Ok((Some(Flying { gpu, flight, results, reads, factor_number, submission }), left))
            }
            Err(fault) => {
                let networks = flight.into_waiting().into_iter().chain(left).collect();
                Err(Failed { fault, networks })
            }
        }
    }

    fn land(flying: Flying) -> Result<(Flight, Results, Self::Spare), Failed> {
        match flying.results() {
            Ok(results) => Ok((flying.flight, results, (flying.gpu, flying.results))),
            Err(fault) => Err(Failed { fault, networks: flying.flight.into_waiting() }),
        }
    }

    fn give_back(&mut self, (gpu, results): Self::Spare) {
        if Arc::ptr_eq(&gpu, &self.gpu) {
            self.spare.push_back(results);
        }
    }

    fn abandon(flying: Flying) -> Vec<Waiting> {
        flying.flight.into_waiting()
    }

    fn release(&mut self) {
        self.buffers = Buffers::new(&self.gpu);
        self.pool.clear();
        self.image_is_there = false;
        self.spare.clear();
    }

    fn renew(&mut self) -> Result<()> {
        if self.gpu.lost().is_none() {
            return Ok(());
        }
        adapter::forget();
        let gpu = gpu(self.name.as_deref(), &self.setup)?;
        let renewed = Session::new(gpu, self.name.clone(), &self.setup, Arc::clone(&self.image));
        *self = renewed.map_err(|fault| fault.fatal("wgpu", &self.gpu.name))?;
        Ok(())
    }

    fn reopen(&self, setup: Setup) -> Result<Self> {
        Session::open_on(Arc::clone(&self.gpu), self.name.clone(), &setup)
    }

    fn device(&self) -> String {
        self.gpu.name.clone()
    }

    fn backend(&self) -> &'static str {
        "wgpu"
    }
}

/// What the device holds, and what a launch should move to be worth its cost: ten microseconds of its memory's rate, of
/// which only the order is known here.
fn limits(gpu: &Gpu, setup: &Setup) -> Limits {
    Limits {
        buffer: gpu.buffer_limit(),
        memory: setup.memory_limit.unwrap_or(8 << 30),
        in_flight: 1,
        networks: setup.group_size,
        launch_bytes: match gpu.kind {
            DeviceType::DiscreteGpu | DeviceType::VirtualGpu => 20 << 20,
            DeviceType::IntegratedGpu | DeviceType::Other => 2 << 20,
            DeviceType::Cpu => 128 << 10,
        },
        number: size_of::<f32>(),
        factor_number: size_of::<f32>(),
    }
}
