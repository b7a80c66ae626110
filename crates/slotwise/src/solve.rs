//! Strategy `exact`: all requests of a workload together, or a proof that no assignment exists.
//!
//! First the requests are served one after the other in Nova's order, which settles nearly every plain case. If that
//! fails, or if there is more to heed, the whole is a transport problem: requests need devices, bins of equal devices
//! have them, and a maximum flow says whether it can be done. What a flow cannot express (a card gives its PF or its
//! VFs, devices that must agree, device groups) is decided by a search that the flow bounds; equal cards and equal
//! groups are tried once.
//!
//! The assignment chosen is the first in a documented order: each request in turn takes as many devices as it can from
//! the best bin, as long as the rest can still be served. Where Nova's own choice is feasible, that is Nova's choice.
//! What may fail is only ever decided on a proof, so *no fit* means that no assignment exists.

pub(crate) mod bins;
mod flow;
mod problem;
mod search;
mod verify;

pub(crate) use self::verify::verify;

use std::collections::{BTreeMap, BTreeSet};

use self::bins::{Attributes, Bins, DEVICE_GROUP, Value};
use self::problem::Problem;
use self::search::{Budget, Exhausted, Search};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{EXACT_STEPS, Nearness, Prepared};
use crate::fit::{Assignment, Fit, NoFit, Pick, RequestAssignment, Undecided};
use crate::pool::Pools;
use crate::report;
use crate::request::{CellChoice, Constraint, Preference, Request, Workload};
use crate::stock::Families;

/// What was decided.
pub(crate) enum Decision {
    Fits(Assignment),
    NoFit(NoFit),
    Undecided(Undecided),
}

/// Finds the assignment for a workload, or the reason why there is none.
///
/// # Errors
///
/// [`ErrorKind::InvalidRequest`] when a constraint names an attribute that no device of the host has; this is known
/// only where `attributes` are.
pub(crate) fn exact(
    pools: &Pools,
    workload: &Workload,
    attributes: Option<&dyn Attributes>,
) -> Result<Decision> {
    let grouped = pools.list.iter().any(|pool| pool.attributes.text(DEVICE_GROUP).is_some());
    if workload.is_plain()
        && !grouped
        && let Some(assignment) = greedy(pools, workload)
    {
        return Ok(Decision::Fits(assignment));
    }
    Solver::new(pools, &[workload], attributes).map(Solver::decide)
}

/// Finds an assignment for several workloads together, whose requests follow one another in it.
///
/// The first workload says what is preferred, and the budgets add up.
///
/// # Errors
///
/// As [`exact`].
pub(crate) fn joint(
    pools: &Pools,
    workloads: &[&Workload],
    attributes: Option<&dyn Attributes>,
) -> Result<Fit> {
    Ok(match Solver::new(pools, workloads, attributes)?.decide() {
        Decision::Fits(assignment) => Fit::Fits(assignment),
        Decision::NoFit(no) => Fit::NoFit(no),
        Decision::Undecided(undecided) => Fit::Undecided(undecided),
    })
}

/// Serves one request after the other, each from the first pools in its order; `None` if that gets stuck.
fn greedy(pools: &Pools, workload: &Workload) -> Option<Assignment> {
    let list = &pools.list;
    let families = Families::new(list);
    let mut counts: Vec<u32> = list.iter().map(|pool| pool.count).collect();
    let mut picks = Vec::with_capacity(workload.requests.len());
    for request in &workload.requests {
        let prepared = Prepared::new(pools, workload, request, 0, workload.cells());
        let allowed: Vec<usize> =
            (0..list.len()).filter(|&i| counts[i] > 0 && prepared.allows(&list[i])).collect();
        let mut missing = prepared.count;
        let mut wanted = prepared.providers.clone();
        let mut taken = Vec::new();
        for pool in prepared.order(list, &counts, &allowed) {
            if missing == 0 {
                break;
            }
            let here = |provider: &&str| list[pool].provider.as_deref() == Some(*provider);
            let need = match prepared.providers.is_empty() {
                true => missing,
                false => wanted.iter().filter(|p| here(p)).count() as u32,
            };
            let count = need.min(counts[pool]);
            if count > 0 {
                let mut served = 0..count;
                wanted.retain(|provider| !here(provider) || served.next().is_none());
                missing = missing.saturating_sub(count);
                families.take(&mut counts, pool, count);
                taken.push(Pick { pool, count });
            }
        }
        if missing > 0 || !wanted.is_empty() {
            return None;
        }
        picks.push(taken);
    }
    Some(pools.assignment(workload, picks))
}

struct Solver<'a> {
    pools: &'a Pools,
    /// The requests of all workloads, each with its own.
    items: Vec<(&'a Workload, &'a Request)>,
    /// Which of the guest's cells are to be chosen; of a single workload only.
    cells_from: Option<&'a CellChoice>,
    prefer: Preference,
    spread_key: String,
    constraints: Vec<Constraint>,
    keys: Vec<String>,
    bins: Bins,
    steps: u64,
    budget: Budget,
}

/// The options tried for the first requests.
type Options = Vec<usize>;

impl<'a> Solver<'a> {
    fn new(
        pools: &'a Pools,
        workloads: &[&'a Workload],
        attributes: Option<&dyn Attributes>,
    ) -> Result<Self> {
        let mut items = Vec::new();
        let mut constraints = Vec::new();
        for workload in workloads {
            let first = items.len();
            items.extend(workload.requests.iter().map(|request| (*workload, request)));
            constraints.extend(workload.all_constraints().into_iter().map(|constraint| Constraint {
                requests: constraint.requests.iter().map(|request| request + first).collect(),
                ..constraint
            }));
        }
        let leader = workloads.first();
        let prefer = leader.map_or(Preference::Stable, |workload| workload.prefer);
        let spread_key =
            leader.and_then(|workload| workload.spread_over.clone()).unwrap_or_else(|| "address".to_owned());
        let spread = (prefer == Preference::Spread).then_some(&spread_key);
        let mut keys: Vec<String> = Vec::new();
        let preferred = items.iter().flat_map(|(_, request)| &request.prefer_same);
        for key in constraints.iter().map(|c| &c.key).chain(preferred).chain(spread) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        if let Some(attributes) = attributes {
            let known = |key: &String| {
                pools.list.iter().any(|pool| bins::pool_value(pool, key).is_some()) || attributes.knows(key)
            };
            if let Some(unknown) = keys.iter().find(|key| !known(key)) {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    format!("no device of this host has an attribute {:?}", crate::address::clip(unknown)),
                )
                .with_help("name a field, a tag or an extra info that a device has")
                .inside("workload.constraints"));
            }
        }
        let bins = Bins::new(pools, &keys, attributes);
        let steps = workloads
            .iter()
            .fold(0_u64, |sum, w| sum.saturating_add(w.budget.unwrap_or(Workload::DEFAULT_BUDGET)));
        let cells_from = leader.and_then(|workload| workload.numa_cells_from.as_ref());
        let budget = Budget::new(steps);
        Ok(Solver { pools, items, cells_from, prefer, spread_key, constraints, keys, bins, steps, budget })
    }

    fn key(&self, name: &str) -> Option<usize> {
        self.keys.iter().position(|key| key == name)
    }

    fn decide(self) -> Decision {
        self.solve().unwrap_or_else(|Exhausted| {
            Decision::Undecided(Undecided {
                message: format!(
                    "undecided: the search budget of {} steps ran out before an assignment was found or ruled out; \
                     raise the budget",
                    self.steps
                ),
                budget: self.steps,
            })
        })
    }

    fn solve(&self) -> Result<Decision, Exhausted> {
        let all: Vec<usize> = (0..self.items.len()).collect();
        let Some(choice) = self.cells_from else {
            return Ok(match self.assign(&all, None)? {
                Some((assignment, _)) => Decision::Fits(assignment),
                None => Decision::NoFit(self.refute(&all)?),
            });
        };
        let mut best: Option<(Assignment, u64)> = None;
        for cells in combinations(&choice.from, choice.count) {
            if let Some((mut assignment, near)) = self.assign(&all, Some(&cells))?
                && best.as_ref().is_none_or(|(_, most)| near > *most)
            {
                assignment.numa_cells = Some(cells);
                best = Some((assignment, near));
            }
        }
        Ok(match best {
            Some((assignment, _)) => Decision::Fits(assignment),
            None => Decision::NoFit(self.refute(&all)?),
        })
    }

    /// Prepares an option of a request, for the guest's own cells or for those that are tried.
    fn prepared<'s>(&'s self, request: usize, option: usize, cells: Option<&'s [u32]>) -> Prepared<'s> {
        let (workload, request) = self.items[request];
        Prepared::new(self.pools, workload, request, option, cells.unwrap_or(workload.cells()))
    }

    fn problem<'s>(&'s self, requests: &[usize], options: &[usize], cells: Option<&'s [u32]>) -> Problem<'s> {
        let prepared =
            requests.iter().zip(options).map(|(&r, &option)| self.prepared(r, option, cells)).collect();
        let constraints: Vec<Constraint> = self
            .constraints
            .iter()
            .map(|constraint| Constraint {
                requests: constraint
                    .requests
                    .iter()
                    .filter_map(|r| requests[..options.len()].iter().position(|other| other == r))
                    .collect(),
                ..constraint.clone()
            })
            .filter(|constraint| !constraint.requests.is_empty())
            .collect();
        Problem::new(&self.pools.list, &self.bins, &self.keys, &constraints, prepared)
    }

    /// The first options with which these requests can be served together: earlier requests get their better options
    /// first.
    fn options(&self, requests: &[usize], cells: Option<&[u32]>) -> Result<Option<Options>, Exhausted> {
        let has_fallbacks = requests.iter().any(|&r| !self.items[r].1.otherwise.is_empty());
        if !has_fallbacks {
            let options = vec![0; requests.len()];
            let problem = self.problem(requests, &options, cells);
            return Ok(Search::new(&problem, &self.budget).solvable()?.then_some(options));
        }
        let mut open: Vec<Options> = vec![Vec::new()];
        while let Some(options) = open.pop() {
            // What cannot be served without the requests that follow cannot be served with them. With device groups it
            // can: a member that one request leaves over may serve another.
            if options.len() == requests.len() || self.bins.groups.is_empty() {
                let problem = self.problem(requests, &options, cells);
                if !Search::new(&problem, &self.budget).solvable()? {
                    continue;
                }
            }
            let Some(&next) = requests.get(options.len()) else { return Ok(Some(options)) };
            for option in (0..self.items[next].1.options().count()).rev() {
                let mut longer = options.clone();
                longer.push(option);
                open.push(longer);
            }
        }
        Ok(None)
    }

    /// The assignment of all requests, and how many of its devices are near the guest's cells.
    fn assign(
        &self,
        requests: &[usize],
        cells: Option<&[u32]>,
    ) -> Result<Option<(Assignment, u64)>, Exhausted> {
        let Some(options) = self.options(requests, cells)? else { return Ok(None) };
        let problem = self.problem(requests, &options, cells);
        let chooser = Chooser { solver: self, problem: &problem };
        let search = Search::new(&problem, &self.budget);
        let (picks, companions) = chooser.choose(search)?;
        let near = picks
            .iter()
            .enumerate()
            .flat_map(|(request, picks)| picks.iter().map(move |pick| (request, pick)))
            .filter(|(request, (bin, _))| {
                problem.prepared[*request].nearness(problem.pool(*bin)) == Nearness::Local
            })
            .map(|(_, (_, count))| u64::from(*count))
            .sum();
        Ok(Some((self.assignment(&options, picks, companions), near)))
    }

    /// Puts picks of bins as picks of pools, with the devices named where they are known.
    fn assignment(
        &self,
        options: &[usize],
        picks: Vec<Vec<(usize, u32)>>,
        companions: Vec<Vec<(usize, u32)>>,
    ) -> Assignment {
        let mut taken = vec![0; self.bins.list.len()];
        let mut name = |picks: Vec<(usize, u32)>| {
            let (mut pooled, mut devices): (Vec<Pick>, Vec<_>) = (Vec::new(), Vec::new());
            for (b, count) in picks {
                let bin = &self.bins.list[b];
                devices.extend(bin.devices.iter().skip(taken[b]).take(count as usize).copied());
                taken[b] += count as usize;
                match pooled.last_mut().filter(|last| last.pool == bin.pool) {
                    Some(last) => last.count += count,
                    None => pooled.push(Pick { pool: bin.pool, count }),
                }
            }
            (pooled, devices)
        };
        let mut requests: Vec<RequestAssignment> = Vec::with_capacity(picks.len());
        for (r, picks) in picks.into_iter().enumerate() {
            let (picks, devices) = name(picks);
            requests.push(RequestAssignment {
                request_id: self.items[r].1.request_id.clone(),
                picks,
                devices,
                option: options[r],
                companions: Vec::new(),
                companion_picks: Vec::new(),
            });
        }
        for (request, along) in requests.iter_mut().zip(companions) {
            (request.companion_picks, request.companions) = name(along);
        }
        Assignment { requests, numa_cells: None }
    }

    /// Whether these requests can be served together, on any of the cells that the guest may get.
    fn servable(&self, requests: &[usize]) -> Result<bool, Exhausted> {
        let Some(choice) = self.cells_from else { return Ok(self.options(requests, None)?.is_some()) };
        for cells in combinations(&choice.from, choice.count) {
            if self.options(requests, Some(&cells))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Explains why these requests cannot be served together, with a minimal set that cannot.
    ///
    /// Where the guest's cells are to be chosen, the report shows the first choice.
    fn refute(&self, all: &[usize]) -> Result<NoFit, Exhausted> {
        let mut conflict = all.to_vec();
        // One round is enough, except with device groups, where less can be harder to serve than more.
        loop {
            let before = conflict.len();
            for request in all.iter().filter(|request| conflict.contains(request)).collect::<Vec<_>>() {
                let without: Vec<usize> = conflict.iter().copied().filter(|r| r != request).collect();
                if !self.servable(&without)? {
                    conflict = without;
                }
            }
            if conflict.len() == before || self.bins.groups.is_empty() {
                break;
            }
        }
        let cells = self.cells_from.map(|choice| &choice.from[..choice.count]);
        let prepared: Vec<Prepared> = all.iter().map(|&request| self.prepared(request, 0, cells)).collect();
        let list = &self.pools.list;
        let usable = list
            .iter()
            .filter(|pool| conflict.iter().any(|&r| prepared[r].allows(pool)))
            .map(|pool| u64::from(pool.count))
            .sum();
        let counts: Vec<u32> = list.iter().map(|pool| pool.count).collect();
        let reports =
            prepared.iter().enumerate().map(|(i, p)| p.report(i, list, &counts, EXACT_STEPS)).collect();
        Ok(report::no_fit(&prepared, &self.constraints, conflict, usable, reports))
    }
}

/// All ways to choose `count` of these, in the order in which they are given.
fn combinations(from: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    let mut chosen: Vec<usize> = (0..count).collect();
    loop {
        found.push(chosen.iter().map(|&i| from[i]).collect());
        let Some(last) = (0..count).rev().find(|&i| chosen[i] < from.len() - count + i) else { return found };
        chosen[last] += 1;
        for i in last + 1..count {
            chosen[i] = chosen[i - 1] + 1;
        }
    }
}

/// Picks of one request: bins and counts, in the order in which they are taken.
type Picks = Vec<(usize, u32)>;

/// A preferred key, and how good each of its values is: whether it has too few devices, and how many it has or lacks.
type Islands = (usize, BTreeMap<Value, (bool, u64)>);

/// Chooses among the assignments that are possible.
struct Chooser<'p> {
    solver: &'p Solver<'p>,
    problem: &'p Problem<'p>,
}

impl Chooser<'_> {
    /// The picks of each request, and the group members that come along with them.
    fn choose(&self, mut search: Search<'_>) -> Result<(Vec<Picks>, Vec<Picks>), Exhausted> {
        let requests = self.problem.prepared.len();
        let mut picks: Vec<Picks> = vec![Vec::new(); requests];
        for request in 0..requests {
            let stable = self.stable_order(request, &search);
            let islands = self.islands(request, &search);
            // Once an atom has given a demand all that it can, its other bins cannot give it more: what is left only
            // shrinks.
            let mut drained: BTreeSet<(usize, usize)> = BTreeSet::new();
            loop {
                // A bin serves one demand of a request at most: they differ in their provider.
                let best = stable
                    .iter()
                    .enumerate()
                    .filter_map(|(at, &bin)| {
                        let atom = search.atom(bin)?;
                        let open = |d: &usize| search.limit(*d, bin) > 0 && !drained.contains(&(*d, atom));
                        Some((at, bin, self.problem.demands_of(request).find(open)?, atom))
                    })
                    .min_by_key(|&(at, bin, ..)| (self.rank(request, bin, &islands, &picks, &search), at));
                let Some((_, bin, demand, atom)) = best else { break };
                let limit = match self.solver.prefer {
                    Preference::Spread => 1,
                    _ => search.limit(demand, bin),
                };
                let count = search.most(demand, bin, limit)?;
                if count < limit {
                    drained.insert((demand, atom));
                }
                if count > 0 {
                    search.take(demand, bin, count);
                    picks[request].push((bin, count));
                }
            }
            let served = |d: usize| search.state.needs[d] == 0;
            debug_assert!(
                self.problem.demands_of(request).all(served),
                "a solvable rest is served to the end"
            );
        }
        let companions = self.companions(&picks, &search);
        Ok((picks, companions))
    }

    /// The bins that may serve a request, in Nova's order.
    fn stable_order(&self, request: usize, search: &Search<'_>) -> Vec<usize> {
        let bins = &self.problem.bins.list;
        let prepared = &self.problem.prepared[request];
        let useful: Vec<usize> = (0..bins.len())
            .filter(|&b| self.problem.demands_of(request).any(|d| self.problem.serves[b].contains(&d)))
            .collect();
        prepared.order_by(&useful, |b| self.problem.pool(b), |b| search.state.bins[b])
    }

    /// For each preferred key how good each value is: those with enough devices come first, the tightest of them best;
    /// then those with too few, the largest best.
    fn islands(&self, request: usize, search: &Search<'_>) -> Vec<Islands> {
        let count = u64::from(self.problem.prepared[request].count);
        let source = self.problem.prepared[request].request;
        let keys = source.prefer_same.iter().filter_map(|key| self.solver.key(key));
        keys.map(|key| {
            let mut free: BTreeMap<Value, u64> = BTreeMap::new();
            for (b, bin) in self.problem.bins.list.iter().enumerate() {
                let useful = self.problem.demands_of(request).any(|d| search.limit(d, b) > 0);
                if let (Some(value), true) = (bin.values[key], useful) {
                    *free.entry(value).or_default() += u64::from(search.state.bins[b]);
                }
            }
            let rank = |free: u64| if free >= count { (false, free) } else { (true, u64::MAX - free) };
            (key, free.into_iter().map(|(value, free)| (value, rank(free))).collect())
        })
        .collect()
    }

    /// How good a bin is for the next device of a request; less is better.
    fn rank(
        &self,
        request: usize,
        bin: usize,
        islands: &[Islands],
        picks: &[Picks],
        search: &Search<'_>,
    ) -> Rank {
        let bins = &self.problem.bins;
        let island = islands
            .iter()
            .map(|(key, ranks)| {
                let value = bins.list[bin].values[*key];
                value
                    .and_then(|value| Some((*ranks.get(&value)?, value)))
                    .unwrap_or(((true, u64::MAX), Value::MAX))
            })
            .collect();
        let near = match self.problem.prepared[request].nearness(self.problem.pool(bin)) {
            Nearness::Local => 0,
            Nearness::Unknown | Nearness::Socket => 1,
            Nearness::Remote => 2,
        };
        let attributes = self.problem.pool(bin).rank();
        match self.solver.prefer {
            // Nova's order has nearness in it already.
            Preference::Stable => Rank { island, ..Rank::default() },
            Preference::Pack => {
                let card = bins.cards.of_pool[bin];
                let is_whole = card.is_some_and(|card| {
                    let family = &bins.cards.list[card];
                    family.virtuals.contains(&bin)
                        && family.physical.iter().any(|&pf| search.state.bins[pf] > 0)
                });
                let left = self.left_on_card(bin, search);
                Rank { near, island, attributes, aim: (u64::from(is_whole), left) }
            }
            Preference::Spread => {
                let key = self.solver.key(&self.solver.spread_key);
                let value = key.and_then(|key| bins.list[bin].values[key]);
                let on = |other: &usize| key.is_some_and(|key| bins.list[*other].values[key] == value);
                let used =
                    picks.iter().flatten().filter(|(b, _)| on(b)).map(|(_, count)| u64::from(*count)).sum();
                let left: u64 =
                    (0..bins.list.len()).filter(on).map(|b| u64::from(search.state.bins[b])).sum();
                Rank { near, island, attributes, aim: (used, u64::MAX - left) }
            }
        }
    }

    /// How many devices are left on the card of a bin.
    fn left_on_card(&self, bin: usize, search: &Search<'_>) -> u64 {
        let card = self.problem.pool(bin).attributes.text("address");
        (0..self.problem.bins.list.len())
            .filter(|&b| {
                b == bin || (card.is_some() && self.problem.pool(b).attributes.text("address") == card)
            })
            .map(|b| u64::from(search.state.bins[b]))
            .sum()
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

/// The order in which bins are used: by the fields from top to bottom.
#[derive(Default, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    near: u8,
    island: Vec<((bool, u64), Value)>,
    attributes: usize,
    aim: (u64, u64),
}
