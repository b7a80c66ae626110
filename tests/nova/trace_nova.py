"""Shows which functions of Nova's PCI code are executed, and that those that slotwise replaces are not."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

# What Nova's modules go on doing themselves; everything else in them is watched.
KEPT = {
    "nova.pci.stats": {
        # The containers that Nova's other code looks at, and its own objects.
        "PciDeviceStats.__eq__",
        "PciDeviceStats.__iter__",
        "PciDeviceStats.clear",
        "PciDeviceStats.get_free_devs",
        "PciDeviceStats.populate_pools_metadata_from_assigned_devices",
        "PciDeviceStats.to_device_pools_obj",
    },
}
WATCHED = {
    "nova.pci.devspec": {
        "PciAddressGlobSpec.match",
        "PciAddressRegexSpec.match",
        "PciDeviceSpec._address_obj",
        "PciDeviceSpec._ensure_remote_managed_dev_vpd_serial",
        "PciDeviceSpec.match",
        "PciDeviceSpec.match_pci_obj",
        "PhysicalPciAddress.match",
        "WhitelistPciAddress.match",
    },
    "nova.pci.whitelist": {"Whitelist.device_assignable", "Whitelist.get_devspec"},
    "nova.pci.request": {"get_alias_from_config", "_translate_alias_to_requests"},
    "nova.pci.manager": {
        "PciDevTracker._free_device",
        "PciDevTracker._set_hvdevs",
        "PciDevTracker.save",
        "PciDevTracker.update_devices_from_hypervisor_resources",
    },
    "nova.objects.pci_device": {
        "PciDevice.allocate",
        "PciDevice.claim",
        "PciDevice.free",
        "PciDevice.remove",
    },
}


def _functions(code: CodeType, inside: str = "") -> Iterator[tuple[str, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
            name = f"{inside}{constant.co_name}"
            yield name, constant
            yield from _functions(constant, f"{name}.")


class Trace:
    """Counts the calls of the functions that slotwise replaces."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._watched: dict[tuple[str, int], str] = {}
        for module in (*KEPT, *WATCHED):
            spec = importlib.util.find_spec(module)
            assert spec is not None and spec.origin is not None
            for name, code in _functions(compile(Path(spec.origin).read_text(), spec.origin, "exec")):
                if module in KEPT:
                    # Nested functions, too, and classes; a class body runs when it is imported.
                    wanted = "." in name and name not in KEPT[module]
                else:
                    wanted = name in WATCHED[module]
                if wanted:
                    self._watched[spec.origin, code.co_firstlineno] = f"{module}.{name}"
        self._files = {file for file, _ in self._watched}

    @property
    def watched(self) -> list[str]:
        """The functions that are watched."""
        return sorted(self._watched.values())

    def start(self) -> None:
        threading.settrace(self._see)
        sys.settrace(self._see)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def _see(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if code.co_filename in self._files:
            name = self._watched.get((code.co_filename, code.co_firstlineno))
            if name is not None:
                self.calls[name] += 1
