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
        self.assertEqual(policy.scope, ["filter", "score", "attributes", "score_pools"])
        self.assertEqual(policy.filter(HOSTS), [None, "policy avoid-hot-racks: the air inlet has 33 °C, over 32 °C", None])
        self.assertEqual(policy.score(HOSTS), [-2.0, -13.0, 0.04])
        self.assertEqual(policy.counters["calls"], 2)
        self.assertEqual(repr(policy), '<slotwise.Policy "avoid-hot-racks": filter, score, attributes, score_pools>')

    def test_facts_and_workload(self):
        policy = load("separate-tenants", configuration=b"leaf-1 = payroll\n", name="tenants")
        workload = slotwise.Workload([{"count": 1, "alternatives": [{"vendor_id": "15b3"}]}])
        reasons = policy.filter(HOSTS, workload, {"project_id": "web"})
        self.assertEqual(reasons, ["policy tenants: switch leaf-1 is kept for other projects", None, None])

    def test_prefer_is_neutral_without_being_answered(self):
        devices = [{"address": "0000:3b:00.0", "vendor_id": "15b3", "product_id": "1018"}]
        self.assertEqual(load("template").prefer(devices), [0.0])

    def test_a_tracker_asks_which_devices_go_first(self):
        tracker = slotwise.Tracker([{"vendor_id": "10de"}])
        lanes = {"0000:01:00.0": "8", "0000:02:00.0": "16", "0000:03:00.0": "4", "0000:04:00.0": "16"}
        tracker.sync(
            [
                {
                    "address": address,
                    "vendor_id": "10de",
                    "product_id": "2330",
                    "extra_info": {"current_link_width": current, "max_link_width": "16"},
                }
                for address, current in lanes.items()
            ]
        )
        policies = [load("template"), load("narrow-links-last")]
        requests = [{"count": 1, "alternatives": [{"vendor_id": "10de"}]}]
        self.assertEqual(tracker.fit(requests).devices, ["0000:01:00.0"])
        workload = tracker.prefer(requests, policies=policies, facts={"project_id": "p"}, prefer="pack")
        tiers = [["0000:02:00.0", "0000:04:00.0"], ["0000:01:00.0"], ["0000:03:00.0"]]
        self.assertEqual(workload.to_dict()["prefer_devices"], tiers)
        self.assertEqual(workload.to_dict()["prefer"], "pack")
        self.assertEqual(tracker.claim("vm-1", workload).devices, ["0000:02:00.0"])
        # What is held is not asked about; a policy that does not prefer changes nothing.
        self.assertEqual(tracker.prefer(workload, policies=policies).to_dict()["prefer_devices"][0], ["0000:04:00.0"])
        self.assertEqual(tracker.prefer(workload, policies=[]), workload)
        self.assertEqual(tracker.prefer(workload, policies=policies[:1]), workload)
        with self.assertRaisesRegex(slotwise.InvalidRequestError, "strategy nova"):
            tracker.prefer(requests, policies=policies, strategy="nova")
        failing = load("narrow-links-last", limits={"result": 4})
        with self.assertRaisesRegex(slotwise.PolicyFailedError, "narrow-links-last"):
            tracker.prefer(requests, policies=[failing])
        with self.assertRaises(TypeError):
            tracker.prefer(requests)

    def test_what_cannot_be_loaded(self):
        with self.assertRaisesRegex(slotwise.InvalidPolicyError, "no_such.wasm"):
            load("no_such")
        with self.assertRaisesRegex(slotwise.InvalidPolicyError, "there is no setting limit"):
            load("avoid-hot-racks", configuration="limit=1")
        with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
            file.write(b"no component")
            file.flush()
            with self.assertRaisesRegex(slotwise.InvalidPolicyError, "not a WebAssembly component") as raised:
                slotwise.Policy.load(file.name)
            self.assertTrue(str(raised.exception).startswith(file.name), raised.exception)
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

    def test_a_reason_is_one_text(self):
        policy = load("template", configuration="r1")
        reasons = policy.filter([{"name": f"node-{i}", "attributes": {"rack": "r1"}} for i in range(100)])
        self.assertEqual(reasons[0], "policy template: the rack is kept free")
        self.assertTrue(all(reason is reasons[0] for reason in reasons))

    def test_what_a_signal_raises_while_a_line_is_logged_ends_the_call(self):
        class Interrupted(logging.Handler):
            def emit(self, record):
                raise KeyboardInterrupt

        handler = Interrupted()
        logger = logging.getLogger("slotwise.policy")
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        with self.assertRaises(KeyboardInterrupt):
            load("separate-tenants")
        logger.removeHandler(handler)
        policy = load("separate-tenants", configuration="leaf-1 = payroll", on_failure="open")
        logger.addHandler(handler)
        fleet = slotwise.Fleet()
        fleet.put("node-1", [{"vendor_id": "15b3", "product_id": "101e", "count": 1}])
        request = [{"count": 1, "alternatives": [{"vendor_id": "15b3"}]}]
        with self.assertRaises(KeyboardInterrupt):
            fleet.filter(request, policies=[policy])
        self.assertEqual(fleet.filter(request, policies=[policy]).fits, 1, "later failures are counted only")

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

    # Without a limit these take a second: each is refused with a text of its own, as no two are alike.
    PROJECT = "p" * 50_000
    MANY = "[" + ",".join(map('{{"name":"n","attributes":{{"serial":"{}"}}}}'.format, range(100_000))) + "]"

    def slow(self, **limits):
        return load("separate-tenants", configuration=f"leaf-1 = {self.PROJECT}", limits=limits)

    @staticmethod
    def in_a_fork(policy, hosts, project):
        """Asks in a forked process; how that ends, as what the reason has in it, or a number."""
        ends = {10: "answered", 11: "ran longer", 12: "was forked"}
        child = os.fork()
        if child == 0:
            logging.disable()
            signal.alarm(60)
            code = 1
            try:
                policy.filter(hosts, facts={"project_id": project})
                code = 10
            except slotwise.PolicyFailedError as error:
                code = next((code for code, text in ends.items() if text in str(error)), 2)
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return ends.get(code, code)

    def test_a_forked_process_keeps_time(self):
        self.assertEqual(self.in_a_fork(self.slow(time_ms=1), self.MANY, self.PROJECT), "ran longer")

    def test_a_process_that_was_forked_in_the_middle_of_a_call_does_not_hang(self):
        policy, failed = self.slow(time_ms=60_000), []

        def ask():
            try:
                policy.filter(self.MANY, facts={"project_id": self.PROJECT})
            except slotwise.PolicyFailedError as error:
                failed.append(str(error))

        asks = threading.Thread(target=ask)
        asks.start()
        ends = set()
        while asks.is_alive():
            ends.add(self.in_a_fork(policy, HOSTS, "web"))
        self.assertLessEqual({"was forked"}, ends)
        self.assertLessEqual(ends, {"answered", "was forked"})
        self.assertIn("over 1024 bytes", failed[0])
        self.assertEqual(self.in_a_fork(policy, HOSTS, "web"), "answered")


class TestPoliciesOfAFleet(unittest.TestCase):
    """Policies in what a fleet is asked, with their failures and reasons."""

    REQUESTS = [{"count": 1, "alternatives": [{"product_id": "1018"}]}]
    HOT = "policy avoid-hot-racks: the air inlet has 33 °C, over 32 °C"

    def setUp(self):
        self.fleet = slotwise.Fleet()
        for name, celsius in [("node-1", "28"), ("node-2", "33"), ("node-3", "20")]:
            self.fleet.put(name, [{"vendor_id": "15b3", "product_id": "1018", "count": 4}])
            self.fleet.set_tags(name, {"inlet_celsius": celsius, "switch": "leaf-1"})
        self.fleet.put("node-4", [])
        self.racks = load("avoid-hot-racks", configuration="refuse_over=32 prefer_below=25")

    def names(self, hosts):
        return [self.fleet.name(id) for id in hosts]

    def test_filter(self):
        answer = self.fleet.filter(self.REQUESTS, policies=[self.racks])
        self.assertEqual(self.fleet.names(answer.hosts), ["node-1", "node-3"])
        self.assertEqual(answer.refused, [{"reason": self.HOT, "hosts": 1}])
        self.assertEqual((answer.asked, answer.fits, answer.no_fit), (4, 2, 1))
        self.assertEqual(self.fleet.names(self.fleet.filter(self.REQUESTS, limit=1, policies=(self.racks,)).hosts), ["node-1"])
        self.assertEqual(self.fleet.filter(self.REQUESTS, policies=[]), self.fleet.filter(self.REQUESTS))
        for wrong in (["avoid-hot-racks"], self.racks, 3):
            with self.assertRaises(TypeError):
                self.fleet.filter(self.REQUESTS, policies=wrong)

    def test_facts_reach_the_policies_and_the_first_refusal_counts(self):
        tenants = load("separate-tenants", configuration="leaf-1 = payroll", name="tenants")
        policies = [tenants, self.racks]
        answer = self.fleet.filter(self.REQUESTS, facts={"project_id": "web"}, policies=policies)
        kept = "policy tenants: switch leaf-1 is kept for other projects"
        self.assertEqual(answer.refused, [{"reason": kept, "hosts": 3}])
        answer = self.fleet.filter(self.REQUESTS, facts={"project_id": "payroll"}, policies=policies)
        self.assertEqual(answer.refused, [{"reason": self.HOT, "hosts": 1}])

    def test_rank(self):
        ranking = self.fleet.rank(self.REQUESTS, weighers=[{"kind": "fewest_free"}], policies=[self.racks])
        self.assertEqual(self.names(ranking.hosts), ["node-3", "node-1"])
        self.assertEqual([list(weights) for weights in ranking.weights], [[96.0, 96.0], [0.04, 0.04 - 3]])
        ranking = self.fleet.rank(self.REQUESTS, policy_multiplier=-1.0, policies=[self.racks])
        self.assertEqual(self.names(ranking.hosts), ["node-1", "node-3"])

    def test_explain(self):
        explanation = self.fleet.explain(self.REQUESTS, policies=[self.racks])
        self.assertEqual((explanation["asked"], explanation["fits"]), (4, 2))
        reasons = {reason["why"]: reason for reason in explanation["reasons"]}
        self.assertEqual(reasons["refused"], {"request": None, "why": "refused", "reason": self.HOT, "hosts": 1})
        self.assertIn(self.HOT, explanation["message"])

    def test_place(self):
        batch = {"items": [{"owner": "vm-1", "workload": {"requests": self.REQUESTS}}]}
        placed = self.fleet.place(batch, policies=[self.racks])
        self.assertEqual(placed["items"][0]["host"], self.fleet.id("node-3"))
        placed = self.fleet.place(batch | {"among": [self.fleet.id("node-2")]}, policies=[self.racks])
        self.assertNotEqual(placed["outcome"], "placed")

    def test_failures(self):
        quiet = logging.getLogger("slotwise.policy")
        quiet.setLevel(logging.CRITICAL)
        self.addCleanup(quiet.setLevel, logging.NOTSET)
        batch = {"items": [{"owner": "vm-1", "workload": {"requests": self.REQUESTS}}]}

        def tenants(on_failure):
            # It fails, because the fact project_id is not given.
            return load("separate-tenants", configuration="leaf-1 = payroll", on_failure=on_failure)

        closed = [self.racks, tenants("closed")]
        for ask in (self.fleet.filter, self.fleet.rank, self.fleet.explain):
            with self.assertRaisesRegex(slotwise.PolicyFailedError, "policy separate-tenants: .*project_id"):
                ask(self.REQUESTS, policies=closed)
        with self.assertRaises(slotwise.PolicyFailedError):
            self.fleet.place(batch, policies=closed)
        answer = self.fleet.filter(self.REQUESTS, policies=[self.racks, tenants("open")])
        self.assertEqual(answer.fits, 2)
        dropped = tenants({"drop_after": 1})
        with self.assertRaises(slotwise.PolicyFailedError):
            self.fleet.filter(self.REQUESTS, policies=[dropped])
        self.assertEqual(self.fleet.filter(self.REQUESTS, policies=[dropped]).fits, 3)
        self.assertTrue(dropped.counters["dropped"])

    def test_a_log_handler_may_use_the_fleet(self):
        test = self

        class Handler(logging.Handler):
            def emit(self, record):
                test.fleet.put("seen-by-handler", [])

        logger, handler = logging.getLogger("slotwise.policy"), Handler()
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        logger.propagate = False
        self.addCleanup(setattr, logger, "propagate", True)
        policy = load("separate-tenants", configuration="leaf-1 = payroll", on_failure="open")
        asked = threading.Thread(target=self.fleet.filter, args=(self.REQUESTS,), kwargs={"policies": [policy]}, daemon=True)
        asked.start()
        asked.join(60)
        self.assertFalse(asked.is_alive(), "a policy is asked while the fleet is locked")
        self.assertIn("seen-by-handler", self.fleet)
