//! The C examples as their users build them: by pkg-config, as a plugin that a host loads, and by CMake.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{STRICT, SYSTEM_LIBRARIES};
use crate::counts::Counts;
use crate::sh;

/// Compilers and the standards that the examples are written for; those that are not here are named.
const COMPILERS: &[(&str, &[&str])] = &[
    ("gcc", &["-std=c11"]),
    ("g++", &["-std=c++17", "-x", "c++"]),
    ("clang", &["-std=c11"]),
    ("clang++", &["-std=c++17", "-x", "c++"]),
];

/// Builds and runs everything in `examples/c` against the library that is installed under `prefix`.
pub(crate) fn check(prefix: &Path) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut run = |what: &str, result: Result<()>| match result {
        Ok(()) => {
            println!("{what}: as it should be");
            counts.passed += 1;
        }
        Err(error) => {
            println!("{what}: {error:#}");
            counts.failed += 1;
        }
    };
    let mut found = false;
    for (compiler, standard) in COMPILERS {
        if !sh::succeeds(sh::program(compiler).arg("--version")) {
            println!("{compiler} is not here, so the examples are not compiled with it");
            continue;
        }
        found = true;
        run(&format!("examples/c/first.c with {compiler}"), first(prefix, compiler, standard));
        run(&format!("examples/c/plugin with {compiler}"), plugin(prefix, compiler, standard));
    }
    if sh::succeeds(sh::program("valgrind").arg("--version")) && found {
        run("examples/c/plugin under valgrind", valgrind(prefix));
    } else {
        println!("valgrind is not here, so nobody looked for what the plugin leaves behind");
    }
    if sh::succeeds(sh::program("cmake").arg("--version")) {
        run("examples/c with CMake", cmake(prefix));
    } else {
        println!("cmake is not here, so find_package(slotwise) was not tried");
    }
    ensure!(found, "no C compiler is here: gcc, g++, clang or clang++");
    Ok(counts)
}

fn compile(compiler: &str, standard: &[&str], source: &str) -> Command {
    let mut command = sh::program(compiler);
    command.args(standard).args(STRICT).arg(source).args(["-x", "none"]);
    command
}

/// What pkg-config says of the installed library.
fn pkg_config(prefix: &Path, arguments: &[&str]) -> Result<Vec<String>> {
    let mut command = sh::program("pkg-config");
    command.args(arguments).arg("slotwise").env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let flags = sh::output(&mut command).context("pkg-config is needed for the C examples")?;
    Ok(flags.split_whitespace().map(str::to_owned).collect())
}

fn first(prefix: &Path, compiler: &str, standard: &[&str]) -> Result<()> {
    let program = prefix.join("first");
    let mut compile = compile(compiler, standard, "examples/c/first.c");
    sh::output(compile.args(pkg_config(prefix, &["--cflags", "--libs"])?).arg("-o").arg(&program))?;
    let printed = sh::output(sh::program(&program).env("LD_LIBRARY_PATH", prefix.join("lib")))?;
    let expected = std::fs::read_to_string(sh::root().join("examples/c/first.txt"))?;
    ensure!(printed == expected, "it printed:\n{printed}and should have printed:\n{expected}");
    Ok(())
}

/// The plugin brings the static library along and exports one symbol.
fn plugin(prefix: &Path, compiler: &str, standard: &[&str]) -> Result<()> {
    let mut library = compile(compiler, standard, "examples/c/plugin/plugin.c");
    library.args(["-fPIC", "-shared", "-fvisibility=hidden", "-Wl,--exclude-libs,ALL", "-Wl,--no-undefined"]);
    library.args(pkg_config(prefix, &["--cflags"])?).arg(prefix.join("lib/libslotwise.a"));
    sh::output(library.args(SYSTEM_LIBRARIES).arg("-o").arg(prefix.join("plugin.so")))?;
    let mut host = compile(compiler, standard, "examples/c/plugin/host.c");
    sh::output(host.args(SYSTEM_LIBRARIES).arg("-o").arg(prefix.join("host")))?;
    let symbols = sh::output(sh::program("nm").args(["-D", "--defined-only"]).arg(prefix.join("plugin.so")))?;
    ensure!(symbols.lines().count() == 1, "the plugin exports more than its table:\n{symbols}");
    loads(&mut sh::program(prefix.join("host")), prefix)
}

fn loads(host: &mut Command, prefix: &Path) -> Result<()> {
    let printed = sh::output(host.arg(prefix.join("plugin.so")))?;
    ensure!(printed.matches("the plugin is unloaded").count() == 3, "the host printed:\n{printed}");
    Ok(())
}

/// The loader itself keeps a block for the first thread's variables of the library, and reuses it: what is still reachable is
/// not counted.
fn valgrind(prefix: &Path) -> Result<()> {
    let mut valgrind = sh::program("valgrind");
    valgrind.args(["-q", "--error-exitcode=99", "--leak-check=full", "--keep-debuginfo=yes"]);
    let kinds = "definite,indirect,possible";
    valgrind.args([format!("--show-leak-kinds={kinds}"), format!("--errors-for-leak-kinds={kinds}")]);
    loads(valgrind.arg(prefix.join("host")), prefix)
}

fn cmake(prefix: &Path) -> Result<()> {
    let build = prefix.join("cmake-build");
    let mut configure = sh::program("cmake");
    configure.args(["-S", "examples/c", "-B"]).arg(&build);
    sh::output(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))?;
    sh::output(sh::program("cmake").arg("--build").arg(&build))?;
    sh::output(&mut sh::program(build.join("first")))?;
    let printed = sh::output(sh::program(build.join("host")).arg(build.join("libplugin.so")))?;
    ensure!(printed.contains("the plugin is unloaded"), "the host printed:\n{printed}");
    // A version that this one is not compatible with must not be found.
    let other = prefix.join("cmake-other");
    std::fs::create_dir_all(&other)?;
    let project =
        "cmake_minimum_required(VERSION 3.16)\nproject(other C)\nfind_package(slotwise 99 REQUIRED)\n";
    std::fs::write(other.join("CMakeLists.txt"), project)?;
    let mut refused = sh::program("cmake");
    refused.arg("-S").arg(&other).arg("-B").arg(other.join("build"));
    refused.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    ensure!(!sh::succeeds(&mut refused), "version 99 was found");
    Ok(())
}
