//! Starting other programs, and the paths that all commands share.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where everything that is built goes.
pub(crate) fn target_dir() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A program, started at the top of the repository.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs this program, with the arguments given.
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    // What cargo tells a build script or `cargo run` about the crate being run is not meant for the next cargo: with it
    // a build would look different from the same command typed by hand, and would be done again.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST") || name == "CARGO_BIN_NAME" {
            command.env_remove(&key);
        }
    }
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Builds the libraries, programs and examples of the whole workspace for this machine, in the profile `dev` or `release`.
///
/// Always the whole of it and with examples, so that features unify as they do for tests and benches and nothing large is
/// compiled twice. The WebAssembly guest is left out: its exports have names that a linker for this machine does not
/// accept, and `cargo xtask wasm` builds it for its own target.
pub(crate) fn build_workspace(profile: &str) -> Result<()> {
    let all = ["build", "--workspace", "--exclude", "slotwise-wasm", "--lib", "--bins", "--examples"];
    run(cargo(all).args(["--profile", profile]))
}

/// The command line as a person would type it, paths shortened.
pub(crate) fn show(command: &Command) -> String {
    let root = format!("{}/", root().display());
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .enumerate()
        .map(|(i, word)| {
            let word = word.to_string_lossy().replace(&root, "");
            match i {
                // Cargo hands itself over by its full path.
                0 => word.rsplit('/').next().filter(|name| *name == "cargo").unwrap_or(&word).to_owned(),
                _ if word.contains(' ') || word.is_empty() => format!("'{word}'"),
                _ => word,
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs to the end with our own input and output; a failure is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command)?;
    let status = command.status().with_context(|| format!("cannot start `{}`", show(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", show(command));
    }
    Ok(())
}

/// Runs to the end and returns what was written to standard output; a failure is an error that quotes both outputs.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", show(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}\n{text}{errors}", show(command), output.status);
    }
    Ok(text)
}

/// Whether the program can be started and succeeds, without showing what it writes.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Runs to the end, shows both outputs as they come, hands each line to `see`, and returns whether it succeeded.
pub(crate) fn tee(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool> {
    announce(command)?;
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", show(command)))?;
    // The command holds the writing end of the pipe; the reader would wait for ever for it to be closed.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let mut out = std::io::stdout().lock();
    while reader.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        out.flush()?;
        see(&plain(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    Ok(child.wait()?.success())
}

fn announce(command: &Command) -> Result<()> {
    println!("$ {}", show(command));
    Ok(std::io::stdout().flush()?)
}

/// A line without its end and without the escape sequences that colour it.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.trim_end().chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out_of_a_line() {
        assert_eq!(plain("test result: \u{1b}[32mok\u{1b}[0m. 1 passed\n"), "test result: ok. 1 passed");
    }

    #[test]
    fn tee_sees_both_outputs_and_the_exit() {
        let mut lines = Vec::new();
        let ok =
            tee(program("sh").args(["-c", "echo one; echo two >&2; exit 3"]), |l| lines.push(l.to_owned()));
        assert!(!ok.expect("sh starts"));
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
    }
}
