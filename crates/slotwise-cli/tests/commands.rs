//! The `slotwise` command as a user runs it, over synthetic machines and configuration files.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use slotwise_sysfs::testing::{FunctionSpec, Tree};

/// Two GPUs on two NUMA nodes, and a card with four VFs on node 0; the configuration lies beside the tree.
fn host() -> Tree {
    let tree = Tree::new();
    tree.add(&FunctionSpec::new("0000:00:01.0").ids(0x8086, 0x3408).class(0x06_0400).driver("pcieport"));
    for (address, node) in [("0000:17:00.0", 0), ("0000:ca:00.0", 1)] {
        let gpu = FunctionSpec::new(address).ids(0x10de, 0x20b0).class(0x03_0200).numa_node(node);
        tree.add(&gpu.driver("vfio-pci").iommu_group(40 + u32::try_from(node).expect("a node")));
    }
    tree.add_card("0000:81:00.0", 4);
    tree.write("nova.conf", NOVA_CONF);
    tree
}

const NOVA_CONF: &str = r#"[DEFAULT]
debug = false

[pci]
device_spec = {"vendor_id": "10de", "product_id": "20b0", "rack": "r7"}
device_spec = {"address": "0000:81:00.0", "product_id": "1018",
               "physical_network": "blue"}
device_spec = {"vendor_id": "15b3", "product_id": "1018", "physical_network": null}
alias = {"name": "gpu", "vendor_id": "10de", "product_id": "20b0", "numa_policy": "required"}
alias = {"name": "nic", "vendor_id": "15b3", "product_id": "1018", "device_type": "type-VF"}
"#;

/// What a run left behind.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// Standard output is one JSON document and nothing else.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// The command in the directory of the tree, so that no path of this machine is in its output.
fn command(tree: &Tree, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slotwise"));
    command.current_dir(tree.root()).args(line.split_whitespace());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn run_with(mut command: Command, stdin: &str) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the command starts");
    // A command that does not read its input closes it, which is fine.
    _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("the command ends");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn run(tree: &Tree, line: &str) -> Ran {
    run_with(command(tree, line), "")
}

/// The command ends with `code`, prints exactly `stdout`, and nothing to standard error.
#[track_caller]
fn prints(tree: &Tree, line: &str, code: i32, stdout: &str) {
    let ran = run(tree, line);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{line}");
    assert_eq!(ran.stdout, stdout, "{line} printed\n{}", ran.stdout);
}

/// The command ends with 2, prints exactly `stderr`, and nothing to standard output.
#[track_caller]
fn refuses(tree: &Tree, line: &str, stderr: &str) {
    let ran = run(tree, line);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}");
    assert_eq!(ran.stderr, stderr, "{line} printed\n{}", ran.stderr);
}

#[test]
fn discover_prints_a_table() {
    prints(
        &host(),
        "discover --sysfs-root . --config nova.conf",
        0,
        "\
ADDRESS       ID         CLASS       TYPE  NUMA  PARENT        IOMMU  DRIVER     NETDEVS   RULE
0000:00:01.0  8086:3408  pci-bridge  PCI      -  -                 -  pcieport   -            -
0000:17:00.0  10de:20b0  3d          PCI      0  -                40  vfio-pci   -            0
0000:81:00.0  15b3:1017  ethernet    PF       0  -                 1  mlx5_core  ens1f0       -
0000:81:00.1  15b3:1018  ethernet    VF       0  0000:81:00.0      2  mlx5_core  ens1f0v0     1
0000:81:00.2  15b3:1018  ethernet    VF       0  0000:81:00.0      3  mlx5_core  ens1f0v1     1
0000:81:00.3  15b3:1018  ethernet    VF       0  0000:81:00.0      4  mlx5_core  ens1f0v2     1
0000:81:00.4  15b3:1018  ethernet    VF       0  0000:81:00.0      5  mlx5_core  ens1f0v3     1
0000:ca:00.0  10de:20b0  3d          PCI      1  -                41  vfio-pci   -            0

8 functions: 3 PCI, 1 PF, 4 VF; 2 NUMA nodes
",
    );
    prints(&Tree::new(), "discover --sysfs-root .", 0, "0 functions; NUMA nodes unknown\n");
}

#[test]
fn discover_gives_the_device_documents() {
    let tree = host();
    let devices = slotwise_sysfs::Sysfs::new(tree.root()).discover().expect("a machine").devices();
    let ran = run(&tree, "discover --sysfs-root . --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.json(), serde_json::to_value(&devices).expect("JSON"));
    assert_eq!(devices.len(), 8);
}

#[test]
fn what_cannot_be_read_is_a_warning_and_with_strict_a_no() {
    let tree = host();
    tree.write(&format!("{}/numa_node", tree.device_dir("0000:17:00.0")), "east\n");
    for (line, code) in
        [("discover --sysfs-root . --json", 0), ("discover --sysfs-root . --json --strict", 1)]
    {
        let ran = run(&tree, line);
        assert_eq!(ran.code, Some(code), "{line}");
        assert_eq!(ran.json().as_array().map(Vec::len), Some(8));
        assert!(
            ran.stderr.starts_with("warning: ") && ran.stderr.contains("0000:17:00.0/numa_node"),
            "{ran:?}"
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    let ran = run(&tree, "pools --sysfs-root . --config nova.conf --json");
    assert!(ran.stderr.contains("0000:17:00.0/numa_node") && ran.json().is_array(), "{ran:?}");
}

#[test]
fn a_machine_that_is_not_there_is_bad_input() {
    let tree = host();
    for line in [
        "discover --sysfs-root none",
        "pools --sysfs-root none --config nova.conf",
        "check --sysfs-root none --config nova.conf",
    ] {
        let ran = run(&tree, line);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("none"), "{ran:?}");
    }
}

#[test]
fn check_prints_rules_aliases_and_devices() {
    prints(
        &host(),
        "check --sysfs-root . --config nova.conf --strict",
        0,
        "\
nova.conf: valid, 3 rules, 2 aliases, 0 warnings

RULE  SPEC                                                        DEVICES  MATCHES
   0  vendor_id=10de product_id=20b0 rack=r7                            2  0000:17:00.0 0000:ca:00.0
   1  product_id=1018 address=0000:81:00.0 physical_network=blue        4  0000:81:00.1..0000:81:00.4
   2  vendor_id=15b3 product_id=1018 physical_network=null              0  (decided before: 0000:81:00.1..0000:81:00.4)

6 of 8 devices assignable

ALIAS  NUMA POLICY  ASKS FOR
gpu    required     vendor_id=10de product_id=20b0
nic    legacy       vendor_id=15b3 product_id=1018 dev_type=type-VF
",
    );
}

#[test]
fn check_gives_a_document() {
    let ran = run(&host(), "check --sysfs-root . --config nova.conf --json");
    let document = ran.json();
    assert_eq!((ran.code, &document["valid"], &document["warnings"]), (Some(0), &json!(true), &json!([])));
    assert_eq!(document["rules"][0]["devices"], json!(["0000:17:00.0", "0000:ca:00.0"]));
    assert_eq!(document["rules"][1]["spec"]["physical_network"], "blue");
    assert_eq!(document["rules"][2]["devices"], json!([]));
    assert_eq!(document["rules"][2]["shadowed"].as_array().map(Vec::len), Some(4));
    assert_eq!(document["aliases"][1]["name"], "nic");
    assert_eq!(
        (&document["report_in_placement"], &document["pci_in_placement"]),
        (&json!(false), &json!(false))
    );
}

#[test]
fn a_warning_is_a_no_with_strict_only() {
    let tree = host();
    // A pattern for a bus is not anchored at its end, as in Nova.
    let rule = r#"{"address": {"domain": ".*", "bus": "1", "slot": ".*", "function": ".*"}}"#;
    tree.write("odd.conf", format!("[pci]\ndevice_spec = {rule}\n"));
    let lenient = run(&tree, "check --sysfs-root . --config odd.conf");
    assert_eq!(lenient.code, Some(0));
    assert!(lenient.stdout.contains("0 aliases, 1 warning\n"), "{}", lenient.stdout);
    assert!(lenient.stdout.contains("\nwarning: device_spec[0]"), "{}", lenient.stdout);
    let strict = run(&tree, "check --sysfs-root . --config odd.conf --strict");
    assert_eq!((strict.code, strict.stdout), (Some(1), lenient.stdout));
}

#[test]
fn a_mistake_in_nova_conf_is_pointed_at() {
    let tree = host();
    tree.write(
        "bad.conf",
        "[pci]\ndevice_spec = {\"vendor_id\": \"8086\"}\ndevice_spec = {\"vendor_id\": \"10de\",\n    \"address\": \"0000:81:00.9\"}\n",
    );
    let expect = "\
error: function 9 is over the maximum 7
 --> bad.conf:4:16
  |
4 |     \"address\": \"0000:81:00.9\"}
  |                ^
  = in: device_spec[1].address
  = help: give a hexadecimal function from 0 to 7
";
    for command in [
        "check",
        "pools",
        "discover",
        "explain device 0000:17:00.0",
        "explain request gpu:1",
        "explain workload -",
    ] {
        refuses(&tree, &format!("{command} --sysfs-root . --config bad.conf"), expect);
    }
    let ran = run(&tree, "check --config bad.conf --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expect));
    let document = ran.json();
    assert_eq!(document["valid"], false);
    assert_eq!(
        document["error"]["place"],
        json!({"path": "device_spec[1].address", "line": 4, "column": 16})
    );
}

#[test]
fn a_mistake_in_toml_is_pointed_at() {
    let tree = host();
    tree.write("bad.toml", "[pci]\ndevice_spec = [{ vendor_id = \"8086\", address = { bus = \"0[\" } }]\n");
    let ran = run(&tree, "check --config bad.toml");
    assert_eq!(ran.code, Some(2));
    let pointed = "
 --> bad.toml:2:56
  |
2 | device_spec = [{ vendor_id = \"8086\", address = { bus = \"0[\" } }]
  |                                                        ^
  = in: device_spec[0].address.bus
";
    assert!(ran.stderr.contains(pointed), "{}", ran.stderr);
}

#[test]
fn the_content_tells_the_format_where_the_extension_does_not() {
    let tree = host();
    let toml = "[[pci.device_spec]]\nvendor_id = \"10de\"\nrack = \"r7\"\n";
    for (name, text) in
        [("rules.toml", toml), ("rules", toml), ("nova", NOVA_CONF), ("nova.conf.sample", NOVA_CONF)]
    {
        tree.write(name, text);
        let ran = run(&tree, &format!("check --sysfs-root . --config {name} --json"));
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        assert_eq!(ran.json()["rules"][0]["spec"]["rack"], "r7", "{name}");
    }
    // TOML with a mistake in a rule is still TOML.
    tree.write("mistake", "[[pci.device_spec]]\nvendor_id = \"10dex\"\n");
    let ran = run(&tree, "check --sysfs-root . --config mistake");
    assert!(ran.code == Some(2) && ran.stderr.contains(" --> mistake:2:"), "{ran:?}");
}

#[test]
fn files_that_cannot_be_read_are_bad_input() {
    let tree = host();
    tree.write("latin1.conf", b"[pci]\n# caf\xe9\n");
    refuses(
        &tree,
        "check --config latin1.conf",
        "error: the text is not UTF-8\n --> latin1.conf:2:6\n  |\n2 | # caf\u{fffd}\n  |      ^\n  = help: save the file as UTF-8\n",
    );
    refuses(
        &tree,
        "check --config none.conf",
        "error: cannot read none.conf: No such file or directory (os error 2)\n  = help: name a file that can be read\n",
    );
    let ran = run(&tree, "check --config bus");
    assert!(ran.code == Some(2) && ran.stderr.starts_with("error: cannot read bus: "), "{ran:?}");
}

#[test]
fn devices_may_come_from_a_file_or_a_pipe() {
    let tree = host();
    let listed = run(&tree, "discover --sysfs-root . --json").stdout;
    tree.write("devices.json", &listed);
    let direct = run(&tree, "pools --sysfs-root . --config nova.conf --json");
    let line = "pools --config nova.conf --json --devices";
    let file = run(&tree, &format!("{line} devices.json"));
    let pipe = run_with(command(&tree, &format!("{line} -")), &listed);
    assert_eq!(direct.json().as_array().map(Vec::len), Some(3), "{direct:?}");
    assert_eq!((file.code, file.stdout), (Some(0), direct.stdout.clone()));
    assert_eq!((pipe.code, pipe.stdout), (Some(0), direct.stdout));

    let bad =
        run_with(command(&tree, "check --config nova.conf --devices -"), "[{\"address\": \"0:0:0.9\"}]");
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(2), ""));
    assert!(
        bad.stderr.starts_with("error: function 9 is over the maximum 7\n --> standard input:1:"),
        "{}",
        bad.stderr
    );
    assert!(bad.stderr.contains("\n1 | [{\"address\": \"0:0:0.9\"}]\n"), "{}", bad.stderr);
    let both = run(&tree, "pools --config nova.conf --devices devices.json --sysfs-root .");
    assert!(both.code == Some(2) && both.stderr.contains("cannot be used with"), "{both:?}");
    let twice = run(&tree, "explain workload - --config nova.conf --devices -");
    assert!(
        twice.code == Some(2) && twice.stderr.contains("cannot both come from standard input"),
        "{twice:?}"
    );
}

#[test]
fn pools_are_counted_and_grouped() {
    let tree = host();
    prints(
        &tree,
        "pools --sysfs-root . --config nova.conf",
        0,
        "\
FREE  ID         TYPE  NUMA  CARD          TAGS                                                             DEVICES
   1  10de:20b0  PCI      0  0000:17:00.0  rack=r7                                                          -
   1  10de:20b0  PCI      1  0000:ca:00.0  rack=r7                                                          -
   4  15b3:1018  VF       0  0000:81:00.0  parent_ifname=ens1f0 physical_network=blue remote_managed=false  0000:81:00.1..0000:81:00.4

6 free devices in 3 pools
",
    );
    prints(
        &tree,
        "pools --sysfs-root . --config nova.conf --by numa_node,physical_network",
        0,
        "\
NUMA_NODE  PHYSICAL_NETWORK  TOTAL  FREE  DEVICES
0          -                     1     1  0000:17:00.0
0          blue                  4     4  0000:81:00.1..0000:81:00.4
1          -                     1     1  0000:ca:00.0

6 devices in 3 groups
",
    );
    let ran = run(&tree, "pools --sysfs-root . --config nova.conf --by driver --json");
    assert_eq!(ran.json()[0]["values"], json!({"driver": "mlx5_core"}));
    assert_eq!(ran.json()[0]["total"], 4);
    tree.write("empty.conf", "");
    let ran = run(&tree, "pools --sysfs-root . --config empty.conf");
    assert!(ran.code == Some(0) && ran.stdout.starts_with("0 free devices in 0 pools\n"), "{ran:?}");
}

#[test]
fn a_device_is_explained_rule_by_rule() {
    let tree = host();
    prints(
        &tree,
        "explain device 0000:81:00.0 --sysfs-root . --config nova.conf",
        1,
        "\
0000:81:00.0 is not assignable: no rule matches it

RULE  VERDICT  REASON                    SPEC
   0  no       vendor 15b3 is not 10de   vendor_id=10de product_id=20b0 rack=r7
   1  no       product 1017 is not 1018  product_id=1018 address=0000:81:00.0 physical_network=blue
   2  no       product 1017 is not 1018  vendor_id=15b3 product_id=1018 physical_network=null
",
    );
    let ran = run(&tree, "explain device 0000:81:00.2 --sysfs-root . --config nova.conf");
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stdout.starts_with("0000:81:00.2 is assignable by rule 1: physical_network=blue\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.ends_with("\nThe rules after it were not tried: the first that matches decides.\n"));
    let ran = run(&tree, "explain device 81:0.0 --sysfs-root . --config nova.conf");
    assert!(ran.code == Some(2) && ran.stderr.contains("domain:bus:slot.function"), "{ran:?}");
    refuses(
        &tree,
        "explain device 0000:99:00.0 --sysfs-root . --config nova.conf",
        "error: there is no function 0000:99:00.0\n  = help: \"slotwise discover\" lists the functions of this machine\n",
    );
    let document = run(&tree, "explain device 0:ca:0.0 --sysfs-root . --config nova.conf --json").json();
    assert_eq!(document["tags"], json!({"rack": "r7"}));
    tree.write("empty.conf", "");
    let ran = run(&tree, "explain device 0:ca:0.0 --sysfs-root . --config empty.conf");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("the configuration has no device_spec rule"), "{}", ran.stdout);
}

#[test]
fn a_request_that_fits_names_its_devices() {
    prints(
        &host(),
        "explain request gpu:1,nic:2 --numa-cells 0 --sysfs-root . --config nova.conf",
        0,
        "\
fits: 3 devices for 2 requests

REQUEST  ADDRESS       ID         TYPE  NUMA  TAGS
gpu      0000:17:00.0  10de:20b0  PCI      0  rack=r7
nic      0000:81:00.4  15b3:1018  VF       0  physical_network=blue
         0000:81:00.3  15b3:1018  VF       0  physical_network=blue
",
    );
}

#[test]
fn what_comes_along_with_a_device_group_is_shown() {
    let tree = host();
    tree.write(
        "pair.conf",
        r#"[pci]
device_spec = {"address": "0000:17:00.0", "device_group": "pair"}
device_spec = {"address": "0000:81:00.1", "device_group": "pair"}
alias = {"name": "gpu", "vendor_id": "10de", "product_id": "20b0"}
"#,
    );
    let ran = run(&tree, "explain request gpu:1 --sysfs-root . --config pair.conf");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("\n  along with its group  0000:81:00.1  15b3:1018  VF "), "{}", ran.stdout);
}

#[test]
fn a_request_that_does_not_fit_says_why() {
    let tree = host();
    let line = "explain request gpu:2 --numa-cells 1 --sysfs-root . --config nova.conf";
    let ran = run(&tree, line);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    assert!(
        ran.stdout.starts_with("does not fit: request 0 (alias \"gpu\") needs 2 devices"),
        "{}",
        ran.stdout
    );
    let report = "
gpu: 2 of vendor_id=10de product_id=20b0
STEP                DROPPED  LEFT  WHY
free                      -     6  -
attributes                4     2  match no alternative of the request
physical functions        0     2  -
vdpa                      0     2  -
remote managed            0     2  -
live migratable           0     2  -
placement                 0     2  -
numa                      1     1  are on the wrong NUMA node
";
    assert!(ran.stdout.ends_with(report), "{}", ran.stdout);
    let document = run(&tree, &format!("{line} --json")).json();
    assert_eq!((&document["outcome"], &document["conflict"]), (&json!("no_fit"), &json!([0])));
    // The policy of the flavor goes before that of the alias.
    assert_eq!(run(&tree, &format!("{line} --numa-policy preferred")).code, Some(0));
}

#[test]
fn the_strategy_nova_gives_novas_answer() {
    let tree = host();
    tree.write(
        "order.conf",
        r#"[pci]
device_spec = {"vendor_id": "10de"}
device_spec = {"vendor_id": "15b3", "product_id": "1018"}
alias = {"name": "any", "vendor_id": "10de", "product_id": "20b0"}
alias = {"name": "any", "vendor_id": "15b3", "product_id": "1018"}
alias = {"name": "gpu", "vendor_id": "10de", "product_id": "20b0"}
"#,
    );
    let line = "explain request any:2,gpu:2 --sysfs-root . --config order.conf";
    assert_eq!(run(&tree, line).code, Some(0));
    assert_eq!(run(&tree, &format!("{line} --strategy nova")).code, Some(1));
}

#[test]
fn a_workload_document_says_the_rest() {
    let tree = host();
    let run = |workload: &Value, more: &str| {
        let line = format!("explain workload - --sysfs-root . --config nova.conf {more}");
        run_with(command(&tree, &line), &workload.to_string())
    };
    let nic = json!({"requests": [{"request_id": "port-7", "alternatives": [{"physical_network": "blue"}]}]});
    let ran = run(&nic, "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("\nport-7   0000:81:00.4  "), "{}", ran.stdout);
    let ran = run(&nic, "--json");
    assert_eq!(ran.json()["requests"][0]["devices"], json!(["0000:81:00.4"]));
    let fallback = json!({"requests": [{
        "count": 3,
        "alternatives": [{"vendor_id": "10de"}],
        "otherwise": [{"count": 1, "alternatives": [{"vendor_id": "10de"}]}],
    }]});
    let ran = run(&fallback, "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("\nrequest 0 (fallback 1)  0000:17:00.0  "), "{}", ran.stdout);
    let ran = run(&json!({"requests": [{"count": 0, "alternatives": [{}]}]}), "");
    assert!(ran.code == Some(2) && ran.stderr.contains("= in: workload.requests[0].count"), "{ran:?}");
}

#[test]
fn a_spent_budget_is_neither_yes_nor_no() {
    let tree = host();
    // The first request must leave the GPUs to the second, which takes a step of search to find out.
    let workload = |budget: u32| {
        let (gpu, vf) = (json!({"product_id": "20b0"}), json!({"dev_type": "type-VF"}));
        let either = json!({"count": 2, "alternatives": [gpu, vf]});
        json!({"budget": budget, "requests": [either, {"count": 2, "alternatives": [gpu]}]}).to_string()
    };
    let line = "explain workload - --sysfs-root . --config nova.conf";
    let enough = run_with(command(&tree, line), &workload(1000));
    assert_eq!(enough.code, Some(0), "{enough:?}");
    let spent = run_with(command(&tree, line), &workload(0));
    assert_eq!((spent.code, spent.stderr.as_str()), (Some(3), ""), "{spent:?}");
    assert!(spent.stdout.starts_with("undecided: the search budget of 0 steps ran out"), "{}", spent.stdout);
}

#[test]
fn a_fleet_is_explained() {
    let tree = host();
    let gpus = |count: u32| json!([{"vendor_id": "10de", "product_id": "20b0", "count": count}]);
    let line = |host: &str, pools: Value| json!({"host": host, "pools": pools}).to_string();
    tree.write("a.jsonl", format!("{}\n\n{}\n", line("h1", gpus(4)), line("h2", gpus(0))));
    tree.write("b.jsonl", [line("h3", json!([])), line("h4", json!(null))].join("\n"));
    let flavor = "explain request gpu:2 --config nova.conf --fleet a.jsonl b.jsonl";
    let ran = run(&tree, flavor);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let expected = "\
4 hosts: 1 fits, 2 lack vendor_id for request 0 (alias \"gpu\"), 1 lacks free devices for request 0 (alias \"gpu\").

HOSTS  OUTCOME             REQUEST
    1  fits                -
    2  lack vendor_id      gpu
    1  lacks free devices  gpu

gpu: 2 of vendor_id=10de product_id=20b0
STEP ";
    assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
    let document = run(&tree, &format!("{flavor} --json")).json();
    assert_eq!((&document["asked"], &document["fits"]), (&json!(4), &json!(1)));
    assert_eq!(document["reasons"][0], json!({"request": 0, "why": "lacks", "key": "vendor_id", "hosts": 2}));

    // A workload document needs no configuration then, and may come from where one of the files does not.
    let workload = json!({"requests": [{"count": 5, "alternatives": [{"vendor_id": "10de"}]}]}).to_string();
    let asked = |line: &str, stdin: &str| run_with(command(&tree, line), stdin);
    let none = asked("explain workload - --fleet a.jsonl", &workload);
    assert_eq!((none.code, none.stderr.as_str()), (Some(1), ""), "{none:?}");
    assert!(none.stdout.starts_with("2 hosts: 0 fit, 2 lack free devices.\n"), "{}", none.stdout);
    let piped = asked("explain request gpu:4 --config nova.conf --fleet -", &line("h", gpus(4)));
    assert_eq!(piped.code, Some(0), "{piped:?}");
    let twice = asked("explain workload - --fleet -", &workload);
    assert!(
        twice.code == Some(2) && twice.stderr.contains("cannot both come from standard input"),
        "{twice:?}"
    );
    for line in
        ["explain workload w.json", "explain request gpu:1 --config nova.conf --fleet a.jsonl --devices d"]
    {
        assert_eq!(run(&tree, line).code, Some(2), "{line}");
    }

    // A bad line is named by file and line, and shown.
    tree.write("bad.jsonl", format!("{}\n\n{{\"host\": \"h9\", \"pools\": 7}}\n", line("h8", gpus(1))));
    let bad = run(&tree, "explain request gpu:1 --config nova.conf --fleet a.jsonl bad.jsonl");
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(2), ""), "{bad:?}");
    assert!(
        bad.stderr.contains("\n --> bad.jsonl:3")
            && bad.stderr.contains("\n3 | {\"host\": \"h9\", \"pools\": 7}\n"),
        "{}",
        bad.stderr
    );
    assert!(bad.stderr.contains("= in: line.pools"), "{}", bad.stderr);
    tree.write("older.jsonl", "{\"host\": \"h1\", \"pools\": [], \"version\": 1}\n{\"host\": \"h1\", \"pools\": null, \"version\": 0}");
    let older = run(&tree, "explain request gpu:1 --config nova.conf --fleet older.jsonl");
    assert!(older.code == Some(2) && older.stderr.contains("--> older.jsonl:2"), "{older:?}");
}

#[test]
fn bad_requests_are_bad_input() {
    let tree = host();
    for (flavor, expect) in [
        ("tpu:1", "error: no alias \"tpu\" is defined\n"),
        ("gpu:0", "error: count 0 is out of range\n"),
        ("gpu:1000000000", "is out of range\n"),
        ("gpu:1,,", "error: an item is empty\n"),
    ] {
        let ran = run(&tree, &format!("explain request {flavor} --sysfs-root . --config nova.conf"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{flavor}");
        assert!(
            ran.stderr.contains(expect) && ran.stderr.contains("\n  = help: "),
            "{flavor}: {}",
            ran.stderr
        );
    }
}

#[test]
fn the_command_line_itself() {
    let tree = host();
    let help = run(&tree, "--help");
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Exit codes:\n  0  fine"), "{}", help.stdout);
    for line in ["", "pools", "explain", "discover --colour", "frobnicate"] {
        let ran = run(&tree, line);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}");
        assert!(!ran.stderr.is_empty());
    }
    assert_eq!(run(&tree, "--version").stdout, format!("slotwise {}\n", slotwise::VERSION));
}

#[test]
fn colour_is_for_terminals_and_no_color_forbids_it() {
    let tree = host();
    tree.write("bad.conf", "[pci]\ndevice_spec = {]\n");
    let line = "check --config bad.conf";
    assert!(!run(&tree, line).stderr.contains('\u{1b}'));
    let mut forced = command(&tree, line);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(run_with(forced, "").stderr.contains("\u{1b}[31m"));
    let mut forbidden = command(&tree, line);
    forbidden.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!run_with(forbidden, "").stderr.contains('\u{1b}'));
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let tree = host();
    let escape = "\u{1b}[2J";
    tree.write(
        "odd.conf",
        format!("[pci]\ndevice_spec = {{\"vendor_id\": \"10de\", \"rack\": \"{}\"}}\n", "\\u001b[2J"),
    );
    tree.write("bad.conf", format!("[pci]\ndevice_spec = {{\"vendor_id\": \"{escape}\"}}\n"));
    for line in [
        "check --sysfs-root . --config odd.conf",
        "pools --sysfs-root . --config odd.conf",
        "check --config bad.conf",
    ] {
        let mut command = command(&tree, line);
        command.env("CLICOLOR_FORCE", "1");
        let ran = run_with(command, "");
        assert!(!ran.stdout.contains(escape) && !ran.stderr.contains(escape), "{ran:?}");
    }
}

/// Linux shows both ways in which output fails: a reader that has gone, and a full disk.
#[test]
fn a_reader_that_leaves_is_no_failure_but_a_full_disk_is() {
    let tree = host();
    // Several times what a pipe holds.
    let vfs = tree.add_card("0000:c1:00.0", 500).len();
    let mut slow = command(&tree, "discover --sysfs-root . --json");
    let mut child = slow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut first = [0];
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut first).expect("one byte");
    drop(stdout);
    let output = child.wait_with_output().expect("the command ends");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), ""),
        "{vfs} VFs"
    );

    let mut full = command(&tree, "discover --sysfs-root . --json");
    let disk = std::fs::File::options().write(true).open("/dev/full").expect("the full device of Linux");
    let output = full.stdout(disk).stderr(Stdio::piped()).output().expect("the command ends");
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write to standard output: "));
}

#[test]
fn discover_prints_a_tree_in_which_thousands_of_vfs_are_a_line() {
    let tree = host();
    // The root ports, a switch with two ports behind one of them, and a card with VFs of two drivers.
    let bridge = |address: &str| {
        FunctionSpec::new(address).ids(0x8086, 0x3408).class(0x06_0400).driver("pcieport").numa_node(1)
    };
    tree.add(&bridge("0000:80:02.0").host_bridge("pci0000:80"));
    let behind = ["0000:80:02.0", "0000:90:00.0", "0000:91:00.0"];
    for depth in 1..3 {
        tree.add(&bridge(behind[depth]).host_bridge("pci0000:80").behind(&behind[..depth]));
    }
    let card = FunctionSpec::new("0000:92:00.0").host_bridge("pci0000:80").behind(&behind).numa_node(1);
    tree.add(&card.clone().driver("ice").sriov(4096, 4096, 0x1889).netdev("ens9", "0c:42:a1:00:00:09"));
    for index in 0..4096 {
        let driver = if index < 100 { "vfio-pci" } else { "iavf" };
        tree.add_vf("0000:92:00.0", index, &card.clone().ids(0x8086, 0x1889).driver(driver));
    }
    prints(
        &tree,
        "discover --sysfs-root . --tree",
        0,
        "\
pci0000:00
├─ 0000:00:01.0  root port  8086:3408  pcieport
│  └─ 0000:81:00.0  ethernet  15b3:1017  NUMA 0  mlx5_core  ens1f0  PF of up to 4 VFs
│        4 VFs  15b3:1018  mlx5_core  0000:81:00.1..0000:81:00.4
├─ 0000:17:00.0  3d  10de:20b0  NUMA 0  vfio-pci
└─ 0000:ca:00.0  3d  10de:20b0  NUMA 1  vfio-pci
pci0000:80
└─ 0000:80:02.0  root port  8086:3408  NUMA 1  pcieport
   └─ 0000:90:00.0  switch  8086:3408  NUMA 1  pcieport
      └─ 0000:91:00.0  switch port  8086:3408  NUMA 1  pcieport
         └─ 0000:92:00.0  ethernet  8086:1572  NUMA 1  ice  ens9  PF of up to 4096 VFs
               3996 VFs  8086:1889  iavf  0000:92:0c.5..0000:a2:00.0
               100 VFs  8086:1889  vfio-pci  0000:92:00.1..0000:92:0c.4

4108 functions: 6 PCI, 2 PF, 4100 VF; 2 NUMA nodes
",
    );
}

#[test]
fn a_function_behind_a_bridge_that_is_not_there_is_in_the_tree() {
    let tree = Tree::new();
    tree.add(&FunctionSpec::new("0000:01:00.0").ids(0x8086, 0x1572).behind(&["0000:00:01.0"]));
    prints(
        &tree,
        "discover --sysfs-root . --tree",
        0,
        "\
pci0000:00
└─ 0000:01:00.0  ethernet  8086:1572

1 function: 1 PCI; NUMA nodes unknown
",
    );
    let tree = host();
    for (form, what) in
        [("--tree", "names"), ("--format tree", "names"), ("--tree", "rules"), ("--format tree", "rules")]
    {
        let option = if what == "names" { "--names" } else { "--config nova.conf" };
        let expected =
            format!("error: the tree shows no {what}\n  = help: ask for the table, or for --json\n");
        refuses(&tree, &format!("discover --sysfs-root . {form} {option}"), &expected);
    }
}

#[test]
fn discover_gives_what_novas_tracker_expects() {
    let tree = host();
    tree.write("facts.toml", "[[device]]\naddress = \"0000:81:00.2\"\nrack = \"r7\"\n");
    let ran = run(&tree, "discover --sysfs-root . --format nova --facts facts.toml");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let devices = ran.json();
    let at = |address: &str| {
        let found = devices.as_array().and_then(|list| list.iter().find(|d| d["address"] == address));
        found.cloned().unwrap_or_else(|| panic!("no {address}"))
    };
    assert_eq!(
        at("0000:17:00.0"),
        json!({
            "dev_id": "pci_0000_17_00_0", "address": "0000:17:00.0", "product_id": "20b0", "vendor_id": "10de",
            "numa_node": 0, "label": "label_10de_20b0", "dev_type": "type-PCI",
        })
    );
    let vpd = json!({"card_serial_number": "MT2042X00001"});
    assert_eq!(
        at("0000:81:00.0"),
        json!({
            "dev_id": "pci_0000_81_00_0", "address": "0000:81:00.0", "product_id": "1017", "vendor_id": "15b3",
            "numa_node": 0, "label": "label_15b3_1017", "dev_type": "type-PF", "mac_address": "0c:42:a1:00:00:01",
            "capabilities": {"vpd": vpd},
        })
    );
    assert_eq!(
        at("0000:81:00.2"),
        json!({
            "dev_id": "pci_0000_81_00_2", "address": "0000:81:00.2", "product_id": "1018", "vendor_id": "15b3",
            "numa_node": 0, "label": "label_15b3_1018", "dev_type": "type-VF", "parent_addr": "0000:81:00.0",
            "parent_ifname": "ens1f0", "rack": "r7",
            "capabilities": {"sriov": {"pf_mac_address": "0c:42:a1:00:00:01", "vf_num": 1}, "vpd": vpd},
        })
    );
    assert_eq!(at("0000:00:01.0")["numa_node"], Value::Null);
    // What is there for Nova is there for slotwise: its own doors take the same list.
    tree.write("nova.json", &ran.stdout);
    let pools = run(&tree, "pools --config nova.conf --devices nova.json --json");
    assert_eq!((pools.code, pools.stderr.as_str()), (Some(0), ""));
    assert_eq!(pools.json().as_array().map(Vec::len), Some(3));
}

#[test]
fn facts_and_names_stand_beside_what_the_machine_says() {
    let tree = host();
    tree.write("pci.ids", "10de  NVIDIA Corporation\n\t20b0  GA100 [A100 SXM4 40GB]\n");
    tree.write("racks.toml", "[[device]]\nserial = \"MT2042X00001\"\nrack = \"r7\"\n");
    tree.write("ports.csv", "netdev,switch_port\nens1f0,leaf3/12\nens7,leaf3/13\n");
    let ran =
        run(&tree, "discover --sysfs-root . --facts racks.toml --facts ports.csv --names=pci.ids --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let devices = ran.json();
    let vf = &devices[3]["extra_info"];
    assert_eq!((&vf["rack"], &vf["switch_port"]), (&json!("r7"), &json!("leaf3/12")));
    assert_eq!(devices[1]["extra_info"]["vendor_name"], "NVIDIA Corporation");
    assert_eq!(devices[1]["extra_info"]["product_name"], "GA100 [A100 SXM4 40GB]");
    let table = run(&tree, "discover --sysfs-root . --facts racks.toml --names=pci.ids").stdout;
    assert!(table.contains("NVIDIA Corporation GA100 [A100 SXM4 40GB]"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("0000:81:00.2") && line.ends_with("rack=r7")),
        "{table}"
    );

    tree.write("firmware.json", r#"[{"address": "0000:81:00.1", "firmware": "16.35"}]"#);
    let devices =
        run(&tree, "discover --sysfs-root . --facts firmware.json --facts racks.toml --json").json();
    let pf =
        devices.as_array().and_then(|list| list.iter().find(|device| device["address"] == "0000:81:00.1"));
    let facts = &pf.expect("the function is listed")["extra_info"];
    assert_eq!((&facts["firmware"], &facts["rack"]), (&json!("16.35"), &json!("r7")));

    tree.write("others.json", r#"[{"address": "0000:81:00.1", "rack": "r8"}]"#);
    refuses(
        &tree,
        "discover --sysfs-root . --facts others.json --facts racks.toml",
        "\
error: rack of 0000:81:00.1 is \"r7\" in racks.toml[0] (line 1), but \"r8\" in others.json[0]
 --> racks.toml:1:1
  |
1 | [[device]]
  | ^
  = in: racks.toml[0].rack
  = help: leave one of the two
",
    );
    refuses(
        &tree,
        "discover --sysfs-root . --facts nova.conf",
        "error: nova.conf is named neither .toml nor .json nor .csv\n  = help: give the file the extension of its format\n",
    );
}

#[test]
fn watch_prints_what_comes_and_goes() {
    let tree = host();
    let mut command = command(&tree, "discover --sysfs-root . --watch --json");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = || -> Value {
        let line = lines.next().expect("a line").expect("UTF-8");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    };
    for _ in 0..8 {
        assert_eq!(line()["change"], "added");
    }
    tree.remove("0000:17:00.0");
    assert_eq!(line(), json!({"change": "removed", "address": "0000:17:00.0"}));
    tree.add(&FunctionSpec::new("0000:18:00.0"));
    let added = line();
    assert_eq!((&added["change"], &added["device"]["address"]), (&json!("added"), &json!("0000:18:00.0")));
    child.kill().expect("the command can be ended");
    child.wait().expect("the command ends");
    refuses(
        &tree,
        "discover --sysfs-root . --watch --format nova",
        "error: there is no such form of a change\n  = help: use --watch with --json, or by itself\n",
    );
}

// policy: the examples that `cargo xtask policies` builds.

/// The path of an example policy.
fn policy(name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let path = target.join("wasm/policies").join(name).with_extension("wasm");
    assert!(path.exists(), "{} is not there; `cargo xtask policies` builds it", path.display());
    path.display().to_string()
}

const RACKS: &str = r#"[{"name": "cool", "attributes": {"inlet_celsius": 22}}, {"name": "hot", "attributes": {"inlet_celsius": 40}}]"#;

const DEVICES: &str = r#"[{"address": "0000:01:00.0", "vendor_id": "8086", "product_id": "1572", "numa_node": 0, "dev_type": "type-PCI"}]"#;

#[test]
fn a_policy_is_inspected() {
    let tree = host();
    let ran = run_with(command(&tree, &format!("policy inspect {}", policy("avoid-hot-racks"))), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("accepted: filter, score, attributes, score_pools\n"), "{}", ran.stdout);
    tree.write("wrong.txt", "limit=1");
    let line = format!("policy inspect {} --settings wrong.txt --json", policy("avoid-hot-racks"));
    let ran = run_with(command(&tree, &line), "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.json()["accepted"], false);
    assert_eq!(ran.json()["imports"], json!([]));
    tree.write("text.wasm", "no component");
    let ran = run_with(command(&tree, "policy inspect text.wasm"), "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with("refused: this is not a WebAssembly component"), "{ran:?}");
    let ran = run_with(command(&tree, "policy inspect text.wasm --json"), "");
    assert_eq!(
        (ran.code, &ran.json()["accepted"], &ran.json()["imports"]),
        (Some(1), &json!(false), &json!(null))
    );
    let ran = run_with(command(&tree, "policy run text.wasm --hosts -"), "[]");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("text.wasm: this is not a WebAssembly component"), "{ran:?}");
}

#[test]
fn a_policy_is_asked_about_hosts() {
    let tree = host();
    let line = format!("policy run {} --hosts - --json", policy("avoid-hot-racks"));
    let ran = run_with(command(&tree, &line), RACKS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["hosts"][0], json!({"name": "cool", "passes": true, "reason": null, "score": 0.0}));
    assert_eq!(
        ran.json()["hosts"][1]["reason"],
        "policy avoid-hot-racks: the air inlet has 40 \u{b0}C, over 35 \u{b0}C"
    );
    tree.write("cold.txt", "refuse_over=1");
    let line = format!("policy run {} --hosts - --settings cold.txt", policy("avoid-hot-racks"));
    let ran = run_with(command(&tree, &line), RACKS);
    assert_eq!(ran.code, Some(1), "no host passes: {ran:?}");
    assert!(ran.stdout.ends_with("0 of 2 hosts pass\n"), "{}", ran.stdout);
    // It wants to know the project, and says so: a failure of the policy, and no bad input.
    let line = format!("policy run {} --hosts -", policy("separate-tenants"));
    let ran = run_with(command(&tree, &line), RACKS);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(ran.stderr.contains("does not name the fact project_id"), "{ran:?}");
    assert!(ran.stderr.contains("separate-tenants: warning: no switch is given"), "{ran:?}");
}

#[test]
fn a_policy_is_measured() {
    let tree = host();
    tree.write("hosts.json", RACKS);
    let line = format!("policy bench {} --hosts hosts.json --calls 3 --json", policy("avoid-hot-racks"));
    let ran = run_with(command(&tree, &line), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((&ran.json()["hosts"], &ran.json()["calls"]), (&json!(2), &json!(3)));
    let time = |of: &str, which: &str| ran.json()[of][which].as_u64().unwrap_or(0);
    assert!(time("score", "kept_ns") > 0, "{ran:?}");
    assert!(
        time("code", "compiled_ns") > time("code", "cached_ns") && time("code", "cached_ns") > 0,
        "{ran:?}"
    );
    assert!(time("load", "compiled_ns") > time("code", "compiled_ns"), "{ran:?}");
    tree.write("devices.json", DEVICES);
    let line =
        format!("policy bench {} --devices devices.json --calls 3 --json", policy("narrow-links-last"));
    let ran = run_with(command(&tree, &line), "");
    assert_eq!((ran.code, &ran.json()["devices"], &ran.json()["filter"]), (Some(0), &json!(1), &json!(null)));
    assert!(ran.json()["prefer"]["kept_ns"].as_u64().unwrap_or(0) > 0, "{ran:?}");
}

#[test]
fn a_policy_is_asked_only_about_what_it_answers() {
    let tree = host();
    tree.write("hosts.json", RACKS);
    tree.write("devices.json", DEVICES);
    for (name, what) in
        [("narrow-links-last", "--hosts hosts.json"), ("avoid-hot-racks", "--devices devices.json")]
    {
        for command_name in ["run", "bench"] {
            let line = format!("policy {command_name} {} {what}", policy(name));
            let ran = run_with(command(&tree, &line), "");
            assert_eq!(ran.code, Some(2), "{ran:?}");
            assert!(ran.stderr.contains("the policy says nothing about"), "{ran:?}");
        }
    }
    let ran = run_with(command(&tree, &format!("policy bench {}", policy("narrow-links-last"))), "");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn limits_of_a_policy_are_options() {
    let tree = host();
    let inspect = |limit: &str| {
        let line = format!("policy inspect {} {limit}", policy("avoid-hot-racks"));
        run_with(command(&tree, &line), "")
    };
    assert_eq!(inspect("--table 20000 --instances 3").code, Some(0));
    let ran = inspect("--table 0");
    assert_eq!(ran.code, Some(1), "its functions need a table: {ran:?}");
    let ran = inspect("--instances 0");
    assert_eq!(ran.code, Some(2), "the option is wrong, not the policy: {ran:?}");
    assert!(ran.stderr.contains("instances"), "{ran:?}");
    // It fails without the fact that it wants; open, it has no say.
    let run = |more: &str| {
        let line = format!("policy run {} --hosts - {more}", policy("separate-tenants"));
        run_with(command(&tree, &line), RACKS)
    };
    for (more, code) in
        [("", 5), ("--on-failure closed", 5), ("--on-failure open", 0), ("--on-failure drop-after=1", 5)]
    {
        let ran = run(more);
        assert_eq!(ran.code, Some(code), "{more}: {ran:?}");
    }
    for wrong in ["never", "drop-after=0", "drop-after="] {
        assert_eq!(run(&format!("--on-failure {wrong}")).code, Some(2), "{wrong}");
    }
}
