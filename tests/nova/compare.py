"""What the same work costs in Nova and with slotwise, both measured in this run.

    cargo xtask compare nova

Times are medians of processor time, which other work on the machine does not disturb much. A ratio says how many times
slotwise's time Nova's is; the goal is the ratio that is aimed at, met or missed.
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
from slotwise._native import nova_forget

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
    """What was measured; a goal is the ratio that is aimed at."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float, float, int | None]] = []

    def add(self, work: str, size: str, nova: float, ours: float, goal: int | None = None) -> None:
        self.rows.append((work, size, nova, ours, goal))
        if sys.stderr.isatty():
            print(f"  … {work}, {size}\033[K", end="\r", file=sys.stderr, flush=True)

    def show(self) -> None:
        if sys.stderr.isatty():
            print("\033[K", end="", file=sys.stderr, flush=True)
        wide = max(len(work) for work, *_ in self.rows)
        print(f"{'work':<{wide}}  {'size':<14} {'Nova':>10} {'slotwise':>10} {'ratio':>8}  goal")
        last = ""
        for work, size, nova, ours, goal in self.rows:
            ratio = nova / ours
            aim = "" if goal is None else f"{goal}×: {'met' if ratio >= goal else 'missed'}"
            shown = "" if work == last else work
            print(f"{shown:<{wide}}  {size:<14} {_time(nova):>10} {_time(ours):>10} {_ratio(ratio):>8}  {aim}".rstrip())
            last = work
        print("\nGrowth, as times as long:\n")
        for work in dict.fromkeys(work for work, *_ in self.rows):
            rows = [row for row in self.rows if row[0] == work]
            if len(rows) > 1:
                nova, ours = ([row[side] / rows[0][side] for row in rows] for side in (2, 3))
                sizes = " → ".join(row[1] for row in rows)
                print(f"{work} ({sizes}): Nova {_growth(nova)}, slotwise {_growth(ours)}")
        goals = [(nova / ours >= goal) for *_, nova, ours, goal in self.rows if goal is not None]
        print(f"\n{sum(goals)} of {len(goals)} goals met")


def _growth(times: list[float]) -> str:
    return " → ".join(f"{one:.1f}" for one in times)


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


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


def of_host(rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The rows of one host of many: with providers and counts of its own."""
    return [
        {**row, "rp_uuid": f"{number:08x}-c42d-a4f2-1170-{n:012x}", "count": 1 + (number + n) % 8}
        for n, row in enumerate(rows)
    ]


def scheduler(table: Table) -> None:
    """One host of a scheduler's request, from the text of the database to the verdict. The text is another object each time."""
    asked = plain.pci_requests(TWO)
    works: dict[str, list[tuple[str, float, float, int | None]]] = {}
    for count in (4, 16, 64):
        rows = host_pools(count)
        lists = [pci_device_pool.from_pci_stats(of_host(rows, n)) for n in range(MOST_RUNS)]
        texts = [json.dumps(one.obj_to_primitive()).encode() for one in lists]
        size = f"{count} pools"

        def build(text: bytes) -> Callable[[], Any]:
            decoded = text.decode()
            return lambda: stats.PciDeviceStats(None, pci_device_pool.from_pci_stats(decoded), plain.NO_RULES)

        def verdict(text: bytes) -> Callable[[], Any]:
            made = build(text)
            return lambda: made().support_requests(asked, None)

        def never_seen(work: Callable[[bytes], Callable[[], Any]]) -> Work:
            number = iter(range(MOST_RUNS))
            nova_forget()
            verdict(texts[-1])()
            return lambda: work(texts[next(number) % (MOST_RUNS - 1)])

        def as_before(work: Callable[[bytes], Callable[[], Any]]) -> Work:
            work(texts[0])()
            return lambda: work(texts[0])

        host = build(texts[0])()
        nova = {
            "build": median(as_before(build)),
            "verdict": median(as_before(verdict)),
            "supports": median(lambda: lambda: host.support_requests(asked, None)),
        }
        with dropped_in():
            lazy = build(texts[0])()
            rows_of = build(texts[0])()
            assert rows_of.pools
            for work, theirs, ours, goal in (
                ("scheduler: JSON to verdict, host as before", nova["verdict"], median(as_before(verdict)), 100),
                ("scheduler: JSON to verdict, row never seen", nova["verdict"], median(never_seen(verdict)), None),
                ("  of that, reading the JSON", nova["build"], median(never_seen(build)), None),
                ("  of that, support_requests, 2 requests", nova["supports"], median(lambda: lambda: lazy.support_requests(asked, None)), None),
                ("  the same after somebody has looked at the pools", nova["supports"], median(lambda: lambda: rows_of.support_requests(asked, None)), None),
            ):
                works.setdefault(work, []).append((size, theirs, ours, goal))
    for work, measured in works.items():
        for size, theirs, ours, goal in measured:
            table.add(work, size, theirs, ours, goal)


def host_states(count: int, candidates: int, pools: int = 16) -> list[Any]:
    rows = host_pools(pools)
    made = []
    for n in range(count):
        state = host_manager.HostState(f"h{n}", f"h{n}", None)
        of_this = rows if count == 1 else of_host(rows, n)
        # As from the database: no object is one that was there before.
        state.pci_stats = plain.pci_stats(json.loads(json.dumps(of_this)))
        owners = [row["rp_uuid"] for row in of_this[:10]]
        state.allocation_candidates = [
            {"mappings": {"": [OWNERS[0]], f"{TWO[0]['request_id']}-0": [owners[c % len(owners)]]}} for c in range(candidates)
        ]
        made.append(state)
    return made


def filters(table: Table) -> None:
    """A whole filter call; half of the hosts' candidates fit."""
    requests = objects.InstancePCIRequests(requests=plain.pci_requests([request(0), *TWO[1:]]))
    spec = objects.RequestSpec(pci_requests=requests)
    theirs, ours = pci_passthrough_filter.PciPassthroughFilter(), slotwise.nova.PciPassthroughFilter()

    def asks(chosen: Any, hosts: int, candidates: int, pools: int = 16, fresh: bool = False) -> Work:
        def prepare() -> Callable[[], Any]:
            states = host_states(hosts, candidates, pools)
            if fresh:
                ours._question.known.clear()
            return lambda: list(chosen.filter_all(states, spec))

        return prepare

    def asks_again(chosen: Any, hosts: int, candidates: int, pools: int = 16) -> Work:
        states = host_states(hosts, candidates, pools)
        lists = [state.allocation_candidates for state in states]

        def prepare() -> Callable[[], Any]:
            for state, candidates in zip(states, lists):
                state.allocation_candidates = candidates
            return lambda: list(chosen.filter_all(states, spec))

        prepare()()
        return prepare

    works: dict[str, list[tuple[str, float, float, int | None]]] = {}
    for pools in (4, 16, 64):
        size = f"{pools} pools"
        nova = median(asks(theirs, 100, 1, pools))
        nova_again = median(asks_again(theirs, 100, 1, pools))
        measured = [
            ("plug-in, 100 hosts: never seen", nova, median(asks(ours, 100, 1, pools, fresh=True)), 20),
            ("plug-in, 100 hosts: as before, in new HostStates", nova, median(asks(ours, 100, 1, pools)), 100),
            ("plug-in, 100 hosts: the HostStates of the last call", nova_again, median(asks_again(ours, 100, 1, pools)), 100),
        ]
        with dropped_in():
            measured.append(("either filter, 100 hosts of the drop-in", nova, median(asks(theirs, 100, 1, pools)), 100))
        for work, nova_took, took, goal in measured:
            works.setdefault(work, []).append((size, nova_took, took, goal))
    for work, of_work in works.items():
        for size, nova_took, took, goal in of_work:
            table.add(work, size, nova_took, took, goal)
    nova = median(asks(theirs, 1, 1000))
    table.add("plug-in, candidates of one host", "1000", nova, median(asks(ours, 1, 1000)), 100)
    with dropped_in():
        table.add("drop-in under Nova's filter, candidates of one host", "1000", nova, median(asks(theirs, 1, 1000)), 100)


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

    measured: list[tuple[str, str, float, float, int | None]] = []
    # 66, 1,040 and 3,856 functions.
    for cards, vfs in ((2, 32), (16, 64), (16, 240)):
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
        nova_claim = median(claims(host), 1)
        with dropped_in():
            host = tracker()
            goal = 1000 if len(found) > 3000 else None
            measured.append(("resync, nothing changed", size, nova_resync, median(resync(host)), goal))
            measured.append(("resync, one netdev renamed", size, nova_resync, median(alternately(host)), None))
            measured.append(("claim of a PF", size, nova_claim, median(claims(host)), goal))
    plain.CONF.clear_override("device_spec", group="pci")
    for row in sorted(measured, key=lambda row: [one[0] for one in measured].index(row[0])):
        table.add(*row)


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
