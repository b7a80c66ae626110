//! What README and docs tell a newcomer to type, typed: in a fresh clone of the last commit, with an empty home and an
//! environment that has rustup, a C compiler and Python, and nothing else.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::counts::Counts;
use crate::docs::{self, Reader};
use crate::{python, sh, toolchain};

/// Variables that say how this machine reaches its registries and where rustup and cargo keep what they have.
const KEPT: &[&str] =
    &["CARGO_HOME", "PIP_", "RUSTUP_", "SSL_", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"];

/// A line that a page tells the reader to type, and how it is typed here: the reader puts in what is in capitals.
struct Line {
    page: &'static str,
    line: &'static str,
    put_in: &'static [(&'static str, &'static str)],
    /// A file of the repository with what it must print, if that is said.
    prints: Option<&'static str>,
}

const fn line(page: &'static str, line: &'static str) -> Line {
    Line { page, line, put_in: &[], prints: None }
}

/// In this order, in the clone.
const LINES: &[Line] = &[
    line("README.md", "pip install ./python"),
    line("docs/tour.md", "cargo install --path crates/slotwise-cli"),
    Line { put_in: &[("DIR", "$HOME/local")], ..line("README.md", "cargo xtask install-c --prefix DIR") },
    line("README.md", "cc examples/c/first.c $(pkg-config --cflags --libs slotwise) -o first"),
    Line { prints: Some("examples/c/first.txt"), ..line("README.md", "./first") },
    line("docs/schedulers.md", "cmake -S examples/c -B build"),
    line("docs/schedulers.md", "cmake --build build"),
    line("docs/schedulers.md", "./build/host ./build/libplugin.so"),
    line("docs/policies.md", "cp -r examples/policies/template ../my-policy"),
    Line { put_in: &[("PATH-OF-THE-CLONE", "'\"$PWD\"'")], ..line("docs/policies.md", EDIT) },
    line("docs/policies.md", "cargo xtask policies ../my-policy"),
    line("docs/policies.md", "slotwise policy inspect ../my-policy/policy-template.wasm"),
];

/// How the dependency of a policy that was copied is changed.
const EDIT: &str = "sed -i 's|path = .*/crates|path = \"PATH-OF-THE-CLONE/crates|' ../my-policy/Cargo.toml";

/// `cargo xtask newcomer`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    let newcomer = Newcomer::new()?;
    let mut counts = Counts::default();
    for line in LINES {
        if line.line.starts_with("cmake") && !sh::succeeds(sh::program("cmake").arg("--version")) {
            println!("{}: not typed, because CMake is not here: {}", line.page, line.line);
            continue;
        }
        let page = fs::read_to_string(sh::root().join(line.page))?;
        ensure!(page.contains(line.line), "{} does not tell anybody to type {:?}", line.page, line.line);
        newcomer.types(line)?;
        counts += Counts::passed(1);
    }
    let printed = sh::output(newcomer.shell().arg("python examples/python/first.py"))?;
    ensure!(printed == fs::read_to_string(sh::root().join("examples/first.txt"))?, "it printed:\n{printed}");
    // The tour with what was just installed.
    counts += docs::read("docs/tour.md", &newcomer.reader())?;
    println!("{} passed, {} failed", counts.passed, counts.failed);
    ensure!(counts.failed == 0, "a newcomer stumbles");
    Ok(())
}

struct Newcomer {
    home: PathBuf,
    clone: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Newcomer {
    /// An empty home, a clone, and an environment of Python in it.
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("slotwise-newcomer-{}", std::process::id()));
        let (home, clone) = (folder.join("home"), folder.join("slotwise"));
        fs::create_dir_all(&home)?;
        if !sh::output(sh::program("git").args(["status", "--porcelain"]))?.is_empty() {
            println!("What is not committed is not in the clone.");
        }
        sh::run(sh::program("git").args(["clone", "--quiet"]).arg(sh::root()).arg(&clone))?;
        let venv = home.join("venv");
        sh::run(sh::program(python::interpreter()).args(["-m", "venv"]).arg(&venv))?;

        let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let own = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
        let cargo = cargo.unwrap_or_else(|| own.join(".cargo"));
        let path = [venv.join("bin"), home.join(".cargo/bin"), cargo.join("bin")];
        let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
        let path = std::env::join_paths(path.into_iter().chain(system))?;
        let local = home.join("local/lib");
        let mut environment: Vec<(OsString, OsString)> = vec![
            ("HOME".into(), home.clone().into()),
            ("PATH".into(), path),
            ("PKG_CONFIG_PATH".into(), local.join("pkgconfig").into()),
            ("LD_LIBRARY_PATH".into(), local.into()),
            ("CMAKE_PREFIX_PATH".into(), home.join("local").into()),
            // What rustup and cargo have is the machine's; what the newcomer installs is not.
            ("CARGO_HOME".into(), cargo.into()),
            ("CARGO_INSTALL_ROOT".into(), home.join(".cargo").into()),
            ("RUSTUP_HOME".into(), own.join(".rustup").into()),
        ];
        let kept = |name: &OsString| KEPT.iter().any(|kept| name.to_string_lossy().starts_with(kept));
        environment.extend(std::env::vars_os().filter(|(name, _)| kept(name)));
        // These tell of the toolchain that runs this program; the clone says itself which one it wants.
        environment.retain(|(name, _)| name != "RUSTUP_TOOLCHAIN");
        Ok(Newcomer { home, clone, environment })
    }

    fn reader(&self) -> Reader {
        Reader {
            programs: self.home.join(".cargo/bin"),
            python: self.home.join("venv/bin/python"),
            prefix: self.home.join("local"),
        }
    }

    /// A shell in the clone, without its script.
    fn shell(&self) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-euc"]).current_dir(&self.clone).env_clear().envs(self.environment.iter().cloned());
        shell
    }

    fn types(&self, line: &Line) -> Result<()> {
        let typed =
            line.put_in.iter().fold(line.line.to_owned(), |text, (what, with)| text.replace(what, with));
        println!("newcomer$ {typed}");
        let start = Instant::now();
        let told = || format!("{} tells the reader to type: {}", line.page, line.line);
        let printed = sh::output(self.shell().arg(&typed)).with_context(told)?;
        println!("{printed}  ({:.0} s)", start.elapsed().as_secs_f64());
        if let Some(file) = line.prints {
            ensure!(printed == read(file)?, "{}: it does not print what is in {file}", told());
        }
        Ok(())
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        // Some gigabytes of builds; whoever wants to look at them stops the command before it ends.
        if let Some(folder) = self.home.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn read(file: &str) -> Result<String> {
    let path = sh::root().join(Path::new(file));
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
