"""The main job, end to end: what an existing scheduler does with slotwise, on this machine's own devices.

    python demo.py [--sysfs-root DIR] [--record FILE]

Nothing on the machine is changed: slotwise reads /sys and decides; handing a device to a guest is the caller's work.
With ``--record`` the calls and answers are written as a conformance case, which every other door can replay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import slotwise
from slotwise.types import Device

ROWS = 16
"""A table shows at most so many rows."""


class Record:
    """The calls of one object and their answers, as a conformance case."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = about
        self.steps: list[dict[str, Any]] = []

    def note(self, call: str, answer: Any, **args: Any) -> None:
        self.steps.append({"call": call, "args": args, "expect": answer})

    def case(self) -> dict[str, Any]:
        return {"name": self.name, "about": self.about, "steps": self.steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sysfs-root", default="/sys", help="where the machine's sysfs is (default: %(default)s)")
    parser.add_argument("--record", type=Path, help="write the calls and answers as a conformance case")
    options = parser.parse_args()
    record = Record("this-machine", "What the demo did with the devices of the machine it ran on.")

    title("Devices", f"read from {options.sysfs_root}")
    devices = slotwise.discover(options.sysfs_root)
    synthetic = not any(map(assignable, devices))
    if synthetic:
        print("This machine has no PCI function that could be handed out; a made-up network card takes its place.\n")
        devices = made_up_card()
    table(
        ["address", "vendor:product", "class", "type", "NUMA node", "driver"],
        [
            [
                device["address"],
                f"{device['vendor_id']}:{device['product_id']}",
                device["class"],
                device["dev_type"],
                device["numa_node"],
                device["extra_info"].get("driver"),
            ]
            for device in devices
        ],
    )

    vendor, products, kind, many = worth_a_guest(devices)
    title("Rules and names", "chosen to suit these devices")
    ids = [{"vendor_id": vendor, "product_id": product} for product in products]
    rules = [{**each, "rack": "r7"} for each in ids]
    # Lines of one name are alternatives: any of these products will do.
    lines = [{"name": "demo", **each, "device_type": kind} for each in ids]
    for option, entries in (("device_spec", rules), ("alias", lines)):
        for entry in entries:
            print(f"  [pci]{option} = {json.dumps(entry)}")
    specs = slotwise.DeviceSpecs(rules)
    record.note("specs.parse", {"rules": specs.rules, "warnings": specs.warnings}, entries=rules)
    aliases = slotwise.Aliases(lines)
    record.note("aliases.parse", {"aliases": aliases.list()}, lines=lines)

    title("Pools", "assignable devices that are interchangeable")
    topology = None if synthetic else slotwise.numa_topology(options.sysfs_root)
    tracker = slotwise.Tracker(specs, numa_topology=topology)
    record.note("tracker.new", None, options={"numa_topology": topology})
    report = tracker.sync(devices)
    record.note("tracker.sync", report, devices=devices)
    print(f"  {len(report['added'])} of {len(devices)} functions are assignable.\n")
    pools = tracker.pools.to_list()
    record.note("tracker.pools", pools)
    table(
        ["pool", "vendor:product", "NUMA node", "free", "tags"],
        [
            [
                number,
                f"{pool['vendor_id']}:{pool['product_id']}",
                pool["numa_node"],
                pool["count"],
                ", ".join(f"{key}={value}" for key, value in pool["tags"].items()),
            ]
            for number, pool in enumerate(pools)
        ],
    )
    if other := next((device for device in devices if device["address"] not in report["added"]), None):
        why = tracker.explain(other["address"])
        record.note("tracker.explain", why, address=other["address"])
        print(f"\n  {other['address']} is not assignable: {why['rules'][-1]['reason']}")

    wanted = min(many, 2)
    flavor = f"demo:{wanted}"
    title("Hosts", f"which of them can serve the flavor {flavor}, and why not")
    requests = aliases.requests(flavor)
    record.note("aliases.requests", {"requests": [request.to_dict() for request in requests]}, flavor=flavor)
    workload = slotwise.Workload(requests)
    others = synthetic_hosts(vendor, products[0], kind, wanted)
    hosts = {"this machine": tracker.pools} | {name: slotwise.Pools(pools) for name, pools in others.items()}
    answers = slotwise.filter_hosts(hosts, workload)
    for name, fit in answers.items():
        print(f"  {'yes' if fit else 'no ':3}  {name:14} {fit}")
    cases = [record.case()]
    for name, host in others.items():
        case = Record(name, "A synthetic host of the demo.")
        case.note("pools.parse", hosts[name].to_list(), pools=host)
        case.note("pools.fit", answers[name].to_dict(), workload=workload.to_dict())
        cases.append(case.case())

    title("Claim", "for the owner vm-1, on this machine")
    claim = tracker.claim("vm-1", workload)
    record.note("tracker.claim", claim.to_dict(), owner="vm-1", workload=workload.to_dict())
    print(f"  {claim}")
    bindings = tracker.bindings(owner="vm-1")
    record.note("tracker.bindings", bindings, query={"owner": "vm-1"})
    for binding in bindings:
        facts = ", ".join(f"{key} {value}" for key, value in binding.items() if isinstance(value, str))
        print(f"  {facts}")

    title("Changes", "what the caller writes to its database, and nothing else")
    changes = tracker.changes()
    record.note("tracker.changes", changes)
    table(
        ["address", "action", "status", "owner", "fields"],
        [
            [
                change["address"],
                change["action"],
                *(change["fields"][name]["new"] if name in change["fields"] else None for name in ("status", "owner")),
                len(change["fields"]),
            ]
            for change in changes
        ],
    )
    tracker.written(changes)
    record.note("tracker.written", None, changes=changes)

    title("A second look", "the periodic sync, with the devices read anew")
    devices = made_up_card() if synthetic else slotwise.discover(options.sysfs_root)
    report = tracker.sync(devices)
    record.note("tracker.sync", report, devices=devices)
    changes = tracker.changes()
    record.note("tracker.changes", changes)
    print(f"  {len(changes)} changes to write for {len(tracker.devices)} devices")
    if changes:
        sys.exit("the machine changed between the two looks, or this is a bug in slotwise: " + json.dumps(changes))

    title("Free", "vm-1 is gone; only its devices are written")
    freed = tracker.free("vm-1")
    record.note("tracker.free", freed, owner="vm-1")
    changes = tracker.changes()
    record.note("tracker.changes", changes)
    for change in changes:
        fields = ", ".join(f"{name}: {field['old']} → {field['new']}" for name, field in change["fields"].items())
        print(f"  {change['address']} {change['action']}: {fields}")
    record.note("tracker.snapshot_json", json.loads(tracker.snapshot_json()))

    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(json.dumps(cases, indent=1), encoding="utf-8")


def assignable(device: Device) -> bool:
    """Bridges (class 06) are part of the machine and are not handed out."""
    return not (device["class"] or "").startswith("06")


def worth_a_guest(devices: list[Device]) -> tuple[str, list[str], str, int]:
    """Vendor, products and type of the devices to hand out, and how many they are.

    Storage, network, display and accelerators come before anything else; of those the product that there are most of, or
    where each is there once, everything of the vendor that there is most of. The first in order decides a tie.
    """
    free = [device for device in devices if assignable(device)]
    free = [device for device in free if (device["class"] or "")[:2] in ("01", "02", "03", "12")] or free
    kinds = Counter((device["vendor_id"], device["dev_type"], device["product_id"]) for device in free)
    (vendor, kind, product), many = kinds.most_common(1)[0]
    if many > 1:
        return vendor, [product], kind, many
    (vendor, kind), many = Counter((device["vendor_id"], device["dev_type"]) for device in free).most_common(1)[0]
    return vendor, sorted(product for v, k, product in kinds if (v, k) == (vendor, kind)), kind, many


def made_up_card() -> list[Device]:
    """A network card with four virtual functions."""
    card = "0000:3b:00.0"

    def function(number: int, product: str, kind: Any, parent: str | None) -> Device:
        return {
            "address": f"0000:3b:00.{number}",
            "vendor_id": "15b3",
            "product_id": product,
            "dev_type": kind,
            "class": "020000",
            "numa_node": 0,
            "parent_addr": parent,
            "extra_info": {"driver": "mlx5_core"},
        }

    return [function(0, "101d", "type-PF", None)] + [function(i, "101e", "type-VF", card) for i in range(1, 5)]


def synthetic_hosts(vendor: str, product: str, kind: str, wanted: int) -> dict[str, list[dict[str, Any]]]:
    """Hosts as a scheduler knows them: pools with counts."""

    def pool(count: int, **other: Any) -> dict[str, Any]:
        tags = {"dev_type": other.pop("dev_type", kind), "rack": "r8"}
        return {"vendor_id": vendor, "product_id": product, "numa_node": 0, "count": count, "tags": tags} | other

    return {
        "twin": [pool(8)],
        "nearly-full": [pool(wanted - 1)],
        "other-maker": [pool(8, vendor_id="8086" if vendor != "8086" else "15b3")],
        "other-type": [pool(4, dev_type="type-PF" if kind != "type-PF" else "type-VF")],
        "empty": [],
    }


def title(name: str, about: str) -> None:
    print(f"\n{name}: {about}\n")


def table(heads: list[str], rows: list[list[Any]]) -> None:
    """Prints rows under their heads; what is not known is a dash."""
    shown = [heads, *([("-" if cell is None else str(cell)) for cell in row] for row in rows[:ROWS])]
    widths = [max(len(row[column]) for row in shown) for column in range(len(heads))]
    for row in shown:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    if len(rows) > ROWS:
        print(f"  … and {len(rows) - ROWS} more")


if __name__ == "__main__":
    main()
