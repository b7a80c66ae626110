//! One PCI function with everything that was read of it.

use serde_json::Value;
use slotwise::{Device, DeviceType, ExtraInfo, PciAddress};

/// One PCI function as the kernel shows it.
///
/// `None` or an empty list means that the machine does not say, or that the attribute was not asked for (see
/// [`crate::Attributes`], which names the source file of each field below `parent_addr`). Numbers are as the kernel
/// gives them; a value by which the kernel says *unknown* (such as NUMA node -1) is `None`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Function {
    /// Its place on the bus: the name of its link in `/bus/pci/devices`.
    pub address: PciAddress,
    /// The vendor's id (`vendor`).
    pub vendor_id: u16,
    /// The product's id (`device`).
    pub product_id: u16,
    /// The class code, 24 bits (`class`).
    pub class: Option<u32>,
    /// What it is to SR-IOV.
    ///
    /// A PF has `sriov_totalvfs` above 0 or links `virtfnN`; a VF has the link `physfn`, and is `vdpa` while a vDPA
    /// device hangs below it.
    pub dev_type: DeviceType,
    /// The NUMA node (`numa_node`).
    pub numa_node: Option<u32>,
    /// The PF of a VF (`physfn`).
    pub parent_addr: Option<PciAddress>,
    /// The instance number that the firmware gives an onboard device.
    pub acpi_index: Option<u32>,
    /// The auxiliary devices below it, sorted.
    pub auxiliary_devices: Vec<String>,
    /// The serial number of its card.
    pub card_serial_number: Option<String>,
    /// The negotiated speed of its PCIe link, in the kernel's words.
    pub current_link_speed: Option<String>,
    /// The negotiated number of PCIe lanes.
    pub current_link_width: Option<u32>,
    /// The driver bound to it.
    pub driver: Option<String>,
    /// The only driver that may be bound to it.
    pub driver_override: Option<String>,
    /// Its IOMMU group; [`crate::Discovery::iommu_groups`] has the members.
    pub iommu_group: Option<u32>,
    /// The other functions in its IOMMU group, ordered; none of a group of over 256.
    pub iommu_group_members: Vec<PciAddress>,
    /// The operational state of its first netdev.
    pub link_state: Option<String>,
    /// The kind of link of its first netdev: `ether`, `infiniband`, or another number of the kernel's `if_arp.h`.
    pub link_type: Option<String>,
    /// The CPUs near it, in the kernel's list form.
    pub local_cpulist: Option<String>,
    /// The MAC address of its first netdev; never of a VF.
    pub mac_address: Option<String>,
    /// The highest speed of its PCIe link, in the kernel's words.
    pub max_link_speed: Option<String>,
    /// The largest number of PCIe lanes.
    pub max_link_width: Option<u32>,
    /// Its own netdevs, sorted; without the representors of VFs.
    pub netdevs: Vec<String>,
    /// The first netdev of its PF.
    pub parent_ifname: Option<String>,
    /// The bridges between its host bridge and it, the root port first.
    pub pci_path: Vec<PciAddress>,
    /// Its host bridge, such as `pci0000:00`.
    pub pcie_root: Option<String>,
    /// The first partition key of its first RDMA device.
    pub pkey: Option<u16>,
    /// Its RDMA devices, sorted.
    pub rdma_devices: Vec<String>,
    /// The netdev on its PF that represents it in switchdev mode.
    pub representor: Option<String>,
    /// Its revision.
    pub revision: Option<u8>,
    /// How many VFs it has.
    pub sriov_numvfs: Option<u16>,
    /// How many VFs it can have.
    pub sriov_totalvfs: Option<u16>,
    /// The product id of its VFs.
    pub sriov_vf_device: Option<u16>,
    /// The subsystem id.
    pub subsystem_device: Option<u16>,
    /// The vendor id of the subsystem.
    pub subsystem_vendor: Option<u16>,
    /// Its vDPA devices, sorted.
    pub vdpa_devices: Vec<String>,
    /// The driver of its first vDPA device: `vhost_vdpa` or `virtio_vdpa`.
    pub vdpa_driver: Option<String>,
    /// Its number on its PF.
    pub vf_index: Option<u32>,
}

impl Function {
    /// A function of which nothing but address and ids is known.
    pub(crate) fn new(address: PciAddress, vendor_id: u16, product_id: u16) -> Self {
        Function {
            address,
            vendor_id,
            product_id,
            class: None,
            dev_type: DeviceType::Pci,
            numa_node: None,
            parent_addr: None,
            acpi_index: None,
            auxiliary_devices: Vec::new(),
            card_serial_number: None,
            current_link_speed: None,
            current_link_width: None,
            driver: None,
            driver_override: None,
            iommu_group: None,
            iommu_group_members: Vec::new(),
            link_state: None,
            link_type: None,
            local_cpulist: None,
            mac_address: None,
            max_link_speed: None,
            max_link_width: None,
            netdevs: Vec::new(),
            parent_ifname: None,
            pci_path: Vec::new(),
            pcie_root: None,
            pkey: None,
            rdma_devices: Vec::new(),
            representor: None,
            revision: None,
            sriov_numvfs: None,
            sriov_totalvfs: None,
            sriov_vf_device: None,
            subsystem_device: None,
            subsystem_vendor: None,
            vdpa_devices: Vec::new(),
            vdpa_driver: None,
            vf_index: None,
        }
    }

    /// What is known beyond the named fields of a [`Device`], under the names of [`crate::Attributes::TABLE`].
    ///
    /// What is unknown has no entry. Lists are JSON arrays, ids hexadecimal without `0x`, counts decimal.
    #[must_use]
    pub fn extra_info(&self) -> ExtraInfo {
        let mut info = ExtraInfo::new();
        let mut put = |key: &str, text: Option<String>| {
            if text.is_some() {
                // No text here is over the engine's limits: reads are bounded and lists are cut (`Reader::cut`).
                let within_limits = info.insert(key, text);
                debug_assert!(within_limits.is_ok(), "{within_limits:?}");
            }
        };
        let list = |names: &[String]| (!names.is_empty()).then(|| Value::from(names).to_string());
        let decimal = |number: Option<u32>| number.map(|n| n.to_string());
        let hex = |id: Option<u16>| id.map(|id| format!("{id:04x}"));
        let addresses = |of: &[PciAddress]| list(&of.iter().map(ToString::to_string).collect::<Vec<_>>());

        put("acpi_index", decimal(self.acpi_index));
        put("auxiliary_devices", list(&self.auxiliary_devices));
        put("card_serial_number", self.card_serial_number.clone());
        put("current_link_speed", self.current_link_speed.clone());
        put("current_link_width", decimal(self.current_link_width));
        put("driver", self.driver.clone());
        put("driver_override", self.driver_override.clone());
        put("iommu_group", decimal(self.iommu_group));
        put("iommu_group_members", addresses(&self.iommu_group_members));
        put("link_state", self.link_state.clone());
        put("link_type", self.link_type.clone());
        put("local_cpulist", self.local_cpulist.clone());
        put("mac_address", self.mac_address.clone());
        put("max_link_speed", self.max_link_speed.clone());
        put("max_link_width", decimal(self.max_link_width));
        put("netdevs", list(&self.netdevs));
        put("parent_ifname", self.parent_ifname.clone());
        put("pci_path", addresses(&self.pci_path));
        put("pcie_root", self.pcie_root.clone());
        put("pkey", hex(self.pkey));
        put("rdma_devices", list(&self.rdma_devices));
        put("representor", self.representor.clone());
        put("revision", self.revision.map(|revision| format!("{revision:02x}")));
        put("sriov_numvfs", decimal(self.sriov_numvfs.map(u32::from)));
        put("sriov_totalvfs", decimal(self.sriov_totalvfs.map(u32::from)));
        put("sriov_vf_device", hex(self.sriov_vf_device));
        put("subsystem_device", hex(self.subsystem_device));
        put("subsystem_vendor", hex(self.subsystem_vendor));
        put("vdpa_devices", list(&self.vdpa_devices));
        put("vdpa_driver", self.vdpa_driver.clone());
        put("vf_index", decimal(self.vf_index));
        info
    }
}

impl From<&Function> for Device {
    fn from(function: &Function) -> Self {
        let vendor_id = format!("{:04x}", function.vendor_id);
        let product_id = format!("{:04x}", function.product_id);
        let mut device = Device::new(function.address, vendor_id, product_id);
        device.class = function.class.map(|class| format!("{class:06x}"));
        device.dev_type = function.dev_type;
        device.numa_node = function.numa_node;
        device.parent_addr = function.parent_addr;
        device.extra_info = function.extra_info();
        device
    }
}
