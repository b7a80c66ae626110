//! The linear relaxation: everything that couples the requests at once, with devices that may be cut into parts.
//!
//! A flow sees one attribute to differ in at a time, and no card or group as a whole. A linear program sees all of them
//! together, which settles what comes out only just, or only just not, where a search over the flows would try every
//! way to be wrong. It costs as much as hundreds of flows and is asked only where the search gets long.
//!
//! It is solved by the simplex method in exact integers, so that what it refutes is refuted; where a number grows too
//! large it says nothing.

use std::collections::BTreeMap;

use super::bits::Bits;
use super::budget::{Budget, Exhausted};
use super::layout::Side;
use super::search::{Amount, Decided, Search};
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

/// The largest number that may stand in a tableau. Sums of two fit an `i32`, products of two fit an `i64`.
const MAX_ENTRY: i32 = 1 << 29;

/// Solves the relaxation of what is left under these decisions.
pub(super) fn relax(search: &Search<'_>, decided: &Decided, budget: &Budget) -> Result<Linear, Exhausted> {
    let Some(program) = Program::new(search, decided) else { return Ok(Linear::Open) };
    let mut simplex = program.simplex();
    match simplex.maximize(program.target, budget)? {
        None => Ok(Linear::Open),
        Some(true) => {
            let mut amounts = Vec::new();
            for (column, &pair) in program.pairs.iter().enumerate() {
                match simplex.value(column) {
                    (0, _) => {}
                    (amount, of) if amount % of == 0 => {
                        amounts.push((pair, u64::from((amount / of).unsigned_abs())));
                    }
                    _ => return Ok(Linear::Open),
                }
            }
            Ok(Linear::Whole(amounts))
        }
        Some(false) => {
            // What a group must give may be given to anyone.
            if program.grouped {
                return Ok(Linear::Impossible(Bits::all(search.problem.classes)));
            }
            // A class whose need weighs exactly what serving it gives plays no part in the proof.
            let mut core = Bits::none(search.problem.classes);
            for &(class, row) in &program.needs {
                if !simplex.weighs_one(program.pairs_and_more() + row) {
                    core.insert(class);
                }
            }
            Ok(Linear::Impossible(core))
        }
    }
}

/// A linear program: at most so much in each row, as much as possible of what counts.
#[derive(Default)]
struct Program {
    /// The pair of each of the first columns; those that follow stand for cards, groups and values.
    pairs: Vec<usize>,
    more: usize,
    rows: Vec<(Vec<(usize, i32)>, i32)>,
    /// What counts: the columns, each once.
    counts: Vec<usize>,
    /// What it must come to.
    target: i32,
    /// The row of each class that needs something.
    needs: Vec<(usize, usize)>,
    /// Whether there are groups in it.
    grouped: bool,
}

impl Program {
    /// The program; `None` if it would be too large.
    fn new(search: &Search<'_>, decided: &Decided) -> Option<Self> {
        let Search { layout, problem, state, .. } = search;
        let mut program = Program { pairs: search.open_pairs(decided).collect(), ..Program::default() };
        if program.pairs.len() * (problem.classes + layout.atoms.len()) > 4 * MAX_CELLS {
            return None;
        }
        let number = |amount: u64| i32::try_from(amount).ok().filter(|&amount| amount <= 1 << 20);
        let mut of_class = vec![Vec::new(); problem.classes];
        let mut of_atom = vec![Vec::new(); layout.atoms.len()];
        for (column, &pair) in program.pairs.iter().enumerate() {
            of_class[layout.pairs[pair].class].push((column, 1));
            of_atom[layout.pairs[pair].atom].push((column, 1));
        }
        program.counts = (0..program.pairs.len()).collect();
        for (class, columns) in of_class.iter().enumerate().filter(|(class, _)| state.needs[*class] > 0) {
            let need = number(state.needs[class])?;
            program.target = program.target.checked_add(need)?;
            program.needs.push((class, program.rows.len()));
            program.rows.push((columns.clone(), need));
        }
        for (s, scope) in problem.scopes.iter().enumerate() {
            let covered = |pair: usize| scope.covers.contains(layout.pairs[pair].class);
            let mut by_value = BTreeMap::<_, Vec<usize>>::new();
            for (column, &pair) in program.pairs.iter().enumerate().filter(|(_, pair)| covered(**pair)) {
                if let Some(value) = layout.atoms[layout.pairs[pair].atom].values[s] {
                    by_value.entry(value).or_default().push(column);
                }
            }
            match scope.relation {
                Relation::Distinct => {
                    let whole =
                        by_value.into_values().map(|columns| columns.into_iter().map(|c| (c, 1)).collect());
                    program.rows.extend(whole.map(|columns| (columns, 1)));
                }
                Relation::Same if by_value.len() > 1 => {
                    let mut one = Vec::with_capacity(by_value.len());
                    for columns in by_value.into_values() {
                        let agreed = program.column();
                        one.push((agreed, 1));
                        for class in scope.covers.iter() {
                            let own = |column: &usize| layout.pairs[program.pairs[*column]].class == class;
                            let mut row: Vec<_> =
                                columns.iter().copied().filter(own).map(|c| (c, 1)).collect();
                            if !row.is_empty() {
                                row.push((agreed, -number(state.needs[class])?));
                                program.rows.push((row, 0));
                            }
                        }
                    }
                    program.rows.push((one, 1));
                }
                Relation::Same => {}
            }
        }
        let mut groups: Vec<Option<usize>> = vec![None; layout.groups.len()];
        for (atom, columns) in of_atom.iter().enumerate().filter(|(_, columns)| !columns.is_empty()) {
            let left = number(state.left[atom])?;
            let Some(group) = layout.atoms[atom].group else {
                let bounded = columns.len() == 1
                    && layout.single.contains(layout.pairs[program.pairs[columns[0].0]].class);
                if !bounded {
                    program.rows.push((columns.clone(), left));
                }
                continue;
            };
            let whole = match groups[group] {
                Some(column) => column,
                None => {
                    let column = program.column();
                    groups[group] = Some(column);
                    program.grouped = true;
                    program.rows.push((vec![(column, 1)], 1));
                    if decided.group[group] == Some(true) {
                        program.counts.push(column);
                        program.target += 1;
                    }
                    column
                }
            };
            let with = |sign: i32| {
                let used = columns.iter().map(|&(column, _)| (column, sign));
                used.chain([(whole, -sign * left)]).collect::<Vec<_>>()
            };
            program.rows.extend([(with(1), 0), (with(-1), 0)]);
        }
        for sides in &layout.cards {
            let busy = |side: Side| sides[side as usize].iter().any(|&atom| !of_atom[atom].is_empty());
            if !busy(Side::Physical) || !busy(Side::Virtual) {
                continue;
            }
            let physical = program.column();
            for side in [Side::Physical, Side::Virtual] {
                for &atom in sides[side as usize].iter().filter(|&&atom| !of_atom[atom].is_empty()) {
                    let given = of_atom[atom].iter().map(|&(c, _)| search.capacity(program.pairs[c]));
                    let most = number(given.fold(0_u64, u64::saturating_add).min(state.left[atom]))?;
                    let (share, limit) = if side == Side::Physical { (-most, 0) } else { (most, most) };
                    let row = of_atom[atom].iter().copied().chain([(physical, share)]).collect();
                    program.rows.push((row, limit));
                }
            }
        }
        (program.rows.len() * program.pairs_and_more() <= MAX_CELLS).then_some(program)
    }

    fn pairs_and_more(&self) -> usize {
        self.pairs.len() + self.more
    }

    /// A column that stands for something else than a pair.
    fn column(&mut self) -> usize {
        self.more += 1;
        self.pairs_and_more() - 1
    }

    fn simplex(&self) -> Simplex {
        let columns = self.pairs_and_more();
        let width = columns + 1;
        let mut cells = vec![0; width * (self.rows.len() + 1)];
        for (r, (row, limit)) in self.rows.iter().enumerate() {
            for &(column, factor) in row {
                cells[r * width + column] = factor;
            }
            cells[r * width + columns] = *limit;
        }
        let gain = self.rows.len() * width;
        for &column in &self.counts {
            cells[gain + column] = -1;
        }
        Simplex {
            width,
            rows: self.rows.len(),
            cells,
            scale: vec![1; self.rows.len() + 1],
            basic: (columns..columns + self.rows.len()).collect(),
            open: (0..columns).collect(),
            wide: Vec::with_capacity(width),
        }
    }
}

/// A tableau: each row says that `scale` times its basic variable, and the sum of its cells times the open variables, is
/// its last cell. The last row is what counts.
///
/// Variables are numbered: first the columns of the program, then what is left over in each of its rows.
struct Simplex {
    width: usize,
    rows: usize,
    cells: Vec<i32>,
    scale: Vec<i32>,
    /// The variable of each row.
    basic: Vec<usize>,
    /// The variable of each column, which is 0.
    open: Vec<usize>,
    /// A row while it is computed.
    wide: Vec<i64>,
}

impl Simplex {
    /// Makes what counts as large as possible: whether it comes to `target`; `None` if that could not be found out.
    fn maximize(&mut self, target: i32, budget: &Budget) -> Result<Option<bool>, Exhausted> {
        let last = self.width - 1;
        let mut idle = 0;
        for _ in 0..8 * (self.rows + self.width) {
            let gain = &self.cells[self.rows * self.width..];
            if i64::from(gain[last]) == i64::from(target) * i64::from(self.scale[self.rows]) {
                return Ok(Some(true));
            }
            // The steepest first; where nothing comes of it for long, the first, which never goes round in a circle.
            let candidates = (0..last).filter(|&column| gain[column] < 0);
            let entering = match idle < 2 * self.rows {
                true => candidates.min_by_key(|&column| (gain[column], column)),
                false => candidates.min_by_key(|&column| self.open[column]),
            };
            let Some(column) = entering else { return Ok(Some(false)) };
            let Some(row) = self.leaving(column) else { return Ok(None) };
            idle = if self.cells[row * self.width + last] == 0 { idle + 1 } else { 0 };
            let Some(work) = self.pivot(row, column) else { return Ok(None) };
            budget.work(work as u64)?;
        }
        Ok(None)
    }

    /// The row whose variable falls to 0 first when that of a column grows.
    fn leaving(&self, column: usize) -> Option<usize> {
        let mut best: Option<(usize, i64, i64)> = None;
        for row in 0..self.rows {
            let own = &self.cells[row * self.width..(row + 1) * self.width];
            let (factor, limit) = (i64::from(own[column]), i64::from(own[self.width - 1]));
            if factor <= 0 {
                continue;
            }
            let is_better = best.is_none_or(|(other, by, limits)| {
                let (mine, theirs) = (limit * by, limits * factor);
                mine < theirs || (mine == theirs && self.basic[row] < self.basic[other])
            });
            if is_better {
                best = Some((row, factor, limit));
            }
        }
        best.map(|(row, ..)| row)
    }

    /// Lets a column's variable take the place of a row's; says how many cells that changed, `None` if a number grew too
    /// large.
    fn pivot(&mut self, row: usize, column: usize) -> Option<usize> {
        let width = self.width;
        let (before, rest) = self.cells.split_at_mut(row * width);
        let (pivot_row, after) = rest.split_at_mut(width);
        let pivot = pivot_row[column];
        let used: Vec<u32> = (0..width).filter(|&c| pivot_row[c] != 0).map(|c| c as u32).collect();
        let mut work = width + self.rows;
        let others = before.chunks_exact_mut(width).enumerate();
        let behind = after.chunks_exact_mut(width).enumerate().map(|(r, cells)| (row + 1 + r, cells));
        for (r, cells) in others.chain(behind) {
            let factor = cells[column];
            if factor == 0 {
                continue;
            }
            let shared = gcd(factor, pivot);
            let (times, minus) = (pivot / shared, factor / shared);
            work += if times == 1 { used.len() } else { width };
            let mut size = 0;
            if times == 1 && minus.abs() == 1 {
                for &c in &used {
                    let cell = &mut cells[c as usize];
                    *cell -= minus * pivot_row[c as usize];
                    size |= *cell ^ (*cell >> 31);
                }
                cells[column] = -minus * self.scale[row];
                if size >= MAX_ENTRY {
                    return None;
                }
                continue;
            }
            let scale = i64::from(self.scale[r]) * i64::from(times);
            self.wide.clear();
            self.wide.extend(cells.iter().map(|&cell| i64::from(cell) * i64::from(times)));
            for &c in &used {
                self.wide[c as usize] -= i64::from(minus) * i64::from(pivot_row[c as usize]);
            }
            self.wide[column] = -i64::from(minus) * i64::from(self.scale[row]);
            let mut common = scale;
            for &cell in self.wide.iter().filter(|cell| **cell != 0) {
                common = wide_gcd(common, cell);
                if common == 1 {
                    break;
                }
            }
            let most = self.wide.iter().fold(scale, |most, cell| most.max(cell.abs()));
            if most / common >= i64::from(MAX_ENTRY) {
                return None;
            }
            for (cell, &wide) in cells.iter_mut().zip(&self.wide) {
                *cell = if common == 1 { wide as i32 } else { (wide / common) as i32 };
            }
            self.scale[r] = (scale / common) as i32;
        }
        pivot_row[column] = self.scale[row];
        self.scale[row] = pivot;
        std::mem::swap(&mut self.basic[row], &mut self.open[column]);
        Some(work)
    }

    /// The value of a variable, as a fraction.
    fn value(&self, variable: usize) -> (i32, i32) {
        let row = self.basic.iter().position(|&basic| basic == variable);
        row.map_or((0, 1), |row| (self.cells[row * self.width + self.width - 1], self.scale[row]))
    }

    /// Whether what is left over of a variable weighs exactly one of what counts.
    fn weighs_one(&self, variable: usize) -> bool {
        let column = self.open.iter().position(|&open| open == variable);
        column.is_some_and(|column| self.cells[self.rows * self.width + column] == self.scale[self.rows])
    }
}

/// The greatest common divisor, which is at least 1; one of the two is not 0.
fn gcd(a: i32, b: i32) -> i32 {
    wide_gcd(a.into(), b.into()) as i32
}

fn wide_gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}
