//! A stopwatch for each door: how long a number of calls takes, seen from the caller's side.
//!
//! Rust and WebAssembly are called in this process. C and Python have a small program each (`benches/doors/`) that makes the
//! calls in its own language and measures them there, so that no pipe is in the figures.

use std::fmt;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use slotwise::{Tracker, Workload, json};
use slotwise_sandbox::{EngineComponent, EngineInstance, Limits, Specs};

use crate::host;

/// An error of any kind, as a sentence.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// The smallest call there is: `Tracker::version`, a number.
    Version,
    /// Whether a prepared workload ([`host::WORKLOAD`]) fits a host of [`FUNCTIONS`].
    Fit,
}

impl Call {
    /// Every call.
    pub const ALL: [Call; 2] = [Call::Version, Call::Fit];

    /// Its name on the wire and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Call::Version => "version",
            Call::Fit => "fit",
        }
    }
}

/// The size of the host that is asked.
pub const FUNCTIONS: usize = host::SIZES[0];

/// How much a call through C may take over the engine's own time.
pub const C_GOAL: Duration = Duration::from_nanos(100);

/// How much a call through Python may take over the engine's own time.
pub const PYTHON_GOAL: Duration = Duration::from_nanos(300);

/// One door, ready to be asked.
pub trait Stopwatch {
    /// The door's name.
    fn name(&self) -> &'static str;

    /// How much longer than the engine's own time one call may take; `None` where nothing is promised.
    fn goal(&self) -> Option<Duration> {
        None
    }

    /// How long `times` calls take.
    ///
    /// # Errors
    ///
    /// When the door fails or answers something else than that the workload fits.
    fn time(&mut self, call: Call, times: u64) -> Result<Duration>;
}

/// The engine itself.
#[derive(Debug)]
pub struct Rust {
    tracker: Tracker,
    workload: Workload,
}

impl Rust {
    /// A tracker of [`FUNCTIONS`].
    ///
    /// # Errors
    ///
    /// None.
    pub fn new() -> Result<Self> {
        Ok(Rust { tracker: host::tracker(FUNCTIONS)?, workload: host::workload(host::WORKLOAD)? })
    }
}

impl Stopwatch for Rust {
    fn name(&self) -> &'static str {
        "Rust"
    }

    fn time(&mut self, call: Call, times: u64) -> Result<Duration> {
        let start = Instant::now();
        match call {
            Call::Version => {
                for _ in 0..times {
                    black_box(black_box(&self.tracker).version());
                }
            }
            Call::Fit => {
                for _ in 0..times {
                    if !black_box(&self.tracker).fit(black_box(&self.workload))?.fits() {
                        return Err("the workload must fit".into());
                    }
                }
            }
        }
        Ok(start.elapsed())
    }
}

/// The engine as a component under wasmtime, with its time metered.
#[derive(Debug)]
pub struct Wasm {
    instance: EngineInstance,
    tracker: slotwise_sandbox::Tracker,
    workload: slotwise_sandbox::Workload,
}

impl Wasm {
    /// Compiles the component and makes a tracker in it.
    ///
    /// # Errors
    ///
    /// When the component cannot be loaded.
    pub fn new(component: &Path) -> Result<Self> {
        let mut instance = EngineComponent::load(component, Limits::default())?.instantiate()?;
        let specs = Specs::parse(&mut instance, &host::RULES, false)?;
        let tracker = slotwise_sandbox::Tracker::new(&mut instance, &specs, None)?;
        tracker.sync(&mut instance, &json::to_string(&host::devices(FUNCTIONS)?))?;
        let workload = slotwise_sandbox::Workload::parse(&mut instance, host::WORKLOAD)?;
        Ok(Wasm { instance, tracker, workload })
    }
}

impl Stopwatch for Wasm {
    fn name(&self) -> &'static str {
        "WebAssembly"
    }

    fn time(&mut self, call: Call, times: u64) -> Result<Duration> {
        let Wasm { instance, tracker, workload } = self;
        let start = Instant::now();
        match call {
            Call::Version => {
                for _ in 0..times {
                    black_box(tracker.version(instance)?);
                }
            }
            Call::Fit => {
                for _ in 0..times {
                    if !tracker.fit(instance, workload)?.starts_with(r#"{"outcome":"fits""#) {
                        return Err("the workload must fit".into());
                    }
                }
            }
        }
        Ok(start.elapsed())
    }
}

/// A program in another language: it is sent `CALL TIMES` and answers with the nanoseconds that they took, and with how many
/// allocations they made where the library that counts them is loaded.
#[derive(Debug)]
pub struct Program {
    process: Process,
    goal: Duration,
}

impl Program {
    /// Starts a program with the documents in files of `folder`: its arguments are those of rules, devices, workload.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or the program cannot be started.
    pub fn start(name: &'static str, goal: Duration, command: &mut Command, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let rules = format!("[{}]", host::RULES.join(", "));
        let devices = json::to_string(&host::devices(FUNCTIONS)?);
        for (file, text) in
            [("rules.json", &*rules), ("devices.json", &*devices), ("workload.json", host::WORKLOAD)]
        {
            let path = folder.join(file);
            std::fs::write(&path, text)?;
            command.arg(path);
        }
        Ok(Program { process: Process::start(name, command)?, goal })
    }

    /// The door's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.process.name
    }

    /// Makes `times` calls.
    ///
    /// # Errors
    ///
    /// When the program has ended or answers something else.
    pub fn ask(&mut self, call: Call, times: u64) -> Result<Answer> {
        let (time, allocations) = self.process.ask(&format!("{} {times}", call.name()))?;
        Ok(Answer { time, allocations })
    }
}

/// A program that answers each line with the nanoseconds that something took, and with a number more where it has one. It is
/// ended with this.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Process {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().ok_or("the program has no input")?;
        let from = BufReader::new(child.stdout.take().ok_or("the program has no output")?);
        Ok(Process { name, child, to, from })
    }

    pub(crate) fn ask(&mut self, question: &str) -> Result<(Duration, Option<u64>)> {
        writeln!(self.to, "{question}")?;
        self.to.flush()?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let mut numbers = line.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next().transpose()) {
            (Some(Ok(time)), Ok(more)) => Ok((Duration::from_nanos(time), more)),
            _ => Err(format!("{} answered {line:?}", self.name).into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stopwatch for Program {
    fn name(&self) -> &'static str {
        self.process.name
    }

    fn goal(&self) -> Option<Duration> {
        Some(self.goal)
    }

    fn time(&mut self, call: Call, times: u64) -> Result<Duration> {
        self.ask(call, times).map(|answer| answer.time)
    }
}

/// What a program answers about a number of calls.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// How long they took, loop included.
    pub time: Duration,
    /// How many allocations were made; `None` where nobody counts.
    pub allocations: Option<u64>,
}

/// Every door that is there.
///
/// `cargo xtask` builds the parts and names them in `SLOTWISE_C_DOOR` (a program), `SLOTWISE_PYTHON` (an interpreter that has
/// the package) and `SLOTWISE_WASM` (the component); a door that is not named is left out, and the reason is printed.
///
/// # Errors
///
/// When a door that is named cannot be opened.
pub fn open() -> Result<Vec<Box<dyn Stopwatch>>> {
    let mut doors: Vec<Box<dyn Stopwatch>> = vec![Box::new(Rust::new()?)];
    let folder = std::env::temp_dir().join(format!("slotwise-doors-{}", std::process::id()));
    for program in programs(&folder, |_| ())? {
        doors.push(Box::new(program));
    }
    if let Some(component) = named("SLOTWISE_WASM") {
        doors.push(Box::new(Wasm::new(&component)?));
    }
    // A first call shows that the programs have read their files.
    for door in &mut doors {
        door.time(Call::Fit, 1)?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(doors)
}

/// The doors that are programs, as [`open`] finds them; `prepare` has the last word on how each is started.
///
/// # Errors
///
/// As [`open`].
pub fn programs(folder: &Path, prepare: impl Fn(&mut Command)) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    if let Some(program) = named("SLOTWISE_C_DOOR") {
        let mut c = Command::new(program);
        prepare(&mut c);
        programs.push(Program::start("C", C_GOAL, &mut c, folder)?);
    }
    if let Some(python) = named("SLOTWISE_PYTHON") {
        let mut python = Command::new(python);
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("doors/door.py"));
        prepare(&mut python);
        programs.push(Program::start("Python", PYTHON_GOAL, &mut python, folder)?);
    }
    Ok(programs)
}

fn named(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("one door is not measured: {variable} is not set; cargo xtask sets it");
    }
    path
}
