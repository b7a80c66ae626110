//! The oracle: decides small hosts by trying every assignment of devices to requests.
//!
//! It shares no code with the engine and knows no pools: it looks at single devices and at the documented rules, one
//! sentence each. It is slow on purpose.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::{
    Assignment, Constraint, Device, DeviceType, ExtraInfo, NumaPolicy, NumaTopology, PLACEMENT_KEYS,
    PciAddress, Pool, Preference, Relation, Request, RequestSource, Workload,
};

use crate::generate::Host;

/// A question to the oracle: the free devices of a host, and a workload.
#[derive(Debug)]
pub struct Question<'a> {
    /// The host.
    pub host: &'a Host,
    /// The devices that nobody holds, that nothing held excludes, and whose group is whole.
    pub free: Vec<&'a Device>,
    /// What is asked for.
    pub workload: &'a Workload,
    /// What a constraint can ask each free device for.
    values: Vec<BTreeMap<String, Option<String>>>,
    constraints: Vec<Constraint>,
}

/// One device that is asked for: by which request, and from which provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Unit<'a> {
    request: usize,
    provider: Option<&'a str>,
}

/// What is tried: an option for each request of the workload, and the guest's cells.
#[derive(Clone, Debug)]
pub struct Setting {
    /// For each request 0 for what it asks for first, 1 for its first fallback, and so on.
    pub options: Vec<usize>,
    /// The guest's NUMA cells.
    pub cells: Vec<u32>,
    /// How many devices may be on other cells, where the guest's are chosen.
    pub most_far: usize,
}

/// Devices given to units, as indices into the free devices.
type Taken<'a> = Vec<(Unit<'a>, usize)>;

impl<'a> Question<'a> {
    /// The question whether `workload` fits `host` while the devices in `held` are held by others.
    #[must_use]
    pub fn new(host: &'a Host, held: &[Device], workload: &'a Workload) -> Self {
        let blocks = |holding: &Device, device: &Device| {
            holding.address == device.address || excludes(holding, device)
        };
        let alone = |device: &Device| !held.iter().any(|holding| blocks(holding, device));
        let group = |device: &Device| host.tags[&device.address].text("device_group");
        let whole = |device: &Device| {
            group(device).is_none()
                || host.devices.iter().filter(|other| group(other) == group(device)).all(alone)
        };
        let free: Vec<&Device> =
            host.devices.iter().filter(|device| alone(device) && whole(device)).collect();
        let values = free
            .iter()
            .map(|device| {
                let mut all = attributes(device, &host.tags[&device.address]);
                all.insert("numa_node".to_owned(), device.numa_node.map(|node| node.to_string()));
                for (key, text) in device.extra_info.iter() {
                    all.entry(key.to_owned()).or_insert_with(|| text.map(str::to_owned));
                }
                all
            })
            .collect();
        let mut constraints = workload.constraints.clone();
        for (index, request) in workload.requests.iter().enumerate() {
            let mut add = |relation, key: &str| {
                constraints.push(Constraint { requests: vec![index], relation, key: key.to_owned() });
            };
            request.same.iter().for_each(|key| add(Relation::Same, key));
            request.distinct.iter().for_each(|key| add(Relation::Distinct, key));
            if request.isolate {
                add(Relation::Distinct, "address");
            }
        }
        Question { host, free, workload, values, constraints }
    }

    /// Whether there is an assignment for the requests of these indices.
    #[must_use]
    pub fn feasible(&self, requests: &[usize]) -> bool {
        self.cells().into_iter().any(|cells| self.first_options(requests, &cells).is_some())
    }

    /// The cells that the guest may have, in the order in which they are to be tried.
    fn cells(&self) -> Vec<Vec<u32>> {
        let Some(choice) = &self.workload.numa_cells_from else {
            return vec![self.workload.numa_cells.clone().unwrap_or_default()];
        };
        // All subsets, of which those of the right size are kept; a subset that has an earlier cell comes first.
        let mut subsets: Vec<Vec<u32>> = vec![Vec::new()];
        for &cell in choice.from.iter().rev() {
            let with: Vec<Vec<u32>> =
                subsets.iter().map(|subset| [vec![cell], subset.clone()].concat()).collect();
            subsets = [with, subsets].concat();
        }
        subsets.retain(|subset| subset.len() == choice.count);
        subsets
    }

    /// The first options, in lexicographic order, under which these requests can be served.
    fn first_options(&self, requests: &[usize], cells: &[u32]) -> Option<Setting> {
        let setting = |options| Setting { options, cells: cells.to_vec(), most_far: usize::MAX };
        let all = self.all_options(requests);
        all.into_iter().map(setting).find(|setting| self.servable(setting, requests))
    }

    /// All options that these requests may have, in lexicographic order, and the first of the others.
    fn all_options(&self, requests: &[usize]) -> Vec<Vec<usize>> {
        let mut all: Vec<Vec<usize>> = vec![Vec::new()];
        for (index, request) in self.workload.requests.iter().enumerate() {
            let options = if requests.contains(&index) { 1 + request.otherwise.len() } else { 1 };
            all = all
                .iter()
                .flat_map(|start| (0..options).map(|o| [start.clone(), vec![o]].concat()))
                .collect();
        }
        all
    }

    fn servable(&self, setting: &Setting, requests: &[usize]) -> bool {
        let units: Vec<Unit<'_>> = requests.iter().flat_map(|&r| self.units(r, setting)).collect();
        self.extend(setting, requests, &units, &mut Vec::new(), 0)
    }

    /// Tries every free device for the first of `units`, beside what is taken.
    ///
    /// `taken[..fixed]` is given. Two equal units may be exchanged, so that for the others it is enough to try one of
    /// the two orders.
    fn extend(
        &self,
        setting: &Setting,
        requests: &[usize],
        units: &[Unit<'a>],
        taken: &mut Taken<'a>,
        fixed: usize,
    ) -> bool {
        let Some((unit, rest)) = units.split_first() else {
            return self.far(setting, taken) <= setting.most_far
                && self.groups_are_whole(setting, requests, taken);
        };
        let first = match taken[fixed..].last() {
            Some((last, device)) if last == unit => device + 1,
            _ => 0,
        };
        (first..self.free.len()).any(|candidate| {
            if !self.may_join(setting, unit, candidate, taken) {
                return false;
            }
            taken.push((*unit, candidate));
            let found = self.extend(setting, requests, rest, taken, fixed);
            taken.pop();
            found
        })
    }

    /// Every set of devices with which all requests can be served, with those that come along.
    #[must_use]
    pub fn uses(&self) -> BTreeSet<BTreeSet<PciAddress>> {
        let all: Vec<usize> = (0..self.workload.requests.len()).collect();
        let mut uses = BTreeSet::new();
        for options in self.all_options(&all) {
            for cells in self.cells() {
                let setting = Setting { options: options.clone(), cells, most_far: usize::MAX };
                let units: Vec<Unit<'_>> = all.iter().flat_map(|&r| self.units(r, &setting)).collect();
                let mut ways: Vec<Taken<'a>> = vec![Vec::new()];
                for unit in units {
                    let with = |taken: &Taken<'a>| -> Vec<Taken<'a>> {
                        let free = (0..self.free.len()).filter(|&d| self.may_join(&setting, &unit, d, taken));
                        free.map(|device| [&taken[..], &[(unit, device)]].concat()).collect()
                    };
                    ways = ways.iter().flat_map(with).collect();
                    // In which order devices were taken makes no difference to what is used.
                    ways.iter_mut().for_each(|way| way.sort_by_key(|(unit, device)| (unit.request, *device)));
                    ways.sort_by_key(|way| {
                        way.iter().map(|(unit, d)| (unit.request, *d)).collect::<Vec<_>>()
                    });
                    ways.dedup_by(|a, b| a == b);
                }
                for taken in ways.iter().filter(|taken| self.groups_are_whole(&setting, &all, taken)) {
                    let devices = taken.iter().map(|(_, device)| *device).chain(self.members(taken));
                    uses.insert(devices.map(|device| self.free[device].address).collect());
                }
            }
        }
        uses
    }

    fn value(&self, device: usize, key: &str) -> Option<&str> {
        self.values[device].get(key)?.as_deref()
    }

    fn covering(&self, request: usize) -> impl Iterator<Item = &Constraint> {
        self.constraints.iter().filter(move |constraint| constraint.requests.contains(&request))
    }

    /// Whether a device can serve a unit when nothing else is taken.
    fn can_serve(&self, setting: &Setting, unit: &Unit<'_>, device: usize) -> bool {
        self.usable(unit, self.free[device], setting)
            && self.covering(unit.request).all(|c| self.value(device, &c.key).is_some())
    }

    /// Whether a device can serve a unit beside what is taken.
    fn may_join(&self, setting: &Setting, unit: &Unit<'_>, device: usize, taken: &Taken<'a>) -> bool {
        self.can_serve(setting, unit, device)
            && taken.iter().all(|(other_unit, other)| {
                let agrees = |c: &Constraint| {
                    let equal = self.value(*other, &c.key) == self.value(device, &c.key);
                    equal == (c.relation == Relation::Same)
                };
                *other != device
                    && !excludes(self.free[*other], self.free[device])
                    && self
                        .covering(unit.request)
                        .filter(|c| c.requests.contains(&other_unit.request))
                        .all(agrees)
            })
    }

    fn group(&self, device: usize) -> Option<&str> {
        self.host.tags[&self.free[device].address].text("device_group")
    }

    /// The other members of the groups of the devices that are taken.
    fn members(&self, taken: &Taken<'a>) -> Vec<usize> {
        let groups: BTreeSet<&str> = taken.iter().filter_map(|(_, device)| self.group(*device)).collect();
        (0..self.free.len())
            .filter(|device| self.group(*device).is_some_and(|group| groups.contains(group)))
            .filter(|device| !taken.iter().any(|(_, other)| other == device))
            .collect()
    }

    /// Whether any of the requests could use a device.
    fn wanted(&self, setting: &Setting, requests: &[usize], device: usize) -> bool {
        requests
            .iter()
            .any(|&r| self.units(r, setting).iter().any(|unit| self.can_serve(setting, unit, device)))
    }

    /// Whether every member of a group that is taken serves a request, or could serve none and comes along.
    fn groups_are_whole(&self, setting: &Setting, requests: &[usize], taken: &Taken<'a>) -> bool {
        let along = self.members(taken);
        let all: Vec<usize> = taken.iter().map(|(_, device)| *device).chain(along.iter().copied()).collect();
        along.iter().all(|&device| {
            !self.wanted(setting, requests, device)
                && !all.iter().any(|&other| excludes(self.free[other], self.free[device]))
        })
    }

    /// The assignment that the documented order chooses: the devices of each request in the order in which they are
    /// taken, and the setting. `pools` are the host's pools with their devices.
    #[must_use]
    pub fn choice(&self, pools: &[Pool]) -> Option<(Vec<Vec<PciAddress>>, Setting)> {
        let all: Vec<usize> = (0..self.workload.requests.len()).collect();
        let mut best: Option<(usize, Setting)> = None;
        for cells in self.cells() {
            let Some(mut setting) = self.first_options(&all, &cells) else { continue };
            if self.workload.numa_cells_from.is_some() {
                // The first choice of cells on which most devices are near; so many must then be.
                let wanted: usize = all.iter().map(|&r| self.units(r, &setting).len()).sum();
                let with = |most_far| Setting { most_far, ..setting.clone() };
                let fewest = (0..=wanted).find(|&most_far| self.servable(&with(most_far), &all));
                setting.most_far = fewest.unwrap_or(wanted);
                let near = wanted - setting.most_far;
                if best.as_ref().is_none_or(|(most, _)| near > *most) {
                    best = Some((near, setting));
                }
            } else {
                best = Some((0, setting));
            }
        }
        let (_, setting) = best?;
        let taken = self.choose(&setting, &self.bins(pools));
        let devices = |r: &usize| {
            let own = taken.iter().filter(|(unit, _)| unit.request == *r);
            own.map(|(_, device)| self.free[*device].address).collect()
        };
        Some((all.iter().map(devices).collect(), setting))
    }

    /// How many of the devices that are taken are not on the guest's cells.
    fn far(&self, setting: &Setting, taken: &Taken<'a>) -> usize {
        taken.iter().filter(|(unit, device)| self.near(unit.request, *device, setting) > 0).count()
    }

    /// Free devices in the order in which pools hand them out; those of a pool that look the same to the workload are
    /// together.
    fn bins(&self, pools: &[Pool]) -> Vec<Bin> {
        let mut keys: Vec<&str> = self.constraints.iter().map(|c| c.key.as_str()).collect();
        keys.extend(
            self.workload.requests.iter().flat_map(|request| &request.prefer_same).map(String::as_str),
        );
        if self.workload.prefer == Preference::Spread {
            keys.push(self.spread_key());
        }
        let mut bins: Vec<Bin> = Vec::new();
        for (p, pool) in pools.iter().enumerate() {
            for address in pool.devices.iter().rev() {
                let Some(device) = self.free.iter().position(|d| d.address == *address) else { continue };
                let look: Vec<_> =
                    keys.iter().map(|key| self.value(device, key).map(str::to_owned)).collect();
                let alike = |bin: &&mut Bin| {
                    let tier = |device: usize| self.tier(device);
                    bin.pool == p && bin.look == look && tier(bin.devices[0]) == tier(device)
                };
                match bins.iter_mut().find(alike) {
                    Some(bin) => bin.devices.push(device),
                    None => bins.push(Bin {
                        pool: p,
                        attributes: pool.attributes.len() + usize::from(pool.provider.is_some()),
                        look,
                        devices: vec![device],
                    }),
                }
            }
        }
        bins
    }

    /// Where a device stands in the order of those that the workload prefers.
    fn tier(&self, device: usize) -> usize {
        let named = |devices: &Vec<PciAddress>| devices.contains(&self.free[device].address);
        self.workload.prefer_devices.iter().position(named).unwrap_or(usize::MAX)
    }

    fn spread_key(&self) -> &str {
        self.workload.spread_over.as_deref().unwrap_or("address")
    }

    /// How near a device is: 0 on one of the guest's cells, 1 unknown or, for the policy that looks at sockets, on a
    /// shared socket, 2 elsewhere.
    fn near(&self, request: usize, device: usize, setting: &Setting) -> u8 {
        let looks_at_sockets = self.workload.requests[request].numa_policy == Some(NumaPolicy::Socket);
        let device = self.free[device];
        match device.numa_node {
            _ if setting.cells.is_empty() => 0,
            Some(node) if setting.cells.contains(&node) => 0,
            None => 1,
            Some(_) if looks_at_sockets => {
                2 - u8::from(shares_a_socket(device, &setting.cells, self.host.topology.as_ref()))
            }
            Some(_) => 2,
        }
    }

    /// Serves one request after the other, device by device, each time with the best with which the rest can be served.
    fn choose(&self, setting: &Setting, bins: &[Bin]) -> Taken<'a> {
        let all: Vec<usize> = (0..self.workload.requests.len()).collect();
        let mut taken: Taken<'a> = Vec::new();
        for request in 0..all.len() {
            let units = self.units(request, setting);
            let left = self.left(setting, &taken);
            let order: Vec<usize> = (0..bins.len())
                .filter(|&b| units.iter().any(|unit| self.can_serve(setting, unit, bins[b].devices[0])))
                .collect();
            let near = |b: usize| self.near(request, bins[b].devices[0], setting);
            let local: usize =
                order.iter().filter(|&&b| near(b) == 0).map(|&b| count_in(&bins[b], &left)).sum();
            let enough = local >= units.len();
            let is_stable = self.workload.prefer == Preference::Stable;
            // Nova takes devices of unknown node with the near ones if those do not suffice.
            let nearness = |b: usize| if is_stable && near(b) == 1 && !enough { 0 } else { near(b) };
            let islands = self.islands(request, setting, bins, &taken);
            let mut open = units.clone();
            while !open.is_empty() {
                let left = self.left(setting, &taken);
                let mut ranked: Vec<_> = order
                    .iter()
                    .enumerate()
                    .filter_map(|(at, &b)| {
                        // The devices of a bin are taken in their order.
                        let device = *bins[b].devices.iter().find(|device| left.contains(device))?;
                        let rank = self.rank(request, b, &islands, bins, &taken, &left);
                        Some(((nearness(b), rank), at, device))
                    })
                    .collect();
                ranked.sort();
                let later: Vec<Unit<'_>> =
                    (request + 1..all.len()).flat_map(|r| self.units(r, setting)).collect();
                // The units of a request differ in their provider only, which a device has one of.
                let choices = ranked.into_iter().filter_map(|(_, _, device)| {
                    let at = open.iter().position(|unit| self.may_join(setting, unit, device, &taken))?;
                    Some((at, device))
                });
                let chosen = choices.into_iter().find(|&(at, device)| {
                    let mut rest = open.clone();
                    let mut with = taken.clone();
                    with.push((rest.remove(at), device));
                    let fixed = with.len();
                    rest.extend(&later);
                    self.extend(setting, &all, &rest, &mut with, fixed)
                });
                match chosen {
                    Some((at, device)) => taken.push((open.remove(at), device)),
                    None => return taken,
                }
            }
        }
        taken
    }

    /// The devices that are neither taken nor excluded by what is taken or comes along.
    fn left(&self, setting: &Setting, taken: &Taken<'a>) -> Vec<usize> {
        let all: Vec<usize> = (0..self.workload.requests.len()).collect();
        let along = self.members(taken).into_iter().filter(|device| !self.wanted(setting, &all, *device));
        let gone: Vec<usize> = taken.iter().map(|(_, device)| *device).chain(along).collect();
        let is_taken = |device: usize| taken.iter().any(|(_, other)| *other == device);
        let excluded =
            |device: usize| gone.iter().any(|&other| excludes(self.free[other], self.free[device]));
        // A group that has lost a member is not handed out, nor is one with a PF and one of its own VFs.
        let broken = |device: usize| {
            let members: Vec<usize> = (0..self.free.len())
                .filter(|&other| self.group(device).is_some() && self.group(other) == self.group(device))
                .collect();
            let lost = !members.iter().any(|&m| is_taken(m)) && members.iter().any(|&m| excluded(m));
            let contradictory =
                members.iter().any(|&a| members.iter().any(|&b| excludes(self.free[a], self.free[b])));
            lost || contradictory
        };
        (0..self.free.len())
            .filter(|&device| !is_taken(device) && !excluded(device) && !broken(device))
            .collect()
    }

    /// For each preferred key the values in the order in which they are preferred: those with enough devices, the fewest
    /// first; then the others, the most first; then by first appearance.
    fn islands(&self, request: usize, setting: &Setting, bins: &[Bin], taken: &Taken<'a>) -> Vec<Vec<&str>> {
        let units = self.units(request, setting);
        let left = self.left(setting, taken);
        let keys = self.workload.requests[request].prefer_same.iter();
        keys.map(|key| {
            let mut free: Vec<(&str, usize)> = Vec::new();
            for bin in bins {
                let useful = left.iter().any(|device| {
                    bin.devices.contains(device)
                        && units.iter().any(|unit| self.may_join(setting, unit, *device, taken))
                });
                let Some(value) = self.value(bin.devices[0], key) else { continue };
                let count = if useful { count_in(bin, &left) } else { 0 };
                match free.iter_mut().find(|(other, _)| *other == value) {
                    Some((_, sum)) => *sum += count,
                    None => free.push((value, count)),
                }
            }
            free.retain(|(_, count)| *count > 0);
            // The sort is stable.
            free.sort_by_key(
                |&(_, count)| {
                    if count >= units.len() { (false, count) } else { (true, usize::MAX - count) }
                },
            );
            free.into_iter().map(|(value, _)| value).collect()
        })
        .collect()
    }

    /// How good a bin is among those that are as near, less being better: islands, preferred devices, attributes, and what
    /// is aimed at.
    fn rank(
        &self,
        request: usize,
        bin: usize,
        islands: &[Vec<&str>],
        bins: &[Bin],
        taken: &Taken<'a>,
        left: &[usize],
    ) -> (Vec<usize>, usize, usize, (usize, usize)) {
        let device = bins[bin].devices[0];
        let island = islands
            .iter()
            .zip(&self.workload.requests[request].prefer_same)
            .map(|(values, key)| {
                let value = self.value(device, key);
                values.iter().position(|other| Some(*other) == value).unwrap_or(usize::MAX)
            })
            .collect();
        let same = |key: &str, other: usize| self.value(other, key) == self.value(device, key);
        let aim = match self.workload.prefer {
            Preference::Stable => return (island, self.tier(device), 0, (0, 0)),
            Preference::Pack => {
                let own = self.free[device];
                let breaks_a_card = own.dev_type.has_parent()
                    && left.iter().any(|&other| Some(self.free[other].address) == own.parent_addr);
                (usize::from(breaks_a_card), left.iter().filter(|&&other| same("address", other)).count())
            }
            Preference::Spread => {
                let key = self.spread_key();
                let used = taken.iter().filter(|(_, other)| same(key, *other)).count();
                (used, usize::MAX - left.iter().filter(|&&other| same(key, other)).count())
            }
        };
        (island, self.tier(device), bins[bin].attributes, aim)
    }

    /// What is wrong with an assignment that the engine found; `None` if nothing is.
    #[must_use]
    pub fn fault(&self, assignment: &Assignment) -> Option<String> {
        if assignment.requests.len() != self.workload.requests.len() {
            return Some("the assignment has not one entry per request".to_owned());
        }
        let cells = match &assignment.numa_cells {
            Some(cells) if self.cells().contains(cells) => cells.clone(),
            Some(cells) => return Some(format!("the cells {cells:?} cannot be chosen")),
            None => self.workload.numa_cells.clone().unwrap_or_default(),
        };
        let options = assignment.requests.iter().map(|given| given.option).collect();
        let setting = Setting { options, cells, most_far: usize::MAX };
        let mut taken: Taken<'a> = Vec::new();
        for (index, given) in assignment.requests.iter().enumerate() {
            let mut units = self.units(index, &setting);
            let picked: u64 = given.picks.iter().map(|pick| u64::from(pick.count)).sum();
            if given.devices.len() != units.len() || picked != units.len() as u64 {
                return Some(format!("request {index} gets {picked} devices: {:?}", given.devices));
            }
            for address in &given.devices {
                let Some(device) = self.free.iter().position(|device| device.address == *address) else {
                    return Some(format!("request {index} gets {address}, which is not free"));
                };
                // Units of one request differ in their provider only, which a device has one of.
                let Some(at) = units.iter().position(|unit| self.may_join(&setting, unit, device, &taken))
                else {
                    return Some(format!(
                        "request {index} gets {address}, which it cannot use beside the others"
                    ));
                };
                taken.push((units.remove(at), device));
            }
        }
        let all: Vec<usize> = (0..assignment.requests.len()).collect();
        if !self.groups_are_whole(&setting, &all, &taken) {
            return Some("a group is not taken as a whole".to_owned());
        }
        let mut along: Vec<PciAddress> =
            assignment.requests.iter().flat_map(|given| given.companions.iter().copied()).collect();
        along.sort_unstable();
        let mut members: Vec<PciAddress> =
            self.members(&taken).iter().map(|&m| self.free[m].address).collect();
        members.sort_unstable();
        (along != members).then(|| format!("{along:?} come along, but the groups have {members:?}"))
    }

    /// What is wrong with a set of requests that the engine calls minimal in conflict; `None` if nothing is.
    #[must_use]
    pub fn conflict_fault(&self, conflict: &[usize]) -> Option<String> {
        if conflict.is_empty() || self.feasible(conflict) {
            return Some(format!("the requests {conflict:?} are not in conflict"));
        }
        let without =
            |out: usize| conflict.iter().copied().filter(|&request| request != out).collect::<Vec<_>>();
        conflict
            .iter()
            .find(|&&out| !self.feasible(&without(out)))
            .map(|out| format!("the conflict {conflict:?} does not need request {out}"))
    }

    /// The devices that a request asks for, one by one: as many as it counts, or one from each provider that
    /// Placement chose for it.
    fn units(&self, request: usize, setting: &Setting) -> Vec<Unit<'a>> {
        let asked = &self.workload.requests[request];
        let providers = providers(self.workload, asked);
        let option = setting.options.get(request).copied().unwrap_or(0);
        let count = if option == 0 { asked.count } else { asked.otherwise[option - 1].count };
        if providers.is_empty() {
            return vec![Unit { request, provider: None }; count as usize];
        }
        // Equal units stand together; the providers keep the order in which they are named first.
        let mut units: Vec<_> =
            providers.iter().map(|provider| Unit { request, provider: Some(provider) }).collect();
        units.sort_by_key(|unit| providers.iter().position(|provider| Some(*provider) == unit.provider));
        units
    }

    fn usable(&self, unit: &Unit<'_>, device: &Device, setting: &Setting) -> bool {
        let request = &self.workload.requests[unit.request];
        let option = setting.options.get(unit.request).copied().unwrap_or(0);
        let alternatives =
            if option == 0 { &request.alternatives } else { &request.otherwise[option - 1].alternatives };
        let attributes = attributes(device, &self.host.tags[&device.address]);
        let wants = |key: &str, text: &str| alternatives.iter().any(|a| a.text(key) == Some(text));
        let has = |key: &str, text: &str| attributes.get(key).is_some_and(|own| own.as_deref() == Some(text));
        let wants_remote = alternatives
            .iter()
            .any(|a| a.text("remote_managed").is_some_and(|text| text.eq_ignore_ascii_case("true")));
        let all_want = |text: &str| alternatives.iter().all(|a| a.text("live_migratable") == Some(text));

        alternatives.iter().any(|alternative| matches(alternative, &attributes))
            && (device.dev_type != DeviceType::Pf || wants("dev_type", "type-PF"))
            && (device.dev_type != DeviceType::Vdpa || wants("dev_type", "vdpa"))
            && (!has("remote_managed", "true") || wants_remote)
            && (!all_want("true") || has("live_migratable", "true"))
            && (!all_want("false") || has("live_migratable", "false"))
            && unit.provider.is_none_or(|provider| device.extra_info.text("rp_uuid") == Some(provider))
            && near_enough(request, device, &setting.cells, self.host.topology.as_ref())
    }
}

/// Devices that a pool hands out one after the other, alike in all that the workload looks at.
#[derive(Debug)]
struct Bin {
    pool: usize,
    /// How many attributes its pool has.
    attributes: usize,
    look: Vec<Option<String>>,
    devices: Vec<usize>,
}

/// Whether one device is the PF of the other.
pub(crate) fn excludes(a: &Device, b: &Device) -> bool {
    let lives_on = |child: &Device, parent: &Device| {
        child.dev_type.has_parent() && child.parent_addr == Some(parent.address)
    };
    lives_on(a, b) || lives_on(b, a)
}

/// The providers that Placement chose for a request, one for each device.
fn providers<'a>(workload: &'a Workload, request: &Request) -> Vec<&'a str> {
    let (Some(mapping), Some(id), RequestSource::Flavor) =
        (&workload.provider_mapping, &request.request_id, request.source)
    else {
        return Vec::new();
    };
    mapping
        .iter()
        .filter(|(group, _)| group.starts_with(id.as_str()))
        .filter_map(|(_, providers)| providers.first().map(String::as_str))
        .collect()
}

/// What a request can ask a device for.
pub(crate) fn attributes(device: &Device, tags: &ExtraInfo) -> BTreeMap<String, Option<String>> {
    let mut all: BTreeMap<String, Option<String>> =
        tags.iter().map(|(key, text)| (key.to_owned(), text.map(str::to_owned))).collect();
    all.insert("vendor_id".to_owned(), Some(device.vendor_id.clone()));
    all.insert("product_id".to_owned(), Some(device.product_id.clone()));
    all.insert("dev_type".to_owned(), Some(device.dev_type.to_string()));
    all.insert("address".to_owned(), Some(device.card_address().to_string()));
    if device.dev_type != DeviceType::Pci {
        all.entry("remote_managed".to_owned()).or_insert_with(|| Some("false".to_owned()));
    }
    all
}

fn matches(alternative: &ExtraInfo, attributes: &BTreeMap<String, Option<String>>) -> bool {
    alternative.iter().filter(|(key, _)| !PLACEMENT_KEYS.contains(key)).all(|(key, wanted)| {
        let own = attributes.get(key).and_then(Option::as_deref);
        own.map(str::to_lowercase) == wanted.map(str::to_lowercase)
    })
}

fn near_enough(request: &Request, device: &Device, cells: &[u32], topology: Option<&NumaTopology>) -> bool {
    if cells.is_empty() {
        return true;
    }
    let local = device.numa_node.is_some_and(|node| cells.contains(&node));
    match request.numa_policy.unwrap_or(NumaPolicy::Legacy) {
        NumaPolicy::Required => local,
        NumaPolicy::Preferred => true,
        NumaPolicy::Legacy => local || device.numa_node.is_none(),
        NumaPolicy::Socket => local || shares_a_socket(device, cells, topology),
    }
}

/// Whether a device is on a node of a socket of the guest; nobody knows where a host keeps quiet about some socket.
fn shares_a_socket(device: &Device, cells: &[u32], topology: Option<&NumaTopology>) -> bool {
    let Some(topology) = topology else { return false };
    let socket =
        |node: u32| topology.cells().iter().find(|cell| cell.id == node).and_then(|cell| cell.socket);
    let all_known = topology.cells().iter().all(|cell| cell.socket.is_some());
    let own = device.numa_node.and_then(socket);
    all_known && own.is_some() && cells.iter().any(|&cell| socket(cell) == own)
}

fn count_in(bin: &Bin, left: &[usize]) -> usize {
    bin.devices.iter().filter(|device| left.contains(device)).count()
}
