//! The host of the engine component: its typed calls, its limits, and components that are not the engine.

mod common;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slotwise::{ConfigFormat, ErrorKind, FreeScope, NumaPolicy};
use slotwise_sandbox::{
    Aliases, Config, ENGINE_INTERFACE, EngineComponent, EngineInstance, Error, Limits, Outcome, Pools, Specs,
    Tracker, Workload,
};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

const WIT: &str = include_str!("../../../bindings/wasm/wit/engine.wit");

const POOLS: &str = r#"[{"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": 4,
                         "tags": {"dev_type": "type-VF", "address": "0000:81:00.0"}}]"#;

fn instance() -> EngineInstance {
    common::ENGINE.instantiate().expect("an instance")
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("a JSON document")
}

fn workload(count: u32) -> String {
    json!({"requests": [{"count": count, "alternatives": [{"vendor_id": "8086"}]}]}).to_string()
}

/// The pools of a host with many different pools: a large document that is quickly made.
fn many_pools(count: usize) -> String {
    let pools: Vec<Value> = (0..count)
        .map(|i| {
            let tags = json!({"dev_type": "type-PCI", "rack": format!("rack-{i}"), "pad": "x".repeat(100)});
            json!({"vendor_id": "8086", "product_id": format!("{i:04x}"), "numa_node": 0, "count": 1, "tags": tags})
        })
        .collect();
    Value::from(pools).to_string()
}

// The calls.

#[test]
fn every_kind_of_resource_answers() {
    let engine = &mut instance();
    assert_eq!(engine.version().expect("a version"), slotwise::VERSION);

    let conf = "[pci]\nreport_in_placement = true\n\
                device_spec = {\"vendor_id\": \"8086\", \"product_id\": \"1520\"}\n\
                alias = {\"name\": \"vf\", \"vendor_id\": \"8086\", \"product_id\": \"1520\"}\n";
    let config = Config::parse(engine, conf, ConfigFormat::NovaConf).expect("a configuration");
    assert!(config.report_in_placement && !config.pci_in_placement);
    assert_eq!(document(&config.device_specs.list(engine).expect("rules")).as_array().map(Vec::len), Some(1));

    let specs = Specs::parse(engine, &[r#"{"vendor_id": "8086", "physical_network": "blue"}"#], false)
        .expect("rules");
    assert_eq!(specs.warnings(engine).expect("warnings"), Vec::<String>::new());
    let device = json!({"address": "0000:81:00.1", "vendor_id": "8086", "product_id": "1520"}).to_string();
    assert_eq!(document(&specs.explain(engine, &device).expect("an explanation"))["assignable"], true);

    let aliases =
        Aliases::parse(engine, &[r#"{"name": "nic", "vendor_id": "8086", "product_id": "1520"}"#], false)
            .expect("aliases");
    let created = aliases
        .create(engine, &[r#"{"name": "gpu", "vendor_id": "10de", "product_id": "1eb8"}"#])
        .expect("a new alias");
    assert_eq!(document(&created)["name"], "gpu");
    aliases
        .update(engine, &[r#"{"name": "gpu", "vendor_id": "1002", "product_id": "740f"}"#])
        .expect("another gpu");
    assert_eq!(document(&aliases.list(engine).expect("aliases")).as_array().map(Vec::len), Some(2));
    let requests = aliases.requests(engine, "nic:2", Some(NumaPolicy::Required)).expect("requests");
    assert_eq!(document(&requests)[0]["numa_policy"], "required");
    aliases.delete(engine, "gpu").expect("the old alias");
    let error = aliases.delete(engine, "gpu").expect_err("it is gone");
    assert_eq!(error.input().map(slotwise::Error::kind), Some(ErrorKind::UnknownAlias));

    let tracker = Tracker::new(engine, &specs, None).expect("a tracker");
    let report = tracker.sync(engine, &format!("[{device}]")).expect("a report");
    assert_eq!(document(&report)["added"], json!(["0000:81:00.1"]));
    let one = Workload::parse(engine, &workload(1)).expect("a workload");
    assert_eq!(document(&tracker.fit(engine, &one).expect("an answer"))["outcome"], "fits");
    assert_eq!(document(&tracker.claim(engine, "vm-1", &one).expect("an answer"))["outcome"], "fits");
    assert_eq!(document(&tracker.claim(engine, "vm-2", &one).expect("an answer"))["outcome"], "no_fit");
    assert_eq!(tracker.allocate(engine, "vm-1").expect("an allocation"), ["0000:81:00.1"]);
    let bindings = tracker.bindings(engine, r#"{"owner": "vm-1"}"#).expect("bindings");
    assert_eq!(document(&bindings)[0]["physical_network"], "blue");

    let changes = tracker.changes(engine).expect("changes");
    assert_eq!(document(&changes)[0]["action"], "insert");
    tracker.written(engine, &changes).expect("they are written");
    assert_eq!(tracker.changes(engine).expect("no changes"), "[]");

    let bytes = tracker.snapshot(engine).expect("a snapshot");
    let again = Tracker::restore(engine, &bytes).expect("its own snapshot");
    assert_eq!(again.snapshot(engine).expect("a snapshot"), bytes);
    let text = tracker.snapshot_json(engine).expect("a snapshot");
    let third = Tracker::restore_json(engine, &text).expect("its own snapshot");
    assert_eq!(third.devices(engine).expect("devices"), tracker.devices(engine).expect("devices"));
    let error = Tracker::restore(engine, &bytes[..bytes.len() - 1]).expect_err("a truncated snapshot");
    assert_eq!(error.input().map(slotwise::Error::kind), Some(ErrorKind::InvalidSnapshot));
    let rows = tracker.devices(engine).expect("devices");
    let loaded = Tracker::load(engine, &specs, None, &rows).expect("rows");
    assert_eq!(loaded.devices(engine).expect("devices"), rows);

    let before = tracker.version(engine).expect("a number");
    assert_eq!(tracker.free(engine, "vm-1", FreeScope::Claims).expect("nothing is only claimed"), [""; 0]);
    let none = Specs::parse(engine, &[], false).expect("no rules");
    let diff = tracker.replace_specs(engine, &none, true).expect("a dry run");
    assert_eq!(document(&diff)["held"][0]["owner"], "vm-1");
    assert_eq!(
        tracker.rules(engine).expect("rules").list(engine).expect("rules"),
        specs.list(engine).expect("rules")
    );
    tracker.free_device(engine, "vm-1", "0000:81:00.1").expect("its device");
    assert_eq!(tracker.retain_owners(engine, &[]).expect("nobody is left"), [""; 0]);
    assert!(tracker.version(engine).expect("a number") > before);
    assert_eq!(document(&tracker.pools(engine).expect("pools"))[0]["count"], 1);
    let groups = tracker.group_by(engine, &["physical_network"]).expect("groups");
    assert_eq!(document(&groups)[0]["values"]["physical_network"], "blue");
    assert_eq!(document(&tracker.explain(engine, "0000:81:00.1").expect("an explanation"))["rule"], 0);
}

#[test]
fn a_workload_is_asked_of_many_hosts_without_its_reasons() {
    let engine = &mut instance();
    let pools = Pools::parse(engine, POOLS, None).expect("pools");
    assert_eq!(pools.free(engine).expect("a number"), 4);
    let three = Workload::parse(engine, &workload(3)).expect("a workload");
    let five = Workload::parse(engine, &workload(5)).expect("a workload");
    assert_eq!(pools.fit_outcome(engine, &three).expect("an answer"), Outcome::Fits);
    assert_eq!(pools.fit_outcome(engine, &five).expect("an answer"), Outcome::NoFit);
    let fit = document(&pools.fit(engine, &three).expect("an answer"));
    let assignment = json!({"requests": fit["requests"]}).to_string();
    pools.consume(engine, &assignment).expect("its own assignment");
    assert_eq!(pools.fit_outcome(engine, &three).expect("an answer"), Outcome::NoFit);
    assert_eq!(document(&pools.list(engine).expect("pools"))[0]["count"], 1);
    let groups = pools.group_by(engine, &["vendor_id"]).expect("groups");
    assert_eq!(document(&groups)[0]["free"], 1);
}

#[test]
fn an_error_is_the_same_document_as_natively() {
    let engine = &mut instance();
    for text in
        ["", "{", r#"{"requests": [{"count": 0, "alternatives": [{}]}]}"#, "\n\n  [}", r#"{"requests": 1}"#]
    {
        let native = slotwise::json::parse::<slotwise::Workload>(text, "workload").expect_err(text);
        let error = Workload::parse(engine, text).expect_err(text);
        assert_eq!(error.input(), Some(&native), "{text:?}");
    }
    assert!(engine.is_alive());
}

#[test]
fn the_interface_lists_the_error_kinds_of_the_engine() {
    let list =
        WIT.split("enum error-kind {").nth(1).and_then(|rest| rest.split('}').next()).expect("the enum");
    let written: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let expected: Vec<String> = ErrorKind::ALL
        .iter()
        .flat_map(|kind| [format!("/// {}", kind.meaning()), format!("{},", kind.name().replace('_', "-"))])
        .collect();
    assert_eq!(written, expected, "bring the enum error-kind of engine.wit in line with slotwise::ErrorKind");
}

#[test]
fn resources_stay_in_their_instance_and_are_dropped_there() {
    let (first, second) = (&mut instance(), &mut instance());
    let pools = Pools::parse(first, POOLS, None).expect("pools");
    assert!(matches!(pools.free(second), Err(Error::ForeignResource)));
    let workload = Workload::parse(second, &workload(1)).expect("a workload");
    assert!(matches!(pools.fit(first, &workload), Err(Error::ForeignResource)));
    assert_eq!(pools.free(first).expect("it is still there"), 4);

    // Were they not dropped, a hundred copies of these 4 MB would not fit into 64 MiB.
    let small = &mut common::load(Limits { memory: 64 << 20, ..Limits::default() })
        .instantiate()
        .expect("an instance");
    let text = many_pools(20_000);
    for _ in 0..20 {
        Pools::parse(small, &text, None).expect("there is room for one");
    }
}

#[test]
fn threads_share_the_code_and_nothing_else() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<EngineComponent>();
    shared::<Error>();
    sent::<EngineInstance>();
    sent::<Tracker>();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = &mut instance();
                let pools = Pools::parse(engine, POOLS, None).expect("pools");
                for count in 1..50 {
                    let workload = Workload::parse(engine, &workload(count)).expect("a workload");
                    let expected = if count <= 4 { Outcome::Fits } else { Outcome::NoFit };
                    assert_eq!(pools.fit_outcome(engine, &workload).expect("an answer"), expected);
                }
            });
        }
    });
}

// The limits.

/// Runs one call that must not come back under these limits, and what is said afterwards.
#[track_caller]
fn stopped(limits: Limits, call: impl Fn(&mut EngineInstance) -> Result<(), Error>) -> Error {
    let engine = &mut common::load(limits).instantiate().expect("an instance");
    let error = call(engine).expect_err("the limit");
    assert!(!engine.is_alive());
    match engine.version() {
        Err(Error::InstanceGone(reason)) => assert_eq!(reason, error.to_string()),
        other => panic!("{other:?}"),
    }
    error
}

fn parse_many(engine: &mut EngineInstance) -> Result<(), Error> {
    Pools::parse(engine, &many_pools(50_000), None).map(drop)
}

#[test]
fn a_call_has_no_more_time_than_its_limit() {
    let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
    let start = Instant::now();
    let error = stopped(limits, |engine| {
        // However fast this machine is, a second of such calls is one call too many.
        let text = many_pools(200_000);
        Pools::parse(engine, &text, None).map(drop)
    });
    assert!(matches!(error, Error::OutOfTime(limit) if limit == Duration::from_millis(20)), "{error}");
    assert!(start.elapsed() < Duration::from_secs(60), "it was stopped after {:?}", start.elapsed());
}

#[test]
fn many_short_calls_are_no_long_one() {
    let limits = Limits { time: Duration::from_millis(30), ..Limits::default() };
    let engine = &mut common::load(limits).instantiate().expect("an instance");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        engine.version().expect("a short call");
    }
}

#[test]
fn a_call_has_no_more_fuel_than_its_limit() {
    let limits = Limits { fuel: Some(1_000_000), ..Limits::default() };
    let error = stopped(limits.clone(), parse_many);
    assert!(matches!(error, Error::OutOfFuel(1_000_000)), "{error}");
    // Fuel counts for each call anew.
    let engine = &mut common::load(limits).instantiate().expect("an instance");
    let pools = Pools::parse(engine, POOLS, None).expect("a small document");
    for _ in 0..100_000 {
        pools.free(engine).expect("a short call");
    }
}

#[test]
fn an_instance_has_no_more_memory_than_its_limit() {
    let error = stopped(Limits { memory: 8 << 20, ..Limits::default() }, parse_many);
    assert!(matches!(error, Error::OutOfMemory { limit } if limit == 8 << 20), "{error}");
    // A document that does not even fit is not copied.
    let error = stopped(Limits { memory: 8 << 20, ..Limits::default() }, |engine| {
        Config::parse(engine, &"x".repeat(100 << 20), ConfigFormat::Toml).map(drop)
    });
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
}

#[test]
fn a_result_is_no_larger_than_its_limit() {
    let error = stopped(Limits { result: 1 << 20, ..Limits::default() }, |engine| {
        let pools = Pools::parse(engine, &many_pools(10_000), None)?;
        pools.list(engine).map(drop)
    });
    assert!(matches!(error, Error::ResultTooLarge { limit } if limit == 1 << 20), "{error}");
}

#[test]
fn a_limit_that_the_engine_does_not_fit_into_is_said_at_load() {
    let error = EngineComponent::from_bytes(&common::BYTES, Limits { memory: 64 << 10, ..Limits::default() });
    assert!(matches!(error, Err(Error::OutOfMemory { limit: 65_536 })), "{error:?}");
    let error = EngineComponent::from_bytes(&common::BYTES, Limits { table: 1, ..Limits::default() });
    assert!(matches!(error, Err(Error::TableTooLarge { limit: 1 })), "{error:?}");
}

// Hostile input to the engine itself.

/// Checks that the component refuses what the engine refuses, with the same error, and accepts what it accepts.
#[track_caller]
fn same<T, U>(what: &str, native: Result<T, slotwise::Error>, component: Result<U, Error>) {
    match (native.err(), component.err()) {
        (None, None) => {}
        (Some(native), Some(Error::Input(error))) => assert_eq!(error, native, "{what}"),
        (native, error) => panic!("{what}: {error:?}, and natively {native:?}"),
    }
}

#[test]
fn the_largest_document_is_an_error_and_no_trap() {
    let engine = &mut instance();
    let large = "x".repeat(100_000_000);
    same(
        "workload",
        slotwise::json::parse::<slotwise::Workload>(&large, "workload"),
        Workload::parse(engine, &large),
    );
    let format = ConfigFormat::NovaConf;
    same("configuration", slotwise::Config::parse(&large, format), Config::parse(engine, &large, format));
}

#[test]
fn the_deepest_input_does_not_exhaust_the_stack_of_the_guest() {
    let engine = &mut instance();
    for depth in [50, 100, 120, 126, 127, 128, 129, 1_000, 1_000_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let what = format!("depth {depth}");

        let pools =
            format!(r#"[{{"vendor_id":"8086","product_id":"1520","count":1,"tags":{{"t":{deep}}}}}]"#);
        same(&what, slotwise::Pools::from_json(&pools, None), Pools::parse(engine, &pools, None));

        let rule = format!(r#"{{"vendor_id":"8086","t":{deep}}}"#);
        same(&what, slotwise::DeviceSpecs::parse(&[&rule], false), Specs::parse(engine, &[&rule], false));

        let line = format!(r#"{{"name":"a","vendor_id":"8086","product_id":"1520","t":{deep}}}"#);
        same(&what, slotwise::Aliases::parse(&[&line], false), Aliases::parse(engine, &[&line], false));

        for format in [ConfigFormat::NovaConf, ConfigFormat::Toml] {
            let config = format!("[pci]\nalias = {deep}\n");
            same(&what, slotwise::Config::parse(&config, format), Config::parse(engine, &config, format));
        }

        let none = slotwise::DeviceSpecs::parse(&["{}"; 0], false).expect("no rules");
        let mut native =
            slotwise::Tracker::new(none, slotwise::TrackerOptions::default()).expect("a tracker");
        let specs = Specs::parse(engine, &[], false).expect("no rules");
        let tracker = Tracker::new(engine, &specs, None).expect("a tracker");
        let devices =
            format!(r#"[{{"address":"0000:81:00.1","vendor_id":"8086","product_id":"1520","t":{deep}}}]"#);
        let synced = slotwise::json::parse(&devices, "devices").and_then(|devices| native.sync(devices));
        same(&what, synced, tracker.sync(engine, &devices));
        same(&what, slotwise::Tracker::from_snapshot_json(&deep), Tracker::restore_json(engine, &deep));

        let pattern = format!("{}1{}", "(".repeat(depth.min(20_000)), ")".repeat(depth.min(20_000)));
        let address = json!({"domain": ".*", "bus": pattern, "slot": ".*", "function": ".*"});
        let rule = json!({"vendor_id": "8086", "address": address}).to_string();
        same(&what, slotwise::DeviceSpecs::parse(&[&rule], false), Specs::parse(engine, &[&rule], false));
    }
}

#[test]
fn the_largest_workload_does_not_exhaust_the_stack_of_the_guest() {
    let engine = &mut instance();
    let text = many_pools(300);
    let native = slotwise::Pools::from_json(&text, None).expect("pools");
    let pools = Pools::parse(engine, &text, None).expect("pools");
    for (requests, count) in [(256, 1), (64, 4), (64, 5)] {
        let requests: Vec<Value> =
            (0..requests).map(|_| json!({"count": count, "alternatives": [{"vendor_id": "8086"}]})).collect();
        let workload = json!({"requests": requests, "strategy": "exact"}).to_string();
        let answer = native
            .fit(&slotwise::json::parse(&workload, "workload").expect("a workload"))
            .expect("an answer");
        let workload = Workload::parse(engine, &workload).expect("a workload");
        assert_eq!(
            document(&pools.fit(engine, &workload).expect("an answer")),
            json!(answer),
            "count {count}"
        );
    }
}

// Components that are not the engine.

/// The error of loading these bytes.
#[track_caller]
fn refused(bytes: &[u8]) -> Error {
    EngineComponent::from_bytes(bytes, Limits::default()).expect_err("not the engine")
}

/// The error of loading the component that this text describes.
#[track_caller]
fn refused_text(text: &str) -> Error {
    refused(&wat::parse_str(text).expect("a component in text form"))
}

/// A component for this interface in which every function traps.
fn trapping(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("engine.wit", wit).expect("an interface");
    let world = resolve.select_world(&[package], Some("engine")).expect("a world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).and_then(ComponentEncoder::encode).expect("a component")
}

#[test]
fn garbage_is_not_a_component() {
    for bytes in [b"".as_slice(), b"\0asm", b"hello, world", b"\x7fELF", b"(component)"] {
        let error = refused(bytes);
        assert!(matches!(error, Error::NotAComponent(_)), "{bytes:?}: {error}");
    }
    let module = wat::parse_str("(module)").expect("a module");
    assert!(matches!(refused(&module), Error::NotAComponent(_)));
}

#[test]
fn a_truncated_component_is_not_one() {
    let bytes = &*common::BYTES;
    for keep in [1, 4, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = refused(&bytes[..keep]);
        assert!(matches!(error, Error::NotAComponent(_)), "{keep} bytes: {error}");
    }
}

#[test]
fn an_altered_component_is_refused_or_stays_within_its_limits() {
    let bytes = &*common::BYTES;
    for place in 0..8 {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        refused(&altered);
    }
    // Further back an altered bit may be a changed constant: whatever that does, it does not get out.
    for part in 1..4 {
        let mut altered = bytes.clone();
        altered[bytes.len() / 4 * part] ^= 1;
        if let Ok(component) = EngineComponent::from_bytes(&altered, Limits::default()) {
            let pools = component.instantiate().and_then(|mut engine| Pools::parse(&mut engine, POOLS, None));
            assert!(!matches!(pools, Err(Error::InstanceGone(_))), "{pools:?}");
        }
    }
}

#[test]
fn what_is_imported_is_named() {
    let error = refused_text(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#);
    assert!(
        matches!(&error, Error::UnexpectedImport(name) if name == "wasi:cli/environment@0.2.0"),
        "{error}"
    );
    let error =
        refused(&trapping(&WIT.replace("export api;", "import log: func(text: string); export api;")));
    assert!(matches!(&error, Error::UnexpectedImport(name) if name == "log"), "{error}");
}

#[test]
fn what_is_not_exported_is_named() {
    let error = refused_text("(component)");
    assert!(matches!(&error, Error::MissingExport(reason) if reason.contains(ENGINE_INTERFACE)), "{error}");
    let error = refused(&trapping(&WIT.replace("snapshot-json:", "snapshot-text:")));
    assert!(matches!(&error, Error::MissingExport(reason) if reason.contains("snapshot-json")), "{error}");
}

#[test]
fn another_type_is_refused_at_load() {
    for (this, other) in [
        ("version: func() -> u64", "version: func() -> u32"),
        (
            "free-device: func(owner: string, address: string)",
            "free-device: func(owner: string, address: u64)",
        ),
        ("help: option<string>", "help: string"),
        ("        legacy,\n", "        legacy, legacy-too,\n"),
    ] {
        assert!(WIT.contains(this), "{this:?} is no longer in engine.wit");
        let error = refused(&trapping(&WIT.replace(this, other)));
        assert!(matches!(error, Error::WrongType(_)), "{other}: {error}");
    }
}

#[test]
fn a_trap_ends_the_instance_and_no_other() {
    let component =
        EngineComponent::from_bytes(&trapping(WIT), Limits::default()).expect("the right interface");
    let engine = &mut component.instantiate().expect("an instance");
    let error = engine.version().expect_err("a trap");
    assert!(matches!(&error, Error::Trap(reason) if reason.contains("unreachable")), "{error}");
    assert!(matches!(engine.version(), Err(Error::InstanceGone(reason)) if reason.contains("unreachable")));
    let fresh = &mut component.instantiate().expect("another instance");
    assert!(matches!(fresh.version(), Err(Error::Trap(_))));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = EngineComponent::load("no/such/file.wasm", Limits::default()).expect_err("no file");
    assert!(matches!(error, Error::Unreadable { .. }));
    assert!(error.to_string().contains("no/such/file.wasm"), "{error}");
}
