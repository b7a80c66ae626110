"""Nova's own tests of its PCI code pass with the drop-in active, and Nova's own code is not executed by them."""

from __future__ import annotations

import unittest

import upstream


class Upstream(unittest.TestCase):
    def test_they_pass(self) -> None:
        outcome = upstream.run()
        print(upstream.summary(outcome))
        self.assertEqual([], upstream.verdict(outcome))

    def test_the_verdict_finds_faults(self) -> None:
        listed = next(iter(upstream.exceptions()))
        good = {"passed": [], "failed": dict.fromkeys(upstream.exceptions(), ""), "watched": [], "called": {}}
        good["passed"] = [f"t{i}" for i in range(upstream.TESTS - len(good["failed"]))]
        self.assertEqual(upstream.verdict(good), [])
        failed = {name: "" for name in good["failed"] if name != listed}
        for bad in (
            {**good, "failed": {**good["failed"], "t0": "boom"}, "passed": good["passed"][1:]},
            {**good, "failed": failed, "passed": [*good["passed"], listed]},
            {**good, "failed": failed, "passed": [*good["passed"], "t"]},
            {**good, "called": {"nova.pci.stats.PciDeviceStats.add_device": 1}},
            {**good, "passed": good["passed"][1:]},
        ):
            self.assertEqual(len(upstream.verdict(bad)), 1)


if __name__ == "__main__":
    unittest.main()
