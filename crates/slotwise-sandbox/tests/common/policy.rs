//! Hostile guests out of their text, and the one question that they are asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use slotwise::policy::{HostTable, Query, SetId};
use slotwise::{Request, Workload};
use slotwise_testkit::policy::info;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

pub(crate) const WIT: &str = include_str!("../../../slotwise-policy/wit/policy.wit");

const API: &str = "slotwise:policy/api@0.1.0";

/// The parts of a guest that does nothing wrong; a fixture replaces those that it defines itself.
///
/// Its answers lie ready in memory: `configure` at 16, `filter` at 32 with the verdicts at 128 and the list of its one
/// reason at 160, `score` and `prefer` at 64 with the numbers at 192.
fn parts() -> [(&'static str, String); 6] {
    let answer = |name: &str, parameters: &str, at: u32| {
        let text =
            format!("(func (export \"{API}#{name}\") (param {parameters}) (result i32) (i32.const {at}))");
        text
    };
    [
        ("(memory (", "(memory (export \"memory\") 2)".to_owned()),
        (
            "\"cabi_realloc\"",
            "(global $next (mut i32) (i32.const 8192))
             (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)
               (local $at i32)
               (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
               (global.set $next (i32.add (local.get $at) (local.get 3)))
               (local.get $at))"
                .to_owned(),
        ),
        ("#configure\"", answer("configure", "i32 i32", 16)),
        ("\"slotwise:policy/api@0.1.0#filter\"", answer("filter", "i32", 32)),
        ("#score\"", answer("score", "i32", 64)),
        ("#prefer\"", answer("prefer", "i32", 64)),
    ]
}

const ANSWERS: &str = r#"
    (data (i32.const 16) "\00\00\00\00\ff\03")
    (data (i32.const 32) "\00\00\00\00\80\00\00\00\03\00\00\00\a0\00\00\00\01\00\00\00")
    (data (i32.const 64) "\00\00\00\00\c0\00\00\00\03\00\00\00")
    (data (i32.const 128) "\00\00\00\00\01\00\00\00\00\00\00\00")
    (data (i32.const 160) "\b0\00\00\00\07\00\00\00")
    (data (i32.const 176) "refused")
    (data (i32.const 192) "\00\00\00\00\00\00\f0\3f\00\00\00\00\00\00\00\40\00\00\00\00\00\00\08\40")"#;

/// The component of a fixture in `tests/hostile`.
pub(crate) fn hostile(name: &str) -> Vec<u8> {
    static BUILT: LazyLock<Mutex<BTreeMap<String, Vec<u8>>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> Vec<u8> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(name).with_extension("wat");
    let own = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // A module's imports come first.
    let is_import = |line: &&str| line.starts_with("(import");
    let imports: Vec<&str> = own.lines().filter(is_import).collect();
    let others: Vec<&str> = own.lines().filter(|line| !is_import(line)).collect();
    let mut text = format!("(module {}\n", imports.join("\n"));
    for (mark, part) in parts() {
        if !own.contains(mark) {
            text.push_str(&part);
        }
    }
    text = format!("{text}\n{}\n{ANSWERS})", others.join("\n"));
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    // A fixture that makes resources needs an interface that has one.
    let wit = if own.contains("[resource-new]thing") {
        WIT.replace("interface api {", "interface api {\n    resource thing;")
    } else {
        WIT.to_owned()
    };
    component(&wit, module).unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

/// A component in which every function of this interface traps.
pub(crate) fn trapping(wit: &str) -> Vec<u8> {
    let (resolve, world) = resolve(wit);
    let module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    component(wit, module).expect("a component")
}

fn component(wit: &str, mut module: Vec<u8>) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (resolve, world) = resolve(wit);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(ComponentEncoder::default().module(&module)?.encode()?)
}

fn resolve(wit: &str) -> (Resolve, wit_parser::WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", wit).expect("an interface");
    let world = resolve.select_world(&[package], Some("policy")).expect("a world");
    (resolve, world)
}

/// So many hosts, each with a rack and two pools.
pub(crate) fn hosts(count: usize) -> HostTable {
    let mut table = HostTable::new();
    let sets: Vec<SetId> =
        (0..4).map(|rack| table.set(&info(&[("rack", &format!("r{rack}"))])).expect("a set")).collect();
    let pool = table.set(&info(&[("product_id", "1018"), ("vendor_id", "15b3")])).expect("a set");
    for i in 0..count {
        table.push_host(&format!("node-{i}"), sets[i % 4]).expect("a host");
        table.push_pool(pool, Some(0), 4).expect("a pool");
        table.push_pool(pool, None, 1).expect("a pool");
    }
    table
}

/// Asks about a workload of one device for a project.
pub(crate) fn with_query<T>(ask: impl FnOnce(&Query<'_>) -> T) -> T {
    let request = Request::new(1, info(&[("vendor_id", "15b3")])).expect("a request");
    let (workload, facts) = (Workload::new(vec![request]), info(&[("project_id", "audit")]));
    ask(&Query { workload: &workload, facts: &facts })
}
