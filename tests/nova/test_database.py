"""No write when nothing changed: statements counted between Nova's own database code and real databases."""

from __future__ import annotations

import copy
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

import dropin
import plain
import server
from dropin import PF_A, PF_B, card, device, request
from nova import context, objects
from nova.db.main import api, models
from nova.pci import manager
from sqlalchemy import event

import slotwise.nova

NODE = {
    "uuid": dropin.OWNERS[9],
    "host": "h",
    "hypervisor_hostname": "h",
    "hypervisor_type": "QEMU",
    "cpu_info": "",
    "mapped": 1,
    **dict.fromkeys(
        ("vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "hypervisor_version"), 1
    ),
}


def machine() -> list[dict[str, Any]]:
    """What a hypervisor reports: two cards with VFs and a plain function."""
    facts: dict[str, Any] = {"capabilities": {"network": ["rx", "tx"], "sriov": {"pf_mac": "0"}}, "dev_id": "d"}
    found = [*card(PF_A, 8, **facts), *card(PF_B, 4, **facts), device("0000:83:00.0", numa_node=None)]
    for one in found:
        one["label"] = "label_8086_1111"
        if one["parent_addr"] == PF_A:
            one["parent_ifname"] = "ens1"
    return found


class Statements:
    """The statements that change rows of devices, and how many statements there are at all."""

    def __init__(self, engine: Any) -> None:
        self.all = 0
        self.writes: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", self._see)

    def _see(self, connection: Any, cursor: Any, text: str, values: Any, *rest: Any) -> None:
        self.all += 1
        if text.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            self.writes.append((text, values))

    def clear(self) -> None:
        self.all = 0
        self.writes.clear()

    @property
    def kinds(self) -> list[str]:
        return [text.split()[0] for text, _ in self.writes]


class OnDatabase:
    """The tests, for any database."""

    url: ClassVar[str]

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.context = context.get_admin_context()
        self.context.db_connection = api.create_context_manager(self.url)
        engine = self.context.db_connection.writer.get_engine()
        models.BASE.metadata.drop_all(engine)
        models.BASE.metadata.create_all(engine)
        api.compute_node_create(self.context, dict(NODE))
        self.addCleanup(engine.dispose)  # type: ignore[attr-defined]
        self.statements = Statements(engine)
        plain.CONF.set_override("device_spec", ['{"vendor_id": "8086"}'], group="pci")
        self.addCleanup(plain.CONF.clear_override, "device_spec", "pci")  # type: ignore[attr-defined]
        self.found = machine()

    def restart(self) -> Any:
        """A tracker that takes up from the database."""
        return manager.PciDevTracker(self.context, objects.ComputeNode(id=1, numa_topology=None))

    def sync(self, tracker: Any) -> list[str]:
        """What a periodic sync writes."""
        self.statements.clear()
        tracker.update_devices_from_hypervisor_resources(json.dumps(self.found))
        dirty = [dev.address for dev in tracker.pci_devs if dev.obj_what_changed()]
        tracker.save(self.context)
        self.assertEqual(len(dirty) == 0, self.statements.writes == [])  # type: ignore[attr-defined]
        return self.statements.kinds

    def rows(self) -> dict[str, Any]:
        return {row["address"]: row for row in api.pci_device_get_all_by_node(self.context, 1)}


class Checks(OnDatabase):
    def test_nova_writes_all_the_time(self: Any) -> None:
        """What the rest is measured against, and a check that statements are counted."""
        slotwise.nova.deactivate()
        tracker = self.restart()
        self.assertGreaterEqual(self.sync(tracker).count("INSERT"), len(self.found))
        self.assertEqual(self.sync(tracker), ["UPDATE"] * len(self.found))

    def test_an_unchanged_sync_writes_nothing(self: Any) -> None:
        tracker = self.restart()
        self.assertEqual(self.sync(tracker).count("INSERT"), len(self.found))
        self.assertEqual(self.sync(tracker), [])
        self.assertEqual(self.statements.all, 0)
        # The same facts in another order, and after the service was started again.
        self.found = [dict(reversed(one.items())) for one in reversed(self.found)]
        for one in self.found:
            if "capabilities" in one:
                one["capabilities"] = dict(reversed(one["capabilities"].items()))
        self.assertEqual(self.sync(tracker), [])
        self.assertEqual(self.sync(self.restart()), [])
        # Rows that Nova itself wrote are as good.
        slotwise.nova.deactivate()
        self.sync(self.restart())
        slotwise.nova.activate()
        self.assertEqual(self.sync(self.restart()), [])

    def test_a_renamed_netdev_writes_one_field_of_one_device(self: Any) -> None:
        tracker = self.restart()
        self.sync(tracker)
        before = copy.deepcopy({address: dict(row) for address, row in self.rows().items()})
        (vf,) = (one for one in self.found if one["address"] == "0000:81:10.3")
        vf["parent_ifname"] = "ens9"
        self.assertEqual(self.sync(tracker), ["UPDATE"])
        ((text, _),) = self.statements.writes
        fields = text.split(" SET ")[1].split(" WHERE ")[0]
        self.assertEqual({part.split("=")[0].strip() for part in fields.split(",")}, {"extra_info", "updated_at"})
        after = {address: dict(row) for address, row in self.rows().items()}
        changed = {
            (address, name)
            for address, row in after.items()
            for name, value in row.items()
            if value != before[address][name]
        }
        self.assertEqual(changed, {(vf["address"], "extra_info"), (vf["address"], "updated_at")})
        self.assertEqual(self.sync(tracker), [])

    def test_a_claim_writes_what_it_changes(self: Any) -> None:
        tracker = self.restart()
        self.sync(tracker)
        asked = objects.InstancePCIRequests(
            instance_uuid=dropin.OWNERS[0],
            requests=plain.pci_requests([request(alternatives=[{"dev_type": "type-PF"}])]),
        )
        (pf,) = tracker.claim_instance(self.context, asked, None)
        self.assertEqual(pf.address, PF_A)
        self.assertEqual(self.sync(tracker), ["UPDATE"] * 9)
        self.assertEqual(self.sync(tracker), [])
        states = [row["status"] for address, row in sorted(self.rows().items()) if address.startswith("0000:81")]
        self.assertEqual(states, ["claimed"] + ["unclaimable"] * 8)
        # Another process sees the same, and gives it back.
        tracker = self.restart()
        instance = objects.Instance(uuid=dropin.OWNERS[0], pci_devices=objects.PciDeviceList(objects=[]))
        tracker.free_instance(self.context, instance)
        self.assertEqual(self.sync(tracker), ["UPDATE"] * 9)
        self.assertEqual({row["status"] for row in self.rows().values()}, {"available"})

    def test_a_device_that_is_gone_is_deleted(self: Any) -> None:
        tracker = self.restart()
        self.sync(tracker)
        self.found = [one for one in self.found if one["address"] != "0000:83:00.0"]
        self.assertEqual(self.sync(tracker), ["UPDATE"])
        self.assertNotIn("0000:83:00.0", self.rows())
        self.assertEqual(self.sync(tracker), [])


class SQLite(Checks, dropin.Case):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.url = f"sqlite:///{Path(folder.name) / 'nova.sqlite'}"


class PostgreSQL(Checks, dropin.Case):
    @classmethod
    def setUpClass(cls) -> None:
        try:
            running = server.PostgreSQL()
            running.__enter__()
        except server.Unavailable as reason:
            print(f"skipped: {reason}")
            raise unittest.SkipTest(str(reason)) from None
        cls.addClassCleanup(running.__exit__)
        cls.url = running.url

    def test_a_device_for_which_the_table_has_no_room_costs_that_device(self) -> None:
        self.found.append(device("10000:01:00.0", label="l"))
        tracker = self.restart()
        self.sync_with_refusal(tracker)
        self.assertNotIn("10000:01:00.0", self.rows())
        self.assertEqual(len(self.rows()), len(self.found) - 1)
        self.assertEqual(self.sync(tracker), [])
        with self.context.db_connection.writer.get_engine().begin() as connection:
            for name in ("address", "parent_addr"):
                connection.exec_driver_sql(f"ALTER TABLE pci_devices ALTER COLUMN {name} TYPE VARCHAR(16)")
        self.assertEqual(self.sync(self.restart()).count("INSERT"), 1)
        self.assertIn("10000:01:00.0", self.rows())

    def sync_with_refusal(self, tracker: Any) -> None:
        tracker.update_devices_from_hypervisor_resources(json.dumps(self.found))
        tracker.save(self.context)


if __name__ == "__main__":
    unittest.main()
