//! What a rule set allows but its author probably did not mean.

use super::location::Location;
use super::pattern::{FieldPattern, Variant};
use super::{DeviceSpecs, Rule};
use crate::address::{PciAddress, clip};

/// How many of the first rules each rule is compared with, so that the cost stays linear in the rules.
const MAX_COMPARED: usize = 1000;

/// Keys that mean something in an alias, or that look like a key of a rule, and would be an ordinary tag in a rule.
const MISTAKEN_KEYS: &[(&str, &str)] = &[
    ("addr", "the key is address"),
    ("device_id", "the key is product_id"),
    ("dev_name", "the key is devname"),
    ("device_name", "the key is devname"),
    ("device_type", "it selects devices in an alias only"),
    ("name", "it names an alias"),
    ("netdev", "the key is devname"),
    ("numa_policy", "it belongs into an alias"),
    ("pci_address", "the key is address"),
    ("product", "the key is product_id"),
    ("vendor", "the key is vendor_id"),
];

pub(super) fn warnings(specs: &DeviceSpecs) -> Vec<String> {
    let mut found = Vec::new();
    let rules: Vec<(&Rule, Option<PciAddress>)> =
        specs.rules.iter().zip(specs.pins.iter().copied()).collect();
    for (i, (rule, pin)) in rules.iter().enumerate() {
        if let Location::Pattern(pattern) = &rule.location {
            found.extend(
                pattern.fields.iter().filter_map(|field| Some((field, of_pattern(field)?))).map(
                    |(field, warning)| format!("device_spec[{i}].address.{}: {warning}", field.field.name),
                ),
            );
        }
        for (key, meant) in MISTAKEN_KEYS {
            if rule.tags.get(key).is_some() {
                found.push(format!(
                    "device_spec[{i}].{key}: {key} selects no devices, it is an ordinary tag; {meant}"
                ));
            }
        }
        for key in ["resource_class", "traits"] {
            if rule.tags.get(key).is_some() && !specs.report_in_placement {
                let why = "it has no effect while report_in_placement is off";
                found.push(format!("device_spec[{i}].{key}: {why}"));
            }
        }
        let earlier = rules.iter().take(i.min(MAX_COMPARED));
        if let Some(j) = earlier.clone().position(|(other, other_pin)| covers(other, *other_pin, rule, *pin))
        {
            found.push(format!(
                "device_spec[{i}]: the rule never matches, because device_spec[{j}] matches the same devices first"
            ));
        }
    }
    found
}

/// Whether `first` matches every device that `second` does.
fn covers(
    first: &Rule,
    first_pin: Option<PciAddress>,
    second: &Rule,
    second_pin: Option<PciAddress>,
) -> bool {
    let allows = |first: &Option<String>, second: &Option<String>| first.is_none() || first == second;
    allows(&first.vendor_id, &second.vendor_id)
        && allows(&first.product_id, &second.product_id)
        && (!first.remote_managed || second.remote_managed)
        && first.location.covers(first_pin, &second.location, second_pin)
}

/// What is odd about the pattern of a field, judged by the values it matches.
fn of_pattern(pattern: &FieldPattern) -> Option<String> {
    let field = pattern.field;
    let text = clip(&pattern.text);
    if let Some(value) = pattern.values(Variant::AnyCase)?.first_not_in(&pattern.bits) {
        return Some(format!(
            "the pattern {text} does not match {}, because addresses are written in lower case",
            field.text(value)
        ));
    }
    // Whether a domain above those that were tested matches is not known.
    if pattern.bits.is_empty() && field.name != "domain" {
        return Some(format!(
            "the pattern {text} matches no {}, which has the form {}",
            field.name,
            field.text(0)
        ));
    }
    let value = pattern.bits.first_not_in(&pattern.values(Variant::Whole)?)?;
    Some(format!(
        "the pattern {text} also matches {}, because it is anchored at the start only; end it with $ or .* to say \
         what is meant",
        field.text(value)
    ))
}
