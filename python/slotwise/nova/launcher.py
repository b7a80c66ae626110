"""``slotwise-nova COMMAND…``: runs a program, and the processes that it starts, with the drop-in active.

It puts a folder with a ``sitecustomize`` module in front of ``PYTHONPATH``, sets ``SLOTWISE_NOVA=1``, and becomes the
program. An interpreter that is told to ignore its environment (``python -E``, ``-I``) does not see either.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from slotwise.nova import UnsupportedNovaError, check_version

VARIABLE = "SLOTWISE_NOVA"
"""The environment variable that tells ``sitecustomize`` to activate the drop-in."""

SITE = Path(__file__).parent / "site"
USAGE = "usage: slotwise-nova COMMAND [ARGUMENT…]\n\nRuns COMMAND, say nova-compute, with slotwise in the place of Nova's PCI code."
NOT_FOUND = 127
USAGE_ERROR = 2


def environment(inherited: dict[str, str]) -> dict[str, str]:
    """The environment in which Python programs activate the drop-in."""
    paths = [path for path in inherited.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(SITE)]
    return {**inherited, VARIABLE: "1", "PYTHONPATH": os.pathsep.join([str(SITE), *paths])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Becomes the program; returns only when it cannot be started."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    if not command or command[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if command else sys.stderr)
        return 0 if command else USAGE_ERROR
    program = shutil.which(command[0])
    if program is None:
        print(f"slotwise-nova: there is no program {command[0]!r} in PATH", file=sys.stderr)
        return NOT_FOUND
    try:
        check_version()
    except UnsupportedNovaError as error:
        print(f"slotwise-nova: {error}", file=sys.stderr)
        return 1
    os.execve(program, command, environment(dict(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
