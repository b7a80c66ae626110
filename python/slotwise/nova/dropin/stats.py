"""In the place of ``nova.pci.stats.PciDeviceStats``: which devices there are, and which an instance gets.

A scheduler's pools stay in the engine's form until somebody asks for ``pools``; from then on that list is what counts, as
it is in Nova. On a compute node the list is always there, because it holds the ``PciDevice`` objects.
"""

# mypy: no-warn-unused-ignores

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from logging import DEBUG
from types import ModuleType
from typing import Any

from nova import exception  # type: ignore
from nova.objects import fields  # type: ignore
from nova.pci import stats as nova_stats  # type: ignore
from nova.pci import whitelist

import slotwise
from slotwise import InvalidAddressError, Pools, SlotwiseError, Workload
from slotwise._native import (
    NovaHost,
    nova_fit,
    nova_host,
    nova_host_of,
    nova_kept,
    nova_pool_keys,
    nova_pools,
    nova_supports,
)
from slotwise.nova import policies, questions
from slotwise.nova.dropin.pci_device_pool import UnreadPciDevicePoolList
from slotwise.nova.options import strategy

LOG = nova_stats.LOG

_UNREAD = questions.UNREAD
_SEEN = "_slotwise_seen"
_NONE = nova_host("null")

_announced = False

MAX_BROKEN = 1000
_broken: set[str] = set()
"""Rows that could not be read, which is said once."""

Pool = dict[str, Any]


def _init(self: Any, numa_topology: Any, stats: Any = None, dev_filter: Any = None) -> None:
    if not _announced:
        _announce()
    self.numa_topology = numa_topology
    if dev_filter is not None:
        self.dev_filter = dev_filter
    if type(stats) is UnreadPciDevicePoolList and stats.text is not None:
        # UNREAD: this is done for each host of each request.
        self._slotwise_unread = _read(stats.text)
    else:
        self.pools = sorted((pool.to_dict() for pool in stats), key=len) if stats else []


def _read(text: str) -> NovaHost:
    """The pools of one host. A row that cannot be read costs that host, and not the request."""
    try:
        return nova_host(text)
    except SlotwiseError as error:
        if text not in _broken:
            LOG.error("A host is taken to have no PCI devices, because its pools cannot be read: %s", error)
            if len(_broken) >= MAX_BROKEN:
                _broken.clear()
            _broken.add(text)
        return _NONE


def _getattr(self: Any, name: str) -> Any:
    """What was not needed so far: ``pools`` and ``dev_filter``."""
    if name == "pools" and _UNREAD in self.__dict__:
        self.pools = [_flat(pool) for pool in self.__dict__.pop(_UNREAD).pools.to_list()]
        return self.pools
    if name == "dev_filter":
        self.dev_filter = whitelist.Whitelist(nova_stats.CONF.pci.device_spec)
        return self.dev_filter
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _flat(pool: Pool) -> Pool:
    tags = pool.pop("tags")
    return {**pool, **tags}


def before_restore() -> None:
    """Gives Nova the attributes that its own code expects."""
    for stats in gc.get_objects():
        if type(stats) is nova_stats.PciDeviceStats and _UNREAD in vars(stats):
            _getattr(stats, "pools")


def _engine_pools(self: Any, asks_for_sockets: bool) -> Pools:
    if asks_for_sockets:
        return nova_pools(self.pools, questions.numa_topology(self.numa_topology))
    host = _host(self)
    return nova_pools(self.pools) if host is None else host.pools


def _host(self: Any) -> NovaHost | None:
    """A scheduler's pools, which are read anew only when they have changed; None on a compute node."""
    host: NovaHost | None = self.__dict__.get(_UNREAD)
    if host is not None:
        return host
    rows = self.pools
    if any("devices" in row for row in rows):
        return None
    # The NUMA fit asks about each permutation of cells, and has the pools in its hands meanwhile.
    host = nova_host_of(rows, self.__dict__.get(_SEEN))
    setattr(self, _SEEN, host)
    return host


def _asks_for_sockets(requests: Sequence[Any], cells: Any) -> bool:
    """Only this policy looks at the host's cells."""
    return bool(cells) and any(getattr(asked, "_obj_numa_policy", None) == "socket" for asked in requests)


def _question(
    self: Any, requests: Sequence[Any], mapping: Any, cells: Any, how: str
) -> tuple[Pools, Workload]:
    pools = _engine_pools(self, _asks_for_sockets(requests, cells))
    return pools, questions.workload(requests, mapping, cells, how)


def support_requests(self: Any, requests: Sequence[Any], provider_mapping: Any, numa_cells: Any = None) -> bool:
    """Whether this host can serve the requests; nothing is taken."""
    if not requests:
        return True
    asks_for_sockets = _asks_for_sockets(requests, numa_cells)
    host = None if asks_for_sockets else _host(self)
    if host is not None:
        cells = questions.cell_ids(numa_cells)
        supports = host.supports(requests, provider_mapping, cells, strategy(), questions.make)
    else:
        pools, asked = _question(self, requests, provider_mapping, numa_cells, strategy())
        supports = nova_supports(pools, asked)
    if supports is None:
        # The compute node decides then: no host is lost because the question is hard.
        LOG.warning("A host passes undecided: the search for its PCI devices was given up")
        return True
    if not supports and LOG.isEnabledFor(DEBUG):
        pools, asked = _question(self, requests, provider_mapping, numa_cells, strategy())
        LOG.debug("%s", nova_fit(pools, asked, False)[0])
    return supports


def _decide(
    self: Any, requests: Sequence[Any], mapping: Any, cells: Any, claim: bool
) -> tuple[list[list[tuple[int, int]]], list[int]]:
    """What is taken for each request as ``(pool, count)``, and what each pool has left; raises when it does not fit."""
    for how in dict.fromkeys((strategy(), "nova")):
        pools, asked = _question(self, requests, mapping, cells, how)
        if claim and how == "exact":
            pools, asked = policies.in_order(pools, self.pools, asked)
        fit, taken = nova_fit(pools, asked, claim)
        if taken is not None:
            if claim and how == "exact":
                _put_last(self.pools, fit)
            return taken
        LOG.debug("%s", fit)
        # A question that is too hard is answered in Nova's way.
        if fit.outcome != "undecided":
            break
    raise exception.PciDeviceRequestFailed(requests=requests)


def _put_last(pools: Sequence[Pool], fit: slotwise.Fit) -> None:
    """Puts the devices that a fit names where they are taken from, the first at the very end."""
    places = {address: -place for place, address in enumerate(fit.devices)}
    if places:
        for pool in pools:
            # The sort is stable: the others stay as they are.
            pool["devices"].sort(key=lambda device: places.get(device.address, -len(places)))


def apply_requests(self: Any, requests: Sequence[Any], provider_mapping: Any, numa_cells: Any = None) -> None:
    """Takes what the requests need from a scheduler's pools."""
    if not requests:
        return
    _, left = _decide(self, requests, provider_mapping, numa_cells, False)
    kept = []
    for pool, count in zip(self.pools, left):
        before, pool["count"] = pool["count"], count
        if count > 0 or before == 0:
            kept.append(pool)
    self.pools[:] = kept


def consume_requests(self: Any, pci_requests: Sequence[Any], numa_cells: Any = None) -> list[Any]:
    """Takes the devices that the requests get, or none at all (W06)."""
    if not pci_requests:
        return []
    try:
        picks, _ = _decide(self, pci_requests, None, numa_cells, True)
    except SlotwiseError as error:
        LOG.error("PCI devices are not claimed for an instance: %s", error)
        raise exception.PciDeviceRequestFailed(requests=pci_requests) from error
    except exception.PciDeviceRequestFailed:
        LOG.error(
            "PCI devices could not be claimed for an instance. This should not happen, since the scheduler has "
            "accurate information and claims on the compute node are made one after the other."
        )
        raise
    pools = list(self.pools)
    taken = []
    for request, wanted in zip(pci_requests, picks):
        for index, count in wanted:
            pool = pools[index]
            for _ in range(count):
                device = pool["devices"].pop()
                pool["count"] -= 1
                _exclude(self, device)
                device.request_id = request.request_id
                taken.append(device)
    return taken


def _exclude(self: Any, device: Any) -> None:
    """Takes the devices out of the pools that nobody can have while this one is held."""
    if device.dev_type == fields.PciDeviceType.SRIOV_PF:
        _take_out(self, device.address, device.child_devices)
    elif device.dev_type in (fields.PciDeviceType.SRIOV_VF, fields.PciDeviceType.VDPA):
        _take_out(self, device.parent_addr, [device.parent_device] if device.parent_device else [])


def _take_out(self: Any, card: str, devices: Sequence[Any]) -> None:
    if not devices:
        return
    places = set(map(id, devices))
    left = []
    for pool in self.pools:
        # The pools of a card carry its address.
        if pool["address"] != card:
            left.append(pool)
            continue
        kept = [device for device in pool["devices"] if id(device) not in places]
        gone = len(pool["devices"]) - len(kept)
        if gone:
            pool["devices"][:] = kept
            pool["count"] -= gone
        if not gone or pool["count"]:
            left.append(pool)
    self.pools[:] = left


def _filter_pools_for_spec(self: Any, pools: list[Pool], request: Any) -> list[Pool]:
    """Those of the pools whose devices have what a request asks for."""
    asked = {"count": 1, "alternatives": request.spec}
    return _kept_by(pools, None, asked, "attributes", None)


def _filter_pools_for_socket_affinity(self: Any, pools: list[Pool], numa_cells: Any) -> list[Pool]:
    """Those of the pools that are on a socket of the guest's cells."""
    topology = questions.numa_topology(self.numa_topology)
    if topology is None or any(cell["socket"] is None for cell in topology["cells"]):
        LOG.debug("No socket information in host NUMA cell(s).")
        return []
    asked = {"count": 1, "alternatives": [{}], "numa_policy": "socket"}
    return _kept_by(pools, topology, asked, "numa", questions.cell_ids(numa_cells))


def _kept_by(pools: list[Pool], topology: Any, asked: dict[str, Any], step: str, cells: Any) -> list[Pool]:
    workload = Workload.from_dict({"requests": [asked], "numa_cells": cells})
    rows = [{"count": 0, **pool} for pool in pools]
    return [pools[index] for index in nova_kept(nova_pools(rows, topology), workload, step)]


def _create_pool_keys_from_dev(self: Any, dev: Any) -> Pool | None:
    """The keys of the pool that a device belongs to; None if no rule lets it be handed out."""
    devspec = self.dev_filter.get_devspec(dev)
    if not devspec:
        return None
    tags = devspec.get_tags() or {}
    facts = dev.vendor_id, dev.product_id, dev.dev_type, dev.numa_node
    try:
        return nova_pool_keys(dev.address, *facts, dev.parent_addr, dev.extra_info.get("parent_ifname"), tags)
    except InvalidAddressError:
        # Addresses that are not of PCI, as another hypervisor may have them, are plain texts to Nova.
        keys = nova_pool_keys(_OWN, *facts, _PARENT, dev.extra_info.get("parent_ifname"), tags)
        return {**keys, "address": dev.address if keys["address"] == _OWN else dev.parent_addr}


_OWN, _PARENT = "0000:00:00.0", "0000:00:00.1"


def _has_keys(pool: Pool, keys: Pool) -> bool:
    """Whether a pool is of these keys: no more, no fewer, and the same values."""
    if pool["address"] != keys["address"]:
        return False
    own = len(pool) - 2 - sum(tag in pool for tag in nova_stats.PciDeviceStats.ignored_pool_tags)
    return own == len(keys) and all(name in pool and pool[name] == value for name, value in keys.items())


def add_device(self: Any, dev: Any) -> None:
    """Puts a free device into the pool that it belongs to, which is made if need be."""
    keys = self._create_pool_keys_from_dev(dev)
    if keys is None:
        return
    pool = next((pool for pool in self.pools if _has_keys(pool, keys)), None)
    if pool is None:
        pool = {**keys, "count": 0, "devices": []}
        self.pools.append(pool)
        self.pools.sort(key=len)
    pool["count"] += 1
    pool["devices"].append(dev)


def _pool_of(self: Any, dev: Any) -> tuple[Pool, int] | None:
    """The pool that a device is in and its place there, whatever it looks like by now (W19)."""
    for pool in self.pools:
        for place, device in enumerate(pool["devices"]):
            if device is dev:
                return pool, place
    return None


def remove_device(self: Any, dev: Any) -> None:
    """Takes a device out of its pool; the pool goes when it is empty then."""
    found = _pool_of(self, dev)
    if found is None:
        if self._create_pool_keys_from_dev(dev) is None:
            return
        raise exception.PciDevicePoolEmpty(compute_node_id=dev.compute_node_id, address=dev.address)
    pool, place = found
    del pool["devices"][place]
    pool["count"] -= 1
    if pool["count"] <= 0:
        _drop(self.pools, pool)


def _drop(pools: list[Pool], gone: Pool) -> None:
    pools[:] = [pool for pool in pools if pool is not gone]


def update_device(self: Any, dev: Any) -> None:
    """Moves a free device whose facts have changed into the pool that it belongs to now (W19)."""
    found = _pool_of(self, dev)
    if found is None:
        return
    keys = self._create_pool_keys_from_dev(dev)
    if keys is not None and _has_keys(found[0], keys):
        return
    self.remove_device(dev)
    self.add_device(dev)


def has_remote_managed_device_pools(self: Any) -> bool:
    """Whether any pool is of remote-managed devices."""
    asked = {"count": 1, "alternatives": [{"remote_managed": "true"}]}
    return bool(_kept_by(self.pools, None, asked, "attributes", None))


def _assert_one_pool_per_rp_uuid(pools: list[Pool]) -> bool:
    """Whether no two pools are of one resource provider. Nobody needs it: the engine can tell them apart (W08)."""
    providers = [pool["rp_uuid"] for pool in pools if "rp_uuid" in pool]
    return len(providers) == len(set(providers))


_GONE = (
    "_allocate_devs",
    "_apply_request",
    "_decrease_pool_count",
    "_ensure_remote_managed_tag",
    "_equal_properties",
    "_filter_pools",
    "_filter_pools_based_on_placement_allocation",
    "_filter_pools_for_live_migratable_devices",
    "_filter_pools_for_numa_cells",
    "_filter_pools_for_unrequested_pfs",
    "_filter_pools_for_unrequested_remote_managed_devices",
    "_filter_pools_for_unrequested_vdpa_devices",
    "_find_pool",
    "_get_pool_with_device_type_mismatch",
    "_get_rp_uuids_for_request",
    "_handle_device_dependents",
)
"""Parts of what Nova does in steps and the engine at once."""


def _gone(name: str) -> Any:
    def gone(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"PciDeviceStats.{name} does not exist while slotwise decides: ask support_requests")

    return gone


def _announce() -> None:
    """Tells an operator once in each process that it is not plain Nova that decides."""
    global _announced
    _announced = True
    LOG.info("slotwise %s decides about PCI devices, with strategy %s", slotwise.__version__, strategy())


def replacements(nova_module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    stats = nova_module.PciDeviceStats
    yield stats, "__init__", _init
    yield stats, "__getattr__", _getattr
    for function in (
        support_requests,
        apply_requests,
        consume_requests,
        _filter_pools_for_spec,
        _filter_pools_for_socket_affinity,
        _create_pool_keys_from_dev,
        add_device,
        remove_device,
        update_device,
        has_remote_managed_device_pools,
    ):
        yield stats, function.__name__, function
    yield stats, "_assert_one_pool_per_rp_uuid", staticmethod(_assert_one_pool_per_rp_uuid)
    for name in _GONE:
        yield stats, name, _gone(name)
