"""``Fleet.filter`` under strategy ``nova`` against the Nova that is installed, on random fleets, host by host.

``SLOTWISE_NOVA_FLEETS`` is the number of fleets, ``SLOTWISE_NOVA_SEED`` the first of them.
"""

from __future__ import annotations

import json
import os
import random
import unittest
import uuid
from collections import Counter
from typing import Any

import generate
import plain

import slotwise

FLEETS = int(os.environ.get("SLOTWISE_NOVA_FLEETS", "300"))
FIRST = int(os.environ.get("SLOTWISE_NOVA_SEED", "0"))

Host = dict[str, Any]


def host(rng: random.Random, providers: list[str]) -> Host:
    return {"pools": generate.pools(rng, providers), "numa_topology": {"cells": generate.topology(rng)}}


def supports(one: Host, workload: dict[str, Any]) -> bool:
    """Nova's verdict about one host."""
    return plain.supports({**one, "workload": workload})


class Fleet(unittest.TestCase):
    """A fleet that is asked, changed, and asked again, so that what it keeps between questions is asked too."""

    def setUp(self) -> None:
        self.counts: Counter[str] = Counter()

    def ask(self, hosts: dict[str, Host], fleet: slotwise.Fleet, workload: dict[str, Any], seed: int) -> None:
        question = slotwise.Workload.from_dict({**workload, "strategy": "nova"})
        ours = set(fleet.names(fleet.filter(question).hosts))
        theirs = {name for name, one in hosts.items() if supports(one, workload)}
        self.counts["asked"] += len(hosts)
        self.counts["fit"] += len(theirs)
        self.assertEqual(ours, theirs, f"fleet {seed}, {json.dumps(workload)}")

    def ask_each(
        self, rng: random.Random, hosts: dict[str, Host], fleet: slotwise.Fleet, workload: dict[str, Any], seed: int
    ) -> None:
        """Each host with cells and Placement candidates of its own: it fits if one of these does."""
        questions, theirs = [], {}
        providers = workload.pop("providers")
        for name, one in hosts.items():
            cells = [cell["id"] for cell in one["numa_topology"]["cells"]]
            guest = rng.sample(cells, rng.randint(1, len(cells))) if rng.random() < 0.7 else workload["numa_cells"]
            mappings = [generate.mapping(rng, workload["requests"], providers) for _ in range(rng.randint(0, 3))]
            mappings = [mapping for mapping in mappings if mapping is not None]
            questions.append({"host": name, "numa_cells": guest, "mappings": mappings})
            own = {**workload, "numa_cells": guest}
            tried = mappings or [workload["provider_mapping"]]
            theirs[name] = [supports(one, {**own, "provider_mapping": mapping}) for mapping in tried]
        question = slotwise.Workload.from_dict({**workload, "strategy": "nova"})
        answer = fleet.filter(question, hosts=questions).to_dict()
        fit = {name for name, verdicts in theirs.items() if any(verdicts)}
        self.assertEqual({fleet.name(i) for i in answer["hosts"]}, fit, f"fleet {seed}, {json.dumps(questions)}")
        good = {fleet.name(found["host"]): found["fits"] for found in answer["candidates"]}
        for asked in questions:
            if asked["mappings"]:
                expected = [n for n, fits in enumerate(theirs[asked["host"]]) if fits]
                self.assertEqual(good[asked["host"]], expected, f"fleet {seed}, {json.dumps(asked)}")
        self.counts["fit with candidates of their own"] += len(fit)

    def test_random_fleets(self) -> None:
        for seed in range(FIRST, FIRST + FLEETS):
            rng = random.Random(f"fleet-{seed}")
            providers = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(2)]
            hosts = {f"h{n}": host(rng, providers) for n in range(rng.choice([4, 8, 8, 70]))}
            fleet = slotwise.Fleet()
            for name, one in hosts.items():
                fleet.put(name, one["pools"], one["numa_topology"])
            requests = generate.requests(rng, providers)
            cells = rng.choice([None, None, [0], [1], [0, 1]])
            workload = {"requests": requests, "numa_cells": cells, "provider_mapping": None}
            self.ask(hosts, fleet, workload, seed)
            for name in rng.sample(sorted(hosts), 3):
                hosts[name] = host(rng, providers)
                fleet.put(name, hosts[name]["pools"], hosts[name]["numa_topology"])
            self.ask(hosts, fleet, workload, seed)
            for request in requests:
                # Those name as many providers as they want devices.
                if not any("rp_uuids" in alternative for alternative in request["alternatives"]):
                    request["count"] = rng.randint(1, 3)
            self.ask(hosts, fleet, workload, seed)
            workload["provider_mapping"] = generate.mapping(rng, requests, providers)
            self.ask(hosts, fleet, workload, seed)
            self.ask_each(rng, hosts, fleet, {**workload, "providers": providers}, seed)
        print(f"{FLEETS} fleets: {dict(self.counts)}")
        self.assertGreater(self.counts["fit"], self.counts["asked"] // 20, "the cases are too hard to show anything")
        self.assertGreater(self.counts["fit with candidates of their own"], FLEETS, "the same for candidates")


if __name__ == "__main__":
    unittest.main()
