//! The engine as a WebAssembly component: `target/wasm/slotwise.wasm`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::{sh, toolchain};

/// Where the component goes.
pub(crate) fn path() -> PathBuf {
    sh::target_dir().join("wasm/slotwise.wasm")
}

/// `cargo xtask wasm`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    build()
}

/// Builds the engine as a component; fails when the component imports anything.
pub(crate) fn build() -> Result<()> {
    // JSON as deep as the engine reads it takes between 32 and 64 KiB (a test of the sandbox crate sends it); this is
    // four times that.
    //
    // The fleet compares columns sixteen bytes at a time where the target can. Every runtime that has components can.
    guest("slotwise-wasm", "guest", 256 << 10, &["-Ctarget-feature=+simd128"], &[], &path())
}

/// Builds a guest crate with this cargo profile and turns it into a component, which may import what is named and nothing
/// else.
///
/// `flags` are for the compiler, beyond those of every guest.
///
/// `stack` is the guest's own stack in bytes: less than the usual 1 MiB, which an instance pays for when it starts.
pub(crate) fn guest(
    package: &str,
    profile: &str,
    stack: usize,
    flags: &[&str],
    allowed: &[&str],
    path: &Path,
) -> Result<()> {
    let mut cargo = sh::cargo(["rustc", "-p", package, "--lib", "--crate-type", "cdylib"]);
    cargo.args(["--target", toolchain::WASM, "--profile", profile, "--"]);
    cargo.arg(format!("-Clink-arg=-zstack-size={stack}"));
    // This variable, unlike RUSTFLAGS, allows for spaces in paths; with --target neither reaches build scripts.
    let flags = guest_flags().into_iter().chain(flags.iter().map(|&flag| flag.to_owned()));
    sh::run(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\u{1f}")))?;
    let module = sh::target_dir().join(toolchain::WASM).join(profile).join(package.replace('-', "_"));
    component(&module.with_extension("wasm"), allowed, path)
}

/// Turns a module into a component, which may import what is named and nothing else.
pub(crate) fn component(module: &Path, allowed: &[&str], path: &Path) -> Result<()> {
    let module = std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(ComponentEncoder::encode)
        .context("the guest is not a component")?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, &component).with_context(|| format!("cannot write {}", path.display()))?;
    check_imports(path, allowed)
}

/// Says what a component imports, and fails when that is more than is allowed.
pub(crate) fn check_imports(path: &Path, allowed: &[&str]) -> Result<()> {
    let component = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let imports = imports(&component)?;
    if let Some(other) = imports.iter().find(|import| !allowed.contains(&import.as_str())) {
        bail!("{} must not import {other}", path.display());
    }
    let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") };
    println!("{}: {} bytes, imports {imports}", path.display(), component.len());
    Ok(())
}

/// How guests are compiled: without this machine's paths in the texts of panics, so that the same source gives the same
/// bytes everywhere.
fn guest_flags() -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=slotwise", sh::root().display())];
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

/// The names of what a component imports.
fn imports(component: &[u8]) -> Result<Vec<String>> {
    match wit_component::decode(component).context("the component cannot be read back")? {
        DecodedWasm::WitPackage(..) => bail!("expected a component and got a WIT package"),
        DecodedWasm::Component(resolve, world) => {
            Ok(resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect())
        }
    }
}
