"""What every class and function of the package must have, whoever adds it: documentation, a useful repr, pickle and copies."""

import copy
import doctest
import importlib.metadata
import inspect
import logging
import pickle
import unittest
import unittest.mock

import slotwise
from common import RULES, device

ALIAS = {"name": "nic", "vendor_id": "15b3", "product_id": "1018"}
REQUEST = {"alternatives": [{"vendor_id": "15b3"}]}


def tracker():
    made = slotwise.Tracker(RULES)
    made.sync([device("0000:81:00.0"), device("0000:82:00.0")])
    return made


def fleet():
    made = slotwise.Fleet()
    made.put("host-1", tracker().pools)
    return made


# An object of each class that is not an exception.
EXAMPLES = {
    "Aliases": lambda: slotwise.Aliases([ALIAS]),
    "Config": lambda: slotwise.Config.parse('[pci]\nalias = {"name": "nic", "vendor_id": "15b3", "product_id": "1018"}\n'),
    "DeviceSpecs": lambda: slotwise.DeviceSpecs(RULES),
    "Fit": lambda: tracker().fit([REQUEST]),
    "Fleet": fleet,
    "HostSet": lambda: fleet().filter([REQUEST]).hosts,
    "Pools": lambda: tracker().pools,
    "Request": lambda: slotwise.Request(**REQUEST),
    "Tracker": tracker,
    "Workload": lambda: slotwise.Workload([REQUEST]),
}
# Classes of which no object is made here, and why.
WITHOUT = {
    "FleetAnswer": "what a fleet answered: its columns are copied, it is not",
    "Policy": "it is made of a file, and holds compiled code: it is neither copied nor pickled",
    "Ranking": "what a fleet answered: its columns are copied, it is not",
}


def public():
    return {name: getattr(slotwise, name) for name in slotwise.__all__}


def classes():
    found = {name: thing for name, thing in public().items() if inspect.isclass(thing)}
    return {name: thing for name, thing in found.items() if not issubclass(thing, Exception)}


class Everything(unittest.TestCase):
    def test_is_documented(self):
        lacking = []
        for name, thing in public().items():
            if name == "__version__":
                continue
            if not (thing.__doc__ or "").strip():
                lacking.append(name)
            if not inspect.isclass(thing):
                continue
            for member, value in vars(thing).items():
                if not member.startswith("_") and not (getattr(value, "__doc__", None) or "").strip():
                    # The exceptions' class attributes are plain values, described beside them in the source.
                    if callable(value) or inspect.isdatadescriptor(value):
                        lacking.append(f"{name}.{member}")
        self.assertEqual(lacking, [], "these have no docstring")

    def test_examples_in_docstrings_are_right(self):
        namespace = dict(public())
        parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        ran = 0
        for name, thing in public().items():
            texts = [(name, getattr(thing, "__doc__", None) or "")]
            if inspect.isclass(thing):
                texts += [(f"{name}.{m}", getattr(v, "__doc__", None) or "") for m, v in vars(thing).items() if m[0] != "_"]
            for where, text in texts:
                test = parser.get_doctest(text, dict(namespace), where, None, 0)
                ran += len(test.examples)
                runner.run(test)
        self.assertGreater(ran, 10)
        self.assertEqual(runner.failures if hasattr(runner, "failures") else runner.summarize(verbose=False).failed, 0)

    def test_has_an_example_here(self):
        self.assertEqual(set(classes()) - set(EXAMPLES) - set(WITHOUT), set(), "add an example to tests/python/test_package.py")

    def test_has_a_useful_repr(self):
        for name, make in EXAMPLES.items():
            with self.subTest(name):
                self.assertIn(name, repr(make()))
                self.assertNotIn(" object at 0x", repr(make()))

    def test_can_be_pickled_and_copied(self):
        for name, make in EXAMPLES.items():
            this = make()
            for how, that in (
                ("copy", copy.copy(this)),
                ("deepcopy", copy.deepcopy(this)),
                *((f"pickle {n}", pickle.loads(pickle.dumps(this, n))) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)),
            ):
                with self.subTest(name, how=how):
                    self.assertIs(type(that), type(this))
                    self.assertEqual(repr(that), repr(this))
                    if type(this).__eq__ is not object.__eq__:
                        self.assertEqual(that, this)
                        self.assertNotEqual(this, object())

    def test_copies_do_not_follow_each_other(self):
        first = tracker()
        second = copy.deepcopy(first)
        first.claim("vm", [REQUEST])
        self.assertEqual((first.pools.free, second.pools.free), (1, 2))
        pools = second.pools
        copied = copy.deepcopy(pools)
        copied.consume(copied.fit([REQUEST]))
        self.assertEqual((pools.free, copied.free), (2, 1))

    def test_what_does_not_change_has_a_hash(self):
        one, other = slotwise.Request(**REQUEST), slotwise.Request(**REQUEST)
        self.assertEqual(len({one, other}), 1)
        for make in (EXAMPLES["Tracker"], EXAMPLES["Pools"], EXAMPLES["Aliases"]):
            with self.assertRaises(TypeError):
                hash(make())


class Logging(unittest.TestCase):
    def test_changes_are_logged(self):
        with self.assertLogs("slotwise", logging.DEBUG) as logs:
            host = tracker()
            host.sync([device("0000:81:00.0"), device("0000:82:00.0")])
            host.claim("vm-1", [REQUEST])
            host.allocate("vm-1")
            host.free("vm-1")
            with self.assertRaises(slotwise.UnknownOwnerError):
                host.allocate("nobody")
        lines = [(record.levelname, record.getMessage()) for record in logs.records]
        self.assertEqual(lines[0], ("INFO", "sync: 2 added"))
        self.assertEqual(lines[1], ("DEBUG", "sync: nothing changed"))
        self.assertEqual((lines[2][0], lines[2][1][:24]), ("INFO", 'claim for "vm-1": fits: '))
        self.assertEqual([lines[3][1][:21], lines[4][1][:17]], ['allocated for "vm-1":', 'freed for "vm-1":'])
        self.assertEqual(lines[5][0], "DEBUG")
        self.assertEqual(len(lines), 6)

    def test_warnings_are_logged(self):
        rules = [{"address": {"bus": "1"}, "physical_network": "blue"}]
        self.assertTrue(slotwise.DeviceSpecs(rules).warnings)
        with self.assertLogs("slotwise", logging.WARNING) as logs:
            slotwise.DeviceSpecs(rules)
        self.assertEqual([record.levelname for record in logs.records], ["WARNING"] * len(logs.records))

    def test_a_logger_that_fails_does_not_undo_a_claim(self):
        class Fails(logging.Filter):
            def filter(self, record):
                raise RuntimeError("no disk")

        logger, reject = logging.getLogger("slotwise"), Fails()
        logger.addFilter(reject)
        before = logger.level
        logger.setLevel(logging.INFO)
        try:
            host = tracker()
            with unittest.mock.patch("sys.unraisablehook") as hook:
                self.assertTrue(host.claim("vm", [REQUEST]))
            self.assertEqual(hook.call_count, 1)
        finally:
            logger.removeFilter(reject)
            logger.setLevel(before)


class Metadata(unittest.TestCase):
    def test_says_what_users_look_for(self):
        found = importlib.metadata.metadata("slotwise")
        self.assertEqual(found["Version"], slotwise.__version__)
        self.assertEqual(found["Requires-Python"], ">=3.10")
        self.assertIn("Typing :: Typed", found.get_all("Classifier"))
        self.assertIn("# slotwise", found.get_payload())
        names = {str(path) for path in importlib.metadata.files("slotwise")}
        self.assertLessEqual({"slotwise/py.typed", "slotwise/_native.pyi", "slotwise/types.py"}, names)


if __name__ == "__main__":
    unittest.main()
