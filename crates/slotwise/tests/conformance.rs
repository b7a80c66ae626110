//! The conformance cases through the Rust door; the other doors replay the same files.
//!
//! `SLOTWISE_CONFORMANCE_DIR` names another directory of cases, such as a generated one.

use slotwise_testkit::{Door, RustDoor, conformance};

#[test]
fn cases_pass_through_the_rust_door() {
    let other = std::env::var_os("SLOTWISE_CONFORMANCE_DIR").map(std::path::PathBuf::from);
    let dir = other.unwrap_or_else(conformance::default_dir);
    let cases = conformance::load_cases(&dir).unwrap_or_else(|message| panic!("{message}"));
    let mut doors: Vec<Box<dyn Door>> = vec![Box::new(RustDoor::new())];
    let report = conformance::run(&cases, &mut doors);
    assert!(report.passed(), "{report}");
}
