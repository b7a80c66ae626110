"""The entries of PARITY.md that need Nova: what it answers, and what slotwise answers."""

from __future__ import annotations

import unittest
from typing import Any

import plain

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


if __name__ == "__main__":
    unittest.main()
