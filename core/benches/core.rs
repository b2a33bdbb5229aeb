//! How long the core's own work takes, natively: `cargo bench -p tidewire-core --bench core`; words after `--` choose.
//! The browser pays about twice as much. What may not grow unnoticed is counted: `work.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(unreachable_pub, reason = "modules of two benches and the tests")]

#[path = "workloads/mod.rs"]
mod workloads;
#[path = "../tests/world/mod.rs"]
mod world;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn all(c: &mut Criterion) {
    for (name, count, prepare) in workloads::ALL {
        let (group, name) = name.split_once('/').unwrap();
        let mut group = c.benchmark_group(group);
        group.throughput(Throughput::Elements(*count)).sample_size(10);
        group.bench_function(name, |b| b.iter_batched(prepare, |work| work(), BatchSize::PerIteration));
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
