"""Nova's services under the drop-in: nova-api, -scheduler, -conductor and -compute in one process, by Nova's own fixtures.

Their libvirt, Neutron and Placement are fakes; the databases (SQLite), the messages between the services and everything that
the services do are Nova's. Run by ``test_services.py`` in a process that ``slotwise-nova`` starts.
"""

from __future__ import annotations

import json
import logging
from typing import Any

# First, because it patches the standard library for what is imported after it.
import nova.tests.functional  # noqa: F401  # isort: skip
from nova import exception, objects
from nova.db.main import api, models
from nova.scheduler import filters
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.functional.libvirt import test_pci_sriov_servers as upstream

import slotwise.nova
from slotwise.nova import dropin

IDS = {"vendor_id": fakelibvirt.PCI_VEND_ID, "product_id": fakelibvirt.PCI_PROD_ID}


class ChangesCount(filters.BaseHostFilter):
    """A filter of somebody else's, which puts into some instances' requests what the engine refuses."""

    def filter_all(self, filter_obj_list: Any, spec_obj: Any) -> Any:
        if spec_obj.flavor.extra_specs.get("test:poison"):
            spec_obj.pci_requests.requests[0].count = 1_000_000
        return filter_obj_list


class Services(upstream._PCIServersTestBase):  # type: ignore[misc]
    ADMIN_API = True
    microversion = "latest"
    PCI_DEVICE_SPEC = [json.dumps(IDS)]
    PCI_ALIAS = [json.dumps({**IDS, "name": "a1"})]
    ADDITIONAL_FILTERS = ["ChangesCount", "NUMATopologyFilter", "PciPassthroughFilter"]

    def setUp(self) -> None:
        self.assertTrue(slotwise.nova.is_active())
        available = ["nova.scheduler.filters.all_filters", "services.ChangesCount"]
        self.flags(available_filters=available, group="filter_scheduler")
        super().setUp()
        self.lines = _Lines()
        for name in ("nova", "slotwise"):
            logging.getLogger(name).addHandler(self.lines)
            self.addCleanup(logging.getLogger(name).removeHandler, self.lines)

    def _setup_scheduler_service(self) -> Any:
        # The plain list, so that no other test's filters are in it.
        self.flags(enabled_filters=["ComputeFilter", *self.ADDITIONAL_FILTERS], group="filter_scheduler")
        return self.start_service("scheduler")

    def started(self, name: str, devices: int = 2) -> None:
        self.start_compute(name, pci_info=fakelibvirt.HostPCIDevicesInfo(num_pci=devices, numa_node=0))

    def flavor(self, **extra_specs: str) -> Any:
        return self._create_flavor(extra_spec={"pci_passthrough:alias": "a1:1", **extra_specs})

    def boot(self, flavor: Any, **expected: Any) -> dict[str, Any]:
        server: dict[str, Any] = self._create_server(flavor_id=flavor, networks="none", **expected)
        return server

    def test_the_engine_decides_in_all_services(self) -> None:
        self.started("compute1", 2)
        flavor = self.flavor()
        first, second = self.boot(flavor), self.boot(flavor)
        self.assertPCIDeviceCounts("compute1", total=2, free=0)
        self.boot(flavor, expected_state="ERROR")
        self._delete_server(first)
        self.assertPCIDeviceCounts("compute1", total=2, free=1)
        self.boot(flavor)
        self._delete_server(second)
        for where in ("nova.pci.stats", "nova.pci.manager", "nova.objects.pci_device"):
            self.assertIn(where, {module for module, _ in dropin.replaced()})

    def test_several_instances_of_one_call(self) -> None:
        """The scheduler keeps account of what the first of them takes from its host states."""
        for name in ("compute1", "compute2"):
            self.started(name, 2)
        made = self._build_server(flavor_id=self.flavor(), networks="none")
        for count, state in ((5, "ERROR"), (4, "ACTIVE")):
            self.api.post_server({"server": {**made, "min_count": count, "max_count": count, "name": f"all-{count}"}})
            servers = [one for one in self.api.get_servers() if one["name"].startswith(f"all-{count}")]
            self.assertEqual(len(servers), count)
            for server in servers:
                self._wait_for_state_change(server, state)
        for name in ("compute1", "compute2"):
            self.assertPCIDeviceCounts(name, total=2, free=0)

    def test_a_failure_of_the_engine_fails_that_request_only(self) -> None:
        """The count is put into the request behind the API's back; the engine refuses it with an error of its own."""
        self.started("compute1")
        self.boot(self.flavor(**{"test:poison": "yes"}), expected_state="ERROR")
        self.assertIn("count 1000000 is out of range", "\n".join(self.lines.texts))
        self.assertPCIDeviceCounts("compute1", total=2, free=2)
        self.boot(self.flavor())
        self.assertPCIDeviceCounts("compute1", total=2, free=1)

    def test_a_broken_row_costs_that_host(self) -> None:
        for name in ("compute1", "compute2"):
            self.started(name)
        broken = objects.ComputeNode.get_by_nodename(self.ctxt, "compute1")

        @api.pick_context_manager_writer  # type: ignore[untyped-decorator]
        def write(context: Any, text: str) -> None:
            rows = context.session.query(models.ComputeNode).filter_by(id=broken.id)
            rows.update({"pci_stats": text})

        write(self.ctxt, '[{"count": "many"}]')
        for _ in range(2):
            server = self.boot(self.flavor())
            self.assertEqual(self.api.get_server(server["id"])["OS-EXT-SRV-ATTR:host"], "compute2")
        self.boot(self.flavor(), expected_state="ERROR")
        said = [line for line in self.lines.texts if "cannot be read" in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn("pools[0].count", said[0])

    def test_a_broken_rule_stops_nova_compute(self) -> None:
        for quoted, rule in (
            ("('zz')", '{"vendor_id": "zz", "product_id": "1111"}'),
            ("('[12')", '{"address": "0000:0a:00.[12"}'),
            # Python's re takes this, and the engine does not: the error is its own.
            ("(?:8{100}){100}", '{"address": {"bus": "(?:8{100}){100}"}}'),
        ):
            self.flags(device_spec=[rule], group="pci")
            with self.assertRaises(exception.NovaException) as caught:
                self.started("compute1")
            self.assertIn(quoted, str(caught.exception))
            self.computes.clear()


class _Lines(logging.Handler):
    """What is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))
