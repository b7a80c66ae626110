//! A tracker's own pools: kept in their stable order while devices come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::address::PciAddress;
use crate::device::{Device, DeviceType};
use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::numa::NumaTopology;
use crate::pool::{Pool, Pools};
use crate::request::PLACEMENT_KEYS;

/// What decides which pool a device belongs to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct PoolKey {
    attributes: Arc<ExtraInfo>,
    numa_node: Option<u32>,
    provider: Option<String>,
}

impl PoolKey {
    /// The key of a device with the tags of its rule; `more_keys` name extra info that splits pools further.
    ///
    /// Source: Nova's `_create_pool_keys_from_dev`. A rule cannot give a tag that hides one of the device's own fields.
    pub(crate) fn new(device: &Device, tags: &ExtraInfo, more_keys: &[String]) -> Result<Self> {
        let mut attributes = ExtraInfo::new();
        for key in more_keys {
            if let Some(text) = device.extra_info.get(key) {
                attributes.insert(key, text.map(str::to_owned))?;
            }
        }
        for (key, text) in tags.iter().filter(|(key, _)| !PLACEMENT_KEYS.contains(key)) {
            attributes.insert(key, text.map(str::to_owned))?;
        }
        if let Some(name) = device.extra_info.text("parent_ifname").filter(|name| !name.is_empty()) {
            attributes.insert("parent_ifname", Some(name.to_owned()))?;
        }
        if device.dev_type != DeviceType::Pci && attributes.text("remote_managed").is_none() {
            attributes.insert("remote_managed", Some("false".to_owned()))?;
        }
        attributes.insert("address", Some(device.card_address().to_string()))?;
        attributes.insert("vendor_id", Some(device.vendor_id.clone()))?;
        attributes.insert("product_id", Some(device.product_id.clone()))?;
        attributes.insert("dev_type", Some(device.dev_type.to_string()))?;
        Ok(PoolKey {
            attributes: Arc::new(attributes),
            numa_node: device.numa_node,
            provider: device.extra_info.text("rp_uuid").map(str::to_owned),
        })
    }

    fn of(pool: &Pool) -> Self {
        PoolKey {
            attributes: Arc::clone(&pool.attributes),
            numa_node: pool.numa_node,
            provider: pool.provider.clone(),
        }
    }

    pub(crate) fn empty_pool(&self) -> Pool {
        Pool {
            attributes: Arc::clone(&self.attributes),
            numa_node: self.numa_node,
            provider: self.provider.clone(),
            count: 0,
            devices: Vec::new(),
        }
    }
}

/// Where a pool stands in the order: by number of attributes, then by age.
type Position = (usize, u64);

/// The pools of a tracked host.
#[derive(Clone, Debug)]
pub(crate) struct PoolSet {
    pools: Pools,
    /// The position of each pool, parallel to `pools`.
    positions: Vec<Position>,
    index: BTreeMap<PoolKey, Position>,
    next_age: u64,
}

impl PoolSet {
    pub(crate) fn new(topology: Option<NumaTopology>) -> Self {
        PoolSet {
            pools: Pools::new(Vec::new(), topology),
            positions: Vec::new(),
            index: BTreeMap::new(),
            next_age: 0,
        }
    }

    /// Takes pools over in their order; `None` when two have the same key or they are out of order.
    pub(crate) fn restore(list: Vec<Pool>, topology: Option<NumaTopology>) -> Option<Self> {
        let mut set = PoolSet::new(topology);
        if !list.is_sorted_by_key(Pool::rank) {
            return None;
        }
        for pool in &list {
            let position = (pool.rank(), set.next_age);
            set.next_age += 1;
            set.positions.push(position);
            if set.index.insert(PoolKey::of(pool), position).is_some() {
                return None;
            }
        }
        set.pools.list = list;
        Some(set)
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    fn slot(&self, position: Position) -> Option<usize> {
        self.positions.binary_search(&position).ok()
    }

    /// Appends a free device to the pool of its key, which is made if need be.
    pub(crate) fn add(&mut self, key: &PoolKey, address: PciAddress) {
        let slot = match self.index.get(key).and_then(|&position| self.slot(position)) {
            Some(slot) => slot,
            None => {
                let pool = key.empty_pool();
                let position = (pool.rank(), self.next_age);
                self.next_age += 1;
                let slot = self.positions.partition_point(|&p| p < position);
                self.positions.insert(slot, position);
                self.pools.list.insert(slot, pool);
                self.index.insert(key.clone(), position);
                slot
            }
        };
        let pool = &mut self.pools.list[slot];
        pool.devices.push(address);
        pool.count += 1;
    }

    /// Takes a device out because it is handed out; its pool stays, even if it is empty then.
    pub(crate) fn hand_out(&mut self, key: &PoolKey, address: PciAddress) -> bool {
        let Some(slot) = self.index.get(key).and_then(|&position| self.slot(position)) else { return false };
        let pool = &mut self.pools.list[slot];
        // Devices are handed out from the back.
        let Some(at) = pool.devices.iter().rposition(|&device| device == address) else { return false };
        pool.devices.remove(at);
        pool.count -= 1;
        true
    }

    /// Takes a device out because it is gone or excluded; its pool goes when it is empty then.
    ///
    /// That an emptied pool stays in one case and goes in the other is what Nova does, and with it the order in which
    /// later devices are found is the same.
    pub(crate) fn remove(&mut self, key: &PoolKey, address: PciAddress) -> bool {
        if !self.hand_out(key, address) {
            return false;
        }
        if let Some(slot) = self.index.get(key).and_then(|&position| self.slot(position))
            && self.pools.list[slot].count == 0
        {
            self.pools.list.remove(slot);
            self.positions.remove(slot);
            self.index.remove(key);
        }
        true
    }

    /// Whether the pool of this key holds the device.
    pub(crate) fn has_device(&self, key: &PoolKey, address: PciAddress) -> bool {
        self.index
            .get(key)
            .and_then(|&position| self.slot(position))
            .is_some_and(|slot| self.pools.list[slot].devices.contains(&address))
    }
}
