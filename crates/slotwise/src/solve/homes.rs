//! Which workload a device group may go to, where several are served together.
//!
//! A group is handed out as a whole, so that it never goes to two of them; and what must be used up of it depends on who gets
//! it. So where several could use a group it is given to each of them in turn, as long as counts and constraints alone
//! leave it possible to serve all.

use std::collections::BTreeMap;

use super::Solver;
use super::bins::{Bin, Value};
use super::budget::Exhausted;
use super::problem::Table;

/// A group that several workloads could use devices of.
pub(super) struct Contested {
    group: usize,
    /// The numbers of these workloads.
    owners: Vec<usize>,
    /// Whether it is like the one before, so that it makes no difference which of the two goes to whom.
    is_alike: bool,
}

/// What makes groups alike: what each of their bins can serve, how many devices it has, and their attributes. A group that
/// excludes devices elsewhere is like no other.
type Likeness<'b> = (Option<usize>, Vec<(Vec<bool>, u32, &'b [Option<Value>], &'b [u32])>);

impl Solver<'_> {
    /// The groups that several workloads could use for these requests.
    pub(super) fn contested(&self, table: &Table<'_>, requests: &[usize]) -> Vec<Contested> {
        if self.bins.groups.is_empty() || self.owners.last().is_none_or(|&last| last == 0) {
            return Vec::new();
        }
        let mut contested: Vec<Contested> = Vec::new();
        let mut before = None;
        for (group, bins) in self.bins.groups.iter().enumerate() {
            let free = || bins.iter().copied().filter(|&bin| self.bins.list[bin].count > 0);
            let users = requests.iter().filter(|&&request| free().any(|bin| table.allows(request, bin)));
            let mut owners: Vec<usize> = users.map(|&request| self.owners[request]).collect();
            owners.dedup();
            if owners.len() < 2 {
                continue;
            }
            let likeness = self.likeness(table, group);
            contested.push(Contested { group, owners, is_alike: before.as_ref() == Some(&likeness) });
            before = Some(likeness);
        }
        contested
    }

    fn likeness(&self, table: &Table<'_>, group: usize) -> Likeness<'_> {
        let bins = &self.bins.groups[group];
        let excludes = bins.iter().any(|&bin| !self.bins.cards.excluded_by(bin).is_empty());
        let mut all: Vec<_> = bins
            .iter()
            .map(|&bin| {
                let Bin { count, values, tiers, .. } = &self.bins.list[bin];
                (table.served_by(bin), *count, values.as_slice(), tiers.as_slice())
            })
            .collect();
        all.sort_unstable();
        (excludes.then_some(group), all)
    }

    /// What `look` finds in the first way to give contested groups to workloads in which it finds anything.
    ///
    /// The groups are gone through in the order of their names, and each goes to the first workload with which that is possible.
    pub(super) fn with_homes<'t, T>(
        &self,
        table: &Table<'t>,
        contested: &[Contested],
        requests: &[usize],
        mut look: impl FnMut(&Table<'t>) -> Result<Option<T>, Exhausted>,
    ) -> Result<Option<T>, Exhausted> {
        let twins = self.twins(requests);
        // For each of the first groups the place of its workload among those that could use it.
        let mut homes: Vec<usize> = Vec::new();
        loop {
            let owner_of: BTreeMap<usize, usize> =
                contested.iter().zip(&homes).map(|(one, &at)| (one.group, one.owners[at])).collect();
            let given = self.given(table, &owner_of)?;
            if homes.len() < contested.len() {
                if self.may_be_servable_as(&given, &given.asks(requests))?.is_ok() {
                    homes.push(0);
                    if makes_a_difference(contested, &homes, &twins) {
                        continue;
                    }
                }
            } else if let Some(found) = look(&given)? {
                return Ok(Some(found));
            }
            // The next workload for the last group that has one.
            loop {
                let Some(last) = homes.last_mut() else { return Ok(None) };
                *last += 1;
                if *last == contested[homes.len() - 1].owners.len() {
                    homes.pop();
                } else if makes_a_difference(contested, &homes, &twins) {
                    break;
                }
            }
        }
    }

    /// The table where groups that have an owner serve nobody else.
    fn given<'t>(
        &self,
        table: &Table<'t>,
        owner_of: &BTreeMap<usize, usize>,
    ) -> Result<Table<'t>, Exhausted> {
        let is_theirs = |request: usize, bin: usize| {
            let group = self.bins.list[bin].group;
            group.and_then(|group| owner_of.get(&group)).is_none_or(|&owner| owner == self.owners[request])
        };
        table.only(&self.bins, is_theirs, self.budget)
    }

    /// For each workload the last one before it that asks for the same.
    fn twins(&self, requests: &[usize]) -> Vec<Option<usize>> {
        let mut asked: Vec<Vec<usize>> = vec![Vec::new(); self.owners.last().map_or(0, |last| last + 1)];
        let mut first = vec![0; asked.len()];
        for (request, &owner) in self.owners.iter().enumerate().rev() {
            first[owner] = request;
        }
        requests.iter().for_each(|&r| asked[self.owners[r]].push(r - first[self.owners[r]]));
        let workload = |owner: usize| self.items.get(first[owner]).map(|(workload, _)| *workload);
        let is_same = |one: usize, other: usize| {
            let (a, b) = (workload(one), workload(other));
            let same = |a, b| std::ptr::eq(a, b) || a == b;
            asked[one] == asked[other] && a.zip(b).is_some_and(|(a, b)| same(a, b))
        };
        (0..asked.len()).map(|owner| (0..owner).rev().find(|&other| is_same(owner, other))).collect()
    }
}

/// Whether the last home is none that comes to the same as one that was tried before: alike groups go to workloads in
/// their order, and of workloads that ask for the same the first gets one first.
fn makes_a_difference(contested: &[Contested], homes: &[usize], twins: &[Option<usize>]) -> bool {
    let owner = |at: usize| contested[at].owners[homes[at]];
    let Some(last) = homes.len().checked_sub(1) else { return true };
    let is_ordered = !contested[last].is_alike || last == 0 || owner(last - 1) <= owner(last);
    is_ordered && twins[owner(last)].is_none_or(|twin| (0..last).any(|at| owner(at) == twin))
}
