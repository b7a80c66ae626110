//! Medians, and the plain tables that the comparison prints.

use std::time::{Duration, Instant};

/// How long one measurement is to take, so that the clock's own resolution does not show.
const ROUND: Duration = Duration::from_millis(10);

/// How many measurements are made, so that a noisy neighbour does not decide.
const ROUNDS: usize = 25;

/// The median time of one run of `work`.
pub fn median<T>(mut work: impl FnMut() -> T) -> Duration {
    let rounds = in_turn(1, |_, times| {
        let start = Instant::now();
        for _ in 0..times {
            std::hint::black_box(work());
        }
        Ok::<_, std::convert::Infallible>(start.elapsed())
    });
    let rounds = rounds.unwrap_or_else(|never| match never {});
    Duration::from_secs_f64(rounds.into_iter().next().map_or(0.0, middle))
}

/// The seconds of one repetition, for each of `count` candidates in each round.
///
/// `time` measures a number of repetitions of one candidate. All have their turn in every round, so that what slows the
/// machine down for a while slows them all, and the differences within a round can be trusted.
///
/// # Errors
///
/// The first error of `time`.
pub fn in_turn<E>(
    count: usize,
    mut time: impl FnMut(usize, u64) -> Result<Duration, E>,
) -> Result<Vec<Vec<f64>>, E> {
    let mut times = vec![1; count];
    for (candidate, times) in times.iter_mut().enumerate() {
        while time(candidate, *times)? < ROUND && *times < 1 << 30 {
            *times *= 2;
        }
    }
    let mut rounds = vec![Vec::with_capacity(ROUNDS); count];
    for _ in 0..ROUNDS {
        for (candidate, &times) in times.iter().enumerate() {
            rounds[candidate].push(time(candidate, times)?.as_secs_f64() / times as f64);
        }
    }
    Ok(rounds)
}

/// The median; 0 of none.
#[must_use]
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A duration with three digits and the unit that suits it.
#[must_use]
pub fn show(duration: Duration) -> String {
    show_seconds(duration.as_secs_f64())
}

/// As [`show`], for seconds, of which a nanosecond may be too coarse a part.
#[must_use]
pub fn show_seconds(seconds: f64) -> String {
    let nanoseconds = seconds * 1e9;
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// Whether a goal is reached, as a cell.
#[must_use]
pub fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// Prints rows under their heads, each column as wide as it needs; the first is set to the left, the rest to the right.
pub fn print(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in rows {
        let mut line = String::new();
        for column in 0..columns {
            let cell = row.get(column).map_or("", String::as_str);
            let pad = " ".repeat(width(column) - cell.chars().count());
            line += &if column == 0 { format!("  {cell}{pad}") } else { format!("   {pad}{cell}") };
        }
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (nanoseconds, text) in
            [(0, "0.00 ns"), (7, "7.00 ns"), (1_230, "1.23 µs"), (45_600_000, "45.6 ms")]
        {
            assert_eq!(show(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn a_median_is_positive() {
        assert!(median(|| (0..black_box(10_000_u64)).map(black_box).sum::<u64>()) > Duration::ZERO);
    }
}
