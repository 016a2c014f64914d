"""A sender's slots shared between brokers: never promised twice, and not idle while any broker has work for them.

The brokers of these tests do what a BrokerCore does with one sender: they grant at once, in order, all that they have
and may. Words take any time, but stay in order.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.making import make_batch
from zsms.core.outcomes import Finished
from zsms.core.sender import AckFrame
from zsms.core.sender.shares import LOOK_S, Shares, fair
from zsms.errors import UsageError
from zsms.wire.frames import Grant

NONE = np.zeros(0, dtype=np.uint64)


@given(st.integers(0, 1_000), st.lists(st.integers(0, 1_000), min_size=1, max_size=8))
def test_fair_parts_are_max_min_fair(total: int, demands: list[int]) -> None:
    parts = fair(total, demands)
    assert sum(parts) == min(total, sum(demands))
    assert all(0 <= part <= demand for part, demand in zip(parts, demands, strict=True))
    hungry = [part for part, demand in zip(parts, demands, strict=True) if part < demand]
    if hungry:
        assert max(parts) <= min(hungry) + 1


class FakeBroker:
    """A queue, and the broker's half of a session."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.queued = 0
        self.up: deque[Any] = deque()
        self.down: deque[Any] = deque()
        self.forget()

    def forget(self) -> None:
        self.token, self.generation, self.granted, self.limit, self.acked = 0, 0, 0, 0, 0

    def hear(self) -> None:
        """Read one word, if there is one, act on it, and grant."""
        match self.up.popleft() if self.up else None:
            case ("join", token, join, received):
                if token != self.token and received:
                    return  # of a session that it does not know; here the sender gives up by itself
                if token == self.token:
                    self.queued += self.granted - received
                self.token, self.generation, self.granted, self.limit = token, join, received, received
                self.down.append(("welcome", self.acked, join))
            case AckFrame() as ack if ack.session == self.token and ack.number >= self.acked:
                self.acked, self.limit = ack.number + 1, ack.limit
            case "ping":
                self.down.append(("pong", self.acked, self.token))
        count = min(self.queued, self.limit - self.granted)
        if count > 0:
            self.down.append(("grant", self.token, self.generation, self.granted, count, count < self.queued))
            self.granted += count
            self.queued -= count


class World:
    def __init__(self, brokers: int, slots: int, prefetch: int) -> None:
        self.shares = Shares(brokers, slots, prefetch, seed=1)
        self.brokers = [FakeBroker(place) for place in range(brokers)]
        self.total = slots + prefetch
        self.slots: list[int] = []
        self.now = 0.0
        self._size = slots

    def join(self, place: int) -> None:
        core, broker = self.shares.cores[place], self.brokers[place]
        core.joining()
        broker.up.append(("join", core.token, core.generation, core.received))

    def die(self, place: int) -> None:
        """The broker and all that was under way are gone; it comes back knowing nobody."""
        broker = self.brokers[place]
        broker.up.clear()
        broker.down.clear()
        broker.forget()
        self.shares.cores[place].renew()
        self.join(place)

    def hear(self, place: int) -> None:
        """The sender reads one word of that broker."""
        core, broker = self.shares.cores[place], self.brokers[place]
        if not broker.down:
            return
        match broker.down.popleft():
            case ("welcome", acked, join) if join == core.generation:
                broker.up.extend(core.welcomed(acked))
            case ("grant", token, join, base, count, more):
                core.granted(Grant(token, join, base, 1, 1, 0.0, 0, more), make_batch(count), 0.0, 0.0)
            case ("pong", acked, token) if token == core.token:
                core.answered(acked)
        self.check()

    def fill(self) -> None:
        for waiting in self.shares.take(self._size - len(self.slots)):
            self.slots += waiting.handles.tolist()

    def finish(self, count: int) -> None:
        done, self.slots = self.slots[:count], self.slots[count:]
        for broker, frames in zip(
            self.brokers, self.shares.finished(Finished(np.array(done, dtype=np.uint64), NONE)), strict=True
        ):
            broker.up.extend(frames)
        self.check()

    def look(self, seconds: float = LOOK_S) -> None:
        self.now += seconds
        ask = self.shares.poll(self.now)
        for core, broker in zip(self.shares.cores, self.brokers, strict=True):
            if core.live:
                credit = core.new_credit()
                if credit is not None:
                    broker.up.append(credit)
                if ask:
                    core.asked()
                    broker.up.append("ping")
        self.check()

    def check(self) -> None:
        cores = self.shares.cores
        assert sum(max(core.share, core.promised) for core in cores) <= self.total
        assert all(core.promised >= core.held for core in cores)
        assert self.shares.held <= self.total

    def settle_down(self, rounds: int = 40, sends: int | None = None) -> None:
        """Let everything be heard, and `sends` messages a round be sent, a fifth of the slots unless it is said."""
        for _ in range(rounds):
            for place in range(len(self.brokers)):
                self.brokers[place].hear()
                while self.brokers[place].up:
                    self.brokers[place].hear()
                while self.brokers[place].down:
                    self.hear(place)
            self.fill()
            self.finish(self._size // 5 + 1 if sends is None else sends)
            self.look()


ACTS = st.lists(
    st.tuples(st.sampled_from(["work", "heard", "hear", "fill", "finish", "look", "join", "die"]), st.integers(0, 2)),
    max_size=200,
)


@settings(deadline=None)
@given(ACTS, st.integers(1, 12), st.integers(2, 6))
def test_no_more_is_promised_than_there_is_and_all_work_is_done_in_the_end(
    acts: list[tuple[str, int]], slots: int, prefetch: int
) -> None:
    world = World(3, slots, prefetch)
    for act, place in acts:
        match act:
            case "work":
                world.brokers[place].queued += 7
            case "heard":
                world.brokers[place].hear()
            case "hear":
                world.hear(place)
            case "fill":
                world.fill()
            case "finish":
                world.finish(1 + place)
            case "look":
                world.look()
            case "join":
                world.join(place)
            case "die":
                world.die(place)
    for place in range(3):
        world.join(place)
    for _ in range(40):
        world.settle_down(10)
        if not any(broker.queued for broker in world.brokers) and not world.shares.held:
            return
    raise AssertionError("work is left that nobody does")


def joined(brokers: int, slots: int, prefetch: int) -> World:
    world = World(brokers, slots, prefetch)
    for place in range(brokers):
        world.join(place)
    world.settle_down(2)
    return world


@pytest.mark.parametrize("late", [1, 2])
def test_a_long_way_delays_the_sharing_and_does_not_stop_it(late: int) -> None:
    """Words that take several looks: there are always some under way, in both directions."""
    world = joined(2, 100, 4)
    world.brokers[0].queued = 10**6
    shares = []
    ways: list[deque[tuple[int, Any]]] = [deque(), deque(), deque(), deque()]
    for turn in range(200):
        world.brokers[1].queued += 1  # a little for it to acknowledge, all the time
        for place, broker in enumerate(world.brokers):
            up, down = ways[2 * place : 2 * place + 2]
            up.extend((turn + late, word) for word in broker.up)
            broker.up.clear()
            while up and up[0][0] <= turn:
                broker.up.append(up.popleft()[1])
            broker.hear()
            while broker.up:
                broker.hear()
            down.extend((turn + late, word) for word in broker.down)
            broker.down.clear()
            while down and down[0][0] <= turn:
                broker.down.append(down.popleft()[1])
                world.hear(place)
        world.fill()
        world.finish(10)
        world.look()
        shares.append(world.shares.cores[0].share)
    assert max(shares) > 90 and sum(shares) / len(shares) > 56


def test_brokers_that_have_work_share_evenly() -> None:
    world = joined(2, 100, 4)
    for broker in world.brokers:
        broker.queued = 10**6
    world.settle_down()
    assert [core.share for core in world.shares.cores] == [52, 52]
    assert world.shares.held == 104 - 21  # those that were sent in the last round


@pytest.mark.parametrize("busy", [0, 1])
def test_a_broker_with_work_uses_what_the_others_leave(busy: int) -> None:
    world = joined(3, 100, 5)
    world.brokers[busy].queued = 10**6
    world.settle_down()
    others = [core.share for core in world.shares.cores if core is not world.shares.cores[busy]]
    assert others == [1, 1] and world.shares.cores[busy].share == 103


def test_a_broker_gets_its_part_back_when_it_has_work_again() -> None:
    world = joined(2, 100, 4)
    world.brokers[0].queued = 10**6
    world.settle_down()
    world.brokers[1].queued = 10**6
    world.settle_down()
    assert [core.share for core in world.shares.cores] == [52, 52]
    world.brokers[0].queued = 0
    world.settle_down()
    assert [core.share for core in world.shares.cores] == [2, 102]


def test_a_broker_with_little_work_keeps_what_it_uses() -> None:
    world = joined(2, 100, 4)
    world.brokers[0].queued = 10**6
    shares = []
    for _ in range(60):
        world.brokers[1].queued += 2
        world.settle_down(1)
        shares.append(world.shares.cores[0].share)
    assert min(shares[10:]) >= 90, "what it does not use is the other's all the time"
    assert not world.brokers[1].queued


def test_a_broker_whose_message_hangs_can_still_give_another() -> None:
    world = joined(2, 2, 1)
    world.brokers[1].queued = 1
    world.settle_down(2, 0)
    (hangs,) = world.slots
    world.brokers[0].queued = 10
    for _ in range(40):
        world.settle_down(1, 0)
        world.slots.sort(key=hangs.__eq__)
        world.finish(len(world.slots) - 1)
    assert not world.brokers[0].queued and world.slots == [hangs]
    world.brokers[1].queued = 1  # taken back: its lease is over
    world.settle_down(sends=0)
    assert not world.brokers[1].queued


def test_a_broker_that_has_all_the_work_has_all_slots_within_a_few_round_trips() -> None:
    """From the first message on, and after a pause too; each round trip takes a millisecond."""
    world = joined(2, 1_000, 40)
    for pause in (0.0, 5.0):
        world.now += pause
        world.brokers[1].queued += 10_000
        for _ in range(10):
            for place, broker in enumerate(world.brokers):
                while broker.up:
                    broker.hear()
                broker.hear()
                while broker.down:
                    world.hear(place)
            world.fill()
            world.look(0.001)
            if world.shares.cores[1].in_slots == 1_000:
                break
        assert world.shares.cores[1].in_slots == 1_000, f"after a pause of {pause} s"
        world.brokers[1].queued = 0
        world.settle_down(20, 1_000)
        assert not world.shares.held


def test_the_part_of_a_broker_that_is_gone_is_free_for_the_others_once_it_is_joined_anew() -> None:
    world = joined(2, 100, 4)
    for broker in world.brokers:
        broker.queued = 10**6
    world.settle_down()
    world.brokers[1].queued = 0
    core = world.shares.cores[1]
    promised = core.promised
    core.joining()
    assert core.promised == core.held < promised
    world.settle_down()
    assert [core.share for core in world.shares.cores] == [104, 0]


def test_a_smaller_limit_counts_when_the_broker_has_answered() -> None:
    world = joined(2, 100, 4)
    world.brokers[0].queued = 10**6
    idle = world.shares.cores[1]
    before = idle.promised
    world.settle_down(2)
    for _ in range(4):
        world.look()  # it is told less, and does not answer
    assert idle.share < before == idle.promised
    world.settle_down(2)
    assert idle.promised == idle.share


def test_two_brokers_messages_are_told_apart_over_many_sessions() -> None:
    shares = Shares(3, 6, 0)
    for place, core in enumerate(shares.cores):
        core.epoch = 0xFFFF // 3 * 3 + place - 6  # two sessions before its numbers begin anew
        for _ in range(5):
            core.renew()
            assert core.epoch % 3 == place
        core.joining()
        core.welcomed(0)
        assert core.granted(Grant(core.token, core.generation, 0, 1, 1, 0.0, 0, False), make_batch(2), 0.0, 0.0)
    handles = np.concatenate([waiting.handles for waiting in shares.take(6)])
    frames = shares.finished(Finished(handles[::2], handles[1::2]))
    assert [[frame.session for frame in of] for of in frames] == [[core.token] for core in shares.cores]
    assert shares.held == 0


def test_slots_that_come_free_go_to_the_brokers_in_turn() -> None:
    shares = Shares(2, 4, 4)
    for core in shares.cores:
        core.joining()
        core.welcomed(0)
        assert core.granted(Grant(core.token, core.generation, 0, 1, 1, 0.0, 0, False), make_batch(4), 0.0, 0.0)
    places = [int(waiting.handles[0] >> np.uint64(48)) % 2 for _ in range(4) for waiting in shares.take(1)]
    assert sorted(places) == [0, 0, 1, 1]


def test_a_sender_needs_a_message_to_hold_for_each_broker() -> None:
    with pytest.raises(UsageError, match="for 3 brokers"):
        Shares(3, 1, 1)


@pytest.mark.parametrize("brokers", [2, 3, 5])
def test_no_slot_idles_for_the_reserve_of_brokers_that_have_nothing(brokers: int) -> None:
    world = World(brokers, 500, 10)
    for place in range(brokers):
        world.join(place)
    world.brokers[0].queued = 10_000
    world.settle_down(30, sends=50)
    world.settle_down(5, sends=0)
    assert len(world.slots) == 500  # it was 490 of them beside two idle brokers


@pytest.mark.parametrize("brokers", [2, 3])
def test_what_will_be_free_in_a_moment_is_asked_for_ahead(brokers: int) -> None:
    world = World(brokers, 600, 12)
    for place in range(brokers):
        world.join(place)
        world.brokers[place].queued = 10_000
    world.settle_down(30, sends=0)
    assert world.shares.held == 612
    world.shares.expect(10)  # no more than is prefetched
    assert sum(core.limit for core in world.shares.cores) == 612
    world.shares.expect(600)
    assert 1_200 - brokers <= sum(core.limit for core in world.shares.cores) <= 1_200
    world.total = 1_200
    world.settle_down(5, sends=0)
    assert 1_200 - brokers <= world.shares.held <= 1_200
    world.shares.expect(0)  # they have ended
    world.finish(600)
    world.fill()
    assert len(world.slots) >= 600 - brokers  # without waiting for a word of anybody
    world.settle_down(5, sends=0)
    assert world.shares.held <= 612


def test_a_single_broker_is_asked_ahead_for_what_will_be_free_unless_the_sender_leaves() -> None:
    shares = Shares(1, 600, 12)
    core = shares.cores[0]
    limits = []
    for ending in (0, 12, 500, 0):
        shares.expect(ending)
        limits.append(core.limit)
    assert limits == [612, 612, 1_100, 612]
    shares.expect(500)
    shares.drain()
    assert core.limit == 0
