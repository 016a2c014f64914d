"""A session against a dict of the numbers that are open."""

from __future__ import annotations

from timeit import timeit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.making import make_account, make_lot, seqs
from tests.core.test_bytes import reachable_bytes
from zsms.core.broker import window as window_module
from zsms.core.broker.lot import Lot, gather, mixed_lot
from zsms.core.broker.session import Session

ACCOUNTS = [make_account(1), make_account(2)]
SOURCES = [make_account(0), *ACCOUNTS]


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def ids(lot: Lot) -> list[tuple[int, int]]:
    """(producer, seq) of each message."""
    assert seqs(lot.batch)
    return [message.id[::2] for message in lot.messages()]


def of(*sizes: int) -> Session:
    """A session that was granted lots of these sizes, message by message from 0 on."""
    session = Session(1, "sender", 1_000, b"peer", 0.0, SOURCES)
    made = 0
    for size in sizes:
        session.grant(make_lot(size, first=made), now=float(made))
        made += size
    return session


@given(st.data())
def test_a_number_is_settled_once_and_the_rest_can_be_taken_back(data):
    session = Session(1, "sender", 1_000, b"peer", 0.0, SOURCES)
    held: dict[int, tuple[int, int]] = {}  # open number -> (producer, seq)
    bases: list[int] = []
    made = 0
    few_or_many = st.sampled_from([1, 3, 12, 700])
    window_module.SPARSE_FROM = 4
    for act in data.draw(st.lists(st.sampled_from("ggggsssssssctuurl"), max_size=60)):
        if act == "g":
            size = data.draw(few_or_many)
            account = data.draw(st.sampled_from(ACCOUNTS))
            before, behind = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
            lot = make_lot(before + size + behind, made, account).part(
                before, before + size
            )  # it begins inside a batch
            made += before
            piece = session.grant(lot, 0.0)
            assert (piece.base, piece.end) == (session.granted - size, session.granted)
            bases.append(piece.base)
            held.update({piece.base + i: (account.producer, made + i) for i in range(size)})
            made += size + behind
        elif act == "s" and session.granted:
            begin = data.draw(st.integers(max(0, session.low - 3), session.granted - 1))
            span = range(begin, min(session.granted, begin + data.draw(few_or_many)))
            step = data.draw(st.integers(1, 3))
            asked = list(span)[::step]
            settled = session.settle(np.array(asked, dtype=np.int64))
            closed = [number for number in asked if number in held]
            assert settled.numbers.tolist() == closed and settled.repeated == len(asked) - len(closed)
            found = []
            for lot, positions in settled.positions():
                messages = list(lot.messages())
                found += [messages[position].id[::2] for position in positions.tolist()]
                if session.account is not None:
                    assert session.account is lot.account
            assert found == [held.pop(number) for number in closed]
        elif act == "t" and session.pieces():
            piece = data.draw(st.sampled_from(session.pieces()))
            mine = [held.pop(n) for n in range(piece.base, piece.end) if n in held]
            lot = session.take_back(piece)
            assert ([] if lot is None else ids(lot)) == mine
            assert session.take_back(piece) is None
        elif act == "u" and session.pieces():  # the newest, as the wire did not take it
            base = session.pieces()[-1].base
            mine = [held.pop(n) for n in range(base, session.granted) if n in held]
            lot = session.undo()
            assert ([] if lot is None else ids(lot)) == mine
            assert session.granted == base
        elif act == "r":
            received = data.draw(st.sampled_from([p.base for p in session.pieces()] + [session.granted]))
            mine = [held.pop(n) for n in range(received, session.granted) if n in held]
            lots = session.rewind(received)
            assert [message for lot in reversed(lots) for message in ids(lot)] == mine
            assert session.granted == received
            bases = [base for base in bases if base < received]
        elif act == "c":
            session.thin()
        old = session.old()
        thinned = [] if old is None else old[1].tolist()
        assert session.in_flight == len(held) == sum(piece.open for piece in session.pieces()) + len(thinned)
        assert thinned == sorted(number for number in held if number < session.low)
        assert session.granted - session.low <= 2 * session.in_flight + 4 or act != "c"
    rest = [mixed_lot(gather([part], SOURCES)) for part in session.take_old()]
    rest += [lot for lot in map(session.take_back, session.pieces()) if lot is not None]
    assert [message for lot in rest for message in ids(lot)] == list(held.values())


@pytest.mark.parametrize("count", [2, 50], ids=["few", "many"])
def test_both_ways_of_settling_agree_on_repeats_and_pieces(count):
    session = of(count, count, count)
    every_other = list(range(0, 3 * count, 2))
    settled = session.settle(numbers(*every_other))
    assert settled.repeated == 0 and session.in_flight == 3 * count - len(every_other)
    again = session.settle(numbers(*range(3 * count)))
    assert again.repeated == len(every_other) and session.in_flight == 0
    assert sum(again.counts) == 3 * count - len(every_other)
    assert session.settle(numbers(*range(3 * count))).repeated == 3 * count
    assert session.low == session.granted and not session.pieces()


@pytest.mark.parametrize("slow", [0, 50, 99])
def test_the_memory_of_settled_batches_goes_wherever_a_slow_one_stands(slow):
    session = of(*[1] * 100)
    session.settle(numbers(*(n for n in range(60) if n != slow)))
    session.settle_one(70)
    assert sum(piece.lot is not None for piece in session.pieces()) == session.in_flight
    session.settle(numbers(*(n for n in range(100) if n != slow)))
    assert [piece.base for piece in session.pieces() if piece.lot is not None] == [slow]
    session.settle_one(slow)
    assert session.low == 100 and not session.pieces()


def test_an_acknowledgement_costs_the_same_however_many_pieces_are_open():
    def cost(pieces: int) -> float:
        session = of(*[10] * pieces)
        session.settle(np.arange(1, 10 * pieces - 1_000))  # all but the oldest message, and the last 100 pieces
        begins = iter(range(10 * pieces - 1_000, 10 * pieces, 10))
        return min(timeit(lambda: session.settle(np.arange(b := next(begins), b + 10)), number=1) for _ in range(60))

    assert cost(20_000) < 5 * cost(101) + 1e-4  # 38 times when each is looked at


def test_a_long_session_needs_no_more_memory_than_its_window():
    session = of()
    for turn in range(500):
        session.grant(make_lot(100, first=turn * 100), 0.0)
        session.settle(np.arange(turn * 100, turn * 100 + 100))
    assert session.granted == session.low == 50_000
    assert reachable_bytes(session) < 10_000


def test_credit_is_what_the_limit_leaves_and_idle_is_what_slots_are_free():
    session = of(4)
    session.slots, session.limit = 6, 12
    assert (session.wants, session.idle) == (8, 2)
    session.settle(numbers(0, 1))
    assert (session.wants, session.idle) == (8, 4)
    session.limit = 5
    assert (session.wants, session.idle) == (1, 1)


def test_a_rewind_goes_only_to_where_a_grant_began():
    session = of(3, 3)
    for received in (1, 5, 7):
        with pytest.raises(ValueError, match=f"received {received}"):
            session.rewind(received)
    assert session.in_flight == 6
    assert [seqs(lot.batch) for lot in session.rewind(0)] == [[3, 4, 5], [0, 1, 2]]
    assert session.rewind(0) == [] and session.granted == 0


def test_the_only_producer_of_a_window_is_known():
    one, two = ACCOUNTS
    session = of()
    session.grant(make_lot(2, 0, one), 0.0)
    session.grant(make_lot(2, 2, one), 0.0)
    assert session.account is one
    session.grant(make_lot(2, 0, two), 0.0)
    assert session.account is None
    session.settle(numbers(0, 1, 2, 3, 4, 5))
    session.grant(make_lot(1, 2, two), 0.0)
    assert session.account is two
