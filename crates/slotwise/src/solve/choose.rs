//! The choice among the assignments that are possible: the first in the documented order.

use std::collections::{BTreeMap, BTreeSet};

use super::Solver;
use super::bins::Value;
use super::problem::{Problem, Table};
use super::search::Search;
use crate::filter::{Nearness, Prepared};
use crate::request::Preference;

/// Picks of one request: bins and counts, in the order in which they are taken.
pub(super) type Picks = Vec<(usize, u32)>;

/// The picks of each request, and what comes along with them.
type Chosen = (Vec<Picks>, Vec<Picks>);

/// A preferred key, and how good each of its values is: whether it has too few devices, and how many it has or lacks.
type Islands = (usize, BTreeMap<Value, (bool, u64)>);

/// Chooses among the assignments that are possible.
pub(super) struct Chooser<'p> {
    pub(super) solver: &'p Solver<'p>,
    pub(super) problem: &'p Problem<'p>,
    pub(super) table: &'p Table<'p>,
}

/// How good a bin is for a request, by the fields in order: nearness, islands, preferred devices, number of attributes.
type Rank = (u8, Vec<Island>, u32, usize);

/// How good a value of a preferred key is, and the value.
type Island = ((bool, u64), Value);

/// A bin that may serve a request.
struct Candidate {
    bin: usize,
    demand: usize,
    atom: usize,
    /// What does not change while the request is served.
    rank: Rank,
    gone: bool,
}

impl Chooser<'_> {
    /// The picks of each request, and the group members that come along with them.
    ///
    /// `search` has found that all can be served. When the budget runs out the rest is taken as it has found.
    pub(super) fn choose(&self, search: &mut Search<'_>) -> Chosen {
        let requests = self.problem.asks.len();
        let mut picks: Vec<Picks> = vec![Vec::new(); requests];
        for request in 0..requests {
            let mut missing: Vec<u32> = self.problem.demands.iter().map(|demand| demand.count).collect();
            let mut candidates = self.candidates(request, search);
            let mut was_cut_short = search.is_cut_short;
            let mut at = 0;
            // Once an atom has given a demand all that it can, its other bins cannot give it more: what is left only
            // shrinks.
            let mut drained: BTreeSet<(usize, usize)> = BTreeSet::new();
            while self.problem.demands_of(request).any(|demand| missing[demand] > 0) {
                // Without a preference the order stands; with one it depends on what is left.
                if self.solver.prefer != Preference::Stable && !search.is_cut_short {
                    let looks = candidates.len() as u64 + self.problem.bins.list.len() as u64;
                    search.is_cut_short = self.solver.budget.work(looks).is_err();
                    at = self.best(&candidates, &picks, search).unwrap_or(candidates.len());
                }
                if search.is_cut_short && !was_cut_short {
                    // What was found may take more of those that were tried already.
                    was_cut_short = true;
                    drained.clear();
                    at = 0;
                }
                let Some(candidate) = candidates.get_mut(at) else { break };
                at += 1;
                let &mut Candidate { bin, demand, atom, .. } = candidate;
                let class = self.problem.demands[demand].class;
                let most = search.limit(class, bin).min(missing[demand]);
                if most == 0 || drained.contains(&(demand, atom)) {
                    candidate.gone = true;
                    continue;
                }
                let is_single = self.solver.prefer == Preference::Spread && !search.is_cut_short;
                let limit = if is_single { 1 } else { most };
                let count = search.take_most(class, bin, limit);
                if count < limit {
                    drained.insert((demand, atom));
                }
                if count > 0 {
                    missing[demand] -= count;
                    picks[request].push((bin, count));
                }
            }
            let is_served = |demand: usize| missing[demand] == 0;
            debug_assert!(
                self.problem.demands_of(request).all(is_served),
                "a solvable rest is served to the end"
            );
        }
        let companions = self.companions(&picks, search);
        (picks, companions)
    }

    pub(super) fn prepared(&self, request: usize) -> &Prepared<'_> {
        let ask = self.problem.asks[request];
        &self.table.options[ask.request][ask.option.unwrap_or(0)].prepared
    }

    /// The bins that may serve a request, in the order in which they are used as far as that does not change.
    fn candidates(&self, request: usize, search: &Search<'_>) -> Vec<Candidate> {
        let prepared = self.prepared(request);
        let bins = &self.problem.bins.list;
        // A bin serves one demand of a request at most: they differ in their provider.
        let demand_of = |bin: usize| {
            self.problem.demands_of(request).find(|&d| search.limit(self.problem.demands[d].class, bin) > 0)
        };
        let useful: Vec<usize> = (0..bins.len()).filter(|&b| demand_of(b).is_some()).collect();
        let islands = self.islands(request, &useful, search);
        // Whether the guest's own cells suffice is asked before what was taken rules out more: all bins that suit count.
        let suits = |bin: usize| {
            let mut classes = self.problem.demands_of(request).map(|d| self.problem.demands[d].class);
            classes.any(|class| search.layout.pair(class, bin).is_some())
        };
        let suitable: Vec<usize> = (0..bins.len()).filter(|&b| suits(b)).collect();
        let tiers = prepared.tiers(&suitable, |b| self.problem.pool(b), |b| search.state.bins[b]);
        let mut candidates: Vec<Candidate> = suitable
            .into_iter()
            .zip(tiers)
            .filter_map(|(bin, tier)| {
                let rank = self.rank(request, bin, tier, &islands);
                let (demand, atom) = (demand_of(bin)?, search.layout.atom_of[bin]?);
                Some(Candidate { bin, demand, atom, rank, gone: false })
            })
            .collect();
        // The sort is stable.
        candidates.sort_by(|a, b| a.rank.cmp(&b.rank));
        candidates
    }

    /// For each preferred key how good each value is: those with enough devices come first, the tightest of them best;
    /// then those with too few, the largest best.
    fn islands(&self, request: usize, useful: &[usize], search: &Search<'_>) -> Vec<Islands> {
        let prepared = self.prepared(request);
        let count = u64::from(prepared.count);
        let keys = prepared.request.prefer_same.iter().filter_map(|key| self.solver.key(key));
        keys.map(|key| {
            let mut free: BTreeMap<Value, u64> = BTreeMap::new();
            for &b in useful {
                if let Some(value) = self.problem.bins.list[b].values[key] {
                    *free.entry(value).or_default() += u64::from(search.state.bins[b]);
                }
            }
            let rank = |free: u64| if free >= count { (false, free) } else { (true, u64::MAX - free) };
            (key, free.into_iter().map(|(value, free)| (value, rank(free))).collect())
        })
        .collect()
    }

    /// How good a bin is for a request, as far as that does not change; less is better.
    fn rank(&self, request: usize, bin: usize, tier: u8, islands: &[Islands]) -> Rank {
        let island = islands
            .iter()
            .map(|(key, ranks)| {
                let value = self.problem.bins.list[bin].values[*key];
                value
                    .and_then(|value| Some((*ranks.get(&value)?, value)))
                    .unwrap_or(((true, u64::MAX), Value::MAX))
            })
            .collect();
        let near = match self.prepared(request).nearness(self.problem.pool(bin)) {
            Nearness::Local => 0,
            Nearness::Unknown | Nearness::Socket => 1,
            Nearness::Remote => 2,
        };
        let workload = self.solver.owners[self.problem.asks[request].request];
        let devices = self.problem.bins.list[bin].tiers[workload];
        match self.solver.prefer {
            Preference::Stable => (tier, island, devices, 0),
            Preference::Pack | Preference::Spread => (near, island, devices, self.problem.pool(bin).rank()),
        }
    }

    /// The best of the candidates now: of those that rank equal the one that serves the preference best, then the first.
    fn best(&self, candidates: &[Candidate], picks: &[Picks], search: &Search<'_>) -> Option<usize> {
        let head = candidates.iter().position(|candidate| !candidate.gone)?;
        let rank = &candidates[head].rank;
        let equal = (head..candidates.len())
            .take_while(|&at| candidates[at].rank == *rank)
            .filter(|&at| !candidates[at].gone);
        match self.solver.prefer {
            Preference::Stable => Some(head),
            Preference::Pack => {
                let bins = self.problem.bins;
                let mut left: BTreeMap<&str, u64> = BTreeMap::new();
                for (b, count) in search.state.bins.iter().enumerate() {
                    if let Some(card) = self.problem.pool(b).attributes.text("address") {
                        *left.entry(card).or_default() += u64::from(*count);
                    }
                }
                equal.min_by_key(|&at| {
                    let bin = candidates[at].bin;
                    let is_whole = bins.cards.of_pool[bin].is_some_and(|card| {
                        bins.cards.virtuals(card).contains(&bin)
                            && bins.cards.physical(card).iter().any(|&pf| search.state.bins[pf] > 0)
                    });
                    let card = self.problem.pool(bin).attributes.text("address");
                    let on_card = card.and_then(|card| left.get(card).copied());
                    (is_whole, on_card.unwrap_or(u64::from(search.state.bins[bin])))
                })
            }
            Preference::Spread => {
                let key = self.solver.key(&self.solver.spread_key)?;
                let value = |bin: usize| self.problem.bins.list[bin].values[key];
                let (mut used, mut left): (BTreeMap<_, u64>, BTreeMap<_, u64>) = Default::default();
                for &(bin, count) in picks.iter().flatten() {
                    *used.entry(value(bin)).or_default() += u64::from(count);
                }
                for (bin, count) in search.state.bins.iter().enumerate() {
                    *left.entry(value(bin)).or_default() += u64::from(*count);
                }
                let of =
                    |counts: &BTreeMap<_, u64>, bin: usize| counts.get(&value(bin)).copied().unwrap_or(0);
                equal.min_by_key(|&at| {
                    let bin = candidates[at].bin;
                    (of(&used, bin), std::cmp::Reverse(of(&left, bin)))
                })
            }
        }
    }

    /// The members of taken groups that serve no request, with the request that took the group.
    fn companions(&self, picks: &[Picks], search: &Search<'_>) -> Vec<Picks> {
        let bins = &self.problem.bins;
        picks
            .iter()
            .enumerate()
            .map(|(r, own)| {
                let groups: BTreeSet<usize> = own.iter().filter_map(|(b, _)| bins.list[*b].group).collect();
                let taken_before =
                    |g: &usize| picks[..r].iter().flatten().any(|(b, _)| bins.list[*b].group == Some(*g));
                groups
                    .iter()
                    .filter(|g| !taken_before(g))
                    .flat_map(|&g| bins.groups[g].iter())
                    .map(|&b| (b, search.state.bins[b]))
                    .filter(|(_, count)| *count > 0)
                    .collect()
            })
            .collect()
    }
}
