//! Counting: how many devices of each host could serve which of a workload's requests, as columns of bytes.
//!
//! A class of pools can serve some of the requests. For each set of requests a column holds, for every host, how many
//! devices can serve any of them; by Hall's theorem a host can serve all requests exactly if no set of them needs more
//! than that. The columns do not depend on how many devices the requests want, so that one plan answers for all counts,
//! and each host's entries depend on its own row only, so that a plan is repaired host by host.

use std::sync::Arc;

use super::Fleet;
use super::columns::{self, BLOCK, Column};
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
pub(super) struct Counting<'a> {
    /// The NUMA cells that the guest would run on.
    cells: &'a [u32],
    /// The first request of each kind; with the cells, what tells two plans apart.
    kinds: Vec<&'a Request>,
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

impl<'a> Counting<'a> {
    /// What can be counted of a workload; `None` if that is nothing.
    pub(super) fn of(workload: &'a Workload) -> Option<Self> {
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
        let mut kinds: Vec<&Request> = Vec::new();
        let mut wanted: Vec<u64> = Vec::new();
        let mut order = Vec::new();
        for request in workload.requests.iter().filter(|request| request.otherwise.is_empty()) {
            let kind = match kinds.iter().position(|kind| is_kind(kind, request)) {
                Some(kind) => kind,
                None if wanted.len() == MAX_KINDS => continue,
                None => {
                    kinds.push(request);
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
        Some(Counting { cells, kinds, wanted, order, proof })
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
        && kind.source == request.source
}

/// The columns for the kinds of request of a workload, as of some state of the fleet.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// One request of one device for each kind.
    kinds: Workload,
    /// For each class, what it can serve.
    table: Table,
    /// Whether any class has a role that may couple it with another.
    coupled: bool,
    /// The classes and the rows that are heeded: numbers in the journals.
    births: u64,
    sequence: u64,
    /// The hosts that are looked at, in ascending order; all if `None`. The others lack what some kind wants.
    few: Option<Arc<[u32]>>,
    /// For each set of kinds, for each of these hosts, how many devices can serve any of them; 255 stands for more.
    columns: Vec<Column>,
    /// The hosts for which the count alone proves nothing.
    complex: HostSet,
}

/// What each class of pools is to some kinds of request.
#[derive(Clone, Debug, Default)]
struct Table {
    /// The set of kinds that the class can serve.
    masks: Vec<u8>,
    /// If it can serve any, what the class is to SR-IOV and groups.
    roles: Vec<u8>,
    /// So many words of four numbers hold a number for each set of kinds.
    words: usize,
    /// In such words, for each class and each set of kinds, 1 if it counts for the set and 0 if not.
    adds: Vec<u64>,
}

impl Table {
    fn new(kinds: usize) -> Self {
        Table { words: (1_usize << kinds).div_ceil(4), ..Table::default() }
    }

    fn grow(&mut self, classes: usize) {
        self.masks.resize(classes, 0);
        self.roles.resize(classes, 0);
        self.adds.resize(classes * self.words, 0);
    }

    fn set(&mut self, class: usize, mask: u8, role: u8) {
        (self.masks[class], self.roles[class]) = (mask, if mask == 0 { 0 } else { role });
        for (at, word) in self.adds[class * self.words..][..self.words].iter_mut().enumerate() {
            let counts = |number: usize| u64::from(usize::from(mask) & (at * 4 + number + 1) != 0);
            *word = (0..4).map(|number| counts(number) << (16 * number)).sum();
        }
    }

    /// For each set of kinds how many devices of a row can serve any of them, in words of four numbers; set `s` is number
    /// `s - 1`.
    #[inline(always)]
    fn count<const WORDS: usize>(adds: &[[u64; WORDS]], row: &[u32]) -> [u64; WORDS] {
        let sum = |lanes: &[u32]| {
            let mut sums = [0_u64; WORDS];
            let mut add = |lane: &u32| {
                let add = &adds[(lane >> 8) as usize];
                sums.iter_mut().zip(add).for_each(|(sum, add)| *sum += add * u64::from(lane & 255));
            };
            // Eight in a turn: in a sandbox every turn of a loop looks whether time is up.
            let (eights, rest) = lanes.as_chunks::<8>();
            for eight in eights {
                eight.iter().for_each(&mut add);
            }
            rest.iter().for_each(add);
            sums
        };
        // Within so many pools no number is over 16 bits.
        if row.len() <= 256 {
            return sum(row);
        }
        let capped = |word: u64| (0..4).map(|n| u64::from(capped(word, n)) << (16 * n)).sum::<u64>();
        row.chunks(256).map(sum).fold([0; WORDS], |mut sums, more| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = capped(*sum) + capped(more));
            sums
        })
    }
}

/// A number of a word, up to 255.
#[inline(always)]
fn capped(word: u64, number: usize) -> u8 {
    ((word >> (16 * number)) as u16).min(255) as u8
}

impl Plan {
    pub(super) fn is_for(&self, counting: &Counting<'_>) -> bool {
        self.kinds.cells() == counting.cells
            && self.kinds.requests.len() == counting.kinds.len()
            && self.kinds.requests.iter().zip(&counting.kinds).all(|(kind, request)| is_kind(kind, request))
    }

    pub(super) fn new(fleet: &Fleet, counting: &Counting<'_>) -> Self {
        let sets = (1 << counting.wanted.len()) - 1;
        let kind = |request: &&Request| Request {
            alternatives: request.alternatives.clone(),
            numa_policy: request.numa_policy,
            // What a port names of Placement's providers is not heeded.
            source: request.source,
            ..Request::default()
        };
        let mut plan = Plan {
            kinds: Workload {
                requests: counting.kinds.iter().map(kind).collect(),
                numa_cells: Some(counting.cells.to_vec()),
                ..Workload::default()
            },
            table: Table::new(counting.wanted.len()),
            coupled: false,
            births: fleet.classes.births().end(),
            sequence: fleet.sequence(),
            few: None,
            columns: vec![Column::default(); sets],
            complex: HostSet::new(),
        };
        plan.judge(fleet, 0..fleet.classes.len() as u32);
        plan.few = plan.find_few(fleet);
        let places = plan.few.as_ref().map_or(fleet.rows.len(), |few| few.len());
        plan.columns.iter_mut().for_each(|column| column.grow(places));
        match plan.table.words {
            1 => plan.fill::<1>(fleet, places),
            2 => plan.fill::<2>(fleet, places),
            _ => plan.fill::<{ (1 << MAX_KINDS) / 4 }>(fleet, places),
        }
        if plan.coupled {
            (0..places).for_each(|place| {
                let id = plan.few.as_ref().map_or(place as u32, |few| few[place]);
                plan.note_roles(fleet, id);
            });
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
        if !births.is_empty() {
            self.judge(fleet, births.iter().copied());
        }
        let mut more = Vec::new();
        for &id in changes {
            let counts = self.counts(fleet.rows.lanes(id));
            let place = match &self.few {
                None => Ok(id as usize),
                Some(few) => few.binary_search(&id),
            };
            match place {
                Ok(place) => self.store(place, &counts),
                // Who has nothing at all of a kind need not be looked at.
                Err(_) if (0..self.kinds.requests.len()).any(|kind| counts[(1 << kind) - 1] == 0) => continue,
                Err(_) => more.push((id, counts)),
            }
            if self.coupled {
                self.note_roles(fleet, id);
            }
        }
        if !more.is_empty() && !self.widen(more, 4096.max(fleet.rows.len() / 8)) {
            return false;
        }
        (self.births, self.sequence) = (fleet.classes.births().end(), fleet.sequence());
        true
    }

    /// Looks at more hosts than before, if these are not too many then.
    fn widen(&mut self, mut more: Vec<(u32, [u8; 1 << MAX_KINDS])>, most: usize) -> bool {
        let Some(old) = self.few.take() else { return false };
        more.sort_unstable();
        more.dedup();
        if old.len() + more.len() > most {
            return false;
        }
        let known = old.iter().zip(0..).map(|(&id, place)| (id, Err(place)));
        let mut all: Vec<(u32, Result<_, usize>)> =
            known.chain(more.into_iter().map(|(id, counts)| (id, Ok(counts)))).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        let columns = self.columns.clone();
        for (place, (_, from)) in all.iter().enumerate() {
            match from {
                Ok(counts) => self.store(place, counts),
                Err(from) => {
                    let counts: Vec<u8> = columns.iter().map(|column| column.get(*from)).collect();
                    self.store(place, &counts);
                }
            }
        }
        self.few = Some(all.iter().map(|(id, _)| *id).collect());
        true
    }

    /// Finds out which kinds these classes can serve.
    fn judge(&mut self, fleet: &Fleet, classes: impl Iterator<Item = u32>) {
        let pools = Pools::default();
        let kinds = std::mem::take(&mut self.kinds);
        let prepared: Vec<Prepared<'_>> =
            kinds.requests.iter().map(|kind| Prepared::new(&pools, &kinds, kind, 0, kinds.cells())).collect();
        self.table.grow(fleet.classes.len());
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
            self.table.set(class as usize, mask, role | group);
            self.coupled |= mask != 0 && (role | group) & (PHYSICAL | GROUPED) != 0;
        }
        drop(prepared);
        self.kinds = kinds;
    }

    /// The hosts that have any class for the rarest kind, if they are few and listed.
    fn find_few(&self, fleet: &Fleet) -> Option<Arc<[u32]>> {
        let hosts = fleet.rows.len();
        let mut best: Option<(u64, Vec<&Vec<u32>>)> = None;
        for kind in 0..self.kinds.requests.len() {
            let classes = (0..).zip(&self.table.masks).filter(|(_, mask)| **mask >> kind & 1 == 1);
            let (mut uses, mut lists) = (0, Some(Vec::new()));
            for (class, _) in classes {
                uses += fleet.classes.uses(class);
                lists = lists.zip(fleet.lists.get(class)).map(|(mut lists, list)| {
                    lists.push(list);
                    lists
                });
            }
            if let Some(lists) = lists
                && uses as usize <= hosts / SPARSE
                && best.as_ref().is_none_or(|(least, _)| uses < *least)
            {
                best = Some((uses, lists));
            }
        }
        let (_, lists) = best?;
        let few: HostSet = lists.into_iter().flatten().copied().collect();
        Some(few.ids().into())
    }

    /// Counts all hosts that are looked at, of which there are so many.
    fn fill<const WORDS: usize>(&mut self, fleet: &Fleet, places: usize) {
        let adds = self.table.adds.as_chunks::<WORDS>().0;
        let (mut near, mut ends) = (Vec::new(), Vec::new());
        for first in (0..places).step_by(BLOCK) {
            let mut counts = [[0; BLOCK]; 1 << MAX_KINDS];
            let mut count = |place: usize, row: &[u32]| {
                let sums = Table::count(adds, row);
                for number in 0..4 * WORDS {
                    counts[number][columns::within(place)] = capped(sums[number / 4], number % 4);
                }
            };
            let block = first..places.min(first + BLOCK);
            match &self.few {
                None => block.for_each(|id| count(id, fleet.rows.lanes(id as u32))),
                Some(few) => {
                    fleet.rows.gather(&few[block.clone()], &mut near, &mut ends);
                    let mut start = 0;
                    for (place, &end) in block.zip(&ends) {
                        count(place, &near[start..end]);
                        start = end;
                    }
                }
            }
            for (column, counts) in self.columns.iter_mut().zip(&counts) {
                column.set_block(first / BLOCK, counts);
            }
        }
    }

    /// Counts one row.
    fn counts(&self, row: &[u32]) -> [u8; 1 << MAX_KINDS] {
        fn of<const WORDS: usize>(adds: &[u64], row: &[u32]) -> [u8; 1 << MAX_KINDS] {
            let sums = Table::count(adds.as_chunks::<WORDS>().0, row);
            std::array::from_fn(|number| sums.get(number / 4).map_or(0, |word| capped(*word, number % 4)))
        }
        match self.table.words {
            1 => of::<1>(&self.table.adds, row),
            2 => of::<2>(&self.table.adds, row),
            _ => of::<{ (1 << MAX_KINDS) / 4 }>(&self.table.adds, row),
        }
    }

    fn store(&mut self, place: usize, counts: &[u8]) {
        for (column, count) in self.columns.iter_mut().zip(counts) {
            column.grow(place + 1);
            column.set(place, *count);
        }
    }

    /// Notes whether the count proves anything about a host.
    fn note_roles(&mut self, fleet: &Fleet, id: u32) {
        let lanes = fleet.rows.lanes(id).iter();
        let roles = lanes.fold(0, |roles, lane| roles | self.table.roles[(lane >> 8) as usize]);
        let exclusive = roles & (PHYSICAL | VIRTUAL) == PHYSICAL | VIRTUAL && self.excludes(fleet, id);
        if roles & GROUPED != 0 || exclusive {
            self.complex.insert(id);
        } else {
            self.complex.remove(id);
        }
    }

    /// Whether a card of the host has both its PF and VFs free, and requests that would take them.
    fn excludes(&self, fleet: &Fleet, id: u32) -> bool {
        let of_role = |role: u8| {
            fleet.rows.slots(id).filter(move |slot| {
                let class = slot.class as usize;
                slot.count > 0 && self.table.roles[class] & role != 0
            })
        };
        let card = |class: u32| fleet.classes.pool(class).attributes.text("address");
        of_role(PHYSICAL).any(|physical| {
            card(physical.class)
                .is_some_and(|own| of_role(VIRTUAL).any(|other| card(other.class) == Some(own)))
        })
    }

    /// The hosts that can serve all kinds by their count, and those of them that need a closer look.
    pub(super) fn passing(&self, fleet: &Fleet, counting: &Counting<'_>) -> (HostSet, HostSet) {
        let needs = counting.needs();
        // Where more than 255 are wanted, a full column says only that there may be enough.
        let exact = needs.iter().all(|&need| need <= 255);
        let bounds: Vec<u8> = needs.iter().map(|&need| need.min(255) as u8).collect();
        let words = columns::at_least(&self.columns, &bounds);
        let mut passing = match &self.few {
            None => HostSet::from_words(words),
            Some(few) => HostSet::of_listed(Arc::clone(few), words),
        };
        let mut open = HostSet::new();
        match counting.proof {
            _ if !exact => {
                let wrong: Vec<u32> = passing.iter().filter(|&id| !self.has(fleet, id, &needs)).collect();
                passing.remove_all(wrong);
                if counting.proof != Proof::Fits {
                    open = passing.clone();
                }
            }
            Proof::Fits => {}
            Proof::FitsIfSimple => {
                open = self.complex.clone();
                open.intersect(&passing);
            }
            // Where no device can serve two kinds of request, the order makes no difference.
            Proof::InTurn if self.table.masks.iter().all(|mask| mask.count_ones() < 2) => {}
            Proof::InTurn => {
                let wrong: Vec<u32> =
                    passing.iter().filter(|&id| !self.serves_in_turn(fleet, id, &counting.order)).collect();
                passing.remove_all(wrong);
            }
            Proof::Nothing => open = passing.clone(),
        }
        (passing, open)
    }

    /// Whether a host has what each set of kinds wants, whatever the counts.
    fn has(&self, fleet: &Fleet, id: u32, needs: &[u64]) -> bool {
        let mut parts = [0_u64; 1 << MAX_KINDS];
        for slot in fleet.rows.slots(id) {
            parts[self.table.masks[slot.class as usize] as usize] += u64::from(slot.count);
        }
        (1..).zip(needs).all(|(set, &need)| {
            let serving = |&(mask, _): &(usize, &u64)| mask & set != 0;
            parts.iter().enumerate().filter(serving).map(|(_, count)| count).sum::<u64>() >= need
        })
    }

    /// Serves one request after the other from the pools in their order, as Nova does for a guest without NUMA cells.
    fn serves_in_turn(&self, fleet: &Fleet, id: u32, order: &[(usize, u32)]) -> bool {
        let mut slots: Vec<(u8, u32)> =
            fleet.rows.slots(id).map(|slot| (self.table.masks[slot.class as usize], slot.count)).collect();
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
            + self.few.as_ref().map_or(0, |few| few.len() * 4)
            + self.table.masks.capacity() * 2
            + self.table.adds.capacity() * 8
            + self.complex.bytes()
    }
}
