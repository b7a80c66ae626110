//! A workload on a host, put as classes of demands and the bins that can serve them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::Solver;
use super::bins::Bins;
use super::bits::Bits;
use super::budget::{Budget, Exhausted};
use crate::filter::Prepared;
use crate::pool::{Pool, Pools};
use crate::request::{Constraint, Relation, Request, Workload};

/// The filter chain, asked once for each option of each request and each pool.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// For each request its options, in order of preference.
    pub(super) options: Vec<Vec<Row<'a>>>,
    /// For each bin its kind, where there is a choice of options: bins of one kind can serve the same options. Kinds are
    /// below 64; empty where there are more, which are not told apart.
    kinds: Rc<[usize]>,
}

/// One option of a request.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) prepared: Rc<Prepared<'a>>,
    /// Which pools may serve it but for their NUMA node.
    suited: Rc<[bool]>,
    /// Which bins may serve it.
    bins: Bits,
    /// Their kinds, as bits; none where these are not told apart.
    kinds: u64,
}

impl<'a> Row<'a> {
    fn new(pools: &Pools, bins: &Bins, prepared: Prepared<'a>, suited: Rc<[bool]>) -> Self {
        let places = pools.list.iter().zip(suited.iter());
        let allowed: Vec<bool> = places.map(|(pool, &suited)| suited && prepared.numa_allows(pool)).collect();
        let mut own = Bits::none(bins.list.len());
        let of_pools = bins.list.iter().enumerate().filter(|(_, bin)| allowed[bin.pool]);
        of_pools.for_each(|(bin, _)| own.insert(bin));
        Row { prepared: Rc::new(prepared), suited, bins: own, kinds: 0 }
    }

    /// Whether all that can serve another option of the same request can serve this one, of which it needs no more.
    pub(super) fn is_easier(&self, other: &Row<'_>) -> bool {
        let is_free = |row: &Row<'_>| row.prepared.providers.is_empty();
        is_free(self)
            && is_free(other)
            && self.prepared.count <= other.prepared.count
            && self.bins.has_all_of(&other.bins)
    }

    /// Whether it needs as many devices as another option of the same request, and the same of these bins suit it.
    pub(super) fn is_like_in(&self, other: &Row<'_>, bins: &Bits) -> bool {
        self.prepared.count == other.prepared.count
            && self.bins.has_all_of_those(&other.bins, bins)
            && other.bins.has_all_of_those(&self.bins, bins)
    }

    /// Whether none of these bins suits it.
    pub(super) fn uses_none_of(&self, bins: &Bits) -> bool {
        self.bins.is_disjoint(bins)
    }
}

impl<'a> Table<'a> {
    /// Asks the filter chain, for guests on their own cells or, if given, on `cells`.
    pub(super) fn new(
        pools: &Pools,
        bins: &Bins,
        items: &[(&'a Workload, &'a Request)],
        cells: Option<&'a [u32]>,
        budget: &Budget,
    ) -> Result<Self, Exhausted> {
        let mut options = Vec::with_capacity(items.len());
        for &(workload, request) in items {
            let mut rows = Vec::with_capacity(1);
            for option in 0..request.options().count() {
                let cells = cells.unwrap_or(workload.cells());
                let prepared = Prepared::new(pools, workload, request, option, cells);
                budget.work(pools.list.len() as u64 * prepared.looks())?;
                let suited = pools.list.iter().map(|pool| prepared.suits(pool)).collect();
                rows.push(Row::new(pools, bins, prepared, suited));
            }
            options.push(rows);
        }
        Table::of(options, bins, budget)
    }

    fn of(options: Vec<Vec<Row<'a>>>, bins: &Bins, budget: &Budget) -> Result<Self, Exhausted> {
        let mut table = Table { options, kinds: Rc::default() };
        if table.options.iter().all(|rows| rows.len() == 1) {
            return Ok(table);
        }
        budget.work((table.options.iter().map(Vec::len).sum::<usize>() * bins.list.len()) as u64)?;
        let mut kinds: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
        let kind_of = |bin: usize| {
            let next = kinds.len();
            *kinds.entry(table.served_by(bin)).or_insert(next)
        };
        let of_bins: Vec<usize> = (0..bins.list.len()).map(kind_of).collect();
        if kinds.len() <= 64 {
            for row in table.options.iter_mut().flatten() {
                row.kinds = row.bins.iter().fold(0, |kinds, bin| kinds | 1 << of_bins[bin]);
            }
            table.kinds = of_bins.into();
        }
        Ok(table)
    }

    /// The same for guests on other cells.
    pub(super) fn on<'s>(&self, solver: &'s Solver<'_>, cells: &'s [u32]) -> Result<Table<'s>, Exhausted> {
        let pools = solver.pools;
        let mut options = Vec::with_capacity(self.options.len());
        for (own, &(workload, request)) in self.options.iter().zip(&solver.items) {
            solver.budget.work((own.len() * pools.list.len()) as u64)?;
            let row = |(option, row): (usize, &Row<'_>)| {
                let prepared = Prepared::new(pools, workload, request, option, cells);
                Row::new(pools, &solver.bins, prepared, Rc::clone(&row.suited))
            };
            options.push(own.iter().enumerate().map(row).collect());
        }
        Table::of(options, &solver.bins, solver.budget)
    }

    /// The same where requests may use only the bins that are theirs.
    pub(super) fn only(
        &self,
        bins: &Bins,
        is_theirs: impl Fn(usize, usize) -> bool,
        budget: &Budget,
    ) -> Result<Self, Exhausted> {
        let rows = self.options.iter().map(Vec::len).sum::<usize>();
        budget.work((rows * bins.list.len()) as u64)?;
        let row = |request: usize, row: &Row<'a>| {
            let mut own = row.bins.clone();
            own.retain(|bin| is_theirs(request, bin));
            Row { prepared: Rc::clone(&row.prepared), suited: Rc::clone(&row.suited), bins: own, kinds: 0 }
        };
        let options = self.options.iter().enumerate();
        let options = options.map(|(request, rows)| rows.iter().map(|own| row(request, own)).collect());
        Table::of(options.collect(), bins, budget)
    }

    /// For each option of each request whether a bin can serve it.
    pub(super) fn served_by(&self, bin: usize) -> Vec<bool> {
        self.options.iter().flatten().map(|row| row.bins.contains(bin)).collect()
    }

    /// What requests ask before anything is decided: the option of those that have but one.
    pub(super) fn asks(&self, requests: &[usize]) -> Vec<Ask> {
        let only = |request: usize| (self.options[request].len() == 1).then_some(0);
        requests.iter().map(|&request| Ask { request, option: only(request) }).collect()
    }

    /// Whether some option of a request can use a bin.
    pub(super) fn allows(&self, request: usize, bin: usize) -> bool {
        self.options[request].iter().any(|row| row.bins.contains(bin))
    }

    /// The first request that cannot be served even alone, because for each of its options there are too few devices.
    pub(super) fn first_without_devices(&self, bins: &Bins) -> Option<usize> {
        let too_few = |row: &Row<'_>| {
            let free = row.bins.iter().map(|bin| u64::from(bins.list[bin].count)).sum::<u64>();
            free < u64::from(row.prepared.count)
        };
        self.options.iter().position(|rows| rows.iter().all(too_few))
    }
}

/// A request as it takes part in a problem: with one of its options, or, as a bound, with the best of all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ask {
    pub(super) request: usize,
    pub(super) option: Option<usize>,
}

/// Devices that one request needs from one set of pools; a request bound by Placement has one per provider.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Index into the requests of the problem.
    pub(super) request: usize,
    pub(super) count: u32,
    /// Demands of one class can use the same bins and are under the same constraints.
    pub(super) class: usize,
}

/// A constraint, in terms of classes and of the keys of bins.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) relation: Relation,
    /// Index into the keys of the bins.
    pub(super) key: usize,
    /// The classes whose devices are under it.
    pub(super) covers: Bits,
}

#[derive(Clone, Debug)]
pub(super) struct Problem<'a> {
    pub(super) pools: &'a [Pool],
    pub(super) bins: &'a Bins,
    /// What takes part.
    pub(super) asks: Vec<Ask>,
    pub(super) demands: Vec<Demand>,
    pub(super) classes: usize,
    pub(super) scopes: Vec<Scope>,
    /// For each bin the classes that it can serve.
    pub(super) serves: Vec<Vec<usize>>,
    /// Whether device groups are heeded.
    pub(super) grouped: bool,
    /// Whether it is only a bound, because options are open.
    pub(super) is_bound: bool,
    /// The bins that somebody asks for, whichever options the requests get: if the group of one is taken, it must be used.
    pub(super) wanted: Bits,
    /// How many devices each class may need at most, where options are open.
    pub(super) most: Vec<u64>,
    /// For each class what it may come to, where options of its request are open: how many devices, and the kinds of bins
    /// that can serve them, as bits. One way if there is no choice; no kinds if these are not told apart.
    pub(super) ways: Vec<Vec<Way>>,
    /// For each bin its kind.
    pub(super) kinds: Rc<[usize]>,
    /// Which devices are far from the guest's cells, if only so many of these may be used.
    pub(super) far: Option<Far>,
}

/// One option of a class: how many devices, and of which kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) needed: u64,
    pub(super) kinds: u64,
}

/// What is far from the guest's cells.
#[derive(Clone, Debug)]
pub(super) struct Far {
    /// For each bin whether it is.
    pub(super) bins: Vec<bool>,
    /// How many devices of these may be used.
    pub(super) limit: u64,
}

impl<'a> Problem<'a> {
    pub(super) fn new(
        pools: &'a Pools,
        bins: &'a Bins,
        keys: &[String],
        constraints: &[Constraint],
        table: &Table<'_>,
        asks: &[Ask],
        budget: &Budget,
    ) -> Result<Self, Exhausted> {
        let under: u64 = constraints.iter().map(|constraint| constraint.requests.len() as u64).sum();
        budget.work(bins.list.len() as u64 * asks.len() as u64 + under)?;
        let mut members: BTreeMap<Key, usize> = BTreeMap::new();
        let mut demands: Vec<Demand> = Vec::new();
        let mut ways: Vec<Vec<Way>> = Vec::new();
        let mut most: Vec<u64> = Vec::new();
        let mut wanted_bins = Bits::none(bins.list.len());
        let mut scopes: Vec<Scope> = Vec::with_capacity(constraints.len());
        // For each request the constraints that it is under, each of them once.
        let mut covering_of: Vec<Vec<usize>> = vec![Vec::new(); table.options.len()];
        for constraint in constraints {
            let Some(key) = keys.iter().position(|key| *key == constraint.key) else { continue };
            for &request in &constraint.requests {
                if covering_of[request].last() != Some(&scopes.len()) {
                    covering_of[request].push(scopes.len());
                }
            }
            scopes.push(Scope { relation: constraint.relation, key, covers: Bits::none(0) });
        }
        join_agreements(&scopes, asks, &mut covering_of);
        for (index, ask) in asks.iter().enumerate() {
            let covering = &covering_of[ask.request];
            let rows: Vec<&Row<'_>> = match ask.option {
                Some(option) => vec![&table.options[ask.request][option]],
                None => table.options[ask.request].iter().collect(),
            };
            for (provider, count) in wanted(&rows) {
                let mut usable = Bits::none(bins.list.len());
                rows.iter().for_each(|row| usable.add(&row.bins));
                covering.iter().for_each(|&scope| usable.keep(&bins.valued[scopes[scope].key]));
                if provider.is_some() {
                    usable.retain(|bin| provider == pools.list[bins.list[bin].pool].provider.as_deref());
                }
                let mut surely = usable.clone();
                rows.iter().for_each(|row| surely.keep(&row.bins));
                wanted_bins.add(&surely);
                let at_most = match provider {
                    None => rows.iter().map(|row| row.prepared.count).max().unwrap_or(count),
                    Some(_) => count,
                };
                let next = members.len();
                let class = match members.entry((usable, covering.clone())) {
                    Entry::Occupied(class) => {
                        // Several demands together have no choice that is told apart.
                        let class = *class.get();
                        let total = ways[class].iter().map(|way: &Way| way.needed).min().unwrap_or(0);
                        let kinds = ways[class].iter().fold(0, |kinds, way| kinds | way.kinds);
                        ways[class] = vec![Way { needed: total + u64::from(count), kinds }];
                        most[class] += u64::from(at_most);
                        class
                    }
                    Entry::Vacant(class) => {
                        let way =
                            |row: &&Row<'_>| Way { needed: u64::from(row.prepared.count), kinds: row.kinds };
                        most.push(u64::from(at_most));
                        ways.push(match provider {
                            None if !table.kinds.is_empty() => rows.iter().map(way).collect(),
                            _ => {
                                let kinds = class.key().0.iter().filter_map(|bin| table.kinds.get(bin));
                                let kinds = kinds.fold(0, |kinds, kind| kinds | 1 << kind);
                                vec![Way { needed: u64::from(count), kinds }]
                            }
                        });
                        *class.insert(next)
                    }
                };
                demands.push(Demand { request: index, count, class });
            }
        }
        let classes = members.len();
        let mut serves = vec![Vec::new(); bins.list.len()];
        for scope in &mut scopes {
            scope.covers = Bits::none(classes);
        }
        let mut in_order: Vec<(Key, usize)> = members.into_iter().collect();
        in_order.sort_by_key(|(_, class)| *class);
        for ((usable, covering), class) in in_order {
            usable.iter().for_each(|bin| serves[bin].push(class));
            covering.into_iter().for_each(|scope| scopes[scope].covers.insert(class));
        }
        let grouped = !bins.groups.is_empty();
        Ok(Problem {
            pools: &pools.list,
            bins,
            asks: asks.to_vec(),
            demands,
            classes,
            scopes,
            serves,
            grouped,
            is_bound: asks.iter().any(|ask| ask.option.is_none()),
            wanted: wanted_bins,
            most,
            ways,
            kinds: Rc::clone(&table.kinds),
            far: None,
        })
    }

    /// The same without regard to groups.
    pub(super) fn without_groups(self) -> Self {
        Problem { grouped: false, ..self }
    }

    /// The same with at most so many devices that are not on these cells.
    pub(super) fn with_far(mut self, cells: &[u32], limit: u64) -> Self {
        let is_far = |bin: usize| !self.pool(bin).numa_node.is_some_and(|node| cells.contains(&node));
        let bins = (0..self.bins.list.len()).map(is_far).collect();
        self.far = Some(Far { bins, limit });
        self
    }

    /// The demands of one request, by its index in the problem.
    pub(super) fn demands_of(&self, request: usize) -> impl Iterator<Item = usize> {
        (0..self.demands.len()).filter(move |&d| self.demands[d].request == request)
    }

    pub(super) fn pool(&self, bin: usize) -> &'a Pool {
        &self.pools[self.bins.list[bin].pool]
    }

    /// The static group of a bin, if groups are heeded.
    pub(super) fn group(&self, bin: usize) -> Option<usize> {
        self.bins.list[bin].group.filter(|_| self.grouped)
    }

    /// The requests of the workload that have a demand of one of these classes.
    pub(super) fn requests(&self, classes: &Bits) -> Vec<usize> {
        let mut requests: Vec<usize> = self
            .demands
            .iter()
            .filter(|demand| classes.contains(demand.class))
            .map(|demand| self.asks[demand.request].request)
            .collect();
        requests.sort_unstable();
        requests.dedup();
        requests
    }
}

/// Puts requests under the first of all constraints by which they must agree in an attribute: those that share a request
/// come to one.
fn join_agreements(scopes: &[Scope], asks: &[Ask], covering_of: &mut [Vec<usize>]) {
    let mut first: Vec<usize> = (0..scopes.len()).collect();
    let find = |first: &[usize], mut scope: usize| {
        while first[scope] != scope {
            scope = first[scope];
        }
        scope
    };
    let mut is_joined = false;
    for ask in asks {
        let mut of_key: BTreeMap<usize, usize> = BTreeMap::new();
        let agreements = covering_of[ask.request].iter().filter(|&&s| scopes[s].relation == Relation::Same);
        for &scope in agreements {
            let other = *of_key.entry(scopes[scope].key).or_insert(scope);
            let (a, b) = (find(&first, scope), find(&first, other));
            is_joined |= a != b;
            first[a.max(b)] = a.min(b);
        }
    }
    if !is_joined {
        return;
    }
    for ask in asks {
        let covering = &mut covering_of[ask.request];
        covering.iter_mut().for_each(|scope| *scope = find(&first, *scope));
        covering.sort_unstable();
        covering.dedup();
    }
}

/// What makes demands alike: the bins that they can use, and the constraints that they are under.
type Key = (Bits, Vec<usize>);

/// How many devices a request wants, from which provider, in the order in which its providers were given.
fn wanted<'a>(rows: &[&Row<'a>]) -> Vec<(Option<&'a str>, u32)> {
    // Placement names as many providers as each option counts devices.
    let providers = rows.first().map_or(&[][..], |row| &row.prepared.providers);
    if providers.is_empty() {
        return vec![(None, rows.iter().map(|row| row.prepared.count).min().unwrap_or(0))];
    }
    let mut wanted: Vec<(Option<&str>, u32)> = Vec::new();
    for &provider in providers {
        match wanted.iter_mut().find(|(other, _)| *other == Some(provider)) {
            Some((_, count)) => *count += 1,
            None => wanted.push((Some(provider), 1)),
        }
    }
    wanted
}
