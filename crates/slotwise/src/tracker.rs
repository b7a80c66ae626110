//! The tracker: one host's truth about its devices, claims and pools.
//!
//! What a device's dependants may do is never stored: a PF is blocked while one of its VFs is held, and a VF while its
//! PF is, so that the two can never contradict each other. Every call first finds out what it would do, which may fail,
//! and then does it, which may not.

mod plan;
mod prefer;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::address::PciAddress;
use crate::change::{Action, Change, FieldChange};
use crate::device::{Device, DeviceStatus, DeviceType};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::fit::{Assignment, Fit};
use crate::limits;
use crate::nova::Purpose;
use crate::numa::NumaTopology;
use crate::pool::{Group, Pools};
use crate::pool_set::{PoolKey, PoolSet};
use crate::request::{Request, Strategy, Workload};
use crate::solve::bins::{Attributes, DEVICE_GROUP};
use crate::solve::{self, Budget};
use crate::spec::{DeviceSpecs, Explanation};

/// How a tracker works.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerOptions {
    /// The host's NUMA cells; needed for the policy `socket`.
    pub numa_topology: Option<NumaTopology>,
    /// More keys that split pools, beside Nova's: any extra-info key.
    pub pool_keys: Vec<String>,
    /// Accept VFs and vDPA devices whose physical function is not listed, as Nova does.
    pub allow_missing_parents: bool,
    /// Static groups by address, beside those that rules give with the tag `device_group`.
    pub device_groups: Vec<DeviceGroup>,
}

/// Devices that are handed out together or not at all, such as a GPU and its audio function.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceGroup {
    /// The name of the group; its devices get it as the tag `device_group`.
    pub name: String,
    /// The devices.
    pub devices: Vec<PciAddress>,
}

/// A device as the tracker knows it; also the form in which a caller's database rows are loaded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrackedDevice {
    /// Where it is in its life.
    pub status: DeviceStatus,
    /// Whom it is held for.
    #[serde(default)]
    pub owner: Option<String>,
    /// The request it was given to.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Who asked for it.
    #[serde(default)]
    pub requester_id: Option<String>,
    /// The tags that its rule gives it.
    #[serde(default)]
    pub tags: ExtraInfo,
    /// The function itself. Its keys stand beside the others in JSON.
    #[serde(flatten)]
    pub device: Device,
}

/// What a sync did.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SyncReport {
    /// Devices that became assignable.
    pub added: Vec<PciAddress>,
    /// Devices of which a fact or a tag changed.
    pub updated: Vec<PciAddress>,
    /// Devices that are no longer there or no longer assignable.
    pub removed: Vec<PciAddress>,
    /// Held devices whose change or removal waits until they are freed.
    pub deferred: Vec<Deferred>,
}

/// A held device whose change waits until it is freed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deferred {
    /// The device.
    pub address: PciAddress,
    /// Who holds it.
    pub owner: String,
    /// What will happen to it when it is freed.
    pub change: DeferredChange,
}

/// What will happen to a held device when it is freed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferredChange {
    /// Its facts or tags change.
    Update,
    /// It is no longer there, or no longer assignable.
    Remove,
}

/// What another rule set would change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SpecsDiff {
    /// Devices that become assignable.
    pub added: Vec<PciAddress>,
    /// Devices that stay assignable with other tags.
    pub retagged: Vec<Retagged>,
    /// Devices that stop being assignable.
    pub removed: Vec<PciAddress>,
    /// Devices that would be retagged or removed but are in use: that waits until they are freed.
    pub held: Vec<Deferred>,
}

/// A device that gets other tags.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Retagged {
    /// The device.
    pub address: PciAddress,
    /// Its tags so far.
    pub old: ExtraInfo,
    /// Its new tags.
    pub new: ExtraInfo,
}

/// What one owner asks for, among several that are claimed together.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Whom the devices are for.
    pub owner: String,
    /// What is asked for.
    pub workload: Workload,
}

/// Which of an owner's devices to free.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeScope {
    /// Claimed and allocated ones.
    #[default]
    All,
    /// Only those claimed and not yet allocated.
    Claims,
    /// Only those allocated.
    Allocations,
}

/// Selects held devices; the fields given must all match.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BindingQuery {
    /// Held for this owner.
    pub owner: Option<String>,
    /// Given to this request.
    pub request_id: Option<String>,
    /// Asked for by this requester (a port, a NIC).
    pub requester_id: Option<String>,
}

/// A held device and the facts by which a network service configures it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Binding {
    /// Whom the device is held for.
    pub owner: String,
    /// The request it was given to.
    pub request_id: Option<String>,
    /// Who asked for it.
    pub requester_id: Option<String>,
    /// Claimed or allocated.
    pub status: DeviceStatus,
    /// The device's address (Neutron's `pci_slot`).
    pub pci_slot: PciAddress,
    /// `vendor:product` (Neutron's `pci_vendor_info`).
    pub pci_vendor_info: String,
    /// The tag `physical_network`.
    pub physical_network: Option<String>,
    /// The VF's number on its PF.
    pub vf_num: Option<u32>,
    /// The MAC address of the PF (or of the device itself where it is no VF).
    pub pf_mac_address: Option<String>,
    /// The serial number of the card.
    pub card_serial_number: Option<String>,
    /// The extra info `switch_port`.
    pub switch_port: Option<String>,
    /// All extra info and tags of the device.
    pub extra_info: ExtraInfo,
}

/// One host's truth: devices, claims, pools, and what is not yet written to the caller's database.
///
/// ```
/// use slotwise::{BindingQuery, Device, DeviceSpecs, Request, Tracker, TrackerOptions, Workload};
///
/// let specs = DeviceSpecs::parse(&[r#"{"vendor_id": "8086", "physical_network": "blue"}"#], false)?;
/// let mut tracker = Tracker::new(specs, TrackerOptions::default())?;
/// tracker.sync(vec![Device::new("0000:3b:00.0".parse()?, "8086", "1572")])?;
///
/// let request = Request::new(1, [("physical_network", "blue")].try_into()?)?;
/// let fit = tracker.claim("instance-1", &Workload::new(vec![request]))?;
/// assert!(fit.fits());
/// assert_eq!(tracker.changes().len(), 1);
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tracker {
    options: TrackerOptions,
    specs: DeviceSpecs,
    /// Every function that the host reports, assignable or not, and held ones that it no longer reports.
    entries: BTreeMap<PciAddress, Entry>,
    /// The VFs and vDPA devices of each physical function.
    children: BTreeMap<PciAddress, BTreeSet<PciAddress>>,
    /// The assignable devices of each static group.
    groups: BTreeMap<String, BTreeSet<PciAddress>>,
    /// The static groups given by address.
    group_of: BTreeMap<PciAddress, String>,
    /// What each owner holds.
    owners: BTreeMap<String, BTreeSet<PciAddress>>,
    pools: PoolSet,
    /// The devices that may differ from what was last written.
    dirty: BTreeSet<PciAddress>,
    /// Rows of devices that are gone and must be deleted.
    deleted: BTreeMap<PciAddress, Row>,
    /// The number of the next device to be claimed.
    next_claim: u64,
    version: u64,
}

/// A device's row in the caller's database: field name → text, without null fields.
type Row = BTreeMap<String, String>;

#[derive(Clone, Debug)]
struct Entry {
    facts: Facts,
    hold: Option<Hold>,
    /// What becomes of the device when it is freed; `Same` for a device that is not held.
    next: Next,
    /// The key of the pool that it is in.
    pooled: Option<PoolKey>,
    /// What was last written.
    saved: Option<Row>,
}

/// What is known of a device, and what the rules make of it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Facts {
    device: Device,
    /// `None` if no rule lets it be handed out.
    assignable: Option<Assignable>,
}

impl Facts {
    /// The static group that the device belongs to.
    fn group(&self) -> Option<&str> {
        self.assignable.as_ref()?.tags.text(DEVICE_GROUP)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Assignable {
    tags: ExtraInfo,
    key: PoolKey,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Hold {
    owner: String,
    request_id: Option<String>,
    requester_id: Option<String>,
    allocated: bool,
    /// The order of claims.
    claim: u64,
}

impl Hold {
    /// What a device is that this hold keeps from being handed out.
    fn blocks(&self) -> DeviceStatus {
        match self.allocated {
            true => DeviceStatus::Unavailable,
            false => DeviceStatus::Unclaimable,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Next {
    Same,
    /// Its facts or tags change; it may no longer be assignable.
    Change(Box<Facts>),
    /// The host no longer reports it.
    Gone,
}

impl Entry {
    fn free(facts: Facts) -> Self {
        Entry { facts, hold: None, next: Next::Same, pooled: None, saved: None }
    }

    /// What the host reported last; `None` if the device is gone.
    fn reported(&self) -> Option<&Facts> {
        match &self.next {
            Next::Same => Some(&self.facts),
            Next::Change(facts) => Some(facts),
            Next::Gone => None,
        }
    }

    /// What the device is and, while it is held, what the host reports it to be since. It excludes and is excluded as
    /// either: a function that became a PF while it was held has VFs now, and is not free.
    fn known_as(&self) -> impl Iterator<Item = &Facts> {
        let waiting = match &self.next {
            Next::Change(facts) => Some(facts.as_ref()),
            Next::Same | Next::Gone => None,
        };
        std::iter::once(&self.facts).chain(waiting)
    }

    fn deferred(&self) -> Option<(&Hold, DeferredChange)> {
        let hold = self.hold.as_ref()?;
        match &self.next {
            Next::Same => None,
            Next::Change(facts) if facts.assignable.is_some() => Some((hold, DeferredChange::Update)),
            Next::Change(_) | Next::Gone => Some((hold, DeferredChange::Remove)),
        }
    }
}

impl Tracker {
    /// A tracker without devices; [`Tracker::sync`] brings them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] when the options name too many pool keys; [`ErrorKind::InvalidArgument`] when they
    /// put a device into two groups, or give a group no name or that of another.
    pub fn new(specs: DeviceSpecs, options: TrackerOptions) -> Result<Self> {
        limits::check("number of pool keys", options.pool_keys.len(), limits::MAX_ENTRIES / 2)
            .map_err(|e| e.inside("options.pool_keys"))?;
        let mut group_of = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (g, group) in options.device_groups.iter().enumerate() {
            let refuse = |message: String, place: String| {
                Err(Error::new(ErrorKind::InvalidArgument, message)
                    .with_help("give each group a name of its own, and put each device into one group, once")
                    .inside(place))
            };
            let name = || format!("options.device_groups[{g}].name");
            if group.name.is_empty() {
                return refuse("a device group has no name".to_owned(), name());
            }
            if !names.insert(&group.name) {
                return refuse(format!("device group {} is there twice", group.name), name());
            }
            for (d, &address) in group.devices.iter().enumerate() {
                if group_of.insert(address, group.name.clone()).is_some() {
                    let place = format!("options.device_groups[{g}].devices[{d}]");
                    return refuse(format!("device {address} is named twice in the device groups"), place);
                }
            }
        }
        Ok(Tracker {
            groups: BTreeMap::new(),
            group_of,
            pools: PoolSet::new(options.numa_topology.clone()),
            options,
            specs,
            entries: BTreeMap::new(),
            children: BTreeMap::new(),
            owners: BTreeMap::new(),
            dirty: BTreeSet::new(),
            deleted: BTreeMap::new(),
            next_claim: 0,
            version: 0,
        })
    }

    /// A tracker that takes up from the rows of the caller's database, which count as written.
    ///
    /// A row that no rule matches is kept until the first [`Tracker::sync`] tells whether its device is still there.
    /// `unclaimable` and `unavailable` are worked out anew from what is held.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DuplicateDevice`], [`ErrorKind::InvalidDevice`] for a held row without an owner or a free one with,
    /// [`ErrorKind::InvalidState`] when a VF and its PF are both held; with the row as place.
    pub fn load(specs: DeviceSpecs, options: TrackerOptions, rows: Vec<TrackedDevice>) -> Result<Self> {
        let mut tracker = Tracker::new(specs, options)?;
        limits::check("number of rows", rows.len(), limits::MAX_DEVICES).map_err(|e| e.inside("rows"))?;
        let mut index = BTreeMap::new();
        for (i, row) in rows.iter().enumerate() {
            row.device.validate().map_err(|e| e.inside(format!("rows[{i}]")))?;
            if index.insert(row.device.address, i).is_some() {
                return Err(plan::duplicate(row.device.address).inside(format!("rows[{i}].address")));
            }
        }
        let devices: Vec<Device> = rows.iter().map(|row| row.device.clone()).collect();
        tracker.specs = tracker.specs.pin(&devices)?;
        let mut rows: Vec<Option<TrackedDevice>> = rows.into_iter().map(Some).collect();
        // In order of address, so that the pools do not depend on the order of the rows.
        for (&address, &i) in &index {
            let Some(row) = rows[i].take() else { continue };
            let hold = tracker.hold_of(&row, i)?;
            let saved = row_of(&row.device, Some(&row.tags), row.status, hold.as_ref());
            let facts = tracker.facts(row.device, &tracker.specs)?;
            if let Some(hold) = &hold {
                tracker.next_claim += 1;
                tracker.owners.entry(hold.owner.clone()).or_default().insert(address);
            }
            let entry = Entry { hold, saved: Some(saved), ..Entry::free(facts) };
            tracker.entries.insert(address, entry);
            tracker.link(address);
        }
        for (&address, &i) in &index {
            if let Some(pf) = tracker.held_beside(&tracker.entries[&address]) {
                return Err(Error::new(
                    ErrorKind::InvalidState,
                    format!("device {address} and its physical function {pf} are both held"),
                )
                .with_help("free one of them before loading the rows")
                .inside(format!("rows[{i}]")));
            }
        }
        for address in index.into_keys() {
            tracker.refresh(address);
            if tracker.row(&tracker.entries[&address]).is_some() {
                tracker.dirty.insert(address);
            }
        }
        tracker.check();
        Ok(tracker)
    }

    fn hold_of(&self, row: &TrackedDevice, i: usize) -> Result<Option<Hold>> {
        let allocated = row.status == DeviceStatus::Allocated;
        match (&row.owner, allocated || row.status == DeviceStatus::Claimed) {
            (Some(owner), true) => Ok(Some(Hold {
                owner: owner.clone(),
                request_id: row.request_id.clone(),
                requester_id: row.requester_id.clone(),
                allocated,
                claim: self.next_claim,
            })),
            (None, false) => Ok(None),
            (None, true) => Err("is held but has no owner"),
            (Some(_), false) => Err("is not held but has an owner"),
        }
        .map_err(|wrong: &str| {
            Error::new(ErrorKind::InvalidDevice, format!("device {} {wrong}", row.device.address))
                .with_help("a claimed or allocated device has an owner, any other has none")
                .inside(format!("rows[{i}].owner"))
        })
    }

    /// Takes over what the host has now: all its functions, assignable or not.
    ///
    /// Devices that are held keep their facts until they are freed; one that is reported as a PF or VF since keeps its
    /// VFs or its PF from being handed out from then on. Unchanged devices cause no change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DuplicateDevice`], [`ErrorKind::MissingParent`], [`ErrorKind::ParentCycle`],
    /// [`ErrorKind::InvalidDevice`], [`ErrorKind::InvalidSpec`] for a rule that this host contradicts, or
    /// [`ErrorKind::LimitExceeded`]; nothing is taken over then.
    pub fn sync(&mut self, devices: Vec<Device>) -> Result<SyncReport> {
        plan::check_host(&devices, self.options.allow_missing_parents)?;
        let specs = self.specs.pin(&devices)?;
        let plan = self.plan(specs, Some(devices))?;
        Ok(self.apply(plan))
    }

    /// Replaces the rule set; with `dry_run` only says what that would change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] for a rule that this host contradicts; nothing is replaced then.
    #[allow(clippy::needless_pass_by_value, reason = "the tracker takes the rules over, as in Tracker::new")]
    pub fn replace_specs(&mut self, specs: DeviceSpecs, dry_run: bool) -> Result<SpecsDiff> {
        let present: Vec<Device> =
            self.entries.values().filter_map(|e| e.reported().map(|facts| facts.device.clone())).collect();
        let specs = specs.pin(&present)?;
        let plan = self.plan(specs, None)?;
        let diff = self.diff(&plan);
        if !dry_run {
            self.apply(plan);
        }
        Ok(diff)
    }

    /// The rule set, with its `devname` rules bound to the functions they named at the first sync.
    #[must_use]
    pub fn specs(&self) -> &DeviceSpecs {
        &self.specs
    }

    /// How this tracker works.
    #[must_use]
    pub fn options(&self) -> &TrackerOptions {
        &self.options
    }

    /// The free devices, pooled, in stable order. Pools whose devices are all handed out stay, with count 0.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        self.pools.pools()
    }

    /// Groups and counts the assignable devices, free or held, by any field, tag or extra info.
    ///
    /// Groups are ordered by their values. A tag counts before an extra info of the same name; a device without the
    /// attribute counts under null.
    #[must_use]
    pub fn group_by(&self, keys: &[String]) -> Vec<Group> {
        let mut groups: BTreeMap<Vec<Option<String>>, Group> = BTreeMap::new();
        for (&address, entry) in &self.entries {
            let Some(assignable) = &entry.facts.assignable else { continue };
            let values: Vec<Option<String>> = keys
                .iter()
                .map(|key| match (key.as_str(), assignable.tags.get(key)) {
                    ("status", _) => Some(self.status(entry)).map(|s| status_text(s).to_owned()),
                    ("owner", _) => entry.hold.as_ref().map(|hold| hold.owner.clone()),
                    (_, Some(text)) => text.map(str::to_owned),
                    (key, None) => entry.facts.device.attribute(key).flatten(),
                })
                .collect();
            let group = groups.entry(values).or_insert_with_key(|values| Group::new(keys, values));
            group.total += 1;
            group.free += u64::from(entry.pooled.is_some());
            group.devices.push(address);
        }
        groups.into_values().collect()
    }

    /// The assignable devices and those that are held, ordered by address.
    #[must_use]
    pub fn devices(&self) -> Vec<TrackedDevice> {
        self.entries.values().filter_map(|entry| self.tracked(entry)).collect()
    }

    /// The device of that address, if it is assignable or held.
    #[must_use]
    pub fn device(&self, address: PciAddress) -> Option<TrackedDevice> {
        self.tracked(self.entries.get(&address)?)
    }

    /// Why the device of that address is or is not assignable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownDevice`] when the host does not report such a device.
    pub fn explain(&self, address: PciAddress) -> Result<Explanation> {
        let facts =
            self.entries.get(&address).and_then(Entry::reported).ok_or_else(|| unknown_device(address))?;
        Ok(self.specs.explain(&facts.device))
    }

    /// Whether and how the workload fits, without claiming anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] or [`ErrorKind::LimitExceeded`] for a workload that is not valid.
    pub fn fit(&self, workload: &Workload) -> Result<Fit> {
        self.pools().decide(workload, Purpose::Fit, Some(self))
    }

    /// As [`Tracker::fit`], if that takes a moment; see [`Pools::fit_within`].
    ///
    /// # Errors
    ///
    /// As [`Tracker::fit`].
    pub fn fit_within(&self, workload: &Workload, steps: u64) -> Result<Option<Fit>> {
        self.pools().decide_if_short(workload, steps, Some(self))
    }

    /// Claims devices for `owner`: all that the workload asks for, or none.
    ///
    /// An owner may claim more than once; claims add up.
    ///
    /// # Errors
    ///
    /// As [`Tracker::fit`], and [`ErrorKind::InvalidArgument`] for an empty owner; nothing is claimed then.
    pub fn claim(&mut self, owner: &str, workload: &Workload) -> Result<Fit> {
        self.claim_within(owner, workload, &Budget::of(&[workload]))
    }

    fn claim_within(&mut self, owner: &str, workload: &Workload, budget: &Budget) -> Result<Fit> {
        check_owner(owner)?;
        let fit = self.pools().decide_within(workload, Purpose::Claim, Some(self), budget)?;
        if let Fit::Fits(assignment) = &fit {
            self.hold_all(owner, &workload.requests, assignment);
        }
        Ok(fit)
    }

    /// Claims exactly the devices that [`Tracker::fit`] found earlier, if they can still be had.
    ///
    /// Whatever happened in between, the answer is either the claim that was announced or a conflict; two schedulers
    /// that were both told *yes* never both get the last device.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the assignment no longer holds: fit again. Otherwise as [`Tracker::claim`]. Nothing
    /// is claimed then.
    pub fn claim_fit(&mut self, owner: &str, workload: &Workload, assignment: &Assignment) -> Result<()> {
        check_owner(owner)?;
        workload.validate().map_err(|e| e.inside("workload"))?;
        solve::verify(self.pools(), workload, assignment, self).map_err(|fault| {
            Error::new(ErrorKind::Conflict, format!("the assignment no longer holds: {fault}"))
                .with_help("fit the workload again")
                .inside("assignment")
        })?;
        self.hold_all(owner, &workload.requests, assignment);
        Ok(())
    }

    /// Claims devices for several workloads together: for all of them, or for none.
    ///
    /// Under strategy `exact` *no* means that no joint assignment exists. The answer spans the requests of all
    /// workloads, in order. The call has one search budget for all that it does, the largest of the workloads'.
    ///
    /// # Errors
    ///
    /// As [`Tracker::claim`], with the workload's index as place; [`ErrorKind::LimitExceeded`] for more than
    /// [`limits::MAX_BATCH`] claims; [`ErrorKind::InvalidRequest`] when there are several
    /// workloads and one leaves its NUMA cells to be chosen.
    pub fn claim_all(&mut self, claims: &[Claim]) -> Result<Fit> {
        limits::check("number of claims", claims.len(), limits::MAX_BATCH).map_err(|e| e.inside("claims"))?;
        for (i, Claim { owner, workload }) in claims.iter().enumerate() {
            check_owner(owner).map_err(|e| e.inside(format!("claims[{i}]")))?;
            workload.validate().map_err(|e| e.inside(format!("claims[{i}].workload")))?;
            if workload.numa_cells_from.is_some() && claims.len() > 1 {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    "cells can be chosen for one workload at a time",
                )
                .with_help("give numa_cells, or claim this workload on its own")
                .inside(format!("claims[{i}].workload.numa_cells_from")));
            }
        }
        let workloads: Vec<&Workload> = claims.iter().map(|claim| &claim.workload).collect();
        let budget = Budget::of(&workloads);
        // One after the other is what usually works, and gives each the devices that it would get alone.
        let mut attempt = self.clone();
        let mut all = Assignment::default();
        let mut failed = None;
        for (i, Claim { owner, workload }) in claims.iter().enumerate() {
            // One that takes long leaves something to those that follow, and to what is tried for all of them together.
            let steps = if claims.len() > 1 { budget.most() } else { budget.left() };
            let claimed = budget.share(steps, || attempt.claim_within(owner, workload, &budget));
            match claimed.map_err(|e| e.inside(format!("claims[{i}]")))? {
                Fit::Fits(assignment) => {
                    all.requests.extend(assignment.requests);
                    all.numa_cells = assignment.numa_cells;
                    all.cut_short |= assignment.cut_short;
                }
                other => {
                    failed = Some(other);
                    break;
                }
            }
        }
        let Some(failed) = failed else {
            *self = attempt;
            return Ok(Fit::Fits(all));
        };
        if claims.len() == 1 || claims.iter().any(|claim| claim.workload.strategy == Strategy::Nova) {
            return Ok(failed);
        }
        let fit = solve::joint(self.pools(), &workloads, Some(self), &budget)?;
        if let Fit::Fits(assignment) = &fit {
            let mut rest = assignment.requests.as_slice();
            for Claim { owner, workload } in claims {
                let (own, others) = rest.split_at(workload.requests.len().min(rest.len()));
                rest = others;
                let own = Assignment { requests: own.to_vec(), ..Assignment::default() };
                self.hold_all(owner, &workload.requests, &own);
            }
        }
        Ok(fit)
    }

    /// Holds all devices of an assignment.
    fn hold_all(&mut self, owner: &str, requests: &[Request], assignment: &Assignment) {
        for (request, taken) in requests.iter().zip(&assignment.requests) {
            for &address in taken.devices.iter().chain(&taken.companions) {
                let hold = Hold {
                    owner: owner.to_owned(),
                    request_id: request.request_id.clone(),
                    requester_id: request.requester_id.clone(),
                    allocated: false,
                    claim: self.next_claim,
                };
                self.next_claim += 1;
                self.hold(address, hold);
            }
        }
        self.version += u64::from(assignment.requests.iter().any(|taken| !taken.devices.is_empty()));
        self.check();
    }

    /// Turns the owner's claims into allocations and returns the devices, ordered by address.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownOwner`] when the owner holds nothing.
    pub fn allocate(&mut self, owner: &str) -> Result<Vec<PciAddress>> {
        let held = self.owners.get(owner).ok_or_else(|| unknown_owner(owner))?;
        let claimed: Vec<PciAddress> =
            held.iter().copied().filter(|a| self.held(*a).is_some_and(|hold| !hold.allocated)).collect();
        for &address in &claimed {
            if let Some(hold) = self.entries.get_mut(&address).and_then(|entry| entry.hold.as_mut()) {
                hold.allocated = true;
            }
            let around = self.around(address);
            self.dirty.insert(address);
            self.settle(around);
        }
        self.version += u64::from(!claimed.is_empty());
        self.check();
        Ok(claimed)
    }

    /// Frees the owner's devices and returns them, ordered by address; empty if it holds none.
    pub fn free(&mut self, owner: &str, scope: FreeScope) -> Vec<PciAddress> {
        let Some(held) = self.owners.get(owner) else { return Vec::new() };
        let within = |hold: &Hold| match scope {
            FreeScope::All => true,
            FreeScope::Claims => !hold.allocated,
            FreeScope::Allocations => hold.allocated,
        };
        let mut freed: Vec<PciAddress> =
            held.iter().copied().filter(|a| self.held(*a).is_some_and(within)).collect();
        // Allocations first, as Nova does; this shows in the order in which the devices are handed out again.
        freed.sort_by_key(|a| self.held(*a).is_some_and(|hold| !hold.allocated));
        self.free_all(freed)
    }

    /// Frees one device of the owner.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownDevice`], [`ErrorKind::InvalidState`] when it is not held, [`ErrorKind::WrongOwner`].
    pub fn free_device(&mut self, owner: &str, address: PciAddress) -> Result<()> {
        let entry = self.entries.get(&address).ok_or_else(|| unknown_device(address))?;
        let hold = entry.hold.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidState, format!("device {address} is not held")).inside("address")
        })?;
        if hold.owner != owner {
            return Err(Error::new(
                ErrorKind::WrongOwner,
                format!(
                    "device {address} is held for {:?}, not for {:?}",
                    hold.owner,
                    crate::address::clip(owner)
                ),
            )
            .inside("owner"));
        }
        self.free_all(vec![address]);
        Ok(())
    }

    /// Frees the devices of all owners that are not among `owners`, and returns them, ordered by address.
    pub fn retain_owners<S: AsRef<str>>(&mut self, owners: &[S]) -> Vec<PciAddress> {
        let keep: BTreeSet<&str> = owners.iter().map(AsRef::as_ref).collect();
        let mut freed: Vec<PciAddress> = self
            .owners
            .iter()
            .filter(|(owner, _)| !keep.contains(owner.as_str()))
            .flat_map(|(_, held)| held.iter().copied())
            .collect();
        // Claims first, each in the order in which they were made, as Nova does.
        freed.sort_by_key(|a| self.held(*a).map(|hold| (hold.allocated, hold.claim)));
        self.free_all(freed)
    }

    /// The held devices that the query selects, in the order they were claimed.
    #[must_use]
    pub fn bindings(&self, query: &BindingQuery) -> Vec<Binding> {
        let wants = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        let mut found: Vec<(&Entry, &Hold)> = match &query.owner {
            // The owner's devices are known; looking at every device is for queries by request or requester.
            Some(owner) => self
                .owners
                .get(owner)
                .into_iter()
                .flatten()
                .filter_map(|address| self.entries.get(address))
                .filter_map(|entry| Some((entry, entry.hold.as_ref()?)))
                .collect(),
            None => self.entries.values().filter_map(|entry| Some((entry, entry.hold.as_ref()?))).collect(),
        };
        found.retain(|(_, hold)| {
            wants(&query.request_id, hold.request_id.as_deref())
                && wants(&query.requester_id, hold.requester_id.as_deref())
        });
        found.sort_by_key(|(_, hold)| hold.claim);
        found.into_iter().map(|(entry, hold)| self.binding(entry, hold)).collect()
    }

    fn binding(&self, entry: &Entry, hold: &Hold) -> Binding {
        let device = &entry.facts.device;
        let parent = device.physical_function().and_then(|a| self.entries.get(&a)).map(|e| &e.facts.device);
        let mut extra_info = device.extra_info.clone();
        for (key, text) in entry.facts.assignable.iter().flat_map(|assignable| assignable.tags.iter()) {
            // Both sets were within the limit; a tag that does not find room in their union is left out.
            let _ = extra_info.insert(key, text.map(str::to_owned));
        }
        let text = |key: &str| extra_info.text(key).map(str::to_owned);
        let pf_mac_address = match device.physical_function() {
            Some(_) => parent
                .and_then(|pf| pf.extra_info.text("mac_address").map(str::to_owned))
                .or_else(|| text("pf_mac_address")),
            None => text("mac_address"),
        };
        Binding {
            owner: hold.owner.clone(),
            request_id: hold.request_id.clone(),
            requester_id: hold.requester_id.clone(),
            status: self.status(entry),
            pci_slot: device.address,
            pci_vendor_info: format!("{}:{}", device.vendor_id, device.product_id),
            physical_network: text("physical_network"),
            vf_num: extra_info.text("vf_index").and_then(|index| index.parse().ok()),
            pf_mac_address,
            card_serial_number: device.card_serial_number().or_else(|| parent?.card_serial_number()),
            switch_port: text("switch_port"),
            extra_info,
        }
    }

    /// What must be written to the caller's database now, ordered by address; empty when nothing changed.
    ///
    /// The same changes come again until [`Tracker::written`] notes that they were written.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> =
            self.dirty.iter().filter_map(|&address| self.change(address)).collect();
        let deleted = |&address| Change { address, action: Action::Delete, fields: BTreeMap::new() };
        changes.extend(self.deleted.keys().map(deleted));
        changes.sort_by_key(|change| change.address);
        changes
    }

    fn change(&self, address: PciAddress) -> Option<Change> {
        let entry = self.entries.get(&address)?;
        let (action, fields) = match (self.row(entry), &entry.saved) {
            (None, None) => return None,
            (None, Some(_)) => (Action::Delete, BTreeMap::new()),
            (Some(row), None) => (Action::Insert, differences(&Row::new(), &row)),
            (Some(row), Some(saved)) => (Action::Update, differences(saved, &row)),
        };
        (action != Action::Update || !fields.is_empty()).then_some(Change { address, action, fields })
    }

    /// Notes that these changes have been written.
    ///
    /// Changes that came up since are not lost: each field is compared with what was really written. A row that was
    /// inserted for a device that is gone by now is deleted with the next changes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownDevice`] for a change that this tracker cannot have given; nothing is noted then.
    pub fn written(&mut self, changes: &[Change]) -> Result<()> {
        for (i, change) in changes.iter().enumerate() {
            // A device may be gone before its row is noted, and a row before it is noted once more that it is.
            let is_known = change.action != Action::Update
                || self.entries.contains_key(&change.address)
                || self.deleted.contains_key(&change.address);
            if !is_known {
                return Err(unknown_device(change.address).inside(format!("changes[{i}]")));
            }
        }
        for change in changes {
            let address = change.address;
            let entry = self.entries.get_mut(&address);
            let update = |saved: &mut Row| {
                for (field, value) in &change.fields {
                    match &value.new {
                        Some(text) => saved.insert(field.clone(), text.clone()),
                        None => saved.remove(field),
                    };
                }
            };
            match (entry, change.action) {
                (Some(entry), Action::Delete) => entry.saved = None,
                (Some(entry), _) => update(entry.saved.get_or_insert_default()),
                (None, Action::Delete) => {
                    self.deleted.remove(&address);
                }
                (None, _) => update(self.deleted.entry(address).or_default()),
            }
            if self.change(address).is_none() {
                self.dirty.remove(&address);
            } else {
                self.dirty.insert(address);
            }
        }
        Ok(())
    }

    /// A number that grows with every call that changed devices, claims or rules.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    // What follows keeps entries, children, owners, pools and dirty in step.

    fn held(&self, address: PciAddress) -> Option<&Hold> {
        self.entries.get(&address)?.hold.as_ref()
    }

    /// Whether a relative that excludes a device is held, and what that makes of the device.
    ///
    /// A held VF keeps its parent from being handed out even if that is no PF any more. A parent that never was one
    /// keeps no VF; such a tree is accepted with `allow_missing_parents` only.
    fn excluded(&self, device: &Device) -> Option<DeviceStatus> {
        match device.physical_function() {
            Some(parent) => {
                let parent = self.entries.get(&parent)?;
                let is_pf = parent.known_as().any(|facts| facts.device.dev_type == DeviceType::Pf);
                parent.hold.as_ref().filter(|_| is_pf).map(Hold::blocks)
            }
            None => {
                let children = self.children.get(&device.address)?;
                children.iter().filter_map(|&child| self.held(child)).map(Hold::blocks).max()
            }
        }
    }

    /// The PF of a VF when both are held, which must not be. What only became a PF or a VF while it was held does not
    /// count: that cannot be helped.
    fn held_beside(&self, entry: &Entry) -> Option<PciAddress> {
        entry.hold.as_ref()?;
        let pf = entry.facts.device.physical_function()?;
        let facts = &self.entries.get(&pf).filter(|pf| pf.hold.is_some())?.facts;
        (facts.device.dev_type == DeviceType::Pf).then_some(pf)
    }

    /// What keeps a device that is not held itself from being handed out: a relative, or another device of its group.
    fn blocker(&self, facts: &Facts) -> Option<DeviceStatus> {
        let own = self.excluded(&facts.device);
        let Some(members) = facts.group().and_then(|group| self.groups.get(group)) else { return own };
        let others = members.iter().filter(|&&member| member != facts.device.address);
        let blocks = |member: &PciAddress| {
            let entry = self.entries.get(member)?;
            entry.hold.as_ref().map(Hold::blocks).max(self.excluded(&entry.facts.device))
        };
        others.filter_map(blocks).max().max(own)
    }

    fn status(&self, entry: &Entry) -> DeviceStatus {
        match &entry.hold {
            Some(hold) if hold.allocated => DeviceStatus::Allocated,
            Some(_) => DeviceStatus::Claimed,
            None => self.blocker(&entry.facts).unwrap_or_default(),
        }
    }

    fn tracked(&self, entry: &Entry) -> Option<TrackedDevice> {
        if entry.hold.is_none() && entry.facts.assignable.is_none() {
            return None;
        }
        let hold = entry.hold.as_ref();
        Some(TrackedDevice {
            status: self.status(entry),
            owner: hold.map(|hold| hold.owner.clone()),
            request_id: hold.and_then(|hold| hold.request_id.clone()),
            requester_id: hold.and_then(|hold| hold.requester_id.clone()),
            tags: entry.facts.assignable.as_ref().map(|a| a.tags.clone()).unwrap_or_default(),
            device: entry.facts.device.clone(),
        })
    }

    fn row(&self, entry: &Entry) -> Option<Row> {
        let tags = entry.facts.assignable.as_ref().map(|assignable| &assignable.tags);
        (entry.hold.is_some() || tags.is_some())
            .then(|| row_of(&entry.facts.device, tags, self.status(entry), entry.hold.as_ref()))
    }

    /// The devices that this one may block or set free, ordered by address: a PF's VFs or a VF's PF, and the other
    /// devices of its group and of theirs.
    fn around(&self, address: PciAddress) -> BTreeSet<PciAddress> {
        let facts = |address| self.entries.get(address).into_iter().flat_map(Entry::known_as);
        let mut around = BTreeSet::new();
        for facts in facts(&address) {
            match facts.device.physical_function() {
                Some(parent) => around.extend([parent]),
                None => around.extend(self.children.get(&address).into_iter().flatten()),
            }
        }
        if !self.groups.is_empty() {
            let groups = around.iter().chain([&address]).flat_map(facts).filter_map(Facts::group);
            let members: Vec<PciAddress> =
                groups.filter_map(|group| self.groups.get(group)).flatten().copied().collect();
            around.extend(members);
        }
        around.remove(&address);
        around
    }

    /// Puts devices where they belong after one that may block them has changed.
    fn settle(&mut self, around: BTreeSet<PciAddress>) {
        for address in around {
            self.dirty.insert(address);
            self.refresh(address);
        }
    }

    fn link(&mut self, address: PciAddress) {
        for facts in self.entries.get(&address).into_iter().flat_map(Entry::known_as) {
            if let Some(parent) = facts.device.physical_function() {
                self.children.entry(parent).or_default().insert(address);
            }
            if let Some(group) = facts.group() {
                self.groups.entry(group.to_owned()).or_default().insert(address);
            }
        }
    }

    fn unlink(&mut self, address: PciAddress) {
        for facts in self.entries.get(&address).into_iter().flat_map(Entry::known_as) {
            if let Some(parent) = facts.device.physical_function() {
                remove_from(&mut self.children, &parent, address);
            }
            if let Some(group) = facts.group() {
                remove_from(&mut self.groups, group, address);
            }
        }
    }

    /// Changes what a known device is, and settles what it had and has to do with; itself it stays where it is.
    fn alter(&mut self, address: PciAddress, change: impl FnOnce(&mut Entry)) {
        let mut around = self.around(address);
        self.unlink(address);
        if let Some(entry) = self.entries.get_mut(&address) {
            change(entry);
        }
        self.link(address);
        around.append(&mut self.around(address));
        self.dirty.insert(address);
        self.settle(around);
    }

    /// Puts a device into the pool where it belongs now, or takes it out.
    fn refresh(&mut self, address: PciAddress) {
        let Some(entry) = self.entries.get(&address) else { return };
        let free = entry.hold.is_none() && self.blocker(&entry.facts).is_none();
        let belongs =
            entry.facts.assignable.as_ref().filter(|_| free).map(|assignable| assignable.key.clone());
        if belongs == entry.pooled {
            return;
        }
        if let Some(key) = &entry.pooled {
            self.pools.remove(key, address);
        }
        if let Some(key) = &belongs {
            self.pools.add(key, address);
        }
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.pooled = belongs;
        }
    }

    /// Holds a free device, and takes out of the pools what it excludes.
    fn hold(&mut self, address: PciAddress, hold: Hold) {
        self.owners.entry(hold.owner.clone()).or_default().insert(address);
        let Some(entry) = self.entries.get_mut(&address) else { return };
        entry.hold = Some(hold);
        if let Some(key) = entry.pooled.take() {
            self.pools.hand_out(&key, address);
        }
        self.dirty.insert(address);
        self.settle(self.around(address));
    }

    /// Frees held devices in this order and returns them ordered by address.
    fn free_all(&mut self, mut freed: Vec<PciAddress>) -> Vec<PciAddress> {
        for &address in &freed {
            let Some(entry) = self.entries.get_mut(&address) else { continue };
            let Some(hold) = entry.hold.take() else { continue };
            remove_from(&mut self.owners, hold.owner.as_str(), address);
            let mut gone = false;
            // The relatives come back before the device itself does, as in Nova.
            self.alter(address, |entry| match std::mem::replace(&mut entry.next, Next::Same) {
                Next::Same => {}
                Next::Change(facts) => entry.facts = *facts,
                Next::Gone => gone = true,
            });
            if gone {
                self.drop_entry(address);
            } else {
                self.refresh(address);
            }
        }
        self.version += u64::from(!freed.is_empty());
        self.check();
        freed.sort_unstable();
        freed
    }

    /// Gives a device that is not held other facts.
    fn set_facts(&mut self, address: PciAddress, facts: Facts) {
        self.alter(address, |entry| entry.facts = facts);
        self.refresh(address);
    }

    /// Forgets a device that is not held; its row is deleted with the next changes.
    fn drop_entry(&mut self, address: PciAddress) {
        let around = self.around(address);
        self.unlink(address);
        let Some(entry) = self.entries.remove(&address) else { return };
        if let Some(key) = &entry.pooled {
            self.pools.remove(key, address);
        }
        self.dirty.remove(&address);
        if let Some(saved) = entry.saved {
            self.deleted.insert(address, saved);
        }
        self.settle(around);
    }

    /// Takes a device that was not known.
    fn add_entry(&mut self, facts: Facts) {
        let address = facts.device.address;
        // A row that waits to be deleted is taken up again.
        let saved = self.deleted.remove(&address);
        self.entries.insert(address, Entry { saved, ..Entry::free(facts) });
        self.link(address);
        self.dirty.insert(address);
        self.refresh(address);
        // A PF that comes back while one of its VFs is held is blocked from the start, and the other way round.
        self.settle(self.around(address));
    }

    fn facts(&self, device: Device, specs: &DeviceSpecs) -> Result<Facts> {
        let assignable = match specs.matching(&device) {
            None => None,
            Some((_, tags)) => {
                let place = |e: Error| e.inside(format!("device {}", device.address));
                let mut tags = tags.clone();
                if let Some(group) = self.group_of.get(&device.address) {
                    tags.insert(DEVICE_GROUP, Some(group.clone())).map_err(place)?;
                }
                let key = PoolKey::new(&device, &tags, &self.options.pool_keys).map_err(place)?;
                Some(Assignable { tags, key })
            }
        };
        Ok(Facts { device, assignable })
    }

    /// Checks the invariants in debug builds: one owner per device, PF and VFs exclude each other, pools and index agree.
    fn check(&self) {
        if cfg!(debug_assertions)
            && let Err(broken) = self.invariants()
        {
            unreachable!("the tracker contradicts itself: {broken}");
        }
    }

    fn invariants(&self) -> std::result::Result<(), String> {
        let mut pooled = 0;
        for (address, entry) in &self.entries {
            let blocked = self.blocker(&entry.facts).is_some();
            if let Some(pf) = self.held_beside(entry) {
                return Err(format!("{address} is held beside its PF {pf}"));
            }
            let belongs = entry.facts.assignable.as_ref().filter(|_| entry.hold.is_none() && !blocked);
            if entry.pooled.as_ref() != belongs.map(|assignable| &assignable.key) {
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

impl Attributes for Tracker {
    fn value(&self, device: PciAddress, key: &str) -> Option<String> {
        let facts = &self.entries.get(&device)?.facts;
        let tag = facts.assignable.as_ref().and_then(|assignable| assignable.tags.text(key));
        tag.map(str::to_owned).or_else(|| facts.device.attribute(key).flatten())
    }

    fn knows(&self, key: &str) -> bool {
        self.entries.keys().any(|&device| self.value(device, key).is_some())
    }
}

/// The row of a device in the caller's database.
fn row_of(device: &Device, tags: Option<&ExtraInfo>, status: DeviceStatus, hold: Option<&Hold>) -> Row {
    let mut row = Row::new();
    let mut put = |field: String, text: Option<String>| {
        if let Some(text) = text {
            row.insert(field, text);
        }
    };
    for field in ["vendor_id", "product_id", "dev_type", "numa_node", "parent_addr", "class"] {
        put(field.to_owned(), device.attribute(field).flatten());
    }
    put("status".to_owned(), Some(status_text(status).to_owned()));
    if let Some(hold) = hold {
        put("owner".to_owned(), Some(hold.owner.clone()));
        put("request_id".to_owned(), hold.request_id.clone());
        put("requester_id".to_owned(), hold.requester_id.clone());
    }
    for (key, text) in device.extra_info.iter() {
        put(format!("extra_info.{key}"), text.map(str::to_owned));
    }
    for (key, text) in tags.iter().flat_map(|tags| tags.iter()) {
        put(format!("tags.{key}"), text.map(str::to_owned));
    }
    row
}

fn status_text(status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Available => "available",
        DeviceStatus::Claimed => "claimed",
        DeviceStatus::Allocated => "allocated",
        DeviceStatus::Unclaimable => "unclaimable",
        DeviceStatus::Unavailable => "unavailable",
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

fn differences(old: &Row, new: &Row) -> BTreeMap<String, FieldChange> {
    let changed = |field: &&String| old.get(*field) != new.get(*field);
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).filter(changed).collect();
    let change = |field: &String| FieldChange { old: old.get(field).cloned(), new: new.get(field).cloned() };
    fields.into_iter().map(|field| (field.clone(), change(field))).collect()
}

fn check_owner(owner: &str) -> Result<()> {
    if owner.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "a claim needs an owner")
            .with_help("give the id of the workload")
            .inside("owner"));
    }
    limits::check("owner length", owner.len(), limits::MAX_TEXT_BYTES).map_err(|e| e.inside("owner"))
}

fn unknown_device(address: PciAddress) -> Error {
    Error::new(ErrorKind::UnknownDevice, format!("the host reports no device {address}"))
        .with_help("sync the host's devices first")
        .inside("address")
}

fn unknown_owner(owner: &str) -> Error {
    Error::new(ErrorKind::UnknownOwner, format!("{:?} holds no device", crate::address::clip(owner)))
        .inside("owner")
}
