//! NUMA: the host's cells and sockets, and the policies that tie a device to the guest's cells.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How strictly a device must be near the guest's NUMA cells (Nova: `PCINUMAAffinityPolicy`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NumaPolicy {
    /// On one of the guest's cells.
    Required,
    /// On one of the guest's cells if that is possible, else anywhere.
    Preferred,
    /// On one of the guest's cells, or on a device whose NUMA node is unknown.
    #[default]
    Legacy,
    /// On a NUMA node of a socket that one of the guest's cells is on; where the host does not tell its sockets,
    /// on one of the guest's cells.
    Socket,
}

/// One NUMA cell of a host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NumaCell {
    /// The node's number, as in `/sys/devices/system/node/nodeN`.
    pub id: u32,
    /// The socket (physical package) it belongs to; unknown if `None`.
    #[serde(default)]
    pub socket: Option<u32>,
}

/// The NUMA cells of a host.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Serialize)]
pub struct NumaTopology {
    cells: Vec<NumaCell>,
}

impl NumaTopology {
    /// Makes a topology from its cells.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when a cell is listed twice.
    pub fn new(cells: Vec<NumaCell>) -> Result<Self> {
        let mut seen = BTreeSet::new();
        for (i, cell) in cells.iter().enumerate() {
            if !seen.insert(cell.id) {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("NUMA cell {} is listed twice", cell.id),
                )
                .with_help("list each cell of the host once")
                .inside(format!("cells[{i}]")));
            }
        }
        Ok(NumaTopology { cells })
    }

    /// The cells, in the order given.
    #[must_use]
    pub fn cells(&self) -> &[NumaCell] {
        &self.cells
    }

    /// The NUMA nodes that share a socket with one of the guest's cells; empty when any cell's socket is unknown.
    ///
    /// Source: Nova refuses to guess sockets where a host does not report all of them.
    #[must_use]
    pub fn socket_neighbours(&self, guest_cells: &[u32]) -> BTreeSet<u32> {
        if self.cells.iter().any(|cell| cell.socket.is_none()) {
            return BTreeSet::new();
        }
        let sockets: BTreeSet<_> =
            self.cells.iter().filter(|cell| guest_cells.contains(&cell.id)).map(|cell| cell.socket).collect();
        self.cells.iter().filter(|cell| sockets.contains(&cell.socket)).map(|cell| cell.id).collect()
    }
}

impl<'de> Deserialize<'de> for NumaTopology {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            cells: Vec<NumaCell>,
        }
        let document = Document::deserialize(deserializer)?;
        NumaTopology::new(document.cells).map_err(|error| crate::json::carry(&error))
    }
}
