"""zsms inside another program: what it shows, refuses and leaves behind."""

from __future__ import annotations

import asyncio
import json
import time
from fractions import Fraction
from typing import Any, get_type_hints

import numpy as np
import psutil
import pytest

import zsms
from tests.roles.waiting import until
from zsms import Broker, BrokerLimits, DelayModel, Mesh, Producer, Sender, UsageError, ZsmsError
from zsms.roles import base

SMALL: dict[str, Any] = {"senders": 1, "concurrency": 50, "mean": 0.01, "sd": 0.0}


def test_every_public_name_can_be_found_and_had() -> None:
    assert set(zsms.__all__) <= set(dir(zsms))
    assert all(getattr(zsms, name) is not None for name in zsms.__all__)


def test_the_options_of_a_role_are_those_that_are_told_of() -> None:
    told = get_type_hints(zsms.RoleOptions, vars(base))
    taken = get_type_hints(base.Role.__init__, vars(base)).keys() - {"return"}
    assert told.keys() == taken


@pytest.mark.parametrize(
    "options",
    [
        {"messages": "many"}, {"messages": 1.5}, {"messages": True}, {"producers": "2"},
        {"rate": "fast"}, {"secure": "yes"}, {"seed": "x"}, {"input": 5}, {"drain_timeout": None}, {"senders": "two"},
        {"concurrency": 10.5}, {"mean": "long"}, {"delay": 3}, {"failure_rate": "0.1"},
    ],
)  # fmt: skip
def test_a_wrong_type_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options)).replace('_', ' ')} .*: give (a|text|True)"):
        Mesh(**options)


def test_numbers_of_numpy_and_fractions_are_python_s_own_from_then_on() -> None:
    numbers = {"senders": np.int64(1), "concurrency": np.int32(50), "sd": np.float64(0), "mean": Fraction(1, 100)}
    mesh = Mesh(messages=np.int64(20), rate=np.float32(100), seed=np.uint8(7), verbose=10**30, **numbers)
    found = json.loads(json.dumps(mesh.config.to_json()))
    assert (found["messages"], found["rate"], found["seed"], found["groups"][0]["mean"]) == (20, 100.0, 7, 0.01)
    sender = Sender("tcp://127.0.0.1:1", concurrency=np.int64(3), lease=Fraction(1, 3))
    assert sender.name


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"transport": Unprintable()}, "whose repr raises ValueError"),
        ({"journal": "j\0"}, "no journal can be kept in 'j.x00'"),
        ({"journal": "\ud800"}, "no journal can be kept in"),
        ({"verbose": -1}, "give 0, 1 or 2"),
        ({"detail_s": float("nan")}, "seconds from 0 on"),
    ],
)
def test_what_no_mesh_can_do_is_refused_before_it_runs(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Mesh(**options)


def test_limits_are_checked_and_found() -> None:
    with pytest.raises(UsageError, match="max attempts 'x': give a whole number"):
        BrokerLimits(max_attempts="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"limits=zsms\.BrokerLimits\(max_attempts=...\)"):
        Broker(max_attempts=3)  # type: ignore[call-arg]


def test_a_mesh_runs_once() -> None:
    mesh = Mesh(messages=100, **SMALL)
    assert mesh.run().messages.sent == 100
    with pytest.raises(UsageError, match="has run before"):
        mesh.run()
    with pytest.raises(UsageError, match="has run before"):
        asyncio.run(mesh.run_async())


def test_what_a_mesh_has_when_it_runs_is_refused_before() -> None:
    mesh = Mesh(messages=1, secure=True, **SMALL)
    for name in ("stats", "keys"):
        with pytest.raises(UsageError, match="does not run yet"):
            getattr(mesh, name)
    assert mesh.view is None and mesh.pids == {} and Mesh(messages=1).keys is None


def test_a_role_runs_once() -> None:
    broker = Broker("127.0.0.1:0")
    broker.stop()
    broker.run()
    for again in (broker.run, broker.start):
        with pytest.raises(ZsmsError, match="before; a role runs once"):
            again()


def test_a_mesh_that_is_cancelled_is_gone_at_once() -> None:
    mesh = Mesh(messages=100_000, senders=2, concurrency=10, mean=600.0, sd=0.0, drain_timeout=600.0)

    async def main() -> float:
        running = asyncio.create_task(mesh.run_async())
        while mesh.view is None or not mesh.view.in_flight:
            await asyncio.sleep(0.05)
        began = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return time.monotonic() - began

    assert asyncio.run(main()) < 60  # 2 s, on a machine that is not busy; a send takes ten minutes, as does a drain
    assert not any(map(psutil.pid_exists, mesh.pids.values()))


def test_a_stop_drains_as_long_as_something_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document's example, 2 s, which is longer than a drain may pause: nothing is left behind.

    A machine that pauses for that long itself gets another try, with longer times.
    """
    for longer in (1, 4):
        monkeypatch.setattr(base, "PATIENCE_S", 1.5 * longer)
        delay = DelayModel("constant", 0.2 * longer)
        with Broker("127.0.0.1:0") as broker, Sender(broker.endpoint, concurrency=10, delay=delay):
            Producer(broker.endpoint, messages=100).run()
            broker.stop()
            assert broker.join(40)
        if broker.core.totals()["sent"] == 100:
            return
    raise AssertionError(broker.core.totals())


def test_a_stop_ends_when_nothing_is_settled_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PATIENCE_S", 0.3)
    broker = Broker("127.0.0.1:0").start()
    Producer(broker.endpoint, messages=100).run()
    broker.stop()
    assert broker.join(40) and broker.core.totals()["queued"] == 100


def test_a_time_limit_holds_whatever_is_settled() -> None:
    slow = {"concurrency": 1, "delay": DelayModel("constant", 0.1), "drain_timeout": 0.1}
    with Broker("127.0.0.1:0", drain_timeout=0.3) as broker, Sender(broker.endpoint, **slow):  # type: ignore[arg-type]
        Producer(broker.endpoint, messages=5_000).run()
        until(lambda: broker.core.totals()["sent"], "the first")
        broker.stop()
        assert broker.join(40) and broker.core.totals()["queued"] > 4_000
