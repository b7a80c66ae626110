//! Discovery opens the files that are asked for, to read them, and does nothing else to a file: as strace saw it.

use std::collections::BTreeSet;
use std::process::Command;

use slotwise_sysfs::testing::{FunctionSpec, Tree};
use slotwise_sysfs::{Attributes, Sysfs};

/// What the traced process is told.
const ROOT: &str = "SLOTWISE_TRACED_ROOT";
const ATTRIBUTES: &str = "SLOTWISE_TRACED_ATTRIBUTES";

/// No test by itself: what runs under strace, in a process of its own.
#[test]
fn traced() {
    let (Some(root), Ok(name)) = (std::env::var_os(ROOT), std::env::var(ATTRIBUTES)) else { return };
    let attributes = Attributes::named(&name).unwrap_or(Attributes::ALL);
    let found = Sysfs::new(root).attributes(attributes).discover().expect("a machine");
    println!("found {} functions", found.functions.len());
}

/// The calls of one discovery of the tree that name a file; `None` where strace cannot trace.
fn calls(tree: &Tree, attributes: &str) -> Option<Vec<String>> {
    // Beside what is listed, and gone with the tree.
    let trace = tree.root().join("trace").display().to_string();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "4096", "-e", "trace=%file", "-o", &trace]);
    strace.arg(std::env::current_exe().expect("this program")).args(["--exact", "traced", "--nocapture"]);
    let output = strace.env(ROOT, tree.root()).env(ATTRIBUTES, attributes).output();
    let Ok(output) = output.inspect_err(|error| println!("skipped: strace cannot be started: {error}"))
    else {
        return None;
    };
    if !output.status.success() {
        println!("skipped: strace does not work here: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("found 6 functions"), "{shown}");
    let text = std::fs::read_to_string(trace).expect("the trace");
    // What comes before the root is opened is the program's own start, in one thread all along.
    let root = format!("\"{}\"", tree.root().display());
    let mut lines = text.lines().skip_while(|line| !line.contains(&root));
    let first = lines.next().unwrap_or_else(|| panic!("the root was not opened: {text}"));
    let thread = first.split(' ').next().unwrap_or_default();
    let own = lines.filter(|line| line.starts_with(thread) && line.contains('('));
    Some(std::iter::once(first).chain(own).map(str::to_owned).collect())
}

fn machine() -> Tree {
    let tree = Tree::new();
    tree.add(&FunctionSpec::new("0000:00:02.0").numa_node(1));
    tree.add_card("0000:01:00.0", 4);
    tree
}

/// The last parts of the paths that were opened for reading, but for directories.
#[track_caller]
fn opened(calls: &[String]) -> BTreeSet<&str> {
    let mut files = BTreeSet::new();
    for call in calls.iter().filter(|call| call.contains("open")) {
        assert!(call.contains("O_RDONLY"), "{call}");
        if !call.contains("O_DIRECTORY") {
            files.extend(call.split('"').nth(1).and_then(|path| path.rsplit('/').next()));
        }
    }
    files
}

#[test]
fn everything_is_only_read() {
    let Some(calls) = calls(&machine(), "every") else { return };
    for call in &calls {
        let name = call.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').split('(').next();
        let reads = ["open", "openat", "readlink", "readlinkat", "newfstatat", "statx", "stat", "lstat"];
        assert!(name.is_some_and(|name| reads.contains(&name)), "{call}");
        for flag in ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"] {
            assert!(!call.contains(flag), "{call}");
        }
    }
    assert!(opened(&calls).is_superset(&BTreeSet::from(["vendor", "revision", "operstate", "vpd"])));
}

#[test]
fn only_what_is_asked_for_is_opened() {
    let Some(calls) = calls(&machine(), "revision") else { return };
    let mut expect = BTreeSet::from(["vendor", "device", "class", "numa_node", "sriov_totalvfs", "revision"]);
    let files = opened(&calls);
    expect.retain(|name| !files.contains(name));
    assert!(expect.is_empty(), "not opened: {expect:?}");
    let named: Vec<_> = calls.iter().filter(|call| call.contains("openat")).collect();
    for other in ["net", "driver", "vpd", "local_cpulist", "subsystem_vendor", "iommu_group", "virtfn0"] {
        assert!(!named.iter().any(|call| call.contains(&format!("\"{other}\""))), "{other}");
    }
    // Each file of each of the six functions once.
    for (name, times) in [("vendor", 6), ("numa_node", 6), ("revision", 6), ("sriov_totalvfs", 2)] {
        let count = named.iter().filter(|call| call.contains(&format!("\"{name}\""))).count();
        assert_eq!(count, times, "{name}");
    }
}
