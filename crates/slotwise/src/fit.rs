//! The answer to a workload: an assignment, a *no* with its reasons, or *undecided*.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::PciAddress;

/// The answer of a fit or a claim.
///
/// ```
/// use slotwise::{Fit, Pools, Request, Workload, json};
///
/// let pools = Pools::from_json(r#"[{"vendor_id": "10de", "product_id": "25b6", "count": 1}]"#, None)?;
/// let mut request: Request = json::parse(r#"{"alternatives": [{"vendor_id": "10de"}]}"#, "request")?;
/// let Fit::Fits(assignment) = pools.fit(&Workload::new(vec![request.clone()]))? else { panic!("another answer") };
/// assert_eq!((assignment.requests[0].picks[0].pool, assignment.requests[0].picks[0].count), (0, 1));
///
/// request.count = 2;
/// let Fit::NoFit(no) = pools.fit(&Workload::new(vec![request]))? else { panic!("another answer") };
/// assert_eq!((no.conflict, no.needed, no.usable), (vec![0], 2, 1));
/// assert!(no.message.starts_with("does not fit: request 0"));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[must_use]
pub enum Fit {
    /// All requests can be served together, in this way.
    Fits(Assignment),
    /// They cannot, and why.
    NoFit(NoFit),
    /// The search budget ran out before either was shown.
    Undecided(Undecided),
}

impl Fit {
    /// Whether all requests can be served.
    #[must_use]
    pub fn fits(&self) -> bool {
        matches!(self, Fit::Fits(_))
    }

    /// The assignment, if there is one.
    #[must_use]
    pub fn assignment(&self) -> Option<&Assignment> {
        match self {
            Fit::Fits(assignment) => Some(assignment),
            _ => None,
        }
    }
}

/// Which pools, and on a tracked host which devices, serve each request.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Assignment {
    /// One entry per request, in the order of the requests.
    pub requests: Vec<RequestAssignment>,
    /// The guest's NUMA cells, where they were to be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_cells: Option<Vec<u32>>,
    /// Whether the search budget ran out before anything better was ruled out. All requests are served as they ask, but
    /// other options, devices or cells may come before these in the documented order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
}

impl Assignment {
    /// All picks: for each request what serves it, then what comes along.
    pub(crate) fn all_picks(&self) -> impl Iterator<Item = &Pick> {
        self.requests.iter().flat_map(RequestAssignment::all_picks)
    }
}

/// What serves one request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestAssignment {
    /// The request's own id, if it has one.
    pub request_id: Option<String>,
    /// How many devices from which pool (index into the host's pools), in the order they are taken.
    pub picks: Vec<Pick>,
    /// The devices, in the order they are taken; empty where the pools have counts only.
    pub devices: Vec<PciAddress>,
    /// Which of its options serves it: 0 is what it asks for first, 1 its first fallback.
    #[serde(default)]
    pub option: usize,
    /// Devices that nobody asked for but that come along, because a device group is handed out as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<PciAddress>,
    /// How many companions from which pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companion_picks: Vec<Pick>,
}

impl RequestAssignment {
    /// What serves it, then what comes along.
    pub fn all_picks(&self) -> impl Iterator<Item = &Pick> {
        self.picks.iter().chain(&self.companion_picks)
    }
}

/// A number of devices from one pool.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pick {
    /// Index into the host's pools, in their stable order.
    pub pool: usize,
    /// How many, at least 1.
    pub count: u32,
}

/// Why a workload does not fit a host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NoFit {
    /// The whole reason as one readable paragraph.
    pub message: String,
    /// A minimal set of requests (by index) that cannot be served together: without any one of them, the rest can. If a
    /// request lacks devices even alone, it is the first such request. When the search budget runs out after the *no* is
    /// shown, the set is in conflict, but may be larger than needed.
    pub conflict: Vec<usize>,
    /// How many devices the requests of `conflict` need together.
    pub needed: u32,
    /// How many free devices could serve any of them.
    pub usable: u32,
    /// For each request of the workload, the steps that dropped devices. When the search budget runs out, requests
    /// that are not in `conflict` may be left out.
    pub requests: Vec<RequestReport>,
}

/// How one request narrowed the host's free devices down.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestReport {
    /// The request's index in the workload.
    pub request: usize,
    /// The request's own id, if it has one.
    pub request_id: Option<String>,
    /// How many devices it wants.
    pub wanted: u32,
    /// How many free devices the host has at all.
    pub free: u32,
    /// The steps in the order they were applied; a step that dropped nothing is listed too.
    pub steps: Vec<StepReport>,
}

/// One step of the filter chain.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StepReport {
    /// Which step.
    pub step: Step,
    /// How many devices it dropped.
    pub dropped: u32,
    /// How many were left after it.
    pub left: u32,
}

/// A step of the filter chain.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Devices that match no alternative of the request.
    Attributes,
    /// PFs, unless an alternative asks for `type-PF`.
    PhysicalFunctions,
    /// vDPA devices, unless an alternative asks for `vdpa`.
    Vdpa,
    /// Remote-managed devices, unless an alternative asks for them.
    RemoteManaged,
    /// Devices of another live-migration ability than all alternatives ask for.
    LiveMigratable,
    /// Devices of other Placement providers than the mapping names.
    Placement,
    /// Devices on NUMA nodes that the policy rules out.
    Numa,
}

impl Step {
    /// What was wrong with the devices that this step dropped, as the end of a sentence.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Step::Attributes => "match no alternative of the request",
            Step::PhysicalFunctions => "are physical functions that the request does not ask for",
            Step::Vdpa => "are vDPA devices that the request does not ask for",
            Step::RemoteManaged => "are remote-managed and the request does not ask for that",
            Step::LiveMigratable => "differ in live_migratable from what the request asks for",
            Step::Placement => "belong to other resource providers than Placement chose",
            Step::Numa => "are on the wrong NUMA node",
        }
    }

    /// The same of one device.
    pub(crate) const fn reason_of_one(self) -> &'static str {
        match self {
            Step::Attributes => "matches no alternative of the request",
            Step::PhysicalFunctions => "is a physical function that the request does not ask for",
            Step::Vdpa => "is a vDPA device that the request does not ask for",
            Step::RemoteManaged => "is remote-managed and the request does not ask for that",
            Step::LiveMigratable => "differs in live_migratable from what the request asks for",
            Step::Placement => "belongs to another resource provider than Placement chose",
            Step::Numa => "is on the wrong NUMA node",
        }
    }
}

/// The search budget ran out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Undecided {
    /// What happened, and what to do, as one sentence.
    pub message: String,
    /// The budget that was spent.
    pub budget: u64,
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fit::NoFit(no) => f.write_str(&no.message),
            Fit::Undecided(undecided) => f.write_str(&undecided.message),
            Fit::Fits(assignment) => {
                f.write_str("fits")?;
                if assignment.cut_short {
                    f.write_str(" (the search budget ran out before anything better was ruled out)")?;
                }
                for (i, request) in assignment.requests.iter().enumerate() {
                    let name = request.request_id.clone().unwrap_or_else(|| format!("request {i}"));
                    let count: u32 = request.picks.iter().map(|p| p.count).sum();
                    write!(f, "{} {name}: ", if i == 0 { ":" } else { ";" })?;
                    if request.devices.is_empty() {
                        write!(f, "{count} device(s) from pool(s)")?;
                        for (n, pick) in request.picks.iter().enumerate() {
                            write!(f, "{} {}", if n == 0 { "" } else { "," }, pick.pool)?;
                        }
                    } else {
                        for (n, device) in request.devices.iter().enumerate() {
                            write!(f, "{}{device}", if n == 0 { "" } else { ", " })?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}
