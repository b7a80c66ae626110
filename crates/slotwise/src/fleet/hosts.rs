//! Hosts come, change and go.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::delta::HostDelta;
use super::memory::push;
use super::names::Names;
use super::rows::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::limits;
use crate::numa::NumaTopology;
use crate::pool::{Pool, Pools};

/// What a call did to a host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostOutcome {
    /// It is new.
    Inserted,
    /// Its pools or its topology changed.
    Updated,
    /// It was like that already; at most its version changed.
    Unchanged,
}

/// The host that a call was about, and what the call did to it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HostUpdate {
    /// The host's id.
    pub id: u32,
    /// Its version now.
    pub version: u64,
    /// What was done.
    pub outcome: HostOutcome,
}

/// What is remembered of a text: two independent hashes and its length, and none at all if all are zero.
///
/// The text itself would be ten times as large as all else that is known of a host.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct TextMark {
    sip: u64,
    crc: u32,
    len: u32,
}

impl TextMark {
    fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        TextMark { sip: hasher.finish(), crc: crc32fast::hash(text.as_bytes()), len: text.len() as u32 }
    }
}

/// A host's pools as the fleet keeps them.
struct Row {
    slots: Vec<Slot>,
    providers: Option<Arc<[Option<Arc<str>>]>>,
}

impl Fleet {
    /// Inserts a host, or replaces what is known of it.
    ///
    /// `version` is the number under which the host's owner knows this state ([`crate::Tracker::version`]); `None`
    /// counts on from the version that is there, beginning with 1. Tags and reservations stay as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the version is older than the one that is there, or is the same for another state;
    /// [`ErrorKind::InvalidArgument`] for an empty name, [`ErrorKind::LimitExceeded`] when the name is too long or the
    /// fleet too large. Nothing is changed then.
    pub fn put(&mut self, host: &str, pools: &Pools, version: Option<u64>) -> Result<HostUpdate> {
        Names::check(host)?;
        limits::check("number of pools", pools.as_slice().len(), limits::MAX_DEVICES)
            .map_err(|e| e.inside("pools"))?;
        let Some(id) = self.names.id(host) else { return self.insert(host, pools, version) };
        let changed = !self.has(id, pools);
        let version = self.next_version(id, version, changed)?;
        if changed {
            let row = self.row(pools.as_slice())?;
            self.store(id, row)?;
            self.topologies.set(id, pools.topology());
            self.forget_text(id);
        }
        self.versions[id as usize] = version;
        let outcome = if changed { HostOutcome::Updated } else { HostOutcome::Unchanged };
        Ok(HostUpdate { id, version, outcome })
    }

    /// As [`Fleet::put`], from the text that Nova keeps for a host (see [`Pools::from_json`]).
    ///
    /// The text that a host was last read from is recognised by two hashes and its length, and is not read again.
    ///
    /// # Errors
    ///
    /// As [`Pools::from_json`] and [`Fleet::put`]; nothing is changed then.
    pub fn put_json(
        &mut self,
        host: &str,
        text: &str,
        topology: Option<&NumaTopology>,
        version: Option<u64>,
    ) -> Result<HostUpdate> {
        Names::check(host)?;
        let mark = TextMark::of(text);
        if let Some(id) = self.names.id(host)
            && self.texts.get(id as usize) == Some(&mark)
            && self.topologies.get(id) == topology
        {
            let version = self.next_version(id, version, false)?;
            self.versions[id as usize] = version;
            return Ok(HostUpdate { id, version, outcome: HostOutcome::Unchanged });
        }
        let update = self.put(host, &Pools::from_json(text, topology.cloned())?, version)?;
        let at = update.id as usize;
        while self.texts.len() <= at {
            push(&mut self.texts, TextMark::default());
        }
        self.texts[at] = mark;
        Ok(update)
    }

    /// Applies what changed on a host since the version that the fleet has of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`]; [`ErrorKind::Conflict`] when the delta does not follow on the version that is there,
    /// or removes a pool that is not there: hand over the whole host then. Nothing is changed.
    pub fn apply(&mut self, host: &str, delta: &HostDelta) -> Result<HostUpdate> {
        let id = self.id(host)?;
        let known = self.versions[id as usize];
        if delta.base != known || delta.version <= known {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the delta leads from version {} to {}, but the fleet has version {known} of this host",
                    delta.base, delta.version
                ),
            )
            .with_help("put the whole host")
            .inside("delta.base"));
        }
        limits::check("number of pools", delta.pools.len(), limits::MAX_DEVICES)
            .map_err(|e| e.inside("delta.pools"))?;
        let changed = self.apply_pools(id, delta)?;
        let mut released = false;
        for owner in &delta.released {
            if self.reservations.get(owner).is_some_and(|reservation| reservation.host == id) {
                released |= self.release(owner).is_ok();
            }
        }
        self.versions[id as usize] = delta.version;
        let outcome = if changed || released { HostOutcome::Updated } else { HostOutcome::Unchanged };
        if changed {
            self.forget_text(id);
        }
        Ok(HostUpdate { id, version: delta.version, outcome })
    }

    /// Removes a host with all that is reserved on it; its id is free then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`].
    pub fn remove(&mut self, host: &str) -> Result<()> {
        let id = self.id(host)?;
        if let Some(held) = self.held.get(&id) {
            for owner in held.owners.clone() {
                self.release(&owner)?;
            }
        }
        self.store(id, Row { slots: Vec::new(), providers: None })?;
        self.names.remove(id);
        self.live.remove(id);
        self.free_ids.insert(id);
        self.tags.remove(&id);
        self.forget_text(id);
        self.topologies.set(id, None);
        self.versions[id as usize] = 0;
        self.touch(id);
        Ok(())
    }

    /// Gives a host its tags, in place of those it had, and says whether that changed anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`].
    pub fn set_tags(&mut self, host: &str, tags: &ExtraInfo) -> Result<bool> {
        let id = self.id(host)?;
        let old = if tags.is_empty() { self.tags.remove(&id) } else { self.tags.insert(id, tags.clone()) };
        Ok(old.unwrap_or_default() != *tags)
    }

    /// Makes room for so many more hosts at once.
    pub fn reserve_hosts(&mut self, more: usize) {
        let more = more.min(1 << 24);
        self.names.reserve(more, 0);
        super::memory::tight(&mut self.versions, more);
    }

    fn insert(&mut self, host: &str, pools: &Pools, version: Option<u64>) -> Result<HostUpdate> {
        let row = self.row(pools.as_slice())?;
        let id = self.free_ids.first().copied().unwrap_or(self.id_bound());
        let named = limits::check("number of hosts", id as usize + 1, limits::MAX_HOSTS)
            .and_then(|()| self.names.set(id, host));
        if let Err(error) = named {
            row.slots.iter().for_each(|slot| self.classes.release(slot.class));
            return Err(error);
        }
        if !self.free_ids.remove(&id) {
            self.rows.add();
            push(&mut self.versions, 0);
            self.topologies.add();
        }
        if let Err(error) = self.store(id, row) {
            self.names.remove(id);
            self.free_ids.insert(id);
            return Err(error);
        }
        self.live.insert(id);
        self.topologies.set(id, pools.topology());
        let version = version.unwrap_or(1);
        self.versions[id as usize] = version;
        self.touch(id);
        Ok(HostUpdate { id, version, outcome: HostOutcome::Inserted })
    }

    /// The version that a host gets, if it may get it.
    fn next_version(&self, id: u32, version: Option<u64>, changed: bool) -> Result<u64> {
        let known = self.versions[id as usize];
        match version {
            None => Ok(known.saturating_add(u64::from(changed))),
            Some(version) if version > known || (version == known && !changed) => Ok(version),
            Some(version) => Err(Error::new(
                ErrorKind::Conflict,
                match version == known {
                    true => format!("version {version} of this host is known already, with other content"),
                    false => format!(
                        "version {version} of this host is older than version {known}, which is known"
                    ),
                },
            )
            .with_help("hand over the newest state with a version of its own")
            .inside("version")),
        }
    }

    /// Whether a host has these pools, in this order, and this topology.
    fn has(&self, id: u32, pools: &Pools) -> bool {
        let list = pools.as_slice();
        let providers = self.providers.get(&id);
        let provider = |slot: usize| providers.and_then(|list| list[slot].as_deref());
        let slots = self.rows.slots(id);
        slots.len() == list.len()
            && self.topologies.get(id) == pools.topology()
            && slots.zip(list).enumerate().all(|(i, (slot, pool))| {
                let class = self.classes.pool(slot.class);
                self.base_count(id, i, slot.count) == pool.count
                    && class.numa_node == pool.numa_node
                    && provider(i) == pool.provider.as_deref()
                    && (Arc::ptr_eq(&class.attributes, &pool.attributes)
                        || class.attributes == pool.attributes)
            })
    }

    /// How many devices a pool has without reservations.
    fn base_count(&self, id: u32, slot: usize, count: u32) -> u32 {
        self.held.get(&id).map_or(count, |held| held.counts[slot])
    }

    /// Interns pools; on an error nothing is.
    fn row(&mut self, pools: &[Pool]) -> Result<Row> {
        let mut slots = Vec::with_capacity(pools.len());
        for pool in pools {
            match self.classes.acquire(pool) {
                Ok(class) => slots.push(Slot { class, count: pool.count }),
                Err(error) => {
                    slots.iter().for_each(|slot: &Slot| self.classes.release(slot.class));
                    return Err(error.inside("pools"));
                }
            }
        }
        Ok(Row { slots, providers: providers_of(pools) })
    }

    /// Gives a host a row whose classes are acquired; on an error they are released and the old row stays.
    fn store(&mut self, id: u32, row: Row) -> Result<()> {
        let old: Vec<u32> = self.rows.slots(id).map(|slot| slot.class).collect();
        let mut listed: Vec<u32> = old.clone();
        listed.sort_unstable();
        if let Err(error) = self.rows.set(id, &row.slots) {
            row.slots.iter().for_each(|slot| self.classes.release(slot.class));
            return Err(error);
        }
        // A class that this host had already is listed for it already.
        let mut new: Vec<u32> = row.slots.iter().map(|slot| slot.class).collect();
        new.sort_unstable();
        new.dedup();
        for class in new {
            if listed.binary_search(&class).is_err() {
                if self.classes.uses(class) == 1 {
                    self.lists.born(class);
                }
                self.lists.add(class, id, &self.classes, &self.rows);
            }
        }
        old.into_iter().for_each(|class| self.classes.release(class));
        match row.providers {
            Some(providers) => self.providers.insert(id, providers),
            None => self.providers.remove(&id),
        };
        if let Some(held) = self.held.get_mut(&id) {
            held.counts = row.slots.iter().map(|slot| slot.count).collect();
            self.settle(id);
        }
        self.touch(id);
        Ok(())
    }

    fn apply_pools(&mut self, id: u32, delta: &HostDelta) -> Result<bool> {
        // Nearly always only counts change.
        let mut counts = Vec::with_capacity(delta.pools.len());
        if delta.removed.is_empty() {
            for pool in &delta.pools {
                match self.slot_of(id, pool) {
                    Some(slot) => counts.push((slot, pool.count)),
                    None => break,
                }
            }
            if counts.len() == delta.pools.len() {
                return Ok(self.set_counts(id, &counts));
            }
        }
        let mut pools = self.base_pools(id);
        delta.apply(&mut pools).map_err(|e| e.inside("delta"))?;
        limits::check("number of pools", pools.list.len(), limits::MAX_DEVICES)
            .map_err(|e| e.inside("delta.pools"))?;
        if self.has(id, &pools) {
            return Ok(false);
        }
        let row = self.row(pools.as_slice())?;
        self.store(id, row)?;
        Ok(true)
    }

    /// The place of a pool in a host's row.
    pub(super) fn slot_of(&self, id: u32, pool: &Pool) -> Option<usize> {
        let class = self.classes.find(pool)?;
        self.slots_of_class(id, class, pool.provider.as_deref()).next()
    }

    /// The places of the pools of a class and a provider in a host's row; there is one, unless pools are alike.
    pub(super) fn slots_of_class<'a>(
        &'a self,
        id: u32,
        class: u32,
        provider: Option<&'a str>,
    ) -> impl Iterator<Item = usize> + 'a {
        let providers = self.providers.get(&id);
        let of_slot = move |slot: usize| providers.and_then(|list| list[slot].as_deref());
        let lanes = self.rows.lanes(id);
        (0..lanes.len()).filter(move |&slot| lanes[slot] >> 8 == class && of_slot(slot) == provider)
    }

    fn set_counts(&mut self, id: u32, counts: &[(usize, u32)]) -> bool {
        let mut changed = false;
        if let Some(held) = self.held.get_mut(&id) {
            for &(slot, count) in counts {
                changed |= std::mem::replace(&mut held.counts[slot], count) != count;
            }
            if changed {
                self.settle(id);
            }
        } else {
            for &(slot, count) in counts {
                if self.rows.slots(id).nth(slot).is_some_and(|old| old.count != count) {
                    self.rows.set_count(id, slot, count);
                    changed = true;
                }
            }
        }
        if changed {
            self.touch(id);
        }
        changed
    }

    /// The pools of a host as its owner knows them: nothing is reserved.
    pub(super) fn base_pools(&self, id: u32) -> Pools {
        let mut pools = self.pools_of(id);
        for (slot, pool) in pools.list.iter_mut().enumerate() {
            pool.count = self.base_count(id, slot, pool.count);
        }
        pools
    }

    fn forget_text(&mut self, id: u32) {
        if let Some(mark) = self.texts.get_mut(id as usize) {
            *mark = TextMark::default();
        }
    }

    /// Notes that what a host has free changed.
    pub(super) fn touch(&mut self, id: u32) {
        self.journal.push(id, self.rows.len());
    }
}

fn providers_of(pools: &[Pool]) -> Option<Arc<[Option<Arc<str>>]>> {
    let any = pools.iter().any(|pool| pool.provider.is_some());
    any.then(|| pools.iter().map(|pool| pool.provider.as_deref().map(Arc::from)).collect())
}
