//! Groups on their way through a device: tables up, dispatches, results down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use wgpu::{Buffer, CommandEncoder, DeviceType, SubmissionIndex};

use super::buffers::Buffers;
use super::flight::{Failed, Flight, Planned, planned};
use super::gpu::{Fault, Gpu};
use super::launches::{Dispatch, bind, dispatches, encode};
use super::pipelines::Content;
use crate::Result;
use crate::backend::group::{Fresh, Group, Joins, Launch, LaunchRecord, Limits, Pool, Resident, Step};
use crate::backend::{Setup, cpu};
use crate::measure::{Accident, Probe, Stage};
use crate::plan::Plan;
use crate::plan::jobs::OCTET;

/// Bytes of the weight pool at most.
const POOL_BYTES: u64 = 1 << 30;
/// Bytes of an octet of f32.
pub(super) const OCTET_BYTES: usize = OCTET * size_of::<f32>();

/// A device with the buffers, the weights and the batch of a run.
pub(super) struct Session {
    pub(super) gpu: Arc<Gpu>,
    pub(super) limits: Limits,
    pub(super) buffers: Buffers,
    pub(super) pool: Pool,
    /// The batch as a plain tensor, and whether the arena holds it.
    image: Arc<[f32]>,
    image_is_there: bool,
    /// Stages that run on the CPU instead, to find the one at fault.
    twins: Vec<Stage>,
    probe: Option<Arc<Probe>>,
    /// Buffers for results that are not in use.
    spare: VecDeque<Buffer>,
}

impl Session {
    pub(super) fn new(gpu: Arc<Gpu>, setup: &Setup, image: Arc<[f32]>) -> Result<Self, Fault> {
        let limits = limits(&gpu, setup);
        let capacity = POOL_BYTES.min(limits.buffer) as usize / OCTET_BYTES;
        let buffers = gpu.guarded(|| Buffers::new(&gpu))?;
        Ok(Session {
            limits,
            buffers,
            pool: Pool::new(Arc::clone(&setup.source), capacity),
            image,
            image_is_there: false,
            twins: setup.twins.clone(),
            probe: setup.probe.clone(),
            spare: VecDeque::new(),
            gpu,
        })
    }

    /// Submits a group. Networks whose weights are wrong are handed to `fail`; where the pool is full, the networks that
    /// are left over come back.
    pub(super) fn submit(
        &mut self,
        networks: Vec<Planned>,
        fail: &mut dyn FnMut(usize, crate::Error),
    ) -> Result<(Option<Flight>, Vec<Planned>), Failed> {
        let start = Instant::now();
        let (mut indices, mut loads, mut plans) = (Vec::new(), Vec::new(), Vec::new());
        let mut networks = networks.into_iter();
        let mut left = Vec::new();
        while let Some(Planned { index, plan, load }) = networks.next() {
            match self.place(&plan, plans.is_empty()) {
                Ok(Some(resident)) => {
                    indices.push(index);
                    loads.push(load);
                    plans.push((plan, load, resident));
                }
                Ok(None) => {
                    left.push(Planned { index, plan, load });
                    left.extend(networks);
                    break;
                }
                Err(error) => fail(index, error),
            }
        }
        if plans.is_empty() {
            return Ok((None, left));
        }
        let group = Group::new(plans, &self.pool, Joins::Launches);
        match self.fly(&group) {
            Ok((results, submission)) => {
                let (gpu, pieces) = (Arc::clone(&self.gpu), self.results(&group));
                let flight = Flight { gpu, group, indices, loads, results, pieces, submission, start };
                Ok((Some(flight), left))
            }
            Err(fault) => {
                let networks = planned(group.members, indices, loads);
                Err(Failed { fault, networks: networks.into_iter().chain(left).collect() })
            }
        }
    }

    /// Gives back the memory of all buffers, after they were too large.
    pub(super) fn release(&mut self) {
        self.buffers = Buffers::new(&self.gpu);
        self.pool.clear();
        self.image_is_there = false;
        self.spare.clear();
    }

    /// Finds room for a plan's weights; none where the group has to end first.
    fn place(&mut self, plan: &Plan, is_first: bool) -> Result<Option<Resident>> {
        let placed = self.pool.place(plan)?;
        if placed.is_some() || !is_first {
            return Ok(placed);
        }
        // What has been submitted runs before anything that comes.
        self.pool.clear();
        self.pool.place(plan)
    }

    /// Uploads a group's tables, runs its launches, and asks for the results.
    fn fly(&mut self, group: &Group) -> Result<(Buffer, SubmissionIndex), Fault> {
        group.check(self.pool.used()).map_err(|error| Fault::Failed(error.to_string()))?;
        let gpu = Arc::clone(&self.gpu);
        match self.probe.as_ref().and_then(|probe| probe.accident()) {
            Some(Accident::Loss) => gpu.device.destroy(),
            Some(Accident::NoMemory) => return Err(Fault::Memory),
            Some(Accident::None) | None => {}
        }
        let fresh = self.pool.take_fresh();
        gpu.guarded(|| self.upload(group, &fresh))?;
        let all = launches(group, &fresh);
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

    /// Takes back a buffer of results that have been read.
    pub(super) fn give_back(&mut self, gpu: &Arc<Gpu>, results: Buffer) {
        if Arc::ptr_eq(gpu, &self.gpu) {
            self.spare.push_back(results);
        }
    }

    fn keeps_codes(&self) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.wants_codes())
    }

    /// Whether somebody wants to see a step by itself.
    fn stands_alone(&self, step: Step) -> bool {
        self.twins.contains(&step.stage()) || self.probe.as_ref().is_some_and(|probe| !probe.wants_codes())
    }

    /// Runs one launch, on its twin where that is asked for, and tells the probe how long it took.
    fn run_alone(&mut self, group: &Group, fresh: &Fresh, launch: &Launch) -> Result<(), Fault> {
        let start = Instant::now();
        let stage = launch.step.stage();
        if self.twins.contains(&stage) {
            let mut mirror = self.mirror(group)?;
            cpu::launch::launch(group, fresh, self.pool.source(), launch, &mut mirror);
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
        let [arena, norms, partials, codes, kernels, pivots, statuses] =
            group.sizes.bytes(self.limits.number);
        if self.buffers.reserve(gpu, Content::Arena, arena) || !self.image_is_there {
            gpu.queue.write_buffer(self.buffers.get(Content::Arena), 0, bytemuck::cast_slice(&self.image));
            self.image_is_there = true;
        }
        for (content, bytes) in [
            (Content::Norms, norms),
            (Content::Partials, partials),
            (Content::Codes, codes),
            (Content::Kernels, kernels),
            (Content::Pivots, pivots),
            (Content::Statuses, statuses),
        ] {
            self.buffers.reserve(gpu, content, bytes);
        }
        let tables = &group.tables;
        self.buffers.write(gpu, Content::Terms, &tables.terms);
        self.buffers.write(gpu, Content::Combines, &tables.combines);
        self.buffers.write(gpu, Content::Convs, &tables.convs);
        self.buffers.write(gpu, Content::Rows, &tables.rows);
        self.buffers.write(gpu, Content::NormJobs, &tables.norms);
        self.buffers.write(gpu, Content::Agreements, &tables.agreements);
        self.buffers.write(gpu, Content::Choleskys, &tables.choleskys);
        self.buffers.write(gpu, Content::WeightsJobs, &fresh.jobs);
        let needed = (self.pool.used() * OCTET_BYTES) as u64;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        self.buffers.grow(gpu, &mut encoder, Content::Pool, needed);
        gpu.queue.submit([encoder.finish()]);
        if !fresh.numbers.is_empty() {
            let place = u64::from(fresh.place) * OCTET_BYTES as u64;
            gpu.queue.write_buffer(
                self.buffers.get(Content::Pool),
                place,
                bytemuck::cast_slice(&fresh.numbers),
            );
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
        self.buffers.write(gpu, Content::Launches, &shared);
        let groups = bind(gpu, &self.buffers, &dispatches);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encode(gpu, &mut encoder, &groups, &dispatches);
        more(self, &mut encoder);
        gpu.queue.submit([encoder.finish()])
    }

    /// What comes back of a group, in this order, and its bytes.
    fn results(&self, group: &Group) -> [(Content, u64); 4] {
        let [.., codes, kernels, pivots, statuses] = group.sizes.bytes(self.limits.number);
        let codes = if self.keeps_codes() { codes } else { 0 };
        [
            (Content::Statuses, statuses),
            (Content::Pivots, pivots),
            (Content::Kernels, kernels),
            (Content::Codes, codes),
        ]
    }

    fn results_buffer(&mut self, group: &Group) -> Buffer {
        let size = self.results(group).iter().map(|(_, bytes)| bytes).sum();
        let spare = self.spare.iter().position(|buffer| buffer.size() >= size);
        spare.and_then(|position| self.spare.remove(position)).unwrap_or_else(|| self.gpu.readable(size))
    }

    fn copy_results(&self, encoder: &mut CommandEncoder, group: &Group, results: &Buffer) {
        let mut place = 0;
        for (content, bytes) in self.results(group) {
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(self.buffers.get(content), 0, results, place, bytes);
                place += bytes;
            }
        }
    }
}

/// All launches of a group, that of the weights first.
pub(super) fn launches(group: &Group, fresh: &Fresh) -> Vec<Launch> {
    let record = LaunchRecord { jobs: fresh.jobs.len() as u32, tiles: 1, ..LaunchRecord::default() };
    let weights = (!fresh.jobs.is_empty()).then_some(Launch { step: Step::Weights, slot: None, record });
    weights.into_iter().chain(group.launches.iter().copied()).collect()
}

/// What the device holds, and what a launch should move to be worth its cost: ten microseconds of its memory's rate, of
/// which only the order is known here.
fn limits(gpu: &Gpu, setup: &Setup) -> Limits {
    Limits {
        buffer: gpu.buffer_limit(),
        memory: setup.memory_limit.unwrap_or(8 << 30),
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
