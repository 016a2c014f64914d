"""`zsms health` against real processes: well, gone, stopped, and nobody there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from signal import SIGCONT, SIGSTOP

import pytest

from tests.mesh.processes import Command, free_port, until, view_when, zsms


class Mesh:
    """A collector, a broker and a sender, and probes of them."""

    def __init__(self, stack: ExitStack) -> None:
        self.broker, self.stats = (f"127.0.0.1:{free_port()}" for _ in range(2))
        to_stats = ("--stats", self.stats, "--stats-interval", 0.1)
        self.commands = {
            name: stack.enter_context(Command(name, *options))
            for name, options in {
                "stats": ("--bind", self.stats),
                "broker": ("--bind", self.broker, *to_stats),
                "sender": ("--broker", self.broker, *to_stats, "--name", "s", "--concurrency", 5),
            }.items()
        }
        view_when(self.stats, lambda view: bool(view.slots), "a sender that has joined")

    def probe(
        self, role: str, *, timeout: float = 15.0, endpoint: str | None = None, name: str = "s"
    ) -> tuple[int, str]:
        """The exit code, and the line that says why."""
        where = endpoint or (self.broker if role == "broker" else self.stats)
        options = ("--name", name) if role in ("sender", "producer") else ()
        done = zsms("health", role, where, *options, "--timeout", timeout)
        (line,) = (done.stdout + done.stderr).splitlines()
        assert done.stderr == ("" if done.returncode == 0 else f"{line}\n")
        return done.returncode, line


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with ExitStack() as stack:
        yield Mesh(stack)


def test_who_is_well_says_so(mesh: Mesh) -> None:
    for role, said in (
        ("broker", "answers in"),
        ("stats", "knows 2 processes"),
        ("sender", "sender s: running, last word"),
    ):
        until(lambda role=role, said=said: said in mesh.probe(role)[1], said)
        assert mesh.probe(role)[0] == 0
    done = zsms("health", "broker", "--broker", mesh.broker)  # as every other command is told where it is
    assert done.returncode == 0 and "answers in" in done.stdout, done.stderr


def test_who_is_gone_or_never_was_is_told(mesh: Mesh) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    for role, endpoint, said in (
        ("broker", nobody, "within 0.3 s: nobody listens there"),
        ("stats", nobody, "within 0.3 s: nobody listens there"),
        ("broker", mesh.stats, "within 0.3 s: a stats collector listens there, and not a broker"),
        ("stats", mesh.broker, "within 0.3 s: a broker listens there, and not a stats collector"),
    ):

        def look(role: str = role, endpoint: str = endpoint, said: str = said) -> bool:
            code, line = mesh.probe(role, endpoint=endpoint, timeout=0.3)
            assert code == 1
            return said in line  # who does not answer in time may say who it is the next time

        until(look, said)
    code, line = mesh.probe("sender", name="other")
    assert code == 1 and "not heard of a sender other" in line
    mesh.commands["sender"].popen.kill()
    mesh.commands["sender"].end()
    view_when(mesh.stats, lambda view: not view.senders_alive, "its silence")
    code, line = mesh.probe("sender")
    assert code == 1 and "silent, last word" in line
    mesh.commands["broker"].popen.kill()
    mesh.commands["broker"].end()
    assert mesh.probe("broker", timeout=0.3)[0] == 1


def test_who_is_stopped_is_not_well_until_it_goes_on(mesh: Mesh) -> None:
    for role in ("broker", "stats"):
        mesh.commands[role].signal(SIGSTOP)
        code, line = mesh.probe(role, timeout=0.3)
        assert code == 1 and "within 0.3 s" in line
        mesh.commands[role].signal(SIGCONT)
        assert mesh.probe(role)[0] == 0


def test_a_sender_that_no_broker_has_taken_in_is_not_well(mesh: Mesh) -> None:
    lonely = ("sender", "--broker", f"127.0.0.1:{free_port()}", "--stats", mesh.stats, "--name", "lonely")
    with Command(*lonely, "--stats-interval", 0.1):
        view_when(mesh.stats, lambda view: len(view.processes) == 3, "its first word")
        code, line = mesh.probe("sender", name="lonely")
    assert code == 1 and "no broker has taken it in" in line


@pytest.mark.parametrize(
    "wrong",
    [
        ("sender", "x"),
        ("broker", "x", "--name", "b"),
        ("broker", "x", "--timeout", 0),
        ("broker", "--stats", "x"),
        ("sender", "--broker", "x", "--name", "s"),
        ("broker", "x", "--broker", "x"),
    ],
)
def test_a_question_that_can_t_be_asked_is_bad_usage(wrong: tuple[object, ...]) -> None:
    done = zsms("health", *wrong)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
