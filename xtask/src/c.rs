//! The C library: compiling programs against it, its header, and its installation.

pub(crate) mod consumers;
mod install;

use std::path::{Path, PathBuf};

use anyhow::Result;

use self::install::{Folders, install_to};
pub(crate) use self::install::{SYSTEM_LIBRARIES, install};
use crate::{sh, toolchain};

/// Warnings are errors in every C and C++ file of ours.
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-g"];

/// The compiler of a source file, told by its extension, with the language's standard.
pub(crate) fn compiler(source: &Path) -> std::process::Command {
    let cxx = source.extension().is_some_and(|extension| extension == "cpp");
    let (variable, default, standard) =
        if cxx { ("CXX", "c++", "-std=c++17") } else { ("CC", "cc", "-std=c11") };
    let mut compiler = sh::program(std::env::var_os(variable).unwrap_or_else(|| default.into()));
    compiler.arg(standard).args(STRICT);
    compiler
}

/// Compiles one C11 or C++17 file against the static library that cargo built last in `target/PROFILE`.
pub(crate) fn program(source: impl AsRef<Path>, profile: &str, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut compiler = compiler(source.as_ref());
    compiler.arg("-Iinclude").arg(source.as_ref()).arg("-o").arg(to);
    compiler.arg(sh::target_dir().join(profile).join("libslotwise_c.a")).args(SYSTEM_LIBRARIES);
    sh::run(&mut compiler)
}

/// A prefix in `target/` with the library that cargo built last in `target/PROFILE`, for tests.
pub(crate) fn test_prefix(profile: &str) -> Result<PathBuf> {
    let prefix = sh::target_dir().join("c/prefix");
    install_to(&Folders::new(&prefix, None)?, profile)?;
    Ok(prefix)
}

/// `cargo xtask header`
pub(crate) fn header(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    // The same test that refuses a header that has drifted writes it when it is told to.
    // With the features of the whole workspace, so that nothing large is compiled for this alone.
    sh::run(sh::cargo(["test", "--workspace", "--test", "header"]).env("SLOTWISE_UPDATE", "1"))
}
