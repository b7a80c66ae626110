"""The scheduler's filter and weigher; ``slotwise.nova`` hands them out.

There is no fitting here: pools and requests are converted, handed to the engine, and its answers are applied to the
scheduler's host states.
"""

# Nova has no types, and need not be there when these are checked.
# mypy: allow-subclassing-any, no-warn-unused-ignores

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import nova.conf  # type: ignore
from nova.scheduler import filters, utils, weights  # type: ignore
from nova.scheduler.weights import pci as nova_weigher  # type: ignore
from oslo_log import log as logging  # type: ignore

from slotwise import Fit, Pools, SlotwiseError, Workload, filter_hosts
from slotwise._native import nova_pools
from slotwise.nova import policies, questions
from slotwise.nova.options import strategy
from slotwise.nova.questions import UNREAD

__all__ = ["PCIWeigher", "PciPassthroughFilter", "PolicyWeigher", "all_weighers"]

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF

MAX_CACHED_HOSTS = 100_000
"""Past so many hosts the oldest are forgotten; a host that is asked for again is converted again."""

_Rows = list[dict[str, Any]]


class PoolCache:
    """The pools of each host in the engine's form, kept while the host's own are the same.

    Nova makes new host states for each request, and a claim changes their pools in place; therefore a host is looked
    up by name, and its pools are compared by value.
    """

    def __init__(self) -> None:
        self._hosts: dict[Hashable, tuple[_Rows, Pools]] = {}

    def pools(self, host_state: Any) -> Pools:
        """The host's pools; raises when a row of them is not a valid pool."""
        # With the drop-in, pools that nobody has looked at are in the engine's form already.
        unread = getattr(host_state.pci_stats, UNREAD, None)
        if unread is not None:
            pools: Pools = unread.pools
            return pools
        name = (host_state.host, host_state.nodename)
        rows = host_state.pci_stats.pools
        known = self._hosts.get(name)
        if known is not None and known[0] == rows:
            return known[1]
        self._hosts.pop(name, None)
        # Where device objects are known, they are not part of the scheduler's question.
        copies = [{key: value for key, value in row.items() if key != "devices"} for row in rows]
        pools = nova_pools(copies)
        if len(self._hosts) >= MAX_CACHED_HOSTS:
            del self._hosts[next(iter(self._hosts))]
        self._hosts[name] = (copies, pools)
        return pools


class Question:
    """What one instance asks of each host, with each of Placement's candidates."""

    def __init__(self, requests: Iterable[Any], strategy: str) -> None:
        self.requests = [questions.request(asked) for asked in requests]
        self.strategy = strategy
        # Placement chooses for requests of the flavor only.
        self._groups = tuple(
            request["request_id"] for request in self.requests if request["source"] == "flavor"
        )
        self._requests_of: dict[str, list[int]] = {}

    def key(self, mappings: Mapping[str, list[str]] | None) -> Hashable:
        """The same for two mappings that no request can tell apart.

        Which provider serves which of a request's groups makes no difference, only how often each serves it; groups
        of other resources make none at all. Of a thousand candidates, most are equal in this way.
        """
        if not mappings:
            return None
        if not self._groups:
            return ()
        providers: list[list[str]] = [[] for _ in self._groups]
        for group, rps in mappings.items():
            requests = self._requests_of.get(group)
            if requests is None:
                requests = self._requests_of[group] = [
                    number for number, request_id in enumerate(self._groups) if group.startswith(request_id or "")
                ]
            for number in requests:
                if rps:
                    providers[number].append(rps[0])
        for one in providers:
            if len(one) > 1:
                one.sort()
        return tuple(map(tuple, providers))

    def workload(self, mappings: Mapping[str, list[str]] | None) -> Workload:
        return Workload.from_dict(
            {"requests": self.requests, "provider_mapping": mappings or None, "strategy": self.strategy}
        )


class PciPassthroughFilter(filters.BaseHostFilter):
    """Passes the hosts whose free PCI devices can serve all requests of the instance together.

    It takes the place of Nova's filter of the same name. Of each host's allocation candidates, those that Placement
    made with devices that cannot serve the requests are dropped, as Nova's filter does.
    """

    RUN_ON_REBUILD = False

    def __init__(self) -> None:
        super().__init__()
        self._cache = PoolCache()

    def filter_all(self, filter_obj_list: Iterable[Any], spec_obj: Any) -> list[Any]:
        """The hosts that pass, in the order given."""
        hosts = list(filter_obj_list)
        if utils.request_is_rebuild(spec_obj):
            return hosts
        return self._passing(hosts, spec_obj)

    def host_passes(self, host_state: Any, spec_obj: Any) -> bool:
        """Whether this one host passes."""
        return bool(self._passing([host_state], spec_obj))

    def _passing(self, hosts: list[Any], spec_obj: Any) -> list[Any]:
        pci_requests = spec_obj.pci_requests
        if not pci_requests or not pci_requests.requests:
            return hosts
        question = Question(pci_requests.requests, strategy())
        pools = {i: known for i, host in enumerate(hosts) if (known := self._pools(host)) is not None}

        # Hosts and candidates that ask the same are asked in one call of the engine.
        mappings: dict[Hashable, Any] = {}
        asked: dict[Hashable, dict[int, Pools]] = {}
        keys = {i: [question.key(c["mappings"]) for c in hosts[i].allocation_candidates] for i in pools}
        for i, of_host in keys.items():
            for key, candidate in zip(of_host, hosts[i].allocation_candidates):
                mappings.setdefault(key, candidate["mappings"])
                asked.setdefault(key, {})[i] = pools[i]
        fits = {key: filter_hosts(of_key, question.workload(mappings[key])) for key, of_key in asked.items()}

        passing: list[tuple[Any, Pools]] = []
        for i, host in enumerate(hosts):
            if i not in pools:
                continue
            candidates = host.allocation_candidates
            host.allocation_candidates = [
                candidate for key, candidate in zip(keys[i], candidates) if _may_pass(host, fits[key][i])
            ]
            if host.allocation_candidates:
                passing.append((host, pools[i]))
        allowed = policies.passing(passing, question.requests, spec_obj)
        return [host for (host, _), passes in zip(passing, allowed) if passes]

    def _pools(self, host: Any) -> Pools | None:
        if not host.pci_stats:
            LOG.debug("%s has no PCI devices to hand out", host)
            return None
        return _readable(self._cache, host)


def _readable(cache: PoolCache, host: Any) -> Pools | None:
    """The host's pools, or None and a line in the log."""
    try:
        return cache.pools(host)
    except (SlotwiseError, AttributeError, TypeError, ValueError) as error:
        LOG.error(
            "Host %s, node %s is passed over, because its PCI pools cannot be read: %s",
            host.host,
            host.nodename,
            error,
        )
        return None


def _may_pass(host: Any, fit: Fit) -> bool:
    if fit:
        return True
    if fit.outcome == "undecided":
        # The compute node decides then: no host is lost because the question is hard.
        LOG.warning("Host %s, node %s passes undecided: %s", host.host, host.nodename, fit)
        return True
    LOG.debug("Host %s, node %s: %s", host.host, host.nodename, fit)
    return False


class PCIWeigher(weights.BaseHostWeigher):
    """Keeps hosts with free PCI devices for the instances that need them, with the weights of Nova's weigher.

    Hosts whose pools cannot be read weigh as if they had none, where Nova's weigher fails the request.
    """

    def weight_multiplier(self, host_state: Any) -> float:
        """The factor of the configuration, or of the host's aggregates."""
        multiplier: float = utils.get_weight_multiplier(
            host_state, "pci_weight_multiplier", CONF.filter_scheduler.pci_weight_multiplier
        )
        return multiplier

    def _weigh_object(self, host_state: Any, request_spec: Any) -> int:
        pools = host_state.pci_stats.pools if host_state.pci_stats else []
        try:
            free = sum(pool["count"] for pool in pools)
        except (KeyError, TypeError) as error:
            LOG.error("Host %s, node %s: PCI pool without a count: %r", host_state.host, host_state.nodename, error)
            free = 0
        weight: int = nova_weigher.MAX_DEVS - min(free, nova_weigher.MAX_DEVS - 1)
        return weight


class PolicyWeigher(weights.BaseHostWeigher):
    """Prefers the hosts that the operator's policies give high scores, for instances that ask for PCI devices.

    All hosts are asked about at once. A policy that fails and is to fail closed fails the request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._cache = PoolCache()

    def weight_multiplier(self, host_state: Any) -> float:
        """The factor of the configuration, or of the host's aggregates."""
        multiplier: float = utils.get_weight_multiplier(
            host_state, "policy_weight_multiplier", CONF.slotwise.policy_weight_multiplier
        )
        return multiplier

    def weigh_objects(self, weighed_obj_list: Iterable[Any], weight_properties: Any) -> list[float]:
        """The weight of each host; all 0 where no policy scores."""
        hosts = [weighed.obj for weighed in weighed_obj_list]
        pci_requests = weight_properties.pci_requests
        if not pci_requests or not pci_requests.requests or not policies.answering("score"):
            return [0.0] * len(hosts)
        nothing = Pools([])
        pools = [(_readable(self._cache, host) if host.pci_stats else None) or nothing for host in hosts]
        requests = [questions.request(asked) for asked in pci_requests.requests]
        return policies.scores(list(zip(hosts, pools)), requests, weight_properties)

    def _weigh_object(self, host_state: Any, request_spec: Any) -> float:
        return self.weigh_objects([weights.WeighedHost(host_state, 0.0)], request_spec)[0]


def all_weighers() -> list[type]:
    """All weighers of Nova with ours in the place of Nova's own, and that of policies; for ``weight_classes``."""
    replaced = nova_weigher.PCIWeigher
    weighers = [PCIWeigher if weigher is replaced else weigher for weigher in weights.all_weighers()]
    return [*weighers, PolicyWeigher]
