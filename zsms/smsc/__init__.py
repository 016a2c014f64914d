"""A fake SMSC: what gateways and clients are tested against.

    with FakeSmsc(rules) as smsc:      # listens on a free port of 127.0.0.1
        client.connect("127.0.0.1", smsc.port)

`zsms.smsc.rules` says how it answers, `zsms.smsc.model` decides without a socket, `zsms.smsc.server` serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zsms.smsc.rules import Account as Account
    from zsms.smsc.rules import Rules as Rules
    from zsms.smsc.server import FakeSmsc as FakeSmsc

_PLACES = {"Account": "rules", "Rules": "rules", "FakeSmsc": "server"}

__all__ = ["Account", "FakeSmsc", "Rules"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
