//! The binary interface of the C library against the committed one, by libabigail (Debian: `abigail-tools`).
//!
//! What is compared is a C library made of the header alone, with a body for each function that is never run: so the report
//! depends on no Rust compiler and shows types as C programs see them. That the real library exports just these functions, and
//! that the header agrees with them, is tested in `bindings/c`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::sh;

/// The interface as it was when it was last written down.
const BASELINE: &str = "bindings/c/slotwise.abi";

/// `cargo xtask abi [--write]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => match check()? {
            None => Ok(()),
            Some(reason) => bail!(reason),
        },
        [write] if write == "--write" => {
            ensure!(has_tools(), MISSING);
            write_down()
        }
        _ => bail!("abi takes --write or nothing"),
    }
}

const MISSING: &str =
    "abidw and abidiff are not here; on Debian and Ubuntu they are in the package abigail-tools";

fn has_tools() -> bool {
    sh::succeeds(sh::program("abidiff").arg("--version"))
}

/// Compares; gives the reason where that cannot be done here.
pub(crate) fn check() -> Result<Option<String>> {
    if !has_tools() {
        return Ok(Some(MISSING.to_owned()));
    }
    if std::env::consts::ARCH != "x86_64" {
        return Ok(Some(format!(
            "the committed interface is that of x86_64, and this is {}",
            std::env::consts::ARCH
        )));
    }
    let library = library()?;
    // A function that was added harms no program that exists; everything else does, or may.
    let mut compare = sh::program("abidiff");
    let output = compare.args(["--no-added-syms", BASELINE]).arg(&library).output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    ensure!(
        output.status.success(),
        "the binary interface changed: programs that are linked with an earlier {BASELINE} may break. Before a release \
         that is no matter; after one, give the SONAME another number (ABI in xtask/src/c/install.rs and \
         bindings/c/build.rs). Then run cargo xtask abi --write{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let known = std::fs::read_to_string(sh::root().join(BASELINE)).context("the baseline cannot be read")?;
    let new: Vec<String> = functions()?
        .into_iter()
        .filter(|name| !known.contains(&format!("<elf-symbol name='{name}'")))
        .collect();
    if !new.is_empty() {
        println!("not in {BASELINE} yet, so not guarded: {} (cargo xtask abi --write)", new.join(", "));
    }
    Ok(None)
}

fn write_down() -> Result<()> {
    let library = library()?;
    let mut describe = sh::program("abidw");
    // Nothing of this machine: no path, no line of a system header.
    describe.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--type-id-style", "hash"]);
    describe.args(["--headers-dir", "include", "--drop-private-types", "--out-file", BASELINE]);
    sh::run(describe.arg(&library))
}

/// The header with a body for each function.
fn source() -> Result<String> {
    let header = std::fs::read_to_string(sh::root().join("include/slotwise.h"))?;
    let start = header.find("extern \"C\" {").context("the header has no C part")?;
    let start = start + header[start..].find("#endif").context("the C part begins with #endif")?;
    let start = start + header[start..].find('\n').context("a line ends")?;
    let end = start + header[start..].find("#ifdef __cplusplus").context("the C part has an end")?;
    let mut bodies = String::from("#include <slotwise.h>\n");
    let mut rest = &header[start..end];
    while let Some((before, comment)) = rest.split_once("/*") {
        bodies.push_str(before);
        rest = comment.split_once("*/").context("a comment ends")?.1;
    }
    bodies.push_str(rest);
    Ok(bodies.replace(");", ") { __builtin_trap(); }"))
}

/// The names of the functions in the header.
fn functions() -> Result<Vec<String>> {
    let source = source()?;
    // A function's name stands before its bracket.
    let before = source.split('(').map(|text| text.rsplit([' ', '*', '\n']).next().unwrap_or_default());
    Ok(before.filter(|name| name.starts_with("slotwise_")).map(str::to_owned).collect())
}

fn library() -> Result<PathBuf> {
    let folder = sh::target_dir().join("abi");
    std::fs::create_dir_all(&folder)?;
    let (file, library) = (folder.join("slotwise.c"), folder.join("libslotwise.so.0"));
    std::fs::write(&file, source()?)?;
    let mut cc = sh::program(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c11", "-g", "-shared", "-fPIC", "-Iinclude", "-Wl,-soname,libslotwise.so.0"]);
    // No path of this machine in the report.
    cc.arg(format!("-ffile-prefix-map={}=abi", folder.display()));
    sh::output(cc.arg(Path::new(&file)).arg("-o").arg(&library))?;
    Ok(library)
}
