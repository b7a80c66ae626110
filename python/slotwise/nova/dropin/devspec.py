"""In the place of the matching in ``nova.pci.devspec``.

Nova's classes parse the operator's rules, with their messages. What a rule matches is the engine's work: each of Nova's
objects gets the engine's rule that means the same.
"""

# mypy: no-warn-unused-ignores

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from nova import exception  # type: ignore
from nova.pci import devspec, utils  # type: ignore

from slotwise import DeviceSpecs, SlotwiseError
from slotwise._native import nova_matching

_RULE = "_slotwise_rule"
_PIN = "_slotwise_pin"


def _text(address: Any) -> str:
    return f"{address.domain}:{address.bus}:{address.slot}.{address.func}"


def address_rule(address: Any) -> Any:
    """The engine's form of one of Nova's addresses, be it a pattern or not."""
    if isinstance(address, devspec.PciAddressRegexSpec):
        return {"domain": address.domain, "bus": address.bus, "slot": address.slot, "function": address.func}
    return _text(address)


def parse(rules: list[dict[str, Any]], conf: list[Any]) -> DeviceSpecs:
    """The engine's rules; one that it refuses stops the service as Nova's own errors do, with the rule quoted."""
    try:
        return DeviceSpecs([json.dumps(rule) for rule in rules])
    except SlotwiseError as error:
        raise exception.PciConfigInvalidSpec(reason=f"{error} (in {json.dumps(conf)})") from error


def matches(
    specs: DeviceSpecs, address: str, vendor: str, product: str, parent: str | None, serial: str | None
) -> int | None:
    """The index of the rule that matches a device; an address that is none is Nova's error."""
    try:
        return nova_matching(specs, address, vendor, product, parent, serial)
    except SlotwiseError as error:
        raise exception.PciDeviceWrongAddressFormat(address=address) from error


def _address_match(self: Any, phys_pci_addr: Any) -> bool:
    """Whether one function has this address, or one that this pattern matches."""
    if not phys_pci_addr.is_single_address():
        return False
    specs = parse([{"address": address_rule(self)}], [_text(self)])
    return matches(specs, _text(phys_pci_addr), "0000", "0000", None, None) is not None


def _whitelist_match(self: Any, pci_addr: str, pci_phys_addr: str | None) -> bool:
    """Whether a function, or the physical function that it belongs to, has this address."""
    specs = parse([{"address": address_rule(self.pci_address_spec)}], [_text(self.pci_address_spec)])
    parent = pci_phys_addr if self.is_physical_function else None
    return matches(specs, pci_addr, "0000", "0000", parent, None) is not None


def _address_obj(self: Any) -> Any:
    """The rule's address; W10: a netdev name stays with the function that it named first."""
    if not self.dev_name:
        return self.address
    pin = getattr(self, _PIN, None)
    if pin is None:
        address, is_pf = utils.get_function_by_ifname(self.dev_name)
        if not address:
            return None
        pin = devspec.WhitelistPciAddress(address, is_pf)
        setattr(self, _PIN, pin)
    return pin


def rule(spec: Any) -> dict[str, Any] | None:
    """What a ``PciDeviceSpec`` matches; None while its netdev is not there. Its tags stay with Nova's object."""
    address = spec._address_obj()
    if not address:
        return None
    made = {
        "vendor_id": spec.vendor_id,
        "product_id": spec.product_id,
        "address": address_rule(address.pci_address_spec),
    }
    if spec._remote_managed:
        made["remote_managed"] = "true"
    return made


def serial_number(device: dict[str, Any]) -> str | None:
    """The serial number of a device's card, as the hypervisor reports it."""
    capabilities = device.get("capabilities") or {}
    serial = (capabilities.get("vpd") or {}).get("card_serial_number")
    return str(serial) if serial else None


def _spec_match(self: Any, dev_dict: dict[str, Any]) -> bool:
    """Whether this rule matches a device."""
    address = self._address_obj()
    known = getattr(self, _RULE, None)
    if known is None or known[0] is not address:
        mine = rule(self)
        if mine is None:
            return False
        known = (address, parse([mine], [self.dev_spec_conf]))
        setattr(self, _RULE, known)
    parent = dev_dict.get("parent_addr") if address.is_physical_function else None
    ids = dev_dict["address"], dev_dict["vendor_id"], dev_dict["product_id"]
    return matches(known[1], *ids, parent, serial_number(dev_dict)) is not None


def _spec_match_pci_obj(self: Any, pci_obj: Any) -> bool:
    """Whether this rule matches a ``PciDevice``."""
    return _spec_match(
        self,
        {
            "vendor_id": pci_obj.vendor_id,
            "product_id": pci_obj.product_id,
            "address": pci_obj.address,
            "parent_addr": pci_obj.parent_addr,
            "capabilities": {"vpd": {"card_serial_number": pci_obj.card_serial_number}},
        },
    )


def replacements(nova_devspec: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    for name in ("PhysicalPciAddress", "PciAddressGlobSpec", "PciAddressRegexSpec"):
        yield getattr(nova_devspec, name), "match", _address_match
    yield nova_devspec.WhitelistPciAddress, "match", _whitelist_match
    yield nova_devspec.PciDeviceSpec, "_address_obj", _address_obj
    yield nova_devspec.PciDeviceSpec, "match", _spec_match
    yield nova_devspec.PciDeviceSpec, "match_pci_obj", _spec_match_pci_obj
    # W09: the limit of 16 bits is libvirt's past; the kernel gives domains of 32.
    yield nova_devspec, "MAX_DOMAIN", 0xFFFF_FFFF
