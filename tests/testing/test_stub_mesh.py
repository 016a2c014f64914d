"""A mesh in memory: what becomes of messages there is what becomes of them in a run."""

from __future__ import annotations

import asyncio
import runpy
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsms import BrokerLimits, DelayModel, Message, Outcome, UsageError, ZsmsError
from zsms.core.sender.slots import Slots
from zsms.testing import StubMesh
from zsms.transports.simulated import SimulatedTransport

ROWS = [(f"+1370555{n:04}", f"text {n}") for n in range(50)]


async def well(message: Message) -> bool:
    await asyncio.sleep(1.0)
    return True


def balanced(mesh: StubMesh) -> bool:
    counts = mesh.counts
    fates = ("sent", "failed", "dead", "queued", "in_flight")
    return counts["produced"] == sum(counts[name] for name in fates)


def test_every_message_is_sent_once_through_the_slots_in_time_of_its_own() -> None:
    mesh = StubMesh(well, slots=10)
    mesh.put(ROWS)
    mesh.join()
    assert sorted((each.recipient, each.text) for each in mesh.sent()) == ROWS
    assert mesh.now == pytest.approx(5.0) and balanced(mesh)  # five rounds of ten
    assert max(Counter(each.began for each in mesh.sends).values()) == 10


@pytest.mark.parametrize(
    ("value", "outcome", "attempts"),
    [
        (False, Outcome.FAILED, 3),
        (Outcome.TEMPORARY, Outcome.TEMPORARY, 3),
        (Outcome.REJECTED, Outcome.REJECTED, 1),
        (Outcome.UNCERTAIN, Outcome.UNCERTAIN, 1),
        (Outcome.UNANSWERED, Outcome.UNANSWERED, 3),
    ],
)
def test_failures_are_tried_again_as_in_a_run(value: object, outcome: Outcome, attempts: int) -> None:
    async def send(message: Message) -> object:
        return value

    mesh = StubMesh(send, limits=BrokerLimits(max_attempts=3))  # type: ignore[arg-type]
    mesh.put(ROWS[:1])
    mesh.join()
    assert [(each.outcome, each.message.attempt) for each in mesh.sends] == [
        (outcome, n) for n in range(1, attempts + 1)
    ]
    (dead,) = mesh.dead_letters
    assert dead.message.recipient == ROWS[0][0] and mesh.counts["dead"] == 1


def test_an_exception_is_a_failure_with_its_name() -> None:
    async def send(message: Message) -> bool:
        raise ConnectionError("the modem is off")

    mesh = StubMesh(send)
    mesh.put(ROWS[:2])
    mesh.join()
    assert {each.reason for each in mesh.sends} == {"raised ConnectionError"}
    assert mesh.counts["failed"] == 2


class OwnError(BaseException):
    """Of a user's function."""


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit, SystemExit, OwnError])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
def test_what_ends_a_task_costs_one_message(kind: type[BaseException], waits: bool) -> None:
    async def send(message: Message) -> bool:
        if waits:
            await asyncio.sleep(0.1)
        if message.recipient == ROWS[0][0]:
            raise kind
        return True

    mesh = StubMesh(send)
    mesh.put(ROWS[:2])
    mesh.join()
    assert [each.reason for each in mesh.sends if each.reason] == [f"raised {kind.__name__}"]
    assert (mesh.counts["failed"], mesh.counts["sent"]) == (1, 1)


def test_a_function_that_cancels_itself_costs_one_message() -> None:
    async def send(message: Message) -> bool:
        task = asyncio.current_task()
        assert task is not None
        if message.recipient == ROWS[0][0]:
            task.cancel()
        await asyncio.sleep(0.1)
        return True

    mesh = StubMesh(send)
    mesh.put(ROWS[:2])
    mesh.join()
    assert [each.reason for each in mesh.sends if each.reason] == ["raised CancelledError"]


def test_ctrl_c_in_a_function_ends_the_test() -> None:
    async def send(message: Message) -> bool:
        raise KeyboardInterrupt

    mesh = StubMesh(send)
    mesh.put(ROWS[:1])
    with pytest.raises(KeyboardInterrupt):
        mesh.join()


def test_what_is_throttled_comes_again_and_spends_no_attempt() -> None:
    calls: list[int] = []

    async def send(message: Message) -> Outcome:
        calls.append(message.attempt)
        return Outcome.SENT if len(calls) > 4 else Outcome.THROTTLED

    mesh = StubMesh(send)
    mesh.put(ROWS[:1])
    mesh.join(within=60)
    assert calls == [1] * 5 and mesh.counts["sent"] == 1


def test_a_sender_that_is_killed_loses_nothing() -> None:
    mesh = StubMesh(well, senders=2, slots=5, limits=BrokerLimits(liveness=2.0))
    mesh.put(ROWS)
    mesh.advance(0.5)
    mesh.kill("sender-1")
    mesh.join()
    assert mesh.counts["sent"] == 50 and mesh.counts["redelivered"] >= 5 and balanced(mesh)
    late = [each for each in mesh.sends if each.message.delivery > 1]
    assert late and {each.sender for each in late} == {"sender-2"}


def test_the_same_seed_is_the_same_run() -> None:
    def told(seed: int) -> list[tuple[str, Outcome, float, str]]:
        mesh = StubMesh(senders=3, slots=7, failure_rate=0.2, seed=seed, limits=BrokerLimits(max_attempts=3))
        mesh.put(500)
        mesh.join()
        return [(each.message.recipient, each.outcome, each.ended, each.sender) for each in mesh.sends]

    assert told(4) == told(4) != told(5)


def test_a_transport_of_one_s_own_takes_the_place_of_the_slots() -> None:
    made: list[SimulatedTransport] = []

    def transport() -> SimulatedTransport:
        made.append(SimulatedTransport(Slots(4, DelayModel("constant", 2.0), seed=1)))
        return made[-1]

    mesh = StubMesh(transport=transport, senders=2)
    mesh.put(ROWS)
    mesh.join()
    assert len(made) == 2 and mesh.counts["sent"] == 50 and mesh.now == pytest.approx(14.0, abs=0.3)


def test_what_never_ends_is_told() -> None:
    async def send(message: Message) -> bool:
        await asyncio.Event().wait()
        return True

    mesh = StubMesh(send, limits=BrokerLimits(lease=5.0))
    mesh.put(ROWS[:1])
    with pytest.raises(ZsmsError, match="1 message is not settled after 30 s"):
        mesh.join(within=30)
    mesh.kill("sender-1")
    with pytest.raises(ZsmsError, match="no sender"):
        mesh.join()


def test_a_network_is_refused_by_name() -> None:
    async def send(message: Message) -> bool:
        await asyncio.open_connection("127.0.0.1", 9)
        return True

    mesh = StubMesh(send)
    mesh.put(ROWS[:1])
    mesh.join()
    assert mesh.sends[0].reason == "raised RuntimeError"


def test_functions_that_can_t_be_are_refused_as_by_a_sender() -> None:
    with pytest.raises(UsageError, match="plain function"):
        StubMesh(lambda message: True)  # type: ignore[arg-type,return-value]
    with pytest.raises(UsageError, match="not both"):
        StubMesh(well, transport=lambda: SimulatedTransport(Slots(1, DelayModel())))


def test_no_thread_is_begun_and_no_socket_known() -> None:
    before = threading.active_count()
    test_every_message_is_sent_once_through_the_slots_in_time_of_its_own()
    assert threading.active_count() == before
    code = "import sys, zsms.testing; print('zmq' in sys.modules, 'zsms.wire.codec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == (
        "False False\n"
    )


@settings(max_examples=40, deadline=None)
@given(
    plan=st.lists(st.sampled_from([True, False, *Outcome]), min_size=1, max_size=30),
    attempts=st.integers(1, 4),
    slots=st.integers(1, 5),
    kill=st.floats(0.0, 20.0),
)
def test_the_ledger_balances_whatever_the_function_says(
    plan: list[bool | Outcome], attempts: int, slots: int, kill: float
) -> None:
    calls = 0

    async def send(message: Message) -> bool | Outcome:
        nonlocal calls
        calls += 1
        await asyncio.sleep(calls % 3)
        return plan[calls % len(plan)] if calls < 200 else True

    mesh = StubMesh(send, senders=2, slots=slots, limits=BrokerLimits(max_attempts=attempts))
    mesh.put(ROWS)
    mesh.advance(kill)
    assert balanced(mesh)
    mesh.kill("sender-2")
    mesh.join()
    counts = mesh.counts
    assert balanced(mesh) and counts["queued"] == counts["in_flight"] == 0
    assert counts["sent"] <= len(mesh.sent()) and len(mesh.dead_letters) == counts["dead"]


def test_the_example_s_tests_pass() -> None:
    own = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "test_gateway.py"))
    tests = [value for name, value in own.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
