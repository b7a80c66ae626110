//! `slotwise policy bench`: what a policy costs on this machine.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slotwise::policy::Policy as _;
use slotwise::{ErrorKind, Result as EngineResult};
use slotwise_sandbox::{Policy, PolicyOptions};

use crate::answer::Answer;
use crate::args::policy::Bench;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::policy::{check_scope, devices, hosts, load, options, query};
use crate::text::{Layout, counted, table};

/// Runs the command.
pub(crate) fn run(args: &Bench) -> Result<Answer> {
    let options = PolicyOptions { log: None, ..options(&args.policy)? };
    let hosts = args.hosts.as_deref().map(hosts).transpose()?;
    let devices = args.devices.as_deref().map(devices).transpose()?;
    let query = query(&args.query)?;
    let compiled = timed(|| load(&args.policy, PolicyOptions { cache: None, ..options.clone() }))?;
    // A directory of its own, so that the operator's cache has no part in it.
    let cache = tempfile::tempdir().map_err(|error| {
        Failure::new(
            ErrorKind::InvalidArgument,
            format!("no temporary directory: {error}"),
            "set TMPDIR to one",
        )
    })?;
    let through_cache =
        || load(&args.policy, PolicyOptions { cache: Some(cache.path().to_owned()), ..options.clone() });
    through_cache()?;
    let cached = timed(through_cache)?;
    let kept = load(&args.policy, PolicyOptions { keep_instances: true, ..options.clone() })?;

    let query = query.as_query();
    let scope = kept.scope();
    let measure =
        |ask: &dyn Fn(&Policy) -> EngineResult<()>| fresh_and_kept(&compiled.1, &kept, args.calls, ask);
    let mut measured = Vec::new();
    if let Some(hosts) = &hosts {
        check_scope(&kept, false)?;
        if scope.filter {
            measured.push(("filter", measure(&|policy| policy.filter(&query, hosts).map(drop))?));
        }
        if scope.score {
            measured.push(("score", measure(&|policy| policy.score(&query, hosts).map(drop))?));
        }
    }
    if let Some(devices) = &devices {
        check_scope(&kept, true)?;
        measured.push(("prefer", measure(&|policy| policy.prefer(&query, devices).map(drop))?));
    }
    let code = (compiled.1.code_origin().took, cached.1.code_origin().took);
    let loaded = (compiled.0, cached.0);
    if args.output.json {
        let of = |name: &str| {
            let found = measured.iter().find(|(measured, _)| *measured == name);
            found.map_or(
                Value::Null,
                |(_, (fresh, kept))| json!({"fresh_ns": nanos(*fresh), "kept_ns": nanos(*kept)}),
            )
        };
        let document = json!({
            "hosts": hosts.as_ref().map(slotwise::policy::HostTable::len),
            "devices": devices.as_ref().map(slotwise::policy::DeviceTable::len),
            "calls": args.calls,
            "code": {"compiled_ns": nanos(code.0), "cached_ns": nanos(code.1)},
            "load": {"compiled_ns": nanos(loaded.0), "cached_ns": nanos(loaded.1)},
            "filter": of("filter"),
            "score": of("score"),
            "prefer": of("prefer"),
        });
        return Answer::json(Exit::Yes, &document);
    }
    let row = |what: String, time: Duration| vec![Some(what), Some(format!("{time:.2?}"))];
    let mut rows = vec![
        row("the code, compiled".into(), code.0),
        row("the code, from a cache".into(), code.1),
        row("load in all, compiled".into(), loaded.0),
        row("load in all, from a cache".into(), loaded.1),
    ];
    for (name, (fresh, kept)) in measured {
        rows.push(row(format!("{name} in a fresh instance"), fresh));
        rows.push(row(format!("{name} in a kept instance"), kept));
    }
    let asked =
        [hosts.map(|hosts| counted(hosts.len(), "host")), devices.map(|own| counted(own.len(), "device"))];
    let asked: Vec<String> = asked.into_iter().flatten().collect();
    let summary = format!("\n{} in each call; the median of {}\n", asked.join(" or "), args.calls);
    Answer::text(Exit::Yes, table(&[("WHAT", Layout::Whole), ("TIME", Layout::Number)], &rows) + &summary)
}

fn timed<T>(call: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let start = Instant::now();
    let value = call()?;
    Ok((start.elapsed(), value))
}

/// The median time of a call in fresh instances and in a kept one.
fn fresh_and_kept(
    fresh: &Policy,
    kept: &Policy,
    calls: u32,
    ask: impl Fn(&Policy) -> EngineResult<()>,
) -> Result<(Duration, Duration)> {
    Ok((median(calls, || ask(fresh))?, median(calls, || ask(kept))?))
}

fn median(calls: u32, call: impl Fn() -> EngineResult<()>) -> Result<Duration> {
    // Once to warm up.
    call()?;
    let mut times = Vec::with_capacity(calls as usize);
    for _ in 0..calls {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
