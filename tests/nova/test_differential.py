"""Strategy ``nova`` against the Nova that is installed; ``exact`` never refuses what Nova rightly accepts.

``SLOTWISE_NOVA_CASES`` is the number of cases of each kind, ``SLOTWISE_NOVA_SEED`` the first of them. A difference is
shown as the case's seed and its whole document, from which it can be replayed.
"""

from __future__ import annotations

import json
import os
import unittest
from collections import Counter
from typing import Any

import generate
import plain

import slotwise

CASES = int(os.environ.get("SLOTWISE_NOVA_CASES", "20000"))
FIRST = int(os.environ.get("SLOTWISE_NOVA_SEED", "0"))
SHOWN = 5
"""So many differences are shown at most."""


def workload(document: dict[str, Any], strategy: str) -> slotwise.Workload:
    return slotwise.Workload.from_dict({**document, "strategy": strategy})


def listed(case: dict[str, Any], outcome: str) -> str | None:
    """The id in PARITY.md under which ``exact`` answers otherwise than Nova's *yes*, or None."""
    if outcome == "undecided":
        return None
    asked = case["workload"]
    # W07: Placement names devices that no pool provides, and Nova does not miss them.
    # W04: what Nova says yes to fits only while PFs and VFs are strangers to each other.
    strangers = [{**row, "address": f"{i:04x}:00:00.0"} for i, row in enumerate(case["pools"])]
    fit = slotwise.Pools(strangers, case["numa_topology"]).fit(workload(asked, "exact"))
    if fit:
        return "W04"
    mapping = asked["provider_mapping"]
    for request in asked["requests"]:
        if request["source"] != "flavor":
            continue
        if mapping:
            groups = [rps for group, rps in mapping.items() if group.startswith(request["request_id"])]
            providers = [rps[0] for rps in groups]
        else:
            providers = [rp for rp in (request["alternatives"][0].get("rp_uuids") or "").split(",") if rp]
        if providers and _misses_a_provider(case, request, providers):
            return "W07"
    return None


def _misses_a_provider(case: dict[str, Any], request: dict[str, Any], providers: list[str]) -> bool:
    """Whether a provider that Placement names lacks what it is to give to the request."""
    for provider, count in Counter(providers).items():
        rows = [row for row in case["pools"] if row.get("rp_uuid") == provider]
        one = {**request, "count": count}
        one["alternatives"] = [
            {key: value for key, value in wanted.items() if key != "rp_uuids"} for wanted in one["alternatives"]
        ]
        asked = {"requests": [one], "numa_cells": case["workload"]["numa_cells"]}
        if not slotwise.Pools(rows, case["numa_topology"]).fit(workload(asked, "exact")):
            return True
    return False


class Fit(unittest.TestCase):
    """A scheduler's question: pools, requests, NUMA cells, Placement's mapping."""

    def test_verdicts(self) -> None:
        differences: list[tuple[int, bool, bool]] = []
        refused: list[tuple[int, str]] = []
        reasons: Counter[str] = Counter()
        yes = more = 0
        with plain.quiet():
            for seed in range(FIRST, FIRST + CASES):
                case = generate.fit_case(seed)
                nova = plain.supports(case)
                pools = slotwise.Pools(case["pools"], case["numa_topology"])
                ours = bool(pools.fit(workload(case["workload"], "nova")))
                if ours != nova:
                    differences.append((seed, nova, ours))
                exact = pools.fit(workload(case["workload"], "exact"))
                yes += nova
                more += bool(exact) and not nova
                if nova and not exact:
                    reason = listed(case, exact.outcome)
                    reasons[reason or "unlisted"] += 1
                    if reason is None:
                        refused.append((seed, exact.outcome))
        print(
            f"fit: {CASES} cases, Nova accepts {yes}; strategy nova differs in {len(differences)}; "
            f"exact accepts {more} more, and refuses {dict(reasons)}"
        )
        self.assertGreater(yes, CASES // 20, "the cases are too hard to show anything")
        self.assertEqual(differences, [], _shown(generate.fit_case, differences))
        self.assertEqual(refused, [], _shown(generate.fit_case, refused))


class Claim(unittest.TestCase):
    """A compute node's work: claims, frees and syncs in sequence; devices, their order, pools and states."""

    def test_sequences(self) -> None:
        differences: list[tuple[int, str]] = []
        counts: Counter[str] = Counter()
        with plain.quiet():
            for seed in range(FIRST, FIRST + CASES):
                difference = self._sequence(generate.claim_case(seed), counts)
                if difference is not None:
                    differences.append((seed, difference))
        print(
            f"claims: {CASES} sequences, {counts['claim']} claims of which Nova serves {counts['served']}; "
            f"{len(differences)} differences"
        )
        self.assertGreater(counts["served"], CASES // 20, "the cases are too hard to show anything")
        self.assertEqual(differences, [], _shown(generate.claim_case, differences))

    def _sequence(self, case: dict[str, Any], counts: Counter[str]) -> str | None:
        """Replays a case on both sides until Nova refuses a claim, which leaves its pools broken (W06)."""
        nova = plain.Tracker(case["rules"], case["numa_topology"])
        ours = slotwise.Tracker(
            [json.dumps(rule) for rule in case["rules"]], numa_topology=case["numa_topology"]
        )
        nova.sync(case["devices"])
        ours.sync(case["devices"])
        if not nova.statuses():
            # P01: a host without any device grants every claim, with no devices.
            return None
        for number, step in enumerate(case["steps"]):
            if "claim" in step:
                counts["claim"] += 1
                theirs = nova.claim(step["claim"], step["workload"])
                fit = ours.claim(step["claim"], workload(step["workload"], "nova"))
                if (fit.devices if fit else None) != theirs:
                    return f"step {number}: Nova {theirs}, ours {fit}"
                if theirs is None:
                    return None
                counts["served"] += 1
            elif "allocate" in step:
                nova.allocate(step["allocate"])
                ours.allocate(step["allocate"])
            elif "free" in step:
                nova.free(step["free"])
                ours.free(step["free"])
            else:
                nova.sync(case["devices"])
                ours.sync(case["devices"])
            pools = [devices for pool in ours.pools if (devices := pool.get("devices"))]
            if pools != nova.pools():
                return f"after step {number}: Nova's pools {nova.pools()}, ours {pools}"
            statuses = {device["address"]: device["status"] for device in ours.devices}
            if _held_back(statuses) != _held_back(nova.statuses()):
                return f"after step {number}: Nova's states {nova.statuses()}, ours {statuses}"
        return None


def _held_back(statuses: dict[str, str]) -> dict[str, str]:
    """P02: a PF of which one VF is claimed and another was allocated before is ``unclaimable``, for Nova
    ``unavailable``; either way it cannot be had."""
    return {address: "held back" if status.startswith("un") else status for address, status in statuses.items()}


def _shown(generator: Any, differences: list[Any]) -> str:
    return "\n".join(f"{found}: {json.dumps(generator(found[0]))}" for found in differences[:SHOWN])


if __name__ == "__main__":
    unittest.main()
