"""How fast SMPP goes, two processes on loopback: zsms's ESME beside other clients, all against `zsms smsc`, in turns.

    python benchmarks/smpp.py clients                   submit_sm/s acknowledged, window 10, 100, 1,000, one bind each
    python benchmarks/smpp.py receipts binds caps       receipts beside submits; many small windows; caps to the segment
    python benchmarks/smpp.py latency mesh              added latency at 100/s; through producer, broker and sender

The others (smpp34, smpplib, aiosmpplib) come with the `test` extra; one that is missing is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from zsms.core.sender import Waiting
from zsms.message import Batch
from zsms.transports.smpp import SmppSettings, SmppTransport

TEXT = "A text of forty characters, as alerts ar"
OTHERS = ("smpp34", "smpplib", "aiosmpplib")


@contextmanager
def smsc(receipts: bool = False) -> Iterator[int]:
    """A fake SMSC in a process of its own; its port."""
    state = [] if receipts else ["--state", "none=1"]
    words = [sys.executable, "-m", "zsms", "smsc", "--bind", "127.0.0.1:0", *state]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield int(process.stderr.readline().rpartition(":")[2])
    finally:
        process.kill()
        process.wait()


# -- clients: each prints how many submit_sm were acknowledged, and in how long ----------------------------------------


def _waiting(handle: int, count: int, random: bool) -> Waiting:
    rng = np.random.default_rng(handle)
    lengths = rng.integers(1, 101, count).astype(np.uint16) if random else np.full(count, len(TEXT), np.uint16)
    total = int(lengths.sum())
    text = rng.integers(97, 123, total).astype(np.uint8) if random else np.frombuffer((TEXT * count).encode(), np.uint8)
    batch = Batch(
        producer=1,
        epoch=1,
        number=0,
        first=handle,
        due=time.monotonic(),
        step=0.0,
        recipients=rng.integers(447_700_900_000, 447_700_901_000, count).astype(np.uint64),
        lengths=lengths,
        text=text,
    )
    return Waiting(handle, batch, 0.0, 0.0, 1, 1)


class Driver:
    """Gives the transport messages as the sender role does, without a broker."""

    def __init__(self, port: int, random: bool = False, rate: float | None = None, **options: Any) -> None:
        self.transport = SmppTransport(SmppSettings.from_url(f"smpp://127.0.0.1:{port}", **options), seed=1)
        self.transport.open(lambda: None)
        self.sent = self.receipts = self.given = 0
        self._waiting, self._at = _waiting(0, 20_000, random), 0
        self._random = random
        self._poll = selectors.DefaultSelector()
        self._poll.register(self.transport.fileno(), selectors.EVENT_READ)
        while not all(bind.bound for bind in self.transport.binds):
            self.turn(0)

    def turn(self, most: int = 1 << 30) -> None:
        transport = self.transport
        now = time.monotonic()
        at = transport.next_time()
        self._poll.select(0.01 if at is None else min(0.01, max(0.0, at - now)))
        now = time.monotonic()
        done = transport.finished(now)
        if done is not None:
            assert not len(done.failed), done.names
            self.sent += len(done.sent)
        told = transport.receipts()
        if told is not None:
            self.receipts += len(told.seqs)
        free = min(transport.free, most)
        while free > 0:
            if self._at == len(self._waiting.batch):
                self._waiting, self._at = _waiting(self.given, 20_000, self._random), 0
            part = self._waiting.part(self._at, min(self._at + free, len(self._waiting.batch)))
            count = len(part.batch)
            self._at += count
            self.given += count
            free -= count
            transport.start(part, now)


def run_zsms(port: int, window: int, seconds: float) -> tuple[int, float]:
    driver = Driver(port, window=window, registered_delivery=0)
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        driver.turn()
    return driver.sent, time.monotonic() - begin


def run_smpplib(port: int, window: int, seconds: float) -> tuple[int, float]:
    import logging

    import smpplib.client

    logging.disable(logging.CRITICAL)
    client = smpplib.client.Client("127.0.0.1", port, allow_unknown_opt_params=True)
    client.connect()
    client.bind_transceiver(system_id="bench", password="secret")
    acknowledged = [0]
    client.set_message_sent_handler(lambda pdu: acknowledged.__setitem__(0, acknowledged[0] + 1))
    begin, open_ = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        while open_ < window:
            client.send_message(
                source_addr_ton=5, source_addr="ALERTS", dest_addr_ton=1, dest_addr_npi=1,
                destination_addr="447700900123", short_message=TEXT.encode(),
            )  # fmt: skip
            open_ += 1
        before = acknowledged[0]
        client.read_once()
        open_ -= acknowledged[0] - before
    return acknowledged[0], time.monotonic() - begin


async def _smpp34(port: int, window: int, seconds: float) -> tuple[int, float]:
    import smpp34

    client = smpp34.Client("127.0.0.1", port, "bench", "secret", window_size=window)
    smsc = await client.connect()
    count, begin = 0, time.monotonic()

    async def one_after_another() -> None:
        nonlocal count
        while time.monotonic() < begin + seconds:
            await smsc.submit_sm(source_addr="ALERTS", destination_addr="447700900123", short_message=TEXT.encode())
            count += 1

    await asyncio.gather(*(one_after_another() for _ in range(window)))
    return count, time.monotonic() - begin


def run_smpp34(port: int, window: int, seconds: float) -> tuple[int, float]:
    return asyncio.run(_smpp34(port, window, seconds))


async def _aiosmpplib(port: int, window: int, seconds: float) -> tuple[int, float]:
    import aiosmpplib as lib

    class Hook(lib.AbstractHook):
        count = 0

        async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
            pass

        async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
            if isinstance(smpp_message, lib.SubmitSmResp):
                self.count += 1

        async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
            pass

    hook = Hook()
    esme = lib.ESME(
        smsc_host="127.0.0.1", smsc_port=port, system_id="bench", password="secret", hook=hook, log_level=50
    )
    source, destination = lib.PhoneNumber("ALERTS"), lib.PhoneNumber("447700900123")
    begin = time.monotonic()
    task = asyncio.create_task(esme.start())

    async def enqueue() -> None:
        for number in range(1 << 30):
            message = lib.SubmitSm(short_message=TEXT, source=source, destination=destination, log_id=str(number))
            await esme.broker.enqueue(message)
            while number - hook.count >= window:
                await asyncio.sleep(0)

    with suppress(TimeoutError):
        await asyncio.wait_for(enqueue(), seconds)
    print(json.dumps((hook.count, time.monotonic() - begin)), flush=True)
    del task
    os._exit(0)  # it would wait for its queue


def run_aiosmpplib(port: int, window: int, seconds: float) -> tuple[int, float]:
    return asyncio.run(_aiosmpplib(port, window, seconds))


def client(name: str, port: int, window: int, seconds: float) -> float:
    """A client's rate, from a process of its own."""
    words = [sys.executable, __file__, "client", name, str(port), str(window), str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    count, took = json.loads(done.stdout.splitlines()[-1])
    return float(count / took)


# -- what is measured --------------------------------------------------------------------------------------------------


def clients(seconds: float, rounds: int) -> None:
    names = ["zsms", *(name for name in OTHERS if importlib.util.find_spec(name))]
    for window in (10, 100, 1_000):
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                with smsc() as port:
                    rates[name].append(client(name, port, window, seconds))
        middle = {name: median(each) for name, each in rates.items()}
        best = max(rate for name, rate in middle.items() if name != "zsms")
        shown = ", ".join(f"{name} {rate:,.0f}" for name, rate in middle.items())
        print(f"submit_sm/s, window {window:,}: {shown}; {middle['zsms'] / best:.1f} times the next", flush=True)


def receipts(seconds: float, rounds: int) -> None:
    found = []
    for _ in range(rounds):
        with smsc(receipts=True) as port:
            driver = Driver(port, window=1_000)
            begin = time.monotonic()
            while time.monotonic() < begin + seconds:
                driver.turn()
            took = time.monotonic() - begin
            found.append((driver.receipts / took, driver.sent / took, len(driver.transport.outstanding)))
    rate, sent, left = sorted(found)[len(found) // 2]
    print(f"receipts/s beside submits: {rate:,.0f} beside {sent:,.0f}; {left:,} outstanding at the end", flush=True)


def binds(seconds: float, rounds: int) -> None:
    for count, window in ((4, 500), (200, 10)):
        rates = []
        for _ in range(rounds):
            with smsc() as port:
                driver = Driver(port, binds=count, window=window, registered_delivery=0)
                begin = time.monotonic()
                before = driver.sent
                while time.monotonic() < begin + seconds:
                    driver.turn()
                rates.append((driver.sent - before) / (time.monotonic() - begin))
        print(f"{count} binds of window {window}: {median(rates):,.0f} submit_sm/s", flush=True)


def caps(seconds: float, rounds: int) -> None:
    """Segments of each bind in each second after the first."""
    with smsc() as port:
        driver = Driver(port, binds=50, window=50, bind_rate=100, registered_delivery=0)
        counts: dict[int, list[float]] = {id(bind): [] for bind in driver.transport.binds}
        for bind in driver.transport.binds:
            cap, times, take = bind.flow.cap, counts[id(bind)], bind.flow.cap.take

            def taken(segments: int, now: float, times: list[float] = times, take: Any = take) -> None:
                times.extend([now] * segments)
                take(segments, now)

            cap.take = taken  # type: ignore[method-assign]
        begin = time.monotonic()
        while time.monotonic() < begin + max(seconds, 4):
            driver.turn()
        worst = Counter[int]()
        for times in counts.values():
            each = np.array(times) - begin
            for second in range(1, int(max(seconds, 4)) - 1):
                worst[int(((each >= second) & (each < second + 1)).sum())] += 1
    print(f"segments a second of 50 binds capped at 100: {dict(sorted(worst.items()))}", flush=True)


def latency(seconds: float, rounds: int) -> None:
    with smsc() as port:
        driver = Driver(port, window=100, registered_delivery=0)
        due = begin = time.monotonic()
        while time.monotonic() < begin + max(seconds, 5):
            if time.monotonic() >= due:
                driver.turn(1)
                due += 0.01
            else:
                driver._poll.select(max(0.0, due - time.monotonic()))
                driver.turn(0)
    told = driver.transport.times.send
    print(f"from submit_sm to its answer at 100/s: p50 {told.quantile(0.5):.6f} s, p99 {told.quantile(0.99):.6f} s")


def mesh(seconds: float, rounds: int) -> None:
    rates = []
    for _ in range(rounds):
        with smsc() as port, tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            gateway = f"smpp://127.0.0.1:{port}?binds=4&window=100&registered_delivery=0"
            words = ["run", "--gateway", gateway, "--senders", "1", "--messages", str(int(150_000 * seconds))]
            words = [sys.executable, "-m", "zsms", *words, "--json", str(report), "--quiet"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            rates.append(float(json.loads(report.read_text())["throughput_per_s"]))
    print(f"through the whole mesh, 4 binds of window 100: {median(rates):,.0f} messages/s", flush=True)


MEASURED = {each.__name__: each for each in (clients, receipts, binds, caps, latency, mesh)}


def main() -> None:
    if sys.argv[1:2] == ["client"]:
        name, port, window, seconds = sys.argv[2:]
        print(json.dumps(globals()[f"run_{name}"](int(port), int(window), float(seconds))))
        os._exit(0)  # some of them leave threads behind
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(MEASURED)}  [default: all]")
    options = parser.parse_args()
    if unknown := [name for name in options.what if name not in MEASURED]:
        parser.error(f"{unknown[0]}: there are {', '.join(MEASURED)}")
    for name in options.what or MEASURED:
        MEASURED[name](options.seconds, options.rounds)


if __name__ == "__main__":
    main()
