//! A policy to start from: it keeps workloads off one rack.

use slotwise_policy::{Hosts, Policy, Query, Scope, Verdicts};

/// Keeps workloads off the rack that the operator names in the configuration.
pub struct KeepOffRack(String);

impl Policy for KeepOffRack {
    const SCOPE: Scope = Scope::FILTER.union(Scope::ATTRIBUTES);

    fn configure(configuration: &str) -> Result<Self, String> {
        Ok(KeepOffRack(configuration.trim().to_owned()))
    }

    fn filter(&self, _: &Query, hosts: &Hosts) -> Result<Verdicts, String> {
        Ok(hosts
            .judge(|host| (host.attribute("rack") == Some(&self.0)).then(|| "the rack is kept free".into())))
    }
}

slotwise_policy::export!(KeepOffRack);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rack_is_kept_free() {
        let hosts = Hosts::of([("node-1", [("rack", "r1")]), ("node-2", [("rack", "r2")])]);
        let policy = KeepOffRack::configure("r2\n").expect("a rack");
        let verdicts = policy.filter(&Query::default(), &hosts).expect("verdicts");
        assert_eq!(verdicts.reason(0), None);
        assert_eq!(verdicts.reason(1), Some("the rack is kept free"));
    }
}
