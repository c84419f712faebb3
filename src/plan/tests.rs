//! Invariants of the plan of any network, looked at on the benchmarks' own cells.

use std::collections::HashMap;

use super::*;
use crate::plan::jobs::{IMAGE, TensorId, UNIT, pixel_bit};
use crate::space::{Architecture, SkeletonSettings};

/// Plans of the cells that benches run, at the width and depth of the papers.
fn workload_plans(space: &str, stem: usize, images: usize) -> Vec<Plan> {
    let path = format!("{}/benches/workloads/{space}_200.jsonl", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let plan = |architecture: Architecture| {
        let network = architecture
            .network(&SkeletonSettings { stem: Some(stem), ..SkeletonSettings::default() })
            .unwrap();
        Plan::new(network.graph(), [images, 3, 32, 32], Convention::Original).unwrap()
    };
    Architecture::read_lines(&file[..]).map(|(_, architecture)| plan(architecture.unwrap())).collect()
}

fn all_plans() -> impl Iterator<Item = Plan> {
    let workloads = [("nasbench101", 16, 3), ("nasbench101", 128, 32), ("nasbench201", 16, 3)];
    workloads.into_iter().flat_map(|(space, stem, images)| workload_plans(space, stem, images))
}

/// The jobs of a slot, as (tensors that it reads, tensors that it writes).
fn traffic(plan: &Plan, jobs: &SlotJobs) -> (Vec<TensorId>, Vec<TensorId>) {
    let combines = &plan.combines[jobs.combines.clone()];
    let convs = &plan.convs[jobs.convs.clone()];
    let terms = combines.iter().flat_map(|job| job.terms.iter().map(|term| term.tensor));
    let reads = terms.chain(convs.iter().map(|job| job.input));
    let writes = combines.iter().filter_map(|job| job.output).chain(convs.iter().map(|job| job.output));
    (reads.filter(|&tensor| tensor != IMAGE).collect(), writes.collect())
}

#[test]
fn what_is_read_was_written_in_an_earlier_slot_and_nobody_has_overwritten_it() {
    for plan in all_plans() {
        // For each octet of the arena the tensor that was written there last.
        let mut owner: Vec<TensorId> = vec![IMAGE; plan.arena_octets];
        let span = |tensor: TensorId| {
            let place = &plan.tensors[tensor];
            place.offset..place.offset + plan.images * place.image_octets()
        };
        for jobs in &plan.slots {
            let (reads, writes) = traffic(&plan, jobs);
            for &tensor in &reads {
                assert!(owner[span(tensor)].iter().all(|&owner| owner == tensor), "t{tensor}\n{plan}");
            }
            for &tensor in &writes {
                assert!(plan.tensors[tensor].offset.is_multiple_of(16));
                owner[span(tensor)].fill(tensor);
            }
            // The jobs of a slot run at once: none may write what another reads or writes.
            for &tensor in reads.iter().chain(&writes) {
                assert!(owner[span(tensor)].iter().all(|&owner| owner == tensor), "t{tensor}\n{plan}");
            }
        }
    }
}

#[test]
fn every_part_of_a_tensor_and_every_batch_norm_is_made_once() {
    for plan in all_plans() {
        let mut octets: HashMap<TensorId, Vec<usize>> = HashMap::new();
        for job in &plan.convs {
            octets.entry(job.output).or_default().extend(job.octets());
            assert!(job.octets().len() * OCTET <= job.class.channels());
        }
        for job in &plan.combines {
            octets.entry(job.output.unwrap_or(IMAGE)).or_default().extend(0..job.octets());
        }
        octets.remove(&IMAGE);
        for (tensor, mut octets) in octets {
            octets.sort_unstable();
            assert!(octets.into_iter().eq(0..plan.tensors[tensor].pitch), "t{tensor}\n{plan}");
        }
        let statistics = plan.convs.iter().map(|job| &job.statistics);
        let statistics = statistics.chain(plan.combines.iter().map(|job| &job.statistics));
        let mut entries: Vec<usize> = statistics
            .flat_map(|statistics| &statistics.norms)
            .flat_map(|norm| norm.entry..norm.entry + norm.channels)
            .collect();
        let made = entries.len();
        entries.sort_unstable();
        entries.dedup();
        assert_eq!(entries.len(), made);
        assert!(entries.last().is_none_or(|&last| last < plan.norm_entries));
    }
}

#[test]
fn every_code_region_is_written_by_one_job_and_no_bit_by_two_terms() {
    for plan in all_plans() {
        let mut writers = vec![0; plan.regions.len()];
        for job in &plan.combines {
            let mut regions: Vec<usize> =
                job.terms.iter().filter_map(|term| term.code).chain(job.code).collect();
            regions.sort_unstable();
            regions.dedup();
            for region in regions {
                writers[region] += 1;
                let terms = job.terms.iter().filter(|term| term.code == Some(region));
                let mut channels: Vec<usize> =
                    terms.flat_map(|term| term.to..term.to + term.channels).collect();
                if job.code == Some(region) {
                    channels.extend(0..job.shape.channels);
                }
                let written = channels.len();
                channels.sort_unstable();
                channels.dedup();
                assert_eq!(channels.len(), written, "{plan}");
                let region = &plan.regions[region];
                assert!(region.channels.iter().cloned().flatten().eq(channels.iter().copied()), "{plan}");
                // Every unit has a channel, and every channel and pixel a bit of its own among its words.
                let mut units: Vec<usize> = channels.iter().map(|channel| channel / UNIT).collect();
                units.dedup();
                assert!(units.into_iter().eq(region.first_unit..region.first_unit + region.units), "{plan}");
                assert!(region.word.is_multiple_of(UNIT));
                let pixels = 0..job.shape.pixels();
                let bit =
                    |channel| pixels.clone().map(move |pixel| region.channel_bit(channel) + pixel_bit(pixel));
                let mut bits: Vec<usize> = channels.iter().flat_map(|&channel| bit(channel)).collect();
                assert_eq!(bits.len(), region.bits());
                bits.sort_unstable();
                bits.dedup();
                assert_eq!(bits.len(), region.bits());
                assert!(
                    bits[0] >= region.word * 32 && bits[bits.len() - 1] < (region.word + region.words()) * 32
                );
            }
        }
        assert!(writers.iter().all(|&writers| writers == 1), "{writers:?}\n{plan}");
    }
}

#[test]
fn agreement_jobs_count_every_word_of_every_region_once_with_its_weight() {
    for plan in all_plans() {
        // Weight of every word: by the regions, and by the jobs.
        let mut by_region = vec![0; plan.words_per_image];
        for region in &plan.regions {
            for word in &mut by_region[region.word..region.word + region.words()] {
                assert_eq!(*word, 0, "two regions share a word");
                *word = region.weight;
            }
        }
        let mut by_job = vec![0; plan.words_per_image];
        for job in &plan.agreements {
            assert!((1..=4096).contains(&job.words));
            by_job[job.word..job.word + job.words].iter_mut().for_each(|word| *word += job.weight);
        }
        assert_eq!(by_job, by_region);
    }
}

#[test]
fn partial_statistics_of_one_slot_have_places_of_their_own() {
    for plan in all_plans() {
        for jobs in &plan.slots {
            let convs = plan.convs[jobs.convs.clone()].iter();
            let convs =
                convs.map(|job| (&job.statistics, plan.tensors[job.output].shape, job.octets().len()));
            let combines = plan.combines[jobs.combines.clone()].iter();
            let combines = combines.map(|job| (&job.statistics, job.shape, job.octets()));
            let mut places: Vec<(usize, usize)> = convs
                .chain(combines)
                .filter(|(statistics, ..)| !statistics.norms.is_empty())
                .map(|(statistics, shape, octets)| {
                    let pixels = plan.images * shape.pixels();
                    let blocks = pixels.div_ceil(Plan::block_pixels(plan.images, shape));
                    assert!(blocks <= MAX_BLOCKS);
                    (statistics.partials, statistics.partials + blocks * octets * OCTET)
                })
                .collect();
            places.sort_unstable();
            assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            assert!(places.last().is_none_or(|&(_, end)| end <= plan.partial_entries));
        }
    }
}
