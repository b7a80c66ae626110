//! The tracker: one host's truth about its devices, claims and pools.

use serde::{Deserialize, Serialize};

use crate::address::PciAddress;
use crate::change::Change;
use crate::device::{Device, DeviceStatus};
use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::fit::Fit;
use crate::numa::NumaTopology;
use crate::pool::{Group, Pools};
use crate::request::Workload;
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
}

/// One host's truth: devices, claims, pools, and what is not yet written to the caller's database.
#[derive(Clone, Debug)]
pub struct Tracker {}

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

impl Tracker {
    /// A tracker without devices.
    pub fn new(specs: DeviceSpecs, options: TrackerOptions) -> Result<Self> {
        let _ = (specs, options);
        unimplemented!()
    }

    /// A tracker that takes up from the rows of the caller's database, which count as written.
    pub fn load(specs: DeviceSpecs, options: TrackerOptions, rows: Vec<TrackedDevice>) -> Result<Self> {
        let _ = (specs, options, rows);
        unimplemented!()
    }

    /// Takes over what the host has now: all its functions, assignable or not.
    pub fn sync(&mut self, devices: Vec<Device>) -> Result<SyncReport> {
        let _ = devices;
        unimplemented!()
    }

    /// Replaces the rule set; with `dry_run` only says what that would change.
    pub fn replace_specs(&mut self, specs: DeviceSpecs, dry_run: bool) -> Result<SpecsDiff> {
        let _ = (specs, dry_run);
        unimplemented!()
    }

    /// The rule set.
    #[must_use]
    pub fn specs(&self) -> &DeviceSpecs {
        unimplemented!()
    }

    /// The free devices, pooled.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        unimplemented!()
    }

    /// Groups and counts the assignable devices, free or held, by any field, tag or extra info.
    #[must_use]
    pub fn group_by(&self, keys: &[String]) -> Vec<Group> {
        let _ = keys;
        unimplemented!()
    }

    /// The assignable devices, ordered by address.
    pub fn devices(&self) -> Vec<TrackedDevice> {
        unimplemented!()
    }

    /// Why the device of that address is or is not assignable; fails with `UnknownDevice`.
    pub fn explain(&self, address: PciAddress) -> Result<Explanation> {
        let _ = address;
        unimplemented!()
    }

    /// Whether and how the workload fits, without claiming anything.
    pub fn fit(&self, workload: &Workload) -> Result<Fit> {
        let _ = workload;
        unimplemented!()
    }

    /// Claims devices for `owner`: all that the workload asks for, or none.
    pub fn claim(&mut self, owner: &str, workload: &Workload) -> Result<Fit> {
        let _ = (owner, workload);
        unimplemented!()
    }

    /// Turns the owner's claims into allocations and returns the devices, ordered by address.
    pub fn allocate(&mut self, owner: &str) -> Result<Vec<PciAddress>> {
        let _ = owner;
        unimplemented!()
    }

    /// Frees the owner's devices and returns them, ordered by address; empty if it holds none.
    pub fn free(&mut self, owner: &str, scope: FreeScope) -> Result<Vec<PciAddress>> {
        let _ = (owner, scope);
        unimplemented!()
    }

    /// Frees one device of the owner.
    pub fn free_device(&mut self, owner: &str, address: PciAddress) -> Result<()> {
        let _ = (owner, address);
        unimplemented!()
    }

    /// Frees the devices of all owners that are not among `owners`, and returns them, ordered by address.
    pub fn retain_owners<S: AsRef<str>>(&mut self, owners: &[S]) -> Vec<PciAddress> {
        let _ = owners;
        unimplemented!()
    }

    /// The held devices that the query selects, in the order they were claimed.
    #[must_use]
    pub fn bindings(&self, query: &BindingQuery) -> Vec<Binding> {
        let _ = query;
        unimplemented!()
    }

    /// What must be written to the caller's database now, ordered by address.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        unimplemented!()
    }

    /// Notes that these changes have been written.
    pub fn written(&mut self, changes: &[Change]) -> Result<()> {
        let _ = changes;
        unimplemented!()
    }

    /// A number that grows with every call that changed anything.
    #[must_use]
    pub fn version(&self) -> u64 {
        unimplemented!()
    }

    /// The whole state as versioned, checksummed bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// The whole state as JSON.
    #[must_use]
    pub fn snapshot_json(&self) -> String {
        unimplemented!()
    }

    /// The state that [`Tracker::snapshot`] wrote.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self> {
        let _ = bytes;
        unimplemented!()
    }

    /// The state that [`Tracker::snapshot_json`] wrote.
    pub fn from_snapshot_json(text: &str) -> Result<Self> {
        let _ = text;
        unimplemented!()
    }
}
