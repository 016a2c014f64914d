"""A broker that stands by for another one: real processes, three real NATS servers, real signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from tests.journal.servers import Servers
from tests.mesh.processes import WITHIN_S, Command, free_port, view_when, zsms
from zsms.stats.view import View

pytest.importorskip("nats", reason="needs zsms[jetstream]")

MESSAGES = 6_000


class Pair:
    """A collector, two brokers with one journal, a producer and senders that know both places."""

    def __init__(self, servers: Servers, stack: ExitStack) -> None:
        self.servers, self._stack = servers, stack
        self.journal = servers.journal()
        self.name = servers.name_of(self.journal)
        self.stats = f"tcp://127.0.0.1:{free_port()}"
        one = other = free_port()
        while abs(one - other) < 2:  # each takes the next one, too
            other = free_port()
        self.places = [f"127.0.0.1:{one}", f"127.0.0.1:{other}"]
        self.start("stats", "--bind", self.stats)
        self.first = self.broker(0)
        self.first.wait_for("listening on")
        self.second = self.broker(1, "--standby")
        self.second.wait_for("standing by for a pid")

    def start(self, role: str, *options: object) -> Command:
        return self._stack.enter_context(Command(role, *options))

    def broker(self, place: int, *options: object) -> Command:
        told = ("--name", "ab"[place], "--bind", self.places[place], "--journal", self.journal)
        return self.start("broker", *told, "--stats", self.stats, "--stats-interval", 0.1, "--liveness", 2, *options)

    def peers(self, rate: int = 2_000) -> Command:
        at = ("--broker", ",".join(self.places), "--stats", self.stats, "--stats-interval", 0.1)
        for number in range(2):
            self.start("sender", "--name", f"s{number}", "--concurrency", 400, "--mean", 0.2, *at)
        pace = ("--rate", rate, "--batch", 200, "--window", 5_000)
        return self.start("producer", "--name", "p", "--messages", MESSAGES, *pace, *at)

    def when(self, sent: int, within: float = WITHIN_S) -> View:
        return view_when(self.stats, lambda view: view.sent >= sent, f"{sent} sent", within)

    def ends(self, producer: Command) -> View:
        """Everything is sent, and counts once."""
        view = view_when(self.stats, lambda view: view.produced == MESSAGES and view.done, "all of it sent")
        assert producer.end() == 0
        assert (view.sent, view.failed, view.dead) == (MESSAGES, 0, 0) and view.balanced
        # The first one may have told of batches that it took and confirmed to nobody.
        assert MESSAGES <= view.accepted <= MESSAGES + 5_000, "one of the brokers counts for itself"
        return view


@pytest.fixture
def pair(servers: Servers) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(servers, stack)


def test_a_standby_takes_over_from_a_broker_that_is_killed(pair: Pair) -> None:
    producer = pair.peers()
    pair.when(2_000)
    pair.first.signal(SIGKILL)
    before = pair.when(0).sent
    pair.when(min(before + 2_000, MESSAGES))
    view = pair.ends(producer)
    lost = 1 + pair.second.err.count("sender lost")
    assert view.redelivered <= 1_000 * lost, "more than was in flight is sent again"
    assert "Traceback" not in producer.err + pair.second.err


def test_a_frozen_broker_wakes_beside_its_successor_and_ends_with_that_reason(pair: Pair) -> None:
    producer = pair.peers()
    pair.when(2_000)
    pair.first.signal(SIGSTOP)
    pair.second.wait_for("listening on")
    pair.first.signal(SIGCONT)
    pair.first.wait_for(r"fenced, so nothing more can be confirmed: .*b pid \d+ on .* has taken over")
    assert pair.first.end() == 1
    pair.ends(producer)


def test_a_take_over_by_hand(pair: Pair) -> None:
    producer = pair.peers()
    pair.when(2_000)
    done = zsms("broker", "take-over", "--journal", pair.journal)
    assert done.returncode == 0 and "a pid" in done.stdout, done.stderr
    pair.second.wait_for("listening on")
    assert pair.first.end() == 1
    assert "taken" in pair.first.err
    pair.ends(producer)


def test_one_that_leaves_hands_over_at_once_and_one_that_stands_by_may_leave(pair: Pair) -> None:
    pair.first.signal(SIGTERM)
    assert pair.first.end() == 0
    pair.second.wait_for("listening on")  # at once: tests/journal/test_fence.py
    third = pair.broker(0, "--standby")
    third.wait_for("standing by for b pid")
    third.signal(SIGTERM)
    assert third.end() == 0
    assert "it stood by" in third.err


def test_the_servers_are_gone_for_a_while(pair: Pair) -> None:
    """Nobody takes over, the producer is told why it waits, and nothing is lost: also while the stream's leader lives,
    which answers on without the others for ten seconds, and stores nothing."""
    producer = pair.peers(rate=1_000)  # so that it has something left when the servers are gone
    pair.when(1_000)
    leader = pair.servers.leader(pair.name)
    for index in {0, 1, 2} - {leader}:
        pair.servers.kill(index)
    producer.wait_for("the broker takes nothing at the moment: .*NATS servers")
    pair.servers.heal()
    pair.ends(producer)
    assert pair.second.popen.poll() is None, pair.second.err
    assert "acknowledge nothing" not in pair.second.err, "it tried to take over"
