//! Synthetic sysfs trees in the kernel's exact shape, for tests of this crate and of those that use it.
//!
//! Feature `testing`. The helpers here panic where the file system fails them, as a test would.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use slotwise::PciAddress;
use tempfile::TempDir;

/// A sysfs in a temporary directory, which goes away with this value.
///
/// As in the kernel, a function is a directory below its bridges in `devices/pciDDDD:BB/`, and `bus/pci/devices`
/// holds a link to each. Paths are relative to the root of the tree.
#[derive(Debug)]
pub struct Tree {
    dir: TempDir,
    /// A file of each content that was written for a VF; thousands of VFs share it by hard links.
    shared: Mutex<HashMap<Vec<u8>, (PathBuf, u32)>>,
}

/// What a synthetic function is like; the methods add to it.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    address: String,
    host_bridge: String,
    bridges: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    links: Vec<(String, String)>,
}

impl FunctionSpec {
    /// A function on the host bridge `pci0000:00`: vendor 8086, product 1572, class 020000, and the other files that
    /// the kernel gives every function.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let spec = FunctionSpec {
            address: address.into(),
            host_bridge: "pci0000:00".into(),
            bridges: Vec::new(),
            files: Vec::new(),
            links: Vec::new(),
        };
        let plain = [
            ("ari_enabled", "0\n"),
            ("broken_parity_status", "0\n"),
            ("consistent_dma_mask_bits", "64\n"),
            ("d3cold_allowed", "1\n"),
            ("dma_mask_bits", "64\n"),
            ("driver_override", "(null)\n"),
            ("enable", "0\n"),
            ("irq", "0\n"),
            ("local_cpulist", "0-3\n"),
            ("local_cpus", "f\n"),
            ("modalias", "pci:v00008086d00001572sv00008086sd00000001bc02sc00i00\n"),
            ("msi_bus", "1\n"),
            ("numa_node", "-1\n"),
            ("power_state", "D0\n"),
            ("remove", ""),
            ("rescan", ""),
            ("resource", "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"),
            ("revision", "0x02\n"),
            ("subsystem_device", "0x0001\n"),
            ("subsystem_vendor", "0x8086\n"),
            ("uevent", "PCI_CLASS=20000\n"),
        ];
        plain
            .into_iter()
            .fold(spec, |spec, (name, text)| spec.file(name, text))
            .ids(0x8086, 0x1572)
            .class(0x02_0000)
    }

    /// Sets or replaces a file.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        let name = name.into();
        self.files.retain(|(other, _)| *other != name);
        self.files.push((name, content.into()));
        self
    }

    /// Leaves a file off.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.files.retain(|(other, _)| other != name);
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(mut self, name: impl Into<String>, target: impl Into<String>) -> Self {
        self.links.push((name.into(), target.into()));
        self
    }

    /// Sets vendor and product id.
    #[must_use]
    pub fn ids(self, vendor: u16, product: u16) -> Self {
        self.file("vendor", format!("0x{vendor:04x}\n")).file("device", format!("0x{product:04x}\n"))
    }

    /// Sets the class.
    #[must_use]
    pub fn class(self, class: u32) -> Self {
        self.file("class", format!("0x{class:06x}\n"))
    }

    /// Sets the NUMA node.
    #[must_use]
    pub fn numa_node(self, node: i32) -> Self {
        self.file("numa_node", format!("{node}\n"))
    }

    /// Puts it below another host bridge, such as `pci0000:80`.
    #[must_use]
    pub fn host_bridge(mut self, name: impl Into<String>) -> Self {
        self.host_bridge = name.into();
        self
    }

    /// Puts it behind these bridges, root port first.
    #[must_use]
    pub fn behind(mut self, bridges: &[&str]) -> Self {
        self.bridges = bridges.iter().map(|bridge| (*bridge).to_owned()).collect();
        self
    }

    /// Binds a driver.
    #[must_use]
    pub fn driver(self, name: &str) -> Self {
        self.link("driver", format!("../../../bus/pci/drivers/{name}"))
    }

    /// Puts it into an IOMMU group.
    #[must_use]
    pub fn iommu_group(self, group: u32) -> Self {
        self.link("iommu_group", format!("../../../kernel/iommu_groups/{group}"))
    }

    /// Gives it the files of a physical function.
    #[must_use]
    pub fn sriov(self, total: u16, enabled: u16, vf_device: u16) -> Self {
        self.file("sriov_totalvfs", format!("{total}\n"))
            .file("sriov_numvfs", format!("{enabled}\n"))
            .file("sriov_vf_device", format!("{vf_device:x}\n"))
            .file("sriov_drivers_autoprobe", "1\n")
            .file("sriov_offset", "1\n")
            .file("sriov_stride", "1\n")
    }

    /// Gives it a netdev that is up.
    #[must_use]
    pub fn netdev(self, name: &str, mac: &str) -> Self {
        self.file(format!("net/{name}/address"), format!("{mac}\n"))
            .file(format!("net/{name}/operstate"), "up\n")
            .file(format!("net/{name}/type"), "1\n")
    }

    /// Gives it the vital product data of a card with this serial number.
    #[must_use]
    pub fn serial_number(self, serial: &str) -> Self {
        self.file("vpd", vital_product_data(serial))
    }
}

/// The vital product data of a card with this serial number (at most 255 bytes), checksum included.
#[must_use]
pub fn vital_product_data(serial: &str) -> Vec<u8> {
    let fields =
        [b"PN".as_slice(), b"\x04card", b"SN", &[serial.len() as u8], serial.as_bytes(), b"RV\x01"].concat();
    let len = (fields.len() + 1) as u16;
    let mut data = [b"\x82\x04\x00NIC0\x90".as_slice(), &len.to_le_bytes(), &fields].concat();
    let sum = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    data.extend([sum.wrapping_neg(), 0x78]);
    data
}

/// The address of a VF by SR-IOV's arithmetic, with a first offset of 1 and a stride of 1.
///
/// # Panics
///
/// When the VF would lie beyond the last bus.
#[must_use]
pub fn vf_address(pf: PciAddress, index: u16) -> PciAddress {
    let routing_id = u32::from(pf.bus()) << 8 | u32::from(pf.slot()) << 3 | u32::from(pf.function());
    let [0, 0, bus, rest] = (routing_id + 1 + u32::from(index)).to_be_bytes() else {
        panic!("VF {index} of {pf} lies beyond the last bus");
    };
    PciAddress::new(pf.domain(), bus, rest >> 3, rest & 7).expect("slot and function are in range")
}

impl Tree {
    /// An empty machine: a PCI bus without functions.
    #[must_use]
    pub fn new() -> Self {
        // Thousands of small files are made several times faster in memory.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("slotwise-sysfs-").tempdir_in(place);
        let dir = dir.expect("a temporary directory");
        let tree = Tree { dir, shared: Mutex::default() };
        for path in ["bus/pci/devices", "bus/pci/drivers", "devices/pci0000:00", "devices/system/node"] {
            tree.mkdir(path);
        }
        tree
    }

    /// The root, to be read in place of `/sys`.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Adds a function, as the kernel does: the device first, its link on the bus last.
    pub fn add(&self, spec: &FunctionSpec) {
        let bridges: String = spec.bridges.iter().map(|bridge| format!("{bridge}/")).collect();
        self.add_at(&format!("devices/{}/{bridges}{}", spec.host_bridge, spec.address), spec, false);
    }

    /// Adds VF number `index` of a function that was added before, beside it and with both links.
    ///
    /// The address of `spec` is replaced by the VF's own, which is returned.
    pub fn add_vf(&self, pf: &str, index: u16, spec: &FunctionSpec) -> PciAddress {
        let pf_dir = self.device_dir(pf);
        let address = vf_address(pf.parse().expect("the address of a PF"), index);
        let (parent, _) = pf_dir.rsplit_once('/').expect("a directory above the PF");
        let spec = FunctionSpec { address: address.to_string(), ..spec.clone() };
        self.link(&format!("{pf_dir}/virtfn{index}"), &format!("../{address}"));
        self.add_at(&format!("{parent}/{address}"), &spec.link("physfn", format!("../{pf}")), true);
        address
    }

    /// Adds a vDPA (or auxiliary) device below a function, with its link on the bus `vdpa` (or `auxiliary`).
    pub fn add_child(&self, function: &str, bus: &str, name: &str) {
        let dir = format!("{}/{name}", self.device_dir(function));
        self.mkdir(&dir);
        self.link(&format!("bus/{bus}/devices/{name}"), &format!("../../../{dir}"));
    }

    /// Adds a PF with `count` VFs: 15b3:1017 and 15b3:1018 behind the root port 0000:00:01.0, on NUMA node 0.
    ///
    /// The PF has the netdev `ens1f0` and a serial number; each VF has a netdev, too.
    pub fn add_card(&self, pf: &str, count: u16) -> Vec<PciAddress> {
        let card = FunctionSpec::new(pf).behind(&["0000:00:01.0"]).numa_node(0).driver("mlx5_core");
        let spec = card.ids(0x15b3, 0x1017).iommu_group(1).sriov(count, count, 0x1018);
        self.add(&spec.netdev("ens1f0", "0c:42:a1:00:00:01").serial_number("MT2042X00001"));
        let vf = FunctionSpec::new("").ids(0x15b3, 0x1018).numa_node(0).driver("mlx5_core");
        let add = |index| {
            let vf = vf.clone().iommu_group(2 + u32::from(index));
            self.add_vf(pf, index, &vf.netdev(&format!("ens1f0v{index}"), "0c:42:a1:00:01:00"))
        };
        (0..count).map(add).collect()
    }

    fn add_at(&self, dir: &str, spec: &FunctionSpec, share: bool) {
        self.mkdir(&format!("{dir}/power"));
        for (name, content) in &spec.files {
            let path = format!("{dir}/{name}");
            if !(share && self.write_shared(&path, content)) {
                self.write(&path, content);
            }
        }
        for (name, target) in &spec.links {
            self.link(&format!("{dir}/{name}"), target);
        }
        self.link(&format!("{dir}/subsystem"), "../../../bus/pci");
        self.link(&format!("bus/pci/devices/{}", spec.address), &format!("../../../{dir}"));
    }

    /// Removes a function, as the kernel does: its link on the bus first.
    pub fn remove(&self, address: &str) {
        let dir = self.device_dir(address);
        fs::remove_file(self.root().join("bus/pci/devices").join(address)).expect("a link to remove");
        fs::remove_dir_all(self.root().join(dir)).expect("a device to remove");
    }

    /// The directory of a function, relative to the root.
    #[must_use]
    pub fn device_dir(&self, address: &str) -> String {
        let link =
            fs::read_link(self.root().join("bus/pci/devices").join(address)).expect("a link on the bus");
        link.to_string_lossy().trim_start_matches("../").to_owned()
    }

    /// Adds a NUMA node with its CPUs, which are on `socket` (-1 as the kernel writes an unknown one).
    pub fn add_node(&self, node: u32, socket: i32, cpus: impl IntoIterator<Item = u32>) {
        self.mkdir(&format!("devices/system/node/node{node}"));
        for cpu in cpus {
            self.write(
                &format!("devices/system/cpu/cpu{cpu}/topology/physical_package_id"),
                format!("{socket}\n"),
            );
            self.link(&format!("devices/system/node/node{node}/cpu{cpu}"), &format!("../../cpu/cpu{cpu}"));
        }
    }

    /// Writes a file, in place of what was there; directories above it are made.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        // A file that is shared by hard links must not be written through.
        let path = self.clear(path);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Makes a directory and those above it.
    pub fn mkdir(&self, path: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Makes a symbolic link, in place of what was there; it may lead nowhere.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.clear(path);
        symlink(target, &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Puts something in place of a file that nobody can read, not even root.
    pub fn make_unreadable(&self, path: &str) {
        let path = self.clear(path);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Deletes a file, link or directory if it is there.
    pub fn delete(&self, path: &str) {
        self.clear(path);
    }

    /// Makes the directories above a path, and deletes what is at it.
    fn clear(&self, path: &str) -> PathBuf {
        let path = self.root().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        }
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path).expect("a directory to delete"),
            Ok(_) => fs::remove_file(&path).expect("a file to delete"),
            Err(_) => {}
        }
        path
    }

    /// Makes a file as a further name of one with the same content; false where that cannot be done.
    fn write_shared(&self, path: &str, content: &[u8]) -> bool {
        // File systems limit the names of one file, the lowest limit in use being that of ext4.
        const MOST_NAMES: u32 = 60_000;
        let mut shared = self.shared.lock().expect("no test that panicked goes on");
        if let Some((original, names)) = shared.get_mut(content)
            && *names < MOST_NAMES
            && fs::hard_link(&*original, self.clear(path)).is_ok()
        {
            *names += 1;
            return true;
        }
        shared.insert(content.to_vec(), (self.root().join(path), 1));
        false
    }
}

impl Default for Tree {
    fn default() -> Self {
        Tree::new()
    }
}
