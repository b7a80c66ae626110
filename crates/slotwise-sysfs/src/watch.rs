//! What changes on a machine, by the kernel's uevents or by comparing what is on the bus.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use slotwise::PciAddress;

use crate::events::{Events, Hints};
use crate::files::{Buffers, open_dir};
use crate::machine::{BUS, Machine};
use crate::parse::canonical_address;
use crate::{Attributes, DiscoverError, Discovery, Function, Sysfs};

/// One function that came, changed or went.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FunctionChange {
    /// It is new.
    Added(Box<Function>),
    /// Something that is read of it is not as before; this is how it is now.
    Changed(Box<Function>),
    /// It is gone.
    Removed(PciAddress),
}

/// Follows a machine: made by [`Sysfs::watch`].
///
/// An event is only a hint that something may have changed: what is reported is always the difference between two
/// readings. It makes the functions be read again that it names, and those that depend on them (a PF whose VF comes or
/// goes, for one). When the kernel had to drop events, all functions are.
///
/// The kernel sends no event for link states, negotiated speeds and what is set by hand (a MAC address, a NUMA node, a
/// driver override): such a change is reported when something else makes its function be read again, or by
/// [`Watch::rescan`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use slotwise_sysfs::{FunctionChange, Sysfs};
///
/// let mut watch = Sysfs::default().watch()?;
/// println!("{} functions", watch.discovery().functions.len());
/// loop {
///     for change in watch.wait(Duration::from_secs(60))? {
///         match change {
///             FunctionChange::Added(function) => println!("+ {}", function.address),
///             FunctionChange::Removed(address) => println!("- {address}"),
///             _ => {}
///         }
///     }
/// }
/// # Ok::<(), slotwise_sysfs::DiscoverError>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    sysfs: Sysfs,
    events: Option<Events>,
    machine: Machine,
    /// What was reported.
    present: Discovery,
    /// What may have changed since the machine was read.
    hints: Hints,
    /// What may be another in the machine, as it was read, than in what was reported.
    affected: BTreeSet<PciAddress>,
    /// Where there are no events: the functions on the bus, each with the number of its link.
    listing: BTreeMap<PciAddress, u64>,
    /// PFs that are looked at again until then, for the kernel says without an event how many VFs they have.
    unsettled: BTreeMap<PciAddress, Instant>,
    overflows: u64,
}

/// The kernel takes a second between the last event of a VF that goes and the new number of VFs.
const COUNT_DELAY: Duration = Duration::from_secs(3);
/// How often a PF is looked at in this time.
const COUNT_INTERVAL: Duration = Duration::from_millis(500);

impl Sysfs {
    /// Reads the machine, and follows it from there.
    ///
    /// Uevents are listened to where the root is the running kernel's sysfs and the kernel lets this process; else the
    /// entries of the bus are compared at the end of each wait.
    ///
    /// # Errors
    ///
    /// As [`Sysfs::discover`].
    pub fn watch(&self) -> Result<Watch, DiscoverError> {
        // The socket first, so that nothing is missed between reading and listening.
        Watch::new(self.clone(), Events::of(self.root()))
    }
}

impl Watch {
    fn new(sysfs: Sysfs, events: Option<Events>) -> Result<Watch, DiscoverError> {
        let listing = if events.is_none() { listing(&sysfs) } else { BTreeMap::new() };
        let mut machine = Machine::new(&sysfs.root, sysfs.attributes);
        machine.read_all().map_err(DiscoverError::Root)?;
        let present = sysfs.checked(machine.discovery())?;
        Ok(Watch {
            sysfs,
            events,
            machine,
            present,
            hints: Hints::default(),
            affected: BTreeSet::new(),
            listing,
            unsettled: BTreeMap::new(),
            overflows: 0,
        })
    }

    /// What the machine has, as far as it was reported.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.present
    }

    /// Whether the kernel's events are listened to.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.events.is_some()
    }

    /// How often events were lost, and everything was read again.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The socket that becomes readable with the first event, for a loop of one's own.
    #[must_use]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(Events::as_fd)
    }

    /// Waits for events, or for the time to pass, and gives what changed until then, ordered by address; often nothing.
    ///
    /// Without an event nothing is read at all. Where there are no events, the entries of one directory are compared,
    /// which tells what comes and goes, but no change inside a function.
    ///
    /// # Errors
    ///
    /// As [`Sysfs::discover`]; the watch stays as it was and can be asked again.
    pub fn wait(&mut self, timeout: Duration) -> Result<Vec<FunctionChange>, DiscoverError> {
        let interval = if self.unsettled.is_empty() { timeout } else { timeout.min(COUNT_INTERVAL) };
        match &mut self.events {
            Some(events) => {
                let known = self.hints.everything;
                events.collect(&mut self.hints, interval);
                self.overflows += u64::from(self.hints.everything && !known);
            }
            None => {
                std::thread::sleep(interval);
                self.compare_listing();
            }
        }
        self.hints.functions.extend(self.unsettled.keys());
        self.look()
    }

    /// Reads everything again, and gives what changed, ordered by address.
    ///
    /// # Errors
    ///
    /// As [`Watch::wait`].
    pub fn rescan(&mut self) -> Result<Vec<FunctionChange>, DiscoverError> {
        self.hints.everything = true;
        self.look()
    }

    /// Reads what may have changed, and gives what has.
    fn look(&mut self) -> Result<Vec<FunctionChange>, DiscoverError> {
        if !self.hints.is_empty() {
            self.affected.extend(self.machine.read_hinted(&self.hints).map_err(DiscoverError::Root)?);
            self.hints = Hints::default();
        }
        if self.affected.is_empty() {
            return Ok(Vec::new());
        }
        let warnings = self.machine.warnings();
        if self.sysfs.strict && !warnings.is_empty() {
            return Err(DiscoverError::Strict(warnings));
        }
        self.present.warnings = warnings;
        let affected = std::mem::take(&mut self.affected);
        if self.sysfs.attributes.contains(Attributes::SRIOV_NUMVFS) {
            self.settle(&affected);
        }
        let changes = affected.into_iter().filter_map(|address| self.change(address)).collect();
        apply(&changes, &mut self.present.functions);
        Ok(changes)
    }

    /// How a function differs from what was reported of it.
    fn change(&self, address: PciAddress) -> Option<FunctionChange> {
        match (self.present.function(address), self.machine.function(address)) {
            (None, None) => None,
            (Some(old), Some(new)) if *old == new => None,
            (Some(_), Some(new)) => Some(FunctionChange::Changed(Box::new(new))),
            (None, Some(new)) => Some(FunctionChange::Added(Box::new(new))),
            (Some(_), None) => Some(FunctionChange::Removed(address)),
        }
    }

    /// Notes the PFs that do not have the VFs that they say, and until when they are looked at again.
    fn settle(&mut self, affected: &BTreeSet<PciAddress>) {
        let now = Instant::now();
        for address in affected {
            let said = self.machine.function(*address).and_then(|function| function.sriov_numvfs);
            let is_settled = said.is_none_or(|said| usize::from(said) == self.machine.vf_count(*address));
            match self.unsettled.get(address) {
                Some(until) if is_settled || *until <= now => _ = self.unsettled.remove(address),
                None if !is_settled => _ = self.unsettled.insert(*address, now + COUNT_DELAY),
                _ => {}
            }
        }
    }

    /// Notes what came and went by the links on the bus.
    ///
    /// Each link has a number of its own, so that a device that was unplugged and plugged again is told from one that
    /// stayed.
    fn compare_listing(&mut self) {
        let now = listing(&self.sysfs);
        let differs = |(address, link): (&PciAddress, &u64), other: &BTreeMap<PciAddress, u64>| {
            (other.get(address) != Some(link)).then_some(*address)
        };
        self.hints.functions.extend(self.listing.iter().filter_map(|entry| differs(entry, &now)));
        self.hints.functions.extend(now.iter().filter_map(|entry| differs(entry, &self.listing)));
        self.listing = now;
    }
}

/// The functions on the bus, each with the number of its link; none where there is no bus.
fn listing(sysfs: &Sysfs) -> BTreeMap<PciAddress, u64> {
    let bus = open_dir(CWD, sysfs.root.join(BUS));
    bus.and_then(|bus| Buffers::new().inodes(&bus, canonical_address)).unwrap_or_default()
}

/// Brings the functions, which are ordered by address as the changes are, to how they are now.
fn apply(changes: &Vec<FunctionChange>, functions: &mut Vec<Function>) {
    let mut came = Vec::new();
    let mut went = BTreeSet::new();
    for change in changes {
        match change {
            FunctionChange::Added(function) => came.push(Function::clone(function)),
            FunctionChange::Changed(function) => {
                if let Ok(at) = functions.binary_search_by_key(&function.address, |f| f.address) {
                    functions[at] = Function::clone(function);
                }
            }
            FunctionChange::Removed(address) => _ = went.insert(*address),
        }
    }
    if !went.is_empty() {
        functions.retain(|function| !went.contains(&function.address));
    }
    if !came.is_empty() {
        functions.extend(came);
        functions.sort_by_key(|function| function.address);
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use proptest::prelude::*;

    use super::*;
    use crate::Attributes;
    use crate::testing::{FunctionSpec, Tree, vf_address};

    const PF: &str = "0000:01:00.0";
    const LONE: &str = "0000:00:02.0";

    fn shown(changes: &[FunctionChange]) -> Vec<String> {
        let show = |change: &FunctionChange| match change {
            FunctionChange::Added(function) => format!("+{}", function.address),
            FunctionChange::Changed(function) => format!("~{}", function.address),
            FunctionChange::Removed(address) => format!("-{address}"),
        };
        changes.iter().map(show).collect()
    }

    /// A watch of a tree, and the kernel's end of its socket.
    fn watch(tree: &Tree, attributes: Attributes) -> (Watch, UnixDatagram) {
        let (kernel, socket) = UnixDatagram::pair().expect("a pair of sockets");
        let sysfs = Sysfs::new(tree.root()).attributes(attributes);
        (Watch::new(sysfs, Some(Events::on(socket.into()))).expect("a machine"), kernel)
    }

    fn send(kernel: &UnixDatagram, action: &str, subsystem: &str, path: &str) {
        let event =
            format!("{action}@/{path}\0ACTION={action}\0DEVPATH=/{path}\0SUBSYSTEM={subsystem}\0SEQNUM=1\0");
        kernel.send(event.as_bytes()).expect("sent");
    }

    #[track_caller]
    fn waits(watch: &mut Watch) -> Vec<String> {
        shown(&watch.wait(Duration::ZERO).expect("a machine"))
    }

    #[test]
    fn an_event_makes_its_function_be_read_and_no_other() {
        let tree = Tree::new();
        tree.add(&FunctionSpec::new(LONE));
        tree.add_card(PF, 4);
        let (mut watch, kernel) = watch(&tree, Attributes::default());
        let path = |address: &str| tree.device_dir(address);
        // Whatever is read from here on shows in the NUMA node, of which there is no event.
        for function in watch.discovery().functions.clone() {
            tree.write(&format!("{}/numa_node", path(&function.address.to_string())), "1\n");
        }
        assert!(waits(&mut watch).is_empty(), "without an event nothing is read");
        send(&kernel, "add", "block", &format!("{}/nvme/nvme0", path(LONE)));
        assert!(waits(&mut watch).is_empty(), "nothing of a function is read of a block device");
        send(&kernel, "change", "net", &format!("{}/net/eth0", path(LONE)));
        assert_eq!(waits(&mut watch), [format!("~{LONE}")]);
        send(&kernel, "bind", "pci", &path("0000:01:00.2"));
        assert_eq!(waits(&mut watch), ["~0000:01:00.2"], "a VF that is bound says nothing new of its PF");
        // A VF that goes makes its PF be read; the other VFs have a new number at most, which is no file of theirs.
        let gone = path("0000:01:00.3");
        tree.delete(&format!("{}/virtfn2", path(PF)));
        tree.remove("0000:01:00.3");
        send(&kernel, "remove", "pci", &gone);
        assert_eq!(waits(&mut watch), [format!("~{PF}"), "-0000:01:00.3".into()]);
        assert_eq!(shown(&watch.rescan().expect("a machine")), ["~0000:01:00.1", "~0000:01:00.4"]);
        assert!(watch.rescan().expect("a machine").is_empty());
    }

    #[test]
    fn lost_events_make_everything_be_read() {
        let tree = Tree::new();
        tree.add(&FunctionSpec::new(LONE));
        let (mut watch, _kernel) = watch(&tree, Attributes::default());
        tree.add(&FunctionSpec::new("0000:00:04.0"));
        tree.write(&format!("{}/numa_node", tree.device_dir(LONE)), "1\n");
        watch.hints.everything = true;
        assert_eq!(waits(&mut watch), [format!("~{LONE}"), "+0000:00:04.0".into()]);
        // A socket that fails is as one that has lost events; a port that nobody listens at refuses.
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|other| other.local_addr());
        socket.connect(nobody.expect("a port")).expect("connected");
        socket.send(b"anybody?").expect("sent");
        watch.events = Some(Events::on(socket.into()));
        tree.remove(LONE);
        let changes = watch.wait(Duration::from_secs(5)).expect("a machine");
        assert_eq!((shown(&changes), watch.overflows()), (vec![format!("-{LONE}")], 1));
    }

    #[test]
    fn a_machine_that_cannot_be_read_loses_no_change() {
        let tree = Tree::new();
        tree.add(&FunctionSpec::new(LONE));
        let (mut watch, kernel) = watch(&tree, Attributes::default());
        watch.sysfs.strict = true;
        tree.write(&format!("{}/class", tree.device_dir(LONE)), "none\n");
        send(&kernel, "change", "pci", &tree.device_dir(LONE));
        assert!(matches!(watch.wait(Duration::ZERO), Err(DiscoverError::Strict(_))));
        assert!(matches!(watch.wait(Duration::ZERO), Err(DiscoverError::Strict(_))), "not forgotten");
        watch.sysfs.strict = false;
        assert_eq!(waits(&mut watch), [format!("~{LONE}")]);
        let (from, to) = (tree.root().join("bus"), tree.root().join("elsewhere"));
        std::fs::rename(&from, &to).expect("a rename");
        send(&kernel, "remove", "pci", &format!("devices/pci0000:00/{LONE}"));
        assert!(matches!(watch.wait(Duration::ZERO), Err(DiscoverError::Root(_))));
        std::fs::rename(&to, &from).expect("a rename");
        tree.remove(LONE);
        assert_eq!(waits(&mut watch), [format!("-{LONE}")]);
    }

    #[test]
    fn a_count_that_the_kernel_changes_late_is_looked_at_again() {
        let tree = Tree::new();
        tree.add_card(PF, 1);
        let (mut watch, kernel) = watch(&tree, Attributes::default() | Attributes::SRIOV_NUMVFS);
        let gone = tree.device_dir("0000:01:00.1");
        tree.delete(&format!("{}/virtfn0", tree.device_dir(PF)));
        tree.remove("0000:01:00.1");
        send(&kernel, "remove", "pci", &gone);
        assert_eq!(waits(&mut watch), ["-0000:01:00.1"]);
        assert!(waits(&mut watch).is_empty());
        tree.write(&format!("{}/sriov_numvfs", tree.device_dir(PF)), "0\n");
        assert_eq!(waits(&mut watch), [format!("~{PF}")]);
        tree.write(&format!("{}/numa_node", tree.device_dir(PF)), "1\n");
        assert!(waits(&mut watch).is_empty(), "settled");
    }

    #[test]
    fn a_tree_in_a_folder_has_no_events() {
        let tree = Tree::new();
        tree.add(&FunctionSpec::new(LONE));
        let mut watch = Sysfs::new(tree.root()).watch().expect("a machine");
        assert!(!watch.has_events() && watch.as_fd().is_none());
        tree.add(&FunctionSpec::new("0000:00:04.0"));
        tree.write(&format!("{}/numa_node", tree.device_dir(LONE)), "1\n");
        assert_eq!(waits(&mut watch), ["+0000:00:04.0"], "only what came is read");
        tree.remove("0000:00:04.0");
        tree.remove(LONE);
        tree.add(&FunctionSpec::new(LONE).numa_node(1));
        assert_eq!(
            waits(&mut watch),
            [format!("~{LONE}"), "-0000:00:04.0".into()],
            "unplugged and plugged again"
        );
        assert_eq!((watch.discovery().functions.len(), watch.overflows()), (1, 0));
    }

    /// Something that happens to the random machine.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Plug(u8),
        Unplug(u8),
        AddVf(u8, u16),
        RemoveVf(u8, u16),
        Rename(u8, u8),
        Serial(u8, bool),
        Group(u8, u16, u32),
        Vdpa(u8, u16, bool),
        Lost,
    }

    fn step() -> impl Strategy<Value = Step> {
        let (slot, vf) = (0u8..3, 0u16..3);
        prop_oneof![
            3 => slot.clone().prop_map(Step::Plug),
            1 => slot.clone().prop_map(Step::Unplug),
            4 => (slot.clone(), vf.clone()).prop_map(|(slot, vf)| Step::AddVf(slot, vf)),
            2 => (slot.clone(), vf.clone()).prop_map(|(slot, vf)| Step::RemoveVf(slot, vf)),
            2 => (slot.clone(), 0u8..3).prop_map(|(slot, name)| Step::Rename(slot, name)),
            1 => (slot.clone(), any::<bool>()).prop_map(|(slot, has)| Step::Serial(slot, has)),
            2 => (slot.clone(), 0u16..4, 0u32..3).prop_map(|(slot, vf, group)| Step::Group(slot, vf, group)),
            2 => (slot, vf, any::<bool>()).prop_map(|(slot, vf, has)| Step::Vdpa(slot, vf, has)),
            1 => Just(Step::Lost),
        ]
    }

    /// Does it as the kernel does, events included.
    fn take(step: Step, tree: &Tree, kernel: &UnixDatagram, watch: &mut Watch) {
        let pf = |slot: u8| format!("0000:{slot:02x}:00.0");
        let vf = |slot: u8, index: u16| vf_address(pf(slot).parse().expect("an address"), index).to_string();
        let is_there = |address: &str| tree.root().join(BUS).join(address).exists();
        let remove_vf = |slot, index| {
            let (name, dir) = (vf(slot, index), tree.device_dir(&vf(slot, index)));
            let child = format!("bus/vdpa/devices/vdpa-{slot}-{index}");
            if tree.root().join(&child).exists() {
                tree.delete(&child);
                send(kernel, "remove", "vdpa", &format!("{dir}/vdpa-{slot}-{index}"));
            }
            tree.delete(&format!("{}/virtfn{index}", tree.device_dir(&pf(slot))));
            tree.remove(&name);
            send(kernel, "remove", "pci", &dir);
        };
        match step {
            Step::Plug(slot) if !is_there(&pf(slot)) => {
                let spec = FunctionSpec::new(pf(slot)).sriov(8, 0, 0x1018).serial_number("S1");
                tree.add(&spec.netdev("eth0", "02:00:00:00:00:01").iommu_group(0));
                send(kernel, "add", "pci", &tree.device_dir(&pf(slot)));
            }
            Step::Unplug(slot) if is_there(&pf(slot)) => {
                for index in (0..3).filter(|index| is_there(&vf(slot, *index))).collect::<Vec<_>>() {
                    remove_vf(slot, index);
                }
                let dir = tree.device_dir(&pf(slot));
                tree.remove(&pf(slot));
                send(kernel, "remove", "pci", &dir);
            }
            Step::AddVf(slot, index) if is_there(&pf(slot)) && !is_there(&vf(slot, index)) => {
                let spec = FunctionSpec::new("").ids(0x15b3, 0x1018).serial_number("OWN").iommu_group(1);
                tree.add_vf(&pf(slot), index, &spec);
                send(kernel, "add", "pci", &tree.device_dir(&vf(slot, index)));
            }
            Step::RemoveVf(slot, index) if is_there(&vf(slot, index)) => remove_vf(slot, index),
            Step::Rename(slot, name) if is_there(&pf(slot)) => {
                let dir = tree.device_dir(&pf(slot));
                tree.delete(&format!("{dir}/net"));
                tree.write(&format!("{dir}/net/eth{name}/address"), "02:00:00:00:00:01\n");
                tree.write(&format!("{dir}/net/eth{name}/operstate"), "up\n");
                tree.write(&format!("{dir}/net/eth{name}/type"), "1\n");
                send(kernel, "move", "net", &format!("{dir}/net/eth{name}"));
            }
            Step::Serial(slot, has) if is_there(&pf(slot)) => {
                let dir = tree.device_dir(&pf(slot));
                let data = if has { crate::testing::vital_product_data("S2") } else { Vec::new() };
                tree.write(&format!("{dir}/vpd"), data);
                send(kernel, "change", "pci", &dir);
            }
            Step::Group(slot, index, group) => {
                let address = if index == 3 { pf(slot) } else { vf(slot, index) };
                if is_there(&address) {
                    let dir = tree.device_dir(&address);
                    tree.link(
                        &format!("{dir}/iommu_group"),
                        &format!("../../../kernel/iommu_groups/{group}"),
                    );
                    send(kernel, "change", "pci", &dir);
                }
            }
            Step::Vdpa(slot, index, has) if is_there(&vf(slot, index)) => {
                let (name, dir) = (format!("vdpa-{slot}-{index}"), tree.device_dir(&vf(slot, index)));
                match has {
                    true => tree.add_child(&vf(slot, index), "vdpa", &name),
                    false => tree.delete(&format!("bus/vdpa/devices/{name}")),
                }
                send(kernel, if has { "add" } else { "remove" }, "vdpa", &format!("{dir}/{name}"));
            }
            Step::Lost => watch.hints.everything = true,
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// What a watch has after its events is what a machine has that is read anew.
        #[test]
        fn following_gives_what_reading_gives(rounds in prop::collection::vec(prop::collection::vec(step(), 1..5), 1..6)) {
            let tree = Tree::new();
            let (mut watch, kernel) = watch(&tree, Attributes::ALL);
            for steps in rounds {
                let before = watch.discovery().clone();
                for step in steps {
                    take(step, &tree, &kernel, &mut watch);
                }
                let changes = watch.wait(Duration::ZERO).expect("a machine");
                let now = Sysfs::new(tree.root()).attributes(Attributes::ALL).discover().expect("a machine");
                prop_assert_eq!(watch.discovery(), &now);
                let named: BTreeSet<_> = changes.iter().map(|change| match change {
                    FunctionChange::Added(f) | FunctionChange::Changed(f) => f.address,
                    FunctionChange::Removed(address) => *address,
                }).collect();
                let all = before.functions.iter().chain(&now.functions).map(|f| f.address);
                let differ = all.filter(|at| before.function(*at) != now.function(*at)).collect();
                prop_assert_eq!(named, differ);
            }
        }
    }
}
