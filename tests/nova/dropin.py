"""What the tests of the drop-in share."""

from __future__ import annotations

import unittest
from typing import Any

import plain

import slotwise.nova

OWNERS = [f"6a991c1c-c42d-a4f2-1170-{i:012d}" for i in range(10)]
PF_A, PF_B = "0000:81:00.0", "0000:82:00.0"


class Case(unittest.TestCase):
    """Each test runs with the drop-in active, and ends with Nova as it was."""

    def setUp(self) -> None:
        slotwise.nova.activate()
        self.addCleanup(slotwise.nova.deactivate)
        self.addCleanup(plain.set_strategy, None)
        quiet = plain.quiet()
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)

    def strategy(self, name: str) -> None:
        plain.set_strategy(name)


def pool(**fields: Any) -> dict[str, Any]:
    """A row of a host's pools."""
    whole: dict[str, Any] = {
        "vendor_id": "8086",
        "product_id": "1111",
        "numa_node": 0,
        "count": 1,
        "dev_type": "type-PCI",
        "address": PF_A,
    }
    return {**whole, **fields}


def request(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A request in the engine's form."""
    whole: dict[str, Any] = {
        "request_id": f"36fd1e02-f86c-b449-abc8-{number:012d}",
        "alias_name": "a",
        "count": 1,
        "alternatives": [{"vendor_id": "8086"}],
        "numa_policy": None,
        "source": "flavor",
    }
    return {**whole, **fields}


def case(
    pools: list[dict[str, Any]],
    requests: list[dict[str, Any]],
    cells: list[int] | None = None,
    mapping: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """A scheduler's question, as ``generate.fit_case`` makes it."""
    host = [{"id": 0, "socket": 0}, {"id": 1, "socket": 1}]
    workload = {"requests": requests, "numa_cells": cells, "provider_mapping": mapping}
    return {"pools": pools, "numa_topology": {"cells": host}, "workload": workload}


def device(address: str, kind: str = "type-PCI", parent: str | None = None, **fields: Any) -> dict[str, Any]:
    """A function as the hypervisor reports it."""
    ids = {"vendor_id": "8086", "product_id": "1111", "numa_node": 0}
    return {"address": address, "dev_type": kind, "parent_addr": parent, **ids, **fields}


def card(pf: str, vfs: int = 2, **fields: Any) -> list[dict[str, Any]]:
    """A PF and its VFs."""
    made = [device(pf, "type-PF", product_id="2222", **fields)]
    bus = pf[:7]
    return made + [device(f"{bus}:10.{vf}", "type-VF", pf, **fields) for vf in range(vfs)]


def tracker(found: list[dict[str, Any]], rules: list[dict[str, Any]] | None = None) -> Any:
    """A compute node's tracker after its first sync."""
    made = plain.Tracker(rules or [{"vendor_id": "8086"}], case([], [])["numa_topology"], found)
    made.sync([dict(one) for one in found])
    return made


def claim(host: Any, owner: int, *requests: dict[str, Any], cells: list[int] | None = None) -> list[str] | None:
    """The devices that an instance gets, or None."""
    addresses: list[str] | None = host.claim(OWNERS[owner], {"requests": list(requests), "numa_cells": cells})
    return addresses
