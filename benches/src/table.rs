//! Medians, and the plain tables that the comparison prints.

use std::time::{Duration, Instant};

/// The median time of one run of `work`, over enough rounds that a noisy neighbour does not decide.
pub fn median<T>(mut work: impl FnMut() -> T) -> Duration {
    median_of(|times| {
        let start = Instant::now();
        for _ in 0..times {
            std::hint::black_box(work());
        }
        Ok::<_, std::convert::Infallible>(start.elapsed())
    })
    .unwrap_or_else(|never| match never {})
}

/// As [`median`], for work that measures a number of its own repetitions.
///
/// # Errors
///
/// The first error of `time`.
pub fn median_of<E>(mut time: impl FnMut(u64) -> Result<Duration, E>) -> Result<Duration, E> {
    const ROUND: Duration = Duration::from_millis(10);
    const ROUNDS: usize = 25;
    let mut times = 1;
    while time(times)? < ROUND && times < 1 << 30 {
        times *= 2;
    }
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(time(times)?.as_secs_f64() / times as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(Duration::from_secs_f64(rounds[ROUNDS / 2]))
}

/// A duration with three digits and the unit that suits it.
#[must_use]
pub fn show(duration: Duration) -> String {
    let nanoseconds = duration.as_secs_f64() * 1e9;
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
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
        assert!(median(|| (0..100_u64).sum::<u64>()) > Duration::ZERO);
    }
}
