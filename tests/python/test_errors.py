"""Bad input: one class per kind, the place in the input, and state that stays as it was."""

import builtins
import collections
import enum
import pickle
import subprocess
import sys
import types
import unittest

import slotwise
from common import NIC, RULES, devices
from slotwise import _native

POOL = {"vendor_id": "8086", "product_id": "1520", "numa_node": 0, "count": 4}


class Classes(unittest.TestCase):
    def test_one_class_per_kind_with_a_builtin_parent(self):
        self.assertGreater(len(_native.ERROR_KINDS), 20)
        for code, (name, parent, kind, number, meaning) in enumerate(_native.ERROR_KINDS, 1):
            error = getattr(slotwise, name)
            self.assertIn(name, slotwise.__all__)
            self.assertEqual(error.__bases__, (slotwise.SlotwiseError, getattr(builtins, parent)))
            self.assertEqual((error.kind, error.code, error.__doc__), (kind, code, meaning))
            self.assertEqual((number, error.__module__), (code, "slotwise"))

    def test_an_error_tells_all_and_travels(self):
        with self.assertRaises(slotwise.InvalidJsonError) as caught:
            slotwise.Pools('[\n {"count": x}]')
        error = caught.exception
        self.assertIsInstance(error, ValueError)
        self.assertEqual((error.kind, error.code), ("invalid_json", 1))
        self.assertEqual((error.line, error.column), (2, 12))
        self.assertTrue(error.place.startswith("pools"))
        self.assertTrue(str(error).startswith(error.message))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(again), str(again), again.to_dict()), (type(error), str(error), error.to_dict()))

    def test_categories(self):
        tracker = slotwise.Tracker(RULES)
        with self.assertRaises(LookupError):
            tracker.explain("0000:01:00.0")
        with self.assertRaises(RuntimeError):
            slotwise.Aliases([{"name": "n", "vendor_id": "15b3", "product_id": "1018"}]).create(
                [{"name": "n", "vendor_id": "15b3", "product_id": "1018"}]
            )
        with self.assertRaises(ValueError):
            tracker.explain("nonsense")

    @unittest.skipUnless(hasattr(_native, "_fault"), "a release build cannot be asked for a fault")
    def test_a_panic_is_an_internal_error(self):
        # In a process of its own, because a panic also writes to standard error.
        program = (
            "import slotwise\n"
            "try: slotwise._native._fault('by request')\n"
            "except slotwise.InternalError as error: print(error, isinstance(error, RuntimeError))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        self.assertIn("by request", done.stdout)
        self.assertIn("True", done.stdout)


class BadValues(unittest.TestCase):
    def refused(self, error, place, call, *arguments, **keywords):
        with self.assertRaises(error) as caught:
            call(*arguments, **keywords)
        self.assertEqual(caught.exception.place, place, str(caught.exception))

    def test_values_without_a_json_form(self):
        cyclic = []
        cyclic.append(cyclic)
        for value in (float("nan"), float("inf"), 2**64, -(2**63) - 1, {1, 2}, object(), b"x", bytearray(b"x"), {1: 2}, int):
            with self.subTest(value):
                self.refused(
                    slotwise.InvalidArgumentError, "pools[1].tags.t", slotwise.Pools, [POOL, {**POOL, "tags": {"t": value}}]
                )
        with self.assertRaises(slotwise.InvalidArgumentError):
            slotwise.Pools(cyclic)

    def test_text_that_is_not_utf8(self):
        lone = "a\ud800"
        self.refused(slotwise.InvalidUtf8Error, "pools[0].t", slotwise.Pools, [{**POOL, "t": lone}])
        self.refused(slotwise.InvalidUtf8Error, "pools[0]", slotwise.Pools, [{**POOL, lone: "t"}])
        self.refused(slotwise.InvalidUtf8Error, "pools", slotwise.Pools, lone)
        self.refused(slotwise.InvalidUtf8Error, "pools", slotwise.Pools, b"\xff")
        self.refused(slotwise.InvalidUtf8Error, "owner", slotwise.Tracker(RULES).claim, lone, NIC)
        self.refused(slotwise.InvalidUtf8Error, "address", slotwise.Tracker(RULES).explain, lone)
        self.refused(slotwise.InvalidUtf8Error, "entries", slotwise.DeviceSpecs, lone)

    def test_values_that_share_parts_do_not_grow_without_bound(self):
        value = "x" * 100
        for _ in range(60):
            value = [value, value]
        with self.assertRaises(slotwise.LimitExceededError):
            slotwise.Pools(value)

    def test_mutating_objects_are_harmless(self):
        document = {"count": 1, "alternatives": [{}]}

        class Grows:
            def to_dict(self):
                document[str(len(document))] = document
                return "x"

        document["request_id"] = Grows()
        with self.assertRaises(slotwise.SlotwiseError):
            for _ in range(100):
                slotwise.Request.from_dict(document)

    def test_an_exception_of_the_callers_own_comes_through(self):
        class Fails:
            def to_dict(self):
                raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            slotwise.Pools([Fails()])

    def test_other_kinds_of_values_are_read(self):
        class Network(str, enum.Enum):
            BLUE = "blue"

        class Index:
            def __index__(self):
                return 3

        plain = slotwise.Pools([{**POOL, "count": 3, "tags": {"physical_network": "blue"}}])
        tags = types.MappingProxyType({"physical_network": Network.BLUE})
        pool = collections.OrderedDict({**POOL, "count": Index(), "tags": tags})
        self.assertEqual(slotwise.Pools((pool,)), plain)
        self.assertEqual(slotwise.Pools(collections.UserList([pool])), plain)

    def test_places_in_values(self):
        tracker = slotwise.Tracker(RULES)
        fit = tracker.fit
        self.refused(slotwise.InvalidRequestError, "workload.requests[0].count", fit, [{**NIC[0], "count": 0}])
        self.refused(slotwise.InvalidJsonError, "workload.strategy", fit, NIC, strategy="guess")
        self.refused(slotwise.InvalidJsonError, "workload.colour", fit, NIC, colour="red")
        self.refused(slotwise.InvalidJsonError, "query.colour", tracker.bindings, colour="red")
        self.refused(slotwise.InvalidArgumentError, "query", tracker.bindings, {}, owner="vm")
        self.refused(slotwise.InvalidJsonError, "workload.numa_cells[1]", fit, NIC, numa_cells=[0, "one"])
        self.refused(slotwise.InvalidAddressError, "devices[0].address", tracker.sync, [{**devices()[0], "address": "1"}])
        self.refused(slotwise.InvalidJsonError, "keys", tracker.group_by, "vendor_id")
        self.refused(slotwise.InvalidJsonError, "scope", tracker.free, "vm", "some")
        self.refused(slotwise.InvalidJsonError, "dry_run", tracker.replace_specs, RULES, 1)
        topology = {"cells": [{"id": 0}, {"id": 0}]}
        self.refused(
            slotwise.InvalidArgumentError, "options.numa_topology.cells[1]", slotwise.Tracker, RULES, numa_topology=topology
        )
        with self.assertRaises(TypeError):
            tracker.claim(b"vm", NIC)

    def test_a_refused_call_changes_nothing(self):
        tracker = slotwise.Tracker(RULES)
        tracker.sync(devices())
        tracker.claim("vm", NIC)
        before = tracker.snapshot()
        for call in (
            lambda: tracker.sync([*devices(), devices()[0]]),
            lambda: tracker.claim("vm", [{"count": 0, "alternatives": [{}]}]),
            lambda: tracker.allocate("nobody"),
            lambda: tracker.free_device("vm", "0000:82:00.0"),
            lambda: tracker.replace_specs([{"vendor_id": "xyz"}]),
            lambda: tracker.written([{"address": "0000:81:00.9", "action": "update", "fields": {}}]),
        ):
            with self.assertRaises(slotwise.SlotwiseError):
                call()
            self.assertEqual(tracker.snapshot(), before)


if __name__ == "__main__":
    unittest.main()
