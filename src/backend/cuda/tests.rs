//! What the host has to do for a group, measured on a device that does nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::backend::group::Joins;
use crate::backend::group::run::{Fault, Gathered, Planned, Session as _};
use crate::space::Architecture;
use crate::{Batch, Convention, Weights};

/// A device that counts what it is asked for.
#[derive(Debug, Default)]
struct Nothing {
    allocated: AtomicUsize,
    launches: AtomicUsize,
    bytes: AtomicUsize,
}

impl Driver for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }
    fn free_memory(&self) -> Result<u64, Fault> {
        Ok(80 << 30)
    }
    fn bandwidth(&self) -> u64 {
        4_000_000_000_000
    }
    fn allocate(&self, bytes: u64) -> Result<u64, Fault> {
        Ok(self.allocated.fetch_add(bytes.next_multiple_of(256) as usize, Ordering::Relaxed) as u64 + 256)
    }
    fn free(&self, _: u64) {}
    fn write(&self, _: usize, _: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(())
    }
    fn copy(&self, _: usize, _: u64, _: u64, _: u64) -> Result<(), Fault> {
        Ok(())
    }
    fn launch(&self, _: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault> {
        assert!(launch.grid[0] > 0 && (1..=65_535).contains(&launch.grid[1]), "{launch:?}");
        self.launches.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn follow(&self, _: usize, _: usize) -> Result<(), Fault> {
        Ok(())
    }
    fn wait(&self, _: usize) -> Result<(), Fault> {
        Ok(())
    }
    fn read(&self, _: usize, _: u64, to: &mut [u8]) -> Result<(), Fault> {
        to.fill(0);
        Ok(())
    }
    fn renew(&self) -> Result<Arc<dyn Driver>> {
        Ok(Arc::new(Nothing::default()))
    }
}

fn setup(images: usize) -> Setup {
    let weights = Weights::default();
    Setup {
        batch: Batch::synthetic(images, 0).unwrap(),
        source: weights.source(),
        weights,
        convention: Convention::Relu,
        precision: Precision::F32,
        threads: 1,
        group_size: None,
        memory_limit: None,
        keep_kernels: false,
        twins: Vec::new(),
        probe: None,
    }
}

/// The cells of a space that figures are measured on.
fn workload(space: &str, setup: &Setup, limits: &Limits) -> Vec<Planned> {
    let path = format!("{}/benches/workloads/{space}_200.jsonl", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let plan = |(index, (_, architecture)): (usize, (usize, crate::Result<Architecture>))| {
        let plan = setup.plan(&architecture.unwrap().network(16, None).unwrap()).unwrap();
        let load = Load::of(&plan, limits).unwrap();
        Planned { index, plan, load }
    };
    Architecture::read_lines(&file[..]).enumerate().map(plan).collect()
}

#[test]
fn a_group_is_few_launches_which_cost_the_host_little() {
    let setup = setup(2);
    for space in ["nasbench101", "nasbench201"] {
        let driver = Arc::new(Nothing::default());
        let image: Arc<[f32]> = octets_last(&setup.batch).into();
        let mut session = Session::new(Arc::clone(&driver) as Arc<dyn Driver>, &setup, image).unwrap();
        // The pool knows all weights after the first round, as in any long run.
        let mut best = [f64::INFINITY; 3];
        for _ in 0..4 {
            let mut networks = workload(space, &setup, session.limits());
            while !networks.is_empty() {
                let group: Vec<Planned> = networks.drain(..networks.len().min(64)).collect();
                let count = group.len() as f64;
                let launches = driver.launches.load(Ordering::Relaxed);
                let start = Instant::now();
                let gathered = Gathered::new(group, &mut session.pool, &mut |_, error| panic!("{error}"));
                let place = start.elapsed();
                let (flight, left) = gathered.lay_out(&session.pool, Joins::LastBlock);
                let lay_out = start.elapsed() - place;
                assert!(left.is_empty());
                let flight = flight.unwrap();
                let mut lane = session.lane().unwrap();
                let start = Instant::now();
                session.fly(&flight.group, false, &mut lane).unwrap();
                let fly = start.elapsed();
                session.give_back(lane);
                // A group costs the launches of its deepest network, that of the weights included.
                assert!(driver.launches.load(Ordering::Relaxed) - launches <= 120);
                for (best, time) in best.iter_mut().zip([place, lay_out, fly]) {
                    *best = best.min(time.as_secs_f64() * 1e6 / count);
                }
            }
        }
        let [place, lay_out, fly] = best;
        println!(
            "{space}, us a network: weights {place:.1}, tables {lay_out:.1}, upload and launches {fly:.1}"
        );
        // Without optimisation this measures the compiler.
        assert!(cfg!(debug_assertions) || fly < 10.0, "{fly:.1} us a network of {space}");
    }
}
