"""`zsms run --brokers N` as real processes: all of them work, and when one is killed the rest goes on and ends."""

from __future__ import annotations

import json
from contextlib import ExitStack
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest

from tests.mesh.processes import SOME, Command, free_port, line_with, report_of, view_when


def test_a_mesh_of_two_brokers_uses_both_and_its_report_adds_up() -> None:
    report = report_of(
        *("--brokers", 2, "--messages", 6_000, "--concurrency", 500, "--mean", 0.1, "--batch", 200, "--window", 1_000)
    )
    messages = report["messages"]
    assert messages["produced"] == messages["sent"] == 6_000 and not messages["lost"] and report["balanced"]
    brokers = [row["name"] for row in report["processes"] if row["role"] == "broker"]
    assert brokers == ["broker-1", "broker-2"]
    assert sum(sender["slots"] for sender in report["senders"]) == 1_000
    # What each counted is added up: the last message is sent where the last is settled, to 10 ms.
    assert report["reach_s"]["p100"] == pytest.approx(report["wall_s"], abs=0.015)
    # 6,000 sends of 0.1 s in 1,000 slots: no figure is counted twice.
    assert 0.6 <= report["wall_s"] < report["elapsed_s"]
    assert report["throughput_per_s"] * report["wall_s"] == pytest.approx(6_000)
    ideal = 1_000 / report["asked_time_s"]
    assert report["efficiency"] == pytest.approx(report["throughput_per_s"] / ideal) and report["efficiency"] <= 1
    steady = report["steady"]
    assert steady["efficiency"] is None or 0 < steady["efficiency"] <= 1.001


def test_one_of_two_brokers_is_killed_and_the_rest_goes_on_and_ends() -> None:
    with Command(
        *("run", "--brokers", 2, "--messages", 8_000, "--senders", 2, "--concurrency", 300, "--mean", 0.5),
        *("--batch", 100, "--window", 1_000, "--max-messages", 1_000, "--liveness", 1, "--json", "-"),
    ) as run:
        run.wait_for(line_with(sent=SOME, in_flight=SOME))
        victim = run.child("broker-2")
        victim.kill()
        run.wait_for(r"broker-2 \(pid \d+\) was killed by SIGKILL; its messages are lost; the others go on")
        assert run.end() == 1, run.err  # something was lost
        report = json.loads(run.out)
    messages = report["messages"]
    assert messages["produced"] == 8_000
    settled = messages["sent"] + messages["failed"] + messages["dead"]
    assert settled + messages["unsettled"] + messages["lost"] == 8_000
    # It held at most its queue and what the senders had of it; producers kept at most a window for it.
    assert 0 < messages["lost"] <= 1_000 + 100 + 612 + 1_000 and not messages["unsettled"]
    assert report["completed"] is True and report["balanced"] is False
    assert any("broker-2" in problem and "lost" in problem for problem in report["problems"])
    codes = {process["name"]: process["exit_code"] for process in report["processes"]}
    assert codes["broker-2"] == -SIGKILL
    assert codes["broker-1"] == codes["producer-1"] == codes["sender-1"] == 0


def test_a_broker_that_hangs_costs_its_own_messages_a_wait_and_nobody_else_s() -> None:
    """Stopped for longer than its liveness time: its slots go to the other; resumed, it takes everybody back."""
    one, two, stats = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    peer = ("--broker", one, "--broker", two, "--stats", stats, "--stats-interval", 0.1)
    with ExitStack() as stack:

        def start(*arguments: object) -> Command:
            return stack.enter_context(Command(*arguments))

        start("stats", "--bind", stats)
        for address, name in ((one, "one"), (two, "two")):
            options = ("--stats", stats, "--stats-interval", 0.1, "--liveness", 0.5, "--max-messages", 500)
            started = start("broker", "--bind", address, "--name", name, *options)
        start("sender", *peer, "--concurrency", 100, "--mean", 0.05, "--sd", 0)
        producer = start("producer", *peer, "--messages", 5_000, "--batch", 50, "--window", 400)
        view_when(stats, lambda view: view.sent > 200 and view.held_by("two") > 0, "both at work")
        started.signal(SIGSTOP)
        producer.wait_for("no word from a broker")
        view = view_when(stats, lambda view: view.sent >= 5_000 - 500 - 150 - 400 - 200, "the rest")
        assert producer.popen.poll() is None and view.sent < 5_000
        started.signal(SIGCONT)
        assert producer.end() == 0
        view = view_when(stats, lambda view: view.done, "the end")
        assert view.balanced and view.sent == view.produced == 5_000
