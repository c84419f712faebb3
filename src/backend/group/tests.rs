//! What must hold for groups of the benchmarks' own cells, and for any others.

use std::ops::Range;

use super::*;
use crate::plan::Plan;
use crate::space::{Architecture, SkeletonSettings};
use crate::{Convention, Weights};

pub(super) const LIMITS: Limits = Limits {
    buffer: 1 << 31,
    memory: 1 << 34,
    in_flight: 1,
    has_own_buffers: true,
    networks: None,
    launch_blocks: 512,
    number: 4,
    factor_number: 4,
    forms: Forms::Portable,
};

/// The forms of WGSL, of CUDA, and of CUDA on a GPU without tensor cores.
const FORMS: [Forms; 3] = [
    Forms::Portable,
    Forms::Special { tensor_pixels: Some(256), blocks: 1056 },
    Forms::Special { tensor_pixels: None, blocks: 1056 },
];

fn workload(space: &str, images: usize) -> Vec<Plan> {
    let path = format!("{}/benches/workloads/{space}_200.jsonl", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let plan = |architecture: Architecture| {
        let network = architecture.network(&SkeletonSettings::default()).unwrap();
        Plan::new(network.graph(), [images, 3, 32, 32], Convention::Relu).unwrap()
    };
    Architecture::read_lines(&file[..]).map(|(_, architecture)| plan(architecture.unwrap())).collect()
}

fn group(plans: &[Plan], forms: Forms) -> Group {
    let source = Weights::default().source();
    let rows = RowFormat::new(forms, &*source);
    let mut cache = DeviceWeightCache::new(source, rows, 1 << 27);
    let prepare = |plan: &Plan| {
        let network = Prepared::new(plan.clone(), &Limits { forms, ..LIMITS }, cache.source()).unwrap();
        let places = cache.place(&network).unwrap().unwrap();
        (network, places)
    };
    let group = Group::new(plans.iter().map(prepare).collect(), forms, rows);
    group.check(cache.used()).unwrap();
    group
}

/// The cells of both spaces in turn.
fn mixed() -> Vec<Plan> {
    let (a, b) = (workload("nasbench101", 2), workload("nasbench201", 2));
    a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect()
}

#[test]
fn a_group_of_any_size_has_few_launches() {
    for (name, plans) in [
        ("nasbench101", workload("nasbench101", 2)),
        ("nasbench201", workload("nasbench201", 2)),
        ("mixed", mixed()),
    ] {
        for size in [1, 16, 64] {
            for (forms, most) in [(FORMS[0], 180), (FORMS[1], 130), (FORMS[2], 130)] {
                for plans in plans.chunks(size) {
                    // One more makes weights.
                    let launches = 1 + group(plans, forms).launches.len();
                    assert!(launches <= most, "{launches} launches for {size} of {name}, {forms:?}");
                }
            }
        }
    }
}

/// What a launch writes, buffer by buffer, and what it reads; in the units of the records.
#[derive(Default)]
struct Traffic {
    reads: Vec<Range<u32>>,
    writes: Vec<Range<u32>>,
}

fn traffic(group: &Group, launch: &Launch) -> Traffic {
    let (range, images) = (launch.jobs(), launch.record.images as usize);
    let area = |size: u32| (size & 0xffff) as usize * (size >> 16) as usize;
    let planes = |place: u32, pixels: usize, units: usize| {
        place..place + (units * planar::plane(images, pixels)) as u32
    };
    let pixels = launch.slot.map_or(0, |slot| slot.height * slot.width);
    let mut traffic = Traffic::default();
    match launch.kind {
        LaunchKind::Combine | LaunchKind::CombineAny => {
            for job in &group.tables.combines[range] {
                if job.output != NONE {
                    traffic.writes.push(planes(job.output, pixels, planar::units(job.channels as usize)));
                }
                for term in &group.tables.terms[job.first_term as usize..][..(job.terms & 0xffff) as usize] {
                    let units = planar::units(term.channels as usize);
                    traffic.reads.push(planes(term.source, area(term.size), units));
                }
            }
        }
        LaunchKind::ConvNarrow | LaunchKind::ConvWide | LaunchKind::ConvTensor | LaunchKind::ConvAny => {
            for job in &group.tables.convs[range] {
                traffic.reads.push(planes(job.input, area(job.size), (job.units & 0xffff) as usize));
                traffic.writes.push(planes(job.output, pixels, (job.units >> 16) as usize));
            }
        }
        _ => {}
    }
    traffic
}

#[test]
fn what_a_launch_reads_was_written_before_it_by_the_same_network() {
    for (plans, forms) in mixed().chunks(16).take(6).zip(FORMS.into_iter().cycle()) {
        let group = group(plans, forms);
        // For each unit of the arena, by which launch it was written last.
        let mut written: Vec<Option<usize>> = vec![None; group.sizes[Buffer::Arena]];
        let batch = image(&plans[0])[Buffer::Arena];
        written[..batch].fill(Some(0));
        for (position, launch) in group.launches.iter().enumerate() {
            let Traffic { reads, writes } = traffic(&group, launch);
            for unit in reads.iter().flat_map(Clone::clone) {
                assert!(written[unit as usize].is_some(), "unit {unit} of {launch:?}");
            }
            for unit in writes.into_iter().flatten() {
                let before = written[unit as usize].replace(position);
                assert!(unit as usize >= batch && before != Some(position), "unit {unit} of {launch:?}");
            }
            for unit in reads.into_iter().flatten() {
                assert!(
                    written[unit as usize] != Some(position) || position == 0,
                    "unit {unit} of {launch:?}"
                );
            }
        }
    }
}

#[test]
fn networks_have_places_of_their_own() {
    let plans = mixed();
    let group = group(&plans[..32], FORMS[0]);
    let mut end = image(&plans[0]);
    for (member, plan) in group.members.iter().zip(&plans) {
        assert_eq!(member.places, end);
        end += Load::of(plan, &LIMITS).unwrap().sizes;
    }
    assert_eq!(group.sizes, end);
    let jobs = |job: &CombineRecord| (job.status & 0xffff) as usize;
    for job in &group.tables.combines {
        let member = &group.members[jobs(job)];
        let arena =
            member.places[Buffer::Arena]..member.places[Buffer::Arena] + 2 * member.plan().arena_octets;
        assert!(job.output == NONE || arena.contains(&(job.output as usize)));
        assert_eq!(job.codes as usize, member.places[Buffer::Codes]);
    }
    for job in &group.tables.convs {
        let member = &group.members[(job.network & 0xffff) as usize];
        let arena =
            member.places[Buffer::Arena]..member.places[Buffer::Arena] + 2 * member.plan().arena_octets;
        assert!(arena.contains(&(job.output as usize)));
    }
}

#[test]
fn a_place_outside_its_buffer_is_found() {
    let plans = &mixed()[..4];
    let sound = group(plans, FORMS[0]);
    let damages: [fn(&mut Group); 8] = [
        |group| group.tables.terms[3].source += group.sizes[Buffer::Arena] as u32,
        |group| group.tables.convs[3].output += group.sizes[Buffer::Arena] as u32,
        |group| group.tables.rows[5] = 1 << 30,
        |group| group.tables.norm_jobs[2].norm = group.sizes[Buffer::Norms] as u32,
        |group| group.tables.combines[1].codes = group.sizes[Buffer::Codes] as u32,
        |group| group.tables.agreements[0].words += group.sizes[Buffer::Codes] as u32,
        |group| group.tables.choleskys[1].network += 4,
        |group| group.sizes[Buffer::Partials] = 1,
    ];
    assert!(sound.check(1 << 27).is_ok());
    for (i, damage) in damages.iter().enumerate() {
        let mut group = sound.clone();
        damage(&mut group);
        assert!(group.check(1 << 27).is_err(), "damage {i}");
    }
}

#[test]
fn a_group_is_full_when_launches_are_or_the_memory_is() {
    let plans = workload("nasbench101", 32);
    let image = image(&plans[0]);
    let size = |limits: &Limits| {
        let mut load = Load::default();
        for plan in plans.iter().cycle() {
            let next = Load::of(plan, limits).unwrap();
            if load.is_full(limits) || !load.has_room_for(&next, image, limits) {
                break;
            }
            load.add(&next);
        }
        (load.networks, load.sizes)
    };
    let (networks, _) = size(&LIMITS);
    assert!((16..=64).contains(&networks), "{networks}");
    let (twice, _) = size(&Limits { launch_blocks: 2 * LIMITS.launch_blocks, ..LIMITS });
    assert!((2 * networks).abs_diff(twice) <= networks / 4, "{networks} and {twice}");
    // Three groups in flight share the memory where each has buffers of its own.
    let memory = 1 << 29;
    let shared = [false, true].map(|has_own_buffers| {
        let limits = Limits { in_flight: 3, has_own_buffers, memory, launch_blocks: 1 << 20, ..LIMITS };
        size(&limits).0
    });
    assert!(shared[1] < networks && shared[0].abs_diff(3 * shared[1]) <= 3, "{shared:?}");
    assert_eq!(size(&Limits { networks: Some(7), ..LIMITS }).0, 7);
    assert_eq!(size(&Limits { networks: Some(1000), ..LIMITS }).0, 256);
    let (few, sizes) = size(&Limits { buffer: 64 << 20, ..LIMITS });
    assert!(few < networks);
    assert!(LIMITS.bytes(&(sizes + image)).iter().all(|(_, &bytes)| bytes <= 64 << 20));
    let alone = Load::of(&plans[0], &Limits { buffer: 1 << 20, ..LIMITS });
    assert!(matches!(alone, Err(Error::Memory { limit, needed }) if limit == 1 << 20 && needed > limit));
}

#[test]
fn channels_in_groups_are_refused_by_name() {
    let mut g = crate::Graph::builder(4).unwrap();
    let x = g.conv(g.input(), crate::Conv { groups: 2, ..crate::Conv::new(4, 1) }, "deep.weight").unwrap();
    let x = g.relu(x).unwrap();
    let plan = Plan::new(&g.output(x).unwrap(), [2, 4, 4, 4], Convention::Relu).unwrap();
    let error = Load::of(&plan, &LIMITS).unwrap_err().to_string();
    assert!(error.contains("deep.weight") && error.contains("2 groups"), "{error}");
}
