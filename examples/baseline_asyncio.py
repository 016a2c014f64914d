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
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(slots=True)
class Tally:
    """How many messages are done, the run's wall and processor time, and its steady window.

    The steady window leaves out the start, when all N senders begin at once, and the end, when
    they run dry. Where it opens matters, because senders that begin together end together: by
    the renewal theorem one sender has done m(t) ~ t/mu + (c^2 - 1)/2 sends by time t, with mu the
    mean of a send and c its sd/mean (D. R. Cox, Renewal Theory, 1962). That is a line with slope
    1/mu, the rate that we want, and an offset: -1/2 for constant sends (c = 0), 0 for exponential
    ones (c = 1). A window that begins at time 0 counts the offset as lost throughput.

    But when N/2 messages are done, N m(t) = N/2, the run is on its line in either case: at t = mu
    for c = 0, the middle of the first burst, and at t = mu/2 for c = 1. So it is a whole number
    of rounds (N messages each) later. The window therefore opens at N/2 done, and closes after
    the last whole round that is over while the queue still has messages: they last until at
    least ``messages - N`` are done. Closing it when the queue runs empty would be the end of a
    burst, not the middle of one: with constant sends, 10 a sender, that reads 6 % too high.
    """

    opens: int
    closes: int
    done: int = 0
    opened: float = 0.0
    closed: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @classmethod
    def of(cls, messages: int, concurrency: int) -> Tally:
        """A tally whose window is empty (``closes == opens``) below 2.5 messages a sender."""
        half = max(1, concurrency // 2)
        rounds = max(0, (messages - concurrency - half) // concurrency)
        return cls(opens=half, closes=half + rounds * concurrency)

    def add(self) -> None:
        """Count one message as sent, now."""
        self.done += 1
        if self.done == self.opens:
            self.opened = time.perf_counter()
        elif self.done == self.closes:
            self.closed = time.perf_counter()

    def steady_rate(self) -> float | None:
        """Messages a second inside the window; None if the run was too short to have one."""
        if self.closes == self.opens:
            return None
        return (self.closes - self.opens) / (self.closed - self.opened)


def random_message(rng: random.Random) -> Message:
    """A message to a number that nobody has: the area codes +1 37x and +1 96x are set aside."""
    text = rng.randbytes(rng.randint(MIN_LENGTH, MAX_LENGTH)).translate(BYTE_TO_CHARACTER)
    return Message(f"+1{rng.choice((37, 96))}{rng.randrange(10**8):08d}", text.decode())


async def produce(queue: asyncio.Queue[Message | None], messages: int, rng: random.Random) -> None:
    """Put ``messages`` random messages, waiting whenever the queue is full."""
    for _ in range(messages):
        await queue.put(random_message(rng))


async def send(queue: asyncio.Queue[Message | None], mean: float, sd: float, rng: random.Random, tally: Tally) -> None:
    """One sender: send the queue's messages, one at a time, until it hands out None."""
    while await queue.get() is not None:
        await asyncio.sleep(max(0.0, rng.gauss(mean, sd)))
        tally.add()
        queue.task_done()


async def run(messages: int, concurrency: int, mean: float, sd: float, seed: int) -> Tally:
    """Send ``messages`` with ``concurrency`` tasks and return what was counted."""
    rng = random.Random(seed)
    tally = Tally.of(messages, concurrency)
    queue: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=concurrency)
    async with asyncio.TaskGroup() as senders:
        for _ in range(concurrency):
            senders.create_task(send(queue, mean, sd, rng, tally))
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
    rate, steady = tally.done / tally.wall_s, tally.steady_rate()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "design": "asyncio",
        "concurrency": concurrency,
        "messages": tally.done,
        "wall_s": tally.wall_s,
        "throughput_per_s": rate,
        "efficiency": rate * mean / concurrency,
        "steady": {
            "throughput_per_s": steady,
            "efficiency": None if steady is None else steady * mean / concurrency,
        },
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
