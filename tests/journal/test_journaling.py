"""The broker role and its journal, with a disk that the test holds up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.core.making import column, make_batch
from tests.journal.making import LIMITS, held
from tests.roles.peers import RawPeer
from tests.roles.waiting import until
from zsms import Broker, Producer
from zsms.core.broker.journal import Group
from zsms.core.broker.replay import rebuild
from zsms.journal import open_journal, read
from zsms.journal.sqlite import SqliteStore
from zsms.roles.journaling import GROUP_BYTES, Journaling
from zsms.wire.codec import encode_batch
from zsms.wire.frames import Ack, Confirm, JoinProducer, JoinSender, Ping, Pong, Welcome


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Groups are committed only while it is set."""
    works, commit = threading.Event(), SqliteStore.commit

    def wait(store: SqliteStore, group: Group) -> None:
        assert works.wait(40)
        commit(store, group)

    monkeypatch.setattr(SqliteStore, "commit", wait)
    yield works
    works.set()


def test_a_disk_that_stands_still_stops_the_reading_and_no_confirm_is_given(
    tmp_path: Path, disk: threading.Event
) -> None:
    messages = 400_000  # 24 MB
    at = f"ipc://{tmp_path}/broker"
    with Broker(at, journal=tmp_path / "journal") as broker:
        producer = Producer(at, messages=messages, window=messages).start()
        journal = broker.core.journal
        assert journal is not None
        until(lambda: journal.nbytes >= GROUP_BYTES, "more than the open group may have")
        until(lambda: not broker.reading, "the end of the reading")
        held_up = broker.core.queue.messages
        assert 2 * GROUP_BYTES < held_up * 60 + GROUP_BYTES < 5 * GROUP_BYTES
        assert producer.window.confirmed_messages == 0
        disk.set()
        assert producer.join(40)
        assert producer.window.confirmed_messages == broker.core.queue.messages == messages
        assert producer.window.resent == 0
        broker.stop()
        broker.stop()
        assert broker.join(40)
    with read(tmp_path / "journal") as core:
        assert core.totals()["queued"] == messages


def test_nothing_is_told_but_what_is_durable(tmp_path: Path, disk: threading.Event) -> None:
    """By no frame: a producer lets go of whatever a CONFIRM, PONG or WELCOME covers."""
    at = f"ipc://{tmp_path}/broker"
    with Broker(at, journal=tmp_path / "journal") as broker:
        push, link = RawPeer(zmq.PUSH, f"{at}.1"), RawPeer(zmq.DEALER, f"{at}.2")
        try:
            link.say(JoinProducer(1, 1, "raw", 0, 0.0))
            assert link.hear(Welcome).next == 0
            push.send(encode_batch(make_batch(100)))
            until(lambda: broker.core.queue.messages == 100, "the batch in the queue")
            link.say(JoinProducer(1, 1, "raw", 0, 0.0))
            assert link.hear(Welcome).next == 0
            link.say(Ping(1, 0.0))
            assert link.hear(Pong).next == 0
            push.send(encode_batch(make_batch(100)))  # again: this one is answered with a confirm, of nothing
            assert link.hear(Confirm).next == 0
            disk.set()
            assert link.hear(Confirm).next == 1
            link.say(Ping(1, 0.0))
            assert link.hear(Pong).next == 1
        finally:
            push.close()
            link.close()
        broker.stop()
        broker.stop()


@pytest.mark.parametrize("at_once", [False, True])
def test_what_came_last_is_written_as_a_broker_leaves(tmp_path: Path, at_once: bool) -> None:
    log = logging.getLogger("test")
    journaling = Journaling(tmp_path, "fsync", limits=LIMITS, seed=1, now=0.0, log=log, name="b", wake=lambda: None)
    core = journaling.core
    core.producer_joined(b"p", JoinProducer(1, 1, "P", 0, 0.0), 0.0)
    journaling.turn(0.0)
    journaling.turn(0.01)  # the producer is on its way
    core.put(make_batch(5), 0.02)
    assert not journaling.done and not core.confirms()
    journaling.finish(at_once)
    assert journaling.done and [account.durable_through for account in core.confirms()] == [1]
    journaling.close()
    assert held(tmp_path)["totals"]["queued"] == 5


def test_after_the_machine_s_restart_no_time_is_in_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when the journal has no batch any more, whose time would tell: only the books have times then."""
    with open_journal(tmp_path) as store:
        core = rebuild(store.load(), LIMITS, now=5_000.0)
        core.producer_joined(b"p", JoinProducer(1, 1, "P", 0, 0.0), 5_000.0)
        core.sender_joined(b"s", JoinSender(7, 1, "S", 10, 0, 0.0, 0.0), 5_000.0)
        core.put(make_batch(4), 5_000.0)
        core.acknowledged(b"s", Ack(7, 0, 4, 0, column(()), column(())), 5_000.0)
        list(core.grants(5_000.0))
        core.acknowledged(b"s", Ack(7, 1, 4, 0, column(range(4)), column(())), 5_003.0)
        assert core.journal is not None
        store.commit(core.journal.close(core.books))
    monkeypatch.setattr("zsms.journal.sqlite.boot_id", lambda: "another")
    options = {"limits": LIMITS, "seed": 1, "log": logging.getLogger("test"), "name": "b", "wake": lambda: None}
    journaling = Journaling(tmp_path, "fsync", now=10.0, **options)
    journaling.close()
    assert (journaling.core.progress.first_accepted, journaling.core.progress.last_settled) == (7.0, 10.0)
    again = Journaling(tmp_path, "fsync", now=8.0, **options)  # a clock that says less although the machine is the same
    again.close()
    assert again.core.progress.last_settled == 8.0


def test_a_batch_of_a_clock_that_is_gone_is_no_older_than_the_broker(tmp_path: Path) -> None:
    """Its row is as it was written, two restarts of the broker after one of the machine."""
    with open_journal(tmp_path) as store:
        core = rebuild(store.load(), LIMITS)
        core.producer_joined(b"p", JoinProducer(1, 1, "P", 0, 0.0), 5_000.0)
        core.put(make_batch(4), 5_000.0)
        assert core.journal is not None
        store.commit(core.journal.close(core.books))
        (lot,) = rebuild(store.load(), LIMITS, now=100.0).queue.lots()
        (written,) = rebuild(store.load(), LIMITS).queue.lots()
    assert (lot.queued, written.queued) == (100.0, 5_000.0)
    assert lot.whole.due == written.whole.due - 4_900.0
