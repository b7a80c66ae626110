"""The short form of ``differential.py``, as a test: strategy ``nova`` has no difference from the Nova installed.

``SLOTWISE_NOVA_CASES`` is the number of cases, ``SLOTWISE_NOVA_SEED`` the first of them.
"""

from __future__ import annotations

import os
import unittest

from differential import Run

CASES = int(os.environ.get("SLOTWISE_NOVA_CASES", "20000"))
FIRST = int(os.environ.get("SLOTWISE_NOVA_SEED", "0"))


class Differential(unittest.TestCase):
    def test_random_cases(self) -> None:
        run = Run(FIRST, FIRST + CASES)
        run.go(os.cpu_count() or 1)
        print(run.summary())
        self.assertEqual(run.differences, [], "\n".join(run.shown()))
        for fact in ("aliases accepted", "fits of Nova", "instances put on a host as its second or later", "claims that Nova serves"):
            self.assertGreater(run.counts[fact], CASES // 20, f"{fact}: the cases are too hard to show anything")


if __name__ == "__main__":
    unittest.main()
