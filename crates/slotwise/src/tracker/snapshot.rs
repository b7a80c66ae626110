//! Snapshots: the whole state of a tracker as versioned, checksummed bytes, or as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::changes::{Row, row};
use super::entries::{Assignable, Entry, Facts, Hold, Next, Statuses};
use super::{DeviceGroup, Tracker, TrackerOptions};
use crate::address::PciAddress;
use crate::device::{Device, DeviceType};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::json;
use crate::limits;
use crate::numa::{NumaCell, NumaTopology};
use crate::pool::Pool;
use crate::pool_set::{PoolKey, PoolSet};
use crate::snapshot::{self, Kind, MAX_COUNT, VERSION, invalid};
use crate::spec::DeviceSpecs;

const FORMAT: &str = "slotwise-tracker";

/// The largest payload that is read, in bytes: a state is several times what its last sync was.
const MAX_PAYLOAD: usize = 4 * limits::MAX_DOCUMENT_BYTES;

/// The same as JSON, which names every field.
const MAX_JSON: usize = 2 * MAX_PAYLOAD;

pub(crate) type Texts = BTreeMap<String, Option<String>>;

/// The state as it is stored. Fields are never reordered or dropped: a new form gets a new version number.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    numa_cells: Option<Vec<(u32, Option<u32>)>>,
    pool_keys: Vec<String>,
    allow_missing_parents: bool,
    device_groups: Vec<(String, Vec<PciAddress>)>,
    rules: Vec<String>,
    pins: Vec<Option<PciAddress>>,
    report_in_placement: bool,
    devices: Vec<StoredEntry>,
    pools: Vec<StoredPool>,
    deleted: Vec<(PciAddress, Row)>,
    next_claim: u64,
    version: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    facts: StoredFacts,
    hold: Option<StoredHold>,
    next: StoredNext,
    saved: StoredRow,
    dirty: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredFacts {
    address: PciAddress,
    vendor_id: String,
    product_id: String,
    dev_type: DeviceType,
    numa_node: Option<u32>,
    parent_addr: Option<PciAddress>,
    class: Option<String>,
    extra_info: Texts,
    /// The tags of the rule; none if no rule matches.
    tags: Option<Texts>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredHold {
    owner: String,
    request_id: Option<String>,
    requester_id: Option<String>,
    allocated: bool,
    claim: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredNext {
    Same,
    Change(StoredFacts),
    Gone,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredRow {
    /// Nothing was written.
    None,
    /// What was written is what holds now.
    Current,
    /// This was written.
    Row(Row),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredPool {
    attributes: Texts,
    numa_node: Option<u32>,
    provider: Option<String>,
    devices: Vec<PciAddress>,
}

impl Tracker {
    /// The whole state as versioned, checksummed bytes; equal states give equal bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(Kind::Tracker, &self.stored())
    }

    /// The state that [`Tracker::snapshot`] wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedVersion`], or [`ErrorKind::InvalidSnapshot`] when the bytes are truncated, altered, or
    /// describe a state that contradicts itself.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self> {
        Tracker::restore(snapshot::read::<Stored, MAX_PAYLOAD>(Kind::Tracker, bytes)?).map_err(contradiction)
    }

    /// The whole state as JSON: `{"format": "slotwise-tracker", "version": 1, "state": {…}}`.
    #[must_use]
    pub fn snapshot_json(&self) -> String {
        json::to_string(&Document { format: FORMAT.to_owned(), version: VERSION, state: self.stored() })
    }

    /// The state that [`Tracker::snapshot_json`] wrote.
    ///
    /// # Errors
    ///
    /// As [`Tracker::from_snapshot`], and [`ErrorKind::InvalidJson`].
    pub fn from_snapshot_json(text: &str) -> Result<Self> {
        let document: Document<serde_json::Value> = json::parse_within(text, "snapshot", MAX_JSON)?;
        if document.format != FORMAT {
            return Err(invalid("the document is not a snapshot of a tracker").inside("snapshot.format"));
        }
        if document.version != VERSION {
            return Err(Error::new(
                ErrorKind::UnsupportedVersion,
                format!("snapshot version {} is not read by slotwise {}", document.version, crate::VERSION),
            )
            .inside("snapshot.version"));
        }
        let stored = json::from_value::<Stored>(&document.state, "snapshot.state")?;
        Tracker::restore(stored).map_err(contradiction)
    }

    fn stored(&self) -> Stored {
        let statuses = Statuses::new(self);
        let cells = |topology: &NumaTopology| topology.cells().iter().map(|c| (c.id, c.socket)).collect();
        Stored {
            numa_cells: self.options.numa_topology.as_ref().map(cells),
            pool_keys: self.options.pool_keys.clone(),
            allow_missing_parents: self.options.allow_missing_parents,
            device_groups: self
                .options
                .device_groups
                .iter()
                .map(|group| (group.name.clone(), group.devices.clone()))
                .collect(),
            rules: self.specs.list().iter().map(serde_json::Value::to_string).collect(),
            pins: self.specs.pins(),
            report_in_placement: self.specs.report_in_placement(),
            devices: self.entries.values().map(|entry| self.stored_entry(entry, &statuses)).collect(),
            pools: self
                .pools()
                .as_slice()
                .iter()
                .map(|pool| StoredPool {
                    attributes: texts(&pool.attributes),
                    numa_node: pool.numa_node,
                    provider: pool.provider.clone(),
                    devices: pool.devices.clone(),
                })
                .collect(),
            deleted: self.deleted.iter().map(|(address, row)| (*address, row.clone())).collect(),
            next_claim: self.next_claim,
            version: self.version,
        }
    }

    fn stored_entry<'a>(&'a self, entry: &'a Entry, statuses: &Statuses<'a>) -> StoredEntry {
        let address = entry.facts.device.address;
        let change = self.change(address, statuses);
        StoredEntry {
            facts: stored_facts(&entry.facts),
            hold: entry.hold.as_ref().map(|hold| StoredHold {
                owner: hold.owner.clone(),
                request_id: hold.request_id.clone(),
                requester_id: hold.requester_id.clone(),
                allocated: hold.allocated,
                claim: hold.claim,
            }),
            next: match &entry.next {
                Next::Same => StoredNext::Same,
                Next::Change(facts) => StoredNext::Change(stored_facts(facts)),
                Next::Gone => StoredNext::Gone,
            },
            saved: match &entry.saved {
                None => StoredRow::None,
                Some(_) if change.is_none() && row(entry, statuses).is_some() => StoredRow::Current,
                Some(row) => StoredRow::Row(row.clone()),
            },
            dirty: change.is_some() && self.dirty.contains(&address),
        }
    }

    fn restore(stored: Stored) -> Result<Self> {
        let numa_topology = match stored.numa_cells {
            None => None,
            Some(cells) => {
                let cells = cells.into_iter().map(|(id, socket)| NumaCell { id, socket }).collect();
                Some(NumaTopology::new(cells)?)
            }
        };
        let options = TrackerOptions {
            numa_topology,
            pool_keys: stored.pool_keys,
            allow_missing_parents: stored.allow_missing_parents,
            device_groups: stored
                .device_groups
                .into_iter()
                .map(|(name, devices)| DeviceGroup { name, devices })
                .collect(),
        };
        let specs = DeviceSpecs::parse(&stored.rules, stored.report_in_placement)?.with_pins(stored.pins)?;
        let mut tracker = Tracker::new(specs, options)?;
        if stored.next_claim.max(stored.version) >= MAX_COUNT {
            return Err(invalid("it counts more claims or changes than there can have been"));
        }
        tracker.next_claim = stored.next_claim;
        tracker.version = stored.version;
        let mut current = Vec::new();
        for stored in stored.devices {
            let facts = tracker.restored_facts(stored.facts)?;
            let address = facts.device.address;
            let next = match stored.next {
                StoredNext::Same => Next::Same,
                StoredNext::Change(next) => Next::Change(Box::new(tracker.restored_facts(next)?)),
                StoredNext::Gone => Next::Gone,
            };
            if matches!(&next, Next::Change(next) if next.device.address != address) {
                return Err(invalid(&format!("device {address} would change its address")));
            }
            let hold = stored.hold.map(|hold| Hold {
                owner: hold.owner,
                request_id: hold.request_id,
                requester_id: hold.requester_id,
                allocated: hold.allocated,
                claim: hold.claim,
            });
            if let Some(hold) = &hold {
                if hold.claim >= tracker.next_claim {
                    return Err(invalid(&format!("the claim of device {address} is numbered in the future")));
                }
                tracker.owners.entry(hold.owner.clone()).or_default().insert(address);
            }
            let saved = match stored.saved {
                StoredRow::None => None,
                StoredRow::Row(row) => Some(row),
                StoredRow::Current => {
                    current.push(address);
                    None
                }
            };
            if stored.dirty {
                tracker.dirty.insert(address);
            }
            if tracker.entries.insert(address, Entry { facts, hold, next, pooled: None, saved }).is_some() {
                return Err(invalid(&format!("device {address} is stored twice")));
            }
            tracker.link(address);
        }
        tracker.restore_pools(stored.pools)?;
        let statuses = Statuses::new(&tracker);
        let rows: Vec<Option<Row>> =
            current.iter().map(|address| row(&tracker.entries[address], &statuses)).collect();
        for (address, row) in current.into_iter().zip(rows) {
            if let Some(entry) = tracker.entries.get_mut(&address) {
                entry.saved = row;
            }
        }
        for (address, row) in stored.deleted {
            if tracker.entries.contains_key(&address) || tracker.deleted.insert(address, row).is_some() {
                return Err(invalid(&format!("device {address} is stored twice")));
            }
        }
        tracker.invariants().map_err(|broken| invalid(&broken))?;
        Ok(tracker)
    }

    fn restored_facts(&self, stored: StoredFacts) -> Result<Facts> {
        let device = Device {
            address: stored.address,
            vendor_id: stored.vendor_id,
            product_id: stored.product_id,
            dev_type: stored.dev_type,
            numa_node: stored.numa_node,
            parent_addr: stored.parent_addr,
            class: stored.class,
            extra_info: extra_info(stored.extra_info)?,
        };
        device.validate()?;
        let assignable = match stored.tags {
            None => None,
            Some(tags) => {
                let tags = extra_info(tags)?;
                Some(Assignable { key: PoolKey::new(&device, &tags, &self.options.pool_keys)?, tags })
            }
        };
        Ok(Facts { device, assignable })
    }

    fn restore_pools(&mut self, stored: Vec<StoredPool>) -> Result<()> {
        let mut list = Vec::with_capacity(stored.len());
        for pool in stored {
            list.push(Pool {
                attributes: std::sync::Arc::new(extra_info(pool.attributes)?),
                numa_node: pool.numa_node,
                provider: pool.provider,
                count: u32::try_from(pool.devices.len()).unwrap_or(u32::MAX),
                devices: pool.devices,
            });
        }
        for pool in &list {
            for address in &pool.devices {
                let entry = self.entries.get_mut(address);
                let entry =
                    entry.ok_or_else(|| invalid(&format!("the pooled device {address} is not stored")))?;
                let key = entry.facts.assignable.as_ref().map(|assignable| assignable.key.clone());
                if entry.pooled.is_some() || key.is_none() {
                    return Err(invalid(&format!("device {address} is in a pool where it cannot be")));
                }
                entry.pooled = key;
            }
        }
        self.pools = PoolSet::restore(list, self.options.numa_topology.clone())
            .ok_or_else(|| invalid("the pools are out of order or not distinct"))?;
        Ok(())
    }
}

/// What is wrong with a part of the state is wrong with the snapshot.
fn contradiction(error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidSnapshot => error,
        _ => invalid(&error.to_string()),
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document<S> {
    format: String,
    version: u16,
    state: S,
}

pub(crate) fn texts(info: &ExtraInfo) -> Texts {
    info.iter().map(|(key, text)| (key.to_owned(), text.map(str::to_owned))).collect()
}

pub(crate) fn extra_info(texts: Texts) -> Result<ExtraInfo> {
    let mut info = ExtraInfo::new();
    for (key, text) in texts {
        info.insert(key, text)?;
    }
    Ok(info)
}

fn stored_facts(facts: &Facts) -> StoredFacts {
    let device = &facts.device;
    StoredFacts {
        address: device.address,
        vendor_id: device.vendor_id.clone(),
        product_id: device.product_id.clone(),
        dev_type: device.dev_type,
        numa_node: device.numa_node,
        parent_addr: device.parent_addr,
        class: device.class.clone(),
        extra_info: texts(&device.extra_info),
        tags: facts.assignable.as_ref().map(|assignable| texts(&assignable.tags)),
    }
}
