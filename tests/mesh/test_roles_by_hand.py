"""The roles as commands, each started by hand: in any order, and again after they have died."""

from __future__ import annotations

import json
import random
import re
from signal import SIGINT, SIGTERM
from typing import Any

import pytest

from tests.mesh.processes import ByHand, Command, line_with, until, zsms
from zsms.stats.view import View


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_roles_find_each_other_in_whatever_order_they_start(mesh: ByHand, seed: int) -> None:
    options = {
        "stats": (),
        "broker": (),
        "producer": ("--messages", 5000),
        "sender": ("--concurrency", 1000, "--mean", 0.1),
        "monitor": ("--interval", 0.2, "--json", "--until-done"),
    }
    order = list(options)
    random.Random(seed).shuffle(order)
    running: dict[str, Command] = {}
    for role in order:
        # The next one is started when this one is there, and has perhaps found nobody yet.
        running[role] = mesh.start(role, *options[role], "--verbose")
        if role in ("stats", "broker"):
            running[role].wait_for("listening on")

    assert running["producer"].end() == 0
    assert running["monitor"].end() == 0
    lines = [json.loads(line) for line in running["monitor"].out.splitlines()]
    assert lines[-1]["done"] is True and lines[-1]["balanced"] is True
    assert lines[-1]["produced"] == lines[-1]["sent"] == 5000
    assert not any(line["done"] for line in lines[:-1])
    for role in ("sender", "broker", "stats"):
        running[role].signal(SIGTERM)
        assert running[role].end() == 0, running[role].err
        assert "Traceback" not in running[role].err


def test_the_monitor_says_a_line_and_leaves(mesh: ByHand) -> None:
    mesh.start("stats")
    mesh.start("broker")
    mesh.start("producer", "--messages", 300)
    mesh.start("sender", "--concurrency", 100, "--mean", 0.05, "--failure-rate", 1)
    mesh.when(lambda view: view.done, "the end")
    once = ("monitor", "--stats", mesh.stats, "--once")

    def look() -> dict[str, Any]:
        done = zsms(*once, "--json")
        assert done.returncode == 0
        (line,) = done.stdout.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    figures = until(lambda: (found := look())["senders_alive"] and found, "a sender that is heard")
    assert figures["failed"] == figures["produced"] == 300 and figures["sent"] == 0
    assert figures["queued"] == figures["in_flight"] == 0
    assert 0.03 < figures["mean_s"] < 3

    done = zsms(*once)
    assert done.returncode == 0
    assert done.stdout == ""
    assert re.search(line_with(produced="300", sent="0", failed="300"), done.stderr, re.MULTILINE)


def test_the_monitor_waits_for_a_collector_and_recovers_when_it_returns(mesh: ByHand) -> None:
    """Rows 30 and 32."""
    monitor = mesh.start("monitor", "--interval", 0.1)
    monitor.wait_for("no answer from a collector")
    stats = mesh.start("stats")
    monitor.wait_for("answers again")
    monitor.wait_for(line_with(produced="0"))
    mesh.start("broker")
    mesh.start("producer", "--messages", 100)
    monitor.wait_for(line_with(produced="100"))

    stats.popen.kill()
    monitor.wait_for("(?s)answers again.*no answer from a collector")
    mesh.start("stats")
    # The figures are cumulative: a new collector has them all with the next snapshot of each process.
    monitor.wait_for("(?s)answers again.*answers again.*" + line_with(queued="100"))
    monitor.signal(SIGINT)
    assert monitor.end() == 130


def test_a_sender_that_died_is_taken_back(mesh: ByHand) -> None:
    mesh.start("stats")
    broker = mesh.start("broker", "--liveness", 2)
    sender = ("sender", "--name", "phoenix", "--concurrency", 100, "--prefetch", 0)
    first = mesh.start(*sender, "--mean", 0.5)
    mesh.start("producer", "--messages", 3000)
    before = mesh.when(lambda view: view.sent >= 100, "some sends")
    first.popen.kill()
    mesh.when(lambda view: view.redelivered, "its messages to be taken back")

    second = mesh.start(*sender, "--mean", 0.05)
    mesh.when(lambda view: view.sent > before.sent + 300 and view.senders_alive == 1, "sends by its successor")
    view = mesh.when(lambda view: view.done, "the end")
    assert view.balanced and view.sent == view.produced == 3000 > before.sent
    # Its successor, too, may have been silent for two seconds.
    assert 0 < view.redelivered <= 100 * broker.err.count("sender lost")
    assert len(view.senders) == 1
    second.signal(SIGTERM)
    assert second.end() == 0


def now_sent(view: View) -> int:
    """What the broker's present start has had sent."""
    return sum(row.figures.sent or 0 for row in view.brokers)


def test_a_broker_that_was_restarted_is_found_again(mesh: ByHand) -> None:
    mesh.start("stats")
    first = mesh.start("broker", "--name", "broker", "--max-messages", 500)
    mesh.start("sender", "--name", "sender", "--concurrency", 100, "--mean", 0.5)
    producer = mesh.start("producer", *("--messages", 2500, "--batch", 100, "--window", 1000, "--resend-after", 1))
    mesh.when(lambda view: view.sent >= 100, "some sends")
    first.popen.kill()
    first.end()
    mesh.start("broker", "--name", "broker", "--max-messages", 500)
    mesh.start("sender", "--name", "another", "--concurrency", 500, "--mean", 0.05)
    assert producer.end() == 0
    # What the dead one held in memory is gone with it, and the accounts say so: the rest is not.
    view = mesh.when(lambda view: view.producers_done and now_sent(view) > 500 and not view.queued, "the end")
    view = mesh.when(lambda view: not view.queued and not view.in_flight, "the end")
    (row,) = view.brokers
    assert row.figures.accepted == now_sent(view)
    assert now_sent(view) < view.sent < view.produced == 2500


def test_an_interrupted_role_says_so_with_its_exit_code(mesh: ByHand) -> None:
    mesh.start("stats")
    broker = mesh.start("broker")
    sender = mesh.start("sender", "--mean", 0.01)
    mesh.when(lambda view: view.slots, "a sender")
    for process in (sender, broker):
        process.signal(SIGINT)
        assert process.end() == 130
        assert "Traceback" not in process.err
    mesh.when(lambda view: True, "a collector that is still there")
