//! Benches, and the side-by-side comparison.

use std::process::Command;

use anyhow::Result;

use crate::{python, sh, toolchain, wasm};

/// `cargo xtask bench [FILTER]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    toolchain::ensure()?;
    wasm::build()?;
    sh::run(sh::cargo(["bench", "--workspace", "--bench", "*", "--"]).args(arguments))
}

/// Every bench once, in the profile that everything else is tested in: shows that they work, measures nothing.
pub(crate) fn once() -> Command {
    // Criterion runs a bench once when `cargo test` starts it.
    sh::cargo(["test", "--workspace", "--bench", "*"])
}

/// `cargo xtask compare`
pub(crate) fn compare(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    wasm::build()?;
    python::install_profile("release")?;
    sh::run(&mut sh::cargo(["build", "--release", "--workspace"]))?;
    let mut compare = sh::program(sh::target_dir().join("release/compare"));
    sh::run(compare.arg(python::python()).arg(wasm::path()))
}
