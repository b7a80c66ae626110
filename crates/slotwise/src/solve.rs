//! Strategy `exact`: all requests of a workload together, or a proof that no assignment exists.
//!
//! First the requests are served one after the other in Nova's order, which settles nearly every case. If that fails,
//! the whole is a transport problem: requests need devices, pools have them, and a maximum flow says whether it can be
//! done. Only cards whose PF *and* VFs are wanted need a search: identical cards are interchangeable, so the search is
//! over how many of them give their PF, and a flow that allows both uses bounds it.
//!
//! The assignment chosen is the lexicographically greatest in Nova's order: each request in turn takes as many devices
//! as it can from each pool in its order, as long as the rest can still be served. Where Nova's own choice is feasible,
//! that is Nova's choice.

use std::collections::{BTreeMap, VecDeque};

use crate::filter::{EXACT_STEPS, Prepared};
use crate::fit::{NoFit, Pick, Undecided};
use crate::pool::{Pool, Pools};
use crate::report;
use crate::request::Workload;
use crate::stock::Families;

/// What was decided: the picks per request, or why there are none.
pub(crate) enum Decision {
    Fits(Vec<Vec<Pick>>),
    NoFit(NoFit),
    Undecided(Undecided),
}

/// Finds the assignment for a workload, or the reason why there is none.
pub(crate) fn exact(pools: &Pools, workload: &Workload) -> Decision {
    let prepared: Vec<_> = workload.requests.iter().map(|r| Prepared::new(pools, workload, r)).collect();
    let allowed: Vec<Vec<usize>> = prepared
        .iter()
        .map(|p| (0..pools.list.len()).filter(|&i| p.allows(&pools.list[i])).collect())
        .collect();
    let problem = Problem {
        pools: &pools.list,
        families: Families::new(&pools.list),
        demands: (0..prepared.len()).flat_map(|request| demands(&prepared[request], request)).collect(),
        prepared,
        allowed,
    };
    if let Some(picks) = problem.greedy() {
        return Decision::Fits(picks);
    }
    let budget = workload.budget.unwrap_or(Workload::DEFAULT_BUDGET);
    Search::new(&problem, budget).run().unwrap_or_else(|Exhausted| {
        Decision::Undecided(Undecided {
            message: format!(
                "undecided: the search budget of {budget} steps ran out before an assignment was found or ruled \
                 out; raise the budget"
            ),
            budget,
        })
    })
}

/// Devices that one request needs from one set of pools; a request bound by Placement has one per provider.
#[derive(Debug)]
struct Demand<'a> {
    request: usize,
    provider: Option<&'a str>,
    count: u32,
}

/// The demands of one request, in the order in which its providers were given.
fn demands<'a>(prepared: &Prepared<'a>, request: usize) -> Vec<Demand<'a>> {
    if prepared.providers.is_empty() {
        return vec![Demand { request, provider: None, count: prepared.request.count }];
    }
    let mut demands: Vec<Demand> = Vec::new();
    for &provider in &prepared.providers {
        match demands.iter_mut().find(|d| d.provider == Some(provider)) {
            Some(demand) => demand.count += 1,
            None => demands.push(Demand { request, provider: Some(provider), count: 1 }),
        }
    }
    demands
}

struct Problem<'a> {
    pools: &'a [Pool],
    families: Families,
    prepared: Vec<Prepared<'a>>,
    /// For each request the pools that may serve it, in stable order.
    allowed: Vec<Vec<usize>>,
    demands: Vec<Demand<'a>>,
}

impl Problem<'_> {
    fn serves(&self, pool: usize, demand: usize) -> bool {
        let provider = self.demands[demand].provider;
        provider.is_none() || self.pools[pool].provider.as_deref() == provider
    }

    fn demands_of(&self, request: usize) -> impl Iterator<Item = usize> {
        (0..self.demands.len()).filter(move |&d| self.demands[d].request == request)
    }

    /// Serves one request after the other, each from the first pools in its order; `None` if that gets stuck.
    fn greedy(&self) -> Option<Vec<Vec<Pick>>> {
        let mut counts: Vec<u32> = self.pools.iter().map(|pool| pool.count).collect();
        let mut needs: Vec<u32> = self.demands.iter().map(|d| d.count).collect();
        (0..self.prepared.len())
            .map(|request| {
                let mut picks = Vec::new();
                let mut missing: u32 = self.demands_of(request).map(|d| needs[d]).sum();
                for pool in self.prepared[request].order(self.pools, &counts, &self.allowed[request]) {
                    if missing == 0 {
                        break;
                    }
                    for d in self.demands_of(request) {
                        let count = needs[d].min(counts[pool]);
                        if count > 0 && self.serves(pool, d) {
                            needs[d] -= count;
                            missing -= count;
                            self.families.take(&mut counts, pool, count);
                            picks.push(Pick { pool, count });
                        }
                    }
                }
                (missing == 0).then_some(picks)
            })
            .collect()
    }
}

/// The search budget ran out.
struct Exhausted;

/// A PF and the VFs of one card, both wanted by some demand: either the PF is used, or VFs are.
struct Card {
    physical: Vec<usize>,
    virtuals: Vec<usize>,
}

struct Search<'p, 'a> {
    problem: &'p Problem<'a>,
    /// The distinct sets of demands that a pool can serve.
    classes: Vec<Vec<usize>>,
    /// For each pool its class; `None` if it can serve no demand.
    class_of: Vec<Option<usize>>,
    /// The cards on which a choice between PF and VFs is open; their pools are not in `class_free`.
    cards: Vec<Card>,
    on_card: Vec<bool>,
    /// How many devices are left in each pool.
    counts: Vec<u32>,
    /// How many are left in each class, without those on `cards`.
    class_free: Vec<u64>,
    /// How many devices each demand still needs.
    needs: Vec<u64>,
    budget: u64,
    spent: u64,
}

impl<'p, 'a> Search<'p, 'a> {
    fn new(problem: &'p Problem<'a>, budget: u64) -> Self {
        let mut serves: Vec<Vec<usize>> = vec![Vec::new(); problem.pools.len()];
        for (d, demand) in problem.demands.iter().enumerate() {
            for &pool in &problem.allowed[demand.request] {
                if problem.serves(pool, d) {
                    serves[pool].push(d);
                }
            }
        }
        let mut ids: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let class_of: Vec<Option<usize>> = serves
            .into_iter()
            .map(|serves| {
                let next = ids.len();
                (!serves.is_empty()).then(|| *ids.entry(serves).or_insert(next))
            })
            .collect();
        let mut classes = vec![Vec::new(); ids.len()];
        for (serves, id) in ids {
            classes[id] = serves;
        }
        let counts: Vec<u32> = problem.pools.iter().map(|pool| pool.count).collect();
        let wanted = |pools: &[usize]| -> Vec<usize> {
            pools.iter().copied().filter(|&pool| class_of[pool].is_some() && counts[pool] > 0).collect()
        };
        let cards: Vec<Card> = problem
            .families
            .list
            .iter()
            .map(|family| Card { physical: wanted(&family.physical), virtuals: wanted(&family.virtuals) })
            .filter(|card| !card.physical.is_empty() && !card.virtuals.is_empty())
            .collect();
        let mut on_card = vec![false; counts.len()];
        for &pool in cards.iter().flat_map(|card| card.physical.iter().chain(&card.virtuals)) {
            on_card[pool] = true;
        }
        let mut class_free = vec![0; classes.len()];
        for (pool, class) in class_of.iter().enumerate() {
            if let (Some(class), false) = (class, on_card[pool]) {
                class_free[*class] += u64::from(counts[pool]);
            }
        }
        let needs = problem.demands.iter().map(|d| u64::from(d.count)).collect();
        Search { problem, classes, class_of, cards, on_card, counts, class_free, needs, budget, spent: 0 }
    }

    fn run(mut self) -> Result<Decision, Exhausted> {
        if !self.solvable()? {
            return self.refute().map(Decision::NoFit);
        }
        let mut picks = vec![Vec::new(); self.problem.prepared.len()];
        for (request, picks) in picks.iter_mut().enumerate() {
            let allowed = &self.problem.allowed[request];
            // Once a class of plain pools has given a demand all that it can, the other pools of that class cannot
            // give it more: what is left only shrinks.
            let mut drained: Vec<(usize, usize)> = Vec::new();
            for pool in self.problem.prepared[request].order(self.problem.pools, &self.counts, allowed) {
                let Some(class) = self.class_of[pool] else { continue };
                for d in self.problem.demands_of(request) {
                    let limit = self.needs[d].min(u64::from(self.counts[pool])) as u32;
                    if limit == 0 || !self.problem.serves(pool, d) || drained.contains(&(d, class)) {
                        continue;
                    }
                    let count = self.most(d, pool, limit)?;
                    if count > 0 {
                        self.take(d, pool, count);
                        picks.push(Pick { pool, count });
                    }
                    if count < limit && !self.on_card[pool] {
                        drained.push((d, class));
                    }
                }
            }
        }
        debug_assert!(self.needs.iter().all(|&need| need == 0), "a solvable rest is served to the end");
        Ok(Decision::Fits(picks))
    }

    /// Takes devices of a pool for a demand, and with them what they exclude; gives back what `undo` needs.
    fn take(&mut self, demand: usize, pool: usize, count: u32) -> Vec<(usize, u32)> {
        let mut old = vec![(pool, self.counts[pool])];
        self.set_count(pool, self.counts[pool] - count);
        for &other in self.problem.families.excluded_by(pool) {
            old.push((other, self.counts[other]));
            self.set_count(other, 0);
        }
        self.needs[demand] -= u64::from(count);
        old
    }

    fn undo(&mut self, demand: usize, count: u32, old: Vec<(usize, u32)>) {
        for (pool, count) in old {
            self.set_count(pool, count);
        }
        self.needs[demand] += u64::from(count);
    }

    fn set_count(&mut self, pool: usize, count: u32) {
        if let (Some(class), false) = (self.class_of[pool], self.on_card[pool]) {
            self.class_free[class] = self.class_free[class] - u64::from(self.counts[pool]) + u64::from(count);
        }
        self.counts[pool] = count;
    }

    /// The most devices, up to `limit`, that a demand can take from a pool such that the rest can still be served.
    ///
    /// If it can take `n` it can take `n - 1` (the rest then takes the last one), so halving finds the answer.
    fn most(&mut self, demand: usize, pool: usize, limit: u32) -> Result<u32, Exhausted> {
        let (mut possible, mut impossible) = (0, limit + 1);
        let mut attempt = limit;
        while possible + 1 < impossible {
            let old = self.take(demand, pool, attempt);
            let solvable = self.solvable();
            self.undo(demand, attempt, old);
            if solvable? {
                possible = attempt;
            } else {
                impossible = attempt;
            }
            attempt = possible + (impossible - possible) / 2;
        }
        Ok(possible)
    }

    /// Whether what is left can serve all that is needed.
    ///
    /// Cards that look the same are counted together: of `cards` alike, `used` give their PF and the others their VFs,
    /// with `low ≤ used ≤ high`. A flow that grants both uses within these bounds is a relaxation: if it fails, so does
    /// every choice. If it succeeds and no card is used twice, it is a solution. Otherwise the bounds are split.
    fn solvable(&mut self) -> Result<bool, Exhausted> {
        let mut alike: BTreeMap<Alike, u64> = BTreeMap::new();
        let mut plain = self.class_free.clone();
        for card in &self.cards {
            let left = |pools: &[usize]| -> Vec<(usize, u32)> {
                let mut left: Vec<_> = pools
                    .iter()
                    .filter(|&&pool| self.counts[pool] > 0)
                    .filter_map(|&pool| Some((self.class_of[pool]?, self.counts[pool])))
                    .collect();
                left.sort_unstable();
                left
            };
            let key = Alike { physical: left(&card.physical), virtuals: left(&card.virtuals) };
            if key.physical.is_empty() || key.virtuals.is_empty() {
                // The choice is made: what is left is as plain as any other pool.
                for (class, count) in key.physical.into_iter().chain(key.virtuals) {
                    plain[class] += u64::from(count);
                }
            } else {
                *alike.entry(key).or_default() += 1;
            }
        }
        let alike: Vec<(Alike, u64)> = alike.into_iter().collect();
        let mut branches = vec![alike.iter().map(|(_, cards)| (0, *cards)).collect::<Vec<_>>()];
        while let Some(bounds) = branches.pop() {
            if self.spent >= self.budget {
                return Err(Exhausted);
            }
            self.spent += 1;
            let mut nodes: Vec<Node> = (0..plain.len())
                .filter(|&class| plain[class] > 0)
                .map(|class| Node::new(&self.classes[class], plain[class]))
                .collect();
            let mut first_of = Vec::with_capacity(alike.len());
            for ((key, cards), (low, high)) in alike.iter().zip(&bounds) {
                first_of.push(nodes.len());
                for (class, count) in &key.physical {
                    nodes.push(Node::new(&self.classes[*class], u64::from(*count) * high));
                }
                for (class, count) in &key.virtuals {
                    nodes.push(Node::new(&self.classes[*class], u64::from(*count) * (cards - low)));
                }
            }
            if !saturate(&self.needs, &mut nodes) {
                continue;
            }
            let twice = alike.iter().enumerate().find_map(|(i, (key, cards))| {
                let nodes = &nodes[first_of[i]..];
                let cards_for = |pools: &[(usize, u32)], nodes: &[Node]| {
                    let needed = pools.iter().zip(nodes).map(|((_, count), node)| node.used.div_ceil(u64::from(*count)));
                    needed.max().unwrap_or(0)
                };
                let physical = cards_for(&key.physical, nodes);
                let virtuals = cards_for(&key.virtuals, &nodes[key.physical.len()..]);
                (physical + virtuals > *cards).then_some((i, physical))
            });
            let Some((i, physical)) = twice else { return Ok(true) };
            // Either fewer cards give their PF than this flow uses, or at least as many.
            let (mut fewer, mut more) = (bounds.clone(), bounds);
            fewer[i].1 = physical - 1;
            more[i].0 = physical;
            branches.push(fewer);
            branches.push(more);
        }
        Ok(false)
    }

    /// Explains why the whole cannot be served, with a minimal set of requests that cannot.
    fn refute(mut self) -> Result<NoFit, Exhausted> {
        let mut conflict: Vec<usize> = (0..self.problem.prepared.len()).collect();
        for request in 0..self.problem.prepared.len() {
            let needs = self.needs.clone();
            for d in self.problem.demands_of(request) {
                self.needs[d] = 0;
            }
            if self.solvable()? {
                self.needs = needs;
            } else {
                conflict.retain(|&r| r != request);
            }
        }
        let usable = (0..self.counts.len())
            .filter(|pool| conflict.iter().any(|&r| self.problem.allowed[r].contains(pool)))
            .map(|pool| u64::from(self.counts[pool]))
            .sum();
        let reports = self
            .problem
            .prepared
            .iter()
            .enumerate()
            .map(|(i, prepared)| prepared.report(i, self.problem.pools, &self.counts, EXACT_STEPS))
            .collect();
        Ok(report::no_fit(&self.problem.prepared, conflict, usable, reports))
    }
}

/// What makes two cards interchangeable: class and count of the pools left on each side.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Alike {
    physical: Vec<(usize, u32)>,
    virtuals: Vec<(usize, u32)>,
}

/// Devices that can serve the same demands.
struct Node<'a> {
    serves: &'a [usize],
    capacity: u64,
    used: u64,
    /// How many go to each demand in `serves`.
    flow: Vec<u64>,
}

impl<'a> Node<'a> {
    fn new(serves: &'a [usize], capacity: u64) -> Self {
        Node { serves, capacity, used: 0, flow: vec![0; serves.len()] }
    }

    fn give(&mut self, slot: usize, amount: u64) {
        self.flow[slot] += amount;
        self.used += amount;
    }
}

/// Finds a flow from `nodes` that serves all `needs`, and says whether there is one (Ford and Fulkerson, with the
/// shortest augmenting path first).
fn saturate(needs: &[u64], nodes: &mut [Node]) -> bool {
    let mut missing = needs.to_vec();
    let mut serving: Vec<Vec<(usize, usize)>> = vec![Vec::new(); needs.len()];
    for (n, node) in nodes.iter_mut().enumerate() {
        for (slot, &d) in node.serves.iter().enumerate() {
            serving[d].push((n, slot));
            let amount = missing[d].min(node.capacity - node.used);
            missing[d] -= amount;
            node.give(slot, amount);
        }
    }
    for start in 0..needs.len() {
        while missing[start] > 0 {
            // `reached[d]` is how the search came to demand `d`: from which demand, through which node and slots.
            let mut reached: Vec<Option<(usize, usize, usize, usize)>> = vec![None; needs.len()];
            let mut seen = vec![false; nodes.len()];
            let mut queue = VecDeque::from([start]);
            let mut end = None;
            'search: while let Some(d) = queue.pop_front() {
                for &(n, slot) in &serving[d] {
                    if std::mem::replace(&mut seen[n], true) {
                        continue;
                    }
                    let node = &nodes[n];
                    if node.used < node.capacity {
                        end = Some((d, n, slot));
                        break 'search;
                    }
                    for (other_slot, &other) in node.serves.iter().enumerate() {
                        if node.flow[other_slot] > 0 && other != start && reached[other].is_none() {
                            reached[other] = Some((d, n, slot, other_slot));
                            queue.push_back(other);
                        }
                    }
                }
            }
            let Some((mut d, n, slot)) = end else { return false };
            let mut amount = missing[start].min(nodes[n].capacity - nodes[n].used);
            let mut at = d;
            while let Some((from, n, _, other_slot)) = reached[at].filter(|_| at != start) {
                amount = amount.min(nodes[n].flow[other_slot]);
                at = from;
            }
            nodes[n].give(slot, amount);
            while let Some((from, n, slot, other_slot)) = reached[d].filter(|_| d != start) {
                nodes[n].flow[other_slot] -= amount;
                nodes[n].flow[slot] += amount;
                d = from;
            }
            missing[start] -= amount;
        }
    }
    true
}
