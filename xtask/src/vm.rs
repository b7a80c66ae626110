//! `cargo xtask vm`: discovery on a real kernel, in a machine that QEMU makes up.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::counts::Counts;
use crate::{sh, toolchain};

/// The guest: a static `slotwise` needs no library there.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Programs of this machine, and the Debian packages they are in.
const PROGRAMS: &[(&str, &str)] = &[("qemu-system-x86_64", "qemu-system-x86"), ("lspci", "pciutils")];

/// The package that depends on the kernel of the day.
const KERNEL: &str = "linux-image-amd64";

/// The drivers that the guest loads; what they need comes along.
const MODULES: &[&str] = &["nvme", "e1000e"];

/// Where the modules and what they need are in the kernel's package.
const FOLDERS: &[&str] = &[
    "arch/x86/crypto",
    "block",
    "crypto",
    "drivers/net/ethernet/intel/e1000e",
    "drivers/nvme",
    "drivers/pps",
    "drivers/ptp",
    "lib",
    "net/core",
];

/// A guest takes less than a minute; one that hangs is ended after this time.
const SECONDS: &str = "300";

/// Two NUMA nodes, each with a host bridge and root ports; an IOMMU that gives every function a group.
const MACHINE: &[&str] = &[
    "-machine",
    "q35",
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "768",
    "-display",
    "none",
    "-no-reboot",
    "-nodefaults",
    "-serial",
    "stdio",
    "-object",
    "memory-backend-ram,id=m0,size=384M",
    "-object",
    "memory-backend-ram,id=m1,size=384M",
    "-numa",
    "node,nodeid=0,cpus=0,memdev=m0",
    "-numa",
    "node,nodeid=1,cpus=1,memdev=m1",
    "-device",
    "intel-iommu",
    "-device",
    "pxb-pcie,id=node0,bus_nr=32,numa_node=0,bus=pcie.0",
    "-device",
    "pxb-pcie,id=node1,bus_nr=64,numa_node=1,bus=pcie.0",
    "-device",
    "pcie-root-port,id=port0,bus=node0,chassis=1,slot=1",
    "-device",
    "pcie-root-port,id=port1,bus=node1,chassis=2,slot=2",
    "-device",
    "pcie-root-port,id=port2,bus=node1,chassis=3,slot=3",
    "-device",
    "nvme-subsys,id=subsystem0",
    "-device",
    "nvme,serial=first,subsys=subsystem0,bus=port0,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,\
     max_ioqpairs=20,msix_qsize=20",
    "-device",
    "nvme,serial=second,bus=port1",
    "-netdev",
    "hubport,id=hub,hubid=0",
    "-device",
    "e1000e,bus=port2,netdev=hub,romfile=",
    "-device",
    "pcie-root-port,id=port3,bus=pcie.0,chassis=4,slot=4",
    "-device",
    "pci-testdev,bus=port3,acpi-index=7",
];

/// `cargo xtask vm`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::no_arguments(arguments)?;
    toolchain::ensure()?;
    let counts = check()?.map_err(anyhow::Error::msg)?;
    if counts.failed > 0 {
        bail!("{} of the checks on a real kernel failed", counts.failed);
    }
    Ok(())
}

/// Boots the guest and counts its checks; the inner error says why that cannot be done here.
pub(crate) fn check() -> Result<Result<Counts, String>> {
    if let Some(reason) = ensure_parts()? {
        return Ok(Err(reason));
    }
    // Without what is for policies: the guest has none, and their compiler would be built for it.
    let build = ["build", "--package", "slotwise-cli", "--no-default-features", "--target", TARGET];
    sh::run(&mut sh::cargo(build))?;
    let initramfs = initramfs()?;
    let mut counts = Counts::default();
    let mut is_done = false;
    let mut guest = sh::program("timeout");
    guest.args(["--kill-after=5", SECONDS, "qemu-system-x86_64"]).args(MACHINE);
    guest.arg("-kernel").arg(folder().join("vmlinuz")).arg("-initrd").arg(initramfs);
    guest.args(["-append", "console=ttyS0 quiet panic=-1 intel_iommu=on"]);
    let ended = sh::tee(&mut guest, |line| {
        counts.passed += u64::from(line.starts_with("PASS "));
        counts.failed += u64::from(line.starts_with("FAIL "));
        is_done |= line == "DONE";
    })?;
    if !is_done || !ended {
        println!("FAIL the guest did not come to its end within {SECONDS} seconds");
        counts.failed += 1;
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    Ok(Ok(counts))
}

/// Where everything is kept between runs.
fn folder() -> PathBuf {
    sh::target_dir().join("vm")
}

/// Makes sure of QEMU, a kernel and the programs of the guest; gives the reason if that cannot be done here.
fn ensure_parts() -> Result<Option<String>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Some("the guest runs programs of x86-64 Linux, which this machine does not".into()));
    }
    let is_here =
        |program: &str| sh::succeeds(sh::program("sh").args(["-c", &format!("command -v {program}")]));
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_here(program)).map(|(_, p)| *p).collect();
    let has_guest =
        ["vmlinuz", "busybox", "modules/complete"].iter().all(|part| folder().join(part).exists());
    if missing.is_empty() && has_guest {
        return Ok(None);
    }
    if !is_here("apt-get") {
        return Ok(Some(format!(
            "{} and Debian's kernel are needed, and there is no apt-get",
            missing.join(", ")
        )));
    }
    let is_root = sh::output(sh::program("id").arg("-u"))?.trim() == "0";
    if !missing.is_empty() && !is_root {
        return Ok(Some(format!(
            "only root can install what is missing: apt-get install {}",
            missing.join(" ")
        )));
    }
    if is_root && let Err(error) = sh::run(&mut apt(&["update", "-qq"])) {
        println!("{error:#}: going on with the lists of packages that are here");
    }
    if !missing.is_empty() {
        let mut install = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
        if let Err(error) = sh::run(install.args(&missing)) {
            return Ok(Some(format!("{error:#}")));
        }
    }
    if has_guest {
        return Ok(None);
    }
    let Some(kernel) = kernel_package() else {
        return Ok(Some(format!("apt knows no package {KERNEL} that depends on a kernel")));
    };
    for package in [kernel.as_str(), "busybox-static"] {
        if let Err(error) = download(package) {
            return Ok(Some(format!("{error:#}")));
        }
    }
    unpack_modules()?;
    Ok(None)
}

fn apt(arguments: &[&str]) -> std::process::Command {
    let mut apt = sh::program("apt-get");
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// The kernel that [`KERNEL`] depends on.
fn kernel_package() -> Option<String> {
    let text = sh::output(sh::program("apt-cache").args(["depends", "--important", KERNEL])).ok()?;
    text.split_whitespace()
        .find(|word| word.starts_with("linux-image-") && *word != KERNEL)
        .map(str::to_owned)
}

/// Downloads a package and unpacks what the guest needs of it.
fn download(package: &str) -> Result<()> {
    let unpacked = folder().join("unpacked");
    std::fs::create_dir_all(&unpacked)?;
    sh::run(apt(&["download", "-qq", package]).current_dir(folder()))?;
    let archive = entry(&folder(), |name| name.starts_with(package) && name.ends_with(".deb"))?;
    let mut wanted = vec!["*/vmlinuz-*".to_owned(), "*/bin/busybox".to_owned(), "*/modules.*".to_owned()];
    wanted.extend(FOLDERS.iter().map(|folder| format!("*/kernel/{folder}/*")));
    // A kernel's package holds ten times what is needed. It is a pipe, for dpkg-deb by itself knows no selection.
    let quoted: Vec<_> = wanted.iter().map(|pattern| format!("'{pattern}'")).collect();
    let script = format!(
        "dpkg-deb --fsys-tarfile \"$1\" | tar --extract --directory \"$2\" --wildcards {} 2>/dev/null || true",
        quoted.join(" ")
    );
    sh::output(sh::program("sh").args(["-c", &script, "sh"]).arg(&archive).arg(&unpacked))?;
    std::fs::remove_file(&archive)?;
    Ok(())
}

/// Puts the kernel, busybox and the modules with what they need to where the guest is made from.
fn unpack_modules() -> Result<()> {
    let unpacked = folder().join("unpacked");
    let busybox = ["usr/bin/busybox", "bin/busybox"].iter().map(|path| unpacked.join(path));
    let busybox = busybox.into_iter().find(|path| path.is_file()).context("busybox-static has no busybox")?;
    std::fs::copy(&busybox, folder().join("busybox"))?;
    let busybox = folder().join("busybox");
    let kernel = entry(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    std::fs::copy(&kernel, folder().join("vmlinuz"))?;

    // Debian has moved /lib into /usr in the course of time, and compresses modules since.
    let root = ["usr", "."].iter().map(|prefix| unpacked.join(prefix));
    let root = root.into_iter().find(|root| root.join("lib/modules").is_dir()).context("no modules")?;
    let version = entry(&root.join("lib/modules"), |_| true)?;
    sh::output(
        sh::program("sh")
            .args(["-c", "find \"$1\" -name '*.ko.xz' -exec \"$2\" unxz {} +", "sh"])
            .arg(&version)
            .arg(&busybox),
    )?;
    let number = version.file_name().context("a version")?;
    sh::output(sh::program(&busybox).args(["depmod", "-b"]).arg(&root).arg(number))?;
    let dependencies = std::fs::read_to_string(version.join("modules.dep"))?;
    let target = folder().join("modules");
    for module in MODULES {
        let line = dependencies.lines().find(|line| {
            line.split_once(':').is_some_and(|(path, _)| path.ends_with(&format!("/{module}.ko")))
        });
        let line = line.with_context(|| format!("the kernel's package has no module {module}"))?;
        for path in line.split_whitespace().map(|path| path.trim_end_matches(':')) {
            let to = target.join("lib/modules").join(number).join(path);
            std::fs::create_dir_all(to.parent().context("a folder")?)?;
            std::fs::copy(version.join(path), to)?;
        }
    }
    sh::output(sh::program(&busybox).args(["depmod", "-b"]).arg(&target).arg(number))?;
    std::fs::remove_dir_all(&unpacked)?;
    // Written last: without it everything is made anew.
    std::fs::write(target.join("complete"), "")?;
    Ok(())
}

/// The one entry of a folder with such a name.
fn entry(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_wanted))
        .collect();
    found.sort();
    found.pop().with_context(|| format!("{} has not what is needed", folder.display()))
}

/// Packs the first file system of the guest: its first process, busybox, `slotwise`, and `lspci` with its libraries.
fn initramfs() -> Result<PathBuf> {
    let root = folder().join("initramfs");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    put(&sh::root().join("tests/vm/init"), &root.join("init"))?;
    put(&folder().join("busybox"), &root.join("bin/busybox"))?;
    let slotwise = sh::target_dir().join(TARGET).join("debug/slotwise");
    put(&slotwise, &root.join("bin/slotwise"))?;
    // The names of functions are for a debugger, and most of the file.
    let _ = sh::succeeds(sh::program("strip").arg(root.join("bin/slotwise")));
    let lspci = sh::output(sh::program("sh").args(["-c", "command -v lspci"]))?;
    put(Path::new(lspci.trim()), &root.join("bin/lspci"))?;
    let libraries = sh::output(sh::program("ldd").arg(lspci.trim()))?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        put(Path::new(library), &root.join(library.trim_start_matches('/')))?;
    }
    let packed = folder().join("initramfs.cpio");
    let script = "cp -a \"$1/lib\" . && find . | \"$2\" cpio -o -H newc > \"$3\"";
    let mut pack = sh::program("sh");
    pack.args(["-c", script, "sh"]).arg(folder().join("modules")).arg(folder().join("busybox")).arg(&packed);
    sh::output(pack.current_dir(&root))?;
    Ok(packed)
}

fn put(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to.parent().context("a file in a folder")?)?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
