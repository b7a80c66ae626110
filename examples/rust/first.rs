//! Rules, a name, a claim, and what to write.

use slotwise::{Aliases, DeviceSpecs, Tracker, TrackerOptions, Workload, json};

fn main() -> slotwise::Result<()> {
    // The operator's rules and names, as in Nova's [pci]device_spec and [pci]alias.
    let rules = [r#"{"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}"#];
    let names = [r#"{"name": "nic", "vendor_id": "15b3", "product_id": "101e", "device_type": "type-VF"}"#];
    // A physical function with three virtual ones; the crate slotwise-sysfs reads a real machine's.
    let devices = r#"[
        {"address": "0000:3b:00.0", "vendor_id": "15b3", "product_id": "101d", "dev_type": "type-PF"},
        {"address": "0000:3b:00.2", "vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF",
         "parent_addr": "0000:3b:00.0"},
        {"address": "0000:3b:00.3", "vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF",
         "parent_addr": "0000:3b:00.0"},
        {"address": "0000:3b:00.4", "vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF",
         "parent_addr": "0000:3b:00.0"}]"#;

    let mut host = Tracker::new(DeviceSpecs::parse(&rules, false)?, TrackerOptions::default())?;
    host.sync(json::parse(devices, "devices")?)?;
    let two_nics = Workload::new(Aliases::parse(&names, false)?.requests("nic:2", None)?);
    println!("vm-1: {}", host.claim("vm-1", &two_nics)?);
    println!("vm-2: {}", host.claim("vm-2", &two_nics)?);

    let changes = host.changes();
    println!("{} rows to write", changes.len());
    host.written(&changes)?;
    host.sync(json::parse(devices, "devices")?)?;
    println!("{} rows to write after a second look", host.changes().len());
    Ok(())
}
