//! The filter chain: which pools may serve a request, in which order, and why the others may not.

use crate::extra_info::{ExtraInfo, parse_bool};
use crate::fit::{RequestReport, Step, StepReport};
use crate::numa::NumaPolicy;
use crate::pool::{Pool, Pools};
use crate::request::{PLACEMENT_KEYS, Request, Workload};

/// How near a pool is to the guest's NUMA cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Nearness {
    /// On one of the guest's cells, or the guest has none.
    Local,
    /// Its NUMA node is unknown.
    Unknown,
    /// On a node that shares a socket with one of the guest's cells.
    Socket,
    /// Anywhere else.
    Remote,
}

/// One request prepared for a host: what is the same however many devices are left.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) request: &'a Request,
    /// How many devices, and what they may look like: of the option that is tried.
    pub(crate) count: u32,
    alternatives: &'a [ExtraInfo],
    pub(crate) policy: NumaPolicy,
    /// The providers to take devices from, one entry per device; empty when Placement has no say.
    pub(crate) providers: Vec<&'a str>,
    /// Whether the guest has NUMA cells at all.
    pub(crate) has_cells: bool,
    cells: &'a [u32],
    neighbours: std::collections::BTreeSet<u32>,
    asks_pf: bool,
    asks_vdpa: bool,
    asks_remote_managed: bool,
    /// What all alternatives agree on about live migration: `true`, `false`, or nothing.
    live_migratable: Option<&'static str>,
}

impl<'a> Prepared<'a> {
    /// Prepares option `option` of a request, for a guest on these NUMA cells.
    pub(crate) fn new(
        pools: &Pools,
        workload: &'a Workload,
        request: &'a Request,
        option: usize,
        cells: &'a [u32],
    ) -> Self {
        let (count, alternatives) =
            request.options().nth(option).unwrap_or((request.count, request.alternatives.as_slice()));
        let policy = request.numa_policy.unwrap_or_default();
        let neighbours = match &pools.topology {
            Some(topology) if policy == NumaPolicy::Socket && !cells.is_empty() => {
                topology.socket_neighbours(cells)
            }
            _ => std::collections::BTreeSet::new(),
        };
        let any = |test: &dyn Fn(&ExtraInfo) -> bool| alternatives.iter().any(test);
        let all_live = |value| alternatives.iter().all(|a| a.text("live_migratable") == Some(value));
        Prepared {
            request,
            count,
            alternatives,
            policy,
            providers: workload.providers(request),
            has_cells: !cells.is_empty(),
            cells,
            neighbours,
            asks_pf: any(&|a| a.text("dev_type") == Some("type-PF")),
            asks_vdpa: any(&|a| a.text("dev_type") == Some("vdpa")),
            asks_remote_managed: any(&|a| is_true(a.text("remote_managed"))),
            live_migratable: ["true", "false"].into_iter().find(|value| all_live(value)),
        }
    }

    /// Whether the host tells the socket of each of its NUMA cells.
    pub(crate) fn knows_sockets(&self) -> bool {
        !self.neighbours.is_empty()
    }

    /// How near a pool is to the guest's cells.
    pub(crate) fn nearness(&self, pool: &Pool) -> Nearness {
        match pool.numa_node {
            _ if !self.has_cells => Nearness::Local,
            None => Nearness::Unknown,
            Some(node) if self.cells.contains(&node) => Nearness::Local,
            Some(node) if self.neighbours.contains(&node) => Nearness::Socket,
            Some(_) => Nearness::Remote,
        }
    }

    /// Whether the policy allows a pool at all.
    pub(crate) fn numa_allows(&self, pool: &Pool) -> bool {
        match (self.nearness(pool), self.policy) {
            (Nearness::Local, _) | (_, NumaPolicy::Preferred) => true,
            (Nearness::Unknown, policy) => policy == NumaPolicy::Legacy,
            (Nearness::Socket, policy) => policy == NumaPolicy::Socket,
            (Nearness::Remote, _) => false,
        }
    }

    /// Whether `step` keeps a pool, whatever other steps say.
    pub(crate) fn keeps(&self, step: Step, pool: &Pool) -> bool {
        match step {
            Step::Attributes => self.alternatives.iter().any(|a| matches(a, pool)),
            Step::PhysicalFunctions => self.asks_pf || pool.attributes.text("dev_type") != Some("type-PF"),
            Step::Vdpa => self.asks_vdpa || pool.attributes.text("dev_type") != Some("vdpa"),
            Step::RemoteManaged => {
                self.asks_remote_managed || !is_true(pool.attributes.text("remote_managed"))
            }
            Step::LiveMigratable => self
                .live_migratable
                .is_none_or(|wanted| pool.attributes.text("live_migratable") == Some(wanted)),
            Step::Placement => {
                self.providers.is_empty()
                    || pool.provider.as_deref().is_some_and(|p| self.providers.contains(&p))
            }
            Step::Numa => self.numa_allows(pool),
        }
    }

    /// Whether a pool may serve this request.
    pub(crate) fn allows(&self, pool: &Pool) -> bool {
        self.suits(pool) && self.numa_allows(pool)
    }

    /// About how much is compared to say whether a pool may serve this request.
    pub(crate) fn looks(&self) -> u64 {
        let compared = self.alternatives.iter().map(|alternative| 1 + alternative.len()).sum::<usize>();
        (4 + compared + self.providers.len()) as u64
    }

    /// Whether a pool may serve this request if its NUMA node is one of the guest's cells.
    pub(crate) fn suits(&self, pool: &Pool) -> bool {
        EXACT_STEPS.iter().filter(|step| **step != Step::Numa).all(|&step| self.keeps(step, pool))
    }

    /// Sorts allowed pools (by index, in stable order) into the order in which devices are taken, given how many are
    /// left in each.
    ///
    /// Source: Nova 34's `_filter_pools_for_numa_cells`. If the strictest set of pools has enough devices, it comes
    /// first; otherwise near and unknown ones come together in stable order, and the rest after them.
    pub(crate) fn order(&self, pools: &[Pool], counts: &[u32], allowed: &[usize]) -> Vec<usize> {
        if !self.has_cells {
            return allowed.to_vec();
        }
        let tiers = self.tiers(allowed, |i| &pools[i], |i| counts[i]);
        let mut order: Vec<_> = allowed.iter().copied().zip(tiers).collect();
        // The sort is stable: within a tier the pools keep their order.
        order.sort_by_key(|(_, tier)| *tier);
        order.into_iter().map(|(i, _)| i).collect()
    }

    /// For each pool, or anything else that has one and a count, how near it is as Nova sees it, 0 being the nearest; all are
    /// when the guest has no cells.
    pub(crate) fn tiers<'p>(
        &self,
        allowed: &[usize],
        pool: impl Fn(usize) -> &'p Pool,
        count: impl Fn(usize) -> u32,
    ) -> Vec<u8> {
        if !self.has_cells {
            return vec![0; allowed.len()];
        }
        let local = |&&i: &&usize| self.nearness(pool(i)) == Nearness::Local;
        let left: u64 = allowed.iter().filter(local).map(|&i| u64::from(count(i))).sum();
        let enough = left >= u64::from(self.count);
        let tier = |&i: &usize| match self.nearness(pool(i)) {
            Nearness::Local => 0,
            Nearness::Unknown | Nearness::Socket => u8::from(enough),
            Nearness::Remote => 2,
        };
        allowed.iter().map(tier).collect()
    }

    /// What each step dropped from all free devices, for a report.
    pub(crate) fn report(&self, index: usize, pools: &[Pool], steps: &[Step]) -> RequestReport {
        let mut dropped = vec![0_u64; steps.len()];
        let mut free = 0_u64;
        for pool in pools {
            free += u64::from(pool.count);
            if let Some(step) = steps.iter().position(|&step| !self.keeps(step, pool)) {
                dropped[step] += u64::from(pool.count);
            }
        }
        let mut rest = free;
        let steps = steps
            .iter()
            .zip(dropped)
            .map(|(&step, dropped)| {
                let before = clamp(rest);
                rest -= dropped;
                StepReport { step, dropped: before - clamp(rest), left: clamp(rest) }
            })
            .collect();
        RequestReport {
            request: index,
            request_id: self.request.request_id.clone(),
            wanted: self.count,
            free: clamp(free),
            steps,
        }
    }
}

/// The order of the steps under strategy `exact`: NUMA comes last, so that a device that is unusable for another
/// reason never hides a usable one farther away (cases W03 to W03d).
pub(crate) const EXACT_STEPS: &[Step] = &[
    Step::Attributes,
    Step::PhysicalFunctions,
    Step::Vdpa,
    Step::RemoteManaged,
    Step::LiveMigratable,
    Step::Placement,
    Step::Numa,
];

/// Whether a pool has every entry of an alternative. Case does not count, and null matches what is absent.
pub(crate) fn matches(alternative: &ExtraInfo, pool: &Pool) -> bool {
    alternative.iter().filter(|(key, _)| !PLACEMENT_KEYS.contains(key)).all(|(key, wanted)| {
        if key == "numa_node" {
            return pool.numa_node.map(|node| node.to_string()).as_deref() == wanted;
        }
        match (wanted, pool.attributes.text(key)) {
            (None, None) => true,
            (Some(wanted), Some(value)) => same_text(wanted, value) || names(key, value, wanted),
            _ => false,
        }
    })
}

/// Whether a pool's devices reach a physical network: a rule may name several, as a list.
fn names(key: &str, value: &str, wanted: &str) -> bool {
    key == "physical_network"
        && value.starts_with('[')
        && serde_json::from_str::<Vec<String>>(value)
            .is_ok_and(|networks| networks.iter().any(|network| same_text(wanted, network)))
}

fn same_text(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

/// Reads a tag as a boolean the lenient way: what is not plainly true is false.
fn is_true(text: Option<&str>) -> bool {
    text.and_then(parse_bool) == Some(true)
}

pub(crate) fn clamp(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
