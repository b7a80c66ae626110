//! A fleet that looks like a real one, and the questions that are timed.

use slotwise::{ExtraInfo, Fleet, HostDelta, Pool, Pools, Request, Result, Workload, json};

/// So many pools each host has.
pub const POOLS: usize = 16;

/// Hardware models that are common; one host in a hundred is of another one, with the only cards of their kind.
const MODELS: usize = 24;

const NETWORKS: [&str; 4] = ["blue", "green", "storage", "tenant"];
const NICS: [&str; 3] = ["101e", "101a", "1018"];
const GPUS: [&str; 4] = ["2330", "26b9", "20b5", "2236"];

/// A small deterministic generator of pseudo-random numbers (xorshift).
pub struct Random(u64);

impl Random {
    /// A generator that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }
}

/// The hardware that hosts are made of: the pools of each model, the rare one last.
pub struct Catalogue(Vec<Vec<Pool>>);

impl Catalogue {
    /// Makes the models.
    ///
    /// # Errors
    ///
    /// None.
    pub fn new() -> Result<Self> {
        (0..=MODELS)
            .map(|model| (0..POOLS).map(|slot| pool(model, slot)).collect())
            .collect::<Result<_>>()
            .map(Catalogue)
    }

    /// The pools of host number `host`, some of whose devices are in use.
    pub fn host(&self, host: usize, random: &mut Random) -> Pools {
        let model = if host % 100 == 37 { MODELS } else { random.below(MODELS) };
        let list = self.0[model].iter().cloned().map(|mut pool| {
            let most = pool.count;
            pool.count = random.below(most as usize + 1) as u32;
            pool
        });
        Pools::new(list.collect(), None)
    }
}

/// Eight network cards, four GPUs and four drives; a rare host has FPGAs where others have GPUs.
fn pool(model: usize, slot: usize) -> Result<Pool> {
    let address = format!("0000:{:02x}:00.0", 0x10 + slot * 8);
    let (vendor, product, dev_type, count) = match slot {
        0..8 => ("15b3", NICS[model % NICS.len()], "type-VF", 16),
        8..12 if model == MODELS => ("10ee", "5000", "type-PCI", 1),
        8..12 => ("10de", GPUS[model / NICS.len() % GPUS.len()], "type-PCI", 1),
        _ => ("144d", "a80a", "type-PCI", 2),
    };
    let mut attributes = ExtraInfo::try_from([
        ("vendor_id", vendor),
        ("product_id", product),
        ("dev_type", dev_type),
        ("address", address.as_str()),
    ])?;
    if slot < 8 {
        attributes
            .insert("physical_network", Some(NETWORKS[(model + slot / 2) % NETWORKS.len()].to_owned()))?;
    }
    Ok(Pool {
        attributes: attributes.into(),
        numa_node: Some((slot % 2) as u32),
        provider: None,
        count,
        devices: Vec::new(),
    })
}

/// The name of host number `host`.
#[must_use]
pub fn name(host: usize) -> String {
    format!("compute-{host:07}")
}

/// A fleet of so many hosts.
///
/// # Errors
///
/// None.
pub fn fleet(hosts: usize) -> Result<Fleet> {
    let (catalogue, mut random) = (Catalogue::new()?, Random::new(7));
    let mut fleet = Fleet::new();
    fleet.reserve_hosts(hosts);
    for host in 0..hosts {
        fleet.put(&name(host), &catalogue.host(host, &mut random), None)?;
    }
    Ok(fleet)
}

/// Two requests: so many VFs of a network, and a GPU or two. `spelling` makes another question of the same meaning.
///
/// # Errors
///
/// None for counts over 0.
pub fn two_requests(nics: u32, gpus: u32, spelling: usize) -> Result<Workload> {
    let nic = ExtraInfo::try_from([("vendor_id", "15b3"), ("physical_network", "blue")])?;
    let gpu = ExtraInfo::try_from([("vendor_id", "10de"), ("product_id", "2330")])?;
    let mut requests = vec![Request::new(nics, nic)?, Request::new(gpus, gpu)?];
    let nothing = format!("none-{spelling}");
    requests[0].alternatives.push(ExtraInfo::try_from([("vendor_id", nothing.as_str())])?);
    Ok(Workload::new(requests))
}

/// What one host in a hundred can serve.
///
/// # Errors
///
/// None for counts over 0.
pub fn rare(nics: u32, spelling: usize) -> Result<Workload> {
    let fpga = ExtraInfo::try_from([("vendor_id", "10ee"), ("product_id", "5000")])?;
    let mut workload = two_requests(nics, 1, spelling)?;
    workload.requests[0].alternatives[0] = ExtraInfo::try_from([("vendor_id", "15b3")])?;
    workload.requests[1].alternatives = vec![fpga];
    Ok(workload)
}

/// The next state of a host: one device more or less in one of its pools.
///
/// # Errors
///
/// When the host is not there.
pub fn delta(fleet: &Fleet, host: &str, slot: usize) -> Result<HostDelta> {
    let (base, mut pool) = (fleet.version(host)?, fleet.pools(host)?.as_slice()[slot].clone());
    pool.count ^= 1;
    Ok(HostDelta { base, version: base + 1, pools: vec![pool], ..HostDelta::default() })
}

/// The pools of a host as Nova keeps them.
#[must_use]
pub fn text(pools: &Pools) -> String {
    json::to_string(pools.as_slice())
}
