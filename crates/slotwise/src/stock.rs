//! How many devices are left in each pool while an assignment is put together, and which pools exclude each other.

use crate::device::DeviceType;
use crate::pool::Pool;

/// The cards whose PF and VFs are both pooled, so that the ones exclude the others.
///
/// Pools of one card carry the PF's address as their attribute `address`; that is all a scheduler knows of the tree.
#[derive(Debug)]
pub(crate) struct Families {
    /// The pools of all cards, one card after the other: its VFs or vDPA devices, then its PFs.
    members: Vec<usize>,
    /// For each card where its members begin, where its PFs do, and where they end.
    bounds: Vec<[usize; 3]>,
    /// For each pool its card, if it is in one of these.
    pub(crate) of_pool: Vec<Option<usize>>,
}

impl Families {
    /// So many pools, none of which excludes another.
    pub(crate) fn none(pools: usize) -> Self {
        Families { members: Vec::new(), bounds: Vec::new(), of_pool: vec![None; pools] }
    }

    pub(crate) fn new(pools: &[Pool]) -> Self {
        // Without a PF in the pools there is nothing to exclude, which is the common case on a VF host.
        let is_pf = |pool: &Pool| pool.attributes.text("dev_type") == Some(DeviceType::Pf.as_str());
        if !pools.iter().any(is_pf) {
            return Families::none(pools.len());
        }
        Families::of(pools.iter())
    }

    /// The same for pools that may be listed more than once, because they are split.
    pub(crate) fn of<'p>(pools: impl ExactSizeIterator<Item = &'p Pool>) -> Self {
        let mut of_pool = vec![None; pools.len()];
        let of_card = |(i, pool): (usize, &'p Pool)| {
            let is_physical = match pool.dev_type()? {
                DeviceType::Pf => true,
                DeviceType::Vf | DeviceType::Vdpa => false,
                DeviceType::Pci => return None,
            };
            Some((pool.attributes.text("address")?, is_physical, i))
        };
        let mut by_card: Vec<(&str, bool, usize)> = pools.enumerate().filter_map(of_card).collect();
        by_card.sort_unstable();
        let (mut members, mut bounds) = (Vec::with_capacity(by_card.len()), Vec::new());
        for pools in by_card.chunk_by(|(card, ..), (other, ..)| card == other) {
            let virtuals = pools.partition_point(|(_, is_physical, _)| !is_physical);
            if virtuals == 0 || virtuals == pools.len() {
                continue;
            }
            let begin = members.len();
            for &(.., pool) in pools {
                of_pool[pool] = Some(bounds.len());
                members.push(pool);
            }
            bounds.push([begin, begin + virtuals, members.len()]);
        }
        Families { members, bounds, of_pool }
    }

    /// How many cards there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The PF pools of a card.
    pub(crate) fn physical(&self, card: usize) -> &[usize] {
        let [_, middle, end] = self.bounds[card];
        &self.members[middle..end]
    }

    /// The VF and vDPA pools of a card.
    pub(crate) fn virtuals(&self, card: usize) -> &[usize] {
        let [begin, middle, _] = self.bounds[card];
        &self.members[begin..middle]
    }

    /// Whether a test holds for a PF pool of a card and for a VF or vDPA pool of it.
    pub(crate) fn holds_for_both(&self, card: usize, test: impl Fn(usize) -> bool) -> bool {
        let any = |pools: &[usize]| pools.iter().any(|&pool| test(pool));
        any(self.physical(card)) && any(self.virtuals(card))
    }

    /// The pools that become unusable when a device of `pool` is taken.
    pub(crate) fn excluded_by(&self, pool: usize) -> &[usize] {
        match self.of_pool[pool] {
            None => &[],
            Some(card) if self.physical(card).contains(&pool) => self.virtuals(card),
            Some(card) => self.physical(card),
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
