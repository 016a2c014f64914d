"""Hosts whose names resolve later, to two addresses, or never."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from tests.mesh.processes import free_port
from tests.roles.waiting import DEADLINE_S, until
from zsms import Broker, DelayModel, Monitor, Producer, Sender, StatsCollector, UsageError, ZsmsError
from zsms.dashboard.reader import Reader
from zsms.roles import base, link, stats_publisher
from zsms.roles.operator import Operator


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A resolver's table, for this process and not for libzmq; a name without addresses is not known yet."""
    table: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *how: Any, **more: Any) -> Any:
        if host not in table:
            return real(host, *how, **more)
        if not table[host]:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [found for address in table[host] for found in real(address, *how, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(link, "COMPLAIN_S", 0.1)
    monkeypatch.setattr(stats_publisher, "LOOK_S", 0.1)
    monkeypatch.setattr(base, "FINAL_S", 0.3)
    monkeypatch.setattr(base, "FINAL_STOPPED_S", 0.3)
    return table


def test_a_collector_s_name_keeps_nobody_from_its_work(run, names, caplog):
    names["stats.invalid"] = []
    lost = {"stats": "stats.invalid", "stats_interval": 0.05, "drain_timeout": 0.5}
    broker = run(Broker("127.0.0.1:0", **lost))
    sender = run(Sender(broker.endpoint, concurrency=50, delay=DelayModel("constant", 0.01), **lost))
    producer = run(Producer(broker.endpoint, messages=100, **lost))
    assert producer.join(DEADLINE_S)
    until(lambda: broker.core.totals()["sent"] == 100, "all of them sent")
    assert sender.running and "stats.invalid" in caplog.text and "can't be resolved" in caplog.text


def test_a_broker_s_name_may_resolve_later(run, names, caplog):
    """libzmq resolves by itself, with each attempt: here its name is one that it knows, and Python's resolver lags."""
    names["localhost"] = []
    broker = run(Broker("127.0.0.1:0"))
    producer = run(Producer(f"localhost:{broker.endpoint.rpartition(':')[2]}", messages=10))
    assert producer.join(DEADLINE_S) and broker.core.totals()["accepted"] == 10


def test_who_waits_for_a_name_says_so_and_tries_on(run, names, caplog):
    names["later.invalid"] = []
    producer = run(Producer("later.invalid:5555", messages=10, drain_timeout=0))
    monitor = run(Monitor("later.invalid:5557", interval=0.05))
    until(lambda: caplog.text.count("host 'later.invalid' can't be resolved: Temporary failure") >= 2, "two lines")
    until(lambda: "no answer from a collector at tcp://later.invalid:5557" in caplog.text, "the monitor's line")
    assert producer.running and monitor.running
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_a_monitor_that_gives_up_says_why(names):
    names["later.invalid"] = []
    with pytest.raises(ZsmsError, match=r"for 0\.1 s \(host 'later.invalid' can't be resolved: Temporary failure"):
        Monitor("later.invalid:5557", once=True, timeout=0.1).run()


@pytest.mark.parametrize("first", ["broker", "sender"])
def test_of_two_addresses_the_one_that_answers_is_taken(run, names, caplog, first):
    names["localhost"] = ["127.0.0.1", "::1"]
    port = free_port("::1")
    make = {
        "broker": lambda: run(Broker(f"[::1]:{port}")),
        "sender": lambda: run(Sender(f"localhost:{port}", concurrency=10, delay=DelayModel("constant", 0.01))),
    }
    made = {first: make[first]()}
    if first == "sender":
        until(lambda: "tried 127.0.0.1 and ::1" in caplog.text, "the addresses that were tried")
    (other,) = make.keys() - made.keys()
    made[other] = make[other]()
    until(lambda: made["broker"].core.sessions, "the sender that joined")


def test_the_dashboard_says_what_the_monitor_says(run, names, caplog):
    names["later.invalid"] = []
    heard: list[object] = []
    run(Reader("later.invalid:5557", 0.05, lambda answer, _: heard.append(answer)))
    until(lambda: "no answer from a collector at tcp://later.invalid:5557" in caplog.text, "the line")
    until(lambda: "host 'later.invalid' can't be resolved" in caplog.text and heard, "why, and a page that says it too")
    assert set(heard) == {None}


def test_what_is_said_once_needs_a_name_at_once(names):
    names["never.invalid"] = []
    with pytest.raises(UsageError, match=r"host 'never\.invalid' can't be resolved.*check the name"):
        Operator("never.invalid")


def test_a_collector_on_the_other_address_is_found(run, names):
    names["localhost"] = ["127.0.0.1", "::1"]
    port = free_port("::1")
    broker = run(Broker("127.0.0.1:0", stats=f"localhost:{port}", stats_interval=0.05))
    collector = run(StatsCollector(f"[::1]:{port}"))
    until(lambda: collector.book.taken, "the broker's statistics")
    assert broker.running
