//! Which options of the requests: what is tried around the search.

use std::collections::BTreeMap;

use super::Solver;
use super::bits::Bits;
use super::budget::{Budget, Exhausted};
use super::cells::Found;
use super::problem::{Ask, Problem, Row, Table};
use super::search::Search;

/// Options with which all requests can be served.
pub(super) struct Served {
    pub(super) asks: Vec<Ask>,
    /// A solution with these, as devices per pair; `None` if it was not looked for because there is no choice.
    pub(super) witness: Option<Vec<u64>>,
    /// Whether there may be better options: the budget for these ran out.
    pub(super) is_cut_short: bool,
}

/// The options of a request that are tried in turn.
struct Level {
    /// The place of the request.
    at: usize,
    /// The options that are left to try, the next one last.
    rest: Vec<usize>,
    /// What the options tried so far failed on.
    conflict: Conflict,
}

/// Requests that cannot be served together with some of their options.
#[derive(Clone, Default)]
struct Conflict {
    /// The requests, and for each the options of which that is so, whatever the others have; `None` for all.
    options: BTreeMap<usize, Option<Bits>>,
    /// Other requests with the options that leave it so, if they are there: of those that must use up groups.
    beside: BTreeMap<usize, Bits>,
}

impl Conflict {
    /// Whether it would be the same with any other option of a request, or without it.
    fn is_without(&self, request: usize) -> bool {
        self.options.get(&request).is_none_or(Option::is_none) && !self.beside.contains_key(&request)
    }

    /// What is so if both are: each for some options of one request.
    fn add(&mut self, other: Conflict) {
        for (request, options) in other.options {
            match (self.options.entry(request).or_insert(None), options) {
                (Some(own), Some(options)) => own.keep(&options),
                (own, options) => *own = own.take().or(options),
            }
        }
        for (request, options) in other.beside {
            self.beside.entry(request).and_modify(|own| own.keep(&options)).or_insert(options);
        }
    }

    /// What is so with each option of a request, as was found for one after the other.
    fn for_all_of(mut self, request: usize) -> Self {
        self.options.insert(request, None);
        self.beside.remove(&request);
        self
    }

    fn requests(&self) -> Vec<usize> {
        self.options.keys().copied().collect()
    }
}

/// Requests for which no assignment was found to exist.
struct Core {
    requests: Vec<usize>,
    /// The members of groups that this is owed to, as they must be used up: only these requests can use them.
    members: Bits,
}

/// What failed while options were tried, for these requests or others of the workload, so that it need not be looked at
/// again.
pub(super) struct Failures<'t, 'a> {
    table: &'t Table<'a>,
    list: Vec<Conflict>,
    /// For each request and each of its options, those that are no easier to serve.
    no_easier: Vec<Vec<Bits>>,
    /// How often each request was in a conflict.
    times: Vec<usize>,
    /// How often it was owed to groups.
    by_groups: usize,
    /// How often it paid to look at groups where options are open: at those who are not decided yet, and at one decided
    /// request after the other.
    bound: Trust,
    widening: Trust,
}

/// How often something was asked, and how often that settled anything.
#[derive(Default)]
struct Trust {
    asked: usize,
    helped: usize,
}

impl Trust {
    /// So often it is tried.
    const TRIALS: usize = 32;

    /// It has to help once in so many times.
    const RATE: usize = 6;

    fn is_worthwhile(&self) -> bool {
        self.asked < Self::TRIALS || self.helped * Self::RATE >= self.asked
    }

    fn note(&mut self, helped: bool) {
        self.asked += 1;
        self.helped += usize::from(helped);
    }
}

impl Core {
    /// `classes` cannot be served together. Where that is owed to members of groups that must be used up, the search adds
    /// all classes that can use these.
    fn of(problem: &Problem<'_>, classes: &Bits) -> Self {
        let mut members = Bits::none(problem.bins.list.len());
        if problem.grouped {
            let is_own = |bin: &usize| problem.serves[*bin].iter().all(|&class| classes.contains(class));
            problem.bins.grouped.iter().filter(is_own).for_each(|bin| members.insert(bin));
        }
        Core { requests: problem.requests(classes), members }
    }
}

impl<'t, 'a> Failures<'t, 'a> {
    /// So many are kept.
    const MOST: usize = 4096;

    /// With fewer failures it does not pay to ask, option by option, whether a conflict needs it.
    const FEW: usize = 64;

    /// The same of failures that are owed to groups, each of which takes a whole search.
    const FEW_BY_GROUPS: usize = 4;

    pub(super) fn new(table: &'t Table<'a>) -> Self {
        let times = vec![0; table.options.len()];
        Failures {
            table,
            list: Vec::new(),
            no_easier: Vec::new(),
            times,
            by_groups: 0,
            bound: Trust::default(),
            widening: Trust::default(),
        }
    }

    /// What may serve the options.
    pub(super) fn table(&self) -> &'t Table<'a> {
        self.table
    }

    /// A failure that these asks repeat.
    fn known(&self, asks: &[Ask], budget: &Budget) -> Result<Option<Conflict>, Exhausted> {
        if self.list.is_empty() {
            return Ok(None);
        }
        // Nearly all differ in the first that is compared.
        budget.work(self.list.len() as u64)?;
        let mut own: Vec<Option<Ask>> = vec![None; self.table.options.len()];
        asks.iter().for_each(|ask| own[ask.request] = Some(*ask));
        let repeats = |(request, options): (&usize, &Option<Bits>)| match (own[*request], options) {
            // It may be that the others can be served without it.
            (None, _) => false,
            (Some(_), None) => true,
            (Some(own), Some(options)) => own.option.is_some_and(|own| options.contains(own)),
        };
        let leaves = |(request, options): (&usize, &Bits)| match own[*request] {
            None => true,
            Some(own) => own.option.is_some_and(|own| options.contains(own)),
        };
        let is_known =
            |failed: &&Conflict| failed.options.iter().all(repeats) && failed.beside.iter().all(leaves);
        Ok(self.list.iter().rev().find(is_known).cloned())
    }

    /// Notes a conflict.
    fn note(&mut self, conflict: &Conflict) {
        let in_conflict = conflict.options.iter().filter(|(_, options)| options.is_some());
        in_conflict.for_each(|(&request, _)| self.times[request] += 1);
        if self.list.len() < Self::MOST {
            self.list.push(conflict.clone());
        }
    }

    /// The conflict of some of these asks, the core, with as many of their options as can be seen: those that are no
    /// easier.
    ///
    /// Where groups have a part in it, more devices can be easier, as they use up more. Then it is so with options that need
    /// as many, all of which the one that was looked at can use, and the same members of the groups that must be used up;
    /// and beside options of others that can use none of these members.
    fn conflict(&mut self, asks: &[Ask], core: &Core, budget: &Budget) -> Result<Conflict, Exhausted> {
        let table = self.table;
        let of_all = |rows: &[Row<'_>], is_one: &dyn Fn(&Row<'_>) -> bool| {
            let mut set = Bits::none(rows.len());
            rows.iter().enumerate().filter(|(_, row)| is_one(row)).for_each(|(option, _)| set.insert(option));
            set
        };
        if self.no_easier.is_empty() {
            budget.work(table.options.iter().map(|rows| rows.len() * rows.len()).sum::<usize>() as u64)?;
            let of_rows = |rows: &Vec<Row<'_>>| -> Vec<Bits> {
                let of =
                    |row: &Row<'_>| of_all(rows, &|other| std::ptr::eq(row, other) || row.is_easier(other));
                rows.iter().map(of).collect()
            };
            self.no_easier = table.options.iter().map(of_rows).collect();
        }
        let mut conflict = Conflict::default();
        let in_core = |request: &usize| core.requests.contains(request);
        for ask in asks.iter().filter(|ask| in_core(&ask.request)) {
            let rows = &table.options[ask.request];
            let options = ask.option.map(|option| {
                let (row, mut options) = (&rows[option], self.no_easier[ask.request][option].clone());
                if !core.members.is_empty() {
                    options.keep(&of_all(rows, &|other| row.is_like_in(other, &core.members)));
                }
                options
            });
            let options = options.filter(|options| *options != Bits::all(rows.len()));
            conflict.options.insert(ask.request, options);
        }
        if core.members.is_empty() {
            return Ok(conflict);
        }
        budget.work(table.options.iter().map(Vec::len).sum::<usize>() as u64)?;
        for (request, rows) in table.options.iter().enumerate().filter(|(request, _)| !in_core(request)) {
            let own = asks.iter().find(|ask| ask.request == request);
            if own.is_some_and(|ask| ask.option.is_none()) {
                continue;
            }
            let mut options = of_all(rows, &|row| row.uses_none_of(&core.members));
            // It may be that a constraint keeps it from them.
            own.and_then(|ask| ask.option).into_iter().for_each(|option| options.insert(option));
            if options != Bits::all(rows.len()) {
                conflict.beside.insert(request, options);
            }
        }
        Ok(conflict)
    }

    /// The request that is decided next, and its options in the order in which they are tried, the first one last: as long
    /// as nothing failed those that are asked for first, then the request that was most in conflict, and what is easiest to
    /// serve.
    fn next(&self, asks: &[Ask]) -> Option<Level> {
        let open = asks.iter().enumerate().filter(|(_, ask)| ask.option.is_none());
        let (at, ask) = open.rev().max_by_key(|(_, ask)| self.times[ask.request])?;
        let rows = &self.table.options[ask.request];
        let mut rest: Vec<usize> = (0..rows.len()).rev().collect();
        if self.times.iter().any(|&times| times > 0) {
            rest.sort_by_key(|&option| std::cmp::Reverse(rows[option].prepared.count));
        }
        Some(Level { at, rest, conflict: Conflict::default() })
    }
}

/// After so many failures the options are gone through anew, with what is known by then; the next time after half as many more.
const RESTART: usize = 16;

impl Solver<'_> {
    /// The first options with which these requests can be served together (earlier requests get their better options
    /// first), or some of the requests that are in conflict.
    pub(super) fn options(
        &self,
        failures: &mut Failures<'_, '_>,
        requests: &[usize],
    ) -> Result<Result<Served, Vec<usize>>, Exhausted> {
        let asks = failures.table.asks(requests);
        if asks.iter().all(|ask| ask.option.is_some()) {
            return Ok(Ok(Served { asks, witness: None, is_cut_short: false }));
        }
        let mut best = match self.completed(failures, &asks)? {
            Ok(best) => best,
            Err(conflict) => return Ok(Err(conflict.requests())),
        };
        // Some is kept for the choice of devices.
        let improved = self.budget.within(self.budget.most(), || self.improve(failures, asks, &mut best));
        best.is_cut_short = !matches!(improved, Ok(Some(())));
        Ok(Ok(best))
    }

    /// Looks for better options, of one request after the other.
    fn improve(
        &self,
        failures: &mut Failures<'_, '_>,
        mut asks: Vec<Ask>,
        best: &mut Served,
    ) -> Result<(), Exhausted> {
        for at in 0..asks.len() {
            for better in 0..best.asks[at].option.unwrap_or_default() {
                asks[at].option = Some(better);
                if let Ok(found) = self.completed(failures, &asks)? {
                    *best = found;
                    break;
                }
            }
            asks[at] = best.asks[at];
        }
        Ok(())
    }

    /// Options for the requests that have none yet with which all can be served together, or what is in conflict.
    ///
    /// Each time the requests that are still open are there with the best of all their options. What fails on requests other
    /// than the last one that was decided would fail with its other options too.
    fn completed(
        &self,
        failures: &mut Failures<'_, '_>,
        asks: &[Ask],
    ) -> Result<Result<Served, Conflict>, Exhausted> {
        let given = asks;
        let mut asks = given.to_vec();
        let mut levels: Vec<Level> = Vec::new();
        let (mut failed, mut patience) = (0, RESTART);
        loop {
            if failed >= patience && !levels.is_empty() {
                // What was decided first was decided without what is known now.
                levels.clear();
                asks = given.to_vec();
                (failed, patience) = (0, patience + patience / 2 + 1);
            }
            let found = match failures.known(&asks, self.budget)? {
                Some(known) => Err(known),
                None => {
                    let found = self.servable_as(failures, &asks)?;
                    if let Err(conflict) = &found {
                        failures.note(conflict);
                        failed += 1;
                    }
                    found
                }
            };
            match found {
                Ok(witness) => match failures.next(&asks) {
                    None => return Ok(Ok(Served { asks, witness, is_cut_short: false })),
                    Some(next) => levels.push(next),
                },
                Err(mut conflict) => loop {
                    let Some(level) = levels.last_mut() else { return Ok(Err(conflict)) };
                    let request = asks[level.at].request;
                    asks[level.at].option = None;
                    if !conflict.is_without(request) {
                        level.conflict.add(conflict);
                        if !level.rest.is_empty() {
                            break;
                        }
                        conflict = std::mem::take(&mut level.conflict).for_all_of(request);
                        failures.note(&conflict);
                    }
                    levels.pop();
                },
            }
            if let Some(level) = levels.last_mut() {
                asks[level.at].option = level.rest.pop();
            }
        }
    }

    /// Whether requests can be served with these options, and how, or may be where options are open; if not, what is in
    /// conflict.
    fn servable_as(
        &self,
        failures: &mut Failures<'_, '_>,
        asks: &[Ask],
    ) -> Result<Result<Option<Vec<u64>>, Conflict>, Exhausted> {
        let is_whole = asks.iter().all(|ask| ask.option.is_some());
        // Without groups first: a conflict that does not come from them says more.
        if (!is_whole || !self.bins.groups.is_empty())
            && let Err(core) = self.look_without_groups(failures.table, asks)?
        {
            return self.widened(failures, asks, core, false).map(Err);
        }
        if !is_whole {
            if failures.by_groups >= Failures::FEW_BY_GROUPS && failures.bound.is_worthwhile() {
                let found = self.look_with_groups(failures.table, asks)?;
                failures.bound.note(found.is_err());
                if let Err(core) = found {
                    return self.widened(failures, asks, core, true).map(Err);
                }
            }
            return Ok(Ok(None));
        }
        let problem = self.problem(failures.table, asks)?;
        let mut search = Search::new(&problem, self.budget)?;
        let Err(core) = search.solve()? else { return Ok(Ok(Some(search.into_witness()))) };
        let core = Core::of(&problem, &core);
        if problem.grouped {
            failures.by_groups += 1;
            return self.widened(failures, asks, core, true).map(Err);
        }
        failures.conflict(asks, &core, self.budget).map(Err)
    }

    /// Whether requests may be servable with these options, as far as a short search without regard to groups can say; if not,
    /// which are in conflict.
    pub(super) fn may_be_servable_as(
        &self,
        table: &Table<'_>,
        asks: &[Ask],
    ) -> Result<Result<(), Vec<usize>>, Exhausted> {
        Ok(self.look_without_groups(table, asks)?.map_err(|core| core.requests))
    }

    fn look_without_groups(&self, table: &Table<'_>, asks: &[Ask]) -> Result<Result<(), Core>, Exhausted> {
        self.look(&self.problem(table, asks)?.without_groups())
    }

    fn look_with_groups(&self, table: &Table<'_>, asks: &[Ask]) -> Result<Result<(), Core>, Exhausted> {
        self.look(&self.problem(table, asks)?)
    }

    /// Whether a problem may have a solution, as far as a short search can say.
    fn look(&self, problem: &Problem<'_>) -> Result<Result<(), Core>, Exhausted> {
        let found = Search::new(problem, self.budget)?.may_be_solved()?;
        Ok(found.map_err(|core| Core::of(problem, &core)))
    }

    /// The conflict of these requests for as many options as can be seen: where it is one with an option left open, it is
    /// one for all of them.
    fn widened(
        &self,
        failures: &mut Failures<'_, '_>,
        asks: &[Ask],
        mut core: Core,
        by_groups: bool,
    ) -> Result<Conflict, Exhausted> {
        let mut asks = asks.to_vec();
        let is_worthwhile = match by_groups {
            true => failures.by_groups >= Failures::FEW_BY_GROUPS,
            false => failures.list.len() >= Failures::FEW,
        };
        for at in (0..asks.len()).filter(|_| is_worthwhile) {
            let Ask { request, option } = asks[at];
            if option.is_some()
                && failures.table.options[request].len() > 1
                && (if by_groups {
                    failures.widening.is_worthwhile()
                } else {
                    core.requests.contains(&request)
                })
            {
                asks[at].option = None;
                let found = match by_groups {
                    true => self.look_with_groups(failures.table, &asks)?,
                    false => self.look_without_groups(failures.table, &asks)?,
                };
                if by_groups {
                    failures.widening.note(found.is_err());
                }
                match found {
                    Err(still) => core = still,
                    Ok(()) => asks[at].option = option,
                }
            }
        }
        failures.conflict(&asks, &core, self.budget)
    }

    /// Whether these requests can be served together on the cells that the failures are of, which are added to; if not,
    /// which of them are in conflict.
    pub(super) fn servable_beside(
        &self,
        failures: &mut Failures<'_, '_>,
        requests: &[usize],
    ) -> Result<Result<(), Vec<usize>>, Exhausted> {
        let asks = failures.table.asks(requests);
        Ok(match self.completed(failures, &asks)? {
            Ok(_) => Ok(()),
            Err(conflict) => Err(conflict.requests()),
        })
    }

    /// Whether these requests can be served together, on any of the cells that the guest may get.
    pub(super) fn servable(&self, requests: &[usize]) -> Result<bool, Exhausted> {
        let servable =
            |table: &Table<'_>| Ok(self.servable_beside(&mut Failures::new(table), requests)?.is_ok());
        let Some(choice) = self.cells_from else { return servable(&self.table(None)?) };
        let (mut found, mut is_whole) = (false, false);
        for most in self.rounds() {
            is_whole = self.each_choice(requests, choice, most, |_, table, _| {
                found = servable(table)?;
                Ok(if found { Found::Enough } else { Found::Nothing })
            })?;
            if is_whole {
                break;
            }
        }
        if is_whole { Ok(found) } else { Err(Exhausted) }
    }

    /// Whether counts and constraints leave it possible to serve these requests, whatever their options, with at most so
    /// many devices that are not on these cells.
    pub(super) fn may_serve(
        &self,
        table: &Table<'_>,
        requests: &[usize],
        cells: &[u32],
        most_far: u64,
    ) -> Result<bool, Exhausted> {
        let asks: Vec<Ask> = requests.iter().map(|&request| Ask { request, option: None }).collect();
        // On fewer cells less may be asked for, and less of a group have to be used.
        let problem = self.problem(table, &asks)?.without_groups().with_far(cells, most_far);
        Ok(Search::new(&problem, self.budget)?.solve()?.is_ok())
    }
}
