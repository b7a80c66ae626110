//! The devices that a tracker knows, and what keeps them, their relatives, owners, pools and pending changes in step.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::changes::Row;
use super::{DeferredChange, TrackedDevice, Tracker};
use crate::address::PciAddress;
use crate::device::{Device, DeviceStatus, DeviceType};
use crate::extra_info::ExtraInfo;
use crate::pool_set::PoolKey;
use crate::solve::bins::DEVICE_GROUP;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) facts: Facts,
    pub(super) hold: Option<Hold>,
    /// What becomes of the device when it is freed; `Same` for a device that is not held.
    pub(super) next: Next,
    /// The key of the pool that it is in.
    pub(super) pooled: Option<PoolKey>,
    /// What was last written.
    pub(super) saved: Option<Row>,
}

/// What is known of a device, and what the rules make of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) device: Device,
    /// `None` if no rule lets it be handed out.
    pub(super) assignable: Option<Assignable>,
}

impl Facts {
    /// The static group that the device belongs to.
    pub(super) fn group(&self) -> Option<&str> {
        self.assignable.as_ref()?.tags.text(DEVICE_GROUP)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Assignable {
    pub(super) tags: ExtraInfo,
    pub(super) key: PoolKey,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Hold {
    pub(super) owner: String,
    pub(super) request_id: Option<String>,
    pub(super) requester_id: Option<String>,
    pub(super) allocated: bool,
    /// The order of claims.
    pub(super) claim: u64,
}

impl Hold {
    /// What a device is that this hold keeps from being handed out.
    pub(super) fn blocks(&self) -> DeviceStatus {
        match self.allocated {
            true => DeviceStatus::Unavailable,
            false => DeviceStatus::Unclaimable,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Same,
    /// Its facts or tags change; it may no longer be assignable.
    Change(Box<Facts>),
    /// The host no longer reports it.
    Gone,
}

/// What is done to a device.
#[derive(Debug)]
pub(super) enum Edit {
    /// It was not known and is there now.
    Add(Facts),
    /// Nobody holds it, and it is gone.
    Drop,
    /// Nobody holds it, and it is something else now.
    Facts(Facts),
    /// It is held, and something else becomes of it when it is freed.
    Next(Next),
    /// It is free, and is held.
    Hold(Hold),
    /// It is held, and is allocated now.
    Allocate,
    /// It is held, and is freed; what waited for that is done.
    Free,
}

impl Entry {
    pub(super) fn free(facts: Facts) -> Self {
        Entry { facts, hold: None, next: Next::Same, pooled: None, saved: None }
    }

    /// Whether it is one of the tracker's devices, with a row in the database: it is held or can be handed out.
    pub(super) fn is_tracked(&self) -> bool {
        self.hold.is_some() || self.facts.assignable.is_some()
    }

    /// What the host reported last; `None` if the device is gone.
    pub(super) fn reported(&self) -> Option<&Facts> {
        match &self.next {
            Next::Same => Some(&self.facts),
            Next::Change(facts) => Some(facts),
            Next::Gone => None,
        }
    }

    /// What the device is and, while it is held, what the host reports it to be since. It excludes and is excluded as
    /// either: a function that became a PF while it was held has VFs now, and is not free.
    pub(super) fn known_as(&self) -> impl Iterator<Item = &Facts> {
        let waiting = match &self.next {
            Next::Change(facts) => Some(facts.as_ref()),
            Next::Same | Next::Gone => None,
        };
        std::iter::once(&self.facts).chain(waiting)
    }

    pub(super) fn deferred(&self) -> Option<(&Hold, DeferredChange)> {
        let hold = self.hold.as_ref()?;
        match &self.next {
            Next::Same => None,
            Next::Change(facts) if facts.assignable.is_some() => Some((hold, DeferredChange::Update)),
            Next::Change(_) | Next::Gone => Some((hold, DeferredChange::Remove)),
        }
    }
}

impl Tracker {
    pub(super) fn held(&self, address: PciAddress) -> Option<&Hold> {
        self.entries.get(&address)?.hold.as_ref()
    }

    /// Whether a relative that excludes a device is held, and what that makes of the device.
    ///
    /// A held VF keeps its parent from being handed out even if that is no PF any more. A parent that never was one
    /// keeps no VF; such a tree is accepted with `allow_missing_parents` only.
    pub(super) fn excluded(&self, device: &Device) -> Option<DeviceStatus> {
        let is_pf = |entry: &&Entry| entry.known_as().any(|facts| facts.device.dev_type == DeviceType::Pf);
        let parent = device.physical_function().and_then(|parent| self.entries.get(&parent)).filter(is_pf);
        let by_parent = parent.and_then(|parent| parent.hold.as_ref()).map(Hold::blocks);
        let children = self.children.get(&device.address).into_iter().flatten();
        children.filter_map(|&child| self.held(child)).map(Hold::blocks).max().max(by_parent)
    }

    /// The PF of a VF when both are held, which must not be. What only became a PF or a VF while it was held does not
    /// count: that cannot be helped.
    pub(super) fn held_beside(&self, entry: &Entry) -> Option<PciAddress> {
        entry.hold.as_ref()?;
        let pf = entry.facts.device.physical_function()?;
        let facts = &self.entries.get(&pf).filter(|pf| pf.hold.is_some())?.facts;
        (facts.device.dev_type == DeviceType::Pf).then_some(pf)
    }

    /// The devices that this one may block or set free: a PF's VFs, or a VF's PF; ordered by address.
    fn relatives(&self, address: PciAddress) -> BTreeSet<PciAddress> {
        let known_as = self.entries.get(&address).into_iter().flat_map(Entry::known_as);
        let parents = known_as.filter_map(|facts| facts.device.physical_function());
        parents.chain(self.children.get(&address).into_iter().flatten().copied()).collect()
    }

    /// All devices of the groups that these devices belong to.
    fn group_members<'a>(&self, devices: impl Iterator<Item = &'a PciAddress>) -> BTreeSet<PciAddress> {
        if self.groups.is_empty() {
            return BTreeSet::new();
        }
        let facts = |address| self.entries.get(address).into_iter().flat_map(Entry::known_as);
        let groups: BTreeSet<&str> = devices.flat_map(facts).filter_map(Facts::group).collect();
        groups.into_iter().filter_map(|group| self.groups.get(group)).flatten().copied().collect()
    }

    pub(super) fn link(&mut self, address: PciAddress) {
        for facts in self.entries.get(&address).into_iter().flat_map(Entry::known_as) {
            if let Some(parent) = facts.device.physical_function() {
                self.children.entry(parent).or_default().insert(address);
            }
            if let Some(group) = facts.group() {
                self.groups.entry(group.to_owned()).or_default().insert(address);
            }
        }
    }

    pub(super) fn unlink(&mut self, address: PciAddress) {
        for facts in self.entries.get(&address).into_iter().flat_map(Entry::known_as) {
            if let Some(parent) = facts.device.physical_function() {
                remove_from(&mut self.children, &parent, address);
            }
            if let Some(group) = facts.group() {
                remove_from(&mut self.groups, group, address);
            }
        }
    }

    /// Makes these changes, each to another device, and puts these devices and what has to do with them where they belong
    /// then.
    pub(super) fn edit(&mut self, edits: Vec<(PciAddress, Edit)>) {
        // Nobody holds a new device, so that it can only be blocked itself, and with it its group.
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for (address, edit) in &edits {
            if matches!(edit, Edit::Add(_)) { &mut new } else { &mut known }.push(*address);
        }
        // Each with the last of the devices that it has to do with, as it is before and as it is afterwards.
        let mut relatives: BTreeMap<PciAddress, usize> = BTreeMap::new();
        let note = |tracker: &Self, relatives: &mut BTreeMap<PciAddress, usize>| {
            for (at, &address) in known.iter().enumerate() {
                for relative in tracker.relatives(address) {
                    let last = relatives.entry(relative).or_insert(at);
                    *last = at.max(*last);
                }
            }
            tracker.group_members(known.iter().chain(relatives.keys()).chain(&new))
        };
        let mut members = note(self, &mut relatives);
        for (address, edit) in edits {
            self.edit_one(address, edit);
        }
        members.append(&mut note(self, &mut relatives));
        for address in known.iter().chain(&new) {
            relatives.remove(address);
            members.remove(address);
        }
        members.retain(|member| !relatives.contains_key(member));
        let mut before: Vec<Vec<PciAddress>> = vec![Vec::new(); known.len()];
        for (relative, last) in relatives {
            before[last].push(relative);
        }
        // What is freed by several devices comes back before the last of them does, as in Nova.
        let mut order: Vec<PciAddress> = members.into_iter().collect();
        for (address, relatives) in known.into_iter().zip(before) {
            order.extend(relatives);
            order.push(address);
        }
        order.extend(new);
        self.dirty.extend(order.iter().filter(|address| self.entries.contains_key(address)));
        self.settle(order);
        self.check();
    }

    fn edit_one(&mut self, address: PciAddress, edit: Edit) {
        match edit {
            Edit::Add(facts) => {
                // A row that waits to be deleted is taken up again.
                let saved = self.deleted.remove(&address);
                self.entries.insert(address, Entry { saved, ..Entry::free(facts) });
                self.link(address);
            }
            Edit::Hold(hold) => {
                self.owners.entry(hold.owner.clone()).or_default().insert(address);
                let Some(entry) = self.entries.get_mut(&address) else { return };
                entry.hold = Some(hold);
                if let Some(key) = entry.pooled.take() {
                    self.pools.hand_out(&key, address);
                }
            }
            Edit::Allocate => {
                if let Some(hold) = self.entries.get_mut(&address).and_then(|entry| entry.hold.as_mut()) {
                    hold.allocated = true;
                }
            }
            Edit::Facts(facts) => self.relink(address, |entry| entry.facts = facts),
            Edit::Next(next) => self.relink(address, |entry| entry.next = next),
            Edit::Free => {
                let Some(entry) = self.entries.get_mut(&address) else { return };
                let Some(hold) = entry.hold.take() else { return };
                remove_from(&mut self.owners, hold.owner.as_str(), address);
                match &entry.next {
                    Next::Same => {}
                    Next::Gone => self.edit_one(address, Edit::Drop),
                    Next::Change(_) => self.relink(address, |entry| {
                        if let Next::Change(facts) = std::mem::replace(&mut entry.next, Next::Same) {
                            entry.facts = *facts;
                        }
                    }),
                }
            }
            Edit::Drop => {
                self.unlink(address);
                let Some(entry) = self.entries.remove(&address) else { return };
                if let Some(key) = &entry.pooled {
                    self.pools.remove(key, address);
                }
                self.dirty.remove(&address);
                // Its row is deleted with the next changes.
                if let Some(saved) = entry.saved {
                    self.deleted.insert(address, saved);
                }
            }
        }
    }

    /// Changes what a device is known as.
    fn relink(&mut self, address: PciAddress, change: impl FnOnce(&mut Entry)) {
        self.unlink(address);
        if let Some(entry) = self.entries.get_mut(&address) {
            change(entry);
        }
        self.link(address);
    }

    /// Puts devices into the pools where they belong now, or takes them out, in this order.
    pub(super) fn settle(&mut self, order: impl IntoIterator<Item = PciAddress>) {
        let statuses = Statuses::new(self);
        let moves = order.into_iter().filter_map(|address| {
            let entry = self.entries.get(&address)?;
            let belongs = statuses.belongs(entry);
            (belongs != entry.pooled.as_ref()).then(|| (address, belongs.cloned()))
        });
        for (address, belongs) in moves.collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(&address) else { continue };
            if let Some(key) = &entry.pooled {
                self.pools.remove(key, address);
            }
            if let Some(key) = &belongs {
                self.pools.add(key, address);
            }
            entry.pooled = belongs;
        }
    }

    /// Checks the invariants in debug builds: one owner per device, PF and VFs exclude each other, pools and index agree.
    pub(super) fn check(&self) {
        if cfg!(debug_assertions)
            && let Err(broken) = self.invariants()
        {
            unreachable!("the tracker contradicts itself: {broken}");
        }
    }

    pub(super) fn invariants(&self) -> Result<(), String> {
        let statuses = Statuses::new(self);
        let mut pooled = 0;
        for (address, entry) in &self.entries {
            if let Some(pf) = self.held_beside(entry) {
                return Err(format!("{address} is held beside its PF {pf}"));
            }
            if entry.pooled.as_ref() != statuses.belongs(entry) {
                return Err(format!("{address} is in the wrong pool"));
            }
            if let Some(key) = &entry.pooled {
                pooled += 1;
                if !self.pools.has_device(key, *address) {
                    return Err(format!("{address} is missing from its pool"));
                }
            }
            let owned = entry
                .hold
                .as_ref()
                .is_some_and(|hold| self.owners.get(&hold.owner).is_some_and(|held| held.contains(address)));
            if owned != entry.hold.is_some() {
                return Err(format!("{address} is missing from its owner"));
            }
            if entry.hold.is_none() && entry.next != Next::Same {
                return Err(format!("{address} is free but has a deferred change"));
            }
        }
        if self.pools().list.iter().any(|pool| pool.count as usize != pool.devices.len()) {
            return Err("a pool counts wrongly".to_owned());
        }
        if self.pools().free() != pooled {
            return Err("a pool holds a device that is not free".to_owned());
        }
        let owned: usize = self.owners.values().map(BTreeSet::len).sum();
        if owned != self.entries.values().filter(|entry| entry.hold.is_some()).count() {
            return Err("an owner holds a device that is not held".to_owned());
        }
        Ok(())
    }
}

/// What the devices are while a tracker does not change; what a group is, is found out once.
pub(super) struct Statuses<'a> {
    tracker: &'a Tracker,
    groups: RefCell<BTreeMap<&'a str, Option<DeviceStatus>>>,
}

impl<'a> Statuses<'a> {
    pub(super) fn new(tracker: &'a Tracker) -> Self {
        Statuses { tracker, groups: RefCell::default() }
    }

    pub(super) fn of(&self, entry: &'a Entry) -> DeviceStatus {
        match &entry.hold {
            Some(hold) if hold.allocated => DeviceStatus::Allocated,
            Some(_) => DeviceStatus::Claimed,
            None => self.blocker(&entry.facts).unwrap_or_default(),
        }
    }

    /// What keeps a device that is not held from being handed out: a relative, or another device of its group.
    fn blocker(&self, facts: &'a Facts) -> Option<DeviceStatus> {
        let Some(group) = facts.group() else { return self.tracker.excluded(&facts.device) };
        *self.groups.borrow_mut().entry(group).or_insert_with(|| {
            let members = self.tracker.groups.get(group).into_iter().flatten();
            let blocks = |member: &PciAddress| {
                let entry = self.tracker.entries.get(member)?;
                entry.hold.as_ref().map(Hold::blocks).max(self.tracker.excluded(&entry.facts.device))
            };
            members.filter_map(blocks).max()
        })
    }

    /// The pool that a device is in if it is free.
    fn belongs(&self, entry: &'a Entry) -> Option<&'a PoolKey> {
        let assignable = entry.facts.assignable.as_ref()?;
        (entry.hold.is_none() && self.blocker(&entry.facts).is_none()).then_some(&assignable.key)
    }

    pub(super) fn tracked(&self, entry: &'a Entry) -> Option<TrackedDevice> {
        let hold = entry.hold.as_ref();
        entry.is_tracked().then(|| TrackedDevice {
            status: self.of(entry),
            owner: hold.map(|hold| hold.owner.clone()),
            request_id: hold.and_then(|hold| hold.request_id.clone()),
            requester_id: hold.and_then(|hold| hold.requester_id.clone()),
            tags: entry.facts.assignable.as_ref().map(|a| a.tags.clone()).unwrap_or_default(),
            device: entry.facts.device.clone(),
        })
    }
}

/// Removes an element from a set in a map, and the set with it when it was the last.
fn remove_from<K, Q>(sets: &mut BTreeMap<K, BTreeSet<PciAddress>>, key: &Q, address: PciAddress)
where
    K: std::borrow::Borrow<Q> + Ord,
    Q: Ord + ?Sized,
{
    if let Some(set) = sets.get_mut(key) {
        set.remove(&address);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
