//! Which options of the requests: what is tried around the search.

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

/// Requests that cannot be served together as they ask.
#[derive(Default)]
struct Conflict {
    core: Vec<usize>,
    /// Whether that is so because of the other requests too, or would not be so if they asked for more: what groups leave
    /// over depends on everything.
    by_groups: bool,
}

impl Conflict {
    fn add(&mut self, other: Conflict) {
        self.core.extend(other.core);
        self.core.sort_unstable();
        self.core.dedup();
        self.by_groups |= other.by_groups;
    }
}

/// What failed while options were tried, for these requests or others of the workload: what asks for no less fails too, and
/// need not be looked at.
pub(super) struct Failures<'t, 'a> {
    table: &'t Table<'a>,
    /// Asks that cannot be served together.
    list: Vec<Vec<Ask>>,
    /// For each request and each of its options, those that are no easier to serve.
    no_easier: Vec<Vec<Bits>>,
    /// How often each request was in a conflict.
    conflicts: Vec<usize>,
}

impl<'t, 'a> Failures<'t, 'a> {
    /// So many are kept.
    const MOST: usize = 4096;

    pub(super) fn new(table: &'t Table<'a>) -> Self {
        let conflicts = vec![0; table.options.len()];
        Failures { table, list: Vec::new(), no_easier: Vec::new(), conflicts }
    }

    /// A failure that these asks repeat.
    fn known(&self, asks: &[Ask], budget: &Budget) -> Result<Option<Conflict>, Exhausted> {
        if self.list.is_empty() {
            return Ok(None);
        }
        budget.work((self.list.len() * asks.len()) as u64)?;
        let mut own: Vec<Option<Ask>> = vec![None; self.table.options.len()];
        asks.iter().for_each(|ask| own[ask.request] = Some(*ask));
        let repeats = |failed: &Ask| match (failed.option, own[failed.request]) {
            // It may be that the others can be served without it.
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(failed_with), Some(own)) => {
                own.option.is_some_and(|own| self.no_easier[failed.request][failed_with].contains(own))
            }
        };
        let known = self.list.iter().rev().find(|failure| failure.iter().all(repeats));
        let core = |failure: &Vec<Ask>| failure.iter().map(|ask| ask.request).collect();
        Ok(known.map(|failure| Conflict { core: core(failure), by_groups: false }))
    }

    /// Notes that some of these asks are in conflict.
    fn note(&mut self, asks: &[Ask], conflict: &Conflict, budget: &Budget) -> Result<(), Exhausted> {
        conflict.core.iter().for_each(|&request| self.conflicts[request] += 1);
        if conflict.by_groups || self.list.len() == Self::MOST {
            return Ok(());
        }
        if self.no_easier.is_empty() {
            budget
                .work(self.table.options.iter().map(|rows| rows.len() * rows.len()).sum::<usize>() as u64)?;
            let no_easier = |rows: &Vec<Row<'_>>| {
                let of = |row: &Row<'_>| {
                    let mut harder = Bits::none(rows.len());
                    let is_harder =
                        |(_, other): &(usize, &Row<'_>)| std::ptr::eq(row, *other) || row.is_easier(other);
                    rows.iter().enumerate().filter(is_harder).for_each(|(other, _)| harder.insert(other));
                    harder
                };
                rows.iter().map(of).collect()
            };
            self.no_easier = self.table.options.iter().map(no_easier).collect();
        }
        let is_in = |ask: &&Ask| conflict.core.contains(&ask.request);
        self.list.push(asks.iter().filter(is_in).copied().collect());
        Ok(())
    }

    /// The request that is decided next, and its options in the order in which they are tried, the first one last: as long
    /// as nothing failed those that are asked for first, then the request that was most in conflict, and what is easiest to
    /// serve.
    fn next(&self, asks: &[Ask]) -> Option<Level> {
        let open = asks.iter().enumerate().filter(|(_, ask)| ask.option.is_none());
        let (at, ask) = open.rev().max_by_key(|(_, ask)| self.conflicts[ask.request])?;
        let rows = &self.table.options[ask.request];
        let mut rest: Vec<usize> = (0..rows.len()).rev().collect();
        if self.conflicts.iter().any(|&times| times > 0) {
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
        table: &Table<'_>,
        requests: &[usize],
    ) -> Result<Result<Vec<Ask>, Vec<usize>>, Exhausted> {
        let mut asks = table.asks(requests);
        if asks.iter().all(|ask| ask.option.is_some()) {
            return Ok(Ok(asks));
        }
        let mut failures = Failures::new(table);
        let mut best = match self.completed(&mut failures, &asks)? {
            Ok(best) => best,
            Err(conflict) => return Ok(Err(conflict.core)),
        };
        for at in 0..asks.len() {
            for better in 0..best[at].option.unwrap_or_default() {
                asks[at].option = Some(better);
                if let Ok(found) = self.completed(&mut failures, &asks)? {
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
                    let found = self.servable_as(failures.table, &asks)?;
                    if let Err(conflict) = &found {
                        failures.note(&asks, conflict, self.budget)?;
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
                    asks[level.at].option = None;
                    if conflict.core.contains(&asks[level.at].request) {
                        level.conflict.add(conflict);
                        if !level.rest.is_empty() {
                            break;
                        }
                        conflict = std::mem::take(&mut level.conflict);
                        failures.note(&asks, &conflict, self.budget)?;
                    }
                    levels.pop();
                },
            }
            if let Some(level) = levels.last_mut() {
                asks[level.at].option = level.rest.pop();
            }
        }
    }

    /// Whether requests can be served with these options; if not, some of them that are in conflict.
    ///
    /// Where options are open, the answer is only a bound: it is not worth a long search, and says that they can.
    fn servable_as(&self, table: &Table<'_>, asks: &[Ask]) -> Result<Result<(), Conflict>, Exhausted> {
        let problem = self.problem(table, asks)?;
        let mut search = Search::new(&problem, self.budget);
        let is_bound = asks.iter().any(|ask| ask.option.is_none());
        let answer = if is_bound { search.may_be_solved()? } else { search.solve()? };
        Ok(answer.map_err(|core| match problem.grouped {
            true => Conflict { core: asks.iter().map(|ask| ask.request).collect(), by_groups: true },
            false => Conflict { core: problem.requests(&core), by_groups: false },
        }))
    }

    /// Whether these requests can be served together on the cells that the failures are of, which are added to.
    pub(super) fn servable_beside(
        &self,
        failures: &mut Failures<'_, '_>,
        requests: &[usize],
    ) -> Result<bool, Exhausted> {
        let asks = failures.table.asks(requests);
        Ok(self.completed(failures, &asks)?.is_ok())
    }

    /// Whether these requests can be served together, on any of the cells that the guest may get.
    pub(super) fn servable(&self, requests: &[usize]) -> Result<bool, Exhausted> {
        let servable = |table: &Table<'_>| self.servable_beside(&mut Failures::new(table), requests);
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
        let problem = self.problem(table, &asks)?.with_far(cells, most_far);
        Ok(Search::new(&problem, self.budget).solve()?.is_ok())
    }
}
