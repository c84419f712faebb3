//! Launches of a group on the twins, over host copies of the group's buffers: what any stage of a GPU run can be swapped
//! for, and the oracle of every shader and kernel.

use super::{
    BatchNormsBy, Buffer, COUNTS, Group, Launch, LaunchKind, Member, Mirror, NONE, NewWeights, NormRecord,
    WeightsRecord, image,
};
use crate::Distribution;
use crate::backend::cpu::batch_norm::{self, StatisticsLayout};
use crate::backend::cpu::combine::{Combine, Scratch};
use crate::backend::cpu::conv::Conv;
use crate::backend::cpu::weights::Octet;
use crate::backend::cpu::workspace::{Norms, Partials, Sources, numbers, section};
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, ConvJob, OCTET, Statistics, Tensor};
use crate::random::{philox4x32_10, quantiles};
use crate::score::agreement::agreement;
use crate::score::cholesky::{factorize, scaled};
use crate::score::swap::{Patterns, swap};
use crate::weights::WeightSource;

/// Runs one launch of a group.
pub(crate) fn launch(
    group: &Group,
    new: &NewWeights,
    source: &dyn WeightSource,
    launch: &Launch,
    mirror: &mut Mirror,
) {
    let range = launch.jobs();
    match launch.kind {
        LaunchKind::Weights => new.jobs.iter().for_each(|job| weights(job, mirror)),
        LaunchKind::Start => {
            for member in &group.members {
                let n = member.plan().images();
                words(member, Buffer::AgreementMatrices, n * n, mirror).fill(member.plan().activations());
                words(member, Buffer::Statuses, 1, mirror).fill(NONE);
            }
        }
        LaunchKind::Combine => {
            for (record, (m, job)) in group.tables.combines[range].iter().zip(group.combine_jobs(launch)) {
                let member = &group.members[m];
                combine(member, job, record.status, mirror);
                if group.batch_norms_by == BatchNormsBy::LastBlock {
                    let job = &member.plan().combines[job];
                    let statuses = statuses(&group.tables.norm_jobs, record.first_norm, record.norms);
                    stored_batch_norm(member, job, &statuses, source, mirror);
                }
            }
        }
        LaunchKind::ConvNarrow | LaunchKind::ConvWide => {
            for (record, (m, job)) in group.tables.convs[range].iter().zip(group.conv_jobs(launch)) {
                let member = &group.members[m];
                conv(member, job, &group.tables.rows[record.rows as usize..], source, mirror);
                if group.batch_norms_by == BatchNormsBy::LastBlock {
                    let job = &member.plan().convs[job];
                    let statuses = statuses(&group.tables.norm_jobs, record.first_norm, record.norms);
                    let layout = conv_layout(member.plan(), job);
                    batch_norms(member, &job.statistics, &layout, &statuses, source, mirror);
                }
            }
        }
        LaunchKind::BatchNorm => {
            for (m, member) in group.members.iter().enumerate() {
                let jobs = member.plan().convs.iter();
                for job in jobs.filter(|job| Some(job.slot) == launch.slot) {
                    let layout = conv_layout(member.plan(), job);
                    let records = group.tables.norm_jobs[range.clone()].iter();
                    let records = records.filter(|record| (record.status & 0xffff) as usize == m);
                    let statuses: Vec<NormStatus> = records.map(NormStatus::of).collect();
                    batch_norms(member, &job.statistics, &layout, &statuses, source, mirror);
                }
            }
        }
        LaunchKind::StoredBatchNorm => {
            for (record, (m, job)) in group.tables.combines[range].iter().zip(group.combine_jobs(launch)) {
                let member = &group.members[m];
                let job = &member.plan().combines[job];
                let statuses = statuses(&group.tables.norm_jobs, record.first_norm, record.norms);
                stored_batch_norm(member, job, &statuses, source, mirror);
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

fn weights(job: &WeightsRecord, mirror: &mut Mirror) {
    let table = quantiles::table(if job.table == 0 { Distribution::Normal } else { Distribution::Uniform });
    for block in 0..job.blocks {
        let words = philox4x32_10([job.first + block, job.name[0], job.name[1], 0], job.key);
        let octet = &mut mirror.pool[(job.place + block) as usize * OCTET..][..OCTET];
        octet.copy_from_slice(&quantiles::pick(table, words));
    }
}

/// The batch and a member's own arena.
fn arenas<'a>(member: &Member, arena: &'a mut [f32]) -> (&'a [f32], &'a mut [f32]) {
    let (batch, networks) = arena.split_at_mut(image(member.plan())[Buffer::Arena] * OCTET);
    let start = member.places[Buffer::Arena] * OCTET - batch.len();
    (batch, &mut networks[start..start + member.plan().arena_octets * OCTET])
}

fn combine(member: &Member, job: usize, status: u32, mirror: &mut Mirror) {
    let plan = member.plan();
    let job = &plan.combines[job];
    let norms = norms(member, mirror);
    let [arena, codes] = mirror.buffers.split([Buffer::Arena, Buffer::Codes]);
    let (image, arena) = arenas(member, bytemuck::cast_slice_mut(arena));
    let (sources, output) = Sources::split(plan, image, arena, job.output);
    let combine = Combine { plan, job, norms: &norms };
    let (n, words) = (plan.images(), plan.words_per_image);
    let codes = &mut codes[member.places[Buffer::Codes]..][..n * words];
    // Twins add bits to words of zeros, a shader stores whole words.
    let regions = job.terms.iter().filter_map(|term| term.code).chain(job.code);
    for region in regions.map(|region| &plan.regions[region]) {
        codes.chunks_exact_mut(words).for_each(|codes| codes[region.word..][..region.words()].fill(0));
    }
    let mut scratch = Scratch::default();
    let length = output.len() / n;
    for i in 0..n {
        let (output, codes) = (&mut output[i * length..][..length], &mut codes[i * words..][..words]);
        if combine.image(&mut scratch, &sources, i, output, codes).is_err() {
            report_non_finite(mirror, status);
            return;
        }
    }
}

/// Sets a network's status to the node where a number was not finite, unless an earlier node is there.
fn report_non_finite(mirror: &mut Mirror, status: u32) {
    let place = &mut mirror.buffers[Buffer::Statuses][(status & 0xffff) as usize];
    *place = (*place).min(status >> 16);
}

fn conv(member: &Member, id: usize, rows: &[u32], source: &dyn WeightSource, mirror: &mut Mirror) {
    let plan = member.plan();
    let job = &plan.convs[id];
    let parameter = &plan.parameters[job.parts[0].parameter];
    let weights: Vec<Octet<f32>> = rows[..job.octets().len()]
        .iter()
        .map(|&row| octet(&mirror.pool[row as usize * OCTET..], &parameter.shape))
        .collect();
    let scale = job.scaled.then(|| source.scale(parameter.standard_deviation) as f32);
    let scales = vec![scale; weights.len()];
    let tensors = [&plan.tensors[job.input], &plan.tensors[job.output]];
    let group_channels = [parameter.shape.in_channels, parameter.shape.out_channels];
    let conv = Conv::new(job, tensors, group_channels, &weights, &scales);
    let (image, arena) = arenas(member, mirror.numbers_mut(Buffer::Arena));
    let (sources, y) = Sources::split(plan, image, arena, Some(job.output));
    let mut frame = conv.frame();
    let length = tensors[1].image_octets() * OCTET;
    for (n, y) in y.chunks_exact_mut(length).enumerate() {
        conv.image(&mut frame, sources.image(job.input, n), y);
    }
    if !job.statistics.norms.is_empty() {
        store_partials(member, &plan.tensors[job.output], &conv_layout(plan, job), mirror);
    }
}

/// Eight rows of the pool, [8][taps][C_in padded], as `conv` wants them.
fn octet(rows: &[f32], shape: &crate::weights::RowShape) -> Octet<f32> {
    let (length, padded) = (shape.row_len(), shape.in_channels.next_multiple_of(OCTET));
    let taps = (0..length).step_by(padded);
    let places = taps.flat_map(|tap| tap..tap + shape.in_channels);
    places.map(|place| std::array::from_fn(|l| rows[l * length + place])).collect()
}

fn conv_layout(plan: &Plan, job: &ConvJob) -> StatisticsLayout {
    layout(plan, &plan.tensors[job.output], job.octets(), &job.statistics)
}

fn layout(
    plan: &Plan,
    tensor: &Tensor,
    octets: std::ops::Range<usize>,
    statistics: &Statistics,
) -> StatisticsLayout {
    StatisticsLayout {
        pitch: tensor.pitch,
        octets,
        pixels: plan.images() * tensor.shape.pixels(),
        block: Plan::block_pixels(plan.images(), tensor.shape),
        first: statistics.partials,
    }
}

fn store_partials(member: &Member, tensor: &Tensor, layout: &StatisticsLayout, mirror: &mut Mirror) {
    let mut partials = partials(member, mirror);
    let (_, arena) = arenas(member, mirror.numbers_mut(Buffer::Arena));
    batch_norm::partials(false, &arena[numbers(member.plan(), tensor)], layout, &mut partials);
    let pieces = partials.sum.chunks(OCTET).zip(partials.m2.chunks(OCTET));
    let to = &mut mirror.numbers_mut(Buffer::Partials)[member.places[Buffer::Partials] * 2 * OCTET..];
    let to = to.chunks_exact_mut(2 * OCTET);
    for (to, (sum, m2)) in to.zip(pieces) {
        to[..OCTET].copy_from_slice(sum);
        to[OCTET..].copy_from_slice(m2);
    }
}

fn stored_batch_norm(
    member: &Member,
    job: &CombineJob,
    statuses: &[NormStatus],
    source: &dyn WeightSource,
    mirror: &mut Mirror,
) {
    if job.statistics.norms.is_empty() {
        return;
    }
    let Some(output) = job.output else { unreachable!("batch norms are of what is stored") };
    let tensor = &member.plan().tensors[output];
    let layout = layout(member.plan(), tensor, 0..job.octets(), &job.statistics);
    // A shader keeps these to itself.
    let before = mirror.buffers[Buffer::Partials].clone();
    store_partials(member, tensor, &layout, mirror);
    batch_norms(member, &job.statistics, &layout, statuses, source, mirror);
    mirror.buffers[Buffer::Partials] = before;
}

/// Makes the batch norms of a job from its partial statistics; `statuses` has those of all of them.
fn batch_norms(
    member: &Member,
    statistics: &Statistics,
    layout: &StatisticsLayout,
    statuses: &[NormStatus],
    source: &dyn WeightSource,
    mirror: &mut Mirror,
) {
    let partials = partials(member, mirror);
    let mut norms = norms(member, mirror);
    for job in &statistics.norms {
        let parameters = &member.plan().parameters;
        if batch_norm::batch_norm(job, layout, &partials, parameters, source, &mut norms).is_err() {
            let place = (member.places[Buffer::Norms] + job.entry / OCTET) as u32;
            let Some(found) = statuses.iter().find(|found| found.norm == place) else {
                unreachable!("each batch norm has a record")
            };
            report_non_finite(mirror, found.status);
        }
        for c in 0..job.channels.next_multiple_of(OCTET) {
            // Readers load whole octets, whose pads are zeros.
            let of = |values: &[f32]| if c < job.channels { values[job.entry + c] } else { 0.0 };
            let (octet, lane) = (member.places[Buffer::Norms] + (job.entry + c) / OCTET, c % OCTET);
            let to = &mut mirror.numbers_mut(Buffer::Norms)[octet * 3 * OCTET..][..3 * OCTET];
            to[lane] = of(&norms.mean);
            to[OCTET + lane] = of(&norms.a);
            to[2 * OCTET + lane] = of(&norms.beta);
        }
    }
}

fn norms(member: &Member, mirror: &Mirror) -> Norms<f32> {
    let mut norms = Norms::default();
    let octets =
        mirror.numbers(Buffer::Norms)[member.places[Buffer::Norms] * 3 * OCTET..].chunks_exact(3 * OCTET);
    for octet in octets.take(member.plan().norm_entries.div_ceil(OCTET)) {
        norms.mean.extend(&octet[..OCTET]);
        norms.a.extend(&octet[OCTET..2 * OCTET]);
        norms.beta.extend(&octet[2 * OCTET..]);
    }
    norms
}

fn partials(member: &Member, mirror: &Mirror) -> Partials<f32> {
    let mut partials = Partials::default();
    let octets = mirror.numbers(Buffer::Partials)[member.places[Buffer::Partials] * 2 * OCTET..]
        .chunks_exact(2 * OCTET);
    for octet in octets.take(member.plan().partial_entries.div_ceil(OCTET)) {
        partials.sum.extend(&octet[..OCTET]);
        partials.m2.extend(&octet[OCTET..]);
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
