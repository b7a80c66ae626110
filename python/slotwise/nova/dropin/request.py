"""In the place of alias resolution in ``nova.pci.request``.

The engine says whether aliases and flavors are valid and what they ask for. Where Nova has words for what is wrong, an
operator gets these.
"""

# mypy: no-warn-unused-ignores

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import jsonschema  # type: ignore
from nova import exception, objects  # type: ignore
from nova.pci import request as nova_request  # type: ignore
from oslo_serialization import jsonutils  # type: ignore
from oslo_utils import uuidutils  # type: ignore

from slotwise import Aliases, SlotwiseError, UnknownAliasError

CONF = nova_request.CONF


def _aliases() -> Aliases:
    """The engine's aliases; raises Nova's error for lines that are not valid."""
    return _parse(tuple(CONF.pci.alias), CONF.filter_scheduler.pci_in_placement)


@functools.lru_cache(maxsize=4)
def _parse(lines: tuple[str, ...], pci_in_placement: bool) -> Aliases:
    try:
        return Aliases(list(lines), pci_in_placement=pci_in_placement)
    except SlotwiseError as error:
        raise _refusal(lines, error) from error


def _refusal(lines: tuple[str, ...], error: SlotwiseError) -> Exception:
    """Nova's error for lines that the engine has refused, in Nova's words where it has any."""
    aliases: dict[str, tuple[Any, list[Any]]] = {}
    try:
        for line in lines:
            fields = jsonutils.loads(line)
            jsonschema.validate(fields, nova_request._ALIAS_SCHEMA)
            aliases.setdefault(fields["name"].strip(), (None, []))[1].append(fields)
        nova_request._validate_aliases(aliases)
    except jsonschema.exceptions.ValidationError as refused:
        return _invalid(refused.message)
    except exception.PciInvalidAlias as refused:
        return _quoted(str(refused))
    except ValueError:
        pass
    return _invalid(str(error))


def _quoted(message: str) -> Exception:
    made: Exception = exception.PciInvalidAlias(message)
    return made


def _invalid(reason: str) -> Exception:
    made: Exception = exception.PciInvalidAlias(reason=reason)
    return made


@functools.cache
def get_alias_from_config() -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """The aliases of the configuration: name → NUMA policy and alternatives."""
    known = {alias["name"]: (str(alias["numa_policy"]), alias["alternatives"]) for alias in _aliases().list()}
    # The engine has no use for a key of one value; Nova shows it.
    seen: dict[str, int] = {}
    for line in CONF.pci.alias:
        fields = jsonutils.loads(line)
        name = fields["name"].strip()
        alternative = known[name][1][seen.setdefault(name, 0)]
        seen[name] += 1
        if "capability_type" in fields:
            alternative["capability_type"] = fields["capability_type"]
    return known


def _translate_alias_to_requests(alias_spec: str, affinity_policy: str | None = None) -> list[Any]:
    """The requests of a flavor's ``alias:count,…``."""
    alternatives = get_alias_from_config()
    try:
        asked = _aliases().requests(alias_spec, affinity_policy)  # type: ignore[arg-type]
    except UnknownAliasError as error:
        names = (one.split(":")[0].strip() for one in alias_spec.split(","))
        unknown = next((name for name in names if name not in alternatives), alias_spec)
        raise exception.PciRequestAliasNotDefined(alias=unknown) from error
    except SlotwiseError as error:
        raise _invalid(str(error)) from error
    return [
        objects.InstancePCIRequest(
            count=request.count,
            spec=alternatives[str(request.alias_name)][1],
            alias_name=request.alias_name,
            numa_policy=request.numa_policy,
            request_id=uuidutils.generate_uuid(),
        )
        for request in asked
    ]


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    yield nova_module, "get_alias_from_config", get_alias_from_config
    yield nova_module, "_translate_alias_to_requests", _translate_alias_to_requests
