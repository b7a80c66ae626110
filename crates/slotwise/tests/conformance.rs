//! The conformance cases through the Rust door; the other doors replay the same files.

use slotwise_testkit::{Door, RustDoor, conformance};

#[test]
fn cases_pass_through_the_rust_door() {
    let cases = conformance::load_cases(&conformance::default_dir()).unwrap_or_else(|message| panic!("{message}"));
    let mut doors: Vec<Box<dyn Door>> = vec![Box::new(RustDoor::new())];
    let report = conformance::run(&cases, &mut doors);
    assert!(report.passed(), "{report}");
}
