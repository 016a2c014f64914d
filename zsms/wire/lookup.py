"""Where a host is: its addresses, which of them answers, and what listens there."""

from __future__ import annotations

import socket
import threading
from typing import Any

from zsms.wire.endpoint import Endpoint
from zsms.wire.presence import look

_PROBE_S = 0.2
"""How long one address of several may take to accept a connection."""
LOOK_S = 0.3
"""How long a role waits for the resolver when it looks for a silent host again; the next look has what comes later."""


LAST_S = 1.2
"""How long who gives up waits for what listens there to say what it is."""


class Lookup:
    """Looks for a host's addresses, in a thread of its own: a resolver may take very long to say no."""

    def __init__(self, endpoint: Endpoint, which: str, wanted: str = "") -> None:
        """`wanted`, a broker or stats, is what should listen there: `begin` looks for that too, unless it is empty."""
        self.ipv6: bool | None = None
        """Over which family to go; None when nobody knows the host."""
        self.host = endpoint.host
        """What to connect to: the name, which libzmq looks up again itself, or of two families the address that answers
        where libzmq would take the other."""
        self.why = ""
        """Why nothing may have come of it, for people."""
        self.is_no_name = False
        """It could not be a host's."""
        self.there = ""
        """What listens there instead of what is wanted, for people."""
        self.known = threading.Event()
        """Set when the addresses were looked for."""
        self.is_used = False
        """Whoever asked has connected to what was found."""
        self._endpoint = endpoint
        self._wanted = wanted
        self._port = endpoint.port + (which == "second")
        self._addresses: list[str] = []
        self._thread = threading.Thread(target=self._find, name="resolver", daemon=True)

    def begin(self) -> None:
        """Look for the addresses, and for what listens there. Returns after `LOOK_S` at the latest."""
        self._thread.start()
        self.known.wait(LOOK_S)

    def is_over(self, patience: float) -> bool:
        """Whether it is known, after so many seconds at the latest, what listens there."""
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _find(self) -> None:
        try:
            if self._endpoint.scheme == "tcp":
                self.run()
        finally:
            self.known.set()
        if self._wanted and (self._addresses or self._endpoint.scheme == "ipc"):
            self.there = look(self._endpoint, next(iter(self._addresses), ""), self._wanted)

    def run(self) -> None:
        """Find the addresses."""
        host = self._endpoint.host
        try:
            found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            self.why = f"host {host!r} can't be resolved: {getattr(error, 'strerror', None) or error}"
            self.is_no_name = isinstance(error, UnicodeError)
            return
        self.ipv6 = all(family != socket.AF_INET for family, *_ in found)
        self._addresses = names = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if names != [host]:
            self.why = f"tried {' and '.join(names)}"
        if len({family for family, *_ in found}) > 1:
            # libzmq takes one family only: the one that answers, and IPv4 if neither does yet.
            accepting = {family: str(address[0]) for family, *_, address in found if _accepts(family, address)}
            self.ipv6 = bool(accepting) and socket.AF_INET not in accepting
            if self.ipv6:
                self.host = accepting[socket.AF_INET6]
            self._addresses[:0] = accepting.values()


def _accepts(family: int, address: Any) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_S)
            probe.connect(address)
            return True
    except OSError:
        return False


def listens(place: Endpoint) -> bool:
    """Whether somebody takes connections at the second of its ports."""
    try:
        with socket.create_connection((place.host, place.port + 1), _PROBE_S):
            return True
    except (OSError, UnicodeError):
        return False
