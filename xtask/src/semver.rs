//! Whether the Rust crates keep what an earlier version promised, by cargo-semver-checks.

use anyhow::{Result, bail, ensure};

use crate::sh;

/// The crates that other programs depend on.
const CRATES: &[&str] = &["slotwise", "slotwise-sysfs", "slotwise-sandbox"];

/// `cargo xtask semver [REVISION]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.len() <= 1, "give at most one revision to compare with");
    if !sh::succeeds(&mut sh::cargo(["semver-checks", "--version"])) {
        bail!("cargo-semver-checks is not here; `cargo install cargo-semver-checks --locked` builds it");
    }
    let revision = match arguments.first() {
        Some(revision) => revision.clone(),
        // The last release is the last tag.
        None => {
            match sh::output(sh::program("git").args(["describe", "--tags", "--abbrev=0", "--match", "v*"])) {
                Ok(tag) => tag.trim().to_owned(),
                Err(_) => bail!("there is no release yet (a tag v*) to compare with; name a revision"),
            }
        }
    };
    for name in CRATES {
        sh::run(&mut sh::cargo(["semver-checks", "--package", name, "--baseline-rev", &revision]))?;
    }
    Ok(())
}
