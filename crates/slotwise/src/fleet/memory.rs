//! What the fleet occupies, and vectors that do not double.

use serde::{Deserialize, Serialize};

/// How many bytes a fleet occupies, by what they are for.
///
/// Counted are the contents of its tables with the room that they keep in reserve, not what the allocator adds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct FleetMemory {
    /// The pools of all hosts: classes and counts.
    pub pools: usize,
    /// Names of hosts, the index over them, versions and what is remembered of texts.
    pub hosts: usize,
    /// Interned attribute sets, and the hosts that have the rare ones.
    pub classes: usize,
    /// Placement's providers, tags of hosts, NUMA topologies and reservations.
    pub details: usize,
    /// Prepared questions and the list of recent changes, which are bounded.
    pub caches: usize,
    /// All of that.
    pub total: usize,
}

/// Makes room for `more` elements, a sixteenth in reserve: a million hosts are too many to keep as much again free.
pub(super) fn tight<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 16 + 16));
    }
}

/// Appends an element as [`tight`] does.
pub(super) fn push<T>(list: &mut Vec<T>, element: T) {
    tight(list, 1);
    list.push(element);
}
