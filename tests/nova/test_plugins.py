"""The filter and the weigher in Nova's own scheduler, beside Nova's."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import sys
import unittest
from typing import Any
from unittest import mock

import generate
import plain
from nova import objects
from nova.scheduler import host_manager, weights
from nova.scheduler.filters import pci_passthrough_filter as nova_filter
from nova.scheduler.weights import pci as nova_weigher

import slotwise.nova
from slotwise._native import NovaHosts


def host_state(name: str, rows: list[dict[str, Any]] | None, mappings: list[Any] | None = None) -> Any:
    state = host_manager.HostState(name, name, None)
    state.pci_stats = None if rows is None else plain.pci_stats(rows)
    state.allocation_candidates = [{"mappings": mapping} for mapping in (mappings or [{}])]
    return state


def request_spec(requests: list[dict[str, Any]], **fields: Any) -> Any:
    asked = objects.InstancePCIRequests(requests=plain.pci_requests(requests))
    return objects.RequestSpec(pci_requests=asked, **fields)


def request(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "request_id": "6a991c1c-c42d-a4f2-1170-2633224fca80",
        "alias_name": "a",
        "count": 1,
        "alternatives": [{"product_id": "1111"}],
        "numa_policy": None,
    }
    return {**whole, **fields}


def pool(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "vendor_id": "8086",
        "product_id": "1111",
        "numa_node": 0,
        "count": 1,
        "dev_type": "type-PCI",
        "address": "0000:81:00.0",
    }
    return {**whole, **fields}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(plain.set_strategy, None)
        self.filter = slotwise.nova.PciPassthroughFilter()

    def passing(self, hosts: list[Any], spec: Any) -> list[str]:
        return [host.host for host in self.filter.filter_all(iter(hosts), spec)]


class Filter(Case):
    def test_one_call_for_all_hosts(self) -> None:
        hosts = [host_state(f"h{i}", [pool(count=i)], [{"": [f"node-{i}"]}]) for i in range(1, 6)]
        names = self.passing(hosts, request_spec([request(count=3)]))
        self.assertEqual(names, ["h3", "h4", "h5"])
        self.assertEqual([len(host.allocation_candidates) for host in hosts], [0, 0, 1, 1, 1])

    def test_no_request_passes_every_host(self) -> None:
        hosts = [host_state("h", None)]
        self.assertEqual(self.passing(hosts, objects.RequestSpec(pci_requests=None)), ["h"])
        self.assertEqual(self.passing(hosts, request_spec([])), ["h"])

    def test_rebuild_passes_every_host(self) -> None:
        spec = request_spec([request()], scheduler_hints={"_nova_check_type": ["rebuild"]})
        self.assertEqual(self.passing([host_state("h", [])], spec), ["h"])

    def test_hosts_without_devices_or_candidates_do_not_pass(self) -> None:
        spec = request_spec([request()])
        without = host_state("c", [pool()])
        without.allocation_candidates = []
        self.assertEqual(self.passing([host_state("a", None), host_state("b", []), without], spec), [])

    def test_single_host_as_nova_asks(self) -> None:
        spec = request_spec([request()])
        self.assertTrue(self.filter.host_passes(host_state("a", [pool()]), spec))
        self.assertFalse(self.filter.host_passes(host_state("a", []), spec))

    def test_candidates_are_narrowed_as_nova_does(self) -> None:
        """Random hosts with several candidates each: the same hosts, and of each the same candidates in order."""
        plain.set_strategy("nova")
        theirs = nova_filter.PciPassthroughFilter()
        hosts = narrowed = 0
        with plain.quiet():
            for seed in range(400):
                case = generate.fit_case(seed)
                mappings = []
                for other in range(6):
                    rng = generate.random.Random(f"{seed}-{other}")
                    providers = [row["rp_uuid"] for row in case["pools"] if "rp_uuid" in row] or ["none"]
                    mappings.append(generate.mapping(rng, case["workload"]["requests"], providers) or {})
                ours = host_state("h", case["pools"], mappings)
                nova = copy.deepcopy(ours)
                spec = request_spec(case["workload"]["requests"])
                passes = list(theirs.filter_all([nova], spec))
                self.assertEqual(len(self.filter.filter_all([ours], spec)), len(passes), seed)
                self.assertEqual(ours.allocation_candidates, nova.allocation_candidates, seed)
                # With the drop-in, Nova's own filter does the same, with pools that nobody has looked at or with rows.
                for unread in (True, False):
                    slotwise.nova.activate()
                    dropped = host_state("h", case["pools"], mappings)
                    try:
                        self.assertTrue(unread or dropped.pci_stats.pools)
                        again = list(theirs.filter_all([dropped], spec)), self.filter.filter_all([copy.copy(dropped)], spec)
                    finally:
                        slotwise.nova.deactivate()
                    self.assertEqual([len(one) for one in again], [len(passes)] * 2, seed)
                    self.assertEqual(dropped.allocation_candidates, nova.allocation_candidates, seed)
                hosts += len(passes)
                narrowed += 0 < len(nova.allocation_candidates) < len(mappings)
        self.assertGreater(hosts, 20)
        self.assertGreater(narrowed, 10)

    def test_strategy_exact_is_the_default(self) -> None:
        """W01: the first request must leave the 1111 to the second."""
        rows = [pool(), pool(product_id="2222", address="0000:82:00.0")]
        either = request(alternatives=[{"product_id": "1111"}, {"product_id": "2222"}])
        second = request(request_id="36fd1e02-f86c-b449-abc8-fed66bfb856f")
        spec = request_spec([either, second])
        self.assertEqual(self.passing([host_state("h", rows)], spec), ["h"])
        plain.set_strategy("nova")
        self.assertEqual(self.passing([host_state("h", rows)], spec), [])

    def test_pools_are_read_once_while_they_are_the_same(self) -> None:
        hosts, spec = NovaHosts(), request_spec([request()])
        rows = [pool(rack="a", numa_node=None), pool(address="0000:82:00.0")]
        first = hosts.host(host_state("h", rows))
        # Nova makes new objects of the same content for each request; texts and keys are others, too.
        again = json.loads(json.dumps(rows))
        self.assertIs(hosts.host(host_state("h", again)), first)
        self.assertEqual(self.passing([host_state("h", rows)], spec), ["h"])
        for name, value in (("count", 2), ("numa_node", 1), ("rack", "b"), ("rack", None), ("address", "x")):
            self.assertIsNot(hosts.host(host_state("h", [{**rows[0], name: value}, rows[1]])), first, (name, value))
            self.assertIsNot(hosts.host(host_state("h", rows)), first)
            first = hosts.host(host_state("h", rows))
        for other in (rows[:1], [*rows, pool()], [{**rows[0], "more": "x"}, rows[1]], []):
            self.assertIsNot(hosts.host(host_state("h", other)), first)
            first = hosts.host(host_state("h", rows))
        self.assertIsNot(hosts.host(host_state("other", rows)), first)

    def test_what_is_consumed_in_the_meantime_is_seen(self) -> None:
        """Whatever Nova does in place after it has chosen a host for one of several instances; nothing is answered as before."""
        spec = request_spec([request()])
        hosts = [host_state(name, [pool(count=2), pool(product_id="2222")]) for name in ("a", "b")]
        for left in (["a", "b"], ["a", "b"], ["b"]):
            self.assertEqual(self.passing(hosts, spec), left)
            if len(hosts[0].pci_stats.pools) > 1:
                hosts[0].pci_stats.apply_requests(plain.pci_requests([request()]), {})
            for host in hosts:
                host.allocation_candidates = [{"mappings": {}}]
        # Each field that an answer depends on, changed in a row that has been seen.
        for change in ({"count": 0}, {"product_id": "2222"}, {"dev_type": "type-PF"}, {"dev_type": "vdpa"}):
            state = host_state("c", [pool()])
            self.assertEqual(self.passing([state], spec), ["c"])
            state.pci_stats.pools[0].update(change)
            self.assertEqual(self.passing([state], spec), [], change)

    def test_candidates_of_one_name_are_told_apart(self) -> None:
        """Mappings are asked about once for what they give to each request, and not for what they are called."""
        rows = [pool(count=2, rp_uuid="rp-a"), pool(rp_uuid="rp-b", address="0000:82:00.0")]
        ids = ["6a991c1c-c42d-a4f2-1170-00000000000a", "6a991c1c-c42d-a4f2-1170-00000000000b"]

        def mapping(first: str, second: str) -> dict[str, list[str]]:
            return {"": ["node"], f"{ids[0]}-0": [first], f"{ids[1]}-0": [second]}

        both = [("rp-a", "rp-a"), ("rp-a", "rp-b"), ("rp-b", "rp-a"), ("rp-b", "rp-b"), ("rp-a", "rp-c")]
        mappings: list[Any] = [mapping(*one) for one in both]
        for strategy in ("exact", "nova"):
            plain.set_strategy(strategy)
            state = host_state("h", rows, mappings)
            self.passing([state], request_spec([request(request_id=one) for one in ids]))
            self.assertEqual([c["mappings"] for c in state.allocation_candidates], mappings[:3], strategy)
            # A request of a port is not bound, and neither is one whose groups are not in the mapping.
            state = host_state("h", rows, [{"": ["rp-c"]}, {f"{ids[0]}-0": ["rp-c"]}])
            port = request(request_id=ids[0], alias_name=None)
            self.assertEqual(self.passing([state], request_spec([port])), ["h"])
            self.assertEqual(len(state.allocation_candidates), 2)

    def test_a_broken_row_costs_one_host_and_leaves_a_line(self) -> None:
        for broken in ({"count": "many"}, {"count": -1}, {"vendor_id": None}, {"numa_node": "x"}):
            bad = host_state("bad", [pool()])
            bad.pci_stats.pools[0].update(broken)
            hosts = [host_state("a", [pool()]), bad, host_state("b", [pool()])]
            with self.assertLogs("slotwise.nova.hosts", "ERROR") as logged:
                self.assertEqual(self.passing(hosts, request_spec([request()])), ["a", "b"], broken)
            self.assertIn("bad", logged.output[0])

    def test_a_request_that_is_not_valid_fails_the_call(self) -> None:
        with self.assertRaises(slotwise.SlotwiseError):
            self.passing([host_state("h", [pool()])], request_spec([request(count=0)]))
        self.assertEqual(self.passing([host_state("h", [pool()])], request_spec([request()])), ["h"])


class PolicyCase(Case):
    """What tests of policies share."""

    FOLDER = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "wasm" / "policies"

    def configure(self, *entries: str) -> None:
        plain.CONF.set_override("policies", list(entries), group="slotwise")
        self.addCleanup(plain.CONF.clear_override, "policies", "slotwise")

    def entry(self, **more: Any) -> str:
        path = str(self.FOLDER.resolve() / "separate-tenants.wasm")
        return json.dumps({"path": path, "configuration": "leaf-1 = payroll", **more})

    def hosts(self) -> list[Any]:
        hosts = [host_state(name, [pool()]) for name in ("a", "b", "c")]
        for host, switch in zip(hosts, ("leaf-1", "leaf-2")):
            host.aggregates = [objects.Aggregate(metadata={"switch": switch})]
        return hosts


class Policies(PolicyCase):
    """The operator's policies in the filter, by configuration."""

    def test_a_policy_refuses_hosts_by_project_and_aggregate(self) -> None:
        self.configure(self.entry())
        for project, names in (("payroll", ["a"]), ("web", ["b", "c"])):
            spec = request_spec([request()], project_id=project)
            self.assertEqual(self.passing(self.hosts(), spec), names)

    def test_a_policy_that_fails_lets_nothing_pass_unless_it_may(self) -> None:
        spec = request_spec([request()])
        self.configure(self.entry())
        with self.assertLogs("slotwise", "ERROR"):
            self.assertEqual(self.passing(self.hosts(), spec), [])
        self.configure(self.entry(on_failure="open"))
        with self.assertLogs("slotwise", "ERROR"):
            self.assertEqual(self.passing(self.hosts(), spec), ["a", "b", "c"])

    def test_a_policy_that_cannot_be_loaded_is_an_error(self) -> None:
        self.configure("/no/such/policy.wasm")
        with self.assertRaises(slotwise.InvalidPolicyError):
            self.passing(self.hosts(), request_spec([request()]))


class PolicyWeigher(PolicyCase):
    """The operator's policies as a weigher."""

    def racks(self, **more: Any) -> str:
        path = str(self.FOLDER.resolve() / "avoid-hot-racks.wasm")
        return json.dumps({"path": path, "configuration": "prefer_below=20", **more})

    def weighed(self, spec: Any) -> dict[str, float]:
        hosts = [host_state(name, [pool()]) for name in ("a", "b", "c")]
        hosts.append(host_state("d", None))
        for host, celsius in zip(hosts, ("30", "20", "25", "30")):
            host.aggregates = [objects.Aggregate(metadata={"inlet_celsius": celsius})]
        handler = weights.HostWeightHandler()
        weighed = handler.get_weighed_objects([slotwise.nova.PolicyWeigher()], hosts, spec)
        return {one.obj.host: round(one.weight, 2) for one in weighed}

    def test_hosts_are_weighed_by_scores(self) -> None:
        spec = request_spec([request()])
        self.assertEqual(self.weighed(spec), {"a": 0, "b": 0, "c": 0, "d": 0})
        # A policy that filters only weighs nothing.
        self.configure(self.racks(), self.entry())
        # A degree is a point less, and a free device a hundredth more.
        self.assertEqual(self.weighed(spec), {"b": 1.0, "c": 0.5, "a": 0.0, "d": 0.0})
        plain.CONF.set_override("policy_weight_multiplier", -2.0, group="slotwise")
        self.addCleanup(plain.CONF.clear_override, "policy_weight_multiplier", "slotwise")
        self.assertEqual(self.weighed(spec), {"d": -0.0, "a": -0.0, "c": -1.0, "b": -2.0})
        self.assertEqual(list(self.weighed(objects.RequestSpec(pci_requests=None)).values()), [0, 0, 0, 0])

    def test_each_policy_has_its_own_scale(self) -> None:
        self.configure(self.racks(), self.racks(configuration="prefer_below=29"))
        # One is as hot as the other, and has a free device more.
        self.assertEqual(self.weighed(request_spec([request()])), {"b": 1.0, "c": 0.75, "a": 0.01, "d": 0.0})

    def test_a_failure_fails_the_request_unless_it_may(self) -> None:
        spec = request_spec([request()])
        # Not even one number may be handed back.
        self.configure(self.racks(limits={"result": 4}))
        with self.assertLogs("slotwise", "ERROR"), self.assertRaises(slotwise.PolicyFailedError):
            self.weighed(spec)
        self.configure(self.racks(limits={"result": 4}, on_failure="open"))
        with self.assertLogs("slotwise", "ERROR"):
            self.assertEqual(set(self.weighed(spec).values()), {0})


class Weigher(Case):
    def test_the_same_weights(self) -> None:
        ours, theirs = slotwise.nova.PCIWeigher(), nova_weigher.PCIWeigher()
        for rows in (None, [], [pool(count=3)], [pool(count=60), pool(count=70)]):
            state = host_state("h", rows)
            self.assertEqual(ours._weigh_object(state, None), theirs._weigh_object(state, None))
        state.aggregates = []
        self.assertEqual(ours.weight_multiplier(state), theirs.weight_multiplier(state))

    def test_a_broken_row_weighs_nothing(self) -> None:
        state = host_state("h", [pool()])
        del state.pci_stats.pools[0]["count"]
        with self.assertLogs("slotwise.nova.hosts", "ERROR"):
            self.assertEqual(slotwise.nova.PCIWeigher()._weigh_object(state, None), nova_weigher.MAX_DEVS)

    def test_all_weighers_replaces_one(self) -> None:
        names = [weigher.__name__ for weigher in slotwise.nova.all_weighers()]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn(slotwise.nova.PCIWeigher, slotwise.nova.all_weighers())
        self.assertNotIn(nova_weigher.PCIWeigher, slotwise.nova.all_weighers())


class Loading(Case):
    def test_nova_loads_them_from_its_configuration(self) -> None:
        group = "filter_scheduler"
        available = ["nova.scheduler.filters.all_filters", "slotwise.nova.PciPassthroughFilter"]
        plain.CONF.set_override("available_filters", available, group=group)
        plain.CONF.set_override("enabled_filters", ["ComputeFilter", "PciPassthroughFilter"], group=group)
        plain.CONF.set_override("weight_classes", ["slotwise.nova.all_weighers"], group=group)
        for option in ("available_filters", "enabled_filters", "weight_classes"):
            self.addCleanup(plain.CONF.clear_override, option, group)
        plain.CONF.set_override("track_instance_changes", False, group=group)
        self.addCleanup(plain.CONF.clear_override, "track_instance_changes", group)
        database = mock.patch.multiple(
            host_manager.HostManager, refresh_cells_caches=mock.DEFAULT, _init_aggregates=mock.DEFAULT
        )
        with database:
            manager = host_manager.HostManager()
        self.assertIsInstance(manager.enabled_filters[1], slotwise.nova.PciPassthroughFilter)
        self.assertIn(slotwise.nova.PCIWeigher, [type(weigher) for weigher in manager.weighers])

    def test_another_nova_is_refused(self) -> None:
        for version in ("33.1.0", "35.0.0", "340.0"):
            with mock.patch("importlib.metadata.version", return_value=version):
                with self.assertRaisesRegex(slotwise.nova.UnsupportedNovaError, f"nova {version}"):
                    slotwise.nova.PciPassthroughFilter  # noqa: B018

    def test_an_unknown_name(self) -> None:
        with self.assertRaises(AttributeError):
            slotwise.nova.Filter  # noqa: B018

    def test_slotwise_alone_imports_no_nova(self) -> None:
        code = "import sys, slotwise, slotwise.nova; sys.exit(any(m.split('.')[0] == 'nova' for m in sys.modules))"
        self.assertEqual(subprocess.run([sys.executable, "-c", code]).returncode, 0)


if __name__ == "__main__":
    unittest.main()
