//! Holds an instance to its memory and tables.

use wasmtime::ResourceLimiter;

use crate::error::Error;
use crate::limits::Limits;

/// Counts what an instance has, and ends its call with a typed error where it asks for more.
#[derive(Debug)]
pub(crate) struct Meter {
    memory: Count,
    table: Count,
}

#[derive(Debug)]
struct Count {
    used: usize,
    limit: usize,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Meter {
            memory: Count { used: 0, limit: limits.memory },
            table: Count { used: 0, limit: limits.table },
        }
    }
}

impl Count {
    /// Whether one part may grow from `current` to `desired`, which keeps to its own maximum and the total to the limit.
    ///
    /// What is beyond a part's own maximum WebAssembly answers with -1, and nothing is had by it. A part that has none gets
    /// that of its slot, which is the limit. A refusal for the total would make the guest abort without a reason; an error
    /// ends the call and says why.
    fn grow(
        &mut self,
        current: usize,
        desired: usize,
        most: Option<usize>,
        over: impl FnOnce(usize) -> Error,
    ) -> wasmtime::Result<bool> {
        if most.is_some_and(|most| desired > most && most < self.limit) {
            return Ok(false);
        }
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(wasmtime::Error::new(over(self.limit)));
        }
        self.used = used;
        Ok(true)
    }
}

impl AsMut<Meter> for Meter {
    fn as_mut(&mut self) -> &mut Meter {
        self
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory.grow(current, desired, most, |limit| Error::OutOfMemory { limit })
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.table.grow(current, desired, most, |limit| Error::TableTooLarge { limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_grow_does_not_count() {
        let mut meter = Meter::new(&Limits { memory: 3 << 16, table: 5, ..Limits::default() });
        for _ in 0..9 {
            assert!(!meter.memory_growing(1 << 16, 3 << 16, Some(2 << 16)).expect("-1"));
            assert!(!meter.table_growing(1, 4, Some(3)).expect("-1"));
        }
        assert!(meter.memory_growing(1 << 16, 2 << 16, Some(2 << 16)).expect("within"));
        assert!(meter.table_growing(1, 3, Some(3)).expect("within"));
    }

    #[test]
    fn the_total_of_all_memories_counts() {
        let mut meter = Meter::new(&Limits { memory: 3 << 16, ..Limits::default() });
        assert!(meter.memory_growing(0, 1 << 16, None).expect("within"));
        assert!(meter.memory_growing(1 << 16, 2 << 16, None).expect("within"));
        assert!(meter.memory_growing(0, 1 << 16, None).expect("a second memory, within"));
        let error = meter.memory_growing(1 << 16, 2 << 16, None).expect_err("over the total");
        assert!(
            matches!(error.downcast_ref(), Some(Error::OutOfMemory { limit }) if *limit == 3 << 16),
            "{error:?}"
        );
    }
}
