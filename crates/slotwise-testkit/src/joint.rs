//! Constrained instances beside the oracle: feasibility, the validity of the assignment, and that it is the one that the
//! documented order chooses.

use slotwise::{DeviceSpecs, ErrorKind, Fit, Tracker, TrackerOptions, Workload};

use crate::generate::{self, Host, Rng, Size};
use crate::oracle::Question;
use crate::tight;

/// The size up to which every instance must be decided with the default budget.
pub const LARGE: Size = Size { devices: 64, requests: 8, count: 6 };

/// A random host, as a tracker, and what is asked of it.
///
/// # Panics
///
/// When a generated host is not valid, which is a mistake of the generator.
#[must_use]
pub fn instance(seed: u64, size: Size) -> (Host, Tracker, Workload) {
    let mut rng = Rng::new(seed);
    let host = generate::grouped_host(&mut rng, size);
    let workload = generate::constrained_workload(&mut rng, size, &host);
    let tracker = tracker(&host);
    (host, tracker, workload)
}

/// An instance that is small enough for the oracle: of anything there is, or one where all compete for the same devices.
fn small_instance(seed: u64) -> (Host, Tracker, Workload) {
    if seed.is_multiple_of(2) {
        return instance(seed, generate::CONSTRAINED);
    }
    let (host, workload) = tight::instance(&mut Rng::new(seed));
    let tracker = tracker(&host);
    (host, tracker, workload)
}

/// A generated host as a tracker.
pub(crate) fn tracker(host: &Host) -> Tracker {
    let specs = DeviceSpecs::parse(&host.specs(), false).expect("generated rules are valid");
    let options = TrackerOptions { numa_topology: host.topology.clone(), ..TrackerOptions::default() };
    let mut tracker = Tracker::new(specs, options).expect("generated options are valid");
    tracker.sync(host.devices.clone()).expect("a generated host is valid");
    tracker
}

/// The fewest search steps with which an instance is decided, and whether it fits; `None` if the workload contradicts
/// itself. An instance that is not decided within `most` steps counts as one that takes more. What is `rough` is up to
/// twice as much.
#[must_use]
pub fn steps(tracker: &Tracker, workload: &Workload, most: u64, rough: bool) -> Option<(u64, bool)> {
    let decide = |budget| {
        let workload = Workload { budget: Some(budget), ..workload.clone() };
        tracker.fit(&workload).ok()
    };
    // Twice as many each time until it is decided, then halving: what is decided in few steps is measured in few.
    let mut high = 1;
    let fits = loop {
        match decide(high)? {
            Fit::Undecided(_) if high >= most => return Some((most + 1, false)),
            Fit::Undecided(_) => high = most.min(high * 2),
            fit => break fit.fits(),
        }
    };
    let mut low = if rough { high } else { 0 };
    while low < high {
        let middle = low + (high - low) / 2;
        match decide(middle)? {
            Fit::Undecided(_) => low = middle + 1,
            _ => high = middle,
        }
    }
    Some((low, fits))
}

/// Compares one random instance with the oracle: `None` if the workload contradicts itself, else whether it fits.
///
/// # Panics
///
/// When the engine and the oracle disagree, or the engine is undecided.
#[must_use]
pub fn check(seed: u64) -> Option<bool> {
    let (host, mut tracker, workload) = small_instance(seed);
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
    // With few steps there is the same answer or none.
    if let Some(short) = tracker.fit_within(&workload, seed % 32).expect("the workload is valid") {
        assert_eq!(short, fit, "another answer with few steps: {}", context());
    }
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
