"""What a cluster's workers have to have is looked at before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="needs zsms[cluster]")

from tests.mesh.processes import until
from zsms.errors import ZsmsError
from zsms.launch import cluster
from zsms.launch.cluster import Cluster
from zsms.launch.commands import Commands
from zsms.launch.place import Wanted
from zsms.launch.worker import look_of
from zsms.scenario import MeshConfig


class _WaysAreNext(Exception):
    """What is read was found to be the same."""


def _opened(monkeypatch: pytest.MonkeyPatch, here: Path, there: Path) -> None:
    """A cluster of one worker, on whose host that file is `there`."""

    class Asked:
        def __init__(self, *_: Any) -> None:
            self.client = None

        def usable(self) -> tuple[dict[str, Any], dict[str, str]]:
            return {"tcp://w:1": {"nthreads": 1}}, {"tcp://w:1": "host"}

        def ask(self, function: Callable[..., Any], workers: Any, *arguments: Any) -> dict[str, Any]:
            if function is not look_of:
                raise _WaysAreNext
            assert arguments == (str(here),)
            return {worker: look_of(str(there)) for worker in workers}

        def close(self) -> None:
            pass

    monkeypatch.setattr(cluster, "Scheduler", Asked)
    place = Cluster("tcp://s:1")
    try:
        place.open([Wanted("stats", "stats"), Wanted("producer", "producer-1", reads=str(here))], None)
    finally:
        place.close()


@pytest.mark.parametrize("content", [None, b"", b"recipient,text\n+12025550101,b\n", b"recipient,text\n"])
def test_a_list_that_is_another_one_on_a_worker_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    here.write_bytes(b"recipient,text\n+12025550101,a\n")
    if content is not None:
        there.write_bytes(content)
    why = "No such file" if content is None else f"{len(content)} octets"
    with pytest.raises(ZsmsError, match=rf"here.csv is another file for the worker at tcp://w:1.*: {why}.* 30 octets"):
        _opened(monkeypatch, here, there)


def test_the_same_list_elsewhere_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    for path in (here, there):
        path.write_bytes(b"recipient,text\n+12025550101,a\n")
    with pytest.raises(_WaysAreNext):
        _opened(monkeypatch, here, there)


def test_what_tells_files_apart_is_read_from_both_ends_and_never_waits(tmp_path: Path) -> None:
    (file := tmp_path / "a").write_bytes(bytes(5 * 2**20))
    before = look_of(str(file))
    with file.open("r+b") as written:
        written.seek(-1, 2)
        written.write(b"x")
    assert look_of(str(file)) != before and before.startswith("5,242,880 octets")
    assert look_of(str(tmp_path)) == look_of("/dev/null") == "no file"


def test_producers_read_the_list_and_nobody_else(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text("recipient,text\n")
    found = Commands(MeshConfig(input=str(file), producers=2)).wanted()
    assert [each.name for each in found if each.reads == str(file)] == ["producer-1", "producer-2"]
    assert not any(each.reads for each in Commands(MeshConfig(input="/dev/stdin")).wanted())


class _Task:
    """Of a role that a worker is to keep."""

    def __init__(self, status: str) -> None:
        self.status, self.is_cancelled = status, False

    def exception(self) -> Exception:
        return OSError("no room")

    def cancel(self) -> None:
        self.is_cancelled = True


def test_a_worker_that_comes_late_and_does_not_begin_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pinned task of a worker that is gone waits for ever."""
    there: dict[str, dict[str, Any]] = {"tcp://w:1": {"nthreads": 1}}
    tasks = [_Task("pending"), _Task("pending"), _Task("error")]

    class Asked:
        alive, status = True, "running"

        def __init__(self, *_: Any) -> None:
            self.client, self.left = self, list(tasks)

        def usable(self) -> tuple[dict[str, Any], dict[str, str]]:
            return dict(there), {"tcp://w:1": "host"}

        def ask(self, *_: Any) -> dict[str, Any]:
            return {}

        def subscribe_topic(self, *_: Any) -> None:
            pass

        def submit(self, *_: Any, **__: Any) -> _Task:
            return self.left.pop(0)

        def workers(self) -> dict[str, Any]:
            return dict(there)

        def hosts(self, workers: list[str]) -> dict[str, str]:
            return dict.fromkeys(workers, "host")

        def close(self) -> None:
            pass

    monkeypatch.setattr(cluster, "Scheduler", Asked)
    monkeypatch.setattr(cluster, "BEAT_S", 0.01)
    place, names = Cluster("tcp://s:1", adaptive=True), iter(["late-1", "late-2"])
    place.open([Wanted("sender", "s-1")], None)

    def told(what: str) -> bool:
        assert place.latecomers(lambda _: next(names, None)) == []
        return what in caplog.text

    try:
        there["tcp://w:2"] = {}
        until(lambda: told("") and "tcp://w:2" in place.hosts, "the first")
        there.pop("tcp://w:2")
        until(lambda: told("late-1 does not join: the worker at tcp://w:2 (host): it has left"), "that it has left")
        until(lambda: tasks[1].is_cancelled, "the end of its task")
        there["tcp://w:3"] = {}
        until(lambda: told("late-2 does not join: the worker at tcp://w:3 (host): its task is error: OSError"), "why")
    finally:
        place.close()
