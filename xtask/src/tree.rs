//! The engine's dependencies: a list that a person has judged.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

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
