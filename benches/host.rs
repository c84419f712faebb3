//! Costs of a network for the host of a GPU: planning, groups, launches and scores, on a device that runs nothing.
//!
//!     cargo bench --bench host
//!
//! `cargo test --release --lib host -- --nocapture` tells the parts.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use naswot::Scorer;
use naswot::testing::cuda::NullDriver;
use naswot::workloads::Workload;

/// Networks of a group.
const GROUP: usize = 64;

fn bench(criterion: &mut Criterion) {
    for name in ["nasbench101-stem16-n32", "nasbench201-n32"] {
        let workload = Workload::named(name).unwrap();
        let networks = workload.networks().unwrap();
        let scorer = Scorer::builder(workload.batch().unwrap()).cuda_driver(Arc::new(NullDriver::default()));
        let scorer = scorer.group_size(GROUP).build().unwrap();
        let mut group = criterion.benchmark_group("host");
        group.throughput(Throughput::Elements(networks.len() as u64));
        group.bench_function(name, |bencher| {
            let run = |networks| assert!(scorer.stream(networks).all(|score| score.is_ok()));
            bencher.iter_batched(|| networks.clone(), run, BatchSize::LargeInput);
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = bench
}
criterion_main!(benches);
