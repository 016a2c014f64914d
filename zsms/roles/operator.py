"""What a broker holds, and kicking or purging it: of one that runs, over a line to it, or of one that has ended, in its
journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self

import zmq

from zsms.core.broker import answers
from zsms.core.broker.durability import hidden
from zsms.core.broker.holdings import holdings
from zsms.errors import UsageError, WireError, ZsmsError
from zsms.journal import edit, read
from zsms.security.keys import Keys
from zsms.wire.codec import UnknownKind, decode, encode
from zsms.wire.endpoint import BROKER_PORT, Endpoint
from zsms.wire.frames import Answer, Inspect, Kick, Purge, Refused
from zsms.wire.lookup import LAST_S
from zsms.wire.sockets import Sockets


class Holder(Protocol):
    """What holds messages, as an operator deals with it; use it in a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def inspect(self, messages: int = 0) -> dict[str, Any]:
        """The map of `zsms.core.broker.holdings`, with the first `messages` ready and dead ones. Raises ZsmsError."""

    def kick(self, reason: str = "", limit: int = 0) -> int:
        """Queue dead letters (of this reason, at most `limit`) again; how many messages. Raises ZsmsError."""

    def purge(self, *, ready: bool = False, dead: bool = False, reason: str = "") -> tuple[int, int]:
        """Give up what is ready, let go of what is dead (of this reason); how many of each. Raises ZsmsError."""


class JournalHolder:
    """The journal of a broker that has ended. Each change is one transaction."""

    def __init__(self, directory: str | Path) -> None:
        """`directory` is the broker's `--journal`."""
        self._directory = directory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def inspect(self, messages: int = 0) -> dict[str, Any]:
        """As of :class:`Holder`. Ages mean something until the machine is started again."""
        now = time.monotonic()
        with read(self._directory, now=now) as core:
            return {"broker": hidden(str(self._directory)), **holdings(core, now, messages)}

    def kick(self, reason: str = "", limit: int = 0) -> int:
        """As of :class:`Holder`."""
        with edit(self._directory) as core:
            return core.kick(time.monotonic(), reason, limit)

    def purge(self, *, ready: bool = False, dead: bool = False, reason: str = "") -> tuple[int, int]:
        """As of :class:`Holder`."""
        now = time.monotonic()
        with edit(self._directory) as core:
            gone = core.purge_dead(now, reason) if dead else 0
            return core.purge_ready(now) if ready else 0, gone


class Operator:
    """Says one thing at a time to a broker, and waits for the answer. Used in one thread; `close` it, or use `with`."""

    def __init__(
        self,
        broker: str,
        *,
        timeout: float = 5.0,
        keys: str | Path | None = None,
        context: zmq.Context[Any] | None = None,
    ) -> None:
        """`broker` is its endpoint, `timeout` (seconds) how long an answer may take; `keys` is an operator's .key file,
        or a directory with one (:mod:`zsms.security.keys`). Raises UsageError.
        """
        if not 0 <= timeout <= 86_400:
            raise UsageError(f"timeout {timeout}: give seconds from 0 to 86400")
        self.endpoint = Endpoint.parse(broker, BROKER_PORT, several=True)
        self.timeout = timeout
        self._sockets = Sockets(context, keys=None if keys is None else Keys.load(keys, "operator"))
        self._requests = 0
        self._late = False
        """An answer may still come."""
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        self._sockets.find(self.endpoint)
        return self._sockets.connect(zmq.DEALER, self.endpoint, "second", strict=True)

    def _number(self) -> int:
        self._requests += 1
        return self._requests

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._sockets.close_all()

    def inspect(self, messages: int = 0) -> dict[str, Any]:
        """The map of `zsms.core.broker.holdings`, with the first `messages` ready and dead ones. Raises ZsmsError."""
        return self._ask(Inspect(self._number(), messages), answers.held)

    def kick(self, reason: str = "", limit: int = 0) -> int:
        """Queue dead letters (of this reason, at most `limit`) again; how many messages. Raises ZsmsError."""
        kicked: int = self._ask(Kick(self._number(), reason, limit), answers.kicked)["kicked"]
        return kicked

    def purge(self, *, ready: bool = False, dead: bool = False, reason: str = "") -> tuple[int, int]:
        """Give up what is ready, let go of what is dead (of this reason); how many of each. Raises ZsmsError."""
        answer = self._ask(Purge(self._number(), ready, dead, reason), answers.purged)
        return answer["purged_ready"], answer["purged_dead"]

    def _ask(self, frame: Inspect | Kick | Purge, read: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Say it once: it may change something, so it is never repeated. `read` checks the answer."""
        if self._late:
            # An answer that is still to come is of no use any more; a refusal would not even say what it refuses.
            self._sockets.close(self._socket)
            self._socket = self._connect()
        self._late = True
        self._socket.send(encode(frame))
        deadline = time.monotonic() + self.timeout
        while (left := deadline - time.monotonic()) > 0:
            if not self._socket.poll(int(left * 1_000) + 1):
                break
            try:
                answer = decode(self._socket.recv_multipart()[0])
                if isinstance(answer, Answer) and answer.request == frame.request:
                    self._late = False
                    return read(answer.body)
            except UnknownKind:
                continue
            except (WireError, ValueError) as error:
                raise ZsmsError(f"what answers at {self.endpoint} is no broker: {error}") from None
            if isinstance(answer, Refused):
                self._late = False
                raise ZsmsError(f"the broker at {self.endpoint} refused: {answer.reason}")
        why = self._sockets.resolve_again(self.endpoint, LAST_S) or "is it running, and is that its address?"
        raise ZsmsError(f"no answer from a broker at {self.endpoint} within {self.timeout:g} s: {why}")
