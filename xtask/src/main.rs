//! `cargo xtask COMMAND`: every developer command, in one place.

mod abi;
mod bench;
mod c;
mod conformance;
mod counts;
mod demo;
mod docs;
mod examples;
mod fleet;
mod newcomer;
mod nova;
mod oracle;
mod package;
mod policies;
mod python;
mod semver;
mod sh;
mod test;
mod toolchain;
mod tree;
mod vm;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// One command: its name, its arguments, what it does, and the function that does it.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        arguments: "",
        about: "the main job end to end, from Python, on this machine's own /sys; then the same through C and WebAssembly",
        run: demo::run,
    },
    Command {
        name: "test",
        arguments: "[STAGE…]",
        about: "everything a reviewer needs to trust it, or only the stages named",
        run: test::run,
    },
    Command {
        name: "ci",
        arguments: "",
        about: "what continuous integration runs: the same as test",
        run: test::run,
    },
    Command {
        name: "conformance",
        arguments: "[NAME]",
        about: "replay tests/conformance through Rust, C, Python and WebAssembly; NAME selects cases that contain it",
        run: conformance::run,
    },
    Command {
        name: "wasm",
        arguments: "",
        about: "build target/wasm/slotwise.wasm, without imports",
        run: wasm::run,
    },
    Command {
        name: "policies",
        arguments: "[FOLDER]",
        about: "build the example policies into target/wasm/policies, the JavaScript one where node and npm are here; or the \
                policy in Rust that lies in FOLDER, outside of the clone, into FOLDER/NAME.wasm",
        run: policies::run,
    },
    Command {
        name: "hostile",
        arguments: "[CALLS]",
        about: "CALLS hostile calls (10000 if not given) to policies from eight threads, with bounded memory",
        run: policies::hostile,
    },
    Command {
        name: "header",
        arguments: "",
        about: "write include/slotwise.h and the table of docs/errors.md anew from the sources",
        run: c::header,
    },
    Command {
        name: "python",
        arguments: "",
        about: "build the wheel and install it in target/venv",
        run: python::run,
    },
    Command {
        name: "nova",
        arguments: "[CASES | neighbours [unit | functional | NAME…]]",
        about: "slotwise inside Nova 34; with CASES only strategy nova beside it on so many random cases (1000000 say), \
                resumable; neighbours: Nova's own tests around its PCI code, with the drop-in and without",
        run: nova::run,
    },
    Command {
        name: "docs",
        arguments: "[PAGE]",
        about: "run the code blocks of the documentation; PAGE selects pages whose name contains it",
        run: docs::run,
    },
    Command {
        name: "vm",
        arguments: "",
        about: "discovery on a real kernel with SR-IOV, NUMA and hot-plug, in a machine that QEMU makes up",
        run: vm::run,
    },
    Command {
        name: "package",
        arguments: "",
        about: "the Python package in every CPython here, from its source distribution, and what it weighs",
        run: package::run,
    },
    Command {
        name: "newcomer",
        arguments: "",
        about: "what README and docs tell a newcomer to type, in a fresh clone with an empty home",
        run: newcomer::run,
    },
    Command {
        name: "semver",
        arguments: "[REVISION]",
        about: "what the Rust crates break since the last release, or since REVISION, by cargo-semver-checks",
        run: semver::run,
    },
    Command {
        name: "abi",
        arguments: "[--write]",
        about: "compare the C library's binary interface with the committed one; --write commits the present one",
        run: abi::run,
    },
    Command {
        name: "install-c",
        arguments: "--prefix DIR [--libdir DIR] [--without-policies]",
        about: "install headers, libslotwise (shared and static), slotwise.pc and the CMake package; honours DESTDIR",
        run: c::install,
    },
    Command {
        name: "oracle",
        arguments: "[hardest] [CASES [SEED]]",
        about: "a million random instances against the brute-force oracle, or the search for the hardest",
        run: oracle::run,
    },
    Command {
        name: "fleet",
        arguments: "[STEPS [HOSTS [SEED]]]",
        about: "a million random changes and questions to a fleet beside a naive model of it",
        run: fleet::run,
    },
    Command { name: "bench", arguments: "[FILTER]", about: "run the criterion benches", run: bench::run },
    Command {
        name: "compare",
        arguments: "[doors | discovery | nova | fleet [HOSTS]]",
        about: "print the side-by-side: snapshot formats, what a call costs through each door over the engine's own time, and \
                discovery; or one of them, Nova, or the fleet",
        run: bench::compare,
    },
    Command { name: "help", arguments: "", about: "this list", run: help },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "help".to_owned());
    let arguments: Vec<String> = arguments.collect();
    let name = if matches!(name.as_str(), "-h" | "--help") { "help" } else { &name };
    let result = match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) if arguments.iter().any(|a| a == "-h" || a == "--help") => {
            println!("cargo xtask {} {}\n    {}", command.name, command.arguments, command.about);
            Ok(())
        }
        Some(command) => (command.run)(&arguments),
        None => Err(anyhow::anyhow!("there is no command {name:?}; `cargo xtask help` lists them")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help(_: &[String]) -> Result<()> {
    println!("cargo xtask COMMAND\n");
    for command in COMMANDS {
        println!("  {:<12} {}", command.name, command.about);
        if !command.arguments.is_empty() {
            println!("  {:<12}   {} {}", "", command.name, command.arguments);
        }
    }
    println!("\nStages of test, in order: {}", test::names().join(", "));
    Ok(())
}

/// Refuses arguments where a command takes none, so that a typing error is not silently ignored.
fn no_arguments(arguments: &[String]) -> Result<()> {
    if arguments.is_empty() {
        return Ok(());
    }
    bail!("this command takes no arguments, but got {arguments:?}")
}
