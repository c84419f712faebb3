//! What the host has to do for a group, measured on a device that does nothing.

use std::time::Instant;

use super::null::NullDriver;
use super::*;
use crate::backend::group::packed::{Placed, Queued};
use crate::backend::group::session::{DeviceSession as _, Ended, InFlight};
use crate::backend::group::{Load, Prepared, image};
use crate::space::{Architecture, SkeletonSettings};
use crate::{Batch, Convention, Network, Weights};

/// Networks of a group.
const GROUP: usize = 64;

fn setup(images: usize) -> Setup {
    Setup::new(Batch::synthetic(images, 0).unwrap(), Weights::default(), Convention::Relu)
}

/// The cells of a space that figures are measured on.
fn workload(space: &str) -> Vec<Architecture> {
    let path = format!("{}/benches/workloads/{space}_200.jsonl", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    Architecture::read_lines(&file[..]).map(|(_, architecture)| architecture.unwrap()).collect()
}

/// Microseconds since a time, and from now on.
fn lap(since: &mut Instant) -> f64 {
    let time = since.elapsed();
    *since = Instant::now();
    time.as_secs_f64() * 1e6
}

#[test]
fn a_group_is_few_launches_which_cost_the_host_little() {
    let setup = setup(32);
    for space in ["nasbench101", "nasbench201"] {
        let driver = Arc::new(NullDriver::default());
        let mut session = CudaSession::open(Arc::clone(&driver) as Arc<dyn Driver>, &setup).unwrap();
        let steps = ["network", "plan", "weights", "tables", "upload and launches", "scores", "end"];
        // The cache has all weights after the first round, as in any long run.
        let mut best = [f64::INFINITY; 7];
        for _ in 0..8 {
            let mut all = [0.0; 7];
            for cells in workload(space).chunks(GROUP) {
                let mut now = Instant::now();
                let network = |cell: &Architecture| cell.network(&SkeletonSettings::default()).unwrap();
                let networks: Vec<Network> = cells.iter().map(network).collect();
                all[0] += lap(&mut now);
                let plan = |(index, network): (usize, &Network)| {
                    let plan = setup.plan(network).unwrap();
                    let network = Prepared::new(plan, session.limits(), &*setup.source).unwrap();
                    Queued { index, network }
                };
                let group: Vec<Queued> = networks.iter().enumerate().map(plan).collect();
                all[1] += lap(&mut now);
                driver.take_launches();
                let (placed, left) = Placed::new(group, session.cache(), &mut |_, error| panic!("{error}"));
                assert!(left.is_empty());
                all[2] += lap(&mut now);
                let (forms, rows) = (session.limits().forms, session.cache().rows());
                let packed = placed.pack(forms, rows).unwrap();
                all[3] += lap(&mut now);
                let in_flight = InFlight::start_packed(&mut session, packed, false).ok().unwrap();
                all[4] += lap(&mut now);
                let Ended { packed, results, memory } = in_flight.wait().ok().unwrap();
                let outcomes = packed.outcomes(&results, &setup, None);
                all[5] += lap(&mut now);
                assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "{:?}", outcomes[0]);
                session.reuse(memory);
                drop((packed, results, networks));
                all[6] += lap(&mut now);
                // A group costs the launches of its deepest network, that of the weights included.
                assert!(driver.take_launches().len() <= 120);
            }
            for (best, time) in best.iter_mut().zip(all) {
                *best = best.min(time / 200.0);
            }
        }
        print!("{space}, us a network:");
        steps.iter().zip(best).for_each(|(step, time)| print!(" {step} {time:.1}"));
        println!();
    }
}

#[test]
fn the_host_hands_in_every_network_of_a_stream() {
    for space in ["nasbench101", "nasbench201"] {
        let cells = workload(space);
        let driver = Arc::new(NullDriver::default());
        let scorer = crate::Scorer::builder(Batch::synthetic(32, 0).unwrap()).cuda_driver(driver);
        let scorer = scorer.group_size(GROUP).build().unwrap();
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            let cells = cells.clone().into_iter().cycle().take(1000);
            let networks = cells.map(|cell| cell.network(&SkeletonSettings::default()).unwrap());
            assert_eq!(scorer.stream(networks).filter(|score| score.is_ok()).count(), 1000);
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
        println!("{space}: {best:.1} us a network in all");
    }
}

#[test]
fn few_launches_of_a_group_leave_a_large_device_idle() {
    for (space, images, stem, most) in [
        ("nasbench101", 32, 16, 0.1),
        ("nasbench101", 128, 16, 0.15),
        ("nasbench101", 32, 128, 0.15),
        ("nasbench101", 128, 128, 0.15),
        ("nasbench201", 32, 16, 0.15),
        ("nasbench201", 128, 16, 0.25),
    ] {
        let setup = setup(images);
        let driver = Arc::new(NullDriver::default());
        let mut session = CudaSession::open(Arc::clone(&driver) as Arc<dyn Driver>, &setup).unwrap();
        let limits = *session.limits();
        let settings = SkeletonSettings { stem: Some(stem), ..SkeletonSettings::default() };
        let (mut load, mut group) = (Load::default(), Vec::new());
        for (index, cell) in workload(space).iter().cycle().enumerate() {
            let plan = setup.plan(&cell.network(&settings).unwrap()).unwrap();
            let network = Prepared::new(plan, &limits, &*setup.source).unwrap();
            let room = load.has_room_for(&network.load, image(&network.plan), &limits);
            if !room || load.is_full(&limits) {
                break;
            }
            load.add(&network.load);
            group.push(Queued { index, network });
        }
        let (placed, left) = Placed::new(group, session.cache(), &mut |_, error| panic!("{error}"));
        let packed = placed.pack(limits.forms, session.cache().rows()).unwrap();
        let in_flight = InFlight::start_packed(&mut session, packed, false).ok().unwrap();
        drop(in_flight);
        let launches = driver.take_launches();
        let is_of_a_slot =
            |kernel: &str| ["conv", "combine", "windows"].iter().any(|stage| kernel.starts_with(stage));
        let launches: Vec<_> = launches.into_iter().filter(|(kernel, _)| is_of_a_slot(kernel)).collect();
        let few = launches.iter().filter(|&&(_, blocks)| blocks < 4 * 132).count();
        let few = few as f64 / launches.len() as f64;
        println!(
            "{space} stem {stem} N = {images}: {} networks, {} launches of slots, {:.1} % of them under 528 blocks",
            load.networks - left.len(),
            launches.len(),
            100.0 * few
        );
        assert!(few < most, "{space} stem {stem} N = {images}: {few}");
    }
}

#[test]
fn networks_that_take_most_of_the_memory_run_by_themselves() {
    let driver = Arc::new(NullDriver::default());
    let builder =
        crate::Scorer::builder(Batch::synthetic(64, 0).unwrap()).cuda_driver(Arc::clone(&driver) as _);
    let networks: Vec<Network> = workload("nasbench101")[..12]
        .iter()
        .map(|cell| {
            cell.network(&SkeletonSettings { stem: Some(32), ..SkeletonSettings::default() }).unwrap()
        })
        .collect();
    let unlimited = builder.clone().build().unwrap();
    let sizes: Vec<u64> = networks.iter().map(|network| unlimited.memory(network).unwrap()).collect();
    let limit = *sizes.iter().max().unwrap();
    assert!(sizes.iter().filter(|&&size| size > limit / 2).count() > 1, "{sizes:?}");
    drop(unlimited);
    let scorer = builder.memory_limit(limit).build().unwrap();
    driver.forget_peak();
    assert!(scorer.score_all(&networks).iter().all(Result::is_ok));
    let most = driver.peak();
    // The weights, which networks share, and tables are not counted.
    assert!(most <= limit + (24 << 20), "{most} bytes of {limit}");
}
