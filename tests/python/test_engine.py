"""The way of the data through the Python door, and what each class promises."""

import contextlib
import copy
import io
import json
import os
import pathlib
import pickle
import re
import tempfile
import unittest

import slotwise
from common import NIC, PF_A, RULES, TOPOLOGY, VFS_A, devices


def host(**options):
    tracker = slotwise.Tracker(RULES, numa_topology=TOPOLOGY, **options)
    tracker.sync(devices())
    tracker.written()
    return tracker


class Flow(unittest.TestCase):
    def test_what_is_known_when_the_budget_runs_out(self):
        tracker = slotwise.Tracker([{"vendor_id": "8086"}])
        names = {"0000:01:00.0": "1111", "0000:02:00.0": "2222", "0000:03:00.0": "3333"}
        tracker.sync([{"address": a, "vendor_id": "8086", "product_id": product} for a, product in names.items()])
        pair = {"count": 2, "alternatives": [{"product_id": "1111"}, {"product_id": "2222"}]}
        requests = [{"alternatives": [{}]}, pair]
        undecided, short, whole = (tracker.fit(requests, budget=budget) for budget in (0, 1, 1000))
        self.assertEqual([fit.outcome for fit in (undecided, short, whole)], ["undecided", "fits", "fits"])
        self.assertEqual([fit.cut_short for fit in (undecided, short, whole)], [False, True, False])
        self.assertIn("before anything better was ruled out", str(short))
        self.assertTrue(slotwise.Fit.from_dict(short.to_dict()).cut_short)
        tracker.claim_fit("vm", short, requests)
        self.assertFalse(tracker.fit(requests))

    def test_from_rules_to_changes(self):
        tracker = slotwise.Tracker(slotwise.DeviceSpecs(RULES))
        report = tracker.sync(devices())
        self.assertEqual(len(report["added"]), 6)
        self.assertEqual({change["action"] for change in tracker.changes()}, {"insert"})
        tracker.written()
        self.assertEqual(tracker.changes(), [])
        before = tracker.version
        self.assertEqual(tracker.sync(devices())["updated"], [])
        self.assertEqual(tracker.version, before)

        fit = tracker.claim("vm", [slotwise.Request(NIC[0]["alternatives"], 2, request_id="r", requester_id="port")])
        self.assertTrue(fit)
        self.assertEqual(len(fit.devices), 2)
        self.assertEqual([binding["pci_slot"] for binding in tracker.bindings(requester_id="port")], fit.devices)
        self.assertEqual(tracker.bindings(owner="other"), [])
        changed = {change["address"]: change["fields"] for change in tracker.changes()}
        self.assertEqual(changed[fit.devices[0]]["owner"], {"old": None, "new": "vm"})
        some = [change for change in tracker.changes() if change["address"] in fit.devices]
        tracker.written(some)
        self.assertEqual(len(tracker.changes()), len(changed) - 2)

        self.assertEqual(tracker.allocate("vm"), sorted(fit.devices))
        tracker.free_device("vm", fit.devices[0])
        self.assertEqual(tracker.free("vm"), fit.devices[1:])
        self.assertEqual(tracker.free("vm", "claims"), [])
        self.assertTrue(tracker.claim("gone", NIC))
        self.assertEqual(len(tracker.retain_owners(["vm"])), 1)
        tracker.written()
        self.assertEqual({row["status"] for row in tracker.devices}, {"available"})

    def test_a_no_has_reasons(self):
        fit = host().fit([{"count": 5, **NIC[0]}])
        self.assertFalse(fit)
        self.assertEqual((fit.outcome, fit.assignment, fit.devices, fit.conflict), ("no_fit", None, [], [0]))
        self.assertEqual(fit.reasons[0]["wanted"], 5)
        self.assertEqual(str(fit), fit.to_dict()["message"])
        self.assertIn(str(fit), repr(fit))

    def test_rows_load_where_they_were_left(self):
        tracker = host()
        tracker.claim("vm", NIC)
        again = slotwise.Tracker.load(RULES, tracker.devices, numa_topology=TOPOLOGY)
        self.assertEqual(again.devices, tracker.devices)
        self.assertEqual(again.options, tracker.options)
        self.assertEqual(again.device(VFS_A[0]), again.devices[1])
        self.assertIsNone(again.device("0000:99:00.0"))
        self.assertEqual(again.changes(), [])

    def test_replaced_rules_are_tried_first(self):
        tracker = host()
        rules = [{"vendor_id": "15b3", "physical_network": "red"}]
        diff = tracker.replace_specs(rules, dry_run=True)
        self.assertEqual(len(diff["retagged"]), 6)
        self.assertEqual(tracker.specs, slotwise.DeviceSpecs(RULES))
        self.assertEqual(tracker.replace_specs(slotwise.DeviceSpecs(rules)), diff)
        self.assertEqual(tracker.specs.rules, slotwise.DeviceSpecs(rules).rules)

    def test_specs_explain(self):
        specs = slotwise.DeviceSpecs([{"vendor_id": "8086"}, *RULES])
        self.assertEqual(len(specs), 2)
        self.assertEqual(specs.matching(devices()[0]), (1, {"physical_network": "blue"}))
        self.assertIsNone(specs.matching({**devices()[0], "vendor_id": "1af4"}))
        verdicts = specs.explain(devices()[0])
        self.assertTrue(verdicts["assignable"])
        self.assertEqual([verdict["matches"] for verdict in verdicts["rules"]], [False, True])
        tracker = slotwise.Tracker(specs)
        tracker.sync(devices())
        self.assertEqual(tracker.explain(PF_A)["rule"], 1)

    def test_groups(self):
        tracker = host()
        tracker.claim("vm", NIC)
        by_type = {group["values"]["dev_type"]: group for group in tracker.group_by(["dev_type"])}
        self.assertEqual((by_type["type-VF"]["total"], by_type["type-VF"]["free"]), (4, 3))
        by_type = {group["values"]["dev_type"]: group["free"] for group in tracker.pools.group_by(["dev_type"])}
        self.assertEqual(by_type["type-VF"], 3)

    def test_aliases_live(self):
        aliases = slotwise.Aliases([{"name": "nic", "vendor_id": "15b3", "product_id": "1018"}])
        created = aliases.create('{"name": "gpu", "vendor_id": "10de", "product_id": "25b6"}')
        self.assertEqual(created["name"], "gpu")
        requests = aliases.requests("nic:2,gpu:1", numa_policy="preferred", request_ids=["a", "b"])
        self.assertEqual([(r.count, r.request_id, r.alias_name) for r in requests], [(2, "a", "nic"), (1, "b", "gpu")])
        self.assertEqual({r.numa_policy for r in requests}, {"preferred"})
        aliases.update([{"name": "gpu", "vendor_id": "10de", "product_id": "25b7"}])
        self.assertEqual(aliases.delete("gpu")["alternatives"], [{"vendor_id": "10de", "product_id": "25b7"}])
        self.assertEqual([alias["name"] for alias in aliases.list()], ["nic"])
        self.assertEqual(len(aliases), 1)
        with self.assertRaises(slotwise.InvalidArgumentError):
            aliases.requests("nic:1", request_ids=["a", "b"])

    def test_configuration_text_and_file(self):
        text = '[pci]\ndevice_spec = {"vendor_id": "15b3"}\nalias = {"name": "n", "vendor_id": "15b3", "product_id": "1018"}\n'
        config = slotwise.Config.parse(text)
        self.assertEqual(config.device_specs.rules[0]["vendor_id"], "15b3")
        self.assertEqual((len(config.aliases), config.report_in_placement, config.pci_in_placement), (1, False, False))
        self.assertIsInstance(config.warnings, list)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "nova.conf")
            path.write_text(text)
            self.assertEqual(slotwise.Config.read(path).aliases, config.aliases)
            path = pathlib.Path(folder, "slotwise.toml")
            path.write_text('[[pci.device_spec]]\nvendor_id = "15b3"\n')
            self.assertEqual(slotwise.Config.read(str(path)).device_specs, config.device_specs)
            path.write_bytes(b"\xff")
            with self.assertRaises(slotwise.InvalidUtf8Error):
                slotwise.Config.read(path)
            with self.assertRaises(FileNotFoundError):
                slotwise.Config.read(os.path.join(folder, "none"))
        with self.assertRaises(slotwise.InvalidSpecError) as caught:
            slotwise.Config.parse('[pci]\n\ndevice_spec = {"vendor_id": "xyz"}\n')
        self.assertEqual(caught.exception.line, 3)
        with self.assertRaises(slotwise.InvalidArgumentError):
            slotwise.Config.parse(text, "yaml")


class Values(unittest.TestCase):
    def test_pools_are_a_sequence_that_is_used_up(self):
        pools = slotwise.Pools([{"vendor_id": "8086", "product_id": "1520", "numa_node": None, "count": 3}], TOPOLOGY)
        self.assertEqual((len(pools), pools.free, pools.numa_topology), (1, 3, TOPOLOGY))
        self.assertEqual([pools[0], pools[-1], pools[:][0]], 3 * pools.to_list())
        with self.assertRaises(IndexError):
            pools[1]
        workload = slotwise.Workload([{"count": 2, "alternatives": [{"vendor_id": "8086"}]}])
        fit = pools.fit(workload)
        pools.consume(fit)
        self.assertEqual(pools.free, 1)
        no = pools.fit(workload)
        self.assertFalse(no)
        with self.assertRaises(slotwise.InvalidArgumentError):
            pools.consume(no)
        with self.assertRaises(slotwise.SlotwiseError):
            pools.consume(fit.assignment)
        self.assertEqual(pools.free, 1)
        self.assertEqual(len(slotwise.Pools(None)), 0)

    def test_many_hosts_in_one_call(self):
        hosts = {
            name: slotwise.Pools([{"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": count}])
            for name, count in (("full", 4), ("poor", 1))
        }
        answers = slotwise.filter_hosts(hosts, [{"count": 2, "alternatives": [{"vendor_id": "8086"}]}])
        self.assertEqual({name: bool(fit) for name, fit in answers.items()}, {"full": True, "poor": False})

    def test_requests_are_values(self):
        request = slotwise.Request([{"vendor_id": "15b3"}], 2, request_id="r", numa_policy="socket")
        self.assertEqual(request, slotwise.Request.from_dict(request.to_dict()))
        self.assertEqual(hash(request), hash(slotwise.Request.from_dict(json.dumps(request.to_dict()))))
        self.assertEqual(eval(repr(request), {"Request": slotwise.Request}), request)
        other = request.replace(count=3)
        self.assertNotEqual(other, request)
        self.assertEqual((other.count, other.request_id, other.numa_policy), (3, "r", "socket"))
        self.assertEqual((request.source, request.alternatives), ("flavor", [{"vendor_id": "15b3"}]))
        fallback = {"count": 1, "alternatives": [{"vendor_id": "10de"}]}
        many = request.replace(otherwise=[fallback], isolate=True, same=["a"], distinct=["b"], prefer_same=["c"])
        self.assertEqual((many.otherwise, many.isolate, many.same), ([fallback], True, ["a"]))
        self.assertEqual((many.distinct, many.prefer_same), (["b"], ["c"]))
        with self.assertRaises(slotwise.SlotwiseError):
            request.replace(colour="red")
        with self.assertRaises(AttributeError):
            request.count = 7

    def test_a_document_may_be_values_text_or_a_workload(self):
        tracker = host()
        document = {"requests": NIC, "numa_cells": [1], "strategy": "nova"}
        text = json.dumps(document)
        workload = slotwise.Workload(**document)
        fits = [tracker.fit(**document), tracker.fit(text), tracker.fit(text.encode()), tracker.fit(workload)]
        self.assertEqual(fits, 4 * fits[:1])
        self.assertEqual(slotwise.Workload.from_dict(workload.to_dict()), workload)
        self.assertEqual(workload.requests, [slotwise.Request.from_dict(NIC[0])])
        for whole in (text, workload):
            with self.assertRaises(slotwise.InvalidArgumentError):
                tracker.fit(whole, strategy="exact")

    def test_pickle_copy_and_deepcopy(self):
        tracker = host()
        fit = tracker.claim("vm", NIC)
        aliases = slotwise.Aliases(
            [{"name": "n", "vendor_id": "15b3", "product_id": "1018", "device_type": "type-VF", "numa_policy": "required"}]
        )
        values = [
            tracker, tracker.pools, tracker.specs, fit, aliases, slotwise.Workload(NIC, strategy="nova"),
            slotwise.Request(NIC[0]["alternatives"]), slotwise.DeviceSpecs(RULES, report_in_placement=True),
        ]  # fmt: skip
        for value in values:
            for made in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
                with self.subTest(value):
                    self.assertEqual(made, value)
                    self.assertIs(type(made), type(value))
        twin = copy.deepcopy(tracker)
        twin.free("vm")
        self.assertNotEqual(twin, tracker)
        self.assertEqual(len(tracker.bindings()), 1)

    def test_snapshots(self):
        tracker = host()
        tracker.claim("vm", NIC)
        self.assertEqual(slotwise.Tracker.from_snapshot(tracker.snapshot()), tracker)
        self.assertEqual(slotwise.Tracker.from_snapshot_json(tracker.snapshot_json()), tracker)
        broken = bytearray(tracker.snapshot())
        broken[-1] ^= 1
        with self.assertRaises(slotwise.InvalidSnapshotError):
            slotwise.Tracker.from_snapshot(bytes(broken))

    def test_equality_with_other_things(self):
        for value in (slotwise.DeviceSpecs(RULES), slotwise.Pools(None), host(), slotwise.Aliases([])):
            self.assertEqual(value, value)
            self.assertNotEqual(value, 1)
            with self.assertRaises(TypeError):
                hash(value)


class Documentation(unittest.TestCase):
    def test_program_in_the_readme(self):
        readme = pathlib.Path(__file__).parents[2] / "python" / "README.md"
        _, program, _ = re.split(r"^```(?:python)?$", readme.read_text(), flags=re.MULTILINE)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(program, readme, "exec"), {})
        self.assertIn("fit", output.getvalue())


class Machine(unittest.TestCase):
    def test_discovers_what_sysfs_lists(self):
        root = "/sys/bus/pci/devices"
        listed = sorted(os.listdir(root)) if os.path.isdir(root) else []
        found = slotwise.discover()
        self.assertEqual(sorted(device["address"] for device in found), listed)
        tracker = slotwise.Tracker([{}], numa_topology=slotwise.numa_topology())
        tracker.sync(found)

    def test_refuses_what_is_no_sysfs(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(slotwise.InvalidArgumentError):
                slotwise.discover(os.path.join(folder, "none"))


if __name__ == "__main__":
    unittest.main()
