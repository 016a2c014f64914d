"""A broker with a journal and what can happen to it: real processes, real signals, a disk that fills, fails or is slow.

"The ledger" means: every message that was produced is settled once, and the totals of the collector say so although the
broker is another process by then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import pytest
import zmq

from tests.core.making import make_batch
from tests.mesh.processes import Command, view_when, zsms
from tests.roles.peers import RawPeer
from zsms.journal import read
from zsms.roles.journaling import FAIL_POINTS
from zsms.stats.figures import BrokerFigures
from zsms.stats.row import Row
from zsms.stats.view import View
from zsms.wire.codec import encode_batch
from zsms.wire.frames import Confirm, JoinProducer, Welcome

SETTLED_S = 30.0
pytestmark = [pytest.mark.timeout(90)]  # they take seconds, but of a busy machine's time


class Mesh:
    """A collector, and brokers with one journal one after the other, at the same address."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.journal = folder, folder / "journal"
        self.stats, self.at = f"ipc://{folder}/stats", f"ipc://{folder}/broker"
        self.stack = stack
        self.start("stats", "--bind", self.stats)

    def start(self, role: str, *options: object, **how: object) -> Command:
        return self.stack.enter_context(Command(role, *options, **how))  # type: ignore[arg-type]

    def broker(self, *options: object, fail: str | None = None, prefix: tuple[str, ...] = ()) -> Command:
        broker = self.start(
            "broker",
            *("--name", "b", "--bind", self.at, "--stats", self.stats, "--stats-interval", 0.1),
            *("--journal", self.journal, "--liveness", 1, *options),
            env=None if fail is None else {"ZSMS_FAIL_POINT": fail},
            prefix=prefix,
        )
        broker.wait_for("listening on")
        return broker

    def peer(self, role: str, *options: object) -> Command:
        return self.start(role, "--broker", self.at, "--stats", self.stats, "--stats-interval", 0.1, *options)

    def producer(self, messages: int, *options: object) -> Command:
        return self.peer(
            "producer", *("--messages", messages, "--batch", 500, "--window", 2_000, "--name", "p", *options)
        )

    def sender(self, *options: object) -> Command:
        return self.peer("sender", *("--concurrency", 500, "--mean", 0.02, "--sd", 0, *options))

    def settled(self, messages: int) -> View:
        """How it stands when that many have been sent; nothing is lost or counted twice."""
        view = view_when(
            self.stats, lambda view: view.produced == messages and view.done, f"{messages} sent", SETTLED_S
        )
        # A broker that died before its first commit may have told of batches that it took and confirmed to nobody.
        assert (view.sent, view.failed, view.dead) == (messages, 0, 0) and view.accepted >= messages
        assert view.balanced
        return view

    def held(self) -> dict[str, int]:
        """What the journal holds when no broker has it."""
        with read(self.journal) as core:
            return core.totals()


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with ExitStack() as stack:
        yield Mesh(tmp_path, stack)


# -- kill -9 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [*FAIL_POINTS, "before-commit:4", "after-commit:4", "after-settle:20"])
def test_nothing_confirmed_is_lost_when_a_broker_is_killed(mesh: Mesh, point: str) -> None:
    broker = mesh.broker(fail=point)
    producer = mesh.producer(10_000)
    mesh.sender()
    assert broker.end() == -SIGKILL
    mesh.broker()  # killed at the first ingest or grant, the other one may have left an empty journal
    mesh.settled(10_000)
    assert producer.end() == 0
    assert "Traceback" not in producer.err


def test_a_message_that_was_out_comes_again_as_a_second_delivery(mesh: Mesh) -> None:
    broker = mesh.broker()
    mesh.producer(1_000)
    sender = mesh.sender("--mean", 60, "--prefetch", 0)
    view_when(mesh.stats, lambda view: view.in_flight == 500 and confirmed(view) == 1_000, "500 of 1,000 out")
    # What is confirmed later is in no earlier group than these grants.
    assert mesh.producer(1, "--name", "q").end() == 0
    broker.signal(SIGKILL)
    sender.signal(SIGKILL)
    broker.end()
    with read(mesh.journal) as core:
        deliveries = Counter(message.delivery for lot in core.queue.lots() for message in lot.messages())
        assert deliveries == {2: 500, 1: 501}


# -- SIGTERM -----------------------------------------------------------------------------------------------------


def test_a_broker_that_is_stopped_keeps_what_it_could_not_drain(mesh: Mesh) -> None:
    broker = mesh.broker("--drain-timeout", 0.5)
    mesh.producer(2_000, "--window", 5_000)
    view_when(mesh.stats, lambda view: view.queued == 2_000 and confirmed(view) == 2_000, "a queue")
    broker.signal(SIGTERM)
    broker.wait_for(r"leaving with 2,000 messages queued and 0 in flight; they stay in the journal in \S+journal")
    assert broker.end() == 0
    assert mesh.held()["queued"] == 2_000
    mesh.broker()
    mesh.sender()
    mesh.settled(2_000)


def test_a_second_signal_ends_a_broker_at_once_with_a_valid_journal(mesh: Mesh) -> None:
    broker = mesh.broker("--drain-timeout", 600)
    mesh.producer(2_000, "--window", 5_000)
    mesh.sender("--mean", 60, "--prefetch", 0)
    view_when(mesh.stats, lambda view: view.in_flight == 500 and confirmed(view) == 2_000, "messages in flight")
    broker.signal(SIGTERM)
    view_when(mesh.stats, lambda view: broker_row(view).state == "draining", "a broker that drains")
    broker.signal(SIGTERM)
    assert broker.end() == 0
    assert mesh.held() == {"accepted": 2_000, "queued": 2_000, "in_flight": 0, "sent": 0, "failed": 0, "dead": 0}


def confirmed(view: View) -> int:
    """Messages that the producers have been told are safe."""
    return sum(row.figures.confirmed or 0 for row in view.producers)


def broker_row(view: View) -> Row[BrokerFigures]:
    """What the broker says of itself: one row, however many brokers there were."""
    (row,) = view.brokers
    return row


def test_a_broker_that_drained_leaves_nothing_behind(mesh: Mesh) -> None:
    broker = mesh.broker()
    mesh.producer(2_000)
    mesh.sender()
    mesh.settled(2_000)
    broker.signal(SIGTERM)
    assert broker.end() == 0
    assert mesh.held() == {"accepted": 2_000, "queued": 0, "in_flight": 0, "sent": 2_000, "failed": 0, "dead": 0}


def test_a_broker_that_slept_gives_nobody_up(mesh: Mesh) -> None:
    """Stopped for longer than its senders may be silent: it reads what waited before it judges."""
    broker = mesh.broker("--liveness", 4)
    mesh.producer(1_000)
    mesh.sender("--mean", 6)
    view_when(mesh.stats, lambda view: view.in_flight == 500, "messages in flight")
    broker.signal(SIGSTOP)
    time.sleep(5)
    broker.signal(SIGCONT)
    view = mesh.settled(1_000)
    assert view.redelivered == 0


# -- the disk ----------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """8 MB that can be made more."""
    if os.geteuid():
        pytest.skip("mounting a tmpfs needs root: run the tests as root")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here: run the tests in a container with CAP_SYS_ADMIN")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_holds_producers_back_and_nothing_else(mesh: Mesh) -> None:
    messages = 300_000  # 20 MB
    with small_disk(mesh.folder / "disk") as disk, ExitStack() as inside:
        mesh.journal = disk / "journal"
        mesh.stack = inside  # ended before the disk goes
        broker = mesh.broker()
        producer = mesh.producer(messages, "--batch", 4_000, "--window", 40_000)
        broker.wait_for("has no room left: no batch is taken or confirmed")
        stuck = view_when(mesh.stats, lambda view: view.queued > 0, "what got in")
        safe = confirmed(stuck)
        assert safe < messages
        mesh.sender("--concurrency", 20_000)
        # What the broker has is granted and acknowledged, confirmed or not.
        view = view_when(mesh.stats, lambda view: view.sent == view.accepted >= safe, "all that got in sent")
        assert view.accepted < messages and producer.popen.poll() is None
        assert confirmed(view) <= view.accepted
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        producer.wait_for("the broker takes nothing at the moment: .*no room left; trying on")
        broker.wait_for("has room again")
        mesh.settled(messages)
        assert broker.err.count("no room left") == 1, "told once, not at every try"
        broker.signal(SIGTERM)
        assert broker.end() == 0
        assert mesh.held()["sent"] == messages


def strace(*inject: str, log: Path) -> tuple[str, ...]:
    """The beginning of a command line whose syncs behave like this."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: as root, apt-get install strace")
    prefix = ("strace", "-f", "-qq", "-o", str(log), "-e", "trace=fsync,fdatasync")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here: run the tests in a container with CAP_SYS_PTRACE")
    return (*prefix, "-e", f"inject=fsync,fdatasync:{':'.join(inject)}")


def test_a_sync_that_fails_ends_the_broker_and_is_never_tried_again(mesh: Mesh, tmp_path: Path) -> None:
    log = tmp_path / "strace"
    broker = mesh.broker(prefix=strace("error=EIO", "when=30+", log=log))
    producer = mesh.producer(1_000_000, "--rate", 20_000)
    mesh.sender()
    assert broker.end() == 1
    assert "nothing more can be confirmed, for the journal has failed" in broker.err
    assert "SQLITE_IOERR_FSYNC" in broker.err and "Traceback" not in broker.err
    syncs = log.read_text().splitlines()
    assert sum("EIO" in line for line in syncs) == 1, syncs[-5:]
    # What was confirmed is there: a new broker goes on with it, and the producer with the rest.
    producer.signal(SIGTERM)
    mesh.broker()
    assert producer.end() == 0

    def over(view: View) -> bool:
        return view.producers_done and 0 < view.produced == view.settled and not view.held

    view = view_when(mesh.stats, over, "all settled", SETTLED_S)
    # The first broker may have told of batches that it took and confirmed to nobody; they came again.
    assert view.accepted >= view.sent == view.produced == confirmed(view)


def test_a_slow_disk_presses_on_the_producer_and_on_nobody_else(mesh: Mesh, tmp_path: Path) -> None:
    """A sync takes 0.2 s: 5 groups of 4 MB a second at most."""
    broker = mesh.broker("--liveness", 30, prefix=strace("delay_exit=200000", log=tmp_path / "strace"))
    producer = mesh.producer(400_000, "--batch", 10_000, "--window", 100_000)
    mesh.sender("--concurrency", 20_000, "--mean", 0.01)
    mesh.settled(400_000)
    assert producer.end() == 0
    view = view_when(mesh.stats, lambda view: True, "a view")
    assert view.redelivered == view.duplicates == 0
    (row,) = view.producers
    assert row.figures.resent_batches == 0, "held back, not told to try again"
    assert "lost" not in broker.err


# -- who has it, and what was said -------------------------------------------------------------------------------


def test_a_second_broker_on_the_same_journal_is_refused_and_told_who_has_it(mesh: Mesh) -> None:
    broker = mesh.broker()
    done = zsms("broker", "--bind", f"ipc://{mesh.folder}/other", "--journal", mesh.journal)
    assert done.returncode == 1
    assert f"in use by pid {broker.popen.pid} on " in done.stderr and "Traceback" not in done.stderr
    assert broker.popen.poll() is None


def test_a_batch_whose_confirm_was_lost_counts_once(mesh: Mesh) -> None:
    """A producer that hears nothing between two brokers, played by the test."""
    broker = mesh.broker()
    frame = encode_batch(make_batch(100))
    for instance in (1, 2):
        push, link = RawPeer(zmq.PUSH, f"{mesh.at}.1"), RawPeer(zmq.DEALER, f"{mesh.at}.2")
        link.say(JoinProducer(1, 1, "raw", 0, 0.0))
        welcome = link.hear(Welcome)
        assert (welcome.next, welcome.durability) == (instance - 1, "fsync")
        push.send(frame)
        while not (confirm := link.hear(Confirm)).next:
            pass  # a broker that took the batch and has not written it yet confirms what came before it: nothing
        assert (confirm.next, confirm.durability) == (1, "fsync")
        view_when(mesh.stats, lambda view: view.queued == 100, "the batch in the queue")
        push.close()
        link.close()
        if instance == 1:
            broker.signal(SIGKILL)
            broker.end()
            broker = mesh.broker()
    view = view_when(mesh.stats, lambda view: broker_row(view).figures.repeated_batches == 1, "a repeated batch")
    assert (view.accepted, view.queued) == (100, 100)
    assert broker_row(view).figures.durability == 2


def test_a_run_with_a_journal_says_so_and_leaves_it(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    done = zsms("run", "--messages", 2_000, "--mean", 0.05, "--journal", folder, "--json", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert '"durability": "fsync"' in (tmp_path / "report").read_text()
    with read(folder) as core:
        assert core.totals()["sent"] == 2_000
    again = zsms("run", "--messages", 10, "--journal", folder)
    assert again.returncode == 2 and "has a journal already" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--durability", "fsync"), "give a folder for the journal"),
        (("--journal", "x", "--durability", "memory"), "leave out the journal"),
        (("--journal", "/dev/null/x"), "no journal can be kept in /dev/null/x"),
    ],
)
def test_what_can_not_be_is_said_before_anything_starts(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = zsms("broker", *options, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
