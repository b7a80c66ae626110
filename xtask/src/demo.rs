//! `cargo xtask demo`: the main job, end to end.

use anyhow::Result;

use crate::{conformance, python, sh, toolchain};

/// `cargo xtask demo`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    conformance::build()?;
    // The demo writes down its calls and answers as conformance cases, in a folder of their own.
    let cases = sh::target_dir().join("demo");
    sh::run(python::command(&["examples/python/demo.py", "--record"]).arg(cases.join("demo.json")))?;
    println!(
        "\nThe same through the other doors: every call above, with what Python answered as the expectation\n"
    );
    sh::run(&mut conformance::command(&cases, &[]))
}
