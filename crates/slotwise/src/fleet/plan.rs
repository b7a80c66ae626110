//! Counting: how many devices of each host could serve which of a workload's requests, as columns of bytes.
//!
//! A class of pools can serve some of the requests. For each set of requests a column holds, for every host, how many
//! devices can serve any of them; by Hall's theorem a host can serve all requests exactly if no set of them needs more
//! than that. The columns do not depend on how many devices the requests want, so that one plan answers for all counts,
//! and each host's entries depend on its own row only, so that a plan is repaired host by host.

use std::collections::HashMap;

use super::Fleet;
use super::columns::{self, Column};
use super::filter::sees_providers;
use super::host_set::HostSet;
use crate::device::DeviceType;
use crate::filter::Prepared;
use crate::numa::NumaPolicy;
use crate::pool::Pools;
use crate::request::{Request, Strategy, Workload};
use crate::solve::bins::DEVICE_GROUP;

/// The most different kinds of request that are counted: there is a column for each set of them.
const MAX_KINDS: usize = 4;

/// A plan looks at single hosts instead of all if at most one in so many can serve the rarest request.
const SPARSE: usize = 16;

/// A physical function, a virtual one, a member of a device group; what is nothing of that has no bit.
const PHYSICAL: u8 = 1;
const VIRTUAL: u8 = 2;
const GROUPED: u8 = 4;

/// What of a workload can be counted.
pub(super) struct Counting {
    /// One request of one device for each kind; what tells two plans apart.
    kinds: Workload,
    /// How many devices of each kind are wanted.
    wanted: Vec<u64>,
    /// The kind of each request, in their order; empty if some are not counted.
    order: Vec<(usize, u32)>,
    /// What passing the count means.
    proof: Proof,
}

/// What it means that no set of requests needs more than there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Proof {
    /// The host fits.
    Fits,
    /// The host fits if it is simple: no card gives its PF or its VFs, and no device group is concerned.
    FitsIfSimple,
    /// The host fits if serving one request after the other, in the order of pools, works out.
    InTurn,
    /// Nothing: the solver decides.
    Nothing,
}

impl Counting {
    /// What can be counted of a workload; `None` if that is nothing.
    pub(super) fn of(workload: &Workload) -> Option<Self> {
        let cells = workload.cells();
        let by_socket =
            |r: &Request| !cells.is_empty() && r.numa_policy.unwrap_or_default() == NumaPolicy::Socket;
        // Which pools may be used depends on more than their class then.
        if workload.numa_cells_from.is_some()
            || sees_providers(workload)
            || workload.requests.iter().any(by_socket)
        {
            return None;
        }
        let mut kinds = Workload { numa_cells: workload.numa_cells.clone(), ..Workload::default() };
        let mut wanted: Vec<u64> = Vec::new();
        let mut order = Vec::new();
        for request in workload.requests.iter().filter(|request| request.otherwise.is_empty()) {
            let same = |kind: &Request| is_kind(kind, request);
            let kind = match kinds.requests.iter().position(same) {
                Some(kind) => kind,
                None if wanted.len() == MAX_KINDS => continue,
                None => {
                    kinds.requests.push(Request {
                        alternatives: request.alternatives.clone(),
                        numa_policy: request.numa_policy,
                        ..Request::default()
                    });
                    wanted.push(0);
                    wanted.len() - 1
                }
            };
            wanted[kind] += u64::from(request.count);
            order.push((kind, request.count));
        }
        if wanted.is_empty() {
            return None;
        }
        // What is preferred makes no difference to whether there is an assignment.
        let free = |r: &Request| !r.isolate && r.same.is_empty() && r.distinct.is_empty();
        let complete = order.len() == workload.requests.len()
            && workload.constraints.is_empty()
            && workload.requests.iter().all(free);
        let required = |r: &Request| cells.is_empty() || r.numa_policy == Some(NumaPolicy::Required);
        let proof = match workload.strategy {
            _ if !complete => Proof::Nothing,
            Strategy::Exact => Proof::FitsIfSimple,
            Strategy::Nova if order.len() == 1 && required(&workload.requests[0]) => Proof::Fits,
            Strategy::Nova if cells.is_empty() => Proof::InTurn,
            Strategy::Nova => Proof::Nothing,
        };
        Some(Counting { kinds, wanted, order, proof })
    }

    /// Whether counting settles nearly all hosts.
    pub(super) fn settles(&self) -> bool {
        self.proof != Proof::Nothing
    }

    /// How many devices each set of kinds wants; set `s` is entry `s - 1`.
    fn needs(&self) -> Vec<u64> {
        let kinds = self.wanted.len();
        let of_set =
            |set: usize| (0..kinds).filter(|kind| set >> kind & 1 == 1).map(|kind| self.wanted[kind]).sum();
        (1..1 << kinds).map(of_set).collect()
    }
}

/// Whether a request asks for the same devices as a kind.
fn is_kind(kind: &Request, request: &Request) -> bool {
    kind.numa_policy.unwrap_or_default() == request.numa_policy.unwrap_or_default()
        && kind.alternatives == request.alternatives
}

/// The columns for the kinds of request of a workload, as of some state of the fleet.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    kinds: Workload,
    /// For each class, the set of kinds that it can serve.
    masks: Vec<u8>,
    /// For each class that can serve any, what it is to SR-IOV and groups.
    roles: Vec<u8>,
    /// Whether any class has a role that may couple it with another.
    coupled: bool,
    /// The classes and the rows that are heeded: numbers in the journals.
    births: u64,
    sequence: u64,
    /// The hosts that are looked at; all if `None`.
    few: Option<Few>,
    /// For each set of kinds, for each of these hosts, how many devices can serve any of them; 255 stands for more.
    columns: Vec<Column>,
    /// The hosts for which the count alone proves nothing.
    complex: HostSet,
}

/// Some hosts, each with its place in the columns.
#[derive(Clone, Debug, Default)]
struct Few {
    ids: Vec<u32>,
    places: HashMap<u32, usize>,
}

impl Few {
    /// The place of a host, which it gets if need be.
    fn place(&mut self, id: u32) -> usize {
        *self.places.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.ids.len() - 1
        })
    }
}

impl Plan {
    pub(super) fn is_for(&self, counting: &Counting) -> bool {
        let (own, other) = (&self.kinds, &counting.kinds);
        own.cells() == other.cells()
            && own.requests.len() == other.requests.len()
            && own.requests.iter().zip(&other.requests).all(|(a, b)| is_kind(a, b))
    }

    pub(super) fn new(fleet: &Fleet, counting: &Counting) -> Self {
        let sets = (1 << counting.wanted.len()) - 1;
        let mut plan = Plan {
            kinds: counting.kinds.clone(),
            masks: Vec::new(),
            roles: Vec::new(),
            coupled: false,
            births: fleet.classes.births().end(),
            sequence: fleet.sequence(),
            few: None,
            columns: vec![Column::default(); sets],
            complex: HostSet::new(),
        };
        plan.judge(fleet, 0..fleet.classes.len() as u32);
        match plan.few(fleet) {
            Some(ids) => {
                plan.few = Some(Few {
                    ids: Vec::with_capacity(ids.len()),
                    places: HashMap::with_capacity(ids.len()),
                });
                plan.count_few(fleet, &ids);
            }
            None => {
                plan.columns.iter_mut().for_each(|column| column.grow(fleet.id_bound() as usize));
                (0..fleet.id_bound()).for_each(|id| plan.count(fleet, id, fleet.rows.lanes(id)));
            }
        }
        plan
    }

    /// Brings the plan to the state of the fleet; `false` if that is not worth it any more.
    pub(super) fn repair(&mut self, fleet: &Fleet) -> bool {
        let (Some(births), Some(changes)) =
            (fleet.classes.births().since(self.births), fleet.journal.since(self.sequence))
        else {
            return false;
        };
        if changes.len() > fleet.rows.len() / 8 + 64 || births.len() > fleet.classes.len() / 4 + 64 {
            return false;
        }
        self.judge(fleet, births.iter().copied());
        changes.iter().for_each(|&id| self.count(fleet, id, fleet.rows.lanes(id)));
        if self.few.as_ref().is_some_and(|few| few.ids.len() > 4096.max(fleet.rows.len() / 8)) {
            return false;
        }
        (self.births, self.sequence) = (fleet.classes.births().end(), fleet.sequence());
        true
    }

    /// Finds out which kinds these classes can serve.
    fn judge(&mut self, fleet: &Fleet, classes: impl Iterator<Item = u32>) {
        let pools = Pools::default();
        let kinds = std::mem::take(&mut self.kinds);
        let prepared: Vec<Prepared<'_>> =
            kinds.requests.iter().map(|kind| Prepared::new(&pools, &kinds, kind, 0, kinds.cells())).collect();
        self.masks.resize(fleet.classes.len(), 0);
        self.roles.resize(fleet.classes.len(), 0);
        for class in classes {
            let Some(pool) = fleet.classes.get(class).map(|class| &class.pool) else { continue };
            let serves = |(kind, request): (usize, &Prepared<'_>)| u8::from(request.allows(pool)) << kind;
            let mask = prepared.iter().enumerate().map(serves).sum::<u8>();
            let role = match pool.dev_type() {
                Some(DeviceType::Pf) => PHYSICAL,
                Some(DeviceType::Vf | DeviceType::Vdpa) => VIRTUAL,
                _ => 0,
            };
            let group = if pool.attributes.text(DEVICE_GROUP).is_some() { GROUPED } else { 0 };
            self.masks[class as usize] = mask;
            self.roles[class as usize] = role | group;
            self.coupled |= mask != 0 && (role | group) & (PHYSICAL | GROUPED) != 0;
        }
        drop(prepared);
        self.kinds = kinds;
    }

    /// The hosts that have any class for the rarest kind, if they are few and listed.
    fn few(&self, fleet: &Fleet) -> Option<Vec<u32>> {
        let hosts = fleet.rows.len();
        let mut best: Option<(u64, Vec<u32>)> = None;
        for kind in 0..self.kinds.requests.len() {
            let classes: Vec<u32> = (0..)
                .zip(&self.masks)
                .filter(|(_, mask)| **mask >> kind & 1 == 1)
                .map(|(class, _)| class)
                .collect();
            let uses = classes.iter().map(|&class| fleet.classes.uses(class)).sum::<u64>();
            let listed = classes.iter().all(|&class| fleet.lists.get(class).is_some());
            if listed
                && uses as usize <= hosts / SPARSE
                && best.as_ref().is_none_or(|(least, _)| uses < *least)
            {
                best = Some((uses, classes));
            }
        }
        let (_, classes) = best?;
        let mut ids: Vec<u32> =
            classes.iter().filter_map(|&class| fleet.lists.get(class)).flatten().copied().collect();
        // Hosts mostly come in their order, which this sort makes use of.
        ids.sort();
        ids.dedup();
        Some(ids)
    }

    /// Counts hosts that lie far apart: their rows are fetched some at a time, so that the waits for memory overlap.
    fn count_few(&mut self, fleet: &Fleet, ids: &[u32]) {
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        for ids in ids.chunks(64) {
            rows.clear();
            ends.clear();
            for &id in ids {
                rows.extend_from_slice(fleet.rows.lanes(id));
                ends.push(rows.len());
            }
            let mut start = 0;
            for (&id, &end) in ids.iter().zip(&ends) {
                self.count(fleet, id, &rows[start..end]);
                start = end;
            }
        }
    }

    /// Counts one host anew, from its row.
    fn count(&mut self, fleet: &Fleet, id: u32, row: &[u32]) {
        let place = match &mut self.few {
            Some(few) => few.place(id),
            None => id as usize,
        };
        let mut parts = [0_u32; 1 << MAX_KINDS];
        let mut roles = 0;
        for &lane in row {
            let class = (lane >> 8) as usize;
            let mask = self.masks[class];
            if mask != 0 {
                parts[mask as usize] += lane & 255;
                roles |= self.roles[class];
            }
        }
        for (set, column) in (1..).zip(&mut self.columns) {
            let serving = |&(mask, _): &(usize, &u32)| mask & set != 0;
            let count: u32 = parts.iter().enumerate().filter(serving).map(|(_, count)| count).sum();
            column.grow(place + 1);
            column.set(place, count.min(255) as u8);
        }
        if self.coupled {
            let exclusive = roles & (PHYSICAL | VIRTUAL) == PHYSICAL | VIRTUAL && self.excludes(fleet, id);
            if roles & GROUPED != 0 || exclusive {
                self.complex.insert(id);
            } else {
                self.complex.remove(id);
            }
        }
    }

    /// Whether a card of the host has both its PF and VFs free, and requests that would take them.
    fn excludes(&self, fleet: &Fleet, id: u32) -> bool {
        let of_role = |role: u8| {
            fleet.rows.slots(id).filter(move |slot| {
                let class = slot.class as usize;
                slot.count > 0 && self.masks[class] != 0 && self.roles[class] & role != 0
            })
        };
        let card = |class: u32| fleet.classes.pool(class).attributes.text("address");
        of_role(PHYSICAL).any(|physical| {
            card(physical.class)
                .is_some_and(|own| of_role(VIRTUAL).any(|other| card(other.class) == Some(own)))
        })
    }

    /// The hosts that can serve all kinds by their count, and those of them that need a closer look.
    pub(super) fn passing(&self, fleet: &Fleet, counting: &Counting) -> (HostSet, HostSet) {
        let needs = counting.needs();
        // Where more than 255 are wanted, a full column says only that there may be enough.
        let exact = needs.iter().all(|&need| need <= 255);
        let bounds: Vec<u8> = needs.iter().map(|&need| need.min(255) as u8).collect();
        let words = columns::at_least(&self.columns, &bounds);
        let mut passing = match &self.few {
            None => HostSet::from_words(words),
            Some(few) => {
                let mut passing = HostSet::with_room(fleet.id_bound());
                HostSet::from_words(words).iter().for_each(|place| {
                    passing.insert(few.ids[place as usize]);
                });
                passing
            }
        };
        let mut open = HostSet::new();
        match counting.proof {
            _ if !exact => {
                let wrong: Vec<u32> = passing.iter().filter(|&id| !self.has(fleet, id, &needs)).collect();
                passing.remove_all(&wrong);
                if counting.proof != Proof::Fits {
                    open = passing.clone();
                }
            }
            Proof::Fits => {}
            Proof::FitsIfSimple => {
                open = self.complex.clone();
                open.intersect(&passing);
            }
            Proof::InTurn => {
                let wrong: Vec<u32> =
                    passing.iter().filter(|&id| !self.serves_in_turn(fleet, id, &counting.order)).collect();
                passing.remove_all(&wrong);
            }
            Proof::Nothing => open = passing.clone(),
        }
        (passing, open)
    }

    /// Whether a host has what each set of kinds wants, whatever the counts.
    fn has(&self, fleet: &Fleet, id: u32, needs: &[u64]) -> bool {
        let mut parts = [0_u64; 1 << MAX_KINDS];
        for slot in fleet.rows.slots(id) {
            parts[self.masks[slot.class as usize] as usize] += u64::from(slot.count);
        }
        (1..).zip(needs).all(|(set, &need)| {
            let serving = |&(mask, _): &(usize, &u64)| mask & set != 0;
            parts.iter().enumerate().filter(serving).map(|(_, count)| count).sum::<u64>() >= need
        })
    }

    /// Serves one request after the other from the pools in their order, as Nova does for a guest without NUMA cells.
    fn serves_in_turn(&self, fleet: &Fleet, id: u32, order: &[(usize, u32)]) -> bool {
        let mut slots: Vec<(u8, u32)> =
            fleet.rows.slots(id).map(|slot| (self.masks[slot.class as usize], slot.count)).collect();
        order.iter().all(|&(kind, count)| {
            let mut missing = count;
            for (mask, left) in &mut slots {
                if *mask >> kind & 1 == 1 {
                    let taken = missing.min(*left);
                    *left -= taken;
                    missing -= taken;
                }
            }
            missing == 0
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum::<usize>()
            + self.few.as_ref().map_or(0, |few| few.ids.capacity() * 4 + few.places.capacity() * 17)
            + self.masks.capacity() * 2
            + self.complex.bytes()
    }
}
