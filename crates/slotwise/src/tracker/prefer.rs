//! The order in which policies would give the free devices away.

use super::Tracker;
use crate::address::PciAddress;
use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::policy::{self, DeviceTable, Policy, Query};
use crate::request::Workload;

impl Tracker {
    /// Asks policies in which order they would give the free devices away for a workload.
    ///
    /// Gives the workload with that order as its [`Workload::prefer_devices`], in place of any that it had, to be fitted
    /// or claimed like any other. What the first policy that prefers finds equal is ordered by the next; if none
    /// prefers, the workload stays as it is. `facts` are what policies are told about it beyond itself.
    ///
    /// A device that becomes free only afterwards comes last.
    ///
    /// # Errors
    ///
    /// As [`Tracker::fit`]; [`crate::ErrorKind::PolicyFailed`] when a policy fails and is to fail closed.
    pub fn prefer(
        &self,
        workload: &Workload,
        facts: &ExtraInfo,
        policies: &[&dyn Policy],
    ) -> Result<Workload> {
        workload.validate().map_err(|e| e.inside("workload"))?;
        let free = self.entries.values().filter(|entry| entry.pooled.is_some());
        let free: Vec<_> = free
            .filter_map(|entry| Some((&entry.facts.device, &entry.facts.assignable.as_ref()?.tags)))
            .collect();
        let table = || DeviceTable::of_tagged("", free.iter().copied());
        let Some(order) = policy::order(policies, &Query { workload, facts }, table)? else {
            return Ok(workload.clone());
        };
        let address = |&i: &usize| -> PciAddress { free[i].0.address };
        let prefer_devices = order.iter().map(|alike| alike.iter().map(address).collect()).collect();
        let ordered = Workload { prefer_devices, ..workload.clone() };
        ordered.validate().map_err(|e| e.inside("workload"))?;
        Ok(ordered)
    }
}
