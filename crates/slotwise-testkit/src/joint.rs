//! Constrained instances beside the oracle: feasibility, the validity of the assignment, and that it is the one that the
//! documented order chooses.

use slotwise::{
    Assignment, Claim, Constraint, Device, DeviceSpecs, ErrorKind, Fit, PciAddress, Tracker, TrackerOptions,
    Workload,
};

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

/// Whether an answer is all that there is to say: a *no*, or the first assignment in the order for certain.
#[must_use]
pub fn is_decided(fit: &Fit) -> bool {
    match fit {
        Fit::Fits(assignment) => !assignment.cut_short,
        Fit::NoFit(_) => true,
        Fit::Undecided(_) => false,
    }
}

/// The fewest search steps with which an instance is decided, and whether it fits; `None` if the workload contradicts
/// itself. An instance that is not decided within `most` steps counts as one that takes more. What is `rough` is up to
/// twice as much.
#[must_use]
pub fn steps(tracker: &Tracker, workload: &Workload, most: u64, rough: bool) -> Option<(u64, bool)> {
    let decide = |budget| {
        let workload = Workload { budget: Some(budget), ..workload.clone() };
        let fit = tracker.fit(&workload).ok()?;
        Some((is_decided(&fit), fit.fits()))
    };
    // Twice as many each time until it is decided, then halving: what is decided in few steps is measured in few.
    let mut high = 1;
    let fits = loop {
        match decide(high)? {
            (false, _) if high >= most => return Some((most + 1, false)),
            (false, _) => high = most.min(high * 2),
            (true, fits) => break fits,
        }
    };
    let mut low = if rough { high } else { 0 };
    while low < high {
        let middle = low + (high - low) / 2;
        match decide(middle)? {
            (false, _) => low = middle + 1,
            (true, _) => high = middle,
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
    // With a small budget there is that answer, another assignment that is said to be cut short, or none.
    let hurried = Workload { budget: Some(seed % 64), ..workload.clone() };
    match tracker.fit(&hurried).expect("the workload is valid") {
        Fit::Fits(found) if found.cut_short => {
            let fault = question.fault(&found);
            assert!(fault.is_none(), "cut short: {}: {found:#?} {}", fault.unwrap_or_default(), context());
        }
        Fit::Fits(found) => assert_eq!(Fit::Fits(found), fit, "with a small budget: {}", context()),
        Fit::NoFit(no) => assert!(!fit.fits(), "with a small budget: {no:#?} {}", context()),
        Fit::Undecided(_) => {}
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

/// Deals the requests of a random instance out to several owners, claims for all of them together, and compares with the
/// oracle: `None` if a workload contradicts itself, else whether all can be served.
///
/// # Panics
///
/// When the engine and the oracle disagree, or the engine is undecided.
#[must_use]
pub fn check_claims(seed: u64) -> Option<bool> {
    let (host, mut tracker, whole) = small_instance(seed);
    let mut rng = Rng::new(seed.wrapping_add(1 << 40));
    let owners = 2 + rng.below(2);
    let mut dealt: Vec<Vec<usize>> = vec![Vec::new(); owners];
    (0..whole.requests.len()).for_each(|request| dealt[rng.below(owners)].push(request));
    dealt.retain(|requests| !requests.is_empty());
    // Somebody else who asks for the same.
    if dealt.len() == 1 || rng.chance(20) {
        dealt.push(dealt[0].clone());
    }
    let claims: Vec<Claim> = dealt
        .iter()
        .enumerate()
        .map(|(owner, requests)| {
            let place = |request: &usize| requests.iter().position(|own| own == request);
            let own = |constraint: &Constraint| {
                let requests = constraint.requests.iter().map(place).collect::<Option<_>>()?;
                Some(Constraint { requests, ..constraint.clone() })
            };
            let workload = Workload {
                requests: requests.iter().map(|&request| whole.requests[request].clone()).collect(),
                constraints: whole.constraints.iter().filter_map(own).collect(),
                numa_cells: whole.numa_cells.clone(),
                prefer: whole.prefer,
                spread_over: whole.spread_over.clone(),
                prefer_devices: whole.prefer_devices.clone(),
                ..Workload::default()
            };
            Claim { owner: format!("owner-{owner}"), workload }
        })
        .collect();
    let before = tracker.snapshot();
    let fit = match tracker.claim_all(&claims) {
        Ok(fit) => fit,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            return None;
        }
    };
    let context = || format!("{fit:#?}\n{host:#?}\n{claims:#?}");
    match &fit {
        Fit::Fits(assignment) => {
            let mut rest = assignment.requests.as_slice();
            let mut given = Vec::new();
            for claim in &claims {
                let (own, others) = rest.split_at(claim.workload.requests.len());
                given.push(Assignment { requests: own.to_vec(), ..Assignment::default() });
                rest = others;
            }
            let devices = |owner: usize| -> Vec<PciAddress> {
                let requests = given[owner].requests.iter();
                requests.flat_map(|given| given.devices.iter().chain(&given.companions)).copied().collect()
            };
            for (owner, claim) in claims.iter().enumerate() {
                let others: Vec<PciAddress> =
                    (0..claims.len()).filter(|&other| other != owner).flat_map(&devices).collect();
                let question = Question::new(&host, &held(&host, &others), &claim.workload);
                let fault = question.fault(&given[owner]);
                assert!(fault.is_none(), "{owner}: {}: {}", fault.unwrap_or_default(), context());
            }
            Some(true)
        }
        Fit::NoFit(no) => {
            assert_eq!(tracker.snapshot(), before, "a no changes something: {}", context());
            let places: Vec<(usize, usize)> = (0..claims.len())
                .flat_map(|owner| (0..claims[owner].workload.requests.len()).map(move |own| (owner, own)))
                .collect();
            let servable = |requests: &[usize]| {
                let workload = |owner: usize| {
                    let own: Vec<usize> = requests
                        .iter()
                        .map(|&r| places[r])
                        .filter(|(o, _)| *o == owner)
                        .map(|(_, own)| own)
                        .collect();
                    part(&claims[owner].workload, &own)
                };
                let workloads: Vec<Workload> = (0..claims.len()).map(workload).collect();
                all_servable(&host, &[], &workloads)
            };
            assert!(!servable(&(0..places.len()).collect::<Vec<_>>()), "refused, but it fits: {}", context());
            assert!(!servable(&no.conflict), "no conflict: {}", context());
            for out in &no.conflict {
                let rest: Vec<usize> = no.conflict.iter().copied().filter(|other| other != out).collect();
                assert!(servable(&rest), "the conflict does not need {out}: {}", context());
            }
            Some(false)
        }
        Fit::Undecided(_) => panic!("an instance this small must be decided: {}", context()),
    }
}

/// The devices of these addresses.
fn held(host: &Host, addresses: &[PciAddress]) -> Vec<Device> {
    host.devices.iter().filter(|device| addresses.contains(&device.address)).cloned().collect()
}

/// The same with some of its requests only.
fn part(workload: &Workload, requests: &[usize]) -> Workload {
    let narrowed = |constraint: &Constraint| Constraint {
        requests: requests
            .iter()
            .enumerate()
            .filter(|(_, request)| constraint.requests.contains(request))
            .map(|(at, _)| at)
            .collect(),
        ..constraint.clone()
    };
    Workload {
        requests: requests.iter().map(|&request| workload.requests[request].clone()).collect(),
        constraints: workload.constraints.iter().map(narrowed).collect(),
        ..workload.clone()
    }
}

/// Whether the first workload can be served such that the others still can be, each on what those before it leave.
fn all_servable(host: &Host, taken: &[PciAddress], workloads: &[Workload]) -> bool {
    let Some((first, rest)) = workloads.split_first() else { return true };
    if first.requests.is_empty() {
        return all_servable(host, taken, rest);
    }
    let question = Question::new(host, &held(host, taken), first);
    question.uses().iter().any(|used| {
        let taken: Vec<PciAddress> = taken.iter().chain(used).copied().collect();
        all_servable(host, &taken, rest)
    })
}
