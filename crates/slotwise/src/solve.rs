//! Strategy `exact`: all requests of a workload together, or a proof that no assignment exists.
//!
//! First the requests are served one after the other in Nova's order, which settles nearly every plain case. If that
//! fails, or if there is more to heed, the whole is a transport problem: requests need devices, bins of equal devices
//! have them, and a maximum flow says whether it can be done. What a flow cannot express (a card gives its PF or its
//! VFs, devices that must agree, device groups) is decided by a search that the flow and some counts bound; what is
//! interchangeable is tried once, and a failure is taken back to the decision that it is owed to.
//!
//! The assignment chosen is the first in a documented order: each request in turn takes as many devices as it can from
//! the best bin, as long as the rest can still be served. Where Nova's own choice is feasible, that is Nova's choice.
//! What may fail is only ever decided on a proof, so *no fit* means that no assignment exists.

mod agree;
pub(crate) mod bins;
mod bits;
mod bounds;
mod branch;
mod budget;
mod cells;
mod choose;
mod flow;
mod greedy;
mod homes;
mod layout;
mod linear;
mod options;
mod problem;
mod refute;
mod search;
mod simplex;
mod verify;

use std::collections::BTreeMap;

pub(crate) use self::verify::verify;

use self::bins::{Attributes, Bins, DEVICE_GROUP, Tiers};
use self::bits::Bits;
pub(crate) use self::budget::Budget;
use self::budget::Exhausted;
use self::choose::Chooser;
use self::greedy::{Greedy, greedy};
use self::options::{Failures, Served};
use self::problem::{Ask, Problem, Table};
use self::search::Search;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::{Assignment, Fit, NoFit, Pick, RequestAssignment, Undecided};
use crate::pool::Pools;
use crate::request::{CellChoice, Constraint, Preference, Relation, Request, Workload};

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
    budget: &Budget,
) -> Result<Decision> {
    let grouped = has_groups(pools);
    let ordered =
        !workload.prefer_devices.is_empty() && pools.list.iter().any(|pool| !pool.devices.is_empty());
    if workload.is_plain() && !grouped && !ordered {
        match greedy(pools, workload, budget) {
            Ok(Greedy::Fits(assignment)) => return Ok(Decision::Fits(assignment)),
            Ok(Greedy::Lacks(request)) => {
                return Ok(Decision::NoFit(refute::lacking(pools, workload, request, budget)));
            }
            Ok(Greedy::Stuck) => {}
            Err(Exhausted) => return Ok(Decision::Undecided(undecided(budget))),
        }
    }
    Solver::new(pools, &[workload], attributes, budget).map(Solver::decide)
}

/// Whether any device is in a group, which is handed out as a whole.
pub(crate) fn has_groups(pools: &Pools) -> bool {
    pools.list.iter().any(|pool| pool.attributes.text(DEVICE_GROUP).is_some())
}

/// Whether there is an assignment, without the choice or the reason; `None` if the search budget ran out.
pub(crate) fn servable(pools: &Pools, workload: &Workload) -> Option<bool> {
    let grouped = has_groups(pools);
    let budget = Budget::of(&[workload]);
    if workload.is_plain() && !grouped {
        match greedy(pools, workload, &budget).ok()? {
            Greedy::Fits(_) => return Some(true),
            Greedy::Lacks(_) => return Some(false),
            Greedy::Stuck => {}
        }
    }
    let solver = Solver::new(pools, &[workload], None, &budget).ok()?;
    let all: Vec<usize> = (0..solver.items.len()).collect();
    solver.servable(&all).ok()
}

/// Finds an assignment for several workloads together, whose requests follow one another in it.
///
/// The first workload says what is preferred.
///
/// # Errors
///
/// As [`exact`].
pub(crate) fn joint(
    pools: &Pools,
    workloads: &[&Workload],
    attributes: Option<&dyn Attributes>,
    budget: &Budget,
) -> Result<Fit> {
    Ok(match Solver::new(pools, workloads, attributes, budget)?.decide() {
        Decision::Fits(assignment) => Fit::Fits(assignment),
        Decision::NoFit(no) => Fit::NoFit(no),
        Decision::Undecided(undecided) => Fit::Undecided(undecided),
    })
}

fn undecided(budget: &Budget) -> Undecided {
    let budget = budget.given();
    let message = format!(
        "undecided: the search budget of {budget} steps ran out before an assignment was found or ruled out; raise the \
         budget"
    );
    Undecided { message, budget }
}

struct Solver<'a> {
    pools: &'a Pools,
    /// The requests of all workloads, each with its own.
    items: Vec<(&'a Workload, &'a Request)>,
    /// For each of them the number of its workload.
    owners: Vec<usize>,
    /// Which of the guest's cells are to be chosen; of a single workload only.
    cells_from: Option<&'a CellChoice>,
    prefer: Preference,
    spread_key: String,
    constraints: Vec<Constraint>,
    /// The same with those of difference joined, which is what is solved; reasons name those that were given.
    implied: Vec<Constraint>,
    keys: Vec<String>,
    bins: Bins,
    budget: &'a Budget,
}

impl<'a> Solver<'a> {
    fn new(
        pools: &'a Pools,
        workloads: &[&'a Workload],
        attributes: Option<&dyn Attributes>,
        budget: &'a Budget,
    ) -> Result<Self> {
        let mut items = Vec::new();
        let mut owners = Vec::new();
        let mut constraints = Vec::new();
        let mut implied = Vec::new();
        for (owner, workload) in workloads.iter().enumerate() {
            let first = items.len();
            owners.resize(first + workload.requests.len(), owner);
            items.extend(workload.requests.iter().map(|request| (*workload, request)));
            let moved = |constraint: Constraint| Constraint {
                requests: constraint.requests.iter().map(|request| request + first).collect(),
                ..constraint
            };
            let own = workload.all_constraints();
            implied.extend(joined(&own, workload.requests.len()).into_iter().map(moved));
            constraints.extend(own.into_iter().map(moved));
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
            // Nobody who asks for isolation or spreading names the card's address, and a host may have no cards.
            let known = |key: &String| {
                key == "address"
                    || pools.list.iter().any(|pool| pool.value(key).is_some())
                    || attributes.knows(key)
            };
            if let Some(unknown) = keys.iter().find(|key| !known(key)) {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    format!("no device of this host has an attribute {:?}", crate::address::clip(unknown)),
                )
                .with_help("name a field, a tag or an extra info that a device has")
                .inside(named_at(workloads, unknown)));
            }
        }
        let tiers: Vec<Tiers> = workloads.iter().map(|workload| bins::tiers(workload)).collect();
        let bins = Bins::new(pools, &keys, attributes, &tiers);
        let cells_from = leader.and_then(|workload| workload.numa_cells_from.as_ref());
        Ok(Solver {
            pools,
            items,
            owners,
            cells_from,
            prefer,
            spread_key,
            constraints,
            implied,
            keys,
            bins,
            budget,
        })
    }

    fn key(&self, name: &str) -> Option<usize> {
        self.keys.iter().position(|key| key == name)
    }

    fn decide(self) -> Decision {
        self.solve().unwrap_or_else(|Exhausted| Decision::Undecided(undecided(self.budget)))
    }

    fn solve(&self) -> Result<Decision, Exhausted> {
        let all: Vec<usize> = (0..self.items.len()).collect();
        if let Some(choice) = self.cells_from {
            return Ok(match self.best_cells(&all, choice)? {
                Some(assignment) => Decision::Fits(assignment),
                None => Decision::NoFit(self.refute(&all, &all, None)),
            });
        }
        let table = self.table(None)?;
        let mut failures = Failures::new(&table);
        let (found, core) = self.assign(&mut failures, &all)?;
        Ok(match found {
            Some(assignment) => Decision::Fits(assignment),
            None => Decision::NoFit(self.refute(&all, &core, Some(failures))),
        })
    }

    fn table<'s>(&'s self, cells: Option<&'s [u32]>) -> Result<Table<'s>, Exhausted> {
        Table::new(self.pools, &self.bins, &self.items, cells, self.budget)
    }

    fn problem<'s>(&'s self, table: &Table<'_>, asks: &[Ask]) -> Result<Problem<'s>, Exhausted> {
        Problem::new(self.pools, &self.bins, &self.keys, &self.implied, table, asks, self.budget)
    }

    /// The assignment of these requests, with each guest on its own cells; or some of them that are in conflict.
    fn assign(
        &self,
        failures: &mut Failures<'_, '_>,
        requests: &[usize],
    ) -> Result<(Option<Assignment>, Vec<usize>), Exhausted> {
        let table = failures.table();
        let contested = self.contested(table, requests);
        if contested.is_empty() {
            return self.assign_from(failures, requests);
        }
        let found = self.with_homes(table, &contested, requests, |table| {
            self.assign_from(&mut Failures::new(table), requests).map(|(found, _)| found)
        });
        Ok((found?, requests.to_vec()))
    }

    /// The same where each device group may go to one workload at most.
    fn assign_from(
        &self,
        failures: &mut Failures<'_, '_>,
        requests: &[usize],
    ) -> Result<(Option<Assignment>, Vec<usize>), Exhausted> {
        let Served { asks, witness, is_cut_short } = match self.options(failures, requests)? {
            Ok(served) => served,
            Err(core) => return Ok((None, core)),
        };
        let table = failures.table();
        let mut assignment = match witness {
            Some(witness) => {
                let problem = self.budget.again(|| self.problem(table, &asks))?;
                let mut search = self.budget.again(|| Search::new(&problem, self.budget))?;
                search.resume(witness);
                self.choose(table, &problem, search)
            }
            None => {
                let problem = self.problem(table, &asks)?;
                let mut search = Search::new(&problem, self.budget)?;
                if let Err(core) = search.solve()? {
                    return Ok((None, problem.requests(&core)));
                }
                self.choose(table, &problem, search)
            }
        };
        assignment.cut_short |= is_cut_short;
        Ok((Some(assignment), Vec::new()))
    }

    /// The first assignment in the documented order, where `search` has found that there is one.
    fn choose(&self, table: &Table<'_>, problem: &Problem<'_>, mut search: Search<'_>) -> Assignment {
        let (picks, companions) = Chooser { solver: self, problem, table }.choose(&mut search);
        let options: Vec<usize> = problem.asks.iter().map(|ask| ask.option.unwrap_or(0)).collect();
        let assignment = self.assignment(&options, picks, companions);
        Assignment { cut_short: search.is_cut_short, ..assignment }
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
        Assignment { requests, ..Assignment::default() }
    }
}

/// The same with those of difference joined: of requests of which each two must differ in an attribute, all must.
///
/// Constraints of two requests each say little about a third; together they can be refuted by counting.
fn joined(constraints: &[Constraint], requests: usize) -> Vec<Constraint> {
    // For each key and each request those that must differ from it.
    let mut partners: BTreeMap<&str, Vec<Bits>> = BTreeMap::new();
    let differ = |one: &&Constraint| one.relation == Relation::Distinct;
    for constraint in constraints.iter().filter(|one| differ(one) && one.requests.len() > 1) {
        let of_key = partners.entry(&constraint.key).or_insert_with(|| vec![Bits::none(requests); requests]);
        for &one in &constraint.requests {
            constraint.requests.iter().for_each(|&other| of_key[one].insert(other));
        }
    }
    let mut joined: Vec<Constraint> = Vec::with_capacity(constraints.len());
    let mut sets: Vec<(&str, Bits)> = Vec::new();
    for constraint in constraints {
        let Some(partners) = partners.get(constraint.key.as_str()).filter(|_| differ(&constraint)) else {
            joined.push(constraint.clone());
            continue;
        };
        let mut all = Bits::none(requests);
        constraint.requests.iter().for_each(|&request| all.insert(request));
        for (request, partners) in partners.iter().enumerate() {
            if partners.has_all_of(&all) {
                all.insert(request);
            }
        }
        if !sets.iter().any(|(key, set)| *key == constraint.key && set.has_all_of(&all)) {
            joined.push(Constraint { requests: all.iter().collect(), ..constraint.clone() });
            sets.push((&constraint.key, all));
        }
    }
    joined
}

/// Where the workloads name an attribute, as a place in the input.
fn named_at(workloads: &[&Workload], key: &str) -> String {
    for (w, workload) in workloads.iter().enumerate() {
        let whole = if workloads.len() > 1 { format!("claims[{w}].workload") } else { "workload".to_owned() };
        if let Some(i) = workload.constraints.iter().position(|constraint| constraint.key == key) {
            return format!("{whole}.constraints[{i}]");
        }
        for (r, request) in workload.requests.iter().enumerate() {
            let lists = [
                ("same", &request.same),
                ("distinct", &request.distinct),
                ("prefer_same", &request.prefer_same),
            ];
            for (name, keys) in lists {
                if let Some(i) = keys.iter().position(|own| own == key) {
                    return format!("{whole}.requests[{r}].{name}[{i}]");
                }
            }
        }
        if workload.spread_over.as_deref() == Some(key) {
            return format!("{whole}.spread_over");
        }
    }
    "workload".to_owned()
}
