//! What was found out lately and is likely to be asked again: answers, and the columns they came from.
//!
//! What is kept here never changes an answer, only how soon it is there. The lock is held for looking up and putting
//! back, not while anything is worked out, so that many threads can ask at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Fleet;
use super::filter::Decider;
use super::host_set::HostSet;
use super::plan::{Counting, Plan};
use crate::request::{Request, Workload};

/// So many answers are kept; each takes a bit or two per host.
const MAX_ANSWERS: usize = 32;

/// Columns are kept up to so many bytes per host, and some in any case.
const MAX_COLUMNS_PER_HOST: usize = 12;
const MAX_COLUMNS: usize = 1 << 20;

/// Which of all hosts fit a workload, as of some state of the fleet.
#[derive(Clone, Debug)]
pub(super) struct Known {
    workload: Workload,
    sequence: u64,
    pub(super) hosts: HostSet,
    pub(super) undecided: HostSet,
    pub(super) fits: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// Those used last come last, each with the counts that it is about, as far as a number can say them.
    answers: Vec<(u64, Arc<Known>)>,
    plans: Vec<Plan>,
}

/// What is kept. A copy of a fleet begins with nothing.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Kept>);

impl Clone for Cache {
    fn clone(&self) -> Self {
        Cache::default()
    }
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What is kept is whole at any time, so that a panic elsewhere leaves nothing to mistrust.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of all hosts fit a workload that is valid.
    pub(super) fn answer(&self, fleet: &Fleet, workload: &Workload) -> Arc<Known> {
        // Questions that are asked one after the other mostly differ in their counts.
        let counts = workload
            .requests
            .iter()
            .fold(0_u64, |counts, request| counts.rotate_left(20).wrapping_add(u64::from(request.count)));
        let old = {
            let mut kept = self.lock();
            let is_same = |(other, known): &(u64, Arc<Known>)| {
                *other == counts && asks_the_same(&known.workload, workload)
            };
            let at = kept.answers.iter().rposition(is_same);
            let found = at.map(|at| kept.answers.remove(at).1);
            if let Some(found) = &found
                && found.sequence == fleet.sequence()
            {
                kept.answers.push((counts, Arc::clone(found)));
                return Arc::clone(found);
            }
            found
        };
        let repaired = old.and_then(|old| repair(fleet, old));
        let known = Arc::new(repaired.unwrap_or_else(|| self.find(fleet, workload)));
        // Another thread may have put the same answer there by now: of two, the one that is not used is dropped in time.
        let mut kept = self.lock();
        if kept.answers.len() == MAX_ANSWERS {
            kept.answers.remove(0);
        }
        kept.answers.push((counts, Arc::clone(&known)));
        known
    }

    /// Looks at all hosts.
    fn find(&self, fleet: &Fleet, workload: &Workload) -> Known {
        let mut known = Known {
            workload: workload.clone(),
            sequence: fleet.sequence(),
            hosts: HostSet::new(),
            undecided: HostSet::new(),
            fits: 0,
        };
        let open = match Counting::of(workload) {
            None => fleet.hosts().clone(),
            Some(counting) => {
                let plan = self.plan(fleet, &counting);
                let (passing, open) = plan.passing(fleet, &counting);
                known.hosts = passing;
                known.hosts.subtract(&open);
                self.keep(fleet, plan);
                open
            }
        };
        if !open.is_empty() {
            let mut decider = Decider::new(fleet, workload);
            for id in open.iter() {
                known.note(id, decider.verdict(id));
            }
        }
        known.fits = known.hosts.len();
        known
    }

    /// The columns for a workload, up to date.
    fn plan(&self, fleet: &Fleet, counting: &Counting<'_>) -> Plan {
        let old = {
            let mut kept = self.lock();
            let at = kept.plans.iter().rposition(|plan| plan.is_for(counting));
            at.map(|at| kept.plans.remove(at))
        };
        old.and_then(|mut plan| plan.repair(fleet).then_some(plan))
            .unwrap_or_else(|| Plan::new(fleet, counting))
    }

    fn keep(&self, fleet: &Fleet, plan: Plan) {
        let mut kept = self.lock();
        kept.plans.push(plan);
        let most = (fleet.len() * MAX_COLUMNS_PER_HOST).max(MAX_COLUMNS);
        let mut bytes: usize = kept.plans.iter().map(Plan::bytes).sum();
        while bytes > most && kept.plans.len() > 1 {
            bytes -= kept.plans.remove(0).bytes();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let kept = self.lock();
        let answers: usize =
            kept.answers.iter().map(|(_, known)| known.hosts.bytes() + known.undecided.bytes() + 1024).sum();
        answers + kept.plans.iter().map(Plan::bytes).sum::<usize>()
    }
}

/// Decides the hosts that changed since; `None` if they are too many.
fn repair(fleet: &Fleet, old: Arc<Known>) -> Option<Known> {
    let changes = fleet.journal.since(old.sequence)?;
    if changes.len() > fleet.rows.len() / 64 + 16 {
        return None;
    }
    // Nobody else has it, unless a thread still reads it.
    let mut known = Arc::try_unwrap(old).unwrap_or_else(|shared| (*shared).clone());
    let workload = std::mem::take(&mut known.workload);
    let mut decider = Decider::new(fleet, &workload);
    for &id in changes {
        known.fits -= usize::from(known.hosts.remove(id));
        known.undecided.remove(id);
        if fleet.hosts().contains(id) {
            let verdict = decider.verdict(id);
            known.note(id, verdict);
            known.fits += usize::from(verdict == Some(true));
        }
    }
    known.workload = workload;
    known.sequence = fleet.sequence();
    Some(known)
}

impl Known {
    fn note(&mut self, id: u32, verdict: Option<bool>) {
        match verdict {
            Some(true) => self.hosts.insert(id),
            Some(false) => false,
            None => self.undecided.insert(id),
        };
    }
}

/// Whether two workloads ask the same of every host: they may differ in what only names their requests.
fn asks_the_same(a: &Workload, b: &Workload) -> bool {
    let mapped = a.provider_mapping.is_some();
    let same = |(a, b): (&Request, &Request)| {
        a.count == b.count
            && a.alternatives == b.alternatives
            && a.numa_policy == b.numa_policy
            && a.source == b.source
            && a.otherwise == b.otherwise
            && a.isolate == b.isolate
            && a.same == b.same
            && a.distinct == b.distinct
            && a.prefer_same == b.prefer_same
            && (!mapped || a.request_id == b.request_id)
    };
    a.requests.len() == b.requests.len()
        && a.requests.iter().zip(&b.requests).all(same)
        && a.numa_cells == b.numa_cells
        && a.numa_cells_from == b.numa_cells_from
        && a.constraints == b.constraints
        && a.prefer == b.prefer
        && a.spread_over == b.spread_over
        && a.provider_mapping == b.provider_mapping
        && a.strategy == b.strategy
        && a.budget == b.budget
}
