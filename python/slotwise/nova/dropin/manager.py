"""In the place of the sync of ``nova.pci.manager.PciDevTracker``, at the cost of what has changed."""

# mypy: no-warn-unused-ignores

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from nova import exception, objects  # type: ignore
from nova.objects import fields  # type: ignore
from nova.pci import manager  # type: ignore

from slotwise import SlotwiseError
from slotwise._native import Inventory
from slotwise.nova.dropin import pci_device, whitelist

LOG = manager.LOG

_INVENTORY = "_slotwise_inventory"
ADDRESS_ROOM = 12
"""The length of the address columns in Nova's database."""

_HELD = (fields.PciDeviceStatus.CLAIMED, fields.PciDeviceStatus.ALLOCATED)
_GONE = (fields.PciDeviceStatus.REMOVED, fields.PciDeviceStatus.DELETED)


def save(self: Any, context: Any) -> None:
    """Writes what has changed."""
    for dev in copy.copy(self.pci_devs.objects):
        # What obj_what_changed says, for an object without objects in it.
        if dev._changed_fields:
            with dev.obj_alternate_context(context):
                if not _store(self, dev):
                    continue
                if dev.status == fields.PciDeviceStatus.DELETED:
                    self.pci_devs.objects.remove(dev)


def _store(self: Any, dev: Any) -> bool:
    """Saves a device. One whose address Nova's table has no room for costs that device, and not the whole sync (W09)."""
    try:
        dev.save()
    except Exception as error:
        if len(dev.address) <= ADDRESS_ROOM:
            raise
        LOG.error(
            "PCI device %s is left out, because the database refuses it: %s. Nova's tables have room for %d characters; "
            "widen the columns address and parent_addr of pci_devices to hand out devices in PCI domains of 32 bits",
            dev.address,
            error,
            ADDRESS_ROOM,
        )
        if _is_pooled(self, dev):
            self.stats.remove_device(dev)
        self.pci_devs.objects = [known for known in self.pci_devs.objects if known is not dev]
        return False
    return True


def update_devices_from_hypervisor_resources(self: Any, devices_json: str) -> None:
    """Takes over what the hypervisor reports. Only what differs from its last report is looked at."""
    rules = whitelist.rules(self.dev_filter)
    known = getattr(self, _INVENTORY, None)
    # Other rules, or other rows, make everything new.
    if known is None or known[0] is not rules or known[1] is not self.pci_devs:
        known = (rules, self.pci_devs, Inventory(rules[0]))
    # Forgotten until this is done, so that a failure half-way makes the next sync look at everything.
    setattr(self, _INVENTORY, None)
    try:
        news = known[2].read(devices_json)
    except SlotwiseError as error:
        raise ValueError(f"the hypervisor's PCI devices cannot be read: {error}") from error
    if news is not None:
        assignable, changed, skipped = news
        for address, reason in skipped:
            LOG.debug("Skipping PCI device %s reported by the hypervisor: %s", address, reason)
        devices = []
        for device, rule in changed:
            rules[1][rule].enhanced_pci_device_with_spec_tags(device)
            devices.append(device)
        _apply(self, set(assignable), devices)
    setattr(self, _INVENTORY, known)


def _set_hvdevs(self: Any, devices: list[dict[str, Any]]) -> None:
    """Takes over a whole list of assignable devices."""
    setattr(self, _INVENTORY, None)
    _apply(self, {device["address"] for device in devices}, devices)


def _apply(self: Any, present: set[str], changed: list[dict[str, Any]]) -> None:
    news: dict[str, dict[str, Any]] = {}
    for device in changed:
        news.setdefault(device["address"], device)
    known = set()
    kin_changed = False
    for existed in list(self.pci_devs.objects):
        address = existed._obj_address
        known.add(address)
        if address not in present:
            _remove(self, existed)
            kin_changed = True
            continue
        # It is there (again): nothing is to be removed when it is freed (W22).
        self.to_be_removed_when_freed.pop(address, None)
        if address not in news:
            continue
        device = news[address]
        device["compute_node_id"] = self.node_id
        if existed.status in _HELD:
            # An instance uses it: the change waits until the instance gives it back.
            self.stale[address] = device
        else:
            kin = existed.dev_type, existed.parent_addr
            pci_device.take_over(existed, device)
            kin_changed |= kin != (existed.dev_type, existed.parent_addr)
            self.stats.update_device(existed)
    added = []
    for address, device in news.items():
        if address not in known:
            device["compute_node_id"] = self.node_id
            made = objects.PciDevice.create(self._context, device)
            self.pci_devs.objects.append(made)
            added.append(made)
    if kin_changed or added:
        self._build_device_tree(self.pci_devs)
    for made in added:
        if pci_device.discover(made):
            self.stats.add_device(made)


def _remove(self: Any, existed: Any) -> None:
    """Drops a device that the hypervisor no longer reports or no rule matches; one in use waits until it is freed."""
    if existed.status in _GONE:
        return
    try:
        existed.remove()
    except (exception.PciDeviceInvalidStatus, exception.PciDeviceInvalidOwner) as error:
        LOG.warning(
            "Unable to remove device with status '%(status)s' and ownership %(instance_uuid)s because of "
            "%(pci_exception)s. Check your [pci]device_spec configuration to make sure this allocated device is "
            "whitelisted. If you have removed the device from the whitelist intentionally or the device is no longer "
            "available on the host you will need to delete the server or migrate it to another host to silence this "
            "warning.",
            {
                "status": existed.status,
                "instance_uuid": existed.instance_uuid,
                "pci_exception": error.format_message(),
            },
        )
        self.to_be_removed_when_freed[existed.address] = existed
        return
    if _is_pooled(self, existed):
        self.stats.remove_device(existed)


def _is_pooled(self: Any, dev: Any) -> bool:
    return any(device is dev for pool in self.stats.pools for device in pool["devices"])


def _free_device(self: Any, dev: Any, instance: Any = None) -> None:
    """Takes a device back, with what has become of it in the meantime."""
    freed = dev.free(instance)
    stale = self.stale.pop(dev.address, None)
    if stale:
        pci_device.take_over(dev, stale)
    if self.to_be_removed_when_freed.pop(dev.address, None):
        dev.remove()
        if _is_pooled(self, dev):
            self.stats.remove_device(dev)
    # W20: what it excluded is free now, whether it is still there or not.
    for device in freed:
        if device.is_available() and not _is_pooled(self, device):
            self.stats.add_device(device)


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    for function in (save, update_devices_from_hypervisor_resources, _set_hvdevs, _free_device):
        yield nova_module.PciDevTracker, function.__name__, function
