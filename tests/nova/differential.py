"""Strategy ``nova`` against the Nova that is installed, on random cases; ``exact`` never refuses what Nova rightly accepts.

    python tests/nova/differential.py 1000000 --state FILE

Each case has four parts: alias lines with a flavor, a scheduler's question, several instances on one host state, and a
compute node's sequence of claims, frees and resyncs. The same number gives the same case, and the parts do not depend on
each other: a new one leaves the cases of the others as they were. With a state file, a run that was stopped goes on where
it was, unless the cases or their comparison have changed since: then it begins anew, and says so. A difference is shown as
the part, the number, and the whole case as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import generate
import plain
from nova import exception

import slotwise
from slotwise.nova.dropin import stats

CHUNK = 250
SHOWN = 5
"""So many differences are kept with their whole case at most."""

CASES_DIGEST = hashlib.sha256(
    b"".join(Path(module.__file__ or "").read_bytes() for module in (generate, plain, sys.modules[__name__]))
).hexdigest()
"""Changes with what the cases are and how they are compared; a run of other cases is not gone on with."""

Part = Callable[[int, "Counter[str]"], "str | None"]


def workload(document: dict[str, Any], strategy: str) -> slotwise.Workload:
    return slotwise.Workload.from_dict({**document, "strategy": strategy})


def aliases(seed: int, counts: Counter[str]) -> str | None:
    """Alias lines and a flavor: the same requests, or refused by both."""
    case = generate.alias_case(seed)
    theirs = plain.alias_requests(case)
    lines = [json.dumps(line) for line in case["aliases"]]
    try:
        known = slotwise.Aliases(lines, pci_in_placement=case["pci_in_placement"])
        requests = known.requests(case["flavor"], case["numa_policy"])
        ours = [(r.alias_name, r.count, r.alternatives, r.numa_policy) for r in requests]
    except slotwise.SlotwiseError as error:
        ours, why = None, str(error)
    else:
        why = "accepted"
    counts["aliases accepted"] += theirs is not None
    return None if ours == theirs else f"Nova {theirs}, ours {ours} ({why})"


def fit(seed: int, counts: Counter[str]) -> str | None:
    """A scheduler's question: pools, requests, NUMA cells, Placement's mapping."""
    case = generate.fit_case(seed)
    nova = plain.supports(case)
    pools = slotwise.Pools(case["pools"], case["numa_topology"])
    ours = bool(pools.fit(workload(case["workload"], "nova")))
    if ours != nova:
        return f"Nova {nova}, ours {ours}"
    exact = pools.fit(workload(case["workload"], "exact"))
    counts["fits of Nova"] += nova
    counts["fits of exact that Nova misses"] += bool(exact) and not nova
    if nova and not exact:
        reason = listed(case, exact.outcome)
        if reason is None:
            return f"exact refuses what Nova accepts, for no reason of PARITY.md: {exact}"
        counts[f"refusals of exact, {reason}"] += 1
    return None


def multi(seed: int, counts: Counter[str]) -> str | None:
    """Several instances on one host state: whether each fits, and what it leaves in the pools, in Nova's order.

    Up to a failure in which Nova has taken from the pools what the requests before the one that failed asked for (W06).
    """
    case = generate.multi_case(seed)
    nova = plain.pci_stats(case["pools"], plain.numa_topology(case["numa_topology"]))
    ours = SimpleNamespace(pools=[dict(row) for row in nova.pools], numa_topology=nova.numa_topology)
    for number, asked in enumerate(case["instances"]):
        requests = plain.pci_requests(asked["requests"])
        question = requests, asked["provider_mapping"], plain.numa_cells(asked["numa_cells"])
        fits = nova.support_requests(*question)
        answer = stats.support_requests(ours, *question)
        if answer != fits:
            return f"instance {number}: Nova {fits}, ours {answer}"
        before = [dict(row) for row in nova.pools]
        taken, mine = (_applied(apply, host, question) for apply, host in ((type(nova).apply_requests, nova), (stats.apply_requests, ours)))
        if taken != mine:
            return f"instance {number} is put there: Nova {taken}, ours {mine}"
        if not taken and ours.pools != before:
            return f"instance {number} is not put there, and ours took from the pools all the same"
        if not taken and nova.pools != before:
            return None
        counts["instances put on a host"] += taken
        counts["instances put on a host as its second or later"] += taken and number > 0
        if ours.pools != nova.pools:
            return f"after instance {number}: Nova's pools {nova.pools}, ours {ours.pools}"
    return None


def _applied(apply: Any, host: Any, question: tuple[Any, ...]) -> bool:
    try:
        apply(host, *question)
    except exception.PciDeviceRequestFailed:
        return False
    return True


def claim(seed: int, counts: Counter[str]) -> str | None:
    """A compute node's work, replayed until a claim that Nova refuses leaves its pools broken (W06)."""
    case = generate.claim_case(seed)
    nova = plain.Tracker(case["rules"], case["numa_topology"], case["devices"], case["providers"])
    ours = slotwise.Tracker(
        [json.dumps(rule) for rule in case["rules"]], numa_topology=case["numa_topology"], allow_missing_parents=True
    )

    def sync(devices: list[dict[str, Any]]) -> None:
        nova.sync([dict(device) for device in devices])
        providers = case["providers"]
        ours.sync(
            [
                {**device, "rp_uuid": providers[device["parent_addr"] or device["address"]]} if providers else device
                for device in devices
            ]
        )

    sync(case["devices"])
    if not nova.statuses():
        # P01: a host without any device grants every claim, with no devices.
        return None
    vanished: set[str] = set()
    for number, step in enumerate(case["steps"]):
        if "claim" in step:
            counts["claims"] += 1
            theirs = nova.claim(step["claim"], step["workload"])
            answer = ours.claim(step["claim"], workload(step["workload"], "nova"))
            if (answer.devices if answer else None) != theirs:
                return f"step {number}: Nova {theirs}, ours {answer}"
            if nova.broken:
                return None
            counts["claims that Nova serves"] += theirs is not None
        elif "allocate" in step:
            nova.allocate(step["allocate"])
            with contextlib.suppress(slotwise.UnknownOwnerError):
                ours.allocate(step["allocate"])
        elif "free" in step:
            nova.free(step["free"])
            ours.free(step["free"])
        else:
            statuses = nova.statuses()
            present = as_nova_can_follow(step["sync"], case["devices"], statuses, vanished)
            vanished = vanished_while_held(vanished, statuses, present)
            sync(present)
        if not nova.statuses():
            return None
        counts["steps"] += 1
        pools = [devices for pool in ours.pools if (devices := pool.get("devices"))]
        if pools != nova.pools():
            return f"after step {number}: Nova's pools {nova.pools()}, ours {pools}"
        statuses = {device["address"]: device["status"] for device in ours.devices}
        if _held_back(statuses) != _held_back(nova.statuses()):
            return f"after step {number}: Nova's states {nova.statuses()}, ours {statuses}"
    return None


PARTS: dict[str, tuple[Part, Callable[[int], Any]]] = {
    "aliases": (aliases, generate.alias_case),
    "fit": (fit, generate.fit_case),
    "multi": (multi, generate.multi_case),
    "claim": (claim, generate.claim_case),
}


def listed(case: dict[str, Any], outcome: str) -> str | None:
    """The id in PARITY.md under which ``exact`` answers otherwise than Nova's *yes*, or None."""
    if outcome == "undecided":
        return None
    # W07: Nova misses no device when a provider that Placement names has none left, and gives fewer than were asked for.
    pools = slotwise.Pools(case["pools"], case["numa_topology"])
    served = pools.fit(workload(case["workload"], "nova")).to_dict()["requests"]
    given = [sum(pick["count"] for pick in request["picks"]) for request in served]
    if given != [request["count"] for request in case["workload"]["requests"]]:
        return "W07"
    # W04: what Nova says yes to fits only while PFs and VFs are strangers to each other.
    strangers = [{**row, "address": f"{i:04x}:00:00.0"} for i, row in enumerate(case["pools"])]
    if slotwise.Pools(strangers, case["numa_topology"]).fit(workload(case["workload"], "exact")):
        return "W04"
    return None


def as_nova_can_follow(
    reported: list[dict[str, Any]], machine: list[dict[str, Any]], statuses: dict[str, str], vanished: set[str]
) -> list[dict[str, Any]]:
    """What the host reports, but for three of Nova's wrong answers, which the engine gives under no strategy.

    W20: of a card, a function that vanishes while it is held takes the others with it; here its card stays. W21: a VF
    that appears while its PF is held is handed out; here it does not appear. W22: a device that vanished while it was
    held and came back is removed when it is freed; here it does not come back before.
    """
    listed = {device["address"] for device in reported}
    held = _held(statuses)
    kept = {
        device["parent_addr"] or device["address"]
        for device in machine
        if device["dev_type"] != "type-PCI" and device["address"] in held - listed
    }
    return [
        device
        for device in machine
        if (device["address"] in listed or (device["parent_addr"] or device["address"]) in kept)
        and (device["parent_addr"] not in held or device["address"] in statuses)
        and device["address"] not in held & vanished
    ]


def vanished_while_held(
    vanished: set[str], statuses: dict[str, str], present: list[dict[str, Any]]
) -> set[str]:
    """The devices that were and are held, and that the host has not reported since."""
    return (vanished | statuses.keys() - {device["address"] for device in present}) & _held(statuses)


def _held(statuses: dict[str, str]) -> set[str]:
    return {address for address, status in statuses.items() if status in ("claimed", "allocated")}


def _held_back(statuses: dict[str, str]) -> dict[str, str]:
    """P02: a PF of which one VF is claimed and another was allocated before is ``unclaimable``, for Nova
    ``unavailable``; either way it cannot be had."""
    return {address: "held back" if status.startswith("un") else status for address, status in statuses.items()}


def run_chunk(first: int, end: int) -> tuple[Counter[str], list[tuple[str, int, str]]]:
    """Compares the cases from ``first`` up to ``end``; returns what happened, and the differences."""
    counts: Counter[str] = Counter()
    differences = []
    plain.set_strategy("nova")
    with plain.quiet():
        for seed in range(first, end):
            for name, (compare, _) in PARTS.items():
                difference = compare(seed, counts)
                if difference is not None:
                    differences.append((name, seed, difference))
    return counts, differences


def _chunk(bounds: tuple[int, int]) -> tuple[int, Counter[str], list[tuple[str, int, str]]]:
    counts, differences = run_chunk(*bounds)
    return bounds[1] - bounds[0], counts, differences


class Run:
    """A run over the cases from ``first`` up to ``end``, with its state in a file if there is one."""

    def __init__(self, first: int, end: int, state: Path | None = None) -> None:
        self.first, self.end, self.state = first, end, state
        self.next = first
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        self.differences: list[tuple[str, int, str]] = []
        if state is not None and state.exists():
            saved = json.loads(state.read_text())
            if saved["first"] == first and saved["cases"] == CASES_DIGEST:
                self.next, self.seconds = saved["next"], saved["seconds"]
                self.counts = Counter(saved["counts"])
                self.differences = [tuple(found) for found in saved["differences"]]
            else:
                print(f"{state} is of a run of other cases, and is begun anew")

    def go(self, jobs: int, show: Callable[[Run, float], None] = lambda run, rate: None) -> None:
        """Works off what is left with so many processes; state is saved after each chunk, in order."""
        bounds = [(at, min(at + CHUNK, self.end)) for at in range(self.next, self.end, CHUNK)]
        start, done, before = time.monotonic(), 0, self.seconds
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            for cases, counts, differences in pool.imap(_chunk, bounds):
                done += cases
                self.next += cases
                self.counts += counts
                self.differences += differences
                took = time.monotonic() - start
                self.seconds = before + took
                self._save()
                show(self, done / took)

    def _save(self) -> None:
        if self.state is None:
            return
        document = {
            "cases": CASES_DIGEST,
            "first": self.first,
            "next": self.next,
            "seconds": round(self.seconds, 1),
            "counts": self.counts,
            "differences": self.differences,
        }
        # Written beside and renamed, so that a run that is stopped leaves one state or the next.
        beside = self.state.with_suffix(".new")
        beside.write_text(json.dumps(document, indent=1))
        beside.replace(self.state)

    def summary(self) -> str:
        facts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return (
            f"{self.next - self.first} cases in {self.seconds:.0f} s; {facts}; "
            f"strategy nova: {len(self.differences)} differences"
        )

    def shown(self) -> Iterator[str]:
        for name, seed, difference in self.differences[:SHOWN]:
            yield f"{name} {seed}: {difference}\n    {json.dumps(PARTS[name][1](seed))}"


def _progress(run: Run, rate: float) -> None:
    left = (run.end - run.next) / rate
    done = (run.next - run.first) / (run.end - run.first)
    line = (
        f"{run.next - run.first}/{run.end - run.first} cases, {rate:.0f} a second, "
        f"{len(run.differences)} differences, {left / 60:.0f} min left"
    )
    if sys.stdout.isatty():
        bar = "#" * int(done * 30)
        print(f"\r[{bar:<30}] {line}  ", end="", flush=True)
    elif run.next % (CHUNK * 40) == 0 or run.next == run.end:
        print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=int, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--state", type=Path, help="a file that keeps how far the run is")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    options = parser.parse_args()
    run = Run(options.first, options.first + options.cases, options.state)
    if run.next > run.first:
        print(f"goes on after {run.next - run.first} cases, from {options.state}")
    if run.next < run.end:
        try:
            run.go(options.jobs, _progress)
        except KeyboardInterrupt:
            print("\nstopped; the same command goes on from here")
            return 130
    print(("\n" if sys.stdout.isatty() else "") + run.summary())
    for difference in run.shown():
        print(difference)
    print(f"{run.next - run.first - len(run.differences)} passed, {len(run.differences)} failed")
    return 1 if run.differences else 0


if __name__ == "__main__":
    sys.exit(main())
