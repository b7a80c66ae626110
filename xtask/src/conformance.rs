//! The conformance cases through all four doors.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{c, python, sh, toolchain, wasm};

/// The expected behaviour, as data.
pub(crate) const CASES: &str = "tests/conformance";

/// `cargo xtask conformance [NAME]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if arguments.len() > 1 {
        bail!("give at most one part of a case's name");
    }
    toolchain::ensure()?;
    build()?;
    sh::run(&mut command(Path::new(CASES), arguments))
}

/// Builds every door from the present source.
pub(crate) fn build() -> Result<()> {
    wasm::build()?;
    python::install()?;
    sh::build_workspace("dev")?;
    c::program("tests/c/runner.c", "debug", &c_runner())
}

/// The program that replays the cases in a folder; it lives in the crate that links every door.
pub(crate) fn command(cases: &Path, arguments: &[String]) -> Command {
    let mut command = sh::program(sh::target_dir().join("debug/conformance"));
    command.arg(cases).arg(c_runner()).arg(python::python()).arg("tests/python/runner.py").arg(wasm::path());
    command.args(arguments);
    command
}

/// The C door's runner.
fn c_runner() -> PathBuf {
    sh::target_dir().join("c/runner")
}
