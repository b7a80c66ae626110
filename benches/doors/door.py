"""Times calls through the Python package.

Arguments: the files of rules, devices and workload. Each line of input is `CALL TIMES`; the answer is a line with the
nanoseconds that so many calls took, loop included, and with how many allocations they made where count.c is loaded.
"""

import ctypes
import itertools
import json
import sys
import time

import slotwise


def main() -> None:
    # As a list of a program's own symbols, with those of what was loaded before it.
    counted = getattr(ctypes.CDLL(None), "slotwise_counted", None)
    if counted is not None:
        counted.restype = ctypes.c_uint64
    rules, devices, workload = (open(path, encoding="utf-8").read() for path in sys.argv[1:4])
    tracker = slotwise.Tracker(slotwise.DeviceSpecs(json.loads(rules)))
    tracker.sync(json.loads(devices))
    tracker.written(tracker.changes())
    prepared = slotwise.Workload.from_dict(json.loads(workload))
    if not tracker.fit(prepared):
        sys.exit("the workload must fit")
    for line in sys.stdin:
        call, times = line.split()
        # A loop that makes no numbers of its own.
        rounds = itertools.repeat(None, int(times))
        before = counted() if counted is not None else None
        if call == "version":
            start = time.perf_counter_ns()
            for _ in rounds:
                tracker.version
        elif call == "fit":
            fit = tracker.fit
            start = time.perf_counter_ns()
            for _ in rounds:
                fit(prepared)
        else:
            sys.exit(f"there is no call {call!r}")
        took = time.perf_counter_ns() - start
        print(took, flush=True) if before is None else print(took, counted() - before, flush=True)


main()
