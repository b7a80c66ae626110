//! C and C++ programs are compiled against the headers, linked with the library and run.
//!
//! Cargo builds the shared and the static library of this package beside the test itself, so what is tested here is
//! what is installed. `CC` and `CXX` choose the compilers. Where a tool is missing the reason is written to standard
//! error, past the capture of the test's output; only the C compiler is required.

mod api;
mod arguments;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use slotwise_testkit::{Door, ProcessDoor, RustDoor, conformance};

const STRICT: &[&str] = &["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-g", "-O1"];

/// What the static library needs from the system; harmless with the shared one.
const SYSTEM: &[&str] = &["-lpthread", "-ldl", "-lm"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder that the library under test was built into: the one this test runs from.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    test.parent().expect("the test lies in a folder").to_owned()
}

/// A folder that looks like that of an installed library: `libslotwise.so`, its SONAME, and `libslotwise.a`.
static INSTALLED: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = scratch("lib");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a scratch folder can be made");
    for (built_as, name) in [
        ("libslotwise_c.so", "libslotwise.so.0"),
        ("libslotwise_c.so", "libslotwise.so"),
        ("libslotwise_c.a", "libslotwise.a"),
    ] {
        let library = built().join(built_as);
        assert!(library.exists(), "{} was not built", library.display());
        symlink(library, folder.join(name)).expect("a link can be made");
    }
    folder
});

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("slotwise-c").join(name)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Language {
    C,
    Cxx,
}

impl Language {
    fn compiler(self, standard: &str) -> Command {
        let (variable, default) = if self == Language::C { ("CC", "cc") } else { ("CXX", "c++") };
        let mut command = Command::new(std::env::var_os(variable).unwrap_or_else(|| default.into()));
        command.arg(format!("-std={standard}")).args(STRICT).arg("-I").arg(root().join("include"));
        command
    }
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Static,
    Shared,
    /// Not at all: the program loads the library itself.
    Loaded,
}

/// The sanitizers that a C compiler brings along; they see every allocation of the library, and all of the program.
const SANITIZERS: &[&str] = &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// Whether programs with these flags can be built and run here; if not, that is said.
fn can(flags: &[&str], what: &str) -> bool {
    let probe = scratch(&format!("probe{}", flags.concat().replace('=', "")));
    fs::create_dir_all(scratch("")).expect("a scratch folder can be made");
    let source = probe.with_extension("c");
    fs::write(&source, "int main(void) { return 0; }\n").expect("a source can be written");
    let mut compiler = Language::C.compiler("c11");
    compiler.args(flags).arg(&source).arg("-o").arg(&probe);
    let works = compiler.output().is_ok_and(|output| output.status.success())
        && Command::new(&probe).output().is_ok_and(|output| output.status.success());
    if !works {
        say(&format!("{what} is not tried: the C compiler does not build programs with it that run here"));
    }
    works
}

/// Compiles one program of `tests/c`, or one given by its full path; `None` where there is no C++ compiler, which is said.
fn compile(language: Language, standard: &str, source: &str, link: Link, more: &[&str]) -> Option<PathBuf> {
    let stem = source.rsplit('/').next().unwrap_or(source).replace('.', "-");
    let program =
        scratch(&format!("{stem}-{standard}-{link:?}{}", more.concat().replace(['=', '/', '"'], "")));
    let mut compiler = language.compiler(standard);
    compiler.args(more).arg("-I").arg(root().join("tests/c"));
    compiler.arg(root().join("tests/c").join(source)).arg("-o").arg(&program);
    match link {
        Link::Static => {
            compiler.arg(INSTALLED.join("libslotwise.a"));
        }
        Link::Shared => {
            compiler.arg("-L").arg(&*INSTALLED).arg("-lslotwise");
            compiler.arg(format!("-Wl,-rpath,{}", INSTALLED.display()));
        }
        Link::Loaded => {}
    }
    compiler.args(SYSTEM);
    match compiler.output() {
        Err(error) if language == Language::Cxx => {
            say(&format!("{source} is not tested: no C++ compiler runs here ({error}); set CXX"));
            None
        }
        output => {
            let output = output.expect("a C compiler runs here; set CC");
            assert!(output.status.success(), "{compiler:?}\n{}", String::from_utf8_lossy(&output.stderr));
            Some(program)
        }
    }
}

/// Writes past the capture of the test's output, so that the reader sees what was not tested.
fn say(reason: &str) {
    let _ = writeln!(std::io::stderr(), "slotwise-c: {reason}");
}

/// Valgrind, which fails when one of these kinds of blocks is left behind; it still wants its program.
fn valgrind(leaks: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["-q", "--error-exitcode=99", "--leak-check=full", "--num-callers=30"]);
    command.args([format!("--show-leak-kinds={leaks}"), format!("--errors-for-leak-kinds={leaks}")]);
    command.arg(format!("--suppressions={}", root().join("tests/c/valgrind.supp").display()));
    command
}

/// Runs a program and gives what it wrote; it must succeed.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let writing = std::thread::scope(|scope| {
        // Written beside the reading, so that neither side waits for the other with a full pipe.
        let writer = scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output().expect("the program ends");
        assert!(
            output.status.success(),
            "{command:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (writer.join().expect("the writer does not panic"), output.stdout)
    });
    writing.0.expect("the program read all of its input");
    writing.1
}

fn has_valgrind() -> bool {
    let found =
        Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        say("no leak is looked for: valgrind is not installed");
    }
    found
}

#[test]
fn the_headers_compile_alone_and_strictly() {
    let folder = scratch("headers");
    fs::create_dir_all(&folder).expect("a scratch folder can be made");
    for (language, header, file, standards) in [
        (Language::C, "slotwise.h", "header.c", ["c11", "c17"]),
        (Language::Cxx, "slotwise.h", "header.cpp", ["c++17", "c++20"]),
        (Language::Cxx, "slotwise.hpp", "layer.cpp", ["c++17", "c++20"]),
    ] {
        let source = folder.join(file);
        // Included twice: the guard must hold. A translation unit must not be empty in strict C.
        let text = format!(
            "#include \"{header}\"\n#include \"{header}\"\nint main(void) {{ return SLOTWISE_OK; }}\n"
        );
        fs::write(&source, text.replace("(void)", if language == Language::C { "(void)" } else { "()" }))
            .expect("a source can be written");
        for standard in standards {
            let mut compiler = language.compiler(standard);
            compiler.args(["-Wconversion", "-fsyntax-only"]).arg(&source);
            match compiler.output() {
                Err(error) if language == Language::Cxx => {
                    say(&format!(
                        "{header} is not compiled as {standard}: no C++ compiler runs here ({error})"
                    ));
                }
                output => {
                    let output = output.expect("a C compiler runs here; set CC");
                    let complaints = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "{header} as {standard}:\n{complaints}");
                }
            }
        }
    }
}

#[test]
fn a_c_program_runs_against_both_libraries() {
    for link in [Link::Static, Link::Shared] {
        let program = compile(Language::C, "c11", "smoke.c", link, &[]).expect("C is required");
        let output = run(&mut Command::new(&program), b"");
        assert!(output.starts_with(b"smoke.c: "), "{}", String::from_utf8_lossy(&output));
    }
}

#[test]
fn a_cxx_program_runs_against_both_libraries() {
    for link in [Link::Static, Link::Shared] {
        let Some(program) = compile(Language::Cxx, "c++17", "smoke.cpp", link, &[]) else { return };
        let output = run(&mut Command::new(&program), b"");
        assert!(output.starts_with(b"smoke.cpp: "), "{}", String::from_utf8_lossy(&output));
    }
}

/// The folder of the example policies.
fn policies() -> PathBuf {
    let target = root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let policies = target.join("wasm/policies");
    assert!(policies.exists(), "{} is not there; `cargo xtask policies` builds it", policies.display());
    policies
}

#[test]
fn policies_are_loaded_asked_and_freed() {
    let policies = format!("-DPOLICIES=\"{}\"", policies().display());
    let program = compile(Language::C, "c11", "policy.c", Link::Shared, &[&policies]).expect("C is required");
    let output = run(&mut Command::new(&program), b"");
    assert!(output.starts_with(b"policy.c: "), "{}", String::from_utf8_lossy(&output));
    if can(SANITIZERS, "AddressSanitizer") {
        let flags = [SANITIZERS, &[policies.as_str()]].concat();
        let program = compile(Language::C, "c11", "policy.c", Link::Static, &flags).expect("C is required");
        run(&mut Command::new(&program), b"");
    }
    if let Some(program) = compile(Language::Cxx, "c++17", "policy.cpp", Link::Shared, &[&policies]) {
        let output = run(&mut Command::new(&program), b"");
        assert!(output.starts_with(b"policy.cpp: "), "{}", String::from_utf8_lossy(&output));
    }
}

/// As a scheduler's plugin, with a policy: plain, under the sanitizers, and under valgrind, which sees what the runtime of
/// policies does with memory that it maps itself.
#[test]
fn nothing_of_an_unloaded_library_stays() {
    let policy = policies().join("avoid-hot-racks.wasm");
    let library = INSTALLED.join("libslotwise.so");
    let unload = |mut command: Command| {
        let output = run(command.arg(&library).arg(&policy), b"");
        assert!(output.starts_with(b"unload.c: "), "{}", String::from_utf8_lossy(&output));
    };
    let program = compile(Language::C, "c11", "unload.c", Link::Loaded, &[]).expect("C is required");
    unload(Command::new(&program));
    if has_valgrind() {
        let mut valgrind = valgrind("definite,indirect,possible");
        valgrind.arg("--keep-debuginfo=yes").arg(&program);
        unload(valgrind);
    }
    if can(SANITIZERS, "AddressSanitizer") {
        let program =
            compile(Language::C, "c11", "unload.c", Link::Loaded, SANITIZERS).expect("C is required");
        let mut sanitized = Command::new(program);
        // It cannot name the functions of a library that is gone, and so cannot tell the one block that is known from others.
        sanitized.env("ASAN_OPTIONS", "detect_leaks=0");
        unload(sanitized);
    }
}

#[test]
fn nothing_leaks_and_no_access_is_invalid() {
    if !has_valgrind() {
        return;
    }
    let program =
        compile(Language::C, "c11", "smoke.c", Link::Shared, &["-DVALGRIND"]).expect("C is required");
    // Not even blocks that are still reachable: the library keeps nothing.
    run(valgrind("all").arg(&program), b"");
    if let Some(program) = compile(Language::Cxx, "c++17", "smoke.cpp", Link::Static, &["-DVALGRIND"]) {
        // The C++ runtime itself keeps its emergency pool for exceptions reachable.
        run(valgrind("definite,indirect,possible").arg(&program), b"");
    }
}

#[test]
fn the_sanitizers_have_nothing_to_say() {
    if can(SANITIZERS, "AddressSanitizer") {
        let program =
            compile(Language::C, "c11", "smoke.c", Link::Static, SANITIZERS).expect("C is required");
        run(&mut Command::new(&program), b"");
        if let Some(program) = compile(Language::Cxx, "c++17", "smoke.cpp", Link::Static, SANITIZERS) {
            run(&mut Command::new(&program), b"");
        }
    }
    // The library itself is not instrumented, and its own locks are not seen: what is looked at are the program's accesses.
    let threads = &["-fsanitize=thread"];
    if can(threads, "ThreadSanitizer") {
        let program = compile(Language::C, "c11", "smoke.c", Link::Shared, threads).expect("C is required");
        run(Command::new(&program).env("TSAN_OPTIONS", "ignore_noninstrumented_modules=1"), b"");
    }
}

/// The program of [`arguments`], for the present header.
fn arguments() -> String {
    let header = fs::read_to_string(root().join("include/slotwise.h")).expect("the header can be read");
    let fixtures = fs::read_to_string(root().join("tests/c/fixtures.h")).expect("the fixtures can be read");
    let functions = api::functions(&header);
    assert!(functions.len() > 50, "only {} functions were found", functions.len());
    arguments::program(&functions, &fixtures)
}

/// Plain in C, in C++ under the sanitizers: there is much of it, and valgrind has its turn beside.
#[test]
fn every_argument_of_every_function_may_be_wrong() {
    fs::create_dir_all(scratch("")).expect("a scratch folder can be made");
    let (c, cxx) = (scratch("arguments.c"), scratch("arguments.cpp"));
    fs::write(&c, arguments()).expect("a source can be written");
    fs::write(&cxx, arguments()).expect("a source can be written");
    // Compiled once, and from then on taken from the cache: under valgrind a compilation takes its time.
    let cache = scratch("policy-cache");
    let _ = fs::remove_dir_all(&cache);
    let policies = format!("-DPOLICIES=\"{}\"", policies().display());
    let cache = format!("-DCACHE=\"{}\"", cache.display());
    let defines = [policies.as_str(), cache.as_str()];
    let c = compile(Language::C, "c11", &c.to_string_lossy(), Link::Shared, &defines).expect("C is required");
    let output = run(&mut Command::new(&c), b"");
    assert!(output.starts_with(b"arguments: "), "{}", String::from_utf8_lossy(&output));
    say(String::from_utf8_lossy(&output).trim());
    let flags = if can(SANITIZERS, "AddressSanitizer") { SANITIZERS } else { &[] };
    let flags = [flags, &defines].concat();
    if let Some(cxx) = compile(Language::Cxx, "c++17", &cxx.to_string_lossy(), Link::Static, &flags) {
        run(&mut Command::new(&cxx), b"");
    }
    if has_valgrind() {
        run(valgrind("all").arg(&c), b"");
    }
}

#[test]
fn the_shared_library_exports_what_the_header_declares() {
    let library = INSTALLED.join("libslotwise.so");
    let Ok(output) = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output() else {
        say("the exported symbols are not compared: there is no nm (binutils)");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let exported: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(str::to_owned)
        .collect();
    let header = fs::read_to_string(root().join("include/slotwise.h")).expect("the header can be read");
    let declared: BTreeSet<String> =
        api::functions(&header).into_iter().map(|function| function.name).collect();
    assert_eq!(exported, declared);
    assert!(declared.contains("slotwise_tracker_claim") && declared.len() > 50, "{declared:?}");
}

/// The cases are replayed through all doors by `cargo xtask conformance`; here it is about what C can get wrong: all of them
/// under the sanitizers, and under valgrind, which takes fifty times as long, those of [`representative`] (all of them where
/// `SLOTWISE_VALGRIND=all` is set).
#[test]
fn the_conformance_cases_agree_and_leave_nothing_behind() {
    let cases = conformance::load_cases(&conformance::default_dir()).expect("the cases can be read");
    if can(SANITIZERS, "AddressSanitizer") {
        let program =
            compile(Language::C, "c11", "runner.c", Link::Static, &[SANITIZERS, &["-DCASES"]].concat())
                .expect("C is required");
        let log = scratch("conformance.sanitizers");
        let _ = fs::remove_dir_all(&log);
        fs::create_dir_all(&log).expect("a folder for logs can be made");
        let options = format!("log_path={}", log.join("found").display());
        let mut command = Command::new(&program);
        command
            .env("ASAN_OPTIONS", &options)
            .env("UBSAN_OPTIONS", &options)
            .env("LSAN_OPTIONS", "exitcode=23");
        replay(&cases, &mut command);
        let logs = fs::read_dir(&log).expect("the logs can be listed");
        let found: Vec<String> = logs
            .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a log can be read"))
            .collect();
        assert!(found.is_empty(), "{}", found.concat());
    }
    if !has_valgrind() {
        return;
    }
    let program = compile(Language::C, "c11", "runner.c", Link::Shared, &["-DCASES"]).expect("C is required");
    let log = scratch("conformance.valgrind");
    fs::write(&log, "").expect("a log can be written");
    let all = std::env::var_os("SLOTWISE_VALGRIND").is_some_and(|value| value == "all");
    let chosen = if all { cases } else { representative(&cases) };
    say(&format!("{} conformance cases run under valgrind", chosen.len()));
    replay(&chosen, valgrind("all").arg(format!("--log-file={}", log.display())).arg(&program));
    let found = fs::read_to_string(&log).expect("the log can be read");
    assert!(found.is_empty(), "{found}");
}

/// Whether no text in this argument is repeated (`{"$repeat": [text, times]}`) to more than 64 KiB.
fn is_small(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_small),
        Value::Object(entries) => entries.iter().all(|(key, value)| match (key.as_str(), value.as_array()) {
            ("$repeat", Some(parts)) => {
                let len = parts.first().and_then(Value::as_str).map_or(0, str::len) as u64;
                len.saturating_mul(parts.last().and_then(Value::as_u64).unwrap_or(0)) <= 64 << 10
            }
            _ => is_small(value),
        }),
        _ => true,
    }
}

/// Replays cases through Rust and a C program, which has ended when this returns.
fn replay(cases: &[conformance::Case], command: &mut Command) {
    let c = ProcessDoor::spawn("c", command).expect("the runner starts");
    let mut doors: Vec<Box<dyn Door>> = vec![Box::new(RustDoor::new()), Box::new(c)];
    let report = conformance::run(cases, &mut doors);
    assert!(report.passed(), "{report}");
}

/// As few cases as show every function in each of its ways to end: with a result, and with each kind of error. Without those
/// that hand over megabytes to run into a limit: valgrind takes minutes for them, the sanitizers have seen them.
fn representative(cases: &[conformance::Case]) -> Vec<conformance::Case> {
    let ends = |case: &conformance::Case| -> BTreeSet<String> {
        let end = |step: &conformance::Step| match &step.error {
            Some(error) => format!("{} {:?}", step.call, error.kind),
            // A fit and a *no* are different code.
            None => {
                let outcome = step.expect.as_ref().and_then(|expected| expected.get("outcome"));
                format!("{} {outcome:?}", step.call)
            }
        };
        case.steps.iter().map(end).collect()
    };
    let mut shown = BTreeSet::new();
    // Those that show most come first, so that fewer are needed.
    let mut order: Vec<&conformance::Case> =
        cases.iter().filter(|case| case.steps.iter().all(|step| step.args.values().all(is_small))).collect();
    order.sort_by_key(|case| std::cmp::Reverse(ends(case).len()));
    order.retain(|case| {
        let before = shown.len();
        shown.extend(ends(case));
        shown.len() > before
    });
    order.into_iter().cloned().collect()
}

#[test]
fn the_conformance_runner_speaks_its_protocol() {
    let program = compile(Language::C, "c11", "runner.c", Link::Static, &[]).expect("C is required");
    let mut script = Vec::new();
    let mut expected: Vec<(&str, &str)> = Vec::new();
    let mut call = |op: &str, arguments: &[&[u8]], verdict, part| {
        script.extend_from_slice(format!("call {op} {}\n", arguments.len()).as_bytes());
        for argument in arguments {
            script.extend_from_slice(format!("{}\n", argument.len()).as_bytes());
            script.extend_from_slice(argument);
            script.push(b'\n');
        }
        expected.push((verdict, part));
    };
    call("tracker.pools", &[], "err", "bad case: the slot tracker is empty here");
    call("no.such", &[b"x"], "err", "bad case: the C door has no such op");
    call(
        "specs.parse",
        &[b"[\"{\\\"vendor_id\\\": \\\"8086\\\", \\\"product_id\\\": \\\"1520\\\"}\"]", b""],
        "ok",
        "{\"rules\":[{",
    );
    call("specs.parse", &[b"{", b""], "err", "\"kind\":\"invalid_json\"");
    call("specs.parse", &[b"[\"\xff\"]", b""], "err", "\"kind\":\"invalid_utf8\"");
    call("specs.parse", &[b"[\n]", b"perhaps"], "err", "bad case: in C this argument is a bool");
    call("tracker.new", &[b""], "ok", "null");
    call(
        "tracker.sync",
        &[b"[{\"address\": \"0000:81:00.0\", \"vendor_id\": \"8086\", \"product_id\": \"1520\"}]"],
        "ok",
        "\"added\":[\"0000:81:00.0\"]",
    );
    let one = b"{\"requests\": [{\"count\": 1, \"alternatives\": [{}]}]}";
    call("tracker.claim", &[b"vm-1", one], "ok", "{\"outcome\":\"fits\"");
    call("tracker.claim", &[b"vm-2", one], "ok", "{\"outcome\":\"no_fit\"");
    call("tracker.free_device", &[b"vm-1", b"81:00.9"], "err", "\"kind\":\"invalid_address\"");
    call("tracker.free", &[b"vm-1", b""], "ok", "[\"0000:81:00.0\"]");
    call("tracker.restore", &[b"abc"], "err", "bad case: bytes are written in pairs");
    call("tracker.restore", &[b"00ff"], "err", "\"kind\":\"invalid_snapshot\"");
    call("tracker.snapshot", &[], "ok", "\"");
    call(
        "config.parse",
        &[b"toml", b""],
        "ok",
        "{\"device_specs\":[],\"aliases\":[],\"report_in_placement\":false",
    );
    call("pools.parse", &[b"null", b""], "ok", "[]");
    call("pools.fit", &[one], "ok", "{\"outcome\":\"no_fit\"");
    script.extend_from_slice(b"reset\n");
    expected.push(("ok", "null"));
    script.extend_from_slice(b"call tracker.pools 0\n");
    expected.push(("err", "the slot tracker is empty here"));

    let mut commands = vec![Command::new(&program)];
    if has_valgrind() {
        let mut command = valgrind("all");
        command.arg(&program);
        commands.push(command);
    }
    for mut command in commands {
        let output = run(&mut command, &script);
        let mut rest = &output[..];
        for (verdict, part) in &expected {
            let end = rest.iter().position(|byte| *byte == b'\n').expect("an answer has a first line");
            let head = std::str::from_utf8(&rest[..end]).expect("the first line is text");
            let (word, length) = head.split_once(' ').expect("a verdict and a length");
            let length: usize = length.parse().expect("the length is a number");
            let body = String::from_utf8_lossy(&rest[end + 1..end + 1 + length]);
            assert_eq!(rest[end + 1 + length], b'\n');
            assert!(
                word == *verdict && body.contains(part),
                "expected {verdict} with {part}, got {head}: {body}"
            );
            rest = &rest[end + 2 + length..];
        }
        assert!(rest.is_empty(), "the runner answered more than it was asked");
    }
}
