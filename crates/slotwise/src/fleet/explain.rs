//! Why a workload does not fit, over the whole fleet.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::filter::{FilterOptions, PolicyRefusal};
use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::filter::{EXACT_STEPS, Prepared};
use crate::fit::Step;
use crate::policy::Policy;
use crate::pool::{Pool, Pools};
use crate::request::{PLACEMENT_KEYS, Workload};

/// Why a host does not fit, in short: the first thing that rules it out.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum FleetReason {
    /// It has no device, free or not, with what a request asks for under this attribute and those before it
    /// (`vendor_id`, `product_id`, `dev_type`, then all others in order).
    Lacks {
        /// The attribute.
        key: String,
    },
    /// It has such devices, but too few of them are free.
    LacksFreeDevices,
    /// Enough of them are free, but this step rules too many out.
    RuledOut {
        /// The step of the filter chain.
        step: Step,
    },
    /// Each request could be served, but not all of them together.
    Together,
    /// It would fit, but a policy refuses it.
    Refused {
        /// The reason, with the policy's name.
        reason: String,
    },
}

impl FleetReason {
    /// What is wrong with so many hosts, after their number: `lack product_id`, or `lacks product_id` for one.
    #[must_use]
    pub fn phrase(&self, hosts: u64) -> String {
        let (lack, are) = if hosts == 1 { ("lacks", "is") } else { ("lack", "are") };
        match self {
            FleetReason::Lacks { key } => format!("{lack} {key}"),
            FleetReason::LacksFreeDevices => format!("{lack} free devices"),
            FleetReason::RuledOut { step } => {
                format!("{lack} free devices, of which too many {}", step.reason())
            }
            FleetReason::Together => "cannot serve all requests together".to_owned(),
            FleetReason::Refused { reason } => format!("{are} refused by {reason}"),
        }
    }
}

/// How many hosts do not fit for a reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReasonCount {
    /// The first request that cannot be served; `None` when each could be.
    pub request: Option<usize>,
    /// Why.
    #[serde(flatten)]
    pub reason: FleetReason,
    /// How many hosts.
    pub hosts: u64,
}

/// What the steps of the filter chain dropped for a request, over all hosts that were asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestDrops {
    /// The request's index in the workload.
    pub request: usize,
    /// The request's own id, if it has one.
    pub request_id: Option<String>,
    /// How many devices it wants of one host.
    pub wanted: u32,
    /// How many free devices all hosts have.
    pub free: u64,
    /// The steps in the order in which they are applied.
    pub steps: Vec<StepDrops>,
}

/// One step of the filter chain, over all hosts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StepDrops {
    /// Which step.
    pub step: Step,
    /// How many devices it dropped.
    pub dropped: u64,
    /// How many were left after it.
    pub left: u64,
}

/// Why a workload does not fit more hosts.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FleetExplanation {
    /// All of it as one sentence, of many reasons the most frequent.
    pub message: String,
    /// How many hosts were asked.
    pub asked: u64,
    /// How many fit.
    pub fits: u64,
    /// For how many the search budget ran out.
    pub undecided: u64,
    /// The others, by the first thing that rules them out; the most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// What was dropped for each request.
    pub requests: Vec<RequestDrops>,
}

/// How many reasons the sentence tells: a policy may have one of its own for each host.
const MAX_TOLD: usize = 16;

/// Why a host does not fit, and the request that cannot be served.
type Cause = (Option<usize>, FleetReason);

impl Fleet {
    /// Explains a workload over the fleet: how many hosts fit, and what rules out the others.
    ///
    /// Steps and reasons are those of what a request asks for first, without its fallbacks and without what the options
    /// say about single hosts, which are explained by [`Fleet::fit`].
    ///
    /// # Errors
    ///
    /// As [`Fleet::filter`].
    pub fn explain(
        &self,
        workload: &Workload,
        options: &FilterOptions,
        policies: &[&dyn Policy],
    ) -> Result<FleetExplanation> {
        let unlimited = FilterOptions { limit: None, ..options.clone() };
        let mut answer = self.filter(workload, &unlimited, &[])?;
        let asked = self.asked(&unlimited)?;
        let mut ruled_out = asked.clone();
        ruled_out.subtract(&answer.hosts);
        ruled_out.subtract(&answer.undecided);
        if policies.iter().any(|policy| policy.scope().filter) {
            answer = self.filter(workload, &unlimited, policies)?;
        }

        let mut gates = Gates { fleet: self, workload, of_class: HashMap::new() };
        let mut drops: Vec<Vec<u64>> = vec![vec![0; EXACT_STEPS.len()]; workload.requests.len()];
        let mut free = 0_u64;
        let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
        for id in asked.iter() {
            free += self.rows.slots(id).map(|slot| u64::from(slot.count)).sum::<u64>();
            for (request, drops) in drops.iter_mut().enumerate() {
                for (slot, place) in self.rows.slots(id).zip(0..) {
                    if let Some(step) = gates.step(id, request, slot.class, place) {
                        drops[step] += u64::from(slot.count);
                    }
                }
            }
            if ruled_out.contains(id) {
                *causes.entry(gates.cause(id)).or_default() += 1;
            }
        }

        let mut reasons: Vec<ReasonCount> = causes
            .into_iter()
            .map(|((request, reason), hosts)| ReasonCount { request, reason, hosts })
            .collect();
        for PolicyRefusal { reason, hosts } in answer.refused {
            reasons.push(ReasonCount { request: None, reason: FleetReason::Refused { reason }, hosts });
        }
        // The sort is stable: equal numbers stay in the order of requests.
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.hosts));
        let requests = workload.requests.iter().zip(drops).enumerate().map(|(i, (request, drops))| {
            let mut left = free;
            let steps = EXACT_STEPS.iter().zip(drops).map(|(&step, dropped)| {
                left -= dropped;
                StepDrops { step, dropped, left }
            });
            RequestDrops {
                request: i,
                request_id: request.request_id.clone(),
                wanted: request.count,
                free,
                steps: steps.collect(),
            }
        });
        let mut explanation = FleetExplanation {
            message: String::new(),
            asked: answer.asked,
            fits: answer.fits,
            undecided: answer.undecided.len() as u64,
            reasons,
            requests: requests.collect(),
        };
        explanation.message = sentence(&explanation, workload);
        Ok(explanation)
    }
}

/// What a class is to a request.
#[derive(Clone, Debug)]
struct Gate {
    /// The first step that drops it.
    step: Option<usize>,
    /// For each alternative, how many of its attributes match, up to the first that does not.
    matching: Vec<usize>,
}

/// What each class is to each request, found when it is first asked for.
struct Gates<'a> {
    fleet: &'a Fleet,
    workload: &'a Workload,
    /// By topology, class and request; the Placement step is not among them, because it looks at the single pool.
    of_class: HashMap<(u32, u32), Vec<Gate>>,
}

impl Gates<'_> {
    fn gate(&mut self, host: u32, request: usize, class: u32) -> &Gate {
        let key = (self.fleet.topologies.number(host), class);
        let (fleet, workload) = (self.fleet, self.workload);
        let gates = self.of_class.entry(key).or_insert_with(|| {
            let pool = fleet.classes.pool(class);
            let pools = Pools { list: Vec::new(), topology: fleet.topologies.get(host).cloned() };
            workload.requests.iter().map(|request| gate(&pools, workload, request, pool)).collect()
        });
        &gates[request]
    }

    /// The first step that drops a pool of a host.
    fn step(&mut self, host: u32, request: usize, class: u32, slot: usize) -> Option<usize> {
        let step = self.gate(host, request, class).step;
        let placement = EXACT_STEPS.iter().position(|&step| step == Step::Placement).unwrap_or(usize::MAX);
        if step.is_some_and(|step| step < placement) {
            return step;
        }
        let providers = self.workload.providers(&self.workload.requests[request]);
        let own = self.fleet.providers.get(&host).and_then(|list| list[slot].as_deref());
        match providers.is_empty() || own.is_some_and(|own| providers.contains(&own)) {
            true => step,
            false => Some(placement),
        }
    }

    /// The first thing that rules a host out.
    fn cause(&mut self, host: u32) -> Cause {
        let workload = self.workload;
        for (r, request) in workload.requests.iter().enumerate() {
            if !request.otherwise.is_empty() {
                continue;
            }
            let slots: Vec<_> = self.fleet.rows.slots(host).collect();
            let steps: Vec<Option<usize>> =
                slots.iter().enumerate().map(|(i, slot)| self.step(host, r, slot.class, i)).collect();
            let wanted = u64::from(request.count);
            // How many free devices are left after step `step`.
            let left = |step: usize| -> u64 {
                let passes = |at: &Option<usize>| at.is_none_or(|at| at > step);
                slots
                    .iter()
                    .zip(&steps)
                    .filter(|(_, at)| passes(at))
                    .map(|(slot, _)| u64::from(slot.count))
                    .sum()
            };
            let Some(short) = (0..EXACT_STEPS.len()).find(|&step| left(step) < wanted) else { continue };
            if EXACT_STEPS[short] != Step::Attributes {
                return (Some(r), FleetReason::RuledOut { step: EXACT_STEPS[short] });
            }
            if steps.iter().any(|&at| at != Some(short)) {
                return (Some(r), FleetReason::LacksFreeDevices);
            }
            return (Some(r), FleetReason::Lacks { key: self.lacking(host, r) });
        }
        (None, FleetReason::Together)
    }

    /// The attribute under which a host has nothing for a request: of the alternative that it comes nearest to.
    fn lacking(&mut self, host: u32, request: usize) -> String {
        let alternatives = &self.workload.requests[request].alternatives;
        let mut most = vec![0; alternatives.len()];
        let classes: Vec<u32> = self.fleet.rows.slots(host).map(|slot| slot.class).collect();
        for class in classes {
            for (most, &here) in most.iter_mut().zip(&self.gate(host, request, class).matching) {
                *most = here.max(*most);
            }
        }
        let mut nearest = 0;
        for alternative in 1..most.len() {
            if most[alternative] > most[nearest] {
                nearest = alternative;
            }
        }
        let keys = alternatives.get(nearest).map(ordered_keys).unwrap_or_default();
        // An alternative without attributes matches everything: then the host has no device at all.
        keys.get(most.get(nearest).copied().unwrap_or(0))
            .map_or_else(|| "vendor_id".to_owned(), |key| (*key).to_owned())
    }
}

fn gate(pools: &Pools, workload: &Workload, request: &crate::Request, pool: &Pool) -> Gate {
    let prepared = Prepared::new(pools, workload, request, 0, workload.cells());
    let step = EXACT_STEPS.iter().position(|&step| step != Step::Placement && !prepared.keeps(step, pool));
    let matching = |alternative: &ExtraInfo| {
        let keys = ordered_keys(alternative);
        let one = |key: &str| {
            let mut single = ExtraInfo::new();
            let set = single.insert(key, alternative.get(key).flatten().map(str::to_owned));
            set.is_ok() && crate::filter::matches(&single, pool)
        };
        keys.iter().take_while(|key| one(key)).count()
    };
    Gate { step, matching: request.alternatives.iter().map(matching).collect() }
}

/// The attributes of an alternative: what a device is, then its tags.
fn ordered_keys(alternative: &ExtraInfo) -> Vec<&str> {
    const FIRST: [&str; 3] = ["vendor_id", "product_id", "dev_type"];
    let others = alternative.iter().map(|(key, _)| key).filter(|key| !FIRST.contains(key));
    let first = FIRST.into_iter().filter(|key| alternative.get(key).is_some());
    first.chain(others).filter(|key| !PLACEMENT_KEYS.contains(key)).collect()
}

fn sentence(explanation: &FleetExplanation, workload: &Workload) -> String {
    let hosts = |count: u64| format!("{} host{}", grouped(count), if count == 1 { "" } else { "s" });
    let mut text = format!("{}: {} fit", hosts(explanation.asked), grouped(explanation.fits));
    if explanation.fits == 1 {
        text.push('s');
    }
    // Writing to a String cannot fail.
    if explanation.undecided > 0 {
        let _ = write!(text, ", {} undecided", grouped(explanation.undecided));
    }
    for ReasonCount { request, reason, hosts } in explanation.reasons.iter().take(MAX_TOLD) {
        let _ = write!(text, ", {} {}", grouped(*hosts), reason.phrase(*hosts));
        if let Some(request) = request {
            let wanted = &workload.requests[*request];
            let _ = match &wanted.alias_name {
                Some(alias) => write!(text, " for request {request} (alias {alias:?})"),
                None if workload.requests.len() > 1 => write!(text, " for request {request}"),
                None => Ok(()),
            };
        }
    }
    if let Some(others) = explanation.reasons.get(MAX_TOLD..).filter(|others| !others.is_empty()) {
        let sum = others.iter().map(|reason| reason.hosts).sum();
        let count = grouped(others.len() as u64);
        let _ = write!(text, ", and {} for {count} less frequent reasons", hosts(sum));
    }
    text.push('.');
    text
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
