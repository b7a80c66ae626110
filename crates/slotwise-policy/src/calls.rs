//! What the exported functions call, so that a policy's own code is compiled apart from what unpacks its arguments:
//! compilers of WebAssembly keep the variables of a loop in memory where they find it in a long function.

use crate::{Devices, Hosts, Policy, Query, Verdicts};

#[inline(never)]
pub fn filter<P: Policy>(policy: &P, query: &Query, hosts: &Hosts) -> Result<Verdicts, String> {
    policy.filter(query, hosts)
}

#[inline(never)]
pub fn score<P: Policy>(policy: &P, query: &Query, hosts: &Hosts) -> Result<Vec<f64>, String> {
    policy.score(query, hosts)
}

#[inline(never)]
pub fn prefer<P: Policy>(policy: &P, query: &Query, devices: &Devices) -> Result<Vec<f64>, String> {
    policy.prefer(query, devices)
}
