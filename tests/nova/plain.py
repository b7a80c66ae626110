"""Nova's own answers to the cases of ``generate``, without a database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import nova.conf
from nova import context, exception, objects
from nova.objects import pci_device_pool
from nova.pci import manager, stats, whitelist

objects.register_all()
CONF = nova.conf.CONF
NO_RULES = whitelist.Whitelist([])


def numa_topology(document: dict[str, Any]) -> Any:
    cells = [objects.NUMACell(id=cell["id"], socket=cell["socket"]) for cell in document["cells"]]
    return objects.NUMATopology(cells=cells)


def pci_requests(documents: list[dict[str, Any]]) -> list[Any]:
    return [
        objects.InstancePCIRequest(
            count=request["count"],
            spec=request["alternatives"],
            request_id=request["request_id"],
            alias_name=request["alias_name"],
            numa_policy=request["numa_policy"],
        )
        for request in documents
    ]


def numa_cells(ids: list[int] | None) -> list[Any] | None:
    return None if ids is None else [objects.InstanceNUMACell(id=i) for i in ids]


def pci_stats(rows: list[dict[str, Any]], topology: Any = None) -> Any:
    """What a scheduler has of a host, read as from the database."""
    pools = pci_device_pool.from_pci_stats(json.dumps(rows))
    return stats.PciDeviceStats(topology, stats=pools, dev_filter=NO_RULES)


def supports(case: dict[str, Any]) -> bool:
    """Nova's verdict about a case of ``generate.fit_case``."""
    workload = case["workload"]
    host = pci_stats(case["pools"], numa_topology(case["numa_topology"]))
    answer: bool = host.support_requests(
        pci_requests(workload["requests"]), workload["provider_mapping"], numa_cells(workload["numa_cells"])
    )
    return answer



class Tracker:
    """Nova's PciDevTracker on PciDevice objects in memory."""

    def __init__(self, rules: list[dict[str, Any]], topology: dict[str, Any]) -> None:
        CONF.set_override("device_spec", [json.dumps(rule) for rule in rules], group="pci")
        node = objects.ComputeNode(id=1, numa_topology=None)
        with mock.patch("nova.db.main.api.pci_device_get_all_by_node", return_value=[]):
            self.tracker = manager.PciDevTracker(context.get_admin_context(), node)
        self.tracker.stats.numa_topology = numa_topology(topology)
        self._instances: dict[str, Any] = {}

    def sync(self, devices: list[dict[str, Any]]) -> None:
        self.tracker.update_devices_from_hypervisor_resources(json.dumps(devices))
        # What the database does when they are saved.
        for number, device in enumerate(self.tracker.pci_devs):
            device.id = number

    def claim(self, owner: str, workload: dict[str, Any]) -> list[str] | None:
        """The devices in their order, or None if Nova refuses."""
        asked = objects.InstancePCIRequests(instance_uuid=owner, requests=pci_requests(workload["requests"]))
        cells = numa_cells(workload["numa_cells"])
        topology = None if cells is None else mock.Mock(cells=cells)
        try:
            devices = self.tracker.claim_instance(context.get_admin_context(), asked, topology)
        # A pool that the claim itself has emptied makes Nova's claim fail with an IndexError.
        except (exception.PciDeviceRequestFailed, exception.PciDevicePoolEmpty, IndexError):
            return None
        return [device.address for device in devices]

    def allocate(self, owner: str) -> None:
        self.tracker.allocate_instance(self._instance(owner))

    def free(self, owner: str) -> None:
        self.tracker.free_instance(context.get_admin_context(), self._instance(owner))

    def statuses(self) -> dict[str, str]:
        return {device.address: device.status for device in self.tracker.pci_devs}

    def pools(self) -> list[list[str]]:
        """The free devices of each pool that is not empty, in Nova's order."""
        pools = ([device.address for device in pool["devices"]] for pool in self.tracker.stats.pools)
        return [devices for devices in pools if devices]

    def _instance(self, owner: str) -> Any:
        new = objects.Instance(uuid=owner, pci_devices=objects.PciDeviceList(objects=[]))
        return self._instances.setdefault(owner, new)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Nova's log lines, which are many and expected here."""
    import logging

    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
