//! Discovery on synthetic trees in the kernel's shape, sound and unsound.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use slotwise::{DeviceType, NumaTopology, PciAddress};
use slotwise_sysfs::testing::{FunctionSpec, Tree, vf_address};
use slotwise_sysfs::{Attributes, DiscoverError, Discovery, Function, Sysfs};

const PF: &str = "0000:01:00.0";
const VF0: &str = "0000:01:00.1";
const VF2: &str = "0000:01:00.3";
const LONE: &str = "0000:00:02.0";

fn address(text: &str) -> PciAddress {
    text.parse().expect("an address")
}

/// Everything there is to read; no warning may be given.
#[track_caller]
fn read_all(tree: &Tree) -> Discovery {
    Sysfs::new(tree.root()).attributes(Attributes::ALL).strict(true).discover().expect("a sound tree")
}

#[track_caller]
fn function<'a>(discovery: &'a Discovery, text: &str) -> &'a Function {
    discovery.function(address(text)).unwrap_or_else(|| panic!("{text} is not listed"))
}

/// The warnings as `path below bus/pci/devices: message`.
fn warnings(tree: &Tree, discovery: &Discovery) -> Vec<String> {
    let bus = tree.root().join("bus/pci/devices");
    let shown = |warning: &slotwise_sysfs::Warning| {
        let path = warning.path.strip_prefix(&bus).unwrap_or(&warning.path);
        format!("{}: {}", path.display(), warning.message)
    };
    discovery.warnings.iter().map(shown).collect()
}

/// Reads everything of a tree that gives exactly these warnings, which a strict reading makes an error.
#[track_caller]
fn read_with_warnings(tree: &Tree, expect: &[&str]) -> Discovery {
    let sysfs = Sysfs::new(tree.root()).attributes(Attributes::ALL);
    let discovery = sysfs.clone().discover().expect("a readable root");
    assert_eq!(warnings(tree, &discovery), expect);
    let strict = sysfs.strict(true).discover();
    assert_eq!(strict, Err(DiscoverError::Strict(discovery.warnings.clone())));
    discovery
}

/// A card with four VFs and a function of its own.
fn machine() -> Tree {
    let tree = Tree::new();
    tree.add(&FunctionSpec::new("0000:00:01.0").ids(0x8086, 0x6f02).class(0x06_0400).driver("pcieport"));
    tree.add(&FunctionSpec::new(LONE).numa_node(1));
    tree.add_card(PF, 4);
    tree
}

#[test]
fn a_card_and_its_vfs() {
    let tree = machine();
    let discovery = read_all(&tree);
    let addresses: Vec<String> = discovery.functions.iter().map(|f| f.address.to_string()).collect();
    assert_eq!(
        addresses,
        ["0000:00:01.0", LONE, PF, VF0, "0000:01:00.2", VF2, "0000:01:00.4"],
        "ordered by address"
    );
    let pf = function(&discovery, PF);
    assert_eq!((pf.dev_type, pf.parent_addr, pf.numa_node), (DeviceType::Pf, None, Some(0)));
    assert_eq!((pf.sriov_totalvfs, pf.sriov_numvfs, pf.vf_index), (Some(4), Some(4), None));
    let vf = function(&discovery, VF2);
    assert_eq!((vf.dev_type, vf.parent_addr, vf.vf_index), (DeviceType::Vf, Some(address(PF)), Some(2)));
    assert_eq!((vf.parent_ifname.as_deref(), vf.mac_address.as_deref()), (Some("ens1f0"), None));
    assert_eq!(vf.pci_path, [address("0000:00:01.0")]);
    let lone = function(&discovery, LONE);
    assert_eq!((lone.dev_type, lone.numa_node, lone.iommu_group), (DeviceType::Pci, Some(1), None));
    assert_eq!(discovery.iommu_groups()[&4], [address(VF2)]);
}

#[test]
fn the_documents_that_the_engine_gets() {
    let tree = machine();
    let discovery = Sysfs::new(tree.root()).strict(true).discover().expect("a sound tree");
    let document =
        |at: &str| serde_json::to_value(slotwise::Device::from(function(&discovery, at))).expect("JSON");
    assert_eq!(
        document(PF),
        json!({
            "address": PF, "vendor_id": "15b3", "product_id": "1017", "dev_type": "type-PF", "numa_node": 0,
            "parent_addr": null, "class": "020000",
            "extra_info": {
                "card_serial_number": "MT2042X00001", "driver": "mlx5_core", "iommu_group": "1",
                "mac_address": "0c:42:a1:00:00:01", "netdevs": "[\"ens1f0\"]", "pcie_root": "pci0000:00",
                "sriov_vf_device": "1018",
            },
        })
    );
    assert_eq!(
        document(VF2),
        json!({
            "address": VF2, "vendor_id": "15b3", "product_id": "1018", "dev_type": "type-VF", "numa_node": 0,
            "parent_addr": PF, "class": "020000",
            "extra_info": {
                "card_serial_number": "MT2042X00001", "driver": "mlx5_core", "iommu_group": "4",
                "netdevs": "[\"ens1f0v2\"]", "parent_ifname": "ens1f0", "pcie_root": "pci0000:00", "vf_index": "2",
            },
        })
    );
    for device in discovery.devices() {
        device.validate().expect("a valid device");
        let again: slotwise::Device =
            slotwise::json::parse(&slotwise::json::to_string(&device), "device").expect("");
        assert_eq!(again, device);
    }
}

/// A machine on which every attribute of the table has a value somewhere.
fn full_machine() -> Tree {
    let tree = machine();
    let rich = FunctionSpec::new("0000:00:03.0")
        .file("acpi_index", "3\n")
        .file("current_link_speed", "8.0 GT/s PCIe\n")
        .file("current_link_width", "8\n")
        .file("max_link_speed", "16.0 GT/s PCIe\n")
        .file("max_link_width", "16\n")
        .file("driver_override", "vfio-pci\n")
        .file("infiniband/mlx5_0/node_type", "1: CA\n")
        .file("infiniband/mlx5_0/ports/1/pkeys/0", "0xffff\n")
        .iommu_group(1);
    tree.add(&rich);
    let pf_dir = tree.device_dir(PF);
    tree.write(&format!("{pf_dir}/net/ens1f0/phys_port_name"), "p0\n");
    tree.write(&format!("{pf_dir}/net/ens1f0r2/phys_port_name"), "pf0vf2\n");
    tree.add_child(VF0, "vdpa", "vdpa0");
    tree.link(&format!("{}/vdpa0/driver", tree.device_dir(VF0)), "../../../bus/vdpa/drivers/vhost_vdpa");
    tree.add_child(PF, "auxiliary", "mlx5_core.sf.4");
    tree
}

#[test]
fn every_attribute_of_the_table_is_produced_under_its_name() {
    let tree = full_machine();
    let discovery = read_all(&tree);
    let infos: Vec<_> = discovery.functions.iter().map(Function::extra_info).collect();
    let keys: BTreeSet<&str> = infos.iter().flat_map(|info| info.iter().map(|(key, _)| key)).collect();
    assert_eq!(keys, Attributes::TABLE.iter().map(|row| row.name).collect());
    let rich = function(&discovery, "0000:00:03.0").extra_info();
    for (key, text) in [
        ("acpi_index", "3"),
        ("current_link_speed", "8.0 GT/s PCIe"),
        ("current_link_width", "8"),
        ("driver_override", "vfio-pci"),
        ("iommu_group_members", "[\"0000:01:00.0\"]"),
        ("local_cpulist", "0-3"),
        ("max_link_width", "16"),
        ("pkey", "ffff"),
        ("rdma_devices", "[\"mlx5_0\"]"),
        ("revision", "02"),
        ("subsystem_device", "0001"),
        ("subsystem_vendor", "8086"),
    ] {
        assert_eq!(rich.text(key), Some(text), "{key}");
    }
    let pf = function(&discovery, PF);
    assert_eq!(
        (pf.link_state.as_deref(), &pf.auxiliary_devices[..]),
        (Some("up"), &["mlx5_core.sf.4".into()][..])
    );
    assert_eq!(pf.extra_info().text("pci_path"), Some("[\"0000:00:01.0\"]"));
    assert_eq!((pf.link_type.as_deref(), pf.iommu_group_members.len()), (Some("ether"), 1));
    assert_eq!(function(&discovery, VF0).vdpa_driver.as_deref(), Some("vhost_vdpa"));
}

#[test]
fn only_what_is_asked_for_is_read() {
    let tree = full_machine();
    let all = read_all(&tree);
    for row in Attributes::TABLE {
        let sysfs = Sysfs::new(tree.root()).attributes(row.attribute).strict(true);
        let discovery = sysfs.discover().expect("a sound tree");
        for (one, all) in discovery.functions.iter().zip(&all.functions) {
            let (info, full) = (one.extra_info(), all.extra_info());
            assert_eq!(info.len(), usize::from(full.get(row.name).is_some()), "{}: {info:?}", row.name);
            assert_eq!(info.get(row.name), full.get(row.name));
            assert_eq!((one.dev_type, one.parent_addr), (all.dev_type, all.parent_addr));
        }
    }
}

#[test]
fn a_file_that_is_not_asked_for_is_not_opened() {
    // Whatever is opened without need gives a warning here, as it cannot be read.
    let tree = machine();
    let dir = tree.device_dir(LONE);
    for name in
        ["driver_override", "local_cpulist", "revision", "subsystem_vendor", "vpd", "acpi_index", "config"]
    {
        tree.make_unreadable(&format!("{dir}/{name}"));
    }
    for name in ["driver", "iommu_group", "net", "infiniband"] {
        tree.link(&format!("{dir}/{name}"), name);
    }
    let discovery = Sysfs::new(tree.root()).attributes(Attributes::NONE).strict(true).discover();
    let discovery = discovery.expect("nothing of it is opened");
    assert!(function(&discovery, LONE).extra_info().is_empty());
    Sysfs::new(tree.root()).strict(true).discover().expect_err("the default opens some of it");
}

#[test]
fn a_missing_file_is_unknown_and_never_zero() {
    let tree = full_machine();
    for at in [PF, VF2, "0000:00:03.0"] {
        let dir = tree.device_dir(at);
        for row in Attributes::TABLE {
            if !row.source.contains(['/', '*', ',']) {
                tree.delete(&format!("{dir}/{}", row.source));
            }
        }
        tree.delete(&format!("{dir}/numa_node"));
        tree.delete(&format!("{dir}/net"));
        tree.delete(&format!("{dir}/infiniband"));
    }
    let discovery = read_all(&tree);
    let rich = function(&discovery, "0000:00:03.0");
    assert_eq!(rich.numa_node, None);
    assert_eq!(
        rich.extra_info(),
        slotwise::ExtraInfo::try_from([("pcie_root", "pci0000:00")]).expect("one text")
    );
    assert_eq!(function(&discovery, PF).dev_type, DeviceType::Pf, "its VFs tell");
    assert_eq!(function(&discovery, VF2).vf_index, Some(2));
}

#[test]
fn what_the_kernel_calls_unknown_is_unknown() {
    let tree = Tree::new();
    let spec = FunctionSpec::new(LONE)
        .numa_node(-1)
        .file("current_link_speed", "Unknown\n")
        .file("current_link_width", "0\n")
        .file("max_link_speed", "Unknown speed\n")
        .file("max_link_width", "255\n")
        .file("driver_override", "(null)\n")
        .file("local_cpulist", "\n")
        .file("net/eth0/address", "00:00:00:00:00:00\n")
        .file("net/eth0/operstate", "unknown\n")
        .file("vpd", [0xff; 64]);
    tree.add(&spec);
    let discovery = read_all(&tree);
    let info = function(&discovery, LONE).extra_info();
    let keys: Vec<&str> = info.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["netdevs", "pcie_root", "revision", "subsystem_device", "subsystem_vendor"]);
    assert_eq!(function(&discovery, LONE).numa_node, None);
}

/// One file of one function is replaced; the warning names it, and `unknown` says that its value is absent.
#[track_caller]
fn check_malformed(at: &str, file: &str, content: &[u8], message: &str, unknown: fn(&Function) -> bool) {
    let tree = full_machine();
    tree.write(&format!("{}/{file}", tree.device_dir(at)), content);
    let discovery = read_with_warnings(&tree, &[&format!("{at}/{file}: {message}")]);
    assert!(unknown(function(&discovery, at)), "{file}: {:?}", function(&discovery, at));
}

#[test]
fn malformed_files_are_named_and_left_unknown() {
    let rich = "0000:00:03.0";
    check_malformed(
        LONE,
        "class",
        b"0x1020000\n",
        r#"holds "0x1020000", which is not a hexadecimal class"#,
        |f| f.class.is_none(),
    );
    check_malformed(LONE, "numa_node", b"-2\n", r#"holds "-2", which is not a node number or -1"#, |f| {
        f.numa_node.is_none()
    });
    check_malformed(
        LONE,
        "numa_node",
        b"4294967296\n",
        r#"holds "4294967296", which is not a node number or -1"#,
        |f| f.numa_node.is_none(),
    );
    check_malformed(LONE, "numa_node", b"\xff\xfe\n", "is not UTF-8 text", |f| f.numa_node.is_none());
    check_malformed(
        LONE,
        "numa_node",
        &[b'1'; 70_000],
        "cannot be read: it is larger than 65536 bytes",
        |f| f.numa_node.is_none(),
    );
    check_malformed(LONE, "revision", b"", r#"holds "", which is not a hexadecimal revision"#, |f| {
        f.revision.is_none()
    });
    check_malformed(
        LONE,
        "subsystem_vendor",
        b"0x80861\n",
        r#"holds "0x80861", which is not a hexadecimal id"#,
        |f| f.subsystem_vendor.is_none(),
    );
    check_malformed(LONE, "local_cpulist", b"0-\0\n", r#"holds "0-\0", which is not printable text"#, |f| {
        f.local_cpulist.is_none()
    });
    check_malformed(rich, "current_link_width", b"wide\n", r#"holds "wide", which is not a number"#, |f| {
        f.current_link_width.is_none()
    });
    check_malformed(PF, "sriov_numvfs", b"65536\n", r#"holds "65536", which is not a count"#, |f| {
        f.sriov_numvfs.is_none()
    });
    check_malformed(PF, "sriov_totalvfs", b"many\n", r#"holds "many", which is not a count"#, |f| {
        f.sriov_totalvfs.is_none() && f.dev_type == DeviceType::Pf
    });
    check_malformed(
        PF,
        "net/ens1f0/address",
        b"0c:42\nx\n",
        "holds \"0c:42\\nx\", which is not a hardware address",
        |f| f.mac_address.is_none(),
    );
    check_malformed(
        LONE,
        "vpd",
        b"\x82\xff\xff",
        "holds no vital product data: a resource is longer than the data",
        |f| f.card_serial_number.is_none(),
    );
}

#[test]
fn unreadable_files_are_named_and_left_unknown() {
    let tree = full_machine();
    let dir = tree.device_dir(PF);
    for name in ["numa_node", "sriov_totalvfs", "net/ens1f0/operstate", "vpd"] {
        tree.make_unreadable(&format!("{dir}/{name}"));
    }
    tree.write(&format!("{dir}/infiniband"), "");
    let discovery = read_with_warnings(
        &tree,
        &[
            "0000:01:00.0/numa_node: cannot be read: is a directory",
            "0000:01:00.0/sriov_totalvfs: cannot be read: is a directory",
            "0000:01:00.0/infiniband: cannot be read: not a directory",
            "0000:01:00.0/net/ens1f0/operstate: cannot be read: is a directory",
        ],
    );
    let pf = function(&discovery, PF);
    assert_eq!((pf.dev_type, pf.numa_node, pf.sriov_totalvfs), (DeviceType::Pf, None, None));
    assert_eq!(pf.card_serial_number, None, "vital product data is for root only, which deserves no warning");
}

#[test]
fn a_function_without_ids_is_left_out() {
    let tree = machine();
    tree.delete(&format!("{}/vendor", tree.device_dir(LONE)));
    tree.write(&format!("{}/device", tree.device_dir("0000:00:01.0")), "none\n");
    tree.delete(&format!("{}/class", tree.device_dir(VF0)));
    let discovery = read_with_warnings(
        &tree,
        &[
            r#"0000:00:01.0/device: holds "none", which is not a hexadecimal id"#,
            "0000:00:02.0/vendor: is missing",
            "0000:01:00.1/class: is missing",
        ],
    );
    assert_eq!(discovery.functions.len(), 5);
    assert_eq!(function(&discovery, VF0).class, None);
}

#[test]
fn a_vf_without_a_sound_pf_is_left_out() {
    let tree = machine();
    tree.add(&FunctionSpec::new("0000:02:00.0").link("physfn", "../0000:02:00.0"));
    tree.add(&FunctionSpec::new("0000:02:00.1").link("physfn", "../nowhere"));
    tree.add(&FunctionSpec::new("0000:02:00.2").link("physfn", format!("../{VF0}")));
    tree.add(&FunctionSpec::new("0000:02:00.3").link("physfn", "../0000:07:00.0"));
    tree.add(&FunctionSpec::new("0000:02:00.4").file("physfn", "0000:01:00.0"));
    let sound = machine();
    let discovery = read_with_warnings(
        &tree,
        &[
            r#"0000:02:00.1/physfn: leads to "nowhere", which is not a PCI function; left out"#,
            "0000:02:00.4/physfn: cannot be read: invalid argument",
            "0000:02:00.0/physfn: leads to 0000:02:00.0, which is not listed as a physical function; left out",
            "0000:02:00.2/physfn: leads to 0000:01:00.1, which is not listed as a physical function; left out",
            "0000:02:00.3/physfn: leads to 0000:07:00.0, which is not listed as a physical function; left out",
        ],
    );
    assert_eq!(discovery.functions, read_all(&sound).functions);

    let tree = machine();
    tree.delete(&format!("{}/vendor", tree.device_dir(PF)));
    let discovery = Sysfs::new(tree.root()).discover().expect("a readable root");
    assert_eq!((discovery.functions.len(), discovery.warnings.len()), (2, 5), "{:?}", discovery.warnings);
}

#[test]
fn odd_entries_on_the_bus() {
    let tree = machine();
    tree.link("bus/pci/devices/0000:05:00.0", "../../../devices/pci0000:00/0000:05:00.0");
    tree.link("bus/pci/devices/0000:05:00.1", &format!("../../../{}", tree.device_dir(LONE)));
    tree.link("bus/pci/devices/0000:05:00.2", "0000:05:00.2");
    tree.write("bus/pci/devices/0000:05:00.3", "a file");
    tree.link("bus/pci/devices/0:0:2.0", &format!("../../../{}", tree.device_dir(LONE)));
    let odd = tree.root().join("bus/pci/devices").join(std::ffi::OsStr::from_bytes(b"0000:\xff\n"));
    std::fs::write(odd, "").expect("an odd name");
    let discovery = read_with_warnings(
        &tree,
        &[
            "0000:\u{fffd}\n: is not named by a PCI address",
            "0:0:2.0: is not named by a PCI address",
            "0000:05:00.0: is missing",
            r#"0000:05:00.1: leads to "../../../devices/pci0000:00/0000:00:02.0", which is not its device; left out"#,
            "0000:05:00.2: cannot be read: too many levels of symbolic links (e.g. in case of a symlink loop)",
            "0000:05:00.3: cannot be read: not a directory",
        ]
        .map(|text| text.replace(" (e.g. in case of a symlink loop)", ""))
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
    );
    assert_eq!(discovery.functions, read_all(&machine()).functions);
}

#[test]
fn odd_names_below_a_function() {
    let tree = machine();
    let dir = tree.device_dir(LONE);
    for name in ["quote\"d", "sp ace", "ünï", "bonding_masters"] {
        tree.mkdir(&format!("{dir}/net/{name}"));
    }
    tree.delete(&format!("{dir}/net/bonding_masters"));
    tree.write(&format!("{dir}/net/bonding_masters"), "no netdev");
    let odd = tree.root().join(&dir).join("net").join(std::ffi::OsStr::from_bytes(b"\xfe"));
    std::fs::create_dir(odd).expect("an odd name");
    tree.link(&format!("{dir}/iommu_group"), "../../kernel/iommu_groups/x");
    let discovery = read_with_warnings(
        &tree,
        &[
            r#"0000:00:02.0/iommu_group: leads to "x", which is not a group number"#,
            "0000:00:02.0/net/\u{fffd}: is not named in UTF-8",
            "0000:00:02.0/net/quote\"d/address: is missing",
            "0000:00:02.0/net/quote\"d/operstate: is missing",
        ],
    );
    let lone = function(&discovery, LONE);
    assert_eq!(lone.extra_info().value("netdevs"), Some(json!(["quote\"d", "sp ace", "ünï"])));
}

#[test]
fn a_list_over_the_engines_limit_is_cut() {
    let tree = machine();
    let dir = tree.device_dir(LONE);
    for i in 0..400 {
        tree.mkdir(&format!("{dir}/infiniband/{}{i:03}", "x".repeat(200)));
    }
    let discovery =
        read_with_warnings(&tree, &["0000:00:02.0/infiniband: holds 400 names, of which only 318 are kept"]);
    let text = function(&discovery, LONE).extra_info().text("rdma_devices").map(str::len);
    assert!(text.is_some_and(|len| len <= slotwise::limits::MAX_TEXT_BYTES), "{text:?}");
}

#[test]
fn neither_a_pipe_nor_an_endless_file_holds_it_up() {
    let tree = machine();
    let dir = tree.device_dir(LONE);
    tree.delete(&format!("{dir}/numa_node"));
    let pipe = tree.root().join(&dir).join("numa_node");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    tree.link(&format!("{dir}/revision"), "/dev/zero");
    tree.link(&format!("{dir}/vpd"), "/dev/zero");
    read_with_warnings(
        &tree,
        &[
            r#"0000:00:02.0/numa_node: holds "", which is not a node number or -1"#,
            "0000:00:02.0/revision: cannot be read: it is larger than 65536 bytes",
        ],
    );
}

#[test]
fn netdevs_of_virtio_functions() {
    let tree = Tree::new();
    let spec =
        FunctionSpec::new(LONE).ids(0x1af4, 0x1041).file("virtio3/net/eth0/address", "52:54:00:00:00:01\n");
    tree.add(&spec.file("virtio3/net/eth0/operstate", "down\n").file("virtio3/status", "0x0000000f\n"));
    tree.add(&FunctionSpec::new("0000:00:03.0").ids(0x1af4, 0x1042).file("virtio4/status", "0x0000000f\n"));
    let discovery = read_all(&tree);
    let lone = function(&discovery, LONE);
    assert_eq!(lone.netdevs, ["eth0"]);
    assert_eq!(
        (lone.mac_address.as_deref(), lone.link_state.as_deref()),
        (Some("52:54:00:00:00:01"), Some("down"))
    );
    assert!(function(&discovery, "0000:00:03.0").netdevs.is_empty());
}

#[test]
fn vdpa_devices_below_vfs() {
    let tree = machine();
    tree.add_child(VF0, "vdpa", "vdpa0");
    // A vDPA device may be given any name when it is made.
    tree.add_child(VF2, "vdpa", "blue");
    tree.add_child(LONE, "vdpa", "vdpa7");
    tree.link("bus/vdpa/devices/sim", "../../../devices/virtual/sim");
    let discovery = read_all(&tree);
    let types: Vec<_> = [VF0, "0000:01:00.2", VF2, LONE].map(|at| function(&discovery, at).dev_type).into();
    assert_eq!(types, [DeviceType::Vdpa, DeviceType::Vf, DeviceType::Vdpa, DeviceType::Pci]);
    assert_eq!(function(&discovery, VF0).vdpa_devices, ["vdpa0"]);
    assert_eq!(function(&discovery, VF2).vdpa_devices, ["blue"]);
    assert_eq!(function(&discovery, VF2).vf_index, Some(2));
}

#[test]
fn representors_are_no_netdevs_of_the_pf() {
    let tree = machine();
    let dir = tree.device_dir(PF);
    tree.write(&format!("{dir}/net/ens1f0/phys_port_name"), "p0\n");
    for (name, port) in [("aaa0", "pf0vf0"), ("aaa2", "pf0vf2"), ("aaa9", "pf0sf9"), ("aab0", "c1pf0vf1")] {
        tree.write(&format!("{dir}/net/{name}/phys_port_name"), format!("{port}\n"));
    }
    let discovery = read_all(&tree);
    assert_eq!(function(&discovery, PF).netdevs, ["ens1f0"]);
    assert_eq!(function(&discovery, PF).mac_address.as_deref(), Some("0c:42:a1:00:00:01"));
    let of = |at| function(&discovery, at).representor.as_deref();
    assert_eq!([of(VF0), of("0000:01:00.2"), of(VF2)], [Some("aaa0"), None, Some("aaa2")]);
    assert_eq!(function(&discovery, VF0).parent_ifname.as_deref(), Some("ens1f0"));
}

#[test]
fn serial_numbers_of_vfs() {
    let tree = machine();
    let vf_dir = tree.device_dir(VF0);
    tree.write(&format!("{vf_dir}/vpd"), slotwise_sysfs::testing::vital_product_data("OWN"));
    let discovery = read_all(&tree);
    assert_eq!(
        function(&discovery, VF0).card_serial_number.as_deref(),
        Some("MT2042X00001"),
        "that of the card"
    );
    tree.delete(&format!("{}/vpd", tree.device_dir(PF)));
    let discovery = read_all(&tree);
    assert_eq!(function(&discovery, VF0).card_serial_number.as_deref(), Some("OWN"));
    assert_eq!(function(&discovery, VF2).card_serial_number, None);
}

#[test]
fn domains_above_16_bits() {
    let tree = Tree::new();
    let spec = FunctionSpec::new("10000:01:00.0").behind(&["0000:00:0e.0", "pci10000:00", "10000:00:02.0"]);
    tree.add(&spec);
    let discovery = read_all(&tree);
    let function = function(&discovery, "10000:01:00.0");
    assert_eq!(function.pcie_root.as_deref(), Some("pci0000:00"));
    assert_eq!(function.pci_path, [address("0000:00:0e.0"), address("10000:00:02.0")]);
}

#[test]
fn four_thousand_vfs() {
    let tree = Tree::new();
    let vfs = tree.add_card(PF, 4096);
    let discovery = Sysfs::new(tree.root()).strict(true).discover().expect("a sound tree");
    assert_eq!(discovery.functions.len(), 4097);
    assert_eq!(vfs[4095], vf_address(address(PF), 4095));
    for (index, at) in vfs.iter().enumerate() {
        let vf = discovery.function(*at).expect("a VF");
        assert_eq!((vf.vf_index, vf.parent_addr), (Some(index as u32), Some(address(PF))));
        assert_eq!((vf.netdevs.len(), vf.parent_ifname.as_deref()), (1, Some("ens1f0")));
    }
}

/// Raises a flag when it goes away, also in a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_device_that_comes_and_goes_is_no_error() {
    let tree = machine();
    let done = AtomicBool::new(false);
    let (mut with, mut without) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let spec =
                FunctionSpec::new("0000:00:04.0").netdev("eth7", "52:54:00:00:00:07").driver("virtio-pci");
            let vf = FunctionSpec::new("").ids(0x15b3, 0x1018);
            while !done.load(Ordering::Relaxed) {
                tree.add(&spec);
                let fifth = tree.add_vf(PF, 4, &vf).to_string();
                std::thread::sleep(Duration::from_millis(3));
                tree.remove("0000:00:04.0");
                tree.delete(&format!("{}/virtfn4", tree.device_dir(PF)));
                tree.remove(&fifth);
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let _stop = Stop(&done);
        let sysfs = Sysfs::new(tree.root()).attributes(Attributes::ALL).strict(true);
        for _ in 0..2000 {
            let discovery = sysfs.discover().expect("no warning");
            assert!(discovery.function(address(LONE)).is_some());
            match discovery.function(address("0000:00:04.0")) {
                Some(function) => {
                    // A netdev may be gone before its device is, but no file of the device is ever half read.
                    assert!(function.netdevs.iter().all(|name| name == "eth7"));
                    let facts = (function.driver.as_deref(), function.revision, function.class);
                    assert_eq!(facts, (Some("virtio-pci"), Some(2), Some(0x02_0000)));
                    with += 1;
                }
                None => without += 1,
            }
        }
    });
    assert!(with > 0 && without > 0, "seen {with} times, not seen {without} times");
}

#[test]
fn a_change_between_two_scans_shows() {
    let tree = machine();
    let before = read_all(&tree);
    assert_eq!(read_all(&tree), before, "nothing changed");
    let dir = tree.root().join(tree.device_dir(PF));
    std::fs::rename(dir.join("net/ens1f0"), dir.join("net/lan0")).expect("a rename");
    tree.write(&format!("{}/numa_node", tree.device_dir(PF)), "1\n");
    let after = read_all(&tree);
    assert_eq!(function(&after, VF0).parent_ifname.as_deref(), Some("lan0"));
    assert_eq!(function(&after, PF).numa_node, Some(1));
    assert_eq!(function(&after, LONE), function(&before, LONE));
}

#[test]
fn a_file_that_changes_between_two_reads_is_read_as_one_or_the_other() {
    let tree = machine();
    let dir = tree.root().join(tree.device_dir(PF));
    // As in sysfs, a reader has the old text or the new one, never a part.
    let put = |name: &str, text: &str| {
        std::fs::write(dir.join("next"), text).expect("a file");
        std::fs::rename(dir.join("next"), dir.join(name)).expect("a rename");
    };
    let done = AtomicBool::new(false);
    let mut seen = BTreeSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for (node, driver) in [("0\n", "mlx5_core"), ("-1\n", "vfio-pci"), ("1\n", "mlx5_core")] {
                    put("numa_node", node);
                    std::os::unix::fs::symlink(format!("../{driver}"), dir.join("next")).expect("a link");
                    std::fs::rename(dir.join("next"), dir.join("driver")).expect("a rename");
                    std::fs::rename(dir.join("net/ens1f0"), dir.join("net/lan0")).expect("a rename");
                    std::fs::rename(dir.join("net/lan0"), dir.join("net/ens1f0")).expect("a rename");
                }
            }
        });
        let _stop = Stop(&done);
        let sysfs = Sysfs::new(tree.root());
        for _ in 0..500 {
            let discovery = sysfs.discover().expect("a readable root");
            let pf = function(&discovery, PF);
            assert!(pf.netdevs.iter().all(|name| name == "ens1f0" || name == "lan0"), "{:?}", pf.netdevs);
            assert!(matches!(pf.driver.as_deref(), Some("mlx5_core" | "vfio-pci")), "{:?}", pf.driver);
            assert_eq!(discovery.functions.len(), 7, "nothing is left out for a change");
            seen.insert(pf.numa_node);
        }
    });
    assert!(seen.is_subset(&BTreeSet::from([None, Some(0), Some(1)])) && seen.len() > 1, "{seen:?}");
}

#[test]
fn one_function_by_its_address() {
    let tree = machine();
    let sysfs = Sysfs::new(tree.root()).strict(true);
    let all = sysfs.discover().expect("a sound tree");
    for at in [PF, VF2, LONE] {
        assert_eq!(sysfs.function(address(at)), Ok(all.function(address(at)).cloned()), "{at}");
    }
    assert_eq!(sysfs.function(address("0000:07:00.0")), Ok(None));
    // The others are not looked at.
    tree.delete(&format!("{}/vendor", tree.device_dir(LONE)));
    assert_eq!(sysfs.function(address(VF2)), Ok(all.function(address(VF2)).cloned()));
    assert!(matches!(sysfs.function(address(LONE)), Err(DiscoverError::Strict(_))));
}

#[test]
fn groups_that_are_too_large_to_list_are_named() {
    let tree = Tree::new();
    tree.add(&FunctionSpec::new(PF).sriov(256, 256, 0x1018).iommu_group(9));
    let vf = FunctionSpec::new("").ids(0x15b3, 0x1018).iommu_group(9);
    (0..256).for_each(|index| _ = tree.add_vf(PF, index, &vf));
    let discovery = Sysfs::new(tree.root()).attributes(Attributes::ALL).discover().expect("a readable root");
    assert_eq!(discovery.warnings.len(), 1, "{:?}", discovery.warnings);
    assert!(
        discovery.warnings[0]
            .to_string()
            .ends_with("kernel/iommu_groups/9 has 257 members, which are not listed: over 256")
    );
    assert!(discovery.functions.iter().all(|f| f.iommu_group == Some(9) && f.iommu_group_members.is_empty()));
}

#[test]
fn roots_that_are_none() {
    let check = |root: &std::path::Path, expect: &str| {
        let error = Sysfs::new(root).discover().expect_err("no sysfs");
        assert!(matches!(&error, DiscoverError::Root(_)), "{error:?}");
        assert!(error.to_string().ends_with(expect), "{error}");
        let error = slotwise::Error::from(error);
        assert_eq!(error.kind(), slotwise::ErrorKind::InvalidArgument);
        assert!(error.place().path.starts_with(root.to_str().expect("UTF-8")), "{error}");
        assert_eq!(Sysfs::new(root).numa_topology(), None);
    };
    let tree = Tree::new();
    check(&tree.root().join("nowhere"), "nowhere cannot be read: no such file or directory");
    tree.write("file", "");
    check(&tree.root().join("file"), "file cannot be read: not a directory");
    check(&tree.root().join("devices"), "bus cannot be read: no such file or directory");
    // A kernel without a PCI bus is not an error: there are no functions.
    assert_eq!(read_all(&tree), Discovery::default());
    tree.delete("bus/pci");
    assert_eq!(read_all(&tree), Discovery::default());
}

#[test]
fn strict_errors_name_the_first_file_and_count_the_rest() {
    let tree = machine();
    tree.write(&format!("{}/numa_node", tree.device_dir(LONE)), "x");
    tree.write(&format!("{}/numa_node", tree.device_dir(PF)), "y");
    let error = Sysfs::new(tree.root()).strict(true).discover().expect_err("two warnings");
    let path = tree.root().join("bus/pci/devices/0000:00:02.0/numa_node");
    let expect = format!("{} holds \"x\", which is not a node number or -1 (and 1 more)", path.display());
    assert_eq!(error.to_string(), expect);
    let error = slotwise::Error::from(error);
    assert_eq!(
        (error.kind(), &*error.place().path),
        (slotwise::ErrorKind::InvalidDevice, path.to_str().expect(""))
    );
}

#[test]
fn numa_topology_of_a_machine() {
    let tree = machine();
    let check = |expect: Option<&str>| {
        let expect = expect.map(|text| serde_json::from_str::<NumaTopology>(text).expect("a topology"));
        assert_eq!(Sysfs::new(tree.root()).numa_topology(), expect);
    };
    check(None);
    tree.add_node(0, 0, 0..4);
    tree.add_node(1, 1, 4..8);
    tree.add_node(10, -1, 8..9);
    tree.mkdir("devices/system/node/node2");
    tree.mkdir("devices/system/node/node0/memory7");
    tree.mkdir("devices/system/node/nodes");
    tree.write("devices/system/node/online", "0-2\n");
    // A CPU that is offline has no topology.
    tree.delete("devices/system/cpu/cpu4/topology");
    tree.write("devices/system/cpu/cpu5/topology/physical_package_id", "\u{0}garbage");
    check(Some(
        r#"{"cells": [{"id": 0, "socket": 0}, {"id": 1, "socket": 1}, {"id": 2, "socket": null},
            {"id": 10, "socket": null}]}"#,
    ));
    tree.delete("devices/system/node");
    check(None);
}
