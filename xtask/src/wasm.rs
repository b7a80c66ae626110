//! The engine as a WebAssembly component: `target/wasm/slotwise.wasm`.

use std::path::PathBuf;

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

/// Builds the guest and turns it into a component; fails when the component imports anything.
pub(crate) fn build() -> Result<()> {
    sh::run(
        sh::cargo(["build", "-p", "slotwise-wasm", "--target", toolchain::WASM, "--profile", "guest"]).env(
            // This variable, unlike RUSTFLAGS, allows for spaces in paths; with --target neither reaches build scripts.
            "CARGO_ENCODED_RUSTFLAGS",
            guest_flags().join("\u{1f}"),
        ),
    )?;
    let module = sh::target_dir().join(toolchain::WASM).join("guest/slotwise_wasm.wasm");
    let module = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(ComponentEncoder::encode)
        .context("the guest is not a component")?;
    let imports = imports(&component)?;
    if !imports.is_empty() {
        bail!("the component must not import anything, but imports {}", imports.join(", "));
    }
    let path = path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, &component).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {} bytes, no imports", path.display(), component.len());
    Ok(())
}

/// How the guest is compiled: without this machine's paths in the texts of panics, so that the same source gives the
/// same bytes everywhere, and with a smaller stack than the usual 1 MiB, which an instance pays for when it starts.
/// JSON as deep as the engine reads it takes between 32 and 64 KiB (a test of the sandbox crate sends it); this is
/// four times that.
fn guest_flags() -> Vec<String> {
    let mut flags = vec![
        format!("--remap-path-prefix={}=slotwise", sh::root().display()),
        "-Clink-arg=-zstack-size=262144".to_owned(),
    ];
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
