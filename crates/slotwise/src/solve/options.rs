//! Which options of the requests: what is tried around the search.

use std::collections::BTreeMap;

use super::Solver;
use super::bits::Bits;
use super::budget::{Budget, Exhausted};
use super::cells::Found;
use super::problem::{Ask, Row, Table};
use super::search::Search;

/// The options of a request that are tried in turn.
struct Level {
    /// The place of the request.
    at: usize,
    /// The options that are left to try, the next one last.
    rest: Vec<usize>,
    /// What the options tried so far failed on.
    conflict: Conflict,
}

/// Requests that cannot be served together as they ask, for each of them the options of which that is so, whatever the
/// others of the conflict have; `None` for all.
#[derive(Clone, Default)]
struct Conflict {
    options: BTreeMap<usize, Option<Bits>>,
    /// Whether it is so only among just these requests: what groups leave over depends on everything.
    by_groups: bool,
}

impl Conflict {
    /// Whether it would be the same with any other option of a request, or without it.
    fn is_without(&self, request: usize) -> bool {
        self.options.get(&request).is_none_or(Option::is_none)
    }

    /// What is so if both are: each for some options of one request.
    fn add(&mut self, other: Conflict) {
        self.by_groups |= other.by_groups;
        for (request, options) in other.options {
            match (self.options.entry(request).or_insert(None), options) {
                (Some(own), Some(options)) => own.keep(&options),
                (own, options) => *own = own.take().or(options),
            }
        }
    }

    fn requests(&self) -> Vec<usize> {
        self.options.keys().copied().collect()
    }
}

/// What failed while options were tried, for these requests or others of the workload, so that it need not be looked at
/// again.
pub(super) struct Failures<'t, 'a> {
    table: &'t Table<'a>,
    list: Vec<Conflict>,
    /// For each request and each of its options, those that are no easier to serve.
    no_easier: Vec<Vec<Bits>>,
    /// The same with those that can use no more of the groups.
    no_more_of_groups: Vec<Vec<Bits>>,
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
            no_more_of_groups: Vec::new(),
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
        let is_known = |failed: &&Conflict| {
            (!failed.by_groups || failed.options.len() == asks.len()) && failed.options.iter().all(repeats)
        };
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

    /// The conflict of some of these asks, the core; it is one with all options that are no easier.
    ///
    /// Where groups have a part in it, what can use a group has to use it up. Then it is one only with just these options of the
    /// core, which has everyone who can use a group that the conflict is about, and with options of the others that can use
    /// no more of the groups than theirs.
    fn conflict(
        &mut self,
        asks: &[Ask],
        core: &[usize],
        grouped: Option<&Bits>,
        budget: &Budget,
    ) -> Result<Conflict, Exhausted> {
        let table = self.table;
        let compare = |is_one: &dyn Fn(&Row<'_>, &Row<'_>) -> bool| -> Vec<Vec<Bits>> {
            let of = |rows: &Vec<Row<'_>>, row: &Row<'_>| {
                let mut set = Bits::none(rows.len());
                let ones = rows.iter().enumerate().filter(|(_, other)| is_one(row, other));
                ones.for_each(|(other, _)| set.insert(other));
                set
            };
            table.options.iter().map(|rows| rows.iter().map(|row| of(rows, row)).collect()).collect()
        };
        let looks = || table.options.iter().map(|rows| rows.len() * rows.len()).sum::<usize>() as u64;
        if self.no_easier.is_empty() {
            budget.work(looks())?;
            self.no_easier = compare(&|row, other| std::ptr::eq(row, other) || row.is_easier(other));
        }
        if let Some(grouped) = grouped.filter(|_| self.no_more_of_groups.is_empty()) {
            budget.work(looks())?;
            self.no_more_of_groups = compare(&|row, other| row.has_all_of(other, grouped));
        }
        let options = |ask: &Ask| {
            let option = ask.option?;
            let rows = table.options[ask.request].len();
            let set = match (grouped, core.contains(&ask.request)) {
                (None, _) => self.no_easier[ask.request][option].clone(),
                (Some(_), false) => self.no_more_of_groups[ask.request][option].clone(),
                (Some(_), true) => Bits::only(rows, option),
            };
            Some(set).filter(|set| *set != Bits::all(rows))
        };
        let is_in = |ask: &&Ask| grouped.is_some() || core.contains(&ask.request);
        let options = asks.iter().filter(is_in).map(|ask| (ask.request, options(ask)));
        Ok(Conflict { options: options.collect(), by_groups: grouped.is_some() })
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

impl Solver<'_> {
    /// The first options with which these requests can be served together (earlier requests get their better options
    /// first), or some of the requests that are in conflict.
    pub(super) fn options(
        &self,
        failures: &mut Failures<'_, '_>,
        requests: &[usize],
    ) -> Result<Result<Vec<Ask>, Vec<usize>>, Exhausted> {
        let mut asks = failures.table.asks(requests);
        if asks.iter().all(|ask| ask.option.is_some()) {
            return Ok(Ok(asks));
        }
        let mut best = match self.completed(failures, &asks)? {
            Ok(best) => best,
            Err(conflict) => return Ok(Err(conflict.requests())),
        };
        for at in 0..asks.len() {
            for better in 0..best[at].option.unwrap_or_default() {
                asks[at].option = Some(better);
                if let Ok(found) = self.completed(failures, &asks)? {
                    best = found;
                    break;
                }
            }
            asks[at] = best[at];
        }
        Ok(Ok(best))
    }

    /// Options for the requests that have none yet with which all can be served together, or what is in conflict.
    ///
    /// Each time the requests that are still open are there with the best of all their options. What fails on requests other
    /// than the last one that was decided would fail with its other options too.
    fn completed(
        &self,
        failures: &mut Failures<'_, '_>,
        asks: &[Ask],
    ) -> Result<Result<Vec<Ask>, Conflict>, Exhausted> {
        let mut asks = asks.to_vec();
        let mut levels: Vec<Level> = Vec::new();
        loop {
            let found = match failures.known(&asks, self.budget)? {
                Some(known) => Err(known),
                None => {
                    let found = self.servable_as(failures, &asks)?;
                    if let Err(conflict) = &found {
                        failures.note(conflict);
                    }
                    found
                }
            };
            match found {
                Ok(()) => match failures.next(&asks) {
                    None => return Ok(Ok(asks)),
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
                        conflict = std::mem::take(&mut level.conflict);
                        // It failed with each of its options.
                        conflict.options.insert(request, None);
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

    /// Whether requests can be served with these options, or may be where options are open; if not, what is in conflict.
    fn servable_as(
        &self,
        failures: &mut Failures<'_, '_>,
        asks: &[Ask],
    ) -> Result<Result<(), Conflict>, Exhausted> {
        let is_whole = asks.iter().all(|ask| ask.option.is_some());
        // Without groups first: a conflict that does not come from them says more.
        if (!is_whole || !self.bins.groups.is_empty())
            && let Err(core) = self.may_be_servable_as(failures.table, asks)?
        {
            return self.widened(failures, asks, core, false).map(Err);
        }
        if !is_whole {
            if failures.by_groups >= Failures::FEW_BY_GROUPS && failures.bound.is_worthwhile() {
                let found = self.may_be_servable_with_groups(failures.table, asks)?;
                failures.bound.note(found.is_err());
                if let Err(core) = found {
                    return self.widened(failures, asks, core, true).map(Err);
                }
            }
            return Ok(Ok(()));
        }
        let problem = self.problem(failures.table, asks)?;
        let Err(core) = Search::new(&problem, self.budget)?.solve()? else { return Ok(Ok(())) };
        let core = problem.requests(&core);
        if problem.grouped {
            failures.by_groups += 1;
            return self.widened(failures, asks, core, true).map(Err);
        }
        failures.conflict(asks, &core, None, self.budget).map(Err)
    }

    /// Whether requests may be servable with these options, as far as a short search without regard to groups can say; if not,
    /// which are in conflict.
    pub(super) fn may_be_servable_as(
        &self,
        table: &Table<'_>,
        asks: &[Ask],
    ) -> Result<Result<(), Vec<usize>>, Exhausted> {
        let problem = self.problem(table, asks)?.without_groups();
        let found = Search::new(&problem, self.budget)?.may_be_solved()?;
        Ok(found.map_err(|core| problem.requests(&core)))
    }

    /// As [`Solver::may_be_servable_as`], with regard to groups.
    fn may_be_servable_with_groups(
        &self,
        table: &Table<'_>,
        asks: &[Ask],
    ) -> Result<Result<(), Vec<usize>>, Exhausted> {
        let problem = self.problem(table, asks)?;
        let found = Search::new(&problem, self.budget)?.may_be_solved()?;
        Ok(found.map_err(|core| problem.requests(&core)))
    }

    /// The conflict of these requests for as many options as can be seen: where it is one with an option left open, it is
    /// one for all of them.
    fn widened(
        &self,
        failures: &mut Failures<'_, '_>,
        asks: &[Ask],
        mut core: Vec<usize>,
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
                && (if by_groups { failures.widening.is_worthwhile() } else { core.contains(&request) })
            {
                asks[at].option = None;
                let found = match by_groups {
                    true => self.may_be_servable_with_groups(failures.table, &asks)?,
                    false => self.may_be_servable_as(failures.table, &asks)?,
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
        failures.conflict(&asks, &core, by_groups.then_some(&self.bins.grouped), self.budget)
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
        let mut found = false;
        self.each_choice(requests, choice, |_, table, _| {
            found = servable(table)?;
            Ok(if found { Found::Enough } else { Found::Nothing })
        })?;
        Ok(found)
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
