"""Nova's own services with the drop-in active, in one process, and as the processes that an operator starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import unittest
from pathlib import Path

import neighbours

SCRIPTS = Path(sysconfig.get_path("scripts"))
SECONDS_TO_START = 120

CONFIGURATION = """
[DEFAULT]
transport_url = fake://
state_path = {folder}
host = h
[oslo_concurrency]
lock_path = {folder}
[database]
connection = sqlite:///{folder}/main.sqlite
[api_database]
connection = sqlite:///{folder}/api.sqlite
[scheduler]
workers = 2
[filter_scheduler]
track_instance_changes = False
[placement]
auth_type = none
endpoint_override = http://127.0.0.1:9
"""

TABLES = """
import sqlalchemy, sys
import nova.conf
from nova import config
config.parse_args(["nova", "--config-file", sys.argv[1]])
from nova.db.api import models as of_api
from nova.db.main import models as of_cell
for models, group in ((of_cell, nova.conf.CONF.database), (of_api, nova.conf.CONF.api_database)):
    models.BASE.metadata.create_all(sqlalchemy.create_engine(group.connection))
"""

PROBE = """
import os, sys

def say():
    stats = sys.modules.get("nova.pci.stats")
    with open(os.environ["PROBE"], "a") as file:
        file.write(f"{os.getpid()} {stats and stats.PciDeviceStats.support_requests.__module__}\\n")

os.register_at_fork(after_in_child=say)
"""
"""A ``sitecustomize`` in which each forked process tells whose code decides in it."""


class Processes(unittest.TestCase):
    def test_nova_scheduler_and_its_workers(self) -> None:
        """The service itself, with databases on SQLite, as far as it comes without a message bus: it waits for requests."""
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        folder = Path(made.name)
        (folder / "nova.conf").write_text(CONFIGURATION.format(folder=folder))
        (folder / "sitecustomize.py").write_text(PROBE)
        configured = str(folder / "nova.conf")
        subprocess.run([sys.executable, "-W", "ignore", "-c", TABLES, configured], check=True, capture_output=True)
        probe = folder / "probe"
        environment = {**os.environ, "PYTHONPATH": str(folder), "PROBE": str(probe)}
        command = [SCRIPTS / "slotwise-nova", SCRIPTS / "nova-scheduler", "--config-file", configured]
        with (folder / "log").open("wb") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            end = time.monotonic() + SECONDS_TO_START
            while time.monotonic() < end and service.poll() is None:
                said = probe.read_text().splitlines() if probe.exists() else []
                if len(said) >= 2 and (folder / "log").read_text().count("Starting scheduler node") >= 2:
                    break
                time.sleep(0.2)
            else:
                self.fail(f"nova-scheduler did not start:\n{(folder / 'log').read_text()[-3000:]}")
            self.assertEqual({line.split()[1] for line in said}, {"slotwise.nova.dropin.stats"})
            self.assertNotIn(str(service.pid), [line.split()[0] for line in said])
        finally:
            service.send_signal(signal.SIGTERM)
            self.assertEqual(service.wait(timeout=60), 0)


class Services(unittest.TestCase):
    def test_in_one_process(self) -> None:
        """The tests of ``services.py``, and one of Nova's own of each of its modules about PCI devices."""
        for name, least in (
            ("services", 5),
            ("nova.tests.functional.libvirt.test_pci_sriov_servers.PCIServersTest.test_create_server_with_pci_dev_and_numa", 1),
        ):
            outcomes = neighbours.run([name], dropped_in=True)
            self.assertEqual({test: how for test, how in outcomes.items() if how != neighbours.SAME}, {})
            self.assertGreaterEqual(len(outcomes), least)

    def test_differences_are_found(self) -> None:
        """The long form, ``neighbours.py``, is not green by itself."""
        plain = {"a": "passed", "b": "passed", "c": "ValueError: x", "d": "skipped"}
        self.assertEqual(neighbours.differences(plain, {**plain, "c": "ValueError: y"}, {}), [])
        for dropped in ({**plain, "a": "failed"}, {**plain, "c": "passed"}, {"a": "passed"}):
            self.assertTrue(neighbours.differences(plain, dropped, {}))
        self.assertEqual(neighbours.differences(plain, {**plain, "a": "failed"}, {"a": "why"}), [])
        self.assertEqual(len(neighbours.differences(plain, plain, {"a": "why"})), 1)


if __name__ == "__main__":
    unittest.main()
