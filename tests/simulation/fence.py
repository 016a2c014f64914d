"""Several holders of one log under a virtual clock: requests are late, lost, answered by a server that is behind, or
stored after their sender has given them up; holders freeze and die at any moment.

`World(seed).run()` raises AssertionError when something does not hold:

- what a holder was told is stored is in the log, whole, once and in its order;
- nothing of a holder is stored after another one has opened the log;
- a holder that is sure that nobody else can have the log is right.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any

import msgpack

from zsms.errors import JournalError
from zsms.journal.fence import DATA, HOLD_S, LEASE_S, STATE, Ends, Holder, Record, Unavailable, take_over

_LIFE_S = 120.0
_TIMEOUT_S = 2.0


class _Wait:
    """What a coroutine yields: it goes on when this is told."""

    def __await__(self) -> Any:
        return (yield self)


class Servers:
    """The log as a majority of the servers has it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.first = 1

    def append(self, last: int, record: Record) -> bool:
        if len(self.records) != last:
            return False
        self.records.append(record)
        return True


class Client:
    """A holder's process, and its way to the servers."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.alive = True
        self.frozen_until = 0.0
        self.holder = Holder(self, name, lambda _: None)
        self.opened = False
        self._run(self._live())

    # -- the coroutine ----------------------------------------------------------------------------------------------

    def _run(self, coroutine: Coroutine[Any, Any, None], value: Any = None) -> None:
        """Go on to the next wait."""
        if not self.alive:
            return
        if self.world.now < self.frozen_until:
            self.world.at(self.frozen_until, self._run, coroutine, value)
            return
        self.world.check_sure(self)
        self._current = coroutine
        try:
            wait = (
                coroutine.send(None)
                if value is None
                else coroutine.throw(value)
                if isinstance(value, BaseException)
                else coroutine.send(value)
            )
        except StopIteration:
            self.end()
            return
        except JournalError as error:
            self.end()
            if "lost records" in str(error):
                raise AssertionError(f"{self.name}: {error}") from None
            return
        wait.resume = lambda answer: self._run(coroutine, answer)
        wait.begin()

    async def _live(self) -> None:
        world = self.world
        await self.holder.take(wait=True, make_state=lambda before: {"token": self.name})
        self.opened = True
        while True:
            if world.rng.random() < 0.5:
                await self.sleep(world.rng.random() * HOLD_S)
            if world.rng.random() < 0.02:
                self.opened = False  # it has left, and gives nothing to anybody any more
                await self.holder.declare("close")
                return
            if self.holder.sure(self.now()) and world.rng.random() < 0.2:
                await self.holder.declare("hold")
                continue
            number = world.number()
            parts = [msgpack.packb([number, self.name])] * world.rng.choice((1, 1, 1, 3))
            await self.holder.append(DATA, parts)
            world.confirmed.append((self.name, number))

    def end(self) -> None:
        """It is gone; another one comes."""
        self.alive = False
        self.world.at(self.world.now + self.world.rng.random() * 5, self.world.start)

    # -- the way to the servers -------------------------------------------------------------------------------------

    async def _request(self, do: Callable[[], Any]) -> Any:
        world, wait = self.world, _Wait()

        def begin() -> None:
            answered: list[Any] = []

            def answer(value: Any) -> None:
                if not answered:
                    answered.append(value)
                    wait.resume(value)  # type: ignore[attr-defined]

            world.at(world.now + _TIMEOUT_S, answer, Unavailable("no answer"))
            if world.available():
                there = world.rng.random() ** 4 * world.slow
                back = world.rng.random() ** 4 * world.slow

                def arrive() -> None:
                    found = do()
                    if world.rng.random() > world.loss:
                        world.at(world.now + back, answer, (found,))

                if world.rng.random() > world.loss:
                    world.at(world.now + there, arrive)

        wait.begin = begin  # type: ignore[attr-defined]
        return (await wait)[0]

    async def append(self, last: int, records: Sequence[Record]) -> bool:
        """Parts go one after the other, or together so that some may be late."""
        world = self.world
        for at, record in enumerate(records):
            try:
                if not await self._request(lambda at=at, record=record: world.servers.append(last + at, record)):  # type: ignore[misc]
                    return False
            except Unavailable:
                return False
        return True

    refused = ""

    async def ends(self) -> Ends:
        servers, rng = self.world.servers, self.world.rng
        behind = rng.randint(1, 5) if rng.random() < self.world.stale else 0  # a leader that does not know it is none
        return Ends(*await self._request(lambda: (servers.first, max(0, len(servers.records) - behind))))

    async def state(self) -> Record | None:
        def newest() -> Any:
            return [record for record in self.world.servers.records if record.kind == STATE][-1:]

        found = await self._request(newest)
        return found[0] if found else None

    async def read(self, place: int) -> Record | None:
        records = self.world.servers.records
        found = await self._request(lambda: records[place - 1 : place])
        return found[0] if found else None

    async def cut(self, below: int) -> None:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        wait = _Wait()
        wait.begin = lambda: self.world.at(self.world.now + seconds, wait.resume, (None,))  # type: ignore[attr-defined]
        await wait

    def now(self) -> float:
        return self.world.now


class World:
    """Everything, by one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.servers = Servers()
        self.confirmed: list[tuple[str, int]] = []
        self.loss = self.rng.choice((0.0, 0.02, 0.2))
        self.slow = self.rng.choice((0.1, 1.0, 6.0))
        self.stale = self.rng.choice((0.0, 0.0, 0.1))
        self.takes = 0
        self.clients: list[Client] = []
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = self._numbers = 0
        self._away_until = 0.0

    def at(self, when: float, do: Callable[..., Any], *args: Any) -> None:
        self._count += 1
        heappush(self._heap, (when, self._count, do, args))

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def start(self) -> None:
        self.clients.append(Client(self, f"h{len(self.clients)}"))

    def available(self) -> bool:
        """Whether most of the servers are there."""
        return self.now >= self._away_until

    def run(self) -> World:
        for _ in range(self.rng.choice((2, 3))):
            self.start()
        when = 0.0
        while when < _LIFE_S:
            when += self.rng.expovariate(0.2)
            self.at(when, self._cause, self.rng.choice(("freeze", "freeze", "kill", "servers", "by hand")))
        while self._heap[0][0] < _LIFE_S:
            self.now, _, do, args = heappop(self._heap)
            do(*args)
        self.check_log()
        return self

    def _cause(self, what: str) -> None:
        client = self.rng.choice([client for client in self.clients if client.alive] or self.clients)
        if what == "freeze":
            client.frozen_until = self.now + self.rng.random() * 3 * LEASE_S
        elif what == "kill" and client.alive:
            client.end()
        elif what == "servers":
            self._away_until = self.now + self.rng.random() * 2 * LEASE_S
        elif what == "by hand":
            hand = Hand(self)
            hand.begin()

    def check_sure(self, client: Client) -> None:
        """Whoever runs and is sure has the log."""
        if not client.opened or not client.holder.sure(self.now):
            return
        opened = [record for record in self.servers.records if record.kind == STATE and _event(record)[0] == "open"]
        assert _event(opened[-1])[1] == client.name, f"{client.name} is sure, but {_event(opened[-1])[1]} has the log"

    def check_log(self) -> None:
        groups, writer, written = [], "", set()
        part: list[Record] = []
        for record in self.servers.records:
            assert record.id not in written, "a record is stored twice"
            written.add(record.id)
            if record.kind == STATE:
                event, name = _event(record)
                if event == "open":
                    writer = name
                assert name == writer or event == "take-over", f"{name} writes a state after {writer} has opened it"
                continue
            number, name = msgpack.unpackb(record.payload)
            assert name == writer, f"{name} writes after {writer} has opened it"
            part = [*part, record] if record.part else [record]
            assert record.part == len(part) - 1 or record.part, "a part without those before"
            if len(part) == record.parts:
                groups.append((name, number))
        assert len(set(groups)) == len(groups)
        stored = [group for group in groups if group in set(self.confirmed)]
        assert sorted(stored) == sorted(self.confirmed), "what was confirmed is not stored"
        for client in self.clients:
            mine = [group for group in self.confirmed if group[0] == client.name]
            assert [group for group in stored if group[0] == client.name] == mine, "in another order"
        self.takes = sum(_event(record)[0] == "open" for record in self.servers.records if record.kind == STATE)


def _event(record: Record) -> tuple[str, str]:
    said = msgpack.unpackb(record.payload)
    return said["event"], said["token"]


class Hand(Client):
    """Somebody who says take-over, once."""

    def __init__(self, world: World) -> None:
        self.world, self.name = world, "by hand"
        self.alive, self.opened = True, False
        self.frozen_until = -inf

    def begin(self) -> None:
        self._run(self._say())

    async def _say(self) -> None:
        try:
            await take_over(self, "somebody")
        except Unavailable:
            pass

    def end(self) -> None:
        self.alive = False
