"""Nova's own tests of its PCI code, with the drop-in active; a trace shows that Nova's own code is not executed.

    python tests/nova/upstream.py

The tests run in processes that ``slotwise-nova`` starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PREFIX = "nova.tests.unit."
MODULES = [
    "pci.test_stats",
    "pci.test_manager",
    "pci.test_request",
    "pci.test_devspec",
    "pci.test_utils",
    "pci.test_whitelist",
    "scheduler.filters.test_pci_passthrough_filters",
    "scheduler.weights.test_weights_pci",
    "objects.test_pci_device",
    "objects.test_pci_device_pool",
    "objects.test_instance_pci_requests",
    "compute.test_pci_placement_translator",
]
TESTS = 471
"""So many tests are in these modules of Nova 34.0.0."""

EXCEPTIONS = Path(__file__).parent / "upstream-exceptions.txt"
MOST_EXCEPTIONS = 12


def exceptions(file: Path = EXCEPTIONS) -> dict[str, str]:
    """The tests that a file lists, and why: by default those that cannot pass."""
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.partition("  ") for line in lines if line and not line.startswith("#"))
    return {name: reason.strip() for name, _, reason in pairs}


def run() -> dict[str, Any]:
    """Runs all modules; returns the tests that passed and failed, what was watched, and what of it was called."""
    jobs = min(os.cpu_count() or 1, 4)
    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(_part, [MODULES[job::jobs] for job in range(jobs)]))
    whole: dict[str, Any] = {"passed": [], "failed": {}, "watched": parts[0]["watched"], "called": {}}
    for part in parts:
        whole["passed"] += part["passed"]
        whole["failed"].update(part["failed"])
        whole["called"].update(part["called"])
        if not part["control"]:
            raise RuntimeError("the trace sees nothing: a function of Nova's that was called did not show")
    return whole


def verdict(outcome: dict[str, Any]) -> list[str]:
    """What is wrong with an outcome, one sentence each; empty when all is as it should be."""
    listed = exceptions()
    faults = []
    if len(listed) > MOST_EXCEPTIONS:
        faults.append(f"{len(listed)} tests are listed as exceptions, more than {MOST_EXCEPTIONS}")
    for name, text in outcome["failed"].items():
        if name not in listed:
            faults.append(f"{name} fails:\n{text}")
    for name in listed:
        if name in outcome["passed"]:
            faults.append(f"{name} is listed as an exception, but passes: take it off the list")
        elif name not in outcome["failed"]:
            faults.append(f"{name} is listed as an exception, but there is no such test")
    for name, count in sorted(outcome["called"].items()):
        faults.append(f"{name} was executed {count} times, although slotwise replaces it")
    ran = len(outcome["passed"]) + len(outcome["failed"])
    if ran != TESTS:
        faults.append(f"{ran} tests ran, not {TESTS}")
    return faults


def summary(outcome: dict[str, Any]) -> str:
    return (
        f"{len(outcome['passed'])} of Nova's own tests pass, {len(outcome['failed'])} fail, "
        f"{len(exceptions())} of them listed; of the {len(outcome['watched'])} functions replaced, "
        f"{len(outcome['called'])} were executed"
    )


def _part(modules: list[str]) -> dict[str, Any]:
    return in_process(__file__, modules, True)


def in_process(script: str, names: list[str], dropped_in: bool) -> dict[str, Any]:
    """What ``script --worker FILE NAMES…`` writes into its file, in a process of its own, with the drop-in or without."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        launcher = [sys.executable, "-m", "slotwise.nova.launcher"] if dropped_in else []
        command = [*launcher, sys.executable, "-W", "ignore", script, "--worker", answer.name, *names]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
        )
        text = Path(answer.name).read_text()
        if not text:
            raise RuntimeError(f"the tests {names} could not be run:\n{done.stdout[-4000:]}")
        result: dict[str, Any] = json.loads(text)
        return result


class _Result(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []

    def addSuccess(self, test: Any) -> None:
        self.passed.append(test.id())


def _worker(answer: str, modules: list[str]) -> None:
    import slotwise.nova

    assert slotwise.nova.is_active(), "the launcher did not activate the drop-in"
    # Nova's tests patch the standard library before they import anything of Nova.
    suite = unittest.defaultTestLoader.loadTestsFromNames([PREFIX + module for module in modules])
    from trace_nova import Trace

    trace = Trace()
    result = _Result()
    trace.start()
    suite.run(result)
    trace.stop()
    called = dict(trace.calls)
    failed = {
        test.id().removeprefix(PREFIX): text[-3000:] for test, text in (*result.failures, *result.errors)
    }
    document = {
        "passed": [name.removeprefix(PREFIX) for name in (*result.passed, *(t.id() for t, _ in result.skipped))],
        "failed": failed,
        "watched": trace.watched,
        "called": called,
        "control": _control(trace),
    }
    Path(answer).write_text(json.dumps(document))


def _control(trace: Any) -> bool:
    """Whether the trace sees Nova's own code, once that is back."""
    import slotwise.nova

    slotwise.nova.deactivate()
    from nova.pci import stats

    trace.start()
    stats.PciDeviceStats(None).support_requests([], None)
    trace.stop()
    return "nova.pci.stats.PciDeviceStats.support_requests" in trace.calls


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        _worker(sys.argv[2], sys.argv[3:])
        return 0
    outcome = run()
    print(summary(outcome))
    faults = verdict(outcome)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
