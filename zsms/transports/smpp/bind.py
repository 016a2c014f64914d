"""One connection to an SMSC: it is made, bound, kept, and made again when it is lost.

idle --its time--> dialling --> binding --accepted--> bound
  ^                   |            |                    |
  +---- back-off -----+------------+--- lost, refused --+
"""

from __future__ import annotations

import logging
import selectors
import ssl
from collections.abc import Callable

import numpy as np

from zsms.core.smpp.events import Bound, Ended, Event, Side, Timers
from zsms.core.smpp.flow import Flow
from zsms.core.smpp.session import Session
from zsms.core.smpp.statuses import FINAL_BINDS, name_of
from zsms.core.smpp.strings import U8
from zsms.core.smpp.window import U64, Window, Windows
from zsms.transports.smpp.dial import Dial, NotConnected, Phase
from zsms.transports.smpp.settings import SmppSettings

_log = logging.getLogger("zsms.sender")

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
"""A connection is tried again after a time drawn from 0 to twice the one before, from the first to the last."""
WARN_AGAIN_S = 60.0
"""A gateway that can't be reached is warned of at once, and each time when so much has gone by."""
STOOD_S = 10.0
"""A connection that was bound for so long begins with the first of these times again."""
_READS = 8
_FEW_PARTS = 4
MOST_OUTPUT = 1 << 20
"""Octets that the other side has not taken, above which nothing more is submitted."""
_CLOSED = "the gateway has closed the connection"
_LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Bind:
    """One of a gateway's connections."""

    def __init__(
        self,
        settings: SmppSettings,
        place: tuple[int, Windows],
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        rng: np.random.Generator,
    ) -> None:
        """`place` is its number, and where the requests of all connections stand."""
        self.settings = settings
        self.number, self._windows = place
        self.command = settings.commands[self.number]
        self.flow = Flow(settings.bind_rate)
        self.session = self._new_session()
        self.connections = 0
        """Connections that were bound."""
        self.refused: int | None = None
        """The status of the last bind, if it was refused."""
        self.trouble = ""
        """Why the last connection failed or ended."""
        self.lost: list[tuple[U64, str]] = []
        """What had no answer when a connection ended, and why it did; the owner takes it."""
        self.more = False
        """There is more to be read than was."""
        self.leaving = False
        self.look_at = 0.0
        """When `poll` is worth calling, at the earliest."""
        self._dial = Dial(settings, selector, self, wake)
        self._binding = self._bound = False
        self._why = _CLOSED
        self.gathers = False
        """Whether what comes may be read together with what comes on others."""
        self._rng = rng
        self._bound_at = 0.0
        self.tries = 0
        self._warned_at = 0.0
        self.next_try = 0.0
        self._out: list[memoryview] = []
        self._out_octets = 0

    def _new_session(self) -> Session:
        timers = Timers(response=self.settings.response_s, enquire_link=self.settings.enquire_link_s)
        window = Window(self._windows, self.number)
        window.start_at(0)
        return Session(Side.ESME, self.settings.window, timers, requests=window)

    # -- what the owner asks -----------------------------------------------------------------------------------------

    @property
    def bound(self) -> bool:
        """Whether messages can go out, or receipts come in."""
        return self._bound

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return Phase.BOUND if self._bound else Phase.BINDING if self._binding else self._dial.phase

    @property
    def able(self) -> bool:
        """Whether messages may be submitted, as far as the windows have room."""
        return self._bound and self.session.able and self._out_octets <= MOST_OUTPUT

    def _next_look(self, now: float) -> float:
        if self.phase is Phase.IDLE:
            return self.next_try
        if self._bound:
            # What is sent from now on is due after this.
            at = self.session.next_time()
            later = now + self.settings.response_s
            return later if at is None else min(at, later)
        at = self.session.next_time() if self._binding else None
        return self._dial.deadline if at is None else min(at, self._dial.deadline)

    def poll(self, now: float) -> list[Event]:
        """Time passes."""
        events: list[Event] = []
        if self._binding or self._bound:
            events = self.acted_on(self.session.poll(now), now)
        else:
            try:
                if self._dial.phase is not Phase.IDLE:
                    self._dial.poll(now)
                elif now >= self.next_try and not self.leaving:
                    self._dial.begin(now)
            except NotConnected as error:
                self._lose(str(error), now)
        self.look_at = self._next_look(now)
        return events

    def _send_bind(self, now: float) -> None:
        settings = self.settings
        self._binding = True
        self.session = self._new_session()
        self.session.connected(now)
        self.session.bind(
            self.command,
            now,
            system_id=settings.system_id.encode(),
            password=settings.password.encode(),
            system_type=settings.system_type.encode(),
        )
        self._dial.deadline = now + settings.response_s
        self._dial.want(selectors.EVENT_READ)
        self.flush(now)
        self.look_at = self._next_look(now)

    # -- octets ------------------------------------------------------------------------------------------------------

    def ready(self, mask: int, scratch: memoryview, now: float) -> list[Event]:
        """The socket can be read or written; `scratch` is where octets may stand meanwhile."""
        if not (self._binding or self._bound):
            try:
                self._dial.ready(now)
            except NotConnected as error:
                self._lose(str(error), now)
            if self._dial.connected:
                self._send_bind(now)
            return []
        events: list[Event] = []
        if mask & selectors.EVENT_READ:
            events = self.read(scratch, now)
        if self._out:
            self.flush(now)
        return events

    def read(self, scratch: memoryview, now: float) -> list[Event]:
        """What the other side has said."""
        events: list[Event] = []
        self.more = False
        for _ in range(_READS):
            count = 0 if self._dial.sock is None else self.read_into(scratch)
            if count is None:
                self.over(now)
            if not count:
                return events
            events += self.acted_on(self.session.receive(scratch[:count], now), now)
            if count < len(scratch) and not self.settings.tls:
                return events
        self.more = True
        return events

    def read_into(self, view: memoryview) -> int | None:
        """The same, as octets into `view`: how many; None when the connection is `over`."""
        assert self._dial.sock is not None
        try:
            return self._dial.sock.recv_into(view) or None
        except _LATER:
            return 0
        except OSError as error:
            self._why = error.strerror or str(error)
            return None

    def over(self, now: float) -> None:
        """Nothing can be read any more."""
        why, self._why = self._why, _CLOSED
        self._lose(why, now)

    def acted_on(self, events: list[Event], now: float) -> list[Event]:
        """Events that are not the connection's own."""
        for event in events:
            if isinstance(event, Bound):
                self._binding, self._bound, self.refused, self._bound_at = False, True, None, now
                self.connections += 1
                self.gathers = not self.settings.tls
                self.look_at = self._next_look(now)
            elif isinstance(event, Ended):
                if event.status is not None:
                    self.refused = event.status
                self.flush(now)
                why = event.reason if event.status is None else f"{event.reason}: {name_of(event.status)}"
                self._lose(why, now)
        return [event for event in events if not isinstance(event, Bound | Ended)]

    def write(self, octets: U8, now: float) -> bool:
        """Write these PDUs, behind what waits. False when not all is written."""
        if self._out or self.session.output_octets or self._dial.sock is None:
            self.session.write(octets)
            self.flush(now)
            return False
        try:
            count = self._dial.sock.send(octets)  # type: ignore[arg-type]  # an array is a buffer
        except _LATER:
            count = 0
        except OSError as error:
            self._lose(error.strerror or str(error), now)
            return False
        if count < len(octets):
            self._out.append(octets.data[count:])
            self._out_octets += len(octets) - count
            self._dial.want(selectors.EVENT_READ | selectors.EVENT_WRITE)
            return False
        return True

    def flush(self, now: float) -> None:
        """Write what waits."""
        if self.session.output_octets:
            parts = self.session.take_output()
            views = [part.data if isinstance(part, np.ndarray) else memoryview(part) for part in parts]
            self._out += views if len(views) < _FEW_PARTS else [memoryview(b"".join(views))]
            self._out_octets += sum(map(len, views))
        while self._out and self._dial.sock is not None:
            try:
                count = self._dial.sock.send(self._out[0])
            except _LATER:
                break
            except OSError as error:
                self._lose(error.strerror or str(error), now)
                return
            self._out_octets -= count
            if count == len(self._out[0]):
                self._out.pop(0)
            else:
                self._out[0] = self._out[0][count:]
        if self._binding or self._bound:
            self._dial.want(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0))

    # -- the end of it -----------------------------------------------------------------------------------------------

    @property
    def refused_for_good(self) -> bool:
        """Whether the account is wrong: another try would be refused as well."""
        return self.refused in FINAL_BINDS

    def _lose(self, why: str, now: float) -> None:
        """The connection has ended, or none came about."""
        was_bound = self._bound
        self._close()
        self.trouble = why
        handles = self.session.lost()
        if len(handles):
            self.lost.append((handles, why))
        if was_bound and now - self._bound_at >= STOOD_S:
            self.tries = 0
        longest = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self.tries, 10))
        self.next_try = self.look_at = now + (0.5 + 0.5 * float(self._rng.random())) * longest
        level = logging.INFO
        if self.tries == 0 or now - self._warned_at >= WARN_AGAIN_S:
            level, self._warned_at = logging.WARNING, now
        self.tries += 1
        if not self.leaving:
            why += f"; tried {self.tries} times" if self.tries > 1 else ""
            _log.log(level, "%s: %s; trying again in %.1f s", self.settings.address, why, self.next_try - now)

    def _close(self) -> None:
        self._dial.close()
        self._binding = self._bound = self.gathers = self.more = False
        self._out, self._out_octets = [], 0

    def leave(self, now: float) -> None:
        """Say goodbye; the connection ends when that is answered."""
        self.leaving = True
        if self._bound:
            self.session.unbind(now)
            self.flush(now)

    def close(self) -> None:
        """Leave without another word."""
        self._close()
        self.next_try = self.look_at = float("inf")
