//! Which NUMA cells the guest gets: what is tried around the options.

use std::collections::BTreeMap;

use super::Solver;
use super::budget::Exhausted;
use super::options::Failures;
use super::problem::{Ask, Table};
use super::search::Search;
use crate::fit::Assignment;
use crate::numa::NumaPolicy;
use crate::request::{CellChoice, Constraint, Relation};

/// What was found on some cells.
pub(super) enum Found {
    /// Nothing that is better than what is known.
    Nothing,
    /// The best so far, with so many devices near the guest's cells.
    Better(u64),
    /// All that is looked for.
    Enough,
}

/// The best that is known.
struct Best {
    cells: Vec<u32>,
    asks: Vec<Ask>,
    /// How many devices are near the guest's cells, and how many are not.
    near: u64,
    far: u64,
    /// A solution with so many.
    witness: Vec<u64>,
}

/// In each round one way to choose the cells gets at most one in so many of all steps: what takes long on some cells is
/// left for later, as it may be easy on others.
const SHARES: [u64; 3] = [16, 4, 1];

/// So many kinds of request are told apart; there is a count for each set of them.
const MAX_KINDS: usize = 8;

/// What the cells have for the requests, counted without regard to most of what else couples these.
struct Supply {
    /// For each set of kinds of request, how many devices each cell has that one of them can use, with the cell's place,
    /// most devices first. Set `s` is entry `s - 1`.
    of_set: Vec<Vec<(u64, usize)>>,
    wants: Vec<Want>,
    together: Vec<Together>,
}

/// What a request wants.
struct Want {
    kind: usize,
    /// Near the guest's cells at most, and at least.
    most: u64,
    least: u64,
    /// The places of the cells that have enough for it, as bits.
    cells: u32,
}

/// Requests whose devices must all be on the same node.
struct Together {
    /// Places in the list of wants.
    members: Vec<usize>,
    /// The places of the cells that have enough for them, as bits.
    cells: u32,
}

/// Places as bits; there are at most [`crate::limits::MAX_CELL_CHOICE`].
fn bits(places: impl IntoIterator<Item = usize>) -> u32 {
    places.into_iter().fold(0, |bits, place| bits | 1 << place)
}

/// Cells that are chosen, by their places among those to choose from, and how many of others.
struct Choice {
    /// In ascending order.
    chosen: Vec<usize>,
    rest: Vec<usize>,
    missing: usize,
}

impl Choice {
    /// The first of all choices that this one can become, in the order in which cells are given.
    fn first(&self) -> Vec<usize> {
        let mut rest = self.rest.clone();
        rest.sort_unstable();
        let mut all = [&self.chosen[..], &rest[..self.missing]].concat();
        all.sort_unstable();
        all
    }

    /// All cells that it may come to have.
    fn possible(&self, from: &[u32]) -> Vec<u32> {
        let rest = if self.missing == 0 { &[][..] } else { &self.rest[..] };
        self.chosen.iter().chain(rest).map(|&place| from[place]).collect()
    }
}

impl Supply {
    /// `table` is that of all cells.
    fn new(
        solver: &Solver<'_>,
        table: &Table<'_>,
        requests: &[usize],
        from: &[u32],
    ) -> Result<Self, Exhausted> {
        let bins = &solver.bins.list;
        let place = |b: usize| {
            let node = solver.pools.list[bins[b].pool].numa_node?;
            Some((b, from.iter().position(|&cell| cell == node)?))
        };
        let near: Vec<(usize, usize)> = (0..bins.len()).filter_map(place).collect();
        // Those that can use the same bins are of one kind; if there are too many kinds, the last stands for several.
        let mut kinds: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
        let mut wants = Vec::with_capacity(requests.len());
        for &request in requests {
            solver.budget.work(near.len() as u64)?;
            let usable: Vec<bool> = near.iter().map(|&(b, _)| table.allows(request, b)).collect();
            let mut on_cell = vec![0_u64; from.len()];
            for (&(b, place), _) in near.iter().zip(&usable).filter(|(_, usable)| **usable) {
                on_cell[place] += u64::from(bins[b].count);
            }
            let next = kinds.len().min(MAX_KINDS - 1);
            let kind = *kinds.entry(usable).or_insert(next);
            let rows = &table.options[request];
            let counts = || rows.iter().map(|row| u64::from(row.prepared.count));
            let is_required = rows.iter().all(|row| row.prepared.policy == NumaPolicy::Required);
            let fewest = counts().min().unwrap_or(0);
            wants.push(Want {
                kind,
                most: counts().max().unwrap_or(0),
                least: if is_required { fewest } else { 0 },
                cells: bits((0..from.len()).filter(|&place| on_cell[place] >= fewest)),
            });
        }
        let mut uses = vec![0_usize; near.len()];
        for (usable, kind) in &kinds {
            for (uses, _) in uses.iter_mut().zip(usable).filter(|(_, usable)| **usable) {
                *uses |= 1 << kind;
            }
        }
        let sets = 1..1_usize << kinds.len().min(MAX_KINDS);
        solver.budget.work((sets.len() * (near.len() + from.len())) as u64)?;
        let of_set = |set: usize| {
            let mut cells: Vec<(u64, usize)> = (0..from.len()).map(|place| (0, place)).collect();
            for (&(b, place), _) in near.iter().zip(&uses).filter(|(_, uses)| **uses & set != 0) {
                cells[place].0 += u64::from(bins[b].count);
            }
            cells.sort_by_key(|&(count, place)| (std::cmp::Reverse(count), place));
            cells
        };
        let same_node = |c: &&Constraint| c.relation == Relation::Same && c.key == "numa_node";
        let together = solver.constraints.iter().filter(same_node).map(|constraint| {
            let is_member = |at: &usize| constraint.requests.contains(&requests[*at]);
            let members: Vec<usize> = (0..requests.len()).filter(is_member).collect();
            let cells = members.iter().fold(u32::MAX, |cells, &at| cells & wants[at].cells);
            Together { members, cells }
        });
        let together = together.collect();
        Ok(Supply { of_set: sets.map(of_set).collect(), together, wants })
    }

    /// The places of the cells, those with most devices for the requests first.
    fn order(&self, cells: usize) -> Vec<usize> {
        let all = self.of_set.last();
        all.map_or_else(|| (0..cells).collect(), |cells| cells.iter().map(|(_, place)| *place).collect())
    }

    /// At most how many devices can be elsewhere if so many are near the guest's cells.
    fn most_far(&self, near: u64) -> u64 {
        self.wants.iter().map(|want| want.most).sum::<u64>().saturating_sub(near)
    }

    /// At most how many devices can be near the guest's cells, whatever else is chosen; `None` if that is not enough for
    /// requests whose devices must be. By the theorem of max-flow and min-cut that is what a flow would say.
    fn most_near(&self, choice: &Choice, solver: &Solver<'_>) -> Result<Option<u64>, Exhausted> {
        let [chosen, rest] = [&choice.chosen, &choice.rest].map(|places| bits(places.iter().copied()));
        let possible = if choice.missing == 0 { chosen } else { chosen | rest };
        solver.budget.work((self.of_set.len() * (choice.chosen.len() + choice.rest.len())) as u64)?;
        let mut apart = vec![false; self.wants.len()];
        for together in self.together.iter().filter(|together| together.cells & possible == 0) {
            together.members.iter().for_each(|&at| apart[at] = true);
        }
        let (mut wanted, mut required) = ([0_u64; MAX_KINDS], [0_u64; MAX_KINDS]);
        for (want, apart) in self.wants.iter().zip(apart) {
            if apart && want.least > 0 {
                return Ok(None);
            }
            wanted[want.kind] += if apart { 0 } else { want.most };
            required[want.kind] += want.least;
        }
        let sum = |of_kind: &[u64; MAX_KINDS], set: usize| -> u64 {
            (0..MAX_KINDS).filter(|kind| set >> kind & 1 == 1).map(|kind| of_kind[kind]).sum()
        };
        let all = sum(&wanted, self.of_set.len());
        let mut most = all;
        for (set, cells) in (1..).zip(&self.of_set) {
            let (mut supply, mut missing) = (0, choice.missing);
            for &(count, place) in cells {
                if chosen >> place & 1 == 1 {
                    supply += count;
                } else if missing > 0 && rest >> place & 1 == 1 {
                    supply += count;
                    missing -= 1;
                }
            }
            if sum(&required, set) > supply {
                return Ok(None);
            }
            most = most.min(all - sum(&wanted, set) + supply);
        }
        Ok(Some(most))
    }
}

impl Solver<'_> {
    /// The assignment on the cells that can have most devices near, of these the first, with so many devices near.
    pub(super) fn best_cells(
        &self,
        requests: &[usize],
        choice: &CellChoice,
    ) -> Result<Option<Assignment>, Exhausted> {
        let (mut best, mut is_cut_short): (Option<Best>, bool) = (None, true);
        let rounds = self.rounds();
        for (round, steps) in rounds.into_iter().enumerate() {
            let is_last = round + 1 == rounds.len() && best.is_none();
            let all = if is_last { self.budget.left() } else { self.budget.most() };
            let look = || Ok(self.best_cells_within(steps, requests, choice));
            let Ok(Some((found, is_short))) = self.budget.within(all, look) else { break };
            let near = |best: &Option<Best>| best.as_ref().map(|best| best.near);
            if !is_short || near(&found) >= near(&best) {
                best = found;
            }
            is_cut_short = is_short;
            if !is_cut_short {
                break;
            }
        }
        let Some(Best { cells, asks, far, witness, .. }) = best else {
            return if is_cut_short { Err(Exhausted) } else { Ok(None) };
        };
        let table = self.budget.again(|| self.table(Some(&cells)))?;
        let problem = self.budget.again(|| self.problem(&table, &asks))?.with_far(&cells, far);
        let mut search = self.budget.again(|| Search::new(&problem, self.budget))?;
        search.resume(witness);
        let mut assignment = self.choose(&table, &problem, search);
        assignment.cut_short |= is_cut_short;
        assignment.numa_cells = Some(cells);
        Ok(Some(assignment))
    }

    /// How many steps one way to choose the cells gets at most, round by round.
    pub(super) fn rounds(&self) -> [u64; 3] {
        SHARES.map(|share| self.budget.given() / share)
    }

    /// The same with at most so many steps for each way to choose the cells, and whether they or all steps ran out.
    fn best_cells_within(&self, steps: u64, requests: &[usize], choice: &CellChoice) -> (Option<Best>, bool) {
        let mut best = None;
        let mut is_cut_short = false;
        let looked = self.each_choice(requests, choice, steps, |cells, table, least| {
            let Ok(served) = self.options(&mut Failures::new(table), requests)? else {
                return Ok(Found::Nothing);
            };
            is_cut_short |= served.is_cut_short;
            let problem = self.problem(table, &served.asks)?;
            let wanted: u64 = problem.demands.iter().map(|demand| u64::from(demand.count)).sum();
            let Some(most_far) = wanted.checked_sub(least) else { return Ok(Found::Nothing) };
            let problem = problem.with_far(cells, most_far);
            let mut search = Search::new(&problem, self.budget)?;
            let Some(far) = search.fewest_far()? else { return Ok(Found::Nothing) };
            is_cut_short |= search.is_cut_short;
            let near = wanted - far;
            let witness = search.into_witness();
            best = Some(Best { cells: cells.to_vec(), asks: served.asks, near, far, witness });
            Ok(Found::Better(near))
        });
        let is_whole = matches!(looked, Ok(true));
        (best, is_cut_short || !is_whole)
    }

    /// Looks at the ways to choose the cells, as far as they may be better than the best that is found: those with the
    /// most devices for the requests first.
    ///
    /// `look` is called with the cells, their table, and how many devices must be near them to be better. More cells allow
    /// more devices, so that what all cells that can still be chosen cannot serve together no choice of them can.
    ///
    /// A way that takes more than so many steps is left out; says whether there was no such way.
    pub(super) fn each_choice(
        &self,
        requests: &[usize],
        choice: &CellChoice,
        most_steps: u64,
        mut look: impl FnMut(&[u32], &Table<'_>, u64) -> Result<Found, Exhausted>,
    ) -> Result<bool, Exhausted> {
        let every = self.table(Some(&choice.from))?;
        let supply = Supply::new(self, &every, requests, &choice.from)?;
        let order = supply.order(choice.from.len());
        let mut best: Option<(u64, Vec<usize>)> = None;
        let mut is_whole = true;
        // For each step on the way the place in `order` of the cell that was chosen.
        let mut path: Vec<usize> = Vec::new();
        let mut next = 0;
        // Whether there are fewer cells to choose from than when it was last asked what they may serve.
        let mut is_less = true;
        loop {
            let mut chosen: Vec<usize> = path.iter().map(|&at| order[at]).collect();
            chosen.sort_unstable();
            let rest = order.get(next..).unwrap_or_default().to_vec();
            let node = Choice { missing: choice.count - chosen.len(), chosen, rest };
            let mut deeper = false;
            if node.rest.len() >= node.missing
                && let Some(most) = supply.most_near(&node, self)?
            {
                let first = node.first();
                let least = best.as_ref().map_or(0, |(near, known)| near + u64::from(first > *known));
                if most >= least && node.missing > 0 && !is_less {
                    deeper = true;
                } else if most >= least {
                    let cells = node.possible(&choice.from);
                    let table = every.on(self, &cells)?;
                    let may_serve = || self.may_serve(&table, requests, &cells, supply.most_far(least));
                    if node.missing > 0 {
                        // What is not known may be.
                        deeper = self.budget.within(most_steps, may_serve)?.unwrap_or(true);
                    } else {
                        let found = self.budget.within(most_steps, || {
                            let is_possible = least == 0 || may_serve()?;
                            if is_possible { look(&cells, &table, least) } else { Ok(Found::Nothing) }
                        });
                        match found? {
                            Some(Found::Nothing) => {}
                            Some(Found::Better(near)) => best = Some((near, first)),
                            Some(Found::Enough) => return Ok(true),
                            None => is_whole = false,
                        }
                    }
                }
            }
            is_less = !deeper;
            if deeper {
                path.push(next);
                next += 1;
                continue;
            }
            // The next cell instead of the last one that was chosen.
            match path.pop() {
                Some(last) => next = last + 1,
                None => return Ok(is_whole),
            }
        }
    }
}
