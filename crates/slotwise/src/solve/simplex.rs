//! The simplex method on variables with bounds: whether rows can be satisfied, from wherever the last question ended.

use std::ops::Range;

/// How a question ended.
pub(super) enum Outcome {
    Feasible,
    /// A weight for each row: their sum cannot come out.
    Infeasible(Vec<f64>),
    /// It took too long.
    Lost,
}

/// By how much a variable may be outside of its bounds.
const TOLERANCE: f64 = 1e-7;

/// What is too small to pivot on.
const MIN_PIVOT: f64 = 1e-7;

/// What is taken as 0 in the tableau.
const NOTHING: f64 = 1e-11;

/// How many cells that are computed one beside the other cost what one look at an arc does.
pub(super) const CELLS_PER_LOOK: usize = 8;

/// Where fewer than one in so many columns of the pivot row are in use, they are looked at one by one.
const SPARSE: usize = 3;

/// A tableau. Variables are numbered: first the columns of the program, then what is left over in each of its rows.
/// Each row says that its basic variable plus the sum of its cells times the other variables is a constant.
pub(super) struct Simplex {
    columns: usize,
    rows: usize,
    cells: Vec<f64>,
    /// The variable of each row.
    basic: Vec<usize>,
    /// The variable of each column, which stands at one of its bounds.
    open: Vec<usize>,
    /// Whether a variable that is not basic stands at its upper bound.
    at_upper: Vec<bool>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// What the variable of each row is now.
    values: Vec<f64>,
    pivots: usize,
    /// How the sum of what is outside of the bounds depends on each column.
    slopes: Vec<f64>,
    pivot_row: Vec<f64>,
    /// The columns of the pivot row that are not 0.
    used: Vec<u32>,
    /// Where a variable of a row reaches a bound, how fast, and the row.
    stops: Vec<(f64, f64, usize)>,
}

impl Simplex {
    /// A program with these columns and rows, each a list of columns and factors.
    pub(super) fn new<'r>(columns: usize, rows: impl ExactSizeIterator<Item = &'r [(usize, i64)]>) -> Self {
        let count = rows.len();
        let mut cells = vec![0.0; columns * count];
        for (row, terms) in cells.chunks_exact_mut(columns.max(1)).zip(rows) {
            for &(column, factor) in terms {
                row[column] += factor as f64;
            }
        }
        Simplex {
            columns,
            rows: count,
            cells,
            basic: (columns..columns + count).collect(),
            open: (0..columns).collect(),
            at_upper: vec![false; columns + count],
            lower: vec![0.0; columns + count],
            upper: vec![0.0; columns + count],
            values: vec![0.0; count],
            pivots: 0,
            slopes: vec![0.0; columns],
            pivot_row: vec![0.0; columns],
            used: Vec::with_capacity(columns),
            stops: Vec::new(),
        }
    }

    /// How many pivots the tableau has seen.
    pub(super) fn pivots(&self) -> usize {
        self.pivots
    }

    /// Sets the bounds of the columns, what each row comes to, and whether exactly so or at most.
    pub(super) fn ask(
        &mut self,
        bounds: impl Iterator<Item = (i64, i64)>,
        rows: impl Iterator<Item = (i64, bool)>,
    ) {
        for (column, (lower, upper)) in bounds.enumerate() {
            (self.lower[column], self.upper[column]) = (lower as f64, upper as f64);
        }
        let mut limits = vec![0.0; self.rows];
        for (row, (limit, is_exact)) in rows.enumerate() {
            limits[row] = limit as f64;
            self.upper[self.columns + row] = if is_exact { 0.0 } else { f64::INFINITY };
        }
        // What each column adds to the constants of the rows.
        let weights: Vec<f64> = self
            .open
            .iter()
            .map(|&variable| {
                let limit = variable.checked_sub(self.columns).map_or(0.0, |row| limits[row]);
                limit - self.bound(variable)
            })
            .collect();
        for (row, cells) in self.cells.chunks_exact(self.columns.max(1)).enumerate() {
            let limit = self.basic[row].checked_sub(self.columns).map_or(0.0, |row| limits[row]);
            self.values[row] =
                limit + cells.iter().zip(&weights).map(|(cell, weight)| cell * weight).sum::<f64>();
        }
    }

    /// Where a variable that is not basic stands.
    fn bound(&self, variable: usize) -> f64 {
        if self.at_upper[variable] { self.upper[variable] } else { self.lower[variable] }
    }

    /// What each column's variable is now.
    pub(super) fn solution(&self) -> Vec<f64> {
        let mut solution: Vec<f64> = (0..self.columns).map(|column| self.bound(column)).collect();
        for (&variable, &value) in self.basic.iter().zip(&self.values) {
            if let Some(own) = solution.get_mut(variable) {
                *own = value;
            }
        }
        solution
    }

    /// Looks for values within all bounds. `work` hears how much that was, in looks at an arc.
    pub(super) fn solve<E>(&mut self, mut work: impl FnMut(u64) -> Result<(), E>) -> Result<Outcome, E> {
        // What is outside of its bounds is brought back one variable after the other, which may push others out; that is
        // nearly always the shorter way from the end of the last question.
        for _ in 0..self.rows / 2 {
            let Some((outside, row)) = self.furthest_outside() else { return Ok(Outcome::Feasible) };
            let Some((column, step)) = self.mending(row, outside) else {
                return Ok(Outcome::Infeasible(self.weights(row..row + 1)));
            };
            work(self.go(column, step, Some(row)) as u64)?;
        }
        let mut idle = 0;
        for _ in 0..4 * (self.rows + self.columns) {
            let outside = self.slopes();
            if outside == 0 {
                return Ok(Outcome::Feasible);
            }
            work((outside * self.columns / CELLS_PER_LOOK) as u64)?;
            // The steepest first; where nothing comes of it for long, the first, which never goes round in a circle.
            let is_careful = idle > 2 * self.rows;
            let Some(column) = self.entering(is_careful) else {
                return Ok(Outcome::Infeasible(self.weights(0..self.rows)));
            };
            let sign = if self.at_upper[self.open[column]] { -1.0 } else { 1.0 };
            let (step, row) = self.leaving(column, sign, is_careful);
            if !step.is_finite() {
                return Ok(Outcome::Lost);
            }
            idle = if step > TOLERANCE { 0 } else { idle + 1 };
            work(self.go(column, sign * step, row) as u64)?;
        }
        Ok(Outcome::Lost)
    }

    /// The row whose variable is furthest outside of its bounds, and by how much.
    fn furthest_outside(&self) -> Option<(f64, usize)> {
        let mut furthest: Option<(f64, usize)> = None;
        for (row, (value, &variable)) in self.values.iter().zip(&self.basic).enumerate() {
            let outside = (self.lower[variable] - value).max(value - self.upper[variable]);
            if outside > furthest.map_or(TOLERANCE, |(most, _)| most) {
                furthest = Some((outside, row));
            }
        }
        furthest
    }

    /// The column whose variable brings that of a row back to its bound with the shortest step, and that step; `None` if none
    /// can, so that the row alone is a refutation.
    fn mending(&self, row: usize, outside: f64) -> Option<(usize, f64)> {
        let wanted = self.wanted(row);
        let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
        let mut best: Option<(usize, f64)> = None;
        for (column, (&cell, &variable)) in cells.iter().zip(&self.open).enumerate() {
            let sign = if self.at_upper[variable] { -1.0 } else { 1.0 };
            let rate = -wanted * sign * cell;
            let can_move = self.upper[variable] > self.lower[variable];
            if rate > MIN_PIVOT && can_move && best.is_none_or(|(_, step)| rate * step.abs() > outside) {
                best = Some((column, sign * outside / rate));
            }
        }
        best
    }

    /// On which side of its bounds the variable of a row is: whether it has to grow (1), to shrink (-1), or neither.
    fn wanted(&self, row: usize) -> f64 {
        let (value, variable) = (self.values[row], self.basic[row]);
        if value < self.lower[variable] - TOLERANCE {
            1.0
        } else if value > self.upper[variable] + TOLERANCE {
            -1.0
        } else {
            0.0
        }
    }

    /// Computes the slopes; says how many variables are outside of their bounds.
    fn slopes(&mut self) -> usize {
        self.slopes.fill(0.0);
        let mut outside = 0;
        for row in 0..self.rows {
            let wanted = self.wanted(row);
            if wanted != 0.0 {
                outside += 1;
                let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
                self.slopes.iter_mut().zip(cells).for_each(|(slope, cell)| *slope += wanted * cell);
            }
        }
        outside
    }

    /// The column whose variable should leave its bound.
    fn entering(&self, is_careful: bool) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (column, (&slope, &variable)) in self.slopes.iter().zip(&self.open).enumerate() {
            let helps = if self.at_upper[variable] { slope > TOLERANCE } else { slope < -TOLERANCE };
            if !helps || self.upper[variable] <= self.lower[variable] {
                continue;
            }
            let is_better =
                best.is_none_or(
                    |(other, most)| {
                        if is_careful { variable < self.open[other] } else { slope.abs() > most }
                    },
                );
            if is_better {
                best = Some((column, slope.abs()));
            }
        }
        best.map(|(column, _)| column)
    }

    /// How far a column's variable goes, and the row whose variable stops it; no row if it reaches its other bound.
    ///
    /// It goes on past variables that reach a bound for as long as the sum of what is outside of the bounds still falls;
    /// when it has to be careful, up to the first.
    fn leaving(&mut self, column: usize, sign: f64, is_careful: bool) -> (f64, Option<usize>) {
        self.stops.clear();
        for row in 0..self.rows {
            let rate = -sign * self.cells[row * self.columns + column];
            if rate.abs() < MIN_PIVOT {
                continue;
            }
            let (value, variable) = (self.values[row], self.basic[row]);
            let (lower, upper) = (self.lower[variable], self.upper[variable]);
            let (near, far) = if rate > 0.0 { (lower, upper) } else { (upper, lower) };
            let wanted = self.wanted(row);
            let mut stop = |bound: f64| {
                if bound.is_finite() {
                    self.stops.push((((bound - value) / rate).max(0.0), rate.abs(), row));
                }
            };
            if wanted * rate > 0.0 {
                stop(near);
                stop(far);
            } else if wanted == 0.0 {
                stop(far);
            }
        }
        let entering = self.open[column];
        let range = self.upper[entering] - self.lower[entering];
        let basic = &self.basic;
        self.stops.sort_unstable_by(|(at, rate, row), (other, others, other_row)| {
            let same_place = if is_careful {
                basic[*row].cmp(&basic[*other_row])
            } else {
                others.total_cmp(rate).then(row.cmp(other_row))
            };
            at.total_cmp(other).then(same_place)
        });
        let mut slope = if is_careful { 0.0 } else { self.slopes[column].abs() };
        for &(at, rate, row) in &self.stops {
            slope -= rate;
            if at >= range {
                break;
            }
            if slope <= TOLERANCE {
                return (at, Some(row));
            }
        }
        (range, None)
    }

    /// Lets a column's variable go so far, and take the place of a row's that stops it; says how much work that was.
    fn go(&mut self, column: usize, step: f64, stopped_by: Option<usize>) -> usize {
        let entering = self.open[column];
        for row in 0..self.rows {
            self.values[row] -= step * self.cells[row * self.columns + column];
        }
        let Some(row) = stopped_by else {
            self.at_upper[entering] = !self.at_upper[entering];
            return self.rows;
        };
        let leaving = self.basic[row];
        let (value, lower, upper) = (self.values[row], self.lower[leaving], self.upper[leaving]);
        self.at_upper[leaving] = upper.is_finite() && (upper - value).abs() < (value - lower).abs();
        self.values[row] = self.bound(entering) + step;
        self.at_upper[entering] = false;
        self.pivot(row, column)
    }

    /// Exchanges the variables of a row and a column.
    fn pivot(&mut self, row: usize, column: usize) -> usize {
        let width = self.columns;
        let pivot = 1.0 / self.cells[row * width + column];
        for (own, cell) in self.pivot_row.iter_mut().zip(&self.cells[row * width..(row + 1) * width]) {
            *own = cell * pivot;
        }
        self.pivot_row[column] = pivot;
        self.used.clear();
        self.used
            .extend((0..width as u32).filter(|&column| self.pivot_row[column as usize].abs() >= NOTHING));
        let is_sparse = self.used.len() * SPARSE < width;
        let mut work = width + self.rows;
        let others = self.cells.chunks_exact_mut(width).enumerate().filter(|(r, _)| *r != row);
        for (_, cells) in others {
            let factor = std::mem::take(&mut cells[column]);
            if factor.abs() < NOTHING {
                continue;
            }
            if is_sparse {
                work += SPARSE * self.used.len();
                self.used.iter().for_each(|&c| cells[c as usize] -= factor * self.pivot_row[c as usize]);
            } else {
                work += width;
                cells.iter_mut().zip(&self.pivot_row).for_each(|(cell, own)| *cell -= factor * own);
            }
        }
        self.cells[row * width..(row + 1) * width].copy_from_slice(&self.pivot_row);
        std::mem::swap(&mut self.basic[row], &mut self.open[column]);
        self.pivots += 1;
        work / CELLS_PER_LOOK
    }

    /// How much each row of the program weighs in the sum of these rows of the tableau, as far as they are outside: where no
    /// column can do anything about that, a refutation.
    fn weights(&self, rows: Range<usize>) -> Vec<f64> {
        let mut weights = vec![0.0; self.rows];
        for row in rows {
            let wanted = self.wanted(row);
            if wanted == 0.0 {
                continue;
            }
            let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
            for (&variable, cell) in self.open.iter().zip(cells) {
                if let Some(of) = variable.checked_sub(self.columns) {
                    weights[of] += wanted * cell;
                }
            }
            if let Some(of) = self.basic[row].checked_sub(self.columns) {
                weights[of] = wanted;
            }
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Simplex};

    /// Two columns that come to 3 exactly, of which the first and the second count at most so much.
    fn outcome(simplex: &mut Simplex, first: i64, second: i64) -> Outcome {
        simplex.ask([(0, first), (0, second)].into_iter(), [(3, true), (2, false)].into_iter());
        simplex.solve(|_| Ok::<(), ()>(())).expect("work is free here")
    }

    #[test]
    fn a_question_goes_on_where_the_last_one_ended() {
        let rows: [&[(usize, i64)]; 2] = [&[(0, 1), (1, 1)], &[(0, 1)]];
        let mut simplex = Simplex::new(2, rows.into_iter());
        assert!(matches!(outcome(&mut simplex, 5, 1), Outcome::Feasible));
        assert_eq!(simplex.solution(), [2.0, 1.0]);
        // The first may be 2 at most, so that the second alone is short of 3 by 1.
        let Outcome::Infeasible(weights) = outcome(&mut simplex, 5, 0) else { panic!("2 are not 3") };
        assert!(weights[0] < 0.0 && weights[1] > 0.0, "{weights:?}");
        assert!(matches!(outcome(&mut simplex, 0, 3), Outcome::Feasible));
        assert_eq!(simplex.solution(), [0.0, 3.0]);
    }
}
