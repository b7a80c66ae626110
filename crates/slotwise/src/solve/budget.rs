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

/// One in so many of the steps that are left is kept for what has to follow: the choice of devices while something better
/// is looked for, and other claims.
const KEPT: u64 = 8;

/// The steps that may still be taken.
#[derive(Debug)]
pub(crate) struct Budget {
    given: u64,
    steps: Cell<u64>,
    work: Cell<u64>,
    /// Whether anything was cut short.
    has_run_out: Cell<bool>,
    /// Whether nothing is counted just now.
    is_free: Cell<bool>,
}

impl Budget {
    fn new(given: u64) -> Self {
        Budget {
            given,
            steps: Cell::new(given),
            work: Cell::new(0),
            has_run_out: Cell::new(false),
            is_free: Cell::new(false),
        }
    }

    /// The budget of a call that decides these workloads: the largest of theirs, however many they are.
    pub(crate) fn of(workloads: &[&Workload]) -> Self {
        let own = |workload: &&Workload| workload.budget.unwrap_or(Workload::DEFAULT_BUDGET);
        Budget::new(workloads.iter().map(own).max().unwrap_or(Workload::DEFAULT_BUDGET))
    }

    /// So many steps for a workload, or fewer if that has fewer of its own.
    pub(crate) fn at_most(steps: u64, workload: &Workload) -> Self {
        Budget::new(steps.min(workload.budget.unwrap_or(Workload::DEFAULT_BUDGET)))
    }

    /// Whether nothing was cut short.
    pub(crate) fn was_enough(&self) -> bool {
        !self.has_run_out.get()
    }

    /// How many steps there were at first.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// How many steps are left.
    pub(crate) fn left(&self) -> u64 {
        self.steps.get()
    }

    /// So many of them that some are kept for what has to follow.
    pub(crate) fn most(&self) -> u64 {
        self.left() - self.left() / KEPT
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
        if self.is_free.get() {
            return Ok(());
        }
        let left = self.steps.get().checked_sub(steps);
        // What ran out once stays run out.
        self.steps.set(left.unwrap_or(0));
        self.has_run_out.set(self.has_run_out.get() || left.is_none());
        left.map(drop).ok_or(Exhausted)
    }

    /// Does something with at most so many of the steps, which itself says what comes of it when they run out.
    pub(crate) fn share<T>(&self, steps: u64, what: impl FnOnce() -> T) -> T {
        let kept = self.steps.get().saturating_sub(steps);
        self.steps.set(self.steps.get() - kept);
        let done = what();
        self.steps.set(self.steps.get() + kept);
        done
    }

    /// Does something with at most so many of the steps; `None` if it needs more, of which some are left.
    pub(super) fn within<T>(
        &self,
        steps: u64,
        what: impl FnOnce() -> Result<T, Exhausted>,
    ) -> Result<Option<T>, Exhausted> {
        let is_all = steps >= self.steps.get();
        match self.share(steps, what) {
            Ok(done) => Ok(Some(done)),
            Err(Exhausted) if is_all => Err(Exhausted),
            Err(Exhausted) => Ok(None),
        }
    }

    /// Does something that was counted before once more.
    pub(super) fn again<T>(&self, what: impl FnOnce() -> T) -> T {
        let before = self.is_free.replace(true);
        let done = what();
        self.is_free.set(before);
        done
    }
}
