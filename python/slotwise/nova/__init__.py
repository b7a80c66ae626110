"""slotwise inside OpenStack Nova 34, through Nova's own extension points.

In ``nova.conf`` of the scheduler::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = slotwise.nova.PciPassthroughFilter
    weight_classes = slotwise.nova.all_weighers

Of two available filters with one name Nova takes the later, so that ``enabled_filters`` stays as it is.

As a drop-in: ``slotwise-nova nova-compute`` (or any other program) runs Nova with its PCI code replaced, which has no
extension points; ``activate()`` does the same in a running Python.

Nova is imported when one of the names here is first used, not before: this module itself can be imported without it.
A Nova that this module does not know is refused with ``UnsupportedNovaError``.
"""

from __future__ import annotations

import importlib.metadata
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slotwise.nova.plugins import PciPassthroughFilter, PCIWeigher, PolicyWeigher, all_weighers

__all__ = [
    "PCIWeigher",
    "PciPassthroughFilter",
    "PolicyWeigher",
    "UnsupportedNovaError",
    "activate",
    "all_weighers",
    "deactivate",
    "is_active",
]

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


def activate() -> None:
    """Puts the engine in the place of Nova's PCI code, in this process. Doing it twice does nothing more.

    Modules of Nova that are not imported yet are replaced when they are. Raises ``UnsupportedNovaError``.
    """
    check_version()
    from slotwise.nova import dropin

    dropin.activate()


def deactivate() -> None:
    """Puts Nova's own code back."""
    from slotwise.nova import dropin

    dropin.deactivate()


def is_active() -> bool:
    """Whether the drop-in is active in this process."""
    from slotwise.nova import dropin

    return dropin.is_active()


class _Refusal(MetaPathFinder):
    """Makes the import of Nova fail, with the reason."""

    def __init__(self, error: UnsupportedNovaError) -> None:
        self._error = error

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "nova":
            raise self._error


def activate_in_child() -> None:
    """What ``slotwise-nova`` makes each Python do that it starts.

    Programs that have nothing to do with Nova go on as they are; a Nova that is not known cannot be imported.
    """
    try:
        activate()
    except UnsupportedNovaError as error:
        sys.meta_path.insert(0, _Refusal(error))


def __getattr__(name: str) -> Any:
    if name not in {"PCIWeigher", "PciPassthroughFilter", "PolicyWeigher", "all_weighers"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_version()
    from slotwise.nova import plugins

    return getattr(plugins, name)
