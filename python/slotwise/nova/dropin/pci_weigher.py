"""In the place of the counting in ``nova.scheduler.weights.pci``, which would make a list of the pools of every host."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from slotwise.nova import hosts


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    def _weigh_object(self: Any, host_state: Any, request_spec: Any) -> int:
        """The number of free devices as a weight; hosts with few come first."""
        return hosts.weight(host_state, nova_module.MAX_DEVS)

    yield nova_module.PCIWeigher, "_weigh_object", _weigh_object
