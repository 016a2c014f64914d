"""What listens at an address where nobody answers: nobody, a broker, a collector, the second port of one, or a program
that speaks no ZeroMQ at all.

ZMTP (https://rfc.zeromq.org/spec/23/) begins alike on both sides: 64 bytes of greeting, and with the mechanism NULL a
READY that names the kind of socket. The other side hears a peer that left before it was one.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import replace

from zsms.wire.endpoint import Endpoint
from zsms.words import in_line

CONNECT_S = 0.3
ANSWER_S = 1.0
"""How long it may take to say something."""
_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
GREETING = _SIGNATURE + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""What each side says first."""
_KIND = b"\x0bSocket-Type"
_MOST = 512
"""Bytes of what it says that are read."""
_SHOWN = 60
_FIRST = {"PULL": "broker", "SUB": "stats"}
"""Whose first port it is, by the kind of the socket."""
_CALLED = {"broker": "a broker", "stats": "a stats collector"}

NOBODY = "nobody listens there"


def look(endpoint: Endpoint, address: str, wanted: str) -> str:
    """What listens at the first port of an endpoint, at this address of its host, in words; empty where all that can be
    said is that it is what was `wanted`, a broker or stats."""
    try:
        with _connected(endpoint, address) as there:
            said = _heard(there)
    except TimeoutError:
        return "nobody takes a connection there"
    except OSError:
        return NOBODY
    if not said:
        return "what listens there takes the connection, and says nothing"
    if not said.startswith(_SIGNATURE[:1]):
        return f"what listens there speaks no ZeroMQ: it says {_printable(said)}"
    kind = _kind(said)
    if kind == "ROUTER":
        return f"that is the second port of the broker or collector at {replace(endpoint, port=endpoint.port - 1)}"
    whose = _FIRST.get(kind)
    if kind and whose is None:
        return f"what listens there is neither a broker nor a collector, but a ZeroMQ {kind}"
    if whose in (None, wanted):
        return ""
    return f"{_CALLED[whose or '']} listens there, and not {_CALLED[wanted]}"


def _connected(endpoint: Endpoint, address: str) -> socket.socket:
    """Raises OSError."""
    if endpoint.scheme == "tcp":
        return socket.create_connection((address, endpoint.port), CONNECT_S)
    there = socket.socket(socket.AF_UNIX)
    try:
        there.settimeout(CONNECT_S)
        there.connect(endpoint.first.removeprefix("ipc://").replace("@", "\0", 1))
    except OSError:
        there.close()
        raise
    return there


def _heard(there: socket.socket) -> bytes:
    """What it says to a greeting, up to the kind of its socket."""
    said, until = b"", time.monotonic() + ANSWER_S
    with suppress(OSError):  # it is silent, or it hangs up
        there.settimeout(ANSWER_S)
        there.sendall(GREETING)
        while len(said) < _MOST and (piece := there.recv(_MOST)):
            said += piece
            zmtp = said.startswith(_SIGNATURE[:1])
            if not zmtp or _kind(said) or time.monotonic() > until or (len(said) >= 64 and said[12:16] != b"NULL"):
                break
    return said


def _kind(said: bytes) -> str:
    """The kind of its socket; empty where it has not said it (yet)."""
    rest = said.partition(_KIND)[2]
    size = 4 + rest[3] if len(rest) > 3 else _MOST
    return in_line(rest[4:size].decode("latin-1"))[:20] if len(rest) >= size else ""


def _printable(said: bytes) -> str:
    line = said.lstrip().splitlines()[:1] or [b""]
    return repr(line[0][:_SHOWN].decode("latin-1"))
