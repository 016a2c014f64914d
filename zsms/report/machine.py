"""Where and with what something was measured: figures without it say nothing."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zsms import __version__


@cache
def machine() -> dict[str, Any]:
    """This machine: processor, cores, memory (bytes), system and kernel. Nothing that names it."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def versions() -> dict[str, str]:
    """What the figures depend on."""
    import zmq

    libraries = {name: version(name) for name in ("numpy", "pyzmq", "msgpack")}
    return {"zsms": __version__, "python": platform.python_version(), **libraries, "libzmq": zmq.zmq_version()}
