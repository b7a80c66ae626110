//! Replays the conformance cases through all four doors and compares every answer.
//!
//! Arguments: the folder of the cases, the C runner, the Python that has the package, the Python runner, the engine
//! component, and optionally a part of the names of the cases to run. `cargo xtask conformance` builds these parts and
//! starts this program.

use std::process::{Command, ExitCode};

use slotwise_benches::doors::Result;
use slotwise_sandbox::{EngineComponent, Limits};
use slotwise_testkit::{Door, ProcessDoor, RustDoor, WasmDoor, conformance};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, c, python, python_runner, component, filter @ ..] = arguments.as_slice() else {
        return Err("give: CASES C_RUNNER PYTHON PYTHON_RUNNER COMPONENT [NAME]".into());
    };
    let mut cases = conformance::load_cases(folder.as_ref())?;
    if let [name, ..] = filter {
        cases.retain(|case| case.name.contains(name.as_str()));
    }
    if cases.is_empty() {
        return Err("no case has such a name".into());
    }
    // The first door is the one whose answers are held against the expectations; the others must answer as it does.
    let mut doors: Vec<Box<dyn Door>> = vec![
        Box::new(RustDoor::new()),
        Box::new(ProcessDoor::spawn("c", &mut Command::new(c))?),
        Box::new(ProcessDoor::spawn("python", Command::new(python).arg(python_runner))?),
        Box::new(WasmDoor::new(&EngineComponent::load(component, Limits::default())?)?),
    ];
    let report = conformance::run(&cases, &mut doors);
    println!("{report}");
    if report.passed() {
        println!("{} cases × {} doors, all equal", report.cases, report.doors.len());
    }
    let failed: usize = report.doors.iter().map(|door| door.failed).sum();
    let ran: usize = report.doors.iter().map(|door| door.cases).sum();
    println!("{} passed, {failed} failed", ran - failed);
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
