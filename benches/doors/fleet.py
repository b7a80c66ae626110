"""Times questions to a fleet through the Python package.

Arguments: a snapshot of the fleet, and a file with a JSON list of workloads. Each line of input is how often each of the
workloads is asked in turn; the answer is a line with the nanoseconds that this took, loop included, and how many hosts fit
the last.
"""

import json
import sys
import time

import slotwise


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        fleet = slotwise.Fleet.from_snapshot(file.read())
    with open(sys.argv[2], encoding="utf-8") as file:
        workloads = [slotwise.Workload.from_dict(document) for document in json.load(file)]
    for line in sys.stdin:
        rounds = range(int(line))
        ask = fleet.filter
        hosts = None
        start = time.perf_counter_ns()
        for _ in rounds:
            for workload in workloads:
                hosts = ask(workload).hosts
        elapsed = time.perf_counter_ns() - start
        print(elapsed, len(hosts), flush=True)


main()
