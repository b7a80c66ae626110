//! The solver against the brute-force oracle.

use anyhow::Result;

use crate::{sh, toolchain};

/// `cargo xtask oracle [hardest] [CASES [SEED]]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    toolchain::ensure()?;
    let mut oracle = sh::cargo(["run", "--quiet", "--package", "slotwise-testkit", "--bin", "oracle", "--"]);
    sh::run(oracle.args(arguments))
}
