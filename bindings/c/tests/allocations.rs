//! The C functions that a scheduler calls for every host allocate what the engine allocates, and nothing more.

#![allow(unsafe_code, reason = "calls of C functions")]

use std::ptr;

use slotwise::{DeviceSpecs, Fit, Tracker, TrackerOptions, Workload, json};
use slotwise_c::{
    slotwise_specs_free, slotwise_specs_parse, slotwise_string, slotwise_string_free, slotwise_tracker_fit,
    slotwise_tracker_free, slotwise_tracker_new, slotwise_tracker_sync, slotwise_tracker_version,
    slotwise_workload_free, slotwise_workload_parse,
};
use slotwise_testkit::counting::{Counting, allocations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RULES: &str = r#"[{"vendor_id": "15b3"}]"#;
const DEVICES: &str = r#"[
    {"address": "0000:01:00.0", "vendor_id": "15b3", "product_id": "101d", "numa_node": 0},
    {"address": "0000:02:00.0", "vendor_id": "15b3", "product_id": "101d", "numa_node": 1}]"#;
const WANTED: &str = r#"{"requests": [{"count": 1, "alternatives": [{"vendor_id": "15b3"}]}]}"#;

#[test]
fn a_fit_through_c_allocates_what_the_engine_does() {
    let specs = DeviceSpecs::parse(&[RULES], false).expect("the rules are valid");
    let mut tracker = Tracker::new(specs, TrackerOptions::default()).expect("the options are valid");
    tracker.sync(json::parse(DEVICES, "devices").expect("the devices are read")).expect("they are valid");
    let workload: Workload = json::parse(WANTED, "workload").expect("the workload is valid");
    let engine = allocations(|| assert!(matches!(tracker.fit(&workload), Ok(Fit::Fits(_)))));
    assert!(engine > 0, "nothing is counted");

    let (mut specs, mut host, mut wanted) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let mut report = slotwise_string { data: ptr::null_mut(), len: 0 };
    let error = ptr::null_mut();
    // SAFETY: all places live until the calls have returned, and every text is given with its length.
    unsafe {
        assert_eq!(slotwise_specs_parse(RULES.as_ptr().cast(), RULES.len(), false, &raw mut specs, error), 0);
        assert_eq!(slotwise_tracker_new(specs, ptr::null(), 0, &raw mut host, error), 0);
        let (devices, len) = (DEVICES.as_ptr().cast(), DEVICES.len());
        assert_eq!(slotwise_tracker_sync(host, devices, len, &raw mut report, error), 0);
        assert_eq!(slotwise_workload_parse(WANTED.as_ptr().cast(), WANTED.len(), &raw mut wanted, error), 0);
        let (mut outcome, mut version) = (7, 0);
        let fit = allocations(|| {
            assert_eq!(slotwise_tracker_fit(host, wanted, &raw mut outcome, ptr::null_mut(), error), 0);
        });
        let asked = allocations(|| assert_eq!(slotwise_tracker_version(host, &raw mut version, error), 0));
        assert_eq!((outcome, fit, asked), (0, engine, 0));
        slotwise_string_free(&raw mut report);
        slotwise_workload_free(wanted);
        slotwise_tracker_free(host);
        slotwise_specs_free(specs);
    }
}
