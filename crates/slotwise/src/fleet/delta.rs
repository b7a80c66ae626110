//! What changed in a host's pools from one version to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::pool::{Pool, Pools};

/// What changed in a host's pools between two versions of it.
///
/// A compute node keeps the pools that it sent last, and sends what is different:
///
/// ```
/// use slotwise::{Device, DeviceSpecs, Fleet, HostDelta, Request, Tracker, TrackerOptions, Workload};
///
/// let specs = DeviceSpecs::parse(&[r#"{"vendor_id": "8086"}"#], false)?;
/// let mut tracker = Tracker::new(specs, TrackerOptions::default())?;
/// tracker.sync(vec![Device::new("0000:3b:00.0".parse()?, "8086", "1572")])?;
/// let mut fleet = Fleet::new();
/// fleet.put("compute-1", tracker.pools(), Some(tracker.version()))?;
///
/// let (sent, base) = (tracker.pools().clone(), tracker.version());
/// assert!(tracker.claim("instance-1", &Workload::new(vec![Request::default()]))?.fits());
/// let delta = HostDelta::between(base, &sent, tracker.version(), tracker.pools())?;
/// fleet.apply("compute-1", &delta)?;
/// assert_eq!(fleet.pools("compute-1")?.free(), 0);
/// assert!(fleet.apply("compute-1", &delta).is_err(), "it does not follow on what is there now");
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HostDelta {
    /// The version that it follows on.
    pub base: u64,
    /// The version that it leads to, higher than `base`.
    pub version: u64,
    /// Pools that are gone; their counts do not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Pool>,
    /// Pools whose count is another one, with the count that holds now, and new pools, which come after the others
    /// that have as many attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// Owners whose reservations on this host are settled by it, because their claims are part of the new state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<String>,
}

impl HostDelta {
    /// The difference between the pools of two versions, without reservations to release.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPool`] when two pools of a side are alike, so that a delta could not tell them apart; those
    /// of a tracker never are.
    pub fn between(base: u64, old: &Pools, version: u64, new: &Pools) -> Result<Self> {
        for (name, pools) in [("old", old), ("new", new)] {
            let list = pools.as_slice();
            if let Some(second) = (1..list.len()).find(|&i| list[..i].iter().any(|pool| same(pool, &list[i])))
            {
                return Err(Error::new(ErrorKind::InvalidPool, "two pools are alike but for their counts")
                    .with_help("put the whole host instead of a delta")
                    .inside(format!("{name}[{second}]")));
            }
        }
        let mut delta = HostDelta { base, version, ..HostDelta::default() };
        let (old_ranks, new_ranks) = (by_rank(old), by_rank(new));
        let nothing = Vec::new();
        for rank in old_ranks.keys().chain(new_ranks.keys().filter(|rank| !old_ranks.contains_key(rank))) {
            let before = old_ranks.get(rank).unwrap_or(&nothing);
            let after = new_ranks.get(rank).unwrap_or(&nothing);
            let remaining: Vec<&Pool> =
                before.iter().copied().filter(|old| after.iter().any(|new| same(old, new))).collect();
            // Pools that keep their order stay; from the first that does not, they are put in anew.
            let stay = remaining.iter().zip(after).take_while(|(old, new)| same(old, new)).count();
            let stays = |pool: &Pool| remaining[..stay].iter().any(|old| same(old, pool));
            delta.removed.extend(before.iter().filter(|pool| !stays(pool)).map(|pool| named(pool, 0)));
            let counted = remaining[..stay].iter().zip(after).filter(|(old, new)| old.count != new.count);
            delta.pools.extend(counted.map(|(_, new)| named(new, new.count)));
            delta.pools.extend(after[stay..].iter().map(|pool| named(pool, pool.count)));
        }
        Ok(delta)
    }

    /// Whether it changes nothing but the version.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.pools.is_empty() && self.released.is_empty()
    }

    /// Puts pools, given without devices, into the state that the delta leads to.
    pub(super) fn apply(&self, pools: &mut Pools) -> Result<()> {
        for (i, gone) in self.removed.iter().enumerate() {
            let at = pools.list.iter().position(|pool| same(pool, gone)).ok_or_else(|| {
                Error::new(ErrorKind::Conflict, "the host has no such pool")
                    .with_help("put the whole host")
                    .inside(format!("removed[{i}]"))
            })?;
            pools.list.remove(at);
        }
        for pool in &self.pools {
            match pools.list.iter_mut().find(|known| same(known, pool)) {
                Some(known) => known.count = pool.count,
                None => {
                    let at = pools.list.partition_point(|known| known.rank() <= pool.rank());
                    pools.list.insert(at, named(pool, pool.count));
                }
            }
        }
        Ok(())
    }
}

/// The pools by how many attributes they have, each in its order.
fn by_rank(pools: &Pools) -> BTreeMap<usize, Vec<&Pool>> {
    let mut ranks: BTreeMap<usize, Vec<&Pool>> = BTreeMap::new();
    for pool in pools.as_slice() {
        ranks.entry(pool.rank()).or_default().push(pool);
    }
    ranks
}

fn same(a: &Pool, b: &Pool) -> bool {
    a.numa_node == b.numa_node && a.provider == b.provider && a.attributes == b.attributes
}

/// A pool with this count, without its devices: a fleet does not keep them.
fn named(pool: &Pool, count: u32) -> Pool {
    Pool { count, devices: Vec::new(), ..pool.clone() }
}
