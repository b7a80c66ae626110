//! Policies that do something wrong: each has its error, and after each the host answers the next question.

mod common;

use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use common::policy::{WIT, hostile, hosts, trapping, with_query};
use slotwise::policy::{DeviceTable, SetId};
use slotwise::{ErrorKind, policy};
use slotwise_sandbox::{
    Error, FailureKind, Limits, LogLevel, LogLine, MAX_COMPONENT_BYTES, OnFailure, Policy, PolicyOptions,
    inspect,
};

fn options(limits: Limits) -> PolicyOptions {
    PolicyOptions { limits, ..PolicyOptions::default() }
}

/// Short enough that a loop costs little, long enough for a slow machine to answer.
fn short() -> Limits {
    Limits { time: Duration::from_millis(100), instances: 2, ..Limits::for_policies() }
}

/// For what is to succeed, on a machine that is busy with other things too.
fn patient() -> Limits {
    Limits { time: Duration::from_secs(10), ..Limits::for_policies() }
}

fn load(name: &str, options: PolicyOptions) -> Result<Policy, Error> {
    Policy::from_bytes(&hostile(name), PolicyOptions { name: Some(name.to_owned()), ..options })
}

/// The policy that is asked after each that fails.
static HARMLESS: LazyLock<Policy> =
    LazyLock::new(|| load("answers", options(patient())).expect("nothing is wrong with it"));

/// Checks that the host still answers, and that no answer of another call is in it.
#[track_caller]
fn next_question_is_answered() {
    with_query(|query| {
        let verdicts = policy::filter(&[&*HARMLESS], query, &hosts(3)).expect("verdicts");
        let reasons: Vec<_> = (0..3).map(|host| verdicts.reason(host)).collect();
        assert_eq!(reasons, [None, Some("policy answers: refused"), None]);
        assert_eq!(policy::score(&*HARMLESS, query, &hosts(3)).expect("scores"), [1.0, 2.0, 3.0]);
    });
}

/// What is asked of a fixture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Load,
    Filter,
    Score,
    Prefer,
}

fn ask(policy: &Policy, ask: Ask) -> Result<(), Error> {
    let mut devices = DeviceTable::new("node-1");
    for function in 0..3 {
        devices.push(&format!("0000:3b:00.{function}"), SetId::EMPTY, None).expect("a device");
    }
    with_query(|query| match ask {
        Ask::Load => Ok(()),
        Ask::Filter => policy.try_filter(query, &hosts(3)).map(drop),
        Ask::Score => policy.try_score(query, &hosts(3)).map(drop),
        Ask::Prefer => policy.try_prefer(query, &devices).map(drop),
    })
}

/// Each fixture, what it is asked, and what must come of it: the kind of failure and a part of the text.
const FIXTURES: &[(&str, Ask, FailureKind, &str)] = &[
    ("endless_loop", Ask::Filter, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("loop_in_start", Ask::Load, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("loop_in_configure", Ask::Load, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("loop_in_realloc", Ask::Load, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("loop_after_return", Ask::Filter, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("foreign_memory", Ask::Load, FailureKind::Trap, "beyond end of memory"),
    ("memory_bomb", Ask::Filter, FailureKind::OutOfMemory, "more than 67108864 bytes of memory"),
    ("table_bomb", Ask::Filter, FailureKind::TableTooLarge, "more than 20000 table entries"),
    ("deep_recursion", Ask::Filter, FailureKind::StackOverflow, "more than 524288 bytes of stack"),
    ("huge_reason", Ask::Filter, FailureKind::ResultTooLarge, "more than 16777216 bytes"),
    ("aliased_reasons", Ask::Filter, FailureKind::ResultTooLarge, "more than 16777216 bytes"),
    ("long_reason", Ask::Filter, FailureKind::WrongAnswer, "reason 0 has over 1024 bytes"),
    ("wrong_length", Ask::Filter, FailureKind::WrongAnswer, "2 verdicts where 3 were asked for"),
    ("no_such_reason", Ask::Filter, FailureKind::WrongAnswer, "verdict 1 names reason 8"),
    ("nan_score", Ask::Score, FailureKind::WrongAnswer, "score 1 is NaN"),
    ("infinite_score", Ask::Score, FailureKind::WrongAnswer, "score 2 is -inf"),
    ("infinite_preference", Ask::Prefer, FailureKind::WrongAnswer, "score 0 is inf"),
    ("invalid_utf8", Ask::Filter, FailureKind::WrongAnswer, "log line is not UTF-8"),
    ("trap", Ask::Filter, FailureKind::Trap, "unreachable"),
    ("trap_when_three", Ask::Filter, FailureKind::Trap, "unreachable"),
    ("foreign_answer", Ask::Filter, FailureKind::Trap, "out of bounds"),
    ("grows_by_nothing", Ask::Filter, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("grows_page_by_page", Ask::Filter, FailureKind::OutOfMemory, "more than 67108864 bytes of memory"),
    ("empty_reasons", Ask::Filter, FailureKind::ResultTooLarge, "more than 16777216 bytes"),
    ("more_reasons_than_hosts", Ask::Filter, FailureKind::WrongAnswer, "4 reasons for 3 hosts"),
    ("absurd_reason", Ask::Filter, FailureKind::Trap, "out of bounds"),
    ("odd_result", Ask::Filter, FailureKind::Trap, "discriminant"),
    ("trap_in_start", Ask::Load, FailureKind::Trap, "unreachable"),
    ("trap_after_return", Ask::Filter, FailureKind::Trap, "unreachable"),
    ("log_for_ever", Ask::Filter, FailureKind::OutOfTime, "ran longer than 100ms"),
    ("log_of_32_mib", Ask::Filter, FailureKind::ResultTooLarge, "more than 16777216 bytes"),
    ("log_outside", Ask::Filter, FailureKind::Trap, "out of bounds"),
    ("log_of_no_level", Ask::Filter, FailureKind::Trap, "discriminant"),
    ("log_before_configured", Ask::Load, FailureKind::Trap, "uninitialized element"),
    ("leaks_handles", Ask::Filter, FailureKind::Trap, "handle"),
    ("says_no", Ask::Filter, FailureKind::Refused, "the policy says: refused"),
    ("refuses_configuration", Ask::Load, FailureKind::Refused, "the policy says: refused"),
];

#[test]
fn every_hostile_guest_has_its_error_and_harms_nobody() {
    for (name, asked, kind, text) in FIXTURES {
        let outcome = match load(name, options(short())) {
            Err(error) if *asked == Ask::Load => Err(error),
            Err(error) => panic!("{name} is not loaded: {error}"),
            Ok(policy) => {
                let first = ask(&policy, *asked);
                // The instance is gone, and with a fresh one the same happens again.
                assert_eq!(
                    first.as_ref().map_err(ToString::to_string),
                    ask(&policy, *asked).as_ref().map_err(ToString::to_string),
                    "{name}"
                );
                first
            }
        };
        let error = outcome.expect_err(name);
        assert_eq!(FailureKind::of(&error), *kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
        next_question_is_answered();
    }
}

#[test]
fn every_fixture_has_an_expectation() {
    let elsewhere = [
        "answers",
        "answers_nothing",
        "control_characters",
        "keeps_state",
        "large_at_start",
        "large_table_at_start",
        "log_flood",
        "negative_zero",
        "refuses_at_length",
        "says_why_it_refuses",
        "works_twice",
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    for entry in std::fs::read_dir(folder).expect("the fixtures").map(|entry| entry.expect("a file").path()) {
        let name = entry.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let known = FIXTURES.iter().any(|(fixture, ..)| *fixture == name) || elsewhere.contains(&&*name);
        assert!(known || name == "README", "nothing is expected of {name}");
    }
}

#[test]
fn a_policy_that_failed_answers_the_next_question() {
    let policy = load("trap_when_three", options(patient())).expect("a policy");
    with_query(|query| {
        for _ in 0..3 {
            assert!(matches!(policy.try_filter(query, &hosts(3)), Err(Error::Trap(_))));
            let verdicts = policy.try_filter(query, &hosts(2)).expect("verdicts");
            assert!(verdicts.passes(0) && verdicts.passes(1) && verdicts.len() == 2);
        }
    });
}

#[test]
fn fuel_is_counted_when_it_is_asked_for() {
    let policy = load("endless_loop", options(Limits { fuel: Some(100_000), ..short() })).expect("a policy");
    let error = ask(&policy, Ask::Filter).expect_err("it loops");
    assert!(matches!(error, Error::OutOfFuel(100_000)), "{error}");
    assert!(ask(&policy, Ask::Score).is_ok());
}

#[test]
fn making_the_instance_counts_against_the_limits_of_the_call() {
    // Each half takes about 300,000 units.
    let policy = load("works_twice", options(Limits { fuel: Some(450_000), ..patient() })).expect("a policy");
    let error = ask(&policy, Ask::Filter).expect_err("both halves are too much");
    assert!(matches!(error, Error::OutOfFuel(450_000)), "{error}");
    assert!(ask(&policy, Ask::Score).is_ok());
    let error =
        load("works_twice", options(Limits { fuel: Some(100_000), ..patient() })).expect_err("not even one");
    assert!(matches!(error, Error::OutOfFuel(100_000)), "{error}");
}

#[test]
fn a_long_refusal_is_cut_off() {
    let error = load("refuses_at_length", options(patient())).expect_err("it refuses");
    assert!(
        matches!(&error, Error::Refused(reason) if *reason == "a".repeat(1024)),
        "{} bytes",
        error.to_string().len()
    );
}

#[test]
fn negative_zero_is_a_number_like_zero() {
    let policy = load("negative_zero", options(patient())).expect("a policy");
    let scores = with_query(|query| policy::score(&policy, query, &hosts(3))).expect("scores");
    assert_eq!(scores, [0.0, 0.0, f64::from_bits(1)]);
}

#[test]
fn whoever_takes_log_lines_may_ask_the_policy_again() {
    let asked_again: Arc<Mutex<Option<Policy>>> = Arc::default();
    let (own, answered) = (asked_again.clone(), Arc::new(AtomicUsize::new(0)));
    let count = answered.clone();
    let log = Arc::new(move |_: &LogLine| {
        // Once, and with the only instance that there may be.
        if let Some(policy) = own.lock().expect("a policy").take() {
            assert!(ask(&policy, Ask::Score).is_ok());
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let limits = Limits { instances: 1, ..patient() };
    let policy = load("log_flood", PolicyOptions { log: Some(log), ..options(limits) }).expect("a policy");
    *asked_again.lock().expect("a policy") = Some(policy.clone());
    assert!(ask(&policy, Ask::Filter).is_ok());
    assert_eq!(answered.load(Ordering::Relaxed), 1);
}

#[test]
fn nothing_is_kept_between_calls_unless_it_is_asked_for() {
    for (keep_instances, second) in [(false, true), (true, false)] {
        let policy = load("keeps_state", PolicyOptions { keep_instances, ..options(patient()) });
        let policy = policy.expect("a policy");
        with_query(|query| {
            assert!(policy.try_filter(query, &hosts(3)).expect("verdicts").passes(1));
            assert_eq!(policy.try_filter(query, &hosts(3)).expect("verdicts").passes(1), second);
        });
    }
}

#[test]
fn a_kept_instance_that_fails_is_thrown_away() {
    let options = PolicyOptions { keep_instances: true, ..options(patient()) };
    let policy = load("trap_when_three", options).expect("a policy");
    with_query(|query| {
        for _ in 0..3 {
            assert!(policy.try_filter(query, &hosts(2)).is_ok());
            assert!(matches!(policy.try_filter(query, &hosts(3)), Err(Error::Trap(_))));
        }
    });
}

#[test]
fn a_reason_does_not_reach_a_terminal_as_it_is() {
    let policy = load("control_characters", options(patient())).expect("a policy");
    let verdicts = with_query(|query| policy.try_filter(query, &hosts(3))).expect("verdicts");
    assert_eq!(verdicts.reason(1), Some("\\u{1b}[31med"));
}

// What is said, counted and logged.

fn recorder() -> (Arc<Mutex<Vec<LogLine>>>, PolicyOptions) {
    let lines: Arc<Mutex<Vec<LogLine>>> = Arc::default();
    let seen = lines.clone();
    let log = Arc::new(move |line: &LogLine| seen.lock().expect("lines").push(line.clone()));
    (lines, PolicyOptions { log: Some(log), ..options(patient()) })
}

#[test]
fn a_flood_of_log_lines_is_cut_off_and_counted() {
    let (lines, options) = recorder();
    let policy = load("log_flood", options).expect("a policy");
    let verdicts = with_query(|query| policy::filter(&[&policy], query, &hosts(3))).expect("verdicts");
    assert!(!verdicts.passes(1));
    let lines = lines.lock().expect("lines");
    assert_eq!(lines.len(), 65);
    assert_eq!((lines[0].level, lines[0].text.as_str()), (LogLevel::Warning, "refused"));
    assert_eq!(lines[64].text, "936 more lines of one call are not kept");
    let counters = policy.counters();
    assert_eq!((counters.calls, counters.log_lines, counters.log_lines_lost), (1, 64, 936));
}

#[test]
fn what_is_logged_before_a_start_fails_is_not_lost() {
    let (lines, options) = recorder();
    let error = load("says_why_it_refuses", options).expect_err("a refusal");
    assert!(matches!(error, Error::Refused(_)), "{error}");
    let lines = lines.lock().expect("lines");
    let lines: Vec<_> = lines.iter().map(|line| (line.level, line.text.as_str())).collect();
    assert_eq!(lines, [(LogLevel::Error, "refused")]);
}

/// Asks so often, and gives how each question ended and what was logged.
fn failing(on_failure: OnFailure, times: usize) -> (Policy, Vec<Option<ErrorKind>>, Vec<String>) {
    let (lines, options) = recorder();
    let policy = load("trap", PolicyOptions { on_failure, ..options }).expect("a policy");
    let answers = with_query(|query| {
        (0..times)
            .map(|_| match policy::filter(&[&policy], query, &hosts(3)) {
                Ok(verdicts) => {
                    assert!(
                        (0..3).all(|host| verdicts.passes(host)),
                        "a policy that fails open refuses nothing"
                    );
                    None
                }
                Err(error) => Some(error.kind()),
            })
            .collect()
    });
    let lines = lines.lock().expect("lines").iter().map(|line| line.text.clone()).collect();
    (policy, answers, lines)
}

const TRAPPED: &str = "the component failed: wasm trap: wasm `unreachable` instruction executed; later failures of this \
                       kind (trap) are counted only";

#[test]
fn a_failure_closes_the_query_unless_the_operator_decided_otherwise() {
    let failed = Some(ErrorKind::PolicyFailed);
    let (policy, answers, lines) = failing(OnFailure::Closed, 3);
    assert_eq!(answers, [failed, failed, failed]);
    assert_eq!(lines, [TRAPPED]);
    assert_eq!((policy.counters().calls, policy.counters().failed()), (3, 3));

    let (policy, answers, lines) = failing(OnFailure::Open, 3);
    assert_eq!(answers, [None, None, None]);
    assert_eq!(lines, [TRAPPED]);
    assert_eq!(policy.counters().failures, [(FailureKind::Trap, 3)].into());

    let (policy, answers, lines) = failing(OnFailure::DropAfter(NonZeroU64::MIN.saturating_add(1)), 4);
    assert_eq!(answers, [failed, failed, None, None]);
    assert_eq!(lines, [TRAPPED, "dropped after 2 failures; it is not asked any more"]);
    let counters = policy.counters();
    assert_eq!((counters.calls, counters.dropped), (2, true));
}

#[test]
fn who_waits_while_a_policy_is_dropped_does_not_ask_it() {
    let limits = Limits { time: Duration::from_millis(100), instances: 1, ..Limits::for_policies() };
    let options = PolicyOptions {
        limits,
        on_failure: OnFailure::DropAfter(NonZeroU64::MIN),
        ..PolicyOptions::default()
    };
    let loops = &Policy::from_bytes(&hostile("endless_loop"), options).expect("a policy");
    let failed = std::thread::scope(|scope| {
        let ask = || with_query(|query| policy::filter(&[loops], query, &hosts(3)).is_err());
        let askers: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().filter_map(|asker| asker.join().ok()).filter(|failed| *failed).count()
    });
    assert_eq!((failed, loops.counters().calls), (1, 1), "{:?}", loops.counters());
}

// Components that are no policy.

#[track_caller]
fn refused(bytes: &[u8]) -> Error {
    let error = Policy::from_bytes(bytes, options(short())).expect_err("not a policy");
    next_question_is_answered();
    error
}

#[test]
fn an_import_is_named_and_refused() {
    for name in ["wasi:cli/environment@0.2.0", "wasi:clocks/wall-clock@0.2.0", "slotwise:policy/log@0.2.0"] {
        let text = format!("(component (import \"{name}\" (instance)))");
        let error = refused(&wat::parse_str(&text).expect("a component"));
        assert!(matches!(&error, Error::UnexpectedImport(import) if import == name), "{error}");
        assert_eq!(error.at_load(Path::new("p.wasm")).kind(), ErrorKind::InvalidPolicy);
    }
    // The type of what may be imported is compared.
    let error =
        refused(&trapping(&WIT.replace("        error,\n    }", "        error,\n        fatal,\n    }")));
    assert!(error.to_string().contains("imports or exports another interface"), "{error}");
    let log = "text: string);\n}";
    assert!(WIT.contains(log), "the log interface is written in another way");
    let other = "text: string);\n    read: func() -> string;\n}";
    let error = refused(&trapping(&WIT.replace(log, other)));
    assert!(matches!(error, Error::WrongType(_)), "a function that the log does not have: {error}");
}

#[test]
fn what_is_not_exported_or_of_another_type_is_named() {
    let error = refused(&wat::parse_str("(component)").expect("a component"));
    assert!(
        matches!(&error, Error::MissingExport(reason) if reason.contains("slotwise:policy/api")),
        "{error}"
    );
    let error = refused(&trapping(&WIT.replace("    score: func", "    rate: func")));
    assert!(matches!(&error, Error::MissingExport(reason) if reason.contains("score")), "{error}");
    for (this, other) in [
        ("-> result<list<f64>, string>", "-> result<list<f32>, string>"),
        ("codes: list<u32>", "codes: list<u8>"),
        ("free: list<u32>", "free: list<u64>"),
    ] {
        assert!(WIT.contains(this), "{this:?} is no longer in policy.wit");
        let error = refused(&trapping(&WIT.replace(this, other)));
        assert!(matches!(error, Error::WrongType(_)), "{other}: {error}");
    }
}

#[test]
fn what_is_no_component_is_refused() {
    let whole = hostile("answers");
    for bytes in
        [b"".as_slice(), b"\0asm", b"hello, world", &whole[..whole.len() / 2], &whole[..whole.len() - 1]]
    {
        let error = refused(bytes);
        assert!(matches!(error, Error::NotAComponent(_)), "{} bytes: {error}", bytes.len());
    }
    let mut altered = whole.clone();
    altered[4] ^= 1;
    assert!(matches!(refused(&altered), Error::NotAComponent(_)));
    let module = refused(&wat::parse_str("(module)").expect("a module"));
    assert!(
        matches!(&module, Error::NotAComponent(what) if what.contains("`wasm-tools component new`")),
        "{module}"
    );
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe\u{1b}.wasm");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
        let error = Policy::load(path, options(short())).expect_err("no file");
        let text = error.at_load(path).to_string();
        assert!(text.starts_with("cannot read /") && text.ends_with("it is no regular file"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn a_policy_that_answers_nothing_is_refused() {
    let error = load("answers_nothing", options(short())).expect_err("nothing to ask");
    assert!(matches!(error, Error::AnswersNothing), "{error}");
    let error = error.at_load(Path::new("p.wasm"));
    assert!(
        error.to_string().starts_with("p.wasm: the policy says that it answers no question; name filter"),
        "{error}"
    );
    next_question_is_answered();
}

#[test]
fn an_error_names_the_file_or_the_policy_and_the_limit() {
    let path = Path::new("rules/p.wasm");
    for (name, what, remedy) in [
        (
            "loop_in_configure",
            "while it started and was configured: the call was stopped: it ran longer",
            "time_ms",
        ),
        ("large_at_start", "the component needs more than an instance may have", "memory"),
        ("refuses_configuration", "it does not take its configuration: the policy says", "author"),
    ] {
        let error = load(name, options(short())).expect_err(name).at_load(path);
        assert!(error.to_string().starts_with(&format!("rules/p.wasm: {what}")), "{error}");
        assert!(error.help().is_some_and(|help| help.contains(remedy)), "{:?}", error.help());
    }
    let named = PolicyOptions { name: Some("a\nb".repeat(200)), ..options(short()) };
    let policy = Policy::from_bytes(&hostile("endless_loop"), named).expect("a policy");
    assert!(policy.name().starts_with("a\\nba\\nb") && policy.name().len() <= 256, "{}", policy.name());
    let error = with_query(|query| policy::filter(&[&policy], query, &hosts(3))).expect_err("a loop");
    assert!(error.to_string().starts_with("policy a\\nb") && !error.to_string().contains('\n'), "{error}");
    assert!(error.help().is_some_and(|help| help.contains("time_ms")), "{:?}", error.help());
}

/// What is said of a component that has nothing of a policy.
const API: &str = "no exported instance named `slotwise:policy/api@0.1.0`";

/// What the component model and WebAssembly have beyond what a policy needs, and shapes that no encoder makes.
#[test]
fn odd_components_are_refused() {
    let deep = |depth: usize| {
        let lists: String =
            (1..depth).map(|i| format!("(type $t{i} (list $t{}))", i - 1)).collect::<Vec<_>>().join("\n");
        format!(
            "(component (type $t0 (list u8)) {lists} (import \"a\" (func (param \"p\" $t{}))))",
            depth - 1
        )
    };
    let core = |module: &str| format!("(component (core module {module}))");
    let long = format!("slotwise:{}/api@0.1.0", "a".repeat(90_000));
    let exporting = |name: &str| format!("(component (instance $i) (export {name:?} (instance $i)))");
    let nine_tables = "(core instance (instantiate $m))".repeat(9);
    let nested = "(component ".repeat(50) + &")".repeat(50);
    for (text, expected, reason) in [
        (deep(90), "UnexpectedImport", "imports a,"),
        (deep(50_000), "NotAComponent", "nesting is too deep"),
        (nested, "MissingExport", API),
        (format!("(component {})", "(component)".repeat(2_000)), "NeedsTooMuch", "components count exceeds"),
        (core(&"(memory 0)".repeat(101)), "NeedsTooMuch", "memories count exceeds"),
        (core(&"(table 0 funcref)".repeat(101)), "NeedsTooMuch", "tables count exceeds"),
        (format!("(component (core module $m (table 1 funcref)) {nine_tables})"), "NeedsTooMuch", "9 tables"),
        (core("(memory 1 1 shared)"), "NotAComponent", "threads must be enabled"),
        (core("(type (struct))"), "NotAComponent", "gc types are disabled"),
        (core("(tag)"), "NotAComponent", "exceptions proposal not enabled"),
        ("(component (type (stream u8)))".to_owned(), "NotAComponent", "async feature"),
        ("(component (type (future)))".to_owned(), "NotAComponent", "async feature"),
        (
            "(component (core func (canon error-context.drop)))".to_owned(),
            "NotAComponent",
            "error-context feature",
        ),
        ("(component (core func (canon backpressure.inc)))".to_owned(), "NotAComponent", "async feature"),
        ("(component (core func (canon thread.yield)))".to_owned(), "NotAComponent", "async feature"),
        ("(component (import \"a\" (value string)))".to_owned(), "NotAComponent", "not enabled"),
        // What WebAssembly has otherwise is harmless, but a policy it does not make.
        (core("(memory i64 1)"), "MissingExport", API),
        (
            "(component (core module $m (start 0) (func unreachable)) (core instance (instantiate $m)))"
                .to_owned(),
            "MissingExport",
            API,
        ),
        // Names: very long ones, and the right one in another version.
        (format!("(component (import {long:?} (instance)))"), "UnexpectedImport", "slotwise:aaaa"),
        (format!("(component (instance $i) (export {long:?} (instance $i)))"), "MissingExport", API),
        (exporting("slotwise:policy/api@0.2.0"), "MissingExport", "no exported instance"),
        (exporting("slotwise:policy/api@0.1.7"), "MissingExport", "does not have export `configure`"),
    ] {
        let shown: String = text.chars().take(100).collect();
        let error = refused(&wat::parse_str(&text).unwrap_or_else(|error| panic!("{shown}: {error}")));
        assert!(format!("{error:?}").starts_with(expected), "{shown}: {error}");
        assert!(error.to_string().contains(reason), "{shown}: {error}");
        assert!(error.to_string().len() < 2048, "{shown}: a message of {} bytes", error.to_string().len());
    }
}

/// A type within a type within a type takes three bytes a level, and what reads it goes as deep.
#[test]
fn types_that_are_nested_deep_are_refused() {
    let nested = |kind: u8, depth: usize| {
        let mut types = vec![1];
        types.extend([kind, 1, 1].repeat(depth - 1));
        types.extend([kind, 0]);
        let size = (0..5).map(|at| {
            let last = if at == 4 { 0 } else { 0x80 };
            (types.len() >> (7 * at)) as u8 & 0x7f | last
        });
        let mut component = b"\0asm\x0d\0\x01\0\x07".to_vec();
        component.extend(size);
        component.extend(types);
        component
    };
    for kind in [0x41, 0x42] {
        for depth in [501, 2_000, 10_000_000] {
            let error = refused(&nested(kind, depth)).to_string();
            assert!(error.contains("within others over 500 times"), "{kind} {depth}: {error}");
            assert!(inspect(&nested(kind, depth)).is_err(), "{kind} {depth}");
        }
        // What is not too deep is read: wasmtime says what it is that is missing.
        let error = refused(&nested(kind, 500));
        assert!(matches!(error, Error::MissingExport(_)), "{kind}: {error}");
        // One that is cut off is no whole component.
        let error = refused(&nested(kind, 500)[..900]);
        assert!(matches!(error, Error::NotAComponent(_)), "{kind}: {error}");
    }
}

/// Types that each refer to the one before are deep, too, though none is defined within another.
#[test]
fn a_compiler_that_gives_up_says_why() {
    let number = |n: u8| if n < 0x80 { vec![n] } else { vec![n & 0x7f | 0x80, 1] };
    // An instance that exports an instance of the type before, which it knows by an alias.
    let of_last =
        |last: u8| [b"\x42\x02\x02\x03\x02\x01".as_slice(), &number(last), b"\x04\x00\x01a\x05\x00"].concat();
    const DEPTH: u8 = 200;
    let types = [number(DEPTH), b"\x42\x00".to_vec()].concat();
    let types = (0..DEPTH - 1).fold(types, |types, last| [types, of_last(last)].concat());
    let import = [b"\x01\x00\x19slotwise:policy/log@0.1.0\x05".as_slice(), &number(DEPTH - 1)].concat();
    let sizes =
        (u8::try_from(types.len() & 0x7f).expect("seven bits"), u8::try_from(types.len() >> 7).expect("few"));
    let component = [
        b"\0asm\x0d\0\x01\0\x07".to_vec(),
        vec![sizes.0 | 0x80, sizes.1],
        types,
        vec![0x0a, u8::try_from(import.len()).expect("few")],
        import,
    ]
    .concat();
    let error = refused(&component);
    assert!(matches!(error, Error::NotAComponent(_)), "{error}");
    assert!(error.to_string().contains("gave up on it: assertion failed"), "{error}");
}

#[test]
fn what_is_too_large_is_not_compiled() {
    // A component that is valid but for its size: 50 MB in a section of its own.
    let mut large = hostile("answers");
    let payload = 50_000_000_usize;
    large.push(0);
    let mut rest = payload + 2;
    while rest > 0x7f {
        large.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    large.push(u8::try_from(rest).expect("seven bits"));
    large.extend_from_slice(&[1, b'x']);
    large.resize(large.len() + payload, 0);
    assert!(large.len() > MAX_COMPONENT_BYTES);
    let start = Instant::now();
    assert!(matches!(refused(&large), Error::ComponentTooLarge { limit: MAX_COMPONENT_BYTES }));
    assert!(start.elapsed() < Duration::from_secs(30));

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.wasm");
    std::fs::write(&path, &large).expect("a file");
    let error = Policy::load(&path, options(short())).expect_err("too large");
    assert!(matches!(error, Error::ComponentTooLarge { .. }), "{error}");
    let error = Policy::load(folder.path().join("none.wasm"), options(short())).expect_err("no file");
    assert!(error.to_string().contains("none.wasm"), "{error}");
}

#[test]
fn what_needs_more_than_any_instance_has_is_refused() {
    for (name, limit) in [("large_at_start", "limit memory"), ("large_table_at_start", "limit table")] {
        let error = refused(&hostile(name));
        assert!(matches!(error, Error::NeedsTooMuch(_)), "{name}: {error}");
        let error = error.at_load(Path::new("large.wasm")).to_string();
        assert!(error.contains(limit), "{error}");
    }
    let parts = "(core instance (instantiate $part))".repeat(21);
    let memories = "(core instance (instantiate $part))".repeat(3);
    for text in [
        format!("(component (core module $part) {parts})"),
        format!("(component (core module $part (memory 1)) {memories})"),
    ] {
        let error = refused(&wat::parse_str(&text).expect("a component"));
        assert!(matches!(error, Error::NeedsTooMuch(_)), "{error}");
    }
}

#[test]
fn limits_that_nothing_could_run_with_are_refused() {
    for limits in [
        Limits { time: Duration::ZERO, ..short() },
        Limits { result: 0, ..short() },
        Limits { stack: 8 << 20, ..short() },
        Limits { stack: 0, ..short() },
        Limits { instances: 0, ..short() },
        Limits { instances: 1000, ..short() },
        Limits { table: 10_000_000, ..short() },
    ] {
        let error = load("answers", options(limits)).expect_err("out of range");
        assert!(matches!(error, Error::Limits(_)), "{error}");
    }
}

// Many at once.

/// How many hostile calls are made; `SLOTWISE_HOSTILE_CALLS=10000` is the long form.
fn calls() -> usize {
    let calls = std::env::var("SLOTWISE_HOSTILE_CALLS").ok();
    calls.map_or(400, |calls| calls.parse().expect("SLOTWISE_HOSTILE_CALLS is a number"))
}

/// The memory of this process that is in use, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: usize =
        text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * rustix::param::page_size()
}

#[test]
fn hostile_calls_from_eight_threads_leak_nothing() {
    let limits = Limits { time: Duration::from_millis(10), instances: 3, ..Limits::for_policies() };
    let policies: Vec<(&str, Ask, Policy)> = FIXTURES
        .iter()
        .filter(|(_, asked, ..)| *asked != Ask::Load)
        .map(|(name, asked, ..)| {
            // Ten milliseconds may pass on a busy machine before the guest has begun.
            let loaded = (0..100).find_map(|_| load(name, options(limits.clone())).ok());
            (*name, *asked, loaded.expect(name))
        })
        .collect();
    let round = |calls: usize| {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    loop {
                        let call = next.fetch_add(1, Ordering::Relaxed);
                        if call >= calls {
                            break;
                        }
                        let (name, asked, policy) = &policies[call % policies.len()];
                        assert!(ask(policy, *asked).is_err(), "{name} answered");
                        if call.is_multiple_of(50) {
                            next_question_is_answered();
                        }
                    }
                });
            }
        });
    };
    // Once to warm up: what the pool keeps is there then.
    round(policies.len() * 8);
    let before = resident();
    round(calls());
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{} calls kept {grown} bytes", calls());
    next_question_is_answered();
}
