//! The programs of the README: they run, and they print what it says.

use std::path::Path;

use anyhow::{Context, Result};

use crate::counts::Counts;
use crate::{c, python, sh};

/// What all three programs print.
const EXPECTED: &str = "examples/output.txt";

/// Runs the program of each language and compares what it prints with what the README shows.
pub(crate) fn check() -> Result<Counts> {
    let expected = read(EXPECTED)?;
    let mut counts = Counts::default();

    sh::run(&mut sh::cargo(["build", "--workspace", "--examples"]))?;
    let binary = sh::target_dir().join("c/first");
    c::program("examples/c/first.c", "debug", &binary)?;
    let programs = [
        ("examples/rust/first.rs", sh::program(sh::target_dir().join("debug/examples/first"))),
        ("examples/c/first.c", sh::program(binary)),
        ("examples/python/first.py", python::command(&["examples/python/first.py"])),
    ];
    for (source, mut program) in programs {
        let printed = sh::output(&mut program)?;
        if printed == expected {
            println!("{source} prints what the README says");
            counts.passed += 1;
        } else {
            println!("{source} printed:\n{printed}and should have printed:\n{expected}");
            counts.failed += 1;
        }
    }
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
        readme_shows(&readme, "rust", "examples/rust/first.rs")?;
        readme_shows(&readme, "python", "examples/python/first.py")?;
        readme_shows(&readme, "c", "examples/c/first.c")?;
        readme_shows(&readme, "text", EXPECTED)
    }

    /// Checks that the README's code blocks are the files that are run.
    fn readme_shows(readme: &str, language: &str, file: &str) -> Result<()> {
        let text = read(file)?;
        let block = format!("```{language}\n{text}```\n");
        if !readme.contains(&block) {
            bail!("README.md has no ```{language} block with the text of {file}");
        }
        Ok(())
    }
}
