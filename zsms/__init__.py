"""zsms simulates, measures and plans the sending of very many SMS alerts on a ZeroMQ process mesh.

Each role is a class that can be embedded, and `Mesh` runs a whole mesh of processes:

>>> from zsms import Mesh
>>> report = Mesh(messages=1_000, senders=2, concurrency=100, mean=0.01, sd=0).run()  # doctest: +SKIP
>>> report.messages.lost  # doctest: +SKIP
0
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[-1:] != ["-m"] and not sys.flags.safe_path:
    # `python -m zsms`: this comes before all else, for a typing.py in the current folder is not Python's typing.
    _named = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv else ""
    try:
        _here = os.getcwd()
    except OSError:
        _here = ""  # it is gone, and so is what was in it
    if _named.partition(".")[0] == "zsms" and sys.path[:1] in ([""], [_here]):
        del sys.path[0]

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zsms.core.broker import BrokerLimits as BrokerLimits
    from zsms.errors import UsageError as UsageError
    from zsms.errors import ZsmsError as ZsmsError
    from zsms.launch.mesh import Mesh as Mesh
    from zsms.message import Message as Message
    from zsms.message import MessageId as MessageId
    from zsms.message import Outcome as Outcome
    from zsms.report.report import Report as Report
    from zsms.roles.base import CommonOptions as CommonOptions
    from zsms.roles.base import RoleOptions as RoleOptions
    from zsms.roles.broker import Broker as Broker
    from zsms.roles.collector import StatsCollector as StatsCollector
    from zsms.roles.monitor import Monitor as Monitor
    from zsms.roles.producer import Producer as Producer
    from zsms.roles.sender import Sender as Sender
    from zsms.scenario import MeshConfig as MeshConfig
    from zsms.scenario import SenderGroup as SenderGroup
    from zsms.stats.delay import DelayModel as DelayModel
    from zsms.stats.snapshot import Snapshot as Snapshot

_HOMES = {
    "Broker": "zsms.roles.broker",
    "BrokerLimits": "zsms.core.broker",
    "CommonOptions": "zsms.roles.base",
    "DelayModel": "zsms.stats.delay",
    "Mesh": "zsms.launch.mesh",
    "MeshConfig": "zsms.scenario",
    "Message": "zsms.message",
    "MessageId": "zsms.message",
    "Monitor": "zsms.roles.monitor",
    "Outcome": "zsms.message",
    "Producer": "zsms.roles.producer",
    "Report": "zsms.report.report",
    "RoleOptions": "zsms.roles.base",
    "Sender": "zsms.roles.sender",
    "SenderGroup": "zsms.scenario",
    "Snapshot": "zsms.stats.snapshot",
    "StatsCollector": "zsms.roles.collector",
    "UsageError": "zsms.errors",
    "ZsmsError": "zsms.errors",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `zsms --help` waits for no numpy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'zsms' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
