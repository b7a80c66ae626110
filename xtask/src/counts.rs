//! Counting tests in what test runners print.

use std::ops::AddAssign;
use std::process::Command;

use anyhow::{Result, bail};

use crate::sh;

/// How many tests passed, failed, and were not run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) fn passed(passed: u64) -> Self {
        Counts { passed, ..Counts::default() }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs tests, shows what they print, and counts them; a runner that fails without a failed test counts as one.
///
/// # Errors
///
/// When it cannot be started, or ran no test.
pub(crate) fn run(tests: &mut Command) -> Result<Counts> {
    let mut reader = Reader::default();
    let ok = sh::tee(tests, |line| reader.see(line))?;
    let mut counts = reader.counts();
    if ok && counts.passed == 0 {
        bail!("`{}` ran no test", sh::show(tests));
    }
    counts.failed += u64::from(!ok && counts.failed == 0);
    Ok(counts)
}

/// Reads a runner's output line by line.
///
/// It knows the summaries of `cargo test` (`test result: ok. 3 passed; 0 failed; 1 ignored; …`), of Python's unittest
/// (`Ran 5 tests in 0.1s`, then `OK (skipped=1)` or `FAILED (failures=1, errors=2)`), of criterion in test mode
/// (`Success`, once per bench), and our own (`3 passed, 0 failed`).
#[derive(Debug, Default)]
pub(crate) struct Reader {
    counts: Counts,
    /// How many tests unittest said it ran, until it says how they went.
    ran: u64,
}

impl Reader {
    pub(crate) fn see(&mut self, line: &str) {
        let line = line.trim();
        if let Some(result) = line.strip_prefix("test result: ") {
            self.counts += Counts {
                passed: before(result, " passed"),
                failed: before(result, " failed"),
                skipped: before(result, " ignored"),
            };
        } else if let Some(rest) = line.strip_prefix("Ran ") {
            self.ran = first_number(rest);
        } else if line.starts_with("OK") || line.starts_with("FAILED (") || line.starts_with("NO TESTS RAN") {
            let failed =
                after(line, "failures=") + after(line, "errors=") + after(line, "unexpected successes=");
            let skipped = after(line, "skipped=");
            let passed = self.ran.saturating_sub(failed + skipped);
            self.counts += Counts { passed, failed, skipped };
            self.ran = 0;
        } else if line == "Success" {
            self.counts += Counts::passed(1);
        } else if let Some((passed, failed)) = line.split_once(" passed, ")
            && let (Ok(passed), Some(Ok(failed))) =
                (passed.parse(), failed.strip_suffix(" failed").map(str::parse))
        {
            self.counts += Counts { passed, failed, skipped: 0 };
        }
    }

    pub(crate) fn counts(self) -> Counts {
        self.counts
    }
}

/// The number that stands just before `word`.
fn before(line: &str, word: &str) -> u64 {
    let Some((front, _)) = line.split_once(word) else { return 0 };
    front.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The number that stands just after `word`.
fn after(line: &str, word: &str) -> u64 {
    line.split_once(word).map_or(0, |(_, rest)| first_number(rest))
}

fn first_number(text: &str) -> u64 {
    text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, passed: u64, failed: u64, skipped: u64) {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.see(line));
        assert_eq!(reader.counts(), Counts { passed, failed, skipped });
    }

    #[test]
    fn reads_every_runner() {
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s",
            12,
            0,
            1,
        );
        check("test a ... ok\ntest result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured\n", 2, 3, 0);
        check("Ran 5 tests in 0.100s\n\nOK", 5, 0, 0);
        check("Ran 1 test in 0.100s\n\nOK (skipped=1)", 0, 0, 1);
        check("Ran 9 tests in 0.100s\n\nFAILED (failures=1, errors=2, skipped=1)", 5, 3, 1);
        check("Testing match/4096\nSuccess\nTesting claim\nSuccess", 2, 0, 0);
        check("  150 passed, 2 failed", 150, 2, 0);
    }

    #[test]
    fn leaves_other_lines_alone() {
        check(
            "OKAY passed\nall passed, none failed\nSuccessfully installed slotwise-0.1.0\ntest x ... ok",
            0,
            0,
            0,
        );
    }
}
