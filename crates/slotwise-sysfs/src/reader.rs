//! Reading one function: everything that its own directory tells.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;
use slotwise::{DeviceType, PciAddress, limits};

use crate::attributes::Attributes;
use crate::children::Children;
use crate::files::{Buffers, decimal, describe, is_absence, open_dir};
use crate::function::Function;
use crate::parse::{canonical_address, clip, hex, link_type, mac_address, not, represented};
use crate::{Warning, vpd};

/// The vendor id of virtio devices.
const VIRTIO: u16 = 0x1af4;

/// How often a function is read when it changes in the middle of it.
const ATTEMPTS: usize = 3;

/// The directory in which the kernel lists the functions, as links.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) dir: OwnedFd,
    /// Its path, for warnings.
    pub(crate) path: PathBuf,
}

/// What one function says by itself.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) function: Function,
    /// The representors among its netdevs, by the number of the VF.
    pub(crate) representors: BTreeMap<u32, String>,
}

/// How reading one function ended.
pub(crate) enum Outcome {
    Read(Box<Record>),
    /// It is not there, or went away while it was read.
    Unplugged,
    /// It cannot be listed; a warning says why.
    LeftOut,
}

/// What is known of other functions when one is read.
pub(crate) struct Others<'a> {
    pub(crate) vdpa: &'a Children,
    pub(crate) auxiliary: &'a Children,
    /// Whether the serial number of a PF is known.
    pub(crate) has_serial: &'a dyn Fn(PciAddress) -> bool,
}

/// Reads one function; again, if it was found to change meanwhile.
pub(crate) fn read(
    buffers: &mut Buffers,
    wanted: Attributes,
    bus: &Bus,
    address: PciAddress,
    others: &Others<'_>,
) -> (Outcome, Vec<Warning>) {
    let name = address.to_string();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut reader = Reader {
            buffers,
            wanted,
            bus: bus.dir.as_fd(),
            path: bus.path.join(&name),
            others,
            warnings: Vec::new(),
            changed: false,
            directory: None,
        };
        let record = reader.function(address, &name);
        let Reader { mut changed, warnings, directory, .. } = reader;
        // The kernel takes the link off the bus before the files of a device, and puts it on after them: what was
        // read is whole if the link still leads to the directory that was read.
        match rustix::fs::statat(&bus.dir, &*name, AtFlags::empty()) {
            Ok(now) => changed |= directory.is_some_and(|directory| !is_same(&directory, &now)),
            // A link that leads nowhere is another matter than none.
            Err(_) => match rustix::fs::statat(&bus.dir, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(errno) if is_absence(errno) => return (Outcome::Unplugged, Vec::new()),
                _ => changed |= directory.is_some(),
            },
        }
        if changed && attempts < ATTEMPTS {
            continue;
        }
        return (record.map_or(Outcome::LeftOut, |record| Outcome::Read(Box::new(record))), warnings);
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
    others: &'a Others<'a>,
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
    fn function(&mut self, address: PciAddress, name: &str) -> Option<Record> {
        let place = self.place(name)?;
        let dir = match open_dir(self.bus, place.as_deref().unwrap_or(name)) {
            Ok(dir) => dir,
            Err(errno) => {
                self.failed("", errno);
                return None;
            }
        };
        let record = self.facts(address, place.as_deref(), &dir);
        self.directory = Some(dir);
        record
    }

    /// Everything there is in the function's directory.
    fn facts(&mut self, address: PciAddress, place: Option<&str>, dir: &OwnedFd) -> Option<Record> {
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
        let below = self.others.vdpa.of(address);
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
        if self.wants(Attributes::VDPA_DRIVER)
            && let Some(first) = below.first()
        {
            let path = format!("../../vdpa/devices/{first}/driver");
            let driver = self.buffers.link(self.bus, path).ok().map(String::from_utf8_lossy);
            function.vdpa_driver = driver
                .and_then(|target| target.rsplit('/').next().map(str::to_owned))
                .filter(|name| !name.is_empty());
        }
        if self.wants(Attributes::VDPA_DEVICES) {
            function.vdpa_devices = self.cut("vdpa_devices", below);
        }
        if self.wants(Attributes::AUXILIARY_DEVICES) {
            let names = self.others.auxiliary.of(address);
            function.auxiliary_devices = self.cut("auxiliary_devices", names);
        }
        self.path_attributes(place, &mut function);
        self.plain_attributes(dir, &mut function);
        let representors = self.net_attributes(dir, &mut function);
        self.serial_number(dir, &mut function);
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
        if self.wants(Attributes::IOMMU_GROUP | Attributes::IOMMU_GROUP_MEMBERS)
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
        if self.wants(Attributes::RDMA_DEVICES | Attributes::PKEY) {
            let names = self.names_in(dir, "infiniband");
            if self.wants(Attributes::PKEY)
                && let Some(first) = names.first()
            {
                let path = format!("infiniband/{first}/ports/1/pkeys/0");
                let parse = |text: &str| hex(text, 4).map(|key| Some(key as u16));
                function.pkey = self.known(dir, &path, "a hexadecimal partition key", parse);
            }
            if self.wants(Attributes::RDMA_DEVICES) {
                function.rdma_devices = self.cut("infiniband", names);
            }
        }
    }

    /// What the netdevs tell; the result is the representors of VFs among them.
    fn net_attributes(&mut self, dir: &OwnedFd, function: &mut Function) -> BTreeMap<u32, String> {
        const OF_ANY: Attributes =
            Attributes::NETDEVS.union(Attributes::LINK_STATE).union(Attributes::LINK_TYPE);
        const OF_NO_VF: Attributes = OF_ANY.union(Attributes::MAC_ADDRESS);
        const OF_PF: Attributes = OF_NO_VF.union(Attributes::PARENT_IFNAME).union(Attributes::REPRESENTOR);
        let (needed_for, is_vf) = match function.dev_type {
            DeviceType::Pf => (OF_PF, false),
            DeviceType::Pci => (OF_NO_VF, false),
            DeviceType::Vf | DeviceType::Vdpa => (OF_ANY, true),
        };
        let mut representors = BTreeMap::new();
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
        if self.wants(Attributes::LINK_TYPE)
            && let Some((path, _)) = netdevs.first()
        {
            let parse = |text: &str| decimal::<u16>(text).map(|number| Some(link_type(number)));
            function.link_type = self.known(dir, &format!("{path}/type"), "a type number", parse);
        }
        function.netdevs = self.cut("net", netdevs.into_iter().map(|(_, name)| name).collect());
        representors
    }

    /// The serial number, unless that of the PF is known already: reading it takes the hardware a while.
    fn serial_number(&mut self, dir: &OwnedFd, function: &mut Function) {
        let of_parent = function.parent_addr.is_some_and(|parent| (self.others.has_serial)(parent));
        if !self.wants(Attributes::CARD_SERIAL_NUMBER) || of_parent {
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
