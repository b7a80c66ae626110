//! Random hosts and workloads, made from a seed: the same seed gives the same instance on every platform.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use slotwise::{
    CellChoice, Constraint, Device, DeviceType, ExtraInfo, Fallback, NumaCell, NumaPolicy, NumaTopology,
    PciAddress, Preference, Relation, Request, RequestSource, Workload,
};

/// A small deterministic generator of pseudo-random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        // The bias of the remainder is of no interest for bounds this small.
        (self.bits() % bound.max(1) as u64) as usize
    }

    /// Whether an event of `percent` in a hundred happens.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which are at least one.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// A host: its functions, and the rules under which all of them are assignable with random tags.
#[derive(Clone, Debug)]
pub struct Host {
    /// What the host reports.
    pub devices: Vec<Device>,
    /// The tags that each device gets, beside what it reports itself.
    pub tags: BTreeMap<PciAddress, ExtraInfo>,
    /// The host's NUMA cells, if it tells them.
    pub topology: Option<NumaTopology>,
}

impl Host {
    /// One rule per device, as JSON texts.
    ///
    /// A rule for the address of a PF covers its VFs too, so that the rules of VFs come first.
    #[must_use]
    pub fn specs(&self) -> Vec<String> {
        let (children, others): (Vec<_>, Vec<_>) = self.devices.iter().partition(|d| d.parent_addr.is_some());
        let rule = |device: &Device| {
            let mut rule = Map::new();
            rule.insert("address".to_owned(), device.address.to_string().into());
            for (key, text) in self.tags[&device.address].iter() {
                rule.insert(key.to_owned(), text.into());
            }
            Value::Object(rule).to_string()
        };
        children.into_iter().chain(others).map(rule).collect()
    }
}

/// What a generator may make.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The most functions on a host.
    pub devices: usize,
    /// The most requests of a workload.
    pub requests: usize,
    /// The most devices that a request counts.
    pub count: usize,
}

impl Size {
    /// Small enough to try every assignment.
    pub const SMALL: Size = Size { devices: 8, requests: 4, count: 3 };
}

const PROVIDERS: [&str; 3] = ["rp-0", "rp-1", "rp-2"];
const PRODUCTS: [&str; 2] = ["1111", "2222"];

/// A host of 1 to `size.devices` functions.
pub fn host(rng: &mut Rng, size: Size) -> Host {
    let wanted = 1 + rng.below(size.devices).max(rng.below(size.devices));
    let mut host = Host { devices: Vec::new(), tags: BTreeMap::new(), topology: topology(rng) };
    let tagged = rng.chance(50);
    let with_providers = rng.chance(50);
    while host.devices.len() < wanted {
        let slot = u8::try_from(host.devices.len() % 32).unwrap_or(0);
        let bus = u8::try_from(host.devices.len() / 32).unwrap_or(0);
        let numa_node = *rng.pick(&[None, Some(0), Some(1), Some(1), Some(2)]);
        let provider = *rng.pick(&PROVIDERS);
        let room = wanted - host.devices.len();
        let family = rng.chance(60);
        let children = if family && room > 1 { rng.below(room.min(4)) } else { 0 };
        let physical = address(bus, slot, 0);
        for function in 0..=children {
            let dev_type = match (family, function) {
                (false, _) => DeviceType::Pci,
                (true, 0) => DeviceType::Pf,
                _ if rng.chance(15) => DeviceType::Vdpa,
                _ => DeviceType::Vf,
            };
            let function = u8::try_from(function).unwrap_or(0);
            let mut device = Device::new(address(bus, slot, function), "8086", *rng.pick(&PRODUCTS));
            device.dev_type = dev_type;
            device.numa_node = numa_node;
            device.parent_addr = dev_type.has_parent().then_some(physical);
            let mut tags = Vec::new();
            if tagged && rng.chance(50) {
                tags.push(("physical_network", *rng.pick(&[None, Some("a"), Some("B")])));
            }
            if tagged && rng.chance(30) {
                tags.push(("live_migratable", *rng.pick(&[Some("true"), Some("false")])));
            }
            if tagged && dev_type == DeviceType::Vf && rng.chance(20) {
                tags.push(("remote_managed", Some("true")));
                // A remote-managed device is assignable only with a serial number.
                set(&mut device.extra_info, "card_serial_number", Some("MT1"));
            }
            if with_providers && rng.chance(90) {
                set(&mut device.extra_info, "rp_uuid", Some(provider));
            }
            let mut info = ExtraInfo::new();
            for (key, text) in tags {
                set(&mut info, key, text);
            }
            host.tags.insert(device.address, info);
            host.devices.push(device);
        }
    }
    // Devices are handed out by age, so that the order in which a host lists them matters.
    for i in (1..host.devices.len()).rev() {
        host.devices.swap(i, rng.below(i + 1));
    }
    host
}

fn topology(rng: &mut Rng) -> Option<NumaTopology> {
    let sockets = match rng.below(4) {
        0 => return None,
        1 => [Some(0), None, Some(1)],
        _ => [Some(0), Some(0), Some(1)],
    };
    let cells = (0..3).zip(sockets).map(|(id, socket)| NumaCell { id, socket }).collect();
    NumaTopology::new(cells).ok()
}

/// A workload of 1 to `size.requests` requests.
///
/// Where Placement has a say, its mapping names as many providers as the request counts devices.
pub fn workload(rng: &mut Rng, size: Size, host: &Host) -> Workload {
    let requests: Vec<Request> =
        (0..=rng.below(size.requests)).map(|i| request(rng, size, host, i)).collect();
    let numa_cells = match rng.below(6) {
        0..3 => None,
        3 => Some(vec![0, 1]),
        4 => Some(vec![0]),
        _ => Some(vec![1]),
    };
    let mut mapping = BTreeMap::new();
    if rng.chance(20) {
        for request in &requests {
            let mapped = if rng.chance(70) { request.count } else { 0 };
            for n in 0..mapped {
                let id = request.request_id.as_deref().unwrap_or_default();
                mapping.insert(format!("{id}-{n}"), vec![(*rng.pick(&PROVIDERS)).to_owned()]);
            }
        }
    }
    let provider_mapping = (!mapping.is_empty()).then_some(mapping);
    Workload { numa_cells, provider_mapping, ..Workload::new(requests) }
}

fn request(rng: &mut Rng, size: Size, host: &Host, index: usize) -> Request {
    // Mostly one device: otherwise nearly every workload asks for more than there is.
    let count = if rng.chance(70) { 1 } else { u32::try_from(1 + rng.below(size.count)).unwrap_or(1) };
    let alternatives = (0..=rng.below(2)).map(|_| alternative(rng, host)).collect();
    let policy = rng.below(6);
    Request {
        // No id is the beginning of another one.
        request_id: Some(format!("r{index:03}")),
        requester_id: Some(format!("port-{index}")),
        count,
        alternatives,
        numa_policy: [NumaPolicy::Required, NumaPolicy::Preferred, NumaPolicy::Legacy, NumaPolicy::Socket]
            .get(policy)
            .copied(),
        source: if rng.chance(30) { RequestSource::NeutronPort } else { RequestSource::Flavor },
        ..Request::default()
    }
}

fn alternative(rng: &mut Rng, host: &Host) -> ExtraInfo {
    let mut wanted = ExtraInfo::new();
    if rng.chance(50) {
        set(&mut wanted, "product_id", Some(*rng.pick(&PRODUCTS)));
    }
    if rng.chance(35) {
        set(
            &mut wanted,
            "dev_type",
            Some(*rng.pick(&["type-PCI", "type-PF", "type-PF", "type-VF", "type-VF", "vdpa"])),
        );
    }
    if rng.chance(12) {
        set(&mut wanted, "physical_network", *rng.pick(&[None, Some("A"), Some("b")]));
    }
    if rng.chance(6) {
        set(&mut wanted, "live_migratable", Some(*rng.pick(&["true", "false"])));
    }
    if rng.chance(10) {
        set(&mut wanted, "remote_managed", Some(*rng.pick(&["True", "false"])));
    }
    if rng.chance(8) {
        set(&mut wanted, "address", Some(&rng.pick(&host.devices).card_address().to_string()));
    }
    wanted
}

fn address(bus: u8, slot: u8, function: u8) -> PciAddress {
    PciAddress::new(0, bus, slot, function).unwrap_or_else(|error| panic!("a generated address: {error}"))
}

pub(crate) fn set(info: &mut ExtraInfo, key: &str, text: Option<&str>) {
    info.insert(key, text.map(str::to_owned))
        .unwrap_or_else(|error| panic!("a short generated text: {error}"));
}

/// The host's free devices as pools, in Nova's JSON form: one pool per device, in the order in which it lists them.
///
/// This does without the engine's own grouping, so that the solver can be tried on its own.
#[must_use]
pub fn singleton_pools(host: &Host) -> Value {
    let pool = |device: &Device| {
        let mut tags = crate::oracle::attributes(device, &host.tags[&device.address]);
        tags.remove("vendor_id");
        tags.remove("product_id");
        if let Some(provider) = device.extra_info.text("rp_uuid") {
            tags.insert("rp_uuid".to_owned(), Some(provider.to_owned()));
        }
        json!({
            "vendor_id": device.vendor_id, "product_id": device.product_id, "numa_node": device.numa_node,
            "tags": tags, "count": 1, "devices": [device.address],
        })
    };
    host.devices.iter().map(pool).collect()
}

/// Small hosts with racks and device groups, and what constrained workloads ask of them.
pub const CONSTRAINED: Size = Size { devices: 7, requests: 3, count: 3 };

/// A host on which some devices name a rack, and some belong to a device group.
pub fn grouped_host(rng: &mut Rng, size: Size) -> Host {
    let mut host = host(rng, size);
    let (racks, groups) = (rng.chance(70), rng.chance(40));
    for device in &mut host.devices {
        if racks && rng.chance(85) {
            set(&mut device.extra_info, "rack", Some(*rng.pick(&["x", "y", "z"])));
        }
        if groups
            && rng.chance(50)
            && let Some(tags) = host.tags.get_mut(&device.address)
        {
            set(tags, "device_group", Some(*rng.pick(&["g", "h"])));
        }
    }
    host
}

/// A workload with constraints, fallbacks, preferences and cells to choose from. Keys are only such as some device has.
pub fn constrained_workload(rng: &mut Rng, size: Size, host: &Host) -> Workload {
    let mut workload = workload(rng, size, host);
    let mut keys = vec!["address", "product_id"];
    if host.devices.iter().any(|device| device.extra_info.text("rack").is_some()) {
        keys.push("rack");
    }
    if host.devices.iter().any(|device| device.numa_node.is_some()) {
        keys.push("numa_node");
    }
    let mapped = workload.provider_mapping.is_some();
    for request in &mut workload.requests {
        if !mapped && rng.chance(20) {
            let count = 1 + u32::try_from(rng.below(2)).unwrap_or(0);
            request.otherwise = vec![Fallback { count, alternatives: vec![alternative(rng, host)] }];
        }
        match rng.below(10) {
            0 => request.isolate = true,
            1 => request.same = vec![(*rng.pick(&keys)).to_owned()],
            2 => request.distinct = vec![(*rng.pick(&keys)).to_owned()],
            3 => request.prefer_same = vec![(*rng.pick(&keys)).to_owned()],
            _ => {}
        }
    }
    if workload.requests.len() > 1 && rng.chance(35) {
        let mut requests: Vec<usize> = (0..workload.requests.len()).collect();
        if requests.len() > 2 && rng.chance(50) {
            requests.remove(rng.below(3));
        }
        let relation = *rng.pick(&[Relation::Same, Relation::Distinct]);
        workload.constraints.push(Constraint { requests, relation, key: (*rng.pick(&keys)).to_owned() });
    }
    workload.prefer =
        *rng.pick(&[Preference::Stable, Preference::Stable, Preference::Pack, Preference::Spread]);
    if workload.prefer == Preference::Spread && rng.chance(40) {
        workload.spread_over = Some((*rng.pick(&keys)).to_owned());
    }
    if rng.chance(25) {
        workload.prefer_devices = vec![Vec::new(); 3];
        for device in &host.devices {
            // Some are not named.
            if let Some(devices) = workload.prefer_devices.get_mut(rng.below(4)) {
                devices.push(device.address);
            }
        }
    }
    if rng.chance(15) {
        workload.numa_cells = None;
        // Node 3 has no devices.
        let mut from = vec![1, 0, 2, 3];
        from.swap(rng.below(4), rng.below(4));
        from.truncate(2 + rng.below(3));
        let count = 1 + rng.below(from.len());
        workload.numa_cells_from = Some(CellChoice { from, count });
    }
    workload
}
