//! The side-by-side: everything in one run, so that the ratios mean something on a noisy machine.

use slotwise::Tracker;
use slotwise_benches::doors::{self, Call, Result};
use slotwise_benches::host;
use slotwise_benches::table::{median, median_of, print, show};

fn main() -> Result<()> {
    println!("Medians; compare within this run, never with another machine.\n");
    snapshots()?;
    calls()
}

/// bincode against JSON, both ways.
fn snapshots() -> Result<()> {
    println!("Snapshot of one host: bincode behind its header and checksum, against JSON");
    let head = ["functions", "format", "bytes", "write", "read", "size", "write", "read"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for functions in host::SIZES {
        let tracker = host::tracker(functions)?;
        let (bytes, json) = (tracker.snapshot(), tracker.snapshot_json());
        if Tracker::from_snapshot(&bytes)?.snapshot() != Tracker::from_snapshot_json(&json)?.snapshot() {
            return Err("the two snapshots must hold the same state".into());
        }
        let sizes = [bytes.len(), json.len()];
        let writes = [median(|| tracker.snapshot()), median(|| tracker.snapshot_json())];
        let reads =
            [median(|| Tracker::from_snapshot(&bytes)), median(|| Tracker::from_snapshot_json(&json))];
        for (i, format) in ["bincode", "JSON"].into_iter().enumerate() {
            let times = |value: f64, base: f64| format!("×{:.2}", value / base);
            rows.push(vec![
                functions.to_string(),
                format.to_owned(),
                sizes[i].to_string(),
                show(writes[i]),
                show(reads[i]),
                times(sizes[i] as f64, sizes[0] as f64),
                times(writes[i].as_secs_f64(), writes[0].as_secs_f64()),
                times(reads[i].as_secs_f64(), reads[0].as_secs_f64()),
            ]);
        }
    }
    print(&rows);
    println!();
    Ok(())
}

/// What one call costs through each door.
fn calls() -> Result<()> {
    println!(
        "One call through each door; `fit` asks a host of {} functions for a prepared workload of two requests",
        doors::FUNCTIONS
    );
    let mut head = vec!["door".to_owned()];
    for call in Call::ALL {
        head.extend([call.name().to_owned(), "over Rust".to_owned()]);
    }
    let mut rows = vec![head];
    let mut base = Vec::new();
    for door in &mut doors::open()? {
        let mut row = vec![door.name().to_owned()];
        for (i, call) in Call::ALL.into_iter().enumerate() {
            let median = median_of(|times| door.time(call, times))?;
            base.resize(base.len().max(i + 1), median);
            row.push(show(median));
            let over = median.as_nanos() as f64 - base[i].as_nanos() as f64;
            row.push(if door.name() == "Rust" { String::new() } else { format!("{over:+.0} ns") });
        }
        rows.push(row);
    }
    print(&rows);
    Ok(())
}
