//! Puts the records of networks side by side, and makes the launches that run them.
//!
//! One thread does this for all networks, so little is left to do: each network brings its records as they are when it
//! is alone, and they only move to its places in the group. Records are read from start to end, network by network, and
//! written slot by slot: the other way round most reads would miss the caches.

use std::ops::Range;

use super::device_weights::{NewWeights, WeightPlaces};
use super::footprint::image;
use super::forms::{Class, Forms};
use super::memory::{Buffer, PerBuffer, Sizes};
use super::prepared::Prepared;
use super::records::*;
use super::rows::RowFormat;
use super::tables::{CombineCounts, ConvCounts, SlotTables, Tables};
use super::{BatchNormsBy, Launch, LaunchKind, Member};
use crate::Shape;
use crate::plan::Plan;
use crate::plan::jobs::Slot;

/// Plans laid out side by side.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) members: Vec<Member>,
    pub(crate) sizes: Sizes,
    pub(crate) tables: Tables,
    pub(crate) forms: Forms,
    pub(crate) rows: RowFormat,
    pub(crate) launches: Vec<Launch>,
}

impl Group {
    /// Lays out networks of one batch, each with its weights. Before anything is launched, [`Group::check`] has to have
    /// passed.
    pub(crate) fn new(networks: Vec<(Box<Prepared>, WeightPlaces)>, forms: Forms, rows: RowFormat) -> Self {
        let mut sizes = networks.first().map_or(Sizes::default(), |(network, _)| image(&network.plan));
        let mut members = Vec::with_capacity(networks.len());
        let mut weights = Vec::with_capacity(networks.len());
        for (network, places) in networks {
            let own = network.load.sizes;
            members.push(Member { network, places: sizes });
            weights.push(places);
            sizes += own;
        }
        let (tables, launches) = merge(&members, &weights, forms, rows);
        Group { members, sizes, tables, forms, rows, launches }
    }

    /// All its launches, that of the weights first.
    pub(crate) fn all_launches(&self, new: &NewWeights) -> Vec<Launch> {
        let record = LaunchRecord { jobs: new.jobs.len() as u32, tiles: 1, ..LaunchRecord::default() };
        let record = LaunchRecord { slices: 1, ..record };
        let weights = Launch::new(LaunchKind::Weights, record);
        let weights = (!new.jobs.is_empty()).then_some(weights);
        weights.into_iter().chain(self.launches.iter().copied()).collect()
    }

    /// Member, and position among its plan's jobs, of each combine of a launch.
    pub(crate) fn combine_jobs(&self, launch: &Launch) -> impl Iterator<Item = (usize, usize)> {
        self.tables.combines[launch.jobs()].iter().map(|record| {
            let (member, status) = ((record.status & 0xffff) as usize, record.status >> 16);
            (member, self.members[member].network.combine_job(status))
        })
    }

    /// The same of each conv.
    pub(crate) fn conv_jobs(&self, launch: &Launch) -> impl Iterator<Item = (usize, usize)> {
        let records = self.tables.convs[launch.jobs()].iter();
        records.map(|record| ((record.network & 0xffff) as usize, (record.network >> 16) as usize))
    }
}

/// Images on either side of a tile of `agreement`.
const AGREEMENT_IMAGES: usize = 32;
/// Entries of K that a tile of `start` sets.
const START_ENTRIES: usize = 256;
/// Words of a map that a tile of `clear_patterns` empties, and code words of a tile of `swap`.
const MAP_WORDS: usize = 256;
const SWAP_WORDS: usize = 2048;

/// A slot of the group: the records of all members, and the places of the next ones.
#[derive(Clone, Copy, Debug, Default)]
struct GroupSlot {
    slot: Slot,
    combines: [CombineCounts; Class::COMBINES.len()],
    convs: [ConvCounts; Class::CONVS.len()],
    stored_norms: usize,
    norms: usize,
    next_plain: [usize; Class::COMBINES.len()],
    next_stored: [usize; Class::COMBINES.len()],
    next_conv: [usize; Class::CONVS.len()],
    next_stored_norm: usize,
    next_norm: usize,
}

/// Takes places for so many records behind those that are taken.
fn take(next: &mut usize, count: u32) -> Range<usize> {
    let first = *next;
    *next += count as usize;
    first..*next
}

/// The slots of all members, in order.
fn slots(members: &[Member]) -> Vec<GroupSlot> {
    let mut slots: Vec<GroupSlot> = Vec::new();
    for member in members {
        let mut place = 0;
        for part in &member.network.slots {
            place += before(&slots[place..], part);
            if slots.get(place).is_none_or(|slot| slot.slot != part.slot) {
                slots.insert(place, GroupSlot { slot: part.slot, ..GroupSlot::default() });
            }
            let slot = &mut slots[place];
            slot.combines.iter_mut().zip(&part.combines).for_each(|(all, counts)| all.add(counts));
            slot.convs.iter_mut().zip(&part.convs).for_each(|(all, counts)| all.add(counts));
            slot.stored_norms += part.stored_norms as usize;
            slot.norms += part.norms as usize;
        }
    }
    slots
}

/// How many slots come before a network's next one: few, since both are in order.
fn before(slots: &[GroupSlot], part: &SlotTables) -> usize {
    slots.iter().take_while(|slot| slot.slot < part.slot).count()
}

struct Merge<'a> {
    members: &'a [Member],
    weights: &'a [WeightPlaces],
    forms: Forms,
    rows: RowFormat,
    tables: Tables,
    launches: Vec<Launch>,
}

/// Records of all members, and their launches.
fn merge(
    members: &[Member],
    weights: &[WeightPlaces],
    forms: Forms,
    rows: RowFormat,
) -> (Tables, Vec<Launch>) {
    let mut merge = Merge { members, weights, forms, rows, tables: Tables::default(), launches: Vec::new() };
    let mut slots = slots(members);
    merge.launches(&mut slots);
    for m in 0..members.len() {
        merge.member(m, &mut slots);
    }
    (merge.tables, merge.launches)
}

impl Merge<'_> {
    fn images(&self) -> usize {
        self.members.first().map_or(1, |member| member.plan().images())
    }

    /// Makes all launches, and room for the records of their jobs.
    fn launches(&mut self, slots: &mut [GroupSlot]) {
        let (n, members) = (self.images(), self.members.len());
        let total = |count: fn(&Tables) -> usize| -> usize {
            self.members.iter().map(|member| count(&member.network.tables)).sum()
        };
        let terms = total(|tables| tables.terms.len());
        let agreements = total(|tables| tables.agreements.len());
        let rows = self.weights.iter().map(|places| places.rows.len()).sum();
        self.launch(LaunchKind::Start, 0..members, (n * n).div_ceil(START_ENTRIES));
        let [mut combines, mut convs, mut norms] = [0; 3];
        for slot in slots {
            // Those that leave statistics come last of their class, so that one launch can take them all.
            for (i, class) in Class::COMBINES.into_iter().enumerate() {
                let CombineCounts { plain, stored, units, has_windows } = slot.combines[i];
                slot.next_plain[i] = combines;
                slot.next_stored[i] = combines + plain as usize;
                combines = slot.next_stored[i] + stored as usize;
                let jobs = slot.next_plain[i]..combines;
                self.combines(slot.slot, class, jobs, units as usize, has_windows);
                if self.forms.batch_norms_by() == BatchNormsBy::Launches {
                    let (jobs, octets) = (slot.next_stored[i]..combines, units.div_ceil(2) as usize);
                    self.slot_launch(LaunchKind::StoredBatchNorm, slot.slot, jobs, octets);
                }
            }
            slot.next_stored_norm = norms;
            slot.next_norm = norms + slot.stored_norms;
            norms = slot.next_norm + slot.norms;
            for (i, class) in Class::CONVS.into_iter().enumerate() {
                slot.next_conv[i] = convs;
                convs += slot.convs[i].jobs as usize;
                self.convs(slot.slot, class, slot.next_conv[i]..convs, &slot.convs[i]);
            }
            if self.forms.batch_norms_by() == BatchNormsBy::Launches {
                self.slot_launch(LaunchKind::BatchNorm, slot.slot, slot.next_norm..norms, 1);
            }
        }
        let side = n.div_ceil(AGREEMENT_IMAGES);
        self.launch(LaunchKind::Agreement, 0..agreements, side * (side + 1) / 2);
        self.launch(LaunchKind::Cholesky, 0..members, 1);
        let swaps = total(|tables| tables.swaps.len());
        let most = |of: fn(&Plan) -> usize| self.members.iter().map(|m| of(m.plan())).max().unwrap_or(0);
        let (map, words) = (most(|plan| plan.memory().patterns), most(|plan| plan.words_per_image));
        self.launch(LaunchKind::ClearPatterns, 0..swaps, map.div_ceil(MAP_WORDS));
        self.launch(LaunchKind::Swap, 0..swaps, words.div_ceil(SWAP_WORDS).max(1));
        self.tables = Tables {
            terms: Vec::with_capacity(terms),
            combines: vec![CombineRecord::default(); combines],
            convs: vec![ConvRecord::default(); convs],
            norm_jobs: vec![NormRecord::default(); norms],
            rows: Vec::with_capacity(rows),
            agreements: Vec::with_capacity(agreements),
            choleskys: Vec::with_capacity(members),
            swaps: Vec::with_capacity(swaps),
        };
    }

    /// What the launches of a group have in common.
    fn record(&self, jobs: &Range<usize>, tiles: usize) -> LaunchRecord {
        LaunchRecord {
            first: jobs.start as u32,
            jobs: jobs.len() as u32,
            images: self.images() as u32,
            tiles: tiles as u32,
            slices: 1,
            ..LaunchRecord::default()
        }
    }

    /// A launch of networks.
    fn launch(&mut self, kind: LaunchKind, jobs: Range<usize>, tiles: usize) {
        if !jobs.is_empty() {
            let record = self.record(&jobs, tiles);
            self.launches.push(Launch::new(kind, record));
        }
    }

    /// A launch of jobs of a slot, with blocks of partial statistics as combines leave them.
    fn slot_launch(&mut self, kind: LaunchKind, slot: Slot, jobs: Range<usize>, tiles: usize) {
        if jobs.is_empty() {
            return;
        }
        let shape = Shape { channels: 1, height: slot.height, width: slot.width };
        let block = self.forms.stored_pixels(self.images(), shape);
        let record = LaunchRecord {
            height: slot.height as u32,
            width: slot.width as u32,
            block: block as u32,
            blocks: (self.images() * shape.pixels()).div_ceil(block) as u32,
            ..self.record(&jobs, tiles)
        };
        let tiled = [slot.height, slot.width];
        self.launches.push(Launch { slot: Some(slot), tiled, ..Launch::new(kind, record) });
    }

    fn combines(&mut self, slot: Slot, class: Class, jobs: Range<usize>, units: usize, has_windows: bool) {
        if jobs.is_empty() {
            return;
        }
        let [height, width] = class.tiled([slot.height, slot.width]);
        let (tiles, each) = self.forms.combine_tiles(class, self.images(), height * width, jobs.len(), units);
        self.slot_launch(class.kind(), slot, jobs, tiles);
        if let Some(launch) = self.launches.last_mut() {
            (launch.tiled, launch.has_windows) = ([height, width], has_windows);
            launch.record.slices = units.div_ceil(each).max(1) as u32;
            launch.record.units = each as u32;
        }
    }

    fn convs(&mut self, slot: Slot, class: Class, jobs: Range<usize>, counts: &ConvCounts) {
        if jobs.is_empty() {
            return;
        }
        let tiles = (self.images() * slot.height * slot.width).div_ceil(counts.tile as usize);
        self.slot_launch(class.kind(), slot, jobs, tiles);
        if let Some(launch) = self.launches.last_mut() {
            launch.record.slices = class.conv_slices(counts.units as usize) as u32;
            launch.record.planes = self.rows.planes() as u32;
            launch.has_strides = counts.has_strides;
        }
    }

    /// Moves the records of the next member to its places in the group.
    fn member(&mut self, m: usize, slots: &mut [GroupSlot]) {
        let (member, weights, tables) = (&self.members[m], &self.weights[m], &mut self.tables);
        let moves = Moves::new(m, member, tables);
        let own = &member.network.tables;
        tables.rows.extend_from_slice(&weights.rows);
        tables.terms.extend(own.terms.iter().map(|term| moves.term(term)));
        tables.choleskys.extend(own.choleskys.iter().map(|job| moves.cholesky(job)));
        tables.agreements.extend(own.agreements.iter().map(|job| moves.agreement(job)));
        tables.swaps.extend(own.swaps.iter().map(|job| moves.swap(job)));
        let (mut combines, mut convs) = (own.combines.iter(), own.convs.iter());
        let (mut norms, mut norm) = (own.norm_jobs.iter(), 0);
        let mut place = 0;
        for part in &member.network.slots {
            place += before(&slots[place..], part);
            let slot = &mut slots[place];
            // Batch norms of the slot's jobs; and how far the first one has moved.
            let mut add_norms = |next: &mut usize, count: u32| {
                let to = take(next, count);
                let by = (to.start as u32).wrapping_sub(norm as u32);
                for (to, job) in tables.norm_jobs[to].iter_mut().zip(&mut norms) {
                    *to = moves.norm(job, weights.affines.get(norm).copied().unwrap_or(NONE));
                    norm += 1;
                }
                by
            };
            let stored_by = add_norms(&mut slot.next_stored_norm, part.stored_norms);
            let by = add_norms(&mut slot.next_norm, part.norms);
            for (i, counts) in part.combines.iter().enumerate() {
                for (next, count) in
                    [(&mut slot.next_plain[i], counts.plain), (&mut slot.next_stored[i], counts.stored)]
                {
                    let to = tables.combines[take(next, count)].iter_mut();
                    to.zip(&mut combines).for_each(|(to, job)| *to = moves.combine(job, stored_by));
                }
            }
            for (next, counts) in slot.next_conv.iter_mut().zip(&part.convs) {
                let to = tables.convs[take(next, counts.jobs)].iter_mut();
                to.zip(&mut convs).for_each(|(to, job)| *to = moves.conv(job, by));
            }
        }
    }
}

/// The moves of a network: how far its places are from those that it has when it is alone. The batch stays where it is.
#[derive(Clone, Copy, Debug)]
struct Moves {
    member: u32,
    /// Units of the batch.
    batch: u32,
    by: PerBuffer<u32>,
    rows: u32,
    terms: u32,
}

/// A place that has moved, where there is one.
fn moved(place: u32, by: u32) -> u32 {
    if place == NONE { NONE } else { place + by }
}

impl Moves {
    /// The moves of the next member of some tables.
    fn new(m: usize, member: &Member, tables: &Tables) -> Self {
        // A network that is alone has its places behind the batch.
        let (alone, places) = (image(member.plan()), member.places);
        Moves {
            member: m as u32,
            batch: alone[Buffer::Arena] as u32,
            by: PerBuffer::from_fn(|buffer| (places[buffer] - alone[buffer]) as u32),
            rows: tables.rows.len() as u32,
            terms: tables.terms.len() as u32,
        }
    }

    fn arena(&self, place: u32) -> u32 {
        if place < self.batch { place } else { moved(place, self.by[Buffer::Arena]) }
    }

    fn term(&self, term: &TermRecord) -> TermRecord {
        TermRecord {
            source: self.arena(term.source),
            norm: moved(term.norm, self.by[Buffer::Norms]),
            ..*term
        }
    }

    fn combine(&self, job: &CombineRecord, norms: u32) -> CombineRecord {
        CombineRecord {
            first_term: job.first_term + self.terms,
            output: self.arena(job.output),
            codes: job.codes + self.by[Buffer::Codes],
            partials: moved(job.partials, self.by[Buffer::Partials]),
            first_norm: job.first_norm.wrapping_add(norms),
            status: job.status + self.member,
            ..*job
        }
    }

    fn conv(&self, job: &ConvRecord, norms: u32) -> ConvRecord {
        ConvRecord {
            input: self.arena(job.input),
            output: self.arena(job.output),
            rows: job.rows + self.rows,
            partials: moved(job.partials, self.by[Buffer::Partials]),
            first_norm: job.first_norm.wrapping_add(norms),
            network: job.network + self.member,
            ..*job
        }
    }

    fn norm(&self, job: &NormRecord, affine: u32) -> NormRecord {
        NormRecord {
            partials: job.partials + self.by[Buffer::Partials],
            norm: job.norm + self.by[Buffer::Norms],
            status: job.status + self.member,
            affine,
            ..*job
        }
    }

    fn agreement(&self, job: &AgreementRecord) -> AgreementRecord {
        AgreementRecord { codes: job.codes + self.by[Buffer::Codes], network: self.member, ..*job }
    }

    fn swap(&self, job: &SwapRecord) -> SwapRecord {
        SwapRecord { codes: job.codes + self.by[Buffer::Codes], network: self.member, ..*job }
    }

    fn cholesky(&self, job: &CholeskyRecord) -> CholeskyRecord {
        CholeskyRecord { network: self.member, scratch: job.scratch + self.by[Buffer::Arena], ..*job }
    }
}
