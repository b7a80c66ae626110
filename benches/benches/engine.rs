//! The engine's own work, over growing hosts.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slotwise::{FreeScope, Tracker};
use slotwise_benches::host::{self, SIZES};

/// The rules against every function of a host.
fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    let specs = host::specs().expect("the rules are valid");
    for functions in SIZES {
        let devices = host::devices(functions).expect("the addresses are in range");
        group.throughput(Throughput::Elements(functions as u64));
        group.bench_with_input(BenchmarkId::from_parameter(functions), &devices, |bencher, devices| {
            bencher.iter(|| devices.iter().filter(|device| specs.matching(device).is_some()).count());
        });
    }
    group.finish();
}

/// What a scheduler asks most: does this fit.
fn fit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fit");
    for (name, text) in [("three VFs", host::WORKLOAD), ("a whole card", host::WHOLE_CARD)] {
        let workload = host::workload(text).expect("the workload is valid");
        for functions in SIZES {
            let tracker = host::tracker(functions).expect("the host is valid");
            group.bench_function(BenchmarkId::new(name, functions), |bencher| {
                bencher.iter(|| black_box(&tracker).fit(black_box(&workload)));
            });
        }
    }
    group.finish();
}

/// A claim and its release, so that the host is the same for the next one.
fn claim(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("claim and free");
    for (name, text) in [("three VFs", host::WORKLOAD), ("a whole card", host::WHOLE_CARD)] {
        let workload = host::workload(text).expect("the workload is valid");
        for functions in SIZES {
            let mut tracker = host::tracker(functions).expect("the host is valid");
            group.bench_function(BenchmarkId::new(name, functions), |bencher| {
                bencher.iter(|| {
                    let fit = tracker.claim("vm", &workload).expect("the claim is valid");
                    assert!(fit.fits());
                    tracker.free("vm", FreeScope::All)
                });
            });
        }
    }
    group.finish();
}

/// The periodic look at a host where nothing changed.
fn sync_unchanged(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sync unchanged");
    for functions in SIZES {
        let devices = host::devices(functions).expect("the addresses are in range");
        let mut tracker = host::tracker(functions).expect("the host is valid");
        group.throughput(Throughput::Elements(functions as u64));
        group.bench_function(BenchmarkId::from_parameter(functions), |bencher| {
            bencher.iter_batched(
                || devices.clone(),
                |devices| tracker.sync(devices).expect("the devices are valid"),
                BatchSize::LargeInput,
            );
        });
        assert!(tracker.changes().is_empty(), "an unchanged sync has nothing to write");
    }
    group.finish();
}

/// bincode against JSON, both ways.
fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    for functions in SIZES {
        let tracker = host::tracker(functions).expect("the host is valid");
        let (bytes, json) = (tracker.snapshot(), tracker.snapshot_json());
        group.throughput(Throughput::Elements(functions as u64));
        group.bench_function(BenchmarkId::new("write bincode", functions), |b| b.iter(|| tracker.snapshot()));
        group.bench_function(BenchmarkId::new("write JSON", functions), |b| {
            b.iter(|| tracker.snapshot_json());
        });
        group.bench_function(BenchmarkId::new("read bincode", functions), |bencher| {
            bencher.iter(|| Tracker::from_snapshot(&bytes).expect("what was written can be read"));
        });
        group.bench_function(BenchmarkId::new("read JSON", functions), |bencher| {
            bencher.iter(|| Tracker::from_snapshot_json(&json).expect("what was written can be read"));
        });
    }
    group.finish();
}

criterion_group!(benches, matching, fit, claim, sync_unchanged, snapshot);
criterion_main!(benches);
