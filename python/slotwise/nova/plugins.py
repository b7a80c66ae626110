"""The scheduler's filter and weigher; ``slotwise.nova`` hands them out."""

# Nova has no types, and need not be there when these are checked.
# mypy: allow-subclassing-any, no-warn-unused-ignores

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import nova.conf  # type: ignore
from nova.scheduler import filters, utils, weights  # type: ignore
from nova.scheduler.weights import pci as nova_weigher  # type: ignore

from slotwise import Pools
from slotwise.nova import hosts, policies, questions

__all__ = ["PCIWeigher", "PciPassthroughFilter", "PolicyWeigher", "all_weighers"]

CONF = nova.conf.CONF


class PciPassthroughFilter(filters.BaseHostFilter):
    """Passes the hosts whose free PCI devices can serve all requests of the instance together.

    It takes the place of Nova's filter of the same name. Of each host's allocation candidates, those that Placement
    made with devices that cannot serve the requests are dropped, as Nova's filter does.
    """

    RUN_ON_REBUILD = False

    def __init__(self) -> None:
        super().__init__()
        self._question = hosts.Filter()

    def filter_all(self, filter_obj_list: Iterable[Any], spec_obj: Any) -> list[Any]:
        """The hosts that pass, in the order given."""
        states = list(filter_obj_list)
        return states if utils.request_is_rebuild(spec_obj) else self._question.passing(states, spec_obj)

    def host_passes(self, host_state: Any, spec_obj: Any) -> bool:
        """Whether this one host passes."""
        return bool(self._question.passing([host_state], spec_obj))


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
        return hosts.weight(host_state, nova_weigher.MAX_DEVS)


class PolicyWeigher(weights.BaseHostWeigher):
    """Prefers the hosts that the operator's policies give high scores, for instances that ask for PCI devices.

    All hosts are asked about at once. A policy that fails and is to fail closed fails the request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pools = hosts.Reader()

    def weight_multiplier(self, host_state: Any) -> float:
        """The factor of the configuration, or of the host's aggregates."""
        multiplier: float = utils.get_weight_multiplier(
            host_state, "policy_weight_multiplier", CONF.slotwise.policy_weight_multiplier
        )
        return multiplier

    def weigh_objects(self, weighed_obj_list: Iterable[Any], weight_properties: Any) -> list[float]:
        """The weight of each host; all 0 where no policy scores."""
        states = [weighed.obj for weighed in weighed_obj_list]
        pci_requests = weight_properties.pci_requests
        if not pci_requests or not pci_requests.requests or not policies.answering("score"):
            return [0.0] * len(states)
        nothing = Pools([])
        pools = [(self._pools.read(state) if state.pci_stats else None) or nothing for state in states]
        requests = [questions.request(asked) for asked in pci_requests.requests]
        return policies.scores(list(zip(states, pools)), requests, weight_properties)

    def _weigh_object(self, host_state: Any, request_spec: Any) -> float:
        return self.weigh_objects([weights.WeighedHost(host_state, 0.0)], request_spec)[0]


def all_weighers() -> list[type]:
    """All weighers of Nova with ours in the place of Nova's own, and that of policies; for ``weight_classes``."""
    replaced = nova_weigher.PCIWeigher
    weighers = [PCIWeigher if weigher is replaced else weigher for weigher in weights.all_weighers()]
    return [*weighers, PolicyWeigher]
