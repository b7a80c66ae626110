//! Reasons: the paragraph that says why a workload does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::filter::{EXACT_STEPS, Prepared, clamp};
use crate::fit::{NoFit, RequestReport};
use crate::pool::Pools;
use crate::request::{Constraint, Relation};
use crate::solve::bins::DEVICE_GROUP;
use crate::stock::Families;

/// Puts a *no* together: the requests in conflict, and a paragraph that a person can act on. Requests that are not in
/// conflict are reported on as long as `is_affordable`.
pub(crate) fn no_fit(
    pools: &Pools,
    prepared: &[Prepared<'_>],
    constraints: &[Constraint],
    shortages: &[String],
    conflict: Vec<usize>,
    is_affordable: impl Fn(&Prepared<'_>) -> bool,
) -> NoFit {
    let list = &pools.list;
    let usable = list
        .iter()
        .filter(|pool| conflict.iter().any(|&r| prepared[r].allows(pool)))
        .map(|pool| u64::from(pool.count))
        .sum();
    let reported = prepared.iter().enumerate().filter(|(i, p)| conflict.contains(i) || is_affordable(p));
    let requests: Vec<RequestReport> = reported.map(|(i, p)| p.report(i, list, EXACT_STEPS)).collect();
    let couplings = couplings(pools, prepared, constraints, shortages, &conflict);
    with_reports(prepared, constraints, &couplings, conflict, usable, requests)
}

/// So many groups are named.
const MAX_GROUPS: usize = 4;

/// What keeps devices from being used together although there are enough of them.
fn couplings(
    pools: &Pools,
    prepared: &[Prepared<'_>],
    constraints: &[Constraint],
    shortages: &[String],
    conflict: &[usize],
) -> Vec<String> {
    let list = &pools.list;
    let usable: Vec<bool> =
        list.iter().map(|pool| conflict.iter().any(|&r| prepared[r].allows(pool))).collect();
    let mut couplings = Vec::new();
    let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
    let providers = conflict.iter().flat_map(|&r| &prepared[r].providers);
    providers.for_each(|&provider| *wanted.entry(provider).or_default() += 1);
    for (provider, wanted) in wanted {
        let own = list
            .iter()
            .zip(&usable)
            .filter(|(pool, usable)| **usable && pool.provider.as_deref() == Some(provider));
        let free: u64 = own.map(|(pool, _)| u64::from(pool.count)).sum();
        if free < wanted {
            couplings.push(format!(
                "resource provider {provider} has {free} of the {} needed of it",
                devices(wanted)
            ));
        }
    }
    let in_use = list.iter().zip(&usable).filter(|(_, usable)| **usable);
    let groups: BTreeSet<&str> = in_use.filter_map(|(pool, _)| pool.attributes.text(DEVICE_GROUP)).collect();
    if !groups.is_empty() {
        let mut names: Vec<&str> = groups.iter().copied().take(MAX_GROUPS).collect();
        if groups.len() > names.len() {
            names.push("…");
        }
        couplings.push(format!("device groups are handed out as a whole ({})", names.join(", ")));
    }
    let families = Families::new(list);
    if (0..families.len()).any(|card| families.holds_for_both(card, |pool| usable[pool])) {
        couplings.push("a physical function excludes its own virtual functions".to_owned());
    }
    if !shortages.is_empty() {
        couplings.extend_from_slice(shortages);
    } else if constraints.iter().any(|constraint| constraint.requests.iter().any(|r| conflict.contains(r))) {
        couplings.push("too few of them agree or differ as asked".to_owned());
    }
    couplings
}

/// The same with reports that were made otherwise.
pub(crate) fn with_reports(
    prepared: &[Prepared<'_>],
    constraints: &[Constraint],
    couplings: &[String],
    conflict: Vec<usize>,
    usable: u64,
    requests: Vec<RequestReport>,
) -> NoFit {
    let needed: u64 = conflict.iter().map(|&r| u64::from(prepared[r].count)).sum();
    let message = paragraph(prepared, constraints, couplings, &conflict, needed, usable, &requests);
    NoFit { message, conflict, needed: clamp(needed), usable: clamp(usable), requests }
}

fn paragraph(
    prepared: &[Prepared<'_>],
    constraints: &[Constraint],
    couplings: &[String],
    conflict: &[usize],
    needed: u64,
    usable: u64,
    requests: &[RequestReport],
) -> String {
    let names: Vec<String> = conflict.iter().map(|&r| name(&prepared[r], r)).collect();
    let mut text = String::from("does not fit: ");
    // Writing to a String cannot fail.
    let _ = match names.as_slice() {
        [one] => write!(text, "{one} needs {}", devices(needed)),
        many => write!(text, "{} together need {}", join(many), devices(needed)),
    };
    text.push_str(&asked_of_them(prepared, constraints, conflict));
    let _ = match usable {
        0 => write!(text, ", but no free device can serve {}", if names.len() == 1 { "it" } else { "them" }),
        few if few < needed => write!(
            text,
            ", but only {} can serve {}",
            free_devices(few),
            if names.len() == 1 { "it" } else { "them" }
        ),
        enough => write!(
            text,
            ", and {} could serve {}: {}",
            free_devices(enough),
            if needed == 1 { "it, but cannot be had" } else { "some of that, but not all at once" },
            match couplings {
                [] if names.len() == 1 => "it cannot use them together".to_owned(),
                [] => "each request can use only some of them".to_owned(),
                couplings => couplings.join(", and "),
            }
        ),
    };
    text.push('.');
    if conflict.iter().any(|&r| !prepared[r].request.otherwise.is_empty()) {
        text.push_str(" No fallback can be had either.");
    }
    for report in requests.iter().filter(|report| conflict.contains(&report.request)) {
        let r = report.request;
        let _ = write!(text, " Of {} for {}", free_devices(u64::from(report.free)), name(&prepared[r], r));
        let mut dropped = report.steps.iter().filter(|step| step.dropped > 0).peekable();
        if dropped.peek().is_none() {
            text.push_str(", none was dropped");
        }
        for (i, step) in dropped.enumerate() {
            let reason = if step.dropped == 1 { step.step.reason_of_one() } else { step.step.reason() };
            let _ = write!(text, "{} {} {reason}", if i == 0 { "," } else { " and" }, step.dropped);
        }
        let left = report.steps.last().map_or(report.free, |step| step.left);
        let _ = write!(text, "; {left} {} left.", if left == 1 { "is" } else { "are" });
    }
    text
}

/// What the devices of requests in conflict must have in common, or not.
fn asked_of_them(prepared: &[Prepared<'_>], constraints: &[Constraint], conflict: &[usize]) -> String {
    let mut seen: Vec<(Relation, &str)> = Vec::new();
    let mut text = String::new();
    let inside = |constraint: &Constraint| -> Vec<usize> {
        conflict.iter().copied().filter(|r| constraint.requests.contains(r)).collect()
    };
    for constraint in constraints {
        let alike = (constraint.relation, constraint.key.as_str());
        if inside(constraint).is_empty() || seen.contains(&alike) {
            continue;
        }
        text.push_str(if seen.is_empty() { " " } else { " and " });
        seen.push(alike);
        text.push_str(&match alike {
            (Relation::Same, key) => format!("with the same {key}"),
            (Relation::Distinct, "address") => "each from a different card".to_owned(),
            (Relation::Distinct, key) => format!("each with a different {key}"),
        });
        let like: Vec<&Constraint> =
            constraints.iter().filter(|other| (other.relation, other.key.as_str()) == alike).collect();
        if conflict.len() > 1 && !like.iter().any(|other| inside(other).len() == conflict.len()) {
            let mut who: Vec<usize> = like.iter().flat_map(|other| inside(other)).collect();
            who.sort_unstable();
            who.dedup();
            let names: Vec<String> = who.iter().map(|&r| name(&prepared[r], r)).collect();
            let within = if like.iter().all(|other| other.requests.len() == 1) { "within" } else { "among" };
            let _ = write!(text, " ({within} {})", join(&names));
        }
    }
    text
}

fn name(prepared: &Prepared<'_>, index: usize) -> String {
    let request = prepared.request;
    match (&request.alias_name, &request.request_id) {
        (Some(alias), _) => format!("request {index} (alias {alias:?})"),
        (None, Some(id)) => format!("request {index} ({id})"),
        (None, None) => format!("request {index}"),
    }
}

fn devices(count: u64) -> String {
    format!("{count} device{}", if count == 1 { "" } else { "s" })
}

fn free_devices(count: u64) -> String {
    format!("{count} free device{}", if count == 1 { "" } else { "s" })
}

fn join(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
