"""The entries of PARITY.md that need Nova: what it answers, and what slotwise answers."""

from __future__ import annotations

import json
import unittest
from typing import Any

import plain
from nova import exception
from nova.pci import whitelist

import slotwise

OWNERS = [f"6a991c1c-c42d-a4f2-1170-{i:012d}" for i in range(4)]
CELLS = {"cells": [{"id": 0, "socket": 0}]}


def request(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "request_id": "36fd1e02-f86c-b449-abc8-fed66bfb856f",
        "alias_name": "a",
        "source": "flavor",
        "count": 1,
        "alternatives": [{"vendor_id": "8086"}],
        "numa_policy": None,
    }
    return {**whole, **fields}


def case(asked: dict[str, Any], mapping: dict[str, list[str]] | None = None) -> dict[str, Any]:
    row = {
        "vendor_id": "8086",
        "product_id": "1111",
        "numa_node": 0,
        "count": 4,
        "dev_type": "type-PCI",
        "address": "0000:81:00.0",
        "rp_uuid": "rp",
    }
    workload = {"requests": [asked], "numa_cells": None, "provider_mapping": mapping}
    return {"pools": [row], "numa_topology": CELLS, "workload": workload}


def device(address: str, kind: str, parent: str | None = None) -> dict[str, Any]:
    ids = {"vendor_id": "8086", "product_id": "1111", "numa_node": 0}
    return {"address": address, "dev_type": kind, "parent_addr": parent, **ids}


class Parity(unittest.TestCase):
    def ours(self, document: dict[str, Any], strategy: str = "nova") -> slotwise.Fit:
        workload = slotwise.Workload.from_dict({**document["workload"], "strategy": strategy})
        return slotwise.Pools(document["pools"], document["numa_topology"]).fit(workload)

    def nova(self, document: dict[str, Any]) -> bool:
        with plain.quiet():
            return plain.supports(document)

    def test_p01_a_host_without_devices(self) -> None:
        nova = plain.Tracker([{"vendor_id": "8086"}], CELLS)
        nova.sync([])
        self.assertEqual(nova.claim(OWNERS[0], {"requests": [request()], "numa_cells": None}), [])
        for strategy in ("nova", "exact"):
            ours = slotwise.Tracker([{"vendor_id": "8086"}])
            asked = slotwise.Workload.from_dict({"requests": [request()], "strategy": strategy})
            self.assertEqual(ours.claim(OWNERS[0], asked).outcome, "no_fit")

    def test_p02_the_state_of_a_pf(self) -> None:
        pf = "0000:81:00.0"
        found = [device(pf, "type-PF"), *(device(f"0000:81:10.{i}", "type-VF", pf) for i in range(3))]
        nova: Any = plain.Tracker([{"vendor_id": "8086"}], CELLS)
        ours: Any = slotwise.Tracker([{"vendor_id": "8086"}], numa_topology=CELLS)
        nova.sync(found)
        ours.sync(found)
        one = {"requests": [request(alternatives=[{"dev_type": "type-VF"}])], "numa_cells": None}
        for side, asked in ((nova, one), (ours, slotwise.Workload.from_dict({**one, "strategy": "nova"}))):
            self.assertTrue(side.claim(OWNERS[0], asked))
            side.allocate(OWNERS[0])
            self.assertTrue(side.claim(OWNERS[1], asked))
            side.free(OWNERS[0])
        self.assertEqual(nova.statuses()[pf], "unavailable")
        self.assertEqual({row["address"]: row["status"] for row in ours.devices}[pf], "unclaimable")

    def test_p03_a_mapping_that_does_not_count(self) -> None:
        document = case(request(count=2), {f"{request()['request_id']}-0": ["rp"]})
        self.assertTrue(self.nova(document))
        self.assertTrue(self.ours(document))
        self.assertRaises(slotwise.InvalidRequestError, self.ours, document, "exact")

    def test_p04_nothing_asked_for(self) -> None:
        self.assertTrue(self.nova(case(request(count=0))))
        self.assertRaises(slotwise.InvalidRequestError, self.ours, case(request(count=0)))
        self.assertRaises(IndexError, self.nova, case(request(alternatives=[])))
        self.assertRaises(slotwise.InvalidRequestError, self.ours, case(request(alternatives=[])))

    def test_p05_numa_node_as_a_key(self) -> None:
        document = case(request(alternatives=[{"numa_node": "0"}]))
        self.assertFalse(self.nova(document))
        self.assertTrue(self.ours(document))
        self.assertTrue(self.ours(document, "exact"))

    def test_p07_a_mapping_without_a_request_id(self) -> None:
        document = case(request(request_id=None), {"group-0": ["rp"]})
        self.assertRaises(TypeError, self.nova, document)
        self.assertTrue(self.ours(document))

    def test_p08_a_null_tag(self) -> None:
        rules = [{"address": "0000:81:00.1", "rack": None}, {"vendor_id": "8086", "row": None}]
        found = [device("0000:81:00.0", "type-PCI"), device("0000:81:00.1", "type-PCI", "0000:81:00.0")]
        nova = plain.Tracker(rules, CELLS, found)
        nova.sync(found)
        self.assertEqual(len(nova.pools()), 1)
        ours = slotwise.Tracker(rules)
        ours.sync(found)
        self.assertEqual(len(ours.pools), 2)


class Configuration(unittest.TestCase):
    """Rules and aliases: what Nova's own parsers say, and what the engine says."""

    def nova_rules(self, *rules: dict[str, Any]) -> Any:
        return whitelist.Whitelist([json.dumps(rule) for rule in rules])

    def nova_accepts(self, *rules: dict[str, Any]) -> bool:
        try:
            self.nova_rules(*rules)
        except exception.NovaException:
            return False
        return True

    def refused(self, *rules: dict[str, Any]) -> str:
        with self.assertRaises(slotwise.SlotwiseError) as caught:
            slotwise.DeviceSpecs(list(rules))
        return str(caught.exception)

    def test_p20_domains(self) -> None:
        rule = {"address": "10000:01:00.0"}
        self.assertFalse(self.nova_accepts(rule))
        wide = {"address": "10000:01:00.0", "vendor_id": "8086", "product_id": "1111"}
        self.assertEqual(slotwise.DeviceSpecs([rule]).matching(wide), (0, {}))

    def test_p21_devname(self) -> None:
        rule = {"devname": "ens1"}
        first = [{**device("0000:81:00.0", "type-PCI"), "netdevs": ["ens1"]}, device("0000:82:00.0", "type-PCI")]
        then = [device("0000:81:00.0", "type-PCI"), {**device("0000:82:00.0", "type-PCI"), "netdevs": ["ens1"]}]
        nova = plain.Tracker([rule], CELLS, first)
        nova.sync(first)
        nova.machine.devices = then
        nova.sync(then)
        self.assertEqual(list(nova.statuses()), ["0000:82:00.0"])
        ours = slotwise.Tracker([rule])
        ours.sync(first)
        ours.sync(then)
        self.assertEqual([one["address"] for one in ours.devices], ["0000:81:00.0"])

    def test_p22_remote_managed_without_a_netdev(self) -> None:
        rule = {"devname": "no-such-netdev", "remote_managed": "true"}
        with self.assertRaises(exception.PciDeviceRemoteManagedNotPresent):
            self.nova_rules(rule)
        self.assertEqual(len(slotwise.DeviceSpecs([rule])), 1)

    def test_p23_numbers(self) -> None:
        row = {"vendor_id": "8086", "product_id": "1111"}
        for count in (1.5, -1, 2**40):
            self.assertEqual(len(plain.pci_stats([{**row, "count": count}]).pools), 1)
            self.assertRaises(slotwise.SlotwiseError, slotwise.Pools, [{**row, "count": count}])

    def test_p24_unknown_fields_of_an_address(self) -> None:
        rule = {"address": {"bus": "81", "buzz": "1"}}
        self.assertTrue(self.nova_accepts(rule))
        self.assertIn("device_spec[0].address", self.refused(rule))

    def test_p25_a_tag_with_the_name_of_a_field(self) -> None:
        rule = {"vendor_id": "8086", "numa_node": "7"}
        found = [device("0000:81:00.0", "type-PCI")]
        nova = plain.Tracker([rule], CELLS, found)
        nova.sync(found)
        self.assertEqual(nova.tracker.stats.pools[0]["numa_node"], "7")
        self.assertIn("numa_node", self.refused(rule))

    def test_p26_patterns(self) -> None:
        long = {"address": {"bus": "|".join(f"{n:02x}" for n in range(256)) * 2}}
        large = {"address": {"bus": "(?:8{100}){100}"}}
        for rule in (long, large):
            self.assertTrue(self.nova_accepts(rule))
            self.assertIn("device_spec[0].address.bus", self.refused(rule))
        where = {"address": "0000:81:00.0", "vendor_id": "8086", "product_id": "1111"}
        for pattern in ("8(?=1)", "(?<!9)81", "(?P<a>8)(?!(?P=a))", "8", "(?i)8"):
            rule = {"address": {"bus": pattern}}
            nova = self.nova_rules(rule).device_assignable(where) is not None
            self.assertEqual(slotwise.DeviceSpecs([rule]).matching(where) is not None, nova, pattern)
            self.assertTrue(nova, pattern)

    def test_p27_and_p28_aliases(self) -> None:
        line = {"name": "a", "vendor_id": "15B3", "product_id": "101E", "capability_type": "pci"}
        asked = {"aliases": [line], "flavor": "a:1", "numa_policy": None, "pci_in_placement": False}
        ((_, _, theirs, _),) = plain.alias_requests(asked) or ()
        self.assertEqual(theirs, [{"vendor_id": "15B3", "product_id": "101E", "capability_type": "pci"}])
        (ours,) = slotwise.Aliases([line]).requests("a:1")
        self.assertEqual(ours.alternatives, [{"vendor_id": "15b3", "product_id": "101e"}])
        # With that key an alias never matches in Nova.
        rows = [{"vendor_id": "15b3", "product_id": "101e", "count": 1}]
        question = {"requests": [request(alternatives=theirs)], "numa_cells": None, "provider_mapping": None}
        with plain.quiet():
            self.assertFalse(plain.supports({"pools": rows, "numa_topology": CELLS, "workload": question}))
        self.assertTrue(slotwise.Pools(rows).fit([ours]))


if __name__ == "__main__":
    unittest.main()
