//! Constraints, fallbacks, device groups, preferences and cells to choose from, against the oracle: feasibility, the
//! validity of the assignment, and that it is the one that the documented order chooses.
//!
//! `SLOTWISE_ORACLE_CASES` sets the number of cases and `SLOTWISE_ORACLE_SEED` the first seed; a failure prints its own.

use slotwise::{DeviceSpecs, ErrorKind, Fit, Tracker, TrackerOptions};
use slotwise_testkit::generate::{self, Rng};
use slotwise_testkit::oracle::Question;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
        Err(_) => default,
    }
}

/// Compares one instance with the oracle; `None` if the workload contradicts itself, else whether it fits.
fn instance(seed: u64) -> Option<bool> {
    let mut rng = Rng::new(seed);
    let host = generate::grouped_host(&mut rng, generate::CONSTRAINED);
    let workload = generate::constrained_workload(&mut rng, generate::CONSTRAINED, &host);
    let specs = DeviceSpecs::parse(&host.specs(), false).expect("generated rules are valid");
    let options = TrackerOptions { numa_topology: host.topology.clone(), ..TrackerOptions::default() };
    let mut tracker = Tracker::new(specs, options).expect("generated options are valid");
    tracker.sync(host.devices.clone()).expect("a generated host is valid");
    let question = Question::new(&host, &[], &workload);
    let all: Vec<usize> = (0..workload.requests.len()).collect();
    let fit = match tracker.fit(&workload) {
        Ok(fit) => fit,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            return None;
        }
    };
    let context = || format!("{fit:#?}\n{host:#?}\n{workload:#?}");
    match &fit {
        Fit::Fits(assignment) => {
            let fault = question.fault(assignment);
            assert!(fault.is_none(), "{}: {}", fault.unwrap_or_default(), context());
            let (devices, chosen) =
                question.choice(tracker.pools().as_slice()).expect("what fits can be chosen");
            let options: Vec<usize> = assignment.requests.iter().map(|given| given.option).collect();
            let given: Vec<_> = assignment.requests.iter().map(|given| given.devices.clone()).collect();
            assert_eq!(options, chosen.options, "other options: {}", context());
            assert_eq!(given, devices, "other devices: {}", context());
            // What was found can be claimed as it is, once.
            tracker.claim_fit("first", &workload, assignment).expect("nothing happened in between");
            let again = tracker.claim_fit("second", &workload, assignment).expect_err("the devices are gone");
            assert_eq!(again.kind(), ErrorKind::Conflict);
            Some(true)
        }
        Fit::NoFit(no) => {
            assert!(!question.feasible(&all), "the engine refuses what fits: {}", context());
            let fault = question.conflict_fault(&no.conflict);
            assert!(fault.is_none(), "{}: {}", fault.unwrap_or_default(), context());
            Some(false)
        }
        Fit::Undecided(_) => panic!("an instance this small must be decided: {}", context()),
    }
}

#[test]
fn constrained_workloads() {
    let (first, cases) = (setting("SLOTWISE_ORACLE_SEED", 1), setting("SLOTWISE_ORACLE_CASES", 2000));
    let (mut fits, mut refused) = (0, 0);
    for seed in first..first + cases {
        match std::panic::catch_unwind(|| instance(seed)) {
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
