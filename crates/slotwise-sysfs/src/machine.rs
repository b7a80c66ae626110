//! Everything that was read of a machine: each function by itself, and what follows from putting them together.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use slotwise::{DeviceType, PciAddress, limits};

use crate::attributes::Attributes;
use crate::children::Children;
use crate::events::Hints;
use crate::files::{Buffers, describe, is_absence, open_dir};
use crate::function::Function;
use crate::parse::{canonical_address, clip};
use crate::reader::{Bus, Others, Outcome, Record, read};
use crate::{Discovery, Warning};

/// Where the kernel lists the functions, as links into the tree of devices.
pub(crate) const BUS: &str = "bus/pci/devices";

/// The most members of an IOMMU group that are listed with each of them: the lists grow with the square.
const MAX_GROUP: usize = 256;

/// The functions of a machine, as they were read last.
///
/// What a function has of others (a VF of its PF, a member of its group) is put together in [`Machine::function`], so
/// that reading some functions again gives the same as reading all of them again.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    wanted: Attributes,
    buffers: Buffers,
    records: BTreeMap<PciAddress, Record>,
    vdpa: Children,
    auxiliary: Children,
    /// The VFs of each PF, by their own links.
    vfs: BTreeMap<PciAddress, BTreeSet<PciAddress>>,
    /// The numbers of the VFs of each PF, by the links of the PF.
    numbers: BTreeMap<PciAddress, BTreeMap<PciAddress, u32>>,
    /// The members of each IOMMU group.
    groups: BTreeMap<u32, BTreeSet<PciAddress>>,
    /// Warnings about the list of functions.
    odd: Vec<Warning>,
    /// Warnings about the files of each function.
    warnings: BTreeMap<PciAddress, Vec<Warning>>,
    /// Warnings about the links of each PF to its VFs.
    links: BTreeMap<PciAddress, Vec<Warning>>,
    /// Warnings about VFs without a PF.
    orphans: BTreeMap<PciAddress, Warning>,
}

impl Machine {
    /// The machine whose sysfs is at `root`; nothing of it is read yet.
    pub(crate) fn new(root: &Path, wanted: Attributes) -> Self {
        Machine {
            root: root.to_owned(),
            wanted,
            buffers: Buffers::new(),
            records: BTreeMap::new(),
            vdpa: Children::new("bus/vdpa/devices"),
            auxiliary: Children::new("bus/auxiliary/devices"),
            vfs: BTreeMap::new(),
            numbers: BTreeMap::new(),
            groups: BTreeMap::new(),
            odd: Vec::new(),
            warnings: BTreeMap::new(),
            links: BTreeMap::new(),
            orphans: BTreeMap::new(),
        }
    }

    /// Reads every function anew; gives the addresses of those that were there and of those that are.
    ///
    /// The error is what makes the root unreadable; nothing is read then.
    pub(crate) fn read_all(&mut self) -> Result<BTreeSet<PciAddress>, Warning> {
        let opened = self.open()?;
        let mut odd = Vec::new();
        let mut addresses = BTreeSet::new();
        if let Some((_, bus)) = &opened {
            (addresses, odd) = self.list(bus)?;
        }
        let mut affected: BTreeSet<_> = self.addresses().collect();
        *self = Machine { odd, ..Machine::new(&self.root, self.wanted) };
        if let Some((root_dir, bus)) = &opened {
            self.read_children(root_dir);
            affected.extend(self.read(bus, addresses));
        }
        Ok(affected)
    }

    /// Reads what may have changed anew, and what depends on it; gives the addresses of all that may be another now.
    pub(crate) fn read_hinted(&mut self, hints: &Hints) -> Result<BTreeSet<PciAddress>, Warning> {
        if hints.everything {
            return self.read_all();
        }
        let Some((root_dir, bus)) = self.open()? else { return self.read_all() };
        let mut addresses = hints.functions.clone();
        for name in &hints.vdpa {
            addresses.extend(self.vdpa.read_one(&mut self.buffers, root_dir.as_fd(), name));
        }
        if self.wanted.intersects(Attributes::AUXILIARY_DEVICES) {
            for name in &hints.auxiliary {
                addresses.extend(self.auxiliary.read_one(&mut self.buffers, root_dir.as_fd(), name));
            }
        }
        Ok(self.read(&bus, addresses))
    }

    /// Reads one function of a machine of which nothing was read yet, with its PF if it is a VF.
    pub(crate) fn read_alone(&mut self, address: PciAddress) -> Result<(), Warning> {
        if let Some((root_dir, bus)) = self.open()? {
            self.read_children(&root_dir);
            self.read(&bus, BTreeSet::from([address]));
            let parent = self.records.get(&address).and_then(|record| record.function.parent_addr);
            self.read(&bus, parent.into_iter().collect());
        }
        Ok(())
    }

    /// The addresses of the functions, ordered; some are of VFs without a PF, which are no functions to be listed.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = PciAddress> {
        self.records.keys().copied()
    }

    /// How many VFs a PF has by their own links.
    pub(crate) fn vf_count(&self, pf: PciAddress) -> usize {
        self.vfs.get(&pf).map_or(0, BTreeSet::len)
    }

    /// A function with what it has of others; none when it is not there or not to be listed.
    pub(crate) fn function(&self, address: PciAddress) -> Option<Function> {
        let mut function = self.records.get(&address)?.function.clone();
        if let Some(parent) = function.parent_addr {
            // A VF whose PF cannot be told is no device that may be handed out beside that PF.
            let pf = self.physical_function(parent)?;
            if self.wanted.contains(Attributes::PARENT_IFNAME) {
                function.parent_ifname = pf.function.netdevs.first().cloned();
            }
            let serial = pf.function.card_serial_number.clone();
            function.card_serial_number = serial.or(function.card_serial_number);
            let number = self.numbers.get(&parent).and_then(|numbers| numbers.get(&address)).copied();
            function.vf_index = number.filter(|_| self.wanted.contains(Attributes::VF_INDEX));
            function.representor = number.and_then(|number| pf.representors.get(&number)).cloned();
        } else if self.vfs.contains_key(&address) {
            function.dev_type = DeviceType::Pf;
        }
        if self.wanted.contains(Attributes::IOMMU_GROUP_MEMBERS) {
            let members = function.iommu_group.and_then(|group| self.groups.get(&group));
            let members = members.filter(|members| members.len() <= MAX_GROUP).into_iter().flatten();
            function.iommu_group_members = members.copied().filter(|member| *member != address).collect();
        }
        if !self.wanted.contains(Attributes::IOMMU_GROUP) {
            function.iommu_group = None;
        }
        if !self.wanted.contains(Attributes::NETDEVS) {
            function.netdevs.clear();
        }
        Some(function)
    }

    /// What there is to tell of the machine.
    pub(crate) fn discovery(&self) -> Discovery {
        let functions = self.addresses().filter_map(|address| self.function(address)).collect();
        Discovery { functions, warnings: self.warnings() }
    }

    /// What could not be read or understood; in the same order each time.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let of_buses = self.odd.iter().chain(&self.vdpa.warnings).chain(&self.auxiliary.warnings);
        let of_functions = self.warnings.values().flatten().chain(self.orphans.values());
        let of_links = self.links.values().flatten();
        let mut all: Vec<_> = of_buses.chain(of_functions).chain(of_links).cloned().collect();
        if self.wanted.contains(Attributes::IOMMU_GROUP_MEMBERS) {
            let large = self.groups.iter().filter(|(_, members)| members.len() > MAX_GROUP);
            all.extend(large.map(|(group, members)| Warning {
                path: self.root.join("kernel/iommu_groups").join(group.to_string()),
                message: format!("has {} members, which are not listed: over {MAX_GROUP}", members.len()),
            }));
        }
        all
    }

    /// The root and the list of functions; no list on a kernel without a PCI bus.
    fn open(&self) -> Result<Option<(OwnedFd, Bus)>, Warning> {
        let root_dir = open_dir(CWD, &self.root).map_err(|errno| unreadable(self.root.clone(), errno))?;
        open_dir(&root_dir, "bus").map_err(|errno| unreadable(self.root.join("bus"), errno))?;
        let path = self.root.join(BUS);
        match open_dir(&root_dir, BUS) {
            Ok(dir) => Ok(Some((root_dir, Bus { dir, path }))),
            Err(errno) if is_absence(errno) => Ok(None),
            Err(errno) => Err(unreadable(path, errno)),
        }
    }

    /// The addresses on the bus, and a warning for each entry that is none.
    fn list(&mut self, bus: &Bus) -> Result<(BTreeSet<PciAddress>, Vec<Warning>), Warning> {
        let (mut addresses, mut odd) = (Vec::new(), Vec::new());
        let each = |name: &std::ffi::CStr, _| {
            let name = name.to_string_lossy();
            match canonical_address(&name) {
                Some(address) => addresses.push(address),
                None => odd.push(name.into_owned()),
            }
        };
        self.buffers.list(&bus.dir, each).map_err(|errno| unreadable(bus.path.clone(), errno))?;
        if addresses.len() > limits::MAX_DEVICES {
            let message = format!("lists over {} functions", limits::MAX_DEVICES);
            return Err(Warning { path: bus.path.clone(), message });
        }
        odd.sort_unstable();
        let warning = |name| Warning {
            path: bus.path.join::<String>(name),
            message: "is not named by a PCI address".into(),
        };
        Ok((addresses.into_iter().collect(), odd.into_iter().map(warning).collect()))
    }

    fn read_children(&mut self, root_dir: &OwnedFd) {
        self.vdpa.read_all(&mut self.buffers, root_dir.as_fd(), &self.root);
        if self.wanted.intersects(Attributes::AUXILIARY_DEVICES) {
            self.auxiliary.read_all(&mut self.buffers, root_dir.as_fd(), &self.root);
        }
    }

    /// Reads these functions and those that depend on them; gives all that may be another now.
    fn read(&mut self, bus: &Bus, mut queue: BTreeSet<PciAddress>) -> BTreeSet<PciAddress> {
        let (mut done, mut unplugged, mut groups) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // In the order of the addresses a PF comes before its VFs.
        while let Some(address) = queue.pop_first() {
            done.insert(address);
            let before = self.take(address);
            let has_serial =
                |pf| self.records.get(&pf).is_some_and(|pf| pf.function.card_serial_number.is_some());
            let others = Others { vdpa: &self.vdpa, auxiliary: &self.auxiliary, has_serial: &has_serial };
            let (outcome, warnings) = read(&mut self.buffers, self.wanted, bus, address, &others);
            if !warnings.is_empty() {
                self.warnings.insert(address, warnings);
            }
            match outcome {
                Outcome::Read(record) => self.put(address, *record),
                Outcome::Unplugged => _ = unplugged.insert(address),
                Outcome::LeftOut => {}
            }
            let now = self.records.get(&address);
            let both = [before.as_ref(), now];
            groups.extend(both.iter().filter_map(|record| (*record)?.function.iommu_group));
            // When a VF comes or goes, its PF has other numbers and counts.
            let parents = both.map(|record| record.and_then(|record| record.function.parent_addr));
            if parents[0] != parents[1] {
                let known = parents.into_iter().flatten().filter(|pf| self.records.contains_key(pf));
                queue.extend(known.filter(|pf| !done.contains(pf)));
            }
            // When a PF has no serial number any more, its VFs have their own, which were not read so far.
            let serials =
                both.map(|record| record.and_then(|record| record.function.card_serial_number.as_ref()));
            if serials[0].is_some() && serials[1].is_none() && now.is_some() {
                let vfs = self.vfs.get(&address).into_iter().flatten();
                queue.extend(vfs.filter(|vf| !done.contains(vf)));
            }
        }
        let mut affected = done.clone();
        for pf in done {
            if let Some(vfs) = self.vfs.get(&pf) {
                affected.extend(vfs);
                self.read_numbers(bus, pf);
            } else {
                self.numbers.remove(&pf);
                self.links.remove(&pf);
            }
        }
        if self.wanted.contains(Attributes::IOMMU_GROUP_MEMBERS) {
            affected.extend(groups.iter().filter_map(|group| self.groups.get(group)).flatten());
        }
        for vf in &affected {
            self.check_parent(bus, *vf, &unplugged);
        }
        affected
    }

    /// Forgets a function, as far as it says something by itself.
    fn take(&mut self, address: PciAddress) -> Option<Record> {
        self.warnings.remove(&address);
        let record = self.records.remove(&address)?;
        if let Some(parent) = record.function.parent_addr {
            forget(&mut self.vfs, &parent, &address);
        }
        if let Some(group) = record.function.iommu_group {
            forget(&mut self.groups, &group, &address);
        }
        Some(record)
    }

    fn put(&mut self, address: PciAddress, record: Record) {
        if let Some(parent) = record.function.parent_addr {
            self.vfs.entry(parent).or_default().insert(address);
        }
        if let Some(group) = record.function.iommu_group {
            self.groups.entry(group).or_default().insert(address);
        }
        self.records.insert(address, record);
    }

    fn physical_function(&self, address: PciAddress) -> Option<&Record> {
        self.records.get(&address).filter(|record| record.function.parent_addr.is_none())
    }

    /// Warns of a VF whose PF is not there, unless that has just gone: the VF goes with it.
    fn check_parent(&mut self, bus: &Bus, vf: PciAddress, unplugged: &BTreeSet<PciAddress>) {
        self.orphans.remove(&vf);
        let parent = self.records.get(&vf).and_then(|record| record.function.parent_addr);
        let Some(parent) = parent.filter(|parent| self.physical_function(*parent).is_none()) else { return };
        if !unplugged.contains(&parent) {
            let path = bus.path.join(vf.to_string()).join("physfn");
            let message = format!("leads to {parent}, which is not listed as a physical function; left out");
            self.orphans.insert(vf, Warning { path, message });
        }
    }

    /// Reads the numbers of the VFs of a PF, by its links.
    fn read_numbers(&mut self, bus: &Bus, pf: PciAddress) {
        self.numbers.remove(&pf);
        self.links.remove(&pf);
        if !self.wanted.intersects(Attributes::VF_INDEX | Attributes::REPRESENTOR)
            || self.physical_function(pf).is_none()
        {
            return;
        }
        // A PF or a link that is gone by now leaves numbers unknown, until an event tells what became of it.
        let name = pf.to_string();
        let Ok(dir) = open_dir(&bus.dir, &*name) else { return };
        let Ok(mut found) = self.buffers.numbered_entries(&dir, "virtfn") else { return };
        found.sort_unstable();
        let (mut numbers, mut warnings) = (BTreeMap::new(), Vec::new());
        for number in found {
            let path = format!("virtfn{number}");
            let Ok(target) = self.buffers.link(&dir, &*path) else { continue };
            let target = String::from_utf8_lossy(target);
            match target.rsplit('/').next().and_then(canonical_address) {
                Some(vf) => _ = numbers.insert(vf, number),
                None => {
                    let message = format!("leads to {:?}, which is not a PCI function", clip(&target));
                    warnings.push(Warning { path: bus.path.join(&name).join(path), message });
                }
            }
        }
        self.numbers.insert(pf, numbers);
        if !warnings.is_empty() {
            self.links.insert(pf, warnings);
        }
    }
}

fn unreadable(path: PathBuf, errno: Errno) -> Warning {
    Warning { path, message: format!("cannot be read: {}", describe(errno)) }
}

/// Takes a member out of a set in a map, and an empty set out of the map.
fn forget<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, member: &V) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
