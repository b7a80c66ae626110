//! Random trees: sound ones are read back as they were written, unsound ones never do harm.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use slotwise::{Device, DeviceType, PciAddress};
use slotwise_sysfs::testing::{FunctionSpec, Tree, vf_address};
use slotwise_sysfs::{Attributes, Sysfs};

/// Cases that failed are kept beside this file and tried first from then on. A long run is started with
/// `PROPTEST_CASES=100000 cargo test -p slotwise-sysfs --test random_trees`.
fn config(cases: u32) -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    let default = ProptestConfig::default();
    // The default is what the environment says, where it says anything.
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    ProptestConfig { cases, failure_persistence: Some(Box::new(kept)), ..default }
}

/// A slot of the random machine: the facts of a function, and of the VFs it may have.
#[derive(Clone, Debug)]
struct Slot {
    vendor: u16,
    product: u16,
    class: u32,
    numa_node: i32,
    group: Option<u32>,
    driver: Option<String>,
    netdevs: BTreeSet<String>,
    /// How many VFs it can have, and which it has with their product id; a plain function without.
    sriov: Option<(u16, BTreeMap<u16, u16>)>,
}

fn slot() -> impl Strategy<Value = Slot> {
    let sriov = (8u16..64, btree_map(0u16..8, any::<u16>(), 0..5));
    let facts = (any::<u16>(), any::<u16>(), 0u32..=0xff_ffff, -1i32..8);
    let more = (
        proptest::option::of(any::<u32>()),
        proptest::option::of("[a-z_]{1,12}"),
        btree_set("[a-z]{1,5}[0-9]{1,3}", 0..3),
        proptest::option::of(sriov),
    );
    (facts, more).prop_map(|((vendor, product, class, numa_node), (group, driver, netdevs, sriov))| Slot {
        vendor,
        product,
        class,
        numa_node,
        group,
        driver,
        netdevs,
        sriov,
    })
}

fn list(names: &BTreeSet<String>) -> String {
    serde_json::to_string(names).expect("JSON")
}

proptest! {
    #![proptest_config(config(32))]

    /// The model is the machine that was written: each device, fact by fact.
    #[test]
    fn what_was_written_is_read(slots in btree_map(1u8..255, slot(), 0..6)) {
        let tree = Tree::new();
        let mut expect: BTreeMap<PciAddress, Device> = BTreeMap::new();
        for (bus, slot) in &slots {
            let address = PciAddress::new(0, *bus, 0, 0).expect("in range");
            let mut spec = FunctionSpec::new(address.to_string())
                .behind(&["0000:00:1c.0"])
                .ids(slot.vendor, slot.product)
                .class(slot.class)
                .numa_node(slot.numa_node);
            let device = |address, product| {
                let mut device = Device::new(address, format!("{:04x}", slot.vendor), format!("{product:04x}"));
                device.class = Some(format!("{:06x}", slot.class));
                device.numa_node = u32::try_from(slot.numa_node).ok();
                device.extra_info.insert("pcie_root", Some("pci0000:00".into())).expect("a text");
                device
            };
            let mut own = device(address, slot.product);
            let mut put = |key: &str, text: Option<String>| {
                if text.is_some() {
                    own.extra_info.insert(key, text).expect("a text");
                }
            };
            if let Some(group) = slot.group {
                spec = spec.iommu_group(group);
                put("iommu_group", Some(group.to_string()));
            }
            if let Some(driver) = &slot.driver {
                spec = spec.driver(driver);
                put("driver", Some(driver.clone()));
            }
            for (i, name) in slot.netdevs.iter().enumerate() {
                spec = spec.netdev(name, &format!("02:00:00:00:00:{:02x}", i + 1));
                put("mac_address", Some("02:00:00:00:00:01".into()));
                put("netdevs", Some(list(&slot.netdevs)));
            }
            let Some((total, vfs)) = &slot.sriov else {
                tree.add(&spec);
                expect.insert(address, own);
                continue;
            };
            let vf_device = vfs.values().next().copied().unwrap_or(1);
            put("sriov_vf_device", Some(format!("{vf_device:04x}")));
            own.dev_type = DeviceType::Pf;
            expect.insert(address, own);
            tree.add(&spec.sriov(*total, vfs.len() as u16, vf_device));
            for (index, product) in vfs {
                let spec = FunctionSpec::new("").ids(slot.vendor, *product).class(slot.class);
                tree.add_vf(&address.to_string(), *index, &spec.numa_node(slot.numa_node));
                let mut vf = device(vf_address(address, *index), *product);
                vf.dev_type = DeviceType::Vf;
                vf.parent_addr = Some(address);
                vf.extra_info.insert("vf_index", Some(index.to_string())).expect("a text");
                let ifname = slot.netdevs.first().cloned();
                if ifname.is_some() {
                    vf.extra_info.insert("parent_ifname", ifname).expect("a text");
                }
                expect.insert(vf.address, vf);
            }
        }
        let discovery = Sysfs::new(tree.root()).strict(true).discover();
        let devices = discovery.map(|discovery| discovery.devices());
        prop_assert_eq!(devices, Ok(expect.into_values().collect::<Vec<_>>()));
    }
}

/// What a random entry of an unsound tree is.
#[derive(Clone, Debug)]
enum Entry {
    File(Vec<u8>),
    Directory,
    Link(&'static str),
}

const ADDRESSES: &[&str] = &["0000:00:01.0", "0000:00:01.1", "0000:00:02.0", "10000:00:00.0"];

const NAMES: &[&str] = &[
    "vendor",
    "device",
    "class",
    "numa_node",
    "physfn",
    "virtfn0",
    "virtfn1",
    "virtfn99999999999",
    "net",
    "net/eth0",
    "net/eth0/address",
    "net/eth0/phys_port_name",
    "net/eth1/phys_port_name",
    "net/eth0/operstate",
    "virtio0/net/eth2",
    "infiniband",
    "infiniband/mlx5_0",
    "vdpa0",
    "vpd",
    "driver",
    "iommu_group",
    "sriov_totalvfs",
    "sriov_numvfs",
    "sriov_vf_device",
    "revision",
    "acpi_index",
    "current_link_speed",
    "current_link_width",
    "driver_override",
    "local_cpulist",
    "subsystem_vendor",
];

const TARGETS: &[&str] = &[
    "",
    "/",
    ".",
    "..",
    "../0000:00:01.0",
    "../0000:00:01.1",
    "../0000:00:02.0",
    "../10000:00:00.0",
    "../0:0:0.0",
    "self",
    "nowhere",
    "/dev/null",
    "/dev/zero",
    "../../../../devices/pci0000:00/0000:00:01.0",
    "\u{fffd}/é",
    "../../../kernel/iommu_groups/7",
];

fn entry() -> impl Strategy<Value = Entry> {
    let plausible = prop_oneof![
        Just(&b"0x15b3\n"[..]),
        Just(&b"0\n"[..]),
        Just(&b"1\n"[..]),
        Just(&b"-1\n"[..]),
        Just(&b"pf0vf0\n"[..]),
        Just(&b"0c:42:a1:00:00:01\n"[..]),
        Just(&b""[..]),
        Just(&b"\xff\xff"[..]),
        Just(&b"99999999999999999999\n"[..]),
    ];
    prop_oneof![
        6 => plausible.prop_map(|bytes| Entry::File(bytes.to_vec())),
        2 => vec(any::<u8>(), 0..40).prop_map(Entry::File),
        1 => Just(Entry::File(vec![b'7'; 100_000])),
        1 => Just(Entry::Directory),
        3 => proptest::sample::select(TARGETS).prop_map(Entry::Link),
    ]
}

proptest! {
    #![proptest_config(config(128))]

    /// Functions are written soundly, then random entries of theirs, of the bus and beside it are replaced.
    #[test]
    fn an_unsound_tree_yields_sound_functions_or_warnings(
        listed in btree_set(proptest::sample::select(ADDRESSES), 0..4),
        entries in vec((proptest::sample::select(ADDRESSES), proptest::sample::select(NAMES), entry()), 0..24),
        on_bus in vec((prop_oneof![4 => proptest::sample::select(ADDRESSES).prop_map(str::to_owned), 1 => "[^/\0]{1,9}"],
            entry()), 0..3),
        children in vec((prop_oneof![Just("vdpa"), Just("auxiliary")], "[a-z]{1,3}", entry()), 0..3),
    ) {
        let tree = Tree::new();
        for address in &listed {
            tree.add(&FunctionSpec::new(*address));
        }
        let put = |path: &str, entry: &Entry| match entry {
            Entry::File(bytes) => tree.write(path, bytes),
            Entry::Directory => { tree.delete(path); tree.mkdir(path) }
            // An empty target cannot be made.
            Entry::Link("") => tree.delete(path),
            Entry::Link(target) => tree.link(path, target),
        };
        for (address, name, entry) in &entries {
            // Entries below something that is no directory (any more) cannot be made.
            let path = format!("devices/pci0000:00/{address}/{name}");
            let parent = tree.root().join(&path).parent().map(std::path::Path::to_owned).expect("a parent");
            let inside = parent.ancestors().find(|up| up.symlink_metadata().is_ok()).expect("the root");
            if inside.symlink_metadata().expect("metadata").is_dir() {
                put(&path, entry);
            }
        }
        for (name, entry) in on_bus.iter().filter(|(name, _)| name != "." && name != "..") {
            put(&format!("bus/pci/devices/{name}"), entry);
        }
        for (bus, name, entry) in &children {
            put(&format!("bus/{bus}/devices/{name}"), entry);
        }

        let sysfs = Sysfs::new(tree.root()).attributes(Attributes::ALL);
        let discovery = sysfs.clone().discover().expect("the root is sound");
        prop_assert_eq!(sysfs.clone().strict(true).discover().is_err(), !discovery.warnings.is_empty());
        prop_assert!(discovery.functions.windows(2).all(|pair| pair[0].address < pair[1].address));
        for (function, device) in discovery.functions.iter().zip(discovery.devices()) {
            prop_assert!(device.validate().is_ok(), "{:?}", device);
            let parsed = slotwise::json::parse::<Device>(&slotwise::json::to_string(&device), "device");
            prop_assert_eq!(parsed, Ok(device));
            prop_assert_eq!(function.dev_type.has_parent(), function.parent_addr.is_some());
            if let Some(parent) = function.parent_addr {
                prop_assert_eq!(discovery.function(parent).map(|pf| pf.dev_type), Some(DeviceType::Pf));
            }
        }
        // What is on the bus is either listed or spoken of.
        for entry in std::fs::read_dir(tree.root().join("bus/pci/devices")).expect("the bus") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            let is_listed = name.parse().is_ok_and(|at| discovery.function(at).is_some());
            let is_spoken_of = discovery.warnings.iter().any(|warning| warning.path.starts_with(&path));
            prop_assert!(is_listed || is_spoken_of, "{}", name);
        }
        let narrow = sysfs.attributes(Attributes::NONE).discover().expect("the root is sound");
        prop_assert!(narrow.warnings.len() <= discovery.warnings.len());
        prop_assert!(Sysfs::new(tree.root()).numa_topology().is_none());
    }
}
