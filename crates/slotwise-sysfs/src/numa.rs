//! The NUMA nodes of the machine and the sockets they are on.

use std::os::fd::{AsFd, BorrowedFd};

use slotwise::{NumaCell, NumaTopology};

use crate::files::{Buffers, decimal, open_dir};

/// Reads the topology below the sysfs root; `None` when the machine does not tell its nodes.
pub(crate) fn topology(root: BorrowedFd<'_>) -> Option<NumaTopology> {
    let mut buffers = Buffers::new();
    let dir = open_dir(root, "devices/system/node").ok()?;
    let nodes = numbers(&mut buffers, dir.as_fd(), "node")?;
    if nodes.is_empty() {
        return None;
    }
    let cells = nodes.into_iter().map(|id| NumaCell { id, socket: socket(&mut buffers, root, id) }).collect();
    NumaTopology::new(cells).ok()
}

/// The socket of a node: that of its first CPU that tells (a CPU that is offline does not).
fn socket(buffers: &mut Buffers, root: BorrowedFd<'_>, node: u32) -> Option<u32> {
    let dir = open_dir(root, format!("devices/system/node/node{node}")).ok()?;
    let cpus = numbers(buffers, dir.as_fd(), "cpu")?;
    cpus.into_iter().find_map(|cpu| {
        let path = format!("devices/system/cpu/cpu{cpu}/topology/physical_package_id");
        let text = buffers.text(root, path).ok()?;
        decimal(std::str::from_utf8(text).ok()?.trim_ascii())
    })
}

/// The numbers N of the directories (or links to some) named `prefixN`, ascending.
fn numbers(buffers: &mut Buffers, dir: BorrowedFd<'_>, prefix: &str) -> Option<Vec<u32>> {
    let mut numbers = buffers.numbered_entries(dir, prefix).ok()?;
    numbers.sort_unstable();
    Some(numbers)
}
