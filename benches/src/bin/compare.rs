//! The side-by-side: everything in one run, so that the ratios mean something on a noisy machine.

use slotwise::Tracker;
use slotwise_benches::doors::{self, Call, Result};
use slotwise_benches::host;
use slotwise_benches::table::{in_turn, median, middle, print, show, show_seconds, verdict};

fn main() -> Result<()> {
    println!("Medians; compare within this run, never with another machine.\n");
    match std::env::args().nth(1).as_deref() {
        None => snapshots()?,
        Some("doors") => {}
        Some(other) => return Err(format!("there is no comparison {other:?}").into()),
    }
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

/// What one call costs through each door, beside the engine's own time in the same round.
fn calls() -> Result<()> {
    println!(
        "One call through each door; `fit` asks a host of {} functions for a prepared workload of two requests",
        doors::FUNCTIONS
    );
    let mut doors = doors::open()?;
    let mut rows =
        vec![["call", "door", "in all", "over the engine", "goal", ""].map(str::to_owned).to_vec()];
    for call in Call::ALL {
        let rounds = in_turn(doors.len(), |door, times| doors[door].time(call, times))?;
        for (door, times) in doors.iter().zip(&rounds) {
            let mut row =
                vec![call.name().to_owned(), door.name().to_owned(), show_seconds(middle(times.clone()))];
            if door.name() == "Rust" {
                row.push("the engine itself".to_owned());
            } else {
                let over = middle(times.iter().zip(&rounds[0]).map(|(time, engine)| time - engine).collect());
                row.push(format!("{:+.0} ns", over * 1e9));
                if let Some(goal) = door.goal() {
                    row.push(format!("{} ns", goal.as_nanos()));
                    row.push(verdict(over <= goal.as_secs_f64()).to_owned());
                }
            }
            rows.push(row);
        }
    }
    print(&rows);
    Ok(())
}
