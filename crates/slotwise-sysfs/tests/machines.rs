//! Discovery on the running kernel's sysfs, and on snapshots of real machines where they are at hand.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use slotwise_sysfs::{Attributes, Discovery, Sysfs};

/// Compares a discovery with plain reads of the same files; gives the number of functions.
#[track_caller]
fn check_against_plain_reads(root: &Path, discovery: &Discovery) -> usize {
    let bus = root.join("bus/pci/devices");
    let listed: BTreeSet<String> = std::fs::read_dir(&bus)
        .expect("a PCI bus")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let found: BTreeSet<String> = discovery.functions.iter().map(|f| f.address.to_string()).collect();
    assert_eq!(found, listed);
    assert_eq!(discovery.functions.len(), listed.len(), "each once");
    for device in discovery.devices() {
        device.validate().expect("a valid device");
        let dir = bus.join(device.address.to_string());
        let text =
            |name: &str| std::fs::read_to_string(dir.join(name)).ok().map(|text| text.trim().to_owned());
        assert_eq!(Some(format!("0x{}", device.vendor_id)), text("vendor"));
        assert_eq!(Some(format!("0x{}", device.product_id)), text("device"));
        assert_eq!(device.class.map(|class| format!("0x{class}")), text("class"));
        let node = text("numa_node").filter(|node| node != "-1");
        assert_eq!(device.numa_node.map(|node| node.to_string()), node);
        let driver = std::fs::read_link(dir.join("driver")).ok();
        let driver = driver.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        assert_eq!(device.extra_info.text("driver"), driver);
        assert_eq!(device.extra_info.text("revision").map(|text| format!("0x{text}")), text("revision"));
        assert_eq!(device.extra_info.text("local_cpulist"), text("local_cpulist").as_deref());
        assert!(device.extra_info.text("pcie_root").is_some_and(|text| text.starts_with("pci")));
    }
    listed.len()
}

#[test]
fn this_machine() {
    let sysfs = Sysfs::default();
    if !sysfs.root().join("bus/pci/devices").is_dir() {
        println!("skipped: this machine has no /sys/bus/pci/devices");
        return;
    }
    let discovery = sysfs.clone().attributes(Attributes::ALL).discover().expect("a readable /sys");
    let count = check_against_plain_reads(sysfs.root(), &discovery);
    println!("{count} functions, {} warnings: {:?}", discovery.warnings.len(), discovery.warnings);
    if let Some(topology) = sysfs.numa_topology() {
        for cell in topology.cells() {
            assert!(sysfs.root().join(format!("devices/system/node/node{}", cell.id)).is_dir());
        }
    }
}

/// Unpacks a snapshot, reads it strictly, and checks its number of functions and its NUMA nodes with their sockets.
#[track_caller]
fn check_snapshot(name: &str, functions: usize, sockets: &[(u32, Option<u32>)]) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sysfs").join(name);
    if !archive.is_file() {
        println!("skipped: there is no {}", archive.display());
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir.path()).status();
    assert!(status.expect("the command tar").success(), "tar failed on {}", archive.display());
    let sysfs = Sysfs::new(dir.path().join("sys")).attributes(Attributes::ALL).strict(true);
    let discovery = sysfs.discover().expect("a sound snapshot");
    assert_eq!(check_against_plain_reads(sysfs.root(), &discovery), functions);
    let topology = sysfs.numa_topology().expect("a topology");
    let cells: Vec<_> = topology.cells().iter().map(|cell| (cell.id, cell.socket)).collect();
    assert_eq!(cells, sockets);
}

#[test]
fn a_desktop() {
    check_snapshot("desktop-23-functions.tar.gz", 23, &[(0, Some(0))]);
}

#[test]
fn a_machine_with_an_accelerator() {
    check_snapshot("nvidia-accelerator.tar.gz", 29, &[(0, Some(0))]);
}

#[test]
fn a_server_with_two_sockets() {
    check_snapshot("server-82-functions.tar.gz", 82, &[(0, Some(1)), (1, Some(0))]);
}
