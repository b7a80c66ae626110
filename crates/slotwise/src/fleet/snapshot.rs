//! Snapshots of a fleet: columns of numbers that are copied as they are, and little else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::journal::Journal;
use super::lists::Lists;
use super::names::Names;
use super::rank::Demand;
use super::reserve::{Held, Reservation, Take};
use super::rows::Rows;
use super::topologies::Topologies;
use super::{Fleet, HostSet};
use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::json;
use crate::limits;
use crate::numa::{NumaCell, NumaTopology};
use crate::pool::Pool;
use crate::snapshot::{self, Kind, MAX_COUNT, Numbers, invalid};

/// The largest payload that is read, in bytes.
const MAX_PAYLOAD: usize = isize::MAX as usize;

/// Texts are borrowed, so that none is made room for because a forged length says so.
type Texts<'a> = Vec<(&'a str, Option<&'a str>)>;

/// Owner, host, time of expiry; and of what class and provider how many.
type StoredReservation<'a> = (&'a str, u32, u64, Vec<(u32, Option<&'a str>, u32)>);

/// The state as it is stored. Fields are never reordered or dropped: a new form gets a new version number.
///
/// Columns are little-endian numbers, one for each id; an id without a host has an empty name. They are read where they
/// are, and written field by field in this order ([`snapshot::Frame`]).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    names: &'a str,
    /// Where each name ends in `names`; 32 bits.
    name_ends: &'a [u8],
    /// 64 bits.
    versions: &'a [u8],
    /// 0 for none, else one more than a place in `topologies`; 32 bits.
    topology_of: &'a [u8],
    /// Where each row ends in `lanes`; 32 bits.
    row_ends: &'a [u8],
    /// A class in the upper 24 bits, a count in the lower 8; counts over 254 are in `large`.
    lanes: &'a [u8],
    #[serde(borrow)]
    details: Details<'a>,
}

/// What is not a column.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Details<'a> {
    /// Host, place in its row, count.
    large: Vec<(u32, u32, u32)>,
    topologies: Vec<Vec<(u32, Option<u32>)>>,
    /// Attributes, NUMA node and number of uses; `None` for a class that is not used.
    #[serde(borrow)]
    classes: Vec<Option<(Texts<'a>, Option<u32>, u64)>>,
    #[serde(borrow)]
    providers: Vec<(u32, Vec<Option<&'a str>>)>,
    #[serde(borrow)]
    tags: Vec<(u32, Texts<'a>)>,
    /// For each host on which something is reserved, the counts without that, and the owners in their order.
    #[serde(borrow)]
    held: Vec<(u32, Vec<u32>, Vec<&'a str>)>,
    #[serde(borrow)]
    reservations: Vec<StoredReservation<'a>>,
    /// Workloads as JSON, with their weights.
    #[serde(borrow)]
    declared: Vec<(&'a str, f64)>,
    #[serde(borrow)]
    recent: Vec<(&'a str, f64)>,
    sequence: u64,
}

impl Fleet {
    /// The whole state as versioned, checksummed bytes, reservations and demand included.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let workloads = |list: &[Demand]| -> Vec<(String, f64)> {
            list.iter().map(|demand| (json::to_string(&demand.workload), demand.weight)).collect()
        };
        let (declared, recent) = (workloads(&self.demand.declared), workloads(&self.demand.recent));
        let (topology_of, topologies) = self.topologies.in_order();
        let (names, name_ends) = self.names.stored();
        let row_ends = self.rows.ends();
        let lanes = row_ends.last().map_or(0, |&end| end as usize);
        let details = self.details(&topologies, &declared, &recent);

        let hosts = self.versions.len();
        let columns = [names.len(), 4 * hosts, 8 * hosts, 4 * hosts, 4 * hosts, 4 * lanes];
        let mut frame = snapshot::Frame::new(Kind::Fleet, &columns, &details);
        frame.column(columns[0]);
        frame.put(names.as_bytes());
        frame.column(columns[1]);
        frame.put_numbers(&name_ends, u32::to_le_bytes);
        frame.column(columns[2]);
        frame.put_numbers(&self.versions, u64::to_le_bytes);
        frame.column(columns[3]);
        frame.put_numbers(&topology_of, u32::to_le_bytes);
        frame.column(columns[4]);
        frame.put_numbers(&row_ends, u32::to_le_bytes);
        frame.column(columns[5]);
        self.rows.runs().for_each(|run| frame.put_numbers(run, u32::to_le_bytes));
        frame.finish()
    }

    /// The state that [`Fleet::snapshot`] wrote. Texts that hosts were read from are read again when they come next.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::UnsupportedVersion`], or [`crate::ErrorKind::InvalidSnapshot`] when the bytes are truncated,
    /// altered, or describe a state that contradicts itself.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self> {
        restore(&snapshot::read::<Stored<'_>, MAX_PAYLOAD>(Kind::Fleet, bytes)?)
    }

    fn details<'a>(
        &'a self,
        topologies: &[&NumaTopology],
        declared: &'a [(String, f64)],
        recent: &'a [(String, f64)],
    ) -> Details<'a> {
        let class = |id: u32| {
            let class = self.classes.get(id)?;
            Some((texts(&class.pool.attributes), class.pool.numa_node, self.classes.uses(id)))
        };
        let demand =
            |list: &'a [(String, f64)]| list.iter().map(|(text, weight)| (text.as_str(), *weight)).collect();
        Details {
            large: self.rows.large().collect(),
            topologies: topologies
                .iter()
                .map(|topology| topology.cells().iter().map(|cell| (cell.id, cell.socket)).collect())
                .collect(),
            classes: (0..self.classes.len() as u32).map(class).collect(),
            providers: self
                .providers
                .iter()
                .map(|(&id, list)| (id, list.iter().map(Option::as_deref).collect()))
                .collect(),
            tags: self.tags.iter().map(|(&id, tags)| (id, texts(tags))).collect(),
            held: self
                .held
                .iter()
                .map(|(&id, h)| (id, h.counts.clone(), h.owners.iter().map(String::as_str).collect()))
                .collect(),
            reservations: self
                .reservations
                .iter()
                .map(|(owner, r)| (owner.as_str(), r.host, r.expires, r.takes.iter().map(taken).collect()))
                .collect(),
            declared: demand(declared),
            recent: demand(recent),
            sequence: self.sequence(),
        }
    }
}

fn restore(stored: &Stored<'_>) -> Result<Fleet> {
    let mut fleet = Fleet::new();
    let (name_ends, row_ends) = (Numbers::new(stored.name_ends)?, Numbers::new(stored.row_ends)?);
    let topology_of: Vec<u32> = Numbers::new(stored.topology_of)?.iter().collect();
    let versions = stored.versions.as_chunks::<8>();
    let hosts = name_ends.len();
    let lengths = [versions.0.len(), topology_of.len(), row_ends.len()];
    if lengths.iter().any(|&len| len != hosts) || !versions.1.is_empty() {
        return Err(invalid("the columns of hosts differ in length"));
    }
    limits::check("number of hosts", hosts, limits::MAX_HOSTS)?;
    fleet.versions = versions.0.iter().map(|version| u64::from_le_bytes(*version)).collect();
    for class in &stored.details.classes {
        let pool = |attributes, numa_node: &Option<u32>| -> Result<Pool> {
            let attributes = Arc::new(extra_info(attributes)?);
            Ok(Pool { attributes, numa_node: *numa_node, provider: None, count: 0, devices: Vec::new() })
        };
        let class = class.as_ref().map(|(attributes, node, uses)| Ok((pool(attributes, node)?, *uses)));
        fleet.classes.restore(class.transpose()?)?;
    }
    let classes = 0..fleet.classes.len() as u32;
    let rare = |class| Lists::is_rare(fleet.classes.uses(class), hosts);
    let is_rare: Vec<Option<bool>> =
        classes.map(|class| fleet.classes.get(class).map(|_| rare(class))).collect();
    let mut tally;
    (fleet.rows, tally) = Rows::restore(row_ends, stored.lanes, &stored.details.large, &is_rare)?;
    fleet.lists = Lists::restore(is_rare.iter().map(|rare| *rare == Some(true)), &tally.rare);
    fleet.names = Names::restore(stored.names, name_ends)?;
    fleet.live = HostSet::below(hosts as u32);
    for id in fleet.names.without().collect::<Vec<_>>() {
        let at = id as usize;
        if !fleet.rows.lanes(id).is_empty() || fleet.versions[at] != 0 || topology_of[at] != 0 {
            return Err(invalid("an id without a host has pools, a version or a NUMA topology"));
        }
        fleet.free_ids.insert(id);
        fleet.live.remove(id);
    }
    let topologies =
        stored.details.topologies.iter().map(|cells| {
            NumaTopology::new(cells.iter().map(|&(id, socket)| NumaCell { id, socket }).collect())
        });
    fleet.topologies = Topologies::restore(topology_of, topologies.collect::<Result<_>>()?)?;
    let mut uses: Vec<u64> = tally.uses().collect();
    restore_details(&mut fleet, &stored.details, &mut uses)?;
    if (0..).zip(uses).any(|(class, uses)| fleet.classes.uses(class) != uses) {
        return Err(invalid("a class of pools is not used as often as it says"));
    }
    if stored.details.sequence >= MAX_COUNT {
        return Err(invalid("it counts more changes than there can have been"));
    }
    fleet.journal = Journal::starting_at(stored.details.sequence);
    for (list, stored) in [
        (&mut fleet.demand.declared, &stored.details.declared),
        (&mut fleet.demand.recent, &stored.details.recent),
    ] {
        for (workload, weight) in stored {
            let workload = json::parse(workload, "snapshot.demand")?;
            list.push(Demand { workload, weight: *weight });
        }
        super::rank::check_demand(list)?;
    }
    Ok(fleet)
}

/// Providers, tags and reservations, whose uses of classes are counted.
fn restore_details(fleet: &mut Fleet, stored: &Details<'_>, uses: &mut [u64]) -> Result<()> {
    let row = |fleet: &Fleet, id: u32| fleet.live.contains(id).then(|| fleet.rows.lanes(id).len());
    for (id, list) in &stored.providers {
        if row(fleet, *id) != Some(list.len()) {
            return Err(invalid("the providers of a host are not those of its pools"));
        }
        let list = list.iter().map(|text| text.map(Arc::from)).collect();
        fleet.providers.insert(*id, list);
    }
    for (id, tags) in &stored.tags {
        row(fleet, *id).ok_or_else(|| invalid("tags belong to no host"))?;
        fleet.tags.insert(*id, extra_info(tags)?);
    }
    let mut hosts_of: BTreeMap<&str, u32> = BTreeMap::new();
    for (id, counts, owners) in &stored.held {
        if row(fleet, *id) != Some(counts.len()) || owners.is_empty() {
            return Err(invalid("the reservations of a host are not on its pools"));
        }
        for owner in owners {
            if hosts_of.insert(owner, *id).is_some() {
                return Err(invalid("an owner has two reservations"));
            }
        }
        fleet.held.insert(
            *id,
            Held { counts: counts.clone(), owners: owners.iter().map(|&owner| owner.to_owned()).collect() },
        );
    }
    if hosts_of.len() != stored.reservations.len() {
        return Err(invalid("a reservation is on no host"));
    }
    for (owner, host, expires, takes) in &stored.reservations {
        if hosts_of.get(owner) != Some(host) {
            return Err(invalid("a reservation is on another host than it says"));
        }
        fleet.check_reservation(owner)?;
        let mut list = Vec::with_capacity(takes.len().min(1024));
        for (class, provider, count) in takes {
            if fleet.classes.get(*class).is_none() {
                return Err(invalid("a reservation is of pools that are not there"));
            }
            uses[*class as usize] += 1;
            list.push(Take { class: *class, provider: provider.map(Arc::from), count: *count });
        }
        let reservation = Reservation { host: *host, expires: *expires, takes: list };
        fleet.reservations.insert((*owner).to_owned(), reservation);
    }
    for (id, _, _) in &stored.held {
        fleet.settle(*id);
    }
    Ok(())
}

fn taken(take: &Take) -> (u32, Option<&str>, u32) {
    (take.class, take.provider.as_deref(), take.count)
}

fn texts(info: &ExtraInfo) -> Texts<'_> {
    info.iter().collect()
}

fn extra_info(texts: &Texts<'_>) -> Result<ExtraInfo> {
    let mut info = ExtraInfo::new();
    for (key, text) in texts {
        info.insert(*key, text.map(str::to_owned))?;
    }
    Ok(info)
}
