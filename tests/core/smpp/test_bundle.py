"""Sessions that are read together tell what each of them would tell alone."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.smpp.test_session import bound_pair, handles, output, texts
from zsms.core.smpp.bundle import Bundle, answer_together
from zsms.core.smpp.events import Answered, Event, Received, Side, Timers
from zsms.core.smpp.frames import PAD
from zsms.core.smpp.pdu import RESPONSE, Command
from zsms.core.smpp.session import Session
from zsms.core.smpp.strings import Strings
from zsms.core.smpp.window import Window, Windows

SUBMIT = b"\0\0\0\0" + b"1555\0" + b"\0\0\0\0\0\0\0\0\0\0\0\0"


def sessions(count: int, side: Side) -> tuple[list[Session], Windows]:
    windows, made = Windows(count), []
    for row in range(count):
        session = Session(side, 1_000, Timers(), requests=Window(windows, row))
        session.connected(0.0)
        made.append(session)
        if side is Side.ESME:
            session.bind(Command.BIND_TRANSCEIVER, 0.0, system_id=b"x")
            session.receive(struct.pack(">IIII", 17, Command.BIND_TRANSCEIVER_RESP, 0, 1) + b"\0", 0.0)
            session.send(texts(5), handles(*range(100 * row, 100 * row + 5)), 0.0)
        else:
            other = Session(Side.ESME)
            other.bind(Command.BIND_TRANSCEIVER, 0.0, system_id=b"x")
            (asked,) = session.receive(output(other), 0.0)
            session.answer_bind(asked.request)  # type: ignore[union-attr]
            session.send(texts(5), handles(*range(100 * row, 100 * row + 5)), 0.0)
        session.take_output()
    return made, windows


def received_together(group: list[Session], windows: Windows, parts: list[bytes]) -> list[list[Event]]:
    """A turn's octets of each, and the events of each."""
    whole = [bytes(session.take_rest()) + part for session, part in zip(group, parts, strict=True)]
    ends = np.cumsum([len(part) for part in whole])
    begins = ends - [len(part) for part in whole]
    buffer = np.frombuffer(b"".join(whole) + bytes(PAD), np.uint8)
    heard = Bundle(group, windows, np.arange(len(group)), buffer, begins, ends).receive(1.0)
    told: list[list[Event]] = [[] for _ in group]
    for place, events in heard.apart:
        told[place] += events
    if heard.answered is not None:
        owner, answered = heard.answered
        for place in np.unique(owner).tolist():
            own = np.flatnonzero(owner == place)
            told[place].append(Answered(answered.handles[own], answered.answers.take(own), answered.took[own]))
    if heard.received is not None:
        owner, (command, messages) = heard.received
        assert isinstance(messages.short_message, Strings)
        for place in np.unique(owner).tolist():
            own = owner == place
            messages_of = type(messages)(messages.sequence[own], short_message=messages.short_message.take(own))
            told[place].append(Received(command, messages_of))
    return told


def shown(events: list[Event]) -> Counter[object]:
    """What matters of events, whatever their order and however they are grouped."""
    found: Counter[object] = Counter()
    for event in events:
        match event:
            case Answered(owners, answers, _):
                statuses, ids = answers.status.tolist(), answers.ids.tolist()
                found.update(zip(owners.tolist(), statuses, ids, strict=True))
            case Received(command, messages):
                assert isinstance(messages.short_message, Strings)
                rows = zip(messages.sequence.tolist(), messages.short_message.tolist(), strict=True)
                found.update((command, *row) for row in rows)
            case _:
                found[repr(event)] += 1
    return found


def pdu(command: int, status: int, sequence: int, body: bytes) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


PDUS = st.one_of(
    st.builds(pdu, st.just(Command.SUBMIT_SM_RESP), st.sampled_from([0, 0x58]), st.integers(0, 9), st.just(b"id\0")),
    st.builds(
        pdu,
        st.sampled_from([Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP]),
        st.sampled_from([0, 0x58]),
        st.integers(0, 9),
        st.binary(max_size=80),
    ),
    st.builds(
        lambda command, sequence, text: pdu(command, 0, sequence, SUBMIT + bytes([len(text)]) + text),
        st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]),
        st.integers(0, 9),
        st.binary(max_size=30),
    ),
    st.builds(
        pdu,
        st.sampled_from([*Command, 0x22, 0]),
        st.integers(0, 2),
        st.integers(0, 9),
        st.binary(max_size=20),
    ),
    st.binary(max_size=20),
)


@settings(max_examples=60)
@given(st.data())
def test_together_is_as_alone(data: st.DataObject) -> None:
    count, side = data.draw(st.integers(1, 20)), data.draw(st.sampled_from(list(Side)))
    kinds = data.draw(st.sampled_from([PDUS, PDUS, st.sampled_from([pdu(Command.SUBMIT_SM_RESP, 0, 3, b"1\0")])]))
    octets = [b"".join(data.draw(st.lists(kinds, max_size=12))) for _ in range(count)]
    together, windows = sessions(count, side)
    alone, _ = sessions(count, side)
    cuts = [sorted(data.draw(st.lists(st.integers(0, len(each)), max_size=2))) for each in octets]
    told: list[list[Event]] = [[] for _ in together]
    expected: list[list[Event]] = [[] for _ in together]
    for turn in range(3):
        parts = []
        for each, cut in zip(octets, cuts, strict=True):
            bounds = [0, *cut, *[len(each)] * (3 - len(cut))]
            parts.append(each[bounds[turn] : bounds[turn + 1]])
        for place, events in enumerate(received_together(together, windows, parts)):
            told[place] += events
            expected[place] += alone[place].receive(parts[place], 1.0)
    for place in range(count):
        assert shown(told[place]) == shown(expected[place])
        mine, other = together[place], alone[place]
        assert (mine.state, mine.open, mine.counts) == (other.state, other.open, other.counts)
        assert sorted(output(mine)) == sorted(output(other))
        assert mine.over() or mine.waiting == other.waiting


def test_answers_go_to_their_own() -> None:
    pairs = [bound_pair() for _ in range(4)]
    for place in (0, 2, 3):
        pairs[place][0].send(texts(place + 1), handles(*range(place + 1)), 0.0)
    owner = np.array([0, 2, 2, 2, 3, 3, 3, 3])
    sequence = np.array([2, 2, 3, 4, 2, 3, 4, 5], np.uint32)
    ids = Strings.of([b"%d" % (10**place) for place in range(8)])
    said = answer_together([smsc for _, smsc in pairs], owner, Command.SUBMIT_SM, sequence=sequence, ids=ids)
    assert said == [pairs[place][1] for place in (0, 2, 3)]
    for place in (0, 2, 3):
        (answered,) = pairs[place][0].receive(output(pairs[place][1]), 1.0)
        assert isinstance(answered, Answered) and answered.answers.ids.tolist() == [
            b"%d" % (10**at) for at in np.flatnonzero(owner == place)
        ]
    assert Command.SUBMIT_SM | RESPONSE == Command.SUBMIT_SM_RESP
