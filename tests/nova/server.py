"""A PostgreSQL of Debian's packages, started for a test on loopback by a user without rights."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

SECONDS_TO_START = 60


class Unavailable(Exception):
    """There is no PostgreSQL that could be started here, and why."""


def _programs() -> Path:
    found = shutil.which("initdb")
    places = [*sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True), *([found] if found else [])]
    if not places:
        raise Unavailable("PostgreSQL is not installed; on Debian and Ubuntu it is the package postgresql")
    return Path(places[0]).resolve().parent


class PostgreSQL:
    """A server with an empty database; use it as a context manager."""

    def __init__(self) -> None:
        self._programs = _programs()
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._folder = Path(tempfile.mkdtemp(prefix="slotwise-postgresql-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://nova@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> PostgreSQL:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        if self._user:
            os.chown(self._folder, self._user["user"], self._user["group"])
        data = self._folder / "data"
        with (self._folder / "log").open("wb") as log:
            made = subprocess.run(
                [self._programs / "initdb", "-D", data, "-U", "nova", "-A", "trust", "-E", "UTF8", "--no-sync"],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                check=False,
                **self._user,
            )
            if made.returncode != 0:
                raise Unavailable(f"initdb failed: {self._log()}")
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
            arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", data, *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._user,
            )
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise Unavailable(f"postgres ended: {self._log()}")
            if "ready to accept connections" in self._log():
                return
            time.sleep(0.05)
        raise Unavailable(f"postgres did not start in {SECONDS_TO_START} s: {self._log()}")

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)
