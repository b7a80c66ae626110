//! The oracle: decides small hosts by trying every assignment of devices to requests.
//!
//! It shares no code with the engine and knows no pools: it looks at single devices and at the documented rules, one
//! sentence each. It is slow on purpose.

use std::collections::BTreeMap;

use slotwise::{
    Assignment, Device, DeviceType, ExtraInfo, NumaPolicy, NumaTopology, PLACEMENT_KEYS, Request,
    RequestSource, Workload,
};

use crate::generate::Host;

/// A question to the oracle: the free devices of a host, and a workload.
#[derive(Debug)]
pub struct Question<'a> {
    /// The host.
    pub host: &'a Host,
    /// The devices that nobody holds and that nothing held excludes.
    pub free: Vec<&'a Device>,
    /// What is asked for.
    pub workload: &'a Workload,
}

/// One device that is asked for: by which request, and from which provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Unit<'a> {
    request: usize,
    provider: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// The question whether `workload` fits `host` while the devices in `held` are held by others.
    #[must_use]
    pub fn new(host: &'a Host, held: &[Device], workload: &'a Workload) -> Self {
        let blocks = |holding: &Device, device: &Device| {
            holding.address == device.address || excludes(holding, device)
        };
        let free = host
            .devices
            .iter()
            .filter(|device| !held.iter().any(|holding| blocks(holding, device)))
            .collect();
        Question { host, free, workload }
    }

    /// Whether there is an assignment for the requests of these indices.
    #[must_use]
    pub fn feasible(&self, requests: &[usize]) -> bool {
        let units: Vec<Unit<'_>> = requests.iter().flat_map(|&request| self.units(request)).collect();
        self.extend(&units, &mut Vec::new())
    }

    /// Tries every free device for the first unit that has none yet.
    fn extend(&self, units: &[Unit<'_>], taken: &mut Vec<usize>) -> bool {
        let Some(unit) = units.get(taken.len()) else { return true };
        // Two equal units may be exchanged, so that it is enough to try one of the two orders.
        let first = match taken.last() {
            Some(&last) if units[taken.len() - 1] == *unit => last + 1,
            _ => 0,
        };
        (first..self.free.len()).any(|candidate| {
            let device = self.free[candidate];
            if !self.usable(unit, device)
                || taken.iter().any(|&other| other == candidate || excludes(self.free[other], device))
            {
                return false;
            }
            taken.push(candidate);
            let found = self.extend(units, taken);
            taken.pop();
            found
        })
    }

    /// What is wrong with an assignment that the engine found; `None` if nothing is.
    #[must_use]
    pub fn fault(&self, assignment: &Assignment) -> Option<String> {
        if assignment.requests.len() != self.workload.requests.len() {
            return Some("the assignment has not one entry per request".to_owned());
        }
        let mut taken: Vec<&Device> = Vec::new();
        for (index, given) in assignment.requests.iter().enumerate() {
            let mut units: Vec<Option<Unit<'_>>> = self.units(index).into_iter().map(Some).collect();
            let picked: u64 = given.picks.iter().map(|pick| u64::from(pick.count)).sum();
            if given.devices.len() != units.len() || picked != units.len() as u64 {
                return Some(format!("request {index} gets {picked} devices: {:?}", given.devices));
            }
            for address in &given.devices {
                let Some(device) = self.free.iter().find(|device| device.address == *address) else {
                    return Some(format!("request {index} gets {address}, which is not free"));
                };
                // Units of one request differ in their provider only, which a device has one of.
                let unit =
                    units.iter_mut().find(|unit| unit.as_ref().is_some_and(|unit| self.usable(unit, device)));
                match unit {
                    Some(unit) => *unit = None,
                    None => return Some(format!("request {index} gets {address}, which it cannot use")),
                }
                for other in &taken {
                    if other.address == device.address || excludes(other, device) {
                        return Some(format!("{address} and {} are both given", other.address));
                    }
                }
                taken.push(device);
            }
        }
        None
    }

    /// What is wrong with a set of requests that the engine calls minimal in conflict; `None` if nothing is.
    #[must_use]
    pub fn conflict_fault(&self, conflict: &[usize]) -> Option<String> {
        if conflict.is_empty() || self.feasible(conflict) {
            return Some(format!("the requests {conflict:?} are not in conflict"));
        }
        let without =
            |out: usize| conflict.iter().copied().filter(|&request| request != out).collect::<Vec<_>>();
        conflict
            .iter()
            .find(|&&out| !self.feasible(&without(out)))
            .map(|out| format!("the conflict {conflict:?} does not need request {out}"))
    }

    /// The devices that a request asks for, one by one: as many as it counts, or one from each provider that
    /// Placement chose for it.
    fn units(&self, request: usize) -> Vec<Unit<'a>> {
        let asked = &self.workload.requests[request];
        let providers = providers(self.workload, asked);
        if providers.is_empty() {
            return vec![Unit { request, provider: None }; asked.count as usize];
        }
        let mut units: Vec<_> =
            providers.into_iter().map(|provider| Unit { request, provider: Some(provider) }).collect();
        units.sort_by_key(|unit| unit.provider);
        units
    }

    fn usable(&self, unit: &Unit<'_>, device: &Device) -> bool {
        let request = &self.workload.requests[unit.request];
        let attributes = attributes(device, &self.host.tags[&device.address]);
        let wants = |key: &str, text: &str| request.alternatives.iter().any(|a| a.text(key) == Some(text));
        let has = |key: &str, text: &str| attributes.get(key).is_some_and(|own| own.as_deref() == Some(text));
        let wants_remote = request
            .alternatives
            .iter()
            .any(|a| a.text("remote_managed").is_some_and(|text| text.eq_ignore_ascii_case("true")));
        let all_want =
            |text: &str| request.alternatives.iter().all(|a| a.text("live_migratable") == Some(text));

        request.alternatives.iter().any(|alternative| matches(alternative, &attributes))
            && (device.dev_type != DeviceType::Pf || wants("dev_type", "type-PF"))
            && (device.dev_type != DeviceType::Vdpa || wants("dev_type", "vdpa"))
            && (!has("remote_managed", "true") || wants_remote)
            && (!all_want("true") || has("live_migratable", "true"))
            && (!all_want("false") || has("live_migratable", "false"))
            && unit.provider.is_none_or(|provider| device.extra_info.text("rp_uuid") == Some(provider))
            && near_enough(request, device, self.workload, self.host.topology.as_ref())
    }
}

/// Whether one device is the PF of the other.
pub(crate) fn excludes(a: &Device, b: &Device) -> bool {
    let lives_on = |child: &Device, parent: &Device| {
        child.dev_type.has_parent() && child.parent_addr == Some(parent.address)
    };
    lives_on(a, b) || lives_on(b, a)
}

/// The providers that Placement chose for a request, one for each device.
fn providers<'a>(workload: &'a Workload, request: &Request) -> Vec<&'a str> {
    let (Some(mapping), Some(id), RequestSource::Flavor) =
        (&workload.provider_mapping, &request.request_id, request.source)
    else {
        return Vec::new();
    };
    mapping
        .iter()
        .filter(|(group, _)| group.starts_with(id.as_str()))
        .filter_map(|(_, providers)| providers.first().map(String::as_str))
        .collect()
}

/// What a request can ask a device for.
pub(crate) fn attributes(device: &Device, tags: &ExtraInfo) -> BTreeMap<String, Option<String>> {
    let mut all: BTreeMap<String, Option<String>> =
        tags.iter().map(|(key, text)| (key.to_owned(), text.map(str::to_owned))).collect();
    all.insert("vendor_id".to_owned(), Some(device.vendor_id.clone()));
    all.insert("product_id".to_owned(), Some(device.product_id.clone()));
    all.insert("dev_type".to_owned(), Some(device.dev_type.to_string()));
    all.insert("address".to_owned(), Some(device.card_address().to_string()));
    if device.dev_type != DeviceType::Pci {
        all.entry("remote_managed".to_owned()).or_insert_with(|| Some("false".to_owned()));
    }
    all
}

fn matches(alternative: &ExtraInfo, attributes: &BTreeMap<String, Option<String>>) -> bool {
    alternative.iter().filter(|(key, _)| !PLACEMENT_KEYS.contains(key)).all(|(key, wanted)| {
        let own = attributes.get(key).and_then(Option::as_deref);
        own.map(str::to_lowercase) == wanted.map(str::to_lowercase)
    })
}

fn near_enough(
    request: &Request,
    device: &Device,
    workload: &Workload,
    topology: Option<&NumaTopology>,
) -> bool {
    let cells = workload.numa_cells.as_deref().unwrap_or_default();
    if cells.is_empty() {
        return true;
    }
    let local = device.numa_node.is_some_and(|node| cells.contains(&node));
    match request.numa_policy.unwrap_or(NumaPolicy::Legacy) {
        NumaPolicy::Required => local,
        NumaPolicy::Preferred => true,
        NumaPolicy::Legacy => local || device.numa_node.is_none(),
        NumaPolicy::Socket => local || shares_a_socket(device, cells, topology),
    }
}

/// Whether a device is on a node of a socket of the guest; nobody knows where a host keeps quiet about some socket.
fn shares_a_socket(device: &Device, cells: &[u32], topology: Option<&NumaTopology>) -> bool {
    let Some(topology) = topology else { return false };
    let socket =
        |node: u32| topology.cells().iter().find(|cell| cell.id == node).and_then(|cell| cell.socket);
    let all_known = topology.cells().iter().all(|cell| cell.socket.is_some());
    let own = device.numa_node.and_then(socket);
    all_known && own.is_some() && cells.iter().any(|&cell| socket(cell) == own)
}
