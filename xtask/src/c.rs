//! The C library: compiling programs against it, its header, and its installation.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{sh, toolchain};

/// What a program that links the static library needs from the system.
const SYSTEM_LIBRARIES: &[&str] = &["-lpthread", "-ldl", "-lm"];

/// The version of the library's binary interface: programs linked against one number keep working with it.
const ABI: &str = "0";

/// Compiles one C11 file against the static library that cargo built last in `target/PROFILE`.
pub(crate) fn program(source: &str, profile: &str, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut cc = sh::program(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-g", "-Iinclude", source, "-o"])
        .arg(to);
    cc.arg(sh::target_dir().join(profile).join("libslotwise_c.a")).args(SYSTEM_LIBRARIES);
    sh::run(&mut cc)
}

/// `cargo xtask header`
pub(crate) fn header(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    // The same test that refuses a header that has drifted writes it when it is told to.
    sh::run(sh::cargo(["test", "-p", "slotwise-c", "--test", "header"]).env("SLOTWISE_UPDATE", "1"))
}

/// `cargo xtask install-c --prefix DIR [--libdir DIR]`
pub(crate) fn install(arguments: &[String]) -> Result<()> {
    let mut prefix = None;
    let mut libdir = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), rest.next().cloned()),
        };
        let value = value.with_context(|| format!("{name} needs a folder"))?;
        match name {
            "--prefix" => prefix = Some(PathBuf::from(value)),
            "--libdir" => libdir = Some(PathBuf::from(value)),
            _ => bail!("install-c takes --prefix DIR and --libdir DIR, not {name:?}"),
        }
    }
    let Some(prefix) = prefix else { bail!("say where to: --prefix DIR") };
    let prefix = std::path::absolute(prefix)?;
    // A relative --libdir is meant inside the prefix, as with GNU's installation folders.
    let libdir = prefix.join(libdir.unwrap_or_else(|| "lib".into()));
    toolchain::ensure()?;

    sh::run(&mut sh::cargo(["build", "--package", "slotwise-c", "--release"]))?;
    let built = sh::target_dir().join("release");
    let soname = format!("libslotwise.so.{ABI}");
    check_name(&built.join("libslotwise_c.so"), &soname)?;

    let version = env!("CARGO_PKG_VERSION");
    let shared = format!("libslotwise.so.{version}");
    put(&built.join("libslotwise_c.so"), &libdir.join(&shared))?;
    link(&shared, &libdir.join(&soname))?;
    link(&soname, &libdir.join("libslotwise.so"))?;
    put(&built.join("libslotwise_c.a"), &libdir.join("libslotwise.a"))?;
    let include = prefix.join("include");
    for entry in std::fs::read_dir(sh::root().join("include")).context("there is no include folder")? {
        let header = entry?.path();
        if let Some(name) = header.file_name() {
            put(&header, &include.join(name))?;
        }
    }
    let pkg_config = libdir.join("pkgconfig/slotwise.pc");
    write(&pkg_config, &description(&prefix, &libdir, version))?;
    println!(
        "Link with: PKG_CONFIG_PATH={} pkg-config --cflags --libs slotwise",
        pkg_config.with_file_name("").display()
    );
    Ok(())
}

/// Checks that programs linked against the library will ask for it by this name (its build script gives it one).
fn check_name(library: &Path, soname: &str) -> Result<()> {
    let bytes = std::fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let name: Vec<u8> = soname.bytes().chain([0]).collect();
    if !bytes.windows(name.len()).any(|window| window == name) {
        bail!("{} is not named {soname}", library.display());
    }
    Ok(())
}

/// The text of `slotwise.pc`.
fn description(prefix: &Path, libdir: &Path, version: &str) -> String {
    format!(
        "prefix={}\nlibdir={}\nincludedir=${{prefix}}/include\n\n\
         Name: slotwise\n\
         Description: Decides which PCI device goes to which workload, and remembers it\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lslotwise\n\
         Libs.private: {}\n",
        prefix.display(),
        libdir.display(),
        SYSTEM_LIBRARIES.join(" ")
    )
}

fn put(from: &Path, to: &Path) -> Result<()> {
    folder_of(to)?;
    // A library that a running program has mapped must not be written over in place.
    remove(to)?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    println!("  {}", to.display());
    Ok(())
}

fn link(target: &str, at: &Path) -> Result<()> {
    remove(at)?;
    symlink(target, at).with_context(|| format!("cannot link {}", at.display()))?;
    println!("  {} -> {target}", at.display());
    Ok(())
}

fn write(to: &Path, text: &str) -> Result<()> {
    folder_of(to)?;
    std::fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    println!("  {}", to.display());
    Ok(())
}

fn folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_its_folders() {
        let text = description(Path::new("/opt/x"), Path::new("/opt/x/lib64"), "0.1.0");
        assert!(
            text.starts_with("prefix=/opt/x\nlibdir=/opt/x/lib64\nincludedir=${prefix}/include\n"),
            "{text}"
        );
        assert!(text.contains("\nVersion: 0.1.0\n"), "{text}");
    }
}
