"""The baseline: sending SMS alerts with one process, an ``asyncio.Queue`` and a task per sender.

::

    produce --put--> asyncio.Queue --get--> send 0        one event loop, one processor
                                   --get--> send 1
                                   ...
                                   --get--> send N-1

This is the design that the original scalability study measured, written as well as asyncio allows,
and what the mesh of zsms is compared with. It needs nothing but Python:

    python examples/baseline_asyncio.py --concurrency 1000 --messages 10000

Rules:

- every message is one object with a random recipient and a random text of 1 to 100 characters;
- a send is ``asyncio.sleep`` for a normally distributed time, cut at 0; no send fails;
- the queue holds one message for each sender, then the producer waits (backpressure);
- the clock runs from the first put to the last send done: neither creating nor ending the tasks
  is charged.

One JSON object goes to stdout; times are in seconds, memory is in bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import platform
import random
import resource
import string
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MIN_LENGTH, MAX_LENGTH = 1, 100
# 64 characters divide the 256 values of a byte evenly, so each is as likely as any other.
# Translated random bytes cost a tenth of random.choices, and the baseline must not lose by those.
ALPHABET = (string.ascii_letters + string.digits + " .").encode()
BYTE_TO_CHARACTER = ALPHABET * (256 // len(ALPHABET))


class Message(NamedTuple):
    """One SMS: a recipient in E.164 form and a text."""

    recipient: str
    text: str


class Tally:
    """How many messages are done, the run's wall and processor time, and its steady window.

    The window leaves out the beginning, until every sender sends (or for a mean send, if that takes longer), and the
    tail, from the last send's beginning on: between the two there is always more to send. The efficiency is the share
    of the senders' time in it that lies within the asked time of a send, as in the mesh (zsms.stats.steady): a send
    that ends late works no longer for it. That is exact for any delay, and needs no whole number of rounds.
    """

    def __init__(self, messages: int, concurrency: int, mean: float) -> None:
        self.messages, self.concurrency, self.mean = messages, concurrency, mean
        self.done = 0
        self.wall_s = self.cpu_s = 0.0
        self._begun = self._busy = 0
        self._worked = 0.0
        self._began = array("d", bytes(8 * concurrency))
        self._asked = array("d", bytes(8 * concurrency))
        self._first = 0.0
        self._open: tuple[float, float] | None = None
        self._close: tuple[float, float] | None = None

    def begin(self, sender: int, asked: float) -> None:
        """`sender` begins a send that is asked to take so long."""
        now = time.perf_counter()
        self._begun += 1
        self._busy += 1
        self._began[sender], self._asked[sender] = now, asked
        if self._begun == 1:
            self._first = now
        if self._open is None:
            if self._busy == self.concurrency or now - self._first >= self.mean:
                self._open = now, self._work(now)
        elif self._begun == self.messages:
            self._close = now, self._work(now)

    def end(self, sender: int) -> None:
        """It is sent."""
        self.done += 1
        self._busy -= 1
        self._worked += self._asked[sender]
        self._asked[sender] = 0.0

    def _work(self, now: float) -> float:
        """Seconds within the asked time of a send, all senders together, until now."""
        return self._worked + sum(
            min(now - began, asked) for began, asked in zip(self._began, self._asked, strict=True)
        )

    def steady(self) -> dict[str, float | None]:
        """Messages a second, efficiency and seconds of the window; None without one of half a mean send or more."""
        if (
            not self.mean
            or self._open is None
            or self._close is None
            or self._close[0] - self._open[0] <= self.mean / 2
        ):
            return dict.fromkeys(("throughput_per_s", "efficiency", "seconds"))
        seconds, worked = (after - before for before, after in zip(self._open, self._close, strict=True))
        efficiency = worked / (self.concurrency * seconds)
        return {
            "throughput_per_s": efficiency * self.concurrency / self.mean,
            "efficiency": efficiency,
            "seconds": seconds,
        }


def random_message(rng: random.Random) -> Message:
    """A message to a number that nobody has: the area codes +1 37x and +1 96x are set aside."""
    text = rng.randbytes(rng.randint(MIN_LENGTH, MAX_LENGTH)).translate(BYTE_TO_CHARACTER)
    return Message(f"+1{rng.choice((37, 96))}{rng.randrange(10**8):08d}", text.decode())


async def produce(queue: asyncio.Queue[Message | None], messages: int, rng: random.Random) -> None:
    """Put ``messages`` random messages, waiting whenever the queue is full."""
    for _ in range(messages):
        await queue.put(random_message(rng))


async def send(
    sender: int, queue: asyncio.Queue[Message | None], mean: float, sd: float, rng: random.Random, tally: Tally
) -> None:
    """One sender: send the queue's messages, one at a time, until it hands out None."""
    while await queue.get() is not None:
        asked = max(0.0, rng.gauss(mean, sd))
        tally.begin(sender, asked)
        await asyncio.sleep(asked)
        tally.end(sender)
        queue.task_done()


async def run(messages: int, concurrency: int, mean: float, sd: float, seed: int) -> Tally:
    """Send ``messages`` with ``concurrency`` tasks and return what was counted."""
    rng = random.Random(seed)
    tally = Tally(messages, concurrency, mean)
    queue: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=concurrency)
    async with asyncio.TaskGroup() as senders:
        for sender in range(concurrency):
            senders.create_task(send(sender, queue, mean, sd, rng, tally))
        await asyncio.sleep(0)  # every sender gets as far as its first get before the clock starts
        wall, cpu = time.perf_counter(), time.process_time()
        await produce(queue, messages, rng)
        await queue.join()
        tally.wall_s, tally.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        # Cancelling the senders would search the queue's list of waiting getters for each of them.
        for _ in range(concurrency):
            await queue.put(None)
    return tally


def report(tally: Tally, concurrency: int, mean: float) -> dict[str, object]:
    """The run in numbers; an efficiency of 1 is ``concurrency / mean`` messages a second."""
    rate = tally.done / tally.wall_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "design": "asyncio",
        "concurrency": concurrency,
        "messages": tally.done,
        "wall_s": tally.wall_s,
        "throughput_per_s": rate,
        "efficiency": rate * mean / concurrency,
        "steady": tally.steady(),
        "rss_max_bytes": peak if sys.platform == "darwin" else peak * 1024,
        "cpu_s": tally.cpu_s,
        "gc": gc.isenabled(),
        "python": platform.python_version(),
    }


def at_least(kind: type[int] | type[float], least: int) -> Callable[[str], float]:
    """An argparse type: a finite number of this kind, not below ``least``."""

    def parse(text: str) -> float:
        value = kind(text)
        if not (math.isfinite(value) and value >= least):
            raise argparse.ArgumentTypeError(f"{text} is not a number from {least} up")
        return value

    parse.__name__ = kind.__name__  # argparse names the type: "invalid int value"
    return parse


def main() -> int:
    """Parse the command line, run and report; 0, or 2 for bad usage, or 130 for an interrupt."""
    parser = argparse.ArgumentParser(description="The asyncio baseline: one process, one task a sender.")
    add, count, seconds = parser.add_argument, at_least(int, 1), at_least(float, 0)
    add("--concurrency", type=count, default=1000, help="senders, a task each [%(default)s]")
    add("--messages", type=count, help="messages to send [10 a sender]")
    add("--mean", type=seconds, default=1.0, help="mean time of a send, seconds [%(default)s]")
    add("--sd", type=seconds, default=0.1, help="its standard deviation [%(default)s]")
    add("--seed", type=int, default=0, help="of the messages and the times [%(default)s]")
    add("--json", nargs="?", const="-", default="-", help="file of the report; - is stdout [-]")
    add("--gc", action="store_true", help="leave Python's cyclic garbage collector on")
    args = parser.parse_args()
    # Nothing here makes a reference cycle, yet at 100,000 tasks the collector takes a third of the
    # processor to look for one. The baseline is given that third.
    if not args.gc:
        gc.disable()
    messages = args.messages or 10 * args.concurrency
    try:
        tally = asyncio.run(run(messages, args.concurrency, args.mean, args.sd, args.seed))
    except KeyboardInterrupt:
        print("interrupted: nothing to report", file=sys.stderr)
        return 130
    text = json.dumps(report(tally, args.concurrency, args.mean), indent=2)
    if args.json == "-":
        print(text)
    else:
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
