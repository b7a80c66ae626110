//! Replays the cases in `tests/conformance` through any number of doors.
//!
//! The format of the files is described in `tests/conformance/README.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use slotwise::{Error, ErrorKind};

use crate::door::Door;
use crate::ops::{self, Kind};
use crate::rust_door::{from_hex, to_hex};

/// One case: a few calls in a row on empty slots, and what they must answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A name that explains itself, in kebab case, unique among all files.
    pub name: String,
    /// What is shown, as one sentence.
    #[serde(default)]
    pub about: String,
    /// The wrong answer of Nova that this case is about, by its id, if it is about one.
    #[serde(default)]
    pub nova: Option<String>,
    /// The calls.
    pub steps: Vec<Step>,
    /// The file it stands in, without directory and ending.
    #[serde(skip)]
    pub file: String,
}

/// One call of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The operation, one of [`ops::OPS`].
    pub call: String,
    /// Its arguments by name.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// What the result must match.
    #[serde(default, deserialize_with = "present")]
    pub expect: Option<Value>,
    /// The error that the call must fail with.
    #[serde(default)]
    pub error: Option<ExpectedError>,
    /// The earlier step (counted from 0) whose result this one must equal.
    #[serde(default)]
    pub same_as: Option<usize>,
    /// The earlier step (counted from 0) whose result this one must differ from.
    #[serde(default)]
    pub differs_from: Option<usize>,
}

/// `"expect": null` expects null, which is not the same as no expectation.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What an error must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedError {
    /// Its kind.
    pub kind: ErrorKind,
    /// The path of its place.
    #[serde(default)]
    pub place: Option<String>,
    /// Its line.
    #[serde(default)]
    pub line: Option<u32>,
    /// Its column.
    #[serde(default)]
    pub column: Option<u32>,
    /// A part of its message.
    #[serde(default)]
    pub message_contains: Option<String>,
}

/// What a run found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many cases were run.
    pub cases: usize,
    /// One count per door, in the order of the doors.
    pub doors: Vec<DoorCount>,
    /// What went wrong, in the order in which it was found.
    pub failures: Vec<Failure>,
}

/// What one door did.
#[derive(Clone, Debug, Default)]
pub struct DoorCount {
    /// The door's name.
    pub name: String,
    /// How many cases it ran.
    pub cases: usize,
    /// How many calls that took.
    pub steps: usize,
    /// How many of the cases failed at this door.
    pub failed: usize,
}

/// One difference between what was expected and what a door answered.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The file and the name of the case.
    pub case: String,
    /// The step, counted from 0, and its operation.
    pub step: String,
    /// The door that answered.
    pub door: String,
    /// Where in the document the first difference is.
    pub path: String,
    /// What was expected there.
    pub expected: String,
    /// What was there.
    pub got: String,
}

impl Report {
    /// Whether every case passed at every door.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}\n")?;
        }
        writeln!(f, "{} conformance cases x {} doors", self.cases, self.doors.len())?;
        for door in &self.doors {
            let DoorCount { name, cases, steps, failed } = door;
            writeln!(f, "  {name:<12} {:>5} passed {failed:>5} failed {steps:>7} calls", cases - failed)?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { case, step, door, path, expected, got } = self;
        let path = if path.is_empty() { "(the whole answer)" } else { path };
        write!(f, "{case}, step {step}, door {door}: at {path}\n  expected {expected}\n  got      {got}")
    }
}

/// The directory of the cases in this repository.
#[must_use]
pub fn default_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

/// Loads the cases, replays them through `doors` and prints the report; says whether all passed.
///
/// The first door is the one whose answers are compared with the expectations; the others must answer as it does.
pub fn main_like(doors: &mut [Box<dyn Door>]) -> bool {
    match load_cases(&default_dir()) {
        Ok(cases) => {
            let report = run(&cases, doors);
            println!("{report}");
            report.passed()
        }
        Err(message) => {
            println!("{message}");
            false
        }
    }
}

/// Reads all `*.json` files of a directory, in the order of their names.
///
/// # Errors
///
/// A sentence that names the file, when one cannot be read, is not of the documented form, names a case twice, or
/// calls an operation that does not exist or with arguments that it does not have.
pub fn load_cases(dir: &Path) -> Result<Vec<Case>, String> {
    let listing = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut files = Vec::new();
    for entry in listing {
        let path = entry.map_err(|error| format!("{}: {error}", dir.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    let mut names = BTreeMap::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let found: Vec<Case> =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        for mut case in found {
            case.file.clone_from(&file);
            check_case(&case).map_err(|message| format!("{file}/{}: {message}", case.name))?;
            if let Some(other) = names.insert(case.name.clone(), file.clone()) {
                return Err(format!("{file}/{}: a case of that name is in {other} already", case.name));
            }
            cases.push(case);
        }
    }
    if cases.is_empty() {
        return Err(format!("{}: there are no cases", dir.display()));
    }
    Ok(cases)
}

fn check_case(case: &Case) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if case.name.is_empty() || !case.name.chars().all(plain) {
        return Err("a name is made of lower case letters, digits and hyphens".to_owned());
    }
    if case.steps.is_empty() {
        return Err("a case needs steps".to_owned());
    }
    for (index, step) in case.steps.iter().enumerate() {
        let complain = |message: String| Err(format!("step {index}: {message}"));
        let Some(op) = ops::find(&step.call) else {
            return complain(format!("there is no operation {:?}", step.call));
        };
        for name in step.args.keys() {
            if !op.args.iter().any(|arg| arg.name == name) && !is_edit(op.name, name) {
                return complain(format!("{} has no argument {name:?}", op.name));
            }
        }
        for arg in op.args {
            if !arg.optional && !step.args.contains_key(arg.name) && remembered_by(op.name).is_none() {
                return complain(format!("{} needs the argument {:?}", op.name, arg.name));
            }
        }
        if step.error.is_some() && (step.expect.is_some() || step.same_as.or(step.differs_from).is_some()) {
            return complain("a call that fails has no result to look at".to_owned());
        }
        if [step.same_as, step.differs_from].into_iter().flatten().any(|other| other >= index) {
            return complain("a result is compared with one of an earlier step".to_owned());
        }
    }
    Ok(())
}

/// Arguments of a case file that change the remembered snapshot before it is handed over.
fn is_edit(op: &str, name: &str) -> bool {
    matches!(op, "tracker.restore" | "fleet.restore") && matches!(name, "truncate" | "flip_bit" | "append")
}

/// The operation whose last answer is handed over when the argument is left out in a case file.
fn remembered_by(op: &str) -> Option<&'static str> {
    match op {
        "tracker.written" => Some("tracker.changes"),
        "tracker.restore" => Some("tracker.snapshot"),
        "fleet.restore" => Some("fleet.snapshot"),
        "fleet.reserve_placed" => Some("fleet.place"),
        "tracker.restore_json" => Some("tracker.snapshot_json"),
        "pools.consume" => Some("pools.fit"),
        "tracker.claim_fit" => Some("tracker.fit"),
        _ => None,
    }
}

/// Replays `cases` through `doors`.
///
/// Each step goes through the first door, whose answer is compared with what the case expects, and then through the
/// others, which must give the identical document. A step that must fail must leave the snapshots of tracker and
/// fleet, the aliases and the pools as they were, at every door. A case ends with its first failure.
pub fn run(cases: &[Case], doors: &mut [Box<dyn Door>]) -> Report {
    let mut report = Report { cases: cases.len(), ..Report::default() };
    report
        .doors
        .extend(doors.iter().map(|door| DoorCount { name: door.name().to_owned(), ..DoorCount::default() }));
    for case in cases {
        for (door, count) in doors.iter_mut().zip(&mut report.doors) {
            door.reset();
            count.cases += 1;
        }
        let mut replay = Replay {
            doors: &mut *doors,
            counts: &mut report.doors,
            results: Vec::new(),
            last: BTreeMap::new(),
        };
        for (index, step) in case.steps.iter().enumerate() {
            if let Err((door, difference)) = replay.step(step) {
                report.doors[door].failed += 1;
                report.failures.push(Failure {
                    case: format!("{}/{}", case.file, case.name),
                    step: format!("{index} {}", step.call),
                    door: report.doors[door].name.clone(),
                    path: difference.path,
                    expected: difference.expected,
                    got: difference.got,
                });
                break;
            }
        }
    }
    report
}

/// The state of one case while it is replayed.
struct Replay<'a> {
    doors: &'a mut [Box<dyn Door>],
    counts: &'a mut [DoorCount],
    /// The first door's result of each step so far; null where it failed.
    results: Vec<Value>,
    /// The first door's last result of each operation.
    last: BTreeMap<&'static str, Value>,
}

/// The door that is wrong, and in what.
type StepResult<T> = Result<T, (usize, Difference)>;

impl Replay<'_> {
    fn step(&mut self, step: &Step) -> StepResult<()> {
        let op =
            ops::find(&step.call).ok_or_else(|| (0, Difference::whole("a known operation", &step.call)))?;
        if remembered_by(op.name) == Some("tracker.changes") && !step.args.contains_key("changes") {
            let changes = self.call_all("tracker.changes", &[])?;
            self.last.insert("tracker.changes", changes.unwrap_or_default());
        }
        let args = self
            .arguments(op, step)
            .map_err(|message| (0, Difference::whole("usable arguments", message)))?;
        // A slot that is empty has nothing to leave as it was.
        let probes = PROBES.map(|probe| match step.error {
            Some(_) => self.probe(probe),
            None => None,
        });
        let answer = self.call_all(op.name, &args)?;
        for (probe, before) in PROBES.into_iter().zip(probes) {
            if let Some(before) = before {
                let after = self
                    .call_all(probe, &probe_args(probe))?
                    .map_err(|e| (0, whole_error("the state", &e)))?;
                exact(&before, &after, &format!("{probe} after the error")).map_err(|d| (0, d))?;
            }
        }
        let result = match (&step.error, answer) {
            (None, Ok(result)) => {
                self.check_result(step, &result).map_err(|difference| (0, difference))?;
                result
            }
            (Some(expected), Err(error)) => {
                check_error(expected, &error).map_err(|difference| (0, difference))?;
                Value::Null
            }
            (None, Err(error)) => return Err((0, whole_error("a result", &error))),
            (Some(expected), Ok(result)) => {
                return Err((
                    0,
                    Difference::whole(format!("an error of kind {}", expected.kind.name()), show(&result)),
                ));
            }
        };
        self.last.insert(op.name, result.clone());
        self.results.push(result);
        Ok(())
    }

    fn check_result(&self, step: &Step, result: &Value) -> Result<(), Difference> {
        if let Some(expected) = &step.expect {
            partial(expected, result, "")?;
        }
        if let Some(index) = step.same_as {
            exact(&self.results[index], result, "")?;
        }
        match step.differs_from {
            Some(index) if self.results[index] == *result => {
                Err(Difference::whole(format!("something else than step {index} gave"), show(result)))
            }
            _ => Ok(()),
        }
    }

    /// Calls every door and demands that all answer alike; gives that answer.
    fn call_all(&mut self, op: &'static str, args: &[String]) -> StepResult<Result<Value, Error>> {
        let mut first: Option<Result<Value, Error>> = None;
        for (index, (door, count)) in self.doors.iter_mut().zip(&mut *self.counts).enumerate() {
            count.steps += 1;
            let answer = door.call(op, args);
            if let Err(error) = &answer
                && error.kind() == ErrorKind::Internal
            {
                return Err((index, whole_error("an answer", error)));
            }
            match &first {
                None => first = Some(answer),
                Some(Ok(expected)) => match answer {
                    Ok(got) => exact(expected, &got, "").map_err(|difference| (index, difference))?,
                    Err(error) => return Err((index, whole_error(&show(expected), &error))),
                },
                Some(Err(expected)) => match answer {
                    Ok(got) => return Err((index, Difference::whole(show_error(expected), show(&got)))),
                    Err(error) => exact(&error_document(expected), &error_document(&error), "error")
                        .map_err(|difference| (index, difference))?,
                },
            }
        }
        first.ok_or_else(|| (0, Difference::whole("at least one door", "none")))
    }

    /// The state behind one slot; `None` when the slot is empty.
    fn probe(&mut self, op: &'static str) -> Option<Value> {
        self.doors.first_mut()?.call(op, &probe_args(op)).ok()
    }

    fn arguments(&self, op: &'static ops::Op, step: &Step) -> Result<Vec<String>, String> {
        op.args
            .iter()
            .map(|arg| match step.args.get(arg.name) {
                Some(value) => argument_text(arg.kind, value),
                None => match remembered_by(op.name) {
                    Some(source) => {
                        let remembered =
                            self.last.get(source).ok_or_else(|| format!("{source} has not been called"))?;
                        remembered_text(op.name, remembered, step)
                    }
                    None => Ok(String::new()),
                },
            })
            .collect()
    }
}

/// What a step that fails must leave as it was.
const PROBES: [&str; 4] = ["tracker.snapshot", "aliases.list", "pools.group_by", "fleet.snapshot"];

fn probe_args(op: &str) -> Vec<String> {
    if op == "pools.group_by" { vec![r#"["address","numa_node","dev_type"]"#.to_owned()] } else { Vec::new() }
}

/// The text of an argument as a case file gives it.
fn argument_text(kind: Kind, value: &Value) -> Result<String, String> {
    match (raw_text(value)?, kind, value) {
        (Some(text), ..) => Ok(text),
        (None, Kind::Text, Value::String(text)) => Ok(text.clone()),
        (None, Kind::Text, other) => Err(format!("{other} is not a text")),
        (None, Kind::Document, document) => Ok(document.to_string()),
    }
}

/// The text that `{"$text"}`, `{"$repeat"}` or `{"$concat"}` stands for; `None` for any other value.
fn raw_text(value: &Value) -> Result<Option<String>, String> {
    let Value::Object(object) = value else { return Ok(None) };
    let malformed = || format!("{value} is not of the documented form");
    match object.iter().next().filter(|_| object.len() == 1).map(|(key, inner)| (key.as_str(), inner)) {
        Some(("$text", inner)) => Ok(Some(inner.as_str().ok_or_else(malformed)?.to_owned())),
        Some(("$repeat", inner)) => match inner.as_array().map(Vec::as_slice) {
            Some([Value::String(text), Value::Number(times)]) => {
                let times =
                    times.as_u64().and_then(|times| usize::try_from(times).ok()).ok_or_else(malformed)?;
                Ok(Some(text.repeat(times)))
            }
            _ => Err(malformed()),
        },
        Some(("$concat", inner)) => {
            let mut text = String::new();
            for part in inner.as_array().ok_or_else(malformed)? {
                match (part, raw_text(part)?) {
                    (_, Some(raw)) => text.push_str(&raw),
                    (Value::String(plain), None) => text.push_str(plain),
                    _ => return Err(malformed()),
                }
            }
            Ok(Some(text))
        }
        _ => Ok(None),
    }
}

/// The text of a remembered result as an argument of `op`, edited as the step says.
fn remembered_text(op: &str, remembered: &Value, step: &Step) -> Result<String, String> {
    match op {
        "pools.consume" | "tracker.claim_fit" => {
            let mut assignment = remembered.clone();
            if assignment.get("outcome").and_then(Value::as_str) != Some("fits") {
                return Err("the last fit has no assignment".to_owned());
            }
            assignment.as_object_mut().map(|fit| fit.remove("outcome"));
            Ok(assignment.to_string())
        }
        "tracker.restore" | "fleet.restore" => {
            let hex = remembered.as_str().ok_or("the last snapshot is no text")?;
            let mut bytes = from_hex(hex).ok_or("the last snapshot is not hexadecimal")?;
            let number = |name| step.args.get(name).and_then(Value::as_i64);
            if let Some(keep) = number("truncate") {
                bytes.truncate(from_end(keep, bytes.len()).ok_or("truncate is out of range")?);
            }
            if let Some(bit) = number("flip_bit") {
                let bit = from_end(bit, bytes.len() * 8).ok_or("flip_bit is out of range")?;
                *bytes.get_mut(bit / 8).ok_or("flip_bit is out of range")? ^= 1 << (bit % 8);
            }
            let tail = step.args.get("append").and_then(Value::as_str).unwrap_or_default();
            Ok(to_hex(&bytes) + tail)
        }
        _ => Ok(remembered.to_string()),
    }
}

/// An index that counts from the end when it is negative.
fn from_end(index: i64, len: usize) -> Option<usize> {
    let magnitude = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { len.checked_sub(magnitude) } else { Some(magnitude).filter(|index| *index <= len) }
}

/// The first difference between two documents.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Difference {
    path: String,
    expected: String,
    got: String,
}

impl Difference {
    fn whole(expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Difference { path: String::new(), expected: expected.to_string(), got: got.to_string() }
    }
}

fn check_error(expected: &ExpectedError, error: &Error) -> Result<(), Difference> {
    let place = error.place();
    let pairs = [
        ("kind", Some(expected.kind.name().to_owned()), Some(error.kind().name().to_owned())),
        ("place.path", expected.place.clone(), Some(place.path.clone())),
        ("place.line", expected.line.map(|line| line.to_string()), place.line.map(|line| line.to_string())),
        ("place.column", expected.column.map(|n| n.to_string()), place.column.map(|n| n.to_string())),
    ];
    for (path, wanted, got) in pairs {
        if wanted.is_some() && wanted != got {
            return Err(Difference {
                path: format!("error.{path}"),
                expected: wanted.unwrap_or_default(),
                got: format!("{} in {}", got.unwrap_or_else(|| "nothing".to_owned()), show_error(error)),
            });
        }
    }
    match &expected.message_contains {
        Some(part) if !error.message().contains(part) => Err(Difference {
            path: "error.message".to_owned(),
            expected: format!("a message with {part:?}"),
            got: show_error(error),
        }),
        _ => Ok(()),
    }
}

/// Whether `got` holds all that `expected` names: keys of objects may be left out, arrays are complete.
fn partial(expected: &Value, got: &Value, path: &str) -> Result<(), Difference> {
    let differ = || Err(Difference { path: path.to_owned(), expected: show(expected), got: show(got) });
    match (expected, got) {
        (Value::Object(wanted), _) if wanted.len() == 1 && wanted.contains_key("$contains") => {
            match (&wanted["$contains"], got) {
                (Value::String(part), Value::String(text)) if text.contains(part.as_str()) => Ok(()),
                _ => differ(),
            }
        }
        (Value::Object(wanted), Value::Object(there)) => wanted.iter().try_for_each(|(key, value)| {
            let path = join(path, key);
            match there.get(key) {
                Some(inner) => partial(value, inner, &path),
                None => Err(Difference { path, expected: show(value), got: "no such key".to_owned() }),
            }
        }),
        (Value::Array(wanted), Value::Array(there)) => {
            if wanted.len() != there.len() {
                return differ();
            }
            wanted
                .iter()
                .zip(there)
                .enumerate()
                .try_for_each(|(i, (value, inner))| partial(value, inner, &format!("{path}[{i}]")))
        }
        _ if expected == got => Ok(()),
        _ => differ(),
    }
}

/// Whether two documents are the same.
fn exact(expected: &Value, got: &Value, path: &str) -> Result<(), Difference> {
    match (expected, got) {
        (Value::Object(wanted), Value::Object(there)) => {
            if let Some(key) = there.keys().find(|key| !wanted.contains_key(*key)) {
                let got = show(&there[key]);
                return Err(Difference { path: join(path, key), expected: "no such key".to_owned(), got });
            }
            wanted.iter().try_for_each(|(key, value)| match there.get(key) {
                Some(inner) => exact(value, inner, &join(path, key)),
                None => Err(Difference {
                    path: join(path, key),
                    expected: show(value),
                    got: "no such key".to_owned(),
                }),
            })
        }
        (Value::Array(wanted), Value::Array(there)) if wanted.len() == there.len() => wanted
            .iter()
            .zip(there)
            .enumerate()
            .try_for_each(|(i, (value, inner))| exact(value, inner, &format!("{path}[{i}]"))),
        _ if expected == got => Ok(()),
        _ => Err(Difference { path: path.to_owned(), expected: show(expected), got: show(got) }),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn whole_error(expected: &str, error: &Error) -> Difference {
    Difference::whole(expected, show_error(error))
}

fn show_error(error: &Error) -> String {
    format!("the error {}", show(&error_document(error)))
}

fn error_document(error: &Error) -> Value {
    serde_json::to_value(error).unwrap_or_default()
}

/// A document as compact JSON, cut where it gets too long to read.
fn show(value: &Value) -> String {
    const MOST: usize = 1500;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::RustDoor;

    /// A door that answers everything with the same document.
    struct Fixed(&'static str, Value);

    impl Door for Fixed {
        fn name(&self) -> &str {
            self.0
        }

        fn call(&mut self, _op: &str, _args: &[String]) -> Result<Value, Error> {
            Ok(self.1.clone())
        }

        fn reset(&mut self) {}
    }

    fn case(steps: &Value) -> Vec<Case> {
        let case = serde_json::from_value(json!({"name": "a-case", "steps": steps})).expect("a case");
        vec![case]
    }

    #[track_caller]
    fn check(expected: &Value, got: &Value, path: Option<&str>) {
        let found = partial(expected, got, "").map_err(|difference| difference.path);
        assert_eq!(found.err().as_deref(), path, "{expected} against {got}");
    }

    #[test]
    fn expectations_are_partial_for_objects_and_complete_for_arrays() {
        check(&json!({"a": 1}), &json!({"a": 1, "b": 2}), None);
        check(&json!({"a": null}), &json!({"b": 2}), Some("a"));
        check(&json!([{"a": 1}, 2]), &json!([{"a": 1, "b": 0}, 2]), None);
        check(&json!({"x": [1]}), &json!({"x": [1, 2]}), Some("x"));
        check(&json!({"x": [{"y": 1}]}), &json!({"x": [{"y": 2}]}), Some("x[0].y"));
        check(&json!({"m": {"$contains": "needs 2"}}), &json!({"m": "it needs 2 devices"}), None);
        check(&json!({"m": {"$contains": "needs 3"}}), &json!({"m": "it needs 2 devices"}), Some("m"));
    }

    #[test]
    fn a_wrong_expectation_and_a_differing_door_are_both_found() {
        let steps = json!([{"call": "tracker.version", "expect": 1}]);
        let mut doors: Vec<Box<dyn Door>> =
            vec![Box::new(Fixed("a", json!(1))), Box::new(Fixed("b", json!(1)))];
        let report = run(&case(&steps), &mut doors);
        assert!(report.passed(), "{report}");
        assert_eq!(
            report.doors.iter().map(|door| (door.cases, door.steps)).collect::<Vec<_>>(),
            [(1, 1), (1, 1)]
        );

        let mut doors: Vec<Box<dyn Door>> = vec![Box::new(Fixed("a", json!(2)))];
        let report = run(&case(&steps), &mut doors);
        assert_eq!(report.doors[0].failed, 1);

        let mut doors: Vec<Box<dyn Door>> =
            vec![Box::new(Fixed("a", json!(1))), Box::new(Fixed("b", json!([1])))];
        let report = run(&case(&steps), &mut doors);
        assert_eq!((report.failures[0].door.as_str(), report.doors[1].failed), ("b", 1));
    }

    #[test]
    fn an_empty_slot_is_a_fault_of_the_case_whatever_it_expects() {
        let steps = json!([{"call": "tracker.version", "error": {"kind": "internal"}}]);
        let mut doors: Vec<Box<dyn Door>> = vec![Box::new(RustDoor::new())];
        let report = run(&case(&steps), &mut doors);
        assert!(report.to_string().contains("the slot tracker is empty"), "{report}");
    }

    #[test]
    fn raw_texts_are_put_together() {
        let value = json!({"$concat": ["{\"", {"$repeat": ["ab", 2]}, {"$text": "\u{0}"}]});
        assert_eq!(argument_text(Kind::Document, &value), Ok("{\"abab\u{0}".to_owned()));
        assert_eq!(argument_text(Kind::Document, &json!("a")), Ok("\"a\"".to_owned()));
        assert_eq!(argument_text(Kind::Text, &json!("a")), Ok("a".to_owned()));
        assert!(argument_text(Kind::Document, &json!({"$repeat": ["a"]})).is_err());
    }

    #[test]
    fn snapshots_are_cut_and_flipped() {
        let edited = |args: Value| {
            let step =
                serde_json::from_value(json!({"call": "tracker.restore", "args": args})).expect("a step");
            remembered_text("tracker.restore", &json!("00ff10"), &step)
        };
        assert_eq!(edited(json!({})), Ok("00ff10".to_owned()));
        assert_eq!(edited(json!({"truncate": -1})), Ok("00ff".to_owned()));
        assert_eq!(edited(json!({"truncate": 1})), Ok("00".to_owned()));
        assert_eq!(edited(json!({"flip_bit": 9})), Ok("00fd10".to_owned()));
        assert_eq!(edited(json!({"flip_bit": -1})), Ok("00ff90".to_owned()));
        assert_eq!(edited(json!({"append": "00"})), Ok("00ff1000".to_owned()));
        assert!(edited(json!({"flip_bit": 99})).is_err());
    }
}
