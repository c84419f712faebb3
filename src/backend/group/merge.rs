//! Puts the records of networks side by side, and makes the launches that run them.
//!
//! One thread does this for all networks, so little is left to do: each network brings its records as they are when it
//! is alone, and they only move to its places in the group. Records are read from start to end, network by network, and
//! written slot by slot: the other way round most reads would miss the caches.

use std::ops::Range;

use super::device_weights::{NewWeights, WeightPlaces};
use super::footprint::image;
use super::memory::{Buffer, PerBuffer, Sizes};
use super::prepared::Prepared;
use super::records::*;
use super::tables::{SlotTables, Tables};
use super::{BatchNormsBy, Launch, LaunchKind, Member};
use crate::Shape;
use crate::plan::jobs::Slot;
use crate::plan::{Plan, TileClass};

/// Plans laid out side by side.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) members: Vec<Member>,
    pub(crate) sizes: Sizes,
    pub(crate) tables: Tables,
    pub(crate) batch_norms_by: BatchNormsBy,
    pub(crate) launches: Vec<Launch>,
}

impl Group {
    /// Lays out networks of one batch, each with its weights. Before anything is launched, [`Group::check`] has to have
    /// passed.
    pub(crate) fn new(networks: Vec<(Box<Prepared>, WeightPlaces)>, batch_norms_by: BatchNormsBy) -> Self {
        let mut sizes = networks.first().map_or(Sizes::default(), |(network, _)| image(&network.plan));
        let mut members = Vec::with_capacity(networks.len());
        let mut weights = Vec::with_capacity(networks.len());
        for (network, places) in networks {
            let own = network.load.sizes;
            members.push(Member { network, places: sizes });
            weights.push(places);
            sizes += own;
        }
        let (tables, launches) = merge(&members, &weights, batch_norms_by);
        Group { members, sizes, tables, batch_norms_by, launches }
    }

    /// All its launches, that of the weights first.
    pub(crate) fn all_launches(&self, new: &NewWeights) -> Vec<Launch> {
        let record = LaunchRecord { jobs: new.jobs.len() as u32, tiles: 1, ..LaunchRecord::default() };
        let weights =
            (!new.jobs.is_empty()).then_some(Launch { kind: LaunchKind::Weights, slot: None, record });
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
        let mut before: Option<(usize, usize)> = None;
        self.tables.convs[launch.jobs()].iter().map(move |record| {
            // Those of a member come one after the other, in the order of its plan.
            let member = record.network as usize;
            let first = || self.members[member].network.first_conv(launch.slot);
            let job = before.filter(|(m, _)| *m == member).map_or_else(first, |(_, job)| job + 1);
            *before.insert((member, job))
        })
    }
}

/// Pixels of one image that a tile of `combine` has at most.
const COMBINE_PIXELS: usize = 128;
/// Images on either side of a tile of `agreement`.
const AGREEMENT_IMAGES: usize = 32;
/// Entries of K that a tile of `start` sets.
const START_ENTRIES: usize = 256;
/// Words of a map that a tile of `clear_patterns` empties, and code words of a tile of `swap`.
const MAP_WORDS: usize = 256;
const SWAP_WORDS: usize = 2048;

// Kinds of records that have places by slot: combines without statistics, those with statistics, convolutions of either
// class, batch norms of combines and of convolutions.
const KINDS: usize = 6;
const PLAIN: usize = 0;
const STORED: usize = 1;
const NARROW: usize = 2;
const WIDE: usize = 3;
const STORED_NORMS: usize = 4;
const NORMS: usize = 5;

/// A network's records of a slot, by kind.
fn counts(part: &SlotTables) -> [usize; KINDS] {
    let of = |class: TileClass| if part.class == class { part.convs } else { 0 };
    let (narrow, wide) = (of(TileClass::Narrow), of(TileClass::Wide));
    [part.combines, part.stored, narrow, wide, part.stored_norms, part.norms].map(|count| count as usize)
}

/// A slot of the group.
#[derive(Clone, Copy, Debug, Default)]
struct GroupSlot {
    slot: Slot,
    /// Records of each kind.
    counts: [usize; KINDS],
    /// Place of the next one.
    next: [usize; KINDS],
    /// Octets of the widest combine that leaves statistics.
    stored_octets: usize,
}

impl GroupSlot {
    /// Takes places for so many records.
    fn take(&mut self, kind: usize, count: usize) -> Range<usize> {
        let first = self.next[kind];
        self.next[kind] += count;
        first..self.next[kind]
    }
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
            slot.counts.iter_mut().zip(counts(part)).for_each(|(all, count)| *all += count);
            slot.stored_octets = slot.stored_octets.max(part.stored_octets as usize);
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
    tables: Tables,
    launches: Vec<Launch>,
}

/// Blocks of partial statistics.
struct Blocks {
    /// Pixels of each, counted over all images.
    pixels: usize,
    count: usize,
}

/// Records of all members, and their launches.
fn merge(
    members: &[Member],
    weights: &[WeightPlaces],
    batch_norms_by: BatchNormsBy,
) -> (Tables, Vec<Launch>) {
    let mut merge = Merge { members, weights, tables: Tables::default(), launches: Vec::new() };
    let mut slots = slots(members);
    merge.launches(&mut slots, batch_norms_by);
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
    fn launches(&mut self, slots: &mut [GroupSlot], batch_norms_by: BatchNormsBy) {
        let (n, members) = (self.images(), self.members.len());
        let total = |count: fn(&Tables) -> usize| -> usize {
            self.members.iter().map(|member| count(&member.network.tables)).sum()
        };
        let terms = total(|tables| tables.terms.len());
        let agreements = total(|tables| tables.agreements.len());
        let rows = self.weights.iter().map(|places| places.rows.len()).sum();
        self.launch(LaunchKind::Start, None, 0..members, (n * n).div_ceil(START_ENTRIES));
        let [mut combines, mut convs, mut norms] = [0; 3];
        for slot in slots {
            let mut place = |kind: usize, end: &mut usize| {
                slot.next[kind] = *end;
                *end += slot.counts[kind];
                slot.next[kind]..*end
            };
            let (plain, stored) = (place(PLAIN, &mut combines), place(STORED, &mut combines));
            let (narrow, wide) = (place(NARROW, &mut convs), place(WIDE, &mut convs));
            let (_, conv_norms) = (place(STORED_NORMS, &mut norms), place(NORMS, &mut norms));
            let Slot { height, width, .. } = slot.slot;
            let tiles = n * (height * width).div_ceil(COMBINE_PIXELS);
            let blocks = self.blocks(slot.slot).count;
            let at = Some(slot.slot);
            // Those that leave statistics come last, so that one launch can take them all.
            self.launch(LaunchKind::Combine, at, plain.start..stored.end, tiles);
            if batch_norms_by == BatchNormsBy::Launches {
                self.launch(LaunchKind::StoredBatchNorm, at, stored, slot.stored_octets);
            }
            self.launch(LaunchKind::ConvNarrow, at, narrow, blocks);
            self.launch(LaunchKind::ConvWide, at, wide, blocks);
            if batch_norms_by == BatchNormsBy::Launches {
                self.launch(LaunchKind::BatchNorm, at, conv_norms, 1);
            }
        }
        let side = n.div_ceil(AGREEMENT_IMAGES);
        self.launch(LaunchKind::Agreement, None, 0..agreements, side * (side + 1) / 2);
        self.launch(LaunchKind::Cholesky, None, 0..members, 1);
        let swaps = total(|tables| tables.swaps.len());
        let most = |of: fn(&Plan) -> usize| self.members.iter().map(|m| of(m.plan())).max().unwrap_or(0);
        let (map, words) = (most(|plan| plan.memory().patterns), most(|plan| plan.words_per_image));
        self.launch(LaunchKind::ClearPatterns, None, 0..swaps, map.div_ceil(MAP_WORDS));
        self.launch(LaunchKind::Swap, None, 0..swaps, words.div_ceil(SWAP_WORDS).max(1));
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

    fn launch(&mut self, kind: LaunchKind, slot: Option<Slot>, jobs: Range<usize>, tiles: usize) {
        if jobs.is_empty() {
            return;
        }
        let mut record = LaunchRecord {
            first: jobs.start as u32,
            jobs: jobs.len() as u32,
            images: self.images() as u32,
            tiles: tiles as u32,
            ..LaunchRecord::default()
        };
        if let Some(slot) = slot {
            let blocks = self.blocks(slot);
            record.height = slot.height as u32;
            record.width = slot.width as u32;
            record.block = blocks.pixels as u32;
            record.blocks = blocks.count as u32;
        }
        self.launches.push(Launch { kind, slot, record });
    }

    /// The blocks of partial statistics of a slot's outputs.
    fn blocks(&self, slot: Slot) -> Blocks {
        let shape = Shape { channels: 1, height: slot.height, width: slot.width };
        let pixels = Plan::block_pixels(self.images(), shape);
        Blocks { pixels, count: (self.images() * shape.pixels()).div_ceil(pixels) }
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
            let (slot, counts) = (&mut slots[place], counts(part));
            // Batch norms of the slot's jobs; and how far the first one has moved.
            let mut add_norms = |kind: usize| {
                let to = slot.take(kind, counts[kind]);
                let by = (to.start as u32).wrapping_sub(norm as u32);
                for (to, job) in tables.norm_jobs[to].iter_mut().zip(&mut norms) {
                    *to = moves.norm(job, weights.affines.get(norm).copied().unwrap_or(NONE));
                    norm += 1;
                }
                by
            };
            let (stored_by, by) = (add_norms(STORED_NORMS), add_norms(NORMS));
            for (kind, by) in [(PLAIN, stored_by), (STORED, stored_by)] {
                let to = tables.combines[slot.take(kind, counts[kind])].iter_mut();
                to.zip(&mut combines).for_each(|(to, job)| *to = moves.combine(job, by));
            }
            for kind in [NARROW, WIDE] {
                let to = tables.convs[slot.take(kind, counts[kind])].iter_mut();
                to.zip(&mut convs).for_each(|(to, job)| *to = moves.conv(job, by));
            }
        }
    }
}

/// The moves of a network: how far its places are from those that it has when it is alone. The batch stays where it is.
#[derive(Clone, Copy, Debug)]
struct Moves {
    member: u32,
    /// Octets of the batch.
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
            network: self.member,
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
