"""In the place of the matching in ``nova.pci.whitelist``: all rules in one call."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from slotwise import DeviceSpecs
from slotwise.nova.dropin import devspec

_RULES = "_slotwise_rules"

Rules = tuple[DeviceSpecs, list[Any]]
"""The engine's rules, and for each of them Nova's ``PciDeviceSpec``."""


def rules(whitelist: Any) -> Rules:
    """The rules of a ``Whitelist``; those whose netdev is not there yet are left out, and looked for the next time."""
    specs = list(whitelist.specs)
    known = getattr(whitelist, _RULES, None)
    if known is not None and known[0] == specs:
        made: Rules = known[1]
        return made
    found = [(spec, rule) for spec in specs if (rule := devspec.rule(spec)) is not None]
    made = (
        devspec.parse([rule for _, rule in found], [spec.dev_spec_conf for spec, _ in found]),
        [spec for spec, _ in found],
    )
    if len(found) == len(specs):
        setattr(whitelist, _RULES, (specs, made))
    return made


def _init(self: Any, whitelist_spec: Any = None) -> None:
    """Nova parses the rules; the engine reads them at once, so that one that it refuses stops the service at start."""
    self.specs = self._parse_white_list_from_config(whitelist_spec) if whitelist_spec else []
    rules(self)


def _device_assignable(self: Any, dev: dict[str, Any]) -> Any:
    """The first rule that matches a device as the hypervisor reports it, or None."""
    specs, owners = rules(self)
    ids = dev["address"], dev["vendor_id"], dev["product_id"]
    index = devspec.matches(specs, *ids, dev.get("parent_addr"), devspec.serial_number(dev))
    return None if index is None else owners[index]


def _get_devspec(self: Any, pci_dev: Any) -> Any:
    """The first rule that matches a ``PciDevice``, or None."""
    specs, owners = rules(self)
    ids = pci_dev.address, pci_dev.vendor_id, pci_dev.product_id
    index = devspec.matches(specs, *ids, pci_dev.parent_addr, pci_dev.card_serial_number or None)
    return None if index is None else owners[index]


def replacements(nova_whitelist: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    yield nova_whitelist.Whitelist, "__init__", _init
    yield nova_whitelist.Whitelist, "device_assignable", _device_assignable
    yield nova_whitelist.Whitelist, "get_devspec", _get_devspec
