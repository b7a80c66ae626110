//! A fleet under a long run of mixed changes and questions, beside a naive model of it: each host's pools in a map, and
//! the single-host solver for every host.

use std::collections::BTreeMap;

use slotwise::{
    ExtraInfo, FilterOptions, Fit, Fleet, HostDelta, HostSet, NumaTopology, Pool, Pools, Request, Strategy,
    Workload,
};

use crate::generate::Rng;

/// What a run did, so that a test can see that it was not idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Hosts that came, were replaced, or left.
    pub hosts: u64,
    /// Deltas applied.
    pub deltas: u64,
    /// Stale states that were refused.
    pub stale: u64,
    /// Reservations made.
    pub reserved: u64,
    /// Questions whose whole answer was compared.
    pub questions: u64,
    /// Hosts in these answers that fit.
    pub fits: u64,
}

/// What the model knows of a host.
struct Known {
    /// Its pools as its owner knows them.
    pools: Pools,
    version: u64,
}

struct Model {
    rng: Rng,
    fleet: Fleet,
    hosts: BTreeMap<String, Known>,
    /// Owner → host, time of expiry.
    reserved: BTreeMap<String, (String, u64)>,
    most: usize,
    now: u64,
    counts: Counts,
}

/// Runs `steps` random operations on up to `hosts` hosts, and compares the answer to every `every`th question in full;
/// `progress` is told of each step.
///
/// # Panics
///
/// When the fleet and the model disagree.
#[must_use]
pub fn run(seed: u64, steps: u64, hosts: usize, every: u64, mut progress: impl FnMut(u64)) -> Counts {
    let mut model = Model {
        rng: Rng::new(seed),
        fleet: Fleet::new(),
        hosts: BTreeMap::new(),
        reserved: BTreeMap::new(),
        most: hosts,
        now: 0,
        counts: Counts::default(),
    };
    for step in 0..steps {
        model.step(step % every == 0);
        progress(step + 1);
    }
    model.check_all();
    model.counts
}

const PRODUCTS: [&str; 3] = ["vf", "gpu", "rare"];

impl Model {
    fn step(&mut self, compare: bool) {
        self.now += 1;
        match self.rng.below(100) {
            0..12 => self.put(),
            12..14 => self.remove(),
            14..50 => self.delta(),
            50..58 => self.reserve(),
            58..64 => self.expire(),
            64..66 => self.stale(),
            66 if self.rng.chance(10) => {
                let bytes = self.fleet.snapshot();
                self.fleet = Fleet::from_snapshot(&bytes).unwrap_or_else(|e| panic!("its own snapshot: {e}"));
            }
            _ => self.ask(compare),
        }
    }

    fn name(&mut self) -> String {
        format!("h{}", self.rng.below(self.most))
    }

    /// A host that the model has, if it drew one.
    fn known(&mut self) -> Option<String> {
        Some(self.name()).filter(|name| self.hosts.contains_key(name))
    }

    fn pools(&mut self) -> Pools {
        let rng = &mut self.rng;
        let mut list: Vec<Pool> = Vec::new();
        for card in 0..1 + rng.below(4) {
            let product = if rng.chance(2) { PRODUCTS[2] } else { PRODUCTS[rng.below(2)] };
            let with_pf = product == "vf" && rng.chance(30);
            let mut push = |product: &str, dev_type: &str, count: usize, group: bool| {
                let address = format!("0000:0{card}:00.0");
                let mut attributes = ExtraInfo::try_from([
                    ("vendor_id", "8086"),
                    ("product_id", product),
                    ("dev_type", dev_type),
                    ("address", &address),
                ])
                .unwrap_or_else(|e| panic!("short texts: {e}"));
                if group {
                    crate::generate::set(&mut attributes, "device_group", Some("g"));
                }
                list.push(Pool {
                    attributes: attributes.into(),
                    numa_node: Some((card % 2) as u32),
                    provider: None,
                    count: count as u32,
                    devices: Vec::new(),
                });
            };
            let count = if rng.chance(1) { 250 + rng.below(20) } else { rng.below(6) };
            push(product, if product == "vf" { "type-VF" } else { "type-PCI" }, count, rng.chance(3));
            if with_pf {
                push("pf", "type-PF", rng.below(2), false);
            }
        }
        Pools::new(list, None::<NumaTopology>)
    }

    fn put(&mut self) {
        let (name, pools) = (self.name(), self.pools());
        let update = self.fleet.put(&name, &pools, None).unwrap_or_else(|e| panic!("a valid host: {e}"));
        self.hosts.insert(name, Known { pools, version: update.version });
        self.counts.hosts += 1;
    }

    fn remove(&mut self) {
        let Some(name) = self.known() else { return };
        self.fleet.remove(&name).unwrap_or_else(|e| panic!("a known host: {e}"));
        self.hosts.remove(&name);
        self.reserved.retain(|_, (host, _)| *host != name);
        self.counts.hosts += 1;
    }

    /// A claim or a free on a host: one pool has another count.
    fn delta(&mut self) {
        let Some(name) = self.known() else { return };
        let known = &self.hosts[&name];
        let mut list = known.pools.as_slice().to_vec();
        let at = self.rng.below(list.len());
        list[at].count = self.rng.below(7) as u32;
        let new = Pools::new(list, None);
        let delta = HostDelta::between(known.version, &known.pools, known.version + 1, &new)
            .unwrap_or_else(|e| panic!("distinct pools: {e}"));
        self.fleet.apply(&name, &delta).unwrap_or_else(|e| panic!("it follows: {e}"));
        let version = known.version + 1;
        self.hosts.insert(name, Known { pools: new, version });
        self.counts.deltas += 1;
    }

    fn reserve(&mut self) {
        let Some(name) = self.known() else { return };
        let workload = self.workload();
        let owner = format!("o{}", self.now);
        let before = self.fleet.pools(&name).unwrap_or_else(|e| panic!("a known host: {e}"));
        let expires = self.now + self.rng.below(500) as u64;
        let fit = self.fleet.reserve(&owner, &name, &workload, expires);
        let fit = fit.unwrap_or_else(|e| panic!("a new owner: {e}"));
        let after = self.fleet.pools(&name).unwrap_or_else(|e| panic!("a known host: {e}"));
        match fit {
            Fit::Fits(assignment) => {
                for request in &assignment.requests {
                    for pick in &request.picks {
                        let (before, after) =
                            (before.as_slice()[pick.pool].count, after.as_slice()[pick.pool].count);
                        assert!(after + pick.count <= before, "what is reserved is still free on {name}");
                    }
                }
                self.reserved.insert(owner, (name, expires));
                self.counts.reserved += 1;
            }
            _ => assert_eq!(before, after, "a reservation that failed changed {name}"),
        }
    }

    fn expire(&mut self) {
        let over = self.fleet.expire(self.now);
        let expected: Vec<String> = self
            .reserved
            .iter()
            .filter(|(_, (_, at))| *at <= self.now)
            .map(|(owner, _)| owner.clone())
            .collect();
        assert_eq!(over, expected, "other reservations are over");
        let mut touched: Vec<String> =
            over.iter().filter_map(|owner| self.reserved.remove(owner)).map(|(host, _)| host).collect();
        touched.retain(|host| !self.reserved.values().any(|(other, _)| other == host));
        for host in touched {
            let pools = self.fleet.pools(&host).unwrap_or_else(|e| panic!("a known host: {e}"));
            assert_eq!(pools, self.hosts[&host].pools, "{host} has not got back what was reserved");
        }
    }

    fn stale(&mut self) {
        let Some(name) = self.known() else { return };
        let pools = self.pools();
        let version = self.hosts[&name].version;
        if pools != self.hosts[&name].pools {
            let sequence = self.fleet.sequence();
            assert!(self.fleet.put(&name, &pools, Some(version)).is_err(), "a stale state was taken");
            assert_eq!(self.fleet.sequence(), sequence);
            self.counts.stale += 1;
        }
    }

    fn workload(&mut self) -> Workload {
        let rng = &mut self.rng;
        let mut requests = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let product = if rng.chance(15) { "rare" } else { PRODUCTS[rng.below(2)] };
            let wanted = match rng.below(8) {
                0 => ExtraInfo::try_from([("dev_type", "type-PF")]),
                1 => ExtraInfo::try_from([("vendor_id", "8086")]),
                _ => ExtraInfo::try_from([("product_id", product)]),
            };
            let count = if rng.chance(1) { 256 } else { 1 + rng.below(3) as u32 };
            let wanted = wanted.unwrap_or_else(|e| panic!("short texts: {e}"));
            requests.push(Request::new(count, wanted).unwrap_or_else(|e| panic!("a valid count: {e}")));
        }
        let strategy = if rng.chance(20) { Strategy::Nova } else { Strategy::Exact };
        let numa_cells = rng.chance(20).then(|| vec![0]);
        Workload { strategy, numa_cells, ..Workload::new(requests) }
    }

    fn ask(&mut self, compare: bool) {
        let workload = self.workload();
        let answer = self
            .fleet
            .filter(&workload, &FilterOptions::default(), &[])
            .unwrap_or_else(|e| panic!("a valid workload: {e}"));
        if compare || self.hosts.len() < 40 {
            self.compare(&workload, &answer.hosts);
            return;
        }
        // Otherwise some hosts are compared.
        for _ in 0..4 {
            let Some(name) = self.known() else { continue };
            let fits =
                self.fleet.fit(&name, &workload).unwrap_or_else(|e| panic!("a known host: {e}")).fits();
            let id = self.fleet.id(&name).unwrap_or_else(|e| panic!("a known host: {e}"));
            assert_eq!(answer.hosts.contains(id), fits, "{name}: {workload:#?}");
        }
    }

    fn compare(&mut self, workload: &Workload, hosts: &HostSet) {
        let fleet = &self.fleet;
        let fits =
            |name: &&String| fleet.fit(name, workload).unwrap_or_else(|e| panic!("a known host: {e}")).fits();
        let mut expected: Vec<u32> = self
            .hosts
            .keys()
            .filter(fits)
            .map(|name| fleet.id(name).unwrap_or_else(|e| panic!("a known host: {e}")))
            .collect();
        expected.sort_unstable();
        assert_eq!(hosts.ids(), expected, "{workload:#?}");
        self.counts.questions += 1;
        self.counts.fits += expected.len() as u64;
    }

    /// Every host is as its owner knows it, but for what is reserved.
    fn check_all(&mut self) {
        assert_eq!(self.fleet.len(), self.hosts.len());
        let owners: Vec<String> = self.reserved.keys().cloned().collect();
        for owner in owners {
            self.fleet.release(&owner).unwrap_or_else(|e| panic!("a reservation: {e}"));
        }
        for (name, known) in &self.hosts {
            let pools = self.fleet.pools(name).unwrap_or_else(|e| panic!("a known host: {e}"));
            assert_eq!(pools, known.pools, "{name}");
            assert_eq!(self.fleet.version(name), Ok(known.version), "{name}");
        }
    }
}
