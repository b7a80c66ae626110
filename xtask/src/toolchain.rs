//! The pinned toolchain with its parts: present, or installed now.

use std::path::Path;

use anyhow::{Result, bail};

use crate::sh;

/// The target of the engine component.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Makes sure of what `rust-toolchain.toml` names: compiler, rustfmt, clippy and the WebAssembly target.
///
/// rustup installs them by itself on most machines; where automatic installs are off, one command does it.
pub(crate) fn ensure() -> Result<()> {
    if !complete() {
        println!("The toolchain that rust-toolchain.toml names is not complete; rustup installs it.");
        sh::run(sh::program("rustup").args(["toolchain", "install", "--no-self-update"]))?;
        if !complete() {
            bail!("the toolchain still lacks rustfmt, clippy or {WASM}; see `rustup show`");
        }
    }
    for (tool, needed_for) in [("cc", "the C library's tests"), ("python3", "the Python package")] {
        // Python's name may be set otherwise.
        let tool = if tool == "python3" { crate::python::interpreter() } else { tool.into() };
        if !sh::succeeds(sh::program(&tool).arg("--version")) {
            bail!("{} is needed for {needed_for}, and cannot be started", tool.to_string_lossy());
        }
    }
    Ok(())
}

fn complete() -> bool {
    let Ok(libraries) = sh::output(sh::program("rustc").args(["--print", "target-libdir", "--target", WASM]))
    else {
        return false;
    };
    Path::new(libraries.trim()).is_dir()
        && sh::succeeds(sh::cargo(["fmt", "--version"]).env_remove("CARGO"))
        && sh::succeeds(&mut sh::cargo(["clippy", "--version"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything is tested with the oldest Rust that is promised to work.
    #[test]
    fn the_pinned_toolchain_is_the_oldest_that_is_supported() -> Result<()> {
        let value = |file: &str, key: &str| -> Result<String> {
            let text = std::fs::read_to_string(sh::root().join(file))?;
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
            Ok(line.unwrap_or_default().trim_matches('"').to_owned())
        };
        let promised = value("Cargo.toml", "rust-version")?;
        assert_eq!(value("rust-toolchain.toml", "channel")?, format!("{promised}.0"));
        let readme = std::fs::read_to_string(sh::root().join("README.md"))?;
        assert!(readme.contains(&format!("Rust {promised}")), "README.md names another Rust than {promised}");
        Ok(())
    }
}
