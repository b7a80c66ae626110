//! `cargo xtask demo`: the main job, end to end.

use anyhow::Result;

use crate::{conformance, python, sh, toolchain, wasm};

/// `cargo xtask demo`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    conformance::build()?;
    // The demo says what it did as lines of the runners' protocol; the same calls then go through C and WebAssembly.
    let record = sh::target_dir().join("demo/calls.json");
    if let Some(folder) = record.parent() {
        std::fs::create_dir_all(folder)?;
    }
    sh::run(python::command(&["examples/python/demo.py", "--record"]).arg(&record))?;
    let mut replay = sh::program(sh::target_dir().join("debug/replay"));
    sh::run(replay.arg(&record).arg(conformance::c_runner()).arg(wasm::path()))
}
