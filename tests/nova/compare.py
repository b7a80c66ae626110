"""What the same work costs in Nova and with slotwise, both measured in this run.

    cargo xtask compare nova

Times are medians of processor time, which other work on the machine does not disturb much. A ratio says how many times Nova's time is slotwise's; the goal is the ratio that is aimed at.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import plain
from dropin import OWNERS, card, pool, request
from nova import context, objects
from nova.objects import pci_device_pool
from nova.pci import manager, stats
from nova.scheduler import host_manager
from nova.scheduler.filters import pci_passthrough_filter
from nova.virt import hardware

import slotwise.nova

Work = Callable[[], Callable[[], Any]]
"""Prepares, and returns what is measured."""

ENOUGH_SECONDS, MOST_RUNS, FEWEST_RUNS = 0.4, 300, 3


def median(work: Work, fewest: int = FEWEST_RUNS) -> float:
    """The median time of the work, prepared anew for each run."""
    times: list[float] = []
    while len(times) < fewest or (sum(times) < ENOUGH_SECONDS and len(times) < MOST_RUNS):
        run = work()
        gc.collect(0)
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


@contextmanager
def dropped_in() -> Iterator[None]:
    slotwise.nova.activate()
    try:
        yield
    finally:
        slotwise.nova.deactivate()


class Table:
    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float, float, str]] = []

    def add(self, work: str, size: str, nova: float, ours: float, goal: str = "") -> None:
        self.rows.append((work, size, nova, ours, goal))
        if sys.stdout.isatty():
            print(f"  … {work}, {size}", file=sys.stderr)

    def show(self) -> None:
        print(f"{'work':<58} {'size':<15} {'Nova':>10} {'slotwise':>10} {'ratio':>8} {'goal':>7}")
        for work, size, nova, ours, goal in self.rows:
            print(f"{work:<58} {size:<15} {_time(nova):>10} {_time(ours):>10} {nova / ours:>7.0f}× {goal:>7}")
        print()
        for work in dict.fromkeys(work for work, *_ in self.rows):
            rows = [row for row in self.rows if row[0] == work]
            if len(rows) > 1:
                nova, ours = (rows[-1][side] / rows[0][side] for side in (2, 3))
                print(f"from {rows[0][1]} to {rows[-1][1]}, {work}: Nova {nova:.1f} times as long, slotwise {ours:.1f}")


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def host_pools(count: int) -> list[dict[str, Any]]:
    return [
        pool(
            product_id=f"{0x1000 + n % 4:04x}",
            numa_node=n % 2,
            dev_type="type-VF",
            count=8,
            address=f"0000:{0x10 + n:02x}:00.0",
            physical_network="blue",
            remote_managed="false",
            rp_uuid=OWNERS[n % 10],
        )
        for n in range(count)
    ]


TWO = [
    request(0, count=2, alternatives=[{"product_id": "1003", "dev_type": "type-VF"}]),
    request(1, alternatives=[{"product_id": "1002"}, {"product_id": "1001"}]),
]


def scheduler(table: Table) -> None:
    from slotwise.nova.dropin import stats as dropin_stats

    for count in (4, 16, 64):
        text = json.dumps(pci_device_pool.from_pci_stats(host_pools(count)).obj_to_primitive())
        asked = plain.pci_requests(TWO)

        def build() -> Any:
            return stats.PciDeviceStats(None, pci_device_pool.from_pci_stats(text), plain.NO_RULES)

        def verdict() -> Any:
            return build().support_requests(asked, None)

        def first() -> Any:
            dropin_stats._kept.clear()
            return verdict

        size = f"{count} pools"
        host = build()
        nova_verdict, nova_support = median(lambda: verdict), median(lambda: lambda: host.support_requests(asked, None))
        nova_build = median(lambda: build)
        with dropped_in():
            build()
            table.add("host state from the database's JSON", size, nova_build, median(lambda: build))
            table.add("from JSON to the verdict, host as before", size, nova_verdict, median(lambda: verdict), "100×")
            table.add("from JSON to the verdict, host never seen", size, nova_verdict, median(first))
            lazy = build()
            ours = median(lambda: lambda: lazy.support_requests(asked, None))
            table.add("support_requests, two requests", size, nova_support, ours)


def host_states(count: int, candidates: int) -> list[Any]:
    rows = host_pools(16)
    made = []
    for n in range(count):
        state = host_manager.HostState(f"h{n}", f"h{n}", None)
        state.pci_stats = plain.pci_stats(rows)
        state.allocation_candidates = [
            {"mappings": {"": [OWNERS[c % 10]], f"{TWO[0]['request_id']}-0": [OWNERS[c % 10]]}} for c in range(candidates)
        ]
        made.append(state)
    return made


def filters(table: Table) -> None:
    requests = objects.InstancePCIRequests(requests=plain.pci_requests([request(0), *TWO[1:]]))
    spec = objects.RequestSpec(pci_requests=requests)
    theirs, ours = pci_passthrough_filter.PciPassthroughFilter(), slotwise.nova.PciPassthroughFilter()

    def asks(chosen: Any, hosts: int, candidates: int, fresh: bool = False) -> Work:
        def prepare() -> Callable[[], Any]:
            states = host_states(hosts, candidates)
            if fresh:
                chosen._cache._hosts.clear()
            return lambda: list(chosen.filter_all(states, spec))

        return prepare

    nova = median(asks(theirs, 1, 1000))
    table.add("candidates of one host, plug-in filter", "1000", nova, median(asks(ours, 1, 1000)), "100×")
    with dropped_in():
        table.add("candidates of one host, drop-in", "1000", nova, median(asks(theirs, 1, 1000)), "100×")
    nova = median(asks(theirs, 100, 1))
    with dropped_in():
        table.add("plug-in filter on the drop-in's hosts", "100 hosts", nova, median(asks(ours, 100, 1)), "100×")
    table.add("plug-in filter, hosts never seen", "100 hosts", nova, median(asks(ours, 100, 1, fresh=True)), "20×")
    table.add("plug-in filter, hosts as before", "100 hosts", nova, median(asks(ours, 100, 1)), "100×")


def numa_fit(table: Table) -> None:
    host = objects.NUMATopology(
        cells=[
            objects.NUMACell(
                id=n,
                socket=n // 4,
                cpuset={2 * n, 2 * n + 1},
                pcpuset=set(),
                memory=4096,
                cpu_usage=0,
                memory_usage=0,
                pinned_cpus=set(),
                siblings=[],
                mempages=[],
            )
            for n in range(8)
        ]
    )
    guest = objects.InstanceNUMATopology(
        cells=[objects.InstanceNUMACell(id=n, cpuset={n}, pcpuset=set(), memory=512) for n in range(4)]
    )
    asked = plain.pci_requests([request(numa_policy="required", alternatives=[{"product_id": "1111"}])])

    def fit() -> Work:
        host_stats = plain.pci_stats([pool(numa_node=9), *host_pools(15)], host)

        def run() -> None:
            assert hardware.numa_fit_instance_to_host(host, guest, provider_mapping=None, pci_requests=asked, pci_stats=host_stats) is None

        return lambda: run

    nova = median(fit(), 1)
    with dropped_in():
        table.add("NUMA fit, device out of reach", "8 × 4 cells", nova, median(fit(), 1))


def compute(table: Table) -> None:
    from unittest import mock

    for cards, vfs in ((8, 32), (16, 64), (16, 240)):
        found = []
        for n in range(cards):
            pf = f"0000:{0x10 + n:02x}:00.0"
            facts = {"capabilities": {"network": ["rx", "tx", "sg", "tso", "gso", "gro"]}, "label": "label_8086_1111"}
            made = card(pf, 0, **facts)
            for vf in range(vfs):
                address = f"{pf[:7]}:{1 + vf // 8:02x}.{vf % 8}"
                one = {**made[0], "address": address, "dev_type": "type-VF", "parent_addr": pf, "product_id": "1111"}
                made.append({**one, "parent_ifname": f"ens{n}"})
            found += made
        text = json.dumps(found)
        renamed = json.dumps([*found[:-1], {**found[-1], "parent_ifname": "ens99"}])
        plain.CONF.set_override("device_spec", ['{"vendor_id": "8086"}'], group="pci")
        size = f"{len(found)} functions"

        def tracker() -> Any:
            node = objects.ComputeNode(id=1, numa_topology=None)
            with mock.patch("nova.db.main.api.pci_device_get_all_by_node", return_value=[]):
                made = manager.PciDevTracker(context.get_admin_context(), node)
            made.update_devices_from_hypervisor_resources(text)
            for number, dev in enumerate(made.pci_devs):
                dev.id = number
                dev.obj_reset_changes()
            return made

        def resync(host: Any, report: str = text) -> Work:
            return lambda: lambda: host.update_devices_from_hypervisor_resources(report)

        def alternately(host: Any) -> Work:
            reports = [text, renamed]

            def prepare() -> Callable[[], Any]:
                reports.reverse()
                return lambda: host.update_devices_from_hypervisor_resources(reports[0])

            return prepare

        def claims(host: Any) -> Work:
            asked = objects.InstancePCIRequests(
                instance_uuid=OWNERS[0],
                requests=plain.pci_requests([request(alternatives=[{"dev_type": "type-PF"}])]),
            )
            instance = objects.Instance(uuid=OWNERS[0], pci_devices=objects.PciDeviceList(objects=[]))

            def prepare() -> Callable[[], Any]:
                host.free_instance(None, instance)
                return lambda: host.claim_instance(None, asked, None)

            return prepare

        host = tracker()
        nova_resync = median(resync(host), 1)
        nova_claim = median(claims(host)) if len(found) > 1000 else 0.0
        with dropped_in():
            host = tracker()
            goal = "1000×" if len(found) > 3000 else ""
            table.add("resync, nothing changed", size, nova_resync, median(resync(host)), goal)
            table.add("resync, one netdev renamed", size, nova_resync, median(alternately(host)))
            if nova_claim:
                table.add("claim of a PF", size, nova_claim, median(claims(host)), goal)
    plain.CONF.clear_override("device_spec", group="pci")


def main() -> int:
    table = Table()
    with plain.quiet():
        scheduler(table)
        filters(table)
        numa_fit(table)
        compute(table)
    table.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
