//! One scan of the machine: every function read by itself, then the facts that a VF has of its PF.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Stat};
use rustix::io::Errno;
use slotwise::{DeviceType, PciAddress, limits};

use crate::attributes::Attributes;
use crate::files::{Buffers, decimal, describe, is_absence, open_dir};
use crate::function::Function;
use crate::{Discovery, Warning, vpd};

/// Where the kernel lists the functions, as links into the tree of devices.
pub(crate) const BUS: &str = "bus/pci/devices";

/// The vendor id of virtio devices.
const VIRTIO: u16 = 0x1af4;

/// How often a function is read when it changes in the middle of it.
const ATTEMPTS: usize = 3;

/// Reads every function below the sysfs `root`; the error is what makes the root unreadable.
pub(crate) fn discover(root: &Path, wanted: Attributes) -> Result<Discovery, Warning> {
    let fail =
        |path: PathBuf, errno| Warning { path, message: format!("cannot be read: {}", describe(errno)) };
    let root_dir = open_dir(CWD, root).map_err(|errno| fail(root.to_owned(), errno))?;
    open_dir(&root_dir, "bus").map_err(|errno| fail(root.join("bus"), errno))?;
    let path = root.join(BUS);
    let bus = match open_dir(&root_dir, BUS) {
        Ok(bus) => bus,
        Err(errno) if is_absence(errno) => return Ok(Discovery::default()),
        Err(errno) => return Err(fail(path, errno)),
    };

    let mut scan =
        Scan { buffers: Buffers::new(), wanted, bus, path, warnings: Vec::new(), records: Vec::new() };
    let addresses = scan.addresses().map_err(|errno| fail(scan.path.clone(), errno))?;
    if addresses.len() > limits::MAX_DEVICES {
        let message = format!("lists over {} functions", limits::MAX_DEVICES);
        return Err(Warning { path: scan.path, message });
    }
    let vdpa = scan.children_on_bus(root_dir.as_fd(), root, "vdpa");
    let auxiliary = match wanted.intersects(Attributes::AUXILIARY_DEVICES) {
        true => scan.children_on_bus(root_dir.as_fd(), root, "auxiliary"),
        false => Children::new(),
    };
    let mut unplugged = BTreeSet::new();
    for address in addresses {
        match scan.read(address, &vdpa, &auxiliary) {
            Outcome::Read(record) => scan.records.push(*record),
            Outcome::Unplugged => _ = unplugged.insert(address),
            Outcome::LeftOut => {}
        }
    }
    scan.join(&unplugged);
    let functions = scan.records.into_iter().map(|record| record.function).collect();
    Ok(Discovery { functions, warnings: scan.warnings })
}

/// The names of the devices of some bus that hang below each function.
type Children = BTreeMap<PciAddress, Vec<String>>;

struct Scan {
    buffers: Buffers,
    wanted: Attributes,
    bus: OwnedFd,
    /// The path of `bus`, for warnings.
    path: PathBuf,
    warnings: Vec<Warning>,
    /// What was read so far, ordered by address.
    records: Vec<Record>,
}

/// A function, and the representors of its VFs.
struct Record {
    function: Function,
    /// The representors among its netdevs: the number of the VF and the name.
    representors: Vec<(u32, String)>,
}

enum Outcome {
    Read(Box<Record>),
    /// It went away while it was read.
    Unplugged,
    /// It cannot be listed; a warning says why.
    LeftOut,
}

impl Scan {
    /// The addresses on the bus, ordered, each once.
    fn addresses(&mut self) -> Result<Vec<PciAddress>, Errno> {
        let (mut addresses, mut odd) = (Vec::new(), Vec::new());
        self.buffers.list(&self.bus, |name, _| {
            let name = name.to_string_lossy();
            match canonical_address(&name) {
                Some(address) => addresses.push(address),
                None => odd.push(name.into_owned()),
            }
        })?;
        addresses.sort_unstable();
        odd.sort_unstable();
        for name in odd {
            let path = self.path.join(name);
            self.warnings.push(Warning { path, message: "is not named by a PCI address".into() });
        }
        Ok(addresses)
    }

    /// Which devices of another bus (`vdpa`, `auxiliary`) hang below which function, by their links on that bus.
    ///
    /// Their names are of no fixed form, so that the directory of the function itself does not tell them.
    fn children_on_bus(&mut self, root_dir: BorrowedFd<'_>, root: &Path, bus: &str) -> Children {
        let mut children = Children::new();
        let relative = format!("bus/{bus}/devices");
        let path = root.join(&relative);
        let mut names = Vec::new();
        let listed = open_dir(root_dir, &relative)
            .and_then(|dir| self.buffers.list(&dir, |name, _| names.push(name.to_owned())).map(|()| dir));
        let dir = match listed {
            Ok(dir) => dir,
            Err(errno) if is_absence(errno) => return children,
            Err(errno) => {
                self.warnings.push(Warning { path, message: format!("cannot be read: {}", describe(errno)) });
                return children;
            }
        };
        names.sort_unstable();
        for name in names {
            let Ok(text) = name.to_str() else {
                let path = path.join(&*name.to_string_lossy());
                self.warnings.push(Warning { path, message: "is not named in UTF-8".into() });
                continue;
            };
            // A link that is gone by now belongs to a device that is gone, one that is none to no function.
            let Ok(target) = self.buffers.link(&dir, name.as_c_str()) else { continue };
            let owner = String::from_utf8_lossy(target).rsplit('/').find_map(canonical_address);
            if let Some(owner) = owner {
                children.entry(owner).or_default().push(text.to_owned());
            }
        }
        children
    }

    /// Reads one function; again, if it was found to change meanwhile.
    fn read(&mut self, address: PciAddress, vdpa: &Children, auxiliary: &Children) -> Outcome {
        let name = address.to_string();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut reader = Reader {
                buffers: &mut self.buffers,
                wanted: self.wanted,
                bus: self.bus.as_fd(),
                path: self.path.join(&name),
                warnings: Vec::new(),
                changed: false,
                directory: None,
            };
            let record = reader.function(address, &name, vdpa, auxiliary, &self.records);
            let Reader { mut changed, mut warnings, directory, .. } = reader;
            // The kernel takes the link off the bus before the files of a device, and puts it on after them: what was
            // read is whole if the link still leads to the directory that was read.
            match rustix::fs::statat(&self.bus, &*name, AtFlags::empty()) {
                Ok(now) => changed |= directory.is_some_and(|directory| !is_same(&directory, &now)),
                // A link that leads nowhere is another matter than none.
                Err(_) => match rustix::fs::statat(&self.bus, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(errno) if is_absence(errno) => return Outcome::Unplugged,
                    _ => changed |= directory.is_some(),
                },
            }
            if changed && attempts < ATTEMPTS {
                continue;
            }
            self.warnings.append(&mut warnings);
            return record.map_or(Outcome::LeftOut, |record| Outcome::Read(Box::new(record)));
        }
    }

    /// Gives every VF what its PF knows, and leaves out the VFs without a PF.
    fn join(&mut self, unplugged: &BTreeSet<PciAddress>) {
        let index =
            |records: &[Record], address| records.binary_search_by_key(&address, |r| r.function.address).ok();

        // A VF whose PF cannot be told is no device that may be handed out beside that PF.
        let is_orphan = |record: &Record| {
            let parent = record.function.parent_addr?;
            let sound = index(&self.records, parent).map(|i| &self.records[i].function);
            let sound = sound.is_some_and(|pf| pf.parent_addr.is_none());
            (!sound).then_some((record.function.address, parent))
        };
        let orphans: BTreeMap<_, _> = self.records.iter().filter_map(is_orphan).collect();
        for (address, parent) in &orphans {
            if !unplugged.contains(parent) {
                let path = self.path.join(address.to_string()).join("physfn");
                let message =
                    format!("leads to {parent}, which is not listed as a physical function; left out");
                self.warnings.push(Warning { path, message });
            }
        }
        self.records.retain(|record| !orphans.contains_key(&record.function.address));

        let mut parents = BTreeSet::new();
        for vf in 0..self.records.len() {
            let Some(pf) = self.records[vf].function.parent_addr.and_then(|pf| index(&self.records, pf))
            else {
                continue;
            };
            parents.insert(pf);
            let pf = &mut self.records[pf].function;
            pf.dev_type = DeviceType::Pf;
            let serial = pf.card_serial_number.clone();
            let ifname =
                pf.netdevs.first().filter(|_| self.wanted.contains(Attributes::PARENT_IFNAME)).cloned();
            let function = &mut self.records[vf].function;
            function.parent_ifname = ifname;
            function.card_serial_number = serial.or(function.card_serial_number.take());
        }

        if !self.wanted.intersects(Attributes::VF_INDEX | Attributes::REPRESENTOR) {
            parents.clear();
        }
        for pf in parents {
            let address = self.records[pf].function.address;
            let representors: BTreeMap<_, _> =
                std::mem::take(&mut self.records[pf].representors).into_iter().collect();
            for (number, vf) in self.virtual_functions(address) {
                let Some(vf) = index(&self.records, vf) else { continue };
                let function = &mut self.records[vf].function;
                if function.parent_addr == Some(address) {
                    function.vf_index = Some(number).filter(|_| self.wanted.contains(Attributes::VF_INDEX));
                    function.representor = representors.get(&number).cloned();
                }
            }
        }
        if !self.wanted.contains(Attributes::NETDEVS) {
            self.records.iter_mut().for_each(|record| record.function.netdevs.clear());
        }
    }

    /// The VFs of a PF with their numbers, by its links; once for each PF that has some.
    fn virtual_functions(&mut self, pf: PciAddress) -> Vec<(u32, PciAddress)> {
        // A PF or a link that is gone by now leaves numbers unknown, until the next scan tells what became of it.
        let name = pf.to_string();
        let Ok(dir) = open_dir(&self.bus, &*name) else { return Vec::new() };
        let Ok(mut numbers) = self.buffers.numbered_entries(&dir, "virtfn") else { return Vec::new() };
        numbers.sort_unstable();
        let mut found = Vec::with_capacity(numbers.len());
        for number in numbers {
            let path = format!("virtfn{number}");
            let Ok(target) = self.buffers.link(&dir, &*path) else { continue };
            let target = String::from_utf8_lossy(target);
            match target.rsplit('/').next().and_then(canonical_address) {
                Some(vf) => found.push((number, vf)),
                None => {
                    let message = format!("leads to {:?}, which is not a PCI function", clip(&target));
                    self.warnings.push(Warning { path: self.path.join(&name).join(path), message });
                }
            }
        }
        found
    }
}

/// That a file is there but of no use; a warning was given.
struct Unusable;

/// The value of a file: `Ok(None)` when the file is not there or says that its value is unknown.
type Value<T> = Result<Option<T>, Unusable>;

/// Reads one function, once.
struct Reader<'a> {
    buffers: &'a mut Buffers,
    wanted: Attributes,
    bus: BorrowedFd<'a>,
    /// The path of the function, for warnings.
    path: PathBuf,
    warnings: Vec<Warning>,
    /// Whether something was missing that ought to be there: the function may be on its way out.
    changed: bool,
    /// The directory that was read; open, so that no other directory can take its identity.
    directory: Option<OwnedFd>,
}

/// Whether an open directory is the one of which `stat` tells.
fn is_same(directory: &OwnedFd, stat: &Stat) -> bool {
    rustix::fs::fstat(directory).is_ok_and(|own| (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino))
}

impl Reader<'_> {
    fn function(
        &mut self,
        address: PciAddress,
        name: &str,
        vdpa: &Children,
        auxiliary: &Children,
        before: &[Record],
    ) -> Option<Record> {
        let place = self.place(name)?;
        let dir = match open_dir(self.bus, place.as_deref().unwrap_or(name)) {
            Ok(dir) => dir,
            Err(errno) => {
                self.failed("", errno);
                return None;
            }
        };
        let record = self.facts(address, place.as_deref(), &dir, vdpa, auxiliary, before);
        self.directory = Some(dir);
        record
    }

    /// Everything there is in the function's directory.
    fn facts(
        &mut self,
        address: PciAddress,
        place: Option<&str>,
        dir: &OwnedFd,
        vdpa: &Children,
        auxiliary: &Children,
        before: &[Record],
    ) -> Option<Record> {
        let vendor = self.required(dir, "vendor", "a hexadecimal id", |text| hex(text, 4));
        let device = self.required(dir, "device", "a hexadecimal id", |text| hex(text, 4));
        let class = self.required(dir, "class", "a hexadecimal class", |text| hex(text, 6));
        let (vendor, device) = (vendor? as u16, device? as u16);

        let mut function = Function::new(address, vendor, device);
        function.class = class;
        function.numa_node = self.known(dir, "numa_node", "a node number or -1", |text| match text {
            "-1" => Some(None),
            node => decimal(node).map(Some),
        });
        // Without its parent a VF cannot be told from a device of its own, and is left out.
        function.parent_addr = self.parent(dir).ok()?;
        let below = vdpa.get(&address).cloned().unwrap_or_default();
        function.dev_type = match function.parent_addr {
            Some(_) if !below.is_empty() => DeviceType::Vdpa,
            Some(_) => DeviceType::Vf,
            None => {
                let total = self.value(dir, "sriov_totalvfs", "a count", |text| decimal(text).map(Some));
                // The kernel gives this file to physical functions only, whether or not it makes sense.
                let is_capable = !matches!(total, Ok(None | Some(0)));
                function.sriov_totalvfs =
                    total.ok().flatten().filter(|_| self.wants(Attributes::SRIOV_TOTALVFS));
                if is_capable { DeviceType::Pf } else { DeviceType::Pci }
            }
        };
        if self.wants(Attributes::VDPA_DEVICES) {
            function.vdpa_devices = self.cut("vdpa_devices", below);
        }
        if self.wants(Attributes::AUXILIARY_DEVICES) {
            let names = auxiliary.get(&address).cloned().unwrap_or_default();
            function.auxiliary_devices = self.cut("auxiliary_devices", names);
        }
        self.path_attributes(place, &mut function);
        self.plain_attributes(dir, &mut function);
        let representors = self.net_attributes(dir, &mut function);
        self.serial_number(dir, &mut function, before);
        Some(Record { function, representors })
    }

    fn wants(&self, attribute: Attributes) -> bool {
        self.wanted.intersects(attribute)
    }

    /// The target of the function's link on the bus; `Some(None)` when it is a directory of its own.
    fn place(&mut self, name: &str) -> Option<Option<String>> {
        let target = match self.buffers.link(self.bus, name) {
            Ok(target) => String::from_utf8_lossy(target).into_owned(),
            Err(Errno::INVAL) => return Some(None),
            Err(errno) => {
                self.failed("", errno);
                return None;
            }
        };
        if target.rsplit('/').next() != Some(name) {
            self.warn("", format!("leads to {:?}, which is not its device; left out", clip(&target)));
            return None;
        }
        Some(Some(target))
    }

    /// The PF of a VF; none for a function that is no VF.
    fn parent(&mut self, dir: &OwnedFd) -> Value<PciAddress> {
        let Some(name) = self.link_name(dir, "physfn")? else { return Ok(None) };
        match canonical_address(&name) {
            Some(parent) => Ok(Some(parent)),
            None => {
                self.warn(
                    "physfn",
                    format!("leads to {:?}, which is not a PCI function; left out", clip(&name)),
                );
                Err(Unusable)
            }
        }
    }

    /// What the place of the function in the tree of devices tells.
    fn path_attributes(&mut self, place: Option<&str>, function: &mut Function) {
        let Some(place) = place else { return };
        let is_root = |part: &&str| {
            let numbers = part.strip_prefix("pci").and_then(|rest| rest.split_once(':'));
            numbers.is_some_and(|(domain, bus)| hex(domain, 8).is_some() && hex(bus, 2).is_some())
        };
        if self.wants(Attributes::PCIE_ROOT) {
            function.pcie_root = place.split('/').find(is_root).map(str::to_owned);
        }
        if self.wants(Attributes::PCI_PATH) {
            function.pci_path = place.split('/').filter_map(canonical_address).collect();
            function.pci_path.pop();
        }
    }

    /// The attributes that are one file or one link each.
    fn plain_attributes(&mut self, dir: &OwnedFd, function: &mut Function) {
        if self.wants(Attributes::DRIVER) {
            function.driver = self.link_name(dir, "driver").ok().flatten();
        }
        if self.wants(Attributes::IOMMU_GROUP)
            && let Ok(Some(name)) = self.link_name(dir, "iommu_group")
        {
            function.iommu_group = decimal(&name);
            if function.iommu_group.is_none() {
                self.warn("iommu_group", format!("leads to {:?}, which is not a group number", clip(&name)));
            }
        }
        let mut text = |attribute, file, unknown: &'static [&'static str]| {
            if !self.wants(attribute) {
                return None;
            }
            self.known(dir, file, "printable text", |text| {
                let printable = !text.chars().any(char::is_control);
                printable.then(|| Some(text.to_owned()).filter(|text| !unknown.contains(&text.as_str())))
            })
        };
        const NO_SPEED: &[&str] = &["", "Unknown", "Unknown speed"];
        function.driver_override = text(Attributes::DRIVER_OVERRIDE, "driver_override", &["", "(null)"]);
        function.current_link_speed = text(Attributes::CURRENT_LINK_SPEED, "current_link_speed", NO_SPEED);
        function.max_link_speed = text(Attributes::MAX_LINK_SPEED, "max_link_speed", NO_SPEED);
        function.local_cpulist = text(Attributes::LOCAL_CPULIST, "local_cpulist", &[""]);

        let mut count = |attribute, file, unknown: &'static [u32]| {
            if !self.wants(attribute) {
                return None;
            }
            self.known(dir, file, "a number", |text| {
                decimal(text).map(|number| Some(number).filter(|number| !unknown.contains(number)))
            })
        };
        // A link that is down, or that a VF does not have, is 0 or 255 lanes wide.
        function.current_link_width = count(Attributes::CURRENT_LINK_WIDTH, "current_link_width", &[0, 255]);
        function.max_link_width = count(Attributes::MAX_LINK_WIDTH, "max_link_width", &[0, 255]);
        function.acpi_index = count(Attributes::ACPI_INDEX, "acpi_index", &[]);
        if self.wants(Attributes::SRIOV_NUMVFS) {
            let parse = |text: &str| decimal(text).map(Some);
            function.sriov_numvfs = self.known(dir, "sriov_numvfs", "a count", parse);
        }

        let mut id = |attribute, file| {
            let wanted = self.wants(attribute);
            let parse = |text: &str| hex(text, 4).map(|id| Some(id as u16));
            wanted.then(|| self.known(dir, file, "a hexadecimal id", parse)).flatten()
        };
        function.sriov_vf_device = id(Attributes::SRIOV_VF_DEVICE, "sriov_vf_device");
        function.subsystem_device = id(Attributes::SUBSYSTEM_DEVICE, "subsystem_device");
        function.subsystem_vendor = id(Attributes::SUBSYSTEM_VENDOR, "subsystem_vendor");
        if self.wants(Attributes::REVISION) {
            let parse = |text: &str| hex(text, 2).map(|revision| Some(revision as u8));
            function.revision = self.known(dir, "revision", "a hexadecimal revision", parse);
        }
        if self.wants(Attributes::RDMA_DEVICES) {
            let names = self.names_in(dir, "infiniband");
            function.rdma_devices = self.cut("infiniband", names);
        }
    }

    /// What the netdevs tell; the result is the representors of VFs among them.
    fn net_attributes(&mut self, dir: &OwnedFd, function: &mut Function) -> Vec<(u32, String)> {
        const OF_ANY: Attributes = Attributes::NETDEVS.union(Attributes::LINK_STATE);
        const OF_NO_VF: Attributes = OF_ANY.union(Attributes::MAC_ADDRESS);
        const OF_PF: Attributes = OF_NO_VF.union(Attributes::PARENT_IFNAME).union(Attributes::REPRESENTOR);
        let (needed_for, is_vf) = match function.dev_type {
            DeviceType::Pf => (OF_PF, false),
            DeviceType::Pci => (OF_NO_VF, false),
            DeviceType::Vf | DeviceType::Vdpa => (OF_ANY, true),
        };
        let mut representors = Vec::new();
        if !self.wants(needed_for) {
            return representors;
        }
        // A virtio function has them below its virtio device, whose number only a listing tells.
        let mut places = vec!["net".to_owned()];
        if function.vendor_id == VIRTIO
            && let Ok(mut numbers) = self.buffers.numbered_entries(dir, "virtio")
        {
            numbers.sort_unstable();
            places.extend(numbers.iter().map(|number| format!("virtio{number}/net")));
        }
        let mut netdevs = Vec::new();
        for place in places {
            let names = self.names_in(dir, &place);
            netdevs.extend(names.into_iter().map(|name| (format!("{place}/{name}"), name)));
        }
        // In switchdev mode the netdevs of the VFs' ports are listed with those of the PF.
        if function.dev_type == DeviceType::Pf && netdevs.len() > 1 {
            netdevs.retain(|(path, name)| {
                let port = self.optional(dir, &format!("{path}/phys_port_name"));
                let Some(vf) = port.as_deref().and_then(represented) else { return true };
                representors.extend(vf.map(|vf| (vf, name.clone())));
                false
            });
        }
        if !self.wants(Attributes::REPRESENTOR) {
            representors.clear();
        }
        netdevs.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
        if let Some((path, _)) = netdevs.first() {
            if self.wants(Attributes::MAC_ADDRESS) && !is_vf {
                let path = format!("{path}/address");
                function.mac_address = self.required_text(dir, &path).and_then(|text| {
                    let mac = mac_address(&text);
                    if mac.is_none() {
                        self.warn(&path, not(&text, "a hardware address"));
                    }
                    mac.flatten()
                });
            }
            if self.wants(Attributes::LINK_STATE) {
                let state = self.required_text(dir, &format!("{path}/operstate"));
                function.link_state = state.filter(|text| !matches!(text.as_str(), "" | "unknown"));
            }
        }
        function.netdevs = self.cut("net", netdevs.into_iter().map(|(_, name)| name).collect());
        representors
    }

    /// The serial number, unless that of the PF is known already: reading it takes the hardware a while.
    fn serial_number(&mut self, dir: &OwnedFd, function: &mut Function, before: &[Record]) {
        let of_parent = function.parent_addr.and_then(|parent| {
            let pf = before.binary_search_by_key(&parent, |record| record.function.address).ok()?;
            before[pf].function.card_serial_number.as_ref()
        });
        if !self.wants(Attributes::CARD_SERIAL_NUMBER) || of_parent.is_some() {
            return;
        }
        // Only root may read it, and some cards fail to answer: that is unknown, not wrong.
        let Ok(bytes) = self.buffers.bytes(dir, "vpd") else { return };
        match vpd::card_serial_number(bytes) {
            Ok(serial) => function.card_serial_number = serial,
            Err(what) => self.warn("vpd", format!("holds no vital product data: {what}")),
        }
    }

    /// The value of a file that every function has.
    fn required<T>(
        &mut self,
        dir: &OwnedFd,
        file: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.required_text(dir, file)?;
        let value = parse(&text);
        if value.is_none() {
            self.warn(file, not(&text, expected));
        }
        value
    }

    /// The text of a file that is always there.
    fn required_text(&mut self, dir: &OwnedFd, path: &str) -> Option<String> {
        let text = self.text(dir, path).ok()?;
        if text.is_none() {
            self.failed(path, Errno::NOENT);
        }
        text
    }

    /// The value of a file, if it is there and makes sense.
    fn known<T>(
        &mut self,
        dir: &OwnedFd,
        file: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<Option<T>>,
    ) -> Option<T> {
        self.value(dir, file, expected, parse).ok().flatten()
    }

    /// The value of a file; `parse` gives `None` for a malformed text and `Some(None)` for one by which the kernel
    /// says that it does not know.
    fn value<T>(
        &mut self,
        dir: &OwnedFd,
        file: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<Option<T>>,
    ) -> Value<T> {
        let Some(text) = self.text(dir, file)? else { return Ok(None) };
        parse(&text).ok_or_else(|| {
            self.warn(file, not(&text, expected));
            Unusable
        })
    }

    /// The text of a file, without the space around it.
    fn text(&mut self, dir: &OwnedFd, path: &str) -> Value<String> {
        match self.buffers.text(dir, path).map(std::str::from_utf8) {
            Ok(Ok(text)) => return Ok(Some(text.trim().to_owned())),
            Ok(Err(_)) => self.warn(path, "is not UTF-8 text"),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => self.failed(path, errno),
        }
        Err(Unusable)
    }

    /// The text of a file that the kernel may refuse to have.
    fn optional(&mut self, dir: &OwnedFd, path: &str) -> Option<String> {
        let text = self.buffers.text(dir, path).ok()?;
        Some(std::str::from_utf8(text).ok()?.trim().to_owned())
    }

    /// The sorted names in a directory below the function; none when it is not there.
    fn names_in(&mut self, dir: &OwnedFd, path: &str) -> Vec<String> {
        let (mut names, mut odd) = (Vec::new(), Vec::new());
        let listed = open_dir(dir, path).and_then(|dir| {
            self.buffers.list(&dir, |name, kind| match name.to_str() {
                Ok(name) if kind != FileType::RegularFile => names.push(name.to_owned()),
                Ok(_) => {}
                Err(_) => odd.push(name.to_string_lossy().into_owned()),
            })
        });
        if let Err(errno) = listed
            && !is_absence(errno)
        {
            self.failed(path, errno);
        }
        odd.sort_unstable();
        for name in odd {
            self.warn(&format!("{path}/{name}"), "is not named in UTF-8");
        }
        names.sort_unstable();
        names
    }

    /// Cuts a list of names where its JSON text would pass the engine's limit for one value.
    fn cut(&mut self, path: &str, mut names: Vec<String>) -> Vec<String> {
        let mut room = limits::MAX_TEXT_BYTES.saturating_sub(2);
        let fitting = names.iter().take_while(|name| {
            let needed = serde_json::Value::from(name.as_str()).to_string().len() + 1;
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            fits
        });
        let fitting = fitting.count();
        if fitting < names.len() {
            self.warn(path, format!("holds {} names, of which only {fitting} are kept", names.len()));
            names.truncate(fitting);
        }
        names
    }

    /// The last part of a link's target.
    fn link_name(&mut self, dir: &OwnedFd, path: &str) -> Value<String> {
        let name = match self.buffers.link(dir, path) {
            Ok(target) => target.rsplit(|byte| *byte == b'/').next().unwrap_or_default(),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => {
                self.failed(path, errno);
                return Err(Unusable);
            }
        };
        match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() => Ok(Some(name.to_owned())),
            _ => {
                self.warn(path, "leads to no name");
                Err(Unusable)
            }
        }
    }

    /// Notes an error; that a file is missing which was there a moment ago says that something changed.
    fn failed(&mut self, path: &str, errno: Errno) {
        self.changed |= is_absence(errno);
        let message = match is_absence(errno) {
            true => "is missing".to_owned(),
            false => format!("cannot be read: {}", describe(errno)),
        };
        self.warn(path, message);
    }

    fn warn(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { self.path.clone() } else { self.path.join(path) };
        self.warnings.push(Warning { path, message: message.into() });
    }
}

/// An address in exactly the form that the kernel names its devices by.
pub(crate) fn canonical_address(name: &str) -> Option<PciAddress> {
    let address: PciAddress = name.parse().ok()?;
    (address.to_string() == name).then_some(address)
}

/// A number of one to `most` (at most 8) hexadecimal digits, with or without `0x`.
fn hex(text: &str, most: usize) -> Option<u32> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let sound = digits.len() <= most && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    sound.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A hardware address of up to 32 bytes; `Some(None)` when it is not set.
fn mac_address(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| hex(byte, 2).filter(|_| byte.len() == 2).map(|byte| byte as u8)).collect();
    let bytes = bytes.filter(|bytes| bytes.len() <= 32)?;
    Some(bytes.iter().any(|byte| *byte != 0).then(|| text.to_ascii_lowercase()))
}

/// What a port name such as `pf0vf3` represents: `Some(Some(3))` for a VF of this host, `Some(None)` for something
/// else (a sub-function, or a VF of another host); `None` for a port of the function's own.
fn represented(port: &str) -> Option<Option<u32>> {
    let digits_end = |text: &str| text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (elsewhere, rest) = match port.strip_prefix('c') {
        Some(rest) => (true, &rest[digits_end(rest)..]),
        None => (false, port),
    };
    let rest = rest.strip_prefix("pf")?;
    let rest = &rest[digits_end(rest)..];
    if rest.starts_with("sf") {
        return Some(None);
    }
    let vf: u32 = decimal(rest.strip_prefix("vf")?)?;
    Some(Some(vf).filter(|_| !elsewhere))
}

fn not(text: &str, expected: &str) -> String {
    format!("holds {:?}, which is not {expected}", clip(text))
}

/// Cuts a text that goes into a message.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_names_of_the_kernel() {
        for (port, expect) in [
            ("p0", None),
            ("pf0", None),
            ("pf0vf3", Some(Some(3))),
            ("pf1vf127", Some(Some(127))),
            ("c1pf0vf3", Some(None)),
            ("pf0sf88", Some(None)),
            ("c", None),
            ("pfvf", None),
            ("", None),
        ] {
            assert_eq!(represented(port), expect, "{port}");
        }
    }

    #[test]
    fn hexadecimal_numbers() {
        assert_eq!(hex("0x15b3", 4), Some(0x15b3));
        assert_eq!(hex("1018", 4), Some(0x1018));
        for bad in ["", "0x", "0x12345", "+123", "0x 12", "12g4", "0x0x12"] {
            assert_eq!(hex(bad, 4), None, "{bad}");
        }
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(mac_address("0C:42:a1:00:00:01"), Some(Some("0c:42:a1:00:00:01".into())));
        assert_eq!(mac_address("00:00:00:00:00:00"), Some(None));
        assert_eq!(mac_address(""), Some(None));
        for bad in ["0c:42:a1:0:0:1", "x", ":", "0c42a1000001"] {
            assert_eq!(mac_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_kernels_form_of_an_address() {
        assert!(canonical_address("10000:e1:00.3").is_some());
        for bad in ["0:0:0.0", "0000:3B:00.0", "0000:00:00", "vdpa0"] {
            assert_eq!(canonical_address(bad), None, "{bad}");
        }
    }
}
