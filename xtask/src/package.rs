//! The Python package as its users get it: every CPython that is here, the source distribution, and what it weighs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::counts::Counts;
use crate::{policies, python, sh, toolchain};

/// The versions that the wheel is for; a trailing `t` is a build without the global interpreter lock.
const VERSIONS: &[&str] = &["3.10", "3.11", "3.12", "3.13", "3.14", "3.13t", "3.14t"];

/// How pip is told to leave policies out.
const SMALL: &str = "--config-settings=build-args=--no-default-features";

/// Prints a version as in [`VERSIONS`], of CPython only.
const TELL: &str = "import sys, sysconfig\n\
    assert sys.implementation.name == 'cpython'\n\
    print('%d.%d' % sys.version_info[:2] + 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')))";

/// `cargo xtask package`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    // The package's tests load them.
    policies::build()?;
    python::install_profile("release")?;
    let wheel = python::wheel()?;
    let mut counts = other_pythons(&wheel)?;
    let source = sh::root().join("python");
    counts += clean(&source, &[], "pip install ./python", "cannot read no.wasm")?;
    counts += clean(&sdist()?, &[], "pip install SDIST", "cannot read no.wasm")?;
    counts += clean(&source, &[SMALL], "pip install ./python, without policies", "cannot run policies")?;
    counts += free_threaded()?;
    weigh()?;
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
    install_alone(wheel, &site)?;
    let found = interpreters();
    let mut counts = Counts::default();
    for version in VERSIONS {
        let Some(interpreter) = found.get(*version) else {
            println!("CPython {version} is not here, so the wheel is not tried in it");
            continue;
        };
        // The stable ABI is not there without the lock: only a build of its own would do, which `package` makes.
        if version.ends_with('t') {
            println!("CPython {version} takes no abi3 wheel; `cargo xtask package` builds one for it");
            continue;
        }
        counts += tests(sh::program(interpreter).env("PYTHONPATH", &site))?;
    }
    Ok(counts)
}

/// Builds and tests the package in each CPython without the global lock that is here; the lock must stay off.
fn free_threaded() -> Result<Counts> {
    const LOCK: &str =
        "import sys, slotwise; assert not sys._is_gil_enabled(), 'the import switched the lock on'";
    let mut counts = Counts::default();
    for (version, interpreter) in interpreters().into_iter().filter(|(version, _)| version.ends_with('t')) {
        let python = environment(&interpreter)?;
        install(&python, &sh::root().join("python"), &[])?;
        sh::run(sh::program(&python).args(["-c", LOCK]).env_remove("PYTHONPATH"))?;
        counts += tests(sh::program(&python).env_remove("PYTHONPATH"))?;
        println!("CPython {version}: works, and leaves the lock off");
    }
    Ok(counts)
}

/// Runs the package's tests with this Python.
fn tests(python: &mut Command) -> Result<Counts> {
    python::unittest(python.env("PYTHONDONTWRITEBYTECODE", "1"), "tests/python")
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

/// Installs into an empty environment as a user does, and uses what is there; `policy` is what it says of a policy whose file
/// is not there.
fn clean(from: &Path, more: &[&str], what: &str, policy: &str) -> Result<Counts> {
    const LOAD: &str = "import slotwise\n\
        try:\n\
        \x20   slotwise.Policy.load('no.wasm')\n\
        except slotwise.InvalidPolicyError as error:\n\
        \x20   print(error)\n";
    let python = environment(Path::new(&python::interpreter()))?;
    install(&python, from, more)?;
    let said = sh::output(sh::program(&python).args(["-c", LOAD]).env_remove("PYTHONPATH"))?;
    ensure!(said.contains(policy), "{what}: of a policy that is not there it says:\n{said}");
    let printed = sh::output(sh::program(&python).arg("examples/python/first.py").env_remove("PYTHONPATH"))?;
    let expected = std::fs::read_to_string(sh::root().join("examples/first.txt"))?;
    ensure!(printed == expected, "{what}: the example printed:\n{printed}");
    println!("{what}: works in an empty environment");
    Ok(Counts::passed(1))
}

/// An empty environment; its Python.
fn environment(interpreter: &Path) -> Result<PathBuf> {
    let environment = sh::target_dir().join("clean");
    sh::run(sh::program(interpreter).args(["-m", "venv", "--clear"]).arg(&environment))?;
    Ok(environment.join("bin/python"))
}

/// `pip install FROM`, with a build folder of its own, as pip would have elsewhere, but the crates that were downloaded.
fn install(python: &Path, from: &Path, more: &[&str]) -> Result<()> {
    let mut pip = sh::program(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(more).arg(from);
    sh::run(pip.env("CARGO_TARGET_DIR", sh::target_dir().join("package")))
}

/// Prints what the package weighs, with policies and without: the wheel, the module in it, and the time of an import beside
/// that of an empty program.
fn weigh() -> Result<()> {
    // Isolated and without the site's own imports, so that nothing but the program itself is in the figures.
    const TIMES: &str = "import subprocess, sys, time\n\
        def best(program):\n\
        \x20   times = []\n\
        \x20   for _ in range(15):\n\
        \x20       start = time.perf_counter()\n\
        \x20       subprocess.run([sys.executable, '-I', '-S', '-c', program], check=True)\n\
        \x20       times.append(time.perf_counter() - start)\n\
        \x20   return 1000 * min(times)\n\
        for program in sys.argv[1:]:\n\
        \x20   print(f'{best(program):6.1f} ms  {program}')\n";
    python::build("release", "wheels-small", &["--no-default-features"])?;
    let mut programs = ["pass", "import json", "import typing", "import logging"].map(str::to_owned).to_vec();
    for (folder, what) in [("wheels", "with policies"), ("wheels-small", "without policies")] {
        let wheel = python::wheel_in(folder)?;
        let site = sh::target_dir().join(format!("{folder}-site"));
        install_alone(&wheel, &site)?;
        let module = site.join("slotwise/_native.abi3.so");
        println!(
            "{what}: the wheel has {} KiB, the module in it {} KiB",
            std::fs::metadata(&wheel)?.len() / 1024,
            std::fs::metadata(&module)?.len() / 1024
        );
        programs.push(format!("import sys; sys.path.insert(0, {:?}); import slotwise  # {what}", site));
    }
    println!("a program that does this and nothing else takes:");
    print!("{}", sh::output(python::command(&["-c", TIMES]).args(&programs))?);
    Ok(())
}

/// Puts a wheel alone into a folder, as an installer does: it needs nothing else.
fn install_alone(wheel: &Path, site: &Path) -> Result<()> {
    if site.exists() {
        std::fs::remove_dir_all(site)?;
    }
    let mut pip =
        python::command(&["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]);
    sh::run(pip.arg(site).arg(wheel))
}
