//! The example policies as components: `target/wasm/policies/NAME.wasm`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{sh, toolchain, wasm};

/// The examples in Rust: the package, and the name of its component.
const RUST: &[(&str, &str)] = &[
    ("avoid-hot-racks", "avoid-hot-racks"),
    ("narrow-links-last", "narrow-links-last"),
    ("separate-tenants", "separate-tenants"),
    ("policy-template", "template"),
];

/// The example in JavaScript.
const JAVASCRIPT: &str = "old-firmware-last";

/// The one import that a policy may have.
const LOG: &str = "slotwise:policy/log@0.1.0";

/// The stack of a policy in Rust, in bytes.
const STACK: usize = 64 << 10;

/// `cargo xtask policies [FOLDER]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    toolchain::ensure()?;
    match arguments {
        [] => build(),
        [folder] => one(&std::path::absolute(folder)?),
        _ => bail!("give the folder of one policy, or nothing for the examples"),
    }
}

/// Builds the policy in Rust that lies in a folder of its own, outside of this repository: `FOLDER/NAME.wasm`.
fn one(folder: &Path) -> Result<()> {
    let manifest = folder.join("Cargo.toml");
    let id = sh::output(sh::cargo(["pkgid", "--offline", "--manifest-path"]).arg(&manifest));
    if id.is_err() {
        // Without a lock file there is no id yet; this writes one, and says what is wrong with the manifest if it cannot.
        sh::run(sh::cargo(["generate-lockfile", "--manifest-path"]).arg(&manifest))?;
    }
    let id = id.or_else(|_| sh::output(sh::cargo(["pkgid", "--manifest-path"]).arg(&manifest)))?;
    let mut cargo = sh::cargo(["rustc", "--lib", "--crate-type", "cdylib", "--release", "--target"]);
    cargo.arg(toolchain::WASM).arg("--manifest-path").arg(&manifest);
    cargo.arg("--target-dir").arg(folder.join("target"));
    sh::run(cargo.arg("--").arg(format!("-Clink-arg=-zstack-size={STACK}")))?;
    let name = package_name(&id)?;
    let module = folder.join("target").join(toolchain::WASM).join("release").join(name.replace('-', "_"));
    wasm::component(&module.with_extension("wasm"), &[LOG], &folder.join(name).with_extension("wasm"))
}

/// The name in what `cargo pkgid` prints: `path+file:///FOLDER#NAME@VERSION`, or `path+file:///…/NAME#VERSION`.
fn package_name(id: &str) -> Result<&str> {
    let (path, after) = id.trim().split_once('#').with_context(|| format!("cargo names a package {id:?}"))?;
    Ok(match after.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or(path),
    })
}

/// `cargo xtask hostile [CALLS]`
pub(crate) fn hostile(arguments: &[String]) -> Result<()> {
    let calls = match arguments {
        [] => "10000",
        [calls] if calls.parse::<usize>().is_ok() => calls,
        _ => bail!("give the number of calls, and nothing else"),
    };
    toolchain::ensure()?;
    let mut test =
        sh::cargo(["test", "--workspace", "--test", "hostile", "--", "hostile_calls", "--nocapture"]);
    sh::run(test.env("SLOTWISE_HOSTILE_CALLS", calls))
}

/// Where a policy's component is.
fn path(name: &str) -> PathBuf {
    sh::target_dir().join("wasm/policies").join(name).with_extension("wasm")
}

/// Builds all examples; the one in JavaScript is left out, with a printed reason, where its tools are not here.
pub(crate) fn build() -> Result<()> {
    for (package, name) in RUST {
        wasm::guest(package, "policy", STACK, &[], &[LOG], &path(name))?;
    }
    javascript()
}

/// Tests the policy in JavaScript and makes its component, with `componentize-js` from npm.
fn javascript() -> Result<()> {
    let source = sh::root().join("examples/policies").join(JAVASCRIPT);
    let output = path(JAVASCRIPT);
    let wit = sh::root().join("crates/slotwise-policy/wit");
    if newer(&output, &[&source, &wit])? {
        return wasm::check_imports(&output, &[LOG]);
    }
    for tool in ["node", "npm"] {
        if !sh::succeeds(sh::program(tool).arg("--version")) {
            println!("skipped: {JAVASCRIPT} needs {tool}, which is not here");
            return Ok(());
        }
    }
    // npm writes beside the sources, which are therefore copied to where everything is built.
    let folder = sh::target_dir().join("npm").join(JAVASCRIPT);
    std::fs::create_dir_all(&folder)?;
    for file in files(&source)? {
        let name = file.file_name().context("a file without a name")?;
        std::fs::copy(&file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    sh::run(sh::program("node").args(["--test", "policy.test.js"]).current_dir(&folder))?;
    let install = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
    if let Err(error) = sh::run(sh::program("npm").args(install).current_dir(&folder)) {
        println!("skipped: {JAVASCRIPT} needs componentize-js, which could not be installed: {error:#}");
        return Ok(());
    }
    if let Err(error) =
        sh::run(sh::program("node").arg("build.mjs").arg(&wit).arg(&output).current_dir(&folder))
    {
        // npm takes what an interrupted installation left for complete.
        let _ = std::fs::remove_dir_all(folder.join("node_modules"));
        return Err(error.context("the packages of npm are thrown away; another run installs them anew"));
    }
    wasm::check_imports(&output, &[LOG])
}

/// Whether the output is there and younger than every file in the folders.
fn newer(output: &Path, folders: &[&Path]) -> Result<bool> {
    let Ok(built) = output.metadata().and_then(|metadata| metadata.modified()) else { return Ok(false) };
    for folder in folders {
        for file in files(folder)? {
            if file.metadata()?.modified()? >= built {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_in_both_ways() -> Result<()> {
        assert_eq!(package_name("path+file:///home/me/mine#policy-template@0.1.0\n")?, "policy-template");
        assert_eq!(package_name("path+file:///home/me/keep-off#0.1.0\n")?, "keep-off");
        Ok(())
    }
}
