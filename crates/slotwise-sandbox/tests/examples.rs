//! The example policies: in the sandbox they say what they say natively.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use avoid_hot_racks::AvoidHotRacks;
use narrow_links_last::NarrowLinksLast;
use separate_tenants::SeparateTenants;
use slotwise::policy::{self, DeviceTable, HostTable, Query, SetId};
use slotwise::{Device, ExtraInfo, Workload};
use slotwise_policy::Policy as _;
use slotwise_sandbox::{Error, Limits, Policy, PolicyOptions, inspect};
use slotwise_testkit::policy::{info, native};

fn path(name: &str) -> PathBuf {
    common::target_dir().join("wasm/policies").join(name).with_extension("wasm")
}

fn load(name: &str, configuration: &str) -> Result<Policy, Error> {
    let options = PolicyOptions { configuration: configuration.into(), ..PolicyOptions::default() };
    let path = path(name);
    assert!(path.exists(), "{} is not there; `cargo xtask policies` builds it", path.display());
    Policy::load(path, options)
}

/// A thousand hosts: switches, temperatures, pools and gaps in all combinations.
fn hosts() -> HostTable {
    let mut table = HostTable::new();
    let sets: Vec<SetId> = (0..60)
        .map(|i| {
            let mut facts = info(&[
                ("switch", &format!("leaf-{}", i % 4)),
                ("inlet_celsius", &format!("{}.5", 20 + i % 20)),
            ]);
            if i % 7 == 0 {
                facts.remove("switch");
            }
            if i % 11 == 0 {
                facts.insert("inlet_celsius", None).expect("a fact");
            }
            table.set(&facts).expect("a set")
        })
        .collect();
    let pool = table.set(&info(&[("vendor_id", "15b3"), ("product_id", "1018")])).expect("a set");
    for i in 0..1000_u32 {
        table.push_host(&format!("node-{i}"), sets[i as usize % 60]).expect("a host");
        for p in 0..i % 5 {
            table.push_pool(pool, Some(p % 2), i % 17).expect("a pool");
        }
    }
    table
}

#[test]
fn tenants_are_kept_apart_as_natively() {
    const SWITCHES: &str = "leaf-1 = payroll, audit\nleaf-2 = audit\n";
    let sandboxed = load("separate-tenants", SWITCHES).expect("a policy");
    let by_hand = SeparateTenants::configure(SWITCHES).expect("a policy");
    let (table, workload) = (hosts(), Workload::default());
    for project in ["payroll", "audit", "web"] {
        let facts = info(&[("project_id", project)]);
        let verdicts =
            sandboxed.try_filter(&Query { workload: &workload, facts: &facts }, &table).expect("verdicts");
        let query = slotwise_policy::Query::of([("project_id", project)]);
        let expected = by_hand.filter(&query, &native(&table)).expect("verdicts");
        for host in 0..table.len() {
            assert_eq!(verdicts.reason(host), expected.reason(host), "{project}, host {host}");
        }
    }
    let none = ExtraInfo::new();
    let error =
        sandboxed.try_filter(&Query { workload: &workload, facts: &none }, &table).expect_err("no project");
    assert_eq!(error.to_string(), "the policy says: the caller does not name the fact project_id");
}

#[test]
fn hot_racks_are_avoided_as_natively() {
    const SETTINGS: &str = "refuse_over=32 prefer_below=25";
    let sandboxed = load("avoid-hot-racks", SETTINGS).expect("a policy");
    let by_hand = AvoidHotRacks::configure(SETTINGS).expect("a policy");
    let (table, workload, facts) = (hosts(), Workload::default(), ExtraInfo::new());
    let query = Query { workload: &workload, facts: &facts };
    let (verdicts, scores) = (
        sandboxed.try_filter(&query, &table).expect("verdicts"),
        policy::score(&sandboxed, &query, &table).expect("scores"),
    );
    let asked = slotwise_policy::Query::default();
    let expected = by_hand.filter(&asked, &native(&table)).expect("verdicts");
    for host in 0..table.len() {
        assert_eq!(verdicts.reason(host), expected.reason(host), "host {host}");
    }
    assert_eq!(scores, by_hand.score(&asked, &native(&table)).expect("scores"));
    let error = load("avoid-hot-racks", "refuse_over=warm").expect_err("a wrong configuration");
    assert!(
        matches!(&error, Error::Refused(reason) if reason == "refuse_over: warm is no number"),
        "{error}"
    );
}

#[test]
fn narrow_links_come_last_as_natively() {
    let sandboxed = load("narrow-links-last", "").expect("a policy");
    let links = [("8", "16"), ("16", "16"), ("x", "16"), ("1", "4"), ("32", "16")];
    let attributes = links.map(|(now, most)| [("current_link_width", now), ("max_link_width", most)]);
    let devices: Vec<Device> = attributes
        .iter()
        .enumerate()
        .map(|(i, attributes)| {
            let mut device =
                Device::new(format!("0000:3b:00.{i}").parse().expect("an address"), "15b3", "101d");
            device.extra_info = info(attributes);
            device
        })
        .collect();
    let (workload, facts) = (Workload::default(), ExtraInfo::new());
    let query = Query { workload: &workload, facts: &facts };
    let table = DeviceTable::of("node-1", &devices).expect("devices");
    let natively = slotwise_policy::Devices::of("node-1", attributes.map(|attributes| ("", attributes)));
    let expected =
        NarrowLinksLast.prefer(&slotwise_policy::Query::default(), &natively).expect("preferences");
    assert_eq!(policy::prefer(&sandboxed, &query, &table).expect("preferences"), expected);
    let order = policy::order(&[&sandboxed], &query, || Ok(table)).expect("an order");
    assert_eq!(order, Some(vec![vec![1, 2, 4], vec![0], vec![3]]));
}

#[test]
fn examples_import_nothing_but_the_log() {
    for name in ["template", "avoid-hot-racks", "narrow-links-last", "separate-tenants"] {
        let found = inspect(&std::fs::read(path(name)).expect("a component")).expect("a component");
        assert_eq!(found.unexpected_imports().count(), 0, "{name}: {:?}", found.imports);
        assert!(found.is_policy(), "{name}: {:?}", found.exports);
    }
    assert_eq!(load("template", "r1").expect("a policy").name(), "template");
}

#[test]
fn a_policy_in_javascript_orders_devices() {
    if std::env::var_os("SLOTWISE_JAVASCRIPT").is_none() {
        eprintln!("skipped: its 12 MB take a minute to compile in a debug build; set SLOTWISE_JAVASCRIPT=1");
        return;
    }
    if !path("old-firmware-last").exists() {
        eprintln!("skipped: `cargo xtask policies` could not build the policy in JavaScript and says why");
        return;
    }
    // Its code is compiled once for all test runs: 12 MB take seconds.
    let options = |configuration: &str| PolicyOptions {
        configuration: configuration.into(),
        limits: Limits { time: Duration::from_secs(10), ..Limits::for_policies() },
        cache: Some(common::target_dir().join("policy-cache")),
        ..PolicyOptions::default()
    };
    let policy =
        Policy::load(path("old-firmware-last"), options(r#"{"oldest": "22.31"}"#)).expect("a policy");
    assert!(policy.scope().prefer && !policy.scope().filter);
    let devices: Vec<Device> = ["22.30.1", "22.35.2", "22.31.0", "22.35.10"]
        .iter()
        .enumerate()
        .map(|(i, version)| {
            let mut device =
                Device::new(format!("0000:3b:00.{i}").parse().expect("an address"), "15b3", "101d");
            device.extra_info = info(&[("firmware_version", version)]);
            device
        })
        .collect();
    let (workload, facts) = (Workload::default(), ExtraInfo::new());
    let query = Query { workload: &workload, facts: &facts };
    let table = DeviceTable::of("node-1", &devices).expect("devices");
    assert_eq!(policy::prefer(&policy, &query, &table).expect("preferences"), [0.0, 2.0, 1.0, 3.0]);
    let error = Policy::load(path("old-firmware-last"), options("{")).expect_err("a wrong configuration");
    assert!(
        matches!(&error, Error::Refused(reason) if reason.starts_with("the configuration is not JSON")),
        "{error}"
    );
}
