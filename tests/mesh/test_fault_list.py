"""Faults that need roles started by hand: the rows of docs/RELIABILITY.md that name this file."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM

import psutil
import pytest

from tests.mesh.processes import ByHand, Command, descriptors, environment, kill, line_with, until, zsms
from zsms.stats.view import View

SMALL_QUEUE = ("--max-messages", 500, "--liveness", 1)


def figures(view: View, role: str) -> dict[str, float]:
    """Counters and gauges of the one process of this role."""
    (row,) = (row for row in view.processes if row.role == role)
    counters, gauges = row.figures.to_wire()
    return {**counters, **gauges}


# -- rows 2, 7, 18, 26: processes that die or hang -------------------------------------------------------------


def test_row_2_with_every_sender_dead_the_queue_stays_bounded_and_work_goes_on_when_one_returns(mesh: ByHand) -> None:
    mesh.start("stats")
    mesh.start("broker", *SMALL_QUEUE)
    victims = [mesh.start("sender", "--name", f"s{i}", "--concurrency", 100, "--mean", 1) for i in (1, 2)]
    producer = mesh.start("producer", "--messages", 4_000, "--batch", 50, "--window", 300)
    mesh.when(lambda view: view.sent > 100 and view.senders_alive == 2, "two senders at work")
    for victim in victims:
        kill(victim.popen.pid)
    view = mesh.when(lambda view: not view.slots and not view.in_flight and view.queued >= 500, "a queue that is full")
    for _ in range(2):  # now, and a second later
        # What it made is in the queue, in its window, or in the frames of one read and the pipes between.
        made, most = figures(view, "producer")["produced"], 500 + 16 * 50 + 200
        assert view.queued <= most and made - view.settled <= most + 300 + 50
        assert made < 4_000 and producer.popen.poll() is None
        view = mesh.when(lambda now, at=view.at: now.at > at + 1, "another second")
    mesh.start("sender", "--name", "s3", "--concurrency", 1_000, "--mean", 0.05)
    assert producer.end() == 0
    view = mesh.when(lambda view: view.done, "the end")
    assert view.balanced and view.sent == 4_000 and view.redelivered >= 200


def test_row_7_a_sender_that_hangs_while_it_pings_loses_its_messages_to_others(mesh: ByHand, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(
        "import asyncio\n\n\nasync def send(message):\n    await asyncio.sleep(3600)\n"
    )
    mesh.start("stats")
    broker = mesh.start("broker", "--lease", 1.5, "--liveness", 30)
    hanging = ("sender", *("--transport", "hanging:send", "--concurrency", 20, "--prefetch", 0, "--name", "hangs"))
    to = ("--broker", mesh.broker, "--stats", mesh.stats, "--stats-interval", 0.1)
    mesh.stack.enter_context(Command(*hanging, *to, cwd=tmp_path))
    mesh.when(lambda view: view.slots == 20, "the one that hangs")
    mesh.start("producer", "--messages", 20)
    mesh.when(lambda view: view.in_flight == 20, "all messages with it")
    mesh.start("sender", "--concurrency", 100, "--mean", 0.01, "--name", "works")
    view = mesh.when(lambda view: view.sent == 20, "the other one to send them")
    assert view.balanced and view.redelivered >= 20
    broker.wait_for("lease expired: hangs, ")
    assert "sender lost" not in broker.err  # it never fell silent


def test_row_18_what_a_producer_had_confirmed_when_it_was_killed_is_kept(mesh: ByHand) -> None:
    mesh.start("stats")
    mesh.start("broker")
    producer = mesh.start("producer", "--messages", 10**9, "--rate", 2_000)
    view = mesh.when(lambda view: view.produced and figures(view, "producer")["confirmed"] > 500, "confirms")
    kill(producer.popen.pid)
    confirmed = figures(view, "producer")["confirmed"]
    mesh.start("sender", "--concurrency", 5_000, "--mean", 0.05)
    view = mesh.when(lambda view: view.settled == view.accepted and not view.queued, "all that arrived to be sent")
    assert view.balanced and view.sent == view.accepted >= confirmed > 0


def test_row_26_a_poison_message_is_dead_after_its_deliveries_and_its_neighbours_go_on(
    mesh: ByHand, tmp_path: Path
) -> None:
    # It kills when its neighbours are acknowledged, those that its sender has too.
    (tmp_path / "poisoned.py").write_text(
        "import asyncio, os\n\n\n"
        "async def send(message):\n"
        "    while message.text == 'poison':\n"
        "        if os.path.exists('kill'):\n            os._exit(9)\n"
        "        await asyncio.sleep(0.02)\n"
        "    return True\n"
    )
    rows = [f"+4990000000{number:02},{'poison' if number == 20 else 'hello'}" for number in range(40)]
    (tmp_path / "people.csv").write_text("recipient,text\n" + "\n".join(rows) + "\n")
    mesh.start("stats")
    mesh.start("broker", "--max-deliveries", 2, "--liveness", 3)
    assert mesh.start("producer", "--input", tmp_path / "people.csv").end() == 0
    to = ("--broker", mesh.broker, "--stats", mesh.stats, "--transport", "poisoned:send", "--concurrency", 5)
    for _ in range(2):
        with Command("sender", *to, cwd=tmp_path) as victim:
            mesh.when(lambda view: view.sent == 39 and view.in_flight == 1, "its neighbours")
            (tmp_path / "kill").touch()
            assert victim.end() == 9
        (tmp_path / "kill").unlink()
    mesh.when(lambda view: view.dead == 1, "a dead letter")
    assert mesh.start("producer", "--messages", 7).end() == 0
    mesh.stack.enter_context(Command("sender", *to, cwd=tmp_path))
    view = mesh.when(lambda view: view.sent == 46 and view.done, "what came later")
    assert view.balanced and view.dead == 1

    shown = zsms("queue", "show", "--broker", mesh.broker, "--messages", 3)
    assert shown.returncode == 0, shown.stderr
    assert "1: taken back from 2 senders" in shown.stdout
    assert "+499000000020  'poison'  (attempt 1, delivery 2," in shown.stdout


# -- rows 20, 25: who is the later one, and clocks that jump ---------------------------------------------------

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
needs_faketime = pytest.mark.skipif(LIBRARY is None, reason="needs faketime: apt-get install faketime")


def faked(offset: str) -> dict[str, str]:
    """An environment whose wall clock is off by this, and whose monotonic one is not."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def test_row_20_a_producer_that_restarts_with_its_name_fences_the_earlier_one(mesh: ByHand) -> None:
    mesh.start("stats")
    mesh.start("broker", "--max-messages", 100)
    old = mesh.start("producer", "--name", "p", "--messages", 10_000, "--batch", 50, "--window", 500)
    mesh.when(lambda view: view.queued >= 100, "a broker that is full")
    new = mesh.start("producer", "--name", "p", "--messages", 200, "--batch", 50)
    assert old.end() == 1
    assert "a later start of this producer has joined the broker; this one is fenced" in old.err
    mesh.start("sender", "--concurrency", 500, "--mean", 0.01)
    assert new.end() == 0
    view = mesh.when(lambda view: view.producers_done and not view.queued and not view.in_flight, "the end")
    assert view.balanced and view.settled == view.accepted > 200


@needs_faketime
def test_row_25_a_producer_that_starts_after_the_clock_was_set_back_is_the_later_one(mesh: ByHand) -> None:
    mesh.start("stats")
    mesh.start("broker", "--max-messages", 100)
    old = mesh.start("producer", "--name", "p", "--messages", 10_000, "--batch", 50, "--window", 500)
    mesh.when(lambda view: view.queued >= 100, "a broker that is full")
    new = mesh.start("producer", "--name", "p", "--messages", 200, env=faked("-1h"))
    new.wait_for("started after one whose clock was ahead")
    # It was welcomed before, so it is the earlier one, and the two don't fence each other in turn.
    assert old.end() == 1
    mesh.start("sender", "--concurrency", 500, "--mean", 0.01)
    assert new.end() == 0, new.err
    view = mesh.when(lambda view: view.producers_done and not view.queued and not view.in_flight, "the end")
    assert view.balanced and view.settled == view.accepted
    assert figures(view, "producer")["produced"] == 200  # the newest start, not the one with the greatest clock
    assert view.produced >= view.accepted


@needs_faketime
def test_row_25_wall_clocks_that_jump_an_hour_to_and_fro_have_no_effect(mesh: ByHand, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    jumping = faked("") | {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    del jumping["FAKETIME"]
    began = time.monotonic()
    stats = mesh.start("stats", env=jumping)
    broker = mesh.start("broker", "--liveness", 30, env=jumping)
    mesh.start("sender", *("--concurrency", 200, "--mean", 0.4, "--name", "s"), env=jumping)
    producer = mesh.start("producer", "--messages", 2_000, "--rate", 500, env=jumping)
    for jump, sent in (("+1h", 200), ("-1h", 700), ("+0", 1_200)):
        mesh.when(lambda view, sent=sent: view.sent > sent, "sends")
        clock.write_text(jump)
        if jump == "+1h":
            tell = (sys.executable, "-c", "import time; print(time.time(), time.monotonic())")
            wall, monotonic = map(float, subprocess.check_output(tell, env=environment(jumping)).split())
            assert wall > time.time() + 3_000 and monotonic < time.monotonic() + 100  # or nothing is shown by this
    assert producer.end() == 0
    view = mesh.when(lambda view: view.done, "the end")
    assert view.balanced and view.sent == 2_000 and view.redelivered == view.duplicates == 0
    assert 3 < view.busy_s < time.monotonic() - began and 0.3 < view.mean_s < 3
    for process in (broker, stats):
        process.signal(SIGTERM)
        assert process.end() == 0
    joined = [line for line in broker.err.splitlines() if "sender joined" in line]
    assert len(joined) == 1 and "sender lost" not in broker.err
    # Whatever it waited for, it was not for an hour.
    assert [line.partition(": ")[2] for line in producer.err.splitlines()] == ["2,000 messages made, all confirmed"]


# -- rows 24, 28: connections and descriptors ------------------------------------------------------------------


def ports(endpoint: str) -> tuple[int, int]:
    """Both ports of an endpoint."""
    first = int(endpoint.rpartition(":")[2])
    return first, first + 1


def plain_connection(port: int) -> socket.socket:
    """A TCP connection that never says a word."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


def test_row_28_five_thousand_idle_connections_keep_nobody_from_being_served(mesh: ByHand) -> None:
    mesh.start("stats")
    broker = mesh.start("broker")
    mesh.when(lambda view: view.brokers_alive, "a broker")
    with descriptors(6_000), ExitStack() as stack:
        process = psutil.Process(broker.popen.pid)
        for _ in range(1_250):
            for port in (*ports(mesh.broker), *ports(mesh.stats)):
                stack.enter_context(plain_connection(port))
        until(lambda: process.num_fds() > 1_000, "their connections at the broker")
        mesh.start("sender", "--concurrency", 500, "--mean", 0.01)
        assert mesh.start("producer", "--messages", 2_000).end() == 0
        view = mesh.when(lambda view: view.done, "the end")
        assert view.sent == 2_000 and view.balanced and figures(view, "broker")["refused_frames"] == 0
        until(lambda: process.num_fds() < 100, "the end of connections that never spoke")


def test_row_24_a_broker_without_descriptors_lives_and_recovers(mesh: ByHand) -> None:
    mesh.start("stats")
    to = ("--bind", mesh.broker, "--stats", mesh.stats, "--stats-interval", 0.1)
    few = ("prlimit", "--nofile=60:60")
    broker = mesh.stack.enter_context(Command("broker", *to, prefix=few))
    mesh.start("sender", "--concurrency", 100, "--mean", 0.01, "--name", "early")
    mesh.when(lambda view: view.slots == 100, "a sender")
    process = psutil.Process(broker.popen.pid)
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(plain_connection(ports(mesh.broker)[1]))
        until(lambda: process.num_fds() >= 60, "its last descriptor in use")
        # Who is connected is served; who comes now has to wait.
        late = mesh.start("producer", "--messages", 1_000)
        assert mesh.when(lambda view: view.slots == 100 and view.at, "its word").brokers_alive == 1
    assert late.end() == 0
    view = mesh.when(lambda view: view.done, "the end")
    assert view.sent == 1_000 and view.balanced
    broker.signal(SIGTERM)
    assert broker.end() == 0 and "Traceback" not in broker.err


# -- a broker that is gone -------------------------------------------------------------------------------------


def test_a_monitor_that_waits_for_the_end_says_when_there_will_be_none(mesh: ByHand) -> None:
    mesh.start("stats")
    broker = mesh.start("broker", "--name", "broker")
    assert mesh.start("producer", "--messages", 500).end() == 0
    mesh.when(lambda view: view.queued == 500 and view.producers_done, "a queue")
    monitor = mesh.start("monitor", "--until-done", "--interval", 0.1)
    monitor.wait_for(line_with(queued="500"))
    kill(broker.popen.pid)
    broker.end()
    mesh.start("broker", "--name", "broker")
    assert monitor.end() == 1
    assert "500 messages were confirmed and are not settled" in monitor.err
    assert "the broker that held them has started again without them" in monitor.err
    assert "Traceback" not in monitor.err
