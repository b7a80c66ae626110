//! `cargo xtask test`: everything a reviewer needs to trust it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::counts::Counts;
use crate::{
    abi, bench, conformance, counts, docs, examples, nova, policies, python, sh, toolchain, tree, vm, wasm,
};

/// One stage: its name, what it shows, and the function that does it.
struct Stage {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Outcome>,
}

/// How a stage that could be run ended.
enum Outcome {
    /// It was run, with so many tests.
    Ran(Counts),
    /// It could not be run here, and why.
    Skipped(String),
}

/// In this order, so that what is quick and what later stages build on comes first.
const STAGES: &[Stage] = &[
    Stage {
        name: "toolchain",
        about: "the pinned toolchain, a C compiler and Python are here",
        run: toolchain,
    },
    Stage { name: "fmt", about: "every Rust file is formatted", run: fmt },
    Stage {
        name: "tree",
        about: "the engine depends on nothing that does I/O, is async or calls C; the wheel shares what the workspace compiles",
        run: dependencies,
    },
    Stage {
        name: "clippy",
        about: "no compiler or clippy warning in any crate, test, bench or example",
        run: clippy,
    },
    Stage {
        name: "features",
        about: "every crate alone, without the features that may be left out, and what it says then",
        run: features,
    },
    Stage { name: "wasm", about: "the engine as a WebAssembly component without imports", run: component },
    Stage {
        name: "policies",
        about: "the example policies as components without imports but the log",
        run: example_policies,
    },
    Stage {
        name: "engine-wasm",
        about: "the engine crate itself builds for WebAssembly",
        run: engine_for_wasm,
    },
    Stage {
        name: "cargo-test",
        about: "all Rust tests, and the C header and C programs that they compile",
        run: cargo_test,
    },
    Stage { name: "doc", about: "the documentation builds without a warning", run: doc },
    Stage {
        name: "python",
        about: "the wheel in a clean environment, its tests, and its types",
        run: python_package,
    },
    Stage {
        name: "examples",
        about: "every example program, those of the README among them, runs and prints what it should",
        run: programs,
    },
    Stage {
        name: "abi",
        about: "the C library's binary interface is still the committed one",
        run: binary_interface,
    },
    Stage {
        name: "docs",
        about: "every code block of the documentation does what its page says",
        run: pages,
    },
    Stage {
        name: "conformance",
        about: "the same answers through Rust, C, Python and WebAssembly",
        run: four_doors,
    },
    Stage {
        name: "nova",
        about: "the plug-ins inside OpenStack Nova 34, and strategy nova beside it",
        run: beside_nova,
    },
    Stage {
        name: "vm",
        about: "discovery on a real kernel, as lspci and plain reads tell it",
        run: real_kernel,
    },
    Stage {
        name: "benches",
        about: "every bench runs once, and no door allocates more than the engine",
        run: benches,
    },
    Stage {
        name: "deny",
        about: "licences, banned crates, sources and advisories of all dependencies",
        run: deny,
    },
];

/// The names of the stages, in order.
pub(crate) fn names() -> Vec<&'static str> {
    STAGES.iter().map(|stage| stage.name).collect()
}

/// `cargo xtask test [STAGE…]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.iter().find(|name| !names().contains(&name.as_str())) {
        bail!("there is no stage {unknown:?}; the stages are: {}", names().join(", "));
    }
    let chosen: Vec<&Stage> = STAGES
        .iter()
        .filter(|stage| arguments.is_empty() || arguments.iter().any(|name| name == stage.name))
        .collect();

    let mut rows = Vec::new();
    let mut total = Counts::default();
    let mut failed = false;
    for (i, stage) in chosen.iter().enumerate() {
        if failed {
            rows.push(row(stage.name, "not run", &Counts::default(), Duration::ZERO, ""));
            continue;
        }
        println!("\n=== {}/{} {}: {}", i + 1, chosen.len(), stage.name, stage.about);
        let start = Instant::now();
        let result = (stage.run)();
        let took = start.elapsed();
        let (verdict, counts, note) = match result {
            Ok(Outcome::Ran(counts)) if counts.failed == 0 => ("ok", counts, String::new()),
            Ok(Outcome::Ran(counts)) => ("FAILED", counts, String::new()),
            Ok(Outcome::Skipped(reason)) => {
                println!("skipped: {reason}");
                ("skipped", Counts::default(), reason)
            }
            Err(error) => {
                println!("error: {error:#}");
                let note = error.to_string().lines().next().unwrap_or_default().to_owned();
                ("FAILED", Counts { failed: 1, ..Counts::default() }, note)
            }
        };
        failed = verdict == "FAILED";
        total += counts;
        rows.push(row(stage.name, verdict, &counts, took, &note));
    }

    println!("\n{:<12} {:<8} {:>7} {:>7} {:>8}", "stage", "result", "passed", "failed", "seconds");
    for row in &rows {
        println!("{row}");
    }
    if total.skipped > 0 {
        println!("{} tests were not run; each says why in its own output.", total.skipped);
    }
    // Whoever reads only the end of this output finds the numbers there, and nothing after them.
    println!("{} passed, {} failed", total.passed, total.failed);
    if failed {
        std::process::exit(1);
    }
    Ok(())
}

fn row(name: &str, verdict: &str, counts: &Counts, took: Duration, note: &str) -> String {
    let number = |n: u64| if n == 0 { "·".to_owned() } else { n.to_string() };
    let seconds = took.as_secs_f64();
    let (passed, failed) = (number(counts.passed), number(counts.failed));
    format!("{name:<12} {verdict:<8} {passed:>7} {failed:>7} {seconds:>8.1}  {note}").trim_end().to_owned()
}

/// A stage that either works or does not, without tests to count.
fn done() -> Result<Outcome> {
    Ok(Outcome::Ran(Counts::default()))
}

fn toolchain() -> Result<Outcome> {
    toolchain::ensure()?;
    println!("{}", sh::output(sh::program("rustc").arg("--version"))?.trim());
    println!("{}", sh::output(sh::program(python::interpreter()).arg("--version"))?.trim());
    done()
}

fn fmt() -> Result<Outcome> {
    sh::run(&mut sh::cargo(["fmt", "--all", "--check"]))?;
    done()
}

fn dependencies() -> Result<Outcome> {
    tree::check()?;
    tree::check_shared()?;
    done()
}

fn clippy() -> Result<Outcome> {
    sh::run(&mut sh::cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    done()
}

/// The crates that have features, and those that others have to get along without. With all features at once they are built
/// by every other stage.
const CRATES: &[&str] = &[
    "slotwise",
    "slotwise-policy",
    "slotwise-sysfs",
    "slotwise-testkit",
    "slotwise-sandbox",
    "slotwise-cli",
    "slotwise-c",
    "slotwise-python",
];

fn features() -> Result<Outcome> {
    let mut counts = Counts::default();
    for name in CRATES {
        // One by one: together they would lend each other the features of what they depend on.
        let lean = ["clippy", "--package", name, "--no-default-features", "--", "-D", "warnings"];
        sh::run(&mut sh::cargo(lean))?;
        counts += Counts::passed(1);
    }
    let lean = ["test", "--package", "slotwise-c", "--no-default-features", "--test", "without_policies"];
    counts += counts::run(&mut sh::cargo(lean))?;
    Ok(Outcome::Ran(counts))
}

fn component() -> Result<Outcome> {
    wasm::build()?;
    done()
}

fn example_policies() -> Result<Outcome> {
    policies::build()?;
    done()
}

fn engine_for_wasm() -> Result<Outcome> {
    sh::run(&mut sh::cargo(["build", "-p", "slotwise", "--target", toolchain::WASM]))?;
    done()
}

fn cargo_test() -> Result<Outcome> {
    // What the tests start as programs of their own (the CLI, the C library) is built first.
    sh::build_workspace("dev")?;
    counted(&mut sh::cargo(["test", "--workspace", "--no-fail-fast"]))
}

fn doc() -> Result<Outcome> {
    sh::run(sh::cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    done()
}

fn python_package() -> Result<Outcome> {
    Ok(Outcome::Ran(python::check()?))
}

fn programs() -> Result<Outcome> {
    Ok(Outcome::Ran(examples::check()?))
}

fn binary_interface() -> Result<Outcome> {
    Ok(abi::check()?.map_or(Outcome::Ran(Counts::passed(1)), Outcome::Skipped))
}

fn pages() -> Result<Outcome> {
    Ok(Outcome::Ran(docs::check("")?))
}

fn four_doors() -> Result<Outcome> {
    conformance::build()?;
    counted(&mut conformance::command(conformance::CASES.as_ref(), &[]))
}

fn beside_nova() -> Result<Outcome> {
    Ok(nova::check()?.map_or_else(Outcome::Skipped, Outcome::Ran))
}

fn real_kernel() -> Result<Outcome> {
    Ok(vm::check()?.map_or_else(Outcome::Skipped, Outcome::Ran))
}

fn benches() -> Result<Outcome> {
    counted(&mut bench::once()?)
}

fn deny() -> Result<Outcome> {
    if !sh::succeeds(&mut sh::cargo(["deny", "--version"])) {
        return Ok(Outcome::Skipped(
            "cargo-deny is not here; `cargo install cargo-deny --locked` builds it".to_owned(),
        ));
    }
    sh::run(&mut sh::cargo(["deny", "--locked", "--workspace", "check", "bans", "licenses", "sources"]))?;
    // The advisories are a git repository of their own, and no test fetches more than packages by name.
    if std::env::var_os("SLOTWISE_ADVISORIES").is_none() {
        println!(
            "advisories were not checked: set SLOTWISE_ADVISORIES=1 to let cargo-deny fetch their database"
        );
        return done();
    }
    sh::run(&mut sh::cargo(["deny", "--workspace", "check", "advisories"]))?;
    done()
}

/// Runs a test runner and counts what it reports. A runner that fails without a failed test, because it crashed for
/// one, counts as one failure; one that succeeds without any test has not tested anything, which is a failure too.
fn counted(command: &mut std::process::Command) -> Result<Outcome> {
    counts::run(command).map(Outcome::Ran)
}
