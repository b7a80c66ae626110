"""The fleet from Python: hosts in and out, answers as bitmaps and columns, and many threads."""

import copy
import json
import pickle
import threading
import unittest

import slotwise
from common import lets_others_run

TWO = slotwise.Workload([{"count": 2, "alternatives": [{"product_id": "2330"}]}])


def pools(count, **more):
    return [{"vendor_id": "10de", "product_id": "2330", "count": count, **more}]


def fleet_of(*counts):
    """Hosts ``h0``, ``h1``, … with so many free devices of one kind."""
    fleet = slotwise.Fleet()
    fleet.put_many([f"h{n}" for n in range(len(counts))], [json.dumps(pools(count)) for count in counts])
    return fleet


class Hosts(unittest.TestCase):
    def test_the_same_content_changes_nothing_however_it_is_given(self):
        fleet = slotwise.Fleet()
        text = json.dumps(pools(4))
        self.assertEqual(fleet.put("a", text, version=7), {"id": 0, "version": 7, "outcome": "inserted"})
        sequence = fleet.sequence
        for form in (text, text.encode(), pools(4), slotwise.Pools(pools(4))):
            self.assertEqual(fleet.put("a", form)["outcome"], "unchanged")
        self.assertEqual((fleet.sequence, fleet.version("a"), fleet.id("a"), len(fleet)), (sequence, 7, 0, 1))
        topology = {"cells": [{"id": 0, "socket": 0}]}
        self.assertEqual(fleet.put("a", slotwise.Pools(pools(4)), topology)["outcome"], "updated")
        self.assertEqual(fleet.pools("a").numa_topology, topology)

    def test_a_stale_version_or_delta_is_refused_and_changes_nothing(self):
        fleet = fleet_of(4)
        fleet.put("h0", pools(3), version=5)
        before = fleet.snapshot()
        with self.assertRaises(slotwise.ConflictError):
            fleet.put("h0", pools(2), version=4)
        with self.assertRaises(slotwise.ConflictError):
            fleet.apply("h0", {"base": 4, "version": 6, "pools": pools(2)})
        self.assertEqual(fleet.snapshot(), before)
        self.assertEqual(fleet.apply("h0", {"base": 5, "version": 6, "pools": pools(2)})["outcome"], "updated")
        self.assertEqual(fleet.pools("h0").free, 2)

    def test_many_hosts_are_taken_over_or_none(self):
        fleet = slotwise.Fleet()
        lines = "\n".join(json.dumps({"host": f"h{n}", "pools": pools(n), "tags": {"rack": "r1"}}) for n in range(9))
        self.assertEqual(fleet.load(lines), {"inserted": 9, "updated": 0, "unchanged": 0})
        self.assertEqual(fleet.load(lines.encode()), {"inserted": 0, "updated": 0, "unchanged": 9})
        self.assertEqual(fleet.tags("h8"), {"rack": "r1"})
        with self.assertRaises(slotwise.InvalidPoolError) as raised:
            fleet.load(lines + '\n{"host": "new", "pools": 7}')
        self.assertEqual((raised.exception.place, raised.exception.line), ("lines[9].pools", 10))
        with self.assertRaises(slotwise.InvalidJsonError) as raised:
            fleet.put_many(["x", "y"], ["[]", "["])
        self.assertEqual(raised.exception.place, "hosts[1].pools")
        with self.assertRaises(slotwise.InvalidArgumentError):
            fleet.put_many(["x", "y"], ["[]"])
        with self.assertRaises(TypeError):
            fleet.put_many(["x"], [[]])
        self.assertNotIn("new", fleet)
        self.assertNotIn("x", fleet)

    def test_unknown_hosts_raise(self):
        fleet = fleet_of(1)
        for call in (fleet.remove, fleet.tags, fleet.version, fleet.id, fleet.pools):
            with self.assertRaises(slotwise.UnknownHostError):
                call("nobody")
        fleet.remove("h0")
        self.assertEqual((len(fleet), fleet.name(0), fleet.id_bound), (0, None, 1))

    def test_copies_and_snapshots_are_whole(self):
        fleet = fleet_of(4, 1)
        fleet.set_tags("h1", {"rack": "r1"})
        self.assertTrue(fleet.reserve("vm", "h0", TWO, 100))
        for other in (copy.copy(fleet), copy.deepcopy(fleet), pickle.loads(pickle.dumps(fleet))):
            self.assertEqual(other.snapshot(), fleet.snapshot())
            other.release("vm")
            self.assertEqual((other.pools("h0").free, fleet.pools("h0").free), (4, 2))
        self.assertGreater(fleet.memory["total"], 0)
        with self.assertRaises(slotwise.InvalidSnapshotError):
            slotwise.Fleet.from_snapshot(fleet.snapshot()[:-1])


class Answers(unittest.TestCase):
    def test_answers_are_bitmaps_and_columns(self):
        fleet = fleet_of(4, 1, 2, 0, 9)
        answer = fleet.filter(TWO)
        self.assertEqual((answer.asked, answer.fits, answer.no_fit, bool(answer)), (5, 3, 2, True))
        self.assertEqual(answer.hosts.bitmap, bytes([0b10101]))
        self.assertEqual(answer.hosts.ids.format, "I")
        self.assertEqual(answer.hosts.ids.tolist(), [0, 2, 4])
        self.assertEqual(fleet.names(answer.hosts), ["h0", "h2", "h4"])
        self.assertEqual(fleet.names(), [f"h{n}" for n in range(5)])
        for host in fleet.names():
            self.assertEqual(bool(fleet.fit(host, TWO)), fleet.id(host) in answer.hosts)
        self.assertEqual(answer, fleet.filter(TWO))
        self.assertEqual(answer.to_dict()["hosts"], [0, 2, 4])

    def test_a_question_may_be_limited(self):
        fleet = fleet_of(4, 4, 4, 4)
        some = slotwise.HostSet.from_bitmap(bytearray([0b1110]))
        for among in (some, [1, 2, 3], some.ids):
            self.assertEqual(list(fleet.filter(TWO, among=among).hosts), [1, 2, 3])
        self.assertEqual(list(fleet.filter(TWO, among=some, limit=2).hosts), [1, 2])
        for among in (some, [1, 2, 3]):
            with self.assertRaisesRegex(slotwise.SlotwiseError, "among is given beside a whole options"):
                fleet.filter(TWO, {"limit": 2}, among=among)
        self.assertEqual(list(fleet.filter(TWO, {"limit": 1}).hosts), [0])
        self.assertEqual(list(fleet.filter(TWO, hosts=[{"host": "h3", "numa_cells": [0]}]).hosts), [3])
        with self.assertRaises(slotwise.UnknownHostError):
            fleet.filter(TWO, hosts=[{"host": "nobody"}])
        with self.assertRaises(slotwise.InvalidJsonError):
            fleet.filter(TWO, limits=1)

    def test_the_best_come_first(self):
        fleet = fleet_of(9, 2, 4, 1)
        ranking = fleet.rank(TWO, weighers=[{"kind": "fewest_free"}], limit=2)
        self.assertEqual((ranking.hosts.tolist(), ranking.scores.format, len(ranking)), ([1, 2], "d", 2))
        self.assertEqual(ranking.weights[0].tolist(), [98.0, 96.0])
        self.assertEqual(ranking.to_dict()["hosts"], [1, 2])
        fleet.declare_demand([{"workload": TWO, "weight": 2}])
        fleet.observe_demand(TWO)
        self.assertEqual([entry["weight"] for entry in fleet.demand], [2.0, 1.0])
        with self.assertRaises(slotwise.SlotwiseError):
            fleet.rank(TWO, weighers=[{"kind": "mood"}])

    def test_the_fleet_explains_itself(self):
        told = fleet_of(4, 1, 0).explain(TWO)
        self.assertEqual((told["asked"], told["fits"]), (3, 1))
        self.assertIn("3 hosts", told["message"])

    def test_numpy_takes_them_as_they_are(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed")
        answer = fleet_of(4, 1, 2).filter(TWO)
        ids = numpy.asarray(answer.hosts.ids)
        self.assertEqual((ids.dtype, ids.tolist()), (numpy.uint32, [0, 2]))
        self.assertFalse(ids.flags.owndata, "numpy has made a copy")
        bits = numpy.unpackbits(numpy.frombuffer(answer.hosts.bitmap, numpy.uint8), bitorder="little")
        self.assertEqual(slotwise.HostSet.from_bitmap(numpy.packbits(bits, bitorder="little")), answer.hosts)


class Sets(unittest.TestCase):
    def test_a_set_is_a_set(self):
        a, b = slotwise.HostSet([1, 2, 70]), slotwise.HostSet([2, 70, 71])
        self.assertEqual((list(a & b), list(a - b), len(a), 1 in a, 3 in a), ([2, 70], [1], 3, True, False))
        self.assertEqual(pickle.loads(pickle.dumps(a)), a)
        self.assertEqual(slotwise.HostSet().ids.tolist(), [])
        self.assertEqual(slotwise.HostSet.from_bitmap(memoryview(a.bitmap)), a)
        with self.assertRaises(OverflowError):
            slotwise.HostSet([-1])
        with self.assertRaises(TypeError):
            slotwise.HostSet.from_bitmap([1])


class Reservations(unittest.TestCase):
    def test_two_in_flight_do_not_get_the_last_device_twice(self):
        fleet = fleet_of(2)
        self.assertTrue(fleet.reserve("a", "h0", TWO, 10))
        self.assertFalse(fleet.reserve("b", "h0", TWO, 10))
        self.assertFalse(fleet.filter(TWO))
        with self.assertRaises(slotwise.AlreadyExistsError):
            fleet.reserve("a", "h0", TWO, 10)
        self.assertEqual(fleet.reservations, {"a": {"host": 0, "expires": 10}})
        self.assertEqual((fleet.expire(9), fleet.expire(10)), ([], ["a"]))
        self.assertTrue(fleet.filter(TWO))
        with self.assertRaises(slotwise.UnknownOwnerError):
            fleet.release("a")

    def test_a_batch_is_placed_and_held(self):
        fleet = fleet_of(4, 2)
        batch = {
            "items": [{"owner": f"vm-{n}", "workload": TWO} for n in range(2)],
            "rules": [{"items": [0, 1], "distinct": "host"}],
        }
        placed = fleet.place(batch)
        self.assertEqual((placed["outcome"], {item["host"] for item in placed["items"]}), ("placed", {0, 1}))
        fleet.reserve_placed(batch, placed, 50)
        self.assertEqual(sorted(fleet.reservations), ["vm-0", "vm-1"])
        with self.assertRaises(slotwise.ConflictError):
            fleet.reserve_placed(batch, placed, 50)


class Threads(unittest.TestCase):
    def test_other_threads_run_during_a_call(self):
        fleet = fleet_of(*[4] * 3000)
        text = json.dumps(pools(4))
        snapshot = fleet.snapshot()
        names = [f"n{number}" for number in range(3000)]
        lines = "\n".join(json.dumps({"host": name, "pools": pools(4)}) for name in names)
        batch = {"items": [{"owner": "vm", "workload": TWO}]}
        calls = {
            "filter": lambda: fleet.filter(TWO, among=slotwise.HostSet(range(3000))),
            "rank": lambda: fleet.rank(TWO, weighers=[{"kind": "best_fit"}]),
            "explain": lambda: fleet.explain(TWO),
            "place": lambda: fleet.place(batch),
            "put_many": lambda: slotwise.Fleet().put_many(names, [text] * 3000),
            "load": lambda: slotwise.Fleet().load(lines),
            "snapshot": fleet.snapshot,
            "from_snapshot": lambda: slotwise.Fleet.from_snapshot(snapshot),
        }
        for name, call in calls.items():
            with self.subTest(name):
                self.assertTrue(lets_others_run(call), f"{name} kept the interpreter lock")

    def test_eight_threads_ask_while_one_changes(self):
        fleet = fleet_of(*[2] * 200)
        done = threading.Event()
        failures = []
        asked = [0] * 8

        def ask(thread):
            try:
                while not done.is_set() or not asked[thread]:
                    answer = fleet.filter(TWO)
                    # All hosts fit, or all but the one that is being changed.
                    assert answer.fits in (199, 200), answer
                    assert len(answer.hosts) == answer.fits
                    asked[thread] += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for number in range(200):
            fleet.put(f"h{number}", pools(1))
            fleet.put(f"h{number}", pools(2))
        done.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertTrue(all(asked), asked)
        self.assertEqual(fleet.filter(TWO).fits, 200)


if __name__ == "__main__":
    unittest.main()
