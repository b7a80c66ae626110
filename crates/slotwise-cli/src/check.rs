//! `slotwise check`: the configuration in tables, and what its rules do on this machine.

use serde::Serialize;
use serde_json::{Value, json};
use slotwise::{Alias, Config, Device, DeviceSpecs, NumaPolicy, PciAddress};

use crate::answer::Answer;
use crate::args::Check;
use crate::exit::Exit;
use crate::failure::{BOLD, Failure, GREEN, Result, YELLOW, eprint};
use crate::text::{Layout, counted, info_pairs, pairs, plain, ranges, table};
use crate::{input, machine};

/// The JSON form of a valid configuration.
#[derive(Serialize)]
struct Report<'a> {
    valid: bool,
    rules: Vec<Rule>,
    aliases: &'a [Alias],
    warnings: Vec<String>,
    report_in_placement: bool,
    pci_in_placement: bool,
}

/// One rule and what it does on the machine.
#[derive(Serialize)]
struct Rule {
    rule: usize,
    spec: Value,
    /// The devices it decides; `None` when no devices are known.
    devices: Option<Vec<PciAddress>>,
    /// The devices that it matches too, but that an earlier rule decides.
    shadowed: Option<Vec<PciAddress>>,
}

/// Runs the command.
pub(crate) fn run(args: &Check) -> Result<Answer> {
    let source = input::text(&args.rules.config)?;
    // An invalid configuration is what `--json` is asked about: a document, beside the text for people.
    let invalid = |failure: Failure| match args.output.json {
        true => {
            eprint(&failure.render());
            Answer::json(Exit::BadInput, &json!({"valid": false, "error": failure.error}))
        }
        false => Err(failure),
    };
    let config = match input::parse_config(&args.rules.config, &source) {
        Ok(config) => config,
        Err(failure) => return invalid(failure),
    };
    let mut warnings = config.warnings();
    let devices = match machine::devices(&args.machine) {
        Ok(devices) => Some(devices),
        // A configuration may be checked where there is no machine to try it on, unless one was named.
        Err(failure) if args.machine.devices.is_none() && args.machine.sysfs.root.is_none() => {
            warnings.push(format!("the rules were not tried on devices: {}", failure.error));
            None
        }
        Err(failure) => return Err(failure),
    };
    // Some rules contradict the devices that they name.
    let rules = match rules(&config, devices.as_deref()) {
        Ok(rules) => rules,
        Err(error) => return invalid(Failure::within(error, &source)),
    };
    let exit = if args.strict && !warnings.is_empty() { Exit::No } else { Exit::Yes };
    if args.output.json {
        return Answer::json(
            exit,
            &Report {
                valid: true,
                rules,
                aliases: config.aliases.list(),
                warnings,
                report_in_placement: config.report_in_placement,
                pci_in_placement: config.pci_in_placement,
            },
        );
    }
    let name = args.rules.config.display().to_string();
    Answer::text(exit, text(&plain(&name), &config, &rules, &warnings, devices.as_deref()))
}

fn rules(config: &Config, devices: Option<&[Device]>) -> slotwise::Result<Vec<Rule>> {
    let listed = config.device_specs.list();
    let Some(devices) = devices else {
        let rule = |(rule, spec)| Rule { rule, spec, devices: None, shadowed: None };
        return Ok(listed.into_iter().enumerate().map(rule).collect());
    };
    let pinned = config.device_specs.pin(devices)?;
    let decided: Vec<Option<usize>> =
        devices.iter().map(|device| pinned.matching(device).map(|(rule, _)| rule)).collect();
    let mut rules = Vec::new();
    for (rule, spec) in listed.into_iter().enumerate() {
        // A rule on its own says what it would match if no rule stood before it.
        let alone = DeviceSpecs::parse(&[spec.to_string()], config.report_in_placement)?.pin(devices)?;
        let mut found = Rule { rule, spec, devices: Some(Vec::new()), shadowed: Some(Vec::new()) };
        for (device, &decides) in devices.iter().zip(&decided) {
            let list = match decides {
                Some(decides) if decides == rule => &mut found.devices,
                Some(decides) if decides < rule && alone.matching(device).is_some() => &mut found.shadowed,
                _ => continue,
            };
            list.get_or_insert_default().push(device.address);
        }
        rules.push(found);
    }
    Ok(rules)
}

fn text(
    name: &str,
    config: &Config,
    rules: &[Rule],
    warnings: &[String],
    devices: Option<&[Device]>,
) -> String {
    let aliases = config.aliases.list();
    let many =
        |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let mut out = format!(
        "{BOLD}{name}{BOLD:#}: {GREEN}valid{GREEN:#}, {}, {}, {}\n",
        counted(rules.len(), "rule"),
        many(aliases.len(), "alias", "aliases"),
        counted(warnings.len(), "warning"),
    );
    if !rules.is_empty() {
        let rows: Vec<_> = rules.iter().map(rule_row).collect();
        let columns = [
            ("RULE", Layout::Number),
            ("SPEC", Layout::Flow),
            ("DEVICES", Layout::Number),
            ("MATCHES", Layout::Flow),
        ];
        out += &format!("\n{}", table(&columns, &rows));
    }
    if let (Some(devices), false) = (devices, rules.is_empty()) {
        let assignable: usize = rules.iter().filter_map(|rule| rule.devices.as_ref()).map(Vec::len).sum();
        out += &format!("\n{assignable} of {} assignable\n", counted(devices.len(), "device"));
    }
    if !aliases.is_empty() {
        let rows: Vec<_> = aliases.iter().flat_map(alias_rows).collect();
        let columns = [("ALIAS", Layout::Flow), ("NUMA POLICY", Layout::Whole), ("ASKS FOR", Layout::Flow)];
        out += &format!("\n{}", table(&columns, &rows));
    }
    if !warnings.is_empty() {
        out.push('\n');
    }
    for warning in warnings {
        out += &format!("{YELLOW}warning{YELLOW:#}: {}\n", plain(warning));
    }
    out
}

fn rule_row(rule: &Rule) -> Vec<Option<String>> {
    let shadowed =
        rule.shadowed.as_deref().and_then(ranges).map(|devices| format!("(decided before: {devices})"));
    let matches: Vec<String> = rule.devices.as_deref().and_then(ranges).into_iter().chain(shadowed).collect();
    vec![
        Some(rule.rule.to_string()),
        Some(spec_text(&rule.spec)),
        rule.devices.as_ref().map(|devices| devices.len().to_string()),
        (!matches.is_empty()).then(|| matches.join(" ")),
    ]
}

/// One row per alternative; the name and the policy stand before the first.
fn alias_rows(alias: &Alias) -> Vec<Vec<Option<String>>> {
    let row = |(i, alternative)| {
        let first = |text: &str| Some(if i == 0 { text.to_owned() } else { String::new() });
        let asks = info_pairs(alternative).unwrap_or_else(|| "any device".into());
        vec![
            first(&alias.name),
            first(policy_word(alias.numa_policy)),
            Some(if i == 0 { asks } else { format!("or {asks}") }),
        ]
    };
    alias.alternatives.iter().enumerate().map(row).collect()
}

const fn policy_word(policy: NumaPolicy) -> &'static str {
    match policy {
        NumaPolicy::Required => "required",
        NumaPolicy::Preferred => "preferred",
        NumaPolicy::Legacy => "legacy",
        NumaPolicy::Socket => "socket",
    }
}

/// A rule as `key=value` pairs; what is not a plain text is written as JSON.
pub(crate) fn spec_text(spec: &Value) -> String {
    let Value::Object(fields) = spec else { return spec.to_string() };
    let texts: Vec<(&str, String)> = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    pairs(texts.iter().map(|(key, text)| (*key, Some(text.as_str())))).unwrap_or_else(|| "any device".into())
}
