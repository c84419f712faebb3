//! A session on a wgpu device: uploads tables, dispatches launches, copies results back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use wgpu::{CommandEncoder, DeviceType, SubmissionIndex};

use super::adapter;
use super::buffers::Buffers;
use super::ceilings;
use super::gpu::Gpu;
use super::launches::{Dispatch, bind, dispatches, encode};
use super::pipelines::Checks;
use crate::Result;
use crate::backend::Setup;
use crate::backend::ceilings::DeviceCeilings;
use crate::backend::group::session::{self, Mode};
use crate::backend::group::{
    Buffer, DeviceWeightCache, Fault, Forms, Group, Launch, Limits, NewWeights, PerBuffer, Results,
    RowFormat, Shared, Table, batch, twin,
};
use crate::plan::jobs::OCTET;
use crate::probe::InjectedFault;

/// Bytes of the weight pool at most.
const POOL_BYTES: u64 = 1 << 30;
/// Bytes of an octet of f32.
pub(super) const OCTET_BYTES: usize = OCTET * size_of::<f32>();

/// A device with the buffers, the weights and the batch of a run.
pub(super) struct WgpuSession {
    pub(super) gpu: Arc<Gpu>,
    /// Name of the device that the user has asked for, to find the device again when it was lost.
    name: Option<String>,
    pub(super) limits: Limits,
    pub(super) buffers: Buffers,
    pub(super) cache: DeviceWeightCache,
    /// The units of the batch, and whether the arena holds it.
    image: Arc<[f32]>,
    has_image: bool,
    setup: Setup,
    /// Buffers for results that are not in use.
    idle: VecDeque<wgpu::Buffer>,
}

/// A group in flight: what it holds of the device.
pub(super) struct Running {
    gpu: Arc<Gpu>,
    /// What the host reads of each buffer, one after the other, and the bytes of each.
    results: wgpu::Buffer,
    reads: PerBuffer<u64>,
    factor_number: usize,
    submission: SubmissionIndex,
}

/// The device of the best adapter that a selection takes.
fn gpu(name: Option<&str>, setup: &Setup) -> Result<Arc<Gpu>> {
    let found = adapter::choose(name)?;
    // What happens to it must not happen to others.
    match &setup.probe {
        Some(probe) if probe.has_faults() => Ok(Arc::new(Gpu::new(&found.adapter, Checks::Trusted)?)),
        _ => Gpu::open(&found, Checks::Trusted),
    }
}

impl WgpuSession {
    /// A session on the best adapter, or the best one that a selection takes, for a run's batch.
    ///
    /// # Errors
    /// There is no such adapter, or it cannot be opened.
    pub(super) fn open(name: Option<&str>, setup: &Setup) -> Result<Self> {
        Self::open_on(gpu(name, setup)?, name.map(str::to_owned), setup)
    }

    fn open_on(gpu: Arc<Gpu>, name: Option<String>, setup: &Setup) -> Result<Self> {
        let device = gpu.name.clone();
        let session = WgpuSession::new(gpu, name, setup, batch(&setup.batch).into());
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
        Ok(WgpuSession {
            name,
            limits,
            buffers,
            cache: DeviceWeightCache::new(Arc::clone(&setup.source), RowFormat::Numbers, capacity),
            image,
            has_image: false,
            setup: setup.clone(),
            idle: VecDeque::new(),
            gpu,
        })
    }

    /// Runs one launch by itself, and tells the probe how long it took.
    fn run_alone(
        &mut self,
        group: &Group,
        new: &NewWeights,
        launch: &Launch,
        mode: Mode,
    ) -> Result<(), Fault> {
        let start = Instant::now();
        if mode == Mode::Twin {
            let mut mirror = self.mirror(group)?;
            twin::launch(group, new, self.cache.source(), launch, &mut mirror);
            self.restore(&mirror)?;
            self.setup.probe.iter().for_each(|probe| probe.see_twin());
        } else {
            let gpu = Arc::clone(&self.gpu);
            let submission = gpu.guarded(|| self.run(std::slice::from_ref(launch), |_, _| ()))?;
            gpu.wait(submission)?;
        }
        self.setup.probe.iter().for_each(|probe| probe.add(launch.kind.stage(), start.elapsed()));
        Ok(())
    }

    /// Writes all that the launches of a group read.
    pub(super) fn upload(&mut self, group: &Group, new: &NewWeights) {
        let gpu = &*Arc::clone(&self.gpu);
        for (buffer, &bytes) in self.limits.bytes(&group.sizes).iter() {
            let is_lost = self.buffers.reserve(gpu, buffer.memory(), bytes);
            self.has_image &= buffer != Buffer::Arena || !is_lost;
        }
        if !self.has_image {
            let arena = self.buffers.get(Buffer::Arena.memory());
            gpu.queue.write_buffer(arena, 0, bytemuck::cast_slice(&self.image));
            self.has_image = true;
        }
        for table in Table::ALL {
            self.buffers.write(gpu, table.memory(), group.tables.bytes(table, &new.jobs));
        }
        let pool = Shared::WeightPool.memory();
        let needed = (self.cache.used() * OCTET_BYTES) as u64;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        self.buffers.grow(gpu, &mut encoder, pool, needed);
        gpu.queue.submit([encoder.finish()]);
        if !new.numbers.is_empty() {
            let place = u64::from(new.place) * OCTET_BYTES as u64;
            gpu.queue.write_buffer(self.buffers.get(pool), place, bytemuck::cast_slice(&new.numbers));
        }
    }

    /// Submits launches, and more commands behind them.
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

    /// A buffer for so many bytes of results.
    fn results_buffer(&mut self, size: u64) -> wgpu::Buffer {
        let idle = self.idle.iter().position(|buffer| buffer.size() >= size);
        idle.and_then(|position| self.idle.remove(position)).unwrap_or_else(|| self.gpu.readable(size))
    }

    fn copy_results(&self, encoder: &mut CommandEncoder, reads: &PerBuffer<u64>, results: &wgpu::Buffer) {
        let mut place = 0;
        for (buffer, &bytes) in reads.iter().filter(|&(_, &bytes)| bytes > 0) {
            let from = self.buffers.get(buffer.memory());
            encoder.copy_buffer_to_buffer(from, 0, results, place, bytes);
            place += bytes;
        }
    }
}

impl session::DeviceSession for WgpuSession {
    const BACKEND: &'static str = "wgpu";
    type Memory = Running;

    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    fn cache(&mut self) -> &mut DeviceWeightCache {
        &mut self.cache
    }

    // Where the cache was cleared nothing has to be waited for: what was submitted runs before anything that comes.
    fn start(&mut self, group: &Group, _cleared: bool) -> Result<Running, Fault> {
        let gpu = Arc::clone(&self.gpu);
        match self.setup.probe.as_ref().and_then(|probe| probe.next_fault()) {
            Some(InjectedFault::Loss) => gpu.device.destroy(),
            Some(InjectedFault::NoMemory) => return Err(Fault::Memory),
            Some(InjectedFault::None) | None => {}
        }
        let new = self.cache.take_new();
        gpu.guarded(|| self.upload(group, &new))?;
        let all = group.all_launches(&new);
        self.setup.probe.iter().for_each(|probe| probe.see_group(group.members.len(), all.len()));
        let mut all = &all[..];
        // Launches up to the next one that runs by itself are one submission.
        let is_alone = |launch: &Launch, setup: &Setup| Mode::of(launch, setup) != Mode::Together;
        while let Some(position) = all.iter().position(|launch| is_alone(launch, &self.setup)) {
            let (before, from) = all.split_at(position);
            let (one, after) = from.split_at(1);
            if !before.is_empty() {
                gpu.guarded(|| self.run(before, |_, _| ()))?;
            }
            self.run_alone(group, &new, &one[0], Mode::of(&one[0], &self.setup))?;
            all = after;
        }
        let reads = self.limits.reads(&group.sizes, self.setup.keep_codes);
        let size = reads.iter().map(|(_, bytes)| bytes).sum();
        let results = gpu.guarded(|| self.results_buffer(size))?;
        let submission = gpu
            .guarded(|| self.run(all, |session, encoder| session.copy_results(encoder, &reads, &results)))?;
        Ok(Running { gpu, results, reads, factor_number: self.limits.factor_number, submission })
    }

    fn wait(running: &Running) -> Result<Results, Fault> {
        let size = running.reads.iter().map(|(_, bytes)| bytes).sum();
        let bytes = running.gpu.read(&running.results, size, Some(running.submission.clone()))?;
        let mut rest = &bytes[..];
        let bytes = PerBuffer::from_fn(|buffer| {
            let (piece, after) = rest.split_at(running.reads[buffer] as usize);
            rest = after;
            piece.to_vec()
        });
        Ok(Results { bytes, factor_number: running.factor_number })
    }

    fn reuse(&mut self, running: Running) {
        if Arc::ptr_eq(&running.gpu, &self.gpu) {
            self.idle.push_back(running.results);
        }
    }

    fn release(&mut self) {
        self.buffers = Buffers::new(&self.gpu);
        self.cache.clear();
        self.has_image = false;
        self.idle.clear();
    }

    fn renew(&mut self) -> Result<()> {
        if self.gpu.lost().is_none() {
            return Ok(());
        }
        adapter::forget();
        let gpu = gpu(self.name.as_deref(), &self.setup)?;
        let renewed = WgpuSession::new(gpu, self.name.clone(), &self.setup, Arc::clone(&self.image));
        *self = renewed.map_err(|fault| fault.fatal("wgpu", &self.gpu.name))?;
        Ok(())
    }

    fn reopen(&self, setup: Setup) -> Result<Self> {
        WgpuSession::open_on(Arc::clone(&self.gpu), self.name.clone(), &setup)
    }

    fn device(&self) -> String {
        self.gpu.name.clone()
    }

    fn ceilings(&self) -> Result<DeviceCeilings, Fault> {
        ceilings::measure(&self.gpu)
    }
}

/// What the device holds, and the blocks of a launch that keep it busy, of which only the order is known here.
fn limits(gpu: &Gpu, setup: &Setup) -> Limits {
    Limits {
        buffer: gpu.buffer_limit(),
        memory: setup.memory_limit.unwrap_or(8 << 30),
        in_flight: 2,
        has_own_buffers: false,
        networks: setup.group_size,
        launch_blocks: match gpu.kind {
            DeviceType::DiscreteGpu | DeviceType::VirtualGpu => 1024,
            DeviceType::IntegratedGpu | DeviceType::Other => 128,
            DeviceType::Cpu => 16,
        },
        number: size_of::<f32>(),
        factor_number: size_of::<f32>(),
        forms: Forms::Portable,
    }
}
