"""A small SMSC for tests of the ESME: a thread, real sockets, and a function that says how each message is answered."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zsms.core.smpp.events import BindAsked, Ended, Event, Received, Side
from zsms.core.smpp.pdu import Command, Messages
from zsms.core.smpp.session import Session
from zsms.core.smpp.strings import Strings, digits

Answer = Callable[["Peer", Messages], None]


def accept(peer: Peer, messages: Messages) -> None:
    """Every message gets a number."""
    count = len(messages)
    ids = np.arange(peer.smsc.next_id, peer.smsc.next_id + count, dtype=np.uint64)
    peer.smsc.next_id += count
    peer.session.answer(Command.SUBMIT_SM, messages.sequence, 0, digits(ids))


class Peer:
    """One connection."""

    def __init__(self, smsc: MiniSmsc, sock: socket.socket) -> None:
        self.smsc = smsc
        self.sock = sock
        self.session = Session(Side.SMSC, window=100_000)
        self.pending = b""
        self.over = False

    def events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, BindAsked):
                self.smsc.binds.append(event.request)
                status = self.smsc.bind_status
                self.session.answer_bind(event.request, status, b"MINI")
                self.over = bool(status)
            elif isinstance(event, Received):
                self.smsc.took(event.messages)
                self.smsc.answer(self, event.messages)
            elif isinstance(event, Ended):
                self.over = True
            else:
                self.smsc.others.append(event)

    def receipt(self, text: bytes, **fields: Any) -> None:
        messages = Messages(np.zeros(1, np.uint32), short_message=Strings.of([text]), esm_class=4)
        for name, value in fields.items():
            setattr(messages, name, value)
        self.session.send(messages, np.zeros(1, np.uint64), time.monotonic())


class MiniSmsc:
    """`with MiniSmsc(answer) as smsc`; `smsc.url` is its address."""

    def __init__(self, answer: Answer = accept, bind_status: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.bind_status = bind_status
        self.next_id = 1
        self.binds: list[Any] = []
        self.others: list[Event] = []
        self.texts: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.peers: list[Peer] = []
        self.drop_all = False
        self._tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"smpp{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._over = threading.Event()
        self._calls: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def took(self, messages: Messages) -> None:
        now = time.monotonic()
        self.times += [now] * len(messages)
        columns = {
            name: getattr(messages, name).tolist() for name in Messages.__slots__ if name not in ("tlvs", "problem")
        }
        content = messages.content
        assert isinstance(content, Strings)
        columns["content"] = content.tolist()
        self.messages += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        self.texts += columns["content"]

    def call(self, what: Callable[[], None]) -> None:
        """In the SMSC's own thread, soon."""
        self._calls.append(what)

    def __enter__(self) -> MiniSmsc:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.listener.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ, None)
            while not self._over.is_set():
                while self._calls:
                    self._calls.pop(0)()
                for peer in list(self.peers):
                    self._flush(selector, peer)
                for key, _ in selector.select(0.002):
                    if key.data is None:
                        self._accept(selector)
                    else:
                        self._read(selector, key.data)
                if self.drop_all:
                    self.drop_all = False
                    for peer in list(self.peers):
                        self._close(selector, peer)
            for peer in list(self.peers):
                self._close(selector, peer)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        sock, _ = self.listener.accept()
        if self._tls is not None:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        sock.setblocking(False)
        peer = Peer(self, sock)
        peer.session.connected(time.monotonic())
        self.peers.append(peer)
        selector.register(sock, selectors.EVENT_READ, peer)

    def _read(self, selector: selectors.BaseSelector, peer: Peer) -> None:
        try:
            data = peer.sock.recv(1 << 18)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
        if not data:
            self._close(selector, peer)
            return
        peer.events(peer.session.receive(data, time.monotonic()))
        self._flush(selector, peer)

    def _flush(self, selector: selectors.BaseSelector, peer: Peer) -> None:
        peer.pending += b"".join(bytes(part) for part in peer.session.take_output())
        while peer.pending:
            try:
                count = peer.sock.send(peer.pending)
            except (BlockingIOError, ssl.SSLWantWriteError):
                return
            except OSError:
                self._close(selector, peer)
                return
            peer.pending = peer.pending[count:]
        if peer.over:
            self._close(selector, peer)

    def _close(self, selector: selectors.BaseSelector, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)
            selector.unregister(peer.sock)
            peer.sock.close()
