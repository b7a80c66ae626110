//! The solver against the oracle, which tries every assignment.
//!
//! `SLOTWISE_ORACLE_CASES` sets the number of cases and `SLOTWISE_ORACLE_SEED` the first seed; a failure prints its own.

use slotwise::{Device, DeviceSpecs, Fit, Pools, Tracker, TrackerOptions, Workload};
use slotwise_testkit::generate::{self, Host, Rng, Size};
use slotwise_testkit::model;
use slotwise_testkit::oracle::Question;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
        Err(_) => default,
    }
}

/// How many cases a test runs.
fn cases() -> u64 {
    setting("SLOTWISE_ORACLE_CASES", 2000)
}

/// Runs `test` on consecutive seeds and names the seed that fails.
fn for_seeds(cases: u64, test: impl Fn(&mut Rng)) {
    let first = setting("SLOTWISE_ORACLE_SEED", 1);
    for seed in first..first + cases {
        let run = std::panic::AssertUnwindSafe(|| test(&mut Rng::new(seed)));
        if let Err(cause) = std::panic::catch_unwind(run) {
            eprintln!("again with SLOTWISE_ORACLE_SEED={seed} SLOTWISE_ORACLE_CASES=1");
            std::panic::resume_unwind(cause);
        }
    }
}

/// Compares one answer with the oracle's; says whether it fits.
#[track_caller]
fn compare(fit: &Fit, host: &Host, held: &[Device], workload: &Workload) -> bool {
    let question = Question::new(host, held, workload);
    let all: Vec<usize> = (0..workload.requests.len()).collect();
    let feasible = question.feasible(&all);
    let context = || format!("{fit:#?}\n{host:#?}\nheld {held:?}\n{workload:#?}");
    match fit {
        Fit::Fits(assignment) => {
            assert!(feasible, "the engine fits what cannot fit: {}", context());
            let fault = question.fault(assignment);
            assert!(fault.is_none(), "{}: {}", fault.unwrap_or_default(), context());
        }
        Fit::NoFit(no) => {
            assert!(!feasible, "the engine refuses what fits: {}", context());
            let fault = question.conflict_fault(&no.conflict);
            assert!(fault.is_none(), "{}: {}", fault.unwrap_or_default(), context());
            for report in &no.requests {
                assert_eq!(report.free as usize, question.free.len(), "{}", context());
                let dropped: u32 = report.steps.iter().map(|step| step.dropped).sum();
                let left = report.steps.last().map(|step| step.left);
                assert_eq!(left, Some(report.free - dropped), "{}", context());
            }
        }
        Fit::Undecided(_) => panic!("an instance this small must be decided: {}", context()),
    }
    feasible
}

#[test]
fn pools_of_one_device_each() {
    let fits = std::cell::Cell::new(0_u64);
    for_seeds(cases(), |rng| {
        let host = generate::host(rng, Size::SMALL);
        let workload = generate::workload(rng, Size::SMALL, &host);
        let pools = generate::singleton_pools(&host).to_string();
        let pools = Pools::from_json(&pools, host.topology.clone()).expect("generated pools are valid");
        let fit = pools.fit(&workload).expect("a generated workload is valid");
        fits.set(fits.get() + u64::from(compare(&fit, &host, &[], &workload)));
    });
    let cases = cases();
    // A generator that makes only easy or only hopeless instances would show nothing.
    assert!(
        cases < 100 || (cases / 10..cases * 9 / 10).contains(&fits.get()),
        "{} of {cases} fit",
        fits.get()
    );
}

#[test]
fn a_tracker_with_a_claim_before() {
    let seconds = std::cell::Cell::new(0_u64);
    for_seeds(cases(), |rng| {
        let host = generate::host(rng, Size::SMALL);
        let options = TrackerOptions { numa_topology: host.topology.clone(), ..TrackerOptions::default() };
        let specs = DeviceSpecs::parse(&host.specs(), false).expect("generated rules are valid");
        let mut tracker = Tracker::new(specs, options).expect("the options are valid");
        tracker.sync(host.devices.clone()).expect("a generated host is consistent");
        let mut held: Vec<Device> = Vec::new();
        for owner in ["first", "second"] {
            let workload = generate::workload(rng, Size::SMALL, &host);
            let claim = tracker.claim(owner, &workload).expect("a generated workload is valid");
            let fits = compare(&claim, &host, &held, &workload);
            seconds.set(seconds.get() + u64::from(fits && !held.is_empty()));
            held = tracker.devices().into_iter().filter(|t| t.owner.is_some()).map(|t| t.device).collect();
        }
    });
    let cases = cases();
    assert!(cases < 100 || seconds.get() > cases / 50, "only {} second claims of {cases} fit", seconds.get());
}

#[test]
fn random_operations_agree_with_the_model() {
    let total = std::cell::Cell::new(model::Counts::default());
    // Each is a sequence of thirty operations, with many comparisons after each.
    let sequences = cases().div_ceil(5);
    for_seeds(sequences, |rng| {
        let (mut sum, counts) = (total.get(), model::run(rng, 30));
        sum.claimed += counts.claimed;
        sum.refused += counts.refused;
        sum.freed += counts.freed;
        sum.deferred += counts.deferred;
        sum.written += counts.written;
        sum.failed += counts.failed;
        total.set(sum);
    });
    let all = total.get();
    let least =
        [all.claimed, all.refused, all.freed, all.deferred, all.written, all.failed].into_iter().min();
    // Each kind of thing must have happened often.
    assert!(sequences < 100 || least > Some(100), "{all:?}");
}
