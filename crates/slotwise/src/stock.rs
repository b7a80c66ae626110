//! How many devices are left in each pool while an assignment is put together, and which pools exclude each other.

use std::collections::BTreeMap;

use crate::device::DeviceType;
use crate::pool::Pool;

/// The PF pools and the VF or vDPA pools of one card, which exclude each other.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) physical: Vec<usize>,
    pub(crate) virtuals: Vec<usize>,
}

/// The cards whose PF and VFs are both pooled.
///
/// Pools of one card carry the PF's address as their attribute `address`; that is all a scheduler knows of the tree.
#[derive(Debug)]
pub(crate) struct Families {
    pub(crate) list: Vec<Family>,
    /// For each pool its family, if it is in one.
    pub(crate) of_pool: Vec<Option<usize>>,
}

impl Families {
    pub(crate) fn new(pools: &[Pool]) -> Self {
        // Without a PF in the pools there is nothing to exclude, which is the common case on a VF host.
        let is_pf = |pool: &Pool| pool.attributes.text("dev_type") == Some(DeviceType::Pf.as_str());
        if !pools.iter().any(is_pf) {
            return Families { list: Vec::new(), of_pool: vec![None; pools.len()] };
        }
        Families::of(&pools.iter().collect::<Vec<_>>())
    }

    /// The same for pools that may be listed more than once, because they are split.
    pub(crate) fn of(pools: &[&Pool]) -> Self {
        let mut of_pool = vec![None; pools.len()];
        let mut by_card: BTreeMap<&str, Family> = BTreeMap::new();
        for (i, pool) in pools.iter().enumerate() {
            let Some(card) = pool.attributes.text("address") else { continue };
            match pool.dev_type() {
                Some(DeviceType::Pf) => by_card.entry(card).or_default().physical.push(i),
                Some(DeviceType::Vf | DeviceType::Vdpa) => by_card.entry(card).or_default().virtuals.push(i),
                _ => {}
            }
        }
        let list: Vec<Family> = by_card
            .into_values()
            .filter(|family| !family.physical.is_empty() && !family.virtuals.is_empty())
            .collect();
        for (id, family) in list.iter().enumerate() {
            for &pool in family.physical.iter().chain(&family.virtuals) {
                of_pool[pool] = Some(id);
            }
        }
        Families { list, of_pool }
    }

    /// The pools that become unusable when a device of `pool` is taken.
    pub(crate) fn excluded_by(&self, pool: usize) -> &[usize] {
        match self.of_pool[pool] {
            None => &[],
            Some(family) => {
                let family = &self.list[family];
                if family.physical.contains(&pool) { &family.virtuals } else { &family.physical }
            }
        }
    }

    /// Takes `count` devices of `pool` out of `counts`, and with them what they exclude.
    pub(crate) fn take(&self, counts: &mut [u32], pool: usize, count: u32) {
        counts[pool] -= count;
        if count > 0 {
            for &other in self.excluded_by(pool) {
                counts[other] = 0;
            }
        }
    }
}
