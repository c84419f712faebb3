//! Networks per second: planning, running and scoring of a few fixed cells, weights made before.
//!
//!     cargo bench --bench networks
//!
//! `naswot bench` measures more: whole lists of cells, stages, and what the machine can do at best.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use naswot::workloads::{NASBENCH101, NASBENCH201};
use naswot::{Architecture, Backend, Batch, Network, Precision, Scorer, SkeletonSettings};

const LISTS: [(&str, &str); 2] = [("nasbench101", NASBENCH101), ("nasbench201", NASBENCH201)];
/// The first cells of each list.
const CELLS: usize = 4;
const IMAGES: usize = 32;
const STEM: usize = 16;

fn networks(list: &str) -> Vec<Network> {
    let network = |line| {
        Architecture::from_json(line)
            .unwrap()
            .network(&SkeletonSettings { stem: Some(STEM), ..SkeletonSettings::default() })
            .unwrap()
    };
    list.lines().take(CELLS).map(network).collect()
}

fn bench(criterion: &mut Criterion) {
    for (space, list) in LISTS {
        let networks = networks(list);
        let mut group = criterion.benchmark_group(format!("{space}-stem{STEM}-n{IMAGES}"));
        group.throughput(Throughput::Elements(CELLS as u64));
        for precision in [Precision::F32, Precision::F64] {
            let batch = Batch::synthetic(IMAGES, 0).unwrap();
            let scorer = Scorer::builder(batch).backend(Backend::Cpu).precision(precision).build().unwrap();
            group.bench_function(precision.name(), |bencher| {
                bencher.iter(|| black_box(scorer.score_all(black_box(&networks))));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = bench
}
criterion_main!(benches);
