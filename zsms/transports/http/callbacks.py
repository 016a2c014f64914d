"""Delivery callbacks: a gateway asks an address of ours when it knows what became of a message.

    GET  /receipts?id=ID&status=1               as Kannel's dlr-url has it: 1 delivered, 2 failed, 16 rejected
    POST /receipts?id=ID  {"status": "..."}      JSON or a form, as of APIs like Twilio's (MessageStatus)

The id is a message's own; one that is not awaited is counted, and answered like any other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import numpy as np

from zsms.core.clock import Standstills
from zsms.core.outcomes import Receipts
from zsms.errors import UsageError
from zsms.listening import Listener, fields_of
from zsms.message import Delivery, MessageId

MOST_AWAITED = 1_000_000
_FIELDS = ("status", "messagestatus", "smsstatus", "stat", "state")
_UNDELIVERED = Delivery.UNDELIVERED.value
_STATUSES: dict[str, int | None] = {
    "1": Delivery.DELIVERED.value,
    "2": _UNDELIVERED,
    "16": Delivery.REJECTED.value,
    **dict.fromkeys(("4", "8", "32"), None),
    **dict.fromkeys(("delivered", "delivrd", "read"), Delivery.DELIVERED.value),
    **dict.fromkeys(("undelivered", "undeliv", "undeliverable", "failed", "aborted", "blocked"), _UNDELIVERED),
    **dict.fromkeys(("delivery_failed", "sending_failed", "canceled", "cancelled", "deleted"), _UNDELIVERED),
    "expired": Delivery.EXPIRED.value,
    **dict.fromkeys(("rejected", "rejectd"), Delivery.REJECTED.value),
    **dict.fromkeys(("accepted", "acceptd", "queued", "scheduled", "pending", "submitted", "processing"), None),
    **dict.fromkeys(("dispatched", "sending", "sent", "enroute", "buffered"), None),
}
"""What a status means; None: not yet."""


def outcome_of(status: str) -> int | None:
    """The code of `zsms.message.Delivery` that a gateway's word or number stands for; None: not the last word."""
    return _STATUSES.get(status.strip().lower(), Delivery.UNKNOWN.value)


class Callbacks:
    """Listens for them, in the event loop of a transport; what has come is for the role's thread."""

    def __init__(self, address: str, wake: Callable[[], None]) -> None:
        """`address`: HOST:PORT, port 0 for a free one."""
        self.host, _, port = address.rpartition(":")
        self._port = int(port)
        self._wake = wake
        self._listener: Listener | None = None
        self._awaited: dict[str, tuple[int, int, float]] = {}
        self._told: deque[tuple[int, int, int, float, float]] = deque()
        """Producer, seq and outcome of each; when it was awaited, and when it came."""
        self._stood = Standstills()
        self.port = 0
        self.missing = 0
        """Given up, because too many are awaited."""
        self.unmatched = 0
        """Of no message that is awaited."""

    async def open(self) -> None:
        """Begin to listen. Raises UsageError for an address that can't be had."""
        self._listener = Listener(("*", "/receipts", self._asked))
        try:
            await self._listener.open(self.host.strip("[]"), self._port)
        except OSError as error:
            raise UsageError(f"callback {self.host}:{self._port}: {error.strerror or error}") from None
        self.port = self._listener.port

    async def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            await self._listener.close()

    def url(self, name: str) -> str:
        """What a gateway is to ask about the message of this id."""
        return f"http://{self.host}:{self.port}/receipts?id={name}"

    def await_one(self, name: str, message: MessageId) -> None:
        """A message is on its way."""
        self._awaited[name] = (message.producer, message.seq, monotonic())
        if len(self._awaited) > MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]
            self.missing += 1

    def forget(self, name: str) -> None:
        """It was not accepted."""
        self._awaited.pop(name, None)

    async def _asked(self, request: Any) -> Any:
        import aiohttp.web

        try:
            fields = {**await fields_of(request), **request.query}
        except (ValueError, LookupError, RecursionError):
            return aiohttp.web.Response(status=400, text="a body that can't be read")
        said = {str(name).lower(): value for name, value in fields.items()}
        outcome = outcome_of(str(next((said[name] for name in _FIELDS if name in said), "")))
        if outcome is not None:
            name = str(said.get("id", ""))
            found = self._awaited.get(name)
            if found is None:
                self.unmatched += 1
            else:
                producer, seq, at = found
                self._told.append((producer, seq, outcome, at, monotonic()))
                del self._awaited[name]  # after that: at no moment it is in neither
                self._wake()
        return aiohttp.web.Response(status=200)

    # -- the role's thread -------------------------------------------------------------------------------------------

    @property
    def awaited(self) -> int:
        """Messages whose callback may still come, or has come and was not taken by `receipts` yet."""
        return len(self._awaited) + len(self._told)

    def stood_still(self, since: float, now: float) -> None:
        """The process did nothing from `since` until `now`."""
        self._stood.add(since, now)

    def receipts(self) -> Receipts | None:
        """What was told since the last call."""
        rows = [self._told.popleft() for _ in range(len(self._told))]
        if not rows:
            return None
        producers, seqs, outcomes, asked, came = zip(*rows, strict=True)
        took = np.where(self._stood.hide(came), -1.0, np.array(came) - np.array(asked))
        return Receipts(
            np.array(producers, np.uint64),
            np.array(seqs, np.uint64),
            np.array(outcomes, np.uint8),
            took.astype(np.float32),
        )

    @property
    def figures(self) -> Mapping[str, int]:
        """By the names that statistics have."""
        return {
            "receipts_missing": self.missing,
            "receipts_unmatched": self.unmatched,
            "receipts_awaited": self.awaited,
        }
