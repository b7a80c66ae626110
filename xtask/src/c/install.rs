//! Installing the C library: headers, shared and static library, and what pkg-config and CMake ask for.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{sh, toolchain};

/// What a program that links the static library needs from the system.
pub(crate) const SYSTEM_LIBRARIES: &[&str] = &["-lpthread", "-ldl", "-lm"];

/// The version of the library's binary interface: programs linked against one number keep working with it.
const ABI: &str = "0";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `cargo xtask install-c --prefix DIR [--libdir DIR] [--without-policies]`
pub(crate) fn install(arguments: &[String]) -> Result<()> {
    let mut prefix = None;
    let mut libdir = None;
    let mut build = sh::cargo(["build", "--package", "slotwise-c", "--release"]);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--without-policies" {
            build.arg("--no-default-features");
            continue;
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), rest.next().cloned()),
        };
        let value = value.with_context(|| format!("{name} needs a folder"))?;
        match name {
            "--prefix" => prefix = Some(PathBuf::from(value)),
            "--libdir" => libdir = Some(PathBuf::from(value)),
            _ => bail!("install-c takes --prefix DIR, --libdir DIR and --without-policies, not {name:?}"),
        }
    }
    let Some(prefix) = prefix else { bail!("say where to: --prefix DIR") };
    let folders = Folders::new(&prefix, libdir.as_deref())?;
    toolchain::ensure()?;
    sh::run(&mut build)?;
    for path in install_to(&folders, "release")? {
        println!("  {}", path.display());
    }
    println!(
        "Link with: PKG_CONFIG_PATH={} pkg-config --cflags --libs slotwise",
        folders.libdir.join("pkgconfig").display()
    );
    Ok(())
}

/// Where the library goes.
pub(crate) struct Folders {
    prefix: PathBuf,
    libdir: PathBuf,
    /// `DESTDIR`: the root under which a packager collects files, which is not in any of them.
    stage: Option<PathBuf>,
}

impl Folders {
    /// A relative `libdir` is meant inside the prefix, as with GNU's installation folders.
    pub(crate) fn new(prefix: &Path, libdir: Option<&Path>) -> Result<Self> {
        let prefix = std::path::absolute(prefix)?;
        let libdir = prefix.join(libdir.unwrap_or(Path::new("lib")));
        let stage = std::env::var_os("DESTDIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Ok(Folders { prefix, libdir, stage })
    }

    /// The place on this machine of a path that is meant on the machine of installation.
    fn staged(&self, path: &Path) -> PathBuf {
        match &self.stage {
            Some(stage) => stage.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }
}

/// Puts what cargo built last in `target/PROFILE` into the folders, and gives the files.
pub(crate) fn install_to(folders: &Folders, profile: &str) -> Result<Vec<PathBuf>> {
    let built = sh::target_dir().join(profile);
    let soname = format!("libslotwise.so.{ABI}");
    check_name(&built.join("libslotwise_c.so"), &soname)?;

    let Folders { prefix, libdir, .. } = folders;
    let mut files = Vec::new();
    let shared = format!("libslotwise.so.{VERSION}");
    let mut at = |path: PathBuf| {
        files.push(path.clone());
        folders.staged(&path)
    };
    put(&built.join("libslotwise_c.so"), &at(libdir.join(&shared)))?;
    link(&shared, &at(libdir.join(&soname)))?;
    link(&soname, &at(libdir.join("libslotwise.so")))?;
    put(&built.join("libslotwise_c.a"), &at(libdir.join("libslotwise.a")))?;
    for header in ["slotwise.h", "slotwise.hpp"] {
        put(&sh::root().join("include").join(header), &at(prefix.join("include").join(header)))?;
    }
    write(&at(libdir.join("pkgconfig/slotwise.pc")), &pkg_config(prefix, libdir))?;
    let cmake = libdir.join("cmake/slotwise");
    write(&at(cmake.join("slotwise-config.cmake")), &cmake_config(prefix, libdir))?;
    write(&at(cmake.join("slotwise-config-version.cmake")), &cmake_version())?;
    Ok(files)
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
fn pkg_config(prefix: &Path, libdir: &Path) -> String {
    format!(
        "prefix={}\nlibdir={}\nincludedir=${{prefix}}/include\n\n\
         Name: slotwise\n\
         Description: Decides which PCI device goes to which workload, and remembers it\n\
         Version: {VERSION}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lslotwise\n\
         Libs.private: {}\n",
        prefix.display(),
        libdir.display(),
        SYSTEM_LIBRARIES.join(" ")
    )
}

/// The text of `slotwise-config.cmake`: the targets `slotwise::slotwise` and `slotwise::static`.
fn cmake_config(prefix: &Path, libdir: &Path) -> String {
    // Found from where the file itself lies, so that a tree that was moved as a whole still works.
    let up = match libdir.strip_prefix(prefix) {
        Ok(inside) => "/..".repeat(inside.components().count() + 2),
        Err(_) => String::new(),
    };
    let include = if up.is_empty() {
        prefix.join("include").display().to_string()
    } else {
        format!("${{CMAKE_CURRENT_LIST_DIR}}{up}/include")
    };
    let system: Vec<&str> = SYSTEM_LIBRARIES.iter().map(|library| &library[2..]).collect();
    format!(
        "# find_package(slotwise) gives the targets slotwise::slotwise (the shared library) and slotwise::static.\n\
         get_filename_component(_slotwise_libdir \"${{CMAKE_CURRENT_LIST_DIR}}/../..\" ABSOLUTE)\n\
         get_filename_component(_slotwise_include \"{include}\" ABSOLUTE)\n\
         if(NOT TARGET slotwise::slotwise)\n  \
           add_library(slotwise::slotwise SHARED IMPORTED)\n  \
           set_target_properties(slotwise::slotwise PROPERTIES\n    \
             IMPORTED_LOCATION \"${{_slotwise_libdir}}/libslotwise.so.{VERSION}\"\n    \
             IMPORTED_SONAME \"libslotwise.so.{ABI}\"\n    \
             INTERFACE_INCLUDE_DIRECTORIES \"${{_slotwise_include}}\")\n  \
           add_library(slotwise::static STATIC IMPORTED)\n  \
           set_target_properties(slotwise::static PROPERTIES\n    \
             IMPORTED_LOCATION \"${{_slotwise_libdir}}/libslotwise.a\"\n    \
             INTERFACE_LINK_LIBRARIES \"{}\"\n    \
             INTERFACE_INCLUDE_DIRECTORIES \"${{_slotwise_include}}\")\n\
         endif()\n\
         unset(_slotwise_libdir)\n\
         unset(_slotwise_include)\n",
        system.join(";")
    )
}

/// The text of `slotwise-config-version.cmake`: a minor version is compatible from 1.0 on, until then only its own.
fn cmake_version() -> String {
    let mut parts = VERSION.split('.');
    let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
    let same = if major == "0" { format!("{major}\\\\.{minor}") } else { major.to_owned() };
    format!(
        "set(PACKAGE_VERSION \"{VERSION}\")\n\
         if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)\n  \
           set(PACKAGE_VERSION_COMPATIBLE FALSE)\n\
         elseif(NOT PACKAGE_FIND_VERSION OR PACKAGE_FIND_VERSION MATCHES \"^{same}(\\\\.|$)\")\n  \
           set(PACKAGE_VERSION_COMPATIBLE TRUE)\n  \
           if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)\n    \
             set(PACKAGE_VERSION_EXACT TRUE)\n  \
           endif()\n\
         else()\n  \
           set(PACKAGE_VERSION_COMPATIBLE FALSE)\n\
         endif()\n"
    )
}

fn put(from: &Path, to: &Path) -> Result<()> {
    folder_of(to)?;
    // A library that a running program has mapped must not be written over in place.
    remove(to)?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn link(target: &str, at: &Path) -> Result<()> {
    remove(at)?;
    symlink(target, at).with_context(|| format!("cannot link {}", at.display()))
}

fn write(to: &Path, text: &str) -> Result<()> {
    folder_of(to)?;
    std::fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
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
    fn the_descriptions_name_their_folders() {
        let text = pkg_config(Path::new("/opt/x"), Path::new("/opt/x/lib64"));
        assert!(
            text.starts_with("prefix=/opt/x\nlibdir=/opt/x/lib64\nincludedir=${prefix}/include\n"),
            "{text}"
        );
        assert!(text.contains(&format!("\nVersion: {VERSION}\n")), "{text}");
        let text = cmake_config(Path::new("/usr"), Path::new("/usr/lib/x86_64-linux-gnu"));
        assert!(text.contains("\"${CMAKE_CURRENT_LIST_DIR}/../../../../include\""), "{text}");
        let text = cmake_config(Path::new("/usr"), Path::new("/lib64"));
        assert!(text.contains("\"/usr/include\""), "{text}");
    }

    #[test]
    fn a_stage_is_not_in_the_files() {
        let folders =
            Folders { prefix: "/usr".into(), libdir: "/usr/lib".into(), stage: Some("/tmp/stage".into()) };
        assert_eq!(folders.staged(Path::new("/usr/lib/x")), Path::new("/tmp/stage/usr/lib/x"));
    }
}
