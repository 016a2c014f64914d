"""How processes of zsms are started by zsms: as this one is, and without what happens to lie in the current folder."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

COMMAND = (sys.executable, "-P", "-m", "zsms")
"""`-P` keeps the current folder off the module path: a random.py there is not Python's random."""
STOPPING = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGXCPU, signal.SIGUSR1, signal.SIGUSR2),  # of batch systems, before they kill
)
"""Signals that ask a process to end."""
_PR_SET_PDEATHSIG = 1


def with_this_package(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a child finds this very package, wherever it lies."""
    root = str(Path(__file__).resolve().parents[2])
    installed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    if root in {os.path.realpath(path) for path in installed if path}:
        return dict(environment)
    given = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": f"{given}{os.pathsep}{root}" if given else root}


def end_with(parent: int) -> None:
    """Have this process asked to end as soon as the one that started it is gone, however that went. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
