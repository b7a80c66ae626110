//! Dependencies: those of the engine are a list that a person has judged, and the wheel shares wasmtime with the workspace.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use crate::sh;

/// Every crate that the engine may be built with. None of them does I/O beyond `std`'s own traits, starts a thread,
/// needs an async runtime, or calls C; the derive macros and what they are made of run in the compiler only.
///
/// A crate that is not listed fails the check: read its source for the above before adding it here.
const JUDGED: &[&str] = &[
    "bincode",
    "bit-set",
    "bit-vec",
    "cfg-if",
    "crc32fast",
    "fancy-regex",
    "hashbrown",
    "itoa",
    "memchr",
    "proc-macro2",
    "quote",
    "regex-automata",
    "regex-syntax",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "serde_path_to_error",
    "serde_spanned",
    "slotwise",
    "syn",
    "toml",
    "toml_datetime",
    "toml_parser",
    "unicode-ident",
    "unty",
    "winnow",
    "zmij",
];

/// Checks the engine's normal dependencies, on all platforms, against the list.
pub(crate) fn check() -> Result<()> {
    let tree = sh::output(&mut sh::cargo([
        "tree",
        "--package",
        "slotwise",
        "--edges",
        "normal",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let unknown: Vec<_> = found.iter().filter(|name| !JUDGED.contains(name)).copied().collect();
    if !unknown.is_empty() {
        bail!(
            "the engine depends on crates that nobody has judged: {} (see xtask/src/tree.rs)",
            unknown.join(", ")
        );
    }
    println!("{} crates, all of them judged: no I/O, no async runtime, no C", found.len());
    Ok(())
}

/// Checks that a wheel which is built beside the workspace has all that wasmtime is made of with the features that it has
/// there (`shared-build` in `bindings/python/Cargo.toml`): otherwise wasmtime is compiled twice.
pub(crate) fn check_shared() -> Result<()> {
    // A crate that build scripts and macros use, too, may have other features there: first without those.
    let target = below_wasmtime("normal,no-proc-macro")?;
    let all = below_wasmtime("normal,build")?;
    let in_workspace = [workspace("normal,dev,no-proc-macro")?, workspace("normal,build,dev")?];
    let differ: BTreeSet<&String> =
        target.difference(&in_workspace[0]).chain(all.difference(&in_workspace[1])).collect();
    ensure!(
        differ.is_empty(),
        "the feature shared-build of slotwise-python does not give these the features that they have in the workspace, so \
         that wasmtime is compiled twice: {differ:?}"
    );
    println!("{} crates of wasmtime, all of them shared by workspace and wheel", all.len());
    Ok(())
}

/// The crates of the workspace and all that they depend on, each with its features.
fn workspace(edges: &str) -> Result<BTreeSet<String>> {
    let tree = sh::output(&mut sh::cargo([
        "tree",
        "--workspace",
        "--edges",
        edges,
        "--prefix",
        "none",
        "--format",
        "{p} [{f}]",
    ]))?;
    Ok(tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

/// The same for wasmtime in the wheel.
fn below_wasmtime(edges: &str) -> Result<BTreeSet<String>> {
    let tree = sh::output(&mut sh::cargo([
        "tree",
        "--package",
        "slotwise-python",
        "--features",
        "shared-build",
        "--edges",
        edges,
        "--no-dedupe",
        "--prefix",
        "depth",
        "--format",
        " {p} [{f}]",
    ]))?;
    let mut top = None;
    let mut found = BTreeSet::new();
    for line in tree.lines() {
        let (depth, package) = line.split_once(' ').context("cargo tree wrote a line without a depth")?;
        let depth: usize = depth.parse()?;
        if package.starts_with("wasmtime v") {
            top = Some(depth);
        } else if top.is_none_or(|top| depth <= top) {
            top = None;
            continue;
        }
        found.insert(package.to_owned());
    }
    ensure!(!found.is_empty(), "the wheel has no wasmtime");
    Ok(found)
}
