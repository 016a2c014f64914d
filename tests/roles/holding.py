"""A user's send function that a test can look into and hold up."""

from __future__ import annotations

import asyncio
import threading

from zsms import Message


class Gate:
    """``send`` keeps each message until it is let go; every method may be called from any thread."""

    def __init__(self, *, open: bool = False) -> None:  # noqa: A002
        self.seen: list[Message] = []
        """In the order in which they came."""
        self.passed: list[Message] = []
        """Those that have left."""
        self.most = 0
        """Most that were ever held at once."""
        self._lock = threading.Lock()
        self._holds = 0
        self._allowed = 2**62 if open else 0

    @property
    def holds(self) -> int:
        """Messages inside now."""
        return self._holds

    def let_go(self, count: int = 2**62) -> None:
        """Let that many (more) pass."""
        with self._lock:
            self._allowed += count

    async def send(self, message: Message) -> bool:
        with self._lock:
            self.seen.append(message)
            self._holds += 1
            self.most = max(self.most, self._holds)
        try:
            while True:
                with self._lock:
                    if self._allowed:
                        self._allowed -= 1
                        self.passed.append(message)
                        return True
                await asyncio.sleep(0.002)
        finally:
            with self._lock:
                self._holds -= 1
