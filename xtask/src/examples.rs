//! The example programs: they run, they print what they should, and the README shows them as they are.

use std::path::Path;

use anyhow::{Context, Result};

use crate::counts::Counts;
use crate::{c, python, sh, wasm};

/// A program: its language, its source, and the file with what it prints.
struct Program {
    language: &'static str,
    source: &'static str,
    prints: &'static str,
}

/// The programs that the README shows.
const README: [Program; 3] = [
    Program { language: "rust", source: "examples/rust/first.rs", prints: "examples/first.txt" },
    Program { language: "python", source: "examples/python/first.py", prints: "examples/first.txt" },
    Program { language: "c", source: "examples/c/first.c", prints: "examples/c/first.txt" },
];

/// The component, used from Rust, and from Python by way of the package `wasmtime`.
const COMPONENT: [Program; 2] = [
    Program {
        language: "rust",
        source: "crates/slotwise-sandbox/examples/component.rs",
        prints: "examples/first.txt",
    },
    Program { language: "wasm", source: "examples/wasm/first.py", prints: "examples/wasm/first.txt" },
];

/// Runs every program and compares what it prints with what it should.
pub(crate) fn check() -> Result<Counts> {
    wasm::build()?;
    python::install()?;
    python::need(&["wasmtime>=40,<100"])?;
    sh::build_workspace("dev")?;
    let mut counts = Counts::default();
    for Program { language, source, prints } in README.iter().chain(&COMPONENT) {
        let mut program = match *language {
            "rust" => {
                let name = Path::new(source).file_stem().context("a program without a name")?;
                let mut program = sh::program(sh::target_dir().join("debug/examples").join(name));
                program.arg(wasm::path());
                program
            }
            "c" => {
                let binary = sh::target_dir().join("c/first");
                c::program(source, "debug", &binary)?;
                sh::program(binary)
            }
            _ => python::command(&[source]),
        };
        if *language == "wasm" {
            program.arg(wasm::path());
        }
        let (printed, expected) = (sh::output(&mut program)?, read(prints)?);
        if printed == expected {
            println!("{source} prints what is in {prints}");
            counts.passed += 1;
        } else {
            println!("{source} printed:\n{printed}and should have printed:\n{expected}");
            counts.failed += 1;
        }
    }
    counts += c::consumers::check(&c::test_prefix("debug")?)?;
    Ok(counts)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(sh::root().join(Path::new(path))).with_context(|| format!("cannot read {path}"))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn the_readme_shows_the_programs_that_are_run() -> Result<()> {
        let readme = read("README.md")?;
        for Program { language, source, prints } in README {
            shows(&readme, language, source)?;
            shows(&readme, "text", prints)?;
        }
        Ok(())
    }

    /// Checks that the README's code blocks are the files that are run.
    fn shows(readme: &str, language: &str, file: &str) -> Result<()> {
        let text = read(file)?;
        let block = format!("```{language}\n{text}```\n");
        if !readme.contains(&block) {
            bail!("README.md has no ```{language} block with the text of {file}");
        }
        Ok(())
    }
}
