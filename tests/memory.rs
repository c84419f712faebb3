//! What a network takes is known before it runs.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::networks::workload;
use naswot::{Backend, Batch, Error, Network, Precision, Scorer, SkeletonSettings, Stage};

/// The system's allocator, with a count of the bytes in use and of the most there were.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    PEAK.fetch_max(USED.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; the counters touch no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if both were there for a moment, which they may be.
        add(size);
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Held by a test that looks at the counters.
static COUNTED: Mutex<()> = Mutex::new(());

#[test]
fn a_scorer_knows_within_a_tenth_what_running_it_takes() {
    let _counted = COUNTED.lock();
    // The tables of quantiles, normal and uniform, are no network's: a process makes each of them once.
    let scorer = Scorer::builder(Batch::synthetic(1, 0).unwrap()).backend(Backend::Cpu).build().unwrap();
    for space in ["nasbench101", "nasbench201"] {
        let network = workload(space)[1].network(&SkeletonSettings::default()).unwrap();
        scorer.score(&network).unwrap();
    }
    let mut worst = (1.0f64, 1.0f64);
    for (space, stem, images) in [("nasbench101", 16, 8), ("nasbench101", 48, 16), ("nasbench201", 16, 16)] {
        let batch = Batch::synthetic(images, 0).unwrap();
        let twins = &Stage::OF_DEVICE[..];
        for (precision, twins) in
            [(Precision::F32, &[][..]), (Precision::F32, twins), (Precision::F64, twins)]
        {
            let builder = Scorer::builder(batch.clone()).backend(Backend::Cpu).threads(1);
            let builder = builder.precision(precision).twins(twins);
            for architecture in workload(space).iter().step_by(40) {
                let network = architecture
                    .network(&SkeletonSettings { stem: Some(stem), ..SkeletonSettings::default() })
                    .unwrap();
                // One of its own: weights are kept for the networks to come.
                let scorer = builder.clone().build().unwrap();
                let known = scorer.memory(&network).unwrap() as f64;
                let before = USED.load(Relaxed);
                PEAK.store(before, Relaxed);
                scorer.score(&network).unwrap();
                let taken = (PEAK.load(Relaxed) - before) as f64;
                let ratio = taken / known;
                worst = (worst.0.min(ratio), worst.1.max(ratio));
                assert!((0.9..=1.1).contains(&ratio), "{}: {taken} bytes, not {known}", network.id());
            }
        }
    }
    println!("taken / known from {:.3} to {:.3}", worst.0, worst.1);
}

/// The largest of these networks take ten times the limit, by their weights alone.
#[test]
fn networks_and_the_weights_that_are_kept_stay_within_the_limit() {
    const LIMIT: u64 = 12 << 20;
    let _counted = COUNTED.lock();
    let batch = Batch::synthetic(2, 0).unwrap();
    let twins = &Stage::OF_DEVICE[..];
    for (precision, twins) in [(Precision::F32, &[][..]), (Precision::F64, twins)] {
        let builder = Scorer::builder(batch.clone()).backend(Backend::Cpu).precision(precision);
        let scorer = builder.twins(twins).threads(2).memory_limit(LIMIT).build().unwrap();
        let networks: Vec<Network> = workload("nasbench101")
            .iter()
            .step_by(10)
            .zip([8, 64, 16, 32, 128].into_iter().cycle())
            .map(|(architecture, stem)| {
                let settings = SkeletonSettings { stem: Some(stem), cells: Some(2) };
                architecture.network(&settings).unwrap()
            })
            .collect();
        let before = USED.load(Relaxed);
        PEAK.store(before, Relaxed);
        let scores: Vec<_> = scorer.stream(networks).collect();
        let taken = (PEAK.load(Relaxed) - before) as u64;
        let (scored, refused): (Vec<_>, Vec<_>) = scores.into_iter().partition(Result::is_ok);
        assert!(scored.len() >= 4 && refused.len() >= 4, "{} scored, {} not", scored.len(), refused.len());
        for error in refused {
            let Err(Error::Memory { needed, limit: LIMIT }) = error else { panic!("{error:?}") };
            assert!(needed > LIMIT);
        }
        // The networks themselves, and rows of scores, are not counted.
        assert!(taken < LIMIT + (8 << 20), "{taken} bytes");
    }
}
