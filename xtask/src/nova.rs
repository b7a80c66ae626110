//! `cargo xtask nova`: slotwise inside a real OpenStack Nova, and the engine's strategy `nova` beside it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::counts::Counts;
use crate::{python, sh};

/// What the environment needs, as pip writes it. SQLAlchemy 2.1 makes errors of what Nova 34 still uses; the rest is
/// what Nova's own tests import.
const PACKAGES: &[&str] = &[
    "nova==34.0.0",
    "sqlalchemy<2.1",
    "mypy>=1.11,<3",
    "ddt",
    "fixtures",
    "openstack-placement",
    "oslotest",
    "osprofiler",
    "psycopg2-binary",
    "python-barbicanclient",
    "requests-mock",
    "testresources",
    "testscenarios",
    "testtools",
    "wsgi-intercept",
];

/// What pip says when it cannot reach its index at all.
const UNREACHABLE: &[&str] =
    &["NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError"];

/// `cargo xtask nova [CASES | neighbours [unit | functional | NAME…]]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => {
            let counts = check()?.map_err(anyhow::Error::msg)?;
            if counts.failed > 0 {
                bail!("{} of the tests beside Nova failed", counts.failed);
            }
            Ok(())
        }
        [first, names @ ..] if first == "neighbours" => neighbours(names),
        [cases] => {
            let cases =
                cases.parse::<u64>().with_context(|| format!("{cases:?} is not a number of cases"))?;
            differential(cases)
        }
        _ => bail!(
            "this command takes one number of cases, or neighbours with what to run, but got {arguments:?}"
        ),
    }
}

/// Compares so many random cases with Nova; a run that was stopped goes on where it was.
fn differential(cases: u64) -> Result<()> {
    install("release")?.map_err(anyhow::Error::msg)?;
    let state = sh::target_dir().join(format!("nova-{cases}.json"));
    let mut run = command(&["-W", "ignore", "tests/nova/differential.py", &cases.to_string(), "--state"]);
    sh::run(run.arg(state))
}

/// Runs Nova's own tests around its PCI code, with the drop-in and without, and compares how they end.
fn neighbours(names: &[String]) -> Result<()> {
    install("release")?.map_err(anyhow::Error::msg)?;
    sh::run(command(&["-W", "ignore", "tests/nova/neighbours.py"]).args(names))
}

/// `cargo xtask compare nova`: the same work in Nova and with slotwise, timed in one run.
pub(crate) fn compare() -> Result<()> {
    install("release")?.map_err(anyhow::Error::msg)?;
    sh::run(&mut command(&["-W", "ignore", "tests/nova/compare.py"]))
}

/// Runs the tests beside Nova; the inner error says why that cannot be done here.
pub(crate) fn check() -> Result<Result<Counts, String>> {
    if let Err(reason) = install("dev")? {
        return Ok(Err(reason));
    }
    // The command whose report Nova's tracker takes over.
    sh::build_workspace("dev")?;
    let mut tests = command(&["-W", "ignore"]);
    let counts =
        python::unittest(tests.env("SLOTWISE_CLI", sh::target_dir().join("debug/slotwise")), "tests/nova")?;
    if counts.failed == 0 {
        sh::run(&mut command(&["-m", "mypy", "--strict", "--package", "slotwise.nova"]))?;
    }
    Ok(Ok(counts))
}

/// Installs the wheel, compiled with this cargo profile, beside Nova; the inner error says why that cannot be done here.
fn install(profile: &str) -> Result<Result<(), String>> {
    python::install_profile(profile)?;
    if let Some(reason) = ensure_environment()? {
        return Ok(Err(reason));
    }
    let mut wheel =
        command(&["-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", "--no-index"]);
    sh::run(wheel.arg(python::wheel()?))?;
    Ok(Ok(()))
}

/// The Python that has Nova, made if need be; the inner error says why there can be none here.
pub(crate) fn interpreter() -> Result<Result<PathBuf, String>> {
    Ok(match ensure_environment()? {
        None => Ok(environment().join("bin/python")),
        Some(reason) => Err(reason),
    })
}

fn environment() -> PathBuf {
    sh::target_dir().join("nova-venv")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = sh::program(environment().join("bin/python"));
    command
        .args(arguments)
        .env_remove("PYTHONPATH")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    command
}

/// Makes the environment if need be; says why if pip cannot reach its index.
fn ensure_environment() -> Result<Option<String>> {
    const COMPLETE: &str = "import nova.conf, mypy, ddt, oslotest, psycopg2, importlib.metadata as m; \
                            assert m.version('nova') == '34.0.0'";
    if sh::succeeds(&mut command(&["-c", COMPLETE])) {
        return Ok(None);
    }
    let mut venv = sh::program(python::interpreter());
    sh::run(venv.args(["-m", "venv", "--clear"]).arg(environment()))?;
    let mut unreachable = None;
    let mut pip = command(&["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    let ok = sh::tee(pip.args(PACKAGES), |line| {
        if UNREACHABLE.iter().any(|sign| line.contains(sign)) {
            unreachable = Some(format!("pip cannot reach its index: {line}"));
        }
    })?;
    match unreachable {
        _ if ok => Ok(None),
        Some(reason) => Ok(Some(reason)),
        None => bail!("pip could not install {}; it says above why", PACKAGES.join(", ")),
    }
}
