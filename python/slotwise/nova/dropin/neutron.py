"""Beside ``nova.network.neutron.API``: a port may say whether its device must be live-migratable.

W15: Nova knows ``live_migratable`` in aliases only. Here a port's binding profile may have it, as it has ``trusted``.
"""

# mypy: no-warn-unused-ignores

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from nova import exception  # type: ignore
from nova.network import constants, neutron  # type: ignore
from oslo_utils import strutils  # type: ignore

TAG = "live_migratable"

_show_port_of_nova = neutron.API._show_port
_create_of_nova = neutron.API.create_resource_requests

_seen: ContextVar[dict[str, Any] | None] = ContextVar("slotwise_ports", default=None)
"""The ports that were looked at while requests are made of them."""


def _show_port(self: Any, context: Any, port_id: str, neutron_client: Any = None, fields: Any = None) -> Any:
    port = _show_port_of_nova(self, context, port_id, neutron_client=neutron_client, fields=fields)
    seen = _seen.get()
    if seen is not None:
        seen[port_id] = port
    return port


def create_resource_requests(
    self: Any, context: Any, requested_networks: Any, pci_requests: Any = None, affinity_policy: Any = None
) -> Any:
    """As Nova's, and the requests of ports have what their binding profiles say about live migration."""
    before = len(_requests(pci_requests))
    seen: dict[str, Any] = {}
    token = _seen.set(seen)
    try:
        made = _create_of_nova(self, context, requested_networks, pci_requests, affinity_policy)
    finally:
        _seen.reset(token)
    for request in _requests(pci_requests)[before:]:
        profile = (seen.get(request.requester_id) or {}).get(constants.BINDING_PROFILE) or {}
        if TAG in profile:
            wanted = _flag(request.requester_id, profile[TAG])
            request.spec = [{**one, TAG: wanted} for one in request.spec]
    return made


def _requests(pci_requests: Any) -> list[Any]:
    """The requests so far; the list is not there before the first."""
    if pci_requests is None or not pci_requests.obj_attr_is_set("requests"):
        return []
    made: list[Any] = pci_requests.requests
    return made


def _flag(port_id: str, value: Any) -> str:
    try:
        return "true" if strutils.bool_from_string(value, strict=True) else "false"
    except ValueError as error:
        raise exception.InvalidInput(
            reason=f"{TAG} in the binding profile of port {port_id} is no boolean: {error}"
        ) from error


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    for function in (_show_port, create_resource_requests):
        yield nova_module.API, function.__name__, function
