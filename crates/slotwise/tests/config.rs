//! Configuration texts end to end, and properties of every parser that reads what an operator wrote.

use proptest::prelude::*;
use serde_json::{Value, json};
use slotwise::{Aliases, Config, ConfigFormat, Device, DeviceSpecs, Error, ErrorKind};

const NOVA_CONF: &str = r#"# A nova.conf as deployments have it.
[DEFAULT]
transport_url = rabbit://nova:s3cr3t@controller:5672/
my_ip = 10.0.0.11
pci_alias = {"name": "old", "vendor_id": "8086", "product_id": "0443"}

[api]
auth_strategy = keystone

[PCI]
; Mellanox on the data network
device_spec = {"vendor_id": "15b3", "address": {"bus": "0[0-3]", "slot": ".*"},
               "physical_network": "physnet2"}
device_spec: [{"devname": "ens1f0", "physical_network": null},
  {"vendor_id": "10de", "product_id": "25b6", "one_time_use": "yes"}]
passthrough_whitelist = {"vendor_id": "8086"}
alias = '{"name": "gpu", "vendor_id": "10de", "product_id": "25b6", "device_type": "type-PCI"}'
report_in_placement = Yes
[filter_scheduler]
enabled_filters = ComputeFilter,PciPassthroughFilter
pci_in_placement = off
"#;

const TOML: &str = r#"
[pci]
report_in_placement = true

[[pci.device_spec]]
vendor_id = "15b3"
address = { bus = "0[0-3]", slot = ".*" }
physical_network = "physnet2"

[[pci.device_spec]]
vendor_id = "10de"
one_time_use = true
rack = 7

[[pci.alias]]
name = "gpu"
vendor_id = "10de"
product_id = "25b6"

[filter_scheduler]
pci_in_placement = true
other = 1
"#;

fn nova_conf(text: &str) -> Result<Config, Error> {
    Config::parse(text, ConfigFormat::NovaConf)
}

fn toml(text: &str) -> Result<Config, Error> {
    Config::parse(text, ConfigFormat::Toml)
}

#[track_caller]
fn refused(result: Result<Config, Error>, kind: ErrorKind, path: &str, position: (u32, u32)) {
    let error = result.expect_err(path);
    let place = error.place();
    assert_eq!((error.kind(), place.path.as_str()), (kind, path), "{error}");
    assert_eq!((place.line, place.column), (Some(position.0), Some(position.1)), "{error}");
}

#[test]
fn a_real_nova_conf() {
    let config = nova_conf(NOVA_CONF).expect("a good file");
    assert_eq!(
        config.device_specs.list(),
        [
            json!({"vendor_id": "8086"}),
            json!({"vendor_id": "15b3", "address": {"bus": "0[0-3]", "slot": ".*"}, "physical_network": "physnet2"}),
            json!({"devname": "ens1f0", "physical_network": null}),
            json!({"vendor_id": "10de", "product_id": "25b6", "one_time_use": true}),
        ]
    );
    let names: Vec<_> = config.aliases.list().iter().map(|alias| alias.name.as_str()).collect();
    assert_eq!(names, ["old", "gpu"]);
    assert!(
        config.report_in_placement && config.device_specs.report_in_placement() && !config.pci_in_placement
    );
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("line 5: [DEFAULT]pci_alias is an old name"));
    assert!(warnings[1].starts_with("line 16: [pci]passthrough_whitelist is an old name"));
    assert_eq!(nova_conf("").expect("an empty file"), Config::default());
}

#[test]
fn a_toml_file() {
    let config = toml(TOML).expect("a good file");
    assert_eq!(
        config.device_specs.list(),
        [
            json!({"vendor_id": "15b3", "address": {"bus": "0[0-3]", "slot": ".*"}, "physical_network": "physnet2"}),
            json!({"vendor_id": "10de", "one_time_use": true, "rack": 7}),
        ]
    );
    assert!(config.report_in_placement && config.pci_in_placement);
    assert_eq!(config.aliases.list()[0].name, "gpu");
    let json_text =
        "[pci]\ndevice_spec = ['{\"physical_network\": null}', {n = inf, t = 1979-05-27, h = 0xff}]\n";
    let listed = toml(json_text).expect("a good file").device_specs.list();
    assert_eq!(listed, [json!({"physical_network": null}), json!({"n": "inf", "t": "1979-05-27", "h": 255})]);
    assert_eq!(toml("").expect("an empty file"), Config::default());
}

#[test]
fn errors_point_into_the_file() {
    use ErrorKind::{InvalidAlias, InvalidConfig, InvalidJson, InvalidSpec};
    let spec = "[pci]\n# é\ndevice_spec = {\"rack\": \"é\", \"address\": {\"bus\": \"0[\"}}\n";
    refused(nova_conf(spec), InvalidSpec, "device_spec[0].address.bus", (3, 48));
    let lines = "[pci]\r\ndevice_spec = [{},\r\n\t{\"managed\":\r\n    \"maybe\"}]\r\n";
    refused(nova_conf(lines), InvalidSpec, "device_spec[1].managed", (4, 5));
    let syntax = "[pci]\ndevice_spec = {\"a\": 1,\n   \"b\" 2}\n";
    refused(nova_conf(syntax), InvalidJson, "device_spec[0]", (3, 8));
    refused(nova_conf("[pci]\nalias =\n"), InvalidJson, "alias[0]", (2, 8));
    let quoted = "[pci]\nalias = \"{\"name\": \"\"}\"\n";
    refused(nova_conf(quoted), InvalidAlias, "alias[0].name", (2, 19));
    refused(nova_conf("[pci]\nreport_in_placement = t\n"), InvalidConfig, "pci.report_in_placement", (2, 23));
    refused(nova_conf("[pci\n"), InvalidConfig, "", (1, 1));

    refused(toml("[pci]\nalias = 1\n"), InvalidConfig, "pci.alias", (2, 9));
    refused(toml("[pci]\nspec = 1\n"), InvalidConfig, "pci.spec", (2, 1));
    refused(toml("[pci]\nreport_in_placement = 1\n"), InvalidConfig, "pci.report_in_placement", (2, 23));
    refused(toml("pci = 1\n"), InvalidConfig, "pci", (1, 7));
    refused(toml("[pci]\nalias = [1]\n"), InvalidAlias, "alias[0]", (2, 10));
    refused(toml("x = \n"), InvalidConfig, "", (1, 5));
    let table = "[[pci.device_spec]]\naddress = { domain = \"0000\", bus = \"0[\" }\n";
    refused(toml(table), InvalidSpec, "device_spec[0].address.bus", (2, 36));
    let text = "[pci]\ndevice_spec = ['{\"managed\": \"perhaps\"}']\n";
    refused(toml(text), InvalidSpec, "device_spec[0].managed", (2, 29));
    let alias = "[[pci.alias]]\nname = \"a\"\nvendor_id = \"80\"\n";
    refused(toml(alias), InvalidAlias, "alias[0].vendor_id", (3, 13));
    let large = " ".repeat((64 << 20) + 1);
    assert_eq!(nova_conf(&large).expect_err("too large").kind(), ErrorKind::LimitExceeded);
}

#[test]
fn warnings_about_the_file_as_a_whole() {
    let text = "[pci]\ndevice_spec = {\"vendor_id\": \"8086\", \"rack\": \"$my_rack\"}\n\
                alias = {\"name\": \"a\", \"vendor_id\": \"8086\", \"product_id\": \"0443\"}\n\
                alias = {\"name\": \"b\", \"vendor_id\": \"10de\", \"product_id\": \"0443\"}\n\
                device_spec = {\"address\": {\"bus\": \"0a$\"}, \"vendor_id\": \"8086\"}\n";
    let warnings = nova_conf(text).expect("a good file").warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("oslo.config would replace \"$my_rack\""));
    assert!(warnings[1].contains("device_spec[1]: the rule never matches"));
    assert!(warnings[2].contains("alias b: no device_spec hands out devices 10de:0443"));
}

/// A rule with keys and values that are often right.
fn rule() -> impl Strategy<Value = Value> {
    let digits = "[0-9a-fA-F]{0,5}|\\*| 8086 |0x86";
    let address = prop_oneof![
        "([0-3*]{0,4}:){0,3}[0-3*]{0,2}(\\.[0-8*])?".prop_map(Value::from),
        prop::collection::btree_map("domain|bus|slot|function", "[0-3.\\[\\]^$*a-c]{0,5}", 0..4)
            .prop_map(|map| json!(map)),
        Just(Value::Null),
    ];
    let tag = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}|true|no|[0-9.]{1,4}|\\[1, 2\\]".prop_map(Value::from),
        prop::collection::vec(any::<Option<u8>>(), 0..3).prop_map(|list| json!({"list": list})),
    ];
    (
        prop::option::weighted(0.4, digits),
        prop::option::weighted(0.4, digits),
        prop::option::weighted(0.5, address),
        prop::option::weighted(0.1, "[a-z0-9]{0,4}"),
        prop::collection::btree_map("managed|live_migratable|remote_managed|rack|\\PC{1,3}", tag, 0..3),
    )
        .prop_map(|(vendor, product, address, devname, tags)| {
            let mut rule = json!(tags);
            for (key, value) in [("vendor_id", vendor), ("product_id", product), ("devname", devname)] {
                if let Some(value) = value {
                    rule[key] = Value::from(value);
                }
            }
            if let Some(address) = address {
                rule["address"] = address;
            }
            rule
        })
}

/// An alias line with keys and values that are often right.
fn alias_line() -> impl Strategy<Value = Value> {
    let value = "8086|1572|10DE|a|b|type-PF|type-VF|required|legacy|yes|pci|\\PC{0,4}";
    let keys = "vendor_id|product_id|device_type|numa_policy|live_migratable|traits|resource_class|capability_type|x";
    (prop::collection::btree_map(keys, value, 0..4), "[ab]", any::<bool>()).prop_map(
        |(mut line, name, ids)| {
            line.insert("name".to_owned(), name);
            if ids {
                line.insert("vendor_id".to_owned(), "8086".to_owned());
                line.insert("product_id".to_owned(), "1572".to_owned());
            }
            json!(line)
        },
    )
}

/// `text` with a few characters cut out, doubled or replaced.
fn mutated(text: String) -> impl Strategy<Value = String> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<char>()), 0..6).prop_map(
        move |edits| {
            let mut chars: Vec<char> = text.chars().collect();
            for (index, edit, c) in edits {
                if chars.is_empty() {
                    break;
                }
                let i = index.index(chars.len());
                match edit {
                    0 => drop(chars.remove(i)),
                    1 => chars.insert(i, chars[i]),
                    2 => chars.truncate(i),
                    _ => chars[i] = c,
                }
            }
            chars.into_iter().collect()
        },
    )
}

/// An error must say where it is, and its line and column must lie in the text.
fn placed(error: &Error, text: &str) -> Result<(), TestCaseError> {
    let place = error.place();
    let (line, column) = (place.line.unwrap_or(0) as usize, place.column.unwrap_or(0) as usize);
    // Lines may end with \n, \r\n or \r.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let length = lines.split('\n').nth(line.wrapping_sub(1)).map(|line| line.chars().count());
    prop_assert!(column >= 1 && length.is_some_and(|length| column <= length + 2), "{} in {:?}", error, text);
    Ok(())
}

/// Every call on specs that were accepted must work, whatever they hold.
fn exercise(specs: &DeviceSpecs) -> Result<(), TestCaseError> {
    let mut device = Device::new("0000:01:00.1".parse().expect("a good address"), "8086", "1572");
    device.parent_addr = Some("0000:01:00.0".parse().expect("a good address"));
    let pinned = specs.pin(std::slice::from_ref(&device)).unwrap_or_else(|_| specs.clone());
    let explanation = pinned.explain(&device);
    prop_assert_eq!(pinned.matching(&device).map(|(rule, _)| rule), explanation.rule);
    prop_assert_eq!(
        explanation.rules.iter().filter(|verdict| verdict.reason.is_none()).count(),
        usize::from(explanation.assignable)
    );
    for warning in pinned.warnings() {
        prop_assert!(warning.starts_with("device_spec["));
    }
    let again = DeviceSpecs::parse(&[Value::from(specs.list()).to_string()], specs.report_in_placement());
    prop_assert_eq!(&again.map_err(|error| TestCaseError::fail(error.to_string()))?, specs);
    let restored = specs.clone().with_pins(pinned.pins());
    prop_assert_eq!(restored.map_err(|error| TestCaseError::fail(error.to_string()))?, pinned);
    Ok(())
}

proptest! {
    #[test]
    fn rules_that_are_accepted_read_back(rules in prop::collection::vec(rule(), 0..4), placement: bool) {
        let texts: Vec<String> = rules.iter().map(Value::to_string).collect();
        match DeviceSpecs::parse(&texts, placement) {
            Ok(specs) => exercise(&specs)?,
            Err(error) => prop_assert!(error.place().path.starts_with("device_spec["), "{}", error),
        }
    }

    #[test]
    fn any_text_as_a_rule(text in prop_oneof![
        any::<String>(),
        prop::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "[\\[\\]{}:,\"0-9a-f \n]{0,40}",
        rule().prop_flat_map(|rule| mutated(rule.to_string())),
    ]) {
        match DeviceSpecs::parse(&[&text], true) {
            Ok(specs) => exercise(&specs)?,
            Err(error) => placed(&error, &text)?,
        }
    }

    #[test]
    fn any_text_as_an_alias(lines in prop::collection::vec(prop_oneof![
        any::<String>(),
        alias_line().prop_map(|line| line.to_string()),
        alias_line().prop_flat_map(|line| mutated(line.to_string())),
    ], 0..3), placement: bool, flavor in "([ab ]{0,2}:[ 0-9]{0,3},?){0,3}|\\PC{0,10}") {
        match Aliases::parse(&lines, placement) {
            Ok(aliases) => {
                for alias in aliases.list() {
                    prop_assert!(!alias.alternatives.is_empty());
                }
                let canonical: Vec<String> = aliases.lines().iter().map(ToString::to_string).collect();
                let again = Aliases::parse(&canonical, placement);
                prop_assert_eq!(&again.map_err(|e| TestCaseError::fail(e.to_string()))?, &aliases);
                if let Err(error) = aliases.requests(&flavor, None) {
                    prop_assert!(error.place().path.starts_with("flavor"), "{}", error);
                }
                let mut copy = aliases.clone();
                if let Some(first) = aliases.list().first() {
                    prop_assert_eq!(&copy.delete(&first.name).map_err(|e| TestCaseError::fail(e.to_string()))?, first);
                    prop_assert!(copy.delete(&first.name).is_err());
                }
            }
            Err(error) => prop_assert!(error.place().path.starts_with("alias["), "{}", error),
        }
    }

    #[test]
    fn any_text_as_nova_conf(text in prop_oneof![
        any::<String>(),
        "(\\[pci\\]\n|alias|device_spec| = |:|\\{|\\}|\"|'|\n|\r| |\t|#|\\[|\\]|x){0,20}",
        mutated(NOVA_CONF.to_owned()),
    ]) {
        match nova_conf(&text) {
            Ok(config) => {
                exercise(&config.device_specs)?;
                let _ = config.warnings();
            }
            Err(error) => placed(&error, &text)?,
        }
    }

    #[test]
    fn any_text_as_toml(text in prop_oneof![
        any::<String>(),
        "(\\[pci\\]\n|\\[\\[pci.alias\\]\\]\n|alias|device_spec| = |\\{|\\}|\"|'|\n|\r| |#|\\[|\\]|x|1){0,20}",
        mutated(TOML.to_owned()),
    ]) {
        match toml(&text) {
            Ok(config) => {
                exercise(&config.device_specs)?;
                let _ = config.warnings();
            }
            Err(error) => placed(&error, &text)?,
        }
    }

    /// The same rules through JSON and through nova.conf, one key per line, are the same rules.
    #[test]
    fn nova_conf_says_the_same_as_json(rules in prop::collection::vec(rule(), 0..4)) {
        let texts: Vec<String> = rules.iter().map(Value::to_string).collect();
        if let Ok(specs) = DeviceSpecs::parse(&texts, false) {
            let mut file = "[pci]\n".to_owned();
            for rule in &rules {
                let pretty = serde_json::to_string_pretty(rule).expect("JSON").replace('\n', "\n    ");
                file += &format!("device_spec = {pretty}\n");
            }
            let config = nova_conf(&file).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(config.device_specs, specs);
        }
    }
}
