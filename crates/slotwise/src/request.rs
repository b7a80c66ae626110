//! What a workload asks for: requests, each a count of devices with alternatives, and where the guest runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::PciAddress;
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::limits;
use crate::numa::NumaPolicy;

/// Keys of an alternative that Placement has matched already, so that pools are not compared with them.
///
/// Source: Nova's `PciDeviceStats.ignored_spec_tags`.
pub const PLACEMENT_KEYS: &[&str] = &["resource_class", "traits", "rp_uuid", "rp_uuids"];

/// Where a request comes from; Placement's candidate mapping counts for flavors only, as in Nova.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestSource {
    /// The flavor's `pci_passthrough:alias`, or a direct call.
    #[default]
    Flavor,
    /// A network port.
    NeutronPort,
}

/// A count of devices, each of which must match one of the alternatives.
///
/// ```
/// let request: slotwise::Request = slotwise::json::parse(
///     r#"{"request_id": "r1", "requester_id": "port-7", "count": 1,
///         "alternatives": [{"vendor_id": "15b3", "product_id": "1018", "physical_network": "blue"}]}"#,
///     "request")?;
/// assert_eq!(request.count, 1);
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct Request {
    /// Names this request; the devices given to it can be asked for by it.
    pub request_id: Option<String>,
    /// Names who asks: a port, a NIC, a container; the devices given can be asked for by it too.
    pub requester_id: Option<String>,
    /// The alias the request was made from.
    pub alias_name: Option<String>,
    /// How many devices, 1 to [`limits::MAX_COUNT`].
    pub count: u32,
    /// What a device may look like; it must match all entries of at least one alternative.
    ///
    /// Keys are `vendor_id`, `product_id`, `dev_type`, `address`, `live_migratable`, `remote_managed`, or any tag.
    /// Values are compared without regard to case; null matches a key that is absent or null.
    pub alternatives: Vec<ExtraInfo>,
    /// How near to the guest's cells; `None` means [`NumaPolicy::Legacy`].
    pub numa_policy: Option<NumaPolicy>,
    /// Where the request comes from.
    pub source: RequestSource,
    /// What to take instead if this cannot be had, best first ("one H100, else two A100").
    pub otherwise: Vec<Fallback>,
    /// Each device from another card: another physical function, or another function of its own.
    pub isolate: bool,
    /// Attributes in which all its devices must agree, such as `numa_node` or `switch`.
    pub same: Vec<String>,
    /// Attributes in which no two of its devices may agree.
    pub distinct: Vec<String>,
    /// Attributes in which its devices should agree as far as possible: preferred islands.
    pub prefer_same: Vec<String>,
}

/// What a request takes instead if what it asks for first cannot be had.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// How many devices, 1 to [`limits::MAX_COUNT`].
    pub count: u32,
    /// What a device may look like, as in [`Request::alternatives`].
    pub alternatives: Vec<ExtraInfo>,
}

impl Default for Request {
    /// One device of any kind.
    fn default() -> Self {
        Request {
            request_id: None,
            requester_id: None,
            alias_name: None,
            count: 1,
            alternatives: vec![ExtraInfo::new()],
            numa_policy: None,
            source: RequestSource::Flavor,
            otherwise: Vec::new(),
            isolate: false,
            same: Vec::new(),
            distinct: Vec::new(),
            prefer_same: Vec::new(),
        }
    }
}

impl Request {
    /// A request for `count` devices that match `alternative`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when the count is out of range.
    pub fn new(count: u32, alternative: ExtraInfo) -> Result<Self> {
        let request = Request { count, alternatives: vec![alternative], ..Request::default() };
        request.validate()?;
        Ok(request)
    }

    /// Checks the count and the number of alternatives.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] or [`ErrorKind::LimitExceeded`] with the field as its place.
    pub fn validate(&self) -> Result<()> {
        check_option(self.count, &self.alternatives)?;
        limits::check("number of fallbacks", self.otherwise.len(), limits::MAX_FALLBACKS)
            .map_err(|e| e.inside("otherwise"))?;
        for (i, fallback) in self.otherwise.iter().enumerate() {
            check_option(fallback.count, &fallback.alternatives)
                .map_err(|e| e.inside(format!("otherwise[{i}]")))?;
        }
        for (name, keys) in
            [("same", &self.same), ("distinct", &self.distinct), ("prefer_same", &self.prefer_same)]
        {
            limits::check("number of keys", keys.len(), limits::MAX_CONSTRAINTS)
                .map_err(|e| e.inside(name))?;
        }
        let isolated = self.isolate.then_some("address");
        let mut distinct = self.distinct.iter().map(String::as_str).chain(isolated);
        match distinct.find(|key| self.same.iter().any(|same| same == key)) {
            Some(key) if self.count > 1 => Err(contradiction(key).inside("same")),
            _ => Ok(()),
        }
    }

    /// What is asked for first, and the fallbacks after it: count and alternatives of each.
    pub(crate) fn options(&self) -> impl Iterator<Item = (u32, &[ExtraInfo])> {
        let fallbacks =
            self.otherwise.iter().map(|fallback| (fallback.count, fallback.alternatives.as_slice()));
        std::iter::once((self.count, self.alternatives.as_slice())).chain(fallbacks)
    }
}

fn check_option(count: u32, alternatives: &[ExtraInfo]) -> Result<()> {
    check_count(count).map_err(|e| e.inside("count"))?;
    if alternatives.is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "a request needs at least one alternative")
            .with_help("give [{}] to accept any device")
            .inside("alternatives"));
    }
    limits::check("number of alternatives", alternatives.len(), limits::MAX_ALTERNATIVES)
        .map_err(|e| e.inside("alternatives"))
}

fn contradiction(key: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("devices cannot both agree and differ in {key:?}"))
        .with_help("keep one of the two constraints")
}

/// Checks the count of a request or of a flavor's `alias:count`.
pub(crate) fn check_count(count: u32) -> Result<()> {
    if (1..=limits::MAX_COUNT).contains(&count) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidRequest, format!("count {count} is out of range"))
        .with_help(format!("ask for 1 to {} devices", limits::MAX_COUNT)))
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            #[serde(default)]
            request_id: Option<String>,
            #[serde(default)]
            requester_id: Option<String>,
            #[serde(default)]
            alias_name: Option<String>,
            #[serde(default = "one")]
            count: u32,
            // Nova calls the alternatives `spec`.
            #[serde(alias = "spec")]
            alternatives: Vec<ExtraInfo>,
            #[serde(default)]
            numa_policy: Option<NumaPolicy>,
            #[serde(default)]
            source: RequestSource,
            #[serde(default)]
            otherwise: Vec<Fallback>,
            #[serde(default)]
            isolate: bool,
            #[serde(default)]
            same: Vec<String>,
            #[serde(default)]
            distinct: Vec<String>,
            #[serde(default)]
            prefer_same: Vec<String>,
        }
        fn one() -> u32 {
            1
        }
        let document = Document::deserialize(deserializer)?;
        let request = Request {
            request_id: document.request_id,
            requester_id: document.requester_id,
            alias_name: document.alias_name,
            count: document.count,
            alternatives: document.alternatives,
            numa_policy: document.numa_policy,
            source: document.source,
            otherwise: document.otherwise,
            isolate: document.isolate,
            same: document.same,
            distinct: document.distinct,
            prefer_same: document.prefer_same,
        };
        request.validate().map_err(|error| crate::json::carry(&error))?;
        Ok(request)
    }
}

/// How an answer is found.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// All requests together: *no fit* means that no assignment exists. The default.
    #[default]
    Exact,
    /// One request after the other, as OpenStack Nova 34 does, with its wrong answers.
    Nova,
}

/// Which of the assignments that are possible is chosen.
///
/// Each request in turn takes its devices from the best pools, as long as the rest can still be served. `pack` and
/// `spread` look at, in this order: nearness to the guest's NUMA cells; the islands of [`Request::prefer_same`];
/// [`Workload::prefer_devices`]; how many attributes a pool has (devices with special tags are kept for who asks for
/// them); then their own aim; then the stable order.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// Nova's order: NUMA nearness as Nova sees it, preferred islands, preferred devices, then the stable order of the
    /// pools.
    #[default]
    Stable,
    /// Keep whole cards free: cards that are broken into already come first, and of these the fullest.
    Pack,
    /// Over as many cards (or values of [`Workload::spread_over`]) as possible: the least used by this workload first,
    /// then the one with most devices left. Devices are taken one at a time.
    Spread,
}

/// A constraint across the devices of several requests.
///
/// In JSON: `{"requests": [0, 1], "same": "numa_node"}` or `{"requests": [0, 1], "distinct": "switch"}`. A device
/// without the attribute satisfies neither.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Constraint {
    /// The requests it spans, by index into the workload's requests.
    pub requests: Vec<usize>,
    /// Whether the devices must agree, or must all differ.
    pub relation: Relation,
    /// The attribute: a field, a tag or an extra info of the device.
    pub key: String,
}

/// How devices must relate to each other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Relation {
    /// All have the same value.
    Same,
    /// No two have the same value.
    Distinct,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ConstraintDocument {
    requests: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distinct: Option<String>,
}

impl Serialize for Constraint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let key = |relation| (self.relation == relation).then(|| self.key.clone());
        let (same, distinct) = (key(Relation::Same), key(Relation::Distinct));
        ConstraintDocument { requests: self.requests.clone(), same, distinct }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let document = ConstraintDocument::deserialize(deserializer)?;
        let (relation, key) = match (document.same, document.distinct) {
            (Some(key), None) => (Relation::Same, key),
            (None, Some(key)) => (Relation::Distinct, key),
            _ => {
                let error =
                    Error::new(ErrorKind::InvalidRequest, "a constraint says either same or distinct")
                        .with_help("write {\"requests\": [0, 1], \"same\": \"numa_node\"}");
                return Err(crate::json::carry(&error));
            }
        };
        Ok(Constraint { requests: document.requests, relation, key })
    }
}

/// NUMA cells that the guest may get, of which the solver chooses some.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CellChoice {
    /// The cells to choose from, in order of preference.
    pub from: Vec<u32>,
    /// How many of them the guest gets.
    pub count: usize,
}

/// Everything one workload asks of one host.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Workload {
    /// The requests; all must be served, by different devices.
    pub requests: Vec<Request>,
    /// The host's NUMA cells that the guest runs on; `None` or empty when the guest has no NUMA topology.
    pub numa_cells: Option<Vec<u32>>,
    /// The cells to choose the guest's from, instead of `numa_cells`. The choice on which most devices can be near is
    /// taken, the first of these, and so many are.
    pub numa_cells_from: Option<CellChoice>,
    /// Constraints across requests.
    pub constraints: Vec<Constraint>,
    /// Which of the possible assignments is chosen.
    pub prefer: Preference,
    /// What [`Preference::Spread`] spreads over: any attribute; `None` means the card's `address`.
    pub spread_over: Option<String>,
    /// Devices in the order in which they should be given away: alike ones together, the best first, and those that are
    /// not named last. It counts where devices are known, after nearness and preferred islands and before all else;
    /// [`crate::Tracker::prefer`] asks policies for it.
    pub prefer_devices: Vec<Vec<PciAddress>>,
    /// Placement's choice: request group → resource providers. A group `{request_id}-{n}` gives one device of the
    /// request, from the first provider listed.
    pub provider_mapping: Option<BTreeMap<String, Vec<String>>>,
    /// How the answer is found.
    pub strategy: Strategy,
    /// How many search steps `exact` may take before it answers *undecided*; `None` means
    /// [`Workload::DEFAULT_BUDGET`].
    pub budget: Option<u64>,
}

impl Workload {
    /// The search steps that `exact` may take when the caller sets no budget.
    pub const DEFAULT_BUDGET: u64 = 100_000;

    /// A workload of these requests, without NUMA cells or Placement mapping.
    #[must_use]
    pub fn new(requests: Vec<Request>) -> Self {
        Workload { requests, ..Workload::default() }
    }

    /// The guest's cells; empty when it has no NUMA topology.
    #[must_use]
    pub fn cells(&self) -> &[u32] {
        self.numa_cells.as_deref().unwrap_or_default()
    }

    /// The Placement providers that request `request` must take its devices from, one entry per device; empty when
    /// Placement has no say.
    ///
    /// A request's groups in the mapping are named `{request_id}-{n}`, of each of which the first provider counts.
    ///
    /// Source: Nova's `_get_rp_uuids_for_request`. A request of a network port is never bound; without a mapping the
    /// providers stored in the first alternative's `rp_uuids` (comma separated) count.
    #[must_use]
    pub fn providers<'a>(&'a self, request: &'a Request) -> Vec<&'a str> {
        if request.source == RequestSource::NeutronPort {
            return Vec::new();
        }
        match self.provider_mapping.as_ref().filter(|mapping| !mapping.is_empty()) {
            Some(mapping) => {
                let Some(id) = request.request_id.as_deref() else { return Vec::new() };
                // Nova looks at how the name begins, which is the same for its own ids, of which none begins another.
                let is_of_it = |group: &str| match group.strip_prefix(id) {
                    None => false,
                    Some("") => true,
                    Some(rest) => rest
                        .strip_prefix('-')
                        .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit())),
                };
                mapping
                    .iter()
                    .filter(|(group, _)| is_of_it(group))
                    .filter_map(|(_, providers)| providers.first().map(String::as_str))
                    .collect()
            }
            None => request
                .alternatives
                .first()
                .and_then(|alternative| alternative.text("rp_uuids"))
                .filter(|uuids| !uuids.is_empty())
                .map_or_else(Vec::new, |uuids| uuids.split(',').collect()),
        }
    }

    /// Checks each request and their number.
    ///
    /// # Errors
    ///
    /// As [`Request::validate`], with the request's index in the place.
    pub fn validate(&self) -> Result<()> {
        limits::check("number of requests", self.requests.len(), limits::MAX_REQUESTS)
            .map_err(|e| e.inside("requests"))?;
        for (i, request) in self.requests.iter().enumerate() {
            request.validate().map_err(|e| e.inside(format!("requests[{i}]")))?;
        }
        if self.strategy == Strategy::Exact {
            self.validate_mapping()?;
        }
        self.validate_constraints()?;
        if self.spread_over.is_some() && self.prefer != Preference::Spread {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "there is nothing to spread: prefer is not spread",
            )
            .with_help("write \"prefer\": \"spread\", or leave spread_over out")
            .inside("spread_over"));
        }
        if let Some(choice) = &self.numa_cells_from {
            let refuse = |message: String| {
                Error::new(ErrorKind::InvalidRequest, message)
                    .with_help(
                        "choose at least one of the cells, and give numa_cells or numa_cells_from, not both",
                    )
                    .inside("numa_cells_from")
            };
            if self.numa_cells.is_some() {
                return Err(refuse("the guest's NUMA cells are both given and to be chosen".to_owned()));
            }
            if choice.count == 0 || choice.count > choice.from.len() {
                return Err(refuse(format!(
                    "cannot choose {} of {} NUMA cells",
                    choice.count,
                    choice.from.len()
                )));
            }
            let mut seen = std::collections::BTreeSet::new();
            if let Some(twice) = choice.from.iter().find(|cell| !seen.insert(**cell)) {
                return Err(refuse(format!("NUMA cell {twice} is listed twice")));
            }
            limits::check("number of cells to choose from", choice.from.len(), limits::MAX_CELL_CHOICE)
                .map_err(|e| e.inside("numa_cells_from.from"))?;
        }
        self.validate_devices()?;
        if self.strategy == Strategy::Nova && (!self.is_plain() || !self.prefer_devices.is_empty()) {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "strategy nova knows no constraints, fallbacks or preference",
            )
            .with_help("use strategy exact")
            .inside("strategy"));
        }
        Ok(())
    }

    /// Placement gives one provider for each device; anything else contradicts the request (case W07).
    fn validate_mapping(&self) -> Result<()> {
        for (i, request) in self.requests.iter().enumerate() {
            let providers = self.providers(request).len();
            if let Some((count, _)) =
                request.options().find(|(count, _)| providers > 0 && *count as usize != providers)
            {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    format!("Placement's mapping names {providers} providers for the {count} devices of request {i}"),
                )
                .with_help("map one group {request_id}-{n} to a provider for each device")
                .inside("provider_mapping"));
            }
        }
        Ok(())
    }

    fn validate_devices(&self) -> Result<()> {
        let count = self.prefer_devices.iter().map(Vec::len).sum::<usize>().max(self.prefer_devices.len());
        limits::check("number of preferred devices", count, limits::MAX_DEVICES)
            .map_err(|e| e.inside("prefer_devices"))?;
        let mut seen = std::collections::BTreeSet::new();
        for (tier, devices) in self.prefer_devices.iter().enumerate() {
            if let Some(twice) = devices.iter().position(|device| !seen.insert(*device)) {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    format!("device {} is named twice", devices[twice]),
                )
                .with_help("put each device into one of the lists")
                .inside(format!("prefer_devices[{tier}][{twice}]")));
            }
        }
        Ok(())
    }

    fn validate_constraints(&self) -> Result<()> {
        limits::check("number of constraints", self.constraints.len(), limits::MAX_CONSTRAINTS)
            .map_err(|e| e.inside("constraints"))?;
        let all = self.all_constraints();
        for (i, constraint) in self.constraints.iter().enumerate() {
            let place = |e: Error| e.inside(format!("constraints[{i}]"));
            let mut spanned = std::collections::BTreeSet::new();
            for (n, &request) in constraint.requests.iter().enumerate() {
                let (what, help) = match self.requests.len().checked_sub(1) {
                    None => ("does not exist", "this workload has no requests to constrain".to_owned()),
                    Some(last) if request > last => ("does not exist", format!("name requests 0 to {last}")),
                    Some(_) if spanned.insert(request) => continue,
                    Some(_) => ("is named twice", "name each request once".to_owned()),
                };
                let error = Error::new(ErrorKind::InvalidRequest, format!("request {request} {what}"));
                return Err(place(error.with_help(help).inside(format!("requests[{n}]"))));
            }
            if spanned.is_empty() {
                return Err(place(Error::new(
                    ErrorKind::InvalidRequest,
                    "a constraint spans at least one request",
                )));
            }
            // Two devices that are under both constraints cannot be served, whatever the host has.
            let opposite = |other: &Constraint| {
                let both = spanned.iter().filter(|r| other.requests.contains(r));
                let devices: u64 = both.map(|&r| u64::from(self.requests[r].count)).sum();
                other.key == constraint.key && other.relation != constraint.relation && devices > 1
            };
            if all.iter().any(opposite) {
                return Err(place(contradiction(&constraint.key)));
            }
        }
        Ok(())
    }

    /// Whether it asks for nothing but counts of devices, in Nova's order as far as devices are alike.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |r: &Request| {
            r.otherwise.is_empty()
                && !r.isolate
                && r.same.is_empty()
                && r.distinct.is_empty()
                && r.prefer_same.is_empty()
        };
        self.constraints.is_empty()
            && self.prefer == Preference::Stable
            && self.numa_cells_from.is_none()
            && self.requests.iter().all(plain)
    }

    /// All constraints: those across requests, and those of each request on its own devices.
    pub(crate) fn all_constraints(&self) -> Vec<Constraint> {
        let mut all = self.constraints.clone();
        for (i, request) in self.requests.iter().enumerate() {
            let mut add = |relation, key: &str| {
                all.push(Constraint { requests: vec![i], relation, key: key.to_owned() });
            };
            request.same.iter().for_each(|key| add(Relation::Same, key));
            request.distinct.iter().for_each(|key| add(Relation::Distinct, key));
            if request.isolate {
                add(Relation::Distinct, "address");
            }
        }
        all
    }
}

impl<'de> Deserialize<'de> for Workload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            requests: Vec<Request>,
            #[serde(default)]
            numa_cells: Option<Vec<u32>>,
            #[serde(default)]
            numa_cells_from: Option<CellChoice>,
            #[serde(default)]
            constraints: Vec<Constraint>,
            #[serde(default)]
            prefer: Preference,
            #[serde(default)]
            spread_over: Option<String>,
            #[serde(default)]
            prefer_devices: Vec<Vec<PciAddress>>,
            #[serde(default)]
            provider_mapping: Option<BTreeMap<String, Vec<String>>>,
            #[serde(default)]
            strategy: Strategy,
            #[serde(default)]
            budget: Option<u64>,
        }
        let document = Document::deserialize(deserializer)?;
        let workload = Workload {
            requests: document.requests,
            numa_cells: document.numa_cells,
            numa_cells_from: document.numa_cells_from,
            constraints: document.constraints,
            prefer: document.prefer,
            spread_over: document.spread_over,
            prefer_devices: document.prefer_devices,
            provider_mapping: document.provider_mapping,
            strategy: document.strategy,
            budget: document.budget,
        };
        workload.validate().map_err(|error| crate::json::carry(&error))?;
        Ok(workload)
    }
}
