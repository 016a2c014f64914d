"""Work for a cluster: in pieces, and what of it is kept."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsms.launch.tasks import mapping_on, pieces, tasks_on

_GO = threading.Event()


def _twice(value: int, *_: object) -> int:
    if value == 4:
        _GO.wait(60)
    return 2 * value


_TOLD: dict[str, threading.Event] = {}


def _until_unwanted(value: int, wanted: Callable[[], bool]) -> int:
    """The first is done as soon as the second has begun."""
    if not value:
        _TOLD["began"].wait(25)
        return 0
    _TOLD["began"].set()
    until = time.monotonic() + 50
    while wanted() and time.monotonic() < until:
        time.sleep(0.02)
    if not wanted():
        _TOLD["heard"].set()
    return 1


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address=":0",
        silence_logs=logging.ERROR,
    ) as cluster:
        yield cluster
        _GO.set()


def _known(cluster: Any, wanted: int) -> int:
    """How many tasks the scheduler knows, once they are as many as wanted, or after 25 s."""
    until = time.monotonic() + 25
    while len(cluster.scheduler.tasks) != wanted and time.monotonic() < until:
        time.sleep(0.01)
    return len(cluster.scheduler.tasks)


def test_what_has_come_is_not_kept_by_a_worker_with_whom_it_would_be_lost(cluster: Any) -> None:
    _GO.clear()
    came = tasks_on(cluster.scheduler_address, _twice, {str(value): value for value in range(5)})
    assert dict(next(came) for _ in range(4)) == {"0": 0, "1": 2, "2": 4, "3": 6}
    assert _known(cluster, 1) == 1
    _GO.set()
    assert list(came) == [("4", 8)]


def test_a_task_hears_that_nobody_wants_it_any_more(cluster: Any) -> None:
    """Dask ends none that has begun, whatever became of its client."""
    began, heard = threading.Event(), threading.Event()
    _TOLD.update(began=began, heard=heard)
    came = tasks_on(cluster.scheduler_address, _until_unwanted, {"a": 0, "b": 1})
    assert next(came) == ("a", 0) and began.wait(25) and not heard.is_set()
    came.close()  # type: ignore[attr-defined]
    assert heard.wait(25)


def test_a_map_keeps_nothing_that_has_come_either(cluster: Any) -> None:
    _GO.clear()
    with mapping_on(cluster.scheduler_address) as mapped:
        came = mapped(_twice, range(5))
        assert [next(came) for _ in range(4)] == [0, 2, 4, 6]
        assert _known(cluster, 1) == 1
        _GO.set()
        assert list(came) == [8]


@given(st.lists(st.integers(), max_size=200), st.integers(1, 50))
def test_pieces_are_all_of_it_in_order_and_no_more_than_said(values: list[int], most: int) -> None:
    found = pieces(values, most)
    assert [value for piece in found for value in piece] == values
    assert len(found) <= most and all(found)
    assert not found or max(map(len, found)) - min(map(len, found)) <= 1
