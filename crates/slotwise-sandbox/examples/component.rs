//! The same as `examples/rust/first.rs`, with the engine as a WebAssembly component under limits.
//!
//! `cargo xtask wasm && cargo run -p slotwise-sandbox --example component`

use std::time::Duration;

use serde_json::{Value, json};
use slotwise_sandbox::{Aliases, EngineComponent, Limits, Specs, Tracker, Workload};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/wasm/slotwise.wasm".to_owned());
    // The component imports nothing: it sees what it is given here, and has this much time for each call.
    let limits = Limits { time: Duration::from_secs(1), memory: 64 << 20, ..Limits::default() };
    let engine = &mut EngineComponent::load(path, limits)?.instantiate()?;

    let rules = [r#"{"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}"#];
    let names = [r#"{"name": "nic", "vendor_id": "15b3", "product_id": "101e", "device_type": "type-VF"}"#];
    let devices = r#"[
        {"address": "0000:3b:00.0", "vendor_id": "15b3", "product_id": "101d", "dev_type": "type-PF"},
        {"address": "0000:3b:00.2", "vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF",
         "parent_addr": "0000:3b:00.0"},
        {"address": "0000:3b:00.3", "vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF",
         "parent_addr": "0000:3b:00.0"},
        {"address": "0000:3b:00.4", "vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF",
         "parent_addr": "0000:3b:00.0"}]"#;

    let specs = Specs::parse(engine, &rules, false)?;
    let host = Tracker::new(engine, &specs, None)?;
    host.sync(engine, devices)?;
    let requests = Aliases::parse(engine, &names, false)?.requests(engine, "nic:2", None)?;
    let two_nics = json!({"requests": serde_json::from_str::<Value>(&requests)?}).to_string();
    let two_nics = Workload::parse(engine, &two_nics)?;
    for owner in ["vm-1", "vm-2"] {
        // Documents that come out can be read with the engine's own types, which a host need not link.
        let fit: slotwise::Fit = serde_json::from_str(&host.claim(engine, owner, &two_nics)?)?;
        println!("{owner}: {fit}");
    }

    let changes = host.changes(engine)?;
    println!("{} rows to write", serde_json::from_str::<Vec<Value>>(&changes)?.len());
    host.written(engine, &changes)?;
    host.sync(engine, devices)?;
    println!(
        "{} rows to write after a second look",
        serde_json::from_str::<Vec<Value>>(&host.changes(engine)?)?.len()
    );
    Ok(())
}
