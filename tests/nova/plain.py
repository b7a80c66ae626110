"""Nova's own answers to the cases of ``generate``, without a database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import jsonschema
import nova.conf
from nova import context, exception, objects
from nova.objects import pci_device_pool
from nova.pci import manager, stats, utils, whitelist
from nova.pci import request as pci_request

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


def alias_requests(case: dict[str, Any]) -> list[tuple[str, int, list[dict[str, str]], str]] | None:
    """Nova's requests for a case of ``generate.alias_case``; None if it refuses the lines or the flavor."""
    validator = jsonschema.validators.validator_for({})
    CONF.set_override("alias", [json.dumps(line) for line in case["aliases"]], group="pci")
    CONF.set_override("pci_in_placement", case["pci_in_placement"], group="filter_scheduler")
    pci_request.get_alias_from_config.cache_clear()
    # Nova's schema is a constant, and checking it anew for each line takes most of the time.
    with mock.patch.object(validator, "check_schema"):
        return _alias_requests(case)


def _alias_requests(case: dict[str, Any]) -> list[tuple[str, int, list[dict[str, str]], str]] | None:
    try:
        flavor = {"extra_specs": {"pci_passthrough:alias": case["flavor"]}}
        asked = pci_request.get_pci_requests_from_flavor(flavor, case["numa_policy"])
    except (exception.PciInvalidAlias, exception.PciRequestAliasNotDefined):
        return None
    return [(r.alias_name, r.count, r.spec, r.numa_policy) for r in asked.requests]


class Machine:
    """Answers, in the place of sysfs, what Nova asks about the functions of a case."""

    def __init__(self) -> None:
        self.devices: list[dict[str, Any]] = []

    def is_physical_function(self, domain: str, bus: str, slot: str, function: str) -> bool:
        address = f"{domain}:{bus}:{slot}.{function}"
        return any(d["address"] == address and d["dev_type"] == "type-PF" for d in self.devices)

    def function_by_name(self, name: str) -> tuple[str | None, bool]:
        for device in self.devices:
            if name in device.get("netdevs", ()):
                return device["address"], device["dev_type"] == "type-PF"
        return None, False


class Tracker:
    """Nova's PciDevTracker on PciDevice objects in memory."""

    def __init__(
        self,
        rules: list[dict[str, Any]],
        topology: dict[str, Any],
        machine: list[dict[str, Any]] | None = None,
        providers: dict[str, str] | None = None,
    ) -> None:
        self.machine = Machine()
        self.machine.devices = machine or []
        self._providers = providers
        CONF.set_override("device_spec", [json.dumps(rule) for rule in rules], group="pci")
        node = objects.ComputeNode(id=1, numa_topology=None)
        with (
            mock.patch("nova.db.main.api.pci_device_get_all_by_node", return_value=[]),
            self._as_this_machine(),
        ):
            self.tracker = manager.PciDevTracker(context.get_admin_context(), node)
        self.tracker.stats.numa_topology = numa_topology(topology)
        self._instances: dict[str, Any] = {}
        self.broken = False
        """Whether a claim that failed has left the pools in a state that they cannot leave again."""

    @contextmanager
    def _as_this_machine(self) -> Iterator[None]:
        with (
            mock.patch.object(utils, "is_physical_function", self.machine.is_physical_function),
            mock.patch.object(utils, "get_function_by_ifname", self.machine.function_by_name),
        ):
            yield

    def sync(self, devices: list[dict[str, Any]]) -> None:
        with self._as_this_machine():
            self.tracker.update_devices_from_hypervisor_resources(json.dumps(devices))
        # What the database does when they are saved.
        known = self.tracker.pci_devs.objects
        known[:] = [device for device in known if device.status != "removed"]
        for device in known:
            if not device.obj_attr_is_set("id"):
                device.id = self._next_id
                self._next_id += 1
        if self._providers:
            for device in known:
                device.extra_info["rp_uuid"] = self._providers[device.parent_addr or device.address]
            self.tracker.stats.populate_pools_metadata_from_assigned_devices()

    _next_id = 1

    def claim(self, owner: str, workload: dict[str, Any]) -> list[str] | None:
        """The devices in their order, or None if Nova refuses."""
        asked = objects.InstancePCIRequests(instance_uuid=owner, requests=pci_requests(workload["requests"]))
        cells = numa_cells(workload["numa_cells"])
        topology = None if cells is None else mock.Mock(cells=cells)
        try:
            with self._as_this_machine():
                devices = self.tracker.claim_instance(context.get_admin_context(), asked, topology)
        except exception.PciDeviceRequestFailed:
            # W06: what the requests before the one that failed took from the pools is lost.
            self.broken = len(workload["requests"]) > 1
            return None
        # A pool that the claim itself has emptied makes Nova's claim fail with an IndexError.
        except (exception.PciDevicePoolEmpty, IndexError):
            self.broken = True
            return None
        return [device.address for device in devices]

    def allocate(self, owner: str) -> None:
        self.tracker.allocate_instance(self._instance(owner))

    def free(self, owner: str) -> None:
        with self._as_this_machine():
            self.tracker.free_instance(context.get_admin_context(), self._instance(owner))
        known = self.tracker.pci_devs.objects
        known[:] = [device for device in known if device.status != "removed"]

    def statuses(self) -> dict[str, str]:
        return {device.address: device.status for device in self.tracker.pci_devs}

    def pools(self) -> list[list[str]]:
        """The free devices of each pool that is not empty, in Nova's order."""
        pools = ([device.address for device in pool["devices"]] for pool in self.tracker.stats.pools)
        return [devices for devices in pools if devices]

    def _instance(self, owner: str) -> Any:
        new = objects.Instance(uuid=owner, pci_devices=objects.PciDeviceList(objects=[]))
        return self._instances.setdefault(owner, new)


def set_strategy(name: str | None) -> None:
    """Sets ``[slotwise]strategy``; None for its default."""
    from slotwise.nova.options import strategy

    if name is None:
        CONF.clear_override("strategy", group="slotwise")
    else:
        CONF.set_override("strategy", name, group="slotwise")
    strategy.cache_clear()


@contextmanager
def quiet() -> Iterator[None]:
    """Without Nova's log lines, which are many and expected here."""
    import logging

    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
