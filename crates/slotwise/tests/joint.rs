//! Constraints, fallbacks, device groups, preferences and cells to choose from, against the oracle.
//!
//! `SLOTWISE_ORACLE_CASES` sets the number of cases and `SLOTWISE_ORACLE_SEED` the first seed; a failure prints its own.
//! `cargo xtask oracle` runs a million.

use slotwise::Workload;
use slotwise_testkit::joint;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
        Err(_) => default,
    }
}

#[test]
fn constrained_workloads() {
    let (first, cases) = (setting("SLOTWISE_ORACLE_SEED", 1), setting("SLOTWISE_ORACLE_CASES", 20_000));
    let (mut fits, mut refused) = (0, 0);
    for seed in first..first + cases {
        match std::panic::catch_unwind(|| joint::check(seed)) {
            Ok(Some(true)) => fits += 1,
            Ok(Some(false)) => refused += 1,
            Ok(None) => {}
            Err(cause) => {
                eprintln!("again with SLOTWISE_ORACLE_SEED={seed} SLOTWISE_ORACLE_CASES=1");
                std::panic::resume_unwind(cause);
            }
        }
    }
    println!("{fits} fit, {refused} do not, {} contradict themselves", cases - fits - refused);
    // A generator that makes only easy or only hopeless instances would show nothing.
    assert!(cases < 100 || (fits > cases / 5 && refused > cases / 10), "{fits} fit, {refused} do not");
}

/// The hardest instances that a search over random ones has found, with the steps that they took then: a change that
/// makes one of them harder shows here.
#[test]
fn hardest_instances_stay_decided() {
    for &(seed, kept) in joint::HARDEST {
        let (_, tracker, workload) = joint::instance(seed, joint::LARGE);
        let (steps, _) =
            joint::steps(&tracker, &workload, Workload::DEFAULT_BUDGET).expect("a valid workload");
        assert!(steps <= kept, "seed {seed} takes {steps} steps, and took {kept}");
    }
}

/// No instance of up to 64 devices and 8 requests is undecided with the default budget.
#[test]
fn large_instances_are_decided() {
    for seed in 1..=300 {
        let (_, tracker, workload) = joint::instance(seed, joint::LARGE);
        let undecided = |fit: &slotwise::Fit| matches!(fit, slotwise::Fit::Undecided(_));
        assert!(!tracker.fit(&workload).is_ok_and(|fit| undecided(&fit)), "seed {seed} is undecided");
    }
}
