use serde_json::json;

use super::*;

fn specs(rules: &[Value]) -> DeviceSpecs {
    let texts: Vec<String> = rules.iter().map(Value::to_string).collect();
    DeviceSpecs::parse(&texts, true).expect("good rules")
}

fn device(document: &Value) -> Device {
    crate::json::from_value(document, "device").expect("a good device")
}

/// A function of 15b3:1018 at an address.
fn nic(address: &str) -> Device {
    Device::new(address.parse().expect("a good address"), "15b3", "1018")
}

fn vf(address: &str, parent: &str) -> Device {
    device(&json!({"address": address, "vendor_id": "15b3", "product_id": "1018", "dev_type": "type-VF",
        "parent_addr": parent}))
}

/// Whether a single rule matches, and if not the reason.
#[track_caller]
fn check(rule: Value, device: &Device, expect: std::result::Result<(), &str>) {
    let specs = specs(&[rule]);
    let explanation = specs.explain(device);
    assert_eq!(specs.matching(device).is_some(), explanation.assignable);
    match (explanation.rules[0].reason.as_deref(), expect) {
        (None, Ok(())) => {}
        (Some(reason), Err(expect)) => assert_eq!(reason, expect),
        (got, _) => panic!("{got:?}"),
    }
}

#[track_caller]
fn refused(entry: &str, path: &str, position: (u32, u32), message: &str) {
    let error = DeviceSpecs::parse(&[entry], false).expect_err(entry);
    let place = error.place();
    assert!(error.message().contains(message), "{error}");
    assert_eq!(place.path, path, "{error}");
    assert_eq!((place.line, place.column), (Some(position.0), Some(position.1)), "{error}");
    let kind = error.kind();
    assert!(
        matches!(kind, ErrorKind::InvalidSpec | ErrorKind::InvalidJson | ErrorKind::LimitExceeded),
        "{error}"
    );
}

#[test]
fn ids() {
    check(json!({}), &nic("0:3b:0.1"), Ok(()));
    check(json!({"vendor_id": "15b3"}), &nic("0:3b:0.1"), Ok(()));
    check(json!({"vendor_id": " 15B3 ", "product_id": "*"}), &nic("0:3b:0.1"), Ok(()));
    check(json!({"vendor_id": "8086"}), &nic("0:3b:0.1"), Err("vendor 15b3 is not 8086"));
    check(json!({"product_id": "0x1017"}), &nic("0:3b:0.1"), Err("product 1018 is not 1017"));
    check(json!({"product_id": "86"}), &nic("0:3b:0.1"), Err("product 1018 is not 0086"));
    let mut upper = nic("0:3b:0.1");
    upper.vendor_id = "15B3".to_owned();
    check(json!({"vendor_id": "15b3"}), &upper, Ok(()));
}

#[test]
fn addresses() {
    let at = "0000:3b:00.1";
    check(json!({"address": "*:3b:00.*"}), &nic(at), Ok(()));
    check(json!({"address": ":3b:00."}), &nic(at), Ok(()));
    check(json!({"address": "*:0a:00.*"}), &nic(at), Err("address 0000:3b:00.1 is outside *:0a:00.*"));
    check(json!({"address": {"bus": "3[ab]", "function": "[0-2]"}}), &nic(at), Ok(()));
    check(
        json!({"address": {"bus": "0[0-3]"}}),
        &nic("0:1f:0.0"),
        Err("bus 1f does not match the pattern 0[0-3]"),
    );
    check(
        json!({"address": {"domain": "0001"}}),
        &nic(at),
        Err("domain 0000 does not match the pattern 0001"),
    );
    check(json!({"address": {"domain": "1000."}}), &nic("10000:3b:00.1"), Ok(()));
    for blank in [json!(null), json!(""), json!({})] {
        check(json!({"address": blank}), &nic(at), Ok(()));
        assert_eq!(specs(&[json!({"address": blank, "devname": "e"})]).list(), [json!({"devname": "e"})]);
    }
}

#[test]
fn a_physical_function_covers_its_vfs() {
    let vf = vf("0000:3c:00.2", "0000:3b:00.0");
    check(json!({"address": "0000:3b:00.0"}), &vf, Ok(()));
    check(json!({"address": "3b:00.0"}), &vf, Err("address 0000:3c:00.2 is outside *:3b:00.0"));
    check(json!({"address": {"domain": "0000", "bus": "3b", "slot": "00", "function": "0"}}), &vf, Ok(()));
    check(
        json!({"address": {"domain": "0000", "bus": "3b", "slot": "00", "function": "[0]"}}),
        &vf,
        Err("bus 3c does not match the pattern 3b"),
    );
}

#[test]
fn the_first_rule_that_matches_wins() {
    let specs = specs(&[
        json!({"vendor_id": "8086"}),
        json!({"vendor_id": "15b3", "address": "*:3b:*.*", "physical_network": null, "rack": 7}),
        json!({"trusted": "true"}),
    ]);
    let (rule, tags) = specs.matching(&nic("0:3b:0.1")).expect("matches");
    assert_eq!((rule, tags.get("physical_network"), tags.text("rack")), (1, Some(None), Some("7")));
    let explanation = specs.explain(&nic("0:3b:0.1"));
    assert_eq!((explanation.rule, explanation.rules.len(), &explanation.tags), (Some(1), 2, tags));
    assert_eq!(specs.matching(&nic("0:3c:0.1")).map(|(rule, _)| rule), Some(2));
    assert_eq!(DeviceSpecs::default().matching(&nic("0:3b:0.1")), None);
}

#[test]
fn remote_managed_needs_a_serial_number() {
    let rule = json!({"remote_managed": "True"});
    let reason = "device 0000:3b:00.1 has no card serial number, which remote_managed needs";
    check(rule.clone(), &nic("0:3b:0.1"), Err(reason));
    let with = |capabilities: Value| {
        device(
            &json!({"address": "0:3b:0.1", "vendor_id": "15b3", "product_id": "1018", "capabilities": capabilities}),
        )
    };
    check(rule.clone(), &with(json!({"vpd": {"card_serial_number": ""}})), Err(reason));
    check(rule, &with(json!({"vpd": {"card_serial_number": "MT2042"}})), Ok(()));
    check(json!({"remote_managed": "perhaps"}), &nic("0:3b:0.1"), Ok(()));
}

#[test]
fn devname_is_pinned_once() {
    let with_name = |address: &str, key: &str, value: Value| {
        let mut device = nic(address);
        device.extra_info.insert_value(key, &value).expect("within limits");
        device
    };
    let open =
        specs(&[json!({"devname": "ens1f0"}), json!({"devname": "ens1f1"}), json!({"vendor_id": "15b3"})]);
    let reason = |specs: &DeviceSpecs, device: &Device| specs.explain(device).rules[0].reason.clone();
    assert_eq!(
        reason(&open, &nic("0:3b:0.0")).as_deref(),
        Some("no function of this host had the netdev name ens1f0")
    );
    let host = [nic("0:1:0.0"), with_name("0:3b:0.0", "netdevs", json!(["other", "ens1f0"]))];
    let pinned = open.pin(&host).expect("pins");
    assert_eq!(pinned.pins(), [Some("0:3b:0.0".parse().expect("address")), None, None]);
    assert_ne!(pinned, open);
    assert_eq!(reason(&pinned, &nic("0:3b:0.0")), None);
    assert_eq!(reason(&pinned, &vf("0:3c:0.2", "0:3b:0.0")), None);
    assert_eq!(
        reason(&pinned, &nic("0:3b:0.1")).as_deref(),
        Some(
            "address 0000:3b:00.1 is neither 0000:3b:00.0, which had the netdev name ens1f0, nor a VF of it"
        )
    );
    // The name moves on, the rule does not; the other name is found by its VF.
    let mut named_vf = vf("0:5e:2.1", "0:5e:0.0");
    named_vf.extra_info.insert("parent_ifname", Some("ens1f1".to_owned())).expect("within limits");
    let later = [with_name("0:1:0.0", "netdevs", json!("ens1f0")), named_vf];
    let again = pinned.pin(&later).expect("pins");
    let address = |text: &str| Some(text.parse::<PciAddress>().expect("address"));
    assert_eq!(again.pins(), [address("0:3b:0.0"), address("0:5e:0.0"), None]);

    assert_eq!(open.clone().with_pins(again.pins()).expect("as many as rules"), again);
    assert_eq!(
        open.clone().with_pins(vec![None; 2]).expect_err("too few").kind(),
        ErrorKind::InvalidSnapshot
    );
    let error = open.with_pins(vec![None, None, address("0:1:0.0")]).expect_err("no devname");
    assert_eq!(error.place().path, "pins[2]");
}

#[test]
fn a_physical_function_cannot_be_managed_remotely() {
    let pf = device(
        &json!({"address": "0:82:0.0", "vendor_id": "15b3", "product_id": "a2d6", "dev_type": "type-PF",
        "sriov_vf_device": "0x101e"}),
    );
    let mut silent = pf.clone();
    silent.extra_info.remove("sriov_vf_device");
    #[track_caller]
    fn pin(rule: Value, pf: &Device, expect: Option<&str>) {
        let result = specs(&[json!({"vendor_id": "8086"}), rule]).pin(std::slice::from_ref(pf));
        assert_eq!(result.as_ref().err().map(|error| error.place().path.as_str()), expect, "{result:?}");
    }
    let rule = |ids: Value| {
        let mut rule = json!({"address": "0000:82:00.0", "remote_managed": "true"});
        for (key, value) in ids.as_object().expect("an object") {
            rule[key] = value.clone();
        }
        rule
    };
    pin(rule(json!({"product_id": "101e"})), &pf, None);
    pin(rule(json!({"product_id": "101e", "vendor_id": "15b3"})), &pf, None);
    pin(rule(json!({})), &pf, Some("device_spec[1].remote_managed"));
    pin(rule(json!({"product_id": "a2d6"})), &pf, Some("device_spec[1].remote_managed"));
    pin(rule(json!({"product_id": "1111"})), &pf, Some("device_spec[1].product_id"));
    pin(rule(json!({"product_id": "101e", "vendor_id": "8086"})), &pf, Some("device_spec[1].vendor_id"));
    pin(rule(json!({"product_id": "101e"})), &silent, None);
    pin(rule(json!({"product_id": "a2d6"})), &silent, Some("device_spec[1].remote_managed"));
    pin(json!({"address": "*:82:00.0", "remote_managed": "true"}), &pf, None);
    pin(json!({"address": "0000:82:00.1", "remote_managed": "true"}), &pf, None);
}

#[test]
fn tags_are_normalised() {
    let specs =
        specs(&[json!({"managed": "NO", "live_migratable": true, "one_time_use": "1", "traits": "A,B",
        "resource_class": "PGPU", "remote_managed": "no"})]);
    let tags = &specs.rules[0].tags;
    for (key, text) in [
        ("managed", "false"),
        ("live_migratable", "true"),
        ("one_time_use", "true"),
        ("traits", "A,B"),
        ("resource_class", "PGPU"),
        ("remote_managed", "no"),
    ] {
        assert_eq!(tags.text(key), Some(text), "{key}");
    }
}

#[test]
fn the_list_is_canonical_and_reads_back() {
    let given = [
        json!({"vendor_id": "0x8086", "product_id": "*", "address": ":A:0."}),
        json!({"address": {"bus": "0[1-3]"}, "managed": "yes", "rack": "12", "n": {"b": [1], "a": null}}),
        json!({"devname": "eth0", "physical_network": null}),
    ];
    let specs = specs(&given);
    let list = specs.list();
    assert_eq!(
        list,
        [
            json!({"vendor_id": "8086", "product_id": "*", "address": "*:0a:00.*"}),
            json!({"address": {"bus": "0[1-3]"}, "managed": true, "rack": 12, "n": {"b": [1], "a": null}}),
            json!({"devname": "eth0", "physical_network": null}),
        ]
    );
    let again = DeviceSpecs::parse(&[Value::Array(list).to_string()], true).expect("its own form");
    assert_eq!(again, specs);
    assert_eq!((again.len(), again.report_in_placement()), (3, true));
}

#[test]
fn bad_rules_name_their_place() {
    refused("", "device_spec[0]", (1, 1), "EOF");
    refused("{\"a\": 1,\n \"b\" 2}", "device_spec[0]", (2, 6), "expected `:`");
    refused("{\"é\": x}", "device_spec[0]", (1, 7), "expected value");
    refused("'{}'", "device_spec[0]", (1, 1), "expected value");
    refused("7", "device_spec[0]", (1, 1), "7 is not a JSON object or a list");
    refused("[{}, 7]", "device_spec[0]", (1, 6), "7 is not");
    refused(r#"[{}, {"vendor_id": "80867"}]"#, "device_spec[1].vendor_id", (1, 20), "over the maximum ffff");
    refused(r#"{"vendor_id": 8086}"#, "device_spec[0].vendor_id", (1, 15), "an id is a text");
    refused(r#"{"product_id": "8o86"}"#, "device_spec[0].product_id", (1, 16), "is not an id");
    refused(
        "{\n  \"address\": {\n    \"bus\": \"0[\"}}",
        "device_spec[0].address.bus",
        (3, 12),
        "does not compile",
    );
    refused(r#"{"address": {"func": "1"}}"#, "device_spec[0].address.func", (1, 22), "no field");
    refused(r#"{"address": {"bus": 1}}"#, "device_spec[0].address.bus", (1, 21), "is a text");
    refused(r#"{"address": "0000:3b:20.0"}"#, "device_spec[0].address", (1, 13), "slot 20 is over");
    refused(r#"{"address": ["a"]}"#, "device_spec[0].address", (1, 13), "a text or an object");
    refused(r#"{"address": "*", "devname": "e"}"#, "device_spec[0].devname", (1, 29), "both");
    refused(r#"{"devname": ""}"#, "device_spec[0].devname", (1, 13), "name of a network device");
    refused(r#"{"managed": "maybe"}"#, "device_spec[0].managed", (1, 13), "is not a boolean");
    refused(r#"{"live_migratable": 2}"#, "device_spec[0].live_migratable", (1, 21), "is not a boolean");
    refused(r#"{"one_time_use": "yes"}"#, "device_spec[0].one_time_use", (1, 18), "reported to Placement");
    for key in DEVICE_FIELDS {
        refused(
            &format!(r#"{{"{key}": "1"}}"#),
            &format!("device_spec[0].{key}"),
            (1, key.len() as u32 + 6),
            "tag",
        );
    }
    let long = "x".repeat(limits::MAX_TEXT_BYTES + 1);
    refused(&format!(r#"{{"rack": "{long}"}}"#), "device_spec[0].rack", (1, 10), "over the limit");
    let longer = "x".repeat(13 * limits::MAX_TEXT_BYTES);
    refused(&format!(r#"{{"rack": "{longer}"}}"#), "device_spec[0].rack", (1, 10), "over the limit");
    let many: Vec<String> = (0..1100).map(|i| format!("\"k{i}\": 1")).collect();
    let error = DeviceSpecs::parse(&[format!("{{{}}}", many.join(","))], false).expect_err("too many tags");
    assert_eq!((error.kind(), error.place().path.as_str()), (ErrorKind::LimitExceeded, "device_spec[0]"));
    let rules = format!("[{}{{}}]", "{},".repeat(limits::MAX_RULES));
    let error = DeviceSpecs::parse(&[rules], false).expect_err("too many rules");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[track_caller]
fn warned(rules: &[Value], expect: &[&str]) {
    let found =
        DeviceSpecs::parse(&[Value::from(rules.to_vec()).to_string()], false).expect("good rules").warnings();
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.contains(expect), "{found} lacks {expect}");
    }
}

#[test]
fn warnings_point_at_what_was_probably_not_meant() {
    warned(
        &[json!({"address": {"bus": "1"}})],
        &["device_spec[0].address.bus: the pattern 1 also matches 10"],
    );
    warned(
        &[json!({"address": {"bus": "0A"}})],
        &["device_spec[0].address.bus: the pattern 0A does not match 0a"],
    );
    warned(&[json!({"address": {"slot": "2[0-9]"}})], &["slot: the pattern 2[0-9] matches no slot"]);
    warned(&[json!({"address": {"function": "8"}})], &["function: the pattern 8 matches no function"]);
    for fine in [".*", "", "0a", "0[0-9a-fA-F]", "1.", "1.*", "(?i)0A"] {
        let bus = if fine.is_empty() { ".." } else { fine };
        warned(
            &[json!({"address": {"domain": ".*", "bus": bus, "slot": "0[1-2]", "function": "[2-7]"}})],
            &[],
        );
    }
    warned(&[json!({"address": {"domain": "10000"}})], &[]);
    warned(
        &[json!({"device_type": "type-PF"})],
        &["device_spec[0].device_type: device_type selects no devices"],
    );
    warned(&[json!({"resource_class": "X"})], &["report_in_placement is off"]);
    warned(
        &[json!({}), json!({"vendor_id": "8086"})],
        &["device_spec[1]: the rule never matches, because device_spec[0]"],
    );
    warned(&[json!({"devname": "e"}), json!({"devname": "e"})], &["device_spec[1]: the rule never"]);
    warned(&[json!({"remote_managed": "true"}), json!({"vendor_id": "8086"})], &[]);
    warned(&[json!({"vendor_id": "8086"}), json!({})], &[]);
    warned(&[json!({"address": "*:3b:*.*"}), json!({"address": "0:3b:0.0"})], &[]);
}
