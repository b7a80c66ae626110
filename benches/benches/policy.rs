//! Policies in the sandbox: beside the same code natively, what crossing costs, what an instance costs, what loading costs,
//! and what each meter costs.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use avoid_hot_racks::AvoidHotRacks;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use slotwise::policy::{HostTable, Query, SetId};
use slotwise::{ExtraInfo, Workload};
use slotwise_policy::Policy as _;
use slotwise_sandbox::{Limits, Policy, PolicyOptions};

const SETTINGS: &str = "refuse_over=32 prefer_below=25";

fn path(name: &str) -> PathBuf {
    let wasm = std::env::var_os("SLOTWISE_WASM").expect("cargo xtask bench names the component");
    PathBuf::from(wasm).with_file_name("policies").join(name).with_extension("wasm")
}

fn options() -> PolicyOptions {
    // Never stopped, however slow the machine is.
    let limits = Limits { time: Duration::from_secs(60), ..Limits::for_policies() };
    PolicyOptions { configuration: SETTINGS.into(), limits, ..PolicyOptions::default() }
}

fn load(options: PolicyOptions) -> Policy {
    Policy::load(path("avoid-hot-racks"), options).expect("cargo xtask policies builds it")
}

fn info(entries: &[(&str, &str)]) -> ExtraInfo {
    let mut info = ExtraInfo::new();
    for (key, value) in entries {
        info.insert(*key, Some((*value).to_owned())).expect("an entry");
    }
    info
}

/// Hosts in 500 racks with their temperatures, with so many pools each.
fn hosts(count: usize, pools: u32) -> HostTable {
    let mut table = HostTable::new();
    let racks: Vec<SetId> = (0..500)
        .map(|rack| {
            let celsius = format!("{}.5", 18 + rack % 20);
            table.set(&info(&[("rack", &format!("r{rack}")), ("inlet_celsius", &celsius)])).expect("a set")
        })
        .collect();
    let kinds: Vec<SetId> = (0..16)
        .map(|kind| {
            table
                .set(&info(&[("vendor_id", "15b3"), ("product_id", &format!("10{kind:02x}"))]))
                .expect("a set")
        })
        .collect();
    for i in 0..count {
        table.push_host(&format!("node-{i}"), racks[i % 500]).expect("a host");
        for p in 0..pools {
            table.push_pool(kinds[(i + p as usize) % 16], Some(p % 2), p).expect("a pool");
        }
    }
    table
}

fn native(table: &HostTable) -> slotwise_policy::Hosts {
    use slotwise_policy::bindings::exports::slotwise::policy::api;
    let texts = |texts: &slotwise::policy::Texts| api::Texts {
        joined: texts.joined().to_owned(),
        ends: texts.ends().to_vec(),
    };
    let sets = table.sets();
    api::Hosts {
        count: u32::try_from(table.len()).expect("a table counts in 32 bits"),
        sets: api::AttributeSets {
            texts: texts(sets.texts()),
            ends: sets.ends().to_vec(),
            keys: sets.keys().to_vec(),
            values: sets.values().to_vec(),
        },
        names: texts(table.names()),
        attributes: table.attributes().to_vec(),
        pool_ends: table.pool_ends().to_vec(),
        pool_sets: table.pool_sets().to_vec(),
        pool_numa_nodes: table.pool_numa_nodes().to_vec(),
        pool_free: table.pool_free().to_vec(),
    }
    .into()
}

/// Ten thousand hosts: natively, in a fresh instance, in a kept one, and with each meter.
fn ten_thousand(criterion: &mut Criterion) {
    let (workload, facts) = (Workload::default(), ExtraInfo::new());
    let query = Query { workload: &workload, facts: &facts };
    let with = |fuel: Option<u64>, keep_instances: bool| {
        let limits = Limits { fuel, ..options().limits };
        load(PolicyOptions { limits, keep_instances, ..options() })
    };
    let fuel = Some(1 << 40);
    let policies = [
        ("fresh, epoch", with(None, false)),
        ("kept, epoch", with(None, true)),
        ("fresh, epoch and fuel", with(fuel, false)),
        ("kept, epoch and fuel", with(fuel, true)),
    ];
    let by_hand = AvoidHotRacks::configure(SETTINGS).expect("settings");
    for pools in [1, 4, 16] {
        let table = hosts(10_000, pools);
        let (asked, columns) = (slotwise_policy::Query::default(), native(&table));
        let mut group = criterion.benchmark_group(format!("policy, 10000 hosts of {pools} pools"));
        group.bench_function("filter/natively", |bencher| {
            bencher.iter(|| by_hand.filter(black_box(&asked), black_box(&columns)));
        });
        group.bench_function("score/natively", |bencher| {
            bencher.iter(|| by_hand.score(black_box(&asked), black_box(&columns)));
        });
        group.bench_function("score/natively, on a copy", |bencher| {
            bencher.iter(|| by_hand.score(black_box(&asked), &black_box(&columns).clone()));
        });
        for (name, policy) in &policies {
            group.bench_function(BenchmarkId::new("filter", name), |bencher| {
                bencher.iter(|| policy.try_filter(black_box(&query), black_box(&table)).expect("verdicts"));
            });
            group.bench_function(BenchmarkId::new("score", name), |bencher| {
                bencher.iter(|| policy.try_score(black_box(&query), black_box(&table)).expect("scores"));
            });
        }
        group.finish();
    }
}

/// What a call costs beyond its rows: no hosts, and one.
fn crossing(criterion: &mut Criterion) {
    let (workload, facts) = (Workload::default(), ExtraInfo::new());
    let query = Query { workload: &workload, facts: &facts };
    let mut group = criterion.benchmark_group("policy, a call");
    for keep_instances in [false, true] {
        let policy = load(PolicyOptions { keep_instances, ..options() });
        let kind = if keep_instances { "kept instance" } else { "fresh instance" };
        for count in [0, 1] {
            let table = hosts(count, 1);
            group.bench_function(BenchmarkId::new(kind, format!("{count} hosts")), |bencher| {
                bencher.iter(|| policy.try_filter(black_box(&query), black_box(&table)).expect("verdicts"));
            });
        }
    }
    group.finish();
}

/// Compiling beside loading from the cache.
fn loading(criterion: &mut Criterion) {
    let cache = tempfile::tempdir().expect("a folder");
    let cached = || PolicyOptions { cache: Some(cache.path().to_owned()), ..options() };
    load(cached());
    let mut group = criterion.benchmark_group("policy, load");
    group.sample_size(10);
    group.bench_function("compiled", |bencher| bencher.iter(|| load(options())));
    group.bench_function("from the cache", |bencher| bencher.iter(|| load(cached())));
    group.finish();
}

criterion_group!(benches, ten_thousand, crossing, loading);
criterion_main!(benches);
