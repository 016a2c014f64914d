"""An event loop in virtual time: it runs what is ready, and its time is what its owner says."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import count
from typing import Any

_log = logging.getLogger("zsms.testing")
_NO = "is for a real mesh: a stub mesh has no network, no threads and no processes"


class VirtualLoop(asyncio.AbstractEventLoop):
    """Of one stub mesh. Whatever needs a socket, a thread or a process raises RuntimeError."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.time = clock  # type: ignore[method-assign]
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self._running = False

    # -- for its owner --------------------------------------------------------------------------------------------

    def run_ready(self) -> None:
        """Run everything that is due, and what that makes ready, to the last."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        self._running = True
        try:
            while self._collect():
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            self._running = False
            asyncio._set_running_loop(before)

    def next_time(self) -> float | None:
        """When there is something to do again; None when nothing waits for a time."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _collect(self) -> bool:
        """Timers that are due are ready; whether anything is."""
        while (at := self.next_time()) is not None and at <= self.time():
            self._ready.append(heapq.heappop(self._timers)[2])
        return bool(self._ready)

    # -- for coroutines -------------------------------------------------------------------------------------------

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """In this turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """So many seconds of the mesh later."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """At that time of the mesh."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """As of any loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        """As of any loop."""
        return asyncio.Task(coro, loop=self, **options)

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Whether it is in the middle of its turn."""
        return self._running

    def is_closed(self) -> bool:
        """Never."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Its place in line is given up when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task of the function's own has failed and nobody waited for it: it is told, as any loop does."""
        if error := context.get("exception"):
            _log.error("%s", context.get("message", "a task has failed"), exc_info=error)


def _refuse(name: str) -> Callable[..., Any]:
    def refused(self: VirtualLoop, *args: Any, **options: Any) -> Any:
        raise RuntimeError(f"{name} {_NO}")

    return refused


for _name in ("run_in_executor", "getaddrinfo", "create_connection", "create_server", "create_datagram_endpoint",
              "create_unix_connection", "add_reader", "add_writer", "sock_connect", "sock_recv", "sock_sendall",
              "subprocess_exec", "subprocess_shell", "connect_read_pipe", "add_signal_handler"):  # fmt: skip
    setattr(VirtualLoop, _name, _refuse(_name))
