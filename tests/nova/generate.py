"""Random hosts and requests as plain documents; the same seed gives the same case."""

from __future__ import annotations

import random
import uuid
from typing import Any

Row = dict[str, Any]

TYPES = ["type-PCI", "type-PF", "type-VF", "vdpa"]
POLICIES = [None, "legacy", "preferred", "required", "socket"]


def _ids(rng: random.Random, count: int) -> list[str]:
    return [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(count)]


def topology(rng: random.Random) -> list[Row]:
    """The cells of a host, of which some do not tell their socket."""
    knows = rng.random() < 0.8
    return [{"id": i, "socket": i // 2 if knows else None} for i in range(rng.choice([1, 2, 4]))]


def pools(rng: random.Random, providers: list[str]) -> list[Row]:
    """What Nova keeps for a host: cards with a pool for each kind of their functions."""
    rows: list[Row] = []
    for card in range(rng.randint(2, 5)):
        address = f"0000:{0x80 + card:02x}:00.0"
        node = rng.choice([None, 0, 0, 1, 1, 2])
        provider = rng.choice([None, *providers]) if rng.random() < 0.8 else None
        for kind in rng.sample(TYPES, rng.choice([1, 1, 2])):
            row: Row = {
                "vendor_id": rng.choice(["8086", "15b3"]),
                "product_id": rng.choice(["1111", "2222", "3333"]),
                "numa_node": node if rng.random() < 0.9 else None,
                "count": 1 if kind == "type-PF" else rng.choice([1, 1, 2, 3, 8]),
                "dev_type": kind,
                "address": address,
            }
            if kind != "type-PCI":
                row["remote_managed"] = rng.choice(["false", "false", "false", "true"])
            if rng.random() < 0.4:
                row["physical_network"] = rng.choice(["blue", "Red", None])
            if rng.random() < 0.3:
                row["live_migratable"] = rng.choice(["true", "false"])
            if rng.random() < 0.1:
                row["parent_ifname"] = "ens1f0"
            if provider is not None:
                row["rp_uuid"] = provider
            rows.append(row)
    rng.shuffle(rows)
    return rows


def alternative(rng: random.Random) -> dict[str, str | None]:
    """What one alternative asks for."""
    wanted: dict[str, str | None] = {}
    if rng.random() < 0.4:
        return {"dev_type": rng.choice(["type-PF", "type-VF", "type-VF"])} if rng.random() < 0.6 else wanted
    if rng.random() < 0.2:
        wanted["vendor_id"] = rng.choice(["8086", "15B3"])
    if rng.random() < 0.35:
        wanted["product_id"] = rng.choice(["1111", "2222", "3333"])
    if rng.random() < 0.4:
        wanted["dev_type"] = rng.choice(["type-PF", "type-VF", "type-VF", "type-PCI", "vdpa"])
    if rng.random() < 0.1:
        wanted["physical_network"] = rng.choice(["BLUE", "red", None])
    if rng.random() < 0.1:
        wanted["remote_managed"] = rng.choice(["true", "True", "false"])
    if rng.random() < 0.07:
        wanted["live_migratable"] = rng.choice(["true", "false"])
    if rng.random() < 0.1:
        wanted["resource_class"] = "CUSTOM_X"
    if rng.random() < 0.05:
        wanted["parent_ifname"] = "ens1f0"
    return wanted


def requests(rng: random.Random, providers: list[str], most: int = 3) -> list[Row]:
    """What an instance asks for, in the engine's form."""
    made = []
    for n, request_id in enumerate(_ids(rng, min(most, rng.choice([1, 1, 2, 2, 3])))):
        alternatives = [alternative(rng) for _ in range(rng.choice([1, 1, 1, 2]))]
        count = rng.choice([1, 1, 1, 1, 2, 3])
        if rng.random() < 0.1:
            alternatives[0]["rp_uuids"] = ",".join(rng.choices(providers, k=count))
        flavor = rng.random() < 0.75
        made.append(
            {
                "request_id": request_id,
                "alias_name": f"alias-{n}" if flavor else None,
                "source": "flavor" if flavor else "neutron_port",
                "count": count,
                "alternatives": alternatives,
                "numa_policy": rng.choice(POLICIES),
            }
        )
    return made


def mapping(rng: random.Random, made: list[Row], providers: list[str]) -> dict[str, list[str]] | None:
    """Placement's candidate: a provider for each device of a request, or no provider at all."""
    if rng.random() < 0.5:
        return None
    groups = {"": [providers[0]]} if rng.random() < 0.5 else {}
    for request in made:
        if rng.random() < 0.1:
            continue
        only = rng.choice(providers) if rng.random() < 0.5 else None
        for n in range(request["count"]):
            groups[f"{request['request_id']}-{n}"] = [only or rng.choice(providers)]
    return groups


def fit_case(seed: int) -> Row:
    """A host's pools and an instance's requests, as a scheduler sees them."""
    rng = random.Random(f"fit-{seed}")
    providers = _ids(rng, 2)
    made = requests(rng, providers)
    cells = topology(rng)
    guest = rng.sample([cell["id"] for cell in cells], rng.randint(1, len(cells))) if rng.random() < 0.6 else None
    return {
        "pools": pools(rng, providers),
        "numa_topology": {"cells": cells},
        "workload": {
            "requests": made,
            "numa_cells": guest,
            "provider_mapping": mapping(rng, made, providers),
        },
    }


def multi_case(seed: int) -> Row:
    """A host's pools, and the instances of one call that a scheduler puts there one after the other.

    All ask the same, as those of a multi-create do, except for what Placement has chosen for each and the cells that each
    gets; now and then another instance comes in between.
    """
    rng = random.Random(f"multi-{seed}")
    providers = _ids(rng, 2)
    cells = topology(rng)
    numbers = [cell["id"] for cell in cells]
    made = requests(rng, providers)
    instances = []
    for _ in range(rng.randint(2, 5)):
        asked = made if rng.random() < 0.8 else requests(rng, providers)
        guest = rng.sample(numbers, rng.randint(1, len(numbers))) if rng.random() < 0.5 else None
        placed = mapping(rng, asked, providers)
        instances.append({"requests": asked, "numa_cells": guest, "provider_mapping": placed})
    return {"pools": pools(rng, providers), "numa_topology": {"cells": cells}, "instances": instances}


def aliases(rng: random.Random) -> list[Row]:
    """Alias lines as in Nova's configuration, some of which are ORed and some of which contradict each other."""
    made: list[Row] = []
    for name in rng.sample(["a", "b", "gpu", "nic 1"], rng.randint(1, 3)):
        whole: Row = {"name": rng.choice([name, f" {name} "])}
        if rng.random() < 0.4:
            whole["numa_policy"] = rng.choice(POLICIES[1:])
        kind = rng.choice(["type-PCI", "type-PF", "type-VF"])
        # W11: of several lines without a type Nova says only "'dev_type'".
        lines = rng.choice([1, 1, 2])
        for _ in range(lines):
            line = {**whole, "vendor_id": rng.choice(["8086", "15b3"]), "product_id": rng.choice(["1111", "2222"])}
            if lines > 1 or rng.random() < 0.6:
                line["device_type"] = kind if rng.random() < 0.95 else "type-PCI"
            if rng.random() < 0.2:
                line["live_migratable"] = rng.choice(["true", "no", "1", "maybe"])
            if rng.random() < 0.1:
                line["resource_class"] = "CUSTOM_X"
            if rng.random() < 0.05:
                line["numa_policy"] = rng.choice([*POLICIES[1:], "near"])
            if rng.random() < 0.03:
                line.pop(rng.choice(["name", "vendor_id"]))
            if rng.random() < 0.03:
                line["device_id"] = "1111"
            made.append(line)
    rng.shuffle(made)
    return made


def alias_case(seed: int) -> Row:
    """Alias lines, and what flavors ask of them."""
    rng = random.Random(f"alias-{seed}")
    made = aliases(rng)
    names = [line["name"].strip() for line in made if "name" in line] or ["a"]
    flavor = ",".join(
        f"{rng.choice([*names, 'unknown'] if rng.random() < 0.05 else names)}:{rng.randint(1, 3)}"
        for _ in range(rng.choice([1, 1, 2, 3]))
    )
    return {
        "aliases": made,
        "flavor": flavor,
        "numa_policy": rng.choice([None, None, "required", "socket"]),
        "pci_in_placement": rng.random() < 0.2,
    }


def devices(rng: random.Random) -> list[Row]:
    """The functions of a host: plain ones, and PFs with VFs or vDPA devices."""
    made: list[Row] = []
    for card in range(rng.randint(1, 4)):
        pf = f"0000:{0x80 + card:02x}:00.0"
        node = rng.choice([None, 0, 0, 1])
        vendor = rng.choice(["8086", "15b3"])
        if rng.random() < 0.3:
            made.append(_device(pf, vendor, rng.choice(["1111", "2222"]), "type-PCI", node, None))
            continue
        named = rng.random() < 0.3
        made.append(_device(pf, vendor, "3333", "type-PF", node, None))
        made[-1]["netdevs"] = [f"ens{card}"]
        for vf in range(rng.randint(1, 4)):
            kind = "vdpa" if rng.random() < 0.1 else "type-VF"
            address = f"0000:{0x80 + card:02x}:10.{vf}"
            made.append(_device(address, vendor, rng.choice(["1111", "2222", "3333"]), kind, node, pf))
            if named:
                made[-1]["parent_ifname"] = f"ens{card}"
    return made


def _device(address: str, vendor: str, product: str, kind: str, node: int | None, parent: str | None) -> Row:
    return {
        "address": address,
        "vendor_id": vendor,
        "product_id": product,
        "dev_type": kind,
        "numa_node": node,
        "parent_addr": parent,
    }


def rules(rng: random.Random) -> list[Row]:
    """Operator rules by ids, by address in each of its forms, and by netdev name; no tag is null (P08)."""
    made: list[Row] = []
    bus = f"{0x80 + rng.randrange(4):02x}"
    if rng.random() < 0.4:
        where = rng.choice(["*:{}:*.*", ":{}:00.", "0000:{}:00.0", "{}:10.*", "0:{}:10.1", "*:{}:10.2", "{}:*"])
        made.append({"address": where.format(bus), "physical_network": "blue"})
    if rng.random() < 0.2:
        fields = {"domain": ".*", "bus": rng.choice([bus, "8[0-2]", "8"]), "slot": "1?0", "function": "[0-2]"}
        chosen = rng.sample(sorted(fields), rng.randint(1, 4))
        made.append({"address": {name: fields[name] for name in chosen}, "rack": "b"})
    if rng.random() < 0.15:
        made.append({"devname": f"ens{rng.randrange(4)}", "physical_network": "red"})
    if rng.random() < 0.4:
        made.append({"vendor_id": "8086", "product_id": "1111", "rack": "a", "physical_network": "red"})
    if rng.random() < 0.2:
        made.append({"product_id": "2222", "vendor_id": "15b3", "live_migratable": rng.choice(["true", "no"])})
    if rng.random() < 0.1:
        made.append({"vendor_id": "*", "product_id": "2222", "remote_managed": "false"})
    made.append({"vendor_id": rng.choice(["8086", "15b3"])})
    if rng.random() < 0.9:
        made.append({"vendor_id": "8086"})
        made.append({"vendor_id": "15b3"})
    return made


def resync(rng: random.Random, all_devices: list[Row]) -> list[Row]:
    """What the host reports next: without some plain devices, VFs or whole cards, or all of them again."""
    gone: set[str] = set()
    for device in all_devices:
        chance = 0.1 if device["dev_type"] == "type-PF" else 0.15
        if rng.random() < chance:
            gone.add(device["address"])
    return [d for d in all_devices if d["address"] not in gone and d["parent_addr"] not in gone]


def claim_case(seed: int) -> Row:
    """A host's functions and a sequence of claims, frees and resyncs on it, as a compute node sees them."""
    rng = random.Random(f"claim-{seed}")
    cells = topology(rng)
    listed = devices(rng)
    # With providers, only claims: where Nova puts a pool that comes back depends on when it was last sorted.
    placed = rng.random() < 0.2
    providers = dict.fromkeys(d["parent_addr"] or d["address"] for d in listed) if placed else {}
    for card, provider in zip(providers, _ids(rng, len(providers))):
        providers[card] = provider
    steps: list[Row] = []
    held: list[str] = []
    for owner in _ids(rng, rng.randint(2, 6)):
        made = requests(rng, [*providers.values()] or ["none"], most=1 if rng.random() < 0.7 else 3)
        for request in made:
            for one in request["alternatives"]:
                if not placed:
                    one.pop("rp_uuids", None)
        guest = [rng.choice(cells)["id"]] if rng.random() < 0.5 else None
        steps.append({"claim": owner, "workload": {"requests": made, "numa_cells": guest}})
        held.append(owner)
        if rng.random() < 0.6:
            steps.append({"allocate": owner})
        if placed:
            continue
        if rng.random() < 0.4:
            steps.append({"free": held.pop(rng.randrange(len(held)))})
        if rng.random() < 0.2:
            steps.append({"sync": resync(rng, listed) if rng.random() < 0.6 else listed})
    return {
        "rules": rules(rng),
        "devices": listed,
        "providers": providers,
        "numa_topology": {"cells": cells},
        "steps": steps,
    }
