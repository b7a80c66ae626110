"""What Nova 34's own support_requests costs for a host, for `cargo xtask compare fleet`.

Reads one JSON list of pools per line, and prints the median time of one call in nanoseconds and how many hosts fit.
"""

import json
import statistics
import sys
import time

from nova import objects
from nova.pci import stats

objects.register_all()

REQUESTS = [
    (2, [{"vendor_id": "15b3", "physical_network": "blue"}]),
    (1, [{"vendor_id": "10de", "product_id": "2330"}]),
]


def main() -> None:
    hosts = []
    for line in sys.stdin:
        pools = [
            objects.PciDevicePool.from_dict({**pool.pop("tags", {}), **pool}) for pool in json.loads(line)
        ]
        hosts.append(stats.PciDeviceStats(objects.NUMATopology(cells=[]), objects.PciDevicePoolList(objects=pools)))
    requests = [objects.InstancePCIRequest(count=count, spec=spec) for count, spec in REQUESTS]
    times, fits = [], 0
    for host in hosts:
        start = time.perf_counter_ns()
        fits += host.support_requests(requests, {})
        times.append(time.perf_counter_ns() - start)
    print(int(statistics.median(times)), fits)


main()
