"""Many threads on one tracker, the interpreter lock, and what an import drags in."""

import os
import subprocess
import sys
import threading
import time
import unittest

import slotwise
from common import RULES, device, lets_others_run


def many(count):
    """PCI functions of one kind."""
    return [device(f"{n >> 8:04x}:{n & 0xff:02x}:00.0") for n in range(count)]


class Threads(unittest.TestCase):
    def test_eight_threads_fit_while_one_claims(self):
        tracker = slotwise.Tracker(RULES)
        tracker.sync(many(64))
        workload = slotwise.Workload([{"count": 3, "alternatives": [{"vendor_id": "15b3"}]}])
        done = threading.Event()
        failures = []
        fits = [0] * 8

        def fit(thread):
            try:
                while not done.is_set() or not fits[thread]:
                    answer = tracker.fit(workload)
                    # Between two claims there are always devices left, and always different ones.
                    assert answer and len(set(answer.devices)) == 3, answer
                    assert all(group["free"] <= 64 for group in tracker.pools.group_by(["vendor_id"]))
                    fits[thread] += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=fit, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            for owner in ("a", "b", "c"):
                self.assertTrue(tracker.claim(owner, workload))
            self.assertEqual(len(tracker.bindings()), 9)
            for owner in ("a", "b", "c"):
                self.assertEqual(len(tracker.free(owner)), 3)
        done.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertTrue(all(fits), fits)
        self.assertEqual(tracker.pools.free, 64)

    def test_no_device_is_claimed_twice(self):
        tracker = slotwise.Tracker(RULES)
        tracker.sync(many(64))
        workload = slotwise.Workload([{"alternatives": [{"vendor_id": "15b3"}]}])
        claimed = []

        def claim(thread):
            for number in range(16):
                claimed.extend(tracker.claim(f"{thread}-{number}", workload).devices)

        threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(claimed), len(set(claimed))), (64, 64))

    def test_pools_and_aliases_are_safe_too(self):
        pools = slotwise.Pools([{"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": 1000}])
        aliases = slotwise.Aliases([])
        workload = slotwise.Workload([{"alternatives": [{"vendor_id": "8086"}]}])

        def work(thread):
            for number in range(100):
                pools.consume(pools.fit(workload))
                aliases.create([{"name": f"{thread}-{number}", "vendor_id": "8086", "product_id": "1520"}])
                self.assertEqual(pools, pools)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((pools.free, len(aliases)), (600, 400))

    def test_the_interpreter_lock_is_released(self):
        """While one thread is inside one long call, this thread goes on running Python."""
        tracker = slotwise.Tracker(RULES)
        tracker.sync(many(20_000))
        snapshot = tracker.snapshot_json()
        span = []

        def restore():
            start = time.perf_counter()
            slotwise.Tracker.from_snapshot_json(snapshot)
            span.append((start, time.perf_counter()))

        # Without a release, this thread would get no turn between the start and the end of the call.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            thread = threading.Thread(target=restore)
            ticks = [time.perf_counter()]
            thread.start()
            while thread.is_alive():
                ticks.append(time.perf_counter())
        finally:
            sys.setswitchinterval(interval)
        start, end = span[0]
        middle = [tick for tick in ticks if start + (end - start) * 0.2 < tick < start + (end - start) * 0.8]
        self.assertGreater(len(middle), 10, f"a call of {end - start:.3f} s")

    def test_a_long_fit_releases_the_interpreter_lock(self):
        """A short fit keeps it, since to get it back can take longer."""
        tracker = slotwise.Tracker(RULES)
        tracker.sync(many(20_000))
        kind = {"alternatives": [{"vendor_id": "15b3"}]}
        workloads = {
            "plain": slotwise.Workload([kind]),
            "constrained": slotwise.Workload([{**kind, "count": 2, "distinct": ["address"]}]),
        }
        for name, workload in workloads.items():
            for asked in (tracker, tracker.pools):
                with self.subTest(f"{name}, {type(asked).__name__}"):
                    self.assertTrue(lets_others_run(lambda: asked.fit(workload)), "it kept the interpreter lock")


class Import(unittest.TestCase):
    def test_only_what_is_needed_is_imported(self):
        # Isolated from the environment, but with the package where this test has it from. What a Python imports at its
        # start, before the package, is its own affair.
        names = self.after_import("print(*set(sys.modules) - before)").split()
        self.assertIn("slotwise", names)
        packages = {name.partition(".")[0] for name in names}
        for name in ("nova", "oslo_config", "typing", "json", "logging"):
            self.assertNotIn(name, packages)
        self.assertNotIn("slotwise.nova", names)

    @unittest.skipUnless(os.path.isdir("/proc/self/task"), "this system does not list a process's threads")
    def test_the_runtime_of_policies_waits_for_the_first_one(self):
        # It has a thread of its own, which must not be there in programs that have no policy.
        self.assertEqual(self.after_import("import os; print(len(os.listdir('/proc/self/task')))").split(), ["1"])

    def after_import(self, program):
        before = f"import sys; sys.path[:] = {sys.path!r}; before = set(sys.modules)\nimport slotwise\n"
        return subprocess.run(
            [sys.executable, "-I", "-c", before + program], check=True, capture_output=True, text=True
        ).stdout


if __name__ == "__main__":
    unittest.main()
