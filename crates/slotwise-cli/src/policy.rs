//! `slotwise policy`: what a policy is made of, and what it says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use slotwise::policy::{self, DeviceTable, HostTable, QueryDocument};
use slotwise::{ErrorKind, ExtraInfo};
use slotwise_sandbox::{
    Error, Inspection, Limits, LogLine, MAX_COMPONENT_BYTES, Policy, PolicyOptions, scope_names,
};

use crate::answer::Answer;
use crate::args::policy::{Command, File, Inspect, Query, Run};
use crate::exit::Exit;
use crate::failure::{self, Failure, GREEN, RED, Result};
use crate::text::{Layout, counted, plain, table};
use crate::{input, policy_bench};

/// Runs the command.
pub(crate) fn run(command: Command) -> Result<Answer> {
    match command {
        Command::Inspect(args) => inspect(&args),
        Command::Run(args) => ask(&args),
        Command::Bench(args) => policy_bench::run(&args),
    }
}

// Loading.

/// How the command line says that the policy is to be loaded; its log goes to standard error.
pub(crate) fn options(args: &File) -> Result<PolicyOptions> {
    let defaults = Limits::for_policies();
    let limits = Limits {
        time: args.time.map_or(defaults.time, Duration::from_millis),
        fuel: args.fuel,
        memory: args.memory.unwrap_or(defaults.memory),
        table: args.table.unwrap_or(defaults.table),
        stack: args.stack.unwrap_or(defaults.stack),
        result: args.result.unwrap_or(defaults.result),
        instances: args.instances.unwrap_or(defaults.instances),
    };
    let configuration = match &args.settings {
        Some(path) => input::text(path)?.text.as_bytes().to_vec(),
        None => Vec::new(),
    };
    let log = |line: &LogLine| {
        failure::eprint(&format!("{}: {}: {}\n", plain(&line.policy), line.level.name(), line.text));
    };
    Ok(PolicyOptions {
        limits,
        configuration,
        on_failure: args.on_failure,
        cache: args.cache.clone(),
        log: Some(Arc::new(log)),
        ..PolicyOptions::default()
    })
}

/// Loads the policy of the command line.
pub(crate) fn load(args: &File, options: PolicyOptions) -> Result<Policy> {
    Policy::load(&args.file, options).map_err(|error| error.at_load(&args.file).into())
}

/// The query of the command line.
pub(crate) fn query(args: &Query) -> Result<QueryDocument> {
    let workload = match &args.workload {
        Some(path) => input::document(path, "workload")?,
        None => slotwise::Workload::default(),
    };
    let mut facts = ExtraInfo::new();
    for fact in &args.fact {
        let Some((key, value)) = fact.split_once('=') else {
            let message = format!("{fact:?} is no fact");
            return Err(Failure::new(ErrorKind::InvalidArgument, message, "write KEY=VALUE"));
        };
        facts.insert(key, Some(value.to_owned()))?;
    }
    Ok(QueryDocument { workload, facts })
}

/// The hosts in a file.
pub(crate) fn hosts(path: &Path) -> Result<HostTable> {
    let source = input::text(path)?;
    HostTable::from_json(&source.text).map_err(|error| Failure::within(error, &source))
}

/// The devices in a file.
pub(crate) fn devices(path: &Path) -> Result<DeviceTable> {
    let source = input::text(path)?;
    DeviceTable::from_json("", &source.text).map_err(|error| Failure::within(error, &source))
}

/// Fails unless the policy answers questions about hosts or, if `of_devices`, about devices.
pub(crate) fn check_scope(policy: &Policy, of_devices: bool) -> Result<()> {
    let scope = policy.scope();
    let (answers, what, remedy) = match of_devices {
        true => (scope.prefer, "devices: it has no \"prefer\"", "give --hosts"),
        false => {
            (scope.filter || scope.score, "hosts: it has no \"filter\" and no \"score\"", "give --devices")
        }
    };
    if answers {
        return Ok(());
    }
    Err(Failure::new(ErrorKind::InvalidArgument, format!("the policy says nothing about {what}"), remedy))
}

// inspect

fn inspect(args: &Inspect) -> Result<Answer> {
    let path = &args.policy.file;
    let bytes = slotwise_sandbox::read_component(path).map_err(|error| error.at_load(path))?;
    // What cannot even be compiled is refused below, with the reason.
    let found = slotwise_sandbox::inspect(&bytes).ok();
    let options = options(&args.policy)?;
    let limits = options.limits.clone();
    let loaded = Policy::from_bytes(&bytes, options);
    // What is no fault of the component says nothing about it.
    if let Err(
        error @ (Error::Limits(_)
        | Error::CacheUnreadable { .. }
        | Error::CacheNotPrivate { .. }
        | Error::System(_)),
    ) = &loaded
    {
        return Err(error.at_load(path).into());
    }
    let exit = if loaded.is_ok() { Exit::Yes } else { Exit::No };
    if args.output.json {
        let document = json!({
            "accepted": loaded.is_ok(),
            "error": loaded.as_ref().err().map(ToString::to_string),
            "imports": found.as_ref().map(|found| &found.imports),
            "exports": found.as_ref().map(|found| &found.exports),
            "bytes": bytes.len(),
            "compiled_bytes": found.as_ref().map(|found| found.compiled_bytes),
            "initial_memory": found.as_ref().map(|found| found.initial_memory),
            "initial_table": found.as_ref().map(|found| found.initial_table),
            "scope": loaded.as_ref().ok().map(|policy| scope_names(policy.scope())),
        });
        return Answer::json(exit, &document);
    }
    let verdict = match &loaded {
        Ok(policy) => format!("{GREEN}accepted{GREEN:#}: {}\n", scope_names(policy.scope()).join(", ")),
        Err(error) => format!("{RED}refused{RED:#}: {}\n", plain(&error.to_string())),
    };
    let parts = found.map(|found| format!("\n{}\n{}", parts_table(&found), limits_table(&found, &limits)));
    Answer::text(exit, verdict + &parts.unwrap_or_default())
}

fn parts_table(found: &Inspection) -> String {
    let row = |kind: &str, name: &str| vec![Some(kind.to_owned()), Some(plain(name).into_owned())];
    let imports = found.imports.iter().map(|name| row("imports", name));
    let mut rows: Vec<_> = imports.chain(found.exports.iter().map(|name| row("exports", name))).collect();
    if found.imports.is_empty() {
        rows.insert(0, row("imports", "nothing"));
    }
    table(&[("PART", Layout::Whole), ("NAME", Layout::Flow)], &rows)
}

fn limits_table(found: &Inspection, limits: &Limits) -> String {
    let row =
        |what: &str, has: Option<String>, limit: Option<String>| vec![Some(what.to_owned()), has, limit];
    let rows = [
        row("component, bytes", Some(found.bytes.to_string()), Some(MAX_COMPONENT_BYTES.to_string())),
        row("compiled code, bytes", Some(found.compiled_bytes.to_string()), None),
        row("memory, bytes", Some(found.initial_memory.to_string()), Some(limits.memory.to_string())),
        row("table entries", Some(found.initial_table.to_string()), Some(limits.table.to_string())),
        row("stack, bytes", None, Some(limits.stack.to_string())),
        row("result, bytes", None, Some(limits.result.to_string())),
        row("time of a call", None, Some(format!("{:?}", limits.time))),
        row(
            "fuel of a call",
            None,
            Some(limits.fuel.map_or_else(|| "not counted".to_owned(), |fuel| fuel.to_string())),
        ),
        row("instances at once", None, Some(limits.instances.to_string())),
    ];
    table(&[("WHAT", Layout::Whole), ("AT START", Layout::Number), ("LIMIT", Layout::Number)], &rows)
}

// run

fn ask(args: &Run) -> Result<Answer> {
    let policy = load(&args.policy, options(&args.policy)?)?;
    let query = query(&args.query)?;
    match (&args.hosts, &args.devices) {
        (Some(path), _) => {
            check_scope(&policy, false)?;
            about_hosts(&policy, &query, &hosts(path)?, args.output.json)
        }
        (None, Some(path)) => {
            check_scope(&policy, true)?;
            about_devices(&policy, &query, &devices(path)?, args.output.json)
        }
        (None, None) => Err(Failure::new(
            ErrorKind::InvalidArgument,
            "nothing is asked about",
            "give --hosts or --devices",
        )),
    }
}

fn about_hosts(policy: &Policy, query: &QueryDocument, hosts: &HostTable, as_json: bool) -> Result<Answer> {
    let verdicts = policy::filter(&[policy], &query.as_query(), hosts)?;
    let scores = policy::score(policy, &query.as_query(), hosts)?;
    let scored = policy.scope().score;
    let passing = (0..hosts.len()).filter(|&host| verdicts.passes(host)).count();
    let exit = if passing > 0 { Exit::Yes } else { Exit::No };
    if as_json {
        let list: Vec<Value> = (0..hosts.len())
            .map(|host| {
                json!({
                    "name": hosts.names().get(host),
                    "passes": verdicts.passes(host),
                    "reason": verdicts.reason(host),
                    "score": scored.then(|| scores[host]),
                })
            })
            .collect();
        return Answer::json(exit, &json!({ "hosts": list }));
    }
    let rows: Vec<_> = (0..hosts.len())
        .map(|host| {
            let name = hosts.names().get(host).map(|name| plain(name).into_owned());
            let verdict = if verdicts.passes(host) { "passes" } else { "refused" };
            let score = scored.then(|| scores[host].to_string());
            vec![name, Some(verdict.to_owned()), score, verdicts.reason(host).map(str::to_owned)]
        })
        .collect();
    let columns = [
        ("HOST", Layout::Whole),
        ("VERDICT", Layout::Whole),
        ("SCORE", Layout::Number),
        ("REASON", Layout::Flow),
    ];
    let summary = format!("\n{passing} of {} pass\n", counted(hosts.len(), "host"));
    Answer::text(exit, table(&columns, &rows) + &summary)
}

fn about_devices(
    policy: &Policy,
    query: &QueryDocument,
    devices: &DeviceTable,
    as_json: bool,
) -> Result<Answer> {
    let preferences = policy::prefer(policy, &query.as_query(), devices)?;
    let mut order: Vec<usize> = (0..devices.len()).collect();
    // Stable, so that equal ones stay in the order in which they were given.
    order.sort_by(|&a, &b| preferences[b].total_cmp(&preferences[a]));
    if as_json {
        let list: Vec<Value> = order
            .iter()
            .map(|&at| json!({"address": devices.addresses().get(at), "preference": preferences[at]}))
            .collect();
        return Answer::json(Exit::Yes, &json!({ "devices": list }));
    }
    let rows: Vec<_> = order
        .iter()
        .map(|&at| vec![devices.addresses().get(at).map(str::to_owned), Some(preferences[at].to_string())])
        .collect();
    Answer::text(Exit::Yes, table(&[("ADDRESS", Layout::Whole), ("PREFERENCE", Layout::Number)], &rows))
}
