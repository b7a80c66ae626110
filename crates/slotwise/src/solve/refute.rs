//! Why there is no assignment: a minimal set of requests that cannot be served together, and what was there for them.

use std::collections::BTreeMap;

use super::Solver;
use super::budget::{Budget, Exhausted};
use super::options::Failures;
use super::problem::{Ask, Table};
use super::search::Search;
use crate::filter::Prepared;
use crate::fit::NoFit;
use crate::pool::Pools;
use crate::report;
use crate::request::{Relation, Workload};

/// The reason when one request cannot be served even alone.
pub(super) fn lacking(pools: &Pools, workload: &Workload, request: usize, budget: &Budget) -> NoFit {
    let prepared: Vec<Prepared<'_>> = workload
        .requests
        .iter()
        .map(|request| Prepared::new(pools, workload, request, 0, workload.cells()))
        .collect();
    report::no_fit(pools, &prepared, &[], &[], vec![request], |request| affords(budget, pools, request))
}

/// Whether there is enough left of a budget to ask the filter chain once more.
fn affords(budget: &Budget, pools: &Pools, request: &Prepared<'_>) -> bool {
    budget.work(pools.list.len() as u64 * request.looks()).is_ok()
}

/// How many times it is looked whether a request may use devices, to find which constraints single counts refute: those of
/// alike requests say the same.
const MAX_LOOKS: usize = 1 << 18;

impl Solver<'_> {
    /// Explains why these requests cannot be served together, with a minimal set that cannot. `core` is a set that is
    /// known not to be servable, and `failures` is what was found out on the way to that, if the guest's cells are given.
    ///
    /// That they cannot is shown already, so that it stays a *no* when the budget runs out on the way to a smaller set.
    pub(super) fn refute(&self, all: &[usize], core: &[usize], failures: Option<Failures<'_, '_>>) -> NoFit {
        let mut conflict = all.to_vec();
        // Exhausted or not, `conflict` holds a set that cannot be served.
        let _ = self.narrow(&mut conflict, core, failures);
        // Where the guest's cells are to be chosen, the report shows the first choice.
        let cells = self.cells_from.map(|choice| &choice.from[..choice.count]);
        let prepared: Vec<Prepared<'_>> = self
            .items
            .iter()
            .map(|&(workload, request)| {
                Prepared::new(self.pools, workload, request, 0, cells.unwrap_or(workload.cells()))
            })
            .collect();
        let shortages = self.shortages(&prepared, &conflict);
        let mut no =
            report::no_fit(self.pools, &prepared, &self.constraints, &shortages, conflict, |request| {
                affords(self.budget, self.pools, request)
            });
        if let (Some(choice), Some(shown)) = (self.cells_from, cells) {
            let list = |cells: &[u32]| cells.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            no.message.push_str(&format!(
                " The guest may have any {} of the NUMA cells {}, and none of these choices will do; the counts are for {}.",
                choice.count,
                list(&choice.from),
                list(shown)
            ));
        }
        no
    }

    /// Constraints that single counts refute: how many values there are to differ in, or devices that agree.
    fn shortages(&self, prepared: &[Prepared<'_>], conflict: &[usize]) -> Vec<String> {
        let mut shortages = Vec::new();
        let mut looks = MAX_LOOKS;
        for constraint in &self.constraints {
            let requests = || conflict.iter().filter(|r| constraint.requests.contains(r));
            let needed: u64 = requests().map(|&r| u64::from(prepared[r].count)).sum();
            let Some(key) = self.key(&constraint.key).filter(|_| needed > 0) else { continue };
            if looks == 0 {
                break;
            }
            looks = looks.saturating_sub(self.bins.list.len() * requests().count());
            let mut values = BTreeMap::new();
            for bin in &self.bins.list {
                let pool = &self.pools.list[bin.pool];
                if let Some(value) = bin.values[key].filter(|_| requests().any(|&r| prepared[r].allows(pool)))
                {
                    *values.entry(value).or_insert(0_u64) += u64::from(bin.count);
                }
            }
            let (different, alike) = (values.len() as u64, values.values().copied().max().unwrap_or(0));
            let key = &constraint.key;
            let shortage = match constraint.relation {
                Relation::Distinct if different < needed && key == "address" => {
                    format!("they are on only {different} card{}", if different == 1 { "" } else { "s" })
                }
                Relation::Distinct if different < needed => match different {
                    0 => format!("none of them has a {key}"),
                    1 => format!("all of them have the same {key}"),
                    _ => format!("they have only {different} different values of {key}"),
                },
                Relation::Same if values.is_empty() => format!("none of them has a {key}"),
                // They are of groups that can never be handed out, which is said elsewhere.
                Relation::Same if alike == 0 => continue,
                Relation::Same if alike < needed => format!("at most {alike} of them have the same {key}"),
                _ => continue,
            };
            if !shortages.contains(&shortage) {
                shortages.push(shortage);
            }
        }
        shortages
    }

    fn narrow(
        &self,
        conflict: &mut Vec<usize>,
        core: &[usize],
        failures: Option<Failures<'_, '_>>,
    ) -> Result<(), Exhausted> {
        let every;
        let mut failures = match failures {
            Some(failures) => failures,
            None => {
                every = self.table(self.cells_from.map(|choice| choice.from.as_slice()))?;
                Failures::new(&every)
            }
        };
        let table = failures.table();
        if let Some(request) = table.first_without_devices(&self.bins) {
            *conflict = vec![request];
            return Ok(());
        }
        // Counts do not tell which workload a device group goes to.
        let is_contested = !self.contested(table, conflict).is_empty();
        if self.cells_from.is_none()
            && !is_contested
            && core.iter().all(|&request| table.options[request].len() == 1)
        {
            let asks: Vec<Ask> = core.iter().map(|&request| Ask { request, option: Some(0) }).collect();
            let problem = self.problem(table, &asks)?;
            let mut search = Search::new(&problem, self.budget)?;
            if let Some(counted) = search.counted_conflict()? {
                *conflict = counted.into_iter().map(|at| asks[at].request).collect();
                if search.is_counting() {
                    return Ok(());
                }
            }
        }
        let mut servable = |requests: &[usize]| match self.cells_from {
            None if is_contested => {
                let contested = self.contested(table, requests);
                let servable =
                    |table: &Table<'_>| Ok(self.servable_beside(&mut Failures::new(table), requests)?.ok());
                let found = self.with_homes(table, &contested, requests, servable)?;
                Ok(found.ok_or_else(|| requests.to_vec()))
            }
            None => self.servable_beside(&mut failures, requests),
            Some(_) => Ok(if self.servable(requests)? { Ok(()) } else { Err(requests.to_vec()) }),
        };
        if core.len() < conflict.len()
            && let Err(core) = servable(core)?
        {
            *conflict = core;
        }
        // One round is enough, except with device groups, where less can be harder to serve than more.
        loop {
            let before = conflict.len();
            for request in conflict.clone() {
                if !conflict.contains(&request) {
                    continue;
                }
                let without: Vec<usize> = conflict.iter().copied().filter(|r| *r != request).collect();
                if let Err(core) = servable(&without)? {
                    *conflict = core;
                }
            }
            if conflict.len() == before || self.bins.groups.is_empty() {
                return Ok(());
            }
        }
    }
}
