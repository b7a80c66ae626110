//! The linear relaxation: everything that couples the requests at once, with devices that may be cut into parts.
//!
//! A flow sees one attribute to differ in at a time, and no card or group as a whole. A linear program sees all of them
//! together, which settles what comes out only just, or only just not, where a search over the flows would try every
//! way to be wrong. It costs as much as many flows and is asked only where the search gets long.
//!
//! The simplex method runs in floating point, and what it says is never taken on trust: a solution is rounded and
//! checked, and a refutation is a weight for each row, whose sum is computed anew in integers. Where either fails,
//! nothing is known. The program is kept: the next question differs in few bounds, so that a few pivots answer it.

use super::bits::Bits;
use super::budget::{Budget, Exhausted};
use super::layout::Side;
use super::search::{Amount, Decided, Search};
use super::simplex::{CELLS_PER_LOOK, Outcome, Simplex};
use crate::request::Relation;

/// What the relaxation says.
pub(super) enum Linear {
    /// These classes cannot be served together under the decisions.
    Impossible(Bits),
    /// Whole devices: a solution, except that a choice that rows cannot express may still be wrong in it.
    Whole(Vec<Amount>),
    /// Only with parts of devices, or it was too large or took too long: nothing is known.
    Open,
}

impl Linear {
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self, Linear::Open)
    }
}

/// The largest tableau that is tried.
const MAX_CELLS: usize = 1 << 18;

/// The largest number of devices that is computed with.
const MAX_AMOUNT: u64 = 1 << 20;

/// After so many pivots the tableau is made anew, lest errors of rounding add up.
const MAX_PIVOTS: usize = 2_000;

/// The tableau is made anew without the pairs that cannot be used any more once these are more than one in so many.
const MAX_IDLE: usize = 3;

/// Rounded weights are whole numbers up to this.
const WEIGHT_SCALE: f64 = (1_u64 << 32) as f64;

/// A program that was solved, for the next question.
pub(super) struct Relaxation {
    program: Program,
    simplex: Simplex,
}

/// Solves the relaxation of what is left under these decisions.
pub(super) fn relax(
    kept: &mut Option<Relaxation>,
    search: &Search<'_>,
    decided: &Decided,
    budget: &Budget,
) -> Result<Linear, Exhausted> {
    let shape = Program::shape(search);
    let live = search.live().iter().count();
    let is_usable = |kept: &Relaxation| {
        let Relaxation { program, simplex } = kept;
        program.shape == shape
            && program.live.has_all_of(search.live())
            && (program.pairs.len() - live) * MAX_IDLE <= program.pairs.len()
            && simplex.pivots() < MAX_PIVOTS
    };
    if !kept.as_ref().is_some_and(is_usable) {
        let program = Program::new(search, shape);
        budget.work(program.as_ref().map_or(0, Program::cells) / CELLS_PER_LOOK as u64)?;
        *kept = program.map(|program| {
            let rows = program.rows.iter().map(|row| row.terms.as_slice());
            let simplex = Simplex::new(program.columns, rows);
            Relaxation { program, simplex }
        });
    }
    let Some(Relaxation { program, simplex }) = kept else { return Ok(Linear::Open) };
    let Some(question) = program.question(search, decided) else { return Ok(Linear::Open) };
    let bounds = question.lower.iter().copied().zip(question.upper.iter().copied());
    let limits = program.rows.iter().zip(&question.limits).map(|(row, &limit)| (limit, row.limit.is_exact()));
    budget.work(program.cells() / CELLS_PER_LOOK as u64)?;
    simplex.ask(bounds, limits);
    let answer = match simplex.solve(|work| budget.work(work))? {
        Outcome::Feasible => program
            .whole(&question, &simplex.solution())
            .filter(|amounts| uses_up_groups(search, decided, amounts))
            .map(Linear::Whole),
        Outcome::Infeasible(weights) => program.refuted(search, &question, &weights),
        Outcome::Lost => None,
    };
    Ok(answer.unwrap_or(Linear::Open))
}

/// What a row's sum may come to.
#[derive(Clone, Copy)]
enum Limit {
    /// Exactly what a class needs.
    Need(usize),
    /// At most what an atom has left.
    Supply(usize),
    /// At most as many as may be far.
    Far,
    AtMost(i64),
    Exactly(i64),
}

impl Limit {
    fn is_exact(self) -> bool {
        matches!(self, Limit::Need(_) | Limit::Exactly(_))
    }
}

struct Row {
    /// Columns and their factors.
    terms: Vec<(usize, i64)>,
    limit: Limit,
}

/// A linear program: a column for each pair that can be used, then those that stand for cards, groups and values, which
/// are 0 or 1.
struct Program {
    columns: usize,
    /// The pair of each column that stands for one.
    pairs: Vec<usize>,
    /// The same pairs as a set.
    live: Bits,
    rows: Vec<Row>,
    /// The column of each group that there are devices of.
    groups: Vec<Option<usize>>,
    /// What the factors were computed from.
    shape: Vec<u64>,
}

/// What a question asks a program: a bound for each column, and what the rows come to.
struct Question {
    lower: Vec<i64>,
    upper: Vec<i64>,
    limits: Vec<i64>,
}

impl Program {
    /// What the factors of a program are computed from: with another shape it has to be made anew.
    fn shape(search: &Search<'_>) -> Vec<u64> {
        let Search { layout, problem, state, .. } = search;
        let agreeing = problem.scopes.iter().filter(|scope| scope.relation == Relation::Same);
        let needs = agreeing.flat_map(|scope| scope.covers.iter()).map(|class| state.needs[class]);
        let whole = layout.atoms.iter().zip(&state.left);
        let left =
            whole.filter(|(atom, _)| atom.card.is_some() || atom.group.is_some()).map(|(_, left)| *left);
        needs.chain(left).collect()
    }

    /// The program; `None` if it would be too large.
    fn new(search: &Search<'_>, shape: Vec<u64>) -> Option<Self> {
        let Search { layout, problem, state, .. } = search;
        let live = search.live();
        let pairs: Vec<usize> = live.iter().collect();
        if pairs.len() * (problem.classes + layout.atoms.len()) > 4 * MAX_CELLS {
            return None;
        }
        let mut column_of = vec![None; layout.pairs.len()];
        pairs.iter().enumerate().for_each(|(column, &pair)| column_of[pair] = Some(column));
        let terms = |pairs: &mut dyn Iterator<Item = usize>| -> Vec<(usize, i64)> {
            pairs.filter_map(|pair| column_of[pair]).map(|column| (column, 1)).collect()
        };
        let mut program = Program {
            columns: pairs.len(),
            live: live.clone(),
            rows: Vec::new(),
            groups: vec![None; layout.groups.len()],
            shape,
            pairs,
        };
        let mut of_class = vec![Vec::new(); problem.classes];
        for (column, &pair) in program.pairs.iter().enumerate() {
            of_class[layout.pairs[pair].class].push((column, 1));
        }
        // A class that is served by what is being tried may need devices again when the next is tried.
        let is_live = |(class, terms): &(usize, Vec<_>)| state.needs[*class] > 0 || !terms.is_empty();
        for (class, terms) in of_class.into_iter().enumerate().filter(is_live) {
            program.row(terms, Limit::Need(class));
        }
        for (s, scope) in problem.scopes.iter().enumerate() {
            let by_value = layout.by_value[s].values();
            match scope.relation {
                Relation::Distinct => {
                    for pairs in by_value {
                        let terms = terms(&mut pairs.iter().copied());
                        // The bound of a single pair says the same.
                        if terms.len() > 1 {
                            program.row(terms, Limit::AtMost(1));
                        }
                    }
                }
                Relation::Same if by_value.len() > 1 => {
                    let mut one = Vec::with_capacity(by_value.len());
                    for pairs in by_value {
                        let agreed = program.column();
                        one.push((agreed, 1));
                        for class in scope.covers.iter() {
                            let own = |pair: &usize| layout.pairs[*pair].class == class;
                            let mut terms = terms(&mut pairs.iter().copied().filter(own));
                            if !terms.is_empty() {
                                terms.push((agreed, -number(state.needs[class])?));
                                program.row(terms, Limit::AtMost(0));
                            }
                        }
                    }
                    program.row(one, Limit::AtMost(1));
                }
                Relation::Same => {}
            }
        }
        if problem.far.is_some() {
            let is_far = |pair: &usize| layout.atoms[layout.pairs[*pair].atom].far;
            program.row(terms(&mut live.iter().filter(is_far)), Limit::Far);
        }
        let of_atom = |atom: usize| terms(&mut layout.pairs_of(atom));
        for (a, atom) in layout.atoms.iter().enumerate().filter(|(_, atom)| !atom.serves.is_empty()) {
            let mut terms = of_atom(a);
            match atom.group {
                None if terms.len() < 2 => {}
                None => program.row(terms, Limit::Supply(a)),
                Some(group) => {
                    let whole = match program.groups[group] {
                        Some(column) => column,
                        None => {
                            let column = program.column();
                            program.groups[group] = Some(column);
                            column
                        }
                    };
                    terms.push((whole, -number(state.left[a])?));
                    let is_exact = atom.wanted && !problem.is_bound;
                    program.row(terms, if is_exact { Limit::Exactly(0) } else { Limit::AtMost(0) });
                }
            }
        }
        for sides in &layout.cards {
            let serving = |side: Side| {
                let atoms = sides[side as usize].iter().copied();
                atoms.filter(|&atom| !layout.atoms[atom].serves.is_empty() && state.left[atom] > 0)
            };
            if serving(Side::Physical).next().is_none() || serving(Side::Virtual).next().is_none() {
                continue;
            }
            let physical = program.column();
            for side in [Side::Physical, Side::Virtual] {
                for atom in serving(side) {
                    let single = |pair: usize| layout.single.contains(layout.pairs[pair].class);
                    let all_single = layout.pairs_of(atom).all(single);
                    let pairs = layout.pairs_of(atom).len() as u64;
                    let most =
                        number(if all_single { state.left[atom].min(pairs) } else { state.left[atom] })?;
                    let mut terms = of_atom(atom);
                    if side == Side::Physical {
                        terms.push((physical, -most));
                        program.row(terms, Limit::AtMost(0));
                    } else {
                        terms.push((physical, most));
                        program.row(terms, Limit::AtMost(most));
                    }
                }
            }
        }
        (program.rows.len() * program.columns <= MAX_CELLS).then_some(program)
    }

    /// A column that stands for something else than a pair.
    fn column(&mut self) -> usize {
        self.columns += 1;
        self.columns - 1
    }

    fn row(&mut self, terms: Vec<(usize, i64)>, limit: Limit) {
        self.rows.push(Row { terms, limit });
    }

    /// The bounds under these decisions; `None` if a number is too large.
    fn question(&self, search: &Search<'_>, decided: &Decided) -> Option<Question> {
        let state = &search.state;
        let mut lower = vec![0; self.columns];
        let mut upper = vec![1; self.columns];
        for (upper, &pair) in upper.iter_mut().zip(&self.pairs) {
            *upper = if decided.allowed.contains(pair) { number(search.capacity(pair))? } else { 0 };
        }
        for (group, column) in self.groups.iter().enumerate() {
            if let (Some(column), Some(taken)) = (column, decided.group[group]) {
                lower[*column] = i64::from(taken);
                upper[*column] = i64::from(taken);
            }
        }
        let limit = |row: &Row| match row.limit {
            Limit::Need(class) => number(state.needs[class]),
            Limit::Supply(atom) => number(state.left[atom]),
            Limit::Far => number(state.far),
            Limit::AtMost(number) | Limit::Exactly(number) => Some(number),
        };
        let limits = self.rows.iter().map(limit).collect::<Option<_>>()?;
        Some(Question { lower, upper, limits })
    }

    fn cells(&self) -> u64 {
        (self.rows.len() * self.columns) as u64
    }

    /// What the simplex method found, if it is in whole devices and keeps to what classes need and atoms have.
    fn whole(&self, question: &Question, solution: &[f64]) -> Option<Vec<Amount>> {
        let mut amounts = Vec::with_capacity(self.pairs.len());
        for (value, &upper) in solution[..self.pairs.len()].iter().zip(&question.upper) {
            let amount = value.round() as i64;
            if (value - value.round()).abs() > 1e-6 || !(0..=upper).contains(&amount) {
                return None;
            }
            amounts.push(amount);
        }
        let holds = |(row, limit): (&Row, &i64)| {
            let sum = || row.terms.iter().map(|&(column, factor)| amounts[column] * factor).sum::<i64>();
            match row.limit {
                Limit::Need(_) => sum() == *limit,
                Limit::Supply(_) | Limit::Far => sum() <= *limit,
                // What cards, groups and values have to do with it is looked at by the caller.
                Limit::AtMost(_) | Limit::Exactly(_) => true,
            }
        };
        let is_solution = self.rows.iter().zip(&question.limits).all(holds);
        let by_pair = self.pairs.iter().zip(&amounts).map(|(&pair, amount)| (pair, amount.unsigned_abs()));
        is_solution.then(|| by_pair.filter(|(_, amount)| *amount > 0).collect())
    }

    /// Whether these weights of the rows refute them together: whatever the columns are within their bounds, the sum is
    /// larger than it may be.
    fn refuted(&self, search: &Search<'_>, question: &Question, weights: &[f64]) -> Option<Linear> {
        let largest = weights.iter().fold(0_f64, |largest, weight| largest.max(weight.abs()));
        if largest.is_nan() || largest <= 0.0 {
            return None;
        }
        let mut core = Bits::none(search.problem.classes);
        let mut columns = vec![0_i128; self.columns];
        let mut sum = 0_i128;
        for ((row, &limit), weight) in self.rows.iter().zip(&question.limits).zip(weights) {
            // What is next to nothing comes from rounding.
            let share = weight / largest;
            if share.abs() < 1e-7 || (share < 0.0 && !row.limit.is_exact()) {
                continue;
            }
            let weight = (share * WEIGHT_SCALE).round() as i128;
            sum -= weight * i128::from(limit);
            for &(column, factor) in &row.terms {
                columns[column] += weight * i128::from(factor);
            }
            if let Limit::Need(class) = row.limit {
                core.insert(class);
            }
        }
        for (column, &factor) in columns.iter().enumerate() {
            let bound = if factor > 0 { question.lower[column] } else { question.upper[column] };
            sum += factor * i128::from(bound);
        }
        // What a group must give may be given to anyone.
        if self.groups.iter().any(Option::is_some) {
            core = Bits::all(search.problem.classes);
        }
        (sum > 0).then_some(Linear::Impossible(core))
    }
}

/// Whether no group gives more than it has, and those that are taken give all of it.
fn uses_up_groups(search: &Search<'_>, decided: &Decided, amounts: &[Amount]) -> bool {
    let Search { layout, state, problem, .. } = search;
    let mut used = vec![0; layout.atoms.len()];
    amounts.iter().for_each(|&(pair, amount)| used[layout.pairs[pair].atom] += amount);
    layout.groups.iter().enumerate().all(|(group, atoms)| {
        let is_used_up = decided.group[group] == Some(true) && !problem.is_bound;
        let wanted = atoms.iter().filter(|&&atom| !layout.atoms[atom].serves.is_empty());
        wanted.copied().all(|a| used[a] == state.left[a] || (!is_used_up && used[a] < state.left[a]))
    })
}

fn number(amount: u64) -> Option<i64> {
    i64::try_from(amount).ok().filter(|_| amount <= MAX_AMOUNT)
}
