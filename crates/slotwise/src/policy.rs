//! Policies: the operator's own code, which may refuse hosts, score them, and order the devices of one.
//!
//! A [`Policy`] is asked in batches: all hosts of a query at once, as columns of numbers and interned texts
//! ([`HostTable`], [`DeviceTable`]), so that a policy in a sandbox costs a copy of memory and not a walk over records.
//! The engine calls this trait and knows nothing of sandboxes; the crate `slotwise-sandbox` implements it for
//! WebAssembly components, and a test or an embedding program may implement it natively.
//!
//! # What happens when a policy fails
//!
//! The engine sees an answer or an error, never half of one. Whether a failing policy fails closed (the call gives
//! [`ErrorKind::PolicyFailed`], and so does the query), fails open (it abstains: the call gives `None`, and the query goes
//! as if it had not been asked) or is dropped after some failures is decided by who implements the trait; the engine does
//! not guess. A query about many hosts is put in several calls; who abstains from one of them says nothing in the others
//! either. An answer of the wrong length, a verdict without its reason, or a score that is not a finite number is a failure
//! too: [`filter`], [`score`] and [`prefer`] check every answer, so that callers use these functions and not the trait's
//! methods.
//!
//! ```
//! use slotwise::policy::{self, HostTable, Policy, Query, Scope, Verdicts};
//! use slotwise::{ExtraInfo, Result, Workload};
//!
//! struct KeepOff(&'static str);
//!
//! impl Policy for KeepOff {
//!     fn name(&self) -> &str { "keep-off" }
//!     fn scope(&self) -> Scope { Scope { filter: true, attributes: true, ..Scope::NOTHING } }
//!     fn filter(&self, _: &Query<'_>, hosts: &HostTable) -> Result<Option<Verdicts>> {
//!         let mut verdicts = Verdicts::all_pass(hosts.len());
//!         for host in 0..hosts.len() {
//!             if hosts.attribute(host, "rack") == Some(self.0) {
//!                 verdicts.refuse(host, "the rack is kept free");
//!             }
//!         }
//!         Ok(Some(verdicts))
//!     }
//! }
//!
//! let mut hosts = HostTable::new();
//! for (name, rack) in [("node-1", "r1"), ("node-2", "r2")] {
//!     let mut facts = ExtraInfo::new();
//!     facts.insert("rack", Some(rack.to_owned()))?;
//!     let facts = hosts.set(&facts)?;
//!     hosts.push_host(name, facts)?;
//! }
//! let (workload, facts) = (Workload::default(), ExtraInfo::new());
//! let query = Query { workload: &workload, facts: &facts };
//! let verdicts = policy::filter(&[&KeepOff("r2")], &query, &hosts)?;
//! assert!(verdicts.passes(0));
//! assert_eq!(verdicts.reason(1), Some("policy keep-off: the rack is kept free"));
//! # Ok::<(), slotwise::Error>(())
//! ```

mod documents;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::request::Workload;

pub use documents::QueryDocument;

/// The value of a text id or set id that stands for none: a null value, an unknown NUMA node.
pub const NONE: u32 = u32::MAX;

/// The operator's own rule about where workloads go.
///
/// Methods that [`Policy::scope`] does not name are never called. Threads may ask the same policy at once.
pub trait Policy: Send + Sync {
    /// The name that reasons and errors give to this policy.
    fn name(&self) -> &str;

    /// What the policy answers and which columns it reads; the same for the life of the policy.
    ///
    /// A caller that knows no policy wants a column need not fill it.
    fn scope(&self) -> Scope;

    /// Which hosts may take the workload: one verdict for each host, in the order of `hosts`; `None` when it abstains.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PolicyFailed`] when the policy fails closed.
    fn filter(&self, query: &Query<'_>, hosts: &HostTable) -> Result<Option<Verdicts>> {
        let _ = (query, hosts);
        Ok(None)
    }

    /// How well each host suits the workload, in the order of `hosts`: finite numbers, more is better; `None` when it
    /// abstains.
    ///
    /// # Errors
    ///
    /// As [`Policy::filter`].
    fn score(&self, query: &Query<'_>, hosts: &HostTable) -> Result<Option<Vec<f64>>> {
        let _ = (query, hosts);
        Ok(None)
    }

    /// How gladly each free device of one host is given away, in the order of `devices`: finite numbers, the highest
    /// is taken first, and equal ones stay in the engine's order; `None` when it abstains.
    ///
    /// # Errors
    ///
    /// As [`Policy::filter`].
    fn prefer(&self, query: &Query<'_>, devices: &DeviceTable) -> Result<Option<Vec<f64>>> {
        let _ = (query, devices);
        Ok(None)
    }
}

/// What a policy answers, and which columns it reads.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Scope {
    /// [`Policy::filter`] is to be asked.
    pub filter: bool,
    /// [`Policy::score`] is to be asked.
    pub score: bool,
    /// [`Policy::prefer`] is to be asked.
    pub prefer: bool,
    /// It reads the requests of the workload.
    pub requests: bool,
    /// It reads what the caller knows beyond them.
    pub facts: bool,
    /// It reads the names of hosts or the addresses of devices.
    pub names: bool,
    /// It reads the attributes of hosts and devices.
    pub attributes: bool,
    /// [`Policy::filter`] reads the pools of hosts.
    pub filter_pools: bool,
    /// [`Policy::score`] reads the pools of hosts.
    pub score_pools: bool,
    /// Where pools are read, so are their attributes and NUMA nodes, and not only how many devices are free.
    pub pool_attributes: bool,
}

impl Scope {
    /// Answers nothing and reads nothing.
    pub const NOTHING: Scope = Scope {
        filter: false,
        score: false,
        prefer: false,
        requests: false,
        facts: false,
        names: false,
        attributes: false,
        filter_pools: false,
        score_pools: false,
        pool_attributes: false,
    };

    /// Answers everything and reads everything.
    pub const ALL: Scope = Scope {
        filter: true,
        score: true,
        prefer: true,
        requests: true,
        facts: true,
        names: true,
        attributes: true,
        filter_pools: true,
        score_pools: true,
        pool_attributes: true,
    };

    /// What at least one of two policies answers or reads.
    #[must_use]
    pub fn or(self, other: Scope) -> Scope {
        Scope {
            filter: self.filter | other.filter,
            score: self.score | other.score,
            prefer: self.prefer | other.prefer,
            requests: self.requests | other.requests,
            facts: self.facts | other.facts,
            names: self.names | other.names,
            attributes: self.attributes | other.attributes,
            filter_pools: self.filter_pools | other.filter_pools,
            score_pools: self.score_pools | other.score_pools,
            pool_attributes: self.pool_attributes | other.pool_attributes,
        }
    }
}

/// What a policy is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The workload to be placed.
    pub workload: &'a Workload,
    /// What the caller knows about it beyond that: project, flavor, user, as the caller names them.
    pub facts: &'a ExtraInfo,
}

/// Names a set of attributes in a [`HostTable`] or [`DeviceTable`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SetId(pub(crate) u32);

impl SetId {
    /// The set without attributes, which every table has.
    pub const EMPTY: SetId = SetId(0);

    /// The number under which the columns name it.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// Texts one after the other in one string, each known by its number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Texts {
    text: String,
    ends: Vec<u32>,
}

impl Texts {
    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text with this number.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    /// All texts, joined without anything between them.
    #[must_use]
    pub fn joined(&self) -> &str {
        &self.text
    }

    /// Where each text ends in [`Texts::joined`], in bytes; it starts where the one before ends.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Appends a text and gives its number.
    fn push(&mut self, text: &str) -> Result<u32> {
        let number = column_length(self.ends.len())?;
        let end = column_length(self.text.len() + text.len())?;
        self.text.push_str(text);
        self.ends.push(end);
        Ok(number)
    }
}

/// Sets of attributes, each known by its [`SetId`]; keys and values are numbers of [`Sets::texts`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sets {
    texts: Texts,
    known: BTreeMap<String, u32>,
    ends: Vec<u32>,
    keys: Vec<u32>,
    values: Vec<u32>,
}

impl Default for Sets {
    /// The empty set alone.
    fn default() -> Self {
        Sets {
            texts: Texts::default(),
            known: BTreeMap::new(),
            ends: vec![0],
            keys: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl Sets {
    /// How many sets there are; at least the empty one.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "the empty set is always there")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The texts that keys and values are numbers of.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Where the entries of each set end in [`Sets::keys`] and [`Sets::values`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The keys of all sets, set after set; within a set ordered by their text.
    #[must_use]
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// The values beside [`Sets::keys`]; [`NONE`] is null.
    #[must_use]
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// The text under `key` in a set; `None` when there is none or it is null.
    #[must_use]
    pub fn text(&self, set: SetId, key: &str) -> Option<&str> {
        let key = *self.known.get(key)?;
        let set = set.0 as usize;
        let end = *self.ends.get(set)? as usize;
        let start = set.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let at = self.keys[start..end].iter().position(|&k| k == key)?;
        self.texts.get(self.values[start + at] as usize)
    }

    fn add(&mut self, attributes: &ExtraInfo) -> Result<SetId> {
        if attributes.is_empty() {
            return Ok(SetId::EMPTY);
        }
        let id = column_length(self.ends.len())?;
        let end = column_length(self.keys.len() + attributes.len())?;
        for (key, value) in attributes.iter() {
            let key = self.intern(key)?;
            let value = value.map_or(Ok(NONE), |value| self.intern(value))?;
            self.keys.push(key);
            self.values.push(value);
        }
        self.ends.push(end);
        Ok(SetId(id))
    }

    fn intern(&mut self, text: &str) -> Result<u32> {
        if let Some(&number) = self.known.get(text) {
            return Ok(number);
        }
        let number = self.texts.push(text)?;
        self.known.insert(text.to_owned(), number);
        Ok(number)
    }
}

/// Many hosts with their attributes and pools, as columns.
///
/// Host `i` has the name `names().get(i)`, the attributes `attributes()[i]`, and the pools from where those of the host
/// before end up to `pool_ends()[i]`. A caller that keeps classes of pools adds each class once with
/// [`HostTable::set`] and refers to it from every host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostTable {
    sets: Sets,
    names: Texts,
    attributes: Vec<u32>,
    kinds: Vec<u32>,
    kind_of: Vec<u32>,
    /// The kind of the hosts with each set; [`NONE`] for a set that no host has.
    kind_of_set: Vec<u32>,
    pool_ends: Vec<u32>,
    pool_sets: Vec<u32>,
    pool_numa_nodes: Vec<u32>,
    pool_free: Vec<u32>,
}

impl HostTable {
    /// A table without hosts.
    #[must_use]
    pub fn new() -> Self {
        HostTable::default()
    }

    /// Adds a set of attributes, to be named by any number of hosts and pools. Sets are not compared: adding the same
    /// one twice gives two ids.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] when a column passes 4,294,967,295 entries or bytes, as for all that is added.
    pub fn set(&mut self, attributes: &ExtraInfo) -> Result<SetId> {
        self.sets.add(attributes)
    }

    /// Adds a host, with no pools yet. An empty name is for callers whose policies read none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a set that is not of this table; [`ErrorKind::LimitExceeded`].
    pub fn push_host(&mut self, name: &str, attributes: SetId) -> Result<()> {
        self.known(attributes)?;
        self.names.push(name)?;
        self.attributes.push(attributes.0);
        self.pool_ends.push(column_length(self.pool_sets.len())?);
        if self.kind_of_set.len() < self.sets.len() {
            self.kind_of_set.resize(self.sets.len(), NONE);
        }
        let kind = &mut self.kind_of_set[attributes.0 as usize];
        if *kind == NONE {
            *kind = column_length(self.kinds.len())?;
            self.kinds.push(attributes.0);
        }
        self.kind_of.push(*kind);
        Ok(())
    }

    /// Adds a pool to the host that was added last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when there is no host yet or the set is not of this table;
    /// [`ErrorKind::LimitExceeded`].
    pub fn push_pool(&mut self, attributes: SetId, numa_node: Option<u32>, free: u32) -> Result<()> {
        self.known(attributes)?;
        let end = column_length(self.pool_sets.len() + 1)?;
        let Some(last) = self.pool_ends.last_mut() else {
            return Err(Error::new(ErrorKind::InvalidArgument, "a pool needs a host, and there is none yet"));
        };
        *last = end;
        self.pool_sets.push(attributes.0);
        self.pool_numa_nodes.push(numa_node.unwrap_or(NONE));
        self.pool_free.push(free);
        Ok(())
    }

    fn known(&self, set: SetId) -> Result<()> {
        known(&self.sets, set)
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The value of one attribute of a host; `None` when it is absent or null.
    #[must_use]
    pub fn attribute(&self, host: usize, key: &str) -> Option<&str> {
        self.sets.text(SetId(*self.attributes.get(host)?), key)
    }

    /// The attribute sets of hosts and pools.
    #[must_use]
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The names of the hosts.
    #[must_use]
    pub fn names(&self) -> &Texts {
        &self.names
    }

    /// The set of each host's own attributes.
    #[must_use]
    pub fn attributes(&self) -> &[u32] {
        &self.attributes
    }

    /// The sets that hosts have, each once, in the order of the first host with it: to who reads nothing but attributes, all
    /// hosts with one set are of one kind.
    #[must_use]
    pub fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    /// The kind of each host, as its place in [`HostTable::kinds`].
    #[must_use]
    pub fn kind_of(&self) -> &[u32] {
        &self.kind_of
    }

    /// Where the pools of each host end in the three columns of pools.
    #[must_use]
    pub fn pool_ends(&self) -> &[u32] {
        &self.pool_ends
    }

    /// The set of each pool's attributes.
    #[must_use]
    pub fn pool_sets(&self) -> &[u32] {
        &self.pool_sets
    }

    /// The NUMA node of each pool; [`NONE`] where it is unknown.
    #[must_use]
    pub fn pool_numa_nodes(&self) -> &[u32] {
        &self.pool_numa_nodes
    }

    /// How many free devices each pool has.
    #[must_use]
    pub fn pool_free(&self) -> &[u32] {
        &self.pool_free
    }
}

/// The free devices of one host, as columns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceTable {
    host: String,
    sets: Sets,
    addresses: Texts,
    attributes: Vec<u32>,
    numa_nodes: Vec<u32>,
}

impl DeviceTable {
    /// A table of the devices of the host with this name, which may be empty; it has no devices yet.
    #[must_use]
    pub fn new(host: &str) -> Self {
        DeviceTable { host: host.to_owned(), ..DeviceTable::default() }
    }

    /// Adds a set of attributes, as [`HostTable::set`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`].
    pub fn set(&mut self, attributes: &ExtraInfo) -> Result<SetId> {
        self.sets.add(attributes)
    }

    /// Adds a device.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a set that is not of this table; [`ErrorKind::LimitExceeded`].
    pub fn push(&mut self, address: &str, attributes: SetId, numa_node: Option<u32>) -> Result<()> {
        known(&self.sets, attributes)?;
        self.addresses.push(address)?;
        self.attributes.push(attributes.0);
        self.numa_nodes.push(numa_node.unwrap_or(NONE));
        Ok(())
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The value of one attribute of a device; `None` when it is absent or null.
    #[must_use]
    pub fn attribute(&self, device: usize, key: &str) -> Option<&str> {
        self.sets.text(SetId(*self.attributes.get(device)?), key)
    }

    /// The name of the host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The attribute sets of the devices.
    #[must_use]
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The addresses of the devices.
    #[must_use]
    pub fn addresses(&self) -> &Texts {
        &self.addresses
    }

    /// The set of each device's attributes: its ids, type, tags and extra info.
    #[must_use]
    pub fn attributes(&self) -> &[u32] {
        &self.attributes
    }

    /// The NUMA node of each device; [`NONE`] where it is unknown.
    #[must_use]
    pub fn numa_nodes(&self) -> &[u32] {
        &self.numa_nodes
    }
}

/// What policies say about each host: it passes, or the reason why not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdicts {
    /// For each host 0, or one more than the index of the reason.
    codes: Vec<u32>,
    reasons: Vec<String>,
}

impl Verdicts {
    /// All of so many hosts pass.
    #[must_use]
    pub fn all_pass(hosts: usize) -> Self {
        Verdicts { codes: vec![0; hosts], reasons: Vec::new() }
    }

    /// Takes columns over: for each host 0 if it passes, else one more than the index of its reason.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PolicyFailed`] when a verdict names a reason that is not there.
    pub fn new(codes: Vec<u32>, reasons: Vec<String>) -> Result<Self> {
        // Without a way out of the loop, so that it looks at several at once.
        let last = u32::try_from(reasons.len()).unwrap_or(u32::MAX);
        if codes.iter().fold(true, |all, &code| all & (code <= last)) {
            return Ok(Verdicts { codes, reasons });
        }
        match codes.iter().position(|&code| code > last) {
            None => Ok(Verdicts { codes, reasons }),
            Some(host) => Err(Error::new(
                ErrorKind::PolicyFailed,
                format!("verdict {host} names reason {}, but there are {last} reasons", codes[host] - 1),
            )),
        }
    }

    /// Refuses a host; the last refusal counts. A host that is not there is left alone.
    pub fn refuse(&mut self, host: usize, reason: &str) {
        let Some(code) = self.codes.get_mut(host) else { return };
        let index = self.reasons.iter().rposition(|known| known == reason).unwrap_or_else(|| {
            self.reasons.push(reason.to_owned());
            self.reasons.len() - 1
        });
        *code = u32::try_from(index + 1).unwrap_or(u32::MAX);
    }

    /// How many hosts were judged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Whether a host passes; one that is not there does not.
    #[must_use]
    pub fn passes(&self, host: usize) -> bool {
        self.codes.get(host) == Some(&0)
    }

    /// Why a host was refused; `None` when it passes.
    #[must_use]
    pub fn reason(&self, host: usize) -> Option<&str> {
        let code = *self.codes.get(host)? as usize;
        code.checked_sub(1).and_then(|index| self.reasons.get(index)).map(String::as_str)
    }

    /// For each host 0 if it passes, else one more than the index of its reason in [`Verdicts::reasons`].
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The reasons that codes refer to.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

/// Asks all policies that filter about the same hosts: a host passes if none refuses it, and the first policy that
/// does gives the reason, with its name in front.
///
/// # Errors
///
/// [`ErrorKind::PolicyFailed`], named after the first policy that fails or whose answer cannot be used.
pub fn filter(policies: &[&dyn Policy], query: &Query<'_>, hosts: &HostTable) -> Result<Verdicts> {
    filter_by(&mut filtering(policies), query, hosts)
}

/// Those that filter.
pub(crate) fn filtering<'a>(policies: &[&'a dyn Policy]) -> Vec<&'a dyn Policy> {
    policies.iter().copied().filter(|policy| policy.scope().filter).collect()
}

/// As [`filter`], of policies that filter; those that abstain are taken out.
pub(crate) fn filter_by(
    policies: &mut Vec<&dyn Policy>,
    query: &Query<'_>,
    hosts: &HostTable,
) -> Result<Verdicts> {
    let mut all = Verdicts::all_pass(hosts.len());
    let mut answering = Vec::with_capacity(policies.len());
    for policy in policies.iter().copied() {
        let Some(verdicts) = policy.filter(query, hosts)? else { continue };
        answering.push(policy);
        check_length(policy, "verdicts", verdicts.len(), hosts.len())?;
        let before = all.reasons.len();
        all.reasons
            .extend(verdicts.reasons.iter().map(|reason| format!("policy {}: {reason}", policy.name())));
        let offset = column_length(before)?;
        for (code, verdict) in all.codes.iter_mut().zip(&verdicts.codes) {
            if *code == 0 && *verdict > 0 {
                *code = verdict.saturating_add(offset);
            }
        }
    }
    *policies = answering;
    Ok(all)
}

/// Asks one policy for its scores of hosts; all 0 if it does not score or abstains.
///
/// # Errors
///
/// [`ErrorKind::PolicyFailed`] when it fails or its answer cannot be used.
pub fn score(policy: &dyn Policy, query: &Query<'_>, hosts: &HostTable) -> Result<Vec<f64>> {
    Ok(score_by(policy, query, hosts)?.unwrap_or_else(|| vec![0.0; hosts.len()]))
}

/// As [`score`]; `None` if it does not score or abstains.
pub(crate) fn score_by(
    policy: &dyn Policy,
    query: &Query<'_>,
    hosts: &HostTable,
) -> Result<Option<Vec<f64>>> {
    let scores = if policy.scope().score { policy.score(query, hosts)? } else { None };
    scores.map(|scores| check_scores(policy, scores, hosts.len())).transpose()
}

/// Asks one policy which devices are to be taken first; all 0 if it does not say or abstains.
///
/// # Errors
///
/// [`ErrorKind::PolicyFailed`] when it fails or its answer cannot be used.
pub fn prefer(policy: &dyn Policy, query: &Query<'_>, devices: &DeviceTable) -> Result<Vec<f64>> {
    let preferences = if policy.scope().prefer { policy.prefer(query, devices)? } else { None };
    match preferences {
        None => Ok(vec![0.0; devices.len()]),
        Some(preferences) => check_scores(policy, preferences, devices.len()),
    }
}

/// In which order the policies that prefer would give devices away: those that they find alike together, the best first,
/// each by its number in `devices`, which is called if any policy prefers. `None` if none does.
///
/// What one policy finds alike is ordered by the next.
///
/// # Errors
///
/// Those of `devices`; [`ErrorKind::PolicyFailed`] when a policy fails or its answer cannot be used.
pub fn order(
    policies: &[&dyn Policy],
    query: &Query<'_>,
    devices: impl FnOnce() -> Result<DeviceTable>,
) -> Result<Option<Vec<Vec<usize>>>> {
    let mut preferring = policies.iter().filter(|policy| policy.scope().prefer).peekable();
    if preferring.peek().is_none() {
        return Ok(None);
    }
    let devices = devices()?;
    let scores: Vec<Vec<f64>> =
        preferring.map(|policy| prefer(*policy, query, &devices)).collect::<Result<_>>()?;
    // All are finite numbers, which compare; 0 and -0 are equal.
    let compare = |a: usize, b: usize| {
        let by = |scores: &Vec<f64>| scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal);
        scores.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut order: Vec<usize> = (0..devices.len()).collect();
    // The sort is stable.
    order.sort_by(|&a, &b| compare(a, b));
    Ok(Some(order.chunk_by(|&a, &b| compare(a, b).is_eq()).map(<[usize]>::to_vec).collect()))
}

fn check_scores(policy: &dyn Policy, scores: Vec<f64>, expected: usize) -> Result<Vec<f64>> {
    check_length(policy, "scores", scores.len(), expected)?;
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(at) => Err(failed(policy, &format!("score {at} is {}, which is no finite number", scores[at]))),
    }
}

fn check_length(policy: &dyn Policy, what: &str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(failed(policy, &format!("it gave {got} {what} where {expected} were asked for")))
}

fn failed(policy: &dyn Policy, what: &str) -> Error {
    Error::new(ErrorKind::PolicyFailed, format!("policy {}: {what}", policy.name()))
}

fn known(sets: &Sets, set: SetId) -> Result<()> {
    if (set.0 as usize) < sets.len() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, "the set of attributes is not of this table"))
}

/// A length or a number in a column, which has 32 bits; the last value stands for none.
fn column_length(length: usize) -> Result<u32> {
    u32::try_from(length).ok().filter(|&length| length != NONE).ok_or_else(|| {
        Error::new(
            ErrorKind::LimitExceeded,
            format!("a column of a policy's table has over {length} entries"),
        )
        .with_help("ask about fewer hosts at once")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same answers whatever it is asked.
    struct Fixed {
        name: &'static str,
        verdicts: Verdicts,
        scores: Vec<f64>,
    }

    impl Policy for Fixed {
        fn name(&self) -> &str {
            self.name
        }
        fn scope(&self) -> Scope {
            Scope::ALL
        }
        fn filter(&self, _: &Query<'_>, _: &HostTable) -> Result<Option<Verdicts>> {
            Ok(Some(self.verdicts.clone()))
        }
        fn score(&self, _: &Query<'_>, _: &HostTable) -> Result<Option<Vec<f64>>> {
            Ok(Some(self.scores.clone()))
        }
        fn prefer(&self, _: &Query<'_>, _: &DeviceTable) -> Result<Option<Vec<f64>>> {
            Ok(Some(self.scores.clone()))
        }
    }

    fn fixed(name: &'static str, refused: &[(usize, &str)], scores: &[f64]) -> Fixed {
        let mut verdicts = Verdicts::all_pass(3);
        for &(host, reason) in refused {
            verdicts.refuse(host, reason);
        }
        Fixed { name, verdicts, scores: scores.to_vec() }
    }

    fn hosts(count: usize) -> HostTable {
        let mut hosts = HostTable::new();
        for i in 0..count {
            hosts.push_host(&format!("node-{i}"), SetId::EMPTY).expect("a host");
        }
        hosts
    }

    fn with_query<T>(ask: impl FnOnce(&Query<'_>) -> T) -> T {
        ask(&Query { workload: &Workload::default(), facts: &ExtraInfo::new() })
    }

    #[test]
    fn a_table_reads_back_what_was_put_in() {
        let mut facts = ExtraInfo::new();
        facts.insert("rack", Some("r1".to_owned())).expect("a fact");
        facts.insert("row", None).expect("a fact");
        let mut table = HostTable::new();
        let set = table.set(&facts).expect("a set");
        table.push_host("a", SetId::EMPTY).expect("a host");
        table.push_host("", set).expect("a host");
        table.push_pool(set, Some(1), 7).expect("a pool");
        table.push_pool(SetId::EMPTY, None, 0).expect("a pool");
        table.push_host("ccc", set).expect("a host");
        let names: Vec<_> = (0..4).map(|i| table.names().get(i)).collect();
        assert_eq!(names, [Some("a"), Some(""), Some("ccc"), None]);
        assert_eq!(table.attribute(0, "rack"), None);
        assert_eq!(table.attribute(1, "rack"), Some("r1"));
        assert_eq!(table.attribute(1, "row"), None);
        assert_eq!(table.attribute(1, "r1"), None, "a value is no key");
        assert_eq!(table.attribute(9, "rack"), None);
        assert_eq!(table.pool_ends(), [0, 2, 2]);
        assert_eq!(table.pool_numa_nodes(), [1, NONE]);
        assert_eq!(table.pool_free(), [7, 0]);
    }

    #[test]
    fn a_table_refuses_what_is_not_of_it() {
        let mut table = HostTable::new();
        let error = table.push_pool(SetId::EMPTY, None, 1).expect_err("no host");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            table.push_host("a", SetId(1)).expect_err("no such set").kind(),
            ErrorKind::InvalidArgument
        );
        assert!(table.is_empty());
    }

    #[test]
    fn the_first_policy_that_refuses_gives_the_reason() {
        let first = fixed("first", &[(1, "hot")], &[]);
        let second = fixed("second", &[(1, "cold"), (2, "far")], &[]);
        let all = with_query(|query| filter(&[&first, &second], query, &hosts(3))).expect("verdicts");
        let reasons: Vec<_> = (0..3).map(|host| all.reason(host)).collect();
        assert_eq!(reasons, [None, Some("policy first: hot"), Some("policy second: far")]);
        assert!(all.passes(0) && !all.passes(1) && !all.passes(3));
    }

    #[test]
    fn what_one_policy_finds_alike_is_ordered_by_the_next() {
        let devices = |count: u32| {
            let mut table = DeviceTable::new("node-1");
            for i in 0..count {
                table.push(&format!("0000:01:00.{i}"), SetId::EMPTY, None)?;
            }
            Ok(table)
        };
        let first = fixed("first", &[], &[0.0, 1.0, -0.0, 1.0]);
        let second = fixed("second", &[], &[1.0, -2.0, 1.0, f64::MAX]);
        let order = with_query(|query| order(&[&first, &second], query, || devices(4))).expect("an order");
        assert_eq!(order, Some(vec![vec![3], vec![1], vec![0, 2]]));
        let alone = with_query(|query| super::order(&[&first], query, || devices(4))).expect("an order");
        assert_eq!(alone, Some(vec![vec![1, 3], vec![0, 2]]));
        let never = || -> Result<DeviceTable> { unreachable!("no policy prefers") };
        assert_eq!(with_query(|query| super::order(&[], query, never)).expect("none"), None);
        let error = with_query(|query| super::order(&[&first], query, || devices(3))).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::PolicyFailed);
    }

    #[test]
    fn an_answer_that_cannot_be_used_is_a_failure() {
        let policy = fixed("odd", &[], &[1.0, f64::NAN, 2.0]);
        let errors = with_query(|query| {
            [
                filter(&[&policy], query, &hosts(2)).map(drop),
                score(&policy, query, &hosts(3)).map(drop),
                score(&policy, query, &hosts(4)).map(drop),
                prefer(&policy, query, &DeviceTable::new("node-1")).map(drop),
            ]
        });
        let texts: Vec<String> = errors
            .into_iter()
            .map(|error| {
                let error = error.expect_err("a failure");
                assert_eq!(error.kind(), ErrorKind::PolicyFailed);
                error.to_string()
            })
            .collect();
        assert_eq!(
            texts,
            [
                "policy odd: it gave 3 verdicts where 2 were asked for",
                "policy odd: score 1 is NaN, which is no finite number",
                "policy odd: it gave 3 scores where 4 were asked for",
                "policy odd: it gave 3 scores where 0 were asked for",
            ]
        );
        assert!(Verdicts::new(vec![0, 2], vec!["one".to_owned()]).is_err());
    }
}
