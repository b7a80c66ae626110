//! Whether what is left can serve all that is needed: a flow that ignores what couples the requests, and a search over
//! the decisions that the flow gets wrong.

use super::agree::{self, Division};
use super::bins::Bins;
use super::bits::Bits;
use super::bounds;
use super::branch::{self, Later};
use super::budget::{Budget, Exhausted};
use super::layout::{Layout, Pair, View};
use super::linear::{self, Linear, Relaxation};
use super::problem::Problem;
use crate::request::Relation;

/// What has been taken so far.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Devices left in each atom.
    pub(super) left: Vec<u64>,
    /// Devices left in each bin.
    pub(super) bins: Vec<u32>,
    /// Devices that each class still needs.
    pub(super) needs: Vec<u64>,
    /// The pairs that what was taken leaves possible.
    allowed: Bits,
    /// Which static groups are taken.
    taken: Vec<bool>,
    /// Whether a group that is taken has lost a member, or more was taken from afar than may be.
    pub(super) broken: bool,
    /// How many devices may still be far from the guest's cells.
    pub(super) far: u64,
}

impl State {
    /// How many devices these classes still need.
    pub(super) fn needed(&self, classes: &Bits) -> u64 {
        classes.iter().map(|class| self.needs[class]).sum()
    }
}

/// Decisions on what the flow cannot express.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    /// The pairs that are possible.
    pub(super) allowed: Bits,
    /// For each static group whether it is taken; `None` if that is open.
    pub(super) group: Vec<Option<bool>>,
    /// The classes without which what was concluded on the way here would not hold.
    pub(super) blame: Bits,
}

/// A decision, and the classes that it takes something from.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) decided: Decided,
    pub(super) touched: Bits,
}

/// How many devices go through a pair.
pub(super) type Amount = (usize, u64);

enum Relaxed {
    /// Not even the flow can serve these classes together, whatever is decided about others.
    Impossible(Bits),
    Solution(Vec<Amount>),
    /// One of these holds: the others, or the one to be looked at first; and the classes that what was concluded so far is owed to.
    Branches(Vec<Later>, Branch, Bits),
}

/// The branches of a decision that are still to be looked at.
struct Frame {
    /// In reverse order.
    open: Vec<Later>,
    /// The classes that the branch looked at takes something from.
    touched: Bits,
    /// The classes that the branches looked at failed on.
    core: Bits,
}

pub(super) struct Search<'p> {
    pub(super) problem: &'p Problem<'p>,
    bins: &'p Bins,
    pub(super) layout: Layout,
    /// Each made when it is asked for: what single counts refute needs none, and what one refutes needs no other.
    views: Vec<View>,
    pub(super) budget: &'p Budget,
    pub(super) state: State,
    /// A solution of what is left, as devices per pair.
    witness: Vec<u64>,
    /// When the linear relaxation is asked.
    linear: Patience,
    /// When it is asked how to divide what must agree.
    division: Patience,
    relaxation: Option<Relaxation>,
    /// The pairs that could be used before it was tried to take something.
    live: Bits,
    /// Whether the budget ran out, so that only what is known to be possible is taken.
    pub(super) is_cut_short: bool,
}

/// How many nodes are looked at before something that costs more than a flow is asked again, and how many that will be
/// the next time.
#[derive(Default)]
struct Patience(u32, u32);

impl Patience {
    /// Counts a node, and says whether it is to be asked now.
    fn is_due(&mut self) -> bool {
        let is_due = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        is_due
    }

    /// Where it settles nothing it is asked half as often.
    fn answered(&mut self, is_settled: bool) {
        self.1 = if is_settled { 0 } else { self.1.saturating_mul(2).saturating_add(1) };
        self.0 = self.1;
    }
}

/// How many nodes a search looks at before it asks the linear relaxation: most end before that.
const PATIENCE: u32 = 16;

/// The same once a relaxation was solved, which then costs a few pivots.
const WARM: u32 = 1;

/// How many nodes a search looks at where only a bound is wanted.
const MAX_BOUND: u64 = 64;

impl<'p> Search<'p> {
    pub(super) fn new(problem: &'p Problem<'p>, budget: &'p Budget) -> Result<Self, Exhausted> {
        let bins = problem.bins;
        let layout = Layout::new(problem, budget)?;
        let mut left = vec![0; layout.atoms.len()];
        for (bin, atom) in layout.atom_of.iter().enumerate() {
            if let Some(atom) = atom {
                left[*atom] += u64::from(bins.list[bin].count);
            }
        }
        let mut needs = vec![0; problem.classes];
        for demand in &problem.demands {
            needs[demand.class] += u64::from(demand.count);
        }
        let state = State {
            left,
            bins: bins.list.iter().map(|bin| bin.count).collect(),
            needs,
            allowed: Bits::all(layout.pairs.len()),
            taken: vec![false; bins.groups.len()],
            broken: false,
            far: problem.far.as_ref().map_or(u64::MAX, |far| far.limit),
        };
        let witness = vec![0; layout.pairs.len()];
        let live = Bits::all(layout.pairs.len());
        Ok(Search {
            problem,
            bins,
            layout,
            views: Vec::new(),
            budget,
            state,
            witness,
            linear: Patience::default(),
            division: Patience::default(),
            relaxation: None,
            live,
            is_cut_short: false,
        })
    }

    /// How many devices of a bin a class may take now.
    pub(super) fn limit(&self, class: usize, bin: usize) -> u32 {
        match self.layout.pair(class, bin) {
            Some(pair) if self.state.allowed.contains(pair) => {
                let most = if self.layout.single.contains(class) { 1 } else { u64::MAX };
                let possible = self.state.needs[class].min(u64::from(self.state.bins[bin])).min(most);
                u32::try_from(possible).unwrap_or(u32::MAX)
            }
            _ => 0,
        }
    }

    /// Takes as many devices of a bin for a class as it can have, up to `limit`, such that the rest can still be served;
    /// says how many.
    ///
    /// What is left must be solvable, as [`Search::solve`] has found. If the class can take `n` it can take `n - 1` (the
    /// rest then takes the last one), so halving finds the answer; and what the known solution takes it can take. When the
    /// budget runs out it may be fewer than possible.
    pub(super) fn take_most(&mut self, class: usize, bin: usize, limit: u32) -> u32 {
        let Some(pair) = self.layout.pair(class, bin) else { return 0 };
        let mut possible = u32::try_from(self.witness[pair].min(u64::from(limit))).unwrap_or(limit);
        let mut impossible = limit + 1;
        let mut attempt = limit;
        let mut best = None;
        if possible + 1 < impossible && !self.is_cut_short {
            self.find_live();
        }
        while possible + 1 < impossible && !self.is_cut_short {
            let before = self.state.clone();
            self.take(class, bin, attempt);
            let solution = self.search();
            let after = std::mem::replace(&mut self.state, before);
            match solution {
                Ok(Ok(solution)) => {
                    possible = attempt;
                    best = Some((after, solution));
                }
                Ok(Err(_)) => impossible = attempt,
                Err(Exhausted) => self.is_cut_short = true,
            }
            attempt = possible + (impossible - possible) / 2;
        }
        match best {
            Some((after, solution)) => {
                self.state = after;
                self.remember(&solution);
            }
            None if possible > 0 => {
                self.take(class, bin, possible);
                self.witness[pair] -= u64::from(possible);
            }
            None => {}
        }
        possible
    }

    /// The pairs that could be used before it was tried to take something; what is tried leaves no others.
    pub(super) fn live(&self) -> &Bits {
        &self.live
    }

    fn find_live(&mut self) {
        let mut live = std::mem::replace(&mut self.live, Bits::none(0));
        live.keep(&self.state.allowed);
        live.retain(|pair| self.capacity(pair) > 0);
        self.live = live;
    }

    /// Whether what is left can serve all that is needed; if not, classes that cannot be served together.
    pub(super) fn solve(&mut self) -> Result<Result<(), Bits>, Exhausted> {
        Ok(self.search()?.map(|solution| self.remember(&solution)))
    }

    /// The solution that [`Search::solve`] found, as devices per pair.
    pub(super) fn into_witness(self) -> Vec<u64> {
        self.witness
    }

    /// Continues from a solution of the same problem.
    pub(super) fn resume(&mut self, witness: Vec<u64>) {
        self.witness = witness;
    }

    /// As [`Search::solve`], but where the search gets long it is left open, as if all could be served.
    pub(super) fn may_be_solved(&mut self) -> Result<Result<(), Bits>, Exhausted> {
        let found = self.search_up_to(MAX_BOUND)?;
        Ok(found.map_or(Ok(()), |found| found.map(drop)))
    }

    /// With how few devices that are far from the guest's cells all that is needed can be served; `None` if it cannot be
    /// with as many as the problem allows. When the budget runs out it may be more than needed.
    pub(super) fn fewest_far(&mut self) -> Result<Option<u64>, Exhausted> {
        let mut fewest = None;
        loop {
            match self.solve() {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(Exhausted) if fewest.is_none() => return Err(Exhausted),
                Err(Exhausted) => {
                    self.is_cut_short = true;
                    break;
                }
            }
            let pairs = self.layout.pairs.iter().zip(&self.witness);
            let far: u64 =
                pairs.filter(|(pair, _)| self.layout.atoms[pair.atom].far).map(|(_, amount)| *amount).sum();
            fewest = Some(far);
            let Some(fewer) = far.checked_sub(1) else { break };
            self.state.far = fewer;
        }
        Ok(fewest)
    }

    fn remember(&mut self, solution: &[Amount]) {
        self.witness.fill(0);
        for &(pair, amount) in solution {
            self.witness[pair] += amount;
        }
    }

    /// Takes devices of a bin for a class, and with them what they exclude.
    pub(super) fn take(&mut self, class: usize, bin: usize, count: u32) {
        self.withdraw(bin, count);
        if self.problem.far.as_ref().is_some_and(|far| far.bins[bin]) {
            match self.state.far.checked_sub(u64::from(count)) {
                Some(left) => self.state.far = left,
                None => self.state.broken = true,
            }
        }
        self.exclude(bin);
        self.state.needs[class] -= u64::from(count);
        for &s in &self.layout.scopes_of[class] {
            let (Some(atom), scope) = (self.layout.atom_of[bin], &self.problem.scopes[s]) else { continue };
            for (value, pairs) in &self.layout.by_value[s] {
                let is_value = self.layout.atoms[atom].values[scope.key] == Some(*value);
                if is_value == (scope.relation == Relation::Distinct) {
                    pairs.iter().for_each(|&pair| self.state.allowed.remove(pair));
                }
            }
        }
        if let Some(group) = self.problem.group(bin)
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
            let Some(group) = self.problem.group(other).filter(|_| lost > 0) else { continue };
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
        if let Some(atom) = self.layout.atom_of[bin] {
            self.state.left[atom] -= u64::from(count);
        }
    }

    /// Looks for a solution of what is left.
    fn search(&mut self) -> Result<Result<Vec<Amount>, Bits>, Exhausted> {
        // The budget ends it sooner.
        self.search_up_to(u64::MAX)?.ok_or(Exhausted)
    }

    /// Looks for a solution of what is left, depth first; `None` if so many nodes did not show whether there is one.
    ///
    /// A branch that fails on classes that its decision does not touch would fail without that decision too, so that the
    /// other branches need not be looked at.
    fn search_up_to(&mut self, most: u64) -> Result<Option<Result<Vec<Amount>, Bits>>, Exhausted> {
        if self.state.broken {
            return Ok(Some(Err(Bits::all(self.problem.classes))));
        }
        let taken = self.state.taken.iter().map(|&taken| taken.then_some(true));
        let mut decided = Decided {
            allowed: self.state.allowed.clone(),
            group: taken.collect(),
            blame: Bits::none(self.problem.classes),
        };
        let mut frames: Vec<Frame> = Vec::new();
        self.linear = Patience(if self.relaxation.is_some() { WARM } else { PATIENCE }, 0);
        self.division = Patience::default();
        for _ in 0..most {
            let mut core = match self.relax(decided)? {
                Relaxed::Solution(solution) => return Ok(Some(Ok(solution))),
                Relaxed::Impossible(core) => core,
                Relaxed::Branches(mut open, first, core) => {
                    open.reverse();
                    frames.push(Frame { open, touched: first.touched, core });
                    decided = first.decided;
                    continue;
                }
            };
            decided = loop {
                let Some(mut frame) = frames.pop() else { return Ok(Some(Err(core))) };
                if core.is_disjoint(&frame.touched) {
                    continue;
                }
                frame.core.add(&core);
                match frame.open.pop() {
                    Some(next) => {
                        let next = next(self);
                        frame.touched = next.touched;
                        frames.push(frame);
                        break next.decided;
                    }
                    None => core = frame.core,
                }
            };
        }
        Ok(None)
    }

    /// The flow under these decisions: whether there is one, whether it is a solution, and if not, what to decide.
    fn relax(&mut self, mut decided: Decided) -> Result<Relaxed, Exhausted> {
        self.budget.work((self.layout.pairs.len() + self.layout.agreeing) as u64)?;
        if let Err(core) = bounds::settle(self, &mut decided) {
            return Ok(Relaxed::Impossible(core));
        }
        let mut branches: Option<Vec<Later>> = None;
        for view in 0..self.layout.views {
            self.make_view(view)?;
            let (solution, mixed) = match self.flow(view, &decided)? {
                Ok(found) => found,
                Err(mut core) => {
                    core.add(&decided.blame);
                    return Ok(Relaxed::Impossible(core));
                }
            };
            match branch::branches(self, &solution, mixed, &decided) {
                None => return Ok(Relaxed::Solution(solution)),
                wrong => branches = branches.or(wrong),
            }
        }
        if let Err(mut core) = bounds::check(self, &decided)? {
            core.add(&decided.blame);
            return Ok(Relaxed::Impossible(core));
        }
        if self.division.is_due() {
            let division = agree::divide(self, &decided)?;
            self.division.answered(!matches!(division, Division::Open));
            match division {
                Division::Impossible(mut core) => {
                    core.add(&decided.blame);
                    return Ok(Relaxed::Impossible(core));
                }
                Division::Solution(solution) => return Ok(Relaxed::Solution(solution)),
                Division::Open => {}
            }
        }
        if self.linear.is_due() {
            let mut kept = self.relaxation.take();
            let linear = linear::relax(&mut kept, self, &decided, self.budget)?;
            self.relaxation = kept;
            self.linear.answered(linear.is_settled());
            match linear {
                Linear::Impossible(mut core) => {
                    core.add(&decided.blame);
                    return Ok(Relaxed::Impossible(core));
                }
                Linear::Whole(solution) => match branch::branches(self, &solution, None, &decided) {
                    None => return Ok(Relaxed::Solution(solution)),
                    wrong => branches = wrong,
                },
                Linear::Open => {}
            }
        }
        let mut branches = branches.unwrap_or_default();
        if branches.is_empty() {
            return Ok(Relaxed::Impossible(Bits::all(self.problem.classes)));
        }
        let first = branches.remove(0)(self);
        Ok(Relaxed::Branches(branches, first, decided.blame))
    }

    /// Makes a view if it is not there yet; those before it are.
    fn make_view(&mut self, view: usize) -> Result<(), Exhausted> {
        if self.views.len() == view {
            self.views.push(View::nth(self.problem, &self.layout, view, self.budget)?);
        }
        Ok(())
    }

    /// How many devices a pair can give, as far as single pairs can say.
    pub(super) fn capacity(&self, pair: usize) -> u64 {
        let pair = self.layout.pairs[pair];
        if self.state.needs[pair.class] == 0 {
            0
        } else if self.layout.single.contains(pair.class) {
            self.state.left[pair.atom].min(1)
        } else {
            self.state.left[pair.atom]
        }
    }

    /// The pairs that are possible under these decisions and have something to give.
    pub(super) fn open_pairs<'s>(&'s self, decided: &'s Decided) -> impl Iterator<Item = usize> + 's {
        decided.allowed.iter().filter(|&pair| self.capacity(pair) > 0)
    }

    /// Whether a pair is one of these.
    pub(super) fn is_open(&self, decided: &Decided, pair: usize) -> bool {
        decided.allowed.contains(pair) && self.capacity(pair) > 0
    }

    /// A flow that serves all classes, and the first value that is shared in a way that no pair allows; or classes that
    /// cannot be served together.
    pub(super) fn flow(&mut self, view: usize, decided: &Decided) -> Result<Result<Flow, Bits>, Exhausted> {
        self.budget.step()?;
        let everyone = Bits::all(self.problem.classes);
        self.load(view, decided, &everyone);
        let mut forced: Vec<usize> = (0..self.layout.groups.len())
            .filter(|&group| decided.group[group] == Some(true))
            .flat_map(|group| self.layout.groups[group].iter().copied())
            .filter(|&atom| self.layout.atoms[atom].wanted && self.state.left[atom] > 0)
            .collect();
        let View { network, needs, sinks, .. } = &mut self.views[view];
        if self.problem.is_bound && !forced.is_empty() {
            // With other options they may need more.
            needs.iter().zip(&self.problem.most).for_each(|(&arc, &most)| network.open(arc, most));
        }
        // What a group that is taken must give is used up first; serving the rest never takes it back (the theorem of
        // Mendelsohn and Dulmage).
        let mut served = 0;
        if !forced.is_empty() {
            forced.iter().for_each(|&atom| network.open(sinks[atom], self.state.left[atom]));
            served = network.augment();
            if served < forced.iter().map(|&atom| self.state.left[atom]).sum() {
                self.budget.work(network.visits())?;
                let classes = forced.iter().flat_map(|&atom| &self.layout.atoms[atom].serves);
                let mut core = Bits::none(self.problem.classes);
                classes.for_each(|&class| core.insert(class));
                return Ok(Err(core));
            }
        }
        if self.problem.is_bound && !forced.is_empty() {
            // By the same theorem it can be used up and the least be served if each can be done for itself.
            self.budget.work(network.visits())?;
            self.load(view, decided, &everyone);
            forced.clear();
            served = 0;
        }
        let View { network, needs, nodes, sinks, .. } = &mut self.views[view];
        // Where it counts, what is near is used up first, too.
        let is_far = |atom: usize| self.layout.atoms[atom].far;
        let mut open = |far: bool| {
            for (atom, &sink) in sinks.iter().enumerate() {
                if is_far(atom) == far && !forced.contains(&atom) {
                    network.open(sink, self.state.left[atom]);
                }
            }
            network.augment()
        };
        served += open(false);
        if self.problem.far.is_some() {
            let of_forced = forced.iter().filter(|&&atom| is_far(atom)).map(|&atom| self.state.left[atom]);
            let others = open(true);
            served += others;
            if of_forced.sum::<u64>() + others > self.state.far {
                self.budget.work(network.visits())?;
                return Ok(Err(everyone));
            }
        }
        self.budget.work(network.visits())?;
        if served < self.state.needs.iter().sum() {
            let mut core = Bits::none(self.problem.classes);
            (0..needs.len()).filter(|&c| network.reached(nodes[c])).for_each(|class| core.insert(class));
            return Ok(Err(core));
        }
        Ok(Ok(self.read(view, decided)))
    }

    /// Opens the network from the source to the atoms, for these classes.
    fn load(&mut self, view: usize, decided: &Decided, classes: &Bits) {
        let View { network, needs, routes, .. } = &mut self.views[view];
        network.close();
        for class in classes.iter() {
            network.open(needs[class], self.state.needs[class]);
        }
        let Search { layout, state, .. } = self;
        for pair in decided.allowed.iter() {
            let Pair { class, atom } = layout.pairs[pair];
            if state.needs[class] == 0 || state.left[atom] == 0 || !classes.contains(class) {
                continue;
            }
            let most = if layout.single.contains(class) { 1 } else { state.left[atom] };
            for &arc in &routes[pair] {
                network.open(arc, most);
            }
        }
    }

    /// What goes through each pair, and the first value that is shared in a way that no pair allows.
    fn read(&self, view: usize, decided: &Decided) -> Flow {
        let View { network, routes, shared, .. } = &self.views[view];
        let mut amounts: Vec<Amount> = Vec::new();
        let mut mixed = None;
        for (pair, route) in routes.iter().enumerate() {
            // A route of one arc, or of two through a node of its own class, is the pair's alone at its end.
            if let ([last] | [_, last], true) = (route.as_slice(), decided.allowed.contains(pair)) {
                let amount = network.flow(*last);
                if amount > 0 {
                    amounts.push((pair, amount));
                }
            }
        }
        for value in shared {
            if network.flow(value.through) == 0 {
                continue;
            }
            let passes = |&&(pair, into, out): &&(usize, _, _)| {
                network.flow(into) > 0 && network.flow(out) > 0 && decided.allowed.contains(pair)
            };
            match value.pairs.iter().find(passes) {
                Some(&(pair, ..)) => amounts.push((pair, 1)),
                None => {
                    let enters = |&&(pair, into, _): &&(usize, _, _)| {
                        network.flow(into) > 0 && decided.allowed.contains(pair)
                    };
                    mixed = mixed.or_else(|| value.pairs.iter().find(enters).map(|&(pair, ..)| pair));
                }
            }
        }
        (amounts, mixed)
    }

    /// The least that these classes take away when they are served, where a device of each atom costs what `cost` says;
    /// `None` if they cannot be served.
    ///
    /// What classes can be served from is a gammoid, in which taking the cheapest that still helps is best.
    pub(super) fn least_cost(
        &mut self,
        decided: &Decided,
        classes: &Bits,
        cost: &[u64],
    ) -> Result<Option<u64>, Exhausted> {
        self.load(0, decided, classes);
        let View { network, sinks, .. } = &mut self.views[0];
        let mut by_cost: Vec<usize> = (0..sinks.len()).filter(|&atom| self.state.left[atom] > 0).collect();
        by_cost.sort_by_key(|&atom| cost[atom]);
        let mut missing = self.state.needed(classes);
        let mut total = 0_u64;
        for alike in by_cost.chunk_by(|&a, &b| cost[a] == cost[b]) {
            alike.iter().for_each(|&atom| network.open(sinks[atom], self.state.left[atom]));
            let served = network.augment();
            total = total.saturating_add(served.saturating_mul(cost[alike[0]]));
            missing -= served;
            if missing == 0 {
                break;
            }
        }
        self.budget.work(network.visits())?;
        Ok((missing == 0).then_some(total))
    }

    /// Whether a flow decides everything: nothing couples the requests but the devices themselves.
    pub(super) fn is_counting(&self) -> bool {
        let open = |sides: &[Vec<usize>; 2]| sides.iter().all(|side| !side.is_empty());
        self.problem.scopes.is_empty() && !self.problem.grouped && !self.layout.cards.iter().any(open)
    }

    /// Requests (by their index in the problem) that counting alone shows to be in conflict, none of which it can do
    /// without; `None` if counting does not refute all of them together.
    pub(super) fn counted_conflict(&mut self) -> Result<Option<Vec<usize>>, Exhausted> {
        let decided = Decided {
            allowed: self.state.allowed.clone(),
            group: vec![None; self.bins.groups.len()],
            blame: Bits::none(self.problem.classes),
        };
        self.make_view(0)?;
        let Err(core) = self.flow(0, &decided)? else { return Ok(None) };
        self.load(0, &decided, &core);
        let View { network, needs, sinks, .. } = &mut self.views[0];
        for (atom, &sink) in sinks.iter().enumerate() {
            network.open(sink, self.state.left[atom]);
        }
        let mut missing = self.state.needed(&core) - network.augment();
        let problem = self.problem;
        let demands = |request: usize| {
            let own = problem.demands.iter().filter(move |demand| demand.request == request);
            own.filter(|demand| core.contains(demand.class))
        };
        let mut conflict: Vec<usize> =
            (0..problem.asks.len()).filter(|&request| demands(request).next().is_some()).collect();
        // A single device is missing: with any one of them gone it is there.
        let mut at = if missing == 1 { conflict.len() } else { 0 };
        while at < conflict.len() {
            let before = network.snapshot();
            let mut without = missing;
            for demand in demands(conflict[at]) {
                without -= network.lower(needs[demand.class], u64::from(demand.count));
            }
            without -= network.augment();
            self.budget.work(network.visits() + before.len() as u64)?;
            if without > 0 {
                missing = without;
                conflict.remove(at);
            } else {
                network.restore(&before);
                at += 1;
            }
        }
        Ok(Some(conflict))
    }
}

/// What goes through each pair, and a pair of a value that is shared in a way that no pair allows.
type Flow = (Vec<Amount>, Option<usize>);
