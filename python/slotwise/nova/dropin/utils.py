"""In the place of parts of ``nova.pci.utils``."""

# mypy: no-warn-unused-ignores

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from nova.i18n import _  # type: ignore


def get_pci_ids_by_pci_addr(pci_addr: str) -> tuple[str, ...]:
    """The vendor and product id of a device, from the files that sysfs has.

    W13: Nova reads the product from a file ``product``, which does not exist; it is called ``device``.
    """
    from nova.pci import utils  # type: ignore

    ids = []
    for name in ("vendor", "device"):
        path = os.path.join("/sys/bus/pci/devices", pci_addr, name)
        try:
            with open(path) as file:
                line = file.readline()
        except OSError as error:
            utils.LOG.warning("Cannot read the ids of PCI device %s: %s", pci_addr, error)
            raise
        if not line:
            raise ValueError(_("%s does not contain a valid value") % path)
        ids.append(line.strip().replace("0x", ""))
    return tuple(ids)


def replacements(nova_utils: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    yield nova_utils, "get_pci_ids_by_pci_addr", get_pci_ids_by_pci_addr
