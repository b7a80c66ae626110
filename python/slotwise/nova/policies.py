"""The operator's policies by Nova's configuration: asked about hosts by the filter and the weigher, about devices by a claim."""

# Nova has no types, and need not be there when these are checked.
# mypy: no-warn-unused-ignores

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from nova.weights import normalize  # type: ignore
from oslo_log import log as logging  # type: ignore

from slotwise import Policy, Pools, SlotwiseError, Workload
from slotwise._native import nova_prefer
from slotwise.nova import options

LOG = logging.getLogger(__name__)

_lock = threading.Lock()
_loaded: dict[tuple[str, ...], list[Policy]] = {}


def load(entry: str) -> Policy:
    """The policy of one entry of ``[slotwise] policies``: a path, or a JSON object with ``path`` and options.

    Beside the options of ``Policy.load``, ``configuration_file`` names a file with the policy's configuration. A policy that
    cannot be loaded raises: a rule that was asked for is not silently left out.
    """
    arguments = json.loads(entry) if entry.lstrip().startswith("{") else {"path": entry.strip()}
    file = arguments.pop("configuration_file", None)
    if file is not None:
        with open(file, "rb") as opened:
            arguments["configuration"] = opened.read()
    return Policy.load(**arguments)


def configured() -> Sequence[Policy]:
    """The policies of the configuration, in its order; loaded when they are first asked for."""
    entries = options.policies()
    if not entries:
        return ()
    with _lock:
        if entries not in _loaded:
            _loaded[entries] = [load(entry) for entry in entries]
        return _loaded[entries]


def facts(spec_obj: Any) -> dict[str, str]:
    """What Nova knows about the instance: ``project_id``, ``user_id``, ``flavor``, ``availability_zone``, ``instance_uuid``."""
    # Where the object keeps them: to read a field that is not set would load it.
    names = ("project_id", "user_id", "instance_uuid", "availability_zone")
    known = {name: getattr(spec_obj, f"_obj_{name}", None) for name in names}
    known["flavor"] = getattr(getattr(spec_obj, "_obj_flavor", None), "_obj_name", None)
    return {key: str(value) for key, value in known.items() if value is not None}


def attributes(host_state: Any) -> dict[str, str]:
    """The metadata of the host's aggregates; values of several aggregates under one key are joined by commas, sorted."""
    values: dict[str, set[str]] = {}
    for aggregate in getattr(host_state, "aggregates", None) or ():
        for key, value in aggregate.metadata.items():
            values.setdefault(key, set()).add(value)
    return {key: ",".join(sorted(of_key)) for key, of_key in values.items()}


def _documents(hosts: Iterable[tuple[Any, Pools]], policies: Iterable[Policy], question: str) -> str:
    """The hosts as policies are asked about them, with their pools if that question reads them."""
    with_pools = any(f"{question}_pools" in policy.scope for policy in policies)
    return json.dumps(
        [
            {
                "name": state.nodename,
                "attributes": attributes(state),
                "pools": pools.to_list() if with_pools else [],
            }
            for state, pools in hosts
        ]
    )


def answering(question: str) -> list[Policy]:
    """The policies of the configuration that answer ``filter``, ``score`` or ``prefer``."""
    return [policy for policy in configured() if question in policy.scope]


def passing(hosts: list[tuple[Any, Pools]], requests: Iterable[dict[str, Any]], spec_obj: Any) -> list[bool]:
    """For each host with its pools whether all policies let the instance go there.

    A policy that fails and is to fail closed lets it go nowhere.
    """
    policies = answering("filter")
    if not policies or not hosts:
        return [True] * len(hosts)
    documents = _documents(hosts, policies, "filter")
    asked = json.dumps({"requests": list(requests)})
    passes = [True] * len(hosts)
    for policy in policies:
        try:
            reasons = policy.filter(documents, asked, facts(spec_obj))
        except SlotwiseError as error:
            LOG.error("No host passes: %s", error)
            return [False] * len(hosts)
        for i, reason in enumerate(reasons):
            if reason is not None and passes[i]:
                passes[i] = False
                LOG.debug("Host %s, node %s: %s", hosts[i][0].host, hosts[i][0].nodename, reason)
    return passes


def scores(hosts: list[tuple[Any, Pools]], requests: Iterable[dict[str, Any]], spec_obj: Any) -> list[float]:
    """For each host with its pools what the policies that score say of it: of each on a scale from 0 to 1, added up.

    Raises when a policy fails and is to fail closed.
    """
    policies = answering("score")
    total = [0.0] * len(hosts)
    if not policies or not hosts:
        return total
    documents = _documents(hosts, policies, "score")
    asked = json.dumps({"requests": list(requests)})
    for policy in policies:
        own = normalize(policy.score(documents, asked, facts(spec_obj)))
        total = [sum(pair) for pair in zip(total, own)]
    return total


def in_order(pools: Pools, rows: list[dict[str, Any]], workload: Workload) -> tuple[Pools, Workload]:
    """A compute node's pools with the devices in them, and the workload with the order in which policies give them away.

    Both as they are where no policy prefers. Raises when one fails and is to fail closed.
    """
    policies = answering("prefer")
    if not policies:
        return pools, workload
    return nova_prefer(pools, [[_device(row, device) for device in row["devices"]] for row in rows], workload, policies)


_OF_POOLS = frozenset(("address", "count", "dev_type", "devices", "numa_node", "product_id", "vendor_id"))


def _device(row: dict[str, Any], device: Any) -> dict[str, Any]:
    """A device as policies see it, with the tags of its pool."""
    told = {**{key: value for key, value in row.items() if key not in _OF_POOLS}, **(device.extra_info or {})}
    fields = ("address", "vendor_id", "product_id", "dev_type", "numa_node", "parent_addr")
    return {
        **{field: getattr(device, field) for field in fields},
        "extra_info": {key: value for key, value in told.items() if isinstance(value, str)},
    }
