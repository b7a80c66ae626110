"""What ``slotwise discover --format nova`` prints, taken over by Nova's own tracker."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest

import dropin
import plain

COMMAND = os.environ.get("SLOTWISE_CLI", "target/debug/slotwise")
CARD = "0000:3b:00.0"


class Discovery(unittest.TestCase):
    def test_novas_tracker_takes_what_discover_reports(self) -> None:
        with tempfile.TemporaryDirectory() as machine:
            subprocess.run(["sh", "examples/machine.sh", machine], check=True)
            told = subprocess.run(
                [COMMAND, "discover", "--sysfs-root", machine, "--format", "nova"],
                check=True,
                capture_output=True,
            )
        found = json.loads(told.stdout)
        rules = [{"vendor_id": "15b3", "product_id": "101e", "physical_network": "blue"}]
        host = plain.Tracker(rules, {"cells": [{"id": 0, "socket": 0}]}, found)
        host.sync(found)
        known = {device.address: device for device in host.tracker.pci_devs}
        self.assertEqual(sorted(known), [f"0000:3b:00.{function}" for function in (2, 3, 4)])
        for device in known.values():
            self.assertEqual(
                (device.dev_type, device.parent_addr, device.vendor_id, device.product_id, device.numa_node),
                ("type-VF", CARD, "15b3", "101e", 0),
            )
        asked = dropin.request(alternatives=[{"physical_network": "blue"}], count=2)
        workload = {"requests": [asked], "numa_cells": None}
        self.assertEqual(len(host.claim(dropin.OWNERS[0], workload) or []), 2)
        before = host.pools()
        host.sync(found)
        self.assertEqual(host.pools(), before)


if __name__ == "__main__":
    unittest.main()
