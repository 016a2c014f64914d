"""`bin/soak --standby SCHEDULES`: two brokers with one journal on three NATS servers, and what is done to all five.

    hosts      six network namespaces: hub (producer, senders, collector), two with a broker, three with a server
    mischief   kill -9 of the active broker, of the stream's leader, of two servers of three; a frozen broker that
               wakes beside its successor; a frozen leader, a frozen server of the client; a cut cable of one of them
    checks     the other broker goes on within 15 s; every message that was read is sent, by the ledger and by the
               senders' own logs; who has been replaced ends with that reason; no traceback

A schedule is some of these, drawn from its seed, and `--seed` begins with another one. Exits with 1 when something did
not hold, and says what. Needs root.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import io
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from tests.journal.servers import Servers
from tests.mesh.hosts import Host, ip, namespaces
from tests.mesh.processes import Command, until, view_when
from zsms.stats.view import View

TAKEN_S = 15.0
"""So long another broker may need."""
PATIENCE_S = 40.0
RATE = 400
_CLONE_NEWNET = 0x40000000


class Feed:
    """The producer's list, which goes on until it is told to end."""

    def __init__(self, path: Path) -> None:
        self.rows, self._path, self._over = 0, path, threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        with self._path.open("w") as pipe:
            pipe.write("recipient,text\n")
            while not self._over.wait(0.1):
                for _ in range(RATE // 10):
                    pipe.write(f"+1370{self.rows:07d},x\n")
                    self.rows += 1
                pipe.flush()

    def end(self) -> int:
        """How many there were."""
        self._over.set()
        self._thread.join()
        return self.rows


class Schedule:
    """One seed's."""

    def __init__(self, seed: int, hosts: list[Host], servers: Servers, stack: ExitStack) -> None:
        self.rng, self.servers, self._stack = random.Random(seed), servers, stack
        self.hub, self._hosts = hosts[0], hosts
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zsms-standby-")))
        self.journal = servers.journal()
        self._commands: list[Command] = []
        self.taken: list[float] = []
        """Seconds that each other broker needed."""
        self.stats = f"tcp://{self.hub.ipv4}:5557"
        self.places = [f"{host.ipv4}:5555" for host in hosts[1:3]]
        self.start(self.hub, "stats", "--bind", self.stats, "--insecure")
        self.active, self.waiting = 0, 1
        self.brokers = [self.broker(0)]
        self.brokers[0].wait_for("listening on", PATIENCE_S)
        self.brokers.append(self.broker(1, "--standby"))
        self.brokers[1].wait_for("standing by for", PATIENCE_S)
        pipe = self._folder / "list"
        os.mkfifo(pipe)
        at = ("--broker", ",".join(self.places), "--stats", self.stats, "--stats-interval", 0.1)
        self._logs = [self._folder / f"s{number}.csv" for number in range(2)]
        slots = ("--concurrency", 200, "--mean", 0.2)
        self.senders = [self.start(self.hub, "sender", *slots, "--log-messages", log, *at) for log in self._logs]
        self.producer = self.start(self.hub, "producer", "--input", pipe, "--batch", 100, "--input-format", "csv", *at)
        self.feed = Feed(pipe)

    def start(self, host: Host, *arguments: object) -> Command:
        command = self._stack.enter_context(Command(*arguments, prefix=host.inside))
        self._commands.append(command)
        return command

    def broker(self, place: int, *options: object) -> Command:
        told = ("--name", "ab"[place], "--bind", f"tcp://{self.places[place]}", "--journal", self.journal, "--insecure")
        told = (*told, "--stats", self.stats, "--stats-interval", 0.1, "--liveness", 2, *options)
        return self.start(self._hosts[1 + place], "broker", *told)

    def link(self, host: int, state: str) -> None:
        """The cable of a host, by its place in the list: up or down."""
        ip("-n", self.hub.name, "link", "set", f"to{host + 1}", state)

    def goes_on(self, more: int = 300) -> View:
        """Wait until so many more are sent."""
        before = view_when(self.stats, lambda view: True, "a view").sent
        return view_when(self.stats, lambda view: view.sent >= before + more, f"{more} more sent", PATIENCE_S)

    # -- brokers --------------------------------------------------------------------------------------------------

    def replaced(self, strike: Callable[[], None], heal: Callable[[], None], code: int) -> None:
        """Strike the active broker; the other one takes its place, and the struck one ends with that code."""
        struck, other = self.active, self.waiting
        began = time.monotonic()
        strike()
        self.brokers[other].wait_for("listening on", TAKEN_S + 10)
        self.goes_on()
        self.taken.append(time.monotonic() - began)
        assert self.taken[-1] < TAKEN_S, f"{self.taken[-1]:.1f} s until messages were sent again"
        heal()
        assert self.brokers[struck].end(PATIENCE_S) == code, self.brokers[struck].err
        assert code < 0 or "fenced" in self.brokers[struck].err, self.brokers[struck].err
        self.brokers[struck] = self.broker(struck, "--standby")
        self.brokers[struck].wait_for("standing by for", PATIENCE_S)
        self.active, self.waiting = other, struck

    def kill_broker(self) -> None:
        self.replaced(lambda: self.brokers[self.active].signal(SIGKILL), lambda: None, -SIGKILL)

    def freeze_broker(self) -> None:
        frozen = self.brokers[self.active]
        self.replaced(lambda: frozen.signal(SIGSTOP), lambda: frozen.signal(SIGCONT), 1)

    def cut_broker(self) -> None:
        host = 1 + self.active
        self.replaced(lambda: self.link(host, "down"), lambda: self.link(host, "up"), 1)

    # -- servers --------------------------------------------------------------------------------------------------

    @property
    def leader(self) -> int:
        return self.servers.leader(self.servers.name_of(self.journal))

    def kill_leader(self) -> None:
        self.servers.kill(self.leader)
        self.goes_on()

    def kill_two(self) -> None:
        for index in self.rng.sample(range(3), 2):
            self.servers.kill(index)
        over = time.monotonic() + self.rng.uniform(1, 12)
        until(lambda: time.monotonic() > over, "a moment")

    def freeze_leader(self) -> None:
        self.servers.freeze(self.leader)
        self.goes_on()

    def freeze_server_of_client(self) -> None:
        self.servers.freeze(self.servers.busiest())
        self.goes_on()

    def cut_leader(self) -> None:
        host = 3 + self.leader
        self.link(host, "down")
        self.goes_on()
        self.link(host, "up")

    def whatever(self) -> str:
        """Some of it, one after the other, and what it was."""
        whole = (self.kill_broker, self.freeze_broker, self.cut_broker, self.kill_leader, self.kill_two)
        whole = (*whole, self.freeze_leader, self.freeze_server_of_client, self.cut_leader)
        drawn = self.rng.sample(whole, 3)
        for strike in drawn:
            self.goes_on()
            strike()
            self.servers.heal()
            self._note_active()
        return ", ".join(strike.__name__.replace("_", " ") for strike in drawn)

    def _note_active(self) -> None:
        """A broker that was not struck, but could not reach the servers, may have been replaced, too."""
        self.goes_on()
        ended = [place for place, broker in enumerate(self.brokers) if broker.popen.poll() is not None]
        if not ended:
            return
        (place,) = ended
        assert "fenced" in self.brokers[place].err, self.brokers[place].err
        self.brokers[place] = self.broker(place, "--standby")
        self.brokers[place].wait_for("standing by for", PATIENCE_S)
        self.active, self.waiting = 1 - place, place

    def audit(self) -> str:
        """End it, and see that nothing is missing."""
        rows = self.feed.end()
        assert self.producer.end(PATIENCE_S) == 0, self.producer.err
        view = view_when(self.stats, lambda view: view.produced == rows and view.done, "all of it sent", PATIENCE_S)
        assert (view.sent, view.failed, view.dead) == (rows, 0, 0) and view.balanced, view
        for sender in self.senders:
            sender.signal(SIGTERM)  # so that their logs are whole
            assert sender.end(PATIENCE_S) == 0, sender.err
        sent: set[str] = set()
        for log in self._logs:
            with log.open(newline="") as file:
                sent |= {row["recipient"] for row in csv.DictReader(file) if row["outcome"] == "sent"}
        assert len(sent) == rows, f"{rows - len(sent)} of {rows} messages are in no sender's log"
        assert not [command for command in self._commands if "Traceback" in command.err]
        return f"{rows:,} messages, {view.redelivered} given again"


def main() -> int:
    """Run them; 0 when all held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--standby", type=int, required=True, metavar="SCHEDULES")
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule")
    asked = parser.parse_args()
    failed, taken = 0, list[float]()
    with namespaces(6) as hosts, tempfile.TemporaryDirectory(prefix="zsms-standby-") as folder:
        with open(f"/run/netns/{hosts[0].name}") as hub:  # this process looks at all of it from the hub
            if ctypes.CDLL(None, use_errno=True).setns(hub.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        with Servers(Path(folder), hosts=hosts[3:]) as servers:
            for seed in range(asked.seed, asked.seed + asked.standby):
                with ExitStack() as stack, redirect_stdout(io.StringIO()) as said:  # what its commands said
                    try:
                        schedule = Schedule(seed, hosts, servers, stack)
                        words = f"{schedule.whatever()}: {schedule.audit()}"
                        words += "".join(f", taken over in {each:.1f} s" for each in schedule.taken)
                        taken += schedule.taken
                    except AssertionError as error:
                        failed += 1
                        words = f"FAILED: {error}"
                print(f"seed {seed}: {words}", flush=True)
                if "FAILED" in words:
                    print(said.getvalue(), flush=True)
                servers.heal()
                for place in range(2, 7):
                    ip("-n", hosts[0].name, "link", "set", f"to{place}", "up")
    longest = f"; the slowest of {len(taken)} take-overs took {max(taken):.1f} s" if taken else ""
    print(f"{asked.standby - failed} of {asked.standby} schedules held{longest}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
