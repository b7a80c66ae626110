//! The code blocks of the documentation: every one is run, or the page says why not.
//!
//! CONTRIBUTING.md says how to write them. Blocks run in a folder of their page, with `slotwise`, the Python package and
//! the C library in reach, in the order: Rust; C, C++ and commands in the order of the page; Python.

mod blocks;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use self::blocks::{Block, matches, steps};
use crate::counts::Counts;
use crate::{c, python, sh, toolchain, wasm};

/// Rust crates that a block may use.
const CRATES: &[&str] = &["slotwise", "slotwise_policy", "slotwise_sandbox", "slotwise_sysfs"];

/// How long one command of a block may take, in seconds.
const PATIENCE: &str = "120";

/// `cargo xtask docs [PAGE]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.len() <= 1, "give at most one part of a page's name");
    toolchain::ensure()?;
    let counts = check(arguments.first().map_or("", String::as_str))?;
    println!("{} passed, {} failed", counts.passed, counts.failed);
    ensure!(counts.failed == 0, "a block does not do what its page says");
    Ok(())
}

/// What a reader of the documentation has installed.
pub(crate) struct Reader {
    /// The folder of the program `slotwise`.
    pub(crate) programs: PathBuf,
    /// The Python that has the package.
    pub(crate) python: PathBuf,
    /// Where the C library is.
    pub(crate) prefix: PathBuf,
}

/// Runs the blocks of every page whose name contains `filter`.
pub(crate) fn check(filter: &str) -> Result<Counts> {
    wasm::build()?;
    python::install()?;
    sh::build_workspace("dev")?;
    let reader = Reader {
        programs: sh::target_dir().join("debug"),
        python: python::python(),
        prefix: c::test_prefix("debug")?,
    };
    read(filter, &reader)
}

/// Runs the blocks of every page whose name contains `filter`, with what this reader has.
pub(crate) fn read(filter: &str, reader: &Reader) -> Result<Counts> {
    let mut counts = Counts::default();
    for path in pages()?.into_iter().filter(|path| path.contains(filter)) {
        let page = Page::open(path)?;
        let (mut passed, mut failed) = (0, 0);
        for (line, result) in page.run(reader)? {
            match result {
                Ok(()) => passed += 1,
                Err(error) => {
                    failed += 1;
                    println!("{}:{line}: {error:#}", page.name);
                }
            }
        }
        println!("{}: {passed} blocks do what they say, {failed} do not", page.name);
        for block in &page.blocks {
            if let Some(reason) = &block.not_run {
                println!("{}:{}: not run: {reason}", page.name, block.line);
            }
        }
        counts.passed += passed;
        counts.failed += failed;
    }
    ensure!(counts != Counts::default(), "no page is named {filter:?}");
    Ok(counts)
}

/// The pages, by their paths in the repository: all Markdown at the top, in `docs/`, and the Python package's.
fn pages() -> Result<Vec<String>> {
    let mut pages = vec!["python/README.md".to_owned()];
    for folder in ["", "docs"] {
        for entry in
            fs::read_dir(sh::root().join(folder)).with_context(|| format!("there is no {folder:?}"))?
        {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// A block's line and how it went.
type Verdict = (usize, Result<()>);

struct Page {
    name: String,
    blocks: Vec<Block>,
    /// Where its blocks run.
    folder: PathBuf,
}

impl Page {
    fn open(name: String) -> Result<Self> {
        let blocks =
            blocks::parse(&fs::read_to_string(sh::root().join(&name))?).with_context(|| name.clone())?;
        let folder = sh::target_dir().join("docs").join(name.replace('/', "-").replace(".md", ""));
        Ok(Page { name, blocks, folder })
    }

    /// Links to what is not in the repository, as failures of their lines.
    fn links(&self) -> Result<Vec<Verdict>> {
        let path = sh::root().join(&self.name);
        let folder = path.parent().unwrap_or(sh::root());
        let mut broken = Vec::new();
        for (index, line) in fs::read_to_string(&path)?.lines().enumerate() {
            for rest in line.split("](").skip(1) {
                let target = rest.split([')', '#']).next().unwrap_or_default();
                if !target.is_empty() && !target.contains(':') && !folder.join(target).exists() {
                    broken.push((index + 1, Err(anyhow::anyhow!("there is no {target} to link to"))));
                }
            }
        }
        Ok(broken)
    }

    fn run(&self, reader: &Reader) -> Result<Vec<Verdict>> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder)?;
        for shared in ["examples", "tests"] {
            symlink(sh::root().join(shared), self.folder.join(shared))?;
        }
        for block in &self.blocks {
            if let Some(name) = &block.save {
                fs::write(self.folder.join(name), &block.text)?;
            }
        }
        let mut verdicts = self.links()?;
        let of = |languages: &[&str]| -> Vec<&Block> {
            self.blocks
                .iter()
                .filter(|block| runs(block) && languages.contains(&block.language.as_str()))
                .collect()
        };
        let (rust, python) = (of(&["rust"]), of(&["python", "pycon"]));
        verdicts.extend(self.rust(&rust)?);
        for block in &self.blocks {
            let result = match block.language.as_str() {
                _ if block.not_run.is_some() => continue,
                _ if block.file.is_some() => part_of(block),
                _ if block.save.is_some() => self.uses(block),
                "rust" | "python" | "pycon" | "text" => continue,
                "c" => self.program(block, "c"),
                "cpp" => self.program(block, "cpp"),
                "sh" => self.shell(&block.text, reader).and_then(|output| expect(block, &output)),
                "console" => self.console(block, reader),
                "ini" | "toml" => self.configuration(block, reader),
                "json" => self.json(block, reader),
                other => Err(anyhow::anyhow!(
                    "nothing runs {other:?}: use another language, file=PATH, save=NAME, or a line above it that \
                     begins with {:?} and gives the reason",
                    blocks::NOT_RUN
                )),
            };
            verdicts.push((block.line, result));
        }
        // Last, because a page's commands make what its programs read.
        verdicts.extend(self.python(&python, reader)?);
        verdicts.sort_by_key(|(line, _)| *line);
        Ok(verdicts)
    }

    /// A file that is there must also be used: by name, in a block that is run.
    fn uses(&self, block: &Block) -> Result<()> {
        let name = block.save.as_deref().unwrap_or_default();
        let used = self.blocks.iter().any(|other| runs(other) && other.text.contains(name));
        ensure!(used, "no block that is run uses {name}");
        Ok(())
    }

    /// All Rust blocks as the modules of one program, so that there is one compilation.
    fn rust(&self, blocks: &[&Block]) -> Result<Vec<Verdict>> {
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let mut source = String::from("#![deny(warnings)]\n#![allow(dead_code)]\n");
        let mut dispatch = String::new();
        for block in blocks {
            let line = block.line;
            let main = if block.text.contains("fn main()") {
                block.text.clone()
            } else {
                format!(
                    "fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {{\n{}Ok(())\n}}\n",
                    block.text
                )
            };
            write!(
                source,
                "mod line_{line} {{\n{main}pub(super) fn run() -> std::process::ExitCode {{ \
                 std::process::Termination::report(main()) }}\n}}\n"
            )?;
            writeln!(dispatch, "Some(\"{line}\") => line_{line}::run(),")?;
        }
        write!(
            source,
            "fn main() -> std::process::ExitCode {{\nmatch std::env::args().nth(1).as_deref() {{\n{dispatch}\
             _ => std::process::ExitCode::FAILURE,\n}}\n}}\n"
        )?;
        let (file, binary) = (self.folder.join("blocks.rs"), self.folder.join("blocks"));
        fs::write(&file, source)?;
        let built = sh::target_dir().join("debug");
        let mut rustc = sh::program("rustc");
        rustc.args(["--edition", "2024", "-C", "debuginfo=0"]).arg(&file).arg("-o").arg(&binary);
        rustc.arg("-L").arg(format!("dependency={}", built.join("deps").display()));
        for name in CRATES.iter().filter(|name| blocks.iter().any(|block| block.text.contains(*name))) {
            rustc.arg("--extern").arg(format!("{name}={}", built.join(format!("lib{name}.rlib")).display()));
        }
        if let Err(error) = sh::output(&mut rustc) {
            return Ok(vec![(
                blocks[0].line,
                Err(error.context("the Rust blocks of this page do not compile")),
            )]);
        }
        Ok(blocks
            .iter()
            .map(|block| {
                let mut program = Command::new(&binary);
                program.arg(block.line.to_string()).current_dir(&self.folder);
                (block.line, sh::output(&mut program).and_then(|output| expect(block, &output)))
            })
            .collect())
    }

    /// All Python blocks in one process, so that a later one goes on where an earlier one ended.
    fn python(&self, blocks: &[&Block], reader: &Reader) -> Result<Vec<Verdict>> {
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let driver = self.folder.join("page.py");
        fs::write(&driver, include_str!("docs/page.py"))?;
        let mut program = python::with(&reader.python);
        program.arg(&driver).arg(&self.name).current_dir(&self.folder);
        for block in blocks {
            let file = self.folder.join(format!("line_{}.py", block.line));
            fs::write(&file, &block.text)?;
            program.arg(block.line.to_string()).arg(&block.language).arg(file);
        }
        let done = program.output()?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let outputs: Vec<&str> = text.split("\u{1}\n").skip(1).collect();
        let mut verdicts: Vec<Verdict> =
            blocks.iter().zip(&outputs).map(|(block, output)| (block.line, expect(block, output))).collect();
        if !done.status.success() {
            let last = outputs.len().saturating_sub(1);
            let shown = outputs.last().copied().unwrap_or_default();
            let error = anyhow::anyhow!("{shown}{}", String::from_utf8_lossy(&done.stderr));
            verdicts.truncate(last);
            verdicts.push((blocks[last].line, Err(error)));
        }
        Ok(verdicts)
    }

    /// A program in C11 or C++17, linked with the library that was built last.
    fn program(&self, block: &Block, extension: &str) -> Result<()> {
        let source = self.folder.join(format!("line_{}.{extension}", block.line));
        let binary = source.with_extension("bin");
        fs::write(&source, &block.text)?;
        c::program(&source, "debug", &binary)?;
        let output = sh::output(Command::new(&binary).current_dir(&self.folder))?;
        expect(block, &output)
    }

    /// Runs a script as a reader's shell would, and gives all that it writes.
    fn shell(&self, script: &str, reader: &Reader) -> Result<String> {
        let mut bash = Command::new("timeout");
        bash.args([PATIENCE, "bash", "-euo", "pipefail", "-c"]).arg(format!("exec 2>&1\n{script}"));
        bash.current_dir(&self.folder).env_remove("PYTHONPATH").env("NO_COLOR", "1").env("TERM", "dumb");
        let Reader { programs, python, prefix } = reader;
        let tools = [Some(programs.as_path()), python.parent()].into_iter().flatten().map(Path::to_owned);
        let path = std::env::var_os("PATH").unwrap_or_default();
        bash.env("PATH", std::env::join_paths(tools.chain(std::env::split_paths(&path)))?);
        bash.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        bash.env("CMAKE_PREFIX_PATH", prefix).env("LD_LIBRARY_PATH", prefix.join("lib"));
        sh::output(&mut bash)
    }

    /// Commands with what they write. Each must succeed, unless `$ echo $?` follows and shows that it does not.
    fn console(&self, block: &Block, reader: &Reader) -> Result<()> {
        let steps = steps(&block.text)?;
        let mut script = String::from("set +e\n");
        for step in &steps {
            write!(
                script,
                "(exit ${{status:-0}})\n{}\nstatus=$?\nprintf '\\1%d\\n' $status\n",
                step.command
            )?;
        }
        script.push_str("exit 0\n");
        let written = self.shell(&script, reader)?;
        let mut rest = written.as_str();
        for (index, step) in steps.iter().enumerate() {
            let command = &step.command;
            let Some((output, after)) = rest.split_once('\u{1}') else { bail!("`{command}` ends the shell") };
            let (status, after) = after.split_once('\n').context("a status is a line")?;
            let shown = steps.get(index + 1).is_some_and(|next| next.command == "echo $?");
            ensure!(status == "0" || shown, "`{command}` ends with {status} and writes:\n{output}");
            ensure!(
                matches(&step.output, output),
                "`{command}` should write:\n{}and writes:\n{output}",
                step.output
            );
            rest = after;
        }
        Ok(())
    }

    /// A configuration, which `slotwise check` must accept, or refuse where the page says that it is invalid.
    fn configuration(&self, block: &Block, reader: &Reader) -> Result<()> {
        let name = if block.language == "ini" { "nova.conf" } else { "slotwise.toml" };
        let file = self.folder.join(format!("line_{}-{name}", block.line));
        fs::write(&file, &block.text)?;
        let mut check = Command::new(reader.programs.join("slotwise"));
        let checked = sh::output(check.args(["check", "--config"]).arg(&file));
        ensure!(
            checked.is_ok() != block.invalid,
            "`slotwise check` says:\n{}",
            match checked {
                Ok(text) => text,
                Err(error) => error.to_string(),
            }
        );
        Ok(())
    }

    fn json(&self, block: &Block, reader: &Reader) -> Result<()> {
        let file = self.folder.join(format!("line_{}.json", block.line));
        fs::write(&file, &block.text)?;
        let parsed =
            sh::output(python::with(&reader.python).args(["-m", "json.tool"]).arg(&file).arg("/dev/null"));
        ensure!(parsed.is_ok() != block.invalid, "it is{} JSON", if block.invalid { "" } else { " not" });
        Ok(())
    }
}

/// Whether the block is run in its page's folder.
fn runs(block: &Block) -> bool {
    block.not_run.is_none() && block.file.is_none()
}

fn part_of(block: &Block) -> Result<()> {
    let path = block.file.as_deref().unwrap_or_default();
    let text = fs::read_to_string(sh::root().join(path)).with_context(|| format!("cannot read {path}"))?;
    ensure!(text.contains(&block.text), "the block is not a part of {path}");
    Ok(())
}

fn expect(block: &Block, output: &str) -> Result<()> {
    let Some(expected) = &block.prints else { return Ok(()) };
    ensure!(matches(expected, output), "it should print:\n{expected}and prints:\n{output}");
    Ok(())
}
