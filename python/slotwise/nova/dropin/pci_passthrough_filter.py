"""In the place of the loops of ``nova.scheduler.filters.pci_passthrough_filter``: Nova's filter does what the plug-in does.

Nova asks one host after the other, one candidate after the other, and writes each candidate out for a debug line that is
mostly not wanted.
"""

# mypy: no-warn-unused-ignores

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from nova.pci import stats  # type: ignore
from nova.scheduler.filters import pci_passthrough_filter  # type: ignore

from slotwise.nova import hosts

_host_passes_of_nova = pci_passthrough_filter.PciPassthroughFilter.host_passes

_filter = hosts.Filter()


def _is_known(host: Any) -> bool:
    """Whether a host has what Nova gives it, and not what somebody else put in its place."""
    return host.pci_stats is None or type(host.pci_stats) is stats.PciDeviceStats


def filter_all(self: Any, filter_obj_list: Iterable[Any], spec_obj: Any) -> list[Any]:
    """The hosts that pass, in the order given."""
    # As Nova's _filter_one does, because that module imports the filters.
    from nova.scheduler import utils  # type: ignore

    states = list(filter_obj_list)
    # Who has put something in the place of the filter's verdict about one host is asked about each.
    if type(self).host_passes is host_passes and all(map(_is_known, states)):
        return states if utils.request_is_rebuild(spec_obj) else _filter.passing(states, spec_obj)
    return [state for state in states if self._filter_one(state, spec_obj)]


def host_passes(self: Any, host_state: Any, spec_obj: Any) -> bool:
    """Whether this one host passes."""
    if _is_known(host_state):
        return bool(_filter.passing([host_state], spec_obj))
    passes: bool = _host_passes_of_nova(self, host_state, spec_obj)
    return passes


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    for function in (filter_all, host_passes):
        yield nova_module.PciPassthroughFilter, function.__name__, function
