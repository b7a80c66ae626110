"""In the place of the state machine of ``nova.objects.pci_device.PciDevice``, and of what makes it dirty."""

# mypy: no-warn-unused-ignores

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from nova import exception  # type: ignore
from nova.objects import fields, pci_device  # type: ignore
from oslo_serialization import jsonutils  # type: ignore

from slotwise._native import nova_transition

LOG = pci_device.LOG

_TAGS = ("managed", "live_migratable")
"""Extra info that comes from the operator's rule, and goes when the rule no longer has it."""


def _set(devices: Iterable[Any], status: str) -> None:
    """Gives devices a status; those that have it stay as they are.

    This is what the field's setter does after it has checked that the value is a status, without asking again for each
    of a card's hundreds of VFs.
    """
    for device in devices:
        if getattr(device, "_obj_status", None) != status:
            device._obj_status = status
            device._changed_fields.add("status")


def _relatives(device: Any) -> list[Any]:
    """The VFs of a PF; the other functions on the PF of a VF or vDPA device."""
    if device.dev_type == fields.PciDeviceType.SRIOV_PF:
        children: list[Any] = device.child_devices
        return children
    parent = device.parent_device
    return [] if parent is None else [vf for vf in parent.child_devices if vf.address != device.address]


def _transition(device: Any, event: str, owner: str | None = None) -> list[Any]:
    """Lets the engine say what an event makes of a device and its kin; returns the kin whose status was given."""
    parent = device.parent_device
    relatives = _relatives(device)
    made = nova_transition(
        event,
        device.dev_type,
        device.status,
        getattr(device, "_obj_instance_uuid", None),
        parent.status if parent is not None else None,
        [relative._obj_status for relative in relatives],
        owner,
    )
    if isinstance(made, str):
        raise _refusal(device, event, made, owner)
    status, for_parent, for_children, inconsistent = made
    if inconsistent:
        odd = ",".join(f"{vf.address} - {vf.status}" for vf in relatives if not vf.is_available())
        LOG.warning(
            "Some child device of parent %s is in an inconsistent state. If you can reproduce this warning then please "
            "report a bug at https://bugs.launchpad.net/nova/+filebug with reproduction steps. Inconsistent children "
            "with state: %s",
            device.address,
            odd,
        )
    given: list[Any] = []
    if for_children is not None:
        _set(relatives, for_children)
        given += relatives
    if for_parent is not None:
        _set([parent], for_parent)
        given.append(parent)
    _set([device], status)
    return given


_HOPED = {
    "claim": (fields.PciDeviceStatus.AVAILABLE,),
    "allocate": (fields.PciDeviceStatus.AVAILABLE, fields.PciDeviceStatus.CLAIMED),
    "free": (fields.PciDeviceStatus.ALLOCATED, fields.PciDeviceStatus.CLAIMED),
    "remove": (
        fields.PciDeviceStatus.AVAILABLE,
        fields.PciDeviceStatus.UNAVAILABLE,
        fields.PciDeviceStatus.UNCLAIMABLE,
    ),
}
"""What Nova's messages name; the engine is what decides."""


def _refusal(device: Any, event: str, refusal: str, owner: str | None) -> Exception:
    place = {"compute_node_id": device.compute_node_id, "address": device.address}
    made: Exception
    if refusal == "owner":
        made = exception.PciDeviceInvalidOwner(**place, owner=device.instance_uuid, hopeowner=owner)
    elif refusal == "child":
        made = exception.PciDeviceVFInvalidStatus(**place)
    elif refusal == "parent":
        made = exception.PciDevicePFInvalidStatus(
            compute_node_id=device.compute_node_id,
            address=device.parent_addr,
            status=device.status,
            vf_address=device.address,
            hopestatus=(
                fields.PciDeviceStatus.AVAILABLE,
                fields.PciDeviceStatus.UNCLAIMABLE,
                fields.PciDeviceStatus.UNAVAILABLE,
            ),
        )
    else:
        made = exception.PciDeviceInvalidStatus(**place, status=device.status, hopestatus=list(_HOPED[event]))
    return made


def claim(self: Any, instance_uuid: str) -> None:
    """Reserves this device for an instance."""
    _transition(self, "claim")
    self.instance_uuid = instance_uuid


def allocate(self: Any, instance: Any) -> None:
    """Gives this device to the instance that it is reserved for."""
    _transition(self, "allocate", instance["uuid"])
    self.instance_uuid = instance["uuid"]
    if isinstance(instance, dict):
        instance.setdefault("pci_devices", []).append(copy.copy(self))
    else:
        instance.pci_devices.objects.append(copy.copy(self))


def free(self: Any, instance: Any = None) -> list[Any]:
    """Takes this device back, and returns the devices that are free now."""
    was_allocated = self.status == fields.PciDeviceStatus.ALLOCATED
    freed = _transition(self, "free", instance["uuid"] if instance else None)
    self.instance_uuid = None
    self.request_id = None
    if was_allocated and instance:
        held = instance["pci_devices"] if isinstance(instance, dict) else instance.pci_devices.objects
        held.remove(next(device for device in held if device.id == self.id))
    return [*freed, self]


def remove(self: Any) -> None:
    """Marks this device as no longer there, so that ``save`` deletes its row."""
    _transition(self, "remove")
    _assign(self, "instance_uuid", None)
    _assign(self, "request_id", None)


def discover(device: Any) -> bool:
    """Gives a device that has just appeared its status; says whether it can be had (W21)."""
    _transition(device, "discover")
    available: bool = device.is_available()
    return available


def _assign(device: Any, name: str, value: Any) -> bool:
    """Sets a field if its value is another one; says whether it was."""
    value = device.fields[name].coerce(device, name, value)
    if device.obj_attr_is_set(name) and getattr(device, name) == value:
        return False
    setattr(device, name, value)
    return True


def take_over(device: Any, dev_dict: dict[str, Any]) -> None:
    """Takes over what the hypervisor reports; what is as before is not written to the database again.

    It is what ``PciDevice.update_device`` does, except that there every field that is set counts as changed.
    """
    for name in ("status", "instance_uuid", "id", "extra_info"):
        dev_dict.pop(name, None)
    # It is asked for when the device is matched.
    dev_dict.setdefault("parent_addr")
    before = device.extra_info
    extra_info = dict(before)
    for name, value in dev_dict.items():
        if name in device.fields:
            _assign(device, name, value)
        elif not _is_kept(before.get(name), value):
            extra_info[name] = value if isinstance(value, str) else jsonutils.dumps(value)
    for tag in _TAGS:
        if tag not in dev_dict:
            extra_info.pop(tag, None)
    if extra_info != before:
        device.extra_info = extra_info


def _is_kept(text: str | None, value: Any) -> bool:
    """Whether a text of the extra info says what is reported, be it in another order of keys."""
    if text is None or isinstance(value, str):
        return bool(text == value)
    try:
        known: Any = jsonutils.loads(text)
    except ValueError:
        return False
    return bool(known == value)


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    for function in (claim, allocate, free, remove):
        yield nova_module.PciDevice, function.__name__, function
