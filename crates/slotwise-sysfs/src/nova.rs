//! The devices in the form in which Nova's libvirt driver reports them as `pci_passthrough_devices`.
//!
//! Source: `nova/virt/libvirt/host.py`, `_get_pcidev_info`, and `nova/pci/utils.py`.

use serde_json::{Map, Value, json};
use slotwise::DeviceType;

use crate::{Discovery, Function};

impl Discovery {
    /// The functions as Nova's tracker expects them of its virt driver, in the order of [`Discovery::functions`].
    ///
    /// The keys are `dev_id`, `address`, `product_id`, `vendor_id`, `numa_node`, `label`, `dev_type`, and where they
    /// apply `parent_addr`, `parent_ifname` (of a VF with a netdev), `mac_address` (of a PF) and `capabilities` with
    /// `sriov` (`pf_mac_address`, `vf_num`) and `vpd` (`card_serial_number`). What libvirt asks a netdev's driver
    /// (`capabilities.network`, its offloads) is in no file of sysfs, and left out.
    ///
    /// The attributes that are read by default are needed.
    #[must_use]
    pub fn nova_devices(&self) -> Vec<Map<String, Value>> {
        self.functions.iter().map(|function| self.nova_device(function)).collect()
    }

    fn nova_device(&self, function: &Function) -> Map<String, Value> {
        let pf = function.parent_addr.and_then(|parent| self.function(parent));
        let vendor_id = format!("{:04x}", function.vendor_id);
        let product_id = format!("{:04x}", function.product_id);
        let address = function.address.to_string();
        let mut device = Map::new();
        let mut put = |key: &str, value: Value| _ = device.insert(key.to_owned(), value);
        put("dev_id", format!("pci_{}", address.replace([':', '.'], "_")).into());
        put("label", format!("label_{vendor_id}_{product_id}").into());
        put("address", address.into());
        put("product_id", product_id.into());
        put("vendor_id", vendor_id.into());
        put("numa_node", function.numa_node.into());
        put("dev_type", function.dev_type.to_string().into());
        if let Some(parent) = function.parent_addr {
            put("parent_addr", parent.to_string().into());
            // Nova asks for the PF's netdev only where libvirt knows one of the VF itself.
            if let Some(name) = function.parent_ifname.as_ref().filter(|_| !function.netdevs.is_empty()) {
                put("parent_ifname", name.as_str().into());
            }
        }
        if let Some(mac) = function.mac_address.as_ref().filter(|_| function.dev_type == DeviceType::Pf) {
            put("mac_address", mac.as_str().into());
        }
        let mut capabilities = Map::new();
        if function.dev_type == DeviceType::Vf
            && let (Some(mac), Some(index)) = (pf.and_then(|pf| pf.mac_address.as_ref()), function.vf_index)
        {
            capabilities.insert("sriov".into(), json!({"pf_mac_address": mac, "vf_num": index}));
        }
        // A vDPA device does not take the serial number of its PF in Nova, as a VF does.
        let serial = function.card_serial_number.as_ref().filter(|serial| {
            function.dev_type != DeviceType::Vdpa
                || pf.is_none_or(|pf| pf.card_serial_number.as_ref() != Some(serial))
        });
        if let Some(serial) = serial {
            capabilities.insert("vpd".into(), json!({"card_serial_number": serial}));
        }
        if !capabilities.is_empty() {
            put("capabilities", capabilities.into());
        }
        device
    }
}
