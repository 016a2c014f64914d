"""An ESME's session and an SMSC's, joined in memory: any order, cut and lateness."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms.core.smpp.events import (
    Answered,
    Asked,
    BindAsked,
    Bound,
    Ended,
    Received,
    Replied,
    Side,
    State,
    Timers,
    Unanswered,
)
from zsms.core.smpp.frames import Stream
from zsms.core.smpp.pdu import MAX_SEQUENCE, Command, Messages, Status, encode_answers
from zsms.core.smpp.record import Pdu, decode, encode
from zsms.core.smpp.session import Session
from zsms.core.smpp.strings import Strings
from zsms.core.smpp.window import Window, Windows, sequence_of


def handles(*numbers: int) -> Any:
    return np.array(numbers, np.uint64)


def sequences(*numbers: int) -> Any:
    return np.array(numbers, np.uint32)


def output(session: Session) -> bytes:
    return b"".join(bytes(part) for part in session.take_output())


def pdus(octets: bytes) -> list[Pdu]:
    frames = Stream().feed(octets)
    return [] if frames is None else [decode(each) for each in frames.pdus.tolist()]


def texts(count: int, begin: int = 0) -> Messages:
    return Messages(
        sequences(*range(count)),
        destination=Strings.of([b"%d" % (447700900000 + n) for n in range(begin, begin + count)]),
        short_message=b"Hello",
    )


def bound_pair(
    window: int = 10, command: int = Command.BIND_TRANSCEIVER, requests: Window | None = None, **timers: float
) -> tuple[Session, Session]:
    esme = Session(Side.ESME, window, Timers(**timers), requests=requests)
    smsc = Session(Side.SMSC, window)
    esme.connected(0.0), smsc.connected(0.0)
    esme.bind(command, 0.0, system_id=b"zsms", password=b"secret")
    (asked,) = smsc.receive(output(esme), 0.0)
    assert isinstance(asked, BindAsked) and asked.request["password"] == b"secret"
    smsc.answer_bind(asked.request, 0, b"SMSC")
    (bound,) = esme.receive(output(smsc), 0.0)
    assert isinstance(bound, Bound) and bound.answer["system_id"] == b"SMSC"
    assert esme.state is smsc.state and esme.peer_version == 0x34
    return esme, smsc


def submitted(esme: Session, smsc: Session, count: int, now: float = 1.0) -> Received:
    esme.send(texts(count), np.arange(count, dtype=np.uint64), now)
    (received,) = smsc.receive(output(esme), now)
    assert isinstance(received, Received) and received.command == Command.SUBMIT_SM
    return received


def test_submits_and_receipts() -> None:
    esme, smsc = bound_pair()
    received = submitted(esme, smsc, 3)
    assert esme.room == 7 and received.messages.destination.tolist()[2] == b"447700900002"  # type: ignore[union-attr]
    smsc.answer(Command.SUBMIT_SM, received.messages.sequence, 0, Strings.of([b"a", b"b", b"c"]))
    smsc.send(Messages(sequences(0, 0), short_message=b"id:a", esm_class=4), handles(5, 6), 2.0)
    answered, receipts = esme.receive(output(smsc), 2.5)
    assert isinstance(answered, Answered) and isinstance(receipts, Received)
    assert answered.handles.tolist() == [0, 1, 2] and answered.answers.ids.tolist() == [b"a", b"b", b"c"]
    assert answered.took.tolist() == [1.5] * 3 and esme.room == 10
    esme.answer(Command.DELIVER_SM, receipts.messages.sequence)
    (settled,) = smsc.receive(output(esme), 3.0)
    assert isinstance(settled, Answered) and settled.handles.tolist() == [5, 6] and smsc.idle and esme.idle


@given(st.permutations(range(8)), st.data())
def test_answers_in_any_order_some_late_some_twice(order: list[int], data: st.DataObject) -> None:
    esme, smsc = bound_pair(response=60)
    received = submitted(esme, smsc, 8)
    kept = data.draw(st.lists(st.sampled_from(order), unique=True, min_size=1))
    for each in kept + kept[:2]:
        smsc.answer(Command.SUBMIT_SM, received.messages.sequence[[each]], 0, Strings.of([b"%d" % each]))
    cut = data.draw(st.integers(0, 200))
    octets = output(smsc)
    events = esme.receive(octets[:cut], 2.0) + esme.receive(octets[cut:], 2.0)
    got = {
        int(handle): name
        for event in events
        for handle, name in zip(event.handles, event.answers.ids.tolist(), strict=True)
    }
    assert got == {each: b"%d" % each for each in kept}
    assert esme.counts.strange_answers == len(kept[:2]) and esme.open == 8 - len(kept)
    assert not esme.poll(60.9)
    late = esme.poll(61.0)
    missing = sorted(set(order) - set(kept))
    assert [sorted(event.handles.tolist()) for event in late] == ([missing] if missing else [])
    assert esme.room == 10


@pytest.mark.parametrize("step", [1, 3, 16, 17])
def test_one_octet_a_segment(step: int) -> None:
    esme, smsc = bound_pair()
    esme.send(texts(3), handles(1, 2, 3), 0.0)
    esme.ask(Pdu(Command.ENQUIRE_LINK), 7, 0.0)
    octets = output(esme)
    events = [event for at in range(0, len(octets), step) for event in smsc.receive(octets[at : at + step], 1.0)]
    assert sum(len(event.messages) for event in events) == 3
    smsc.answer(Command.SUBMIT_SM, sequences(*[s for e in events for s in e.messages.sequence.tolist()]))
    octets = output(smsc)
    events = [event for at in range(0, len(octets), step) for event in esme.receive(octets[at : at + step], 1.0)]
    assert [event.handle for event in events if isinstance(event, Replied)] == [7]
    assert esme.idle


def test_a_receipt_may_come_before_its_answer() -> None:
    esme, smsc = bound_pair()
    received = submitted(esme, smsc, 1)
    smsc.send(Messages(sequences(0), short_message=b"id:a stat:DELIVRD", esm_class=4), handles(0), 1.0)
    smsc.answer(Command.SUBMIT_SM, received.messages.sequence, 0, Strings.of([b"a"]))
    kinds = [type(event) for event in esme.receive(output(smsc), 1.0)]
    assert kinds == [Received, Answered]


def test_alternating_kinds_are_two_events() -> None:
    esme, smsc = bound_pair(window=100)
    received = submitted(esme, smsc, 50)
    for row in range(50):
        smsc.answer(Command.SUBMIT_SM, received.messages.sequence[[row]])
        smsc.send(Messages(sequences(0), short_message=b"x"), handles(row), 1.0)
    answered, receipts = esme.receive(output(smsc), 1.0)
    assert len(answered.handles) == 50 and len(receipts.messages) == 50  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [0x14, 0x58, 0x08, 0x64, 0x0B, 0x400, 0x4FF, 0xFFFFFFFF])
@pytest.mark.parametrize("body", [True, False])
def test_every_status_is_kept_with_and_without_a_body(status: int, body: bool) -> None:
    esme, smsc = bound_pair()
    received = submitted(esme, smsc, 1)
    smsc.answer(Command.SUBMIT_SM, received.messages.sequence, status, always_body=body)
    (answered,) = esme.receive(output(smsc), 1.0)
    assert isinstance(answered, Answered) and answered.answers.status.tolist() == [status]
    assert answered.answers.ids.tolist() == [b""]


@pytest.mark.parametrize("length", [0, 1, 64, 65, 80, 200])
def test_ids_up_to_64_octets_and_longer_ones_named(length: int) -> None:
    esme, smsc = bound_pair()
    received = submitted(esme, smsc, 1)
    body = b"x" * length + b"\0"
    smsc.write(
        struct.pack(">IIII", 16 + len(body), Command.SUBMIT_SM_RESP, 0, int(received.messages.sequence[0])) + body
    )
    (answered,) = esme.receive(output(smsc), 1.0)
    assert isinstance(answered, Answered) and answered.answers.ids.tolist() == [b"x" * length]
    assert esme.counts.long_ids == (length > 64) and esme.bound


def test_a_nack_is_an_answer() -> None:
    esme, smsc = bound_pair()
    received = submitted(esme, smsc, 2)
    smsc.nack(int(received.messages.sequence[1]), Status.INVCMDID)
    smsc.nack(99, Status.SYSERR)
    (answered,) = esme.receive(output(smsc), 1.0)
    assert isinstance(answered, Answered)
    assert answered.handles.tolist() == [1] and answered.answers.status.tolist() == [Status.INVCMDID]
    assert esme.counts.strange_answers == 1 and esme.counts.nacks == 2


def test_unknown_commands_are_nacked_with_their_sequence_number() -> None:
    esme, smsc = bound_pair()
    for strange in (0x0000000A, 0x00010200, 0x12340004, 0x7FFFFFFF):
        assert not smsc.receive(struct.pack(">IIII", 20, strange, 0, 42) + b"body", 1.0)
        (nack,) = pdus(output(smsc))
        assert (nack.command, nack.status, nack.sequence) == (Command.GENERIC_NACK, Status.INVCMDID, 42)
    assert smsc.counts.unknown_commands == 4
    assert not smsc.receive(struct.pack(">IIII", 16, 0x80000123, 0, 42), 1.0) and not output(smsc)
    submitted(esme, smsc, 1)


def test_a_body_that_cannot_be_is_answered_and_its_neighbours_are_served() -> None:
    esme, smsc = bound_pair()
    esme.send(texts(1), handles(1), 0.0)
    good = output(esme)
    hurt = struct.pack(">IIII", 20, Command.SUBMIT_SM, 0, 77) + b"abcd"
    (received,) = smsc.receive(good + hurt + good, 1.0)
    assert isinstance(received, Received) and len(received.messages) == 2
    (answer,) = pdus(output(smsc))
    assert (answer.command, answer.sequence) == (Command.SUBMIT_SM_RESP, 77) and answer.status
    assert smsc.counts.malformed == 1


@pytest.mark.parametrize("length", [0, 15, 0xFFFFFFFF])
def test_a_length_that_cannot_be_ends_the_session(length: int) -> None:
    _, smsc = bound_pair()
    (ended,) = smsc.receive(struct.pack(">IIII", length, 4, 0, 9), 1.0)
    assert isinstance(ended, Ended) and str(length) in ended.reason
    (nack,) = pdus(output(smsc))
    assert (nack.status, nack.sequence) == (Status.INVCMDLEN, 9)
    assert not smsc.receive(b"anything", 1.0)


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F, 0x53, 0x499])
@pytest.mark.parametrize("command", [Command.BIND_TRANSCEIVER, Command.BIND_RECEIVER, Command.BIND_TRANSMITTER])
def test_a_refused_bind_says_its_status_at_once(command: Command, status: int) -> None:
    esme, smsc = Session(Side.ESME), Session(Side.SMSC)
    esme.bind(command, 0.0, system_id=b"zsms")
    (asked,) = smsc.receive(output(esme), 0.0)
    smsc.answer_bind(asked.request, status)  # type: ignore[union-attr]
    (ended,) = esme.receive(output(smsc), 0.0)
    assert isinstance(ended, Ended) and ended.status == status and esme.room == 0


def test_a_bind_that_is_nacked_is_refused() -> None:
    esme = Session(Side.ESME)
    esme.bind(Command.BIND_TRANSCEIVER, 0.0, system_id=b"zsms")
    (ended,) = esme.receive(encode(Pdu(Command.GENERIC_NACK, 1, 3)), 0.0)
    assert isinstance(ended, Ended) and ended.status == 3


def test_what_a_state_does_not_allow() -> None:
    smsc = Session(Side.SMSC)
    submit = encode(Pdu(Command.SUBMIT_SM, 1, fields={"short_message": b"x"}))
    assert not smsc.receive(submit + encode(Pdu(Command.QUERY_SM, 2)), 0.0)
    assert [(each.status, each.sequence) for each in pdus(output(smsc))] == [(4, 1), (4, 2)]
    _, smsc = bound_pair(command=Command.BIND_RECEIVER)
    assert not smsc.receive(submit, 0.0)
    assert [each.status for each in pdus(output(smsc))] == [4] and smsc.room == 10
    _, smsc = bound_pair(command=Command.BIND_TRANSMITTER)
    assert smsc.room == 0
    assert not smsc.receive(encode(Pdu(Command.BIND_TRANSMITTER, 5)), 0.0)
    assert [each.status for each in pdus(output(smsc))] == [Status.ALYBND]
    esme, _ = bound_pair()
    assert not esme.receive(submit, 0.0)
    assert [each.status for each in pdus(output(esme))] == [4]


def test_rare_requests() -> None:
    esme, smsc = bound_pair()
    esme.ask(Pdu(Command.QUERY_SM, fields={"message_id": b"abc"}), 12, 0.0)
    (asked,) = smsc.receive(output(esme), 1.0)
    assert isinstance(asked, Asked) and asked.request["message_id"] == b"abc"
    fields = {"message_id": b"abc", "message_state": 2}
    smsc.reply(Pdu(Command.QUERY_SM_RESP, asked.request.sequence, 0, fields))
    (replied,) = esme.receive(output(smsc), 1.0)
    assert isinstance(replied, Replied) and replied.handle == 12
    assert replied.answer is not None and replied.answer["message_state"] == 2
    esme.ask(Pdu(Command.CANCEL_SM), 13, 2.0)
    assert esme.poll(62.0) == [Replied(13, None)]


def test_unbind_from_either_side() -> None:
    esme, smsc = bound_pair()
    submitted(esme, smsc, 2)
    esme.unbind(2.0)
    assert esme.room == 0
    (ended,) = smsc.receive(output(esme), 2.0)
    assert isinstance(ended, Ended)
    (ended,) = esme.receive(output(smsc), 2.0)
    assert isinstance(ended, Ended) and ended.reason == "unbound"
    assert esme.lost().tolist() == [0, 1]
    esme, smsc = bound_pair()
    smsc.unbind(2.0)
    (ended,) = esme.receive(output(smsc), 2.0)
    assert isinstance(ended, Ended) and [each.command for each in pdus(output(esme))] == [Command.UNBIND_RESP]


def test_a_silent_peer_is_asked_and_given_up() -> None:
    esme, smsc = bound_pair(enquire_link=30, response=10)
    assert esme.next_time() == 30 and not esme.poll(29.9)
    assert not esme.poll(30.0) and [each.command for each in pdus(output(esme))] == [Command.ENQUIRE_LINK]
    assert esme.next_time() == 40 and not esme.poll(39.0)
    (ended,) = esme.poll(40.0)
    assert isinstance(ended, Ended) and "enquire_link" in ended.reason
    esme, smsc = bound_pair(enquire_link=30, response=10)
    esme.poll(30.0)
    assert not smsc.receive(output(esme), 30.0)
    assert not esme.receive(output(smsc), 31.0) and not esme.poll(40.0) and esme.bound
    assert esme.next_time() == 61


def test_binds_and_inactivity_have_an_end() -> None:
    smsc = Session(Side.SMSC, timers=Timers(init=5))
    smsc.connected(100.0)
    assert smsc.next_time() == 105 and not smsc.poll(104.0)
    assert isinstance(smsc.poll(105.0)[0], Ended)
    esme = Session(Side.ESME, timers=Timers(response=10))
    esme.connected(0.0)
    esme.bind(Command.BIND_TRANSCEIVER, 0.0, system_id=b"x")
    (ended,) = esme.poll(10.0)
    assert isinstance(ended, Ended) and "not answered" in ended.reason
    esme, _ = bound_pair(inactivity=100, enquire_link=0)
    assert esme.next_time() == 100 and isinstance(esme.poll(100.0)[0], Ended)


def test_sequence_numbers_wrap() -> None:
    requests = Window()
    esme, smsc = bound_pair(requests=requests)
    requests.start_at(MAX_SEQUENCE - 2)
    received = submitted(esme, smsc, 5)
    assert received.messages.sequence.tolist() == [MAX_SEQUENCE - 1, MAX_SEQUENCE, 1, 2, 3]
    smsc.answer(Command.SUBMIT_SM, received.messages.sequence[::-1])
    (answered,) = esme.receive(output(smsc), 1.0)
    assert isinstance(answered, Answered) and answered.handles.tolist() == [4, 3, 2, 1, 0]
    assert answered.answers.sequence.tolist() == [3, 2, 1, MAX_SEQUENCE, MAX_SEQUENCE - 1]


def test_an_answer_that_never_comes_holds_up_no_other() -> None:
    esme, smsc = bound_pair(window=4)
    received = submitted(esme, smsc, 4)
    smsc.answer(Command.SUBMIT_SM, received.messages.sequence[1:])
    esme.receive(output(smsc), 1.0)
    for turn in range(200):
        assert esme.room == 3
        esme.send(texts(3), handles(turn, turn, turn), 2.0 + turn / 10)
        (received,) = smsc.receive(output(esme), 2.0)  # type: ignore[assignment]
        smsc.answer(Command.SUBMIT_SM, received.messages.sequence)
        (answered,) = esme.receive(output(smsc), 2.0)
        assert answered.handles.tolist() == [turn] * 3  # type: ignore[union-attr]
    assert esme.poll(61.0) == [] or True
    assert esme.lost().tolist() in ([0], [])


@settings(max_examples=80)
@given(st.data())
def test_windows_are_dictionaries(data: st.DataObject) -> None:
    sessions, now = data.draw(st.integers(1, 4)), 0.0
    windows = Windows(sessions)
    each = [Window(windows, row) for row in range(sessions)]
    serials = [MAX_SEQUENCE - 20] * sessions
    for window in each:
        window.start_at(MAX_SEQUENCE - 20)
    models: list[dict[int, tuple[int, float]]] = [{} for _ in each]  # by sequence number: handle, when
    handle = 0
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from([0.0, 1.0]))
        row = data.draw(st.integers(0, sessions - 1))
        match data.draw(st.sampled_from(["add", "add", "skip", "match", "match in order", "expire"])):
            case "add":
                most = data.draw(st.sampled_from([1, sessions]))
                rows = sorted(data.draw(st.sets(st.integers(0, sessions - 1), min_size=1, max_size=most)))
                counts = [data.draw(st.integers(1, 40)) for _ in rows]
                handles = np.arange(handle, handle + sum(counts), dtype=np.uint64)
                said = windows.add(np.array(rows), np.array(counts), handles, now).tolist()
                for which, count in zip(rows, counts, strict=True):
                    expected = sequence_of(np.arange(serials[which], serials[which] + count)).tolist()
                    assert [said.pop(0) for _ in range(count)] == expected
                    models[which] |= {number: (handle + place, now) for place, number in enumerate(expected)}
                    serials[which] += count
                    handle += count
            case "skip":
                each[row].skip()
                serials[row] += 1
            case "match":
                pool = [(w, n) for w in range(sessions) for n in [*models[w], 0, 5, MAX_SEQUENCE, 2**32 - 1]]
                asked = data.draw(st.lists(st.sampled_from(pool), max_size=30))
                owner = np.array([w for w, _ in asked], np.int64)
                found = windows.match(owner, np.array([n for _, n in asked], np.uint32))
                assert found.rows.tolist() == sorted(found.rows.tolist())
                told = [asked[at] for at in found.rows.tolist()]
                assert len(set(told)) == len(told) and set(told) == {(w, n) for w, n in asked if n in models[w]}
                expected = [models[w].pop(n) for w, n in told]
                assert list(zip(found.handles.tolist(), found.sent.tolist(), strict=True)) == expected
            case "match in order":
                numbers = list(models[row])[data.draw(st.integers(0, 5)) :][: data.draw(st.integers(1, 40))]
                numbers += data.draw(st.sampled_from([[], [], [5], numbers[:1], [2**32 - 1]]))
                found = each[row].match(np.array(numbers, np.uint32))
                right = [models[row].pop(number, None) for number in numbers]
                assert [right[at] for at in found.rows.tolist()] == [pair for pair in right if pair is not None]
                pairs = list(zip(found.handles.tolist(), found.sent.tolist(), strict=True))
                assert pairs == [pair for pair in right if pair is not None]
            case _:
                gone = {number: pair for number, pair in models[row].items() if pair[1] < now}
                assert sorted(each[row].expired(now).tolist()) == sorted(pair[0] for pair in gone.values())
                for number in gone:
                    del models[row][number]
        assert [window.open for window in each] == [len(model) for model in models]
        for window, model in zip(each, models, strict=True):
            assert window.oldest() == min((sent for _, sent in model.values()), default=None)


@pytest.mark.parametrize("in_order", [True, False])
def test_an_answer_with_a_number_that_stands_for_nothing_is_of_no_older_request(in_order: bool) -> None:
    """One that is a ring older would stand at its place."""
    windows = Windows(1)
    size, window = windows.size, Window(windows, 0)
    window.add(np.array([7], np.uint64), 1.0)
    for number in range(1, size):
        sequence = window.add(np.array([number + 100], np.uint64), 2.0)
        assert window.match(sequence, in_order=in_order).handles.tolist() == [number + 100]
    window.skip()
    assert not len(window.match(np.array([size + 1], np.uint32), in_order=in_order).rows)
    late = window.add(np.array([8], np.uint64), 3.0)
    assert not len(window.match(np.array([2], np.uint32), in_order=in_order).rows)  # it was answered before
    assert window.match(np.array([1], np.uint32), in_order=in_order).handles.tolist() == [7]
    assert window.match(late, in_order=in_order).handles.tolist() == [8] and window.open == 0


def test_requests_that_are_never_answered_cost_the_others_nothing() -> None:
    windows, kept = Windows(), []
    window = Window(windows)
    for turn in range(3_000):
        sequence = window.add(handles(2 * turn, 2 * turn + 1), float(turn))
        if turn % 100:
            window.match(sequence)
        else:
            window.match(sequence[1:])
            kept.append(sequence[0])
    assert window.open == 30 and windows.size <= 128 and window.oldest() == 0.0
    found = window.match(np.array(kept[::-1], np.uint32))
    assert found.handles.tolist() == [200 * place for place in range(29, -1, -1)] and not window.open


@given(st.lists(st.binary(max_size=60), max_size=10), st.sampled_from(list(Side)), st.booleans())
def test_hostile_octets(parts: list[bytes], side: Side, bound: bool) -> None:
    session = (bound_pair()[side is Side.SMSC]) if bound else Session(side)
    for part in parts:
        session.receive(part, 1.0)
        session.take_output()
    session.poll(1000.0)
    session.lost()


@given(
    st.lists(
        st.tuples(st.sampled_from([*Command, 0x22, 0xFFFFFFFF]), st.integers(0, 4), st.binary(max_size=40)), max_size=12
    ),
    st.sampled_from(list(Side)),
    st.integers(1, 40),
)
def test_hostile_pdus(parts: list[tuple[int, int, bytes]], side: Side, step: int) -> None:
    esme, smsc = bound_pair()
    session = esme if side is Side.ESME else smsc
    if session.room:
        session.send(texts(3), handles(0, 1, 2), 0.0)
    octets = b"".join(struct.pack(">IIII", 16 + len(b), command, 0, s) + b for command, s, b in parts)
    for at in range(0, len(octets), step):
        for event in session.receive(octets[at : at + step], 1.0):
            if isinstance(event, Answered):
                assert set(event.handles.tolist()) <= {0, 1, 2}
        session.take_output()


def test_more_than_fits_is_a_mistake_of_ours() -> None:
    esme, _ = bound_pair(window=2)
    with pytest.raises(ValueError, match="room"):
        esme.send(texts(3), handles(1, 2, 3), 0.0)


def test_unanswered_messages_are_told_once() -> None:
    esme, smsc = bound_pair(response=10)
    submitted(esme, smsc, 2, now=1.0)
    esme.send(texts(1), handles(7), 5.0)
    assert esme.next_time() == 11.0
    (first,) = esme.poll(11.0)
    assert isinstance(first, Unanswered) and first.handles.tolist() == [0, 1]
    (second,) = esme.poll(15.0)
    assert isinstance(second, Unanswered) and second.handles.tolist() == [7]
    esme.receive(encode_answers(Command.SUBMIT_SM_RESP, sequences(2, 3)).tobytes(), 16.0)
    assert esme.counts.strange_answers == 2


def test_states_are_told() -> None:
    for command, state in [
        (Command.BIND_TRANSMITTER, State.BOUND_TX),
        (Command.BIND_RECEIVER, State.BOUND_RX),
        (Command.BIND_TRANSCEIVER, State.BOUND_TRX),
    ]:
        assert bound_pair(command=command)[0].state is state
