"""Addresses: of brokers and collectors, which are two sockets beside each other."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zsms.errors import UsageError

BROKER_PORT = 5555
"""Ingest (PULL); dispatch and confirms (ROUTER) are one port above."""
STATS_PORT = 5557
"""Stats in (SUB); stats out (ROUTER) is one port above."""
DEFAULT_BROKER = f"tcp://127.0.0.1:{BROKER_PORT}"
DEFAULT_STATS = f"tcp://127.0.0.1:{STATS_PORT}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a broker or collector: two sockets beside each other.

    ``tcp://HOST:PORT`` is PORT and PORT + 1; ``ipc://PATH`` is PATH.1 and PATH.2; ``inproc://NAME`` likewise.
    """

    scheme: str
    host: str
    port: int = 0
    others: tuple[Endpoint, ...] = ()
    """Where else the same broker may be: one that stands by for it."""

    @classmethod
    def parse(cls, text: str, default_port: int, *, several: bool = False) -> Endpoint:
        """From HOST, HOST:PORT, [IPV6]:PORT, tcp://..., ipc://PATH or inproc://NAME; if `several` may be given, with
        commas between, they are places of the same one. Raises UsageError.
        """
        if not isinstance(text, str):
            raise UsageError(f"endpoint {text!r}: give text, such as HOST:PORT")
        if several:
            comma = r",(?=\w+://)" if text.strip().startswith(("ipc:", "inproc:")) else ","
            one, *more = (cls.parse(place, default_port) for place in re.split(comma, text))
            return replace(one, others=tuple(more))
        scheme, separator, rest = text.strip().partition("://")
        scheme, rest = (scheme.lower(), rest) if separator else ("tcp", scheme)
        if scheme in ("ipc", "inproc"):
            if not rest:
                raise UsageError(f"endpoint {text!r}: {scheme}:// needs a {'path' if scheme == 'ipc' else 'name'}")
            if "\0" in rest:
                raise UsageError(f"endpoint {text!r}: a zero byte is in it")
            if scheme == "ipc" and (size := len(rest.encode("utf-8", "surrogateescape"))) > 100:
                raise UsageError(f"endpoint {text!r}: the path is {size} bytes long; sockets take 100")
            return cls(scheme, rest)
        if "," in rest:
            raise UsageError(f"endpoint {text!r}: one address only can be given here")
        if scheme != "tcp":
            raise UsageError(f"endpoint {text!r}: use tcp://HOST:PORT, ipc://PATH or just HOST:PORT")
        if rest.startswith("["):
            host, bracket, tail = rest[1:].partition("]")
            if not bracket or (tail and not tail.startswith(":")):
                raise UsageError(f"endpoint {text!r}: an IPv6 address is written [ADDRESS]:PORT")
            port = tail[1:]
        elif rest.count(":") > 1:
            raise UsageError(f"endpoint {text!r}: {_too_many_colons(rest)}")
        else:
            host, _, port = rest.partition(":")
        if not host:
            raise UsageError(f"endpoint {text!r}: the host is missing")
        if host.isdigit() and not port:
            raise UsageError(f"endpoint {text!r}: a port alone; write HOST:{host}, such as 127.0.0.1:{host}")
        if port and port != "*" and not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65_535):
            raise UsageError(f"endpoint {text!r}: the port must be a number from 0 (any) to 65534")
        number = 0 if port in ("*", "0") else int(port or default_port)
        return cls("tcp", host, number)

    def __str__(self) -> str:
        return ",".join((self._url(self.port, ""), *map(str, self.others)))

    @property
    def places(self) -> tuple[Endpoint, ...]:
        """This one and the others, each alone."""
        return (replace(self, others=()), *self.others)

    @property
    def first(self) -> str:
        """Ingest, or stats in."""
        return self._url(self.port, ".1")

    @property
    def second(self) -> str:
        """Dispatch, or stats out."""
        return self._url(self.port + 1, ".2")

    def _url(self, port: int, suffix: str) -> str:
        if self.scheme != "tcp":
            return f"{self.scheme}://{self.host}{suffix}"
        return f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it. Raises UsageError when nobody knows the host."""
        if self.scheme != "tcp":
            return True
        if self.host == "*":
            return False
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise _unknown(self.host, error) from None
        return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)

    @property
    def needs_ipv6(self) -> bool:
        """Whether the host is reached over IPv6 only. Raises UsageError when nobody knows the host."""
        if self.scheme != "tcp" or self.host == "*":
            return False
        if ":" in self.host:
            return True
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise _unknown(self.host, error) from None
        return all(family != socket.AF_INET for family, *_ in found)


def _too_many_colons(rest: str) -> str:
    try:
        ipaddress.IPv6Address(rest)
    except ValueError:
        return "too many colons; write HOST:PORT, tcp://HOST:PORT or [IPV6]:PORT"
    return f"write an IPv6 address in brackets, as [{rest}]"


def _unknown(host: str, error: Exception) -> UsageError:
    return UsageError(f"host {host!r} can't be resolved ({error}): check the name, or give an address")


def brokers_at(brokers: str | Sequence[str]) -> list[Endpoint]:
    """The addresses of one broker or several. Raises UsageError, also for none, and for one that is named twice."""
    texts = [brokers] if isinstance(brokers, str) or not isinstance(brokers, Sequence) else brokers
    endpoints = [Endpoint.parse(text, BROKER_PORT, several=True) for text in texts]
    if not endpoints:
        raise UsageError("no broker: give the address of at least one")
    places = [place for endpoint in endpoints for place in endpoint.places]
    for place in places:
        if places.count(place) > 1:
            raise UsageError(f"the broker at {place} is named twice")
    return endpoints
