//! The hosts that a policy is asked about.

use crate::bindings::exports::slotwise::policy::api;
use crate::sets::{self, Key, NONE, range};
use crate::verdicts::Verdicts;

/// Many hosts, as columns.
///
/// ```
/// use slotwise_policy::{Host, Hosts};
///
/// /// The free devices of a host on this side of its network.
/// fn free(host: Host, fabric: &str) -> u32 {
///     host.pools().filter(|pool| pool.attribute("fabric") == Some(fabric)).map(|pool| pool.free()).sum()
/// }
///
/// // In the tests of a policy; the scheduler hands over the hosts that it asks about.
/// let mut hosts = Hosts::of([("node-1", [("rack", "r1")])]);
/// hosts.push_pool([("fabric", "east")], Some(0), 3);
/// hosts.push_pool([("fabric", "west")], Some(1), 2);
/// hosts.push("node-2", [("rack", "hot")]);
///
/// let scores: Vec<f64> = hosts.iter().map(|host| f64::from(free(host, "east"))).collect();
/// assert_eq!(scores, [3.0, 0.0]);
/// let hot = |host: Host| (host.attribute("rack") == Some("hot")).then(|| "the rack is hot".to_owned());
/// assert_eq!(hosts.judge(hot).reason(1), Some("the rack is hot"));
/// ```
#[derive(Clone, Debug)]
pub struct Hosts(Table);

/// The columns; those that the policy does not read are empty.
#[derive(Clone, Debug)]
struct Table {
    count: u32,
    sets: api::AttributeSets,
    names: api::Texts,
    attributes: Vec<u32>,
    pool_ends: Vec<u32>,
    pool_free: Vec<u32>,
    pool_sets: Vec<u32>,
    pool_numa_nodes: Vec<u32>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    table: &'a Table,
    index: usize,
}

/// Free devices of a host that have their attributes in common.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    table: &'a Table,
    index: usize,
    free: u32,
}

impl Hosts {
    /// Hosts with names and attributes, and without pools: for the tests of a policy.
    pub fn of<'a, A: IntoIterator<Item = (&'a str, &'a str)>>(
        hosts: impl IntoIterator<Item = (&'a str, A)>,
    ) -> Self {
        let mut table =
            Hosts::from(api::Hosts { count: 0, sets: None, names: None, attributes: None, pools: None });
        for (name, attributes) in hosts {
            table.push(name, attributes);
        }
        table
    }

    /// Adds a host without pools: for the tests of a policy.
    pub fn push<'a>(&mut self, name: &str, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let Hosts(table) = self;
        table.count += 1;
        sets::push_text(&mut table.names, name);
        table.attributes.push(sets::push_set(&mut table.sets, attributes));
        table.pool_ends.push(sets::number(table.pool_sets.len()));
    }

    /// Adds a pool to the host that was added last: for the tests of a policy.
    pub fn push_pool<'a>(
        &mut self,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
        numa_node: Option<u32>,
        free: u32,
    ) {
        let Hosts(table) = self;
        table.pool_sets.push(sets::push_set(&mut table.sets, attributes));
        table.pool_numa_nodes.push(numa_node.unwrap_or(NONE));
        table.pool_free.push(free);
        let end = sets::number(table.pool_sets.len());
        if let Some(last) = table.pool_ends.last_mut() {
            *last = end;
        }
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// The hosts, in the order in which they are to be answered.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Host<'_>> {
        (0..self.len()).map(|index| Host { table: &self.0, index })
    }

    /// The number of an attribute's name; `None` when nothing in the table has it.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<Key> {
        sets::key(&self.0.sets, name)
    }

    /// A verdict for each host: it passes if `reason` gives none.
    pub fn judge(&self, mut reason: impl FnMut(Host<'_>) -> Option<String>) -> Verdicts {
        let mut verdicts = Verdicts::all_pass(self.len());
        for (index, host) in self.iter().enumerate() {
            if let Some(reason) = reason(host) {
                verdicts.refuse(index, &reason);
            }
        }
        verdicts
    }

    /// A verdict for each host by its attributes alone: `reason` is asked once for each set of attributes, of which there
    /// may be far fewer than hosts.
    pub fn judge_by_attributes(&self, mut reason: impl FnMut(Host<'_>) -> Option<String>) -> Verdicts {
        let mut verdicts = Verdicts::all_pass(self.len());
        let mut known: Vec<Option<u32>> = vec![None; self.0.sets.ends.len()];
        for (index, host) in self.iter().enumerate() {
            let set = self.0.attributes.get(index).map_or(0, |&set| set as usize);
            let Some(slot) = known.get_mut(set) else { continue };
            let code = *slot.get_or_insert_with(|| reason(host).map_or(0, |reason| verdicts.code(&reason)));
            verdicts.set(index, code);
        }
        verdicts
    }

    /// A score for each host by its attributes alone, as [`Hosts::judge_by_attributes`].
    pub fn score_by_attributes(&self, mut score: impl FnMut(Host<'_>) -> f64) -> Vec<f64> {
        let mut known: Vec<Option<f64>> = vec![None; self.0.sets.ends.len()];
        self.iter()
            .enumerate()
            .map(|(index, host)| {
                let set = self.0.attributes.get(index).map_or(0, |&set| set as usize);
                known.get_mut(set).map_or(0.0, |slot| *slot.get_or_insert_with(|| score(host)))
            })
            .collect()
    }
}

impl From<api::Hosts> for Hosts {
    fn from(hosts: api::Hosts) -> Self {
        let api::Hosts { count, sets, names, attributes, pools } = hosts;
        let pools = pools.unwrap_or_else(|| api::Pools { ends: Vec::new(), free: Vec::new(), details: None });
        let (pool_sets, pool_numa_nodes) =
            pools.details.map(|details| (details.attributes, details.numa_nodes)).unwrap_or_default();
        Hosts(Table {
            count,
            sets: sets.unwrap_or_else(sets::empty),
            names: names.unwrap_or_else(sets::no_texts),
            attributes: attributes.unwrap_or_default(),
            pool_ends: pools.ends,
            pool_free: pools.free,
            pool_sets,
            pool_numa_nodes,
        })
    }
}

impl<'a> Host<'a> {
    /// Its name; empty unless the scope names [`crate::Scope::NAMES`].
    #[must_use]
    pub fn name(self) -> &'a str {
        sets::text(&self.table.names, self.index).unwrap_or_default()
    }

    /// One of its attributes; `None` when it is absent or null.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        sets::value_of(&self.table.sets, *self.table.attributes.get(self.index)?, name)
    }

    /// The same by the number of the name.
    #[must_use]
    pub fn get(self, key: Key) -> Option<&'a str> {
        sets::value(&self.table.sets, *self.table.attributes.get(self.index)?, key)
    }

    /// Its pools; none unless the scope names [`crate::Scope::FILTER_POOLS`] or [`crate::Scope::SCORE_POOLS`].
    pub fn pools(self) -> impl ExactSizeIterator<Item = Pool<'a>> {
        let Host { table, index } = self;
        let range = range(&table.pool_ends, index);
        let start = range.start;
        let free = table.pool_free.get(range).unwrap_or_default();
        free.iter().enumerate().map(move |(at, &free)| Pool { table, index: start + at, free })
    }
}

impl<'a> Pool<'a> {
    /// How many of its devices are free.
    #[must_use]
    pub fn free(self) -> u32 {
        self.free
    }

    /// Its NUMA node, if it is known; `None` unless the scope names [`crate::Scope::POOL_ATTRIBUTES`].
    #[must_use]
    pub fn numa_node(self) -> Option<u32> {
        self.table.pool_numa_nodes.get(self.index).copied().filter(|&node| node != NONE)
    }

    /// What its devices have in common under this name: `vendor_id`, `product_id`, `dev_type`, or a tag; `None` unless the
    /// scope names [`crate::Scope::POOL_ATTRIBUTES`].
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        sets::value_of(&self.table.sets, *self.table.pool_sets.get(self.index)?, name)
    }

    /// The same by the number of the name.
    #[must_use]
    pub fn get(self, key: Key) -> Option<&'a str> {
        sets::value(&self.table.sets, *self.table.pool_sets.get(self.index)?, key)
    }
}
