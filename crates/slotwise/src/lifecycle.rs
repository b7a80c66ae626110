//! The life of a device whose caller stores the state of its dependants, as OpenStack Nova does.
//!
//! [`crate::Tracker`] derives what a PF's VFs may do and cannot contradict itself. A caller whose database has a status
//! in each row asks here what an event makes of a device, its physical function and its virtual functions.

use std::fmt;
use std::str::FromStr;

use crate::device::DeviceType;
use crate::error::{Error, ErrorKind, Result};

/// A status as Nova stores it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StoredStatus {
    /// Free to be claimed.
    Available,
    /// Held, not yet in use.
    Claimed,
    /// In use.
    Allocated,
    /// Free, but its PF or one of its VFs is claimed.
    Unclaimable,
    /// Free, but its PF or one of its VFs is allocated.
    Unavailable,
    /// No longer reported by the host; its row is to be deleted.
    Removed,
    /// Its row is deleted.
    Deleted,
}

impl StoredStatus {
    const ALL: [StoredStatus; 7] = [
        StoredStatus::Available,
        StoredStatus::Claimed,
        StoredStatus::Allocated,
        StoredStatus::Unclaimable,
        StoredStatus::Unavailable,
        StoredStatus::Removed,
        StoredStatus::Deleted,
    ];

    /// The text that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StoredStatus::Available => "available",
            StoredStatus::Claimed => "claimed",
            StoredStatus::Allocated => "allocated",
            StoredStatus::Unclaimable => "unclaimable",
            StoredStatus::Unavailable => "unavailable",
            StoredStatus::Removed => "removed",
            StoredStatus::Deleted => "deleted",
        }
    }

    fn is_held(self) -> bool {
        matches!(self, StoredStatus::Claimed | StoredStatus::Allocated)
    }
}

impl fmt::Display for StoredStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StoredStatus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        StoredStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidDevice,
                format!("{:?} is not a device status", crate::address::clip(text)),
            )
            .with_help(
                "write one of: available, claimed, allocated, unclaimable, unavailable, removed, deleted",
            )
        })
    }
}

/// What happens to a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// It is found for the first time.
    Discover,
    /// It is reserved for an owner.
    Claim,
    /// Its owner starts to use it.
    Allocate,
    /// Its owner gives it back.
    Free,
    /// The host no longer reports it, or no rule lets it be handed out.
    Remove,
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "discover" => Ok(Event::Discover),
            "claim" => Ok(Event::Claim),
            "allocate" => Ok(Event::Allocate),
            "free" => Ok(Event::Free),
            "remove" => Ok(Event::Remove),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{:?} is no event of a device", crate::address::clip(text)),
            )
            .with_help("write one of: discover, claim, allocate, free, remove")),
        }
    }
}

/// A device and those it excludes, as they are stored.
#[derive(Clone, Debug)]
pub struct Kin<'a> {
    /// What the device is to SR-IOV.
    pub dev_type: DeviceType,
    /// Its status.
    pub status: StoredStatus,
    /// Whom it is held for, according to its row.
    pub owner: Option<&'a str>,
    /// The status of its physical function, if it is a VF or vDPA device whose PF is known.
    pub parent: Option<StoredStatus>,
    /// For a PF the statuses of its VFs; for a VF or vDPA device those of the other functions of its PF.
    pub relatives: &'a [StoredStatus],
}

/// What an event makes of a device and those it excludes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transition {
    /// The device's new status.
    pub status: StoredStatus,
    /// The new status of its physical function; `None` leaves it.
    pub parent: Option<StoredStatus>,
    /// The new status of each of its VFs; `None` leaves them.
    pub children: Option<StoredStatus>,
    /// Whether some VF was in a state that its PF's does not explain, which is worth a warning.
    pub inconsistent: bool,
}

/// Why an event cannot happen to a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Its own status does not allow it.
    Status,
    /// It is held for another owner.
    Owner,
    /// The status of its physical function does not allow it.
    Parent,
    /// The status of one of its VFs does not allow it.
    Child,
}

impl Refusal {
    /// The name of the refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::Status => "status",
            Refusal::Owner => "owner",
            Refusal::Parent => "parent",
            Refusal::Child => "child",
        }
    }
}

/// What `event`, caused by `owner`, makes of a device; the inner error says why it cannot happen.
///
/// `owner` is whom the device is allocated for or freed by; `None` frees it whoever holds it.
///
/// Source: the methods `claim`, `allocate`, `free` and `remove` of Nova's `PciDevice`. Nova has no `discover`: a VF that
/// appears while its PF is held is free to be claimed there.
///
/// ```
/// use slotwise::{DeviceType, Event, Kin, Refusal, StoredStatus, transition};
/// let free = [StoredStatus::Available; 2];
/// let pf = Kin { dev_type: DeviceType::Pf, status: StoredStatus::Available, owner: None, parent: None, relatives: &free };
/// let claimed = transition(Event::Claim, &pf, None).expect("its VFs are free");
/// assert_eq!(claimed.children, Some(StoredStatus::Unclaimable));
///
/// let used = [StoredStatus::Allocated, StoredStatus::Available];
/// assert_eq!(transition(Event::Claim, &Kin { relatives: &used, ..pf }, None), Err(Refusal::Child));
/// ```
pub fn transition(
    event: Event,
    kin: &Kin<'_>,
    owner: Option<&str>,
) -> std::result::Result<Transition, Refusal> {
    use StoredStatus::{Allocated, Available, Claimed, Removed, Unavailable, Unclaimable};
    let becomes = |status| Transition { status, parent: None, children: None, inconsistent: false };
    let is_pf = kin.dev_type == DeviceType::Pf;
    let parent = kin.parent.filter(|_| kin.dev_type.has_parent());
    // While a VF is held its PF is unclaimable or unavailable, and stays so for the next VF.
    let parent_allows = parent.is_none_or(|parent| matches!(parent, Available | Unclaimable | Unavailable));
    match event {
        Event::Discover => {
            let holder =
                if is_pf { kin.relatives.iter().copied().max_by_key(|s| (s.is_held(), *s)) } else { parent };
            Ok(becomes(match holder {
                Some(Allocated) => Unavailable,
                Some(Claimed) => Unclaimable,
                _ => Available,
            }))
        }
        Event::Claim => {
            if kin.status != Available {
                return Err(Refusal::Status);
            }
            if is_pf {
                let mut taken = kin.relatives.iter().filter(|&&status| status != Available).peekable();
                let inconsistent = taken.peek().is_some();
                if !taken.all(|status| matches!(status, Unclaimable | Unavailable)) {
                    return Err(Refusal::Child);
                }
                return Ok(Transition { children: Some(Unclaimable), inconsistent, ..becomes(Claimed) });
            }
            if !parent_allows {
                return Err(Refusal::Parent);
            }
            let parent = parent.filter(|&parent| parent == Available).map(|_| Unclaimable);
            Ok(Transition { parent, ..becomes(Claimed) })
        }
        Event::Allocate => {
            if !matches!(kin.status, Available | Claimed) {
                return Err(Refusal::Status);
            }
            if kin.status == Claimed && kin.owner != owner {
                return Err(Refusal::Owner);
            }
            if is_pf {
                if !kin.relatives.iter().all(|status| matches!(status, Available | Unclaimable)) {
                    return Err(Refusal::Child);
                }
                return Ok(Transition { children: Some(Unavailable), ..becomes(Allocated) });
            }
            if !parent_allows {
                return Err(Refusal::Parent);
            }
            Ok(Transition { parent: parent.map(|_| Unavailable), ..becomes(Allocated) })
        }
        Event::Free => {
            if !kin.status.is_held() {
                return Err(Refusal::Status);
            }
            if owner.is_some() && kin.owner != owner {
                return Err(Refusal::Owner);
            }
            let children = is_pf.then_some(Available);
            let alone = kin.relatives.iter().all(|&status| status == Available);
            let parent = parent.filter(|_| alone).map(|_| Available);
            Ok(Transition { children, parent, ..becomes(Available) })
        }
        Event::Remove => {
            if !matches!(kin.status, Available | Unavailable | Unclaimable) {
                return Err(Refusal::Status);
            }
            if kin.owner.is_some() {
                return Err(Refusal::Owner);
            }
            Ok(becomes(Removed))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StoredStatus::*;
    use super::*;

    fn kin<'a>(
        dev_type: DeviceType,
        status: StoredStatus,
        parent: Option<StoredStatus>,
        relatives: &'a [StoredStatus],
    ) -> Kin<'a> {
        Kin { dev_type, status, owner: status.is_held().then_some("vm"), parent, relatives }
    }

    #[test]
    fn a_pf_takes_its_vfs_along_and_gives_them_back() {
        let pf = |status, relatives| kin(DeviceType::Pf, status, None, relatives);
        let claimed = transition(Event::Claim, &pf(Available, &[Available]), None);
        assert_eq!(claimed.map(|t| (t.status, t.children)), Ok((Claimed, Some(Unclaimable))));
        let allocated = transition(Event::Allocate, &pf(Claimed, &[Unclaimable]), Some("vm"));
        assert_eq!(allocated.map(|t| (t.status, t.children)), Ok((Allocated, Some(Unavailable))));
        let freed = transition(Event::Free, &pf(Allocated, &[Unavailable]), Some("vm"));
        assert_eq!(freed.map(|t| (t.status, t.children)), Ok((Available, Some(Available))));
        assert_eq!(transition(Event::Claim, &pf(Available, &[Claimed]), None), Err(Refusal::Child));
        assert!(transition(Event::Claim, &pf(Available, &[Unavailable]), None).is_ok_and(|t| t.inconsistent));
    }

    #[test]
    fn a_vf_holds_its_pf_back_until_the_last_is_free() {
        let vf = |status, parent, relatives| kin(DeviceType::Vf, status, Some(parent), relatives);
        let claimed = transition(Event::Claim, &vf(Available, Available, &[]), None);
        assert_eq!(claimed.map(|t| t.parent), Ok(Some(Unclaimable)));
        let second = transition(Event::Claim, &vf(Available, Unavailable, &[Allocated]), None);
        assert_eq!(second.map(|t| t.parent), Ok(None));
        assert_eq!(transition(Event::Claim, &vf(Available, Claimed, &[]), None), Err(Refusal::Parent));
        let first = transition(Event::Free, &vf(Allocated, Unavailable, &[Claimed]), None);
        assert_eq!(first.map(|t| t.parent), Ok(None));
        let last = transition(Event::Free, &vf(Allocated, Unavailable, &[Available]), None);
        assert_eq!(last.map(|t| t.parent), Ok(Some(Available)));
    }

    #[test]
    fn what_appears_beside_a_held_function_cannot_be_had() {
        for (held, is) in [(Allocated, Unavailable), (Claimed, Unclaimable), (Available, Available)] {
            let vf = transition(Event::Discover, &kin(DeviceType::Vf, Available, Some(held), &[]), None);
            assert_eq!(vf.map(|t| t.status), Ok(is));
            let pf =
                transition(Event::Discover, &kin(DeviceType::Pf, Available, None, &[Available, held]), None);
            assert_eq!(pf.map(|t| t.status), Ok(is));
        }
    }

    #[test]
    fn only_who_holds_a_device_uses_or_frees_it_and_held_ones_are_not_removed() {
        let held = kin(DeviceType::Pci, Claimed, None, &[]);
        for event in [Event::Allocate, Event::Free] {
            assert_eq!(transition(event, &held, Some("other")), Err(Refusal::Owner));
        }
        assert_eq!(transition(Event::Remove, &held, None), Err(Refusal::Status));
        let free = kin(DeviceType::Pci, Available, None, &[]);
        assert_eq!(transition(Event::Remove, &free, None).map(|t| t.status), Ok(Removed));
        assert_eq!(transition(Event::Free, &free, None), Err(Refusal::Status));
    }
}
