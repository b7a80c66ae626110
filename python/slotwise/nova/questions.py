"""Nova's requests in the engine's form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slotwise import Workload

MAX_KEPT = 1000
"""So many questions are kept in the engine's form; past that the oldest is forgotten."""

UNREAD = "_slotwise_unread"
"""The attribute of a ``PciDeviceStats`` whose pools nobody has looked at."""

_kept: dict[Any, Workload] = {}


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


def cell_ids(cells: Sequence[Any] | None) -> list[int] | None:
    """The host's cells that a guest's cells are on."""
    return [cell.id for cell in cells] if cells else None


def workload(
    requests: Iterable[Any], mapping: Mapping[str, list[str]] | None, cells: Sequence[Any] | None, strategy: str
) -> Workload:
    """What an instance asks of a host; the same question is read once only.

    Without a mapping nothing depends on the ids of the requests, nor ever on the order of the guest's cells.
    """
    named = bool(mapping)
    ids = sorted({cell.id for cell in cells}) if cells else None
    key = (
        strategy,
        tuple(ids) if ids else None,
        tuple([(group, *providers) for group, providers in mapping.items()]) if mapping else None,
        tuple(
            [
                (
                    asked._obj_count,
                    getattr(asked, "_obj_numa_policy", None),
                    getattr(asked, "_obj_alias_name", None) is None,
                    getattr(asked, "_obj_request_id", None) if named else None,
                    tuple([tuple(one.items()) for one in asked._obj_spec]),
                )
                for asked in requests
            ]
        ),
    )
    known = _kept.get(key)
    if known is not None:
        return known
    documents = [request(asked) for asked in requests]
    for document in documents:
        if not named:
            document["request_id"] = None
        if strategy == "exact":
            document["alternatives"] = [_without_capability_type(one) for one in document["alternatives"]]
    made = Workload.from_dict(
        {"requests": documents, "provider_mapping": mapping or None, "numa_cells": ids, "strategy": strategy}
    )
    if len(_kept) >= MAX_KEPT:
        del _kept[next(iter(_kept))]
    _kept[key] = made
    return made


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
