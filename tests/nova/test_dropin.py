"""The drop-in through Nova's own call paths: the same as Nova where that is right, and right where it is not."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import pickle
import unittest
from collections import Counter
from typing import Any
from unittest import mock

import differential
import dropin
import generate
import plain
from dropin import PF_A, PF_B, card, case, claim, device, pool, request, tracker
from nova import context, exception, objects
from nova.objects import pci_device_pool
from nova.pci import devspec, manager, stats, utils, whitelist
from nova.pci import request as pci_request
from nova.scheduler import filters, host_manager
from nova.scheduler.filters import pci_passthrough_filter
from nova.scheduler.weights import pci

import slotwise.nova
from slotwise._native import nova_forget
from slotwise.nova import dropin as shipped

CASES = int(os.environ.get("SLOTWISE_NOVA_DROPIN_CASES", "400"))

A_OR_B = [{"product_id": "1111"}, {"product_id": "2222"}]
VF, PF = [{"dev_type": "type-VF"}], [{"dev_type": "type-PF"}]
TWO = [pool(), pool(product_id="2222", address=PF_B)]
NEAR_PF = [
    pool(dev_type="type-PF", count=8, remote_managed="false"),
    pool(dev_type="type-VF", count=8, numa_node=1, address=PF_B, remote_managed="false"),
]
ANY = [{"vendor_id": "8086"}]
REMOTE = [pool(dev_type="type-VF", count=8, remote_managed="true"), NEAR_PF[1]]
RP = [pool(count=8, rp_uuid="rp-a"), pool(count=8, rp_uuid="rp-b", numa_node=1, address=PF_B)]
SPLIT = [pool(rp_uuid="rp-a"), pool(rp_uuid="rp-a", rack="x"), pool(rp_uuid="rp-b", address=PF_B)]
ONE = request(0)["request_id"]

FITS: list[tuple[str, dict[str, Any], bool]] = [
    ("W01", case(TWO, [request(0, alternatives=A_OR_B), request(1, alternatives=A_OR_B[:1])]), True),
    (
        "W02",
        case(
            [pool(), pool(numa_node=1, address=PF_B)],
            [request(0, numa_policy="preferred"), request(1, numa_policy="required")],
            [0],
        ),
        True,
    ),
    ("W03", case(NEAR_PF, [request(alternatives=ANY, numa_policy="preferred")], [0]), True),
    ("W03b", case([NEAR_PF[0], {**NEAR_PF[1], "numa_node": None}], [request(alternatives=ANY)], [0]), True),
    ("W03c", case(REMOTE, [request(alternatives=VF, numa_policy="preferred")], [0]), True),
    ("W03d", case(RP, [request(numa_policy="preferred")], [0], {f"{ONE}-0": ["rp-b"]}), True),
    (
        "W04",
        case(
            [pool(dev_type="type-PF"), pool(dev_type="type-VF", count=2)],
            [request(0, alternatives=PF), request(1, alternatives=VF)],
        ),
        False,
    ),
    ("W07", case(RP[:1], [request(count=2)], None, {f"{ONE}-0": ["rp-a"], f"{ONE}-1": ["rp-b"]}), False),
    ("W08", case(SPLIT, [request()], None, {f"{ONE}-0": ["rp-b"]}), True),
]
"""Id, question, and the right answer; Nova gives the other one."""


class WrongAnswers(dropin.Case):
    def test_fits(self) -> None:
        for name, asked, right in FITS:
            with self.subTest(name):
                slotwise.nova.deactivate()
                self.assertEqual(plain.supports(asked), not right, "Nova")
                slotwise.nova.activate()
                self.assertEqual(plain.supports(asked), right, "exact")
                self.strategy("nova")
                self.assertEqual(plain.supports(asked), not right, "strategy nova")
                self.strategy("exact")

    def test_w04c_multi_create(self) -> None:
        rows = [pool(dev_type="type-PF"), pool(dev_type="type-VF", count=2)]
        for strategy, still_there in (("exact", False), ("nova", True)):
            self.strategy(strategy)
            host = plain.pci_stats(rows)
            host.apply_requests(plain.pci_requests([request(alternatives=VF)]), None)
            pf = plain.pci_requests([request(1, alternatives=PF)])
            self.assertEqual(host.support_requests(pf, None), still_there, strategy)

    def test_w05_a_vf_of_the_other_card(self) -> None:
        rules = [{"address": PF_A, "rack": "a"}, {"address": PF_B, "rack": "b"}]
        found = card(PF_A) + card(PF_B)
        asked = request(0, alternatives=VF), request(1, alternatives=[{"dev_type": "type-PF", "rack": "a"}])
        self.assertEqual(claim(tracker(found, rules), 0, *asked), ["0000:82:10.1", PF_A])
        self.strategy("nova")
        self.assertIsNone(claim(tracker(found, rules), 0, *asked))

    def test_w06_a_claim_that_fails_takes_nothing(self) -> None:
        for strategy in ("exact", "nova"):
            self.strategy(strategy)
            host = tracker(card(PF_A))
            before = host.pools()
            self.assertIsNone(
                claim(host, 0, request(0, alternatives=VF), request(1, alternatives=[{"product_id": "9999"}]))
            )
            self.assertEqual(host.pools(), before)
            self.assertEqual(set(host.statuses().values()), {"available"})

    def test_w09_domains_of_32_bits(self) -> None:
        host = tracker([device("10000:01:00.0"), device("0000:01:00.0")], [{"address": "10000:01:00.0"}, {}])
        self.assertEqual(sorted(host.statuses()), ["0000:01:00.0", "10000:01:00.0"])
        self.assertEqual(len(host.pools()), 2)

    def test_w10_devname_stays_with_the_function(self) -> None:
        found = [device(PF_A, netdevs=["ens1"]), device(PF_B, netdevs=["ens2"])]
        host = tracker(found, [{"devname": "ens1"}])
        self.assertEqual(sorted(host.statuses()), [PF_A])
        # The kernel gives the names the other way round.
        found[0]["netdevs"], found[1]["netdevs"] = ["ens2"], ["ens1"]
        host.sync([dict(one) for one in found])
        self.assertEqual(sorted(host.statuses()), [PF_A])

    def test_w10_a_name_that_is_not_there_yet_is_looked_for_again(self) -> None:
        found = [device(PF_A)]
        host = tracker(found, [{"devname": "ens1"}])
        self.assertEqual(host.statuses(), {})
        found[0]["netdevs"] = ["ens1"]
        host.sync([dict(one) for one in found])
        self.assertEqual(host.statuses(), {PF_A: "available"})

    def test_w11_ored_aliases_without_a_type(self) -> None:
        lines = [{"name": "a", "vendor_id": "8086", "product_id": one} for one in ("1111", "2222")]
        asked = {"aliases": lines, "flavor": "a:2", "numa_policy": None, "pci_in_placement": False}
        made = plain.alias_requests(asked)
        self.assertIsNotNone(made)
        self.assertEqual([len(alternatives) for _, _, alternatives, _ in made or ()], [2])

    def test_w13_the_ids_of_a_device(self) -> None:
        files = {"vendor": "0x15b3\n", "device": "0x101e\n"}
        opened = lambda path: mock.mock_open(read_data=files[os.path.basename(path)])()  # noqa: E731
        with mock.patch("builtins.open", opened):
            self.assertEqual(utils.get_pci_ids_by_pci_addr(PF_A), ("15b3", "101e"))

    def test_w14_several_physical_networks(self) -> None:
        host = tracker([device(PF_A)], [{"vendor_id": "8086", "physical_network": ["blue", "red"]}])
        for name in ("blue", "red"):
            self.assertTrue(
                host.tracker.stats.support_requests(
                    plain.pci_requests([request(alternatives=[{"physical_network": name}])]), None
                )
            )
        # The scheduler reads the same from the database.
        stored = host.tracker.stats.to_device_pools_obj()
        read = stats.PciDeviceStats(None, pci_device_pool.from_pci_stats(json.dumps(stored.obj_to_primitive())))
        asked = lambda name: plain.pci_requests([request(alternatives=[{"physical_network": name}])])  # noqa: E731
        self.assertTrue(read.support_requests(asked("red"), None))
        self.assertFalse(read.support_requests(asked("green"), None))

    def test_w17_a_device_group_is_given_as_a_whole(self) -> None:
        rules = [{"address": PF_A, "device_group": "one"}, {"address": PF_B, "device_group": "one"}]
        found = [device(PF_A), device(PF_B, product_id="2222")]
        first, second = request(alternatives=[{"product_id": "1111"}]), request(1, alternatives=[{"product_id": "2222"}])
        host = tracker(found, rules)
        self.assertEqual(sorted(claim(host, 0, first) or []), [PF_A, PF_B])
        self.assertEqual(host.pools(), [])
        self.assertIsNone(claim(host, 1, second))
        host.free(dropin.OWNERS[0])
        self.assertEqual(claim(host, 1, first, second), [PF_A, PF_B])
        # A scheduler's pools as well.
        rows = [pool(device_group="one"), pool(product_id="2222", device_group="one")]
        host = plain.pci_stats(rows)
        host.apply_requests(plain.pci_requests([first]), None)
        self.assertFalse(host.support_requests(plain.pci_requests([second]), None))

    def test_w19_pools_follow_the_device(self) -> None:
        found = card(PF_A, parent_ifname="ens1")
        host = tracker(found)
        for changed in ({"parent_ifname": "ens9"}, {"numa_node": 1}):
            found = [{**one, **changed} for one in found]
            host.sync([dict(one) for one in found])
            for row in host.tracker.stats.pools:
                self.assertEqual({key: row.get(key) for key in changed}, changed)
            self.assertEqual(sum(map(len, host.pools())), 3)
        host.sync(found[:1])
        self.assertEqual(host.pools(), [[PF_A]])

    def test_w20_the_card_of_a_vf_that_vanished_is_free_again(self) -> None:
        found = card(PF_A)
        host = tracker(found)
        self.assertEqual(claim(host, 0, request(alternatives=VF)), ["0000:81:10.1"])
        host.sync(found[:2])
        host.free(dropin.OWNERS[0])
        self.assertEqual(sorted(sum(host.pools(), [])), [PF_A, "0000:81:10.0"])

    def test_w21_a_vf_that_appears_while_its_pf_is_held(self) -> None:
        found = card(PF_A)
        host = tracker(found[:1])
        self.assertEqual(claim(host, 0, request(alternatives=PF)), [PF_A])
        host.sync([dict(one) for one in found])
        self.assertEqual(host.statuses()["0000:81:10.0"], "unclaimable")
        self.assertEqual(host.pools(), [])
        host.free(dropin.OWNERS[0])
        self.assertEqual(sum(map(len, host.pools())), 3)

    def test_w22_a_device_that_came_back_stays(self) -> None:
        host = tracker([device(PF_A), device(PF_B)])
        self.assertIsNotNone(claim(host, 0, request(count=2)))
        host.sync([device(PF_B)])
        host.sync([device(PF_A), device(PF_B)])
        host.free(dropin.OWNERS[0])
        self.assertEqual(sorted(sum(host.pools(), [])), [PF_A, PF_B])


class Preferred(dropin.Case):
    """The operator's policies say which devices a claim takes first."""

    POLICY = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "wasm/policies/narrow-links-last.wasm"

    def configure(self, **options: Any) -> None:
        entry = json.dumps({"path": str(self.POLICY.resolve()), **options})
        plain.CONF.set_override("policies", [entry], group="slotwise")
        self.addCleanup(plain.CONF.clear_override, "policies", "slotwise")

    @staticmethod
    def host() -> Any:
        lanes = {"max_link_width": "16"}
        first = [{**one, **lanes, "current_link_width": width} for one, width in zip(card(PF_A, 3), ("16", "8", "16", "4"))]
        return tracker(first + [device(PF_B, current_link_width="2", **lanes)])

    def test_the_preferred_devices_are_claimed(self) -> None:
        two = request(alternatives=VF, count=2)
        self.assertEqual(claim(self.host(), 0, two), ["0000:81:10.2", "0000:81:10.1"])
        self.configure()
        host = self.host()
        before = host.pools()
        self.assertEqual(claim(host, 0, two), ["0000:81:10.1", "0000:81:10.0"])
        self.assertEqual(claim(host, 1, request(alternatives=VF)), ["0000:81:10.2"])
        host.free(dropin.OWNERS[0])
        host.free(dropin.OWNERS[1])
        self.assertEqual(sorted(map(sorted, host.pools())), sorted(map(sorted, before)))

    def test_strategy_nova_knows_no_preference(self) -> None:
        self.configure()
        self.strategy("nova")
        self.assertEqual(claim(self.host(), 0, request(alternatives=VF, count=2)), ["0000:81:10.2", "0000:81:10.1"])

    def test_a_failure_fails_the_claim_unless_it_may(self) -> None:
        # Not even one number may be handed back.
        self.configure(limits={"result": 4})
        host = self.host()
        before = host.pools()
        self.assertIsNone(claim(host, 0, request(alternatives=VF)))
        self.assertEqual(host.pools(), before)
        self.configure(limits={"result": 4}, on_failure="open")
        self.assertEqual(claim(self.host(), 0, request(alternatives=VF)), ["0000:81:10.2"])


class AsNova(dropin.Case):
    """Strategy ``nova`` through the drop-in: the answers of the Nova that is installed."""

    def test_fits(self) -> None:
        slotwise.nova.deactivate()
        theirs = [plain.supports(generate.fit_case(seed)) for seed in range(CASES)]
        slotwise.nova.activate()
        self.strategy("nova")
        ours = [plain.supports(generate.fit_case(seed)) for seed in range(CASES)]
        self.assertEqual(ours, theirs)
        self.assertGreater(sum(theirs), CASES // 20)

    def test_claims(self) -> None:
        """The differential run with Nova's own tracker in the place of the engine's."""
        slotwise.nova.deactivate()
        theirs = [_history(seed) for seed in range(CASES)]
        slotwise.nova.activate()
        self.strategy("nova")
        for seed, expected in enumerate(theirs):
            self.assertEqual(_history(seed, len(expected)), expected, seed)
        self.assertGreater(sum(map(len, theirs)), CASES)

    def test_exact_agrees_where_nova_is_right(self) -> None:
        """A claim that Nova serves, and whose requests the engine serves too, gets the same devices."""
        slotwise.nova.deactivate()
        theirs = [_first_claim(seed) for seed in range(CASES)]
        slotwise.nova.activate()
        served = 0
        for seed, (expected, fits) in enumerate(theirs):
            ours, _ = _first_claim(seed)
            if expected is not None and fits:
                self.assertEqual(ours, expected, seed)
                served += 1
        self.assertGreater(served, CASES // 20)


def _history(seed: int, limit: int | None = None) -> list[Any]:
    """What a case of ``generate.claim_case`` leads to, up to where Nova's pools are broken (W06)."""
    asked = generate.claim_case(seed)
    host = plain.Tracker(asked["rules"], asked["numa_topology"], asked["devices"], asked["providers"])
    host.sync([dict(one) for one in asked["devices"]])
    seen: list[Any] = []
    vanished: set[str] = set()
    for step in asked["steps"]:
        if not host.statuses() or len(seen) == limit:
            break
        answer: Any = None
        if "claim" in step:
            answer = host.claim(step["claim"], step["workload"])
            if host.broken and limit is None:
                break
        elif "allocate" in step:
            host.allocate(step["allocate"])
        elif "free" in step:
            host.free(step["free"])
        else:
            statuses = host.statuses()
            present = differential.as_nova_can_follow(step["sync"], asked["devices"], statuses, vanished)
            vanished = differential.vanished_while_held(vanished, statuses, present)
            host.sync([dict(one) for one in present])
        seen.append((answer, host.pools(), host.statuses()))
    return seen


def _first_claim(seed: int) -> tuple[list[str] | None, bool]:
    asked = generate.claim_case(seed)
    host = plain.Tracker(asked["rules"], asked["numa_topology"], asked["devices"], asked["providers"])
    host.sync([dict(one) for one in asked["devices"]])
    step = asked["steps"][0]
    engine = slotwise.Tracker(
        [json.dumps(rule) for rule in asked["rules"]], numa_topology=asked["numa_topology"], allow_missing_parents=True
    )
    engine.sync(asked["devices"])
    exact = engine.fit(differential.workload(step["workload"], "exact"))
    nova = engine.fit(differential.workload(step["workload"], "nova"))
    return host.claim(step["claim"], step["workload"]), bool(host.statuses()) and exact == nova and bool(exact)


class Shapes(dropin.Case):
    """What Nova's other code sees of the pools."""

    def test_pools_are_read_when_they_are_asked_for(self) -> None:
        with mock.patch.object(objects.PciDevicePool, "obj_from_primitive", side_effect=AssertionError):
            with mock.patch.object(objects.PciDevicePool, "from_dict", side_effect=AssertionError):
                host = plain.pci_stats([pool(count=3)])
                asked = plain.pci_requests([request(count=2)])
                self.assertTrue(host.support_requests(asked, None))
                self.assertNotIn("pools", vars(host))
                self.assertEqual(copy.deepcopy(host).pools, [pool(count=3)])
                self.assertEqual(host.pools, [pool(count=3)])
                self.assertTrue(host.support_requests(asked, None))
                host.pools[0]["count"] = 1
                self.assertFalse(host.support_requests(asked, None))

    def test_unread_pools_are_the_list_that_they_are(self) -> None:
        rows = [pool(count=2, rack="a"), pool(address=PF_B)]
        whole = pci_device_pool.from_pci_stats(rows)
        text = json.dumps(whole.obj_to_primitive())
        for use in (
            lambda read: read.obj_to_primitive(),
            lambda read: copy.deepcopy(read).obj_to_primitive(),
            lambda read: pickle.loads(pickle.dumps(read.obj_to_primitive())),
        ):
            self.assertEqual(_sorted(use(pci_device_pool.from_pci_stats(text))), _sorted(whole.obj_to_primitive()))
        read = pci_device_pool.from_pci_stats(text)
        self.assertEqual(read.obj_what_changed(), set())
        self.assertEqual((len(read), read[0].count, bool(read)), (2, 2, True))
        self.assertEqual(objects.ComputeNode(pci_device_pools=read).pci_device_pools[1].vendor_id, "8086")

    def test_a_broken_row_costs_one_host(self) -> None:
        for text in ("{", "[1]", '[{"count": 1}]', '{"nova_object.namespace": 1}', "7"):
            host = stats.PciDeviceStats(None, pci_device_pool.from_pci_stats(text))
            self.assertFalse(host.support_requests(plain.pci_requests([request()]), None), text)
            self.assertEqual(host.pools, [])

    def test_apply_requests(self) -> None:
        host = plain.pci_stats([pool(count=3), pool(address=PF_B, rack="a")])
        host.apply_requests(plain.pci_requests([request(count=3)]), None)
        self.assertEqual(host.pools, [pool(address=PF_B, rack="a")])
        with self.assertRaises(exception.PciDeviceRequestFailed):
            host.apply_requests(plain.pci_requests([request(count=2)]), None)
        self.assertEqual(host.pools, [pool(address=PF_B, rack="a")])

    def test_the_search_gives_up(self) -> None:
        """A question that is too hard passes the scheduler, and is answered in Nova's way where devices are taken."""
        asked = case(TWO, [request(0, alternatives=A_OR_B), request(1, alternatives=A_OR_B[:1])])
        whole = slotwise.Workload.from_dict

        def hard(document: dict[str, Any]) -> slotwise.Workload:
            return whole({**document, "budget": 0})

        nova_forget()
        self.addCleanup(nova_forget)
        with mock.patch("slotwise.nova.questions.Workload") as made:
            made.from_dict = hard
            host = plain.pci_stats(TWO)
            requests = plain.pci_requests(asked["workload"]["requests"])
            self.assertTrue(host.support_requests(requests, None))
            with self.assertRaises(exception.PciDeviceRequestFailed):
                host.apply_requests(requests, None)


def _sorted(primitive: Any) -> Any:
    """An object's primitive form, whose list of what has changed has no order."""
    if isinstance(primitive, dict):
        return {key: sorted(value) if key.endswith(".changes") else _sorted(value) for key, value in primitive.items()}
    return [_sorted(one) for one in primitive] if isinstance(primitive, list) else primitive


class Switching(unittest.TestCase):
    def test_everything_comes_back(self) -> None:
        def picture() -> dict[str, Any]:
            owners = [stats, manager, devspec, whitelist, pci_request, utils, pci_device_pool, objects.PciDevice]
            owners += [stats.PciDeviceStats, manager.PciDevTracker, whitelist.Whitelist]
            owners += [pci_passthrough_filter, pci_passthrough_filter.PciPassthroughFilter, pci.PCIWeigher]
            owners += [value for value in vars(devspec).values() if isinstance(value, type)]
            return {f"{owner}": dict(vars(owner)) for owner in owners}

        before = picture()
        slotwise.nova.activate()
        self.assertTrue(slotwise.nova.is_active())
        changed = Counter(name for name, values in picture().items() if values != before[name])
        self.assertGreaterEqual(len(changed), 8)
        slotwise.nova.activate()
        lazy = plain.pci_stats([pool()])
        slotwise.nova.deactivate()
        self.assertFalse(slotwise.nova.is_active())
        self.assertEqual(picture(), before)
        self.assertEqual(shipped.replaced(), [])
        # What was made meanwhile goes on under Nova's own code.
        self.assertTrue(lazy.support_requests(plain.pci_requests([request()]), None))
        slotwise.nova.deactivate()

    def test_another_nova_is_refused(self) -> None:
        with mock.patch("importlib.metadata.version", return_value="33.0.0"):
            with self.assertRaisesRegex(slotwise.nova.UnsupportedNovaError, "nova 33.0.0"):
                slotwise.nova.activate()
        self.assertFalse(slotwise.nova.is_active())


class BadInput(dropin.Case):
    def test_a_broken_rule_stops_the_service_with_the_rule_quoted(self) -> None:
        for quoted, rules in (
            ("zz", [{"vendor_id": "zz"}]),
            ("1:2:3:4.5", [{"address": "1:2:3:4.5"}]),
            ("[8", [{"address": {"bus": "[8"}}]),
            # Python's re takes this and the engine does not.
            ("8{100}", [{"address": {"bus": "(?:8{100}){100}"}}]),
        ):
            plain.CONF.set_override("device_spec", [json.dumps(rule) for rule in rules], group="pci")
            self.addCleanup(plain.CONF.clear_override, "device_spec", "pci")
            node = objects.ComputeNode(id=1, numa_topology=None)
            with mock.patch("nova.db.main.api.pci_device_get_all_by_node", return_value=[]):
                with self.assertRaises(exception.NovaException) as caught:
                    manager.PciDevTracker(context.get_admin_context(), node)
            self.assertIn(quoted, str(caught.exception))

    def test_a_flavor_that_is_not_valid_is_the_users_fault(self) -> None:
        line = {"name": "a", "vendor_id": "8086", "product_id": "1111"}
        for flavor in ("a:0", "a", "a:x", "a:-1", "b:1"):
            asked = {"aliases": [line], "flavor": flavor, "numa_policy": None, "pci_in_placement": False}
            self.assertIsNone(plain.alias_requests(asked), flavor)

    def test_a_report_that_cannot_be_read_changes_nothing(self) -> None:
        host = tracker([device(PF_A)])
        with self.assertRaises(ValueError):
            host.tracker.update_devices_from_hypervisor_resources("[1")
        self.assertEqual(host.statuses(), {PF_A: "available"})
        host.sync([device(PF_A), device(PF_B)])
        self.assertEqual(len(host.statuses()), 2)

    def test_a_device_that_cannot_be_read_is_skipped(self) -> None:
        host = tracker([device(PF_A), device("nowhere")])
        self.assertEqual(host.statuses(), {PF_A: "available"})


OWNER = dropin.OWNERS[0]


class Scheduling(dropin.Case):
    """Nova's own loop over filters and hosts, with Nova's own filter."""

    def hosts(self) -> list[Any]:
        made = []
        for name in ("a", "b"):
            state = host_manager.HostState(name, name, None)
            state.pci_stats = plain.pci_stats([pool()])
            state.allocation_candidates = [{"mappings": {}}]
            made.append(state)
        return made

    def filtered(self, hosts: list[Any], *asked: dict[str, Any]) -> list[str]:
        requests = objects.InstancePCIRequests(requests=plain.pci_requests(list(asked)))
        used = [pci_passthrough_filter.PciPassthroughFilter()]
        spec = objects.RequestSpec(pci_requests=requests, instance_uuid=OWNER)
        return [host.host for host in filters.HostFilterHandler().get_filtered_objects(used, hosts, spec)]

    def test_a_failure_of_the_engine_fails_that_call_only(self) -> None:
        hosts = self.hosts()
        many = [request(n) for n in range(300)]
        for asked in ([request(count=1_000_000)], [request(count=0)], [request(alternatives=[])], many):
            with self.assertRaises(slotwise.SlotwiseError):
                self.filtered(hosts, *asked)
            # Nothing is half done, and the next call is answered.
            self.assertEqual([len(host.allocation_candidates) for host in hosts], [1, 1])
            self.assertEqual(self.filtered(hosts, request()), ["a", "b"])

    def test_a_mapping_that_contradicts_its_request_fails_that_call_only(self) -> None:
        hosts = self.hosts()
        wrong = {f"{request()['request_id']}-{n}": [OWNER] for n in range(2)}
        hosts[1].allocation_candidates = [{"mappings": wrong}]
        with self.assertRaises(slotwise.InvalidRequestError):
            self.filtered(hosts, request())
        hosts[1].allocation_candidates = [{"mappings": {}}]
        self.assertEqual(self.filtered(hosts, request()), ["a", "b"])

    def test_a_broken_row_costs_that_host(self) -> None:
        hosts = self.hosts()
        hosts[0].pci_stats = stats.PciDeviceStats(None, pci_device_pool.from_pci_stats('[{"count": -1}]'))
        self.assertEqual(self.filtered(hosts, request()), ["b"])

    def test_a_verdict_that_is_replaced_counts(self) -> None:
        with mock.patch.object(pci_passthrough_filter.PciPassthroughFilter, "host_passes", return_value=False):
            self.assertEqual(self.filtered(self.hosts(), request()), [])

    def test_a_weigher_leaves_the_pools_unread(self) -> None:
        (host, _) = self.hosts()
        host.pci_stats = plain.pci_stats([pool(count=3), pool(count=60, address=PF_B)])
        weigher = pci.PCIWeigher()
        weights = [weigher._weigh_object(host, None)]
        self.assertNotIn("pools", vars(host.pci_stats))
        self.assertEqual(len(host.pci_stats.pools), 2)
        weights.append(weigher._weigh_object(host, None))
        slotwise.nova.deactivate()
        weights.append(weigher._weigh_object(host, None))
        self.assertEqual(weights, [pci.MAX_DEVS - 63] * 3)

    def test_an_address_that_is_none_of_pci_is_a_text(self) -> None:
        """As another hypervisor may have it; Nova's tests of claims do, too."""
        found = {"vendor_id": "8086", "product_id": "1111", "dev_type": "type-VF", "numa_node": 0}
        dev = objects.PciDevice.create(None, {**found, "address": "a", "parent_addr": "b", "compute_node_id": 1})
        with mock.patch.object(whitelist.Whitelist, "get_devspec") as spec:
            spec.return_value.get_tags.return_value = {"rack": "x"}
            host = plain.pci_stats([])
            self.assertTrue(host.pools == [])
            host.add_device(dev)
        self.assertEqual((host.pools[0]["address"], host.pools[0]["rack"]), ("b", "x"))


class Ports(dropin.Case):
    def made(self, profile: dict[str, Any]) -> list[Any]:
        from nova.network import neutron

        port = {"network_id": "net", "binding:vnic_type": "direct", "binding:profile": profile}
        networks = objects.NetworkRequestList(objects=[objects.NetworkRequest(port_id=dropin.OWNERS[0])])
        requests = objects.InstancePCIRequests(requests=[])
        api = neutron.API()
        with (
            mock.patch.object(neutron, "get_client"),
            mock.patch("slotwise.nova.dropin.neutron._show_port_of_nova", return_value=port),
            mock.patch.object(neutron.API, "_get_physnet_tunneled_info", return_value=("blue", False)),
            mock.patch.object(neutron.API, "has_extended_resource_request_extension", return_value=False),
        ):
            api.create_resource_requests(context.get_admin_context(), networks, requests)
        return list(requests.requests)

    def test_w15_a_port_says_whether_it_migrates(self) -> None:
        self.assertNotIn("live_migratable", self.made({})[0].spec[0])
        (asked,) = self.made({"live_migratable": "yes"})
        self.assertEqual(asked.spec[0]["live_migratable"], "true")
        vf = pool(dev_type="type-VF", physical_network="blue", remote_managed="false")
        rows = [{**vf, "live_migratable": one} for one in ("true", "false")]
        self.assertTrue(plain.pci_stats(rows[:1]).support_requests([asked], None))
        self.assertFalse(plain.pci_stats(rows[1:]).support_requests([asked], None))
        with self.assertRaises(exception.InvalidInput):
            self.made({"live_migratable": "maybe"})


if __name__ == "__main__":
    unittest.main()
