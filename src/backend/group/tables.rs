//! Makes the records of a group's jobs, and the launches that run them.

use std::ops::Range;

use super::pool::Resident;
use super::records::*;
use super::{Culprit, Joins, Launch, Member, Step};
use crate::graph::Window;
use crate::plan::jobs::{IMAGE, NormJob, OCTET, Pool, Slot, Statistics, TensorId, octets};
use crate::plan::{Plan, TileClass};
use crate::weights::WeightSource;

/// Pixels of one image that a tile of `combine` has at most.
const COMBINE_PIXELS: usize = 128;
/// Images on either side of a tile of `agreement`.
const AGREEMENT_IMAGES: usize = 16;
/// Entries of K that a tile of `start` sets.
const START_ENTRIES: usize = 256;

/// Records of all jobs of a group; places are absolute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) terms: Vec<TermRecord>,
    pub(crate) combines: Vec<CombineRecord>,
    pub(crate) convs: Vec<ConvRecord>,
    pub(crate) rows: Vec<u32>,
    pub(crate) norms: Vec<NormRecord>,
    pub(crate) agreements: Vec<AgreementRecord>,
    pub(crate) choleskys: Vec<CholeskyRecord>,
    /// Member, and position among its plan's jobs, of each combine and conv.
    pub(crate) combine_jobs: Vec<(usize, usize)>,
    pub(crate) conv_jobs: Vec<(usize, usize)>,
}

/// How far one plan has been laid out.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// Of its convs' rows.
    row: usize,
    /// Of the batch norms of its convs and of its combines.
    conv_norm: usize,
    combine_norm: usize,
}

struct Builder<'a> {
    members: &'a mut [Member],
    residents: &'a [Resident],
    source: &'a dyn WeightSource,
    joins: Joins,
    tables: Tables,
    launches: Vec<Launch>,
    cursors: Vec<Cursor>,
}

/// Lays out the members, and notes which node each status speaks of.
pub(super) fn tables(
    members: &mut [Member],
    residents: &[Resident],
    source: &dyn WeightSource,
    joins: Joins,
) -> (Tables, Vec<Launch>) {
    let mut cursors = vec![Cursor::default(); members.len()];
    for (cursor, member) in cursors.iter_mut().zip(&*members) {
        cursor.combine_norm = member.plan.convs.iter().map(|job| job.statistics.norms.len()).sum();
    }
    // Which slot of which member, in the order of slots.
    let mut slots: Vec<(Slot, usize, usize)> = Vec::new();
    for (m, member) in members.iter().enumerate() {
        slots.extend(member.plan.slots.iter().enumerate().map(|(s, jobs)| (jobs.slot, m, s)));
    }
    slots.sort_unstable();
    let tables = Tables::default();
    let mut builder = Builder { members, residents, source, joins, tables, launches: Vec::new(), cursors };
    builder.start();
    for same in slots.chunk_by(|a, b| a.0 == b.0) {
        builder.combines(same);
        builder.convs(same);
    }
    builder.finish();
    (builder.tables, builder.launches)
}

impl Builder<'_> {
    fn images(&self) -> usize {
        self.members.first().map_or(1, |member| member.plan.images())
    }

    fn launch(&mut self, step: Step, slot: Option<Slot>, jobs: Range<usize>, tiles: usize) {
        if jobs.is_empty() {
            return;
        }
        let images = self.images();
        let mut record = LaunchRecord {
            first: jobs.start as u32,
            jobs: jobs.len() as u32,
            images: images as u32,
            tiles: tiles as u32,
            ..LaunchRecord::default()
        };
        if let Some(slot) = slot {
            let (block, blocks) = self.blocks(slot);
            record.height = slot.height as u32;
            record.width = slot.width as u32;
            record.block = block as u32;
            record.blocks = blocks as u32;
        }
        self.launches.push(Launch { step, slot, record });
    }

    /// Pixels of a block of partial statistics, and blocks.
    fn blocks(&self, slot: Slot) -> (usize, usize) {
        let shape = crate::Shape { channels: 1, height: slot.height, width: slot.width };
        let block = Plan::block_pixels(self.images(), shape);
        (block, (self.images() * shape.pixels()).div_ceil(block))
    }

    /// What comes before the slots: K and the statuses.
    fn start(&mut self) {
        let n = self.images();
        for member in &*self.members {
            self.tables.choleskys.push(CholeskyRecord {
                kernel: member.places.kernels as u32,
                activations: member.plan.activations(),
                pivots: member.places.pivots as u32,
                status: member.places.statuses as u32,
                scratch: member.places.arena as u32,
                ..CholeskyRecord::default()
            });
        }
        self.launch(Step::Start, None, 0..self.members.len(), (n * n).div_ceil(START_ENTRIES));
    }

    /// What comes after the slots.
    fn finish(&mut self) {
        for member in &*self.members {
            self.tables.agreements.extend(member.plan.agreements.iter().map(|job| AgreementRecord {
                codes: (member.places.codes + job.word) as u32,
                words_per_image: member.plan.words_per_image as u32,
                words: job.words as u32,
                weight: job.weight,
                kernel: member.places.kernels as u32,
                ..AgreementRecord::default()
            }));
        }
        let side = self.images().div_ceil(AGREEMENT_IMAGES);
        self.launch(Step::Agreement, None, 0..self.tables.agreements.len(), side * (side + 1) / 2);
        self.launch(Step::Cholesky, None, 0..self.members.len(), 1);
    }

    /// One slot's combines. Those that leave statistics come last, so that one launch can take them all.
    fn combines(&mut self, slots: &[(Slot, usize, usize)]) {
        let slot = slots[0].0;
        let first = self.tables.combines.len();
        let mut with_statistics = first;
        for wanted in [false, true] {
            with_statistics = self.tables.combines.len();
            for &(_, m, s) in slots {
                for job in self.members[m].plan.slots[s].combines.clone() {
                    if self.members[m].plan.combines[job].statistics.norms.is_empty() != wanted {
                        self.combine(m, job);
                    }
                }
            }
        }
        let end = self.tables.combines.len();
        let tiles = self.images() * (slot.height * slot.width).div_ceil(COMBINE_PIXELS);
        self.launch(Step::Combine, Some(slot), first..end, tiles);
        if self.joins == Joins::Launches {
            let octets =
                self.tables.combines[with_statistics..].iter().map(|job| octets(job.channels as usize));
            let tiles = octets.max().unwrap_or(0);
            self.launch(Step::StoredBatchNorm, Some(slot), with_statistics..end, tiles);
        }
    }

    /// One slot's convolutions, by the width of their tile.
    fn convs(&mut self, slots: &[(Slot, usize, usize)]) {
        let slot = slots[0].0;
        let (first_norm, blocks) = (self.tables.norms.len(), self.blocks(slot).1);
        for step in [Step::ConvNarrow, Step::ConvWide] {
            let first = self.tables.convs.len();
            for &(_, m, s) in slots {
                for job in self.members[m].plan.slots[s].convs.clone() {
                    if conv_step(self.members[m].plan.convs[job].class) == step {
                        self.conv(m, job);
                    }
                }
            }
            self.launch(step, Some(slot), first..self.tables.convs.len(), blocks);
        }
        if self.joins == Joins::Launches {
            self.launch(Step::BatchNorm, Some(slot), first_norm..self.tables.norms.len(), 1);
        }
    }

    fn combine(&mut self, m: usize, id: usize) {
        let member = &self.members[m];
        let job = &member.plan.combines[id];
        let first_term = self.tables.terms.len() as u32;
        for term in &job.terms {
            let tensor = &member.plan.tensors[term.tensor];
            let code = term.code.map_or(NONE, |region| member.plan.regions[region].word as u32);
            let flag = |set: bool, flag: u32| if set { flag } else { 0 };
            self.tables.terms.push(TermRecord {
                source: place(member, term.tensor) + (term.channel / OCTET) as u32,
                pitch: tensor.pitch as u32,
                size: pair(tensor.shape.height, tensor.shape.width),
                to: term.to as u32,
                channels: term.channels as u32,
                norm: term.norm.map_or(NONE, |entry| (member.places.norms + entry / OCTET) as u32),
                flags: flag(term.relu, TermRecord::RELU) | flag(term.average, TermRecord::AVERAGE),
                code,
            });
        }
        let emits = job.terms.iter().any(|term| term.code.is_some());
        let (pool, window) = match job.window {
            None => (CombineRecord::NO_POOL, Window { kernel: [1, 1], stride: [1, 1], padding: [0, 0] }),
            Some((Pool::Max, window)) => (CombineRecord::MAX_POOL, window),
            Some((Pool::Average, window)) => (CombineRecord::AVERAGE_POOL, window),
        };
        let record = CombineRecord {
            first_term,
            terms: job.terms.len() as u32,
            output: job.output.map_or(NONE, |tensor| place(member, tensor)),
            channels: job.shape.channels as u32,
            size: pair(job.source[0], job.source[1]),
            pool: pair(pool as usize, usize::from(emits)),
            window: pair(window.kernel[0], window.kernel[1]),
            stride: pair(window.stride[0], window.stride[1]),
            padding: pair(window.padding[0], window.padding[1]),
            codes: member.places.codes as u32,
            words_per_image: member.plan.words_per_image as u32,
            code: job.code.map_or(NONE, |region| member.plan.regions[region].word as u32),
            partials: partials(member, &job.statistics),
            first_norm: self.tables.norms.len() as u32,
            norms: job.statistics.norms.len() as u32,
            status: pair(m, member.culprits.len()),
        };
        let pitch = octets(job.shape.channels);
        self.tables.combines.push(record);
        self.tables.combine_jobs.push((m, id));
        self.members[m].culprits.push(Culprit::Combine(id));
        self.norms(m, record.partials, 0, pitch, Source::Combine(id));
    }

    fn conv(&mut self, m: usize, id: usize) {
        let member = &self.members[m];
        let job = &member.plan.convs[id];
        let [input, output] = [job.input, job.output].map(|tensor| &member.plan.tensors[tensor]);
        let octets = job.octets();
        let pair = |sizes: [usize; 2]| pair(sizes[0], sizes[1]);
        // One input and one geometry, so one scale for all its parts.
        let deviation = member.plan.parameters[job.parts[0].parameter].standard_deviation;
        let record = ConvRecord {
            input: place(member, job.input),
            output: place(member, job.output) + octets.start as u32,
            size: pair([input.shape.height, input.shape.width]),
            kernel: pair(job.kernel),
            stride: pair(job.stride),
            padding: pair(job.padding),
            dilation: pair(job.dilation),
            in_octets: input.pitch as u32,
            out_octets: pair([octets.len(), output.pitch]),
            rows: self.tables.rows.len() as u32,
            alpha: if job.scaled { self.source.scale(deviation) as f32 } else { 1.0 },
            partials: partials(member, &job.statistics),
            first_norm: self.tables.norms.len() as u32,
            norms: job.statistics.norms.len() as u32,
            relu: u32::from(job.relu),
            network: m as u32,
        };
        let (first, pitch) = (octets.start, octets.len());
        self.tables.convs.push(record);
        self.tables.conv_jobs.push((m, id));
        let row = self.cursors[m].row;
        self.tables.rows.extend_from_slice(&self.residents[m].rows[row..row + pitch]);
        self.cursors[m].row += pitch;
        self.norms(m, record.partials, first, pitch, Source::Conv(id));
    }

    /// The batch norms of a job whose tensor's octets begin at `first`.
    fn norms(&mut self, m: usize, partials: u32, first: usize, pitch: usize, source: Source) {
        let member = &mut self.members[m];
        let (jobs, cursor): (&[NormJob], _) = match source {
            Source::Conv(id) => (&member.plan.convs[id].statistics.norms, &mut self.cursors[m].conv_norm),
            Source::Combine(id) => {
                (&member.plan.combines[id].statistics.norms, &mut self.cursors[m].combine_norm)
            }
        };
        for job in jobs {
            let deviation = job.scale.map(|parameter| member.plan.parameters[parameter].standard_deviation);
            let scale = deviation.map_or(1.0, |deviation| self.source.scale(deviation));
            self.tables.norms.push(NormRecord {
                partials: partials + (job.channel / OCTET - first) as u32,
                pitch: pitch as u32,
                channels: job.channels as u32,
                norm: (member.places.norms + job.entry / OCTET) as u32,
                eps: (job.eps.get() / (scale * scale)) as f32,
                affine: self.residents[m].affines[*cursor],
                status: pair(m, member.culprits.len()),
                ..NormRecord::default()
            });
            member.culprits.push(Culprit::Norm(*cursor));
            *cursor += 1;
        }
    }
}

fn conv_step(class: TileClass) -> Step {
    match class {
        TileClass::Narrow => Step::ConvNarrow,
        TileClass::Wide => Step::ConvWide,
    }
}

/// Whose batch norms.
#[derive(Clone, Copy)]
enum Source {
    Conv(usize),
    Combine(usize),
}

/// First octet of a tensor in the group's arena.
fn place(member: &Member, tensor: TensorId) -> u32 {
    if tensor == IMAGE { 0 } else { (member.places.arena + member.plan.tensors[tensor].offset) as u32 }
}

/// First octet of a job's partial statistics.
fn partials(member: &Member, statistics: &Statistics) -> u32 {
    if statistics.norms.is_empty() {
        NONE
    } else {
        (member.places.partials + statistics.partials / OCTET) as u32
    }
}
