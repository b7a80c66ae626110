"""In the place of ``nova.objects.pci_device_pool.from_pci_stats``: pools that are read when somebody asks for them.

A scheduler reads the pools of each host for each request, and mostly nobody looks at them as objects.
"""

# mypy: allow-subclassing-any, no-warn-unused-ignores

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from nova.objects import pci_device_pool  # type: ignore

_from_pci_stats = pci_device_pool.from_pci_stats


class UnreadPciDevicePoolList(pci_device_pool.PciDevicePoolList):
    """The JSON text of a row's pools; it becomes objects when it is used as the list that it is."""

    text: str | None = None

    @classmethod
    def of(cls, text: str) -> UnreadPciDevicePoolList:
        # What the constructors do, but for the empty list, which would count as what is there.
        made = cls.__new__(cls)
        made._changed_fields = set()
        made._context = None
        made.text = text
        return made

    @classmethod
    def obj_name(cls) -> str:
        return "PciDevicePoolList"

    def obj_load_attr(self, attrname: str) -> None:
        if attrname != "objects" or self.text is None:
            super().obj_load_attr(attrname)
            return
        loaded = _from_pci_stats(self.text)
        self.objects = loaded.objects
        self.text = None
        # A text keeps what had changed when it was written.
        self._changed_fields = set(loaded._changed_fields)

    def obj_attr_is_set(self, attrname: str) -> bool:
        return (attrname == "objects" and self.text is not None) or super().obj_attr_is_set(attrname)

    def obj_what_changed(self) -> set[str]:
        return set() if self.text is not None else super().obj_what_changed()

    def obj_reset_changes(self, *args: Any, **kwargs: Any) -> None:
        if self.text is None:
            super().obj_reset_changes(*args, **kwargs)


def from_pci_stats(pci_stats: Any) -> Any:
    """The pools that a row of the database has; its text is read later."""
    return UnreadPciDevicePoolList.of(pci_stats) if isinstance(pci_stats, str) else _from_pci_stats(pci_stats)


def replacements(nova_pools: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    yield nova_pools, "from_pci_stats", from_pci_stats
