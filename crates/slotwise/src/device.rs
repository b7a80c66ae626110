//! One PCI function as the host reports it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{PciAddress, clip};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::limits;

/// What a function is to SR-IOV; written as Nova writes it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum DeviceType {
    /// `type-PCI`: a function without SR-IOV.
    #[default]
    #[serde(rename = "type-PCI")]
    Pci,
    /// `type-PF`: a physical function that can have virtual functions.
    #[serde(rename = "type-PF")]
    Pf,
    /// `type-VF`: a virtual function.
    #[serde(rename = "type-VF")]
    Vf,
    /// `vdpa`: a virtual function that is handed out as a vDPA device.
    #[serde(rename = "vdpa")]
    Vdpa,
}

impl DeviceType {
    /// The text of this type, such as `type-VF`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DeviceType::Pci => "type-PCI",
            DeviceType::Pf => "type-PF",
            DeviceType::Vf => "type-VF",
            DeviceType::Vdpa => "vdpa",
        }
    }

    /// Whether a device of this type lives on a physical function (a VF or a vDPA device).
    #[must_use]
    pub const fn has_parent(self) -> bool {
        matches!(self, DeviceType::Vf | DeviceType::Vdpa)
    }
}

impl fmt::Display for DeviceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeviceType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [DeviceType::Pci, DeviceType::Pf, DeviceType::Vf, DeviceType::Vdpa]
            .into_iter()
            .find(|t| t.as_str() == text)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidDevice, format!("{:?} is not a device type", clip(text)))
                    .with_help("write one of: type-PCI, type-PF, type-VF, vdpa")
            })
    }
}

/// Where a device is in its life; written as Nova writes it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceStatus {
    /// Free to be claimed.
    #[default]
    Available,
    /// Held for an owner whose workload does not use it yet.
    Claimed,
    /// In use by its owner.
    Allocated,
    /// Free, but its PF or one of its VFs is claimed.
    Unclaimable,
    /// Free, but its PF or one of its VFs is allocated.
    Unavailable,
}

impl DeviceStatus {
    /// The word for it, as in documents and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DeviceStatus::Available => "available",
            DeviceStatus::Claimed => "claimed",
            DeviceStatus::Allocated => "allocated",
            DeviceStatus::Unclaimable => "unclaimable",
            DeviceStatus::Unavailable => "unavailable",
        }
    }
}

/// One PCI function: what the host reports about it.
///
/// In JSON the named fields stand beside `extra_info`; **any other key is kept** as extra info, so that the
/// dictionaries of a virtualisation driver can be handed over as they are:
///
/// ```
/// let device: slotwise::Device = slotwise::json::parse(
///     r#"{"address": "0000:81:00.2", "vendor_id": "15b3", "product_id": "1018", "dev_type": "type-VF",
///         "parent_addr": "0000:81:00.0", "numa_node": 1, "parent_ifname": "ens1f0"}"#, "device")?;
/// assert_eq!(device.extra_info.text("parent_ifname"), Some("ens1f0"));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct Device {
    /// Its place on the bus.
    pub address: PciAddress,
    /// The vendor's id, four hexadecimal digits in lower case (any text is accepted and compared as it is).
    pub vendor_id: String,
    /// The product's (device) id, as `vendor_id`.
    pub product_id: String,
    /// What it is to SR-IOV.
    pub dev_type: DeviceType,
    /// The NUMA node it is attached to; `None` when the platform does not say (`-1` in JSON reads as `None`).
    pub numa_node: Option<u32>,
    /// The physical function that a VF or vDPA device belongs to.
    pub parent_addr: Option<PciAddress>,
    /// The class code as six hexadecimal digits, such as `020000` for an Ethernet controller; unknown if `None`.
    pub class: Option<String>,
    /// Everything else.
    pub extra_info: ExtraInfo,
}

impl Device {
    /// A device with nothing known but its address and ids.
    #[must_use]
    pub fn new(address: PciAddress, vendor_id: impl Into<String>, product_id: impl Into<String>) -> Self {
        Device {
            address,
            vendor_id: vendor_id.into(),
            product_id: product_id.into(),
            dev_type: DeviceType::Pci,
            numa_node: None,
            parent_addr: None,
            class: None,
            extra_info: ExtraInfo::new(),
        }
    }

    /// The address of its card: its PF's for a VF or vDPA device, else its own (the pool key `address`).
    #[must_use]
    pub fn card_address(&self) -> PciAddress {
        match self.dev_type {
            DeviceType::Pf => self.address,
            _ => self.parent_addr.unwrap_or(self.address),
        }
    }

    /// The physical function that it excludes and is excluded by; `None` unless it is a VF or vDPA device.
    #[must_use]
    pub fn physical_function(&self) -> Option<PciAddress> {
        self.parent_addr.filter(|_| self.dev_type.has_parent())
    }

    /// The netdev names of the function itself (extra info `netdevs`, a JSON array or one name).
    #[must_use]
    pub fn netdevs(&self) -> Vec<String> {
        match self.extra_info.value("netdevs") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(name)) => vec![name],
            _ => Vec::new(),
        }
    }

    /// The serial number of the card: extra info `card_serial_number`, else the one in `capabilities.vpd`.
    ///
    /// Empty counts as unknown, as Nova does for remote-managed devices.
    #[must_use]
    pub fn card_serial_number(&self) -> Option<String> {
        let own = self.extra_info.text("card_serial_number").map(str::to_owned);
        own.or_else(|| {
            let capabilities = self.extra_info.value("capabilities")?;
            Some(capabilities.get("vpd")?.get("card_serial_number")?.as_str()?.to_owned())
        })
        .filter(|serial| !serial.is_empty())
    }

    /// The value of a named attribute: a field of the device, or an entry of its extra info.
    ///
    /// Field names are those of the JSON form. `None` when there is no such entry, `Some(None)` when the value is
    /// unknown or null.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Option<String>> {
        match name {
            "address" => Some(Some(self.address.to_string())),
            "vendor_id" => Some(Some(self.vendor_id.clone())),
            "product_id" => Some(Some(self.product_id.clone())),
            "dev_type" => Some(Some(self.dev_type.to_string())),
            "numa_node" => Some(self.numa_node.map(|n| n.to_string())),
            "parent_addr" => Some(self.parent_addr.map(|a| a.to_string())),
            "class" => Some(self.class.clone()),
            other => self.extra_info.get(other).map(|text| text.map(str::to_owned)),
        }
    }

    /// Checks what the type system does not: texts within limits, and a parent only where it makes sense.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidDevice`], [`ErrorKind::MissingParent`], [`ErrorKind::ParentCycle`] or
    /// [`ErrorKind::LimitExceeded`], with the field's name as its place.
    pub fn validate(&self) -> Result<()> {
        for (name, id) in [("vendor_id", &self.vendor_id), ("product_id", &self.product_id)] {
            if id.is_empty() {
                return Err(Error::new(
                    ErrorKind::InvalidDevice,
                    format!("device {} has no {name}", self.address),
                )
                .with_help("give four hexadecimal digits, such as 8086")
                .inside(name));
            }
            limits::check("length", id.len(), limits::MAX_TEXT_BYTES).map_err(|e| e.inside(name))?;
        }
        if self.parent_addr == Some(self.address) {
            return Err(Error::new(
                ErrorKind::ParentCycle,
                format!("device {} is its own parent", self.address),
            )
            .with_help("name the physical function as parent_addr")
            .inside("parent_addr"));
        }
        if self.dev_type.has_parent() && self.parent_addr.is_none() {
            return Err(Error::new(
                ErrorKind::MissingParent,
                format!("device {} is of type {} but names no parent", self.address, self.dev_type),
            )
            .with_help("give the address of its physical function as parent_addr")
            .inside("parent_addr"));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        /// The named fields; what is left goes to `extra_info`.
        #[derive(Deserialize)]
        struct Document {
            address: PciAddress,
            vendor_id: String,
            product_id: String,
            #[serde(default)]
            dev_type: DeviceType,
            #[serde(default)]
            numa_node: Option<i64>,
            #[serde(default)]
            parent_addr: Option<PciAddress>,
            #[serde(default)]
            class: Option<String>,
            #[serde(default)]
            extra_info: Option<ExtraInfo>,
            #[serde(flatten)]
            rest: std::collections::BTreeMap<String, Value>,
        }
        let document = Document::deserialize(deserializer)?;
        let mut extra_info = document.extra_info.unwrap_or_default();
        for (key, value) in &document.rest {
            extra_info.insert_value(key, value).map_err(|error| crate::json::carry(&error))?;
        }
        let numa_node = numa_node_from(document.numa_node).map_err(|error| crate::json::carry(&error))?;
        let device = Device {
            address: document.address,
            vendor_id: document.vendor_id,
            product_id: document.product_id,
            dev_type: document.dev_type,
            numa_node,
            parent_addr: document.parent_addr,
            class: document.class,
            extra_info,
        };
        device.validate().map_err(|error| crate::json::carry(&error))?;
        Ok(device)
    }
}

/// Reads a NUMA node as the kernel writes it: -1 means that the platform does not say.
pub(crate) fn numa_node_from(node: Option<i64>) -> Result<Option<u32>> {
    match node {
        None | Some(-1) => Ok(None),
        Some(node) => u32::try_from(node).map(Some).map_err(|_| {
            Error::new(ErrorKind::InvalidDevice, format!("NUMA node {node} is out of range"))
                .with_help("give 0 or more, or -1 or null where it is unknown")
                .inside("numa_node")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, kind: ErrorKind, path: &str) {
        let error = crate::json::parse::<Device>(text, "device").expect_err(text);
        assert_eq!((error.kind(), error.place().path.as_str()), (kind, path), "{error}");
    }

    #[test]
    fn unknown_keys_are_kept_and_the_document_round_trips() {
        let text = r#"{"address":"0:1:0.0","vendor_id":"8086","product_id":"1572","numa_node":-1,
            "extra_info":{"rack":"a"},"link_speed":16,"label":null}"#;
        let device: Device = crate::json::parse(text, "device").expect("a good device");
        assert_eq!(device.numa_node, None);
        assert_eq!(device.extra_info.text("link_speed"), Some("16"));
        assert_eq!(device.extra_info.get("label"), Some(None));
        let again: Device =
            crate::json::parse(&crate::json::to_string(&device), "device").expect("its own form");
        assert_eq!(again, device);
    }

    #[test]
    fn bad_devices_name_the_field() {
        refused(
            r#"{"address":"0:1:0.9","vendor_id":"8086","product_id":"1"}"#,
            ErrorKind::InvalidAddress,
            "device.address",
        );
        refused(
            r#"{"address":"0:1:0.0","vendor_id":"","product_id":"1"}"#,
            ErrorKind::InvalidDevice,
            "device.vendor_id",
        );
        refused(
            r#"{"address":"0:1:0.0","vendor_id":"8086","product_id":"1","dev_type":"type-VF"}"#,
            ErrorKind::MissingParent,
            "device.parent_addr",
        );
        refused(
            r#"{"address":"0:1:0.0","vendor_id":"8086","product_id":"1","numa_node":-2}"#,
            ErrorKind::InvalidDevice,
            "device.numa_node",
        );
        refused(r#"{"address":"0:1:0.0","vendor_id":"8086"}"#, ErrorKind::InvalidJson, "device");
    }
}
