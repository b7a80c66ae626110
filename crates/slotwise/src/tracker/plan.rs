//! What a sync or another rule set would do: found out first, done afterwards.

use std::collections::BTreeMap;

use super::entries::{Edit, Entry, Facts, Next};
use super::{Deferred, DeferredChange, Retagged, SpecsDiff, SyncReport, Tracker};
use crate::address::PciAddress;
use crate::device::{Device, DeviceType};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::limits;
use crate::spec::DeviceSpecs;

/// What is going to happen; making it may fail, applying it may not.
pub(super) struct Plan {
    specs: DeviceSpecs,
    /// Known devices that the host reports otherwise than before, or no longer (`None`); by address.
    known: BTreeMap<PciAddress, Option<Facts>>,
    /// Devices that were not known, in the order the host lists them.
    new: Vec<Facts>,
}

impl Tracker {
    /// Plans a sync with what the host reports, or, with `None`, other rules for what it reported last.
    pub(super) fn plan(&self, specs: DeviceSpecs, reported: Option<Vec<Device>>) -> Result<Plan> {
        let same_rules = specs == self.specs;
        let mut known = BTreeMap::new();
        let mut new = Vec::new();
        let devices: Vec<Device> = match reported {
            Some(devices) => {
                let listed: std::collections::BTreeSet<PciAddress> =
                    devices.iter().map(|d| d.address).collect();
                let vanished = self.entries.keys().filter(|address| !listed.contains(address));
                known.extend(vanished.map(|&address| (address, None)));
                devices
            }
            None => {
                self.entries.values().filter_map(Entry::reported).map(|facts| facts.device.clone()).collect()
            }
        };
        for device in devices {
            let address = device.address;
            match self.entries.get(&address) {
                None => new.push(self.facts(device, &specs)?),
                Some(entry) if same_rules && is_settled(entry, &device) => {}
                Some(_) => {
                    let facts = self.facts(device, &specs)?;
                    known.insert(address, Some(facts));
                }
            }
        }
        Ok(Plan { specs, known, new })
    }

    /// Does what was planned.
    pub(super) fn apply(&mut self, plan: Plan) -> SyncReport {
        let mut report = SyncReport::default();
        let mut changed = plan.specs != self.specs;
        let mut edits = Vec::new();
        self.specs = plan.specs;
        for (address, facts) in plan.known {
            let Some(entry) = self.entries.get(&address) else { continue };
            if entry.hold.is_some() {
                let next = match facts {
                    None => Next::Gone,
                    Some(facts) if facts == entry.facts => Next::Same,
                    Some(facts) => Next::Change(Box::new(facts)),
                };
                if next != entry.next {
                    edits.push((address, Edit::Next(next)));
                }
                continue;
            }
            let was = entry.facts.assignable.is_some();
            match facts {
                None => {
                    edits.push((address, Edit::Drop));
                    if was {
                        report.removed.push(address);
                    }
                }
                Some(facts) => {
                    let is = facts.assignable.is_some();
                    let same = facts == entry.facts;
                    if !is {
                        // A row that was loaded and that no rule matches is to be deleted.
                        self.dirty.insert(address);
                    }
                    if same {
                        continue;
                    }
                    edits.push((address, Edit::Facts(facts)));
                    match (was, is) {
                        (false, true) => report.added.push(address),
                        (true, false) => report.removed.push(address),
                        (true, true) => report.updated.push(address),
                        (false, false) => {}
                    }
                }
            }
        }
        for facts in plan.new {
            if facts.assignable.is_some() {
                report.added.push(facts.device.address);
            }
            edits.push((facts.device.address, Edit::Add(facts)));
        }
        changed |= !edits.is_empty();
        self.edit(edits);
        report.added.sort_unstable();
        report.deferred = self.deferred();
        self.version += u64::from(changed);
        report
    }

    fn deferred(&self) -> Vec<Deferred> {
        let held = self.owners.values().flatten().filter_map(|address| self.entries.get(address));
        let mut deferred: Vec<Deferred> = held
            .filter_map(|entry| {
                let (hold, change) = entry.deferred()?;
                Some(Deferred { address: entry.facts.device.address, owner: hold.owner.clone(), change })
            })
            .collect();
        deferred.sort_by_key(|deferred| deferred.address);
        deferred
    }

    /// What a plan means for the caller: what other rules would add, retag, remove, or have to wait for.
    pub(super) fn diff(&self, plan: &Plan) -> SpecsDiff {
        let mut diff = SpecsDiff::default();
        for (&address, facts) in &plan.known {
            let Some(entry) = self.entries.get(&address) else { continue };
            let tags = |facts: &Facts| facts.assignable.as_ref().map(|assignable| assignable.tags.clone());
            let old: Option<ExtraInfo> = tags(&entry.facts);
            let new = facts.as_ref().and_then(tags);
            if let Some(hold) = &entry.hold {
                let change = match &new {
                    None => DeferredChange::Remove,
                    Some(_) if new == old => continue,
                    Some(_) => DeferredChange::Update,
                };
                diff.held.push(Deferred { address, owner: hold.owner.clone(), change });
                continue;
            }
            match (old, new) {
                (None, Some(_)) => diff.added.push(address),
                (Some(_), None) => diff.removed.push(address),
                (Some(old), Some(new)) if old != new => diff.retagged.push(Retagged { address, old, new }),
                _ => {}
            }
        }
        diff
    }
}

/// Whether a device is reported as before, so that it need not even be matched. One that was loaded from a row and that
/// no rule matches is settled by the first sync.
fn is_settled(entry: &Entry, device: &Device) -> bool {
    let waits = |facts: &Facts| facts.assignable.is_none() && entry.saved.is_some();
    entry.reported().is_some_and(|facts| facts.device == *device && !waits(facts))
}

/// Checks what a host lists: no device twice, every parent listed and able to be one, no cycle.
pub(super) fn check_host(devices: &[Device], allow_missing_parents: bool) -> Result<()> {
    limits::check("number of devices", devices.len(), limits::MAX_DEVICES)
        .map_err(|e| e.inside("devices"))?;
    let mut index = BTreeMap::new();
    for (i, device) in devices.iter().enumerate() {
        device.validate().map_err(|e| e.inside(format!("devices[{i}]")))?;
        if index.insert(device.address, i).is_some() {
            return Err(duplicate(device.address).inside(format!("devices[{i}].address")));
        }
    }
    let parent = |i: usize| devices[i].parent_addr.and_then(|a| index.get(&a).copied());
    // 0: not looked at; 1: on the way that is being followed; 2: leads to an end.
    let mut state = vec![0_u8; devices.len()];
    for start in 0..devices.len() {
        let mut way = Vec::new();
        let mut at = Some(start);
        while let Some(i) = at.filter(|&i| state[i] != 2) {
            if state[i] == 1 {
                return Err(Error::new(
                    ErrorKind::ParentCycle,
                    format!("the parents of device {} lead back to it", devices[i].address),
                )
                .with_help("give a VF its physical function as parent, and a physical function none")
                .inside(format!("devices[{i}].parent_addr")));
            }
            state[i] = 1;
            way.push(i);
            at = parent(i);
        }
        for i in way {
            state[i] = 2;
        }
    }
    if allow_missing_parents {
        return Ok(());
    }
    for (i, device) in devices.iter().enumerate() {
        let Some(address) = device.physical_function() else { continue };
        let error = match parent(i).map(|p| devices[p].dev_type) {
            Some(DeviceType::Pf) => continue,
            Some(other) => Error::new(
                ErrorKind::MissingParent,
                format!("the parent {address} of device {} is of type {other}, not type-PF", device.address),
            ),
            None => Error::new(
                ErrorKind::MissingParent,
                format!("the parent {address} of device {} is not listed", device.address),
            ),
        };
        return Err(error
            .with_help("list the physical function too, or set allow_missing_parents")
            .inside(format!("devices[{i}].parent_addr")));
    }
    Ok(())
}

pub(super) fn duplicate(address: PciAddress) -> Error {
    Error::new(ErrorKind::DuplicateDevice, format!("device {address} is listed twice"))
        .with_help("list each function once")
}
