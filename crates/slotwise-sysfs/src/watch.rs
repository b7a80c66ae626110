//! What changes on a machine, by the kernel's uevents and by comparing what is on the bus.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::CWD;
use rustix::io::{Errno, Result};
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, netlink, sockopt};
use slotwise::PciAddress;

use crate::files::{Buffers, open_dir};
use crate::scan::{BUS, canonical_address};
use crate::{DiscoverError, Discovery, Function, Sysfs};

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
/// readings. Nothing is reported for a link state or a negotiated speed, of which the kernel sends no event, until
/// something else makes the machine be read again.
#[derive(Debug)]
pub struct Watch {
    sysfs: Sysfs,
    events: Option<OwnedFd>,
    present: Discovery,
    listing: BTreeMap<PciAddress, u64>,
    overflows: u64,
}

/// What the events since the last look say.
#[derive(Default)]
struct Seen {
    /// Whether some function itself may have changed, besides coming or going.
    any: bool,
}

/// The changes of this time make up one answer: a VF is added, linked to its PF and bound in steps of microseconds.
const SETTLE: Duration = Duration::from_millis(50);
/// A machine that never rests is looked at this often all the same.
const MOST_SETTLING: Duration = Duration::from_millis(500);
/// Room for the uevents of a few thousand VFs that come at once.
const RECEIVE_BYTES: usize = 8 << 20;
/// `SYSFS_MAGIC` of the kernel's `include/uapi/linux/magic.h`.
const SYSFS_MAGIC: u64 = 0x6265_6572;

impl Sysfs {
    /// Reads the machine, and follows it from there.
    ///
    /// Uevents are listened to where the root is the running kernel's sysfs and the kernel lets this process; else the
    /// bus is compared at the end of each wait.
    ///
    /// # Errors
    ///
    /// As [`Sysfs::discover`].
    pub fn watch(&self) -> std::result::Result<Watch, DiscoverError> {
        // The socket first, so that nothing is missed between reading and listening.
        let events = is_sysfs(self).then(listen).and_then(Result::ok);
        Watch::new(self.clone(), events)
    }
}

impl Watch {
    fn new(sysfs: Sysfs, events: Option<OwnedFd>) -> std::result::Result<Watch, DiscoverError> {
        let listing = listing(&sysfs).unwrap_or_default();
        let present = sysfs.discover()?;
        Ok(Watch { sysfs, events, present, listing, overflows: 0 })
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
        self.events.as_ref().map(OwnedFd::as_fd)
    }

    /// Waits for events, or for the time to pass, and gives what changed until then, ordered by address; often nothing.
    ///
    /// Without an event no function is looked at: the entries of one directory are compared. Where that or an event
    /// tells of a change, all functions are read.
    ///
    /// # Errors
    ///
    /// As [`Sysfs::discover`]; the watch stays as it was and can be asked again.
    pub fn wait(&mut self, timeout: Duration) -> std::result::Result<Vec<FunctionChange>, DiscoverError> {
        let seen = self.receive(timeout);
        // Links come and go with their devices, each with a number of its own, so that a device that was unplugged and
        // plugged again is told from one that stayed.
        let listing = listing(&self.sysfs).unwrap_or_default();
        if !seen.any && listing == self.listing {
            return Ok(Vec::new());
        }
        let now = self.sysfs.discover()?;
        let changes = difference(&self.present, &now);
        (self.present, self.listing) = (now, listing);
        Ok(changes)
    }

    fn receive(&mut self, timeout: Duration) -> Seen {
        let mut seen = Seen::default();
        let Some(socket) = &self.events else {
            std::thread::sleep(timeout);
            return seen;
        };
        let mut buffer = vec![0; 16 << 10];
        let mut wait = timeout;
        let mut first: Option<Instant> = None;
        loop {
            let is_ready = ready(socket.as_fd(), wait);
            if !is_ready || first.is_some_and(|first| first.elapsed() > MOST_SETTLING) {
                return seen;
            }
            match net::recv(socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((_, len)) => seen.any |= concerns_functions(&buffer[..len.min(buffer.len())]),
                // The kernel has dropped events for want of room: any function may have changed.
                Err(Errno::NOBUFS) => {
                    self.overflows += 1;
                    seen.any = true;
                }
                Err(_) => {}
            }
            if seen.any {
                first.get_or_insert_with(Instant::now);
                wait = SETTLE;
            }
        }
    }
}

/// Whether a function may have changed by what this event tells: one of a function, or of what is read below it.
fn concerns_functions(event: &[u8]) -> bool {
    const SUBSYSTEMS: &[&[u8]] = &[b"pci", b"net", b"infiniband", b"vdpa", b"auxiliary", b"virtio"];
    let mut parts = event.split(|byte| *byte == 0);
    parts.any(|part| part.strip_prefix(b"SUBSYSTEM=").is_some_and(|name| SUBSYSTEMS.contains(&name)))
}

fn ready(socket: BorrowedFd<'_>, timeout: Duration) -> bool {
    let timeout =
        Timespec { tv_sec: timeout.as_secs().min(1 << 31) as _, tv_nsec: timeout.subsec_nanos().into() };
    let mut fds = [PollFd::new(&socket, PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

fn listen() -> Result<OwnedFd> {
    let socket = net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::KOBJECT_UEVENT),
    )?;
    // Beyond the system's limit only root may go; a smaller room overflows earlier, which is taken care of.
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BYTES).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BYTES)?;
    }
    // Group 1 has the kernel's own events, group 2 what udev makes of them.
    net::bind(&socket, &netlink::SocketAddrNetlink::new(0, 1))?;
    Ok(socket)
}

fn is_sysfs(sysfs: &Sysfs) -> bool {
    let root = open_dir(CWD, sysfs.root());
    root.and_then(rustix::fs::fstatfs).is_ok_and(|stat| stat.f_type as u64 == SYSFS_MAGIC)
}

/// The functions on the bus, each with the number of its link.
fn listing(sysfs: &Sysfs) -> Result<BTreeMap<PciAddress, u64>> {
    let bus = open_dir(CWD, sysfs.root().join(BUS))?;
    Buffers::new().inodes(&bus, canonical_address)
}

fn difference(before: &Discovery, now: &Discovery) -> Vec<FunctionChange> {
    let addresses: BTreeSet<PciAddress> =
        before.functions.iter().chain(&now.functions).map(|function| function.address).collect();
    let change = |address| match (before.function(address), now.function(address)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(_), Some(new)) => Some(FunctionChange::Changed(Box::new(new.clone()))),
        (None, Some(new)) => Some(FunctionChange::Added(Box::new(new.clone()))),
        (_, None) => Some(FunctionChange::Removed(address)),
    };
    addresses.into_iter().filter_map(change).collect()
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{FunctionSpec, Tree};

    fn shown(changes: &[FunctionChange]) -> Vec<String> {
        let show = |change: &FunctionChange| match change {
            FunctionChange::Added(function) => format!("+{}", function.address),
            FunctionChange::Changed(function) => format!("~{}", function.address),
            FunctionChange::Removed(address) => format!("-{address}"),
        };
        changes.iter().map(show).collect()
    }

    #[test]
    fn what_comes_changes_and_goes() {
        let tree = Tree::new();
        tree.add(&FunctionSpec::new("0000:00:02.0"));
        tree.add(&FunctionSpec::new("0000:00:03.0"));
        let (sender, socket) = std::os::unix::net::UnixDatagram::pair().expect("a pair of sockets");
        let mut watch = Watch::new(Sysfs::new(tree.root()), Some(socket.into())).expect("a machine");
        let mut wait = || shown(&watch.wait(Duration::ZERO).expect("a machine"));
        assert!(wait().is_empty());
        tree.remove("0000:00:03.0");
        tree.add(&FunctionSpec::new("0000:00:04.0"));
        assert_eq!(wait(), ["-0000:00:03.0", "+0000:00:04.0"]);
        // A change inside a function is seen with an event only, and not with one of something else.
        tree.write(&format!("{}/numa_node", tree.device_dir("0000:00:02.0")), "1\n");
        assert!(wait().is_empty());
        sender.send(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0").expect("sent");
        assert!(wait().is_empty());
        sender.send(b"bind@/devices/x\0ACTION=bind\0SUBSYSTEM=pci\0").expect("sent");
        assert_eq!(wait(), ["~0000:00:02.0"]);
        sender.send(b"bind@/devices/x\0ACTION=bind\0SUBSYSTEM=pci\0").expect("sent");
        assert!(wait().is_empty(), "nothing is different");
    }

    #[test]
    fn a_tree_in_a_folder_has_no_events() {
        let tree = Tree::new();
        let mut watch = Sysfs::new(tree.root()).watch().expect("a machine");
        assert!(!watch.has_events() && watch.as_fd().is_none());
        tree.add(&FunctionSpec::new("0000:00:04.0"));
        assert_eq!(shown(&watch.wait(Duration::ZERO).expect("a machine")), ["+0000:00:04.0"]);
        assert_eq!((watch.discovery().functions.len(), watch.overflows()), (1, 0));
    }
}
