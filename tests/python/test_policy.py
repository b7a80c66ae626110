"""Policies: loading, asking, failing, and a process that forks."""

import logging
import os
import pathlib
import signal
import stat
import tempfile
import threading
import unittest

import slotwise

POLICIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "wasm" / "policies"
HOSTS = [
    {"name": "node-1", "attributes": {"switch": "leaf-1", "inlet_celsius": 22}},
    {"name": "node-2", "attributes": {"switch": "leaf-2", "inlet_celsius": 33}},
    {"name": "node-3", "pools": [{"vendor_id": "15b3", "product_id": "1018", "count": 4}]},
]


def load(name, /, **options):
    return slotwise.Policy.load(POLICIES / f"{name}.wasm", **options)


class TestPolicy(unittest.TestCase):
    def test_filter_and_score(self):
        policy = load("avoid-hot-racks", configuration="refuse_over=32 prefer_below=20")
        self.assertEqual(policy.name, "avoid-hot-racks")
        self.assertEqual(policy.scope, ["filter", "score", "attributes", "pools"])
        self.assertEqual(policy.filter(HOSTS), [None, "policy avoid-hot-racks: the air inlet has 33 °C, over 32 °C", None])
        self.assertEqual(policy.score(HOSTS), [-2.0, -13.0, 0.04])
        self.assertEqual(policy.counters["calls"], 2)
        self.assertEqual(repr(policy), '<slotwise.Policy "avoid-hot-racks": filter, score, attributes, pools>')

    def test_facts_and_workload(self):
        policy = load("separate-tenants", configuration=b"leaf-1 = payroll\n", name="tenants")
        workload = slotwise.Workload([{"count": 1, "alternatives": [{"vendor_id": "15b3"}]}])
        reasons = policy.filter(HOSTS, workload, {"project_id": "web"})
        self.assertEqual(reasons, ["policy tenants: switch leaf-1 is kept for other projects", None, None])

    def test_prefer_is_neutral_without_being_answered(self):
        devices = [{"address": "0000:3b:00.0", "vendor_id": "15b3", "product_id": "1018"}]
        self.assertEqual(load("template").prefer(devices), [0.0])

    def test_what_cannot_be_loaded(self):
        with self.assertRaisesRegex(slotwise.InvalidPolicyError, "no_such.wasm"):
            load("no_such")
        with self.assertRaisesRegex(slotwise.InvalidPolicyError, "there is no setting limit"):
            load("avoid-hot-racks", configuration="limit=1")
        with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
            file.write(b"no component")
            file.flush()
            with self.assertRaisesRegex(slotwise.InvalidPolicyError, "not a WebAssembly component"):
                slotwise.Policy.load(file.name)
        with self.assertRaises(slotwise.InvalidJsonError):
            load("template", limits={"times": 1})
        with self.assertRaises(slotwise.InvalidPolicyError):
            load("template", limits={"stack": 1 << 30})
        with self.assertRaises(TypeError):
            load("template", configuration=3)

    def test_a_failure_closes_opens_or_drops(self):
        options = {"configuration": "leaf-1 = payroll"}
        with self.assertLogs("slotwise.policy", logging.ERROR) as logged:
            policy = load("separate-tenants", **options)
            for _ in range(2):
                with self.assertRaisesRegex(slotwise.PolicyFailedError, "does not name the fact project_id"):
                    policy.filter(HOSTS)
        self.assertEqual(len(logged.records), 1, "a kind of failure is logged once")
        self.assertEqual(policy.counters["failures"], {"refused": 2})
        logging.getLogger("slotwise.policy").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("slotwise.policy").setLevel, logging.NOTSET)
        self.assertEqual(load("separate-tenants", on_failure="open", **options).filter(HOSTS), [None] * 3)
        policy = load("separate-tenants", on_failure={"drop_after": 1}, **options)
        with self.assertRaises(slotwise.PolicyFailedError):
            policy.filter(HOSTS)
        self.assertEqual(policy.filter(HOSTS), [None] * 3)
        self.assertTrue(policy.counters["dropped"])

    def test_the_log_of_a_policy_reaches_logging(self):
        with self.assertLogs("slotwise.policy", logging.WARNING) as logged:
            load("separate-tenants")
        self.assertIn("no switch is given to any project", logged.output[0])

    def test_a_cache_must_be_private(self):
        with tempfile.TemporaryDirectory() as folder:
            cache = pathlib.Path(folder) / "code"
            for _ in range(2):
                self.assertEqual(load("template", configuration="r1", cache=cache).filter(HOSTS), [None] * 3)
            self.assertEqual(stat.S_IMODE(cache.stat().st_mode), 0o700)
            cache.chmod(0o777)
            with self.assertRaisesRegex(slotwise.InvalidPolicyError, "everybody may write to it"):
                load("template", cache=cache)

    def test_threads(self):
        policy, failed = load("avoid-hot-racks", limits={"instances": 2}), []

        def ask():
            for _ in range(20):
                if policy.filter(HOSTS) != [None] * 3:
                    failed.append(True)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(policy.counters["calls"], 160)

    def test_a_forked_process_keeps_time(self):
        # The limit is passed by far: a million refusals, each with its text, do not fit into a millisecond.
        many = "[" + ",".join('{"name":"n","attributes":{"rack":""}}' for _ in range(1_000_000)) + "]"
        policy = load("template", limits={"time_ms": 1, "memory": 1 << 30}, on_failure="closed")
        child = os.fork()
        if child == 0:
            logging.disable()
            signal.alarm(60)
            code = 1
            try:
                policy.filter(many)
            except slotwise.PolicyFailedError as error:
                code = 0 if "ran longer" in str(error) else 2
            finally:
                os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
