"""slotwise inside OpenStack Nova 34, through Nova's own extension points.

In ``nova.conf`` of the scheduler::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = slotwise.nova.PciPassthroughFilter
    weight_classes = slotwise.nova.all_weighers

Of two available filters with one name Nova takes the later, so that ``enabled_filters`` stays as it is.

Nova is imported when one of the names here is first used, not before: this module itself can be imported without it.
A Nova that this module does not know is refused with ``UnsupportedNovaError``.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slotwise.nova.plugins import PciPassthroughFilter, PCIWeigher, all_weighers

__all__ = ["PCIWeigher", "PciPassthroughFilter", "UnsupportedNovaError", "all_weighers"]

KNOWN_RELEASE = "34"
"""The major version of Nova whose behaviour was compared with the engine's."""


class UnsupportedNovaError(ImportError):
    """Nova is not installed, or is a version whose behaviour is not known here."""


def check_version() -> None:
    """Raises ``UnsupportedNovaError`` unless the Nova that is installed is one that is known."""
    try:
        version = importlib.metadata.version("nova")
    except importlib.metadata.PackageNotFoundError:
        raise UnsupportedNovaError(
            f"slotwise.nova needs OpenStack Nova {KNOWN_RELEASE}, and no nova is installed in this Python"
        ) from None
    if version.split(".")[0] != KNOWN_RELEASE:
        raise UnsupportedNovaError(
            f"slotwise.nova knows OpenStack Nova {KNOWN_RELEASE}, but nova {version} is installed; "
            f"install nova {KNOWN_RELEASE} or take the names of slotwise.nova out of nova.conf"
        )


def __getattr__(name: str) -> Any:
    if name not in {"PCIWeigher", "PciPassthroughFilter", "all_weighers"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_version()
    from slotwise.nova import plugins

    return getattr(plugins, name)
