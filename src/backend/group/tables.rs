//! Tables of a network: the records of its jobs, as they are when it is alone in its group.

use std::ops::Range;

use super::footprint::image;
use super::forms::{Class, Cut, Forms};
use super::memory::{Buffer, Sizes, Table};
use super::partials::{out_units, partial_units};
use super::planar::{UNITS, plane, units};
use super::records::{self, *};
use crate::graph::{Shape, Window};
use crate::plan::Plan;
use crate::plan::jobs::{IMAGE, NormJob, OCTET, Pool, Slot, Statistics, Tensor, TensorId, Term, UNIT};
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

/// Records of a network that belong to a slot: those of a class stand side by side, class by class, and slot by slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotTables {
    pub(super) slot: Slot,
    /// Of each class of [`Class::COMBINES`]: those that leave no statistics, then those that do.
    pub(super) combines: [CombineCounts; Class::COMBINES.len()],
    /// Batch norms of these.
    pub(super) stored_norms: u32,
    /// Of each class of [`Class::CONVS`], and their batch norms.
    pub(super) convs: [ConvCounts; Class::CONVS.len()],
    pub(super) norms: u32,
}

/// Combines of a class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CombineCounts {
    pub(super) plain: u32,
    /// Those that leave statistics.
    pub(super) stored: u32,
    /// Units of the widest.
    pub(super) units: u32,
    /// Whether any has a window.
    pub(super) has_windows: bool,
}

/// Convolutions of a class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConvCounts {
    pub(super) jobs: u32,
    /// Units of the widest.
    pub(super) units: u32,
    /// Pixels of the smallest tile.
    pub(super) tile: u32,
    /// Whether any has a stride.
    pub(super) has_strides: bool,
}

impl CombineCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.plain += other.plain;
        self.stored += other.stored;
        self.units = self.units.max(other.units);
        self.has_windows |= other.has_windows;
    }
}

impl ConvCounts {
    pub(super) fn add(&mut self, other: &Self) {
        if other.jobs == 0 {
            return;
        }
        self.tile = if self.jobs == 0 { other.tile } else { self.tile.min(other.tile) };
        self.jobs += other.jobs;
        self.units = self.units.max(other.units);
        self.has_strides |= other.has_strides;
    }
}

/// The tables of a plan in the making.
struct Builder<'a> {
    plan: &'a Plan,
    source: &'a dyn WeightSource,
    places: Sizes,
    tables: Tables,
    nodes: Vec<StatusNode>,
    firsts: Firsts,
    forms: Forms,
    /// For each combine whether numbers that are not finite are its to report.
    checks: Vec<bool>,
    /// Units of partial statistics of the slot so far.
    partials: usize,
}

/// What belongs to each job among what belongs to all, in the order of the plan: records are in another order.
struct Firsts {
    /// Octets of rows of each convolution.
    rows: Vec<usize>,
    /// Batch norms of each convolution, and of each combine.
    conv_norms: Vec<usize>,
    combine_norms: Vec<usize>,
}

impl Firsts {
    fn new(plan: &Plan) -> Self {
        let norms = |statistics: &Statistics| statistics.norms.len();
        let (rows, _) = firsts(0, plan.convs.iter().map(|job| job.octets().len()));
        let (conv_norms, end) = firsts(0, plan.convs.iter().map(|job| norms(&job.statistics)));
        let (combine_norms, _) = firsts(end, plan.combines.iter().map(|job| norms(&job.statistics)));
        Firsts { rows, conv_norms, combine_norms }
    }
}

/// Where things of some lengths begin that stand side by side, and where the last one ends.
fn firsts(start: usize, lengths: impl Iterator<Item = usize>) -> (Vec<usize>, usize) {
    let mut end = start;
    let first = |length| {
        end += length;
        end - length
    };
    let firsts = lengths.map(first).collect();
    (firsts, end)
}

/// Records of a network that is alone in its group. The places of weights are still missing.
pub(super) struct NetworkTables {
    pub(super) tables: Tables,
    pub(super) slots: Vec<SlotTables>,
    /// The node that each status names.
    pub(super) nodes: Vec<StatusNode>,
}

/// Makes the records of a plan's jobs, for a device that has such forms of them.
pub(super) fn tables(plan: &Plan, source: &dyn WeightSource, forms: Forms) -> NetworkTables {
    let norms = plan.norms().count();
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
            norm_jobs: Vec::with_capacity(norms),
            ..Tables::default()
        },
        nodes: Vec::with_capacity(plan.combines.len() + norms),
        firsts: Firsts::new(plan),
        forms,
        checks: checks(plan),
        partials: 0,
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
        let (plan, forms) = (self.plan, self.forms);
        let jobs = &plan.slots[slot];
        self.partials = 0;
        let mut combines = [CombineCounts::default(); Class::COMBINES.len()];
        let mut stored_norms = 0;
        for (class, counts) in Class::COMBINES.into_iter().zip(&mut combines) {
            for leaves in [false, true] {
                for id in jobs.combines.clone() {
                    let job = &plan.combines[id];
                    let cut = forms.combine(plan, job);
                    let norms = job.statistics.norms.len() as u32;
                    if cut.class == class && (norms > 0) == leaves {
                        let (plain, stored) = (u32::from(!leaves), u32::from(leaves));
                        let (units, has_windows) = (cut.units as u32, cut.has_window);
                        counts.add(&CombineCounts { plain, stored, units, has_windows });
                        stored_norms += norms;
                        self.combine(id, &cut);
                    }
                }
            }
        }
        let first_norm = self.tables.norm_jobs.len();
        let mut convs = [ConvCounts::default(); Class::CONVS.len()];
        for (class, counts) in Class::CONVS.into_iter().zip(&mut convs) {
            for id in jobs.convs.clone() {
                let job = &plan.convs[id];
                let cut = forms.conv(plan, job);
                if cut.class == class {
                    let (units, tile, has_strides) =
                        (cut.units as u32, cut.tile as u32, job.stride != [1, 1]);
                    counts.add(&ConvCounts { jobs: 1, units, tile, has_strides });
                    self.conv(id, &cut);
                }
            }
        }
        let norms = (self.tables.norm_jobs.len() - first_norm) as u32;
        SlotTables { slot: jobs.slot, combines, stored_norms, convs, norms }
    }

    fn combine(&mut self, id: usize, cut: &Cut) {
        let (plan, places) = (self.plan, self.places);
        let job = &plan.combines[id];
        let first_term = self.tables.terms.len() as u32;
        // What stands under a window comes first.
        let under = |term: &&Term| job.window.is_some() || term.average;
        let order = job.terms.iter().filter(under).chain(job.terms.iter().filter(|term| !under(term)));
        for term in order {
            let tensor = &plan.tensors[term.tensor];
            self.tables.terms.push(TermRecord {
                source: self.place(term.tensor) + self.to_channel(tensor, term.channel),
                size: pair(tensor.shape.height, tensor.shape.width),
                to: term.to as u32,
                channels: term.channels as u32,
                norm: term.norm.map_or(NONE, |entry| (places[Buffer::Norms] + entry / UNIT) as u32),
                flags: if term.relu { TermRecord::RELU } else { 0 },
                code: self.code(term.code),
                unused: 0,
            });
        }
        let averages = job.terms.iter().any(|term| term.average);
        let window = if averages { Some((Pool::Average, Window::new(3, 1, 1))) } else { job.window };
        let (pool, window) = match window {
            None => (CombineRecord::NO_POOL, Window::new(1, 1, 0)),
            Some((Pool::Max, window)) => (CombineRecord::MAX_POOL, window),
            Some((Pool::Average, window)) => (CombineRecord::AVERAGE_POOL, window),
        };
        let checks = if self.checks[id] { CombineRecord::CHECKS } else { 0 };
        let record = CombineRecord {
            first_term,
            terms: pair(job.terms.len(), job.terms.iter().filter(under).count()),
            output: job.output.map_or(NONE, |tensor| self.place(tensor)),
            channels: job.shape.channels as u32,
            size: pair(job.source[0], job.source[1]),
            pool: pair(pool as usize, checks as usize),
            window: pair(window.kernel[0], window.kernel[1]),
            stride: pair(window.stride[0], window.stride[1]),
            padding: pair(window.padding[0], window.padding[1]),
            codes: places[Buffer::Codes] as u32,
            words_per_image: plan.words_per_image as u32,
            code: self.code(job.code),
            partials: self.take_partials(&job.statistics, job.shape, cut.tile, cut.units),
            first_norm: self.tables.norm_jobs.len() as u32,
            norms: job.statistics.norms.len() as u32,
            status: self.status(),
        };
        self.tables.combines.push(record);
        self.nodes.push(StatusNode::Combine(id));
        let first = self.firsts.combine_norms[id];
        self.norms(&job.statistics.norms, first, record.partials, 0, cut.units);
    }

    fn conv(&mut self, id: usize, cut: &Cut) {
        let plan = self.plan;
        let job = &plan.convs[id];
        let [input, output] = [job.input, job.output].map(|tensor| &plan.tensors[tensor]);
        let octets = job.octets();
        let pair = |sizes: [usize; 2]| pair(sizes[0], sizes[1]);
        // One input and one geometry, so one scale for all its parts.
        let parameter = &plan.parameters[job.parts[0].parameter];
        let out_units = out_units(plan, job);
        let record = ConvRecord {
            input: self.place(job.input),
            output: self.place(job.output) + self.to_channel(output, octets.start * OCTET),
            size: pair([input.shape.height, input.shape.width]),
            kernel: pair(job.kernel),
            stride: pair(job.stride),
            padding: pair(job.padding),
            dilation: pair(job.dilation),
            units: pair([units(parameter.shape.in_channels), out_units]),
            rows: self.firsts.rows[id] as u32,
            alpha: if job.scaled { self.source.scale(parameter.standard_deviation) as f32 } else { 1.0 },
            partials: self.take_partials(&job.statistics, output.shape, cut.tile, out_units),
            first_norm: self.tables.norm_jobs.len() as u32,
            norms: job.statistics.norms.len() as u32,
            relu: u32::from(job.relu),
            tile: cut.tile as u32,
            network: records::pair(0, id),
        };
        self.tables.convs.push(record);
        let first = self.firsts.conv_norms[id];
        self.norms(&job.statistics.norms, first, record.partials, octets.start, out_units);
    }

    /// Batch norms of a job whose tensor's octets begin at `octet`; the first one's position among the plan's.
    fn norms(&mut self, jobs: &[NormJob], first: usize, partials: u32, octet: usize, pitch: usize) {
        for (position, job) in (first..).zip(jobs) {
            let record = NormRecord {
                partials: partials + ((job.channel / OCTET - octet) * UNITS) as u32,
                pitch: pitch as u32,
                channels: job.channels as u32,
                norm: (self.places[Buffer::Norms] + job.entry / UNIT) as u32,
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

    /// First unit of a tensor in the arena.
    fn place(&self, tensor: TensorId) -> u32 {
        if tensor == IMAGE {
            0
        } else {
            (self.places[Buffer::Arena] + UNITS * self.plan.tensors[tensor].offset) as u32
        }
    }

    /// Units from a tensor's first one to that of a channel.
    fn to_channel(&self, tensor: &Tensor, channel: usize) -> u32 {
        (channel / UNIT * plane(self.plan.images(), tensor.shape.pixels())) as u32
    }

    /// Where the word of unit 0 of a region's output would be.
    fn code(&self, region: Option<usize>) -> u32 {
        region.map_or(NONE, |region| {
            let region = &self.plan.regions[region];
            (region.word as u32).wrapping_sub((region.words() / region.units * region.first_unit) as u32)
        })
    }

    /// Takes room for a job's partial statistics, and says where their first unit is.
    fn take_partials(&mut self, statistics: &Statistics, shape: Shape, tile: usize, units: usize) -> u32 {
        if statistics.norms.is_empty() {
            return NONE;
        }
        let first = self.partials;
        self.partials += partial_units(self.plan, statistics, shape, tile, units);
        (self.places[Buffer::Partials] + first) as u32
    }
}

/// For each combine, whether numbers that are not finite are its to report. They are not where batch norms tell of what it
/// stores: where only convolutions read it whose outputs are all normalized, without a ReLU that might hide them, or
/// combines of which the same is true.
fn checks(plan: &Plan) -> Vec<bool> {
    let mut checks = vec![true; plan.combines.len()];
    // Readers of each tensor that hide what is not finite, and whether there are any others.
    let mut hidden = vec![false; plan.tensors.len()];
    let mut told = vec![false; plan.tensors.len()];
    for job in &plan.convs {
        let normalized: usize = job.statistics.norms.iter().map(|norm| norm.channels).sum();
        let channels: usize = job.parts.iter().map(|part| part.channels(&plan.parameters)).sum();
        match normalized == channels && !job.relu {
            true => told[job.input] = true,
            false => hidden[job.input] = true,
        }
    }
    // Readers come behind what they read.
    for (id, job) in plan.combines.iter().enumerate().rev() {
        checks[id] = !job.output.is_some_and(|output| told[output] && !hidden[output]);
        for term in &job.terms {
            // What is normalized has statistics of its own.
            match checks[id] || (term.relu && term.norm.is_none()) {
                true => hidden[term.tensor] = true,
                false => told[term.tensor] = true,
            }
        }
    }
    checks
}
