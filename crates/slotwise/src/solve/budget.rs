//! The search budget: how much work an answer may take.

use std::cell::Cell;

use crate::request::Workload;

/// The search budget ran out.
#[derive(Debug)]
pub(super) struct Exhausted;

/// How many elementary operations (looks at an arc, or at a pair of a request and a pool) count one step.
///
/// A step is a flow on a host of ordinary size; on a large one a flow counts more, so that a step takes microseconds
/// everywhere.
const WORK_PER_STEP: u64 = 4096;

/// The steps that may still be taken.
#[derive(Debug)]
pub(crate) struct Budget {
    given: u64,
    steps: Cell<u64>,
    work: Cell<u64>,
}

impl Budget {
    /// The budget of a call that decides these workloads: the largest of theirs, however many they are.
    pub(crate) fn of(workloads: &[&Workload]) -> Self {
        let own = |workload: &&Workload| workload.budget.unwrap_or(Workload::DEFAULT_BUDGET);
        let given = workloads.iter().map(own).max().unwrap_or(Workload::DEFAULT_BUDGET);
        Budget { given, steps: Cell::new(given), work: Cell::new(0) }
    }

    /// So many steps for a workload, or fewer if that has fewer of its own.
    pub(crate) fn at_most(steps: u64, workload: &Workload) -> Self {
        let given = steps.min(workload.budget.unwrap_or(Workload::DEFAULT_BUDGET));
        Budget { given, steps: Cell::new(given), work: Cell::new(0) }
    }

    /// Whether there are steps left, so that nothing was cut short.
    pub(crate) fn is_left(&self) -> bool {
        self.steps.get() > 0
    }

    /// How many steps there were at first.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    pub(super) fn step(&self) -> Result<(), Exhausted> {
        self.spend(1)
    }

    /// Counts elementary operations.
    pub(super) fn work(&self, operations: u64) -> Result<(), Exhausted> {
        let work = self.work.get().saturating_add(operations);
        self.work.set(work % WORK_PER_STEP);
        self.spend(work / WORK_PER_STEP)
    }

    fn spend(&self, steps: u64) -> Result<(), Exhausted> {
        let left = self.steps.get().checked_sub(steps);
        // What ran out once stays run out.
        self.steps.set(left.unwrap_or(0));
        left.map(drop).ok_or(Exhausted)
    }
}
