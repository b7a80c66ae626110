//! Whether the Rust crates keep what an earlier version promised, by cargo-semver-checks.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::sh;

/// The crates that other programs depend on.
const CRATES: &[&str] = &["slotwise", "slotwise-sysfs", "slotwise-sandbox", "slotwise-policy"];

const TOOL: &str = "cargo-semver-checks";

/// `cargo xtask semver [REVISION]`
///
/// It needs the history (a clone that is not shallow), and the first time some minutes for the tool.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.len() <= 1, "give at most one revision to compare with");
    let git = |words: &[&str]| sh::output(sh::program("git").args(words));
    let revision = match arguments.first() {
        Some(revision) => revision.clone(),
        // The last release is the last tag.
        None => match git(&["describe", "--tags", "--abbrev=0", "--match", "v*"]) {
            Ok(tag) => tag.trim().to_owned(),
            Err(_) => bail!("there is no release yet (a tag v*) to compare with; name a revision"),
        },
    };
    let commit =
        git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")]).with_context(|| {
            format!("there is no revision {revision:?} here; a shallow clone lacks the history")
        })?;
    let tool = tool()?;
    let mut broken = Vec::new();
    for name in CRATES {
        if git(&["cat-file", "-e", &format!("{}:crates/{name}/Cargo.toml", commit.trim())]).is_err() {
            println!("{name} was not there in {revision}, so it breaks nothing");
            continue;
        }
        let mut check = sh::program(&tool);
        check.args(["semver-checks", "--package", name, "--baseline-rev", commit.trim()]);
        // Goes on with the others: whoever reads this wants to see everything.
        if let Err(error) = sh::run(&mut check) {
            println!("{error:#}");
            broken.push(*name);
        }
    }
    ensure!(broken.is_empty(), "not as {revision} promised, or not to be compared: {}", broken.join(", "));
    Ok(())
}

/// The tool: installed already, or built now into `target/tools`.
fn tool() -> Result<PathBuf> {
    if sh::succeeds(sh::program(TOOL).args(["semver-checks", "--version"])) {
        return Ok(TOOL.into());
    }
    let tools = sh::target_dir().join("tools");
    let tool = tools.join("bin").join(TOOL);
    if !tool.exists() {
        println!("{TOOL} is not here; cargo builds it into {}, which takes some minutes", tools.display());
        sh::run(sh::cargo(["install", TOOL, "--locked", "--root"]).arg(&tools))?;
    }
    Ok(tool)
}
