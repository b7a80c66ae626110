//! The fleet: many hosts' pools in one index, for a scheduler that asks thousands of times a second.
//!
//! A fleet keeps counts, not devices: of each host the pools in their stable order, each as a class (interned
//! attributes and NUMA node) and how many are free. What it answers about a host is what [`Pools::fit`] answers about
//! [`Fleet::pools`] of that host; it only finds it with less work.

mod cache;
mod classes;
mod columns;
mod delta;
mod explain;
mod filter;
mod host_set;
mod hosts;
mod journal;
mod lists;
mod load;
mod memory;
mod names;
mod place;
mod plan;
mod rank;
mod reserve;
mod rows;
mod snapshot;
mod topologies;

pub use self::delta::HostDelta;
pub use self::explain::{FleetExplanation, FleetReason, ReasonCount, RequestDrops, StepDrops};
pub use self::filter::{FilterOptions, FleetAnswer, HostCandidates, HostQuestion, PolicyRefusal};
pub use self::host_set::HostSet;
pub use self::hosts::{HostOutcome, HostUpdate};
pub use self::load::FleetLoad;
pub use self::memory::FleetMemory;
pub use self::place::{AffinityRule, Batch, BatchItem, BatchMode, BatchOutcome, Placed, PlacedItem};
pub use self::rank::{Demand, RankOptions, Ranking, Weigher, WeigherKind};
pub use self::reserve::Reservation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::cache::Cache;
use self::classes::Classes;
use self::hosts::TextMark;
use self::journal::Journal;
use self::lists::Lists;
use self::names::Names;
use self::rank::DemandMix;
use self::reserve::Held;
use self::rows::{Rows, Slot};
use self::topologies::Topologies;
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::fit::Fit;
use crate::pool::{Pool, Pools};
use crate::request::Workload;

/// Many hosts' pools, indexed.
///
/// A host has a name, and a dense number (its *id*) that stays the same until it is removed; the lowest free id goes to
/// the next new host. Answers about many hosts are sets and lists of ids ([`HostSet`], `u32`).
///
/// Each host has a version: the number under which its owner (say, a compute node's tracker) knows its state. A change
/// that does not follow on the version that is there is refused with [`ErrorKind::Conflict`].
///
/// ```
/// use slotwise::{FilterOptions, Fleet, Pools, Workload, json};
///
/// let mut fleet = Fleet::new();
/// let pools = r#"[{"vendor_id": "10de", "product_id": "2330", "count": 4}]"#;
/// fleet.put_json("compute-1", pools, None, None)?;
/// fleet.put("compute-2", &Pools::default(), None)?;
///
/// let two: Workload =
///     json::parse(r#"{"requests": [{"count": 2, "alternatives": [{"product_id": "2330"}]}]}"#, "workload")?;
/// let answer = fleet.filter(&two, &FilterOptions::default(), &[])?;
/// assert_eq!(answer.hosts.len(), 1);
/// assert_eq!(fleet.names(&answer.hosts).collect::<Vec<_>>(), ["compute-1"]);
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    names: Names,
    /// The ids that have a host.
    live: HostSet,
    /// Ids below the bound that have none.
    free_ids: BTreeSet<u32>,
    classes: Classes,
    /// What is free, less what is reserved.
    rows: Rows,
    versions: Vec<u64>,
    topologies: Topologies,
    /// What is remembered of the texts that hosts were last read from; shorter than the list of hosts where none were.
    texts: Vec<TextMark>,
    /// The Placement provider of each pool, of the hosts that have any.
    providers: BTreeMap<u32, Arc<[Option<Arc<str>>]>>,
    tags: BTreeMap<u32, ExtraInfo>,
    /// What is reserved, by owner.
    reservations: BTreeMap<String, Reservation>,
    /// The hosts on which something is reserved.
    held: BTreeMap<u32, Held>,
    demand: DemandMix,
    journal: Journal,
    lists: Lists,
    cache: Cache,
}

impl Fleet {
    /// A fleet without hosts.
    #[must_use]
    pub fn new() -> Self {
        Fleet::default()
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() - self.free_ids.len()
    }

    /// Whether there is no host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One past the highest id that any host has had: the length of a column with a place for each host.
    #[must_use]
    pub fn id_bound(&self) -> u32 {
        self.rows.len() as u32
    }

    /// The ids of all hosts.
    #[must_use]
    pub fn hosts(&self) -> &HostSet {
        &self.live
    }

    /// The id of a host.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`].
    pub fn id(&self, host: &str) -> Result<u32> {
        self.names.id(host).ok_or_else(|| {
            Error::new(
                ErrorKind::UnknownHost,
                format!("the fleet has no host {:?}", crate::address::clip(host)),
            )
            .with_help("put the host first")
            .inside("host")
        })
    }

    /// The name of a host; `None` when no host has this id.
    #[must_use]
    pub fn name(&self, id: u32) -> Option<&str> {
        self.live.contains(id).then(|| self.names.get(id))
    }

    /// The names of hosts, in the order of their ids; ids without a host are passed over.
    pub fn names<'a>(&'a self, hosts: &'a HostSet) -> impl Iterator<Item = &'a str> {
        hosts.iter().filter_map(|id| self.name(id))
    }

    /// The version of a host's state.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`].
    pub fn version(&self, host: &str) -> Result<u64> {
        Ok(self.versions[self.id(host)? as usize])
    }

    /// A number that grows with every change of what any host has free.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.journal.end()
    }

    /// The pools of a host less what is reserved on it, without devices; empty pools are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`].
    pub fn pools(&self, host: &str) -> Result<Pools> {
        Ok(self.pools_of(self.id(host)?))
    }

    /// Whether and how a workload fits one host, with the reason where it does not; as [`Pools::fit`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`], or as [`Pools::fit`].
    pub fn fit(&self, host: &str, workload: &Workload) -> Result<Fit> {
        self.pools(host)?.fit(workload)
    }

    /// The tags of a host: rack, zone, or whatever rules of affinity look at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`].
    pub fn tags(&self, host: &str) -> Result<ExtraInfo> {
        Ok(self.tags.get(&self.id(host)?).cloned().unwrap_or_default())
    }

    /// How many bytes the fleet occupies.
    #[must_use]
    pub fn memory(&self) -> FleetMemory {
        let node = 48;
        let providers: usize = self
            .providers
            .values()
            .map(|list| list.iter().flatten().map(|p| p.len() + 16).sum::<usize>() + list.len() * 16 + node)
            .sum();
        let tags: usize = self
            .tags
            .values()
            .flat_map(|tags| tags.iter().map(|(k, v)| k.len() + v.map_or(0, str::len) + 64))
            .sum();
        let held: usize = self.held.values().map(|held| held.counts.capacity() * 4 + node).sum();
        let reserved: usize = self.reservations.iter().map(|(owner, r)| owner.len() + r.bytes() + node).sum();
        let pools = self.rows.bytes();
        let hosts = self.names.bytes()
            + self.versions.capacity() * 8
            + self.texts.capacity() * size_of::<TextMark>()
            + self.live.bytes()
            + self.free_ids.len() * 8;
        let classes = self.classes.bytes() + self.lists.bytes();
        let details = providers + tags + self.topologies.bytes() + held + reserved;
        let caches = self.journal.bytes() + self.cache.bytes();
        FleetMemory {
            pools,
            hosts,
            classes,
            details,
            caches,
            total: pools + hosts + classes + details + caches,
        }
    }

    /// The pools of the host with this id, of which there is one.
    fn pools_of(&self, id: u32) -> Pools {
        let providers = self.providers.get(&id);
        let list = self.rows.slots(id).enumerate().map(|(slot, Slot { class, count })| {
            let provider = providers.and_then(|list| list[slot].as_deref().map(str::to_owned));
            Pool { count, provider, ..self.classes.pool(class).clone() }
        });
        Pools { list: list.collect(), topology: self.topologies.get(id).cloned() }
    }
}
