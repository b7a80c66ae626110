//! The fleet beside a naive model of it.

use anyhow::Result;

use crate::{sh, toolchain};

/// `cargo xtask fleet [STEPS [HOSTS [SEED]]]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    toolchain::ensure()?;
    let mut fleet =
        sh::cargo(["run", "--release", "--quiet", "--package", "slotwise-testkit", "--bin", "fleet", "--"]);
    sh::run(fleet.args(arguments))
}
