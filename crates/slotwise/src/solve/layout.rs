//! What a problem looks like to the search: atoms, pairs, cards and groups, and the network that relaxes it.

use std::collections::BTreeMap;

use super::bins::Value;
use super::bits::Bits;
use super::budget::{Budget, Exhausted};
use super::flow::{Arc, Network, Node};
use super::problem::Problem;
use crate::request::Relation;

/// Which use of a card is meant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Side {
    Physical,
    Virtual,
}

/// Bins that are interchangeable for the question whether a solution exists.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Atom {
    /// The classes that its devices can serve; may be empty for members of a static group.
    pub(super) serves: Vec<usize>,
    /// The card whose two uses are both open, and which use this is.
    pub(super) card: Option<(usize, Side)>,
    pub(super) group: Option<usize>,
    /// Whether somebody asks for its devices, so that they must be used if its group is taken; of members of groups alone.
    pub(super) wanted: bool,
    /// Whether it is far from the guest's cells, where that is counted.
    pub(super) far: bool,
    /// For each key the value, if any of its classes is under a constraint on that.
    pub(super) values: Vec<Option<Value>>,
}

/// An atom that can serve a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) class: usize,
    pub(super) atom: usize,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) atoms: Vec<Atom>,
    /// The atom of each bin; `None` if the bin can play no part.
    pub(super) atom_of: Vec<Option<usize>>,
    /// Ordered by atom, then by class.
    pub(super) pairs: Vec<Pair>,
    /// Where the pairs of each atom begin, and after the last one their number.
    first_pair: Vec<usize>,
    /// The atoms of each card that is open, by use.
    pub(super) cards: Vec<[Vec<usize>; 2]>,
    /// The atoms of each static group.
    pub(super) groups: Vec<Vec<usize>>,
    /// The constraints that each class is under.
    pub(super) scopes_of: Vec<Vec<usize>>,
    /// For each class the constraints of difference on it alone, and those that it shares.
    differs: Vec<[Vec<usize>; 2]>,
    /// How many views there are: in each another constraint of difference stands for those of a class.
    pub(super) views: usize,
    /// How many pairs are under each constraint of agreement, added up.
    pub(super) agreeing: usize,
    /// For each constraint the pairs under it, by value.
    pub(super) by_value: Vec<BTreeMap<Value, Vec<usize>>>,
    /// Whether a class may have one device of an atom at most, because its devices must differ in something.
    pub(super) single: Bits,
}

impl Layout {
    pub(super) fn new(problem: &Problem<'_>, budget: &Budget) -> Result<Self, Exhausted> {
        let bins = problem.bins;
        let mut scopes_of = vec![Vec::new(); problem.classes];
        for (s, scope) in problem.scopes.iter().enumerate() {
            scope.covers.iter().for_each(|class| scopes_of[class].push(s));
        }
        // The keys on which anything is asked of those that a bin serves; most bins serve the same.
        let mut keys_of: BTreeMap<&[usize], Bits> = BTreeMap::new();
        for serves in &problem.serves {
            keys_of.entry(serves).or_insert_with(|| {
                let mut keys = Bits::none(bins.valued.len());
                let scopes = serves.iter().flat_map(|&class| &scopes_of[class]);
                scopes.for_each(|&scope| keys.insert(problem.scopes[scope].key));
                keys
            });
        }
        let under: usize = scopes_of.iter().map(Vec::len).sum();
        let served: usize = problem.serves.iter().map(Vec::len).sum();
        budget.work((under * (1 + keys_of.len()) + served + bins.list.len() * bins.valued.len()) as u64)?;
        let takes_part = |bin: usize| !problem.serves[bin].is_empty() || problem.group(bin).is_some();
        let open = |card: usize| bins.cards.holds_for_both(card, takes_part);
        let mut ids: BTreeMap<Atom, usize> = BTreeMap::new();
        let mut atoms = Vec::new();
        let atom_of: Vec<Option<usize>> = (0..bins.list.len())
            .map(|b| {
                if !takes_part(b) {
                    return None;
                }
                let bin = &bins.list[b];
                let card = bins.cards.of_pool[b].filter(|&card| open(card)).map(|card| {
                    let physical = bins.cards.physical(card).contains(&b);
                    (card, if physical { Side::Physical } else { Side::Virtual })
                });
                let serves = &problem.serves[b];
                let keys = &keys_of[serves.as_slice()];
                let values =
                    bin.values.iter().enumerate().map(|(key, value)| value.filter(|_| keys.contains(key)));
                let atom = Atom {
                    values: values.collect(),
                    serves: serves.clone(),
                    card,
                    group: problem.group(b),
                    wanted: problem.group(b).is_some() && problem.wanted.contains(b),
                    far: problem.far.as_ref().is_some_and(|far| far.bins[b]),
                };
                let next = atoms.len();
                Some(*ids.entry(atom).or_insert_with_key(|atom| {
                    atoms.push(atom.clone());
                    next
                }))
            })
            .collect();
        let entries =
            |atom: &Atom| atom.serves.iter().map(|&class| 1 + scopes_of[class].len()).sum::<usize>();
        budget.work(atoms.iter().map(entries).sum::<usize>() as u64)?;
        let mut pairs = Vec::new();
        let mut first_pair = vec![0];
        let mut cards = vec![[Vec::new(), Vec::new()]; bins.cards.len()];
        let mut groups = vec![Vec::new(); bins.groups.len()];
        let mut by_value = vec![BTreeMap::<Value, Vec<usize>>::new(); problem.scopes.len()];
        for (a, atom) in atoms.iter().enumerate() {
            if let Some((card, side)) = atom.card {
                cards[card][side as usize].push(a);
            }
            if let Some(group) = atom.group {
                groups[group].push(a);
            }
            for &class in &atom.serves {
                for &s in &scopes_of[class] {
                    if let Some(value) = atom.values[problem.scopes[s].key] {
                        by_value[s].entry(value).or_default().push(pairs.len());
                    }
                }
                pairs.push(Pair { class, atom: a });
            }
            first_pair.push(pairs.len());
        }
        let differs = |scopes: &Vec<usize>| {
            let mut differs = [Vec::new(), Vec::new()];
            for &s in scopes.iter().filter(|&&s| problem.scopes[s].relation == Relation::Distinct) {
                let is_shared = problem.scopes[s].covers.iter().nth(1).is_some();
                differs[usize::from(is_shared)].push(s);
            }
            differs
        };
        let differs: Vec<[Vec<usize>; 2]> = scopes_of.iter().map(differs).collect();
        let views = differs.iter().flatten().map(Vec::len).max().unwrap_or(0).max(1);
        let agreeing =
            problem.scopes.iter().zip(&by_value).filter(|(scope, _)| scope.relation == Relation::Same);
        let agreeing = agreeing.flat_map(|(_, by_value)| by_value.values()).map(Vec::len).sum();
        let mut single = Bits::none(problem.classes);
        for scope in problem.scopes.iter().filter(|scope| scope.relation == Relation::Distinct) {
            single.add(&scope.covers);
        }
        Ok(Layout {
            atoms,
            atom_of,
            pairs,
            first_pair,
            cards,
            groups,
            scopes_of,
            differs,
            views,
            agreeing,
            by_value,
            single,
        })
    }

    /// The pairs of an atom.
    pub(super) fn pairs_of(&self, atom: usize) -> std::ops::Range<usize> {
        self.first_pair[atom]..self.first_pair[atom + 1]
    }

    /// The pair of a class and a bin, if the one can use the other.
    pub(super) fn pair(&self, class: usize, bin: usize) -> Option<usize> {
        self.pairs_of(self.atom_of[bin]?).find(|&pair| self.pairs[pair].class == class)
    }
}

/// The problem as a flow: source, classes, devices that must differ, atoms, sink.
///
/// That the devices of one class differ in one attribute is exact here: between class and atoms stands a node for each
/// value, which lets one device pass. Where several classes must differ, they share that node, and which of them it
/// serves with which atom is lost. Of several such constraints on a class each view has another one.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) network: Network,
    /// The arc from the source to each class.
    pub(super) needs: Vec<Arc>,
    pub(super) nodes: Vec<Node>,
    /// The arc from each atom to the sink.
    pub(super) sinks: Vec<Arc>,
    /// The arcs that each pair goes through.
    pub(super) routes: Vec<Vec<Arc>>,
    pub(super) shared: Vec<Shared>,
}

/// A value that several classes may use once, all together.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) through: Arc,
    /// Its pairs, each with the arcs by which it comes in and goes out.
    pub(super) pairs: Vec<(usize, Arc, Arc)>,
}

impl View {
    /// One of the views of a problem, of which there are [`Layout::views`].
    pub(super) fn nth(
        problem: &Problem<'_>,
        layout: &Layout,
        view: usize,
        budget: &Budget,
    ) -> Result<View, Exhausted> {
        // A pair has up to four arcs, each with a place in several lists.
        budget.work(6 * (problem.classes + layout.atoms.len() + layout.pairs.len()) as u64)?;
        let nth = |scopes: &[usize]| scopes.get(view % scopes.len().max(1)).copied();
        Ok(View::new(problem, layout, |class| {
            let [own, shared] = &layout.differs[class];
            (nth(own), nth(shared))
        }))
    }

    fn new(
        problem: &Problem<'_>,
        layout: &Layout,
        scopes: impl Fn(usize) -> (Option<usize>, Option<usize>),
    ) -> Self {
        let mut network = Network::new();
        let nodes: Vec<Node> = (0..problem.classes).map(|_| network.node()).collect();
        let needs = nodes.iter().map(|&node| network.connect(Network::SOURCE, node)).collect();
        let atoms: Vec<Node> = layout.atoms.iter().map(|_| network.node()).collect();
        let sinks = atoms.iter().map(|&node| network.connect(node, Network::SINK)).collect();
        let mut own_nodes: BTreeMap<(usize, Value), (Node, Arc)> = BTreeMap::new();
        // For each shared value: its place in the list, where it is entered, and where it is left.
        let mut shared_nodes: BTreeMap<(usize, Value), (usize, Node, Node)> = BTreeMap::new();
        let mut ins: BTreeMap<(Node2, usize), Arc> = BTreeMap::new();
        let mut outs: BTreeMap<(usize, usize), Arc> = BTreeMap::new();
        let mut shared: Vec<Shared> = Vec::new();
        let mut routes = Vec::with_capacity(layout.pairs.len());
        for (p, pair) in layout.pairs.iter().enumerate() {
            let values = &layout.atoms[pair.atom].values;
            let value = |scope: usize| values[problem.scopes[scope].key];
            let (own, common) = scopes(pair.class);
            let mut at = nodes[pair.class];
            let mut from = Node2::Class(pair.class);
            let mut route = Vec::with_capacity(1);
            if let Some(value) = own.and_then(value) {
                let (node, arc) = *own_nodes.entry((pair.class, value)).or_insert_with(|| {
                    let node = network.node();
                    (node, network.connect(at, node))
                });
                route.push(arc);
                at = node;
                from = Node2::Own(pair.class, value);
            }
            if let Some((scope, value)) = common.and_then(|scope| Some((scope, value(scope)?))) {
                let (place, enter, leave) = *shared_nodes.entry((scope, value)).or_insert_with(|| {
                    let (enter, leave) = (network.node(), network.node());
                    let through = network.connect(enter, leave);
                    shared.push(Shared { through, pairs: Vec::new() });
                    (shared.len() - 1, enter, leave)
                });
                let into = *ins.entry((from, place)).or_insert_with(|| network.connect(at, enter));
                let out = *outs
                    .entry((place, pair.atom))
                    .or_insert_with(|| network.connect(leave, atoms[pair.atom]));
                route.extend([into, shared[place].through, out]);
                shared[place].pairs.push((p, into, out));
            } else {
                route.push(network.connect(at, atoms[pair.atom]));
            }
            routes.push(route);
        }
        View { network, needs, nodes, sinks, routes, shared }
    }
}

/// From where a shared value is entered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Node2 {
    Class(usize),
    Own(usize, Value),
}
