//! Policies in the sandbox and the engine as a component, beside the same code natively: what crossing costs, what an
//! instance costs, what loading costs, and what each meter costs. `cargo xtask bench policy` prints it with its goals.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use avoid_hot_racks::AvoidHotRacks;
use slotwise::policy::{HostTable, Query, SetId};
use slotwise::{ExtraInfo, FilterOptions, Workload, json};
use slotwise_benches::fleet::{fleet, name, text, two_requests};
use slotwise_benches::table::{median, middle, print, show, verdict};
use slotwise_policy::Policy as _;
use slotwise_sandbox::{EngineComponent, Fleet, Limits, Policy, PolicyOptions};
use slotwise_testkit::policy::{info, native};
use wasmtime::{Config, Engine, Instance, Module, PoolingAllocationConfig, Store};

const SETTINGS: &str = "refuse_over=32 prefer_below=25";
const HOSTS: usize = 10_000;

fn main() {
    // `cargo test` runs this too, to see that it works; then everything is done once.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if !only.iter().all(|word| "policy".contains(word.as_str())) {
        return;
    }
    let mut report = Report { measures, missed: String::new() };
    beside_native(&mut report);
    calls(&mut report);
    loading(&mut report);
    meters(&mut report);
    component(&mut report);
    if measures {
        println!("\nmissed: {}", if report.missed.is_empty() { "nothing" } else { &report.missed });
    }
}

/// What is measured, and which goals were missed.
struct Report {
    measures: bool,
    missed: String,
}

impl Report {
    fn time<T>(&self, mut work: impl FnMut() -> T) -> Duration {
        if self.measures {
            return median(work);
        }
        black_box(work());
        Duration::from_nanos(1)
    }

    fn table(&self, title: &str, rows: &[Vec<String>]) {
        if self.measures {
            println!("\n{title}");
            print(rows);
        }
    }

    /// Whether a value reaches its goal, as a cell.
    fn goal(&mut self, what: &str, is_met: bool, goal: &str) -> String {
        if !is_met {
            let _ = write!(self.missed, "\n  {what}: {goal}");
        }
        format!("{goal}: {}", verdict(is_met))
    }

    fn at_most(&mut self, what: &str, ratio: f64, goal: f64) -> Vec<String> {
        vec![format!("{ratio:.2}×"), self.goal(what, ratio <= goal, &format!("at most {goal}×"))]
    }

    fn within(&mut self, what: &str, time: Duration, goal: Duration) -> String {
        self.goal(what, time <= goal, &format!("at most {}", show(goal)))
    }
}

fn ratio(this: Duration, other: Duration) -> f64 {
    this.as_secs_f64() / other.as_secs_f64()
}

fn built(file: &str) -> PathBuf {
    let wasm = std::env::var_os("SLOTWISE_WASM").expect("cargo xtask bench names the component");
    PathBuf::from(wasm).with_file_name(file)
}

fn options() -> PolicyOptions {
    // Never stopped, however slow the machine is.
    let limits = Limits { time: Duration::from_secs(60), ..Limits::for_policies() };
    PolicyOptions { configuration: SETTINGS.into(), limits, ..PolicyOptions::default() }
}

fn load(options: PolicyOptions) -> Policy {
    Policy::load(built("policies/avoid-hot-racks.wasm"), options).expect("cargo xtask policies builds it")
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
        table.push_host(&name(i), racks[i % 500]).expect("a host");
        for p in 0..pools {
            table.push_pool(kinds[(i + p as usize) % 16], Some(p % 2), p).expect("a pool");
        }
    }
    table
}

fn ask<T>(question: impl FnOnce(&Query<'_>) -> T) -> T {
    question(&Query { workload: &Workload::default(), facts: &ExtraInfo::new() })
}

/// Ten thousand hosts: in the sandbox and natively.
fn beside_native(report: &mut Report) {
    let by_hand = AvoidHotRacks::configure(SETTINGS).expect("settings");
    let with = |fuel| load(PolicyOptions { limits: Limits { fuel, ..options().limits }, ..options() });
    let (policy, fuelled) = (with(None), with(Some(1 << 40)));
    let mut rows = vec![["", "natively", "sandbox", "", "", "with fuel", ""].map(str::to_owned).to_vec()];
    for pools in [1, 4, 16] {
        let (table, asked) = (hosts(HOSTS, pools), slotwise_policy::Query::default());
        let columns = native(&table);
        let scores = |policy: &Policy| {
            report.time(|| ask(|query| policy.try_score(query, black_box(&table)).expect("scores")))
        };
        let filters = |policy: &Policy| {
            report.time(|| ask(|query| policy.try_filter(query, black_box(&table)).expect("verdicts")))
        };
        let natively = report.time(|| by_hand.filter(&asked, black_box(&columns)));
        let measured = [
            ("filter", natively, filters(&policy), filters(&fuelled)),
            (
                "score",
                report.time(|| by_hand.score(&asked, black_box(&columns))),
                scores(&policy),
                scores(&fuelled),
            ),
        ];
        for (question, natively, sandboxed, fuelled) in measured {
            let what = format!("{question}, {pools} pools a host");
            let mut row = vec![what.clone(), show(natively), show(sandboxed)];
            row.extend(report.at_most(&what, ratio(sandboxed, natively), 2.0));
            row.extend([show(fuelled), format!("{:.2}×", ratio(fuelled, natively))]);
            rows.push(row);
        }
    }
    report.table("policy avoid-hot-racks over 10,000 hosts, a fresh instance for each call", &rows);
}

/// What a call costs beyond its rows.
fn calls(report: &mut Report) {
    let policy = |keep_instances| load(PolicyOptions { keep_instances, ..options() });
    let time = |policy: &Policy, table: &HostTable| {
        report.time(|| ask(|query| policy.try_filter(query, black_box(table)).expect("verdicts")))
    };
    let (kept, fresh) = (policy(true), policy(false));
    let (none, one) = (hosts(0, 1), hosts(1, 1));
    let live = time(&kept, &HostTable::new());
    let crossing = time(&kept, &one).max(time(&kept, &none));
    let whole = time(&fresh, &HostTable::new());
    let instance = whole.saturating_sub(live);
    let rows = [
        ("call into a live instance, no hosts", live, Duration::from_nanos(500)),
        ("the same with one host of 500 racks", crossing, Duration::from_micros(2)),
        ("a fresh instance, configured and dropped", instance, Duration::from_micros(10)),
    ]
    .map(|(what, time, goal)| vec![what.to_owned(), show(time), report.within(what, time, goal)]);
    report.table("a call", &rows);
}

/// Compiling beside loading from the cache.
fn loading(report: &mut Report) {
    let cache = tempfile::tempdir().expect("a folder");
    let cached = || PolicyOptions { cache: Some(cache.path().to_owned()), ..options() };
    load(cached());
    // The code, which is what a cache is for; and all of loading, most of which is the same either way.
    let time = |options: &dyn Fn() -> PolicyOptions, from_cache| {
        let mut codes = Vec::new();
        let whole = report.time(|| {
            let policy = load(options());
            assert_eq!(policy.code_origin().from_cache, from_cache);
            codes.push(policy.code_origin().took.as_secs_f64());
            policy
        });
        [Duration::from_secs_f64(middle(codes)), whole]
    };
    let (compiled, cached) = (time(&options, false), time(&cached, true));
    let [code, whole] = [0, 1].map(|at| ratio(compiled[at], cached[at]));
    let rows = [
        vec![String::new(), "compiled".to_owned(), "from the cache".to_owned()],
        vec![
            "its code".to_owned(),
            show(compiled[0]),
            show(cached[0]),
            format!("{code:.0}×"),
            report.goal("code from the cache", code >= 500.0, "at least 500×"),
        ],
        vec![
            "in all: engine, clock, first instance, and letting go of them".to_owned(),
            show(compiled[1]),
            show(cached[1]),
            format!("{whole:.0}×"),
        ],
    ];
    report.table("loading a policy", &rows);
}

/// A tight loop over a column: counts the numbers over a threshold, as a filter does.
const LOOP: &str = r#"(module
  (memory (export "memory") 17)
  (func (export "count") (param $end i32) (result i32)
    (local $at i32) (local $found i32)
    (loop $next
      (local.set $found (i32.add (local.get $found) (i32.gt_u (i32.load (local.get $at)) (i32.const 7))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
    (local.get $found)))"#;

/// Each meter alone on the tightest loop there is, which is what it can cost at most.
fn meters(report: &mut Report) {
    let time = |set: &dyn Fn(&mut Config)| {
        let mut config = Config::new();
        set(&mut config);
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::new(&engine, wat::parse_str(LOOP).expect("a module")).expect("code");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        let count = instance.get_typed_func::<i32, i32>(&mut store, "count").expect("a function");
        report.time(|| {
            store.set_epoch_deadline(u64::MAX / 2);
            // Only where it is counted.
            let _ = store.set_fuel(u64::MAX / 2);
            count.call(&mut store, black_box(1 << 20)).expect("a count")
        })
    };
    let checked = |config: &mut Config| {
        config.signals_based_traps(false).memory_reservation(64 << 20).memory_guard_size(0);
    };
    let none = time(&|_| {});
    let rows = [
        ("nothing", none),
        (
            "epoch (time)",
            time(&|config| {
                config.epoch_interruption(true);
            }),
        ),
        (
            "fuel",
            time(&|config| {
                config.consume_fuel(true);
            }),
        ),
        ("checked accesses instead of signals", time(&checked)),
        (
            "as a policy runs: epoch, checked accesses, pool",
            time(&|config| {
                let mut pool = PoolingAllocationConfig::new();
                pool.max_memory_size(64 << 20).total_memories(8);
                checked(config);
                config.epoch_interruption(true).allocation_strategy(pool);
            }),
        ),
    ]
    .map(|(what, time)| vec![what.to_owned(), show(time), format!("{:.2}×", ratio(time, none))]);
    report.table("meters, on a loop of 260,000 turns that reads a number in each", &rows);
}

/// The engine as a component: questions about a fleet that it keeps.
fn component(report: &mut Report) {
    let natively = fleet(HOSTS).expect("a fleet");
    let lines: String = (0..HOSTS)
        .map(|host| {
            let pools = natively.pools(&name(host)).expect("a host");
            format!("{{\"host\": {:?}, \"pools\": {}}}\n", name(host), text(&pools))
        })
        .collect();
    // More than are remembered, so that each is answered anew.
    let workloads: Vec<Workload> = (0..64).map(|i| two_requests(2, 1, i).expect("a workload")).collect();
    let ask_native = |report: &Report, few: &[Workload]| {
        let mut next = few.iter().cycle();
        report.time(|| {
            let workload = next.next().expect("there are some");
            natively.filter(workload, &FilterOptions::default(), &[]).expect("an answer").hosts.to_bytes()
        })
    };
    let ask_guest = |report: &Report, fuel: Option<u64>, few: &[Workload]| {
        let limits = Limits { fuel, time: Duration::from_secs(60), ..Limits::default() };
        let component = EngineComponent::load(built("slotwise.wasm"), limits).expect("a component");
        let mut guest = component.instantiate().expect("an instance");
        let fleet = Fleet::new(&mut guest).expect("a fleet");
        fleet.load(&mut guest, &lines).expect("hosts");
        let prepared: Vec<_> = few
            .iter()
            .map(|workload| slotwise_sandbox::Workload::parse(&mut guest, &json::to_string(workload)))
            .collect::<Result<_, _>>()
            .expect("workloads");
        let mut next = prepared.iter().cycle();
        report.time(|| {
            let workload = next.next().expect("there are some");
            fleet.filter_hosts(&mut guest, workload, None).expect("an answer")
        })
    };
    let mut rows = vec![["", "natively", "component", "", "", "with fuel", ""].map(str::to_owned).to_vec()];
    for (what, few, has_goal) in
        [("a new question", &workloads[..], true), ("the same again", &workloads[..1], false)]
    {
        let natively = ask_native(report, few);
        let (guest, fuelled) = (ask_guest(report, None, few), ask_guest(report, Some(1 << 50), few));
        let mut row = vec![what.to_owned(), show(natively), show(guest)];
        row.extend(match has_goal {
            true => report.at_most(&format!("engine component, {what}"), ratio(guest, natively), 2.0),
            false => vec![format!("{:.2}×", ratio(guest, natively)), String::new()],
        });
        row.extend([show(fuelled), format!("{:.2}×", ratio(fuelled, natively))]);
        rows.push(row);
    }
    report.table("the engine as a component: which of 10,000 hosts fit, with epoch metering", &rows);
}
