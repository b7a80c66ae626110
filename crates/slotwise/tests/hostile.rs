//! Hostile documents and snapshots: whatever comes in, the engine answers or refuses; it never panics, and what it takes
//! in is sound.

use proptest::prelude::*;
use slotwise::{
    Change, Device, DeviceSpecs, NumaTopology, Pools, Request, TrackedDevice, Tracker, TrackerOptions,
    Workload, json,
};

/// Documents that are valid, from which broken ones are made.
const DOCUMENTS: &[&str] = &[
    r#"[{"address": "0000:81:00.0", "vendor_id": "15b3", "product_id": "1017", "dev_type": "type-PF", "numa_node": 1},
        {"address": "0000:81:00.2", "vendor_id": "15b3", "product_id": "1018", "dev_type": "type-VF",
         "parent_addr": "0000:81:00.0", "extra_info": {"vf_index": 0}, "switch": null}]"#,
    r#"{"requests": [{"request_id": "r", "count": 2, "alternatives": [{"vendor_id": "15b3"}], "isolate": true,
        "otherwise": [{"count": 1, "alternatives": [{}]}]}, {"alternatives": [{}], "same": ["numa_node"]}],
        "constraints": [{"requests": [0, 1], "distinct": "address"}], "numa_cells_from": {"from": [0, 1], "count": 1},
        "prefer": "spread", "budget": 9}"#,
    r#"{"nova_object.data": {"objects": [{"nova_object.data": {"vendor_id": "8086", "product_id": "1520", "count": 3,
        "numa_node": null, "tags": {"dev_type": "type-VF", "address": "0000:81:00.0", "rp_uuid": "a"}}}]}}"#,
    r#"{"cells": [{"id": 0, "socket": 0}, {"id": 1}]}"#,
];

/// Hands a text to every parser of documents, and what it takes to the engine.
fn read(text: &str) {
    let _ = json::parse::<Vec<TrackedDevice>>(text, "rows");
    let _ = json::parse::<Vec<Change>>(text, "changes");
    let _ = json::parse::<Request>(text, "request");
    let _ = json::parse::<NumaTopology>(text, "topology");
    let _ = Tracker::from_snapshot_json(text);
    let workload = json::parse::<Workload>(text, "workload");
    let pools = Pools::from_json(text, None);
    let mut tracker = tracker();
    if let Ok(devices) = json::parse::<Vec<Device>>(text, "devices") {
        let before = tracker.snapshot();
        if tracker.sync(devices).is_err() {
            assert_eq!(tracker.snapshot(), before, "an error changed the tracker");
        }
    }
    if let Ok(mut workload) = workload {
        workload.budget = Some(workload.budget.unwrap_or(100).min(100));
        let _ = tracker.claim("owner", &workload);
    }
    if let Ok(pools) = pools {
        let _ = pools.fit(&Workload::new(vec![Request::default()]));
    }
}

fn tracker() -> Tracker {
    let specs = DeviceSpecs::parse(&[r#"{"vendor_id": "*", "physical_network": "blue"}"#], false)
        .expect("a valid rule");
    let mut tracker = Tracker::new(specs, TrackerOptions::default()).expect("valid options");
    let devices = json::parse(DOCUMENTS[0], "devices").expect("valid devices");
    tracker.sync(devices).expect("a valid host");
    let workload = Workload::new(vec![Request::default()]);
    assert!(tracker.claim("first", &workload).is_ok_and(|fit| fit.fits()));
    tracker
}

/// Cuts, doubles, overwrites and inserts.
fn mutate(bytes: &mut Vec<u8>, edits: &[(u8, prop::sample::Index, u8)]) {
    for &(kind, at, byte) in edits {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, byte),
            _ => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail);
            }
        }
    }
}

fn edits() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    let printable = prop_oneof![any::<u8>(), Just(b'"'), Just(b'{'), Just(b'['), Just(b'0'), Just(b'-')];
    prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), printable), 1..6)
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        read(&text);
    }

    #[test]
    fn broken_documents_are_read_or_refused(document in 0..DOCUMENTS.len(), edits in edits()) {
        let mut bytes = DOCUMENTS[document].as_bytes().to_vec();
        mutate(&mut bytes, &edits);
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn altered_snapshots_are_refused(edits in edits()) {
        let good = tracker().snapshot();
        let mut bytes = good.clone();
        mutate(&mut bytes, &edits);
        prop_assert!(bytes == good || Tracker::from_snapshot(&bytes).is_err());
    }

    /// A forger who mends length and checksum reaches the decoder and the checks behind it.
    #[test]
    fn forged_snapshots_are_sound_or_refused(edits in edits()) {
        const HEADER: usize = 24;
        let mut bytes = tracker().snapshot();
        let mut payload = bytes.split_off(HEADER);
        mutate(&mut payload, &edits);
        bytes.truncate(12);
        bytes.extend((payload.len() as u64).to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes);
        hasher.update(&payload);
        bytes.extend(hasher.finalize().to_le_bytes());
        bytes.extend(payload);
        if let Ok(mut tracker) = Tracker::from_snapshot(&bytes) {
            prop_assert!(Tracker::from_snapshot(&tracker.snapshot()).is_ok());
            // In debug builds every call checks the invariants.
            let _ = tracker.claim("second", &Workload::new(vec![Request::default()]));
            tracker.retain_owners::<&str>(&[]);
            let _ = tracker.changes();
        }
    }

    #[test]
    fn forged_json_snapshots_are_sound_or_refused(edits in edits()) {
        let mut bytes = tracker().snapshot_json().into_bytes();
        mutate(&mut bytes, &edits);
        if let Ok(mut tracker) = Tracker::from_snapshot_json(&String::from_utf8_lossy(&bytes)) {
            let _ = tracker.claim("second", &Workload::new(vec![Request::default()]));
            tracker.retain_owners::<&str>(&[]);
            let _ = tracker.changes();
        }
    }
}

#[test]
fn a_snapshot_cannot_bring_a_tracker_to_the_end_of_its_counting() {
    let tracker = Tracker::new(DeviceSpecs::default(), TrackerOptions::default()).expect("no options");
    let text = tracker.snapshot_json();
    for field in ["version", "next_claim"] {
        for (count, is_read) in [(u64::MAX, false), (1 << 63, false), ((1 << 63) - 1, true)] {
            let mut document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            document["state"][field] = count.into();
            let restored = Tracker::from_snapshot_json(&document.to_string());
            assert_eq!(restored.is_ok(), is_read, "{field} {count}: {:?}", restored.err());
        }
    }
}

#[test]
fn a_document_cannot_say_which_error_it_is() {
    let forged = "\u{1}{\"kind\":\"internal\",\"message\":\"forged\"}\u{1}";
    let text = serde_json::json!({"requests": [], forged: 1}).to_string();
    let error = json::parse::<Workload>(&text, "workload").expect_err("an unknown key");
    assert_eq!(error.kind(), slotwise::ErrorKind::InvalidJson, "{error}");
}
