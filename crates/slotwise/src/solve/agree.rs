//! Where devices must agree in an attribute: the ways to divide those who need them among its values.
//!
//! A flow may serve one request from two racks. How requests that each keep to one rack find room is a question of
//! packing, which is answered for all of them together: by Hall's theorem a set of them finds room in a rack if each of
//! its subsets finds enough devices there, and what is left at least to those who need not agree follows from the same
//! counts. The best way to divide a set among all racks follows from the best ways to divide its subsets among fewer.

use std::collections::BTreeMap;

use super::bins::Value;
use super::bits::Bits;
use super::branch;
use super::budget::{Budget, Exhausted};
use super::problem::Way;
use super::search::{Amount, Decided, Search};
use crate::request::Relation;

/// What dividing says.
pub(super) enum Division {
    /// These classes cannot be served together under the decisions.
    Impossible(Bits),
    /// A way to divide them is a solution.
    Solution(Vec<Amount>),
    /// Nothing: the search goes on.
    Open,
}

/// So many sums are computed at most for one key.
const MAX_SUMS: usize = 1 << 17;

/// So many of those who need devices are counted at most for one key.
const MAX_MEMBERS: usize = 10;

/// So many ways to divide are looked at.
const MAX_ATTEMPTS: usize = 4;

/// How many sums cost what one look at an arc does.
const SUMS_PER_LOOK: usize = 8;

/// What is left where there is no room: less than any sum of counts makes up for.
const NO_ROOM: i64 = i64::MIN / 4;

/// Devices that are counted: no sum of these comes near what stands for no room.
const MAX_DEVICES: u64 = 1 << 40;

/// Whether what must agree can be divided among values, for each key that something must agree in.
pub(super) fn divide(search: &mut Search<'_>, decided: &Decided) -> Result<Division, Exhausted> {
    let mut keys: Vec<usize> = Vec::new();
    for scope in search.problem.scopes.iter().filter(|scope| scope.relation == Relation::Same) {
        if !keys.contains(&scope.key) {
            keys.push(scope.key);
        }
    }
    let rooms = keys.into_iter().filter_map(|key| Room::new(search, decided, key).transpose());
    let rooms = rooms.collect::<Result<Vec<Room>, Exhausted>>()?;
    if rooms.is_empty() {
        return Ok(Division::Open);
    }
    // What leaves most to all others is tried first, then what leaves most to those for whom it was too little.
    let mut short_of = Bits::all(search.problem.classes);
    for _ in 0..MAX_ATTEMPTS {
        let mut guide = decided.clone();
        for room in &rooms {
            let others = room.others(&short_of);
            let best = room.best(others, search.budget)?;
            if let Some(short) = room.short(&best, others) {
                return Ok(Division::Impossible(room.core(others, short, search)?));
            }
            room.keep(&mut guide, others, &best);
        }
        match search.flow(0, &guide)? {
            Ok((solution, mixed)) => {
                let is_solution = branch::branches(search, &solution, mixed, &guide).is_none();
                return Ok(if is_solution { Division::Solution(solution) } else { Division::Open });
            }
            Err(core) if core == short_of => break,
            Err(core) => short_of = core,
        }
    }
    Ok(Division::Open)
}

/// Those who must agree in one attribute, and what its values have for them and for others.
///
/// Sets of members are numbers: a bit for each who must agree, and above these one for each of the others.
struct Room {
    /// Classes that must all agree with one another.
    agreeing: Vec<Bits>,
    /// Other classes that can use the same devices.
    others: Vec<usize>,
    /// What each of the others needs.
    needs: Vec<i64>,
    values: Vec<Supply>,
    /// The kinds of bins that each of the others can use.
    kinds: Vec<u64>,
    /// What devices without a value that somebody can agree on have for each set of the others.
    elsewhere: Vec<i64>,
}

/// What one value has.
struct Supply {
    /// The pairs of each who must agree, as far as they are of this value.
    pairs: Vec<Vec<usize>>,
    /// For each set how many devices it finds, less what those in it need who must agree.
    surplus: Vec<i64>,
    /// For each set of those who must agree whether all of them find room here together.
    has_room: Vec<bool>,
    /// How many devices of each kind it has, where options are open.
    of_kind: Vec<i64>,
    /// For sets of those who must agree and have open options: in which ways they find room here together.
    ways: Vec<(usize, Vec<Vec<Way>>)>,
}

impl Supply {
    /// What is left here for others who can use these kinds, at least, once those who must agree are served in these ways.
    fn left_by(&self, ways: &[Way], others: u64) -> i64 {
        let left = |set: usize| {
            let chosen = || members(set).map(|at| &ways[at]);
            let kinds = chosen().fold(others, |kinds, way| kinds | way.kinds);
            let devices = self.of_kind.iter().enumerate().filter(|(kind, _)| kinds >> kind & 1 == 1);
            devices.map(|(_, count)| count).sum::<i64>() - chosen().map(|way| way.needed as i64).sum::<i64>()
        };
        (0..1 << ways.len()).map(left).min().unwrap_or(0)
    }

    /// How many sums it takes to look at so many ways of so many who must agree.
    fn sums(&self, ways: usize, members: usize) -> usize {
        ways.saturating_mul(self.of_kind.len()) << members
    }

    /// In which ways a set of those who must agree finds room here; `None` if that takes more sums than are left.
    fn ways_of(&self, set: usize, open: &[Vec<Way>], sums: &mut usize) -> Option<Vec<Vec<Way>>> {
        let mut all: Vec<Vec<Way>> = vec![Vec::new()];
        for (before, own) in members(set).map(|at| &open[at]).enumerate() {
            *sums = sums.checked_sub(self.sums(all.len() * own.len(), before + 1))?;
            let with = |before: &Vec<Way>| -> Vec<Vec<Way>> {
                own.iter().map(|way| [&before[..], &[*way]].concat()).collect()
            };
            all = all.iter().flat_map(with).filter(|ways| self.left_by(ways, 0) >= 0).collect();
        }
        Some(all)
    }

    /// Those ways that no other needs less than, of the kinds that are here.
    fn best_of(&self, ways: &[Way]) -> Vec<Way> {
        let present = self.of_kind.iter().enumerate().filter(|(_, count)| **count > 0);
        let present = present.fold(0, |kinds, (kind, _)| kinds | 1 << kind);
        let mut best: Vec<Way> = Vec::new();
        for way in ways.iter().map(|way| Way { kinds: way.kinds & present, ..*way }) {
            let is_worse = |than: &Way, way: &Way| way.needed >= than.needed && way.kinds & !than.kinds == 0;
            if !best.iter().any(|other| is_worse(other, &way)) {
                best.retain(|other| !is_worse(&way, other));
                best.push(way);
            }
        }
        best
    }
}

impl Room {
    /// `None` if it is settled already who gets which value, or if there is too much to count.
    fn new(search: &Search<'_>, decided: &Decided, key: usize) -> Result<Option<Self>, Exhausted> {
        let Search { layout, problem, state, .. } = search;
        let own_scopes: Vec<usize> = scopes(search, key).collect();
        search.budget.work((layout.atoms.len() * own_scopes.len() + layout.pairs.len()) as u64)?;
        let mut agreeing = agreeing(search, key);
        let leader = |class: usize| agreeing.iter().position(|classes| classes.contains(class));
        let leaders: Vec<Option<usize>> = (0..problem.classes).map(leader).collect();
        // For each value what those who must agree can use of it, and who else can use the same devices.
        let mut values: BTreeMap<Value, Vec<Vec<usize>>> = BTreeMap::new();
        let mut is_shared = vec![false; problem.classes];
        let mut value_of = vec![None; layout.atoms.len()];
        let mut total = 0_u64;
        for (atom, &left) in state.left.iter().enumerate().filter(|(_, left)| **left > 0) {
            total = total.saturating_add(left);
            let same =
                own_scopes.iter().find_map(|&scope| layout.atoms[atom].values[problem.scopes[scope].key]);
            let open = || layout.pairs_of(atom).filter(|&pair| search.is_open(decided, pair));
            let is_wanted = open().any(|pair| leaders[layout.pairs[pair].class].is_some());
            let Some(value) = same.filter(|_| is_wanted) else { continue };
            value_of[atom] = Some(value);
            let own = values.entry(value).or_insert_with(|| vec![Vec::new(); agreeing.len()]);
            for pair in open() {
                match leaders[layout.pairs[pair].class] {
                    Some(at) => own[at].push(pair),
                    None => is_shared[layout.pairs[pair].class] = true,
                }
            }
        }
        let has_choice = |at: usize| values.values().filter(|pairs| !pairs[at].is_empty()).count() > 1;
        if total > MAX_DEVICES || !(0..agreeing.len()).any(has_choice) {
            return Ok(None);
        }
        // Where there are too many, the largest are counted: what these cannot do, all cannot.
        let (mut sums, mut members) = (values.len(), 0);
        let mut is_counted = |ways: usize| {
            let is_counted = members < MAX_MEMBERS && sums * ways <= MAX_SUMS;
            if is_counted {
                (sums, members) = (sums * ways, members + 1);
            }
            is_counted
        };
        agreeing.retain(|_| is_counted(3));
        if agreeing.is_empty() {
            return Ok(None);
        }
        let mut others: Vec<usize> =
            (0..problem.classes).filter(|&class| is_shared[class] && state.needs[class] > 0).collect();
        others.sort_by_key(|&class| std::cmp::Reverse(state.needs[class]));
        others.retain(|_| is_counted(2));
        let member = |class: usize| {
            let other = || Some(agreeing.len() + others.iter().position(|other| *other == class)?);
            leaders[class].filter(|at| *at < agreeing.len()).or_else(other)
        };
        let member: Vec<Option<usize>> = (0..problem.classes).map(member).collect();
        let sets = 1_usize << members;
        search.budget.work((sets * (members + 1) * (values.len() + 1) / SUMS_PER_LOOK) as u64)?;
        // How many devices there are that exactly a set can use, for each value, and last for none of them.
        let places: BTreeMap<Value, usize> = values.keys().copied().zip(0..).collect();
        let mut weights = vec![vec![0_i64; sets]; places.len() + 1];
        for (atom, &left) in state.left.iter().enumerate().filter(|(_, left)| **left > 0) {
            let open = layout.pairs_of(atom).filter(|&pair| search.is_open(decided, pair));
            let users = open.filter_map(|pair| member[layout.pairs[pair].class]);
            let set = users.fold(0_usize, |set, member| set | 1 << member);
            let place = value_of[atom].map_or(places.len(), |value| places[&value]);
            weights[place][set] += left as i64;
        }
        let supply = |mut inside: Vec<i64>| -> Vec<i64> {
            // First how many devices only members of a set can use.
            over_subsets(&mut inside, |sum, part| *sum += part);
            (0..sets).map(|set| inside[sets - 1] - inside[sets - 1 - set]).collect()
        };
        let elsewhere = supply(weights.pop().unwrap_or_default());
        let agreed = 1_usize << agreeing.len();
        let mut needs = vec![0_i64; agreed];
        for set in 1..agreed {
            let first = set.trailing_zeros() as usize;
            needs[set] = needs[set & (set - 1)] + state.needed(&agreeing[first]) as i64;
        }
        let values = values.into_values().zip(weights).map(|(pairs, weights)| {
            let mut surplus = supply(weights);
            surplus.iter_mut().enumerate().for_each(|(set, surplus)| *surplus -= needs[set & (agreed - 1)]);
            let mut least = surplus[..agreed].to_vec();
            over_subsets(&mut least, |least, part| *least = part.min(*least));
            let has_room = least.into_iter().map(|least| least >= 0).collect();
            Supply { pairs, surplus, has_room, of_kind: Vec::new(), ways: Vec::new() }
        });
        let mut values: Vec<Supply> = values.collect();
        look_at_ways(search, key, &agreeing, &places, &mut values)?;
        Ok(Some(Room {
            values,
            kinds: others
                .iter()
                .map(|&class| problem.ways[class].iter().fold(0, |all, way| all | way.kinds))
                .collect(),
            elsewhere: elsewhere.into_iter().step_by(agreed).collect(),
            needs: others.iter().map(|&class| state.needs[class] as i64).collect(),
            agreeing,
            others,
        }))
    }

    /// Those of the others that are in a set of classes.
    fn others(&self, classes: &Bits) -> usize {
        let is_in = |at: &usize| classes.contains(self.others[*at]);
        (0..self.others.len()).filter(is_in).fold(0, |set, at| set | 1 << at)
    }

    /// What a value leaves at least to these others for each set of those who must agree, if they get it.
    fn left_over(&self, value: &Supply, others: usize) -> Vec<i64> {
        let sets = 1 << self.agreeing.len();
        let mut left = value.surplus[others * sets..(others + 1) * sets].to_vec();
        over_subsets(&mut left, |least, part| *least = part.min(*least));
        left.iter_mut()
            .zip(&value.has_room)
            .filter(|(_, has_room)| !**has_room)
            .for_each(|(left, _)| *left = NO_ROOM);
        let kinds = members(others);
        let kinds = kinds.fold(0, |kinds, at| kinds | self.kinds[at]);
        for (set, ways) in value.ways.iter().filter(|_| others > 0) {
            let most = ways.iter().map(|ways| value.left_by(ways, kinds)).max().unwrap_or(NO_ROOM);
            left[*set] = left[*set].min(most);
        }
        left
    }

    /// The most that these others find left, for each set of those who must agree, divided among so many values as best
    /// for them: so many sums for no value, for the first, and so on.
    fn best(&self, others: usize, budget: &Budget) -> Result<Vec<i64>, Exhausted> {
        let of_ways = |value: &Supply| -> usize {
            let ways = value.ways.iter().filter(|_| others > 0);
            ways.map(|(set, ways)| value.sums(ways.len(), set.count_ones() as usize)).sum()
        };
        let sums = self.values.iter().map(of_ways).sum::<usize>()
            + self.values.len() * 3_usize.pow(self.agreeing.len() as u32);
        budget.work((sums / SUMS_PER_LOOK) as u64)?;
        let sets = 1 << self.agreeing.len();
        let mut best = vec![NO_ROOM; sets * (self.values.len() + 1)];
        best[0] = self.elsewhere[others];
        for (at, value) in self.values.iter().enumerate() {
            let left = self.left_over(value, others);
            let (before, after) = best[at * sets..(at + 2) * sets].split_at_mut(sets);
            for here in (0..sets).filter(|&here| value.has_room[here]) {
                let gain = left[here];
                for elsewhere in subsets(sets - 1 - here) {
                    let most = &mut after[here | elsewhere];
                    *most = (*most).max(before[elsewhere] + gain);
                }
            }
        }
        Ok(best)
    }

    /// The fewest of those who must agree that cannot be divided such that these others find enough.
    fn short(&self, best: &[i64], others: usize) -> Option<usize> {
        let members = members(others);
        let needed: i64 = members.map(|at| self.needs[at]).sum();
        let most = &best[self.values.len() << self.agreeing.len()..];
        (0..most.len()).filter(|&set| most[set] < needed).min_by_key(|set| set.count_ones())
    }

    /// Classes that cannot be divided, where these cannot: none of the others that it is so without.
    fn core(&self, mut others: usize, mut short: usize, search: &Search<'_>) -> Result<Bits, Exhausted> {
        for at in 0..self.others.len() {
            let fewer = others & !(1 << at);
            if fewer == others {
                continue;
            }
            if let Some(still) = self.short(&self.best(fewer, search.budget)?, fewer) {
                (others, short) = (fewer, still);
            }
        }
        let mut core = Bits::none(search.problem.classes);
        members(others).for_each(|at| core.insert(self.others[at]));
        members(short).for_each(|at| core.add(&self.agreeing[at]));
        Ok(core)
    }

    /// Leaves each who must agree the value that is best for these of the others.
    fn keep(&self, decided: &mut Decided, others: usize, best: &[i64]) {
        let sets = 1 << self.agreeing.len();
        let mut set = sets - 1;
        for (at, value) in self.values.iter().enumerate().rev() {
            let left = self.left_over(value, others);
            let (before, most) = (&best[at * sets..], best[(at + 1) * sets + set]);
            let here = subsets(set).find(|&here| before[set ^ here] + left[here] == most).unwrap_or(0);
            set ^= here;
            let not_here = members(sets - 1 - here).flat_map(|who| &value.pairs[who]);
            not_here.for_each(|&pair| decided.allowed.remove(pair));
        }
    }
}

/// Where options are open: what single options find in each value, instead of the best of all of them.
///
/// As far as options go that is no bound but exact for those who must agree: each finds all its devices in one value.
fn look_at_ways(
    search: &Search<'_>,
    key: usize,
    agreeing: &[Bits],
    places: &BTreeMap<Value, usize>,
    values: &mut [Supply],
) -> Result<(), Exhausted> {
    let Search { problem, state, .. } = search;
    // What several classes together may come to is not told apart.
    let ways_of = |classes: &Bits| match classes.iter().collect::<Vec<_>>()[..] {
        [class] => problem.ways[class].clone(),
        _ => Vec::new(),
    };
    let ways: Vec<Vec<Way>> = agreeing.iter().map(ways_of).collect();
    if problem.kinds.is_empty() || ways.iter().all(|ways| ways.len() < 2) {
        return Ok(());
    }
    for supply in values.iter_mut() {
        supply.of_kind = vec![0; problem.kinds.iter().max().map_or(0, |kind| kind + 1)];
    }
    for ((bin, &left), &kind) in problem.bins.list.iter().zip(&state.bins).zip(&*problem.kinds) {
        if let Some(place) = bin.values[key].and_then(|value| places.get(&value)) {
            values[*place].of_kind[kind] += i64::from(left);
        }
    }
    let options: usize = ways.iter().map(|ways| ways.len() * ways.len()).sum();
    search.budget.work((values.len() * options) as u64)?;
    let mut sets: Vec<usize> = (1..1 << agreeing.len()).collect();
    sets.sort_by_key(|set| set.count_ones());
    let mut sums = MAX_SUMS;
    for supply in values {
        let open: Vec<Vec<Way>> = ways.iter().map(|ways| supply.best_of(ways)).collect();
        for &set in &sets {
            let members = || members(set);
            let is_open = members().all(|at| !ways[at].is_empty()) && members().any(|at| ways[at].len() > 1);
            if !is_open || !supply.has_room[set] {
                continue;
            }
            // Where a part finds no room, all do not.
            let has_room = members().all(|at| supply.has_room[set ^ (1 << at)]);
            let found = if has_room { supply.ways_of(set, &open, &mut sums) } else { Some(Vec::new()) };
            if let Some(found) = found {
                supply.has_room[set] = !found.is_empty();
                supply.ways.push((set, found));
            }
        }
    }
    search.budget.work(((MAX_SUMS - sums) / SUMS_PER_LOOK) as u64)
}

/// The constraints of agreement in a key.
fn scopes(search: &Search<'_>, key: usize) -> impl Iterator<Item = usize> {
    let scopes = search.problem.scopes.iter().enumerate();
    scopes.filter(move |(_, s)| s.relation == Relation::Same && s.key == key).map(|(scope, _)| scope)
}

/// The classes that must agree with one another, those who need most first: constraints that share a class agree on one
/// value.
fn agreeing(search: &Search<'_>, key: usize) -> Vec<Bits> {
    let mut agreeing: Vec<Bits> = Vec::new();
    for scope in scopes(search, key) {
        let mut joined = search.problem.scopes[scope].covers.clone();
        agreeing.retain(|other| {
            let apart = other.is_disjoint(&joined);
            if !apart {
                joined.add(other);
            }
            apart
        });
        agreeing.push(joined);
    }
    agreeing.retain(|classes| search.state.needed(classes) > 0);
    agreeing.sort_by_key(|classes| std::cmp::Reverse(search.state.needed(classes)));
    agreeing
}

/// The members of a set.
fn members(set: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS as usize - set.leading_zeros() as usize).filter(move |at| set >> at & 1 == 1)
}

/// All subsets of a set, itself first and the empty one last.
fn subsets(set: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(set), move |&subset| (subset > 0).then(|| (subset - 1) & set))
}

/// Puts what all its subsets have to what each set has.
fn over_subsets(of_set: &mut [i64], add: impl Fn(&mut i64, i64)) {
    let mut bit = 1;
    while bit < of_set.len() {
        for set in (0..of_set.len()).filter(|set| set & bit != 0) {
            let part = of_set[set ^ bit];
            add(&mut of_set[set], part);
        }
        bit <<= 1;
    }
}
