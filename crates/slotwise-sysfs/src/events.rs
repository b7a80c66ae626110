//! The kernel's uevents: the socket they come from, and what they say may have changed.
//!
//! Source: `lib/kobject_uevent.c` of the kernel.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::CWD;
use rustix::io::{Errno, Result};
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, netlink, sockopt};
use slotwise::PciAddress;

use crate::files::open_dir;
use crate::parse::canonical_address;

/// The changes of this time make up one answer: a VF is added, linked to its PF and bound in steps of microseconds.
const SETTLE: Duration = Duration::from_millis(50);
/// A machine that never rests is looked at this often all the same.
const MOST_SETTLING: Duration = Duration::from_millis(500);
/// Room for the uevents of a few thousand VFs that come at once.
const RECEIVE_BYTES: usize = 8 << 20;
/// More than the kernel puts into one event: a path and 2 KiB of values.
const MOST_EVENT_BYTES: usize = 16 << 10;
/// `SYSFS_MAGIC` of the kernel's `include/uapi/linux/magic.h`.
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// What may have changed since the machine was read last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Hints {
    /// Anything, because events were lost.
    pub(crate) everything: bool,
    /// These functions, or what is below them.
    pub(crate) functions: BTreeSet<PciAddress>,
    /// The devices of these names on the bus `vdpa`.
    pub(crate) vdpa: BTreeSet<String>,
    /// The devices of these names on the bus `auxiliary`.
    pub(crate) auxiliary: BTreeSet<String>,
}

impl Hints {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Hints::default()
    }

    /// Takes in one event; one that is about nothing that is read of a function says nothing.
    pub(crate) fn note(&mut self, event: &[u8]) {
        let value = |key: &str| {
            let mut parts = event.split(|byte| *byte == 0);
            parts.find_map(|part| part.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
        };
        let subsystem = value("SUBSYSTEM").unwrap_or_default();
        let names = match subsystem {
            b"vdpa" => Some(&mut self.vdpa),
            b"auxiliary" => Some(&mut self.auxiliary),
            b"pci" | b"net" | b"infiniband" | b"virtio" => None,
            _ => return,
        };
        // A device that was renamed has its old path, too.
        let paths: Vec<_> =
            ["DEVPATH", "DEVPATH_OLD"].into_iter().filter_map(value).map(String::from_utf8_lossy).collect();
        if let Some(names) = names {
            names.extend(paths.iter().filter_map(|path| path.rsplit('/').next()).map(str::to_owned));
        }
        // The last address of a path is the function, those before it are the bridges that it is behind.
        self.functions.extend(paths.iter().filter_map(|path| path.rsplit('/').find_map(canonical_address)));
    }
}

/// The socket of the kernel's uevents.
#[derive(Debug)]
pub(crate) struct Events {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Events {
    /// Listens, where the root is the running kernel's sysfs and this process is told of all events.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let is_sysfs = open_dir(CWD, root)
            .and_then(rustix::fs::fstatfs)
            .is_ok_and(|stat| stat.f_type as u64 == SYSFS_MAGIC);
        if !is_sysfs || is_in_user_namespace() {
            return None;
        }
        Some(Events::on(listen().ok()?))
    }

    /// Events that come from this socket.
    pub(crate) fn on(socket: OwnedFd) -> Self {
        Events { socket, buffer: vec![0; MOST_EVENT_BYTES] }
    }

    /// What becomes readable with the first event.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Waits for the time to pass, or for events and then until they have come to rest; `hints` gets what they say.
    pub(crate) fn collect(&mut self, hints: &mut Hints, timeout: Duration) {
        let start = Instant::now();
        let mut first: Option<Instant> = None;
        loop {
            let wait = match first {
                Some(first) if first.elapsed() > MOST_SETTLING => return,
                Some(_) => SETTLE,
                None => timeout.saturating_sub(start.elapsed()),
            };
            if !ready(self.socket.as_fd(), wait) {
                return;
            }
            match net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((_, len)) => hints.note(&self.buffer[..len.min(self.buffer.len())]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                // The kernel has dropped events for want of room (ENOBUFS), or the socket has failed otherwise.
                Err(errno) => {
                    hints.everything = true;
                    if errno != Errno::NOBUFS {
                        return;
                    }
                }
            }
            if !hints.is_empty() {
                first.get_or_insert_with(Instant::now);
            }
        }
    }
}

/// Whether this process is in a user namespace of its own: the kernel sends the events of devices to no network
/// namespace that belongs to such a one.
fn is_in_user_namespace() -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else { return false };
    !map.split_whitespace().eq(["0", "0", "4294967295"])
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

fn ready(socket: BorrowedFd<'_>, timeout: Duration) -> bool {
    let timeout =
        Timespec { tv_sec: timeout.as_secs().min(1 << 31) as _, tv_nsec: timeout.subsec_nanos().into() };
    let mut fds = [PollFd::new(&socket, PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, functions: &[&str], vdpa: &[&str]) {
        let mut hints = Hints::default();
        hints.note(event.replace('|', "\0").as_bytes());
        assert_eq!(hints.functions.iter().map(ToString::to_string).collect::<Vec<_>>(), functions, "{event}");
        assert_eq!(hints.vdpa.iter().map(String::as_str).collect::<Vec<_>>(), vdpa, "{event}");
    }

    #[test]
    fn what_events_are_about() {
        let device = "/devices/pci0000:00/0000:00:01.0/0000:01:00.1";
        check(&format!("add@{device}|ACTION=add|DEVPATH={device}|SUBSYSTEM=pci|"), &["0000:01:00.1"], &[]);
        check(
            &format!("move@x|DEVPATH={device}/net/lan0|SUBSYSTEM=net|DEVPATH_OLD={device}/net/eth0|"),
            &["0000:01:00.1"],
            &[],
        );
        check(&format!("x|SUBSYSTEM=vdpa|DEVPATH={device}/blue|"), &["0000:01:00.1"], &["blue"]);
        check(
            "x|SUBSYSTEM=pci|DEVPATH=/devices/pci10000:00/10000:00:02.0/10000:01:00.0|",
            &["10000:01:00.0"],
            &[],
        );
        check(&format!("x|SUBSYSTEM=block|DEVPATH={device}/nvme/nvme0/nvme0n1|"), &[], &[]);
        check("x|SUBSYSTEM=net|DEVPATH=/devices/virtual/net/veth1|", &[], &[]);
        check("x|SUBSYSTEM=pci|", &[], &[]);
        check("", &[], &[]);
        check("SUBSYSTEM|DEVPATH|=|", &[], &[]);
    }
}
