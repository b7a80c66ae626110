"""Nova's requests in the engine's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slotwise import Workload
from slotwise._native import nova_workload

UNREAD = "_slotwise_unread"
"""The attribute of a ``PciDeviceStats`` whose pools nobody has looked at: a ``NovaHost``."""


def request(asked: Any) -> dict[str, Any]:
    """An ``InstancePCIRequest`` as a document.

    Fields are read where the object keeps them: to read one that is not set would set it.
    """
    alias_name = getattr(asked, "_obj_alias_name", None)
    return {
        "request_id": getattr(asked, "_obj_request_id", None),
        "requester_id": getattr(asked, "_obj_requester_id", None),
        "alias_name": alias_name,
        "count": asked.count,
        "alternatives": asked.spec,
        "numa_policy": getattr(asked, "_obj_numa_policy", None),
        # As InstancePCIRequest.source decides.
        "source": "neutron_port" if alias_name is None else "flavor",
    }


def cell_ids(cells: Sequence[Any] | None) -> list[int]:
    """The host's cells that a guest's cells are on, in ascending order."""
    return sorted({cell.id for cell in cells}) if cells else []


def workload(
    requests: Sequence[Any], mapping: Mapping[str, list[str]] | None, cells: Sequence[Any] | None, strategy: str
) -> Workload:
    """What an instance asks of a host; the same question is read once only."""
    return nova_workload(requests, mapping, cell_ids(cells), strategy, make)


def make(requests: Sequence[Any], cells: Sequence[int], strategy: str) -> Workload:
    """A question that was not asked before, without Placement's choice. Nothing depends on the names of requests."""
    documents = [{**request(asked), "request_id": None} for asked in requests]
    if strategy == "exact":
        for document in documents:
            document["alternatives"] = [_without_capability_type(one) for one in document["alternatives"]]
    return Workload.from_dict({"requests": documents, "numa_cells": list(cells) or None, "strategy": strategy})


def _without_capability_type(alternative: Mapping[str, Any]) -> dict[str, Any]:
    """P27: an alias keeps this key, which no pool has, so that in Nova such an alias never matches."""
    return {key: value for key, value in alternative.items() if key != "capability_type"}


def numa_topology(topology: Any) -> dict[str, Any] | None:
    """A host's ``NUMATopology`` as a document."""
    if topology is None or not topology.obj_attr_is_set("cells"):
        return None
    cells = [
        {"id": cell.id if cell.obj_attr_is_set("id") else number, "socket": getattr(cell, "_obj_socket", None)}
        for number, cell in enumerate(topology.cells)
    ]
    return {"cells": cells}
