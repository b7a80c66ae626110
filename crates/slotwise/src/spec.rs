//! Device specs: the operator's rules for which devices may be handed out, and the tags they get.

use serde::Serialize;

use crate::device::Device;
use crate::error::Result;
use crate::extra_info::ExtraInfo;

/// An ordered set of rules; the first that matches a device decides.
#[derive(Clone, Debug, Default)]
pub struct DeviceSpecs {}

/// What a rule set says about one device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// Whether the device may be handed out.
    pub assignable: bool,
    /// The index of the first rule that matches.
    pub rule: Option<usize>,
    /// The tags that rule gives.
    pub tags: ExtraInfo,
    /// Every rule up to and including the one that matches: whether it does, and if not why.
    pub rules: Vec<RuleVerdict>,
}

/// What one rule says about one device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RuleVerdict {
    /// The rule's index.
    pub rule: usize,
    /// Whether it matches.
    pub matches: bool,
    /// Why it does not, as a sentence; `None` if it does.
    pub reason: Option<String>,
}

impl DeviceSpecs {
    /// Parses rules, each entry being the JSON text of one rule or of a list of rules (as in `[pci]device_spec`).
    pub fn parse<S: AsRef<str>>(entries: &[S], report_in_placement: bool) -> Result<Self> {
        let _ = (entries, report_in_placement);
        unimplemented!()
    }

    /// The rules in canonical form, one JSON object each, in order.
    pub fn list(&self) -> Vec<serde_json::Value> {
        unimplemented!()
    }

    /// Binds `devname` rules to the functions that have these netdev names now, and checks rules for
    /// remote-managed devices against the host.
    pub fn pin(&self, host: &[Device]) -> Result<DeviceSpecs> {
        let _ = host;
        unimplemented!()
    }

    /// The index and the tags of the first rule that matches `device`.
    pub fn matching(&self, device: &Device) -> Option<(usize, &ExtraInfo)> {
        let _ = device;
        unimplemented!()
    }

    /// Says for each rule whether it matches, and why not.
    pub fn explain(&self, device: &Device) -> Explanation {
        let _ = device;
        unimplemented!()
    }

    /// Things that are allowed but probably not meant, one sentence each with its place.
    pub fn warnings(&self) -> Vec<String> {
        unimplemented!()
    }
}
