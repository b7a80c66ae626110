//! What changed lately, so that an answer found earlier can be repaired instead of found anew.

/// The last changes in their order, bounded: who comes too late starts anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    /// The number of the first change that is kept.
    start: u64,
    list: Vec<u32>,
}

impl Journal {
    /// An empty journal whose next change has this number.
    pub(super) const fn starting_at(start: u64) -> Self {
        Journal { start, list: Vec::new() }
    }

    /// The number of the next change.
    pub(super) fn end(&self) -> u64 {
        self.start + self.list.len() as u64
    }

    /// Adds a change to one of `known` things; a journal as long as a quarter of them is of no use to anyone.
    pub(super) fn push(&mut self, id: u32, known: usize) {
        self.list.push(id);
        let keep = (known / 4).max(1 << 10);
        if self.list.len() > 2 * keep {
            let drop = self.list.len() - keep;
            self.list.drain(..drop);
            self.start += drop as u64;
        }
    }

    /// What changed since change number `since` was the next one; `None` if that is too long ago.
    pub(super) fn since(&self, since: u64) -> Option<&[u32]> {
        let skip = usize::try_from(since.checked_sub(self.start)?).ok()?;
        self.list.get(skip..)
    }

    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * 4
    }
}
