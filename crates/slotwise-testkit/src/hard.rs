//! Instances that are made to be hard: 64 devices, 8 requests, and counts that come out only just, or only just not.

use std::fmt;
use std::ops::Range;

use slotwise::{
    CellChoice, Constraint, Device, DeviceType, ExtraInfo, Fallback, NumaCell, NumaPolicy, NumaTopology,
    PciAddress, Preference, Relation, Request, Tracker, Workload,
};

use crate::generate::{Host, Rng, set};
use crate::joint;

/// What makes an instance hard.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// Nothing in particular: random devices and random constraints.
    Random,
    /// Cards with as many VFs as they like, of which some must be given up for their PFs.
    Cards,
    /// Requests whose devices must all be in one rack: packing boxes.
    Racks,
    /// Requests whose devices must differ in their rack, and in their switch.
    Grid,
    /// Devices of all requests must differ in three attributes: matching triples.
    Triples,
    /// Groups of different sizes and kinds: sums that must come out.
    Groups,
    /// Requests with many fallbacks of which few go together.
    Fallbacks,
    /// Cells to choose out of sixteen.
    Cells,
    /// Some of everything.
    Mixed,
    /// Much of everything: cards, groups, several attributes, and requests with many fallbacks and constraints.
    Tangled,
}

impl Family {
    /// All families.
    pub const ALL: &[Family] = &[
        Family::Random,
        Family::Cards,
        Family::Racks,
        Family::Grid,
        Family::Triples,
        Family::Groups,
        Family::Fallbacks,
        Family::Cells,
        Family::Mixed,
        Family::Tangled,
    ];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Random => "random",
            Family::Cards => "cards",
            Family::Racks => "racks",
            Family::Grid => "grid",
            Family::Triples => "triples",
            Family::Groups => "groups",
            Family::Fallbacks => "fallbacks",
            Family::Cells => "cells",
            Family::Mixed => "mixed",
            Family::Tangled => "tangled",
        })
    }
}

/// The hardest instances that were found, by family and seed, and search steps that suffice to decide them.
///
/// `cargo xtask oracle hardest` looks for harder ones.
pub const HARDEST: &[(Family, u64, u64)] = &[
    (Family::Random, 1726, 653),
    (Family::Cards, 3140, 274),
    (Family::Cards, 1284, 105),
    (Family::Racks, 2496, 74),
    (Family::Racks, 1826, 60),
    (Family::Grid, 2402, 2_218),
    (Family::Grid, 1815, 9_732),
    (Family::Grid, 10438, 5_762),
    (Family::Triples, 12402, 5_866),
    (Family::Triples, 1578, 3_065),
    (Family::Triples, 1927, 2_622),
    (Family::Groups, 3338, 507),
    (Family::Groups, 5321, 522),
    (Family::Fallbacks, 10671, 14_672),
    (Family::Fallbacks, 7645, 18_727),
    (Family::Fallbacks, 5950, 38_341),
    (Family::Fallbacks, 1910, 765),
    (Family::Cells, 4877, 2_653),
    (Family::Cells, 89, 2_751),
    (Family::Cells, 3129, 248),
    (Family::Mixed, 4216, 1_786),
    (Family::Mixed, 324, 864),
    (Family::Tangled, 102465, 77_296),
    (Family::Tangled, 101551, 72_765),
    (Family::Tangled, 102287, 8_136),
];

/// Instances of which an assignment is found with the default budget, but not whether it is the first in the order.
pub const CUT_SHORT: &[(Family, u64)] =
    &[(Family::Tangled, 170), (Family::Tangled, 100639), (Family::Tangled, 101166)];

/// Up to 64 devices, and up to 8 requests for them.
///
/// # Panics
///
/// When what was made is not valid, which is a mistake here.
#[must_use]
pub fn instance(family: Family, seed: u64) -> (Tracker, Workload) {
    if family == Family::Random {
        let (_, tracker, workload) = joint::instance(seed, joint::LARGE);
        return (tracker, workload);
    }
    let mut rng = Rng::new(seed);
    let mut maker = Maker::default();
    let workload = match family {
        Family::Random | Family::Cards => cards(&mut rng, &mut maker),
        Family::Racks => racks(&mut rng, &mut maker),
        Family::Grid => grid(&mut rng, &mut maker),
        Family::Triples => triples(&mut rng, &mut maker),
        Family::Groups => groups(&mut rng, &mut maker),
        Family::Fallbacks => fallbacks(&mut rng, &mut maker),
        Family::Cells => cells(&mut rng, &mut maker),
        Family::Mixed => mixed(&mut rng, &mut maker),
        Family::Tangled => tangled(&mut rng, &mut maker),
    };
    (maker.tracker(), workload)
}

const MOST: usize = 64;
const KINDS: [&str; 4] = ["a", "b", "c", "d"];

/// Puts a host together.
#[derive(Default)]
struct Maker {
    devices: Vec<Device>,
    tags: Vec<ExtraInfo>,
    slots: u8,
}

impl Maker {
    fn room(&self) -> usize {
        MOST - self.devices.len()
    }

    fn add(&mut self, slot: u8, function: u8, dev_type: DeviceType, facts: &[(&str, &str)]) {
        let address = |function| {
            PciAddress::new(0, slot / 32, slot % 32, function).expect("few slots and functions are made")
        };
        let mut device = Device::new(address(function), "8086", "1111");
        device.dev_type = dev_type;
        device.parent_addr = dev_type.has_parent().then(|| address(0));
        let mut tags = ExtraInfo::new();
        for (key, text) in facts {
            match *key {
                "numa_node" => device.numa_node = text.parse().ok(),
                "kind" | "device_group" => set(&mut tags, key, Some(text)),
                _ => set(&mut device.extra_info, key, Some(text)),
            }
        }
        self.devices.push(device);
        self.tags.push(tags);
    }

    /// A device of its own.
    fn single(&mut self, facts: &[(&str, &str)]) {
        self.slots += 1;
        self.add(self.slots - 1, 0, DeviceType::Pci, facts);
    }

    /// A card: a PF of one kind, and VFs of the kinds given.
    fn card(&mut self, kind: &str, functions: &[&str], facts: &[(&str, &str)]) {
        self.slots += 1;
        let with = |kind| [&[("kind", kind)], facts].concat();
        self.add(self.slots - 1, 0, DeviceType::Pf, &with(kind));
        for (i, kind) in functions.iter().enumerate() {
            self.add(self.slots - 1, i as u8 + 1, DeviceType::Vf, &with(kind));
        }
    }

    fn tracker(self) -> Tracker {
        let cells = (0..16).map(|id| NumaCell { id, socket: Some(id / 4) }).collect();
        let tags = self.devices.iter().map(|device| device.address).zip(self.tags).collect();
        let host = Host { devices: self.devices, tags, topology: NumaTopology::new(cells).ok() };
        joint::tracker(&host)
    }
}

/// Some of the kinds, at least one.
fn kinds(rng: &mut Rng, dev_type: &str) -> Vec<ExtraInfo> {
    let first = rng.below(KINDS.len());
    (0..KINDS.len())
        .filter(|&kind| kind == first || rng.chance(35))
        .map(|kind| {
            let mut wanted = ExtraInfo::new();
            set(&mut wanted, "kind", Some(KINDS[kind]));
            set(&mut wanted, "dev_type", Some(dev_type));
            wanted
        })
        .collect()
}

fn request(rng: &mut Rng, counts: Range<usize>, dev_type: &str) -> Request {
    let count = counts.start + rng.below(counts.len());
    Request {
        count: u32::try_from(count.max(1)).unwrap_or(1),
        alternatives: kinds(rng, dev_type),
        ..Request::default()
    }
}

fn name(prefix: &str, number: usize) -> String {
    format!("{prefix}{number}")
}

fn cards(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let most = 1 + rng.below(7);
    let (mut pfs, mut vfs) = (0, 0);
    while maker.room() >= 8 {
        let functions: Vec<&str> =
            (0..1 + rng.below(most)).map(|_| *rng.pick(&KINDS[..1 + most.min(3)])).collect();
        maker.card(KINDS[rng.below(4)], &functions, &[]);
        pfs += 1;
        vfs += functions.len();
    }
    let whole = 1 + rng.below(4);
    let wanted = pfs / 4 + rng.below(pfs / 3 + 1);
    let rest = vfs * (pfs - wanted) / pfs;
    let mut requests: Vec<Request> =
        (0..whole).map(|_| request(rng, wanted / whole..wanted / whole + 1, "type-PF")).collect();
    let parts = 8 - whole;
    for _ in 0..parts {
        let mut own = request(rng, (rest / parts).saturating_sub(1)..rest / parts + 2, "type-VF");
        own.isolate = rng.chance(15);
        requests.push(own);
    }
    Workload::new(requests)
}

fn racks(rng: &mut Rng, maker: &mut Maker) -> Workload {
    // The racks are filled to the last device, then a few requests get one more at the cost of others.
    let racks = 2 + rng.below(4);
    let rack_of: Vec<usize> = (0..8).map(|i| if i < racks { i } else { rng.below(racks) }).collect();
    let mut counts = [1_usize; 8];
    for _ in counts.len()..MOST {
        counts[rng.below(8)] += 1;
    }
    for rack in 0..racks {
        let size: usize = (0..8).filter(|&i| rack_of[i] == rack).map(|i| counts[i]).sum();
        for _ in 0..size {
            maker.single(&[("rack", &name("r", rack)), ("kind", KINDS[rng.below(4)])]);
        }
    }
    for _ in 0..rng.below(4) {
        let (more, less) = (rng.below(8), rng.below(8));
        if counts[less] > 1 {
            counts[less] -= 1;
            counts[more] += 1;
        }
    }
    let requests = counts.iter().map(|&count| {
        let mut own = request(rng, count..count + 1, "type-PCI");
        if rng.chance(70) {
            own.alternatives = vec![ExtraInfo::new()];
        }
        own.same = vec!["rack".to_owned()];
        own
    });
    Workload::new(requests.collect())
}

fn grid(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let side = 5 + rng.below(6);
    while maker.room() > 0 {
        let (rack, switch) = (name("r", rng.below(side)), name("s", rng.below(side)));
        maker.single(&[("rack", &rack), ("switch", &switch), ("kind", KINDS[rng.below(4)])]);
    }
    let requests = (0..8)
        .map(|_| {
            let mut own = request(rng, side - 3..side + 1, "type-PCI");
            own.count = own.count.min(8);
            own.distinct = vec!["rack".to_owned(), "switch".to_owned()];
            own
        })
        .collect();
    Workload::new(requests)
}

fn triples(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let side = 6 + rng.below(10);
    while maker.room() > 0 {
        let place: Vec<String> = ["r", "s", "t"].iter().map(|key| name(key, rng.below(side))).collect();
        maker.single(&[
            ("rack", &place[0]),
            ("switch", &place[1]),
            ("feed", &place[2]),
            ("kind", KINDS[rng.below(4)]),
        ]);
    }
    let wanted = side.saturating_sub(rng.below(4)).max(8);
    let requests: Vec<Request> =
        (0..8).map(|i| request(rng, (wanted + i) / 8..(wanted + i) / 8 + 1, "type-PCI")).collect();
    let all = |key: &str| Constraint {
        requests: (0..8).collect(),
        relation: Relation::Distinct,
        key: key.to_owned(),
    };
    Workload { constraints: ["rack", "switch", "feed"].map(all).to_vec(), ..Workload::new(requests) }
}

fn groups(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let most = 2 + rng.below(5);
    let even = rng.chance(50);
    let mut group = 0;
    while maker.room() > most {
        let size = if even { 2 * (1 + rng.below(most / 2)) } else { 1 + rng.below(most) };
        let only = rng.chance(50).then(|| rng.below(4));
        for _ in 0..size {
            let kind = KINDS[only.unwrap_or_else(|| rng.below(4))];
            maker.single(&[("device_group", &name("g", group)), ("kind", kind)]);
        }
        group += 1;
    }
    let requests = (0..8).map(|_| request(rng, 1..8, "type-PCI"));
    Workload::new(requests.collect())
}

fn fallbacks(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let grouped = rng.chance(40);
    while maker.room() > 0 {
        let (rack, group) = (name("r", rng.below(6)), name("g", rng.below(8)));
        let mut facts = vec![("rack", rack.as_str()), ("kind", KINDS[rng.below(4)])];
        if grouped && rng.chance(30) {
            facts.push(("device_group", &group));
        }
        maker.single(&facts);
    }
    let requests = (0..8).map(|_| {
        let mut own = request(rng, 9..13, "type-PCI");
        own.otherwise = (0..1 + rng.below(16))
            .map(|_| {
                let fallback = request(rng, 6..12, "type-PCI");
                Fallback { count: fallback.count, alternatives: fallback.alternatives }
            })
            .collect();
        if rng.chance(40) {
            own.same = vec!["rack".to_owned()];
        }
        own
    });
    Workload::new(requests.collect())
}

fn cells(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let from = 4 + rng.below(13);
    while maker.room() > 0 {
        let node = rng.below(from).to_string();
        maker.single(&[("numa_node", &node), ("kind", KINDS[rng.below(4)])]);
    }
    let count = 1 + rng.below(from / 2 + 1);
    let near = MOST * count / from;
    let requests = (0..8).map(|_| {
        let mut own = request(rng, near / 8..near / 8 + 3, "type-PCI");
        own.numa_policy = Some(*rng.pick(&[
            NumaPolicy::Required,
            NumaPolicy::Required,
            NumaPolicy::Preferred,
            NumaPolicy::Socket,
        ]));
        if rng.chance(20) {
            own.same = vec!["numa_node".to_owned()];
        }
        own
    });
    Workload {
        numa_cells_from: Some(CellChoice { from: (0..from as u32).collect(), count }),
        ..Workload::new(requests.collect())
    }
}

fn mixed(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let (racks, switches, grouped) = (3 + rng.below(5), 3 + rng.below(6), rng.chance(40));
    while maker.room() >= 8 {
        let (rack, switch) = (name("r", rng.below(racks)), name("s", rng.below(switches)));
        let (node, group) = (rng.below(4).to_string(), name("g", rng.below(10)));
        let mut facts = vec![("rack", rack.as_str()), ("switch", switch.as_str()), ("numa_node", &node)];
        if grouped && rng.chance(25) {
            facts.push(("device_group", &group));
        }
        if rng.chance(60) {
            let functions: Vec<&str> = (0..1 + rng.below(6)).map(|_| *rng.pick(&KINDS)).collect();
            maker.card(KINDS[rng.below(4)], &functions, &facts);
        } else {
            facts.push(("kind", KINDS[rng.below(4)]));
            maker.single(&facts);
        }
    }
    let requests: Vec<Request> = (0..8)
        .map(|_| {
            let dev_type = *rng.pick(&["type-VF", "type-VF", "type-PF", "type-PCI"]);
            let mut own = request(rng, 1..7, dev_type);
            if rng.chance(25) {
                let other = kinds(rng, "type-PF");
                own.alternatives.extend(other);
            }
            match rng.below(7) {
                0 => own.isolate = true,
                1 => own.same = vec!["rack".to_owned()],
                2 => own.same = vec!["switch".to_owned()],
                3 => own.distinct = vec!["switch".to_owned()],
                4 => own.distinct = vec!["rack".to_owned(), "numa_node".to_owned()],
                _ => {}
            }
            if rng.chance(20) {
                let fallback = request(rng, 1..5, dev_type);
                own.otherwise = vec![Fallback { count: fallback.count, alternatives: fallback.alternatives }];
            }
            own
        })
        .collect();
    let constraints = (0..rng.below(3))
        .map(|_| Constraint {
            requests: (0..8).filter(|_| rng.chance(40)).collect(),
            relation: *rng.pick(&[Relation::Same, Relation::Distinct]),
            key: (*rng.pick(&["rack", "switch"])).to_owned(),
        })
        .filter(|constraint: &Constraint| !constraint.requests.is_empty())
        .collect();
    let prefer = *rng.pick(&[Preference::Stable, Preference::Pack, Preference::Spread]);
    Workload { constraints, prefer, ..Workload::new(requests) }
}

fn tangled(rng: &mut Rng, maker: &mut Maker) -> Workload {
    let most_functions = *rng.pick(&[0, 0, 3, 7]);
    let grouped = rng.chance(50);
    // What devices are to agree in has few values, what they are to differ in has many.
    let keys: Vec<(String, usize)> = (0..2 + rng.below(4))
        .map(|i| (name("a", i), if i % 2 == 0 { 2 + rng.below(4) } else { 6 + rng.below(10) }))
        .collect();
    while maker.room() > 0 {
        let functions = rng.below(most_functions + 1).min(maker.room() - 1);
        let node = rng.below(4).to_string();
        maker.slots += 1;
        for function in 0..=functions {
            let dev_type = match (functions, function) {
                (0, _) => DeviceType::Pci,
                (_, 0) => DeviceType::Pf,
                _ => DeviceType::Vf,
            };
            let values: Vec<(&str, String)> = keys
                .iter()
                .filter_map(|(key, values)| {
                    let value = name("v", rng.below(*values));
                    rng.chance(97).then_some((key.as_str(), value))
                })
                .collect();
            let group = (grouped && rng.chance(40)).then(|| name("g", rng.below(13)));
            let mut facts = vec![("numa_node", node.as_str()), ("kind", *rng.pick(&KINDS))];
            facts.extend(values.iter().map(|(key, value)| (*key, value.as_str())));
            facts.extend(group.iter().map(|group| ("device_group", group.as_str())));
            maker.add(maker.slots - 1, u8::try_from(function).unwrap_or(0), dev_type, &facts);
        }
    }
    let alternatives = |rng: &mut Rng| -> Vec<ExtraInfo> {
        (0..1 + rng.below(3))
            .map(|_| {
                let mut wanted = ExtraInfo::new();
                if rng.chance(70) {
                    set(&mut wanted, "kind", Some(*rng.pick(&KINDS)));
                }
                if most_functions > 0 && rng.chance(40) {
                    set(&mut wanted, "dev_type", Some(*rng.pick(&["type-PF", "type-VF"])));
                }
                wanted
            })
            .collect()
    };
    let most_fallbacks = *rng.pick(&[0, 0, 2, 6, 16]);
    let most = *rng.pick(&[2, 4, 6, 8]);
    let count = |rng: &mut Rng| 1 + rng.below(most) as u32;
    let key = |rng: &mut Rng, relation: Relation| {
        let of_relation: Vec<&(String, usize)> =
            keys.iter().skip(usize::from(relation == Relation::Distinct)).step_by(2).collect();
        rng.pick(&of_relation).0.clone()
    };
    let requests = (0..8).map(|_| {
        let mut own = Request { count: count(rng), alternatives: alternatives(rng), ..Request::default() };
        own.numa_policy = Some(*rng.pick(&[
            NumaPolicy::Required,
            NumaPolicy::Preferred,
            NumaPolicy::Legacy,
            NumaPolicy::Legacy,
        ]));
        own.otherwise = (0..rng.below(most_fallbacks + 1))
            .map(|_| Fallback { count: count(rng), alternatives: alternatives(rng) })
            .collect();
        if rng.chance(25) {
            own.same = vec![key(rng, Relation::Same)];
        }
        if rng.chance(40) {
            own.distinct = vec![key(rng, Relation::Distinct)];
        }
        if rng.chance(20) {
            own.prefer_same = vec![key(rng, Relation::Same)];
        }
        own
    });
    let requests: Vec<Request> = requests.collect();
    let constraints = (0..rng.below(5)).map(|_| {
        let relation = *rng.pick(&[Relation::Same, Relation::Distinct, Relation::Distinct]);
        let mut members: Vec<usize> = (0..2 + rng.below(3)).map(|_| rng.below(8)).collect();
        members.sort_unstable();
        members.dedup();
        Constraint { requests: members, relation, key: key(rng, relation) }
    });
    let constraints: Vec<Constraint> = constraints.collect();
    let prefer = *rng.pick(&[Preference::Stable, Preference::Pack, Preference::Spread]);
    let mut workload = Workload { constraints, prefer, ..Workload::new(requests) };
    match rng.below(10) {
        0..3 => {
            workload.numa_cells_from = Some(CellChoice { from: (0..4).collect(), count: 1 + rng.below(3) });
        }
        3..5 => workload.numa_cells = Some((0..4).filter(|_| rng.chance(50)).collect()),
        _ => {}
    }
    workload
}
