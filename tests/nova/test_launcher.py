"""``slotwise-nova`` as an operator uses it: services, tests, and the processes that they start."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import unittest
import venv
from pathlib import Path

LAUNCHER = Path(sysconfig.get_path("scripts")) / "slotwise-nova"
ACTIVE = "import nova.pci.stats as s; print(s.PciDeviceStats.support_requests.__module__)"
OURS, NOVAS = "slotwise.nova.dropin.stats", "nova.pci.stats"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**inherited, **environment}
    )


class Launcher(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_a_program_and_its_children(self) -> None:
        child = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {ACTIVE!r}]))"
        for code in (ACTIVE, child):
            done = run(str(LAUNCHER), sys.executable, "-W", "ignore", "-c", code)
            self.assertEqual((done.stdout.strip(), done.returncode), (OURS, 0), done.stderr)
        self.assertEqual(run(sys.executable, "-W", "ignore", "-c", ACTIVE).stdout.strip(), NOVAS)

    def test_an_interpreter_that_ignores_its_environment(self) -> None:
        for flag in ("-E", "-I"):
            done = run(str(LAUNCHER), sys.executable, "-W", "ignore", flag, "-c", ACTIVE)
            self.assertEqual(done.stdout.strip(), NOVAS, done.stderr)

    def test_the_services_start_and_say_so(self) -> None:
        """Nova's own console scripts, as far as they come without a message bus and a database."""
        for service in ("nova-compute", "nova-scheduler"):
            script = Path(sysconfig.get_path("scripts")) / service
            self.assertTrue(script.exists(), script)
            done = run(str(LAUNCHER), str(script), "--version")
            self.assertIn("34.0.0", done.stdout + done.stderr)

    def test_nothing_of_nova_is_imported_before_its_time(self) -> None:
        code = "import sys; print(sorted(m for m in sys.modules if m.split('.')[0] in ('nova', 'oslo_config', 'eventlet')))"
        self.assertEqual(run(str(LAUNCHER), sys.executable, "-c", code).stdout.strip(), "[]")

    def test_another_sitecustomize_still_runs(self) -> None:
        (self.folder / "sitecustomize.py").write_text("print('theirs', __name__)\n")
        done = run(str(LAUNCHER), sys.executable, "-W", "ignore", "-c", ACTIVE, PYTHONPATH=str(self.folder))
        # The launcher is a Python program too, in which it runs as well.
        self.assertEqual(done.stdout.split("\n")[1:3], ["theirs sitecustomize", OURS], done.stderr)
        code = "import sitecustomize; print(sitecustomize.__file__)"
        done = run(str(LAUNCHER), sys.executable, "-c", code, PYTHONPATH=str(self.folder))
        self.assertIn(str(self.folder), done.stdout)

    def test_a_python_without_slotwise_goes_on(self) -> None:
        venv.create(self.folder / "other", with_pip=False)
        done = run(str(LAUNCHER), str(self.folder / "other/bin/python"), "-c", "print('goes on')")
        self.assertEqual((done.stdout.strip(), done.stderr, done.returncode), ("goes on", "", 0))

    def test_another_nova_cannot_be_imported(self) -> None:
        """As a child process in another environment would meet it, where the launcher has not looked."""
        metadata = self.folder / "nova-35.0.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nova\nVersion: 35.0.0\n")
        environment = {"PYTHONPATH": str(self.folder)}
        code = "import sys; print('starts'); sys.stdout.flush(); import nova"
        done = run(str(LAUNCHER), sys.executable, "-c", code, **environment)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nova 35.0.0", done.stderr)
        from slotwise.nova import launcher

        there = launcher.environment({"PYTHONPATH": str(self.folder), "PATH": os.environ["PATH"]})
        done = run(sys.executable, "-c", code, **there)
        self.assertIn("starts", done.stdout)
        self.assertIn("UnsupportedNovaError", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_what_cannot_be_started(self) -> None:
        done = run(str(LAUNCHER), "no-such-program")
        self.assertEqual((done.returncode, done.stdout), (127, ""))
        self.assertIn("no-such-program", done.stderr)
        self.assertEqual(run(str(LAUNCHER)).returncode, 2)
        done = run(str(LAUNCHER), "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(run(str(LAUNCHER), sys.executable, "-c", "raise SystemExit(3)").returncode, 3)


if __name__ == "__main__":
    unittest.main()
