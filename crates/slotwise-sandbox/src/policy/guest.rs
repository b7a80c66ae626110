//! One instance: handing over columns and reading answers.

use slotwise::ExtraInfo;
use slotwise::policy::{DeviceTable, HostTable, Query, Scope, Sets, Texts, Verdicts};

use super::host::Live;
use super::log::{Lines, LogLevel};
use crate::error::{Error, clip, plain};
use crate::limits::Limits;
use crate::meter::Meter;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated from policy.wit")]
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../slotwise-policy/wit",
        world: "policy",
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

use bindings::exports::slotwise::policy::api;
use bindings::slotwise::policy::log;

/// The longest reason, in bytes.
const MAX_REASON: usize = 1024;

/// What the host keeps beside an instance.
#[derive(Debug)]
pub(super) struct Guest {
    meter: Meter,
    pub(super) lines: Lines,
}

impl Guest {
    pub(super) fn new(limits: &Limits) -> Self {
        Guest { meter: Meter::new(limits), lines: Lines::default() }
    }
}

impl AsMut<Meter> for Guest {
    fn as_mut(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, text: String) {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warning => LogLevel::Warning,
            log::Level::Error => LogLevel::Error,
        };
        self.lines.push(level, &text);
    }
}

/// What the policy says it answers and reads.
pub(super) fn scope(scope: api::Scope) -> Scope {
    Scope {
        filter: scope.contains(api::Scope::FILTER),
        score: scope.contains(api::Scope::SCORE),
        prefer: scope.contains(api::Scope::PREFER),
        names: scope.contains(api::Scope::NAMES),
        attributes: scope.contains(api::Scope::ATTRIBUTES),
        pools: scope.contains(api::Scope::POOLS),
    }
}

impl Live {
    pub(super) fn filter(
        &mut self,
        scope: Scope,
        query: &Query<'_>,
        hosts: &HostTable,
    ) -> wasmtime::Result<Verdicts> {
        let api = self.policy.slotwise_policy_api();
        let verdicts =
            with_query(query, |query| api.call_filter(&mut self.store, query, host_columns(scope, hosts)))?
                .map_err(|reason| refused(&reason))?;
        check_length("verdicts", verdicts.codes.len(), hosts.len())?;
        if verdicts.reasons.len() > hosts.len() {
            return wrong(format!("it has {} reasons for {} hosts", verdicts.reasons.len(), hosts.len()));
        }
        if let Some(long) = verdicts.reasons.iter().position(|reason| reason.len() > MAX_REASON) {
            return wrong(format!("reason {long} has over {MAX_REASON} bytes"));
        }
        let reasons = verdicts.reasons.iter().map(|reason| plain(reason)).collect();
        Verdicts::new(verdicts.codes, reasons).or_else(|error| wrong(error.message().to_owned()))
    }

    pub(super) fn score(
        &mut self,
        scope: Scope,
        query: &Query<'_>,
        hosts: &HostTable,
    ) -> wasmtime::Result<Vec<f64>> {
        let api = self.policy.slotwise_policy_api();
        let scores =
            with_query(query, |query| api.call_score(&mut self.store, query, host_columns(scope, hosts)))?;
        check_scores(scores.map_err(|reason| refused(&reason))?, hosts.len())
    }

    pub(super) fn prefer(
        &mut self,
        scope: Scope,
        query: &Query<'_>,
        devices: &DeviceTable,
    ) -> wasmtime::Result<Vec<f64>> {
        let api = self.policy.slotwise_policy_api();
        let scores = with_query(query, |query| {
            api.call_prefer(&mut self.store, query, device_columns(scope, devices))
        })?;
        check_scores(scores.map_err(|reason| refused(&reason))?, devices.len())
    }
}

fn check_scores(scores: Vec<f64>, expected: usize) -> wasmtime::Result<Vec<f64>> {
    check_length("scores", scores.len(), expected)?;
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(at) => wrong(format!("score {at} is {}, which is no finite number", scores[at])),
    }
}

fn check_length(what: &str, got: usize, expected: usize) -> wasmtime::Result<()> {
    if got == expected {
        return Ok(());
    }
    wrong(format!("it has {got} {what} where {expected} were asked for"))
}

fn wrong<T>(what: String) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(Error::WrongAnswer(what)))
}

/// A failure that the policy reports itself, with as much of its text as fits into a log.
pub(super) fn refused(reason: &str) -> wasmtime::Error {
    wasmtime::Error::new(Error::Refused(plain(clip(reason, MAX_REASON))))
}

// Columns. What the policy does not read is handed over empty.

fn host_columns(scope: Scope, hosts: &HostTable) -> api::Hosts<'_> {
    let names = if scope.names { texts(hosts.names()) } else { NO_TEXTS };
    let sets = if scope.attributes || scope.pools { sets(hosts.sets()) } else { EMPTY_SET };
    let pools = |column| if scope.pools { column } else { &[][..] };
    api::Hosts {
        count: length(hosts.len()),
        sets,
        names,
        attributes: if scope.attributes { hosts.attributes() } else { &[] },
        pool_ends: pools(hosts.pool_ends()),
        pool_sets: pools(hosts.pool_sets()),
        pool_numa_nodes: pools(hosts.pool_numa_nodes()),
        pool_free: pools(hosts.pool_free()),
    }
}

fn device_columns(scope: Scope, devices: &DeviceTable) -> api::Devices<'_> {
    api::Devices {
        host: devices.host(),
        count: length(devices.len()),
        sets: sets(devices.sets()),
        addresses: if scope.names { texts(devices.addresses()) } else { NO_TEXTS },
        attributes: devices.attributes(),
        numa_nodes: devices.numa_nodes(),
    }
}

const NO_TEXTS: api::Texts<'static> = api::Texts { joined: "", ends: &[] };

const EMPTY_SET: api::AttributeSets<'static> =
    api::AttributeSets { texts: NO_TEXTS, ends: &[0], keys: &[], values: &[] };

fn texts(texts: &Texts) -> api::Texts<'_> {
    api::Texts { joined: texts.joined(), ends: texts.ends() }
}

fn sets(sets: &Sets) -> api::AttributeSets<'_> {
    api::AttributeSets {
        texts: texts(sets.texts()),
        ends: sets.ends(),
        keys: sets.keys(),
        values: sets.values(),
    }
}

/// The tables of the engine count in 32 bits.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

// The query: a few records, which the interface wants as slices of slices.

type Attribute<'a> = (&'a str, Option<&'a str>);

/// A count and its alternatives, which own their lists, and the same as slices of them.
type Want<'a> = (u32, Vec<Vec<Attribute<'a>>>);
type WantSlices<'a> = (u32, Vec<&'a [Attribute<'a>]>);

fn attributes(info: &ExtraInfo) -> Vec<Attribute<'_>> {
    info.iter().collect()
}

fn with_query<T>(query: &Query<'_>, call: impl FnOnce(api::Query<'_>) -> T) -> T {
    // For each request, what it wants and takes instead; for each of those its alternatives.
    let owned: Vec<Vec<Want<'_>>> = query
        .workload
        .requests
        .iter()
        .map(|request| {
            let first = (request.count, request.alternatives.as_slice());
            let others = request.otherwise.iter().map(|other| (other.count, other.alternatives.as_slice()));
            let wants = std::iter::once(first).chain(others);
            wants
                .map(|(count, alternatives)| (count, alternatives.iter().map(attributes).collect()))
                .collect()
        })
        .collect();
    let slices: Vec<Vec<WantSlices<'_>>> = owned
        .iter()
        .map(|wants| {
            wants.iter().map(|(count, list)| (*count, list.iter().map(Vec::as_slice).collect())).collect()
        })
        .collect();
    let wants: Vec<Vec<api::Want<'_>>> = slices
        .iter()
        .map(|wants| {
            wants.iter().map(|(count, list)| api::Want { count: *count, alternatives: list }).collect()
        })
        .collect();
    let requests: Vec<api::Request<'_>> = query
        .workload
        .requests
        .iter()
        .zip(&wants)
        .map(|(request, wants)| api::Request {
            request_id: request.request_id.as_deref(),
            requester_id: request.requester_id.as_deref(),
            alias_name: request.alias_name.as_deref(),
            wants,
        })
        .collect();
    let facts = attributes(query.facts);
    call(api::Query { requests: &requests, facts: &facts })
}
