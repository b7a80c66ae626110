"""A scheduler's host states: which can serve an instance, and how many free devices each has.

There is no fitting here, and no loop over hosts: all of them are handed over in one call, which reads them in place, asks the
engine, and narrows their candidates.
"""

# Nova has no types, and need not be there when these are checked.
# mypy: no-warn-unused-ignores

from __future__ import annotations

from logging import DEBUG
from typing import Any

from oslo_log import log as logging  # type: ignore

from slotwise import Pools, SlotwiseError
from slotwise._native import NovaHost, NovaHosts
from slotwise.nova import dropin, policies, questions
from slotwise.nova.options import strategy
from slotwise.nova.questions import UNREAD

LOG = logging.getLogger(__name__)


class Filter:
    """Finds the hosts that can serve an instance; hosts that are as they were when they were last asked are not read again."""

    def __init__(self) -> None:
        self.known = NovaHosts()

    def passing(self, states: list[Any], spec_obj: Any) -> list[Any]:
        """The hosts that pass, in the order given; of each the candidates that do, as Nova's ``CandidateFilterMixin`` does."""
        asked = spec_obj.pci_requests
        if not asked or not asked.requests:
            return states
        passing = self._serving(states, asked.requests)
        if not policies.answering("filter"):
            return passing
        pools = [(state, self.known.host(state, unread()).pools) for state in passing]
        allowed = policies.passing(pools, map(questions.request, asked.requests), spec_obj)
        return [state for state, passes in zip(passing, allowed) if passes]

    def _serving(self, states: list[Any], requests: list[Any]) -> list[Any]:
        passing, broken, undecided, refused = self.known.passing(
            states, requests, strategy(), questions.make, unread(), LOG.isEnabledFor(DEBUG)
        )
        for state, error in broken:
            _say_broken(state, error)
        for state, workload in undecided:
            # The compute node decides then: no host is lost because the question is hard.
            fit = self.known.host(state, unread()).pools.fit(workload)
            LOG.warning("Host %s, node %s passes undecided: %s", state.host, state.nodename, fit)
        for state, host, workload in refused:
            LOG.debug("Host %s, node %s: %s", state.host, state.nodename, host.pools.fit(workload))
        return passing


class Reader:
    """Reads the pools of hosts, those only that are not as they were."""

    def __init__(self) -> None:
        self._known = NovaHosts()

    def read(self, state: Any) -> Pools | None:
        """The host's pools, or None and a line in the log."""
        try:
            return self._known.host(state, unread()).pools
        except (SlotwiseError, AttributeError, TypeError, ValueError) as error:
            _say_broken(state, error)
            return None


def _say_broken(state: Any, error: Exception) -> None:
    LOG.error(
        "Host %s, node %s is passed over, because its PCI pools cannot be read: %s", state.host, state.nodename, error
    )


def unread() -> str | None:
    """Where pools that nobody has looked at are kept, if there can be any."""
    return UNREAD if dropin.is_active() else None


def weight(state: Any, most: int) -> int:
    """The weight of a host by Nova's rule: fewer free devices weigh more; ``most`` is the most that count.

    No list of pools is made of those that nobody has looked at. Pools that cannot be read weigh as if there were none.
    """
    free = 0
    if state.pci_stats:
        host: NovaHost | None = getattr(state.pci_stats, "__dict__", {}).get(UNREAD)
        try:
            free = sum(pool["count"] for pool in state.pci_stats.pools) if host is None else host.free
        except (KeyError, TypeError) as error:
            LOG.error("Host %s, node %s: PCI pool without a count: %r", state.host, state.nodename, error)
    return most - min(free, most - 1)
