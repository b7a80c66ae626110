//! What is worth a line in the caller's log; the engine writes no log itself.
//!
//! A door that has somewhere to write to (a callback in C, `logging` in Python) asks for the line after the call, so that the
//! same event reads the same in every language.

use std::fmt;

use crate::address::PciAddress;
use crate::error::{Error, ErrorKind};
use crate::fit::Fit;
use crate::tracker::{Claim, SpecsDiff, SyncReport};

/// How much a line matters, from what always matters on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// A fault in slotwise itself.
    Error,
    /// Something allowed that is probably not meant.
    Warning,
    /// Something changed, or a workload was turned away.
    Info,
    /// Nothing changed, or a call failed, which its caller learns anyway.
    Debug,
}

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// A sentence for a person; what it quotes of an input is escaped or as it came.
    pub text: String,
}

impl Line {
    fn new(level: Level, text: String) -> Self {
        Line { level, text }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The line for a failed call.
///
/// ```
/// use slotwise::log::{self, Level};
///
/// let error = slotwise::DeviceSpecs::parse(&[r#"{"vendor_id": "x"}"#], false).unwrap_err();
/// let line = log::failed(&error);
/// assert_eq!((line.level, line.text), (Level::Debug, error.to_string()));
/// ```
#[must_use]
pub fn failed(error: &Error) -> Line {
    let level = if error.kind() == ErrorKind::Internal { Level::Error } else { Level::Debug };
    Line::new(level, error.to_string())
}

/// The line for one of the warnings that rules, aliases and configurations give.
#[must_use]
pub fn warning(warning: &str) -> Line {
    Line::new(Level::Warning, warning.to_owned())
}

/// The line for a sync.
#[must_use]
pub fn synced(report: &SyncReport) -> Line {
    let SyncReport { added, updated, removed, deferred } = report;
    difference(
        "sync",
        [("added", added.len()), ("updated", updated.len()), ("removed", removed.len())],
        deferred.len(),
    )
}

/// The line for rules that were replaced.
#[must_use]
pub fn respecified(diff: &SpecsDiff) -> Line {
    let SpecsDiff { added, retagged, removed, held } = diff;
    difference(
        "rules",
        [("added", added.len()), ("retagged", retagged.len()), ("removed", removed.len())],
        held.len(),
    )
}

fn difference(what: &str, counts: [(&str, usize); 3], waiting: usize) -> Line {
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if waiting > 0 {
        parts.push(format!("{waiting} held until freed"));
    }
    if parts.is_empty() {
        return Line::new(Level::Debug, format!("{what}: nothing changed"));
    }
    Line::new(Level::Info, format!("{what}: {}", parts.join(", ")))
}

/// The line for a claim; `owner` is who asked.
#[must_use]
pub fn claimed(owner: &str, fit: &Fit) -> Line {
    Line::new(Level::Info, format!("claim for {owner:?}: {fit}"))
}

/// The line for several claims that were made together.
#[must_use]
pub fn claimed_all(claims: &[Claim], fit: &Fit) -> Line {
    let owners: Vec<String> = claims.iter().map(|claim| format!("{:?}", claim.owner)).collect();
    Line::new(Level::Info, format!("claim for {}: {fit}", owners.join(", ")))
}

/// The line for an owner's claims that became allocations.
#[must_use]
pub fn allocated(owner: &str, devices: &[PciAddress]) -> Line {
    moved(&format!("allocated for {owner:?}"), devices)
}

/// The line for devices of an owner that were freed.
#[must_use]
pub fn freed(owner: &str, devices: &[PciAddress]) -> Line {
    moved(&format!("freed for {owner:?}"), devices)
}

/// The line for devices that were freed because their owners are gone.
#[must_use]
pub fn retained(devices: &[PciAddress]) -> Line {
    moved("freed of owners that are gone", devices)
}

fn moved(what: &str, devices: &[PciAddress]) -> Line {
    if devices.is_empty() {
        return Line::new(Level::Debug, format!("{what}: no devices"));
    }
    let listed: Vec<String> = devices.iter().map(PciAddress::to_string).collect();
    Line::new(Level::Info, format!("{what}: {}", listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_and_what_did_not_is_not() {
        let mut report = SyncReport::default();
        assert_eq!(synced(&report), Line::new(Level::Debug, "sync: nothing changed".to_owned()));
        report.added.push("0000:3b:00.0".parse().expect("an address"));
        assert_eq!(synced(&report), Line::new(Level::Info, "sync: 1 added".to_owned()));
        let line = freed("vm-1", &report.added);
        assert_eq!(line.to_string(), "freed for \"vm-1\": 0000:3b:00.0");
        assert_eq!(retained(&[]).level, Level::Debug);
    }
}
