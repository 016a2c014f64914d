"""A scheduler that is wrong, silent or none, and workers that are no use: each is told of in a line, and in time."""

from __future__ import annotations

import socket
import threading
import warnings
from typing import Any

import pytest

pytest.importorskip("distributed", reason="needs zsms[cluster]")

import zsms
from zsms.errors import Stopped, UsageError, ZsmsError
from zsms.launch import scheduler
from zsms.launch.cluster import Cluster
from zsms.launch.place import Wanted
from zsms.launch.scheduler import Scheduler, check, patiently
from zsms.launch.tasks import tell_of_waiting


@pytest.mark.parametrize(
    "address",
    [
        *("", "x", "local", "local:", "local:0", "local:257", "local:1000", "local:abc", "local:\u00b2", "local:-1"),
        *("http://a:1", "inproc://a:1", "tcp://", "tcp://a", "tcp://a:", "tcp://a:x", "tcp://a:0", "tcp://a:65536"),
        *("tcp://a b:1", "tcp://a:1/x", "tcp://::1:1", "tcp://u@a:1", "tcp://a:1,b:2", "a:1", "://a:1"),
    ],
)
def test_what_can_be_no_cluster_is_said_before_anything_is_asked(address: str) -> None:
    with pytest.raises(UsageError, match=r"^cluster .*: write (tcp://HOST:PORT|local:N)"):
        check(address)


@pytest.mark.parametrize("address", ["tcp://a:1", "tls://a.example:8786", "tcp://[::1]:1", "tcp://10.0.0.1:65535"])
def test_what_can_be_one_is_not_refused(address: str) -> None:
    check(address)


def test_a_scheduler_that_is_none_is_told_of_and_waited_for_no_longer_than_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduler, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it takes connections, and says nothing
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ZsmsError, match="something listens there, and is none"):
            Scheduler(address)
        place = Cluster(address)
        place.asked = lambda: 1
        with pytest.raises(Stopped):
            place.open([Wanted("stats", "stats")], None)
        place.close()
    with pytest.raises(ZsmsError, match="Connection refused"):
        Scheduler(address)


@pytest.mark.parametrize("error", [Exception("Non-websocket response"), KeyError("x"), TypeError("no such argument")])
def test_whatever_becomes_of_talking_to_it_is_a_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("distributed.Client", fail)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ZsmsError, match=f"is none.* or of another version .*{error.args[0]}"),
    ):
        Scheduler(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setattr(_Gone, "sync", fail)
    with pytest.raises(ZsmsError, match=f"does not answer: .*{error.args[0]}"):
        _Left(_Gone()).workers()


_TABLE = """Mismatched versions found
+-------------+----------+-----------+----------------------+
| Package     | Client   | Scheduler | Workers              |
+-------------+----------+-----------+----------------------+
| distributed | 2024.8.0 | 2026.8.0  | {'2025.7.0', 'None'} |
| python      | 3.11.7   | 3.11.7    | 3.12.1               |
+-------------+----------+-----------+----------------------+"""


def test_versions_that_differ_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distributed.Client", lambda *_, **__: warnings.warn(_TABLE, stacklevel=1))
    with warnings.catch_warnings():
        assert Scheduler("tcp://127.0.0.1:1").differs == (
            "distributed 2024.8.0 here, 2026.8.0 in the scheduler, {'2025.7.0', 'None'} in workers, "
            "python 3.11.7 here, 3.11.7 in the scheduler, 3.12.1 in workers"
        )


def test_workers_of_this_machine_do_not_watch_themselves() -> None:
    """That would take processors from what they compute."""

    def looks(dask_worker: Any) -> dict[str, float]:
        return {name: each.callback_time for name, each in dask_worker.periodic_callbacks.items()}

    local = Scheduler("local:1", light=True)
    try:
        (found,) = local.client.run(looks).values()
        assert "profile" not in found and found["tick"] >= 500
    finally:
        local.close()


def test_patience_ends_and_whoever_looks_may_end_it() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.1 s"):
        patiently(never.wait, 0.1, lambda: None)

    def look() -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        patiently(never.wait, 60.0, look)
    assert patiently(lambda: 7, 60.0, lambda: None) == 7
    with pytest.raises(KeyError):
        patiently(lambda: dict[str, int]()["x"], 60.0, lambda: None)
    never.set()


class _Fake(Scheduler):
    def __init__(self, workers: dict[str, dict[str, Any]], told: dict[str, Any]) -> None:
        self.address, self._workers, self._told = "tcp://s:1", workers, told

    def workers(self) -> dict[str, dict[str, Any]]:
        return self._workers

    def ask(self, function: Any, workers: Any, *arguments: Any) -> dict[str, Any]:
        return {name: self._told[name] for name in workers}


_RUNNING = {"status": "running"}
_FINE = (zsms.__version__, "host", 1)


@pytest.mark.parametrize(
    ("workers", "told", "why"),
    [
        ({}, {}, "has no workers: start some"),
        ({"w": {"status": "paused"}}, {}, "no worker of .* takes tasks: w is paused"),
        (
            {"w": _RUNNING},
            {"w": ModuleNotFoundError("No module named 'zsms'", name="zsms")},
            "the worker at w has no zsms: install",
        ),
        (
            {"w": _RUNNING},
            {"w": Exception("ModuleNotFoundError(\"No module named 'zsms'\")")},
            "at w has no zsms: install",
        ),
        ({"w": _RUNNING}, {"w": Exception("No module named 'zsms.launch'")}, r"at w has no zsms\.launch: install"),
        ({"w": _RUNNING}, {"w": ("0.0.1", "host", 1)}, r"the worker at w has zsms 0\.0\.1, this is"),
        ({"w": _RUNNING}, {"w": TimeoutError()}, "the worker at w does not answer: TimeoutError"),
    ],
)
def test_workers_that_are_no_use_are_named(workers: dict[str, Any], told: dict[str, Any], why: str) -> None:
    with pytest.raises(ZsmsError, match=why):
        _Fake(workers, told).usable()


def test_workers_that_take_no_tasks_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    found, hosts = _Fake({"a": {"status": "paused"}, "b": _RUNNING}, {"b": _FINE}).usable()
    assert found.keys() == {"b"} and hosts == {"b": "host"}
    assert "1 worker of the Dask scheduler not used: a is paused" in caplog.text


def test_work_that_waits_for_workers_is_told_of_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    paused, states = {"w": {"status": "paused"}}, [_RUNNING, "paused", "paused", "gone", _RUNNING, "paused", "none"]
    over = threading.Event()

    class Asked(_Fake):
        def workers(self) -> dict[str, dict[str, Any]]:
            if len(states) == 1:
                over.set()
            state = states.pop(0)
            if state == "gone":
                raise ZsmsError("does not answer")
            return {"paused": paused, "none": {}}.get(str(state), {"w": _RUNNING})

    tell_of_waiting(Asked({}, {}), over, 0.001)
    assert [each.getMessage().partition(" at ")[0] for each in caplog.records] == [
        "no worker of the Dask scheduler",
        "no worker of the Dask scheduler",
        "the Dask scheduler",
    ]
    assert "w is paused; this waits until one does" in caplog.text and "has no workers" in caplog.text


class _Gone:
    """A client of a scheduler that is gone."""

    class scheduler:
        identity = staticmethod(lambda: None)

    def sync(self, function: Any, callback_timeout: float | None = None) -> None:
        raise RuntimeError("the loop is closed")


class _Silent(_Gone):
    """One of a scheduler that is frozen."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def sync(self, function: Any, callback_timeout: float | None = None) -> None:
        if not self.let_go.wait(callback_timeout):
            raise TimeoutError


class _Left(Scheduler):
    def __init__(self, client: Any) -> None:
        self.address, self.client, self._poll = "tcp://s:1", client, lambda: None


@pytest.mark.parametrize("ask", [Scheduler.workers, lambda left: left.ask(dict, ["w"]), lambda left: left.hosts(["w"])])
def test_a_scheduler_that_goes_while_it_is_asked_is_told_of_in_a_line(ask: Any) -> None:
    with pytest.raises(ZsmsError, match="scheduler at tcp://s:1 does not answer: the loop is closed"):
        ask(_Left(_Gone()))


def test_a_question_that_nobody_answers_leaves_no_thread_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "ANSWER_S", 0.05)
    before, client = set(threading.enumerate()), _Silent()
    with pytest.raises(ZsmsError, match="does not answer"):
        _Left(client).workers()
    asking = set(threading.enumerate()) - before
    for thread in asking:
        thread.join(5.0)
    alive = [thread for thread in asking if thread.is_alive()]
    client.let_go.set()
    assert not alive
