//! A compute host full of SR-IOV network cards: sixteen functions to a card, cards alternating between two NUMA nodes.

use slotwise::{
    Device, DeviceSpecs, DeviceType, ExtraInfo, PciAddress, Result, Tracker, TrackerOptions, Workload, json,
};

/// The sizes that benches grow over, in functions; all are whole numbers of cards.
pub const SIZES: [usize; 3] = [64, 1024, 4096];

const CARD: usize = 16;

/// Operator rules as they are in use: some for other hardware, then one for VFs and one for PFs.
pub const RULES: [&str; 4] = [
    r#"{"vendor_id": "8086", "product_id": "1520", "physical_network": "green"}"#,
    r#"{"address": {"domain": "0000", "bus": "f[0-9]", "slot": ".*", "function": "[1-7]"}, "trusted": "true"}"#,
    r#"{"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}"#,
    r#"{"vendor_id": "15b3", "product_id": "101d"}"#,
];

/// A guest on NUMA node 0 that asks for two VFs near it and for one anywhere.
pub const WORKLOAD: &str = r#"{
    "requests": [
        {"request_id": "near", "count": 2, "numa_policy": "required",
         "alternatives": [{"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}]},
        {"request_id": "far", "count": 1, "numa_policy": "preferred",
         "alternatives": [{"vendor_id": "15b3", "product_id": "101e"}]}],
    "numa_cells": [0]}"#;

/// A whole physical function.
pub const WHOLE_CARD: &str = r#"{
    "requests": [{"request_id": "card", "alternatives": [{"vendor_id": "15b3", "dev_type": "type-PF"}]}]}"#;

/// The functions of the host.
///
/// # Errors
///
/// None for [`SIZES`]; an address out of range past 61,440 functions.
pub fn devices(functions: usize) -> Result<Vec<Device>> {
    (0..functions).map(device).collect()
}

fn device(index: usize) -> Result<Device> {
    let card = index / CARD;
    let parent = address(card * CARD)?;
    let numa_node = u32::try_from(card % 2).ok();
    if index.is_multiple_of(CARD) {
        let mut device = Device::new(parent, "15b3", "101d");
        device.dev_type = DeviceType::Pf;
        device.numa_node = numa_node;
        device.extra_info = ExtraInfo::try_from([("netdevs", format!("[\"ens{card}np0\"]"))])?;
        return Ok(device);
    }
    let mut device = Device::new(address(index)?, "15b3", "101e");
    device.dev_type = DeviceType::Vf;
    device.numa_node = numa_node;
    device.parent_addr = Some(parent);
    let number = (index % CARD - 1).to_string();
    device.extra_info =
        ExtraInfo::try_from([("parent_ifname", format!("ens{card}np0")), ("vf_num", number)])?;
    Ok(device)
}

/// The first sixteen buses are left to the machine's own devices; a bus has 32 slots of 8 functions.
fn address(index: usize) -> Result<PciAddress> {
    let bus = u8::try_from(0x10 + index / 256).unwrap_or(u8::MAX);
    PciAddress::new(0, bus, (index % 256 / 8) as u8, (index % 8) as u8)
}

/// The rules, parsed.
///
/// # Errors
///
/// None.
pub fn specs() -> Result<DeviceSpecs> {
    DeviceSpecs::parse(&RULES, false)
}

/// A workload, parsed.
///
/// # Errors
///
/// When `text` is not one.
pub fn workload(text: &str) -> Result<Workload> {
    json::parse(text, "workload")
}

/// A tracker that knows the host's functions and has everything written.
///
/// # Errors
///
/// As [`devices`].
pub fn tracker(functions: usize) -> Result<Tracker> {
    let mut tracker = Tracker::new(specs()?, TrackerOptions::default())?;
    tracker.sync(devices(functions)?)?;
    let changes = tracker.changes();
    tracker.written(&changes)?;
    Ok(tracker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_assignable_and_both_workloads_fit() -> Result<()> {
        let tracker = tracker(SIZES[0])?;
        assert_eq!(tracker.pools().free(), SIZES[0] as u64);
        assert!(tracker.fit(&workload(WORKLOAD)?)?.fits());
        assert!(tracker.fit(&workload(WHOLE_CARD)?)?.fits());
        assert!(tracker.changes().is_empty());
        Ok(())
    }
}
