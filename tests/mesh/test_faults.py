"""A mesh whose processes are killed, stopped and interrupted with real signals: the ledger balances all the same.

Runs that are to outlast a fault have far more messages than they will send, and a small queue, so that they drain
quickly when the test has seen enough.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any, Self

import psutil
import pytest

from tests.mesh.processes import SOME, Command, free_port, gone, kill, line_with, until, view_when
from zsms import Mesh, Report
from zsms.core.broker import BrokerLimits
from zsms.scenario import MeshConfig, SenderGroup
from zsms.stats.view import View

ENDLESS = ("--messages", 1_000_000_000, "--max-messages", 2000, "--window", 2000, "--batch", 500)
"""More messages than will be sent, few of them in the queue at a time."""
TWO_BUSY = line_with(in_flight=SOME, senders="2")
TWO_SENDING = line_with(sent=SOME, in_flight=SOME, senders="2")


class Running:
    """An endless mesh of three senders in a thread of its own; none of them is lost unless `liveness` is short."""

    def __init__(self, **limits: Any) -> None:
        self.said: list[str] = []
        config = MeshConfig(
            messages=10**9,
            groups=(SenderGroup(senders=3, concurrency=200, mean=0.2, sd=0.02),),
            limits=BrokerLimits(max_messages=2000, **{"liveness": 30.0, **limits}),
            window=2000,
            batch=500,
        )
        self.mesh = Mesh(config, say=self.said.append)
        self._reports: list[Report] = []
        self._thread = threading.Thread(target=lambda: self._reports.append(self.mesh.run()))

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            until(lambda: self.mesh.view is not None and self._is_busy(self.mesh.view), "busy senders")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.mesh.stop()
        self.mesh.stop()
        self._thread.join()

    @staticmethod
    def _is_busy(view: View) -> bool:
        return view.in_flight >= 600 and len(view.senders) == 3  # the broker may have told of more than they have

    @property
    def view(self) -> View:
        """How it stands."""
        assert self.mesh.view is not None
        return self.mesh.view

    def sent_by(self, name: str) -> int:
        """Sends that this sender has counted."""
        (row,) = (row for row in self.view.senders if row.name == name)
        return row.figures.sent or 0

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process for this long."""
        process = psutil.Process(self.mesh.pids[name])
        process.send_signal(SIGSTOP)
        resume_at = time.monotonic() + seconds
        until(lambda: time.monotonic() >= resume_at, "the end of the pause")
        process.send_signal(SIGCONT)

    def drained(self) -> Report:
        """End it; its report."""
        self.mesh.stop()
        self._thread.join(60)
        (report,) = self._reports
        return report


# -- kill -9 ---------------------------------------------------------------------------------------------------


def test_what_a_killed_sender_held_goes_to_the_others() -> None:
    """Row 1."""
    with Command(
        *("run", *ENDLESS, "--max-messages", 8_000, "--window", 8_000),
        *("--senders", 3, "--concurrency", 1000, "--mean", 0.5, "--json", "-"),
    ) as run:
        run.wait_for(line_with(in_flight=r"[23],\d{3}", senders="3"))
        victim = run.child("sender-2")
        victim.kill()
        run.wait_for(r"sender-2 \(pid \d+\) was killed by SIGKILL; its messages go to the others")
        run.signal(SIGINT)
        assert run.end() == 130, run.err
        report = json.loads(run.out)
    assert report["balanced"] is True
    messages = report["messages"]
    assert messages["lost"] == 0
    assert messages["redelivered"] > 0
    assert messages["produced"] == messages["sent"] > 0
    assert any("sender-2" in problem and f"{victim.pid}" in problem for problem in report["problems"])
    codes = {process["name"]: process["exit_code"] for process in report["processes"]}
    assert codes["sender-2"] == -SIGKILL
    assert codes["sender-1"] == codes["sender-3"] == 0


@pytest.mark.parametrize("victim", ["broker", "stats"])
def test_the_run_fails_and_says_what_it_knows_without(victim: str, tmp_path: Path) -> None:
    """The others: tests/launch/test_judge.py."""
    path = tmp_path / "report.json"
    with Command("run", *ENDLESS, "--mean", 0.2, "--concurrency", 200, "--json", path) as run:
        run.wait_for(TWO_SENDING)
        run.child(victim).kill()
        run.wait_for(r"\(pid \d+\) was killed by SIGKILL; .*can't go on without it")
        assert run.end() == 1
        assert "produced" in run.out and "problem" in run.out
        children = run.children()
    assert not children
    report = json.loads(path.read_text())
    assert report["completed"] is False and report["interrupted"] is False
    assert report["messages"]["produced"] > 0 and report["messages"]["sent"] > 0
    assert any(victim in problem for problem in report["problems"])


def test_no_process_outlives_a_run_that_was_killed() -> None:
    with Command("run", *ENDLESS, "--mean", 5) as run:
        run.wait_for(TWO_BUSY)
        children = run.children()
        assert len(children) >= 4
        kill(run.popen.pid)
        run.end()
        until(lambda: all(map(gone, children)), "the end of every process")


def test_no_process_outlives_a_run_that_was_killed_as_it_began() -> None:
    with Command("run", *ENDLESS) as run:
        children = until(lambda: (found := run.children()) and len(found) == 5 and found, "five processes")
        kill(run.popen.pid)
        until(lambda: all(map(gone, children)), "the end of every process")


# -- Ctrl-C and SIGTERM ----------------------------------------------------------------------------------------


def test_a_second_interrupt_ends_at_once() -> None:
    # A send takes a minute, and a drain as long as it takes.
    with Command("run", "--messages", 1000, "--mean", 60, "--drain-timeout", 600, "--json", "-") as run:
        run.wait_for(TWO_BUSY)
        run.signal(SIGINT)
        run.wait_for("stopping: ")
        began = time.monotonic()
        run.signal(SIGINT)
        assert run.end() == 130
        assert time.monotonic() - began < 20  # and not a minute
        report = json.loads(run.out)
    # Nobody had to be killed: everyone handed over a last word, and so it is known where every message was.
    assert report["problems"] == []
    assert all(process["exit_code"] == 0 for process in report["processes"] if process["role"] != "run")
    assert report["messages"]["unsettled"] == 1000
    assert report["messages"]["lost"] == 0


def test_an_interrupt_as_it_begins_leaves_nothing_behind() -> None:
    with Command("run", *ENDLESS, "--mean", 0.1) as run:
        children = until(lambda: (found := run.children()) and len(found) == 5 and found, "five processes")
        run.signal(SIGINT)
        assert run.end() == 130
        assert all(map(gone, children))
        assert "Traceback" not in run.err


def test_a_broker_that_is_terminated_drains() -> None:
    broker, stats = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
    peer = ("--broker", broker, "--stats", stats, "--stats-interval", 0.1)
    with (
        Command("stats", "--bind", stats),
        Command("broker", "--bind", broker, "--stats", stats, "--stats-interval", 0.1) as process,
        Command("producer", *peer, "--messages", 2000) as producer,
    ):
        assert producer.end() == 0
        process.signal(SIGTERM)
        # It takes no more, and goes on with whoever sends what it has.
        view_when(stats, lambda view: [row.state for row in view.brokers] == ["draining"], "a broker that drains")
        with Command("sender", *peer, "--concurrency", 500, "--mean", 0.1, "--sd", 0):
            assert process.end() == 0
        view = view_when(stats, lambda view: view.sent == 2000, "the last snapshot")
        assert view.queued == view.in_flight == 0
        assert view.done


def test_a_signal_to_everybody_at_once_is_as_one_to_the_run() -> None:
    """systemd and CI signal every process of a unit: all that is queued is sent all the same."""
    with Command("run", *ENDLESS, "--senders", 2, "--concurrency", 200, "--mean", 0.3, "--json", "-") as run:
        run.wait_for(line_with(sent=SOME, in_flight=SOME))
        children = run.children()
        assert len(children) >= 4
        for process in [*children, psutil.Process(run.popen.pid)]:
            with suppress(psutil.NoSuchProcess):  # the producer may have done its work
                process.send_signal(SIGTERM)
        assert run.end() == 130, run.err
        report = json.loads(run.out)
    assert report["problems"] == []
    assert report["messages"]["sent"] == report["messages"]["produced"] > 0
    assert report["messages"]["unsettled"] == report["messages"]["lost"] == 0


def test_the_rate_may_be_changed_when_the_producers_have_ended() -> None:
    """D3: it took the report with it."""
    mesh: Mesh
    changed: list[float] = []

    def change(view: View, first: View | None) -> None:
        if view.producers_done:
            changed.append(1_000.0 + len(changed))
            mesh.set_rate(changed[-1])

    mesh = Mesh(messages=200, rate=2_000, senders=1, concurrency=50, mean=0.2, progress=change, say=lambda text: None)
    report = mesh.run()
    assert changed and report.exit_code == 0 and report.messages.sent == 200


def test_a_broker_that_is_terminated_twice_leaves_at_once() -> None:
    broker, stats = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
    with (
        Command("stats", "--bind", stats),
        Command("broker", "--bind", broker, "--stats", stats) as process,
        Command("producer", "--broker", broker, "--stats", stats, "--messages", 10) as producer,
    ):
        assert producer.end() == 0  # the broker holds ten messages now, and nobody to give them to
        process.signal(SIGTERM)
        with pytest.raises(Exception, match="timed out"):
            process.end(within=1)
        process.signal(SIGTERM)
        assert process.end() == 0


# -- SIGSTOP ---------------------------------------------------------------------------------------------------


def test_a_sender_that_pauses_for_less_than_its_liveness_keeps_its_messages() -> None:
    """Row 3."""
    with Running() as run:
        run.pause("sender-2", 1.0)
        sent = run.sent_by("sender-2")
        until(lambda: run.sent_by("sender-2") > sent + 300, "more sends")
        report = run.drained()
    assert report.balanced
    assert report.messages.redelivered == report.messages.duplicates == report.messages.lost == 0
    assert report.problems == [] and not [text for text in run.said if "lost" in text]


def test_a_sender_that_pauses_for_longer_loses_its_messages_and_works_again() -> None:
    """Row 4."""
    with Running(liveness=1.5) as run:
        victim = psutil.Process(run.mesh.pids["sender-2"])
        victim.send_signal(SIGSTOP)
        until(lambda: run.view.redelivered >= 200, "its messages to be given to others")
        until(lambda: run.view.slots == 400, "two senders")
        until(lambda: any("sender lost: sender-2" in text for text in run.said), "the broker's word")
        victim.send_signal(SIGCONT)
        # It finishes what it held, which others have finished by now: that must not count again.
        until(lambda: run.view.duplicates > 0, "its late acknowledgements")
        until(lambda: run.view.slots == 600, "its return")
        sent = run.sent_by("sender-2")
        until(lambda: run.sent_by("sender-2") > sent + 500, "new work for it")
        report = run.drained()
    assert report.balanced
    assert report.messages.lost == report.messages.unsettled == 0
    assert report.messages.produced == report.messages.sent
    # It held at most its slots and its prefetch, and each of these messages moved once each time that one was lost.
    lost = sum("sender lost" in text for text in run.said)
    assert 200 <= report.messages.redelivered <= 2 * 200 * lost
    assert 0 < report.messages.duplicates <= report.messages.redelivered
    # The senders counted each send that happened, the broker each message once.
    assert sum(sender["sends"] for sender in report.senders) == report.messages.sent + report.messages.duplicates


def test_a_broker_that_pauses_takes_nobody_for_dead() -> None:
    """Row 11."""
    with Running(liveness=4.0) as run:
        sent = run.view.sent
        run.pause("broker", 5.0)
        until(lambda: run.view.sent > sent + 1000, "more sends")
        report = run.drained()
    assert report.balanced
    assert report.messages.redelivered == report.messages.duplicates == report.messages.lost == 0
