//! What to decide about the first thing that a flow gets wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::bins::Value;
use super::bits::Bits;
use super::layout::Side;
use super::search::{Amount, Branch, Decided, Search};
use crate::request::Relation;

/// The decisions of which one holds; `None` if the flow gets nothing wrong and is a solution.
///
/// `mixed` is one of the pairs of a value that is shared in a way that none of them allows.
pub(super) fn branches(
    search: &Search<'_>,
    flow: &[Amount],
    mixed: Option<usize>,
    decided: &Decided,
) -> Option<Vec<Later>> {
    let layout = &search.layout;
    let mut used = vec![0; layout.atoms.len()];
    for &(pair, amount) in flow {
        used[layout.pairs[pair].atom] += amount;
    }
    let others = || {
        group(search, &used, decided)
            .or_else(|| card(search, &used, decided))
            .or_else(|| distinct(search, flow, decided))
            .or_else(|| mixed.map(|pair| used_or_not(search, pair, decided)))
    };
    let ready = |branch: Branch| -> Later { Box::new(move |_| branch) };
    same(search, flow, decided).or_else(|| Some(others()?.into_iter().map(ready).collect()))
}

/// A branch that is made when it is looked at: of many values most never are.
pub(super) type Later = Box<dyn FnOnce(&Search<'_>) -> Branch>;

/// The decisions without the pairs that `removed` names.
fn without(search: &Search<'_>, decided: &Decided, removed: impl Fn(usize) -> bool) -> Branch {
    let Search { layout, problem, .. } = search;
    let mut branch = Branch { decided: decided.clone(), touched: Bits::none(problem.classes) };
    for pair in decided.allowed.iter().filter(|&pair| removed(pair)) {
        branch.decided.allowed.remove(pair);
        branch.touched.insert(layout.pairs[pair].class);
    }
    branch
}

/// Devices that must agree and do not: one branch per value that they could agree on, of the constraint that has fewest
/// of them.
fn same(search: &Search<'_>, flow: &[Amount], decided: &Decided) -> Option<Vec<Later>> {
    let problem = search.problem;
    let candidates =
        (0..problem.scopes.len()).filter(|&s| problem.scopes[s].relation == Relation::Same).filter_map(|s| {
            let mut chosen: BTreeMap<Value, u64> = BTreeMap::new();
            for &(pair, amount) in flow {
                if let Some(value) = value_in(search, s, pair) {
                    *chosen.entry(value).or_default() += amount;
                }
            }
            if chosen.len() < 2 {
                return None;
            }
            let possible: BTreeSet<Value> =
                search.open_pairs(decided).filter_map(|pair| value_in(search, s, pair)).collect();
            Some((s, possible, chosen))
        });
    let (s, possible, chosen) = candidates.min_by_key(|(_, possible, _)| possible.len())?;
    // What the flow likes best is tried first; of values that look alike, one stands for all.
    let mut known = BTreeSet::new();
    let looks = value_looks(search, &possible, decided);
    let mut values: Vec<Value> = looks
        .into_iter()
        .filter_map(|(value, look)| look.is_none_or(|look| known.insert(look)).then_some(value))
        .collect();
    values.sort_by_key(|value| std::cmp::Reverse(chosen.get(value).copied().unwrap_or(0)));
    let decided = Rc::new(decided.clone());
    let branch = |agreed: Value| -> Later {
        let decided = Rc::clone(&decided);
        Box::new(move |search| {
            without(search, &decided, |pair| value_in(search, s, pair).is_some_and(|value| value != agreed))
        })
    };
    Some(values.into_iter().map(branch).collect())
}

/// The value of a pair under a constraint, if its class is under it.
fn value_in(search: &Search<'_>, scope: usize, pair: usize) -> Option<Value> {
    let pair = search.layout.pairs[pair];
    let scope = &search.problem.scopes[scope];
    search.layout.atoms[pair.atom].values[scope.key].filter(|_| scope.covers.contains(pair.class))
}

/// What must be equal for two of these values to be interchangeable; `None` for one that stands for itself.
fn value_looks(
    search: &Search<'_>,
    values: &BTreeSet<Value>,
    decided: &Decided,
) -> BTreeMap<Value, Option<Vec<LookOfKinds>>> {
    let mut looks: BTreeMap<Value, Option<Vec<LookOfKinds>>> =
        values.iter().map(|&value| (value, Some(Vec::new()))).collect();
    let kinds = kinds_of_atoms(search);
    for (a, atom) in search.layout.atoms.iter().enumerate().filter(|(a, _)| search.state.left[*a] > 0) {
        let own: BTreeSet<Value> = atom.values.iter().flatten().copied().collect();
        for value in own {
            let Some(look) = looks.get_mut(&value) else { continue };
            if atom.card.is_some() || atom.group.is_some() {
                *look = None;
            } else if let Some(look) = look {
                let masked = |v: Value| if v == value { Value::MAX } else { v };
                let values = atom.values.iter().map(|other| other.map(masked)).collect();
                let own = (allowed_classes(search, a, decided), search.state.left[a], values, atom.far);
                look.push((own, kinds.get(a).cloned().unwrap_or_default()));
            }
        }
    }
    looks.values_mut().flatten().for_each(|look| look.sort());
    looks
}

/// How many devices of each kind every atom has, where open options are told apart by that; else nothing.
fn kinds_of_atoms(search: &Search<'_>) -> Vec<Vec<u64>> {
    let Search { layout, problem, state, .. } = search;
    if !problem.is_bound || problem.kinds.is_empty() {
        return Vec::new();
    }
    let kinds = problem.kinds.iter().max().map_or(0, |last| last + 1);
    let mut of_atoms = vec![vec![0; kinds]; layout.atoms.len()];
    for ((atom, &kind), &left) in layout.atom_of.iter().zip(&*problem.kinds).zip(&state.bins) {
        if let Some(atom) = *atom {
            of_atoms[atom][kind] += u64::from(left);
        }
    }
    of_atoms
}

/// What an atom is to the rest: who may use it, how much of it, its values, and whether it is far.
type Look = (Vec<usize>, u64, Vec<Option<Value>>, bool);

/// The same with how many devices of each kind it has.
type LookOfKinds = (Look, Vec<u64>);

fn allowed_classes(search: &Search<'_>, atom: usize, decided: &Decided) -> Vec<usize> {
    let pairs = search.layout.pairs_of(atom);
    pairs.filter(|&pair| decided.allowed.contains(pair)).map(|pair| search.layout.pairs[pair].class).collect()
}

fn atom_looks(search: &Search<'_>, atoms: &[usize], decided: &Decided) -> Vec<(bool, Look)> {
    let mut looks: Vec<(bool, Look)> = atoms
        .iter()
        .filter(|&&a| search.state.left[a] > 0)
        .map(|&a| {
            let atom = &search.layout.atoms[a];
            let classes = allowed_classes(search, a, decided);
            let look = (classes, search.state.left[a], atom.values.clone(), atom.far);
            (!atom.wanted, look)
        })
        .collect();
    looks.sort();
    looks
}

/// A group that is used in part: it is taken as a whole, or it and those like it are left alone.
fn group(search: &Search<'_>, used: &[u64], decided: &Decided) -> Option<Vec<Branch>> {
    let Search { layout, state, .. } = search;
    let partly = |group: &usize| {
        let atoms = || layout.groups[*group].iter().copied().filter(|&a| state.left[a] > 0);
        // A member on a card settles the use of that card, which is decided with the group.
        let whole = atoms().all(|a| {
            let complete = !layout.atoms[a].wanted || used[a] == state.left[a];
            complete && layout.atoms[a].card.is_none()
        });
        decided.group[*group].is_none() && atoms().any(|a| used[a] > 0) && !whole
    };
    let group = (0..layout.groups.len()).find(partly)?;
    let plain = |group: usize| layout.groups[group].iter().all(|&a| layout.atoms[a].card.is_none());
    let looks = atom_looks(search, &layout.groups[group], decided);
    // Who could use them before anything was decided counts, too: the reason why the one cannot be used up must be one why
    // the other cannot.
    let serves = |group: usize| {
        let mut serves: Vec<&[usize]> =
            layout.groups[group].iter().map(|&a| layout.atoms[a].serves.as_slice()).collect();
        serves.sort_unstable();
        serves
    };
    let alike = |g: usize| {
        g == group
            || (plain(g)
                && plain(group)
                && serves(g) == serves(group)
                && atom_looks(search, &layout.groups[g], decided) == looks)
    };
    let alike: Vec<usize> =
        (0..layout.groups.len()).filter(|&g| decided.group[g].is_none() && alike(g)).collect();
    let in_group = |pair: usize| layout.atoms[layout.pairs[pair].atom].group;
    let mut taken = without(search, decided, |_| false);
    taken.decided.group[alike[0]] = Some(true);
    for &atom in &layout.groups[alike[0]] {
        layout.atoms[atom].serves.iter().for_each(|&class| taken.touched.insert(class));
    }
    let mut left =
        without(search, decided, |pair| in_group(pair).is_some_and(|group| alike.contains(&group)));
    for &g in &alike {
        left.decided.group[g] = Some(false);
    }
    Some(vec![taken, left])
}

/// A card used as PF and as VFs: the first of those like it gives its PF, or none of them does.
fn card(search: &Search<'_>, used: &[u64], decided: &Decided) -> Option<Vec<Branch>> {
    let Search { layout, .. } = search;
    let busy = |card: usize, side: Side| layout.cards[card][side as usize].iter().any(|&a| used[a] > 0);
    let card =
        (0..layout.cards.len()).find(|&card| busy(card, Side::Physical) && busy(card, Side::Virtual))?;
    let plain = |card: usize| layout.cards[card].iter().flatten().all(|&a| layout.atoms[a].group.is_none());
    let looks = |card: usize| layout.cards[card].each_ref().map(|atoms| atom_looks(search, atoms, decided));
    let wanted = looks(card);
    let alike: Vec<usize> = (0..layout.cards.len())
        .filter(|&c| c == card || (plain(c) && plain(card) && looks(c) == wanted))
        .collect();
    let on = |pair: usize, side: Side| {
        layout.atoms[layout.pairs[pair].atom].card.filter(|(_, own)| *own == side).map(|(card, _)| card)
    };
    let physical = without(search, decided, |pair| on(pair, Side::Virtual) == Some(alike[0]));
    let virtuals =
        without(search, decided, |pair| on(pair, Side::Physical).is_some_and(|card| alike.contains(&card)));
    Some(vec![physical, virtuals])
}

/// Two uses of one value where all must differ: one of the two is made, or it is not. Of several such values the one that
/// fewest pairs could use is decided first.
fn distinct(search: &Search<'_>, flow: &[Amount], decided: &Decided) -> Option<Vec<Branch>> {
    let Search { layout, .. } = search;
    let mut first: BTreeMap<(usize, Value), usize> = BTreeMap::new();
    // Whether the two uses are of the same atom.
    let mut clashes: BTreeMap<(usize, Value), bool> = BTreeMap::new();
    for &(pair, _) in flow {
        for place in places(search, pair) {
            if let Some(other) = first.insert(place, pair) {
                clashes.insert(place, layout.pairs[other].atom == layout.pairs[pair].atom);
            }
        }
    }
    let open = |(s, value): (usize, Value)| {
        let pairs = layout.by_value[s][&value].iter().copied();
        let atoms = pairs.filter(|&pair| search.is_open(decided, pair)).map(|pair| layout.pairs[pair].atom);
        atoms.collect::<BTreeSet<usize>>().len()
    };
    let (place, same_atom) = clashes.into_iter().min_by_key(|&(place, _)| open(place))?;
    let pair = first[&place];
    Some(match same_atom {
        true => pair_or_not(search, pair, decided),
        false => used_or_not(search, pair, decided),
    })
}

/// The values that a pair uses up, each with its constraint.
fn places<'s>(search: &'s Search<'_>, pair: usize) -> impl Iterator<Item = (usize, Value)> + 's {
    let own = search.layout.pairs[pair];
    search.layout.scopes_of[own.class].iter().filter_map(move |&s| {
        let scope = &search.problem.scopes[s];
        let value = search.layout.atoms[own.atom].values[scope.key];
        value.filter(|_| scope.relation == Relation::Distinct).map(|value| (s, value))
    })
}

/// An atom is used, by whichever class, which rules out all that clashes with that, or it is not. Where that rules out
/// nothing, because its classes are not all under one constraint, the same for a pair.
fn used_or_not(search: &Search<'_>, pair: usize, decided: &Decided) -> Vec<Branch> {
    let Search { layout, .. } = search;
    let own = layout.pairs[pair];
    let users: Vec<usize> = layout
        .pairs_of(own.atom)
        .filter(|&pair| search.is_open(decided, pair))
        .map(|pair| layout.pairs[pair].class)
        .collect();
    let places: Vec<(usize, Value)> = places(search, pair)
        .filter(|&(s, _)| users.iter().all(|&class| search.problem.scopes[s].covers.contains(class)))
        .collect();
    let used = without(search, decided, |other| {
        layout.pairs[other].atom != own.atom && is_clash(search, own.atom, &places, other)
    });
    if places.is_empty() || used.touched.is_empty() {
        return pair_or_not(search, pair, decided);
    }
    vec![used, without(search, decided, |other| layout.pairs[other].atom == own.atom)]
}

/// A pair is used, which rules out all that clashes with it, or it is not.
fn pair_or_not(search: &Search<'_>, pair: usize, decided: &Decided) -> Vec<Branch> {
    let Search { layout, state, .. } = search;
    let own = layout.pairs[pair];
    let places: Vec<(usize, Value)> = places(search, pair).collect();
    let used = without(search, decided, |other| {
        let last_device = layout.pairs[other].atom == own.atom && state.left[own.atom] == 1;
        other != pair && (last_device || is_clash(search, own.atom, &places, other))
    });
    vec![used, without(search, decided, |other| other == pair)]
}

/// Whether a pair cannot be used beside an atom that uses up these values.
fn is_clash(search: &Search<'_>, atom: usize, places: &[(usize, Value)], pair: usize) -> bool {
    let Search { layout, problem, .. } = search;
    let that = layout.pairs[pair];
    let (own, other) = (&layout.atoms[atom], &layout.atoms[that.atom]);
    let other_use = match (own.card, other.card) {
        (Some((card, side)), Some((that_card, that_side))) => card == that_card && side != that_side,
        _ => false,
    };
    let same_value = |&(s, value): &(usize, Value)| {
        let scope = &problem.scopes[s];
        other.values[scope.key] == Some(value) && scope.covers.contains(that.class)
    };
    other_use || places.iter().any(same_value)
}
