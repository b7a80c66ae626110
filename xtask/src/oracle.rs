//! The solver against the brute-force oracle.

use anyhow::Result;

use crate::{sh, toolchain};

/// `cargo xtask oracle [hardest [FAMILY…]] [CASES [SEED]]`; the oracle and the engine alone are small enough to be
/// built for speed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    toolchain::ensure()?;
    let mut oracle =
        sh::cargo(["run", "--release", "--package", "slotwise-testkit", "--bin", "oracle", "--"]);
    sh::run(oracle.args(arguments))
}
