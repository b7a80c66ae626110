//! What discovery costs, over growing machines, in one run: against opening, reading and closing the same files
//! plainly, and against `lspci`, process against process. `cargo xtask compare discovery` runs it.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slotwise_sysfs::testing::{FunctionSpec, Tree};
use slotwise_sysfs::{Attributes, Sysfs};

/// The sizes of the machines, in functions; a card has 64.
const SIZES: [usize; 3] = [256, 1024, 4096];
const CARD: usize = 64;
const ROUNDS: usize = 15;

/// What `lspci -Dn` reads of each function besides the ids.
const AS_LSPCI: Attributes =
    Attributes::REVISION.union(Attributes::SUBSYSTEM_DEVICE).union(Attributes::SUBSYSTEM_VENDOR);

/// A thing to be measured, and its name.
type Work<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn main() {
    // Started anew as a process of its own, for the comparison with another program.
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, root] = arguments.as_slice()
        && child == "--list"
    {
        let found = Sysfs::new(root).attributes(AS_LSPCI).discover().expect("a machine");
        for f in &found.functions {
            println!("{} {:06x}: {:04x}:{:04x}", f.address, f.class.unwrap_or(0), f.vendor_id, f.product_id);
        }
        return;
    }
    println!(
        "Medians of {ROUNDS} rounds, in which everything takes its turn; ratios to the plain reads of the same files."
    );
    println!("{:>9}  {:<44} {:>10} {:>7}", "functions", "", "time", "ratio");
    let has_lspci = Command::new("lspci").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has_lspci {
        println!("(no lspci here: apt-get install pciutils)");
    }
    for functions in SIZES {
        measure(functions, has_lspci);
    }
}

fn measure(functions: usize, has_lspci: bool) {
    let (tree, addresses) = machine(functions);
    let bus = tree.root().join("bus/pci/devices");
    let ids = Sysfs::new(tree.root()).attributes(Attributes::NONE);
    let default = Sysfs::new(tree.root());
    let own = std::env::current_exe().expect("this program");
    let path = format!("sysfs.path={}", tree.root().join("bus/pci").display());
    let mut watch = default.watch().expect("a machine");
    let one = addresses[functions / 2].parse().expect("an address");
    // What is measured comes right behind its floor.
    let mut works: Vec<Work<'_>> = vec![
        ("plain reads of what ids take", Box::new(|| addresses.iter().for_each(|a| read_ids(&bus.join(a))))),
        ("ids", Box::new(|| _ = black_box(ids.discover().expect("a machine")))),
        (
            "plain reads of the default attributes",
            Box::new(|| addresses.iter().for_each(|a| read_all(&bus.join(a)))),
        ),
        ("default attributes", Box::new(|| _ = black_box(default.discover().expect("a machine")))),
    ];
    if has_lspci {
        let list = |command: &mut Command| {
            let output = command.stderr(Stdio::null()).output().expect("a program that starts");
            assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), functions);
        };
        works.push(("lspci -Dn", Box::new(move || list(Command::new("lspci").args(["-O", &path, "-Dn"])))));
        let root = tree.root().to_owned();
        let own = move || list(Command::new(&own).arg("--list").arg(&root));
        works.push(("the same files by slotwise, as a process", Box::new(own)));
    }
    works.push((
        "one VF and its PF again",
        Box::new(|| _ = black_box(default.function(one).expect("a machine"))),
    ));
    works.push((
        "a watch of a copy, nothing changed",
        Box::new(move || assert!(watch.wait(Duration::ZERO).expect("a machine").is_empty())),
    ));
    let mut times = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for ((_, work), times) in works.iter_mut().zip(&mut times) {
            let start = Instant::now();
            work();
            times.push(start.elapsed());
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_unstable();
            times[ROUNDS / 2].as_secs_f64()
        })
        .collect();
    for (i, (name, _)) in works.iter().enumerate() {
        let is_compared =
            matches!(*name, "ids" | "default attributes" | "the same files by slotwise, as a process");
        let ratio = if is_compared { format!("×{:.2}", medians[i] / medians[i - 1]) } else { String::new() };
        println!("{functions:>9}  {name:<44} {:>7.3} ms {ratio:>7}", medians[i] * 1e3);
    }
}

/// Cards of one PF and 63 VFs each, behind a root port each.
fn machine(functions: usize) -> (Tree, Vec<String>) {
    let tree = Tree::new();
    let mut addresses = Vec::new();
    for card in 1..=functions / CARD {
        let pf = format!("0000:{card:02x}:00.0");
        let common =
            FunctionSpec::new(&*pf).file("config", [0; 64]).behind(&["0000:00:01.0"]).driver("mlx5_core");
        let own = common.clone().ids(0x15b3, 0x1017).iommu_group(1).sriov(63, 63, 0x1018);
        tree.add(&own.netdev(&format!("ens{card}"), "0c:42:a1:00:00:01").serial_number("MT2042X00001"));
        addresses.push(pf.clone());
        for index in 0..63 {
            let vf = common.clone().ids(0x15b3, 0x1018).iommu_group(2);
            let vf = vf.netdev(&format!("ens{card}v{index}"), "0c:42:a1:00:01:00");
            addresses.push(tree.add_vf(&pf, index, &vf).to_string());
        }
    }
    (tree, addresses)
}

fn read(path: &Path) {
    let mut buffer = [0; 4096];
    if let Ok(mut file) = File::open(path) {
        _ = black_box(file.read(&mut buffer));
    }
}

/// What tells a function's ids, type and node.
fn read_ids(dir: &Path) {
    for name in ["vendor", "device", "class", "numa_node"] {
        read(&dir.join(name));
    }
    if fs::read_link(dir.join("physfn")).is_err() {
        read(&dir.join("sriov_totalvfs"));
    }
}

/// And what the default attributes take.
fn read_all(dir: &Path) {
    read_ids(dir);
    for name in ["driver", "iommu_group"] {
        _ = black_box(fs::read_link(dir.join(name)));
    }
    let netdevs = fs::read_dir(dir.join("net")).into_iter().flatten().flatten();
    let netdevs: Vec<_> = netdevs.map(|entry| entry.path()).collect();
    read(&dir.join("sriov_vf_device"));
    if fs::symlink_metadata(dir.join("physfn")).is_err() {
        read(&dir.join("vpd"));
        netdevs.iter().for_each(|netdev| read(&netdev.join("address")));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("virtfn") {
                _ = black_box(fs::read_link(entry.path()));
            }
        }
    }
}
