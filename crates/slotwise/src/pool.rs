//! Pools: the free devices of one host, grouped so that those in a pool are interchangeable.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::PciAddress;
use crate::device::{Device, DeviceType};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::filter::Prepared;
use crate::fit::{Assignment, Fit, Pick, RequestAssignment, Step};
use crate::json;
use crate::limits;
use crate::nova::{self, Purpose};
use crate::numa::NumaTopology;
use crate::pool_set::PoolKey;
use crate::request::{Request, Strategy, Workload};
use crate::solve::bins::Attributes;
use crate::solve::{self, Budget, Decision};
use crate::stock::Families;
use crate::stored;

/// Free devices of one host that are interchangeable.
///
/// In JSON: `{"vendor_id", "product_id", "numa_node", "tags": {…}, "count", "devices": […]}`, where `tags` holds all
/// other attributes, among them `dev_type`, `address` and Placement's `rp_uuid`. That is the form Nova keeps in its
/// database; its older flat form and its versioned objects are read too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pool {
    /// What all its devices have in common: `vendor_id`, `product_id`, `dev_type`, `address` (of the card: the PF's for
    /// VFs), the operator's tags, and what the host reports as `parent_ifname` and `remote_managed`.
    pub attributes: Arc<ExtraInfo>,
    /// The NUMA node; `None` when it is unknown.
    pub numa_node: Option<u32>,
    /// The Placement resource provider that its devices are inventory of (Nova: `rp_uuid`).
    pub provider: Option<String>,
    /// How many free devices it holds; may be 0 while its devices are held.
    pub count: u32,
    /// The devices, where they are known (on a tracked host); they are handed out from the back.
    pub devices: Vec<PciAddress>,
}

impl Pool {
    /// A pool of so many devices that have these attributes, without saying which devices they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPool`] when `vendor_id` or `product_id` is not among the attributes.
    pub fn new(
        attributes: ExtraInfo,
        numa_node: Option<u32>,
        provider: Option<String>,
        count: u32,
    ) -> Result<Pool> {
        for id in ["vendor_id", "product_id"] {
            if attributes.text(id).is_none() {
                return Err(Error::new(ErrorKind::InvalidPool, format!("a pool needs a {id}")).inside(id));
            }
        }
        Ok(Pool { attributes: Arc::new(attributes), numa_node, provider, count, devices: Vec::new() })
    }

    /// What its devices are to SR-IOV, if the pool says so.
    #[must_use]
    pub fn dev_type(&self) -> Option<DeviceType> {
        self.attributes.text("dev_type").and_then(|text| text.parse().ok())
    }

    /// The empty pool that a device with these tags belongs to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] when there are too many tags.
    pub fn of_device(device: &Device, tags: &ExtraInfo) -> Result<Pool> {
        PoolKey::new(device, tags, &[]).map(|key| key.empty_pool())
    }

    /// The value of an attribute that all devices of the pool share.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        match key {
            "numa_node" => self.numa_node.map(|node| node.to_string()),
            "rp_uuid" => self.provider.clone(),
            key => self.attributes.text(key).map(str::to_owned),
        }
    }

    /// Pools come out ordered by how many attributes they have, then by age: those with fewer tags are used first, so
    /// that devices with special tags are kept for who asks for them. Source: Nova's `PciDeviceStats`.
    pub(crate) fn rank(&self) -> usize {
        self.attributes.len() + usize::from(self.provider.is_some())
    }

    fn from_value(value: Value) -> Result<Self> {
        let Value::Object(mut fields) = value else {
            return Err(Error::new(ErrorKind::InvalidPool, "a pool is a JSON object"));
        };
        if let Some(data) = fields.remove("nova_object.data") {
            return Pool::from_value(data);
        }
        let count = match fields.remove("count") {
            Some(Value::Number(count)) => count.as_u64().and_then(|count| u32::try_from(count).ok()),
            _ => None,
        }
        .ok_or_else(|| {
            Error::new(ErrorKind::InvalidPool, "a pool needs its number of free devices")
                .with_help("give a whole number from 0 to 4294967295")
                .inside("count")
        })?;
        let numa_node = match fields.remove("numa_node") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(node)) => crate::device::numa_node_from(Some(node.as_i64().unwrap_or(-2))),
            Some(_) => crate::device::numa_node_from(Some(-2)),
        }?;
        let devices = match fields.remove("devices") {
            None => Vec::new(),
            Some(devices) => json::from_value::<Vec<PciAddress>>(&devices, "devices")?,
        };
        if !devices.is_empty() && devices.len() != count as usize {
            return Err(Error::new(
                ErrorKind::InvalidPool,
                format!("the pool counts {count} devices but lists {}", devices.len()),
            )
            .with_help("leave devices out where they are not known")
            .inside("devices"));
        }
        let tags = match fields.remove("tags") {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(tags)) => tags,
            Some(_) => {
                return Err(Error::new(ErrorKind::InvalidPool, "tags are a JSON object").inside("tags"));
            }
        };
        let mut attributes = ExtraInfo::new();
        let mut provider = None;
        for (key, value) in fields.into_iter().chain(tags) {
            match (key.as_str(), value) {
                ("rp_uuid", Value::String(uuid)) => provider = Some(uuid),
                ("rp_uuid", _) => {}
                (_, value) => {
                    attributes.insert_value(key, &value)?;
                }
            }
        }
        Ok(Pool { devices, ..Pool::new(attributes, numa_node, provider, count)? })
    }
}

impl Serialize for Pool {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            vendor_id: Option<&'a str>,
            product_id: Option<&'a str>,
            numa_node: Option<u32>,
            tags: BTreeMap<&'a str, Option<&'a str>>,
            count: u32,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            devices: &'a [PciAddress],
        }
        let mut tags: BTreeMap<_, _> =
            self.attributes.iter().filter(|(key, _)| !matches!(*key, "vendor_id" | "product_id")).collect();
        if let Some(provider) = &self.provider {
            tags.insert("rp_uuid", Some(provider));
        }
        Document {
            vendor_id: self.attributes.text("vendor_id"),
            product_id: self.attributes.text("product_id"),
            numa_node: self.numa_node,
            tags,
            count: self.count,
            devices: &self.devices,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pool {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Pool::from_value(Value::deserialize(deserializer)?).map_err(|error| json::carry(&error))
    }
}

/// The pools of one host, in their stable order, and the host's NUMA cells.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Pools {
    pub(crate) list: Vec<Pool>,
    pub(crate) topology: Option<NumaTopology>,
}

impl Pools {
    /// Puts pools in their stable order: by number of attributes, then as given.
    #[must_use]
    pub fn new(mut list: Vec<Pool>, topology: Option<NumaTopology>) -> Self {
        list.sort_by_key(Pool::rank);
        Pools { list, topology }
    }

    /// Takes pools in an order of the caller's own, in which devices are then taken.
    ///
    /// Nova sorts its pools at some occasions and not at others; who has them in its order keeps it.
    #[must_use]
    pub fn in_order(list: Vec<Pool>, topology: Option<NumaTopology>) -> Self {
        Pools { list, topology }
    }

    /// Reads the pools that Nova keeps for a host: a list of pools, one pool, its versioned `PciDevicePoolList`, or
    /// null for a host without.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidJson`], [`ErrorKind::InvalidPool`] or [`ErrorKind::LimitExceeded`], with the place.
    ///
    /// ```
    /// let pools = slotwise::Pools::from_json(
    ///     r#"[{"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": 4,
    ///          "tags": {"dev_type": "type-VF", "address": "0000:81:00.0"}}]"#, None)?;
    /// assert_eq!(pools.free(), 4);
    /// # Ok::<(), slotwise::Error>(())
    /// ```
    pub fn from_json(text: &str, topology: Option<NumaTopology>) -> Result<Self> {
        limits::check("document size in bytes", text.len(), limits::MAX_DOCUMENT_BYTES)
            .map_err(|e| e.inside("pools"))?;
        match stored::read(text) {
            Some(list) => Ok(Pools::new(list, topology)),
            None => Pools::from_any_json(text, topology),
        }
    }

    /// As [`Pools::from_json`], whatever the text looks like.
    pub(crate) fn from_any_json(text: &str, topology: Option<NumaTopology>) -> Result<Self> {
        let value: Value = json::parse(text, "pools")?;
        Pools::from_value(value, topology).map_err(|e| e.inside("pools"))
    }

    pub(crate) fn from_value(value: Value, topology: Option<NumaTopology>) -> Result<Self> {
        let items = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            Value::Object(mut object) => match object.get_mut("nova_object.data") {
                Some(data) => match data.get_mut("objects").map(Value::take) {
                    Some(Value::Array(items)) => items,
                    _ => {
                        return Err(Error::new(
                            ErrorKind::InvalidPool,
                            "a PciDevicePoolList has no list of objects",
                        )
                        .inside("nova_object.data.objects"));
                    }
                },
                None => vec![Value::Object(object)],
            },
            _ => return Err(Error::new(ErrorKind::InvalidPool, "pools are a JSON array, an object or null")),
        };
        limits::check("number of pools", items.len(), limits::MAX_DEVICES)?;
        let list = items
            .into_iter()
            .enumerate()
            .map(|(i, item)| Pool::from_value(item).map_err(|e| e.inside(format!("[{i}]"))))
            .collect::<Result<Vec<_>>>()?;
        Ok(Pools::new(list, topology))
    }

    /// The pools, in their stable order.
    #[must_use]
    pub fn as_slice(&self) -> &[Pool] {
        &self.list
    }

    /// The host's NUMA cells, if known.
    #[must_use]
    pub fn topology(&self) -> Option<&NumaTopology> {
        self.topology.as_ref()
    }

    /// How many free devices there are in all.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.list.iter().map(|pool| u64::from(pool.count)).sum()
    }

    /// Whether and how the workload fits these pools, without taking anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] or [`ErrorKind::LimitExceeded`] for a workload that is not valid.
    pub fn fit(&self, workload: &Workload) -> Result<Fit> {
        self.decide(workload, Purpose::Fit, None)
    }

    /// As [`Pools::fit`], if that takes a moment: fewer than so many search steps, each of which takes microseconds, on a
    /// host that is looked through as quickly. `None` if it could take more; the answer does not depend on the steps.
    ///
    /// For callers that hold something while they ask, such as an interpreter's lock, and let go of it for long
    /// questions only.
    ///
    /// # Errors
    ///
    /// As [`Pools::fit`].
    ///
    /// ```
    /// use slotwise::{Pools, Request, Workload, json};
    ///
    /// let pools = Pools::from_json(r#"[{"vendor_id": "10de", "product_id": "25b6", "count": 1}]"#, None)?;
    /// let request: Request = json::parse(r#"{"alternatives": [{"vendor_id": "10de"}]}"#, "request")?;
    /// let workload = Workload::new(vec![request]);
    /// assert_eq!(pools.fit_within(&workload, 16)?, Some(pools.fit(&workload)?));
    /// # Ok::<(), slotwise::Error>(())
    /// ```
    pub fn fit_within(&self, workload: &Workload, steps: u64) -> Result<Option<Fit>> {
        self.decide_if_short(workload, steps, None)
    }

    /// So many looks at a pool take a fraction of a millisecond.
    const FEW_LOOKS: usize = 4096;

    /// About how many looks at a pool with an alternative a question takes that needs no search.
    fn looks(&self, workload: &Workload) -> usize {
        let mut places = self.list.len();
        if !workload.is_plain() || !workload.prefer_devices.is_empty() {
            // Devices of a pool may be told apart, for which each is compared with others.
            let devices = self.list.iter().map(|pool| pool.devices.len()).sum::<usize>();
            places += 8 * (devices + workload.prefer_devices.iter().map(Vec::len).sum::<usize>());
        }
        let options = workload.requests.iter().flat_map(Request::options);
        let alternatives = options.map(|(_, alternatives)| alternatives.len()).sum::<usize>();
        places.saturating_mul(alternatives)
    }

    /// The same with what is known of the devices beyond their pools.
    pub(crate) fn decide_if_short(
        &self,
        workload: &Workload,
        steps: u64,
        attributes: Option<&dyn Attributes>,
    ) -> Result<Option<Fit>> {
        if self.looks(workload) > Self::FEW_LOOKS {
            return Ok(None);
        }
        let budget = Budget::at_most(steps, workload);
        let fit = self.decide_within(workload, Purpose::Fit, attributes, &budget)?;
        Ok(budget.was_enough().then_some(fit))
    }

    /// As [`Pools::fit`], for a scheduler's question or for a claim that is about to be made; with strategy
    /// [`Strategy::Nova`] the two may differ.
    ///
    /// # Errors
    ///
    /// As [`Pools::fit`].
    pub fn fit_for(&self, workload: &Workload, purpose: Purpose) -> Result<Fit> {
        self.decide(workload, purpose, None)
    }

    /// How many devices each pool has left after an assignment that [`Pools::fit_for`] found.
    ///
    /// A device that is taken takes those along that it excludes, except for a scheduler with [`Strategy::Nova`]: Nova
    /// lets a PF and its VFs stay beside each other there (case W04c).
    #[must_use]
    pub fn left_after(&self, assignment: &Assignment, strategy: Strategy, purpose: Purpose) -> Vec<u32> {
        let families = Families::new(&self.list);
        let mut counts: Vec<u32> = self.list.iter().map(|pool| pool.count).collect();
        for pick in assignment.all_picks() {
            match (strategy, purpose) {
                (Strategy::Nova, Purpose::Fit) => {
                    if let Some(count) = counts.get_mut(pick.pool) {
                        *count = count.saturating_sub(pick.count);
                    }
                }
                _ if counts.get(pick.pool).is_some_and(|&count| count >= pick.count) => {
                    families.take(&mut counts, pick.pool, pick.count);
                }
                _ => {}
            }
        }
        counts
    }

    /// The pools (by index) that one step of the filter chain keeps for a request, whatever the other steps say.
    #[must_use]
    pub fn kept(&self, workload: &Workload, request: usize, step: Step) -> Vec<usize> {
        let Some(asked) = workload.requests.get(request) else { return Vec::new() };
        let prepared = Prepared::new(self, workload, asked, 0, workload.cells());
        (0..self.list.len()).filter(|&i| prepared.keeps(step, &self.list[i])).collect()
    }

    /// Whether the workload fits, without saying how or why not; `None` if the search budget ran out.
    ///
    /// # Errors
    ///
    /// As [`Pools::fit`].
    pub fn supports(&self, workload: &Workload) -> Result<Option<bool>> {
        workload.validate().map_err(|e| e.inside("workload"))?;
        Ok(self.verdict(workload))
    }

    /// As [`Pools::supports`], for a workload that is known to be valid.
    pub(crate) fn verdict(&self, workload: &Workload) -> Option<bool> {
        match workload.strategy {
            Strategy::Exact => solve::servable(self, workload),
            Strategy::Nova => Some(nova::serves(self, workload)),
        }
    }

    /// As [`Pools::fit`], for a scheduler's fit or a host's claim, with what is known of the devices beyond their pools.
    pub(crate) fn decide(
        &self,
        workload: &Workload,
        purpose: Purpose,
        attributes: Option<&dyn Attributes>,
    ) -> Result<Fit> {
        self.decide_within(workload, purpose, attributes, &Budget::of(&[workload]))
    }

    /// The same with what is left of a budget.
    pub(crate) fn decide_within(
        &self,
        workload: &Workload,
        purpose: Purpose,
        attributes: Option<&dyn Attributes>,
        budget: &Budget,
    ) -> Result<Fit> {
        workload.validate().map_err(|e| e.inside("workload"))?;
        let decision = match workload.strategy {
            Strategy::Exact => solve::exact(self, workload, attributes, budget)?,
            Strategy::Nova => nova::nova(self, workload, purpose),
        };
        Ok(match decision {
            Decision::Fits(assignment) => Fit::Fits(assignment),
            Decision::NoFit(no) => Fit::NoFit(no),
            Decision::Undecided(undecided) => Fit::Undecided(undecided),
        })
    }

    /// Names the devices that the picks stand for: each pool hands out from its back.
    pub(crate) fn assignment(&self, workload: &Workload, picks: Vec<Vec<Pick>>) -> Assignment {
        let mut taken = vec![0; self.list.len()];
        let requests = workload.requests.iter().zip(picks).map(|(request, picks)| {
            let mut devices = Vec::new();
            for pick in &picks {
                let pool = &self.list[pick.pool];
                let from_back = pool.devices.iter().rev().skip(taken[pick.pool]).take(pick.count as usize);
                devices.extend(from_back.copied());
                taken[pick.pool] += pick.count as usize;
            }
            RequestAssignment {
                request_id: request.request_id.clone(),
                picks,
                devices,
                option: 0,
                companions: Vec::new(),
                companion_picks: Vec::new(),
            }
        });
        Assignment { requests: requests.collect(), ..Assignment::default() }
    }

    /// Takes what an assignment found by [`Pools::fit`] uses, so that the next workload sees what is left.
    ///
    /// A device that is taken also takes those that it excludes: a PF its VFs, a VF its PF. Pools that are empty then
    /// are removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidState`] when the pools no longer hold what the assignment uses; nothing is taken then.
    pub fn consume(&mut self, assignment: &Assignment) -> Result<()> {
        let families = Families::new(&self.list);
        let mut counts: Vec<u32> = self.list.iter().map(|pool| pool.count).collect();
        let mut named = std::collections::BTreeSet::new();
        for (r, request) in assignment.requests.iter().enumerate() {
            for (p, pick) in request.all_picks().enumerate() {
                if counts.get(pick.pool).is_none_or(|&count| count < pick.count) {
                    return Err(Error::new(
                        ErrorKind::InvalidState,
                        format!("pool {} no longer has {} free devices", pick.pool, pick.count),
                    )
                    .with_help("fit the workload again on the pools as they are now")
                    .inside(format!("assignment.requests[{r}].picks[{p}]")));
                }
                families.take(&mut counts, pick.pool, pick.count);
            }
            named.extend(request.devices.iter().chain(&request.companions).copied());
        }
        for (pool, count) in self.list.iter_mut().zip(counts) {
            pool.count = count;
            pool.devices.retain(|device| !named.contains(device));
            pool.devices.truncate(count as usize);
        }
        self.list.retain(|pool| pool.count > 0);
        Ok(())
    }

    /// Groups the free devices by the values of `keys`, which name any attribute or tag, or `numa_node`.
    ///
    /// Groups are ordered by their values. A pool without the attribute counts under null.
    #[must_use]
    pub fn group_by(&self, keys: &[String]) -> Vec<Group> {
        let mut groups: BTreeMap<Vec<Option<String>>, Group> = BTreeMap::new();
        for pool in &self.list {
            let values: Vec<Option<String>> = keys.iter().map(|key| pool.value(key)).collect();
            let group = groups.entry(values).or_insert_with_key(|values| Group::new(keys, values));
            group.total += u64::from(pool.count);
            group.free += u64::from(pool.count);
            group.devices.extend(&pool.devices);
        }
        groups.into_values().collect()
    }
}

/// Devices that have the same values under the keys they were grouped by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Group {
    /// The value under each key; null where it is unknown or absent.
    pub values: BTreeMap<String, Option<String>>,
    /// How many devices there are.
    pub total: u64,
    /// How many of them are free to be claimed.
    pub free: u64,
    /// The devices, where they are known, ordered by address.
    pub devices: Vec<PciAddress>,
}

impl Group {
    pub(crate) fn new(keys: &[String], values: &[Option<String>]) -> Self {
        Group {
            values: keys.iter().cloned().zip(values.iter().cloned()).collect(),
            total: 0,
            free: 0,
            devices: Vec::new(),
        }
    }
}
