"""A monitor tells what it sees, says so when it sees nothing, and goes on."""

from __future__ import annotations

import logging
import re
import time

import pytest
import zmq

from tests.roles.peers import urls
from tests.roles.waiting import DEADLINE_S, until
from zsms import Monitor, StatsCollector
from zsms.errors import ZsmsError
from zsms.stats.snapshot import Snapshot
from zsms.stats.view import View
from zsms.wire.codec import decode, encode
from zsms.wire.frames import Answer, Ask, Refused


def snapshot(role: str, start: int = 1, seq: int = 0, **more: dict) -> Snapshot:
    counters, gauges, state = more.get("counters", {}), more.get("gauges", {}), more.get("state", "running")
    return Snapshot(role, role, start, seq, "host", 1, state, 1.0, counters, gauges)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("zsms.roles.asker.ANSWER_S", 0.1)


def lines(caplog, text: str) -> list[str]:
    return [message for message in caplog.messages if text in message]


def test_it_says_that_nobody_answers_and_recovers(run, address, caplog, impatient):
    at = address()
    monitor = run(Monitor(at, interval=0.05))
    until(lambda: lines(caplog, f"no answer from a collector at {at}"), "a complaint")
    assert monitor.view is None
    first = run(StatsCollector(at))
    until(lambda: monitor.view is not None, "an answer")
    until(lambda: lines(caplog, "answers again"), "the good news")
    first.stop()
    assert first.join(DEADLINE_S)
    caplog.clear()
    until(lambda: lines(caplog, "no answer from a collector"), "another complaint")
    old = monitor.view
    run(StatsCollector(at))
    until(lambda: monitor.view is not old, "an answer of the next collector")
    until(lambda: lines(caplog, "answers again"), "the good news, again")
    assert monitor.running and len(lines(caplog, "no answer")) < 10  # one a second at most


def test_once_leaves_after_the_first_answer(address):
    with StatsCollector(address()) as collector:
        collector.book.put(snapshot("broker", counters={"accepted": 10, "sent": 7}), 0.0)
        shown = []
        Monitor(collector.endpoint, once=True, interval=60, show=lambda *views: shown.append(views)).run()
    ((view, before),) = shown
    assert (view.accepted, view.sent, before) == (10, 7, None)


def test_until_done_leaves_when_all_work_is_done(run, address):
    collector = run(StatsCollector(address()))
    views: list[tuple[View, View | None]] = []
    monitor = run(Monitor(collector.endpoint, interval=0.05, until_done=True, show=lambda *v: views.append(v)))
    until(lambda: len(views) > 1, "two views of nothing")
    collector.book.put(snapshot("producer", counters={"produced": 10}, state="done"), 0.0)
    collector.book.put(snapshot("broker", counters={"accepted": 10, "sent": 7}, gauges={"in_flight": 3}), 0.0)
    until(lambda: views[-1][0].sent == 7, "a view of work")
    assert monitor.running
    collector.book.put(snapshot("broker", seq=1, counters={"accepted": 10, "sent": 7, "failed": 3}), 0.0)
    assert monitor.join(DEADLINE_S)
    assert monitor.view is views[-1][0] and monitor.view.done
    assert [before for _, before in views] == [None, *(view for view, _ in views[:-1])]


def test_it_logs_a_line_a_view_unless_told_otherwise(address, caplog):
    caplog.set_level(logging.INFO, logger="zsms.monitor")
    with StatsCollector(address()) as collector:
        collector.book.put(snapshot("broker", counters={"sent": 1_234}), 0.0)
        Monitor(collector.endpoint, once=True).run()
    assert len(lines(caplog, "sent 1,234")) == 1


def test_an_answer_that_is_none_is_refused_and_asked_for_again(run, address, monkeypatch):
    monkeypatch.setattr("zsms.roles.asker.ANSWER_S", 0.5)
    at = address()
    with zmq.Context() as context:
        rep = context.socket(zmq.REP)
        rep.linger, rep.rcvtimeo = 0, 25_000
        rep.bind(urls(at)[1])
        monitor = run(Monitor(at, interval=0.05))
        for bad in (b"\xff\xff", b"", encode(Refused(1, False, "no")), encode(Ask("totals"))):
            assert decode(rep.recv()) == Ask("totals")
            rep.send(bad)
        assert decode(rep.recv()) == Ask("totals")
        until(lambda: monitor.refused_frames == 4, "four answers refused")
        rep.send(encode(Answer(0, {"totals": {"broker": {"sent": 5}}})))
        until(lambda: monitor.view is not None and monitor.view.sent == 5, "the right answer")
        rep.close()


def test_a_question_that_is_never_answered_is_asked_again(run, address, impatient):
    at = address()
    with zmq.Context() as context:
        router = context.socket(zmq.ROUTER)
        router.linger, router.rcvtimeo = 0, 25_000
        router.bind(urls(at)[1])
        monitor = run(Monitor(at, interval=0.05))
        asked = [router.recv_multipart() for _ in range(4)]
        router.send_multipart([*asked[0][:-1], encode(Answer(0, {"totals": {"broker": {"sent": 1}}}))])  # too late
        right = encode(Answer(0, {"totals": {"broker": {"sent": 2}}}))

        def answered() -> bool:
            """An answer that itself came too late is no use: the next question may be luckier."""
            if router.poll(1):
                router.send_multipart([*router.recv_multipart()[:-1], right])
            return monitor.view is not None

        until(answered, "an answer")
        assert monitor.view.sent == 2
        router.close()


def test_a_monitor_gives_up_after_its_timeout(address):
    at = address()
    began = time.monotonic()
    with pytest.raises(ZsmsError, match=f"no answer from a collector at {re.escape(at)} for 0.3 s"):
        Monitor(at, once=True, interval=60, timeout=0.3).run()
    assert 0.3 <= time.monotonic() - began < 20, "not at its next look"


def test_until_done_says_whom_it_waits_for(run, address, caplog, monkeypatch):
    monkeypatch.setattr("zsms.roles.monitor.WAITS_S", 0.1)
    collector = run(StatsCollector(address()))
    collector.book.put(snapshot("producer", counters={"produced": 10}, state="done"), 0.0)
    monitor = run(Monitor(collector.endpoint, interval=0.05, until_done=True))
    until(lambda: lines(caplog, "waiting for a broker: none is known to be alive"), "the reason")
    assert monitor.running
