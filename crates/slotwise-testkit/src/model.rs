//! Random operations on a tracker beside a naive model of what must be true afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use slotwise::{
    Action, Device, DeviceSpecs, DeviceStatus, DeviceType, ExtraInfo, Fit, FreeScope, PciAddress,
    TrackedDevice, Tracker, TrackerOptions, Workload,
};

use crate::generate::{self, Host, Rng, Size, set};
use crate::oracle::{Question, excludes};

/// What a run did, so that a test can see that it was not idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Claims that were granted.
    pub claimed: u32,
    /// Claims that did not fit.
    pub refused: u32,
    /// Devices that were freed.
    pub freed: u32,
    /// Syncs and changes of rules that had to wait for a held device.
    pub deferred: u32,
    /// Rows written to the database of the model.
    pub written: u32,
    /// Calls with bad input, which must change nothing.
    pub failed: u32,
}

/// A held device, with the facts it had when it was claimed: they stay until it is freed.
#[derive(Clone, Debug)]
struct Held {
    owner: String,
    request_id: Option<String>,
    allocated: bool,
    device: Device,
    tags: ExtraInfo,
}

/// The model: the machine, who holds what, and the caller's database.
struct Model {
    /// All functions that the machine may have, as they are now, and their tags.
    machine: Host,
    /// The kind and the parent that each of them had first; it may lose them and get them back.
    kinds: BTreeMap<PciAddress, (DeviceType, Option<PciAddress>)>,
    /// Those that it has.
    present: BTreeSet<PciAddress>,
    /// Cards that no rule covers.
    hidden: BTreeSet<PciAddress>,
    held: BTreeMap<PciAddress, Held>,
    database: BTreeMap<PciAddress, BTreeMap<String, String>>,
    counts: Counts,
}

const OWNERS: [&str; 4] = ["a", "b", "c", "d"];

/// Runs `steps` random operations.
///
/// # Panics
///
/// When the tracker and the model disagree.
pub fn run(rng: &mut Rng, steps: usize) -> Counts {
    let size = Size { devices: 10, requests: 3, count: 2 };
    let machine = generate::host(rng, size);
    let options = TrackerOptions { numa_topology: machine.topology.clone(), ..TrackerOptions::default() };
    let mut model = Model {
        present: machine.devices.iter().map(|device| device.address).collect(),
        kinds: machine.devices.iter().map(|d| (d.address, (d.dev_type, d.parent_addr))).collect(),
        machine,
        hidden: BTreeSet::new(),
        held: BTreeMap::new(),
        database: BTreeMap::new(),
        counts: Counts::default(),
    };
    let mut tracker = Tracker::new(model.specs(), options).expect("few pool keys");
    tracker.sync(model.reported()).expect("a generated host");
    model.check(&tracker);
    for _ in 0..steps {
        match rng.below(100) {
            0..30 => model.claim(rng, &mut tracker, size),
            30..45 => model.free(rng, &mut tracker),
            45..55 => model.allocate(rng, &mut tracker),
            55..60 => model.free_device(rng, &mut tracker),
            60..64 => model.retain(rng, &mut tracker),
            64..78 => model.sync(rng, &mut tracker),
            78..84 => model.replace_specs(rng, &mut tracker),
            84..92 => model.write(&mut tracker),
            92..97 => model.restore(rng, &mut tracker),
            _ => model.bad_input(&mut tracker),
        }
        model.check(&tracker);
    }
    model.counts
}

impl Model {
    /// A device as it was first.
    fn original(&self, device: &Device) -> Device {
        let (dev_type, parent_addr) = self.kinds[&device.address];
        Device { dev_type, parent_addr, ..device.clone() }
    }

    fn is_hidden(&self, device: &Device) -> bool {
        self.hidden.contains(&self.original(device).card_address())
    }

    fn specs(&self) -> DeviceSpecs {
        let visible = self.machine.devices.iter().filter(|device| !self.is_hidden(device));
        let devices = visible.map(|device| self.original(device)).collect();
        DeviceSpecs::parse(&Host { devices, ..self.machine.clone() }.specs(), false).expect("generated rules")
    }

    fn reported(&self) -> Vec<Device> {
        self.machine.devices.iter().filter(|device| self.present.contains(&device.address)).cloned().collect()
    }

    /// What the host has and the rules cover.
    fn assignable(&self) -> Host {
        let devices = self.reported().into_iter().filter(|device| !self.is_hidden(device)).collect();
        Host { devices, ..self.machine.clone() }
    }

    /// What is held, as it was when it was claimed and as the host reports it now: it excludes as either.
    fn holding(&self) -> Vec<(Device, bool)> {
        let now = self.reported();
        let both = |(address, held): (&PciAddress, &Held)| {
            let now = now.iter().find(|device| device.address == *address).cloned();
            [Some(held.device.clone()), now]
                .into_iter()
                .flatten()
                .map(|device| (device, held.allocated))
                .collect()
        };
        self.held.iter().flat_map::<Vec<_>, _>(both).collect()
    }

    fn claim(&mut self, rng: &mut Rng, tracker: &mut Tracker, size: Size) {
        let host = self.assignable();
        if host.devices.is_empty() {
            return;
        }
        let workload: Workload = generate::workload(rng, size, &host);
        let owner = *rng.pick(&OWNERS);
        let before = tracker.snapshot();
        let fit = tracker.fit(&workload).expect("a valid workload");
        assert_eq!(before, tracker.snapshot(), "a fit changes nothing");
        let claim = tracker.claim(owner, &workload).expect("a valid workload");
        assert_eq!(fit, claim, "a claim takes what a fit names");

        let held: Vec<Device> = self.holding().into_iter().map(|(device, _)| device).collect();
        let question = Question::new(&host, &held, &workload);
        let all: Vec<usize> = (0..workload.requests.len()).collect();
        let feasible = question.feasible(&all);
        match claim {
            Fit::Fits(assignment) => {
                assert!(feasible, "{assignment:?} for {workload:?}");
                assert_eq!(question.fault(&assignment), None, "{workload:?}");
                self.counts.claimed += 1;
                for (request, taken) in workload.requests.iter().zip(&assignment.requests) {
                    for address in &taken.devices {
                        let device = host.devices.iter().find(|device| device.address == *address);
                        let held = Held {
                            owner: owner.to_owned(),
                            request_id: request.request_id.clone(),
                            allocated: false,
                            device: device.expect("an assigned device is on the host").clone(),
                            tags: host.tags[address].clone(),
                        };
                        assert!(self.held.insert(*address, held).is_none(), "{address} is given twice");
                    }
                }
            }
            Fit::NoFit(no) => {
                assert!(!feasible, "refused: {workload:?} on {host:?} with {held:?}");
                assert_eq!(question.conflict_fault(&no.conflict), None, "{workload:?}");
                assert_eq!(before, tracker.snapshot(), "a no changes nothing");
                self.counts.refused += 1;
            }
            Fit::Undecided(_) => panic!("a small instance must be decided: {workload:?}"),
        }
    }

    /// Frees what `goes` selects, and compares with what the tracker says it freed.
    fn release(&mut self, freed: &[PciAddress], goes: impl Fn(&Held) -> bool) {
        let expected: Vec<PciAddress> =
            self.held.iter().filter(|(_, held)| goes(held)).map(|(address, _)| *address).collect();
        assert_eq!(freed, expected);
        self.held.retain(|_, held| !goes(held));
        self.counts.freed += u32::try_from(freed.len()).unwrap_or(u32::MAX);
    }

    fn free(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let owner = *rng.pick(&OWNERS);
        let scope = *rng.pick(&[FreeScope::All, FreeScope::All, FreeScope::Claims, FreeScope::Allocations]);
        let freed = tracker.free(owner, scope);
        self.release(&freed, |held| {
            held.owner == owner
                && match scope {
                    FreeScope::All => true,
                    FreeScope::Claims => !held.allocated,
                    FreeScope::Allocations => held.allocated,
                }
        });
    }

    fn allocate(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let owner = *rng.pick(&OWNERS);
        let claimed: Vec<PciAddress> =
            self.held.iter().filter(|(_, h)| h.owner == owner && !h.allocated).map(|(a, _)| *a).collect();
        let known = self.held.values().any(|held| held.owner == owner);
        match self.unchanged_by_errors(tracker, |tracker| tracker.allocate(owner)) {
            Some(allocated) => assert_eq!(allocated, claimed),
            None => assert!(!known, "{owner} holds devices"),
        }
        for held in self.held.values_mut().filter(|held| held.owner == owner) {
            held.allocated = true;
        }
    }

    fn free_device(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let address = rng.pick(&self.machine.devices).address;
        let owner = *rng.pick(&OWNERS);
        let owned = self.held.get(&address).is_some_and(|held| held.owner == owner);
        let freed =
            self.unchanged_by_errors(tracker, |tracker| tracker.free_device(owner, address)).is_some();
        assert_eq!(freed, owned, "{address} for {owner}");
        if freed {
            self.held.remove(&address);
            self.counts.freed += 1;
        }
    }

    fn retain(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let keep: Vec<&str> = OWNERS.into_iter().filter(|_| rng.chance(60)).collect();
        let freed = tracker.retain_owners(&keep);
        self.release(&freed, |held| !keep.contains(&held.owner.as_str()));
    }

    /// Changes the machine a little, or not at all, and syncs.
    fn sync(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let before = (tracker.snapshot(), self.reported());
        match rng.below(5) {
            0 => {}
            1 => self.change_kind(rng),
            2 => {
                // A VF needs its PF, so that a whole card comes or goes, or a single VF of a card that is there.
                let device = rng.pick(&self.machine.devices);
                let card = device.card_address();
                let there = self.present.contains(&card);
                let is_pf = |d: &Device| d.address == card && d.dev_type == DeviceType::Pf;
                let has_vfs = self.machine.devices.iter().any(is_pf);
                let family: Vec<PciAddress> = self
                    .machine
                    .devices
                    .iter()
                    .filter(|d| d.address == card || (has_vfs && d.card_address() == card))
                    .map(|d| d.address)
                    .collect();
                if device.dev_type.has_parent() && !has_vfs {
                    // A VF of a function that has no VFs now.
                } else if device.dev_type.has_parent() && there {
                    if !self.present.remove(&device.address) {
                        self.present.insert(device.address);
                    }
                } else if there {
                    self.present.retain(|address| !family.contains(address));
                } else {
                    self.present.extend(family);
                }
            }
            _ => {
                let index = rng.below(self.machine.devices.len());
                let device = &mut self.machine.devices[index];
                match rng.below(3) {
                    0 => device.numa_node = *rng.pick(&[None, Some(0), Some(1)]),
                    1 => set(&mut device.extra_info, "firmware", Some(*rng.pick(&["1", "2"]))),
                    _ => set(&mut device.extra_info, "parent_ifname", Some(*rng.pick(&["ens1", "ens2"]))),
                }
            }
        }
        let report = tracker.sync(self.reported()).expect("a consistent host");
        self.counts.deferred += u32::try_from(report.deferred.len()).unwrap_or(u32::MAX);
        if before == (tracker.snapshot(), self.reported()) {
            assert!(
                report.added.is_empty() && report.updated.is_empty() && report.removed.is_empty(),
                "{report:?}"
            );
        }
        // Storing the same value changes nothing.
        let (changes, snapshot) = (tracker.changes(), tracker.snapshot());
        let again = tracker.sync(self.reported()).expect("a consistent host");
        assert!(again.added.is_empty() && again.updated.is_empty() && again.removed.is_empty(), "{again:?}");
        assert_eq!((changes, snapshot), (tracker.changes(), tracker.snapshot()));
    }

    /// A PF loses its VFs and is a plain function, or gets them back; a VF is replaced by a plain function, or back.
    fn change_kind(&mut self, rng: &mut Rng) {
        let index = rng.below(self.machine.devices.len());
        let device = self.machine.devices[index].clone();
        let original = self.original(&device);
        let is_pf = |address| {
            let pf = self.machine.devices.iter().find(|d| Some(d.address) == address);
            pf.is_some_and(|pf| pf.dev_type == DeviceType::Pf && self.present.contains(&pf.address))
        };
        let changed = match (device.dev_type, original.dev_type) {
            (DeviceType::Pci, DeviceType::Pf) => original,
            (DeviceType::Pci, kind) if kind.has_parent() && is_pf(original.parent_addr) => original,
            (DeviceType::Pci, _) => return,
            _ => Device { dev_type: DeviceType::Pci, parent_addr: None, ..device },
        };
        if changed.dev_type == DeviceType::Pci {
            let vfs = self.machine.devices.iter().filter(|d| d.physical_function() == Some(changed.address));
            for vf in vfs {
                self.present.remove(&vf.address);
            }
        }
        self.machine.devices[index] = changed;
    }

    fn replace_specs(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let address = rng.pick(&self.machine.devices).address;
        let card = rng.pick(&self.machine.devices).card_address();
        if rng.chance(50) {
            if !self.hidden.remove(&card) {
                self.hidden.insert(card);
            }
        } else {
            let tags = self.machine.tags.get_mut(&address).expect("every device has tags");
            set(tags, "physical_network", *rng.pick(&[None, Some("a"), Some("B")]));
        }
        let before = tracker.snapshot();
        let planned = tracker.replace_specs(self.specs(), true).expect("generated rules");
        assert_eq!(before, tracker.snapshot(), "a dry run changes nothing");
        let done = tracker.replace_specs(self.specs(), false).expect("generated rules");
        assert_eq!(planned, done);
        self.counts.deferred += u32::try_from(done.held.len()).unwrap_or(u32::MAX);
    }

    /// Writes the changes to the database, which must then hold what the tracker says.
    fn write(&mut self, tracker: &mut Tracker) {
        let changes = tracker.changes();
        for change in &changes {
            let row = match change.action {
                Action::Delete => {
                    let old = self.database.remove(&change.address);
                    assert!(old.is_some() && change.fields.is_empty(), "{change:?}");
                    continue;
                }
                Action::Insert => {
                    assert!(!self.database.contains_key(&change.address), "{change:?}");
                    self.database.entry(change.address).or_default()
                }
                Action::Update => self.database.get_mut(&change.address).expect("a row to update"),
            };
            assert!(!change.fields.is_empty(), "{change:?}");
            for (field, value) in &change.fields {
                assert_eq!(row.get(field), value.old.as_ref(), "{field} in {change:?}");
                assert_ne!(value.old, value.new, "{field} in {change:?}");
                match &value.new {
                    Some(text) => row.insert(field.clone(), text.clone()),
                    None => row.remove(field),
                };
            }
        }
        tracker.written(&changes).expect("its own changes");
        self.counts.written += u32::try_from(changes.len()).unwrap_or(u32::MAX);
        assert_eq!(tracker.changes(), []);
        let expected: BTreeMap<_, _> =
            tracker.devices().iter().map(|tracked| (tracked.device.address, row(tracked))).collect();
        assert_eq!(self.database, expected);
    }

    fn restore(&mut self, rng: &mut Rng, tracker: &mut Tracker) {
        let bytes = tracker.snapshot();
        let restored = if rng.chance(50) {
            Tracker::from_snapshot(&bytes)
        } else {
            Tracker::from_snapshot_json(&tracker.snapshot_json())
        };
        *tracker = restored.expect("its own snapshot");
        assert_eq!(bytes, tracker.snapshot());
    }

    fn bad_input(&mut self, tracker: &mut Tracker) {
        let device = self.machine.devices[0].clone();
        let orphan = Device {
            dev_type: DeviceType::Vf,
            parent_addr: "ffff:ff:1f.7".parse().ok(),
            address: "ffff:ff:1e.0".parse().expect("an address"),
            ..device.clone()
        };
        let empty = Workload::default();
        assert!(self.unchanged_by_errors(tracker, |t| t.sync(vec![device.clone(), device])).is_none());
        assert!(self.unchanged_by_errors(tracker, |t| t.sync(vec![orphan])).is_none());
        assert!(self.unchanged_by_errors(tracker, |t| t.claim("", &empty)).is_none());
        assert!(self.unchanged_by_errors(tracker, |t| t.allocate("nobody")).is_none());
        let mut bytes = tracker.snapshot();
        bytes.truncate(bytes.len() / 2);
        assert!(Tracker::from_snapshot(&bytes).is_err());
    }

    /// Makes a call that may fail; when it does, the tracker must be what it was, byte for byte.
    fn unchanged_by_errors<T>(
        &mut self,
        tracker: &mut Tracker,
        call: impl FnOnce(&mut Tracker) -> slotwise::Result<T>,
    ) -> Option<T> {
        let before = tracker.snapshot();
        match call(tracker) {
            Ok(result) => Some(result),
            Err(_) => {
                assert_eq!(before, tracker.snapshot(), "an error changes nothing");
                self.counts.failed += 1;
                None
            }
        }
    }

    /// Compares all that the tracker tells with the model.
    fn check(&self, tracker: &Tracker) {
        let held: Vec<&Held> = self.held.values().collect();
        for (i, one) in held.iter().enumerate() {
            for other in &held[i + 1..] {
                assert!(!excludes(&one.device, &other.device), "{one:?} and {other:?}");
            }
        }
        let mut expected: BTreeMap<PciAddress, TrackedDevice> = BTreeMap::new();
        let assignable = self.assignable();
        let holding = self.holding();
        for device in assignable.devices {
            let blocking = holding.iter().filter(|(holding, _)| excludes(holding, &device));
            let blocked = blocking.map(|(_, allocated)| *allocated).max();
            let status = match blocked {
                None => DeviceStatus::Available,
                Some(false) => DeviceStatus::Unclaimable,
                Some(true) => DeviceStatus::Unavailable,
            };
            let tags = self.machine.tags[&device.address].clone();
            let tracked =
                TrackedDevice { status, owner: None, request_id: None, requester_id: None, tags, device };
            expected.insert(tracked.device.address, tracked);
        }
        for held in held {
            let status = if held.allocated { DeviceStatus::Allocated } else { DeviceStatus::Claimed };
            let tracked = TrackedDevice {
                status,
                owner: Some(held.owner.clone()),
                request_id: held.request_id.clone(),
                // The generator names the requester after the request: r000 is asked for by port-0.
                requester_id: held.request_id.as_deref().map(|id| format!("port-{}", &id[3..])),
                tags: held.tags.clone(),
                device: held.device.clone(),
            };
            expected.insert(held.device.address, tracked);
        }
        let expected: Vec<TrackedDevice> = expected.into_values().collect();
        assert_eq!(tracker.devices(), expected);

        let mut pooled: Vec<PciAddress> = Vec::new();
        for pool in tracker.pools().as_slice() {
            assert_eq!(pool.count as usize, pool.devices.len());
            pooled.extend(&pool.devices);
        }
        pooled.sort_unstable();
        let free = expected.iter().filter(|tracked| tracked.status == DeviceStatus::Available);
        assert_eq!(pooled, free.map(|tracked| tracked.device.address).collect::<Vec<_>>());
    }
}

/// The row of a device, worked out from its JSON form.
fn row(tracked: &TrackedDevice) -> BTreeMap<String, String> {
    let document = serde_json::to_value(tracked).expect("plain data");
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let mut row = BTreeMap::new();
    for (key, value) in document.as_object().expect("an object") {
        match value {
            _ if key == "address" => {}
            Value::Object(inner) => {
                row.extend(
                    inner.iter().filter_map(|(name, value)| Some((format!("{key}.{name}"), text(value)?))),
                );
            }
            value => row.extend(text(value).map(|text| (key.clone(), text))),
        }
    }
    row
}
