//! The solver on ordinary hosts and at scale: how its cost grows, the cases that others explode on, and the hardest
//! instances kept.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slotwise::{Fit, Pools, Workload, json};
use slotwise_testkit::hard;

/// Pools of one device each, as NVMe drives are: nothing to merge but what is interchangeable.
fn singles(count: usize) -> Pools {
    let pools: Vec<String> = (0..count)
        .map(|i| {
            format!(
                r#"{{"vendor_id": "144d", "product_id": "a80a", "numa_node": {}, "count": 1,
                    "tags": {{"dev_type": "type-PCI", "address": "{:04x}:{:02x}:00.0"}}}}"#,
                i % 2,
                i / 256,
                i % 256
            )
        })
        .collect();
    Pools::from_json(&format!("[{}]", pools.join(",")), None).expect("the pools are valid")
}

fn workload(text: &str) -> Workload {
    json::parse(text, "workload").expect("the workload is valid")
}

/// 17 of 16 interchangeable devices, up to 4,097 of 4,096: a refutation by counting, linear in the pools.
fn refuse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refuse one too many");
    for count in [16, 64, 256, 1024, 4096] {
        let pools = singles(count);
        let workload = workload(&format!(
            r#"{{"requests": [{{"count": {}, "alternatives": [{{"vendor_id": "144d"}}]}}]}}"#,
            count + 1
        ));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let fit = black_box(&pools).fit(black_box(&workload));
                assert!(matches!(fit, Ok(Fit::NoFit(_))));
            });
        });
    }
    group.finish();
}

/// Groups of one device each on as many providers, where trying combinations costs n to the power of n.
fn groups_on_providers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one canonical answer");
    for count in [2, 4, 8, 16] {
        let mut pools = String::new();
        let (mut requests, mut mapping) = (String::new(), String::new());
        for i in 0..count {
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(
                pools,
                r#"{comma}{{"vendor_id": "10de", "product_id": "2330", "count": 1,
                    "tags": {{"dev_type": "type-PCI", "address": "0000:{i:02x}:00.0", "rp_uuid": "rp-{i}"}}}}"#
            );
            let _ = write!(
                requests,
                r#"{comma}{{"request_id": "r{i:02}", "alternatives": [{{"vendor_id": "10de"}}]}}"#
            );
            let _ = write!(mapping, r#"{comma}"r{i:02}-0": ["rp-{}"]"#, count - 1 - i);
        }
        let pools = Pools::from_json(&format!("[{pools}]"), None).expect("the pools are valid");
        let free = workload(&format!(r#"{{"requests": [{requests}]}}"#));
        let mapped = workload(&format!(r#"{{"requests": [{requests}], "provider_mapping": {{{mapping}}}}}"#));
        for (name, workload) in [("any provider", &free), ("mapped by Placement", &mapped)] {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher
                    .iter(|| assert!(black_box(&pools).fit(black_box(workload)).is_ok_and(|fit| fit.fits())));
            });
        }
    }
    group.finish();
}

/// Cards with 64 VFs each; half of the requests want a PF, half a VF, in the order that misleads a greedy search.
fn mixed_cards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("PFs and VFs of 64-VF cards");
    for cards in [2, 4, 8, 16] {
        let mut pools = String::new();
        for i in 0..cards {
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(
                pools,
                r#"{comma}{{"vendor_id": "15b3", "product_id": "101d", "numa_node": {node}, "count": 1,
                    "tags": {{"dev_type": "type-PF", "address": "0000:{i:02x}:00.0"}}}},
                  {{"vendor_id": "15b3", "product_id": "101e", "numa_node": {node}, "count": 64,
                    "tags": {{"dev_type": "type-VF", "address": "0000:{i:02x}:00.0"}}}}"#,
                node = i % 2
            );
        }
        let pools = Pools::from_json(&format!("[{pools}]"), None).expect("the pools are valid");
        let ask = |whole: usize, functions: usize| {
            // VFs come first: served one after the other they would break into the card that the last PF needs.
            let vfs = (0..functions).map(|_| {
                r#"{"count": 64, "alternatives": [{"product_id": "101e"}], "numa_policy": "preferred"}"#
                    .to_owned()
            });
            let pfs = (0..whole)
                .map(|_| r#"{"alternatives": [{"product_id": "101d", "dev_type": "type-PF"}]}"#.to_owned());
            let requests: Vec<String> = vfs.chain(pfs).collect();
            workload(&format!(r#"{{"requests": [{}]}}"#, requests.join(",")))
        };
        for (name, workload) in
            [("fits", ask(cards / 2, cards / 2)), ("one card too many", ask(cards / 2 + 1, cards / 2))]
        {
            group.bench_function(BenchmarkId::new(name, cards), |bencher| {
                bencher.iter(|| black_box(&pools).fit(black_box(&workload)));
            });
        }
    }
    group.finish();
}

/// Exact beside Nova's strategy where serving one request after the other succeeds.
fn strategies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("strategy");
    let pools: Vec<String> = (0..16)
        .map(|i| {
            format!(
                r#"{{"vendor_id": "15b3", "product_id": "101e", "numa_node": {}, "count": 8,
                    "tags": {{"dev_type": "type-VF", "address": "0000:{i:02x}:00.0", "physical_network": "{}",
                    "remote_managed": "false"}}}}"#,
                i % 2,
                if i % 4 == 0 { "red" } else { "blue" }
            )
        })
        .collect();
    let pools = Pools::from_json(&format!("[{}]", pools.join(",")), None).expect("the pools are valid");
    for strategy in ["nova", "exact"] {
        let workload = workload(&format!(
            r#"{{"requests": [
                {{"count": 2, "alternatives": [{{"vendor_id": "15b3", "physical_network": "blue"}}]}},
                {{"count": 1, "alternatives": [{{"vendor_id": "15b3", "physical_network": "red"}}],
                  "numa_policy": "preferred"}}], "numa_cells": [0], "strategy": "{strategy}"}}"#
        ));
        group.bench_function(strategy, |bencher| {
            bencher.iter(|| assert!(black_box(&pools).fit(black_box(&workload)).is_ok_and(|fit| fit.fits())));
        });
    }
    group.finish();
}

/// Hosts and workloads as they are: what most fits are.
fn realistic(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("realistic host");
    let pools = |kinds: &[(&str, &str, u32, usize)]| {
        let pools: Vec<String> = kinds
            .iter()
            .enumerate()
            .flat_map(|(k, &(product, dev_type, count, pools))| {
                (0..pools).map(move |i| {
                    format!(
                        r#"{{"vendor_id": "8086", "product_id": "{product}", "numa_node": {}, "count": {count},
                            "tags": {{"dev_type": "{dev_type}", "address": "0000:{k:02x}:{i:02x}.0"}}}}"#,
                        i % 2
                    )
                })
            })
            .collect();
        Pools::from_json(&format!("[{}]", pools.join(",")), None).expect("the pools are valid")
    };
    let ask = |kinds: &[(&str, u32)]| {
        let requests: Vec<String> = kinds
            .iter()
            .map(|(product, count)| {
                format!(r#"{{"count": {count}, "alternatives": [{{"vendor_id": "8086", "product_id": "{product}"}}]}}"#)
            })
            .collect();
        workload(&format!(r#"{{"requests": [{}], "numa_cells": [0]}}"#, requests.join(",")))
    };
    let (gpus, nics) = (("2330", "type-PCI", 1, 8), ("101e", "type-VF", 16, 4));
    let drives = ("a80a", "type-PCI", 1, 16);
    for (name, pools, workload) in [
        ("a VF of 4 cards", pools(&[nics]), ask(&[("101e", 1)])),
        ("2 of 8 GPUs and a VF", pools(&[gpus, nics]), ask(&[("2330", 2), ("101e", 1)])),
        ("4 of 16 drives", pools(&[drives]), ask(&[("a80a", 4)])),
        ("no GPU left", pools(&[nics]), ask(&[("2330", 1)])),
        ("5 of 4 near GPUs", pools(&[gpus, nics]), ask(&[("2330", 5)])),
        ("GPUs, VFs and drives", pools(&[gpus, nics, drives]), ask(&[("2330", 2), ("101e", 2), ("a80a", 2)])),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&pools).fit(black_box(&workload)));
        });
    }
    group.finish();
}

/// Requests that each want another kind of the same drives, one more than there are: a refutation with a large conflict.
fn conflict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conflict of many requests");
    for count in [16, 64, 256] {
        let pools = singles(count - 1);
        let requests = vec![r#"{"alternatives": [{"vendor_id": "144d"}]}"#; count].join(",");
        let workload = workload(&format!(r#"{{"requests": [{requests}]}}"#));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| black_box(&pools).fit(black_box(&workload)));
        });
    }
    group.finish();
}

/// The instances kept because they take most search steps.
fn hardest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hardest kept");
    group.sample_size(10);
    for &(family, seed, steps) in hard::HARDEST {
        let (tracker, workload) = hard::instance(family, seed);
        group.bench_function(BenchmarkId::new(format!("{family}, {steps} steps, seed"), seed), |bencher| {
            bencher.iter(|| black_box(&tracker).fit(black_box(&workload)));
        });
    }
    group.finish();
}

criterion_group!(benches, realistic, refuse, groups_on_providers, mixed_cards, strategies, conflict, hardest);
criterion_main!(benches);
