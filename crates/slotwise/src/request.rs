//! What a workload asks for: requests, each a count of devices with alternatives, and where the guest runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
}

impl Request {
    /// A request for `count` devices that match `alternative`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when the count is out of range.
    pub fn new(count: u32, alternative: ExtraInfo) -> Result<Self> {
        let request = Request {
            request_id: None,
            requester_id: None,
            alias_name: None,
            count,
            alternatives: vec![alternative],
            numa_policy: None,
            source: RequestSource::Flavor,
        };
        request.validate()?;
        Ok(request)
    }

    /// Checks the count and the number of alternatives.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] or [`ErrorKind::LimitExceeded`] with the field as its place.
    pub fn validate(&self) -> Result<()> {
        check_count(self.count).map_err(|e| e.inside("count"))?;
        if self.alternatives.is_empty() {
            return Err(Error::new(ErrorKind::InvalidRequest, "a request needs at least one alternative")
                .with_help("give [{}] to accept any device")
                .inside("alternatives"));
        }
        limits::check("number of alternatives", self.alternatives.len(), limits::MAX_ALTERNATIVES)
            .map_err(|e| e.inside("alternatives"))
    }
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

/// Everything one workload asks of one host.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Workload {
    /// The requests; all must be served, by different devices.
    pub requests: Vec<Request>,
    /// The host's NUMA cells that the guest runs on; `None` or empty when the guest has no NUMA topology.
    pub numa_cells: Option<Vec<u32>>,
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
                mapping
                    .iter()
                    .filter(|(group, _)| group.starts_with(id))
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
        Ok(())
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
            provider_mapping: document.provider_mapping,
            strategy: document.strategy,
            budget: document.budget,
        };
        workload.validate().map_err(|error| crate::json::carry(&error))?;
        Ok(workload)
    }
}
