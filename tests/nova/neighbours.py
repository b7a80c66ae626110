"""Nova's own tests around its PCI code: with the drop-in they end as they do without it.

    python tests/nova/neighbours.py                   everything: unit tests beside the PCI code, and functional tests
    python tests/nova/neighbours.py unit              the former
    python tests/nova/neighbours.py functional        the latter, which start nova-api, -scheduler, -conductor and -compute
    python tests/nova/neighbours.py nova.tests.…      the tests of these names

Each module runs twice, in a process of its own: with plain Nova, and started by ``slotwise-nova``. A test whose outcome differs
is a fault, unless it is listed in ``neighbours-exceptions.txt`` with the reason.
"""

from __future__ import annotations

import json
import os
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import upstream

UNIT = [
    "nova.tests.unit.compute.test_claims",
    "nova.tests.unit.compute.test_resource_tracker",
    "nova.tests.unit.scheduler.test_host_manager",
    "nova.tests.unit.scheduler.test_manager",
    "nova.tests.unit.scheduler.test_utils",
    "nova.tests.unit.scheduler.filters.test_numa_topology_filters",
    "nova.tests.unit.scheduler.test_filters",
    "nova.tests.unit.virt.test_hardware",
    "nova.tests.unit.virt.libvirt.test_host",
    "nova.tests.unit.virt.libvirt.test_vif",
    "nova.tests.unit.virt.libvirt.test_migration",
    "nova.tests.unit.network.test_neutron",
    "nova.tests.unit.network.test_os_vif_util",
    "nova.tests.unit.objects.test_compute_node",
    "nova.tests.unit.objects.test_instance",
    "nova.tests.unit.objects.test_migration_context",
    "nova.tests.unit.objects.test_objects",
    "nova.tests.unit.objects.test_request_spec",
    "nova.tests.unit.conductor.test_conductor",
    "nova.tests.unit.conductor.tasks.test_live_migrate",
    "nova.tests.unit.conductor.tasks.test_migrate",
    "nova.tests.unit.db.main.test_api",
    "nova.tests.unit.api.openstack.compute.test_hypervisors",
    "nova.tests.unit.compute.test_pci_placement_translator",
    "nova.tests.unit.compute.test_rpcapi",
]
"""Unit tests of what uses the PCI code, or has its objects in hand."""

FUNCTIONAL = [
    "nova.tests.functional.libvirt.test_pci_sriov_servers",
    "nova.tests.functional.libvirt.test_pci_in_placement",
]
"""Real services in one process, with a libvirt, a Neutron and a Placement of Nova's own fixtures."""

EXCEPTIONS = Path(__file__).parent / "neighbours-exceptions.txt"
SAME = "passed"

Outcomes = dict[str, str]
"""Test → ``passed``, ``skipped``, or the last line of what went wrong."""


def run(names: list[str], dropped_in: bool) -> Outcomes:
    """Runs tests by name in a process of their own, with the drop-in or without."""
    whole = upstream.in_process(__file__, names, dropped_in)
    assert whole["active"] is dropped_in, "the drop-in is not where it should be, or where it should not"
    outcomes: Outcomes = whole["outcomes"]
    return outcomes


def compare(names: list[str], jobs: int) -> tuple[int, int, list[str]]:
    """How many tests ran on both sides, how many of them passed, and what is wrong, one sentence each."""
    listed = upstream.exceptions(EXCEPTIONS)
    faults = []
    ran = passed = 0
    with ThreadPoolExecutor(jobs) as pool:
        both = [(name, pool.submit(run, [name], False), pool.submit(run, [name], True)) for name in names]
        for name, nova, ours in both:
            start = time.monotonic()
            plain, dropped = nova.result(), ours.result()
            ran += len(dropped)
            passed += sum(outcome == SAME for outcome in dropped.values())
            found = differences(plain, dropped, listed)
            if SAME not in plain.values():
                found.append(f"{name}: no test of it passes with plain Nova")
            faults += found
            print(
                f"{name}: {len(dropped)} tests, {sum(o == SAME for o in plain.values())} pass with plain Nova, "
                f"{sum(o == SAME for o in dropped.values())} with the drop-in; {len(found)} faults "
                f"({time.monotonic() - start:.0f} s)",
                flush=True,
            )
            for fault in found:
                print("  " + fault, flush=True)
    return ran, passed, faults


def differences(plain: Outcomes, dropped: Outcomes, listed: dict[str, str]) -> list[str]:
    """What differs between two runs and should not."""
    faults = []
    for test in sorted(plain.keys() | dropped.keys()):
        before, now = plain.get(test, "not there"), dropped.get(test, "not there")
        differs = before != now and SAME in (before, now)
        if differs and test not in listed:
            faults.append(f"{test}: with plain Nova: {before}; with the drop-in: {now}")
        if not differs and test in listed:
            faults.append(f"{test} is listed as an exception, but ends as with plain Nova: take it off the list")
    return faults


class _Result(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Outcomes = {}

    def addSuccess(self, test: Any) -> None:
        self.outcomes[test.id()] = SAME

    def addSkip(self, test: Any, reason: str) -> None:
        self.outcomes[test.id()] = "skipped"

    def addError(self, test: Any, err: Any) -> None:
        self._add(test, self._text(err, test))

    def addFailure(self, test: Any, err: Any) -> None:
        self._add(test, self._text(err, test))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.outcomes[test.id()] = SAME

    def _text(self, err: Any, test: Any) -> str:
        return str(self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def _add(self, test: Any, text: str) -> None:
        folder = os.environ.get("SLOTWISE_NOVA_TRACES")
        if folder:
            (Path(folder) / f"{test.id()[-150:]}.txt").write_text(text)
        lines = [line for line in text.splitlines() if line.strip()]
        self.outcomes[test.id()] = (lines or ["failed"])[-1][:300]


def _worker(answer: str, names: list[str]) -> None:
    # The functional tests look for this file beside the package, where a checkout of Nova has it.
    import importlib.util

    spec = importlib.util.find_spec("nova")
    assert spec is not None and spec.origin is not None
    beside = Path(spec.origin).parent.parent / "etc"
    if not beside.exists():
        beside.symlink_to(Path(sys.prefix) / "etc")
    # Nova's tests patch the standard library before they import anything of Nova.
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = _Result()
    suite.run(result)
    active = False
    if "slotwise" in sys.modules:
        import slotwise.nova

        active = slotwise.nova.is_active()
    Path(answer).write_text(json.dumps({"outcomes": result.outcomes, "active": active}))


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        _worker(sys.argv[2], sys.argv[3:])
        # Threads of services that tests have left behind do not keep the process.
        sys.stdout.flush()
        os._exit(0)
    groups = {"unit": UNIT, "functional": FUNCTIONAL}
    names = [name for one in sys.argv[1:] or groups for name in groups.get(one, [one])]
    ran, passed, faults = compare(names, int(os.environ.get("SLOTWISE_NOVA_JOBS", str(os.cpu_count() or 1))))
    print(f"{ran} of Nova's own tests ran, {passed} passed with the drop-in; {len(faults)} differ and should not")
    return 1 if faults or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
