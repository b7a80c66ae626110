"""Times calls through the Python package.

Arguments: the files of rules, devices and workload. Each line of input is `CALL TIMES`; the answer is a line with the
nanoseconds that so many calls took, loop included.
"""

import json
import sys
import time

import slotwise


def main() -> None:
    rules, devices, workload = (open(path, encoding="utf-8").read() for path in sys.argv[1:4])
    tracker = slotwise.Tracker(slotwise.DeviceSpecs(json.loads(rules)))
    tracker.sync(json.loads(devices))
    tracker.written(tracker.changes())
    prepared = slotwise.Workload.from_dict(json.loads(workload))
    if not tracker.fit(prepared):
        sys.exit("the workload must fit")
    for line in sys.stdin:
        call, times = line.split()
        rounds = range(int(times))
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
        print(time.perf_counter_ns() - start, flush=True)


main()
