//! Benches, and the side-by-side comparison.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{c, nova, policies, python, sh, toolchain, wasm};

/// `cargo xtask bench [FILTER]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    toolchain::ensure()?;
    doors("release")?;
    let mut bench = sh::cargo(["bench", "--workspace", "--bench", "*", "--"]);
    sh::run(name_doors(bench.args(arguments), "release"))
}

/// Every bench once, in the profile that everything else is tested in: shows that they work, measures nothing.
pub(crate) fn once() -> Result<Command> {
    doors("debug")?;
    // Criterion runs a bench once when `cargo test` starts it.
    // Beside them the test that counts what the doors allocate, which needs the doors as they do.
    let mut benches = sh::cargo(["test", "--workspace", "--bench", "*", "--test", "allocations"]);
    name_doors(&mut benches, "debug");
    Ok(benches)
}

/// `cargo xtask compare [doors | discovery | nova | fleet [HOSTS]]`
pub(crate) fn compare(arguments: &[String]) -> Result<()> {
    if arguments == ["nova"] {
        return nova::compare();
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "fleet"
    {
        return compare_fleet(rest);
    }
    toolchain::ensure()?;
    if arguments == ["discovery"] {
        return compare_discovery();
    }
    let only_doors = arguments == ["doors"];
    if !only_doors {
        crate::no_arguments(arguments)?;
    }
    doors("release")?;
    let mut compare = sh::program(sh::target_dir().join("release/compare"));
    sh::run(name_doors(compare.args(arguments), "release"))?;
    if only_doors { Ok(()) } else { compare_discovery() }
}

/// Discovery against plain reads of the same files, and against `lspci`.
fn compare_discovery() -> Result<()> {
    let example = ["run", "--release", "--package", "slotwise-sysfs", "--example", "discovery_cost"];
    sh::run(&mut sh::cargo(example))
}

/// `cargo xtask compare fleet [HOSTS]`: writes the plot only for the full size.
fn compare_fleet(arguments: &[String]) -> Result<()> {
    if arguments.len() > 1 {
        bail!("compare fleet takes one number of hosts, but got {arguments:?}");
    }
    toolchain::ensure()?;
    wasm::build()?;
    python::install_profile("release")?;
    sh::build_workspace("release")?;
    let mut compare = sh::program(sh::target_dir().join("release/compare-fleet"));
    compare.args(arguments).env("SLOTWISE_PYTHON", python::python()).env("SLOTWISE_WASM", wasm::path());
    match nova::interpreter()? {
        Ok(python) => compare.env("SLOTWISE_NOVA_PYTHON", python),
        Err(reason) => compare.env("SLOTWISE_NOVA_REASON", reason),
    };
    if arguments.is_empty() {
        compare.env("SLOTWISE_PLOT", sh::root().join("benches/fleet.svg"));
    }
    sh::run(&mut compare)
}

/// Builds what the benches call through: the C program, the Python package and the component.
fn doors(profile: &str) -> Result<()> {
    wasm::build()?;
    policies::build()?;
    // Cargo's folder for the profile `dev` is `debug`.
    let cargo_profile = if profile == "debug" { "dev" } else { profile };
    python::install_profile(cargo_profile)?;
    sh::build_workspace(cargo_profile)?;
    c::program("benches/doors/door.c", profile, &c_door(profile))
}

/// Tells the benches where the doors are.
fn name_doors<'a>(command: &'a mut Command, profile: &str) -> &'a mut Command {
    command
        .env("SLOTWISE_C_DOOR", c_door(profile))
        .env("SLOTWISE_PYTHON", python::python())
        .env("SLOTWISE_WASM", wasm::path())
}

fn c_door(profile: &str) -> std::path::PathBuf {
    sh::target_dir().join("c").join(profile).join("door")
}
