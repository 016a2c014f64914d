"""Is that process well? For the probes of whoever runs it: an answer in words, or ZsmsError that says what is wrong.

broker             says PING to its dispatch socket, as a stranger: it answers WHO
stats              asks the collector
producer, sender   asks the collector for its last word of them: they listen nowhere themselves
"""

from __future__ import annotations

import time
from typing import Any

import zmq

from zsms.errors import UsageError, WireError, ZsmsError
from zsms.roles.asker import Asker
from zsms.security.keys import Keys
from zsms.stats.row import Row
from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import BROKER_PORT, DEFAULT_BROKER, DEFAULT_STATS, STATS_PORT, Endpoint
from zsms.wire.frames import Ping, Pong, Who
from zsms.wire.lookup import LAST_S
from zsms.wire.sockets import Sockets
from zsms.words import many


def check(
    role: str, endpoint: str | None = None, *, name: str | None = None, timeout: float = 2.0, keys: str | None = None
) -> str:
    """How that role is, in a line.

    `endpoint` is its own, and for a producer or sender the collector's (None: where that is by default); `name` is its
    name there. `keys` is where the asker's key is: an operator's for a broker, else a monitor's. Raises ZsmsError when
    it is not well, or nobody says so within `timeout` seconds.
    """
    if not 0 <= timeout <= 86_400:
        raise UsageError(f"timeout {timeout}: give seconds from 0 to 86400")
    if endpoint is None:
        endpoint = DEFAULT_BROKER if role == "broker" else DEFAULT_STATS
    own = None if keys is None else Keys.load(keys, "operator" if role == "broker" else "monitor")
    sockets = Sockets(keys=own)
    try:
        if role == "broker":
            return _broker(sockets, Endpoint.parse(endpoint, BROKER_PORT, several=True), timeout)
        collector = Endpoint.parse(endpoint, STATS_PORT)
        began = time.monotonic()
        answer = Asker(sockets, collector).wait("totals", timeout)
        if answer is None:
            raise ZsmsError(_silent("collector", collector, timeout, sockets))
        if role == "stats":
            took, known = time.monotonic() - began, many(_count(answer), "process", "processes")
            return f"the collector at {collector} answers in {took * 1e3:.0f} ms and knows {known}"
        return _reported(answer.get("processes", []), role, name)
    finally:
        sockets.close_all()


def _broker(sockets: Sockets, endpoint: Endpoint, timeout: float) -> str:
    began = time.monotonic()
    sockets.find(endpoint)
    dealer = sockets.connect(zmq.DEALER, endpoint, "second", strict=True)
    dealer.send(encode(Ping(0, began)))
    if not dealer.poll(int(timeout * 1_000)):
        raise ZsmsError(_silent("broker", endpoint, timeout, sockets))
    try:
        frame = decode(dealer.recv_multipart()[0])
    except WireError as error:
        raise ZsmsError(f"what answers at {endpoint} is no broker: {error}") from None
    if not isinstance(frame, Who | Pong):
        raise ZsmsError(f"what answers at {endpoint} is no broker: it said {type(frame).__name__}")
    return f"the broker at {endpoint} answers in {(time.monotonic() - began) * 1e3:.0f} ms"


def _silent(whom: str, endpoint: Endpoint, timeout: float, sockets: Sockets) -> str:
    why = sockets.resolve_again(endpoint, LAST_S)
    return f"no answer from a {whom} at {endpoint} within {timeout:g} s" + (f": {why}" if why else "")


def _count(answer: dict[str, Any]) -> int:
    return len(answer.get("processes", []))


def _reported(rows: list[dict[str, Any]], role: str, name: str | None) -> str:
    """What the collector has heard of that process."""
    for row in map(Row.of, rows):
        if (row.role, row.name) != (role, name):
            continue
        heard = f"last word {row.age:.1f} s ago"
        if row.state == "done":
            return f"{role} {name}: done"
        if not row.is_alive:
            raise ZsmsError(f"{role} {name}: silent, {heard}, although it speaks every {row.interval:g} s")
        if row.state == "starting":
            raise ZsmsError(f"{role} {name}: no broker has taken it in yet, {heard}")
        return f"{role} {name}: {row.state}, {heard}"
    raise ZsmsError(f"the collector has not heard of a {role} {name}")
