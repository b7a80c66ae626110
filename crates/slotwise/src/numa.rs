//! NUMA: the host's cells and sockets, and the policies that tie a device to the guest's cells.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// How strictly a device must be near the guest's NUMA cells (Nova: `PCINUMAAffinityPolicy`).
///
/// ```
/// use slotwise::{NumaPolicy, Pools, Request, Workload, json};
///
/// // The one free device is on node 1, and the guest runs on cell 0.
/// let pools = Pools::from_json(
///     r#"[{"vendor_id": "10de", "product_id": "25b6", "numa_node": 1, "count": 1}]"#, None)?;
/// let mut request: Request = json::parse(r#"{"alternatives": [{"vendor_id": "10de"}]}"#, "request")?;
/// for (policy, fits) in [(NumaPolicy::Required, false), (NumaPolicy::Preferred, true)] {
///     request.numa_policy = Some(policy);
///     let mut workload = Workload::new(vec![request.clone()]);
///     workload.numa_cells = Some(vec![0]);
///     assert_eq!(pools.fit(&workload)?.fits(), fits);
/// }
/// # Ok::<(), slotwise::Error>(())
/// ```
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
///
/// ```
/// use slotwise::{NumaCell, NumaTopology};
///
/// let cell = |id, socket| NumaCell { id, socket: Some(socket) };
/// let host = NumaTopology::new(vec![cell(0, 0), cell(1, 0), cell(2, 1)])?;
/// // Cells 0 and 1 share a socket, so that for the policy `socket` devices of node 1 are near a guest on cell 0.
/// assert_eq!(Vec::from_iter(host.socket_neighbours(&[0])), [0, 1]);
/// # Ok::<(), slotwise::Error>(())
/// ```
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
