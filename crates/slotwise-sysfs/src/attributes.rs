//! The table of attributes: their names, where they are read, and which of them are read unless asked otherwise.

use std::fmt;
use std::ops::{BitOr, BitOrAssign, Sub};

/// A set of attributes to read: only the files of these are opened.
///
/// What every device needs (`vendor`, `device`, `class`, `numa_node`, and what tells its type and parent) is always
/// read and has no name here. Each other attribute is one row of [`Attributes::TABLE`]; its name is also its key in
/// the extra info of the [`slotwise::Device`].
///
/// ```
/// use slotwise_sysfs::Attributes;
/// let wanted = Attributes::default() | Attributes::LINK_STATE;
/// assert!(wanted.contains(Attributes::NETDEVS));
/// assert_eq!(Attributes::named("link_state"), Some(Attributes::LINK_STATE));
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Attributes(u32);

/// One row of [`Attributes::TABLE`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attribute {
    /// The set that holds just this attribute.
    pub attribute: Attributes,
    /// Its name, which is its key in the extra info of a device.
    pub name: &'static str,
    /// Where it is read, relative to the function's directory unless it starts with `/` (the sysfs root).
    pub source: &'static str,
    /// Whether [`Attributes::default`] holds it.
    pub by_default: bool,
    /// What it says, and in what form.
    pub meaning: &'static str,
}

/// Expands the one table of attributes into constants, their documentation and [`Attributes::TABLE`].
macro_rules! attributes {
    ($($constant:ident $name:literal $source:literal $by_default:literal $meaning:literal,)+) => {
        /// The place of each attribute in the bit set.
        #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
        enum Bit { $($constant,)+ }

        impl Attributes {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, " Source: `", $source, "`.")]
                pub const $constant: Attributes = Attributes(1 << Bit::$constant as u32);
            )+

            /// Every attribute with its source file, in the order of the names.
            pub const TABLE: &'static [Attribute] = &[$(
                Attribute {
                    attribute: Attributes::$constant,
                    name: $name,
                    source: $source,
                    by_default: $by_default,
                    meaning: $meaning,
                },
            )+];
        }
    };
}

// The attributes that change while a device is merely used (link state, negotiated speed) are not read by default:
// each change of an attribute is a change that a caller has to store.
attributes! {
    ACPI_INDEX "acpi_index" "acpi_index" false "The instance number that the firmware gives an onboard device.",
    AUXILIARY_DEVICES "auxiliary_devices" "/bus/auxiliary/devices/*" false
        "The auxiliary devices (such as sub-functions) below the function, as a JSON array of names.",
    CARD_SERIAL_NUMBER "card_serial_number" "vpd" true
        "The serial number in the vital product data, readable by root only; a VF has that of its PF if there is one.",
    CURRENT_LINK_SPEED "current_link_speed" "current_link_speed" false
        "The negotiated speed of the PCIe link, such as `8.0 GT/s PCIe`.",
    CURRENT_LINK_WIDTH "current_link_width" "current_link_width" false "The negotiated number of PCIe lanes.",
    DRIVER "driver" "driver" true "The name of the driver that is bound to the function.",
    DRIVER_OVERRIDE "driver_override" "driver_override" false
        "The name of the only driver that may be bound to the function.",
    IOMMU_GROUP "iommu_group" "iommu_group" true
        "The number of the IOMMU group, whose members can only be handed out together.",
    IOMMU_GROUP_MEMBERS "iommu_group_members" "iommu_group" false
        "The addresses of the other functions in the IOMMU group, as a JSON array; not of groups of over 256.",
    LINK_STATE "link_state" "net/*/operstate" false
        "The operational state (RFC 2863) of the first netdev, such as `up` or `down`.",
    LINK_TYPE "link_type" "net/*/type" false
        "The kind of link of the first netdev: `ether`, `infiniband`, or another number of the kernel's `if_arp.h`.",
    LOCAL_CPULIST "local_cpulist" "local_cpulist" false "The CPUs that are near the function, such as `0-3,8-11`.",
    MAC_ADDRESS "mac_address" "net/*/address" true
        "The MAC address of the first netdev; not of a VF, whose owners set it as they like.",
    MAX_LINK_SPEED "max_link_speed" "max_link_speed" false "The highest speed of the PCIe link.",
    MAX_LINK_WIDTH "max_link_width" "max_link_width" false "The largest number of PCIe lanes.",
    NETDEVS "netdevs" "net/*, virtio*/net/*" true
        "The names of the function's own network interfaces (no representors), as a sorted JSON array.",
    PARENT_IFNAME "parent_ifname" "physfn, net/*" true "The first network interface of the PF of a VF.",
    PCI_PATH "pci_path" "/bus/pci/devices/*" false
        "The addresses of the bridges between host bridge and function, root port first, as a JSON array.",
    PCIE_ROOT "pcie_root" "/bus/pci/devices/*" true
        "The host bridge, such as `pci0000:00` (the standard device attribute `pcieRoot` of Kubernetes).",
    PKEY "pkey" "infiniband/*/ports/1/pkeys/0" false
        "The first partition key of the first RDMA device, as four hexadecimal digits.",
    RDMA_DEVICES "rdma_devices" "infiniband/*" false "The names of the RDMA devices, as a sorted JSON array.",
    REPRESENTOR "representor" "net/*/phys_port_name" false
        "The network interface on the PF that stands for the VF in switchdev mode.",
    REVISION "revision" "revision" false "The revision as two hexadecimal digits.",
    SRIOV_NUMVFS "sriov_numvfs" "sriov_numvfs" false "How many VFs a PF has at present.",
    SRIOV_TOTALVFS "sriov_totalvfs" "sriov_totalvfs" false "How many VFs a PF can have.",
    SRIOV_VF_DEVICE "sriov_vf_device" "sriov_vf_device" true
        "The product id of the VFs of a PF as four hexadecimal digits.",
    SUBSYSTEM_DEVICE "subsystem_device" "subsystem_device" false "The subsystem id as four hexadecimal digits.",
    SUBSYSTEM_VENDOR "subsystem_vendor" "subsystem_vendor" false
        "The vendor id of the subsystem as four hexadecimal digits.",
    VDPA_DEVICES "vdpa_devices" "/bus/vdpa/devices/*" false
        "The names of the vDPA devices below the function, as a sorted JSON array.",
    VDPA_DRIVER "vdpa_driver" "/bus/vdpa/devices/*/driver" false
        "The driver of the first vDPA device: `vhost_vdpa` or `virtio_vdpa`.",
    VF_INDEX "vf_index" "virtfn*" true "The number of a VF on its PF: the N of the PF's link `virtfnN`.",
}

impl Attributes {
    /// Only what every device needs.
    pub const NONE: Attributes = Attributes(0);

    /// Every attribute.
    pub const ALL: Attributes = {
        let (mut all, mut i) = (0, 0);
        while i < Self::TABLE.len() {
            all |= Self::TABLE[i].attribute.0;
            i += 1;
        }
        Attributes(all)
    };

    /// Whether every attribute of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Attributes) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any attribute of `other` is in this set.
    pub(crate) const fn intersects(self, other: Attributes) -> bool {
        self.0 & other.0 != 0
    }

    /// The attributes of both sets; `|` where a constant is needed.
    #[must_use]
    pub const fn union(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }

    /// The attribute of that name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Attributes> {
        Self::TABLE.iter().find(|row| row.name == name).map(|row| row.attribute)
    }

    /// The rows of the table that are in this set, in the order of the names.
    pub fn iter(self) -> impl Iterator<Item = &'static Attribute> {
        Self::TABLE.iter().filter(move |row| self.contains(row.attribute))
    }
}

impl Default for Attributes {
    /// What the engine reads, and the stable facts that most rules select on.
    fn default() -> Self {
        Self::TABLE.iter().filter(|row| row.by_default).fold(Self::NONE, |set, row| set | row.attribute)
    }
}

impl BitOr for Attributes {
    type Output = Attributes;

    fn bitor(self, other: Attributes) -> Attributes {
        self.union(other)
    }
}

impl BitOrAssign for Attributes {
    fn bitor_assign(&mut self, other: Attributes) {
        self.0 |= other.0;
    }
}

impl Sub for Attributes {
    type Output = Attributes;

    fn sub(self, other: Attributes) -> Attributes {
        Attributes(self.0 & !other.0)
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|row| row.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_unique_and_found() {
        assert!(Attributes::TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
        for row in Attributes::TABLE {
            assert_eq!(Attributes::named(row.name), Some(row.attribute));
            assert_eq!(row.attribute.iter().count(), 1);
        }
        assert_eq!(Attributes::named("vendor"), None);
        assert_eq!(Attributes::ALL.iter().count(), Attributes::TABLE.len());
    }

    #[test]
    fn what_the_engine_reads_is_read_by_default() {
        for name in
            ["netdevs", "parent_ifname", "mac_address", "card_serial_number", "vf_index", "sriov_vf_device"]
        {
            let attribute = Attributes::named(name).expect(name);
            assert!(Attributes::default().contains(attribute), "{name}");
            assert!(!(Attributes::default() - attribute).intersects(attribute), "{name}");
        }
    }
}
