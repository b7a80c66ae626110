//! The `slotwise` command: what the engine makes of this machine and of an operator's rules, for people and scripts.
//!
//! It reads, asks the engine, and prints; nothing here decides about a device. The exit codes are in [`exit`].

#![forbid(unsafe_code)]

mod answer;
mod args;
mod check;
mod class;
mod discover;
mod discover_tree;
mod exit;
mod explain;
mod failure;
mod input;
mod machine;
#[cfg(feature = "policies")]
mod policy;
#[cfg(feature = "policies")]
mod policy_bench;
mod pools;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use slotwise::ErrorKind;

use crate::args::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    // The parser prints its own errors, and ends with 2, which is the code for bad input.
    let cli = Cli::parse();
    let answer = match cli.command {
        Command::Discover(args) => discover::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Pools(args) => pools::run(&args),
        Command::Explain(args) => explain::run(args),
        #[cfg(feature = "policies")]
        Command::Policy(args) => policy::run(args),
    };
    match answer {
        Ok(answer) => print(&answer.stdout).map_or(Exit::Broken, |()| answer.exit).into(),
        Err(failure) => {
            failure::eprint(&failure.render());
            match failure.error.kind() {
                ErrorKind::Internal => Exit::Broken.into(),
                ErrorKind::PolicyFailed => Exit::PolicyFailed.into(),
                _ => Exit::BadInput.into(),
            }
        }
    }
}

/// Writes the answer; a reader that has seen enough (`slotwise … | head`) is no failure.
fn print(text: &str) -> Result<(), ()> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failure::eprint(&format!("error: cannot write to standard output: {error}\n"));
            Err(())
        }
        _ => Ok(()),
    }
}
