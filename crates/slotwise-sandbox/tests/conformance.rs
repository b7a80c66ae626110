//! The conformance cases through the engine component, beside the engine itself.

mod common;

use slotwise_testkit::{Door, RustDoor, WasmDoor, conformance};

#[test]
fn the_component_gives_the_answers_of_the_engine() {
    let wasm = WasmDoor::new(&common::ENGINE).expect("an instance");
    let mut doors: Vec<Box<dyn Door>> = vec![Box::new(RustDoor::new()), Box::new(wasm)];
    let cases = conformance::load_cases(&conformance::default_dir()).expect("the cases");
    assert!(!cases.is_empty(), "there are no conformance cases");
    let report = conformance::run(&cases, &mut doors);
    assert!(report.passed(), "{report}");
}
