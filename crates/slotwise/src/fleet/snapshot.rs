//! Snapshots of a fleet: columns of numbers that are copied as they are, and little else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::journal::Journal;
use super::rank::Demand;
use super::reserve::{Held, Reservation, Take};
use super::rows::Slot;
use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::json;
use crate::numa::{NumaCell, NumaTopology};
use crate::pool::Pool;
use crate::snapshot::{self, Kind, invalid};

/// The largest payload that is read, in bytes.
const MAX_PAYLOAD: usize = isize::MAX as usize;

/// Texts are borrowed, so that none is made room for because a forged length says so.
type Texts<'a> = Vec<(&'a str, Option<&'a str>)>;

/// Owner, host, time of expiry; and of what class and provider how many.
type StoredReservation<'a> = (&'a str, u32, u64, Vec<(u32, Option<&'a str>, u32)>);

/// The state as it is stored. Fields are never reordered or dropped: a new form gets a new version number.
///
/// Columns are little-endian numbers, one for each id; an id without a host has an empty name.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    #[serde(borrow)]
    names: Cow<'a, str>,
    /// Where each name ends in `names`; 32 bits.
    #[serde(borrow, with = "column")]
    name_ends: Cow<'a, [u8]>,
    /// 64 bits.
    #[serde(borrow, with = "column")]
    versions: Cow<'a, [u8]>,
    /// 0 for none, else one more than a place in `topologies`; 32 bits.
    #[serde(borrow, with = "column")]
    topology_of: Cow<'a, [u8]>,
    /// Where each row ends in `lanes`; 32 bits.
    #[serde(borrow, with = "column")]
    row_ends: Cow<'a, [u8]>,
    /// A class in the upper 24 bits, a count in the lower 8; counts over 254 are in `large`.
    #[serde(borrow, with = "column")]
    lanes: Cow<'a, [u8]>,
    /// Host, place in its row, count.
    large: Vec<(u32, u32, u32)>,
    topologies: Vec<Vec<(u32, Option<u32>)>>,
    /// Attributes and NUMA node; `None` for a class that is not used.
    #[serde(borrow)]
    classes: Vec<Option<(Texts<'a>, Option<u32>)>>,
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

/// A column of bytes, copied as a whole.
mod column {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Cow<'a, [u8]>, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Cow::Borrowed)
    }
}

impl Fleet {
    /// The whole state as versioned, checksummed bytes, reservations and demand included.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let workloads = |list: &[Demand]| -> Vec<String> {
            list.iter().map(|demand| json::to_string(&demand.workload)).collect()
        };
        let (declared, recent) = (workloads(&self.demand.declared), workloads(&self.demand.recent));
        let mut stored = self.stored();
        stored.declared =
            declared.iter().map(String::as_str).zip(self.demand.declared.iter().map(|d| d.weight)).collect();
        stored.recent =
            recent.iter().map(String::as_str).zip(self.demand.recent.iter().map(|d| d.weight)).collect();
        let size =
            [&stored.name_ends, &stored.versions, &stored.topology_of, &stored.row_ends, &stored.lanes]
                .iter()
                .map(|column| column.len())
                .sum::<usize>();
        snapshot::write(Kind::Fleet, &stored, size + stored.names.len() + 4096)
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

    /// All but the demand, whose texts are made first.
    fn stored(&self) -> Stored<'_> {
        let hosts = self.id_bound() as usize;
        let mut names = String::with_capacity(self.names.text_len());
        let (mut name_ends, mut row_ends) = (Vec::with_capacity(hosts), Vec::with_capacity(hosts));
        let mut lanes: Vec<u8> = Vec::with_capacity(self.rows.lane_count() * 4);
        for id in 0..hosts as u32 {
            names.push_str(self.names.get(id));
            name_ends.push(names.len() as u32);
            lanes.extend(self.rows.lanes(id).iter().flat_map(|lane| lane.to_le_bytes()));
            row_ends.push((lanes.len() / 4) as u32);
        }
        let mut versions = vec![0; hosts * 8];
        let places = versions.as_chunks_mut::<8>().0;
        places.iter_mut().zip(&self.versions).for_each(|(place, version)| *place = version.to_le_bytes());
        let (topology_of, topologies) = self.topologies.in_order();

        Stored {
            names: names.into(),
            name_ends: bytes(&name_ends).into(),
            versions: versions.into(),
            topology_of: bytes(&topology_of).into(),
            row_ends: bytes(&row_ends).into(),
            lanes: lanes.into(),
            large: self.rows.large().collect(),
            topologies: topologies
                .iter()
                .map(|topology| topology.cells().iter().map(|cell| (cell.id, cell.socket)).collect())
                .collect(),
            classes: (0..self.classes.len() as u32)
                .map(|id| self.classes.get(id).map(|c| (texts(&c.pool.attributes), c.pool.numa_node)))
                .collect(),
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
            declared: Vec::new(),
            recent: Vec::new(),
            sequence: self.sequence(),
        }
    }
}

fn restore(stored: &Stored<'_>) -> Result<Fleet> {
    let mut fleet = Fleet::new();
    let (name_ends, row_ends) = (numbers(&stored.name_ends)?, numbers(&stored.row_ends)?);
    let topology_of = numbers(&stored.topology_of)?;
    let hosts = name_ends.len();
    let versions =
        stored.versions.chunks_exact(8).map(|v| u64::from_le_bytes(v.try_into().unwrap_or_default()));
    if stored.versions.len() != hosts * 8 || topology_of.len() != hosts || row_ends.len() != hosts {
        return Err(invalid("the columns of hosts differ in length"));
    }
    crate::limits::check("number of hosts", hosts, crate::limits::MAX_HOSTS)?;
    fleet.versions = versions.collect();
    for class in &stored.classes {
        let pool = match class {
            Some((attributes, numa_node)) => Some(Pool {
                attributes: Arc::new(extra_info(attributes)?),
                numa_node: *numa_node,
                provider: None,
                count: 0,
                devices: Vec::new(),
            }),
            None => None,
        };
        fleet.classes.restore(pool)?;
    }
    fleet.rows.restore(&row_ends, &stored.lanes, &stored.large, &mut fleet.classes)?;
    fleet.names.reserve(hosts, stored.names.len());
    let mut start = 0;
    for (id, &end) in (0..).zip(&name_ends) {
        let name = stored.names.get(start..end as usize).ok_or_else(|| invalid("a name is out of bounds"))?;
        start = end as usize;
        if name.is_empty() {
            if !fleet.rows.lanes(id).is_empty() || fleet.versions[id as usize] != 0 {
                return Err(invalid("an id without a host has pools or a version"));
            }
            fleet.free_ids.insert(id);
            fleet.names.skip(id);
            continue;
        }
        super::Names::check(name)?;
        if !fleet.names.set_if_new(id, name) {
            return Err(invalid("two hosts have the same name"));
        }
        fleet.live.insert(id);
    }
    if start != stored.names.len() {
        return Err(invalid("a name belongs to no host"));
    }
    restore_topologies(&mut fleet, stored, &topology_of)?;
    restore_details(&mut fleet, stored)?;
    let ranks: Vec<u32> = (0..fleet.classes.len() as u32).map(|class| fleet.classes.rank(class)).collect();
    if !(0..fleet.id_bound()).all(|id| fleet.pools_are_in_order(id, &ranks)) {
        return Err(invalid("the pools of a host are out of order"));
    }
    fleet.classes.forget_unused();
    fleet.list_classes();
    fleet.journal = Journal::starting_at(stored.sequence);
    for (list, stored) in
        [(&mut fleet.demand.declared, &stored.declared), (&mut fleet.demand.recent, &stored.recent)]
    {
        for (workload, weight) in stored {
            let workload = json::parse(workload, "snapshot.demand")?;
            list.push(Demand { workload, weight: *weight });
        }
        super::rank::check_demand(list)?;
    }
    Ok(fleet)
}

fn restore_topologies(fleet: &mut Fleet, stored: &Stored<'_>, topology_of: &[u32]) -> Result<()> {
    let mut topologies = Vec::with_capacity(stored.topologies.len().min(1024));
    for cells in &stored.topologies {
        let cells = cells.iter().map(|&(id, socket)| NumaCell { id, socket }).collect();
        topologies.push(NumaTopology::new(cells)?);
    }
    for (id, &number) in (0..).zip(topology_of) {
        fleet.topologies.add();
        if let Some(place) = number.checked_sub(1) {
            let topology = topologies.get(place as usize);
            let topology = topology.filter(|_| fleet.live.contains(id));
            fleet.topologies.set(id, Some(topology.ok_or_else(|| invalid("a NUMA topology is missing"))?));
        }
    }
    Ok(())
}

/// Providers, tags and reservations.
fn restore_details(fleet: &mut Fleet, stored: &Stored<'_>) -> Result<()> {
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
            fleet.classes.retain(*class);
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

impl Fleet {
    /// Lists the hosts of rare classes.
    fn list_classes(&mut self) {
        let rare = self.lists.prepare(&self.classes, &self.rows);
        if !rare.contains(&true) {
            return;
        }
        for id in 0..self.id_bound() {
            for lane in self.rows.lanes(id) {
                if rare[(lane >> 8) as usize] {
                    self.lists.add(lane >> 8, id, &self.classes, &self.rows);
                }
            }
        }
    }

    /// Whether the row of a host is in the stable order of pools.
    fn pools_are_in_order(&self, id: u32, ranks: &[u32]) -> bool {
        let providers = self.providers.get(&id);
        if providers.is_none() {
            return self.rows.lanes(id).iter().map(|lane| ranks[(lane >> 8) as usize]).is_sorted();
        }
        let rank = |(slot, Slot { class, .. }): (usize, Slot)| {
            let provider = providers.is_some_and(|list| list[slot].is_some());
            self.classes.rank(class) + u32::from(provider)
        };
        self.rows.slots(id).enumerate().map(rank).is_sorted()
    }
}

/// A column of numbers as bytes.
fn bytes(numbers: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; numbers.len() * 4];
    let places = bytes.as_chunks_mut::<4>().0;
    places.iter_mut().zip(numbers).for_each(|(place, number)| *place = number.to_le_bytes());
    bytes
}

fn numbers(column: &[u8]) -> Result<Vec<u32>> {
    if !column.len().is_multiple_of(4) {
        return Err(invalid("a column is cut off"));
    }
    Ok(column.chunks_exact(4).map(|n| u32::from_le_bytes(n.try_into().unwrap_or_default())).collect())
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
