//! Small hosts on which racks, device groups, cards and fallbacks compete for the same few devices, so that what fits only
//! just fits, and the search has to take decisions back.

use std::collections::BTreeMap;

use slotwise::{
    CellChoice, Constraint, Device, DeviceType, ExtraInfo, Fallback, NumaPolicy, PciAddress, Preference,
    Relation, Request, Workload,
};

use crate::generate::{Host, Rng, set};

const KINDS: [&str; 3] = ["a", "b", "c"];
const RACKS: [&str; 4] = ["r0", "r1", "r2", "r3"];
const SWITCHES: [&str; 3] = ["s0", "s1", "s2"];
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];

/// A host of some ten devices, and two to four requests for them.
pub(crate) fn instance(rng: &mut Rng) -> (Host, Workload) {
    let kinds = &KINDS[..1 + rng.below(KINDS.len())];
    // Racks that look alike but for their kind, where only fallbacks tell kinds apart.
    let is_sorted = rng.chance(15);
    let (has_cards, has_cells) = (!is_sorted && rng.chance(25), !is_sorted && rng.chance(20));
    let kinds = if is_sorted { &KINDS[..] } else { kinds };
    let host = if is_sorted { sorted_host(rng) } else { host(rng, kinds, has_cards, has_cells) };
    let dev_types: &[&str] = if has_cards { &["type-PCI", "type-VF", "type-PF"] } else { &["type-PCI"] };
    let with_fallbacks = is_sorted || rng.chance(60);
    let fewest = if is_sorted { 3 } else { 2 };
    let requests = (0..fewest + rng.below(3)).map(|_| {
        let mut request = Request {
            count: count(rng),
            alternatives: alternatives(rng, kinds, dev_types),
            ..Request::default()
        };
        if with_fallbacks && rng.chance(70) {
            let fallback = |rng: &mut Rng| Fallback {
                count: count(rng),
                alternatives: alternatives(rng, kinds, dev_types),
            };
            request.otherwise = (0..1 + rng.below(3)).map(|_| fallback(rng)).collect();
        }
        match rng.below(10) {
            0..=4 => request.same = vec!["rack".to_owned()],
            5 => request.same = vec!["switch".to_owned()],
            6 => request.distinct = vec!["rack".to_owned()],
            7 => request.same = vec!["rack".to_owned(), "switch".to_owned()],
            _ => {}
        }
        if has_cells {
            let policies = [NumaPolicy::Required, NumaPolicy::Preferred, NumaPolicy::Legacy];
            request.numa_policy = Some(*rng.pick(&policies));
        }
        request
    });
    let mut workload = Workload::new(requests.collect());
    if rng.chance(20) {
        workload.constraints.push(Constraint {
            requests: vec![0, 1],
            relation: *rng.pick(&[Relation::Same, Relation::Distinct]),
            key: (*rng.pick(&["rack", "switch"])).to_owned(),
        });
    }
    if has_cells {
        workload.numa_cells_from = Some(CellChoice { from: vec![0, 1, 2], count: 1 + rng.below(2) });
    }
    workload.prefer =
        *rng.pick(&[Preference::Stable, Preference::Stable, Preference::Pack, Preference::Spread]);
    (host, workload)
}

/// Racks of two devices each, on two switches; all devices of a rack are of one kind.
fn sorted_host(rng: &mut Rng) -> Host {
    let mut host = Host { devices: Vec::new(), tags: BTreeMap::new(), topology: None };
    for rack in &RACKS[..3 + rng.below(RACKS.len() - 2)] {
        let kind = *rng.pick(&KINDS);
        for switch in &SWITCHES[..2] {
            let slot = host.devices.len() as u8;
            let address = PciAddress::new(0, 1, slot, 0).expect("few slots are made");
            let mut device = Device::new(address, "8086", "1111");
            set(&mut device.extra_info, "rack", Some(rack));
            set(&mut device.extra_info, "switch", Some(switch));
            let mut tags = ExtraInfo::new();
            set(&mut tags, "kind", Some(kind));
            host.tags.insert(address, tags);
            host.devices.push(device);
        }
    }
    host
}

fn count(rng: &mut Rng) -> u32 {
    *rng.pick(&[1, 2, 3])
}

fn host(rng: &mut Rng, kinds: &[&str], has_cards: bool, has_cells: bool) -> Host {
    let (racks, groups) = (&RACKS[..1 + rng.below(RACKS.len())], &GROUPS[..rng.below(GROUPS.len() + 1)]);
    let group =
        |rng: &mut Rng, percent| (!groups.is_empty() && rng.chance(percent)).then(|| *rng.pick(groups));
    let most = 4 + rng.below(6);
    let mut host = Host { devices: Vec::new(), tags: BTreeMap::new(), topology: None };
    for slot in 0.. {
        if host.devices.len() >= most {
            break;
        }
        let mut place = ExtraInfo::new();
        for (key, values) in [("rack", racks), ("switch", &SWITCHES[..])] {
            if rng.chance(85) {
                set(&mut place, key, Some(*rng.pick(values)));
            }
        }
        let numa_node = has_cells.then(|| *rng.pick(&[0, 1, 2]));
        let virtuals = if has_cards && rng.chance(40) { 1 + rng.below(3) as u8 } else { 0 };
        let address =
            |function| PciAddress::new(0, 1, slot, function).expect("few slots and functions are made");
        for function in 0..=virtuals {
            let mut device = Device::new(address(function), "8086", "1111");
            device.dev_type = match (virtuals, function) {
                (0, _) => DeviceType::Pci,
                (_, 0) => DeviceType::Pf,
                _ => DeviceType::Vf,
            };
            device.parent_addr = device.dev_type.has_parent().then(|| address(0));
            device.numa_node = numa_node;
            device.extra_info = place.clone();
            let mut tags = ExtraInfo::new();
            set(&mut tags, "kind", Some(*rng.pick(kinds)));
            if let Some(group) = group(rng, if function == 0 { 55 } else { 30 }) {
                set(&mut tags, "device_group", Some(group));
            }
            // Another pool, with another place in their order.
            if rng.chance(30) {
                set(&mut tags, "slot", Some("odd"));
            }
            host.tags.insert(device.address, tags);
            host.devices.push(device);
        }
    }
    host
}

fn alternatives(rng: &mut Rng, kinds: &[&str], dev_types: &[&str]) -> Vec<ExtraInfo> {
    (0..1 + rng.below(2))
        .map(|_| {
            let mut wanted = ExtraInfo::new();
            if rng.chance(80) {
                set(&mut wanted, "kind", Some(*rng.pick(kinds)));
            }
            set(&mut wanted, "dev_type", Some(*rng.pick(dev_types)));
            wanted
        })
        .collect()
}
