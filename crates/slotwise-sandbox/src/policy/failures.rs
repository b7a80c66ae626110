//! What happens when a policy fails: what the call gives, what is counted, and what is logged.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::log::{Log, LogLevel};
use crate::error::Error;

/// What a call gives when the policy fails.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum OnFailure {
    /// An error: nothing is placed while the policy cannot be asked. For rules that must hold.
    #[default]
    Closed,
    /// It abstains: the query goes as if it had not been asked, also about those hosts that it has answered for already.
    /// For rules that are wishes.
    Open,
    /// An error until the policy has failed so many times since it was loaded; from then on it is not asked any more, and
    /// abstains.
    DropAfter(NonZeroU64),
}

/// How a policy failed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum FailureKind {
    /// It ran too long.
    OutOfTime,
    /// It did too much work.
    OutOfFuel,
    /// It asked for too much memory.
    OutOfMemory,
    /// It asked for too many table entries.
    TableTooLarge,
    /// It went too deep.
    StackOverflow,
    /// It handed back too much.
    ResultTooLarge,
    /// Its answer cannot be used.
    WrongAnswer,
    /// It said itself that it cannot answer.
    Refused,
    /// It trapped, or broke the rules of the component model.
    Trap,
    /// The system did not give what it takes to ask: memory, a thread.
    System,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [FailureKind; 10] = [
        FailureKind::OutOfTime,
        FailureKind::OutOfFuel,
        FailureKind::OutOfMemory,
        FailureKind::TableTooLarge,
        FailureKind::StackOverflow,
        FailureKind::ResultTooLarge,
        FailureKind::WrongAnswer,
        FailureKind::Refused,
        FailureKind::Trap,
        FailureKind::System,
    ];

    /// The stable name in `snake_case`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::OutOfTime => "out_of_time",
            FailureKind::OutOfFuel => "out_of_fuel",
            FailureKind::OutOfMemory => "out_of_memory",
            FailureKind::TableTooLarge => "table_too_large",
            FailureKind::StackOverflow => "stack_overflow",
            FailureKind::ResultTooLarge => "result_too_large",
            FailureKind::WrongAnswer => "wrong_answer",
            FailureKind::Refused => "refused",
            FailureKind::Trap => "trap",
            FailureKind::System => "system",
        }
    }

    /// The kind of an error that a call gave.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::OutOfTime(_) => FailureKind::OutOfTime,
            Error::OutOfFuel(_) => FailureKind::OutOfFuel,
            Error::OutOfMemory { .. } => FailureKind::OutOfMemory,
            Error::TableTooLarge { .. } => FailureKind::TableTooLarge,
            Error::StackOverflow { .. } => FailureKind::StackOverflow,
            Error::ResultTooLarge { .. } => FailureKind::ResultTooLarge,
            Error::WrongAnswer(_) => FailureKind::WrongAnswer,
            Error::Refused(_) => FailureKind::Refused,
            Error::System(_) | Error::Forked => FailureKind::System,
            _ => FailureKind::Trap,
        }
    }
}

/// How often a policy was asked and failed since it was loaded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// How many calls were made; after it was dropped, none.
    pub calls: u64,
    /// How many of them failed, by kind; kinds that did not occur are left out.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Whether it was dropped and is not asked any more.
    pub dropped: bool,
    /// How many log lines it wrote that were kept.
    pub log_lines: u64,
    /// How many it wrote beyond those.
    pub log_lines_lost: u64,
}

impl Counters {
    /// How many calls failed in any way.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// The failures of one policy.
#[derive(Debug)]
pub(super) struct Failures {
    mode: OnFailure,
    answered: AtomicU64,
    by_kind: [AtomicU64; FailureKind::ALL.len()],
    total: AtomicU64,
    dropped: AtomicBool,
}

/// A failure that was counted.
pub(super) struct Failed {
    kind: FailureKind,
    /// Whether it is the first of its kind.
    is_first: bool,
    /// How many there were with it.
    total: u64,
    /// Whether the query goes on as if the policy had not been asked.
    abstains: bool,
    /// Whether the policy was dropped with it.
    drops: bool,
}

impl Failures {
    pub(super) fn new(mode: OnFailure) -> Self {
        Failures {
            mode,
            answered: AtomicU64::new(0),
            by_kind: Default::default(),
            total: AtomicU64::new(0),
            dropped: AtomicBool::new(false),
        }
    }

    pub(super) fn mode(&self) -> OnFailure {
        self.mode
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a failure, and drops the policy if that was one too many.
    pub(super) fn count(&self, error: &Error) -> Failed {
        let kind = FailureKind::of(error);
        let of_kind =
            self.by_kind.iter().zip(FailureKind::ALL).find(|(_, k)| *k == kind).map(|(count, _)| count);
        let is_first = of_kind.is_some_and(|count| count.fetch_add(1, Ordering::Relaxed) == 0);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        let (abstains, drops) = match self.mode {
            OnFailure::Open => (true, false),
            OnFailure::Closed => (false, false),
            OnFailure::DropAfter(count) => {
                let count = count.get();
                (total > count, total >= count && !self.dropped.swap(true, Ordering::Relaxed))
            }
        };
        Failed { kind, is_first, total, abstains, drops }
    }

    /// Logs a failure that was counted; an error unless the policy abstains.
    pub(super) fn tell(policy: &str, log: &Log, error: &Error, failed: &Failed) -> slotwise::Result<()> {
        let Failed { kind, is_first, total, abstains, drops } = *failed;
        if is_first {
            let text = format!("{error}; later failures of this kind ({}) are counted only", kind.name());
            log.write(policy, LogLevel::Error, text);
        }
        if drops {
            let text = format!("dropped after {total} failures; it is not asked any more");
            log.write(policy, LogLevel::Error, text);
        }
        if abstains { Ok(()) } else { Err(error.at_call(policy)) }
    }

    pub(super) fn counters(&self, log: &Log) -> Counters {
        let failures: BTreeMap<_, _> = FailureKind::ALL
            .into_iter()
            .zip(&self.by_kind)
            .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let (log_lines, log_lines_lost) = log.counts();
        Counters {
            calls: self.answered.load(Ordering::Relaxed) + failures.values().sum::<u64>(),
            failures,
            dropped: self.is_dropped(),
            log_lines,
            log_lines_lost,
        }
    }
}
