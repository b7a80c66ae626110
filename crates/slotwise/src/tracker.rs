//! The tracker: one host's truth about its devices, claims and pools.
//!
//! What a device's dependants may do is never stored: a PF is blocked while one of its VFs is held, and a VF while its
//! PF is, so that the two can never contradict each other. Every call first finds out what it would do, which may fail,
//! and then does it, which may not.

mod changes;
mod claims;
mod entries;
mod plan;
mod prefer;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::changes::{Row, row_of};
use self::entries::{Assignable, Entry, Facts, Hold, Statuses};
use crate::address::PciAddress;
use crate::device::{Device, DeviceStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::fit::Fit;
use crate::limits;
use crate::nova::Purpose;
use crate::numa::NumaTopology;
use crate::pool::{Group, Pools};
use crate::pool_set::{PoolKey, PoolSet};
use crate::request::Workload;
use crate::solve::bins::{Attributes, DEVICE_GROUP};
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
    /// A row that no rule matches is deleted with the first [`Tracker::sync`], or before it by a call that has to do with
    /// its device.
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
        tracker.settle(index.into_keys());
        tracker.dirty = tracker
            .entries
            .values()
            .filter(|entry| entry.is_tracked())
            .map(|entry| entry.facts.device.address)
            .collect();
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
        .and_then(|hold| match &hold {
            Some(Hold { owner, .. }) if owner.is_empty() => Err("is held for an owner without a name"),
            _ => Ok(hold),
        })
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
        let statuses = Statuses::new(self);
        let mut groups: BTreeMap<Vec<Option<String>>, Group> = BTreeMap::new();
        for (&address, entry) in &self.entries {
            let Some(assignable) = &entry.facts.assignable else { continue };
            let values: Vec<Option<String>> = keys
                .iter()
                .map(|key| match (key.as_str(), assignable.tags.get(key)) {
                    ("status", _) => Some(statuses.of(entry)).map(|status| status.as_str().to_owned()),
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
        let statuses = Statuses::new(self);
        self.entries.values().filter_map(|entry| statuses.tracked(entry)).collect()
    }

    /// The device of that address, if it is assignable or held.
    #[must_use]
    pub fn device(&self, address: PciAddress) -> Option<TrackedDevice> {
        Statuses::new(self).tracked(self.entries.get(&address)?)
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
            status: Statuses::new(self).of(entry),
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

    /// A number that grows with every call that changed devices, claims or rules.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
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

fn unknown_device(address: PciAddress) -> Error {
    Error::new(ErrorKind::UnknownDevice, format!("the host reports no device {address}"))
        .with_help("sync the host's devices first")
        .inside("address")
}
