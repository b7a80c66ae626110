//! The Python package as its users get it: every CPython that is here, the source distribution, and what it weighs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::counts::{Counts, Reader};
use crate::{python, sh, toolchain};

/// The versions that the wheel is for; a trailing `t` is a build without the global interpreter lock.
const VERSIONS: &[&str] = &["3.10", "3.11", "3.12", "3.13", "3.14", "3.13t", "3.14t"];

/// Prints a version as in [`VERSIONS`], of CPython only.
const TELL: &str = "import sys, sysconfig\n\
    assert sys.implementation.name == 'cpython'\n\
    print('%d.%d' % sys.version_info[:2] + 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')))";

/// `cargo xtask package`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    python::install_profile("release")?;
    let wheel = python::wheel()?;
    let mut counts = other_pythons(&wheel)?;
    for (from, what) in [(sh::root().join("python"), "pip install ./python"), (sdist()?, "pip install SDIST")]
    {
        counts += clean(&from, what)?;
    }
    weigh(&wheel)?;
    println!("{} passed, {} failed", counts.passed, counts.failed);
    ensure!(counts.failed == 0, "the package does not work everywhere");
    Ok(())
}

/// The interpreters that are here, by version: those in the search path, and pyenv's.
fn interpreters() -> BTreeMap<String, PathBuf> {
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let installed = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let candidates = VERSIONS.iter().map(|version| PathBuf::from(format!("python{version}"))).chain(
        installed.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path().join("bin/python"))),
    );
    let mut found = BTreeMap::new();
    for python in candidates {
        if let Ok(version) = sh::output(sh::program(&python).args(["-c", TELL])) {
            let version = version.trim().to_owned();
            if VERSIONS.contains(&version.as_str()) {
                found.entry(version).or_insert(python);
            }
        }
    }
    found
}

/// Runs the package's tests with this wheel in every CPython that is here.
pub(crate) fn other_pythons(wheel: &Path) -> Result<Counts> {
    let site = sh::target_dir().join("site");
    if site.exists() {
        std::fs::remove_dir_all(&site)?;
    }
    // The wheel alone, as an installer puts it: it needs nothing else.
    let mut pip =
        python::command(&["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]);
    sh::run(pip.arg(&site).arg(wheel))?;
    let found = interpreters();
    let mut counts = Counts::default();
    for version in VERSIONS {
        let Some(interpreter) = found.get(*version) else {
            println!("CPython {version} is not here, so the wheel is not tried in it");
            continue;
        };
        // The stable ABI is not there without the lock, so that the wheel is refused: only a build of its own would do.
        if version.ends_with('t') {
            println!("CPython {version} takes no abi3 wheel; `pip install ./python` builds one for it");
            continue;
        }
        let mut tests = sh::program(interpreter);
        tests.args(["-m", "unittest", "discover", "--start-directory", "tests/python"]);
        tests.args(["--top-level-directory", "tests/python"]);
        tests.env("PYTHONPATH", &site).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut reader = Reader::default();
        let ok = sh::tee(&mut tests, |line| reader.see(line))?;
        let mut these = reader.counts();
        these.failed += u64::from(!ok && these.failed == 0);
        counts += these;
    }
    Ok(counts)
}

fn sdist() -> Result<PathBuf> {
    let out = sh::target_dir().join("sdist");
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    let mut maturin = python::command(&["-m", "maturin", "sdist", "--out"]);
    sh::run(maturin.arg(&out).current_dir(sh::root().join("python")))?;
    let entry = std::fs::read_dir(&out)?.next().context("maturin made no source distribution")??;
    Ok(entry.path())
}

/// Installs into an empty environment as a user does, and uses what is there.
fn clean(from: &Path, what: &str) -> Result<Counts> {
    let environment = sh::target_dir().join("clean");
    sh::run(sh::program(python::interpreter()).args(["-m", "venv", "--clear"]).arg(&environment))?;
    let python = environment.join("bin/python");
    // Its own build folder, as pip would have elsewhere, but the crates that were downloaded.
    let mut pip = sh::program(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(from);
    sh::run(pip.env("CARGO_TARGET_DIR", sh::target_dir().join("package")))?;
    let printed = sh::output(sh::program(&python).arg("examples/python/first.py").env_remove("PYTHONPATH"))?;
    let expected = std::fs::read_to_string(sh::root().join("examples/first.txt"))?;
    ensure!(printed == expected, "{what}: the example printed:\n{printed}");
    println!("{what}: works in an empty environment");
    Ok(Counts::passed(1))
}

/// Prints what the package weighs: the wheel, the module in it, and the time of an import beside that of an empty program.
fn weigh(wheel: &Path) -> Result<()> {
    let size = std::fs::metadata(wheel)?.len();
    println!("wheel: {} KiB ({})", size / 1024, wheel.file_name().unwrap_or_default().to_string_lossy());
    const TIMES: &str = "import subprocess, sys, time\n\
        def best(program):\n\
        \x20   times = []\n\
        \x20   for _ in range(15):\n\
        \x20       start = time.perf_counter()\n\
        \x20       subprocess.run([sys.executable, '-I', '-c', program], check=True)\n\
        \x20       times.append(time.perf_counter() - start)\n\
        \x20   return 1000 * min(times)\n\
        for name in ('pass', 'import slotwise', 'import json', 'import logging', 'import typing'):\n\
        \x20   print(f'{name:16} {best(name):6.1f} ms')\n";
    println!("a program that does this and nothing else takes:");
    print!("{}", sh::output(&mut python::command(&["-c", TIMES]))?);
    Ok(())
}
