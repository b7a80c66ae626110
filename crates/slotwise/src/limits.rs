//! The documented limits on what a caller may hand over; past them a call fails with
//! [`ErrorKind::LimitExceeded`] before anything large is built.

use crate::error::{Error, ErrorKind, Result};

/// The largest JSON or configuration document, in bytes: a host with 65,536 functions at 1 KiB each.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 20;

/// The longest name, value or pattern, in bytes (a PCI VPD area holds at most 32 KiB).
pub const MAX_TEXT_BYTES: usize = 64 << 10;

/// The most entries in one set of tags or extra info.
pub const MAX_ENTRIES: usize = 1024;

/// The most devices a request may count: the functions of one PCI domain (256 buses × 32 slots × 8 functions).
pub const MAX_COUNT: u32 = 65_536;

/// The most functions one host may list.
pub const MAX_DEVICES: usize = 1 << 20;

/// The most rules in a rule set, and the most alias lines.
pub const MAX_RULES: usize = 65_536;

/// The most requests in one workload.
pub const MAX_REQUESTS: usize = 256;

/// The most alternatives in one request, and the most lines of one alias.
pub const MAX_ALTERNATIVES: usize = 256;

/// The most fallbacks of one request.
pub const MAX_FALLBACKS: usize = 16;

/// The most constraints of one workload, and the most keys of one kind in a request.
pub const MAX_CONSTRAINTS: usize = 64;

/// The most NUMA cells to choose a guest's from.
pub const MAX_CELL_CHOICE: usize = 16;

/// The most hosts of a fleet, and the most reservations in it.
pub const MAX_HOSTS: usize = 1 << 28;

/// The most workloads that are placed, or claimed together, in one call.
pub const MAX_BATCH: usize = 1024;

/// Every limit by its name, in the order above.
///
/// ```
/// assert!(slotwise::limits::ALL.contains(&("max_requests", 256)));
/// ```
pub const ALL: &[(&str, u64)] = &[
    ("max_document_bytes", MAX_DOCUMENT_BYTES as u64),
    ("max_text_bytes", MAX_TEXT_BYTES as u64),
    ("max_entries", MAX_ENTRIES as u64),
    ("max_count", MAX_COUNT as u64),
    ("max_devices", MAX_DEVICES as u64),
    ("max_rules", MAX_RULES as u64),
    ("max_requests", MAX_REQUESTS as u64),
    ("max_alternatives", MAX_ALTERNATIVES as u64),
    ("max_fallbacks", MAX_FALLBACKS as u64),
    ("max_constraints", MAX_CONSTRAINTS as u64),
    ("max_cell_choice", MAX_CELL_CHOICE as u64),
    ("max_hosts", MAX_HOSTS as u64),
    ("max_batch", MAX_BATCH as u64),
];

/// Fails with [`ErrorKind::LimitExceeded`] when `len` is over `max`.
pub(crate) fn check(what: &str, len: usize, max: usize) -> Result<()> {
    if len <= max {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LimitExceeded, format!("{what}: {len} is over the limit of {max}"))
        .with_help(format!("hand over at most {max}")))
}

#[cfg(test)]
mod tests {
    /// A limit that is added must also be listed.
    #[test]
    fn every_limit_is_listed() {
        let declared: Vec<String> = include_str!("limits.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub const MAX_")?.split_once(':'))
            .map(|(name, _)| format!("max_{}", name.to_lowercase()))
            .collect();
        let listed: Vec<&str> = super::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, declared);
    }
}
