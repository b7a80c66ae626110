"""The drop-in: Nova's own PCI code gives its work to the engine.

Each module here has the name of the Nova module whose functions and methods it replaces, and lists them in
``replacements``. They are put in the place of Nova's when that module is imported, or at once if it has been; nothing of
Nova is imported before its time, because its services patch the standard library first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from slotwise.nova.dropin import hook

Replacement = tuple[Any, str, Any]
"""The class or module, the name of its attribute, and what takes its place."""

MODULES = {
    "nova.pci.utils": "slotwise.nova.dropin.utils",
    "nova.pci.devspec": "slotwise.nova.dropin.devspec",
    "nova.pci.whitelist": "slotwise.nova.dropin.whitelist",
    "nova.pci.request": "slotwise.nova.dropin.request",
    "nova.pci.stats": "slotwise.nova.dropin.stats",
    "nova.pci.manager": "slotwise.nova.dropin.manager",
    "nova.network.neutron": "slotwise.nova.dropin.neutron",
    "nova.objects.pci_device": "slotwise.nova.dropin.pci_device",
    "nova.objects.pci_device_pool": "slotwise.nova.dropin.pci_device_pool",
    "nova.scheduler.filters.pci_passthrough_filter": "slotwise.nova.dropin.pci_passthrough_filter",
    "nova.scheduler.weights.pci": "slotwise.nova.dropin.pci_weigher",
}
"""Nova's modules, and those that replace parts of them."""

_MISSING = object()
_replaced: dict[str, list[Replacement]] = {}
"""For each of Nova's modules what was there before."""


def activate() -> None:
    """Puts the engine in the place of Nova's code, now or when that is imported. Doing it twice does nothing more."""
    hook.watch(MODULES, _replace)
    for name in MODULES:
        module = sys.modules.get(name)
        # A module that is being imported just now is replaced when that is done.
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            _replace(name, module)


def deactivate() -> None:
    """Puts everything back as Nova had it."""
    hook.unwatch()
    for name in list(_replaced):
        ours = importlib.import_module(MODULES[name])
        if hasattr(ours, "before_restore"):
            ours.before_restore()
        for owner, attribute, before in reversed(_replaced.pop(name)):
            if before is _MISSING:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, before)


def is_active() -> bool:
    """Whether the drop-in is active."""
    return hook.is_watching()


def replaced() -> list[tuple[str, str]]:
    """The module and the name of everything that is replaced now, such as ``PciDeviceStats.add_device``."""
    return [
        (module, attribute if isinstance(owner, ModuleType) else f"{owner.__name__}.{attribute}")
        for module, entries in _replaced.items()
        for owner, attribute, _ in entries
    ]


def _replace(name: str, module: ModuleType) -> None:
    if name in _replaced:
        return
    entries = _replaced.setdefault(name, [])
    for owner, attribute, value in _replacements(name, module):
        entries.append((owner, attribute, vars(owner).get(attribute, _MISSING)))
        setattr(owner, attribute, value)


def _replacements(name: str, module: ModuleType) -> Iterable[Replacement]:
    ours = importlib.import_module(MODULES[name])
    wanted: Iterable[Replacement] = ours.replacements(module)
    return wanted
