//! The Python package: a virtual environment in `target/venv`, the wheel, its tests and its types.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::counts::Counts;
use crate::{counts, package, policies, sh, toolchain};

/// What the environment needs, as pip writes it: the wheel's builder, and the checker of its types.
const TOOLS: &[&str] = &["maturin>=1.9,<2", "mypy>=1.11,<3"];

/// `cargo xtask python`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    install()?;
    println!("Try it: {} -c 'import slotwise; print(slotwise.discover())'", python().display());
    Ok(())
}

/// The Python that makes the environment: `$PYTHON`, else `python3`.
pub(crate) fn interpreter() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

/// The Python of the environment.
pub(crate) fn python() -> PathBuf {
    environment().join("bin/python")
}

fn environment() -> PathBuf {
    sh::target_dir().join("venv")
}

/// The environment's Python with arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = with(&python());
    command.args(arguments);
    command
}

/// A Python that has the package.
pub(crate) fn with(python: &Path) -> Command {
    let mut command = sh::program(python);
    // The package under test is the one that is installed, never the source folder beside the tests.
    command.env_remove("PYTHONPATH").env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command
}

/// Builds the wheel of the present source and installs it in the environment, which is made if need be.
pub(crate) fn install() -> Result<()> {
    install_profile("dev")
}

/// As [`install`], compiled with this cargo profile.
pub(crate) fn install_profile(profile: &str) -> Result<()> {
    ensure_environment()?;
    build(profile, "wheels", &["--features", "shared-build"])?;
    let mut pip =
        command(&["-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", "--no-index"]);
    sh::run(pip.arg(wheel()?))
}

/// Builds the wheel into a folder of `target`, which has only this one then.
pub(crate) fn build(profile: &str, folder: &str, features: &[&str]) -> Result<()> {
    // An empty folder, so that what is installed is what was built just now.
    let wheels = sh::target_dir().join(folder);
    if wheels.exists() {
        std::fs::remove_dir_all(&wheels)?;
    }
    // maturin finds the package, and in it the crate, from the folder it is started in.
    let mut maturin = command(&["-m", "maturin", "build", "--profile", profile]);
    maturin.args(features).arg("--interpreter").arg(python());
    maturin.arg("--out").arg(&wheels).current_dir(sh::root().join("python"));
    sh::run(maturin.env("CARGO_TARGET_DIR", sh::target_dir()))
}

/// The wheel that was built last.
pub(crate) fn wheel() -> Result<PathBuf> {
    wheel_in("wheels")
}

/// The wheel in a folder of `target`.
pub(crate) fn wheel_in(folder: &str) -> Result<PathBuf> {
    let wheels = sh::target_dir().join(folder);
    std::fs::read_dir(&wheels)
        .with_context(|| format!("cannot read {}", wheels.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("maturin made no wheel")
}

fn ensure_environment() -> Result<()> {
    const NEW_ENOUGH: &str = "import sys; sys.exit(sys.version_info < (3, 10))";
    let interpreter = interpreter();
    if !sh::succeeds(sh::program(&interpreter).args(["-c", NEW_ENOUGH])) {
        bail!(
            "{} is not Python 3.10 or newer; name another one in the environment variable PYTHON",
            interpreter.to_string_lossy()
        );
    }
    // An environment whose Python is gone, or that never got its pip, is made anew.
    if !sh::succeeds(&mut command(&["-c", &format!("import pip; {NEW_ENOUGH}")])) {
        let mut venv = sh::program(&interpreter);
        sh::run(venv.args(["-m", "venv", "--clear"]).arg(environment())).context(
            "cannot make a virtual environment; on Debian and Ubuntu the module for it is the package python3-venv",
        )?;
    }
    need(TOOLS)
}

/// Installs those of the packages, each given as pip writes it, that the environment does not have.
pub(crate) fn need(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| {
            let name = package.split(['>', '=', '<']).next().unwrap_or(package);
            !sh::succeeds(&mut command(&["-c", &format!("import {name}")]))
        })
        .copied()
        .collect();
    if !missing.is_empty() {
        sh::run(command(&["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(&missing))?;
    }
    Ok(())
}

/// Runs the tests in a folder with this Python.
pub(crate) fn unittest(python: &mut Command, folder: &str) -> Result<Counts> {
    python.args(["-m", "unittest", "discover", "--start-directory", folder, "--top-level-directory", folder]);
    counts::run(python)
}

/// Builds, installs and tests the package, and checks its types.
pub(crate) fn check() -> Result<Counts> {
    policies::build()?;
    install()?;
    let mut counts = unittest(&mut command(&[]), "tests/python")?;
    if counts.failed == 0 {
        let mut stubtest = command(&["-m", "mypy.stubtest", "slotwise"]);
        sh::run(stubtest.args(["--allowlist", "tests/nova/stubtest.allow"]))?;
        sh::run(&mut command(&["-m", "mypy", "--strict", "examples/python"]))?;
        counts += package::other_pythons(&wheel()?)?;
    }
    Ok(counts)
}
