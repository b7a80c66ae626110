//! What can be concluded without a decision: pairs that are out of the question, and counts that cannot come out.

use std::collections::BTreeMap;

use super::bins::Value;
use super::bits::Bits;
use super::budget::Exhausted;
use super::flow::Network;
use super::layout::Side;
use super::search::{Decided, Search};
use crate::request::Relation;

/// Removes what the decisions leave no use for; fails with the classes that cannot be served then.
pub(super) fn settle(search: &Search<'_>, decided: &mut Decided) -> Result<(), Bits> {
    loop {
        let mut changed = settle_groups(search, decided)?;
        changed |= settle_same(search, decided)?;
        if !changed {
            return Ok(());
        }
    }
}

/// A group that is taken settles the use of the cards that its members are on; one that cannot be used up is not taken.
fn settle_groups(search: &Search<'_>, decided: &mut Decided) -> Result<bool, Bits> {
    let Search { layout, state, .. } = search;
    if layout.groups.iter().all(Vec::is_empty) {
        return Ok(false);
    }
    let mut sides: BTreeMap<usize, Side> = BTreeMap::new();
    let mut clash = false;
    for (_, atoms) in layout.groups.iter().enumerate().filter(|(g, _)| decided.group[*g] == Some(true)) {
        for &a in atoms {
            layout.atoms[a].serves.iter().for_each(|&class| decided.blame.insert(class));
            if let Some((card, side)) = layout.atoms[a].card.filter(|_| state.left[a] > 0) {
                clash |= sides.insert(card, side).is_some_and(|other| other != side);
            }
        }
    }
    if clash {
        return Err(decided.blame.clone());
    }
    let off = |a: usize| {
        let card = layout.atoms[a].card.filter(|_| state.left[a] > 0);
        card.is_some_and(|(card, side)| sides.get(&card).is_some_and(|settled| *settled != side))
    };
    let mut changed = false;
    for (a, _) in layout.atoms.iter().enumerate().filter(|(a, _)| off(*a)) {
        changed |= remove(decided, layout.pairs_of(a));
    }
    for (group, atoms) in layout.groups.iter().enumerate().filter(|(_, atoms)| !atoms.is_empty()) {
        if decided.group[group].is_some() {
            continue;
        }
        let open = |a: usize| layout.pairs_of(a).any(|pair| search.is_open(decided, pair));
        let unusable = |a: usize| state.left[a] > 0 && layout.atoms[a].wanted && !open(a);
        let Some(&reason) = atoms.iter().find(|&&a| off(a) || unusable(a)) else { continue };
        layout.atoms[reason].serves.iter().for_each(|&class| decided.blame.insert(class));
        decided.group[group] = Some(false);
        for &a in atoms {
            remove(decided, layout.pairs_of(a));
        }
        changed = true;
    }
    Ok(changed)
}

/// Devices can agree only on a value that has enough of them for everyone.
fn settle_same(search: &Search<'_>, decided: &mut Decided) -> Result<bool, Bits> {
    let Search { layout, problem, state, .. } = search;
    let mut changed = false;
    for (s, scope) in problem.scopes.iter().enumerate().filter(|(_, s)| s.relation == Relation::Same) {
        let needed = state.needed(&scope.covers);
        if needed == 0 {
            continue;
        }
        let mut is_possible = false;
        for pairs in layout.by_value[s].values() {
            let mut given = vec![0_u64; problem.classes];
            let (mut supply, mut last) = (0_u64, None);
            for &pair in pairs.iter().filter(|&&pair| decided.allowed.contains(pair)) {
                let own = layout.pairs[pair];
                given[own.class] = given[own.class].saturating_add(search.capacity(pair));
                if search.capacity(pair) > 0 && last.replace(own.atom) != Some(own.atom) {
                    supply = supply.saturating_add(state.left[own.atom]);
                }
            }
            if supply >= needed && scope.covers.iter().all(|class| given[class] >= state.needs[class]) {
                is_possible = true;
            } else if remove(decided, pairs.iter().copied()) {
                decided.blame.add(&scope.covers);
                changed = true;
            }
        }
        if !is_possible {
            decided.blame.add(&scope.covers);
            return Err(decided.blame.clone());
        }
    }
    Ok(changed)
}

fn remove(decided: &mut Decided, pairs: impl IntoIterator<Item = usize>) -> bool {
    let mut removed = false;
    for pair in pairs {
        removed |= decided.allowed.contains(pair);
        decided.allowed.remove(pair);
    }
    removed
}

/// Counts what a flow does not see; fails with classes that cannot be served together.
pub(super) fn check(search: &mut Search<'_>, decided: &Decided) -> Result<Result<(), Bits>, Exhausted> {
    if let Err(core) = pigeonholes(search, decided).and_then(|()| group_sums(search, decided)) {
        return Ok(Err(core));
    }
    cards(search, decided)
}

/// Constraints of agreement on one key of which at most `k` find room in any one value need enough values.
fn pigeonholes(search: &Search<'_>, decided: &Decided) -> Result<(), Bits> {
    let Search { layout, problem, state, .. } = search;
    let mut by_key: BTreeMap<usize, Vec<(u64, usize)>> = BTreeMap::new();
    for (s, scope) in problem.scopes.iter().enumerate().filter(|(_, s)| s.relation == Relation::Same) {
        let needed = state.needed(&scope.covers);
        if needed > 0 {
            by_key.entry(scope.key).or_default().push((needed, s));
        }
    }
    for mut scopes in by_key.into_values().filter(|scopes| scopes.len() > 1) {
        // Of constraints that share a class only one counts, lest its devices be counted twice.
        scopes.sort_by_key(|&(needed, s)| (std::cmp::Reverse(needed), s));
        let mut covered = Bits::none(problem.classes);
        scopes.retain(|&(_, s)| {
            let apart = covered.is_disjoint(&problem.scopes[s].covers);
            if apart {
                covered.add(&problem.scopes[s].covers);
            }
            apart
        });
        let mut room: BTreeMap<Value, BTreeMap<usize, u64>> = BTreeMap::new();
        let mut possible: Vec<Vec<Value>> = Vec::with_capacity(scopes.len());
        for &(_, s) in &scopes {
            let mut values = Vec::new();
            for (&value, pairs) in &layout.by_value[s] {
                let open = pairs.iter().filter(|&&pair| search.is_open(decided, pair));
                let atoms = room.entry(value).or_default();
                let before = values.len();
                for &pair in open {
                    let atom = layout.pairs[pair].atom;
                    atoms.insert(atom, state.left[atom]);
                    values.truncate(before);
                    values.push(value);
                }
            }
            possible.push(values);
        }
        let room = |value: &Value| room.get(value).map_or(0, |atoms| atoms.values().sum::<u64>());
        for holes in 1..scopes.len().min(4) as u64 {
            let is_big = |i: &usize| {
                possible[*i].iter().all(|value| (holes + 1).saturating_mul(scopes[*i].0) > room(value))
            };
            let big: Vec<usize> = (0..scopes.len()).filter(is_big).collect();
            if big.len() as u64 > holes && !fits_holes(&big, &possible, holes) {
                let mut core = Bits::none(problem.classes);
                big.iter().for_each(|&i| core.add(&problem.scopes[scopes[i].1].covers));
                return Err(core);
            }
        }
    }
    Ok(())
}

/// Whether each of `big` finds a value, with at most `holes` in each.
fn fits_holes(big: &[usize], possible: &[Vec<Value>], holes: u64) -> bool {
    let mut network = Network::new();
    let mut values = BTreeMap::new();
    for &i in big {
        let node = network.node();
        let arc = network.connect(Network::SOURCE, node);
        network.open(arc, 1);
        for &value in &possible[i] {
            let hole = *values.entry(value).or_insert_with(|| {
                let hole = network.node();
                let arc = network.connect(hole, Network::SINK);
                network.open(arc, holes);
                hole
            });
            let arc = network.connect(node, hole);
            network.open(arc, 1);
        }
    }
    network.augment() == big.len() as u64
}

/// The most devices for which it is counted what groups can add up to.
const MAX_SUM: u64 = 4096;

/// Groups give all that is wanted of them or nothing: together with single devices, that must come to what is needed.
fn group_sums(search: &Search<'_>, decided: &Decided) -> Result<(), Bits> {
    let Search { layout, problem, state, .. } = search;
    let is_open = |(group, atoms): (&Option<bool>, &Vec<usize>)| group.is_none() && !atoms.is_empty();
    // With other options there may be more devices that are wanted, and fewer that have to be used.
    if problem.is_bound || !decided.group.iter().zip(&layout.groups).any(is_open) {
        return Ok(());
    }
    // Classes that share an atom or a group are counted together.
    let mut leader: Vec<usize> = (0..problem.classes).collect();
    fn find(leader: &[usize], mut class: usize) -> usize {
        while leader[class] != class {
            class = leader[class];
        }
        class
    }
    let mut first: BTreeMap<(bool, usize), usize> = BTreeMap::new();
    for pair in search.open_pairs(decided) {
        let own = layout.pairs[pair];
        let place = layout.atoms[own.atom].group.map_or((false, own.atom), |group| (true, group));
        let other = *first.entry(place).or_insert(own.class);
        let (a, b) = (find(&leader, own.class), find(&leader, other));
        leader[a.max(b)] = a.min(b);
    }
    let together = |class: usize| find(&leader, class);
    for head in (0..problem.classes).filter(|&class| together(class) == class && state.needs[class] > 0) {
        let needed: u64 = (0..problem.classes).filter(|&c| together(c) == head).map(|c| state.needs[c]).sum();
        if needed > MAX_SUM {
            continue;
        }
        let size = |group: usize| -> u64 {
            let atoms = layout.groups[group].iter().filter(|&&a| !layout.atoms[a].serves.is_empty());
            atoms.map(|&a| state.left[a]).sum()
        };
        let mut single = 0_u64;
        let mut reachable = vec![false; needed as usize + 1];
        reachable[0] = true;
        let mut is_grouped = false;
        for (&(grouped, place), _) in first.iter().filter(|(_, class)| together(**class) == head) {
            if !grouped {
                single = single.saturating_add(state.left[place]);
                continue;
            }
            is_grouped = true;
            let size = usize::try_from(size(place)).unwrap_or(usize::MAX);
            let taken = decided.group[place] == Some(true);
            for sum in (0..reachable.len()).rev() {
                let with = sum >= size && reachable[sum - size];
                reachable[sum] = with || (reachable[sum] && !taken);
            }
        }
        let enough =
            |(sum, reachable): (usize, &bool)| *reachable && (sum as u64).saturating_add(single) >= needed;
        if is_grouped && !reachable.iter().enumerate().any(enough) {
            let mut core = Bits::none(problem.classes);
            (0..problem.classes).filter(|&c| together(c) == head).for_each(|c| core.insert(c));
            // How large a group is depends on all who could use it, even if a decision keeps them from it.
            let groups = first.iter().filter(|((grouped, _), class)| *grouped && together(**class) == head);
            let members = groups.flat_map(|(&(_, group), _)| &layout.groups[group]);
            members.flat_map(|&atom| &layout.atoms[atom].serves).for_each(|&class| core.insert(class));
            return Err(core);
        }
    }
    Ok(())
}

/// What those who use PFs take away from those who do not: their cards' VFs, at least those of the poorest cards.
fn cards(search: &mut Search<'_>, decided: &Decided) -> Result<Result<(), Bits>, Exhausted> {
    let classes = search.problem.classes;
    let mut busy = vec![[Bits::none(classes), Bits::none(classes)]; search.layout.cards.len()];
    for pair in search.open_pairs(decided) {
        let own = search.layout.pairs[pair];
        if let Some((card, side)) = search.layout.atoms[own.atom].card {
            busy[card][side as usize].insert(own.class);
        }
    }
    let (mut takers, mut losers) = (Bits::none(classes), Bits::none(classes));
    for [physical, virtuals] in busy.iter().filter(|sides| sides.iter().all(|side| !side.is_empty())) {
        takers.add(physical);
        losers.add(virtuals);
    }
    let others: Vec<usize> = losers.iter().filter(|&class| !takers.contains(class)).collect();
    if takers.is_empty() || others.is_empty() {
        return Ok(Ok(()));
    }
    let set = |members: &mut dyn Iterator<Item = usize>| {
        let mut set = Bits::none(classes);
        members.for_each(|class| set.insert(class));
        set
    };
    let mut victims: Vec<(Bits, Option<usize>)> = vec![(set(&mut others.iter().copied()), None)];
    if others.len() > 1 {
        victims.extend(others.iter().map(|&class| (set(&mut std::iter::once(class)), None)));
    }
    for (s, scope) in
        search.problem.scopes.iter().enumerate().filter(|(_, s)| s.relation == Relation::Distinct)
    {
        let covered = set(&mut others.iter().copied().filter(|&class| scope.covers.contains(class)));
        if !covered.is_empty() {
            victims.push((covered, Some(s)));
        }
    }
    for (victims, differ_in) in victims {
        let needed = search.state.needed(&victims);
        let (supply, cost) = supply_and_cost(search, decided, &victims, differ_in);
        if cost.iter().all(|&cost| cost == 0) {
            continue;
        }
        let least = search.least_cost(decided, &takers, &cost)?;
        if least.is_none_or(|least| needed.saturating_add(least) > supply) {
            let mut core = takers.clone();
            core.add(&victims);
            return Ok(Err(core));
        }
    }
    Ok(Ok(()))
}

/// What can serve these classes, and how much of it a device of each atom takes away: in devices, or, where the devices
/// must differ, in values.
fn supply_and_cost(
    search: &Search<'_>,
    decided: &Decided,
    victims: &Bits,
    differ_in: Option<usize>,
) -> (u64, Vec<u64>) {
    let Search { layout, problem, state, .. } = search;
    let mut cost = vec![0_u64; layout.atoms.len()];
    // What a card's VFs give, and how many of its PFs can be taken.
    let mut of_card = vec![(0_u64, 0_u64); layout.cards.len()];
    let mut atoms: Vec<usize> = Vec::new();
    for pair in search.open_pairs(decided) {
        let own = layout.pairs[pair];
        if victims.contains(own.class) && atoms.last() != Some(&own.atom) {
            atoms.push(own.atom);
        }
    }
    let virtual_card =
        |a: usize| layout.atoms[a].card.filter(|(_, side)| *side == Side::Virtual).map(|(card, _)| card);
    let supply = match differ_in {
        None => {
            for &a in &atoms {
                cost[a] = 1;
                if let Some(card) = virtual_card(a) {
                    of_card[card].0 = of_card[card].0.saturating_add(state.left[a]);
                }
            }
            atoms.iter().fold(0_u64, |sum, &a| sum.saturating_add(state.left[a]))
        }
        Some(s) => {
            let mut by_value: BTreeMap<Option<Value>, Vec<usize>> = BTreeMap::new();
            for &a in &atoms {
                by_value.entry(layout.atoms[a].values[problem.scopes[s].key]).or_default().push(a);
            }
            for atoms in by_value.values() {
                let card = virtual_card(atoms[0]);
                if let Some(card) = card.filter(|_| atoms.iter().all(|&a| virtual_card(a) == card)) {
                    of_card[card].0 += 1;
                }
                if let ([only], true) = (atoms.as_slice(), state.left[atoms[0]] == 1) {
                    cost[*only] = 1;
                }
            }
            by_value.len() as u64
        }
    };
    for (card, sides) in layout.cards.iter().enumerate() {
        of_card[card].1 = sides[Side::Physical as usize].iter().map(|&a| state.left[a]).sum();
        for &a in &sides[Side::Physical as usize] {
            cost[a] += of_card[card].0.checked_div(of_card[card].1).unwrap_or(0);
        }
    }
    (supply, cost)
}
