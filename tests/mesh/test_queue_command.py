"""`zsms queue` against a broker that runs, as an operator types it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import Any

import pytest

from tests.mesh.processes import ZSMS, ByHand, environment, free_port, until, zsms
from zsms.roles.operator import Operator


def test_show_kick_and_purge(mesh: ByHand) -> None:
    mesh.start("stats")
    mesh.start("broker", "--max-attempts", 2, "--retry-base", 0.01)
    to = ("--broker", mesh.broker)
    sender = mesh.start("sender", "--concurrency", 20, "--prefetch", 0, "--mean", 0.01, "--failure-rate", 1)
    assert mesh.start("producer", "--messages", 50).end() == 0
    mesh.when(lambda view: view.dead == 50, "50 dead letters")
    sender.signal(15)
    sender.end()
    assert mesh.start("producer", "--messages", 30).end() == 0

    def show() -> dict[str, Any]:
        with Operator(mesh.broker) as operator:
            return operator.inspect()

    held = json.loads(zsms("queue", "show", *to, "--json", "--messages", 2).stdout)
    assert held["ready"]["messages"] == 30 and held["in_flight"]["messages"] == 0
    assert held["dead"]["messages"] == held["dead"]["kept"] == 50 and held["dead"]["reasons"] == {"failed 2 times": 50}
    assert len(held["ready"]["letters"]) == len(held["dead"]["letters"]) == 2
    text = zsms("queue", "show", *to).stdout
    assert "ready      30 messages" in text and "dead       50 messages" in text and "50: failed 2 times" in text

    done = zsms("queue", "kick", *to, "--reason", "failed 2 times", "--limit", 10)
    assert done.stdout == "10 dead messages are ready again\n"
    assert show()["ready"]["messages"] == 40 and show()["dead"]["messages"] == 40
    done = zsms("queue", "purge", *to, "--ready", "--yes", "--json")
    assert json.loads(done.stdout) == {"purged_ready": 40, "purged_dead": 0}
    assert show()["dead"]["reasons"] == {"failed 2 times": 40, "purged": 40}
    done = zsms("queue", "purge", *to, "--dead", "--reason", "purged", "--yes")
    assert done.stdout == "40 dead ones let go\n"
    held = show()
    assert held["dead"]["messages"] == 80 and held["dead"]["kept"] == 40 and held["ready"]["messages"] == 0
    # To the collector it is all in the ledger: purged is dead.
    view = mesh.when(lambda view: view.done, "the end")
    assert view.balanced and view.dead == 80

    busy = mesh.start("sender", "--concurrency", 5, "--prefetch", 0, "--mean", 30, "--name", "busy")
    zsms("queue", "kick", *to)
    held = until(lambda: (held := show())["in_flight"]["messages"] and held, "messages in flight")
    (row,) = held["in_flight"]["senders"]
    assert (row["name"], row["messages"], row["slots"]) == ("busy", 5, 5)
    busy.signal(9)


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 130, 10), (b"y\n", 0, 0)], ids=["no", "yes"])
def test_purge_asks_on_a_terminal(mesh: ByHand, answer: bytes, code: int, left: int) -> None:
    mesh.start("stats")
    mesh.start("broker")
    assert mesh.start("producer", "--messages", 10).end() == 0
    asks, terminal = pty.openpty()
    command = [*ZSMS, "queue", "purge", "--ready", "--broker", mesh.broker]
    with subprocess.Popen(command, env=environment(), stdin=terminal, stdout=-1, stderr=-1, text=True) as process:
        os.write(asks, answer)
        _, err = process.communicate(timeout=60)
    os.close(asks), os.close(terminal)
    assert process.returncode == code, err
    assert f"Purge 10 ready messages of the broker at {mesh.broker}?" in err
    with Operator(mesh.broker) as operator:
        assert operator.inspect()["ready"]["messages"] == left


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("purge",), "say what to purge"),
        (("purge", "--ready"), "give --yes"),
        (("purge", "--ready", "--reason", "x", "--yes"), "give --dead too"),
        (("show", "--ready"), "are for purge"),
        (("show", "--limit", "3"), "--limit is for kick"),
        (("show", "--reason", "x"), "--reason is for"),
    ],
    ids=" ".join,
)
def test_what_can_t_be_meant_is_refused(options: tuple[str, ...], told: str) -> None:
    done = zsms("queue", *options)
    assert done.returncode == 2 and told in done.stderr and done.stdout == ""


def test_a_broker_that_is_not_there_is_named() -> None:
    at = f"tcp://127.0.0.1:{free_port()}"
    done = zsms("queue", "show", "--broker", at, "--timeout", 0.3)
    assert done.returncode == 1 and done.stdout == ""
    assert f"no answer from a broker at {at} within 0.3 s" in done.stderr
