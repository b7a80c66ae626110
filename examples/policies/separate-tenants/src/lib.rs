//! Keeps tenants apart by switch.
//!
//! The configuration gives switches to projects, one line each: `leaf-1 = payroll, audit`. A host whose attribute
//! `switch` is listed takes workloads of those projects only, and a project that is listed goes to its own switches only.
//! The caller names the project as the fact `project_id`.

use std::collections::{BTreeMap, BTreeSet};

use slotwise_policy::{Hosts, Level, Policy, Query, Scope, Verdicts, log};

/// Which projects each switch is for.
pub struct SeparateTenants {
    switches: BTreeMap<String, BTreeSet<String>>,
}

impl Policy for SeparateTenants {
    const SCOPE: Scope = Scope::FILTER.union(Scope::FACTS).union(Scope::ATTRIBUTES);

    fn configure(configuration: &str) -> Result<Self, String> {
        let mut switches: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (number, line) in configuration.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let Some((switch, projects)) = line.split_once('=') else {
                return Err(format!("line {}: write SWITCH = PROJECT, PROJECT", number + 1));
            };
            let projects = projects.split(',').map(|project| project.trim().to_owned());
            switches.entry(switch.trim().to_owned()).or_default().extend(projects.filter(|p| !p.is_empty()));
        }
        if switches.is_empty() {
            log(Level::Warning, "no switch is given to any project: all hosts pass");
        }
        Ok(SeparateTenants { switches })
    }

    fn filter(&self, query: &Query, hosts: &Hosts) -> Result<Verdicts, String> {
        let project = query.fact("project_id").ok_or("the caller does not name the fact project_id")?;
        let has_own = self.switches.values().any(|projects| projects.contains(project));
        Ok(hosts.judge_by_attributes(|host| {
            let switch = host.attribute("switch");
            match switch.and_then(|switch| self.switches.get(switch)) {
                Some(projects) if projects.contains(project) => None,
                Some(_) => Some(format!("switch {} is kept for other projects", switch.unwrap_or_default())),
                None if has_own => Some(format!("project {project} has switches of its own")),
                None => None,
            }
        }))
    }
}

slotwise_policy::export!(SeparateTenants);

#[cfg(test)]
mod tests {
    use super::*;

    const SWITCHES: &str = "# The regulated ones.\nleaf-1 = payroll, audit\nleaf-2=audit\n";

    #[track_caller]
    fn check(project: &str, expected: [Option<&str>; 4]) {
        let policy = SeparateTenants::configure(SWITCHES).expect("a configuration");
        let hosts = Hosts::of([
            ("a", vec![("switch", "leaf-1")]),
            ("b", vec![("switch", "leaf-2")]),
            ("c", vec![("switch", "leaf-3")]),
            ("d", vec![]),
        ]);
        let verdicts = policy.filter(&Query::of([("project_id", project)]), &hosts).expect("verdicts");
        assert_eq!([0, 1, 2, 3].map(|host| verdicts.reason(host)), expected);
    }

    #[test]
    fn a_project_goes_to_its_switches_and_others_do_not() {
        let own = Some("project audit has switches of its own");
        check("audit", [None, None, own, own]);
        let own = Some("project payroll has switches of its own");
        check("payroll", [None, Some("switch leaf-2 is kept for other projects"), own, own]);
        let [one, two] =
            ["leaf-1", "leaf-2"].map(|switch| format!("switch {switch} is kept for other projects"));
        check("web", [Some(&one), Some(&two), None, None]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        assert_eq!(
            SeparateTenants::configure("leaf-1").err().as_deref(),
            Some("line 1: write SWITCH = PROJECT, PROJECT")
        );
        let policy = SeparateTenants::configure("").expect("nothing to keep apart");
        assert!(policy.filter(&Query::default(), &Hosts::of([("a", [("rack", "r1")])])).is_err());
    }
}
