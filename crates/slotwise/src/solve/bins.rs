//! Bins: the pools of a host, split further where a constraint looks at an attribute that pools do not have.

use std::collections::{BTreeMap, HashMap};

use super::bits::Bits;
use crate::address::PciAddress;
use crate::pool::Pools;
use crate::request::Workload;
use crate::stock::Families;

/// The tag that makes devices a static group: those of one host with the same value are handed out together or not at
/// all.
pub(crate) const DEVICE_GROUP: &str = "device_group";

/// What is known of a host's devices beyond their pools.
pub(crate) trait Attributes {
    /// The value of an attribute of a device; `None` if it has none.
    fn value(&self, device: PciAddress, key: &str) -> Option<String>;

    /// Whether any device of the host has such an attribute.
    fn knows(&self, key: &str) -> bool;
}

/// A value of an attribute, as a number.
pub(super) type Value = u32;

/// Where each device stands in the order of [`Workload::prefer_devices`].
pub(super) type Tiers = BTreeMap<PciAddress, u32>;

/// The order of a workload's preferred devices; empty if it has none.
pub(super) fn tiers(workload: &Workload) -> Tiers {
    let numbered = workload.prefer_devices.iter().zip(0..);
    numbered.flat_map(|(devices, tier)| devices.iter().map(move |&device| (device, tier))).collect()
}

/// Free devices of one pool that are alike in every attribute that the workload looks at.
#[derive(Debug)]
pub(super) struct Bin {
    pub(super) pool: usize,
    pub(super) count: u32,
    /// The value under each key; `None` if the devices do not have the attribute.
    pub(super) values: Vec<Option<Value>>,
    /// For each workload where the devices stand in the order of those that it prefers.
    pub(super) tiers: Vec<u32>,
    /// The devices, in the order in which they are taken; empty where they are not known.
    pub(super) devices: Vec<PciAddress>,
    /// The static group they belong to.
    pub(super) group: Option<usize>,
}

/// The bins of a host, in stable order.
#[derive(Debug)]
pub(super) struct Bins {
    pub(super) list: Vec<Bin>,
    /// For each key the bins that have a value under it.
    pub(super) valued: Vec<Bits>,
    /// Cards whose PF and VFs are both free; the indices are those of bins.
    pub(super) cards: Families,
    /// The bins of each static group.
    pub(super) groups: Vec<Vec<usize>>,
    /// The bins of all groups.
    pub(super) grouped: Bits,
}

impl Bins {
    pub(super) fn new(
        pools: &Pools,
        keys: &[String],
        attributes: Option<&dyn Attributes>,
        tiers: &[Tiers],
    ) -> Self {
        let unnamed = vec![u32::MAX; tiers.len()];
        let is_ordered = tiers.iter().any(|tiers| !tiers.is_empty());
        let tiers_of = |device: PciAddress| -> Vec<u32> {
            tiers.iter().map(|tiers| tiers.get(&device).copied().unwrap_or(u32::MAX)).collect()
        };
        let mut ids: BTreeMap<(usize, String), Value> = BTreeMap::new();
        let mut id = |key: usize, value: String| {
            let next = ids.len() as Value;
            *ids.entry((key, value)).or_insert(next)
        };
        let mut list: Vec<Bin> = Vec::new();
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (p, pool) in pools.as_slice().iter().enumerate() {
            // A static group needs no split: its devices share a pool only if they share the group.
            let group = pool.attributes.text(DEVICE_GROUP);
            let first = list.len();
            let pooled: Vec<Option<String>> = keys.iter().map(|key| pool.value(key)).collect();
            let open = |k: &usize| pooled[*k].is_none() && attributes.is_some();
            if pool.devices.is_empty() || !(is_ordered || (0..keys.len()).any(|k| open(&k))) {
                let values = pooled.into_iter().enumerate().map(|(k, v)| v.map(|v| id(k, v))).collect();
                let devices = pool.devices.iter().rev().copied().collect();
                let tiers = unnamed.clone();
                list.push(Bin { pool: p, count: pool.count, values, tiers, devices, group: None });
            } else {
                let mut known: HashMap<(Vec<Option<Value>>, Vec<u32>), usize> = HashMap::new();
                // Devices are taken from the back of their pool.
                for &device in pool.devices.iter().rev() {
                    let values: Vec<Option<Value>> = (0..keys.len())
                        .map(|k| {
                            let own = || attributes.and_then(|a| a.value(device, &keys[k]));
                            pooled[k].clone().or_else(own).map(|value| id(k, value))
                        })
                        .collect();
                    let look = (values, tiers_of(device));
                    let bin = known.get(&look).copied().unwrap_or_else(|| {
                        let (values, tiers) = look.clone();
                        list.push(Bin { pool: p, count: 0, values, tiers, devices: Vec::new(), group: None });
                        known.insert(look, list.len() - 1);
                        list.len() - 1
                    });
                    list[bin].devices.push(device);
                    list[bin].count += 1;
                }
            }
            if let Some(group) = group {
                groups.entry(group).or_default().extend(first..list.len());
            }
        }
        let groups: Vec<Vec<usize>> = groups.into_values().collect();
        for (g, bins) in groups.iter().enumerate() {
            for &bin in bins {
                list[bin].group = Some(g);
            }
        }
        let cards = Families::of(list.iter().map(|bin| &pools.as_slice()[bin.pool]));
        // A group with a PF and one of its own VFs can never be handed out as a whole.
        for bins in &groups {
            let has = |bin: &usize| bins.contains(bin) && list[*bin].count > 0;
            if bins.iter().any(|bin| has(bin) && cards.excluded_by(*bin).iter().any(has)) {
                bins.iter().for_each(|&bin| list[bin].count = 0);
            }
        }
        let valued = (0..keys.len()).map(|key| {
            let mut valued = Bits::none(list.len());
            let own = list.iter().enumerate().filter(|(_, bin)| bin.values[key].is_some());
            own.for_each(|(bin, _)| valued.insert(bin));
            valued
        });
        let mut grouped = Bits::none(list.len());
        groups.iter().flatten().for_each(|&bin| grouped.insert(bin));
        Bins { valued: valued.collect(), cards, list, groups, grouped }
    }
}
