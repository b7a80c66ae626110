//! Which of the hosts that fit are best.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::filter::{FilterOptions, FleetAnswer, POLICY_BATCH, sees_providers};
use super::rows::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Prepared;
use crate::fit::Fit;
use crate::limits;
use crate::policy::{self, Policy, Query};
use crate::pool::{Pool, Pools};
use crate::request::{Strategy, Workload};
use crate::solve::{self, Budget};
use crate::stock::Families;

/// What makes a host a good choice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeigherKind {
    /// Few free devices of any kind: 100 less the number of free devices, of which 99 count. Nova's `PCIWeigher`.
    FewestFree,
    /// Few devices left over that could serve this workload.
    BestFit,
    /// Little harm to the demand mix: how many of the workloads that the fleet expects ([`Fleet::declare_demand`],
    /// [`Fleet::observe_demand`]) the host could serve before and no longer can after, by their weights.
    Fragmentation,
}

/// A weigher and its factor.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Weigher {
    /// What it looks at.
    pub kind: WeigherKind,
    /// The factor of its weight; a negative one turns it round.
    #[serde(default = "one")]
    pub multiplier: f64,
}

fn one() -> f64 {
    1.0
}

/// Which hosts are ranked, by what, and how many are wanted.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RankOptions {
    /// Which hosts are asked.
    pub filter: FilterOptions,
    /// The weighers; without any, and without a policy that scores, the order is that of ids.
    pub weighers: Vec<Weigher>,
    /// The factor of the scores of each policy that scores.
    pub policy_multiplier: f64,
    /// How many of the best hosts are wanted; all if `None`.
    pub limit: Option<usize>,
}

impl Default for RankOptions {
    fn default() -> Self {
        RankOptions {
            filter: FilterOptions::default(),
            weighers: Vec::new(),
            policy_multiplier: 1.0,
            limit: None,
        }
    }
}

/// The hosts that fit, the best first; equal ones in the order of ids.
///
/// As in Nova, the weights of each weigher are put on a scale from 0 to 1 over all hosts that fit, multiplied, and
/// added up.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Ranking {
    /// The ids.
    pub hosts: Vec<u32>,
    /// The total of each host, parallel to `hosts`.
    pub scores: Vec<f64>,
    /// For each weigher, then for each policy that scores, the weight of each host before it is put on the scale,
    /// parallel to `hosts`.
    pub weights: Vec<Vec<f64>>,
}

/// A workload that the fleet expects, and how much of the demand it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// The workload.
    pub workload: Workload,
    /// Its weight, over 0.
    #[serde(default = "one")]
    pub weight: f64,
}

/// What the fleet expects to be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct DemandMix {
    pub(super) declared: Vec<Demand>,
    /// What was asked for lately; weights fade.
    pub(super) recent: Vec<Demand>,
}

/// The most kinds of workload in each part of the demand mix.
const MAX_DEMAND: usize = 64;

/// When the weights of what was asked lately add up to this, all are halved.
const MAX_RECENT_WEIGHT: f64 = 4096.0;

/// More copies of a workload on one host are not counted.
const MAX_COPIES: u32 = 64;

/// Nova's `MAX_DEVS`.
const NOVA_MAX_DEVICES: u64 = 100;

impl Fleet {
    /// Ranks the hosts that fit a workload; those for which the search budget runs out are left out, and are named by
    /// [`Fleet::filter`].
    ///
    /// # Errors
    ///
    /// As [`Fleet::filter`]; [`ErrorKind::InvalidArgument`] when a multiplier is not a finite number.
    pub fn rank(
        &self,
        workload: &Workload,
        options: &RankOptions,
        policies: &[&dyn Policy],
    ) -> Result<Ranking> {
        Ok(self.rank_answer(workload, options, policies)?.0)
    }

    /// The same with the answer that the ranked hosts are from, which has those that are undecided as well.
    pub(super) fn rank_answer(
        &self,
        workload: &Workload,
        options: &RankOptions,
        policies: &[&dyn Policy],
    ) -> Result<(Ranking, FleetAnswer)> {
        limits::check("number of weighers", options.weighers.len(), limits::MAX_CONSTRAINTS)
            .map_err(|e| e.inside("weighers"))?;
        for (i, weigher) in options.weighers.iter().enumerate() {
            check_number(weigher.multiplier).map_err(|e| e.inside(format!("weighers[{i}].multiplier")))?;
        }
        check_number(options.policy_multiplier).map_err(|e| e.inside("policy_multiplier"))?;
        let answer = self.filter(workload, &options.filter, policies).map_err(|e| e.inside("filter"))?;
        let hosts = answer.hosts.ids();
        let mut weights: Vec<Vec<f64>> =
            options.weighers.iter().map(|weigher| self.weights(workload, weigher.kind, &hosts)).collect();
        let mut scores = vec![0.0; hosts.len()];
        for (weigher, weights) in options.weighers.iter().zip(&weights) {
            // Nova's PCIWeigher counts from 0, the others from the least weight that occurs.
            let floor = (weigher.kind == WeigherKind::FewestFree).then_some(0.0);
            add_scaled(&mut scores, weights, floor, weigher.multiplier);
        }
        let query = Query { workload, facts: &options.filter.facts };
        for policy in policies.iter().filter(|policy| policy.scope().score) {
            let own = self.policy_scores(*policy, &query, &hosts)?;
            add_scaled(&mut scores, &own, None, options.policy_multiplier);
            weights.push(own);
        }
        let mut order: Vec<usize> = (0..hosts.len()).collect();
        let limit = options.limit.unwrap_or(usize::MAX).min(hosts.len());
        let best = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        if limit < order.len() && limit > 0 {
            order.select_nth_unstable_by(limit - 1, best);
        }
        order.truncate(limit);
        order.sort_unstable_by(best);
        for weights in &mut weights {
            *weights = order.iter().map(|&i| weights[i]).collect();
        }
        let ranking = Ranking {
            hosts: order.iter().map(|&i| hosts[i]).collect(),
            scores: order.iter().map(|&i| scores[i]).collect(),
            weights,
        };
        Ok((ranking, answer))
    }

    /// Says what the fleet will be asked for, in place of what was declared before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] for more than 64 workloads, [`ErrorKind::InvalidArgument`] for a weight that is not
    /// over 0, or as [`Workload::validate`].
    pub fn declare_demand(&mut self, demand: Vec<Demand>) -> Result<()> {
        check_demand(&demand)?;
        self.demand.declared = demand;
        Ok(())
    }

    /// Counts a workload that was asked for into the recent demand, which fades as more is counted.
    ///
    /// # Errors
    ///
    /// As [`Workload::validate`].
    pub fn observe_demand(&mut self, workload: &Workload) -> Result<()> {
        workload.validate().map_err(|e| e.inside("workload"))?;
        let kind = kind_of(workload);
        let recent = &mut self.demand.recent;
        match recent.iter_mut().find(|entry| entry.workload == kind) {
            Some(entry) => entry.weight += 1.0,
            None => {
                if recent.len() == MAX_DEMAND {
                    // The least weight that was there first makes room.
                    let mut least = 0;
                    for i in 1..recent.len() {
                        if recent[i].weight < recent[least].weight {
                            least = i;
                        }
                    }
                    recent.remove(least);
                }
                recent.push(Demand { workload: kind, weight: 1.0 });
            }
        }
        if recent.iter().map(|entry| entry.weight).sum::<f64>() >= MAX_RECENT_WEIGHT {
            recent.iter_mut().for_each(|entry| entry.weight /= 2.0);
        }
        Ok(())
    }

    /// What the fleet expects to be asked for: what was declared, then what was asked for lately.
    pub fn demand(&self) -> impl Iterator<Item = &Demand> {
        self.demand.declared.iter().chain(&self.demand.recent)
    }

    /// What a policy says about hosts, some thousands at a time; all 0 if it abstains from any of them.
    fn policy_scores(&self, policy: &dyn Policy, query: &Query<'_>, hosts: &[u32]) -> Result<Vec<f64>> {
        let mut scores = Vec::with_capacity(hosts.len());
        for some in hosts.chunks(POLICY_BATCH) {
            let table = self.host_table(some, &[policy], |scope| scope.score_pools)?;
            match policy::score_by(policy, query, &table)? {
                Some(of_some) => scores.extend(of_some),
                None => return Ok(vec![0.0; hosts.len()]),
            }
        }
        Ok(scores)
    }

    fn weights(&self, workload: &Workload, kind: WeigherKind, hosts: &[u32]) -> Vec<f64> {
        match kind {
            WeigherKind::FewestFree => {
                let free = |&id: &u32| self.rows.slots(id).map(|slot| u64::from(slot.count)).sum::<u64>();
                hosts
                    .iter()
                    .map(|id| (NOVA_MAX_DEVICES - free(id).min(NOVA_MAX_DEVICES - 1)) as f64)
                    .collect()
            }
            WeigherKind::BestFit => self.left_over(workload, hosts).into_iter().map(|left| -left).collect(),
            WeigherKind::Fragmentation => {
                let demand: Vec<(Workload, f64)> =
                    self.demand().map(|entry| (kind_of(&entry.workload), entry.weight)).collect();
                let providers = sees_providers(workload) || demand.iter().any(|(w, _)| sees_providers(w));
                self.each(hosts, providers, |pools| -harm(pools, workload, &demand))
            }
        }
    }

    /// For each host, how many devices that could serve the workload are left over by it.
    fn left_over(&self, workload: &Workload, hosts: &[u32]) -> Vec<f64> {
        let needed: u64 = workload.requests.iter().map(|request| u64::from(request.count)).sum();
        // Whether a class is usable may depend on the host's topology, and with Placement on the pool.
        let mut usable: HashMap<(u32, u32), bool> = HashMap::new();
        let bound = sees_providers(workload);
        let left = |&id: &u32| {
            let pools = bound.then(|| self.pools_of(id));
            let allows = |pool: &Pool| {
                let host = Pools { list: Vec::new(), topology: self.topologies.get(id).cloned() };
                let cells = workload.cells();
                workload.requests.iter().any(|r| Prepared::new(&host, workload, r, 0, cells).allows(pool))
            };
            let mut sum = 0;
            for (slot, Slot { class, count }) in self.rows.slots(id).enumerate() {
                let usable = match &pools {
                    Some(pools) => allows(&pools.list[slot]),
                    None => *usable
                        .entry((self.topologies.number(id), class))
                        .or_insert_with(|| allows(self.classes.pool(class))),
                };
                sum += if usable { u64::from(count) } else { 0 };
            }
            sum as f64 - needed as f64
        };
        hosts.iter().map(left).collect()
    }

    /// A weight for each host; hosts that look alike are weighed once.
    fn each(&self, hosts: &[u32], sees_providers: bool, weigh: impl Fn(&Pools) -> f64) -> Vec<f64> {
        let mut known: HashMap<(u32, &[u32]), f64> = HashMap::new();
        let mut weight = |&id: &u32| {
            if self.rows.has_large() || (sees_providers && self.providers.contains_key(&id)) {
                return weigh(&self.pools_of(id));
            }
            let key = (self.topologies.number(id), self.rows.lanes(id));
            *known.entry(key).or_insert_with(|| weigh(&self.pools_of(id)))
        };
        hosts.iter().map(&mut weight).collect()
    }
}

/// Checks the workloads and weights of a part of the demand mix.
pub(super) fn check_demand(demand: &[Demand]) -> Result<()> {
    limits::check("number of workloads", demand.len(), MAX_DEMAND).map_err(|e| e.inside("demand"))?;
    for (i, entry) in demand.iter().enumerate() {
        let place = |e: Error| e.inside(format!("demand[{i}]"));
        entry.workload.validate().map_err(|e| place(e.inside("workload")))?;
        check_number(entry.weight).map_err(|e| place(e.inside("weight")))?;
        if entry.weight <= 0.0 {
            return Err(place(
                Error::new(ErrorKind::InvalidArgument, "a weight is over 0")
                    .with_help("leave out what is not asked for")
                    .inside("weight"),
            ));
        }
    }
    Ok(())
}

fn check_number(number: f64) -> Result<()> {
    if number.is_finite() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, "the number is not finite").with_help("give a finite number"))
}

/// Adds weights to scores, put on a scale from 0 to 1; all alike they add nothing.
fn add_scaled(scores: &mut [f64], weights: &[f64], floor: Option<f64>, multiplier: f64) {
    let (min, max) = range(weights);
    let min = floor.unwrap_or(min);
    // Halves, because the distance between two finite numbers may be none.
    let span = max / 2.0 - min / 2.0;
    if span > 0.0 {
        for (score, weight) in scores.iter_mut().zip(weights) {
            *score += multiplier * ((weight / 2.0 - min / 2.0) / span);
        }
    }
}

fn range(weights: &[f64]) -> (f64, f64) {
    let min = weights.iter().copied().fold(f64::INFINITY, f64::min);
    (min, weights.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// A workload without what differs from one instance to the next.
fn kind_of(workload: &Workload) -> Workload {
    let mut kind = Workload {
        provider_mapping: None,
        prefer_devices: Vec::new(),
        strategy: Strategy::Exact,
        ..workload.clone()
    };
    for request in &mut kind.requests {
        request.request_id = None;
        request.requester_id = None;
        // The providers that Nova stores in a request, for strategy nova in any number.
        for alternative in &mut request.alternatives {
            alternative.remove("rp_uuids");
        }
    }
    kind
}

/// How much of the demand the host could serve and no longer can once the workload is there.
fn harm(pools: &Pools, workload: &Workload, demand: &[(Workload, f64)]) -> f64 {
    let Ok(Fit::Fits(assignment)) = pools.fit(workload) else { return 0.0 };
    let families = Families::new(&pools.list);
    let mut counts: Vec<u32> = pools.list.iter().map(|pool| pool.count).collect();
    for pick in assignment.all_picks() {
        // Strategy nova may pick what an earlier pick excludes.
        let count = pick.count.min(counts[pick.pool]);
        families.take(&mut counts, pick.pool, count);
    }
    let mut after = pools.clone();
    after.list.iter_mut().zip(counts).for_each(|(pool, count)| pool.count = count);
    let lost = |(wanted, weight): &(Workload, f64)| {
        let before = copies(pools, wanted, MAX_COPIES);
        weight * f64::from(before - copies(&after, wanted, before))
    };
    demand.iter().map(lost).sum()
}

/// How many copies of a workload the pools can serve together, up to `most`.
fn copies(pools: &Pools, workload: &Workload, most: u32) -> u32 {
    let (mut known, mut bound) = (0, most + 1);
    let mut step = 1;
    while known + 1 < bound {
        let attempt = (known + step).min(bound - 1);
        if serves_copies(pools, workload, attempt) {
            known = attempt;
            step *= 2;
        } else {
            bound = attempt;
            step = 1.max((bound - known) / 2);
        }
    }
    known
}

/// Whether the pools can serve so many copies of a workload together.
fn serves_copies(pools: &Pools, workload: &Workload, copies: u32) -> bool {
    let bound = workload.requests.iter().any(|request| !workload.providers(request).is_empty());
    if workload.is_plain() && !bound && !solve::has_groups(pools) {
        // Several plain requests of a kind are one request of their counts together. A group goes to one copy as a whole.
        let mut all = workload.clone();
        all.requests.iter_mut().for_each(|request| request.count = request.count.saturating_mul(copies));
        return pools.verdict(&all) == Some(true);
    }
    let copies = vec![workload; copies as usize];
    solve::joint(pools, &copies, None, &Budget::of(&copies)).is_ok_and(|fit| fit.fits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_never_share_a_device_group() {
        let pool = |board: &str, ids: &str| {
            format!(
                r#"{{"vendor_id": "10de", "product_id": "{ids}", "count": 1, "device_group": "{board}"}}"#
            )
        };
        let list = ["a", "b", "c"].map(|board| pool(board, "2330") + ", " + &pool(board, "2331")).join(", ");
        let pools = Pools::new(crate::json::parse(&format!("[{list}]"), "pools").expect("pools"), None);
        let of = |alternative: &str, count: u32| {
            let request =
                format!(r#"{{"requests": [{{"count": {count}, "alternatives": [{alternative}]}}]}}"#);
            crate::json::parse::<Workload>(&request, "workload").expect("a workload")
        };
        // A board has two devices, and whoever gets it gets both.
        assert_eq!(copies(&pools, &of("{}", 1), 8), 0);
        assert_eq!(copies(&pools, &of("{}", 2), 8), 3);
        assert_eq!(copies(&pools, &of(r#"{"product_id": "2330"}"#, 1), 8), 3);
    }
}
