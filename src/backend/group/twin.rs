//! Launches of a group on the twins, over host copies of the group's buffers: what any stage of a GPU run can be swapped
//! for, and the oracle of every shader and kernel. Twins have tensors with their channels last: planes are carried over.

use std::ops::Range;

use super::planar::{self, UNITS, units};
use super::{
    BatchNormsBy, Buffer, COUNTS, CombineRecord, ConvRecord, Group, Launch, LaunchKind, Member, Mirror, NONE,
    NewWeights, NormRecord, WeightsRecord,
};
use crate::Distribution;
use crate::backend::cpu::batch_norm::{self, StatisticsLayout};
use crate::backend::cpu::combine::{Combine, Scratch};
use crate::backend::cpu::conv::Conv;
use crate::backend::cpu::weights::Octet;
use crate::backend::cpu::workspace::{Norms, Partials, Sources, numbers, section};
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, IMAGE, OCTET, Statistics, Tensor, TensorId, UNIT};
use crate::random::{philox4x32_10, quantiles};
use crate::score::agreement::agreement;
use crate::score::cholesky::{factorize, scaled};
use crate::score::swap::{Patterns, swap};
use crate::weights::{RowShape, WeightSource};

/// Runs one launch of a group.
pub(crate) fn launch(
    group: &Group,
    new: &NewWeights,
    source: &dyn WeightSource,
    launch: &Launch,
    mirror: &mut Mirror,
) {
    let range = launch.jobs();
    let by_last_block = group.forms.batch_norms_by() == BatchNormsBy::LastBlock;
    match launch.kind {
        LaunchKind::Weights => new.jobs.iter().for_each(|job| weights(group, job, mirror)),
        LaunchKind::Start => {
            for member in &group.members {
                let n = member.plan().images();
                words(member, Buffer::AgreementMatrices, n * n, mirror).fill(member.plan().activations());
                words(member, Buffer::Statuses, 1, mirror).fill(NONE);
            }
        }
        LaunchKind::Combine | LaunchKind::CombineAny => {
            for (record, (m, job)) in group.tables.combines[range].iter().zip(group.combine_jobs(launch)) {
                let member = &group.members[m];
                combine(member, job, record, mirror);
                if by_last_block {
                    let job = &member.plan().combines[job];
                    let place = stored_partials(member, job, record, launch, mirror);
                    let statuses = statuses(&group.tables.norm_jobs, record.first_norm, record.norms);
                    batch_norms(member, &job.statistics, &place, &statuses, source, mirror);
                }
            }
        }
        LaunchKind::ConvNarrow | LaunchKind::ConvWide | LaunchKind::ConvTensor | LaunchKind::ConvAny => {
            for (record, (m, job)) in group.tables.convs[range].iter().zip(group.conv_jobs(launch)) {
                let member = &group.members[m];
                conv(group, member, job, record, source, mirror);
                if by_last_block {
                    let job = &member.plan().convs[job];
                    let statuses = statuses(&group.tables.norm_jobs, record.first_norm, record.norms);
                    let place = conv_partials(member.plan(), job, record);
                    batch_norms(member, &job.statistics, &place, &statuses, source, mirror);
                }
            }
        }
        LaunchKind::BatchNorm => {
            for (m, member) in group.members.iter().enumerate() {
                let records = group.tables.norm_jobs[range.clone()].iter();
                let records = records.filter(|record| (record.status & 0xffff) as usize == m);
                let statuses: Vec<NormStatus> = records.map(NormStatus::of).collect();
                let jobs = group.tables.convs.iter().filter(|record| (record.network & 0xffff) as usize == m);
                for record in jobs {
                    let job = &member.plan().convs[(record.network >> 16) as usize];
                    if Some(job.slot) == launch.slot {
                        let place = conv_partials(member.plan(), job, record);
                        batch_norms(member, &job.statistics, &place, &statuses, source, mirror);
                    }
                }
            }
        }
        LaunchKind::StoredBatchNorm => {
            for (record, (m, job)) in group.tables.combines[range].iter().zip(group.combine_jobs(launch)) {
                let member = &group.members[m];
                let job = &member.plan().combines[job];
                let statuses = statuses(&group.tables.norm_jobs, record.first_norm, record.norms);
                // A shader keeps these to itself.
                let before = mirror.buffers[Buffer::Partials].clone();
                let place = stored_partials(member, job, record, launch, mirror);
                batch_norms(member, &job.statistics, &place, &statuses, source, mirror);
                mirror.buffers[Buffer::Partials] = before;
            }
        }
        LaunchKind::Agreement => {
            for member in &group.members {
                let (plan, n) = (member.plan(), member.plan().images());
                let [codes, matrices] = mirror.buffers.split([Buffer::Codes, Buffer::AgreementMatrices]);
                let codes = &codes[member.places[Buffer::Codes]..][..n * plan.words_per_image];
                let k = &mut matrices[member.places[Buffer::AgreementMatrices]..][..n * n];
                for job in &plan.agreements {
                    agreement(&section(plan, job, codes), k, n);
                }
            }
        }
        LaunchKind::Cholesky => group.members.iter().for_each(|member| cholesky(member, mirror)),
        LaunchKind::ClearPatterns => {
            for member in &group.members {
                words(member, Buffer::Maps, member.plan().memory().patterns, mirror).fill(0);
                words(member, Buffer::Patterns, COUNTS, mirror).fill(0);
            }
        }
        LaunchKind::Swap => group.members.iter().for_each(|member| patterns(member, mirror)),
    }
}

/// Some words of a member's part of a buffer.
fn words<'a>(member: &Member, buffer: Buffer, count: usize, mirror: &'a mut Mirror) -> &'a mut [u32] {
    &mut mirror.buffers[buffer][member.places[buffer]..][..count]
}

/// The status that a batch norm reports.
struct NormStatus {
    /// Place of the batch norm in its buffer, which tells it from others.
    norm: u32,
    status: u32,
}

impl NormStatus {
    fn of(record: &NormRecord) -> Self {
        NormStatus { norm: record.norm, status: record.status }
    }
}

/// The statuses of some batch norms.
fn statuses(norms: &[NormRecord], first: u32, count: u32) -> Vec<NormStatus> {
    norms[first as usize..(first + count) as usize].iter().map(NormStatus::of).collect()
}

fn weights(group: &Group, job: &WeightsRecord, mirror: &mut Mirror) {
    let table = quantiles::table(if job.table == 0 { Distribution::Normal } else { Distribution::Uniform });
    let shape = RowShape {
        out_channels: OCTET,
        in_channels: job.in_octets as usize * OCTET,
        kernel: [job.taps as usize, 1],
    };
    let mut rows = Vec::with_capacity(job.blocks as usize * OCTET);
    for block in 0..job.blocks {
        let words = philox4x32_10([job.first + block, job.name[0], job.name[1], 0], job.key);
        rows.extend(quantiles::pick(table, words));
    }
    let mut made = Vec::new();
    rows.chunks_exact(OCTET * shape.row_len()).for_each(|rows| group.rows.append(&shape, rows, &mut made));
    mirror.pool[group.rows.octet(job.place) * OCTET..][..made.len()].copy_from_slice(&made);
}

/// A member's tensors with their channels last, as its twins have them.
struct Tensors {
    batch: Vec<f32>,
    arena: Vec<f32>,
}

impl Tensors {
    /// Those that a job reads, out of their planes; all others are zeros.
    fn read(member: &Member, reads: impl Iterator<Item = TensorId>, mirror: &Mirror) -> Self {
        let plan = member.plan();
        let mut tensors = Tensors {
            batch: vec![0.0; plan.images() * plan.tensors[IMAGE].image_octets() * OCTET],
            arena: vec![0.0; plan.arena_octets * OCTET],
        };
        for id in reads {
            let (tensor, planes) = (&plan.tensors[id], &mirror.numbers(Buffer::Arena)[first(member, id)..]);
            let to = match id {
                IMAGE => &mut tensors.batch[..],
                _ => &mut tensors.arena[numbers(plan, tensor)],
            };
            planar::gather(tensor, plan.images(), tensor.shape.channels, planes, to);
        }
        tensors
    }
}

/// The first number of a tensor's planes.
fn first(member: &Member, id: TensorId) -> usize {
    match id {
        IMAGE => 0,
        _ => (member.places[Buffer::Arena] + UNITS * member.plan().tensors[id].offset) * UNIT,
    }
}

/// Stores some units of a tensor that a twin has made.
fn store(member: &Member, id: TensorId, units: Range<usize>, tensors: &Tensors, mirror: &mut Mirror) {
    let (plan, tensor) = (member.plan(), &member.plan().tensors[id]);
    let planes = &mut mirror.numbers_mut(Buffer::Arena)[first(member, id)..];
    planar::scatter(tensor, plan.images(), units, &tensors.arena[numbers(plan, tensor)], planes);
}

fn combine(member: &Member, job: usize, record: &CombineRecord, mirror: &mut Mirror) {
    let plan = member.plan();
    let job = &plan.combines[job];
    let norms = norms(member, mirror);
    let mut tensors = Tensors::read(member, job.terms.iter().map(|term| term.tensor), mirror);
    let (sources, output) = Sources::split(plan, &tensors.batch, &mut tensors.arena, job.output);
    let combine = Combine { plan, job, norms: &norms };
    let (n, words) = (plan.images(), plan.words_per_image);
    let codes = &mut mirror.buffers[Buffer::Codes][member.places[Buffer::Codes]..][..n * words];
    // Twins add bits to words of zeros, a kernel stores whole words.
    let regions = job.terms.iter().filter_map(|term| term.code).chain(job.code);
    for region in regions.map(|region| &plan.regions[region]) {
        codes.chunks_exact_mut(words).for_each(|codes| codes[region.word..][..region.words()].fill(0));
    }
    let mut scratch = Scratch::default();
    let length = output.len() / n;
    let mut finite = true;
    for i in 0..n {
        let (output, codes) = (&mut output[i * length..][..length], &mut codes[i * words..][..words]);
        finite = finite && combine.image(&mut scratch, &sources, i, output, codes).is_ok();
    }
    if !finite {
        report_non_finite(mirror, record.status);
        return;
    }
    if let Some(output) = job.output {
        store(member, output, 0..units(job.shape.channels), &tensors, mirror);
    }
}

/// Sets a network's status to the node where a number was not finite, unless an earlier node is there.
fn report_non_finite(mirror: &mut Mirror, status: u32) {
    let place = &mut mirror.buffers[Buffer::Statuses][(status & 0xffff) as usize];
    *place = (*place).min(status >> 16);
}

fn conv(
    group: &Group,
    member: &Member,
    id: usize,
    record: &ConvRecord,
    source: &dyn WeightSource,
    mirror: &mut Mirror,
) {
    let plan = member.plan();
    let job = &plan.convs[id];
    let parameter = &plan.parameters[job.parts[0].parameter];
    let rows = &group.tables.rows[record.rows as usize..][..job.octets().len()];
    let row = |&place: &u32| &mirror.pool[group.rows.octet(place) * OCTET..];
    let weights: Vec<Octet<f32>> =
        rows.iter().map(|place| group.rows.read(&parameter.shape, row(place))).collect();
    let scale = job.scaled.then(|| source.scale(parameter.standard_deviation) as f32);
    let scales = vec![scale; weights.len()];
    let group_channels = [parameter.shape.in_channels, parameter.shape.out_channels];
    let conv_tensors = [&plan.tensors[job.input], &plan.tensors[job.output]];
    let conv = Conv::new(job, conv_tensors, group_channels, &weights, &scales);
    let mut tensors = Tensors::read(member, std::iter::once(job.input), mirror);
    let (sources, y) = Sources::split(plan, &tensors.batch, &mut tensors.arena, Some(job.output));
    let mut frame = conv.frame();
    let length = conv_tensors[1].image_octets() * OCTET;
    for (n, y) in y.chunks_exact_mut(length).enumerate() {
        conv.image(&mut frame, sources.image(job.input, n), y);
    }
    let first = job.octets().start * UNITS;
    store(member, job.output, first..first + (record.units >> 16) as usize, &tensors, mirror);
    if !job.statistics.norms.is_empty() {
        store_partials(&plan.tensors[job.output], &conv_partials(plan, job, record), plan, &tensors, mirror);
    }
}

/// A job's partial statistics: what they are of, as its twin has them, and where they are.
struct PartialsPlace {
    layout: StatisticsLayout,
    /// First unit, and units of a block.
    unit: usize,
    units: usize,
}

fn conv_partials(plan: &Plan, job: &ConvJob, record: &ConvRecord) -> PartialsPlace {
    let tensor = &plan.tensors[job.output];
    PartialsPlace {
        layout: layout(plan, tensor, job.octets(), record.tile),
        unit: record.partials as usize,
        units: (record.units >> 16) as usize,
    }
}

fn layout(plan: &Plan, tensor: &Tensor, octets: Range<usize>, block: u32) -> StatisticsLayout {
    StatisticsLayout {
        pitch: tensor.pitch,
        octets,
        pixels: plan.images() * tensor.shape.pixels(),
        block: block as usize,
        first: 0,
    }
}

/// Makes a job's partial statistics from what it has stored.
fn store_partials(
    tensor: &Tensor,
    place: &PartialsPlace,
    plan: &Plan,
    tensors: &Tensors,
    mirror: &mut Mirror,
) {
    let PartialsPlace { layout, unit, units } = place;
    let channels = layout.octets.len() * OCTET;
    let blocks = layout.pixels.div_ceil(layout.block);
    let zeros = vec![0.0; blocks * channels];
    let mut partials = Partials { sum: zeros.clone(), m2: zeros };
    batch_norm::partials(false, &tensors.arena[numbers(plan, tensor)], layout, &mut partials);
    let to = mirror.numbers_mut(Buffer::Partials)[unit * 2 * UNIT..].chunks_exact_mut(2 * UNIT * units);
    let blocks = partials.sum.chunks_exact(channels).zip(partials.m2.chunks_exact(channels));
    for (to, (sum, m2)) in to.zip(blocks) {
        let parts = sum.as_chunks::<UNIT>().0.iter().zip(m2.as_chunks::<UNIT>().0);
        for (to, (sum, m2)) in to.chunks_exact_mut(2 * UNIT).zip(parts) {
            to[..UNIT].copy_from_slice(sum);
            to[UNIT..].copy_from_slice(m2);
        }
    }
}

/// The partial statistics of what a combine has stored, made where there are batch norms of it.
fn stored_partials(
    member: &Member,
    job: &CombineJob,
    record: &CombineRecord,
    launch: &Launch,
    mirror: &mut Mirror,
) -> PartialsPlace {
    let plan = member.plan();
    let tensor = job.output.map_or(&plan.tensors[IMAGE], |output| &plan.tensors[output]);
    let place = PartialsPlace {
        layout: layout(plan, tensor, 0..job.octets(), launch.record.block),
        unit: record.partials as usize,
        units: units(job.shape.channels),
    };
    if !job.statistics.norms.is_empty() {
        let tensors = Tensors::read(member, job.output.into_iter(), mirror);
        store_partials(tensor, &place, plan, &tensors, mirror);
    }
    place
}

/// Makes the batch norms of a job from its partial statistics; `statuses` has those of all of them.
fn batch_norms(
    member: &Member,
    statistics: &Statistics,
    place: &PartialsPlace,
    statuses: &[NormStatus],
    source: &dyn WeightSource,
    mirror: &mut Mirror,
) {
    if statistics.norms.is_empty() {
        return;
    }
    let partials = partials(place, mirror);
    let mut norms = norms(member, mirror);
    for job in &statistics.norms {
        let parameters = &member.plan().parameters;
        let first = member.places[Buffer::Norms] + job.entry / UNIT;
        if batch_norm::batch_norm(job, &place.layout, &partials, parameters, source, &mut norms).is_err() {
            let Some(found) = statuses.iter().find(|found| found.norm as usize == first) else {
                unreachable!("each batch norm has a record")
            };
            report_non_finite(mirror, found.status);
        }
        for c in 0..job.channels.next_multiple_of(OCTET) {
            // Readers load whole units, whose pads are zeros.
            let of = |values: &[f32]| if c < job.channels { values[job.entry + c] } else { 0.0 };
            let (unit, lane) = (first + c / UNIT, c % UNIT);
            let to = &mut mirror.numbers_mut(Buffer::Norms)[unit * 2 * UNIT..][..2 * UNIT];
            to[lane] = of(&norms.scale);
            to[UNIT + lane] = of(&norms.shift);
        }
    }
}

fn norms(member: &Member, mirror: &Mirror) -> Norms<f32> {
    let mut norms = Norms::default();
    let units =
        mirror.numbers(Buffer::Norms)[member.places[Buffer::Norms] * 2 * UNIT..].chunks_exact(2 * UNIT);
    for unit in units.take(member.plan().norm_entries / UNIT) {
        norms.scale.extend(&unit[..UNIT]);
        norms.shift.extend(&unit[UNIT..]);
    }
    norms
}

/// A job's partial statistics as its twin has them. Units that do not exist are zeros.
fn partials(place: &PartialsPlace, mirror: &Mirror) -> Partials<f32> {
    let mut partials = Partials::default();
    let channels = place.layout.octets.len() * OCTET;
    let blocks =
        mirror.numbers(Buffer::Partials)[place.unit * 2 * UNIT..].chunks_exact(2 * UNIT * place.units);
    for (block, units) in blocks.take(place.layout.pixels.div_ceil(place.layout.block)).enumerate() {
        for unit in units.chunks_exact(2 * UNIT) {
            partials.sum.extend(&unit[..UNIT]);
            partials.m2.extend(&unit[UNIT..]);
        }
        partials.sum.resize((block + 1) * channels, 0.0);
        partials.m2.resize((block + 1) * channels, 0.0);
    }
    partials
}

fn cholesky(member: &Member, mirror: &mut Mirror) {
    let (plan, n) = (member.plan(), member.plan().images());
    let mut a = scaled::<f64>(words(member, Buffer::AgreementMatrices, n * n, mirror), plan.activations());
    factorize(&mut a, n);
    let pivots = mirror.numbers_mut(Buffer::Pivots)[member.places[Buffer::Pivots]..][..n].iter_mut();
    pivots.enumerate().for_each(|(p, pivot)| *pivot = (a[p * n + p] * a[p * n + p]) as f32);
}

fn patterns(member: &Member, mirror: &mut Mirror) {
    let (plan, places) = (member.plan(), member.places);
    let Some(job) = plan.swap else { return };
    let [codes, maps, counts] = mirror.buffers.split([Buffer::Codes, Buffer::Maps, Buffer::Patterns]);
    let codes = &codes[places[Buffer::Codes]..][..plan.images() * plan.words_per_image];
    let map = &mut maps[places[Buffer::Maps]..][..plan.memory().patterns];
    let words = plan.sections().flatten();
    let Patterns { distinct, active_units } = swap(codes, plan.words_per_image, words, job.images, map);
    counts[places[Buffer::Patterns]..][..COUNTS].copy_from_slice(&[distinct, active_units]);
}
