"""Many small senders played by one process, as cheaply as Python can, so that the broker is what is measured.

One ROUTER connects as often as there are senders, and to the broker each connection is a peer of its own. A sender
joins, gives credit for its slots, and acknowledges each message in a frame of its own `hold` seconds after it came.
Grants are counted, not decoded: texts have `TEXT_BYTES`, so the size of a batch says how many messages it has.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Sequence

import numpy as np
import zmq

from zsms.wire.codec import decode, encode
from zsms.wire.endpoint import Endpoint
from zsms.wire.frames import VERSION, Ack, JoinSender, Ping, Welcome

TEXT_BYTES = 100
_MESSAGE_BYTES = 8 + 2 + TEXT_BYTES
"""Bytes of a message in an encoded batch, recipient and length included; what surrounds them is less than that."""

# An acknowledgement of message `base` alone, written out: array16, two small integers, four uint64, a bin32 and four
# empty bin8.
_ACK = struct.Struct(">BHBB BQ BQ BQ BQ BII HHHH")
_NOTHING = np.zeros(0, dtype=np.uint32)
_PLAIN = np.zeros(0, dtype=np.uint8)
_READ_AT_ONCE = 256
# Plain integers: to pyzmq an enumeration costs as much as a frame.
_NOBLOCK, _SNDMORE, _RCVMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE), int(zmq.RCVMORE)


class Peers:
    """Senders of these slots in this process. `messages`, `grants` count what came so far."""

    def __init__(self, broker: str, slots: Sequence[int], hold: float = 0.0) -> None:
        self.messages = 0
        self.grants = 0
        self._slots = list(slots)
        self._hold = hold
        self._held: deque[tuple[float, int]] = deque()
        self._settled = [0] * len(slots)
        self._frames = [0] * len(slots)
        self._next_ping = 0.0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.sndhwm = self._socket.rcvhwm = 20_000
        self._socket.router_mandatory = True
        endpoint = Endpoint.parse(broker, 0)
        self._ids = [b"peer%d" % index for index in range(len(slots))]
        self._index = {name: index for index, name in enumerate(self._ids)}
        for name in self._ids:
            self._socket.setsockopt(zmq.CONNECT_ROUTING_ID, name)
            self._socket.connect(endpoint.second)

    def join(self, timeout: float = 10.0) -> None:
        """Introduce everyone, and wait until everyone is welcome. Raises TimeoutError."""
        for index, slots in enumerate(self._slots):
            self._say(index, encode(JoinSender(index + 1, 1, f"peer-{index}", slots, 0, 0.0, time.monotonic())))
        missing = set(self._ids)
        until = time.monotonic() + timeout
        while missing:
            if not self._socket.poll(max(0, int((until - time.monotonic()) * 1000))):
                raise TimeoutError(f"{len(missing)} of {len(self._slots)} peers had no welcome in {timeout:.0f} s")
            name, *parts = self._socket.recv_multipart()
            if isinstance(decode(parts[0]), Welcome):
                missing.discard(name)

    def give_credit(self) -> None:
        """Ask for as many messages as there are slots."""
        for index, slots in enumerate(self._slots):
            self._say(index, encode(Ack(index + 1, self._frames[index], slots, 0, _NOTHING, _NOTHING, _PLAIN)))
            self._frames[index] += 1

    def work(self, until: float) -> None:
        """Take and acknowledge, and ping, until the clock (monotonic) says `until`."""
        recv, poll, more = self._socket.recv, self._socket.poll, self._socket.getsockopt
        while (now := time.monotonic()) < until:
            if now >= self._next_ping:
                self._next_ping = now + 1.0
                for index in range(len(self._slots)):
                    self._say(index, encode(Ping(index + 1, now)))
            wake = min(until, self._next_ping, self._held[0][0] if self._held else until)
            poll(max(0, int((wake - now) * 1000)))
            now = time.monotonic()
            self._let_go(now)
            for _ in range(_READ_AT_ONCE):
                try:
                    peer = recv(_NOBLOCK)
                except zmq.Again:
                    break
                recv()
                if more(_RCVMORE):  # only a grant has two frames, and the second is the batch
                    self._granted(self._index[peer], len(recv()) // _MESSAGE_BYTES, now)

    def _granted(self, index: int, messages: int, now: float) -> None:
        self.grants += 1
        self.messages += messages
        for _ in range(messages):
            if self._hold:
                self._held.append((now + self._hold, index))
            else:
                self._acknowledge(index)

    def _let_go(self, now: float) -> None:
        held = self._held
        while held and held[0][0] <= now:
            self._acknowledge(held.popleft()[1])

    def _acknowledge(self, index: int) -> None:
        """Settle the sender's next message."""
        number = self._settled[index]
        self._settled[index] = number + 1
        frame = self._frames[index]
        self._frames[index] = frame + 1
        limit = number + 1 + self._slots[index]
        self._say(index, one_sent(index + 1, frame, limit, number))

    def _say(self, index: int, frame: bytes) -> None:
        self._socket.send(self._ids[index], _SNDMORE)
        self._socket.send(frame)

    def close(self) -> None:
        """Leave without a word."""
        self._context.destroy(linger=0)


def one_sent(session: int, frame: int, limit: int, number: int) -> bytes:
    """The acknowledgement of one message."""
    return _ACK.pack(
        *(0xDC, 11, VERSION, 6, 0xCF, session, 0xCF, frame, 0xCF, limit, 0xCF, number),
        *(0xC6, 4, 0, 0xC400, 0xC400, 0xC400, 0xC400),
    )
