//! No door allocates more for a call than the engine does; Python's answer is an object of its own, which is one more.
//!
//! C and Python are asked as the benches ask them, with `benches/doors/count.c` in front of the C library's allocator.
//! `cargo xtask test benches` names the doors; on its own, this counts the engine's and says what it leaves out.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use slotwise_benches::doors::{self, Call, FUNCTIONS};
use slotwise_benches::host;
use slotwise_testkit::counting::{Counting, allocations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TIMES: u64 = 1000;

/// What the engine itself allocates for so many calls.
fn engine(call: Call) -> u64 {
    let tracker = host::tracker(FUNCTIONS).expect("the host is valid");
    let workload = host::workload(host::WORKLOAD).expect("the workload is valid");
    allocations(|| {
        for _ in 0..TIMES {
            match call {
                Call::Version => {
                    black_box(tracker.version());
                }
                Call::Fit => {
                    let _ = black_box(tracker.fit(&workload).expect("the workload is valid"));
                }
            }
        }
    })
}

/// The library that counts, compiled; `None` where that cannot be done, which is said.
fn counter(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("libcount.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(compiler);
    compile.args(["-std=c11", "-O2", "-shared", "-fPIC", "-o"]).arg(&library);
    compile.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("doors/count.c"));
    match compile.status() {
        Ok(status) if status.success() => Some(library),
        failed => {
            eprintln!("C and Python are not counted: {compile:?}: {failed:?}");
            None
        }
    }
}

#[test]
fn no_door_allocates_more_than_the_engine() {
    assert_eq!(engine(Call::Version), 0);
    assert!(engine(Call::Fit) >= TIMES, "nothing is counted");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let Some(counter) = counter(folder.path()) else { return };
    let prepare = |command: &mut Command| {
        // Python's own small objects come from the C library then, too.
        command.env("LD_PRELOAD", &counter).env("PYTHONMALLOC", "malloc");
    };
    for mut program in
        doors::programs(folder.path(), prepare).expect("the doors that are named can be opened")
    {
        let own_object = u64::from(program.name() == "Python");
        for (call, more) in [(Call::Version, 0), (Call::Fit, own_object)] {
            let mut ask = |times| {
                let answer = program.ask(call, times).expect("the door answers");
                answer.allocations.expect("the library that counts is loaded")
            };
            // What is made once is no matter of the hot path: what is made at the first call, and what the program itself
            // needs to read a line and to write its answer.
            ask(TIMES);
            let once = ask(TIMES);
            let counted = ask(2 * TIMES) - once;
            assert_eq!(counted, engine(call) + more * TIMES, "{}, {}", program.name(), call.name());
        }
    }
}
