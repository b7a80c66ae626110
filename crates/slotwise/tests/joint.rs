//! Constraints, fallbacks, device groups, preferences and cells to choose from, against the oracle.
//!
//! `SLOTWISE_ORACLE_CASES` sets the number of cases and `SLOTWISE_ORACLE_SEED` the first seed; a failure prints its own.
//! `cargo xtask oracle` runs a million.

use slotwise::{Claim, Fit, Request, Workload};
use slotwise_testkit::hard::{self, Family};
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

/// Several owners at once, some of whom want the same device groups.
#[test]
fn workloads_claimed_together() {
    let first = setting("SLOTWISE_ORACLE_SEED", 1);
    let answers: Vec<_> = (first..first + 3_000).filter_map(joint::check_claims).collect();
    let fits = answers.iter().filter(|fits| **fits).count();
    assert!(fits > answers.len() / 10 && fits < answers.len() / 2, "{fits} of {} fit", answers.len());
}

/// The hardest instances that a search over random ones has found, with the steps that they took then: a change that
/// makes one of them harder shows here.
#[test]
fn hardest_instances_stay_decided() {
    for &(family, seed, kept) in hard::HARDEST {
        let (tracker, workload) = hard::instance(family, seed);
        let fit = tracker.fit(&Workload { budget: Some(kept), ..workload }).expect("a valid workload");
        assert!(joint::is_decided(&fit), "{family} {seed} takes more than {kept} steps");
    }
}

/// What is found before the budget runs out is given, and can be claimed.
#[test]
fn hardest_instances_fit_where_only_the_choice_is_open() {
    for &(family, seed) in hard::CUT_SHORT {
        let (mut tracker, workload) = hard::instance(family, seed);
        let fit = tracker.fit(&workload).expect("a valid workload");
        let assignment = fit.assignment().unwrap_or_else(|| panic!("{family} {seed}: {fit}"));
        tracker.claim_fit("owner", &workload, assignment).expect("it is valid");
    }
}

/// A first claim that takes long leaves something for those that follow.
#[test]
fn one_claim_does_not_use_up_the_budget_of_others() {
    let (mut tracker, workload) = hard::instance(Family::Grid, 0);
    let long = Workload { budget: Some(100), ..workload };
    assert!(tracker.fit(&long).expect("a valid workload").assignment().is_some_and(|it| it.cut_short));
    let isolated = Request { isolate: true, ..Request::default() };
    let short = Workload { requests: vec![isolated], budget: Some(100), ..Workload::default() };
    let claim = |owner: &str, workload| Claim { owner: owner.to_owned(), workload };
    let fit = tracker.claim_all(&[claim("long", long), claim("short", short)]).expect("valid claims");
    assert!(fit.assignment().is_some_and(|both| both.cut_short), "{fit}");
}

/// Random instances of up to 64 devices and 8 requests, and some of each family that is made to be hard, are decided with
/// the default budget.
#[test]
fn large_instances_are_decided() {
    let undecided = |family: Family, seed: u64| {
        let (tracker, workload) = hard::instance(family, seed);
        matches!(tracker.fit(&workload), Ok(Fit::Undecided(_)))
    };
    for seed in 1..=300 {
        assert!(!undecided(Family::Random, seed), "seed {seed} is undecided");
    }
    for &family in Family::ALL {
        for seed in 1..=12 {
            assert!(!undecided(family, seed), "{family} {seed} is undecided");
        }
    }
}
