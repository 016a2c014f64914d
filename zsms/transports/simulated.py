"""The simulated transport: a slot sends by sleeping. The default, and the vectorised one."""

from __future__ import annotations

from collections.abc import Callable

from zsms.carriers.segments import segments_of
from zsms.core.outcomes import Finished, Receipts
from zsms.core.sender import Waiting
from zsms.core.sender.slots import SendTimes, Slots
from zsms.errors import UsageError
from zsms.stats.failures import SIMULATED, Failure

QUEUE_FULL = "the route's queue is full"


class SimulatedTransport:
    """:class:`zsms.core.sender.slots.Slots` as a transport."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.route = slots.route
        self.concurrency = slots.concurrency
        self._failed = 0
        self.mean = slots.mean
        self.delay = slots.delay

    def slow(self, factor: float) -> None:
        """Let the sends that begin from now on take so many times as long. Raises UsageError."""
        if not 0 < factor <= 1e6:
            raise UsageError(f"a factor of {factor}: give one above 0, up to a million")
        self._slots.slower = factor

    def fail(self, rate: float) -> None:
        """Let another share of the sends that begin from now on fail. Raises UsageError."""
        self._slots.fail(rate)

    @property
    def times(self) -> SendTimes:
        """What the slots have measured."""
        return self._slots.times

    @property
    def busy(self) -> int:
        """Slots that are sending."""
        return self._slots.busy

    @property
    def failures(self) -> list[Failure]:
        """The sends that were drawn to fail, and those that a route's full queue refused."""
        refused = 0 if self.route is None else self.route.refused
        counts = ((SIMULATED, self._failed - refused), (QUEUE_FULL, refused))
        return [Failure(reason, sends, None) for reason, sends in counts if sends]

    @property
    def blocked_s(self) -> None:
        """Sleeping holds nobody up."""
        return None

    def room(self, waiting: int) -> int | None:
        """Whatever there are slots for."""
        return None

    def open(self, wake: Callable[[], None]) -> None:
        """Nothing to do: time alone finishes a sleep."""

    def began(self, waiting: Waiting, now: float) -> float:
        """When these messages begin: `start` is to be told next."""
        return self._slots.free_since(len(waiting.batch), waiting.arrived, now)

    def ending(self, until: float) -> int:
        """How many slots will be free by then."""
        return self._slots.ending(until)

    def start(self, waiting: Waiting, now: float) -> None:
        """Let these messages sleep."""
        segments = 1 if self.route is None else segments_of(waiting.batch)
        self._slots.start(waiting.handles, waiting.ages(now), now, waiting.last, segments=segments)

    def finished(self, now: float) -> Finished | None:
        """The messages whose sleep is over."""
        finished = self._slots.advance(now)
        if finished is not None:
            self._failed += len(finished.failed)
        return finished

    def receipts(self) -> Receipts | None:
        """What the route tells; without one nobody receives what is not sent."""
        return None if self.route is None else self.route.receipts()

    def worked(self, now: float) -> float:
        """Slot seconds within the asked time of a send, up to now."""
        return self._slots.worked(now)

    def next_time(self) -> float | None:
        """When the next sleep is over."""
        return self._slots.next_time()

    def close(self) -> None:
        """Nothing to do."""
