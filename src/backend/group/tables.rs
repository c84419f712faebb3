//! Tables of a network: the records of its jobs, as they are when it is alone in its group.

use std::ops::Range;

use super::footprint::image;
use super::memory::{Buffer, Sizes, Table};
use super::records::*;
use crate::graph::Window;
use crate::plan::jobs::{IMAGE, NormJob, OCTET, Pool, Slot, Statistics, TensorId, octets};
use crate::plan::{Plan, TileClass};
use crate::weights::WeightSource;

/// The node that a status names: the first in which a number was not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusNode {
    Combine(usize),
    /// A batch norm by its position among the plan's, those of convs first.
    Norm(usize),
}

/// Records of all jobs; places are absolute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) terms: Vec<TermRecord>,
    pub(crate) combines: Vec<CombineRecord>,
    pub(crate) convs: Vec<ConvRecord>,
    pub(crate) rows: Vec<u32>,
    pub(crate) norm_jobs: Vec<NormRecord>,
    pub(crate) agreements: Vec<AgreementRecord>,
    pub(crate) choleskys: Vec<CholeskyRecord>,
    pub(crate) swaps: Vec<SwapRecord>,
}

impl Tables {
    /// The bytes of a table, for a device; weights to make come from elsewhere, since they are no network's.
    pub(crate) fn bytes<'a>(&'a self, table: Table, weights_jobs: &'a [WeightsRecord]) -> &'a [u8] {
        match table {
            Table::Terms => bytemuck::cast_slice(&self.terms),
            Table::Combines => bytemuck::cast_slice(&self.combines),
            Table::Convs => bytemuck::cast_slice(&self.convs),
            Table::Rows => bytemuck::cast_slice(&self.rows),
            Table::NormJobs => bytemuck::cast_slice(&self.norm_jobs),
            Table::Agreements => bytemuck::cast_slice(&self.agreements),
            Table::Choleskys => bytemuck::cast_slice(&self.choleskys),
            Table::Swaps => bytemuck::cast_slice(&self.swaps),
            Table::WeightsJobs => bytemuck::cast_slice(weights_jobs),
        }
    }
}

/// Counts of a network's records that belong to a slot; they stand one after the other, slot by slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotTables {
    pub(super) slot: Slot,
    /// Combines that leave no statistics, then those that do, and their batch norms.
    pub(super) combines: u32,
    pub(super) stored: u32,
    pub(super) stored_norms: u32,
    /// Octets of the widest of those.
    pub(super) stored_octets: u32,
    /// Convolutions, all of one class, and their batch norms.
    pub(super) class: TileClass,
    pub(super) convs: u32,
    pub(super) norms: u32,
}

/// The tables of a plan in the making.
struct Builder<'a> {
    plan: &'a Plan,
    source: &'a dyn WeightSource,
    places: Sizes,
    tables: Tables,
    nodes: Vec<StatusNode>,
    /// Positions among the plan's batch norms of the next one of a conv and of a combine.
    conv_norm: usize,
    combine_norm: usize,
    /// Octets of rows so far.
    rows: usize,
}

/// Records of a network that is alone in its group. The places of weights are still missing.
pub(super) struct NetworkTables {
    pub(super) tables: Tables,
    pub(super) slots: Vec<SlotTables>,
    /// The node that each status names.
    pub(super) nodes: Vec<StatusNode>,
}

/// Makes the records of a plan's jobs.
pub(super) fn tables(plan: &Plan, source: &dyn WeightSource) -> NetworkTables {
    let conv_norms: usize = plan.convs.iter().map(|job| job.statistics.norms.len()).sum();
    let combine_norms: usize = plan.combines.iter().map(|job| job.statistics.norms.len()).sum();
    let terms = plan.combines.iter().map(|job| job.terms.len()).sum();
    let places = image(plan);
    let mut builder = Builder {
        plan,
        source,
        places,
        tables: Tables {
            terms: Vec::with_capacity(terms),
            combines: Vec::with_capacity(plan.combines.len()),
            convs: Vec::with_capacity(plan.convs.len()),
            norm_jobs: Vec::with_capacity(conv_norms + combine_norms),
            ..Tables::default()
        },
        nodes: Vec::with_capacity(plan.combines.len() + conv_norms + combine_norms),
        conv_norm: 0,
        combine_norm: conv_norms,
        rows: 0,
    };
    let slots = (0..plan.slots.len()).map(|slot| builder.slot(slot)).collect();
    builder.tables.choleskys.push(CholeskyRecord {
        network: 0,
        activations: plan.activations(),
        scratch: places[Buffer::Arena] as u32,
        ..CholeskyRecord::default()
    });
    builder.tables.agreements.extend(plan.agreements.iter().map(|job| AgreementRecord {
        codes: (places[Buffer::Codes] + job.word) as u32,
        words_per_image: plan.words_per_image as u32,
        words: job.words as u32,
        weight: job.weight,
        network: 0,
        ..AgreementRecord::default()
    }));
    if let Some(job) = plan.swap {
        let record = |words: Range<usize>| SwapRecord {
            codes: (places[Buffer::Codes] + words.start) as u32,
            words_per_image: plan.words_per_image as u32,
            words: words.len() as u32,
            images: job.images as u32,
            ..SwapRecord::default()
        };
        builder.tables.swaps.extend(plan.sections().map(record));
        // A network without bits has counts to be cleared all the same.
        if plan.agreements.is_empty() {
            builder.tables.swaps.push(record(0..0));
        }
    }
    NetworkTables { tables: builder.tables, slots, nodes: builder.nodes }
}

impl Builder<'_> {
    fn slot(&mut self, slot: usize) -> SlotTables {
        let plan = self.plan;
        let jobs = &plan.slots[slot];
        let leaves = |&id: &usize| !plan.combines[id].statistics.norms.is_empty();
        let (plain, stored): (Vec<usize>, Vec<usize>) = jobs.combines.clone().partition(|id| !leaves(id));
        plain.iter().chain(&stored).for_each(|&id| self.combine(id));
        let norms = self.tables.norm_jobs.len();
        jobs.convs.clone().for_each(|id| self.conv(id));
        let left = |id: &usize| plan.combines[*id].statistics.norms.len() as u32;
        SlotTables {
            slot: jobs.slot,
            combines: plain.len() as u32,
            stored: stored.len() as u32,
            stored_norms: stored.iter().map(left).sum(),
            stored_octets: stored.iter().map(|&id| plan.combines[id].octets() as u32).max().unwrap_or(0),
            // The class is the segment's.
            class: plan.convs.get(jobs.convs.start).map_or(TileClass::Narrow, |job| job.class),
            convs: jobs.convs.len() as u32,
            norms: (self.tables.norm_jobs.len() - norms) as u32,
        }
    }

    fn combine(&mut self, id: usize) {
        let (plan, places) = (self.plan, self.places);
        let job = &plan.combines[id];
        let first_term = self.tables.terms.len() as u32;
        for term in &job.terms {
            let tensor = &plan.tensors[term.tensor];
            let code = term.code.map_or(NONE, |region| plan.regions[region].word as u32);
            let flag = |set: bool, flag: u32| if set { flag } else { 0 };
            self.tables.terms.push(TermRecord {
                source: self.place(term.tensor) + (term.channel / OCTET) as u32,
                pitch: tensor.pitch as u32,
                size: pair(tensor.shape.height, tensor.shape.width),
                to: term.to as u32,
                channels: term.channels as u32,
                norm: term.norm.map_or(NONE, |entry| (places[Buffer::Norms] + entry / OCTET) as u32),
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
            output: job.output.map_or(NONE, |tensor| self.place(tensor)),
            channels: job.shape.channels as u32,
            size: pair(job.source[0], job.source[1]),
            pool: pair(pool as usize, usize::from(emits)),
            window: pair(window.kernel[0], window.kernel[1]),
            stride: pair(window.stride[0], window.stride[1]),
            padding: pair(window.padding[0], window.padding[1]),
            codes: places[Buffer::Codes] as u32,
            words_per_image: plan.words_per_image as u32,
            code: job.code.map_or(NONE, |region| plan.regions[region].word as u32),
            partials: self.partials(&job.statistics),
            first_norm: self.tables.norm_jobs.len() as u32,
            norms: job.statistics.norms.len() as u32,
            status: self.status(),
        };
        self.tables.combines.push(record);
        self.nodes.push(StatusNode::Combine(id));
        let first = self.combine_norm;
        self.combine_norm += job.statistics.norms.len();
        self.norms(&job.statistics.norms, first, record.partials, 0, octets(job.shape.channels));
    }

    fn conv(&mut self, id: usize) {
        let plan = self.plan;
        let job = &plan.convs[id];
        let [input, output] = [job.input, job.output].map(|tensor| &plan.tensors[tensor]);
        let octets = job.octets();
        let pair = |sizes: [usize; 2]| pair(sizes[0], sizes[1]);
        // One input and one geometry, so one scale for all its parts.
        let deviation = plan.parameters[job.parts[0].parameter].standard_deviation;
        let record = ConvRecord {
            input: self.place(job.input),
            output: self.place(job.output) + octets.start as u32,
            size: pair([input.shape.height, input.shape.width]),
            kernel: pair(job.kernel),
            stride: pair(job.stride),
            padding: pair(job.padding),
            dilation: pair(job.dilation),
            in_octets: input.pitch as u32,
            out_octets: pair([octets.len(), output.pitch]),
            rows: self.rows as u32,
            alpha: if job.scaled { self.source.scale(deviation) as f32 } else { 1.0 },
            partials: self.partials(&job.statistics),
            first_norm: self.tables.norm_jobs.len() as u32,
            norms: job.statistics.norms.len() as u32,
            relu: u32::from(job.relu),
            network: 0,
        };
        self.tables.convs.push(record);
        self.rows += octets.len();
        let first = self.conv_norm;
        self.conv_norm += job.statistics.norms.len();
        self.norms(&job.statistics.norms, first, record.partials, octets.start, octets.len());
    }

    /// Batch norms of a job whose tensor's octets begin at `octet`; the first one's position among the plan's.
    fn norms(&mut self, jobs: &[NormJob], first: usize, partials: u32, octet: usize, pitch: usize) {
        for (position, job) in (first..).zip(jobs) {
            let record = NormRecord {
                partials: partials + (job.channel / OCTET - octet) as u32,
                pitch: pitch as u32,
                channels: job.channels as u32,
                norm: (self.places[Buffer::Norms] + job.entry / OCTET) as u32,
                eps: job.scaled_eps(&self.plan.parameters, self.source) as f32,
                affine: NONE,
                status: self.status(),
                ..NormRecord::default()
            };
            self.tables.norm_jobs.push(record);
            self.nodes.push(StatusNode::Norm(position));
        }
    }

    /// What the status becomes when a number of the next node is not finite; the position is the first.
    fn status(&self) -> u32 {
        pair(0, self.nodes.len())
    }

    /// First octet of a tensor in the arena.
    fn place(&self, tensor: TensorId) -> u32 {
        if tensor == IMAGE {
            0
        } else {
            (self.places[Buffer::Arena] + self.plan.tensors[tensor].offset) as u32
        }
    }

    /// First octet of a job's partial statistics.
    fn partials(&self, statistics: &Statistics) -> u32 {
        if statistics.norms.is_empty() {
            NONE
        } else {
            (self.places[Buffer::Partials] + statistics.partials / OCTET) as u32
        }
    }
}
