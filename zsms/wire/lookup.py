"""Where a host is: its addresses, and which of them answers."""

from __future__ import annotations

import socket
import threading
from typing import Any

from zsms.wire.endpoint import Endpoint

_PROBE_S = 0.2
"""How long one address of several may take to accept a connection."""
LOOK_S = 0.3
"""How long a role waits for the resolver when it looks for a silent host again; the next look has what comes later."""


class Lookup:
    """Looks for a host's addresses, in a thread of its own: a resolver may take very long to say no."""

    def __init__(self, endpoint: Endpoint, which: str) -> None:
        self.ipv6: bool | None = None
        """Over which family to go; None when nobody knows the host."""
        self.host = endpoint.host
        """What to connect to: the name, which libzmq looks up again itself, or of two families the address that answers
        where libzmq would take the other."""
        self.why = ""
        """Why nothing may have come of it, for people."""
        self.is_no_name = False
        """It could not be a host's."""
        self._endpoint = endpoint
        self._port = endpoint.port + (which == "second")
        self.thread = threading.Thread(target=self.run, name="resolver", daemon=True)

    def run(self) -> None:
        """Find them."""
        host = self._endpoint.host
        try:
            found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            self.why = f"host {host!r} can't be resolved: {getattr(error, 'strerror', None) or error}"
            self.is_no_name = isinstance(error, UnicodeError)
            return
        self.ipv6 = all(family != socket.AF_INET for family, *_ in found)
        names = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if names != [host]:
            self.why = f"tried {' and '.join(names)}"
        if len({family for family, *_ in found}) > 1:
            # libzmq takes one family only: the one that answers, and IPv4 if neither does yet.
            accepting = {family: str(address[0]) for family, *_, address in found if _accepts(family, address)}
            self.ipv6 = bool(accepting) and socket.AF_INET not in accepting
            if self.ipv6:
                self.host = accepting[socket.AF_INET6]


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
