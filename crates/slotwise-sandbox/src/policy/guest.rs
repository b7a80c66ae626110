//! One instance: handing over columns and reading answers.

use slotwise::ExtraInfo;
use slotwise::policy::{DeviceTable, HostTable, Query, Scope, Sets, Texts, Verdicts};

use super::host::Live;
use super::log::{Lines, LogLevel};
use crate::error::{Error, plain};
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
        requests: scope.contains(api::Scope::REQUESTS),
        facts: scope.contains(api::Scope::FACTS),
        names: scope.contains(api::Scope::NAMES),
        attributes: scope.contains(api::Scope::ATTRIBUTES),
        filter_pools: scope.contains(api::Scope::FILTER_POOLS),
        score_pools: scope.contains(api::Scope::SCORE_POOLS),
        pool_attributes: scope.contains(api::Scope::POOL_ATTRIBUTES),
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
        let rows = Rows::of(hosts, scope, scope.filter_pools);
        let verdicts =
            with_query(scope, query, |query| api.call_filter(&mut self.store, query, rows.columns()))?
                .map_err(|reason| refused(&reason))?;
        check_length("verdicts", verdicts.codes.len(), rows.len())?;
        if verdicts.reasons.len() > rows.len() {
            return wrong(format!("it has {} reasons for {} hosts", verdicts.reasons.len(), rows.len()));
        }
        if let Some(long) = verdicts.reasons.iter().position(|reason| reason.len() > MAX_REASON) {
            return wrong(format!("reason {long} has over {MAX_REASON} bytes"));
        }
        let reasons = verdicts.reasons.iter().map(|reason| plain(reason, MAX_REASON)).collect();
        Verdicts::new(rows.to_hosts(verdicts.codes), reasons)
            .or_else(|error| wrong(error.message().to_owned()))
    }

    pub(super) fn score(
        &mut self,
        scope: Scope,
        query: &Query<'_>,
        hosts: &HostTable,
    ) -> wasmtime::Result<Vec<f64>> {
        let api = self.policy.slotwise_policy_api();
        let rows = Rows::of(hosts, scope, scope.score_pools);
        let scores =
            with_query(scope, query, |query| api.call_score(&mut self.store, query, rows.columns()))?;
        check_scores(scores.map_err(|reason| refused(&reason))?, rows.len())
            .map(|scores| rows.to_hosts(scores))
    }

    pub(super) fn prefer(
        &mut self,
        scope: Scope,
        query: &Query<'_>,
        devices: &DeviceTable,
    ) -> wasmtime::Result<Vec<f64>> {
        let api = self.policy.slotwise_policy_api();
        let scores = with_query(scope, query, |query| {
            api.call_prefer(&mut self.store, query, device_columns(scope, devices))
        })?;
        check_scores(scores.map_err(|reason| refused(&reason))?, devices.len())
    }
}

fn check_scores(scores: Vec<f64>, expected: usize) -> wasmtime::Result<Vec<f64>> {
    check_length("scores", scores.len(), expected)?;
    // Without a way out of the loop, so that it looks at several at once.
    if scores.iter().fold(true, |all, score| all & score.is_finite()) {
        return Ok(scores);
    }
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
    wasmtime::Error::new(Error::Refused(plain(reason, MAX_REASON)))
}

// Columns. What the policy does not read is not handed over.

/// What a question about hosts hands over: a row for each host, or fewer where several hosts are the same to it.
struct Rows<'a> {
    hosts: &'a HostTable,
    scope: Scope,
    pools: bool,
    per: Per,
}

/// What has a row.
#[derive(Clone, Copy, PartialEq)]
enum Per {
    Host,
    /// Nothing but attributes is read, so that hosts of one kind are the same.
    Kind,
    /// Nothing is read: all hosts are the same.
    Table,
}

impl<'a> Rows<'a> {
    fn of(hosts: &'a HostTable, scope: Scope, pools: bool) -> Self {
        let per = match scope {
            _ if scope.names || pools => Per::Host,
            _ if scope.attributes => Per::Kind,
            _ => Per::Table,
        };
        Rows { hosts, scope, pools, per }
    }

    fn len(&self) -> usize {
        match self.per {
            Per::Host => self.hosts.len(),
            Per::Kind => self.hosts.kinds().len(),
            Per::Table => self.hosts.len().min(1),
        }
    }

    fn columns(&self) -> api::Hosts<'_> {
        let Rows { hosts, scope, pools, per } = *self;
        let is_any = self.len() > 0;
        let details = pools && scope.pool_attributes;
        let attributes = if per == Per::Kind { hosts.kinds() } else { hosts.attributes() };
        api::Hosts {
            count: length(self.len()),
            sets: (is_any && (scope.attributes || details)).then(|| sets(hosts.sets())),
            names: (is_any && scope.names).then(|| texts(hosts.names())),
            attributes: (is_any && scope.attributes).then_some(attributes),
            pools: (is_any && pools).then(|| api::Pools {
                ends: hosts.pool_ends(),
                free: hosts.pool_free(),
                details: details.then(|| api::PoolDetails {
                    attributes: hosts.pool_sets(),
                    numa_nodes: hosts.pool_numa_nodes(),
                }),
            }),
        }
    }

    /// Gives each host the answer of its row; there is one for each row.
    fn to_hosts<T: Copy>(&self, answers: Vec<T>) -> Vec<T> {
        match self.per {
            Per::Host => answers,
            Per::Kind => self.hosts.kind_of().iter().map(|&kind| answers[kind as usize]).collect(),
            Per::Table => answers.iter().flat_map(|&answer| vec![answer; self.hosts.len()]).collect(),
        }
    }
}

fn device_columns(scope: Scope, devices: &DeviceTable) -> api::Devices<'_> {
    api::Devices {
        host: if scope.names { devices.host() } else { "" },
        count: length(devices.len()),
        sets: if scope.attributes { sets(devices.sets()) } else { NO_SETS },
        addresses: if scope.names { texts(devices.addresses()) } else { NO_TEXTS },
        attributes: if scope.attributes { devices.attributes() } else { &[] },
        numa_nodes: if scope.attributes { devices.numa_nodes() } else { &[] },
    }
}

const NO_TEXTS: api::Texts<'static> = api::Texts { joined: "", ends: &[] };
const NO_SETS: api::AttributeSets<'static> =
    api::AttributeSets { texts: NO_TEXTS, ends: &[], keys: &[], values: &[] };

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

fn with_query<T>(scope: Scope, query: &Query<'_>, call: impl FnOnce(api::Query<'_>) -> T) -> T {
    let facts = scope.facts.then(|| attributes(query.facts));
    let facts = facts.as_deref();
    if !scope.requests {
        return call(api::Query { requests: None, facts });
    }
    let requests = &query.workload.requests;
    // For each request, what it wants and takes instead; for each of those its alternatives.
    let owned: Vec<Vec<Want<'_>>> = requests
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
    let requests: Vec<api::Request<'_>> = requests
        .iter()
        .zip(&wants)
        .map(|(request, wants)| api::Request {
            request_id: request.request_id.as_deref(),
            requester_id: request.requester_id.as_deref(),
            alias_name: request.alias_name.as_deref(),
            wants,
        })
        .collect();
    call(api::Query { requests: Some(&requests), facts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_devices_nothing_is_handed_over_that_is_not_read() {
        let mut devices = DeviceTable::new("node-1");
        devices.push("0000:01:00.0", slotwise::policy::SetId::EMPTY, Some(1)).expect("a device");
        let shown = |scope: Scope| {
            let columns = device_columns(scope, &devices);
            (columns.count, columns.host, columns.addresses.joined, columns.attributes, columns.numa_nodes)
        };
        assert_eq!(shown(Scope::NOTHING), (1, "", "", &[][..], &[][..]));
        let names = Scope { names: true, ..Scope::NOTHING };
        assert_eq!(shown(names), (1, "node-1", "0000:01:00.0", &[][..], &[][..]));
        let attributes = Scope { attributes: true, ..Scope::NOTHING };
        assert_eq!(shown(attributes), (1, "", "", &[0][..], &[1][..]));
    }

    #[test]
    fn hosts_that_are_the_same_to_a_question_are_one_row() {
        let mut hosts = HostTable::new();
        let set = |hosts: &mut HostTable, rack: &str| {
            let attributes = ExtraInfo::try_from([("rack", rack)]).expect("attributes");
            hosts.set(&attributes).expect("a set")
        };
        let (a, b) = (set(&mut hosts, "a"), set(&mut hosts, "b"));
        for (name, attributes) in
            [("1", b), ("2", a), ("3", b), ("4", slotwise::policy::SetId::EMPTY), ("5", a)]
        {
            hosts.push_host(name, attributes).expect("a host");
        }
        let scope = |attributes, names| Scope { attributes, names, ..Scope::NOTHING };
        let rows = Rows::of(&hosts, scope(true, false), false);
        assert_eq!((rows.columns().count, rows.columns().attributes), (3, Some(&[2, 1, 0][..])));
        assert_eq!(rows.to_hosts(vec!["b", "a", "none"]), ["b", "a", "b", "none", "a"]);
        let rows = Rows::of(&hosts, scope(false, false), false);
        assert_eq!((rows.columns().count, rows.columns().attributes), (1, None));
        assert_eq!(rows.to_hosts(vec![7]), [7; 5]);
        for (names, pools) in [(true, false), (false, true)] {
            let rows = Rows::of(&hosts, scope(true, names), pools);
            assert_eq!((rows.columns().count, rows.columns().attributes), (5, Some(hosts.attributes())));
            assert_eq!(rows.to_hosts(vec![1, 2, 3, 4, 5]), [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn what_is_not_read_is_not_handed_over() {
        let mut hosts = HostTable::new();
        let ask = |hosts: &HostTable, scope: Scope, pools: bool| {
            let rows = Rows::of(hosts, scope, pools);
            let columns = rows.columns();
            let pools = columns.pools.map(|pools| (pools.free.len(), pools.details.is_some()));
            (columns.sets.is_some(), columns.names.is_some(), columns.attributes.is_some(), pools)
        };
        assert_eq!(ask(&hosts, Scope::ALL, true), (false, false, false, None), "there is no host");
        hosts.push_host("1", slotwise::policy::SetId::EMPTY).expect("a host");
        hosts.push_pool(slotwise::policy::SetId::EMPTY, None, 3).expect("a pool");
        assert_eq!(ask(&hosts, Scope::ALL, true), (true, true, true, Some((1, true))));
        assert_eq!(ask(&hosts, Scope::ALL, false), (true, true, true, None));
        assert_eq!(ask(&hosts, Scope::NOTHING, true), (false, false, false, Some((1, false))));
        let attributes = Scope { pool_attributes: true, ..Scope::NOTHING };
        assert_eq!(ask(&hosts, attributes, true), (true, false, false, Some((1, true))));
        assert_eq!(ask(&hosts, attributes, false), (false, false, false, None));
    }
}
