//! Whether what is left can serve all that is needed: a flow that ignores what couples the requests, and a search over
//! the decisions that the flow gets wrong.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::bins::{Bins, Value};
use super::flow::Network;
use super::problem::Problem;
use crate::request::Relation;

/// The search budget ran out.
#[derive(Debug)]
pub(super) struct Exhausted;

/// The steps that a search may still take.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    pub(super) fn new(steps: u64) -> Self {
        Budget(Cell::new(steps))
    }

    fn spend(&self) -> Result<(), Exhausted> {
        let left = self.0.get().checked_sub(1).ok_or(Exhausted)?;
        self.0.set(left);
        Ok(())
    }
}

/// Which use of a card is meant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Side {
    Physical,
    Virtual,
}

/// Bins that are interchangeable for the question whether a solution exists.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Atom {
    /// The demands that its devices can serve; may be empty for members of a static group.
    serves: Vec<usize>,
    /// The card whose two uses are both open, and which use this is.
    card: Option<(usize, Side)>,
    group: Option<usize>,
    /// The value under the key of each constraint.
    values: Vec<Option<Value>>,
}

/// What has been taken so far.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Devices left in each atom.
    left: Vec<u64>,
    /// Devices left in each bin.
    pub(super) bins: Vec<u32>,
    /// Devices that each demand still needs.
    pub(super) needs: Vec<u64>,
    /// For each constraint of agreement the value agreed on.
    same: Vec<Option<Value>>,
    /// For each constraint of difference the values used.
    used: Vec<BTreeSet<Value>>,
    /// Which static groups are taken.
    taken: Vec<bool>,
    /// Whether a group that is taken has lost a member.
    broken: bool,
}

/// Decisions on what the flow cannot express.
#[derive(Clone, Debug)]
struct Decisions {
    same: Vec<Option<Value>>,
    side: Vec<Option<Side>>,
    group: Vec<Option<bool>>,
    forbidden: BTreeSet<(usize, usize)>,
}

/// For a constraint of difference, the values that each demand may use.
type Guide = (usize, BTreeSet<(usize, Value)>);

enum Relaxed {
    Impossible,
    Solution,
    Branches(Vec<Decisions>),
}

pub(super) struct Search<'p> {
    problem: &'p Problem<'p>,
    bins: &'p Bins,
    atoms: Vec<Atom>,
    /// The atom of each bin; `None` if the bin can play no part.
    atom_of: Vec<Option<usize>>,
    /// The atoms of each card that is open, by use.
    cards: Vec<[Vec<usize>; 2]>,
    /// The atoms of each static group.
    groups: Vec<Vec<usize>>,
    budget: &'p Budget,
    pub(super) state: State,
}

impl<'p> Search<'p> {
    pub(super) fn new(problem: &'p Problem<'p>, budget: &'p Budget) -> Self {
        let bins = problem.bins;
        let takes_part = |bin: usize| !problem.serves[bin].is_empty() || bins.list[bin].group.is_some();
        let open = |family: usize| {
            let family = &bins.cards.list[family];
            family.physical.iter().any(|&b| takes_part(b)) && family.virtuals.iter().any(|&b| takes_part(b))
        };
        let mut ids: BTreeMap<Atom, usize> = BTreeMap::new();
        let atom_of: Vec<Option<usize>> = (0..bins.list.len())
            .map(|b| {
                let bin = &bins.list[b];
                let card = bins.cards.of_pool[b].filter(|&family| open(family)).map(|family| {
                    let physical = bins.cards.list[family].physical.contains(&b);
                    (family, if physical { Side::Physical } else { Side::Virtual })
                });
                let values = problem.scopes.iter().map(|scope| bin.values[scope.key]).collect();
                let atom = Atom { serves: problem.serves[b].clone(), card, group: bin.group, values };
                let next = ids.len();
                takes_part(b).then(|| *ids.entry(atom).or_insert(next))
            })
            .collect();
        let mut in_order: Vec<(Atom, usize)> = ids.into_iter().collect();
        in_order.sort_by_key(|(_, id)| *id);
        let atoms: Vec<Atom> = in_order.into_iter().map(|(atom, _)| atom).collect();
        let mut cards = vec![[Vec::new(), Vec::new()]; bins.cards.list.len()];
        let mut groups = vec![Vec::new(); bins.groups.len()];
        for (id, atom) in atoms.iter().enumerate() {
            if let Some((card, side)) = atom.card {
                cards[card][side as usize].push(id);
            }
            if let Some(group) = atom.group {
                groups[group].push(id);
            }
        }
        let mut left = vec![0; atoms.len()];
        for (bin, atom) in atom_of.iter().enumerate() {
            if let Some(atom) = atom {
                left[*atom] += u64::from(bins.list[bin].count);
            }
        }
        let state = State {
            left,
            bins: bins.list.iter().map(|bin| bin.count).collect(),
            needs: problem.demands.iter().map(|demand| u64::from(demand.count)).collect(),
            same: vec![None; problem.scopes.len()],
            used: vec![BTreeSet::new(); problem.scopes.len()],
            taken: vec![false; bins.groups.len()],
            broken: false,
        };
        Search { problem, bins, atoms, atom_of, cards, groups, budget, state }
    }

    /// What makes two bins interchangeable for a demand.
    pub(super) fn atom(&self, bin: usize) -> Option<usize> {
        self.atom_of[bin]
    }

    /// How many devices of a bin a demand may take now.
    pub(super) fn limit(&self, demand: usize, bin: usize) -> u32 {
        let Some(atom) = self.atom_of[bin].filter(|_| self.problem.serves[bin].contains(&demand)) else {
            return 0;
        };
        let possible =
            self.capacity(demand, atom).min(self.state.needs[demand]).min(u64::from(self.state.bins[bin]));
        u32::try_from(possible).unwrap_or(u32::MAX)
    }

    /// Takes devices of a bin for a demand, and with them what they exclude.
    pub(super) fn take(&mut self, demand: usize, bin: usize, count: u32) {
        self.withdraw(bin, count);
        self.exclude(bin);
        self.state.needs[demand] -= u64::from(count);
        let values = &self.bins.list[bin].values;
        for (scope, constraint) in self.problem.scopes.iter().enumerate() {
            if let (true, Some(value)) = (constraint.covers(demand), values[constraint.key]) {
                match constraint.relation {
                    Relation::Same => self.state.same[scope] = Some(value),
                    Relation::Distinct => {
                        self.state.used[scope].insert(value);
                    }
                }
            }
        }
        if let Some(group) = self.bins.list[bin].group
            && !std::mem::replace(&mut self.state.taken[group], true)
        {
            // Members that nobody asks for come along, and exclude what they exclude.
            for &member in &self.bins.groups[group] {
                if self.problem.serves[member].is_empty() && self.state.bins[member] > 0 {
                    self.exclude(member);
                }
            }
        }
    }

    fn exclude(&mut self, bin: usize) {
        for &other in self.bins.cards.excluded_by(bin) {
            let lost = self.state.bins[other];
            self.withdraw(other, lost);
            let Some(group) = self.bins.list[other].group.filter(|_| lost > 0) else { continue };
            if self.state.taken[group] {
                self.state.broken = true;
                continue;
            }
            // A group that has lost a member is not handed out.
            for &member in &self.bins.groups[group] {
                self.withdraw(member, self.state.bins[member]);
            }
        }
    }

    fn withdraw(&mut self, bin: usize, count: u32) {
        self.state.bins[bin] -= count;
        if let Some(atom) = self.atom_of[bin] {
            self.state.left[atom] -= u64::from(count);
        }
    }

    /// The most devices, up to `limit`, that a demand can take from a bin such that the rest can still be served.
    ///
    /// If it can take `n` it can take `n - 1` (the rest then takes the last one), so halving finds the answer.
    pub(super) fn most(&mut self, demand: usize, bin: usize, limit: u32) -> Result<u32, Exhausted> {
        let (mut possible, mut impossible) = (0, limit + 1);
        let mut attempt = limit;
        while possible + 1 < impossible {
            let before = self.state.clone();
            self.take(demand, bin, attempt);
            let solvable = self.solvable();
            self.state = before;
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
    pub(super) fn solvable(&self) -> Result<bool, Exhausted> {
        let state = &self.state;
        if state.broken {
            return Ok(false);
        }
        let mut open = vec![Decisions {
            same: state.same.clone(),
            side: vec![None; self.cards.len()],
            group: state.taken.iter().map(|&taken| taken.then_some(true)).collect(),
            forbidden: BTreeSet::new(),
        }];
        while let Some(decisions) = open.pop() {
            self.budget.spend()?;
            match self.relax(decisions) {
                Relaxed::Impossible => {}
                Relaxed::Solution => return Ok(true),
                // The first branch is looked at first.
                Relaxed::Branches(branches) => open.extend(branches.into_iter().rev()),
            }
        }
        Ok(false)
    }

    /// How many devices of an atom a demand may have, as far as what was taken and the constraints on single devices
    /// say.
    fn capacity(&self, demand: usize, atom: usize) -> u64 {
        let mut capacity = self.state.left[atom];
        for (scope, constraint) in self.problem.scopes.iter().enumerate() {
            if !constraint.covers(demand) {
                continue;
            }
            let Some(value) = self.atoms[atom].values[scope] else { return 0 };
            match constraint.relation {
                Relation::Same if self.state.same[scope].is_some_and(|same| same != value) => return 0,
                Relation::Same => {}
                Relation::Distinct if self.state.used[scope].contains(&value) => return 0,
                Relation::Distinct => capacity = capacity.min(1),
            }
        }
        capacity
    }

    /// The flow under these decisions: whether there is one, whether it is a solution, and if not, what to decide.
    fn relax(&self, mut decisions: Decisions) -> Relaxed {
        // A group that is taken settles the use of the cards that its members are on.
        for (group, atoms) in self.groups.iter().enumerate() {
            for &atom in
                atoms.iter().filter(|&&a| decisions.group[group] == Some(true) && self.state.left[a] > 0)
            {
                if let Some((card, side)) = self.atoms[atom].card {
                    if decisions.side[card].is_some_and(|decided| decided != side) {
                        return Relaxed::Impossible;
                    }
                    decisions.side[card] = Some(side);
                }
            }
        }
        let mut edges = Vec::new();
        for (a, atom) in self.atoms.iter().enumerate() {
            let group_out = atom.group.is_some_and(|group| decisions.group[group] == Some(false));
            let card_out =
                atom.card.is_some_and(|(card, side)| decisions.side[card].is_some_and(|d| d != side));
            if self.state.left[a] == 0 || group_out || card_out {
                continue;
            }
            for &d in &atom.serves {
                let agrees = self.problem.scopes.iter().enumerate().all(|(s, scope)| {
                    scope.relation != Relation::Same
                        || !scope.covers(d)
                        || decisions.same[s].is_none_or(|same| atom.values[s] == Some(same))
                });
                let capacity = self.capacity(d, a);
                if capacity > 0 && agrees && self.state.needs[d] > 0 && !decisions.forbidden.contains(&(d, a))
                {
                    edges.push((d, a, capacity));
                }
            }
        }
        let Some(guides) = self.distribute(&edges) else { return Relaxed::Impossible };
        let Some(flow) = self.flow(&edges, &decisions) else { return Relaxed::Impossible };
        let branches = self.branches(&flow, &edges, &decisions);
        if branches.is_empty() {
            return Relaxed::Solution;
        }
        if !guides.is_empty() {
            // Where devices must differ, a way to give each demand values of its own often leads straight to a solution.
            let guided = |d: usize, a: usize| {
                guides.iter().all(|(scope, given)| {
                    !self.problem.scopes[*scope].covers(d)
                        || self.atoms[a].values[*scope].is_some_and(|value| given.contains(&(d, value)))
                })
            };
            let narrow: Vec<_> = edges.iter().copied().filter(|&(d, a, _)| guided(d, a)).collect();
            if let Some(flow) = self.flow(&narrow, &decisions)
                && self.branches(&flow, &narrow, &decisions).is_empty()
            {
                return Relaxed::Solution;
            }
        }
        Relaxed::Branches(branches)
    }

    /// The flow over these edges, as devices per demand and atom; `None` if it cannot serve all.
    fn flow(&self, edges: &[(usize, usize, u64)], decisions: &Decisions) -> Option<Vec<(usize, usize, u64)>> {
        let mut network = Network::new(self.state.needs.clone(), self.state.left.clone());
        for &(d, a, capacity) in edges {
            network.connect(d, a, capacity);
        }
        let forced: Vec<usize> = (0..self.groups.len())
            .filter(|&group| decisions.group[group] == Some(true))
            .flat_map(|group| self.groups[group].iter().copied())
            .filter(|&a| !self.atoms[a].serves.is_empty() && self.state.left[a] > 0)
            .collect();
        let served = network.exhaust(&forced) && network.satisfy();
        served.then(|| network.flows().map(|edge| (edge.left, edge.right, edge.flow)).collect())
    }

    /// For each constraint of difference a way to give each demand as many values of its own as it needs; `None` if for
    /// one of them there is none.
    fn distribute(&self, edges: &[(usize, usize, u64)]) -> Option<Vec<Guide>> {
        let mut guides = Vec::new();
        for (s, scope) in self.problem.scopes.iter().enumerate() {
            if scope.relation != Relation::Distinct {
                continue;
            }
            let covered: BTreeSet<(usize, Value)> = edges
                .iter()
                .filter(|(d, _, _)| scope.covers(*d))
                .filter_map(|&(d, a, _)| Some((d, self.atoms[a].values[s]?)))
                .collect();
            let values: BTreeSet<Value> = covered.iter().map(|&(_, value)| value).collect();
            let values: Vec<Value> = values.into_iter().collect();
            let needs =
                (0..self.state.needs.len()).map(|d| if scope.covers(d) { self.state.needs[d] } else { 0 });
            let mut network = Network::new(needs.collect(), vec![1; values.len()]);
            for (d, value) in covered {
                if let Ok(at) = values.binary_search(&value) {
                    network.connect(d, at, 1);
                }
            }
            if !network.satisfy() {
                return None;
            }
            guides.push((s, network.flows().map(|edge| (edge.left, values[edge.right])).collect()));
        }
        Some(guides)
    }

    /// What to decide about the first thing that a flow gets wrong; nothing if it is a solution.
    fn branches(
        &self,
        flow: &[(usize, usize, u64)],
        edges: &[(usize, usize, u64)],
        decisions: &Decisions,
    ) -> Vec<Decisions> {
        let mut used = vec![0; self.atoms.len()];
        for &(_, a, amount) in flow {
            used[a] += amount;
        }
        self.branch_same(flow, edges, decisions)
            .or_else(|| self.branch_group(&used, decisions))
            .or_else(|| self.branch_card(&used, decisions))
            .or_else(|| self.branch_distinct(flow, decisions))
            .unwrap_or_default()
    }

    /// Devices that must agree and do not: one branch per value that they could agree on.
    fn branch_same(
        &self,
        flow: &[(usize, usize, u64)],
        edges: &[(usize, usize, u64)],
        decisions: &Decisions,
    ) -> Option<Vec<Decisions>> {
        let values = |s: usize, pairs: &mut dyn Iterator<Item = (usize, usize)>| -> BTreeSet<Value> {
            pairs
                .filter(|&(d, _)| self.problem.scopes[s].covers(d))
                .filter_map(|(_, a)| self.atoms[a].values[s])
                .collect()
        };
        let scope = (0..self.problem.scopes.len()).find(|&s| {
            self.problem.scopes[s].relation == Relation::Same
                && decisions.same[s].is_none()
                && values(s, &mut flow.iter().map(|&(d, a, _)| (d, a))).len() > 1
        })?;
        let candidates = values(scope, &mut edges.iter().map(|&(d, a, _)| (d, a)));
        Some(
            candidates
                .into_iter()
                .map(|value| {
                    let mut branch = decisions.clone();
                    branch.same[scope] = Some(value);
                    branch
                })
                .collect(),
        )
    }

    /// A group that is used in part: it is taken as a whole, or it and those like it are left alone.
    fn branch_group(&self, used: &[u64], decisions: &Decisions) -> Option<Vec<Decisions>> {
        let partly = |group: &usize| {
            let atoms = || self.groups[*group].iter().copied().filter(|&a| self.state.left[a] > 0);
            // A member on a card settles the use of that card, which is decided with the group.
            let whole = atoms().all(|a| {
                let complete = self.atoms[a].serves.is_empty() || used[a] == self.state.left[a];
                complete && self.atoms[a].card.is_none()
            });
            decisions.group[*group].is_none() && atoms().any(|a| used[a] > 0) && !whole
        };
        let group = (0..self.groups.len()).find(partly)?;
        let looks = |group: usize| {
            let mut atoms: Vec<_> = self.groups[group]
                .iter()
                .map(|&a| (&self.atoms[a].serves, self.state.left[a], &self.atoms[a].values))
                .collect();
            atoms.sort();
            atoms
        };
        let plain = |group: usize| {
            let atoms = &self.groups[group];
            atoms.iter().all(|&a| self.atoms[a].card.is_none())
                && !decisions.forbidden.iter().any(|(_, a)| atoms.contains(a))
        };
        let alike: Vec<usize> = (0..self.groups.len())
            .filter(|&g| decisions.group[g].is_none())
            .filter(|&g| g == group || (plain(g) && plain(group) && looks(g) == looks(group)))
            .collect();
        let (mut taken, mut left) = (decisions.clone(), decisions.clone());
        taken.group[alike[0]] = Some(true);
        for g in alike {
            left.group[g] = Some(false);
        }
        Some(vec![taken, left])
    }

    /// A card used as PF and as VFs: the first of those like it gives its PF, or none of them does.
    fn branch_card(&self, used: &[u64], decisions: &Decisions) -> Option<Vec<Decisions>> {
        let busy = |card: usize, side: usize| self.cards[card][side].iter().any(|&a| used[a] > 0);
        let card = (0..self.cards.len()).find(|&card| busy(card, 0) && busy(card, 1))?;
        let looks = |card: usize| {
            self.cards[card].each_ref().map(|atoms| {
                let mut atoms: Vec<_> = atoms
                    .iter()
                    .filter(|&&a| self.state.left[a] > 0)
                    .map(|&a| (&self.atoms[a].serves, self.state.left[a], &self.atoms[a].values))
                    .collect();
                atoms.sort();
                atoms
            })
        };
        let plain = |card: usize| {
            let atoms = || self.cards[card].iter().flatten();
            atoms().all(|&a| self.atoms[a].group.is_none())
                && !decisions.forbidden.iter().any(|(_, a)| atoms().any(|other| other == a))
        };
        let wanted = looks(card);
        let alike: Vec<usize> = (0..self.cards.len())
            .filter(|&c| decisions.side[c].is_none())
            .filter(|&c| c == card || (plain(c) && plain(card) && looks(c) == wanted))
            .collect();
        let (mut physical, mut virtuals) = (decisions.clone(), decisions.clone());
        physical.side[alike[0]] = Some(Side::Physical);
        for c in alike {
            virtuals.side[c] = Some(Side::Virtual);
        }
        Some(vec![physical, virtuals])
    }

    /// Two uses of one value where all must differ: one of the two is ruled out.
    fn branch_distinct(&self, flow: &[(usize, usize, u64)], decisions: &Decisions) -> Option<Vec<Decisions>> {
        for (s, scope) in self.problem.scopes.iter().enumerate() {
            if scope.relation != Relation::Distinct {
                continue;
            }
            let mut first: BTreeMap<Value, (usize, usize)> = BTreeMap::new();
            for &(d, a, _) in flow.iter().filter(|(d, _, _)| scope.covers(*d)) {
                let Some(value) = self.atoms[a].values[s] else { continue };
                if let Some(&other) = first.get(&value) {
                    let without = |pair| {
                        let mut branch = decisions.clone();
                        branch.forbidden.insert(pair);
                        branch
                    };
                    return Some(vec![without((d, a)), without(other)]);
                }
                first.insert(value, (d, a));
            }
        }
        None
    }
}
